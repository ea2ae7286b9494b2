/*-------------------------------------------------------------------------
 *
 * repair.h
 *	  From damage found to damage repaired.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_REPAIR_H
#define FTC_REPAIR_H

#include "chain.h"

/* Verify a range of heights and record every fault; gives their number. */
extern int64 ftc_scrub(const FtcChain *chain, int64 from, int64 to, bool strays);

/* One thing that repair does, or would do. */
typedef struct FtcRepairAction
{
	int64		height;			/* -1: of no block */
	FtcHash		block;
	const char *what;			/* that is wrong */
	const char *action;			/* done, or to be done */
} FtcRepairAction;

typedef void (*FtcRepairCallback) (void *arg, const FtcChain *chain, const FtcRepairAction *action);

/*
 * Repair what is recorded as damaged: all of it, or some twenty blocks.  Of so
 * many at a time, it talks to peers first, then writes.  Gives how many could
 * not be repaired.
 */
extern int	ftc_repair(const FtcChain *chain, bool dry_run, bool all, Oid for_role,
					   FtcRepairCallback callback, void *arg);

#endif							/* FTC_REPAIR_H */

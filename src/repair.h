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
 * Repair what is recorded as damaged, in this order: indexes; what follows from what is
 * here; blocks, by copies that peers are asked for before anything is written;
 * the rest.  after: NULL for all blocks; or the height after which a batch of
 * some twenty is taken, which goes on with it and round at the end.  They give
 * how many could not be repaired.
 */
extern int	ftc_repair_indexes(const FtcChain *chain, bool dry_run, FtcRepairCallback callback, void *arg);
extern void ftc_repair_derived(const FtcChain *chain, bool dry_run, FtcRepairCallback callback, void *arg);
extern int	ftc_repair_blocks(const FtcChain *chain, bool dry_run, Oid for_role, int64 *after,
							  FtcRepairCallback callback, void *arg);
extern int	ftc_repair_rest(const FtcChain *chain, bool dry_run, FtcRepairCallback callback, void *arg);

/* Or is so much damaged that an operator has to look at it first?  Then that is an alarm. */
extern bool ftc_repair_may_go_on(const FtcChain *chain);

#endif							/* FTC_REPAIR_H */

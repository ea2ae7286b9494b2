/*-------------------------------------------------------------------------
 *
 * seal_part.h
 *	  What the parts of sealing share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SEAL_PART_H
#define FTC_SEAL_PART_H

#include "branch.h"

/* An origin that has bundles waiting. */
typedef struct FtcOrigin
{
	FtcHash		member;
	int64		incarnation;
	int32		number;			/* local */
	int64		last;			/* bundle on the main chain */
	bool		done;			/* nothing more of it fits */
} FtcOrigin;

/*
 * All of them, by member and incarnation, where the branch ends.  Gives their
 * number; the list is palloc'd.
 */
extern int	ftc_seal_origins(const FtcBranch *branch, FtcOrigin **list);

#endif							/* FTC_SEAL_PART_H */

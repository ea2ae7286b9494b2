/*-------------------------------------------------------------------------
 *
 * copies.h
 *	  Who stores what, by height: digests of it, and comparing it with a peer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_COPIES_H
#define FTC_COPIES_H

#include "compare.h"
#include "core/ranges.h"

/* What is known of a block has changed. */
extern void ftc_copies_changed(int32 chain, const FtcHash *block);

/* From that height on other blocks are on the main chain, or all is to be summed up anew. */
extern void ftc_copies_forget(int32 chain, int64 from);

/* Sum up what has not changed for a while; true if there is more to do. */
extern bool ftc_copies_sum_up(const FtcChain *chain);

/* Blocks of which a peer may know more than is known here, with what it says. */
typedef struct FtcCopiesFound
{
	const FtcChain *chain;
	int64		n;				/* heights that differ */
	int64		nknown;			/* of so many it was asked */
	struct FtcCopiesKnown *known;
} FtcCopiesFound;

/*
 * Compare the statements known here with those that a peer knows: that is asked and
 * waited for, with nothing locked; palloc'd.  Then take what is missing: gives of
 * how many heights something was taken.
 */
extern FtcCopiesFound *ftc_copies_compare(FtcComparison *asked);
extern int64 ftc_copies_take(const FtcCopiesFound *found);

#endif							/* FTC_COPIES_H */

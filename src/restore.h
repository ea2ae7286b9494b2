/*-------------------------------------------------------------------------
 *
 * restore.h
 *	  Putting rows of the ledger right, from a sound block or from links.
 *
 * Under the chain's lock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_RESTORE_H
#define FTC_RESTORE_H

#include "chain.h"
#include "core/block.h"

/*
 * The row of a block, its controls and its bundles, all as this copy says, which
 * has been checked against the id.  Entries are left alone; those appended here
 * are listed again, if the list is lost.
 */
extern void ftc_restore_block(const FtcChain *chain, const FtcHash *id, const FtcBlock *block);

/*
 * What is left of blocks and bundles that are gone; the blocks of other branches
 * that list such bundles are given, up to n of them, the highest first.
 */
extern void ftc_restore_leftovers(const FtcChain *chain);
extern int	ftc_restore_side_blocks(const FtcChain *chain, FtcHash *ids, int n);

/* What becomes of the main chain when the links in the headers are followed. */
typedef enum FtcRelinked
{
	FTC_LINKS_SOUND,			/* nothing to do */
	FTC_LINKS_RESTORED,			/* rows were wrong, or would be put right */
	FTC_LINKS_BROKEN			/* a block on the way is not here */
} FtcRelinked;

/*
 * The list of the main chain, from the best block down to the genesis.  If the
 * way breaks off, *missing is the block that is not here, of that height.
 */
extern FtcRelinked ftc_restore_links(const FtcChain *chain, bool dry_run,
									 FtcHash *missing, int64 *height);

#endif							/* FTC_RESTORE_H */

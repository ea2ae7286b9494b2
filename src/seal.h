/*-------------------------------------------------------------------------
 *
 * seal.h
 *	  From committed entries to bundles, from bundles to blocks.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SEAL_H
#define FTC_SEAL_H

#include "chain.h"
#include "identity.h"

/*
 * Find what was committed since the last look and put it into one bundle, as
 * far as it fits.  True if there is more.  A transaction of its own.
 */
extern bool ftc_seal_bundle(const FtcChain *chain);

/* Entries of this database that wait: in the backlog, in bundles, not yet found. */
extern int64 ftc_seal_count_pending(const FtcChain *chain, const FtcIdentity *self);

typedef enum FtcSealResult
{
	FTC_SEAL_NOTHING,			/* nothing waits */
	FTC_SEAL_TOO_EARLY,			/* a block may be made only at *wait_until */
	FTC_SEAL_READY				/* the candidate is to be worked on */
} FtcSealResult;

/* A block under construction, in one palloc'd piece of memory. */
typedef struct FtcCandidate FtcCandidate;

extern FtcSealResult ftc_seal_candidate(const FtcChain *chain, MemoryContext context,
										FtcCandidate **candidate, uint64 *wait_until);

/* Search for a nonce, outside any transaction.  False if the head changed. */
extern bool ftc_seal_mine(FtcCandidate *candidate);

/* Sign the block and add it; true if it became the head. */
extern bool ftc_seal_publish(const FtcChain *chain, FtcCandidate *candidate);

#endif							/* FTC_SEAL_H */

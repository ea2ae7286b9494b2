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
 * For SQL: does an entry e wait for the sealer?  s is the row of seal_state of its
 * chain, member who this is, or NULL.  What waits is of our own, and still to be
 * found or bundled.  In a copy of a database what waited in the original waits
 * there: it is of another member, and from before the copy became somebody, if it
 * did.
 */
#define FTC_ENTRY_WAITS(member) \
	" CASE WHEN e.origin IN (SELECT id FROM ftchain.origin WHERE member = " member ")" \
	" THEN s.snapshot IS NULL OR s.backlog @> e.id" \
	" OR e.xid IS NOT NULL AND NOT pg_visible_in_snapshot(e.xid, s.snapshot)" \
	" ELSE e.xid IS NOT NULL AND (" member " IS NULL OR e.\"time\" < (SELECT created FROM ftchain.identity)) END"

/*
 * Find what was committed since the last look and put it into one bundle, as
 * far as it fits.  True if there is more.  A transaction of its own.
 */
extern bool ftc_seal_bundle(const FtcChain *chain);

/*
 * Are bundles lost that were made here?  Recorded as damage; while it is so no
 * other is made.
 */
extern bool ftc_seal_lacks_bundles(const FtcChain *chain);

/*
 * Look anew at all entries of this database that are in no bundle: some may have
 * been lost.
 */
extern void ftc_seal_look_again(const FtcChain *chain);

/* Entries of this database that wait: in the backlog, in bundles, not yet found. */
extern int64 ftc_seal_count_pending(const FtcChain *chain, const FtcIdentity *self);

typedef enum FtcSealResult
{
	FTC_SEAL_NOTHING,			/* nothing waits */
	FTC_SEAL_TOO_EARLY,			/* a block may be made only at *wait_until */
	FTC_SEAL_READY				/* the candidate is to be worked on */
} FtcSealResult;

/* A block that wants a nonce. */
typedef struct FtcCandidate
{
	FtcHeader	header;
	FtcBlock	block;			/* without body */
	uint64		heads;			/* ftc_wake_heads() before it was made */
} FtcCandidate;

/* Make one, in the given context. */
extern FtcSealResult ftc_seal_candidate(const FtcChain *chain, MemoryContext context,
										FtcCandidate **candidate, uint64 *wait_until);

/*
 * What was tried for children of its parent, kept over a restart; nothing if
 * none was.  If the candidate kept holds the same, this one becomes it and goes
 * on with its nonces.
 */
extern void ftc_seal_keep(int32 chain, const FtcHeader *header, uint64 attempts, uint64 since);
extern void ftc_seal_resume(int32 chain, FtcHeader *header, uint64 *attempts, uint64 *since);

/*
 * Search for a nonce, in a session, outside any transaction.  False if the head
 * changed.
 */
extern bool ftc_seal_mine(const FtcChain *chain, FtcCandidate *candidate);

/* Sign the block and add it; true if it became the head. */
extern bool ftc_seal_publish(const FtcChain *chain, FtcCandidate *candidate);

#endif							/* FTC_SEAL_H */

/*-------------------------------------------------------------------------
 *
 * inbox.h
 *	  Taking blocks in: one way for our own and for everybody else's.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_INBOX_H
#define FTC_INBOX_H

#include "chain.h"
#include "store.h"

/*
 * Verify a block and store it; under the chain's lock.  source is the member
 * it came from, NULL for our own.  FTC_OK also if it was known; a body that
 * came along is stored if it is wanted here.  What is refused is recorded.  The
 * main chain changes if that makes another branch the best.
 */
extern FtcReason ftc_inbox_block(const FtcChain *chain, const FtcBlock *block,
								 const FtcHash *source);

/* A member's statement that it stores a body; may change the main chain, too. */
extern FtcReason ftc_inbox_stored(const FtcChain *chain, FtcSlice reference, FtcSlice signature);

/* Say that this database stores the body of a block, if it should hold it. */
extern void ftc_inbox_state_stored(const FtcChain *chain, const FtcHash *block);

/* A place in the list of bodies that this database should fetch. */
typedef struct FtcWanted
{
	int64		height;			/* -1: before the first */
	FtcHash		block;
} FtcWanted;

/* Is there one after this place?  Goes on to it, and to the end if there is none. */
extern bool ftc_inbox_next_wanted(const FtcChain *chain, FtcWanted *at);

/* Put every body on the list that should be here under the state and is not. */
extern int64 ftc_inbox_want_missing(const FtcChain *chain);

#endif							/* FTC_INBOX_H */

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
 * it came from, NULL for our own and those of files.  FTC_OK also if it was known; a body that
 * came along is stored if it is wanted here.  What is refused is recorded.  The
 * main chain changes if that makes another branch the best.
 */
extern FtcReason ftc_inbox_block(const FtcChain *chain, const FtcBlock *block,
								 const FtcHash *source);

/* A member's statement that it stores a body; may change the main chain, too. */
extern FtcReason ftc_inbox_stored(const FtcChain *chain, FtcSlice reference, FtcSlice signature);

/*
 * Statements about a block: member and signature, one after another; and behind the
 * member zero the words that were said since (words.h).  One that is
 * no good is as good as none.  False if some are of nobody that is known here.
 */
extern bool ftc_inbox_statements(const FtcChain *chain, const FtcHash *block, FtcSlice statements);

/*
 * The key of the member that a statement, or a word, is of: as things stand now, as
 * they stood for the block, or as they once did: whoever has been removed may have
 * stored what is older than itself.  False if it is of none.
 */
extern bool ftc_inbox_stating(const FtcChain *chain, const FtcHash *block, const FtcHash *member, FtcKey *key);

/*
 * A whole body of a block that is known, with its manifest.  Checked before the
 * chain's lock is taken, as it may be large; what is wrong is for the caller to
 * record.  Without settle nothing is said of it yet, and it stays on the list of what
 * is wanted, so that the transaction may be lost in a crash: call ftc_inbox_settle()
 * later.
 */
extern FtcReason ftc_inbox_body(const FtcChain *chain, const FtcStored *stored, FtcSlice body,
								const FtcHash *source, bool settle);

/*
 * Take these off the list if they are here, or not needed any more, and say that
 * they are stored, if they should be.
 */
extern void ftc_inbox_settle(const FtcChain *chain, const FtcHash *blocks, int n);

/* Put a body on the list that is to be read, whoever should hold it. */
extern void ftc_inbox_want(const FtcChain *chain, const FtcHash *block);

/* A place in the list of bodies that this database should fetch. */
typedef struct FtcWanted
{
	int64		height;			/* -1: before the first */
	FtcHash		block;
	bool		moved;			/* it is stored by others, and in no hurry */
	bool		fetching;		/* chunks of it come, or of one like it */
} FtcWanted;

/* Who gave a wrong body is not asked for it that long. */
#define FTC_WRONG_FOR "10 min"

/*
 * Is there one after this place that is due, and to be asked of that member?  Goes on to it, or over up to
 * FTC_WANTED_LOOK that are not; stays where it is if there are none at all.
 * Without moved, those that only moved are as if they were not there.
 * Those that ftc_inbox_settle() would take off the list are added to settle,
 * which must have room for as many.
 */
#define FTC_WANTED_LOOK 20
extern bool ftc_inbox_next_wanted(const FtcChain *chain, const FtcHash *member, bool moved,
								  FtcWanted *at, FtcHash *settle, int *nsettle);

/*
 * When members have changed: put every body on the list that should be here
 * under the state and is not; and say of those that are here already that they
 * are stored, some of them, until that gives false.
 */
extern int64 ftc_inbox_want_missing(const FtcChain *chain);
extern bool ftc_inbox_state_held(const FtcChain *chain);

#endif							/* FTC_INBOX_H */

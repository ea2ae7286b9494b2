/*-------------------------------------------------------------------------
 *
 * sign_state.h
 *	  What a key has signed last, so that it never signs what contradicts it.
 *
 * Two watermarks: the rounds of the highest target and of the highest source ever
 * voted for.  A vote must have a higher target and a source that is no lower; so
 * no two votes have one target's round (double vote), and none jumps over another
 * (surround vote): the minimal strategy of EIP-3076, conditions 4 and 5.  And the
 * highest slot ever proposed for.
 *
 * What was asked for last may be asked for again: after a crash the signature may
 * not have left.  A signature with Ed25519 is the same each time.
 *
 * The caller advances the state, makes it durable, and only then lets the
 * signature out: UPDATE ... WHERE the state is as it was, in one transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SIGN_STATE_H
#define FTC_SIGN_STATE_H

#include "vote.h"

typedef struct FtcSignState
{
	uint64_t	target;			/* round of the highest target */
	uint64_t	source;			/* round of the highest source */
	FtcHash		vote;			/* digest of the last vote; zero: none to be
								 * repeated */
	uint64_t	slot;			/* the highest proposed for */
	FtcHash		block;			/* proposed there; zero: none to be repeated */
} FtcSignState;

typedef enum FtcSigning
{
	FTC_SIGNING_NEW,			/* the state has advanced: commit it, then
								 * sign */
	FTC_SIGNING_AGAIN,			/* signed before: the same signature */
	FTC_SIGNING_REFUSED
} FtcSigning;

/* All zeros is a key that has signed nothing. */
extern FtcSigning ftc_sign_state_vote(FtcSignState *state, const FtcVoteLink *link);
extern FtcSigning ftc_sign_state_propose(FtcSignState *state, uint64_t slot, const FtcHash *block);

/*
 * The same where the proposer is the only validator (finality.h): then its block is
 * final as it is signed, and the watermarks of votes rise to its slot.  Else the key
 * could vote for a branch without that block, once it is alone no longer.
 */
extern FtcSigning ftc_sign_state_propose_alone(FtcSignState *state, uint64_t slot, const FtcHash *block);

/*
 * The same rule, for numbers alone: what a vote of that target and source must
 * not be, given the watermarks.
 */
extern bool ftc_sign_state_allows(const FtcSignState *state, uint64_t target, uint64_t source);

/*
 * The key has signed, elsewhere or before, votes up to these rounds, and blocks up
 * to this slot.  Watermarks never fall.
 */
extern void ftc_sign_state_raise(FtcSignState *state, uint64_t target, uint64_t source, uint64_t slot);

/*
 * This key may have signed what is not remembered, but nothing beyond this round:
 * both watermarks rise to it.  So the key only watches until others have justified
 * something newer.  (With the target's alone it could still surround a vote that it
 * has forgotten.)
 */
extern void ftc_sign_state_guard(FtcSignState *state, uint64_t round);

/* Is the key still watching, as this is the highest justified round known? */
extern bool ftc_sign_state_is_watching(const FtcSignState *state, uint64_t justified);

#endif							/* FTC_SIGN_STATE_H */

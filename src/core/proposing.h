/*-------------------------------------------------------------------------
 *
 * proposing.h
 *	  With stake or delegates: may this member propose a block now, and is the slot
 *	  of a header its proposer's?
 *
 * The reasons not to are those that a witness of BitShares has (bitshares-core,
 * libraries/plugins/witness), one after the other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_PROPOSING_H
#define FTC_PROPOSING_H

#include "delegates.h"
#include "epoch.h"
#include "sign_state.h"

#define FTC_PROPOSING_X(X) \
	X(NOW, "propose") \
	X(NO_KEY, "there is no key to sign with") \
	X(NOT_SYNCED, "blocks are still being fetched") \
	X(RESTS, "there is nothing to propose") \
	X(TOO_EARLY, "the slot has not come") \
	X(NOT_MY_TURN, "the slot is somebody else's") \
	X(TOO_LATE, "the slot has begun too long ago") \
	X(SIGNED, "the slot or a later one is signed for already") \
	X(ALONE, "too few others take part")

typedef enum FtcProposing
{
#define FTC_PROPOSING_ENUM(name, text) FTC_PROPOSING_##name,
	FTC_PROPOSING_X(FTC_PROPOSING_ENUM)
#undef FTC_PROPOSING_ENUM
	FTC_PROPOSING_COUNT
} FtcProposing;

/* In words, a constant string; never NULL. */
extern const char *ftc_proposing_text(FtcProposing proposing);

typedef struct FtcProposingState
{
	bool		has_key;
	bool		synced;			/* no branch is known that is better and
								 * incomplete */
	bool		has_entries;	/* something waits */
	bool		my_turn;		/* in the slot of now, on the head */
	uint64_t	now;			/* us */
	uint64_t	max_late;		/* us after the slot's beginning */
	uint32_t	participation;	/* permille, as seen in that slot */
	uint32_t	min_participation;	/* 0: do not mind */
	const FtcSlots *slots;
	const FtcFinality *head;
	const FtcSignState *signed_for;
} FtcProposingState;

extern FtcProposing ftc_proposing(const FtcProposingState *state);

/*
 * Is the header's slot the turn of its proposer?  state is that of its epoch.
 * FTC_WRONG_PROPOSER or FTC_OK.
 */
extern FtcReason ftc_proposing_check(const FtcHeader *header, const FtcEpochState *state,
									 uint32_t per_epoch);

/* Whose turn a slot is, by the header's kind of consensus. */
extern const FtcHash *ftc_proposing_turn(uint32_t consensus, const FtcEpochState *state, uint64_t slot,
										 uint32_t per_epoch);

#endif							/* FTC_PROPOSING_H */

/*-------------------------------------------------------------------------
 *
 * sign_state.c
 *	  What a key has signed last.
 *
 *-------------------------------------------------------------------------
 */
#include "sign_state.h"

bool
ftc_sign_state_allows(const FtcSignState *state, uint64_t target, uint64_t source)
{
	return source < target && target > state->target && source >= state->source;
}

FtcSigning
ftc_sign_state_vote(FtcSignState *state, const FtcVoteLink *link)
{
	FtcHash		digest = ftc_vote_digest(link);

	if (!ftc_hash_is_zero(&state->vote) && ftc_hash_equal(&digest, &state->vote))
		return FTC_SIGNING_AGAIN;
	if (!ftc_sign_state_allows(state, link->target.round, link->source.round))
		return FTC_SIGNING_REFUSED;
	state->target = link->target.round;
	state->source = link->source.round;
	state->vote = digest;
	return FTC_SIGNING_NEW;
}

FtcSigning
ftc_sign_state_propose(FtcSignState *state, uint64_t slot, const FtcHash *block)
{
	if (!ftc_hash_is_zero(&state->block) && slot == state->slot && ftc_hash_equal(block, &state->block))
		return FTC_SIGNING_AGAIN;
	if (slot <= state->slot)
		return FTC_SIGNING_REFUSED;
	state->slot = slot;
	state->block = *block;
	return FTC_SIGNING_NEW;
}

FtcSigning
ftc_sign_state_propose_alone(FtcSignState *state, uint64_t slot, const FtcHash *block)
{
	FtcSigning	signing = ftc_sign_state_propose(state, slot, block);

	if (signing == FTC_SIGNING_NEW)
	{
		state->target = state->target < slot ? slot : state->target;
		state->source = state->source < slot ? slot : state->source;
		state->vote = ftc_hash_zero;
	}
	return signing;
}

/*
 * What was signed last may be repeated no longer: it was repeated by whoever the
 * state was copied from.  Repeating it would do no harm, but then the state that
 * the next vote is judged by would not be that of the last one.
 */
void
ftc_sign_state_raise(FtcSignState *state, uint64_t target, uint64_t source, uint64_t slot)
{
	state->target = state->target < target ? target : state->target;
	state->source = state->source < source ? source : state->source;
	state->slot = state->slot < slot ? slot : state->slot;
	state->vote = ftc_hash_zero;
	state->block = ftc_hash_zero;
}

void
ftc_sign_state_guard(FtcSignState *state, uint64_t round)
{
	ftc_sign_state_raise(state, round, round, round);
}

bool
ftc_sign_state_is_watching(const FtcSignState *state, uint64_t justified)
{
	return justified < state->source;
}

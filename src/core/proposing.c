/*-------------------------------------------------------------------------
 *
 * proposing.c
 *	  With stake or delegates: who may propose.
 *
 *-------------------------------------------------------------------------
 */
#include "proposing.h"

const char *
ftc_proposing_text(FtcProposing proposing)
{
	static const char *const texts[] = {
#define FTC_PROPOSING_TEXT(name, text) text,
		FTC_PROPOSING_X(FTC_PROPOSING_TEXT)
#undef FTC_PROPOSING_TEXT
	};

	return (unsigned) proposing < FTC_PROPOSING_COUNT ? texts[proposing] : "unknown";
}

FtcProposing
ftc_proposing(const FtcProposingState *s)
{
	uint64_t	slot = ftc_slot_at(s->slots, s->now);

	if (!s->has_key)
		return FTC_PROPOSING_NO_KEY;
	if (!s->synced)
		return FTC_PROPOSING_NOT_SYNCED;
	if (!s->has_entries && !ftc_finality_needs_closing(s->head))
		return FTC_PROPOSING_RESTS;
	if (slot <= s->head->self.point.round)
		return FTC_PROPOSING_TOO_EARLY;
	if (!s->my_turn)
		return FTC_PROPOSING_NOT_MY_TURN;
	if (s->now - ftc_slot_start(s->slots, slot) > s->max_late)
		return FTC_PROPOSING_TOO_LATE;
	if (slot <= s->signed_for->slot)
		return FTC_PROPOSING_SIGNED;
	if (s->participation < s->min_participation)
		return FTC_PROPOSING_ALONE;
	return FTC_PROPOSING_NOW;
}

const FtcHash *
ftc_proposing_turn(uint32_t consensus, const FtcEpochState *state, uint64_t slot, uint32_t per_epoch)
{
	if (consensus == FTC_CONSENSUS_DPOS)
	{
		uint16_t	order[FTC_VALIDATORS_MAX];
		uint16_t	n = ftc_delegates_order(&state->set, &state->record.seed, order);

		return &state->set.at[ftc_delegates_turn(order, n, slot)].id;
	}
	else
	{
		FtcProposer scratch[FTC_VALIDATORS_MAX];

		return &state->proposers[ftc_epoch_proposer(state, slot, per_epoch, scratch)].id;
	}
}

FtcReason
ftc_proposing_check(const FtcHeader *header, const FtcEpochState *state, uint32_t per_epoch)
{
	const FtcHash *turn = ftc_proposing_turn(header->consensus, state, header->round, per_epoch);

	return ftc_hash_equal(&header->proposer, turn) ? FTC_OK : FTC_WRONG_PROPOSER;
}

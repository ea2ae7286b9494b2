/*-------------------------------------------------------------------------
 *
 * epoch.c
 *	  The record of an epoch.
 *
 *-------------------------------------------------------------------------
 */
#include "epoch.h"

#include "bytes.h"
#include "delegates.h"
#include "entry.h"
#include "sha256.h"

void
ftc_epoch_encode(const FtcEpoch *epoch, uint8_t bytes[FTC_EPOCH_LEN])
{
	FtcWriter	writer = ftc_writer(bytes, FTC_EPOCH_LEN);

	ftc_put_u8(&writer, FTC_LEAF_VERSION);
	ftc_put_u8(&writer, FTC_LEAF_EPOCH);
	ftc_put_u64(&writer, epoch->epoch);
	ftc_put_u64(&writer, epoch->since);
	ftc_put_u64(&writer, epoch->base.round);
	ftc_put_hash(&writer, &epoch->base.id);
	ftc_put_hash(&writer, &epoch->seed);
	ftc_put_hash(&writer, &epoch->validators);
	ftc_put_hash(&writer, &epoch->priorities);
	ftc_put_hash(&writer, &epoch->stakes);
}

FtcReason
ftc_epoch_decode(FtcEpoch *epoch, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		class = ftc_get_u8(&reader);

	epoch->epoch = ftc_get_u64(&reader);
	epoch->since = ftc_get_u64(&reader);
	epoch->base.round = ftc_get_u64(&reader);
	epoch->base.id = ftc_get_hash(&reader);
	epoch->seed = ftc_get_hash(&reader);
	epoch->validators = ftc_get_hash(&reader);
	epoch->priorities = ftc_get_hash(&reader);
	epoch->stakes = ftc_get_hash(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (version != FTC_LEAF_VERSION)
		return FTC_BAD_VERSION;
	if (class != FTC_LEAF_EPOCH)
		return FTC_BAD_KIND;
	return epoch->epoch <= INT64_MAX && epoch->since <= epoch->epoch && epoch->base.round <= INT64_MAX
		? FTC_OK : FTC_OUT_OF_RANGE;
}

FtcHash
ftc_epoch_hash(const FtcEpoch *epoch)
{
	uint8_t		bytes[FTC_EPOCH_LEN];

	ftc_epoch_encode(epoch, bytes);
	return ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
}

/* ----------------------------------------------------------------
 *		From one epoch to the next
 * ----------------------------------------------------------------
 */

/* What has to change so that the proposers are those of the set: both lists ascend. */
static uint32_t
list_changes(const FtcEpochState *state, FtcProposer *changes)
{
	uint32_t	n = 0;
	uint32_t	at = 0;

	for (uint16_t i = 0; i < state->set.n || at < state->nproposers;)
	{
		int			order = at == state->nproposers ? -1 : i == state->set.n ? 1
		: ftc_hash_compare(&state->set.at[i].id, &state->proposers[at].id);
		int64_t		before = order >= 0 ? state->proposers[at].weight : 0;
		int64_t		weight = order <= 0 ? (int64_t) state->set.at[i].weight : 0;

		if (weight != before)
		{
			changes[n].id = order <= 0 ? state->set.at[i].id : state->proposers[at].id;
			changes[n].weight = weight;
			changes[n++].priority = 0;
		}
		i += order <= 0;
		at += order >= 0;
	}
	return n;
}

/* Bring the proposers in line with the set, and name both in the record. */
static FtcReason
finish(FtcEpochState *state)
{
	FtcProposer changes[2 * FTC_VALIDATORS_MAX];
	uint32_t	n = state->nproposers;
	FtcReason	reason = ftc_priority_update(state->proposers, &n, FTC_VALIDATORS_MAX, changes,
											 list_changes(state, changes));

	state->nproposers = (uint16_t) n;
	state->record.validators = ftc_validators_hash(&state->set);
	state->record.priorities = ftc_priority_hash(state->proposers, n);
	state->record.seed = ftc_delegates_seed(&state->record.base.id, state->record.epoch);
	return reason;
}

FtcReason
ftc_epoch_first(FtcEpochState *state, const FtcHash *genesis, const FtcHash *stakes)
{
	FtcReason	reason = ftc_validators_check(&state->set);

	memset(&state->record, 0, sizeof(state->record));
	state->record.base.id = *genesis;
	state->record.stakes = *stakes;
	state->nproposers = 0;
	if (reason == FTC_OK && state->set.handover)
		reason = FTC_NOT_CANONICAL;
	return reason == FTC_OK ? finish(state) : reason;
}

/*
 * Both sets have certified a block of the time since the change, and the branch
 * proves that it is final: from now on the new set is enough.
 */
bool
ftc_epoch_is_handed_over(const FtcEpoch *record, const FtcAncestor *base, uint32_t per_epoch)
{
	return base->point.round / per_epoch >= record->since;
}

/* The set of the next epoch; false if there is no room for it. */
static bool
next_set(const FtcEpochState *old, const FtcEpochChange *change, FtcEpochState *next)
{
	FtcValidator settled[FTC_VALIDATORS_MAX];
	FtcValidators from = {.capacity = FTC_VALIDATORS_MAX,.at = settled};

	if (!ftc_validators_copy(&next->set, &old->set) || !ftc_validators_copy(&from, &old->set))
		return false;
	if (old->set.handover)
	{
		if (!ftc_epoch_is_handed_over(&old->record, &change->base, change->per_epoch))
			return true;
		ftc_validators_settle(&from);
		ftc_validators_settle(&next->set);
	}
	if (change->wanted == NULL || change->wanted->n == 0)
		return true;
	if (!ftc_validators_step(&from, change->wanted, change->unanimous, &next->set))
		return false;
	if (next->set.handover)
		next->record.since = change->epoch;
	return true;
}

bool
ftc_epoch_next(const FtcEpochState *old, const FtcEpochChange *change, FtcEpochState *next)
{
	next->record = old->record;
	next->record.epoch = change->epoch;
	next->record.base = change->base.point;
	next->record.stakes = change->stakes;
	if (!next_set(old, change, next))
		return false;
	memcpy(next->proposers, old->proposers, old->nproposers * sizeof(FtcProposer));
	next->nproposers = old->nproposers;
	(void) ftc_priority_advance(next->proposers, next->nproposers, change->per_epoch);
	return finish(next) == FTC_OK;
}

uint16_t
ftc_epoch_proposer(const FtcEpochState *state, uint64_t slot, uint32_t per_epoch, FtcProposer *scratch)
{
	memcpy(scratch, state->proposers, state->nproposers * sizeof(FtcProposer));
	return (uint16_t) ftc_priority_advance(scratch, state->nproposers, slot % per_epoch + 1);
}

/*-------------------------------------------------------------------------
 *
 * test_epoch.c
 *	  Tests of epoch.c and proposing.c: sets over time, whose turn, and who may.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "committee.h"
#include "epoch.h"
#include "mutate.h"
#include "proposing.h"

#define PER_EPOCH 8

static FtcEpochState
empty(void)
{
	FtcEpochState state = {.set = {.capacity = FTC_VALIDATORS_MAX}};

	state.set.at = keep(FTC_VALIDATORS_MAX * sizeof(FtcValidator));
	state.proposers = keep(FTC_VALIDATORS_MAX * sizeof(FtcProposer));
	return state;
}

static FtcEpochState
first_of(uint16_t n)
{
	TestPerson	people[16];
	FtcValidators set = validators_of(0, n, people);
	FtcEpochState state = empty();
	FtcHash		genesis = hash_of("genesis", 0);

	assert_true(ftc_validators_copy(&state.set, &set));
	assert_reason(ftc_epoch_first(&state, &genesis, &ftc_hash_zero), FTC_OK);
	return state;
}

static FtcEpochChange
change_to(uint64_t epoch, uint64_t base_round, const FtcValidators *wanted)
{
	FtcEpochChange change = {.epoch = epoch,.wanted = wanted,.per_epoch = PER_EPOCH};

	change.base.point.round = base_round;
	change.base.height = base_round;
	change.base.point.id = hash_of("base", base_round);
	change.stakes = hash_of("stakes", base_round);
	return change;
}

static void
test_bytes(void **state)
{
	FtcEpochState first = first_of(4);
	uint8_t    *bytes = keep(FTC_EPOCH_LEN);
	FtcSlice	slice = ftc_slice(bytes, FTC_EPOCH_LEN);

	(void) state;
	first.record.epoch = 9;
	first.record.since = 7;
	ftc_epoch_encode(&first.record, bytes);
	check_accepted(&codec_epoch, slice);
	assert_int_equal(check_lengths(&codec_epoch, slice), 0);
	(void) check_bytes(&codec_epoch, slice);
	check_reason(&codec_epoch, with_byte(slice, 0, 2), FTC_BAD_VERSION);
	check_reason(&codec_epoch, with_byte(slice, 1, 2), FTC_BAD_KIND);
	check_reason(&codec_epoch, with_be(slice, 2, 6, 8), FTC_OUT_OF_RANGE);
	check_reason(&codec_epoch, with_be(slice, 2, (uint64_t) INT64_MAX + 1, 8), FTC_OUT_OF_RANGE);
	check_reason(&codec_epoch, with_be(slice, 18, (uint64_t) INT64_MAX + 1, 8), FTC_OUT_OF_RANGE);
}

static void
test_first(void **state)
{
	FtcEpochState first = first_of(4);
	FtcHash		genesis = hash_of("genesis", 0);
	FtcHash		hash = ftc_validators_hash(&first.set);

	(void) state;
	assert_int_equal(first.nproposers, 4);
	assert_hash_equal(&first.record.validators, &hash);
	for (int i = 0; i < 4; i++)
		assert_int_equal(first.proposers[i].priority, 0);
	first.set.handover = true;
	first.set.at[0].before = 1;
	assert_reason(ftc_epoch_first(&first, &genesis, &ftc_hash_zero), FTC_NOT_CANONICAL);
	first.set.n = 0;
	assert_true(ftc_epoch_first(&first, &genesis, &ftc_hash_zero) != FTC_OK);
}

/*
 * A change begins; while no block of its time is final it is handed over, and no
 * other change is begun; then the new set stands alone.
 */
static void
test_handover(void **state)
{
	TestPerson	people[6];
	FtcEpochState first = first_of(6);
	FtcEpochState second = empty();
	FtcEpochState third = empty();
	FtcValidators wanted = validators_of(0, 5, people);
	FtcValidators other = validators_of(0, 4, people);
	FtcEpochChange change = change_to(3, 12, &wanted);

	(void) state;
	assert_true(ftc_epoch_next(&first, &change, &second));
	assert_true(second.set.handover);
	assert_int_equal(second.record.since, 3);
	assert_int_equal(second.set.n, 6);
	assert_int_equal(second.nproposers, 5);
	/* a block of epoch 2 is final by then: from before the change */
	change = change_to(4, 23, &other);
	assert_true(ftc_epoch_next(&second, &change, &third));
	assert_true(third.set.handover);
	assert_true(ftc_validators_equal(&third.set, &second.set));
	assert_int_equal(third.record.since, 3);
	/* one of epoch 3: handed over, and the next change begins at once */
	change = change_to(5, 24, NULL);
	assert_true(ftc_epoch_next(&second, &change, &third));
	assert_true(ftc_validators_equal(&third.set, &wanted));
	assert_int_equal(third.record.since, 3);
	change = change_to(5, 24, &other);
	assert_true(ftc_epoch_next(&second, &change, &third));
	assert_true(third.set.handover);
	assert_int_equal(third.record.since, 5);
	assert_int_equal(third.nproposers, 4);
}

/* Over many epochs turns are as if there were none: nobody gains by their ends. */
static void
test_turns(void **state)
{
	TestPerson	people[5];
	FtcEpochState now = first_of(5);
	FtcEpochState next = empty();
	FtcProposer scratch[FTC_VALIDATORS_MAX];
	FtcProposer straight[8];
	FtcValidators set = validators_of(0, 5, people);
	FtcHash		genesis = hash_of("genesis", 0);

	(void) state;
	for (uint16_t i = 0; i < 5; i++)
		now.set.at[i].weight = set.at[i].weight = 3 + 7 * (uint64_t) i;
	assert_reason(ftc_epoch_first(&now, &genesis, &ftc_hash_zero), FTC_OK);
	memcpy(straight, now.proposers, 5 * sizeof(FtcProposer));
	for (uint64_t slot = 0; slot < 20 * PER_EPOCH; slot++)
	{
		if (slot > 0 && slot % PER_EPOCH == 0)
		{
			FtcEpochChange change = change_to(slot / PER_EPOCH, 0, &set);
			FtcEpochState before = now;

			assert_true(ftc_epoch_next(&now, &change, &next));
			now = next;
			next = before;
		}
		assert_int_equal(ftc_epoch_proposer(&now, slot, PER_EPOCH, scratch),
						 ftc_priority_advance(straight, 5, 1));
	}
}

/* An idle year costs one step, and the record follows the last that there is. */
static void
test_idle(void **state)
{
	FtcEpochState first = first_of(4);
	FtcEpochState soon = empty();
	FtcEpochState late = empty();
	FtcEpochChange change = change_to(1, 0, NULL);

	(void) state;
	assert_true(ftc_epoch_next(&first, &change, &soon));
	change = change_to(UINT64_C(1000000000000), 0, NULL);
	assert_true(ftc_epoch_next(&first, &change, &late));
	assert_hash_equal(&soon.record.priorities, &late.record.priorities);
	assert_false(ftc_hash_equal(&soon.record.seed, &late.record.seed));
}

static void
test_proposers(void **state)
{
	FtcEpochState now = first_of(4);
	FtcProposer scratch[FTC_VALIDATORS_MAX];
	FtcHeader	header = {.consensus = FTC_CONSENSUS_POS};
	uint16_t	order[4];
	uint16_t	n = ftc_delegates_order(&now.set, &now.record.seed, order);

	(void) state;
	for (uint64_t slot = 0; slot < 3 * PER_EPOCH; slot++)
	{
		header.round = slot;
		header.consensus = FTC_CONSENSUS_POS;
		header.proposer = now.proposers[ftc_epoch_proposer(&now, slot, PER_EPOCH, scratch)].id;
		assert_reason(ftc_proposing_check(&header, &now, PER_EPOCH), FTC_OK);
		header.proposer.b[0] ^= 1;
		assert_reason(ftc_proposing_check(&header, &now, PER_EPOCH), FTC_WRONG_PROPOSER);
		header.consensus = FTC_CONSENSUS_DPOS;
		header.proposer = now.set.at[order[slot % n]].id;
		assert_reason(ftc_proposing_check(&header, &now, PER_EPOCH), FTC_OK);
		header.proposer = now.set.at[order[(slot + 1) % n]].id;
		assert_reason(ftc_proposing_check(&header, &now, PER_EPOCH), FTC_WRONG_PROPOSER);
	}
}

/* Each reason not to, alone. */
static void
test_may_propose(void **state)
{
	FtcSlots	slots = {.origin = 0,.length = 1000,.per_epoch = PER_EPOCH,.skew = 1};
	FtcFinality head = {.self.point.round = 4,.self.height = 4,.filled = 4};
	FtcSignState signed_for = {.slot = 4};
	FtcProposingState right = {
		.has_key = true,.synced = true,.has_entries = true,.my_turn = true,.now = 5100,.max_late = 500,
		.participation = 800,.min_participation = 330,.slots = &slots,.head = &head,.signed_for = &signed_for
	};
	FtcProposingState s;

	(void) state;
#define gives(field, value, expected) \
	(s = right, s.field = (value), assert_int_equal(ftc_proposing(&s), expected))
	gives(has_key, true, FTC_PROPOSING_NOW);
	gives(has_key, false, FTC_PROPOSING_NO_KEY);
	gives(synced, false, FTC_PROPOSING_NOT_SYNCED);
	gives(my_turn, false, FTC_PROPOSING_NOT_MY_TURN);
	gives(now, 4999, FTC_PROPOSING_TOO_EARLY);
	gives(now, 5501, FTC_PROPOSING_TOO_LATE);
	gives(now, 5500, FTC_PROPOSING_NOW);
	gives(participation, 329, FTC_PROPOSING_ALONE);
	/* what is not final yet has to be closed, and then there is peace */
	gives(has_entries, false, FTC_PROPOSING_NOW);
	head.final.height = 4;
	gives(has_entries, false, FTC_PROPOSING_RESTS);
	gives(has_entries, true, FTC_PROPOSING_NOW);
	signed_for.slot = 5;
	gives(has_entries, true, FTC_PROPOSING_SIGNED);
#undef gives
	for (int i = 0; i <= FTC_PROPOSING_COUNT; i++)
		assert_non_null(ftc_proposing_text((FtcProposing) i));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_bytes),
		test(test_first),
		test(test_handover),
		test(test_turns),
		test(test_idle),
		test(test_proposers),
		test(test_may_propose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*-------------------------------------------------------------------------
 *
 * test_validators.c
 *	  Tests of validators.c: quorums, and how sets change.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "committee.h"
#include "mutate.h"

static FtcSlice
encoded(const FtcValidators *set)
{
	size_t		len = ftc_validators_encode(set, NULL, 0);
	uint8_t    *bytes = keep(len);

	assert_int_equal(ftc_validators_encode(set, bytes, len), len);
	return ftc_slice(bytes, len);
}

static FtcValidators
room(uint16_t capacity)
{
	FtcValidators set = {.capacity = capacity,.at = keep(FTC_VALIDATORS_MAX * sizeof(FtcValidator))};

	return set;
}

static FtcWeight
weights(uint64_t weight, uint64_t before)
{
	FtcWeight	both = {weight, before};

	return both;
}

static void
test_bytes(void **state)
{
	TestCommittee *c = committee_of(3);
	FtcSlice	bytes = encoded(&c->set);

	(void) state;
	check_accepted(&codec_validators, bytes);
	assert_int_equal(check_lengths(&codec_validators, bytes), 0);
	assert_true(check_bytes(&codec_validators, bytes) > 0);
	check_reason(&codec_validators, with_byte(bytes, 0, 2), FTC_BAD_VERSION);
	check_reason(&codec_validators, with_byte(bytes, 1, 18), FTC_BAD_KIND);
	check_reason(&codec_validators, with_byte(bytes, 2, 3), FTC_BAD_KIND);
	check_reason(&codec_validators, with_byte(bytes, 3, 2), FTC_NOT_CANONICAL);
	/* nobody hands over, but somebody had a weight; and the other way round */
	check_reason(&codec_validators, with_be(bytes, 6 + 73, 1, 8), FTC_NOT_CANONICAL);
	check_reason(&codec_validators, with_byte(bytes, 3, 1), FTC_OUT_OF_RANGE);
	check_reason(&codec_validators, with_be(bytes, 6 + 65, 0, 8), FTC_NOT_CANONICAL);
	check_reason(&codec_validators, with_be(bytes, 6 + 65, FTC_PRIORITY_WEIGHT_MAX - 2, 8), FTC_OK);
	check_reason(&codec_validators, with_be(bytes, 6 + 65, FTC_PRIORITY_WEIGHT_MAX - 1, 8), FTC_OUT_OF_RANGE);
	check_reason(&codec_validators, with_byte(bytes, 6 + 32, 2), FTC_BAD_KEY);
	check_reason(&codec_validators, with_byte(bytes, 6, 0xff), FTC_NOT_CANONICAL);
}

/* Strictly more: of n equal ones, how many it takes. */
static void
test_quorum(void **state)
{
	(void) state;
	for (uint16_t n = 1; n <= 100; n++)
	{
		TestCommittee *c = committee_of(n);

		for (uint64_t votes = 0; votes <= n; votes++)
		{
			FtcWeight	weight = {.weight = votes};

			c->set.quorum = FTC_QUORUM_TWO_THIRDS;
			assert_int_equal(ftc_validators_is_quorum(&c->set, weight), 3 * votes > 2 * (uint64_t) n);
			c->set.quorum = FTC_QUORUM_MAJORITY;
			assert_int_equal(ftc_validators_is_quorum(&c->set, weight), 2 * votes > n);
		}
		keep_free();
	}
}

/* While a set is handed over it takes both quorums. */
static void
test_joint_quorum(void **state)
{
	TestCommittee *c = committee_of(6);

	(void) state;
	c->set.handover = true;
	for (int i = 0; i < 6; i++)
	{
		c->set.at[i].weight = i < 3 ? 0 : 1;
		c->set.at[i].before = i < 4 ? 1 : 0;
	}
	assert_reason(ftc_validators_check(&c->set), FTC_OK);
	assert_false(ftc_validators_is_quorum(&c->set, weights(3, 2)));
	assert_false(ftc_validators_is_quorum(&c->set, weights(2, 4)));
	assert_true(ftc_validators_is_quorum(&c->set, weights(3, 3)));
	ftc_validators_settle(&c->set);
	assert_int_equal(c->set.n, 3);
	assert_reason(ftc_validators_check(&c->set), FTC_OK);
	assert_true(ftc_validators_is_quorum(&c->set, weights(3, 0)));
}

/* One member alone cannot grow by thirds, but when he has signed for it. */
static void
test_ordinary_start(void **state)
{
	TestPerson	people[3];
	TestCommittee *c = committee_of(1);
	FtcValidators wanted = validators_of(0, 2, people);
	FtcValidators next = room(FTC_VALIDATORS_MAX);

	(void) state;
	assert_true(ftc_validators_is_alone(&c->set));
	assert_true(ftc_validators_step(&c->set, &wanted, false, &next));
	assert_true(ftc_validators_equal(&next, &c->set));
	assert_true(ftc_validators_step(&c->set, &wanted, true, &next));
	assert_true(next.handover);
	assert_false(ftc_validators_is_alone(&next));
	/* both new ones, and the only old one */
	assert_false(ftc_validators_is_quorum(&next, weights(2, 0)));
	assert_true(ftc_validators_is_quorum(&next, weights(2, 1)));
	ftc_validators_settle(&next);
	assert_true(ftc_validators_equal(&next, &wanted));
}

/* Nothing is changed by what is there already, and what has no room changes nothing. */
static void
test_no_change(void **state)
{
	TestPerson	people[8];
	TestCommittee *c = committee_of(4);
	FtcValidators wanted = validators_of(0, 8, people);
	FtcValidators next = room(FTC_VALIDATORS_MAX);
	FtcValidators small = room(4);

	(void) state;
	assert_true(ftc_validators_step(&c->set, &c->set, false, &next));
	assert_true(ftc_validators_equal(&next, &c->set));
	assert_false(ftc_validators_step(&c->set, &wanted, true, &small));
	assert_true(ftc_validators_equal(&small, &c->set));
	wanted.n = 0;
	assert_false(ftc_validators_step(&c->set, &wanted, true, &next));
	assert_true(ftc_validators_equal(&next, &c->set));
	/* another key alone is a change */
	wanted = validators_of(0, 4, people);
	wanted.at[1].key = person(77).key;
	assert_true(ftc_validators_step(&c->set, &wanted, false, &next));
	assert_true(next.handover);
	assert_memory_equal(next.at[1].key.b, person(77).key.b, FTC_KEY_LEN);
	assert_int_equal(next.at[1].before, 1);
}

/*
 * From any set to any other in steps, each of a third at most; and whoever certified
 * before and whoever certifies now have more than a third of the old weight in common.
 */
static void
test_steps(void **state)
{
	TestRandom	random = random_from(8);

	(void) state;
	for (int round = 0; round < 200; round++)
	{
		TestPerson	people[24];
		uint16_t	n = (uint16_t) (4 + random_below(&random, 9));
		FtcValidators set = validators_of(0, n, people);
		FtcValidators wanted = validators_of(random_below(&random, 12), (uint16_t) (4 + random_below(&random, 9)), people);
		FtcValidators next = room(FTC_VALIDATORS_MAX);
		int			steps = 0;

		for (uint16_t i = 0; i < set.n; i++)
			set.at[i].weight = 3 + random_below(&random, 100);
		for (uint16_t i = 0; i < wanted.n; i++)
			wanted.at[i].weight = 3 + random_below(&random, 100);
		while (!ftc_validators_equal(&set, &wanted))
		{
			uint64_t	total = ftc_validators_total(&set).weight;
			uint64_t	taken = 0;
			uint64_t	added = 0;

			assert_true(ftc_validators_step(&set, &wanted, false, &next));
			assert_true(next.handover);
			assert_reason(ftc_validators_check(&next), FTC_OK);
			assert_int_equal(ftc_validators_total(&next).before, total);
			for (uint16_t i = 0; i < next.n; i++)
			{
				taken += next.at[i].before > next.at[i].weight ? next.at[i].before - next.at[i].weight : 0;
				added += next.at[i].before < next.at[i].weight ? next.at[i].weight - next.at[i].before : 0;
			}
			assert_true(taken <= total / 3 && added <= total / 3);
			ftc_validators_settle(&next);
			assert_true(ftc_validators_copy(&set, &next));
			assert_true(++steps < 100);
		}
		keep_free();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_bytes),
		test(test_quorum),
		test(test_joint_quorum),
		test(test_ordinary_start),
		test(test_no_change),
		test(test_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

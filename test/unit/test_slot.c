/*-------------------------------------------------------------------------
 *
 * test_slot.c
 *	  Tests of slot.c: slots, epochs, and whose clock is wrong.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "slot.h"

static const FtcSlots slots = {.origin = 1000,.length = 10,.per_epoch = 4,.skew = 2};

static void
test_arithmetic(void **state)
{
	(void) state;
	assert_int_equal(ftc_slot_at(&slots, 0), 0);
	assert_int_equal(ftc_slot_at(&slots, 1009), 0);
	assert_int_equal(ftc_slot_at(&slots, 1010), 1);
	assert_int_equal(ftc_slot_start(&slots, 3), 1030);
	assert_int_equal(ftc_slot_epoch(&slots, 7), 1);
	assert_int_equal(ftc_slot_epoch(&slots, 8), 2);
	assert_int_equal(ftc_epoch_first_slot(&slots, 2), 8);
	assert_true(ftc_slot_start(&slots, UINT64_MAX / 2) == UINT64_MAX);
	assert_true(ftc_epoch_first_slot(&slots, UINT64_MAX / 2) == UINT64_MAX);
	for (uint64_t slot = 0; slot < 100; slot++)
	{
		assert_int_equal(ftc_slot_at(&slots, ftc_slot_start(&slots, slot)), slot);
		assert_int_equal(ftc_slot_at(&slots, ftc_slot_start(&slots, slot + 1) - 1), slot);
	}
}

static void
test_check(void **state)
{
	FtcSlots	other;

	(void) state;
	assert_reason(ftc_slots_check(&slots), FTC_OK);
#define bad(field, value) \
	(other = slots, other.field = (value), assert_reason(ftc_slots_check(&other), FTC_OUT_OF_RANGE))
	bad(length, 0);
	bad(per_epoch, 0);
	bad(skew, 0);
	bad(skew, FTC_SKEW_SLOTS_MAX + 1);
	bad(origin, (uint64_t) FTC_TIME_MAX + 1);
	bad(length, (uint64_t) FTC_TIME_MAX + 1);
#undef bad
}

/* A slot is taken from skew slots ahead of it on, and its time is within it. */
static void
test_has_come(void **state)
{
	(void) state;
	assert_reason(ftc_slot_has_come(&slots, 5, 1050, 1030), FTC_OK);
	assert_reason(ftc_slot_has_come(&slots, 5, 1059, 1030), FTC_OK);
	assert_reason(ftc_slot_has_come(&slots, 5, 1050, 1029), FTC_TIME_TOO_LATE);
	assert_reason(ftc_slot_has_come(&slots, 5, 1060, 2000), FTC_BAD_ROUND);
	assert_reason(ftc_slot_has_come(&slots, 5, 1049, 2000), FTC_BAD_ROUND);
	assert_reason(ftc_slot_has_come(&slots, 0, 999, 2000), FTC_BAD_ROUND);
	assert_reason(ftc_slot_has_come(&slots, FTC_SLOT_MAX + 1, 1050, 2000), FTC_BAD_ROUND);
	assert_int_equal(ftc_slot_most(&slots, 1030), 5);

	/*
	 * a clock from before the origin does not take the first slots for
	 * granted
	 */
	assert_reason(ftc_slot_has_come(&slots, 1, 1010, 900), FTC_TIME_TOO_LATE);
	assert_int_equal(ftc_slot_most(&slots, 900), 0);
}

/* One clock of four is an hour ahead: it is seen, and it alone says that it is wrong. */
static void
test_clocks(void **state)
{
	int64_t		hour = INT64_C(3600000000);
	uint64_t	bound = 5000000;
	int64_t		clocks[] = {0, 20000, -30000, hour};
	int64_t		median;

	(void) state;
	for (int me = 0; me < 4; me++)
	{
		FtcClockSight sights[3];
		int			n = 0;

		for (int i = 0; i < 4; i++)
			if (i != me)
				sights[n++] = (FtcClockSight)
			{
				clocks[i] - clocks[me], 1
			};
		assert_int_equal(ftc_clock_judge(sights, 3, 4, bound, &median),
						 me == 3 ? FTC_CLOCKS_OWN_IS_WRONG : FTC_CLOCKS_AGREE);
		for (int i = 0; i < 4; i++)
			if (i != me)
				assert_int_equal(ftc_clock_is_off(clocks[i] - clocks[me], median, bound), i == 3);
	}
}

static void
test_clock_liars(void **state)
{
	FtcClockSight sights[] = {{INT64_MAX, 30}, {0, 35}, {5, 35}};
	int64_t		median = 77;

	(void) state;
	assert_int_equal(ftc_clock_judge(sights, 3, 100, 1000, &median), FTC_CLOCKS_AGREE);
	assert_int_equal(median, 5);
	/* who was not heard does not count, and half must have been */
	sights[0] = (FtcClockSight)
	{
		INT64_MIN, 0
	};
	sights[1].weight = sights[2].weight = 25;
	assert_int_equal(ftc_clock_judge(sights, 3, 100, 1000, &median), FTC_CLOCKS_UNKNOWN);
	assert_int_equal(ftc_clock_judge(sights, 3, 99, 1000, &median), FTC_CLOCKS_AGREE);
	assert_int_equal(ftc_clock_judge(sights, 0, 0, 1000, &median), FTC_CLOCKS_UNKNOWN);
	assert_true(ftc_clock_is_off(INT64_MIN, INT64_MAX, UINT64_MAX - 1));
	assert_false(ftc_clock_is_off(INT64_MIN, INT64_MAX, UINT64_MAX));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_arithmetic),
		test(test_check),
		test(test_has_come),
		test(test_clocks),
		test(test_clock_liars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

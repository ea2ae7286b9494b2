/*-------------------------------------------------------------------------
 *
 * test_health.c
 *	  Tests of health.c: who is there is never out, and who is not is, in time.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "health.h"

#define SECOND UINT64_C(1000000)

static const FtcHealthLimits limits = {.heartbeat = 2 * SECOND,.down = 10 * SECOND,.grace = 600 * SECOND};

static void
look(FtcHealth *health, uint64_t now)
{
	ftc_health_look(health, &limits, false, now);
}

/* From life to out and back, with the moments at which it changes. */
static void
test_life(void **state)
{
	FtcHealth	health = {0};
	uint64_t	now = SECOND;

	(void) state;
	look(&health, now);
	assert_int_equal(health.state, FTC_HEALTH_UNKNOWN);
	for (int i = 0; i < 100; i++, now += 2 * SECOND)
	{
		ftc_health_hear(&health, now);
		look(&health, now + SECOND);
		assert_int_equal(health.state, i == 0 && now == SECOND ? FTC_HEALTH_UNKNOWN : FTC_HEALTH_UP);
	}
	now = health.heard_at;
	/* it was always heard after 2 s: 4 are suspicious, 10 too many */
	assert_in_range(ftc_health_suspicion(&health, &limits), now + 4 * SECOND, now + 5 * SECOND);
	look(&health, ftc_health_suspicion(&health, &limits) - 1);
	assert_int_equal(health.state, FTC_HEALTH_UP);
	look(&health, ftc_health_suspicion(&health, &limits));
	assert_int_equal(health.state, FTC_HEALTH_SUSPECT);
	look(&health, now + 10 * SECOND - 1);
	assert_int_equal(health.state, FTC_HEALTH_SUSPECT);
	look(&health, now + 10 * SECOND);
	assert_int_equal(health.state, FTC_HEALTH_DOWN);
	look(&health, now + 610 * SECOND - 1);
	assert_int_equal(health.state, FTC_HEALTH_DOWN);
	look(&health, now + 610 * SECOND);
	assert_int_equal(health.state, FTC_HEALTH_OUT);
	/* an old sign is none */
	ftc_health_hear(&health, now);
	look(&health, now + 700 * SECOND);
	assert_int_equal(health.state, FTC_HEALTH_OUT);
	ftc_health_hear(&health, now + 701 * SECOND);
	assert_int_equal(health.state, FTC_HEALTH_RETURNED);
	look(&health, now + 702 * SECOND);
	assert_int_equal(health.state, FTC_HEALTH_RETURNED);
	ftc_health_look(&health, &limits, true, now + 702 * SECOND);
	assert_int_equal(health.state, FTC_HEALTH_UP);
}

/* A restart, or one that comes and goes, moves nothing. */
static void
test_grace(void **state)
{
	TestRandom	random = random_from(1);
	FtcHealth	health = {0};
	uint64_t	now = SECOND;
	bool		was_down = false;

	(void) state;
	for (int i = 0; i < 2000; i++)
	{
		uint64_t	until = now + SECOND + random_below(&random, 608 * SECOND);

		ftc_health_hear(&health, now);
		for (; now < until; now += 1 + random_below(&random, 5 * SECOND))
		{
			look(&health, now);
			was_down |= health.state == FTC_HEALTH_DOWN;
			assert_int_not_equal(health.state, FTC_HEALTH_OUT);
		}
	}
	assert_true(was_down);
}

/* Who is heard in time, however unevenly, is never down; who is not is out in time. */
static void
test_uneven(void **state)
{
	TestRandom	random = random_from(2);

	(void) state;
	for (int i = 0; i < 300; i++)
	{
		FtcHealth	health = {0};
		uint64_t	most = 1 + random_below(&random, 9 * SECOND);
		uint64_t	now = 1 + random_below(&random, SECOND);

		for (int j = 0; j < 100; j++)
		{
			ftc_health_hear(&health, now);
			now += 1 + random_below(&random, most);
			look(&health, now);
			if (j > 0)
				assert_true(health.state == FTC_HEALTH_UP || health.state == FTC_HEALTH_SUSPECT);
		}
		for (int j = 0; j < 1300; j++, now += SECOND / 2)
			look(&health, now);
		assert_int_equal(health.state, FTC_HEALTH_OUT);
		assert_true(health.since >= health.heard_at + limits.down + limits.grace);
	}
}

/* One that always takes long is not suspected for that. */
static void
test_learns(void **state)
{
	FtcHealth	health = {0};
	uint64_t	now = SECOND;

	(void) state;
	for (int i = 0; i < 50; i++, now += 6 * SECOND)
		ftc_health_hear(&health, now);
	look(&health, health.heard_at + 7 * SECOND);
	assert_int_equal(health.state, FTC_HEALTH_UP);
}

/* Whoever slept has not listened. */
static void
test_slept(void **state)
{
	FtcHealth	health = {0};
	uint64_t	now = SECOND;

	(void) state;
	look(&health, now);
	for (int i = 0; i < 10; i++, now += 2 * SECOND)
		ftc_health_hear(&health, now);
	now += 3600 * SECOND;
	ftc_health_slept(&health, 3600 * SECOND);
	look(&health, now);
	assert_int_equal(health.state, FTC_HEALTH_UP);
	now += 100 * SECOND;
	look(&health, now);
	assert_int_equal(health.state, FTC_HEALTH_DOWN);
	now += 3600 * SECOND;
	ftc_health_slept(&health, 3600 * SECOND);
	look(&health, now);
	assert_int_equal(health.state, FTC_HEALTH_DOWN);
}

/* After a restart of the listener only those are out who were. */
static void
test_recall(void **state)
{
	FtcHealthState none;

	(void) state;
	for (int was = 0; was < FTC_HEALTH_STATES; was++)
	{
		FtcHealth	health;
		FtcHealthState named;

		assert_true(ftc_health_of_name(ftc_health_name((FtcHealthState) was), &named));
		assert_int_equal(named, was);
		ftc_health_recall(&health, (FtcHealthState) was, 1000 * SECOND);
		look(&health, 1001 * SECOND);
		assert_int_equal(health.state, was == FTC_HEALTH_OUT || was == FTC_HEALTH_RETURNED ? was : FTC_HEALTH_UNKNOWN);
		look(&health, 1009 * SECOND);
		assert_int_not_equal(health.state, FTC_HEALTH_DOWN);
		look(&health, 1500 * SECOND);
		if (was != FTC_HEALTH_OUT)
			assert_int_equal(health.state, FTC_HEALTH_DOWN);
	}
	assert_false(ftc_health_of_name("well", &none));
}

static void
test_may_move(void **state)
{
	(void) state;
	assert_false(ftc_health_may_move(6, 0));
	assert_true(ftc_health_may_move(3, 1));
	assert_true(ftc_health_may_move(6, 2));
	assert_false(ftc_health_may_move(6, 3));
	assert_false(ftc_health_may_move(2, 1));
	assert_false(ftc_health_may_move(4, 2));
	assert_true(ftc_health_may_move(UINT32_MAX, UINT32_MAX / 3));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_life),
		test(test_grace),
		test(test_uneven),
		test(test_learns),
		test(test_slept),
		test(test_recall),
		test(test_may_move),
	};

	return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}

/*-------------------------------------------------------------------------
 *
 * test_again.c
 *	  When blocks are announced once more to a peer that seems to lack them.
 *
 *-------------------------------------------------------------------------
 */
#include "again.h"
#include "test_util.h"

#define BEAT 1000

static bool
is_due(FtcAgain *again, int head, bool lacks, bool is_new, bool has_all, uint64_t now)
{
	FtcAgainCase peer = {hash_of("head", head), lacks, is_new, has_all};

	return ftc_again_is_due(again, &peer, BEAT, now);
}

static void
test_new_epoch(void **state)
{
	FtcAgain	again = {0};

	(void) state;
	assert_false(is_due(&again, 1, false, true, true, 5000));
	assert_true(is_due(&again, 1, true, true, true, 5001));
	/* not twice at once, whatever it says */
	assert_false(is_due(&again, 2, true, true, true, 5002));
	assert_false(is_due(&again, 3, true, true, true, 6000));
	assert_true(is_due(&again, 4, true, true, true, 6001));
}

static void
test_behind(void **state)
{
	FtcAgain	again = {0};

	(void) state;
	/* at first what it lacks is on its way */
	assert_false(is_due(&again, 1, true, false, true, 5000));
	assert_true(is_due(&again, 1, true, false, true, 6000));
	/* it goes forward */
	assert_false(is_due(&again, 2, true, false, true, 10000));
	/* not all that was announced has come */
	assert_false(is_due(&again, 2, true, false, false, 11000));
	assert_true(is_due(&again, 2, true, false, true, 12000));
}

/* Each takes twice as long as the one before, whatever the peer says, up to a bound. */
static void
test_seldom(void **state)
{
	FtcAgain	again = {0};
	uint64_t	last = 0;
	uint64_t	wait = 0;
	int			n = 0;

	(void) state;
	for (uint64_t now = BEAT; now < (uint64_t) 20000 * BEAT; now += BEAT / 2)
	{
		/* the head changes, and now and then nothing is lacking */
		if (!is_due(&again, (int) (now / 7), now / BEAT % 3 != 0, true, true, now))
			continue;
		n++;
		if (last > 0)
		{
			assert_true(now - last >= wait);
			assert_true(now - last <= wait + 3 * BEAT);
			wait = wait < (uint64_t) 2048 * BEAT ? 2 * wait : wait;
		}
		else
			wait = BEAT;
		last = now;
	}
	assert_in_range(n, 18, 24);
}

static void
test_forgotten(void **state)
{
	FtcAgain	again = {0};
	uint64_t	now = BEAT;

	(void) state;
	for (int i = 0; i < 5; i++, now += 100 * BEAT)
		(void) is_due(&again, 1, true, true, true, now);
	/* so long after it is as if nothing had been */
	now += 100 * BEAT;
	assert_true(is_due(&again, 1, true, true, true, now));
	assert_false(is_due(&again, 1, true, true, true, now + BEAT - 1));
	assert_true(is_due(&again, 1, true, true, true, now + BEAT));
	/* but not while it is needed all the time */
	assert_false(is_due(&again, 1, true, true, true, now + 2 * BEAT));
	assert_true(is_due(&again, 1, true, true, true, now + 3 * BEAT));
	for (int i = 4; i < 7; i++)
		assert_false(is_due(&again, 1, true, true, true, now + (uint64_t) i * BEAT));
	assert_true(is_due(&again, 1, true, true, true, now + 7 * BEAT));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_new_epoch),
		test(test_behind),
		test(test_seldom),
		test(test_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

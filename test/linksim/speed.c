/*-------------------------------------------------------------------------
 *
 * speed.c
 *	  How much gets through a path that loses calls, against what the path could
 *	  carry: all that is to be sent is there from the start.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

#define RUNS 20
#define MESSAGES (LOG_MAX - 3)
#define RATE 10.0				/* bytes a us */
#define DELAY (10 * MS)

static Settings
settings_for(uint64_t seed, uint32_t loss)
{
	Settings	s = {.seed = seed};

	s.users = true;
	s.messages = s.batch = MESSAGES;
	s.append_mean = 1;
	s.message_bytes = 64 * 1024;
	s.call_bytes = 64 * 1024;
	s.delay_min = s.delay_max = DELAY;
	s.rate = RATE;
	s.work = 100;
	s.loss = loss;
	s.fault[FAULT_LOSS] = loss > 0;
	s.duration = 600 * SECOND;
	return s;
}

/* The share of the path that is used, in permille; 0 if something is wrong. */
static uint64_t
measure(uint32_t loss)
{
	double		bytes = 0;
	double		took = 0;

	for (uint64_t seed = 1; seed <= RUNS; seed++)
	{
		Settings	s = settings_for(seed, loss);
		Result		result = run_seed(&s, false);

		if (!result.passed)
		{
			printf("# %s\n", result.failure);
			return 0;
		}
		bytes += (double) result.bytes;
		took += (double) result.drained_at;
	}
	return (uint64_t) (1000 * bytes / RATE / took);
}

void
speed_run(int *passed, int *failed)
{
	static const struct
	{
		uint32_t	loss;		/* permille */
		uint64_t	least;		/* permille of the path */
	}			cases[] = {{0, 900}, {1, 900}, {10, 750}, {50, 500}};

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		uint64_t	share = measure(cases[i].loss);
		bool		ok = share >= cases[i].least;

		printf("%sok - %.1f %% of calls and answers lost: %.1f %% of the path is used, at least %.1f %%\n", ok ? "" : "not ",
			   cases[i].loss / 10.0, (double) share / 10, (double) cases[i].least / 10);
		*passed += ok;
		*failed += !ok;
	}
}

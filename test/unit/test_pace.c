/*-------------------------------------------------------------------------
 *
 * test_pace.c
 *	  Tests of pace.c: a line is used well, and what is small does not wait long.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "chunk.h"
#include "pace.h"

#define AIM UINT64_C(250000)
#define SECOND UINT64_C(1000000)
#define CALLS 4

/*
 * A line that carries so many bytes a second one after the other, to somebody who is
 * so far away; and the calls under way, answered in order.
 */
typedef struct Line
{
	uint64_t	rate;
	uint64_t	trip;			/* there and back, us */
	uint64_t	now;
	uint64_t	free_at;		/* when it has carried what it has to */
	FtcPace		pace;
	int			n;
	struct
	{
		uint64_t	size;
		uint64_t	asked_at;
		uint64_t	done_at;
	}			call[CALLS];
	uint64_t	carried;
	uint64_t	longest;		/* that a call took */
} Line;

static void
ask(Line *line, uint64_t size)
{
	uint64_t	begins = line->now + line->trip / 2;

	if (begins < line->free_at)
		begins = line->free_at;
	line->free_at = begins + size * SECOND / line->rate;
	if (line->n == 0)
		ftc_pace_begin(&line->pace, line->now);
	line->call[line->n].size = size;
	line->call[line->n].asked_at = line->now;
	line->call[line->n++].done_at = line->free_at + line->trip / 2;
}

static void
take(Line *line)
{
	uint64_t	took;

	if (line->call[0].done_at > line->now)
		line->now = line->call[0].done_at;
	took = line->now - line->call[0].asked_at;
	ftc_pace_came(&line->pace, line->call[0].size, took, line->n == 1, AIM, line->now);
	line->carried += line->call[0].size;
	if (took > line->longest)
		line->longest = took;
	line->n--;
	memmove(&line->call[0], &line->call[1], (size_t) line->n * sizeof(line->call[0]));
}

/* As the courier does it. */
static void
carry(Line *line, uint64_t until)
{
	line->carried = line->longest = 0;
	while (line->now < until)
	{
		uint64_t	size = ftc_pace_budget(&line->pace, AIM) / CALLS;

		if (size < FTC_CHUNK_MIN)
			size = FTC_CHUNK_MIN;
		if (size > FTC_CHUNK_MAX)
			size = FTC_CHUNK_MAX;
		while (line->n < CALLS)
			ask(line, size);
		take(line);
	}
}

static Line
line_of(uint64_t rate, uint64_t trip)
{
	Line		line = {.rate = rate,.trip = trip,.now = 1000};

	/* a hello tells how far away it is */
	ftc_pace_took(&line.pace, trip);
	return line;
}

static void
check_line(uint64_t rate, uint64_t trip)
{
	Line		line = line_of(rate, trip);
	uint64_t	aim = 2 * trip > AIM ? 2 * trip : AIM;
	uint64_t	smallest = CALLS * FTC_CHUNK_MIN * SECOND / rate;
	uint64_t	begun;

	carry(&line, 60 * SECOND);
	begun = line.now;
	carry(&line, begun + 60 * SECOND);
	/* nearly what it can carry, but for where chunks cannot be so large */
	assert_true(line.carried * SECOND / (line.now - begun) >= rate * 85 / 100 ||
				CALLS * FTC_CHUNK_MAX * SECOND / (trip + 1) < rate);

	/*
	 * what is asked now is answered within about the aim, or after the
	 * smallest chunks
	 */
	assert_true(line.longest <= trip + aim * 3 / 2 + smallest);
}

static void
test_lines(void **state)
{
	static const uint64_t rates[] = {20000, 100000, 512000, 2000000, 12500000, 125000000, 1000000000};
	static const uint64_t trips[] = {100, 5000, 50000, 200000, 600000};

	(void) state;
	for (size_t i = 0; i < lengthof(rates); i++)
		for (size_t j = 0; j < lengthof(trips); j++)
			check_line(rates[i], trips[j]);
}

/* A line gets narrower, and wider again. */
static void
test_change(void **state)
{
	Line		line = line_of(10000000, 20000);

	(void) state;
	carry(&line, 20 * SECOND);
	line.rate = 200000;
	/* what was under way at the old rate has to pass */
	carry(&line, line.now + 60 * SECOND);
	carry(&line, line.now + 30 * SECOND);
	assert_true(line.longest <= SECOND);
	line.rate = 10000000;
	carry(&line, line.now + 5 * SECOND);
	carry(&line, line.now + 20 * SECOND);
	assert_true(line.carried >= 10000000 * UINT64_C(20) * 85 / 100);
}

/* What comes now and then, and little of it, says nothing of what a line can carry. */
static void
test_little(void **state)
{
	Line		line = line_of(10000000, 80000);
	uint64_t	budget;

	(void) state;
	carry(&line, 20 * SECOND);
	while (line.n > 0)
		take(&line);
	budget = ftc_pace_budget(&line.pace, AIM);
	for (int i = 0; i < 1000; i++)
	{
		line.now += SECOND;
		ask(&line, 500);
		take(&line);
	}
	assert_true(ftc_pace_budget(&line.pace, AIM) >= budget);
}

/* Nor is it so before anything else is known; but what is much is, however short it takes. */
static void
test_begin(void **state)
{
	Line		line = line_of(100000000, 1000);

	(void) state;
	for (int i = 0; i < 100; i++)
	{
		line.now += SECOND;
		ask(&line, 500);
		take(&line);
	}
	assert_int_equal(ftc_pace_budget(&line.pace, AIM), FTC_PACE_START);
	line.now += SECOND;
	ask(&line, 256 * 1024);
	take(&line);
	assert_true(ftc_pace_budget(&line.pace, AIM) >= 8 * 1024 * 1024);
}

/* Nothing that is said to have come is too much, nor any time too short or long. */
static void
test_extremes(void **state)
{
	TestRandom	random = random_from(3);
	FtcPace		pace = {0};

	(void) state;
	assert_int_equal(ftc_pace_budget(&pace, AIM), FTC_PACE_START);
	for (int i = 0; i < 100000; i++)
	{
		uint64_t	now = random_any(&random);

		ftc_pace_came(&pace, random_any(&random), random_any(&random) >> 1, random_below(&random, 2) == 0,
					  random_any(&random) >> 1, now);
		assert_true(ftc_pace_budget(&pace, random_any(&random)) >= FTC_PACE_MIN);
		if (random_below(&random, 10) == 0)
			ftc_pace_begin(&pace, random_any(&random));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_lines),
		test(test_change),
		test(test_little),
		test(test_begin),
		test(test_extremes),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}

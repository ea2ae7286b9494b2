/*-------------------------------------------------------------------------
 *
 * test_priority.c
 *	  Tests of priority.c, with CometBFT's own cases.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>

#include "priority.h"

#define MOST 16

/* An id that is ordered as its name is. */
static FtcHash
named(const char *name)
{
	FtcHash		id = {{0}};

	memcpy(id.b, name, strlen(name) < FTC_HASH_LEN ? strlen(name) : FTC_HASH_LEN);
	return id;
}

/* NAME:WEIGHT[:PRIORITY]/... */
static uint32_t
parse(const char *list, FtcProposer *proposers)
{
	char		copy[1024];
	char	   *save = NULL;
	uint32_t	n = 0;

	memset(proposers, 0, MOST * sizeof(*proposers));
	if (strcmp(list, "-") == 0)
		return 0;
	snprintf(copy, sizeof(copy), "%s", list);
	for (char *item = strtok_r(copy, "/", &save); item != NULL; item = strtok_r(NULL, "/", &save))
	{
		char	   *weight = strchr(item, ':');
		char	   *priority = strchr(weight + 1, ':');

		*weight = '\0';
		proposers[n].id = named(item);
		proposers[n].weight = strtoll(weight + 1, NULL, 10);
		proposers[n++].priority = priority != NULL ? strtoll(priority + 1, NULL, 10) : 0;
	}
	return n;
}

/* The set as CometBFT makes it: all are new, and the first turn is taken. */
static void
found(FtcProposer *proposers, uint32_t *n, const FtcProposer *list, uint32_t count)
{
	*n = 0;
	assert_reason(ftc_priority_update(proposers, n, MOST, list, count), FTC_OK);
	(void) ftc_priority_increment(proposers, *n, 1);
}

static void
check_increment(TestLines *lines)
{
	FtcProposer proposers[MOST];
	uint32_t	n = parse(lines->field[2], proposers);
	uint32_t	whose = ftc_priority_increment(proposers, n, strtoull(lines->field[1], NULL, 10));
	char	   *at = lines->field[3];

	for (uint32_t i = 0; i < n; i++)
	{
		assert_true(strtoll(at, &at, 10) == proposers[i].priority);
		at += *at == '/';
	}
	if (strcmp(lines->field[4], "-") != 0)
	{
		FtcHash		expected = named(lines->field[4]);

		assert_hash_equal(&proposers[whose].id, &expected);
	}
}

/* Centred: the sum is less than one each; scaled: within two weights of all. */
static void
check_scaled(const FtcProposer *proposers, uint32_t n)
{
	__int128	sum = 0;
	int64_t		total = ftc_priority_total(proposers, n);

	for (uint32_t i = 0; i < n; i++)
	{
		sum += proposers[i].priority;
		for (uint32_t j = 0; j < n; j++)
			assert_true((__int128) proposers[i].priority - proposers[j].priority <= 2 * (__int128) total);
	}
	assert_true(sum > -(__int128) n && sum < (__int128) n);
}

static void
check_update(TestLines *lines)
{
	FtcProposer start[MOST];
	FtcProposer changes[MOST];
	FtcProposer expected[MOST];
	FtcProposer proposers[MOST];
	FtcProposer before[MOST];
	uint32_t	n;
	uint32_t	old;
	uint32_t	nexpected;
	uint32_t	nchanges = parse(lines->field[2], changes);

	found(proposers, &n, start, parse(lines->field[1], start));
	old = n;
	memcpy(before, proposers, sizeof(before));
	if (strcmp(lines->field[3], "overflow") == 0)
	{
		assert_reason(ftc_priority_update(proposers, &n, MOST, changes, nchanges), FTC_OUT_OF_RANGE);
		assert_int_equal(n, old);
		assert_memory_equal(before, proposers, n * sizeof(*proposers));
		return;
	}
	assert_reason(ftc_priority_update(proposers, &n, MOST, changes, nchanges), FTC_OK);
	nexpected = parse(lines->field[3], expected);
	assert_int_equal(n, nexpected);
	for (uint32_t i = 0; i < n; i++)
	{
		assert_hash_equal(&proposers[i].id, &expected[i].id);
		assert_true(proposers[i].weight == expected[i].weight);
	}
	if (nchanges > 0)
		check_scaled(proposers, n);
}

static void
check_proposers(TestLines *lines, FtcProposer *proposers, uint32_t n, uint32_t *whose)
{
	for (int i = 1; i < lines->nfields; i++)
	{
		FtcHash		expected = named(lines->field[i]);

		assert_hash_equal(&proposers[*whose].id, &expected);
		*whose = ftc_priority_advance(proposers, n, 1);
	}
}

static void
test_vectors(void **state)
{
	TestLines	lines = lines_open("cometbft_priorities.txt");
	FtcProposer proposers[MOST];
	uint32_t	n = 0;
	uint32_t	whose = 0;
	int			turns = 0;
	int			cases = 0;

	(void) state;
	while (lines_next(&lines))
	{
		const char *what = lines.field[0];

		if (strcmp(what, "validator") == 0)
		{
			FtcProposer one = {named(lines.field[1]), strtoll(lines.field[2], NULL, 10), 0};

			assert_reason(ftc_priority_update(proposers, &n, MOST, &one, 1), FTC_OK);
			/* CometBFT's set is made at once: then all begin at zero */
			for (uint32_t i = 0; i < n; i++)
				proposers[i].priority = 0;
		}
		else if (strcmp(what, "proposers") == 0)
		{
			if (turns == 0)
				whose = ftc_priority_advance(proposers, n, 1);
			check_proposers(&lines, proposers, n, &whose);
			turns += lines.nfields - 1;
		}
		else if (strcmp(what, "increment") == 0)
			check_increment(&lines);
		else
			check_update(&lines);
		cases++;
	}
	lines_close(&lines);
	assert_int_equal(turns, 99);
	assert_int_equal(cases, 3 + 9 + 18 + 19);
}

/* TestProposerSelection2: order of ids; enough for two turns in a row; shares. */
static void
test_selection2(void **state)
{
	static const struct
	{
		const char *list;
		const char *turns;
	}			cases[] = {
		{"a:100/b:100/c:100", "abcabcabcabcabc"},
		{"a:100/b:100/c:400", "ca"},
		{"a:100/b:100/c:401", "cca"},
	};
	FtcProposer start[MOST];
	FtcProposer proposers[MOST];
	uint32_t	n;
	uint32_t	turns[3] = {0};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		n = 0;
		assert_reason(ftc_priority_update(proposers, &n, MOST, start, parse(cases[i].list, start)), FTC_OK);
		for (const char *turn = cases[i].turns; *turn != '\0'; turn++)
			assert_int_equal(proposers[ftc_priority_advance(proposers, n, 1)].id.b[0], *turn);
	}
	n = 0;
	assert_reason(ftc_priority_update(proposers, &n, MOST, start, parse("a:4/b:5/c:3", start)), FTC_OK);
	for (int i = 0; i < 120; i++)
		turns[ftc_priority_advance(proposers, n, 1)]++;
	assert_int_equal(turns[0], 40);
	assert_int_equal(turns[1], 50);
	assert_int_equal(turns[2], 30);
}

/* TestProposerSelection3: with equal weights in the same order for ever, however many at a time. */
static void
test_selection3(void **state)
{
	TestRandom	random = random_from(3);
	FtcProposer start[MOST];
	FtcProposer proposers[MOST];
	uint32_t	n = 0;
	uint64_t	turn = 0;

	(void) state;
	assert_reason(ftc_priority_update(proposers, &n, MOST, start, parse("a:1/b:1/c:1/d:1", start)), FTC_OK);
	for (int i = 0; i < 10000; i++)
	{
		uint64_t	times = 1 + random_below(&random, 4);

		turn += times;
		assert_int_equal(ftc_priority_increment(proposers, n, times), (turn - 1) % 4);
	}
}

/* Nobody's turns differ from his share by a whole one; priorities stay in the window. */
static void
test_fairness(void **state)
{
	TestRandom	random = random_from(4);

	(void) state;
	for (int set = 0; set < 100; set++)
	{
		FtcProposer proposers[100];
		uint64_t	turns[100] = {0};
		uint32_t	n = 0;
		uint32_t	size = (uint32_t) (2 + random_below(&random, 99));
		int64_t		total;

		for (uint32_t i = 0; i < size; i++)
			proposers[i] = (FtcProposer)
		{
			{
				{
					(uint8_t) i
				}
			}, (int64_t) (1 + random_any(&random) % 1000000000), 0
		};
		n = size;
		total = ftc_priority_total(proposers, n);
		for (int slot = 1; slot <= 500; slot++)
		{
			turns[ftc_priority_advance(proposers, n, 1)]++;
			for (uint32_t i = 0; i < n; i++)
			{
				double		share = (double) slot * (double) proposers[i].weight / (double) total;

				assert_true((double) turns[i] - share < 1 && share - (double) turns[i] < 1);
			}
		}
	}
}

/* The order of changes is that of ids; whoever leaves and comes again has not gained. */
static void
test_update(void **state)
{
	FtcProposer start[MOST];
	FtcProposer changes[MOST];
	FtcProposer proposers[MOST];
	FtcProposer before[MOST];
	uint32_t	n = 0;

	(void) state;
	assert_reason(ftc_priority_update(proposers, &n, MOST, start, parse("a:10/b:10/c:10", start)), FTC_OK);
	(void) ftc_priority_advance(proposers, n, 1);
	memcpy(before, proposers, sizeof(before));
	assert_reason(ftc_priority_update(proposers, &n, MOST, changes, parse("b:1/a:1", changes)), FTC_NOT_CANONICAL);
	assert_reason(ftc_priority_update(proposers, &n, MOST, changes, parse("b:1/b:2", changes)), FTC_NOT_CANONICAL);
	assert_reason(ftc_priority_update(proposers, &n, MOST, changes, parse("x:0", changes)), FTC_NOT_A_MEMBER);
	assert_reason(ftc_priority_update(proposers, &n, MOST, changes, parse("a:-1", changes)), FTC_OUT_OF_RANGE);
	assert_reason(ftc_priority_update(proposers, &n, MOST, changes, parse("a:0/b:0/c:0", changes)), FTC_TOO_MANY);
	assert_reason(ftc_priority_update(proposers, &n, 3, changes, parse("x:1", changes)), FTC_TOO_MANY);
	assert_int_equal(n, 3);
	assert_memory_equal(before, proposers, 3 * sizeof(*proposers));
	/* room is made first */
	assert_reason(ftc_priority_update(proposers, &n, 3, changes, parse("a:0/x:1", changes)), FTC_OK);
	assert_int_equal(n, 3);
	assert_reason(ftc_priority_update(proposers, &n, 4, changes, parse("a:10", changes)), FTC_OK);
	for (uint32_t i = 1; i < n; i++)
		assert_true(proposers[0].priority < proposers[i].priority);
}

static void
test_hash(void **state)
{
	FtcProposer proposers[MOST];
	uint32_t	n = parse("a:1:5/b:2:-5", proposers);
	FtcHash		hash = ftc_priority_hash(proposers, n);
	FtcHash		other;

	(void) state;
	proposers[0].weight = 7;
	other = ftc_priority_hash(proposers, n);
	assert_hash_equal(&hash, &other);
	proposers[1].priority = -50;
	other = ftc_priority_hash(proposers, n);
	assert_false(ftc_hash_equal(&hash, &other));
	other = ftc_priority_hash(proposers, n - 1);
	assert_false(ftc_hash_equal(&hash, &other));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_vectors),
		test(test_selection2),
		test(test_selection3),
		test(test_fairness),
		test(test_update),
		test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

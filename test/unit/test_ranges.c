/*-------------------------------------------------------------------------
 *
 * test_ranges.c
 *	  Tests of ranges.c: where two lists differ is found, and nothing else, with
 *	  few and small questions.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "ranges.h"

#define DIFFERENCES_MAX 1000

/*
 * A list of many heights that takes no memory: every height below n but for
 * some, each with an id that follows from it.
 */
typedef struct List
{
	uint64_t	n;
	uint64_t	without[DIFFERENCES_MAX];	/* rising */
	size_t		nwithout;
	uint64_t	other;			/* has another id at this height; UINT64_MAX:
								 * none */
	uint64_t	one_in;			/* only heights of which this is a divisor */
} List;

static FtcHash
id_of(const List *list, uint64_t height)
{
	FtcHash		id = {{0}};

	for (int i = 0; i < 8; i++)
		id.b[24 + i] = (uint8_t) (height >> (8 * i));
	id.b[0] = height == list->other;
	return id;
}

/* What the owner of the list answers. */
static FtcSlice
answer(const List *list, const FtcRangeNode *node, uint8_t *buf)
{
	FtcRanges	ranges;
	uint64_t	first = ftc_ranges_first(node);
	uint64_t	last = ftc_ranges_last(node);
	size_t		skip = 0;

	ftc_ranges_begin(&ranges, node, buf);
	for (uint64_t height = first; height < list->n && height <= last; height++)
	{
		FtcHash		id = id_of(list, height);

		while (skip < list->nwithout && list->without[skip] < height)
			skip++;
		if (height % list->one_in == 0 && (skip == list->nwithout || list->without[skip] != height))
			ftc_ranges_add(&ranges, height, &id);
	}
	return ftc_ranges_end(&ranges);
}

typedef struct Outcome
{
	uint64_t	heights[DIFFERENCES_MAX * 2];
	size_t		n;
	size_t		only_mine;
	size_t		only_theirs;
	int			calls;
	size_t		bytes;
} Outcome;

static void
note(void *arg, uint64_t height, const FtcHash *mine, const FtcHash *theirs)
{
	Outcome    *o = arg;

	assert_true(o->n < lengthof(o->heights));
	assert_true(mine != NULL || theirs != NULL);
	o->heights[o->n++] = height;
	o->only_mine += theirs == NULL;
	o->only_theirs += mine == NULL;
}

static void
compare(const List *mine, const List *theirs, Outcome *o)
{
	FtcRangeSearch search;
	FtcRangeNode nodes[FTC_RANGES_AT_ONCE];
	uint8_t    *a = keep(FTC_RANGES_ANSWER_MAX);
	uint8_t    *b = keep(FTC_RANGES_ANSWER_MAX);
	uint64_t	top = (mine->n > theirs->n ? mine->n : theirs->n) - 1;
	int			n;

	memset(o, 0, sizeof(*o));
	ftc_ranges_search(&search, keep(FTC_RANGES_STACK * sizeof(FtcRangeNode)), top);
	while ((n = ftc_ranges_next(&search, nodes)) > 0)
	{
		o->calls++;
		for (int i = 0; i < n; i++)
		{
			FtcSlice	said = answer(theirs, &nodes[i], b);

			o->bytes += said.len;
			assert_reason(ftc_ranges_take(&search, &nodes[i], answer(mine, &nodes[i], a), said, note, o), FTC_OK);
		}
	}
}

static void
test_ten_million(void **state)
{
	List		mine = {.n = 10000000,.other = UINT64_MAX,.one_in = 1};
	List		theirs = mine;
	Outcome		o;

	(void) state;
	compare(&mine, &theirs, &o);
	assert_int_equal(o.n, 0);
	assert_int_equal(o.calls, 1);

	theirs.without[theirs.nwithout++] = 7654321;
	compare(&mine, &theirs, &o);
	assert_int_equal(o.n, 1);
	assert_int_equal(o.heights[0], 7654321);
	assert_int_equal(o.only_mine, 1);
	assert_int_equal(o.calls, 3);
	assert_true(o.bytes < 16 * 1024);
	print_message("# ten million heights, one difference: %d calls, %zu bytes\n", o.calls, o.bytes);
}

static void
test_every_kind(void **state)
{
	List		all = {.n = 70000,.other = UINT64_MAX,.one_in = 1};
	List		other = all;
	List		fewer = all;
	Outcome		o;

	(void) state;
	other.other = 255;
	compare(&all, &other, &o);
	assert_int_equal(o.n, 1);
	assert_int_equal(o.heights[0], 255);
	assert_int_equal(o.only_mine + o.only_theirs, 0);
	fewer.n = 69000;
	for (int turn = 0; turn < 2; turn++)
	{
		if (turn == 0)
			compare(&all, &fewer, &o);
		else
			compare(&fewer, &all, &o);
		assert_int_equal(o.n, 1000);
		assert_int_equal(turn == 0 ? o.only_mine : o.only_theirs, 1000);
	}
}

/* Any lists, any differences: as a plain comparison finds them. */
static void
test_chance(void **state)
{
	(void) state;
	for (uint64_t seed = 1; seed <= 100; seed++)
	{
		TestRandom	random = random_from(seed);
		List		mine = {.n = 1 + random_below(&random, 200000),.other = UINT64_MAX,.one_in = 1 + random_below(&random, 5)};
		List		theirs = mine;
		uint64_t	at = 0;
		size_t		expected = 0;
		Outcome		o;

		for (int i = 0; i < 20; i++)
		{
			at += 1 + random_below(&random, 10000);
			if (random_below(&random, 2) == 0)
				mine.without[mine.nwithout++] = at;
			else
				theirs.without[theirs.nwithout++] = at;
			expected += at < mine.n && at % mine.one_in == 0;
		}
		compare(&mine, &theirs, &o);
		assert_int_equal(o.n, expected);
		for (size_t i = 0; i < o.n; i++)
			for (size_t j = 0; j < i; j++)
				assert_true(o.heights[i] != o.heights[j]);
	}
}

static void
ignore(void *arg, uint64_t height, const FtcHash *mine, const FtcHash *theirs)
{
	(void) height;
	(void) mine;
	(void) theirs;
	++*(int *) arg;
}

/* What is no answer is refused, and nothing is read beyond it. */
static void
test_refusals(void **state)
{
	FtcRangeSearch search;
	FtcRangeNode node = {1, 0};
	uint8_t    *good = keep(66);
	uint8_t    *bytes;
	int			n = 0;

	(void) state;
	ftc_ranges_search(&search, keep(FTC_RANGES_STACK * sizeof(FtcRangeNode)), 100);
	memset(good, 0, 66);
	good[33] = 1;
	assert_reason(ftc_ranges_take(&search, &node, ftc_slice(NULL, 0), ftc_slice(good, 66), ignore, &n), FTC_OK);
	assert_int_equal(n, 2);
	assert_reason(ftc_ranges_take(&search, &node, ftc_slice(NULL, 0), ftc_slice(good, 65), ignore, &n), FTC_NOT_CANONICAL);
	good[33] = 0;
	assert_reason(ftc_ranges_take(&search, &node, ftc_slice(NULL, 0), ftc_slice(good, 66), ignore, &n), FTC_NOT_CANONICAL);
	bytes = keep(257 * 33);
	memset(bytes, 0, 257 * 33);
	assert_reason(ftc_ranges_take(&search, &node, ftc_slice(NULL, 0), ftc_slice(bytes, 257 * 33), ignore, &n),
				  FTC_NOT_CANONICAL);
	assert_int_equal(n, 2);
	assert_int_equal(search.n, 1);
}

/* The stack bears the worst: everything differs. */
static void
test_everything(void **state)
{
	FtcRangeSearch search;
	FtcRangeNode nodes[FTC_RANGES_AT_ONCE];
	uint8_t    *all = keep(256 * 17);
	size_t		most = 0;
	int			n;
	int			turns = 0;
	int			leaves = 0;

	(void) state;
	for (int i = 0; i < 256; i++)
	{
		memset(all + i * 17, 1, 17);
		all[i * 17] = (uint8_t) i;
	}
	ftc_ranges_search(&search, keep(FTC_RANGES_STACK * sizeof(FtcRangeNode)), UINT64_MAX);
	assert_int_equal(search.nodes[0].level, 8);
	while (turns++ < 20000 && (n = ftc_ranges_next(&search, nodes)) > 0)
		for (int i = 0; i < n; i++)
		{
			if (nodes[i].level > 1)
				assert_reason(ftc_ranges_take(&search, &nodes[i], ftc_slice(NULL, 0), ftc_slice(all, 256 * 17), ignore, &leaves), FTC_OK);
			most = search.n > most ? search.n : most;
		}
	assert_true(most > 4096);
	assert_true(most <= FTC_RANGES_STACK);
}

/* A node may be added by its digest. */
static void
test_by_digest(void **state)
{
	List		list = {.n = 70000,.other = UINT64_MAX,.one_in = 3};
	FtcRangeNode top = {3, 0};
	uint8_t    *a = keep(FTC_RANGES_ANSWER_MAX);
	uint8_t    *b = keep(FTC_RANGES_ANSWER_MAX);
	FtcRanges	ranges;

	(void) state;
	ftc_ranges_begin(&ranges, &top, a);
	for (uint64_t i = 0; i <= 69999 >> 8; i++)
	{
		FtcRangeNode node = {1, i};
		FtcHash		digest = ftc_ranges_digest(answer(&list, &node, b));

		ftc_ranges_add_node(&ranges, 1, i, &digest);
	}
	assert_slice_equal(ftc_ranges_end(&ranges), answer(&list, &top, b));
}

static void
test_levels(void **state)
{
	static const struct
	{
		uint64_t	height;
		int			level;
	}			cases[] = {{0, 1}, {255, 1}, {256, 2}, {65535, 2}, {65536, 3}, {9999999, 3}, {UINT64_MAX >> 1, 8}};
	FtcRangeNode node = {3, 2};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
		assert_int_equal(ftc_ranges_top(cases[i].height), cases[i].level);
	assert_true(ftc_ranges_first(&node) == 2 << 24 && ftc_ranges_last(&node) == (3 << 24) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_ten_million),
		test(test_every_kind),
		test(test_chance),
		test(test_refusals),
		test(test_everything),
		test(test_by_digest),
		test(test_levels),
	};

	return cmocka_run_group_tests_name("ranges", tests, NULL, NULL);
}

/*-------------------------------------------------------------------------
 *
 * test_chunk.c
 *	  Tests of chunk.c: bodies in chunks.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>

#include "chunk.h"

#define TOTAL_MAX 64

static void
check_answer(uint64_t at, uint64_t size, int64_t total, uint64_t limit, size_t bytes, FtcReason reason)
{
	FtcChunk	asked = {at, size};

	assert_int_equal(ftc_chunk_check(&asked, total, limit, bytes), reason);
}

static void
test_answers(void **state)
{
	(void) state;
	check_answer(0, 10, 10, 100, 10, FTC_OK);
	check_answer(0, 10, 5, 100, 5, FTC_OK);
	check_answer(0, 10, 11, 100, 10, FTC_OK);
	check_answer(10, 10, 11, 100, 1, FTC_OK);
	check_answer(10, 10, 100, 100, 10, FTC_OK);
	check_answer(90, 10, 100, 100, 10, FTC_OK);
	check_answer(0, 10, 101, 100, 10, FTC_TOO_LARGE);
	check_answer(0, 10, INT64_MAX, 100, 10, FTC_TOO_LARGE);
	check_answer(0, 10, 10, 0, 10, FTC_TOO_LARGE);
	check_answer(0, 10, 0, 100, 0, FTC_OUT_OF_RANGE);
	check_answer(0, 10, -1, 100, 10, FTC_OUT_OF_RANGE);
	check_answer(0, 10, INT64_MIN, 100, 10, FTC_OUT_OF_RANGE);
	check_answer(10, 10, 10, 100, 0, FTC_OUT_OF_RANGE);
	check_answer(0, 10, 11, 100, 9, FTC_BAD_LENGTH);
	check_answer(0, 10, 11, 100, 11, FTC_BAD_LENGTH);
	check_answer(0, 10, 10, 100, 0, FTC_BAD_LENGTH);
	check_answer(10, 10, 11, 100, 10, FTC_BAD_LENGTH);
}

/* The first bytes that are in none of them, byte by byte. */
static bool
naive_gap(const FtcChunk *have, int n, uint64_t total, uint64_t most, FtcChunk *gap)
{
	bool		held[TOTAL_MAX] = {false};

	for (int i = 0; i < n; i++)
		for (uint64_t at = have[i].at; at < have[i].at + have[i].size && at < total; at++)
			held[at] = true;
	gap->at = 0;
	while (gap->at < total && held[gap->at])
		gap->at++;
	gap->size = 0;
	while (gap->at + gap->size < total && gap->size < most && !held[gap->at + gap->size])
		gap->size++;
	return gap->size > 0;
}

static int
compare(const void *a, const void *b)
{
	uint64_t	left = ((const FtcChunk *) a)->at;
	uint64_t	right = ((const FtcChunk *) b)->at;

	return left < right ? -1 : left > right;
}

/* Also ranges that overlap, are empty, or go beyond the end. */
static void
test_gaps(void **state)
{
	TestRandom	random = random_from(1);

	(void) state;
	for (int round = 0; round < 200000; round++)
	{
		FtcChunk	have[6];
		FtcChunk	gap;
		FtcChunk	expected;
		int			n = (int) random_below(&random, lengthof(have) + 1);
		uint64_t	total = random_below(&random, TOTAL_MAX + 1);
		uint64_t	most = random_below(&random, TOTAL_MAX);
		bool		found;

		for (int i = 0; i < n; i++)
		{
			have[i].at = random_below(&random, TOTAL_MAX);
			have[i].size = random_below(&random, 20);
		}
		qsort(have, (size_t) n, sizeof(FtcChunk), compare);
		found = naive_gap(have, n, total, most, &expected);
		assert_int_equal(ftc_chunk_gap(have, n, total, most, &gap), found);
		if (!found)
			continue;
		assert_int_equal(gap.at, expected.at);
		assert_int_equal(gap.size, expected.size);
		assert_false(ftc_chunk_overlaps(have, n, &gap));
	}
}

/* Whatever sizes are asked for, and whatever gets lost, all bytes come once. */
static void
test_to_the_end(void **state)
{
	TestRandom	random = random_from(2);

	(void) state;
	for (int round = 0; round < 2000; round++)
	{
		FtcChunk	have[TOTAL_MAX];
		FtcChunk	gap;
		int			n = 0;
		uint64_t	bytes = 0;
		uint64_t	total = 1 + random_below(&random, TOTAL_MAX);

		while (ftc_chunk_gap(have, n, total, 1 + random_below(&random, 20), &gap))
		{
			if (random_below(&random, 3) == 0)
			{
				/* one behind it came, which was asked for as well */
				uint64_t	behind = gap.at + gap.size;
				FtcChunk	next = {behind, 1};

				if (behind >= total || ftc_chunk_overlaps(have, n, &next))
					continue;
				gap = next;
			}
			have[n++] = gap;
			bytes += gap.size;
			qsort(have, (size_t) n, sizeof(FtcChunk), compare);
		}
		assert_int_equal(bytes, total);
	}
}

static void
test_overlaps(void **state)
{
	const FtcChunk have[] = {{10, 10}, {30, 1}};
	const FtcChunk apart[] = {{0, 10}, {20, 10}, {31, 5}};
	const FtcChunk over[] = {{0, 11}, {10, 10}, {12, 2}, {19, 1}, {5, 100}, {30, 1}};

	(void) state;
	for (size_t i = 0; i < lengthof(apart); i++)
		assert_false(ftc_chunk_overlaps(have, lengthof(have), &apart[i]));
	for (size_t i = 0; i < lengthof(over); i++)
		assert_true(ftc_chunk_overlaps(have, lengthof(have), &over[i]));
	assert_false(ftc_chunk_overlaps(NULL, 0, &over[0]));
}

static void
test_prefix(void **state)
{
	uint8_t		bytes[64];
	FtcSlice	manifest = filled('m', 20);
	FtcWriter	writer = ftc_writer(bytes, sizeof(bytes));

	(void) state;
	assert_int_equal(ftc_body_begin(&writer, FTC_BODY_FULL, manifest), 28);
	assert_int_equal(writer.len, ftc_chunk_prefix(manifest));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_answers),
		test(test_gaps),
		test(test_to_the_end),
		test(test_overlaps),
		test(test_prefix),
	};

	return cmocka_run_group_tests_name("chunk", tests, NULL, NULL);
}

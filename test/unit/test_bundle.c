/*-------------------------------------------------------------------------
 *
 * test_bundle.c
 *	  Tests of bundle.c.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "build.h"
#include "bundle.h"
#include "entry.h"
#include "mutate.h"
#include "sha256.h"

/* What a range may end with: its successor's successor is a seq as well. */
#define LAST_SEQ (INT64_MAX - 2)

static FtcBundle
bundle_of(const FtcRange *ranges, uint32_t n, uint32_t count)
{
	uint8_t    *bytes = keep(16 * (size_t) n);
	FtcBundle	bundle;

	for (uint32_t i = 0; i < n; i++)
		ftc_range_encode(ranges[i], bytes + 16 * (size_t) i);
	bundle.origin = hash_of("origin", 0);
	bundle.incarnation = UINT64_C(0x0102030405060708);
	bundle.number = UINT64_C(0x1112131415161718);
	bundle.count = count;
	bundle.root = hash_of("root", 0);
	bundle.nranges = n;
	bundle.ranges = ftc_slice(bytes, 16 * (size_t) n);
	return bundle;
}

static FtcBundle
some_bundle(void)
{
	static const FtcRange ranges[] = {{1, 3}, {5, 5}, {7, 1000}, {5000, 5000}};

	return bundle_of(ranges, lengthof(ranges), 3 + 1 + 994 + 1);
}

static FtcSlice
encoded(const FtcBundle *bundle)
{
	size_t		len = ftc_bundle_leaf_encode(bundle, NULL, 0);
	uint8_t    *bytes = keep(len);

	assert_int_equal(ftc_bundle_leaf_encode(bundle, bytes, len), len);
	return ftc_slice(bytes, len);
}

static void
check(const FtcBundle *bundle, FtcReason expected)
{
	check_reason(&codec_bundle, encoded(bundle), expected);
}

static void
check_ranges(uint64_t first, uint64_t last, uint64_t second_first, uint64_t second_last,
			 uint32_t count, FtcReason expected)
{
	FtcRange	ranges[] = {{first, last}, {second_first, second_last}};
	FtcBundle	bundle = bundle_of(ranges, 2, count);

	check(&bundle, expected);
}

static void
check_range(uint64_t first, uint64_t last, uint32_t count, FtcReason expected)
{
	FtcRange	range = {first, last};
	FtcBundle	bundle = bundle_of(&range, 1, count);

	check(&bundle, expected);
}

/* The table in bundle.h. */
static void
test_layout(void **state)
{
	FtcBundle	bundle = some_bundle();
	FtcSlice	bytes = encoded(&bundle);

	(void) state;
	assert_int_equal(bytes.len, FTC_BUNDLE_FIXED + 16 * 4);
	assert_memory_equal(bytes.data, "\x01\x03", 2);
	assert_memory_equal(bytes.data + 2, bundle.origin.b, 32);
	assert_memory_equal(bytes.data + 34, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	assert_memory_equal(bytes.data + 42, "\x11\x12\x13\x14\x15\x16\x17\x18", 8);
	assert_memory_equal(bytes.data + 50, "\x00\x00\x03\xe7", 4);
	assert_memory_equal(bytes.data + 54, bundle.root.b, 32);
	assert_memory_equal(bytes.data + 86, "\x00\x00\x00\x04", 4);
	assert_memory_equal(bytes.data + 90, "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\3", 16);
	assert_memory_equal(bytes.data + 122, "\0\0\0\0\0\0\0\7\0\0\0\0\0\0\3\xe8", 16);
}

static void
test_decode(void **state)
{
	FtcBundle	bundle = some_bundle();
	FtcBundle	found;
	FtcRange	range;

	(void) state;
	assert_reason(ftc_bundle_leaf_decode(&found, encoded(&bundle)), FTC_OK);
	assert_hash_equal(&found.origin, &bundle.origin);
	assert_int_equal(found.incarnation, bundle.incarnation);
	assert_int_equal(found.number, bundle.number);
	assert_int_equal(found.count, bundle.count);
	assert_hash_equal(&found.root, &bundle.root);
	assert_int_equal(found.nranges, 4);
	range = ftc_bundle_range(&found, 2);
	assert_int_equal(range.first, 7);
	assert_int_equal(range.last, 1000);
}

static void
test_digest(void **state)
{
	FtcBundle	bundle = some_bundle();
	FtcSlice	bytes = encoded(&bundle);
	FtcHash		found = ftc_bundle_digest(bytes);
	FtcHash		expected = ftc_sha256(bytes);

	(void) state;
	assert_hash_equal(&found, &expected);
}

/* A buffer too small is left alone, and the length told all the same. */
static void
test_encode_size(void **state)
{
	FtcBundle	bundle = some_bundle();
	FtcSlice	whole = encoded(&bundle);

	(void) state;
	for (size_t size = 0; size < whole.len; size++)
		assert_int_equal(ftc_bundle_leaf_encode(&bundle, keep(size), size), whole.len);
}

static void
test_mutations(void **state)
{
	FtcBundle	bundle = some_bundle();
	FtcSlice	bytes = encoded(&bundle);

	(void) state;
	assert_int_equal(check_lengths(&codec_bundle, bytes), 0);
	for (size_t len = 0; len < bytes.len; len++)
		check_reason(&codec_bundle, ftc_slice(bytes.data, len), FTC_BAD_LENGTH);
	assert_true(check_bytes(&codec_bundle, bytes) >= 64 * 255);
}

static void
test_kind(void **state)
{
	FtcBundle	bundle = some_bundle();
	FtcSlice	bytes = encoded(&bundle);

	(void) state;
	check_reason(&codec_bundle, with_byte(bytes, 0, 0), FTC_BAD_VERSION);
	check_reason(&codec_bundle, with_byte(bytes, 0, 2), FTC_BAD_VERSION);
	for (int class = 0; class < 256; class++)
		if (class != FTC_LEAF_BUNDLE)
			check_reason(&codec_bundle, with_byte(bytes, 1, (uint8_t) class), FTC_BAD_KIND);
}

static void
test_numbers(void **state)
{
	FtcBundle	bundle = some_bundle();

	(void) state;
	bundle.incarnation = 0;
	check(&bundle, FTC_OUT_OF_RANGE);
	bundle.incarnation = INT64_MAX;
	check(&bundle, FTC_OK);
	bundle.incarnation++;
	check(&bundle, FTC_OUT_OF_RANGE);
	bundle.incarnation = 1;
	bundle.number = 0;
	check(&bundle, FTC_OUT_OF_RANGE);
	bundle.number = INT64_MAX;
	check(&bundle, FTC_OK);
	bundle.number++;
	check(&bundle, FTC_OUT_OF_RANGE);
	bundle.number = 1;
	check(&bundle, FTC_OK);
}

/* As many entries as the ranges hold: not one more, not one less, not none. */
static void
test_count(void **state)
{
	FtcBundle	bundle = some_bundle();

	(void) state;
	bundle.count--;
	check(&bundle, FTC_NOT_CANONICAL);
	bundle.count += 2;
	check(&bundle, FTC_NOT_CANONICAL);
	bundle.count = 0;
	check(&bundle, FTC_OUT_OF_RANGE);
	bundle.count = FTC_LEAVES_MAX + 1;
	check(&bundle, FTC_OUT_OF_RANGE);
	check_range(1, FTC_LEAVES_MAX, FTC_LEAVES_MAX, FTC_OK);
	check_range(1, FTC_LEAVES_MAX + 1, FTC_LEAVES_MAX, FTC_TOO_MANY);
	check_range(1, LAST_SEQ, FTC_LEAVES_MAX, FTC_TOO_MANY);
	check_range(1, FTC_LEAVES_MAX - 1, FTC_LEAVES_MAX, FTC_NOT_CANONICAL);
	bundle = bundle_of(NULL, 0, 1);
	check(&bundle, FTC_NOT_CANONICAL);
	bundle = bundle_of(NULL, 0, 0);
	check(&bundle, FTC_OUT_OF_RANGE);
}

static void
test_one_range(void **state)
{
	(void) state;
	check_range(0, 2, 3, FTC_NOT_CANONICAL);
	check_range(1, 1, 1, FTC_OK);
	check_range(2, 1, 1, FTC_NOT_CANONICAL);
	check_range(LAST_SEQ, LAST_SEQ, 1, FTC_OK);
	check_range(LAST_SEQ, LAST_SEQ + 1, 2, FTC_NOT_CANONICAL);
	check_range(LAST_SEQ + 1, LAST_SEQ + 1, 1, FTC_NOT_CANONICAL);
	check_range(UINT64_MAX, UINT64_MAX, 1, FTC_NOT_CANONICAL);
	check_range(1, UINT64_MAX, 1, FTC_NOT_CANONICAL);
}

/* The second may neither touch the first, nor overlap, nor come before. */
static void
test_two_ranges(void **state)
{
	(void) state;
	check_ranges(10, 12, 14, 14, 4, FTC_OK);
	check_ranges(10, 12, 13, 13, 4, FTC_NOT_CANONICAL);
	check_ranges(10, 12, 12, 13, 5, FTC_NOT_CANONICAL);
	check_ranges(10, 12, 11, 11, 4, FTC_NOT_CANONICAL);
	check_ranges(10, 12, 1, 8, 11, FTC_NOT_CANONICAL);
	check_ranges(10, 12, 10, 12, 6, FTC_NOT_CANONICAL);
	check_ranges(1, LAST_SEQ, 10, 12, 6, FTC_TOO_MANY);
	/* as many as are allowed in sum, and one more */
	check_ranges(1, FTC_LEAVES_MAX - 1, LAST_SEQ, LAST_SEQ, FTC_LEAVES_MAX, FTC_OK);
	check_ranges(1, FTC_LEAVES_MAX, LAST_SEQ, LAST_SEQ, FTC_LEAVES_MAX, FTC_TOO_MANY);
}

static void
test_range_limit(void **state)
{
	static FtcRange ranges[FTC_RANGES_MAX + 1];
	FtcBundle	bundle;

	(void) state;
	for (uint32_t i = 0; i <= FTC_RANGES_MAX; i++)
		ranges[i].first = ranges[i].last = 1 + 2 * (uint64_t) i;
	bundle = bundle_of(ranges, FTC_RANGES_MAX, FTC_RANGES_MAX);
	check(&bundle, FTC_OK);
	assert_int_equal(encoded(&bundle).len, FTC_BUNDLE_LEAF_MAX);
	bundle = bundle_of(ranges, FTC_RANGES_MAX + 1, FTC_RANGES_MAX + 1);
	check(&bundle, FTC_TOO_MANY);
	/* a number of ranges that only claims to be */
	bundle = some_bundle();
	check_reason(&codec_bundle, with_be(encoded(&bundle), 86, UINT32_MAX, 4), FTC_TOO_MANY);
	check_reason(&codec_bundle, with_be(encoded(&bundle), 86, 5, 4), FTC_BAD_LENGTH);
	check_reason(&codec_bundle, with_be(encoded(&bundle), 86, 3, 4), FTC_BAD_LENGTH);
}

/* By origin, then incarnation, then number, as numbers. */
static void
test_compare(void **state)
{
	FtcBundle	low = some_bundle();
	FtcBundle	high = low;

	(void) state;
	assert_int_equal(ftc_bundle_compare(&low, &high), 0);
	high.number = low.number + 1;
	assert_true(ftc_bundle_compare(&low, &high) < 0);
	assert_true(ftc_bundle_compare(&high, &low) > 0);
	low.incarnation++;
	assert_true(ftc_bundle_compare(&low, &high) > 0);
	assert_true(ftc_bundle_compare(&high, &low) < 0);
	high.origin.b[0] = 0xff;
	low.origin.b[0] = 0x01;
	assert_true(ftc_bundle_compare(&low, &high) < 0);
	assert_true(ftc_bundle_compare(&high, &low) > 0);
	/* what else differs does not matter */
	high = low;
	high.count++;
	high.root = ftc_hash_zero;
	assert_int_equal(ftc_bundle_compare(&low, &high), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_layout),
		test(test_decode),
		test(test_digest),
		test(test_encode_size),
		test(test_mutations),
		test(test_kind),
		test(test_numbers),
		test(test_count),
		test(test_one_range),
		test(test_two_ranges),
		test(test_range_limit),
		test(test_compare),
	};

	return cmocka_run_group_tests_name("bundle", tests, NULL, NULL);
}

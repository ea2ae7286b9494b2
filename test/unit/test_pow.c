/*-------------------------------------------------------------------------
 *
 * test_pow.c
 *	  Tests of pow.c: published vectors, the slow way, and every boundary.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>

#include "merkle.h"
#include "naive.h"
#include "pow.h"

/* The easiest target there is: 0xffff * 256^30 */
#define EASIEST 0x2100ffff

static uint32_t
hex_u32(const char *hex)
{
	return (uint32_t) strtoul(hex, NULL, 16);
}

/*
 * Bitcoin takes zero, a negative and an overflowing number for what they are;
 * here they are all out of range.
 */
static void
check_compact(char **field)
{
	uint32_t	bits = hex_u32(field[0]);
	FtcU256		target;
	FtcHash		expected;
	FtcHash		found;

	expected = unhex_hash(field[1][0] == '\0' ? "-" : field[1]);
	if (strcmp(field[3], "true") == 0 || strcmp(field[4], "true") == 0 ||
		ftc_hash_is_zero(&expected))
	{
		assert_reason(ftc_pow_target(bits, &target), FTC_OUT_OF_RANGE);
		assert_reason(ftc_pow_check_bits(bits), FTC_OUT_OF_RANGE);
		return;
	}
	assert_reason(ftc_pow_target(bits, &target), FTC_OK);
	found = ftc_u256_to_hash(&target);
	assert_hash_equal(&found, &expected);
	assert_int_equal(ftc_pow_to_bits(&target), hex_u32(field[2]));
	assert_reason(ftc_pow_check_bits(bits),
				  bits == hex_u32(field[2]) ? FTC_OK : FTC_NOT_CANONICAL);
}

static void
test_compact_vectors(void **state)
{
	TestLines	lines = lines_open("setcompact.csv");
	int			cases = 0;

	(void) state;
	assert_true(lines_next(&lines));	/* the names of the columns */
	while (lines_next(&lines))
	{
		assert_int_equal(lines.nfields, 5);
		check_compact(lines.field);
		cases++;
	}
	lines_close(&lines);
	assert_int_equal(cases, 20);
}

/* mantissa * 256^(exponent - 3), if that is a number here */
static bool
naive_target(uint32_t bits, Big *target)
{
	int			exponent = (int) (bits >> 24);
	Big			mantissa = big_of(bits & 0x7fffff);
	Big			none = big_of(0);

	*target = big_scale(&mantissa, 8 * ((exponent < 40 ? exponent : 40) - 3));
	return (bits & 0x800000) == 0 && big_fits(target) && big_compare(target, &none) > 0;
}

static void
check_bits_of(uint32_t bits)
{
	Big			expected;
	FtcU256		target;
	FtcU256		again;
	uint32_t	canonical;

	if (!naive_target(bits, &expected))
	{
		assert_reason(ftc_pow_target(bits, &target), FTC_OUT_OF_RANGE);
		assert_reason(ftc_pow_check_bits(bits), FTC_OUT_OF_RANGE);
		return;
	}
	assert_reason(ftc_pow_target(bits, &target), FTC_OK);
	again = big_to_u256(&expected);
	assert_memory_equal(&target, &again, sizeof(target));
	/* the one form, which is minimal and means the same */
	canonical = ftc_pow_to_bits(&target);
	assert_reason(ftc_pow_check_bits(canonical), FTC_OK);
	assert_reason(ftc_pow_target(canonical, &again), FTC_OK);
	assert_memory_equal(&target, &again, sizeof(target));
	assert_reason(ftc_pow_check_bits(bits), bits == canonical ? FTC_OK : FTC_NOT_CANONICAL);
}

/* Every exponent with the mantissas at which something changes. */
static void
test_compact_boundaries(void **state)
{
	static const uint32_t mantissas[] = {
		0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffff,
		0x800000, 0x800001, 0x808000, 0xffffff
	};
	TestRandom	random = random_from(1);

	(void) state;
	for (uint32_t exponent = 0; exponent < 256; exponent++)
	{
		for (size_t i = 0; i < lengthof(mantissas); i++)
			check_bits_of(exponent << 24 | mantissas[i]);
		for (int i = 0; i < 20; i++)
			check_bits_of(exponent << 24 | (uint32_t) random_below(&random, 1 << 24));
	}
}

/* Rounding a target to bits goes down, and by less than one of its digits. */
static void
test_to_bits(void **state)
{
	TestRandom	random = random_from(2);

	(void) state;
	for (int i = 0; i < 20000; i++)
	{
		FtcHash		hash = random_hash(&random);
		FtcU256		target = ftc_u256_from_hash(&hash);
		FtcU256		found;
		FtcU256		next;
		uint32_t	bits;

		target = ftc_u256_shift_right(&target, (unsigned) random_below(&random, 256));
		if (ftc_u256_is_zero(&target))
			continue;
		bits = ftc_pow_to_bits(&target);
		assert_reason(ftc_pow_check_bits(bits), FTC_OK);
		assert_reason(ftc_pow_target(bits, &found), FTC_OK);
		assert_true(ftc_u256_compare(&found, &target) <= 0);
		if ((bits & 0x7fffff) != 0x7fffff && bits >> 24 >= 3)
		{
			assert_reason(ftc_pow_target(bits + 1, &next), FTC_OK);
			assert_true(ftc_u256_compare(&next, &target) > 0);
		}
	}
}

static void
test_to_bits_zero(void **state)
{
	FtcU256		zero = ftc_u256_from_u64(0);
	FtcU256		sign = ftc_u256_from_u64(0x80);

	(void) state;
	assert_int_equal(ftc_pow_to_bits(&zero), 0);
	/* nor do the bits of a number look like those of a negative one */
	assert_int_equal(ftc_pow_to_bits(&sign), 0x02008000);
	assert_reason(ftc_pow_check_bits(0), FTC_OUT_OF_RANGE);
}

static void
test_work(void **state)
{
	TestRandom	random = random_from(3);
	Big			one = big_of(1);
	Big			all = big_scale(&one, 256);

	(void) state;
	for (int i = 0; i < 500; i++)
	{
		uint32_t	bits = (uint32_t) (random_below(&random, 36) << 24 | random_below(&random, 1 << 24));
		FtcU256		found = ftc_pow_work(bits);
		Big			target;
		Big			work = big_of(0);
		FtcU256		expected;

		if (naive_target(bits, &target))
		{
			target = big_add(&target, &one);
			work = big_divide(&all, &target);
		}
		expected = big_to_u256(&work);
		assert_memory_equal(&found, &expected, sizeof(found));
	}
	/* the hardest and the easiest there are */
	assert_int_equal(ftc_pow_work(0x03000001).w[3], UINT64_C(1) << 63);
	assert_int_equal(ftc_pow_work(EASIEST).w[0], 1);
	assert_int_equal(ftc_pow_work(0x207fffff).w[0], 2);
	/* about as many attempts as it is said to be */
	assert_int_equal(ftc_pow_work(FTC_POW_BITS_DEFAULT).w[0], 1048577);
}

static void
test_meets(void **state)
{
	FtcU256		one = ftc_u256_from_u64(1);
	FtcU256		target;
	FtcHash		id;

	(void) state;
	assert_reason(ftc_pow_target(FTC_POW_BITS_DEFAULT, &target), FTC_OK);
	id = ftc_u256_to_hash(&target);
	assert_true(ftc_pow_meets(&id, FTC_POW_BITS_DEFAULT));
	target = ftc_u256_add(&target, &one);
	id = ftc_u256_to_hash(&target);
	assert_false(ftc_pow_meets(&id, FTC_POW_BITS_DEFAULT));
	assert_true(ftc_pow_meets(&ftc_hash_zero, FTC_POW_BITS_DEFAULT));
	/* nothing meets what is no target */
	assert_false(ftc_pow_meets(&ftc_hash_zero, 0));
	assert_false(ftc_pow_meets(&ftc_hash_zero, 0x1e8fffff));
	assert_false(ftc_pow_meets(&ftc_hash_zero, 0xff123456));
}

static void
test_asert_vectors(void **state)
{
	TestLines	lines = lines_open("aserti3-2d_vectors.csv");
	int			cases = 0;

	(void) state;
	assert_true(lines_next(&lines));	/* the names of the columns */
	while (lines_next(&lines))
	{
		char	  **field = lines.field;
		FtcAnchor	anchor;
		uint32_t	found;

		assert_int_equal(lines.nfields, 7);
		anchor.height = strtoull(field[1], NULL, 10);
		anchor.parent_time = strtoll(field[2], NULL, 10);
		anchor.bits = hex_u32(field[3]);
		found = ftc_pow_next_bits(&anchor, strtoull(field[4], NULL, 10),
								  strtoll(field[5], NULL, 10), 600, 172800, 0x1d00ffff);
		if (found != hex_u32(field[6]))
			fail_msg("run %s, height %s: %08x instead of %s", field[0], field[4], found, field[6]);
		cases++;
	}
	lines_close(&lines);
	assert_int_equal(cases, 2255);
}

/*
 * The specification's formula with numbers that know no bounds.  late is exact
 * in 128 bits for all that the tests ask.
 */
static uint32_t
naive_next_bits(const FtcAnchor *anchor, uint64_t height, int64_t time,
				int64_t spacing, int64_t half_life, uint32_t limit_bits)
{
	__int128	late = (__int128) time - anchor->parent_time -
	(__int128) spacing * ((__int128) height - anchor->height + 1);
	__int128	exponent = late * 65536 / half_life;
	int			shift = 0;
	Big			cubic;
	Big			target;
	Big			limit;
	Big			one = big_of(1);
	uint64_t	f;
	FtcU256		next;

	if (exponent > 300 * 65536)
		return limit_bits;
	if (exponent < -300 * 65536)
		exponent = -300 * 65536;
	for (; exponent < 0; shift--)
		exponent += 65536;
	for (; exponent >= 65536; shift++)
		exponent -= 65536;
	f = (uint64_t) exponent;
	cubic = big_of(65536 + ((UINT64_C(195766423245049) * f + UINT64_C(971821376) * f * f +
							 UINT64_C(5127) * f * f * f + (UINT64_C(1) << 47)) >> 48));
	assert_true(naive_target(anchor->bits, &target));
	assert_true(naive_target(limit_bits, &limit));
	target = big_multiply(&target, &cubic);
	target = big_scale(&target, shift - 16);
	if (big_compare(&target, &one) < 0)
		target = one;
	if (big_compare(&target, &limit) > 0)
		return limit_bits;
	next = big_to_u256(&target);
	return ftc_pow_to_bits(&next);
}

static uint32_t
random_bits(TestRandom *random)
{
	FtcHash		hash = random_hash(random);
	FtcU256		target = ftc_u256_from_hash(&hash);

	target = ftc_u256_shift_right(&target, (unsigned) random_below(random, 250));
	target.w[0] |= 1;
	return ftc_pow_to_bits(&target);
}

/* Where targets shrink to one, grow to 2^256, or cross the limit. */
static void
test_asert_random(void **state)
{
	TestRandom	random = random_from(4);
	int			limited = 0;
	int			hardest = 0;

	(void) state;
	for (int i = 0; i < 3000; i++)
	{
		int64_t		half_life = (int64_t) (random_any(&random) % 31557600000000) + 1;
		int64_t		spacing = (int64_t) (random_any(&random) % 31557600000000) + 1;
		uint64_t	height = random_any(&random) >> 1;
		uint32_t	limit = i % 3 > 0 ? EASIEST : random_bits(&random);
		FtcAnchor	anchor;
		int64_t		time;
		__int128	on_time;
		uint32_t	found;

		anchor.bits = random_bits(&random);
		anchor.height = height - random_any(&random) % (height + 1);
		anchor.parent_time = (int64_t) random_below(&random, FTC_TIME_MAX);
		/* near to where it should be, by as many half-lives as matter */
		on_time = (__int128) spacing * (height - anchor.height + 1) + anchor.parent_time +
			(__int128) half_life * ((int) random_below(&random, 700) - 350) +
			(int64_t) random_below(&random, (uint64_t) half_life);
		time = on_time > INT64_MAX ? INT64_MAX : on_time < 0 ? 0 : (int64_t) on_time;
		found = ftc_pow_next_bits(&anchor, height, time, spacing, half_life, limit);
		assert_int_equal(found, naive_next_bits(&anchor, height, time, spacing, half_life, limit));
		assert_reason(ftc_pow_check_bits(found), FTC_OK);
		limited += found == limit;
		hardest += found == 0x01010000;
	}
	assert_in_range(limited, 100, 2500);
	assert_in_range(hardest, 100, 2500);
}

/* The corners of what may be asked. */
static void
test_asert_extremes(void **state)
{
	static const int64_t times[] = {0, 1, FTC_TIME_MAX, INT64_MAX, INT64_MIN, -1};
	static const int64_t intervals[] = {1, 2, 600, 31557600000000};
	static const uint32_t targets[] = {0x01010000, 0x03123456, 0x1d00ffff, 0x207fffff, EASIEST};

	(void) state;
	for (size_t i = 0; i < lengthof(times) * lengthof(times); i++)
		for (size_t j = 0; j < lengthof(intervals) * lengthof(intervals); j++)
			for (size_t k = 0; k < lengthof(targets); k++)
			{
				FtcAnchor	anchor = {k % 2 * INT64_MAX, times[i % lengthof(times)], targets[k]};
				int64_t		time = times[i / lengthof(times)];
				int64_t		spacing = intervals[j % lengthof(intervals)];
				int64_t		half_life = intervals[j / lengthof(intervals)];
				uint64_t	height = i % 2 * INT64_MAX;

				assert_int_equal(ftc_pow_next_bits(&anchor, height, time, spacing, half_life,
												   EASIEST),
								 naive_next_bits(&anchor, height, time, spacing, half_life,
												 EASIEST));
			}
}

/* Bits that are none lead to the limit, not into the dark. */
static void
test_asert_bad_bits(void **state)
{
	FtcAnchor	anchor = {0, 0, 0};

	(void) state;
	assert_int_equal(ftc_pow_next_bits(&anchor, 1, 1200, 600, 172800, 0x1d00ffff), 0x1d00ffff);
	anchor.bits = 0xff123456;
	assert_int_equal(ftc_pow_next_bits(&anchor, 1, 1200, 600, 172800, 0x1d00ffff), 0x1d00ffff);
	anchor.bits = 0x1c00ffff;
	assert_int_equal(ftc_pow_next_bits(&anchor, 1, 1200, 600, 172800, 0), 0);
}

/* A half-life late doubles the target, a half-life early halves it. */
static void
test_asert_half_lives(void **state)
{
	FtcAnchor	anchor = {10, 6000, 0x1c010000};

	(void) state;
	for (int n = -10; n <= 7; n++)
	{
		uint32_t	bits = ftc_pow_next_bits(&anchor, 10, 6600 + n * 172800, 600, 172800, 0x1d00ffff);
		FtcU256		found;
		FtcU256		expected;

		assert_reason(ftc_pow_target(bits, &found), FTC_OK);
		assert_reason(ftc_pow_target(anchor.bits, &expected), FTC_OK);
		expected = n < 0 ? ftc_u256_shift_right(&expected, (unsigned) -n)
			: ftc_u256_shift_left(&expected, (unsigned) n);
		assert_int_equal(ftc_u256_compare(&found, &expected), 0);
	}
	assert_int_equal(ftc_pow_next_bits(&anchor, 10, 6600 + 9 * 172800, 600, 172800, 0x1d00ffff),
					 0x1d00ffff);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_compact_vectors),
		test(test_compact_boundaries),
		test(test_to_bits),
		test(test_to_bits_zero),
		test(test_work),
		test(test_meets),
		test(test_asert_vectors),
		test(test_asert_random),
		test(test_asert_extremes),
		test(test_asert_bad_bits),
		test(test_asert_half_lives),
	};

	return cmocka_run_group_tests_name("pow", tests, NULL, NULL);
}

/*-------------------------------------------------------------------------
 *
 * test_u256.c
 *	  Tests of u256.c, against the slow way.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "naive.h"
#include "u256.h"

static const FtcU256 zero = {{0, 0, 0, 0}};
static const FtcU256 greatest = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};

static void
assert_u256(FtcU256 found, FtcU256 expected)
{
	if (memcmp(&found, &expected, sizeof(found)) != 0)
		fail_msg("%016llx %016llx %016llx %016llx instead of %016llx %016llx %016llx %016llx",
				 (unsigned long long) found.w[3], (unsigned long long) found.w[2],
				 (unsigned long long) found.w[1], (unsigned long long) found.w[0],
				 (unsigned long long) expected.w[3], (unsigned long long) expected.w[2],
				 (unsigned long long) expected.w[1], (unsigned long long) expected.w[0]);
}

/* Of any length in bits, and often with long runs of equal bits. */
static FtcU256
random_u256(TestRandom *random)
{
	FtcU256		a;
	uint64_t	kind;

	for (int i = 0; i < 4; i++)
	{
		kind = random_below(random, 4);
		a.w[i] = kind == 0 ? 0 : kind == 1 ? UINT64_MAX : random_any(random);
	}
	for (int i = 3; i >= 0 && random_below(random, 2) > 0; i--)
		a.w[i] = 0;
	return a;
}

static void
test_hash(void **state)
{
	TestRandom	random = random_from(1);
	FtcU256		one = ftc_u256_from_u64(1);
	FtcHash		hash = ftc_u256_to_hash(&one);

	(void) state;
	assert_int_equal(hash.b[31], 1);
	hash.b[31] = 0;
	assert_true(ftc_hash_is_zero(&hash));
	hash.b[0] = 0x80;
	assert_int_equal(ftc_u256_from_hash(&hash).w[3], UINT64_C(1) << 63);
	for (int i = 0; i < 1000; i++)
	{
		FtcHash		a = random_hash(&random);
		FtcHash		b = random_hash(&random);
		FtcU256		x = ftc_u256_from_hash(&a);
		FtcU256		y = ftc_u256_from_hash(&b);
		FtcHash		back = ftc_u256_to_hash(&x);

		assert_hash_equal(&back, &a);
		/* as numbers they are ordered as they are as hashes */
		assert_int_equal(ftc_u256_compare(&x, &y) < 0, ftc_hash_compare(&a, &b) < 0);
	}
}

static void
test_compare(void **state)
{
	TestRandom	random = random_from(2);

	(void) state;
	assert_true(ftc_u256_is_zero(&zero));
	assert_false(ftc_u256_is_zero(&greatest));
	assert_int_equal(ftc_u256_compare(&zero, &greatest), -1);
	assert_int_equal(ftc_u256_compare(&greatest, &zero), 1);
	for (int i = 0; i < 20000; i++)
	{
		FtcU256		a = random_u256(&random);
		FtcU256		b = random_below(&random, 3) > 0 ? random_u256(&random) : a;
		Big			x = big_of_u256(&a);
		Big			y;

		b.w[0] ^= random_below(&random, 2);
		y = big_of_u256(&b);
		assert_int_equal(ftc_u256_compare(&a, &b), big_compare(&x, &y));
	}
}

/* Each power of two, and the numbers beside it. */
static void
test_bits(void **state)
{
	FtcU256		one = ftc_u256_from_u64(1);

	(void) state;
	assert_int_equal(ftc_u256_bits(&zero), 0);
	assert_int_equal(ftc_u256_bits(&greatest), 256);
	for (int n = 0; n < 256; n++)
	{
		FtcU256		power = ftc_u256_shift_left(&one, (unsigned) n);
		FtcU256		below = ftc_u256_shift_right(&greatest, (unsigned) (256 - n));
		FtcU256		above = ftc_u256_add(&power, &below);

		assert_false(ftc_u256_is_zero(&power));
		assert_int_equal(ftc_u256_bits(&power), n + 1);
		assert_int_equal(ftc_u256_bits(&below), n);
		assert_int_equal(ftc_u256_bits(&above), n + 1);
	}
}

static void
test_shift(void **state)
{
	TestRandom	random = random_from(3);
	Big			all = big_of_u256(&greatest);

	(void) state;
	for (unsigned n = 0; n <= 300; n++)
		for (int i = 0; i < 20; i++)
		{
			FtcU256		a = i == 0 ? greatest : random_u256(&random);
			Big			x = big_of_u256(&a);
			Big			right = big_scale(&x, -(int) n);
			Big			left = big_scale(&x, (int) n);

			memset(left.d + 32, 0, BIG_DIGITS - 32);
			assert_true(big_compare(&left, &all) <= 0);
			assert_u256(ftc_u256_shift_left(&a, n), big_to_u256(&left));
			assert_u256(ftc_u256_shift_right(&a, n), big_to_u256(&right));
		}
	assert_u256(ftc_u256_shift_left(&greatest, UINT32_MAX), zero);
	assert_u256(ftc_u256_shift_right(&greatest, UINT32_MAX), zero);
}

static void
test_add(void **state)
{
	TestRandom	random = random_from(4);
	FtcU256		one = ftc_u256_from_u64(1);
	int			exceeded = 0;

	(void) state;
	/* just reached, just passed */
	assert_u256(ftc_u256_add(&greatest, &zero), greatest);
	assert_u256(ftc_u256_add(&greatest, &one), greatest);
	assert_u256(ftc_u256_add(&greatest, &greatest), greatest);
	for (int i = 0; i < 20000; i++)
	{
		FtcU256		a = random_u256(&random);
		FtcU256		b = random_u256(&random);
		Big			x = big_of_u256(&a);
		Big			y = big_of_u256(&b);
		Big			sum = big_add(&x, &y);

		exceeded += !big_fits(&sum);
		assert_u256(ftc_u256_add(&a, &b), big_fits(&sum) ? big_to_u256(&sum) : greatest);
	}
	assert_in_range(exceeded, 1000, 15000);
}

static void
test_multiply(void **state)
{
	TestRandom	random = random_from(5);

	(void) state;
	for (int i = 0; i < 300; i++)
	{
		FtcU256		a = i < 10 ? greatest : random_u256(&random);
		uint64_t	factor = i % 10 == 0 ? UINT64_MAX : random_any(&random);
		uint64_t	high;
		FtcU256		low = ftc_u256_mul_u64(&a, factor, &high);
		Big			x = big_of_u256(&a);
		Big			y = big_of(factor);
		Big			product = big_multiply(&x, &y);
		Big			above = big_of(high);
		Big			found = big_of_u256(&low);

		above = big_scale(&above, 256);
		found = big_add(&found, &above);
		assert_int_equal(big_compare(&found, &product), 0);
	}
}

static void
check_division(FtcU256 a, FtcU256 b)
{
	Big			x = big_of_u256(&a);
	Big			y = big_of_u256(&b);
	Big			quotient = big_divide(&x, &y);

	assert_u256(ftc_u256_div(&a, &b), big_to_u256(&quotient));
}

static void
test_divide(void **state)
{
	TestRandom	random = random_from(6);
	FtcU256		one = ftc_u256_from_u64(1);

	(void) state;
	check_division(greatest, one);
	check_division(greatest, greatest);
	check_division(zero, one);
	check_division(zero, greatest);
	check_division(one, greatest);
	for (int i = 0; i < 1000; i++)
	{
		FtcU256		a = random_u256(&random);
		FtcU256		b = random_u256(&random);

		if (ftc_u256_is_zero(&b))
			continue;
		check_division(a, b);
		check_division(b, b);
		/* beside the multiples, where a wrong rounding shows */
		b = ftc_u256_shift_right(&b, 128);
		if (!ftc_u256_is_zero(&b))
		{
			uint64_t	high;
			FtcU256		multiple = ftc_u256_mul_u64(&b, random_any(&random), &high);

			check_division(multiple, b);
			check_division(ftc_u256_add(&multiple, &one), b);
			if (multiple.w[0]-- > 0)
				check_division(multiple, b);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_hash),
		test(test_compare),
		test(test_bits),
		test(test_shift),
		test(test_add),
		test(test_multiply),
		test(test_divide),
	};

	return cmocka_run_group_tests_name("u256", tests, NULL, NULL);
}

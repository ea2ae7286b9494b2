/*-------------------------------------------------------------------------
 *
 * naive.c
 *	  Numbers of any size, done the slow way.
 *
 *-------------------------------------------------------------------------
 */
#include "naive.h"

#include "test_util.h"

Big
big_of(uint64_t value)
{
	Big			big = {{0}};

	for (int i = 0; i < 8; i++, value >>= 8)
		big.d[i] = (uint8_t) value;
	return big;
}

Big
big_of_u256(const FtcU256 *a)
{
	Big			big = {{0}};

	for (int i = 0; i < 32; i++)
		big.d[i] = (uint8_t) (a->w[i / 8] >> (8 * (i % 8)));
	return big;
}

int
big_compare(const Big *a, const Big *b)
{
	for (int i = BIG_DIGITS - 1; i >= 0; i--)
		if (a->d[i] != b->d[i])
			return a->d[i] < b->d[i] ? -1 : 1;
	return 0;
}

Big
big_add(const Big *a, const Big *b)
{
	Big			sum;
	int			carry = 0;

	for (int i = 0; i < BIG_DIGITS; i++)
	{
		carry += a->d[i] + b->d[i];
		sum.d[i] = (uint8_t) carry;
		carry /= 256;
	}
	assert_int_equal(carry, 0);
	return sum;
}

Big
big_subtract(const Big *a, const Big *b)
{
	Big			rest;
	int			borrow = 0;

	for (int i = 0; i < BIG_DIGITS; i++)
	{
		int			digit = a->d[i] - b->d[i] - borrow;

		borrow = digit < 0;
		rest.d[i] = (uint8_t) (digit + 256 * borrow);
	}
	assert_int_equal(borrow, 0);
	return rest;
}

/* One digit up. */
static Big
times_256(const Big *a)
{
	Big			big;

	assert_int_equal(a->d[BIG_DIGITS - 1], 0);
	big.d[0] = 0;
	memcpy(big.d + 1, a->d, BIG_DIGITS - 1);
	return big;
}

Big
big_multiply(const Big *a, const Big *b)
{
	Big			product = {{0}};

	for (int i = BIG_DIGITS - 1; i >= 0; i--)
	{
		product = times_256(&product);
		for (int n = b->d[i]; n > 0; n--)
			product = big_add(&product, a);
	}
	return product;
}

Big
big_scale(const Big *a, int n)
{
	Big			big = *a;

	for (; n > 0; n--)
		big = big_add(&big, &big);
	for (; n < 0; n++)
		for (int i = 0; i < BIG_DIGITS; i++)
			big.d[i] = (uint8_t) (big.d[i] / 2 +
								  (i + 1 < BIG_DIGITS ? big.d[i + 1] % 2 * 128 : 0));
	return big;
}

Big
big_divide(const Big *a, const Big *b)
{
	Big			quotient = {{0}};
	Big			rest = {{0}};

	for (int i = BIG_DIGITS - 1; i >= 0; i--)
	{
		rest = times_256(&rest);
		rest.d[0] = a->d[i];
		while (big_compare(&rest, b) >= 0)
		{
			rest = big_subtract(&rest, b);
			quotient.d[i]++;
		}
	}
	return quotient;
}

bool
big_fits(const Big *a)
{
	for (int i = 32; i < BIG_DIGITS; i++)
		if (a->d[i] != 0)
			return false;
	return true;
}

FtcU256
big_to_u256(const Big *a)
{
	FtcU256		number = {{0}};

	assert_true(big_fits(a));
	for (int i = 0; i < 32; i++)
		number.w[i / 8] |= (uint64_t) a->d[i] << (8 * (i % 8));
	return number;
}

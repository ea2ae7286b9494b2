/*-------------------------------------------------------------------------
 *
 * u256.c
 *	  Unsigned 256-bit integers.
 *
 *-------------------------------------------------------------------------
 */
#include "u256.h"

#include <string.h>

#include "bytes.h"

typedef unsigned __int128 u128;

FtcU256
ftc_u256_from_u64(uint64_t value)
{
	FtcU256		a = {{value, 0, 0, 0}};

	return a;
}

FtcU256
ftc_u256_from_hash(const FtcHash *hash)
{
	FtcReader	reader = ftc_reader(ftc_slice(hash->b, FTC_HASH_LEN));
	FtcU256		a;

	for (int i = 3; i >= 0; i--)
		a.w[i] = ftc_get_u64(&reader);
	return a;
}

FtcHash
ftc_u256_to_hash(const FtcU256 *a)
{
	FtcHash		hash;
	FtcWriter	writer = ftc_writer(hash.b, FTC_HASH_LEN);

	for (int i = 3; i >= 0; i--)
		ftc_put_u64(&writer, a->w[i]);
	return hash;
}

int
ftc_u256_compare(const FtcU256 *a, const FtcU256 *b)
{
	for (int i = 3; i >= 0; i--)
		if (a->w[i] != b->w[i])
			return a->w[i] < b->w[i] ? -1 : 1;
	return 0;
}

bool
ftc_u256_is_zero(const FtcU256 *a)
{
	return (a->w[0] | a->w[1] | a->w[2] | a->w[3]) == 0;
}

int
ftc_u256_bits(const FtcU256 *a)
{
	for (int i = 3; i >= 0; i--)
		if (a->w[i] != 0)
			return 64 * i + 64 - __builtin_clzll(a->w[i]);
	return 0;
}

FtcU256
ftc_u256_shift_left(const FtcU256 *a, unsigned n)
{
	FtcU256		out = {{0}};
	unsigned	words = n / 64;
	unsigned	bits = n % 64;

	for (unsigned i = words; i < 4; i++)
	{
		out.w[i] = a->w[i - words] << bits;
		if (bits > 0 && i > words)
			out.w[i] |= a->w[i - words - 1] >> (64 - bits);
	}
	return out;
}

FtcU256
ftc_u256_shift_right(const FtcU256 *a, unsigned n)
{
	FtcU256		out = {{0}};
	unsigned	words = n / 64;
	unsigned	bits = n % 64;

	for (unsigned i = 0; i + words < 4; i++)
	{
		out.w[i] = a->w[i + words] >> bits;
		if (bits > 0 && i + words < 3)
			out.w[i] |= a->w[i + words + 1] << (64 - bits);
	}
	return out;
}

FtcU256
ftc_u256_add(const FtcU256 *a, const FtcU256 *b)
{
	FtcU256		out;
	u128		carry = 0;

	for (int i = 0; i < 4; i++)
	{
		carry += (u128) a->w[i] + b->w[i];
		out.w[i] = (uint64_t) carry;
		carry >>= 64;
	}
	if (carry != 0)
		memset(&out, 0xff, sizeof(out));
	return out;
}

FtcU256
ftc_u256_mul_u64(const FtcU256 *a, uint64_t factor, uint64_t *high)
{
	FtcU256		out;
	u128		carry = 0;

	for (int i = 0; i < 4; i++)
	{
		carry += (u128) a->w[i] * factor;
		out.w[i] = (uint64_t) carry;
		carry >>= 64;
	}
	*high = (uint64_t) carry;
	return out;
}

/* a - b for a >= b */
static FtcU256
subtract(const FtcU256 *a, const FtcU256 *b)
{
	FtcU256		out;
	uint64_t	borrow = 0;

	for (int i = 0; i < 4; i++)
	{
		u128		d = (u128) a->w[i] - b->w[i] - borrow;

		out.w[i] = (uint64_t) d;
		borrow = (uint64_t) (d >> 64) & 1;
	}
	return out;
}

/* Schoolbook, one bit a turn: it runs once a block. */
FtcU256
ftc_u256_div(const FtcU256 *a, const FtcU256 *b)
{
	FtcU256		quotient = {{0}};
	FtcU256		rest = *a;
	int			shift = ftc_u256_bits(a) - ftc_u256_bits(b);

	for (; shift >= 0; shift--)
	{
		FtcU256		part = ftc_u256_shift_left(b, (unsigned) shift);

		if (ftc_u256_compare(&rest, &part) >= 0)
		{
			rest = subtract(&rest, &part);
			quotient.w[shift / 64] |= UINT64_C(1) << (shift % 64);
		}
	}
	return quotient;
}

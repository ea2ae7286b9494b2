/*-------------------------------------------------------------------------
 *
 * pow.c
 *	  Proof of work.
 *
 *-------------------------------------------------------------------------
 */
#include "pow.h"

#include <string.h>

#include "bytes.h"

#define MANTISSA_MASK	0x007fffffu
#define MANTISSA_SIGN	0x00800000u

FtcReason
ftc_pow_target(uint32_t bits, FtcU256 *target)
{
	unsigned	exponent = bits >> 24;
	uint32_t	mantissa = bits & MANTISSA_MASK;
	FtcU256		value;

	if (exponent <= 3)
		mantissa >>= 8 * (3 - exponent);
	if (mantissa == 0 || (bits & MANTISSA_SIGN) != 0)
		return FTC_OUT_OF_RANGE;
	if (exponent > 34 || (exponent > 33 && mantissa > 0xff) ||
		(exponent > 32 && mantissa > 0xffff))
		return FTC_OUT_OF_RANGE;
	value = ftc_u256_from_u64(mantissa);
	*target = exponent <= 3 ? value : ftc_u256_shift_left(&value, 8 * (exponent - 3));
	return FTC_OK;
}

uint32_t
ftc_pow_to_bits(const FtcU256 *target)
{
	unsigned	exponent = ((unsigned) ftc_u256_bits(target) + 7) / 8;
	uint32_t	mantissa;

	if (exponent <= 3)
		mantissa = (uint32_t) (target->w[0] << (8 * (3 - exponent)));
	else
	{
		FtcU256		top = ftc_u256_shift_right(target, 8 * (exponent - 3));

		mantissa = (uint32_t) top.w[0];
	}
	if (mantissa & MANTISSA_SIGN)
	{
		mantissa >>= 8;
		exponent++;
	}
	return exponent << 24 | mantissa;
}

FtcReason
ftc_pow_check_bits(uint32_t bits)
{
	FtcU256		target;
	FtcReason	reason = ftc_pow_target(bits, &target);

	if (reason != FTC_OK)
		return reason;
	return ftc_pow_to_bits(&target) == bits ? FTC_OK : FTC_NOT_CANONICAL;
}

/* floor(2^256 / (t + 1)) = floor(~t / (t + 1)) + 1, which fits in 256 bits */
FtcU256
ftc_pow_work(uint32_t bits)
{
	FtcU256		one = ftc_u256_from_u64(1);
	FtcU256		target;
	FtcU256		rest;
	FtcU256		next;
	FtcU256		quotient;

	if (ftc_pow_target(bits, &target) != FTC_OK)
		return ftc_u256_from_u64(0);
	for (int i = 0; i < 4; i++)
		rest.w[i] = ~target.w[i];
	next = ftc_u256_add(&target, &one);
	quotient = ftc_u256_div(&rest, &next);
	return ftc_u256_add(&quotient, &one);
}

bool
ftc_pow_meets(const FtcHash *id, uint32_t bits)
{
	FtcU256		value = ftc_u256_from_hash(id);
	FtcU256		target;

	return ftc_pow_target(bits, &target) == FTC_OK &&
		ftc_u256_compare(&value, &target) <= 0;
}

/* 65536 * 2^(f / 65536), cubic approximation of aserti3-2d; 0 <= f < 65536 */
static uint64_t
asert_factor(uint64_t f)
{
	return 65536 + ((UINT64_C(195766423245049) * f + UINT64_C(971821376) * f * f +
					 UINT64_C(5127) * f * f * f + (UINT64_C(1) << 47)) >> 48);
}

/*
 * anchor target * factor * 2^shift / 65536, the product being wider than 256
 * bits; limit where that is exceeded.
 */
static FtcU256
asert_scale(const FtcU256 *anchor, uint64_t factor, int64_t shift, const FtcU256 *limit)
{
	uint64_t	high;
	FtcU256		product = ftc_u256_mul_u64(anchor, factor, &high);
	FtcU256		above;

	shift -= 16;
	if (shift >= 0)
	{
		if (high != 0 || ftc_u256_bits(&product) + shift > 256)
			return *limit;
		return ftc_u256_shift_left(&product, (unsigned) shift);
	}
	if (shift <= -320)
		return ftc_u256_from_u64(0);
	if (high != 0 && shift > -64 && high >> -shift != 0)
		return *limit;
	/* the part above 2^256 comes down by the same shift */
	above = ftc_u256_from_u64(high);
	above = -shift <= 256 ? ftc_u256_shift_left(&above, (unsigned) (256 + shift))
		: ftc_u256_shift_right(&above, (unsigned) (-shift - 256));
	product = ftc_u256_shift_right(&product, (unsigned) -shift);
	return ftc_u256_add(&product, &above);
}

uint32_t
ftc_pow_next_bits(const FtcAnchor *anchor, uint64_t height, int64_t time,
				  int64_t spacing, int64_t half_life, uint32_t limit_bits)
{
	__int128	blocks = (__int128) height - (__int128) anchor->height + 1;
	__int128	late = (__int128) time - anchor->parent_time - (__int128) spacing * blocks;
	__int128	exponent = late * 65536 / half_life;	/* toward zero */
	__int128	whole = exponent >> 16; /* toward minus infinity */
	uint64_t	fraction = (uint64_t) ((unsigned __int128) exponent & 0xffff);
	int64_t		shift = whole > 1000 ? 1000 : whole < -1000 ? -1000 : (int64_t) whole;
	FtcU256		base;
	FtcU256		limit;
	FtcU256		next;

	if (ftc_pow_target(limit_bits, &limit) != FTC_OK ||
		ftc_pow_target(anchor->bits, &base) != FTC_OK)
		return limit_bits;
	next = asert_scale(&base, asert_factor(fraction), shift, &limit);
	if (ftc_u256_is_zero(&next))
		next = ftc_u256_from_u64(1);
	if (ftc_u256_compare(&next, &limit) > 0)
		return limit_bits;
	return ftc_pow_to_bits(&next);
}

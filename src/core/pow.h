/*-------------------------------------------------------------------------
 *
 * pow.h
 *	  Proof of work: compact targets, work, retarget (ASERT).
 *
 * A header meets its target when its id, read as a big-endian number, is not
 * above it.  Targets travel as Bitcoin's compact "bits": an exponent byte and
 * a 23-bit mantissa with a sign bit that must be clear.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_POW_H
#define FTC_POW_H

#include "header.h"
#include "u256.h"

/* 2^256 / 2^20 - 1 rounded to compact form: about 2^20 attempts. */
#define FTC_POW_BITS_DEFAULT	0x1e0fffff

/*
 * The target of compact bits.  FTC_OUT_OF_RANGE if negative, zero or above
 * 2^256 - 1.  Non-minimal encodings are accepted here; blocks may only carry
 * what ftc_pow_to_bits gives.
 */
extern FtcReason ftc_pow_target(uint32_t bits, FtcU256 *target);
extern uint32_t ftc_pow_to_bits(const FtcU256 *target);

/* Bits in the one form a header may carry: valid, and re-encoding to itself. */
extern FtcReason ftc_pow_check_bits(uint32_t bits);

/* floor(2^256 / (target + 1)), the expected attempts; 0 for invalid bits. */
extern FtcU256 ftc_pow_work(uint32_t bits);

extern bool ftc_pow_meets(const FtcHash *id, uint32_t bits);

/*
 * The bits a child of the block (height, time) must carry, by aserti3-2d
 * (bitcoincashorg, spec/2020-11-15-asert.md), exact integers, division
 * truncating toward zero.  Times, spacing and half_life in one unit, whichever;
 * spacing and half_life from 1 to FTC_INTERVAL_MAX, so that 128 bits hold all.
 * Never easier than limit_bits.
 */
#define FTC_INTERVAL_MAX	INT64_C(31557600000000) /* a year, in us */

typedef struct FtcAnchor
{
	uint64_t	height;
	int64_t		parent_time;	/* of the anchor's parent */
	uint32_t	bits;
} FtcAnchor;

extern uint32_t ftc_pow_next_bits(const FtcAnchor *anchor, uint64_t height, int64_t time,
								  int64_t spacing, int64_t half_life, uint32_t limit_bits);

#endif							/* FTC_POW_H */

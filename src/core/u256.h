/*-------------------------------------------------------------------------
 *
 * u256.h
 *	  Unsigned 256-bit integers: what targets and work need, no more.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_U256_H
#define FTC_U256_H

#include "types.h"

typedef struct FtcU256
{
	uint64_t	w[4];			/* w[0] is the least significant word */
} FtcU256;

extern FtcU256 ftc_u256_from_u64(uint64_t value);
extern FtcU256 ftc_u256_from_hash(const FtcHash *hash); /* big endian */
extern FtcHash ftc_u256_to_hash(const FtcU256 *a);	/* big endian */
extern int	ftc_u256_compare(const FtcU256 *a, const FtcU256 *b);
extern bool ftc_u256_is_zero(const FtcU256 *a);
extern int	ftc_u256_bits(const FtcU256 *a);	/* position of the top bit + 1 */

/* Bits shifted out are lost; a shift of 256 or more gives zero. */
extern FtcU256 ftc_u256_shift_left(const FtcU256 *a, unsigned n);
extern FtcU256 ftc_u256_shift_right(const FtcU256 *a, unsigned n);

/* The sum, or 2^256 - 1 where that is exceeded. */
extern FtcU256 ftc_u256_add(const FtcU256 *a, const FtcU256 *b);

/* a times factor: the low 256 bits, and what is above them in *high. */
extern FtcU256 ftc_u256_mul_u64(const FtcU256 *a, uint64_t factor, uint64_t *high);

/* floor(a / b); b is not zero. */
extern FtcU256 ftc_u256_div(const FtcU256 *a, const FtcU256 *b);

#endif							/* FTC_U256_H */

/*-------------------------------------------------------------------------
 *
 * naive.h
 *	  Numbers of any size, done the slow way: base 256, digit by digit.
 *
 * The tests of u256.c and pow.c compare with these; they share nothing with
 * what they test.
 *
 *-------------------------------------------------------------------------
 */
#ifndef NAIVE_H
#define NAIVE_H

#include "u256.h"

#define BIG_DIGITS 80			/* 640 bits: no product here comes near */

typedef struct Big
{
	uint8_t		d[BIG_DIGITS];	/* d[0] is the least significant digit */
} Big;

extern Big	big_of(uint64_t value);
extern Big	big_of_u256(const FtcU256 *a);
extern int	big_compare(const Big *a, const Big *b);
extern Big	big_add(const Big *a, const Big *b);
extern Big	big_subtract(const Big *a, const Big *b);
extern Big	big_multiply(const Big *a, const Big *b);

/* By two to the n, n below zero dividing and rounding down. */
extern Big	big_scale(const Big *a, int n);

/* floor(a / b), by subtracting as often as it goes. */
extern Big	big_divide(const Big *a, const Big *b);

/* Is the number below 2^256, and if so, which is it? */
extern bool big_fits(const Big *a);
extern FtcU256 big_to_u256(const Big *a);

#endif							/* NAIVE_H */

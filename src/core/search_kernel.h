/*-------------------------------------------------------------------------
 *
 * search_kernel.h
 *	  What the kernels of the search share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SEARCH_KERNEL_H
#define FTC_SEARCH_KERNEL_H

#include "search.h"

#define FTC_ROTR(x, n)	((x) >> (n) | (x) << (32 - (n)))

/* FIPS 180-4, section 4.1.2: the functions of the message schedule... */
#define FTC_SIGMA0(x)	(FTC_ROTR(x, 7) ^ FTC_ROTR(x, 18) ^ (x) >> 3)
#define FTC_SIGMA1(x)	(FTC_ROTR(x, 17) ^ FTC_ROTR(x, 19) ^ (x) >> 10)

/* ... and section 4.2.2: the constants of the rounds. */
extern const uint32_t ftc_round_constants[64];

/* The rounds from .. to - 1 of state a .. h on a message schedule. */
extern void ftc_rounds(uint32_t state[8], const uint32_t *schedule, int from, int to);

extern const FtcKernel ftc_kernel_portable;
#ifdef __x86_64__
extern const FtcKernel ftc_kernel_avx512;
extern const FtcKernel ftc_kernel_avx2;
extern const FtcKernel ftc_kernel_sha_ni;
#endif

#endif							/* FTC_SEARCH_KERNEL_H */

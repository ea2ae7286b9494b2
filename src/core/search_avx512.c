/*-------------------------------------------------------------------------
 *
 * search_avx512.c
 *	  The search by AVX-512, sixteen attempts at a time.
 *
 * It rotates in one instruction, and has every function of three bits in one.
 *
 *-------------------------------------------------------------------------
 */
#ifdef __x86_64__

#include <immintrin.h>

#include "search_kernel.h"

#define TARGET __attribute__((target("avx512f")))
#define INLINE static inline __attribute__((always_inline)) TARGET

/* Functions of three bits, as the instruction counts them. */
#define XOR3		0x96
#define CHOICE		0xca
#define MAJORITY	0xe8

#define add(a, b)			_mm512_add_epi32((a), (b))
#define rotr(x, n)			_mm512_ror_epi32((x), (n))
#define bitwise(f, a, b, c) _mm512_ternarylogic_epi32((a), (b), (c), (f))

INLINE __m512i
sigma0(__m512i x)
{
	return bitwise(XOR3, rotr(x, 7), rotr(x, 18), _mm512_srli_epi32(x, 3));
}

INLINE __m512i
sigma1(__m512i x)
{
	return bitwise(XOR3, rotr(x, 17), rotr(x, 19), _mm512_srli_epi32(x, 10));
}

/* Round t; s[0] is where a is at first, and moves down by one each round. */
INLINE void
round_on(__m512i s[8], int t, __m512i w)
{
#define S(i) s[((i) - t) & 7]
	__m512i		e = S(4);
	__m512i		a = S(0);
	__m512i		wk = add(w, _mm512_set1_epi32((int) ftc_round_constants[t]));
	__m512i		t1 = add(add(S(7), wk), add(bitwise(CHOICE, e, S(5), S(6)),
											bitwise(XOR3, rotr(e, 6), rotr(e, 11), rotr(e, 25))));

	S(3) = add(S(3), t1);
	S(7) = add(t1, add(bitwise(XOR3, rotr(a, 2), rotr(a, 13), rotr(a, 22)), bitwise(MAJORITY, a, S(1), S(2))));
#undef S
}

INLINE void
schedule(__m512i w[16], int t)
{
	w[t & 15] = add(add(w[t & 15], sigma0(w[(t + 1) & 15])), add(w[(t + 9) & 15], sigma1(w[(t + 14) & 15])));
}

/* The first words of sixteen digests. */
INLINE __m512i
attempt(const FtcTail *tail, __m512i nonce)
{
	__m512i		s[8];
	__m512i		w[16];

#pragma GCC unroll 16
	for (int i = 0; i < 16; i++)
		w[i] = i == 11 ? nonce : _mm512_set1_epi32((int) tail->word[i]);
	/* as round 10 has them */
#pragma GCC unroll 8
	for (int i = 0; i < 8; i++)
		s[(i - 10) & 7] = _mm512_set1_epi32((int) tail->state[i]);
#pragma GCC unroll 6
	for (int t = 10; t < 16; t++)
		round_on(s, t, w[t]);
#pragma GCC unroll 48
	for (int t = 16; t < 64; t++)
	{
		schedule(w, t);
		round_on(s, t, w[t & 15]);
	}
	return add(s[0], _mm512_set1_epi32((int) tail->midstate[0]));
}

TARGET static uint64_t
scan(const FtcTail *tail, uint32_t first, uint64_t n)
{
	const		__m512i steps = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	const		__m512i most = _mm512_set1_epi32((int) tail->most);

	for (uint64_t i = 0; i < n; i += 16)
	{
		__m512i		nonce = add(_mm512_set1_epi32((int) (first + (uint32_t) i)), steps);
		unsigned	mask = _mm512_cmple_epu32_mask(attempt(tail, nonce), most);

		if (__builtin_expect(mask != 0, 0))
		{
			uint64_t	at = i + (unsigned) __builtin_ctz(mask);

			return at < n ? at : n;
		}
	}
	return n;
}

static bool
is_supported(void)
{
	return __builtin_cpu_supports("avx512f");
}

const FtcKernel ftc_kernel_avx512 = {"avx512", 16, is_supported, scan};

#endif							/* __x86_64__ */

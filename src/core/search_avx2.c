/*-------------------------------------------------------------------------
 *
 * search_avx2.c
 *	  The search by AVX2, eight attempts at a time.
 *
 *-------------------------------------------------------------------------
 */
#ifdef __x86_64__

#include <immintrin.h>

#include "search_kernel.h"

#define TARGET __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline)) TARGET

INLINE __m256i
rotr(__m256i x, int n)
{
	return _mm256_or_si256(_mm256_srli_epi32(x, n), _mm256_slli_epi32(x, 32 - n));
}

INLINE __m256i
xor3(__m256i a, __m256i b, __m256i c)
{
	return _mm256_xor_si256(a, _mm256_xor_si256(b, c));
}

INLINE __m256i
add3(__m256i a, __m256i b, __m256i c)
{
	return _mm256_add_epi32(a, _mm256_add_epi32(b, c));
}

INLINE __m256i
sigma0(__m256i x)
{
	return xor3(rotr(x, 7), rotr(x, 18), _mm256_srli_epi32(x, 3));
}

INLINE __m256i
sigma1(__m256i x)
{
	return xor3(rotr(x, 17), rotr(x, 19), _mm256_srli_epi32(x, 10));
}

/* Round t; s[0] is where a is at first, and moves down by one each round. */
INLINE void
round_on(__m256i s[8], int t, __m256i w)
{
#define S(i) s[((i) - t) & 7]
	__m256i		e = S(4);
	__m256i		a = S(0);
	__m256i		wk = _mm256_add_epi32(w, _mm256_set1_epi32((int) ftc_round_constants[t]));
	__m256i		choice = _mm256_xor_si256(S(6), _mm256_and_si256(e, _mm256_xor_si256(S(5), S(6))));
	__m256i		majority = _mm256_or_si256(_mm256_and_si256(a, S(1)),
										   _mm256_and_si256(S(2), _mm256_or_si256(a, S(1))));
	__m256i		t1 = add3(_mm256_add_epi32(S(7), wk), xor3(rotr(e, 6), rotr(e, 11), rotr(e, 25)), choice);

	S(3) = _mm256_add_epi32(S(3), t1);
	S(7) = add3(t1, xor3(rotr(a, 2), rotr(a, 13), rotr(a, 22)), majority);
#undef S
}

INLINE void
schedule(__m256i w[16], int t)
{
	w[t & 15] = _mm256_add_epi32(add3(w[t & 15], sigma0(w[(t + 1) & 15]), w[(t + 9) & 15]),
								 sigma1(w[(t + 14) & 15]));
}

/* The first words of eight digests. */
INLINE __m256i
attempt(const FtcTail *tail, __m256i nonce)
{
	__m256i		s[8];
	__m256i		w[16];

	for (int i = 0; i < 16; i++)
		w[i] = i == 11 ? nonce : _mm256_set1_epi32((int) tail->word[i]);
	/* as round 10 has them */
#pragma GCC unroll 8
	for (int i = 0; i < 8; i++)
		s[(i - 10) & 7] = _mm256_set1_epi32((int) tail->state[i]);
#pragma GCC unroll 6
	for (int t = 10; t < 16; t++)
		round_on(s, t, w[t]);
#pragma GCC unroll 48
	for (int t = 16; t < 64; t++)
	{
		schedule(w, t);
		round_on(s, t, w[t & 15]);
	}
	return _mm256_add_epi32(s[0], _mm256_set1_epi32((int) tail->midstate[0]));
}

TARGET static uint64_t
scan(const FtcTail *tail, uint32_t first, uint64_t n)
{
	const		__m256i steps = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	const		__m256i most = _mm256_set1_epi32((int) tail->most);

	for (uint64_t i = 0; i < n; i += 8)
	{
		__m256i		nonce = _mm256_add_epi32(_mm256_set1_epi32((int) (first + (uint32_t) i)), steps);
		__m256i		word = attempt(tail, nonce);
		__m256i		pass = _mm256_cmpeq_epi32(_mm256_min_epu32(word, most), word);
		unsigned	mask = (unsigned) _mm256_movemask_ps(_mm256_castsi256_ps(pass));

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
	return __builtin_cpu_supports("avx2");
}

const FtcKernel ftc_kernel_avx2 = {"avx2", 8, is_supported, scan};

#endif							/* __x86_64__ */

/*-------------------------------------------------------------------------
 *
 * search_sha_ni.c
 *	  The search by the SHA extensions of x86, two attempts at a time.
 *
 * One instruction does two rounds.  The next two need its result, which takes
 * it four cycles; meanwhile the processor works on another attempt.  More than
 * two gain nothing: these instructions are then what limits it.
 *
 * Only word 11 of the message changes from one attempt to the next, so that of
 * the schedule's words 16 .. 31 many are the same for all attempts, or are up
 * to a sum.
 *
 *-------------------------------------------------------------------------
 */
#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>

#include "search_kernel.h"

#define TARGET __attribute__((target("sha,sse4.1")))
#define INLINE static inline __attribute__((always_inline)) TARGET

/* One attempt: a, b, e, f and c, d, g, h, and the last 16 words scheduled. */
typedef struct Lane
{
	__m128i		abef;
	__m128i		cdgh;
	__m128i		w[4];			/* four words each, the lowest first */
} Lane;

/* What is the same for all attempts. */
typedef struct Constants
{
	__m128i		abef;			/* after ten rounds */
	__m128i		cdgh;
	__m128i		wk10;			/* words and round constants of rounds 10, 11 */
	__m128i		wk12;			/* 12 .. 15 */
	__m128i		wk14;
	__m128i		w8;				/* words 8 .. 11, the nonce's low one being 0 */
	__m128i		w12;			/* 12 .. 15 */
	__m128i		w16;			/* 16 .. 19, but for the nonce in 18 */
	__m128i		part20;			/* of 20 .. 23: all but sigma1 */
	__m128i		part28;			/* of 28 .. 31: words 12 .. 15, sigma0 */
} Constants;

TARGET static void
set_constants(Constants *c, const FtcTail *tail)
{
	const uint32_t *s = tail->state;
	const uint32_t *k = ftc_round_constants;
	const uint32_t *w = tail->word;
	uint32_t	w16 = FTC_SIGMA1(w[14]) + w[9] + FTC_SIGMA0(w[1]) + w[0];
	uint32_t	w17 = FTC_SIGMA1(w[15]) + w[10] + FTC_SIGMA0(w[2]) + w[1];
	uint32_t	w18 = FTC_SIGMA1(w16) + FTC_SIGMA0(w[3]) + w[2];
	uint32_t	w19 = FTC_SIGMA1(w17) + w[12] + FTC_SIGMA0(w[4]) + w[3];

#define FOUR(a, b, c, d) _mm_set_epi32((int) (d), (int) (c), (int) (b), (int) (a))
	c->abef = FOUR(s[5], s[4], s[1], s[0]);
	c->cdgh = FOUR(s[7], s[6], s[3], s[2]);
	c->wk10 = FOUR(w[10] + k[10], k[11], 0, 0);
	c->wk12 = FOUR(w[12] + k[12], w[13] + k[13], w[14] + k[14], w[15] + k[15]);
	c->wk14 = _mm_shuffle_epi32(c->wk12, 0x0e);
	c->w8 = FOUR(w[8], w[9], w[10], 0);
	c->w12 = FOUR(w[12], w[13], w[14], w[15]);
	c->w16 = FOUR(w16, w17, w18, w19);
	c->part20 = FOUR(w[13] + FTC_SIGMA0(w[5]) + w[4], w[14] + FTC_SIGMA0(w[6]) + w[5],
					 w[15] + FTC_SIGMA0(w[7]) + w[6], w16 + FTC_SIGMA0(w[8]) + w[7]);
	c->part28 = FOUR(FTC_SIGMA0(w[13]) + w[12], FTC_SIGMA0(w[14]) + w[13],
					 FTC_SIGMA0(w[15]) + w[14], FTC_SIGMA0(w16) + w[15]);
#undef FOUR
}

/* Four rounds, 4 i .. 4 i + 3. */
INLINE void
rounds(Lane *l, int i)
{
	const		__m128i *k = (const __m128i *) ftc_round_constants;
	__m128i		wk = _mm_add_epi32(l->w[i % 4], _mm_load_si128(&k[i]));

	l->cdgh = _mm_sha256rnds2_epu32(l->cdgh, l->abef, wk);
	l->abef = _mm_sha256rnds2_epu32(l->abef, l->cdgh, _mm_shuffle_epi32(wk, 0x0e));
}

/* Rounds 10 .. 15, whose words are known but for the nonce. */
INLINE void
first_rounds(Lane *l, const Constants *c, uint32_t nonce)
{
	__m128i		n = _mm_cvtsi32_si128((int) nonce);
	__m128i		efgh;

	l->cdgh = _mm_sha256rnds2_epu32(c->cdgh, c->abef, _mm_add_epi32(c->wk10, _mm_slli_si128(n, 4)));
	efgh = _mm_sha256rnds2_epu32(c->abef, l->cdgh, c->wk12);
	l->abef = _mm_sha256rnds2_epu32(l->cdgh, efgh, c->wk14);
	l->cdgh = efgh;
	l->w[0] = _mm_add_epi32(c->w16, _mm_slli_si128(n, 8));
	l->w[2] = _mm_add_epi32(c->w8, _mm_slli_si128(n, 12));
}

/* Words 4 i .. 4 i + 3 of the schedule, by words 4 i - 16 ... */
INLINE void
schedule(Lane *l, int i)
{
	__m128i		part = _mm_sha256msg1_epu32(l->w[i % 4], l->w[(i + 1) % 4]);

	part = _mm_add_epi32(part, _mm_alignr_epi8(l->w[(i + 3) % 4], l->w[(i + 2) % 4], 4));
	l->w[i % 4] = _mm_sha256msg2_epu32(part, l->w[(i + 3) % 4]);
}

/* ... and by what is known of them: 20 .. 23, 24 .. 27, 28 .. 31. */
INLINE void
schedule_20(Lane *l, const Constants *c)
{
	l->w[1] = _mm_sha256msg2_epu32(c->part20, l->w[0]);
}

INLINE void
schedule_24(Lane *l, const Constants *c)
{
	__m128i		part = _mm_sha256msg1_epu32(l->w[2], c->w12);

	part = _mm_add_epi32(part, _mm_alignr_epi8(l->w[1], l->w[0], 4));
	l->w[2] = _mm_sha256msg2_epu32(part, l->w[1]);
}

INLINE void
schedule_28(Lane *l, const Constants *c)
{
	__m128i		part = _mm_add_epi32(c->part28, _mm_alignr_epi8(l->w[2], l->w[1], 4));

	l->w[3] = _mm_sha256msg2_epu32(part, l->w[2]);
}

TARGET static uint64_t
scan(const FtcTail *tail, uint32_t first, uint64_t n)
{
	Constants	c;
	uint32_t	most = tail->most;
	uint32_t	base = tail->midstate[0];

	set_constants(&c, tail);
	for (uint64_t i = 0; i < n; i += 2)
	{
		Lane		l0;
		Lane		l1;
		uint32_t	a0;
		uint32_t	a1;

		first_rounds(&l0, &c, first + (uint32_t) i);
		first_rounds(&l1, &c, first + (uint32_t) i + 1);
		rounds(&l0, 4);
		rounds(&l1, 4);
		schedule_20(&l0, &c);
		rounds(&l0, 5);
		schedule_20(&l1, &c);
		rounds(&l1, 5);
		schedule_24(&l0, &c);
		rounds(&l0, 6);
		schedule_24(&l1, &c);
		rounds(&l1, 6);
		schedule_28(&l0, &c);
		rounds(&l0, 7);
		schedule_28(&l1, &c);
		rounds(&l1, 7);
#pragma GCC unroll 8
		for (int at = 8; at < 16; at++)
		{
			schedule(&l0, at);
			rounds(&l0, at);
			schedule(&l1, at);
			rounds(&l1, at);
		}
		a0 = (uint32_t) _mm_extract_epi32(l0.abef, 3) + base;
		a1 = (uint32_t) _mm_extract_epi32(l1.abef, 3) + base;
		if (__builtin_expect(a0 <= most || a1 <= most, 0))
			return a0 <= most ? i : i + 1 < n ? i + 1 : n;
	}
	return n;
}

static bool
is_supported(void)
{
	unsigned	a,
				b,
				c,
				d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

const FtcKernel ftc_kernel_sha_ni = {"sha_ni", 2, is_supported, scan};

#endif							/* __x86_64__ */

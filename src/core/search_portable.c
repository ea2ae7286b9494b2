/*-------------------------------------------------------------------------
 *
 * search_portable.c
 *	  The search in plain C.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "search_kernel.h"

static bool
is_supported(void)
{
	return true;
}

static uint64_t
scan(const FtcTail *tail, uint32_t first, uint64_t n)
{
	uint32_t	w[64];

	memcpy(w, tail->word, sizeof(tail->word));
	for (uint64_t i = 0; i < n; i++)
	{
		uint32_t	state[8];

		w[11] = first + (uint32_t) i;
		for (int t = 16; t < 64; t++)
			w[t] = FTC_SIGMA1(w[t - 2]) + w[t - 7] + FTC_SIGMA0(w[t - 15]) + w[t - 16];
		memcpy(state, tail->state, sizeof(state));
		ftc_rounds(state, w, 10, 64);
		if (state[0] + tail->midstate[0] <= tail->most)
			return i;
	}
	return n;
}

const FtcKernel ftc_kernel_portable = {"portable", 1, is_supported, scan};

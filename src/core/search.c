/*-------------------------------------------------------------------------
 *
 * search.c
 *	  The search for a proof of work, as fast as the processor can.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "bytes.h"
#include "pow.h"
#include "search_kernel.h"
#include "sha256.h"

#define BLOCK_LEN	64
#define TAIL_AT		(FTC_HEADER_LEN - FTC_HEADER_LEN % BLOCK_LEN)
#define NONCE_HIGH	10
#define NONCE_LOW	11

_Static_assert(FTC_HEADER_LEN - TAIL_AT == 4 * (NONCE_LOW + 1), "the nonce ends the header");

const FtcKernel *const ftc_kernels[FTC_KERNELS_MAX + 1] = {
#ifdef __x86_64__
	&ftc_kernel_avx512,
	&ftc_kernel_sha_ni,
	&ftc_kernel_avx2,
#endif
	&ftc_kernel_portable,
};

const uint32_t ftc_round_constants[64]
__attribute__((aligned(64))) =
{
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
		0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
		0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
		0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
		0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
		0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
		0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
		0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

/* FIPS 180-4, section 6.2.2, step 3 */
void
ftc_rounds(uint32_t state[8], const uint32_t *schedule, int from, int to)
{
	uint32_t	a = state[0],
				b = state[1],
				c = state[2],
				d = state[3],
				e = state[4],
				f = state[5],
				g = state[6],
				h = state[7];

	for (int i = from; i < to; i++)
	{
		uint32_t	t1 = h + (FTC_ROTR(e, 6) ^ FTC_ROTR(e, 11) ^ FTC_ROTR(e, 25)) +
		(g ^ (e & (f ^ g))) + ftc_round_constants[i] + schedule[i];
		uint32_t	t2 = (FTC_ROTR(a, 2) ^ FTC_ROTR(a, 13) ^ FTC_ROTR(a, 22)) +
		((a & b) | (c & (a | b)));

		h = g;
		g = f;
		f = e;
		e = d + t1;
		d = c;
		c = b;
		b = a;
		a = t1 + t2;
	}
	state[0] = a;
	state[1] = b;
	state[2] = c;
	state[3] = d;
	state[4] = e;
	state[5] = f;
	state[6] = g;
	state[7] = h;
}

static uint32_t
load_word(const uint8_t *bytes)
{
	return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 | bytes[3];
}

/* Behind the header comes the padding: a bit, and the length in bits. */
FtcReason
ftc_search_prepare(FtcTail *tail, const FtcHeader *header)
{
	FtcU256		target;
	FtcReason	reason = ftc_pow_target(header->bits, &target);
	uint8_t		bytes[FTC_HEADER_LEN];

	if (reason != FTC_OK)
		return reason;
	memset(tail, 0, sizeof(*tail));
	ftc_header_encode(header, bytes);
	ftc_sha256_start(tail->midstate);
	for (int at = 0; at < TAIL_AT; at += BLOCK_LEN)
		ftc_sha256_compress(tail->midstate, bytes + at);
	for (int i = 0; i <= NONCE_HIGH; i++)
		tail->word[i] = load_word(bytes + TAIL_AT + 4 * i);
	tail->word[NONCE_LOW + 1] = UINT32_C(1) << 31;
	tail->word[15] = FTC_HEADER_LEN * 8;
	memcpy(tail->state, tail->midstate, sizeof(tail->state));
	ftc_rounds(tail->state, tail->word, 0, NONCE_HIGH);
	tail->most = (uint32_t) (target.w[3] >> 32);
	return FTC_OK;
}

bool
ftc_search(const FtcKernel *kernel, FtcHeader *header, uint64_t attempts)
{
	FtcTail		tail;

	if (ftc_search_prepare(&tail, header) != FTC_OK)
		return false;
	while (attempts > 0)
	{
		uint32_t	low = (uint32_t) header->nonce;
		uint64_t	left = (UINT64_C(1) << 32) - low;
		uint64_t	n = attempts < left ? attempts : left;
		uint64_t	passed;
		FtcHash		id;

		tail.word[NONCE_HIGH] = (uint32_t) (header->nonce >> 32);
		passed = kernel->scan(&tail, low, n);
		header->nonce += passed;
		attempts -= passed;
		if (passed == n)
			continue;
		id = ftc_header_id(header);
		if (ftc_pow_meets(&id, header->bits))
			return true;
		header->nonce++;
		attempts--;
	}
	return false;
}

/* ----------------------------------------------------------------
 *		Which kernel
 * ----------------------------------------------------------------
 */

#define CHECK_HEADERS	4
#define CHECK_NONCES	32		/* many times the most lanes */

/* The first words of the ids of a header with one nonce after the other. */
static void
find_words(FtcHeader header, uint32_t words[CHECK_NONCES])
{
	for (int i = 0; i < CHECK_NONCES; i++, header.nonce++)
	{
		FtcHash		id = ftc_header_id(&header);

		words[i] = load_word(id.b);
	}
}

static uint64_t
count_before(const uint32_t *words, uint64_t n, uint32_t most)
{
	uint64_t	i = 0;

	while (i < n && words[i] > most)
		i++;
	return i;
}

/* Each of the nonces is to be found, from wherever it is the first. */
static bool
check_scan(const FtcKernel *kernel, FtcTail *tail, uint32_t first, const uint32_t words[CHECK_NONCES])
{
	for (uint32_t which = 0; which < CHECK_NONCES; which++)
		for (uint32_t from = 0; from <= which; from++)
		{
			uint64_t	n = CHECK_NONCES - from;

			tail->most = words[which];
			if (kernel->scan(tail, first + from, n) != count_before(words + from, n, tail->most))
				return false;
		}
	return true;
}

bool
ftc_kernel_check(const FtcKernel *kernel)
{
	FtcHeader	header;

	memset(&header, 0, sizeof(header));
	header.version = FTC_HEADER_VERSION;
	header.bits = FTC_POW_BITS_DEFAULT;
	for (int i = 0; i < CHECK_HEADERS; i++)
	{
		uint32_t	words[CHECK_NONCES];
		FtcTail		tail;

		find_words(header, words);
		if (ftc_search_prepare(&tail, &header) != FTC_OK ||
			!check_scan(kernel, &tail, (uint32_t) header.nonce, words))
			return false;
		/* the next header is as good as random */
		header.prev = ftc_header_id(&header);
		header.nonce += UINT64_C(0x9e3779b97f4a7c00);
	}
	return true;
}

const FtcKernel *
ftc_kernel_find(const char *name)
{
	for (int i = 0; ftc_kernels[i] != NULL; i++)
		if (strcmp(ftc_kernels[i]->name, name) == 0)
			return ftc_kernels[i];
	return NULL;
}

const FtcKernel *
ftc_kernel_best(void)
{
	for (int i = 0; ftc_kernels[i] != NULL; i++)
		if (ftc_kernels[i]->is_supported() && ftc_kernel_check(ftc_kernels[i]))
			return ftc_kernels[i];
	return &ftc_kernel_portable;
}

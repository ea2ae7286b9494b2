/*-------------------------------------------------------------------------
 *
 * search.h
 *	  The search for a proof of work, as fast as the processor can.
 *
 * A header has 240 bytes: with its padding, four blocks of SHA-256 (FIPS
 * 180-4).  The nonce is its end, in the last two words of the message, so all
 * but the last block is compressed once (the midstate), and of that block ten
 * rounds, too: one attempt is 54 rounds.
 *
 * A kernel is one way to run them.  It looks at nothing but the first word of a
 * digest; whatever passes there is hashed again, by OpenSSL, and compared.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SEARCH_H
#define FTC_SEARCH_H

#include "header.h"

/* The last block of a header, prepared.  Words are those of FIPS 180-4. */
typedef struct FtcTail
{
	uint32_t	midstate[8];	/* a .. h after the blocks before it */
	uint32_t	word[16];		/* of the message; the nonce is 10 and 11 */
	uint32_t	state[8];		/* a .. h after its first ten rounds */
	uint32_t	most;			/* the digest's first word is not to be above */
} FtcTail;

/* What ftc_pow_target says of the header's bits. */
extern FtcReason ftc_search_prepare(FtcTail *tail, const FtcHeader *header);

typedef struct FtcKernel
{
	const char *name;
	int			lanes;			/* attempts at a time */
	bool		(*is_supported) (void); /* by this processor */

	/*
	 * Try low words first .. first + n - 1 of the nonce, n > 0 and none of
	 * them above 2^32 - 1; tail->word[10] is the high one, and 11 means
	 * nothing.  Gives how many come before the first that passes; n if none
	 * does.
	 */
	uint64_t	(*scan) (const FtcTail *tail, uint32_t first, uint64_t n);
} FtcKernel;

/* All that this was compiled with, the fastest first. */
#define FTC_KERNELS_MAX 4
extern const FtcKernel *const ftc_kernels[FTC_KERNELS_MAX + 1]; /* ends with NULL */

/* Does it find, in each of its lanes, what OpenSSL finds? */
extern bool ftc_kernel_check(const FtcKernel *kernel);

/* By name; NULL if there is none, whether this processor supports it or not. */
extern const FtcKernel *ftc_kernel_find(const char *name);

/* The first that is supported and passes the check.  Never NULL. */
extern const FtcKernel *ftc_kernel_best(void);

/*
 * Try header->nonce .. header->nonce + attempts - 1, modulo 2^64.  True if one
 * meets the header's bits: it is then in header->nonce; else header->nonce is
 * the next one to try.  False at once if the bits are not valid.
 */
extern bool ftc_search(const FtcKernel *kernel, FtcHeader *header, uint64_t attempts);

#endif							/* FTC_SEARCH_H */

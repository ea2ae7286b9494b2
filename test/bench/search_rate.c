/*-------------------------------------------------------------------------
 *
 * search_rate.c
 *	  How fast proof of work is searched for, outside of any server.
 *
 * Usage: search_rate --list
 *		  search_rate KERNEL SECONDS
 *
 * The first prints the kernels that this processor has, the fastest first.  The
 * second prints attempts per second of processor time, and cycles of the time
 * stamp counter for each.  The kernel "openssl" is the plainest search: copy a
 * midstate, compress one block that holds a counter by SHA256_Transform().
 *
 *-------------------------------------------------------------------------
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __x86_64__
#include <x86intrin.h>
#define cycles() __rdtsc()
#else
#define cycles() UINT64_C(0)
#endif

#include "search.h"

#define SLICE (1 << 17)			/* attempts between two looks at the clock */

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void
slice_openssl(void)
{
	static uint64_t n = 0;
	static uint32_t used = 0;
	SHA256_CTX	midstate;
	unsigned char block[SHA256_CBLOCK] = {0};

	SHA256_Init(&midstate);
	for (int i = 0; i < SLICE; i++, n++)
	{
		SHA256_CTX	ctx;

		memcpy(ctx.h, midstate.h, sizeof(ctx.h));
		memcpy(block + SHA256_CBLOCK - sizeof(n), &n, sizeof(n));
		SHA256_Transform(&ctx, block);
		used |= ctx.h[0];
	}
	/* what nobody uses need not be computed */
	if (used == 0)
		abort();
}

static void
slice_kernel(const FtcKernel *kernel)
{
	static FtcHeader header = {.version = FTC_HEADER_VERSION,.bits = 0x01010000};

	if (ftc_search(kernel, &header, SLICE))
		abort();
}

static int
list(void)
{
	for (int i = 0; ftc_kernels[i] != NULL; i++)
		if (ftc_kernels[i]->is_supported() && ftc_kernel_check(ftc_kernels[i]))
			puts(ftc_kernels[i]->name);
	return 0;
}

int
main(int argc, char **argv)
{
	const FtcKernel *kernel = argc == 3 ? ftc_kernel_find(argv[1]) : NULL;
	double		most = argc == 3 ? strtod(argv[2], NULL) : 0;
	double		start;
	double		took;
	uint64_t	first;
	uint64_t	n = 0;

	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	if (most <= 0 || (kernel == NULL && strcmp(argv[1], "openssl") != 0) ||
		(kernel != NULL && !kernel->is_supported()))
	{
		fprintf(stderr, "usage: search_rate --list | search_rate KERNEL SECONDS\n");
		return 2;
	}
	start = seconds();
	first = cycles();
	do
	{
		if (kernel == NULL)
			slice_openssl();
		else
			slice_kernel(kernel);
		n += SLICE;
		took = seconds() - start;
	} while (took < most);
	printf("%.0f %.1f\n", n / took, (double) (cycles() - first) / n);
	return 0;
}

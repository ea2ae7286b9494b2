/*-------------------------------------------------------------------------
 *
 * sha256_transform.c
 *	  How many SHA-256 compressions OpenSSL does in a second.
 *
 * Usage: sha256_transform SECONDS
 *
 * The plainest search for a proof of work: copy a midstate, compress one
 * block that holds a counter.  Prints compressions per second of processor
 * time.
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

#define SLICE (1 << 16)			/* compressions between two looks at the clock */

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	double		most = argc == 2 ? strtod(argv[1], NULL) : 0;
	double		start = seconds();
	double		took;
	SHA256_CTX	midstate;
	unsigned char block[SHA256_CBLOCK] = {0};
	uint64_t	n = 0;
	uint32_t	used = 0;

	if (most <= 0)
	{
		fprintf(stderr, "usage: sha256_transform SECONDS\n");
		return 2;
	}
	SHA256_Init(&midstate);
	do
	{
		for (int i = 0; i < SLICE; i++, n++)
		{
			SHA256_CTX	ctx;

			memcpy(ctx.h, midstate.h, sizeof(ctx.h));
			memcpy(block + SHA256_CBLOCK - sizeof(n), &n, sizeof(n));
			SHA256_Transform(&ctx, block);
			used |= ctx.h[0];
		}
		took = seconds() - start;
	} while (took < most);
	printf("%.0f\n", n / took);
	/* so that no compiler leaves the work out */
	return used == 0;
}

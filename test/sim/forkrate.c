/*-------------------------------------------------------------------------
 *
 * forkrate.c
 *	  How many blocks are for nothing, against arithmetic.
 *
 * N members of equal hash rate, each connected with each; a block needs D to
 * reach the others.  All are always mining, and the difficulty stays, so blocks
 * are found as a Poisson process with mean interval T, each by any member with
 * the same chance; and since all blocks have the same work, the main chain is in
 * the end one block of each height.  Which share of all blocks is not on it?
 *
 * Let H be the greatest height so far.  When it rises, with a block of member i,
 * i alone is there; the others are there D later.  Until then a block of another
 * member j is a rival of height H at most; but if it has height H, j is there as
 * well.  So of the blocks found in that time the n-th raises H with probability
 * n / N, being found by one of the n who are there, and else adds one to them;
 * and after that time the next block raises H.  (Whoever is not there is taken to
 * be at H - 1.  After two rises within D he may be lower, and his block then adds
 * nobody; that is an error of second order in D / (N T).)
 *
 * With a = D / T and c(n) = (1 - 1/N)(1 - 2/N)...(1 - n/N), the chance that H has
 * not risen after n blocks within D, and P(n) = exp(-a) a^n / n!:
 *
 *	mean time between rises / T = sum of c(n) (P(n + 1) + P(n + 2) + ...)
 *								+ sum of c(n) P(n)
 *
 * The first sum is the time within D (the integral of the chance that H has not
 * risen), the second the mean wait T after D times the chance to get there.  The
 * share of blocks that are not on the main chain is 1 - 1 / that; for large N it
 * becomes a / (1 + a).
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define MEMBERS 8
#define MEAN (1 * SECOND)
#define BATCHES 40
#define BLOCKS 150				/* in a batch */
#define WARM_UP 100
#define SIGMAS 3.3				/* 99.9 % */

static Settings
scenario(double ratio, uint64_t seed)
{
	Settings	s = settings_of(seed);

	for (int i = 0; i < FAULT_COUNT; i++)
		settings_switch(&s, (Fault) i, false);
	s.members = s.appenders = MEMBERS;
	s.duration = NEVER;
	s.busy = s.light = true;
	s.window = CALLS_MAX;
	s.heartbeat = NEVER;
	s.delay_min = s.delay_max = (uint64_t) (ratio * (double) MEAN);
	/* far behind its schedule, so that the difficulty stays the least */
	s.params.spacing = 1;
	s.params.min_spacing = 1;
	s.params.half_life = HOUR;
	s.hash_rate = (double) ftc_pow_work(s.params.limit_bits).w[0] / ((double) MEAN / (double) SECOND);
	return s;
}

static double
expected(double a)
{
	double		c = 1;
	double		p = exp(-a);
	double		above = 1;
	double		mean = 0;

	for (int n = 0; n < 200; n++)
	{
		above -= p;				/* more than n */
		mean += c * (Max(above, 0) + p);
		c *= 1 - (double) (n + 1) / MEMBERS;
		c = Max(c, 0);
		p *= a / (n + 1);
	}
	return 1 - 1 / mean;
}

static void
run_blocks(World *w, uint32_t blocks)
{
	while (w->nblocks < blocks && w->failure[0] == '\0')
		run_until(w, w->now + MEAN / 10);
}

static bool
compare(double ratio, uint64_t seed)
{
	Settings	s = scenario(ratio, seed);
	World	   *w = world_new(&s, false, false);
	double		sum = 0;
	double		squares = 0;
	double		mean;
	double		error;
	bool		ok;

	run_begin(w);
	run_blocks(w, WARM_UP);
	for (int i = 0; i < BATCHES; i++)
	{
		uint32_t	blocks = w->nblocks;
		uint32_t	height = w->members[0].main.n;
		double		share;

		run_blocks(w, blocks + BLOCKS);
		share = 1 - (double) (w->members[0].main.n - height) / (w->nblocks - blocks);
		sum += share;
		squares += share * share;
	}
	mean = sum / BATCHES;
	error = SIGMAS * sqrt((squares / BATCHES - mean * mean) / (BATCHES - 1));
	ok = w->failure[0] == '\0' && fabs(mean - expected(ratio)) <= error;
	printf("%sok - D/T %.2f: of %d blocks %.4f are not on the main chain, +- %.4f; expected %.4f%s%s\n", ok ? "" : "not ",
		   ratio, BATCHES * BLOCKS, mean, error, expected(ratio), w->failure[0] != '\0' ? "; " : "", w->failure);
	world_free(w);
	return ok;
}

void
forkrate_run(int *passed, int *failed)
{
	static const double ratios[] = {0.02, 0.1, 0.3, 1};

	for (size_t i = 0; i < lengthof(ratios); i++)
	{
		bool		ok = compare(ratios[i], 1 + i);

		*passed += ok;
		*failed += !ok;
	}
}

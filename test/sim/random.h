/*-------------------------------------------------------------------------
 *
 * random.h
 *	  Chance that is the same each time: SplitMix64 from a seed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RANDOM_H
#define RANDOM_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Random
{
	uint64_t	state;
} Random;

static inline uint64_t
random_u64(Random *random)
{
	uint64_t	z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* One stream for each purpose, so that one does not disturb another. */
static inline Random
random_from(uint64_t seed, uint64_t purpose)
{
	Random		random = {seed * UINT64_C(0xd1342543de82ef95) + purpose};

	(void) random_u64(&random);
	return random;
}

static inline uint64_t
random_below(Random *random, uint64_t n)
{
	return n == 0 ? 0 : random_u64(random) % n;
}

static inline uint64_t
random_between(Random *random, uint64_t least, uint64_t most)
{
	return least + random_below(random, most - least + 1);
}

static inline bool
random_chance(Random *random, uint32_t permille)
{
	return random_below(random, 1000) < permille;
}

/* How long until the next event of a Poisson process with that mean interval. */
static inline uint64_t
random_wait(Random *random, double mean)
{
	double		u = (double) ((random_u64(random) >> 11) + 1) / 9007199254740993.0;

	return (uint64_t) (-log(u) * mean);
}

#endif							/* RANDOM_H */

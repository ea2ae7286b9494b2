/*-------------------------------------------------------------------------
 *
 * ring_rate.c
 *	  How fast and how even a ring is, beside other methods, without a server.
 *
 * Usage: ring_rate speed MEMBERS METHOD MS
 *		  ring_rate even MEMBERS RINGS
 *		  ring_rate moves MEMBERS COPIES
 *		  ring_rate size MEMBERS
 *
 * speed prints lookups per second of processor time.  Methods: first (the first
 * owner), zones (three owners in different zones of five), and others written
 * here, as plain as their authors have them: search (the same points, by binary
 * search, as std::lower_bound does it), zones-search (three owners so), jump
 * (Lamping and Veach 2014), rendezvous (Thaler and Ravishankar 1996).
 *
 * even prints the greatest share of any member against the mean, the median of
 * so many rings; moves the copies that move when one of the members goes, and
 * when it comes, each against R/N on average over members, the least and the
 * greatest, and what of it was needless; size bytes and ms to build.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arcs.h"
#include "bytes.h"
#include "ring.h"
#include "sha256.h"

#define KEYS (1 << 16)
#define ZONES 5
#define CIRCLE 18446744073709551616.0

static FtcRing ring;
static uint64_t keys[KEYS];

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static int
compare_members(const void *a, const void *b)
{
	return ftc_hash_compare(&((const FtcRingMember *) a)->id, &((const FtcRingMember *) b)->id);
}

static FtcRingMember *
make_members(uint32_t n, uint32_t seed)
{
	FtcRingMember *members = calloc(n, sizeof(*members));

	for (uint32_t i = 0; i < n; i++)
	{
		uint32_t	what[2] = {seed, i};

		members[i].id = ftc_sha256(ftc_slice((const uint8_t *) what, sizeof(what)));
		members[i].weight = 1;
		members[i].zone = (uint16_t) (i % ZONES);
	}
	qsort(members, n, sizeof(*members), compare_members);
	return members;
}

/* The memory stays: each of these programs runs for a moment. */
static void
build(FtcRing *into, const FtcRingMember *members, uint32_t n)
{
	void	   *scratch = malloc(ftc_ring_scratch_size(members, n) + 1);

	ftc_ring_build(into, members, n, malloc(ftc_ring_size(members, n)), scratch);
	free(scratch);
}

static void
drop(FtcRing *what)
{
	free(what->position);
}

/* ---- methods */

static uint32_t
search(uint64_t key)
{
	uint32_t	first = 0;
	uint32_t	left = ring.npoints;

	while (left > 0)
	{
		uint32_t	half = left / 2;

		if (ring.position[first + half] < key)
		{
			first += half + 1;
			left -= half + 1;
		}
		else
			left = half;
	}
	return first < ring.npoints ? first : 0;
}

static uint32_t
jump(uint64_t key, uint32_t buckets)
{
	int64_t		b = -1;
	int64_t		j = 0;

	while (j < buckets)
	{
		b = j;
		key = key * UINT64_C(2862933555777941757) + 1;
		j = (int64_t) ((double) (b + 1) * ((double) (INT64_C(1) << 31) / (double) ((key >> 33) + 1)));
	}
	return (uint32_t) b;
}

static uint32_t
rendezvous(uint64_t key, uint32_t n)
{
	uint64_t	most = 0;
	uint32_t	best = 0;

	for (uint32_t i = 0; i < n; i++)
	{
		uint64_t	weight = mix(key ^ ((uint64_t) (i + 1) * UINT64_C(0x9e3779b97f4a7c15)));

		if (weight > most)
		{
			most = weight;
			best = i;
		}
	}
	return best;
}

static uint64_t
run(const char *method, uint32_t n, uint32_t from, uint32_t to)
{
	uint64_t	used = 0;
	uint32_t	owners[3];

#define LOOP(expression) \
	for (uint32_t i = from; i < to; i++) \
		used += (expression)

	if (strcmp(method, "first") == 0)
		LOOP(ring.owner[ftc_ring_lookup(&ring, keys[i])]);
	else if (strcmp(method, "zones") == 0)
		LOOP((ftc_ring_owners(&ring, keys[i], 3, owners), owners[2]));
	else if (strcmp(method, "search") == 0)
		LOOP(ring.owner[search(keys[i])]);
	else if (strcmp(method, "zones-search") == 0)
		LOOP((ftc_ring_owners_at(&ring, search(keys[i]), 3, owners), owners[2]));
	else if (strcmp(method, "jump") == 0)
		LOOP(jump(keys[i], n));
	else if (strcmp(method, "rendezvous") == 0)
		LOOP(rendezvous(keys[i], n));
	else
		exit(2);
	return used;
}

static void
speed(uint32_t n, const char *method, double ms)
{
	const uint32_t slice = 4096;
	uint64_t	used = 0;
	uint64_t	done = 0;
	double		start;
	double		took;

	for (uint32_t i = 0; i < KEYS; i++)
		keys[i] = mix((i + 1) * UINT64_C(0x9e3779b97f4a7c15));
	/* once, so that everything is there */
	used += run(method, n, 0, slice);
	start = seconds();
	do
	{
		uint32_t	from = (uint32_t) (done % KEYS);

		used += run(method, n, from, from + slice);
		done += slice;
		took = seconds() - start;
	} while (took < ms / 1000);
	/* what nobody uses need not be computed */
	if (used == 0)
		exit(1);
	printf("%.0f\n", done / took);
}

/* ---- loads and moves */

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

static void
even(uint32_t n, uint32_t rings)
{
	double	   *greatest = calloc(rings, sizeof(double));
	uint64_t   *owned = calloc(n, sizeof(uint64_t));

	for (uint32_t i = 0; i < rings; i++)
	{
		FtcRingMember *members = make_members(n, i + 1);
		FtcRing		one;

		build(&one, members, n);
		ftc_arcs_owned(&one, 1, owned);
		for (uint32_t j = 0; j < n; j++)
			if (owned[j] / CIRCLE *n > greatest[i])
				greatest[i] = owned[j] / CIRCLE *n;

		drop(&one);
		free(members);
	}
	qsort(greatest, rings, sizeof(double), compare_doubles);
	printf("%.4f\n", greatest[rings / 2]);
}

typedef struct Moved
{
	uint32_t	member;
	double		share;
	double		needless;
} Moved;

static void
add_move(void *arg, uint32_t from, uint32_t to, uint64_t arc)
{
	Moved	   *moved = arg;

	moved->share += arc / CIRCLE;

	if (from != moved->member && to != moved->member)
		moved->needless += arc / CIRCLE;
}

/* Some members, spread over all; that one comes is the same the other way round. */
static void
moves(uint32_t n, uint32_t copies)
{
	uint32_t	tries = n < 20 ? n : 20;
	FtcRingMember *without = make_members(n, 1);
	double		sum = 0;
	double		least = 1e9;
	double		most = 0;
	double		needless = 0;

	for (uint32_t i = 0; i < tries; i++)
	{
		FtcRing		fewer;

		for (int back = 0; back < 2; back++)
		{
			Moved		moved = {.member = i * (n / tries)};
			double		ratio;

			without[moved.member].weight = 0;
			build(&fewer, without, n);
			ftc_arcs_moved(back ? &fewer : &ring, back ? &ring : &fewer, copies, add_move, &moved);
			drop(&fewer);
			without[moved.member].weight = 1;
			ratio = moved.share / ((double) copies / n);
			sum += ratio;
			needless += moved.needless;
			least = ratio < least ? ratio : least;
			most = ratio > most ? ratio : most;
		}
	}
	printf("%.4f %.4f %.4f %.6f\n", sum / tries / 2, least, most, needless);
}

static void
size(const FtcRingMember *members, uint32_t n)
{
	double		best = 1e9;

	for (int i = 0; i < 3; i++)
	{
		double		start = seconds();
		FtcRing		one;

		build(&one, members, n);
		start = seconds() - start;
		best = start < best ? start : best;
		drop(&one);
	}
	printf("%zu %.3f\n", ftc_ring_size(members, n), best * 1000);
}

int
main(int argc, char **argv)
{
	uint32_t	n = argc > 2 ? (uint32_t) atoi(argv[2]) : 0;
	FtcRingMember *members;

	if (n < 1 || n > FTC_MEMBERS_MAX)
	{
		fprintf(stderr, "usage: ring_rate speed MEMBERS METHOD MS | even MEMBERS RINGS | moves MEMBERS COPIES | size MEMBERS\n");
		return 2;
	}
	members = make_members(n, 1);
	build(&ring, members, n);
	if (strcmp(argv[1], "speed") == 0 && argc == 5)
		speed(n, argv[3], atof(argv[4]));
	else if (strcmp(argv[1], "even") == 0 && argc == 4)
		even(n, (uint32_t) atoi(argv[3]));
	else if (strcmp(argv[1], "moves") == 0 && argc == 4)
		moves(n, (uint32_t) atoi(argv[3]));
	else if (strcmp(argv[1], "size") == 0)
		size(members, n);
	else
		return 2;
	return 0;
}

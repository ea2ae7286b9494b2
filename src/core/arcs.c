/*-------------------------------------------------------------------------
 *
 * arcs.c
 *	  What a ring gives to whom, and what moves from one ring to another.
 *
 *-------------------------------------------------------------------------
 */
#include "arcs.h"

#include <string.h>

/* The arc that ends in a point; modulo 2^64, so the one across zero comes out right. */
static uint64_t
arc_of(const FtcRing *ring, uint32_t point)
{
	return ring->position[point] - ring->position[point > 0 ? point - 1 : ring->npoints - 1];
}

void
ftc_arcs_owned(const FtcRing *ring, uint32_t r, uint64_t *owned)
{
	memset(owned, 0, ring->nmembers * sizeof(*owned));
	for (uint32_t i = 0; i < ring->npoints; i++)
	{
		uint32_t	owners[FTC_REPLICAS_MAX];
		uint32_t	n = ftc_ring_owners_at(ring, i, r, owners);

		for (uint32_t j = 0; j < n; j++)
			owned[owners[j]] += arc_of(ring, i);
	}
}

double
ftc_arcs_share(const FtcRingMember *member, uint64_t owned)
{
	if (owned == 0)
		return member->weight > 0 ? 1 : 0;
	return (double) owned / 18446744073709551616.0;
}

/*
 * Whoever would get more than all keys gets them, and the rest is shared again.
 * That gives more to the others, so it may take several rounds.
 */
void
ftc_arcs_fair(const FtcRingMember *members, uint32_t n, uint32_t r, double *fair)
{
	bool		again = true;

	memset(fair, 0, n * sizeof(*fair));
	while (again)
	{
		double		copies = r;
		double		weights = 0;

		again = false;
		for (uint32_t i = 0; i < n; i++)
			if (fair[i] == 1)
				copies--;
			else
				weights += members[i].weight;
		for (uint32_t i = 0; i < n; i++)
			if (fair[i] < 1 && members[i].weight > 0)
			{
				fair[i] = copies * members[i].weight / weights;
				if (fair[i] >= 1)
				{
					fair[i] = 1;
					again = true;
				}
			}
	}
}

static bool
is_among(uint32_t member, const uint32_t *owners, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (owners[i] == member)
			return true;
	return false;
}

/* Those of the one list that are not in the other; gives how many. */
static uint32_t
only_in(const uint32_t *owners, uint32_t n, const uint32_t *others, uint32_t nothers, uint32_t *only)
{
	uint32_t	count = 0;

	for (uint32_t i = 0; i < n; i++)
		if (!is_among(owners[i], others, nothers))
			only[count++] = owners[i];
	return count;
}

/* The first that loses the key hands over to the first that gets it, and so on. */
static void
compare(const uint32_t *before, uint32_t nbefore, const uint32_t *after, uint32_t nafter,
		uint64_t arc, FtcArcsMove move, void *arg)
{
	uint32_t	from[FTC_REPLICAS_MAX];
	uint32_t	to[FTC_REPLICAS_MAX];
	uint32_t	nfrom = only_in(before, nbefore, after, nafter, from);
	uint32_t	nto = only_in(after, nafter, before, nbefore, to);

	for (uint32_t i = 0; i < nfrom || i < nto; i++)
		move(arg, i < nfrom ? from[i] : FTC_ARCS_NOBODY, i < nto ? to[i] : FTC_ARCS_NOBODY, arc);
}

void
ftc_arcs_key_moved(const FtcRing *before, const FtcRing *after, uint64_t key, uint32_t r,
				   FtcArcsMove move, void *arg)
{
	uint32_t	had[FTC_REPLICAS_MAX];
	uint32_t	has[FTC_REPLICAS_MAX];
	uint32_t	nhad = ftc_ring_owners(before, key, r, had);
	uint32_t	nhas = ftc_ring_owners(after, key, r, has);

	compare(had, nhad, has, nhas, 0, move, arg);
}

/* Owners of the keys up to the next point of a ring, which may be the first again. */
static uint32_t
owners_up_to(const FtcRing *ring, uint32_t point, uint32_t r, uint32_t *owners)
{
	return ring->npoints == 0 ? 0
		: ftc_ring_owners_at(ring, point < ring->npoints ? point : 0, r, owners);
}

static bool
is_next(const FtcRing *ring, uint32_t point, uint64_t position)
{
	return point < ring->npoints && ring->position[point] == position;
}

/* The lowest position of either ring from these points on; false at the end. */
static bool
next_position(const FtcRing *a, uint32_t i, const FtcRing *b, uint32_t j, uint64_t *position)
{
	if (i == a->npoints && j == b->npoints)
		return false;
	if (j == b->npoints || (i < a->npoints && a->position[i] <= b->position[j]))
		*position = a->position[i];
	else
		*position = b->position[j];
	return true;
}

static uint64_t
last_position(const FtcRing *a, const FtcRing *b)
{
	uint64_t	of_a = a->npoints > 0 ? a->position[a->npoints - 1] : 0;
	uint64_t	of_b = b->npoints > 0 ? b->position[b->npoints - 1] : 0;

	return of_a > of_b ? of_a : of_b;
}

void
ftc_arcs_moved(const FtcRing *before, const FtcRing *after, uint32_t r, FtcArcsMove move, void *arg)
{
	uint64_t	start = last_position(before, after);
	uint64_t	end;
	uint32_t	i = 0;
	uint32_t	j = 0;

	while (next_position(before, i, after, j, &end))
	{
		uint32_t	had[FTC_REPLICAS_MAX];
		uint32_t	has[FTC_REPLICAS_MAX];
		uint32_t	nhad = owners_up_to(before, i, r, had);
		uint32_t	nhas = owners_up_to(after, j, r, has);

		compare(had, nhad, has, nhas, end - start, move, arg);
		while (is_next(before, i, end))
			i++;
		while (is_next(after, j, end))
			j++;
		start = end;
	}
}

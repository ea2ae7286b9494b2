/*-------------------------------------------------------------------------
 *
 * test_arcs.c
 *	  Tests of arcs.c; and by it, what a ring promises: how even it is, and that
 *	  no change moves what need not move.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>

#include "arcs.h"
#include "build.h"

#define MEMBERS_MAX 64

static int
compare_members(const void *a, const void *b)
{
	return ftc_hash_compare(&((const FtcRingMember *) a)->id, &((const FtcRingMember *) b)->id);
}

static FtcRingMember *
random_members(TestRandom *random, uint32_t n, uint32_t most_weight, uint32_t nzones)
{
	FtcRingMember *members = keep((n + 1) * sizeof(*members));

	for (uint32_t i = 0; i < n; i++)
	{
		members[i].id = random_hash(random);
		members[i].weight = most_weight == 1 ? 1 : (uint32_t) random_below(random, most_weight + 1);
		members[i].zone = (uint16_t) random_below(random, nzones);
	}
	qsort(members, n, sizeof(*members), compare_members);
	return members;
}

static FtcRingMember *
copy_members(const FtcRingMember *members, uint32_t n)
{
	return memcpy(keep((n + 1) * sizeof(*members)), members, n * sizeof(*members));
}

/* What all moves between each two members come to. */
typedef struct Moves
{
	uint32_t	n;
	uint64_t	into[MEMBERS_MAX];
	uint64_t	out[MEMBERS_MAX];
	uint64_t	other_than;		/* moves that this member has no part in */
	uint32_t	member;
	int			count;
} Moves;

static void
add_move(void *arg, uint32_t from, uint32_t to, uint64_t arc)
{
	Moves	   *moves = arg;

	assert_int_not_equal(from, to);
	moves->count++;
	moves->other_than += from != moves->member && to != moves->member;
	if (from != FTC_ARCS_NOBODY)
		moves->out[from] += arc;
	if (to != FTC_ARCS_NOBODY)
		moves->into[to] += arc;
}

static Moves
moves_of(const FtcRing *before, const FtcRing *after, uint32_t r, uint32_t member)
{
	Moves		moves = {.n = before->nmembers,.member = member};

	ftc_arcs_moved(before, after, r, add_move, &moves);
	return moves;
}

/* Another sum over all arcs, each by its last key. */
static void
test_owned(void **state)
{
	TestRandom	random = random_from(1);

	(void) state;
	for (int i = 0; i < 30; i++)
	{
		uint32_t	n = (uint32_t) random_below(&random, 12);
		uint32_t	r = 1 + (uint32_t) random_below(&random, 5);
		FtcRing    *ring = ring_of(random_members(&random, n, 3, 4), n);
		uint64_t	owned[12];
		uint64_t	expected[12] = {0};
		uint64_t	sum = 0;

		ftc_arcs_owned(ring, r, owned);
		for (uint32_t at = 0; at < ring->npoints; at++)
		{
			uint32_t	owners[5];
			uint32_t	count = ftc_ring_owners(ring, ring->position[at], r, owners);

			for (uint32_t j = 0; j < count; j++)
				expected[owners[j]] += ring->position[at] - ring->position[(at + ring->npoints - 1) % ring->npoints];
		}
		assert_memory_equal(owned, expected, n * sizeof(*owned));
		for (uint32_t j = 0; j < n; j++)
			sum += owned[j];
		/* so many whole circles */
		assert_int_equal(sum, 0);
	}
}

static void
test_share(void **state)
{
	FtcRingMember member = {.weight = 1};
	FtcRingMember drained = {.weight = 0};

	(void) state;
	assert_true(ftc_arcs_share(&member, 0) == 1);
	assert_true(ftc_arcs_share(&drained, 0) == 0);
	assert_true(ftc_arcs_share(&member, UINT64_C(1) << 62) == 0.25);
}

static void
check_fair(const FtcRingMember *members, uint32_t n, uint32_t r)
{
	double		fair[MEMBERS_MAX];
	double		sum = 0;
	double		each = 0;
	uint32_t	owners = 0;

	ftc_arcs_fair(members, n, r, fair);
	for (uint32_t i = 0; i < n; i++)
	{
		assert_true(fair[i] >= 0 && fair[i] <= 1);
		assert_true((fair[i] == 0) == (members[i].weight == 0));
		sum += fair[i];
		owners += members[i].weight > 0;
		/* who does not own all keys has as much for its weight as others */
		if (members[i].weight > 0 && fair[i] < 1)
		{
			double		mine = fair[i] / members[i].weight;

			assert_true(each == 0 || (mine / each > 0.999999 && mine / each < 1.000001));
			each = mine;
		}
	}
	assert_true(sum > (owners < r ? owners : r) - 1e-9 && sum < (owners < r ? owners : r) + 1e-9);
}

static void
test_fair(void **state)
{
	TestRandom	random = random_from(2);
	FtcRingMember few[3] = {{.weight = 1}, {.weight = 1}, {.weight = 10}};
	double		fair[3];

	(void) state;
	/* the heavy one owns all, the others share the second copy */
	ftc_arcs_fair(few, 3, 2, fair);
	assert_true(fair[2] == 1 && fair[0] == 0.5 && fair[1] == 0.5);
	for (int i = 0; i < 500; i++)
	{
		uint32_t	n = (uint32_t) random_below(&random, MEMBERS_MAX);

		check_fair(random_members(&random, n, 20, 1), n, 1 + (uint32_t) random_below(&random, 9));
	}
}

/* What comes and goes adds up, to the last key, whatever changes. */
static void
test_moves_add_up(void **state)
{
	TestRandom	random = random_from(3);

	(void) state;
	for (int i = 0; i < 60; i++)
	{
		uint32_t	n = (uint32_t) random_below(&random, 14);
		uint32_t	r = 1 + (uint32_t) random_below(&random, 4);
		FtcRingMember *before = random_members(&random, n, 2, 4);
		FtcRingMember *after = copy_members(before, n);
		FtcRing    *old_ring;
		FtcRing    *new_ring;
		uint64_t	had[14];
		uint64_t	has[14];
		Moves		moves;

		for (uint32_t j = 0; j < n; j++)
		{
			if (random_below(&random, 3) == 0)
				after[j].weight = (uint32_t) random_below(&random, 3);
			if (random_below(&random, 4) == 0)
				after[j].zone = (uint16_t) random_below(&random, 4);
		}
		old_ring = ring_of(before, n);
		new_ring = ring_of(after, n);
		ftc_arcs_owned(old_ring, r, had);
		ftc_arcs_owned(new_ring, r, has);
		moves = moves_of(old_ring, new_ring, r, 0);
		for (uint32_t j = 0; j < n; j++)
			assert_int_equal(has[j], had[j] + moves.into[j] - moves.out[j]);
	}
}

static void
test_nothing_moves(void **state)
{
	TestRandom	random = random_from(4);
	FtcRingMember *members = random_members(&random, 9, 3, 3);
	FtcRing    *empty = ring_of(members, 0);

	(void) state;
	assert_int_equal(moves_of(ring_of(members, 9), ring_of(copy_members(members, 9), 9), 3, 0).count, 0);
	assert_int_equal(moves_of(empty, empty, 3, 0).count, 0);
}

/*
 * One member comes, goes, or gets more or less weight: only what it gets or
 * gives moves, in any zones.
 */
static void
test_no_needless_moves(void **state)
{
	TestRandom	random = random_from(5);

	(void) state;
	for (int i = 0; i < 60; i++)
	{
		uint32_t	n = 1 + (uint32_t) random_below(&random, 14);
		uint32_t	r = 1 + (uint32_t) random_below(&random, 4);
		uint32_t	which = (uint32_t) random_below(&random, n);
		FtcRingMember *before = random_members(&random, n, 2, 1 + (uint32_t) random_below(&random, 6));
		FtcRingMember *after = copy_members(before, n);
		uint64_t	had[14];
		uint64_t	has[14];
		FtcRing    *old_ring;
		FtcRing    *new_ring;
		Moves		moves;

		after[which].weight = (uint32_t) random_below(&random, 4);
		old_ring = ring_of(before, n);
		new_ring = ring_of(after, n);
		moves = moves_of(old_ring, new_ring, r, which);
		ftc_arcs_owned(old_ring, r, had);
		ftc_arcs_owned(new_ring, r, has);
		assert_int_equal(moves.other_than, 0);
		if (after[which].weight > before[which].weight)
			assert_int_equal(moves.out[which], 0);
		else
			assert_int_equal(moves.into[which], 0);
		/* so all that moves is the difference of what it owns: the optimum */
		assert_int_equal(moves.into[which] - moves.out[which], has[which] - had[which]);
	}
}

/* For a key it is the same as for its arc. */
static void
test_key_moves(void **state)
{
	TestRandom	random = random_from(6);
	FtcRingMember *before = random_members(&random, 9, 1, 3);
	FtcRingMember *after = copy_members(before, 9);
	FtcRing    *old_ring;
	FtcRing    *new_ring;

	(void) state;
	after[4].weight = 0;
	old_ring = ring_of(before, 9);
	new_ring = ring_of(after, 9);
	for (int i = 0; i < 2000; i++)
	{
		uint64_t	key = random_u64(&random);
		Moves		moves = {.n = 9,.member = 4};
		uint32_t	owners[3];
		bool		owned = false;

		for (uint32_t j = 0; j < ftc_ring_owners(old_ring, key, 3, owners); j++)
			owned |= owners[j] == 4;
		ftc_arcs_key_moved(old_ring, new_ring, key, 3, add_move, &moves);
		assert_int_equal(moves.count, owned);
		assert_int_equal(moves.other_than, 0);
	}
}

/* If each member goes in turn, all copies move once: R/N of them on average. */
static void
test_moves_on_average(void **state)
{
	TestRandom	random = random_from(7);
	FtcRingMember *members = random_members(&random, 20, 1, 4);
	FtcRing    *ring = ring_of(members, 20);
	double		sum = 0;

	(void) state;
	for (uint32_t i = 0; i < 20; i++)
	{
		FtcRingMember *without = copy_members(members, 20);
		Moves		moves;

		without[i].weight = 0;
		moves = moves_of(ring, ring_of(without, 20), 3, i);
		sum += (double) moves.out[i] / 18446744073709551616.0;
	}
	assert_true(sum > 3 - 1e-9 && sum < 3 + 1e-9);
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* The greatest share of rings of n members, against 1/n: the middle one of some. */
static double
middle_of_greatest(uint32_t n, int rings, uint64_t seed)
{
	TestRandom	random = random_from(seed);
	double		greatest[32] = {0};
	uint64_t   *owned = keep(n * sizeof(*owned));

	for (int i = 0; i < rings; i++)
	{
		ftc_arcs_owned(ring_of(random_members(&random, n, 1, 1), n), 1, owned);
		for (uint32_t j = 0; j < n; j++)
			if ((double) owned[j] / 18446744073709551616.0 * n > greatest[i])
				greatest[i] = (double) owned[j] / 18446744073709551616.0 * n;
		assert_true(greatest[i] < 1.25);
	}
	qsort(greatest, (size_t) rings, sizeof(double), compare_doubles);
	return greatest[rings / 2];
}

static void
test_even(void **state)
{
	(void) state;
	assert_true(middle_of_greatest(2, 31, 8) < 1.05);
	assert_true(middle_of_greatest(10, 31, 9) < 1.09);
	assert_true(middle_of_greatest(100, 9, 10) < 1.13);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_owned),
		test(test_share),
		test(test_fair),
		test(test_moves_add_up),
		test(test_nothing_moves),
		test(test_no_needless_moves),
		test(test_key_moves),
		test(test_moves_on_average),
		test(test_even),
	};

	return cmocka_run_group_tests_name("arcs", tests, NULL, NULL);
}

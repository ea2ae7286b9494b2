/*-------------------------------------------------------------------------
 *
 * test_ring.c
 *	  Tests of ring.c, against a walk that looks at every point.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>

#include "build.h"
#include "ring.h"
#include "ring_table.h"
#include "sha256.h"

static int
compare_members(const void *a, const void *b)
{
	return ftc_hash_compare(&((const FtcRingMember *) a)->id, &((const FtcRingMember *) b)->id);
}

/* Members ascending by id, weights from 0, in so many zones. */
static FtcRingMember *
random_members(TestRandom *random, uint32_t n, uint32_t most_weight, uint32_t nzones)
{
	FtcRingMember *members = keep((n + 1) * sizeof(*members));

	for (uint32_t i = 0; i < n; i++)
	{
		members[i].id = random_hash(random);
		members[i].weight = (uint32_t) random_below(random, most_weight + 1);
		members[i].zone = (uint16_t) (random_below(random, nzones) * 1000);
	}
	qsort(members, n, sizeof(*members), compare_members);
	return members;
}

static FtcRingMember *
equal_members(uint32_t n, uint32_t weight, uint32_t nzones)
{
	FtcRingMember *members = keep((n + 1) * sizeof(*members));

	for (uint32_t i = 0; i < n; i++)
		members[i].id = hash_of("member", i);
	qsort(members, n, sizeof(*members), compare_members);
	for (uint32_t i = 0; i < n; i++)
	{
		members[i].weight = weight;
		members[i].zone = (uint16_t) (i % nzones);
	}
	return members;
}

/* Point number n of a member, as ring.h has it. */
static uint64_t
naive_point(const FtcRingMember *member, uint32_t n)
{
	uint8_t		bytes[36];
	FtcWriter	writer = ftc_writer(bytes + 32, 4);
	FtcHash		digest;
	FtcReader	reader;

	memcpy(bytes, member->id.b, 32);
	ftc_put_u32(&writer, n / 4);
	digest = ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
	reader = ftc_reader(ftc_slice(digest.b + 8 * (n % 4), 8));
	return ftc_get_u64(&reader);
}

/* How far it is, clockwise, from the key to a member's nearest point. */
static uint64_t
naive_distance(const FtcRing *ring, uint32_t member, uint64_t key)
{
	uint64_t	least = UINT64_MAX;

	for (uint32_t i = 0; i < ring->npoints; i++)
		if (ring->owner[i] == member && ring->position[i] - key < least)
			least = ring->position[i] - key;
	return least;
}

/* Members in the order in which the walk first meets them. */
static uint32_t
naive_order(const FtcRing *ring, uint64_t key, uint32_t *order)
{
	uint32_t	n = 0;
	uint64_t   *distance = calloc(ring->nmembers + 1, sizeof(*distance));

	for (uint32_t m = 0; m < ring->nmembers; m++)
	{
		uint32_t	at = n;

		if (ring->members[m].weight == 0)
			continue;
		distance[m] = naive_distance(ring, m, key);
		for (; at > 0 && distance[order[at - 1]] > distance[m]; at--)
			order[at] = order[at - 1];
		order[at] = m;
		n++;
	}
	free(distance);
	return n;
}

/* First one of each zone, then whoever is left. */
static uint32_t
naive_owners(const FtcRing *ring, uint64_t key, uint32_t r, uint32_t *owners)
{
	uint32_t   *order = calloc(ring->nmembers + 1, sizeof(*order));
	uint32_t	met = naive_order(ring, key, order);
	uint32_t	n = 0;

	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < met; i++)
		{
			bool		taken = false;

			for (uint32_t j = 0; j < n; j++)
				taken |= owners[j] == order[i] ||
					(pass == 0 &&
					 ring->members[owners[j]].zone == ring->members[order[i]].zone);
			if (!taken && n < r)
				owners[n++] = order[i];
		}
	free(order);
	return n;
}

static void
test_key(void **state)
{
	FtcHash		id = {{0}};

	(void) state;
	memcpy(id.b + 24, "\1\2\3\4\5\6\7\x08", 8);
	assert_int_equal(ftc_ring_key(&id), UINT64_C(0x0102030405060708));
	/* what proof of work makes small does not count */
	memset(id.b, 0xff, 24);
	assert_int_equal(ftc_ring_key(&id), UINT64_C(0x0102030405060708));
}

/* Each point is there once, and they ascend. */
static void
test_points(void **state)
{
	TestRandom	random = random_from(1);

	(void) state;
	for (uint32_t n = 0; n < 6; n++)
	{
		FtcRingMember *members = random_members(&random, n, 3, 2);
		FtcRing    *ring = ring_of(members, n);
		uint32_t	total = 0;

		for (uint32_t m = 0; m < n; m++)
		{
			uint32_t	count = members[m].weight * FTC_RING_POINTS;

			for (uint32_t i = 0; i < count; i += 1 + count / 40)
			{
				uint64_t	position = naive_point(&members[m], i);
				int			found = 0;

				for (uint32_t at = 0; at < ring->npoints; at++)
					found += ring->owner[at] == m && ring->position[at] == position;
				assert_int_equal(found, 1);
			}
			total += count;
		}
		assert_int_equal(ring->npoints, total);
		for (uint32_t at = 1; at < total; at++)
			assert_true(ring->position[at - 1] < ring->position[at]);
	}
}

static void
test_counts(void **state)
{
	FtcRingMember *members = equal_members(6, 1, 3);
	FtcRing    *ring;

	(void) state;
	members[0].weight = members[3].weight = 0;	/* all of zone 0 */
	members[1].weight = 0;
	ring = ring_of(members, 6);
	assert_int_equal(ring->nowners, 3);
	assert_int_equal(ring->nzones, 2);
	assert_int_equal(ring_of(members, 0)->nowners, 0);
	assert_int_equal(ring_of(members, 0)->nzones, 0);
	assert_int_equal(ring_of(members, 1)->npoints, 0);
}

/* First at or above the key, or else the very first. */
static uint32_t
naive_lookup(const FtcRing *ring, uint64_t key)
{
	for (uint32_t at = 0; at < ring->npoints; at++)
		if (ring->position[at] >= key)
			return at;
	return 0;
}

static void
test_lookup(void **state)
{
	TestRandom	random = random_from(2);

	(void) state;
	for (uint32_t n = 1; n < 8; n += 2)
	{
		FtcRingMember *members = equal_members(n, 1, 1);
		FtcRing    *ring = ring_of(members, n);

		for (int i = 0; i < 300; i++)
		{
			uint64_t	key = random_u64(&random);

			assert_int_equal(ftc_ring_lookup(ring, key), naive_lookup(ring, key));
		}
		/* at every point, just before and just behind it */
		for (uint32_t at = 0; at < ring->npoints; at++)
			for (int beside = -1; beside <= 1; beside++)
			{
				uint64_t	key = ring->position[at] + (uint64_t) beside;

				assert_int_equal(ftc_ring_lookup(ring, key),
								 beside > 0 ? (at + 1) % ring->npoints : at);
			}
		assert_int_equal(ftc_ring_lookup(ring, 0), 0);
		assert_int_equal(ftc_ring_lookup(ring, UINT64_MAX), 0);
	}
}

/* A ring laid out by hand: points crowd into one bucket, or are equal. */
static void
test_crowded(void **state)
{
	FtcRingMember *members = equal_members(2, 1, 2);
	FtcRing    *ring = ring_of(members, 2);

	(void) state;
	for (uint32_t b = 0; b <= UINT32_C(1) << ring->bucket_bits; b++)
		ring->bucket[b] = b <= UINT32_C(1) << (ring->bucket_bits - 1) ? 0 : ring->npoints;
	for (uint32_t at = 0; at < ring->npoints; at++)
	{
		ring->position[at] = (UINT64_C(1) << 63) + at / 2 * 2;
		ring->owner[at] = at % 2;
	}
	for (uint32_t at = 0; at < ring->npoints; at++)
	{
		uint64_t	position = ring->position[at];
		uint32_t	owners[2];

		assert_int_equal(ftc_ring_lookup(ring, position), at / 2 * 2);
		assert_int_equal(ftc_ring_lookup(ring, position - 1), at / 2 * 2);
		/* of equal points, the lower id's comes first */
		assert_int_equal(ftc_ring_owners(ring, position, 2, owners), 2);
		assert_int_equal(owners[0], 0);
		assert_int_equal(owners[1], 1);
	}
}

static void
check_owners(const FtcRing *ring, uint64_t key)
{
	for (uint32_t r = 0; r <= ring->nmembers + 1; r += 1 + r / 4)
	{
		uint32_t   *owners = keep((r + 1) * sizeof(*owners));
		uint32_t   *expected = keep((r + 1) * sizeof(*expected));
		uint32_t	n = ftc_ring_owners(ring, key, r, owners);

		assert_int_equal(n, r < ring->nowners ? r : ring->nowners);
		assert_int_equal(n, naive_owners(ring, key, r, expected));
		assert_memory_equal(owners, expected, n * sizeof(*owners));
	}
}

static void
test_owners(void **state)
{
	TestRandom	random = random_from(3);

	(void) state;
	for (int i = 0; i < 40; i++)
	{
		uint32_t	n = (uint32_t) random_below(&random, 12);
		uint32_t	nzones = 1 + (uint32_t) random_below(&random, 5);
		FtcRingMember *members = random_members(&random, n, 3, nzones);
		FtcRing    *ring = ring_of(members, n);

		for (int j = 0; j < 8; j++)
			check_owners(ring, random_u64(&random));
		check_owners(ring, 0);
		check_owners(ring, UINT64_MAX);
		if (ring->npoints > 0)
		{
			check_owners(ring, ring->position[0]);
			check_owners(ring, ring->position[ring->npoints - 1]);
			check_owners(ring, ring->position[ring->npoints - 1] + 1);
		}
	}
}

/* As many zones as there are, or copies; nobody twice, nobody without weight. */
static void
test_owners_zones(void **state)
{
	TestRandom	random = random_from(4);
	FtcRingMember *members = equal_members(9, 2, 3);
	FtcRing    *ring;

	(void) state;
	members[4].weight = 0;
	ring = ring_of(members, 9);
	for (int i = 0; i < 2000; i++)
	{
		uint32_t	owners[9];
		uint32_t	zones = 0;
		uint32_t	seen = 0;

		assert_int_equal(ftc_ring_owners(ring, random_u64(&random), 9, owners), 8);
		for (int j = 0; j < 8; j++)
		{
			assert_int_not_equal(owners[j], 4);
			assert_int_equal(seen & 1 << owners[j], 0);
			seen |= 1 << owners[j];
			if (j < 3)
				zones |= 1 << members[owners[j]].zone;
		}
		assert_int_equal(zones, 7);
	}
}

/* Members alone in the world, or none. */
static void
test_owners_few(void **state)
{
	FtcRingMember *members = equal_members(2, 1, 1);
	uint32_t	owners[4];

	(void) state;
	assert_int_equal(ftc_ring_owners(ring_of(members, 0), 7, 3, owners), 0);
	assert_int_equal(ftc_ring_owners(ring_of(members, 1), 7, 3, owners), 1);
	assert_int_equal(owners[0], 0);
	assert_int_equal(ftc_ring_owners(ring_of(members, 2), 7, 0, owners), 0);
	assert_int_equal(ftc_ring_owners(ring_of(members, 2), 7, UINT32_MAX, owners), 2);
	members[0].weight = 0;
	assert_int_equal(ftc_ring_owners(ring_of(members, 2), 7, 3, owners), 1);
	assert_int_equal(owners[0], 1);
	members[1].weight = 0;
	assert_int_equal(ftc_ring_owners(ring_of(members, 2), 7, 3, owners), 0);
}

/* The first owners of many keys, by id, in rings of one zone. */
static const FtcHash *
owner_of(const FtcRing *ring, uint64_t key)
{
	uint32_t	owner;

	assert_int_equal(ftc_ring_owners(ring, key, 1, &owner), 1);
	return &ring->members[owner].id;
}

/* More weight takes keys from others and moves none between them. */
static void
test_more_weight(void **state)
{
	TestRandom	random = random_from(5);
	FtcRingMember *before = equal_members(8, 2, 1);
	FtcRingMember *after = equal_members(8, 2, 1);
	FtcRing    *old_ring;
	FtcRing    *new_ring;
	int			moved = 0;

	(void) state;
	after[3].weight = 3;
	old_ring = ring_of(before, 8);
	new_ring = ring_of(after, 8);
	for (int i = 0; i < 20000; i++)
	{
		uint64_t	key = random_u64(&random);
		const FtcHash *a = owner_of(old_ring, key);
		const FtcHash *b = owner_of(new_ring, key);

		if (!ftc_hash_equal(a, b))
		{
			assert_hash_equal(b, &after[3].id);
			moved++;
		}
	}
	/* one in seventeen would be fair */
	assert_in_range(moved, 20000 / 25, 20000 / 12);
}

/* Without a member its keys go to others, and no other key moves. */
static void
test_fewer_members(void **state)
{
	TestRandom	random = random_from(6);
	FtcRingMember *before = equal_members(8, 1, 1);
	FtcRingMember *after = equal_members(8, 1, 1);
	FtcRing    *old_ring = ring_of(before, 8);
	FtcRing    *new_ring;
	int			moved = 0;

	(void) state;
	memmove(after + 5, after + 6, 2 * sizeof(*after));
	new_ring = ring_of(after, 7);
	for (int i = 0; i < 20000; i++)
	{
		uint64_t	key = random_u64(&random);
		const FtcHash *a = owner_of(old_ring, key);
		const FtcHash *b = owner_of(new_ring, key);

		if (!ftc_hash_equal(a, b))
		{
			assert_hash_equal(a, &before[5].id);
			moved++;
		}
	}
	assert_in_range(moved, 20000 / 11, 20000 / 6);
}

/*
 * Members that are gone for a while: as if they had no weight; and who is left
 * keeps what it owns, where zones do not force anything else.
 */
static void
test_without(void **state)
{
	TestRandom	random = random_from(9);

	(void) state;
	for (int i = 0; i < 60; i++)
	{
		uint32_t	n = 1 + (uint32_t) random_below(&random, 12);
		uint32_t	r = (uint32_t) random_below(&random, 6);
		FtcRingMember *members = random_members(&random, n, 3, 1 + (uint32_t) random_below(&random, 5));
		FtcRingMember *others = keep((n + 1) * sizeof(*others));
		uint8_t    *gone = keep(n);
		FtcRing    *ring = ring_of(members, n);
		FtcRing    *rest;

		memcpy(others, members, n * sizeof(*others));
		for (uint32_t j = 0; j < n; j++)
		{
			gone[j] = (uint8_t) (random_below(&random, 3) == 0);
			others[j].weight = gone[j] != 0 ? 0 : others[j].weight;
		}
		rest = ring_of(others, n);
		for (int j = 0; j < 50; j++)
		{
			uint64_t	key = random_u64(&random);
			uint32_t	all[16];
			uint32_t	expected[16];
			uint32_t	found[16];
			uint32_t	nall = ftc_ring_owners(ring, key, r, all);
			uint32_t	nexpected = ftc_ring_owners(rest, key, r, expected);

			assert_int_equal(ftc_ring_owners_without(ring, key, r, gone, found), nexpected);
			assert_memory_equal(found, expected, nexpected * sizeof(*found));
			for (uint32_t k = 0; k < nall && rest->nzones >= r; k++)
			{
				bool		kept = gone[all[k]] != 0;

				for (uint32_t m = 0; m < nexpected && !kept; m++)
					kept = found[m] == all[k];
				assert_true(kept);
			}
		}
	}
}

/* Shares are as the weights, within a sixth. */
static void
test_shares(void **state)
{
	TestRandom	random = random_from(7);
	FtcRingMember *members = equal_members(10, 1, 1);
	FtcRing    *ring;
	int			share[10] = {0};
	uint32_t	total = 0;

	(void) state;
	for (uint32_t i = 0; i < 10; i++)
		total += members[i].weight = 1 + i % 4;
	ring = ring_of(members, 10);
	for (int i = 0; i < 100000; i++)
	{
		uint32_t	owner;

		ftc_ring_owners(ring, random_u64(&random), 1, &owner);
		share[owner]++;
	}
	for (uint32_t i = 0; i < 10; i++)
	{
		uint32_t	fair = 100000 * members[i].weight / total;

		assert_in_range(share[i], fair - fair / 6, fair + fair / 6);
	}
}

/* ---- the published table */

/* A ring of the table, while it is read. */
typedef struct Table
{
	FtcRingMember members[128];
	uint32_t	n;
	uint32_t	copies;
	FtcRing    *ring;			/* NULL until the first key */
	int			keys;
} Table;

/* They come in any order, and are sorted. */
static void
read_member(Table *table, TestLines *lines)
{
	FtcRingMember *member = &table->members[table->n++];

	assert_int_equal(lines->nfields, 4);
	assert_true(table->n <= lengthof(table->members));
	member->id = unhex_hash(lines->field[1]);
	member->weight = (uint32_t) atoi(lines->field[2]);
	member->zone = (uint16_t) atoi(lines->field[3] + 1);
	table->ring = NULL;
}

static void
check_key(Table *table, TestLines *lines)
{
	uint64_t	key = strtoull(lines->field[1], NULL, 16);
	uint32_t	owners[8];
	uint32_t	expected[8];
	uint32_t	n;

	if (table->ring == NULL)
	{
		qsort(table->members, table->n, sizeof(table->members[0]), compare_members);
		table->ring = ring_of(table->members, table->n);
	}
	n = ftc_ring_owners(table->ring, key, table->copies, owners);
	assert_int_equal(lines->nfields, n + 2);
	assert_int_equal(naive_owners(table->ring, key, table->copies, expected), n);
	for (uint32_t i = 0; i < n; i++)
	{
		FtcHash		id = unhex_hash(lines->field[i + 2]);

		assert_hash_equal(&id, &table->members[owners[i]].id);
		assert_int_equal(owners[i], expected[i]);
	}
	table->keys++;
}

static void
test_table(void **state)
{
	TestLines	lines = lines_open(RING_TABLE_FILE);
	Table	   *table = keep(sizeof(*table));
	int			rings = 0;

	(void) state;
	while (lines_next(&lines))
		if (strcmp(lines.field[0], "member") == 0)
			read_member(table, &lines);
		else if (strcmp(lines.field[0], "key") == 0)
			check_key(table, &lines);
		else
		{
			assert_string_equal(lines.field[0], "ring");
			table->n = 0;
			table->copies = (uint32_t) atoi(lines.field[2]);
			rings++;
		}
	lines_close(&lines);
	assert_int_equal(rings, 8);
	assert_int_equal(table->keys, 268);
}

/* ---- the largest */

static void
check_large(const FtcRing *ring, TestRandom *random)
{
	for (uint32_t at = 1; at < ring->npoints; at++)
		assert_true(ring->position[at - 1] < ring->position[at] ||
					(ring->position[at - 1] == ring->position[at] && ring->owner[at - 1] < ring->owner[at]));
	for (int i = 0; i < 2000; i++)
	{
		uint64_t	key = random_u64(random);
		uint32_t	at = ftc_ring_lookup(ring, key);
		uint32_t	owners[3];

		assert_true(ring->position[at] >= key || at == 0);
		assert_true(at > 0 ? ring->position[at - 1] < key
					: key <= ring->position[0] || key > ring->position[ring->npoints - 1]);
		assert_int_equal(ftc_ring_owners(ring, key, 3, owners), 3);
		assert_int_equal(owners[0], ring->owner[at]);
		for (int j = 0; j < 3; j++)
			assert_int_not_equal(ring->members[owners[j]].zone, ring->members[owners[(j + 1) % 3]].zone);
	}
}

/* As many members as there may be; and one that weighs as much as it may. */
static void
test_large(void **state)
{
	TestRandom	random = random_from(8);
	FtcRingMember *members = equal_members(FTC_MEMBERS_MAX, 1, 7);
	FtcRing    *ring;

	(void) state;
	members[17].weight = FTC_WEIGHT_MAX;
	members[18].weight = 0;
	ring = ring_of(members, FTC_MEMBERS_MAX);
	assert_int_equal(ring->npoints, (FTC_MEMBERS_MAX - 2 + FTC_WEIGHT_MAX) * FTC_RING_POINTS);
	assert_int_equal(ring->nowners, FTC_MEMBERS_MAX - 1);
	assert_int_equal(ring->nzones, 7);
	check_large(ring, &random);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_key),
		test(test_points),
		test(test_counts),
		test(test_lookup),
		test(test_crowded),
		test(test_owners),
		test(test_owners_zones),
		test(test_owners_few),
		test(test_more_weight),
		test(test_fewer_members),
		test(test_without),
		test(test_shares),
		test(test_table),
		test(test_large),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}

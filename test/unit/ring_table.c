/*-------------------------------------------------------------------------
 *
 * ring_table.c
 *	  A table of rings and of the owners of keys on them, to be published.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>

#include "build.h"
#include "ring.h"
#include "ring_table.h"

/* How a ring of the table is made; members have weights and zones in turn. */
typedef struct Shape
{
	const char *name;
	uint32_t	members;
	uint32_t	copies;
	uint32_t	weights[4];		/* up to a zero behind the first */
	uint32_t	nweights;
	uint16_t	zones;
	uint32_t	keys;
} Shape;

static const Shape shapes[] = {
	{"alone", 1, 3, {1}, 1, 1, 8},
	{"two_of_three", 3, 2, {1}, 1, 3, 32},
	{"one_zone", 5, 3, {1}, 1, 1, 32},
	{"weights", 7, 3, {1, 2, 3, 10}, 4, 7, 64},
	{"drained", 8, 3, {1, 0}, 2, 4, 32},
	{"fewer_zones_than_copies", 9, 4, {1, 3}, 2, 2, 32},
	{"all_drained", 3, 2, {0}, 1, 3, 4},
	{"many", 100, 3, {1}, 1, 5, 64},
};

static void
print_hash(FILE *file, const FtcHash *hash)
{
	for (int i = 0; i < FTC_HASH_LEN; i++)
		fprintf(file, "%02x", hash->b[i]);
}

static int
compare_members(const void *a, const void *b)
{
	return ftc_hash_compare(&((const FtcRingMember *) a)->id, &((const FtcRingMember *) b)->id);
}

static FtcRing *
make_ring(const Shape *shape)
{
	FtcRingMember *members = keep(shape->members * sizeof(*members));

	for (uint32_t i = 0; i < shape->members; i++)
	{
		members[i].id = hash_of(shape->name, i);
		members[i].weight = shape->weights[i % shape->nweights];
		members[i].zone = (uint16_t) (i % shape->zones);
	}
	qsort(members, shape->members, sizeof(*members), compare_members);
	return ring_of(members, shape->members);
}

/* The ends of the circle, a point and what is beside it, then others. */
static uint64_t
key_number(const FtcRing *ring, uint32_t i)
{
	FtcHash		id = hash_of("key", i);

	if (i < 2)
		return i == 0 ? 0 : UINT64_MAX;
	if (i < 5 && ring->npoints > 0)
		return ring->position[ring->npoints / 3] + i - 3;
	return ftc_ring_key(&id);
}

static void
write_shape(FILE *file, const Shape *shape)
{
	FtcRing    *ring = make_ring(shape);

	fprintf(file, "ring %s %u\n", shape->name, shape->copies);
	for (uint32_t i = 0; i < shape->members; i++)
	{
		fprintf(file, "member ");
		print_hash(file, &ring->members[i].id);
		fprintf(file, " %u z%u\n", ring->members[i].weight, ring->members[i].zone);
	}
	for (uint32_t i = 0; i < shape->keys; i++)
	{
		uint64_t	key = key_number(ring, i);
		uint32_t	owners[8];
		uint32_t	n = ftc_ring_owners(ring, key, shape->copies, owners);

		fprintf(file, "key %016llx", (unsigned long long) key);
		for (uint32_t j = 0; j < n; j++)
		{
			fprintf(file, " ");
			print_hash(file, &ring->members[owners[j]].id);
		}
		fprintf(file, "\n");
	}
}

void
ring_table_write(FILE *file)
{
	fprintf(file, "# Which members own which keys; see doc/PROTOCOL.md, section 10.\n"
			"# Made by test/unit/make_vectors.c.\n"
			"#\n"
			"# ring NAME COPIES, its members: id, weight, zone; keys: the last 8 bytes of an id,\n"
			"# the owners in order\n");
	for (size_t i = 0; i < lengthof(shapes); i++)
		write_shape(file, &shapes[i]);
}

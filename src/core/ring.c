/*-------------------------------------------------------------------------
 *
 * ring.c
 *	  The consistent-hash ring.
 *
 *-------------------------------------------------------------------------
 */
#include "ring.h"

#include "bytes.h"
#include "sha256.h"

#define WORDS_PER_DIGEST 4
#define HASHED_LEN (FTC_HASH_LEN + 4)
#define BUCKET_BITS_MAX 24

uint64_t
ftc_ring_key(const FtcHash *id)
{
	FtcReader	reader = ftc_reader(ftc_slice(id->b + FTC_HASH_LEN - 8, 8));

	return ftc_get_u64(&reader);
}

static uint32_t
count_points(const FtcRingMember *members, uint32_t n)
{
	uint32_t	points = 0;

	for (uint32_t i = 0; i < n; i++)
		points += members[i].weight * FTC_RING_POINTS;
	return points;
}

/* Two buckets a point or more, so that a lookup mostly finds its point at once. */
static uint32_t
bucket_bits(uint32_t npoints)
{
	uint32_t	bits = 1;

	while (bits < BUCKET_BITS_MAX && (UINT32_C(1) << bits) / 2 < npoints)
		bits++;
	return bits;
}

static size_t
count_buckets(uint32_t npoints)
{
	return ((size_t) 1 << bucket_bits(npoints)) + 1;
}

size_t
ftc_ring_size(const FtcRingMember *members, uint32_t n)
{
	size_t		npoints = count_points(members, n);

	return npoints * (sizeof(uint64_t) + sizeof(uint16_t)) +
		count_buckets((uint32_t) npoints) * sizeof(uint32_t) + n * sizeof(uint16_t);
}

size_t
ftc_ring_scratch_size(const FtcRingMember *members, uint32_t n)
{
	return count_points(members, n) * sizeof(uint64_t);
}

/* The widest first, so that all are aligned. */
static void
lay_out(FtcRing *ring, void *memory)
{
	ring->position = memory;
	ring->bucket = (uint32_t *) (ring->position + ring->npoints);
	ring->owner = (uint16_t *) (ring->bucket + count_buckets(ring->npoints));
	ring->zone = ring->owner + ring->npoints;
}

/* One block of SHA-256 holds id, counter and padding. */
static void
points_of(const FtcHash *id, uint32_t counter, uint64_t position[WORDS_PER_DIGEST])
{
	uint8_t		block[64] = {0};
	FtcWriter	writer = ftc_writer(block, sizeof(block));
	uint32_t	state[8];

	ftc_put_hash(&writer, id);
	ftc_put_u32(&writer, counter);
	ftc_put_u8(&writer, 0x80);
	block[62] = HASHED_LEN * 8 >> 8;
	block[63] = HASHED_LEN * 8 & 0xff;
	ftc_sha256_start(state);
	ftc_sha256_compress(state, block);
	for (int i = 0; i < WORDS_PER_DIGEST; i++)
		position[i] = (uint64_t) state[2 * i] << 32 | state[2 * i + 1];
}

static uint64_t
bucket_of(const FtcRing *ring, uint64_t position)
{
	return position >> (64 - ring->bucket_bits);
}

/*
 * Positions of all members, one member after the other.  How many there are of
 * each bucket goes into the place of the bucket after it.
 */
static void
make_points(FtcRing *ring, uint64_t *to)
{
	memset(ring->bucket, 0, count_buckets(ring->npoints) * sizeof(uint32_t));
	for (uint32_t m = 0; m < ring->nmembers; m++)
	{
		const FtcRingMember *member = &ring->members[m];
		uint32_t	digests = member->weight * (FTC_RING_POINTS / WORDS_PER_DIGEST);

		for (uint32_t counter = 0; counter < digests; counter++, to += WORDS_PER_DIGEST)
		{
			points_of(&member->id, counter, to);
			for (int i = 0; i < WORDS_PER_DIGEST; i++)
				ring->bucket[bucket_of(ring, to[i]) + 1]++;
		}
	}
}

/*
 * Put them into their buckets.  On the way bucket[b + 1] is how far bucket b is
 * filled, and in the end it is where b + 1 begins.
 */
static void
spread_points(FtcRing *ring, const uint64_t *from)
{
	uint32_t	buckets = UINT32_C(1) << ring->bucket_bits;
	uint32_t	begin = 0;

	for (uint32_t b = 1; b <= buckets; b++)
	{
		uint32_t	n = ring->bucket[b];

		ring->bucket[b] = begin;
		begin += n;
	}
	for (uint32_t m = 0; m < ring->nmembers; m++)
		for (uint32_t i = 0; i < ring->members[m].weight * FTC_RING_POINTS; i++, from++)
		{
			uint32_t	at = ring->bucket[bucket_of(ring, *from) + 1]++;

			ring->position[at] = *from;
			ring->owner[at] = (uint16_t) m;
		}
}

/*
 * Points of a bucket are few.  They come by members, ascending; so of equal
 * positions the lower id's stays first.
 */
static void
sort_bucket(FtcRing *ring, uint32_t first, uint32_t end)
{
	for (uint32_t i = first + 1; i < end; i++)
	{
		uint64_t	position = ring->position[i];
		uint16_t	owner = ring->owner[i];
		uint32_t	at = i;

		for (; at > first && ring->position[at - 1] > position; at--)
		{
			ring->position[at] = ring->position[at - 1];
			ring->owner[at] = ring->owner[at - 1];
		}
		ring->position[at] = position;
		ring->owner[at] = owner;
	}
}

/* seen: a bit for each zone there can be */
static void
count_zones(FtcRing *ring)
{
	uint8_t		seen[(UINT16_MAX + 1) / 8] = {0};

	ring->nzones = ring->nowners = 0;
	for (uint32_t i = 0; i < ring->nmembers; i++)
	{
		uint16_t	zone = ring->members[i].zone;

		ring->zone[i] = zone;
		if (ring->members[i].weight == 0)
			continue;
		ring->nowners++;
		ring->nzones += (seen[zone / 8] >> zone % 8 & 1) == 0;
		seen[zone / 8] |= (uint8_t) (1 << zone % 8);
	}
}

void
ftc_ring_build(FtcRing *ring, const FtcRingMember *members, uint32_t n,
			   void *memory, void *scratch)
{
	ring->members = members;
	ring->nmembers = n;
	ring->npoints = count_points(members, n);
	ring->bucket_bits = bucket_bits(ring->npoints);
	lay_out(ring, memory);
	make_points(ring, scratch);
	spread_points(ring, scratch);
	for (uint32_t b = 0; b < UINT32_C(1) << ring->bucket_bits; b++)
		sort_bucket(ring, ring->bucket[b], ring->bucket[b + 1]);
	count_zones(ring);
}

uint32_t
ftc_ring_lookup(const FtcRing *ring, uint64_t key)
{
	uint32_t	at = ring->bucket[bucket_of(ring, key)];

	while (at < ring->npoints && ring->position[at] < key)
		at++;
	return at < ring->npoints ? at : 0;
}

static bool
is_taken(const FtcRing *ring, const uint32_t *owners, uint32_t n, uint32_t member, bool by_zone)
{
	for (uint32_t i = 0; i < n; i++)
		if (owners[i] == member || (by_zone && ring->zone[owners[i]] == ring->zone[member]))
			return true;
	return false;
}

uint32_t
ftc_ring_owners_at(const FtcRing *ring, uint32_t point, uint32_t r, uint32_t *owners)
{
	uint32_t	wanted = r < ring->nowners ? r : ring->nowners;
	uint32_t	zoned = wanted < ring->nzones ? wanted : ring->nzones;
	uint32_t	n = 0;

	for (uint32_t at = point; n < zoned; at = at + 1 < ring->npoints ? at + 1 : 0)
		if (!is_taken(ring, owners, n, ring->owner[at], true))
			owners[n++] = ring->owner[at];
	for (uint32_t at = point; n < wanted; at = at + 1 < ring->npoints ? at + 1 : 0)
		if (!is_taken(ring, owners, n, ring->owner[at], false))
			owners[n++] = ring->owner[at];
	return n;
}

uint32_t
ftc_ring_owners(const FtcRing *ring, uint64_t key, uint32_t r, uint32_t *owners)
{
	return ring->npoints == 0 ? 0 : ftc_ring_owners_at(ring, ftc_ring_lookup(ring, key), r, owners);
}

/* How many members and zones are left, counted up to r. */
static void
count_left(const FtcRing *ring, const uint8_t *gone, uint32_t r, uint32_t *members, uint32_t *zones)
{
	uint16_t	seen[FTC_REPLICAS_MAX];

	*members = *zones = 0;
	for (uint32_t i = 0; i < ring->nmembers && *zones < r; i++)
	{
		bool		is_new = true;

		if (ring->members[i].weight == 0 || gone[i] != 0)
			continue;
		*members += *members < r;
		for (uint32_t z = 0; z < *zones && is_new; z++)
			is_new = seen[z] != ring->zone[i];
		if (is_new)
			seen[(*zones)++] = ring->zone[i];
	}
}

uint32_t
ftc_ring_owners_without(const FtcRing *ring, uint64_t key, uint32_t r, const uint8_t *gone, uint32_t *owners)
{
	uint32_t	point;
	uint32_t	wanted;
	uint32_t	zoned;
	uint32_t	n = 0;

	count_left(ring, gone, r < FTC_REPLICAS_MAX ? r : FTC_REPLICAS_MAX, &wanted, &zoned);
	if (wanted == 0)
		return 0;
	point = ftc_ring_lookup(ring, key);
	for (uint32_t at = point; n < zoned; at = at + 1 < ring->npoints ? at + 1 : 0)
		if (gone[ring->owner[at]] == 0 && !is_taken(ring, owners, n, ring->owner[at], true))
			owners[n++] = ring->owner[at];
	for (uint32_t at = point; n < wanted; at = at + 1 < ring->npoints ? at + 1 : 0)
		if (gone[ring->owner[at]] == 0 && !is_taken(ring, owners, n, ring->owner[at], false))
			owners[n++] = ring->owner[at];
	return n;
}

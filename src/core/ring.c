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

uint64_t
ftc_ring_key(const FtcHash *id)
{
	FtcReader	reader = ftc_reader(ftc_slice(id->b + FTC_HASH_LEN - 8, 8));

	return ftc_get_u64(&reader);
}

uint32_t
ftc_ring_count_points(const FtcRingMember *members, uint32_t n)
{
	uint32_t	points = 0;

	for (uint32_t i = 0; i < n; i++)
		points += members[i].weight * FTC_RING_POINTS;
	return points;
}

/* About one bucket a point, so that a lookup touches one or two points. */
static uint32_t
bucket_bits(uint32_t npoints)
{
	uint32_t	bits = 1;

	while (bits < 24 && (UINT32_C(1) << bits) < npoints)
		bits++;
	return bits;
}

uint32_t
ftc_ring_count_buckets(uint32_t npoints)
{
	return (UINT32_C(1) << bucket_bits(npoints)) + 1;
}

static FtcRingPoint *
add_points(const FtcRingMember *member, uint32_t index, FtcRingPoint *to)
{
	uint8_t		bytes[FTC_HASH_LEN + 4];
	uint32_t	digests = member->weight * (FTC_RING_POINTS / WORDS_PER_DIGEST);

	for (uint32_t counter = 0; counter < digests; counter++)
	{
		FtcWriter	writer = ftc_writer(bytes, sizeof(bytes));
		FtcHash		digest;
		FtcReader	reader;

		ftc_put_hash(&writer, &member->id);
		ftc_put_u32(&writer, counter);
		digest = ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
		reader = ftc_reader(ftc_slice(digest.b, FTC_HASH_LEN));
		for (int i = 0; i < WORDS_PER_DIGEST; i++, to++)
		{
			to->position = ftc_get_u64(&reader);
			to->member = index;
		}
	}
	return to;
}

/* Members ascend by id, so their indexes order equal positions. */
static bool
before(const FtcRingPoint *a, const FtcRingPoint *b)
{
	return a->position != b->position ? a->position < b->position : a->member < b->member;
}

/* Merge sort, bottom up: stable, no worst case, no comparison callback. */
static void
sort_points(FtcRingPoint *points, FtcRingPoint *scratch, uint32_t n)
{
	FtcRingPoint *from = points;
	FtcRingPoint *to = scratch;

	for (uint64_t width = 1; width < n; width *= 2)
	{
		FtcRingPoint *swap;

		for (uint64_t low = 0; low < n; low += 2 * width)
		{
			uint64_t	mid = low + width < n ? low + width : n;
			uint64_t	high = low + 2 * width < n ? low + 2 * width : n;
			uint64_t	a = low;
			uint64_t	b = mid;

			for (uint64_t at = low; at < high; at++)
				to[at] = a < mid && (b >= high || !before(&from[b], &from[a]))
					? from[a++] : from[b++];
		}

		swap = from;
		from = to;
		to = swap;
	}
	if (from != points)
		memcpy(points, from, n * sizeof(*points));
}

static void
index_points(FtcRing *ring)
{
	uint32_t	buckets = UINT32_C(1) << ring->bucket_bits;
	uint32_t	at = 0;

	for (uint32_t b = 0; b < buckets; b++)
	{
		while (at < ring->npoints &&
			   ring->points[at].position >> (64 - ring->bucket_bits) < b)
			at++;
		ring->bucket[b] = at;
	}
	ring->bucket[buckets] = ring->npoints;
}

static void
count_zones(FtcRing *ring)
{
	ring->nzones = ring->nowners = 0;
	for (uint32_t i = 0; i < ring->nmembers; i++)
	{
		bool		seen = false;

		if (ring->members[i].weight == 0)
			continue;
		ring->nowners++;
		for (uint32_t j = 0; j < i && !seen; j++)
			seen = ring->members[j].weight > 0 &&
				ring->members[j].zone == ring->members[i].zone;
		ring->nzones += !seen;
	}
}

void
ftc_ring_build(FtcRing *ring, const FtcRingMember *members, uint32_t n,
			   FtcRingPoint *points, uint32_t *bucket, FtcRingPoint *scratch)
{
	FtcRingPoint *end = points;

	for (uint32_t i = 0; i < n; i++)
		end = add_points(&members[i], i, end);
	ring->members = members;
	ring->nmembers = n;
	ring->points = points;
	ring->npoints = (uint32_t) (end - points);
	ring->bucket = bucket;
	ring->bucket_bits = bucket_bits(ring->npoints);
	sort_points(points, scratch, ring->npoints);
	index_points(ring);
	count_zones(ring);
}

uint32_t
ftc_ring_lookup(const FtcRing *ring, uint64_t key)
{
	uint32_t	at = ring->bucket[key >> (64 - ring->bucket_bits)];

	while (at < ring->npoints && ring->points[at].position < key)
		at++;
	return at < ring->npoints ? at : 0;
}

static bool
is_taken(const FtcRing *ring, const uint32_t *owners, uint32_t n, uint32_t member, bool by_zone)
{
	for (uint32_t i = 0; i < n; i++)
		if (owners[i] == member ||
			(by_zone && ring->members[owners[i]].zone == ring->members[member].zone))
			return true;
	return false;
}

uint32_t
ftc_ring_owners(const FtcRing *ring, uint64_t key, uint32_t r, uint32_t *owners)
{
	uint32_t	wanted = r < ring->nowners ? r : ring->nowners;
	uint32_t	zoned = wanted < ring->nzones ? wanted : ring->nzones;
	uint32_t	n = 0;
	uint32_t	start;

	if (wanted == 0)
		return 0;
	start = ftc_ring_lookup(ring, key);
	for (uint32_t at = start; n < zoned; at = at + 1 < ring->npoints ? at + 1 : 0)
		if (!is_taken(ring, owners, n, ring->points[at].member, true))
			owners[n++] = ring->points[at].member;
	for (uint32_t at = start; n < wanted; at = at + 1 < ring->npoints ? at + 1 : 0)
		if (!is_taken(ring, owners, n, ring->points[at].member, false))
			owners[n++] = ring->points[at].member;
	return n;
}

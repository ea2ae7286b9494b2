/*-------------------------------------------------------------------------
 *
 * ring.h
 *	  The consistent-hash ring: which members own a key.
 *
 * Karger et al. 1997, with virtual nodes: a member of weight w has
 * w * FTC_RING_POINTS positions, the successive big-endian 64-bit words of
 * SHA-256(member id || counter u32), counter = 0, 1, ...  Raising a weight
 * adds positions and moves no other.  Equal positions are ordered by id.
 *
 * The owners of a key are found clockwise from it: the first members in zones
 * not yet used, and when every zone is used, the first members not yet used.
 * A key is the last eight bytes of a block id, which is a digest already.  (Not
 * the first: proof of work makes those small, and all blocks would lie at one
 * place.)
 *
 * A ring is a pure function of members, weights and zones.
 *
 * Positions are spread evenly, as words of digests.  So where the circle is cut
 * into twice as many equal buckets as there are points, a key's bucket mostly
 * begins at its point.  The same cut sorts the points.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_RING_H
#define FTC_RING_H

#include "types.h"

#define FTC_RING_POINTS		512 /* per unit of weight; a multiple of 4 */

/* Members, and so zones as well, are counted in 16 bits. */
_Static_assert(FTC_MEMBERS_MAX <= UINT16_MAX, "the index of a member has 16 bits");

typedef struct FtcRingMember
{
	FtcHash		id;
	uint32_t	weight;
	uint16_t	zone;			/* equal numbers are one zone */
} FtcRingMember;

typedef struct FtcRing
{
	const FtcRingMember *members;	/* the caller's; ascending by id */
	uint32_t	nmembers;
	uint32_t	npoints;
	uint64_t   *position;		/* of each point; ascending */
	uint16_t   *owner;			/* of each point, as an index into members */
	uint16_t   *zone;			/* of each member */
	uint32_t   *bucket;			/* first point at or above each high part */
	uint32_t	bucket_bits;
	uint32_t	nzones;			/* that have a point */
	uint32_t	nowners;		/* members that have a point */
} FtcRing;

extern uint64_t ftc_ring_key(const FtcHash *id);

/* Bytes of memory that a ring over these members needs, and to build it. */
extern size_t ftc_ring_size(const FtcRingMember *members, uint32_t n);
extern size_t ftc_ring_scratch_size(const FtcRingMember *members, uint32_t n);

/*
 * Build in the caller's memory, aligned to eight bytes.  There are
 * FTC_MEMBERS_MAX members at most, of FTC_WEIGHTS_MAX in all.
 */
extern void ftc_ring_build(FtcRing *ring, const FtcRingMember *members, uint32_t n,
						   void *memory, void *scratch);

/* The first point clockwise from key; the ring is not empty. */
extern uint32_t ftc_ring_lookup(const FtcRing *ring, uint64_t key);

/*
 * Up to r owners of key, as indexes into members, in order; gives how many
 * there are: min(r, members with weight).
 */
extern uint32_t ftc_ring_owners(const FtcRing *ring, uint64_t key, uint32_t r, uint32_t *owners);

/*
 * The same as if some members had no weight: gone has a byte for each member, and
 * another one than 0 for those.  What the others own they keep.
 */
extern uint32_t ftc_ring_owners_without(const FtcRing *ring, uint64_t key, uint32_t r, const uint8_t *gone,
										uint32_t *owners);

/* The same for the keys of the arc that ends in a point. */
extern uint32_t ftc_ring_owners_at(const FtcRing *ring, uint32_t point, uint32_t r, uint32_t *owners);

#endif							/* FTC_RING_H */

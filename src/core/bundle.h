/*-------------------------------------------------------------------------
 *
 * bundle.h
 *	  A bundle: entries of one origin, numbered and signed by it as a whole.
 *
 * Bundles are what proposers carry.  A branch takes the bundles of an origin
 * and incarnation in the order of their numbers, without gaps and each once;
 * so what a losing branch held is pending again without a row being touched.
 *
 * The bundle head is a leaf of the body tree:
 *
 *		  at  bytes
 *		   0    1	version			1
 *		   1    1	class			3 (FTC_LEAF_BUNDLE)
 *		   2   32	origin			member id
 *		  34    8	incarnation
 *		  42    8	number			from 1, gapless
 *		  50    4	count			entries, at least 1
 *		  54   32	root			RFC 6962 root over its entries' leaves
 *		  86    4	n				ranges of seq, 1 .. FTC_RANGES_MAX
 *		  90 16*n	ranges			first u64, last u64 (inclusive), ascending
 *									and not adjacent
 *
 * The origin signs SHA-256 of these bytes (domain "ftchain bundle v1").
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_BUNDLE_H
#define FTC_BUNDLE_H

#include "sign.h"
#include "types.h"

#define FTC_RANGES_MAX		4096
#define FTC_BUNDLE_FIXED	90
#define FTC_BUNDLE_LEAF_MAX	(FTC_BUNDLE_FIXED + 16 * FTC_RANGES_MAX)

typedef struct FtcBundle
{
	FtcHash		origin;
	uint64_t	incarnation;
	uint64_t	number;
	uint32_t	count;
	FtcHash		root;
	uint32_t	nranges;
	FtcSlice	ranges;			/* encoded, 16 bytes each */
} FtcBundle;

typedef struct FtcRange
{
	uint64_t	first;
	uint64_t	last;			/* inclusive */
} FtcRange;

extern FtcRange ftc_bundle_range(const FtcBundle *bundle, uint32_t i);
extern void ftc_range_encode(FtcRange range, uint8_t bytes[16]);

/* The encoded length: FTC_BUNDLE_FIXED + 16 * nranges. */
extern size_t ftc_bundle_leaf_encode(const FtcBundle *bundle, uint8_t *bytes, size_t size);
extern FtcReason ftc_bundle_leaf_decode(FtcBundle *bundle, FtcSlice bytes);

/* What the origin signs, from the leaf bytes. */
extern FtcHash ftc_bundle_digest(FtcSlice leaf);

/* The order of bundles in a body: origin, incarnation, number. */
extern int	ftc_bundle_compare(const FtcBundle *a, const FtcBundle *b);

#endif							/* FTC_BUNDLE_H */

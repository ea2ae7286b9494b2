/*-------------------------------------------------------------------------
 *
 * bundle.c
 *	  Bundle heads.
 *
 *-------------------------------------------------------------------------
 */
#include "bundle.h"

#include "bytes.h"
#include "entry.h"
#include "sha256.h"

FtcRange
ftc_bundle_range(const FtcBundle *bundle, uint32_t i)
{
	FtcReader	reader = ftc_reader(ftc_slice(bundle->ranges.data + 16 * (size_t) i, 16));
	FtcRange	range;

	range.first = ftc_get_u64(&reader);
	range.last = ftc_get_u64(&reader);
	return range;
}

void
ftc_range_encode(FtcRange range, uint8_t bytes[16])
{
	FtcWriter	writer = ftc_writer(bytes, 16);

	ftc_put_u64(&writer, range.first);
	ftc_put_u64(&writer, range.last);
}

size_t
ftc_bundle_leaf_encode(const FtcBundle *bundle, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	ftc_put_u8(&writer, FTC_LEAF_VERSION);
	ftc_put_u8(&writer, FTC_LEAF_BUNDLE);
	ftc_put_hash(&writer, &bundle->origin);
	ftc_put_u64(&writer, bundle->incarnation);
	ftc_put_u64(&writer, bundle->number);
	ftc_put_u32(&writer, bundle->count);
	ftc_put_hash(&writer, &bundle->root);
	ftc_put_u32(&writer, bundle->nranges);
	ftc_put_slice(&writer, bundle->ranges);
	return writer.len;
}

/* Ascending, not touching, and together as many as the head says. */
static FtcReason
check_ranges(const FtcBundle *bundle)
{
	uint64_t	entries = 0;
	uint64_t	next = 1;		/* the least seq allowed to come */

	for (uint32_t i = 0; i < bundle->nranges; i++)
	{
		FtcRange	range = ftc_bundle_range(bundle, i);

		if (range.last > INT64_MAX - 2 || range.first > range.last || range.first < next)
			return FTC_NOT_CANONICAL;
		entries += range.last - range.first + 1;
		if (entries > FTC_LEAVES_MAX)
			return FTC_TOO_MANY;
		next = range.last + 2;
	}
	return entries == bundle->count ? FTC_OK : FTC_NOT_CANONICAL;
}

FtcReason
ftc_bundle_leaf_decode(FtcBundle *bundle, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		class = ftc_get_u8(&reader);

	bundle->origin = ftc_get_hash(&reader);
	bundle->incarnation = ftc_get_u64(&reader);
	bundle->number = ftc_get_u64(&reader);
	bundle->count = ftc_get_u32(&reader);
	bundle->root = ftc_get_hash(&reader);
	bundle->nranges = ftc_get_u32(&reader);
	if (bundle->nranges > FTC_RANGES_MAX)
		return FTC_TOO_MANY;
	bundle->ranges = ftc_get_slice(&reader, 16 * (size_t) bundle->nranges);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (version != FTC_LEAF_VERSION)
		return FTC_BAD_VERSION;
	if (class != FTC_LEAF_BUNDLE)
		return FTC_BAD_KIND;
	if (bundle->incarnation == 0 || bundle->incarnation > INT64_MAX ||
		bundle->number == 0 || bundle->number > INT64_MAX ||
		bundle->count == 0 || bundle->count > FTC_LEAVES_MAX)
		return FTC_OUT_OF_RANGE;
	return check_ranges(bundle);
}

FtcHash
ftc_bundle_digest(FtcSlice leaf)
{
	return ftc_sha256(leaf);
}

int
ftc_bundle_compare(const FtcBundle *a, const FtcBundle *b)
{
	int			order = ftc_hash_compare(&a->origin, &b->origin);

	if (order != 0)
		return order;
	if (a->incarnation != b->incarnation)
		return a->incarnation < b->incarnation ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

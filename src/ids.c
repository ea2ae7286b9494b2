/*-------------------------------------------------------------------------
 *
 * ids.c
 *	  Lists of entry ids as ranges, and as int8multirange.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/multirangetypes.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

#include "store.h"

void
ftc_ids_init(FtcIds *ids)
{
	ids->n = 0;
	ids->size = 16;
	ids->ranges = palloc(ids->size * sizeof(FtcRange));
}

/* Ids mostly come in order: then the last range just grows. */
void
ftc_ids_add(FtcIds *ids, int64 first, int64 last)
{
	if (ids->n > 0 && ids->ranges[ids->n - 1].last + 1 == (uint64) first)
	{
		ids->ranges[ids->n - 1].last = last;
		return;
	}
	if (ids->n == ids->size)
	{
		ids->size *= 2;
		ids->ranges = repalloc_huge(ids->ranges, ids->size * sizeof(FtcRange));
	}
	ids->ranges[ids->n].first = first;
	ids->ranges[ids->n].last = last;
	ids->n++;
}

static int
compare_ranges(const void *a, const void *b)
{
	const FtcRange *ra = a;
	const FtcRange *rb = b;

	return ra->first < rb->first ? -1 : ra->first > rb->first;
}

void
ftc_ids_sort(FtcIds *ids)
{
	int			out = 0;

	qsort(ids->ranges, ids->n, sizeof(FtcRange), compare_ranges);
	for (int i = 1; i < ids->n; i++)
	{
		if (ids->ranges[i].first <= ids->ranges[out].last + 1)
			ids->ranges[out].last = Max(ids->ranges[out].last, ids->ranges[i].last);
		else
			ids->ranges[++out] = ids->ranges[i];
	}
	if (ids->n > 0)
		ids->n = out + 1;
}

int64
ftc_ids_count(const FtcIds *ids)
{
	int64		count = 0;

	for (int i = 0; i < ids->n; i++)
		count += ids->ranges[i].last - ids->ranges[i].first + 1;
	return count;
}

FtcIds
ftc_ids_of_bundle(const FtcBundle *bundle)
{
	FtcIds		seqs;

	ftc_ids_init(&seqs);
	for (uint32 i = 0; i < bundle->nranges; i++)
	{
		FtcRange	range = ftc_bundle_range(bundle, i);

		ftc_ids_add(&seqs, (int64) range.first, (int64) range.last);
	}
	return seqs;
}

static TypeCacheEntry *
multirange_type(void)
{
	return lookup_type_cache(INT8MULTIRANGEOID, TYPECACHE_MULTIRANGE_INFO);
}

bool
ftc_ids_read(Datum multirange, FtcIds *ids)
{
	TypeCacheEntry *rangetype = multirange_type()->rngtype;
	RangeType **ranges;
	int32		n;

	ftc_ids_init(ids);
	multirange_deserialize(rangetype, DatumGetMultirangeTypeP(multirange), &n, &ranges);
	for (int32 i = 0; i < n; i++)
	{
		RangeBound	lower;
		RangeBound	upper;
		bool		empty;

		range_deserialize(rangetype, ranges[i], &lower, &upper, &empty);
		if (empty || lower.infinite || upper.infinite || DatumGetInt64(lower.val) < 0)
			return false;
		/* canonical int8 ranges are [first, last + 1) */
		ftc_ids_add(ids, DatumGetInt64(lower.val), DatumGetInt64(upper.val) - 1);
	}
	return true;
}

FtcIds
ftc_ids_from_datum(Datum multirange)
{
	FtcIds		ids;

	if (!ftc_ids_read(multirange, &ids))
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("a list of entry ids has no bounds"));
	return ids;
}

bool
ftc_ids_equal(const FtcIds *a, const FtcIds *b)
{
	return a->n == b->n && memcmp(a->ranges, b->ranges, a->n * sizeof(FtcRange)) == 0;
}

Datum
ftc_ids_datum(const FtcIds *ids)
{
	TypeCacheEntry *type = multirange_type();
	RangeType **ranges = palloc(Max(ids->n, 1) * sizeof(RangeType *));

	for (int i = 0; i < ids->n; i++)
	{
		RangeBound	lower = {0};
		RangeBound	upper = {0};

		lower.val = Int64GetDatum((int64) ids->ranges[i].first);
		lower.inclusive = lower.lower = true;
		upper.val = Int64GetDatum((int64) ids->ranges[i].last + 1);
#if PG_VERSION_NUM >= 160000
		ranges[i] = make_range(type->rngtype, &lower, &upper, false, NULL);
#else
		ranges[i] = make_range(type->rngtype, &lower, &upper, false);
#endif
	}
	return MultirangeTypePGetDatum(make_multirange(INT8MULTIRANGEOID, type->rngtype, ids->n, ranges));
}

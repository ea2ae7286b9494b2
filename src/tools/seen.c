/*-------------------------------------------------------------------------
 *
 * seen.c
 *	  What a branch holds already.
 *
 *-------------------------------------------------------------------------
 */
#include "seen.h"

#include <string.h>

#include "alloc.h"

/* The first that is not below an id. */
static size_t
id_position(const FtcSeenIds *seen, const FtcHash *id)
{
	size_t		low = 0;
	size_t		high = seen->n;

	while (low < high)
	{
		size_t		mid = low + (high - low) / 2;

		if (ftc_hash_compare(&seen->ids[mid].id, id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

FtcSeenId *
ftc_seen_find(const FtcSeenIds *seen, const FtcHash *id)
{
	size_t		at = id_position(seen, id);

	return at < seen->n && ftc_hash_equal(&seen->ids[at].id, id) ? &seen->ids[at] : NULL;
}

bool
ftc_seen_add(FtcSeenIds *seen, const FtcHash *id, int64_t number)
{
	size_t		at = id_position(seen, id);

	if (at < seen->n && ftc_hash_equal(&seen->ids[at].id, id))
		return false;
	ftc_grow(seen->ids, seen->n, seen->size);
	memmove(&seen->ids[at + 1], &seen->ids[at], (seen->n - at) * sizeof(FtcSeenId));
	seen->ids[at].id = *id;
	seen->ids[at].number = number;
	seen->n++;
	return true;
}

void
ftc_seen_clear(FtcSeenIds *seen)
{
	free(seen->ids);
	memset(seen, 0, sizeof(*seen));
}

static int
compare_origin(const FtcSeenOrigin *seen, const FtcBundle *bundle)
{
	int			order = ftc_hash_compare(&seen->origin, &bundle->origin);

	if (order != 0)
		return order;
	return seen->incarnation < bundle->incarnation ? -1 : seen->incarnation > bundle->incarnation;
}

FtcSeenOrigin *
ftc_seen_origin(FtcSeenOrigins *seen, const FtcBundle *bundle)
{
	size_t		low = 0;
	size_t		high = seen->n;
	FtcSeenOrigin *origin;

	while (low < high)
	{
		size_t		mid = low + (high - low) / 2;

		if (compare_origin(&seen->origins[mid], bundle) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < seen->n && compare_origin(&seen->origins[low], bundle) == 0)
		return &seen->origins[low];
	ftc_grow(seen->origins, seen->n, seen->size);
	origin = &seen->origins[low];
	memmove(origin + 1, origin, (seen->n - low) * sizeof(FtcSeenOrigin));
	memset(origin, 0, sizeof(*origin));
	origin->origin = bundle->origin;
	origin->incarnation = bundle->incarnation;
	seen->n++;
	return origin;
}

/* The first range that ends where this one begins, or behind. */
static size_t
range_position(const FtcSeenOrigin *origin, uint64_t first)
{
	size_t		low = 0;
	size_t		high = origin->n;

	while (low < high)
	{
		size_t		mid = low + (high - low) / 2;

		if (origin->ranges[mid].last + 1 < first)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Mostly it goes to the end, and often onto the last one. */
static bool
add_range(FtcSeenOrigin *origin, FtcRange range)
{
	size_t		at = range_position(origin, range.first);
	FtcRange   *found;

	ftc_grow(origin->ranges, origin->n, origin->size);
	found = &origin->ranges[at];
	if (at < origin->n && found->last >= range.first && found->first <= range.last)
		return false;
	if (at < origin->n && found->last + 1 == range.first)
	{
		if (at + 1 < origin->n && found[1].first <= range.last)
			return false;
		found->last = range.last;
		if (at + 1 < origin->n && found[1].first == range.last + 1)
		{
			found->last = found[1].last;
			memmove(found + 1, found + 2, (origin->n - at - 2) * sizeof(FtcRange));
			origin->n--;
		}
		return true;
	}
	if (at < origin->n && found->first == range.last + 1)
	{
		found->first = range.first;
		return true;
	}
	memmove(found + 1, found, (origin->n - at) * sizeof(FtcRange));
	*found = range;
	origin->n++;
	return true;
}

bool
ftc_seen_seqs(FtcSeenOrigin *origin, const FtcBundle *bundle)
{
	bool		once = true;

	for (uint32_t i = 0; i < bundle->nranges; i++)
		once &= add_range(origin, ftc_bundle_range(bundle, i));
	return once;
}

void
ftc_seen_forget(FtcSeenOrigins *seen)
{
	for (size_t i = 0; i < seen->n; i++)
		free(seen->origins[i].ranges);
	free(seen->origins);
	memset(seen, 0, sizeof(*seen));
}

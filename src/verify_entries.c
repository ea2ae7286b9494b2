/*-------------------------------------------------------------------------
 *
 * verify_entries.c
 *	  Entries: against the leaf hashes of their bundles, in one pass by id.
 *
 * The bundles' lists of ids, sorted, say where each entry belongs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "core/merkle.h"
#include "datum.h"
#include "identity.h"
#include "seal.h"
#include "stmt.h"
#include "store.h"
#include "verify_part.h"

#define STRAYS_AT_ONCE 5000

/* Bodies that this database has signed it stores. */
static FtcStmt bodies_lost = {
	.sql = "SELECT m.height, m.block FROM ftchain.replica r JOIN ftchain.main_chain m ON m.block = r.block"
	" WHERE m.chain = $1 AND m.height BETWEEN $2 AND $3 AND r.member = $4 AND EXISTS"
	" (SELECT FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE b.block = m.block AND u.ids IS NULL) ORDER BY m.height",
	.nargs = 4,
	.argtypes = {INT4OID, INT8OID, INT8OID, BYTEAOID},
};

/* Of which blocks is another number of entries here than there should be? */
static FtcStmt odd_bodies = {
	.sql = "SELECT DISTINCT m.height FROM ftchain.main_chain m JOIN ftchain.block_bundle b ON b.block = m.block"
	" JOIN ftchain.bundle u ON u.id = b.bundle WHERE m.chain = $1 AND m.height BETWEEN $2 AND $3 AND u.ids IS NOT NULL"
	" AND u.count <> (SELECT count(*) FROM unnest(u.ids) r, LATERAL"
	" (SELECT FROM ftchain.entry e WHERE e.id >= lower(r) AND e.id < upper(r)) e) ORDER BY m.height",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
	.by_index = true,
};

static FtcStmt held_bundles = {
	.sql = "SELECT m.height, m.block, u.id, u.count, u.ids"
	" FROM ftchain.main_chain m JOIN ftchain.block_bundle b ON b.block = m.block"
	" JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE m.chain = $1 AND m.height BETWEEN $2 AND $3 AND u.ids IS NOT NULL"
	" ORDER BY m.height, b.\"position\"",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
};

/* Held, but in no block of the main chain: of other branches, or pending. */
static FtcStmt loose_bundles = {
	.sql = "SELECT u.ids FROM ftchain.bundle u WHERE u.chain = $1 AND u.ids IS NOT NULL AND NOT EXISTS"
	" (SELECT FROM ftchain.block_bundle b JOIN ftchain.main_chain m ON m.block = b.block WHERE b.bundle = u.id)",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt leaves_of = {
	.sql = "SELECT head, leaves FROM ftchain.bundle WHERE id = $1",
	.nargs = 1,
	.argtypes = {INT8OID},
};

static FtcStmt extra_entries = {
	.sql = "SELECT e.id FROM ftchain.entry e LEFT JOIN ftchain.seal_state s ON s.chain = e.chain"
	" WHERE e.id BETWEEN $1 AND $2 AND e.chain = $3 AND NOT (" FTC_ENTRY_WAITS("$4") ") ORDER BY e.id",
	.nargs = 4,
	.argtypes = {INT8OID, INT8OID, INT4OID, BYTEAOID},
};

/* No sequence gives these: they belong nowhere. */
static FtcStmt entries_outside = {
	.sql = "SELECT id FROM ftchain.entry WHERE chain = $1 AND id < 1"
	" UNION ALL SELECT id FROM ftchain.entry WHERE chain = $1 AND id = 9223372036854775807",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* Of the next so many entries: is each where it belongs, in a bundle or waiting? */
static FtcStmt next_entries = {
	.sql = "SELECT e.id, NOT (" FTC_ENTRY_WAITS("$4") ") AND NOT EXISTS (SELECT FROM ftchain.bundle u WHERE u.ids @> e.id)"
	" FROM (SELECT * FROM ftchain.entry WHERE id > $1 AND id < 9223372036854775807 AND chain = $3 ORDER BY id LIMIT $2) e"
	" LEFT JOIN ftchain.seal_state s ON s.chain = e.chain ORDER BY e.id",
	.nargs = 4,
	.argtypes = {INT8OID, INT8OID, INT4OID, BYTEAOID},
};

/* The leaf hashes of a bundle, while some of its entries are being read. */
typedef struct FtcLeaves
{
	FtcHash    *hashes;			/* NULL if they are not sound */
	uint32		left;			/* entries of this chunk not passed yet */
	bool		loaded;
	bool		checked;		/* once, in whichever chunk */
	bool		reports;		/* the bundle begins in this chunk */
} FtcLeaves;

/* A chunk is read by one process: about 10 ms. */
#define CHUNK_ENTRIES 20000
#define CHUNK_SPANS 20000

/* ----------------------------------------------------------------
 *		What is to be read
 * ----------------------------------------------------------------
 */

typedef struct Collection
{
	FtcVerification *v;
	FtcEntryWork *work;
	int			size;			/* of spans */
} Collection;

static void
held_fault(FtcVerification *v, const FtcHeld *held, int64 id, const char *what, const char *expected, const char *found)
{
	if (held != NULL)
		ftc_verify_fault(v, held->height, &held->block, id, what, expected, found);
}

static void
add_spans(Collection *c, int32 held, const FtcIds *ids)
{
	FtcEntryWork *w = c->work;
	uint32		offset = 0;

	for (int i = 0; i < ids->n; i++)
	{
		FtcSpan    *span;

		if (w->nspans == c->size)
		{
			c->size = Max(64, c->size * 2);
			w->spans = w->spans == NULL ? palloc(c->size * sizeof(FtcSpan))
				: repalloc_huge(w->spans, c->size * sizeof(FtcSpan));
		}
		span = &w->spans[w->nspans++];
		span->first = ids->ranges[i].first;
		span->last = ids->ranges[i].last;
		span->held = held;
		span->offset = offset;
		offset += (uint32) (span->last - span->first + 1);
	}
}

static int
compare_spans(const void *a, const void *b)
{
	const FtcSpan *sa = a;
	const FtcSpan *sb = b;

	return sa->first < sb->first ? -1 : sa->first > sb->first;
}

static void
read_held(uint64 i, FtcHeld *held)
{
	held->height = DatumGetInt64(ftc_value(i, 0));
	held->block = ftc_hash_value(i, 1);
	held->id = DatumGetInt64(ftc_value(i, 2));
	held->count = (uint32) DatumGetInt32(ftc_value(i, 3));
}

static void
collect_held(Collection *c, int64 from, int64 to)
{
	uint64		n = ftc_run(&held_bundles, Int32GetDatum(c->v->chain->id), Int64GetDatum(from), Int64GetDatum(to));

	c->work->held = palloc_extended(Max(n, 1) * sizeof(FtcHeld), MCXT_ALLOC_HUGE);
	for (uint64 i = 0; i < n; i++)
	{
		int32		which = c->work->nheld++;
		FtcHeld    *held = &c->work->held[which];
		FtcIds		ids;
		bool		bounded = ftc_ids_read(ftc_value(i, 4), &ids);

		read_held(i, held);
		/* a list of another length is no list: what it names is not checked */
		if (bounded && ftc_ids_count(&ids) == held->count)
			add_spans(c, which, &ids);
		else
			held_fault(c->v, held, 0, "list of entries changed", psprintf("%u entries", held->count),
					   bounded ? psprintf(INT64_FORMAT, ftc_ids_count(&ids)) : NULL);
	}
}

static void
collect_loose(Collection *c)
{
	uint64		n = ftc_run(&loose_bundles, Int32GetDatum(c->v->chain->id));

	for (uint64 i = 0; i < n; i++)
	{
		FtcIds		ids;

		if (ftc_ids_read(ftc_value(i, 0), &ids))
			add_spans(c, -1, &ids);
	}
}

/* Put the spans in order.  No entry belongs to two bundles. */
static void
sort_spans(Collection *c)
{
	FtcEntryWork *w = c->work;
	int			out = 0;

	if (w->nspans == 0)
		return;
	qsort(w->spans, w->nspans, sizeof(FtcSpan), compare_spans);
	for (int i = 1; i < w->nspans; i++)
	{
		const FtcSpan *span = &w->spans[i];

		if (span->first > w->spans[out].last)
			w->spans[++out] = *span;
		else
			held_fault(c->v, span->held < 0 ? NULL : &w->held[span->held], 0, "list of entries changed",
					   "entries of its own", psprintf("entry " UINT64_FORMAT " of another bundle", span->first));
	}
	w->nspans = out + 1;
}

/* There is one chunk at least: entries may be where no bundle is. */
static void
cut_into_chunks(FtcEntryWork *w)
{
	uint64		entries = 0;
	int			first = 0;

	w->chunks = palloc_extended((w->nspans + 2) * sizeof(int32), MCXT_ALLOC_HUGE);
	w->chunks[w->nchunks++] = 0;
	for (int i = 0; i < w->nspans; i++)
	{
		if (entries >= CHUNK_ENTRIES || i - first == CHUNK_SPANS)
		{
			w->chunks[w->nchunks++] = first = i;
			entries = 0;
		}
		entries += w->spans[i].last - w->spans[i].first + 1;
		w->entries += w->spans[i].last - w->spans[i].first + 1;
	}
	w->chunks[w->nchunks] = w->nspans;
}

/* ----------------------------------------------------------------
 *		Reading
 * ----------------------------------------------------------------
 */

static const FtcHeld *
held_of(const FtcEntryReader *r, const FtcSpan *span)
{
	return span->held < 0 ? NULL : &r->work->held[span->held];
}

/*
 * The leaf hashes of a bundle, checked against its root: that is what each
 * entry is compared with.  Read when the first entry is, dropped after the
 * last, so that only a few bundles are in memory.
 */
static void
load_leaves(FtcEntryReader *r, const FtcHeld *held, FtcLeaves *l)
{
	bool		isnull;
	Datum		datum;
	FtcSlice	leaves;
	FtcBundle	bundle;
	FtcHash		root;

	l->loaded = l->checked = true;
	if (ftc_run(&leaves_of, Int64GetDatum(held->id)) == 0 ||
		ftc_bundle_leaf_decode(&bundle, ftc_slice_value(0, 0)) != FTC_OK)
		return;					/* said already, with the block */
	datum = ftc_column(0, 1, &isnull);
	leaves = isnull ? ftc_slice(NULL, 0) : ftc_datum_slice(datum);
	if (leaves.len != (size_t) bundle.count * sizeof(FtcHash))
	{
		if (l->reports)
			held_fault(r->v, held, 0, "leaf hashes changed", psprintf("%u hashes", bundle.count),
					   psprintf("%zu bytes", leaves.len));
	}
	else
	{
		root = ftc_merkle_root((const FtcHash *) leaves.data, bundle.count);
		if (ftc_hash_equal(&root, &bundle.root))
			l->hashes = memcpy(MemoryContextAllocHuge(r->context, leaves.len), leaves.data, leaves.len);
		else if (l->reports)
			held_fault(r->v, held, 0, "leaf hashes changed", ftc_hash_hex(&bundle.root), ftc_hash_hex(&root));
	}
	SPI_freetuptable(SPI_tuptable);
}

static void
drop_leaves(FtcLeaves *l)
{
	if (l->hashes != NULL)
		pfree(l->hashes);
	l->hashes = NULL;
	l->left = 0;
	l->loaded = l->reports = false;
}

/* One more entry of the span's bundle is behind us. */
static void
pass_by(FtcEntryReader *r, const FtcSpan *span)
{
	FtcLeaves  *l;

	if (span->held < 0)
		return;
	l = &r->leaves[span->held];
	/* a damaged index may show an entry twice */
	if (l->left == 0 || --l->left > 0)
		return;
	drop_leaves(l);
}

/* Ids that should have come before this one, in the span being read and after. */
static void
missing_before(FtcEntryReader *r, uint64 id)
{
	while (r->at < r->end && r->next < id)
	{
		const FtcSpan *span = &r->work->spans[r->at];

		r->next = Max(r->next, span->first);
		for (; r->next <= span->last && r->next < id; r->next++)
		{
			char		expected[32];

			CHECK_FOR_INTERRUPTS();
			snprintf(expected, sizeof(expected), "entry " UINT64_FORMAT, r->next);
			held_fault(r->v, held_of(r, span), (int64) r->next, "entry missing", expected, NULL);
			pass_by(r, span);
		}
		if (r->next <= span->last)
			return;
		if (++r->at < r->end)
			r->next = Max(r->next, r->work->spans[r->at].first);
	}
}

static void
compare_entry(FtcEntryReader *r, const FtcSpan *span, int64 id, FtcEntry *entry)
{
	FtcLeaves  *l = &r->leaves[span->held];
	const FtcHeld *held = held_of(r, span);
	uint32		offset = span->offset + (uint32) ((uint64) id - span->first);
	FtcHash		leaf;

	if (!l->loaded)
		load_leaves(r, held, l);
	if (l->hashes == NULL)
		return;
	entry->payload_hash = ftc_payload_hash(entry->salt, entry->payload);
	leaf = ftc_entry_leaf_hash(entry);
	if (offset >= held->count || !ftc_hash_equal(&leaf, &l->hashes[offset]))
		held_fault(r->v, held, id, "entry changed", offset < held->count ? ftc_hash_hex(&l->hashes[offset]) : NULL,
				   ftc_hash_hex(&leaf));
}

static bool
read_entry(void *arg, int64 id, FtcEntry *entry)
{
	FtcEntryReader *r = arg;
	const FtcSpan *span;

	missing_before(r, (uint64) id);
	while (r->at < r->end && r->work->spans[r->at].last < (uint64) id)
		r->at++;
	span = r->at < r->end ? &r->work->spans[r->at] : NULL;
	if (span == NULL || span->first > (uint64) id)
	{
		if (r->work->strays)
		{
			MemoryContext outer = MemoryContextSwitchTo(r->context);

			ftc_ids_add(&r->stray, id, id);
			MemoryContextSwitchTo(outer);
		}
		return true;
	}
	r->next = (uint64) id + 1;
	if (span->held >= 0)
		compare_entry(r, span, id, entry);
	pass_by(r, span);
	return true;
}

/* The ids of a chunk; with strays, those up to the next chunk as well. */
static FtcIds
ids_of_chunk(const FtcEntryWork *w, int chunk)
{
	int			first = w->chunks[chunk];
	int			end = w->chunks[chunk + 1];
	FtcIds		ids;

	ftc_ids_init(&ids);
	if (w->strays)
		ftc_ids_add(&ids, chunk == 0 ? 0 : (int64) w->spans[first].first,
					chunk + 1 == w->nchunks ? PG_INT64_MAX - 1 : (int64) w->spans[end].first - 1);
	else
		for (int i = first; i < end; i++)
			ftc_ids_add(&ids, (int64) w->spans[i].first, (int64) w->spans[i].last);
	return ids;
}

void
ftc_verify_read_begin(FtcEntryReader *r, FtcVerification *v, const FtcEntryWork *work)
{
	memset(r, 0, sizeof(*r));
	r->v = v;
	r->work = work;
	r->context = CurrentMemoryContext;
	r->leaves = palloc_extended(Max(work->nheld, 1) * sizeof(FtcLeaves), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	ftc_ids_init(&r->stray);
}

/* Leaf hashes that no entry asked for: those that begin here are missing. */
static void
check_other_leaves(FtcEntryReader *r, int chunk)
{
	for (int i = r->work->chunks[chunk]; i < r->end; i++)
	{
		const FtcSpan *span = &r->work->spans[i];
		FtcLeaves  *l = span->held < 0 ? NULL : &r->leaves[span->held];

		if (l == NULL || span->offset > 0 || l->checked)
			continue;
		l->reports = true;
		load_leaves(r, held_of(r, span), l);
		drop_leaves(l);
	}
}

void
ftc_verify_read(FtcEntryReader *r, int chunk)
{
	const FtcEntryWork *w = r->work;
	FtcIds		ids = ids_of_chunk(w, chunk);

	r->at = w->chunks[chunk];
	r->end = w->chunks[chunk + 1];
	r->next = r->at < r->end ? w->spans[r->at].first : 0;
	for (int i = r->at; i < r->end; i++)
		if (w->spans[i].held >= 0)
		{
			FtcLeaves  *l = &r->leaves[w->spans[i].held];

			l->left += (uint32) (w->spans[i].last - w->spans[i].first + 1);
			l->reports |= w->spans[i].offset == 0;
		}
	ftc_store_scan(r->v->chain->id, &ids, read_entry, r);
	missing_before(r, PG_INT64_MAX);
	check_other_leaves(r, chunk);
	pfree(ids.ranges);
}

static void
extra_fault(FtcVerification *v, int64 id)
{
	ftc_verify_fault(v, -1, NULL, id, "extra entry", NULL, psprintf("entry " INT64_FORMAT, id));
}

static void
check_outside(FtcVerification *v)
{
	uint64		n = ftc_run(&entries_outside, Int32GetDatum(v->chain->id));

	for (uint64 i = 0; i < n; i++)
		extra_fault(v, DatumGetInt64(ftc_value(i, 0)));
	SPI_freetuptable(SPI_tuptable);
}

/* Entries in no bundle: those that wait for the sealer, and what does not belong. */
static void
check_strays(FtcVerification *v, const FtcIds *stray)
{
	FtcIdentity self;
	bool		nulls[4] = {false};

	nulls[3] = !ftc_identity_load(&self);
	for (int i = 0; i < stray->n; i++)
	{
		Datum		args[] = {Int64GetDatum((int64) stray->ranges[i].first),
			Int64GetDatum((int64) stray->ranges[i].last), Int32GetDatum(v->chain->id),
		nulls[3] ? (Datum) 0 : ftc_hash_datum(&self.member)};
		uint64		n = ftc_stmt_run(&extra_entries, args, nulls);

		for (uint64 j = 0; j < n; j++)
			extra_fault(v, DatumGetInt64(ftc_value(j, 0)));
		SPI_freetuptable(SPI_tuptable);
	}
}

static void
check_promises(FtcVerification *v, int64 from, int64 to)
{
	FtcIdentity self;
	uint64		n;

	if (!ftc_identity_load(&self))
		return;
	n = ftc_run(&bodies_lost, Int32GetDatum(v->chain->id), Int64GetDatum(from), Int64GetDatum(to),
				ftc_hash_datum(&self.member));
	for (uint64 i = 0; i < n; i++)
	{
		FtcHash		block = ftc_hash_value(i, 1);

		ftc_verify_fault(v, DatumGetInt64(ftc_value(i, 0)), &block, 0, "body missing",
						 "a body that this database has signed it stores", NULL);
	}
}

void
ftc_verify_entries(FtcVerification *v, int64 from, int64 to, bool strays, bool parallel)
{
	FtcEntryWork work = {.strays = strays};
	Collection	c = {.v = v,.work = &work};
	FtcEntryReader reader;

	collect_held(&c, from, to);
	if (strays)
		collect_loose(&c);
	sort_spans(&c);
	cut_into_chunks(&work);
	ftc_verify_read_begin(&reader, v, &work);
	if (!parallel || !ftc_verify_read_parallel(&reader))
		for (int i = 0; i < work.nchunks; i++)
			ftc_verify_read(&reader, i);
	check_strays(v, &reader.stray);
	if (strays)
		check_outside(v);
	check_promises(v, from, to);
}

void
ftc_verify_counts(FtcVerification *v, int64 from, int64 to)
{
	uint64		n = ftc_run(&odd_bodies, Int32GetDatum(v->chain->id), Int64GetDatum(from), Int64GetDatum(to));
	int64	   *heights = palloc(Max(n, 1) * sizeof(int64));

	for (uint64 i = 0; i < n; i++)
		heights[i] = DatumGetInt64(ftc_value(i, 0));
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext outer = ftc_nest();

		ftc_verify_entries(v, heights[i], heights[i], false, false);
		ftc_unnest(outer);
	}
	check_promises(v, from, to);
}

bool
ftc_verify_strays(const FtcChain *chain, int64 *after, FtcFaultCallback callback, void *arg)
{
	FtcVerification v = {.chain = chain,.callback = callback,.arg = arg};
	FtcIdentity self;
	bool		nulls[4] = {false};
	Datum		args[4];
	uint64		n;

	ftc_freeze();
	if (*after == 0)
		check_outside(&v);
	nulls[3] = !ftc_identity_load(&self);
	args[0] = Int64GetDatum(*after);
	args[1] = Int64GetDatum(STRAYS_AT_ONCE);
	args[2] = Int32GetDatum(chain->id);
	args[3] = nulls[3] ? (Datum) 0 : ftc_hash_datum(&self.member);
	n = ftc_stmt_run(&next_entries, args, nulls);
	for (uint64 i = 0; i < n; i++)
	{
		*after = DatumGetInt64(ftc_value(i, 0));
		if (DatumGetBool(ftc_value(i, 1)))
			extra_fault(&v, *after);
	}
	ftc_thaw();
	return n == STRAYS_AT_ONCE;
}

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

/*
 * What waits for the sealer: entries of our own that it has still to find or to
 * bundle.  In a copy of a database what waited in the original waits there: it
 * is of another member, and from before the copy became somebody, if it did.
 */
#define WAITS \
	" CASE WHEN e.origin IN (SELECT id FROM ftchain.origin WHERE member = $4)" \
	" THEN s.snapshot IS NULL OR s.backlog @> e.id" \
	" OR e.xid IS NOT NULL AND NOT pg_visible_in_snapshot(e.xid, s.snapshot)" \
	" ELSE e.xid IS NOT NULL AND ($4 IS NULL OR e.\"time\" < (SELECT created FROM ftchain.identity)) END"

static FtcStmt extra_entries = {
	.sql = "SELECT e.id FROM ftchain.entry e LEFT JOIN ftchain.seal_state s ON s.chain = e.chain"
	" WHERE e.id BETWEEN $1 AND $2 AND e.chain = $3 AND NOT (" WAITS ") ORDER BY e.id",
	.nargs = 4,
	.argtypes = {INT8OID, INT8OID, INT4OID, BYTEAOID},
};

/* Of the next so many entries: is each where it belongs, in a bundle or waiting? */
static FtcStmt next_entries = {
	.sql = "SELECT e.id, NOT (" WAITS ") AND NOT EXISTS (SELECT FROM ftchain.bundle u WHERE u.ids @> e.id)"
	" FROM (SELECT * FROM ftchain.entry WHERE id > $1 AND chain = $3 ORDER BY id LIMIT $2) e"
	" LEFT JOIN ftchain.seal_state s ON s.chain = e.chain ORDER BY e.id",
	.nargs = 4,
	.argtypes = {INT8OID, INT8OID, INT4OID, BYTEAOID},
};

/* A bundle whose entries are held. */
typedef struct Held
{
	int64		id;
	int64		height;
	FtcHash		block;
	uint32		count;
	uint32		left;			/* ids not passed yet */
	bool		loaded;
	FtcHash    *leaves;			/* while it is being read; NULL if not sound */
} Held;

/* A run of ids, and the bundle it belongs to. */
typedef struct Span
{
	uint64		first;
	uint64		last;
	Held	   *held;			/* NULL: a bundle that is not on the main
								 * chain */
	uint32		offset;			/* of first in the bundle */
} Span;

typedef struct Pass
{
	FtcVerification *v;
	Span	   *spans;
	int			nspans;
	int			size;
	int			at;				/* the span being read */
	uint64		next;			/* id expected in it */
	bool		strays;
	FtcIds		stray;			/* ids in no span */
	MemoryContext context;
} Pass;

static void
add_spans(Pass *p, Held *held, const FtcIds *ids)
{
	uint32		offset = 0;

	for (int i = 0; i < ids->n; i++)
	{
		if (p->nspans == p->size)
		{
			p->size = Max(64, p->size * 2);
			p->spans = p->spans == NULL ? palloc(p->size * sizeof(Span))
				: repalloc_huge(p->spans, p->size * sizeof(Span));
		}
		p->spans[p->nspans].first = ids->ranges[i].first;
		p->spans[p->nspans].last = ids->ranges[i].last;
		p->spans[p->nspans].held = held;
		p->spans[p->nspans].offset = offset;
		p->nspans++;
		offset += (uint32) (ids->ranges[i].last - ids->ranges[i].first + 1);
	}
}

static int
compare_spans(const void *a, const void *b)
{
	const Span *sa = a;
	const Span *sb = b;

	return sa->first < sb->first ? -1 : sa->first > sb->first;
}

static Held *
read_held(uint64 i)
{
	Held	   *held = palloc0(sizeof(Held));

	held->height = DatumGetInt64(ftc_value(i, 0));
	held->block = ftc_hash_value(i, 1);
	held->id = DatumGetInt64(ftc_value(i, 2));
	held->count = (uint32) DatumGetInt32(ftc_value(i, 3));
	return held;
}

static void
entry_fault(Pass *p, const Held *held, int64 id, const char *what, const char *expected, const char *found)
{
	if (held != NULL)
		ftc_verify_fault(p->v, held->height, &held->block, id, what, expected, found);
}

/*
 * The leaf hashes of a bundle, checked against its root: that is what each
 * entry is compared with.  Read when the first entry is, dropped after the
 * last, so that only a few bundles are in memory.
 */
static void
load_leaves(Pass *p, Held *held)
{
	bool		isnull;
	Datum		datum;
	FtcSlice	leaves;
	FtcBundle	bundle;
	FtcHash		root;

	held->loaded = true;
	if (ftc_run(&leaves_of, Int64GetDatum(held->id)) == 0 ||
		ftc_bundle_leaf_decode(&bundle, ftc_slice_value(0, 0)) != FTC_OK)
		return;					/* said already, with the block */
	datum = ftc_column(0, 1, &isnull);
	leaves = isnull ? ftc_slice(NULL, 0) : ftc_datum_slice(datum);
	if (leaves.len != (size_t) bundle.count * sizeof(FtcHash))
		entry_fault(p, held, 0, "leaf hashes changed", psprintf("%u hashes", bundle.count),
					psprintf("%zu bytes", leaves.len));
	else
	{
		root = ftc_merkle_root((const FtcHash *) leaves.data, bundle.count);
		if (!ftc_hash_equal(&root, &bundle.root))
			entry_fault(p, held, 0, "leaf hashes changed", ftc_hash_hex(&bundle.root), ftc_hash_hex(&root));
		else
			held->leaves = memcpy(MemoryContextAllocHuge(p->context, leaves.len), leaves.data, leaves.len);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* So many ids of a bundle are behind us. */
static void
pass_by(Held *held, uint64 n)
{
	if (held == NULL)
		return;
	held->left -= (uint32) Min(n, (uint64) held->left);
	if (held->left == 0 && held->leaves != NULL)
	{
		pfree(held->leaves);
		held->leaves = NULL;
	}
}

static void
collect_spans(Pass *p, int64 from, int64 to)
{
	uint64		n = ftc_run(&held_bundles, Int32GetDatum(p->v->chain->id), Int64GetDatum(from), Int64GetDatum(to));

	for (uint64 i = 0; i < n; i++)
	{
		Held	   *held = read_held(i);
		FtcIds		ids;
		bool		bounded = ftc_ids_read(ftc_value(i, 4), &ids);

		/* a list of another length is no list: what it names is not checked */
		if (!bounded || ftc_ids_count(&ids) != held->count)
			entry_fault(p, held, 0, "list of entries changed", psprintf("%u entries", held->count),
						bounded ? psprintf(INT64_FORMAT, ftc_ids_count(&ids)) : NULL);
		else
		{
			held->left = held->count;
			add_spans(p, held, &ids);
		}
	}
	if (!p->strays)
		return;
	n = ftc_run(&loose_bundles, Int32GetDatum(p->v->chain->id));
	for (uint64 i = 0; i < n; i++)
	{
		FtcIds		ids;

		if (ftc_ids_read(ftc_value(i, 0), &ids))
			add_spans(p, NULL, &ids);
	}
}

/* Put the spans in order.  No entry belongs to two bundles. */
static void
sort_spans(Pass *p)
{
	int			out = 0;

	if (p->nspans == 0)
		return;
	qsort(p->spans, p->nspans, sizeof(Span), compare_spans);
	for (int i = 1; i < p->nspans; i++)
	{
		if (p->spans[i].first > p->spans[out].last)
			p->spans[++out] = p->spans[i];
		else
			entry_fault(p, p->spans[i].held, 0, "list of entries changed", "entries of its own",
						psprintf("entry " UINT64_FORMAT " of another bundle", p->spans[i].first));
	}
	p->nspans = out + 1;
}

/* Ids that should have come before this one, in the span being read and after. */
static void
missing_before(Pass *p, uint64 id)
{
	while (p->at < p->nspans && p->next < id)
	{
		Span	   *span = &p->spans[p->at];

		p->next = Max(p->next, span->first);
		for (; p->next <= span->last && p->next < id; p->next++)
		{
			char		expected[32];

			CHECK_FOR_INTERRUPTS();
			snprintf(expected, sizeof(expected), "entry " UINT64_FORMAT, p->next);
			entry_fault(p, span->held, (int64) p->next, "entry missing", expected, NULL);
			pass_by(span->held, 1);
		}
		if (p->next <= span->last)
			return;
		if (++p->at < p->nspans)
			p->next = Max(p->next, p->spans[p->at].first);
	}
}

static bool
check_entry(void *arg, int64 id, FtcEntry *entry)
{
	Pass	   *p = arg;
	Span	   *span;
	FtcHash		leaf;
	uint32		offset;

	missing_before(p, (uint64) id);
	while (p->at < p->nspans && p->spans[p->at].last < (uint64) id)
		p->at++;
	span = p->at < p->nspans ? &p->spans[p->at] : NULL;
	if (span == NULL || span->first > (uint64) id)
	{
		if (p->strays)
		{
			MemoryContext outer = MemoryContextSwitchTo(p->context);

			ftc_ids_add(&p->stray, id, id);
			MemoryContextSwitchTo(outer);
		}
		return true;
	}
	p->next = (uint64) id + 1;
	if (span->held == NULL)
		return true;
	if (!span->held->loaded)
		load_leaves(p, span->held);
	if (span->held->leaves == NULL)
	{
		pass_by(span->held, 1);
		return true;
	}
	offset = span->offset + (uint32) ((uint64) id - span->first);
	entry->payload_hash = ftc_payload_hash(entry->salt, entry->payload);
	leaf = ftc_entry_leaf_hash(entry);
	if (offset >= span->held->count || !ftc_hash_equal(&leaf, &span->held->leaves[offset]))
		entry_fault(p, span->held, id, "entry changed",
					offset < span->held->count ? ftc_hash_hex(&span->held->leaves[offset]) : NULL,
					ftc_hash_hex(&leaf));
	pass_by(span->held, 1);
	return true;
}

/* Entries in no bundle: those that wait for the sealer, and what does not belong. */
static void
check_strays(Pass *p)
{
	FtcIdentity self;
	bool		nulls[4] = {false};

	nulls[3] = !ftc_identity_load(&self);
	for (int i = 0; i < p->stray.n; i++)
	{
		Datum		args[] = {Int64GetDatum((int64) p->stray.ranges[i].first),
			Int64GetDatum((int64) p->stray.ranges[i].last), Int32GetDatum(p->v->chain->id),
		nulls[3] ? (Datum) 0 : ftc_hash_datum(&self.member)};
		uint64		n = ftc_stmt_run(&extra_entries, args, nulls);

		for (uint64 j = 0; j < n; j++)
		{
			int64		id = DatumGetInt64(ftc_value(j, 0));

			ftc_verify_fault(p->v, -1, NULL, id, "extra entry", NULL, psprintf("entry " INT64_FORMAT, id));
		}
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
ftc_verify_entries(FtcVerification *v, int64 from, int64 to, bool strays)
{
	Pass		p = {.v = v,.strays = strays,.context = CurrentMemoryContext};
	FtcIds		all;

	ftc_ids_init(&p.stray);
	collect_spans(&p, from, to);
	sort_spans(&p);
	p.next = p.nspans > 0 ? p.spans[0].first : 0;
	ftc_ids_init(&all);
	if (strays)
		ftc_ids_add(&all, 0, PG_INT64_MAX - 1);
	else
		for (int i = 0; i < p.nspans; i++)
			ftc_ids_add(&all, (int64) p.spans[i].first, (int64) p.spans[i].last);
	ftc_store_scan(v->chain->id, &all, check_entry, &p);
	missing_before(&p, PG_INT64_MAX);
	check_strays(&p);
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
			ftc_verify_fault(&v, -1, NULL, *after, "extra entry", NULL, psprintf("entry " INT64_FORMAT, *after));
	}
	ftc_thaw();
	return n == STRAYS_AT_ONCE;
}

/*-------------------------------------------------------------------------
 *
 * seal.c
 *	  From committed entries to bundles, from bundles to blocks.
 *
 * What is to be sealed is the difference of two snapshots, as pgq has it: of
 * the entries not visible to the last snapshot, those visible now.  So an
 * entry is found once, only after its transaction committed, and one whose
 * transaction is open for an hour delays nobody else.  A bundle is signed in
 * the transaction that makes it; nothing leaves before that has committed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "branch.h"
#include "clock.h"
#include "core/pow.h"
#include "core/sha256.h"
#include "datum.h"
#include "failpoint.h"
#include "identity.h"
#include "inbox.h"
#include "keys.h"
#include "seal.h"
#include "stmt.h"
#include "store.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(ftchain_seal);
PG_FUNCTION_INFO_V1(ftchain_chain_status);

static FtcStmt seal_state_make = {
	.sql = "INSERT INTO ftchain.seal_state (chain) VALUES ($1) ON CONFLICT DO NOTHING",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/*
 * Read under one snapshot: what is new to it, and the snapshot itself.  A new
 * chain begins with a snapshot to which everything is new.
 */
static FtcStmt seal_state_get = {
	.sql = "SELECT snapshot, backlog, pg_current_snapshot() FROM ftchain.seal_state WHERE chain = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/*
 * A database that has entries and has never looked for them is a restored dump:
 * these transactions were of another server and mean nothing here.
 */
static FtcStmt forget_xids = {
	.sql = "UPDATE ftchain.entry SET xid = NULL WHERE chain = $1 AND xid IS NOT NULL"
	" AND origin IN (SELECT id FROM ftchain.origin WHERE member = $2)",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt fresh_first = {
	.sql = "SELECT e.id FROM ftchain.entry e WHERE e.chain = $1"
	" AND e.origin IN (SELECT id FROM ftchain.origin WHERE member = $2)"
	" AND NOT EXISTS (SELECT FROM ftchain.bundle u WHERE u.ids @> e.id) ORDER BY e.id",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt fresh_since = {
	.sql = "SELECT e.id FROM ftchain.entry e WHERE e.chain = $1 AND e.xid >= pg_snapshot_xmax($3)"
	" AND e.origin IN (SELECT id FROM ftchain.origin WHERE member = $2)"
	" UNION ALL"
	" SELECT e.id FROM ftchain.entry e WHERE e.chain = $1 AND e.xid = ANY (ARRAY(SELECT pg_snapshot_xip($3)))"
	" AND e.origin IN (SELECT id FROM ftchain.origin WHERE member = $2)",
	.nargs = 3,
	.argtypes = {INT4OID, BYTEAOID, PG_SNAPSHOTOID},
};

static FtcStmt seal_state_set = {
	.sql = "UPDATE ftchain.seal_state SET snapshot = $2, backlog = $3 WHERE chain = $1",
	.nargs = 3,
	.argtypes = {INT4OID, PG_SNAPSHOTOID, INT8MULTIRANGEOID},
};

static FtcStmt last_number = {
	.sql = "SELECT coalesce(max(number), 0) FROM ftchain.bundle"
	" WHERE chain = $1 AND origin = $2 AND incarnation = $3",
	.nargs = 3,
	.argtypes = {INT4OID, INT4OID, INT8OID},
};

/* Whose bundles wait. */
static FtcStmt pending_origins = {
	.sql = "SELECT DISTINCT o.member, u.incarnation, u.origin FROM ftchain.pending_bundle p"
	" JOIN ftchain.bundle u ON u.id = p.bundle JOIN ftchain.origin o ON o.id = u.origin WHERE p.chain = $1"
	" ORDER BY o.member, u.incarnation",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt pending_number = {
	.sql = "SELECT u.head, u.signature, u.count, u.bytes, u.leaves, u.ids FROM ftchain.bundle u"
	" JOIN ftchain.pending_bundle p ON p.bundle = u.id"
	" WHERE u.chain = $1 AND u.origin = $2 AND u.incarnation = $3 AND u.number = $4 ORDER BY u.id LIMIT 1",
	.nargs = 4,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID},
};

/* Those whose number the main chain has passed. */
static FtcStmt pending_passed = {
	.sql = "SELECT u.id, u.ids, u.seqs FROM ftchain.bundle u JOIN ftchain.pending_bundle p ON p.bundle = u.id"
	" WHERE u.chain = $1 AND u.origin = $2 AND u.incarnation = $3 AND u.number <= $4",
	.nargs = 4,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID},
};

/* Seqs of a bundle that the main chain does not hold in another one. */
static FtcStmt seqs_left = {
	.sql = "SELECT $4 - coalesce((SELECT range_agg(s.r) FROM (SELECT unnest(u.seqs) AS r FROM ftchain.bundle u"
	" JOIN ftchain.block_bundle b ON b.bundle = u.id JOIN ftchain.main_chain m ON m.block = b.block"
	" WHERE u.chain = $1 AND u.origin = $2 AND u.incarnation = $3 AND u.seqs && $4) AS s), '{}'::int8multirange)",
	.nargs = 4,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8MULTIRANGEOID},
};

static FtcStmt sealed_ids = {
	.sql = "SELECT $1 - $2",
	.nargs = 2,
	.argtypes = {INT8MULTIRANGEOID, INT8MULTIRANGEOID},
};

static FtcStmt bundle_release = {
	.sql = "UPDATE ftchain.bundle SET ids = NULL, leaves = NULL, bytes = 0 WHERE id = $1",
	.nargs = 1,
	.argtypes = {INT8OID},
};

static FtcStmt pending_drop = {
	.sql = "DELETE FROM ftchain.pending_bundle WHERE bundle = $1",
	.nargs = 1,
	.argtypes = {INT8OID},
};

static FtcStmt pending_own = {
	.sql = "SELECT FROM ftchain.pending_bundle p JOIN ftchain.bundle u ON u.id = p.bundle"
	" WHERE p.chain = $1 AND u.origin = $2 AND u.id <= $3 LIMIT 1",
	.nargs = 3,
	.argtypes = {INT4OID, INT4OID, INT8OID},
};

static FtcStmt last_bundle = {
	.sql = "SELECT coalesce(max(id), 0) FROM ftchain.bundle",
};

static FtcStmt pending_controls = {
	.sql = "SELECT p.leaf FROM ftchain.pending_control p WHERE p.chain = $1 AND NOT EXISTS"
	" (SELECT FROM ftchain.control c JOIN ftchain.main_chain m ON m.block = c.block WHERE c.id = p.id)"
	" ORDER BY p.added, p.id LIMIT 100",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt pending_entries = {
	.sql = "SELECT coalesce(sum(u.count), 0)::int8 FROM ftchain.pending_bundle p"
	" JOIN ftchain.bundle u ON u.id = p.bundle WHERE p.chain = $1 AND u.origin = $2",
	.nargs = 2,
	.argtypes = {INT4OID, INT4OID},
};

/* ----------------------------------------------------------------
 *		Bundles
 * ----------------------------------------------------------------
 */

/* What is committed, not yet in a bundle, and in what snapshot that was seen. */
typedef struct Backlog
{
	FtcIds		ids;
	Datum		snapshot;
} Backlog;

#define FETCH_ROWS 10000

static void
fetch_ids(FtcStmt *stmt, const Datum *args, FtcIds *ids)
{
	Portal		portal = ftc_stmt_open(stmt, args);
	bool		isnull;

	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			int64		id = DatumGetInt64(ftc_column(i, 0, &isnull));

			ftc_ids_add(ids, id, id);
		}
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed == FETCH_ROWS);
	SPI_cursor_close(portal);
}

static void
read_backlog(const FtcChain *chain, const FtcIdentity *self, Backlog *backlog)
{
	Datum		since;
	bool		first;

	if (ftc_run(&seal_state_make, Int32GetDatum(chain->id)) > 0)
		ftc_store_write(&forget_xids, FTC_ARGS(Int32GetDatum(chain->id), ftc_hash_datum(&self->member)), NULL);
	/* after the lock of the chain, so that we see what the last sealer did */
	ftc_push_snapshot();
	ftc_read(&seal_state_get, Int32GetDatum(chain->id));
	since = ftc_column(0, 0, &first);
	if (!first)
		since = PointerGetDatum(PG_DETOAST_DATUM_COPY(since));
	backlog->ids = ftc_ids_from_datum(ftc_value(0, 1));
	backlog->snapshot = PointerGetDatum(PG_DETOAST_DATUM_COPY(ftc_value(0, 2)));
	fetch_ids(first ? &fresh_first : &fresh_since,
			  FTC_ARGS(Int32GetDatum(chain->id), ftc_hash_datum(&self->member), since),
			  &backlog->ids);
	PopActiveSnapshot();
	ftc_ids_sort(&backlog->ids);
}

/* A bundle while its entries are read. */
typedef struct Bundling
{
	int32		chain;
	FtcHash    *leaves;
	uint32		count;
	uint32		most;
	int64		bytes;
	int64		most_bytes;
	FtcIds		ids;
	uint64		incarnation;
	FtcFrontier tree;
} Bundling;

/* What a body of one bundle has beside its entries and their ranges, bytes. */
#define BODY_OVERHEAD 1024

static bool
add_entry(void *arg, int64 id, FtcEntry *entry)
{
	Bundling   *b = arg;
	int64		len = (int64) ftc_body_entry_len(entry);
	FtcReason	reason = ftc_entry_check(entry);

	/* whatever a row has come to say, it must not stop the others */
	if (reason != FTC_OK)
	{
		MemoryContext outer = ftc_nest();

		ftc_store_incident(b->chain, "not sealed", -1, NULL, NULL,
						   psprintf("entry " INT64_FORMAT ": %s", id, ftc_reason_text(reason)));
		ftc_unnest(outer);
		return true;
	}
	if (b->count == 0)
		b->incarnation = entry->incarnation;
	if (b->count == b->most ||
		(b->count > 0 && b->bytes + len + 16 * (b->ids.n + 1) > b->most_bytes) ||
		entry->incarnation != b->incarnation ||
		(b->ids.n == FTC_RANGES_MAX && b->ids.ranges[b->ids.n - 1].last + 1 != (uint64) id))
		return false;
	entry->payload_hash = ftc_payload_hash(entry->salt, entry->payload);
	b->leaves[b->count] = ftc_entry_leaf_hash(entry);
	ftc_frontier_add(&b->tree, &b->leaves[b->count]);
	b->count++;
	b->bytes += len;
	ftc_ids_add(&b->ids, id, id);
	return true;
}

/* What is left of ids after the first so many of them. */
static FtcIds
ids_after(const FtcIds *ids, int64 last)
{
	FtcIds		rest;

	ftc_ids_init(&rest);
	for (int i = 0; i < ids->n; i++)
		if (ids->ranges[i].last > (uint64) last)
			ftc_ids_add(&rest, Max((int64) ids->ranges[i].first, last + 1), (int64) ids->ranges[i].last);
	return rest;
}

static FtcSlice
encode_ranges(const FtcIds *ids)
{
	uint8	   *bytes = palloc(Max(ids->n, 1) * 16);

	for (int i = 0; i < ids->n; i++)
		ftc_range_encode(ids->ranges[i], bytes + 16 * (size_t) i);
	return ftc_slice(bytes, 16 * (size_t) ids->n);
}

static void
store_bundle(const FtcChain *chain, const FtcIdentity *self, const Bundling *b)
{
	FtcBundle	bundle = {
		.origin = self->member,.incarnation = b->incarnation,.count = b->count,
		.root = ftc_frontier_root(&b->tree),.nranges = (uint32) b->ids.n,.ranges = encode_ranges(&b->ids)
	};
	FtcSignature signature;
	FtcSlice	head;
	FtcHash		digest;

	ftc_run(&last_number, Int32GetDatum(chain->id), Int32GetDatum(self->origin),
			Int64GetDatum((int64) b->incarnation));
	bundle.number = (uint64) DatumGetInt64(ftc_value(0, 0)) + 1;
	FTC_ENCODE(head, ftc_bundle_leaf_encode, &bundle);
	digest = ftc_bundle_digest(head);
	ftc_keys_sign(FTC_DOMAIN_BUNDLE, &chain->genesis, &digest, &signature);
	ftc_store_put_bundle(chain->id, self->origin, &bundle, head, &signature, &b->ids,
						 ftc_slice(b->leaves, b->count * sizeof(FtcHash)), b->bytes);
}

/* An origin that has bundles waiting. */
typedef struct Origin
{
	FtcHash		member;
	int64		incarnation;
	int32		number;			/* local */
	int64		last;			/* bundle on the main chain */
	bool		done;			/* nothing more of it fits */
} Origin;

static int
list_origins(const FtcBranch *branch, Origin **list)
{
	uint64		n = ftc_run(&pending_origins, Int32GetDatum(branch->chain));

	*list = palloc0(Max(n, 1) * sizeof(Origin));
	for (uint64 i = 0; i < n; i++)
	{
		(*list)[i].member = ftc_hash_value(i, 0);
		(*list)[i].incarnation = DatumGetInt64(ftc_value(i, 1));
		(*list)[i].number = DatumGetInt32(ftc_value(i, 2));
	}
	for (uint64 i = 0; i < n; i++)
		(*list)[i].last = ftc_branch_last_bundle(branch, (*list)[i].number, (*list)[i].incarnation);
	return (int) n;
}

/* The ids whose seqs are among these; both lists are in the same order. */
static void
add_ids_of(const FtcIds *ids, const FtcIds *seqs, const FtcIds *among, FtcIds *backlog)
{
	int			at = 0;
	int			in = 0;
	uint64		id = ids->n > 0 ? ids->ranges[0].first : 0;

	for (int i = 0; i < seqs->n; i++)
		for (uint64 seq = seqs->ranges[i].first; seq <= seqs->ranges[i].last && at < ids->n; seq++)
		{
			while (in < among->n && among->ranges[in].last < seq)
				in++;
			if (in < among->n && among->ranges[in].first <= seq)
				ftc_ids_add(backlog, (int64) id, (int64) id);
			if (id < ids->ranges[at].last)
				id++;
			else if (++at < ids->n)
				id = ids->ranges[at].first;
		}
}

/* Entries of a bundle that can never be sealed go back, but for those that are. */
static void
take_back(const FtcChain *chain, const Origin *origin, Datum ids, Datum seqs, FtcIds *backlog)
{
	FtcIds		id_list = ftc_ids_from_datum(ids);
	FtcIds		seq_list = ftc_ids_from_datum(seqs);
	FtcIds		left;
	FtcIds		sealed;

	ftc_run(&seqs_left, Int32GetDatum(chain->id), Int32GetDatum(origin->number),
			Int64GetDatum(origin->incarnation), seqs);
	left = ftc_ids_from_datum(ftc_value(0, 0));
	add_ids_of(&id_list, &seq_list, &left, backlog);

	/* those that the chain holds have come again, as it holds them */
	ftc_run(&sealed_ids, ids, ftc_ids_datum(backlog));
	sealed = ftc_ids_from_datum(ftc_value(0, 0));
	ftc_store_delete_entries(&sealed);
}

/*
 * A database that was set back may have bundled anew what it had bundled
 * before.  Where the chain holds the older bundle, the newer one can never
 * stand there: its entries go back to the backlog.
 */
static void
settle_superseded(const FtcChain *chain, const FtcIdentity *self, FtcIds *backlog)
{
	FtcBranch	branch = {.chain = chain->id,.fork_height = ftc_store_main_height(chain->id)};
	Origin	   *origins;
	int			norigins = list_origins(&branch, &origins);

	for (int i = 0; i < norigins; i++)
	{
		uint64		n = ftc_run(&pending_passed, Int32GetDatum(chain->id), Int32GetDatum(origins[i].number),
								Int64GetDatum(origins[i].incarnation), Int64GetDatum(origins[i].last));
		SPITupleTable *rows = SPI_tuptable;

		for (uint64 j = 0; j < n; j++)
		{
			bool		isnull;
			Datum		ids;
			Datum		id;
			Datum		seqs;

			SPI_tuptable = rows;
			id = ftc_value(j, 0);
			ids = ftc_column(j, 1, &isnull);
			seqs = ftc_value(j, 2);
			if (origins[i].number == self->origin && !isnull)
			{
				take_back(chain, &origins[i], ids, seqs, backlog);
				ftc_store_write(&bundle_release, FTC_ARGS(id), NULL);
			}
			ftc_run(&pending_drop, id);
		}
	}
	ftc_ids_sort(backlog);
}

bool
ftc_seal_bundle(const FtcChain *chain)
{
	FtcIdentity self;
	FtcState   *state;
	Backlog		backlog;
	FtcIds		rest;

	if (!ftc_identity_load(&self))
		return false;
	ftc_chain_lock(chain->id);
	state = ftc_branch_current_state(chain->id);
	read_backlog(chain, &self, &backlog);
	settle_superseded(chain, &self, &backlog.ids);
	rest = backlog.ids;
	if (backlog.ids.n > 0)
	{
		Bundling	b = {.chain = chain->id};
		uint32		room = state->params.max_leaves > 1024 ? state->params.max_leaves - 1024
		: Max(state->params.max_leaves / 2, 1);

		b.most = (uint32) Min((int64) room, ftc_ids_count(&backlog.ids));
		b.most_bytes = (int64) state->params.max_body - BODY_OVERHEAD;
		b.leaves = palloc_extended(b.most * sizeof(FtcHash), MCXT_ALLOC_HUGE);
		ftc_ids_init(&b.ids);
		ftc_frontier_init(&b.tree);
		ftc_store_scan(chain->id, &backlog.ids, add_entry, &b);
		if (b.count > 0)
		{
			store_bundle(chain, &self, &b);
			FTC_FAILPOINT("seal-bundle-stored");
			rest = ids_after(&backlog.ids, (int64) b.ids.ranges[b.ids.n - 1].last);
		}
		else
			ftc_ids_init(&rest);	/* none of them is there any more */
	}
	ftc_run(&seal_state_set, Int32GetDatum(chain->id), backlog.snapshot, ftc_ids_datum(&rest));
	FTC_FAILPOINT("seal-bundle-before-commit");
	return rest.n > 0;
}

/* ----------------------------------------------------------------
 *		Blocks
 * ----------------------------------------------------------------
 */

struct FtcCandidate
{
	FtcHeader	header;
	FtcBlock	block;
	uint64		heads;			/* ftc_worker_heads() when it was made */
};

/* A bundle of a candidate. */
typedef struct Chosen
{
	const Origin *origin;
	int64		number;
	FtcSignedLeaf signed_leaf;
	FtcSlice	leaves;			/* leaf hashes */
	int64		first_id;
} Chosen;

/* Parts of a candidate while they are collected. */
typedef struct Parts
{
	const FtcChain *chain;
	FtcStored	head;
	FtcBranch	branch;			/* the main chain */
	FtcState   *state;
	FtcSlice	controls[100];
	uint32		ncontrols;
	Chosen	   *bundles;
	uint32		nbundles;
	uint32		size;			/* of bundles */
	uint64		nleaves;
	uint64		bytes;
} Parts;

static void
load_main(const FtcChain *chain, Parts *p)
{
	memset(p, 0, sizeof(*p));
	p->chain = chain;
	ftc_store_load_head(chain->id, &p->head);
	p->branch.chain = chain->id;
	p->branch.fork_height = (int64) p->head.header.height;
	p->state = ftc_branch_state(&p->branch, &p->head, (int64) p->head.header.height + 1);
}

static void
collect_controls(Parts *p)
{
	uint64		n = ftc_run(&pending_controls, Int32GetDatum(p->chain->id));

	for (uint64 i = 0; i < n; i++)
	{
		FtcSlice	leaf = ftc_slice_value(i, 0);
		FtcControl	control;

		/* one that has become void stays out, or the block would be */
		if (ftc_control_leaf_decode(&control, leaf) != FTC_OK ||
			control.not_after <= p->head.header.height ||
			ftc_state_authorise(p->state, &control, &p->chain->genesis) != FTC_OK)
			continue;
		p->controls[p->ncontrols++] = leaf;
		p->nleaves++;
		p->bytes += 4 + leaf.len;
	}
}

static Chosen *
next_chosen(Parts *p)
{
	if (p->nbundles == p->size)
	{
		p->size = Max(16, p->size * 2);
		p->bundles = p->bundles == NULL ? palloc(p->size * sizeof(Chosen))
			: repalloc_huge(p->bundles, p->size * sizeof(Chosen));
	}
	return &p->bundles[p->nbundles];
}

/* The next bundle of an origin; false if there is none, or no room for it. */
static bool
choose_bundle(Parts *p, const Origin *origin)
{
	Chosen	   *c = next_chosen(p);
	uint64		count;
	uint64		bytes;
	FtcIds		ids;

	/* a gap has to wait, and of two with one number the first is taken */
	if (ftc_run(&pending_number, Int32GetDatum(p->chain->id), Int32GetDatum(origin->number),
				Int64GetDatum(origin->incarnation), Int64GetDatum(origin->last + 1)) == 0)
		return false;
	c->origin = origin;
	c->number = origin->last + 1;
	c->signed_leaf.leaf = ftc_slice_value(0, 0);
	count = (uint64) DatumGetInt32(ftc_value(0, 2));
	bytes = (uint64) DatumGetInt64(ftc_value(0, 3)) + c->signed_leaf.leaf.len + 4 + FTC_SIGNATURE_LEN;
	c->leaves = ftc_slice_value(0, 4);
	if (!ftc_datum_signature(ftc_value(0, 1), &c->signed_leaf.signature) ||
		!ftc_ids_read(ftc_value(0, 5), &ids) || ids.n == 0 || c->leaves.len != count * sizeof(FtcHash) ||
		p->nleaves + count + 1 > p->state->params.max_leaves || p->nbundles == FTC_BUNDLES_MAX ||
		p->bytes + bytes > p->state->params.max_body)
		return false;
	c->first_id = (int64) ids.ranges[0].first;
	p->nbundles++;
	p->nleaves += count + 1;
	p->bytes += bytes;
	return true;
}

/* As a manifest has them; origins are sorted already. */
static int
compare_chosen(const void *a, const void *b)
{
	const Chosen *ca = a;
	const Chosen *cb = b;

	if (ca->origin != cb->origin)
		return ca->origin < cb->origin ? -1 : 1;
	return ca->number < cb->number ? -1 : ca->number > cb->number;
}

/*
 * Bundles that are held and whose turn it is, whoever's: what another member's
 * losing block held is carried as well.  One of each origin in turn, so that
 * whoever has many does not keep others out.
 */
static void
collect_bundles(Parts *p)
{
	Origin	   *origins;
	int			n = list_origins(&p->branch, &origins);
	bool		more = n > 0;

	p->bytes += 64;				/* what a body begins with */
	for (int i = 0; i < n; i++)
		origins[i].done = ftc_state_find(p->state, &origins[i].member) == NULL;
	while (more)
	{
		more = false;
		for (int i = 0; i < n; i++)
		{
			if (origins[i].done)
				continue;
			origins[i].done = !choose_bundle(p, &origins[i]);
			origins[i].last += !origins[i].done;
			more |= !origins[i].done;
		}
	}
	if (p->nbundles > 1)
		qsort(p->bundles, p->nbundles, sizeof(Chosen), compare_chosen);
}

static bool
keep_leaf(void *arg, int64 id, FtcEntry *entry)
{
	FtcSlice   *leaf = arg;
	uint8	   *bytes = MemoryContextAlloc(CurTransactionContext, FTC_ENTRY_LEAF_MAX);

	entry->payload_hash = ftc_payload_hash(entry->salt, entry->payload);
	*leaf = ftc_slice(bytes, ftc_entry_leaf_encode(entry, bytes));
	return false;
}

/* The leaf bytes of the first entry of the body, which its proof shows. */
static FtcSlice
first_leaf(const Parts *p)
{
	FtcSlice	leaf = {NULL, 0};
	FtcIds		ids;

	if (p->nbundles == 0)
		return leaf;
	ftc_ids_init(&ids);
	ftc_ids_add(&ids, p->bundles[0].first_id, p->bundles[0].first_id);
	ftc_store_scan(p->chain->id, &ids, keep_leaf, &leaf);
	return leaf;
}

/* All leaf hashes of the body tree, in order. */
static FtcHash *
all_leaves(const Parts *p)
{
	FtcHash    *leaves = palloc_extended(Max(p->nleaves, 1) * sizeof(FtcHash), MCXT_ALLOC_HUGE);
	FtcHash    *at = leaves;

	for (uint32 i = 0; i < p->ncontrols; i++)
		*at++ = ftc_merkle_leaf(p->controls[i]);
	for (uint32 i = 0; i < p->nbundles; i++)
		*at++ = ftc_merkle_leaf(p->bundles[i].signed_leaf.leaf);
	for (uint32 i = 0; i < p->nbundles; i++)
	{
		memcpy(at, p->bundles[i].leaves.data, p->bundles[i].leaves.len);
		at += p->bundles[i].leaves.len / sizeof(FtcHash);
	}
	return leaves;
}

static FtcSlice
copy_slice(MemoryContext context, FtcSlice slice)
{
	void	   *copy = MemoryContextAlloc(context, Max(slice.len, 1));

	memcpy(copy, slice.data, slice.len);
	return ftc_slice(copy, slice.len);
}

static FtcCandidate *
assemble(const Parts *p, const FtcIdentity *self, uint64 now, MemoryContext context)
{
	FtcCandidate *c = MemoryContextAllocZero(context, sizeof(FtcCandidate));
	FtcHash    *leaves = all_leaves(p);
	FtcSignedLeaf *bundles = palloc(Max(p->nbundles, 1) * sizeof(FtcSignedLeaf));
	FtcSlice	manifest;
	uint8	   *proof = MemoryContextAlloc(context, FTC_PROOF_BYTES_MAX);
	size_t		len = ftc_manifest_prove(leaves, (uint32) p->nleaves, p->ncontrols + p->nbundles,
										 first_leaf(p), proof);

	for (uint32 i = 0; i < p->nbundles; i++)
		bundles[i] = p->bundles[i].signed_leaf;
	FTC_ENCODE(manifest, ftc_manifest_encode, p->controls, p->ncontrols, bundles, p->nbundles);
	c->block.manifest = copy_slice(context, manifest);
	c->block.proof = ftc_slice(proof, len);
	c->header.version = FTC_HEADER_VERSION;
	c->header.consensus = p->state->params.consensus;
	c->header.height = p->head.header.height + 1;
	c->header.time = now;
	c->header.prev = p->head.id;
	c->header.history = ftc_frontier_root(&p->head.tip.history);
	c->header.body = ftc_merkle_root(leaves, p->nleaves);
	c->header.leaves = (uint32) p->nleaves;
	c->header.bits = ftc_rules_next_bits(&p->head.tip, &p->state->params);
	c->header.proposer = self->member;
	c->header.state = ftc_state_root(p->state);
	c->heads = ftc_worker_heads();
	return c;
}

#define CLOSING_WAIT_MAX_US (4 * UINT64CONST(1000000))

/*
 * When a closing block is due.  All members see the need at the same time; so
 * each waits a while of its own, another one at each head, or they would go on
 * side by side, each on its own branch.
 */
static uint64
closing_due(const Parts *p, const FtcHash *member)
{
	uint8		bytes[2 * FTC_HASH_LEN];
	FtcHash		chance;
	uint64		number;

	if (p->state->nmembers < 2)
		return 0;
	memcpy(bytes, p->head.id.b, FTC_HASH_LEN);
	memcpy(bytes + FTC_HASH_LEN, member->b, FTC_HASH_LEN);
	chance = ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
	memcpy(&number, chance.b, sizeof(number));
	return p->head.header.time + number % Min(4 * p->state->params.spacing, CLOSING_WAIT_MAX_US);
}

FtcSealResult
ftc_seal_candidate(const FtcChain *chain, MemoryContext context,
				   FtcCandidate **candidate, uint64 *wait_until)
{
	FtcIdentity self;
	Parts	   *p = palloc(sizeof(Parts));
	uint64		now = ftc_clock_now();

	if (!ftc_identity_load(&self))
		return FTC_SEAL_NOTHING;
	load_main(chain, p);
	if (ftc_state_find(p->state, &self.member) == NULL)
		return FTC_SEAL_NOTHING;
	collect_controls(p);
	collect_bundles(p);
	if (p->nleaves == 0 && !ftc_branch_needs_closing(chain->id, &p->head, p->state))
		return FTC_SEAL_NOTHING;
	*wait_until = ftc_rules_earliest(&p->head.tip, &p->state->params);
	if (p->nleaves == 0)
		*wait_until = Max(*wait_until, closing_due(p, &self.member));
	if (ftc_branch_is_catching_up(&p->head))
		*wait_until = Max(*wait_until, now + 100 * 1000);
	if (*wait_until > now)
		return FTC_SEAL_TOO_EARLY;
	*candidate = assemble(p, &self, now, context);
	return FTC_SEAL_READY;
}

#define SLICE_ATTEMPTS 65536	/* a few milliseconds */

bool
ftc_seal_mine(FtcCandidate *candidate)
{
	bool		found = false;

	while (!found)
	{
		uint64		before = candidate->header.nonce;
		uint64		start = ftc_clock_now();

		found = ftc_pow_search(&candidate->header, SLICE_ATTEMPTS);
		ftc_worker_mined(candidate->header.nonce - before + found, ftc_clock_now() - start);
		ftc_worker_attend();
		if (!found && (ftc_worker_must_leave() || ftc_worker_heads() != candidate->heads))
			return false;
	}
	return true;
}

bool
ftc_seal_publish(const FtcChain *chain, FtcCandidate *candidate)
{
	uint8	   *bytes = palloc(FTC_HEADER_LEN);
	FtcHash		id = ftc_header_id(&candidate->header);
	FtcStored	head;
	FtcReason	reason;

	ftc_header_encode(&candidate->header, bytes);
	candidate->block.header = ftc_slice(bytes, FTC_HEADER_LEN);
	ftc_keys_sign(FTC_DOMAIN_BLOCK, &chain->genesis, &id, &candidate->block.signature);
	FTC_FAILPOINT("seal-block-signed");
	ftc_chain_lock(chain->id);
	/* another one, maybe of another session here, was faster: no fork of ours */
	ftc_store_load_head(chain->id, &head);
	if (!ftc_hash_equal(&head.id, &candidate->header.prev))
		return false;
	reason = ftc_inbox_block(chain, &candidate->block, NULL);
	if (reason != FTC_OK)
		ereport(ERROR,
				errcode(ERRCODE_INTERNAL_ERROR),
				errmsg("block %lld of chain \"%s\", made here, is not valid: %s",
					   (long long) candidate->header.height, chain->name, ftc_reason_text(reason)));
	FTC_FAILPOINT("seal-block-before-commit");
	return true;
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

/* Does the main chain hold all bundles of this database up to this one? */
static bool
is_sealed_up_to(const FtcChain *chain, int64 bundle)
{
	FtcIdentity self;

	return !ftc_identity_load(&self) ||
		ftc_run(&pending_own, Int32GetDatum(chain->id), Int32GetDatum(self.origin),
				Int64GetDatum(bundle)) == 0;
}

static int64
bundles_so_far(void)
{
	ftc_run(&last_bundle, 0);
	return DatumGetInt64(ftc_value(0, 0));
}

static void
wait_until_clock(uint64 us)
{
	uint64		now;

	while ((now = ftc_clock_now()) < us)
		(void) ftc_worker_wait((long) ((us - now) / 1000 + 1), "FtchainSeal");
}

/* One block, or the wait for it.  False if nothing is to be sealed. */
static bool
seal_block(const FtcChain *chain, MemoryContext context)
{
	FtcScope	scope;
	FtcCandidate *candidate = NULL;
	uint64		wait_until = 0;
	FtcSealResult result;

	ftc_enter(&scope);
	result = ftc_seal_candidate(chain, context, &candidate, &wait_until);
	ftc_leave(&scope);
	ftc_procedure_commit();
	if (result == FTC_SEAL_NOTHING)
		return false;
	if (result == FTC_SEAL_TOO_EARLY)
		wait_until_clock(wait_until);
	else if (ftc_seal_mine(candidate))
	{
		ftc_enter(&scope);
		ftc_seal_publish(chain, candidate);
		ftc_leave(&scope);
		ftc_procedure_commit();
	}
	MemoryContextReset(context);
	return true;
}

/* All that was committed when we began. */
static void
seal_chain(const FtcChain *chain, MemoryContext context)
{
	FtcScope	scope;
	int64		bundle;
	bool		more;

	do
	{
		ftc_enter(&scope);
		more = ftc_seal_bundle(chain);
		bundle = bundles_so_far();
		ftc_leave(&scope);
		ftc_procedure_commit();
	} while (more);

	for (;;)
	{
		bool		any = seal_block(chain, context);
		bool		done;

		ftc_enter(&scope);
		done = is_sealed_up_to(chain, bundle);
		ftc_leave(&scope);
		if (done)
			break;
		if (!any)
		{
			ereport(NOTICE,
					errmsg("entries of chain \"%s\" cannot be sealed by this database now", chain->name),
					errhint("See whether it is a member, and what is pending, in ftchain.status."));
			break;
		}
	}
}

Datum
ftchain_seal(PG_FUNCTION_ARGS)
{
	char	   *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	MemoryContext keep = AllocSetContextCreate(TopMemoryContext, "ftchain seal", ALLOCSET_DEFAULT_SIZES);
	MemoryContext work = AllocSetContextCreate(keep, "ftchain candidate", ALLOCSET_DEFAULT_SIZES);
	FtcScope	scope;
	List	   *chains = NIL;
	ListCell   *cell;

	PG_TRY();
	{
		ftc_procedure_begin(fcinfo, "ftchain.seal");
		ftc_enter(&scope);
		foreach(cell, ftc_chain_list_named(name))
		{
			MemoryContext outer = MemoryContextSwitchTo(keep);
			FtcChain   *chain = palloc(sizeof(FtcChain));

			*chain = *(FtcChain *) lfirst(cell);
			chain->name = pstrdup(chain->name);
			chains = lappend(chains, chain);
			MemoryContextSwitchTo(outer);
		}
		ftc_leave(&scope);
		foreach(cell, chains)
			seal_chain(lfirst(cell), work);
		ftc_procedure_end();
	}
	PG_FINALLY();
	{
		MemoryContextDelete(keep);
	}
	PG_END_TRY();
	PG_RETURN_VOID();
}

/* Entries of this database that wait: in the backlog, in bundles, not yet found. */
static int64
count_pending(const FtcChain *chain, const FtcIdentity *self)
{
	Datum		since;
	bool		first;
	FtcIds		ids;
	int64		bundled;

	ftc_run(&pending_entries, Int32GetDatum(chain->id), Int32GetDatum(self->origin));
	bundled = DatumGetInt64(ftc_value(0, 0));
	if (ftc_run(&seal_state_get, Int32GetDatum(chain->id)) == 0)
		first = true, since = (Datum) 0, ftc_ids_init(&ids);
	else
	{
		since = ftc_column(0, 0, &first);
		if (!first)
			since = PointerGetDatum(PG_DETOAST_DATUM_COPY(since));
		ids = ftc_ids_from_datum(ftc_value(0, 1));
	}
	ftc_push_snapshot();
	fetch_ids(first ? &fresh_first : &fresh_since,
			  FTC_ARGS(Int32GetDatum(chain->id), ftc_hash_datum(&self->member), since), &ids);
	PopActiveSnapshot();
	return bundled + ftc_ids_count(&ids);
}

/* The state that the next block builds on, if what it follows from is sound. */
static FtcState *
find_state(int32 chain)
{
	FtcBranch	branch = {.chain = chain,.fork_height = ftc_store_main_height(chain)};
	FtcStored	head;
	FtcState   *state;
	FtcHash		id;

	if (!ftc_store_main_head(chain, &id) || ftc_store_read(&id, &head) != FTC_OK ||
		ftc_store_read_state(&head.header.state, &state) != FTC_OK ||
		ftc_branch_fold(&branch, state, branch.fork_height + 1) != FTC_OK)
		return NULL;
	return state;
}

/* Where damage keeps something from being told, it is null: the rest is needed. */
Datum
ftchain_chain_status(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	FtcIdentity self;
	FtcState   *state;
	TupleDesc	tupdesc;
	Datum		values[3] = {0};
	bool		nulls[3] = {false};
	bool		have_self;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	ftc_enter(&scope);
	if (!ftc_chain_by_id(&chain, PG_GETARG_INT32(0)))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("chain %d does not exist", PG_GETARG_INT32(0)));
	state = find_state(chain.id);
	have_self = ftc_identity_load(&self);
	values[0] = Int64GetDatum(have_self ? count_pending(&chain, &self) : 0);
	nulls[1] = nulls[2] = state == NULL;
	if (state != NULL)
	{
		values[1] = Int32GetDatum(state->nmembers);
		values[2] = BoolGetDatum(have_self && ftc_state_find(state, &self.member) != NULL);
	}
	ftc_leave(&scope);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

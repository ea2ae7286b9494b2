/*-------------------------------------------------------------------------
 *
 * seal_bundle.c
 *	  From committed entries to bundles.
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

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "alarm.h"
#include "branch.h"
#include "datum.h"
#include "failpoint.h"
#include "identity.h"
#include "keys.h"
#include "seal.h"
#include "restore.h"
#include "scrub.h"
#include "seal_part.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"

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

/* As appended here, and not come again with a body: those are in their bundles, or belong nowhere. */
static FtcStmt fresh_first = {
	.sql = "SELECT e.id FROM ftchain.entry e WHERE e.chain = $1 AND e.id < " FTC_COPY_ID_MIN_SQL
	" AND e.origin IN (SELECT id FROM ftchain.origin WHERE member = $2)"
	" AND NOT EXISTS (SELECT FROM ftchain.bundle u WHERE u.ids @> e.id)"
	" AND NOT EXISTS (SELECT FROM ftchain.bundle u WHERE u.chain = e.chain AND u.origin = e.origin"
	" AND u.incarnation = e.incarnation AND u.seqs @> e.seq) ORDER BY e.id",
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

static FtcStmt seal_state_number = {
	.sql = "UPDATE ftchain.seal_state SET incarnation = $2, number = CASE incarnation WHEN $2 THEN greatest(number, $3) ELSE $3 END"
	" WHERE chain = $1",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
};

static FtcStmt number_made = {
	.sql = "SELECT incarnation, number FROM ftchain.seal_state WHERE chain = $1 AND number > 0",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* They wait, or the main chain has them, or they are fetched back (branch.c): one look at all. */
static FtcStmt numbers_there = {
	.sql = "SELECT count(DISTINCT u.number) FROM ftchain.bundle u"
	" WHERE u.chain = $1 AND u.origin = $2 AND u.incarnation = $3 AND u.number > $4 AND u.number <= $5"
	" AND (EXISTS (SELECT FROM ftchain.pending_bundle p WHERE p.bundle = u.id)"
	" OR EXISTS (SELECT FROM ftchain.block_bundle b JOIN ftchain.main_chain m ON m.block = b.block WHERE b.bundle = u.id)"
	" OR EXISTS (SELECT FROM ftchain.block_bundle b JOIN ftchain.cached_body c ON c.block = b.block WHERE b.bundle = u.id))",
	.nargs = 5,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID, INT8OID},
};

static FtcStmt look_again = {
	.sql = "UPDATE ftchain.seal_state SET snapshot = NULL, backlog = '{}', incarnation = 0, number = 0 WHERE chain = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* The first after which none is there, from the last on the main chain on: one may have been lost. */
static FtcStmt number_before = {
	.sql = "SELECT min(n.number) FROM (SELECT $4 AS number UNION ALL SELECT u.number FROM ftchain.bundle u"
	" WHERE u.chain = $1 AND u.origin = $2 AND u.incarnation = $3 AND u.number > $4) n"
	" WHERE NOT EXISTS (SELECT FROM ftchain.bundle v WHERE v.chain = $1 AND v.origin = $2 AND v.incarnation = $3"
	" AND v.number = n.number + 1)",
	.nargs = 4,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID},
};

/* Whose bundles wait. */
static FtcStmt pending_origins = {
	.sql = "SELECT DISTINCT o.member, u.incarnation, u.origin FROM ftchain.pending_bundle p"
	" JOIN ftchain.bundle u ON u.id = p.bundle JOIN ftchain.origin o ON o.id = u.origin WHERE p.chain = $1"
	" ORDER BY o.member, u.incarnation",
	.nargs = 1,
	.argtypes = {INT4OID},
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

/* But for those that another bundle lists. */
static FtcStmt sealed_ids = {
	.sql = "SELECT $1 - $2 - coalesce((SELECT range_agg(s.r) FROM (SELECT unnest(u.ids) AS r FROM ftchain.bundle u"
	" WHERE u.ids && $1 AND u.id <> $3) s), '{}'::int8multirange)",
	.nargs = 3,
	.argtypes = {INT8MULTIRANGEOID, INT8MULTIRANGEOID, INT8OID},
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

static FtcStmt pending_entries = {
	.sql = "SELECT coalesce(sum(u.count), 0)::int8 FROM ftchain.pending_bundle p"
	" JOIN ftchain.bundle u ON u.id = p.bundle WHERE p.chain = $1 AND u.origin = $2",
	.nargs = 2,
	.argtypes = {INT4OID, INT4OID},
};

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
	FtcBranch	branch = {.chain = chain->id,.fork_height = ftc_store_main_height(chain->id)};
	FtcSignature signature;
	FtcSlice	head;
	FtcHash		digest;

	ftc_run(&number_before, Int32GetDatum(chain->id), Int32GetDatum(self->origin), Int64GetDatum((int64) b->incarnation),
			Int64GetDatum(ftc_branch_last_bundle(&branch, self->origin, (int64) b->incarnation)));
	bundle.number = (uint64) DatumGetInt64(ftc_value(0, 0)) + 1;
	ftc_run(&seal_state_number, Int32GetDatum(chain->id), Int64GetDatum((int64) b->incarnation),
			Int64GetDatum((int64) bundle.number));
	FTC_ENCODE(head, ftc_bundle_leaf_encode, &bundle);
	digest = ftc_bundle_digest(head);
	ftc_keys_sign(FTC_DOMAIN_BUNDLE, &chain->genesis, &digest, &signature);
	ftc_store_put_bundle(chain->id, self->origin, &bundle, head, &signature, &b->ids,
						 ftc_slice(b->leaves, b->count * sizeof(FtcHash)), b->bytes);
}

int
ftc_seal_origins(const FtcBranch *branch, FtcOrigin **list)
{
	uint64		n = ftc_run(&pending_origins, Int32GetDatum(branch->chain));

	*list = palloc0(Max(n, 1) * sizeof(FtcOrigin));
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
take_back(const FtcChain *chain, const FtcOrigin *origin, Datum bundle, Datum ids, Datum seqs, FtcIds *backlog)
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
	ftc_run(&sealed_ids, ids, ftc_ids_datum(backlog), bundle);
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
	FtcOrigin  *origins;
	int			norigins = ftc_seal_origins(&branch, &origins);

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
				take_back(chain, &origins[i], id, ids, seqs, backlog);
				ftc_store_write(&bundle_release, FTC_ARGS(id), NULL);
			}
			ftc_run(&pending_drop, id);
		}
	}
	ftc_ids_sort(backlog);
}

void
ftc_seal_look_again(const FtcChain *chain)
{
	ftc_run(&look_again, Int32GetDatum(chain->id));
	ftc_wake_at_commit(FTC_WAKE_SEALER);
}

/*
 * A number must not be given twice: if bundles that were made here are neither on
 * the main chain nor waiting for it, no other is made until all that is to be had
 * of them is here again.
 */
bool
ftc_seal_lacks_bundles(const FtcChain *chain)
{
	FtcBranch	branch = {.chain = chain->id,.fork_height = ftc_store_main_height(chain->id)};
	FtcFault	fault = {.height = -1,.what = FTC_BUNDLES_MISSING};
	FtcIdentity self;
	int64		incarnation;
	int64		made;
	int64		sealed;
	int64		waiting;

	if (!ftc_identity_load(&self) || ftc_run(&number_made, Int32GetDatum(chain->id)) == 0)
		return false;
	incarnation = DatumGetInt64(ftc_value(0, 0));
	made = DatumGetInt64(ftc_value(0, 1));
	sealed = ftc_branch_last_bundle(&branch, self.origin, incarnation);
	ftc_run(&numbers_there, Int32GetDatum(chain->id), Int32GetDatum(self.origin), Int64GetDatum(incarnation),
			Int64GetDatum(sealed), Int64GetDatum(made));
	waiting = DatumGetInt64(ftc_value(0, 0));
	if (sealed + waiting >= made)
		return false;
	fault.expected = psprintf(INT64_FORMAT " after number " INT64_FORMAT, made - sealed, sealed);
	fault.found = psprintf(INT64_FORMAT, waiting);
	if (ftc_scrub_record(chain, &fault))
		ftc_store_incident(chain->id, "damage", -1, NULL, NULL,
						   psprintf("%s: %s, found %s", fault.what, fault.expected, fault.found));
	ftc_wake_at_commit(FTC_WAKE_KEEPER);
	return true;
}

static FtcStmt seal_state_any = {
	.sql = "SELECT FROM ftchain.seal_state WHERE chain = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/*
 * The first look at a chain that is older, as in a restored dump: what is in no
 * bundle is to be bundled, and what is in no block to be sealed, so it must be known
 * which there are.
 */
static bool
may_look_first(const FtcChain *chain)
{
	if (ftc_run(&seal_state_any, Int32GetDatum(chain->id)) > 0)
		return true;
	if (!ftc_scrub_lists(chain))
		return false;
	ftc_restore_leftovers(chain);
	return true;
}

bool
ftc_seal_bundle(const FtcChain *chain)
{
	FtcIdentity self;
	FtcState   *state;
	Backlog		backlog;
	FtcIds		rest;

	if (!ftc_identity_load(&self) || ftc_alarm_stops(chain->id))
		return false;
	ftc_chain_lock(chain->id);
	if (ftc_seal_lacks_bundles(chain) || !may_look_first(chain))
		return false;
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

int64
ftc_seal_count_pending(const FtcChain *chain, const FtcIdentity *self)
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

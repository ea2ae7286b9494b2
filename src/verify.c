/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  Hashing and checking again all that is stored.
 *
 * First the blocks, from the lowest: each against its id, its parent, the
 * rules, and what other tables say of it.  Then the entries, in one pass by
 * id: the bundles' lists of ids, sorted, say where each belongs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "branch.h"
#include "clock.h"
#include "core/sha256.h"
#include "datum.h"
#include "identity.h"
#include "stmt.h"
#include "store.h"
#include "verify.h"

PG_FUNCTION_INFO_V1(ftchain_verify);

static FtcStmt main_range = {
	.sql = "SELECT m.height, m.block, b.chain, b.height, b.header, b.signature, b.manifest, b.proof, b.tip, b.work"
	" FROM ftchain.main_chain m LEFT JOIN ftchain.block b ON b.id = m.block"
	" WHERE m.chain = $1 AND m.height BETWEEN $2 AND $3 ORDER BY m.height",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
};

static FtcStmt controls_of = {
	.sql = "SELECT leaf, height, chain, id, \"position\" FROM ftchain.control WHERE block = $1 ORDER BY \"position\"",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt state_exists = {
	.sql = "SELECT content FROM ftchain.epoch_state WHERE root = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt bundles_of = {
	.sql = "SELECT b.\"position\", u.chain, o.member, u.incarnation, u.number, u.count, u.digest, u.head, u.signature, u.seqs,"
	" u.origin FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle"
	" LEFT JOIN ftchain.origin o ON o.id = u.origin WHERE b.block = $1 ORDER BY b.\"position\"",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt holders_of = {
	.sql = "SELECT count(*) FROM ftchain.bundle u JOIN ftchain.block_bundle b ON b.bundle = u.id"
	" JOIN ftchain.main_chain m ON m.block = b.block WHERE u.chain = $1 AND u.origin = $2 AND u.incarnation = $3"
	" AND m.height <= $4 AND u.seqs && $5",
	.nargs = 5,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID, INT8MULTIRANGEOID},
};

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

typedef struct Verification
{
	const FtcChain *chain;
	FtcFaultCallback callback;
	void	   *arg;
	int64		faults;
	bool		whole;			/* from the genesis on */

	/* the blocks so far */
	bool		has_tip;		/* the parent was sound */
	FtcTip		tip;
	FtcHash		parent;			/* id that the next block must name */
	bool		has_parent;
	FtcState   *state;			/* that the parent builds on; NULL if not
								 * known */
	MemoryContext state_context;
	bool		no_succession;	/* controls are damaged */
	HTAB	   *origins;		/* OriginSeen: bundles so far */
} Verification;

static void
fault(Verification *v, int64 height, const FtcHash *block, int64 entry,
	  const char *what, const char *expected, const char *found)
{
	FtcFault	f = {height, block, entry, what, expected, found};

	v->faults++;
	v->callback(v->arg, &f);
}

/* ----------------------------------------------------------------
 *		Blocks
 * ----------------------------------------------------------------
 */

/* One row of main_range. */
typedef struct Row
{
	int64		height;
	FtcHash		id;
	bool		missing;
	int32		chain;
	int64		stored_height;
	FtcBlock	block;
	bool		has_signature;
	FtcSlice	tip;
	FtcSlice	work;
	FtcHeader	header;
	FtcManifest manifest;
} Row;

static void
read_row(uint64 i, Row *row)
{
	memset(row, 0, sizeof(*row));
	row->height = DatumGetInt64(ftc_value(i, 0));
	(void) ftc_datum_hash(ftc_value(i, 1), &row->id);
	(void) ftc_column(i, 2, &row->missing);
	if (row->missing)
		return;
	row->chain = DatumGetInt32(ftc_value(i, 2));
	row->stored_height = DatumGetInt64(ftc_value(i, 3));
	row->block.header = ftc_slice_value(i, 4);
	row->has_signature = ftc_datum_signature(ftc_value(i, 5), &row->block.signature);
	row->block.manifest = ftc_slice_value(i, 6);
	row->block.proof = ftc_slice_value(i, 7);
	row->tip = ftc_slice_value(i, 8);
	row->work = ftc_slice_value(i, 9);
}

/* The bytes of the header, against the id by which the chain knows them. */
static bool
check_header_bytes(Verification *v, Row *row)
{
	FtcHash		hash = ftc_sha256(row->block.header);
	FtcReason	reason;

	if (!ftc_hash_equal(&hash, &row->id))
	{
		fault(v, row->height, &row->id, 0, "header changed", ftc_hash_hex(&row->id), ftc_hash_hex(&hash));
		return false;
	}
	reason = ftc_header_decode(&row->header, row->block.header);
	if (reason != FTC_OK)
	{
		fault(v, row->height, &row->id, 0, "header", "a valid header", ftc_reason_text(reason));
		return false;
	}
	if ((int64) row->header.height != row->height || row->stored_height != row->height ||
		row->chain != v->chain->id)
		fault(v, row->height, &row->id, 0, "height", psprintf(INT64_FORMAT, row->height),
			  psprintf(UINT64_FORMAT, row->header.height));
	return true;
}

static void
check_link(Verification *v, const Row *row)
{
	FtcHash		expected = row->height == 0 ? v->chain->genesis : v->parent;
	FtcHash		found = row->height == 0 ? row->id : row->header.prev;

	if ((row->height == 0 || v->has_parent) && !ftc_hash_equal(&expected, &found))
		fault(v, row->height, &row->id, 0, "broken link", ftc_hash_hex(&expected), ftc_hash_hex(&found));
}

/* The state the block builds on: stored, of the right root; NULL if not. */
static FtcState *
check_state(Verification *v, const Row *row)
{
	FtcState   *state;
	FtcSlice	content;
	FtcReason	reason;
	FtcHash		root;

	if (ftc_run(&state_exists, ftc_hash_datum(&row->header.state)) == 0)
	{
		fault(v, row->height, &row->id, 0, "state missing", ftc_hash_hex(&row->header.state), NULL);
		return NULL;
	}
	content = ftc_slice_value(0, 0);
	state = palloc0(sizeof(FtcState));
	state->capacity = ftc_state_capacity(content);
	state->members = palloc(state->capacity * sizeof(FtcMember));
	reason = ftc_state_decode(state, content);
	if (reason == FTC_OK)
	{
		root = ftc_state_root(state);
		if (ftc_hash_equal(&root, &row->header.state))
			return state;
	}
	fault(v, row->height, &row->id, 0, "state changed", ftc_hash_hex(&row->header.state),
		  reason != FTC_OK ? ftc_reason_text(reason) : ftc_hash_hex(&root));
	return NULL;
}

/*
 * Does the state follow from that of the parent and the controls since?  A
 * block that brings a state along and is signed by a member of it proves
 * nothing by itself.
 */
static void
check_succession(Verification *v, const Row *row)
{
	FtcBranch	branch = {.chain = v->chain->id,.fork_height = row->height - 1};
	FtcState	state;
	FtcHash		root;

	if (v->state == NULL || v->no_succession || row->height == 0)
		return;
	state = *v->state;
	state.members = palloc(Max(state.nmembers, 1) * sizeof(FtcMember));
	memcpy(state.members, v->state->members, state.nmembers * sizeof(FtcMember));
	/* a damaged control is told of with its block */
	if (ftc_branch_fold(&branch, &state, row->height) != FTC_OK)
		return;
	root = ftc_state_root(&state);
	if (!ftc_hash_equal(&root, &row->header.state))
		fault(v, row->height, &row->id, 0, "wrong state", ftc_hash_hex(&root), ftc_hash_hex(&row->header.state));
}

/* Keep the state for the next block; mostly it is the same again. */
static void
keep_state(Verification *v, const FtcState *state)
{
	MemoryContext outer;
	FtcSlice	content;
	FtcSlice	kept;
	FtcHash		before;
	FtcHash		root;

	if (state != NULL && v->state != NULL)
	{
		before = ftc_state_root(v->state);
		root = ftc_state_root(state);
		if (ftc_hash_equal(&before, &root))
			return;
	}
	MemoryContextReset(v->state_context);
	v->state = NULL;
	if (state == NULL)
		return;
	FTC_ENCODE(content, ftc_state_encode, state);
	outer = MemoryContextSwitchTo(v->state_context);
	kept = ftc_slice(memcpy(palloc(content.len), content.data, content.len), content.len);
	v->state = palloc0(sizeof(FtcState));
	v->state->capacity = ftc_state_capacity(kept);
	v->state->members = palloc(Max(v->state->capacity, 1) * sizeof(FtcMember));
	if (ftc_state_decode(v->state, kept) != FTC_OK)
		v->state = NULL;
	MemoryContextSwitchTo(outer);
}

static void
check_rules(Verification *v, const Row *row, const FtcState *state)
{
	FtcReason	reason;

	if (row->height == 0)
	{
		FtcState	founded = {.capacity = row->manifest.ncontrols + 1};

		founded.members = palloc(founded.capacity * sizeof(FtcMember));
		reason = ftc_rules_genesis(&row->header, &row->block.signature, &row->manifest, &founded);
	}
	else if (v->has_tip)
		reason = ftc_rules_header(&row->header, &row->block.signature, &v->tip, state,
								  &v->chain->genesis, ftc_clock_now());
	else
		return;
	if (reason != FTC_OK)
		fault(v, row->height, &row->id, 0, reason == FTC_BAD_SIGNATURE ? "signature" : "header",
			  "as the rules say", ftc_reason_text(reason));
}

/* What a child would build on, computed anew, against what is stored. */
static void
check_tip(Verification *v, const Row *row, const FtcState *state)
{
	uint8		bytes[FTC_TIP_BYTES_MAX];
	FtcTip		tip;
	FtcHash		work;
	size_t		len;

	if (row->height == 0)
		ftc_rules_first_tip(&tip, &row->header, &state->params);
	else if (v->has_tip)
		ftc_rules_next_tip(&tip, &v->tip, &row->header, &state->params);
	else
	{
		v->has_tip = ftc_tip_decode(&v->tip, &row->header, row->tip) == FTC_OK;
		return;
	}
	len = ftc_tip_encode(&tip, bytes);
	work = ftc_u256_to_hash(&tip.work);
	if (row->tip.len != len || memcmp(row->tip.data, bytes, len) != 0 ||
		row->work.len != FTC_HASH_LEN || memcmp(row->work.data, work.b, FTC_HASH_LEN) != 0)
		fault(v, row->height, &row->id, 0, "work or history changed", NULL, NULL);
	v->tip = tip;
	v->has_tip = true;
}

static bool
check_manifest(Verification *v, Row *row, const FtcState *state)
{
	FtcReason	reason = ftc_manifest_decode(&row->manifest, row->block.manifest);

	if (reason == FTC_OK)
		reason = ftc_manifest_verify(&row->manifest, row->block.proof, &row->header.body, row->header.leaves);
	if (reason == FTC_OK && row->height > 0)
		reason = ftc_rules_manifest(&row->manifest, &row->header, state, &v->chain->genesis);
	if (reason != FTC_OK)
		fault(v, row->height, &row->id, 0, "manifest changed", "as the header says", ftc_reason_text(reason));
	return reason == FTC_OK;
}

static bool
same_slice(FtcSlice a, FtcSlice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool
is_hash(Datum datum, const FtcHash *expected)
{
	FtcHash		found;

	return ftc_datum_hash(datum, &found) && ftc_hash_equal(&found, expected);
}

static void
check_controls(Verification *v, const Row *row)
{
	uint64		n = ftc_run(&controls_of, ftc_hash_datum(&row->id));
	FtcReader	at = row->manifest.controls;
	bool		same = n == row->manifest.ncontrols;

	for (uint32 i = 0; same && i < row->manifest.ncontrols; i++)
	{
		FtcControl	control;
		FtcSlice	leaf = ftc_manifest_next_control(&at, &control);
		FtcHash		id = ftc_control_digest(control.core);

		same = same_slice(leaf, ftc_slice_value(i, 0)) &&
			DatumGetInt64(ftc_value(i, 1)) == row->height &&
			DatumGetInt32(ftc_value(i, 2)) == v->chain->id &&
			is_hash(ftc_value(i, 3), &id) && DatumGetInt32(ftc_value(i, 4)) == (int32) i;
	}
	if (!same)
	{
		/* what states follow from them cannot be told */
		v->no_succession = true;
		fault(v, row->height, &row->id, 0, "controls changed", "as the manifest says", NULL);
	}
}

/* Does a row of bundles_of say what a bundle head of the manifest says? */
static bool
is_bundle(uint64 i, int32 chain, const FtcBundle *bundle, FtcSlice head, const FtcSignature *signature)
{
	FtcHash		digest = ftc_bundle_digest(head);
	FtcIds		seqs = ftc_ids_of_bundle(bundle);
	FtcIds		stored;
	bool		no_origin;
	Datum		member = ftc_column(i, 2, &no_origin);

	return DatumGetInt32(ftc_value(i, 0)) == (int32) i && DatumGetInt32(ftc_value(i, 1)) == chain &&
		!no_origin && is_hash(member, &bundle->origin) &&
		DatumGetInt64(ftc_value(i, 3)) == (int64) bundle->incarnation &&
		DatumGetInt64(ftc_value(i, 4)) == (int64) bundle->number &&
		DatumGetInt32(ftc_value(i, 5)) == (int32) bundle->count &&
		is_hash(ftc_value(i, 6), &digest) && same_slice(head, ftc_slice_value(i, 7)) &&
		same_slice(ftc_slice(signature->b, FTC_SIGNATURE_LEN), ftc_slice_value(i, 8)) &&
		ftc_ids_read(ftc_value(i, 9), &stored) && ftc_ids_equal(&seqs, &stored);
}

/* What was seen of an origin's database: its bundles are to follow each other. */
typedef struct OriginSeen
{
	struct
	{
		int64		incarnation;
		int64		origin;
	}			key;
	int64		number;			/* of the last bundle */
	int64		last;			/* its highest seq */
} OriginSeen;

/* Bundles of the chain so far that hold any of these seqs. */
static int64
count_holders(const Verification *v, const Row *row, const FtcBundle *bundle, int32 origin, const FtcIds *seqs)
{
	ftc_run(&holders_of, Int32GetDatum(v->chain->id), Int32GetDatum(origin),
			Int64GetDatum((int64) bundle->incarnation), Int64GetDatum(row->height), ftc_ids_datum(seqs));
	return DatumGetInt64(ftc_value(0, 0));
}

/* After a fault what is before and what is behind it are not compared. */
static void
forget_order(Verification *v)
{
	HASH_SEQ_STATUS scan;
	OriginSeen *seen;

	v->whole = false;
	hash_seq_init(&scan, v->origins);
	while ((seen = hash_seq_search(&scan)) != NULL)
		(void) hash_search(v->origins, &seen->key, HASH_REMOVE, NULL);
}

/*
 * Bundles are gapless, and no seq stands twice.  Mostly seqs ascend; only where
 * they do not, the branch is asked.
 */
static void
check_order(Verification *v, const Row *row, const FtcBundle *bundle, int32 origin)
{
	FtcIds		seqs = ftc_ids_of_bundle(bundle);
	OriginSeen	key = {.key = {(int64) bundle->incarnation, origin}};
	OriginSeen *seen;
	bool		found;

	seen = hash_search(v->origins, &key.key, HASH_ENTER, &found);
	if (!found)
	{
		seen->number = v->whole ? 0 : (int64) bundle->number - 1;
		seen->last = 0;
	}
	if ((int64) bundle->number != seen->number + 1)
		fault(v, row->height, &row->id, 0, "bundle out of order", psprintf("bundle " INT64_FORMAT, seen->number + 1),
			  psprintf("bundle " UINT64_FORMAT, bundle->number));
	if ((int64) seqs.ranges[0].first <= seen->last && count_holders(v, row, bundle, origin, &seqs) > 1)
		fault(v, row->height, &row->id, 0, "entry twice", NULL,
			  psprintf("seqs of bundle " UINT64_FORMAT, bundle->number));
	seen->number = (int64) bundle->number;
	seen->last = Max(seen->last, (int64) seqs.ranges[seqs.n - 1].last);
}

static void
check_bundles(Verification *v, const Row *row)
{
	uint64		n = ftc_run(&bundles_of, ftc_hash_datum(&row->id));
	FtcReader	at = row->manifest.bundles;
	SPITupleTable *rows;

	if (n != row->manifest.nbundles)
	{
		forget_order(v);
		fault(v, row->height, &row->id, 0, "bundles changed", psprintf("%u bundles", row->manifest.nbundles),
			  psprintf(UINT64_FORMAT, n));
		return;
	}
	rows = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		FtcBundle	bundle;
		FtcSignature signature;
		FtcSlice	head = ftc_manifest_next_bundle(&at, &bundle, &signature);

		SPI_tuptable = rows;
		if (!is_bundle(i, v->chain->id, &bundle, head, &signature))
		{
			forget_order(v);
			fault(v, row->height, &row->id, 0, "bundle changed",
				  psprintf("bundle " UINT64_FORMAT " as the manifest says", bundle.number), NULL);
		}
		else
			check_order(v, row, &bundle, DatumGetInt32(ftc_value(i, 10)));
	}
}

/* Nothing is known that the next block could be compared with. */
static void
forget_parent(Verification *v)
{
	v->has_tip = false;
	keep_state(v, NULL);
	forget_order(v);
}

static void
check_block(Verification *v, Row *row)
{
	FtcState   *state;

	if (row->missing)
	{
		fault(v, row->height, &row->id, 0, "block missing", ftc_hash_hex(&row->id), NULL);
		forget_parent(v);
	}
	else if (!check_header_bytes(v, row))
		forget_parent(v);
	else
	{
		check_link(v, row);
		if (!row->has_signature)
			fault(v, row->height, &row->id, 0, "signature", "64 bytes", NULL);
		state = check_state(v, row);
		if (state != NULL)
			check_succession(v, row);
		keep_state(v, state);
		if (state == NULL || !check_manifest(v, row, state))
			forget_order(v);
		else
		{
			check_rules(v, row, state);
			check_controls(v, row);
			check_bundles(v, row);
		}
		if (state != NULL)
			check_tip(v, row, state);
		else
			v->has_tip = false;
	}
	v->parent = row->id;
	v->has_parent = true;
}

/* Start in the middle: what came before is taken as stored. */
static void
start_at(Verification *v, int64 from)
{
	FtcHash		root;
	Row			row;

	if (from <= 0 || ftc_run(&main_range, Int32GetDatum(v->chain->id),
							 Int64GetDatum(from - 1), Int64GetDatum(from - 1)) == 0)
		return;
	read_row(0, &row);
	v->parent = row.id;
	v->has_parent = true;
	if (row.missing)
		return;
	root = ftc_sha256(row.block.header);
	v->has_tip = ftc_hash_equal(&root, &row.id) &&
		ftc_header_decode(&row.header, row.block.header) == FTC_OK &&
		ftc_tip_decode(&v->tip, &row.header, row.tip) == FTC_OK;
}

#define BLOCKS_AT_ONCE 200
#define STRAYS_AT_ONCE 5000

/* Check block i of the current result; gives the height after it. */
static int64
check_row(Verification *v, uint64 i, int64 expected)
{
	Row			row;

	read_row(i, &row);
	for (; expected < row.height; expected++)
	{
		fault(v, expected, NULL, 0, "height missing", psprintf(INT64_FORMAT, expected), NULL);
		v->has_parent = false;
		forget_parent(v);
	}
	check_block(v, &row);
	return row.height + 1;
}

static void
check_blocks(Verification *v, int64 from, int64 to)
{
	int64		expected = from;

	start_at(v, from);
	for (int64 at = from; at <= to; at += BLOCKS_AT_ONCE)
	{
		MemoryContext outer = ftc_nest();
		uint64		n = ftc_run(&main_range, Int32GetDatum(v->chain->id), Int64GetDatum(at),
								Int64GetDatum(Min(at + BLOCKS_AT_ONCE - 1, to)));
		SPITupleTable *rows = SPI_tuptable;

		for (uint64 i = 0; i < n; i++)
		{
			MemoryContext inner = ftc_nest();

			CHECK_FOR_INTERRUPTS();
			SPI_tuptable = rows;
			expected = check_row(v, i, expected);
			ftc_unnest(inner);
		}
		ftc_unnest(outer);
	}
}

/* ----------------------------------------------------------------
 *		Entries
 * ----------------------------------------------------------------
 */

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
	Verification *v;
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
		fault(p->v, held->height, &held->block, id, what, expected, found);
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
check_entry(void *arg, int64 id, const FtcEntry *entry)
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

			fault(p->v, -1, NULL, id, "extra entry", NULL, psprintf("entry " INT64_FORMAT, id));
		}
		SPI_freetuptable(SPI_tuptable);
	}
}

static void
check_promises(Verification *v, int64 from, int64 to)
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

		fault(v, DatumGetInt64(ftc_value(i, 0)), &block, 0, "body missing",
			  "a body that this database has signed it stores", NULL);
	}
}

static void
check_entries(Verification *v, int64 from, int64 to, bool strays)
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
}

/* Is the head the best block?  Asked only if all blocks are sound. */
static void
check_head(Verification *v, int64 top)
{
	FtcHash		best;

	if (v->faults == 0 && ftc_branch_overlooked(v->chain->id, &best))
		fault(v, top, &v->parent, 0, "head changed", ftc_hash_hex(&best), ftc_hash_hex(&v->parent));
}

bool
ftc_verify_strays(const FtcChain *chain, int64 *after, FtcFaultCallback callback, void *arg)
{
	Verification v = {.chain = chain,.callback = callback,.arg = arg};
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
			fault(&v, -1, NULL, *after, "extra entry", NULL, psprintf("entry " INT64_FORMAT, *after));
	}
	ftc_thaw();
	return n == STRAYS_AT_ONCE;
}

void
ftc_verify_chain(const FtcChain *chain, int64 from, int64 to, bool strays,
				 FtcFaultCallback callback, void *arg)
{
	Verification *v = palloc0(sizeof(Verification));
	int64		top;
	HASHCTL		ctl = {.keysize = sizeof(((OriginSeen *) NULL)->key),.entrysize = sizeof(OriginSeen)};

	v->chain = chain;
	v->callback = callback;
	v->arg = arg;
	v->whole = from == 0;
	v->state_context = AllocSetContextCreate(CurrentMemoryContext, "ftchain state", ALLOCSET_DEFAULT_SIZES);
	ctl.hcxt = CurrentMemoryContext;
	v->origins = hash_create("ftchain origins", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ftc_freeze();
	top = ftc_store_main_height(chain->id);
	if (top < 0)
		fault(v, 0, NULL, 0, "height missing", "0", NULL);
	if (to < 0 || to > top)
		to = top;
	check_blocks(v, from, to);
	if (to == top && from <= to)
		check_head(v, top);
	check_entries(v, from, to, strays);
	check_promises(v, from, to);
	ftc_thaw();
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

static void
return_fault(void *arg, const FtcFault *f)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[6] = {0};
	bool		nulls[6];

	values[0] = Int64GetDatum(f->height);
	nulls[0] = f->height < 0;
	nulls[1] = f->block == NULL;
	if (f->block != NULL)
		values[1] = ftc_hash_datum(f->block);
	values[2] = Int64GetDatum(f->entry);
	nulls[2] = f->entry == 0;
	values[3] = CStringGetTextDatum(f->what);
	nulls[3] = false;
	nulls[4] = f->expected == NULL;
	if (f->expected != NULL)
		values[4] = CStringGetTextDatum(f->expected);
	nulls[5] = f->found == NULL;
	if (f->found != NULL)
		values[5] = CStringGetTextDatum(f->found);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
ftchain_verify(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	int64		from = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);
	int64		to = PG_ARGISNULL(2) ? -1 : PG_GETARG_INT64(2);

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("chain must not be null"));
	if (from < 0 || (!PG_ARGISNULL(2) && to < from))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("heights from %lld to %lld are not a range", (long long) from, (long long) to));
	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	ftc_chain_need(&chain, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	ftc_verify_chain(&chain, from, to, from == 0 && to < 0, return_fault, fcinfo->resultinfo);
	ftc_leave(&scope);
	return (Datum) 0;
}

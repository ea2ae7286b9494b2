/*-------------------------------------------------------------------------
 *
 * verify_blocks.c
 *	  Blocks: against their ids, their parents, the rules, and other tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "branch.h"
#include "core/sha256.h"
#include "datum.h"
#include "stmt.h"
#include "store.h"
#include "verify_part.h"

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
check_header_bytes(FtcVerification *v, Row *row)
{
	FtcHash		hash = ftc_sha256(row->block.header);
	FtcReason	reason;

	if (!ftc_hash_equal(&hash, &row->id))
	{
		ftc_verify_fault(v, row->height, &row->id, 0, "header changed", ftc_hash_hex(&row->id), ftc_hash_hex(&hash));
		return false;
	}
	reason = ftc_header_decode(&row->header, row->block.header);
	if (reason != FTC_OK)
	{
		ftc_verify_fault(v, row->height, &row->id, 0, "header", "a valid header", ftc_reason_text(reason));
		return false;
	}
	if ((int64) row->header.height != row->height || row->stored_height != row->height ||
		row->chain != v->chain->id)
		ftc_verify_fault(v, row->height, &row->id, 0, "height", psprintf(INT64_FORMAT, row->height),
						 psprintf(UINT64_FORMAT, row->header.height));
	return true;
}

static void
check_link(FtcVerification *v, const Row *row)
{
	FtcHash		expected = row->height == 0 ? v->chain->genesis : v->parent;
	FtcHash		found = row->height == 0 ? row->id : row->header.prev;

	if ((row->height == 0 || v->has_parent) && !ftc_hash_equal(&expected, &found))
		ftc_verify_fault(v, row->height, &row->id, 0, "broken link", ftc_hash_hex(&expected), ftc_hash_hex(&found));
}

/* The state the block builds on: stored, of the right root; NULL if not. */
static FtcState *
check_state(FtcVerification *v, const Row *row)
{
	FtcState   *state;
	FtcSlice	content;
	FtcReason	reason;
	FtcHash		root;

	if (ftc_run(&state_exists, ftc_hash_datum(&row->header.state)) == 0)
	{
		ftc_verify_fault(v, row->height, &row->id, 0, "state missing", ftc_hash_hex(&row->header.state), NULL);
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
	ftc_verify_fault(v, row->height, &row->id, 0, "state changed", ftc_hash_hex(&row->header.state),
					 reason != FTC_OK ? ftc_reason_text(reason) : ftc_hash_hex(&root));
	return NULL;
}

/*
 * Does the state follow from that of the parent and the controls since?  A
 * block that brings a state along and is signed by a member of it proves
 * nothing by itself.
 */
static void
check_succession(FtcVerification *v, const Row *row)
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
		ftc_verify_fault(v, row->height, &row->id, 0, "wrong state", ftc_hash_hex(&root), ftc_hash_hex(&row->header.state));
}

/* Keep the state for the next block; mostly it is the same again. */
static void
keep_state(FtcVerification *v, const FtcState *state)
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
check_rules(FtcVerification *v, const Row *row, const FtcState *state)
{
	FtcReason	reason;

	if (row->height == 0)
	{
		FtcState	founded = {.capacity = row->manifest.ncontrols + 1};

		founded.members = palloc(founded.capacity * sizeof(FtcMember));
		reason = ftc_rules_genesis(&row->header, &row->block.signature, &row->manifest, &founded);
	}
	else if (v->has_tip)
		/* what was taken once had come by then, whatever our clock says now */
		reason = ftc_rules_header(&row->header, &row->block.signature, &v->tip, state,
								  &v->chain->genesis, row->header.time);
	else
		return;
	if (reason != FTC_OK)
		ftc_verify_fault(v, row->height, &row->id, 0, reason == FTC_BAD_SIGNATURE ? "signature" : "header",
						 "as the rules say", ftc_reason_text(reason));
}

/* What a child would build on, computed anew, against what is stored. */
static void
check_tip(FtcVerification *v, const Row *row, const FtcState *state)
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
		ftc_verify_fault(v, row->height, &row->id, 0, "work or history changed", NULL, NULL);
	v->tip = tip;
	v->has_tip = true;
}

static bool
check_manifest(FtcVerification *v, Row *row, const FtcState *state)
{
	FtcReason	reason = ftc_manifest_decode(&row->manifest, row->block.manifest);

	if (reason == FTC_OK)
		reason = ftc_manifest_verify(&row->manifest, row->block.proof, &row->header.body, row->header.leaves);
	if (reason == FTC_OK && row->height > 0)
		reason = ftc_rules_manifest(&row->manifest, &row->header, state, &v->chain->genesis);
	if (reason != FTC_OK)
		ftc_verify_fault(v, row->height, &row->id, 0, "manifest changed", "as the header says", ftc_reason_text(reason));
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
check_controls(FtcVerification *v, const Row *row)
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
		ftc_verify_fault(v, row->height, &row->id, 0, "controls changed", "as the manifest says", NULL);
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
count_holders(const FtcVerification *v, const Row *row, const FtcBundle *bundle, int32 origin, const FtcIds *seqs)
{
	ftc_run(&holders_of, Int32GetDatum(v->chain->id), Int32GetDatum(origin),
			Int64GetDatum((int64) bundle->incarnation), Int64GetDatum(row->height), ftc_ids_datum(seqs));
	return DatumGetInt64(ftc_value(0, 0));
}

/* After a fault what is before and what is behind it are not compared. */
static void
forget_order(FtcVerification *v)
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
check_order(FtcVerification *v, const Row *row, const FtcBundle *bundle, int32 origin)
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
		ftc_verify_fault(v, row->height, &row->id, 0, "bundle out of order", psprintf("bundle " INT64_FORMAT, seen->number + 1),
						 psprintf("bundle " UINT64_FORMAT, bundle->number));
	if ((int64) seqs.ranges[0].first <= seen->last && count_holders(v, row, bundle, origin, &seqs) > 1)
		ftc_verify_fault(v, row->height, &row->id, 0, "entry twice", NULL,
						 psprintf("seqs of bundle " UINT64_FORMAT, bundle->number));
	seen->number = (int64) bundle->number;
	seen->last = Max(seen->last, (int64) seqs.ranges[seqs.n - 1].last);
}

static void
check_bundles(FtcVerification *v, const Row *row)
{
	uint64		n = ftc_run(&bundles_of, ftc_hash_datum(&row->id));
	FtcReader	at = row->manifest.bundles;
	SPITupleTable *rows;

	if (n != row->manifest.nbundles)
	{
		forget_order(v);
		ftc_verify_fault(v, row->height, &row->id, 0, "bundles changed", psprintf("%u bundles", row->manifest.nbundles),
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
			ftc_verify_fault(v, row->height, &row->id, 0, "bundle changed",
							 psprintf("bundle " UINT64_FORMAT " as the manifest says", bundle.number), NULL);
		}
		else
			check_order(v, row, &bundle, DatumGetInt32(ftc_value(i, 10)));
	}
}

/* Nothing is known that the next block could be compared with. */
static void
forget_parent(FtcVerification *v)
{
	v->has_tip = false;
	keep_state(v, NULL);
	forget_order(v);
}

static void
check_block(FtcVerification *v, Row *row)
{
	FtcState   *state;

	if (row->missing)
	{
		ftc_verify_fault(v, row->height, &row->id, 0, "block missing", ftc_hash_hex(&row->id), NULL);
		forget_parent(v);
	}
	else if (!check_header_bytes(v, row))
		forget_parent(v);
	else
	{
		check_link(v, row);
		if (!row->has_signature)
			ftc_verify_fault(v, row->height, &row->id, 0, "signature", "64 bytes", NULL);
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
start_at(FtcVerification *v, int64 from)
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

/* Check block i of the current result; gives the height after it. */
static int64
check_row(FtcVerification *v, uint64 i, int64 expected)
{
	Row			row;

	read_row(i, &row);
	for (; expected < row.height; expected++)
	{
		ftc_verify_fault(v, expected, NULL, 0, "height missing", psprintf(INT64_FORMAT, expected), NULL);
		v->has_parent = false;
		forget_parent(v);
	}
	check_block(v, &row);
	return row.height + 1;
}

void
ftc_verify_blocks(FtcVerification *v, int64 from, int64 to)
{
	int64		expected = from;
	HASHCTL		ctl = {.keysize = sizeof(((OriginSeen *) NULL)->key),.entrysize = sizeof(OriginSeen)};

	v->whole = from == 0;
	v->state_context = AllocSetContextCreate(CurrentMemoryContext, "ftchain state", ALLOCSET_DEFAULT_SIZES);
	ctl.hcxt = CurrentMemoryContext;
	v->origins = hash_create("ftchain origins", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
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

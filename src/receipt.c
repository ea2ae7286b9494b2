/*-------------------------------------------------------------------------
 *
 * receipt.c
 *	  Making receipts: proof that an entry is in a block of a chain.
 *
 * The format is told in core/receipt.h.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/base64.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "chain.h"
#include "core/entry.h"
#include "core/header.h"
#include "core/merkle.h"
#include "core/receipt.h"
#include "core/state.h"
#include "datum.h"
#include "identity.h"
#include "safety.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_receipt);

/*
 * Bundles that are held and have this seq.  There are few: the subquery keeps it
 * to the index on seqs, also where there are no statistics yet.
 */
static FtcStmt bundles_of_seq = {
	.sql = "SELECT u.id FROM (SELECT id, chain, origin, incarnation, ids FROM ftchain.bundle"
	" WHERE seqs @> $3 OFFSET 0) AS u WHERE u.chain = $1 AND u.origin = $2"
	" AND ($4 = 0 OR u.incarnation = $4) AND u.ids IS NOT NULL ORDER BY u.incarnation DESC, u.id",
	.nargs = 4,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID},
};

static FtcStmt main_block_of = {
	.sql = "SELECT b.block, b.\"position\" FROM ftchain.block_bundle b"
	" JOIN ftchain.main_chain m ON m.block = b.block WHERE b.bundle = $1",
	.nargs = 1,
	.argtypes = {INT8OID},
};

static FtcStmt bundle_load = {
	.sql = "SELECT head, ids, leaves FROM ftchain.bundle WHERE id = $1",
	.nargs = 1,
	.argtypes = {INT8OID},
};

/* An entry appended here that is in no bundle yet. */
static FtcStmt entry_waits = {
	.sql = "SELECT FROM ftchain.entry e WHERE e.id = $3 AND e.chain = $1 AND e.origin = $2"
	" AND ($4 = 0 OR e.incarnation = $4)",
	.nargs = 4,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID},
};

/* Blocks of the main chain, and what their parents know of the history. */
static FtcStmt points_load = {
	.sql = "SELECT m.height, m.block, p.header, p.tip FROM ftchain.main_chain m"
	" JOIN ftchain.main_chain q ON q.chain = m.chain AND q.height = m.height - 1"
	" JOIN ftchain.block p ON p.id = q.block WHERE m.chain = $1 AND m.height = ANY ($2)",
	.nargs = 2,
	.argtypes = {INT4OID, INT8ARRAYOID},
};

static char *
base64(FtcSlice bytes)
{
	int			size = pg_b64_enc_len(bytes.len) + 1;
	char	   *text = palloc0(size);
	int			len = bytes.len == 0 ? 0
	: pg_b64_encode((const void *) bytes.data, bytes.len, text, size);

	if (len < 0)
		elog(ERROR, "could not encode base64");
	text[		len] = '\0';
	return text;
}

static void
put_bytes(StringInfo json, const char *name, FtcSlice bytes)
{
	appendStringInfo(json, ",\"%s\":\"%s\"", name, base64(bytes));
}

static void
put_number(StringInfo json, const char *name, uint64 number)
{
	appendStringInfo(json, ",\"%s\":\"" UINT64_FORMAT "\"", name, number);
}

static void
put_path(StringInfo json, const char *name, const FtcHash *path, int n)
{
	appendStringInfo(json, ",\"%s\":[", name);
	for (int i = 0; i < n; i++)
		appendStringInfo(json, "%s\"%s\"", i > 0 ? "," : "", base64(ftc_slice(path[i].b, FTC_HASH_LEN)));
	appendStringInfoChar(json, ']');
}

/*
 * What is given is checked first: a receipt made from changed rows would be
 * worth nothing to the one who keeps it.
 */
static void
need_sound(bool sound, const char *what, const FtcHash *block)
{
	if (!sound)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("%s of block %s is damaged", what, ftc_hash_hex(block)),
				errhint("See ftchain.verify() and ftchain.repair()."));
}

/* A bundle that holds an entry, and where on the main chain it is. */
typedef struct Place
{
	int64		bundle;
	FtcHash		block;
	int32		position;		/* among the bundles of the block */
} Place;

/* False if the entry is here and not on the main chain; an error if it is not here. */
static bool
find_entry(const FtcChain *chain, int32 origin, int64 seq, int64 incarnation, Place *place)
{
	const Datum key[] = {Int32GetDatum(chain->id), Int32GetDatum(origin), Int64GetDatum(seq),
	Int64GetDatum(incarnation)};
	uint64		n = ftc_stmt_run(&bundles_of_seq, key, NULL);
	SPITupleTable *table = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		SPI_tuptable = table;
		place->bundle = DatumGetInt64(ftc_value(i, 0));
		if (ftc_run(&main_block_of, Int64GetDatum(place->bundle)) > 0)
		{
			place->block = ftc_hash_value(0, 0);
			place->position = DatumGetInt32(ftc_value(0, 1));
			return true;
		}
	}
	if (n == 0 && ftc_stmt_run(&entry_waits, key, NULL) == 0)
		ereport(ERROR,
				errcode(ERRCODE_NO_DATA_FOUND),
				errmsg("chain \"%s\" has no entry %lld of that origin here", chain->name, (long long) seq));
	return false;
}

/* The id at a place in a list of them; -1 if it is not as long. */
static int64
id_at(const FtcIds *ids, int64 index)
{
	for (int i = 0; i < ids->n; i++)
	{
		int64		count = (int64) (ids->ranges[i].last - ids->ranges[i].first + 1);

		if (index < count)
			return (int64) ids->ranges[i].first + index;
		index -= count;
	}
	return -1;
}

typedef struct Found
{
	FtcEntry	entry;
	FtcSlice	leaf;
	MemoryContext context;
} Found;

static bool
keep_entry(void *arg, int64 id, FtcEntry *entry)
{
	Found	   *found = arg;
	MemoryContext outer = MemoryContextSwitchTo(found->context);
	uint8	   *leaf = palloc(FTC_ENTRY_LEAF_MAX);
	uint8	   *payload = palloc(Max(entry->payload.len, 1));
	uint8	   *salt = palloc(Max(entry->salt.len, 1));

	entry->payload_hash = ftc_payload_hash(entry->salt, entry->payload);
	found->leaf = ftc_slice(leaf, ftc_entry_leaf_encode(entry, leaf));
	memcpy(payload, entry->payload.data, entry->payload.len);
	memcpy(salt, entry->salt.data, entry->salt.len);
	found->entry.payload = ftc_slice(payload, entry->payload.len);
	found->entry.salt = ftc_slice(salt, entry->salt.len);
	MemoryContextSwitchTo(outer);
	return false;
}

/*
 * Frontiers of the last large bundle at equal distances, since receipts of one
 * bundle are often asked for one after another, and each would hash all of it.
 * They belong to the root, so they never become wrong.
 */
#define MARKS 256				/* half a megabyte */
#define MARKS_FROM 2048			/* entries: fewer are hashed soon enough */

static struct
{
	FtcHash		root;
	uint32		count;			/* of the bundle; 0: there are none */
	uint32		step;			/* leaves from one to the next */
	FtcFrontier *at;
}			marks;

static void
set_marks(const FtcBundle *bundle, const FtcHash *leaves)
{
	FtcFrontier frontier;

	if (marks.count == bundle->count && ftc_hash_equal(&marks.root, &bundle->root))
		return;
	if (marks.at == NULL)
		marks.at = MemoryContextAlloc(TopMemoryContext, MARKS * sizeof(FtcFrontier));
	marks.count = 0;			/* until they are all there */
	marks.step = bundle->count / MARKS + 1;
	ftc_frontier_init(&frontier);
	for (uint32 i = 0; i < bundle->count; i++)
	{
		if (i % marks.step == 0)
		{
			CHECK_FOR_INTERRUPTS();
			marks.at[i / marks.step] = frontier;
		}
		ftc_frontier_add(&frontier, &leaves[i]);
	}
	marks.count = bundle->count;
	marks.root = ftc_frontier_root(&frontier);
}

/* Where an entry is in its bundle; whether that is right is for the caller to verify. */
static int
bundle_path(const FtcBundle *bundle, const FtcHash *leaves, uint64 index, FtcHash *path)
{
	FtcMerklePoint *points;
	uint64		at[FTC_PROOF_MAX];
	int			n;

	if (bundle->count < MARKS_FROM)
		return ftc_merkle_inclusion(leaves, bundle->count, index, path);
	set_marks(bundle, leaves);
	n = ftc_merkle_points(bundle->count, index, at);
	points = palloc(n * sizeof(FtcMerklePoint));
	for (int i = 0; i < n; i++)
	{
		points[i].leaf = leaves[at[i]];
		points[i].before = marks.at[at[i] / marks.step];
		while (points[i].before.size < at[i])
			ftc_frontier_add(&points[i].before, &leaves[points[i].before.size]);
	}
	return ftc_merkle_path(bundle->count, index, points, path);
}

/* An entry of a bundle, and that it is there. */
static void
put_entry(StringInfo json, const FtcStored *block, const FtcBundle *bundle, const FtcIds *ids,
		  FtcSlice leaves, int64 seq)
{
	const FtcHash *hashes = (const FtcHash *) leaves.data;
	int64		index = ftc_receipt_index(bundle, (uint64) seq);
	Found		found = {.context = CurrentMemoryContext};
	FtcHash		path[FTC_PROOF_MAX];
	FtcHash		hash;
	FtcIds		one;
	int			n;

	need_sound(index >= 0 && ftc_ids_count(ids) == bundle->count &&
			   leaves.len == bundle->count * sizeof(FtcHash), "a bundle", &block->id);
	ftc_ids_init(&one);
	ftc_ids_add(&one, id_at(ids, index), id_at(ids, index));
	ftc_store_scan(block->chain, &one, keep_entry, &found);
	n = bundle_path(bundle, hashes, (uint64) index, path);
	hash = ftc_merkle_leaf(found.leaf);
	need_sound(n >= 0 &&
			   ftc_merkle_verify_inclusion(&hash, (uint64) index, bundle->count, path, n, &bundle->root) == FTC_OK,
			   "an entry", &block->id);
	put_bytes(json, "leaf", found.leaf);
	put_number(json, "leaf_index", (uint64) index);
	put_path(json, "bundle_path", path, n);
	put_bytes(json, "salt", found.entry.salt);
	put_bytes(json, "payload", found.entry.payload);
}

/* A bundle head, and that it is in the body of the block. */
static void
put_bundle(StringInfo json, const FtcStored *block, FtcSlice head, int32 position)
{
	FtcManifest manifest;
	FtcHash    *hashes;
	FtcHash		path[FTC_PROOF_MAX];
	FtcHash		hash = ftc_merkle_leaf(head);
	uint32		index;
	int			n;

	need_sound(ftc_manifest_decode(&manifest, block->block.manifest) == FTC_OK &&
			   position >= 0 && (uint32) position < manifest.nbundles, "the manifest", &block->id);
	index = manifest.ncontrols + (uint32) position;
	hashes = palloc((manifest.ncontrols + manifest.nbundles) * sizeof(FtcHash));
	need_sound(ftc_manifest_inclusion(&manifest, block->block.proof, &block->header.body, block->header.leaves,
									  index, hashes, path, &n) == FTC_OK &&
			   ftc_hash_equal(&hashes[index], &hash), "the manifest", &block->id);
	put_bytes(json, "bundle", head);
	put_number(json, "bundle_index", index);
	put_path(json, "body_path", path, n);
}

static void
put_place(StringInfo json, const FtcStored *block, const Place *place, int64 seq)
{
	FtcBundle	bundle;
	FtcSlice	head;
	FtcSlice	leaves;
	FtcIds		ids;

	ftc_run(&bundle_load, Int64GetDatum(place->bundle));
	head = ftc_slice_value(0, 0);
	ids = ftc_ids_from_datum(ftc_value(0, 1));
	leaves = ftc_slice_value(0, 2);
	need_sound(ftc_bundle_leaf_decode(&bundle, head) == FTC_OK, "a bundle", &block->id);
	put_entry(json, block, &bundle, &ids, leaves, seq);
	put_bundle(json, block, head, place->position);
}

/* A header, who proposed the block, and that he is in the state it builds on. */
static void
put_block(StringInfo json, const FtcReceiptBlockNames *names, const FtcStored *block)
{
	FtcState   *state = ftc_store_load_state(&block->header.state);
	const FtcMember *proposer = ftc_state_find(state, &block->header.proposer);
	uint32		nleaves = state->nmembers + 2;
	FtcHash    *leaves = palloc(nleaves * sizeof(FtcHash));
	uint8		bytes[FTC_MEMBER_LEAF_MAX];
	FtcHash		path[FTC_PROOF_MAX];
	uint32		index;
	int			n;

	need_sound(proposer != NULL, "the state", &block->id);
	index = (uint32) (proposer - state->members) + 2;
	for (uint32 i = 0; i < nleaves; i++)
		leaves[i] = ftc_state_leaf_hash(state, i);
	put_bytes(json, names->header, block->block.header);
	put_bytes(json, names->signature, ftc_slice(block->block.signature.b, FTC_SIGNATURE_LEN));
	put_bytes(json, names->member, ftc_slice(bytes, ftc_member_leaf_encode(proposer, bytes)));
	put_number(json, names->member_index, index);
	put_number(json, names->members, nleaves);
	n = ftc_merkle_inclusion(leaves, nleaves, index, path);
	need_sound(ftc_merkle_verify_inclusion(&leaves[index], index, nleaves, path, n, &block->header.state) == FTC_OK,
			   "the state", &block->id);
	put_path(json, names->state_path, path, n);
}

static Datum
array_of_heights(const uint64 *heights, int n)
{
	Datum		elements[FTC_PROOF_MAX];

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum((int64) heights[i]);
	return PointerGetDatum(construct_array(elements, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* A row of points_load: the block as a leaf of the history. */
static bool
read_point(uint64 row, FtcMerklePoint *point)
{
	FtcHeader	header;
	FtcTip		tip;

	point->leaf = ftc_hash_value(row, 1);
	if (ftc_header_decode(&header, ftc_slice_value(row, 2)) != FTC_OK ||
		ftc_tip_decode(&tip, &header, ftc_slice_value(row, 3)) != FTC_OK)
		return false;
	point->before = tip.history;
	return true;
}

/*
 * Where a block is in the history of the head.  Each block keeps the frontier of
 * the history up to itself, so a few blocks tell: nothing is hashed again.
 */
static int
history_path(const FtcStored *head, const FtcHash *id, uint64 height, FtcHash *path)
{
	FtcMerklePoint *points;
	uint64		heights[FTC_PROOF_MAX];
	uint64		n = head->header.height;
	uint64		rows;
	int			npoints;
	int			len;

	if (height >= n)
		return 0;
	npoints = ftc_merkle_points(n, height, heights);
	points = palloc0(npoints * sizeof(FtcMerklePoint));
	rows = ftc_run(&points_load, Int32GetDatum(head->chain), array_of_heights(heights, npoints));
	for (uint64 row = 0; row < rows; row++)
		for (int i = 0; i < npoints; i++)
			if (heights[i] == (uint64) DatumGetInt64(ftc_value(row, 0)))
				need_sound(read_point(row, &points[i]), "the parent", &points[i].leaf);
	len = ftc_merkle_path(n, height, points, path);
	need_sound(len >= 0 &&
			   ftc_merkle_verify_inclusion(id, height, n, path, len, &head->header.history) == FTC_OK,
			   "the history", &head->id);
	return len;
}

/* The head of the chain, whose history has every earlier block in it. */
static void
put_head(StringInfo json, const FtcStored *block, const FtcHash *genesis)
{
	FtcStored	head;
	FtcHash		path[FTC_PROOF_MAX];

	ftc_store_load_head(block->chain, &head);
	put_block(json, &ftc_receipt_head, &head);
	put_path(json, "history_path", path, history_path(&head, &block->id, block->header.height, path));
	put_path(json, "genesis_path", path, history_path(&head, genesis, 0, path));
}

/* The origin asked for, this database if none is. */
static int32
origin_arg(FunctionCallInfo fcinfo)
{
	FtcHash		member;

	if (PG_ARGISNULL(2))
		return ftc_identity_origin();
	member = ftc_arg_hash(PG_GETARG_DATUM(2), "origin");
	return ftc_origin_find(&member);
}

static char *
make_receipt(const FtcChain *chain, const Place *place, int64 seq)
{
	FtcStored	block;
	StringInfoData json;

	need_sound(ftc_store_load(&place->block, &block), "the row", &place->block);
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"version\":1");
	put_bytes(&json, "genesis", ftc_slice(chain->genesis.b, FTC_HASH_LEN));
	put_place(&json, &block, place, seq);
	put_block(&json, &ftc_receipt_block, &block);
	put_head(&json, &block, &chain->genesis);
	appendStringInfoChar(&json, '}');
	return json.data;
}

Datum
ftchain_receipt(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	Place		place;
	text	   *result = NULL;
	int32		origin;
	int64		seq;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("chain and seq must not be null"));
	seq = PG_GETARG_INT64(1);
	ftc_enter(&scope);
	ftc_chain_need(&chain, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	origin = origin_arg(fcinfo);
	/* the chain may go on meanwhile, or take another branch */
	ftc_freeze();
	if (find_entry(&chain, origin, seq, PG_ARGISNULL(3) ? 0 : PG_GETARG_INT64(3), &place))
	{
		char	   *json;

		ftc_safety_need(&chain, &place.block, seq);
		json = make_receipt(&chain, &place, seq);

		MemoryContextSwitchTo(scope.caller);
		result = cstring_to_text(json);
	}
	ftc_thaw();
	ftc_leave(&scope);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(result);
}

/*-------------------------------------------------------------------------
 *
 * receipt.c
 *	  Making receipts: proof that an entry is in a block of a chain.
 *
 * The format is told in receipt.h, the checking is in receipt_check.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/base64.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "branch.h"
#include "chain.h"
#include "core/entry.h"
#include "core/header.h"
#include "core/merkle.h"
#include "core/state.h"
#include "datum.h"
#include "identity.h"
#include "receipt.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_receipt);

static FtcStmt find_entry = {
	.sql = "SELECT e.id, m.block, m.height FROM ftchain.entry e"
	" JOIN ftchain.bundle u ON u.chain = e.chain AND u.ids @> e.id"
	" JOIN ftchain.block_bundle b ON b.bundle = u.id"
	" JOIN ftchain.main_chain m ON m.block = b.block"
	" WHERE e.chain = $1 AND e.origin = $2 AND e.seq = $3 AND ($4 = 0 OR e.incarnation = $4)"
	" ORDER BY e.incarnation DESC LIMIT 1",
	.nargs = 4,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID},
};

static FtcStmt entry_exists = {
	.sql = "SELECT FROM ftchain.entry e WHERE e.chain = $1 AND e.origin = $2 AND e.seq = $3"
	" AND ($4 = 0 OR e.incarnation = $4) LIMIT 1",
	.nargs = 4,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID},
};

static FtcStmt main_ids = {
	.sql = "SELECT block FROM ftchain.main_chain WHERE chain = $1 AND height < $2 ORDER BY height",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

const FtcReceiptBlockNames ftc_receipt_block = {
	.header = "header",.signature = "signature",.member = "member",
	.member_index = "member_index",.members = "members",.state_path = "state_path"
};

const FtcReceiptBlockNames ftc_receipt_head = {
	.header = "head",.signature = "head_signature",.member = "head_member",
	.member_index = "head_member_index",.members = "head_members",.state_path = "head_state_path"
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

/* All leaves of a body tree, from the manifest and what the bundles keep. */
static FtcHash *
body_leaves(const FtcStored *block, const FtcStoredBundle *bundles, int n)
{
	FtcHash    *leaves = palloc_extended(block->header.leaves * sizeof(FtcHash), MCXT_ALLOC_HUGE);
	FtcHash    *at = leaves;
	FtcManifest manifest;
	FtcReader	reader;

	if (ftc_manifest_decode(&manifest, block->block.manifest) != FTC_OK ||
		(int) manifest.nbundles != n ||
		manifest.ncontrols + manifest.nbundles + manifest.entries != block->header.leaves)
		ftc_refuse(FTC_BAD_BODY, "stored block");
	reader = manifest.controls;
	for (uint32 i = 0; i < manifest.ncontrols; i++)
		*at++ = ftc_merkle_leaf(ftc_get_blob(&reader));
	reader = manifest.bundles;
	for (uint32 i = 0; i < manifest.nbundles; i++)
	{
		*at++ = ftc_merkle_leaf(ftc_get_blob(&reader));
		(void) ftc_get_slice(&reader, FTC_SIGNATURE_LEN);
	}
	for (int i = 0; i < n; i++)
	{
		if (!bundles[i].held || bundles[i].leaves.len != bundles[i].count * sizeof(FtcHash))
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("the body of block %s is not held whole here", ftc_hash_hex(&block->id)));
		memcpy(at, bundles[i].leaves.data, bundles[i].leaves.len);
		at += bundles[i].count;
	}
	return leaves;
}

/* Leaf index of an entry in its block; -1 if the block does not hold it. */
static int64
leaf_index(const FtcStored *block, const FtcStoredBundle *bundles, int n, int64 id)
{
	int64		index = block->header.leaves;

	for (int i = 0; i < n; i++)
		index -= bundles[i].count;
	for (int i = 0; i < n; i++)
	{
		FtcIds		ids = ftc_ids_from_datum(bundles[i].ids);

		for (int j = 0; j < ids.n; j++)
		{
			if (ids.ranges[j].first <= (uint64) id && (uint64) id <= ids.ranges[j].last)
				return index + (int64) ((uint64) id - ids.ranges[j].first);
			index += (int64) (ids.ranges[j].last - ids.ranges[j].first + 1);
		}
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
keep_entry(void *arg, int64 id, const FtcEntry *entry)
{
	Found	   *found = arg;
	MemoryContext outer = MemoryContextSwitchTo(found->context);
	uint8	   *leaf = palloc(FTC_ENTRY_LEAF_MAX);
	uint8	   *payload = palloc(Max(entry->payload.len, 1));
	uint8	   *salt = palloc(Max(entry->salt.len, 1));

	found->leaf = ftc_slice(leaf, ftc_entry_leaf_encode(entry, leaf));
	memcpy(payload, entry->payload.data, entry->payload.len);
	memcpy(salt, entry->salt.data, entry->salt.len);
	found->entry.payload = ftc_slice(payload, entry->payload.len);
	found->entry.salt = ftc_slice(salt, entry->salt.len);
	MemoryContextSwitchTo(outer);
	return false;
}

static void
put_entry(StringInfo json, const FtcStored *block, int64 id)
{
	FtcStoredBundle *bundles;
	int			n = ftc_store_bundles(&block->id, &bundles);
	FtcHash    *leaves = body_leaves(block, bundles, n);
	int64		index = leaf_index(block, bundles, n, id);
	FtcHash		path[FTC_PROOF_MAX];
	Found		found = {.context = CurrentMemoryContext};
	FtcIds		ids;

	ftc_ids_init(&ids);
	ftc_ids_add(&ids, id, id);
	ftc_store_scan(block->chain, &ids, keep_entry, &found);
	if (index < 0 || found.leaf.len == 0)
		ftc_refuse(FTC_BAD_BODY, "stored block");
	put_bytes(json, "leaf", found.leaf);
	put_number(json, "leaf_index", (uint64) index);
	put_path(json, "body_path", path,
			 ftc_merkle_inclusion(leaves, block->header.leaves, (uint64) index, path));
	put_bytes(json, "salt", found.entry.salt);
	put_bytes(json, "payload", found.entry.payload);
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

	if (proposer == NULL)
		ftc_refuse(FTC_NOT_A_MEMBER, "stored block");
	index = (uint32) (proposer - state->members) + 2;
	for (uint32 i = 0; i < nleaves; i++)
		leaves[i] = ftc_state_leaf_hash(state, i);
	put_bytes(json, names->header, block->block.header);
	put_bytes(json, names->signature, ftc_slice(block->block.signature.b, FTC_SIGNATURE_LEN));
	put_bytes(json, names->member, ftc_slice(bytes, ftc_member_leaf_encode(proposer, bytes)));
	put_number(json, names->member_index, index);
	put_number(json, names->members, nleaves);
	put_path(json, names->state_path, path, ftc_merkle_inclusion(leaves, nleaves, index, path));
}

/* The head of the chain, whose history has every earlier block in it. */
static void
put_head(StringInfo json, const FtcStored *block)
{
	FtcStored	head;
	FtcHash		path[FTC_PROOF_MAX];
	FtcHash    *ids = NULL;
	uint64		n;
	int			len = 0;

	ftc_store_load_head(block->chain, &head);
	n = ftc_run(&main_ids, Int32GetDatum(block->chain), Int64GetDatum((int64) head.header.height));
	if (n != head.header.height)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("the main chain has gaps"),
				errhint("See ftchain.verify()."));
	ids = palloc_extended(Max(n, 1) * sizeof(FtcHash), MCXT_ALLOC_HUGE);
	for (uint64 i = 0; i < n; i++)
		ids[i] = ftc_hash_value(i, 0);
	put_block(json, &ftc_receipt_head, &head);
	if (head.header.height > block->header.height)
		len = ftc_merkle_inclusion(ids, n, block->header.height, path);
	put_path(json, "history_path", path, len);
	len = n > 0 ? ftc_merkle_inclusion(ids, n, 0, path) : 0;
	put_path(json, "genesis_path", path, len);
}

/* The origin asked for, this database if none is. */
static int32
origin_arg(FunctionCallInfo fcinfo)
{
	FtcIdentity self;
	FtcHash		member;

	if (PG_ARGISNULL(2))
	{
		ftc_identity_need(&self);
		return self.origin;
	}
	member = ftc_arg_hash(PG_GETARG_DATUM(2), "origin");
	return ftc_origin_find(&member);
}

Datum
ftchain_receipt(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	FtcStored	block;
	FtcHash		id;
	StringInfoData json;
	text	   *result = NULL;
	int32		origin;
	int64		seq;
	int64		incarnation = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT64(3);

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("chain and seq must not be null"));
	seq = PG_GETARG_INT64(1);
	ftc_enter(&scope);
	ftc_chain_need(&chain, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	origin = origin_arg(fcinfo);
	if (ftc_run(&find_entry, Int32GetDatum(chain.id), Int32GetDatum(origin), Int64GetDatum(seq),
				Int64GetDatum(incarnation)) > 0)
	{
		int64		entry = DatumGetInt64(ftc_value(0, 0));

		id = ftc_hash_value(0, 1);
		if (!ftc_store_load(&id, &block))
			ftc_refuse(FTC_UNKNOWN_PARENT, "main chain");
		initStringInfo(&json);
		appendStringInfoString(&json, "{\"version\":1");
		put_bytes(&json, "genesis", ftc_slice(chain.genesis.b, FTC_HASH_LEN));
		put_entry(&json, &block, entry);
		put_block(&json, &ftc_receipt_block, &block);
		put_head(&json, &block);
		appendStringInfoChar(&json, '}');
		MemoryContextSwitchTo(scope.caller);
		result = cstring_to_text_with_len(json.data, json.len);
	}
	else if (ftc_run(&entry_exists, Int32GetDatum(chain.id), Int32GetDatum(origin), Int64GetDatum(seq),
					 Int64GetDatum(incarnation)) == 0)
		ereport(ERROR,
				errcode(ERRCODE_NO_DATA_FOUND),
				errmsg("chain \"%s\" has no entry %lld of that origin here", chain.name, (long long) seq));
	ftc_leave(&scope);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(result);
}

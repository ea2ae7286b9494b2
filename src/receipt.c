/*-------------------------------------------------------------------------
 *
 * receipt.c
 *	  Receipts: proof that an entry is in a block of a chain.
 *
 * A receipt is json.  Hashes and hashed bytes are base64, 64-bit numbers are
 * strings, since many readers of json know no integers of that size.
 *
 *		version		1
 *		genesis		id of the chain
 *		header, signature		of the block
 *		leaf		bytes of the entry's leaf
 *		leaf_index, body_path	its inclusion in header.body
 *		member		leaf bytes of the proposer in the state
 *		member_index, members, state_path	its inclusion in header.state
 *		salt, payload			what the leaf's payload hash is of
 *		head		header of a later block, or of this one
 *		history_path			inclusion of the block's id in head's history
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/base64.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonfuncs.h"
#include "utils/timestamp.h"

#include "branch.h"
#include "chain.h"
#include "clock.h"
#include "core/entry.h"
#include "core/header.h"
#include "core/merkle.h"
#include "core/sign.h"
#include "core/state.h"
#include "datum.h"
#include "identity.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_receipt);
PG_FUNCTION_INFO_V1(ftchain_check_receipt);

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

/* ----------------------------------------------------------------
 *		Making
 * ----------------------------------------------------------------
 */

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

static void
put_proposer(StringInfo json, const FtcStored *block)
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
	put_bytes(json, "member", ftc_slice(bytes, ftc_member_leaf_encode(proposer, bytes)));
	put_number(json, "member_index", index);
	put_number(json, "members", nleaves);
	put_path(json, "state_path", path, ftc_merkle_inclusion(leaves, nleaves, index, path));
}

/* The head of the chain, whose history has every earlier block in it. */
static void
put_head(StringInfo json, const FtcStored *block)
{
	FtcStored	head;
	FtcHash		path[FTC_PROOF_MAX];
	FtcHash    *ids;
	uint64		n;
	int			len = 0;

	ftc_store_load_head(block->chain, &head);
	if (head.header.height > block->header.height)
	{
		n = ftc_run(&main_ids, Int32GetDatum(block->chain), Int64GetDatum((int64) head.header.height));
		if (n != head.header.height)
			ereport(ERROR,
					errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("the main chain has gaps"),
					errhint("See ftchain.verify()."));
		ids = palloc_extended(n * sizeof(FtcHash), MCXT_ALLOC_HUGE);
		for (uint64 i = 0; i < n; i++)
			ids[i] = ftc_hash_value(i, 0);
		len = ftc_merkle_inclusion(ids, n, block->header.height, path);
	}
	put_bytes(json, "head", head.block.header);
	put_path(json, "history_path", path, len);
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
		put_bytes(&json, "header", block.block.header);
		put_bytes(&json, "signature", ftc_slice(block.block.signature.b, FTC_SIGNATURE_LEN));
		put_entry(&json, &block, entry);
		put_proposer(&json, &block);
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

/* ----------------------------------------------------------------
 *		Checking
 * ----------------------------------------------------------------
 */

/* A receipt as read. */
typedef struct Receipt
{
	FtcHash		genesis;
	FtcSlice	header_bytes;
	FtcSignature signature;
	FtcSlice	leaf;
	uint64		leaf_index;
	FtcHash		body_path[FTC_PROOF_MAX];
	int			body_len;
	FtcSlice	salt;
	FtcSlice	payload;
	FtcSlice	member;
	uint64		member_index;
	uint64		members;
	FtcHash		state_path[FTC_PROOF_MAX];
	int			state_len;
	FtcSlice	head_bytes;
	FtcHash		history_path[FTC_PROOF_MAX];
	int			history_len;

	FtcHeader	header;
	FtcHeader	head;
	FtcHash		id;
	FtcEntry	entry;
} Receipt;

/* Any malformed part makes the whole a malformed receipt. */
static text *
get_text(text *json, const char *name, bool *ok)
{
	LOCAL_FCINFO(fcinfo, 2);
	Datum		value;

	InitFunctionCallInfoData(*fcinfo, NULL, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = PointerGetDatum(json);
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = CStringGetTextDatum(name);
	fcinfo->args[1].isnull = false;
	value = json_object_field_text(fcinfo);
	if (fcinfo->isnull)
	{
		*ok = false;
		return cstring_to_text("");
	}
	return DatumGetTextPP(value);
}

static FtcSlice
decode_base64(const char *text, int len, bool *ok)
{
	int			size = pg_b64_dec_len(len) + 1;
	char	   *bytes = palloc(size);
	int			n = len == 0 ? 0 : pg_b64_decode(text, len, (void *) bytes, size);

	if (n < 0)
	{
		*ok = false;
		n = 0;
	}
	return ftc_slice(bytes, n);
}

static FtcSlice
get_bytes(text *json, const char *name, bool *ok)
{
	text	   *value = get_text(json, name, ok);

	return decode_base64(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), ok);
}

static void
get_fixed(text *json, const char *name, void *into, size_t len, bool *ok)
{
	FtcSlice	bytes = get_bytes(json, name, ok);

	if (bytes.len != len)
		*ok = false;
	else
		memcpy(into, bytes.data, len);
}

static uint64
get_number(text *json, const char *name, bool *ok)
{
	char	   *digits = text_to_cstring(get_text(json, name, ok));
	char	   *end;
	uint64		number;

	errno = 0;
	number = strtoull(digits, &end, 10);
	if (digits[0] < '0' || digits[0] > '9' || *end != '\0' || errno != 0)
		*ok = false;
	return number;
}

/* A list of hashes: ["...", ...], as text, without spaces or escapes to mind. */
static int
get_path(text *json, const char *name, FtcHash *path, bool *ok)
{
	char	   *list = text_to_cstring(get_text(json, name, ok));
	char	   *at = strchr(list, '[');
	int			n = 0;

	while (at != NULL && (at = strchr(at, '"')) != NULL)
	{
		char	   *end = strchr(at + 1, '"');
		FtcSlice	bytes;

		if (end == NULL || n == FTC_PROOF_MAX)
		{
			*ok = false;
			return 0;
		}
		bytes = decode_base64(at + 1, (int) (end - at - 1), ok);
		if (bytes.len != FTC_HASH_LEN)
		{
			*ok = false;
			return 0;
		}
		memcpy(path[n++].b, bytes.data, FTC_HASH_LEN);
		at = end + 1;
	}
	return n;
}

static bool
read_receipt(text *json, Receipt *r)
{
	bool		ok = true;

	if (strcmp(text_to_cstring(get_text(json, "version", &ok)), "1") != 0)
		return false;
	get_fixed(json, "genesis", r->genesis.b, FTC_HASH_LEN, &ok);
	r->header_bytes = get_bytes(json, "header", &ok);
	get_fixed(json, "signature", r->signature.b, FTC_SIGNATURE_LEN, &ok);
	r->leaf = get_bytes(json, "leaf", &ok);
	r->leaf_index = get_number(json, "leaf_index", &ok);
	r->body_len = get_path(json, "body_path", r->body_path, &ok);
	r->salt = get_bytes(json, "salt", &ok);
	r->payload = get_bytes(json, "payload", &ok);
	r->member = get_bytes(json, "member", &ok);
	r->member_index = get_number(json, "member_index", &ok);
	r->members = get_number(json, "members", &ok);
	r->state_len = get_path(json, "state_path", r->state_path, &ok);
	r->head_bytes = get_bytes(json, "head", &ok);
	r->history_len = get_path(json, "history_path", r->history_path, &ok);
	return ok;
}

/* Why the entry is not shown to be in the block; NULL if it is. */
static const char *
check_entry(Receipt *r)
{
	FtcHash		hash = ftc_merkle_leaf(r->leaf);

	if (ftc_entry_leaf_decode(&r->entry, r->leaf) != FTC_OK)
		return "malformed leaf";
	if (ftc_merkle_verify_inclusion(&hash, r->leaf_index, r->header.leaves, r->body_path,
									r->body_len, &r->header.body) != FTC_OK)
		return "the entry is not in the block";
	hash = ftc_payload_hash(r->salt, r->payload);
	if (r->salt.len != FTC_SALT_LEN || !ftc_hash_equal(&hash, &r->entry.payload_hash))
		return "the payload is not that of the entry";
	return NULL;
}

static const char *
check_proposer(const Receipt *r)
{
	FtcHash		hash = ftc_merkle_leaf(r->member);
	FtcMember	member;

	if (ftc_member_leaf_decode(&member, r->member) != FTC_OK)
		return "malformed member";
	if (!ftc_hash_equal(&member.id, &r->header.proposer) ||
		ftc_merkle_verify_inclusion(&hash, r->member_index, r->members, r->state_path,
									r->state_len, &r->header.state) != FTC_OK)
		return "the proposer is not a member in the block's state";
	if (ftc_verify(&member.key, FTC_DOMAIN_BLOCK, &r->genesis, &r->id, &r->signature) != FTC_OK)
		return "wrong signature of the block";
	if (r->header.consensus == FTC_CONSENSUS_POW && r->header.height > 0 &&
		!ftc_pow_meets(&r->id, r->header.bits))
		return "too little work";
	return NULL;
}

static const char *
check_head(const Receipt *r)
{
	if (r->head.height == r->header.height)
	{
		FtcHash		id = ftc_header_id(&r->head);

		return ftc_hash_equal(&id, &r->id) && r->history_len == 0 ? NULL : "the head is another block";
	}
	if (r->head.height < r->header.height ||
		ftc_merkle_verify_inclusion(&r->id, r->header.height, r->head.height, r->history_path,
									r->history_len, &r->head.history) != FTC_OK)
		return "the block is not in the history of the head";
	return NULL;
}

static const char *
check_receipt(text *json, const FtcHash *genesis, Receipt *r)
{
	const char *why;

	if (!read_receipt(json, r) ||
		ftc_header_decode(&r->header, r->header_bytes) != FTC_OK ||
		ftc_header_decode(&r->head, r->head_bytes) != FTC_OK)
		return "malformed receipt";
	r->id = ftc_header_id(&r->header);
	if (genesis != NULL && !ftc_hash_equal(genesis, &r->genesis))
		return "of another chain";
	why = check_entry(r);
	if (why == NULL)
		why = check_proposer(r);
	if (why == NULL)
		why = check_head(r);
	return why;
}

Datum
ftchain_check_receipt(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	Receipt    *r = palloc0(sizeof(Receipt));
	FtcHash		genesis = {{0}};
	const char *why;
	Datum		values[9] = {0};
	bool		nulls[9];

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (!PG_ARGISNULL(1))
		genesis = ftc_arg_hash(PG_GETARG_DATUM(1), "genesis");
	why = check_receipt(PG_GETARG_TEXT_PP(0), PG_ARGISNULL(1) ? NULL : &genesis, r);

	memset(nulls, why != NULL, sizeof(nulls));
	nulls[0] = false;
	nulls[1] = why == NULL;
	values[0] = BoolGetDatum(why == NULL);
	if (why != NULL)
		values[1] = CStringGetTextDatum(why);
	else
	{
		values[2] = ftc_hash_datum(&r->genesis);
		values[3] = ftc_hash_datum(&r->id);
		values[4] = Int64GetDatum((int64) r->header.height);
		values[5] = TimestampTzGetDatum(ftc_clock_to_timestamp(r->entry.time));
		values[6] = ftc_hash_datum(&r->entry.origin);
		values[7] = Int64GetDatum((int64) r->entry.incarnation);
		values[8] = Int64GetDatum((int64) r->entry.seq);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

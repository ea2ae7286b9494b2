/*-------------------------------------------------------------------------
 *
 * receipt_check.c
 *	  Checking receipts: from their own bytes, without any table.
 *
 * A receipt comes from anywhere.  Whatever is wrong with it is an answer, not an
 * error.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/base64.h"
#include "common/jsonapi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonfuncs.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "compat.h"
#include "core/entry.h"
#include "core/header.h"
#include "core/merkle.h"
#include "core/pow.h"
#include "core/sign.h"
#include "core/state.h"
#include "datum.h"
#include "receipt.h"

PG_FUNCTION_INFO_V1(ftchain_check_receipt);

/* ----------------------------------------------------------------
 *		Reading
 * ----------------------------------------------------------------
 */

typedef struct Path
{
	FtcHash		hashes[FTC_PROOF_MAX];
	int			n;
} Path;

/* A field: a string, or a list of hashes. */
typedef struct Field
{
	const char *name;
	bool		is_path;
	bool		seen;
	char	   *text;			/* of a string, or of a number */
	Path	   *path;
} Field;

typedef struct Parse
{
	Field	   *fields;
	int			n;
	Field	   *current;		/* NULL: one that we do not know */
	int			depth;			/* of objects and arrays that are open */
	bool		bad;
} Parse;

static FtcSlice
decode_base64(const char *text, bool *ok)
{
	int			len = (int) strlen(text);
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

static FTC_JSON_ACTION
on_object_start(void *arg)
{
	Parse	   *p = arg;

	if (p->depth++ > 0 && p->current != NULL)
		p->bad = true;
	FTC_JSON_DONE;
}

static FTC_JSON_ACTION
on_array_start(void *arg)
{
	Parse	   *p = arg;
	int			depth = p->depth++;

	if (depth == 0 || (p->current != NULL && (depth > 1 || !p->current->is_path)))
		p->bad = true;
	FTC_JSON_DONE;
}

static FTC_JSON_ACTION
on_end(void *arg)
{
	Parse	   *p = arg;

	p->depth--;
	FTC_JSON_DONE;
}

static FTC_JSON_ACTION
on_field(void *arg, char *name, bool isnull)
{
	Parse	   *p = arg;

	if (p->depth == 1)
	{
		p->current = NULL;
		for (int i = 0; i < p->n; i++)
			if (strcmp(p->fields[i].name, name) == 0)
			{
				p->current = &p->fields[i];
				p->bad |= p->fields[i].seen;
				p->fields[i].seen = true;
			}
	}
	FTC_JSON_DONE;
}

static void
add_hash(Parse *p, const char *text)
{
	Path	   *path = p->current->path;
	bool		ok = true;
	FtcSlice	bytes = decode_base64(text, &ok);

	if (!ok || bytes.len != FTC_HASH_LEN || path->n == FTC_PROOF_MAX)
		p->bad = true;
	else
		memcpy(path->hashes[path->n++].b, bytes.data, FTC_HASH_LEN);
}

static FTC_JSON_ACTION
on_scalar(void *arg, char *token, JsonTokenType type)
{
	Parse	   *p = arg;

	if (p->depth == 0)
		p->bad = true;			/* no object at all */
	else if (p->current != NULL)
	{
		if (p->depth == 2 && type == JSON_TOKEN_STRING)
			add_hash(p, token);
		else if (p->depth == 1 && !p->current->is_path &&
				 (type == JSON_TOKEN_STRING || type == JSON_TOKEN_NUMBER))
			p->current->text = token;
		else
			p->bad = true;
	}
	FTC_JSON_DONE;
}

static bool
parse(text *json, Field *fields, int n)
{
	Parse		p = {.fields = fields,.n = n};
	JsonSemAction actions = {
		.semstate = &p,.object_start = on_object_start,.object_end = on_end,.array_start = on_array_start,
		.array_end = on_end,.object_field_start = on_field,.scalar = on_scalar
	};

	for (int i = 0; i < n; i++)
		if (fields[i].is_path)
			fields[i].path = palloc0(sizeof(Path));
	if (pg_parse_json(ftc_json_lexer(VARDATA_ANY(json), (int) VARSIZE_ANY_EXHDR(json), true), &actions) != JSON_SUCCESS || p.bad)
		return false;
	for (int i = 0; i < n; i++)
		if (!fields[i].seen || (!fields[i].is_path && fields[i].text == NULL))
			return false;
	return true;
}

/* A block that a receipt speaks of. */
typedef struct Block
{
	FtcSlice	header_bytes;
	FtcSignature signature;
	FtcSlice	member;
	uint64		member_index;
	uint64		members;
	Path	   *state_path;

	FtcHeader	header;
	FtcHash		id;
} Block;

/* A receipt as read. */
typedef struct Receipt
{
	FtcHash		genesis;
	FtcSlice	leaf;
	uint64		leaf_index;
	Path	   *bundle_path;
	FtcSlice	salt;
	FtcSlice	payload;
	FtcSlice	bundle_head;
	uint64		bundle_index;
	Path	   *body_path;
	Block		block;
	Block		head;
	Path	   *history_path;
	Path	   *genesis_path;

	FtcEntry	entry;
	FtcBundle	bundle;
} Receipt;

/* The fields in the order in which they are taken. */
typedef struct Taking
{
	Field	   *at;
	bool		ok;
} Taking;

static FtcSlice
take_bytes(Taking *t)
{
	return decode_base64((t->at++)->text, &t->ok);
}

static void
take_fixed(Taking *t, void *into, size_t len)
{
	FtcSlice	bytes = take_bytes(t);

	if (bytes.len != len)
		t->ok = false;
	else
		memcpy(into, bytes.data, len);
}

static uint64
take_number(Taking *t)
{
	const char *digits = (t->at++)->text;
	char	   *end;
	uint64		number;

	errno = 0;
	number = strtoull(digits, &end, 10);
	if (digits[0] < '0' || digits[0] > '9' || *end != '\0' || errno != 0 ||
		(digits[0] == '0' && digits[1] != '\0'))
		t->ok = false;
	return number;
}

static Path *
take_path(Taking *t)
{
	return (t->at++)->path;
}

#define OWN_FIELDS 12			/* that speak of no block */
#define BLOCK_FIELDS 6

static void
name_block(Field *fields, const FtcReceiptBlockNames *names)
{
	const char *const all[BLOCK_FIELDS] = {names->header, names->signature, names->member,
	names->member_index, names->members, names->state_path};

	for (int i = 0; i < BLOCK_FIELDS; i++)
		fields[i].name = all[i];
	fields[BLOCK_FIELDS - 1].is_path = true;
}

static void
take_block(Taking *t, Block *block)
{
	block->header_bytes = take_bytes(t);
	take_fixed(t, block->signature.b, FTC_SIGNATURE_LEN);
	block->member = take_bytes(t);
	block->member_index = take_number(t);
	block->members = take_number(t);
	block->state_path = take_path(t);
	if (t->ok)
		t->ok = ftc_header_decode(&block->header, block->header_bytes) == FTC_OK;
	if (t->ok)
		block->id = ftc_header_id(&block->header);
}

static bool
read_receipt(text *json, Receipt *r)
{
	Field		fields[OWN_FIELDS + 2 * BLOCK_FIELDS] = {
		{.name = "version"}, {.name = "genesis"}, {.name = "leaf"}, {.name = "leaf_index"},
		{.name = "bundle_path",.is_path = true}, {.name = "salt"}, {.name = "payload"},
		{.name = "bundle"}, {.name = "bundle_index"}, {.name = "body_path",.is_path = true},
		{.name = "history_path",.is_path = true}, {.name = "genesis_path",.is_path = true}
	};
	Taking		t = {.at = fields,.ok = true};

	name_block(&fields[OWN_FIELDS], &ftc_receipt_block);
	name_block(&fields[OWN_FIELDS + BLOCK_FIELDS], &ftc_receipt_head);
	if (!parse(json, fields, lengthof(fields)) || take_number(&t) != 1)
		return false;
	take_fixed(&t, r->genesis.b, FTC_HASH_LEN);
	r->leaf = take_bytes(&t);
	r->leaf_index = take_number(&t);
	r->bundle_path = take_path(&t);
	r->salt = take_bytes(&t);
	r->payload = take_bytes(&t);
	r->bundle_head = take_bytes(&t);
	r->bundle_index = take_number(&t);
	r->body_path = take_path(&t);
	r->history_path = take_path(&t);
	r->genesis_path = take_path(&t);
	take_block(&t, &r->block);
	take_block(&t, &r->head);
	return t.ok;
}

/* ----------------------------------------------------------------
 *		Checking: each gives why not, or NULL
 * ----------------------------------------------------------------
 */

int64
ftc_receipt_index(const FtcBundle *bundle, uint64 seq)
{
	int64		index = 0;

	for (uint32 i = 0; i < bundle->nranges; i++)
	{
		FtcRange	range = ftc_bundle_range(bundle, i);

		if (seq < range.first)
			break;
		if (seq <= range.last)
			return index + (int64) (seq - range.first);
		index += (int64) (range.last - range.first + 1);
	}
	return -1;
}

static bool
is_in_tree(FtcSlice leaf, uint64 index, uint64 leaves, const Path *path, const FtcHash *root)
{
	FtcHash		hash = ftc_merkle_leaf(leaf);

	return ftc_merkle_verify_inclusion(&hash, index, leaves, path->hashes, path->n, root) == FTC_OK;
}

/* Is the entry the one that the bundle head names at this place? */
static bool
is_in_bundle(const Receipt *r)
{
	return ftc_hash_equal(&r->entry.origin, &r->bundle.origin) &&
		r->entry.incarnation == r->bundle.incarnation &&
		ftc_receipt_index(&r->bundle, r->entry.seq) == (int64) r->leaf_index &&
		is_in_tree(r->leaf, r->leaf_index, r->bundle.count, r->bundle_path, &r->bundle.root);
}

static const char *
check_entry(Receipt *r)
{
	FtcHash		hash = ftc_payload_hash(r->salt, r->payload);

	if (ftc_entry_leaf_decode(&r->entry, r->leaf) != FTC_OK)
		return "malformed leaf";
	if (ftc_bundle_leaf_decode(&r->bundle, r->bundle_head) != FTC_OK)
		return "malformed bundle";
	if (!is_in_bundle(r))
		return "the entry is not in the bundle";
	if (!is_in_tree(r->bundle_head, r->bundle_index, r->block.header.leaves, r->body_path,
					&r->block.header.body))
		return "the bundle is not in the block";
	if (r->salt.len != FTC_SALT_LEN || !ftc_hash_equal(&hash, &r->entry.payload_hash))
		return "the payload is not that of the entry";
	return NULL;
}

static const char *
check_block(const Block *block, const FtcHash *genesis)
{
	FtcMember	member;

	if (ftc_member_leaf_decode(&member, block->member) != FTC_OK)
		return "malformed member";
	if (!ftc_hash_equal(&member.id, &block->header.proposer) ||
		!is_in_tree(block->member, block->member_index, block->members, block->state_path,
					&block->header.state))
		return "the proposer is not a member in the block's state";
	if (ftc_verify(&member.key, FTC_DOMAIN_BLOCK, genesis, &block->id, &block->signature) != FTC_OK)
		return "wrong signature of the block";
	if (block->header.consensus == FTC_CONSENSUS_POW && block->header.height > 0 &&
		!ftc_pow_meets(&block->id, block->header.bits))
		return "too little work";
	return NULL;
}

/* Is a block of this height what the head says it is? */
static bool
is_in_history(const Block *head, const FtcHash *id, uint64 height, const Path *path)
{
	if (height == head->header.height)
		return ftc_hash_equal(id, &head->id) && path->n == 0;
	return height < head->header.height &&
		ftc_merkle_verify_inclusion(id, height, head->header.height, path->hashes, path->n,
									&head->header.history) == FTC_OK;
}

static const char *
check_receipt(text *json, const FtcHash *genesis, const FtcHash *head, Receipt *r)
{
	const char *why;

	if (!read_receipt(json, r))
		return "malformed receipt";
	if (genesis != NULL && !ftc_hash_equal(genesis, &r->genesis))
		return "of another chain";
	if (head != NULL && !ftc_hash_equal(head, &r->head.id))
		return "of another head";
	why = check_entry(r);
	if (why == NULL)
		why = check_block(&r->block, &r->genesis);
	if (why == NULL)
		why = check_block(&r->head, &r->genesis);
	if (why == NULL && !is_in_history(&r->head, &r->block.id, r->block.header.height, r->history_path))
		why = "the block is not in the history of the head";
	if (why == NULL && !is_in_history(&r->head, &r->genesis, 0, r->genesis_path))
		why = "the genesis is not in the history of the head";
	return why;
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

Datum
ftchain_check_receipt(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	Receipt    *r = palloc0(sizeof(Receipt));
	FtcHash		genesis = ftc_hash_zero;
	FtcHash		head = ftc_hash_zero;
	const char *why;
	Datum		values[11] = {0};
	bool		nulls[11];

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (!PG_ARGISNULL(1))
		genesis = ftc_arg_hash(PG_GETARG_DATUM(1), "genesis");
	if (!PG_ARGISNULL(2))
		head = ftc_arg_hash(PG_GETARG_DATUM(2), "head");
	why = check_receipt(PG_GETARG_TEXT_PP(0), PG_ARGISNULL(1) ? NULL : &genesis,
						PG_ARGISNULL(2) ? NULL : &head, r);

	memset(nulls, why != NULL, sizeof(nulls));
	nulls[0] = false;
	nulls[1] = why == NULL;
	values[0] = BoolGetDatum(why == NULL);
	if (why != NULL)
		values[1] = CStringGetTextDatum(why);
	else
	{
		values[2] = ftc_hash_datum(&r->genesis);
		values[3] = ftc_hash_datum(&r->block.id);
		values[4] = Int64GetDatum((int64) r->block.header.height);
		values[5] = TimestampTzGetDatum(ftc_clock_to_timestamp(r->entry.time));
		values[6] = ftc_hash_datum(&r->entry.origin);
		values[7] = Int64GetDatum((int64) r->entry.incarnation);
		values[8] = Int64GetDatum((int64) r->entry.seq);
		values[9] = ftc_hash_datum(&r->head.id);
		values[10] = Int64GetDatum((int64) r->head.header.height);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

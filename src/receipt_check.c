/*-------------------------------------------------------------------------
 *
 * receipt_check.c
 *	  Checking receipts: from their own bytes, without any table.
 *
 * Here they are read; whether they are good is told by core/receipt.c.
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
#include "core/receipt.h"
#include "datum.h"

PG_FUNCTION_INFO_V1(ftchain_check_receipt);

/* ----------------------------------------------------------------
 *		Reading
 * ----------------------------------------------------------------
 */

/* A field: a string, or a list of hashes. */
typedef struct Field
{
	const char *name;
	bool		is_path;
	bool		seen;
	char	   *text;			/* of a string, or of a number */
	FtcPath    *path;
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
	FtcPath    *path = p->current->path;
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
			fields[i].path = palloc0(sizeof(FtcPath));
	if (pg_parse_json(ftc_json_lexer(VARDATA_ANY(json), (int) VARSIZE_ANY_EXHDR(json), true), &actions) != JSON_SUCCESS || p.bad)
		return false;
	for (int i = 0; i < n; i++)
		if (!fields[i].seen || (!fields[i].is_path && fields[i].text == NULL))
			return false;
	return true;
}

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

static FtcPath *
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
take_block(Taking *t, FtcReceiptBlock *block)
{
	block->header_bytes = take_bytes(t);
	take_fixed(t, block->signature.b, FTC_SIGNATURE_LEN);
	block->member = take_bytes(t);
	block->member_index = take_number(t);
	block->members = take_number(t);
	block->state_path = take_path(t);
}

static bool
read_receipt(text *json, FtcReceipt *r)
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
 *		SQL
 * ----------------------------------------------------------------
 */

Datum
ftchain_check_receipt(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	FtcReceipt *r = palloc0(sizeof(FtcReceipt));
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
	why = FTC_RECEIPT_MALFORMED;
	if (read_receipt(PG_GETARG_TEXT_PP(0), r))
		why = ftc_receipt_check(r, PG_ARGISNULL(1) ? NULL : &genesis, PG_ARGISNULL(2) ? NULL : &head);

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

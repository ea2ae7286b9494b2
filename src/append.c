/*-------------------------------------------------------------------------
 *
 * append.c
 *	  Appending entries: a row in the caller's transaction, nothing shared.
 *
 * Progression of an entry: PENDING (a row) -> BUNDLED (a bundle names its id)
 * -> SEALED (a block of the main chain holds the bundle).  A reorganisation
 * takes it back to BUNDLED without touching it.
 *
 * The transaction's id is assigned before a seq is drawn; so all seqs up to
 * the sequence's value at the time of a snapshot belong to transactions that
 * the snapshot can tell about, and the sealer misses none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "chain.h"
#include "clock.h"
#include "datum.h"
#include "stmt.h"
#include "store.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(ftchain_append);
PG_FUNCTION_INFO_V1(ftchain_append_many);

static FtcStmt entry_put = {
	.sql = "INSERT INTO ftchain.entry (id, seq, xid, \"time\", incarnation, chain, origin, salt, author, kind, payload)"
	" VALUES ($1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
	.nargs = 10,
	.argtypes = {INT8OID, XID8OID, TIMESTAMPTZOID, INT8OID, INT4OID, INT4OID, BYTEAOID, TEXTOID, TEXTOID, JSONOID},
};

static FtcStmt entries_put = {
	.sql = "INSERT INTO ftchain.entry (id, seq, xid, \"time\", incarnation, chain, origin, salt, author, kind, payload)"
	" SELECT e.id, e.id, $1, $2, $3, $4, $5, e.salt, $6, $7, e.payload"
	" FROM unnest($8, $9, $10) AS e (id, salt, payload)",
	.nargs = 10,
	.argtypes = {XID8OID, TIMESTAMPTZOID, INT8OID, INT4OID, INT4OID, TEXTOID, TEXTOID, INT8ARRAYOID, BYTEAARRAYOID, JSONARRAYOID},
};

static void
check_kind(FtcSlice kind)
{
	if (kind.len < 1 || kind.len > FTC_NAME_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("kind has %zu bytes", kind.len),
				errdetail("It may have from 1 to %d bytes.", FTC_NAME_MAX));
}

static void
check_payload(const FtcChainCache *chain, Datum payload)
{
	Size		len = toast_raw_datum_size(payload) - VARHDRSZ;

	if (len > chain->max_payload)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("payload has %zu bytes", (size_t) len),
				errdetail("Chain \"%s\" allows %u.", chain->name, chain->max_payload));
	if (ftc_json_is_too_deep(ftc_datum_slice(payload)))
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("payload is nested too deeply"),
				errdetail("It may have up to %d levels.", FTC_JSON_DEPTH_MAX));
}

static void
need_arguments(FunctionCallInfo fcinfo, const char *function)
{
	for (int i = 0; i < 3; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("arguments of %s must not be null", function));
}

/*
 * The author is who logged in, whatever role is set now.  The names of roles are
 * shared by databases of any encoding; an entry is UTF-8, so bytes that are not
 * are written out.
 */
static Datum
author(void)
{
	char	   *name = GetUserNameFromId(GetSessionUserId(), false);
	StringInfoData escaped;

	if (pg_verify_mbstr(PG_UTF8, name, (int) strlen(name), true))
		return CStringGetTextDatum(name);
	initStringInfo(&escaped);
	for (const char *c = name; *c != '\0'; c++)
		if (IS_HIGHBIT_SET(*c))
			appendStringInfo(&escaped, "\\x%02x", (unsigned char) *c);
		else
			appendStringInfoChar(&escaped, *c);
	return CStringGetTextDatum(escaped.data);
}

static Datum
make_salt(void)
{
	uint8		salt[FTC_SALT_LEN];

	if (!pg_strong_random(salt, sizeof(salt)))
		ereport(ERROR,
				errcode(ERRCODE_INTERNAL_ERROR),
				errmsg("could not generate random values"));
	return ftc_slice_datum(ftc_slice(salt, sizeof(salt)));
}

static HeapTuple
identity_tuple(FunctionCallInfo fcinfo, const FtcChainCache *chain, Datum which)
{
	TupleDesc	tupdesc;
	Datum		values[3] = {ftc_hash_datum(&chain->member), Int64GetDatum(chain->incarnation), which};
	bool		nulls[3] = {false, false, false};

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls);
}

Datum
ftchain_append(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChainCache chain;
	Datum		kind;
	Datum		payload;
	FullTransactionId xid;
	int64		id;

	need_arguments(fcinfo, "ftchain.append()");
	payload = PG_GETARG_DATUM(1);
	kind = PG_GETARG_DATUM(2);
	check_kind(ftc_datum_slice(kind));

	chain = *ftc_chain_cached(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	check_payload(&chain, payload);
	ftc_enter_bare(&scope);
	xid = GetTopFullTransactionId();
	id = nextval_internal(chain.sequence, false);
	ftc_run(&entry_put, Int64GetDatum(id), FullTransactionIdGetDatum(xid),
			TimestampTzGetDatum(ftc_clock_timestamp()), Int64GetDatum(chain.incarnation),
			Int32GetDatum(chain.id),
			Int32GetDatum(chain.origin), make_salt(), author(), kind, payload);
	ftc_leave(&scope);

	ftc_worker_note_append(1, toast_raw_datum_size(payload));
	PG_RETURN_DATUM(HeapTupleGetDatum(identity_tuple(fcinfo, &chain, Int64GetDatum(id))));
}

static Datum
array_datum(Datum *elements, int n, Oid type, int len, bool byval, char align)
{
	return PointerGetDatum(construct_array(elements, n, type, len, byval, align));
}

Datum
ftchain_append_many(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChainCache chain;
	FtcIds		ids;
	FullTransactionId xid;
	Datum		kind;
	Datum		seqs;
	Datum	   *payloads;
	Datum	   *id;
	Datum	   *salt;
	bool	   *nulls;
	int64		bytes = 0;
	int			n;

	need_arguments(fcinfo, "ftchain.append_many()");
	kind = PG_GETARG_DATUM(2);
	check_kind(ftc_datum_slice(kind));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), JSONOID, -1, false, TYPALIGN_INT, &payloads, &nulls, &n);

	chain = *ftc_chain_cached(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	ftc_enter(&scope);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("payload %d of %d is null", i + 1, n));
		check_payload(&chain, payloads[i]);
	}
	xid = GetTopFullTransactionId();
	ftc_ids_init(&ids);
	id = palloc(Max(n, 1) * sizeof(Datum));
	salt = palloc(Max(n, 1) * sizeof(Datum));
	for (int i = 0; i < n; i++)
	{
		int64		next = nextval_internal(chain.sequence, false);

		ftc_ids_add(&ids, next, next);
		id[i] = Int64GetDatum(next);
		salt[i] = make_salt();
		bytes += VARSIZE_ANY_EXHDR(DatumGetPointer(payloads[i]));
	}
	if (n > 0)
		ftc_run(&entries_put, FullTransactionIdGetDatum(xid),
				TimestampTzGetDatum(ftc_clock_timestamp()), Int64GetDatum(chain.incarnation),
				Int32GetDatum(chain.id),
				Int32GetDatum(chain.origin), author(), kind,
				array_datum(id, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE),
				array_datum(salt, n, BYTEAOID, -1, false, TYPALIGN_INT),
				PG_GETARG_DATUM(1));
	/* the result must outlive the scope */
	MemoryContextSwitchTo(scope.caller);
	seqs = ftc_ids_datum(&ids);
	ftc_leave(&scope);

	if (n > 0)
		ftc_worker_note_append(n, bytes);
	PG_RETURN_DATUM(HeapTupleGetDatum(identity_tuple(fcinfo, &chain, seqs)));
}

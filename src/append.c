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

#include "alarm.h"
#include "chain.h"
#include "clock.h"
#include "datum.h"
#include "insertion.h"
#include "json.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"

PG_FUNCTION_INFO_V1(ftchain_append);
PG_FUNCTION_INFO_V1(ftchain_append_many);

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

#define SALTS_AT_ONCE 64

/* Random bytes are cheap by the kilobyte only. */
static Datum
make_salt(void)
{
	static uint8 salts[SALTS_AT_ONCE][FTC_SALT_LEN];
	static int	left = 0;

	if (left == 0 && !pg_strong_random(salts, sizeof(salts)))
		ereport(ERROR,
				errcode(ERRCODE_INTERNAL_ERROR),
				errmsg("could not generate random values"));
	left = (left == 0 ? SALTS_AT_ONCE : left) - 1;
	return ftc_slice_datum(ftc_slice(salts[left], FTC_SALT_LEN));
}

/* Entries of one call; the columns that all of them share are set once. */
typedef struct Appending
{
	const FtcChainCache *chain;
	FtcInsertion *into;
	Datum		values[FTC_ENTRY_COLUMNS];
} Appending;

static void
begin_appending(Appending *a, const FtcChainCache *chain, Datum kind, int rows)
{
	Datum	   *values = a->values;

	a->chain = chain;
	/* before any seq is drawn, see above */
	values[FTC_ENTRY_XID] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	a->into = ftc_insertion_begin(ftc_entry_table(chain->entry, RowExclusiveLock), rows, false);
	values[FTC_ENTRY_TIME] = TimestampTzGetDatum(ftc_clock_timestamp());
	values[FTC_ENTRY_INCARNATION] = Int64GetDatum(chain->incarnation);
	values[FTC_ENTRY_CHAIN] = Int32GetDatum(chain->id);
	values[FTC_ENTRY_ORIGIN] = Int32GetDatum(chain->origin);
	values[FTC_ENTRY_AUTHOR] = author();
	values[FTC_ENTRY_KIND] = kind;
}

/* Gives the entry's number, which is its seq. */
static int64
append_one(Appending *a, Datum payload)
{
	static const bool nulls[FTC_ENTRY_COLUMNS] = {false};
	int64		id = nextval_internal(a->chain->sequence, false);
	MemoryContext outer = MemoryContextSwitchTo(ftc_insertion_context(a->into));

	a->values[FTC_ENTRY_ID] = a->values[FTC_ENTRY_SEQ] = Int64GetDatum(id);
	a->values[FTC_ENTRY_SALT] = make_salt();
	a->values[FTC_ENTRY_PAYLOAD] = payload;
	MemoryContextSwitchTo(outer);
	ftc_insertion_add(a->into, a->values, nulls);
	return id;
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

/*
 * What the function gives, looked up once in a session: that costs more than
 * putting a short entry into an index.
 */
static TupleDesc
result_desc(FunctionCallInfo fcinfo, TupleDesc *known)
{
	MemoryContext outer;
	TupleDesc	found;

	if (*known != NULL)
		return *known;
	outer = MemoryContextSwitchTo(TopMemoryContext);
	if (get_call_result_type(fcinfo, NULL, &found) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	*known = BlessTupleDesc(found);
	MemoryContextSwitchTo(outer);
	return *known;
}

static Datum
identity_tuple(TupleDesc tupdesc, const FtcChainCache *chain, Datum which)
{
	Datum		values[3] = {ftc_hash_datum(&chain->member), Int64GetDatum(chain->incarnation), which};
	bool		nulls[3] = {false, false, false};

	return HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls));
}

Datum
ftchain_append(PG_FUNCTION_ARGS)
{
	static TupleDesc result = NULL;
	Appending	a;
	FtcChainCache chain;
	Datum		kind;
	Datum		payload;
	int64		id;

	need_arguments(fcinfo, "ftchain.append()");
	PreventCommandDuringRecovery("ftchain.append()");
	PreventCommandIfReadOnly("ftchain.append()");
	payload = PG_GETARG_DATUM(1);
	kind = PG_GETARG_DATUM(2);
	check_kind(ftc_datum_slice(kind));

	chain = *ftc_chain_cached(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (chain.stopped)
		ftc_alarm_refuse(chain.name);
	check_payload(&chain, payload);
	begin_appending(&a, &chain, kind, 1);
	id = append_one(&a, payload);
	ftc_insertion_end(a.into);

	ftc_wake_note_append(1, toast_raw_datum_size(payload));
	PG_RETURN_DATUM(identity_tuple(result_desc(fcinfo, &result), &chain, Int64GetDatum(id)));
}

Datum
ftchain_append_many(PG_FUNCTION_ARGS)
{
	static TupleDesc result = NULL;
	Appending	a;
	FtcChainCache chain;
	FtcIds		ids;
	Datum		kind;
	Datum	   *payloads;
	bool	   *nulls;
	int64		bytes = 0;
	int			n;

	need_arguments(fcinfo, "ftchain.append_many()");
	PreventCommandDuringRecovery("ftchain.append_many()");
	PreventCommandIfReadOnly("ftchain.append_many()");
	kind = PG_GETARG_DATUM(2);
	check_kind(ftc_datum_slice(kind));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), JSONOID, -1, false, TYPALIGN_INT, &payloads, &nulls, &n);

	chain = *ftc_chain_cached(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (chain.stopped)
		ftc_alarm_refuse(chain.name);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("payload %d of %d is null", i + 1, n));
		check_payload(&chain, payloads[i]);
	}
	ftc_ids_init(&ids);
	if (n > 0)
		begin_appending(&a, &chain, kind, n);
	for (int i = 0; i < n; i++)
	{
		int64		id = append_one(&a, payloads[i]);

		ftc_ids_add(&ids, id, id);
		bytes += VARSIZE_ANY_EXHDR(DatumGetPointer(payloads[i]));
		CHECK_FOR_INTERRUPTS();
	}
	if (n > 0)
	{
		ftc_insertion_end(a.into);
		ftc_wake_note_append(n, bytes);
	}
	PG_RETURN_DATUM(identity_tuple(result_desc(fcinfo, &result), &chain, ftc_ids_datum(&ids)));
}

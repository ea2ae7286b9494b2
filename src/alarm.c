/*-------------------------------------------------------------------------
 *
 * alarm.c
 *	  What does not go on until an operator has looked at it.
 *
 * Progression of an alarm: RAISED (a row) -> LIFTED (its time is set) -> gone,
 * or raised again by what has come since.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "alarm.h"
#include "datum.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"

PG_FUNCTION_INFO_V1(ftchain_clear_alarm);

/*
 * What an operator has decided about a member and a height is decided.  Damage has
 * neither: what has come since is another.
 */
static FtcStmt alarm_put = {
	.sql = "INSERT INTO ftchain.alarm AS a (chain, kind, member, height, detail) VALUES ($1, $2, $3, $4, $5)"
	" ON CONFLICT (chain, kind) DO UPDATE SET since = now(), member = $3, height = $4, detail = $5, lifted = NULL"
	" WHERE a.lifted IS NOT NULL AND ($3 IS NULL OR a.member IS DISTINCT FROM $3 OR a.height IS DISTINCT FROM $4)",
	.nargs = 5,
	.argtypes = {INT4OID, TEXTOID, BYTEAOID, INT8OID, TEXTOID},
};

static FtcStmt alarm_get = {
	.sql = "SELECT FROM ftchain.alarm WHERE chain = $1 AND kind = $2 AND lifted IS NULL",
	.nargs = 2,
	.argtypes = {INT4OID, TEXTOID},
};

static FtcStmt alarm_lift = {
	.sql = "UPDATE ftchain.alarm SET lifted = now() WHERE chain = $1 AND (kind = $2 OR $2 IS NULL) AND lifted IS NULL"
	" RETURNING kind",
	.nargs = 2,
	.argtypes = {INT4OID, TEXTOID},
};

static FtcStmt alarm_drop = {
	.sql = "DELETE FROM ftchain.alarm WHERE chain = $1 AND kind = $2",
	.nargs = 2,
	.argtypes = {INT4OID, TEXTOID},
};

bool
ftc_alarm_raise(int32 chain, const char *kind, const FtcHash *member, int64 height, const char *detail)
{
	Datum		args[] = {Int32GetDatum(chain), CStringGetTextDatum(kind),
	member == NULL ? (Datum) 0 : ftc_hash_datum(member), Int64GetDatum(height), CStringGetTextDatum(detail)};
	bool		nulls[] = {false, false, member == NULL, height < 0, false};

	if (ftc_stmt_run(&alarm_put, args, nulls) == 0)
		return false;
	ftc_store_incident(chain, "alarm", height, NULL, member, psprintf("%s: %s", kind, detail));
	ftc_chain_invalidate();
	return true;
}

bool
ftc_alarm_holds(int32 chain, const char *kind)
{
	return ftc_run(&alarm_get, Int32GetDatum(chain), CStringGetTextDatum(kind)) > 0;
}

bool
ftc_alarm_stops(int32 chain)
{
	return ftc_alarm_holds(chain, FTC_ALARM_DIVERGENCE) || ftc_alarm_holds(chain, FTC_ALARM_RECOVERY);
}

void
ftc_alarm_forget(int32 chain, const char *kind)
{
	ftc_chain_invalidate();
	ftc_run(&alarm_drop, Int32GetDatum(chain), CStringGetTextDatum(kind));
}

void
ftc_alarm_refuse(const char *chain)
{
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("nothing is written to chain \"%s\"", chain),
			errdetail("It has diverged from that of other members, or is being rebuilt from them: see ftchain.alarms."),
			errhint("An operator has to decide between the branches, and ftchain.clear_alarm() lets this one go on; what is being rebuilt goes on by itself."));
}

static void
need_kind(const char *kind)
{
	if (strcmp(kind, FTC_ALARM_DAMAGE) != 0 && strcmp(kind, FTC_ALARM_DIVERGENCE) != 0 &&
		strcmp(kind, FTC_ALARM_RECOVERY) != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("there is no alarm of kind \"%s\"", kind),
				errhint("The kinds are \"%s\", \"%s\" and \"%s\"; NULL is all of them.",
						FTC_ALARM_DAMAGE, FTC_ALARM_DIVERGENCE, FTC_ALARM_RECOVERY));
}

Datum
ftchain_clear_alarm(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	Datum		args[2];
	bool		nulls[2] = {false, PG_ARGISNULL(1)};
	char	  **kinds;
	uint64		n;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("\"chain\" must not be null"));
	if (!PG_ARGISNULL(1))
		need_kind(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	ftc_enter(&scope);
	ftc_chain_need(&chain, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	args[0] = Int32GetDatum(chain.id);
	args[1] = nulls[1] ? (Datum) 0 : PG_GETARG_DATUM(1);
	n = ftc_stmt_run(&alarm_lift, args, nulls);
	kinds = palloc(Max(n, 1) * sizeof(char *));
	for (uint64 i = 0; i < n; i++)
		kinds[i] = TextDatumGetCString(ftc_value(i, 0));
	for (uint64 i = 0; i < n; i++)
		ftc_store_incident(chain.id, "alarm lifted", -1, NULL, NULL, kinds[i]);
	ftc_chain_invalidate();
	ftc_wake_at_commit(FTC_WAKE_ALL);
	ftc_leave(&scope);
	PG_RETURN_INT64((int64) n);
}

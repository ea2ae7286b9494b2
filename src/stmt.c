/*-------------------------------------------------------------------------
 *
 * stmt.c
 *	  SQL statements of the extension.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "datum.h"
#include "guc.h"
#include "stmt.h"

/* Of the scope that is open; an error closes it, and the next one starts anew. */
static bool frozen = false;

static void
become_worker(FtcScope *scope)
{
	Oid			worker = get_role_oid(ftc_guc_worker_role, false);

	scope->frozen = frozen;
	frozen = false;
	scope->caller = CurrentMemoryContext;
	GetUserIdAndSecContext(&scope->user, &scope->context);
	SetUserIdAndSecContext(worker, scope->context | SECURITY_LOCAL_USERID_CHANGE);
}

static void
connect_spi(void)
{
	if (SPI_connect_ext(0) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

void
ftc_enter(FtcScope *scope)
{
	become_worker(scope);
	scope->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	connect_spi();
}

void
ftc_leave(const FtcScope *scope)
{
	SPI_finish();
	AtEOXact_GUC(true, scope->guc_level);
	SetUserIdAndSecContext(scope->user, scope->context);
	MemoryContextSwitchTo(scope->caller);
	frozen = scope->frozen;
}

MemoryContext
ftc_nest(void)
{
	MemoryContext outer = CurrentMemoryContext;

	connect_spi();
	return outer;
}

void
ftc_unnest(MemoryContext outer)
{
	SPI_finish();
	MemoryContextSwitchTo(outer);
}

void
ftc_freeze(void)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	frozen = true;
}

void
ftc_freeze_latest(void)
{
	PushActiveSnapshot(GetLatestSnapshot());
	frozen = true;
}

void
ftc_freeze_active(void)
{
	PushActiveSnapshot(GetActiveSnapshot());
	frozen = true;
}

void
ftc_push_snapshot(void)
{
	PushActiveSnapshot(frozen ? GetActiveSnapshot() : GetTransactionSnapshot());
}

void
ftc_thaw(void)
{
	frozen = false;
	PopActiveSnapshot();
}

static void
prepare(FtcStmt *stmt)
{
	SPIPlanPtr	plan;

	if (stmt->plan != NULL)
		return;
	/* the arguments do not matter to a plan that goes by an index */
	plan = SPI_prepare_cursor(stmt->sql, stmt->nargs, stmt->argtypes, stmt->by_index ? CURSOR_OPT_GENERIC_PLAN : 0);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", stmt->sql, SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "could not keep the plan of \"%s\"", stmt->sql);
	stmt->plan = plan;
}

/*
 * Statistics may be missing, or of a time when the table was small.  A plan that
 * this makes look dear is not one to compile.
 */
static int
prefer_index(void)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/* SPI wants 'n' for a null and takes NULL for "no nulls". */
static uint64
execute(FtcStmt *stmt, const Datum *args, const bool *nulls, bool read_only)
{
	char		marks[FTC_STMT_ARGS_MAX];
	int			level = 0;
	int			result;

	prepare(stmt);
	for (int i = 0; i < stmt->nargs; i++)
		marks[i] = nulls != NULL && nulls[i] ? 'n' : ' ';
	if (stmt->by_index)
		level = prefer_index();
	result = SPI_execute_plan(stmt->plan, unconstify(Datum *, args), marks, read_only || frozen, 0);
	if (stmt->by_index)
		AtEOXact_GUC(true, level);
	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", stmt->sql, SPI_result_code_string(result));
	return SPI_processed;
}

uint64
ftc_stmt_run(FtcStmt *stmt, const Datum *args, const bool *nulls)
{
	return execute(stmt, args, nulls, false);
}

uint64
ftc_stmt_read(FtcStmt *stmt, const Datum *args, const bool *nulls)
{
	return execute(stmt, args, nulls, true);
}

Portal
ftc_stmt_open(FtcStmt *stmt, const Datum *args)
{
	Portal		portal;

	prepare(stmt);
	portal = SPI_cursor_open(NULL, stmt->plan, unconstify(Datum *, args), NULL, true);
	if (portal == NULL)
		elog(ERROR, "could not open a cursor for \"%s\": %s", stmt->sql,
			 SPI_result_code_string(SPI_result));
	return portal;
}

Datum
ftc_column(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column + 1, isnull);
}

Datum
ftc_value(uint64 row, int column)
{
	bool		isnull;
	Datum		value = ftc_column(row, column, &isnull);

	if (isnull)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("column \"%s\" of the ledger is null",
					   SPI_fname(SPI_tuptable->tupdesc, column + 1)));
	return value;
}

FtcSlice
ftc_slice_value(uint64 row, int column)
{
	return ftc_datum_slice(ftc_value(row, column));
}

FtcHash
ftc_hash_value(uint64 row, int column)
{
	FtcHash		hash;

	if (!ftc_datum_hash(ftc_value(row, column), &hash))
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("column \"%s\" of the ledger is not a hash",
					   SPI_fname(SPI_tuptable->tupdesc, column + 1)));
	return hash;
}

/*-------------------------------------------------------------------------
 *
 * step.c
 *	  Steps: transactions of a worker, or of a procedure in a session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tcop/pquery.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "shared.h"
#include "step.h"
#include "worker.h"

static MemoryContext step_outer = NULL; /* of who began the step */

/* In a session: a procedure is running, which commits as it goes. */
static bool in_procedure = false;

/*
 * DROP DATABASE, CREATE DATABASE ... TEMPLATE and the like hold a lock on the
 * database that a new session would wait for.  We do not wait: we leave.
 */
static bool
is_database_ours(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	return LockAcquire(&tag, RowExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* DROP EXTENSION takes this lock first: whoever cannot have it steps back. */
static bool
is_extension_ours(void)
{
	Oid			extension = get_extension_oid("ftchain", true);

	return OidIsValid(extension) &&
		ConditionalLockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock) &&
		OidIsValid(get_extension_oid("ftchain", true));
}

bool
ftc_step_begin(const char *activity)
{
	step_outer = CurrentMemoryContext;
	if (in_procedure)
		return true;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (RecoveryInProgress() || !is_database_ours() || !is_extension_ours())
	{
		ftc_worker_leave();
		PopActiveSnapshot();
		CommitTransactionCommand();
		MemoryContextSwitchTo(step_outer);
		return false;
	}
	pgstat_report_activity(STATE_RUNNING, activity);
	return true;
}

void
ftc_step_may_be_lost(void)
{
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

void
ftc_step_end(void)
{
	if (in_procedure)
		ftc_procedure_commit();
	else
	{
		PopActiveSnapshot();
		CommitTransactionCommand();
		pgstat_report_stat(false);
		pgstat_report_activity(STATE_IDLE, NULL);
	}
	MemoryContextSwitchTo(step_outer);
}

/*
 * The current error: logged, but only when it is not the last one again;
 * recorded; forgotten.  Its text in the given context.
 */
char *
ftc_step_error(MemoryContext context)
{
	static char last[FTC_SHARED_TEXT] = "";
	char text[	FTC_SHARED_TEXT];
	ErrorData  *error;
	char	   *message;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	ftc_shared_text(text, error->message);
	if (strcmp(text, last) != 0)
		EmitErrorReport();
	strcpy(last, text);
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(context);
	FlushErrorState();
	ftc_worker_note_error(error->message);
	message = pstrdup(error->message);
	FreeErrorData(error);
	RESUME_INTERRUPTS();
	return message;
}

bool
ftc_step_try(FtcStep step, void *arg, bool *more)
{
	MemoryContext outer = CurrentMemoryContext;
	volatile bool ok = false;

	*more = false;
	if (in_procedure)
	{
		/* the caller of a procedure is to see the error */
		*more = step(arg);
		return true;
	}
	PG_TRY();
	{
		*more = step(arg);
		ok = true;
	}
	PG_CATCH();
	{
		pfree(ftc_step_error(outer));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(outer);
	return ok;
}

/* ----------------------------------------------------------------
 *		Procedures: the same steps in a session
 * ----------------------------------------------------------------
 */

void
ftc_procedure_begin(FunctionCallInfo fcinfo, const char *name)
{
	bool		atomic = !(fcinfo->context && IsA(fcinfo->context, CallContext) &&
						   !castNode(CallContext, fcinfo->context)->atomic);

	if (atomic)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				errmsg("cannot run \"%s\" inside a transaction block", name),
				errhint("Call it by itself, outside BEGIN and outside of functions."));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				errmsg("cannot run \"%s\" with isolation level \"%s\"", name,
					   XactIsoLevel == XACT_SERIALIZABLE ? "serializable" : "repeatable read"),
				errhint("It has to see what others commit: use read committed."));
	PreventCommandIfReadOnly(name);
	PreventCommandDuringRecovery(name);
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	in_procedure = true;
	ForceSyncCommit();

	/*
	 * What the transaction around has done becomes visible to others now: a
	 * sealer that saw its own entries, not committed yet, would see them a
	 * second time.
	 */
	ftc_procedure_commit();
}

/*
 * A new transaction has the defaults of the session, whatever they are by now.
 * Ours must see what others commit, and what peers are told must not be lost.
 */
void
ftc_procedure_commit(void)
{
	SPI_commit();
	XactIsoLevel = XACT_READ_COMMITTED;
	ForceSyncCommit();
	EnsurePortalSnapshotExists();
}

void
ftc_procedure_end(void)
{
	in_procedure = false;
	SPI_finish();
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		in_procedure = false;
}

void
ftc_step_init(void)
{
	RegisterXactCallback(at_end_of_transaction, NULL);
}

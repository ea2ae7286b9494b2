/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  The background workers: starting, waking, waiting, surviving.
 *
 * A worker: registered by the launcher -> attached -> (turn, wait)* ->
 * detached, when the extension is not there, when somebody wants the database
 * for himself, or on SIGTERM; the launcher starts it again after a while.
 * Errors do not end it: the turn is rolled back, and the next one comes later.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "clock.h"
#include "compat.h"
#include "courier.h"
#include "guc.h"
#include "keeper.h"
#include "sealer.h"
#include "memory.h"
#include "shared.h"
#include "worker.h"

PGDLLEXPORT void ftc_launcher_main(Datum arg);
PGDLLEXPORT void ftc_worker_main(Datum arg);

PG_FUNCTION_INFO_V1(ftchain_start);
PG_FUNCTION_INFO_V1(ftchain_stop);
PG_FUNCTION_INFO_V1(ftchain_worker_status);
PG_FUNCTION_INFO_V1(ftchain_peer_status);

typedef struct WorkerType
{
	const char *name;
	const char *event;			/* what it waits in */
	long		(*turn) (void);
} WorkerType;

static const WorkerType types[FTC_WORKER_KINDS] = {
	[FTC_WORKER_SEALER] = {"sealer", "FtchainSealer", ftc_sealer_turn},
	[FTC_WORKER_COURIER] = {"courier", "FtchainCourier", ftc_courier_turn},
	[FTC_WORKER_KEEPER] = {"keeper", "FtchainKeeper", ftc_keeper_turn},
};

#define NAP_MAX_MS		2000	/* so that DROP DATABASE, which waits 5 s,
								 * gets through */
#define RETRY_MS		5000
#define ABSENT_RETRY_MS 15000

/* Of this process, if it is a worker. */
static FtcDatabaseSlot *my_database = NULL;
static FtcWorkerSlot *my_slot = NULL;
static bool must_leave = false;
static MemoryContext step_outer = NULL; /* of who began the step */

/* In a session: a procedure is running, which commits as it goes. */
static bool in_procedure = false;

/* Of this transaction. */
static int	wake_at_commit = 0;
static int64 appended_entries = 0;
static int64 appended_bytes = 0;

/* ----------------------------------------------------------------
 *		Waking, at commit
 * ----------------------------------------------------------------
 */

void
ftc_worker_wake_at_commit(int whom)
{
	/* attach now: at commit it would be too late for an error */
	(void) ftc_shared_database(MyDatabaseId, true);
	wake_at_commit |= whom;
}

void
ftc_worker_note_append(int64 entries, int64 bytes)
{
	ftc_worker_wake_at_commit(FTC_WAKE_SEALER);
	appended_entries += entries;
	appended_bytes += bytes;
}

static void
set_latch(PGPROC *proc)
{
	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

/*
 * The first append after the sealer looked wakes it, and one that makes it
 * due; those in between only count.
 */
static bool
is_sealer_concerned(FtcDatabaseSlot *database)
{
	uint64		before = pg_atomic_fetch_add_u64(&database->entries, appended_entries);
	uint64		bytes_before = pg_atomic_fetch_add_u64(&database->bytes, appended_bytes);
	uint64		due = (uint64) ftc_guc_seal_bytes * 1024;

	return before == 0 ||
		(before < (uint64) ftc_guc_seal_entries && before + appended_entries >= (uint64) ftc_guc_seal_entries) ||
		(bytes_before < due && bytes_before + appended_bytes >= due);
}

static void
wake(void)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);

	if (database == NULL)
		return;
	if (appended_entries > 0 && !is_sealer_concerned(database) && wake_at_commit == FTC_WAKE_SEALER)
		return;
	if (wake_at_commit & FTC_WAKE_NEW_HEAD)
		pg_atomic_fetch_add_u64(&database->heads, 1);
	LWLockAcquire(&s->lock, LW_SHARED);
	for (int i = 0; i < FTC_WORKER_KINDS; i++)
		if (wake_at_commit & (1 << i))
			set_latch(database->worker[i].proc);
	if (wake_at_commit & FTC_WAKE_LAUNCHER)
		set_latch(s->launcher);
	LWLockRelease(&s->lock);
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && wake_at_commit != 0)
		wake();
	if (event == XACT_EVENT_ABORT)
		in_procedure = false;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		wake_at_commit = 0;
		appended_entries = appended_bytes = 0;
	}
}

void
ftc_worker_appended(int64 *entries, int64 *bytes, bool take)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);

	*entries = *bytes = 0;
	if (database == NULL)
		return;
	*entries = take ? pg_atomic_exchange_u64(&database->entries, 0)
		: pg_atomic_read_u64(&database->entries);
	*bytes = take ? pg_atomic_exchange_u64(&database->bytes, 0)
		: pg_atomic_read_u64(&database->bytes);
}

uint64
ftc_worker_heads(void)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);

	return database == NULL ? 0 : pg_atomic_read_u64(&database->heads);
}

/* ----------------------------------------------------------------
 *		Progress
 * ----------------------------------------------------------------
 */

void
ftc_worker_progress(const char *text)
{
	if (my_slot == NULL)
		return;
	LWLockAcquire(&ftc_shared()->lock, LW_EXCLUSIVE);
	ftc_shared_text(my_slot->progress, text);
	LWLockRelease(&ftc_shared()->lock);
}

void
ftc_worker_mined(uint64 attempts, uint64 us)
{
	if (my_slot == NULL)
		return;
	LWLockAcquire(&ftc_shared()->lock, LW_EXCLUSIVE);
	my_slot->attempts += attempts;
	if (us > 0)
		my_slot->hash_rate = attempts * 1e6 / us;
	LWLockRelease(&ftc_shared()->lock);
}

/* ----------------------------------------------------------------
 *		Waiting
 * ----------------------------------------------------------------
 */

static bool
step_aside(void *arg)
{
	if (ftc_step_begin("looking around"))
		ftc_step_end();
	return false;
}

/* What lasts, as mining may, looks now and then whether it is in the way. */
static void
make_way(void)
{
	static uint64 looked_at = 0;
	uint64		now = ftc_clock_now();
	bool		more;

	if (must_leave || IsTransactionState() || now - looked_at < USECS_PER_SEC)
		return;
	looked_at = now;
	(void) ftc_step_try(step_aside, NULL, &more);
}

void
ftc_worker_attend(void)
{
	CHECK_FOR_INTERRUPTS();
	if (my_slot != NULL)
		make_way();
	if (my_slot != NULL && ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

static uint32
wait_event(const char *name)
{
#if PG_VERSION_NUM >= 170000
	return WaitEventExtensionNew(name);
#else
	return PG_WAIT_EXTENSION;
#endif
}

bool
ftc_worker_wait(long timeout_ms, const char *event)
{
	int			rc = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							   Max(timeout_ms, 1), wait_event(event));

	if (rc & WL_LATCH_SET)
		ResetLatch(MyLatch);
	ftc_worker_attend();
	return (rc & WL_LATCH_SET) != 0;
}

bool
ftc_worker_must_leave(void)
{
	return must_leave || (my_database != NULL && my_database->stopped);
}

/* ----------------------------------------------------------------
 *		Steps
 * ----------------------------------------------------------------
 */

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
		must_leave = true;
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

static void
record_error(const ErrorData *error)
{
	if (my_slot == NULL)
		return;
	LWLockAcquire(&ftc_shared()->lock, LW_EXCLUSIVE);
	ftc_shared_text(my_slot->last_error, error->message);
	my_slot->last_error_at = ftc_clock_timestamp();
	LWLockRelease(&ftc_shared()->lock);
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
	record_error(error);
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

/* ----------------------------------------------------------------
 *		A worker
 * ----------------------------------------------------------------
 */

static TimestampTz
from_now(int64 ms)
{
	return TimestampTzPlusMilliseconds(ftc_clock_timestamp(), ms);
}

static void
detach(int code, Datum arg)
{
	FtcShared  *s = ftc_shared();

	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	my_slot->pid = 0;
	my_slot->proc = NULL;
	my_slot->retry_at = from_now(my_database->present ? RETRY_MS : ABSENT_RETRY_MS);
	set_latch(s->launcher);
	LWLockRelease(&s->lock);
}

/* What the launcher tells a worker. */
typedef struct WorkerArgs
{
	Oid			database;
	FtcWorkerKind kind;
	char		name[NAMEDATALEN];	/* of the database */
} WorkerArgs;

StaticAssertDecl(sizeof(WorkerArgs) <= BGW_EXTRALEN, "worker arguments fit");

static void
attach(const WorkerArgs *args)
{
	FtcShared  *s = ftc_shared();

	my_database = ftc_shared_database(args->database, true);
	if (my_database == NULL)
		ereport(FATAL,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("ftchain works in %d databases at most", FTC_SHARED_DATABASES));
	my_slot = &my_database->worker[args->kind];
	before_shmem_exit(detach, (Datum) 0);
	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	if (my_slot->proc != NULL && my_slot->pid != MyProcPid)
	{
		LWLockRelease(&s->lock);
		cancel_before_shmem_exit(detach, (Datum) 0);
		ereport(FATAL,
				errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("the %s of this database is running already", types[args->kind].name));
	}
	my_slot->pid = MyProcPid;
	my_slot->proc = MyProc;
	my_slot->started = ftc_clock_timestamp();
	my_slot->attempts = 0;
	my_slot->hash_rate = 0;
	my_slot->progress[0] = '\0';
	LWLockRelease(&s->lock);
}

static void
set_session(void)
{
	/* signatures and acknowledgements stand only on what is on disk */
	if (synchronous_commit < SYNCHRONOUS_COMMIT_LOCAL_FLUSH)
		SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("idle_in_transaction_session_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
}

/* One look whether there is anything for us here. */
static bool
look_around(void *arg)
{
	bool		there = ftc_step_begin("looking around");

	if (there)
		ftc_step_end();
	my_database->present = there;
	LWLockAcquire(&ftc_shared()->lock, LW_SHARED);
	set_latch(ftc_shared()->launcher);	/* the other workers may come */
	LWLockRelease(&ftc_shared()->lock);
	return there;
}

typedef struct Turn
{
	const WorkerType *type;
	long		nap;			/* ms until the next one; 0: at once */
} Turn;

static bool
take_turn(void *arg)
{
	Turn	   *turn = arg;

	turn->nap = turn->type->turn();
	return true;
}

static void
work(const WorkerType *type)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "ftchain turn", ALLOCSET_DEFAULT_SIZES);
	int			failures = 0;

	while (!ftc_worker_must_leave())
	{
		Turn		turn = {.type = type,.nap = NAP_MAX_MS};
		bool		more;

		ftc_worker_attend();
		MemoryContextSwitchTo(context);
		if (!ftc_guc_enabled)
			(void) look_around(NULL);
		else if (ftc_step_try(take_turn, &turn, &more))
			failures = 0;
		else
			turn.nap = 250L << Min(failures++, 6);
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextReset(context);
		if (turn.nap > 0 && !ftc_worker_must_leave())
			(void) ftc_worker_wait(Min(turn.nap, NAP_MAX_MS), type->event);
	}
}

void
ftc_worker_main(Datum arg)
{
	WorkerArgs	args;
	bool		more;

	memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	attach(&args);
	BackgroundWorkerInitializeConnection(args.name, ftc_guc_worker_role, 0);
	set_session();
	ftc_memory_keep();
	/* the name may have been given to another database meanwhile */
	if (MyDatabaseId == args.database && ftc_step_try(look_around, NULL, &more) && more)
		work(&types[args.kind]);
	proc_exit(0);
}

/* ----------------------------------------------------------------
 *		The launcher
 * ----------------------------------------------------------------
 */

static void
launcher_detach(int code, Datum arg)
{
	FtcShared  *s = ftc_shared();

	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	s->launcher_pid = 0;
	s->launcher = NULL;
	LWLockRelease(&s->lock);
}

static bool
launcher_attach(void)
{
	FtcShared  *s = ftc_shared();
	bool		alone;

	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	alone = s->launcher == NULL;
	if (alone)
	{
		s->launcher_pid = MyProcPid;
		s->launcher = MyProc;
	}
	LWLockRelease(&s->lock);
	if (alone)
		before_shmem_exit(launcher_detach, (Datum) 0);
	return alone;
}

static void
start_worker(FtcDatabaseSlot *database, const char *name, FtcWorkerKind kind)
{
	FtcShared  *s = ftc_shared();
	FtcWorkerSlot *slot = &database->worker[kind];
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;
	WorkerArgs	args = {.database = database->database,.kind = kind};
	pid_t		pid;
	bool		free;

	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	free = slot->pid == 0 && slot->retry_at <= ftc_clock_timestamp();
	if (free)
		slot->pid = -1;
	LWLockRelease(&s->lock);
	if (!free)
		return;

	strlcpy(args.name, name, sizeof(args.name));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, "ftchain", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "ftc_worker_main", sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "ftchain %s %s", types[kind].name, name);
	snprintf(worker.bgw_type, sizeof(worker.bgw_type), "ftchain %s", types[kind].name);
	memcpy(worker.bgw_extra, &args, sizeof(args));
	if (RegisterDynamicBackgroundWorker(&worker, &handle) &&
		WaitForBackgroundWorkerStartup(handle, &pid) != BGWH_POSTMASTER_DIED)
	{
		/* if it never got as far as to attach, it did not free its place */
		LWLockAcquire(&s->lock, LW_EXCLUSIVE);
		if (slot->pid == -1 && GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED)
		{
			slot->pid = 0;
			slot->retry_at = from_now(ABSENT_RETRY_MS);
		}
		LWLockRelease(&s->lock);
		return;
	}
	ereport(LOG,
			errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			errmsg("could not start the ftchain %s of database \"%s\"", types[kind].name, name),
			errhint("Increase max_worker_processes: ftchain needs one, and %d for each database.",
					FTC_WORKER_KINDS));
	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	slot->pid = 0;
	slot->retry_at = from_now(ABSENT_RETRY_MS);
	LWLockRelease(&s->lock);
}

/* A worker that died before it attached leaves "being started" behind. */
static void
forget_stillborn(FtcDatabaseSlot *database)
{
	FtcShared  *s = ftc_shared();

	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	for (int kind = 0; kind < FTC_WORKER_KINDS; kind++)
		if (database->worker[kind].pid == -1)
		{
			database->worker[kind].pid = 0;
			database->worker[kind].retry_at = from_now(RETRY_MS);
		}
	LWLockRelease(&s->lock);
}

/* The sealer looks first whether the extension is there; then come the others. */
static void
serve_database(Oid oid, const char *name)
{
	FtcDatabaseSlot *database = ftc_shared_database(oid, true);

	if (database == NULL || database->stopped)
		return;
	for (int kind = 0; kind < FTC_WORKER_KINDS; kind++)
		if (kind == FTC_WORKER_SEALER || database->present)
			start_worker(database, name, kind);
}

/* Was it named in the setting, or by ftchain.start()? */
static bool
is_wanted(Oid oid, const char *name, List *names)
{
	FtcDatabaseSlot *database = ftc_shared_database(oid, false);
	ListCell   *cell;

	if (database != NULL && database->wanted)
		return true;
	foreach(cell, names)
		if (strcmp(lfirst(cell), name) == 0)
		return true;
	return false;
}

static List *
databases_setting(void)
{
	List	   *names = NIL;

	if (!SplitIdentifierString(pstrdup(ftc_guc_databases), ',', &names))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid list of databases in \"ftchain.databases\""));
	return names;
}

static List *
databases_with_places(void)
{
	FtcShared  *s = ftc_shared();
	List	   *databases = NIL;

	for (int i = 0; i < FTC_SHARED_DATABASES; i++)
	{
		Oid			database;

		LWLockAcquire(&s->lock, LW_SHARED);
		database = s->database[i].database;
		LWLockRelease(&s->lock);
		databases = lappend_oid(databases, database);
	}
	return databases;
}

/*
 * A database that is gone leaves its place to another.  One that was given its
 * place after we looked for databases may be younger than what we saw.
 */
static void
free_places(List *before, List *existing)
{
	FtcShared  *s = ftc_shared();

	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	for (int i = 0; i < FTC_SHARED_DATABASES; i++)
	{
		FtcDatabaseSlot *database = &s->database[i];
		bool		used = !OidIsValid(database->database) ||
		!list_member_oid(before, database->database) ||
		list_member_oid(existing, database->database);

		for (int kind = 0; kind < FTC_WORKER_KINDS; kind++)
			used |= database->worker[kind].pid != 0;
		if (used)
			continue;
		database->database = InvalidOid;
		database->wanted = database->stopped = database->present = false;
		memset(database->worker, 0, sizeof(database->worker));
		memset(database->peer, 0, sizeof(database->peer));
		pg_atomic_write_u64(&database->entries, 0);
		pg_atomic_write_u64(&database->bytes, 0);
	}
	LWLockRelease(&s->lock);
}

/* A session without a database can read pg_database, but not by an index. */
static bool
launch(void *arg)
{
	List	   *before = databases_with_places();
	List	   *existing = NIL;
	List	   *names;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	names = databases_setting();
	/* no role, no extension anywhere: nobody to start */
	if (OidIsValid(get_role_oid(ftc_guc_worker_role, true)))
	{
		relation = table_open(DatabaseRelationId, AccessShareLock);
		scan = table_beginscan_catalog(relation, 0, NULL);
		while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
		{
			Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

			existing = lappend_oid(existing, database->oid);
			if (!database->datistemplate && database->datallowconn &&
				is_wanted(database->oid, NameStr(database->datname), names))
				serve_database(database->oid, NameStr(database->datname));
		}
		table_endscan(scan);
		table_close(relation, AccessShareLock);
		free_places(before, existing);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	return false;
}

void
ftc_launcher_main(Datum arg)
{
	MemoryContext context;
	bool		more;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (!launcher_attach())
		proc_exit(0);
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	context = AllocSetContextCreate(TopMemoryContext, "ftchain launcher", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < FTC_SHARED_DATABASES; i++)
		forget_stillborn(&ftc_shared()->database[i]);
	for (;;)
	{
		MemoryContextSwitchTo(context);
		(void) ftc_step_try(launch, NULL, &more);
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextReset(context);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1000,
						 wait_event("FtchainLauncher"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
}

static void
describe_launcher(BackgroundWorker *worker)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = 5;
	strlcpy(worker->bgw_library_name, "ftchain", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, "ftc_launcher_main", sizeof(worker->bgw_function_name));
	strlcpy(worker->bgw_name, "ftchain launcher", sizeof(worker->bgw_name));
	strlcpy(worker->bgw_type, "ftchain launcher", sizeof(worker->bgw_type));
}

/* ----------------------------------------------------------------
 *		From the outside
 * ----------------------------------------------------------------
 */

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

static void
request_shmem(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	RequestAddinShmemSpace(ftc_shared_size());
}

static void
startup_shmem(void)
{
	if (prev_shmem_startup)
		prev_shmem_startup();
	ftc_shared_forget();
	(void) ftc_shared();
}

void
ftc_worker_init(void)
{
	BackgroundWorker launcher;

	RegisterXactCallback(at_end_of_transaction, NULL);
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
	describe_launcher(&launcher);
	RegisterBackgroundWorker(&launcher);
}

static void
start_launcher(void)
{
	BackgroundWorker launcher;
	BackgroundWorkerHandle *handle;
	pid_t		pid;

	describe_launcher(&launcher);
	launcher.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&launcher, &handle))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				errmsg("could not start the launcher of ftchain"),
				errhint("Increase max_worker_processes: ftchain needs one, and %d for each database.",
						FTC_WORKER_KINDS));
	if (WaitForBackgroundWorkerStartup(handle, &pid) != BGWH_STARTED)
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				errmsg("the launcher of ftchain did not start"),
				errhint("More may be said in the server's log."));
}

Datum
ftchain_start(PG_FUNCTION_ARGS)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database;
	bool		running;
	bool		launched;

	PreventCommandDuringRecovery("ftchain.start()");
	database = ftc_shared_database(MyDatabaseId, true);
	if (database == NULL)
		ereport(ERROR,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("ftchain works in %d databases at most", FTC_SHARED_DATABASES));
	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	running = database->worker[FTC_WORKER_SEALER].proc != NULL && !database->stopped;
	database->wanted = true;
	database->stopped = false;
	for (int i = 0; i < FTC_WORKER_KINDS; i++)
		database->worker[i].retry_at = 0;
	launched = s->launcher != NULL;
	set_latch(s->launcher);
	LWLockRelease(&s->lock);
	if (!launched)
		start_launcher();
	PG_RETURN_BOOL(!running);
}

Datum
ftchain_stop(PG_FUNCTION_ARGS)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);
	bool		running = false;

	if (database == NULL)
		PG_RETURN_BOOL(false);
	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	database->wanted = false;
	database->stopped = true;
	for (int i = 0; i < FTC_WORKER_KINDS; i++)
	{
		running |= database->worker[i].proc != NULL;
		set_latch(database->worker[i].proc);
	}
	LWLockRelease(&s->lock);
	PG_RETURN_BOOL(running);
}

static Datum
time_or_null(TimestampTz timestamp, bool *isnull)
{
	*isnull = timestamp == 0;
	return TimestampTzGetDatum(timestamp);
}

Datum
ftchain_worker_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; database != NULL && i < FTC_WORKER_KINDS; i++)
	{
		FtcWorkerSlot slot;
		Datum		values[8];
		bool		nulls[8] = {false};

		LWLockAcquire(&s->lock, LW_SHARED);
		slot = database->worker[i];
		LWLockRelease(&s->lock);
		values[0] = CStringGetTextDatum(types[i].name);
		values[1] = Int32GetDatum(slot.pid);
		nulls[1] = slot.pid <= 0;
		values[2] = time_or_null(slot.pid > 0 ? slot.started : 0, &nulls[2]);
		/* what one did that has left is no progress */
		values[3] = CStringGetTextDatum(slot.progress);
		values[4] = Int64GetDatum((int64) slot.attempts);
		values[5] = Float8GetDatum(slot.hash_rate);
		nulls[3] = nulls[4] = nulls[5] = slot.pid <= 0;
		values[6] = CStringGetTextDatum(slot.last_error);
		nulls[6] = slot.last_error_at == 0;
		values[7] = time_or_null(slot.last_error_at, &nulls[7]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
ftchain_peer_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; database != NULL && i < FTC_SHARED_PEERS; i++)
	{
		FtcPeerSlot slot;
		Interval   *round_trip = palloc0(sizeof(Interval));
		Datum		values[9];
		bool		nulls[9] = {false};

		LWLockAcquire(&s->lock, LW_SHARED);
		slot = database->peer[i];
		LWLockRelease(&s->lock);
		if (slot.server[0] == '\0')
			continue;
		round_trip->time = slot.round_trip;
		values[0] = CStringGetTextDatum(slot.server);
		values[1] = CStringGetTextDatum(slot.state);
		values[2] = Int64GetDatum((int64) slot.calls);
		values[3] = Int64GetDatum((int64) slot.bytes);
		values[4] = IntervalPGetDatum(round_trip);
		nulls[4] = slot.round_trip == 0;
		values[5] = time_or_null(slot.last_contact, &nulls[5]);
		values[6] = time_or_null(slot.retry_at, &nulls[6]);
		values[7] = CStringGetTextDatum(slot.last_error);
		nulls[7] = slot.last_error_at == 0;
		values[8] = time_or_null(slot.last_error_at, &nulls[8]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

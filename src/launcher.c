/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  The launcher: which databases have workers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "area.h"
#include "clock.h"
#include "compat.h"
#include "guc.h"
#include "launcher.h"
#include "shared.h"
#include "step.h"
#include "wake.h"
#include "worker.h"

PGDLLEXPORT void ftc_launcher_main(Datum arg);

PG_FUNCTION_INFO_V1(ftchain_start);
PG_FUNCTION_INFO_V1(ftchain_stop);

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

/* Take the place of a process that is to be started. */
static bool
reserve(FtcProcess *process)
{
	FtcShared  *s = ftc_shared();
	bool		free;

	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	free = process->pid == 0 && process->retry_at <= ftc_clock_timestamp();
	if (free)
		process->pid = -1;
	LWLockRelease(&s->lock);
	return free;
}

/* Is it running, or has it run? */
static bool
is_started(FtcProcess *process, BackgroundWorker *worker)
{
	FtcShared  *s = ftc_shared();
	BackgroundWorkerHandle *handle;
	pid_t		pid;

	if (!RegisterDynamicBackgroundWorker(worker, &handle) ||
		WaitForBackgroundWorkerStartup(handle, &pid) == BGWH_POSTMASTER_DIED)
		return false;
	/* if it never got as far as to attach, it did not free its place */
	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	if (process->pid == -1 && GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED)
	{
		process->pid = 0;
		process->retry_at = ftc_clock_from_now(FTC_ABSENT_RETRY_MS);
	}
	LWLockRelease(&s->lock);
	return true;
}

/* Start one, unless it is there; what it is, and its function.  False if it cannot be. */
static bool
start_process(FtcProcess *process, const char *what, const char *function, const FtcWorkerArgs *args)
{
	FtcShared  *s = ftc_shared();
	BackgroundWorker worker = {0};

	if (!reserve(process))
		return true;
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, "ftchain", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, function, sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "ftchain %s %s", what, args->name);
	snprintf(worker.bgw_type, sizeof(worker.bgw_type), "ftchain %s", what);
	memcpy(worker.bgw_extra, args, sizeof(*args));
	if (is_started(process, &worker))
		return true;
	ereport(LOG,
			errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			errmsg("could not start the ftchain %s of database \"%s\"", what, args->name),
			errhint("Increase max_worker_processes: ftchain needs one, and for each database %d and as many as \"ftchain.mining_workers\" says.",
					FTC_WORKER_KINDS));
	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	process->pid = 0;
	process->retry_at = ftc_clock_from_now(FTC_ABSENT_RETRY_MS);
	LWLockRelease(&s->lock);
	return false;
}

static void
forget_if_stillborn(FtcProcess *process)
{
	if (process->pid != -1)
		return;
	process->pid = 0;
	process->retry_at = ftc_clock_from_now(FTC_RETRY_MS);
}

/* A process that died before it attached leaves "being started" behind. */
static void
forget_stillborn(FtcDatabaseSlot *database)
{
	FtcShared  *s = ftc_shared();

	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	for (int kind = 0; kind < FTC_WORKER_KINDS; kind++)
		forget_if_stillborn(&database->worker[kind].process);
	for (int i = 0; i < FTC_SHARED_MINERS; i++)
		forget_if_stillborn(&database->miner[i].process);
	LWLockRelease(&s->lock);
}

/*
 * The sealer looks first whether the extension is there; then come the others.
 * False if there are not enough places for processes.
 */
static bool
serve_database(const FtcWorkerArgs *who)
{
	FtcDatabaseSlot *database = ftc_shared_database(who->database, true);
	FtcWorkerArgs args = *who;
	bool		ok = true;

	if (database == NULL || database->stopped)
		return true;
	for (args.kind = 0; ok && args.kind < FTC_WORKER_KINDS; args.kind++)
		if (args.kind == FTC_WORKER_SEALER || database->present)
			ok = start_process(&database->worker[args.kind].process, ftc_worker_name(args.kind),
							   "ftc_worker_main", &args);
	return ok;
}

/* Nor do miners take the place of a worker that is to come back. */
static bool
needs_workers(FtcDatabaseSlot *database)
{
	FtcShared  *s = ftc_shared();
	bool		needs = false;

	LWLockAcquire(&s->lock, LW_SHARED);
	for (int kind = 0; kind < FTC_WORKER_KINDS; kind++)
		needs |= database->worker[kind].process.pid == 0;
	LWLockRelease(&s->lock);
	return needs;
}

static bool
serve_miners(const FtcWorkerArgs *who)
{
	FtcDatabaseSlot *database = ftc_shared_database(who->database, false);
	FtcWorkerArgs args = *who;
	bool		ok = true;

	if (database == NULL || database->stopped || !database->present || needs_workers(database))
		return true;
	for (args.miner = 0; ok && args.miner < ftc_guc_mining_workers; args.miner++)
		ok = start_process(&database->miner[args.miner].process, "miner", "ftc_miner_main", &args);
	return ok;
}

/* What all of them need to live comes before what makes some of them faster. */
static void
serve(List *wanted)
{
	bool		ok = true;
	ListCell   *cell;

	foreach(cell, wanted)
		ok &= serve_database(lfirst(cell));
	foreach(cell, wanted)
	{
		if (!ok)
			break;
		ok = serve_miners(lfirst(cell));
	}
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
			used |= database->worker[kind].process.pid != 0;
		for (int j = 0; j < FTC_SHARED_MINERS; j++)
			used |= database->miner[j].process.pid != 0;
		if (used)
			continue;
		database->database = InvalidOid;
		database->wanted = database->stopped = database->present = false;
		memset(database->worker, 0, sizeof(database->worker));
		memset(database->miner, 0, sizeof(database->miner));
		memset(database->candidate, 0, sizeof(database->candidate));
		memset(database->wanted_height, 0, sizeof(database->wanted_height));
		memset(database->peer, 0, sizeof(database->peer));
		ftc_area_free(database);
		pg_atomic_write_u64(&database->entries, 0);
		pg_atomic_write_u64(&database->bytes, 0);
		pg_atomic_write_u64(&database->sent, 0);
	}
	LWLockRelease(&s->lock);
}

/* A session without a database can read pg_database, but not by an index. */
static bool
launch(void *arg)
{
	List	   *before = databases_with_places();
	List	   *existing = NIL;
	List	   *wanted = NIL;
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
			{
				FtcWorkerArgs *args = palloc0(sizeof(FtcWorkerArgs));

				args->database = database->oid;
				strlcpy(args->name, NameStr(database->datname), sizeof(args->name));
				wanted = lappend(wanted, args);
			}
		}
		table_endscan(scan);
		table_close(relation, AccessShareLock);
		serve(wanted);
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
						 ftc_worker_wait_event("FtchainLauncher"));
		ResetLatch(MyLatch);
		ftc_worker_reload();
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
ftc_launcher_init(void)
{
	BackgroundWorker launcher;

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
	running = database->worker[FTC_WORKER_SEALER].process.proc != NULL && !database->stopped;
	database->wanted = true;
	database->stopped = false;
	for (int i = 0; i < FTC_WORKER_KINDS; i++)
		database->worker[i].process.retry_at = 0;
	launched = s->launcher != NULL;
	ftc_wake_latch(s->launcher);
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
		running |= database->worker[i].process.proc != NULL;
		ftc_wake_latch(database->worker[i].process.proc);
	}
	for (int i = 0; i < FTC_SHARED_MINERS; i++)
		ftc_wake_latch(database->miner[i].process.proc);
	LWLockRelease(&s->lock);
	PG_RETURN_BOOL(running);
}

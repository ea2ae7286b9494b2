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

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "board.h"
#include "clock.h"
#include "courier.h"
#include "guc.h"
#include "keeper.h"
#include "launcher.h"
#include "memory.h"
#include "sealer.h"
#include "shared.h"
#include "step.h"
#include "wake.h"
#include "worker.h"

PGDLLEXPORT void ftc_worker_main(Datum arg);

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

/* Of this process, if it is a worker. */
static FtcDatabaseSlot *my_database = NULL;
static FtcWorkerSlot *my_slot = NULL;
static bool must_leave = false;

const char *
ftc_worker_name(FtcWorkerKind kind)
{
	return types[kind].name;
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

void
ftc_worker_note_error(const char *message)
{
	if (my_slot == NULL)
		return;
	LWLockAcquire(&ftc_shared()->lock, LW_EXCLUSIVE);
	ftc_shared_text(my_slot->last_error, message);
	my_slot->last_error_at = ftc_clock_timestamp();
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
	uint64		now = ftc_clock_steady();
	bool		more;

	if (must_leave || IsTransactionState() || now - looked_at < USECS_PER_SEC)
		return;
	looked_at = now;
	(void) ftc_step_try(step_aside, NULL, &more);
}

/* Whoever computes for long finds out by himself that the postmaster is gone. */
static void
check_postmaster(void)
{
	if (!PostmasterIsAlive())
		proc_exit(1);
}

/* Also after a reload: what is allowed to others is not for us. */
static void
set_session(void)
{
	/* signatures and acknowledgements stand only on what is on disk */
	if (synchronous_commit < SYNCHRONOUS_COMMIT_LOCAL_FLUSH)
		SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
	/* many small statements */
	SetConfigOption("jit", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("idle_in_transaction_session_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
}

void
ftc_worker_reload(void)
{
	check_postmaster();
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		set_session();
	}
}

void
ftc_worker_attend(void)
{
	if (my_slot == NULL)
	{
		check_postmaster();
		CHECK_FOR_INTERRUPTS();
		return;
	}
	make_way();
	ftc_worker_reload();
}

uint32
ftc_worker_wait_event(const char *name)
{
#if PG_VERSION_NUM >= 170000
	return WaitEventExtensionNew(name);
#else
	return PG_WAIT_EXTENSION;
#endif
}

bool
ftc_worker_is_called(void)
{
	if (!MyLatch->is_set)
		return false;
	ResetLatch(MyLatch);
	return true;
}

bool
ftc_worker_wait(long timeout_ms, const char *event)
{
	int			rc = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							   Max(timeout_ms, 1), ftc_worker_wait_event(event));

	if (rc & WL_LATCH_SET)
		ResetLatch(MyLatch);
	ftc_worker_attend();
	return (rc & WL_LATCH_SET) != 0;
}

void
ftc_worker_leave(void)
{
	must_leave = true;
}

bool
ftc_worker_must_leave(void)
{
	return must_leave || (my_database != NULL && my_database->stopped);
}

/* ----------------------------------------------------------------
 *		A worker
 * ----------------------------------------------------------------
 */

static void
detach(int code, Datum arg)
{
	FtcShared  *s = ftc_shared();

	/* without a sealer nobody would take what is found */
	if (my_slot == &my_database->worker[FTC_WORKER_SEALER])
		ftc_board_clear(my_database);
	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	my_slot->process.pid = 0;
	my_slot->process.proc = NULL;
	my_slot->process.retry_at = ftc_clock_from_now(my_database->present ? FTC_RETRY_MS : FTC_ABSENT_RETRY_MS);
	ftc_wake_latch(s->launcher);
	LWLockRelease(&s->lock);
}

static void
attach(const FtcWorkerArgs *args)
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
	if (my_slot->process.proc != NULL && my_slot->process.pid != MyProcPid)
	{
		LWLockRelease(&s->lock);
		cancel_before_shmem_exit(detach, (Datum) 0);
		ereport(FATAL,
				errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("the %s of this database is running already", types[args->kind].name));
	}
	my_slot->process.pid = MyProcPid;
	my_slot->process.proc = MyProc;
	my_slot->process.started = ftc_clock_timestamp();
	my_slot->attempts = 0;
	my_slot->hash_rate = 0;
	my_slot->progress[0] = '\0';
	LWLockRelease(&s->lock);
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
	ftc_wake_latch(ftc_shared()->launcher); /* the other workers may come */
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
		{
			ftc_board_clear(my_database);
			(void) look_around(NULL);
		}
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
	FtcWorkerArgs args;
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

/*-------------------------------------------------------------------------
 *
 * miner.c
 *	  A worker that does nothing but mine what is on the board.
 *
 * It is of no database, so that nobody who wants one has to wait for it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/resource.h>

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/timestamp.h"

#include "board.h"
#include "clock.h"
#include "guc.h"
#include "launcher.h"
#include "mining.h"
#include "wake.h"

PGDLLEXPORT void ftc_miner_main(Datum arg);

#define LOOK_ANYWAY_MS 1000
#define ALONE_US (3 * USECS_PER_SEC)

static FtcDatabaseSlot *my_database = NULL;
static FtcMinerSlot *my_slot = NULL;

static void
detach(int code, Datum arg)
{
	FtcShared  *s = ftc_shared();

	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	my_slot->process.pid = 0;
	my_slot->process.proc = NULL;
	my_slot->process.retry_at = ftc_clock_from_now(FTC_RETRY_MS);
	LWLockRelease(&s->lock);
}

static bool
attach(const FtcWorkerArgs *args)
{
	FtcShared  *s = ftc_shared();
	bool		alone;

	my_database = ftc_shared_database(args->database, false);
	if (my_database == NULL)
		return false;
	my_slot = &my_database->miner[args->miner];
	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	alone = my_slot->process.proc == NULL;
	if (alone)
	{
		my_slot->process.pid = MyProcPid;
		my_slot->process.proc = MyProc;
		my_slot->process.started = ftc_clock_timestamp();
		my_slot->attempts = 0;
		my_slot->hash_rate = 0;
	}
	LWLockRelease(&s->lock);
	if (alone)
		before_shmem_exit(detach, (Datum) 0);
	return alone;
}

static void
note(uint64 attempts, uint64 us)
{
	FtcShared  *s = ftc_shared();

	LWLockAcquire(&s->board, LW_EXCLUSIVE);
	my_slot->attempts += attempts;
	if (us > 0)
		my_slot->hash_rate = attempts * 1e6 / us;
	LWLockRelease(&s->board);
}

/*
 * Take less of a busy processor than others do.  True if we do, as far as the
 * system lets us: to take more again it must be another process.
 */
static bool
be_nice(void)
{
	static int	nice = 0;

	if (ftc_guc_mining_nice == nice)
		return true;
	if (ftc_guc_mining_nice < nice)
		return false;
	nice = ftc_guc_mining_nice;
	if (setpriority(PRIO_PROCESS, 0, nice) != 0)
		ereport(LOG,
				errmsg("could not set the priority of a miner: %m"));
	return true;
}

/*
 * Nobody posts anything where there is no sealer: the database may be gone, or
 * the extension.  One that was killed is back before long.
 */
static bool
has_sealer(void)
{
	static uint64 seen_at = 0;
	uint64		now = ftc_clock_steady();

	if (seen_at == 0 || my_database->worker[FTC_WORKER_SEALER].process.proc != NULL)
		seen_at = now;
	return now - seen_at < ALONE_US;
}

void
ftc_miner_main(Datum arg)
{
	FtcWorkerArgs args;

	memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (!attach(&args))
		proc_exit(0);
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	while (args.miner < ftc_guc_mining_workers && !my_database->stopped && has_sealer() && be_nice())
	{
		FtcMined	mined;

		if (ftc_guc_enabled && ftc_board_slice(my_database, &mined))
		{
			note(mined.attempts, mined.us);
			(void) ftc_mining_rest(mined.us);
		}
		else
			(void) ftc_worker_wait(LOOK_ANYWAY_MS, "FtchainMiner");
		ftc_worker_reload();
	}
	proc_exit(0);
}

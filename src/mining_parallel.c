/*-------------------------------------------------------------------------
 *
 * mining_parallel.c
 *	  A search for a proof of work in a session, with parallel workers.
 *
 * They come and go with the call, and count as parallel workers; but they are of
 * no database, and nobody waits for them who does not want what they find: the
 * end of a process takes longer than a cancelled search may.  All take ranges of
 * nonces from one counter, so none is tried twice.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"

#include "clock.h"
#include "mining.h"
#include "worker.h"

PGDLLEXPORT void ftc_mining_worker(Datum arg);

#define KERNEL_SETTING "ftchain.mining_kernel"

typedef struct Shared
{
	FtcHeader	header;			/* with the first nonce */
	uint64		most;
	uint64		start;			/* by ftc_clock_steady() */
	uint64		timeout;
	pg_atomic_uint64 taken;		/* nonces, from the first */
	pg_atomic_uint64 attempts;
	pg_atomic_uint64 hash_rate; /* of all that are done, together */
	pg_atomic_uint64 ended;		/* when the last was done */
	pg_atomic_uint64 found;		/* 1 above the offset of the nonce; 0: none */
	pg_atomic_uint32 stopped;	/* nobody waits for it any more */
	char		kernel[NAMEDATALEN];	/* the setting of the session */
} Shared;

/* A range that is still wanted: offset of its first nonce, and how many. */
static bool
take_range(Shared *shared, uint64 *offset, uint64 *count)
{
	*count = ftc_mining_slice_size();
	if (pg_atomic_read_u64(&shared->found) != 0 || pg_atomic_read_u32(&shared->stopped) != 0 ||
		ftc_clock_steady() - shared->start >= shared->timeout || pg_atomic_read_u64(&shared->taken) >= shared->most)
		return false;
	*offset = pg_atomic_fetch_add_u64(&shared->taken, *count);
	if (*offset >= shared->most)
		return false;
	*count = Min(*count, shared->most - *offset);
	return true;
}

/* What one process has done; it may have begun later than the others. */
static void
note(Shared *shared, uint64 attempts, uint64 begun)
{
	uint64		now = ftc_clock_steady();
	uint64		ended = pg_atomic_read_u64(&shared->ended);

	pg_atomic_fetch_add_u64(&shared->hash_rate, (int64) (attempts * 1e6 / Max(now - begun, 1)));
	while (ended < now && !pg_atomic_compare_exchange_u64(&shared->ended, &ended, now))
		;
}

static void
search(Shared *shared)
{
	uint64		begun = ftc_clock_steady();
	uint64		all = 0;
	uint64		offset;
	uint64		count;

	while (take_range(shared, &offset, &count))
	{
		FtcHeader	header = shared->header;
		uint64		none = 0;
		uint64		attempts;
		uint64		us;

		header.nonce += offset;
		if (ftc_mining_slice(&header, count, &attempts, &us))
			(void) pg_atomic_compare_exchange_u64(&shared->found, &none, header.nonce - shared->header.nonce + 1);
		all += attempts;
		pg_atomic_fetch_add_u64(&shared->attempts, attempts);
		ftc_worker_attend();
	}
	note(shared, all, begun);
}

/* The session has let go of it, whatever for. */
static void
stop(dsm_segment *segment, Datum shared)
{
	pg_atomic_write_u32(&((Shared *) DatumGetPointer(shared))->stopped, 1);
}

void
ftc_mining_worker(Datum arg)
{
	dsm_segment *segment;
	Shared	   *shared;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	segment = dsm_attach(DatumGetUInt32(arg));
	if (segment == NULL)
		proc_exit(0);			/* the session is faster */
	/* so that it is seen in pg_stat_activity, and can be ended there */
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	shared = dsm_segment_address(segment);
	SetConfigOption(KERNEL_SETTING, shared->kernel, PGC_SUSET, PGC_S_SESSION);
	search(shared);
	proc_exit(0);
}

static void
begin(Shared *shared, const FtcMining *mining)
{
	shared->header = mining->header;

	shared->most = mining->most;
	shared->start = ftc_clock_steady();
	shared->timeout = mining->timeout;
	pg_atomic_init_u64(&shared->taken, 0);
	pg_atomic_init_u64(&shared->attempts, 0);
	pg_atomic_init_u64(&shared->hash_rate, 0);
	pg_atomic_init_u64(&shared->ended, shared->start);
	pg_atomic_init_u64(&shared->found, 0);
	pg_atomic_init_u32(&shared->stopped, 0);
	strlcpy(shared->kernel, GetConfigOption(KERNEL_SETTING, false, false), sizeof(shared->kernel));
}

static void
end(Shared *shared, FtcMining *mining)
{
	uint64		found = pg_atomic_read_u64(&shared->found);

	mining->attempts = pg_atomic_read_u64(&shared->attempts);
	mining->hash_rate = pg_atomic_read_u64(&shared->hash_rate);
	mining->elapsed = pg_atomic_read_u64(&shared->ended) - shared->start;
	mining->found = found != 0;
	mining->header.nonce += found != 0 ? found - 1 : mining->attempts;
}

/* As many of n workers as there are to be had. */
static int
launch(BackgroundWorkerHandle **handles, int n, const dsm_segment *segment)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION | BGWORKER_CLASS_PARALLEL,
		.bgw_start_time = BgWorkerStart_ConsistentState,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(unconstify(dsm_segment *, segment))),
		.bgw_notify_pid = MyProcPid,
	};

	strlcpy(worker.bgw_library_name, "ftchain", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "ftc_mining_worker", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, "ftchain mining worker", sizeof(worker.bgw_type));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "ftchain mining worker for PID %d", MyProcPid);
	for (int i = 0; i < n; i++)
		if (!RegisterDynamicBackgroundWorker(&worker, &handles[i]))
			return i;
	return n;
}

/* The search with workers; false if there is no shared memory for it. */
static bool
run_parallel(FtcMining *mining, int workers)
{
	dsm_segment *segment = dsm_create(sizeof(Shared), DSM_CREATE_NULL_IF_MAXSEGMENTS);
	BackgroundWorkerHandle **handles = palloc((workers - 1) * sizeof(*handles));
	Shared	   *shared;
	int			launched;

	if (segment == NULL)
		return false;
	shared = dsm_segment_address(segment);
	begin(shared, mining);
	on_dsm_detach(segment, stop, PointerGetDatum(shared));
	launched = launch(handles, workers - 1, segment);
	if (launched < workers - 1)
		ereport(NOTICE,
				errmsg("only %d of %d workers are to be had", launched + 1, workers),
				errhint("See max_parallel_workers and max_worker_processes."));
	search(shared);
	for (int i = 0; i < launched; i++)
		(void) WaitForBackgroundWorkerShutdown(handles[i]);
	end(shared, mining);
	dsm_detach(segment);
	return true;
}

void
ftc_mining_run(FtcMining *mining, int workers)
{
	Shared		shared;

	if (workers > 1 && run_parallel(mining, workers))
		return;
	begin(&shared, mining);
	search(&shared);
	end(&shared, mining);
}

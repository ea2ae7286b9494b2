/*-------------------------------------------------------------------------
 *
 * mining_parallel.c
 *	  A search for a proof of work in a session, with parallel workers.
 *
 * As parallel queries have them: they come and go with the call.  All take
 * ranges of nonces from one counter, so none is tried twice.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "port/atomics.h"
#include "storage/shm_toc.h"

#include "clock.h"
#include "mining.h"
#include "worker.h"

PGDLLEXPORT extern void ftc_mining_worker(dsm_segment *segment, shm_toc *toc);

#define KEY_SHARED 1

typedef struct Shared
{
	FtcHeader	header;			/* with the first nonce */
	uint64		most;
	uint64		start;			/* by ftc_clock_steady() */
	uint64		timeout;
	pg_atomic_uint64 taken;		/* nonces, from the first */
	pg_atomic_uint64 attempts;
	pg_atomic_uint64 found;		/* 1 above the offset of the nonce; 0: none */
	pg_atomic_uint32 stopped;	/* nobody waits for it any more */
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

static void
search(Shared *shared)
{
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
		pg_atomic_fetch_add_u64(&shared->attempts, attempts);
		ftc_worker_attend();
	}
}

/*
 * A cancel tells the others at once: otherwise they would search until the
 * postmaster has sent them the signal of the end.
 */
static void
search_or_stop(Shared *shared)
{
	PG_TRY();
	{
		search(shared);
	}
	PG_CATCH();
	{
		pg_atomic_write_u32(&shared->stopped, 1);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

void
ftc_mining_worker(dsm_segment *segment, shm_toc *toc)
{
	search(shm_toc_lookup(toc, KEY_SHARED, false));
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
	pg_atomic_init_u64(&shared->found, 0);
	pg_atomic_init_u32(&shared->stopped, 0);
}

static void
end(const Shared *shared, FtcMining *mining)
{
	uint64		found = pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &shared->found));

	mining->attempts = pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &shared->attempts));
	mining->elapsed = ftc_clock_steady() - shared->start;
	mining->found = found != 0;
	mining->header.nonce += found != 0 ? found - 1 : mining->attempts;
}

/* The search with workers; false if there is no shared memory for it. */
static bool
run_parallel(FtcMining *mining, int workers)
{
	ParallelContext *context;
	Shared	   *shared;

	EnterParallelMode();
	context = CreateParallelContext("ftchain", "ftc_mining_worker", workers - 1);
	shm_toc_estimate_chunk(&context->estimator, sizeof(Shared));
	shm_toc_estimate_keys(&context->estimator, 1);
	InitializeParallelDSM(context);
	if (context->seg == NULL)
	{
		DestroyParallelContext(context);
		ExitParallelMode();
		return false;
	}
	shared = shm_toc_allocate(context->toc, sizeof(Shared));
	shm_toc_insert(context->toc, KEY_SHARED, shared);
	begin(shared, mining);
	LaunchParallelWorkers(context);
	if (context->nworkers_launched < workers - 1)
		ereport(NOTICE,
				errmsg("only %d of %d workers are to be had", context->nworkers_launched + 1, workers),
				errhint("See max_parallel_workers and max_worker_processes."));
	search_or_stop(shared);
	WaitForParallelWorkersToFinish(context);
	end(shared, mining);
	DestroyParallelContext(context);
	ExitParallelMode();
	return true;
}

void
ftc_mining_run(FtcMining *mining, int workers)
{
	Shared		shared;

	if (workers > 1 && !IsInParallelMode() && run_parallel(mining, workers))
		return;
	begin(&shared, mining);
	search(&shared);
	end(&shared, mining);
}

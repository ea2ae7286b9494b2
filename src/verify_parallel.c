/*-------------------------------------------------------------------------
 *
 * verify_parallel.c
 *	  Reading entries with parallel workers.
 *
 * As parallel queries do it: the workers have this transaction's snapshot, and
 * take chunks in turn with the leader.  What they find comes through queues;
 * the leader alone tells of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "port/atomics.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"

#include "datum.h"
#include "stmt.h"
#include "verify_part.h"
#include "worker.h"

/* Fewer entries are read before workers have started. */
#define ENTRIES_MIN 100000
#define SHARED_MAX (32 * 1024 * 1024)	/* there may be little shared memory */
#define QUEUE_BYTES 65536
#define QUEUE_FULL_MS 1000

/* In the segment that is shared. */
enum
{
	KEY_SHARED = 1,
	KEY_SPANS,
	KEY_HELD,
	KEY_CHUNKS,
	KEY_QUEUES
};

typedef struct Shared
{
	FtcChain	chain;			/* without its name */
	FtcEntryWork work;			/* without its pointers */
	pg_atomic_uint32 next;		/* chunk to be read */
} Shared;

/* What a worker tells. */
enum
{
	TELL_FAULT,
	TELL_STRAYS
};

PGDLLEXPORT extern void ftc_verify_worker(dsm_segment *segment, shm_toc *toc);

/* ----------------------------------------------------------------
 *		A worker
 * ----------------------------------------------------------------
 */

static void
put_text(StringInfo message, const char *text)
{
	pq_sendbyte(message, text !=NULL);
	if (text !=NULL)
		pq_sendstring(message, text);
}

static void
send_message(shm_mq_handle *queue, StringInfo message)
{
	/* the leader may have gone, by an error; ours comes soon */
	(void) shm_mq_send(queue, message->len, message->data, false, true);
	pfree(message->data);
}

static void
send_fault(void *arg, const FtcFault *fault)
{
	StringInfoData message;

	initStringInfo(&message);
	pq_sendbyte(&message, TELL_FAULT);
	pq_sendint64(&message, fault->height);
	pq_sendbyte(&message, fault->block != NULL);
	if (fault->block != NULL)
		pq_sendbytes(&message, (const char *) fault->block->b, FTC_HASH_LEN);
	pq_sendint64(&message, fault->entry);
	put_text(&message, fault->what);
	put_text(&message, fault->expected);
	put_text(&message, fault->found);
	send_message(arg, &message);
}

static void
send_strays(shm_mq_handle *queue, FtcIds *stray)
{
	StringInfoData message;

	initStringInfo(&message);
	pq_sendbyte(&message, TELL_STRAYS);
	for (int i = 0; i < stray->n; i++)
	{
		pq_sendint64(&message, stray->ranges[i].first);
		pq_sendint64(&message, stray->ranges[i].last);
	}
	if (stray->n > 0)
		send_message(queue, &message);
	stray->n = 0;
}

static int
next_chunk(Shared *shared)
{
	return (int) pg_atomic_fetch_add_u32(&shared->next, 1);
}

void
ftc_verify_worker(dsm_segment *segment, shm_toc *toc)
{
	Shared	   *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	char	   *queues = shm_toc_lookup(toc, KEY_QUEUES, false);
	shm_mq	   *mq = (shm_mq *) (queues + (Size) ParallelWorkerNumber * QUEUE_BYTES);
	FtcEntryWork work = shared->work;
	FtcVerification v = {.chain = &shared->chain,.callback = send_fault};
	FtcEntryReader reader;
	FtcScope	scope;

	work.spans = shm_toc_lookup(toc, KEY_SPANS, false);
	work.held = shm_toc_lookup(toc, KEY_HELD, false);
	work.chunks = shm_toc_lookup(toc, KEY_CHUNKS, false);
	shm_mq_set_sender(mq, MyProc);
	v.arg = shm_mq_attach(mq, segment, NULL);
	ftc_enter(&scope);
	ftc_freeze_active();
	ftc_verify_read_begin(&reader, &v, &work);
	for (int i = next_chunk(shared); i < work.nchunks; i = next_chunk(shared))
	{
		ftc_verify_read(&reader, i);
		send_strays(v.arg, &reader.stray);
	}
	ftc_thaw();
	ftc_leave(&scope);
	shm_mq_detach(v.arg);
}

/* ----------------------------------------------------------------
 *		The leader
 * ----------------------------------------------------------------
 */

typedef struct Leader
{
	FtcEntryReader *reader;
	ParallelContext *context;
	Shared	   *shared;
	int			nqueues;
	shm_mq_handle **queues;		/* NULL: it has told all */
} Leader;

/* In the message; NULL if there is none. */
static const char *
get_text(StringInfo message)
{
	return pq_getmsgbyte(message) ? pq_getmsgrawstring(message) : NULL;
}

static void
take_fault(Leader *l, StringInfo message)
{
	int64		height = pq_getmsgint64(message);
	FtcHash		block;
	bool		has_block = pq_getmsgbyte(message);
	int64		entry;
	const char *what;
	const char *expected;

	if (has_block)
		pq_copymsgbytes(message, (char *) block.b, FTC_HASH_LEN);
	entry = pq_getmsgint64(message);
	what = get_text(message);
	expected = get_text(message);
	ftc_verify_fault(l->reader->v, height, has_block ? &block : NULL, entry, what, expected, get_text(message));
}

static void
take_strays(Leader *l, StringInfo message)
{
	while (message->cursor < message->len)
	{
		int64		first = pq_getmsgint64(message);

		ftc_ids_add(&l->reader->stray, first, pq_getmsgint64(message));
	}
}

/* True if there was something. */
static bool
take_message(Leader *l, shm_mq_handle **queue)
{
	StringInfoData message = {0};
	Size		len;
	void	   *data;
	shm_mq_result result = shm_mq_receive(*queue, &len, &data, true);

	if (result == SHM_MQ_DETACHED)
		*queue = NULL;
	if (result != SHM_MQ_SUCCESS)
		return false;
	message.data = data;
	message.len = message.maxlen = (int) len;
	if (pq_getmsgbyte(&message) == TELL_FAULT)
		take_fault(l, &message);
	else
		take_strays(l, &message);
	return true;
}

/* All that has come so far; gives the number of queues that may bring more. */
static int
take_messages(Leader *l)
{
	int			open = 0;

	for (int i = 0; i < l->nqueues; i++)
	{
		while (l->queues[i] != NULL && take_message(l, &l->queues[i]))
			;
		open += l->queues[i] != NULL;
	}
	return open;
}

static void *
share(Leader *l, uint64 key, const void *data, Size size)
{
	void	   *shared = shm_toc_allocate(l->context->toc, Max(size, 1));

	if (data != NULL)
		memcpy(shared, data, size);
	shm_toc_insert(l->context->toc, key, shared);
	return shared;
}

static void
estimate(Leader *l, Size size)
{
	shm_toc_estimate_chunk(&l->context->estimator, Max(size, 1));
	shm_toc_estimate_keys(&l->context->estimator, 1);
}

static Size
sizes_of(const FtcEntryWork *w, Size *held, Size *chunks)
{
	*held = mul_size(w->nheld, sizeof(FtcHeld));
	*chunks = mul_size(w->nchunks + 1, sizeof(int32));
	return mul_size(w->nspans, sizeof(FtcSpan));
}

/* Everything that the workers are to know. */
static void
prepare(Leader *l, int nworkers)
{
	const FtcEntryWork *w = l->reader->work;
	Size		held;
	Size		chunks;
	Size		spans = sizes_of(w, &held, &chunks);

	l->context = CreateParallelContext("ftchain", "ftc_verify_worker", nworkers);
	estimate(l, sizeof(Shared));
	estimate(l, spans);
	estimate(l, held);
	estimate(l, chunks);
	estimate(l, mul_size(nworkers, QUEUE_BYTES));
	InitializeParallelDSM(l->context);
	/* there may be no shared memory to be had */
	if (l->context->seg == NULL)
		return;
	l->shared = share(l, KEY_SHARED, NULL, sizeof(Shared));
	l->shared->chain = *l->reader->v->chain;
	l->shared->chain.name = NULL;
	l->shared->work = *w;
	pg_atomic_init_u32(&l->shared->next, 0);
	share(l, KEY_SPANS, w->spans, spans);
	share(l, KEY_HELD, w->held, held);
	share(l, KEY_CHUNKS, w->chunks, chunks);
}

static void
launch(Leader *l, int nworkers)
{
	char	   *queues = share(l, KEY_QUEUES, NULL, mul_size(nworkers, QUEUE_BYTES));

	for (int i = 0; i < nworkers; i++)
		shm_mq_set_receiver(shm_mq_create(queues + (Size) i * QUEUE_BYTES, QUEUE_BYTES), MyProc);
	LaunchParallelWorkers(l->context);
	l->nqueues = l->context->nworkers_launched;
	l->queues = palloc(Max(l->nqueues, 1) * sizeof(shm_mq_handle *));
	for (int i = 0; i < l->nqueues; i++)
		l->queues[i] = shm_mq_attach((shm_mq *) (queues + (Size) i * QUEUE_BYTES), l->context->seg,
									 l->context->worker[i].bgwhandle);
}

static void
read_chunks(Leader *l)
{
	int			nchunks = l->reader->work->nchunks;

	for (int i = next_chunk(l->shared); i < nchunks; i = next_chunk(l->shared))
	{
		ftc_verify_read(l->reader, i);
		(void) take_messages(l);
	}
	while (take_messages(l) > 0)
		(void) ftc_worker_wait(QUEUE_FULL_MS, "FtchainVerify");
	WaitForParallelWorkersToFinish(l->context);
}

bool
ftc_verify_read_parallel(FtcEntryReader *reader)
{
	Leader		l = {.reader = reader};
	int			nworkers = Min(max_parallel_maintenance_workers, reader->work->nchunks - 1);
	bool		launched = false;
	Size		held;
	Size		chunks;
	Size		spans = sizes_of(reader->work, &held, &chunks);

	if (nworkers < 1 || reader->work->entries < ENTRIES_MIN || IsInParallelMode() ||
		spans + held + chunks > SHARED_MAX)
		return false;
	EnterParallelMode();
	prepare(&l, nworkers);
	if (l.context->seg != NULL)
		launch(&l, nworkers);
	launched = l.nqueues > 0;
	if (launched)
		read_chunks(&l);
	DestroyParallelContext(l.context);
	ExitParallelMode();
	return launched;
}

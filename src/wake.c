/*-------------------------------------------------------------------------
 *
 * wake.c
 *	  Waking workers when a transaction has committed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "clock.h"
#include "guc.h"
#include "shared.h"
#include "wake.h"

/* Of this transaction. */
static int	wake_at_commit = 0; /* whom, whatever is counted */
static uint64 new_heads = 0;	/* bits, by the number of the chain */
static bool new_copy = false;
static int64 appended_entries = 0;
static int64 appended_bytes = 0;
static int64 sent_messages = 0;
static bool hasty = false;		/* it is counted as one of those */
static bool wants_body = false;

void
ftc_wake_latch(PGPROC *proc)
{
	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

void
ftc_wake_at_commit(int whom)
{
	/* attach now: at commit it would be too late for an error */
	(void) ftc_shared_database(MyDatabaseId, true);
	wake_at_commit |= whom;
}

void
ftc_wake_new_head(int32 chain)
{
	ftc_wake_at_commit(FTC_WAKE_ALL);
	new_heads |= UINT64CONST(1) << (chain % FTC_SHARED_HEADS);
}

void
ftc_wake_new_copy(void)
{
	ftc_wake_at_commit(0);
	new_copy = true;
}

void
ftc_wake_want_body(void)
{
	ftc_wake_at_commit(FTC_WAKE_COURIER);
	wants_body = true;
}

uint64
ftc_wake_wants(void)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);

	return database == NULL ? 0 : pg_atomic_read_u64(&database->wants);
}

void
ftc_wake_note_append(int64 entries, int64 bytes)
{
	ftc_wake_at_commit(0);
	appended_entries += entries;
	appended_bytes += bytes;
}

void
ftc_wake_note_send(void)
{
	ftc_wake_at_commit(0);
	sent_messages++;
}

int64
ftc_wake_sent(bool take)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);

	if (database == NULL)
		return sent_messages;
	return sent_messages + (int64) (take ? pg_atomic_exchange_u64(&database->sent, 0)
									: pg_atomic_read_u64(&database->sent));
}

uint64
ftc_wake_hasty_begun(void)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);

	return database == NULL ? UINT64_MAX : pg_atomic_read_u64(&database->hasty_begun);
}

uint64
ftc_wake_hasty_ended(void)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);

	return database == NULL ? 0 : pg_atomic_read_u64(&database->hasty_ended);
}

void
ftc_wake_note_positions(XLogRecPtr at)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);
	uint64		before = database == NULL ? at : pg_atomic_read_u64(&database->positions);

	while (before < at && !pg_atomic_compare_exchange_u64(&database->positions, &before, at))
		;
}

XLogRecPtr
ftc_wake_positions_given(void)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);

	return database == NULL ? InvalidXLogRecPtr : pg_atomic_read_u64(&database->positions);
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

/* The first message after the courier looked wakes it, and a full call of them. */
static bool
is_courier_concerned(FtcDatabaseSlot *database)
{
	uint64		before = pg_atomic_fetch_add_u64(&database->sent, sent_messages);

	return before == 0 || (before < FTC_WAKE_SENT_MANY && before + sent_messages >= FTC_WAKE_SENT_MANY);
}

static void
wake(void)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);

	if (database == NULL)
		return;
	if (appended_entries > 0 && is_sealer_concerned(database))
		wake_at_commit |= FTC_WAKE_SEALER;
	if (sent_messages > 0 && is_courier_concerned(database))
		wake_at_commit |= FTC_WAKE_COURIER;
	if (wake_at_commit == 0 && !new_copy)
		return;
	if (wants_body)
		pg_atomic_fetch_add_u64(&database->wants, 1);
	for (int i = 0; i < FTC_SHARED_HEADS; i++)
		if (new_heads & (UINT64CONST(1) << i))
			pg_atomic_fetch_add_u64(&database->heads[i], 1);
	if (new_heads != 0 || new_copy)
		ConditionVariableBroadcast(&database->new_head);
	LWLockAcquire(&s->lock, LW_SHARED);
	for (int i = 0; i < FTC_WORKER_KINDS; i++)
		if (wake_at_commit & (1 << i))
			ftc_wake_latch(database->worker[i].process.proc);
	if (wake_at_commit & FTC_WAKE_LAUNCHER)
		ftc_wake_latch(s->launcher);
	LWLockRelease(&s->lock);
}

/* Before others see what it sent; and after that. */
static void
note_haste(XactEvent event)
{
	FtcDatabaseSlot *database;

	if (sent_messages == 0 || synchronous_commit != SYNCHRONOUS_COMMIT_OFF || event != XACT_EVENT_PRE_COMMIT)
		return;
	database = ftc_shared_database(MyDatabaseId, false);
	if (database == NULL)
		return;
	pg_atomic_fetch_add_u64(&database->hasty_begun, 1);
	hasty = true;
}

static void
note_end_of_haste(void)
{
	FtcDatabaseSlot *database = hasty ? ftc_shared_database(MyDatabaseId, false) : NULL;

	if (database != NULL)
		pg_atomic_fetch_add_u64(&database->hasty_ended, 1);
	hasty = false;
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	note_haste(event);
	if (event == XACT_EVENT_COMMIT && (wake_at_commit != 0 || new_copy || appended_entries > 0 || sent_messages > 0))
		wake();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		wake_at_commit = 0;
		new_heads = 0;
		new_copy = false;
		appended_entries = appended_bytes = 0;
		sent_messages = 0;
		wants_body = false;
		note_end_of_haste();
	}
}

void
ftc_wake_appended(int64 *entries, int64 *bytes, bool take)
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
ftc_wake_heads(int32 chain)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);

	return database == NULL ? 0 : pg_atomic_read_u64(&database->heads[chain % FTC_SHARED_HEADS]);
}

/* ----------------------------------------------------------------
 *		Waiting for a head
 * ----------------------------------------------------------------
 */

#define WANTED_US (5 * UINT64CONST(1000000))

void
ftc_wake_expect(void)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);

	if (database != NULL)
		ConditionVariablePrepareToSleep(&database->new_head);
}

void
ftc_wake_await(long timeout_ms)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);

	if (database == NULL)
		(void) ftc_worker_wait(Min(timeout_ms, 100), "FtchainNewHead");
	else
		(void) ConditionVariableTimedSleep(&database->new_head, timeout_ms, ftc_worker_wait_event("FtchainNewHead"));
}

void
ftc_wake_expected(void)
{
	ConditionVariableCancelSleep();
}

/* The place of a chain; a free one, or the one that was wanted longest ago. */
static FtcWantedSlot *
wanted_slot(FtcDatabaseSlot *database, int32 chain)
{
	FtcWantedSlot *oldest = &database->wanted_height[0];

	for (int i = 0; i < FTC_SHARED_CANDIDATES; i++)
	{
		FtcWantedSlot *slot = &database->wanted_height[i];

		if (slot->chain == chain)
			return slot;
		if (slot->said_at < oldest->said_at)
			oldest = slot;
	}
	return oldest;
}

static bool
is_wanted_still(const FtcWantedSlot *slot, int32 chain)
{
	return slot->chain == chain && ftc_clock_steady() - slot->said_at < WANTED_US;
}

void
ftc_wake_want_height(int32 chain, int64 height)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);
	FtcWantedSlot *slot;

	if (database == NULL)
		return;
	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	slot = wanted_slot(database, chain);
	if (!is_wanted_still(slot, chain) || slot->height <= height)
	{
		slot->chain = chain;
		slot->height = height;
		slot->said_at = ftc_clock_steady();
		ftc_wake_latch(database->worker[FTC_WORKER_SEALER].process.proc);
	}
	LWLockRelease(&s->lock);
}

int64
ftc_wake_wanted_height(int32 chain)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);
	int64		height = -1;

	if (database == NULL)
		return -1;
	LWLockAcquire(&s->lock, LW_SHARED);
	for (int i = 0; i < FTC_SHARED_CANDIDATES; i++)
		if (is_wanted_still(&database->wanted_height[i], chain))
			height = database->wanted_height[i].height;
	LWLockRelease(&s->lock);
	return height;
}

void
ftc_wake_init(void)
{
	RegisterXactCallback(at_end_of_transaction, NULL);
}

/*-------------------------------------------------------------------------
 *
 * board.c
 *	  The mining board: candidates that want a nonce.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "board.h"
#include "clock.h"
#include "mining.h"
#include "wake.h"

/* How long a chain keeps its place when others wait for one. */
#define TURN_US (2 * UINT64CONST(1000000))

/* The place of a chain; NULL if it has none.  Holding the lock. */
static FtcCandidateSlot *
find_slot(FtcDatabaseSlot *database, int32 chain)
{
	for (int i = 0; i < FTC_SHARED_CANDIDATES; i++)
		if (database->candidate[i].chain == chain)
			return &database->candidate[i];
	return NULL;
}

/* A free one, or the one that was held longest, if that is long. */
static FtcCandidateSlot *
take_slot(FtcDatabaseSlot *database, uint64 now)
{
	FtcCandidateSlot *free = find_slot(database, 0);

	for (int i = 0; free == NULL && i < FTC_SHARED_CANDIDATES; i++)
	{
		FtcCandidateSlot *slot = &database->candidate[i];

		if (!slot->found && now - slot->posted_at > TURN_US)
			free = slot;
	}
	for (int i = 0; free != NULL && free->chain != 0 && i < FTC_SHARED_CANDIDATES; i++)
		if (!database->candidate[i].found && database->candidate[i].posted_at < free->posted_at)
			free = &database->candidate[i];
	if (free == NULL)
		return NULL;
	free->chain = 0;
	free->found = false;
	free->posted_at = now;
	return free;
}

static void
wake_miners(FtcDatabaseSlot *database)
{
	FtcShared  *s = ftc_shared();

	LWLockAcquire(&s->lock, LW_SHARED);
	for (int i = 0; i < FTC_SHARED_MINERS; i++)
		ftc_wake_latch(database->miner[i].process.proc);
	LWLockRelease(&s->lock);
}

static void
wake_sealer(FtcDatabaseSlot *database)
{
	FtcShared  *s = ftc_shared();

	LWLockAcquire(&s->lock, LW_SHARED);
	ftc_wake_latch(database->worker[FTC_WORKER_SEALER].process.proc);
	LWLockRelease(&s->lock);
}

/* Attempts at children of another parent do not count. */
static void
count_from(FtcCandidateSlot *slot, const FtcHeader *header, uint64 attempts, uint64 since)
{
	if (slot->chain != 0 && ftc_hash_equal(&slot->header.prev, &header->prev))
		return;
	slot->attempts = slot->earlier = attempts;
	slot->since = since;
	slot->began = ftc_clock_steady();
}

bool
ftc_board_post(int32 chain, const FtcHeader *header, uint64 heads, uint64 attempts, uint64 since)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);
	FtcCandidateSlot *slot;
	bool		posted;

	if (database == NULL)
		return false;
	LWLockAcquire(&s->board, LW_EXCLUSIVE);
	slot = find_slot(database, chain);
	if (slot == NULL)
		slot = take_slot(database, ftc_clock_steady());
	posted = slot != NULL && !slot->found;
	if (posted)
	{
		count_from(slot, header, attempts, since);
		slot->chain = chain;
		slot->header = *header;
		slot->number = ++database->candidates;
		slot->heads = heads;
	}
	LWLockRelease(&s->board);
	if (posted)
		wake_miners(database);
	return posted;
}

void
ftc_board_withdraw(int32 chain)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);
	FtcCandidateSlot *slot;

	if (database == NULL)
		return;
	LWLockAcquire(&s->board, LW_EXCLUSIVE);
	slot = find_slot(database, chain);
	if (slot != NULL)
	{
		slot->chain = 0;
		slot->found = false;
	}
	LWLockRelease(&s->board);
}

void
ftc_board_clear(FtcDatabaseSlot *database)
{
	FtcShared  *s = ftc_shared();

	LWLockAcquire(&s->board, LW_EXCLUSIVE);
	memset(database->candidate, 0, sizeof(database->candidate));
	LWLockRelease(&s->board);
}

int
ftc_board_miners(FtcDatabaseSlot *database)
{
	FtcShared  *s = ftc_shared();
	int			n = 0;

	LWLockAcquire(&s->lock, LW_SHARED);
	for (int i = 0; i < FTC_SHARED_MINERS; i++)
		n += database->miner[i].process.proc != NULL;
	LWLockRelease(&s->lock);
	return n;
}

bool
ftc_board_look(int32 chain, FtcPosted *posted)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);
	FtcCandidateSlot *slot;
	uint64		now = ftc_clock_steady();

	if (database == NULL)
		return false;
	LWLockAcquire(&s->board, LW_SHARED);
	slot = find_slot(database, chain);
	if (slot != NULL)
	{
		posted->header = slot->header;
		posted->found = slot->found;
		posted->attempts = slot->attempts;
		posted->since = slot->since;
		posted->hash_rate = now > slot->began ? (slot->attempts - slot->earlier) * 1e6 / (now - slot->began) : 0;
	}
	LWLockRelease(&s->board);
	return slot != NULL;
}

/* ----------------------------------------------------------------
 *		Mining
 * ----------------------------------------------------------------
 */

/* A range of nonces of a candidate. */
typedef struct Range
{
	int			slot;
	uint64		number;			/* of the candidate */
	FtcHeader	header;			/* with the first of them */
	uint64		count;
} Range;

static bool
is_wanted(FtcDatabaseSlot *database, const FtcCandidateSlot *slot)
{
	return slot->chain != 0 && !slot->found &&
		slot->heads == pg_atomic_read_u64(&database->heads[slot->chain % FTC_SHARED_HEADS]);
}

static bool
take_range(FtcDatabaseSlot *database, Range *range)
{
	static int	last = 0;
	FtcShared  *s = ftc_shared();
	bool		taken = false;

	range->count = ftc_mining_slice_size();
	LWLockAcquire(&s->board, LW_EXCLUSIVE);
	for (int i = 1; i <= FTC_SHARED_CANDIDATES && !taken; i++)
	{
		FtcCandidateSlot *slot = &database->candidate[(last + i) % FTC_SHARED_CANDIDATES];

		if (!is_wanted(database, slot))
			continue;
		range->slot = (last + i) % FTC_SHARED_CANDIDATES;
		range->number = slot->number;
		range->header = slot->header;
		slot->header.nonce += range->count;
		taken = true;
	}
	LWLockRelease(&s->board);
	if (taken)
		last = range->slot;
	return taken;
}

/* Of two who find a nonce the first counts. */
static bool
report_range(FtcDatabaseSlot *database, const Range *range, uint64 attempts, bool found)
{
	FtcShared  *s = ftc_shared();
	FtcCandidateSlot *slot = &database->candidate[range->slot];

	LWLockAcquire(&s->board, LW_EXCLUSIVE);
	if (slot->chain != 0 && ftc_hash_equal(&slot->header.prev, &range->header.prev))
		slot->attempts += attempts;
	found = found && slot->chain != 0 && slot->number == range->number && !slot->found;
	if (found)
	{
		slot->found = true;
		slot->header.nonce = range->header.nonce;
	}
	LWLockRelease(&s->board);
	if (found)
		wake_sealer(database);
	return found;
}

bool
ftc_board_slice(FtcDatabaseSlot *database, FtcMined *mined)
{
	Range		range;

	if (!take_range(database, &range))
		return false;
	mined->found = ftc_mining_slice(&range.header, range.count, &mined->attempts, &mined->us);
	mined->found = report_range(database, &range, mined->attempts, mined->found);
	return true;
}

/*-------------------------------------------------------------------------
 *
 * shared.c
 *	  What workers and sessions share in memory.
 *
 * It is small enough for the room that every server has to spare, so that it
 * can be had without preloading too, as pg_prewarm does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "clock.h"
#include "shared.h"

static FtcShared *shared = NULL;

Size
ftc_shared_size(void)
{
	return MAXALIGN(sizeof(FtcShared));
}

/*
 * After a crash the postmaster makes its shared memory anew, but lives on with
 * its variables, and every child inherits them.
 */
void
ftc_shared_forget(void)
{
	shared = NULL;
}

FtcShared *
ftc_shared(void)
{
	bool		found;

	if (shared != NULL)
		return shared;
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("ftchain", ftc_shared_size(), &found);
	if (!found)
	{
		memset(shared, 0, ftc_shared_size());
		shared->run = ftc_clock_now();
#if PG_VERSION_NUM >= 190000
		LWLockInitialize(&shared->lock, LWLockNewTrancheId("ftchain"));
#else
		LWLockInitialize(&shared->lock, LWLockNewTrancheId());
#endif
		LWLockInitialize(&shared->board, shared->lock.tranche);
		for (int i = 0; i < FTC_SHARED_DATABASES; i++)
		{
			for (int j = 0; j < FTC_SHARED_HEADS; j++)
				pg_atomic_init_u64(&shared->database[i].heads[j], 0);
			ConditionVariableInit(&shared->database[i].new_head);
			pg_atomic_init_u64(&shared->database[i].entries, 0);
			pg_atomic_init_u64(&shared->database[i].bytes, 0);
			pg_atomic_init_u64(&shared->database[i].sent, 0);
			pg_atomic_init_u64(&shared->database[i].wants, 0);
			pg_atomic_init_u64(&shared->database[i].hasty_begun, 0);
			pg_atomic_init_u64(&shared->database[i].hasty_ended, 0);
			pg_atomic_init_u64(&shared->database[i].positions, InvalidXLogRecPtr);
		}
	}
	LWLockRelease(AddinShmemInitLock);
#if PG_VERSION_NUM < 190000
	LWLockRegisterTranche(shared->lock.tranche, "ftchain");
#endif
	return shared;
}

FtcDatabaseSlot *
ftc_shared_database(Oid database, bool make)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *slot = NULL;

	LWLockAcquire(&s->lock, make ? LW_EXCLUSIVE : LW_SHARED);
	for (int i = 0; i < FTC_SHARED_DATABASES && slot == NULL; i++)
		if (s->database[i].database == database)
			slot = &s->database[i];
	for (int i = 0; make && i < FTC_SHARED_DATABASES && slot == NULL; i++)
		if (!OidIsValid(s->database[i].database))
		{
			slot = &s->database[i];
			slot->database = database;
		}
	LWLockRelease(&s->lock);
	return slot;
}

void
ftc_shared_text(char *into, const char *text)
{
	size_t		len = pg_mbcliplen(text, strlen(text), FTC_SHARED_TEXT - 1);

	memcpy(into, text, len);
	into[len] = '\0';
}

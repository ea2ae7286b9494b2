/*-------------------------------------------------------------------------
 *
 * wake.h
 *	  Waking workers when a transaction has committed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_WAKE_H
#define FTC_WAKE_H

#include "storage/proc.h"

#include "worker.h"

/* Whom to wake when this transaction has committed. */
#define FTC_WAKE_SEALER		(1 << FTC_WORKER_SEALER)
#define FTC_WAKE_COURIER	(1 << FTC_WORKER_COURIER)
#define FTC_WAKE_KEEPER		(1 << FTC_WORKER_KEEPER)
#define FTC_WAKE_ALL		(FTC_WAKE_SEALER | FTC_WAKE_COURIER | FTC_WAKE_KEEPER)
#define FTC_WAKE_LAUNCHER	(1 << 8)

extern void ftc_wake_init(void);	/* from _PG_init */
extern void ftc_wake_at_commit(int whom);
extern void ftc_wake_note_append(int64 entries, int64 bytes);

/* Appends committed since the last call, to decide whether to seal now. */
extern void ftc_wake_appended(int64 *entries, int64 *bytes, bool take);

/* When this transaction has committed a chain has another head: everybody looks up. */
extern void ftc_wake_new_head(int32 chain);

/* ... who wait, at least, as another copy is stored. */
extern void ftc_wake_new_copy(void);

/* Rises whenever the head of a chain changes. */
extern uint64 ftc_wake_heads(int32 chain);

/*
 * In a session, waiting for a change of a head: expect it, look, await it, look
 * again, ..., and be done.  An error does that, too.
 */
extern void ftc_wake_expect(void);
extern void ftc_wake_await(long timeout_ms);
extern void ftc_wake_expected(void);

/*
 * Somebody waits for a chain to get this high: the sealer makes blocks without
 * entries, too, until it is.  It is forgotten after some seconds.
 */
extern void ftc_wake_want_height(int32 chain, int64 height);
extern int64 ftc_wake_wanted_height(int32 chain);	/* -1: nobody */

/*
 * Positions of messages were given up to there in the WAL, and need not be on disk;
 * whatever process did it.
 */
extern void ftc_wake_note_positions(XLogRecPtr at);
extern XLogRecPtr ftc_wake_positions_given(void);

/*
 * When this transaction has committed a body is wanted that was not: the courier
 * looks for it.  Rises whenever that happens.
 */
extern void ftc_wake_want_body(void);
extern uint64 ftc_wake_wants(void);

/* Wake one process at once; NULL: nobody.  Holding the lock of shared.h. */
extern void ftc_wake_latch(PGPROC *proc);

/*
 * A message was sent in this transaction.  How many were, and others committed that
 * have no position yet; take: those are about to get one.
 */
#define FTC_WAKE_SENT_MANY 1000 /* enough for a call: no need to wait for more */
extern void ftc_wake_note_send(void);
extern int64 ftc_wake_sent(bool take);

/*
 * Transactions that sent messages and do not wait for the disk: others see them
 * before they are there.  How many had begun to commit, and had ended.
 */
extern uint64 ftc_wake_hasty_begun(void);
extern uint64 ftc_wake_hasty_ended(void);

#endif							/* FTC_WAKE_H */

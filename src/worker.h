/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  The background workers: starting, waking, waiting, surviving.
 *
 * A launcher, without a database, keeps three workers for each database that
 * wants them:
 *
 *		sealer		bundles and blocks (seal.c)
 *		courier		everything between databases (courier.c)
 *		keeper		scrub and repair (keeper.c)
 *
 * Each has an SQL twin that runs the same steps in a session.  Shared memory
 * holds latches, wake-up flags and progress: losing it costs a delay.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_WORKER_H
#define FTC_WORKER_H

#include "storage/latch.h"

typedef enum FtcWorkerKind
{
	FTC_WORKER_SEALER,
	FTC_WORKER_COURIER,
	FTC_WORKER_KEEPER
} FtcWorkerKind;
#define FTC_WORKER_KINDS 3

/* Whom to wake when this transaction has committed. */
#define FTC_WAKE_SEALER		(1 << FTC_WORKER_SEALER)
#define FTC_WAKE_COURIER	(1 << FTC_WORKER_COURIER)
#define FTC_WAKE_KEEPER		(1 << FTC_WORKER_KEEPER)
#define FTC_WAKE_ALL		(FTC_WAKE_SEALER | FTC_WAKE_COURIER | FTC_WAKE_KEEPER)
#define FTC_WAKE_LAUNCHER	(1 << 8)
#define FTC_WAKE_NEW_HEAD	(1 << 9)	/* and whoever mines looks up */

extern void ftc_worker_init(void);	/* from _PG_init */
extern void ftc_worker_wake_at_commit(int whom);
extern void ftc_worker_note_append(int64 entries, int64 bytes);

/* Appends committed since the last call, to decide whether to seal now. */
extern void ftc_worker_appended(int64 *entries, int64 *bytes, bool take);

/* Rises whenever the head of a chain of this database changes. */
extern uint64 ftc_worker_heads(void);

/* Progress, shown by ftchain.worker_status(). */
extern void ftc_worker_progress(const char *text);
extern void ftc_worker_mined(uint64 attempts, uint64 us);

/*
 * A step: a transaction of its own.  In a worker, ftc_step_begin gives false if
 * the extension is not there, or is being dropped, or the database is not
 * ours to write: then nothing was begun.  In a procedure it just goes on.
 */
extern bool ftc_step_begin(const char *activity);
extern void ftc_step_end(void);

/* This one need not be on disk when it ends: whatever it does is found missing. */
extern void ftc_step_may_be_lost(void);

/*
 * Run a step; in a worker an error is logged (once, while it stays the same),
 * recorded and swallowed, and gives false; in a procedure it goes its way.
 */
typedef bool (*FtcStep) (void *arg);	/* true if there is more to do */
extern bool ftc_step_try(FtcStep step, void *arg, bool *more);

/* The current error, forgotten, as one line in the given context. */
extern char *ftc_step_error(MemoryContext context);

/*
 * The only wait: interrupts, signals and reload are looked after.  Gives true
 * if the latch was set.
 */
extern bool ftc_worker_wait(long timeout_ms, const char *event);
extern void ftc_worker_attend(void);	/* the same without waiting */
extern bool ftc_worker_must_leave(void);	/* somebody wants the database, or
											 * no workers */

/* In a session, commit what a procedure has done so far and go on. */
extern void ftc_procedure_begin(FunctionCallInfo fcinfo, const char *name);
extern void ftc_procedure_commit(void);
extern void ftc_procedure_end(void);

#endif							/* FTC_WORKER_H */

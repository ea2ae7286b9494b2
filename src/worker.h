/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  The background workers: starting, waking, waiting, surviving.
 *
 * A launcher, without a database, keeps three workers for each database that
 * wants them:
 *
 *		sealer		bundles and blocks (sealer.c)
 *		courier		everything between databases (courier.c)
 *		keeper		scrub and repair (keeper.c)
 *
 * and as many miners as ftchain.mining_workers says (miner.c), which are
 * of no database.  Each of the three has an SQL twin that runs the same steps in a
 * session.  Shared memory holds latches, wake-up flags and progress: losing it
 * costs a delay.
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

extern const char *ftc_worker_name(FtcWorkerKind kind);

/* Progress, shown by ftchain.worker_status(). */
extern void ftc_worker_progress(const char *text);
extern void ftc_worker_mined(uint64 attempts, uint64 us);
extern void ftc_worker_note_error(const char *message);

/*
 * The only wait: interrupts, signals and reload are looked after.  Gives true
 * if the latch was set.
 */
extern bool ftc_worker_is_called(void); /* somebody has woken us, since the
										 * last time */
extern bool ftc_worker_wait(long timeout_ms, const char *event);
extern void ftc_worker_attend(void);	/* the same without waiting */
extern void ftc_worker_reload(void);	/* a background process: interrupts
										 * and settings alone */
extern bool ftc_worker_must_leave(void);	/* somebody wants the database, or
											 * no workers */
extern void ftc_worker_leave(void); /* from now on it must */
extern uint32 ftc_worker_wait_event(const char *name);

#endif							/* FTC_WORKER_H */

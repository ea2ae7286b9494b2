/*-------------------------------------------------------------------------
 *
 * step.h
 *	  Steps: transactions of a worker, or of a procedure in a session.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_STEP_H
#define FTC_STEP_H

#include "fmgr.h"

extern void ftc_step_init(void);	/* from _PG_init */

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

/* In a session, commit what a procedure has done so far and go on. */
extern void ftc_procedure_begin(FunctionCallInfo fcinfo, const char *name);
extern void ftc_procedure_commit(void);
extern void ftc_procedure_end(void);

#endif							/* FTC_STEP_H */

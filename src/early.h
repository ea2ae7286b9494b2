/*-------------------------------------------------------------------------
 *
 * early.h
 *	  Messages that came before those in front of them.
 *
 * They wait in a table, with the chain value that must be reached before each:
 * only what its sender has signed for gets there.  What finds no room is sent
 * again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_EARLY_H
#define FTC_EARLY_H

#include "receive.h"

/* Which are there, into r->link, of which end is known. */
extern void ftc_early_load(FtcIntake *r);

/* False if there are too many of the sender's, on other links. */
extern bool ftc_early_put(FtcIntake *r, uint64 seq, const FtcHash *before, FtcSlice bytes);

/*
 * Some that come next, in order; 0 if there are none which follow the link as it
 * is.
 */
extern int	ftc_early_next(const FtcIntake *r, FtcMessage **messages);

/* Forget them all; those whose time is over. */
extern void ftc_early_drop(FtcIntake *r);
extern void ftc_early_tidy(FtcIntake *r);

/* Forget those of whom nobody knows any more, and what is very old. */
extern void ftc_early_prune(void);

#endif							/* FTC_EARLY_H */

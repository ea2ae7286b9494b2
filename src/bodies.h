/*-------------------------------------------------------------------------
 *
 * bodies.h
 *	  Bodies that this database should hold: which to ask for, and which came.
 *
 * Those that are wanted are asked for in passes, from the lowest to the
 * highest, of each peer.  Those that came are settled, several at once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_BODIES_H
#define FTC_BODIES_H

#include "contact.h"

extern void ftc_bodies_begin_pass(FtcLine *line);

/*
 * The next body to ask this peer for, in c->call.line->wanted.  False if there
 * is none now; line->passed says whether all were looked at.
 */
extern bool ftc_bodies_next(FtcContact *c);

/*
 * Bodies that only moved are asked for within ftchain.move_budget from now on;
 * and one of them came, with so many bytes.
 */
extern void ftc_bodies_heed_budget(void);
extern void ftc_bodies_moved(size_t bytes);

/* A body is stored, or need not be. */
extern void ftc_bodies_came(const FtcChain *chain, const FtcHash *block);

/* Settle those that are due.  Each chain is a step of its own. */
extern void ftc_bodies_settle(void);
extern void ftc_bodies_forget(void);

/* How long to be patient with bodies that others may store, us. */
#define FTC_BODIES_PATIENCE_US (600 * 1000)

#endif							/* FTC_BODIES_H */

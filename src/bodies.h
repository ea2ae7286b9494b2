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
 * What to ask this peer for next, a body that is wanted or a chunk of one of which
 * some has come: in c->call.part.  False if there is nothing now; line->passed says
 * whether all that are wanted were looked at.
 */
extern bool ftc_bodies_next(FtcContact *c);

/*
 * Bodies that only moved are asked for within ftchain.move_budget from now on;
 * and so many bytes of one came, perhaps none.
 */
extern void ftc_bodies_heed_budget(void);
extern void ftc_bodies_moved(const FtcAsked *call, size_t bytes);

/*
 * There is no room for this one now; this peer does not have that one, of that length
 * if it is not 0; some of one came by this line, and more may be asked for.
 */
extern void ftc_bodies_no_room(const FtcHash *block);
extern void ftc_bodies_lacks(FtcContact *c, const FtcHash *block, uint64 total);
extern void ftc_bodies_fetching(FtcLine *line);

/*
 * One is whole: the keeper takes it, or a session itself; the courier only if
 * nobody else has for some time, as it has other things to do.
 */
extern void ftc_bodies_whole(void);
extern void ftc_bodies_finish(void);

/* Is one still to be taken, or is there no room for one? */
extern bool ftc_bodies_are_waiting(void);

/* A body is stored, or need not be. */
extern void ftc_bodies_came(const FtcChain *chain, const FtcHash *block);

/* Settle those that are due.  Each chain is a step of its own. */
extern void ftc_bodies_settle(void);
extern void ftc_bodies_forget(void);

/* How long to be patient with bodies that others may store, us. */
#define FTC_BODIES_PATIENCE_US (600 * 1000)

#endif							/* FTC_BODIES_H */

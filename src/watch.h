/*-------------------------------------------------------------------------
 *
 * watch.h
 *	  Whether peers are there: what the courier hears of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_WATCH_H
#define FTC_WATCH_H

/* Look at all contacts, now and then; what has changed is written down and told. */
extern void ftc_watch_turn(void);

#endif							/* FTC_WATCH_H */

/*-------------------------------------------------------------------------
 *
 * alarm.h
 *	  What does not go on until an operator has looked at it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_ALARM_H
#define FTC_ALARM_H

#include "chain.h"
#include "compat.h"

#define FTC_ALARM_DAMAGE "much damage"	/* nothing is repaired by itself */
#define FTC_ALARM_DIVERGENCE "divergence"	/* nothing is written to the chain */
#define FTC_ALARM_RECOVERY "recovery"	/* the same, until it is done */

/* Raise it, unless it holds already; gives whether it is news. */
extern bool ftc_alarm_raise(int32 chain, const char *kind, const FtcHash *member, int64 height, const char *detail);
extern bool ftc_alarm_holds(int32 chain, const char *kind);

/* May nothing be written to the chain? */
extern bool ftc_alarm_stops(int32 chain);

/* The error for who would write to such a chain. */
pg_noreturn extern void ftc_alarm_refuse(const char *chain);

/* What it was about is over: forget that it was lifted, too. */
extern void ftc_alarm_forget(int32 chain, const char *kind);

#endif							/* FTC_ALARM_H */

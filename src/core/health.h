/*-------------------------------------------------------------------------
 *
 * health.h
 *	  Whether another member is there, as far as one can tell by listening.
 *
 *		UP -> SUSPECT	it is silent for longer than it ever is
 *		   -> DOWN		for longer than a hitch of the network lasts
 *		   -> OUT		for so long that its copies are made anew elsewhere: a
 *						restart must not start that
 *		   -> RETURNED	it is heard again, and takes what it has missed
 *		   -> UP		it has
 *
 * How long a silence is usual is learned from the silences so far, as TCP learns
 * how long an answer takes.  Who listens may have been asleep: time in which it
 * did not listen is no silence.
 *
 * Times are microseconds of a clock that nobody sets back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_HEALTH_H
#define FTC_HEALTH_H

#include "types.h"

typedef enum FtcHealthState
{
	FTC_HEALTH_UNKNOWN,			/* not heard of yet */
	FTC_HEALTH_UP,
	FTC_HEALTH_SUSPECT,
	FTC_HEALTH_DOWN,
	FTC_HEALTH_OUT,
	FTC_HEALTH_RETURNED
} FtcHealthState;
#define FTC_HEALTH_STATES 6

/* All zeros is new. */
typedef struct FtcHealth
{
	FtcHealthState state;
	uint64_t	since;			/* when it began to be so */
	uint64_t	heard_at;		/* the last sign of life; or when it was first
								 * listened for */
	uint64_t	gap;			/* usual time between two signs, smoothed */
	uint64_t	deviation;		/* from that, smoothed */
} FtcHealth;

typedef struct FtcHealthLimits
{
	uint64_t	heartbeat;		/* how often it should be heard */
	uint64_t	down;			/* silence after which it is down */
	uint64_t	grace;			/* and then out */
} FtcHealthLimits;

/* A sign of life, at that time. */
extern void ftc_health_hear(FtcHealth *health, uint64_t at);

/* Whoever listens did not, for so long. */
extern void ftc_health_slept(FtcHealth *health, uint64_t us);

/* How it is now; drained: it has taken all that waited for it. */
extern void ftc_health_look(FtcHealth *health, const FtcHealthLimits *limits, bool drained, uint64_t now);

/* As it was when somebody listened last, perhaps long ago. */
extern void ftc_health_recall(FtcHealth *health, FtcHealthState state, uint64_t now);

extern const char *ftc_health_name(FtcHealthState state);
extern bool ftc_health_of_name(const char *name, FtcHealthState *state);

/* When its silence becomes suspicious. */
extern uint64_t ftc_health_suspicion(const FtcHealth *health, const FtcHealthLimits *limits);

/*
 * May copies be made anew for those that are out?  Not if they are more than a
 * third of all: then it is rather we who are cut off, and moving everything would
 * make it worse.
 */
extern bool ftc_health_may_move(uint32_t members, uint32_t out);

#endif							/* FTC_HEALTH_H */

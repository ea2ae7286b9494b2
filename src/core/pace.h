/*-------------------------------------------------------------------------
 *
 * pace.h
 *	  How many bytes to have under way on a line, so that it is used well and
 *	  what is small does not wait long behind what is large.
 *
 * One direction of a connection, on which calls are answered in order.  The rate
 * is that of what has come; the line is full with rate * round trip (what BBR
 * calls the bandwidth-delay product), and what is beyond waits.  So much is
 * under way that it takes aim, or two round trips of an empty line if that is
 * more: more than the line holds, so a line that can take more shows it.
 *
 * Times are us of a clock that only goes forward.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_PACE_H
#define FTC_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define FTC_PACE_START	(UINT64_C(256) * 1024)	/* bytes, before anything was
												 * measured */
#define FTC_PACE_MIN	(UINT64_C(64) * 1024)
#define FTC_PACE_LONG	UINT64_C(2000000)	/* no round trip counts for more */

/* All zeros is new: of a connection. */
typedef struct FtcPace
{
	uint64_t	floor;			/* the least that a call took; 0: not known */
	uint64_t	rate;			/* bytes a second; 0: not known */
	uint64_t	since;			/* of what is being measured */
	uint64_t	bytes;			/* that came since */
	bool		late;			/* some of them had to wait */
} FtcPace;

/* Something is under way, where nothing was. */
extern void ftc_pace_begin(FtcPace *pace, uint64_t now);

/* A call of whatever kind took so long. */
extern void ftc_pace_took(FtcPace *pace, uint64_t took);

/*
 * A call took so long, and so many bytes of this direction came with it; rest: nothing
 * more is under way.
 */
extern void ftc_pace_came(FtcPace *pace, uint64_t bytes, uint64_t took, bool rest, uint64_t aim, uint64_t now);

/* Bytes that may be under way. */
extern uint64_t ftc_pace_budget(const FtcPace *pace, uint64_t aim);

#endif							/* FTC_PACE_H */

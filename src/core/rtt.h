/*-------------------------------------------------------------------------
 *
 * rtt.h
 *	  How long to wait for an answer: RFC 6298, sections 2 and 5.
 *
 * Times are in microseconds of a clock that only goes forward.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_RTT_H
#define FTC_RTT_H

#include <stdbool.h>
#include <stdint.h>

#define FTC_RTO_START	UINT64_C(1000000)	/* before anything was measured */
#define FTC_RTO_MIN		UINT64_C(200000)	/* the RFC has 1 s; a call to a
											 * server takes ms */
#define FTC_RTO_MAX		UINT64_C(15000000)
#define FTC_RTO_SLACK	UINT64_C(50000) /* the RFC's G: even a line that was
										 * steady for long is late at times */

typedef struct FtcRtt
{
	uint64_t	smoothed;		/* SRTT; 0: nothing was measured yet */
	uint64_t	variation;		/* RTTVAR */
	uint64_t	latest;
	uint32_t	backoff;		/* doublings since the last measurement */
} FtcRtt;

/*
 * A round trip took so long.  Not of what was sent more than once (Karn's rule):
 * nobody knows which of them was answered.
 */
extern void ftc_rtt_sample(FtcRtt *rtt, uint64_t took);

/* Nothing came in time: wait twice as long, until something is measured again. */
extern void ftc_rtt_back_off(FtcRtt *rtt);

/*
 * RTO = SRTT + 4 RTTVAR, or FTC_RTO_SLACK if that is more; doubled as often, from
 * FTC_RTO_MIN to FTC_RTO_MAX.
 */
extern uint64_t ftc_rtt_timeout(const FtcRtt *rtt);

/* A wait of about so long, 3/4 to 5/4: so that many do not knock in step. */
extern uint64_t ftc_jitter(uint64_t wait, uint64_t random);

#endif							/* FTC_RTT_H */

/*-------------------------------------------------------------------------
 *
 * rtt.c
 *	  How long to wait for an answer.
 *
 *-------------------------------------------------------------------------
 */
#include "rtt.h"

void
ftc_rtt_sample(FtcRtt *rtt, uint64_t took)
{
	uint64_t	off;

	if (took == 0)
		took = 1;
	if (took > FTC_RTO_MAX)
		took = FTC_RTO_MAX;
	rtt->latest = took;
	rtt->backoff = 0;
	if (rtt->smoothed == 0)
	{
		rtt->smoothed = took;
		rtt->variation = took / 2;
		return;
	}
	off = took > rtt->smoothed ? took - rtt->smoothed : rtt->smoothed - took;
	rtt->variation = (3 * rtt->variation + off) / 4;
	rtt->smoothed = (7 * rtt->smoothed + took) / 8;
}

void
ftc_rtt_back_off(FtcRtt *rtt)
{
	if (ftc_rtt_timeout(rtt) < FTC_RTO_MAX)
		rtt->backoff++;
}

uint64_t
ftc_rtt_timeout(const FtcRtt *rtt)
{
	uint64_t	slack = 4 * rtt->variation > FTC_RTO_SLACK ? 4 * rtt->variation : FTC_RTO_SLACK;
	uint64_t	timeout = rtt->smoothed == 0 ? FTC_RTO_START : rtt->smoothed + slack;

	if (timeout < FTC_RTO_MIN)
		timeout = FTC_RTO_MIN;
	for (uint32_t i = 0; i < rtt->backoff && timeout < FTC_RTO_MAX; i++)
		timeout *= 2;
	return timeout < FTC_RTO_MAX ? timeout : FTC_RTO_MAX;
}

uint64_t
ftc_jitter(uint64_t wait, uint64_t random)
{
	return wait - wait / 4 + random % (wait / 2 + 1);
}

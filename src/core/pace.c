/*-------------------------------------------------------------------------
 *
 * pace.c
 *	  How many bytes to have under way on a line.
 *
 *-------------------------------------------------------------------------
 */
#include "pace.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define SECOND		UINT64_C(1000000)
#define MEASURED	UINT64_C(50000) /* the least time to measure a rate in */
#define AT_REST		UINT64_C(1000)	/* likewise of all that was under way */
#define BYTES_MAX	(UINT64_C(1) << 40) /* also in a second: no overflow below */
#define GROWTH		4			/* the most in one step: a moment's luck is no
								 * rate */

void
ftc_pace_begin(FtcPace *pace, uint64_t now)
{
	pace->since = now;
	pace->bytes = 0;
	pace->late = false;
}

/* us that what is under way may take */
static uint64_t
within(const FtcPace *pace, uint64_t aim)
{
	return MIN(MAX(aim, 2 * MIN(pace->floor, FTC_PACE_LONG)), 10 * SECOND);
}

/*
 * A rate that is less than was thought shows only where something had to wait: else
 * there just was little to carry.
 */
static void
take_rate(FtcPace *pace, uint64_t rate, uint64_t aim)
{
	rate = MIN(rate, BYTES_MAX);
	if (pace->rate == 0)
	{
		if (!pace->late && rate < FTC_PACE_START * SECOND / MAX(within(pace, aim), 1))
			return;
		pace->rate = rate;
	}
	else if (rate > pace->rate)
		pace->rate = MIN(rate, GROWTH * pace->rate);
	else if (pace->late)
		pace->rate = (3 * pace->rate + rate) / 4;
	pace->rate = MAX(pace->rate, 1);
}

void
ftc_pace_took(FtcPace *pace, uint64_t took)
{
	took = MAX(took, 1);
	pace->floor = pace->floor == 0 ? took : MIN(pace->floor, took);
}

void
ftc_pace_came(FtcPace *pace, uint64_t bytes, uint64_t took, bool rest, uint64_t aim, uint64_t now)
{
	uint64_t	elapsed = now > pace->since ? now - pace->since : 0;

	ftc_pace_took(pace, took);
	pace->bytes = MIN(pace->bytes + MIN(bytes, BYTES_MAX), BYTES_MAX);
	pace->late |= took > pace->floor + aim;
	if (rest && pace->bytes >= FTC_PACE_MIN)
		elapsed = MAX(elapsed, AT_REST);
	else if (elapsed < MAX(MEASURED, MIN(pace->floor, FTC_PACE_LONG)))
		return;
	take_rate(pace, pace->bytes * SECOND / elapsed, aim);
	ftc_pace_begin(pace, now);
}

uint64_t
ftc_pace_budget(const FtcPace *pace, uint64_t aim)
{
	if (pace->rate == 0)
		return FTC_PACE_START;
	return MAX(pace->rate * within(pace, aim) / SECOND, FTC_PACE_MIN);
}

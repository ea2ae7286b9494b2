/*-------------------------------------------------------------------------
 *
 * clock.c
 *	  The clocks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "portability/instr_time.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "guc.h"

#define EPOCH_DIFFERENCE \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

TimestampTz
ftc_clock_timestamp(void)
{
	return GetCurrentTimestamp();
}

TimestampTz
ftc_clock_from_now(int64 ms)
{
	return TimestampTzPlusMilliseconds(ftc_clock_timestamp(), ms);
}

uint64
ftc_clock_now(void)
{
#ifdef FTC_FAILPOINTS
	return ftc_clock_from_timestamp(ftc_clock_from_now(ftc_guc_clock_offset));
#else
	return ftc_clock_from_timestamp(ftc_clock_timestamp());
#endif
}

uint64
ftc_clock_steady(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return INSTR_TIME_GET_MICROSEC(now);
}

TimestampTz
ftc_clock_to_timestamp(uint64 us)
{
	return (TimestampTz) us - EPOCH_DIFFERENCE;
}

uint64
ftc_clock_from_timestamp(TimestampTz timestamp)
{
	return (uint64) (timestamp + EPOCH_DIFFERENCE);
}

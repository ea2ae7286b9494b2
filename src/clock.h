/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  The only reader of the clock.
 *
 * The chain counts microseconds since 1970-01-01 UTC, PostgreSQL since
 * 2000-01-01 UTC.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_CLOCK_H
#define FTC_CLOCK_H

#include "datatype/timestamp.h"

extern uint64 ftc_clock_now(void);
extern TimestampTz ftc_clock_to_timestamp(uint64 us);
extern uint64 ftc_clock_from_timestamp(TimestampTz timestamp);

#endif							/* FTC_CLOCK_H */

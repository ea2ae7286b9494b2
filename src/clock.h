/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  The clocks.
 *
 * All C code reads them here.  Statements have now(): for noting down when a row
 * was made, and for the age of such a row, never for what a chain holds.
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
extern TimestampTz ftc_clock_timestamp(void);
extern TimestampTz ftc_clock_from_now(int64 ms);

/* Microseconds since some moment; for waiting: nobody sets this one back. */
extern uint64 ftc_clock_steady(void);
extern TimestampTz ftc_clock_to_timestamp(uint64 us);
extern uint64 ftc_clock_from_timestamp(TimestampTz timestamp);

#endif							/* FTC_CLOCK_H */

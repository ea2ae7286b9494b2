/*-------------------------------------------------------------------------
 *
 * window.c
 *	  Looking through the blocks of a chain, some heights at a time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "clock.h"
#include "datum.h"
#include "stmt.h"
#include "window.h"

#define STAYS_US (30 * USECS_PER_SEC)
#define RESTS 5					/* times as long as it looks */

FtcWindow *
ftc_window(HTAB **windows, const char *name, int32 chain)
{
	FtcWindow  *window = ftc_hint(windows, name, sizeof(int32), sizeof(FtcWindow), &chain);

	window->began = ftc_clock_steady();
	if (window->since == 0)
		window->since = window->began;
	return window;
}

bool
ftc_window_rests(const FtcWindow *window)
{
	return window->began < window->again_at;
}

void
ftc_window_each(uint64 rows, FtcWindowLook look, void *arg)
{
	FtcHash    *blocks = palloc(Max(rows, 1) * sizeof(FtcHash));
	int64	   *heights = palloc(Max(rows, 1) * sizeof(int64));
	bool		goes_on = true;

	for (uint64 i = 0; i < rows; i++)
	{
		heights[i] = DatumGetInt64(ftc_value(i, 0));
		blocks[i] = ftc_hash_value(i, 1);
	}
	for (uint64 i = 0; i < rows && goes_on; i++)
	{
		MemoryContext outer = ftc_nest();

		goes_on = look(arg, &blocks[i], heights[i]);
		ftc_unnest(outer);
	}
}

bool
ftc_window_next(FtcWindow *window, int64 end, FtcWindowDone done)
{
	uint64		now = ftc_clock_steady();

	if (done.any)
		window->since = now;
	if (done.much)
		return true;
	if (done.waits && now - window->since < STAYS_US)
	{
		window->again_at = now + RESTS * (now - window->began);
		return true;
	}
	window->height = window->height + FTC_WINDOW_HEIGHTS < end ? window->height + FTC_WINDOW_HEIGHTS : 0;
	window->since = 0;
	return window->height > 0 || done.any;
}

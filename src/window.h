/*-------------------------------------------------------------------------
 *
 * window.h
 *	  Looking through the blocks of a chain, some heights at a time.
 *
 * Whoever asks others about a block stays at its heights while answers come: they
 * do not count for long, and it may take long until it comes by again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_WINDOW_H
#define FTC_WINDOW_H

#include "hint.h"
#include "core/types.h"

#define FTC_WINDOW_HEIGHTS 100	/* from its height on */

typedef struct FtcWindow
{
	int32		chain;
	int64		height;
	uint64		since;			/* something was last done there */
	uint64		began;			/* the look at it */
	uint64		again_at;		/* not before that, while answers come */
} FtcWindow;

/* The one of a chain, of those by that name; at the genesis block at first.  A look at it begins. */
extern FtcWindow *ftc_window(HTAB **windows, const char *name, int32 chain);

/*
 * Is there nothing to look at yet?  Answers are waited for five times as long as
 * it takes to look for them, so that this costs a sixth of a processor at most.
 */
extern bool ftc_window_rests(const FtcWindow *window);

/* Look at blocks, whose heights and ids are the result at hand, until that says that it was enough. */
typedef bool (*FtcWindowLook) (void *arg, const FtcHash *block, int64 height);
extern void ftc_window_each(uint64 rows, FtcWindowLook look, void *arg);

/* What came of it: all that may be done at a time, anything at all, and what is waited for. */
typedef struct FtcWindowDone
{
	bool		much;
	bool		any;
	bool		waits;
} FtcWindowDone;

/*
 * On to the next heights, below end, and to the first ones again; or, for half a minute in
 * which nothing is done, not yet.  True if there is more to look at before all were.
 */
extern bool ftc_window_next(FtcWindow *window, int64 end, FtcWindowDone done);

#endif							/* FTC_WINDOW_H */

/*-------------------------------------------------------------------------
 *
 * verify.h
 *	  Hashing and checking again all that is stored.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_VERIFY_H
#define FTC_VERIFY_H

#include "chain.h"

typedef struct FtcFault
{
	int64		height;			/* -1: of no block */
	const FtcHash *block;		/* NULL: of no block */
	int64		entry;			/* local id; 0: not of an entry */
	const char *what;
	const char *expected;		/* NULL: nothing */
	const char *found;			/* NULL: nothing */
} FtcFault;

typedef void (*FtcFaultCallback) (void *arg, const FtcFault *fault);

/*
 * Check the main chain from one height to another (to < 0: to the head), and
 * the bodies held of these blocks; with strays, also for entries that belong
 * nowhere; in parallel, with parallel workers if that pays.  Every fault is
 * reported, in any order; damage never stops it.  All is seen as it
 * was at one moment, and callback must not write.
 */
extern void ftc_verify_chain(const FtcChain *chain, int64 from, int64 to, bool strays, bool parallel,
							 FtcFaultCallback callback, void *arg);

/*
 * The same without the bytes of entries: these are looked at only where a body
 * has more or fewer than it should.
 */
extern void ftc_verify_light(const FtcChain *chain, int64 from, int64 to, FtcFaultCallback callback, void *arg);

/*
 * Look for entries that belong nowhere among the next few thousand after an id;
 * goes on to the last of them.  True if there may be more.
 */
extern bool ftc_verify_strays(const FtcChain *chain, int64 *after,
							  FtcFaultCallback callback, void *arg);

#endif							/* FTC_VERIFY_H */

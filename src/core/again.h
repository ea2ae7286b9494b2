/*-------------------------------------------------------------------------
 *
 * again.h
 *	  Whether to announce blocks once more to a peer that seems to lack them.
 *
 * An epoch of the ledger's stream begins empty; and what was dropped with the one
 * before, a peer may be unable to ask for: it may not reach us, or another copy of
 * us instead.  So what it lacks is announced again when an epoch has begun of which
 * it knows nothing, or when it stays behind though it has acknowledged all.
 *
 * Each time makes the next one wait twice as long, up to 2^11 heartbeats: a peer
 * may say whatever it likes, and is not to have us do nothing else.  That is
 * forgotten when nothing was needed for twice that time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_AGAIN_H
#define FTC_AGAIN_H

#include <stdbool.h>

#include "types.h"

/* All zeros is new.  Times are us of a clock that only goes forward. */
typedef struct FtcAgain
{
	FtcHash		head;			/* the peer's, at the last hello */
	uint64_t	needed_at;		/* when it last lacked something; 0: never */
	uint64_t	announced_at;	/* 0: never */
	unsigned	times;			/* in a row */
} FtcAgain;

/* What is known of the peer by its hello. */
typedef struct FtcAgainCase
{
	FtcHash		head;			/* its main chain's */
	bool		lacks;			/* that is not ours, nor better */
	bool		is_new;			/* it knows nothing of our epoch, and nothing
								 * is to be sent in it */
	bool		has_all;		/* it has acknowledged all that there is to be
								 * sent */
} FtcAgainCase;

/* True if it is to be done now, and counted as done. */
extern bool ftc_again_is_due(FtcAgain *again, const FtcAgainCase *peer, uint64_t heartbeat, uint64_t now);

#endif							/* FTC_AGAIN_H */

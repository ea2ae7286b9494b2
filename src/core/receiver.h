/*-------------------------------------------------------------------------
 *
 * receiver.h
 *	  The receiving end of a link: which messages to take.
 *
 * It takes messages in order, in the transaction that advances it.  What comes
 * too early is held, if it is within the window, until all before it has come.
 * The held ones lie with the caller; here is which they are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_RECEIVER_H
#define FTC_RECEIVER_H

#include "link.h"

#define FTC_RECEIVE_AHEAD	8000	/* messages beyond next that are held: all
									 * calls that may be under way */
#define FTC_RECEIVE_BYTES	(UINT64_C(8) * 1024 * 1024) /* of them */

typedef struct FtcReceiver
{
	FtcLinkEnd	end;			/* next: the seq it takes next */
	FtcLinkEnd	before;			/* where the last transaction that advanced it
								 * found it, or that opened the epoch */
	bool		advanced;		/* in this transaction */
	bool		stopped;		/* that one cannot be taken now */
	uint64_t	held_bytes;
	int			n;
	FtcSeqRange held[FTC_SACKS_MAX];	/* ascending, not touching */
} FtcReceiver;

/* All that is held of it is added again by _hold, and before by who knows it. */
extern void ftc_receiver_init(FtcReceiver *receiver, const FtcLinkEnd *end);

/* Another transaction begins, with the same receiver. */
extern void ftc_receiver_begin(FtcReceiver *receiver);

/* What to do with a message of so many bytes. */
extern FtcLinkVerdict ftc_receiver_judge(const FtcReceiver *receiver, uint64_t epoch, uint64_t seq, uint64_t bytes);

/* A message that opens an epoch: nothing is held any more.  start: value_0. */
extern void ftc_receiver_open(FtcReceiver *receiver, uint64_t epoch, const FtcHash *start);

/* The next one was applied; if it was held, with so many bytes. */
extern void ftc_receiver_advance(FtcReceiver *receiver, const FtcHash *id, const FtcHash *digest, uint64_t bytes);

/*
 * One was put aside: one that is to be held, or the next one, which could not be
 * taken when its turn came.  False if it is there already, or finds no room.
 */
extern bool ftc_receiver_hold(FtcReceiver *receiver, uint64_t seq, uint64_t bytes);

/* Is the next one held? */
extern bool ftc_receiver_has_next(const FtcReceiver *receiver);

/* Those that are held turned out wrong, or were lost. */
extern void ftc_receiver_drop(FtcReceiver *receiver);

/* What it says of itself. */
extern void ftc_receiver_say(const FtcReceiver *receiver, FtcAck *ack);

#endif							/* FTC_RECEIVER_H */

/*-------------------------------------------------------------------------
 *
 * outbox.h
 *	  What this database announces, and how far each link has come.
 *
 * One log of announcements a chain, a cursor a link.  An announcement is a
 * reference; what comes along with it is put together when it is sent.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_OUTBOX_H
#define FTC_OUTBOX_H

#include "chain.h"
#include "core/sender.h"

/* Announce to every member; in the transaction of what it is about, under the chain's lock. */
extern void ftc_outbox_block(int32 chain, const FtcHash *block);
extern void ftc_outbox_stored(int32 chain, const FtcHash *block, const FtcHash *member);

/* The sending end of a link, as the courier has it in memory. */
typedef struct FtcOutLink
{
	FtcSender	sender;
	int			nvalues;		/* chain values after what was sent */
	struct
	{
		uint64		seq;		/* the first after it */
		FtcHash		value;
	}			values[FTC_FLIGHT_MAX];
} FtcOutLink;

/* From whom to whom, about what. */
typedef struct FtcRoute
{
	const FtcChain *chain;
	const FtcHash *self;
	const FtcHash *member;
} FtcRoute;

/* The receiver says how far it is, on a new connection. */
extern void ftc_outbox_hello(FtcOutLink *link, const FtcRoute *route, const FtcAck *says);

/* Messages for a member: count of them, encoded, from seq first on. */
typedef struct FtcOutgoing
{
	int			n;
	FtcSlice   *messages;
	uint64		first;
	size_t		bytes;
	FtcHash		value;			/* the link's chain value after them */
	FtcSignature account;		/* signs for it */
} FtcOutgoing;

/* The next messages that may be sent.  False if there are none now. */
extern bool ftc_outbox_next(FtcOutLink *link, const FtcRoute *route, FtcOutgoing *out);

/* They leave.  Gives the order, by which to name them. */
extern uint64 ftc_outbox_sent(FtcOutLink *link, const FtcOutgoing *out);

/* The answer to them.  False if nothing of it was taken, and the link holds back. */
extern bool ftc_outbox_ack(FtcOutLink *link, const FtcRoute *route, const FtcAck *ack, uint64 order);

/* Their call failed, and may succeed another time. */
extern void ftc_outbox_failed(FtcOutLink *link, uint64 order);

/* The connection is gone. */
extern void ftc_outbox_cut(FtcOutLink *link);

/*
 * Forget what every peer has acknowledged, but for the last so many; and what
 * goes beyond the most to be kept for a peer that stays away: its link restarts
 * and it reconciles.
 */
extern void ftc_outbox_prune(int32 chain, int64 keep, int64 most);

#endif							/* FTC_OUTBOX_H */

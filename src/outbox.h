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
#include "core/link.h"

/* Announce to every member; in the transaction of what it is about, under the chain's lock. */
extern void ftc_outbox_block(int32 chain, const FtcHash *block);
extern void ftc_outbox_stored(int32 chain, const FtcHash *block, const FtcHash *member);

/* The sending end of a link, made if need be. */
typedef struct FtcLinkOut
{
	int64		epoch;
	int64		base;			/* outbox seq before the first message of the
								 * epoch */
	int64		acked;			/* outbox seq of the last one acknowledged */
	FtcHash		value;			/* the link's chain value after it */
} FtcLinkOut;

extern void ftc_outbox_link(const FtcChain *chain, const FtcHash *self, const FtcHash *member,
							FtcLinkOut *link);

/*
 * The receiver says how far it is.  True if sending may go on from there;
 * false if a new epoch was opened, and the receiver should reconcile.
 */
extern bool ftc_outbox_hello(const FtcChain *chain, const FtcHash *self, const FtcHash *member,
							 const FtcLinkEnd *receiver);

/* Messages for a member: count of them, encoded, from seq first of epoch on. */
typedef struct FtcOutgoing
{
	int			n;
	FtcSlice   *messages;
	uint64		epoch;
	uint64		first;
	FtcSignature account;		/* signs for them */
} FtcOutgoing;

/*
 * The next messages, at most most_bytes of them (but one at least).  False if
 * there are none, or not any more: then a new epoch was opened.
 */
extern bool ftc_outbox_messages(const FtcChain *chain, const FtcHash *self, const FtcHash *member,
								size_t most_bytes, FtcOutgoing *out);

/*
 * Forget what every peer has acknowledged, but for the last so many; and what
 * goes beyond the most to be kept for a peer that stays away: its link restarts
 * and it reconciles.
 */
extern void ftc_outbox_prune(int32 chain, int64 keep, int64 most);

#endif							/* FTC_OUTBOX_H */

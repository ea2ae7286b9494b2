/*-------------------------------------------------------------------------
 *
 * sender.h
 *	  The sending end of a link: where it stands, and what to send next.
 *
 * What is sent is a log, at positions from 1 without gaps.  An epoch of the link
 * begins somewhere in it: message seq stands at position base + seq.  The log
 * may forget what was acknowledged; what it still has begins at its horizon.
 *
 * The end says HELLO before anything else on a connection, and hears how far the
 * receiver is.  Then it sends segments, one in each call, several under way at a
 * time.  Each answer tells how far the receiver is by then, and what it has
 * beyond.
 *
 *		CLOSED --hello--> OPEN, or RESYNC; cut or doubtful -> CLOSED
 *
 * What is under way is bounded by a window in bytes (slow start and congestion
 * avoidance, RFC 5681) and by what the receiver has room for.  A segment is lost
 * if its call failed, if others that left well after it were answered (RFC 9002,
 * 6.1), or if nothing comes in time (RFC 6298).  What the receiver has beyond is
 * not sent again, unless it says later that it has it no more.  One that can take
 * nothing now has no room, and is shown a single message now and then.
 *
 * What opens an epoch goes alone: until the receiver is in that epoch it would
 * drop what follows.
 *
 * The messages stay with the caller, and the clock: times are us of one that
 * only goes forward.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SENDER_H
#define FTC_SENDER_H

#include "link.h"
#include "rtt.h"

#define FTC_FLIGHT_MAX		16	/* segments under way */
#define FTC_SEGMENTS_MAX	(FTC_FLIGHT_MAX + 2 * FTC_SACKS_MAX)	/* and those that have
																	 * come */
#define FTC_WINDOW_MIN		(UINT64_C(64) * 1024)	/* bytes; also a step of
													 * congestion avoidance */
#define FTC_WINDOW_START	(UINT64_C(256) * 1024)
#define FTC_WINDOW_MAX		(UINT64_C(16) * 1024 * 1024)
#define FTC_REORDER_MAX		3	/* RFC 9002's kPacketThreshold */

/* The log behind a link, as the caller keeps it. */
typedef struct FtcLog
{
	void	   *arg;
	uint64_t	horizon;		/* position of the oldest message kept; end if
								 * there is none */
	uint64_t	end;			/* position after the last */
	bool		replays;		/* a new epoch begins at the horizon, or where
								 * the ends still agreed, not at the end */
	uint64_t	given_up;		/* up to there an operator has said that the
								 * receiver may lack what it lacks */

	/*
	 * The chain value of an epoch before seq.  False if it cannot be told.
	 */
	bool		(*value_at) (void *arg, uint64_t epoch, uint64_t base, uint64_t seq, FtcHash *value);

	/*
	 * The position up to which a receiver has all, for sure, that is at seq
	 * next of an epoch before this one.  False if nothing is known of it.
	 */
	bool		(*reach_of) (void *arg, uint64_t epoch, uint64_t next, uint64_t *position);
} FtcLog;

typedef enum FtcSenderState
{
	FTC_SENDER_CLOSED,			/* nothing was heard on this connection */
	FTC_SENDER_OPEN,
	FTC_SENDER_RESYNC			/* what the receiver lacks is not kept any
								 * more: an operator decides */
} FtcSenderState;

typedef struct FtcSegment
{
	uint64_t	first;			/* seq of its first message */
	uint64_t	next;			/* seq after its last */
	uint64_t	bytes;
	uint64_t	sent_at;
	uint64_t	order;			/* of all that was sent on this link, from 1 */
	bool		again;			/* not for the first time */
	bool		lost;			/* to be sent again */
	bool		has_come;		/* the receiver has all of it, beyond next */
} FtcSegment;

typedef struct FtcSender
{
	/* to be kept with the log */
	FtcLinkEnd	end;			/* next: the first not acknowledged */
	uint64_t	base;			/* position before seq 1 */
	uint64_t	floor;			/* position up to which the receiver had all
								 * when the epoch began */

	/* of this connection */
	FtcSenderState state;
	bool		entered;		/* the receiver is in this epoch */
	uint64_t	fresh;			/* seq never sent in this epoch, the first */
	uint64_t	order;			/* of the last segment sent */
	uint64_t	greeted;		/* order at the last hello: what was sent up
								 * to there is over */
	uint64_t	moved;			/* order when end.next last moved */
	uint64_t	progress_at;	/* when something last was known to have come */
	uint64_t	hold_until;		/* send nothing before */
	uint64_t	room_messages;	/* beyond end.next, at the receiver */
	uint64_t	room_bytes;
	int			n;
	FtcSegment	flight[FTC_SEGMENTS_MAX];	/* by first, disjoint */

	/* of the path, so it outlives a connection */
	uint32_t	refusals;		/* since end.next last moved */
	FtcRtt		rtt;
	uint64_t	window;			/* bytes */
	uint64_t	threshold;		/* where slow start ends */
	uint64_t	recovery;		/* order up to which losses are one event */

	/* counted since the caller set them to 0 */
	uint64_t	again;			/* segments sent again */
	uint64_t	bytes;			/* of all that was sent */
	uint64_t	failed;			/* segments whose call failed */
	uint64_t	timeouts;
	FtcFate		fate;			/* of messages, as receivers told it */
} FtcSender;

/* What came of it: the shell saves end and base when it says so. */
typedef enum FtcHeard
{
	FTC_HEARD_NOTHING,
	FTC_HEARD_MOVED,			/* end has moved: save it */
	FTC_HEARD_RESTARTED,		/* a new epoch: save end, base and floor */
	FTC_HEARD_RESYNC,			/* see FTC_SENDER_RESYNC: tell it */
	FTC_HEARD_DOUBT				/* ends differ: say hello again */
} FtcHeard;

/* Takes end and base from the caller, who kept them, as floor; all else begins anew. */
extern void ftc_sender_init(FtcSender *sender, const FtcLinkEnd *end, uint64_t base);

/* The receiver says how far it is, in answer to hello. */
extern FtcHeard ftc_sender_hello(FtcSender *sender, const FtcLog *log, const FtcAck *says);

/* Begin a new epoch at the horizon, whatever the receiver may lack. */
extern FtcHeard ftc_sender_restart(FtcSender *sender, const FtcLog *log, uint64_t epoch);

/* What may be sent. */
typedef struct FtcGrant
{
	uint64_t	first;			/* seq */
	uint64_t	messages;		/* at most */
	uint64_t	bytes;			/* at most, but for a single message */
} FtcGrant;

/* False if there is nothing to send, or not yet. */
extern bool ftc_sender_next(const FtcSender *sender, const FtcLog *log, uint64_t now, FtcGrant *grant);

/* Messages first .. next - 1 have left.  Gives the segment's order. */
extern uint64_t ftc_sender_sent(FtcSender *sender, uint64_t first, uint64_t next, uint64_t bytes, uint64_t now);

/* The answer to the segment of that order. */
extern FtcHeard ftc_sender_ack(FtcSender *sender, const FtcLog *log, const FtcAck *ack, uint64_t order, uint64_t now);

/*
 * Its call failed, and may succeed another time: at once, if it is the first.
 * Those behind it stay where they are.
 */
extern void ftc_sender_failed(FtcSender *sender, uint64_t order, uint64_t now);

/*
 * The connection is gone, and with it whatever was under way.  RESYNC stays: it is
 * not for a connection to end it.
 */
extern void ftc_sender_cut(FtcSender *sender);

/* When to look again, later than now, though nothing has come: UINT64_MAX if never. */
extern uint64_t ftc_sender_deadline(const FtcSender *sender, uint64_t now);

/*
 * True if nothing came in time: all that was under way is lost, and the path
 * may be.
 */
extern bool ftc_sender_timeout(FtcSender *sender, uint64_t now);

extern uint64_t ftc_sender_in_flight(const FtcSender *sender);	/* bytes */

#endif							/* FTC_SENDER_H */

/*-------------------------------------------------------------------------
 *
 * sending.h
 *	  The sending end of a link: the core's sender upon a log in tables.
 *
 * What is sent lies in one log or another: what is announced of a chain
 * (outbox.h), or the messages of a stream (message.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SENDING_H
#define FTC_SENDING_H

#include "core/sender.h"

struct FtcOutLog;

/* From whom to whom, about what. */
typedef struct FtcRoute
{
	const struct FtcOutLog *log;
	int32		chain;			/* local number; 0: none */
	uint16		stream;
	int			protocol;		/* agreed on with the member */
	FtcHash		genesis;		/* of the chain; zero: none */
	FtcHash		self;
	FtcHash		member;
	uint64		room;			/* bytes that may go now */
	uint64		share;			/* bytes of messages in a call, but for a
								 * single one */
} FtcRoute;

/* A log behind links; positions are those of sender.h. */
typedef struct FtcOutLog
{
	bool		replays;		/* a new epoch begins at the oldest message */

	/* of the oldest message, and the one after the last */
	void		(*ends) (const FtcRoute *route, uint64 *horizon, uint64 *end);

	/*
	 * Messages from a position on: kind, reference, and the position as seq.
	 * Gives how many there are, without gaps, at most n.
	 */
	int			(*read) (const FtcRoute *route, uint64 from, int n, FtcMessage *messages);

	/* Fills in what comes along with n of them. */
	void		(*attach) (const FtcRoute *route, FtcMessage *messages, int n);

	/* Where the link was left: end, base and floor.  False if it is new. */
	bool		(*load) (const FtcRoute *route, FtcSender *sender);
	void		(*save) (const FtcRoute *route, const FtcSender *sender);

	/* As FtcLog has it; NULL if it does not matter, as the next ones. */
	bool		(*reach_of) (const FtcRoute *route, uint64 epoch, uint64 next, uint64 *position);

	/*
	 * The receiver is in an epoch that the sender began and has forgotten,
	 * and has all up to that position.
	 */
	void		(*forgot) (const FtcRoute *route, uint64 epoch, uint64 position);

	/* Up to where an operator does not mind what the receiver lacks. */
	uint64		(*given_up) (const FtcRoute *route);
	void		(*give_up) (const FtcRoute *route, uint64 position);
} FtcOutLog;

/* The end of a link, as the courier has it in memory.  All zeros is new. */
typedef struct FtcOutLink
{
	FtcSender	sender;
	bool		stopped;		/* what the receiver lacks is not kept any
								 * more */
	uint64		lacks;			/* the first of that: a position; 0: not known */
	uint64		highest;		/* seq after the last that was ever sent in
								 * this epoch */
	uint64		told_at;		/* when a new epoch was last put on record; 0:
								 * never */
	uint64		untold;			/* since then */

	/* counted since the caller set it to 0 */
	uint64		repeated;		/* messages that were sent before */
	int			nvalues;		/* chain values after what was sent */
	struct
	{
		uint64		seq;		/* the first after it */
		FtcHash		value;
	}			values[FTC_FLIGHT_MAX];
} FtcOutLink;

/*
 * Begin a new epoch, as an operator wants it, whatever the receiver lacks of what
 * is not kept any more.
 */
extern void ftc_sending_restart(FtcOutLink *link, const FtcRoute *route);

/* The receiver says how far it is, on a new connection. */
extern void ftc_sending_hello(FtcOutLink *link, const FtcRoute *route, const FtcAck *says);

/* Has an epoch begun of which the receiver knows nothing yet, and in which nothing is to be sent? */
extern bool ftc_sending_is_empty(const FtcOutLink *link, const FtcRoute *route);

/* Is all acknowledged that there is to be sent? */
extern bool ftc_sending_is_done(const FtcOutLink *link, const FtcRoute *route);

/* Messages for a member: count of them, encoded, from seq first on. */
typedef struct FtcOutgoing
{
	int			n;
	FtcSlice   *messages;
	uint64		first;
	size_t		bytes;
	FtcHash		before;			/* the link's chain value before them */
	FtcHash		value;			/* after them */
	FtcSignature account;		/* signs for their place in the link */
} FtcOutgoing;

/* The next messages that may be sent.  False if there are none now. */
extern bool ftc_sending_next(FtcOutLink *link, const FtcRoute *route, FtcOutgoing *out);

/* They leave.  Gives the order, by which to name them. */
extern uint64 ftc_sending_sent(FtcOutLink *link, const FtcOutgoing *out);

/* The answer to them.  False if nothing of it was taken, and the link holds back. */
extern bool ftc_sending_ack(FtcOutLink *link, const FtcRoute *route, const FtcAck *ack, uint64 order);

/* Their call failed, and may succeed another time.  False if the link holds back. */
extern bool ftc_sending_failed(FtcOutLink *link, uint64 order);

/* The connection is gone. */
extern void ftc_sending_cut(FtcOutLink *link);

/* It is given up, as nothing has come in time. */
extern void ftc_sending_timeout(FtcOutLink *link);

#endif							/* FTC_SENDING_H */

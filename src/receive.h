/*-------------------------------------------------------------------------
 *
 * receive.h
 *	  The receiving end of a link: peer_receive().
 *
 * Messages are taken in order, each once, in the transaction that says how far
 * the link is.  What comes too early is put aside until its turn (early.h).  What
 * becomes of one depends on the stream: the ledger's, which is about a chain, or
 * one of a topic (see topic.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_RECEIVE_H
#define FTC_RECEIVE_H

#include "fmgr.h"

#include "chain.h"
#include "core/receiver.h"
#include "identity.h"
#include "stmt.h"

/* One call of peer_receive(). */
typedef struct FtcIntake
{
	uint16		stream;
	FtcChain	chain;			/* of the ledger's stream; 0: of others */
	FtcHash		genesis;		/* zero for other streams */
	FtcIdentity self;
	FtcHash		sender;
	FtcReceiver link;			/* how far it is, and what is put aside */
	bool		has_early;		/* there are rows of what was put aside */
	bool		no_place;		/* of too many other links there are */
	int64		applied;
	int64		early;			/* put aside */
	int64		duplicates;
	int64		dropped;		/* not taken */
	int64		refused;
	bool		gap;			/* something before them is missing */
	const char *reason;			/* of the last one that was refused, or not
								 * taken */
	bool		behind;			/* a parent was missing */
	int			attempts;		/* at the next one, so far */
	uint64		until;			/* when it is late (steady clock, us) */
} FtcIntake;

/* What a kind of stream is, as tables. */
typedef struct FtcInLog
{
	void		(*lock) (FtcIntake *intake);	/* before the link is looked
												 * at */
	void		(*load) (FtcIntake *intake);	/* link.end and attempts */
	void		(*save) (const FtcIntake *intake);

	/* The sender's key.  False if nobody here knows it. */
	bool		(*key) (const FtcIntake *intake, FtcKey *key);

	/*
	 * Takes messages, in order, and gives how many it took: fewer than n if
	 * it is late, or if it sets link.stopped, with a reason, since the next
	 * one cannot be taken now.  Of those taken it may set refused, behind.
	 */
	int			(*apply) (FtcIntake *intake, const FtcMessage *messages, int n);
} FtcInLog;

extern const FtcInLog ftc_topic_log;	/* topic.c */

extern const FtcInLog ftc_ledger_log;	/* receive.c */

/* What is said of a link, of which stream, chain and sender are given. */
extern void ftc_receive_say(FtcIntake *intake, const FtcInLog *log, FtcAck *ack);

/* Columns epoch, next, value, room_messages, room_bytes, early. */
extern void ftc_serve_ack(const FtcScope *scope, const FtcAck *ack, Datum *values);

/* What functions that members call have in common. */
extern void ftc_serve_need_protocol(int protocol);
extern void ftc_serve_need_not_null(FunctionCallInfo fcinfo);
extern void ftc_serve_need_chain(FtcChain *chain, const FtcHash *genesis);
extern void ftc_serve_need_chain_arg(FtcChain *chain, Datum genesis);
extern Datum ftc_serve_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls);

/* These in the caller's memory.  Of statements: member and signature, one after another. */
extern Datum ftc_serve_text(const FtcScope *scope, const char *string);
extern Datum ftc_serve_bytes(const FtcScope *scope, FtcSlice bytes);
extern Datum ftc_serve_statements(const FtcScope *scope, const FtcHash *block, bool *isnull);

#endif							/* FTC_RECEIVE_H */

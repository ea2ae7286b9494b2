/*-------------------------------------------------------------------------
 *
 * topic.h
 *	  Users' messages on their way in.
 *
 * A message: RECEIVED (a row that waits) -> given by recv(), again and again until
 * -> ACKED (gone), or tried too often -> DEAD (a row of its own).  Or a topic puts
 * its messages into a table of the user's, in the transaction in which they come.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_TOPIC_IN_H
#define FTC_TOPIC_IN_H

#include "datatype/timestamp.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "core/topic.h"
#include "receive.h"

/* Who listens hears of the topics that something has come on. */
#define FTC_TOPIC_CHANNEL "ftchain_topic"

typedef struct FtcTopic
{
	Oid			owner;
	Oid			deliver_to;		/* InvalidOid: nowhere */
	int			max_attempts;
} FtcTopic;

extern bool ftc_topic_find(Datum name, FtcTopic *topic);

/* The columns of ftchain.message_in, in its order. */
typedef enum FtcWaitingColumn
{
	FTC_WAITING_ID,
	FTC_WAITING_TOPIC,
	FTC_WAITING_SENDER,
	FTC_WAITING_SEQ,
	FTC_WAITING_SENT,
	FTC_WAITING_RECEIVED,
	FTC_WAITING_VISIBLE,
	FTC_WAITING_ATTEMPTS,
	FTC_WAITING_MESSAGE,
	FTC_WAITING_COLUMNS
} FtcWaitingColumn;

/* Their table, locked; an error if somebody has altered its columns. */
extern Relation ftc_waiting_table(LOCKMODE mode);

/*
 * waiting.c: give up to n messages of a topic that nobody else has just now, the
 * first ones, for some time.  They are put into rows, as recv() has them.  Those
 * that were given too often already are left; gives their ids, or NULL.
 */
extern ArrayType *ftc_waiting_give(Datum topic, int n, Interval *visibility, int max_attempts,
								   Tuplestorestate *rows, TupleDesc desc);

/* A message that has come, and what its reference says. */
typedef struct FtcIncoming
{
	const FtcMessage *message;
	FtcTopicReference reference;
	bool		known;			/* it was taken before */
} FtcIncoming;

/*
 * applied.c: messages are known by their ids, whatever epoch of the link they come
 * in; so each is taken once, also after either side was set back and much is sent
 * again.  These have one incarnation.  The first says which are known, the second
 * that all of them are.
 */
typedef struct FtcApplied FtcApplied;
extern FtcApplied *ftc_applied_look(const FtcIntake *r, FtcIncoming *incoming, int n);
extern void ftc_applied_note(FtcApplied *applied, const FtcIncoming *incoming, int n);

/* Forget ids that no sender can send again. */
extern void ftc_applied_prune(void);

/*
 * deliver.c: put those that are not known into the topic's table: *done of them,
 * fewer than n if it is late by then (steady clock, us), but one at least.  Gives
 * NULL, or what went wrong; then none are there.
 */
extern const char *ftc_deliver(const FtcTopic *topic, const FtcIncoming *incoming, int n, uint64 until, int *done);

#endif							/* FTC_TOPIC_IN_H */

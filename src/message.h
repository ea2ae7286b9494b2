/*-------------------------------------------------------------------------
 *
 * message.h
 *	  Users' messages on their way out: send() and the streams they go by.
 *
 * A message: SENT (a row, when its transaction commits) -> NUMBERED (it has a
 * position in its stream) -> ACKED (the stream's cursor has passed it) -> gone,
 * after ftchain.message_retention.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_MESSAGE_H
#define FTC_MESSAGE_H

#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"

#include "sending.h"

/* The log of a stream, for links. */
extern const FtcOutLog ftc_message_log;

/*
 * Give positions to what has committed since the last time.  Do so in a
 * transaction of its own: what was numbered may be sent once that has committed.
 */
extern void ftc_message_number(void);
extern bool ftc_message_is_numberable(void);	/* is there anything? */

/* The streams to a member, by their numbers; and which have something not acknowledged. */
extern List *ftc_message_streams(const FtcHash *member, Bitmapset **waiting);

/*
 * The receiver of a stream has said how far it is, to this incarnation of this
 * database; 0: and it lacks what is gone, so nothing more is to go.
 */
extern void ftc_message_heard(uint16 stream, int64 incarnation);

/*
 * Forget what was acknowledged and is older than it has to be kept, of streams whose
 * receivers were heard of.
 */
extern void ftc_message_prune(int64 incarnation);

#endif							/* FTC_MESSAGE_H */

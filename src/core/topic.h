/*-------------------------------------------------------------------------
 *
 * topic.h
 *	  What the reference of a user's message says, big endian.
 *
 *		  at  bytes
 *		   0    8	incarnation		of the sender, from 1
 *		   8    8	seq				of the message there, from 1
 *		  16    8	sent			us since 1970-01-01 UTC
 *		  24   32	hash			SHA-256 of the message
 *		  56  1+n	topic			UTF-8, 1 to 63 bytes
 *
 * The message itself is json, attached, of at most FTC_TOPIC_MESSAGE_MAX bytes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_TOPIC_H
#define FTC_TOPIC_H

#include "types.h"

#define FTC_TOPIC_MESSAGE_MAX	(1024 * 1024)	/* so that one stalls no other
												 * for long */
#define FTC_TOPIC_REFERENCE_MAX	(57 + FTC_NAME_MAX)

typedef struct FtcTopicReference
{
	uint64_t	incarnation;
	uint64_t	seq;
	uint64_t	sent;
	FtcHash		hash;
	FtcSlice	topic;
} FtcTopicReference;

/* bytes: FTC_TOPIC_REFERENCE_MAX.  Gives the length, 0 if the topic is too long. */
extern size_t ftc_topic_reference_encode(const FtcTopicReference *reference, uint8_t *bytes);
extern FtcReason ftc_topic_reference_decode(FtcTopicReference *reference, FtcSlice bytes);

/* Is this the message that the reference is of? */
extern FtcReason ftc_topic_message_check(const FtcTopicReference *reference, FtcSlice message);

#endif							/* FTC_TOPIC_H */

/*-------------------------------------------------------------------------
 *
 * link.h
 *	  A link: the numbered, hash-chained stream from one member to another.
 *
 * Message bytes, big endian:
 *
 *		  at  bytes
 *		   0    1	version			1
 *		   1    1	kind			FtcMessageKind
 *		   2    2	stream			0: the ledger; others: a topic's
 *		   4    8	epoch			of the link, from 1
 *		  12    8	seq				from 1, gapless within the epoch
 *		  20   32	id				of the message; the same in every epoch
 *		  52   32	digest			SHA-256(kind u8 || reference)
 *		  84  4+n	reference		what the message is about; chained
 *		   .  4+n	attachment		what comes along; verified by itself
 *
 * The link's chain: value_0 = SHA-256(domain "ftchain link v1" || genesis ||
 * sender || receiver || stream u16 || epoch u64); value_n = SHA-256(value_n-1
 * || id || digest).  The messages of a call are a segment: one epoch, seqs
 * without gaps.  The sender signs its account (domain "ftchain link account v1"):
 * SHA-256(value_0 || first u64 || next u64 || value before || value after), so
 * that a segment is known to be of this link, and at its place in it, even if
 * others before it have not come yet.
 *
 * A receiver takes messages in order; it advances its next seq and its chain
 * value in the transaction that applies them, so each is applied once.  A
 * sender counts an acknowledgement only if the chain values agree.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_LINK_H
#define FTC_LINK_H

#include "sign.h"
#include "types.h"

#define FTC_MESSAGE_VERSION		1
#define FTC_MESSAGE_FIXED		84
#define FTC_REFERENCE_MAX		256
#define FTC_STREAM_LEDGER		0

typedef enum FtcMessageKind
{
	FTC_MESSAGE_BLOCK = 1,		/* reference: block id; attachment: block.h */
	FTC_MESSAGE_STORED = 2,		/* reference: block id || owner; attachment:
								 * the owner's signature 64 */
	FTC_MESSAGE_BUNDLE = 3,		/* reference: bundle digest; attachment: a
								 * body of one bundle */
	FTC_MESSAGE_TOPIC = 4,		/* reference: topic.h; attachment: json */
	FTC_MESSAGE_LOST = 5,		/* reference: block id || member || lost 1:
								 * the sender's word on a copy; no attachment */
	FTC_MESSAGE_KEPT = 6		/* reference: block id || member; attachment:
								 * its word (word.h) and signature 64 */
} FtcMessageKind;

typedef struct FtcMessage
{
	uint8_t		kind;
	uint16_t	stream;
	uint64_t	epoch;
	uint64_t	seq;
	FtcHash		id;
	FtcHash		digest;
	FtcSlice	reference;
	FtcSlice	attachment;
} FtcMessage;

/* The length; also when bytes is NULL. */
extern size_t ftc_message_encode(const FtcMessage *message, uint8_t *bytes, size_t size);
extern FtcReason ftc_message_decode(FtcMessage *message, FtcSlice bytes);

/* Of a message: SHA-256(domain "ftchain message v1" || kind || reference). */
extern FtcHash ftc_message_id(uint8_t kind, FtcSlice reference);
extern FtcHash ftc_message_digest(uint8_t kind, FtcSlice reference);

extern FtcHash ftc_link_start(const FtcHash *genesis, const FtcHash *sender,
							  const FtcHash *receiver, uint16_t stream, uint64_t epoch);
extern FtcHash ftc_link_advance(const FtcHash *value, const FtcHash *id, const FtcHash *digest);

/* What is signed of a segment, first .. next - 1; start: value_0. */
extern FtcHash ftc_link_account(const FtcHash *start, uint64_t first, uint64_t next,
								const FtcHash *before, const FtcHash *after);

/* One end of a link: how far it is. */
typedef struct FtcLinkEnd
{
	uint64_t	epoch;			/* 0: none yet */
	uint64_t	next;			/* receiver: the seq it takes next; sender:
								 * the first not acknowledged; from 1 */
	FtcHash		value;			/* the chain value after next - 1 */
} FtcLinkEnd;

/* Seqs, both included. */
typedef struct FtcSeqRange
{
	uint64_t	first;
	uint64_t	last;
} FtcSeqRange;

#define FTC_SACKS_MAX		32
#define FTC_SACKS_BYTES		(FTC_SACKS_MAX * 16)

/* What became of messages. */
typedef struct FtcFate
{
	uint64_t	taken;			/* in order, also of those put aside before */
	uint64_t	early;			/* put aside */
	uint64_t	duplicates;		/* had been taken, or put aside */
	uint64_t	dropped;		/* not taken; to be sent again */
	uint64_t	refused;		/* taken, and of no use */
} FtcFate;

/* What a receiver says of itself. */
typedef struct FtcAck
{
	FtcLinkEnd	end;
	FtcLinkEnd	before;			/* where it was before it last advanced, in
								 * the same epoch; told in answer to hello */
	uint64_t	room_messages;	/* it takes, beyond end.next; 0: not now */
	uint64_t	room_bytes;
	int			n;
	FtcSeqRange sacks[FTC_SACKS_MAX];	/* it has these, ascending, not
										 * touching; at end.next begins what
										 * it has and could not take */
	FtcFate		fate;			/* of the call that this answers */
} FtcAck;

/*
 * The sacks as bytes: each first u64, last u64.  To decode them end must be
 * there.
 */
extern size_t ftc_sacks_encode(const FtcAck *ack, uint8_t *bytes, size_t size);
extern FtcReason ftc_sacks_decode(FtcAck *ack, FtcSlice bytes);

typedef enum FtcLinkVerdict
{
	FTC_LINK_APPLY,				/* the next one: apply it, then advance */
	FTC_LINK_DUPLICATE,			/* applied before: drop it */
	FTC_LINK_GAP,				/* something before it is missing, and there
								 * is no room to hold it */
	FTC_LINK_HOLD,				/* something before it is missing: put it
								 * aside */
	FTC_LINK_STALE,				/* of an epoch that is over */
	FTC_LINK_NEW_EPOCH			/* opens an epoch: restart, then apply it */
} FtcLinkVerdict;

/* What a receiver does with a message. */
extern FtcLinkVerdict ftc_link_receive(const FtcLinkEnd *end, const FtcMessage *message);

#endif							/* FTC_LINK_H */

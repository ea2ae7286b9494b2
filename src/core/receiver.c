/*-------------------------------------------------------------------------
 *
 * receiver.c
 *	  The receiving end of a link: which messages to take.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "receiver.h"

void
ftc_receiver_init(FtcReceiver *receiver, const FtcLinkEnd *end)
{
	memset(receiver, 0, sizeof(*receiver));
	receiver->end = receiver->before = *end;
}

void
ftc_receiver_begin(FtcReceiver *receiver)
{
	receiver->advanced = false;
}

static bool
is_held(const FtcReceiver *receiver, uint64_t seq)
{
	for (int i = 0; i < receiver->n; i++)
		if (receiver->held[i].first <= seq && seq <= receiver->held[i].last)
			return true;
	return false;
}

/* Where seq goes: at the end of a range, before one, between two, or as its own. */
static bool
has_place(const FtcReceiver *receiver, uint64_t seq)
{
	if (receiver->n < FTC_SACKS_MAX)
		return true;
	for (int i = 0; i < receiver->n; i++)
		if (receiver->held[i].first == seq + 1 || receiver->held[i].last + 1 == seq)
			return true;
	return false;
}

static bool
has_room(const FtcReceiver *receiver, uint64_t seq, uint64_t bytes)
{
	return seq - receiver->end.next <= FTC_RECEIVE_AHEAD && has_place(receiver, seq) &&
		bytes <= FTC_RECEIVE_BYTES - receiver->held_bytes;
}

FtcLinkVerdict
ftc_receiver_judge(const FtcReceiver *receiver, uint64_t epoch, uint64_t seq, uint64_t bytes)
{
	FtcMessage	message = {.epoch = epoch,.seq = seq};
	FtcLinkVerdict verdict = ftc_link_receive(&receiver->end, &message);

	if (verdict != FTC_LINK_GAP || epoch != receiver->end.epoch)
		return verdict;
	if (is_held(receiver, seq))
		return FTC_LINK_DUPLICATE;
	return has_room(receiver, seq, bytes) ? FTC_LINK_HOLD : FTC_LINK_GAP;
}

void
ftc_receiver_drop(FtcReceiver *receiver)
{
	receiver->n = 0;
	receiver->held_bytes = 0;
}

void
ftc_receiver_open(FtcReceiver *receiver, uint64_t epoch, const FtcHash *start)
{
	ftc_receiver_drop(receiver);
	receiver->stopped = false;
	receiver->end.epoch = epoch;
	receiver->end.next = 1;
	receiver->end.value = *start;
	receiver->before = receiver->end;
	receiver->advanced = false;
}

bool
ftc_receiver_has_next(const FtcReceiver *receiver)
{
	return receiver->n > 0 && receiver->held[0].first == receiver->end.next;
}

static void
remove_range(FtcReceiver *receiver, int i)
{
	receiver->n--;
	memmove(&receiver->held[i], &receiver->held[i + 1], (size_t) (receiver->n - i) * sizeof(FtcSeqRange));
}

void
ftc_receiver_advance(FtcReceiver *receiver, const FtcHash *id, const FtcHash *digest, uint64_t bytes)
{
	if (ftc_receiver_has_next(receiver))
	{
		receiver->held_bytes -= bytes < receiver->held_bytes ? bytes : receiver->held_bytes;
		if (receiver->held[0].first++ == receiver->held[0].last)
			remove_range(receiver, 0);
	}
	if (!receiver->advanced)
		receiver->before = receiver->end;
	receiver->advanced = true;
	receiver->end.value = ftc_link_advance(&receiver->end.value, id, digest);
	receiver->end.next++;
	receiver->stopped = false;
}

bool
ftc_receiver_hold(FtcReceiver *receiver, uint64_t seq, uint64_t bytes)
{
	int			i = 0;

	if (seq < receiver->end.next || is_held(receiver, seq) || !has_room(receiver, seq, bytes))
		return false;
	while (i < receiver->n && receiver->held[i].last + 1 < seq)
		i++;
	if (i < receiver->n && receiver->held[i].last + 1 == seq)
	{
		receiver->held[i].last = seq;
		if (i + 1 < receiver->n && receiver->held[i + 1].first == seq + 1)
		{
			receiver->held[i].last = receiver->held[i + 1].last;
			remove_range(receiver, i + 1);
		}
	}
	else if (i < receiver->n && receiver->held[i].first == seq + 1)
		receiver->held[i].first = seq;
	else
	{
		memmove(&receiver->held[i + 1], &receiver->held[i], (size_t) (receiver->n - i) * sizeof(FtcSeqRange));
		receiver->held[i] = (FtcSeqRange)
		{
			seq, seq
		};
		receiver->n++;
	}
	receiver->held_bytes += bytes;
	return true;
}

/* The next one may be held and could not be taken: it is to come again. */
void
ftc_receiver_say(const FtcReceiver *receiver, FtcAck *ack)
{
	memset(ack, 0, sizeof(*ack));
	ack->end = receiver->end;
	ack->before = receiver->before;
	ack->room_messages = receiver->stopped ? 0 : FTC_RECEIVE_AHEAD;
	ack->room_bytes = receiver->stopped ? 0 : FTC_RECEIVE_BYTES - receiver->held_bytes;
	for (int i = 0; i < receiver->n; i++)
	{
		FtcSeqRange range = receiver->held[i];

		if (range.first == receiver->end.next)
			range.first++;
		if (range.first <= range.last)
			ack->sacks[ack->n++] = range;
	}
}

/*-------------------------------------------------------------------------
 *
 * sink.c
 *	  The receiving end of a link: src/receive.c, with what a topic's stream or
 *	  the ledger's does with messages.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

void
sink_init(Sink *sink, bool users)
{
	FtcLinkEnd	none = {0, 1, {{0}}};

	memset(sink, 0, sizeof(*sink));
	sink->users = users;
	ftc_receiver_init(&sink->receiver, &none);
}

bool
sink_knows(const Sink *sink, Message message)
{
	return (sink->known[message / 8] >> message % 8 & 1) != 0;
}

void
sink_forget_held(Sink *sink)
{
	ftc_receiver_drop(&sink->receiver);
	sink->nheld = 0;
}

/* ----------------------------------------------------------------
 *		One message
 * ----------------------------------------------------------------
 */

/*
 * False if it is not taken now.  What is known by its id, or was tried too often,
 * counts as taken.  Announcements may come again: nobody minds.
 */
static bool
apply(Intake *in, Message message)
{
	Sink	   *sink = in->sink;
	Mood		mood = in->mood(in->arg, message);

	if (sink->users && sink_knows(sink, message))
	{
		in->passed(in->arg, message);
		return true;
	}
	if (mood == MOOD_BUSY || (mood == MOOD_POISON && sink->users && ++sink->attempts < ATTEMPTS_MAX))
		return false;
	in->applied(in->arg, message);
	sink->known[message / 8] |= (uint8_t) (1 << message % 8);
	sink->attempts = 0;
	return true;
}

/* The next one of the epoch, after that chain value. */
static bool
take_next(Intake *in, Message message, const FtcHash *before, uint32_t bytes)
{
	const Content *c = message_content(in->sink->users, message);
	FtcReceiver *receiver = &in->sink->receiver;

	if (!ftc_hash_equal(before, &receiver->end.value))
	{
		in->wrong = true;
		return false;
	}
	if (!apply(in, message))
		return false;
	ftc_receiver_advance(receiver, &c->id, &c->digest, bytes);
	in->moved = true;
	return true;
}

/* ----------------------------------------------------------------
 *		What is held
 * ----------------------------------------------------------------
 */

static bool
hold(Intake *in, uint64_t seq, const FtcHash *before, Message message, uint32_t bytes)
{
	Sink	   *sink = in->sink;

	if (sink->nheld == HELD_MAX || !ftc_receiver_hold(&sink->receiver, seq, bytes))
		return false;
	sink->held[sink->nheld++] = (Held)
	{
		seq, *before, bytes, message
	};
	return true;
}

static Held *
find_held(Sink *sink, uint64_t seq)
{
	for (int i = 0; i < sink->nheld; i++)
		if (sink->held[i].seq == seq)
			return &sink->held[i];
	return NULL;
}

/*
 * The gap may be filled.  What follows another chain than what has come is of a
 * sender that was set back: it is dropped, and comes again.
 */
static void
take_those_held(Intake *in)
{
	Sink	   *sink = in->sink;

	while (ftc_receiver_has_next(&sink->receiver))
	{
		Held	   *held = find_held(sink, sink->receiver.end.next);

		if (take_next(in, held->message, &held->before, held->bytes))
		{
			*held = sink->held[--sink->nheld];
			continue;
		}
		if (in->wrong)
			sink_forget_held(sink);
		in->wrong = false;
		return;
	}
}

/* ----------------------------------------------------------------
 *		A call
 * ----------------------------------------------------------------
 */

/* False if the rest of the call is not looked at. */
static bool
take_one(Intake *in, uint64_t epoch, uint64_t seq, const FtcHash *before, Message message)
{
	Sink	   *sink = in->sink;
	uint32_t	bytes = 1 + message_content(sink->users, message)->size % in->message_bytes;
	FtcLinkVerdict verdict = ftc_receiver_judge(&sink->receiver, epoch, seq, bytes);
	Held	   *held = find_held(sink, seq);
	FtcHash		start;

	in->judged(in->arg, verdict);
	switch (verdict)
	{
		case FTC_LINK_NEW_EPOCH:
			start = source_start(epoch);
			ftc_receiver_open(&sink->receiver, epoch, &start);
			sink->nheld = 0;
			in->moved = true;
			return take_next(in, message, before, bytes);
		case FTC_LINK_APPLY:
			/* it may have been held, and could not be taken then */
			if (!take_next(in, message, before, held != NULL ? held->bytes : bytes))
				return false;
			if (held != NULL)
				*held = sink->held[--sink->nheld];
			return true;
		case FTC_LINK_HOLD:
			return hold(in, seq, before, message, bytes);
		case FTC_LINK_DUPLICATE:
			return true;
		case FTC_LINK_GAP:
		case FTC_LINK_STALE:
			break;
	}
	return false;
}

void
sink_take(Intake *in, const Segment *segment)
{
	FtcHash		value = segment->before;

	ftc_receiver_begin(&in->sink->receiver);
	for (int i = 0; i < segment->n; i++)
	{
		const Content *c = message_content(in->sink->users, segment->messages[i]);

		if (!take_one(in, segment->epoch, segment->first + (uint64_t) i, &value, segment->messages[i]))
			break;
		value = ftc_link_advance(&value, &c->id, &c->digest);
	}
	if (!in->wrong)
		take_those_held(in);
}

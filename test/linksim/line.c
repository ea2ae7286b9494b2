/*-------------------------------------------------------------------------
 *
 * line.c
 *	  What the sending end does when: the courier, in short.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

#define WAIT_LEAST (250 * MS)
#define WAIT_DOUBLED_MOST 5
#define CALL_TIMEOUT (5 * SECOND)
#define HELLO_TIMEOUT (1 * SECOND)

void
line_cut(World *w, uint64_t wait)
{
	if (w->sending.sender.n > 0)
		see(w, SIGHT_UNANSWERED);
	ftc_sender_cut(&w->sending.sender);
	w->connection++;
	w->greeted = false;
	w->hello_until = w->call_until = NEVER;
	w->retry_at = w->now + wait;
	w->arrived[0] = w->arrived[1] = 0;
	w->refusals = 0;
}

static void
leave(World *w)
{
	line_cut(w, WAIT_LEAST << Min(w->failures, WAIT_DOUBLED_MOST));
	w->failures++;
}

/* A process that begins knows only what is in tables. */
void
line_start(World *w)
{
	memset(&w->sending, 0, sizeof(w->sending));
	w->failures = 0;
	line_cut(w, 0);
	line_look(w);
}

/* ----------------------------------------------------------------
 *		Calls
 * ----------------------------------------------------------------
 */

static void
say_hello(World *w)
{
	w->hellos++;
	w->hello_until = w->now + HELLO_TIMEOUT;
	path_call(w, PACKET_HELLO, w->hellos, NULL);
}

static void
note_sending(World *w, const Segment *segment, uint64_t again)
{
	const FtcSender *sender = &w->sending.sender;

	if (sender->again > again)
		see(w, SIGHT_AGAIN);
	if (sender->room_messages == 0)
		see(w, SIGHT_PROBED);
	if (sender->n == FTC_FLIGHT_MAX)
		see(w, SIGHT_FULL_FLIGHT);
	if (sender->window == FTC_WINDOW_MAX)
		see(w, SIGHT_WIDE);
	trace(w, "sends %llu to %llu of epoch %llu%s", (unsigned long long) segment->first,
		  (unsigned long long) segment->first + segment->n - 1, (unsigned long long) segment->epoch,
		  sender->again > again ? " again" : "");
}

static void
send_segments(World *w)
{
	Segment		segment;
	FtcLinkEnd	before = w->source.end;

	while (sending_next(&w->sender, w->now, &segment))
	{
		uint64_t	again = w->sending.sender.again;
		uint64_t	flying = ftc_sender_in_flight(&w->sending.sender);
		uint64_t	order = sending_sent(&w->sender, &segment, w->now);

		oracle_sent(w, &segment, flying, w->sending.sender.again > again);
		note_sending(w, &segment, again);
		path_call(w, PACKET_CALL, order, &segment);
		if (w->call_until == NEVER)
			w->call_until = w->now + CALL_TIMEOUT;
		if (w->settings.fault[FAULT_UNNUMBERING] && !w->peace && random_chance(&w->chance_fault, 30))
		{
			crash_source(w);
			return;
		}
		w->source.written = w->source.n;
	}
	if (w->source.end.epoch != before.epoch)
	{
		see(w, SIGHT_BEHIND);
		oracle_heard(w, FTC_HEARD_RESTARTED);
	}
}

static void
set_timer(World *w)
{
	uint64_t	next = Min(w->hello_until, w->settings.pipeline ? w->call_until : NEVER);

	if (!w->greeted && w->hello_until == NEVER)
		next = Min(next, w->retry_at);
	if (w->greeted)
		next = Min(next, w->settings.pipeline && w->sending.sender.n > 0 && w->sending.sender.hold_until <= w->now ? NEVER
				   : ftc_sender_deadline(&w->sending.sender, w->now));
	next = Max(next, w->now + 1);
	if (next == NEVER || (w->timer > w->now && w->timer <= next))
		return;
	w->timer = next;
	plan(w, EVENT_TIMER, next, 0);
}

/* What can be done now. */
void
line_look(World *w)
{
	if (!w->source_up)
		return;
	if (w->greeted)
	{
		send_segments(w);
		if (!w->source_up)
			return;
		/* it may have been cut off just now */
		w->greeted = w->sending.sender.state == FTC_SENDER_OPEN;
		if (!w->greeted)
			see(w, SIGHT_OVERTAKEN);
	}
	if (!w->greeted && w->hello_until == NEVER && w->now >= w->retry_at)
		say_hello(w);
	set_timer(w);
}

void
line_timer(World *w, uint64_t time)
{
	if (w->timer != time || !w->source_up)
		return;
	w->timer = 0;
	if (w->now >= w->hello_until)
		leave(w);
	else if (w->settings.pipeline)
	{
		if (w->now >= w->call_until)
			leave(w);
	}
	else if (w->greeted && ftc_sender_timeout(&w->sending.sender, w->now))
		see(w, SIGHT_TIMEOUT);
	line_look(w);
}

/* ----------------------------------------------------------------
 *		Answers
 * ----------------------------------------------------------------
 */

static void
take_hello(World *w, const FtcAck *ack)
{
	FtcLinkEnd	before = w->source.end;
	FtcHeard	heard = sending_hello(&w->sender, ack);

	w->hello_until = NEVER;
	trace(w, "hears that the receiver is at %llu of epoch %llu: %d", (unsigned long long) ack->end.next,
		  (unsigned long long) ack->end.epoch, (int) heard);
	if (heard == FTC_HEARD_MOVED && w->source.end.next < before.next)
		see(w, SIGHT_BACKWARDS);
	w->heard_since = true;
	oracle_heard(w, heard);
	if (heard == FTC_HEARD_RESYNC)
	{
		w->retry_at = w->now + (WAIT_LEAST << Min(w->failures++, WAIT_DOUBLED_MOST));
		return;
	}
	w->greeted = true;
	w->failures = 0;
	w->refusals = 0;
}

static void
note_ack(World *w, const FtcSender *before)
{
	const FtcSender *now = &w->sending.sender;

	if (now->window < before->window)
		see(w, SIGHT_NARROWED);
	if (now->hold_until > before->hold_until)
		oracle_held_back(w);
	for (int i = 0; i < now->n; i++)
	{
		if (now->flight[i].has_come)
			see(w, SIGHT_SACKED);
		for (int j = 0; j < before->n; j++)
			if (now->flight[i].order == before->flight[j].order && now->flight[i].first != before->flight[j].first)
				see(w, SIGHT_TRIMMED);
	}
}

static void
take_ack(World *w, const Packet *packet)
{
	FtcSender	before = w->sending.sender;
	FtcHeard	heard = sending_ack(&w->sender, &packet->ack, packet->order, w->now);

	w->call_until = w->sending.sender.n > 0 ? w->now + CALL_TIMEOUT : NEVER;
	trace(w, "hears of call %llu that the receiver is at %llu of epoch %llu: %d", (unsigned long long) packet->order,
		  (unsigned long long) packet->ack.end.next, (unsigned long long) packet->ack.end.epoch, (int) heard);
	note_ack(w, &before);
	oracle_heard(w, heard);
	if (heard == FTC_HEARD_DOUBT)
	{
		w->greeted = false;
		w->call_until = NEVER;
	}
}

void
line_answer(World *w, const Packet *packet)
{
	if (!w->source_up || packet->connection != w->connection)
		return;
	if (w->crash_source == CRASH_BEFORE)
	{
		crash_source(w);
		return;
	}
	if (packet->kind == PACKET_RESET)
		leave(w);
	else if (packet->outcome == REFUSED)
	{
		see(w, SIGHT_REFUSED);
		leave(w);
	}
	else if (packet->kind == PACKET_HELLO)
	{
		if (packet->order == w->hellos && w->hello_until != NEVER)
		{
			w->peer_boot = packet->boot;
			take_hello(w, &packet->ack);
		}
	}
	else if (packet->outcome == FAILED)
	{
		see(w, SIGHT_FAILED);
		ftc_sender_failed(&w->sending.sender, packet->order, w->now);
	}
	else
		take_ack(w, packet);
	if (w->crash_source == CRASH_AFTER)
	{
		see(w, SIGHT_CRASH_COMMITTED);
		crash_source(w);
		return;
	}
	line_look(w);
}

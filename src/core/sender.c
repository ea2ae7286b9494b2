/*-------------------------------------------------------------------------
 *
 * sender.c
 *	  The sending end of a link: where it stands, and what to send next.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "sender.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

void
ftc_sender_init(FtcSender *sender, const FtcLinkEnd *end, uint64_t base)
{
	memset(sender, 0, sizeof(*sender));
	sender->end = *end;
	sender->base = base;
	sender->window = FTC_WINDOW_START;
	sender->threshold = FTC_WINDOW_MAX;
	ftc_sender_cut(sender);
}

void
ftc_sender_cut(FtcSender *sender)
{
	if (sender->state != FTC_SENDER_RESYNC)
		sender->state = FTC_SENDER_CLOSED;
	sender->n = 0;
	sender->fresh = sender->end.next;
	sender->greeted = sender->moved = sender->order;
	sender->hold_until = 0;
	sender->room_messages = sender->room_bytes = 0;
}

/* ----------------------------------------------------------------
 *		What is under way
 * ----------------------------------------------------------------
 */

static FtcSegment *
find_segment(FtcSender *sender, uint64_t order)
{
	for (int i = 0; i < sender->n; i++)
		if (sender->flight[i].order == order)
			return &sender->flight[i];
	return NULL;
}

static void
drop_segment(FtcSender *sender, int i)
{
	sender->n--;
	memmove(&sender->flight[i], &sender->flight[i + 1], (size_t) (sender->n - i) * sizeof(FtcSegment));
}

static bool
is_flying(const FtcSegment *segment)
{
	return !segment->lost && !segment->has_come;
}

static int
segments_flying(const FtcSender *sender)
{
	int			n = 0;

	for (int i = 0; i < sender->n; i++)
		n += is_flying(&sender->flight[i]);
	return n;
}

uint64_t
ftc_sender_in_flight(const FtcSender *sender)
{
	uint64_t	bytes = 0;

	for (int i = 0; i < sender->n; i++)
		if (is_flying(&sender->flight[i]))
			bytes += sender->flight[i].bytes;
	return bytes;
}

/* A place for one that begins there. */
static FtcSegment *
add_segment(FtcSender *sender, uint64_t first)
{
	FtcSegment *segment = &sender->flight[sender->n++];

	for (; segment > sender->flight && segment[-1].first > first; segment--)
		*segment = segment[-1];
	memset(segment, 0, sizeof(*segment));
	segment->first = first;
	return segment;
}

/* Forget all from there on: it is as if it had never been sent. */
static void
forget_from(FtcSender *sender, uint64_t seq)
{
	while (sender->n > 0 && sender->flight[sender->n - 1].first >= seq)
		sender->n--;
	sender->fresh = seq;
}

/* ----------------------------------------------------------------
 *		Hello: where to go on
 * ----------------------------------------------------------------
 */

/* The epoch opens here; what the receiver has of it is nothing. */
static FtcHeard
open_epoch(FtcSender *sender, const FtcLog *log, uint64_t epoch, uint64_t base, uint64_t reach)
{
	ftc_sender_cut(sender);
	sender->state = FTC_SENDER_CLOSED;
	sender->entered = false;
	sender->base = base;
	sender->floor = reach;
	sender->end.epoch = epoch;
	sender->end.next = sender->fresh = 1;
	(void) log->value_at(log->arg, epoch, sender->base, 1, &sender->end.value);
	return FTC_HEARD_RESTARTED;
}

FtcHeard
ftc_sender_restart(FtcSender *sender, const FtcLog *log, uint64_t epoch)
{
	return open_epoch(sender, log, epoch, (log->replays ? log->horizon : log->end) - 1, log->horizon - 1);
}

/* The seq after the last message there is. */
static uint64_t
end_of(const FtcSender *sender, const FtcLog *log)
{
	return log->end > sender->base ? log->end - sender->base : 1;
}

static bool
is_of_epoch(const FtcSender *sender, const FtcLinkEnd *receiver)
{
	return receiver->epoch == sender->end.epoch && receiver->epoch > 0;
}

/*
 * The position up to which the receiver surely has all.  What is beyond what it
 * has acknowledged in this epoch need not be ours: either end may have been set
 * back, and have gone on in another way.  If we do not know its epoch, it is from
 * before we were set back; it has what is not kept any more, since that was
 * acknowledged even before.
 */
static uint64_t
reach_of(const FtcSender *sender, const FtcLog *log, const FtcLinkEnd *receiver)
{
	uint64_t	position;

	if (receiver->epoch > sender->end.epoch)
		position = log->horizon - 1;
	else if (is_of_epoch(sender, receiver))
		position = MAX(sender->floor, sender->base + MIN(receiver->next, sender->end.next) - 1);
	else if (receiver->epoch == 0 || log->reach_of == NULL ||
			 !log->reach_of(log->arg, receiver->epoch, receiver->next, &position))
		position = 0;
	return MAX(position, log->given_up);
}

/*
 * Does our chain have that value there, and do we still have what follows?
 * Numbers alone are not enough: after either side was restored they may fit
 * while the histories differ.
 */
static bool
agrees(const FtcSender *sender, const FtcLog *log, const FtcLinkEnd *receiver)
{
	FtcHash		value;

	return receiver->next >= 1 && receiver->next <= end_of(sender, log) &&
		sender->base + receiver->next >= log->horizon &&
		log->value_at(log->arg, sender->end.epoch, sender->base, receiver->next, &value) &&
		ftc_hash_equal(&value, &receiver->value);
}

/*
 * Where the ends parted is not known; but if they agree on where the receiver was
 * before its last step, it has what we have up to there.  So who has forgotten the
 * numbers of the last call only sends no more than that again.
 */
static FtcHeard
begin_anew(FtcSender *sender, const FtcLog *log, const FtcAck *says)
{
	const FtcLinkEnd *receiver = &says->end;
	uint64_t	reach = reach_of(sender, log, receiver);
	uint64_t	base = (log->replays ? log->horizon : log->end) - 1;

	if (log->replays && is_of_epoch(sender, receiver) && is_of_epoch(sender, &says->before) &&
		agrees(sender, log, &says->before))
	{
		base = sender->base + says->before.next - 1;
		reach = MAX(reach, base);
	}
	if (log->replays && reach + 1 < log->horizon)
	{
		sender->state = FTC_SENDER_RESYNC;
		return FTC_HEARD_RESYNC;
	}
	return open_epoch(sender, log, MAX(sender->end.epoch, receiver->epoch) + 1, base, reach);
}

static void
take_room(FtcSender *sender, const FtcAck *says)
{
	sender->room_messages = says->room_messages;
	sender->room_bytes = says->room_bytes;
}

static FtcHeard
move_to(FtcSender *sender, uint64_t next, const FtcHash *value)
{
	if (next == sender->end.next)
		return FTC_HEARD_NOTHING;
	sender->end.next = next;
	sender->end.value = *value;
	sender->fresh = MAX(sender->fresh, next);
	sender->moved = sender->order;
	sender->refusals = 0;
	return FTC_HEARD_MOVED;
}

/* What was sent before, and waits there for what is missing. */
static void
take_sacks(FtcSender *sender, const FtcLog *log, const FtcAck *says)
{
	for (int i = 0; i < says->n; i++)
	{
		const FtcSeqRange *range = &says->sacks[i];
		FtcSegment *segment;

		if (range->first <= sender->end.next || range->last >= end_of(sender, log))
			continue;
		segment = add_segment(sender, range->first);
		segment->next = range->last + 1;
		segment->again = segment->has_come = true;
	}
}

FtcHeard
ftc_sender_hello(FtcSender *sender, const FtcLog *log, const FtcAck *says)
{
	const FtcLinkEnd *receiver = &says->end;
	FtcHeard	heard = FTC_HEARD_NOTHING;

	ftc_sender_cut(sender);
	if (receiver->epoch < sender->end.epoch && sender->end.next == 1 &&
		(!log->replays || reach_of(sender, log, receiver) >= sender->base) &&
		sender->base + 1 >= log->horizon)
		;						/* an epoch of ours that it has not seen yet */
	else if (is_of_epoch(sender, receiver) && agrees(sender, log, receiver))
		heard = move_to(sender, receiver->next, &receiver->value);
	else
		heard = begin_anew(sender, log, says);
	if (heard == FTC_HEARD_RESYNC)
		return heard;
	sender->state = FTC_SENDER_OPEN;
	sender->entered = receiver->epoch == sender->end.epoch;
	sender->fresh = sender->end.next;
	take_room(sender, says);
	if (sender->entered)
		take_sacks(sender, log, says);
	return heard;
}

/* ----------------------------------------------------------------
 *		What to send next
 * ----------------------------------------------------------------
 */

/* Room for more bytes; whatever there is if nothing is under way. */
static uint64_t
room(const FtcSender *sender)
{
	uint64_t	flying = ftc_sender_in_flight(sender);
	uint64_t	most = MIN(sender->window, MAX(sender->room_bytes, 1));

	return flying == 0 ? MAX(most, 1) : flying < most ? most - flying : 0;
}

/*
 * If one before it is still under way, and left before it did, that is what the
 * receiver waits for.
 */
static bool
must_wait(const FtcSender *sender, int i)
{
	for (int j = 0; j < i; j++)
		if (is_flying(&sender->flight[j]) && sender->flight[j].order < sender->flight[i].order)
			return true;
	return false;
}

/* What follows the first message of an epoch is of no use before that. */
static bool
is_too_soon(const FtcSender *sender, uint64_t first)
{
	return !sender->entered && first > 1;
}

/* A receiver without room is shown one message now and then, to see. */
static uint64_t
limit_of(const FtcSender *sender)
{
	return sender->end.next + MAX(sender->room_messages, 1);
}

static bool
next_lost(const FtcSender *sender, uint64_t bytes, FtcGrant *grant)
{
	for (int i = 0; i < sender->n; i++)
	{
		const FtcSegment *segment = &sender->flight[i];

		if (!segment->lost || segment->first >= limit_of(sender) || must_wait(sender, i) ||
			is_too_soon(sender, segment->first))
			continue;
		grant->first = segment->first;
		grant->messages = MIN(segment->next, limit_of(sender)) - segment->first;
		grant->bytes = MAX(segment->bytes, bytes);
		return true;
	}
	return false;
}

/* What has come already is passed over. */
static bool
next_fresh(const FtcSender *sender, const FtcLog *log, uint64_t bytes, FtcGrant *grant)
{
	uint64_t	end = MIN(end_of(sender, log), limit_of(sender));
	int			unsettled = 0;

	grant->first = sender->fresh;
	for (int i = 0; i < sender->n; i++)
	{
		const FtcSegment *segment = &sender->flight[i];

		unsettled += !segment->has_come;
		if (segment->first <= grant->first)
			grant->first = MAX(grant->first, segment->next);
		else
			end = MIN(end, segment->first);
	}
	if (grant->first >= end || unsettled >= FTC_FLIGHT_MAX || sender->n >= FTC_SEGMENTS_MAX - 1 ||
		is_too_soon(sender, grant->first))
		return false;
	grant->messages = end - grant->first;
	grant->bytes = bytes;
	return true;
}

bool
ftc_sender_next(const FtcSender *sender, const FtcLog *log, uint64_t now, FtcGrant *grant)
{
	uint64_t	bytes = room(sender);

	if (sender->state != FTC_SENDER_OPEN || now < sender->hold_until || bytes == 0 ||
		segments_flying(sender) >= FTC_FLIGHT_MAX)
		return false;
	return next_lost(sender, bytes, grant) || next_fresh(sender, log, bytes, grant);
}

/* Of those that were sent together only some are sent again: the rest waits. */
static void
split_segment(FtcSender *sender, FtcSegment *segment, uint64_t next)
{
	FtcSegment	rest = *segment;

	if (sender->n == FTC_SEGMENTS_MAX)
	{
		forget_from(sender, next);
		return;
	}
	rest.first = next;
	*add_segment(sender, next) = rest;
}

uint64_t
ftc_sender_sent(FtcSender *sender, uint64_t first, uint64_t next, uint64_t bytes, uint64_t now)
{
	FtcSegment *segment = NULL;

	for (int i = 0; i < sender->n && segment == NULL; i++)
		if (sender->flight[i].first == first)
			segment = &sender->flight[i];
	if (segment == NULL)
		segment = add_segment(sender, first);
	else
	{
		if (next < segment->next)
			split_segment(sender, segment, next);
		segment->again = true;
		sender->again++;
	}
	segment->next = next;
	segment->bytes = bytes;
	segment->sent_at = now;
	segment->lost = false;
	segment->order = ++sender->order;
	sender->fresh = MAX(sender->fresh, next);
	sender->bytes += bytes;
	return segment->order;
}

/* ----------------------------------------------------------------
 *		What came of it
 * ----------------------------------------------------------------
 */

/* More may be under way: twice as much a round trip, then a step a round trip. */
static void
widen(FtcSender *sender, uint64_t bytes)
{
	if (sender->window < sender->threshold)
		sender->window += bytes;
	else
		sender->window += MAX(FTC_WINDOW_MIN * bytes / sender->window, 1);
	sender->window = MIN(sender->window, FTC_WINDOW_MAX);
}

/* Once for all that was under way together. */
static void
narrow(FtcSender *sender, uint64_t order)
{
	if (order <= sender->recovery)
		return;
	sender->recovery = sender->order;
	sender->threshold = MAX(sender->window / 2, FTC_WINDOW_MIN);
	sender->window = sender->threshold;
}

static void
lose(FtcSender *sender, FtcSegment *segment)
{
	segment->lost = true;
	narrow(sender, segment->order);
}

/*
 * What left well before something that has come by now will not come, whether
 * that was taken or not.
 */
static void
lose_overtaken(FtcSender *sender, uint64_t order, uint64_t sent_at)
{
	uint64_t	patience = MAX(sender->rtt.smoothed, sender->rtt.latest);

	patience += patience / 8;
	for (int i = 0; i < sender->n; i++)
	{
		FtcSegment *segment = &sender->flight[i];

		if (is_flying(segment) && segment->order < order &&
			(order - segment->order >= FTC_REORDER_MAX ||
			 (sender->rtt.smoothed > 0 && sent_at - segment->sent_at > patience)))
			lose(sender, segment);
	}
}

/* Not if it begins with the next one: that could not be taken. */
static bool
is_sacked(const FtcSegment *segment, const FtcAck *ack)
{
	if (segment->first <= ack->end.next)
		return false;
	for (int i = 0; i < ack->n; i++)
		if (ack->sacks[i].first <= segment->first && segment->next - 1 <= ack->sacks[i].last)
			return true;
	return false;
}

/* Those that have come and follow each other are one. */
static void
join_segments(FtcSender *sender)
{
	for (int i = sender->n - 1; i > 0; i--)
	{
		FtcSegment *before = &sender->flight[i - 1];
		const FtcSegment *segment = &sender->flight[i];

		if (!before->has_come || !segment->has_come || before->next != segment->first)
			continue;
		before->next = segment->next;
		before->bytes += segment->bytes;
		before->again = true;
		drop_segment(sender, i);
	}
}

/*
 * The receiver had to give up what it had beyond, or could not take the next one,
 * which it had: that is to be sent again, without what it still has behind it.
 */
static void
give_up_held(FtcSender *sender, FtcSegment *segment, const FtcAck *ack)
{
	FtcSegment	rest = *segment;

	segment->has_come = false;
	segment->lost = true;
	rest.first = ack->end.next + 1;
	if (segment->first >= rest.first || rest.first >= rest.next || !is_sacked(&rest, ack) ||
		sender->n == FTC_SEGMENTS_MAX)
		return;
	segment->next = rest.first;
	*add_segment(sender, rest.first) = rest;
}

/* Take off what is acknowledged; gives the bytes that have come. */
static uint64_t
settle_flight(FtcSender *sender, const FtcAck *ack)
{
	uint64_t	bytes = 0;

	for (int i = sender->n - 1; i >= 0; i--)
	{
		FtcSegment *segment = &sender->flight[i];

		if (segment->next <= sender->end.next)
		{
			bytes += segment->has_come ? 0 : segment->bytes;
			drop_segment(sender, i);
		}
		else if (!segment->has_come && is_sacked(segment, ack))
		{
			bytes += segment->bytes;
			segment->has_come = true;
			segment->lost = false;
		}
		else if (segment->has_come && !is_sacked(segment, ack))
			give_up_held(sender, segment, ack);
	}
	return bytes;
}

/* The first segment may be taken in part: the rest of it is one of its own. */
static void
trim_first(FtcSender *sender)
{
	if (sender->n > 0 && sender->flight[0].first < sender->end.next)
		sender->flight[0].first = sender->end.next;
}

/* What the answer says of the way: a round trip, unless it was sent twice. */
static void
measure(FtcSender *sender, const FtcSegment *segment, uint64_t now)
{
	if (!segment->again)
		ftc_rtt_sample(&sender->rtt, now - segment->sent_at);
}

/*
 * The receiver took nothing of it, and says why to the shell; it is there, so
 * it may later.  It is asked ever more seldom.
 */
static void
hold_back(FtcSender *sender, FtcSegment *segment, uint64_t now)
{
	uint64_t	wait = ftc_rtt_timeout(&sender->rtt);

	segment->lost = true;
	if (now < sender->hold_until)
		return;
	for (uint32_t i = 0; i < sender->refusals && wait < FTC_RTO_MAX; i++)
		wait *= 2;
	sender->hold_until = now + MIN(wait, FTC_RTO_MAX);
	sender->refusals++;
}

static bool
is_doubtful(const FtcSender *sender, const FtcLog *log, const FtcAck *ack, uint64_t order, FtcHash *value)
{
	const FtcLinkEnd *receiver = &ack->end;

	/* who goes back to an epoch before was set back */
	if (receiver->epoch != sender->end.epoch)
		return receiver->epoch > sender->end.epoch || (sender->entered && order > sender->moved);
	if (receiver->next < sender->end.next)
		return order > sender->moved;	/* else it is old news */
	/* it may have more than was sent on this connection, but not another */
	return receiver->next > end_of(sender, log) ||
		!log->value_at(log->arg, sender->end.epoch, sender->base, receiver->next, value) ||
		!ftc_hash_equal(value, &receiver->value);
}

/* The receiver is in this epoch: what it says of others is from before. */
static void
enter(FtcSender *sender)
{
	if (!sender->entered)
		sender->moved = sender->order;
	sender->entered = true;
}

static void
note_fate(FtcSender *sender, const FtcFate *fate)
{
	sender->fate.taken += fate->taken;
	sender->fate.early += fate->early;
	sender->fate.duplicates += fate->duplicates;
	sender->fate.dropped += fate->dropped;
	sender->fate.refused += fate->refused;
}

FtcHeard
ftc_sender_ack(FtcSender *sender, const FtcLog *log, const FtcAck *ack, uint64_t order, uint64_t now)
{
	FtcSegment *segment = find_segment(sender, order);
	FtcSegment	answered = {0};
	FtcHeard	heard = FTC_HEARD_NOTHING;
	FtcHash		value;
	uint64_t	bytes;
	uint64_t	next = 1;		/* it takes, of this epoch */

	if (sender->state != FTC_SENDER_OPEN || order <= sender->greeted)
		return FTC_HEARD_NOTHING;
	note_fate(sender, &ack->fate);
	if (is_doubtful(sender, log, ack, order, &value))
	{
		sender->state = FTC_SENDER_CLOSED;
		return FTC_HEARD_DOUBT;
	}
	if (segment != NULL)
	{
		answered = *segment;
		measure(sender, segment, now);
	}
	if (ack->end.epoch == sender->end.epoch)
	{
		enter(sender);
		next = ack->end.next;
	}
	if (ack->end.epoch == sender->end.epoch && next >= sender->end.next)
	{
		take_room(sender, ack);
		heard = move_to(sender, ack->end.next, &value);
		bytes = settle_flight(sender, ack);
		trim_first(sender);
		widen(sender, bytes);
		if (bytes > 0)
			sender->progress_at = now;
	}
	if (segment != NULL)
		lose_overtaken(sender, order, answered.sent_at);
	segment = find_segment(sender, order);
	if (segment != NULL && !segment->has_come && !segment->lost)
	{
		/* something before it was lost, so it could not be taken */
		if (heard == FTC_HEARD_MOVED || segment->first > next)
			lose(sender, segment);
		else
			hold_back(sender, segment, now);
	}
	join_segments(sender);
	return heard;
}

void
ftc_sender_failed(FtcSender *sender, uint64_t order, uint64_t now)
{
	FtcSegment *segment = find_segment(sender, order);

	sender->failed++;
	if (segment == NULL || segment->has_come)
		return;
	if (segment->again)
		hold_back(sender, segment, now);
	else
		lose(sender, segment);
}

/* ----------------------------------------------------------------
 *		Time
 * ----------------------------------------------------------------
 */

static const FtcSegment *
oldest_flying(const FtcSender *sender)
{
	const FtcSegment *oldest = NULL;

	for (int i = 0; i < sender->n; i++)
	{
		const FtcSegment *segment = &sender->flight[i];

		if (is_flying(segment) && (oldest == NULL || segment->sent_at < oldest->sent_at))
			oldest = segment;
	}
	return oldest;
}

/*
 * When what is under way is overdue.  As long as some of it comes the rest may
 * just stand in line behind it (RFC 6298, 5.3).
 */
static uint64_t
overdue_at(const FtcSender *sender)
{
	const FtcSegment *oldest = oldest_flying(sender);

	return oldest == NULL ? UINT64_MAX : MAX(oldest->sent_at, sender->progress_at) + ftc_rtt_timeout(&sender->rtt);
}

uint64_t
ftc_sender_deadline(const FtcSender *sender, uint64_t now)
{
	uint64_t	deadline = overdue_at(sender);

	if (sender->state == FTC_SENDER_OPEN && sender->hold_until > now)
		deadline = MIN(deadline, sender->hold_until);
	return MAX(deadline, now + 1);
}

bool
ftc_sender_timeout(FtcSender *sender, uint64_t now)
{
	if (now < overdue_at(sender))
		return false;
	sender->timeouts++;
	for (int i = 0; i < sender->n; i++)
		if (is_flying(&sender->flight[i]))
			lose(sender, &sender->flight[i]);
	sender->window = FTC_WINDOW_MIN;
	ftc_rtt_back_off(&sender->rtt);
	return true;
}

/*-------------------------------------------------------------------------
 *
 * oracle.c
 *	  What must hold, whoever was restored to what.
 *
 * Of all times.  The sender's log is that of its present life: what it appended
 * before it was set back, and what it has appended since.
 *
 *	1.	A receiver's (epoch, seq) only rises, until it is restored.
 *	2.	It has no message twice.
 *	3.	It has the messages of the sender's log in their order.
 *	4.	A message of the log is applied only when all before it are: of users'
 *		messages all that there ever were; of announcements those of the epoch.
 *		In this, and in 3, the users' messages do not count that an operator gave
 *		up by resend().
 *	5.	Each chain value that it reaches was the sender's, at that epoch and seq.
 *	6.	What is acknowledged was committed there.
 *	7.	What is under way is within the window and the receiver's room; what is
 *		held is within its bounds.
 *	8.	RESYNC is said only if something is really missing; or, when it may be
 *		impossible to tell, if both ends were restored or an operator had begun an
 *		epoch.
 *	9.	Who is held back is held back ever longer.  The sender doubts only after a
 *		restore, or if it is behind its log, or if calls of a connection that is
 *		gone come late.
 *	10.	A link begins a new epoch only after a restore, or if it is behind its log,
 *		or if an answer was changed on its way, or positions were lost in a crash.
 *	11.	Who has only lost positions does not send again what was acknowledged, if
 *		the receiver takes calls as a whole.
 *
 * In the end, some time after the last fault: all is acknowledged, and both ends
 * have the same chain value; or the link is in RESYNC, and after resend() all is.
 * Without any fault nothing is sent twice.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

/* ----------------------------------------------------------------
 *		Chain values
 * ----------------------------------------------------------------
 */

#define TAG_SENT		UINT64_C(0x1111111111111111)
#define TAG_COMMITTED	UINT64_C(0x2222222222222222)

static uint64_t *
find_value(const World *w, const FtcHash *value, uint64_t tag)
{
	uint64_t	key;
	size_t		at;

	memcpy(&key, value->b, sizeof(key));
	key ^= tag;
	at = key % VALUES_MAX;
	while (w->values[at] != 0 && w->values[at] != key)
		at = (at + 1) % VALUES_MAX;
	return &w->values[at];
}

/* When there are very many it looks no more. */
static bool
is_full(const World *w)
{
	return w->nvalues > VALUES_MAX / 4 * 3;
}

static void
put_value(World *w, const FtcHash *value, uint64_t tag)
{
	uint64_t   *at = find_value(w, value, tag);
	uint64_t	key;

	if (is_full(w) || *at != 0)
		return;
	memcpy(&key, value->b, sizeof(key));
	*at = key ^ tag;
	w->nvalues++;
}

static bool
has_value(const World *w, const FtcHash *value, uint64_t tag)
{
	return is_full(w) || *find_value(w, value, tag) != 0;
}

/* Segments that left and of which nothing was heard. */
static int
under_way(const FtcSender *sender)
{
	int			n = 0;

	for (int i = 0; i < sender->n; i++)
		n += !sender->flight[i].lost && !sender->flight[i].has_come;
	return n;
}

/* ----------------------------------------------------------------
 *		The sender
 * ----------------------------------------------------------------
 */

void
oracle_sent(World *w, const Segment *segment, uint64_t flying, bool again)
{
	const FtcSender *s = &w->sending.sender;
	FtcHash		value = segment->before;

	for (int i = 0; i < segment->n; i++)
	{
		const Content *c = message_content(w->settings.users, segment->messages[i]);

		value = ftc_link_advance(&value, &c->id, &c->digest);
		put_value(w, &value, TAG_SENT);
	}
	if (s->n > FTC_SEGMENTS_MAX || under_way(s) > FTC_FLIGHT_MAX || s->window < FTC_WINDOW_MIN || s->window > FTC_WINDOW_MAX)
		world_fail(w, "%d segments are under way, and the window is %llu", under_way(s), (unsigned long long) s->window);
	if (flying > 0 && flying >= Min(s->window, Max(s->room_bytes, 1)))
		world_fail(w, "more is sent than the window and the receiver's room allow");
	if (!again && segment->first + segment->n > s->end.next + Max(s->room_messages, 1))
		world_fail(w, "message %llu is sent beyond the receiver's room", (unsigned long long) segment->first);
	if (s->hold_until > w->now)
		world_fail(w, "message %llu is sent while the sender holds back", (unsigned long long) segment->first);
	if (segment->n == 0)
		world_fail(w, "a call without messages");
}

/* Each time for twice as long, as long as nothing moves. */
void
oracle_held_back(World *w)
{
	see(w, SIGHT_HELD_BACK);
	if (w->refusals == 0)
		w->refused_since = w->now;
	if (w->now - w->refused_since < ((UINT64_C(1) << Min(w->refusals, 6)) - 1) * FTC_RTO_MIN / 2)
		world_fail(w, "the sender tries %u times in %llu us, although nothing is taken", w->refusals + 1,
				   (unsigned long long) (w->now - w->refused_since));
	w->refusals++;
}

/* Is a message of the log missing there that is not kept any more? */
static bool
is_lost(const World *w)
{
	for (uint64_t p = w->excused + 1; p < w->source.horizon; p++)
		if (!sink_knows(&w->sink, w->source.log[p - 1]))
			return true;
	return false;
}

/* Nothing can have happened to the ends but crashes. */
static bool
is_sound(const World *w)
{
	static const Fault others[] = {
		FAULT_GARBLING, FAULT_RESTORE_SOURCE, FAULT_RESTORE_SINK, FAULT_FULL, FAULT_BUSY, FAULT_POISON, FAULT_RESEND
	};
	bool		sound = w->settings.users;

	for (size_t i = 0; i < lengthof(others); i++)
		sound &= !w->settings.fault[others[i]];
	return sound;
}

void
oracle_heard(World *w, FtcHeard heard)
{
	static const Sight sights[] = {
		[FTC_HEARD_NOTHING] = SIGHT_NOTHING,[FTC_HEARD_MOVED] = SIGHT_MOVED,[FTC_HEARD_RESTARTED] = SIGHT_RESTARTED,
		[FTC_HEARD_RESYNC] = SIGHT_RESYNC,[FTC_HEARD_DOUBT] = SIGHT_DOUBT
	};

	see(w, sights[heard]);
	if (heard != FTC_HEARD_NOTHING)
		w->refusals = 0;
	if (heard == FTC_HEARD_DOUBT && w->restores_source + w->restores_sink == 0 && w->sights.seen[SIGHT_LATE] == 0 &&
		!w->settings.fault[FAULT_GARBLING] && w->sights.seen[SIGHT_UNNUMBERED] == 0 &&
		(w->settings.users || !w->settings.fault[FAULT_PRUNING]))
		world_fail(w, "the sender doubts, and nobody was restored");
	if (heard == FTC_HEARD_RESTARTED && w->source.base < w->source.done && is_sound(w))
		world_fail(w, "what was acknowledged is sent again, and nobody was restored");
	w->opened[w->source.base + 1] = true;
	w->epochs += heard == FTC_HEARD_RESTARTED;
	if (heard == FTC_HEARD_RESYNC && w->restores_sink == 0 && !w->settings.fault[FAULT_GARBLING] &&
		!w->settings.fault[FAULT_RESEND])
		world_fail(w, "the link stops, although the receiver was not restored");
	if (heard == FTC_HEARD_RESYNC && !is_lost(w) && !w->settings.fault[FAULT_GARBLING] &&
		!w->settings.fault[FAULT_RESEND] && (w->restores_source == 0 || w->restores_sink == 0))
		world_fail(w, "the link stops, although nothing is missing");
	if (heard == FTC_HEARD_MOVED && w->source.end.next > 1 && !has_value(w, &w->source.end.value, TAG_COMMITTED))
		world_fail(w, "message %llu is acknowledged, and was not applied", (unsigned long long) w->source.end.next - 1);
}

/* ----------------------------------------------------------------
 *		The receiver
 * ----------------------------------------------------------------
 */

static void
check_held(World *w)
{
	const FtcReceiver *r = &w->sink.receiver;
	uint64_t	n = 0;
	uint64_t	bytes = 0;

	for (int i = 0; i < r->n; i++)
		n += r->held[i].last - r->held[i].first + 1;
	for (int i = 0; i < w->sink.nheld; i++)
		bytes += w->sink.held[i].bytes;
	if (n != (uint64_t) w->sink.nheld || bytes != r->held_bytes || r->n > FTC_SACKS_MAX)
		world_fail(w, "%d messages are held, and %llu are said to be", w->sink.nheld, (unsigned long long) n);
	if (r->held_bytes > FTC_RECEIVE_BYTES || (r->n > 0 && (r->held[0].first <= r->end.next - 1 ||
														   r->held[r->n - 1].last > r->end.next + FTC_RECEIVE_AHEAD)))
		world_fail(w, "more is held than may be");
}

void
oracle_committed(World *w)
{
	const FtcLinkEnd *end = &w->sink.receiver.end;

	if (end->epoch < w->committed.epoch || (end->epoch == w->committed.epoch && end->next < w->committed.next))
		world_fail(w, "the receiver goes back to %llu of epoch %llu", (unsigned long long) end->next,
				   (unsigned long long) end->epoch);
	if (end->next > 1 && !has_value(w, &end->value, TAG_SENT))
		world_fail(w, "the receiver has another chain value at %llu of epoch %llu than the sender ever had",
				   (unsigned long long) end->next, (unsigned long long) end->epoch);
	put_value(w, &end->value, TAG_COMMITTED);
	w->committed = *end;
	check_held(w);
}

/* 0 if it has none in the sender's present life. */
static uint64_t
position_of(const World *w, Message message)
{
	uint64_t	position = message_position(message);

	if (position <= w->source.n && w->source.log[position - 1] == message)
		return position;
	for (position = w->source.n; position > 0 && w->source.log[position - 1] != message;)
		position--;
	return position;
}

/* The first position of those that may come in any order together with this one. */
static uint64_t
first_mixed(const World *w, uint64_t position)
{
	while (w->mixed[position])
		position--;
	return position;
}

static bool
is_mixed(const World *w, uint64_t position)
{
	return w->mixed[position] || w->mixed[position + 1];
}

/* Nothing before that position is missing, that should not be. */
static void
check_before(World *w, uint64_t position)
{
	if (!w->settings.users)
	{
		if (position > 1 && !w->opened[position] && !sink_knows(&w->sink, w->source.log[position - 2]))
			world_fail(w, "message %llu of the log is applied without the one before it", (unsigned long long) position);
		return;
	}
	for (uint64_t p = Max(w->top, w->excused) + 1; p < first_mixed(w, position); p++)
		if (!sink_knows(&w->sink, w->source.log[p - 1]))
			world_fail(w, "message %llu of the log is applied, and %llu was not", (unsigned long long) position,
					   (unsigned long long) p);
}

/* Of those that may come in any order, as far as none is missing. */
static void
advance_top(World *w)
{
	while (w->top < w->source.n && is_mixed(w, w->top + 1) && sink_knows(&w->sink, w->source.log[w->top]))
		w->top++;
}

void
oracle_applied(World *w, Message message)
{
	uint64_t	position = position_of(w, message);

	w->sights.applied++;
	if (position == 0 || (position <= w->top && position <= w->excused))
		return;
	if (position <= w->top && !is_mixed(w, position))
	{
		world_fail(w, "message %llu of the log is applied after %llu", (unsigned long long) position,
				   (unsigned long long) w->top);
		return;
	}
	check_before(w, position);
	if (!is_mixed(w, position))
		w->top = position;
	else
	{
		w->top = Max(w->top, first_mixed(w, position) - 1);
		advance_top(w);
	}
}

/* Another log, or another receiver. */
void
oracle_restored(World *w)
{
	w->top = 0;
	for (uint64_t p = (uint64_t) w->source.n + 1; p <= LOG_MAX; p++)
		w->mixed[p] = false;
	for (uint64_t p = 1; p <= w->source.n; p++)
		if (!is_mixed(w, p) && sink_knows(&w->sink, w->source.log[p - 1]))
			w->top = p;
	advance_top(w);
	w->committed = w->sink.receiver.end;
}

/*
 * Some of those that have other positions now may be there, before others, and a
 * call with the old ones may come yet.
 */
void
oracle_unnumbered(World *w, uint64_t from)
{
	for (uint64_t p = from + 2; p <= w->source.n; p++)
		w->mixed[p] = true;
	w->top = Min(w->top, first_mixed(w, from + 1) - 1);
	advance_top(w);
}

void
oracle_excuse(World *w)
{
	if (is_lost(w))
		see(w, SIGHT_EXCUSED);
	w->excused = Max(w->excused, w->source.horizon - 1);
}

/* ----------------------------------------------------------------
 *		The end
 * ----------------------------------------------------------------
 */

bool
oracle_is_done(const World *w)
{
	return w->greeted && w->source.base + w->source.end.next == (uint64_t) w->source.n + 1;
}

/* How long a call takes depends, on a slow line, on how much is in it. */
static bool
is_even(const Settings *s)
{
	return (double) (s->message_bytes + s->call_bytes) / s->rate < (double) FTC_RTO_MIN / 2;
}

/* Round trips vary, so one answer in many thousands comes after it was waited for. */
static void
check_economy(World *w)
{
	const Settings *s = &w->settings;
	const FtcSender *sender = &w->sending.sender;
	bool		any = false;

	for (int i = 0; i < FAULT_COUNT; i++)
		any |= s->fault[i];
	if (!any && is_even(s) && (sender->again > sender->timeouts || sender->timeouts > 1 || w->hellos > 1))
		world_fail(w, "%llu segments were sent again, after %llu timeouts and %llu hellos, and nothing was wrong",
				   (unsigned long long) sender->again, (unsigned long long) sender->timeouts,
				   (unsigned long long) w->hellos);
	if (w->epochs > 0 && !s->fault[FAULT_RESTORE_SOURCE] && !s->fault[FAULT_RESTORE_SINK] &&
		!s->fault[FAULT_GARBLING] && !s->fault[FAULT_RESEND] && !s->fault[FAULT_UNNUMBERING] &&
		(s->users || !s->fault[FAULT_PRUNING]))
		world_fail(w, "the link began %llu epochs, and nobody was restored", (unsigned long long) w->epochs);
}

void
oracle_end(World *w)
{
	const FtcLinkEnd *out = &w->source.end;
	const FtcLinkEnd *in = &w->sink.receiver.end;

	for (int i = 0; i < w->sending.sender.n; i++)
	{
		const FtcSegment *f = &w->sending.sender.flight[i];

		trace(w, "under way: %llu to %llu, order %llu%s%s%s", (unsigned long long) f->first,
			  (unsigned long long) f->next - 1, (unsigned long long) f->order, f->again ? ", again" : "",
			  f->lost ? ", lost" : "", f->has_come ? ", has come" : "");
	}
	if (!oracle_is_done(w))
		world_fail(w, "the link is stuck at %llu of %u messages", (unsigned long long) (w->source.base + out->next - 1),
				   w->source.n);
	else if (out->next > 1 &&
			 (out->epoch != in->epoch || out->next != in->next || !ftc_hash_equal(&out->value, &in->value)))
		world_fail(w, "all is acknowledged, and the ends differ");
	for (uint64_t p = (w->settings.users ? w->excused : w->source.base) + 1; p <= w->source.n; p++)
		if (!sink_knows(&w->sink, w->source.log[p - 1]))
			world_fail(w, "message %llu was acknowledged, and is not there", (unsigned long long) p);
	check_economy(w);
}

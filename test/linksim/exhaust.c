/*-------------------------------------------------------------------------
 *
 * exhaust.c
 *	  Every small case: a few messages, one in each call, and everything that can
 *	  happen to them, in every order.
 *
 * From each state each thing that can happen leads to another one: a call or an
 * answer under way arrives, in whatever order; it gets lost, or comes twice; the
 * connection is cut, and its calls arrive all the same; nothing comes in time; a
 * message is appended, the log pruned; an end crashes, or is restored to what it
 * was at any time before.  Losses and crashes happen only so many times.  The
 * states are searched depth first, each once: of one that was met a fingerprint of
 * 128 bits is kept.
 *
 * Time stands still, but for waits, which end when they like.  So two states are
 * the same if they are but for their times, and for counters.  Of the numbers of
 * calls only their order counts, and whether two are three apart (FTC_REORDER_MAX).
 * What can have no effect any more is left out: answers that nobody hears, late
 * calls with what was taken already, what a log remembers of epochs as long as it
 * is pruned no more, backups that nobody can restore.  With one restore to come one
 * backup will do, of one end.
 *
 * After each step what oracle.c says of all times must hold of the state as it is.
 * A state in which nothing is under way must be one in which all has arrived, or
 * RESYNC.  And from each, or in a large search from some, all arrives if nothing
 * more goes wrong.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

#include <stddef.h>
#include <time.h>

#define PACKETS_MAX 16
#define MESSAGES_MAX 8
#define DEPTH_MAX 600
#define APPENDED_LATER UINT64_C(2)	/* messages; the others are there when the
									 * link begins */
#define NOW UINT64_C(1000)
#define LATE (UINT64_C(1) << 40)

/* A call or an answer under way. */
typedef struct Flying
{
	bool		answer;
	bool		hello;
	bool		gone;			/* its connection is: nobody hears the answer */
	uint64_t	order;
	FtcLinkEnd	end;			/* of an answer */
	FtcLinkEnd	before;
	int			nsacks;
	FtcSeqRange sacks[MESSAGES_MAX];
	Segment		segment;		/* of a call */
} Flying;

/* All there is. */
typedef struct State
{
	Source		source;
	Sink		sink;
	Sending		sending;
	bool		greeted;
	bool		waits;			/* for an answer to hello */
	bool		has_source_backup;
	bool		has_sink_backup;
	bool		heard_since;	/* by the sender, since it was restored */
	bool		sink_restored;
	bool		exchanged;		/* the receiver was restored, and the
								 * connection has outlived it */
	uint8_t		incarnations;
	uint8_t		appended;
	int			losses;			/* that may still happen, as the next ones */
	int			crashes;
	int			prunes;
	Source		source_backup;
	Sink		sink_backup;
	int			packets;		/* under way at a time, at most */
	int			nflying;
	Flying		flying[PACKETS_MAX];
} State;

typedef enum Happening
{
	ARRIVES,
	IS_LOST,
	IS_DOUBLED,
	WAIT_ENDS,
	CUT,
	SOURCE_CRASHES,
	SINK_CRASHES,
	SOURCE_BACKUP,
	SINK_BACKUP,
	SOURCE_RESTORE,
	SINK_RESTORE,
	SINK_EXCHANGE,
	NOTICED,
	PRUNE,
	APPEND
} Happening;

static const char *const happening_names[] = {
	[ARRIVES] = "arrives",[IS_LOST] = "is lost",[IS_DOUBLED] = "comes twice",[WAIT_ENDS] = "a wait ends",
	[CUT] = "the connection is cut",[SOURCE_CRASHES] = "the sender crashes",[SINK_CRASHES] = "the receiver crashes",
	[SOURCE_BACKUP] = "the sender is backed up",[SINK_BACKUP] = "the receiver is backed up",
	[SOURCE_RESTORE] = "the sender is restored",[SINK_RESTORE] = "the receiver is restored",
	[SINK_EXCHANGE] = "the receiver is restored, and the connection stays",
	[NOTICED] = "the sender notices that another run of the receiver answers",
	[PRUNE] = "the log is pruned",[APPEND] = "a message is appended"
};

typedef struct Step
{
	Happening	what;
	int			which;
} Step;

typedef struct Search
{
	bool		users;
	bool		pooled;			/* a receiver that is restored stays connected */
	uint64_t	messages;
	Met		   *met;
	uint64_t	nsteps;
	uint64_t	nrests;			/* states in which nothing is under way */
	uint64_t	nresyncs;
	int			depth;
	int			deepest;
	State	   *stack;
	Step		path[DEPTH_MAX];
	bool		failed;
} Search;

static void describe(const State *state, Step step, char *line, size_t size);

static void
fail(Search *x, const char *what)
{
	char		line[200];

	if (x->failed)
		return;
	x->failed = true;
	printf("not ok - %s, after:\n", what);
	for (int i = Max(x->depth - 60, 0); i < x->depth; i++)
	{
		describe(&x->stack[i], x->path[i], line, sizeof(line));
		printf("\t%s\n", line);
	}
}

/* ----------------------------------------------------------------
 *		Copies, of what is in use
 * ----------------------------------------------------------------
 */

static void
copy_source(Source *to, const Source *from)
{
	memcpy(to, from, offsetof(Source, log) + from->n * sizeof(Message));
	memcpy(&to->horizon, &from->horizon, offsetof(Source, epochs) + from->nepochs * sizeof(Epoch) - offsetof(Source, horizon));
}

static void
copy_sink(Sink *to, const Sink *from)
{
	memcpy(to, from, offsetof(Sink, held) + (size_t) from->nheld * sizeof(Held));
}

static void
copy_sending(Sending *to, const Sending *from)
{
	memcpy(&to->sender, &from->sender, offsetof(FtcSender, flight) + (size_t) from->sender.n * sizeof(FtcSegment));
	memcpy(&to->sender.refusals, &from->sender.refusals, sizeof(FtcSender) - offsetof(FtcSender, refusals));
	to->nvalues = from->nvalues;
	memcpy(to->values, from->values, (size_t) from->nvalues * sizeof(from->values[0]));
}

static void
copy_state(State *to, const State *from)
{
	copy_source(&to->source, &from->source);
	copy_sink(&to->sink, &from->sink);
	copy_sending(&to->sending, &from->sending);
	memcpy(&to->greeted, &from->greeted, offsetof(State, source_backup) - offsetof(State, greeted));
	if (from->has_source_backup)
		copy_source(&to->source_backup, &from->source_backup);
	if (from->has_sink_backup)
		copy_sink(&to->sink_backup, &from->sink_backup);
	to->packets = from->packets;
	to->nflying = from->nflying;
	memcpy(to->flying, from->flying, (size_t) from->nflying * sizeof(Flying));
}

/* ----------------------------------------------------------------
 *		When two states are the same
 * ----------------------------------------------------------------
 */

static inline uint64_t
rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

/* Two lanes, each a permutation for each value, which cross (as MurmurHash3's do). */
static inline void
add(Print *print, uint64_t value)
{
	uint64_t	k = value * UINT64_C(0x87c37b91114253d5);

	k = rotate(k, 31) * UINT64_C(0x4cf5ad432745937f);
	print->a = (rotate(print->a ^ k, 27) + print->b) * 5 + 0x52dce729;
	k = value * UINT64_C(0x9e3779b97f4a7c15);
	k = rotate(k, 33) * UINT64_C(0xbf58476d1ce4e5b9);
	print->b = (rotate(print->b ^ k, 31) + print->a) * 5 + 0x38495ab5;
}

static inline uint64_t
mix(uint64_t k)
{
	k = (k ^ k >> 33) * UINT64_C(0xff51afd7ed558ccd);
	k = (k ^ k >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return k ^ k >> 33;
}

static Print
finish(Print print)
{
	print.a = mix(print.a + print.b);
	print.b = mix(print.b + print.a);
	return print;
}

static void
add_value(Print *print, const FtcHash *value)
{
	uint64_t	front;

	memcpy(&front, value->b, sizeof(front));
	add(print, front);
}

static void
add_end(Print *print, const FtcLinkEnd *end)
{
	add(print, end->epoch << 32 | end->next);
	add_value(print, &end->value);
}

static void
add_ranges(Print *print, const FtcSeqRange *ranges, int n)
{
	add(print, (uint64_t) n);
	for (int i = 0; i < n; i++)
		add(print, ranges[i].first << 32 | ranges[i].last);
}

/* What is said of epochs tells what may be missing of what is not kept. */
static bool
minds_epochs(const State *state, const Source *s)
{
	return s->users && (s->horizon > 1 || state->prunes > 0);
}

static void
add_source(Print *print, const State *state, const Source *s)
{
	add(print, s->n);
	for (int i = 0; i < s->n; i++)
		add(print, s->log[i]);
	add(print, s->horizon << 8 | s->begun);
	add_end(print, &s->end);
	add(print, s->base);
	if (!minds_epochs(state, s))
		return;
	add(print, s->done);
	add(print, s->floor);
	add(print, s->nepochs);
	for (int i = 0; i < s->nepochs; i++)
	{
		add(print, s->epochs[i].epoch << 32 | s->epochs[i].base);
		add(print, s->epochs[i].least);
		add(print, s->epochs[i].most);
	}
}

static void
add_sink(Print *print, const Sink *s)
{
	add_end(print, &s->receiver.end);
	if (s->users)
		add_end(print, &s->receiver.before);
	add_ranges(print, s->receiver.held, s->receiver.n);
	for (unsigned i = 0; i < INCARNATIONS; i++)
	{
		unsigned	at = i * (LOG_MAX + 1) / 8;

		if (s->known[at] != 0 || s->known[at + 1] != 0)
			add(print, (uint64_t) i << 16 | s->known[at] | (uint64_t) s->known[at + 1] << 8);
	}
	/* held in the order in which they came, which does not matter */
	for (int i = 0; i < s->receiver.n; i++)
		for (uint64_t seq = s->receiver.held[i].first; seq <= s->receiver.held[i].last; seq++)
			for (int j = 0; j < s->nheld; j++)
				if (s->held[j].seq == seq)
				{
					add(print, s->held[j].message);
					add_value(print, &s->held[j].before);
				}
}

/* Numbers of calls, as far as they matter, ascending. */
typedef struct Orders
{
	int			n;
	uint64_t	order[FTC_SEGMENTS_MAX + PACKETS_MAX + 1];
	uint64_t	rank[FTC_SEGMENTS_MAX + PACKETS_MAX + 1];
} Orders;

static void
note_order(Orders *orders, uint64_t order)
{
	int			i = orders->n;

	while (i > 0 && orders->order[i - 1] >= order)
		i--;
	if (i < orders->n && orders->order[i] == order)
		return;
	memmove(&orders->order[i + 1], &orders->order[i], (size_t) (orders->n - i) * sizeof(uint64_t));
	orders->order[i] = order;
	orders->n++;
}

/* Does the answer to it count? */
static bool
is_heard(const State *state, const Flying *f)
{
	return f->hello || (!f->gone && state->sending.sender.state == FTC_SENDER_OPEN && f->order > state->sending.sender.greeted);
}

/* Of a segment that is waited for; else it only says that it is not of the last. */
static bool
is_awaited(const FtcSender *sender, uint64_t order)
{
	for (int i = 0; i < sender->n; i++)
		if (sender->flight[i].order == order)
			return true;
	return false;
}

static void
collect_orders(const State *state, Orders *orders)
{
	const FtcSender *sender = &state->sending.sender;

	orders->n = 0;
	note_order(orders, sender->order);
	for (int i = 0; i < sender->n; i++)
		if (sender->flight[i].order > 0)
			note_order(orders, sender->flight[i].order);
	orders->rank[0] = 1;
	for (int i = 1; i < orders->n; i++)
		orders->rank[i] = orders->rank[i - 1] + Min(orders->order[i] - orders->order[i - 1], FTC_REORDER_MAX);
}

/* That of the last up to there; 0: of none. */
static uint64_t
rank_of(const Orders *orders, uint64_t order)
{
	uint64_t	rank = 0;

	for (int i = 0; i < orders->n && orders->order[i] <= order; i++)
		rank = orders->rank[i];
	return rank;
}

static void
add_sending(Print *print, const State *state, const Orders *orders)
{
	const Sending *s = &state->sending;
	const FtcSender *f = &s->sender;

	add(print, (uint64_t) (f->state | f->entered << 4 | (f->hold_until > NOW) << 5));
	add_end(print, &f->end);
	add(print, f->base);
	if (minds_epochs(state, &state->source))
		add(print, f->floor);
	add(print, f->fresh << 32 | f->room_messages);
	add(print, rank_of(orders, f->order) << 32 | rank_of(orders, f->moved));
	add(print, (uint64_t) f->n);
	for (int i = 0; i < f->n; i++)
	{
		add(print, f->flight[i].first << 32 | f->flight[i].next);
		add(print, rank_of(orders, f->flight[i].order) << 8 | (uint64_t) (f->flight[i].lost | f->flight[i].has_come << 1));
	}
	/* else the log tells them */
	if (state->source.horizon > 1 || state->prunes > 0)
		for (int i = 0; i < s->nvalues; i++)
			add(print, s->values[i].seq);
}

/*
 * Which of those sent it is; of one that was sent again since, or of which all was
 * taken, no more than whether anything has moved since.
 */
static uint64_t
place_of_call(const State *state, const Orders *orders, const Flying *f)
{
	const FtcSender *sender = &state->sending.sender;

	if (f->hello || !is_heard(state, f))
		return 0;
	if (is_awaited(sender, f->order))
		return rank_of(orders, f->order);
	return f->order > sender->moved ? UINT64_C(1) << 32 : UINT64_C(2) << 32;
}

/* Which of those under way is which does not matter either. */
static Print
print_of_flying(const State *state, const Orders *orders, const Flying *f)
{
	Print		print = {UINT64_C(0x51ed270b), 2};

	add(&print, (uint64_t) (f->answer | f->hello << 1 | f->gone << 2));
	add(&print, place_of_call(state, orders, f));
	if (f->answer)
	{
		add_end(&print, &f->end);
		if (f->hello && state->source.users)
			add_end(&print, &f->before);
		add_ranges(&print, f->sacks, f->nsacks);
	}
	else if (!f->hello)
	{
		add(&print, f->segment.epoch << 32 | f->segment.first);
		add_value(&print, &f->segment.after);
	}
	return finish(print);
}

static Print
print_of(const State *state)
{
	Print		print = {1, 1};
	Print		flying = {0, 0};
	Orders		orders;

	collect_orders(state, &orders);
	add_source(&print, state, &state->source);
	add_sink(&print, &state->sink);
	add_sending(&print, state, &orders);
	for (int i = 0; i < state->nflying; i++)
	{
		Print		one = print_of_flying(state, &orders, &state->flying[i]);

		flying.a += one.a;
		flying.b += one.b;
	}
	add(&print, flying.a);
	add(&print, flying.b);
	add(&print, (uint64_t) (state->greeted | state->waits << 1 | state->has_source_backup << 2 |
							state->has_sink_backup << 3 | (state->heard_since && state->prunes > 0) << 4 |
							state->sink_restored << 5 | state->exchanged << 6 | state->nflying << 8));
	add(&print, (uint64_t) (state->incarnations | state->appended << 8));
	add(&print, (uint64_t) (state->losses | state->crashes << 8 | state->prunes << 16));
	if (state->has_source_backup)
		add_source(&print, state, &state->source_backup);
	if (state->has_sink_backup)
		add_sink(&print, &state->sink_backup);
	print = finish(print);
	print.b += print.a == 0 && print.b == 0;
	return print;
}

/* ----------------------------------------------------------------
 *		What must hold
 * ----------------------------------------------------------------
 */

static bool
is_lost(const State *state)
{
	for (uint64_t p = 1; p < state->source.horizon; p++)
		if (!sink_knows(&state->sink, state->source.log[p - 1]))
			return true;
	return false;
}

/* Users' messages: all up to some position, and none beyond. */
static void
check_prefix(Search *x, const State *state)
{
	bool		missing = false;

	for (uint64_t p = 1; p <= state->source.n; p++)
	{
		bool		known = sink_knows(&state->sink, state->source.log[p - 1]);

		if (known && missing)
			fail(x, "a message of the log is applied without one before it");
		missing |= !known;
	}
}

/* Announcements: all of the epoch that were acknowledged. */
static void
check_epoch(Search *x, const State *state)
{
	const Source *s = &state->source;
	const FtcLinkEnd *in = &state->sink.receiver.end;

	if (in->epoch != s->end.epoch || in->next < s->end.next || state->sink_restored)
		return;
	for (uint64_t p = s->base + 1; p < s->base + s->end.next; p++)
		if (!sink_knows(&state->sink, s->log[p - 1]))
			fail(x, "a message was acknowledged and is not there");
}

static void
check(Search *x, const State *state)
{
	const FtcLinkEnd *out = &state->source.end;
	const FtcLinkEnd *in = &state->sink.receiver.end;

	if (state->source.users)
		check_prefix(x, state);
	else
		check_epoch(x, state);
	if (state->sink_restored)
		return;
	if (out->next > 1 && (in->epoch < out->epoch || (in->epoch == out->epoch && in->next < out->next)))
		fail(x, "more is acknowledged than was applied");
	if (out->next > 1 && in->epoch == out->epoch && in->next == out->next && !ftc_hash_equal(&in->value, &out->value))
		fail(x, "the chain values differ");
}

static bool
is_done(const State *state)
{
	return state->greeted && state->source.base + state->source.end.next == (uint64_t) state->source.n + 1;
}

/* ----------------------------------------------------------------
 *		What the ends do
 * ----------------------------------------------------------------
 */

static Sender
sender_of(State *state)
{
	Sender		s = {&state->source, &state->sending, 1, 1};

	return s;
}

static Flying *
launch(State *state)
{
	Flying	   *f = &state->flying[state->nflying++];

	memset(f, 0, sizeof(*f));
	return f;
}

/* An answer, for what it says; it always has room. */
static void
put_ack(Flying *f, const FtcAck *ack)
{
	f->end = ack->end;
	f->before = ack->before;
	f->nsacks = ack->n;
	memcpy(f->sacks, ack->sacks, (size_t) ack->n * sizeof(FtcSeqRange));
}

static FtcAck
get_ack(const Flying *f)
{
	FtcAck		ack = {
		.end = f->end,.before = f->before,.room_messages = FTC_RECEIVE_AHEAD,.room_bytes = FTC_RECEIVE_BYTES,.n = f->nsacks
	};

	memcpy(ack.sacks, f->sacks, (size_t) f->nsacks * sizeof(FtcSeqRange));
	return ack;
}

static void
land(State *state, int which)
{
	state->flying[which] = state->flying[--state->nflying];
}

/* All that may be sent, while there is room for it and the answers. */
static void
look(State *state)
{
	Sender		s = sender_of(state);
	Segment		segment;

	while (state->greeted && state->nflying < state->packets && sending_next(&s, NOW, &segment))
	{
		Flying	   *f = launch(state);

		f->order = sending_sent(&s, &segment, NOW);
		f->segment = segment;
	}
	state->greeted &= state->sending.sender.state == FTC_SENDER_OPEN;
	if (!state->greeted && !state->waits && state->sending.sender.state != FTC_SENDER_RESYNC && state->nflying < state->packets)
	{
		launch(state)->hello = true;
		state->waits = true;
	}
}

/* Calls arrive all the same, and nobody hears their answers. */
static void
cut(State *state)
{
	int			n = 0;

	for (int i = 0; i < state->nflying; i++)
		if (!state->flying[i].answer && !state->flying[i].hello)
		{
			state->flying[n] = state->flying[i];
			state->flying[n++].gone = true;
		}
	state->nflying = n;
	state->exchanged = false;
	ftc_sender_cut(&state->sending.sender);
	state->greeted = state->waits = false;
}

static Mood
well(void *arg, Message message)
{
	(void) arg;
	(void) message;
	return MOOD_WELL;
}

typedef struct Taking
{
	Search	   *search;
	State	   *state;
} Taking;

static void
note_applied(void *arg, Message message)
{
	Taking	   *taking = arg;

	if (sink_knows(&taking->state->sink, message))
		fail(taking->search, "a message is applied twice");
}

static void
note_passed(void *arg, Message message)
{
	(void) arg;
	(void) message;
}

static void
note_judged(void *arg, FtcLinkVerdict verdict)
{
	(void) arg;
	(void) verdict;
}

static void
take_call(Search *x, State *state, int which)
{
	Flying	   *f = &state->flying[which];
	Taking		taking = {x, state};
	Intake		in = {
		.sink = &state->sink,.message_bytes = 1,.mood = well,.applied = note_applied,.passed = note_passed,
		.judged = note_judged,.arg = &taking
	};
	static Sink before;
	FtcAck		ack;

	copy_sink(&before, &state->sink);
	if (!f->hello)
		sink_take(&in, &f->segment);
	if (in.wrong)
	{
		bool		gone = f->gone;

		copy_sink(&state->sink, &before);
		land(state, which);
		if (!gone)
			cut(state);
		return;
	}
	f->answer = true;
	ftc_receiver_say(&state->sink.receiver, &ack);
	put_ack(f, &ack);
	memset(&f->segment, 0, sizeof(f->segment));
	if (f->gone)
		land(state, which);
}

static void
take_answer(Search *x, State *state, int which)
{
	Sender		s = sender_of(state);
	Flying		f = state->flying[which];
	FtcAck		ack = get_ack(&f);

	land(state, which);
	if (!f.hello)
	{
		if (sending_ack(&s, &ack, f.order, NOW) == FTC_HEARD_DOUBT)
			state->greeted = false;
		return;
	}
	state->waits = false;
	state->heard_since = true;
	state->greeted = true;
	if (sending_hello(&s, &ack) != FTC_HEARD_RESYNC)
		return;
	state->greeted = false;
	x->nresyncs++;
	if (!is_lost(state) && !(state->sink_restored && state->incarnations > 0))
		fail(x, "the link stops, although nothing is missing");
}

/* An answer that the sender knows to be old, now and ever after. */
static bool
is_old_news(const State *state, const Flying *f)
{
	const FtcSender *sender = &state->sending.sender;

	if (f->hello || is_awaited(sender, f->order) || f->end.epoch > sender->end.epoch ||
		(sender->entered && f->order > sender->moved))
		return false;
	return f->end.epoch < sender->end.epoch || f->end.next < sender->end.next;
}

/*
 * What can have no effect any more.  Late calls are in vain when what they bring was
 * taken: the receiver does not go back but in a restore, which ends their way.
 */
static void
forget_the_dead(const Search *x, State *state)
{
	const FtcLinkEnd *in = &state->sink.receiver.end;

	for (int i = state->nflying - 1; i >= 0; i--)
	{
		const Flying *f = &state->flying[i];
		bool		known = f->segment.epoch < in->epoch || (f->segment.epoch == in->epoch && f->segment.first < in->next);

		if (f->answer ? !is_heard(state, f) || is_old_news(state, f) : f->gone && known && !(x->pooled && state->crashes > 0))
			land(state, i);
	}
	if (state->crashes == 0)
		state->has_source_backup = state->has_sink_backup = false;
}

static void
restore_source(State *state)
{
	copy_source(&state->source, &state->source_backup);
	state->incarnations++;
	/* what it has forgotten it appends anew, and otherwise */
	state->appended = (uint8_t) state->source.n;
	state->heard_since = false;
}

/* ----------------------------------------------------------------
 *		What can happen
 * ----------------------------------------------------------------
 */

/* Nothing of this connection is under way, and something is waited for. */
static bool
may_wait_end(const State *state)
{
	const FtcSender *s = &state->sending.sender;
	bool		flying = false;

	if (s->state == FTC_SENDER_OPEN && s->hold_until > NOW)
		return true;
	for (int i = 0; i < state->nflying; i++)
		flying |= !state->flying[i].gone;
	return !flying && (state->waits || s->n > 0);
}

static void
end_wait(State *state)
{
	FtcSender  *s = &state->sending.sender;

	if (state->waits)
		cut(state);
	else if (s->hold_until > NOW)
		s->hold_until = 0;
	else
		(void) ftc_sender_timeout(s, LATE);
	s->rtt.backoff = 0;
}

static bool
may_happen(const Search *x, const State *state, Happening what)
{
	bool		packet = state->nflying > 0;

	switch (what)
	{
		case ARRIVES:
			return packet;
		case IS_LOST:
			return packet && state->losses > 0;
		case IS_DOUBLED:
			return packet && state->losses > 0 && state->nflying < state->packets;
		case WAIT_ENDS:
			return may_wait_end(state);
		case CUT:
			return state->losses > 0 && (state->greeted || state->waits);
		case SOURCE_CRASHES:
		case SINK_CRASHES:
			return state->crashes > 0 && !x->pooled;
		case SOURCE_BACKUP:
			return state->crashes > 0 && !state->has_source_backup && (state->crashes > 1 || !state->has_sink_backup) &&
				!x->pooled && state->incarnations + 1 < INCARNATIONS;
		case SINK_BACKUP:
			return state->crashes > 0 && !state->has_sink_backup && (state->crashes > 1 || !state->has_source_backup);
		case SOURCE_RESTORE:
			return state->crashes > 0 && state->has_source_backup;
		case SINK_RESTORE:
			return state->crashes > 0 && state->has_sink_backup && !x->pooled;
		case SINK_EXCHANGE:
			return state->crashes > 0 && state->has_sink_backup && x->pooled;
		case NOTICED:
			return state->exchanged;
		case PRUNE:
			return state->prunes > 0 && (state->heard_since || !state->source.users);
		case APPEND:
			return state->appended < x->messages;
	}
	return false;
}

static void
happen(Search *x, State *state, Happening what, int which)
{
	switch (what)
	{
		case ARRIVES:
			(state->flying[which].answer ? take_answer : take_call) (x, state, which);
			break;
		case IS_LOST:
			land(state, which);
			state->losses--;
			break;
		case IS_DOUBLED:
			state->flying[state->nflying++] = state->flying[which];
			state->losses--;
			break;
		case WAIT_ENDS:
			end_wait(state);
			break;
		case CUT:
			cut(state);
			state->losses--;
			break;
		case SOURCE_CRASHES:
		case SOURCE_RESTORE:
			cut(state);
			memset(&state->sending, 0, sizeof(state->sending));
			if (what == SOURCE_RESTORE)
				restore_source(state);
			state->crashes--;
			break;
		case SINK_CRASHES:
		case SINK_RESTORE:
			cut(state);
			state->nflying = 0;
			if (what == SINK_RESTORE)
				copy_sink(&state->sink, &state->sink_backup);
			else
				sink_forget_held(&state->sink);
			state->sink_restored |= what == SINK_RESTORE;
			state->crashes--;
			break;
		case SINK_EXCHANGE:
			copy_sink(&state->sink, &state->sink_backup);
			state->sink_restored = true;
			state->exchanged = state->greeted || state->waits;
			state->crashes--;
			break;
		case NOTICED:
			cut(state);
			break;
		case SOURCE_BACKUP:
			copy_source(&state->source_backup, &state->source);
			state->has_source_backup = true;
			break;
		case SINK_BACKUP:
			copy_sink(&state->sink_backup, &state->sink);
			state->has_sink_backup = true;
			break;
		case PRUNE:
			source_prune(&state->source, 0);
			state->prunes--;
			break;
		case APPEND:
			source_append(&state->source, state->incarnations);
			state->appended++;
			break;
	}
	look(state);
	forget_the_dead(x, state);
	check(x, state);
}

static void
describe(const State *state, Step step, char *line, size_t size)
{
	const Flying *f = &state->flying[step.which];
	const char *name = happening_names[step.what];

	if (step.what > IS_DOUBLED)
		snprintf(line, size, "%s", name);
	else if (f->answer)
		snprintf(line, size, "answer to %s: at %llu of epoch %llu, %s", f->hello ? "hello" : "a call",
				 (unsigned long long) f->end.next, (unsigned long long) f->end.epoch, name);
	else if (f->hello)
		snprintf(line, size, "hello %s", name);
	else
		snprintf(line, size, "message %llu of epoch %llu%s %s", (unsigned long long) f->segment.first,
				 (unsigned long long) f->segment.epoch, f->gone ? ", late," : "", name);
}

/* ----------------------------------------------------------------
 *		The search
 * ----------------------------------------------------------------
 */

/* All that is kept, and of the ledger what came since the epoch began. */
static bool
all_there(const State *state)
{
	const Source *s = &state->source;

	for (uint64_t p = Max(s->horizon, s->users ? 1 : s->base + 1); p <= s->n; p++)
		if (!sink_knows(&state->sink, s->log[p - 1]))
			return false;
	return is_done(state);
}

/* Nothing more goes wrong: what is first under way arrives first. */
static void
must_arrive(Search *x, const State *from)
{
	static State state;

	copy_state(&state, from);
	for (int i = 0; i < 300; i++)
	{
		/* land() puts the last into its place: near enough */
		if (state.nflying > 0)
			happen(x, &state, ARRIVES, 0);
		else if (may_wait_end(&state))
			happen(x, &state, WAIT_ENDS, 0);
		else if (state.exchanged)
			happen(x, &state, NOTICED, 0);
		else
			break;
	}
	if (!all_there(&state) && state.sending.sender.state != FTC_SENDER_RESYNC)
		fail(x, "not all arrives, though nothing more goes wrong");
}

#define ALWAYS_LOOKED 100000	/* states; of the others one of so many */
#define LOOKED_EVERY 256

/* All that can happen in the state at the top of the stack. */
static void
search(Search *x, uint64_t lot)
{
	State	   *state = &x->stack[x->depth];
	State	   *next = &x->stack[x->depth + 1];

	if (state->nflying == 0)
		x->nrests++;
	if (met_count(x->met) < ALWAYS_LOOKED || lot % LOOKED_EVERY == 0)
		must_arrive(x, state);
	if (x->depth + 2 == DEPTH_MAX)
		fail(x, "this goes on for ever");
	for (int what = ARRIVES; what <= APPEND && !x->failed; what++)
	{
		int			n = what <= IS_DOUBLED ? state->nflying : 1;

		for (int which = 0; which < n && may_happen(x, state, (Happening) what) && !x->failed; which++)
		{
			Print		print;

			/* an answer to hello is of the hello that was said last */
			if (what == IS_DOUBLED && state->flying[which].hello)
				continue;
			copy_state(next, state);
			x->nsteps++;
			x->path[x->depth] = (Step)
			{
				(Happening) what, which
			};
			x->depth++;
			x->deepest = Max(x->deepest, x->depth);
			happen(x, next, (Happening) what, which);
			print = print_of(next);
			if (!x->failed && met_add(x->met, &print))
				search(x, print.b);
			x->depth--;
		}
	}
}

static void
begin(Search *x, int packets, int losses, int crashes)
{
	State	   *first = &x->stack[0];

	first->source.users = x->users;
	first->source.horizon = 1;
	first->packets = packets;
	first->losses = losses;
	first->crashes = crashes;
	first->prunes = crashes > 0;
	sink_init(&first->sink, x->users);
	/* the link begins before there is anything to say */
	look(first);
	happen(x, first, ARRIVES, 0);
	happen(x, first, ARRIVES, 0);
	while (first->appended + APPENDED_LATER < x->messages)
	{
		source_append(&first->source, 0);
		first->appended++;
	}
	look(first);
}

static bool
search_log(bool users, uint64_t messages, int packets, int losses, int crashes, bool pooled)
{
	Search		x = {.users = users,.pooled = pooled,.messages = messages,.met = met_make()};
	clock_t		start = clock();
	Print		print;
	double		seconds;

	x.stack = calloc(DEPTH_MAX, sizeof(State));
	begin(&x, packets, losses, crashes);
	print = print_of(&x.stack[0]);
	(void) met_add(x.met, &print);
	search(&x, 0);
	seconds = (double) (clock() - start) / CLOCKS_PER_SEC;
	if (!x.failed)
		printf("ok - %s, %llu messages, %d packets at a time, %d losses, %d %s: %llu states, %llu steps, at most %d deep, %llu at rest, %llu times RESYNC, %.1f s, %llu MB\n",
			   users ? "users' messages" : "announcements", (unsigned long long) messages, packets, losses, crashes,
			   pooled ? "restores behind a connection" : "crashes", (unsigned long long) met_count(x.met),
			   (unsigned long long) x.nsteps, x.deepest, (unsigned long long) x.nrests, (unsigned long long) x.nresyncs,
			   seconds, (unsigned long long) (met_bytes(x.met) >> 20));
	fflush(stdout);
	met_free(x.met);
	free(x.stack);
	return !x.failed;
}

void
exhaust_run(const Exhaust *what, int *passed, int *failed)
{
	for (int kind = 0; kind < 3; kind++)
		for (int users = 0; users < 2; users++)
		{
			bool		ok;

			if ((what->kind >= 0 && what->kind != kind) || (what->log != 0 && (what->log > 0) != (users == 1)))
				continue;
			ok = search_log(users == 1, what->messages, what->packets, kind == 0 ? what->faults : 0, kind == 0 ? 0 : what->faults, kind == 2);
			*passed += ok;
			*failed += !ok;
		}
}

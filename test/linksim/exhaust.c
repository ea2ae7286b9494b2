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
 * states are searched depth first, each once: of one that was met a hash is kept.
 *
 * Time stands still, but for waits, which end when they like.  So two states are
 * the same if they are but for their times, for counters, and for where the
 * numbers of calls begin.
 *
 * After each step what oracle.c says of all times must hold of the state as it is.
 * A state in which nothing is under way must be one in which all has arrived, or
 * RESYNC.  And from each, or in a large search from some, all arrives if nothing
 * more goes wrong.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

#define PACKETS_MAX 12
#define DEPTH_MAX 400
#define NOW UINT64_C(1000)
#define LATE (UINT64_C(1) << 40)

/* A call or an answer under way. */
typedef struct Flying
{
	bool		answer;
	bool		hello;
	bool		gone;			/* its connection is: nobody hears the answer */
	uint64_t	order;
	FtcAck		ack;
	Segment		segment;
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
	uint8_t		incarnations;
	uint8_t		appended;
	int			losses;			/* that may still happen, as the next ones */
	int			crashes;
	int			prunes;
	Source		source_backup;
	Sink		sink_backup;
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
	PRUNE,
	APPEND
} Happening;

static const char *const happening_names[] = {
	[ARRIVES] = "arrives",[IS_LOST] = "is lost",[IS_DOUBLED] = "comes twice",[WAIT_ENDS] = "a wait ends",
	[CUT] = "the connection is cut",[SOURCE_CRASHES] = "the sender crashes",[SINK_CRASHES] = "the receiver crashes",
	[SOURCE_BACKUP] = "the sender is backed up",[SINK_BACKUP] = "the receiver is backed up",
	[SOURCE_RESTORE] = "the sender is restored",[SINK_RESTORE] = "the receiver is restored",
	[PRUNE] = "the log is pruned",[APPEND] = "a message is appended"
};

typedef struct Search
{
	bool		users;
	uint64_t	messages;
	uint64_t   *met;			/* hashes of states */
	uint64_t	size;
	uint64_t	nstates;
	uint64_t	nsteps;
	uint64_t	nrests;			/* states in which nothing is under way */
	uint64_t	nresyncs;
	int			depth;
	int			deepest;
	State	   *stack;
	char		path[DEPTH_MAX][80];
	bool		failed;
} Search;

static void
fail(Search *x, const char *what)
{
	if (x->failed)
		return;
	x->failed = true;
	printf("not ok - %s, after:\n", what);
	for (int i = Max(x->depth - 60, 0); i < x->depth; i++)
		printf("\t%s\n", x->path[i]);
}

/* ----------------------------------------------------------------
 *		When two states are the same
 * ----------------------------------------------------------------
 */

typedef struct Sum
{
	uint64_t	h;
} Sum;

static void
add(Sum *sum, uint64_t value)
{
	sum->h = (sum->h ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	sum->h ^= sum->h >> 29;
}

static void
add_value(Sum *sum, const FtcHash *value)
{
	uint64_t	front;

	memcpy(&front, value->b, sizeof(front));
	add(sum, front);
}

static void
add_end(Sum *sum, const FtcLinkEnd *end)
{
	add(sum, end->epoch);
	add(sum, end->next);
	add_value(sum, &end->value);
}

static void
add_ranges(Sum *sum, const FtcSeqRange *ranges, int n)
{
	add(sum, (uint64_t) n);
	for (int i = 0; i < n; i++)
	{
		add(sum, ranges[i].first);
		add(sum, ranges[i].last);
	}
}

static void
add_source(Sum *sum, const Source *s)
{
	add(sum, s->n);
	for (int i = 0; i < s->n; i++)
		add(sum, s->log[i]);
	add(sum, s->horizon);
	add(sum, s->done);
	add(sum, s->begun);
	add_end(sum, &s->end);
	add(sum, s->base);
	add(sum, s->floor);
	add(sum, s->nepochs);
	for (int i = 0; i < s->nepochs; i++)
	{
		add(sum, s->epochs[i].epoch);
		add(sum, s->epochs[i].base);
		add(sum, s->epochs[i].least);
		add(sum, s->epochs[i].most);
	}
}

static void
add_sink(Sum *sum, const Sink *s)
{
	add_end(sum, &s->receiver.end);
	add_ranges(sum, s->receiver.held, s->receiver.n);
	for (unsigned i = 0; i < INCARNATIONS; i++)
		add(sum, (uint64_t) s->known[i * (LOG_MAX + 1) / 8] | (uint64_t) s->known[i * (LOG_MAX + 1) / 8 + 1] << 8);
	/* held in the order in which they came, which does not matter */
	for (int i = 0; i < s->receiver.n; i++)
		for (uint64_t seq = s->receiver.held[i].first; seq <= s->receiver.held[i].last; seq++)
			for (int j = 0; j < s->nheld; j++)
				if (s->held[j].seq == seq)
				{
					add(sum, s->held[j].message);
					add_value(sum, &s->held[j].before);
				}
}

static void
add_sending(Sum *sum, const Sending *s)
{
	const FtcSender *f = &s->sender;

	add(sum, f->state);
	add_end(sum, &f->end);
	add(sum, f->base);
	add(sum, f->floor);
	add(sum, f->fresh);
	add(sum, f->order - f->greeted);
	add(sum, f->order - f->moved);
	add(sum, f->hold_until > NOW);
	add(sum, f->room_messages);
	add(sum, (uint64_t) f->n);
	for (int i = 0; i < f->n; i++)
	{
		add(sum, f->flight[i].first);
		add(sum, f->flight[i].next);
		add(sum, f->order - f->flight[i].order);
		add(sum, (uint64_t) (f->flight[i].again | f->flight[i].lost << 1 | f->flight[i].has_come << 2));
	}
	for (int i = 0; i < s->nvalues; i++)
		add(sum, s->values[i].seq);
}

/* Which of those under way is which does not matter either. */
static uint64_t
sum_of_flying(const State *state, const Flying *f)
{
	Sum			sum = {UINT64_C(0x51ed270b)};

	add(&sum, (uint64_t) (f->answer | f->hello << 1 | f->gone << 2));
	add(&sum, f->gone ? 0 : state->sending.sender.order - f->order);
	if (f->answer)
	{
		add_end(&sum, &f->ack.end);
		add_ranges(&sum, f->ack.sacks, f->ack.n);
	}
	else if (!f->hello)
	{
		add(&sum, f->segment.epoch);
		add(&sum, f->segment.first);
		add_value(&sum, &f->segment.after);
	}
	return sum.h;
}

static uint64_t
sum_of(const State *state)
{
	Sum			sum = {1};
	uint64_t	flying = 0;

	add_source(&sum, &state->source);
	add_sink(&sum, &state->sink);
	add_sending(&sum, &state->sending);
	for (int i = 0; i < state->nflying; i++)
		flying += sum_of_flying(state, &state->flying[i]) | 1;
	add(&sum, flying);
	add(&sum, (uint64_t) (state->greeted | state->waits << 1 | state->has_source_backup << 2 |
						  state->has_sink_backup << 3 | state->heard_since << 4 | state->sink_restored << 5));
	add(&sum, (uint64_t) (state->incarnations | state->appended << 8));
	add(&sum, (uint64_t) (state->losses | state->crashes << 8 | state->prunes << 16));
	if (state->has_source_backup && state->crashes > 0)
		add_source(&sum, &state->source_backup);
	if (state->has_sink_backup && state->crashes > 0)
		add_sink(&sum, &state->sink_backup);
	return sum.h | 1;
}

/* False if it was met before. */
static bool
meet(Search *x, uint64_t sum)
{
	uint64_t	at = sum % x->size;

	while (x->met[at] != 0 && x->met[at] != sum)
		at = (at + 1) % x->size;
	if (x->met[at] != 0)
		return false;
	x->met[at] = sum;
	if (++x->nstates > x->size / 10 * 9)
		fail(x, "there are too many states");
	return true;
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

	while (state->greeted && state->nflying < PACKETS_MAX && sending_next(&s, NOW, &segment))
	{
		Flying	   *f = launch(state);

		f->order = sending_sent(&s, &segment, NOW);
		f->segment = segment;
	}
	state->greeted &= state->sending.sender.state == FTC_SENDER_OPEN;
	if (!state->greeted && !state->waits && state->sending.sender.state != FTC_SENDER_RESYNC && state->nflying < PACKETS_MAX)
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
	Sink		before = state->sink;

	if (!f->hello)
		sink_take(&in, &f->segment);
	if (in.wrong)
	{
		bool		gone = f->gone;

		state->sink = before;
		land(state, which);
		if (!gone)
			cut(state);
		return;
	}
	f->answer = true;
	ftc_receiver_say(&state->sink.receiver, &f->ack);
	memset(&f->segment, 0, sizeof(f->segment));
	if (f->gone)
		land(state, which);
}

static void
take_answer(Search *x, State *state, int which)
{
	Sender		s = sender_of(state);
	Flying		f = state->flying[which];

	land(state, which);
	if (!f.hello)
	{
		if (sending_ack(&s, &f.ack, f.order, NOW) == FTC_HEARD_DOUBT)
			state->greeted = false;
		return;
	}
	state->waits = false;
	state->heard_since = true;
	state->greeted = true;
	if (sending_hello(&s, &f.ack) != FTC_HEARD_RESYNC)
		return;
	state->greeted = false;
	x->nresyncs++;
	if (!is_lost(state) && !(state->sink_restored && state->incarnations > 0))
		fail(x, "the link stops, although nothing is missing");
}

static void
restore_source(State *state)
{
	state->source = state->source_backup;
	state->incarnations++;
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
			return packet && state->losses > 0 && state->nflying < PACKETS_MAX;
		case WAIT_ENDS:
			return may_wait_end(state);
		case CUT:
			return state->losses > 0 && (state->greeted || state->waits);
		case SOURCE_CRASHES:
		case SINK_CRASHES:
			return state->crashes > 0;
		case SOURCE_BACKUP:
			return state->crashes > 0 && !state->has_source_backup && state->incarnations + 1 < INCARNATIONS;
		case SINK_BACKUP:
			return state->crashes > 0 && !state->has_sink_backup;
		case SOURCE_RESTORE:
			return state->crashes > 0 && state->has_source_backup;
		case SINK_RESTORE:
			return state->crashes > 0 && state->has_sink_backup;
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
				state->sink = state->sink_backup;
			else
				sink_forget_held(&state->sink);
			state->sink_restored |= what == SINK_RESTORE;
			state->crashes--;
			break;
		case SOURCE_BACKUP:
			state->source_backup = state->source;
			state->has_source_backup = true;
			break;
		case SINK_BACKUP:
			state->sink_backup = state->sink;
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
	check(x, state);
}

static void
describe(const State *state, Happening what, int which, char *line, size_t size)
{
	const Flying *f = &state->flying[which];

	if (what > IS_DOUBLED)
		snprintf(line, size, "%s", happening_names[what]);
	else if (f->hello || f->answer)
		snprintf(line, size, "%s, %s: at %llu of epoch %llu, %s", f->hello ? "hello" : "call", f->answer ? "answer" : "call",
				 (unsigned long long) f->ack.end.next, (unsigned long long) f->ack.end.epoch, happening_names[what]);
	else
		snprintf(line, size, "message %llu of epoch %llu%s %s", (unsigned long long) f->segment.first,
				 (unsigned long long) f->segment.epoch, f->gone ? ", late," : "", happening_names[what]);
}

/* ----------------------------------------------------------------
 *		The search
 * ----------------------------------------------------------------
 */

/* Nothing more goes wrong: what is first under way arrives first. */
static void
must_arrive(Search *x, const State *from)
{
	static State state;

	state = *from;
	for (int i = 0; i < 300; i++)
	{
		if (state.nflying > 0)
		{
			/* land() puts the last into its place: near enough */
			happen(x, &state, ARRIVES, 0);
		}
		else if (may_wait_end(&state))
			happen(x, &state, WAIT_ENDS, 0);
		else
			break;
	}
	if (!is_done(&state) && state.sending.sender.state != FTC_SENDER_RESYNC)
		fail(x, "not all arrives, though nothing more goes wrong");
}

/* All that can happen in the state at the top of the stack. */
static void
search(Search *x, uint64_t sum)
{
	State	   *state = &x->stack[x->depth];
	State	   *next = &x->stack[x->depth + 1];

	if (state->nflying == 0)
		x->nrests++;
	if (x->nstates < 5000 || sum % 64 == 1)
		must_arrive(x, state);
	if (x->depth + 2 == DEPTH_MAX)
		fail(x, "this goes on for ever");
	for (int what = ARRIVES; what <= APPEND && !x->failed; what++)
	{
		int			n = what <= IS_DOUBLED ? state->nflying : 1;

		for (int which = 0; which < n && may_happen(x, state, (Happening) what) && !x->failed; which++)
		{
			/* an answer to hello is of the hello that was said last */
			if (what == IS_DOUBLED && state->flying[which].hello)
				continue;
			*next = *state;
			x->nsteps++;
			describe(state, (Happening) what, which, x->path[x->depth], sizeof(x->path[0]));
			x->depth++;
			x->deepest = Max(x->deepest, x->depth);
			happen(x, next, (Happening) what, which);
			sum = sum_of(next);
			if (!x->failed && meet(x, sum))
				search(x, sum);
			x->depth--;
		}
	}
}

static bool
search_log(bool users, uint64_t messages, int losses, int crashes)
{
	Search		x = {.users = users,.messages = messages,.size = UINT64_C(1) << 25};
	State	   *first;

	x.met = calloc(x.size, sizeof(uint64_t));
	x.stack = calloc(DEPTH_MAX, sizeof(State));
	first = &x.stack[0];
	first->source.users = users;
	first->source.horizon = 1;
	first->losses = losses;
	first->crashes = crashes;
	first->prunes = crashes > 0;
	sink_init(&first->sink, users);
	/* the link begins before there is anything to say */
	look(first);
	happen(&x, first, ARRIVES, 0);
	happen(&x, first, ARRIVES, 0);
	while (first->appended < messages - 1)
	{
		source_append(&first->source, 0);
		first->appended++;
	}
	look(first);
	(void) meet(&x, sum_of(first));
	search(&x, 1);
	if (!x.failed)
		printf("ok - %s, %llu messages, %d losses, %d crashes: %llu states, %llu steps, at most %d deep, %llu at rest, %llu times RESYNC\n",
			   users ? "users' messages" : "announcements", (unsigned long long) messages, losses, crashes,
			   (unsigned long long) x.nstates, (unsigned long long) x.nsteps, x.deepest, (unsigned long long) x.nrests,
			   (unsigned long long) x.nresyncs);
	fflush(stdout);
	free(x.met);
	free(x.stack);
	return !x.failed;
}

void
exhaust_run(uint64_t messages, uint64_t faults, int *passed, int *failed)
{
	for (uint64_t crashes = 0; crashes <= faults; crashes++)
		for (int users = 0; users < 2; users++)
		{
			bool		ok = search_log(users, messages, (int) (faults - crashes), (int) crashes);

			*passed += ok;
			*failed += !ok;
		}
}

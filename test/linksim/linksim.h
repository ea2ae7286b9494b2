/*-------------------------------------------------------------------------
 *
 * linksim.h
 *	  The simulator of links: two databases, a link from one to the other, in
 *	  virtual time.
 *
 * What is real: the core's ends of a link (sender, receiver, rtt, link), and the
 * bytes of its messages.  What is played: tables, transactions, processes and
 * the network.  test/sim has whole members; here one link is driven to its
 * limits, a hundred times as fast.
 *
 * An end has a durable part, as in its tables (Source, Sink), which a restore
 * takes back to what it was at a backup; and a volatile one, which any crash
 * takes.  All of an end lies in a few structs without pointers: a backup is a
 * copy, and so is a state of exhaust.c.
 *
 *	message.c	messages, the same for everybody
 *	source.c	the sending end: src/sending.c and the logs behind it
 *	sink.c		the receiving end: src/receive.c
 *	path.c		calls, answers and connections, and what becomes of them
 *	line.c		what the sending end does when: the courier
 *	faults.c	what goes wrong with the ends
 *	oracle.c	what must hold
 *	settings.c	what a seed means
 *	run.c		one seed
 *	speed.c		how much gets through
 *	exhaust.c	every small case		met.c	and which of them were met
 *	main.c		the command line
 *
 * mutants.txt leaves out one rule of the core after the other; each must be
 * found.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LINKSIM_H
#define LINKSIM_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "options.h"
#include "queue.h"
#include "random.h"
#include "receiver.h"
#include "sender.h"

#define lengthof(array)	(sizeof(array) / sizeof((array)[0]))
#define Min(a, b)		((a) < (b) ? (a) : (b))
#define Max(a, b)		((a) > (b) ? (a) : (b))

#define MS UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define NEVER UINT64_MAX

/* ----------------------------------------------------------------
 *		message.c
 * ----------------------------------------------------------------
 */

#define INCARNATIONS 16
#define LOG_MAX 511

/*
 * A message: which incarnation of the sending database appended it, and at which
 * position of its log.
 */
typedef uint16_t Message;

#define message_make(incarnation, position) ((Message) ((incarnation) << 9 | (position)))
#define message_incarnation(m)	((m) >> 9)
#define message_position(m)		((uint64_t) ((m) & LOG_MAX))	/* the first it had */

typedef struct Content
{
	FtcHash		id;
	FtcHash		digest;
	uint32_t	size;			/* random */
	uint8_t		reference_len;
	uint8_t		text_len;
	uint8_t		reference[128];
	uint8_t text[32];			/* what comes along */
} Content;

/* Of users' messages, or of announcements. */
extern const Content *message_content(bool users, Message message);

/* ----------------------------------------------------------------
 *		source.c
 * ----------------------------------------------------------------
 */

#define SEGMENT_MAX 6			/* messages of a call */
#define EPOCHS_MAX 24

/* Messages as one call carries them. */
typedef struct Segment
{
	uint64_t	epoch;
	uint64_t	first;			/* seq */
	FtcHash		before;			/* the chain value before the first */
	FtcHash		after;
	uint32_t	bytes;			/* as if they were that large */
	uint8_t		n;
	Message		messages[SEGMENT_MAX];
} Segment;

/*
 * An epoch, and what its receivers have: up to base + next - 1, but at least and
 * at most these positions.
 */
typedef struct Epoch
{
	uint64_t	epoch;
	uint64_t	base;
	uint64_t	least;
	uint64_t	most;
} Epoch;

/* The sending database. */
typedef struct Source
{
	bool		users;			/* its log is one of users' messages */
	uint8_t		incarnation;
	uint16_t	n;
	uint16_t	written;		/* positions up to there outlive a crash */
	Message		log[LOG_MAX];	/* by position, from 1; pruned ones too */
	uint64_t	horizon;		/* older ones are gone */
	uint64_t	done;			/* what was ever acknowledged */
	bool		begun;
	FtcLinkEnd	end;
	uint64_t	base;
	uint64_t	floor;
	uint64_t	given_up;		/* by resend(), up to that position */
	uint8_t		nepochs;
	Epoch		epochs[EPOCHS_MAX];
} Source;

/* The process that sends. */
typedef struct Sending
{
	FtcSender	sender;
	int			nvalues;		/* chain values after what was sent */
	struct
	{
		uint64_t	seq;		/* the first after it */
		FtcHash		value;
	}			values[FTC_FLIGHT_MAX];
} Sending;

/* What it takes to move an end that sends. */
typedef struct Sender
{
	Source	   *source;
	Sending    *sending;
	uint32_t	call_bytes;		/* aimed at in a call */
	uint32_t	message_bytes;	/* of a message, at most */
} Sender;

extern void source_append(Source *source, uint8_t incarnation);
extern void source_prune(Source *source, uint64_t keep);
extern void source_forget_positions(Source *source, uint64_t from, Random *r);
extern FtcHash source_start(uint64_t epoch);
extern uint32_t source_size(const Sender *s, Message message);

extern FtcHeard sending_hello(Sender *s, const FtcAck *says);
extern bool sending_next(Sender *s, uint64_t now, Segment *segment);
extern uint64_t sending_sent(Sender *s, const Segment *segment, uint64_t now);
extern FtcHeard sending_ack(Sender *s, const FtcAck *ack, uint64_t order, uint64_t now);

/* What an operator does about a link that is stopped, in a process of its own. */
extern void source_resend(Source *source);

/* ----------------------------------------------------------------
 *		sink.c
 * ----------------------------------------------------------------
 */

#define HELD_MAX (FTC_FLIGHT_MAX * SEGMENT_MAX)
#define ATTEMPTS_MAX 3

typedef struct Held
{
	uint64_t	seq;
	FtcHash		before;
	uint32_t	bytes;
	Message		message;
} Held;

/* The receiving database. */
typedef struct Sink
{
	bool		users;
	uint8_t		attempts;		/* at the next message */
	FtcReceiver receiver;
	uint8_t		known[INCARNATIONS * (LOG_MAX + 1) / 8];	/* by message, a bit
															 * each */
	int			nheld;
	Held		held[HELD_MAX];
} Sink;

/* What a message meets. */
typedef enum Mood
{
	MOOD_WELL,
	MOOD_BUSY,					/* it is not taken, and that counts as nothing */
	MOOD_POISON					/* it is not taken, and after a few times put
								 * aside */
} Mood;

typedef struct Intake
{
	Sink	   *sink;
	uint32_t	message_bytes;	/* as Sender has it */
	Mood		(*mood) (void *arg, Message message);
	void		(*applied) (void *arg, Message message);
	void		(*passed) (void *arg, Message message); /* over, as known */
	void		(*judged) (void *arg, FtcLinkVerdict verdict);
	void	   *arg;
	bool		wrong;			/* the call fails, and will again */
	bool		moved;
} Intake;

extern void sink_init(Sink *sink, bool users);

/* In a transaction; if the call is wrong it is to be rolled back. */
extern void sink_take(Intake *in, const Segment *segment);
extern bool sink_knows(const Sink *sink, Message message);

/* What was held was not in a table. */
extern void sink_forget_held(Sink *sink);

/* ----------------------------------------------------------------
 *		settings.c
 * ----------------------------------------------------------------
 */

/* What can go wrong; a seed draws some of them. */
#define FAULTS(X) \
	X(LOSS, "loss") \
	X(DUPLICATION, "duplication") \
	X(REORDERING, "reordering") \
	X(CORRUPTION, "corruption")			/* of calls */ \
	X(GARBLING, "garbling")				/* of answers */ \
	X(CUT, "cut")						/* of connections */ \
	X(FAILURE, "failure")				/* calls that fail and may succeed */ \
	X(CRASH_SOURCE, "crash-source") \
	X(CRASH_SINK, "crash-sink") \
	X(RESTORE_SOURCE, "restore-source") \
	X(RESTORE_SINK, "restore-sink") \
	X(PRUNING, "pruning")				/* of the log */ \
	X(FULL, "full")						/* the receiver takes nothing for a while */ \
	X(BUSY, "busy")						/* applying fails for a while */ \
	X(POISON, "poison")					/* applying a message fails for good */ \
	X(RESEND, "resend")					/* an operator begins epochs */ \
	X(FORGETTING, "forgetting")			/* what is held does not outlive a crash */ \
	X(UNNUMBERING, "unnumbering")	/* nor do the last positions */

typedef enum Fault
{
#define FAULT_ENUM(name, text) FAULT_##name,
	FAULTS(FAULT_ENUM)
#undef FAULT_ENUM
	FAULT_COUNT
} Fault;

extern const char *const fault_names[FAULT_COUNT];

typedef struct Settings
{
	uint64_t	seed;
	uint64_t	duration;		/* of the time with faults, us */
	bool		fault[FAULT_COUNT];
	bool		users;			/* the log is one of users' messages */
	bool		pipeline;		/* calls of a connection come in order */
	uint64_t	messages;
	double		append_mean;	/* us between batches of messages */
	uint64_t	batch;			/* messages appended at a time, at most */
	uint32_t	message_bytes;
	uint32_t	call_bytes;
	uint64_t	delay_min;		/* one way, us */
	uint64_t	delay_max;
	double		rate;			/* bytes a us */
	uint64_t	work;			/* of the receiver, us a call */
	uint32_t	loss;			/* permille of packets, as the next ones */
	uint32_t	duplication;
	uint32_t	corruption;
	uint32_t	failure;
} Settings;

extern Settings settings_of(uint64_t seed);
extern void settings_switch(Settings *s, Fault fault, bool on);

/* ----------------------------------------------------------------
 *		The world
 * ----------------------------------------------------------------
 */

/* What a batch of seeds must have seen. */
#define SIGHTS(X) \
	X(NOTHING, "heard: nothing") \
	X(MOVED, "heard: moved") \
	X(RESTARTED, "heard: restarted") \
	X(RESYNC, "heard: resync") \
	X(DOUBT, "heard: doubt") \
	X(APPLY, "verdict: apply") \
	X(DUPLICATE, "verdict: duplicate") \
	X(GAP, "verdict: gap") \
	X(HOLD, "verdict: hold") \
	X(STALE, "verdict: stale") \
	X(NEW_EPOCH, "verdict: new epoch") \
	X(FILLED, "gap filled, what was held is applied") \
	X(REFUSED, "call refused") \
	X(FAILED, "call failed, and may succeed") \
	X(UNANSWERED, "call lost with its connection") \
	X(TIMEOUT, "nothing came in time") \
	X(AGAIN, "segment sent again") \
	X(SACKED, "segment known to be held") \
	X(TRIMMED, "segment taken in part") \
	X(HELD_BACK, "nothing was taken, the sender waits") \
	X(BACKWARDS, "receiver behind what it had acknowledged") \
	X(BEHIND, "what is to be sent is gone") \
	X(OVERTAKEN, "another process has begun an epoch") \
	X(KNOWN, "message known by its id") \
	X(DEAD, "dead letter") \
	X(PROBED, "receiver without room probed") \
	X(NARROWED, "window narrowed") \
	X(WIDE, "window at its widest") \
	X(FULL_FLIGHT, "as many segments under way as may be") \
	X(CRASH_SOURCE, "crash of the sender") \
	X(CRASH_COMMITTED, "crash of the sender after a commit") \
	X(UNNUMBERED, "messages get other positions after a crash") \
	X(CRASH_SINK, "crash of the receiver") \
	X(CRASH_UNANSWERED, "crash of the receiver between commit and answer") \
	X(RESTORED_SOURCE, "sender restored") \
	X(RESTORED_SINK, "receiver restored") \
	X(RESENT, "resend() by an operator") \
	X(EXCUSED, "messages given up by an operator") \
	X(CORRUPT, "call changed on its way") \
	X(GARBLED, "answer changed on its way") \
	X(LATE, "call of a connection that is gone")

typedef enum Sight
{
#define SIGHT_ENUM(name, text) SIGHT_##name,
	SIGHTS(SIGHT_ENUM)
#undef SIGHT_ENUM
	SIGHT_COUNT
} Sight;

extern const char *const sight_names[SIGHT_COUNT];

typedef struct Sights
{
	uint64_t	seen[SIGHT_COUNT];
	uint64_t	events;
	uint64_t	packets;
	uint64_t	messages;		/* appended */
	uint64_t	applied;
} Sights;

typedef enum EventKind
{
	EVENT_PACKET,
	EVENT_TIMER,
	EVENT_APPEND,
	EVENT_FAULT,				/* a step of faults.c */
	EVENT_PEACE					/* no more faults */
} EventKind;

typedef enum PacketKind
{
	PACKET_HELLO,
	PACKET_CALL,
	PACKET_RESET				/* the connection is gone */
} PacketKind;

typedef enum Outcome
{
	ANSWERED,
	REFUSED,					/* and will be again */
	FAILED						/* and may succeed another time */
} Outcome;

typedef struct Packet
{
	bool		answer;
	PacketKind	kind;
	uint64_t	connection;
	uint64_t	boot;			/* of the receiver that it belongs to */
	uint64_t	order;
	Outcome		outcome;
	FtcAck		ack;
	bool		in_line;		/* behind others, at the receiver */
	size_t		len;
	uint8_t		bytes[];
} Packet;

/* Of a process, with its next transaction. */
typedef enum Crash
{
	CRASH_NOT,
	CRASH_BEFORE,				/* its commit */
	CRASH_AFTER					/* it, and nothing of it leaves */
} Crash;

#define BACKUPS_MAX 6
#define TRACE_LINES 60
#define VALUES_MAX (1 << 13)

typedef struct World
{
	Settings	settings;
	uint64_t	now;
	Queue		queue;
	Random		chance_net;
	Random		chance_work;
	Random		chance_fault;
	bool		peace;
	uint64_t	drained_at;		/* when all were acknowledged first */
	uint64_t	timer;

	/* the sending end */
	Source		source;
	Sending		sending;
	Sender		sender;
	int			nsource_backups;
	Source		source_backups[BACKUPS_MAX];
	uint8_t		incarnations;
	bool		source_up;
	Crash		crash_source;
	bool		heard_since;	/* it has heard the receiver since it was
								 * restored */
	uint64_t	connection;
	uint64_t	peer_boot;		/* of the receiver that it is to */
	bool		greeted;
	uint64_t	hello_until;	/* an answer to hello is waited for */
	uint64_t	call_until;		/* pipeline: the connection is given up */
	uint64_t	retry_at;
	uint32_t	failures;
	uint64_t	appended;

	/* the receiving end */
	Sink		sink;
	int			nsink_backups;
	Sink		sink_backups[BACKUPS_MAX];
	bool		sink_up;
	Crash		crash_sink;
	uint64_t	boot;
	bool		full;
	bool		busy;
	uint64_t	busy_until;		/* with the call before */

	/* path.c */
	uint64_t	line_until[2];	/* bytes of the one before are on their way */
	uint64_t	arrived[2];		/* pipeline: of the one before */

	/* oracle.c */
	uint64_t	top;			/* position of the last message of the log
								 * that was applied */
	uint64_t	excused;		/* positions up to here may be missing */
	bool		mixed[LOG_MAX + 2]; /* the message at that position and the
									 * one before may come in either order */
	bool		opened[LOG_MAX + 2];	/* an epoch began at that position */
	FtcLinkEnd	committed;		/* of the receiver, since its last restore */
	uint64_t	restores_source;
	uint64_t	restores_sink;
	uint64_t   *values;			/* chain values that were sent, committed */
	uint32_t	nvalues;
	uint64_t	hellos;
	uint64_t	epochs;
	uint32_t	refusals;		/* since something moved */
	uint64_t	refused_since;

	Sights		sights;
	bool		tracing;
	bool		printing;
	char		lines[TRACE_LINES][160];
	uint64_t	nlines;
	char		failure[300];	/* empty: all is well */
} World;

extern void world_fail(World *w, const char *format,...) __attribute__((format(printf, 2, 3)));
extern void world_trace(World *w, const char *format,...) __attribute__((format(printf, 2, 3)));

#define trace(w, ...) \
	do { \
		if ((w)->tracing) \
			world_trace(w, __VA_ARGS__); \
	} while (0)

static inline void
see(World *w, Sight sight)
{
	w->sights.seen[sight]++;
}

extern void plan(World *w, EventKind kind, uint64_t time, uint64_t what);

/* path.c */
extern void path_call(World *w, PacketKind kind, uint64_t order, const Segment *segment);
extern void path_reset(World *w);
extern void path_take(World *w, Packet *packet);

/* line.c */
extern void line_look(World *w);
extern void line_timer(World *w, uint64_t time);
extern void line_answer(World *w, const Packet *packet);
extern void line_cut(World *w, uint64_t wait);
extern void line_start(World *w);

/* faults.c */
extern void faults_begin(World *w);
extern void faults_step(World *w, uint64_t what);
extern void faults_end(World *w);
extern void crash_source(World *w);
extern void crash_sink(World *w);

/* oracle.c */
extern void oracle_sent(World *w, const Segment *segment, uint64_t flying, bool again);
extern void oracle_applied(World *w, Message message);
extern void oracle_committed(World *w);
extern void oracle_heard(World *w, FtcHeard heard);
extern void oracle_held_back(World *w);
extern void oracle_restored(World *w);
extern void oracle_unnumbered(World *w, uint64_t from);
extern void oracle_excuse(World *w);
extern bool oracle_is_done(const World *w);
extern void oracle_end(World *w);

/* run.c */
typedef struct Result
{
	bool		passed;
	char		failure[300];
	Sights		sights;
	uint64_t	bytes;			/* of all messages */
	uint64_t	drained_at;		/* when all were acknowledged first; virtual */
} Result;

extern World *run_world(const Settings *settings, bool tracing, bool printing);
extern Result run_seed(const Settings *settings, bool printing);
extern void world_free(World *w);

/* ----------------------------------------------------------------
 *		met.c
 * ----------------------------------------------------------------
 */

/* Of a state; never all zeros. */
typedef struct Print
{
	uint64_t	a;
	uint64_t	b;
} Print;

typedef struct Met Met;

extern Met *met_make(void);
extern void met_free(Met *met);
extern bool met_add(Met *met, const Print *print);	/* false if it was there */
extern uint64_t met_count(const Met *met);
extern uint64_t met_bytes(const Met *met);

/* speed.c, exhaust.c */
extern void speed_run(int *passed, int *failed);

/* Which small cases. */
typedef struct Exhaust
{
	uint64_t	messages;
	int			packets;		/* under way at a time */
	int			faults;
	int			kind;			/* 0: losses, 1: crashes and restores, 2:
								 * restores behind a connection that stays;
								 * -1: all */
	int			log;			/* 1: users', -1: the ledger's, 0: both */
} Exhaust;

extern void exhaust_run(const Exhaust *what, int *passed, int *failed);

#endif							/* LINKSIM_H */

/*-------------------------------------------------------------------------
 *
 * sim.h
 *	  The simulator: a world of members, in one process and in virtual time.
 *
 * What is real: every byte and every rule of the core (src/core), proof of work
 * included.  What is played: the shell of the server, which is a database
 * transaction for each event, the network, the clocks, and, unless it is built
 * with SIGN=real, the signatures.
 *
 * A member has a durable part, as in its tables, and a volatile part, as in its
 * memory.  An event is handled in one transaction.  So a crash before the commit
 * is a crash before the event, and a crash after it is one that keeps what the
 * event sends from leaving: nothing has to be rolled back here.
 *
 *	random.h	chance					settings.c	what a seed means
 *	queue.c		events in order			network.c	packets between members
 *	ledger.c	blocks, seen by all		tree.c		fork choice's callbacks
 *	inbox.c		taking blocks in		sealer.c	bundles, blocks, mining
 *	outbox.c	links: sender's end		courier.c	calls and answers
 *	faults.c	what goes wrong			liar.c		blocks that are wrong
 *	oracle.c	what must hold			run.c		one seed
 *	shrink.c	a failure made small	mutants.c	are faults of rules found?
 *	options.c	command lines, and failures made small, also for test/linksim
 *	forkrate.c	against arithmetic		curve.c		up to 10000 members
 *	main.c		the command line
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_H
#define SIM_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "body.h"
#include "bytes.h"
#include "choice.h"
#include "entry.h"
#include "link.h"
#include "options.h"
#include "queue.h"
#include "random.h"
#include "ring.h"
#include "rules.h"
#include "receiver.h"
#include "search.h"
#include "sender.h"
#include "sha256.h"
#include "sign.h"

#define lengthof(array)	(sizeof(array) / sizeof((array)[0]))
#define Min(a, b)		((a) < (b) ? (a) : (b))
#define Max(a, b)		((a) > (b) ? (a) : (b))

#define MS UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define NONE UINT32_MAX
#define NEVER UINT64_MAX

/* When virtual time begins: 2023-11-14, in microseconds */
#define SIM_EPOCH UINT64_C(1700000000000000)

#define PEERS_MAX 16			/* as the server has it */

/* ----------------------------------------------------------------
 *		settings.c
 * ----------------------------------------------------------------
 */

/* What can go wrong; a seed draws some of them. */
#define FAULTS(X) \
	X(LOSS, "loss") \
	X(DUPLICATION, "duplication") \
	X(REORDERING, "reordering") \
	X(CORRUPTION, "corruption") \
	X(PARTITION, "partition") \
	X(CRASH, "crash") \
	X(SKEW, "skew") \
	X(HOUR, "hour")				/* one clock is wrong by an hour */ \
	X(SELFISH, "selfish") \
	X(WITHHOLDING, "withholding") \
	X(LIAR, "liar") \
	X(STALL, "stall") \
	X(SHALLOW, "shallow")		/* a small limit of reorganisations */ \
	X(PRUNING, "pruning")			/* of outboxes */ \
	X(RESTORE, "restore")		/* of an older state from a backup */

typedef enum Fault
{
#define FAULT_ENUM(name, text) FAULT_##name,
	FAULTS(FAULT_ENUM)
#undef FAULT_ENUM
	FAULT_COUNT
} Fault;

extern const char *const fault_names[FAULT_COUNT];

/* Rules that a mutant leaves out; see mutants.c. */
typedef enum Mutant
{
	MUTANT_NONE,
	MUTANT_BITS,
	MUTANT_WORK,
	MUTANT_STATE,
	MUTANT_SIGNATURE,
	MUTANT_EARLY,
	MUTANT_FUTURE,
	MUTANT_HISTORY,
	MUTANT_BUNDLE_TWICE,
	MUTANT_BODY,
	MUTANT_ANCHOR,
	MUTANT_EQUAL_WORK,
	MUTANT_LIMIT,
	MUTANT_PENDING,
	MUTANT_MESSAGE_TWICE,
	MUTANT_GAP,
	MUTANT_INCOMPLETE,
	MUTANT_UNAVAILABLE,
	MUTANT_CLOSING,
	MUTANT_PARENTS,
	MUTANT_POISON,
	MUTANT_LINK_VALUE,
	MUTANT_QUORUM,
	MUTANT_PATIENCE,
	MUTANT_COUNT
} Mutant;

extern const char *mutant_name(Mutant mutant);

typedef struct Settings
{
	uint64_t	seed;
	int			members;
	uint64_t	duration;		/* of the time with faults, us */
	bool		fault[FAULT_COUNT];
	Mutant		mutant;

	/* the network */
	uint64_t	delay_min;		/* one way, us */
	uint64_t	delay_max;
	uint32_t	loss;			/* permille of packets, as the next two */
	uint32_t	duplication;
	uint32_t	corruption;
	uint32_t	window;			/* calls with messages under way at a time */
	int			chords;			/* of a ring; 0 is a full mesh */
	uint64_t	heartbeat;

	/* the chain */
	FtcParams	params;
	double		hash_rate;		/* of all members, attempts a second */
	double		append_mean;	/* of one member, us between entries */
	int			appenders;		/* members that append; the first ones */
	bool		busy;			/* there is always something to seal */
	bool		light;			/* many blocks: each is validated once for all */
	uint64_t	grace;			/* until all must agree after the faults, us */
} Settings;

extern Settings settings_of(uint64_t seed);
extern void settings_switch(Settings *s, Fault fault, bool on);

/* ----------------------------------------------------------------
 *		Events: queue.h
 * ----------------------------------------------------------------
 */

typedef enum EventKind
{
	EVENT_PACKET,
	EVENT_LINE,					/* a line's timer */
	EVENT_SEALER,				/* the sealer looks */
	EVENT_MINED,
	EVENT_APPEND,
	EVENT_FAULT,				/* a step of faults.c */
	EVENT_PEACE					/* no more faults */
} EventKind;

typedef struct Packet Packet;

/* ----------------------------------------------------------------
 *		ledger.c: what is the same for all, since ids are hashes
 * ----------------------------------------------------------------
 */

typedef struct World World;
typedef struct Member Member;

/* Entries that were appended by one member in one incarnation: seqs 1, 2, ... */
typedef struct Stream
{
	uint32_t	member;
	uint64_t	incarnation;
	uint64_t	appended;
	uint64_t	bundled;
	uint32_t	nbundles;
	bool		lossy;			/* its origin was set back: some may be gone */
} Stream;

typedef struct Bundle
{
	uint32_t	stream;
	uint64_t	number;
	FtcRange	seqs;
	FtcSlice	leaf;			/* the head */
	FtcSignature signature;
	FtcHash		digest;
	FtcSlice	entries;		/* as in a body */
	FtcSlice	first_leaf;
	FtcHash    *leaves;			/* leaf hashes of the entries */
	uint32_t	count;
} Bundle;

/* The last bundle of a stream on the branch that ends in a block. */
typedef struct Top
{
	uint64_t	number;
	uint64_t	seq;			/* the highest */
} Top;

typedef struct Block
{
	FtcHash		id;
	FtcHeader	header;
	FtcBlock	block;			/* with body */
	const FtcMessage *message;	/* that announces it */
	FtcTip		tip;
	uint32_t	parent;			/* NONE: the genesis block */
	uint32_t   *bundles;
	uint32_t	nbundles;
	uint32_t	owners;			/* of its body: bits, by member */
	uint32_t	nowners;
	Top		   *tops;			/* by stream */
	uint32_t	ntops;
	uint64_t	found_at;
	uint32_t	reached;		/* members that know it, and when so many did */
	uint64_t	half_at;
	uint64_t	most_at;		/* nine tenths */
	bool		checked;		/* oracle.c */
	FtcAnchor	anchor;			/* oracle.c's own */
	FtcU256		work;
} Block;

extern uint32_t ledger_find(World *w, const FtcHash *id);	/* or NONE */

/* A block that somebody has taken in; gives its number. */
extern uint32_t ledger_add(World *w, const FtcBlock *block, const FtcHeader *header, uint32_t parent);
extern uint32_t ledger_found(World *w, const FtcHeader *genesis);

/* A member of the ring that is to keep the body; with many, each does. */
extern bool ledger_is_owner(const World *w, uint32_t block, uint32_t member);
extern FtcHash ledger_statement(const World *w, uint32_t block, uint32_t member);
extern FtcSignature ledger_sign_statement(const World *w, uint32_t block, uint32_t member);

extern Top	ledger_top(const Block *block, uint32_t stream);
extern bool ledger_has_seqs(World *w, uint32_t block, uint32_t stream, FtcRange seqs);
extern uint32_t ledger_bundle_find(World *w, const FtcHash *digest);	/* or NONE */
extern uint32_t ledger_stream(World *w, uint32_t member, uint64_t incarnation);

/* A bundle of these entries, numbered and signed by its origin. */
extern uint32_t ledger_bundle(World *w, uint32_t stream, uint64_t number, FtcRange seqs);

/* The parts of a block that hold these bundles, which are sorted by this. */
extern void ledger_contents(World *w, const uint32_t *bundles, uint32_t n, FtcBlock *block,
							FtcHash *root, uint32_t *leaves);

/* ----------------------------------------------------------------
 *		Members
 * ----------------------------------------------------------------
 */

/* What a member knows of a block. */
typedef struct Record
{
	bool		known;
	bool		has_body;
	bool		on_main;
	bool		incomplete;
	bool		wanted;
	uint32_t	source;			/* NONE: itself */
	uint32_t	stated;			/* who says that the body is stored there:
								 * bits */
	uint64_t	since;			/* it waits */
	uint64_t	wanted_at;
	uint64_t	asked;			/* volatile: for its body, until then */
} Record;

/* A list of blocks. */
typedef struct List
{
	uint32_t   *at;
	uint32_t	n;
	uint32_t	size;
} List;

/* What is announced. */
typedef struct Row
{
	const FtcMessage *message;	/* but for epoch, seq and attachment */
	uint32_t	block;			/* NONE: a lie, which is in the message */
} Row;

typedef enum CallKind
{
	CALL_HELLO,
	CALL_RECEIVE,
	CALL_BLOCKS,
	CALL_BLOCK,
	CALL_KINDS
} CallKind;

#define CALLS_MAX 8

typedef struct Call
{
	uint64_t	number;			/* 0: none */
	CallKind	kind;
	uint64_t	deadline;
	uint32_t	block;			/* BLOCK */
	uint64_t	order;			/* RECEIVE: of the segment */
} Call;

/* A peer: both ends of the links with it, and the line to it. */
typedef struct Peer
{
	uint32_t	member;

	/* durable */
	FtcLinkEnd	in;				/* how far it is with us */
	uint64_t	epoch;			/* and we with it */
	uint64_t	base;			/* of the outbox, where the epoch began */
	uint64_t	acked;
	FtcHash		value;			/* of the link's chain, there */

	FtcSender  *sender;			/* volatile, but for the place */

	/* volatile */
	bool		greeted;
	bool		behind;
	bool		bodies_first;
	bool		passed;			/* all bodies that it may have were asked for */
	bool		skipped;		/* but for some */
	bool		bodies_turn;
	uint32_t	failures;
	uint32_t	calls_open;
	Call		calls[CALLS_MAX];
	uint64_t	sent;			/* of the outbox, ahead of acked: the last */
	FtcHash		sent_value;
	uint64_t	hello_at;
	uint64_t	retry_at;
	uint64_t	pass_at;		/* when bodies are asked for again */
	uint64_t	want_height;	/* where the pass is */
	uint32_t	want_block;
	uint64_t	reached_height;
	uint32_t	reached;		/* what it gave last; NONE */
	uint64_t	timer;
} Peer;

struct Member
{
	FtcTree		tree;			/* first: tree.c */
	World	   *world;
	uint32_t	no;
	FtcKey		seed;
	FtcKey		key;
	FtcHash		id;
	double		hash_rate;		/* attempts a second */
	int64_t		skew;			/* of its clock, us */
	bool		selfish;
	bool		withholds;
	bool		lies;

	/* durable */
	Record	   *records;		/* by block */
	uint32_t	nrecords;
	List		main;			/* by height */
	List		incomplete;
	List		wanted;
	FtcHash    *rejected;
	uint32_t	nrejected;
	Row		   *outbox;
	uint64_t	nrows;
	uint64_t	rows_size;
	uint64_t	pruned;			/* rows up to here are gone */
	uint8_t    *held;			/* by bundle, a bit each */
	uint32_t	nheld;			/* bytes */
	List		pending;		/* bundles that are held, and not on the main
								 * chain */
	uint32_t	stream;			/* of its entries now */
	List		streams;		/* all of them */
	Peer	   *peers;
	uint32_t	npeers;

	/* volatile */
	bool		up;
	bool		mute;			/* what it sends is lost: it crashes now */
	uint64_t	boot;
	FtcWalk		walk;
	bool		mining;
	uint64_t	generation;		/* of the candidate */
	FtcHeader	candidate;
	List		chosen;			/* its bundles */
	uint64_t	sealer_at;
	bool		hiding;			/* selfish: what it has found */
	bool		look;			/* the courier should */

	Member	   *backup;			/* its durable part as it was once */
	bool		set_back;		/* at its next start */

	/* the oracle's */
	bool		was_set_back;
	uint32_t	seen_head;
	uint32_t	deep;			/* branches it did not take for the limit */
};

/* Things that a batch of seeds must have seen. */
#define SIGHTS(X) \
	X(REORGANISATION, "reorganisation") \
	X(DEEP_REORGANISATION, "reorganisation of 3 or more") \
	X(ORPHAN, "orphan") \
	X(ORPHAN_RESOLVED, "orphan resolved") \
	X(INCOMPLETE, "block without body") \
	X(WITHHELD, "body withheld") \
	X(DUPLICATE, "message twice") \
	X(GAP, "gap in a link") \
	X(STALE, "message of an old epoch") \
	X(EPOCH, "new epoch of a link") \
	X(PRUNED, "link behind the outbox") \
	X(EARLY, "block before its time") \
	X(TIE, "tie closed") \
	X(STALLED, "stall recovered") \
	X(CRASH, "crash") \
	X(LATE_CRASH, "crash after commit") \
	X(TOO_DEEP, "branch below the limit") \
	X(RETURNED, "bundle pending again") \
	X(STATED, "body known to be stored elsewhere") \
	X(CARRIED, "bundle carried by another") \
	X(PUBLISHED, "hidden branch published") \
	X(RESTORED, "older state restored") \
	X(TIMEOUT, "call without answer")

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
	uint64_t	refused[FTC_REASON_COUNT];
	uint64_t	events;
	uint64_t	packets;
	uint64_t	bytes;
	uint64_t	blocks;
} Sights;

#define TRACE_LINES 60

struct World
{
	Settings	settings;
	uint64_t	now;			/* virtual, us */
	uint64_t	leap;			/* what clocks went on by at once: a stall */
	Queue		queue;
	Random		chance_net;
	Random		chance_mine;
	Random		chance_fault;
	Random		chance_lie;
	Member	   *members;
	int			nmembers;
	FtcState	state;			/* the same for every block */
	FtcHash		state_root;
	uint32_t   *order;			/* which member each of the state is */
	FtcRing		ring;
	FtcHash		genesis;
	const FtcKernel *kernel;
	bool		peace;			/* no more faults */
	bool		quiet;			/* no more entries */

	/* ledger.c */
	Block	   *blocks;
	uint32_t	nblocks;
	uint32_t	blocks_size;
	uint32_t   *block_table;
	uint32_t	block_table_size;
	Bundle	   *bundles;
	uint32_t	nbundles;
	uint32_t	bundles_size;
	Stream	   *streams;
	uint32_t	nstreams;
	uint32_t	streams_size;

	/* network.c */
	uint8_t    *cut;			/* [from * nmembers + to], while divided */
	uint64_t	call_number;

	Sights		sights;
	bool		tracing;
	bool		printing;		/* each line at once, not the last ones at the
								 * end */
	char		lines[TRACE_LINES][160];
	uint64_t	nlines;
	char		failure[400];	/* empty: all is well */
	uint32_t	work_bits;		/* oracle.c: the work of these bits */
	FtcU256		work;
	uint8_t    *scratch;		/* for packets on their way out */
	void	   *arena;
};

#define SCRATCH_LEN ((size_t) 8 << 20)

extern World *world_new(const Settings *settings, bool tracing, bool printing);
extern void world_free(World *w);

/* Memory that goes with the world, zeroed. */
extern void *world_alloc(World *w, size_t size);
extern FtcSlice world_copy(World *w, FtcSlice bytes);

/* An array that grows; gives where it is then. */
extern void *world_grow(World *w, void *array, size_t n, size_t more, size_t each);

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

static inline bool
mutated(const World *w, Mutant mutant)
{
	return w->settings.mutant == mutant;
}

extern void list_add(World *w, List *list, uint32_t block);
extern void list_drop(List *list, uint32_t block);

extern void plan(World *w, EventKind kind, uint32_t member, uint64_t time, uint64_t what);

/* What its clock shows. */
static inline uint64_t
clock_of(const Member *m)
{
	return SIM_EPOCH + m->world->now + m->world->leap + (uint64_t) m->skew;
}

extern Record *record_of(Member *m, uint32_t block);
extern bool holds(const Member *m, uint32_t bundle);
extern void hold(Member *m, uint32_t bundle);

static inline uint32_t
head_of(const Member *m)
{
	return m->main.at[m->main.n - 1];
}

/* tree.c */
extern void tree_init(Member *m);
extern FtcNode node_of(Member *m, uint32_t block);

/* inbox.c */
extern FtcReason inbox_block(Member *m, const FtcBlock *block, uint32_t source);
extern bool inbox_has(Member *m, const FtcHash *id);	/* the block */
extern FtcReason inbox_stored(Member *m, FtcSlice reference, FtcSlice attachment);
extern bool inbox_is_available(Member *m, uint32_t block);
extern void inbox_unwant(Member *m, uint32_t block);

/* sealer.c */
extern void sealer_append(Member *m);
extern void sealer_look(Member *m);
extern void sealer_mined(Member *m, uint64_t generation);
extern void sealer_stop(Member *m);

/* outbox.c */
extern void outbox_block(Member *m, uint32_t block);
extern void outbox_stored(Member *m, uint32_t block);
extern void outbox_lie(Member *m, const FtcHash *id, FtcSlice attachment);
extern void outbox_hello(Member *m, Peer *p, const FtcAck *says);
extern bool outbox_ack(Member *m, Peer *p, const FtcAck *says, uint64_t order);
extern void outbox_cut(Peer *p);
extern uint64_t outbox_hold_until(const Peer *p);
extern bool outbox_send(Member *m, Peer *p, FtcWriter *into, Call *call);

/* courier.c */
extern Peer *peer_of(Member *m, uint32_t member);
extern void courier_look(Member *m);
extern void courier_timer(Member *m, uint32_t peer, uint64_t time);
extern void courier_take(Member *m, Packet *packet);
extern void courier_start(Member *m);

/* network.c */
struct Packet
{
	uint32_t	from;
	uint32_t	to;
	uint64_t	call;
	CallKind	kind;
	bool		answer;
	uint64_t	boot;			/* of who called */
	size_t		len;
	uint8_t		bytes[];
};

extern void network_init(World *w);
extern Packet *packet_new(uint32_t from, uint32_t to, CallKind kind, bool answer, uint64_t call,
						  FtcSlice bytes);
extern void network_send(World *w, Packet *packet);

/* faults.c */
extern void faults_begin(World *w);
extern void faults_step(World *w, uint32_t member, uint64_t what);
extern void faults_end(World *w);
extern void crash(Member *m, uint64_t down);
extern void selfish_look(Member *m);

/* liar.c */
extern void liar_lie(Member *m);

/* oracle.c */
extern void oracle_founded(World *w);
extern void oracle_look(Member *m);
extern void oracle_set_back(Member *m);
extern void oracle_body(Member *m, uint32_t block, FtcSlice body);
extern void oracle_applied(Member *m, const Peer *p, const FtcLinkEnd *before, const FtcMessage *message);
extern void oracle_moves(World *w);
extern bool oracle_agreed(World *w, bool complain);

/* run.c */
typedef struct Outcome
{
	bool		passed;
	char		failure[400];
	Sights		sights;
	uint64_t	time;			/* virtual, until all agreed */
} Outcome;

extern Outcome run_seed(const Settings *settings, bool printing);
extern World *run_world(const Settings *settings, bool tracing, bool printing);
extern void run_begin(World *w);
extern void run_until(World *w, uint64_t time);

/* shrink.c, mutants.c, forkrate.c, curve.c */
extern void shrink(const Settings *settings, Settings *smaller);
extern void print_command(const Settings *settings);
extern void mutants_run(uint64_t seeds, int *passed, int *failed);
extern void forkrate_run(int *passed, int *failed);
extern void curve_run(int most);

#endif							/* SIM_H */

/*-------------------------------------------------------------------------
 *
 * finalitysim.h
 *	  The simulator of finality: members that propose and vote, in one process and
 *	  in virtual time.
 *
 * What is real: the core's slots, epochs, sets of validators, priorities, order of
 * delegates, votes, certificates, watermarks, fork choice and evidence, with their
 * bytes.  What is played: the shell, which is a transaction for each event, the
 * network, the clocks, and signatures, which are keyed hashes.
 *
 * A node has a durable part, as in its tables.  An event is handled in one
 * transaction; so a crash before the commit is one before the event, and a crash
 * after it keeps what the event sends from leaving.
 *
 *	world.c		blocks, votes, certificates: the same for all, since ids are hashes
 *	context.c	epochs on branches			node.c		what an honest node does
 *	liar.c		what the others do			network.c	packets between nodes
 *	faults.c	crashes, partitions ...		settings.c	what a seed means
 *	naive.c		sets and turns, the slow way
 *	oracle.c	what must hold				run.c		one seed
 *	exhaust.c	the vote rule, every case	main.c		the command line
 *	mutants.txt	rules left out: is it found?
 *
 *-------------------------------------------------------------------------
 */
#ifndef FINALITYSIM_H
#define FINALITYSIM_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "delegates.h"
#include "epoch.h"
#include "evidence.h"
#include "finality.h"
#include "options.h"
#include "proposing.h"
#include "queue.h"
#include "random.h"
#include "sha256.h"
#include "sign.h"
#include "sign_state.h"
#include "slot.h"
#include "vote.h"

#define lengthof(array)	(sizeof(array) / sizeof((array)[0]))
#define Min(a, b)		((a) < (b) ? (a) : (b))
#define Max(a, b)		((a) > (b) ? (a) : (b))

#define MS UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define HOUR (3600 * SECOND)
#define NONE UINT32_MAX

/* When virtual time begins, and so the genesis block: 2023-11-14. */
#define SIM_EPOCH UINT64_C(1700000000000000)

#define IDENTITIES_MAX 112
#define NODES_MAX 116
#define BLOCKS_MAX 6000
#define CHANGES_MAX 32
#define PUNISHED_FIRST 32		/* bits of what is on a branch: those of liars */

/* ----------------------------------------------------------------
 *		settings.c
 * ----------------------------------------------------------------
 */

/* What can go wrong; a seed draws some of them. */
#define FAULTS(X) \
	X(LOSS, "loss") \
	X(DUPLICATION, "duplication") \
	X(REORDERING, "reordering") \
	X(PARTITION, "partition") \
	X(CRASH, "crash") \
	X(SKEW, "skew") \
	X(HOUR, "hour")				/* one clock is wrong by an hour */ \
	X(RESTORE, "restore")		/* of an older state from a backup */ \
	X(CHANGES, "changes")		/* of the set of validators */ \
	X(EQUIVOCATION, "equivocation") \
	X(VOTE_ALL, "vote-all") \
	X(OFF_HEAD, "off-head")		/* valid blocks beside the head */ \
	X(WITHHOLDING, "withholding") \
	X(FORGERY, "forgery")		/* blocks, votes, certificates that are wrong */ \
	X(TWINS, "twins")			/* one key, two nodes */ \
	X(CARELESS, "careless")		/* honest nodes vote for all that is valid */

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
	int			identities;		/* all who may ever be validators */
	int			founders;		/* of them in the first set */
	int			liars;			/* the last founders */
	uint64_t	slots_long;		/* how long there are faults */
	bool		fault[FAULT_COUNT];
	uint32_t	consensus;
	uint8_t		quorum;
	FtcSlots	slots;
	uint64_t	delay_min;		/* one way, us */
	uint64_t	delay_max;
	uint32_t	loss;			/* permille of packets */
	uint32_t	duplication;
	uint32_t	busy;			/* permille of slots in which something is
								 * appended */
	int			changes;
} Settings;

extern Settings settings_of(uint64_t seed);
extern void settings_switch(Settings *s, Fault fault, bool on);

/* What a batch of seeds must have seen. */
#define SIGHTS(X) \
	X(JUSTIFIED, "justified blocks") \
	X(FINAL, "final blocks") \
	X(SKIPPED, "rounds skipped, five or more") \
	X(NOT_FINAL, "justified, and never final by the next") \
	X(REORGANISED, "heads that changed branch, three blocks or more") \
	X(REFUSED, "votes that watermarks refuse") \
	X(EPOCHS, "epochs") \
	X(HANDOVER, "sets handed over") \
	X(JOINT, "one quorum was there and the other was not") \
	X(PARTED_EPOCH, "epochs that began in a partition") \
	X(PARTED_CHANGE, "sets that changed on one side of a partition") \
	X(UNANIMOUS, "changes beyond a third, signed by all") \
	X(STEPPED, "changes that took several steps") \
	X(EV_VOTE, "evidence: double vote") \
	X(EV_SURROUND, "evidence: surround vote") \
	X(EV_PROPOSAL, "evidence: double proposal") \
	X(PUNISHED, "liars that lost their weight") \
	X(GUARDED, "restored nodes that watched") \
	X(RELEASED, "restored nodes that voted again") \
	X(LATE_CRASH, "crashes after a commit") \
	X(CLOCK, "a clock found wrong by who has it") \
	X(ALONE, "final at once, by one alone") \
	X(RESTED, "chains that came to rest") \
	X(LATE_CERTIFICATE, "justified late, below what is known")

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
	uint64_t	blocks;
	uint64_t	votes;
} Sights;

/* ----------------------------------------------------------------
 *		world.c: what is the same for all
 * ----------------------------------------------------------------
 */

typedef struct World World;
typedef struct Node Node;

typedef struct Identity
{
	FtcKey		seed;
	FtcKey		key;
	FtcHash		id;
	uint64_t	weight;			/* in the first set */
	bool		lies;
	bool		twin;			/* two nodes have its key */
	uint32_t   *signed_votes;	/* ballots */
	uint32_t	nsigned;
	uint32_t	evidence;		/* first that is true, or NONE */
} Identity;

/* A change of the set, which goes into a block. */
typedef struct Change
{
	uint32_t	identity;
	uint64_t	weight;
	bool		unanimous;
	uint64_t	slot;			/* from which proposers carry it */
} Change;

/* An epoch on a branch. */
typedef struct Context
{
	FtcEpochState state;
	FtcHash		hash;			/* of the record */
	uint32_t	before;			/* NONE: the first */
	uint32_t	base;			/* block */
	uint32_t   *turns;			/* identity of each slot of the epoch */
	uint32_t   *identities;		/* of each place of the set */
} Context;

/* What naive.c makes of a branch. */
typedef struct Naive
{
	uint64_t	weight[IDENTITIES_MAX];
	uint64_t	before[IDENTITIES_MAX];
	__int128	priority[IDENTITIES_MAX];	/* as the epoch begins */
	bool		handover;
	uint64_t	since;
	uint64_t	epoch;
	uint32_t	base;
	uint64_t	base_ops;
	uint32_t	final;			/* block that the branch proves final */
} Naive;

typedef struct Block
{
	FtcHeader	header;
	FtcHash		id;
	FtcSignature signature;
	FtcFinality finality;
	FtcReason	verdict;		/* but for clocks and certificates */
	uint32_t	parent;
	uint32_t	justified;
	uint32_t	context;
	uint32_t	maker;			/* identity */
	uint32_t	rival;			/* another one of that slot and maker */
	uint64_t	ops;			/* what the branch has: changes, liars
								 * punished */
	uint64_t	carried;		/* of what was appended */
	uint32_t	certificate;	/* the first that is right */
	uint32_t   *ballots;		/* by place */
	Naive	   *naive;
} Block;

/* A vote that somebody has sent. */
typedef struct Ballot
{
	FtcVote		vote;
	uint32_t	identity;
	uint32_t	block;
	int			place;
	FtcReason	verdict;
} Ballot;

typedef struct Certificate
{
	FtcSlice	bytes;
	uint32_t	block;
	FtcReason	verdict;
} Certificate;

/* Block 0 is the genesis block.  All that is made is looked at once, for all. */
extern uint32_t block_find(World *w, const FtcHash *id);
extern uint32_t block_make(World *w, FtcHeader header, uint32_t maker, uint64_t ops, uint64_t carried);
extern FtcHeader header_on(World *w, uint32_t parent, uint32_t justified, uint64_t slot, uint32_t maker,
						   uint64_t ops, uint64_t carried, uint64_t salt);
extern uint32_t ballot_make(World *w, uint32_t identity, uint32_t block, const FtcVoteLink *link, bool forged);
extern FtcVoteLink link_of(World *w, uint32_t block);

/* Of these places of the block's set; NONE if they are no quorum. */
extern uint32_t certificate_make(World *w, uint32_t block, const uint64_t voted[2]);
extern uint32_t certificate_forge(World *w, uint32_t block, FtcSlice bytes);
extern void evidence_make(World *w, const FtcEvidence *evidence);
extern bool world_descends(World *w, uint32_t block, uint32_t ancestor);

/* context.c */
extern uint32_t context_first(World *w);
extern uint32_t context_of_child(World *w, uint32_t parent, uint64_t round);
extern uint64_t weight_wanted(const World *w, uint64_t ops, uint32_t identity);

/* ----------------------------------------------------------------
 *		Nodes
 * ----------------------------------------------------------------
 */

/* What is in a node's tables. */
typedef struct Durable
{
	uint8_t    *known;			/* by block */
	uint32_t   *certificates;	/* by block, NONE + 1 = 0: none */
	uint64_t	(*votes)[2];	/* by block: bits of places */
	FtcView		view;
	uint32_t	head;
	uint32_t	made_final;		/* certificate that made the final block final */
	FtcSignState signed_for;
	uint64_t	guard;			/* round up to which it may have forgotten
								 * votes */
	uint64_t	evidence[2];	/* bits of identities */
} Durable;

struct Node
{
	FtcFinalityTree tree;		/* first */
	World	   *world;
	uint32_t	no;
	uint32_t	identity;
	bool		lies;
	int64_t		skew;			/* of its clock, us */
	Durable		d;
	Durable    *backup;
	bool		up;
	bool		mute;			/* what it sends is lost: it crashes now */
	uint64_t	ticks;			/* generation of its ticks */
	uint64_t	asked;			/* when it last asked for what it lacks */
	FtcClockSight *clocks;		/* by identity; volatile */
	bool		wrong_clock;
	uint32_t  **heard;			/* ballots, by identity */
	uint32_t   *nheard;
	uint64_t   *top_target;		/* of those, by identity */
	uint64_t   *top_source;

	/* the oracle's */
	uint32_t	seen_head;
	FtcView		seen_view;
	bool		was_restored;
};

extern void node_init(World *w, uint32_t no, uint32_t identity);
extern void node_free(Node *n);
extern void node_tick(Node *n, uint64_t slot);
extern void node_block(Node *n, uint32_t block, uint32_t certificate, uint32_t from);
extern void node_ballot(Node *n, uint32_t ballot);
extern void node_certificate(Node *n, uint32_t certificate);
extern void node_evidence(Node *n, uint32_t identity);
extern void node_hello(Node *n, uint32_t from);
extern void node_start(Node *n);
extern void node_plan_tick(Node *n);
extern uint64_t clock_of(const Node *n);
extern uint32_t block_of(World *w, const FtcAncestor *ancestor);
extern void durable_copy(World *w, Durable *into, const Durable *from);
extern Durable durable_new(void);
extern void durable_free(Durable *d);
extern uint64_t ops_to_carry(Node *n, uint32_t parent);
extern bool node_has_certificate(const Node *n, uint32_t block);
extern uint32_t node_certificate_of(const Node *n, uint32_t block);

/* liar.c */
extern void liar_propose(Node *n, uint64_t slot);
extern void liar_known(Node *n, uint32_t block);
extern void liar_tick(Node *n, uint64_t slot);
extern void liar_release(Node *n, uint32_t block);

/* network.c */
typedef enum PacketKind
{
	PACKET_BLOCK,
	PACKET_BALLOT,
	PACKET_CERTIFICATE,
	PACKET_EVIDENCE,
	PACKET_HELLO
} PacketKind;

typedef struct Packet
{
	PacketKind	kind;
	uint32_t	from;
	uint32_t	what;			/* block, ballot, certificate, identity */
	uint32_t	certificate;	/* of what a block justifies */
} Packet;

extern void network_send(Node *n, uint32_t to, PacketKind kind, uint32_t what, uint32_t certificate);
extern void network_all(Node *n, PacketKind kind, uint32_t what, uint32_t certificate);

/* faults.c */
extern void faults_begin(World *w);
extern void faults_step(World *w, uint32_t node, uint64_t what);
extern void faults_end(World *w);
extern void crash(Node *n, uint64_t down);

/* naive.c */
extern void naive_first(World *w);
extern void naive_block(World *w, uint32_t block);
extern uint32_t naive_turn(World *w, uint32_t block);
extern bool naive_certifies(World *w, const Certificate *certificate);

/* oracle.c */
extern void oracle_block(Node *n, uint32_t block);
extern void oracle_vote(Node *n, uint32_t ballot);
extern void oracle_look(Node *n);
extern void oracle_evidence(World *w, uint32_t identity);
extern void oracle_end(World *w);
extern bool oracle_agreed(World *w, bool complain);

/* ----------------------------------------------------------------
 *		The world
 * ----------------------------------------------------------------
 */

typedef enum EventKind
{
	EVENT_PACKET,
	EVENT_TICK,
	EVENT_FAULT,
	EVENT_START,
	EVENT_RELEASE,
	EVENT_PEACE
} EventKind;

#define TRACE_LINES 60

struct World
{
	Settings	settings;
	FtcFinalityTree tree;		/* all valid blocks */
	uint64_t	now;			/* us since the beginning */
	Queue		queue;
	Random		chance_net;
	Random		chance_fault;
	Random		chance_lie;
	Random		chance_work;
	bool		peace;
	bool		quiet;			/* nothing is appended any more */
	bool		parted;
	uint8_t    *cut;			/* from, to */

	FtcHash		genesis;
	Identity	identities[IDENTITIES_MAX];
	int			nidentities;
	Change		changes[CHANGES_MAX];
	int			nchanges;
	FtcEvidence evidence[IDENTITIES_MAX];	/* by identity */
	Node		nodes[NODES_MAX];
	uint32_t	nnodes;
	uint64_t	appended;

	Block	   *blocks;
	uint32_t	nblocks;
	uint32_t   *table;			/* blocks by id */
	Ballot	   *ballots;
	uint32_t	nballots;
	uint32_t	ballots_size;
	Certificate *certificates;
	uint32_t	ncertificates;
	uint32_t	certificates_size;
	Context   **contexts;
	uint32_t	ncontexts;
	uint32_t	contexts_size;
	uint32_t   *final;			/* by height, NONE + 1 = 0: none */

	Sights		sights;
	bool		tracing;
	bool		printing;
	char		lines[TRACE_LINES][200];
	uint64_t	nlines;
	char		failure[400];
};

#define see(w, sight) ((w)->sights.seen[sight]++)
#define trace(w, ...) \
	do { if ((w)->tracing) world_trace(w, __VA_ARGS__); } while (0)

extern void world_trace(World *w, const char *format,...) __attribute__((format(printf, 2, 3)));
extern void world_fail(World *w, const char *format,...) __attribute__((format(printf, 2, 3)));
extern World *world_new(const Settings *settings, bool tracing, bool printing);
extern void world_free(World *w);
extern void plan(World *w, EventKind kind, uint32_t node, uint64_t time, uint64_t what);
extern bool is_honest(const Node *n);

/* run.c */
typedef struct Result
{
	bool		passed;
	char		failure[400];
	Sights		sights;
} Result;

extern World *run_world(const Settings *settings, bool tracing, bool printing);
extern Result run_seed(const Settings *settings, bool printing);

/* exhaust.c */
extern void exhaust_run(uint64_t blocks, int *passed, int *failed);

#endif							/* FINALITYSIM_H */

/*-------------------------------------------------------------------------
 *
 * courier.c
 *	  The worker that talks with peers, all of them at once.
 *
 * One loop over all connections: whatever has come is handled, each in a
 * transaction of its own; whoever is idle is given the next call; then all
 * sockets are waited for together.  So nobody waits for a dead peer, and no
 * row is locked and no snapshot held while the network is.
 *
 * What a peer is asked, in this order: how it is (hello); blocks of a better
 * chain that we do not know (blocks); to take our announcements (receive);
 * bodies that we should hold (block).  The last two take turns.
 *
 * A body is stored while the next one is on its way.  Nobody waits for the disk
 * then: that they are stored is said of several at once, which does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "branch.h"
#include "chain.h"
#include "clock.h"
#include "courier.h"
#include "datum.h"
#include "failpoint.h"
#include "guc.h"
#include "identity.h"
#include "inbox.h"
#include "outbox.h"
#include "peer.h"
#include "shared.h"
#include "step.h"
#include "stmt.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(ftchain_sync);

/* add_peer() lets no more in */
static FtcStmt peers_all = {
	.sql = "SELECT server, member FROM ftchain.peer ORDER BY server LIMIT 16",
};

static FtcStmt behind_take = {
	.sql = "UPDATE ftchain.link_in SET behind = false WHERE chain = $1 AND behind",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt locator_get = {
	.sql = "SELECT block FROM ftchain.main_chain WHERE chain = $1 AND"
	" (height > $2 - 10 OR height IN (SELECT $2 - (1 << g.e) FROM generate_series(4, 30) AS g (e)) OR height = 0)"
	" ORDER BY height DESC",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

typedef enum CallKind
{
	CALL_HELLO,
	CALL_BLOCKS,
	CALL_RECEIVE,
	CALL_BLOCK
} CallKind;

/*
 * What we know of a chain at a peer, in memory only.  All times are those of
 * the steady clock, in us.
 */
typedef struct Line
{
	int32		chain;
	bool		greeted;		/* since the connection was made */
	uint64		hello_at;		/* next time to ask */
	uint64		retry_at;		/* leave it alone until then */
	int			failures;
	bool		behind;			/* it has blocks that we lack */
	bool		bodies_first;	/* of those that it gave, before it gives more */
	uint64		caught_up_at;	/* first time that it had none, 0: not yet */
	bool		synced;			/* nothing was left to do, at the last look */
	FtcHash		reached;		/* the last block it gave us, to go on from */
	int64		reached_height; /* -1: none */
	bool		bodies_turn;	/* bodies come before announcements */
	uint64		bodies_until;	/* one after the other, before all else */
	uint64		send_at;		/* announce nothing until then */
	int			not_taken;		/* calls in a row that it took nothing of */

	/* wanted bodies are asked for in passes from the lowest to the highest */
	FtcWanted	wanted;			/* the one asked for last */
	bool		passed;			/* there is no higher one */
	bool		skipped;		/* some were left for a little later */
	uint64		pass_at;		/* when this pass began */
	uint64		again_at;		/* when to begin the next; 0: not known yet */
} Line;

typedef struct Call
{
	CallKind	kind;
	FtcChain	chain;
	Line	   *line;
	uint64		called_at;
	FtcHash		block;			/* asked for */
	uint64		epoch;			/* of the messages sent */
	uint64		first;			/* seq of the first of them */
} Call;

/* A peer, as the courier keeps it. */
typedef struct Contact
{
	FtcPeer		peer;
	MemoryContext context;		/* all of this lives in */
	bool		listed;			/* still in ftchain.peer */
	List	   *lines;			/* of Line */
	int			turn;			/* line whose turn it is */
	Call		call;			/* the one under way */

	uint64		retry_at;
	int			failures;
	char		last_error[FTC_SHARED_TEXT];	/* empty: all is well */
	char		logged[FTC_SHARED_TEXT];
	uint64		logged_at;
	uint64		calls;
	uint64		bytes;
	uint64		round_trip;		/* us, smoothed */
	TimestampTz contact_at;
} Contact;

/* Bodies of a chain that are stored, or not needed, and not settled yet. */
#define SETTLE_MANY 32
typedef struct Unsettled
{
	FtcChain	chain;
	uint64		since;
	int			n;
	FtcHash		blocks[SETTLE_MANY + FTC_WANTED_LOOK];
} Unsettled;

static List *unsettled = NIL;
static Contact *contacts[FTC_SHARED_PEERS];
static uint64 listed_at = 0;

#define LIST_EVERY_US (1 * USECS_PER_SEC)
#define BACKOFF_MIN_US (250 * 1000)
#define BACKOFF_MAX_US (15 * USECS_PER_SEC)
#define LOG_EVERY_US (10 * USECS_PER_SEC)
#define PATIENCE_US (600 * 1000)	/* with bodies that others may store, and
									 * some more */
#define LOOK_US (100 * 1000)	/* at the list of them, at a time */
#define BLOCKS_AT_ONCE 200
#define BODIES_US (1 * USECS_PER_SEC)
#define SETTLE_US (500 * 1000)	/* the longest that nothing is said of them */

/* ----------------------------------------------------------------
 *		Book-keeping
 * ----------------------------------------------------------------
 */

/* The time of day of a time to come. */
static TimestampTz
time_of_day(uint64 at)
{
	uint64		now = ftc_clock_steady();

	return at > now ? ftc_clock_timestamp() + (TimestampTz) (at - now) : 0;
}

static void
show_error(FtcPeerSlot *slot, const char *error)
{
	if (strcmp(slot->last_error, error) == 0)
		return;
	strlcpy(slot->last_error, error, sizeof(slot->last_error));
	slot->last_error_at = error[0] == '\0' ? 0 : ftc_clock_timestamp();
}

static void
show(int i)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);
	static const char *const phases[] = {"closed", "connecting", "idle", "calling"};
	FtcPeerSlot *slot;
	Contact    *c = contacts[i];

	if (database == NULL)
		return;
	slot = &database->peer[i];
	LWLockAcquire(&ftc_shared()->lock, LW_EXCLUSIVE);
	if (c == NULL)
		slot->server[0] = '\0';
	else
	{
		strlcpy(slot->server, c->peer.server, sizeof(slot->server));
		strlcpy(slot->state, phases[c->peer.phase], sizeof(slot->state));
		slot->calls = c->calls;
		slot->bytes = c->bytes;
		slot->round_trip = (int64) c->round_trip;
		slot->last_contact = c->contact_at;
		slot->retry_at = c->peer.phase == FTC_PEER_CLOSED ? time_of_day(c->retry_at) : 0;
		show_error(slot, c->last_error);
	}
	LWLockRelease(&ftc_shared()->lock);
}

/* Exponential, with some jitter so that peers do not knock in step. */
static uint64
backoff(int failures)
{
	uint64		us = (uint64) BACKOFF_MIN_US << Min(failures, 10);

	us = Min(us, (uint64) BACKOFF_MAX_US);
	return us - us / 4 + pg_prng_uint64_range(&pg_global_prng_state, 0, us / 2);
}

/* Logged when it is news, and not often: some of the words are the peer's. */
static void
note_failure(Contact *c, const char *why)
{
	uint64		now = ftc_clock_steady();

	ftc_shared_text(c->last_error, why);
	if (strcmp(c->last_error, c->logged) == 0 ||
		(c->logged_at > 0 && now - c->logged_at < LOG_EVERY_US))
		return;
	ereport(LOG,
			errmsg("ftchain: server \"%s\": %s", c->peer.server, c->last_error));
	strcpy(c->logged, c->last_error);
	c->logged_at = now;
}

static void
close_contact(Contact *c)
{
	ListCell   *cell;

	ftc_peer_close(&c->peer);
	foreach(cell, c->lines)
		((Line *) lfirst(cell))->greeted = false;
}

static void
hang_up(Contact *c, const char *why)
{
	note_failure(c, why);
	close_contact(c);
	c->retry_at = ftc_clock_steady() + backoff(c->failures++);
}

/* This chain does not work with that peer now; others may. */
static void
leave_line(Contact *c, const char *why)
{
	note_failure(c, why);
	c->call.line->retry_at = ftc_clock_steady() + backoff(c->call.line->failures++);
	c->call.line->greeted = c->call.line->behind = false;
	c->call.line->reached_height = -1;
	c->call.line->synced = true;
}

/* It takes nothing of what we send; it may have what we lack all the same. */
static void
hold_back(Contact *c, const char *why)
{
	note_failure(c, why);
	c->call.line->send_at = ftc_clock_steady() + backoff(c->call.line->not_taken++);
}

static Line *
find_line(const Contact *c, int32 chain)
{
	ListCell   *cell;

	foreach(cell, c->lines)
		if (((Line *) lfirst(cell))->chain == chain)
		return lfirst(cell);
	return NULL;
}

static Line *
line_of(Contact *c, int32 chain)
{
	Line	   *line = find_line(c, chain);
	MemoryContext outer;

	if (line != NULL)
		return line;
	outer = MemoryContextSwitchTo(c->context);
	line = palloc0(sizeof(Line));
	line->chain = chain;
	line->reached_height = -1;
	line->wanted.height = -1;
	c->lines = lappend(c->lines, line);
	MemoryContextSwitchTo(outer);
	return line;
}

/* Whoever reaches us may be out of our reach: any peer may know the parents. */
static void
look_everywhere(int32 chain)
{
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
	{
		Line	   *line = contacts[i] == NULL ? NULL : find_line(contacts[i], chain);

		if (line != NULL)
			line->behind = true;
	}
}

static Contact *
find_contact(const char *server)
{
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (contacts[i] != NULL && strcmp(contacts[i]->peer.server, server) == 0)
			return contacts[i];
	return NULL;
}

static Contact *
make_contact(const char *server)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "ftchain peer", ALLOCSET_SMALL_SIZES);
	Contact    *c = MemoryContextAllocZero(context, sizeof(Contact));

	c->context = context;
	strlcpy(c->peer.server, server, sizeof(c->peer.server));
	return c;
}

static void
drop_contact(int i)
{
	ftc_peer_close(&contacts[i]->peer);
	MemoryContextDelete(contacts[i]->context);
	contacts[i] = NULL;
}

static void
list_contact(const char *server, const FtcHash *member)
{
	Contact    *c = find_contact(server);

	for (int i = 0; c == NULL && i < FTC_SHARED_PEERS; i++)
		if (contacts[i] == NULL)
			c = contacts[i] = make_contact(server);
	if (c == NULL)
		return;
	c->listed = true;
	if (!ftc_hash_equal(&c->peer.member, member))
	{
		/* another one is there now: nothing we know of the old one holds */
		close_contact(c);
		c->peer.member = *member;
		c->lines = NIL;
		c->call.line = NULL;
	}
}

static bool
list_peers(void *arg)
{
	FtcScope	scope;
	uint64		n;

	if (!ftc_step_begin("listing peers"))
		return false;
	ftc_enter(&scope);
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (contacts[i] != NULL)
			contacts[i]->listed = false;
	n = ftc_run(&peers_all, 0);
	for (uint64 i = 0; i < n; i++)
	{
		FtcHash		member = ftc_hash_value(i, 1);

		list_contact(TextDatumGetCString(ftc_value(i, 0)), &member);
	}
	ftc_leave(&scope);
	ftc_step_end();
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (contacts[i] != NULL && !contacts[i]->listed)
		{
			drop_contact(i);
			show(i);
		}
	listed_at = ftc_clock_steady();
	return true;
}

/* ----------------------------------------------------------------
 *		Calling
 * ----------------------------------------------------------------
 */

static bool
send_call(Contact *c, CallKind kind, const FtcCall *call, const FtcPeerArgs *args)
{
	c->call.kind = kind;
	c->call.called_at = ftc_clock_steady();
	if (kind != CALL_BLOCK)
		c->call.line->bodies_until = c->call.called_at + BODIES_US;
	for (int i = 0; i < args->n; i++)
		c->bytes += args->lengths[i];
	c->calls++;
	if (!ftc_peer_call(&c->peer, call, args))
	{
		hang_up(c, "could not send");
		return false;
	}
	return true;
}

static void
call_hello(Contact *c, const FtcIdentity *self)
{
	FtcPeerArgs args = {0};

	ftc_peer_arg_int(&args, FTC_PROTOCOL);
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.chain.genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_bytes(&args, ftc_slice(self->member.b, FTC_HASH_LEN));
	send_call(c, CALL_HELLO, FTC_CALL_HELLO, &args);
}

/* Where we are, ever coarser towards the genesis; first what this peer gave last. */
static void
call_blocks(Contact *c)
{
	FtcPeerArgs args = {0};
	FtcStored	head;
	FtcSlice   *locator;
	FtcHash    *ids;
	uint64		n;
	int			count = 0;

	ftc_store_load_head(c->call.chain.id, &head);
	n = ftc_run(&locator_get, Int32GetDatum(c->call.chain.id), Int64GetDatum((int64) head.header.height));
	locator = palloc((n + 1) * sizeof(FtcSlice));
	ids = palloc((n + 1) * sizeof(FtcHash));
	if (c->call.line->reached_height >= 0)
		locator[count++] = ftc_slice(c->call.line->reached.b, FTC_HASH_LEN);
	for (uint64 i = 0; i < n; i++)
	{
		ids[i] = ftc_hash_value(i, 0);
		locator[count++] = ftc_slice(ids[i].b, FTC_HASH_LEN);
	}
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.chain.genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_array(&args, locator, count);
	ftc_peer_arg_int(&args, BLOCKS_AT_ONCE);
	send_call(c, CALL_BLOCKS, FTC_CALL_BLOCKS, &args);
}

/* False if there is nothing to send. */
static bool
call_receive(Contact *c, const FtcIdentity *self)
{
	FtcPeerArgs args = {0};
	FtcOutgoing out;

	if (!ftc_outbox_messages(&c->call.chain, &self->member, &c->peer.member, FTC_CALL_BYTES, &out))
		return false;
	c->call.epoch = out.epoch;
	c->call.first = out.first;
	FTC_FAILPOINT("send-before-call");
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.chain.genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_bytes(&args, ftc_slice(self->member.b, FTC_HASH_LEN));
	ftc_peer_arg_array(&args, out.messages, out.n);
	ftc_peer_arg_bytes(&args, ftc_slice(out.account.b, FTC_SIGNATURE_LEN));
	if (send_call(c, CALL_RECEIVE, FTC_CALL_RECEIVE, &args))
		FTC_FAILPOINT("send-after-call");
	return true;
}

static Unsettled *
unsettled_of(const FtcChain *chain)
{
	ListCell   *cell;
	MemoryContext outer;
	Unsettled  *u;

	foreach(cell, unsettled)
	{
		u = lfirst(cell);
		if (u->chain.id == chain->id)
			return u;
	}
	outer = MemoryContextSwitchTo(TopMemoryContext);
	u = palloc0(sizeof(Unsettled));
	u->chain = *chain;
	unsettled = lappend(unsettled, u);
	MemoryContextSwitchTo(outer);
	return u;
}

static void
note_unsettled(Unsettled *u, const FtcHash *block)
{
	for (int i = 0; i < u->n; i++)
		if (ftc_hash_equal(&u->blocks[i], block))
			return;
	if (u->n == 0)
		u->since = ftc_clock_steady();
	u->blocks[u->n++] = *block;
}

static bool
is_asked_for(const FtcHash *block)
{
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (contacts[i] != NULL && contacts[i]->peer.phase == FTC_PEER_BUSY &&
			contacts[i]->call.kind == CALL_BLOCK && ftc_hash_equal(&contacts[i]->call.block, block))
			return true;
	return false;
}

static void
begin_pass(Line *line, uint64 now)
{
	line->wanted.height = -1;
	line->passed = line->skipped = false;
	line->pass_at = now;
	line->again_at = 0;
}

/* Some are skipped: another peer is being asked, or others may store them yet. */
static void
skip(Line *line, uint64 now)
{
	line->skipped = true;
	if (line->again_at == 0 || line->again_at > now + PATIENCE_US)
		line->again_at = now + PATIENCE_US;
}

/* True if there is one to ask for; those that are settled are set aside. */
static bool
look_on(Contact *c, Unsettled *u)
{
	FtcHash		settled[FTC_WANTED_LOOK];
	int			n = 0;
	bool		found = ftc_inbox_next_wanted(&c->call.chain, &c->call.line->wanted, settled, &n);

	for (int i = 0; i < n; i++)
		note_unsettled(u, &settled[i]);
	return found;
}

/*
 * The next body to ask this peer for.  If it has it not, the higher ones are
 * asked for, and this again in the next pass.  No pass begins before the last
 * one was through, or bodies that nobody gives would keep others from coming.
 */
static bool
next_body(Contact *c)
{
	Line	   *line = c->call.line;
	Unsettled  *u = unsettled_of(&c->call.chain);
	uint64		start = ftc_clock_steady();
	uint64		now = start;

	if (line->passed && now >= line->again_at)
		begin_pass(line, now);
	for (; now - start < LOOK_US && u->n < SETTLE_MANY; now = ftc_clock_steady())
	{
		FtcWanted	before = line->wanted;
		bool		found = look_on(c, u);

		if (found && !is_asked_for(&line->wanted.block))
		{
			line->passed = false;
			return true;
		}
		if (!found && line->wanted.height == before.height &&
			ftc_hash_equal(&line->wanted.block, &before.block))
		{
			line->passed = true;
			if (line->again_at == 0)
				line->again_at = now + (uint64) ftc_guc_heartbeat * 1000;
			return false;
		}
		skip(line, now);
	}
	line->passed = false;
	return false;
}

static bool
call_block(Contact *c)
{
	FtcPeerArgs args = {0};

	if (!next_body(c))
		return false;
	c->call.block = c->call.line->wanted.block;
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.chain.genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.block.b, FTC_HASH_LEN));
	send_call(c, CALL_BLOCK, FTC_CALL_BLOCK, &args);
	return true;
}

/*
 * Has a body just come?  The next one is asked for before anything else, for a
 * while, so that neither end is idle.
 */
static bool
is_in_stream(const Contact *c, uint64 now)
{
	return c->call.kind == CALL_BLOCK && now < c->call.line->bodies_until;
}

static bool
am_member(const FtcChain *chain, const FtcIdentity *self)
{
	return ftc_state_find(ftc_branch_current_state(chain->id), &self->member) != NULL;
}

/* Only members announce; whoever joins just listens until it is one. */
static bool
call_in_turn(Contact *c, const FtcIdentity *self)
{
	bool		called = false;

	for (int i = 0; i < 2 && !called; i++)
	{
		called = c->call.line->bodies_turn ? call_block(c)
			: ftc_clock_steady() >= c->call.line->send_at && am_member(&c->call.chain, self) && call_receive(c, self);
		c->call.line->bodies_turn = !c->call.line->bodies_turn;
	}
	return called;
}

/* The next call for one chain, if there is any to make. */
static bool
call_for(Contact *c, const FtcIdentity *self)
{
	uint64		now = ftc_clock_steady();
	Line	   *line = c->call.line;

	if (line->retry_at > now)
		return false;
	if (line->greeted && is_in_stream(c, now) && call_block(c))
		return true;
	if (!line->greeted || now >= line->hello_at)
	{
		call_hello(c, self);
		return true;
	}
	if (ftc_run(&behind_take, Int32GetDatum(c->call.chain.id)) > 0)
		look_everywhere(c->call.chain.id);
	if (line->behind && (!line->bodies_first || line->passed))
	{
		call_blocks(c);
		return true;
	}
	if (!line->behind && line->caught_up_at == 0)
		line->caught_up_at = now;
	if (call_in_turn(c, self))
		return true;
	if (!line->behind || !line->passed)
		return false;
	call_blocks(c);
	return true;
}

/* Nothing is left to do, and nothing waits for a retry. */
static void
note_rest(Contact *c)
{
	ListCell   *cell;

	foreach(cell, c->lines)
	{
		const Line *line = lfirst(cell);

		if (!line->greeted || line->not_taken > 0)
			return;
	}
	foreach(cell, c->lines)
	{
		Line	   *line = lfirst(cell);

		line->failures = 0;
	}
	c->last_error[0] = c->logged[0] = '\0';
}

typedef struct NextCall
{
	Contact    *contact;
	bool		called;
	bool		more;			/* to look at */
} NextCall;

/* Whose turn it is goes round, so that one busy chain does not starve the rest. */
static bool
next_call(void *arg)
{
	NextCall   *next = arg;
	Contact    *c = next->contact;
	FtcScope	scope;
	FtcIdentity self;
	List	   *chains;

	if (!ftc_step_begin("looking for something to send"))
		return false;
	ftc_enter(&scope);
	if (ftc_identity_load(&self))
	{
		chains = ftc_chain_list();
		for (int i = 0; i < list_length(chains) && !next->called; i++)
		{
			FtcChain   *chain = list_nth(chains, (c->turn + i) % list_length(chains));

			c->call.line = line_of(c, chain->id);
			c->call.chain = *chain;
			c->call.chain.name = NULL;
			next->called = call_for(c, &self);
			if (next->called)
				c->turn = (c->turn + i + 1) % list_length(chains);
			next->more |= c->call.line->greeted && !c->call.line->passed;
			c->call.line->synced = !next->called;
		}
		if (!next->called && !next->more)
			note_rest(c);
	}
	ftc_leave(&scope);
	ftc_step_end();
	return next->called;
}

/* ----------------------------------------------------------------
 *		Answers
 * ----------------------------------------------------------------
 */

typedef struct Answer
{
	Contact    *contact;
	struct pg_result *result;
} Answer;

static bool
malformed(Contact *c)
{
	leave_line(c, "malformed answer");
	return true;
}

/* How far the receiver says it is, from columns at, at + 1, at + 2. */
static bool
get_link_end(struct pg_result *result, int at, FtcLinkEnd *end)
{
	int64		epoch;
	int64		next;

	if (!ftc_peer_int(result, 0, at, &epoch) || !ftc_peer_int(result, 0, at + 1, &next) ||
		!ftc_peer_hash(result, 0, at + 2, &end->value) || epoch < 0 || next < 1)
		return false;
	end->epoch = (uint64) epoch;
	end->next = (uint64) next;
	return true;
}

static bool
take_hello(Contact *c, struct pg_result *result, const FtcIdentity *self)
{
	FtcHash		member;
	FtcHash		head;
	FtcHash		work;
	FtcLinkEnd	end;
	FtcStored	ours;
	FtcStored	known;
	int64		protocol;

	if (ftc_peer_rows(result) != 1 || !ftc_peer_int(result, 0, 0, &protocol))
		return malformed(c);
	if (protocol < FTC_PROTOCOL_MIN || protocol > FTC_PROTOCOL)
	{
		leave_line(c, psprintf("it speaks protocol %lld, and this server %d to %d", (long long) protocol,
							   FTC_PROTOCOL_MIN, FTC_PROTOCOL));
		return true;
	}
	if (!ftc_peer_hash(result, 0, 1, &member) || !ftc_peer_hash(result, 0, 3, &head) ||
		!ftc_peer_hash(result, 0, 4, &work) || !get_link_end(result, 5, &end))
		return malformed(c);
	if (!ftc_hash_equal(&member, &c->peer.member))
	{
		leave_line(c, psprintf("another member answers: %s", ftc_hash_hex(&member)));
		return true;
	}
	(void) ftc_outbox_hello(&c->call.chain, &self->member, &c->peer.member, &end);
	ftc_store_load_head(c->call.chain.id, &ours);
	if (!ftc_store_load(&head, &known))
	{
		FtcHash		our_work = ftc_u256_to_hash(&ours.tip.work);

		if (ftc_hash_compare(&work, &our_work) > 0)
			c->call.line->behind = true;
	}
	c->call.line->greeted = true;
	c->call.line->hello_at = ftc_clock_steady() + (uint64) ftc_guc_heartbeat * 1000;
	return true;
}

/*
 * Who stores the body of a block, with their signatures.  One that is no good
 * is as good as none.  False if some are of nobody that is known here.
 */
static bool
take_statements(const FtcChain *chain, const FtcHash *block, FtcSlice stored)
{
	FtcReader	at = ftc_reader(stored);
	bool		known = true;

	while (at.left > 0)
	{
		FtcSlice	member = ftc_get_slice(&at, FTC_HASH_LEN);
		FtcSlice	signature = ftc_get_slice(&at, FTC_SIGNATURE_LEN);
		uint8		reference[2 * FTC_HASH_LEN];

		if (at.bad)
			break;
		memcpy(reference, block->b, FTC_HASH_LEN);
		memcpy(reference + FTC_HASH_LEN, member.data, FTC_HASH_LEN);
		known &= ftc_inbox_stored(chain, ftc_slice(reference, sizeof(reference)), signature) != FTC_NOT_A_MEMBER;
	}
	return known;
}

/*
 * A row "block, stored".  The statements come first, so that a body that is
 * known to be stored is not even wanted here; and those of who has left since
 * afterwards, as only the block's state knows them.
 */
static FtcReason
take_row(Contact *c, struct pg_result *result, int row, FtcHash *id, FtcHeader *header)
{
	bool		asked_for = c->call.kind == CALL_BLOCK;
	FtcSlice	stored = ftc_peer_bytes(result, row, 1);
	FtcBlock	block;
	FtcReason	reason = ftc_block_decode(&block, ftc_peer_bytes(result, row, 0));
	bool		known;

	if (reason == FTC_OK)
		reason = ftc_header_decode(header, block.header);
	if (reason != FTC_OK)
		return reason;
	*id = ftc_header_id(header);
	known = take_statements(&c->call.chain, id, stored);
	reason = (asked_for ? ftc_inbox_body : ftc_inbox_block) (&c->call.chain, &block, &c->peer.member);
	if (reason == FTC_OK && !known)
		(void) take_statements(&c->call.chain, id, stored);
	return reason;
}

static bool
take_blocks(Contact *c, struct pg_result *result)
{
	int			n = ftc_peer_rows(result);
	FtcReason	reason = FTC_OK;
	bool		rises = true;

	ftc_chain_lock(c->call.chain.id);
	for (int i = 0; i < n && reason == FTC_OK && rises; i++)
	{
		FtcHeader	header;
		FtcHash		id;

		reason = take_row(c, result, i, &id, &header);
		if (reason != FTC_OK)
			break;
		/* known ones may come again, but not for ever */
		rises = (int64) header.height > c->call.line->reached_height;
		c->call.line->reached = id;
		c->call.line->reached_height = (int64) header.height;
	}
	/* go on until it has no more to give */
	c->call.line->behind = n > 0 && reason == FTC_OK && rises;
	if (!c->call.line->behind)
		c->call.line->reached_height = -1;
	else
	{
		/* blocks that wait for bodies make all that follow dearer */
		c->call.line->bodies_first = true;
		begin_pass(c->call.line, ftc_clock_steady());
	}
	if (reason != FTC_OK)
		leave_line(c, psprintf("block refused: %s", ftc_reason_text(reason)));
	else if (!rises)
		leave_line(c, "its blocks do not follow each other");
	else
		c->call.line->failures = 0;
	return true;
}

static bool
take_receive(Contact *c, struct pg_result *result, const FtcIdentity *self)
{
	FtcLinkEnd	end;
	int64		refused;

	if (ftc_peer_rows(result) != 1 || !get_link_end(result, 0, &end) || !ftc_peer_int(result, 0, 3, &refused))
		return malformed(c);
	if (refused > 0)
		note_failure(c, psprintf("%lld messages refused: %s", (long long) refused,
								 ftc_peer_text(result, 0, 4)));
	/* somebody else here may have sent them too, and more: that is as good */
	if (!ftc_outbox_hello(&c->call.chain, &self->member, &c->peer.member, &end) ||
		end.epoch > c->call.epoch || (end.epoch == c->call.epoch && end.next > c->call.first))
		c->call.line->not_taken = 0;
	else
		hold_back(c, ftc_peer_is_null(result, 0, 4) ? "it does not take messages"
				  : psprintf("it does not take messages: %s", ftc_peer_text(result, 0, 4)));
	FTC_FAILPOINT("send-before-ack-commit");
	return true;
}

/* Is it the block that was asked for? */
static bool
is_block(FtcSlice bytes, const FtcHash *wanted)
{
	FtcBlock	block;
	FtcHeader	header;
	FtcHash		id;

	if (ftc_block_decode(&block, bytes) != FTC_OK || ftc_header_decode(&header, block.header) != FTC_OK)
		return false;
	id = ftc_header_id(&header);
	return ftc_hash_equal(&id, wanted);
}

static bool
take_block(Contact *c, struct pg_result *result)
{
	FtcHeader	header;
	FtcHash		id;
	FtcReason	reason;

	if (ftc_peer_is_null(result, 0, 0))
		return true;			/* it does not have it: somebody else may */
	if (!is_block(ftc_peer_bytes(result, 0, 0), &c->call.block))
		return malformed(c);
	ftc_chain_lock(c->call.chain.id);
	reason = take_row(c, result, 0, &id, &header);
	if (reason != FTC_OK)
		leave_line(c, psprintf("body refused: %s", ftc_reason_text(reason)));
	else
	{
		note_unsettled(unsettled_of(&c->call.chain), &id);
		c->call.line->failures = 0;
	}
	return true;
}

static bool
take_answer(void *arg)
{
	Answer	   *answer = arg;
	Contact    *c = answer->contact;
	FtcScope	scope;
	FtcIdentity self;

	if (!ftc_step_begin("taking an answer"))
		return false;
	if (c->call.kind == CALL_BLOCK)
		ftc_step_may_be_lost();
	ftc_enter(&scope);
	if (ftc_peer_failed(answer->result))
		leave_line(c, ftc_peer_message(answer->result));
	else if (ftc_identity_load(&self))
		switch (c->call.kind)
		{
			case CALL_HELLO:
				take_hello(c, answer->result, &self);
				break;
			case CALL_BLOCKS:
				take_blocks(c, answer->result);
				break;
			case CALL_RECEIVE:
				take_receive(c, answer->result, &self);
				break;
			case CALL_BLOCK:
				take_block(c, answer->result);
				break;
		}
	ftc_leave(&scope);
	ftc_step_end();
	return true;
}

static void
note_contact(Contact *c)
{
	uint64		took = ftc_clock_steady() - c->call.called_at;

	c->contact_at = ftc_clock_timestamp();
	c->failures = 0;
	c->round_trip = c->round_trip == 0 ? took : (7 * c->round_trip + took) / 8;
}

/* ----------------------------------------------------------------
 *		Settling
 * ----------------------------------------------------------------
 */

static bool
settle(void *arg)
{
	Unsettled  *u = arg;
	FtcScope	scope;

	if (!ftc_step_begin("saying what is stored"))
		return false;
	ftc_enter(&scope);
	ftc_inbox_settle(&u->chain, u->blocks, u->n);
	ftc_leave(&scope);
	ftc_step_end();
	return true;
}

/* Is some peer being asked for bodies of the chain, one after the other? */
static bool
is_fetching(int32 chain)
{
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
	{
		const Contact *c = contacts[i];
		const Line *line = c == NULL || c->peer.phase == FTC_PEER_CLOSED ? NULL : find_line(c, chain);

		if (line != NULL && line->greeted && !line->passed)
			return true;
	}
	return false;
}

/* What goes wrong is found again on the list of what is wanted. */
static void
settle_some(void)
{
	uint64		now = ftc_clock_steady();
	ListCell   *cell;
	bool		more;

	foreach(cell, unsettled)
	{
		Unsettled  *u = lfirst(cell);

		if (u->n == 0 ||
			(u->n < SETTLE_MANY && now - u->since < SETTLE_US && is_fetching(u->chain.id)))
			continue;
		(void) ftc_step_try(settle, u, &more);
		u->n = 0;
	}
}

/* ----------------------------------------------------------------
 *		The loop
 * ----------------------------------------------------------------
 */

static bool
begin_connect(void *arg)
{
	Contact    *c = arg;

	if (!ftc_step_begin("connecting"))
		return false;
	ftc_peer_connect(&c->peer, GetUserId());
	ftc_step_end();
	return true;
}

/* True if there is more to do at once. */
static bool
make_call(Contact *c)
{
	NextCall	next = {.contact = c};
	bool		more;

	if (ftc_step_try(next_call, &next, &more))
		return next.called || next.more;
	if (c->peer.phase == FTC_PEER_IDLE && c->call.line != NULL)
		leave_line(c, "a call could not be made; see the log");
	return false;
}

/* While a body is stored, the next one can be on its way. */
static void
handle_answer(Contact *c, struct pg_result *result)
{
	Answer		answer = {.contact = c,.result = result};
	Call		answered = c->call;
	Call		next;
	bool		more;

	note_contact(c);
	if (answered.kind == CALL_BLOCK && c->peer.phase == FTC_PEER_IDLE && !ftc_peer_failed(result))
		(void) make_call(c);
	next = c->call;
	c->call = answered;
	if (!ftc_step_try(take_answer, &answer, &more))
		leave_line(c, "an answer could not be taken; see the log");
	c->call = next;
	ftc_peer_clear(result);
}

/* One contact: what has come, then what is next.  True if it did anything. */
static bool
attend(Contact *c)
{
	struct pg_result *result = NULL;
	char	   *why = NULL;
	bool		more;

	if (c->peer.phase == FTC_PEER_CLOSED)
	{
		if (ftc_clock_steady() < c->retry_at)
			return false;
		/* the error is about its options or rights, and logged */
		if (!ftc_step_try(begin_connect, c, &more))
			c->retry_at = ftc_clock_steady() + backoff(c->failures++);
		return false;
	}
	if (c->peer.phase == FTC_PEER_IDLE && ftc_peer_is_stale(&c->peer))
	{
		close_contact(c);
		return true;
	}
	if (!ftc_peer_advance(&c->peer, &result, &why))
	{
		hang_up(c, why);
		return true;
	}
	if (result != NULL)
		handle_answer(c, result);
	if (c->peer.phase != FTC_PEER_IDLE)
		return result != NULL;
	return make_call(c) || result != NULL;
}

static int
open_peers(FtcPeer **peers)
{
	int			n = 0;

	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (contacts[i] != NULL && contacts[i]->peer.phase != FTC_PEER_CLOSED)
			peers[n++] = &contacts[i]->peer;
	return n;
}

long
ftc_courier_turn(void)
{
	FtcPeer    *peers[FTC_SHARED_PEERS];
	bool		busy = false;
	bool		more;

	if (ftc_clock_steady() - listed_at > LIST_EVERY_US && !ftc_step_try(list_peers, NULL, &more))
		return 1000;
	for (int i = 0; i < FTC_SHARED_PEERS && !ftc_worker_must_leave(); i++)
		if (contacts[i] != NULL)
		{
			busy |= attend(contacts[i]);
			show(i);
		}
	settle_some();
	ftc_worker_progress(busy ? "exchanging" : "idle");
	if (!busy && !ftc_worker_must_leave())
		ftc_peer_wait(peers, open_peers(peers), 250, "FtchainCourier");
	return 0;
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

/*
 * Has it been asked for all bodies that were wanted when we had its blocks?
 * One pass too early for some of them is not enough.
 */
static bool
is_done_with_bodies(const Line *line)
{
	return line->passed &&
		(!line->skipped || line->pass_at >= line->caught_up_at + PATIENCE_US);
}

/* Is nothing left to exchange with it, but for what it refuses? */
static bool
is_done(const Contact *c)
{
	ListCell   *cell;

	if (c->peer.phase != FTC_PEER_IDLE)
		return false;
	foreach(cell, c->lines)
	{
		const Line *line = lfirst(cell);
		bool		refused = line->retry_at > ftc_clock_steady();

		if (line->behind || !line->synced || (!refused && !is_done_with_bodies(line)))
			return false;
	}
	return c->lines != NIL;
}

static void
sync_with(Contact *c)
{
	uint64		start = ftc_clock_steady();

	while (!is_done(c))
	{
		FtcPeer    *peer = &c->peer;
		bool		busy;

		if (c->failures > 0 || ftc_clock_steady() - start > 600 * (uint64) USECS_PER_SEC)
			ereport(ERROR,
					errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
					errmsg("could not synchronise with server \"%s\": %s", c->peer.server,
						   c->last_error[0] != '\0' ? c->last_error : "it takes too long"));
		busy = attend(c);
		settle_some();
		if (busy)
			continue;
		ftc_peer_wait(&peer, c->peer.phase != FTC_PEER_CLOSED ? 1 : 0, 100, "FtchainSync");
		/* time has passed: the next step is to have a now() of its own */
		ftc_procedure_commit();
	}
	if (c->last_error[0] != '\0')
		ereport(WARNING,
				errcode(ERRCODE_FDW_ERROR),
				errmsg("not all was exchanged with server \"%s\": %s", c->peer.server, c->last_error));
}

static void
close_all(void)
{
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (contacts[i] != NULL)
			drop_contact(i);
	list_free_deep(unsettled);
	unsettled = NIL;
}

Datum
ftchain_sync(PG_FUNCTION_ARGS)
{
	char	   *server = PG_ARGISNULL(0) ? NULL
	: MemoryContextStrdup(TopMemoryContext, text_to_cstring(PG_GETARG_TEXT_PP(0)));

	PG_TRY();
	{
		ftc_procedure_begin(fcinfo, "ftchain.sync");
		(void) list_peers(NULL);
		if (server != NULL && find_contact(server) == NULL)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("server \"%s\" is not a peer", server),
					errhint("Call ftchain.add_peer() first."));
		for (int i = 0; i < FTC_SHARED_PEERS; i++)
			if (contacts[i] != NULL &&
				(server == NULL || strcmp(contacts[i]->peer.server, server) == 0))
				sync_with(contacts[i]);
		ftc_procedure_end();
	}
	PG_FINALLY();
	{
		close_all();
	}
	PG_END_TRY();
	PG_RETURN_VOID();
}

/*-------------------------------------------------------------------------
 *
 * bodies.c
 *	  Bodies that this database should hold: which to ask for, and which came.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "bodies.h"
#include "clock.h"
#include "fetch.h"
#include "guc.h"
#include "step.h"
#include "stmt.h"
#include "wake.h"

#define LOOK_US (100 * 1000)	/* at the list of wanted ones, at a time */
#define SETTLE_US (500 * 1000)	/* the longest that nothing is said of them */
#define SETTLE_MANY 32
#define NO_ROOM_MANY 1024
#define NO_ROOM_US (2 * USECS_PER_SEC)	/* until it is looked for again */
#define LACKS_US (5 * USECS_PER_SEC)	/* until a peer is asked again */
#define DIFFERS_US (60 * USECS_PER_SEC)
#define LATE_MS 5000			/* somebody else should have taken it */
#define FETCHES_US (250 * 1000) /* at what is being fetched, if there was
								 * nothing */
#define CHUNKS_ASKED_MAX (FTC_SHARED_PEERS * FTC_PEER_CALLS_MAX)

/*
 * Bodies of a chain that are stored, or not needed, and not settled yet.  One
 * that finds no room is found again among those that are wanted.
 */
typedef struct Unsettled
{
	FtcChain	chain;
	uint64		since;
	int			n;
	FtcHash		blocks[SETTLE_MANY + FTC_WANTED_LOOK];
} Unsettled;

static List *unsettled = NIL;

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
	if (u->n == lengthof(u->blocks))
		return;
	if (u->n == 0)
		u->since = ftc_clock_steady();
	u->blocks[u->n++] = *block;
}

void
ftc_bodies_came(const FtcChain *chain, const FtcHash *block)
{
	note_unsettled(unsettled_of(chain), block);
}

/* ----------------------------------------------------------------
 *		The budget for what moves
 * ----------------------------------------------------------------
 */

/*
 * Bytes that may be asked for now, of bodies that moved.  How long one is shows
 * when its first chunk has come; until then it counts as the others did.
 */
static bool heeded = false;
static int64 credit = 0;
static uint64 credit_at = 0;
static int64 usual_length = 65536;

void
ftc_bodies_heed_budget(void)
{
	heeded = true;
}

/* May one be asked for?  Else *when is the time when one may. */
static bool
may_move(uint64 now, uint64 *when)
{
	int64		rate = (int64) ftc_guc_move_budget * 1024;	/* a second */

	if (!heeded || rate == 0)
		return true;
	/* what was not used for a second is gone */
	credit = Min(rate, credit + (int64) (Min(now - credit_at, USECS_PER_HOUR) * (double) rate / USECS_PER_SEC));
	credit_at = now;
	*when = now + (uint64) (Max(1 - credit, 0) * (double) USECS_PER_SEC / rate) + 1000;
	return credit > 0;
}

/* It counts as so many bytes until it has come. */
static void
spend(FtcAsked *call, uint64 bytes)
{
	call->counted = call->part.moved ? (int64) bytes : 0;
	credit -= call->counted;
}

void
ftc_bodies_moved(const FtcAsked *call, size_t bytes)
{
	if (!call->part.moved)
		return;
	credit += call->counted - (int64) bytes;
	if (bytes > 0 && call->part.chunk.at == 0)
		usual_length += ((int64) bytes - usual_length) / 8;
}

/* Chunks of a block that any peer is asked for; gives how many. */
static int
chunks_asked(void *arg, const FtcHash *block, FtcChunk *chunks)
{
	int			n = 0;

	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		for (int j = 0; ftc_contacts[i] != NULL && j < ftc_contacts[i]->peer.ncalls; j++)
		{
			const FtcAsked *asked = &ftc_contacts[i]->asked[j];

			if (asked->kind == FTC_ASKED_BODY && ftc_hash_equal(&asked->part.block, block))
				chunks[n++] = asked->part.chunk;
		}
	return n;
}

static bool
is_asked_for(const FtcHash *block)
{
	FtcChunk	chunks[CHUNKS_ASKED_MAX];

	return chunks_asked(NULL, block, chunks) > 0;
}

/* ----------------------------------------------------------------
 *		Bodies in chunks
 * ----------------------------------------------------------------
 */

/*
 * Bodies for which there was no room just now.  Once one of them is let in, or was
 * tried in vain, it is the turn of the others.
 */
static FtcHash no_room[NO_ROOM_MANY];
static int	nno_room = 0;
static uint64 no_room_until = 0;

void
ftc_bodies_no_room(const FtcHash *block)
{
	no_room[nno_room++ % NO_ROOM_MANY] = *block;
	no_room_until = ftc_clock_steady() + NO_ROOM_US;
}

static bool
has_no_room(const FtcHash *block, uint64 now)
{
	for (int i = 0; i < Min(nno_room, NO_ROOM_MANY) && now < no_room_until; i++)
		if (ftc_hash_equal(&no_room[i], block))
			return true;
	return false;
}

/* When to look for one that is whole; 0: there is none. */
static uint64 finish_at = 0;

void
ftc_bodies_whole(void)
{
	finish_at = ftc_clock_steady() + (IsBackgroundWorker ? LATE_MS * 1000 : 0);
}

void
ftc_bodies_finish(void)
{
	FtcFinish	f = {.ms = IsBackgroundWorker ? LATE_MS : 0};

	if (finish_at == 0 || ftc_clock_steady() < finish_at)
		return;
	finish_at = ftc_fetch_finish(&f) && !f.found && !f.others ? 0
		: ftc_clock_steady() + FETCHES_US;
	if (f.found)
		nno_room = 0;
}

bool
ftc_bodies_are_waiting(void)
{
	return finish_at != 0 || (nno_room > 0 && ftc_clock_steady() < no_room_until);
}

void
ftc_bodies_lacks(FtcContact *c, const FtcHash *block, uint64 total)
{
	int			oldest = 0;

	for (int i = 0; i < FTC_LACKS_MANY; i++)
		if (c->lacks[i].until < c->lacks[oldest].until)
			oldest = i;
	c->lacks[oldest].block = *block;
	c->lacks[oldest].total = total;
	c->lacks[oldest].until = ftc_clock_steady() + (total == 0 ? LACKS_US : DIFFERS_US);
}

void
ftc_bodies_fetching(FtcLine *line)
{
	line->fetching = true;
	line->fetches_at = 0;
}

/* The next chunk of a body that is being fetched; mostly there is none. */
static bool
next_chunk(FtcContact *c)
{
	FtcLine    *line = c->call.line;
	uint64		now = ftc_clock_steady();
	uint64		when;

	if (now < line->fetches_at)
		return false;
	line->fetching = ftc_fetch_next(&c->call.chain, &c->peer.member, may_move(now, &when), ftc_contact_chunk(c),
									c->lacks, chunks_asked, NULL, CHUNKS_ASKED_MAX, &c->call.part);
	if (line->fetching)
		spend(&c->call, c->call.part.chunk.size);
	else
		line->fetches_at = now + FETCHES_US;
	return line->fetching;
}

void
ftc_bodies_begin_pass(FtcLine *line)
{
	line->wanted.height = -1;
	line->passed = line->skipped = false;
	line->pass_at = ftc_clock_steady();
	line->again_at = 0;
	line->wants = ftc_wake_wants();
}

/* More may be asked for then, in another pass. */
static void
wait_until(FtcLine *line, uint64 when)
{
	line->skipped = true;
	if (line->again_at == 0 || line->again_at > when)
		line->again_at = when;
}

/* Some are skipped: another peer is being asked, or others may store them yet. */
static void
skip(FtcLine *line, uint64 now)
{
	wait_until(line, now + FTC_BODIES_PATIENCE_US);
}

/* True if there is one to ask for; those that are settled are set aside. */
static bool
look_on(FtcContact *c, Unsettled *u, bool moved)
{
	FtcHash		settled[FTC_WANTED_LOOK];
	int			n = 0;
	bool		found = ftc_inbox_next_wanted(&c->call.chain, &c->peer.member, moved, &c->call.line->wanted, settled, &n);

	for (int i = 0; i < n; i++)
		note_unsettled(u, &settled[i]);
	return found;
}

static void
ask_for_wanted(FtcContact *c)
{
	FtcPart    *part = &c->call.part;

	part->block = c->call.line->wanted.block;
	part->moved = c->call.line->wanted.moved;
	part->total = 0;
	part->chunk.at = 0;
	part->chunk.size = ftc_contact_chunk(c);
	spend(&c->call, Min(part->chunk.size, (uint64) usual_length));
}

/*
 * What is newly wanted is asked for at once; but after a rest as long as the last pass
 * took: a peer that has little of what is wanted is not asked without pause.
 */
static bool
is_another_due(const FtcLine *line, uint64 now)
{
	return now >= line->again_at ||
		(line->wants != ftc_wake_wants() && now - line->passed_at >= line->passed_at - line->pass_at);
}

/*
 * The next body to ask this peer for.  If it has it not, the higher ones are
 * asked for, and this again in the next pass.  No pass begins before the last
 * one was through, or bodies that nobody gives would keep others from coming.
 */
static bool
next_body(FtcContact *c)
{
	FtcLine    *line = c->call.line;
	Unsettled  *u = unsettled_of(&c->call.chain);
	uint64		start = ftc_clock_steady();
	uint64		now = start;

	if (line->passed && is_another_due(line, now))
		ftc_bodies_begin_pass(line);
	for (; now - start < LOOK_US && u->n < SETTLE_MANY; now = ftc_clock_steady())
	{
		FtcWanted	before = line->wanted;
		uint64		when = now;
		bool		moved = may_move(now, &when);
		bool		found = look_on(c, u, moved);

		if (found && !line->wanted.fetching && !is_asked_for(&line->wanted.block) &&
			!has_no_room(&line->wanted.block, now))
		{
			ask_for_wanted(c);
			line->passed = false;
			return true;
		}
		if (!moved)
			wait_until(line, when);
		if (!found && line->wanted.height == before.height &&
			ftc_hash_equal(&line->wanted.block, &before.block))
		{
			line->passed = true;
			line->passed_at = now;
			if (line->again_at == 0)
				line->again_at = now + (uint64) ftc_guc_heartbeat * 1000;
			return false;
		}
		skip(line, now);
	}
	line->passed = false;
	return false;
}

/* In turns: a large body keeps no small one from coming, nor they it. */
bool
ftc_bodies_next(FtcContact *c)
{
	FtcLine    *line = c->call.line;

	line->chunks_turn = !line->chunks_turn;
	if (line->chunks_turn)
		return next_chunk(c) || next_body(c);
	return next_body(c) || next_chunk(c);
}

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
		const FtcContact *c = ftc_contacts[i];
		const FtcLine *line = c == NULL || c->peer.phase == FTC_PEER_CLOSED ? NULL : ftc_line_find(c, chain);

		if (line != NULL && line->greeted && !line->passed)
			return true;
	}
	return false;
}

/* What goes wrong is found again on the list of what is wanted. */
void
ftc_bodies_settle(void)
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

void
ftc_bodies_forget(void)
{
	list_free_deep(unsettled);
	unsettled = NIL;
	nno_room = 0;
	finish_at = 0;
}

/*-------------------------------------------------------------------------
 *
 * contact.c
 *	  Peers as the courier knows them: what it tried, and how it went.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "contact.h"
#include "datum.h"
#include "step.h"
#include "stmt.h"

/* add_peer() lets no more in */
static FtcStmt peers_all = {
	.sql = "SELECT server, member FROM ftchain.peer ORDER BY server LIMIT 16",
};

FtcContact *ftc_contacts[FTC_SHARED_PEERS];
static uint64 listed_at = 0;

#define LIST_EVERY_US (1 * USECS_PER_SEC)
#define BACKOFF_MIN_US (250 * 1000)
#define BACKOFF_MAX_US (15 * USECS_PER_SEC)

/*
 * A host that does not answer is asked again and again: a packet costs little,
 * and whoever is back should not wait for us.  Now and then it gets longer, as it
 * may be far away.
 */
#define REACH_US (500 * 1000)
#define REACH_FAR_US (3 * USECS_PER_SEC)
#define REACH_FAR_EVERY 8
#define REACH_AGAIN_US (250 * 1000)
#define LOG_EVERY_US (10 * USECS_PER_SEC)
#define TELL_MAX 100			/* of one peer, to who calls sync() */

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

static bool
may_log(const FtcContact *c)
{
	return MyBgworkerEntry == NULL ? c->nlogged < TELL_MAX
		: c->logged_at == 0 || ftc_clock_steady() - c->logged_at >= LOG_EVERY_US;
}

static void
log_failure(FtcContact *c, const char *why)
{
	strlcpy(c->logged, why, sizeof(c->logged));
	c->withheld[0] = '\0';
	c->logged_at = ftc_clock_steady();
	c->nlogged++;
	ereport(LOG,
			errmsg("ftchain: server \"%s\": %s", c->peer.server, c->logged));
}

static void
log_withheld(FtcContact *c)
{
	char		why[FTC_SHARED_TEXT];

	if (c->withheld[0] == '\0' || !may_log(c))
		return;
	strcpy(why, c->withheld);
	log_failure(c, why);
}

void
ftc_contact_show(int i)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);
	static const char *const phases[] = {"closed", "connecting", "idle", "calling"};
	FtcPeerSlot *slot;
	FtcContact *c = ftc_contacts[i];

	if (c != NULL)
		log_withheld(c);
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
		slot->protocol = c->protocol;
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

	return ftc_jitter(Min(us, (uint64) BACKOFF_MAX_US), pg_prng_uint64(&pg_global_prng_state));
}

/*
 * Logged when it is news, and by a worker not often: some of the words are the
 * peer's.  Of what comes too soon the last is logged later.  Who calls sync()
 * waits, and is told all of it, up to a bound.
 */
void
ftc_contact_note_failure(FtcContact *c, const char *why)
{
	ftc_shared_text(c->last_error, why);
	if (strcmp(c->last_error, c->logged) == 0)
		return;
	if (may_log(c))
		log_failure(c, c->last_error);
	else
		strcpy(c->withheld, c->last_error);
}

void
ftc_contact_close(FtcContact *c)
{
	ListCell   *cell;

	ftc_peer_close(&c->peer);
	c->session = c->token = c->presence_at = 0;
	c->run = c->protocol = 0;
	memset(&c->down, 0, sizeof(c->down));
	memset(&c->up, 0, sizeof(c->up));
	foreach(cell, c->lines)
	{
		FtcLine    *line = lfirst(cell);

		line->greeted = line->asking = false;
		ftc_sending_cut(&line->out);
	}
}

uint64
ftc_contact_reach(const FtcContact *c)
{
	return c->failures % REACH_FAR_EVERY == REACH_FAR_EVERY - 1 ? REACH_FAR_US
		: Max(REACH_US, 3 * c->round_trip);
}

void
ftc_contact_later(FtcContact *c)
{
	uint64		wait = c->refuses ? backoff(c->failures)
	: ftc_jitter(REACH_AGAIN_US, pg_prng_uint64(&pg_global_prng_state));

	c->failures++;
	c->retry_at = ftc_clock_steady() + wait;
}

void
ftc_contact_hang_up(FtcContact *c, const char *why)
{
	ListCell   *cell;

	c->refuses = c->peer.phase == FTC_PEER_CONNECTING && c->peer.reached && !c->peer.cut;
	ftc_contact_note_failure(c, why);
	if (c->peer.timed_out)
		foreach(cell, c->lines)
			ftc_sending_timeout(&((FtcLine *) lfirst(cell))->out);
	ftc_contact_close(c);
	ftc_contact_later(c);
}

void
ftc_line_note_failure(FtcContact *c, const char *why)
{
	ftc_contact_note_failure(c, why);
	if (c->call.line == NULL)
		return;
	ftc_shared_text(c->call.line->counts.last_error, why);
	c->call.line->counts.last_error_at = ftc_clock_timestamp();
}

void
ftc_line_leave(FtcContact *c, const char *why)
{
	ftc_line_note_failure(c, why);
	if (c->call.line == NULL)
		return;					/* a call that is about no line */
	c->call.line->retry_at = ftc_clock_steady() + backoff(c->call.line->failures++);
	c->call.line->greeted = c->call.line->behind = c->call.line->asking = false;
	c->call.line->reached_height = -1;
	c->call.line->synced = true;
	ftc_sending_cut(&c->call.line->out);
}

static FtcLine *
find_line(const FtcContact *c, int32 chain, uint16 stream)
{
	ListCell   *cell;

	foreach(cell, c->lines)
	{
		FtcLine    *line = lfirst(cell);

		if (line->chain == chain && line->stream == stream)
			return line;
	}
	return NULL;
}

FtcLine *
ftc_line_find(const FtcContact *c, int32 chain)
{
	return find_line(c, chain, FTC_STREAM_LEDGER);
}

FtcLine *
ftc_line_of(FtcContact *c, int32 chain, uint16 stream)
{
	FtcLine    *line = find_line(c, chain, stream);
	MemoryContext outer;

	if (line != NULL)
		return line;
	outer = MemoryContextSwitchTo(c->context);
	line = palloc0(sizeof(FtcLine));
	line->chain = chain;
	line->stream = stream;
	/* nothing is fetched by a stream */
	line->passed = stream != FTC_STREAM_LEDGER;
	line->reached_height = -1;
	line->wanted.height = -1;
	c->lines = lappend(c->lines, line);
	MemoryContextSwitchTo(outer);
	return line;
}

void
ftc_line_look_everywhere(int32 chain)
{
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
	{
		FtcLine    *line = ftc_contacts[i] == NULL ? NULL : ftc_line_find(ftc_contacts[i], chain);

		if (line != NULL)
			line->behind = true;
	}
}

FtcContact *
ftc_contact_find(const char *server)
{
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (ftc_contacts[i] != NULL && strcmp(ftc_contacts[i]->peer.server, server) == 0)
			return ftc_contacts[i];
	return NULL;
}

static FtcContact *
make_contact(const char *server)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "ftchain peer", ALLOCSET_SMALL_SIZES);
	FtcContact *c = MemoryContextAllocZero(context, sizeof(FtcContact));

	c->context = context;
	strlcpy(c->peer.server, server, sizeof(c->peer.server));
	return c;
}

void
ftc_contact_clear_answer(FtcContact *c)
{
	ftc_peer_clear(c->answer);
	c->answer = NULL;
}

static void
drop_contact(int i)
{
	ftc_contact_clear_answer(ftc_contacts[i]);
	ftc_peer_close(&ftc_contacts[i]->peer);
	MemoryContextDelete(ftc_contacts[i]->context);
	ftc_contacts[i] = NULL;
}

void
ftc_contact_drop_all(void)
{
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (ftc_contacts[i] != NULL)
			drop_contact(i);
	listed_at = 0;
}

static void
list_contact(const char *server, const FtcHash *member)
{
	FtcContact *c = ftc_contact_find(server);

	for (int i = 0; c == NULL && i < FTC_SHARED_PEERS; i++)
		if (ftc_contacts[i] == NULL)
			c = ftc_contacts[i] = make_contact(server);
	if (c == NULL)
		return;
	c->listed = true;
	if (!ftc_hash_equal(&c->peer.member, member))
	{
		/* another one is there now: nothing we know of the old one holds */
		ftc_contact_close(c);
		memset(&c->health, 0, sizeof(c->health));
		c->health_told = FTC_HEALTH_UNKNOWN;
		c->answered_at = 0;
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
		if (ftc_contacts[i] != NULL)
			ftc_contacts[i]->listed = false;
	n = ftc_run(&peers_all, 0);
	for (uint64 i = 0; i < n; i++)
	{
		FtcHash		member = ftc_hash_value(i, 1);

		list_contact(TextDatumGetCString(ftc_value(i, 0)), &member);
	}
	ftc_leave(&scope);
	ftc_step_end();
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (ftc_contacts[i] != NULL && !ftc_contacts[i]->listed)
		{
			drop_contact(i);
			ftc_contact_show(i);
		}
	listed_at = ftc_clock_steady();
	return true;
}

/* ----------------------------------------------------------------
 *		How much is under way
 * ----------------------------------------------------------------
 */

#define AIM_US ((uint64) 250 * 1000)	/* that what is under way may take */
#define BODIES_MAX 4			/* asked for at a time, of one peer */
#define BLOCKS_AT_ONCE 200

static uint64
bytes_sent(const FtcContact *c)
{
	uint64		bytes = 0;

	for (int i = 0; i < c->peer.ncalls; i++)
		bytes += c->asked[i].sent;
	return bytes;
}

uint64
ftc_contact_chunk(const FtcContact *c)
{
	uint64		part = ftc_pace_budget(&c->down, AIM_US) / BODIES_MAX;

	return Min(Max(part, FTC_CHUNK_MIN), FTC_CHUNK_MAX);
}

bool
ftc_contact_may_ask(const FtcContact *c)
{
	return ftc_contact_count(c, FTC_ASKED_BODY) < BODIES_MAX;
}

/* Twice the time, as answers to messages wait behind bodies, too. */
static uint64
budget_up(const FtcContact *c)
{
	return ftc_pace_budget(&c->up, 2 * AIM_US);
}

uint64
ftc_contact_room(const FtcContact *c)
{
	uint64		budget = budget_up(c);
	uint64		sent = bytes_sent(c);

	return sent < budget ? budget - sent : 0;
}

/* Not all of it in one call: the peer holds the chain's lock while it takes one. */
uint64
ftc_contact_share(const FtcContact *c)
{
	return Max(budget_up(c) / FTC_PEER_CALLS_MAX, FTC_PACE_MIN);
}

int
ftc_contact_blocks(const FtcContact *c)
{
	uint64		each = c->call.line->block_bytes;

	return each == 0 ? BLOCKS_AT_ONCE : (int) Min(Max(ftc_pace_budget(&c->down, AIM_US) / each, 1), BLOCKS_AT_ONCE);
}

/* Calls under way whose answers may be large. */
static int
count_large(const FtcContact *c)
{
	return ftc_contact_count(c, FTC_ASKED_BODY) + ftc_contact_count(c, FTC_ASKED_BLOCKS);
}

static bool
is_large(const FtcContact *c)
{
	return c->call.kind == FTC_ASKED_BODY || c->call.kind == FTC_ASKED_BLOCKS;
}

static uint64
bytes_of_answer(const FtcContact *c)
{
	int			rows = ftc_peer_rows(c->answer);
	uint64		bytes = 0;

	for (int i = 0; i < rows; i++)
		for (int j = 0; j < 3; j++)
			bytes += ftc_peer_bytes(c->answer, i, j).len;
	return bytes;
}

static void
pace_call(FtcContact *c)
{
	if (is_large(c) && count_large(c) == 1)
		ftc_pace_begin(&c->down, c->call.called_at);
	if (c->call.sent > 0 && bytes_sent(c) == c->call.sent)
		ftc_pace_begin(&c->up, c->call.called_at);
}

static void
pace_answer(FtcContact *c, uint64 took, uint64 now)
{
	if (is_large(c))
		ftc_pace_came(&c->down, bytes_of_answer(c), took, count_large(c) == 0, AIM_US, now);
	else if (c->call.sent > 0)
		ftc_pace_came(&c->up, c->call.sent, took, bytes_sent(c) == 0, 2 * AIM_US, now);
	/* whatever is asked tells how far away it is */
	ftc_pace_took(&c->down, took);
	ftc_pace_took(&c->up, took);
}

void
ftc_contact_note_call(FtcContact *c)
{
	c->asked[c->peer.ncalls - 1] = c->call;
	if (c->call.alone)
		c->call.line->asking = true;
	c->calls++;
	pace_call(c);
}

int
ftc_contact_count(const FtcContact *c, FtcAskedKind kind)
{
	int			n = 0;

	for (int i = 0; i < c->peer.ncalls; i++)
		n += c->asked[i].kind == kind;
	return n;
}

void
ftc_contact_note_answer(FtcContact *c)
{
	uint64		now = ftc_clock_steady();
	uint64		took;

	c->call = c->asked[0];
	memmove(c->asked, c->asked + 1, c->peer.ncalls * sizeof(FtcAsked));
	took = now - c->call.called_at;
	pace_answer(c, took, now);
	if (c->call.alone)
		c->call.line->asking = false;
	c->contact_at = ftc_clock_timestamp();
	c->answered_at = ftc_clock_steady();
	c->failures = 0;
	c->round_trip = c->round_trip == 0 ? took : (7 * c->round_trip + took) / 8;
}

bool
ftc_contact_list(void)
{
	bool		more;

	return ftc_clock_steady() - listed_at <= LIST_EVERY_US || ftc_step_try(list_peers, NULL, &more);
}

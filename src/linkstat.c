/*-------------------------------------------------------------------------
 *
 * linkstat.c
 *	  How links are: what the courier knows of them, for everybody to see.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "area.h"
#include "clock.h"
#include "contact.h"
#include "datum.h"
#include "event.h"
#include "linkstat.h"
#include "message.h"
#include "step.h"
#include "stmt.h"

PG_FUNCTION_INFO_V1(ftchain_link_stats);
PG_FUNCTION_INFO_V1(ftchain_reset_link_stats);

#define SHOW_EVERY_US (50 * 1000)

static const char *const state_names[FTC_LINE_STATES] = {
	[FTC_LINE_CLOSED] = "closed",
	[FTC_LINE_CONNECTING] = "connecting",
	[FTC_LINE_OPEN] = "open",
	[FTC_LINE_HELD] = "held",
	[FTC_LINE_FAILING] = "failing",
	[FTC_LINE_STOPPED] = "stopped",
};

/* Whether a peer can be spoken with, as it is told. */
typedef enum FtcReach
{
	REACH_UNKNOWN,
	REACH_CONNECTED,
	REACH_UNREACHABLE,
	REACH_REFUSING				/* it answers, but not to us */
} FtcReach;

static const char *const reach_names[] = {
	[REACH_UNKNOWN] = NULL,
	[REACH_CONNECTED] = "connected",
	[REACH_UNREACHABLE] = "unreachable",
	[REACH_REFUSING] = "refusing",
};

static FtcStmt chain_name = {
	.sql = "SELECT name FROM ftchain.chain WHERE id = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt topic_name = {
	.sql = "SELECT topic FROM ftchain.stream_out WHERE id = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt reset_links = {
	.sql = "UPDATE ftchain.link_in SET early = 0, gaps = 0, dropped = 0, duplicates = 0, refused = 0, last_reason = NULL"
	" WHERE $1 IS NULL OR member IN (SELECT p.member FROM ftchain.peer p WHERE p.server = $1)",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static FtcStmt reset_streams = {
	.sql = "UPDATE ftchain.stream_in SET early = 0, gaps = 0, dropped = 0, duplicates = 0, refused = 0, last_reason = NULL"
	" WHERE $1 IS NULL OR member IN (SELECT p.member FROM ftchain.peer p WHERE p.server = $1)",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

/* ----------------------------------------------------------------
 *		Showing
 * ----------------------------------------------------------------
 */

static FtcLineState
state_of(const FtcContact *c, const FtcLine *line)
{
	uint64		now = ftc_clock_steady();

	if (line->out.stopped)
		return FTC_LINE_STOPPED;
	if (line->retry_at > now && line->failures > 0)
		return FTC_LINE_FAILING;
	if (c->peer.phase == FTC_PEER_CLOSED)
		return FTC_LINE_CLOSED;
	if (c->peer.phase == FTC_PEER_CONNECTING || !line->greeted)
		return FTC_LINE_CONNECTING;
	return line->not_taken || line->out.sender.hold_until > now ? FTC_LINE_HELD : FTC_LINE_OPEN;
}

static void
gather(const FtcContact *c, const FtcLine *line, FtcLineFacts *facts)
{
	const FtcSender *sender = &line->out.sender;

	/* compared as bytes */
	memset(facts, 0, sizeof(*facts));
	facts->state = state_of(c, line);
	if (sender->window == 0)
		return;					/* nothing was loaded yet */
	facts->epoch = sender->end.epoch;
	facts->base = sender->base;
	facts->sent = sender->fresh - 1;
	facts->window = sender->window;
	facts->round_trip = sender->rtt.smoothed;
	facts->timeout = ftc_rtt_timeout(&sender->rtt);
	facts->lacks = line->out.stopped ? line->out.lacks : 0;
	facts->in_flight = ftc_sender_in_flight(sender);
	StaticAssertStmt(lengthof(facts->flight) == lengthof(sender->flight), "each segment has a place");
	for (facts->n = 0; facts->n < sender->n; facts->n++)
	{
		FtcFlightSlot *flight = &facts->flight[facts->n];
		const FtcSegment *segment = &sender->flight[facts->n];

		flight->first = segment->first;
		flight->next = segment->next;
		flight->has_come = segment->has_come;
		flight->lost = segment->lost;
	}
}

/* The place of a line; of one that is new a free one, or of a peer that is no more. */
static FtcLineSlot *
find_slot(FtcArea *area, const FtcContact *c, const FtcLine *line)
{
	FtcLineSlot *unused = NULL;

	for (int i = 0; i < FTC_AREA_LINES; i++)
	{
		FtcLineSlot *slot = &area->line[i];

		if (slot->chain == line->chain && slot->stream == line->stream &&
			strcmp(slot->server, c->peer.server) == 0)
			return slot;
		if (unused == NULL && (slot->server[0] == '\0' || ftc_contact_find(slot->server) == NULL))
			unused = slot;
	}
	if (unused == NULL)
		return NULL;
	memset(unused, 0, sizeof(*unused));
	strlcpy(unused->server, c->peer.server, sizeof(unused->server));
	unused->chain = line->chain;
	unused->stream = line->stream;
	return unused;
}

/* What another courier had counted before. */
static void
take_over(FtcLine *line)
{
	FtcLineCounts since = line->counts;

	line->counts = line->shown->counts;
	line->resets = line->shown->resets;
	if (since.last_error_at == 0)
		return;
	line->counts.last_error_at = since.last_error_at;
	strcpy(line->counts.last_error, since.last_error);
}

static void
count(FtcLine *line)
{
	FtcLineCounts *counts = &line->counts;
	FtcOutLink *out = &line->out;

	/* what came since it was last shown may well have come after a reset */
	if (line->resets != line->shown->resets)
		memset(counts, 0, sizeof(*counts));
	counts->repeated += out->repeated;
	counts->failed += out->sender.failed;
	counts->timeouts += out->sender.timeouts;
	counts->bytes += out->sender.bytes;
	counts->fate.early += out->sender.fate.early;
	counts->fate.duplicates += out->sender.fate.duplicates;
	counts->fate.dropped += out->sender.fate.dropped;
	counts->fate.refused += out->sender.fate.refused;
	out->repeated = out->sender.failed = out->sender.timeouts = out->sender.bytes = 0;
	memset(&out->sender.fate, 0, sizeof(out->sender.fate));
	line->resets = line->shown->resets;
	line->shown->counts = *counts;
}

static void
show_line(FtcArea *area, const FtcContact *c, FtcLine *line)
{
	FtcLineFacts facts;

	gather(c, line, &facts);
	if (line->shown != NULL && memcmp(&facts, &line->shown->facts, sizeof(facts)) == 0 &&
		line->resets == line->shown->resets && line->counts.last_error_at == line->shown->counts.last_error_at)
		return;
	LWLockAcquire(&area->lock, LW_EXCLUSIVE);
	if (line->shown == NULL && (line->shown = find_slot(area, c, line)) != NULL)
		take_over(line);
	if (line->shown != NULL)
	{
		line->shown->facts = facts;
		count(line);
	}
	LWLockRelease(&area->lock);
}

/* ----------------------------------------------------------------
 *		Telling
 * ----------------------------------------------------------------
 */

/* That the connection is gone, or back, is told of the peer. */
static bool
is_news(const FtcLine *line)
{
	FtcLineState state = line->shown->facts.state;
	FtcLineState told = line->shown->told;

	if (state == FTC_LINE_CLOSED || state == FTC_LINE_CONNECTING || state == told)
		return false;
	/* it is open to begin with */
	return state != FTC_LINE_OPEN || told != FTC_LINE_CLOSED;
}

static void
tell_line(const FtcContact *c, FtcLine *line)
{
	bool		ledger = line->stream == FTC_STREAM_LEDGER;
	FtcLineState told = line->shown->told;
	uint64		n = ledger ? ftc_run(&chain_name, Int32GetDatum(line->chain))
	: ftc_run(&topic_name, Int32GetDatum(line->stream));
	char	   *name = n > 0 ? TextDatumGetCString(ftc_value(0, 0)) : NULL;

	FtcLineState state = line->shown->facts.state;
	bool		error = state != FTC_LINE_OPEN && line->counts.last_error_at != 0;

	FTC_EVENT("link", FTC_EVENT_TEXT("server", c->peer.server),
			  FTC_EVENT_TEXT("chain", ledger ? name : NULL), FTC_EVENT_TEXT("topic", ledger ? NULL : name),
			  FTC_EVENT_TEXT("old", told == FTC_LINE_CLOSED ? NULL : state_names[told]),
			  FTC_EVENT_TEXT("new", state_names[state]),
			  FTC_EVENT_TEXT("error", error ? line->counts.last_error : NULL));
	line->shown->told = state;
}

/* One failure may be that of a connection that was cut: it is tried again at once. */
static FtcReach
reach_of(const FtcContact *c)
{
	if (c->peer.phase == FTC_PEER_IDLE || c->peer.phase == FTC_PEER_BUSY)
		return REACH_CONNECTED;
	if (c->failures < 2)
		return REACH_UNKNOWN;
	return c->refuses ? REACH_REFUSING : REACH_UNREACHABLE;
}

static bool
is_peer_news(const FtcPeerSlot *slot, const FtcContact *c)
{
	FtcReach	reach = reach_of(c);

	return reach != REACH_UNKNOWN && (int) reach != slot->told;
}

static void
tell_peer(FtcPeerSlot *slot, const FtcContact *c)
{
	FtcReach	reach = reach_of(c);

	FTC_EVENT("peer", FTC_EVENT_TEXT("server", c->peer.server),
			  FTC_EVENT_TEXT("old", reach_names[slot->told]), FTC_EVENT_TEXT("new", reach_names[reach]),
			  FTC_EVENT_TEXT("error", reach == REACH_CONNECTED || c->last_error[0] == '\0' ? NULL : c->last_error));
	slot->told = reach;
}

/* True if there is news; with tell it is told. */
static bool
look_for_news(FtcDatabaseSlot *database, bool tell)
{
	bool		any = false;
	ListCell   *cell;

	for (int i = 0; i < FTC_SHARED_PEERS; i++)
	{
		const FtcContact *c = ftc_contacts[i];

		if (c == NULL)
			continue;
		if (is_peer_news(&database->peer[i], c))
		{
			any = true;
			if (tell)
				tell_peer(&database->peer[i], c);
		}
		foreach(cell, c->lines)
		{
			FtcLine    *line = lfirst(cell);

			if (line->shown == NULL || !is_news(line))
				continue;
			any = true;
			if (tell)
				tell_line(c, line);
		}
	}
	return any;
}

static bool
tell_news(void *arg)
{
	FtcScope	scope;

	if (!ftc_step_begin("telling what has changed"))
		return false;
	ftc_enter(&scope);
	(void) look_for_news(arg, true);
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

void
ftc_linkstat_show(bool at_rest)
{
	static uint64 shown_at = 0;
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);
	FtcArea    *area;
	ListCell   *cell;
	bool		more;

	if (!at_rest && ftc_clock_steady() - shown_at < SHOW_EVERY_US)
		return;
	shown_at = ftc_clock_steady();
	area = ftc_area(true);
	if (area == NULL || database == NULL)
		return;
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (ftc_contacts[i] != NULL)
			foreach(cell, ftc_contacts[i]->lines)
				show_line(area, ftc_contacts[i], lfirst(cell));
	if (look_for_news(database, false))
		(void) ftc_step_try(tell_news, database, &more);
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

static Datum
interval_of(uint64 us, bool *isnull)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = (int64) us;
	*isnull = us == 0;
	return IntervalPGetDatum(interval);
}

static Datum
timestamp_of(TimestampTz at, bool *isnull)
{
	*isnull = at == 0;
	return TimestampTzGetDatum(at);
}

/* Is there a courier that could know? */
static bool
is_courier_there(void)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);
	bool		there;

	if (database == NULL)
		return false;
	LWLockAcquire(&s->lock, LW_SHARED);
	there = database->worker[FTC_WORKER_COURIER].process.pid > 0;
	LWLockRelease(&s->lock);
	return there;
}

static int64
messages_in_flight(const FtcLineFacts *facts)
{
	int64		n = 0;

	for (int i = 0; i < facts->n; i++)
		if (!facts->flight[i].has_come && !facts->flight[i].lost)
			n += facts->flight[i].next - facts->flight[i].first;
	return n;
}

/* Without a courier nothing is under way, and nothing is open. */
static FtcLineSlot
copy_slot(FtcArea *area, int i, bool courier)
{
	FtcLineSlot slot;

	LWLockAcquire(&area->lock, LW_SHARED);
	slot = area->line[i];
	LWLockRelease(&area->lock);
	if (courier)
		return slot;
	slot.facts.n = 0;
	slot.facts.in_flight = 0;
	if (slot.facts.state != FTC_LINE_STOPPED)
		slot.facts.state = FTC_LINE_CLOSED;
	return slot;
}

bool
ftc_linkstat_facts(const char *server, int32 chain, int stream, FtcLineFacts *facts)
{
	FtcArea    *area = ftc_area(false);
	bool		courier = is_courier_there();

	for (int i = 0; area != NULL && i < FTC_AREA_LINES; i++)
	{
		FtcLineSlot slot = copy_slot(area, i, courier);

		if (slot.chain != chain || slot.stream != stream || strcmp(slot.server, server) != 0)
			continue;
		*facts = slot.facts;
		return true;
	}
	return false;
}

/* Columns retransmits to last_error_at. */
static void
put_counts(const FtcLineCounts *counts, Datum *values, bool *nulls)
{
	values[0] = Int64GetDatum((int64) counts->repeated);
	values[1] = Int64GetDatum((int64) counts->failed);
	values[2] = Int64GetDatum((int64) counts->timeouts);
	values[3] = Int64GetDatum((int64) counts->bytes);
	values[4] = Int64GetDatum((int64) counts->fate.early);
	values[5] = Int64GetDatum((int64) counts->fate.duplicates);
	values[6] = Int64GetDatum((int64) counts->fate.dropped);
	values[7] = Int64GetDatum((int64) counts->fate.refused);
	values[8] = CStringGetTextDatum(counts->last_error);
	values[9] = timestamp_of(counts->last_error_at, &nulls[9]);
	nulls[8] = nulls[9];
}

Datum
ftchain_link_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	FtcArea    *area = ftc_area(false);
	bool		courier = is_courier_there();

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; area != NULL && i < FTC_AREA_LINES; i++)
	{
		FtcLineSlot slot = copy_slot(area, i, courier);
		Datum		values[21];
		bool		nulls[21] = {false};

		if (slot.server[0] == '\0')
			continue;
		values[0] = CStringGetTextDatum(slot.server);
		values[1] = Int32GetDatum(slot.chain);
		nulls[1] = slot.chain == 0;
		values[2] = Int32GetDatum(slot.stream);
		values[3] = CStringGetTextDatum(state_names[slot.facts.state]);
		values[4] = Int64GetDatum((int64) slot.facts.sent);
		values[5] = Int64GetDatum(messages_in_flight(&slot.facts));
		values[6] = Int64GetDatum((int64) slot.facts.in_flight);
		values[7] = Int64GetDatum((int64) slot.facts.window);
		nulls[4] = nulls[7] = slot.facts.epoch == 0;
		values[8] = interval_of(slot.facts.round_trip, &nulls[8]);
		values[9] = interval_of(slot.facts.timeout, &nulls[9]);
		put_counts(&slot.counts, values + 10, nulls + 10);
		values[20] = timestamp_of(slot.reset_at, &nulls[20]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* The courier takes note of it when it shows the line the next time. */
static void
reset_slots(FtcArea *area, const char *server)
{
	LWLockAcquire(&area->lock, LW_EXCLUSIVE);
	for (int i = 0; i < FTC_AREA_LINES; i++)
	{
		FtcLineSlot *slot = &area->line[i];

		if (slot->server[0] == '\0' || (server != NULL && strcmp(slot->server, server) != 0))
			continue;
		memset(&slot->counts, 0, sizeof(slot->counts));
		slot->resets++;
		slot->reset_at = ftc_clock_timestamp();
	}
	LWLockRelease(&area->lock);
}

Datum
ftchain_reset_link_stats(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcArea    *area = ftc_area(false);
	bool		all = PG_ARGISNULL(0);
	Datum		server = all ? (Datum) 0 : PG_GETARG_DATUM(0);

	ftc_enter(&scope);
	ftc_stmt_run(&reset_links, &server, &all);
	ftc_stmt_run(&reset_streams, &server, &all);
	ftc_leave(&scope);
	if (area != NULL)
		reset_slots(area, all ? NULL : TextDatumGetCString(server));
	PG_RETURN_VOID();
}

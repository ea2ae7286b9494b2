/*-------------------------------------------------------------------------
 *
 * watch.c
 *	  Whether peers are there: what the courier hears of them.
 *
 * A sign of life is an answer to a call, or that the peer has said here that it is
 * there, signed (twin.c): one way is enough.  The calls that are made anyway, every
 * heartbeat, are the probes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "contact.h"
#include "datum.h"
#include "event.h"
#include "guc.h"
#include "step.h"
#include "stmt.h"
#include "store.h"
#include "twin.h"
#include "wake.h"
#include "watch.h"

#define LOOK_EVERY_US (200 * 1000)
#define ASLEEP_US (5 * USECS_PER_SEC)	/* the courier looks oftener than that */

static FtcStmt health_all = {
	.sql = "SELECT member, state FROM ftchain.peer_health",
};

static FtcStmt health_put = {
	.sql = "INSERT INTO ftchain.peer_health (member, state, heard) VALUES ($1, $2, $3)"
	" ON CONFLICT (member) DO UPDATE SET state = excluded.state, since = now(), heard = excluded.heard,"
	" away = CASE WHEN excluded.state IN ('down', 'out') OR ftchain.peer_health.state IN ('down', 'out') THEN now()"
	" ELSE ftchain.peer_health.away END",
	.nargs = 3,
	.argtypes = {BYTEAOID, TEXTOID, TIMESTAMPTZOID},
};

/* Of who is no peer any more nothing is known. */
static FtcStmt health_drop = {
	.sql = "DELETE FROM ftchain.peer_health h WHERE NOT EXISTS (SELECT FROM ftchain.peer p WHERE p.member = h.member)",
};

/* Nobody has seen what was meanwhile. */
static FtcStmt health_not_seen = {
	.sql = "UPDATE ftchain.peer_health SET away = now() WHERE member = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static uint64 looked_at = 0;

static FtcHealthLimits
limits(void)
{
	FtcHealthLimits found = {
		.heartbeat = (uint64) ftc_guc_heartbeat * 1000,
		.down = (uint64) ftc_guc_down_after * 1000,
		.grace = ftc_guc_out_after < 0 ? PG_UINT64_MAX : (uint64) ftc_guc_out_after * USECS_PER_SEC
	};

	return found;
}

/* Has it taken all that waited for it, and given all that it should? */
static bool
is_drained(const FtcContact *c)
{
	ListCell   *cell;
	bool		any = false;

	if (c->peer.phase != FTC_PEER_IDLE && c->peer.phase != FTC_PEER_BUSY)
		return false;
	foreach(cell, c->lines)
	{
		const FtcLine *line = lfirst(cell);

		/* it need not be in each chain that is here */
		if (!line->greeted && line->failures > 0)
			continue;
		if (!line->greeted || line->behind || !line->synced)
			return false;
		any = true;
	}
	return any;
}

/* As it was when this courier began, or another one ended. */
static bool
recall(void *arg)
{
	FtcScope	scope;
	uint64		now = ftc_clock_steady();
	FtcHash		seen[FTC_SHARED_PEERS];
	int			nseen = 0;
	uint64		n;

	if (!ftc_step_begin("recalling who is there"))
		return false;
	ftc_enter(&scope);
	ftc_run(&health_drop, 0);
	n = ftc_run(&health_all, 0);
	for (uint64 i = 0; i < n; i++)
	{
		FtcHash		member = ftc_hash_value(i, 0);
		FtcHealthState state;

		if (!ftc_health_of_name(TextDatumGetCString(ftc_value(i, 1)), &state))
			continue;
		for (int j = 0; j < FTC_SHARED_PEERS && nseen < FTC_SHARED_PEERS; j++)
			if (ftc_contacts[j] != NULL && ftc_contacts[j]->health_told == FTC_HEALTH_UNKNOWN &&
				ftc_hash_equal(&ftc_contacts[j]->peer.member, &member))
			{
				ftc_health_recall(&ftc_contacts[j]->health, state, now);
				ftc_contacts[j]->health_told = state;
				seen[nseen++] = member;
			}
	}
	for (int i = 0; i < nseen; i++)
		ftc_run(&health_not_seen, ftc_hash_datum(&seen[i]));
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

static bool
is_news(const FtcContact *c)
{
	return c != NULL && c->health.state != c->health_told && c->health.state != FTC_HEALTH_UNKNOWN;
}

static void
write_down(FtcContact *c)
{
	FtcHealthState was = c->health_told;
	FtcHealthState is = c->health.state;
	uint64		silence = ftc_clock_steady() - c->health.heard_at;
	TimestampTz heard = ftc_clock_timestamp() - (TimestampTz) silence;

	ftc_run(&health_put, ftc_hash_datum(&c->peer.member), CStringGetTextDatum(ftc_health_name(is)),
			TimestampTzGetDatum(heard));
	FTC_EVENT("health", FTC_EVENT_TEXT("server", c->peer.server), FTC_EVENT_TEXT("member", ftc_hash_hex(&c->peer.member)),
			  FTC_EVENT_TEXT("old", ftc_health_name(was)), FTC_EVENT_TEXT("new", ftc_health_name(is)));
	if (is == FTC_HEALTH_OUT)
		ftc_store_incident(0, "member out", -1, NULL, &c->peer.member,
						   psprintf("server \"%s\" has been silent for %lld s: its copies are made anew elsewhere",
									c->peer.server, (long long) (silence / USECS_PER_SEC)));
	else if (is == FTC_HEALTH_RETURNED)
		ftc_store_incident(0, "member returned", -1, NULL, &c->peer.member,
						   psprintf("server \"%s\" is heard again", c->peer.server));
	/* copies are made elsewhere, or need not be any more */
	if (is == FTC_HEALTH_OUT || was == FTC_HEALTH_OUT)
		ftc_wake_at_commit(FTC_WAKE_KEEPER);
}

static bool
tell(void *arg)
{
	FtcScope	scope;

	if (!ftc_step_begin("telling who is there"))
		return false;
	ftc_enter(&scope);
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (is_news(ftc_contacts[i]))
			write_down(ftc_contacts[i]);
	ftc_leave(&scope);
	ftc_step_end();
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (is_news(ftc_contacts[i]))
			ftc_contacts[i]->health_told = ftc_contacts[i]->health.state;
	return false;
}

static void
look_at(FtcContact *c, const FtcHealthLimits *l, uint64 slept, uint64 now)
{
	uint64		here_at = ftc_twin_heard_at(&c->peer.member);

	if (slept > 0 && c->health.heard_at > 0)
		ftc_health_slept(&c->health, slept);

	/* whoever is back can be spoken with, whatever it was like before */
	if (here_at > c->health.heard_at && c->peer.phase == FTC_PEER_CLOSED &&
		(c->health.state == FTC_HEALTH_DOWN || c->health.state == FTC_HEALTH_OUT))
		c->retry_at = Min(c->retry_at, now);
	ftc_health_hear(&c->health, c->answered_at);
	ftc_health_hear(&c->health, here_at);
	ftc_health_look(&c->health, l, is_drained(c), now);
}

void
ftc_watch_turn(void)
{
	uint64		now = ftc_clock_steady();
	uint64		pause = looked_at == 0 ? 0 : now - looked_at;
	FtcHealthLimits l = limits();
	bool		news = false;
	bool		more;

	if (looked_at != 0 && pause < LOOK_EVERY_US)
		return;
	if (looked_at == 0)
		(void) ftc_step_try(recall, NULL, &more);
	looked_at = now;
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (ftc_contacts[i] != NULL)
		{
			look_at(ftc_contacts[i], &l, pause > ASLEEP_US ? pause : 0, now);
			news |= is_news(ftc_contacts[i]);
		}
	if (news)
		(void) ftc_step_try(tell, NULL, &more);
}

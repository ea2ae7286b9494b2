/*-------------------------------------------------------------------------
 *
 * health.c
 *	  Whether another member is there.
 *
 *-------------------------------------------------------------------------
 */
#include "health.h"

#include <string.h>

static const char *const names[FTC_HEALTH_STATES] = {"unknown", "up", "suspect", "down", "out", "returned"};

const char *
ftc_health_name(FtcHealthState state)
{
	return names[state];
}

bool
ftc_health_of_name(const char *name, FtcHealthState *state)
{
	for (int i = 0; i < FTC_HEALTH_STATES; i++)
		if (strcmp(name, names[i]) == 0)
		{
			*state = (FtcHealthState) i;
			return true;
		}
	return false;
}

static bool
is_heard(FtcHealthState state)
{
	return state == FTC_HEALTH_UP || state == FTC_HEALTH_SUSPECT || state == FTC_HEALTH_RETURNED;
}

static void
set_state(FtcHealth *health, FtcHealthState state, uint64_t at)
{
	health->state = state;
	health->since = at;
}

/* As in RFC 6298; the silence of one that was away is not usual. */
static void
learn(FtcHealth *health, uint64_t gap)
{
	uint64_t	off = gap > health->gap ? gap - health->gap : health->gap - gap;

	if (health->gap == 0)
	{
		health->gap = gap;
		health->deviation = gap / 2;
		return;
	}
	health->deviation = (3 * health->deviation + off) / 4;
	health->gap = (7 * health->gap + gap) / 8;
}

void
ftc_health_hear(FtcHealth *health, uint64_t at)
{
	bool		was_out = health->state == FTC_HEALTH_OUT;

	/* signs may be told late, out of order, and again */
	if (at <= health->heard_at)
		return;
	if (is_heard(health->state))
		learn(health, at - health->heard_at);
	health->heard_at = at;
	if (was_out)
		set_state(health, FTC_HEALTH_RETURNED, at);
	else if (health->state != FTC_HEALTH_UP && health->state != FTC_HEALTH_RETURNED)
		set_state(health, FTC_HEALTH_UP, at);
}

void
ftc_health_slept(FtcHealth *health, uint64_t us)
{
	health->heard_at += us;
	if (health->state == FTC_HEALTH_DOWN)
		health->since += us;
}

uint64_t
ftc_health_suspicion(const FtcHealth *health, const FtcHealthLimits *limits)
{
	uint64_t	usual = health->gap + 4 * health->deviation + limits->heartbeat;
	uint64_t	least = 2 * limits->heartbeat;
	uint64_t	most = limits->down;

	usual = usual > least ? usual : least;
	return health->heard_at + (usual < most ? usual : most);
}

/* What its silence makes of it. */
static FtcHealthState
judge(const FtcHealth *health, const FtcHealthLimits *limits, bool drained, uint64_t now)
{
	uint64_t	silence = now > health->heard_at ? now - health->heard_at : 0;

	if (health->state == FTC_HEALTH_OUT)
		return FTC_HEALTH_OUT;
	if (health->state == FTC_HEALTH_DOWN)
		return now - health->since >= limits->grace ? FTC_HEALTH_OUT : FTC_HEALTH_DOWN;
	if (silence >= limits->down)
		return FTC_HEALTH_DOWN;
	if (health->state == FTC_HEALTH_UNKNOWN)
		return FTC_HEALTH_UNKNOWN;
	if (health->state == FTC_HEALTH_RETURNED)
		return drained ? FTC_HEALTH_UP : FTC_HEALTH_RETURNED;
	return now >= ftc_health_suspicion(health, limits) ? FTC_HEALTH_SUSPECT : FTC_HEALTH_UP;
}

void
ftc_health_look(FtcHealth *health, const FtcHealthLimits *limits, bool drained, uint64_t now)
{
	FtcHealthState state;

	if (health->heard_at == 0)
	{
		health->heard_at = now;
		health->since = now;
	}
	state = judge(health, limits, drained, now);
	if (state != health->state)
		set_state(health, state, now);
}

/* Only who was out is still: of the others nothing is known now. */
void
ftc_health_recall(FtcHealth *health, FtcHealthState state, uint64_t now)
{
	memset(health, 0, sizeof(*health));
	health->heard_at = now;
	set_state(health, state == FTC_HEALTH_OUT || state == FTC_HEALTH_RETURNED ? state : FTC_HEALTH_UNKNOWN, now);
}

bool
ftc_health_may_move(uint32_t members, uint32_t out)
{
	return out > 0 && (uint64_t) out * 3 <= members;
}

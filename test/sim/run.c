/*-------------------------------------------------------------------------
 *
 * run.c
 *	  One seed: a while with faults, and then a while without, in which all must
 *	  come to agree.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

static void
plan_append(World *w, uint32_t member)
{
	plan(w, EVENT_APPEND, member, w->now + random_wait(&w->chance_mine, w->settings.append_mean), 0);
}

/* What a member does goes on in the same transaction; then it looks around. */
static void
handle_at(Member *m, const Event *event)
{
	World	   *w = m->world;

	switch (event->kind)
	{
		case EVENT_PACKET:
			courier_take(m, event->packet);
			break;
		case EVENT_LINE:
			courier_timer(m, (uint32_t) event->what, event->time);
			break;
		case EVENT_MINED:
			sealer_mined(m, event->what);
			break;
		case EVENT_APPEND:
			if (!w->quiet)
				sealer_append(m);
			break;
		default:
			break;
	}
	sealer_look(m);
	selfish_look(m);
	if (m->look)
		courier_look(m);
}

static void
handle(World *w, const Event *event)
{
	Member	   *m = &w->members[event->member];

	w->sights.events++;
	if (event->kind == EVENT_FAULT)
		faults_step(w, event->member, event->what);
	else if (event->kind == EVENT_PEACE)
	{
		oracle_moves(w);
		faults_end(w);
	}
	else
	{
		if (event->kind == EVENT_APPEND)
			plan_append(w, m->no);
		if (m->up)
			handle_at(m, event);
		if (m->mute)
		{
			/* it has committed, and nothing of it has left */
			see(w, SIGHT_LATE_CRASH);
			crash(m, random_between(&w->chance_fault, 1, 10000) * MS);
		}
		oracle_look(m);
	}
	free(event->packet);
}

void
run_until(World *w, uint64_t time)
{
	Event		event;

	while (w->failure[0] == '\0' && w->queue.n > 0 && w->queue.events[0].time <= time)
	{
		(void) queue_take(&w->queue, &event);
		w->now = event.time;
		handle(w, &event);
	}
	w->now = Max(w->now, time);
}

void
run_begin(World *w)
{
	for (uint32_t i = 0; i < (uint32_t) w->nmembers; i++)
	{
		if (i < (uint32_t) w->settings.appenders && !w->settings.busy)
			plan_append(w, i);
		courier_look(&w->members[i]);
		sealer_look(&w->members[i]);
	}
	faults_begin(w);
	plan(w, EVENT_PEACE, 0, w->settings.duration, 0);
}

/* Branches below the limit are for an operator, and keep members apart. */
static bool
is_for_operator(const World *w)
{
	for (int i = 0; i < w->nmembers; i++)
		if (w->members[i].deep > 0 && w->settings.fault[FAULT_SHALLOW])
			return true;
	return false;
}

#define QUIET_AFTER (60 * SECOND)
#define OPERATOR_AFTER (3 * MINUTE)
#define REST (20 * SECOND)

/* Who agrees has nothing more to do: ties are closed, and then it is quiet. */
static void
must_rest(World *w)
{
	for (int i = 0; i < 20 && w->failure[0] == '\0'; i++)
	{
		uint32_t	blocks = w->nblocks;

		run_until(w, w->now + REST);
		if (w->nblocks == blocks)
			return;
	}
	world_fail(w, "blocks are made for ever, although nothing waits");
}

static void
must_agree(World *w)
{
	uint64_t	end;

	run_until(w, w->settings.duration + QUIET_AFTER);
	w->quiet = true;
	end = w->now + w->settings.grace;
	while (w->failure[0] == '\0' && w->now < end)
	{
		if (oracle_agreed(w, false))
		{
			must_rest(w);
			return;
		}
		if (is_for_operator(w) && w->now > w->settings.duration + OPERATOR_AFTER)
			return;
		run_until(w, w->now + 1 * SECOND);
	}
	(void) oracle_agreed(w, true);
}

World *
run_world(const Settings *settings, bool tracing, bool printing)
{
	World	   *w = world_new(settings, tracing, printing);

	run_begin(w);
	must_agree(w);
	return w;
}

Outcome
run_seed(const Settings *settings, bool printing)
{
	World	   *w = run_world(settings, printing, printing);
	Outcome		outcome = {.passed = w->failure[0] == '\0',.sights = w->sights,.time = w->now};

	memcpy(outcome.failure, w->failure, sizeof(outcome.failure));
	world_free(w);
	return outcome;
}

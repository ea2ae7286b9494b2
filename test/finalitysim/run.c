/*-------------------------------------------------------------------------
 *
 * run.c
 *	  One seed: a while with faults, and then a while without, in which all must
 *	  get final.
 *
 *-------------------------------------------------------------------------
 */
#include "finalitysim.h"

static void
take_packet(Node *n, const Packet *packet)
{
	switch (packet->kind)
	{
		case PACKET_BLOCK:
			node_block(n, packet->what, packet->certificate, packet->from);
			break;
		case PACKET_BALLOT:
			node_ballot(n, packet->what);
			break;
		case PACKET_CERTIFICATE:
			node_certificate(n, packet->what);
			break;
		case PACKET_EVIDENCE:
			node_evidence(n, packet->what);
			break;
		case PACKET_HELLO:
			node_hello(n, packet->from);
			break;
	}
}

static void
tick(Node *n, uint64_t ticks)
{
	World	   *w = n->world;

	if (ticks != n->ticks)
		return;
	if (!w->quiet && n->no == 0 && random_chance(&w->chance_work, w->settings.busy))
		w->appended++;
	node_plan_tick(n);
	node_tick(n, ftc_slot_at(&w->settings.slots, clock_of(n)));
}

static void
handle(World *w, const Event *event)
{
	Node	   *n = &w->nodes[event->member];

	w->sights.events++;
	switch ((EventKind) event->kind)
	{
		case EVENT_FAULT:
			faults_step(w, event->member, event->what);
			break;
		case EVENT_PEACE:
			faults_end(w);
			break;
		case EVENT_START:
			if (!n->up)
				node_start(n);
			break;
		case EVENT_PACKET:
			if (n->up)
				take_packet(n, event->packet);
			break;
		case EVENT_TICK:
			if (n->up)
				tick(n, event->what);
			break;
		case EVENT_RELEASE:
			if (n->up)
				liar_release(n, (uint32_t) event->what);
			break;
	}
	if (n->mute && n->up && (event->kind == EVENT_PACKET || event->kind == EVENT_TICK))
	{
		/* it has committed, and nothing of it has left */
		see(w, SIGHT_LATE_CRASH);
		crash(n, random_between(&w->chance_fault, 1, 8000) * MS);
	}
	oracle_look(n);
	free(event->packet);
}

static void
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

/* Nothing waits, and all is final: then no honest node makes blocks. */
static void
must_rest(World *w)
{
	const Settings *s = &w->settings;

	for (int i = 0; i < 30 && w->failure[0] == '\0'; i++)
	{
		uint32_t	blocks = w->nblocks;

		run_until(w, w->now + 10 * s->slots.length);
		if (w->nblocks == blocks)
		{
			see(w, SIGHT_RESTED);
			return;
		}
	}
	if (s->liars == 0)
		world_fail(w, "blocks are made for ever, although nothing waits");
}

/*
 * How long after the last fault: two honest proposers in a row come soon, and the
 * more of the weight is honest, the sooner; a hand-over takes some epochs.
 */
static uint64_t
bound_of(const Settings *s)
{
	return (80 + 4 * (uint64_t) s->identities + 6 * s->slots.per_epoch) * s->slots.length;
}

static void
must_agree(World *w)
{
	const Settings *s = &w->settings;
	uint64_t	end;

	run_until(w, (s->slots_long + 20) * s->slots.length);
	w->quiet = true;
	end = w->now + bound_of(s);
	while (w->failure[0] == '\0' && w->now < end)
	{
		if (oracle_agreed(w, false))
		{
			must_rest(w);
			break;
		}
		run_until(w, w->now + s->slots.length);
	}
	if (w->failure[0] == '\0')
		(void) oracle_agreed(w, true);
	if (w->failure[0] == '\0')
		oracle_end(w);
}

World *
run_world(const Settings *settings, bool tracing, bool printing)
{
	World	   *w = world_new(settings, tracing, printing);

	faults_begin(w);
	for (uint32_t i = 0; i < w->nnodes; i++)
		node_plan_tick(&w->nodes[i]);
	plan(w, EVENT_PEACE, 0, settings->slots_long * settings->slots.length, 0);
	must_agree(w);
	return w;
}

Result
run_seed(const Settings *settings, bool printing)
{
	World	   *w = run_world(settings, printing, printing);
	Result		result = {.passed = w->failure[0] == '\0',.sights = w->sights};

	memcpy(result.failure, w->failure, sizeof(result.failure));
	world_free(w);
	return result;
}

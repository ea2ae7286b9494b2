/*-------------------------------------------------------------------------
 *
 * faults.c
 *	  What goes wrong: partitions, crashes, restored backups.
 *
 *-------------------------------------------------------------------------
 */
#include "finalitysim.h"

typedef enum Step
{
	STEP_PARTITION,
	STEP_HEAL,
	STEP_CRASH,
	STEP_BACKUP,
	STEP_RESTORE
} Step;

static uint64_t
soon(World *w, uint64_t slots)
{
	return w->now + random_between(&w->chance_fault, 1, slots * w->settings.slots.length);
}

/* Two or three groups; who lies may be in all of them. */
static void
part(World *w)
{
	uint8_t		group[NODES_MAX];
	uint64_t	groups = random_between(&w->chance_fault, 2, 3);
	bool		bridged = random_chance(&w->chance_fault, 600);
	bool		one_way = random_chance(&w->chance_fault, 150);

	for (uint32_t i = 0; i < w->nnodes; i++)
		group[i] = (uint8_t) random_below(&w->chance_fault, groups);
	/* the nodes of one key are on two sides */
	for (uint32_t i = 1; i < w->nnodes; i++)
		if (w->nodes[i].identity == w->nodes[i - 1].identity)
			group[i] = (uint8_t) ((group[i - 1] + 1) % groups);
	for (uint32_t i = 0; i < w->nnodes; i++)
		for (uint32_t j = 0; j < w->nnodes; j++)
			w->cut[i * w->nnodes + j] = group[i] != group[j] && (!one_way || group[i] < group[j]) &&
				!(bridged && (w->nodes[i].lies || w->nodes[j].lies));
	w->parted = true;
	trace(w, "a partition");
}

static void
heal(World *w)
{
	memset(w->cut, 0, (size_t) w->nnodes * w->nnodes);
	w->parted = false;
	trace(w, "no partition");
}

void
crash(Node *n, uint64_t down)
{
	n->up = false;
	n->mute = false;
	n->ticks++;
	plan(n->world, EVENT_START, n->no, n->world->now + down, 0);
}

/*
 * How much of the weight is watching, lies, or is about to watch; a third of it
 * would stop the chain.
 */
static bool
can_restore(World *w, const Node *candidate)
{
	uint64_t	away[IDENTITIES_MAX] = {0};
	uint64_t	sum = 0;
	uint64_t	all = 0;

	for (uint32_t i = 0; i < w->nnodes; i++)
	{
		const Node *n = &w->nodes[i];

		away[n->identity] |= n->lies || w->identities[n->identity].twin || n->d.guard > 0 || n == candidate ||
			n->skew > (int64_t) (1000 * SECOND) || n->skew < -(int64_t) (1000 * SECOND);
	}
	for (uint32_t i = 0; i < (uint32_t) w->nidentities; i++)
	{
		uint64_t	weight = Max(w->identities[i].weight, weight_wanted(w, ~UINT64_C(0) >> 32, i));

		all += Min(w->identities[i].weight, weight_wanted(w, ~UINT64_C(0) >> 32, i));
		sum += away[i] ? weight : 0;
	}
	return 3 * sum < all;
}

static void
back_up(World *w, Node *n)
{
	if (n->backup == NULL)
	{
		n->backup = malloc(sizeof(Durable));
		*n->backup = durable_new();
	}
	durable_copy(w, n->backup, &n->d);
	plan(w, EVENT_FAULT, n->no, soon(w, 40), STEP_RESTORE);
}

/* It is what it was; but what it may have signed since is guarded. */
static void
restore(World *w, Node *n)
{
	if (n->backup == NULL || !can_restore(w, n))
		return;
	memset(n->d.known, 0, w->nblocks);
	memset(n->d.certificates, 0, w->nblocks * sizeof(*n->d.certificates));
	memset(n->d.votes, 0, w->nblocks * sizeof(*n->d.votes));
	durable_copy(w, &n->d, n->backup);
	n->d.guard = ftc_slot_most(&w->settings.slots, clock_of(n));
	ftc_sign_state_guard(&n->d.signed_for, n->d.guard);
	n->was_restored = true;
	n->seen_head = n->d.head;
	n->seen_view = n->d.view;
	for (int i = 0; i < w->nidentities; i++)
	{
		n->nheard[i] = 0;
		n->top_target[i] = n->top_source[i] = 0;
	}
	see(w, SIGHT_GUARDED);
	trace(w, "%u is restored, guard %llu", n->no, (unsigned long long) n->d.guard);
	crash(n, random_between(&w->chance_fault, 1, 3000) * MS);
}

void
faults_step(World *w, uint32_t node, uint64_t what)
{
	Node	   *n = &w->nodes[node];
	uint32_t	other = (uint32_t) random_below(&w->chance_fault, w->nnodes);

	if (w->peace)
		return;
	switch ((Step) what)
	{
		case STEP_PARTITION:
			part(w);
			plan(w, EVENT_FAULT, 0, soon(w, 30), STEP_HEAL);
			break;
		case STEP_HEAL:
			heal(w);
			plan(w, EVENT_FAULT, 0, soon(w, 20), STEP_PARTITION);
			break;
		case STEP_CRASH:
			if (n->up && random_chance(&w->chance_fault, 500))
				n->mute = true; /* after what it does next has committed */
			else if (n->up)
				crash(n, random_between(&w->chance_fault, 1, 8000) * MS);
			plan(w, EVENT_FAULT, other, soon(w, 6), STEP_CRASH);
			break;
		case STEP_BACKUP:
			if (n->up && !n->lies)
				back_up(w, n);
			plan(w, EVENT_FAULT, other, soon(w, 20), STEP_BACKUP);
			break;
		case STEP_RESTORE:
			if (n->up)
				restore(w, n);
			break;
	}
}

static void
draw_clocks(World *w)
{
	for (uint32_t i = 0; i < w->nnodes && w->settings.fault[FAULT_SKEW]; i++)
		w->nodes[i].skew = (int64_t) random_below(&w->chance_fault, 600 * MS) - (int64_t) (300 * MS);
	if (w->settings.fault[FAULT_HOUR])
	{
		Node	   *n = &w->nodes[random_below(&w->chance_fault, w->nnodes)];

		if (can_restore(w, n))
			n->skew = random_chance(&w->chance_fault, 500) ? (int64_t) HOUR : -(int64_t) HOUR;
	}
}

void
faults_begin(World *w)
{
	const Settings *s = &w->settings;

	draw_clocks(w);
	if (s->fault[FAULT_PARTITION])
		plan(w, EVENT_FAULT, 0, soon(w, 20), STEP_PARTITION);
	if (s->fault[FAULT_CRASH])
		plan(w, EVENT_FAULT, (uint32_t) random_below(&w->chance_fault, w->nnodes), soon(w, 10), STEP_CRASH);
	if (s->fault[FAULT_RESTORE])
		plan(w, EVENT_FAULT, (uint32_t) random_below(&w->chance_fault, w->nnodes), soon(w, 20), STEP_BACKUP);
}

void
faults_end(World *w)
{
	w->peace = true;
	heal(w);
	for (uint32_t i = 0; i < w->nnodes; i++)
		w->nodes[i].mute = false;
}

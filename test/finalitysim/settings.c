/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  What a seed means: how many members, which network, what goes wrong.
 *
 * Each seed has some kinds of faults and not others, so that one kind does not
 * always hide another.
 *
 *-------------------------------------------------------------------------
 */
#include "finalitysim.h"

const char *const fault_names[FAULT_COUNT] = {
#define FAULT_NAME(name, text) text,
	FAULTS(FAULT_NAME)
#undef FAULT_NAME
};

const char *const sight_names[SIGHT_COUNT] = {
#define SIGHT_NAME(name, text) text,
	SIGHTS(SIGHT_NAME)
#undef SIGHT_NAME
};

/* Of a thousand seeds so many have the fault. */
static const uint32_t how_often[FAULT_COUNT] = {
	[FAULT_LOSS] = 500,
	[FAULT_DUPLICATION] = 300,
	[FAULT_REORDERING] = 600,
	[FAULT_PARTITION] = 600,
	[FAULT_CRASH] = 400,
	[FAULT_SKEW] = 400,
	[FAULT_HOUR] = 80,
	[FAULT_RESTORE] = 250,
	[FAULT_CHANGES] = 450,
	[FAULT_EQUIVOCATION] = 500,
	[FAULT_VOTE_ALL] = 500,
	[FAULT_OFF_HEAD] = 500,
	[FAULT_WITHHOLDING] = 400,
	[FAULT_FORGERY] = 350,
	[FAULT_TWINS] = 250,
	[FAULT_CARELESS] = 300,
};

static void
draw_members(Settings *s, Random *r)
{
	s->founders = random_chance(r, 8) ? (int) random_between(r, 20, 100)
		: random_chance(r, 100) ? (int) random_between(r, 1, 3) : (int) random_between(r, 4, 10);
	s->liars = random_chance(r, 250) ? 0 : (s->founders - 1) / 3;
	s->changes = s->fault[FAULT_CHANGES] ? (int) random_between(r, 1, 8) : 0;
	s->identities = s->founders + (s->fault[FAULT_CHANGES] ? (int) random_between(r, 1, 4) : 0);
	s->slots_long = s->founders > 16 ? random_between(r, 20, 40) : random_between(r, 40, 160);
	s->consensus = random_chance(r, 400) ? FTC_CONSENSUS_DPOS : FTC_CONSENSUS_POS;
	s->quorum = FTC_QUORUM_TWO_THIRDS;
	/* with the weaker quorum nobody may lie */
	if (random_chance(r, 80))
	{
		s->quorum = FTC_QUORUM_MAJORITY;
		s->liars = 0;
	}
}

Settings
settings_of(uint64_t seed)
{
	Random		r = random_from(seed, 1);
	Settings	s = {.seed = seed};

	draw_faults(&r, how_often, FAULT_COUNT, s.fault);
	draw_members(&s, &r);
	s.slots.origin = SIM_EPOCH;
	s.slots.length = 1 * SECOND;
	s.slots.per_epoch = (uint32_t) random_between(&r, 4, 16);
	s.slots.skew = (uint32_t) random_between(&r, 1, 2);
	s.delay_min = random_between(&r, 1, 60) * MS;
	s.delay_max = s.delay_min + random_between(&r, 1, 1500) * MS;
	s.loss = s.fault[FAULT_LOSS] ? (uint32_t) random_between(&r, 1, 300) : 0;
	s.duplication = s.fault[FAULT_DUPLICATION] ? (uint32_t) random_between(&r, 1, 150) : 0;
	s.busy = random_chance(&r, 500) ? 1000 : (uint32_t) random_between(&r, 50, 900);
	return s;
}

/* A fault put on or off, whatever the seed drew; its strength stays. */
void
settings_switch(Settings *s, Fault fault, bool on)
{
	s->fault[fault] = on;
	if (fault == FAULT_LOSS)
		s->loss = on ? Max(s->loss, 20) : 0;
	if (fault == FAULT_DUPLICATION)
		s->duplication = on ? Max(s->duplication, 20) : 0;
	if (fault == FAULT_CHANGES)
	{
		s->changes = on ? Max(s->changes, 3) : 0;
		s->identities = Max(s->identities, s->founders + (on ? 2 : 0));
	}
}

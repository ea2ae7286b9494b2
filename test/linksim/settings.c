/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  What a seed means: which log, which network, what goes wrong.
 *
 * Each seed has some kinds of faults and not others, so that one kind does not
 * always hide another.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

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

/* Of a thousand seeds so many have the fault, but for those without any. */
static const uint32_t how_often[FAULT_COUNT] = {
	[FAULT_LOSS] = 400,
	[FAULT_DUPLICATION] = 300,
	[FAULT_REORDERING] = 400,
	[FAULT_CORRUPTION] = 200,
	[FAULT_GARBLING] = 100,
	[FAULT_CUT] = 300,
	[FAULT_FAILURE] = 250,
	[FAULT_CRASH_SOURCE] = 300,
	[FAULT_CRASH_SINK] = 300,
	[FAULT_RESTORE_SOURCE] = 300,
	[FAULT_RESTORE_SINK] = 300,
	[FAULT_PRUNING] = 400,
	[FAULT_FULL] = 200,
	[FAULT_BUSY] = 200,
	[FAULT_POISON] = 200,
	[FAULT_RESEND] = 150,
	[FAULT_FORGETTING] = 300,
	[FAULT_UNNUMBERING] = 200,
};

#define UNTROUBLED 50			/* seeds of a thousand */

static void
draw_network(Settings *s, Random *r)
{
	s->pipeline = random_chance(r, 300);
	s->delay_min = random_between(r, 1, 100) * MS;
	s->delay_max = s->delay_min + random_between(r, 1, 500) * MS;
	s->rate = (double) (UINT64_C(1) << random_between(r, 0, 8));
	s->work = random_chance(r, 500) ? 100 : random_between(r, 1, 20) * MS;
	s->loss = s->fault[FAULT_LOSS] ? (uint32_t) random_between(r, 1, 200) : 0;
	s->duplication = s->fault[FAULT_DUPLICATION] ? (uint32_t) random_between(r, 1, 200) : 0;
	s->corruption = s->fault[FAULT_CORRUPTION] || s->fault[FAULT_GARBLING] ? (uint32_t) random_between(r, 1, 50) : 0;
	s->failure = s->fault[FAULT_FAILURE] ? (uint32_t) random_between(r, 1, 200) : 0;
}

static void
draw_messages(Settings *s, Random *r)
{
	s->users = random_chance(r, 700);
	s->messages = random_chance(r, 300) ? random_between(r, 1, 20) : random_between(r, 20, 400);
	s->batch = random_chance(r, 300) ? 1 : random_between(r, 1, 60);
	s->append_mean = (double) s->duration / (double) s->messages * (double) (s->batch + 1) / 3;
	s->message_bytes = UINT32_C(1) << random_between(r, 6, 18);
	s->call_bytes = UINT32_C(1) << random_between(r, 10, 18);
}

Settings
settings_of(uint64_t seed)
{
	Random		r = random_from(seed, 1);
	Settings	s = {.seed = seed};
	bool		untroubled = random_chance(&r, UNTROUBLED);

	s.duration = random_between(&r, 5, 40) * SECOND;
	draw_faults(&r, how_often, FAULT_COUNT, s.fault);
	if (untroubled)
		memset(s.fault, 0, sizeof(s.fault));
	/* who says to have what it lacks does not get it */
	s.fault[FAULT_GARBLING] &= !s.fault[FAULT_RESTORE_SINK];
	draw_network(&s, &r);
	draw_messages(&s, &r);
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
		s->duplication = on ? Max(s->duplication, 50) : 0;
	if (fault == FAULT_CORRUPTION || fault == FAULT_GARBLING)
		s->corruption = Max(s->corruption, 10);
	if (fault == FAULT_FAILURE)
		s->failure = on ? Max(s->failure, 20) : 0;
}

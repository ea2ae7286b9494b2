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
#include "sim.h"

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
	[FAULT_LOSS] = 400,
	[FAULT_DUPLICATION] = 400,
	[FAULT_REORDERING] = 500,
	[FAULT_CORRUPTION] = 300,
	[FAULT_PARTITION] = 500,
	[FAULT_CRASH] = 400,
	[FAULT_SKEW] = 400,
	[FAULT_HOUR] = 100,
	[FAULT_SELFISH] = 250,
	[FAULT_WITHHOLDING] = 250,
	[FAULT_LIAR] = 350,
	[FAULT_STALL] = 150,
	[FAULT_SHALLOW] = 150,
	[FAULT_PRUNING] = 200,
	[FAULT_RESTORE] = 200,
};

/* Bits for about two to the n attempts. */
static uint32_t
bits_of(unsigned n)
{
	FtcU256		target;

	memset(&target, 0xff, sizeof(target));
	target = ftc_u256_shift_right(&target, n);
	return ftc_pow_to_bits(&target);
}

static void
draw_chain(Settings *s, Random *r)
{
	FtcParams  *p = &s->params;
	unsigned	effort = (unsigned) random_between(r, 4, 8);

	p->consensus = FTC_CONSENSUS_POW;
	p->spacing = random_between(r, 500, 4000) * MS;
	p->min_spacing = random_between(r, 1, 4) * p->spacing / 4;
	p->half_life = random_between(r, 1, 10) * MINUTE;
	p->future_bound = random_between(r, 5, 60) * SECOND;
	p->limit_bits = bits_of(effort);
	p->max_leaves = 4096;
	p->max_body = 1 << 20;
	p->max_payload = 1 << 16;
	p->reorg_limit = s->fault[FAULT_SHALLOW] ? (uint32_t) random_between(r, 1, 4) : 10000;
	p->epoch_blocks = 1;
	p->settle_blocks = 1;
	p->replicas = (uint16_t) random_between(r, 1, 5);
	p->stored_quorum = p->replicas / 2 + 1;
	p->governors = 1;
	p->durability = 1;
	p->name = ftc_slice("sim", 3);
	s->hash_rate = (double) (UINT64_C(1) << effort) * (double) random_between(r, 5, 40) / 10 /
		((double) p->spacing / (double) SECOND);
}

static void
draw_network(Settings *s, Random *r)
{
	s->delay_min = random_between(r, 1, 60) * MS;
	s->delay_max = s->delay_min + random_between(r, 1, 1500) * MS;
	s->loss = s->fault[FAULT_LOSS] ? (uint32_t) random_between(r, 1, 150) : 0;
	s->duplication = s->fault[FAULT_DUPLICATION] ? (uint32_t) random_between(r, 1, 150) : 0;
	s->corruption = s->fault[FAULT_CORRUPTION] ? (uint32_t) random_between(r, 1, 50) : 0;
	s->window = random_chance(r, 300) ? 4 : 1;
	s->heartbeat = random_between(r, 1, 5) * SECOND;
}

Settings
settings_of(uint64_t seed)
{
	Random		r = random_from(seed, 1);
	Settings	s = {.seed = seed};

	s.members = random_chance(&r, 50) ? (int) random_between(&r, 9, 16)
		: random_chance(&r, 100) ? 2 : (int) random_between(&r, 3, 8);
	s.duration = random_between(&r, 40, 140) * SECOND;
	draw_faults(&r, how_often, FAULT_COUNT, s.fault);
	draw_chain(&s, &r);
	draw_network(&s, &r);
	s.append_mean = (double) random_between(&r, 2, 20) * SECOND;
	s.appenders = s.members;
	s.grace = (s.fault[FAULT_HOUR] || s.fault[FAULT_STALL] ? 100 : 30) * MINUTE;
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
	if (fault == FAULT_CORRUPTION)
		s->corruption = on ? Max(s->corruption, 10) : 0;
	if (fault == FAULT_SHALLOW)
		s->params.reorg_limit = on ? 2 : 10000;
}

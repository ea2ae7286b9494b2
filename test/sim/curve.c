/*-------------------------------------------------------------------------
 *
 * curve.c
 *	  How a chain does as it gets more members.
 *
 * Up to 16 members are connected each with each; more are a ring in which each
 * has its two successors and two chords, so eight peers on average.  A packet
 * takes 20 to 80 ms.  The chain is to have a block every five seconds, and the
 * hash rate is four times what its least difficulty needs for that, so that the
 * retarget has something to do.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define SPACING (5 * SECOND)
#define WARM_UP 24				/* blocks, until the difficulty is right */

typedef struct Point
{
	int			members;
	uint32_t	heights;
	double		interval;		/* s */
	double		forks;			/* share of blocks that are not on the main
								 * chain */
	double		half;			/* s, until half of the members know a block */
	double		most;			/* s, nine tenths */
	double		bytes;			/* for each member and block, as the next */
	double		packets;
} Point;

static Settings
scenario(int members)
{
	Settings	s = settings_of(1);

	for (int i = 0; i < FAULT_COUNT; i++)
		settings_switch(&s, (Fault) i, false);
	s.members = s.appenders = members;
	s.chords = members > 16 ? 2 : 0;
	s.duration = NEVER;
	s.busy = s.light = true;
	s.window = 1;
	s.heartbeat = NEVER;
	s.delay_min = 20 * MS;
	s.delay_max = 80 * MS;
	s.params.spacing = SPACING;
	s.params.min_spacing = SPACING / 10;
	s.params.half_life = 20 * SECOND;
	s.hash_rate = 4 * (double) ftc_pow_work(s.params.limit_bits).w[0] / ((double) SPACING / (double) SECOND);
	return s;
}

static void
run_heights(World *w, uint32_t heights)
{
	while (w->members[0].main.n < heights && w->failure[0] == '\0')
		run_until(w, w->now + SECOND);
}

/* Means over the blocks found since then */
static void
measure(const World *w, uint32_t first, uint32_t first_height, Point *p)
{
	uint32_t	n = 0;

	for (uint32_t i = first; i < w->nblocks; i++)
	{
		const Block *b = &w->blocks[i];

		if (b->most_at == 0)
			continue;
		p->half += (double) (b->half_at - b->found_at) / (double) SECOND;
		p->most += (double) (b->most_at - b->found_at) / (double) SECOND;
		n++;
	}
	p->half /= Max(n, 1);
	p->most /= Max(n, 1);
	p->heights = w->members[0].main.n - first_height;
	p->forks = 1 - (double) p->heights / (w->nblocks - first);
}

static Point
run_members(int members)
{
	Settings	s = scenario(members);
	World	   *w = world_new(&s, false, false);
	Point		p = {.members = members};
	uint32_t	most = members > 5000 ? 20 : members > 2000 ? 40 : members > 500 ? 80 : 400;
	uint32_t	first;
	uint32_t	height;
	uint64_t	start;
	Sights		before;

	run_begin(w);
	run_heights(w, WARM_UP);
	first = w->nblocks;
	height = w->members[0].main.n;
	start = w->now;
	before = w->sights;
	run_heights(w, height + most);
	measure(w, first, height, &p);
	p.interval = (double) (w->now - start) / (double) SECOND / p.heights;
	p.bytes = (double) (w->sights.bytes - before.bytes) / members / (w->nblocks - first);
	p.packets = (double) (w->sights.packets - before.packets) / members / (w->nblocks - first);
	if (w->failure[0] != '\0')
		printf("FAILURE: %s\n", w->failure);
	world_free(w);
	return p;
}

static void
print_bar(const char *name, int members, double value, double scale, const char *unit)
{
	printf("%-11s %5d ", name, members);
	for (int i = 0; i < (int) (value / scale * 50 + 0.5) && i < 50; i++)
		putchar('#');
	printf(" %.3g %s\n", value, unit);
}

void
curve_run(int most)
{
	static const int members[] = {3, 10, 30, 100, 300, 1000, 3000, 10000};
	Point		points[lengthof(members)];
	size_t		n = 0;
	double		slowest = 0;

	printf("| members | blocks | interval | not on the main chain | at 50 %% | at 90 %% | bytes | packets |\n");
	printf("|---|---|---|---|---|---|---|---|\n");
	for (; n < lengthof(members) && members[n] <= most; n++)
	{
		Point	   *p = &points[n];

		*p = run_members(members[n]);
		slowest = Max(slowest, p->most);
		printf("| %d | %u | %.2f s | %.1f %% | %.2f s | %.2f s | %.0f | %.1f |\n", p->members, p->heights, p->interval,
			   100 * p->forks, p->half, p->most, p->bytes, p->packets);
		fflush(stdout);
	}
	putchar('\n');
	for (size_t i = 0; i < n; i++)
		print_bar("to 90 %", points[i].members, points[i].most, slowest, "s");
}

/*-------------------------------------------------------------------------
 *
 * main.c
 *	  The command line.
 *
 *-------------------------------------------------------------------------
 */
#include "finalitysim.h"

static const char usage_text[] =
"usage: finalitysim --seed N [CHANGE]... [--trace]\n"
"       finalitysim --seeds FIRST:COUNT [CHANGE]... [--brief]\n"
"       finalitysim --exhaust [BLOCKS]          the vote rule, every case\n"
"changes: --slots N, --founders N, --liars N, --with FAULT[,FAULT]...,\n"
"         --without FAULT[,FAULT]...\n"
"faults:";

typedef struct Options
{
	enum
	{
		DO_NOTHING,
		DO_SEED,
		DO_SEEDS,
		DO_EXHAUST
	}			what;
	uint64_t	first;
	uint64_t	count;
	uint64_t	slots_long;
	int			founders;
	int			liars;			/* and one */
	int			faults[FAULT_COUNT];	/* 1: with, -1: without */
	bool		trace;
	bool		brief;			/* a failure is not explained */
} Options;

void
usage(void)
{
	fputs(usage_text, stderr);
	for (int i = 0; i < FAULT_COUNT; i++)
		fprintf(stderr, " %s", fault_names[i]);
	fputc('\n', stderr);
	exit(2);
}

/* An option with a value; 2 if it was one. */
static int
take_value(const char *name, const char *value, Options *o)
{
	if (strcmp(name, "--seed") == 0)
	{
		o->what = DO_SEED;
		o->first = option_number(value);
		o->count = 1;
	}
	else if (strcmp(name, "--seeds") == 0)
	{
		o->what = DO_SEEDS;
		option_range(value, &o->first, &o->count);
	}
	else if (strcmp(name, "--slots") == 0)
		o->slots_long = option_number(value);
	else if (strcmp(name, "--founders") == 0)
		o->founders = (int) option_number(value);
	else if (strcmp(name, "--liars") == 0)
		o->liars = (int) option_number(value) + 1;
	else if (strcmp(name, "--with") == 0)
		option_faults(value, fault_names, FAULT_COUNT, o->faults, 1);
	else if (strcmp(name, "--without") == 0)
		option_faults(value, fault_names, FAULT_COUNT, o->faults, -1);
	else
		usage();
	return 2;
}

/* Options whose values may be left out. */
static int
take_option(char **argv, Options *o)
{
	if (strcmp(argv[0], "--trace") == 0)
		o->trace = true;
	else if (strcmp(argv[0], "--brief") == 0)
		o->brief = true;
	else if (strcmp(argv[0], "--exhaust") == 0)
	{
		o->what = DO_EXHAUST;
		o->count = 5;
		if (argv[1] != NULL && argv[1][0] != '-')
		{
			o->count = option_number(argv[1]);
			return 2;
		}
	}
	else
		return take_value(argv[0], argv[1], o);
	return 1;
}

static Settings
settings_with(const Options *o, uint64_t seed)
{
	Settings	s = settings_of(seed);

	if (o->slots_long > 0)
		s.slots_long = o->slots_long;
	if (o->founders > 0 && o->founders <= 100)
	{
		s.identities += o->founders - s.founders;
		s.founders = o->founders;
	}
	if (o->liars > 0)
		s.liars = o->liars - 1;
	for (int i = 0; i < FAULT_COUNT; i++)
		if (o->faults[i] != 0)
			settings_switch(&s, (Fault) i, o->faults[i] > 0);
	return s;
}

static void
add_sights(Sights *sum, const Sights *s)
{
	for (int i = 0; i < SIGHT_COUNT; i++)
		sum->seen[i] += s->seen[i];
	for (int i = 0; i < FTC_REASON_COUNT; i++)
		sum->refused[i] += s->refused[i];
	sum->events += s->events;
	sum->packets += s->packets;
	sum->blocks += s->blocks;
	sum->votes += s->votes;
}

/* What a batch of seeds must have seen of reasons. */
static const FtcReason expected[] = {
	FTC_BAD_ROUND, FTC_NOT_JUSTIFIED, FTC_BAD_STATE, FTC_WRONG_PROPOSER, FTC_BAD_SIGNATURE, FTC_TIME_TOO_LATE,
	FTC_UNKNOWN_PARENT, FTC_NO_QUORUM, FTC_NOT_CANONICAL
};

#define BATCH_LEAST 300

/* Prints what was seen; false if a batch that is large enough has not seen all. */
static bool
print_sights(const Sights *s, uint64_t seeds)
{
	bool		all = true;

	printf("%llu seeds: %llu events, %llu packets, %llu blocks, %llu votes\n", (unsigned long long) seeds,
		   (unsigned long long) s->events, (unsigned long long) s->packets, (unsigned long long) s->blocks,
		   (unsigned long long) s->votes);
	for (int i = 0; i < SIGHT_COUNT; i++)
	{
		printf("%10llu  %s\n", (unsigned long long) s->seen[i], sight_names[i]);
		all &= s->seen[i] > 0;
	}
	for (int i = 0; i < FTC_REASON_COUNT; i++)
		if (s->refused[i] > 0)
			printf("%10llu  refused: %s\n", (unsigned long long) s->refused[i], ftc_reason_text((FtcReason) i));
	for (size_t i = 0; i < lengthof(expected); i++)
		if (s->refused[expected[i]] == 0)
		{
			printf("         0  refused: %s\n", ftc_reason_text(expected[i]));
			all = false;
		}
	return all || seeds < BATCH_LEAST;
}

/* ----------------------------------------------------------------
 *		A failure made small
 * ----------------------------------------------------------------
 */

static bool
fails(const void *settings)
{
	Result		result = run_seed(settings, false);

	return !result.passed;
}

/* Without one of the faults, shorter, or with fewer founders. */
static bool
smaller(void *settings, int way)
{
	Settings   *s = settings;

	if (way < FAULT_COUNT)
	{
		if (!s->fault[way])
			return false;
		settings_switch(s, (Fault) way, false);
		return true;
	}
	if (way == FAULT_COUNT)
	{
		s->slots_long /= 2;
		return s->slots_long >= 4;
	}
	s->founders--;
	s->identities--;
	return s->founders > 0;
}

/* The command that runs it again */
static void
print_command(const Settings *s)
{
	Settings	drawn = settings_of(s->seed);

	printf("finalitysim --seed %llu --slots %llu --founders %d --liars %d", (unsigned long long) s->seed,
		   (unsigned long long) s->slots_long, s->founders, s->liars);
	print_faults(fault_names, FAULT_COUNT, drawn.fault, s->fault);
	printf(" --trace\n");
}

/* The last that happened, in the smallest run that still fails. */
static void
explain(const Settings *s)
{
	static const Shrinking how = {sizeof(Settings), FAULT_COUNT + 2, fails, smaller};
	Settings	least = *s;
	World	   *w;

	printf("the seed again: ");
	print_command(s);
	shrink_settings(&how, &least);
	printf("made smaller:   ");
	print_command(&least);
	w = run_world(&least, true, false);
	for (uint64_t i = w->nlines > TRACE_LINES ? w->nlines - TRACE_LINES : 0; i < w->nlines; i++)
		puts(w->lines[i % TRACE_LINES]);
	printf("%s\n", w->failure);
	world_free(w);
}

static void
run_seeds(const Options *o, int *passed, int *failed)
{
	Sights		all = {0};

	for (uint64_t i = 0; i < o->count && *failed == 0; i++)
	{
		Settings	s = settings_with(o, o->first + i);
		Result		result = run_seed(&s, o->trace);

		add_sights(&all, &result.sights);
		if (result.passed)
		{
			++*passed;
			continue;
		}
		++*failed;
		printf("not ok - seed %llu: %s\n", (unsigned long long) s.seed, result.failure);
		if (!o->trace && !o->brief)
			explain(&s);
	}
	if (o->what == DO_SEEDS && *failed == 0)
	{
		bool		ok = print_sights(&all, o->count);

		printf("%sok - the seeds have seen all that they should\n", ok ? "" : "not ");
		*passed += ok;
		*failed += !ok;
	}
}

int
main(int argc, char **argv)
{
	Options		o = {0};
	int			passed = 0;
	int			failed = 0;

	for (int i = 1; i < argc;)
		i += take_option(argv + i, &o);
	switch (o.what)
	{
		case DO_NOTHING:
			usage();
		case DO_SEED:
		case DO_SEEDS:
			run_seeds(&o, &passed, &failed);
			break;
		case DO_EXHAUST:
			exhaust_run(o.count, &passed, &failed);
			break;
	}
	printf("%d passed, %d failed, 0 skipped\n", passed, failed);
	return failed > 0;
}

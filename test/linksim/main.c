/*-------------------------------------------------------------------------
 *
 * main.c
 *	  The command line.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

static const char usage_text[] =
"usage: linksim --seed N [CHANGE]... [--trace]\n"
"       linksim --seeds FIRST:COUNT [CHANGE]... [--brief]\n"
"       linksim --speed                         how much gets through\n"
"       linksim --exhaust [MESSAGES [FAULTS]] [--log LOG] [--kind losses|crashes|exchanges] [--packets N]\n"
"                                               every small case\n"
"changes: --duration SECONDS, --messages N, --with FAULT[,FAULT]...,\n"
"         --without FAULT[,FAULT]..., --log users|ledger, --path pipeline|calls\n"
"faults:";

static const char *const exhaust_kinds[] = {"losses", "crashes", "exchanges"};

typedef struct Options
{
	enum
	{
		DO_NOTHING,
		DO_SEED,
		DO_SEEDS,
		DO_SPEED,
		DO_EXHAUST
	}			what;
	uint64_t	first;
	uint64_t	count;
	uint64_t	duration;
	uint64_t	messages;
	int			log;			/* 1: users, -1: ledger */
	int			path;			/* 1: pipeline, -1: calls */
	uint64_t	packets;
	int			kind;			/* of what is exhausted, from 1; 0: all */
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
	else if (strcmp(name, "--duration") == 0)
		o->duration = option_number(value) * SECOND;
	else if (strcmp(name, "--messages") == 0)
		o->messages = option_number(value);
	else if (strcmp(name, "--with") == 0)
		option_faults(value, fault_names, FAULT_COUNT, o->faults, 1);
	else if (strcmp(name, "--without") == 0)
		option_faults(value, fault_names, FAULT_COUNT, o->faults, -1);
	else if (strcmp(name, "--log") == 0)
		o->log = option_choice(value, "users", "ledger") ? 1 : -1;
	else if (strcmp(name, "--path") == 0)
		o->path = option_choice(value, "pipeline", "calls") ? 1 : -1;
	else if (strcmp(name, "--packets") == 0)
		o->packets = option_number(value);
	else if (strcmp(name, "--kind") == 0)
	{
		while (o->kind < 3 && (value == NULL || strcmp(value, exhaust_kinds[o->kind]) != 0))
			o->kind++;
		if (o->kind++ == 3)
			usage();
	}
	else
		usage();
	return 2;
}

/* Options whose values may be left out. */
static int
take_option(char **argv, Options *o)
{
	int			taken = 1;

	if (strcmp(argv[0], "--trace") == 0)
		o->trace = true;
	else if (strcmp(argv[0], "--brief") == 0)
		o->brief = true;
	else if (strcmp(argv[0], "--speed") == 0)
		o->what = DO_SPEED;
	else if (strcmp(argv[0], "--exhaust") == 0)
	{
		o->what = DO_EXHAUST;
		o->first = 5;
		o->count = 1;
		if (argv[1] != NULL && argv[1][0] != '-')
			o->first = option_number(argv[taken++]);
		if (taken == 2 && argv[2] != NULL && argv[2][0] != '-')
			o->count = option_number(argv[taken++]);
	}
	else
		return take_value(argv[0], argv[1], o);
	return taken;
}

static Settings
settings_with(const Options *o, uint64_t seed)
{
	Settings	s = settings_of(seed);

	if (o->duration > 0)
		s.duration = o->duration;
	if (o->messages > 0)
		s.messages = Min(o->messages, LOG_MAX - 3);
	if (o->log != 0)
		s.users = o->log > 0;
	if (o->path != 0)
		s.pipeline = o->path > 0;
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
	sum->events += s->events;
	sum->packets += s->packets;
	sum->messages += s->messages;
	sum->applied += s->applied;
}

#define BATCH_LEAST 300

/* Prints what was seen; false if a batch that is large enough has not seen all. */
static bool
print_sights(const Sights *s, uint64_t seeds)
{
	bool		all = true;

	printf("%llu seeds: %llu events, %llu packets, %llu messages, %llu applied\n", (unsigned long long) seeds,
		   (unsigned long long) s->events, (unsigned long long) s->packets, (unsigned long long) s->messages,
		   (unsigned long long) s->applied);
	for (int i = 0; i < SIGHT_COUNT; i++)
	{
		printf("%10llu  %s\n", (unsigned long long) s->seen[i], sight_names[i]);
		all &= s->seen[i] > 0;
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

/* Without one of the faults, shorter, or with fewer messages. */
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
		s->duration = s->duration / 2 / SECOND * SECOND;
		return s->duration >= SECOND;
	}
	s->messages = s->messages * 3 / 4;
	return s->messages > 0;
}

/* The command that runs it again */
static void
print_command(const Settings *s)
{
	Settings	drawn = settings_of(s->seed);

	printf("linksim --seed %llu --duration %llu --messages %llu --log %s --path %s", (unsigned long long) s->seed,
		   (unsigned long long) (s->duration / SECOND), (unsigned long long) s->messages,
		   s->users ? "users" : "ledger", s->pipeline ? "pipeline" : "calls");
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

static void
run_exhaust(const Options *o, int *passed, int *failed)
{
	Exhaust		what = {.messages = Min(o->first, 8),.packets = o->packets == 0 ? 12 : (int) Min(o->packets, 16),.faults = (int) o->count,.kind = o->kind - 1,.log = o->log};

	exhaust_run(&what, passed, failed);
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
		case DO_SPEED:
			speed_run(&passed, &failed);
			break;
		case DO_EXHAUST:
			run_exhaust(&o, &passed, &failed);
			break;
	}
	printf("%d passed, %d failed, 0 skipped\n", passed, failed);
	return failed > 0;
}

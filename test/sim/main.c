/*-------------------------------------------------------------------------
 *
 * main.c
 *	  The command line.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

static const char usage_text[] =
"usage: sim --seed N [CHANGE]... [--trace]\n"
"       sim --seeds FIRST:COUNT [CHANGE]...\n"
"       sim --mutants [SEEDS]       each must fail within so many seeds\n"
"       sim --fork-rate             against what arithmetic says\n"
"       sim --curve [MEMBERS]       how it grows, up to so many\n"
"changes: --members N, --duration SECONDS, --mutant NAME,\n"
"         --with FAULT[,FAULT]..., --without FAULT[,FAULT]...\n"
"faults:";

typedef struct Options
{
	enum
	{
		DO_NOTHING,
		DO_SEED,
		DO_SEEDS,
		DO_MUTANTS,
		DO_FORK_RATE,
		DO_CURVE
	}			what;
	uint64_t	first;
	uint64_t	count;
	int			members;
	uint64_t	duration;
	Mutant		mutant;
	int			faults[FAULT_COUNT];	/* 1: with, -1: without */
	bool		trace;
} Options;

void
usage(void)
{
	fputs(usage_text, stderr);
	for (int i = 0; i < FAULT_COUNT; i++)
		fprintf(stderr, " %s", fault_names[i]);
	fputs("\nmutants:", stderr);
	for (int i = 1; i < MUTANT_COUNT; i++)
		fprintf(stderr, " %s", mutant_name((Mutant) i));
	fputc('\n', stderr);
	exit(2);
}

static Mutant
mutant_of(const char *text)
{
	for (int i = 0; i < MUTANT_COUNT && text !=NULL; i++)
		if (strcmp(text, mutant_name((Mutant) i)) == 0)
			return (Mutant) i;
	usage();
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
	else if (strcmp(name, "--members") == 0)
		o->members = (int) option_number(value);
	else if (strcmp(name, "--duration") == 0)
		o->duration = option_number(value) * SECOND;
	else if (strcmp(name, "--mutant") == 0)
		o->mutant = mutant_of(value);
	else if (strcmp(name, "--with") == 0)
		option_faults(value, fault_names, FAULT_COUNT, o->faults, 1);
	else if (strcmp(name, "--without") == 0)
		option_faults(value, fault_names, FAULT_COUNT, o->faults, -1);
	else
		usage();
	return 2;
}

/* An option whose value may be left out. */
static int
take_option(const char *name, const char *value, Options *o)
{
	bool		has_value = value != NULL && value[0] != '-';

	if (strcmp(name, "--trace") == 0)
	{
		o->trace = true;
		return 1;
	}
	if (strcmp(name, "--fork-rate") == 0)
	{
		o->what = DO_FORK_RATE;
		return 1;
	}
	if (strcmp(name, "--mutants") != 0 && strcmp(name, "--curve") != 0)
		return take_value(name, value, o);
	o->what = strcmp(name, "--mutants") == 0 ? DO_MUTANTS : DO_CURVE;
	o->count = has_value ? option_number(value) : o->what == DO_MUTANTS ? 60 : 10000;
	return has_value ? 2 : 1;
}

static Settings
settings_with(const Options *o, uint64_t seed)
{
	Settings	s = settings_of(seed);

	if (o->members >= 2 && o->members <= PEERS_MAX)
		s.members = s.appenders = o->members;
	if (o->duration > 0)
		s.duration = o->duration;
	s.mutant = o->mutant;
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
	sum->bytes += s->bytes;
	sum->blocks += s->blocks;
}

/* What a batch of seeds must have seen of reasons; the rest is not for blocks. */
static const FtcReason expected[] = {
	FTC_BAD_LENGTH, FTC_BAD_SIGNATURE, FTC_NOT_A_MEMBER, FTC_BAD_PROOF, FTC_UNKNOWN_PARENT, FTC_BAD_HEIGHT,
	FTC_BAD_HISTORY, FTC_BAD_STATE, FTC_BAD_BITS, FTC_NOT_ENOUGH_WORK, FTC_TIME_TOO_EARLY, FTC_TIME_TOO_LATE,
	FTC_BAD_JUSTIFY, FTC_BUNDLE_OUT_OF_ORDER, FTC_ENTRY_TWICE, FTC_TOO_DEEP, FTC_NOT_CANONICAL, FTC_BAD_ROOT
};

#define BATCH_LEAST 300

/* Prints what was seen; false if a batch that is large enough has not seen all. */
static bool
print_sights(const Sights *s, uint64_t seeds)
{
	bool		all = true;

	printf("%llu seeds: %llu events, %llu packets, %llu blocks\n", (unsigned long long) seeds,
		   (unsigned long long) s->events, (unsigned long long) s->packets, (unsigned long long) s->blocks);
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

/* The last that happened, in the smallest run that still fails. */
static void
explain(const Settings *s)
{
	Settings	smaller;
	World	   *w;

	printf("the seed again: ");
	print_command(s);
	shrink(s, &smaller);
	printf("made smaller:   ");
	print_command(&smaller);
	w = run_world(&smaller, true, false);
	for (uint64_t i = w->nlines > TRACE_LINES ? w->nlines - TRACE_LINES : 0; i < w->nlines; i++)
		puts(w->lines[i % TRACE_LINES]);
	world_free(w);
}

static void
run_seeds(const Options *o, int *passed, int *failed)
{
	Sights		all = {0};

	for (uint64_t i = 0; i < o->count && *failed == 0; i++)
	{
		Settings	s = settings_with(o, o->first + i);
		Outcome		outcome = run_seed(&s, o->trace);

		add_sights(&all, &outcome.sights);
		if (outcome.passed)
		{
			++*passed;
			continue;
		}
		++*failed;
		printf("not ok - seed %llu: %s\n", (unsigned long long) s.seed, outcome.failure);
		if (!o->trace)
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
		i += take_option(argv[i], argv[i + 1], &o);
	switch (o.what)
	{
		case DO_NOTHING:
			usage();
		case DO_SEED:
		case DO_SEEDS:
			run_seeds(&o, &passed, &failed);
			break;
		case DO_MUTANTS:
			mutants_run(o.count, &passed, &failed);
			break;
		case DO_FORK_RATE:
			forkrate_run(&passed, &failed);
			break;
		case DO_CURVE:
			curve_run((int) o.count);
			passed++;
			break;
	}
	printf("%d passed, %d failed, 0 skipped\n", passed, failed);
	return failed > 0;
}

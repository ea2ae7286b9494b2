/*-------------------------------------------------------------------------
 *
 * shrink.c
 *	  A failure made small: fewer kinds of faults, less time, fewer members, as
 *	  long as it still fails.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

static bool
still_fails(const Settings *s)
{
	Outcome		outcome = run_seed(s, false);

	return !outcome.passed;
}

static bool
take_if_fails(Settings *s, const Settings *tried)
{
	if (!still_fails(tried))
		return false;
	*s = *tried;
	return true;
}

static bool
fewer_faults(Settings *s)
{
	bool		smaller = false;

	for (int i = 0; i < FAULT_COUNT; i++)
	{
		Settings	tried = *s;

		if (!s->fault[i])
			continue;
		settings_switch(&tried, (Fault) i, false);
		smaller |= take_if_fails(s, &tried);
	}
	return smaller;
}

static bool
less_time(Settings *s)
{
	Settings	tried = *s;

	tried.duration = s->duration / 2 / SECOND * SECOND;
	return tried.duration >= 2 * SECOND && take_if_fails(s, &tried);
}

static bool
fewer_members(Settings *s)
{
	Settings	tried = *s;

	tried.members--;
	tried.appenders = Min(s->appenders, tried.members);
	return tried.members >= 2 && take_if_fails(s, &tried);
}

void
shrink(const Settings *settings, Settings *smaller)
{
	*smaller = *settings;
	while (fewer_faults(smaller) || less_time(smaller) || fewer_members(smaller))
		;
}

/* The command that runs it again */
void
print_command(const Settings *s)
{
	Settings	drawn = settings_of(s->seed);
	const char *before = " --without ";

	printf("sim --seed %llu --members %d --duration %llu", (unsigned long long) s->seed, s->members,
		   (unsigned long long) (s->duration / SECOND));
	for (int i = 0; i < FAULT_COUNT; i++)
		if (drawn.fault[i] && !s->fault[i])
		{
			printf("%s%s", before, fault_names[i]);
			before = ",";
		}
	before = " --with ";
	for (int i = 0; i < FAULT_COUNT; i++)
		if (!drawn.fault[i] && s->fault[i])
		{
			printf("%s%s", before, fault_names[i]);
			before = ",";
		}
	if (s->mutant != MUTANT_NONE)
		printf(" --mutant %s", mutant_name(s->mutant));
	printf(" --trace\n");
}

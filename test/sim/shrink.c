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
fails(const void *settings)
{
	Outcome		outcome = run_seed(settings, false);

	return !outcome.passed;
}

static bool
smaller_so(void *settings, int way)
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
		return s->duration >= 2 * SECOND;
	}
	s->members--;
	s->appenders = Min(s->appenders, s->members);
	return s->members >= 2;
}

void
shrink(const Settings *settings, Settings *smaller)
{
	static const Shrinking how = {sizeof(Settings), FAULT_COUNT + 2, fails, smaller_so};

	*smaller = *settings;
	shrink_settings(&how, smaller);
}

/* The command that runs it again */
void
print_command(const Settings *s)
{
	Settings	drawn = settings_of(s->seed);

	printf("sim --seed %llu --members %d --duration %llu", (unsigned long long) s->seed, s->members,
		   (unsigned long long) (s->duration / SECOND));
	print_faults(fault_names, FAULT_COUNT, drawn.fault, s->fault);
	if (s->mutant != MUTANT_NONE)
		printf(" --mutant %s", mutant_name(s->mutant));
	printf(" --trace\n");
}

/*-------------------------------------------------------------------------
 *
 * mutants.c
 *	  Is a rule that is left out found?
 *
 * A simulator may be green because one rule hides that another is missing.  So
 * each mutant leaves out one, in the part that is played here, or between it and
 * the core; and each must fail within some seeds, for the reason that it should.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

/* Where it shows, and what must be said of it. */
static const struct
{
	const char *name;
	Fault		fault;
	const char *says;
}			mutants[MUTANT_COUNT] = {
	[MUTANT_NONE] = {"none", FAULT_LOSS, ""},
	[MUTANT_BITS] = {"wrong-bits", FAULT_LIAR, "its bits are wrong"},
	[MUTANT_WORK] = {"too-little-work", FAULT_LIAR, "it has too little work"},
	[MUTANT_STATE] = {"unknown-state", FAULT_LIAR, "it builds on another state"},
	[MUTANT_SIGNATURE] = {"wrong-signature", FAULT_LIAR, "it is not signed by a member"},
	[MUTANT_EARLY] = {"too-soon", FAULT_LIAR, "it comes too soon after its parent"},
	[MUTANT_FUTURE] = {"from-the-future", FAULT_HOUR, "before its time"},
	[MUTANT_HISTORY] = {"wrong-history", FAULT_LIAR, "its history is another"},
	[MUTANT_BUNDLE_TWICE] = {"bundle-twice", FAULT_LIAR, "a bundle is not the next"},
	[MUTANT_BODY] = {"wrong-body", FAULT_LIAR, "takes a"},
	[MUTANT_ANCHOR] = {"anchor-stays", FAULT_STALL, "its bits are wrong"},
	[MUTANT_EQUAL_WORK] = {"equal-work", FAULT_LOSS, "no more work than it had"},
	[MUTANT_LIMIT] = {"no-limit", FAULT_SHALLOW, "and the limit is"},
	[MUTANT_PENDING] = {"lost-bundles", FAULT_PARTITION, "are on the chain"},
	[MUTANT_MESSAGE_TWICE] = {"message-twice", FAULT_DUPLICATION, "applies message"},
	[MUTANT_GAP] = {"gap", FAULT_LOSS, "applies message"},
	[MUTANT_INCOMPLETE] = {"incomplete-parent", FAULT_WITHHOLDING, "whose body is not stored"},
	[MUTANT_UNAVAILABLE] = {"no-body", FAULT_WITHHOLDING, "whose body is not stored"},
	[MUTANT_CLOSING] = {"no-closing", FAULT_LOSS, "do not agree"},
	[MUTANT_PARENTS] = {"unknown-parents", FAULT_PARTITION, "do not agree"},
	[MUTANT_POISON] = {"poison", FAULT_LIAR, "do not agree"},
	[MUTANT_QUORUM] = {"one-statement", FAULT_WITHHOLDING, "whose body is not stored"},
	[MUTANT_PATIENCE] = {"patience-for-ever", FAULT_WITHHOLDING, "no new head"},
	[MUTANT_LINK_VALUE] = {"link-value", FAULT_RESTORE, "the link"},
};

const char *
mutant_name(Mutant mutant)
{
	return mutants[mutant].name;
}

/* What hides it is off, what shows it is on. */
static Settings
settings_for(Mutant mutant, uint64_t seed)
{
	Settings	s = settings_of(seed);

	s.mutant = mutant;
	if (mutant != MUTANT_LIMIT)
		settings_switch(&s, FAULT_SHALLOW, false);
	if (mutant == MUTANT_PATIENCE)
	{
		for (int i = 0; i < FAULT_COUNT; i++)
			settings_switch(&s, (Fault) i, false);
		s.duration = 5 * MINUTE;
	}
	settings_switch(&s, mutants[mutant].fault, true);
	if (mutant == MUTANT_LIMIT)
		settings_switch(&s, FAULT_PARTITION, true);
	if (mutant == MUTANT_GAP)
		s.window = 4;
	if (mutant == MUTANT_CLOSING)
		s.delay_min = s.params.spacing;
	return s;
}

static bool
kill(Mutant mutant, uint64_t seeds)
{
	for (uint64_t seed = 1; seed <= seeds; seed++)
	{
		Settings	s = settings_for(mutant, seed);
		Outcome		outcome = run_seed(&s, false);

		if (outcome.passed || strstr(outcome.failure, mutants[mutant].says) == NULL)
			continue;
		printf("ok - mutant %s: seed %llu, %s\n", mutants[mutant].name, (unsigned long long) seed, outcome.failure);
		return true;
	}
	printf("not ok - mutant %s lives after %llu seeds\n", mutants[mutant].name, (unsigned long long) seeds);
	return false;
}

void
mutants_run(uint64_t seeds, int *passed, int *failed)
{
	for (int i = MUTANT_NONE + 1; i < MUTANT_COUNT; i++)
	{
		bool		killed = kill((Mutant) i, seeds);

		*passed += killed;
		*failed += !killed;
	}
}

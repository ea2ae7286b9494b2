/*-------------------------------------------------------------------------
 *
 * sealer.c
 *	  The worker that seals: when, and of which chain.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "chain.h"
#include "clock.h"
#include "guc.h"
#include "seal.h"
#include "sealer.h"
#include "step.h"
#include "stmt.h"
#include "wake.h"
#include "worker.h"

/* A wake-up may be lost, and COMMIT PREPARED gives none: look now and then. */
#define LOOK_ANYWAY_US (10 * USECS_PER_SEC)

static uint64 waiting_since = 0;	/* the first append not yet looked at */
static uint64 looked_at = 0;

static List *
load_chains(void)
{
	MemoryContext turn = CurrentMemoryContext;
	FtcScope	scope;
	List	   *chains = NIL;
	ListCell   *cell;

	if (!ftc_step_begin("looking at the chains"))
		return NIL;
	ftc_enter(&scope);
	foreach(cell, ftc_chain_list())
	{
		MemoryContext inner = MemoryContextSwitchTo(turn);
		FtcChain   *chain = palloc(sizeof(FtcChain));

		*chain = *(FtcChain *) lfirst(cell);
		chain->name = pstrdup(chain->name);
		chains = lappend(chains, chain);
		MemoryContextSwitchTo(inner);
	}
	ftc_leave(&scope);
	ftc_step_end();
	MemoryContextSwitchTo(turn);
	return chains;
}

/* By age, by count, by bytes.  *nap is set to what is left of the age. */
static bool
is_due(uint64 now, long *nap)
{
	int64		entries;
	int64		bytes;
	uint64		due;

	if (now - looked_at > LOOK_ANYWAY_US)
		return true;
	ftc_wake_appended(&entries, &bytes, false);
	if (entries == 0)
		return false;
	if (waiting_since == 0)
		waiting_since = now;
	due = waiting_since + (uint64) ftc_guc_seal_delay * 1000;
	if (now >= due || entries >= ftc_guc_seal_entries || bytes >= (int64) ftc_guc_seal_bytes * 1024)
		return true;
	*nap = Min(*nap, (long) ((due - now) / 1000) + 1);
	return false;
}

static void
bundle_all(List *chains)
{
	ListCell   *cell;
	int64		entries;
	int64		bytes;

	/* counted anew from here: what commits now is seen, or counted */
	ftc_wake_appended(&entries, &bytes, true);
	waiting_since = 0;
	looked_at = ftc_clock_now();
	ftc_worker_progress("bundling");
	foreach(cell, chains)
	{
		bool		more = true;

		while (more)
		{
			FtcScope	scope;

			if (!ftc_step_begin("bundling"))
				return;
			ftc_enter(&scope);
			more = ftc_seal_bundle(lfirst(cell));
			ftc_leave(&scope);
			ftc_step_end();
			ftc_worker_attend();
		}
	}
}

/* One block of a chain.  Ms until there may be another; 0: at once. */
static long
make_block(const FtcChain *chain)
{
	MemoryContext turn = CurrentMemoryContext;
	FtcScope	scope;
	FtcCandidate *candidate = NULL;
	uint64		wait_until = 0;
	FtcSealResult result;

	if (!ftc_step_begin("collecting a block"))
		return PG_INT32_MAX;
	ftc_enter(&scope);
	result = ftc_seal_candidate(chain, turn, &candidate, &wait_until);
	ftc_leave(&scope);
	ftc_step_end();
	if (result == FTC_SEAL_NOTHING)
		return PG_INT32_MAX;
	if (result == FTC_SEAL_TOO_EARLY)
	{
		uint64		now = ftc_clock_now();

		return wait_until > now ? (long) ((wait_until - now) / 1000) + 1 : 0;
	}
	MemoryContextSwitchTo(turn);
	ftc_worker_progress(psprintf("mining \"%s\"", chain->name));
	if (!ftc_seal_mine(candidate) || !ftc_step_begin("publishing a block"))
		return 0;
	ftc_enter(&scope);
	ftc_seal_publish(chain, candidate);
	ftc_leave(&scope);
	ftc_step_end();
	return 0;
}

long
ftc_sealer_turn(void)
{
	List	   *chains = load_chains();
	long		nap = PG_INT32_MAX;
	ListCell   *cell;

	if (ftc_worker_must_leave())
		return 0;
	if (is_due(ftc_clock_now(), &nap))
		bundle_all(chains);
	foreach(cell, chains)
	{
		long		next = make_block(lfirst(cell));

		nap = Min(nap, next);
	}
	ftc_worker_progress("idle");
	return nap;
}

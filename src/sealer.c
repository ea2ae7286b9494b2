/*-------------------------------------------------------------------------
 *
 * sealer.c
 *	  The worker that seals: when, and of which chain.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "board.h"
#include "chain.h"
#include "clock.h"
#include "guc.h"
#include "mining.h"
#include "seal.h"
#include "sealer.h"
#include "step.h"
#include "stmt.h"
#include "wake.h"
#include "worker.h"

#define NO_PLACE_MS 500
#define RENEW_US	(2 * UINT64CONST(1000000))
#define RENEW_SHARE	20			/* a twentieth of our time, at most */
#define KEEP_US		UINT64CONST(1000000)

/* A wake-up may be lost, and COMMIT PREPARED gives none: look now and then. */
#define LOOK_ANYWAY_US (10 * USECS_PER_SEC)

/* By ftc_clock_steady(). */
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
	looked_at = ftc_clock_steady();
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

/* ----------------------------------------------------------------
 *		Candidates
 * ----------------------------------------------------------------
 */

/* Of a chain, between two turns. */
typedef struct Mined
{
	int32		chain;
	MemoryContext context;		/* the candidate lives in */
	MemoryContext next;			/* the one that is made lives in */
	FtcCandidate *candidate;	/* NULL: none */
	uint64		made_at;		/* by ftc_clock_steady() */
	uint64		took;			/* to make it */
	uint64		kept_at;
	uint64		waits_since;	/* for a place on the board; 0: not */
	bool		resumed;		/* what was kept has been looked at */
} Mined;

static List *mined = NIL;		/* in TopMemoryContext */

static Mined *
find_mined(int32 chain)
{
	MemoryContext outer;
	ListCell   *cell;
	Mined	   *m;

	foreach(cell, mined)
	{
		m = lfirst(cell);
		if (m->chain == chain)
			return m;
	}
	outer = MemoryContextSwitchTo(TopMemoryContext);
	m = palloc0(sizeof(Mined));
	m->chain = chain;
	m->context = AllocSetContextCreate(TopMemoryContext, "ftchain candidate", ALLOCSET_DEFAULT_SIZES);
	m->next = AllocSetContextCreate(TopMemoryContext, "ftchain candidate", ALLOCSET_DEFAULT_SIZES);
	mined = lappend(mined, m);
	MemoryContextSwitchTo(outer);
	return m;
}

static void
drop(Mined *m)
{
	m->candidate = NULL;
	m->waits_since = 0;
	ftc_board_withdraw(m->chain);
}

static bool
is_mining(void)
{
	ListCell   *cell;

	foreach(cell, mined)
		if (((Mined *) lfirst(cell))->candidate != NULL)
		return true;
	return false;
}

/* Chains that are not there any more. */
static void
forget_gone(List *chains)
{
	ListCell   *cell;

	foreach(cell, mined)
	{
		Mined	   *m = lfirst(cell);
		ListCell   *other;
		bool		there = false;

		foreach(other, chains)
			there |= ((FtcChain *) lfirst(other))->id == m->chain;
		if (there)
			continue;
		drop(m);
		MemoryContextDelete(m->context);
		MemoryContextDelete(m->next);
		mined = foreach_delete_current(mined, cell);
		pfree(m);
	}
}

/* With what has come meanwhile, and a new time; it is not to take much of ours. */
static uint64
renewal(const Mined *m)
{
	return m->made_at + Max(RENEW_US, RENEW_SHARE * m->took);
}

/* False if the old one was found meanwhile, or if there is no place for it now. */
static bool
replace(const FtcChain *chain, Mined *m, FtcCandidate *candidate, uint64 attempts, uint64 since)
{
	MemoryContext before = m->context;

	if (!ftc_board_post(chain->id, &candidate->header, candidate->heads, attempts, since))
		return false;
	m->candidate = candidate;
	m->context = m->next;
	m->next = before;
	m->waits_since = 0;
	m->resumed = true;
	ftc_worker_progress(psprintf("mining \"%s\"", chain->name));
	return true;
}

/* A new candidate.  Ms until there may be one; 0: it is there. */
static long
renew(const FtcChain *chain, Mined *m)
{
	FtcScope	scope;
	FtcSealResult result;
	FtcCandidate *candidate = NULL;
	uint64		wait_until = 0;
	uint64		attempts = 0;
	uint64		since = ftc_clock_now();
	FtcPosted	posted;

	/* the old one stays posted until then, and may be found */
	MemoryContextReset(m->next);
	m->made_at = m->kept_at = ftc_clock_steady();
	if (!ftc_step_begin("collecting a block"))
		return PG_INT32_MAX;
	ftc_enter(&scope);
	result = ftc_seal_candidate(chain, m->next, &candidate, &wait_until);
	if (result == FTC_SEAL_READY && !m->resumed)
		ftc_seal_resume(chain->id, &candidate->header, &attempts, &since);
	ftc_leave(&scope);
	ftc_step_end();
	m->took = ftc_clock_steady() - m->made_at;
	if (result == FTC_SEAL_READY)
	{
		if (!replace(chain, m, candidate, attempts, since) && !ftc_board_look(chain->id, &posted))
		{
			/* others have all places */
			m->candidate = NULL;
			if (m->waits_since == 0)
				m->waits_since = m->made_at;
			return NO_PLACE_MS;
		}
		return 0;
	}
	drop(m);
	if (result == FTC_SEAL_TOO_EARLY)
		return wait_until > since ? (long) ((wait_until - since) / 1000) + 1 : 0;
	return PG_INT32_MAX;
}

static void
publish(const FtcChain *chain, Mined *m, const FtcPosted *posted)
{
	FtcCandidate *candidate = m->candidate;
	FtcScope	scope;

	candidate->header = posted->header;
	drop(m);
	if (!ftc_step_begin("publishing a block"))
		return;
	ftc_enter(&scope);
	ftc_seal_publish(chain, candidate);
	ftc_leave(&scope);
	ftc_step_end();
}

static void
keep(Mined *m, const FtcPosted *posted)
{
	FtcScope	scope;

	m->kept_at = ftc_clock_steady();
	if (!ftc_step_begin("keeping a candidate"))
		return;
	ftc_step_may_be_lost();
	ftc_enter(&scope);
	ftc_seal_keep(m->chain, &posted->header, posted->attempts, posted->since);
	ftc_leave(&scope);
	ftc_step_end();
}

/* What there is to do for a chain.  Ms until there is more. */
static long
tend(const FtcChain *chain)
{
	Mined	   *m = find_mined(chain->id);
	FtcPosted	posted;
	bool		is_posted = m->candidate != NULL && ftc_board_look(chain->id, &posted);
	uint64		now = ftc_clock_steady();
	uint64		next;
	long		nap = 0;

	if (is_posted && posted.found)
		publish(chain, m, &posted);
	else if (is_posted && now - m->kept_at > KEEP_US)
		keep(m, &posted);
	if (!is_posted || m->candidate == NULL || m->candidate->heads != ftc_wake_heads(chain->id) || now > renewal(m))
		nap = renew(chain, m);
	if (m->candidate == NULL)
		return nap;
	now = ftc_clock_steady();
	next = Min(renewal(m), m->kept_at + KEEP_US);
	return next > now ? (long) ((next - now) / 1000) + 1 : 0;
}

/*
 * Who has waited longest for a place is the first to look for one: a chain that
 * has just lost its own would always take the next one that is free, if it came
 * earlier in the list.
 */
static int
by_waiting(const ListCell *a, const ListCell *b)
{
	int32		chain[2] = {((FtcChain *) lfirst(a))->id, ((FtcChain *) lfirst(b))->id};
	uint64		since[2];

	for (int i = 0; i < 2; i++)
	{
		since[i] = find_mined(chain[i])->waits_since;
		if (since[i] == 0)
			since[i] = PG_UINT64_MAX;
	}
	if (since[0] != since[1])
		return since[0] < since[1] ? -1 : 1;
	return chain[0] < chain[1] ? -1 : 1;
}

/*
 * Without miners we mine, slice by slice, until there is something else to do:
 * in so many ms, or earlier.
 */
static void
mine(FtcDatabaseSlot *database, long nap)
{
	uint64		until = ftc_clock_steady() + (uint64) nap * 1000;
	bool		called = false;

	while (!called && ftc_clock_steady() < until && !ftc_worker_must_leave() &&
		   ftc_board_miners(database) == 0)
	{
		FtcMined	slice;

		if (!ftc_board_slice(database, &slice))
			break;
		ftc_worker_mined(slice.attempts, slice.us);
		called = slice.found || ftc_mining_rest(slice.us) || is_due(ftc_clock_steady(), &nap);
		ftc_worker_attend();
	}
}

long
ftc_sealer_turn(void)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);
	List	   *chains = load_chains();
	long		nap = PG_INT32_MAX;
	ListCell   *cell;

	if (ftc_worker_must_leave())
		return 0;
	forget_gone(chains);
	if (is_due(ftc_clock_steady(), &nap))
		bundle_all(chains);
	list_sort(chains, by_waiting);
	foreach(cell, chains)
	{
		long		next = tend(lfirst(cell));

		nap = Min(nap, next);
	}
	if (!is_mining())
		ftc_worker_progress("idle");
	else if (database != NULL && ftc_board_miners(database) == 0)
	{
		mine(database, nap);
		return 0;
	}
	return nap;
}

/*-------------------------------------------------------------------------
 *
 * keeper.c
 *	  The worker that scrubs and repairs, a slice at a time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "branch.h"
#include "chain.h"
#include "clock.h"
#include "early.h"
#include "guc.h"
#include "identity.h"
#include "inbox.h"
#include "message.h"
#include "keeper.h"
#include "outbox.h"
#include "repair.h"
#include "step.h"
#include "stmt.h"
#include "store.h"
#include "topic.h"
#include "wake.h"
#include "worker.h"

#define SLICE_BLOCKS 500
#define REPAIR_EVERY_US (2 * USECS_PER_SEC)
#define MOVES_EVERY_US (2 * USECS_PER_SEC)
#define TIDY_FIRST_US (1 * USECS_PER_SEC)	/* peers may not have been heard
											 * of yet */
#define TIDY_EVERY_US (60 * USECS_PER_SEC)
#define OUTBOX_KEEP 10000

/* The next chain from here on that has damage, else the first. */
static FtcStmt damaged_chain = {
	.sql = "SELECT c.id FROM ftchain.chain c WHERE EXISTS"
	" (SELECT FROM ftchain.damage d WHERE d.chain = c.id AND d.repaired IS NULL)"
	" ORDER BY c.id < $1, c.id LIMIT 1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static uint64 scrubbed_at = 0;	/* when the last cycle began */
static bool scrubbing = false;
static int32 scrub_chain = 0;	/* where the cycle is */
static int64 scrub_height = 0;
static bool scrub_strays = false;	/* the blocks are done */
static int64 scrub_after = -1;	/* entry */
static uint64 repair_at = 0;
static int	repair_failures = 0;
static int32 repair_chain = 0;	/* where repairing is */
static int64 repair_height = -1;
static uint64 moves_at = 0;
static uint64 tidy_at = 0;
static uint64 tidy_wait = TIDY_FIRST_US;

/*
 * A database that is nobody is a copy of another one, maybe still being made:
 * COPY by COPY a dump passes through states that look like damage.
 */
static bool
is_somebody(void)
{
	FtcIdentity self;

	return ftc_identity_load(&self);
}

/* The chain to scrub now: the one we are at, or the next; false at the end. */
static bool
find_scrub_chain(FtcChain *found)
{
	ListCell   *cell;

	foreach(cell, ftc_chain_list())
	{
		FtcChain   *chain = lfirst(cell);

		if (chain->id < scrub_chain)
			continue;
		if (chain->id != scrub_chain)
		{
			scrub_height = 0;
			scrub_strays = false;
		}
		scrub_chain = chain->id;
		*found = *chain;
		return true;
	}
	return false;
}

/* Blocks with their entries; after the last, entries that belong nowhere. */
static void
scrub_next(const FtcChain *chain)
{
	bool		last;

	if (!scrub_strays)
	{
		ftc_worker_progress(psprintf("scrubbing \"%s\" from height %lld", chain->name, (long long) scrub_height));
		last = scrub_height + SLICE_BLOCKS > ftc_store_main_height(chain->id);
		(void) ftc_scrub(chain, scrub_height, last ? -1 : scrub_height + SLICE_BLOCKS - 1, false);
		scrub_height += SLICE_BLOCKS;
		scrub_strays = last;
		scrub_after = -1;
	}
	else if (!ftc_scrub_strays(chain, &scrub_after))
		scrub_chain++;
}

static bool
scrub_slice(void *arg)
{
	FtcScope	scope;
	FtcChain	chain;

	if (!ftc_step_begin("scrubbing"))
		return false;
	ftc_enter(&scope);
	if (is_somebody() && find_scrub_chain(&chain))
		scrub_next(&chain);
	else
		scrubbing = false;
	ftc_leave(&scope);
	ftc_step_end();
	return scrubbing;
}

static void
note_action(void *arg, const FtcChain *chain, const FtcRepairAction *action)
{
	ereport(LOG,
			errmsg("ftchain: chain \"%s\", height %lld: %s: %s", chain->name, (long long) action->height,
				   action->what, action->action));
}

/* A part of a repair, in a transaction of its own. */
typedef struct Repair
{
	enum
	{
		REPAIR_DERIVED,
		REPAIR_BLOCKS,
		REPAIR_REST
	}			part;
	bool		any;			/* there is damage */
	int			left;			/* that could not be repaired */
} Repair;

static bool
repair_part(void *arg)
{
	Repair	   *r = arg;
	FtcScope	scope;
	ListCell   *cell;

	if (!ftc_step_begin("repairing"))
		return false;
	ftc_enter(&scope);
	if (is_somebody() && ftc_run(&damaged_chain, Int32GetDatum(repair_chain)) > 0)
	{
		int32		id = DatumGetInt32(ftc_value(0, 0));

		ftc_worker_progress("repairing");
		r->any = true;
		if (id != repair_chain)
			repair_height = -1;
		repair_chain = id;
		foreach(cell, ftc_chain_list())
		{
			const FtcChain *chain = lfirst(cell);

			if (chain->id != id)
				continue;
			if (r->part == REPAIR_DERIVED)
				ftc_repair_derived(chain, false, note_action, NULL);
			else if (r->part == REPAIR_BLOCKS)
				r->left += ftc_repair_blocks(chain, false, GetUserId(), &repair_height, note_action, NULL);
			else
				r->left += ftc_repair_rest(chain, false, note_action, NULL);
		}
	}
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

/* A batch of one chain; the next chain's turn comes when it is through. */
static void
repair_some(void)
{
	Repair		r = {0};
	bool		ok = true;
	bool		more;

	for (r.part = REPAIR_DERIVED; ok && r.part <= REPAIR_REST; r.part++)
		ok = ftc_step_try(repair_part, &r, &more) && r.any;
	if (repair_height < 0)
		repair_chain++;
	repair_failures = !r.any || (ok && r.left == 0) ? 0 : Min(repair_failures + 1, 6);
	repair_at = ftc_clock_steady() + (REPAIR_EVERY_US << repair_failures);
}

/* True if there is more of it at once. */
static bool
look_for_moves(void *arg)
{
	FtcScope	scope;
	ListCell   *cell;
	bool		more = false;

	if (!ftc_step_begin("looking for bodies that should be here"))
		return false;
	ftc_enter(&scope);
	foreach(cell, is_somebody() ? ftc_chain_list() : NIL)
	{
		FtcChain   *chain = lfirst(cell);

		if (ftc_inbox_want_missing(chain) > 0)
			ftc_wake_at_commit(FTC_WAKE_COURIER);
		more |= ftc_inbox_state_held(chain);
	}
	ftc_leave(&scope);
	ftc_step_end();
	return more;
}

static bool
tidy(void *arg)
{
	FtcScope	scope;
	FtcIdentity self;
	ListCell   *cell;

	if (!ftc_step_begin("looking for what need not be kept"))
		return false;
	ftc_enter(&scope);
	if (ftc_identity_load(&self))
	{
		ftc_message_prune(self.incarnation);
		ftc_applied_prune();
		ftc_early_prune();
	}
	foreach(cell, is_somebody() ? ftc_chain_list() : NIL)
	{
		FtcChain   *chain = lfirst(cell);

		ftc_outbox_prune(chain->id, OUTBOX_KEEP, ftc_guc_outbox_limit);
	}
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

long
ftc_keeper_turn(void)
{
	uint64		now = ftc_clock_steady();
	bool		more = false;
	bool		moves = false;	/* there are more to look for */

	if (!scrubbing && ftc_guc_scrub_interval > 0 &&
		now - scrubbed_at > (uint64) ftc_guc_scrub_interval * USECS_PER_SEC)
	{
		scrubbing = true;
		scrubbed_at = now;
		scrub_chain = 0;
		scrub_height = 0;
	}
	if (scrubbing && !ftc_step_try(scrub_slice, NULL, &more))
		scrubbing = false;
	if (now >= repair_at)
		repair_some();
	if (now >= moves_at)
	{
		more = false;
		moves = ftc_step_try(look_for_moves, NULL, &more) && more;
		moves_at = moves ? 0 : now + MOVES_EVERY_US;
	}
	if (now >= tidy_at)
	{
		(void) ftc_step_try(tidy, NULL, &more);
		tidy_at = now + tidy_wait;
		tidy_wait = Min(2 * tidy_wait, TIDY_EVERY_US);
	}
	ftc_worker_progress(scrubbing ? "scrubbing" : "idle");
	return scrubbing || moves ? 1 : 1000;
}

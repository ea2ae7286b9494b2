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
#include "guc.h"
#include "inbox.h"
#include "keeper.h"
#include "outbox.h"
#include "repair.h"
#include "stmt.h"
#include "store.h"
#include "worker.h"

#define SLICE_BLOCKS 500
#define REPAIR_EVERY_US (2 * USECS_PER_SEC)
#define TIDY_EVERY_US (60 * USECS_PER_SEC)
#define OUTBOX_KEEP 10000
#define OUTBOX_MOST 1000000

static FtcStmt any_damage = {
	.sql = "SELECT FROM ftchain.damage WHERE repaired IS NULL LIMIT 1",
};

static uint64 scrubbed_at = 0;	/* when the last cycle began */
static bool scrubbing = false;
static int32 scrub_chain = 0;	/* where the cycle is */
static int64 scrub_height = 0;
static uint64 repair_at = 0;
static int	repair_failures = 0;
static uint64 tidy_at = 0;

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
			scrub_height = 0;
		scrub_chain = chain->id;
		*found = *chain;
		return true;
	}
	return false;
}

/* One slice of blocks with their entries; at the end of a chain, the strays. */
static bool
scrub_slice(void *arg)
{
	FtcScope	scope;
	FtcChain	chain;

	if (!ftc_step_begin("scrubbing"))
		return false;
	ftc_enter(&scope);
	if (!find_scrub_chain(&chain))
		scrubbing = false;
	else
	{
		bool		last = scrub_height + SLICE_BLOCKS > ftc_store_main_height(chain.id);

		ftc_worker_progress(psprintf("scrubbing \"%s\" from height %lld", chain.name, (long long) scrub_height));
		if (last && scrub_height == 0)
			(void) ftc_scrub(&chain, 0, -1, true);
		else
			(void) ftc_scrub(&chain, scrub_height, last ? -1 : scrub_height + SLICE_BLOCKS - 1, false);
		scrub_height += SLICE_BLOCKS;
		if (last)
		{
			scrub_chain++;
			scrub_height = 0;
		}
	}
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

static bool
repair_all(void *arg)
{
	int		   *left = arg;
	FtcScope	scope;
	ListCell   *cell;

	*left = 0;
	if (!ftc_step_begin("repairing"))
		return false;
	ftc_enter(&scope);
	if (ftc_run(&any_damage, 0) > 0)
	{
		ftc_worker_progress("repairing");
		foreach(cell, ftc_chain_list())
			* left += ftc_repair(lfirst(cell), false, false, GetUserId(), note_action, NULL);
	}
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

static bool
tidy(void *arg)
{
	FtcScope	scope;
	ListCell   *cell;

	if (!ftc_step_begin("looking for missing bodies"))
		return false;
	ftc_enter(&scope);
	foreach(cell, ftc_chain_list())
	{
		FtcChain   *chain = lfirst(cell);

		if (ftc_inbox_want_missing(chain) > 0)
			ftc_worker_wake_at_commit(FTC_WAKE_COURIER);
		ftc_outbox_prune(chain->id, OUTBOX_KEEP, OUTBOX_MOST);
	}
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

long
ftc_keeper_turn(void)
{
	uint64		now = ftc_clock_now();
	bool		more = false;
	int			left = 0;

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
	{
		bool		ok = ftc_step_try(repair_all, &left, &more);

		repair_failures = ok && left == 0 ? 0 : Min(repair_failures + 1, 6);
		repair_at = ftc_clock_now() + (REPAIR_EVERY_US << repair_failures);
	}
	if (now >= tidy_at)
	{
		(void) ftc_step_try(tidy, NULL, &more);
		tidy_at = now + TIDY_EVERY_US;
	}
	ftc_worker_progress(scrubbing ? "scrubbing" : "idle");
	return scrubbing ? 1 : 1000;
}

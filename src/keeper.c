/*-------------------------------------------------------------------------
 *
 * keeper.c
 *	  The worker that scrubs and repairs, and sees that bodies are where they should be
 *	  and nowhere else, a slice at a time; it takes what others have
 *	  no time for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "alarm.h"
#include "branch.h"
#include "chain.h"
#include "clock.h"
#include "compare.h"
#include "copies.h"
#include "early.h"
#include "fetch.h"
#include "guc.h"
#include "identity.h"
#include "inbox.h"
#include "message.h"
#include "keeper.h"
#include "outbox.h"
#include "proofs.h"
#include "reading.h"
#include "repair.h"
#include "scrub.h"
#include "sharding.h"
#include "step.h"
#include "stmt.h"
#include "store.h"
#include "topic.h"
#include "trim.h"
#include "wake.h"
#include "worker.h"

#define SCRUB_LOOK_US (1 * USECS_PER_SEC)
#define REPAIR_EVERY_US (2 * USECS_PER_SEC)
#define NOTES_EVERY_US (2 * USECS_PER_SEC)
#define COMPARE_LOOK_US (1 * USECS_PER_SEC)
#define SUMS_EVERY_US (60 * USECS_PER_SEC)
#define MOVES_EVERY_US (2 * USECS_PER_SEC)
#define TRIM_LEAST_US (1 * USECS_PER_SEC)
#define TRIM_MOST_US (600 * USECS_PER_SEC)
#define TRIM_AGAIN_US (100 * 1000)
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

/* Passes of one kind. */
typedef struct Pace
{
	bool		going;			/* one is under way */
	uint64		at;				/* when the next slice is due, or to be looked
								 * for */
} Pace;

static Pace light_pace;
static Pace deep_pace;
static uint64 repair_at = 0;
static int	repair_failures = 0;
static int32 repair_chain = 0;	/* where repairing is */
static int64 repair_height = -1;
static uint64 notes_at = 0;
static uint64 compare_at = 0;
static uint64 sums_at = 0;
static uint64 moves_at = 0;
static uint64 proofs_at = 0;
static uint64 trimmed_at = 0;
static bool trims_on = false;	/* there is more to look at */
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

/* A slice of a pass. */
typedef struct Slice
{
	bool		light;
	bool		any;			/* one was due */
	int64		bytes;			/* read */
	int64		faults;
} Slice;

static bool
scrub_slice(void *arg)
{
	Slice	   *slice = arg;
	FtcScope	scope;

	if (!ftc_step_begin("scrubbing"))
		return false;
	ftc_enter(&scope);
	slice->any = is_somebody() && ftc_scrub_next(slice->light, &slice->bytes, &slice->faults);
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

/*
 * Light passes go on at once, deep ones at their rate: what was read is paid for
 * by waiting.
 */
static void
scrub_some(bool light, uint64 now, Pace *pace)
{
	Slice		slice = {.light = light};
	bool		more;

	if (now < pace->at)
		return;
	pace->going = ftc_step_try(scrub_slice, &slice, &more) && slice.any;
	pace->at = now;
	/* what is new need not wait, what failed must */
	if (slice.faults > 0 && repair_failures == 0)
		repair_at = now;
	if (!pace->going)
		pace->at += SCRUB_LOOK_US;
	else if (ftc_guc_scrub_rate > 0)
		pace->at += (uint64) slice.bytes * USECS_PER_SEC / ((uint64) ftc_guc_scrub_rate * 1024);
}

/* What was found and repaired, on each chain. */
static bool
note_damage(void *arg)
{
	FtcScope	scope;
	ListCell   *cell;
	bool		more = false;

	if (!ftc_step_begin("telling of damage"))
		return false;
	ftc_enter(&scope);
	foreach(cell, is_somebody() ? ftc_chain_list() : NIL)
		more |= ftc_scrub_note(lfirst(cell));
	ftc_leave(&scope);
	ftc_step_end();
	return more;
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
		REPAIR_INDEXES,
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
			if (!ftc_repair_may_go_on(chain))
				r->left++;
			else if (r->part == REPAIR_INDEXES)
				r->left += ftc_repair_indexes(chain, false, note_action, NULL);
			else if (r->part == REPAIR_DERIVED)
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

	for (r.part = REPAIR_INDEXES; ok && r.part <= REPAIR_REST; r.part++)
		ok = ftc_step_try(repair_part, &r, &more) && r.any;
	if (repair_height < 0)
		repair_chain++;
	repair_failures = !r.any || (ok && r.left == 0) ? 0 : Min(repair_failures + 1, 6);
	repair_at = ftc_clock_steady();
	/* the next batch at once, if this one went well */
	if (repair_failures > 0 || repair_height < 0)
		repair_at += REPAIR_EVERY_US << repair_failures;
}

/* With one peer about one chain. */
typedef struct Pair
{
	char	   *server;			/* NULL: none is due */
	FtcChain	chain;
	MemoryContext context;
} Pair;

static bool
find_pair(void *arg)
{
	Pair	   *pair = arg;
	FtcScope	scope;
	char	   *server;

	if (!ftc_step_begin("looking for peers to compare with"))
		return false;
	ftc_enter(&scope);
	server = is_somebody() ? ftc_compare_due(ftc_guc_compare_interval, &pair->chain) : NULL;
	pair->server = server == NULL ? NULL : MemoryContextStrdup(pair->context, server);
	if (server != NULL)
		pair->chain.name = MemoryContextStrdup(pair->context, pair->chain.name);
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

static bool
compare_pair(void *arg)
{
	Pair	   *pair = arg;
	FtcScope	scope;

	if (!ftc_step_begin("comparing"))
		return false;
	ftc_enter(&scope);
	ftc_worker_progress(psprintf("comparing \"%s\" with \"%s\"", pair->chain.name, pair->server));
	ftc_compare_peer(pair->server, &pair->chain, GetUserId());
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

static bool
note_failure(void *arg)
{
	Pair	   *pair = arg;
	FtcScope	scope;

	if (!ftc_step_begin("comparing"))
		return false;
	ftc_enter(&scope);
	ftc_compare_failed(pair->server, &pair->chain);
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

static void
compare_some(void)
{
	Pair		pair = {.context = CurrentMemoryContext};
	bool		more;

	if (!ftc_step_try(find_pair, &pair, &more) || pair.server == NULL)
		return;
	if (!ftc_step_try(compare_pair, &pair, &more))
		(void) ftc_step_try(note_failure, &pair, &more);
	pfree(pair.server);
	pfree(pair.chain.name);
}

/* Digests of who stores what; true if there are more to be made. */
static bool
sum_up_copies(void *arg)
{
	FtcScope	scope;
	ListCell   *cell;
	bool		more = false;

	if (!ftc_step_begin("summing up what members store"))
		return false;
	ftc_enter(&scope);
	foreach(cell, is_somebody() ? ftc_chain_list() : NIL)
		more |= ftc_copies_sum_up(lfirst(cell));
	ftc_leave(&scope);
	ftc_step_end();
	return more;
}

/* Chains are looked at one after another, each in a transaction of its own: their locks have no order. */
typedef struct Round
{
	int32		chain;			/* the one that comes next, or a later one */
} Round;

static FtcStmt next_chain = {
	.sql = "SELECT id FROM ftchain.chain WHERE id >= $1 ORDER BY id LIMIT 1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static bool
next_of_round(Round *round, FtcChain *chain)
{
	if (!is_somebody() || ftc_run(&next_chain, Int32GetDatum(round->chain)) == 0)
	{
		round->chain = -1;
		return false;
	}
	round->chain = DatumGetInt32(ftc_value(0, 0));
	return ftc_chain_by_id(chain, round->chain++);
}

/* True if one of them has more to do at once. */
static bool
go_round(bool (*step) (void *arg))
{
	Round		round = {0};
	bool		any = false;

	while (round.chain >= 0 && !ftc_worker_must_leave())
	{
		bool		more = false;
		int32		before = round.chain;

		if (ftc_step_try(step, &round, &more))
			any |= more;
		/* what has failed comes again, the others must not wait for it */
		if (round.chain == before)
			break;
	}
	return any;
}

/* Nothing goes while an operator has to look. */
static bool
may_let_go(const FtcChain *chain)
{
	return !ftc_alarm_stops(chain->id) && !ftc_alarm_holds(chain->id, FTC_ALARM_DAMAGE);
}

/* True if there is more of it at once. */
static bool
look_for_moves(void *arg)
{
	FtcScope	scope;
	FtcChain	chain;
	bool		more = false;

	if (!ftc_step_begin("looking for bodies that should be here"))
		return false;
	ftc_enter(&scope);
	if (next_of_round(arg, &chain))
	{
		if (ftc_inbox_want_missing(&chain) > 0)
			ftc_wake_at_commit(FTC_WAKE_COURIER);
		more = ftc_inbox_state_held(&chain);
		ftc_shards_restore_wanted(&chain);
		if (may_let_go(&chain))
		{
			ftc_shards_make_wanted(&chain);
			ftc_reading_trim(&chain);
		}
		(void) ftc_proofs_look_at_own(&chain);
	}
	ftc_leave(&scope);
	ftc_step_end();
	return more;
}

/*
 * a body may have come by another way, as when two blocks hold the same
 * bundles
 */
static bool
prune_fetches(void *arg)
{
	FtcScope	scope;

	if (!ftc_step_begin("looking for bodies that have come"))
		return false;
	ftc_enter(&scope);
	ftc_fetch_prune();
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

/* One challenge to each peer of each chain waits to be asked. */
static bool
draw_challenges(void *arg)
{
	FtcScope	scope;
	ListCell   *cell;

	if (!ftc_step_begin("drawing challenges"))
		return false;
	ftc_enter(&scope);
	foreach(cell, is_somebody() ? ftc_chain_list() : NIL)
		(void) ftc_proofs_draw(lfirst(cell), 1);
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

/* Between two looks through all chains: what is too much for a day can wait. */
static uint64
trim_pause(void)
{
	uint64		after = (uint64) Min(ftc_guc_shard_after, ftc_guc_trim_after < 0 ? INT_MAX : ftc_guc_trim_after);
	uint64		tenth = after * USECS_PER_SEC / 10;

	return Min(Max(tenth, TRIM_LEAST_US), TRIM_MOST_US);
}

/* True if there is more to look at. */
static bool
trim(void *arg)
{
	FtcScope	scope;
	FtcChain	chain;
	bool		more = false;

	if (!ftc_step_begin("looking for bodies that belong elsewhere"))
		return false;
	ftc_enter(&scope);
	if (next_of_round(arg, &chain) && may_let_go(&chain))
	{
		more = ftc_shards_turn(&chain);
		if (ftc_guc_trim_after >= 0)
			more |= ftc_trim(&chain);
	}
	ftc_leave(&scope);
	ftc_step_end();
	return more;
}

/*
 * Each in a transaction of its own: locks are held for a short time, and what fails
 * stops nothing else.
 */
typedef enum Tidying
{
	TIDY_SENT,
	TIDY_APPLIED,
	TIDY_EARLY,
	TIDY_PROOFS,
	TIDY_OUTBOX
} Tidying;

static bool
tidy_part(void *arg)
{
	FtcScope	scope;
	FtcIdentity self;
	ListCell   *cell;

	if (!ftc_step_begin("looking for what need not be kept"))
		return false;
	ftc_enter(&scope);
	if (ftc_identity_load(&self))
		switch (*(Tidying *) arg)
		{
			case TIDY_SENT:
				ftc_message_prune(self.incarnation);
				break;
			case TIDY_APPLIED:
				ftc_applied_prune();
				break;
			case TIDY_EARLY:
				ftc_early_prune();
				break;
			case TIDY_PROOFS:
				ftc_proofs_prune();
				break;
			case TIDY_OUTBOX:
				foreach(cell, ftc_chain_list())
					ftc_outbox_prune(((FtcChain *) lfirst(cell))->id, OUTBOX_KEEP, ftc_guc_outbox_limit);
				break;
		}
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

static void
tidy(void)
{
	bool		more;

	for (Tidying part = TIDY_SENT; part <= TIDY_OUTBOX; part++)
		(void) ftc_step_try(tidy_part, &part, &more);
}

/* ms, a second at most */
static long
time_to(uint64 at)
{
	uint64		now = ftc_clock_steady();

	return at <= now ? 1 : (long) Min((at - now) / 1000 + 1, 1000);
}

/* That have come in chunks, so that the courier does not have to: it takes a while. */
static void
take_bodies(void)
{
	FtcFinish	f = {.found = true};

	while (f.found && !ftc_worker_must_leave())
		(void) ftc_fetch_finish(&f);
}

long
ftc_keeper_turn(void)
{
	uint64		now = ftc_clock_steady();
	bool		more = false;
	bool		moves = false;	/* there are more to look for */
	uint64		next;

	take_bodies();
	scrub_some(true, now, &light_pace);
	scrub_some(false, now, &deep_pace);
	if (now >= repair_at)
		repair_some();
	if (now >= notes_at)
		notes_at = ftc_step_try(note_damage, NULL, &more) && more ? 0 : now + NOTES_EVERY_US;
	if (now >= moves_at)
	{
		moves = go_round(look_for_moves);
		(void) ftc_step_try(prune_fetches, NULL, &more);
		moves_at = moves ? 0 : now + MOVES_EVERY_US;
	}
	if (ftc_guc_proof_interval > 0 && now >= proofs_at)
	{
		(void) ftc_step_try(draw_challenges, NULL, &more);
		proofs_at = now + (uint64) ftc_guc_proof_interval * 1000;
	}
	/* the settings may have changed meanwhile */
	if (trimmed_at == 0 || now - trimmed_at >= (trims_on ? TRIM_AGAIN_US : trim_pause()))
	{
		trims_on = go_round(trim);
		trimmed_at = now;
	}
	if (now >= compare_at)
	{
		compare_some();
		compare_at = now + COMPARE_LOOK_US;
	}
	if (now >= sums_at)
		sums_at = ftc_step_try(sum_up_copies, NULL, &more) && more ? 0 : now + SUMS_EVERY_US;
	if (now >= tidy_at)
	{
		tidy();
		tidy_at = now + tidy_wait;
		tidy_wait = Min(2 * tidy_wait, TIDY_EVERY_US);
	}
	ftc_worker_progress(light_pace.going || deep_pace.going ? "scrubbing" : "idle");
	next = Min(repair_at, Min(light_pace.at, deep_pace.at));
	if (ftc_guc_proof_interval > 0)
		next = Min(next, proofs_at);
	if (trims_on)
		next = Min(next, trimmed_at + TRIM_AGAIN_US);
	return moves ? 1 : time_to(next);
}

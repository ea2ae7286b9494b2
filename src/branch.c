/*-------------------------------------------------------------------------
 *
 * branch.c
 *	  Branches: where one leaves the main chain, which is best, switching.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "branch.h"
#include "chain.h"
#include "datum.h"
#include "identity.h"
#include "place.h"
#include "wake.h"

static FtcStmt branch_last_bundle = {
	.sql = "SELECT u.number FROM ftchain.bundle u"
	" JOIN ftchain.block_bundle b ON b.bundle = u.id"
	" LEFT JOIN ftchain.main_chain m ON m.block = b.block AND m.height <= $4"
	" WHERE u.chain = $1 AND u.origin = $2 AND u.incarnation = $3"
	" AND (m.block IS NOT NULL OR b.block = ANY ($5))"
	" ORDER BY u.number DESC LIMIT 1",
	.nargs = 5,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID, BYTEAARRAYOID},
};

static FtcStmt branch_seqs = {
	.sql = "SELECT FROM ftchain.bundle u"
	" JOIN ftchain.block_bundle b ON b.bundle = u.id"
	" LEFT JOIN ftchain.main_chain m ON m.block = b.block AND m.height <= $4"
	" WHERE u.chain = $1 AND u.origin = $2 AND u.incarnation = $3"
	" AND (m.block IS NOT NULL OR b.block = ANY ($5)) AND u.seqs && $6 LIMIT 1",
	.nargs = 6,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID, BYTEAARRAYOID, INT8MULTIRANGEOID},
};

static FtcStmt branch_control = {
	.sql = "SELECT FROM ftchain.control c"
	" LEFT JOIN ftchain.main_chain m ON m.block = c.block AND m.height <= $3"
	" WHERE c.chain = $1 AND c.id = $2 AND (m.block IS NOT NULL OR c.block = ANY ($4)) LIMIT 1",
	.nargs = 4,
	.argtypes = {INT4OID, BYTEAOID, INT8OID, BYTEAARRAYOID},
};

static FtcStmt branch_controls = {
	.sql = "SELECT c.height, c.leaf FROM ftchain.control c"
	" LEFT JOIN ftchain.main_chain m ON m.block = c.block AND m.height <= $4"
	" WHERE c.chain = $1 AND c.height > $2 AND c.height <= $3"
	" AND (m.block IS NOT NULL OR c.block = ANY ($5))"
	" ORDER BY c.height, c.\"position\"",
	.nargs = 5,
	.argtypes = {INT4OID, INT8OID, INT8OID, INT8OID, BYTEAARRAYOID},
};

static FtcStmt incomplete_put = {
	.sql = "INSERT INTO ftchain.incomplete_block (block, chain, parent, proposer, since) VALUES ($1, $2, $3, $4,"
	" coalesce((SELECT i.since FROM ftchain.incomplete_block i WHERE i.block = $3), now()))",
	.nargs = 4,
	.argtypes = {BYTEAOID, INT4OID, BYTEAOID, BYTEAOID},
};

static FtcStmt incomplete_get = {
	.sql = "SELECT parent FROM ftchain.incomplete_block WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt incomplete_drop = {
	.sql = "DELETE FROM ftchain.incomplete_block WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt incomplete_children = {
	.sql = "SELECT block FROM ftchain.incomplete_block WHERE parent = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* They have waited for another one so far. */
static FtcStmt incomplete_restart = {
	.sql = "UPDATE ftchain.incomplete_block SET since = now() WHERE parent = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt overlooked = {
	.sql = "SELECT b.id FROM ftchain.block b WHERE b.chain = $1 AND b.work > $2"
	" AND NOT EXISTS (SELECT FROM ftchain.incomplete_block i WHERE i.block = b.id)"
	" ORDER BY b.work DESC, b.arrival LIMIT 1",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt last_control = {
	.sql = "SELECT FROM ftchain.control c JOIN ftchain.main_chain m ON m.block = c.block"
	" WHERE c.chain = $1 AND c.height > $2 LIMIT 1",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

static FtcStmt statements = {
	.sql = "SELECT member FROM ftchain.replica WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/*
 * A member that holds back a body is waited for once: as long as it does, not
 * for other blocks of its.
 */
static FtcStmt better_coming = {
	.sql = "SELECT FROM ftchain.incomplete_block i JOIN ftchain.block b ON b.id = i.block"
	" WHERE i.chain = $1 AND b.work > $2 AND i.since > now() - interval '3 s' AND NOT EXISTS"
	" (SELECT FROM ftchain.incomplete_block o WHERE o.chain = $1 AND o.proposer = i.proposer"
	" AND o.since <= now() - interval '3 s' AND NOT EXISTS"
	" (SELECT FROM ftchain.incomplete_block p WHERE p.block = o.parent)) LIMIT 1",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt rival = {
	.sql = "SELECT FROM ftchain.block WHERE chain = $1 AND work >= $2 AND id <> $3 LIMIT 1",
	.nargs = 3,
	.argtypes = {INT4OID, BYTEAOID, BYTEAOID},
};

/*
 * The branch last walked.  What it is follows from the ids of its end and of
 * the head alone, since blocks never change.  So blocks that come one after the
 * other need not walk down to the main chain each.
 */
typedef struct Walked
{
	FtcHash		head;
	FtcHash		end;
	FtcBranch	branch;			/* side: in TopMemoryContext */
} Walked;

static Walked walked;			/* .branch.side NULL: none */

static void
remember(const FtcBranch *branch, const FtcHash *head, const FtcHash *end)
{
	FtcHash    *side = MemoryContextAlloc(TopMemoryContext, Max(branch->nside, 1) * sizeof(FtcHash));

	memcpy(side, branch->side, branch->nside * sizeof(FtcHash));
	if (walked.branch.side != NULL)
		pfree(walked.branch.side);
	walked.head = *head;
	walked.end = *end;
	walked.branch = *branch;
	walked.branch.side = side;
}

static bool
is_walked(const FtcStored *at, const FtcHash *head)
{
	return walked.branch.side != NULL && walked.branch.chain == at->chain &&
		ftc_hash_equal(&walked.end, &at->id) && ftc_hash_equal(&walked.head, head);
}

/* The ids above, highest first, put upon what is below. */
static void
put_above(FtcBranch *branch, const FtcHash *above, int n)
{
	FtcHash    *side = palloc((branch->nside + Max(n, 1)) * sizeof(FtcHash));

	memcpy(side, branch->side, branch->nside * sizeof(FtcHash));
	for (int i = 0; i < n; i++)
		side[branch->nside + i] = above[n - 1 - i];
	branch->side = side;
	branch->nside += n;
}

bool
ftc_branch_of(const FtcStored *block, const FtcStored *head, int64 limit, FtcBranch *branch)
{
	int64		head_height = (int64) head->header.height;
	FtcStored	at = *block;
	int			size = 16;
	FtcHash    *above = palloc(size * sizeof(FtcHash));
	int			n = 0;

	while (!at.on_main && !is_walked(&at, &head->id))
	{
		FtcHash		prev = at.header.prev;
		MemoryContext outer;
		FtcReason	reason;

		if (head_height - (int64) at.header.height >= limit)
			return false;
		if (n == size)
		{
			size *= 2;
			above = repalloc(above, size * sizeof(FtcHash));
		}
		above[n++] = at.id;
		outer = ftc_nest();
		reason = ftc_store_read(&prev, &at);
		ftc_unnest(outer);
		if (reason != FTC_OK || at.chain != block->chain)
			return false;
	}
	if (at.on_main)
	{
		branch->chain = block->chain;
		branch->fork_height = (int64) at.header.height;
		branch->side = NULL;
		branch->nside = 0;
	}
	else
		*branch = walked.branch;
	put_above(branch, above, n);
	remember(branch, &head->id, &block->id);
	return head_height - branch->fork_height <= limit;
}

static Datum
side_datum(const FtcBranch *branch)
{
	return PointerGetDatum(ftc_hashes_array(branch->side, branch->nside));
}

int64
ftc_branch_last_bundle(const FtcBranch *branch, int32 origin, int64 incarnation)
{
	if (ftc_run(&branch_last_bundle, Int32GetDatum(branch->chain), Int32GetDatum(origin),
				Int64GetDatum(incarnation), Int64GetDatum(branch->fork_height), side_datum(branch)) == 0)
		return 0;
	return DatumGetInt64(ftc_value(0, 0));
}

bool
ftc_branch_has_seqs(const FtcBranch *branch, int32 origin, int64 incarnation, const FtcIds *seqs)
{
	return ftc_run(&branch_seqs, Int32GetDatum(branch->chain), Int32GetDatum(origin),
				   Int64GetDatum(incarnation), Int64GetDatum(branch->fork_height), side_datum(branch), ftc_ids_datum(seqs)) > 0;
}

bool
ftc_branch_has_control(const FtcBranch *branch, const FtcHash *id)
{
	return ftc_run(&branch_control, Int32GetDatum(branch->chain), ftc_hash_datum(id),
				   Int64GetDatum(branch->fork_height), side_datum(branch)) > 0;
}

FtcReason
ftc_branch_fold(const FtcBranch *branch, FtcState *state, int64 height)
{
	uint64		bound;
	uint64		n;

	if (!ftc_state_fold_bound(state, (uint64) height, &bound))
		return FTC_OK;
	n = ftc_run(&branch_controls, Int32GetDatum(branch->chain), Int64GetDatum((int64) state->folded),
				Int64GetDatum((int64) bound), Int64GetDatum(branch->fork_height), side_datum(branch));
	/* each of them may add a member */
	state->capacity = (uint32) Min(state->nmembers + n, FTC_MEMBERS_MAX);
	state->members = repalloc(state->members, Max(state->capacity, 1) * sizeof(FtcMember));
	for (uint64 i = 0; i < n; i++)
	{
		FtcControl	control;
		FtcReason	reason = ftc_control_leaf_decode(&control, ftc_slice_value(i, 1));

		if (reason != FTC_OK)
			return reason;
		(void) ftc_state_apply(state, &control);
		state->folded = (uint64) DatumGetInt64(ftc_value(i, 0));
	}
	return FTC_OK;
}

FtcState *
ftc_branch_state(const FtcBranch *branch, const FtcStored *parent, int64 height)
{
	FtcState   *state = ftc_store_load_state(&parent->header.state);
	FtcReason	reason = ftc_branch_fold(branch, state, height);

	if (reason != FTC_OK)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("a control entry is damaged: %s", ftc_reason_text(reason)),
				errhint("See ftchain.verify() and ftchain.repair()."));
	return state;
}

/* The state for a child of a block of the main chain. */
static FtcState *
state_after(const FtcStored *block)
{
	FtcBranch	branch = {.chain = block->chain,.fork_height = (int64) block->header.height};

	return ftc_branch_state(&branch, block, (int64) block->header.height + 1);
}

FtcState *
ftc_branch_current_state(int32 chain)
{
	FtcStored	head;

	ftc_store_load_head(chain, &head);
	return state_after(&head);
}

bool
ftc_branch_is_catching_up(const FtcStored *head)
{
	FtcHash		work = ftc_u256_to_hash(&head->tip.work);

	return ftc_run(&better_coming, Int32GetDatum(head->chain), ftc_hash_datum(&work)) > 0;
}

bool
ftc_branch_needs_closing(int32 chain, const FtcStored *head, const FtcState *state)
{
	FtcHash		work = ftc_u256_to_hash(&head->tip.work);

	return ftc_run(&last_control, Int32GetDatum(chain), Int64GetDatum((int64) state->folded)) > 0 ||
		ftc_run(&rival, Int32GetDatum(chain), ftc_hash_datum(&work), ftc_hash_datum(&head->id)) > 0;
}

/*
 * Availability before acceptance: nothing is built on a block unless its body
 * is here, or enough of its owners have signed that they store it.
 */
bool
ftc_branch_is_available(const FtcHash *id)
{
	FtcStored	stored;
	FtcState   *state;
	uint32	   *owners;
	uint32		nowners;
	uint32		stating = 0;
	uint64		n;

	if (ftc_store_has_body(id))
		return true;
	if (!ftc_store_load(id, &stored))
		return false;
	state = ftc_store_load_state(&stored.header.state);
	nowners = ftc_place_owners(state, id, &owners);
	n = ftc_run(&statements, ftc_hash_datum(id));
	for (uint64 i = 0; i < n; i++)
	{
		FtcHash		member = ftc_hash_value(i, 0);

		for (uint32 j = 0; j < nowners; j++)
			stating += ftc_hash_equal(&state->members[owners[j]].id, &member);
	}
	return nowners > 0 && stating >= Min(state->params.stored_quorum, nowners);
}

static void
switch_to(const FtcBranch *branch, const FtcStored *head, const FtcStored *best)
{
	int64		depth = (int64) head->header.height - branch->fork_height;
	FtcHash		before = ftc_state_root(state_after(head));
	FtcHash		after;

	ftc_store_switch(branch->chain, branch->fork_height, branch->side, branch->nside);
	if (depth > 0)
		ftc_store_incident(branch->chain, "reorganisation", branch->fork_height + 1,
						   &best->id, NULL,
						   psprintf("%lld blocks gave way to %d with more work",
									(long long) depth, branch->nside));
	after = ftc_state_root(state_after(best));
	if (!ftc_hash_equal(&before, &after))
		ftc_chain_invalidate();
}

/* Make a complete block the head, if it has more work than the head has. */
bool
ftc_branch_choose(int32 chain, const FtcHash *id)
{
	FtcStored	head;
	FtcStored	best;
	FtcState   *state;
	FtcBranch	branch;

	ftc_store_load_head(chain, &head);
	state = ftc_store_load_state(&head.header.state);
	if (ftc_store_read(id, &best) != FTC_OK ||
		ftc_u256_compare(&best.tip.work, &head.tip.work) <= 0 ||
		!ftc_branch_of(&best, &head, state->params.reorg_limit, &branch))
		return false;
	switch_to(&branch, &head, &best);
	ftc_wake_at_commit(FTC_WAKE_ALL | FTC_WAKE_NEW_HEAD);
	return true;
}

static bool
is_incomplete(const FtcHash *id)
{
	return ftc_run(&incomplete_get, ftc_hash_datum(id)) > 0;
}

/*
 * Of the blocks that waited for this one, now complete, those that are
 * available are complete as well, and so on upwards.  Gives the highest, which
 * has the most work of its branch; of several branches each end is chosen in
 * turn, so that the best of them stays.
 */
static bool
complete(int32 chain, const FtcHash *id)
{
	List	   *ready = list_make1(unconstify(FtcHash *, id));
	bool		changed = false;

	while (ready != NIL)
	{
		FtcHash    *block = llast(ready);
		uint64		n = ftc_run(&incomplete_children, ftc_hash_datum(block));
		FtcHash    *children = palloc(Max(n, 1) * sizeof(FtcHash));
		bool		is_end = true;

		ready = list_delete_last(ready);
		for (uint64 i = 0; i < n; i++)
			children[i] = ftc_hash_value(i, 0);
		for (uint64 i = 0; i < n; i++)
			if (ftc_branch_is_available(&children[i]))
			{
				ftc_run(&incomplete_drop, ftc_hash_datum(&children[i]));
				ready = lappend(ready, &children[i]);
				is_end = false;
			}
		ftc_run(&incomplete_restart, ftc_hash_datum(block));
		if (is_end)
			changed |= ftc_branch_choose(chain, block);
	}
	return changed;
}

bool
ftc_branch_enter(int32 chain, const FtcHash *id, const FtcHeader *header)
{
	/* if it is as good as the head, a closing block is due */
	ftc_wake_at_commit(FTC_WAKE_SEALER);
	if (!is_incomplete(&header->prev) && ftc_branch_is_available(id))
		return complete(chain, id);
	ftc_run(&incomplete_put, ftc_hash_datum(id), Int32GetDatum(chain), ftc_hash_datum(&header->prev),
			ftc_hash_datum(&header->proposer));
	return false;
}

bool
ftc_branch_reconsider(int32 chain, const FtcHash *id)
{
	FtcHash		parent;

	if (ftc_run(&incomplete_get, ftc_hash_datum(id)) == 0)
		return false;
	parent = ftc_hash_value(0, 0);
	if (is_incomplete(&parent) || !ftc_branch_is_available(id))
		return false;
	ftc_run(&incomplete_drop, ftc_hash_datum(id));
	return complete(chain, id);
}

bool
ftc_branch_overlooked(int32 chain, FtcHash *id)
{
	FtcStored	head;
	FtcStored	best;
	FtcBranch	branch;
	FtcState   *state;
	FtcHash		work;

	ftc_store_load_head(chain, &head);
	work = ftc_u256_to_hash(&head.tip.work);
	if (ftc_run(&overlooked, Int32GetDatum(chain), ftc_hash_datum(&work)) == 0)
		return false;
	*id = ftc_hash_value(0, 0);
	state = ftc_store_load_state(&head.header.state);
	/* what leaves the main chain too far below is never chosen */
	return ftc_store_read(id, &best) == FTC_OK && !best.on_main &&
		ftc_branch_of(&best, &head, state->params.reorg_limit, &branch);
}

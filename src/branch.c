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

#include "branch.h"
#include "chain.h"
#include "datum.h"
#include "identity.h"
#include "place.h"
#include "worker.h"

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

static FtcStmt better_blocks = {
	.sql = "SELECT b.id FROM ftchain.block b WHERE b.chain = $1 AND b.work > $2"
	" ORDER BY b.work DESC, b.arrival LIMIT 100",
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

static FtcStmt better_coming = {
	.sql = "SELECT FROM ftchain.block WHERE chain = $1 AND work > $2"
	" AND received > now() - interval '30 s' LIMIT 1",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt rival = {
	.sql = "SELECT FROM ftchain.block WHERE chain = $1 AND work >= $2 AND id <> $3 LIMIT 1",
	.nargs = 3,
	.argtypes = {INT4OID, BYTEAOID, BYTEAOID},
};

bool
ftc_branch_of(const FtcStored *block, int64 head_height, int64 limit, FtcBranch *branch)
{
	FtcStored	at = *block;
	int			size = 16;

	branch->chain = block->chain;
	branch->nside = 0;
	branch->side = palloc(size * sizeof(FtcHash));
	while (!at.on_main)
	{
		FtcHash		prev = at.header.prev;

		if (head_height - (int64) at.header.height >= limit)
			return false;
		if (branch->nside == size)
		{
			size *= 2;
			branch->side = repalloc(branch->side, size * sizeof(FtcHash));
		}
		branch->side[branch->nside++] = at.id;
		if (!ftc_store_load(&prev, &at))
			ereport(ERROR,
					errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("parent %s of block %s is missing",
						   ftc_hash_hex(&prev), ftc_hash_hex(&branch->side[branch->nside - 1])));
	}
	branch->fork_height = (int64) at.header.height;
	for (int i = 0; i < branch->nside / 2; i++)
	{
		FtcHash		swap = branch->side[i];

		branch->side[i] = branch->side[branch->nside - 1 - i];
		branch->side[branch->nside - 1 - i] = swap;
	}
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

FtcState *
ftc_branch_state(const FtcBranch *branch, const FtcStored *parent, int64 height)
{
	FtcState   *state = ftc_store_load_state(&parent->header.state);
	uint64		bound;
	uint64		n;

	if (!ftc_state_fold_bound(state, (uint64) height, &bound))
		return state;
	n = ftc_run(&branch_controls, Int32GetDatum(branch->chain), Int64GetDatum((int64) state->folded),
				Int64GetDatum((int64) bound), Int64GetDatum(branch->fork_height), side_datum(branch));
	for (uint64 i = 0; i < n; i++)
	{
		FtcControl	control;
		FtcReason	reason = ftc_control_leaf_decode(&control, ftc_slice_value(i, 1));

		if (reason != FTC_OK)
			ereport(ERROR,
					errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("a control entry is damaged: %s", ftc_reason_text(reason)));
		(void) ftc_state_apply(state, &control);
		state->folded = (uint64) DatumGetInt64(ftc_value(i, 0));
	}
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

static bool
all_available(const FtcBranch *branch)
{
	for (int i = 0; i < branch->nside; i++)
		if (!ftc_branch_is_available(&branch->side[i]))
			return false;
	return true;
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

bool
ftc_branch_choose(int32 chain)
{
	FtcStored	head;
	FtcState   *state;
	FtcHash		work;
	FtcHash    *better;
	uint64		n;

	ftc_store_load_head(chain, &head);
	state = ftc_store_load_state(&head.header.state);
	work = ftc_u256_to_hash(&head.tip.work);
	n = ftc_run(&better_blocks, Int32GetDatum(chain), ftc_hash_datum(&work));
	better = palloc(Max(n, 1) * sizeof(FtcHash));
	for (uint64 i = 0; i < n; i++)
		better[i] = ftc_hash_value(i, 0);
	for (uint64 i = 0; i < n; i++)
	{
		FtcStored	best;
		FtcBranch	branch;

		if (!ftc_store_load(&better[i], &best) ||
			!ftc_branch_of(&best, (int64) head.header.height, state->params.reorg_limit, &branch) ||
			!all_available(&branch))
			continue;
		switch_to(&branch, &head, &best);
		ftc_worker_wake_at_commit(FTC_WAKE_ALL | FTC_WAKE_NEW_HEAD);
		return true;
	}
	return false;
}

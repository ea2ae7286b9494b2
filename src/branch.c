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
	.sql = "INSERT INTO ftchain.incomplete_block (block, chain, parent, proposer, since) VALUES ($1, $2, $3, $4, now())",
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

/* The third byte of a control says of which kind it is. */
/* The latest first. */
static FtcStmt controls_of_kind = {
	.sql = "SELECT leaf FROM ftchain.control WHERE chain = $1 AND get_byte(leaf, 2) = $2 ORDER BY height DESC",
	.nargs = 2,
	.argtypes = {INT4OID, INT4OID},
};

static FtcStmt last_control = {
	.sql = "SELECT FROM ftchain.control c JOIN ftchain.main_chain m ON m.block = c.block"
	" WHERE c.chain = $1 AND c.height > $2 LIMIT 1",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

/* Also those that were taken back: it was available, and whoever needs it restores it from what is kept now. */
static FtcStmt statements = {
	.sql = "SELECT member FROM ftchain.replica WHERE block = $1"
	" UNION SELECT member FROM ftchain.withdrawn WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* Those that were let go here: our own, and whose block was deep enough that all may have been. */
static FtcStmt gone_cached = {
	.sql = "INSERT INTO ftchain.cached_body (block, chain) SELECT DISTINCT m.block, m.chain FROM ftchain.main_chain m"
	" JOIN ftchain.block_bundle b ON b.block = m.block JOIN ftchain.bundle u ON u.id = b.bundle"
	" JOIN ftchain.origin o ON o.id = u.origin WHERE m.chain = $1 AND m.height > $2 AND u.ids IS NULL"
	" AND (o.member = $3 OR m.height <= $4) ON CONFLICT (block) DO UPDATE SET asked = now()",
	.nargs = 4,
	.argtypes = {INT4OID, INT8OID, BYTEAOID, INT8OID},
};

static FtcStmt gone_wanted = {
	.sql = "INSERT INTO ftchain.wanted (block, chain, height, moved) SELECT c.block, c.chain, k.height, false"
	" FROM ftchain.cached_body c JOIN ftchain.block k ON k.id = c.block WHERE c.chain = $1 AND c.asked = now()"
	" ON CONFLICT DO NOTHING",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/*
 * A branch waits for the lowest of its blocks that are incomplete, and as long as
 * its bodies keep coming that is another one all the time.
 */
static FtcStmt awaited = {
	.sql = "WITH RECURSIVE branch (block, proposer) AS (SELECT i.block, i.proposer FROM ftchain.incomplete_block i"
	" WHERE i.chain = $1 AND i.since > clock_timestamp() - $3 * interval '1 us' AND i.since <= clock_timestamp()"
	" AND NOT EXISTS (SELECT FROM ftchain.incomplete_block p WHERE p.block = i.parent)"
	" UNION ALL SELECT i.block, i.proposer FROM branch a JOIN ftchain.incomplete_block i ON i.parent = a.block)"
	" SELECT DISTINCT a.proposer FROM branch a JOIN ftchain.block b ON b.id = a.block"
	" WHERE b.work > $2 LIMIT " CppAsString2(FTC_AWAITED_MAX),
	.by_index = true,
	.nargs = 3,
	.argtypes = {INT4OID, BYTEAOID, FLOAT8OID},
};

static FtcStmt holds_back = {
	.sql = "SELECT FROM ftchain.incomplete_block o WHERE o.chain = $1 AND o.proposer = $2"
	" AND o.since <= now() - $3 * interval '1 us'"
	" AND NOT EXISTS (SELECT FROM ftchain.incomplete_block p WHERE p.block = o.parent) LIMIT 1",
	.nargs = 3,
	.argtypes = {INT4OID, BYTEAOID, FLOAT8OID},
};

static FtcStmt rival = {
	.sql = "SELECT FROM ftchain.block WHERE chain = $1 AND work >= $2 AND id <> $3 LIMIT 1",
	.nargs = 3,
	.argtypes = {INT4OID, BYTEAOID, BYTEAOID},
};

/*
 * The blocks of a chain, for the core, which chooses between their branches;
 * see core/choice.h.
 */
typedef struct Tree
{
	FtcTree		tree;			/* first: the callbacks get its address */
	int32		chain;
	FtcStored	head;			/* as load_head() has given it last */
} Tree;

/* In a backend there is one, for whichever chain: ids tell chains apart. */
static FtcWalk walk;			/* side in TopMemoryContext */

static Tree *
tree_of(FtcTree *tree)
{
	return (Tree *) tree;
}

/* What is there already stays in the context where it is. */
static void *
resize(FtcTree *tree, void *memory, size_t size)
{
	if (size == 0)
	{
		pfree(memory);
		return NULL;
	}
	return memory == NULL ? palloc_extended(size, MCXT_ALLOC_HUGE) : repalloc_huge(memory, size);
}

static void
set_node(FtcNode *node, const FtcStored *stored)
{
	node->id = stored->id;
	node->prev = stored->header.prev;
	node->proposer = stored->header.proposer;
	node->height = stored->header.height;
	node->time = stored->header.time;
	node->work = stored->tip.work;
	node->on_main = stored->on_main;
}

/* Thousands may be loaded one after the other. */
static bool
load(FtcTree *tree, const FtcHash *id, FtcNode *node)
{
	MemoryContext outer = ftc_nest();
	FtcStored	stored;
	FtcReason	reason = ftc_store_read(id, &stored);

	ftc_unnest(outer);
	if (reason != FTC_OK || stored.chain != tree_of(tree)->chain)
		return false;
	set_node(node, &stored);
	return true;
}

static void
load_head(FtcTree *tree, FtcNode *head)
{
	Tree	   *t = tree_of(tree);

	ftc_store_load_head(t->chain, &t->head);
	set_node(head, &t->head);
}

static bool
is_available(FtcTree *tree, const FtcHash *id)
{
	return ftc_branch_is_available(id);
}

static uint64
reorg_limit(FtcTree *tree, const FtcNode *head)
{
	return ftc_store_load_state(&tree_of(tree)->head.header.state)->params.reorg_limit;
}

static bool
is_incomplete(FtcTree *tree, const FtcHash *id, FtcHash *parent)
{
	if (ftc_run(&incomplete_get, ftc_hash_datum(id)) == 0)
		return false;
	if (parent != NULL)
		*parent = ftc_hash_value(0, 0);
	return true;
}

static void
put_incomplete(FtcTree *tree, const FtcNode *node)
{
	ftc_run(&incomplete_put, ftc_hash_datum(&node->id), Int32GetDatum(tree_of(tree)->chain),
			ftc_hash_datum(&node->prev), ftc_hash_datum(&node->proposer));
}

static void
drop_incomplete(FtcTree *tree, const FtcHash *id)
{
	ftc_run(&incomplete_drop, ftc_hash_datum(id));
}

static void
add_children(FtcTree *tree, const FtcHash *parent, FtcHashes *children)
{
	uint64		n = ftc_run(&incomplete_children, ftc_hash_datum(parent));

	for (uint64 i = 0; i < n; i++)
	{
		FtcHash		child = ftc_hash_value(i, 0);

		ftc_hashes_add(tree, children, &child);
	}
}

static void
restart_children(FtcTree *tree, const FtcHash *parent)
{
	ftc_run(&incomplete_restart, ftc_hash_datum(parent));
}

static int
get_awaited(FtcTree *tree, const FtcU256 *work, uint64 patience, FtcHash *proposers)
{
	FtcHash		bytes = ftc_u256_to_hash(work);
	int			n = (int) ftc_run(&awaited, Int32GetDatum(tree_of(tree)->chain), ftc_hash_datum(&bytes),
								  Float8GetDatum((double) patience));

	for (int i = 0; i < n; i++)
		proposers[i] = ftc_hash_value(i, 0);
	return n;
}

static bool
get_holds_back(FtcTree *tree, const FtcHash *proposer, uint64 patience)
{
	return ftc_run(&holds_back, Int32GetDatum(tree_of(tree)->chain), ftc_hash_datum(proposer),
				   Float8GetDatum((double) patience)) > 0;
}

static bool
has_rival(FtcTree *tree, const FtcU256 *work, const FtcHash *id)
{
	FtcHash		bytes = ftc_u256_to_hash(work);

	return ftc_run(&rival, Int32GetDatum(tree_of(tree)->chain), ftc_hash_datum(&bytes), ftc_hash_datum(id)) > 0;
}

static bool
has_controls_above(FtcTree *tree, uint64 height)
{
	return ftc_run(&last_control, Int32GetDatum(tree_of(tree)->chain), Int64GetDatum((int64) height)) > 0;
}

static void switch_to(FtcTree *tree, const FtcNode *head, const FtcNode *best);
static void too_deep(FtcTree *tree, const FtcNode *head, const FtcNode *best, uint64 depth);

static void
tree_init(Tree *t, int32 chain)
{
	static const FtcTree callbacks = {
		.walk = &walk,
		.resize = resize,
		.load = load,
		.load_head = load_head,
		.is_available = is_available,
		.reorg_limit = reorg_limit,
		.is_incomplete = is_incomplete,
		.put_incomplete = put_incomplete,
		.drop_incomplete = drop_incomplete,
		.add_children = add_children,
		.restart_children = restart_children,
		.awaited = get_awaited,
		.holds_back = get_holds_back,
		.has_rival = has_rival,
		.has_controls_above = has_controls_above,
		.switch_to = switch_to,
		.too_deep = too_deep,
	};

	t->tree = callbacks;
	t->chain = chain;
	if (walk.side.ids == NULL)
	{
		walk.side.ids = MemoryContextAlloc(TopMemoryContext, 16 * sizeof(FtcHash));
		walk.side.size = 16;
	}
}

/* The branch last walked, in the scope's memory. */
static void
get_walked(FtcBranch *branch, int32 chain)
{
	branch->chain = chain;
	branch->fork_height = (int64) walk.fork_height;
	branch->nside = (int) walk.side.n;
	branch->side = palloc_extended(Max(walk.side.n, 1) * sizeof(FtcHash), MCXT_ALLOC_HUGE);
	memcpy(branch->side, walk.side.ids, walk.side.n * sizeof(FtcHash));
}

FtcWalked
ftc_branch_of(const FtcStored *block, const FtcStored *head, int64 limit, FtcBranch *branch,
			  uint64 *depth)
{
	Tree		tree;
	FtcNode		node;
	FtcNode		head_node;
	FtcWalked	walked;

	tree_init(&tree, block->chain);
	set_node(&node, block);
	set_node(&head_node, head);
	walked = ftc_choice_walk(&tree.tree, &node, &head_node, (uint64) limit, depth);
	if (walked == FTC_WALK_DONE)
		get_walked(branch, block->chain);
	return walked;
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

FtcSealing
ftc_branch_sealing(const FtcStored *head, const FtcState *state, const FtcHash *member, bool idle,
				   uint64 now, uint64 *when)
{
	Tree		tree;
	FtcNode		node;

	tree_init(&tree, head->chain);
	set_node(&node, head);
	return ftc_choice_sealing(&tree.tree, &node, state, member, idle,
							  ftc_rules_earliest(&head->tip, &state->params), now, when);
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

bool
ftc_branch_was_member(int32 chain, const FtcHash *member, FtcKey *key)
{
	uint64		n = ftc_run(&controls_of_kind, Int32GetDatum(chain), Int32GetDatum(FTC_CONTROL_ADD_MEMBER));
	FtcStored	genesis;
	const FtcMember *first;

	for (uint64 i = 0; i < n; i++)
	{
		FtcControl	control;
		FtcHash		id;

		if (ftc_control_leaf_decode(&control, ftc_slice_value(i, 0)) != FTC_OK)
			continue;
		id = ftc_member_id(control.algorithm, &control.key);
		if (!ftc_hash_equal(&id, member))
			continue;
		*key = control.key;
		return true;
	}
	if (!ftc_store_load_main(chain, 0, &genesis) ||
		(first = ftc_state_find(ftc_store_load_state(&genesis.header.state), member)) == NULL)
		return false;
	*key = first->key;
	return true;
}

bool
ftc_branch_knows_cut(int32 chain, uint32 data, uint32 parity)
{
	FtcState   *state = ftc_branch_current_state(chain);
	uint64		n;

	if (data == state->params.shard_data && parity == state->params.shard_parity)
		return true;
	n = ftc_run(&controls_of_kind, Int32GetDatum(chain), Int32GetDatum(FTC_CONTROL_PARAMS));
	for (uint64 i = 0; i < n; i++)
	{
		FtcControl	control;

		if (ftc_control_leaf_decode(&control, ftc_slice_value(i, 0)) == FTC_OK &&
			control.params.shard_data == data && control.params.shard_parity == parity)
			return true;
	}
	return false;
}

/*
 * Bodies of blocks that give way, and that were let go: they are fetched, or restored,
 * so that their bundles can be carried again.  What is not that deep somebody still
 * has whole, and carries.
 */
static void
want_back(int32 chain, int64 fork, int64 head)
{
	FtcIdentity self;
	FtcState   *state = ftc_branch_current_state(chain);
	uint64		n;

	if (!ftc_identity_load(&self))
		return;
	n = ftc_run(&gone_cached, Int32GetDatum(chain), Int64GetDatum(fork), ftc_hash_datum(&self.member),
				Int64GetDatum(head - state->params.settle_blocks));
	if (n == 0)
		return;
	ftc_run(&gone_wanted, Int32GetDatum(chain));
	ftc_wake_at_commit(FTC_WAKE_COURIER | FTC_WAKE_KEEPER);
}

static void
switch_to(FtcTree *tree, const FtcNode *head, const FtcNode *best)
{
	Tree	   *t = tree_of(tree);
	int64		depth = (int64) head->height - (int64) walk.fork_height;
	FtcHash		before = ftc_state_root(state_after(&t->head));
	FtcHash		after;
	FtcStored	stored;

	if (depth > 0)
		want_back(t->chain, (int64) walk.fork_height, (int64) head->height);
	ftc_store_switch(t->chain, (int64) walk.fork_height, walk.side.ids, (int) walk.side.n);
	if (depth > 0)
		ftc_store_incident(t->chain, "reorganisation", (int64) walk.fork_height + 1,
						   &best->id, NULL,
						   psprintf("%lld blocks gave way to %lld with more work",
									(long long) depth, (long long) walk.side.n));
	if (!ftc_store_load(&best->id, &stored))
		elog(ERROR, "the new head is not there");
	after = ftc_state_root(state_after(&stored));
	if (!ftc_hash_equal(&before, &after))
		ftc_chain_invalidate();
	ftc_wake_new_head(t->chain);
}

void
ftc_branch_tell_deep(int32 chain, const FtcHash *id, int64 height, const FtcHash *member,
					 int64 depth, int64 limit)
{
	ftc_store_incident(chain, "deep reorganisation", height, id, member,
					   psprintf("its branch leaves the main chain %lld blocks or more below the head,"
								" and the chain's limit is %lld: an operator has to decide between them",
								(long long) depth, (long long) limit));
}

static void
too_deep(FtcTree *tree, const FtcNode *head, const FtcNode *best, uint64 depth)
{
	ftc_branch_tell_deep(tree_of(tree)->chain, &best->id, (int64) best->height, &best->proposer,
						 (int64) depth, (int64) reorg_limit(tree, head));
}

bool
ftc_branch_choose(int32 chain, const FtcHash *id)
{
	Tree		tree;

	tree_init(&tree, chain);
	return ftc_choice_choose(&tree.tree, id) == FTC_CHOICE_SWITCH;
}

bool
ftc_branch_enter(int32 chain, const FtcHash *id, const FtcHeader *header)
{
	Tree		tree;
	FtcNode		node = {.id = *id,.prev = header->prev,.proposer = header->proposer,
	.height = header->height,.time = header->time};

	tree_init(&tree, chain);
	/* if it is as good as the head, a closing block is due */
	ftc_wake_at_commit(FTC_WAKE_SEALER);
	return ftc_choice_enter(&tree.tree, &node);
}

bool
ftc_branch_reconsider(int32 chain, const FtcHash *id)
{
	Tree		tree;

	tree_init(&tree, chain);
	return ftc_choice_reconsider(&tree.tree, id);
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
		ftc_branch_of(&best, &head, state->params.reorg_limit, &branch, NULL) == FTC_WALK_DONE;
}

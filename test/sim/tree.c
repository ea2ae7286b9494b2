/*-------------------------------------------------------------------------
 *
 * tree.c
 *	  What the core's fork choice asks of a member's blocks, as src/branch.c
 *	  has it over tables.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

static Member *
member_of(FtcTree *tree)
{
	return (Member *) tree;
}

static uint32_t
known(Member *m, const FtcHash *id)
{
	uint32_t	block = ledger_find(m->world, id);

	return block != NONE && record_of(m, block)->known ? block : NONE;
}

FtcNode
node_of(Member *m, uint32_t block)
{
	const Block *b = &m->world->blocks[block];
	FtcNode		node;

	node.id = b->id;
	node.prev = b->header.prev;
	node.proposer = b->header.proposer;
	node.height = b->header.height;
	node.time = b->header.time;
	node.work = b->tip.work;
	node.on_main = record_of(m, block)->on_main;
	if (mutated(m->world, MUTANT_EQUAL_WORK) && !node.on_main)
		node.work.w[0]++;
	return node;
}

static void *
resize(FtcTree *tree, void *memory, size_t size)
{
	(void) tree;
	if (size == 0)
	{
		free(memory);
		return NULL;
	}
	return realloc(memory, size);
}

static bool
load(FtcTree *tree, const FtcHash *id, FtcNode *node)
{
	Member	   *m = member_of(tree);
	uint32_t	block = known(m, id);

	if (block == NONE)
		return false;
	*node = node_of(m, block);
	return true;
}

static void
load_head(FtcTree *tree, FtcNode *head)
{
	*head = node_of(member_of(tree), head_of(member_of(tree)));
}

static bool
is_available(FtcTree *tree, const FtcHash *id)
{
	Member	   *m = member_of(tree);
	uint32_t	block = known(m, id);

	return block != NONE && inbox_is_available(m, block);
}

static uint64_t
reorg_limit(FtcTree *tree, const FtcNode *head)
{
	const World *w = member_of(tree)->world;

	(void) head;
	return mutated(w, MUTANT_LIMIT) ? NEVER : w->state.params.reorg_limit;
}

static bool
is_incomplete(FtcTree *tree, const FtcHash *id, FtcHash *parent)
{
	Member	   *m = member_of(tree);
	uint32_t	block = known(m, id);

	if (block == NONE || !record_of(m, block)->incomplete)
		return false;
	if (parent != NULL)
		*parent = m->world->blocks[block].header.prev;
	/* a parent is asked for without its own */
	return parent != NULL || !mutated(m->world, MUTANT_INCOMPLETE);
}

static void
put_incomplete(FtcTree *tree, const FtcNode *node)
{
	Member	   *m = member_of(tree);
	uint32_t	block = known(m, &node->id);
	Record	   *r = record_of(m, block);

	r->incomplete = true;
	r->since = m->world->now;
	list_add(m->world, &m->incomplete, block);
	see(m->world, SIGHT_INCOMPLETE);
}

static void
drop_incomplete(FtcTree *tree, const FtcHash *id)
{
	Member	   *m = member_of(tree);
	uint32_t	block = known(m, id);

	record_of(m, block)->incomplete = false;
	list_drop(&m->incomplete, block);
}

static void
add_children(FtcTree *tree, const FtcHash *parent, FtcHashes *children)
{
	Member	   *m = member_of(tree);
	const World *w = m->world;

	for (uint32_t i = 0; i < m->incomplete.n; i++)
		if (ftc_hash_equal(&w->blocks[m->incomplete.at[i]].header.prev, parent))
			ftc_hashes_add(tree, children, &w->blocks[m->incomplete.at[i]].id);
}

static void
restart_children(FtcTree *tree, const FtcHash *parent)
{
	Member	   *m = member_of(tree);
	const World *w = m->world;

	for (uint32_t i = 0; i < m->incomplete.n; i++)
		if (ftc_hash_equal(&w->blocks[m->incomplete.at[i]].header.prev, parent))
			record_of(m, m->incomplete.at[i])->since = w->now;
}

static int
add_awaited(FtcHash *proposers, int n, const FtcHash *proposer)
{
	for (int i = 0; i < n; i++)
		if (ftc_hash_equal(&proposers[i], proposer))
			return n;
	proposers[n] = *proposer;
	return n + 1;
}

/* Since when it has waited for the body of its lowest incomplete block. */
static uint64_t
branch_since(Member *m, uint32_t block)
{
	uint32_t	parent = m->world->blocks[block].parent;

	while (record_of(m, parent)->incomplete)
	{
		block = parent;
		parent = m->world->blocks[block].parent;
	}
	return record_of(m, block)->since;
}

static int
awaited(FtcTree *tree, const FtcU256 *work, uint64_t patience, FtcHash *proposers)
{
	Member	   *m = member_of(tree);
	const World *w = m->world;
	int			n = 0;

	if (mutated(w, MUTANT_PATIENCE))
		patience = NEVER;
	for (uint32_t i = 0; i < m->incomplete.n && n < FTC_AWAITED_MAX; i++)
	{
		const Block *b = &w->blocks[m->incomplete.at[i]];

		if (w->now - branch_since(m, m->incomplete.at[i]) < patience &&
			ftc_u256_compare(&b->tip.work, work) > 0)
			n = add_awaited(proposers, n, &b->header.proposer);
	}
	return n;
}

static bool
holds_back(FtcTree *tree, const FtcHash *proposer, uint64_t patience)
{
	Member	   *m = member_of(tree);
	World	   *w = m->world;

	if (mutated(w, MUTANT_PATIENCE))
		return false;
	for (uint32_t i = 0; i < m->incomplete.n; i++)
	{
		const Block *b = &w->blocks[m->incomplete.at[i]];

		if (ftc_hash_equal(&b->header.proposer, proposer) &&
			w->now - record_of(m, m->incomplete.at[i])->since >= patience &&
			!record_of(m, b->parent)->incomplete)
		{
			see(w, SIGHT_WITHHELD);
			return true;
		}
	}
	return false;
}

static bool
has_rival(FtcTree *tree, const FtcU256 *work, const FtcHash *id)
{
	Member	   *m = member_of(tree);
	const World *w = m->world;

	if (mutated(w, MUTANT_CLOSING))
		return false;
	/* the last ones have the most work, but not always */
	for (uint32_t i = m->nrecords; i > 0; i--)
		if (m->records[i - 1].known && ftc_u256_compare(&w->blocks[i - 1].tip.work, work) >= 0 &&
			!ftc_hash_equal(&w->blocks[i - 1].id, id))
			return true;
	return false;
}

/* The state is what the genesis block says, here. */
static bool
has_controls_above(FtcTree *tree, uint64_t height)
{
	(void) tree;
	(void) height;
	return false;
}

/* Bundles of what leaves are pending again, those of what comes no longer. */
static void
switch_to(FtcTree *tree, const FtcNode *head, const FtcNode *best)
{
	Member	   *m = member_of(tree);
	World	   *w = m->world;
	uint64_t	depth = head->height - m->walk.fork_height;

	trace(w, "%u switches from height %llu to %llu, fork at %llu", m->no, (unsigned long long) head->height,
		  (unsigned long long) best->height, (unsigned long long) m->walk.fork_height);
	for (uint64_t i = 0; i < depth; i++)
	{
		const Block *b = &w->blocks[m->main.at[--m->main.n]];

		m->records[m->main.at[m->main.n]].on_main = false;
		for (uint32_t j = 0; j < b->nbundles; j++)
		{
			if (!holds(m, b->bundles[j]) || mutated(w, MUTANT_PENDING))
				continue;
			list_add(w, &m->pending, b->bundles[j]);
			see(w, SIGHT_RETURNED);
		}
	}
	if (depth > 0)
		see(w, SIGHT_REORGANISATION);
	if (depth >= 3)
		see(w, SIGHT_DEEP_REORGANISATION);
	for (size_t i = 0; i < m->walk.side.n; i++)
	{
		uint32_t	block = known(m, &m->walk.side.ids[i]);

		record_of(m, block)->on_main = true;
		list_add(w, &m->main, block);
		for (uint32_t j = 0; j < w->blocks[block].nbundles; j++)
			list_drop(&m->pending, w->blocks[block].bundles[j]);
	}
	sealer_stop(m);
}

static void
too_deep(FtcTree *tree, const FtcNode *head, const FtcNode *best, uint64_t depth)
{
	Member	   *m = member_of(tree);

	(void) head;
	(void) best;
	(void) depth;
	m->deep++;
	see(m->world, SIGHT_TOO_DEEP);
}

void
tree_init(Member *m)
{
	FtcTree    *t = &m->tree;

	t->walk = &m->walk;
	t->resize = resize;
	t->load = load;
	t->load_head = load_head;
	t->is_available = is_available;
	t->reorg_limit = reorg_limit;
	t->is_incomplete = is_incomplete;
	t->put_incomplete = put_incomplete;
	t->drop_incomplete = drop_incomplete;
	t->add_children = add_children;
	t->restart_children = restart_children;
	t->awaited = awaited;
	t->holds_back = holds_back;
	t->has_rival = has_rival;
	t->has_controls_above = has_controls_above;
	t->switch_to = switch_to;
	t->too_deep = too_deep;
}

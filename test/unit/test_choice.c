/*-------------------------------------------------------------------------
 *
 * test_choice.c
 *	  Tests of choice.c, over blocks that are nothing but their links.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>

#include "build.h"
#include "choice.h"

#define BLOCKS_MAX 64
#define LIMIT 5

typedef struct Block
{
	FtcNode		node;
	bool		available;
	bool		incomplete;
	uint64_t	since;
} Block;

/* A tree in an array; a block is named by its place there. */
typedef struct Forest
{
	FtcTree		tree;
	FtcWalk		walk;
	Block		blocks[BLOCKS_MAX];
	int			n;
	int			head;
	uint64_t	now;
	uint64_t	controls;		/* the highest block that holds any */
	int			loads;
	int			switches;
	int			deep;			/* the block that was too deep; -1 for none */
	uint64_t	depth;
} Forest;

static Forest *
forest_of(FtcTree *tree)
{
	return (Forest *) tree;
}

static int
find(Forest *f, const FtcHash *id)
{
	for (int i = 0; i < f->n; i++)
		if (ftc_hash_equal(&f->blocks[i].node.id, id))
			return i;
	return -1;
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
	Forest	   *f = forest_of(tree);
	int			i = find(f, id);

	f->loads++;
	if (i < 0)
		return false;
	*node = f->blocks[i].node;
	return true;
}

static void
load_head(FtcTree *tree, FtcNode *head)
{
	*head = forest_of(tree)->blocks[forest_of(tree)->head].node;
}

static bool
is_available(FtcTree *tree, const FtcHash *id)
{
	return forest_of(tree)->blocks[find(forest_of(tree), id)].available;
}

static uint64_t
reorg_limit(FtcTree *tree, const FtcNode *head)
{
	(void) tree;
	(void) head;
	return LIMIT;
}

static bool
is_incomplete(FtcTree *tree, const FtcHash *id, FtcHash *parent)
{
	Forest	   *f = forest_of(tree);
	int			i = find(f, id);

	if (i < 0 || !f->blocks[i].incomplete)
		return false;
	if (parent != NULL)
		*parent = f->blocks[i].node.prev;
	return true;
}

static void
put_incomplete(FtcTree *tree, const FtcNode *node)
{
	Forest	   *f = forest_of(tree);
	Block	   *b = &f->blocks[find(f, &node->id)];

	b->incomplete = true;
	b->since = f->now;
}

static void
drop_incomplete(FtcTree *tree, const FtcHash *id)
{
	forest_of(tree)->blocks[find(forest_of(tree), id)].incomplete = false;
}

static void
add_children(FtcTree *tree, const FtcHash *parent, FtcHashes *children)
{
	Forest	   *f = forest_of(tree);

	for (int i = 0; i < f->n; i++)
		if (f->blocks[i].incomplete && ftc_hash_equal(&f->blocks[i].node.prev, parent))
			ftc_hashes_add(tree, children, &f->blocks[i].node.id);
}

static void
restart_children(FtcTree *tree, const FtcHash *parent)
{
	Forest	   *f = forest_of(tree);

	for (int i = 0; i < f->n; i++)
		if (f->blocks[i].incomplete && ftc_hash_equal(&f->blocks[i].node.prev, parent))
			f->blocks[i].since = f->now;
}

/* Since when it has waited for the body of its lowest incomplete block. */
static uint64_t
branch_since(const Forest *f, int i)
{
	int			parent = find((Forest *) f, &f->blocks[i].node.prev);

	return f->blocks[parent].incomplete ? branch_since(f, parent) : f->blocks[i].since;
}

static int
awaited(FtcTree *tree, const FtcU256 *work, uint64_t patience, FtcHash *proposers)
{
	Forest	   *f = forest_of(tree);
	int			n = 0;

	for (int i = 0; i < f->n && n < FTC_AWAITED_MAX; i++)
		if (f->blocks[i].incomplete && f->now - branch_since(f, i) < patience &&
			ftc_u256_compare(&f->blocks[i].node.work, work) > 0)
			proposers[n++] = f->blocks[i].node.proposer;
	return n;
}

static bool
holds_back(FtcTree *tree, const FtcHash *proposer, uint64_t patience)
{
	Forest	   *f = forest_of(tree);

	for (int i = 0; i < f->n; i++)
		if (f->blocks[i].incomplete && ftc_hash_equal(&f->blocks[i].node.proposer, proposer) &&
			f->now - f->blocks[i].since >= patience && !is_incomplete(tree, &f->blocks[i].node.prev, NULL))
			return true;
	return false;
}

static bool
has_rival(FtcTree *tree, const FtcU256 *work, const FtcHash *id)
{
	Forest	   *f = forest_of(tree);

	for (int i = 0; i < f->n; i++)
		if (ftc_u256_compare(&f->blocks[i].node.work, work) >= 0 && !ftc_hash_equal(&f->blocks[i].node.id, id))
			return true;
	return false;
}

static bool
has_controls_above(FtcTree *tree, uint64_t height)
{
	return forest_of(tree)->controls > height;
}

static void
switch_to(FtcTree *tree, const FtcNode *head, const FtcNode *best)
{
	Forest	   *f = forest_of(tree);

	assert_hash_equal(&f->blocks[f->head].node.id, &head->id);
	for (int i = 0; i < f->n; i++)
		if (f->blocks[i].node.height > f->walk.fork_height)
			f->blocks[i].node.on_main = false;
	for (size_t i = 0; i < f->walk.side.n; i++)
	{
		Block	   *b = &f->blocks[find(f, &f->walk.side.ids[i])];

		assert_int_equal(b->node.height, f->walk.fork_height + 1 + i);
		assert_true(b->available && !b->incomplete);
		b->node.on_main = true;
	}
	f->head = find(f, &best->id);
	assert_true(f->blocks[f->head].node.on_main);
	f->switches++;
}

static void
too_deep(FtcTree *tree, const FtcNode *head, const FtcNode *best, uint64_t depth)
{
	(void) head;
	forest_of(tree)->deep = find(forest_of(tree), &best->id);
	forest_of(tree)->depth = depth;
}

static Forest *
forest(void)
{
	Forest	   *f = keep(sizeof(*f));
	const FtcTree callbacks = {
		&f->walk, resize, load, load_head, is_available, reorg_limit, is_incomplete, put_incomplete,
		drop_incomplete, add_children, restart_children, awaited, holds_back, has_rival,
		has_controls_above, switch_to, too_deep
	};

	memset(f, 0, sizeof(*f));
	f->tree = callbacks;
	f->now = TEST_TIME;
	f->deep = -1;
	f->n = 1;
	f->blocks[0].node.id = hash_of("block", 0);
	f->blocks[0].node.work = ftc_u256_from_u64(1);
	f->blocks[0].node.on_main = true;
	f->blocks[0].available = true;
	return f;
}

static void
done(Forest *f)
{
	free(f->walk.side.ids);
}

/* A block of so much work, which is not entered yet. */
static int
make(Forest *f, int parent, uint64_t work, bool available)
{
	int			i = f->n++;
	FtcNode    *node = &f->blocks[i].node;
	FtcU256		more = ftc_u256_from_u64(work);

	assert_in_range(i, 1, BLOCKS_MAX - 1);
	memset(&f->blocks[i], 0, sizeof(f->blocks[i]));
	node->id = hash_of("block", (uint64_t) i);
	node->prev = f->blocks[parent].node.id;
	node->proposer = hash_of("proposer", (uint64_t) i);
	node->height = f->blocks[parent].node.height + 1;
	node->time = f->now;
	node->work = ftc_u256_add(&f->blocks[parent].node.work, &more);
	f->blocks[i].available = available;
	return i;
}

static int
add(Forest *f, int parent, uint64_t work, bool available)
{
	int			i = make(f, parent, work, available);

	ftc_choice_enter(&f->tree, &f->blocks[i].node);
	return i;
}

/* So many on top of it, each of work 1; gives the last. */
static int
add_some(Forest *f, int parent, int n)
{
	while (n-- > 0)
		parent = add(f, parent, 1, true);
	return parent;
}

static bool
body_comes(Forest *f, int i)
{
	f->blocks[i].available = true;
	return ftc_choice_reconsider(&f->tree, &f->blocks[i].node.id);
}

static void
test_most_work(void **state)
{
	Forest	   *f = forest();
	int			a = add(f, 0, 3, true);
	int			b;

	(void) state;
	assert_int_equal(f->head, a);
	b = add(f, 0, 2, true);
	assert_int_equal(f->head, a);
	/* of equal work the first seen stays, however long the other one is */
	b = add(f, b, 1, true);
	assert_int_equal(f->head, a);
	b = add(f, b, 1, true);
	assert_int_equal(f->head, b);
	assert_false(f->blocks[a].node.on_main);
	assert_int_equal(f->switches, 2);
	done(f);
}

static void
test_fewer_blocks_more_work(void **state)
{
	Forest	   *f = forest();
	int			long_one = add_some(f, 0, 4);
	int			short_one;

	(void) state;
	assert_int_equal(f->head, long_one);
	short_one = add(f, 0, 9, true);
	assert_int_equal(f->head, short_one);
	assert_int_equal(f->blocks[f->head].node.height, 1);
	assert_false(f->blocks[long_one].node.on_main);
	done(f);
}

static void
test_out_of_order(void **state)
{
	Forest	   *f = forest();
	int			a = add(f, 0, 1, false);
	int			b = add(f, a, 1, false);
	int			c = add(f, b, 1, true);
	int			d = add(f, b, 2, true);

	(void) state;
	assert_int_equal(f->head, 0);
	assert_true(f->blocks[c].incomplete && f->blocks[d].incomplete);
	assert_false(body_comes(f, b));
	assert_true(f->blocks[b].incomplete);
	assert_true(body_comes(f, a));
	assert_int_equal(f->head, d);
	for (int i = a; i <= d; i++)
		assert_false(f->blocks[i].incomplete);
	assert_false(f->blocks[c].node.on_main);
	assert_true(f->blocks[a].node.on_main && f->blocks[b].node.on_main);
	/* again: nothing to do */
	assert_false(ftc_choice_reconsider(&f->tree, &f->blocks[a].node.id));
	done(f);
}

/* A body that never comes keeps all above it off, and nothing else. */
static void
test_withheld(void **state)
{
	Forest	   *f = forest();
	int			held = add(f, 0, 9, false);
	int			above = add_some(f, held, 3);
	int			plain = add(f, 0, 1, true);

	(void) state;
	assert_int_equal(f->head, plain);
	assert_true(f->blocks[above].incomplete);
	/* all its descendants have waited for as long as it has */
	assert_true(ftc_choice_is_catching_up(&f->tree, &f->blocks[plain].node));
	f->now += FTC_PATIENCE_US - 1;
	assert_true(ftc_choice_is_catching_up(&f->tree, &f->blocks[plain].node));
	add(f, above, 1, true);
	f->now += 1;
	assert_false(ftc_choice_is_catching_up(&f->tree, &f->blocks[plain].node));
	assert_true(body_comes(f, held));
	assert_int_equal(f->blocks[f->head].node.height, 5);
	done(f);
}

/* Who holds back one body is not waited for again; others are. */
static void
test_patience(void **state)
{
	Forest	   *f = forest();
	int			a = add(f, 0, 9, false);
	int			again;
	int			other;

	(void) state;
	f->now += FTC_PATIENCE_US;
	again = make(f, 0, 9, false);
	f->blocks[again].node.proposer = f->blocks[a].node.proposer;
	ftc_choice_enter(&f->tree, &f->blocks[again].node);
	assert_false(ftc_choice_is_catching_up(&f->tree, &f->blocks[0].node));
	other = add(f, 0, 9, false);
	assert_true(ftc_choice_is_catching_up(&f->tree, &f->blocks[0].node));
	body_comes(f, other);
	assert_false(ftc_choice_is_catching_up(&f->tree, &f->blocks[other].node));
	done(f);
}

/* A body that comes lets those above wait for theirs anew. */
static void
test_restart(void **state)
{
	Forest	   *f = forest();
	int			a = add(f, 0, 1, false);
	int			b = add(f, a, 1, false);

	(void) state;
	f->now += FTC_PATIENCE_US;
	assert_false(ftc_choice_is_catching_up(&f->tree, &f->blocks[0].node));
	assert_true(body_comes(f, a));
	assert_int_equal(f->head, a);
	assert_true(f->blocks[b].incomplete);
	assert_true(ftc_choice_is_catching_up(&f->tree, &f->blocks[a].node));
	done(f);
}

/* As long as the bodies of a long branch come, one after the other, its end is waited for. */
static void
test_bodies_come(void **state)
{
	Forest	   *f = forest();
	int			head = add(f, 0, 9, true);
	int			first = add(f, 0, 1, false);
	int			end = first;

	(void) state;
	while (f->n <= first + 4)
		end = add(f, end, 3, false);
	assert_int_equal(f->head, head);
	for (int i = first; i < end; i++)
	{
		f->now += FTC_PATIENCE_US - 1;
		assert_true(ftc_choice_is_catching_up(&f->tree, &f->blocks[f->head].node));
		body_comes(f, i);
		assert_true(ftc_choice_is_catching_up(&f->tree, &f->blocks[f->head].node));
	}
	f->now += FTC_PATIENCE_US;
	assert_false(ftc_choice_is_catching_up(&f->tree, &f->blocks[f->head].node));
	assert_true(body_comes(f, end));
	assert_int_equal(f->head, end);
	done(f);
}

static void
test_limit(void **state)
{
	Forest	   *f = forest();
	int			top;
	int			at;
	int			rival;

	(void) state;
	top = add_some(f, 0, LIMIT + 1);
	/* at the limit: from height 1 */
	rival = make(f, 1, 20, true);
	assert_int_equal(f->blocks[1].node.height, 1);
	assert_false(ftc_choice_enter(&f->tree, &f->blocks[0].node));
	assert_true(ftc_choice_enter(&f->tree, &f->blocks[rival].node));
	assert_int_equal(f->head, rival);
	assert_int_equal(f->deep, -1);
	/* back to the other one, and one below the limit */
	at = add(f, top, 30, true);
	assert_int_equal(f->head, at);
	rival = add(f, 1, 90, true);
	assert_int_equal(f->head, at);
	assert_int_equal(f->deep, rival);
	assert_int_equal(f->depth, LIMIT + 1);
	assert_int_equal(ftc_choice_choose(&f->tree, &f->blocks[rival].node.id), FTC_CHOICE_TOO_DEEP);
	/* and above it, where the walk ends before the fork */
	f->deep = -1;
	rival = add(f, rival, 1, true);
	assert_int_equal(f->deep, rival);
	rival = add_some(f, 0, 1);
	assert_int_equal(f->head, at);
	done(f);
}

/* Blocks one after the other are a step each; and so is each on a side. */
static void
test_walk_is_remembered(void **state)
{
	Forest	   *f = forest();
	int			main_end = add(f, 0, 100, true);
	int			side = 0;
	FtcNode		head;

	(void) state;
	load_head(&f->tree, &head);
	for (int i = 0; i < 40; i++)
	{
		side = make(f, side, 1, true);
		f->loads = 0;
		assert_int_equal(ftc_choice_walk(&f->tree, &f->blocks[side].node, &head, LIMIT, NULL), FTC_WALK_DONE);
		assert_int_equal(f->loads, 1);
		assert_int_equal(f->walk.side.n, i + 1);
		assert_int_equal(f->walk.fork_height, 0);
		assert_hash_equal(&f->walk.side.ids[i], &f->blocks[side].node.id);
	}
	f->loads = 0;
	assert_int_equal(ftc_choice_walk(&f->tree, &f->blocks[side].node, &head, LIMIT, NULL), FTC_WALK_DONE);
	assert_int_equal(f->loads, 0);
	assert_int_equal(f->head, main_end);
	done(f);
}

static void
test_broken(void **state)
{
	Forest	   *f = forest();
	int			a = make(f, 0, 1, true);
	int			b = make(f, a, 5, true);
	FtcHash		unknown = hash_of("nobody", 1);
	FtcNode		head;

	(void) state;
	f->blocks[a].node.prev = unknown;
	load_head(&f->tree, &head);
	assert_int_equal(ftc_choice_walk(&f->tree, &f->blocks[b].node, &head, LIMIT, NULL), FTC_WALK_BROKEN);
	assert_int_equal(ftc_choice_choose(&f->tree, &f->blocks[b].node.id), FTC_CHOICE_BROKEN);
	assert_int_equal(ftc_choice_choose(&f->tree, &unknown), FTC_CHOICE_BROKEN);
	assert_int_equal(ftc_choice_choose(&f->tree, &f->blocks[0].node.id), FTC_CHOICE_STAY);
	assert_int_equal(f->head, 0);
	done(f);
}

/* However blocks and bodies come, the head is the complete one with most work. */
static void
test_random(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < 300; seed++)
	{
		TestRandom	random = random_from(seed);
		Forest	   *f = forest();

		f->loads = 0;
		while (f->n < 40)
		{
			int			low = f->n > 4 ? f->n - 4 : 0;
			int			parent = low + (int) random_below(&random, (uint64_t) (f->n - low));

			if (f->blocks[f->head].node.height > f->blocks[parent].node.height + LIMIT - 1)
				parent = f->head;
			add(f, parent, 1 + random_below(&random, 3), random_below(&random, 3) > 0);
			if (random_below(&random, 2) == 0)
				body_comes(f, (int) random_below(&random, (uint64_t) f->n));
			for (int i = 0; i < f->n; i++)
				if (f->deep < 0 && !f->blocks[i].incomplete)
					assert_true(ftc_u256_compare(&f->blocks[i].node.work, &f->blocks[f->head].node.work) <= 0);
		}
		done(f);
	}
}

static void
test_closing(void **state)
{
	FtcParams	params = easy_params();
	TestChain  *chain = chain_found(&params, 3, 2);
	const FtcHash *member = &chain->people[1].id;
	const FtcHash *stranger = &chain->people[9].id;
	Forest	   *f = forest();
	int			a = add(f, 0, 1, true);
	const FtcNode *head = &f->blocks[a].node;
	uint64_t	earliest = head->time + params.min_spacing;
	uint64_t	due = ftc_choice_closing_due(head, &chain->state, member);
	uint64_t	when;

	(void) state;
	assert_in_range(due, head->time, head->time + 4 * SECOND - 1);
	assert_true(due != ftc_choice_closing_due(head, &chain->state, &chain->people[0].id));
	assert_true(due - head->time !=
				ftc_choice_closing_due(&f->blocks[0].node, &chain->state, member) - f->blocks[0].node.time);

	/* at rest */
	assert_int_equal(ftc_choice_sealing(&f->tree, head, &chain->state, member, true, earliest, earliest, &when),
					 FTC_SEALING_NOTHING);
	/* with something to seal, but not too soon, and not by anybody */
	assert_int_equal(ftc_choice_sealing(&f->tree, head, &chain->state, stranger, false, earliest, earliest, &when),
					 FTC_SEALING_NOTHING);
	assert_int_equal(ftc_choice_sealing(&f->tree, head, &chain->state, member, false, earliest, earliest, &when),
					 FTC_SEALING_NOW);
	assert_int_equal(ftc_choice_sealing(&f->tree, head, &chain->state, member, false, earliest, earliest - 1, &when),
					 FTC_SEALING_EARLY);
	assert_int_equal(when, earliest);

	/* controls are to be folded, or there is a rival of as much work */
	f->controls = 1;
	assert_true(ftc_choice_needs_closing(&f->tree, head, &chain->state));
	f->controls = 0;
	assert_false(ftc_choice_needs_closing(&f->tree, head, &chain->state));
	add(f, 0, 1, true);
	assert_int_equal(f->head, a);
	assert_true(ftc_choice_needs_closing(&f->tree, head, &chain->state));
	assert_int_equal(ftc_choice_sealing(&f->tree, head, &chain->state, member, true, 0, due - 1, &when),
					 FTC_SEALING_EARLY);
	assert_int_equal(when, due);
	assert_int_equal(ftc_choice_sealing(&f->tree, head, &chain->state, member, true, 0, due, &when),
					 FTC_SEALING_NOW);

	/* not while a better branch is coming */
	add(f, 0, 9, false);
	assert_int_equal(ftc_choice_sealing(&f->tree, head, &chain->state, member, false, 0, f->now, &when),
					 FTC_SEALING_EARLY);
	assert_true(when > f->now);

	/* alone one waits for nobody */
	params.governors = 1;
	chain = chain_found(&params, 1, 1);
	assert_int_equal(ftc_choice_closing_due(head, &chain->state, &chain->people[0].id), 0);
	done(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_most_work),
		test(test_fewer_blocks_more_work),
		test(test_out_of_order),
		test(test_withheld),
		test(test_patience),
		test(test_restart),
		test(test_bodies_come),
		test(test_limit),
		test(test_walk_is_remembered),
		test(test_broken),
		test(test_random),
		test(test_closing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*-------------------------------------------------------------------------
 *
 * choice.c
 *	  Fork choice.
 *
 *-------------------------------------------------------------------------
 */
#include "choice.h"

#include "bytes.h"
#include "sha256.h"

/* ----------------------------------------------------------------
 *		Branches
 * ----------------------------------------------------------------
 */

void
ftc_hashes_add(FtcTree *tree, FtcHashes *list, const FtcHash *id)
{
	if (list->n == list->size)
	{
		size_t		size = list->size == 0 ? 16 : 2 * list->size;

		list->ids = tree->resize(tree, list->ids, size * sizeof(FtcHash));
		list->size = size;
	}
	list->ids[list->n++] = *id;
}

static void
free_hashes(FtcTree *tree, FtcHashes *list)
{
	if (list->ids != NULL)
		(void) tree->resize(tree, list->ids, 0);
}

static bool
is_walked(const FtcWalk *walk, const FtcNode *at, const FtcNode *head)
{
	return walk->valid && ftc_hash_equal(&walk->end, &at->id) && ftc_hash_equal(&walk->head, &head->id);
}

/* The ids above *at, highest first, until the main chain or what is walked. */
static FtcWalked
climb_down(FtcTree *tree, FtcNode *at, const FtcNode *head, uint64_t limit, FtcHashes *above,
		   uint64_t *depth)
{
	while (!at->on_main && !is_walked(tree->walk, at, head))
	{
		FtcHash		prev = at->prev;

		if (head->height >= at->height && head->height - at->height >= limit)
		{
			*depth = head->height - at->height + 1;
			return FTC_WALK_TOO_DEEP;
		}
		ftc_hashes_add(tree, above, &at->id);
		if (!tree->load(tree, &prev, at))
			return FTC_WALK_BROKEN;
	}
	return FTC_WALK_DONE;
}

FtcWalked
ftc_choice_walk(FtcTree *tree, const FtcNode *node, const FtcNode *head, uint64_t limit,
				uint64_t *depth)
{
	FtcWalk    *walk = tree->walk;
	FtcHashes	above = {0};
	FtcNode		at = *node;
	uint64_t	ignored;
	FtcWalked	walked = climb_down(tree, &at, head, limit, &above, depth != NULL ? depth : &ignored);

	if (walked == FTC_WALK_DONE)
	{
		/* not to be taken for another one if memory runs out */
		walk->valid = false;
		if (at.on_main)
		{
			walk->fork_height = at.height;
			walk->side.n = 0;
		}
		for (size_t i = above.n; i > 0; i--)
			ftc_hashes_add(tree, &walk->side, &above.ids[i - 1]);
		walk->head = head->id;
		walk->end = node->id;
		walk->valid = true;
		if (head->height > walk->fork_height && head->height - walk->fork_height > limit)
		{
			if (depth != NULL)
				*depth = head->height - walk->fork_height;
			walked = FTC_WALK_TOO_DEEP;
		}
	}
	free_hashes(tree, &above);
	return walked;
}

/* ----------------------------------------------------------------
 *		The main chain
 * ----------------------------------------------------------------
 */

FtcChoice
ftc_choice_choose(FtcTree *tree, const FtcHash *id)
{
	FtcNode		head;
	FtcNode		best;
	uint64_t	depth;

	tree->load_head(tree, &head);
	if (!tree->load(tree, id, &best))
		return FTC_CHOICE_BROKEN;
	if (ftc_u256_compare(&best.work, &head.work) <= 0)
		return FTC_CHOICE_STAY;
	switch (ftc_choice_walk(tree, &best, &head, tree->reorg_limit(tree, &head), &depth))
	{
		case FTC_WALK_TOO_DEEP:
			tree->too_deep(tree, &head, &best, depth);
			return FTC_CHOICE_TOO_DEEP;
		case FTC_WALK_BROKEN:
			return FTC_CHOICE_BROKEN;
		case FTC_WALK_DONE:
			break;
	}
	tree->switch_to(tree, &head, &best);
	return FTC_CHOICE_SWITCH;
}

/* Those of the list from first on that are available are complete; only they stay. */
static void
take_available(FtcTree *tree, FtcHashes *list, size_t first)
{
	size_t		kept = first;

	for (size_t i = first; i < list->n; i++)
		if (tree->is_available(tree, &list->ids[i]))
		{
			tree->drop_incomplete(tree, &list->ids[i]);
			list->ids[kept++] = list->ids[i];
		}
	list->n = kept;
}

/*
 * Of the blocks that waited for this one, now complete, those that are
 * available are complete as well, and so on upwards.  Of each branch the
 * highest, which has the most work, is chosen in turn, so that the best of them
 * stays.
 */
static bool
complete(FtcTree *tree, const FtcHash *id)
{
	FtcHashes	ready = {0};
	bool		changed = false;

	ftc_hashes_add(tree, &ready, id);
	while (ready.n > 0)
	{
		FtcHash		block = ready.ids[--ready.n];
		size_t		first = ready.n;

		tree->add_children(tree, &block, &ready);
		take_available(tree, &ready, first);
		tree->restart_children(tree, &block);
		if (ready.n == first)
			changed |= ftc_choice_choose(tree, &block) == FTC_CHOICE_SWITCH;
	}
	free_hashes(tree, &ready);
	return changed;
}

bool
ftc_choice_enter(FtcTree *tree, const FtcNode *node)
{
	if (!tree->is_incomplete(tree, &node->prev, NULL) && tree->is_available(tree, &node->id))
		return complete(tree, &node->id);
	tree->put_incomplete(tree, node);
	return false;
}

bool
ftc_choice_reconsider(FtcTree *tree, const FtcHash *id)
{
	FtcHash		parent;

	if (!tree->is_incomplete(tree, id, &parent) || tree->is_incomplete(tree, &parent, NULL) ||
		!tree->is_available(tree, id))
		return false;
	tree->drop_incomplete(tree, id);
	return complete(tree, id);
}

/* ----------------------------------------------------------------
 *		Sealing
 * ----------------------------------------------------------------
 */

bool
ftc_choice_is_catching_up(FtcTree *tree, const FtcNode *head)
{
	FtcHash		proposers[FTC_AWAITED_MAX];
	int			n = tree->awaited(tree, &head->work, FTC_PATIENCE_US, proposers);

	for (int i = 0; i < n; i++)
		if (!tree->holds_back(tree, &proposers[i], FTC_PATIENCE_US))
			return true;
	return false;
}

bool
ftc_choice_needs_closing(FtcTree *tree, const FtcNode *head, const FtcState *state)
{
	return tree->has_controls_above(tree, state->folded) ||
		tree->has_rival(tree, &head->work, &head->id);
}

#define CLOSING_WAIT_MAX_US UINT64_C(4000000)

/*
 * All members see the need at the same time; so each waits a while of its own,
 * another one at each head, or they would go on side by side, each on its own
 * branch.
 */
uint64_t
ftc_choice_closing_due(const FtcNode *head, const FtcState *state, const FtcHash *member)
{
	uint64_t	most = 4 * state->params.spacing;
	uint8_t		bytes[2 * FTC_HASH_LEN];
	FtcHash		chance;
	FtcReader	reader;

	if (state->nmembers < 2)
		return 0;
	memcpy(bytes, head->id.b, FTC_HASH_LEN);
	memcpy(bytes + FTC_HASH_LEN, member->b, FTC_HASH_LEN);
	chance = ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
	reader = ftc_reader(ftc_slice(chance.b, sizeof(chance.b)));
	return head->time + ftc_get_u64(&reader) % (most < CLOSING_WAIT_MAX_US ? most : CLOSING_WAIT_MAX_US);
}

/* How soon to look again whether the bodies of a better branch have come, us. */
#define LOOK_AGAIN_US UINT64_C(100000)

FtcSealing
ftc_choice_sealing(FtcTree *tree, const FtcNode *head, const FtcState *state, const FtcHash *member,
				   bool idle, uint64_t earliest, uint64_t now, uint64_t *when)
{
	uint64_t	due = 0;

	if (ftc_state_find(state, member) == NULL)
		return FTC_SEALING_NOTHING;
	if (idle && !ftc_choice_needs_closing(tree, head, state))
		return FTC_SEALING_NOTHING;
	*when = earliest;
	if (idle)
		due = ftc_choice_closing_due(head, state, member);
	if (*when < due)
		*when = due;
	if (ftc_choice_is_catching_up(tree, head) && *when < now + LOOK_AGAIN_US)
		*when = now + LOOK_AGAIN_US;
	return *when > now ? FTC_SEALING_EARLY : FTC_SEALING_NOW;
}

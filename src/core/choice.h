/*-------------------------------------------------------------------------
 *
 * choice.h
 *	  Fork choice: which branch is the main chain, and when to seal on it.
 *
 * A block is complete when its body and those of all blocks before it are
 * available.  The main chain is the complete branch with the most work, of
 * equal ones the first seen, but for branches that leave it too far below its
 * head: these nobody takes without an operator.
 *
 * The blocks are the caller's: it keeps them in tables or in memory, and tells
 * of them through the callbacks of a tree.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_CHOICE_H
#define FTC_CHOICE_H

#include "rules.h"

/* A block as the choice sees it. */
typedef struct FtcNode
{
	FtcHash		id;
	FtcHash		prev;
	FtcHash		proposer;
	uint64_t	height;
	uint64_t	time;			/* us */
	FtcU256		work;			/* of the branch, this block's included */
	bool		on_main;
} FtcNode;

/* Ids, in memory that the tree's callback resize gives. */
typedef struct FtcHashes
{
	FtcHash    *ids;
	size_t		n;
	size_t		size;
} FtcHashes;

/*
 * The branch that was walked down last: the main chain up to the fork, and the
 * blocks beside it.  What it is follows from the ids of its end and of the head
 * alone, since blocks never change; so of blocks that come one after the other
 * each is one step, not a walk down to the fork.  The caller keeps it; all
 * zeros is none.
 */
typedef struct FtcWalk
{
	bool		valid;
	FtcHash		head;
	FtcHash		end;
	uint64_t	fork_height;	/* the highest that is also on the main chain */
	FtcHashes	side;			/* above it, lowest first; the last is end */
} FtcWalk;

/* Members that may be waited for; more are not looked at. */
#define FTC_AWAITED_MAX 64

/* How long the body of a better branch is waited for, us. */
#define FTC_PATIENCE_US UINT64_C(3000000)

/*
 * The blocks of one chain.  Each callback gets the tree itself, which is best
 * the first member of the caller's own structure.  Incomplete blocks are on a
 * list, each with its parent, its proposer, and since when it has waited: for its
 * body, if the block before it is complete.  A branch has waited for as long as
 * the lowest of its incomplete blocks.
 */
typedef struct FtcTree FtcTree;

struct FtcTree
{
	FtcWalk    *walk;

	/* Memory as by realloc(); size 0 frees it. */
	void	   *(*resize) (FtcTree *tree, void *memory, size_t size);

	/* False if there is no such block in this chain, or none that is sound. */
	bool		(*load) (FtcTree *tree, const FtcHash *id, FtcNode *node);
	void		(*load_head) (FtcTree *tree, FtcNode *head);

	/* The body is here, or known to be stored by enough of its owners. */
	bool		(*is_available) (FtcTree *tree, const FtcHash *id);

	/* How far below the head a branch may leave the main chain. */
	uint64_t	(*reorg_limit) (FtcTree *tree, const FtcNode *head);

	/* The list of incomplete blocks; parent may be NULL. */
	bool		(*is_incomplete) (FtcTree *tree, const FtcHash *id, FtcHash *parent);

	/* It waits from now on. */
	void		(*put_incomplete) (FtcTree *tree, const FtcNode *node);
	void		(*drop_incomplete) (FtcTree *tree, const FtcHash *id);

	/*
	 * Those of this parent: add them by ftc_hashes_add; they wait from now
	 * on.
	 */
	void		(*add_children) (FtcTree *tree, const FtcHash *parent, FtcHashes *children);
	void		(*restart_children) (FtcTree *tree, const FtcHash *parent);

	/*
	 * Proposers of incomplete blocks with more work than that, whose branch
	 * has waited for less than patience: up to FTC_AWAITED_MAX, each once.
	 * Gives their number.
	 */
	int			(*awaited) (FtcTree *tree, const FtcU256 *work, uint64_t patience, FtcHash *proposers);

	/*
	 * Has an incomplete block of that proposer, whose parent is complete,
	 * waited for longer?
	 */
	bool		(*holds_back) (FtcTree *tree, const FtcHash *proposer, uint64_t patience);

	/* Is there another block with that work or more, complete or not? */
	bool		(*has_rival) (FtcTree *tree, const FtcU256 *work, const FtcHash *id);

	/* Does the main chain hold controls above that height? */
	bool		(*has_controls_above) (FtcTree *tree, uint64_t height);

	/*
	 * Make best, which is complete and the end of the walk, the head; and
	 * tell that it would be, if its branch did not leave the main chain at
	 * least depth blocks below the head.
	 */
	void		(*switch_to) (FtcTree *tree, const FtcNode *head, const FtcNode *best);
	void		(*too_deep) (FtcTree *tree, const FtcNode *head, const FtcNode *best, uint64_t depth);
};

extern void ftc_hashes_add(FtcTree *tree, FtcHashes *list, const FtcHash *id);

typedef enum FtcWalked
{
	FTC_WALK_DONE,				/* tree->walk is the branch */
	FTC_WALK_TOO_DEEP,			/* it leaves the main chain below the limit */
	FTC_WALK_BROKEN				/* a block of it cannot be loaded */
} FtcWalked;

/*
 * Walk from a block, itself included, down to the main chain.  If that is too
 * deep, *depth (which may be NULL) is how deep at least.
 */
extern FtcWalked ftc_choice_walk(FtcTree *tree, const FtcNode *node, const FtcNode *head,
								 uint64_t limit, uint64_t *depth);

typedef enum FtcChoice
{
	FTC_CHOICE_STAY,			/* the head is as good, or better */
	FTC_CHOICE_SWITCH,			/* it is another one now */
	FTC_CHOICE_TOO_DEEP,		/* an operator has to decide */
	FTC_CHOICE_BROKEN			/* a block of the branch cannot be loaded */
} FtcChoice;

/* Make a complete block the head, if it has more work than the head has. */
extern FtcChoice ftc_choice_choose(FtcTree *tree, const FtcHash *id);

/*
 * To be called once when a block has been added, and when its body or a
 * statement about it has come.  True if the head changed.
 */
extern bool ftc_choice_enter(FtcTree *tree, const FtcNode *node);
extern bool ftc_choice_reconsider(FtcTree *tree, const FtcHash *id);

/*
 * Is a branch with more work known whose bodies are still on their way?  Then
 * work on the head would be wasted.  As long as one comes after the other, and
 * only so long: if the next one does not come the chain goes on without that
 * branch; and a member that holds back one body is
 * not waited for again, as long as it does.
 */
extern bool ftc_choice_is_catching_up(FtcTree *tree, const FtcNode *head);

/*
 * Does the chain need a block although nothing waits?  Yes while controls are
 * to be folded into the state, and while another branch has as much work:
 * members that are idle would otherwise disagree for ever.
 */
extern bool ftc_choice_needs_closing(FtcTree *tree, const FtcNode *head, const FtcState *state);

/* When such a block is due from a member, us; 0 is at once. */
extern uint64_t ftc_choice_closing_due(const FtcNode *head, const FtcState *state,
									   const FtcHash *member);

typedef enum FtcSealing
{
	FTC_SEALING_NOTHING,		/* the chain needs no block */
	FTC_SEALING_EARLY,			/* ask again at *when */
	FTC_SEALING_NOW
} FtcSealing;

/*
 * May a member begin a block on the head?  state is the one that it would build
 * on, idle says that it has nothing to put into it, earliest is what
 * ftc_rules_earliest() gives; times in us.
 */
extern FtcSealing ftc_choice_sealing(FtcTree *tree, const FtcNode *head, const FtcState *state,
									 const FtcHash *member, bool idle, uint64_t earliest,
									 uint64_t now, uint64_t *when);

#endif							/* FTC_CHOICE_H */

/*-------------------------------------------------------------------------
 *
 * finality.h
 *	  Which blocks are justified, and which can never be taken back.
 *
 * Casper FFG (Buterin and Griffith, arXiv:1710.09437), with the source of all
 * votes for a block named by its header:
 *
 *		VALID		round above the parent's; justify is the parent or an ancestor of
 *					it, and no lower than what the parent justifies; and whoever
 *					takes the block has a certificate for what it justifies
 *		JUSTIFIED	the genesis block; or a valid block that a quorum has voted for
 *		FINAL		the genesis block; or what a justified block justifies, if its
 *					round is one above that; and all ancestors
 *		HEAD		the best block of those that descend from the justified block
 *					with the highest round, and from the last final one
 *
 * Two final blocks that conflict imply two votes of one round, or one vote around
 * another, of a third of the weight: evidence.h.
 *
 * A set of one validator needs no votes: his block is justified and final, as he
 * has signed it.
 *
 * What a branch itself proves, by what its headers justify, is a function of the
 * branch, and is kept with each block; so are epochs, which are made of it.  What
 * a member knows beyond that, by certificates that no header refers to yet, is its
 * view.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_FINALITY_H
#define FTC_FINALITY_H

#include "header.h"
#include "vote.h"

/* A block on a branch. */
typedef struct FtcAncestor
{
	FtcCheckpoint point;
	uint64_t	height;
} FtcAncestor;

/* What the branch that ends in a block proves. */
typedef struct FtcFinality
{
	FtcAncestor self;
	FtcHash		prev;
	FtcAncestor justified;		/* what its header says */
	FtcAncestor final;			/* the highest that it proves final */
	FtcAncestor settled[2];		/* final as proved by the end of the epoch
								 * before, and of the one before that */
	uint64_t	filled;			/* height of the last block with something in
								 * it */
	bool		alone;			/* made by the only validator of its set */
} FtcFinality;

/*
 * Where blocks are.  The callback gets the tree itself, which is best the first
 * member of the caller's own structure; false if there is no such valid block.
 */
typedef struct FtcFinalityTree FtcFinalityTree;

struct FtcFinalityTree
{
	bool		(*load) (FtcFinalityTree *tree, const FtcHash *id, FtcFinality *block);
};

extern void ftc_finality_first(FtcFinality *block, const FtcHash *genesis);

/* Is an ancestor on the branch that ends in a block, or the block itself? */
extern bool ftc_finality_descends(FtcFinalityTree *tree, const FtcFinality *block,
								  const FtcAncestor *ancestor);

/*
 * Round and justify of a header as a child of parent: FTC_BAD_ROUND,
 * FTC_NOT_JUSTIFIED or FTC_OK.  If so *justified is what it justifies.  That there
 * is a certificate for it, unless ftc_finality_is_given(), is for the caller to
 * check: it comes with the block, or before it.
 */
extern FtcReason ftc_finality_check(FtcFinalityTree *tree, const FtcHeader *header,
									const FtcFinality *parent, FtcFinality *justified);

/* Is a block justified without votes: the genesis block, or one of a validator alone? */
extern bool ftc_finality_is_given(const FtcFinality *block);

/*
 * What a valid child proves.  id is the header's; alone says that its set of
 * validators has one member; per_epoch is the number of rounds in an epoch.
 */
extern void ftc_finality_next(FtcFinality *child, const FtcHeader *header, const FtcHash *id,
							  const FtcFinality *parent, const FtcFinality *justified,
							  bool alone, uint32_t per_epoch);

/*
 * The final block that the epoch of a child of this round is made of: the highest
 * that its branch had proved by the end of the epoch two before.
 */
extern FtcAncestor ftc_finality_base(const FtcFinality *parent, uint64_t round, uint32_t per_epoch);

/* Does the branch need another block, though empty, so that all that is in it gets final? */
extern bool ftc_finality_needs_closing(const FtcFinality *head);

/* What a valid block asks its voters to sign. */
extern FtcVoteLink ftc_finality_link(const FtcFinality *block, const FtcHash *validators);

/*
 * With proof of work: is a block of this height a checkpoint, and the round that it
 * bears.  Other blocks bear the round of their parent and are not voted for.
 */
extern bool ftc_finality_is_checkpoint(uint64_t height, uint32_t interval);
extern uint64_t ftc_finality_pow_round(uint64_t parent_round, uint64_t height, uint32_t interval);

/* ----------------------------------------------------------------
 *		What a member knows
 * ----------------------------------------------------------------
 */

typedef struct FtcView
{
	FtcAncestor justified;		/* with the highest round */
	FtcAncestor final;			/* with the highest round */
} FtcView;

typedef enum FtcLearned
{
	FTC_LEARNED_NOTHING,		/* it was known, or is older */
	FTC_LEARNED_JUSTIFIED,
	FTC_LEARNED_FINAL,
	FTC_LEARNED_CONFLICT		/* a third has lied: stay, and call for help */
} FtcLearned;

extern void ftc_view_first(FtcView *view, const FtcHash *genesis);

/* A valid block has got a certificate, which is verified, or needs none. */
extern FtcLearned ftc_view_certified(FtcView *view, FtcFinalityTree *tree, const FtcFinality *block);

/* May this block be the head, or below it? */
extern bool ftc_view_allows(const FtcView *view, FtcFinalityTree *tree, const FtcFinality *block);

/* Which of two blocks is the better head, if the view allows both: > 0 if a is. */
extern int	ftc_finality_compare(const FtcFinality *a, const FtcFinality *b);

/* Should the head give way to another block? */
extern bool ftc_view_prefers(const FtcView *view, FtcFinalityTree *tree, const FtcFinality *head,
							 const FtcFinality *other);

/* ----------------------------------------------------------------
 *		Bytes, as kept with a block
 * ----------------------------------------------------------------
 */

/*
 * Four times round u64, height u64, id 32 (justified, final, settled); filled u64,
 * alone u8.  The rest is in the header.
 */
#define FTC_FINALITY_LEN (4 * (8 + 8 + FTC_HASH_LEN) + 8 + 1)
extern void ftc_finality_encode(const FtcFinality *block, uint8_t bytes[FTC_FINALITY_LEN]);
extern FtcReason ftc_finality_decode(FtcFinality *block, const FtcHeader *header, const FtcHash *id,
									 FtcSlice bytes);

#endif							/* FTC_FINALITY_H */

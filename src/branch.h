/*-------------------------------------------------------------------------
 *
 * branch.h
 *	  Branches: where one leaves the main chain, which is best, switching.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_BRANCH_H
#define FTC_BRANCH_H

#include "core/choice.h"
#include "store.h"

/* The ancestors of a block, itself included, as the main chain plus the rest. */
typedef struct FtcBranch
{
	int32		chain;
	int64		fork_height;	/* highest block that is also on the main
								 * chain */
	FtcHash    *side;			/* blocks above it, lowest first */
	int			nside;
} FtcBranch;

/*
 * The branch that ends in a stored block; not if it leaves the main chain more
 * than limit blocks below its head, when *depth (which may be NULL) is how many
 * at least, nor if it cannot be read down to there.
 */
extern FtcWalked ftc_branch_of(const FtcStored *block, const FtcStored *head, int64 limit,
							   FtcBranch *branch, uint64 *depth);

/*
 * Number of the last bundle of an origin on the branch, 0 if there is none;
 * whether any bundle of it there holds one of these seqs; whether a control
 * is there.
 */
extern int64 ftc_branch_last_bundle(const FtcBranch *branch, int32 origin, int64 incarnation);
extern bool ftc_branch_has_seqs(const FtcBranch *branch, int32 origin, int64 incarnation, const FtcIds *seqs);
extern bool ftc_branch_has_control(const FtcBranch *branch, const FtcHash *id);

/*
 * The state that a block at this height builds on, as a child of parent: the
 * parent's, with such controls of the branch folded in as are due.
 */
extern FtcState *ftc_branch_state(const FtcBranch *branch, const FtcStored *parent, int64 height);

/* The same for a state at hand; a reason if a stored control is damaged. */
extern FtcReason ftc_branch_fold(const FtcBranch *branch, FtcState *state, int64 height);

/* The state that the next block of the main chain builds on: who takes part now. */
extern FtcState *ftc_branch_current_state(int32 chain);

/* Was it ever one that the chain took in, or of its first?  Then its key. */
extern bool ftc_branch_was_member(int32 chain, const FtcHash *member, FtcKey *key);

/* Are bodies of the chain cut so, or were they once, or will they be, as far as it is known here? */
extern bool ftc_branch_knows_cut(int32 chain, uint32 data, uint32 parity);

/* Is the body here, or stated to be stored by enough of its owners? */
extern bool ftc_branch_is_available(const FtcHash *id);

/*
 * What core/choice.h says, over the tables.  To be called once when a block has
 * been stored, and when its body or a statement about it has come.  True if the
 * head changed.
 */
extern bool ftc_branch_enter(int32 chain, const FtcHash *id, const FtcHeader *header);
extern bool ftc_branch_reconsider(int32 chain, const FtcHash *id);

/*
 * A complete block with more work than the head, which thus should be the
 * head: never there unless somebody changed the tables.
 */
extern bool ftc_branch_overlooked(int32 chain, FtcHash *id);
extern bool ftc_branch_choose(int32 chain, const FtcHash *id);

/*
 * A block that is not taken because its branch leaves the main chain too far
 * below the head, at least depth blocks: that is an incident.  member is who
 * proposed or sent it.
 */
extern void ftc_branch_tell_deep(int32 chain, const FtcHash *id, int64 height, const FtcHash *member,
								 int64 depth, int64 limit);

/* May a block be begun on the head?  See ftc_choice_sealing(). */
extern FtcSealing ftc_branch_sealing(const FtcStored *head, const FtcState *state,
									 const FtcHash *member, bool idle, uint64 now, uint64 *when);

#endif							/* FTC_BRANCH_H */

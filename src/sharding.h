/*-------------------------------------------------------------------------
 *
 * sharding.h
 *	  Old bodies in shards: who keeps which, making them, restoring bodies.
 *
 * A body is stored whole by its owners at first.  When it is old enough the first
 * data + parity members of its ring keep a shard each; when all of these are proved
 * the whole copies go (trim.h).  Without shards it goes the same
 * way back: owners want whole copies again.  With other numbers of them what is cut
 * anew is kept beside what was cut before, until that, or whole copies, are proved.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SHARDING_H
#define FTC_SHARDING_H

#include "chain.h"
#include "core/shards.h"
#include "core/state.h"

/* The shards of a body that is held here, which must be sound. */
typedef struct FtcSharded
{
	FtcCut		cut;
	FtcSlice	shards[FTC_SHARDS_MAX];
	FtcHash		digests[FTC_SHARDS_MAX];
	uint8		head[FTC_SHARDS_HEAD_LEN];
} FtcSharded;

extern bool ftc_shards_make(const FtcChain *chain, const FtcState *state, const FtcHash *block, FtcSharded *made);

/*
 * Who keeps which number, of the members that are to, as indexes into the state;
 * numbers are what each says to keep, -1 for none.  Gives how many members there
 * are: fewer than it takes if the chain has too few, 0 without shards.  Those that are out,
 * or have lost theirs, are left out as long as others can take their place.  Heads say of
 * which cut of that kind each number is.
 */
extern uint32 ftc_shards_owners(const FtcChain *chain, const FtcState *state, const FtcHash *block,
								uint32 *owners, int32 *numbers, FtcSlice *heads);

/* How many different shards members keep, cut as the state says. */
extern uint32 ftc_shards_count(const FtcState *state, const FtcHash *block);

/* The same, without members that are gone, by their index in the state. */
extern uint32 ftc_shards_count_without(const FtcState *state, const FtcHash *block, const uint8 *gone);

/*
 * How many members that keep shards, and have not the body whole, would have to be lost
 * for these to restore it no more, of whichever cut this is most; but one, if it is not NULL.
 */
extern uint32 ftc_shards_copies(const FtcState *state, const FtcHash *block, const FtcHash *but);

/* A shard that is kept here; and whether it is one that is sound. */
extern bool ftc_shards_load(const FtcChain *chain, const FtcHash *block, int32 number, FtcSlice head,
							FtcSlice *content);
extern bool ftc_shards_is_sound(const FtcHash *block, int32 number, FtcSlice head);

/* Those that are kept here go if they are damaged, to be made anew. */
extern void ftc_shards_look_at_own(const FtcChain *chain, const FtcHash *block);

/* For the courier: the next shard to ask a member for, and of which cut; and what it gave. */
extern bool ftc_shards_next_wanted(const FtcChain *chain, const FtcHash *member, FtcHash *block, int32 *number,
								   FtcSlice *cut);
extern FtcReason ftc_shards_take(const FtcChain *chain, const FtcHash *block, int32 number, FtcSlice head,
								 FtcSlice path, FtcSlice content);

/* A body is wanted: its parts are, if nobody has it whole. */
extern void ftc_shards_want_parts(const FtcChain *chain, const FtcHash *block);

/*
 * For the keeper: look at the next blocks and make, or want, shards that should be
 * here, true if there are more; restore bodies that are wanted and that nobody has
 * whole; and make those shards whose bodies have come.
 */
extern bool ftc_shards_turn(const FtcChain *chain);
extern void ftc_shards_restore_wanted(const FtcChain *chain);
extern void ftc_shards_make_wanted(const FtcChain *chain);

#endif							/* FTC_SHARDING_H */

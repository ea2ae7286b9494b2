/*-------------------------------------------------------------------------
 *
 * safety.h
 *	  Copies of bodies: who has one, how surely, and whether they are enough.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SAFETY_H
#define FTC_SAFETY_H

#include "chain.h"
#include "core/copy.h"
#include "core/state.h"

/*
 * How many members would have to be lost for the body of a block to be, as far as
 * this database knows: its own copy, and those that others have signed for and
 * not failed to prove.
 */
extern uint32 ftc_safety_copies(const FtcChain *chain, const FtcState *state, const FtcHash *block);

/* How many make it safe. */
extern uint32 ftc_safety_wanted(const FtcState *state);

/* An error unless the block that holds an entry is safe. */
extern void ftc_safety_need(const FtcChain *chain, const FtcHash *block, int64 seq);

/* How long a proof counts, us. */
extern uint64 ftc_safety_fresh(void);

#endif							/* FTC_SAFETY_H */

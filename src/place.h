/*-------------------------------------------------------------------------
 *
 * place.h
 *	  Which members own a block's body: the ring of a state.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_PLACE_H
#define FTC_PLACE_H

#include "fmgr.h"

#include "chain.h"
#include "core/ring.h"
#include "core/state.h"

/*
 * Owners of a block, as indexes into state->members; palloc'd.  The ring of
 * the last state asked for is kept in the backend.
 */
extern uint32 ftc_place_owners(const FtcState *state, const FtcHash *block, uint32 **owners);

/* Should this member hold the block's body? */
extern bool ftc_place_is_holder(const FtcState *state, const FtcHash *block, const FtcHash *member);

/* The ring of a state: a kept one, or one in the current memory context. */
extern const FtcRing *ftc_place_ring(const FtcState *state);
extern FtcRing *ftc_place_make_ring(const FtcState *state);

/*
 * For functions about placement: their first argument, the name of a chain; and
 * the state that its next block builds on.
 */
extern char *ftc_place_chain_arg(FunctionCallInfo fcinfo);
extern FtcState *ftc_place_state(FtcChain *chain, const char *name);

#endif							/* FTC_PLACE_H */

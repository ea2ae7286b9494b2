/*-------------------------------------------------------------------------
 *
 * place.h
 *	  Which members own a block's body: the ring of a state.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_PLACE_H
#define FTC_PLACE_H

#include "core/ring.h"
#include "core/state.h"

/*
 * Owners of a block, as indexes into state->members; palloc'd.  The ring of
 * the last state asked for is kept in the backend.
 */
extern uint32 ftc_place_owners(const FtcState *state, const FtcHash *block, uint32 **owners);

/* Should this member hold the block's body? */
extern bool ftc_place_is_holder(const FtcState *state, const FtcHash *block, const FtcHash *member);

#endif							/* FTC_PLACE_H */

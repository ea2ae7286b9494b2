/*-------------------------------------------------------------------------
 *
 * relief.h
 *	  Who holds a body in the place of a member that is away, or has lost it.
 *
 * The ring without these members says so: whoever is next.  As this database
 * knows it, which others need not: at worst there is a copy too many.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_RELIEF_H
#define FTC_RELIEF_H

#include "chain.h"
#include "core/state.h"

/*
 * Should a member hold a body: as an owner, as one that keeps all, or in the place
 * of one that is out or has lost it?  What is known is looked at once a second.
 */
extern bool ftc_relief_is_holder(const FtcChain *chain, const FtcState *state, const FtcHash *block,
								 const FtcHash *member);

/*
 * Up to r members on the ring that are neither out nor have lost this body, in order,
 * as indexes into the state.
 */
extern uint32 ftc_relief_owners(const FtcChain *chain, const FtcState *state, const FtcHash *block, uint32 r,
								uint32 *owners);

/* Another number whenever others are out. */
extern uint64 ftc_relief_version(const FtcChain *chain, const FtcState *state);

#endif							/* FTC_RELIEF_H */

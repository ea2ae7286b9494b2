/*-------------------------------------------------------------------------
 *
 * inventory.h
 *	  Bodies of the main chain: how large each is, and who has it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_INVENTORY_H
#define FTC_INVENTORY_H

#include "chain.h"
#include "core/arcs.h"
#include "core/state.h"

/* One body.  What is not here is known by its entries only: bytes is a guess. */
typedef struct FtcKeptBody
{
	FtcHash		block;
	FtcHash		proposer;		/* keeps what it has proposed */
	int64		bytes;
	const FtcHash *stating;		/* members that have signed that they store it */
	int			nstating;
	const FtcHash *sharding;	/* that keep a shard of it, as it is cut now */
	int			nsharding;
} FtcKeptBody;

/*
 * Call back for each body with a bundle, from the lowest up.  The callback runs
 * no statement, and what it allocates does not last.
 */
typedef void (*FtcInventoryCallback) (void *arg, const FtcKeptBody *body);
extern void ftc_inventory_each(const FtcChain *chain, FtcInventoryCallback callback, void *arg);

/* Has a member signed for it? */
extern bool ftc_inventory_states(const FtcKeptBody *body, const FtcHash *member);

/* What a member owns and holds, whole or a shard of it. */
typedef struct FtcLoad
{
	double		fair;			/* of the circle, if all went by weights */
	double		share;			/* as it is */
	int64		owned;			/* bodies */
	int64		owned_bytes;
	int64		held;			/* bodies it has signed for */
	int64		held_bytes;
	int64		missing;		/* owned and not held */
} FtcLoad;

/* Of all members, in the order of the state; palloc'd. */
extern FtcLoad *ftc_inventory_load(const FtcChain *chain, const FtcState *state);

#endif							/* FTC_INVENTORY_H */

/*-------------------------------------------------------------------------
 *
 * epoch.h
 *	  The record of an epoch: what decides who proposes and who votes in it.
 *
 *		version u8 (1), class u8 (20), epoch u64, since u64, base round u64,
 *		base id 32, seed 32, validators 32, priorities 32, stakes 32
 *
 * Its SHA-256 is the root in the state's leaf of voters, so every header of the
 * epoch commits to it.  It is a function of the branch: of the record before, and
 * of the stakes at the base, which is the highest block that the branch had proved
 * final by the end of the epoch two before.
 *
 * "since" is the epoch in which the set of validators changed last.  While that
 * change is being handed over (validators.h) there is no other.
 *
 * An epoch in which no block was made has no record, and nothing happens in it:
 * the next one follows the last that has.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_EPOCH_H
#define FTC_EPOCH_H

#include "finality.h"
#include "priority.h"
#include "slot.h"
#include "validators.h"

#define FTC_EPOCH_LEN (2 + 8 + 8 + 8 + 5 * FTC_HASH_LEN)

typedef struct FtcEpoch
{
	uint64_t	epoch;
	uint64_t	since;
	FtcCheckpoint base;
	FtcHash		seed;			/* of the order of delegates */
	FtcHash		validators;		/* ftc_validators_hash() */
	FtcHash		priorities;		/* ftc_priority_hash(), as the epoch begins */
	FtcHash		stakes;			/* ftc_stakes_hash() at the base */
} FtcEpoch;

/* A record with what it commits to, in the caller's memory. */
typedef struct FtcEpochState
{
	FtcEpoch	record;
	FtcValidators set;
	FtcProposer *proposers;		/* those with weight, ascending by id; room
								 * for FTC_VALIDATORS_MAX */
	uint16_t	nproposers;
} FtcEpochState;

extern void ftc_epoch_encode(const FtcEpoch *epoch, uint8_t bytes[FTC_EPOCH_LEN]);
extern FtcReason ftc_epoch_decode(FtcEpoch *epoch, FtcSlice bytes);

/* SHA-256 of the bytes. */
extern FtcHash ftc_epoch_hash(const FtcEpoch *epoch);

/*
 * The epoch that a chain begins with: state->set is given, the rest is made.
 * FTC_OUT_OF_RANGE or the like if it is no set.
 */
extern FtcReason ftc_epoch_first(FtcEpochState *state, const FtcHash *genesis, const FtcHash *stakes);

/* What the next record is made of, besides the one before. */
typedef struct FtcEpochChange
{
	uint64_t	epoch;			/* later than that before */
	FtcAncestor base;			/* ftc_finality_base() */
	FtcHash		stakes;			/* at the base */
	const FtcValidators *wanted;	/* by the stakes at the base; NULL: as
									 * before */
	bool		unanimous;		/* all validators before have signed for it */
	uint32_t	per_epoch;		/* slots */
} FtcEpochChange;

/*
 * *next is the record that follows; its memory is the caller's, and other than that
 * of old.  The priorities go on as if each slot of the epoch before had been used
 * or missed.  False if next has no room.
 */
extern bool ftc_epoch_next(const FtcEpochState *old, const FtcEpochChange *change, FtcEpochState *next);

/* Is the set of this epoch being handed over still, as this is the base of the next? */
extern bool ftc_epoch_is_handed_over(const FtcEpoch *record, const FtcAncestor *base, uint32_t per_epoch);

/*
 * Whose turn a slot of this epoch is, as a place among the proposers.  scratch has
 * room for all of them.
 */
extern uint16_t ftc_epoch_proposer(const FtcEpochState *state, uint64_t slot, uint32_t per_epoch,
								   FtcProposer *scratch);

#endif							/* FTC_EPOCH_H */

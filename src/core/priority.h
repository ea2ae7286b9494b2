/*-------------------------------------------------------------------------
 *
 * priority.h
 *	  Proposer priority: whose turn it is, in proportion to weight.
 *
 * Weighted round robin, exactly as CometBFT has it (cometbft/cometbft,
 * types/validator_set.go).  Each turn everybody's priority grows by his weight;
 * who has the most proposes and pays the weight of all.  A newcomer begins with
 * -1.125 times the weight of all, so that nobody gets rid of what he owes by
 * leaving and coming again.  Nobody's turns differ from his share by a whole
 * one.
 *
 * Here a turn is a slot, whether a block was made in it or not: from what the
 * epoch began with, whose turn a slot is depends on the slot alone.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_PRIORITY_H
#define FTC_PRIORITY_H

#include "types.h"

/* Weight of all, at most: CometBFT's MaxTotalVotingPower. */
#define FTC_PRIORITY_WEIGHT_MAX (INT64_MAX / 8)

/* Lists of them ascend by id, strictly. */
typedef struct FtcProposer
{
	FtcHash		id;
	int64_t		weight;			/* from 1; in changes 0: leaves */
	int64_t		priority;
} FtcProposer;

/* The weight of all; that it is at most FTC_PRIORITY_WEIGHT_MAX is for the caller to know. */
extern int64_t ftc_priority_total(const FtcProposer *proposers, uint32_t n);

/*
 * So many turns (from 1), scaled and centred once before the first: CometBFT's
 * IncrementProposerPriority(times).  Gives who has the last of them; n is not 0.
 */
extern uint32_t ftc_priority_increment(FtcProposer *proposers, uint32_t n, uint64_t times);

/*
 * So many slots, each a turn of its own, which is IncrementProposerPriority(1)
 * so many times.  Gives who has the last of them; 0 if there is none.
 */
extern uint32_t ftc_priority_advance(FtcProposer *proposers, uint32_t n, uint64_t slots);

/*
 * Change the list: UpdateWithChangeSet().  changes ascend by id; weight 0 is who
 * leaves, who must be there.  The result goes into proposers, which has room for
 * capacity; *n is how many there are.  FTC_NOT_CANONICAL (order), FTC_NOT_A_MEMBER
 * (who leaves is not there), FTC_OUT_OF_RANGE (a weight, or that of all),
 * FTC_TOO_MANY (no room, or nobody would be left): then nothing has changed.
 */
extern FtcReason ftc_priority_update(FtcProposer *proposers, uint32_t *n, uint32_t capacity,
									 const FtcProposer *changes, uint32_t nchanges);

/* SHA-256 over id (32) and priority (8, two's complement) of each. */
extern FtcHash ftc_priority_hash(const FtcProposer *proposers, uint32_t n);

#endif							/* FTC_PRIORITY_H */

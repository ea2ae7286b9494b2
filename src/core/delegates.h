/*-------------------------------------------------------------------------
 *
 * delegates.h
 *	  Delegated proof of stake: who is elected, in which order, and who was there.
 *
 * A member's stake is split among those he approves, so whoever has half of the
 * stake fills half of the seats.  (BitShares and EOS count it in full for each.)
 * The N with the most are the delegates of an epoch, each with a weight of 1.  They
 * take turns in the order of SHA-256(seed || id), as Lisk's LIP-3 has it; everybody
 * has one slot of N, so who can choose the seed can change the order, not the share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_DELEGATES_H
#define FTC_DELEGATES_H

#include "stake.h"
#include "validators.h"

/* The votes for a delegate: of each who approves him stake / approvals, rounded down. */
extern uint64_t ftc_delegate_votes(const FtcStakes *stakes, const FtcHash *delegate);

/*
 * The set that the votes ask for: members with votes and without offence, at most
 * so many, the most votes first, of equal ones the smaller id; each with weight 1.
 * False if there are fewer than least: then the set before stays.
 */
extern bool ftc_delegates_elect(const FtcStakes *stakes, const FtcState *members, uint8_t quorum,
								uint16_t most, uint16_t least, FtcValidators *wanted);

/* SHA-256 of a final block's id and an epoch (u64). */
extern FtcHash ftc_delegates_seed(const FtcHash *final, uint64_t epoch);

/*
 * The order of turns, as places in the set, of those with weight; order has room
 * for set->n.  Gives how many.
 */
extern uint16_t ftc_delegates_order(const FtcValidators *set, const FtcHash *seed, uint16_t *order);

/* Whose turn a slot is: a place in the set. */
extern uint16_t ftc_delegates_turn(const uint16_t *order, uint16_t n, uint64_t slot);

/*
 * Slots between two blocks of one epoch, which nobody used, are missed by those
 * whose turns they were: counts go up, by place.
 */
extern void ftc_delegates_missed(const uint16_t *order, uint16_t n, uint64_t parent_slot, uint64_t slot,
								 uint64_t *missed);

/* Which of the last 128 slots up to a block's have blocks. */
#define FTC_PARTICIPATION_SLOTS 128
typedef struct FtcParticipation
{
	uint64_t	slot;			/* of the block; 0: the genesis block */
	uint64_t	bits[2];		/* bits[0] & 1: that slot; & 2: the one before */
} FtcParticipation;

/* All zeros is the genesis block's.  slot is higher than that of the block before. */
extern void ftc_participation_add(FtcParticipation *participation, uint64_t slot);

/* As seen in a later slot: how many of the last 128 up to it have blocks, in permille. */
extern uint32_t ftc_participation_permille(const FtcParticipation *participation, uint64_t slot);

/*
 * The height up to which a block is probable: as many as seven tenths of the
 * delegates have made a block at or above it (BitShares' "last irreversible block").
 * It is shown, never called final: it may conflict though all are honest.  heights,
 * of the last block of each, are sorted by it.
 */
extern uint64_t ftc_delegates_probable(uint64_t *heights, uint16_t n);

#endif							/* FTC_DELEGATES_H */

/*-------------------------------------------------------------------------
 *
 * stake.h
 *	  Who has staked how much, and whom he approves as delegates.
 *
 *		version u8 (1), class u8 (21), zero u16, n u32, each, ascending by member:
 *		member 32, stake u64, flags u8,
 *		n u8, each: amount u64, epoch u64	(leaving, ascending by epoch)
 *		n u8, each: delegate 32				(approved, ascending)
 *
 * What is taken out leaves at once from the weight, but stays bound until an epoch
 * that is later than evidence about the time before lives.  Who has contradicted
 * himself (evidence.h) counts for nothing, as voter and as delegate, and his stake
 * stays where it is: what becomes of it is not for the chain.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_STAKE_H
#define FTC_STAKE_H

#include "state.h"
#include "validators.h"

#define FTC_STAKES_MAX		FTC_MEMBERS_MAX
#define FTC_LEAVING_MAX		8	/* of one member, at a time */
#define FTC_APPROVALS_MAX	16	/* by one member */
#define FTC_STAKE_OFFENDER	0x01
#define FTC_STAKE_FLAGS		0x01

/* An entry and the list's head, at most and at least. */
#define FTC_STAKE_LEN_MAX	(FTC_HASH_LEN + 8 + 1 + 1 + FTC_LEAVING_MAX * 16 + 1 + FTC_APPROVALS_MAX * FTC_HASH_LEN)
#define FTC_STAKE_LEN_MIN	(FTC_HASH_LEN + 8 + 1 + 1 + 1)
#define FTC_STAKES_HEAD_LEN 8

typedef struct FtcLeaving
{
	uint64_t	amount;
	uint64_t	epoch;			/* from which on it is free */
} FtcLeaving;

typedef struct FtcStake
{
	FtcHash		member;
	uint64_t	stake;
	uint8_t		flags;
	uint8_t		nleaving;
	uint8_t		napprovals;
	FtcLeaving	leaving[FTC_LEAVING_MAX];
	FtcHash		approvals[FTC_APPROVALS_MAX];
} FtcStake;

typedef struct FtcStakes
{
	FtcStake   *at;				/* ascending by member; the caller's memory */
	uint32_t	n;
	uint32_t	capacity;
} FtcStakes;

extern size_t ftc_stakes_encode(const FtcStakes *stakes, uint8_t *bytes, size_t size);

/* How many encoded bytes may hold at most, for the caller to allocate. */
extern uint32_t ftc_stakes_capacity(FtcSlice bytes);

/* ->at and ->capacity are set by the caller. */
extern FtcReason ftc_stakes_decode(FtcStakes *stakes, FtcSlice bytes);

/* SHA-256 of the bytes. */
extern FtcHash ftc_stakes_hash(const FtcStakes *stakes);

/* Of this member, or NULL. */
extern const FtcStake *ftc_stakes_find(const FtcStakes *stakes, const FtcHash *member);

/*
 * Changes; one that does not fit changes nothing and gives false.  Stakes add up to
 * FTC_PRIORITY_WEIGHT_MAX at most, what is leaving included.
 */
extern bool ftc_stake_add(FtcStakes *stakes, const FtcHash *member, uint64_t amount);

/* free is the epoch from which on it is free; no lower than that of what left before. */
extern bool ftc_stake_remove(FtcStakes *stakes, const FtcHash *member, uint64_t amount, uint64_t free);

/* Approvals ascend; they replace those before.  None is allowed. */
extern bool ftc_stake_approve(FtcStakes *stakes, const FtcHash *member, const FtcHash *approvals, uint8_t n);
extern bool ftc_stake_punish(FtcStakes *stakes, const FtcHash *member);

/* What is free by this epoch is gone, and so are entries of nothing. */
extern void ftc_stake_release(FtcStakes *stakes, uint64_t epoch);

/*
 * The set that the stakes ask for, with proof of stake: members of the chain with
 * stake, which is their weight; of more than there is room for those with the
 * most, of equal ones those with the smaller ids.  Not handed over.  False if there
 * is nobody: then the set before stays.
 */
extern bool ftc_stake_validators(const FtcStakes *stakes, const FtcState *members, uint8_t quorum,
								 FtcValidators *wanted);

/* Put somebody into a set of at most so many, the least of them making room. */
extern void ftc_stake_put_ranked(FtcValidators *set, const FtcMember *member, uint64_t weight,
								 uint16_t most);

#endif							/* FTC_STAKE_H */

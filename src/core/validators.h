/*-------------------------------------------------------------------------
 *
 * validators.h
 *	  The set of validators of an epoch: who votes, with what weight and key.
 *
 *		version u8 (1), class u8 (19), quorum u8, handover u8 (0 or 1), n u16,
 *		each: id 32, algorithm u8, key 32, weight u64, before u64;
 *		strictly ascending by id
 *
 * A set that is changed is handed over: until a block that the new set has
 * certified is proved final, a certificate needs a quorum of the new weights and
 * one of those before.  So whoever certified under the old set takes part in
 * dropping it, and no two branches can have dropped it differently.  (With one
 * quorum only, two sets that differ by a part d of the weight may certify
 * conflicting blocks though only a third minus d of either misbehaves.)
 *
 * "before" is 0 for everybody unless the set is being handed over; then weight
 * is 0 for who leaves, and before for who is new.  Keys are those of the new set.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_VALIDATORS_H
#define FTC_VALIDATORS_H

#include "priority.h"
#include "types.h"

#define FTC_VALIDATORS_MAX		256
#define FTC_VALIDATOR_LEN		(FTC_HASH_LEN + 1 + FTC_KEY_LEN + 8 + 8)
#define FTC_VALIDATORS_HEAD_LEN	6
#define FTC_VALIDATORS_BYTES_MAX (FTC_VALIDATORS_HEAD_LEN + FTC_VALIDATORS_MAX * FTC_VALIDATOR_LEN)

/* How much of the weight certifies; always strictly more than that. */
typedef enum FtcQuorum
{
	FTC_QUORUM_TWO_THIRDS = 1,	/* holds against less than a third that lies */
	FTC_QUORUM_MAJORITY = 2		/* only against members that crash */
} FtcQuorum;

typedef struct FtcValidator
{
	FtcHash		id;
	uint8_t		algorithm;
	FtcKey		key;
	uint64_t	weight;
	uint64_t	before;			/* weight in the set that hands over */
} FtcValidator;

typedef struct FtcValidators
{
	uint8_t		quorum;			/* FtcQuorum */
	bool		handover;
	uint16_t	n;
	uint16_t	capacity;
	FtcValidator *at;			/* the caller's memory */
} FtcValidators;

/* Weight under both sets; before counts only while one is handed over. */
typedef struct FtcWeight
{
	uint64_t	weight;
	uint64_t	before;
} FtcWeight;

/* The bytes; gives their length also when bytes is NULL. */
extern size_t ftc_validators_encode(const FtcValidators *set, uint8_t *bytes, size_t size);

/* ->at and ->capacity are set by the caller. */
extern FtcReason ftc_validators_decode(FtcValidators *set, FtcSlice bytes);

/* FTC_OK if the set could be decoded from its bytes: order, keys, weights, somebody in it. */
extern FtcReason ftc_validators_check(const FtcValidators *set);

/* SHA-256 of the bytes, which votes and the state of the chain name. */
extern FtcHash ftc_validators_hash(const FtcValidators *set);

/* The place of a member, or -1. */
extern int	ftc_validators_find(const FtcValidators *set, const FtcHash *id);

extern FtcWeight ftc_validators_total(const FtcValidators *set);

/* Is that much strictly more than two thirds (than half), of both if there are two? */
extern bool ftc_validators_is_quorum(const FtcValidators *set, FtcWeight votes);

/* One member with all weight, and none that hands over: nobody else is asked. */
extern bool ftc_validators_is_alone(const FtcValidators *set);

/*
 * One step from a set, which is not being handed over, towards a wanted one.  No
 * more than a third of the weight is taken away and no more than a third is added,
 * in the order of ids; unanimous waives that.  *next is handed over, or, if nothing
 * changes, equal to set.  False if next has no room, or if nobody would be left:
 * then it is equal to set.  What a quorum is never changes.
 */
extern bool ftc_validators_step(const FtcValidators *set, const FtcValidators *wanted,
								bool unanimous, FtcValidators *next);

/* The hand-over is done: those of no weight leave, in place. */
extern void ftc_validators_settle(FtcValidators *set);

extern bool ftc_validators_equal(const FtcValidators *a, const FtcValidators *b);

/* A copy into memory of the caller's; false if it has no room. */
extern bool ftc_validators_copy(FtcValidators *into, const FtcValidators *set);

#endif							/* FTC_VALIDATORS_H */

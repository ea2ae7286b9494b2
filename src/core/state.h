/*-------------------------------------------------------------------------
 *
 * state.h
 *	  Epoch state: what a chain's control entries add up to.
 *
 * A block's header names the state it builds on by an RFC 6962 root over
 * these leaves, so that any part of it can be proved alone:
 *
 *		0	version 1, class 16 (PARAMS), folded u64, parameters
 *		1	version 1, class 17 (VOTERS), hash 32 of the epoch's record (epoch.h);
 *			zeros without voters
 *		2.. version 1, class 18 (MEMBER), id 32, algorithm 1, key 32, weight 4,
 *			flags 1, zone 1+n, name 1+n; ascending by id
 *
 * "folded" is the height of the last block whose controls are in it.  Stored
 * and sent as the leaves one after another, each behind a length u16.
 *
 * Which controls a block's state holds is a function of its branch alone:
 * with one member, all of its ancestors' (no other branch can exist); with
 * more, at every epoch_blocks-th height those more than settle_blocks below
 * it, so that branches that part near the tip agree on it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_STATE_H
#define FTC_STATE_H

#include "control.h"
#include "merkle.h"
#include "types.h"

typedef struct FtcMember
{
	FtcHash		id;
	uint8_t		algorithm;
	FtcKey		key;			/* the current one */
	uint32_t	weight;
	uint8_t		flags;			/* FTC_MEMBER_... */
	FtcSlice	zone;
	FtcSlice	name;
} FtcMember;

typedef struct FtcState
{
	uint64_t	folded;
	FtcParams	params;
	FtcHash		voters;			/* hash of the epoch's record; zero without */
	FtcMember  *members;		/* ascending by id; the caller's memory */
	uint32_t	nmembers;
	uint32_t	capacity;		/* of members */
} FtcState;

#define FTC_MEMBER_LEAF_MAX (2 + FTC_HASH_LEN + 1 + FTC_KEY_LEN + 4 + 1 + 2 * (1 + FTC_NAME_MAX))

/* The bytes; gives their length also when bytes is NULL. */
extern size_t ftc_state_encode(const FtcState *state, uint8_t *bytes, size_t size);

/* How many members encoded bytes may hold at most, for the caller to allocate. */
extern uint32_t ftc_state_capacity(FtcSlice bytes);

/* state->members and ->capacity are set by the caller; slices point into bytes. */
extern FtcReason ftc_state_decode(FtcState *state, FtcSlice bytes);

extern FtcHash ftc_state_root(const FtcState *state);

/* Leaf hash number i of the state tree, 0 .. nmembers + 1. */
extern FtcHash ftc_state_leaf_hash(const FtcState *state, uint32_t i);

/* The hash of leaf 1, for who has only the record's hash. */
extern FtcHash ftc_voters_leaf_hash(const FtcHash *voters);
extern size_t ftc_member_leaf_encode(const FtcMember *member, uint8_t *bytes);
extern FtcReason ftc_member_leaf_decode(FtcMember *member, FtcSlice bytes);

/* The member with this id, or NULL. */
extern const FtcMember *ftc_state_find(const FtcState *state, const FtcHash *id);

/*
 * Is a control rightly signed under this state?  FTC_NOT_AUTHORISED,
 * FTC_BAD_SIGNATURE, FTC_BAD_POSSESSION, FTC_NOT_A_MEMBER or FTC_OK.
 */
extern FtcReason ftc_state_authorise(const FtcState *state, const FtcControl *control,
									 const FtcHash *chain);

/*
 * Apply a control.  One that no longer makes sense (a member that is there
 * already, the last governor leaving, ...) changes nothing and gives false.
 */
extern bool ftc_state_apply(FtcState *state, const FtcControl *control);

/*
 * Controls of which heights a block at this height folds into the state of
 * its parent: those of (state->folded, *bound].  False if none can be.
 */
extern bool ftc_state_fold_bound(const FtcState *state, uint64_t height, uint64_t *bound);

#endif							/* FTC_STATE_H */

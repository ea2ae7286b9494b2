/*-------------------------------------------------------------------------
 *
 * rules.h
 *	  What makes a block valid, for blocks of our own, of peers, and in
 *	  verify(): the same functions.
 *
 * Each rule is a function of the branch the block stands on; the only thing
 * taken from outside is the clock, and a block refused for being ahead of it
 * may be valid later.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_RULES_H
#define FTC_RULES_H

#include "body.h"
#include "header.h"
#include "merkle.h"
#include "pow.h"
#include "state.h"
#include "u256.h"

/* What a child needs to know of its parent. */
typedef struct FtcTip
{
	FtcHash		id;
	uint64_t	height;
	uint64_t	time;			/* us */
	FtcAnchor	anchor;			/* of the retarget; times in us */
	FtcFrontier history;		/* ids of 0 .. height, this block's included */
	FtcU256		work;			/* of the branch, this block's included */
} FtcTip;

/* The bits a child of tip must carry. */
extern uint32_t ftc_rules_next_bits(const FtcTip *tip, const FtcParams *params);

/* The earliest time a child of tip may bear, us. */
extern uint64_t ftc_rules_earliest(const FtcTip *tip, const FtcParams *params);

/*
 * Is the header right as a child of parent, building on state (whose root is
 * header->state if right)?  now in us; signature is the proposer's.
 */
extern FtcReason ftc_rules_header(const FtcHeader *header, const FtcSignature *signature,
								  const FtcTip *parent, const FtcState *state,
								  const FtcHash *genesis, uint64_t now);

/*
 * Are the manifest's controls and bundles authorised, signed and within the
 * limits?  Their order on the branch is for the caller, who knows the branch.
 */
extern FtcReason ftc_rules_manifest(const FtcManifest *manifest, const FtcHeader *header,
									const FtcState *state, const FtcHash *genesis);

/*
 * Is this a genesis block?  If so *state is what it establishes; its slices
 * point into the manifest; members and capacity are set by the caller.
 */
extern FtcReason ftc_rules_genesis(const FtcHeader *header, const FtcSignature *signature,
								   const FtcManifest *manifest, FtcState *state);

/*
 * What a member signs that stores a body: the block and itself.  And whether a
 * statement, member and signature, is of a member of the state, and right.
 */
extern FtcHash ftc_rules_statement_digest(const FtcHash *block, const FtcHash *member);
extern FtcReason ftc_rules_statement(const FtcState *state, const FtcHash *genesis,
									 const FtcHash *block, FtcSlice statement);

/* The genesis block as a tip, and the tip that a valid child makes. */
extern void ftc_rules_first_tip(FtcTip *tip, const FtcHeader *genesis, const FtcParams *params);
extern void ftc_rules_next_tip(FtcTip *child, const FtcTip *parent,
							   const FtcHeader *header, const FtcParams *params);

/*
 * A tip's bytes, as kept with its block: anchor height u64, anchor parent
 * time u64, anchor bits u32, work 32, frontier.
 */
#define FTC_TIP_BYTES_MAX (8 + 8 + 4 + FTC_HASH_LEN + FTC_FRONTIER_BYTES_MAX)
extern size_t ftc_tip_encode(const FtcTip *tip, uint8_t *bytes);
extern FtcReason ftc_tip_decode(FtcTip *tip, const FtcHeader *header, FtcSlice bytes);

#endif							/* FTC_RULES_H */

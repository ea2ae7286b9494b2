/*-------------------------------------------------------------------------
 *
 * proofs.h
 *	  Do members store what they have signed for?  They are challenged.
 *
 * Drawing a challenge, a transaction of the keeper; asking and taking the answer,
 * two of the courier.  See core/copy.h for what follows from an answer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_PROOFS_H
#define FTC_PROOFS_H

#include "chain.h"
#include "core/copy.h"
#include "core/shards.h"
#include "core/state.h"

/*
 * Draw challenges for each peer of a chain, until so many of its copies wait to be
 * asked for.  Gives how many were drawn.
 */
extern int	ftc_proofs_draw(const FtcChain *chain, int most);

/* The same for one copy, whole (-1, without a head) or a shard of a cut, unless it waits already. */
extern bool ftc_proofs_draw_for(const FtcChain *chain, const FtcHash *block, int64 height, const FtcHash *member,
								int32 shard, FtcSlice head);

/* Does one wait for an answer? */
extern bool ftc_proofs_is_drawn(const FtcHash *block, const FtcHash *member, int32 shard, FtcSlice head);

/* Challenges for a body that goes, while it is still here. */
extern void ftc_proofs_keep(const FtcChain *chain, const FtcState *state, const FtcHash *block, FtcSlice body);

/* What to ask a member now; false if there is nothing. */
typedef struct FtcChallenge
{
	FtcHash		block;
	int32		shard;			/* -1: the whole body */
	size_t		head_len;		/* 0: the whole body */
	uint8		head[FTC_SHARDS_HEAD_LEN];
	uint8		nonce[FTC_NONCE_LEN];
} FtcChallenge;

extern bool ftc_proofs_next(const FtcChain *chain, const FtcHash *member, FtcChallenge *challenge);

/* Its answer, as it came, empty if there is none; and its last word on the body. */
extern void ftc_proofs_take(const FtcChain *chain, const FtcHash *member, const FtcChallenge *challenge,
							FtcSlice answer, FtcSlice signature, FtcSlice word);

/* Another member says that a copy is lost, or found. */
extern FtcReason ftc_proofs_said(const FtcChain *chain, const FtcHash *sayer, FtcSlice reference);

/*
 * Somebody misses a copy of ours: for the keeper, to look whether it is sound; each
 * once an hour.  True if one was looked at.
 */
extern bool ftc_proofs_look_at_own(const FtcChain *chain);

/* Words that were not repeated for long are forgotten. */
extern void ftc_proofs_prune(void);

#endif							/* FTC_PROOFS_H */

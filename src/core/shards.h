/*-------------------------------------------------------------------------
 *
 * shards.h
 *	  A body in shards: any so many of them restore it.
 *
 * Reed-Solomon over GF(2^8) with a Cauchy matrix, by ISA-L.  The first shards are
 * the body itself, cut in equal pieces, the last one filled up with zeros; the rest
 * is parity.  So whoever has the first ones needs no arithmetic, and shards are a
 * function of the body and the two numbers alone: whoever has the body can make
 * each of them.
 *
 * A shard is known to be right by its digest, which is a leaf of an RFC 6962 tree
 * over all of them: so one that is wrong is found before anything is restored with
 * it.  The body that comes out is checked against its header all the same.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SHARDS_H
#define FTC_SHARDS_H

#include "types.h"

#define FTC_SHARDS_MAX FTC_REPLICAS_MAX /* data and parity */

/* How a body is cut. */
typedef struct FtcCut
{
	uint32_t	data;			/* shards that restore it, from 1 */
	uint32_t	parity;			/* beyond these, from 1 */
	size_t		len;			/* of the body, from 1 */
} FtcCut;

/* FTC_OUT_OF_RANGE if there can be no such shards. */
extern FtcReason ftc_cut_check(const FtcCut *cut);

/* The length of each shard. */
extern size_t ftc_shard_len(const FtcCut *cut);

/*
 * Memory for the caller to allocate: what encoding and restoring need to work, and
 * the parity shards, one after another.
 */
extern size_t ftc_shards_scratch(const FtcCut *cut);
extern size_t ftc_parity_len(const FtcCut *cut);

/* All shards of a body: slices of body, scratch and parity. */
extern void ftc_shards_encode(const FtcCut *cut, const uint8_t *body, uint8_t *parity, void *scratch,
							  FtcSlice *shards);

/*
 * The body, from shards by their numbers; those that are not there have no data.
 * FTC_TOO_FEW if they do not suffice, FTC_BAD_LENGTH if one has another length.
 */
extern FtcReason ftc_shards_restore(const FtcCut *cut, const FtcSlice *shards, uint8_t *body, void *scratch);

/*
 * Which number each of n owners keeps, of so many shards, as many as they or more: the one
 * that it states, unless an earlier one does; the others take those that are free, in
 * order.  -1: none.
 */
extern void ftc_shards_assign(uint32_t n, uint32_t shards, const int32_t *stated, int32_t *assigned);

/* The leaf hash of a shard, and the root over all of them. */
extern FtcHash ftc_shard_digest(FtcSlice shard);
extern FtcHash ftc_shards_root(const FtcCut *cut, const FtcHash *digests);

/*
 * What is said of the shards of a body, with each of them:
 *
 *		version 1, zero 1, data u8, parity u8, length u32, block id 32, root 32
 */
#define FTC_SHARDS_HEAD_LEN 72

typedef struct FtcShardsHead
{
	FtcCut		cut;
	FtcHash		block;
	FtcHash		root;
} FtcShardsHead;

extern void ftc_shards_head_encode(const FtcShardsHead *head, uint8_t bytes[FTC_SHARDS_HEAD_LEN]);
extern FtcReason ftc_shards_head_decode(FtcShardsHead *head, FtcSlice bytes);

#endif							/* FTC_SHARDS_H */

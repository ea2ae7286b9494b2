/*-------------------------------------------------------------------------
 *
 * control.h
 *	  Control entries: what changes the chain itself, in fixed binary.
 *
 * They stand first in a body, go to every member with the header, and are
 * never erased.  A control is a leaf of the body tree:
 *
 *		  at  bytes
 *		   0    1	version			1
 *		   1    1	class			2 (FTC_LEAF_CONTROL)
 *		   2    1	kind			FtcControlKind
 *		   3    1	zero
 *		   4   16	nonce			makes it unlike every other control
 *		  20    8	not after		height of the last block that may hold it
 *		  28    .	by kind, see below
 *		   .    1	signatures n	0 .. FTC_SIGNERS_MAX
 *		   . 96*n	signer (member id), signature; ascending by signer
 *
 * by kind:
 *		PARAMS			the chain's parameters (state.h)
 *		ADD_MEMBER		algorithm 1, key 32, weight 4, flags 1, zone 1+n,
 *						name 1+n, proof of possession 64
 *		REMOVE_MEMBER	member 32
 *		SET_MEMBER		member 32, weight 4, flags 1, zone 1+n
 *		REKEY			member 32, algorithm 1, key 32, proof of possession 64
 *		ERASE			origin 32, incarnation 8, seq 8
 *		PRUNE			from height 8, to height 8 (inclusive)
 *
 * Signers sign SHA-256 of all before the count of signatures (domain "ftchain
 * control v1").  Who must sign: as many governors as the parameters say; or,
 * for REMOVE_MEMBER and REKEY, the member itself; for ERASE, the origin.
 * Controls of the genesis block carry no signatures: its id is what members
 * agree on.  The proof of possession is the new key's signature of its member
 * id (domain "ftchain possession v1"); in the genesis block, and only there,
 * its chain is 32 zeros.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_CONTROL_H
#define FTC_CONTROL_H

#include "sign.h"
#include "types.h"

#define FTC_SIGNERS_MAX			64
#define FTC_CONTROL_NONCE_LEN	16
#define FTC_CONTROL_MAX			8192	/* bytes of one control */
#define FTC_CONTROLS_MAX		1024	/* controls in one block */

typedef enum FtcControlKind
{
	FTC_CONTROL_PARAMS = 1,
	FTC_CONTROL_ADD_MEMBER = 2,
	FTC_CONTROL_REMOVE_MEMBER = 3,
	FTC_CONTROL_SET_MEMBER = 4,
	FTC_CONTROL_REKEY = 5,
	FTC_CONTROL_ERASE = 6,
	FTC_CONTROL_PRUNE = 7
} FtcControlKind;

#define FTC_MEMBER_GOVERNOR		0x01	/* may authorise controls */
#define FTC_MEMBER_FULL			0x02	/* keeps every body */
#define FTC_MEMBER_FLAGS		0x03

/* What a chain agrees on; see state.h for the bytes. */
typedef struct FtcParams
{
	uint32_t	consensus;
	uint64_t	spacing;		/* intended time between blocks, us */
	uint64_t	min_spacing;	/* least time between blocks, us */
	uint64_t	half_life;		/* of the retarget, us */
	uint64_t	future_bound;	/* how far a block may be ahead of a clock, us */
	uint32_t	limit_bits;		/* the easiest target */
	uint32_t	max_leaves;		/* of one body tree */
	uint32_t	max_body;		/* one encoded body, bytes */
	uint32_t	max_payload;	/* one payload, bytes */
	uint32_t	reorg_limit;	/* deepest reorganisation, blocks */
	uint32_t	epoch_blocks;	/* state is folded at multiples of this height */
	uint32_t	settle_blocks;	/* depth at which controls are folded */
	uint16_t	replicas;		/* owners of a body */
	uint16_t	stored_quorum;	/* STORED statements that make a body
								 * available */
	uint16_t	governors;		/* signatures a control needs */
	uint16_t	flags;			/* none yet: 0 */
	uint16_t	durability;		/* copies that make an entry safe */
	uint8_t		shard_data;		/* shards that restore an old body; 0: whole
								 * copies */
	uint8_t		shard_parity;	/* more of them, that may be lost */
	FtcSlice	name;			/* of the chain, for people */
} FtcParams;

typedef struct FtcControl
{
	uint8_t		kind;
	uint8_t		nonce[FTC_CONTROL_NONCE_LEN];
	uint64_t	not_after;		/* height; INT64_MAX for no bound */
	FtcParams	params;			/* PARAMS */
	FtcHash		member;			/* REMOVE_, SET_MEMBER, REKEY; origin of ERASE */
	uint8_t		algorithm;		/* ADD_MEMBER, REKEY */
	FtcKey		key;
	uint32_t	weight;			/* ADD_, SET_MEMBER */
	uint8_t		flags;
	FtcSlice	zone;
	FtcSlice	name;			/* ADD_MEMBER */
	FtcSignature possession;	/* ADD_MEMBER, REKEY */
	uint64_t	from;			/* ERASE: incarnation; PRUNE: height */
	uint64_t	to;				/* ERASE: seq; PRUNE: height */

	uint8_t		nsigners;
	FtcSlice	signers;		/* encoded, 96 bytes each */
	FtcSlice	core;			/* after decoding: what the signers signed */
} FtcControl;

extern size_t ftc_params_encode(const FtcParams *params, uint8_t *bytes, size_t size);
extern FtcReason ftc_params_decode(FtcParams *params, FtcSlice bytes);
extern FtcReason ftc_params_check(const FtcParams *params);

/*
 * The core, which is to be signed, and the whole leaf.  Both give the length,
 * at most FTC_CONTROL_MAX, also when bytes is NULL.
 */
extern size_t ftc_control_core_encode(const FtcControl *control, uint8_t *bytes, size_t size);
extern size_t ftc_control_leaf_encode(const FtcControl *control, uint8_t *bytes, size_t size);
extern FtcReason ftc_control_leaf_decode(FtcControl *control, FtcSlice bytes);

extern FtcHash ftc_control_digest(FtcSlice core);
extern FtcHash ftc_control_signer(const FtcControl *control, int i, FtcSignature *signature);

#endif							/* FTC_CONTROL_H */

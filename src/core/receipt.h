/*-------------------------------------------------------------------------
 *
 * receipt.h
 *	  Receipts: proof that an entry is in a block of a chain.
 *
 * A receipt is json.  Hashes and hashed bytes are base64, 64-bit numbers are
 * strings of digits, since many readers of json know no integers of that size.
 *
 *		version		1
 *		genesis		id of the chain
 *		leaf		bytes of the entry's leaf
 *		leaf_index, bundle_path	its inclusion in its bundle
 *		salt, payload			what the leaf's payload hash is of
 *		bundle		bytes of the bundle head, which names the bundle's root
 *		bundle_index, body_path	its inclusion in the body of the block
 *		header, signature		of the block
 *		member		leaf bytes of its proposer in the state
 *		member_index, members, state_path	their inclusion in that state
 *		head, head_signature, head_member, head_member_index, head_members,
 *		head_state_path			the same of a later block, or of this one
 *		history_path			inclusion of the block's id in head's history
 *		genesis_path			inclusion of the genesis id in head's history
 *
 * So whoever holds the entry's bundle can give one: where a bundle head is in a
 * body follows from the manifest and its proof, which all members have.
 *
 * How the json is read is for the caller; the rest is here.
 *
 * What it proves: that those who hold the keys of the two proposers signed the
 * blocks, and that entry, block and genesis are what head commits to.  Who may
 * propose is told by states that the receipt brings along itself; whoever does
 * not trust its giver compares head with a block of the chain that he knows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_RECEIPT_H
#define FTC_RECEIPT_H

#include "bundle.h"
#include "entry.h"
#include "header.h"
#include "merkle.h"
#include "sign.h"

/* The fields that speak of one block. */
typedef struct FtcReceiptBlockNames
{
	const char *header;
	const char *signature;
	const char *member;
	const char *member_index;
	const char *members;
	const char *state_path;
} FtcReceiptBlockNames;

extern const FtcReceiptBlockNames ftc_receipt_block;
extern const FtcReceiptBlockNames ftc_receipt_head;

typedef struct FtcPath
{
	FtcHash		hashes[FTC_PROOF_MAX];
	int			n;
} FtcPath;

/* A block that a receipt speaks of. */
typedef struct FtcReceiptBlock
{
	FtcSlice	header_bytes;
	FtcSignature signature;
	FtcSlice	member;
	uint64_t	member_index;
	uint64_t	members;
	const FtcPath *state_path;

	FtcHeader	header;			/* from here on what ftc_receipt_check() finds */
	FtcHash		id;
} FtcReceiptBlock;

/* A receipt as read. */
typedef struct FtcReceipt
{
	FtcHash		genesis;
	FtcSlice	leaf;
	uint64_t	leaf_index;
	const FtcPath *bundle_path;
	FtcSlice	salt;
	FtcSlice	payload;
	FtcSlice	bundle_head;
	uint64_t	bundle_index;
	const FtcPath *body_path;
	FtcReceiptBlock block;
	FtcReceiptBlock head;
	const FtcPath *history_path;
	const FtcPath *genesis_path;

	FtcEntry	entry;			/* from here on what ftc_receipt_check() finds */
	FtcBundle	bundle;
} FtcReceipt;

#define FTC_RECEIPT_MALFORMED "malformed receipt"

/*
 * Why a receipt is not good, NULL if it is; genesis and head are those expected,
 * NULL for any.
 */
extern const char *ftc_receipt_check(FtcReceipt *receipt, const FtcHash *genesis, const FtcHash *head);

/* Which entry of a bundle has this seq, from 0; -1 if none has. */
extern int64_t ftc_receipt_index(const FtcBundle *bundle, uint64_t seq);

#endif							/* FTC_RECEIPT_H */

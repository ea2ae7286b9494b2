/*-------------------------------------------------------------------------
 *
 * finality_proof.h
 *	  Proof, for somebody without a database, that a block is final.
 *
 *		version u8 (1), class u8 (25), zero u16, header 240, its signature 64,
 *		next header (length u32: 240; 0 if the validator is alone),
 *		certificate of the next (length u32, bytes; empty if alone),
 *		validators (length u32, bytes), epoch record 186,
 *		members u32, n u8, path: n hashes
 *
 * The next header justifies the block and has a round one above it, and a quorum
 * has voted for it: then the block is final (finality.h), and so is all that it
 * has in its history.  That these are the validators is what the next header's
 * state says: path is the inclusion of the leaf of voters, number 1 of members + 2.
 *
 * What it proves: that who holds the keys of a quorum of that set has signed.  Who
 * does not trust the giver of the proof compares the set with one that he knows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_FINALITY_PROOF_H
#define FTC_FINALITY_PROOF_H

#include "epoch.h"
#include "merkle.h"
#include "vote.h"

typedef struct FtcFinalityProof
{
	FtcSlice	header;
	FtcSignature signature;
	FtcSlice	next;			/* empty if the validator is alone */
	FtcSlice	certificate;
	FtcSlice	validators;
	FtcSlice	record;
	uint32_t	members;		/* of the state of next, or of the block's if
								 * alone */
	uint8_t		npath;
	FtcHash		path[FTC_PROOF_MAX];
} FtcFinalityProof;

extern size_t ftc_finality_proof_encode(const FtcFinalityProof *proof, uint8_t *bytes, size_t size);

/* Only the frame is looked at. */
extern FtcReason ftc_finality_proof_decode(FtcFinalityProof *proof, FtcSlice bytes);

/*
 * Is the block final?  genesis is that of the chain.  trusted is the hash of a set
 * of validators that the caller knows to be right, NULL for any: then FTC_OK says
 * no more than that the set in the proof has signed.  *id and *height tell which
 * block it is.
 */
extern FtcReason ftc_finality_proof_check(const FtcFinalityProof *proof, const FtcHash *genesis,
										  const FtcHash *trusted, FtcHash *id, uint64_t *height);

#endif							/* FTC_FINALITY_PROOF_H */

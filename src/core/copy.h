/*-------------------------------------------------------------------------
 *
 * copy.h
 *	  A copy of a body at a member: how far it is, and whether it is there.
 *
 * WANTED, it should be there -> SENT, the member was told of the block -> STORED,
 * it has signed that it stores the body -> PROVED, it has shown so lately.  What
 * it could not show is LOST, until it can again.
 *
 * A proof answers a challenge: SHA-256(nonce || member || body), where the nonce is
 * drawn by lot, so nobody answers without the body, nor with what another one answers.  Nobody is believed, but no answer is
 * no lie either: who is slow or away is asked again.  A wrong answer may be a
 * mistake that passes, as while the body is being repaired: the same nonce is
 * asked three times, so that the mistake cannot be lucky either.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_COPY_H
#define FTC_COPY_H

#include "types.h"

typedef enum FtcCopyState
{
	FTC_COPY_NONE,				/* not there, nor should it be */
	FTC_COPY_WANTED,
	FTC_COPY_SENT,
	FTC_COPY_STORED,
	FTC_COPY_PROVED,
	FTC_COPY_LOST
} FtcCopyState;

/* What is known of a copy; times are microseconds of one clock. */
typedef struct FtcCopyFacts
{
	bool		owned;			/* the member should have it */
	bool		sent;
	bool		stated;
	bool		lost;
	uint64_t	proved_at;		/* 0: never */
} FtcCopyFacts;

/* A proof counts for so long. */
extern FtcCopyState ftc_copy_state(const FtcCopyFacts *facts, uint64_t now, uint64_t fresh);
extern const char *ftc_copy_state_name(FtcCopyState state);

#define FTC_PROOF_TRIES 3		/* wrong answers that a copy is lost by */

typedef enum FtcProofAnswer
{
	FTC_PROOF_RIGHT,
	FTC_PROOF_WRONG,
	FTC_PROOF_ADMITTED,			/* the member says itself that it has it not */
	FTC_PROOF_NONE				/* it says nothing */
} FtcProofAnswer;

typedef enum FtcProofVerdict
{
	FTC_PROOF_UNKNOWN,			/* as before */
	FTC_PROOF_GOOD,				/* proved */
	FTC_PROOF_AGAIN,			/* to be asked again, the same */
	FTC_PROOF_LOST,				/* news: it is lost */
	FTC_PROOF_FOUND				/* news: it was lost, and is there */
} FtcProofVerdict;

/* How far a challenge is; all zeros is new. */
typedef struct FtcProof
{
	uint32_t	wrong;			/* answers in a row */
	bool		lost;
} FtcProof;

extern FtcProofVerdict ftc_proof_judge(FtcProof *proof, FtcProofAnswer answer);

#define FTC_NONCE_LEN 32

/* The answer to a challenge, of one member: that of another one is worth nothing to it. */
extern FtcHash ftc_proof_of(const uint8_t nonce[FTC_NONCE_LEN], const FtcHash *member, FtcSlice body);

/* What the member signs: who has asked need not be believed either. */
extern FtcHash ftc_proof_digest(const FtcHash *block, const FtcHash *member,
								const uint8_t nonce[FTC_NONCE_LEN], const FtcHash *answer);

/*
 * How many members would have to be lost for the body to be: it is safe when they
 * are as many as the chain wants, of as many as there can be.  Of shards, any data
 * many restore it.
 */
extern uint32_t ftc_copies_count(uint32_t whole, uint32_t shards, uint32_t data);
extern uint32_t ftc_copies_needed(uint32_t durability, uint32_t possible);

#endif							/* FTC_COPY_H */

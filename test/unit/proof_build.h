/*-------------------------------------------------------------------------
 *
 * proof_build.h
 *	  A proof that a block is final, to start from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PROOF_BUILD_H
#define PROOF_BUILD_H

#include "committee.h"
#include "finality_proof.h"

typedef struct TestProof
{
	TestCommittee *committee;
	FtcHeader	header;
	FtcHeader	next;
	FtcState	state;
	FtcEpochState epoch;
	FtcFinalityProof proof;
} TestProof;

/* By so many validators; 1 is alone. */
extern TestProof *proof_build(uint16_t n);

/* Sign and certify again, after a header was changed. */
extern void proof_finish(TestProof *proof);

extern FtcSlice proof_bytes(const FtcFinalityProof *proof);

#endif							/* PROOF_BUILD_H */

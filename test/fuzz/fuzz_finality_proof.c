/*-------------------------------------------------------------------------
 *
 * fuzz_finality_proof.c
 *	  Fuzz proofs that a block is final.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

FUZZ_TARGET(codec_finality_proof);

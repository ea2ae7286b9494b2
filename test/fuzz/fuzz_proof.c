/*-------------------------------------------------------------------------
 *
 * fuzz_proof.c
 *	  Fuzz manifests with the proof that they are all.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

FUZZ_TARGET(codec_proof);

/*-------------------------------------------------------------------------
 *
 * fuzz_genesis.c
 *	  Fuzz genesis blocks and the rules for them.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

FUZZ_TARGET(codec_genesis);

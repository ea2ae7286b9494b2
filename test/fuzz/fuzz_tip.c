/*-------------------------------------------------------------------------
 *
 * fuzz_tip.c
 *	  Fuzz tips as they are stored, and what follows from them.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

FUZZ_TARGET(codec_tip);

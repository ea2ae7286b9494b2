/*-------------------------------------------------------------------------
 *
 * fuzz_finality.c
 *	  Fuzz what a block knows of its branch.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

FUZZ_TARGET(codec_finality);

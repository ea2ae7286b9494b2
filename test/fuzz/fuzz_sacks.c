/*-------------------------------------------------------------------------
 *
 * fuzz_sacks.c
 *	  Fuzz what a receiver says it has beyond the next message.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

FUZZ_TARGET(codec_sacks);

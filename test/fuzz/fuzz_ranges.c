/*-------------------------------------------------------------------------
 *
 * fuzz_ranges.c
 *	  Fuzz what a peer says of who stores what.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

FUZZ_TARGET(codec_ranges);

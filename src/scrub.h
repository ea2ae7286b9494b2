/*-------------------------------------------------------------------------
 *
 * scrub.h
 *	  Looking for damage: passes over all that is stored.
 *
 * A light pass looks at all but the bytes of entries, a deep one at these too;
 * another one compares indexes with tables.  How far each is stands in
 * ftchain.scrub_state, so they go on where they were after a restart.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SCRUB_H
#define FTC_SCRUB_H

#include "chain.h"
#include "verify.h"

/* Damage that the sealer finds: bundles made here that are nowhere any more. */
#define FTC_BUNDLES_MISSING "bundles missing"

/* Write a fault down as damage; gives whether it is news. */
extern bool ftc_scrub_record(const FtcChain *chain, const FtcFault *fault);

/* Verify a range of heights, all of it, and record every fault; gives their number. */
extern int64 ftc_scrub(const FtcChain *chain, int64 from, int64 to, bool strays);

/* The same without the bytes of entries, of the whole chain. */
extern int64 ftc_scrub_light(const FtcChain *chain);

/*
 * Are blocks, bundles and what lists them sound, whatever is wrong with bodies?  All
 * are looked at as by a light scrub, unless damage of them is known already.
 */
extern bool ftc_scrub_lists(const FtcChain *chain);

/*
 * The next part of the pass that is under way, or has not been made for the
 * longest time, if one is due: of the light ones, or of the others.  False if
 * none is.  bytes: how much it has read; faults: found in it.
 */
extern bool ftc_scrub_next(bool light, int64 *bytes, int64 *faults);

/* Compare all indexes with their tables now, if that has not been done since damage was found. */
extern void ftc_scrub_indexes_first(const FtcChain *chain);

/* Entries on the chain about what was found and repaired; false if there is no more to tell. */
extern bool ftc_scrub_note(const FtcChain *chain);

#endif							/* FTC_SCRUB_H */

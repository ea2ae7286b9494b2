/*-------------------------------------------------------------------------
 *
 * reading.h
 *	  Reading a body that is not here: it is fetched, and kept for a while.
 *
 * A session asks in memory and waits; the courier puts the body on the list of
 * wanted ones, and it comes as any other, verified.  Those that nobody here should
 * hold are a cache of so many bytes (ftchain.body_cache).
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_READING_H
#define FTC_READING_H

#include "chain.h"

/* For the courier: is there anything asked for?  Put it on the list, in a step. */
extern bool ftc_reading_is_asked(void);

/* What is asked for of one chain; true if there is more, of others. */
extern bool ftc_reading_take(void);

/* Have a body fetched, to be read here; under the chain's lock. */
extern void ftc_reading_want(const FtcChain *chain, const FtcHash *block);

/* Is a body wanted to be read? */
extern bool ftc_reading_wants(const FtcHash *block);

/* For the keeper: let go of what is too much of a chain, the oldest first. */
extern void ftc_reading_trim(const FtcChain *chain);

#endif							/* FTC_READING_H */

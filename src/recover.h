/*-------------------------------------------------------------------------
 *
 * recover.h
 *	  A member whose database was lost gets it back from the others.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_RECOVER_H
#define FTC_RECOVER_H

#include "chain.h"

/* Ask the database behind a server who it is and for a chain, and take part in it; join.c. */
extern void ftc_join_chain(const char *server, const char *name, const FtcHash *pin);

#endif							/* FTC_RECOVER_H */

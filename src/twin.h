/*-------------------------------------------------------------------------
 *
 * twin.h
 *	  Two live copies of one database: told to whom it concerns, and recorded.
 *
 * Peers find them out (core/presence.h).  Nobody is stopped: see section 7.9 of
 * doc/DESIGN.md.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_TWIN_H
#define FTC_TWIN_H

#include "core/types.h"

/* A member lives in both incarnations, says the reporter.  Inside a scope. */
extern void ftc_twin_note(const FtcHash *member, const FtcHash *reporter, int64 incarnation, int64 other);

/* When a member has last said here that it is there, by the steady clock; 0: never. */
extern uint64 ftc_twin_heard_at(const FtcHash *member);

#endif							/* FTC_TWIN_H */

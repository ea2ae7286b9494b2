/*-------------------------------------------------------------------------
 *
 * membership.h
 *	  Changes of members: control entries, and what is under way.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_MEMBERSHIP_H
#define FTC_MEMBERSHIP_H

#include "fmgr.h"

#include "chain.h"
#include "identity.h"

/* An error if this database may not change members alone. */
extern void ftc_membership_need_governor(const FtcChain *chain, const FtcState *state,
										 const FtcIdentity *self);

/* Sign a control entry and queue it for the next block; gives its id. */
extern FtcHash ftc_membership_queue(const FtcChain *chain, const FtcIdentity *self, FtcControl *control);

/*
 * The state once everything is folded in that is under way: controls in blocks
 * that are not deep enough yet, and those made here that are in no block.
 */
extern FtcState *ftc_membership_next(const FtcChain *chain, const FtcState *current);

/*
 * The member of that name, or of that id as text ("\x..."), in a state; an error
 * if there is none, or more than one.
 */
extern const FtcMember *ftc_membership_find(const FtcChain *chain, const FtcState *state, const char *member);

/* Arguments, or an error that says in which range they may be. */
extern uint32 ftc_membership_weight(int32 weight);
extern FtcSlice ftc_membership_zone(const char *zone);

#endif							/* FTC_MEMBERSHIP_H */

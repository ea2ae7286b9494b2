/*-------------------------------------------------------------------------
 *
 * presence.h
 *	  Whether a member lives twice: what its sessions prove to who hears them.
 *
 * Who is connected to a peer says so now and then.  A session is one connection
 * of one process, named by a number drawn by lot; a member has one at a time,
 * with each peer.  Each time the peer gives a number drawn by lot, and the next
 * time the session gives it back.
 *
 * So the peer knows of a session that it lived before it was first heard, and
 * that it lived after it was given the number that it gave back: all the time in
 * between it lived.  Two sessions that lived at the same moment are of two
 * processes, hence of two copies of one database.  What is late, lost, repeated
 * or reordered proves nothing, and there is no clock in it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_PRESENCE_H
#define FTC_PRESENCE_H

#include "types.h"

#define FTC_SESSIONS_MAX 4

/* Moments are counted: of what was heard of the member, from 1. */
typedef struct FtcSession
{
	uint64_t	id;
	uint64_t	incarnation;	/* of the member, as it says */
	uint64_t	token;			/* the last number it was given */
	uint64_t	given;			/* when */
	uint64_t	began;			/* it lived before */
	uint64_t	lived;			/* and after; 0: not known */
	uint64_t	told;			/* the last moment that it was told about */
} FtcSession;

/* Of one member; all zeros is new. */
typedef struct FtcPresence
{
	uint64_t	moment;
	int			n;
	FtcSession	session[FTC_SESSIONS_MAX];
} FtcPresence;

/* What a session says of itself. */
typedef struct FtcHere
{
	uint64_t	session;
	uint64_t	incarnation;
	uint64_t	token;			/* the last it was given; 0: none */
} FtcHere;

/*
 * The session is here, and is given a token.  True if another one was too, later
 * than the session was last told about; then *other is its incarnation.
 */
extern bool ftc_presence_hear(FtcPresence *presence, const FtcHere *here, uint64_t token, uint64_t *other);

/* What a member signs, for the peer. */
extern FtcHash ftc_presence_digest(const FtcHash *receiver, const FtcHere *here);

#endif							/* FTC_PRESENCE_H */

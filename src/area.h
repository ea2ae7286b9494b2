/*-------------------------------------------------------------------------
 *
 * area.h
 *	  What is told about links, in memory: too much for what every server has
 *	  to spare (shared.h).
 *
 * A dynamic segment of each database, made by whoever needs it first.  It lives
 * until the server stops; after a crash there is none.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_AREA_H
#define FTC_AREA_H

#include "core/presence.h"
#include "shared.h"

#define FTC_AREA_MEMBERS	64

/* Who is heard of, as peers tell it; the one heard longest ago makes room. */
typedef struct FtcMemberSlot
{
	FtcHash		member;
	uint64		heard_at;		/* by ftc_clock_steady(); 0: not used */
	FtcPresence presence;
} FtcMemberSlot;

typedef struct FtcArea
{
	LWLock		lock;			/* protects all of it */
	FtcMemberSlot member[FTC_AREA_MEMBERS];
} FtcArea;

/* That of this database; NULL if there is none, and none was to be made or could be. */
extern FtcArea *ftc_area(bool make);

/* The database is gone; the caller has the lock of shared memory. */
extern void ftc_area_free(FtcDatabaseSlot *database);

#endif							/* FTC_AREA_H */

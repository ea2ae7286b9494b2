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
#include "core/sender.h"
#include "shared.h"

#define FTC_AREA_MEMBERS	64
#define FTC_AREA_LINES		256

/* Who is heard of, as peers tell it; the one heard longest ago makes room. */
typedef struct FtcMemberSlot
{
	FtcHash		member;
	uint64		heard_at;		/* by ftc_clock_steady(); 0: not used */
	FtcPresence presence;
} FtcMemberSlot;

typedef enum FtcLineState
{
	FTC_LINE_CLOSED,
	FTC_LINE_CONNECTING,		/* to be greeted */
	FTC_LINE_OPEN,
	FTC_LINE_HELD,				/* the peer takes nothing now */
	FTC_LINE_FAILING,			/* an error: left alone for a while */
	FTC_LINE_STOPPED			/* what it lacks is not kept any more */
} FtcLineState;
#define FTC_LINE_STATES 6

/* Messages under way, by their seqs. */
typedef struct FtcFlightSlot
{
	uint64		first;
	uint64		next;
	bool		has_come;		/* the receiver has them, beyond what it takes
								 * next */
	bool		lost;			/* to be sent again */
} FtcFlightSlot;

/* What the courier has in memory of a link. */
typedef struct FtcLineFacts
{
	FtcLineState state;
	uint64		epoch;			/* 0: not known yet */
	uint64		base;			/* position before its first message */
	uint64		sent;			/* messages of it, so far */
	uint64		window;			/* bytes */
	uint64		round_trip;		/* us, smoothed; 0: not known */
	uint64		timeout;		/* us */
	uint64		lacks;			/* position, if it is stopped; 0: not known */
	int			n;
	FtcFlightSlot flight[FTC_SEGMENTS_MAX]; /* as many as a sender has */
	uint64		in_flight;		/* bytes */
} FtcLineFacts;

/* What it has counted, since reset_at. */
typedef struct FtcLineCounts
{
	uint64		repeated;
	uint64		failed;			/* calls */
	uint64		timeouts;
	uint64		bytes;
	FtcFate		fate;			/* of messages, as the peer told it */
	TimestampTz last_error_at;
	char		last_error[FTC_SHARED_TEXT];
} FtcLineCounts;

typedef struct FtcLineSlot
{
	char		server[NAMEDATALEN];	/* empty: not used */
	int32		chain;			/* 0: a stream of messages */
	uint16		stream;
	FtcLineFacts facts;
	FtcLineCounts counts;
	FtcLineState told;			/* the last that was told */
	uint64		resets;
	TimestampTz reset_at;		/* 0: never */
} FtcLineSlot;

typedef struct FtcArea
{
	LWLock		lock;			/* protects all of it */
	FtcLineSlot line[FTC_AREA_LINES];
	FtcMemberSlot member[FTC_AREA_MEMBERS];
} FtcArea;

/* That of this database; NULL if there is none, and none was to be made or could be. */
extern FtcArea *ftc_area(bool make);

/* The database is gone; the caller has the lock of shared memory. */
extern void ftc_area_free(FtcDatabaseSlot *database);

#endif							/* FTC_AREA_H */

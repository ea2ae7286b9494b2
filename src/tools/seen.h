/*-------------------------------------------------------------------------
 *
 * seen.h
 *	  What a branch holds already: ids, and the entries of each origin.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SEEN_H
#define FTC_SEEN_H

#include "bundle.h"
#include "types.h"

/* Ids, ascending, each with a number. */
typedef struct FtcSeenId
{
	FtcHash		id;
	int64_t		number;
} FtcSeenId;

typedef struct FtcSeenIds
{
	FtcSeenId  *ids;
	size_t		n;
	size_t		size;
} FtcSeenIds;

/* The one with that id, NULL if there is none; false if it was there. */
extern FtcSeenId *ftc_seen_find(const FtcSeenIds *seen, const FtcHash *id);
extern bool ftc_seen_add(FtcSeenIds *seen, const FtcHash *id, int64_t number);
extern void ftc_seen_clear(FtcSeenIds *seen);

/* One incarnation of an origin: its last bundle, and its seqs as ranges. */
typedef struct FtcSeenOrigin
{
	FtcHash		origin;
	uint64_t	incarnation;
	uint64_t	number;			/* of the last bundle */
	FtcRange   *ranges;			/* ascending, not touching */
	size_t		n;
	size_t		size;
} FtcSeenOrigin;

typedef struct FtcSeenOrigins
{
	FtcSeenOrigin *origins;		/* ascending */
	size_t		n;
	size_t		size;
} FtcSeenOrigins;

/* The origin of a bundle, added if it was not there; then its number is 0. */
extern FtcSeenOrigin *ftc_seen_origin(FtcSeenOrigins *seen, const FtcBundle *bundle);

/* Add the seqs of a bundle; false if any was there. */
extern bool ftc_seen_seqs(FtcSeenOrigin *origin, const FtcBundle *bundle);
extern void ftc_seen_forget(FtcSeenOrigins *seen);

#endif							/* FTC_SEEN_H */

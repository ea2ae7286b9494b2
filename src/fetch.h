/*-------------------------------------------------------------------------
 *
 * fetch.h
 *	  Bodies that come in chunks, until they are whole.
 *
 * What has come is in tables, so it is there after a cut or a crash, and chunks
 * of several members make one body.  That is checked as a whole: if it is wrong and
 * of one member, that one is to blame; if it is of several, it is asked again of one
 * at a time, and once it is right it is known whose chunks were not.
 *
 * All of these inside a scope (stmt.h), but for ftc_fetch_finish(), which makes steps of
 * its own.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_FETCH_H
#define FTC_FETCH_H

#include "chain.h"
#include "core/chunk.h"
#include "store.h"

/* A chunk to ask for. */
typedef struct FtcPart
{
	FtcHash		block;
	uint64		total;			/* bytes of the body; 0: not known yet */
	FtcChunk	chunk;
	bool		moved;			/* as the list of what is wanted has it */
} FtcPart;

/* What a peer is not asked for: a body that it said it has not. */
typedef struct FtcLacks
{
	FtcHash		block;
	uint64		total;			/* or has not of that length; 0: of any */
	uint64		until;
} FtcLacks;

#define FTC_LACKS_MANY 8

/* Those under way, of that block; gives how many. */
typedef int (*FtcFetchAsked) (void *arg, const FtcHash *block, FtcChunk *chunks);

/*
 * The next chunk of a body of that chain to ask a member for, of most bytes; but for
 * those that it lacks, FTC_LACKS_MANY of them, and without moved those that only moved.
 * asked has at most nasked to give.
 */
extern bool ftc_fetch_next(const FtcChain *chain, const FtcHash *member, bool moved, uint64 most,
						   const FtcLacks *lacks,
						   FtcFetchAsked asked, void *arg, int nasked, FtcPart *next);

typedef enum FtcKept
{
	FTC_KEPT,
	FTC_KEPT_WHOLE,				/* and it was the last one */
	FTC_KEPT_NOT,				/* it is here already, or of nobody that is
								 * asked */
	FTC_KEPT_NO_ROOM			/* see ftchain.fetch_limit */
} FtcKept;

/*
 * Keep a chunk that has come; of a body of total bytes, as that member says.  NULL:
 * only that it says so is news.
 */
extern FtcKept ftc_fetch_keep(const FtcStored *stored, const FtcHash *member, uint64 total,
							  const FtcChunk *chunk, FtcSlice bytes);

/* The most that the total may be. */
extern uint64 ftc_fetch_most(const FtcStored *stored);

/* A body of which all of the entries are here: check and take it. */
extern FtcReason ftc_fetch_take(const FtcChain *chain, const FtcStored *stored, FtcSlice entries,
								const FtcHash *source);

/* One that is whole. */
typedef struct FtcFinish
{
	int			ms;				/* whole for so long */
	bool		found;			/* and taken, or refused */
	bool		others;			/* there are some that are not, or are being
								 * checked */
} FtcFinish;

/*
 * Check and take one.  False after an error, which is logged; that one is put off, or
 * asked for again if its rows are damaged.
 */
extern bool ftc_fetch_finish(FtcFinish *f);

/* Forget what is not wanted any more. */
extern void ftc_fetch_prune(void);

#endif							/* FTC_FETCH_H */

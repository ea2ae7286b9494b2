/*-------------------------------------------------------------------------
 *
 * verify_part.h
 *	  The parts of a verification.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_VERIFY_PART_H
#define FTC_VERIFY_PART_H

#include "core/rules.h"
#include "core/state.h"
#include "utils/hsearch.h"
#include "store.h"
#include "verify.h"

/* One verification, under one snapshot. */
typedef struct FtcVerification
{
	const FtcChain *chain;
	FtcFaultCallback callback;
	void	   *arg;
	int64		faults;
	bool		whole;			/* from the genesis on */

	/* the blocks so far */
	bool		has_tip;		/* the parent was sound */
	FtcTip		tip;
	FtcHash		parent;			/* id that the next block must name */
	bool		has_parent;
	FtcState   *state;			/* that the parent builds on; NULL if not
								 * known */
	MemoryContext state_context;
	bool		no_succession;	/* controls are damaged */
	HTAB	   *origins;		/* OriginSeen: bundles so far */
} FtcVerification;

/* Report a fault; height -1, block NULL, entry 0, expected and found NULL: none. */
extern void ftc_verify_fault(FtcVerification *v, int64 height, const FtcHash *block, int64 entry,
							 const char *what, const char *expected, const char *found);

/* The blocks of these heights, with all that other tables say of them. */
extern void ftc_verify_blocks(FtcVerification *v, int64 from, int64 to);

/*
 * The entries that the bundles of these blocks hold; with strays, whether others
 * belong anywhere; in parallel, with the help of parallel workers if there are
 * many.
 */
extern void ftc_verify_entries(FtcVerification *v, int64 from, int64 to, bool strays, bool parallel);

/*
 * Bodies that this database has signed it stores; and the entries of those that
 * have more or fewer than they should.
 */
extern void ftc_verify_counts(FtcVerification *v, int64 from, int64 to);

/* A bundle whose entries are held. */
typedef struct FtcHeld
{
	int64		id;
	int64		height;
	FtcHash		block;
	uint32		count;
} FtcHeld;

/* A run of ids, and the bundle it belongs to. */
typedef struct FtcSpan
{
	uint64		first;
	uint64		last;
	int32		held;			/* -1: a bundle that is not on the main chain */
	uint32		offset;			/* of first in the bundle */
} FtcSpan;

/*
 * What is to be read: spans in order, cut into chunks of some thousand entries.
 * Plain memory, so that parallel workers can share it.
 */
typedef struct FtcEntryWork
{
	bool		strays;
	int			nspans;
	int			nheld;
	int			nchunks;
	uint64		entries;
	FtcSpan    *spans;
	FtcHeld    *held;
	int32	   *chunks;			/* the first span of each, and the end */
} FtcEntryWork;

/* Whoever reads chunks; each process has its own. */
typedef struct FtcEntryReader
{
	FtcVerification *v;
	const FtcEntryWork *work;
	struct FtcLeaves *leaves;	/* of each bundle */
	FtcIds		stray;			/* ids in no span, so far */
	MemoryContext context;
	int			at;				/* the span being read */
	int			end;			/* of the chunk */
	uint64		next;			/* id expected in it */
} FtcEntryReader;

extern void ftc_verify_read_begin(FtcEntryReader *reader, FtcVerification *v, const FtcEntryWork *work);
extern void ftc_verify_read(FtcEntryReader *reader, int chunk);

/* Read all chunks with parallel workers; false, and nothing is done, if there are none. */
extern bool ftc_verify_read_parallel(FtcEntryReader *reader);

#endif							/* FTC_VERIFY_PART_H */

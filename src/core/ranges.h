/*-------------------------------------------------------------------------
 *
 * ranges.h
 *	  Two lists by height, compared by digests of ranges.
 *
 * What a member holds is a list of heights, each with the id of its block.  A
 * node of level 1 covers 256 heights, one of level 2 covers 256 of these, and so
 * on.  Its digest is over its children that have anything in them: so two lists
 * are equal where digests are, and of two that differ in one place the place is
 * found with one small question for each level, of which ten million heights have
 * three.
 *
 * A range of heights of long ago does not change any more, so the digests over
 * it are the same at all members that hold the same, whatever else they hold.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_RANGES_H
#define FTC_RANGES_H

#include "reason.h"
#include "sha256.h"
#include "types.h"

#define FTC_RANGES_LEVELS 8
#define FTC_RANGES_MARK 16		/* bytes of a digest in an answer */
#define FTC_RANGES_AT_ONCE 16	/* nodes that are asked for at once */
#define FTC_RANGES_STACK (FTC_RANGES_LEVELS * FTC_RANGES_AT_ONCE * 256)
#define FTC_RANGES_ANSWER_MAX (256 * (1 + FTC_HASH_LEN))	/* about one node */

typedef struct FtcRangeNode
{
	int			level;			/* from 1 */
	uint64_t	index;			/* its heights >> (8 * level) */
} FtcRangeNode;

/* The lowest level of which one node has all heights up to one. */
extern int	ftc_ranges_top(uint64_t height);

/* Its heights, both included. */
extern uint64_t ftc_ranges_first(const FtcRangeNode *node);
extern uint64_t ftc_ranges_last(const FtcRangeNode *node);

/* ----------------------------------------------------------------
 *		An answer: the children of a node
 * ----------------------------------------------------------------
 */

/*
 * Its children that are not empty, in order: each the last byte of its index, and
 * its digest cut short; of level 1, of its height, and the id.  buf has room for
 * FTC_RANGES_ANSWER_MAX.
 */
typedef struct FtcRanges
{
	FtcRangeNode node;
	struct
	{
		bool		open;
		uint64_t	index;
		FtcSha256	sha;
	}			at[FTC_RANGES_LEVELS];	/* being made, by level */
	uint8_t    *buf;
	size_t		len;
} FtcRanges;

/* Heights of the node, rising. */
extern void ftc_ranges_begin(FtcRanges *ranges, const FtcRangeNode *node, uint8_t *buf);
extern void ftc_ranges_add(FtcRanges *ranges, uint64_t height, const FtcHash *id);

/* A node below it, of which the digest is known; in order with the others. */
extern void ftc_ranges_add_node(FtcRanges *ranges, int level, uint64_t index, const FtcHash *digest);
extern FtcSlice ftc_ranges_end(FtcRanges *ranges);

/* The digest of a node of level 1, whose answer this is. */
extern FtcHash ftc_ranges_digest(FtcSlice answer);

/* ----------------------------------------------------------------
 *		A comparison
 * ----------------------------------------------------------------
 */

/* One place where they differ; NULL: has nothing at that height. */
typedef void (*FtcRangesDiffer) (void *arg, uint64_t height, const FtcHash *mine, const FtcHash *theirs);

/* Nodes that are still to be looked at; the caller has room for FTC_RANGES_STACK. */
typedef struct FtcRangeSearch
{
	FtcRangeNode *nodes;
	size_t		n;
} FtcRangeSearch;

extern void ftc_ranges_search(FtcRangeSearch *search, FtcRangeNode *nodes, uint64_t height);

/*
 * What to ask for next: up to FTC_RANGES_AT_ONCE nodes of one level, which are
 * taken off; 0 at the end.  Then each answer, with our own.  An answer that is
 * none is refused.
 */
extern int	ftc_ranges_next(FtcRangeSearch *search, FtcRangeNode *nodes);
extern FtcReason ftc_ranges_take(FtcRangeSearch *search, const FtcRangeNode *node, FtcSlice mine, FtcSlice theirs,
								 FtcRangesDiffer differ, void *arg);

#endif							/* FTC_RANGES_H */

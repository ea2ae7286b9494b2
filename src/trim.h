/*-------------------------------------------------------------------------
 *
 * trim.h
 *	  Bodies that are here and belong elsewhere go, when they are there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_TRIM_H
#define FTC_TRIM_H

#include "chain.h"

/* What a turn has asked of others, within bounds, and whether it waits for an answer. */
typedef struct FtcAsking
{
	int			drawn;			/* challenges */
	int			wanted;			/* bodies, to draw them from */
	bool		waits;
} FtcAsking;

/*
 * Look at the next blocks of a chain, and let go of bodies that this database need
 * not hold: old enough, and each of their owners has proved to it lately that it
 * has its copy.  Owners that have not are challenged.  True if there are more to look at
 * before all were.
 */
extern bool ftc_trim(const FtcChain *chain);

/*
 * Is a body proved to be stored as the chain wants it, by its owners, or in shards?
 * Those that have not are challenged, where they can be.
 */
extern bool ftc_trim_is_proved(const FtcChain *chain, const FtcState *state, const FtcHash *block, int64 height,
							   FtcAsking *asking);

/* Is it proved that any owner has it, or as many shards as restore it, and one more? */
extern bool ftc_trim_is_proved_somewhere(const FtcChain *chain, const FtcState *state, const FtcHash *block,
										 int64 height, FtcAsking *asking);

/* As ftc_trim_is_proved(), looking at whole copies only; and at the copy of one member, -1 for a whole one, without a head. */
extern bool ftc_trim_is_proved_whole(const FtcChain *chain, const FtcState *state, const FtcHash *block,
									 int64 height, FtcAsking *asking);
extern bool ftc_trim_is_member_proved(const FtcChain *chain, const FtcHash *block, int64 height,
									  const FtcHash *member, int32 shard, FtcSlice head, FtcAsking *asking);

/*
 * A body goes, and leaves challenges behind, and this database's statement is taken
 * back.  Gives its length, as making these takes a while; 0 if it has to stay: it is not
 * sound, and to be repaired, or another block has some of it, or its block could still be
 * one of the main chain, or not.
 */
extern size_t ftc_trim_drop(const FtcChain *chain, const FtcState *state, const FtcHash *block);

#endif							/* FTC_TRIM_H */

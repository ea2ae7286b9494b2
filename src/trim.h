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

/*
 * Look at the next blocks of a chain, and let go of bodies that this database need
 * not hold: old enough, and each of their owners has proved to it lately that it
 * has its copy.  Owners that have not are challenged.  True if there are more to look at
 * before all were.
 */
extern bool ftc_trim(const FtcChain *chain);

/*
 * Is a body proved to be stored as the chain wants it, by its owners, or in shards?
 * Those that have not are challenged, and counted.
 */
extern bool ftc_trim_is_proved(const FtcChain *chain, const FtcState *state, const FtcHash *block, int64 height,
							   int *drawn);

/*
 * A body goes, and leaves challenges behind; what is said of it is for the caller.
 * False if it is not sound: then it stays, to be repaired.
 */
extern bool ftc_trim_drop(const FtcChain *chain, const FtcState *state, const FtcHash *block);

#endif							/* FTC_TRIM_H */

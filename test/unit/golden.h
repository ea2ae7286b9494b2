/*-------------------------------------------------------------------------
 *
 * golden.h
 *	  Samples of every format, always the same.
 *
 * Their bytes are kept in ../vectors/ftchain_bytes.txt: no format changes
 * without somebody changing that file.  The fuzzers start from them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "codec.h"

#define GOLDEN_FILE "ftchain_bytes.txt"

/* Takes one sample; codec is NULL if the bytes are a digest, say. */
typedef void (*GoldenTake) (void *arg, const char *name, const TestCodec *codec, FtcSlice bytes);

extern void golden_votes_each(GoldenTake take, void *arg);
extern void golden_each(GoldenTake take, void *arg);

#endif							/* GOLDEN_H */

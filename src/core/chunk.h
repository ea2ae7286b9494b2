/*-------------------------------------------------------------------------
 *
 * chunk.h
 *	  A body in chunks: ranges of the bytes of one of its encodings.
 *
 * What travels is a function of the block's id alone, so chunks of several
 * givers fit together.  That is not so for a body with its manifest, in which
 * origins sign beside what is hashed; who takes a body has the manifest already.
 *
 * Entries 1	what follows the manifest in a full body (body.h)
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_CHUNK_H
#define FTC_CHUNK_H

#include "body.h"

#define FTC_CHUNK_MIN	(UINT64_C(16) * 1024)	/* bytes to ask for at a time */
#define FTC_CHUNK_MAX	(UINT64_C(16) * 1024 * 1024)

typedef enum FtcEncoding
{
	FTC_ENCODING_ENTRIES = 1
} FtcEncoding;

/* A range of bytes. */
typedef struct FtcChunk
{
	uint64_t	at;
	uint64_t	size;
} FtcChunk;

/* Where the entries begin in a full body with that manifest. */
extern size_t ftc_chunk_prefix(FtcSlice manifest);

/*
 * An answer: so many bytes of total, where the chunk was asked for.  limit is the
 * most that the total may be.
 */
extern FtcReason ftc_chunk_check(const FtcChunk *asked, int64_t total, uint64_t limit, size_t bytes);

/*
 * The first range, of at most so many bytes, that is in none of these n ranges,
 * which ascend by at and may overlap.  False if there is none.
 */
extern bool ftc_chunk_gap(const FtcChunk *have, int n, uint64_t total, uint64_t most, FtcChunk *gap);

/* Is any of it in one of them? */
extern bool ftc_chunk_overlaps(const FtcChunk *have, int n, const FtcChunk *chunk);

#endif							/* FTC_CHUNK_H */

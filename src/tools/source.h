/*-------------------------------------------------------------------------
 *
 * source.h
 *	  The records of a file, one after the other, however large it is.
 *
 * Records as they are, or in COPY's binary format.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SOURCE_H
#define FTC_SOURCE_H

#include <stdio.h>

#include "file.h"

typedef struct FtcSource
{
	FILE	   *in;
	bool		is_copy;
	uint64_t	offset;			/* read so far */
	uint8_t    *content;
	size_t		size;			/* of content */
	uint8_t		ahead[FTC_COPY_HEADER_LEN]; /* read to see what it is */
	size_t		nahead;
	size_t		taken;			/* of ahead */
	char		why[96];		/* what is wrong */
} FtcSource;

typedef enum FtcSourceResult
{
	FTC_SOURCE_RECORD,
	FTC_SOURCE_END,
	FTC_SOURCE_BROKEN,			/* see why */
	FTC_SOURCE_ERROR			/* see errno */
} FtcSourceResult;

extern void ftc_source_open(FtcSource *source, FILE *in);
extern FtcSourceResult ftc_source_next(FtcSource *source, uint8_t *kind, FtcSlice *content);
extern void ftc_source_close(FtcSource *source);

#endif							/* FTC_SOURCE_H */

/*-------------------------------------------------------------------------
 *
 * chunk.c
 *	  A body in chunks.
 *
 *-------------------------------------------------------------------------
 */
#include "chunk.h"

size_t
ftc_chunk_prefix(FtcSlice manifest)
{
	FtcWriter	writer = ftc_writer(NULL, 0);

	return ftc_body_begin(&writer, FTC_BODY_FULL, manifest);
}

FtcReason
ftc_chunk_check(const FtcChunk *asked, int64_t total, uint64_t limit, size_t bytes)
{
	uint64_t	left;

	if (total < 1 || (uint64_t) total <= asked->at)
		return FTC_OUT_OF_RANGE;
	if ((uint64_t) total > limit)
		return FTC_TOO_LARGE;
	left = (uint64_t) total - asked->at;
	return bytes == (left < asked->size ? left : asked->size) ? FTC_OK : FTC_BAD_LENGTH;
}

bool
ftc_chunk_gap(const FtcChunk *have, int n, uint64_t total, uint64_t most, FtcChunk *gap)
{
	uint64_t	end = total;

	gap->at = 0;
	for (int i = 0; i < n; i++)
	{
		if (have[i].size > 0 && have[i].at > gap->at)
		{
			end = have[i].at < total ? have[i].at : total;
			break;
		}
		if (have[i].size > gap->at - have[i].at)
			gap->at = have[i].at + have[i].size;
	}
	if (most == 0 || gap->at >= total)
		return false;
	gap->size = end - gap->at < most ? end - gap->at : most;
	return true;
}

bool
ftc_chunk_overlaps(const FtcChunk *have, int n, const FtcChunk *chunk)
{
	for (int i = 0; i < n; i++)
		if (have[i].size > 0 && have[i].at < chunk->at + chunk->size && chunk->at < have[i].at + have[i].size)
			return true;
	return false;
}

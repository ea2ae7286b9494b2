/*-------------------------------------------------------------------------
 *
 * source.c
 *	  The records of a file.
 *
 *-------------------------------------------------------------------------
 */
#include "source.h"

#include <string.h>

#include "alloc.h"

/* Memory is taken as bytes come, not as a length says. */
#define READ_AT_ONCE (1 << 20)

void
ftc_source_open(FtcSource *source, FILE *in)
{
	memset(source, 0, sizeof(*source));
	source->in = in;
	source->nahead = fread(source->ahead, 1, sizeof(source->ahead), in);
	if (ftc_file_is_copy(ftc_slice(source->ahead, source->nahead)))
	{
		source->is_copy = true;
		source->taken = source->offset = source->nahead;
	}
}

void
ftc_source_close(FtcSource *source)
{
	free(source->content);
	source->content = NULL;
}

/* How many bytes came of those wanted. */
static size_t
read_some(FtcSource *source, void *into, size_t len)
{
	size_t		n = source->nahead - source->taken;

	if (n > len)
		n = len;
	memcpy(into, source->ahead + source->taken, n);
	source->taken += n;
	if (n < len)
		n += fread((uint8_t *) into + n, 1, len - n, source->in);
	source->offset += n;
	return n;
}

static FtcSourceResult
broken(FtcSource *source, const char *why)
{
	if (ferror(source->in))
		return FTC_SOURCE_ERROR;
	snprintf(source->why, sizeof(source->why), "%s, at byte %llu", why, (unsigned long long) source->offset);
	return FTC_SOURCE_BROKEN;
}

/* What COPY has before each record. */
static FtcSourceResult
read_field(FtcSource *source, uint32_t *length)
{
	uint8_t		field[FTC_COPY_FIELD_LEN];
	size_t		n = read_some(source, field, FTC_COPY_END_LEN);
	FtcReason	reason;

	if (n == FTC_COPY_END_LEN && ftc_file_is_copy_end(ftc_slice(field, n)))
		return read_some(source, field, 1) == 0 ? FTC_SOURCE_END : broken(source, "bytes behind the end");
	if (n < FTC_COPY_END_LEN ||
		read_some(source, field + n, FTC_COPY_FIELD_LEN - n) < FTC_COPY_FIELD_LEN - n)
		return broken(source, "it is cut off");
	reason = ftc_file_copy_field(ftc_slice(field, sizeof(field)), length);
	return reason == FTC_OK ? FTC_SOURCE_RECORD : broken(source, ftc_reason_text(reason));
}

static bool
read_content(FtcSource *source, size_t length)
{
	size_t		have = 0;

	while (have < length)
	{
		size_t		n = length - have < READ_AT_ONCE ? length - have : READ_AT_ONCE;

		if (have + n > source->size)
		{
			source->size = have + n > 2 * source->size ? have + n : 2 * source->size;
			source->content = ftc_realloc(source->content, source->size, 1);
		}
		if (read_some(source, source->content + have, n) < n)
			return false;
		have += n;
	}
	return true;
}

FtcSourceResult
ftc_source_next(FtcSource *source, uint8_t *kind, FtcSlice *content)
{
	uint8_t		start[FTC_FILE_FRAME_LEN];
	uint32_t	length = 0;
	FtcFrame	frame;
	FtcReason	reason;
	size_t		n;

	if (source->is_copy)
	{
		FtcSourceResult result = read_field(source, &length);

		if (result != FTC_SOURCE_RECORD)
			return result;
	}
	n = read_some(source, start, sizeof(start));
	if (n == 0 && !source->is_copy && !ferror(source->in))
		return FTC_SOURCE_END;
	if (n < sizeof(start))
		return broken(source, "it is cut off");
	reason = ftc_file_frame_decode(&frame, ftc_slice(start, n));
	if (reason == FTC_OK && source->is_copy && length != FTC_FILE_FRAME_LEN + frame.length)
		reason = FTC_BAD_LENGTH;
	if (reason != FTC_OK)
		return broken(source, ftc_reason_text(reason));
	if (!read_content(source, frame.length))
		return broken(source, "it is cut off");
	*kind = frame.kind;
	*content = ftc_slice(source->content, frame.length);
	return FTC_SOURCE_RECORD;
}

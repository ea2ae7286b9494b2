/*-------------------------------------------------------------------------
 *
 * mutate.c
 *	  What every decoder is put through.
 *
 *-------------------------------------------------------------------------
 */
#include "mutate.h"

#include <stdlib.h>

#include "test_util.h"

void
check_accepted(const TestCodec *codec, FtcSlice bytes)
{
	check_reason(codec, bytes, FTC_OK);
}

void
check_reason(const TestCodec *codec, FtcSlice bytes, FtcReason expected)
{
	FtcReason	reason;
	bool		same = codec_round(codec, bytes, &reason);

	assert_reason(reason, expected);
	assert_true(same);
}

/* The first len bytes, in memory of that length; what is beyond is zero. */
static bool
is_accepted(const TestCodec *codec, FtcSlice bytes, size_t len)
{
	uint8_t    *copy = calloc(1, len);
	FtcReason	reason;
	bool		same;

	assert_non_null(copy);
	memcpy(copy, bytes.data, len < bytes.len ? len : bytes.len);
	same = codec_round(codec, ftc_slice(copy, len), &reason);
	free(copy);
	if (!same)
		fail_msg("%s: %zu of %zu bytes mean the same as others", codec->name, len, bytes.len);
	return reason == FTC_OK;
}

uint32_t
check_lengths(const TestCodec *codec, FtcSlice bytes)
{
	uint32_t	accepted = 0;

	check_accepted(codec, keep_copy(bytes));
	for (size_t len = 0; len < bytes.len; len++)
		accepted += is_accepted(codec, bytes, len);
	return accepted + is_accepted(codec, bytes, bytes.len + 1);
}

uint32_t
check_bytes(const TestCodec *codec, FtcSlice bytes)
{
	FtcSlice	kept = keep_copy(bytes);
	uint8_t    *copy = (uint8_t *) kept.data;
	uint32_t	accepted = 0;

	check_accepted(codec, kept);
	for (size_t at = 0; at < bytes.len; at++)
	{
		for (int change = 1; change < 256; change++)
		{
			FtcReason	reason;

			copy[at] = bytes.data[at] ^ (uint8_t) change;
			if (!codec_round(codec, kept, &reason))
				fail_msg("%s: byte %zu as %02x means the same as others", codec->name, at,
						 copy[at]);
			accepted += reason == FTC_OK;
		}
		copy[at] = bytes.data[at];
	}
	return accepted;
}

FtcSlice
with_byte(FtcSlice bytes, size_t at, uint8_t value)
{
	return with_be(bytes, at, value, 1);
}

FtcSlice
with_be(FtcSlice bytes, size_t at, uint64_t value, int width)
{
	FtcSlice	kept = keep_copy(bytes);
	FtcWriter	writer = ftc_writer((uint8_t *) kept.data + at, (size_t) width);

	assert_true(at + (size_t) width <= bytes.len);
	ftc_put_be(&writer, value, width);
	return kept;
}

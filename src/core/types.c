/*-------------------------------------------------------------------------
 *
 * types.c
 *	  Comparing hashes, and what counts as text.
 *
 *-------------------------------------------------------------------------
 */
#include "types.h"

#include <string.h>

const FtcHash ftc_hash_zero = {{0}};

/* ftc_hash_compare orders hashes as big-endian numbers, like memcmp. */
int
ftc_hash_compare(const FtcHash *a, const FtcHash *b)
{
	return memcmp(a->b, b->b, FTC_HASH_LEN);
}

bool
ftc_hash_equal(const FtcHash *a, const FtcHash *b)
{
	return ftc_hash_compare(a, b) == 0;
}

bool
ftc_hash_is_zero(const FtcHash *hash)
{
	return ftc_hash_equal(hash, &ftc_hash_zero);
}

/* One well-formed UTF-8 character at p: its length, or 0 (RFC 3629, no NUL). */
static size_t
utf8_char_len(const uint8_t *p, size_t left)
{
	size_t		len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (p[0] == 0 || (p[0] >= 0x80 && p[0] < 0xc2) || p[0] > 0xf4 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) ||	/* overlong */
		(p[0] == 0xed && p[1] > 0x9f) ||	/* surrogate */
		(p[0] == 0xf0 && p[1] < 0x90) ||	/* overlong */
		(p[0] == 0xf4 && p[1] > 0x8f))	/* above U+10FFFF */
		return 0;
	return len;
}

/*
 * ftc_utf8_is_valid tells whether text is UTF-8 without NUL, which is what a
 * PostgreSQL text value in a UTF8 database can hold.
 */
bool
ftc_utf8_is_valid(FtcSlice text)
{
	size_t		at = 0;

	while (at < text.len)
	{
		uint64_t	eight;
		size_t		len;

		/* eight ASCII bytes at a time: payloads are mostly ASCII */
		if (text.len - at >= 8)
		{
			memcpy(&eight, text.data + at, 8);
			if ((eight & UINT64_C(0x8080808080808080)) == 0 &&
				((eight - UINT64_C(0x0101010101010101)) & UINT64_C(0x8080808080808080)) == 0)
			{
				at += 8;
				continue;
			}
		}

		len = utf8_char_len(text.data + at, text.len - at);
		if (len == 0)
			return false;
		at += len;
	}
	return true;
}

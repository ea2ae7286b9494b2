/*-------------------------------------------------------------------------
 *
 * outline.c
 *	  JSON without what is in its strings.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "outline.h"

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Is any of eight bytes 0?  Hacker's Delight, 6-1. */
#define HAS_ZERO(eight) (((eight) - EACH(1)) & ~(eight) & EACH(0x80))

/* A byte that means nothing in a string. */
static inline bool
is_plain(uint8_t c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

/* Nearly always true where all eight bytes are plain, and never elsewhere. */
static inline bool
are_plain(const uint8_t *text)
{
	uint64_t	eight;

	memcpy(&eight, text, sizeof(eight));
	return ((((eight - EACH(0x20)) & ~eight & EACH(0x80)) |
			 HAS_ZERO(eight ^ EACH('"')) | HAS_ZERO(eight ^ EACH('\\')))) == 0;
}

static const uint8_t *
skip_plain(const uint8_t *at, const uint8_t *end)
{
	while (end - at >= 8 && are_plain(at))
		at += 8;
	while (at < end && is_plain(*at))
		at++;
	return at;
}

/* A backslash and what it may change the meaning of, up to \uXXXX. */
static const uint8_t *
copy_escape(const uint8_t *at, const uint8_t *end, char **out)
{
	int			digits = end - at > 1 && at[1] == 'u' ? 4 : 0;

	*(*out)++ = (char) *at++;
	if (at < end)
		*(*out)++ = (char) *at++;
	for (; digits > 0 && at < end && is_plain(*at); digits--)
		*(*out)++ = (char) *at++;
	return at;
}

/* A string from behind its first quote to behind its last. */
static const uint8_t *
outline_string(const uint8_t *at, const uint8_t *end, char **out)
{
	while ((at = skip_plain(at, end)) < end)
	{
		if (*at == '\\')
			at = copy_escape(at, end, out);
		else
		{
			*(*out)++ = (char) *at++;
			if (at[-1] == '"')
				break;
		}
	}
	return at;
}

size_t
ftc_json_outline(FtcSlice text, char *bytes)
{
	const uint8_t *at = text.data;
	const uint8_t *end = text.data + text.len;
	char	   *out = bytes;

	while (at < end)
	{
		*out++ = (char) *at++;
		if (at[-1] == '"')
			at = outline_string(at, end, &out);
	}
	return (size_t) (out - bytes);
}

static bool
is_too_deep(const uint8_t *bytes, size_t len, int most)
{
	bool		in_string = false;
	int			depth = 0;

	for (size_t i = 0; i < len; i++)
	{
		uint8_t		c = bytes[i];

		if (c == '"')
			in_string = !in_string;
		else if (in_string)
			i += c == '\\';
		else if (c == '[' || c == '{')
		{
			if (++depth > most)
				return true;
		}
		else if (c == ']' || c == '}')
			depth--;
	}
	return false;
}

/* Quickly, what is true of nearly all. */
static bool
has_few_brackets(const uint8_t *bytes, size_t len, size_t most)
{
	size_t		n = 0;

	if (len <= most)
		return true;
	for (size_t i = 0; i < len; i++)
		n += (bytes[i] | 0x20) == '{';	/* or an opening square one */
	return n <= most;
}

bool
ftc_json_is_deeper(FtcSlice text, int levels)
{
	return !has_few_brackets(text.data, text.len, (size_t) levels) &&
		is_too_deep(text.data, text.len, levels);
}

/*-------------------------------------------------------------------------
 *
 * test_outline.c
 *	  Tests of outline.c, against a slow outline and a parser.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "outline.h"

/* ----------------------------------------------------------------
 *		A parser by the grammar of RFC 8259, for bytes
 * ----------------------------------------------------------------
 */

typedef struct Parser
{
	const uint8_t *at;
	const uint8_t *end;
} Parser;

static bool
accept(Parser *p, char c)
{
	if (p->at == p->end || *p->at != (uint8_t) c)
		return false;
	p->at++;
	return true;
}

static void
skip_blanks(Parser *p)
{
	while (accept(p, ' ') || accept(p, '\t') || accept(p, '\n') || accept(p, '\r'))
		;
}

static bool
accept_word(Parser *p, const char *word)
{
	for (; *word != '\0'; word++)
		if (!accept(p, *word))
			return false;
	return true;
}

static bool
accept_digit(Parser *p)
{
	return p->at < p->end && *p->at >= '0' && *p->at <= '9' && accept(p, (char) *p->at);
}

static bool
accept_digits(Parser *p)
{
	if (!accept_digit(p))
		return false;
	while (accept_digit(p))
		;
	return true;
}

static bool
parse_number(Parser *p)
{
	(void) accept(p, '-');
	if (!accept(p, '0') && !accept_digits(p))
		return false;
	if (accept(p, '.') && !accept_digits(p))
		return false;
	if (!accept(p, 'e') && !accept(p, 'E'))
		return true;
	(void) (accept(p, '+') || accept(p, '-'));
	return accept_digits(p);
}

static bool
accept_hex(Parser *p)
{
	return p->at < p->end && strchr("0123456789abcdefABCDEF", *p->at) != NULL && *p->at != '\0' &&
		accept(p, (char) *p->at);
}

static bool
parse_string(Parser *p)
{
	if (!accept(p, '"'))
		return false;
	while (!accept(p, '"'))
	{
		if (p->at == p->end || *p->at < 0x20)
			return false;
		if (!accept(p, '\\'))
			p->at++;
		else if (accept(p, 'u'))
		{
			for (int i = 0; i < 4; i++)
				if (!accept_hex(p))
					return false;
		}
		else if (p->at == p->end || *p->at == '\0' || strchr("\"\\/bfnrt", *p->at) == NULL)
			return false;
		else
			p->at++;
	}
	return true;
}

static bool parse_value(Parser *p, int depth);

static bool
parse_members(Parser *p, int depth, bool object)
{
	char		close = object ? '}' : ']';

	skip_blanks(p);
	if (accept(p, close))
		return true;
	do
	{
		if (object)
		{
			skip_blanks(p);
			if (!parse_string(p))
				return false;
			skip_blanks(p);
			if (!accept(p, ':'))
				return false;
		}
		if (!parse_value(p, depth))
			return false;
	} while (accept(p, ','));
	return accept(p, close);
}

static bool
parse_value(Parser *p, int depth)
{
	bool		ok;

	skip_blanks(p);
	if (p->at == p->end)
		return false;
	switch (*p->at)
	{
		case '{':
		case '[':
			ok = depth > 0 && parse_members(p, depth - 1, *p->at++ == '{');
			break;
		case '"':
			ok = parse_string(p);
			break;
		case 't':
			ok = accept_word(p, "true");
			break;
		case 'f':
			ok = accept_word(p, "false");
			break;
		case 'n':
			ok = accept_word(p, "null");
			break;
		default:
			ok = parse_number(p);
	}
	skip_blanks(p);
	return ok;
}

/* Is it JSON, nested no deeper than that? */
static bool
is_json(FtcSlice bytes, int depth)
{
	Parser		p = {bytes.data, bytes.data + bytes.len};

	return parse_value(&p, depth) && p.at == p.end;
}

/* ----------------------------------------------------------------
 *		Tests
 * ----------------------------------------------------------------
 */

static FtcSlice
outline(FtcSlice json)
{
	char	   *bytes = keep(json.len > 0 ? json.len : 1);

	return ftc_slice(bytes, ftc_json_outline(json, bytes));
}

static void
assert_outline(const char *json, const char *expected)
{
	FtcSlice	found = outline(keep_copy(text (json)));

	if (!slice_equal(found, text (expected)))
		fail_msg("outline of %s: %.*s", json, (int) found.len, (const char *) found.data);
}

static void
test_examples(void **state)
{
	(void) state;
	assert_outline("", "");
	assert_outline("{\"a\": [1, true, null]}", "{\"\": [1, true, null]}");
	assert_outline("\"eight bytes and more of them\"", "\"\"");
	assert_outline("\"1234567\"", "\"\"");
	assert_outline("\"12345678\"x", "\"\"x");
	assert_outline("\"a\\\"b\\\\c\\n\"", "\"\\\"\\\\\\n\"");
	assert_outline("\"a\\u12345\"", "\"\\u1234\"");
	assert_outline("\"a\\u12\"", "\"\\u12\"");
	assert_outline("\"a\\u12\\n34\"", "\"\\u12\\n\"");
	assert_outline("\"line\nbreak\"", "\"\n\"");
	assert_outline("\"\xc3\xa4\xf0\x9f\x98\x80\"", "\"\"");
	assert_outline("\"open", "\"");
	assert_outline("\"open\\", "\"\\");
	assert_outline("\"open\\u", "\"\\u");
	assert_outline("abc\"d\"e", "abc\"\"e");
}

static const char *const pieces[] = {
	"\"", "\\", "u", "0", "1f", "{", "}", "[", "]", ":", ",", "true", "null", " ", "\n", "-1.5e3", "a", "long enough",
	"\x01", "\x7f", "\xc3\xa4", "\\\"", "\\u00e4", "\"key\":", "\"value\"", "[[", "]]", "{}", "\"\"", "/"
};

/* Whatever it is, JSON or not. */
static FtcSlice
random_text(TestRandom *random)
{
	uint8_t    *bytes = keep(20 * 12);
	size_t		len = 0;

	for (uint64_t n = random_below(random, 20); n > 0; n--)
	{
		const char *piece = pieces[random_below(random, lengthof(pieces))];

		memcpy(bytes + len, piece, strlen(piece));
		len += strlen(piece);
	}
	return keep_copy(ftc_slice(bytes, len));
}

static size_t
put(uint8_t *bytes, size_t len, const char *piece)
{
	memcpy(bytes + len, piece, strlen(piece));
	return len + strlen(piece);
}

static size_t
put_random_string(TestRandom *random, uint8_t *bytes, size_t len)
{
	static const char *const parts[] = {"plain", "x", "\\n", "\\\\", "\\\"", "\\u0041", "\xc3\xa4", "{[\\/", "  "};

	len = put(bytes, len, "\"");
	for (uint64_t n = random_below(random, 8); n > 0; n--)
		len = put(bytes, len, parts[random_below(random, lengthof(parts))]);
	return put(bytes, len, "\"");
}

static size_t
put_random_value(TestRandom *random, uint8_t *bytes, size_t len, int depth)
{
	uint64_t	kind = random_below(random, depth > 0 ? 5 : 3);

	if (kind < 2)
		return put_random_string(random, bytes, len);
	if (kind == 2)
		return put(bytes, len, random_below(random, 2) ? "-12.5e+7" : "true");
	len = put(bytes, len, kind == 3 ? "{" : "[");
	for (uint64_t n = random_below(random, 4), i = 0; i < n; i++)
	{
		if (i > 0)
			len = put(bytes, len, ", ");
		if (kind == 3)
		{
			len = put_random_string(random, bytes, len);
			len = put(bytes, len, ":");
		}
		len = put_random_value(random, bytes, len, depth - 1);
	}
	return put(bytes, len, kind == 3 ? "}" : "]");
}

/* The outline is JSON if and only if the text is, and as deep. */
static bool
check_outline(FtcSlice json)
{
	FtcSlice	short_one = outline(json);
	FtcSlice	again = outline(short_one);
	bool		valid = is_json(json, 50);

	assert_true(short_one.len <= json.len);
	assert_true(slice_equal(again, short_one));
	if (is_json(short_one, 50) != valid)
		fail_msg("%s: %.*s", valid ? "valid" : "not valid", (int) json.len, (const char *) json.data);
	for (int depth = 0; valid && depth < 6; depth++)
	{
		assert_int_equal(ftc_json_is_deeper(json, depth), !is_json(json, depth));
		assert_int_equal(ftc_json_is_deeper(short_one, depth), !is_json(json, depth));
	}
	return valid;
}

static void
test_any_text(void **state)
{
	TestRandom	random = random_from(1);
	int			valid = 0;

	(void) state;
	for (int i = 0; i < 100000; i++)
	{
		valid += check_outline(random_text(&random));
		keep_free();
	}
	assert_true(valid > 1000);
}

/* Documents, and what one wrong byte makes of them. */
static void
test_documents(void **state)
{
	TestRandom	random = random_from(2);
	static uint8_t bytes[1 << 20];
	int			broken = 0;

	(void) state;
	for (int i = 0; i < 5000; i++)
	{
		size_t		len = put_random_value(&random, bytes, 0, 4);
		FtcSlice	json = keep_copy(ftc_slice(bytes, len));

		assert_true(check_outline(json));
		for (int j = 0; j < 10; j++)
		{
			static const uint8_t wrong[] = "\"\\u{}[],:0 x\n\x01\xff";

			memcpy(bytes, json.data, len);
			bytes[random_below(&random, len)] = wrong[random_below(&random, sizeof(wrong) - 1)];
			broken += !check_outline(keep_copy(ftc_slice(bytes, len)));
		}
		keep_free();
	}
	assert_true(broken > 10000);
}

static void
test_depth(void **state)
{
	char		nested[2001];

	(void) state;
	memset(nested, '[', 1000);
	memset(nested + 1000, ']', 1000);
	assert_false(ftc_json_is_deeper(ftc_slice(nested, 2000), 1000));
	assert_true(ftc_json_is_deeper(ftc_slice(nested, 2000), 999));
	/* brackets in strings do not count */
	nested[0] = nested[1999] = '"';
	assert_false(ftc_json_is_deeper(ftc_slice(nested, 2000), 10));
	assert_false(ftc_json_is_deeper(text ("[\"\\\"[[[\", {}]"), 2));
	assert_true(ftc_json_is_deeper(text ("[\"\\\\\", [{}]]"), 2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_examples),
		test(test_any_text),
		test(test_documents),
		test(test_depth),
	};

	return cmocka_run_group_tests_name("outline", tests, NULL, NULL);
}

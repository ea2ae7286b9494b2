/*-------------------------------------------------------------------------
 *
 * test_types.c
 *	  Tests of types.c, sha256.c, reason.c and bytes.h.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "sha256.h"

static void
test_hash_compare(void **state)
{
	TestRandom	random = random_from(1);

	(void) state;
	for (int i = 0; i < 1000; i++)
	{
		FtcHash		a = random_hash(&random);
		FtcHash		b = a;
		size_t		at = random_below(&random, FTC_HASH_LEN);

		assert_true(ftc_hash_equal(&a, &b));
		assert_int_equal(ftc_hash_compare(&a, &b), 0);
		/* the first byte that differs decides, whatever comes behind */
		a.b[at] = 0x7f;
		b.b[at] = 0x80;
		random_bytes(&random, b.b + at + 1, FTC_HASH_LEN - at - 1);
		assert_true(ftc_hash_compare(&a, &b) < 0);
		assert_true(ftc_hash_compare(&b, &a) > 0);
		assert_false(ftc_hash_equal(&a, &b));
	}
}

static void
test_hash_zero(void **state)
{
	FtcHash		hash = {{0}};

	(void) state;
	assert_true(ftc_hash_is_zero(&hash));
	assert_true(ftc_hash_is_zero(&ftc_hash_zero));
	for (int bit = 0; bit < 8 * FTC_HASH_LEN; bit++)
	{
		hash.b[bit / 8] = (uint8_t) (1 << bit % 8);
		assert_false(ftc_hash_is_zero(&hash));
		hash.b[bit / 8] = 0;
	}
}

/* The code point at p, or -1: another decoder than the one under test. */
static long
code_point(const uint8_t *p, size_t left, size_t *len)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t	value = p[0];

	*len = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3
		: (p[0] & 0xf8) == 0xf0 ? 4 : 0;
	if (*len == 0 || *len > left)
		return -1;
	if (*len > 1)
		value &= 0x7fu >> *len;
	for (size_t i = 1; i < *len; i++)
	{
		if ((p[i] & 0xc0) != 0x80)
			return -1;
		value = value << 6 | (p[i] & 0x3f);
	}
	return value < least[*len] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)
		? -1 : (long) value;
}

static bool
naive_utf8_is_valid(const uint8_t *p, size_t len)
{
	size_t		step;

	for (size_t at = 0; at < len; at += step)
		if (code_point(p + at, len - at, &step) <= 0)
			return false;
	return true;
}

static size_t
put_code_point(uint8_t *to, uint32_t value)
{
	if (value < 0x80)
	{
		to[0] = (uint8_t) value;
		return 1;
	}
	for (int len = 2; len <= 4; len++)
		if (value < UINT32_C(1) << (5 * len + 1) || len == 4)
		{
			for (int i = len - 1; i > 0; i--, value >>= 6)
				to[i] = (uint8_t) (0x80 | (value & 0x3f));
			to[0] = (uint8_t) (0xf00 >> len | value);
			return (size_t) len;
		}
	return 0;
}

/* Each code point there is, and each there is not, alone and behind ASCII. */
static void
test_utf8_code_points(void **state)
{
	uint8_t		bytes[12] = "abcdefg";

	(void) state;
	for (uint32_t value = 0; value < 0x120000; value++)
	{
		size_t		len = put_code_point(bytes + 7, value);
		bool		valid = value > 0 && value <= 0x10ffff &&
		(value < 0xd800 || value > 0xdfff);

		assert_int_equal(ftc_utf8_is_valid(ftc_slice(bytes + 7, len)), valid);
		assert_int_equal(ftc_utf8_is_valid(ftc_slice(bytes, 7 + len)), valid);
		/* cut short, it is none */
		if (len > 1)
			assert_false(ftc_utf8_is_valid(keep_copy(ftc_slice(bytes + 7, len - 1))));
		if (value % 4096 == 0)
			keep_free();
	}
}

/* Every sequence of up to three bytes. */
static void
test_utf8_short(void **state)
{
	(void) state;
	assert_true(ftc_utf8_is_valid(ftc_slice(NULL, 0)));
	for (uint32_t value = 0; value < 1 << 24; value++)
	{
		uint8_t		bytes[3] = {(uint8_t) (value >> 16), (uint8_t) (value >> 8), (uint8_t) value};

		if (ftc_utf8_is_valid(ftc_slice(bytes, 3)) != naive_utf8_is_valid(bytes, 3))
			fail_msg("%02x %02x %02x", bytes[0], bytes[1], bytes[2]);
		if (value < 1 << 16)
			assert_int_equal(ftc_utf8_is_valid(ftc_slice(bytes + 1, 2)),
							 naive_utf8_is_valid(bytes + 1, 2));
	}
}

/* Bytes that are nearly text, so that both answers occur often. */
static void
test_utf8_random(void **state)
{
	static const char *const pieces[] = {
		"plain text", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "a", "\x7f",
		"\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80", "\xc2\x80"
	};
	TestRandom	random = random_from(2);
	int			valid = 0;

	(void) state;
	for (int i = 0; i < 100000; i++)
	{
		uint8_t		bytes[64];
		size_t		len = 0;
		bool		expected;

		while (len < 50 && random_below(&random, 12) > 0)
		{
			const char *piece = pieces[random_below(&random, lengthof(pieces))];

			memcpy(bytes + len, piece, strlen(piece));
			len += strlen(piece);
		}
		if (len > 0 && random_below(&random, 2) > 0)
			bytes[random_below(&random, len)] ^= (uint8_t) (1 << random_below(&random, 8));
		expected = naive_utf8_is_valid(bytes, len);
		valid += expected;
		assert_int_equal(ftc_utf8_is_valid(ftc_slice(bytes, len)), expected);
	}
	assert_in_range(valid, 10000, 90000);
}

/* A NUL is found at every place within the eight bytes taken at once. */
static void
test_utf8_nul(void **state)
{
	(void) state;
	for (size_t len = 1; len < 40; len++)
		for (size_t at = 0; at < len; at++)
		{
			FtcSlice	bytes = filled('x', len);

			assert_true(ftc_utf8_is_valid(bytes));
			((uint8_t *) bytes.data)[at] = 0;
			assert_false(ftc_utf8_is_valid(bytes));
			((uint8_t *) bytes.data)[at] = 0xff;
			assert_false(ftc_utf8_is_valid(bytes));
			((uint8_t *) bytes.data)[at] = 1;
			assert_true(ftc_utf8_is_valid(bytes));
		}
}

/* Botan's file has sections; "In = " and "Out = " within them. */
static void
test_sha256_vectors(void **state)
{
	TestLines	lines = lines_open("botan_sha2_32.vec");
	bool		ours = false;
	int			cases = 0;
	FtcSlice	message = {0};

	(void) state;
	while (lines_next(&lines))
	{
		const char *value = lines.nfields > 2 ? lines.field[2] : "-";

		if (lines.field[0][0] == '[')
			ours = strcmp(lines.field[0], "[SHA-256]") == 0;
		else if (ours && strcmp(lines.field[0], "In") == 0)
			message = unhex(value);
		else if (ours && strcmp(lines.field[0], "Out") == 0)
		{
			FtcHash		expected = unhex_hash(value);
			FtcHash		found = ftc_sha256(message);

			assert_hash_equal(&found, &expected);
			cases++;
		}
	}
	lines_close(&lines);
	assert_in_range(cases, 380, 400);
}

/* The same in pieces of any size. */
static void
test_sha256_pieces(void **state)
{
	TestRandom	random = random_from(3);

	(void) state;
	for (int i = 0; i < 500; i++)
	{
		uint8_t		bytes[300];
		size_t		len = random_below(&random, sizeof(bytes) + 1);
		size_t		at = 0;
		FtcSha256	sha;
		FtcHash		whole;
		FtcHash		found;

		random_bytes(&random, bytes, len);
		ftc_sha256_init(&sha);
		while (at < len)
		{
			size_t		step = random_below(&random, len - at + 1);

			ftc_sha256_update(&sha, bytes + at, step);
			at += step;
		}
		found = ftc_sha256_final(&sha);
		whole = ftc_sha256(ftc_slice(bytes, len));
		assert_hash_equal(&found, &whole);
	}
}

/* SHA-256 made of the compression function and FIPS 180-4's padding. */
static FtcHash
sha256_by_compression(const uint8_t *bytes, size_t len)
{
	uint8_t		padded[512] = {0};
	size_t		blocks = (len + 9 + 63) / 64;
	FtcWriter	end = ftc_writer(padded + 64 * blocks - 8, 8);
	uint32_t	words[8];
	FtcHash		hash;
	FtcWriter	out = ftc_writer(hash.b, FTC_HASH_LEN);

	memcpy(padded, bytes, len);
	padded[len] = 0x80;
	ftc_put_u64(&end, 8 * len);
	ftc_sha256_start(words);
	for (size_t i = 0; i < blocks; i++)
		ftc_sha256_compress(words, padded + 64 * i);
	for (int i = 0; i < 8; i++)
		ftc_put_u32(&out, words[i]);
	return hash;
}

static void
test_sha256_compress(void **state)
{
	TestRandom	random = random_from(4);
	uint8_t		bytes[400];

	(void) state;
	random_bytes(&random, bytes, sizeof(bytes));
	for (size_t len = 0; len <= sizeof(bytes); len++)
	{
		FtcHash		found = sha256_by_compression(bytes, len);
		FtcHash		expected = ftc_sha256(ftc_slice(bytes, len));

		assert_hash_equal(&found, &expected);
	}
}

/* Every reason has words of its own, and a wrong number is survived. */
static void
test_reasons(void **state)
{
	(void) state;
	assert_string_equal(ftc_reason_text(FTC_OK), "ok");
	assert_string_equal(ftc_reason_text(FTC_WRONG_CHAIN_VALUE), "link chain values differ");
	for (int i = 0; i < FTC_REASON_COUNT; i++)
	{
		assert_true(strlen(ftc_reason_text((FtcReason) i)) > 1);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(ftc_reason_text((FtcReason) i),
									ftc_reason_text((FtcReason) j));
	}
	assert_string_equal(ftc_reason_text(FTC_REASON_COUNT), "unknown reason");
}

static void
test_reader(void **state)
{
	static const uint8_t bytes[] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e,
		0x0f, 0x02, 'a', 'b', 0, 0, 0, 1, 'c'
	};
	FtcReader	reader = ftc_reader(keep_copy(ftc_slice(bytes, sizeof(bytes))));

	(void) state;
	assert_int_equal(ftc_get_u8(&reader), 0x01);
	assert_int_equal(ftc_get_u16(&reader), 0x0203);
	assert_int_equal(ftc_get_u32(&reader), 0x04050607);
	assert_int_equal(ftc_get_u64(&reader), UINT64_C(0x08090a0b0c0d0e0f));
	assert_slice_equal(ftc_get_name(&reader), text ("ab"));
	assert_false(ftc_reader_is_done(&reader));
	assert_slice_equal(ftc_get_blob(&reader), text ("c"));
	assert_true(ftc_reader_is_done(&reader));
	/* nothing more is fine, anything more is not */
	assert_int_equal(ftc_get_slice(&reader, 0).len, 0);
	assert_true(ftc_reader_is_done(&reader));
	assert_int_equal(ftc_get_u8(&reader), 0);
	assert_true(reader.bad);
	assert_false(ftc_reader_is_done(&reader));
}

/* Once bad, always bad, and nothing but zeros. */
static void
test_reader_bad(void **state)
{
	FtcReader	reader = ftc_reader(filled('x', 7));
	uint8_t		eight[8];
	static const uint8_t zeros[8] = {0};
	FtcHash		hash;

	(void) state;
	memset(eight, 0xff, sizeof(eight));
	ftc_get_bytes(&reader, eight, 8);
	assert_true(reader.bad);
	assert_memory_equal(eight, zeros, 8);
	assert_int_equal(ftc_get_u8(&reader), 0);
	assert_int_equal(ftc_get_u64(&reader), 0);
	assert_int_equal(ftc_get_name(&reader).len, 0);
	assert_int_equal(ftc_get_blob(&reader).len, 0);
	hash = ftc_get_hash(&reader);
	assert_true(ftc_hash_is_zero(&hash));
	assert_true(reader.bad);
	assert_int_equal(reader.left, 7);

	/* lengths that lie, the greatest as well */
	reader = ftc_reader(text ("\x02x"));
	assert_int_equal(ftc_get_name(&reader).len, 0);
	assert_true(reader.bad);
	reader = ftc_reader(text ("\xff\xff\xff\xffx"));
	assert_int_equal(ftc_get_blob(&reader).len, 0);
	assert_true(reader.bad);
	reader = ftc_reader(text ("x"));
	assert_int_equal(ftc_get_slice(&reader, SIZE_MAX).len, 0);
	assert_true(reader.bad);
}

static void
put_things(FtcWriter *writer)
{
	FtcHash		hash = hash_of("writer", 0);

	ftc_put_u8(writer, 0x01);
	ftc_put_u16(writer, 0x0203);
	ftc_put_u32(writer, 0x04050607);
	ftc_put_u64(writer, UINT64_C(0x08090a0b0c0d0e0f));
	ftc_put_hash(writer, &hash);
	ftc_put_name(writer, text ("name"));
	ftc_put_blob(writer, text ("blob"));
	ftc_put_slice(writer, ftc_slice(NULL, 0));
}

/* Too small a buffer is never overrun, and the length is right all the same. */
static void
test_writer(void **state)
{
	FtcWriter	writer = ftc_writer(NULL, 0);
	size_t		len = 1 + 2 + 4 + 8 + 32 + 5 + 8;
	uint8_t    *whole = keep(len);

	(void) state;
	put_things(&writer);
	assert_int_equal(writer.len, len);
	assert_false(ftc_writer_fits(&writer));
	writer = ftc_writer(whole, len);
	put_things(&writer);
	assert_int_equal(writer.len, len);
	assert_true(ftc_writer_fits(&writer));
	assert_memory_equal(whole, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 15);
	assert_memory_equal(whole + 47, "\4name\0\0\0\4blob", 13);
	for (size_t size = 0; size < len; size++)
	{
		writer = ftc_writer(keep(size), size);
		put_things(&writer);
		assert_int_equal(writer.len, len);
		assert_false(ftc_writer_fits(&writer));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_hash_compare),
		test(test_hash_zero),
		test(test_utf8_code_points),
		test(test_utf8_short),
		test(test_utf8_random),
		test(test_utf8_nul),
		test(test_sha256_vectors),
		test(test_sha256_pieces),
		test(test_sha256_compress),
		test(test_reasons),
		test(test_reader),
		test(test_reader_bad),
		test(test_writer),
	};

	return cmocka_run_group_tests_name("types", tests, NULL, NULL);
}

/*-------------------------------------------------------------------------
 *
 * test_file.c
 *	  Tests of file.c, chains as files, and of receipt_file.c.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "file_build.h"
#include "mutate.h"
#include "receipt_file.h"

static void
check(FtcSlice piece, FtcReason expected)
{
	check_reason(&codec_piece, piece, expected);
}

/* The tables in file.h. */
static void
test_layout(void **state)
{
	TestFile   *file = file_whole();
	FtcSlice	begin = file->pieces[0];
	FtcSlice	block = file->pieces[1];
	FtcSlice	end = file->pieces[file->n - 1];

	(void) state;
	assert_int_equal(begin.len, 12 + 56);
	assert_memory_equal(begin.data, "ftcf\1\1\0\0\0\0\0\x38", 12);
	assert_memory_equal(begin.data + 12, file->genesis.b, 32);
	assert_memory_equal(begin.data + 44, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\5\1\0\0\0\0\0\0\0", 24);
	assert_memory_equal(block.data, "ftcf\1\2\0\0", 8);
	assert_memory_equal(block.data + 12, "\0\0\0\0\0\0\0\0", 8);
	assert_memory_equal(block.data + 20, file->genesis.b, 32);
	assert_memory_equal(block.data + 52, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
	assert_int_equal(end.len, 12 + 80);
	assert_memory_equal(end.data, "ftcf\1\3\0\0\0\0\0\x50", 12);
	assert_memory_equal(end.data + 12, "\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0\3", 16);
	assert_memory_equal(end.data + 28, file->head.b, 32);
}

static void
test_frames(void **state)
{
	TestFile   *file = file_whole();
	FtcSlice	end = file->pieces[file->n - 1];

	(void) state;
	for (size_t i = 0; i < 4; i++)
		check(with_byte(end, i, 'x'), FTC_BAD_KIND);
	check(with_byte(end, 4, 2), FTC_BAD_VERSION);
	check(with_byte(end, 5, 0), FTC_BAD_KIND);
	check(with_byte(end, 5, 4), FTC_BAD_KIND);
	check(with_byte(end, 6, 1), FTC_NOT_CANONICAL);
	check(with_byte(end, 7, 1), FTC_NOT_CANONICAL);
	check(with_be(end, 8, FTC_FILE_CONTENT_MAX + 1, 4), FTC_TOO_LARGE);
	check(with_be(end, 8, 81, 4), FTC_BAD_LENGTH);
	check(with_be(file->pieces[0], 8, 57, 4), FTC_BAD_LENGTH);
}

static void
test_contents(void **state)
{
	TestFile   *file = file_whole();
	FtcSlice	begin = file->pieces[0];
	FtcSlice	part = file_part()->pieces[0];
	FtcSlice	block = file->pieces[2];
	FtcSlice	empty = file->pieces[4];
	FtcSlice	end = file->pieces[file->n - 1];

	(void) state;
	check(with_byte(begin, 12 + 48, 3), FTC_BAD_KIND);
	check(with_byte(begin, 12 + 49, 1), FTC_NOT_CANONICAL);
	check(with_byte(begin, 12 + 51, 1), FTC_NOT_CANONICAL);
	check(with_be(begin, 12 + 40, UINT64_C(1) << 63, 8), FTC_OUT_OF_RANGE);
	check(with_be(begin, 12 + 32, 6, 8), FTC_OUT_OF_RANGE);
	check(with_be(begin, 12 + 32, 1, 8), FTC_NOT_CANONICAL);
	check(with_be(part, 12 + 32, 0, 8), FTC_NOT_CANONICAL);
	check(with_byte(part, part.len - 1, part.data[part.len - 1] ^ 1), FTC_OK);

	check(with_be(block, 12, UINT64_C(1) << 63, 8), FTC_OUT_OF_RANGE);
	check(with_byte(block, 12 + 40, 5), FTC_BAD_KIND);
	check(with_byte(block, 12 + 40, 2), FTC_NOT_CANONICAL);
	check(with_byte(block, 12 + 41, 1), FTC_NOT_CANONICAL);
	check(with_byte(empty, 12 + 40, 1), FTC_NOT_CANONICAL);
	check(with_byte(empty, 12 + 40, 3), FTC_OK);
	/* statements ascend: one like the other is one too many */
	check(with_byte(block, 12 + 48, 0xff), FTC_NOT_CANONICAL);

	check(with_be(end, 12, UINT64_C(1) << 63, 8), FTC_OUT_OF_RANGE);
	check(with_be(end, 12 + 8, 7, 8), FTC_OUT_OF_RANGE);
}

/* All bytes are of one kind or the other: read, or part of what is not looked at. */
static void
test_every_byte(void **state)
{
	TestFile   *file = file_whole();

	(void) state;
	check_bytes(&codec_piece, file->pieces[0]);
	check_bytes(&codec_piece, file->pieces[4]);
	check_bytes(&codec_piece, file->pieces[file->n - 1]);
	assert_int_equal(check_lengths(&codec_piece, file->pieces[2]), 0);
	assert_int_equal(check_lengths(&codec_piece, file_part()->pieces[0]), 0);
}

static FtcSlice
decoded(const char *text)
{
	uint8_t		bytes[64];
	int64_t		n = ftc_base64_decode(text, strlen(text), bytes);

	return n < 0 ? ftc_slice("refused", 7) : keep_copy(ftc_slice(bytes, (size_t) n));
}

/* RFC 4648, section 10; and what is not of that form. */
static void
test_base64(void **state)
{
	static const char *const good[][2] = {
		{"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"Zm9vYg==", "foob"},
		{"Zm9vYmE=", "fooba"}, {"Zm9vYmFy", "foobar"}, {"+/+/", "\xfb\xff\xbf"}
	};
	static const char *const bad[] = {
		"Z", "Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Zm9v\n", " Zm9", "Zm-_", "Zm=v"
	};

	(void) state;
	for (size_t i = 0; i < lengthof(good); i++)
		assert_slice_equal(decoded(good[i][0]), text (good[i][1]));
	for (size_t i = 0; i < lengthof(bad); i++)
		assert_slice_equal(decoded(bad[i]), text ("refused"));
}

static void
test_receipts(void **state)
{
	static const char *const bad[] = {
		"", "{}", "[]", "1", "{\"version\": 1}", "{\"version\": 2", "{\"version\": 1, \"version\": 1}", "\xff"
	};
	FtcReceiptFile file;

	(void) state;
	for (size_t i = 0; i < lengthof(bad); i++)
	{
		assert_false(ftc_receipt_file_read(&file, text (bad[i])));
		ftc_receipt_file_free(&file);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_layout),
		test(test_frames),
		test(test_contents),
		test(test_every_byte),
		test(test_base64),
		test(test_receipts),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}

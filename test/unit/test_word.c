/*-------------------------------------------------------------------------
 *
 * test_word.c
 *	  Tests of word.c: what a member says that it keeps.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "word.h"

static const FtcHash block = {{1, 2, 3}};
static const FtcHash member = {{4, 5, 6}};

static FtcSlice
make_head(uint8_t *bytes)
{
	FtcShardsHead head = {.cut = {.data = 4,.parity = 2,.len = 100},.block = block,.root = member};

	ftc_shards_head_encode(&head, bytes);
	return ftc_slice(bytes, FTC_SHARDS_HEAD_LEN);
}

static void
test_round_trip(void **state)
{
	uint8_t		head[FTC_SHARDS_HEAD_LEN];
	uint8_t		bytes[FTC_WORD_MAX];

	(void) state;
	for (int whole = 0; whole < 2; whole++)
		for (int32_t shard = -1; shard < 6; shard++)
		{
			FtcWord		word = {.block = block,.member = member,.number = 7,.whole = whole == 1,.shard = shard,.other = -1};
			FtcWord		again;
			FtcSlice	encoded;

			if (shard >= 0)
				word.head = make_head(head);
			encoded = ftc_word_encode(&word, bytes);
			assert_int_equal(encoded.len, shard < 0 ? 76 : 76 + FTC_SHARDS_HEAD_LEN);
			assert_int_equal(ftc_word_decode(&again, encoded), FTC_OK);
			assert_true(ftc_hash_equal(&again.block, &block) && ftc_hash_equal(&again.member, &member));
			assert_int_equal(again.number, 7);
			assert_int_equal(again.whole, whole);
			assert_int_equal(again.shard, shard);
			assert_int_equal(again.head.len, word.head.len);
			for (size_t len = 0; len < encoded.len; len++)
				assert_int_equal(ftc_word_decode(&again, ftc_slice(bytes, len)), FTC_BAD_LENGTH);
		}
}

/* What a byte more, or another one, makes of it. */
static FtcReason
decode_changed(int32_t shard, size_t at, uint8_t value)
{
	uint8_t		head[FTC_SHARDS_HEAD_LEN];
	uint8_t		bytes[FTC_WORD_MAX + 1] = {0};
	FtcWord		word = {.block = block,.member = member,.number = 7,.whole = true,.shard = shard,.other = -1};
	size_t		len;

	if (shard >= 0)
		word.head = make_head(head);
	len = ftc_word_encode(&word, bytes).len;
	bytes[at] = value;
	return ftc_word_decode(&word, ftc_slice(bytes, at < len ? len : len + 1));
}

static void
test_refused(void **state)
{
	(void) state;
	assert_int_equal(decode_changed(-1, 0, 1), FTC_OK);
	assert_int_equal(decode_changed(-1, 0, 2), FTC_BAD_VERSION);
	assert_int_equal(decode_changed(-1, 1, 2), FTC_NOT_CANONICAL);
	assert_int_equal(decode_changed(-1, 1, 0x81), FTC_NOT_CANONICAL);
	assert_int_equal(decode_changed(-1, 3, 1), FTC_NOT_CANONICAL);
	/* numbers from 1 to what a table holds */
	assert_int_equal(decode_changed(-1, 11, 0), FTC_OUT_OF_RANGE);
	assert_int_equal(decode_changed(-1, 4, 0x7f), FTC_OK);
	assert_int_equal(decode_changed(-1, 4, 0x80), FTC_OUT_OF_RANGE);
	assert_int_equal(decode_changed(-1, 76, 0), FTC_BAD_LENGTH);
	/* a shard without its head, one that there is not, one of another block */
	assert_int_equal(decode_changed(-1, 2, 0), FTC_BAD_LENGTH);
	assert_int_equal(decode_changed(5, 2, 5), FTC_OK);
	assert_int_equal(decode_changed(5, 2, 6), FTC_OUT_OF_RANGE);
	assert_int_equal(decode_changed(5, 2, FTC_WORD_NO_SHARD), FTC_BAD_LENGTH);
	assert_int_equal(decode_changed(5, 76, 2), FTC_BAD_VERSION);
	assert_int_equal(decode_changed(5, 84, 9), FTC_WRONG_DIGEST);
	assert_int_equal(decode_changed(5, 76 + FTC_SHARDS_HEAD_LEN, 0), FTC_BAD_LENGTH);
	/* another one without its head */
	assert_int_equal(decode_changed(5, 3, 1), FTC_BAD_LENGTH);
}

/* One of each of two cuts, and how the second one may be. */
static FtcReason
decode_two(uint8_t data, int32_t other, FtcWord *again, uint8_t bytes[FTC_WORD_MAX])
{
	static uint8_t head[FTC_SHARDS_HEAD_LEN];
	static uint8_t second[FTC_SHARDS_HEAD_LEN];
	FtcWord		word = {.block = block,.member = member,.number = 7,.shard = 5,.other = other};
	FtcSlice	encoded;

	word.head = make_head(head);
	word.other_head = make_head(second);
	second[2] = data;
	encoded = ftc_word_encode(&word, bytes);
	assert_int_equal(encoded.len, FTC_WORD_MAX);
	for (size_t len = 0; len < encoded.len; len++)
		assert_int_equal(ftc_word_decode(again, ftc_slice(bytes, len)), FTC_BAD_LENGTH);
	return ftc_word_decode(again, encoded);
}

static void
test_two_cuts(void **state)
{
	FtcWord		again;
	uint8_t		bytes[FTC_WORD_MAX];

	(void) state;
	assert_int_equal(decode_two(3, 0, &again, bytes), FTC_OK);
	assert_int_equal(again.shard, 5);
	assert_int_equal(again.other, 0);
	assert_int_equal(again.head.data[2], 4);
	assert_int_equal(again.other_head.data[2], 3);
	assert_int_equal(decode_two(3, 4, &again, bytes), FTC_OK);
	assert_int_equal(again.other, 4);
	assert_int_equal(decode_two(3, 5, &again, bytes), FTC_OUT_OF_RANGE);
	assert_int_equal(decode_two(4, 0, &again, bytes), FTC_NOT_CANONICAL);
	assert_int_equal(decode_two(0, 0, &again, bytes), FTC_OUT_OF_RANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_round_trip),
		test(test_refused),
		test(test_two_cuts),
	};

	return cmocka_run_group_tests_name("word", tests, NULL, NULL);
}

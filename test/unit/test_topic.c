/*-------------------------------------------------------------------------
 *
 * test_topic.c
 *	  Tests of topic.c: references of users' messages.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "mutate.h"
#include "sha256.h"
#include "topic.h"

static FtcTopicReference
some_reference(const char *topic)
{
	FtcTopicReference reference = {0};

	reference.incarnation = UINT64_C(0x0102030405060708);
	reference.seq = UINT64_C(0x1112131415161718);
	reference.sent = UINT64_C(1700000000000001);
	reference.hash = ftc_sha256(text ("{}"));
	reference.topic = text (topic);

	return reference;
}

static FtcSlice
encoded(const FtcTopicReference *reference)
{
	uint8_t		bytes[FTC_TOPIC_REFERENCE_MAX];
	size_t		len = ftc_topic_reference_encode(reference, bytes);

	return keep_copy(ftc_slice(bytes, len));
}

static void
check(const FtcTopicReference *reference, FtcReason expected)
{
	check_reason(&codec_topic, encoded(reference), expected);
}

/* The table in topic.h. */
static void
test_layout(void **state)
{
	FtcTopicReference reference = some_reference("orders");
	FtcSlice	bytes = encoded(&reference);

	(void) state;
	assert_int_equal(bytes.len, 63);
	assert_memory_equal(bytes.data, "\1\2\3\4\5\6\7\x08\x11\x12\x13\x14\x15\x16\x17\x18", 16);
	assert_memory_equal(bytes.data + 16, "\0\x06\x0a\x24\x18\x1e\x40\x01", 8);
	assert_memory_equal(bytes.data + 24, reference.hash.b, 32);
	assert_memory_equal(bytes.data + 56, "\6orders", 7);
}

static void
test_decode(void **state)
{
	FtcTopicReference reference = some_reference("orders");
	FtcTopicReference found;

	(void) state;
	assert_reason(ftc_topic_reference_decode(&found, encoded(&reference)), FTC_OK);
	assert_int_equal(found.incarnation, reference.incarnation);
	assert_int_equal(found.seq, reference.seq);
	assert_int_equal(found.sent, reference.sent);
	assert_hash_equal(&found.hash, &reference.hash);
	assert_slice_equal(found.topic, reference.topic);
}

static void
test_refused(void **state)
{
	FtcTopicReference reference = some_reference("orders");
	FtcSlice	bytes = encoded(&reference);

	(void) state;
	assert_int_equal(check_lengths(&codec_topic, bytes), 0);
	check_reason(&codec_topic, with_be(bytes, 0, 0, 8), FTC_OUT_OF_RANGE);
	check_reason(&codec_topic, with_be(bytes, 0, (uint64_t) INT64_MAX + 1, 8), FTC_OUT_OF_RANGE);
	check_reason(&codec_topic, with_be(bytes, 8, 0, 8), FTC_OUT_OF_RANGE);
	check_reason(&codec_topic, with_be(bytes, 8, (uint64_t) INT64_MAX + 1, 8), FTC_OUT_OF_RANGE);
	check_reason(&codec_topic, with_be(bytes, 16, FTC_TIME_MAX, 8), FTC_OK);
	check_reason(&codec_topic, with_be(bytes, 16, (uint64_t) FTC_TIME_MAX + 1, 8), FTC_OUT_OF_RANGE);
	check_reason(&codec_topic, with_byte(bytes, 57, 0xff), FTC_BAD_TEXT);
	check_reason(&codec_topic, with_byte(ftc_slice(bytes.data, 57), 56, 0), FTC_OUT_OF_RANGE);
	reference.topic = filled('t', FTC_NAME_MAX);
	check(&reference, FTC_OK);
	reference.topic = filled('t', FTC_NAME_MAX + 1);
	assert_int_equal(encoded(&reference).len, 0);
	reference.topic = text ("");

	assert_int_equal(encoded(&reference).len, 0);
}

static void
test_message(void **state)
{
	FtcTopicReference reference = some_reference("orders");
	FtcSlice	large = filled('x', FTC_TOPIC_MESSAGE_MAX + 1);

	(void) state;
	assert_reason(ftc_topic_message_check(&reference, text ("{}")), FTC_OK);
	assert_reason(ftc_topic_message_check(&reference, text ("{ }")), FTC_WRONG_DIGEST);
	assert_reason(ftc_topic_message_check(&reference, large), FTC_TOO_LARGE);
	large.len--;
	reference.hash = ftc_sha256(large);
	assert_reason(ftc_topic_message_check(&reference, large), FTC_OK);
	reference.hash = ftc_sha256(text ("\xff"));
	assert_reason(ftc_topic_message_check(&reference, text ("\xff")), FTC_BAD_TEXT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_layout),
		test(test_decode),
		test(test_refused),
		test(test_message),
	};

	return cmocka_run_group_tests_name("topic", tests, NULL, NULL);
}

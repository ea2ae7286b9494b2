/*-------------------------------------------------------------------------
 *
 * test_link.c
 *	  Tests of link.c: messages, the chain of a link, and what its ends do.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "link.h"
#include "mutate.h"
#include "sha256.h"

static FtcMessage
some_message(FtcMessageKind kind)
{
	FtcMessage	message = {0};

	message.kind = (uint8_t) kind;
	message.stream = kind == FTC_MESSAGE_TOPIC ? 0x0304 : FTC_STREAM_LEDGER;
	message.epoch = UINT64_C(0x0102030405060708);
	message.seq = UINT64_C(0x1112131415161718);
	message.reference = text ("reference");
	message.attachment = text ("attached");

	message.id = ftc_message_id(message.kind, message.reference);
	message.digest = ftc_message_digest(message.kind, message.reference);
	return message;
}

static FtcSlice
encoded(const FtcMessage *message)
{
	size_t		len = ftc_message_encode(message, NULL, 0);
	uint8_t    *bytes = keep(len);

	ftc_message_encode(message, bytes, len);
	return ftc_slice(bytes, len);
}

static void
check(const FtcMessage *message, FtcReason expected)
{
	check_reason(&codec_message, encoded(message), expected);
}

/* The table in link.h. */
static void
test_layout(void **state)
{
	FtcMessage	message = some_message(FTC_MESSAGE_STORED);
	FtcSlice	bytes = encoded(&message);

	(void) state;
	assert_int_equal(bytes.len, FTC_MESSAGE_FIXED + 4 + 9 + 4 + 8);
	assert_memory_equal(bytes.data, "\x01\x02\0\0\1\2\3\4\5\6\7\x08", 12);
	assert_memory_equal(bytes.data + 12, "\x11\x12\x13\x14\x15\x16\x17\x18", 8);
	assert_memory_equal(bytes.data + 20, message.id.b, 32);
	assert_memory_equal(bytes.data + 52, message.digest.b, 32);
	assert_memory_equal(bytes.data + 84, "\0\0\0\x09reference\0\0\0\x08" "attached", 25);
}

static void
test_decode(void **state)
{
	FtcMessage	message = some_message(FTC_MESSAGE_BUNDLE);
	FtcMessage	found;

	(void) state;
	assert_reason(ftc_message_decode(&found, encoded(&message)), FTC_OK);
	assert_int_equal(found.kind, message.kind);
	assert_int_equal(found.stream, message.stream);
	assert_int_equal(found.epoch, message.epoch);
	assert_int_equal(found.seq, message.seq);
	assert_hash_equal(&found.id, &message.id);
	assert_hash_equal(&found.digest, &message.digest);
	assert_slice_equal(found.reference, message.reference);
	assert_slice_equal(found.attachment, message.attachment);
}

static void
test_mutations(void **state)
{
	for (int kind = FTC_MESSAGE_BLOCK; kind <= FTC_MESSAGE_KEPT; kind++)
	{
		FtcMessage	message = some_message((FtcMessageKind) kind);
		FtcSlice	bytes = encoded(&message);

		(void) state;
		assert_int_equal(check_lengths(&codec_message, bytes), 0);
		for (size_t len = 0; len < bytes.len; len++)
			check_reason(&codec_message, ftc_slice(bytes.data, len), FTC_BAD_LENGTH);

		/*
		 * id and attachment may be anything here, epoch and seq nearly so,
		 * and the stream of a topic
		 */
		assert_in_range(check_bytes(&codec_message, bytes), (32 + 8 + 14) * 255, (32 + 8 + 16 + 2) * 255);
		for (size_t size = 0; size < bytes.len; size++)
			assert_int_equal(ftc_message_encode(&message, keep(size), size), bytes.len);
	}
}

static void
test_refused(void **state)
{
	FtcMessage	message = some_message(FTC_MESSAGE_BLOCK);
	FtcSlice	bytes = encoded(&message);

	(void) state;
	check_reason(&codec_message, with_byte(bytes, 0, 0), FTC_BAD_VERSION);
	check_reason(&codec_message, with_byte(bytes, 0, 2), FTC_BAD_VERSION);
	check_reason(&codec_message, with_byte(bytes, 1, 0), FTC_BAD_KIND);
	for (int kind = FTC_MESSAGE_KEPT + 1; kind < 256; kind++)
		check_reason(&codec_message, with_byte(bytes, 1, (uint8_t) kind), FTC_BAD_KIND);
	check_reason(&codec_message, with_be(bytes, 2, 1, 2), FTC_WRONG_LINK);
	check_reason(&codec_message, with_be(bytes, 2, 0x100, 2), FTC_WRONG_LINK);
	message = some_message(FTC_MESSAGE_TOPIC);
	check_reason(&codec_message, with_be(encoded(&message), 2, 0, 2), FTC_WRONG_LINK);
	/* the digest is of the kind and the reference */
	check_reason(&codec_message, with_byte(bytes, 1, FTC_MESSAGE_STORED), FTC_WRONG_DIGEST);
	check_reason(&codec_message, with_byte(bytes, 88, 'R'), FTC_WRONG_DIGEST);
	for (size_t at = 52; at < 84; at++)
		check_reason(&codec_message, with_byte(bytes, at, bytes.data[at] ^ 1), FTC_WRONG_DIGEST);
}

static void
test_ranges(void **state)
{
	FtcMessage	message = some_message(FTC_MESSAGE_BLOCK);

	(void) state;
	message.epoch = 0;
	check(&message, FTC_OUT_OF_RANGE);
	message.epoch = INT64_MAX;
	check(&message, FTC_OK);
	message.epoch++;
	check(&message, FTC_OUT_OF_RANGE);
	message.epoch = 1;
	message.seq = 0;
	check(&message, FTC_OUT_OF_RANGE);
	message.seq = INT64_MAX;
	check(&message, FTC_OK);
	message.seq++;
	check(&message, FTC_OUT_OF_RANGE);
	message.seq = 1;
	check(&message, FTC_OK);
}

static void
test_sizes(void **state)
{
	FtcMessage	message = some_message(FTC_MESSAGE_BLOCK);
	size_t		most = FTC_BODY_MAX + (1 << 20);

	(void) state;
	message.reference = filled('r', FTC_REFERENCE_MAX);
	message.digest = ftc_message_digest(message.kind, message.reference);
	check(&message, FTC_OK);
	message.reference = filled('r', FTC_REFERENCE_MAX + 1);
	message.digest = ftc_message_digest(message.kind, message.reference);
	check(&message, FTC_TOO_LARGE);
	message.reference = text ("");

	message.digest = ftc_message_digest(message.kind, message.reference);
	message.attachment = text ("");

	check(&message, FTC_OK);
	message.attachment = filled('a', most + 1);
	message.attachment.len--;
	check(&message, FTC_OK);
	message.attachment.len++;
	check(&message, FTC_TOO_LARGE);
}

/* Ids and digests as link.h writes them down. */
static void
test_message_hashes(void **state)
{
	uint8_t		bytes[FTC_DOMAIN_LEN + 4] = "ftchain message v1";
	FtcHash		found = ftc_message_id(3, text ("ref"));
	FtcHash		expected;

	(void) state;
	memcpy(bytes + FTC_DOMAIN_LEN, "\3ref", 4);
	expected = ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
	assert_hash_equal(&found, &expected);
	found = ftc_message_digest(3, text ("ref"));
	expected = ftc_sha256(text ("\3ref"));
	assert_hash_equal(&found, &expected);
}

static void
test_chain_values(void **state)
{
	uint8_t		bytes[FTC_DOMAIN_LEN + 3 * 32 + 10] = "ftchain link v1";
	FtcHash		genesis = hash_of("genesis", 0);
	FtcHash		sender = hash_of("sender", 0);
	FtcHash		receiver = hash_of("receiver", 0);
	FtcHash		found = ftc_link_start(&genesis, &sender, &receiver, 0x0102, 0x0304);
	FtcHash		expected;

	(void) state;
	memcpy(bytes + 32, genesis.b, 32);
	memcpy(bytes + 64, sender.b, 32);
	memcpy(bytes + 96, receiver.b, 32);
	memcpy(bytes + 128, "\1\2\0\0\0\0\0\0\3\4", 10);
	expected = ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
	assert_hash_equal(&found, &expected);
	found = ftc_link_advance(&genesis, &sender, &receiver);
	expected = ftc_sha256(ftc_slice(bytes + 32, 96));
	assert_hash_equal(&found, &expected);
}

static void
test_account(void **state)
{
	uint8_t		bytes[3 * 32 + 16];
	FtcHash		start = hash_of("start", 0);
	FtcHash		before = hash_of("before", 0);
	FtcHash		after = hash_of("after", 0);
	FtcHash		found = ftc_link_account(&start, 0x0102, 0x0304, &before, &after);
	FtcHash		expected;

	(void) state;
	memcpy(bytes, start.b, 32);
	memcpy(bytes + 32, "\0\0\0\0\0\0\1\2\0\0\0\0\0\0\3\4", 16);
	memcpy(bytes + 48, before.b, 32);
	memcpy(bytes + 80, after.b, 32);
	expected = ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
	assert_hash_equal(&found, &expected);
}

/* Ranges as bytes: count of them, a after a. */
static FtcSlice
ranges(int count, const uint64_t *numbers)
{
	uint8_t    *bytes = keep((size_t) count * 16);
	FtcWriter	writer = ftc_writer(bytes, (size_t) count * 16);

	for (int i = 0; i < 2 * count; i++)
		ftc_put_u64(&writer, numbers[i]);
	return ftc_slice(bytes, writer.len);
}

#define RANGES(...) \
	ranges(lengthof(((uint64_t[]) {__VA_ARGS__})) / 2, (uint64_t[]) {__VA_ARGS__})

static void
test_sacks(void **state)
{
	uint64_t	many[2 * (FTC_SACKS_MAX + 1)];
	FtcAck		ack = {.end.next = 6};

	(void) state;
	for (uint64_t i = 0; i < lengthof(many); i++)
		many[i] = 2 * i + 1;
	check_reason(&codec_sacks, ranges(0, many), FTC_OK);
	check_reason(&codec_sacks, ranges(FTC_SACKS_MAX, many), FTC_OK);
	check_reason(&codec_sacks, ranges(FTC_SACKS_MAX + 1, many), FTC_TOO_MANY);
	check_reason(&codec_sacks, ftc_slice(ranges(1, many).data, 15), FTC_BAD_LENGTH);
	check_reason(&codec_sacks, RANGES(0, 5), FTC_OUT_OF_RANGE);
	check_reason(&codec_sacks, RANGES(5, 4), FTC_OUT_OF_RANGE);
	check_reason(&codec_sacks, RANGES(5, INT64_MAX), FTC_OUT_OF_RANGE);
	check_reason(&codec_sacks, RANGES(5, INT64_MAX - 1), FTC_OK);
	check_reason(&codec_sacks, RANGES(5, 6, 7, 8), FTC_NOT_CANONICAL);
	check_reason(&codec_sacks, RANGES(5, 6, 3, 3), FTC_NOT_CANONICAL);
	check_reason(&codec_sacks, RANGES(5, 6, 8, 8), FTC_OK);
	/* before what it takes next is nothing that it could have beyond */
	assert_reason(ftc_sacks_decode(&ack, RANGES(5, 6)), FTC_OUT_OF_RANGE);
	assert_reason(ftc_sacks_decode(&ack, RANGES(6, 6)), FTC_OK);
	assert_int_equal(ack.n, 1);
}

static void
test_receive(void **state)
{
	FtcLinkEnd	end = {5, 10, {{0}}};
	FtcMessage	message = some_message(FTC_MESSAGE_BLOCK);

	(void) state;
	for (message.epoch = 1; message.epoch <= 9; message.epoch++)
		for (message.seq = 1; message.seq <= 20; message.seq++)
		{
			FtcLinkVerdict expected = message.seq < 10 ? FTC_LINK_DUPLICATE
			: message.seq == 10 ? FTC_LINK_APPLY : FTC_LINK_GAP;

			if (message.epoch < 5)
				expected = FTC_LINK_STALE;
			if (message.epoch > 5)
				expected = message.seq == 1 ? FTC_LINK_NEW_EPOCH : FTC_LINK_GAP;
			assert_int_equal(ftc_link_receive(&end, &message), expected);
		}
}

/* An end that has seen nothing waits for the first of some epoch. */
static void
test_receive_first(void **state)
{
	FtcLinkEnd	end = {0, 1, {{0}}};
	FtcMessage	message = some_message(FTC_MESSAGE_BLOCK);

	(void) state;
	message.seq = 2;
	assert_int_equal(ftc_link_receive(&end, &message), FTC_LINK_GAP);
	message.seq = 1;
	assert_int_equal(ftc_link_receive(&end, &message), FTC_LINK_NEW_EPOCH);
	message.epoch = INT64_MAX;
	assert_int_equal(ftc_link_receive(&end, &message), FTC_LINK_NEW_EPOCH);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_layout),
		test(test_decode),
		test(test_mutations),
		test(test_refused),
		test(test_ranges),
		test(test_sizes),
		test(test_message_hashes),
		test(test_chain_values),
		test(test_account),
		test(test_sacks),
		test(test_receive),
		test(test_receive_first),
	};

	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}

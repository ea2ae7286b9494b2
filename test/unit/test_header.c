/*-------------------------------------------------------------------------
 *
 * test_header.c
 *	  Tests of header.c.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "build.h"
#include "header.h"
#include "merkle.h"
#include "mutate.h"
#include "sha256.h"

/* Every field unlike every other. */
static FtcHeader
some_header(void)
{
	FtcHeader	header = {0};

	header.version = FTC_HEADER_VERSION;
	header.consensus = FTC_CONSENSUS_POW;
	header.height = UINT64_C(0x1112131415161718);
	header.time = UINT64_C(0x0001222324252627);
	header.prev = hash_of("prev", 0);
	header.history = hash_of("history", 0);
	header.body = hash_of("body", 0);
	header.leaves = 0x00031323;
	header.bits = FTC_POW_BITS_DEFAULT;
	header.proposer = hash_of("proposer", 0);
	header.state = hash_of("state", 0);
	header.justify = hash_of("justify", 0);
	header.round = UINT64_C(0x4142434445464748);
	header.nonce = UINT64_C(0xf1f2f3f4f5f6f7f8);
	return header;
}

static FtcHeader
genesis_header(void)
{
	FtcHeader	header = some_header();

	header.height = 0;
	header.prev = ftc_hash_zero;
	header.history = ftc_merkle_empty_root();
	return header;
}

static FtcHeader
voted_header(void)
{
	FtcHeader	header = some_header();

	header.consensus = FTC_CONSENSUS_POS;
	header.bits = 0;
	header.nonce = 0;
	return header;
}

static FtcSlice
encoded(const FtcHeader *header)
{
	uint8_t    *bytes = keep(FTC_HEADER_LEN);

	ftc_header_encode(header, bytes);
	return ftc_slice(bytes, FTC_HEADER_LEN);
}

static void
check(const FtcHeader *header, FtcReason expected)
{
	check_reason(&codec_header, encoded(header), expected);
}

static uint64_t
be_at(FtcSlice bytes, size_t at, int width)
{
	FtcReader	reader = ftc_reader(ftc_slice(bytes.data + at, (size_t) width));

	return ftc_get_be(&reader, width);
}

/* The table in header.h. */
static void
test_layout(void **state)
{
	FtcHeader	header = some_header();
	FtcSlice	bytes = encoded(&header);

	(void) state;
	assert_int_equal(be_at(bytes, 0, 4), 1);
	assert_int_equal(be_at(bytes, 4, 4), FTC_CONSENSUS_POW);
	assert_int_equal(be_at(bytes, 8, 8), header.height);
	assert_int_equal(be_at(bytes, 16, 8), header.time);
	assert_memory_equal(bytes.data + 24, header.prev.b, 32);
	assert_memory_equal(bytes.data + 56, header.history.b, 32);
	assert_memory_equal(bytes.data + 88, header.body.b, 32);
	assert_int_equal(be_at(bytes, 120, 4), header.leaves);
	assert_int_equal(be_at(bytes, 124, 4), header.bits);
	assert_memory_equal(bytes.data + 128, header.proposer.b, 32);
	assert_memory_equal(bytes.data + 160, header.state.b, 32);
	assert_memory_equal(bytes.data + 192, header.justify.b, 32);
	assert_int_equal(be_at(bytes, 224, 8), header.round);
	assert_int_equal(be_at(bytes, 232, 8), header.nonce);
}

/* And back, field by field. */
static void
test_decode(void **state)
{
	FtcHeader	header = some_header();
	FtcHeader	found;

	(void) state;
	assert_reason(ftc_header_decode(&found, encoded(&header)), FTC_OK);
	assert_int_equal(found.version, header.version);
	assert_int_equal(found.consensus, header.consensus);
	assert_int_equal(found.height, header.height);
	assert_int_equal(found.time, header.time);
	assert_hash_equal(&found.prev, &header.prev);
	assert_hash_equal(&found.history, &header.history);
	assert_hash_equal(&found.body, &header.body);
	assert_int_equal(found.leaves, header.leaves);
	assert_int_equal(found.bits, header.bits);
	assert_hash_equal(&found.proposer, &header.proposer);
	assert_hash_equal(&found.state, &header.state);
	assert_hash_equal(&found.justify, &header.justify);
	assert_int_equal(found.round, header.round);
	assert_int_equal(found.nonce, header.nonce);
}

/* The id is the digest of all bytes: each bit changes it. */
static void
test_id(void **state)
{
	FtcHeader	header = some_header();
	FtcSlice	bytes = encoded(&header);
	FtcHash		id = ftc_header_id(&header);
	FtcHash		expected = ftc_sha256(bytes);

	(void) state;
	assert_hash_equal(&id, &expected);
	header.nonce ^= 1;
	expected = ftc_header_id(&header);
	assert_false(ftc_hash_equal(&id, &expected));
}

static void
test_mutations(void **state)
{
	FtcHeader	headers[] = {some_header(), genesis_header(), voted_header()};

	(void) state;
	for (size_t i = 0; i < lengthof(headers); i++)
	{
		FtcSlice	bytes = encoded(&headers[i]);

		assert_int_equal(check_lengths(&codec_header, bytes), 0);
		for (size_t len = 0; len < bytes.len; len++)
			check_reason(&codec_header, ftc_slice(bytes.data, len), FTC_BAD_LENGTH);
		/* hashes may be anything, or nearly */
		assert_true(check_bytes(&codec_header, bytes) > 4 * 32 * 255);
	}
}

static void
test_version(void **state)
{
	FtcHeader	header = some_header();

	(void) state;
	header.version = 0;
	check(&header, FTC_BAD_VERSION);
	header.version = 2;
	check(&header, FTC_BAD_VERSION);
	header.version = 0x01000000;
	check(&header, FTC_BAD_VERSION);
}

static void
test_consensus(void **state)
{
	FtcHeader	header = voted_header();

	(void) state;
	check(&header, FTC_OK);
	header.consensus = FTC_CONSENSUS_DPOS;
	check(&header, FTC_OK);
	header.consensus = 0;
	check(&header, FTC_BAD_KIND);
	header.consensus = FTC_CONSENSUS_DPOS + 1;
	check(&header, FTC_BAD_KIND);
	/* votes need neither bits nor nonce, and so may not have them */
	header = voted_header();
	header.bits = FTC_POW_BITS_DEFAULT;
	check(&header, FTC_NOT_CANONICAL);
	header = voted_header();
	header.nonce = 1;
	check(&header, FTC_NOT_CANONICAL);
}

static void
test_ranges(void **state)
{
	FtcHeader	header = some_header();

	(void) state;
	header.height = INT64_MAX;
	check(&header, FTC_OK);
	header.height++;
	check(&header, FTC_OUT_OF_RANGE);
	header = some_header();
	header.time = FTC_TIME_MAX;
	check(&header, FTC_OK);
	header.time++;
	check(&header, FTC_OUT_OF_RANGE);
	header = some_header();
	header.round = INT64_MAX;
	check(&header, FTC_OK);
	header.round++;
	check(&header, FTC_OUT_OF_RANGE);
	header = some_header();
	header.leaves = FTC_LEAVES_MAX;
	check(&header, FTC_OK);
	header.leaves++;
	check(&header, FTC_TOO_MANY);
	/* numbers without bounds */
	header = some_header();
	header.nonce = UINT64_MAX;
	check(&header, FTC_OK);
	header.time = 0;
	check(&header, FTC_OK);
}

static void
test_genesis(void **state)
{
	FtcHeader	header = genesis_header();

	(void) state;
	check(&header, FTC_OK);
	header.prev.b[31] = 1;
	check(&header, FTC_NOT_CANONICAL);
	header = genesis_header();
	header.history = hash_of("history", 0);
	check(&header, FTC_NOT_CANONICAL);
	header = genesis_header();
	header.history = ftc_hash_zero;
	check(&header, FTC_NOT_CANONICAL);
	header = genesis_header();
	header.height = 1;
	check(&header, FTC_NOT_CANONICAL);
	/* later blocks have a parent, and some history */
	header = some_header();
	header.height = 1;
	check(&header, FTC_OK);
	header.prev = ftc_hash_zero;
	check(&header, FTC_NOT_CANONICAL);
	header = some_header();
	header.history = ftc_merkle_empty_root();
	check(&header, FTC_NOT_CANONICAL);
}

static void
test_empty_body(void **state)
{
	FtcHeader	header = some_header();

	(void) state;
	header.leaves = 0;
	check(&header, FTC_NOT_CANONICAL);
	header.body = ftc_merkle_empty_root();
	check(&header, FTC_OK);
	header.leaves = 1;
	check(&header, FTC_NOT_CANONICAL);
}

static void
test_bits(void **state)
{
	FtcHeader	header = some_header();

	(void) state;
	header.bits = 0;
	check(&header, FTC_OUT_OF_RANGE);
	header.bits = 0x1e800001;
	check(&header, FTC_OUT_OF_RANGE);
	header.bits = 0xff123456;
	check(&header, FTC_OUT_OF_RANGE);
	header.bits = 0x1f000fff;
	check(&header, FTC_NOT_CANONICAL);
	header.bits = 0x1e0fffff;
	check(&header, FTC_OK);
	header.bits = 0x01123456;
	check(&header, FTC_NOT_CANONICAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_layout),
		test(test_decode),
		test(test_id),
		test(test_mutations),
		test(test_version),
		test(test_consensus),
		test(test_ranges),
		test(test_genesis),
		test(test_empty_body),
		test(test_bits),
	};

	return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}

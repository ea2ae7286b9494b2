/*-------------------------------------------------------------------------
 *
 * test_entry.c
 *	  Tests of entry.c.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "build.h"
#include "entry.h"
#include "merkle.h"
#include "mutate.h"
#include "sha256.h"

static FtcEntry
some_entry(void)
{
	TestPerson	origin = person(1);
	FtcEntry	entry = entry_of(&origin, UINT64_C(0x0102030405060708));

	entry.incarnation = UINT64_C(0x1112131415161718);
	entry.time = UINT64_C(0x0001222324252627);
	entry.author = text ("\xc3\xa4lice");
	entry.kind = text ("note");

	return entry;
}

static FtcSlice
encoded(const FtcEntry *entry)
{
	uint8_t		bytes[FTC_ENTRY_LEAF_MAX];
	size_t		len = ftc_entry_leaf_encode(entry, bytes);

	return keep_copy(ftc_slice(bytes, len));
}

/* The same verdict on the entry and, as long as it fits, on its leaf. */
static void
check(const FtcEntry *entry, FtcReason expected)
{
	assert_reason(ftc_entry_check(entry), expected);
	check_reason(&codec_entry, encoded(entry), expected);
}

/* The table in entry.h. */
static void
test_layout(void **state)
{
	FtcEntry	entry = some_entry();
	FtcSlice	bytes = encoded(&entry);

	(void) state;
	assert_int_equal(bytes.len, 90 + 1 + 6 + 1 + 4);
	assert_memory_equal(bytes.data, "\x01\x01", 2);
	assert_memory_equal(bytes.data + 2, entry.origin.b, 32);
	assert_memory_equal(bytes.data + 34, "\x11\x12\x13\x14\x15\x16\x17\x18", 8);
	assert_memory_equal(bytes.data + 42, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	assert_memory_equal(bytes.data + 50, "\x00\x01\x22\x23\x24\x25\x26\x27", 8);
	assert_memory_equal(bytes.data + 58, entry.payload_hash.b, 32);
	assert_memory_equal(bytes.data + 90, "\x06\xc3\xa4lice\x04note", 12);
}

static void
test_payload_hash(void **state)
{
	FtcHash		found = ftc_payload_hash(text ("0123456789abcdef"), text ("payload"));
	FtcHash		expected = ftc_sha256(text ("0123456789abcdefpayload"));

	(void) state;
	assert_hash_equal(&found, &expected);
	found = ftc_payload_hash(text ("0123456789abcdef"), ftc_slice(NULL, 0));
	expected = ftc_sha256(text ("0123456789abcdef"));
	assert_hash_equal(&found, &expected);
}

static void
test_leaf_hash(void **state)
{
	FtcEntry	entry = some_entry();
	FtcHash		found = ftc_entry_leaf_hash(&entry);
	FtcHash		expected = ftc_merkle_leaf(encoded(&entry));

	(void) state;
	assert_hash_equal(&found, &expected);
	/* erasing changes nothing of it */
	entry.erased = true;
	entry.salt = entry.payload = ftc_slice(NULL, 0);
	found = ftc_entry_leaf_hash(&entry);
	assert_hash_equal(&found, &expected);
}

static void
test_decode(void **state)
{
	FtcEntry	entry = some_entry();
	FtcEntry	found;

	(void) state;
	memset(&found, 0xaa, sizeof(found));
	assert_reason(ftc_entry_leaf_decode(&found, encoded(&entry)), FTC_OK);
	assert_hash_equal(&found.origin, &entry.origin);
	assert_int_equal(found.incarnation, entry.incarnation);
	assert_int_equal(found.seq, entry.seq);
	assert_int_equal(found.time, entry.time);
	assert_hash_equal(&found.payload_hash, &entry.payload_hash);
	assert_slice_equal(found.author, entry.author);
	assert_slice_equal(found.kind, entry.kind);
	assert_true(found.erased);
	assert_int_equal(found.salt.len, 0);
	assert_int_equal(found.payload.len, 0);
}

static void
test_mutations(void **state)
{
	FtcEntry	entry = some_entry();
	FtcSlice	bytes = encoded(&entry);

	(void) state;
	assert_int_equal(check_lengths(&codec_entry, bytes), 0);
	for (size_t len = 0; len < bytes.len; len++)
		check_reason(&codec_entry, ftc_slice(bytes.data, len), FTC_BAD_LENGTH);
	assert_true(check_bytes(&codec_entry, bytes) > 64 * 255);
	entry.author = entry.kind = text ("");

	bytes = encoded(&entry);
	assert_int_equal(bytes.len, 92);
	assert_int_equal(check_lengths(&codec_entry, bytes), 0);
}

static void
test_kind(void **state)
{
	FtcEntry	entry = some_entry();
	FtcSlice	bytes = encoded(&entry);

	(void) state;
	check_reason(&codec_entry, with_byte(bytes, 0, 0), FTC_BAD_VERSION);
	check_reason(&codec_entry, with_byte(bytes, 0, 2), FTC_BAD_VERSION);
	for (int class = 0; class < 256; class++)
		if (class != FTC_LEAF_ENTRY)
			check_reason(&codec_entry, with_byte(bytes, 1, (uint8_t) class), FTC_BAD_KIND);
}

static void
test_ranges(void **state)
{
	FtcEntry	entry = some_entry();

	(void) state;
	check(&entry, FTC_OK);
	entry.incarnation = 0;
	check(&entry, FTC_OUT_OF_RANGE);
	entry.incarnation = INT64_MAX;
	check(&entry, FTC_OK);
	entry.incarnation++;
	check(&entry, FTC_OUT_OF_RANGE);
	entry.incarnation = 1;
	entry.seq = 0;
	check(&entry, FTC_OUT_OF_RANGE);
	entry.seq = INT64_MAX;
	check(&entry, FTC_OK);
	entry.seq++;
	check(&entry, FTC_OUT_OF_RANGE);
	entry.seq = 1;
	entry.time = FTC_TIME_MAX;
	check(&entry, FTC_OK);
	entry.time++;
	check(&entry, FTC_OUT_OF_RANGE);
	entry.time = 0;
	check(&entry, FTC_OK);
}

/* What cannot be a leaf has the hash of none, and no byte beyond it is read. */
static void
check_no_leaf(const FtcEntry *entry)
{
	FtcHash		none = ftc_merkle_leaf(ftc_slice(NULL, 0));
	FtcHash		hash = ftc_entry_leaf_hash(entry);

	assert_reason(ftc_entry_check(entry), FTC_TOO_LARGE);
	assert_int_equal(encoded(entry).len, 0);
	assert_hash_equal(&hash, &none);
}

/* The length is the one byte it has, so that the leaf never lies. */
static void
test_name_lengths(void **state)
{
	FtcEntry	entry = some_entry();
	FtcSlice	bytes;

	(void) state;
	entry.author = entry.kind = filled('n', FTC_NAME_MAX);
	check(&entry, FTC_OK);
	bytes = encoded(&entry);
	assert_int_equal(bytes.len, FTC_ENTRY_LEAF_MAX);
	for (size_t len = FTC_NAME_MAX + 1; len < 2000; len++)
	{
		entry.author = filled('n', len);
		entry.kind = filled('n', 1);
		check_no_leaf(&entry);
		entry.author = filled('n', 1);
		entry.kind = filled('n', len);
		check_no_leaf(&entry);
		keep_free();
	}
}

static void
test_text(void **state)
{
	FtcEntry	entry = some_entry();

	(void) state;
	entry.author = text ("a\xff");

	check(&entry, FTC_BAD_TEXT);
	entry.author = ftc_slice("a\0b", 3);
	check(&entry, FTC_BAD_TEXT);
	entry.author = text ("");

	check(&entry, FTC_OK);
	entry.kind = text ("\xed\xa0\x80");

	check(&entry, FTC_BAD_TEXT);
	entry.kind = text ("");

	check(&entry, FTC_OK);
	/* a character cut by the limit is none */
	entry.kind = filled('n', FTC_NAME_MAX);
	((uint8_t *) entry.kind.data)[FTC_NAME_MAX - 1] = 0xc3;
	check(&entry, FTC_BAD_TEXT);
}

/* What a leaf does not show. */
static void
test_payload(void **state)
{
	FtcEntry	entry = some_entry();

	(void) state;
	entry.salt = filled('s', FTC_SALT_LEN - 1);
	assert_reason(ftc_entry_check(&entry), FTC_BAD_LENGTH);
	entry.salt = filled('s', FTC_SALT_LEN + 1);
	assert_reason(ftc_entry_check(&entry), FTC_BAD_LENGTH);
	entry.salt = filled('\0', FTC_SALT_LEN);
	entry.payload = text ("");

	assert_reason(ftc_entry_check(&entry), FTC_OK);
	entry.payload = text ("\x80");

	assert_reason(ftc_entry_check(&entry), FTC_BAD_TEXT);
	entry.payload = filled('\0', 1);
	assert_reason(ftc_entry_check(&entry), FTC_BAD_TEXT);
	entry.payload = filled('p', FTC_PAYLOAD_MAX);
	assert_reason(ftc_entry_check(&entry), FTC_OK);
	entry.payload = filled('p', FTC_PAYLOAD_MAX + 1);
	assert_reason(ftc_entry_check(&entry), FTC_TOO_LARGE);
	/* once erased, it does not matter */
	entry.erased = true;
	assert_reason(ftc_entry_check(&entry), FTC_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_layout),
		test(test_payload_hash),
		test(test_leaf_hash),
		test(test_decode),
		test(test_mutations),
		test(test_kind),
		test(test_ranges),
		test(test_name_lengths),
		test(test_text),
		test(test_payload),
	};

	return cmocka_run_group_tests_name("entry", tests, NULL, NULL);
}

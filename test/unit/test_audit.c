/*-------------------------------------------------------------------------
 *
 * test_audit.c
 *	  Tests of the verifier of files: audit.c, source.c, seen.c.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>

#include "audit.h"
#include "file_build.h"
#include "mutate.h"
#include "seen.h"
#include "source.h"

/* What an audit said. */
typedef struct Said
{
	int			faults;
	char		first[256];		/* height, what */
	char		all[4096];
	FtcAuditCounts counts;
	bool		has_head;
	FtcHash		head;
	uint64_t	from;
	uint64_t	to;
	bool		given;
} Said;

static void
hear(void *arg, const FtcAuditFault *f)
{
	Said	   *said = arg;
	char		line[256];
	int			n = f->has_height ? snprintf(line, sizeof(line), "%d %s", (int) f->height, f->what)
	: snprintf(line, sizeof(line), "- %s", f->what);

	if (f->entry != NULL)
		snprintf(line + n, sizeof(line) - (size_t) n, " %s", strchr(f->entry, '/'));
	if (said->faults++ == 0)
		strcpy(said->first, line);
	if (strlen(said->all) + strlen(line) + 2 < sizeof(said->all))
		strcat(strcat(said->all, line), "\n");
}

static void
feed(FtcAudit *audit, FtcSlice bytes)
{
	FILE	   *in = fmemopen((void *) bytes.data, bytes.len, "rb");
	FtcSource	source;
	FtcSourceResult result;
	uint8_t		kind;
	FtcSlice	content;

	assert_non_null(in);
	ftc_source_open(&source, in);
	while ((result = ftc_source_next(&source, &kind, &content)) == FTC_SOURCE_RECORD)
		ftc_audit_record(audit, kind, content);
	if (result == FTC_SOURCE_BROKEN)
		ftc_audit_broken(audit, source.why);
	ftc_audit_end(audit);
	ftc_source_close(&source);
	fclose(in);
}

/* Two files, of which the second may be empty. */
static Said
audit_two(FtcSlice one, FtcSlice two, const FtcHash *genesis)
{
	Said		said = {0};
	FtcAudit   *audit = ftc_audit_new(genesis, hear, &said);
	const FtcHash *head;

	feed(audit, one);
	if (two.len > 0)
		feed(audit, two);
	said.counts = *ftc_audit_counts(audit);
	assert_int_equal(said.counts.faults, said.faults);
	head = ftc_audit_head(audit, &said.from, &said.to, &said.given);
	said.has_head = head != NULL;
	if (said.has_head)
		said.head = *head;
	ftc_audit_free(audit);
	return said;
}

static Said
audit(FtcSlice bytes)
{
	return audit_two(bytes, ftc_slice(NULL, 0), NULL);
}

static void
check_first(FtcSlice bytes, const char *first)
{
	Said		said = audit(bytes);

	assert_string_equal(said.first, first);
}

static void
test_whole(void **state)
{
	TestFile   *file = file_whole();
	Said		said = audit_two(file_all(file), ftc_slice(NULL, 0), &file->genesis);

	(void) state;
	assert_string_equal(said.all, "");
	assert_true(said.has_head && !said.given);
	assert_hash_equal(&said.head, &file->head);
	assert_int_equal(said.from, 0);
	assert_int_equal(said.to, 5);
	assert_int_equal(said.counts.blocks, 6);
	assert_int_equal(said.counts.unchecked, 0);
	assert_int_equal(said.counts.controls, 7);
	assert_int_equal(said.counts.bundles, 5);
	assert_int_equal(said.counts.entries, 12);
	assert_int_equal(said.counts.erased, 1);
	assert_int_equal(said.counts.statements, 8);
	assert_int_equal(said.counts.bodies, 3);
	assert_int_equal(said.counts.not_held, 1);
}

/* The second part by itself, after the first, and where it does not follow. */
static void
test_parts(void **state)
{
	TestFile   *whole = file_whole();
	TestFile   *part = file_part();
	Said		said = audit(file_all(part));

	(void) state;
	assert_string_equal(said.all, "");
	assert_true(said.given);
	assert_int_equal(said.from, 4);
	assert_hash_equal(&said.head, &whole->head);

	said = audit_two(file_all(file_start()), file_all(part), NULL);
	assert_string_equal(said.all, "");
	assert_true(!said.given);
	assert_hash_equal(&said.head, &whole->head);
	assert_int_equal(said.from, 0);
	assert_int_equal(said.counts.blocks, 6);
	assert_int_equal(said.counts.bundles, 5);

	said = audit_two(file_all(whole), file_all(part), NULL);
	assert_string_equal(said.all, "");
	assert_true(said.given);
}

/* What a part says of the time before it is compared with what is known. */
static void
test_base(void **state)
{
	TestFile   *part = file_part();
	FtcSlice	begin = part->pieces[0];
	TestFile	changed = *part;
	TestRandom	random = random_from(3);

	(void) state;
	for (int i = 0; i < 200; i++)
	{
		size_t		at = FTC_FILE_FRAME_LEN + random_below(&random, begin.len - FTC_FILE_FRAME_LEN);

		changed.pieces[0] = with_byte(begin, at, begin.data[at] ^ (uint8_t) (1 << random_below(&random, 8)));
		assert_true(audit_two(file_all(file_start()), file_all(&changed), NULL).faults > 0);
		assert_true(audit(file_all(&changed)).faults > 0);
	}
}

static FtcSlice
joined(FtcSlice a, FtcSlice b)
{
	FtcWriter	writer = ftc_writer(keep(a.len + b.len), a.len + b.len);

	ftc_put_slice(&writer, a);
	ftc_put_slice(&writer, b);
	return ftc_slice(writer.buf, writer.len);
}

/* In another order, twice, not at all: block n is piece n + 1. */
static void
test_order(void **state)
{
	TestFile   *file = file_whole();
	FtcHash		other = hash_of("other", 1);
	TestFile	changed = *file;
	Said		said;

	(void) state;
	changed.pieces[3] = file->pieces[4];
	changed.pieces[4] = file->pieces[3];
	check_first(file_all(&changed), "2 blocks missing");
	changed = *file;
	changed.pieces[4] = file->pieces[3];
	check_first(file_all(&changed), "3 block out of order");
	check_first(joined(file_join(file, 0, 4), file_join(file, 5, file->n)), "3 blocks missing");
	check_first(joined(file_join(file, 0, 4), file_join(file, 3, file->n)), "3 block out of order");
	check_first(file_join(file, 0, file->n - 1), "6 file ends early");
	check_first(file_join(file, 0, 3), "2 file ends early");
	check_first(file_join(file, 1, file->n), "- record outside of a file");
	check_first(ftc_slice(file->pieces[0].data, 0), "- file is empty");
	check_first(joined(file_join(file, 0, 3), file_all(file)), "2 file not ended");
	said = audit_two(file_all(file), file_all(file), NULL);
	assert_int_equal(said.faults, 0);
	said = audit_two(file_all(file), ftc_slice(NULL, 0), &other);
	assert_string_equal(said.all, "- another chain\n");
}

/* Whoever has the keys can sign it; the branch says that it is wrong. */
static void
test_forged(void **state)
{
	(void) state;
	check_first(file_all(file_forged(TEST_SOUND)), "");
	check_first(file_all(file_forged(TEST_BUNDLE_SKIPPED)), "4 bundle out of order");
	check_first(file_all(file_forged(TEST_SEQ_TWICE)), "4 entry twice");
	check_first(file_all(file_forged(TEST_CONTROL_TWICE)), "4 control");
}

/* Every byte less is noticed. */
static void
test_truncated(void **state)
{
	TestFile   *file = file_whole();
	FtcSlice	bytes = file_all(file);
	size_t		last = bytes.len - file->pieces[file->n - 1].len;

	(void) state;
	for (size_t len = 1; len < bytes.len; len += len < last - 200 ? 97 : 1)
		assert_true(audit(ftc_slice(bytes.data, len)).faults > 0);
}

/* One bit at a time, anywhere: it is noticed, and the block named, or the frame. */
static void
test_bits(void **state)
{
	TestFile   *file = file_whole();
	FtcSlice	bytes = file_all(file);
	TestRandom	random = random_from(1);
	size_t		at = 0;

	(void) state;
	for (uint32_t piece = 0; piece < file->n; piece++)
	{
		uint64_t	block = piece == 0 ? 0 : piece - 1;

		for (int i = 0; i < 60; i++)
		{
			size_t		offset = at + random_below(&random, file->pieces[piece].len);
			uint8_t		bit = (uint8_t) (1 << random_below(&random, 8));
			FtcSlice	changed = with_byte(bytes, offset, bytes.data[offset] ^ bit);
			Said		said = audit(changed);
			char		named[8];

			if (said.faults == 0)
				fail_msg("byte %zu, in piece %u: not noticed", offset, piece);
			snprintf(named, sizeof(named), "%d ", (int) block);
			if (piece > 0 && piece < file->n - 1 && strstr(said.all, named) == NULL)
				fail_msg("byte %zu: block %d is not named, but\n%s", offset, (int) block, said.all);
		}
		at += file->pieces[piece].len;
	}
}

/* Where it is in the piece of a block, and what it is called. */
static void
test_names(void **state)
{
	TestFile   *file = file_whole();
	TestFile	changed = *file;
	FtcSlice	piece = file->pieces[2];	/* block 1 */
	size_t		statements = FTC_FILE_FRAME_LEN + 8 + 32 + 4 + 4;
	size_t		marks = statements + 2 * FTC_STATEMENT_LEN + 4;
	size_t		block = marks + 4 * FTC_MARK_LEN + 4;
	FtcFileBlock record;

	(void) state;
	assert_reason(ftc_file_block_decode(&record, ftc_slice(piece.data + FTC_FILE_FRAME_LEN,
														   piece.len - FTC_FILE_FRAME_LEN)), FTC_OK);
	assert_ptr_equal(record.marks.data, piece.data + marks);
	assert_ptr_equal(record.block.header.data, piece.data + block + 4);

	changed.pieces[2] = with_byte(piece, statements + 40, piece.data[statements + 40] ^ 1);
	check_first(file_all(&changed), "1 statement changed");
	changed.pieces[2] = with_byte(piece, marks + 4, piece.data[marks + 4] ^ 1);
	check_first(file_all(&changed), "1 mark of an entry changed /1/2");
	changed.pieces[2] = with_byte(piece, block + 4 + 30, piece.data[block + 4 + 30] ^ 1);
	check_first(file_all(&changed), "1 header changed");
	changed.pieces[2] = with_byte(piece, block + 4 + 240, piece.data[block + 4 + 240] ^ 1);
	check_first(file_all(&changed), "1 signature");
	/* the last byte of the last payload */
	changed.pieces[2] = with_byte(piece, piece.len - 1, ' ');
	check_first(file_all(&changed), "1 entry changed /1/7");
	changed.pieces[2] = with_byte(piece, piece.len - 1, 0xff);
	check_first(file_all(&changed), "1 entry changed /1/7");
}

/* The same in COPY's format. */
static void
test_copy(void **state)
{
	TestFile   *file = file_whole();
	FtcSlice	bytes = file_all(file);
	size_t		size = bytes.len + FTC_COPY_HEADER_LEN + FTC_COPY_FIELD_LEN * (size_t) file->n + 2;
	FtcWriter	writer = ftc_writer(keep(size), size);
	FtcSlice	copy;

	(void) state;
	ftc_put_bytes(&writer, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", FTC_COPY_HEADER_LEN);
	for (uint32_t i = 0; i < file->n; i++)
	{
		ftc_put_u16(&writer, 1);
		ftc_put_blob(&writer, file->pieces[i]);
	}
	ftc_put_u16(&writer, 0xffff);
	copy = ftc_slice(writer.buf, writer.len);
	assert_string_equal(audit(copy).all, "");
	for (size_t i = 0; i < FTC_COPY_HEADER_LEN + FTC_COPY_FIELD_LEN; i++)
		assert_true(audit(with_byte(copy, i, copy.data[i] ^ 1)).faults > 0);
	for (size_t i = 1; i <= 3; i++)
		assert_true(audit(ftc_slice(copy.data, copy.len - i)).faults > 0);
	assert_true(audit(joined(copy, text ("x"))).faults > 0);
}

/* Ranges against a list of what is in them. */
static void
test_seqs(void **state)
{
	TestRandom	random = random_from(2);

	(void) state;
	for (int round = 0; round < 200; round++)
	{
		FtcSeenOrigins seen = {0};
		bool		there[200] = {false};
		FtcBundle	bundle = {.nranges = 1};
		FtcSeenOrigin *origin = ftc_seen_origin(&seen, &bundle);

		for (int i = 0; i < 40; i++)
		{
			FtcRange	range;
			uint8_t		bytes[16];
			bool		fresh = true;

			range.first = 1 + random_below(&random, 180);
			range.last = range.first + random_below(&random, 6);
			for (uint64_t seq = range.first; seq <= range.last; seq++)
				fresh &= !there[seq];
			/* what overlaps ends a chain: what is kept of it does not matter */
			if (!fresh && i < 39)
				continue;
			ftc_range_encode(range, bytes);
			bundle.ranges = ftc_slice(bytes, 16);
			assert_int_equal(ftc_seen_seqs(origin, &bundle), fresh);
			for (uint64_t seq = range.first; seq <= range.last; seq++)
				there[seq] = true;
		}
		for (size_t i = 1; i < origin->n; i++)
			assert_true(origin->ranges[i].first > origin->ranges[i - 1].last);
		ftc_seen_forget(&seen);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_whole),
		test(test_parts),
		test(test_base),
		test(test_order),
		test(test_forged),
		test(test_truncated),
		test(test_bits),
		test(test_names),
		test(test_copy),
		test(test_seqs),
	};

	return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}

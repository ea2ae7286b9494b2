/*-------------------------------------------------------------------------
 *
 * test_golden.c
 *	  Nobody changes the bytes of a format unnoticed.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "build.h"
#include "golden.h"
#include "link.h"
#include "mutate.h"
#include "sha256.h"

static void
compare_line(void *arg, const char *name, const TestCodec *codec, FtcSlice bytes)
{
	TestLines  *lines = arg;

	(void) codec;
	if (!lines_next(lines))
		fail_msg("%s is missing", name);
	assert_int_equal(lines->nfields, 2);
	assert_string_equal(lines->field[0], name);
	if (!slice_equal(unhex(lines->field[1]), bytes))
		fail_msg("%s: the bytes have changed", name);
}

static void
test_bytes(void **state)
{
	TestLines	lines = lines_open(GOLDEN_FILE);

	(void) state;
	golden_each(compare_line, &lines);
	assert_false(lines_next(&lines));
	lines_close(&lines);
}

/* The bytes of a sample, from the file. */
static FtcSlice
sample(const char *name)
{
	TestLines	lines = lines_open(GOLDEN_FILE);
	FtcSlice	bytes = {0};
	bool		found = false;

	while (!found && lines_next(&lines))
	{
		found = strcmp(lines.field[0], name) == 0;
		if (found)
			bytes = unhex(lines.field[1]);
	}
	lines_close(&lines);
	if (!found)
		fail_msg("%s is missing", name);
	return bytes;
}

static void
check_decoded(void *arg, const char *name, const TestCodec *codec, FtcSlice bytes)
{
	int		   *n = arg;

	(void) bytes;
	if (codec == NULL)
		return;
	check_accepted(codec, sample(name));
	/* of lists the shorter ones are right, too */
	assert_int_equal(check_lengths(codec, sample(name)),
					 strcmp(name, "state") == 0 ? 5 : strcmp(name, "sacks") == 0 ? 2 : strcmp(name, "ranges") == 0 ? 3 : 0);
	(*n)++;
}

/* What is in the file is still understood, and nothing shorter is. */
static void
test_decoded(void **state)
{
	int			n = 0;

	(void) state;
	golden_each(check_decoded, &n);
	assert_int_equal(n, 54);
}

/* SHA-256 of a prefix and a sample is another sample. */
static void
check_hash(const char *name, FtcSlice prefix, const char *of)
{
	FtcSlice	bytes = sample(of);
	FtcSha256	sha;
	FtcHash		hash;

	ftc_sha256_init(&sha);
	ftc_sha256_update(&sha, prefix.data, prefix.len);
	ftc_sha256_update(&sha, bytes.data, bytes.len);
	hash = ftc_sha256_final(&sha);
	assert_slice_equal(of_hash(&hash), sample(name));
}

static void
test_hashes(void **state)
{
	(void) state;
	check_hash("header_id", text (""), "header");
	check_hash("header_genesis_id", text (""), "header_genesis");
	check_hash("entry_leaf_hash", ftc_slice("\0", 1), "entry_leaf");
	check_hash("bundle_digest", text (""), "bundle_leaf");
}

/* The samples fit together as they would on a chain. */
static void
test_together(void **state)
{
	FtcSlice	id = sample("header_id");
	FtcSlice	genesis = sample("header_genesis_id");
	FtcSlice	digest = sample("bundle_digest");
	FtcSlice	body = sample("body_full");
	FtcSlice	skeleton = sample("body_skeleton");
	FtcSlice	root = sample("body_root");
	FtcSlice	signature = sample("header_signature");
	TestPerson	proposer = person(1);
	FtcHeader	header;
	FtcBundle	bundle;

	(void) state;
	assert_reason(ftc_header_decode(&header, sample("header")), FTC_OK);
	assert_slice_equal(of_hash(&header.body), root);
	assert_slice_equal(of_hash(&header.state), sample("state_root"));
	assert_slice_equal(of_hash(&header.prev), genesis);
	assert_slice_equal(of_hash(&header.proposer), of_hash(&proposer.id));
	assert_reason(ftc_verify(&proposer.key, FTC_DOMAIN_BLOCK, (const FtcHash *) genesis.data,
							 (const FtcHash *) id.data, (const FtcSignature *) signature.data),
				  FTC_OK);
	assert_reason(ftc_body_check(body, &header.body, header.leaves, NULL), FTC_OK);
	assert_reason(ftc_body_check(skeleton, &header.body, header.leaves, NULL), FTC_OK);
	assert_reason(ftc_bundle_leaf_decode(&bundle, sample("bundle_leaf")), FTC_OK);
	signature = sample("bundle_signature");
	proposer = person(0);
	if (!ftc_hash_equal(&bundle.origin, &proposer.id))
		proposer = person(1);
	assert_reason(ftc_verify(&proposer.key, FTC_DOMAIN_BUNDLE, (const FtcHash *) genesis.data,
							 (const FtcHash *) digest.data,
							 (const FtcSignature *) signature.data), FTC_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_bytes),
		test(test_decoded),
		test(test_hashes),
		test(test_together),
	};

	return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}

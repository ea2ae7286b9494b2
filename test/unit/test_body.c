/*-------------------------------------------------------------------------
 *
 * test_body.c
 *	  Tests of body.c (manifests, their proofs, bodies) and block.c.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "block.h"
#include "body.h"
#include "build.h"
#include "mutate.h"

static FtcHash chain;

static int
choose_chain(void **state)
{
	(void) state;
	chain = hash_of("chain", 0);
	return 0;
}

/* A body of so many controls, and bundles with so many entries each. */
static TestBody *
body_of(uint32_t ncontrols, uint32_t nbundles, uint32_t nentries)
{
	static const uint64_t seqs[] = {1, 2, 4, 7, 8, 9, 20, 30, 31, 40};
	TestPerson	origin = person(1);
	TestBody   *body = body_new();

	for (uint32_t i = 0; i < ncontrols; i++)
	{
		FtcControl	control = control_of(FTC_CONTROL_PRUNE, i);

		body_add_control(body, control_leaf(&control, NULL, 0, NULL));
	}
	for (uint32_t i = 0; i < nbundles; i++)
		body_add_bundle(body, &origin, i + 1, seqs, nentries, &chain);
	body_finish(body);
	return body;
}

static FtcReason
verify(const TestBody *body, FtcSlice proof, const FtcHash *root, uint32_t leaves)
{
	FtcManifest manifest = manifest_of(body->manifest);

	return ftc_manifest_verify(&manifest, proof, root, leaves);
}

static FtcSlice
joined(FtcSlice a, FtcSlice b)
{
	uint8_t    *bytes = keep(a.len + b.len);

	if (a.len > 0)
		memcpy(bytes, a.data, a.len);
	if (b.len > 0)
		memcpy(bytes + a.len, b.data, b.len);
	return ftc_slice(bytes, a.len + b.len);
}


/* ---- manifests */

static void
test_manifest_layout(void **state)
{
	TestBody   *body = body_sample(&chain);
	FtcReader	reader = ftc_reader(body->manifest);

	(void) state;
	assert_int_equal(ftc_get_u32(&reader), 0x01000000);
	assert_int_equal(ftc_get_u32(&reader), 2);
	assert_int_equal(ftc_get_u32(&reader), 3);
	for (int i = 0; i < 2; i++)
		assert_slice_equal(ftc_get_blob(&reader), body->controls[i]);
	for (int i = 0; i < 3; i++)
	{
		assert_slice_equal(ftc_get_blob(&reader), body->bundles[i].signed_leaf.leaf);
		assert_memory_equal(ftc_get_slice(&reader, 64).data,
							body->bundles[i].signed_leaf.signature.b, 64);
	}
	assert_true(ftc_reader_is_done(&reader));
}

static void
test_manifest_decode(void **state)
{
	TestBody   *body = body_sample(&chain);
	FtcManifest manifest = manifest_of(body->manifest);
	FtcReader	at = manifest.controls;
	FtcControl	control;
	FtcBundle	bundle;
	FtcSignature signature;

	(void) state;
	assert_int_equal(manifest.ncontrols, 2);
	assert_int_equal(manifest.nbundles, 3);
	assert_int_equal(manifest.entries, 15);
	assert_slice_equal(manifest.bytes, body->manifest);
	assert_slice_equal(ftc_manifest_next_control(&at, &control), body->controls[0]);
	assert_int_equal(control.kind, FTC_CONTROL_PRUNE);
	assert_slice_equal(ftc_manifest_next_control(&at, &control), body->controls[1]);
	assert_int_equal(control.kind, FTC_CONTROL_ERASE);
	at = manifest.bundles;
	for (int i = 0; i < 3; i++)
	{
		assert_slice_equal(ftc_manifest_next_bundle(&at, &bundle, &signature),
						   body->bundles[i].signed_leaf.leaf);
		assert_int_equal(bundle.count, body->bundles[i].head.count);
		assert_memory_equal(signature.b, body->bundles[i].signed_leaf.signature.b, 64);
	}
	assert_true(ftc_reader_is_done(&at));
}

static void
test_manifest_leaves(void **state)
{
	TestBody   *body = body_sample(&chain);
	FtcManifest manifest = manifest_of(body->manifest);
	FtcFrontier tree;
	FtcHash		found;
	FtcHash		expected = ftc_merkle_root(body->leaves, 5);

	(void) state;
	ftc_frontier_init(&tree);
	ftc_manifest_leaves(&manifest, &tree);
	found = ftc_frontier_root(&tree);
	assert_int_equal(tree.size, 5);
	assert_hash_equal(&found, &expected);
}

static void
test_manifest_mutations(void **state)
{
	FtcSlice	bytes = body_of(2, 2, 3)->manifest;
	FtcSlice	empty = body_of(0, 0, 0)->manifest;

	(void) state;
	assert_int_equal(check_lengths(&codec_manifest, bytes), 0);
	for (size_t len = 0; len < bytes.len; len++)
		check_reason(&codec_manifest, ftc_slice(bytes.data, len), FTC_BAD_LENGTH);
	assert_true(check_bytes(&codec_manifest, bytes) > 2 * 64 * 255);
	assert_int_equal(empty.len, 12);
	assert_int_equal(check_lengths(&codec_manifest, empty), 0);
	assert_int_equal(check_bytes(&codec_manifest, empty), 0);
}

static void
test_manifest_encode_size(void **state)
{
	TestBody   *body = body_sample(&chain);
	FtcSignedLeaf bundles[3];

	(void) state;
	for (int i = 0; i < 3; i++)
		bundles[i] = body->bundles[i].signed_leaf;
	for (size_t size = 0; size < body->manifest.len; size += 7)
		assert_int_equal(ftc_manifest_encode(body->controls, 2, bundles, 3, keep(size), size),
						 body->manifest.len);
}

static void
test_manifest_head(void **state)
{
	FtcSlice	bytes = body_sample(&chain)->manifest;

	(void) state;
	check_reason(&codec_manifest, with_byte(bytes, 0, 0), FTC_BAD_VERSION);
	check_reason(&codec_manifest, with_byte(bytes, 0, 2), FTC_BAD_VERSION);
	for (size_t at = 1; at < 4; at++)
		check_reason(&codec_manifest, with_byte(bytes, at, 1), FTC_NOT_CANONICAL);
	/* numbers that claim to be */
	check_reason(&codec_manifest, with_be(bytes, 4, FTC_CONTROLS_MAX + 1, 4), FTC_TOO_MANY);
	check_reason(&codec_manifest, with_be(bytes, 4, UINT32_MAX, 4), FTC_TOO_MANY);
	check_reason(&codec_manifest, with_be(bytes, 4, 3, 4), FTC_BAD_KIND);
	check_reason(&codec_manifest, with_be(bytes, 8, FTC_BUNDLES_MAX + 1, 4), FTC_TOO_MANY);
	check_reason(&codec_manifest, with_be(bytes, 8, UINT32_MAX, 4), FTC_TOO_MANY);
	check_reason(&codec_manifest, with_be(bytes, 8, 4, 4), FTC_BAD_LENGTH);
	check_reason(&codec_manifest, with_be(bytes, 8, 2, 4), FTC_BAD_LENGTH);
}

/* A leaf that is wrong gives its own reason. */
static void
test_manifest_bad_leaf(void **state)
{
	TestBody   *body = body_of(1, 1, 3);
	size_t		control = 16;
	size_t		bundle = control + body->controls[0].len + 4;

	(void) state;
	check_reason(&codec_manifest, with_byte(body->manifest, control, 2), FTC_BAD_VERSION);
	check_reason(&codec_manifest, with_byte(body->manifest, control + 1, 1), FTC_BAD_KIND);
	check_reason(&codec_manifest, with_byte(body->manifest, bundle, 2), FTC_BAD_VERSION);
	check_reason(&codec_manifest, with_byte(body->manifest, bundle + 1, 1), FTC_BAD_KIND);
	check_reason(&codec_manifest, with_be(body->manifest, bundle + 50, 4, 4), FTC_NOT_CANONICAL);
	check_reason(&codec_manifest, with_be(body->manifest, bundle + 50, 0, 4), FTC_OUT_OF_RANGE);
}

/* Bundles ascend, and none comes twice. */
static void
test_manifest_order(void **state)
{
	TestBody   *body = body_of(0, 3, 2);
	FtcSignedLeaf bundles[3];

	(void) state;
	for (int order = 0; order < 27; order++)
	{
		uint8_t    *bytes = keep(body->manifest.len);
		int			which[3] = {order / 9, order / 3 % 3, order % 3};

		for (int i = 0; i < 3; i++)
			bundles[i] = body->bundles[which[i]].signed_leaf;
		assert_int_equal(ftc_manifest_encode(NULL, 0, bundles, 3, bytes, body->manifest.len),
						 body->manifest.len);
		check_reason(&codec_manifest, ftc_slice(bytes, body->manifest.len),
					 which[0] < which[1] && which[1] < which[2] ? FTC_OK : FTC_NOT_CANONICAL);
	}
}

static FtcSlice
manifest_with(const FtcSlice *controls, uint32_t ncontrols, const FtcSignedLeaf *bundles,
			  uint32_t nbundles)
{
	size_t		len = ftc_manifest_encode(controls, ncontrols, bundles, nbundles, NULL, 0);
	uint8_t    *bytes = keep(len);

	ftc_manifest_encode(controls, ncontrols, bundles, nbundles, bytes, len);
	return ftc_slice(bytes, len);
}

static void
test_manifest_control_limit(void **state)
{
	static FtcSlice controls[FTC_CONTROLS_MAX + 1];
	FtcControl	control = control_of(FTC_CONTROL_PRUNE, 0);
	FtcSlice	leaf = control_leaf(&control, NULL, 0, NULL);

	(void) state;
	for (size_t i = 0; i < lengthof(controls); i++)
		controls[i] = leaf;
	check_reason(&codec_manifest, manifest_with(controls, FTC_CONTROLS_MAX, NULL, 0), FTC_OK);
	check_reason(&codec_manifest, manifest_with(controls, FTC_CONTROLS_MAX + 1, NULL, 0),
				 FTC_TOO_MANY);
}

/* The head of a bundle of so many entries, unsigned. */
static FtcSignedLeaf
head_of(uint64_t number, uint32_t count)
{
	FtcSignedLeaf signed_leaf = {0};
	FtcRange	range = {1, count};
	FtcBundle	bundle = {0};
	uint8_t    *bytes = keep(FTC_BUNDLE_FIXED + 16);
	uint8_t		encoded[16];

	ftc_range_encode(range, encoded);
	bundle.incarnation = 1;
	bundle.number = number;
	bundle.count = count;
	bundle.nranges = 1;
	bundle.ranges = ftc_slice(encoded, 16);
	signed_leaf.leaf = ftc_slice(bytes, ftc_bundle_leaf_encode(&bundle, bytes, FTC_BUNDLE_FIXED + 16));
	return signed_leaf;
}

static void
test_manifest_bundle_limit(void **state)
{
	static FtcSignedLeaf bundles[FTC_BUNDLES_MAX + 1];

	(void) state;
	for (uint32_t i = 0; i < lengthof(bundles); i++)
		bundles[i] = head_of(i + 1, 1);
	check_reason(&codec_manifest, manifest_with(NULL, 0, bundles, FTC_BUNDLES_MAX), FTC_OK);
	check_reason(&codec_manifest, manifest_with(NULL, 0, bundles, FTC_BUNDLES_MAX + 1),
				 FTC_TOO_MANY);
}

/* Controls, heads and entries together are limited. */
static void
test_manifest_leaf_limit(void **state)
{
	FtcControl	control = control_of(FTC_CONTROL_PRUNE, 0);
	FtcSlice	leaf = control_leaf(&control, NULL, 0, NULL);
	FtcSignedLeaf bundles[3];

	(void) state;
	bundles[0] = head_of(1, FTC_LEAVES_MAX - 1);
	check_reason(&codec_manifest, manifest_with(NULL, 0, bundles, 1), FTC_OK);
	check_reason(&codec_manifest, manifest_with(&leaf, 1, bundles, 1), FTC_TOO_MANY);
	bundles[0] = head_of(1, FTC_LEAVES_MAX);
	check_reason(&codec_manifest, manifest_with(NULL, 0, bundles, 1), FTC_TOO_MANY);
	bundles[0] = head_of(1, FTC_LEAVES_MAX - 6);
	bundles[1] = head_of(2, 1);
	bundles[2] = head_of(3, 1);
	check_reason(&codec_manifest, manifest_with(&leaf, 1, bundles, 3), FTC_OK);
	bundles[2] = head_of(3, 2);
	check_reason(&codec_manifest, manifest_with(&leaf, 1, bundles, 3), FTC_TOO_MANY);
	bundles[1] = bundles[2] = head_of(3, FTC_LEAVES_MAX);
	check_reason(&codec_manifest, manifest_with(&leaf, 1, bundles, 2), FTC_TOO_MANY);
}


/* ---- proofs that a manifest is all */

/* The parts of a proof. */
typedef struct Proof
{
	uint32_t	nconsistency;
	FtcSlice	consistency;
	FtcSlice	first;
	uint32_t	ninclusion;
	FtcSlice	inclusion;
} Proof;

static Proof
parse(FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	Proof		proof;

	proof.nconsistency = ftc_get_u32(&reader);
	proof.consistency = ftc_get_slice(&reader, 32 * (size_t) proof.nconsistency);
	proof.first = ftc_get_blob(&reader);
	proof.ninclusion = ftc_get_u32(&reader);
	proof.inclusion = ftc_get_slice(&reader, 32 * (size_t) proof.ninclusion);
	assert_true(ftc_reader_is_done(&reader));
	return proof;
}

static FtcSlice
unparse(const Proof *proof)
{
	FtcWriter	writer = ftc_writer(NULL, 0);

	for (int pass = 0; pass < 2; pass++)
	{
		writer = ftc_writer(pass == 0 ? NULL : keep(writer.len), writer.len);
		ftc_put_u32(&writer, proof->nconsistency);
		ftc_put_slice(&writer, proof->consistency);
		ftc_put_blob(&writer, proof->first);
		ftc_put_u32(&writer, proof->ninclusion);
		ftc_put_slice(&writer, proof->inclusion);
	}
	return ftc_slice(writer.buf, writer.len);
}

static void
test_proof_shapes(void **state)
{
	(void) state;
	for (uint32_t controls = 0; controls <= 8; controls++)
		for (uint32_t bundles = 0; bundles <= 4; bundles++)
			for (uint32_t entries = 1; entries <= (bundles > 0 ? 5 : 1); entries++)
			{
				TestBody   *body = body_of(controls, bundles, entries);
				FtcHash		root = body->root;

				assert_true(body->proof.len <= FTC_PROOF_BYTES_MAX);
				assert_reason(verify(body, body->proof, &root, body->nleaves), FTC_OK);
				assert_reason(verify(body, body->proof, &root, body->nleaves + 1), FTC_BAD_BODY);
				assert_reason(verify(body, body->proof, &root, body->nleaves - 1), FTC_BAD_BODY);
				root.b[31] ^= 1;
				assert_reason(verify(body, body->proof, &root, body->nleaves), FTC_BAD_PROOF);
			}
}

static FtcReason
inclusion(const TestBody *body, FtcSlice proof, const FtcHash *root, uint32_t leaves, uint32_t index,
		  FtcHash *path, int *npath)
{
	FtcManifest manifest = manifest_of(body->manifest);
	FtcHash    *hashes = keep((manifest.ncontrols + manifest.nbundles) * sizeof(FtcHash));

	return ftc_manifest_inclusion(&manifest, proof, root, leaves, index, hashes, path, npath);
}

/* Where a leaf of the manifest is, is known without the body. */
static void
test_manifest_inclusion(void **state)
{
	(void) state;
	for (uint32_t controls = 0; controls <= 8; controls++)
		for (uint32_t bundles = 0; bundles <= 4; bundles++)
			for (uint32_t entries = 1; entries <= (bundles > 0 ? 9 : 1); entries++)
			{
				TestBody   *body = body_of(controls, bundles, entries);
				FtcHash		root = body->root;
				FtcHash		path[FTC_PROOF_MAX];
				FtcHash		expected[FTC_PROOF_MAX];
				int			npath;

				for (uint32_t i = 0; i < controls + bundles; i++)
				{
					assert_reason(inclusion(body, body->proof, &root, body->nleaves, i, path, &npath),
								  FTC_OK);
					assert_int_equal(npath, ftc_merkle_inclusion(body->leaves, body->nleaves, i, expected));
					for (int j = 0; j < npath; j++)
						assert_hash_equal(&path[j], &expected[j]);
					assert_reason(inclusion(body, body->proof, &root, body->nleaves + 1, i, path, &npath),
								  FTC_BAD_BODY);
					root.b[31] ^= 1;
					assert_reason(inclusion(body, body->proof, &root, body->nleaves, i, path, &npath),
								  FTC_BAD_PROOF);
					root.b[31] ^= 1;
				}
				assert_reason(inclusion(body, body->proof, &root, body->nleaves, controls + bundles, path,
										&npath), FTC_OUT_OF_RANGE);
			}
}

/* With a damaged proof there is no path but the right one. */
static void
test_manifest_inclusion_damage(void **state)
{
	TestBody   *body = body_of(2, 3, 5);
	FtcSlice	copy = keep_copy(body->proof);
	FtcHash		expected[FTC_PROOF_MAX];
	FtcHash		path[FTC_PROOF_MAX];
	int			npath;
	int			refused = 0;

	(void) state;
	for (uint32_t i = 0; i < 5; i++)
	{
		int			n = ftc_merkle_inclusion(body->leaves, body->nleaves, i, expected);

		for (size_t at = 0; at < copy.len; at++)
		{
			((uint8_t *) copy.data)[at] ^= 1;
			if (inclusion(body, copy, &body->root, body->nleaves, i, path, &npath) != FTC_OK)
				refused++;
			else
			{
				assert_int_equal(npath, n);
				assert_memory_equal(path, expected, (size_t) n * sizeof(FtcHash));
			}
			((uint8_t *) copy.data)[at] ^= 1;
		}
		for (size_t len = 0; len < copy.len; len++)
			assert_reason(inclusion(body, keep_copy(ftc_slice(copy.data, len)), &body->root,
									body->nleaves, i, path, &npath), FTC_BAD_LENGTH);
	}
	assert_true(refused > 5 * 32);
}

/* Without entries, the proof is three zeros. */
static void
test_proof_without_entries(void **state)
{
	(void) state;
	for (uint32_t controls = 0; controls < 4; controls++)
	{
		TestBody   *body = body_of(controls, 0, 0);
		Proof		proof = parse(body->proof);

		assert_slice_equal(body->proof, ftc_slice("\0\0\0\0\0\0\0\0\0\0\0\0", 12));
		proof.nconsistency = 1;
		proof.consistency = of_hash(&body->root);
		assert_reason(verify(body, unparse(&proof), &body->root, controls), FTC_BAD_PROOF);
		proof = parse(body->proof);
		proof.ninclusion = 1;
		proof.inclusion = of_hash(&body->root);
		assert_reason(verify(body, unparse(&proof), &body->root, controls), FTC_BAD_PROOF);
		proof = parse(body->proof);
		proof.first = text ("x");

		assert_reason(verify(body, unparse(&proof), &body->root, controls), FTC_BAD_PROOF);
	}
}

static FtcReason
decode_proof(const TestBody *body, FtcSlice proof)
{
	return verify(body, proof, &body->root, body->nleaves);
}

/* No byte of a proof is idle. */
static void
test_proof_mutations(void **state)
{
	TestBody   *body = body_sample(&chain);
	FtcSlice	copy = keep_copy(body->proof);

	(void) state;
	for (size_t at = 0; at < copy.len; at++)
		for (int change = 1; change < 256; change += change < 8 ? 1 : 31)
		{
			((uint8_t *) copy.data)[at] ^= (uint8_t) change;
			if (decode_proof(body, copy) == FTC_OK)
				fail_msg("byte %zu may be anything", at);
			((uint8_t *) copy.data)[at] ^= (uint8_t) change;
		}
	assert_reason(decode_proof(body, copy), FTC_OK);
	for (size_t len = 0; len < copy.len; len++)
		assert_reason(decode_proof(body, keep_copy(ftc_slice(copy.data, len))), FTC_BAD_LENGTH);
	assert_reason(decode_proof(body, joined(copy, ftc_slice("\0", 1))), FTC_BAD_LENGTH);
}

/* More hashes than any proof has are not even read. */
static void
test_proof_limits(void **state)
{
	TestBody   *body = body_sample(&chain);
	Proof		proof = parse(body->proof);

	(void) state;
	proof.nconsistency = FTC_PROOF_MAX;
	proof.consistency = filled('h', 32 * FTC_PROOF_MAX);
	assert_reason(decode_proof(body, unparse(&proof)), FTC_BAD_PROOF);
	proof.nconsistency++;
	proof.consistency = filled('h', 32 * (FTC_PROOF_MAX + 1));
	assert_reason(decode_proof(body, unparse(&proof)), FTC_BAD_LENGTH);
	proof = parse(body->proof);
	proof.ninclusion = FTC_PROOF_MAX;
	proof.inclusion = filled('h', 32 * FTC_PROOF_MAX);
	assert_reason(decode_proof(body, unparse(&proof)), FTC_BAD_PROOF);
	proof.ninclusion++;
	proof.inclusion = filled('h', 32 * (FTC_PROOF_MAX + 1));
	assert_reason(decode_proof(body, unparse(&proof)), FTC_BAD_LENGTH);
	proof = parse(body->proof);
	proof.ninclusion = UINT32_MAX;
	assert_reason(decode_proof(body, unparse(&proof)), FTC_BAD_LENGTH);
}

/*
 * Hide a bundle head from a member: the manifest shown ends before it, and its
 * last bundle claims as many entries as there are leaves behind.  All hashes
 * are right; but the first of those leaves is no entry.
 */
static void
test_proof_hides_no_bundle(void **state)
{
	TestBody   *body = body_of(1, 2, 3);
	TestBody   *shown = body_of(1, 1, 7);
	FtcManifest manifest = manifest_of(shown->manifest);
	FtcSlice	behind = body->bundles[1].signed_leaf.leaf;
	uint8_t		bytes[FTC_PROOF_BYTES_MAX];
	uint8_t		leaf[FTC_ENTRY_LEAF_MAX];
	size_t		len;

	(void) state;
	assert_int_equal(body->nleaves, shown->nleaves);
	body->leaves[1] = shown->leaves[1];
	body->root = ftc_merkle_root(body->leaves, body->nleaves);
	len = ftc_manifest_prove(body->leaves, body->nleaves, 2, behind, bytes);
	assert_reason(ftc_manifest_verify(&manifest, ftc_slice(bytes, len), &body->root, body->nleaves),
				  FTC_BAD_PROOF);
	/* were it one, this would be right */
	behind = ftc_slice(leaf, ftc_entry_leaf_encode(&body->bundles[0].entries[0], leaf));
	body->leaves[2] = ftc_merkle_leaf(behind);
	body->root = ftc_merkle_root(body->leaves, body->nleaves);
	len = ftc_manifest_prove(body->leaves, body->nleaves, 2, behind, bytes);
	assert_reason(ftc_manifest_verify(&manifest, ftc_slice(bytes, len), &body->root, body->nleaves),
				  FTC_OK);
}

static void
test_proof_hides_no_control(void **state)
{
	TestBody   *body = body_of(3, 0, 0);
	TestBody   *shown = body_of(2, 0, 0);

	(void) state;
	assert_reason(verify(shown, shown->proof, &body->root, 3), FTC_BAD_BODY);
	assert_reason(verify(shown, shown->proof, &body->root, 2), FTC_BAD_PROOF);
}

/* The first leaf behind the manifest must be shown as it is. */
static void
test_proof_first_entry(void **state)
{
	TestBody   *body = body_of(1, 1, 3);
	Proof		proof = parse(body->proof);
	uint8_t		leaf[FTC_ENTRY_LEAF_MAX];

	(void) state;
	proof.first = ftc_slice(leaf, ftc_entry_leaf_encode(&body->bundles[0].entries[1], leaf));
	assert_reason(decode_proof(body, unparse(&proof)), FTC_BAD_PROOF);
	proof.first = text ("");

	assert_reason(decode_proof(body, unparse(&proof)), FTC_BAD_PROOF);
	proof.first = body->bundles[0].signed_leaf.leaf;
	assert_reason(decode_proof(body, unparse(&proof)), FTC_BAD_PROOF);
	/* a proof for the second entry is none for the first */
	proof.first = ftc_slice(leaf, ftc_entry_leaf_encode(&body->bundles[0].entries[1], leaf));
	proof.inclusion = filled('x', 32 * FTC_PROOF_MAX);
	proof.ninclusion = (uint32_t) ftc_merkle_inclusion(body->leaves, body->nleaves, 3,
													   (FtcHash *) proof.inclusion.data);
	proof.inclusion.len = 32 * (size_t) proof.ninclusion;
	assert_reason(decode_proof(body, unparse(&proof)), FTC_BAD_PROOF);
}

/* Manifest, leaves, root and proof in one, as the fuzzer has it. */
static void
test_proof_codec(void **state)
{
	TestBody   *body = body_of(1, 1, 2);
	FtcWriter	writer = ftc_writer(keep(1 << 14), 1 << 14);
	FtcSlice	bytes;

	(void) state;
	ftc_put_blob(&writer, body->manifest);
	ftc_put_u32(&writer, body->nleaves);
	ftc_put_hash(&writer, &body->root);
	ftc_put_slice(&writer, body->proof);
	bytes = keep_copy(ftc_slice(writer.buf, writer.len));
	assert_int_equal(check_lengths(&codec_proof, bytes), 0);
	/* only the signature of the bundle is not covered by the root */
	assert_int_equal(check_bytes(&codec_proof, bytes), 64 * 255);
}


/* ---- bodies */

static void
test_body_layout(void **state)
{
	TestBody   *body = body_of(1, 1, 2);
	FtcEntry   *entry = &body->bundles[0].entries[0];
	FtcEntry   *erased = &body->bundles[0].entries[1];
	FtcReader	reader;

	(void) state;
	erased->erased = true;
	body_finish(body);
	reader = ftc_reader(body->full);
	assert_int_equal(ftc_get_u32(&reader), 0x01010000);
	assert_slice_equal(ftc_get_blob(&reader), body->manifest);
	assert_int_equal(ftc_get_u8(&reader), 0);
	assert_int_equal(ftc_get_u64(&reader), entry->time);
	assert_slice_equal(ftc_get_name(&reader), entry->author);
	assert_slice_equal(ftc_get_name(&reader), entry->kind);
	assert_slice_equal(ftc_get_slice(&reader, 16), entry->salt);
	assert_slice_equal(ftc_get_blob(&reader), entry->payload);
	assert_int_equal(ftc_get_u8(&reader), 1);
	assert_int_equal(ftc_get_u64(&reader), erased->time);
	assert_slice_equal(ftc_get_name(&reader), erased->author);
	assert_slice_equal(ftc_get_name(&reader), erased->kind);
	assert_slice_equal(ftc_get_slice(&reader, 32), of_hash(&erased->payload_hash));
	assert_true(ftc_reader_is_done(&reader));
	reader = ftc_reader(body->skeleton);
	assert_int_equal(ftc_get_u32(&reader), 0x01020000);
	assert_slice_equal(ftc_get_blob(&reader), body->manifest);
	for (uint32_t i = 2; i < body->nleaves; i++)
		assert_slice_equal(ftc_get_slice(&reader, 32), of_hash(&body->leaves[i]));
	assert_true(ftc_reader_is_done(&reader));
}

static void
assert_entry(const FtcEntry *found, const FtcEntry *expected)
{
	assert_hash_equal(&found->origin, &expected->origin);
	assert_int_equal(found->incarnation, expected->incarnation);
	assert_int_equal(found->seq, expected->seq);
	assert_int_equal(found->time, expected->time);
	assert_slice_equal(found->author, expected->author);
	assert_slice_equal(found->kind, expected->kind);
	assert_hash_equal(&found->payload_hash, &expected->payload_hash);
	assert_int_equal(found->erased, expected->erased);
	if (!expected->erased)
	{
		assert_slice_equal(found->salt, expected->salt);
		assert_slice_equal(found->payload, expected->payload);
	}
}

/* Reading gives every entry, with the origin and seq its bundle says. */
static void
test_body_read(void **state)
{
	TestBody   *body = body_sample(&chain);
	FtcBodyReader reader;
	FtcEntry	entry;

	(void) state;
	assert_reason(ftc_body_open(&reader, keep_copy(body->full)), FTC_OK);
	for (uint32_t i = 0; i < body->nbundles; i++)
		for (uint32_t j = 0; j < body->bundles[i].head.count; j++)
		{
			assert_true(ftc_body_more(&reader));
			assert_int_equal(reader.nbundle, i);
			assert_int_equal(reader.bundle.number, body->bundles[i].head.number);
			assert_reason(ftc_body_next(&reader, &entry), FTC_OK);
			assert_entry(&entry, &body->bundles[i].entries[j]);
		}
	assert_false(ftc_body_more(&reader));
	assert_true(ftc_reader_is_done(&reader.entries));
}

static void
test_body_sizes(void **state)
{
	TestBody   *body = body_sample(&chain);
	FtcWriter	writer = ftc_writer(NULL, 0);

	(void) state;
	assert_int_equal(ftc_body_begin(&writer, FTC_BODY_FULL, body->manifest),
					 4 + 4 + body->manifest.len);
	for (int i = 0; i < 2; i++)
	{
		FtcEntry   *entry = &body->bundles[0].entries[i];
		size_t		before = writer.len;
		size_t		len = ftc_body_put_entry(&writer, entry);

		assert_int_equal(len, ftc_body_entry_len(entry));
		assert_int_equal(writer.len, before + len);
	}
}

static void
test_body_check(void **state)
{
	TestBody   *body = body_sample(&chain);
	FtcSlice	forms[] = {body->full, body->skeleton};

	(void) state;
	for (size_t i = 0; i < lengthof(forms); i++)
	{
		FtcHash		root = body->root;

		assert_reason(ftc_body_check(forms[i], &root, body->nleaves, NULL), FTC_OK);
		assert_reason(ftc_body_check(forms[i], &root, body->nleaves - 1, NULL), FTC_BAD_BODY);
		assert_reason(ftc_body_check(forms[i], &root, body->nleaves + 1, NULL), FTC_BAD_BODY);
		root.b[0] ^= 1;
		assert_reason(ftc_body_check(forms[i], &root, body->nleaves, NULL), FTC_BAD_ROOT);
	}
}

static void
test_body_shapes(void **state)
{
	(void) state;
	for (uint32_t controls = 0; controls <= 3; controls++)
		for (uint32_t bundles = 0; bundles <= 4; bundles++)
			for (uint32_t entries = 1; entries <= (bundles > 0 ? 10 : 1); entries += 3)
			{
				TestBody   *body = body_of(controls, bundles, entries);

				check_accepted(&codec_body, body->full);
				check_accepted(&codec_body, body->skeleton);
				assert_reason(ftc_body_check(body->full, &body->root, body->nleaves, NULL), FTC_OK);
				assert_reason(ftc_body_check(body->skeleton, &body->root, body->nleaves, NULL), FTC_OK);
			}
}

static void
test_body_mutations(void **state)
{
	TestBody   *body = body_of(1, 1, 3);
	FtcSlice	forms[] = {body->full, body->skeleton};

	(void) state;
	body->bundles[0].entries[1].erased = true;
	body_finish(body);
	forms[0] = body->full;
	for (size_t i = 0; i < lengthof(forms); i++)
	{
		assert_int_equal(check_lengths(&codec_body, forms[i]), 0);
		for (size_t len = 0; len < forms[i].len; len++)
			check_reason(&codec_body, ftc_slice(forms[i].data, len), FTC_BAD_LENGTH);
		assert_true(check_bytes(&codec_body, forms[i]) > 64 * 255);
	}
}

/* Where the bytes of two signatures of bundles are, in full and skeleton. */
static bool
is_signature(const TestBody *body, size_t at)
{
	size_t		bundles = 8 + 12 + 4 + body->controls[0].len;
	size_t		one = 4 + body->bundles[0].signed_leaf.leaf.len + 64;

	return at >= bundles && at < bundles + 2 * one && (at - bundles) % one >= one - 64;
}

/* All of a body is covered by its root but the signatures of bundles. */
static void
test_body_root_covers(void **state)
{
	TestBody   *body = body_of(1, 2, 3);
	FtcSlice	forms[] = {body->full, body->skeleton};

	(void) state;
	body->bundles[0].entries[1].erased = true;
	body_finish(body);
	forms[0] = body->full;
	for (size_t i = 0; i < lengthof(forms); i++)
	{
		FtcSlice	copy = keep_copy(forms[i]);

		for (size_t at = 0; at < copy.len; at++)
			for (int bit = 0; bit < 8; bit++)
			{
				FtcReason	reason;

				((uint8_t *) copy.data)[at] ^= (uint8_t) (1 << bit);
				reason = ftc_body_check(copy, &body->root, body->nleaves, NULL);
				if ((reason == FTC_OK) != is_signature(body, at))
					fail_msg("form %zu, byte %zu, bit %d: %s", i, at, bit, ftc_reason_text(reason));
				((uint8_t *) copy.data)[at] ^= (uint8_t) (1 << bit);
			}
	}
}

static void
test_body_head(void **state)
{
	TestBody   *body = body_of(1, 1, 2);

	(void) state;
	check_reason(&codec_body, with_byte(body->full, 0, 0), FTC_BAD_VERSION);
	check_reason(&codec_body, with_byte(body->full, 0, 2), FTC_BAD_VERSION);
	check_reason(&codec_body, with_byte(body->full, 1, 0), FTC_BAD_KIND);
	check_reason(&codec_body, with_byte(body->full, 1, 3), FTC_BAD_KIND);
	check_reason(&codec_body, with_byte(body->full, 2, 1), FTC_NOT_CANONICAL);
	check_reason(&codec_body, with_byte(body->full, 3, 1), FTC_NOT_CANONICAL);
	check_reason(&codec_body, with_be(body->full, 4, body->manifest.len - 1, 4), FTC_BAD_LENGTH);
	check_reason(&codec_body, with_be(body->full, 4, UINT32_MAX, 4), FTC_BAD_LENGTH);
	check_reason(&codec_body, with_byte(body->full, 8, 2), FTC_BAD_VERSION);
}

/* An entry in a body is held to the same limits as any. */
static void
test_body_entries(void **state)
{
	TestBody   *body = body_of(0, 1, 1);
	FtcEntry   *entry = &body->bundles[0].entries[0];
	size_t		at = 8 + body->manifest.len;
	size_t		author = at + 9;
	size_t		payload;

	(void) state;
	/* unlike in length to a payload's hash, as which it might pass */
	entry->payload = text ("more than a dozen");

	body_finish(body);
	payload = body->full.len - entry->payload.len;
	check_reason(&codec_body, body->full, FTC_OK);
	check_reason(&codec_body, with_byte(body->full, at, 2), FTC_NOT_CANONICAL);
	check_reason(&codec_body, with_byte(body->full, at, 255), FTC_NOT_CANONICAL);
	check_reason(&codec_body, with_byte(body->full, at, 1), FTC_BAD_LENGTH);
	check_reason(&codec_body, with_be(body->full, at + 1, FTC_TIME_MAX, 8), FTC_OK);
	check_reason(&codec_body, with_be(body->full, at + 1, (uint64_t) FTC_TIME_MAX + 1, 8),
				 FTC_OUT_OF_RANGE);
	check_reason(&codec_body, with_byte(body->full, author + 1, 0xff), FTC_BAD_TEXT);
	check_reason(&codec_body, with_byte(body->full, author, 255), FTC_BAD_LENGTH);
	check_reason(&codec_body, with_byte(body->full, payload, 0), FTC_BAD_TEXT);
	check_reason(&codec_body, with_be(body->full, payload - 4, UINT32_MAX, 4), FTC_BAD_LENGTH);
	entry->kind = filled('k', FTC_NAME_MAX + 1);
	body_finish(body);
	check_reason(&codec_body, body->full, FTC_TOO_LARGE);
}

static void
test_body_payload_limit(void **state)
{
	TestBody   *body = body_of(0, 1, 1);
	FtcEntry   *entry = &body->bundles[0].entries[0];

	(void) state;
	entry->payload = filled('p', FTC_PAYLOAD_MAX);
	body_finish(body);
	check_reason(&codec_body, body->full, FTC_OK);
	entry->payload = filled('p', FTC_PAYLOAD_MAX + 1);
	body_finish(body);
	check_reason(&codec_body, body->full, FTC_TOO_LARGE);
}

static void
test_body_limit(void **state)
{
	TestBody   *body = body_of(1, 0, 0);
	uint8_t    *bytes = keep(FTC_BODY_MAX + 1);
	FtcBodyReader reader;

	(void) state;
	memcpy(bytes, body->full.data, body->full.len);
	assert_reason(ftc_body_open(&reader, ftc_slice(bytes, FTC_BODY_MAX)), FTC_OK);
	assert_reason(ftc_body_check(ftc_slice(bytes, FTC_BODY_MAX), &body->root, 1, NULL), FTC_BAD_LENGTH);
	assert_reason(ftc_body_open(&reader, ftc_slice(bytes, FTC_BODY_MAX + 1)), FTC_TOO_LARGE);
	assert_reason(ftc_body_check(ftc_slice(bytes, FTC_BODY_MAX + 1), &body->root, 1, NULL), FTC_TOO_LARGE);
}

/* A skeleton has no entries to read, only hashes. */
static void
test_body_skeleton_entries(void **state)
{
	TestBody   *body = body_of(0, 1, 2);
	FtcBodyReader reader;
	FtcEntry	entry;

	(void) state;
	assert_reason(ftc_body_open(&reader, body->skeleton), FTC_OK);
	assert_int_equal(reader.form, FTC_BODY_SKELETON);
	assert_true(ftc_body_more(&reader));
	assert_reason(ftc_body_next(&reader, &entry), FTC_BAD_KIND);
}

/* The root of the block is right, that of a bundle is not. */
static void
test_body_bundle_root(void **state)
{
	TestPerson	origin = person(1);
	TestBody   *body = body_of(0, 2, 3);

	(void) state;
	body->bundles[1].head.root.b[0] ^= 1;
	bundle_sign(&body->bundles[1], &origin, &chain);
	body_finish(body);
	assert_reason(ftc_body_check(body->full, &body->root, body->nleaves, NULL), FTC_BAD_ROOT);
	assert_reason(ftc_body_check(body->skeleton, &body->root, body->nleaves, NULL), FTC_BAD_ROOT);
	body->bundles[1].head.root.b[0] ^= 1;
	bundle_sign(&body->bundles[1], &origin, &chain);
	body_finish(body);
	assert_reason(ftc_body_check(body->full, &body->root, body->nleaves, NULL), FTC_OK);
}

/* The same leaves in another order of entries are another body. */
static void
test_body_entry_order(void **state)
{
	TestBody   *body = body_of(0, 1, 3);
	FtcEntry	swap = body->bundles[0].entries[0];
	FtcHash		root = body->root;

	(void) state;
	body->bundles[0].entries[0] = body->bundles[0].entries[1];
	body->bundles[0].entries[1] = swap;
	body_finish(body);
	assert_reason(ftc_body_check(body->full, &root, body->nleaves, NULL), FTC_BAD_ROOT);
	assert_reason(ftc_body_check(body->skeleton, &root, body->nleaves, NULL), FTC_BAD_ROOT);
}

/* Whether entries are erased shows in the bytes, not in the root. */
static void
test_body_erased(void **state)
{
	TestBody   *body = body_of(1, 2, 4);
	FtcHash		root = body->root;

	(void) state;
	for (uint32_t i = 0; i < 8; i++)
	{
		body->bundles[i / 4].entries[i % 4].erased = true;
		body_finish(body);
		assert_hash_equal(&body->root, &root);
		assert_reason(ftc_body_check(body->full, &root, body->nleaves, NULL), FTC_OK);
		check_accepted(&codec_body, body->full);
	}
}


/* ---- blocks as they travel */

static FtcSlice
block_bytes(const TestBody *body, FtcSlice header)
{
	FtcBlock	block = {.header = header,.manifest = body->manifest,.proof = body->proof,
	.body = body->full};
	size_t		len = ftc_block_encode(&block, NULL, 0);
	uint8_t    *bytes = keep(len);

	memset(block.signature.b, 's', FTC_SIGNATURE_LEN);
	ftc_block_encode(&block, bytes, len);
	for (size_t size = 0; size < len; size += 97)
		assert_int_equal(ftc_block_encode(&block, keep(size), size), len);
	return ftc_slice(bytes, len);
}

static void
test_block(void **state)
{
	TestBody   *body = body_of(1, 1, 2);
	FtcSlice	header = filled('h', FTC_HEADER_LEN);
	FtcSlice	bytes = block_bytes(body, header);
	FtcBlock	found;
	size_t		at = 4 + 240 + 64;

	(void) state;
	assert_memory_equal(bytes.data, "\1\0\0\0hhhh", 8);
	assert_memory_equal(bytes.data + 244, "ssss", 4);
	assert_memory_equal(bytes.data + at + 4, body->manifest.data, body->manifest.len);
	assert_reason(ftc_block_decode(&found, bytes), FTC_OK);
	assert_slice_equal(found.header, header);
	assert_memory_equal(found.signature.b, bytes.data + 244, 64);
	assert_slice_equal(found.manifest, body->manifest);
	assert_slice_equal(found.proof, body->proof);
	assert_slice_equal(found.body, body->full);
}

static void
test_block_bytes(void **state)
{
	TestBody   *body = body_of(1, 1, 2);
	FtcSlice	bytes = block_bytes(body, filled('h', FTC_HEADER_LEN));
	FtcSlice	part = ftc_slice(bytes.data, 4 + 240 + 64 + 12);

	(void) state;
	assert_int_equal(check_lengths(&codec_block, bytes), 0);
	for (size_t len = 0; len < bytes.len; len++)
		check_reason(&codec_block, ftc_slice(bytes.data, len), FTC_BAD_LENGTH);
	/* only the frame is looked at */
	assert_int_equal(check_bytes(&codec_block, bytes), (bytes.len - 4 - 12) * 255);
	check_reason(&codec_block, with_byte(bytes, 0, 0), FTC_BAD_VERSION);
	check_reason(&codec_block, with_byte(bytes, 0, 2), FTC_BAD_VERSION);
	for (size_t at = 1; at < 4; at++)
		check_reason(&codec_block, with_byte(bytes, at, 1), FTC_NOT_CANONICAL);
	/* nothing comes along */
	part = keep_copy(part);
	memset((uint8_t *) part.data + part.len - 12, 0, 12);
	check_reason(&codec_block, part, FTC_OK);
	check_reason(&codec_block, with_be(bytes, 308, UINT32_MAX, 4), FTC_BAD_LENGTH);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_manifest_layout),
		test(test_manifest_decode),
		test(test_manifest_leaves),
		test(test_manifest_mutations),
		test(test_manifest_encode_size),
		test(test_manifest_head),
		test(test_manifest_bad_leaf),
		test(test_manifest_order),
		test(test_manifest_control_limit),
		test(test_manifest_bundle_limit),
		test(test_manifest_leaf_limit),
		test(test_proof_shapes),
		test(test_manifest_inclusion),
		test(test_manifest_inclusion_damage),
		test(test_proof_without_entries),
		test(test_proof_mutations),
		test(test_proof_limits),
		test(test_proof_hides_no_bundle),
		test(test_proof_hides_no_control),
		test(test_proof_first_entry),
		test(test_proof_codec),
		test(test_body_layout),
		test(test_body_read),
		test(test_body_sizes),
		test(test_body_check),
		test(test_body_shapes),
		test(test_body_mutations),
		test(test_body_root_covers),
		test(test_body_head),
		test(test_body_entries),
		test(test_body_payload_limit),
		test(test_body_limit),
		test(test_body_skeleton_entries),
		test(test_body_bundle_root),
		test(test_body_entry_order),
		test(test_body_erased),
		test(test_block),
		test(test_block_bytes),
	};

	return cmocka_run_group_tests_name("body", tests, choose_chain, NULL);
}

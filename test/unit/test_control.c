/*-------------------------------------------------------------------------
 *
 * test_control.c
 *	  Tests of control.c: bytes and limits of controls and parameters.
 *
 * Who must sign what is in test_state.c.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "build.h"
#include "control.h"
#include "entry.h"
#include "mutate.h"
#include "sha256.h"

#define HEAD 28					/* bytes before what depends on the kind */
#define YEAR UINT64_C(31557600000000)

static FtcControl
set_member(void)
{
	TestPerson	whom = person(1);
	FtcControl	control = control_about(FTC_CONTROL_SET_MEMBER, &whom, 0);

	control.weight = 0x0102;
	control.flags = FTC_MEMBER_GOVERNOR;
	control.zone = text ("zone");

	return control;
}

/* One of each kind. */
static FtcControl
some_control(FtcControlKind kind)
{
	TestPerson	whom = person(1);
	TestPerson	new_key = person(2);
	FtcParams	params = easy_params();

	switch (kind)
	{
		case FTC_CONTROL_PARAMS:
			return control_params(&params);
		case FTC_CONTROL_ADD_MEMBER:
			return control_add(&whom, FTC_MEMBER_FULL, "zone", &ftc_hash_zero);
		case FTC_CONTROL_REKEY:
			return control_rekey(&whom, &new_key, &ftc_hash_zero);
		case FTC_CONTROL_SET_MEMBER:
			return set_member();
		default:
			return control_about(kind, &whom, 0);
	}
}

/* The leaf, unsigned. */
static FtcSlice
leaf_of(const FtcControl *control)
{
	FtcControl	copy = *control;

	return control_leaf(&copy, NULL, 0, NULL);
}

static void
check(const FtcControl *control, FtcReason expected)
{
	check_reason(&codec_control, leaf_of(control), expected);
}

static FtcSlice
params_bytes(const FtcParams *params)
{
	size_t		len = ftc_params_encode(params, NULL, 0);
	uint8_t    *bytes = keep(len);

	ftc_params_encode(params, bytes, len);
	return ftc_slice(bytes, len);
}

static void
check_params(const FtcParams *params, FtcReason expected)
{
	FtcControl	control = control_params(params);

	assert_reason(ftc_params_check(params), expected);
	check_reason(&codec_params, params_bytes(params), expected);
	check(&control, expected);
}

/* The table in control.h: what all kinds have. */
static void
test_layout_head(void **state)
{
	FtcControl	control = some_control(FTC_CONTROL_PRUNE);
	FtcSlice	bytes;

	(void) state;
	control.not_after = UINT64_C(0x0102030405060708);
	control.from = 0x0a;
	control.to = 0x0b;
	bytes = leaf_of(&control);
	assert_int_equal(bytes.len, HEAD + 16 + 1);
	assert_memory_equal(bytes.data, "\x01\x02\x07\x00", 4);
	assert_memory_equal(bytes.data + 4, control.nonce, 16);
	assert_memory_equal(bytes.data + 20, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	assert_memory_equal(bytes.data + 28, "\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\x0b", 16);
	assert_int_equal(bytes.data[44], 0);
}

static void
test_layout_members(void **state)
{
	FtcControl	add = some_control(FTC_CONTROL_ADD_MEMBER);
	FtcControl	set = some_control(FTC_CONTROL_SET_MEMBER);
	FtcControl	rekey = some_control(FTC_CONTROL_REKEY);
	FtcSlice	bytes = leaf_of(&add);

	(void) state;
	assert_int_equal(bytes.len, HEAD + 1 + 32 + 4 + 1 + 5 + 9 + 64 + 1);
	assert_int_equal(bytes.data[HEAD], FTC_ALGORITHM_ED25519);
	assert_memory_equal(bytes.data + HEAD + 1, add.key.b, 32);
	assert_memory_equal(bytes.data + HEAD + 33, "\0\0\0\1\2\4zone\x08somebody", 19);
	assert_memory_equal(bytes.data + HEAD + 52, add.possession.b, 64);
	bytes = leaf_of(&set);
	assert_int_equal(bytes.len, HEAD + 32 + 4 + 1 + 5 + 1);
	assert_memory_equal(bytes.data + HEAD, set.member.b, 32);
	assert_memory_equal(bytes.data + HEAD + 32, "\0\0\1\2\1\4zone\0", 11);
	bytes = leaf_of(&rekey);
	assert_int_equal(bytes.len, HEAD + 32 + 1 + 32 + 64 + 1);
	assert_memory_equal(bytes.data + HEAD, rekey.member.b, 32);
	assert_int_equal(bytes.data[HEAD + 32], FTC_ALGORITHM_ED25519);
	assert_memory_equal(bytes.data + HEAD + 33, rekey.key.b, 32);
	assert_memory_equal(bytes.data + HEAD + 65, rekey.possession.b, 64);
}

static void
test_layout_erase(void **state)
{
	FtcControl	control = some_control(FTC_CONTROL_ERASE);
	FtcSlice	bytes;

	(void) state;
	control.from = 0x0a;
	control.to = 0x0b;
	bytes = leaf_of(&control);
	assert_int_equal(bytes.len, HEAD + 32 + 8 + 8 + 1);
	assert_memory_equal(bytes.data + HEAD, control.member.b, 32);
	assert_memory_equal(bytes.data + HEAD + 32, "\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\x0b", 16);
	control = some_control(FTC_CONTROL_REMOVE_MEMBER);
	bytes = leaf_of(&control);
	assert_int_equal(bytes.len, HEAD + 32 + 1);
	assert_memory_equal(bytes.data + HEAD, control.member.b, 32);
}

static void
test_layout_params(void **state)
{
	FtcParams	params = easy_params();
	FtcControl	control = control_params(&params);
	FtcSlice	bytes = params_bytes(&params);
	FtcSlice	leaf = leaf_of(&control);

	(void) state;
	assert_int_equal(bytes.len, 76 + 5);
	assert_memory_equal(bytes.data, "\0\0\0\1", 4);
	assert_memory_equal(bytes.data + 4, "\0\0\0\0\0\x98\x96\x80\0\0\0\0\0\x0f\x42\x40", 16);
	assert_memory_equal(bytes.data + 20, "\0\0\0\0\xd6\x93\xa4\0\0\0\0\0\x03\x93\x87\0", 16);
	assert_memory_equal(bytes.data + 36, "\x20\x7f\xff\xff\0\0\0\x40\0\x10\0\0\0\1\0\0", 16);
	assert_memory_equal(bytes.data + 52, "\0\0\0\x64\0\0\0\x0a\0\0\0\x05", 12);
	assert_memory_equal(bytes.data + 64, "\0\3\0\2\0\2\0\0\0\2\0\0\4easy", 17);
	assert_slice_equal(ftc_slice(leaf.data + HEAD, leaf.len - HEAD - 1), bytes);
}

/* Everything of a control comes back, and what it has not is zero. */
static void
test_decode(void **state)
{
	(void) state;
	for (int kind = FTC_CONTROL_PARAMS; kind <= FTC_CONTROL_PRUNE; kind++)
	{
		FtcControl	control = some_control((FtcControlKind) kind);
		FtcSlice	leaf = leaf_of(&control);
		FtcControl	found;
		bool		has_range = kind == FTC_CONTROL_ERASE || kind == FTC_CONTROL_PRUNE;

		memset(&found, 0xaa, sizeof(found));
		assert_reason(ftc_control_leaf_decode(&found, leaf), FTC_OK);
		assert_int_equal(found.kind, kind);
		assert_memory_equal(found.nonce, control.nonce, sizeof(found.nonce));
		assert_int_equal(found.not_after, control.not_after);
		assert_int_equal(found.algorithm, control.algorithm);
		assert_memory_equal(found.key.b, control.key.b, FTC_KEY_LEN);
		assert_int_equal(found.weight, control.weight);
		assert_int_equal(found.flags, control.flags);
		assert_slice_equal(found.zone, control.zone);
		assert_slice_equal(found.name, control.name);
		assert_memory_equal(found.possession.b, control.possession.b, FTC_SIGNATURE_LEN);
		assert_int_equal(found.from, has_range ? control.from : 0);
		assert_int_equal(found.to, has_range ? control.to : 0);
		assert_slice_equal(found.params.name, control.params.name);
		assert_int_equal(found.nsigners, 0);
		assert_slice_equal(found.core, ftc_slice(leaf.data, leaf.len - 1));
	}
}

static void
test_params_decode(void **state)
{
	FtcParams	params = easy_params();
	FtcParams	found;

	(void) state;
	params.min_spacing = 1234567;
	params.limit_bits = FTC_POW_BITS_DEFAULT;
	memset(&found, 0xaa, sizeof(found));
	assert_reason(ftc_params_decode(&found, params_bytes(&params)), FTC_OK);
	assert_int_equal(found.consensus, params.consensus);
	assert_int_equal(found.spacing, params.spacing);
	assert_int_equal(found.min_spacing, params.min_spacing);
	assert_int_equal(found.half_life, params.half_life);
	assert_int_equal(found.future_bound, params.future_bound);
	assert_int_equal(found.limit_bits, params.limit_bits);
	assert_int_equal(found.max_leaves, params.max_leaves);
	assert_int_equal(found.max_body, params.max_body);
	assert_int_equal(found.max_payload, params.max_payload);
	assert_int_equal(found.reorg_limit, params.reorg_limit);
	assert_int_equal(found.epoch_blocks, params.epoch_blocks);
	assert_int_equal(found.settle_blocks, params.settle_blocks);
	assert_int_equal(found.replicas, params.replicas);
	assert_int_equal(found.stored_quorum, params.stored_quorum);
	assert_int_equal(found.governors, params.governors);
	assert_int_equal(found.flags, params.flags);
	assert_int_equal(found.durability, params.durability);
	assert_int_equal(found.shard_data, params.shard_data);
	assert_int_equal(found.shard_parity, params.shard_parity);
	assert_slice_equal(found.name, params.name);
}

static void
test_mutations(void **state)
{
	TestPerson	signers[] = {person(3), person(4), person(5)};

	(void) state;
	for (int kind = FTC_CONTROL_PARAMS; kind <= FTC_CONTROL_PRUNE; kind++)
	{
		FtcControl	control = some_control((FtcControlKind) kind);
		FtcSlice	leaf = leaf_of(&control);

		assert_int_equal(check_lengths(&codec_control, leaf), 0);
		for (size_t len = 0; len < leaf.len; len++)
			check_reason(&codec_control, ftc_slice(leaf.data, len), FTC_BAD_LENGTH);
		assert_true(check_bytes(&codec_control, leaf) >= 16 * 255);
		leaf = control_leaf(&control, signers, 3, &ftc_hash_zero);
		assert_int_equal(check_lengths(&codec_control, leaf), 0);
		assert_true(check_bytes(&codec_control, leaf) >= 3 * 64 * 255);
	}
}

static void
test_params_mutations(void **state)
{
	FtcParams	params = easy_params();
	FtcSlice	bytes = params_bytes(&params);

	(void) state;
	assert_int_equal(check_lengths(&codec_params, bytes), 0);
	for (size_t len = 0; len < bytes.len; len++)
		check_reason(&codec_params, ftc_slice(bytes.data, len), FTC_BAD_LENGTH);
	assert_true(check_bytes(&codec_params, bytes) > 100);
}

static void
test_encode_size(void **state)
{
	TestPerson	signer = person(3);

	(void) state;
	for (int kind = FTC_CONTROL_PARAMS; kind <= FTC_CONTROL_PRUNE; kind++)
	{
		FtcControl	control = some_control((FtcControlKind) kind);
		FtcSlice	leaf = control_leaf(&control, &signer, 1, &ftc_hash_zero);

		for (size_t size = 0; size < leaf.len; size++)
			assert_int_equal(ftc_control_leaf_encode(&control, keep(size), size), leaf.len);
	}
}

static void
test_kind(void **state)
{
	FtcControl	control = some_control(FTC_CONTROL_PRUNE);
	FtcSlice	leaf = leaf_of(&control);

	(void) state;
	check_reason(&codec_control, with_byte(leaf, 0, 0), FTC_BAD_VERSION);
	check_reason(&codec_control, with_byte(leaf, 0, 2), FTC_BAD_VERSION);
	for (int class = 0; class < 256; class++)
		if (class != FTC_LEAF_CONTROL)
			check_reason(&codec_control, with_byte(leaf, 1, (uint8_t) class), FTC_BAD_KIND);
	for (int zero = 1; zero < 256; zero++)
		check_reason(&codec_control, with_byte(leaf, 3, (uint8_t) zero), FTC_NOT_CANONICAL);
	check_reason(&codec_control, with_byte(leaf, 2, 0), FTC_BAD_KIND);
	for (int kind = FTC_CONTROL_PRUNE + 1; kind < 256; kind++)
		check_reason(&codec_control, with_byte(leaf, 2, (uint8_t) kind), FTC_BAD_KIND);
}

static void
test_not_after(void **state)
{
	FtcControl	control = some_control(FTC_CONTROL_PRUNE);

	(void) state;
	control.not_after = 0;
	check(&control, FTC_OK);
	control.not_after = INT64_MAX;
	check(&control, FTC_OK);
	control.not_after++;
	check(&control, FTC_OUT_OF_RANGE);
}

static void
test_size(void **state)
{
	FtcControl	control = some_control(FTC_CONTROL_PRUNE);
	FtcSlice	leaf = leaf_of(&control);
	uint8_t    *bytes = keep(FTC_CONTROL_MAX + 1);

	(void) state;
	memcpy(bytes, leaf.data, leaf.len);
	check_reason(&codec_control, ftc_slice(bytes, FTC_CONTROL_MAX), FTC_BAD_LENGTH);
	check_reason(&codec_control, ftc_slice(bytes, FTC_CONTROL_MAX + 1), FTC_TOO_LARGE);
}

static void
test_keys(void **state)
{
	FtcControlKind kinds[] = {FTC_CONTROL_ADD_MEMBER, FTC_CONTROL_REKEY};

	(void) state;
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		FtcControl	control = some_control(kinds[i]);

		control.algorithm = 0;
		check(&control, FTC_BAD_KEY);
		control.algorithm = 2;
		check(&control, FTC_BAD_KEY);
		control = some_control(kinds[i]);
		memset(control.key.b, 0, FTC_KEY_LEN);
		check(&control, FTC_BAD_KEY);
		memset(control.key.b, 0xff, FTC_KEY_LEN);
		check(&control, FTC_BAD_KEY);
	}
}

/* What a member may be, in both kinds that say it. */
static void
test_members(void **state)
{
	FtcControlKind kinds[] = {FTC_CONTROL_ADD_MEMBER, FTC_CONTROL_SET_MEMBER};

	(void) state;
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		FtcControl	control = some_control(kinds[i]);

		control.weight = FTC_WEIGHT_MAX;
		check(&control, FTC_OK);
		control.weight++;
		check(&control, FTC_OUT_OF_RANGE);
		control.weight = 0;
		check(&control, FTC_OK);
		control.flags = 0;
		check(&control, FTC_OK);
		control.flags = FTC_MEMBER_FLAGS;
		check(&control, FTC_OK);
		for (int bit = 2; bit < 8; bit++)
		{
			control.flags = (uint8_t) (1 << bit);
			check(&control, FTC_OUT_OF_RANGE);
		}
		control = some_control(kinds[i]);
		control.zone = text ("");

		check(&control, FTC_OK);
		control.zone = filled('z', FTC_NAME_MAX);
		check(&control, FTC_OK);
		control.zone = filled('z', FTC_NAME_MAX + 1);
		check(&control, FTC_TOO_LARGE);
		control.zone = text ("\xc0\x80");

		check(&control, FTC_BAD_TEXT);
	}
}

static void
test_names(void **state)
{
	FtcControl	control = some_control(FTC_CONTROL_ADD_MEMBER);

	(void) state;
	control.name = filled('n', FTC_NAME_MAX);
	check(&control, FTC_OK);
	control.name = filled('n', FTC_NAME_MAX + 1);
	check(&control, FTC_TOO_LARGE);
	control.name = ftc_slice("a\0b", 3);
	check(&control, FTC_BAD_TEXT);
	control.name = text ("");

	check(&control, FTC_OK);
}

static void
test_erase(void **state)
{
	FtcControl	control = some_control(FTC_CONTROL_ERASE);

	(void) state;
	control.from = control.to = INT64_MAX;
	check(&control, FTC_OK);
	control.from++;
	check(&control, FTC_OUT_OF_RANGE);
	control.from = 0;
	check(&control, FTC_OUT_OF_RANGE);
	control.from = 1;
	control.to++;
	check(&control, FTC_OUT_OF_RANGE);
	control.to = 0;
	check(&control, FTC_OUT_OF_RANGE);
	control.to = 1;
	check(&control, FTC_OK);
}

static void
test_prune(void **state)
{
	FtcControl	control = some_control(FTC_CONTROL_PRUNE);

	(void) state;
	control.from = control.to = 0;
	check(&control, FTC_OK);
	control.from = 1;
	check(&control, FTC_OUT_OF_RANGE);
	control.to = INT64_MAX;
	check(&control, FTC_OK);
	control.to++;
	check(&control, FTC_OUT_OF_RANGE);
	control.from = control.to;
	check(&control, FTC_OUT_OF_RANGE);
	control.from = control.to = INT64_MAX;
	check(&control, FTC_OK);
}

/* A control with so many signers, made up and ascending. */
static FtcSlice
signed_leaf(uint32_t n)
{
	FtcControl	control = some_control(FTC_CONTROL_PRUNE);
	uint8_t    *signers = keep(96 * (size_t) n);
	size_t		len;
	uint8_t    *leaf;

	for (uint32_t i = 0; i < n; i++)
		signers[96 * i + 31] = (uint8_t) i;
	control.nsigners = (uint8_t) n;
	control.signers = ftc_slice(signers, 96 * (size_t) n);
	len = ftc_control_leaf_encode(&control, NULL, 0);
	leaf = keep(len);
	ftc_control_leaf_encode(&control, leaf, len);
	return ftc_slice(leaf, len);
}

static void
test_signers(void **state)
{
	FtcSlice	leaf;
	size_t		at = HEAD + 16; /* of the number of signers */

	(void) state;
	for (uint32_t n = 0; n <= 256 - 1; n++)
		check_reason(&codec_control, signed_leaf(n), 28 + 16 + 1 + 96 * n > FTC_CONTROL_MAX
					 ? FTC_TOO_LARGE : n > FTC_SIGNERS_MAX ? FTC_TOO_MANY : FTC_OK);
	leaf = signed_leaf(2);
	check_reason(&codec_control, with_byte(leaf, at, 1), FTC_BAD_LENGTH);
	check_reason(&codec_control, with_byte(leaf, at, 3), FTC_BAD_LENGTH);
	/* nobody twice, and in one order only */
	check_reason(&codec_control, with_byte(leaf, at + 1 + 96 + 31, 0), FTC_NOT_CANONICAL);
	check_reason(&codec_control, with_byte(leaf, at + 1 + 31, 2), FTC_NOT_CANONICAL);
	check_reason(&codec_control, with_byte(leaf, at + 1, 1), FTC_NOT_CANONICAL);
	/* a signer of zeros is one as any other, as long as it is the first */
	check_reason(&codec_control, signed_leaf(1), FTC_OK);
}

static void
test_signer(void **state)
{
	TestPerson	signers[] = {person(3), person(4), person(5)};
	FtcHash		chain = hash_of("chain", 0);
	FtcControl	control = some_control(FTC_CONTROL_PRUNE);
	FtcSlice	leaf = control_leaf(&control, signers, 3, &chain);
	FtcHash		digest;

	(void) state;
	assert_reason(ftc_control_leaf_decode(&control, leaf), FTC_OK);
	assert_int_equal(control.nsigners, 3);
	digest = ftc_control_digest(control.core);
	for (int i = 0; i < 3; i++)
	{
		FtcSignature signature;
		FtcHash		signer = ftc_control_signer(&control, i, &signature);
		int			found = 0;

		for (int j = 0; j < 3; j++)
			if (ftc_hash_equal(&signer, &signers[j].id))
			{
				assert_reason(ftc_verify(&signers[j].key, FTC_DOMAIN_CONTROL, &chain, &digest,
										 &signature), FTC_OK);
				found++;
			}
		assert_int_equal(found, 1);
	}
}

static void
test_digest(void **state)
{
	FtcControl	control = some_control(FTC_CONTROL_PRUNE);
	FtcSlice	leaf = leaf_of(&control);
	FtcHash		found;
	FtcHash		expected = ftc_sha256(ftc_slice(leaf.data, leaf.len - 1));

	(void) state;
	assert_reason(ftc_control_leaf_decode(&control, leaf), FTC_OK);
	found = ftc_control_digest(control.core);
	assert_hash_equal(&found, &expected);
}

/* Every number of the parameters: where it is, and what it may be. */
typedef struct Bounds
{
	size_t		at;
	int			width;
	uint64_t	least;
	uint64_t	most;
} Bounds;

static const Bounds param_bounds[] = {
	{4, 8, SECOND, YEAR},		/* spacing, from min_spacing */
	{12, 8, 1, 10 * SECOND},	/* min_spacing, up to spacing */
	{20, 8, 1, YEAR},			/* half_life */
	{28, 8, 1, YEAR},			/* future_bound */
	{40, 4, 16, FTC_LEAVES_MAX},	/* max_leaves */
	{44, 4, 2 << 16, FTC_BODY_MAX}, /* max_body, from twice max_payload */
	{48, 4, 1, 1 << 19},		/* max_payload, up to half of max_body */
	{52, 4, 5, 1000000},		/* reorg_limit, from settle_blocks */
	{56, 4, 1, 1000000},		/* epoch_blocks */
	{60, 4, 1, 100},			/* settle_blocks, up to reorg_limit */
	{64, 2, 2, 100},			/* replicas, from stored_quorum */
	{66, 2, 1, 3},				/* stored_quorum, up to replicas */
	{68, 2, 1, FTC_SIGNERS_MAX},	/* governors */
	{70, 2, 0, 0},				/* flags */
	{72, 2, 1, 3},				/* durability, up to replicas */
	{74, 1, 0, 0},				/* shard_data: none without shard_parity */
	{75, 1, 0, 0},				/* shard_parity: none without shard_data */
};

static void
test_params_bounds(void **state)
{
	FtcParams	params = easy_params();
	FtcSlice	bytes = params_bytes(&params);

	(void) state;
	for (size_t i = 0; i < lengthof(param_bounds); i++)
	{
		const Bounds *b = &param_bounds[i];
		uint64_t	all = UINT64_MAX >> (64 - 8 * b->width);

		check_reason(&codec_params, with_be(bytes, b->at, b->least, b->width), FTC_OK);
		check_reason(&codec_params, with_be(bytes, b->at, b->most, b->width), FTC_OK);
		check_reason(&codec_params, with_be(bytes, b->at, b->most + 1, b->width), FTC_OUT_OF_RANGE);
		check_reason(&codec_params, with_be(bytes, b->at, all, b->width), FTC_OUT_OF_RANGE);
		if (b->least > 0)
		{
			check_reason(&codec_params, with_be(bytes, b->at, b->least - 1, b->width),
						 FTC_OUT_OF_RANGE);
			check_reason(&codec_params, with_be(bytes, b->at, 0, b->width), FTC_OUT_OF_RANGE);
		}
	}
}

/* The bounds that do not depend on another parameter. */
static void
test_params_free_bounds(void **state)
{
	FtcParams	params = easy_params();

	(void) state;
	params.spacing = params.min_spacing = 1;
	check_params(&params, FTC_OK);
	params.spacing = params.min_spacing = YEAR;
	check_params(&params, FTC_OK);
	params.spacing = params.min_spacing = YEAR + 1;
	check_params(&params, FTC_OUT_OF_RANGE);
	params = easy_params();
	params.max_payload = 1;
	params.max_body = 65536;
	check_params(&params, FTC_OK);
	params.max_body = 65535;
	check_params(&params, FTC_OUT_OF_RANGE);
	params.max_body = FTC_BODY_MAX;
	params.max_payload = FTC_PAYLOAD_MAX;
	check_params(&params, FTC_OK);
	params.max_payload = FTC_PAYLOAD_MAX + 1;
	check_params(&params, FTC_OUT_OF_RANGE);
	params = easy_params();
	params.settle_blocks = params.reorg_limit = 1;
	check_params(&params, FTC_OK);
	params.settle_blocks = params.reorg_limit = 1000000;
	check_params(&params, FTC_OK);
	params.stored_quorum = params.replicas = params.durability = 1;
	check_params(&params, FTC_OK);
	params.stored_quorum = params.replicas = 100;
	check_params(&params, FTC_OK);
	params.stored_quorum = params.replicas = 101;
	check_params(&params, FTC_OUT_OF_RANGE);
}

/* Shards: some of each, as many as there are owners at most, and safe enough. */
static void
test_params_shards(void **state)
{
	static const struct
	{
		uint8_t		data;
		uint8_t		parity;
		uint16_t	durability;
		FtcReason	reason;
	}			cases[] = {
		{0, 0, 3, FTC_OK}, {1, 1, 2, FTC_OK}, {4, 2, 3, FTC_OK}, {4, 2, 4, FTC_OUT_OF_RANGE},
		{4, 1, 3, FTC_OUT_OF_RANGE}, {0, 1, 1, FTC_OUT_OF_RANGE}, {4, 0, 1, FTC_OUT_OF_RANGE},
		{98, 2, 3, FTC_OK}, {99, 2, 3, FTC_OUT_OF_RANGE}, {255, 255, 1, FTC_OUT_OF_RANGE},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		FtcParams	params = easy_params();

		params.shard_data = cases[i].data;
		params.shard_parity = cases[i].parity;
		params.durability = cases[i].durability;
		check_params(&params, cases[i].durability <= params.replicas ? cases[i].reason : FTC_OUT_OF_RANGE);
	}
}

static void
test_params_consensus(void **state)
{
	FtcParams	params = easy_params();

	(void) state;
	params.consensus = 0;
	check_params(&params, FTC_BAD_KIND);
	params.consensus = FTC_CONSENSUS_DPOS + 1;
	check_params(&params, FTC_BAD_KIND);
	/* the limit must be one, in its one form, if there is work to prove */
	params = easy_params();
	params.limit_bits = 0;
	check_params(&params, FTC_OUT_OF_RANGE);
	params.limit_bits = 0x1f000fff;
	check_params(&params, FTC_OUT_OF_RANGE);
	params.limit_bits = 0x20ffffff;
	check_params(&params, FTC_OUT_OF_RANGE);
	params.consensus = FTC_CONSENSUS_POS;
	check_params(&params, FTC_OK);
	params.consensus = FTC_CONSENSUS_DPOS;
	check_params(&params, FTC_OK);
}

static void
test_params_name(void **state)
{
	FtcParams	params = easy_params();

	(void) state;
	params.name = text ("");

	check_params(&params, FTC_OUT_OF_RANGE);
	params.name = text ("x");

	check_params(&params, FTC_OK);
	params.name = filled('x', FTC_NAME_MAX);
	check_params(&params, FTC_OK);
	params.name = filled('x', FTC_NAME_MAX + 1);
	check_params(&params, FTC_TOO_LARGE);
	params.name = text ("\xff");

	check_params(&params, FTC_BAD_TEXT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_layout_head),
		test(test_layout_members),
		test(test_layout_erase),
		test(test_layout_params),
		test(test_decode),
		test(test_params_decode),
		test(test_mutations),
		test(test_params_mutations),
		test(test_encode_size),
		test(test_kind),
		test(test_not_after),
		test(test_size),
		test(test_keys),
		test(test_members),
		test(test_names),
		test(test_erase),
		test(test_prune),
		test(test_signers),
		test(test_signer),
		test(test_digest),
		test(test_params_bounds),
		test(test_params_free_bounds),
		test(test_params_shards),
		test(test_params_consensus),
		test(test_params_name),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}

/*-------------------------------------------------------------------------
 *
 * test_state.c
 *	  Tests of state.c: its bytes, who may do what, and what it does.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>

#include "build.h"
#include "entry.h"
#include "merkle.h"
#include "mutate.h"
#include "state.h"

static FtcHash chain;
static TestPerson people[TEST_MEMBERS_MAX];

static int
choose_people(void **state)
{
	(void) state;
	chain = hash_of("chain", 0);
	for (uint64_t i = 0; i < lengthof(people); i++)
		people[i] = person(i);
	return 0;
}

/* Apply a control that must do something. */
static void
apply(FtcState *state, const FtcControl *control)
{
	assert_true(ftc_state_apply(state, control));
}

/* The first n people, the first so many of them governors. */
static FtcState
state_of(uint32_t n, uint32_t ngovernors)
{
	FtcState	state = {0};

	state.params = easy_params();
	state.capacity = TEST_MEMBERS_MAX;
	state.members = keep(sizeof(FtcMember) * TEST_MEMBERS_MAX);
	for (uint32_t i = 0; i < n; i++)
	{
		FtcControl	control = control_add(&people[i], i < ngovernors ? FTC_MEMBER_GOVERNOR : 0,
										  i % 2 ? "east" : "west", &chain);

		apply(&state, &control);
	}
	return state;
}

static FtcSlice
encoded(const FtcState *state)
{
	size_t		len = ftc_state_encode(state, NULL, 0);
	uint8_t    *bytes = keep(len);

	ftc_state_encode(state, bytes, len);
	return ftc_slice(bytes, len);
}

static FtcMember *
member_of(const FtcState *state, uint32_t who)
{
	return (FtcMember *) ftc_state_find(state, &people[who].id);
}


/* ---- bytes */

/* The table in state.h. */
static void
test_layout(void **state)
{
	FtcState	some = state_of(3, 2);
	FtcReader	reader;
	FtcSlice	leaf;
	uint8_t		params[256];
	size_t		len = ftc_params_encode(&some.params, params, sizeof(params));
	static const uint8_t voters[34] = {1, 17};

	(void) state;
	some.folded = UINT64_C(0x0102030405060708);
	reader = ftc_reader(encoded(&some));
	leaf = ftc_get_slice(&reader, ftc_get_u16(&reader));
	assert_int_equal(leaf.len, 10 + len);
	assert_memory_equal(leaf.data, "\x01\x10\x01\x02\x03\x04\x05\x06\x07\x08", 10);
	assert_memory_equal(leaf.data + 10, params, len);
	leaf = ftc_get_slice(&reader, ftc_get_u16(&reader));
	assert_slice_equal(leaf, ftc_slice(voters, sizeof(voters)));
	for (int i = 0; i < 3; i++)
	{
		leaf = ftc_get_slice(&reader, ftc_get_u16(&reader));
		assert_memory_equal(leaf.data, "\x01\x12", 2);
		assert_memory_equal(leaf.data + 2, some.members[i].id.b, 32);
		assert_int_equal(leaf.data[34], FTC_ALGORITHM_ED25519);
		assert_memory_equal(leaf.data + 35, some.members[i].key.b, 32);
		assert_memory_equal(leaf.data + 67, "\0\0\0\1", 4);
		assert_int_equal(leaf.data[71], some.members[i].flags);
		assert_memory_equal(leaf.data + 72, some.members[i].zone.data[0] == 'e'
							? "\4east\10somebody" : "\4west\10somebody", 14);
		assert_int_equal(leaf.len, 86);
	}
	assert_true(ftc_reader_is_done(&reader));
}

static void
test_decode(void **state)
{
	FtcState	some = state_of(5, 3);
	FtcState	found = {0};
	FtcSlice	bytes;

	(void) state;
	some.folded = INT64_MAX;
	bytes = encoded(&some);
	found.capacity = ftc_state_capacity(bytes);
	assert_in_range(found.capacity, 5, 10);
	found.members = keep(found.capacity * sizeof(FtcMember));
	assert_reason(ftc_state_decode(&found, bytes), FTC_OK);
	assert_int_equal(found.folded, some.folded);
	assert_int_equal(found.nmembers, 5);
	assert_slice_equal(found.params.name, some.params.name);
	for (int i = 0; i < 5; i++)
	{
		assert_hash_equal(&found.members[i].id, &some.members[i].id);
		assert_memory_equal(found.members[i].key.b, some.members[i].key.b, FTC_KEY_LEN);
		assert_int_equal(found.members[i].algorithm, some.members[i].algorithm);
		assert_int_equal(found.members[i].weight, some.members[i].weight);
		assert_int_equal(found.members[i].flags, some.members[i].flags);
		assert_slice_equal(found.members[i].zone, some.members[i].zone);
		assert_slice_equal(found.members[i].name, some.members[i].name);
	}
}

/*
 * Cut between members, a state is another state: its root tells them apart.
 * Cut anywhere else, it is none.
 */
static void
test_lengths(void **state)
{
	(void) state;
	for (uint32_t n = 0; n < 4; n++)
	{
		FtcState	some = state_of(n, n);

		assert_int_equal(check_lengths(&codec_state, encoded(&some)), n);
		for (size_t size = 0; size < encoded(&some).len; size += 7)
			assert_int_equal(ftc_state_encode(&some, keep(size), size), encoded(&some).len);
	}
}

static void
test_mutations(void **state)
{
	FtcState	some = state_of(3, 2);

	(void) state;
	assert_true(check_bytes(&codec_state, encoded(&some)) > 32 * 255);
}

static void
test_cut_reasons(void **state)
{
	FtcState	some = state_of(1, 1);
	FtcSlice	bytes = encoded(&some);
	size_t		voters = 2 + 10 + 81;	/* where their leaf begins */

	(void) state;
	for (size_t len = 0; len < bytes.len; len++)
		if (len != voters + 36)
			check_reason(&codec_state, ftc_slice(bytes.data, len),
						 len >= voters && len < voters + 36 ? FTC_NOT_CANONICAL : FTC_BAD_LENGTH);
	check_reason(&codec_state, with_byte(bytes, 2, 2), FTC_BAD_VERSION);
	check_reason(&codec_state, with_byte(bytes, 3, 18), FTC_BAD_KIND);
	check_reason(&codec_state, with_be(bytes, 4, INT64_MAX, 8), FTC_OK);
	check_reason(&codec_state, with_be(bytes, 4, (uint64_t) INT64_MAX + 1, 8), FTC_OUT_OF_RANGE);
	check_reason(&codec_state, with_be(bytes, 12, 4, 4), FTC_BAD_KIND);
	for (size_t at = voters; at < voters + 36; at++)
		check_reason(&codec_state, with_byte(bytes, at, bytes.data[at] ^ 1), FTC_NOT_CANONICAL);
	/* with stakes it names a record */
	bytes = with_be(bytes, 12, FTC_CONSENSUS_POS, 4);
	for (size_t at = voters + 4; at < voters + 36; at++)
		check_reason(&codec_state, with_byte(bytes, at, 1), FTC_OK);
	check_reason(&codec_state, with_byte(bytes, voters + 3, 18), FTC_NOT_CANONICAL);
}

static void
test_member_leaf(void **state)
{
	FtcState	some = state_of(1, 1);
	uint8_t		encoded_member[FTC_MEMBER_LEAF_MAX];
	size_t		len = ftc_member_leaf_encode(&some.members[0], encoded_member);
	FtcSlice	leaf = keep_copy(ftc_slice(encoded_member, len));

	(void) state;
	assert_int_equal(check_lengths(&codec_member, leaf), 0);
	for (size_t cut = 0; cut < len; cut++)
		check_reason(&codec_member, ftc_slice(leaf.data, cut), FTC_BAD_LENGTH);
	assert_true(check_bytes(&codec_member, leaf) > 50 * 255);
	check_reason(&codec_member, with_byte(leaf, 0, 2), FTC_BAD_VERSION);
	for (int class = 0; class < 256; class++)
		if (class != FTC_LEAF_MEMBER)
			check_reason(&codec_member, with_byte(leaf, 1, (uint8_t) class), FTC_BAD_KIND);
	check_reason(&codec_member, with_byte(leaf, 34, 0), FTC_BAD_KEY);
	check_reason(&codec_member, with_byte(leaf, 34, 2), FTC_BAD_KEY);
	check_reason(&codec_member, with_be(leaf, 67, FTC_WEIGHT_MAX, 4), FTC_OK);
	check_reason(&codec_member, with_be(leaf, 67, FTC_WEIGHT_MAX + 1, 4), FTC_OUT_OF_RANGE);
	check_reason(&codec_member, with_byte(leaf, 71, FTC_MEMBER_FLAGS), FTC_OK);
	check_reason(&codec_member, with_byte(leaf, 71, FTC_MEMBER_FLAGS + 1), FTC_OUT_OF_RANGE);
	check_reason(&codec_member, with_byte(leaf, 73, 0xff), FTC_BAD_TEXT);
	check_reason(&codec_member, with_byte(leaf, 78, 0), FTC_BAD_TEXT);
}

static void
check_member(const FtcMember *member, FtcReason expected)
{
	uint8_t    *bytes = keep(1024);
	FtcWriter	writer = ftc_writer(bytes, 1024);

	ftc_put_u16(&writer, 0x0112);
	ftc_put_hash(&writer, &member->id);
	ftc_put_u8(&writer, member->algorithm);
	ftc_put_bytes(&writer, member->key.b, FTC_KEY_LEN);
	ftc_put_u32(&writer, member->weight);
	ftc_put_u8(&writer, member->flags);
	ftc_put_name(&writer, member->zone);
	ftc_put_name(&writer, member->name);
	check_reason(&codec_member, keep_copy(ftc_slice(bytes, writer.len)), expected);
}

static void
test_member_limits(void **state)
{
	FtcState	some = state_of(1, 1);
	FtcMember	member = some.members[0];

	(void) state;
	member.zone = member.name = filled('n', FTC_NAME_MAX);
	check_member(&member, FTC_OK);
	member.zone = filled('n', FTC_NAME_MAX + 1);
	check_member(&member, FTC_TOO_LARGE);
	member.zone = text ("");

	member.name = filled('n', FTC_NAME_MAX + 1);
	check_member(&member, FTC_TOO_LARGE);
	member.name = text ("");

	check_member(&member, FTC_OK);
	member.weight = 0;
	check_member(&member, FTC_OK);
	memset(member.key.b, 0xff, FTC_KEY_LEN);
	check_member(&member, FTC_BAD_KEY);
	memset(member.key.b, 0, FTC_KEY_LEN);
	check_member(&member, FTC_BAD_KEY);
}

/* Members ascend, and none is there twice. */
static void
test_member_order(void **state)
{
	FtcState	some = state_of(3, 2);
	FtcMember	swap = some.members[1];

	(void) state;
	some.members[1] = some.members[0];
	check_reason(&codec_state, encoded(&some), FTC_NOT_CANONICAL);
	some.members[0] = swap;
	check_reason(&codec_state, encoded(&some), FTC_NOT_CANONICAL);
	some.members[0] = some.members[1];
	some.members[1] = swap;
	check_reason(&codec_state, encoded(&some), FTC_OK);
}

/* So many members with ids and keys made up, ascending. */
static FtcState
crowd(uint32_t n)
{
	FtcState	state = {0};

	state.params = easy_params();
	state.capacity = n;
	state.members = keep(n * sizeof(FtcMember));
	for (uint32_t i = 0; i < n; i++)
	{
		state.members[i].id.b[1] = (uint8_t) (i >> 8);
		state.members[i].id.b[2] = (uint8_t) i;
		state.members[i].algorithm = FTC_ALGORITHM_ED25519;
		state.members[i].key = people[0].key;
	}
	state.nmembers = n;
	return state;
}

static void
test_member_count(void **state)
{
	FtcState	some = crowd(FTC_MEMBERS_MAX + 1);
	FtcState	found = some;
	FtcSlice	bytes = encoded(&some);
	FtcSlice	fewer;

	(void) state;
	/* as many as there may be at most, whatever room there is */
	assert_true(ftc_state_capacity(bytes) > FTC_MEMBERS_MAX);
	assert_reason(ftc_state_decode(&found, bytes), FTC_TOO_MANY);
	some.nmembers--;
	fewer = encoded(&some);
	check_reason(&codec_state, fewer, FTC_OK);
	check_reason(&codec_state, bytes, FTC_TOO_MANY);
	/* and not more than there is room for */
	found.capacity = FTC_MEMBERS_MAX - 1;
	assert_reason(ftc_state_decode(&found, fewer), FTC_TOO_MANY);
	found.capacity = FTC_MEMBERS_MAX;
	assert_reason(ftc_state_decode(&found, fewer), FTC_OK);
}

static void
test_capacity(void **state)
{
	(void) state;
	for (uint32_t n = 0; n < 200; n++)
	{
		FtcState	some = crowd(n);

		assert_true(ftc_state_capacity(encoded(&some)) >= n);
	}
	assert_true(ftc_state_capacity(ftc_slice(NULL, 0)) >= 1);
}

/* The root is RFC 6962's over the leaves. */
static void
test_root(void **state)
{
	(void) state;
	for (uint32_t n = 0; n < 10; n++)
	{
		FtcState	some = state_of(n, n);
		FtcReader	reader = ftc_reader(encoded(&some));
		FtcHash		leaves[12];
		FtcHash		root = ftc_state_root(&some);
		FtcHash		expected;

		for (uint32_t i = 0; i < n + 2; i++)
		{
			FtcHash		leaf = ftc_state_leaf_hash(&some, i);

			leaves[i] = ftc_merkle_leaf(ftc_get_slice(&reader, ftc_get_u16(&reader)));
			assert_hash_equal(&leaf, &leaves[i]);
		}
		expected = ftc_merkle_root(leaves, n + 2);
		assert_hash_equal(&root, &expected);
	}
}

/* Whatever changes in a state changes its root. */
static void
test_root_covers(void **state)
{
	FtcState	some = state_of(3, 2);
	FtcSlice	bytes = encoded(&some);
	FtcHash		root = ftc_state_root(&some);
	int			accepted = 0;

	(void) state;
	for (size_t at = 0; at < bytes.len; at++)
		for (int bit = 0; bit < 8; bit++)
		{
			FtcState	other = state_of(0, 0);
			FtcHash		found;

			((uint8_t *) bytes.data)[at] ^= (uint8_t) (1 << bit);
			if (ftc_state_decode(&other, bytes) == FTC_OK)
			{
				found = ftc_state_root(&other);
				assert_false(ftc_hash_equal(&found, &root));
				accepted++;
			}
			((uint8_t *) bytes.data)[at] ^= (uint8_t) (1 << bit);
		}
	assert_true(accepted > 500);
}

static void
test_find(void **state)
{
	(void) state;
	for (uint32_t n = 0; n <= 12; n++)
	{
		FtcState	some = state_of(n, n);
		FtcHash		high;

		for (uint32_t i = 0; i < TEST_MEMBERS_MAX; i++)
		{
			const FtcMember *found = ftc_state_find(&some, &people[i].id);

			assert_int_equal(found != NULL, i < n);
			if (found != NULL)
				assert_hash_equal(&found->id, &people[i].id);
		}
		memset(high.b, 0xff, sizeof(high.b));
		assert_null(ftc_state_find(&some, &high));
		assert_null(ftc_state_find(&some, &ftc_hash_zero));
	}
}


/* ---- who may do what: people 0, 1, 2 are governors, two of which suffice */

static FtcState
governed(void)
{
	return state_of(5, 3);
}

static FtcReason
authorise(FtcControl *control, const TestPerson *signers, int n)
{
	FtcState	state = governed();
	FtcControl	decoded;

	assert_reason(ftc_control_leaf_decode(&decoded, control_leaf(control, signers, n, &chain)),
				  FTC_OK);
	return ftc_state_authorise(&state, &decoded, &chain);
}

/* A control of this kind about person 4, or person 6 who is to come. */
static FtcControl
control_for(FtcControlKind kind)
{
	FtcParams	params = easy_params();

	switch (kind)
	{
		case FTC_CONTROL_PARAMS:
			return control_params(&params);
		case FTC_CONTROL_ADD_MEMBER:
			return control_add(&people[6], 0, "zone", &chain);
		case FTC_CONTROL_REKEY:
			return control_rekey(&people[4], &people[7], &chain);
		default:
			return control_about(kind, &people[4], 0);
	}
}

static void
test_threshold(void **state)
{
	TestPerson	three[] = {people[0], people[1], people[2]};
	TestPerson	mixed[] = {people[0], people[3], people[4]};
	TestPerson	more[] = {people[0], people[3], people[2]};

	(void) state;
	for (int kind = FTC_CONTROL_PARAMS; kind <= FTC_CONTROL_PRUNE; kind++)
	{
		FtcControl	control = control_for((FtcControlKind) kind);
		bool		concerns = kind == FTC_CONTROL_REMOVE_MEMBER || kind == FTC_CONTROL_REKEY ||
		kind == FTC_CONTROL_ERASE;

		assert_reason(authorise(&control, NULL, 0), FTC_NOT_AUTHORISED);
		assert_reason(authorise(&control, three, 1), FTC_NOT_AUTHORISED);
		assert_reason(authorise(&control, three, 2), FTC_OK);
		assert_reason(authorise(&control, three, 3), FTC_OK);
		assert_reason(authorise(&control, mixed, 2), FTC_NOT_AUTHORISED);
		assert_reason(authorise(&control, mixed, 3), concerns ? FTC_OK : FTC_NOT_AUTHORISED);
		assert_reason(authorise(&control, more, 3), FTC_OK);
	}
}

/* Whom it concerns may do some of it alone; nobody else may. */
static void
test_concerned(void **state)
{
	(void) state;
	for (int kind = FTC_CONTROL_PARAMS; kind <= FTC_CONTROL_PRUNE; kind++)
	{
		FtcControl	control = control_for((FtcControlKind) kind);
		bool		concerns = kind == FTC_CONTROL_REMOVE_MEMBER || kind == FTC_CONTROL_REKEY ||
		kind == FTC_CONTROL_ERASE;

		assert_reason(authorise(&control, &people[4], 1), concerns ? FTC_OK : FTC_NOT_AUTHORISED);
		assert_reason(authorise(&control, &people[3], 1), FTC_NOT_AUTHORISED);
		assert_reason(authorise(&control, &people[0], 1), FTC_NOT_AUTHORISED);
	}
}

/* A governor may not remove another alone, but itself. */
static void
test_concerned_governor(void **state)
{
	FtcControl	control = control_about(FTC_CONTROL_REMOVE_MEMBER, &people[0], 0);

	(void) state;
	assert_reason(authorise(&control, &people[0], 1), FTC_OK);
	assert_reason(authorise(&control, &people[1], 1), FTC_NOT_AUTHORISED);
}

static void
test_strangers(void **state)
{
	TestPerson	signers[] = {people[0], people[1], people[9]};

	(void) state;
	for (int kind = FTC_CONTROL_PARAMS; kind <= FTC_CONTROL_PRUNE; kind++)
	{
		FtcControl	control = control_for((FtcControlKind) kind);

		/* one stranger spoils it, however many governors there are */
		assert_reason(authorise(&control, signers, 3), FTC_NOT_A_MEMBER);
		assert_reason(authorise(&control, signers + 2, 1), FTC_NOT_A_MEMBER);
	}
	/* nor may the newcomer vouch for itself */
	{
		FtcControl	control = control_for(FTC_CONTROL_ADD_MEMBER);

		assert_reason(authorise(&control, &people[6], 1), FTC_NOT_A_MEMBER);
	}
}

/* Any bit of a signature, or of what was signed, or another chain. */
static void
test_bad_signatures(void **state)
{
	FtcState	some = governed();
	FtcControl	control = control_for(FTC_CONTROL_PRUNE);
	FtcSlice	leaf = control_leaf(&control, people, 2, &chain);
	FtcControl	decoded;
	FtcHash		other = hash_of("chain", 1);

	(void) state;
	assert_reason(ftc_control_leaf_decode(&decoded, leaf), FTC_OK);
	assert_reason(ftc_state_authorise(&some, &decoded, &chain), FTC_OK);
	assert_reason(ftc_state_authorise(&some, &decoded, &other), FTC_BAD_SIGNATURE);
	for (size_t at = 0; at < leaf.len; at++)
	{
		FtcSlice	changed = with_byte(leaf, at, leaf.data[at] ^ 0x10);
		FtcReason	reason = ftc_control_leaf_decode(&decoded, changed);

		if (reason == FTC_OK)
			reason = ftc_state_authorise(&some, &decoded, &chain);
		if (reason == FTC_OK)
			fail_msg("byte %zu is not signed", at);
	}
	/* the second signature counts as much as the first */
	assert_reason(ftc_control_leaf_decode(&decoded, with_byte(leaf, leaf.len - 1,
															  leaf.data[leaf.len - 1] ^ 1)), FTC_OK);
	assert_reason(ftc_state_authorise(&some, &decoded, &chain), FTC_BAD_SIGNATURE);
}

/* One governor's signature under another's name. */
static void
test_borrowed_signature(void **state)
{
	FtcState	some = governed();
	FtcControl	control = control_for(FTC_CONTROL_PRUNE);
	FtcSlice	leaf = control_leaf(&control, people, 2, &chain);
	uint8_t    *first = (uint8_t *) leaf.data + leaf.len - 2 * 96;
	FtcControl	decoded;

	(void) state;
	memcpy(first + 96 + 32, first + 32, FTC_SIGNATURE_LEN);
	assert_reason(ftc_control_leaf_decode(&decoded, leaf), FTC_OK);
	assert_reason(ftc_state_authorise(&some, &decoded, &chain), FTC_BAD_SIGNATURE);
}

/* Who has a new key no longer signs with the old one. */
static void
test_rekeyed_signer(void **state)
{
	FtcState	some = governed();
	FtcControl	rekey = control_rekey(&people[0], &people[8], &chain);
	FtcControl	control = control_for(FTC_CONTROL_PRUNE);
	TestPerson	signers[] = {people[0], people[1]};
	FtcControl	decoded;

	(void) state;
	apply(&some, &rekey);
	assert_reason(ftc_control_leaf_decode(&decoded, control_leaf(&control, signers, 2, &chain)),
				  FTC_OK);
	assert_reason(ftc_state_authorise(&some, &decoded, &chain), FTC_BAD_SIGNATURE);
	signers[0].seed = people[8].seed;
	assert_reason(ftc_control_leaf_decode(&decoded, control_leaf(&control, signers, 2, &chain)),
				  FTC_OK);
	assert_reason(ftc_state_authorise(&some, &decoded, &chain), FTC_OK);
}

static void
check_possession(FtcControl *control)
{
	FtcSignature right = control->possession;
	FtcHash		id = ftc_member_id(control->algorithm, &control->key);
	const TestPerson *owner = control->kind == FTC_CONTROL_REKEY ? &people[7] : &people[6];

	assert_reason(authorise(control, people, 2), FTC_OK);
	control->possession.b[0] ^= 1;
	assert_reason(authorise(control, people, 2), FTC_BAD_POSSESSION);
	control->possession = signed_by(owner, FTC_DOMAIN_POSSESSION, &ftc_hash_zero, &id);
	assert_reason(authorise(control, people, 2), FTC_BAD_POSSESSION);
	control->possession = signed_by(owner, FTC_DOMAIN_CONTROL, &chain, &id);
	assert_reason(authorise(control, people, 2), FTC_BAD_POSSESSION);
	control->possession = signed_by(&people[0], FTC_DOMAIN_POSSESSION, &chain, &id);
	assert_reason(authorise(control, people, 2), FTC_BAD_POSSESSION);
	control->possession = signed_by(owner, FTC_DOMAIN_POSSESSION, &chain, &people[0].id);
	assert_reason(authorise(control, people, 2), FTC_BAD_POSSESSION);
	/* who may not add at all is told so first */
	assert_reason(authorise(control, people, 1), FTC_NOT_AUTHORISED);
	control->possession = right;
	assert_reason(authorise(control, people, 2), FTC_OK);
}

static void
test_possession(void **state)
{
	FtcControl	add = control_for(FTC_CONTROL_ADD_MEMBER);
	FtcControl	rekey = control_for(FTC_CONTROL_REKEY);

	(void) state;
	check_possession(&add);
	check_possession(&rekey);
}

/* As many governors as the parameters say, from one to all. */
static void
test_thresholds(void **state)
{
	FtcControl	control = control_for(FTC_CONTROL_PRUNE);
	FtcControl	decoded;

	(void) state;
	for (uint16_t needed = 1; needed <= 6; needed++)
		for (int n = 0; n <= 6; n++)
		{
			FtcState	some = state_of(6, 6);

			some.params.governors = needed;
			assert_reason(ftc_control_leaf_decode(&decoded, control_leaf(&control, people, n, &chain)),
						  FTC_OK);
			assert_reason(ftc_state_authorise(&some, &decoded, &chain),
						  n >= needed ? FTC_OK : FTC_NOT_AUTHORISED);
		}
}


/* ---- what controls do */

/* A control that does nothing, and says so. */
static void
check_idle(FtcState *state, const FtcControl *control)
{
	FtcHash		before = ftc_state_root(state);
	FtcHash		after;

	assert_false(ftc_state_apply(state, control));
	after = ftc_state_root(state);
	assert_hash_equal(&before, &after);
}

static void
test_add(void **state)
{
	FtcState	some = state_of(3, 2);
	FtcControl	control = control_add(&people[7], FTC_MEMBER_FULL, "south", &chain);
	FtcMember  *member;

	(void) state;
	control.weight = 17;
	apply(&some, &control);
	assert_int_equal(some.nmembers, 4);
	member = member_of(&some, 7);
	assert_non_null(member);
	assert_memory_equal(member->key.b, people[7].key.b, FTC_KEY_LEN);
	assert_int_equal(member->algorithm, FTC_ALGORITHM_ED25519);
	assert_int_equal(member->weight, 17);
	assert_int_equal(member->flags, FTC_MEMBER_FULL);
	assert_slice_equal(member->zone, text ("south"));
	assert_slice_equal(member->name, text ("somebody"));
	check_idle(&some, &control);
	check_reason(&codec_state, encoded(&some), FTC_OK);
}

/* Room for so many, and no chain has more than the format allows. */
static void
test_add_limits(void **state)
{
	FtcState	some = state_of(3, 2);
	FtcControl	control = control_add(&people[7], 0, "zone", &chain);
	FtcMember  *members;

	(void) state;
	some.capacity = 3;
	check_idle(&some, &control);
	some.capacity = 4;
	apply(&some, &control);
	members = keep((FTC_MEMBERS_MAX + 1) * sizeof(FtcMember));
	some = crowd(FTC_MEMBERS_MAX - 1);
	memcpy(members, some.members, some.nmembers * sizeof(FtcMember));
	some.members = members;
	some.capacity = FTC_MEMBERS_MAX + 1;
	apply(&some, &control);
	assert_int_equal(some.nmembers, FTC_MEMBERS_MAX);
	control = control_add(&people[8], 0, "zone", &chain);
	assert_false(ftc_state_apply(&some, &control));
	assert_int_equal(some.nmembers, FTC_MEMBERS_MAX);
}

/* Together members weigh as much as a ring may, and not more. */
static void
test_weights(void **state)
{
	FtcState	some = crowd(40);
	FtcMember  *members = keep(41 * sizeof(FtcMember));
	FtcControl	control = control_add(&people[7], 0, "zone", &chain);
	FtcControl	set = control_about(FTC_CONTROL_SET_MEMBER, &people[7], 1);

	(void) state;
	memcpy(members, some.members, 40 * sizeof(FtcMember));
	some.members = members;
	some.capacity = 41;
	for (uint32_t i = 0; i < 40; i++)
		members[i].weight = i < 32 ? FTC_WEIGHT_MAX : 0;
	control.weight = FTC_WEIGHTS_MAX - 32 * FTC_WEIGHT_MAX + 1;
	assert_false(ftc_state_apply(&some, &control));
	control.weight--;
	apply(&some, &control);
	check_reason(&codec_state, encoded(&some), FTC_OK);

	/* less is always possible, more only up to there */
	set.flags = 0;
	set.weight = control.weight + 1;
	assert_false(ftc_state_apply(&some, &set));
	set.weight = 5;
	apply(&some, &set);
	set.weight = control.weight;
	apply(&some, &set);
	member_of(&some, 7)->weight++;
	check_reason(&codec_state, encoded(&some), FTC_OUT_OF_RANGE);
}

/* A member keeps its id with a new key; the new key's own id stays free. */
static void
test_rekey(void **state)
{
	FtcState	some = state_of(3, 2);
	FtcControl	control = control_rekey(&people[1], &people[7], &chain);
	FtcControl	unknown = control_rekey(&people[9], &people[7], &chain);

	(void) state;
	apply(&some, &control);
	assert_memory_equal(member_of(&some, 1)->key.b, people[7].key.b, FTC_KEY_LEN);
	assert_int_equal(member_of(&some, 1)->flags, FTC_MEMBER_GOVERNOR);
	assert_null(member_of(&some, 7));
	assert_int_equal(some.nmembers, 3);
	check_idle(&some, &unknown);
}

/* People 0 and 1 are the governors, two are needed. */
static void
test_remove(void **state)
{
	FtcState	some = state_of(4, 2);
	FtcControl	plain = control_about(FTC_CONTROL_REMOVE_MEMBER, &people[3], 0);
	FtcControl	governor = control_about(FTC_CONTROL_REMOVE_MEMBER, &people[0], 0);

	(void) state;
	apply(&some, &plain);
	assert_null(member_of(&some, 3));
	assert_int_equal(some.nmembers, 3);
	check_idle(&some, &plain);
	check_idle(&some, &governor);
	/* one governor more, or one needed less, and it may go */
	some.params.governors = 1;
	apply(&some, &governor);
	assert_null(member_of(&some, 0));
	assert_int_equal(some.nmembers, 2);
	governor.member = people[1].id;
	check_idle(&some, &governor);
}

static void
test_set(void **state)
{
	FtcState	some = state_of(4, 2);
	FtcControl	control = control_about(FTC_CONTROL_SET_MEMBER, &people[0], 0);

	(void) state;
	control.weight = 5;
	control.zone = text ("elsewhere");

	check_idle(&some, &control);
	control.flags = FTC_MEMBER_FULL;
	check_idle(&some, &control);
	control.flags = FTC_MEMBER_FULL | FTC_MEMBER_GOVERNOR;
	apply(&some, &control);
	assert_int_equal(member_of(&some, 0)->flags, control.flags);
	assert_int_equal(member_of(&some, 0)->weight, 5);
	assert_slice_equal(member_of(&some, 0)->zone, text ("elsewhere"));
	assert_slice_equal(member_of(&some, 0)->name, text ("somebody"));
	/* a third governor makes the first dispensable */
	control.member = people[2].id;
	control.flags = FTC_MEMBER_GOVERNOR;
	apply(&some, &control);
	control.member = people[0].id;
	control.flags = 0;
	apply(&some, &control);
	assert_int_equal(member_of(&some, 0)->flags, 0);
	control.member = people[1].id;
	check_idle(&some, &control);
	/* who is none needs not be dispensable */
	control.member = people[3].id;
	apply(&some, &control);
	control.member = people[9].id;
	check_idle(&some, &control);
}

static void
test_params(void **state)
{
	FtcState	some = state_of(4, 3);
	FtcParams	params = easy_params();
	FtcControl	control;

	(void) state;
	params.max_leaves = 1000;
	params.governors = 3;
	control = control_params(&params);
	apply(&some, &control);
	assert_int_equal(some.params.max_leaves, 1000);
	assert_int_equal(some.params.governors, 3);
	/* more than there are would lock everybody out */
	control.params.governors = 4;
	check_idle(&some, &control);
	control.params.governors = 1;
	apply(&some, &control);
	/* and a chain stays what it is */
	control.params.consensus = FTC_CONSENSUS_POS;
	check_idle(&some, &control);
}

static void
test_idle_kinds(void **state)
{
	FtcState	some = state_of(3, 2);
	FtcControl	erase = control_about(FTC_CONTROL_ERASE, &people[0], 0);
	FtcControl	prune = control_of(FTC_CONTROL_PRUNE, 0);

	(void) state;
	check_idle(&some, &erase);
	check_idle(&some, &prune);
	prune.kind = 99;
	check_idle(&some, &prune);
}

/* A model without order: who is there, and what about them. */
typedef struct Model
{
	bool		there[TEST_MEMBERS_MAX];
	bool		governor[TEST_MEMBERS_MAX];
	uint32_t	weight[TEST_MEMBERS_MAX];
	uint32_t	key[TEST_MEMBERS_MAX];	/* whose first key it has */
	uint16_t	needed;
} Model;

static uint32_t
count_governors(const Model *model)
{
	uint32_t	n = 0;

	for (int i = 0; i < TEST_MEMBERS_MAX; i++)
		n += model->there[i] && model->governor[i];
	return n;
}

/* What a control should do; who is the number of whom it is about. */
static bool
model_apply(Model *model, const FtcControl *control, uint32_t who, uint32_t key)
{
	bool		governor = (control->flags & FTC_MEMBER_GOVERNOR) != 0;
	bool		loses = model->there[who] && model->governor[who] &&
	(control->kind == FTC_CONTROL_REMOVE_MEMBER ||
	 (control->kind == FTC_CONTROL_SET_MEMBER && !governor));

	if (control->kind == FTC_CONTROL_PARAMS)
	{
		if (control->params.governors > count_governors(model))
			return false;
		model->needed = control->params.governors;
		return true;
	}
	if (model->there[who] == (control->kind == FTC_CONTROL_ADD_MEMBER))
		return false;
	if (loses && count_governors(model) - 1 < model->needed)
		return false;
	if (control->kind == FTC_CONTROL_REKEY)
		model->key[who] = key;
	else
	{
		model->there[who] = control->kind != FTC_CONTROL_REMOVE_MEMBER;
		model->governor[who] = governor;
		model->weight[who] = control->weight;
	}
	if (control->kind == FTC_CONTROL_ADD_MEMBER)
		model->key[who] = who;
	return true;
}

static FtcControl
random_control(TestRandom *random, uint32_t who, uint32_t key)
{
	FtcControlKind kind = (FtcControlKind) (1 + random_below(random, 5));
	FtcControl	control = control_of(kind, 0);
	bool		sets = kind == FTC_CONTROL_ADD_MEMBER || kind == FTC_CONTROL_SET_MEMBER;

	control.params = easy_params();
	control.params.governors = (uint16_t) (1 + random_below(random, 6));
	control.member = people[who].id;
	control.algorithm = FTC_ALGORITHM_ED25519;
	control.key = people[kind == FTC_CONTROL_REKEY ? key : who].key;
	if (sets)
	{
		control.weight = (uint32_t) random_below(random, 10);
		control.flags = (uint8_t) random_below(random, 4);
	}
	control.zone = control.name = text ("");

	return control;
}

static void
compare_with_model(const FtcState *state, const Model *model)
{
	uint32_t	n = 0;

	for (uint32_t i = 0; i < TEST_MEMBERS_MAX; i++)
	{
		const FtcMember *member = member_of(state, i);

		assert_int_equal(member != NULL, model->there[i]);
		if (member == NULL)
			continue;
		assert_int_equal((member->flags & FTC_MEMBER_GOVERNOR) != 0, model->governor[i]);
		assert_int_equal(member->weight, model->weight[i]);
		assert_memory_equal(member->key.b, people[model->key[i]].key.b, FTC_KEY_LEN);
		n++;
	}
	assert_int_equal(state->nmembers, n);
	assert_int_equal(state->params.governors, model->needed);
	assert_true(count_governors(model) >= model->needed);
}

static void
test_random_controls(void **state)
{
	TestRandom	random = random_from(1);
	FtcState	some = state_of(3, 2);
	Model		model = {0};
	int			applied = 0;

	(void) state;
	model.needed = 2;
	for (uint32_t i = 0; i < 3; i++)
	{
		model.there[i] = true;
		model.governor[i] = i < 2;
		model.weight[i] = 1;
		model.key[i] = i;
	}
	compare_with_model(&some, &model);
	for (int i = 0; i < 20000; i++)
	{
		uint32_t	who = (uint32_t) random_below(&random, TEST_MEMBERS_MAX);
		uint32_t	key = (uint32_t) random_below(&random, TEST_MEMBERS_MAX);
		FtcControl	control = random_control(&random, who, key);
		bool		expected = model_apply(&model, &control, who, key);

		assert_int_equal(ftc_state_apply(&some, &control), expected);
		compare_with_model(&some, &model);
		applied += expected;
		if (i % 500 == 0)
			check_reason(&codec_state, encoded(&some), FTC_OK);
	}
	assert_in_range(applied, 3000, 17000);
}


/* ---- when controls are folded */

/*
 * The greatest height whose controls a block may build on: with one member any
 * below it, with more, at an epoch's block, those deeper than settles.
 */
static bool
naive_bound(const FtcState *state, uint64_t height, uint64_t *bound)
{
	bool		found = false;

	if (state->nmembers > 1 && height % state->params.epoch_blocks != 0)
		return false;
	for (uint64_t at = 0; at < height; at++)
		if (at > state->folded &&
			(state->nmembers == 1 || height - at > state->params.settle_blocks))
		{
			*bound = at;
			found = true;
		}
	return found;
}

static void
test_fold_bound(void **state)
{
	FtcState	some = state_of(1, 1);

	(void) state;
	for (some.nmembers = 1; some.nmembers <= 2; some.nmembers++)
		for (uint32_t epoch = 1; epoch <= 12; epoch += 1 + epoch / 3)
			for (uint32_t settle = 1; settle <= 14; settle += 1 + settle / 4)
				for (uint64_t height = 0; height <= 40; height++)
					for (some.folded = 0; some.folded <= height; some.folded++)
					{
						uint64_t	bound = 0;
						uint64_t	expected = 0;
						bool		found;

						some.params.epoch_blocks = epoch;
						some.params.settle_blocks = settle;
						found = ftc_state_fold_bound(&some, height, &bound);
						assert_int_equal(found, naive_bound(&some, height, &expected));
						if (found)
							assert_int_equal(bound, expected);
					}
}

/* Just at the settling depth, and at the far end of heights. */
static void
test_fold_bound_edges(void **state)
{
	FtcState	some = state_of(2, 2);
	uint64_t	bound;

	(void) state;
	some.params.epoch_blocks = 1;
	some.params.settle_blocks = 5;
	assert_false(ftc_state_fold_bound(&some, 0, &bound));
	assert_false(ftc_state_fold_bound(&some, 5, &bound));
	assert_false(ftc_state_fold_bound(&some, 6, &bound));
	assert_true(ftc_state_fold_bound(&some, 7, &bound));
	assert_int_equal(bound, 1);
	assert_true(ftc_state_fold_bound(&some, INT64_MAX, &bound));
	assert_int_equal(bound, INT64_MAX - 6);
	some.folded = INT64_MAX - 6;
	assert_false(ftc_state_fold_bound(&some, INT64_MAX, &bound));
	some.nmembers = 1;
	assert_true(ftc_state_fold_bound(&some, INT64_MAX, &bound));
	assert_int_equal(bound, INT64_MAX - 1);
	/* the genesis block is its own state, there is nothing to fold of it */
	some.folded = 0;
	assert_false(ftc_state_fold_bound(&some, 0, &bound));
	assert_false(ftc_state_fold_bound(&some, 1, &bound));
	assert_true(ftc_state_fold_bound(&some, 2, &bound));
	assert_int_equal(bound, 1);
}

/*
 * Walking up a chain, every height's controls are folded once, in order, and
 * two branches that part at most settle_blocks below an epoch's block agree.
 */
static void
test_fold_walk(void **state)
{
	FtcState	some = state_of(2, 2);
	uint64_t	next = 1;

	(void) state;
	some.params.epoch_blocks = 7;
	some.params.settle_blocks = 4;
	for (uint64_t height = 1; height < 200; height++)
	{
		uint64_t	bound;

		if (!ftc_state_fold_bound(&some, height, &bound))
			continue;
		assert_int_equal(height % 7, 0);
		assert_int_equal(some.folded + 1, next);
		assert_true(bound >= next && height - bound == 5);
		next = bound + 1;
		some.folded = bound;
	}
	assert_int_equal(next, 192);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_layout),
		test(test_decode),
		test(test_lengths),
		test(test_mutations),
		test(test_cut_reasons),
		test(test_member_leaf),
		test(test_member_limits),
		test(test_member_order),
		test(test_member_count),
		test(test_capacity),
		test(test_root),
		test(test_root_covers),
		test(test_find),
		test(test_threshold),
		test(test_concerned),
		test(test_concerned_governor),
		test(test_strangers),
		test(test_bad_signatures),
		test(test_borrowed_signature),
		test(test_rekeyed_signer),
		test(test_possession),
		test(test_thresholds),
		test(test_add),
		test(test_add_limits),
		test(test_weights),
		test(test_rekey),
		test(test_remove),
		test(test_set),
		test(test_params),
		test(test_idle_kinds),
		test(test_random_controls),
		test(test_fold_bound),
		test(test_fold_bound_edges),
		test(test_fold_walk),
	};

	return cmocka_run_group_tests_name("state", tests, choose_people, NULL);
}

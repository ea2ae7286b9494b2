/*-------------------------------------------------------------------------
 *
 * test_vote.c
 *	  Tests of vote.c and sign_state.c: votes, certificates, and what may be signed.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>

#include "committee.h"
#include "mutate.h"
#include "sign_state.h"

static FtcSlice
vote_bytes(const FtcVote *vote)
{
	uint8_t    *bytes = keep(FTC_VOTE_LEN);

	ftc_vote_encode(vote, bytes);
	return ftc_slice(bytes, FTC_VOTE_LEN);
}

static void
test_vote_bytes(void **state)
{
	TestCommittee *c = committee_of(4);
	FtcVoteLink link = committee_link(c, committee_block(c, 0, 0, 3));
	FtcVote		vote = committee_vote(c, 1, &link);
	FtcSlice	bytes = vote_bytes(&vote);

	(void) state;
	check_accepted(&codec_vote, bytes);
	assert_int_equal(check_lengths(&codec_vote, bytes), 0);
	assert_true(check_bytes(&codec_vote, bytes) > 0);
	check_reason(&codec_vote, with_byte(bytes, 0, 2), FTC_BAD_VERSION);
	check_reason(&codec_vote, with_byte(bytes, 1, 21), FTC_BAD_KIND);
	check_reason(&codec_vote, with_byte(bytes, 3, 1), FTC_NOT_CANONICAL);
	check_reason(&codec_vote, with_be(bytes, 68, (uint64_t) INT64_MAX + 1, 8), FTC_OUT_OF_RANGE);
	/* the source is before the target */
	check_reason(&codec_vote, with_be(bytes, 108, 3, 8), FTC_BAD_ROUND);
	check_reason(&codec_vote, with_be(bytes, 108, 2, 8), FTC_OK);
}

/* Any bit of what is voted for changes what is signed. */
static void
test_vote_verify(void **state)
{
	TestCommittee *c = committee_of(4);
	FtcVoteLink link = committee_link(c, committee_block(c, 0, 0, 3));
	FtcVote		vote = committee_vote(c, 1, &link);
	FtcHash		other = hash_of("other", 0);
	FtcVote		changed;
	int			place = -1;

	(void) state;
	assert_reason(ftc_vote_verify(&vote, &c->set, &c->hash, &c->genesis, &place), FTC_OK);
	assert_int_equal(place, 1);
	assert_reason(ftc_vote_verify(&vote, &c->set, &other, &c->genesis, NULL), FTC_WRONG_VALIDATORS);
	assert_reason(ftc_vote_verify(&vote, &c->set, &c->hash, &other, NULL), FTC_BAD_SIGNATURE);
#define changed_is(field, value, reason) \
	(changed = vote, changed.field = (value), \
	 assert_reason(ftc_vote_verify(&changed, &c->set, &c->hash, &c->genesis, NULL), reason))
	changed_is(voter, other, FTC_NOT_A_MEMBER);
	changed_is(voter, c->people[2].id, FTC_BAD_SIGNATURE);
	changed_is(link.target.round, 4, FTC_BAD_SIGNATURE);
	changed_is(link.target.id, other, FTC_BAD_SIGNATURE);
	changed_is(link.source.round, 1, FTC_BAD_SIGNATURE);
	changed_is(link.source.id, other, FTC_BAD_SIGNATURE);
	changed_is(link.validators, other, FTC_WRONG_VALIDATORS);
#undef changed_is
}

static FtcReason
verify(const TestCommittee *c, FtcSlice bytes)
{
	FtcCertificate certificate;
	FtcReason	reason = ftc_certificate_decode(&certificate, bytes);

	return reason != FTC_OK ? reason
		: ftc_certificate_verify(&certificate, &c->set, &c->hash, &c->genesis);
}

static void
test_certificate(void **state)
{
	TestCommittee *c = committee_of(4);
	int			block = committee_block(c, 0, 0, 3);
	FtcSlice	bytes = committee_certificate(c, block, 3);
	size_t		first = FTC_CERTIFICATE_HEAD_LEN;

	(void) state;
	assert_int_equal(committee_certificate(c, block, 2).len, 0);
	assert_int_equal(bytes.len, first + 3 * FTC_CERTIFICATE_VOTE_LEN);
	assert_reason(verify(c, bytes), FTC_OK);
	assert_reason(verify(c, committee_certificate(c, block, 4)), FTC_OK);
	check_accepted(&codec_certificate, bytes);
	assert_int_equal(check_lengths(&codec_certificate, bytes), 0);
	(void) check_bytes(&codec_certificate, bytes);
	check_reason(&codec_certificate, with_byte(bytes, 0, 2), FTC_BAD_VERSION);
	check_reason(&codec_certificate, with_byte(bytes, 1, 2), FTC_BAD_KIND);
	/* nobody counts twice, and nobody who is not there */
	check_reason(&codec_certificate, with_be(bytes, first + FTC_CERTIFICATE_VOTE_LEN, 0, 2), FTC_NOT_CANONICAL);
	assert_reason(verify(c, with_be(bytes, first + 2 * FTC_CERTIFICATE_VOTE_LEN, 4, 2)), FTC_NOT_A_MEMBER);
	assert_reason(verify(c, with_be(bytes, first + 2 * FTC_CERTIFICATE_VOTE_LEN, 3, 2)), FTC_BAD_SIGNATURE);
	for (int i = 0; i < 3; i++)
	{
		size_t		at = first + (size_t) i * FTC_CERTIFICATE_VOTE_LEN + 2;

		assert_reason(verify(c, with_byte(bytes, at, bytes.data[at] ^ 1)), FTC_BAD_SIGNATURE);
	}
	for (size_t at = 4; at < first; at += 8)
		assert_true(verify(c, with_byte(bytes, at, bytes.data[at] ^ 1)) != FTC_OK);
}

/* Fewer than a quorum, in whatever way they are counted. */
static void
test_no_quorum(void **state)
{
	TestCommittee *c = committee_of(4);
	int			block = committee_block(c, 0, 0, 3);
	FtcSlice	bytes = committee_certificate(c, block, 3);
	FtcSlice	two = ftc_slice(bytes.data, bytes.len - FTC_CERTIFICATE_VOTE_LEN);
	FtcVoteLink link = committee_link(c, block);
	FtcVote		votes[3];
	uint8_t		made[FTC_CERTIFICATE_MAX];

	(void) state;
	assert_reason(verify(c, with_be(two, 2, 2, 2)), FTC_NO_QUORUM);
	for (int i = 0; i < 3; i++)
		votes[i] = committee_vote(c, i > 0, &link);
	assert_int_equal(ftc_certificate_make(votes, 3, &c->set, made), 0);
	votes[2] = committee_vote(c, 2, &link);
	assert_int_not_equal(ftc_certificate_make(votes, 3, &c->set, made), 0);
	votes[2].link.target.round++;
	assert_int_equal(ftc_certificate_make(votes, 3, &c->set, made), 0);
	assert_int_equal(ftc_certificate_make(votes, 0, &c->set, made), 0);
	/* the weight counts, not the heads */
	c->set.at[3].weight = 7;
	c->hash = ftc_validators_hash(&c->set);
	assert_int_equal(committee_certificate(c, block, 3).len, 0);
}

/* ----------------------------------------------------------------
 *		What may be signed
 * ----------------------------------------------------------------
 */

#define KEYS_MAX 8
typedef struct Keys
{
	char		name[KEYS_MAX][20];
	FtcSignState state[KEYS_MAX];
	int			n;
} Keys;

static FtcSignState *
state_of(Keys *keys, const char *name)
{
	for (int i = 0; i < keys->n; i++)
		if (strcmp(keys->name[i], name) == 0)
			return &keys->state[i];
	assert_true(keys->n < KEYS_MAX);
	snprintf(keys->name[keys->n], sizeof(keys->name[0]), "%s", name);
	return &keys->state[keys->n++];
}

static void
check_signing(TestLines *lines, Keys *keys)
{
	bool		is_vote = strcmp(lines->field[0], "vote") == 0;
	FtcSignState *state = state_of(keys, lines->field[1]);
	uint64_t	a = strtoull(lines->field[2], NULL, 10);
	uint64_t	b = strtoull(lines->field[3], NULL, 10);
	FtcHash		root = unhex_hash(lines->field[is_vote ? 4 : 3]);
	FtcVoteLink link = {ftc_hash_zero, {root, b}, {ftc_hash_zero, a}};
	FtcSigning	signing = is_vote ? ftc_sign_state_vote(state, &link) : ftc_sign_state_propose(state, a, &root);

	assert_int_equal(signing != FTC_SIGNING_REFUSED,
					 strcmp(lines->field[lines->nfields - 1], "ok") == 0);
}

/* The interchange format's own cases. */
static void
test_interchange(void **state)
{
	TestLines	lines = lines_open("slashing_protection.txt");
	Keys		keys = {.n = 0};
	int			cases = 0;
	int			signings = 0;

	(void) state;
	while (lines_next(&lines))
	{
		const char *what = lines.field[0];

		if (strcmp(what, "case") == 0)
		{
			memset(&keys, 0, sizeof(keys));
			cases++;
		}
		else if (strcmp(what, "has_block") == 0)
			ftc_sign_state_raise(state_of(&keys, lines.field[1]), 0, 0, strtoull(lines.field[2], NULL, 10));
		else if (strcmp(what, "has_vote") == 0)
			ftc_sign_state_raise(state_of(&keys, lines.field[1]), strtoull(lines.field[3], NULL, 10),
								 strtoull(lines.field[2], NULL, 10), 0);
		else
		{
			check_signing(&lines, &keys);
			signings++;
		}
	}
	lines_close(&lines);
	assert_int_equal(cases, 25);
	assert_int_equal(signings, 113);
}

/* What was signed last may be asked for again; another one for the same may not. */
static void
test_again(void **state)
{
	FtcSignState signed_for = {0};
	FtcVoteLink link = {hash_of("set", 0), {hash_of("block", 0), 5}, {hash_of("block", 1), 3}};
	FtcVoteLink other = link;
	FtcHash		block = hash_of("block", 2);
	FtcHash		another = hash_of("block", 3);

	(void) state;
	assert_int_equal(ftc_sign_state_vote(&signed_for, &link), FTC_SIGNING_NEW);
	assert_int_equal(ftc_sign_state_vote(&signed_for, &link), FTC_SIGNING_AGAIN);
	other.target.id = another;
	assert_int_equal(ftc_sign_state_vote(&signed_for, &other), FTC_SIGNING_REFUSED);
	other = link;
	other.validators = another;
	assert_int_equal(ftc_sign_state_vote(&signed_for, &other), FTC_SIGNING_REFUSED);
	assert_int_equal(ftc_sign_state_propose(&signed_for, 5, &block), FTC_SIGNING_NEW);
	assert_int_equal(ftc_sign_state_propose(&signed_for, 5, &block), FTC_SIGNING_AGAIN);
	assert_int_equal(ftc_sign_state_propose(&signed_for, 5, &another), FTC_SIGNING_REFUSED);
	assert_int_equal(ftc_sign_state_propose(&signed_for, 4, &block), FTC_SIGNING_REFUSED);
	/* a slot of zero is that of the genesis block: nobody proposes it */
	memset(&signed_for, 0, sizeof(signed_for));
	assert_int_equal(ftc_sign_state_propose(&signed_for, 0, &ftc_hash_zero), FTC_SIGNING_REFUSED);
}

/* What one alone has signed is final: no vote goes past it. */
static void
test_alone(void **state)
{
	FtcSignState signed_for = {0};
	FtcHash		block = hash_of("block", 2);
	FtcVoteLink link = {hash_of("set", 0), {hash_of("block", 0), 9}, {hash_of("block", 1), 4}};

	(void) state;
	assert_int_equal(ftc_sign_state_propose_alone(&signed_for, 5, &block), FTC_SIGNING_NEW);
	assert_int_equal(ftc_sign_state_propose_alone(&signed_for, 5, &block), FTC_SIGNING_AGAIN);
	assert_int_equal(ftc_sign_state_vote(&signed_for, &link), FTC_SIGNING_REFUSED);
	link.source.round = 5;
	assert_int_equal(ftc_sign_state_vote(&signed_for, &link), FTC_SIGNING_NEW);
	assert_int_equal(ftc_sign_state_propose_alone(&signed_for, 5, &link.target.id), FTC_SIGNING_REFUSED);
	assert_int_equal(signed_for.target, 9);
}

/* After a restore: nothing is signed until something newer is justified. */
static void
test_guard(void **state)
{
	FtcSignState signed_for = {0};
	FtcVoteLink link = {hash_of("set", 0), {hash_of("block", 0), 5}, {hash_of("block", 1), 3}};
	FtcHash		block = hash_of("block", 2);

	(void) state;
	assert_int_equal(ftc_sign_state_vote(&signed_for, &link), FTC_SIGNING_NEW);
	assert_int_equal(ftc_sign_state_propose(&signed_for, 5, &block), FTC_SIGNING_NEW);
	assert_false(ftc_sign_state_is_watching(&signed_for, 3));
	ftc_sign_state_guard(&signed_for, 9);
	assert_true(ftc_sign_state_is_watching(&signed_for, 8));
	assert_false(ftc_sign_state_is_watching(&signed_for, 9));
	assert_int_equal(ftc_sign_state_vote(&signed_for, &link), FTC_SIGNING_REFUSED);
	assert_int_equal(ftc_sign_state_propose(&signed_for, 5, &block), FTC_SIGNING_REFUSED);
	link.target.round = 12;
	link.source.round = 8;
	assert_int_equal(ftc_sign_state_vote(&signed_for, &link), FTC_SIGNING_REFUSED);
	link.source.round = 9;
	assert_int_equal(ftc_sign_state_vote(&signed_for, &link), FTC_SIGNING_NEW);
	/* it never falls */
	ftc_sign_state_guard(&signed_for, 2);
	assert_int_equal(signed_for.target, 12);
	assert_int_equal(signed_for.source, 9);
}

/* Whatever is asked for in whatever order, no two that are signed contradict each other. */
static void
test_never_contradicts(void **state)
{
	TestRandom	random = random_from(11);

	(void) state;
	for (int run = 0; run < 2000; run++)
	{
		FtcSignState signed_for = {0};
		FtcVote		votes[40];
		int			n = 0;

		for (int i = 0; i < 40; i++)
		{
			FtcVote		vote = {.link.target.round = random_below(&random, 20)};

			vote.link.source.round = random_below(&random, 20);
			vote.link.target.id = hash_of("target", random_below(&random, 3));
			if (ftc_sign_state_vote(&signed_for, &vote.link) != FTC_SIGNING_REFUSED)
				votes[n++] = vote;
			if (random_below(&random, 30) == 0)
				ftc_sign_state_guard(&signed_for, random_below(&random, 20));
		}
		for (int i = 0; i < n; i++)
			for (int j = 0; j < i; j++)
				assert_int_equal(ftc_offence_of_votes(&votes[i], &votes[j], NULL), FTC_OFFENCE_NONE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_vote_bytes),
		test(test_vote_verify),
		test(test_certificate),
		test(test_no_quorum),
		test(test_interchange),
		test(test_again),
		test(test_alone),
		test(test_guard),
		test(test_never_contradicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

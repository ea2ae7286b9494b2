/*-------------------------------------------------------------------------
 *
 * test_evidence.c
 *	  Tests of evidence.c.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "committee.h"
#include "mutate.h"

static FtcVote
vote_of(const TestCommittee *c, int who, uint64_t source, uint64_t target, uint64_t n)
{
	FtcVoteLink link = {c->hash, {hash_of("target", n), target}, {hash_of("source", source), source}};

	return committee_vote(c, who, &link);
}

static FtcSlice
encoded(const FtcEvidence *evidence)
{
	uint8_t		bytes[FTC_EVIDENCE_MAX];

	return keep_copy(ftc_slice(bytes, ftc_evidence_encode(evidence, bytes)));
}

/* All pairs of small votes against the words: same target, or one within the other. */
static void
test_votes(void **state)
{
	TestCommittee *c = committee_of(2);
	FtcVote		votes[40];
	int			n = 0;

	(void) state;
	for (uint64_t target = 1; target <= 5; target++)
		for (uint64_t source = 0; source < target; source++)
			for (uint64_t id = 0; id < 2; id++)
				votes[n++] = vote_of(c, 0, source, target, id);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
		{
			const FtcVoteLink *a = &votes[i].link;
			const FtcVoteLink *b = &votes[j].link;
			bool		around = a->source.round < b->source.round && b->target.round < a->target.round;
			bool		within = b->source.round < a->source.round && a->target.round < b->target.round;
			bool		twice = i != j && a->target.round == b->target.round;
			FtcEvidence evidence;
			FtcEvidence other;
			FtcOffence	offence = ftc_offence_of_votes(&votes[i], &votes[j], &evidence);

			assert_int_equal(offence, twice ? FTC_OFFENCE_DOUBLE_VOTE
							 : around || within ? FTC_OFFENCE_SURROUND_VOTE : FTC_OFFENCE_NONE);
			if (offence == FTC_OFFENCE_NONE)
				continue;
			assert_int_equal(ftc_offence_of_votes(&votes[j], &votes[i], &other), offence);
			assert_slice_equal(encoded(&evidence), encoded(&other));
			assert_reason(ftc_evidence_check(&evidence, &c->people[0].key, &c->people[0].key, &c->genesis), FTC_OK);
		}
}

static void
test_not_of_two(void **state)
{
	TestCommittee *c = committee_of(2);
	FtcVote		a = vote_of(c, 0, 1, 5, 1);
	FtcVote		b = vote_of(c, 1, 1, 5, 2);
	FtcHeader	header = committee_header(c, 0, 0, 4);
	FtcProposal x = committee_proposal(c, &header, 0);
	FtcProposal y;

	(void) state;
	assert_int_equal(ftc_offence_of_votes(&a, &b, NULL), FTC_OFFENCE_NONE);
	assert_int_equal(ftc_offence_of_proposals(&x, &x, NULL), FTC_OFFENCE_NONE);
	header.time++;
	y = committee_proposal(c, &header, 1);
	assert_int_equal(ftc_offence_of_proposals(&x, &y, NULL), FTC_OFFENCE_NONE);
	y = committee_proposal(c, &header, 0);
	assert_int_equal(ftc_offence_of_proposals(&x, &y, NULL), FTC_OFFENCE_DOUBLE_PROPOSAL);
	header.round++;
	y = committee_proposal(c, &header, 0);
	assert_int_equal(ftc_offence_of_proposals(&x, &y, NULL), FTC_OFFENCE_NONE);
	/* two miners' blocks of one round are none */
	header.round--;
	header.consensus = FTC_CONSENSUS_POW;
	y = committee_proposal(c, &header, 0);
	assert_int_equal(ftc_offence_of_proposals(&x, &y, NULL), FTC_OFFENCE_NONE);
}

static void
test_bytes(void **state)
{
	TestCommittee *c = committee_of(2);
	FtcVote		a = vote_of(c, 0, 1, 5, 1);
	FtcVote		b = vote_of(c, 0, 2, 4, 2);
	FtcEvidence evidence;
	FtcEvidence swapped;
	FtcSlice	bytes;

	(void) state;
	(void) ftc_offence_of_votes(&b, &a, &evidence);
	bytes = encoded(&evidence);
	check_accepted(&codec_evidence, bytes);
	assert_int_equal(check_lengths(&codec_evidence, bytes), 0);
	(void) check_bytes(&codec_evidence, bytes);
	assert_int_equal(ftc_evidence_round(&evidence), 4);
	check_reason(&codec_evidence, with_byte(bytes, 0, 0), FTC_BAD_VERSION);
	check_reason(&codec_evidence, with_byte(bytes, 1, 0), FTC_BAD_KIND);
	check_reason(&codec_evidence, with_byte(bytes, 2, 0), FTC_BAD_KIND);
	check_reason(&codec_evidence, with_byte(bytes, 2, 4), FTC_BAD_KIND);
	check_reason(&codec_evidence, with_byte(bytes, 2, FTC_OFFENCE_DOUBLE_VOTE), FTC_NO_OFFENCE);
	check_reason(&codec_evidence, with_byte(bytes, 3, 1), FTC_NOT_CANONICAL);
	swapped = evidence;
	swapped.vote[0] = evidence.vote[1];
	swapped.vote[1] = evidence.vote[0];
	check_reason(&codec_evidence, encoded(&swapped), FTC_NO_OFFENCE);
}

/* Nobody is accused with what he has not signed. */
static void
test_check(void **state)
{
	TestCommittee *c = committee_of(2);
	FtcVote		a = vote_of(c, 0, 1, 5, 1);
	FtcVote		b = vote_of(c, 0, 1, 5, 2);
	const FtcKey *key = &c->people[0].key;
	const FtcKey *other = &c->people[1].key;
	FtcHash		chain = hash_of("chain", 1);
	FtcEvidence evidence;

	(void) state;
	(void) ftc_offence_of_votes(&a, &b, &evidence);
	assert_reason(ftc_evidence_check(&evidence, key, key, &c->genesis), FTC_OK);
	assert_reason(ftc_evidence_check(&evidence, key, other, &c->genesis), FTC_BAD_SIGNATURE);
	assert_reason(ftc_evidence_check(&evidence, other, key, &c->genesis), FTC_BAD_SIGNATURE);
	assert_reason(ftc_evidence_check(&evidence, key, key, &chain), FTC_BAD_SIGNATURE);
	evidence.vote[1].link.source.round = 0;
	assert_true(ftc_evidence_check(&evidence, key, key, &c->genesis) != FTC_OK);
	evidence.vote[1] = evidence.vote[0];
	assert_reason(ftc_evidence_check(&evidence, key, key, &c->genesis), FTC_NO_OFFENCE);
}

static void
test_proposals(void **state)
{
	TestCommittee *c = committee_of(2);
	FtcHeader	header = committee_header(c, 0, 0, 4);
	FtcProposal x = committee_proposal(c, &header, 0);
	FtcProposal y;
	FtcEvidence evidence;
	FtcEvidence again;

	(void) state;
	header.time++;
	y = committee_proposal(c, &header, 0);
	(void) ftc_offence_of_proposals(&x, &y, &evidence);
	check_accepted(&codec_evidence, encoded(&evidence));
	assert_int_equal(check_lengths(&codec_evidence, encoded(&evidence)), 0);
	assert_reason(ftc_evidence_check(&evidence, &c->people[0].key, &c->people[0].key, &c->genesis), FTC_OK);
	assert_hash_equal(ftc_evidence_offender(&evidence), &c->people[0].id);
	assert_int_equal(ftc_evidence_round(&evidence), 4);
	again = evidence;
	again.proposal[0] = evidence.proposal[1];
	again.proposal[1] = evidence.proposal[0];
	check_reason(&codec_evidence, encoded(&again), FTC_NO_OFFENCE);
	/* one who signed what the other says is nobody's evidence */
	evidence.proposal[1].signature = evidence.proposal[0].signature;
	assert_reason(ftc_evidence_check(&evidence, &c->people[0].key, &c->people[0].key, &c->genesis),
				  FTC_BAD_SIGNATURE);
}

static void
test_lifetime_and_order(void **state)
{
	TestCommittee *c = committee_of(3);
	FtcVote		a = vote_of(c, 0, 1, 25, 1);
	FtcVote		b = vote_of(c, 0, 1, 25, 2);
	FtcVote		d = vote_of(c, 1, 1, 25, 1);
	FtcVote		e = vote_of(c, 1, 1, 25, 2);
	FtcEvidence first;
	FtcEvidence second;

	(void) state;
	(void) ftc_offence_of_votes(&a, &b, &first);
	(void) ftc_offence_of_votes(&d, &e, &second);
	assert_false(ftc_evidence_is_alive(&first, 2, 8, 4));
	assert_true(ftc_evidence_is_alive(&first, 3, 8, 4));
	assert_true(ftc_evidence_is_alive(&first, 7, 8, 4));
	assert_false(ftc_evidence_is_alive(&first, 8, 8, 4));
	assert_true(ftc_evidence_compare(&first, &second) < 0);
	assert_true(ftc_evidence_compare(&second, &first) > 0);
	assert_int_equal(ftc_evidence_compare(&first, &first), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_votes),
		test(test_not_of_two),
		test(test_bytes),
		test(test_check),
		test(test_proposals),
		test(test_lifetime_and_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*-------------------------------------------------------------------------
 *
 * test_copy.c
 *	  Tests of copy.c: how far a copy is, and when it is lost.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "copy.h"
#include "sha256.h"

static void
test_states(void **state)
{
	FtcCopyFacts facts = {0};

	(void) state;
	assert_int_equal(ftc_copy_state(&facts, 1000, 100), FTC_COPY_NONE);
	facts.sent = true;
	assert_int_equal(ftc_copy_state(&facts, 1000, 100), FTC_COPY_NONE);
	facts.owned = true;
	assert_int_equal(ftc_copy_state(&facts, 1000, 100), FTC_COPY_SENT);
	facts.sent = false;
	assert_int_equal(ftc_copy_state(&facts, 1000, 100), FTC_COPY_WANTED);
	facts.stated = true;
	assert_int_equal(ftc_copy_state(&facts, 1000, 100), FTC_COPY_STORED);
	facts.owned = false;
	assert_int_equal(ftc_copy_state(&facts, 1000, 100), FTC_COPY_STORED);
	facts.proved_at = 900;
	assert_int_equal(ftc_copy_state(&facts, 1000, 100), FTC_COPY_PROVED);
	facts.proved_at = 899;
	assert_int_equal(ftc_copy_state(&facts, 1000, 100), FTC_COPY_STORED);
	/* a clock that was set back makes no proof old */
	facts.proved_at = 1001;
	assert_int_equal(ftc_copy_state(&facts, 1000, 100), FTC_COPY_PROVED);
	facts.lost = true;
	assert_int_equal(ftc_copy_state(&facts, 1000, 100), FTC_COPY_LOST);
	for (int i = FTC_COPY_NONE; i <= FTC_COPY_LOST; i++)
		assert_true(strlen(ftc_copy_state_name((FtcCopyState) i)) > 3);
}

/* Wrong answers in a row, with silences between them; each verdict in its turn. */
static void
test_wrong(void **state)
{
	FtcProof	proof = {0};

	(void) state;
	for (int round = 0; round < 3; round++)
	{
		for (int i = 1; i < FTC_PROOF_TRIES; i++)
		{
			assert_int_equal(ftc_proof_judge(&proof, FTC_PROOF_WRONG), FTC_PROOF_AGAIN);
			assert_int_equal(ftc_proof_judge(&proof, FTC_PROOF_NONE), FTC_PROOF_UNKNOWN);
		}
		if (round == 0)
		{
			/* the mistake has passed */
			assert_int_equal(ftc_proof_judge(&proof, FTC_PROOF_RIGHT), FTC_PROOF_GOOD);
			continue;
		}
		assert_int_equal(ftc_proof_judge(&proof, FTC_PROOF_WRONG), FTC_PROOF_LOST);
		assert_true(proof.lost);
		assert_int_equal(ftc_proof_judge(&proof, FTC_PROOF_WRONG), FTC_PROOF_UNKNOWN);
		assert_int_equal(ftc_proof_judge(&proof, FTC_PROOF_ADMITTED), FTC_PROOF_UNKNOWN);
		assert_int_equal(ftc_proof_judge(&proof, FTC_PROOF_RIGHT), FTC_PROOF_FOUND);
		assert_false(proof.lost);
	}
}

/* Who says nothing is never a liar; who says that it has nothing is believed. */
static void
test_silent(void **state)
{
	FtcProof	proof = {0};

	(void) state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(ftc_proof_judge(&proof, FTC_PROOF_NONE), FTC_PROOF_UNKNOWN);
	assert_int_equal(ftc_proof_judge(&proof, FTC_PROOF_RIGHT), FTC_PROOF_GOOD);
	assert_int_equal(ftc_proof_judge(&proof, FTC_PROOF_ADMITTED), FTC_PROOF_LOST);
}

/* At random: lost only with a reason, and never without as many wrong ones in a row. */
static void
test_random(void **state)
{
	TestRandom	random = random_from(1);
	FtcProof	proof = {0};
	int			wrong = 0;

	(void) state;
	for (int i = 0; i < 100000; i++)
	{
		FtcProofAnswer answer = (FtcProofAnswer) random_below(&random, 4);
		bool		was_lost = proof.lost;
		FtcProofVerdict verdict = ftc_proof_judge(&proof, answer);

		wrong = answer == FTC_PROOF_RIGHT || was_lost ? 0 : wrong + (answer == FTC_PROOF_WRONG);
		assert_int_equal(verdict == FTC_PROOF_LOST,
						 !was_lost && (answer == FTC_PROOF_ADMITTED || wrong == FTC_PROOF_TRIES));
		assert_int_equal(verdict == FTC_PROOF_FOUND, was_lost && answer == FTC_PROOF_RIGHT);
		assert_int_equal(proof.lost, verdict == FTC_PROOF_LOST || (was_lost && verdict != FTC_PROOF_FOUND));
		if (verdict == FTC_PROOF_LOST)
			wrong = 0;
	}
}

/* SHA-256 of the nonce, the member and the body, and of nothing else. */
static void
test_proof(void **state)
{
	uint8_t		nonce[FTC_NONCE_LEN] = {1};
	uint8_t		joined[FTC_NONCE_LEN + FTC_HASH_LEN + 3] = {1};
	FtcHash		block = hash_of("block", 1);
	FtcHash		member = hash_of("member", 1);
	FtcHash		answer = ftc_proof_of(nonce, &member, text ("abc"));
	FtcHash		expected;
	FtcHash		digest = ftc_proof_digest(&block, &member, nonce, &answer);
	FtcHash		other;

	(void) state;
	memcpy(joined + FTC_NONCE_LEN, member.b, FTC_HASH_LEN);
	memcpy(joined + FTC_NONCE_LEN + FTC_HASH_LEN, "abc", 3);
	expected = ftc_sha256(ftc_slice(joined, sizeof(joined)));
	assert_hash_equal(&answer, &expected);
	/* what another one answers is none */
	other = ftc_proof_of(nonce, &block, text ("abc"));
	assert_false(ftc_hash_equal(&answer, &other));
	nonce[31] = 1;
	other = ftc_proof_of(nonce, &member, text ("abc"));
	assert_false(ftc_hash_equal(&answer, &other));
	other = ftc_proof_digest(&block, &member, nonce, &answer);
	assert_false(ftc_hash_equal(&digest, &other));
	nonce[31] = 0;
	other = ftc_proof_digest(&member, &block, nonce, &answer);
	assert_false(ftc_hash_equal(&digest, &other));
}

static void
test_count(void **state)
{
	(void) state;
	assert_int_equal(ftc_copies_count(3, 0, 0), 3);
	assert_int_equal(ftc_copies_count(0, 3, 4), 0);
	assert_int_equal(ftc_copies_count(0, 4, 4), 1);
	assert_int_equal(ftc_copies_count(0, 6, 4), 3);
	assert_int_equal(ftc_copies_count(2, 6, 4), 5);
	assert_int_equal(ftc_copies_count(2, 3, 4), 2);
	assert_int_equal(ftc_copies_needed(3, 1), 1);
	assert_int_equal(ftc_copies_needed(3, 5), 3);
	/* whatever is lost, less than that: all of it is still there */
	for (uint32_t whole = 0; whole < 4; whole++)
		for (uint32_t shards = 0; shards < 9; shards++)
			for (uint32_t lost = 0; lost < ftc_copies_count(whole, shards, 4); lost++)
				for (uint32_t of_whole = 0; of_whole <= lost; of_whole++)
					assert_true(of_whole < whole || shards + of_whole >= lost + 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_states),
		test(test_wrong),
		test(test_silent),
		test(test_random),
		test(test_proof),
		test(test_count),
	};

	return cmocka_run_group_tests_name("copy", tests, NULL, NULL);
}

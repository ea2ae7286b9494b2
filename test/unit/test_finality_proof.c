/*-------------------------------------------------------------------------
 *
 * test_finality_proof.c
 *	  Tests of finality_proof.c.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "mutate.h"
#include "proof_build.h"

static FtcReason
check(const TestProof *p)
{
	FtcHash		id;
	uint64_t	height;

	return ftc_finality_proof_check(&p->proof, &p->committee->genesis, NULL, &id, &height);
}

static void
test_good(void **state)
{
	(void) state;
	for (uint16_t n = 1; n <= 10; n++)
	{
		TestProof  *p = proof_build(n);
		FtcHash		expected = ftc_header_id(&p->header);
		FtcHash		other = hash_of("set", 0);
		FtcHash		id;
		uint64_t	height;
		FtcFinalityProof again;

		assert_reason(ftc_finality_proof_check(&p->proof, &p->committee->genesis, &p->committee->hash, &id, &height), FTC_OK);
		assert_hash_equal(&id, &expected);
		assert_int_equal(height, 1);
		assert_reason(ftc_finality_proof_check(&p->proof, &p->committee->genesis, &other, &id, &height),
					  FTC_WRONG_VALIDATORS);
		assert_true(ftc_finality_proof_check(&p->proof, &other, NULL, &id, &height) != FTC_OK);
		assert_reason(ftc_finality_proof_decode(&again, proof_bytes(&p->proof)), FTC_OK);
		assert_reason(ftc_finality_proof_check(&again, &p->committee->genesis, NULL, &id, &height), FTC_OK);
		keep_free();
	}
}

/*
 * No byte of it can be changed, but those of the signature that is not needed, and of
 * the number of members, which is only the shape of a tree: another one may be alike.
 */
static void
every_byte(uint16_t n)
{
	TestProof  *p = proof_build(n);
	FtcSlice	bytes = proof_bytes(&p->proof);
	size_t		members = bytes.len - p->proof.npath * sizeof(FtcHash) - 5;

	check_accepted(&codec_finality_proof, bytes);
	for (size_t len = 0; len < bytes.len; len++)
		check_reason(&codec_finality_proof, ftc_slice(bytes.data, len), FTC_BAD_LENGTH);
	for (size_t at = 0; at < bytes.len; at++)
	{
		FtcFinalityProof changed;
		FtcHash		id;
		uint64_t	height;
		FtcSlice	other = with_byte(bytes, at, bytes.data[at] ^ 1);

		if (n > 1 && at >= 4 + FTC_HEADER_LEN && at < 4 + FTC_HEADER_LEN + FTC_SIGNATURE_LEN)
			continue;
		if (at >= members && at < members + 4)
			continue;
		if (ftc_finality_proof_decode(&changed, other) == FTC_OK &&
			ftc_finality_proof_check(&changed, &p->committee->genesis, NULL, &id, &height) == FTC_OK)
			fail_msg("with another byte at %zu", at);
	}
}

static void
test_bytes(void **state)
{
	(void) state;
	every_byte(1);
	every_byte(4);
}

/* Signed by a quorum, and yet no proof. */
static void
test_not_final(void **state)
{
	TestProof  *p = proof_build(4);

	(void) state;
	p->next.round = 7;
	proof_finish(p);
	assert_reason(check(p), FTC_NOT_JUSTIFIED);
	p->next.round = 6;
	proof_finish(p);
	assert_reason(check(p), FTC_OK);
	p->header.time++;
	p->proof.header = (proof_finish(p), p->proof.header);
	assert_reason(check(p), FTC_OK);
	/* the certificate is of another block */
	p->proof.certificate = proof_build(4)->proof.certificate;
	assert_reason(check(p), FTC_NOT_JUSTIFIED);
}

/* A set that the state does not name, or one that is not alone. */
static void
test_other_set(void **state)
{
	TestProof  *p = proof_build(4);
	TestProof  *alone = proof_build(1);

	(void) state;
	p->proof.validators = alone->proof.validators;
	assert_reason(check(p), FTC_WRONG_VALIDATORS);
	p->proof.record = alone->proof.record;
	assert_reason(check(p), FTC_BAD_PROOF);
	p = proof_build(4);
	p->proof.next = ftc_slice(NULL, 0);
	assert_reason(check(p), FTC_NO_QUORUM);
	alone->proof.certificate = p->proof.certificate;
	assert_reason(check(alone), FTC_NO_QUORUM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_good),
		test(test_bytes),
		test(test_not_final),
		test(test_other_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*-------------------------------------------------------------------------
 *
 * codec_votes.c
 *	  The decoders of what is voted for, and by whom, each with its encoder behind
 *	  it.
 *
 *-------------------------------------------------------------------------
 */
#include "codec.h"

#include <stdlib.h>

#include "evidence.h"
#include "finality_proof.h"
#include "sha256.h"
#include "stake.h"
#include "vote.h"

static bool
same_hash(FtcHash a, FtcHash b)
{
	return ftc_hash_equal(&a, &b);
}

static FtcReason
validators_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcValidator at[FTC_VALIDATORS_MAX];
	FtcValidators set = {.at = at,.capacity = FTC_VALIDATORS_MAX};
	FtcReason	reason = ftc_validators_decode(&set, bytes);
	FtcWeight	none = {0};
	FtcWeight	total;

	if (reason != FTC_OK)
		return reason;
	again->len += ftc_validators_encode(&set, again->buf, again->size);
	require(same_hash(ftc_validators_hash(&set), ftc_sha256(bytes)));
	total = ftc_validators_total(&set);
	require(total.weight > 0 && total.weight <= FTC_PRIORITY_WEIGHT_MAX);
	require(set.handover ? total.before > 0 : total.before == 0);
	require(ftc_validators_is_quorum(&set, total));
	require(!ftc_validators_is_quorum(&set, none));
	for (int i = 0; i < set.n; i++)
		require(ftc_validators_find(&set, &at[i].id) == i);
	return FTC_OK;
}

static FtcReason
stakes_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcStakes	stakes = {.capacity = ftc_stakes_capacity(bytes)};
	FtcReason	reason;

	stakes.at = malloc(stakes.capacity * sizeof(FtcStake));
	require(stakes.at != NULL);
	reason = ftc_stakes_decode(&stakes, bytes);
	require(reason != FTC_TOO_MANY || bytes.len > 6);
	if (reason == FTC_OK)
	{
		again->len += ftc_stakes_encode(&stakes, again->buf, again->size);
		require(same_hash(ftc_stakes_hash(&stakes), ftc_sha256(bytes)));
	}
	free(stakes.at);
	return reason;
}

static FtcReason
epoch_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcEpoch	epoch;
	uint8_t		written[FTC_EPOCH_LEN];
	FtcReason	reason = ftc_epoch_decode(&epoch, bytes);

	if (reason != FTC_OK)
		return reason;
	ftc_epoch_encode(&epoch, written);
	ftc_put_bytes(again, written, sizeof(written));
	require(same_hash(ftc_epoch_hash(&epoch), ftc_sha256(bytes)));
	return FTC_OK;
}

static FtcReason
vote_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcVote		vote;
	uint8_t		written[FTC_VOTE_LEN];
	FtcReason	reason = ftc_vote_decode(&vote, bytes);

	if (reason != FTC_OK)
		return reason;
	ftc_vote_encode(&vote, written);
	ftc_put_bytes(again, written, sizeof(written));
	require(vote.link.source.round < vote.link.target.round);
	return FTC_OK;
}

static FtcReason
certificate_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcCertificate certificate;
	FtcReason	reason = ftc_certificate_decode(&certificate, bytes);

	if (reason != FTC_OK)
		return reason;
	again->len += ftc_certificate_encode(&certificate, again->buf, again->size);
	require(certificate.votes.len == (size_t) certificate.n * FTC_CERTIFICATE_VOTE_LEN);
	return FTC_OK;
}

static FtcReason
evidence_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcEvidence evidence;
	uint8_t		written[FTC_EVIDENCE_MAX];
	FtcReason	reason = ftc_evidence_decode(&evidence, bytes);

	if (reason != FTC_OK)
		return reason;
	ftc_put_bytes(again, written, ftc_evidence_encode(&evidence, written));
	require(same_hash(ftc_evidence_id(&evidence), ftc_sha256(bytes)));
	require(ftc_evidence_compare(&evidence, &evidence) == 0);
	return FTC_OK;
}

/* As kept with a block at height and round 1000. */
static FtcReason
finality_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcHeader	header = {.height = 1000,.round = 1000};
	FtcFinality block;
	uint8_t		written[FTC_FINALITY_LEN];
	FtcReason	reason = ftc_finality_decode(&block, &header, &ftc_hash_zero, bytes);

	if (reason != FTC_OK)
		return reason;
	ftc_finality_encode(&block, written);
	ftc_put_bytes(again, written, sizeof(written));
	require(block.final.height <= 1000 && block.justified.point.round <= 1000);
	return FTC_OK;
}

/*
 * Whatever its parts are, looking at them does no harm.  Signatures are not looked
 * at: no set is the trusted one.
 */
static FtcReason
finality_proof_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcFinalityProof proof;
	FtcReason	reason = ftc_finality_proof_decode(&proof, bytes);
	FtcCertificate certificate;
	FtcHash		id;
	uint64_t	height;

	if (reason != FTC_OK)
		return reason;
	again->len += ftc_finality_proof_encode(&proof, again->buf, again->size);
	require(ftc_finality_proof_check(&proof, &ftc_hash_zero, &ftc_hash_zero, &id, &height) != FTC_OK);
	require((unsigned) ftc_certificate_decode(&certificate, proof.certificate) < FTC_REASON_COUNT);
	return FTC_OK;
}

const TestCodec codec_validators = {"validators", validators_decode};
const TestCodec codec_stakes = {"stakes", stakes_decode};
const TestCodec codec_epoch = {"epoch", epoch_decode};
const TestCodec codec_vote = {"vote", vote_decode};
const TestCodec codec_certificate = {"certificate", certificate_decode};
const TestCodec codec_evidence = {"evidence", evidence_decode};
const TestCodec codec_finality = {"finality", finality_decode};
const TestCodec codec_finality_proof = {"finality_proof", finality_proof_decode};

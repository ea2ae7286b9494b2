/*-------------------------------------------------------------------------
 *
 * golden_votes.c
 *	  Samples of what is voted for, and by whom.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "committee.h"
#include "epoch.h"
#include "finality_proof.h"
#include "golden.h"
#include "proof_build.h"
#include "stake.h"

typedef struct Golden
{
	GoldenTake	take;
	void	   *arg;
	TestCommittee *committee;
} Golden;

static void
give_hash(const Golden *g, const char *name, FtcHash hash)
{
	g->take(g->arg, name, NULL, of_hash(&hash));
}

static void
give_set(const Golden *g, const char *name, const FtcValidators *set)
{
	size_t		len = ftc_validators_encode(set, NULL, 0);
	uint8_t    *bytes = keep(len);

	ftc_validators_encode(set, bytes, len);
	g->take(g->arg, name, &codec_validators, ftc_slice(bytes, len));
}

static void
give_sets(const Golden *g)
{
	TestPerson	people[5];
	FtcValidators wanted = validators_of(1, 5, people);
	FtcValidators next = {.capacity = FTC_VALIDATORS_MAX};

	next.at = keep(FTC_VALIDATORS_MAX * sizeof(FtcValidator));
	wanted.at[2].weight = 3;
	give_set(g, "validators", &g->committee->set);
	give_hash(g, "validators_hash", g->committee->hash);
	(void) ftc_validators_step(&g->committee->set, &wanted, true, &next);
	give_set(g, "validators_handover", &next);
}

static void
give_stakes(const Golden *g)
{
	FtcStake	at[4];
	FtcStakes	stakes = {.at = at,.capacity = 4};
	const TestPerson *people = g->committee->people;
	size_t		len;
	uint8_t    *bytes;

	ftc_stake_add(&stakes, &people[1].id, 1000);
	ftc_stake_add(&stakes, &people[0].id, 70);
	ftc_stake_remove(&stakes, &people[1].id, 300, 12);
	ftc_stake_remove(&stakes, &people[1].id, 1, 13);
	ftc_stake_approve(&stakes, &people[0].id, &people[2].id, 1);
	ftc_stake_punish(&stakes, &people[3].id);
	len = ftc_stakes_encode(&stakes, NULL, 0);
	bytes = keep(len);
	ftc_stakes_encode(&stakes, bytes, len);
	g->take(g->arg, "stakes", &codec_stakes, ftc_slice(bytes, len));
}

static void
give_votes(const Golden *g, int block)
{
	FtcVoteLink link = committee_link(g->committee, block);
	FtcVote		vote = committee_vote(g->committee, 2, &link);
	uint8_t    *bytes = keep(FTC_VOTE_LEN);

	ftc_vote_encode(&vote, bytes);
	g->take(g->arg, "vote", &codec_vote, ftc_slice(bytes, FTC_VOTE_LEN));
	give_hash(g, "vote_digest", ftc_vote_digest(&link));
	g->take(g->arg, "certificate", &codec_certificate, committee_certificate(g->committee, block, 3));
}

static void
give_evidence(const Golden *g, const char *name, const FtcEvidence *evidence)
{
	uint8_t		bytes[FTC_EVIDENCE_MAX];

	g->take(g->arg, name, &codec_evidence, keep_copy(ftc_slice(bytes, ftc_evidence_encode(evidence, bytes))));
}

static void
give_offences(const Golden *g)
{
	TestCommittee *c = g->committee;
	FtcVoteLink inner = {c->hash, {hash_of("target", 1), 5}, {hash_of("source", 1), 4}};
	FtcVoteLink outer = {c->hash, {hash_of("target", 2), 6}, {hash_of("source", 2), 3}};
	FtcVoteLink twin = {c->hash, {hash_of("target", 3), 5}, {hash_of("source", 1), 4}};
	FtcVote		a = committee_vote(c, 1, &inner);
	FtcVote		b = committee_vote(c, 1, &outer);
	FtcVote		d = committee_vote(c, 1, &twin);
	FtcHeader	header = committee_header(c, 0, 0, 9);
	FtcProposal x = committee_proposal(c, &header, 1);
	FtcProposal y;
	FtcEvidence evidence;

	header.time++;
	y = committee_proposal(c, &header, 1);
	(void) ftc_offence_of_votes(&a, &d, &evidence);
	give_evidence(g, "evidence_double_vote", &evidence);
	(void) ftc_offence_of_votes(&a, &b, &evidence);
	give_evidence(g, "evidence_surround_vote", &evidence);
	(void) ftc_offence_of_proposals(&x, &y, &evidence);
	give_evidence(g, "evidence_double_proposal", &evidence);
}

static void
give_proof(const Golden *g, const char *name, uint16_t n)
{
	TestProof  *proof = proof_build(n);
	uint8_t    *record = keep(FTC_EPOCH_LEN);

	memcpy(record, proof->proof.record.data, FTC_EPOCH_LEN);
	if (n > 1)
		g->take(g->arg, "epoch", &codec_epoch, ftc_slice(record, FTC_EPOCH_LEN));
	g->take(g->arg, name, &codec_finality_proof, proof_bytes(&proof->proof));
}

void
golden_votes_each(GoldenTake take, void *arg)
{
	Golden		golden = {.take = take,.arg = arg,.committee = committee_of(4)};
	TestCommittee *c = golden.committee;
	int			first = committee_block(c, 0, 0, 7);
	int			second = committee_block(c, first, first, 8);
	int			third = committee_block(c, second, second, 9);
	uint8_t    *bytes = keep(FTC_FINALITY_LEN);

	give_sets(&golden);
	give_stakes(&golden);
	give_votes(&golden, second);
	give_offences(&golden);
	ftc_finality_encode(&c->blocks[third], bytes);
	take(arg, "finality", &codec_finality, ftc_slice(bytes, FTC_FINALITY_LEN));
	give_proof(&golden, "finality_proof", 4);
	give_proof(&golden, "finality_proof_alone", 1);
}

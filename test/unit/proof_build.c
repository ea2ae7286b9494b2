/*-------------------------------------------------------------------------
 *
 * proof_build.c
 *	  A proof that a block is final.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "proof_build.h"

/* A chain's state with the validators as members, that commits to their epoch. */
static void
build_state(TestProof *p)
{
	TestCommittee *c = p->committee;

	p->epoch.set = c->set;
	p->epoch.proposers = keep(FTC_VALIDATORS_MAX * sizeof(FtcProposer));
	assert_reason(ftc_epoch_first(&p->epoch, &c->genesis, &ftc_hash_zero), FTC_OK);
	p->state.params = easy_params();
	p->state.params.consensus = FTC_CONSENSUS_POS;
	p->state.members = keep(c->set.n * sizeof(FtcMember));
	p->state.nmembers = c->set.n;
	for (uint32_t i = 0; i < c->set.n; i++)
		p->state.members[i] = (FtcMember)
	{
		.id = c->set.at[i].id,.algorithm = FTC_ALGORITHM_ED25519,.key = c->set.at[i].key,.weight = 1
	};
	p->state.voters = ftc_epoch_hash(&p->epoch.record);
}

static void
build_path(TestProof *p)
{
	uint32_t	n = p->state.nmembers + 2;
	FtcHash    *leaves = keep(n * sizeof(FtcHash));

	for (uint32_t i = 0; i < n; i++)
		leaves[i] = ftc_state_leaf_hash(&p->state, i);
	p->proof.members = p->state.nmembers;
	p->proof.npath = (uint8_t) ftc_merkle_inclusion(leaves, n, 1, p->proof.path);
}

static FtcSlice
header_bytes(const FtcHeader *header)
{
	uint8_t    *bytes = keep(FTC_HEADER_LEN);

	ftc_header_encode(header, bytes);
	return ftc_slice(bytes, FTC_HEADER_LEN);
}

static FtcSlice
certificate_of(const TestProof *p, const FtcHash *id, const FtcHash *next)
{
	TestCommittee *c = p->committee;
	FtcVoteLink link = {c->hash, {*next, p->next.round}, {*id, p->header.round}};
	FtcVote		votes[16];
	uint16_t	n = (uint16_t) (2 * c->set.n / 3 + 1);
	uint8_t    *bytes = keep(FTC_CERTIFICATE_MAX);

	for (uint16_t i = 0; i < n; i++)
		votes[i] = committee_vote(c, i, &link);
	return ftc_slice(bytes, ftc_certificate_make(votes, n, &c->set, bytes));
}

void
proof_finish(TestProof *p)
{
	TestCommittee *c = p->committee;
	FtcHash		id = ftc_header_id(&p->header);
	FtcHash		next;

	p->proof.header = header_bytes(&p->header);
	p->proof.signature = signed_by(&c->people[0], FTC_DOMAIN_BLOCK, &c->genesis, &id);
	if (c->set.n == 1)
		return;
	p->next.justify = id;
	next = ftc_header_id(&p->next);
	p->proof.next = header_bytes(&p->next);
	p->proof.certificate = certificate_of(p, &id, &next);
}

TestProof *
proof_build(uint16_t n)
{
	TestProof  *p = keep(sizeof(TestProof));
	uint8_t    *record = keep(FTC_EPOCH_LEN);
	uint8_t    *set;

	memset(p, 0, sizeof(*p));
	p->committee = committee_of(n);
	build_state(p);
	p->header = committee_header(p->committee, 0, 0, 5);
	p->header.proposer = p->committee->people[0].id;
	p->next = committee_header(p->committee, 0, 0, 6);
	p->next.height = 2;
	p->next.prev = ftc_header_id(&p->header);
	p->header.state = p->next.state = ftc_state_root(&p->state);
	build_path(p);
	ftc_epoch_encode(&p->epoch.record, record);
	p->proof.record = ftc_slice(record, FTC_EPOCH_LEN);
	p->proof.validators.len = ftc_validators_encode(&p->committee->set, NULL, 0);
	p->proof.validators.data = set = keep(p->proof.validators.len);
	ftc_validators_encode(&p->committee->set, set, p->proof.validators.len);
	proof_finish(p);
	return p;
}

FtcSlice
proof_bytes(const FtcFinalityProof *proof)
{
	size_t		len = ftc_finality_proof_encode(proof, NULL, 0);
	uint8_t    *bytes = keep(len);

	ftc_finality_proof_encode(proof, bytes, len);
	return ftc_slice(bytes, len);
}

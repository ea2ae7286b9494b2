/*-------------------------------------------------------------------------
 *
 * committee.c
 *	  Validators with keys, and a tree of blocks that they vote for.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "committee.h"

#include <stdlib.h>

static int
by_id(const void *a, const void *b)
{
	return ftc_hash_compare(&((const TestPerson *) a)->id, &((const TestPerson *) b)->id);
}

FtcValidators
validators_of(uint64_t first, uint16_t n, TestPerson *people)
{
	FtcValidators set = {.quorum = FTC_QUORUM_TWO_THIRDS,.n = n,.capacity = FTC_VALIDATORS_MAX};

	set.at = keep(FTC_VALIDATORS_MAX * sizeof(FtcValidator));
	for (uint16_t i = 0; i < n; i++)
		people[i] = person(first + i);
	qsort(people, n, sizeof(*people), by_id);
	for (uint16_t i = 0; i < n; i++)
	{
		set.at[i].id = people[i].id;
		set.at[i].algorithm = FTC_ALGORITHM_ED25519;
		set.at[i].key = people[i].key;
		set.at[i].weight = 1;
		set.at[i].before = 0;
	}
	return set;
}

static bool
load(FtcFinalityTree *tree, const FtcHash *id, FtcFinality *block)
{
	TestCommittee *c = (TestCommittee *) tree;

	for (int i = 0; i < c->nblocks; i++)
		if (ftc_hash_equal(&c->blocks[i].self.point.id, id))
		{
			*block = c->blocks[i];
			return true;
		}
	return false;
}

TestCommittee *
committee_of(uint16_t n)
{
	TestCommittee *c = keep(sizeof(TestCommittee));

	memset(c, 0, sizeof(*c));
	c->tree.load = load;
	c->people = keep(n * sizeof(TestPerson));
	c->set = validators_of(0, n, c->people);
	c->hash = ftc_validators_hash(&c->set);
	c->headers[0].version = FTC_HEADER_VERSION;
	c->headers[0].consensus = FTC_CONSENSUS_POS;
	c->genesis = ftc_header_id(&c->headers[0]);
	ftc_finality_first(&c->blocks[0], &c->genesis);
	c->nblocks = 1;
	return c;
}

FtcHeader
committee_header(const TestCommittee *c, int parent, int justify, uint64_t round)
{
	FtcHeader	header = {.version = FTC_HEADER_VERSION,.consensus = FTC_CONSENSUS_POS};

	header.height = c->blocks[parent].self.height + 1;
	header.time = TEST_TIME + round * SECOND;
	header.prev = c->blocks[parent].self.point.id;
	header.history = hash_of("history", header.height);
	header.body = hash_of("body", 1);
	header.leaves = 1;
	header.proposer = c->set.at[round % c->set.n].id;
	header.justify = c->blocks[justify].self.point.id;
	header.round = round;
	return header;
}

int
committee_add(TestCommittee *c, const FtcHeader *header, int parent, int justify)
{
	FtcHash		id = ftc_header_id(header);

	assert_true(c->nblocks < COMMITTEE_BLOCKS);
	c->headers[c->nblocks] = *header;
	ftc_finality_next(&c->blocks[c->nblocks], header, &id, &c->blocks[parent], &c->blocks[justify],
					  ftc_validators_is_alone(&c->set), COMMITTEE_EPOCH);
	return c->nblocks++;
}

int
committee_block(TestCommittee *c, int parent, int justify, uint64_t round)
{
	FtcHeader	header = committee_header(c, parent, justify, round);
	FtcFinality justified;

	assert_reason(ftc_finality_check(&c->tree, &header, &c->blocks[parent], &justified), FTC_OK);
	assert_hash_equal(&justified.self.point.id, &c->blocks[justify].self.point.id);
	return committee_add(c, &header, parent, justify);
}

FtcVoteLink
committee_link(const TestCommittee *c, int block)
{
	return ftc_finality_link(&c->blocks[block], &c->hash);
}

FtcVote
committee_vote(const TestCommittee *c, int who, const FtcVoteLink *link)
{
	FtcVote		vote = {.voter = c->people[who].id,.link = *link};
	FtcHash		digest = ftc_vote_digest(link);

	vote.signature = signed_by(&c->people[who], FTC_DOMAIN_VOTE, &c->genesis, &digest);
	return vote;
}

FtcSlice
committee_certificate(const TestCommittee *c, int block, uint16_t n)
{
	FtcVoteLink link = committee_link(c, block);
	FtcVote    *votes = keep(n * sizeof(FtcVote));
	uint8_t    *bytes = keep(FTC_CERTIFICATE_MAX);

	for (uint16_t i = 0; i < n; i++)
		votes[i] = committee_vote(c, n - 1 - i, &link);
	return keep_copy(ftc_slice(bytes, ftc_certificate_make(votes, n, &c->set, bytes)));
}

FtcProposal
committee_proposal(const TestCommittee *c, const FtcHeader *header, int who)
{
	FtcProposal proposal = {.header = *header};
	FtcHash		id;

	proposal.header.proposer = c->people[who].id;
	id = ftc_header_id(&proposal.header);
	proposal.signature = signed_by(&c->people[who], FTC_DOMAIN_BLOCK, &c->genesis, &id);
	return proposal;
}

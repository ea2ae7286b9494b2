/*-------------------------------------------------------------------------
 *
 * committee.h
 *	  Validators with keys, and a tree of blocks that they vote for.
 *
 * It lives in kept memory (test_util.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef COMMITTEE_H
#define COMMITTEE_H

#include "build.h"
#include "evidence.h"
#include "finality.h"
#include "validators.h"
#include "vote.h"

#define COMMITTEE_BLOCKS 256
#define COMMITTEE_EPOCH 8		/* rounds */

typedef struct TestCommittee
{
	FtcFinalityTree tree;		/* first */
	FtcHash		genesis;
	TestPerson *people;			/* in the order of the set */
	FtcValidators set;
	FtcHash		hash;			/* of the set */
	FtcHeader	headers[COMMITTEE_BLOCKS];
	FtcFinality blocks[COMMITTEE_BLOCKS];	/* number 0 is the genesis block */
	int			nblocks;
} TestCommittee;

/* So many validators of weight 1. */
extern TestCommittee *committee_of(uint16_t n);

/* A set with room for most, of people first .. first + n - 1; weights are 1. */
extern FtcValidators validators_of(uint64_t first, uint16_t n, TestPerson *people);

/* A header as it would be, with this round; numbers of blocks. */
extern FtcHeader committee_header(const TestCommittee *c, int parent, int justify, uint64_t round);

/* The block is made part of the tree, whatever it is; gives its number. */
extern int	committee_add(TestCommittee *c, const FtcHeader *header, int parent, int justify);
extern int	committee_block(TestCommittee *c, int parent, int justify, uint64_t round);

extern FtcVoteLink committee_link(const TestCommittee *c, int block);
extern FtcVote committee_vote(const TestCommittee *c, int who, const FtcVoteLink *link);

/* A certificate of the first n. */
extern FtcSlice committee_certificate(const TestCommittee *c, int block, uint16_t n);

/* A signed header of a block. */
extern FtcProposal committee_proposal(const TestCommittee *c, const FtcHeader *header, int who);

#endif							/* COMMITTEE_H */

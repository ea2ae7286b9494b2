/*-------------------------------------------------------------------------
 *
 * build.h
 *	  Valid things to start from: members, controls, bundles, bodies, blocks
 *	  and a chain of them, all really signed and mined.
 *
 * What is built lives in kept memory (test_util.h).  Everything is a function
 * of the arguments: there is no chance in it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BUILD_H
#define BUILD_H

#include "block.h"
#include "body.h"
#include "control.h"
#include "ring.h"
#include "rules.h"
#include "sign.h"
#include "state.h"

/* About two attempts at proof of work. */
#define EASY_BITS 0x207fffff

/* 2023-11-14, in microseconds */
#define TEST_TIME INT64_C(1700000000000000)
#define SECOND UINT64_C(1000000)

/* Somebody with a key; number n is the same person each time. */
typedef struct TestPerson
{
	FtcKey		seed;
	FtcKey		key;
	FtcHash		id;
} TestPerson;

extern TestPerson person(uint64_t n);
extern FtcSignature signed_by(const TestPerson *person, FtcDomain domain,
							  const FtcHash *chain, const FtcHash *digest);

/* Parameters of an easy chain of proof of work with two governors. */
extern FtcParams easy_params(void);

/* Controls, their nonce made from n; what they lack is for the caller. */
extern FtcControl control_of(FtcControlKind kind, uint64_t n);
extern FtcControl control_params(const FtcParams *params);
extern FtcControl control_add(const TestPerson *newcomer, uint8_t flags, const char *zone,
							  const FtcHash *chain);
extern FtcControl control_about(FtcControlKind kind, const TestPerson *whom, uint64_t n);
extern FtcControl control_rekey(const TestPerson *whom, const TestPerson *new_key,
								const FtcHash *chain);

/* The leaf, signed by the first n of these. */
extern FtcSlice control_leaf(FtcControl *control, const TestPerson *signers, int n,
							 const FtcHash *chain);

/* An entry with this seq, its text made from it. */
extern FtcEntry entry_of(const TestPerson *origin, uint64_t seq);

/* A body under construction, and when it is finished. */
#define TEST_BUNDLES_MAX 8
#define TEST_ENTRIES_MAX 64

typedef struct TestBundle
{
	FtcBundle	head;
	FtcSignedLeaf signed_leaf;
	FtcEntry	entries[TEST_ENTRIES_MAX];
} TestBundle;

typedef struct TestBody
{
	FtcSlice	controls[TEST_BUNDLES_MAX];
	uint32_t	ncontrols;
	TestBundle	bundles[TEST_BUNDLES_MAX];
	uint32_t	nbundles;

	FtcHash		leaves[2 * TEST_BUNDLES_MAX + TEST_BUNDLES_MAX * TEST_ENTRIES_MAX];
	uint32_t	nleaves;
	FtcHash		root;
	FtcSlice	manifest;
	FtcSlice	proof;
	FtcSlice	full;
	FtcSlice	skeleton;
} TestBody;

extern TestBody *body_new(void);
extern void body_add_control(TestBody *body, FtcSlice leaf);

/* A bundle of the entries with these seqs, ascending. */
extern TestBundle *body_add_bundle(TestBody *body, const TestPerson *origin, uint64_t number,
								   const uint64_t *seqs, uint32_t n, const FtcHash *chain);

/* The leaf and signature of a bundle whose head or entries were changed. */
extern void bundle_sign(TestBundle *bundle, const TestPerson *origin, const FtcHash *chain);

/* Sorts the bundles, and makes everything that is not yet. */
extern void body_finish(TestBody *body);

/* One of each kind: controls, two bundles with gaps, an erased entry. */
extern TestBody *body_sample(const FtcHash *chain);

/* A decoded manifest, which must be right. */
extern FtcManifest manifest_of(FtcSlice bytes);

typedef struct TestBlock
{
	FtcHeader	header;
	FtcSignature signature;
	TestBody   *body;
	FtcManifest manifest;
} TestBlock;

#define TEST_MEMBERS_MAX 16

typedef struct TestChain
{
	TestPerson	people[TEST_MEMBERS_MAX];	/* founders first */
	FtcParams	params;
	TestBlock	genesis;
	FtcHash		id;				/* of the genesis block */
	FtcState	state;
	FtcMember	members[TEST_MEMBERS_MAX];
	FtcTip		tip;
} TestChain;

/* The first block of a chain of these founders, of them so many governors. */
extern TestBlock genesis_block(const FtcParams *params, const TestPerson *founders,
							   uint32_t nfounders, uint32_t ngovernors);

/* Set what follows from the body, and sign; for a genesis block. */
extern void genesis_finish(TestBlock *block, const TestPerson *proposer);

extern TestChain *chain_found(const FtcParams *params, uint32_t nfounders, uint32_t ngovernors);

/* A valid block on the chain's tip; body may be NULL for an empty one. */
extern TestBlock chain_block(const TestChain *chain, TestBody *body, uint32_t proposer,
							 uint64_t time);

/* Mine and sign again, after the header was changed; or only sign. */
extern void block_seal(TestBlock *block, const TestPerson *proposer, const FtcHash *genesis);

/* Without a genesis it is one, and signed for the chain that it founds. */
extern void block_sign(TestBlock *block, const TestPerson *proposer, const FtcHash *genesis);

/* Make a block the tip; it must be valid. */
extern void chain_extend(TestChain *chain, const TestBlock *block);

/* A ring in kept memory. */
extern FtcRing *ring_of(const FtcRingMember *members, uint32_t n);

#endif							/* BUILD_H */

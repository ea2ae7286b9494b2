/*-------------------------------------------------------------------------
 *
 * test_rules.c
 *	  Tests of rules.c: from a valid chain, each rule broken alone.
 *
 * The chain has five members, of them three governors, two of which suffice.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "test_util.h"

#include "build.h"
#include "merkle.h"
#include "mutate.h"
#include "rules.h"

#define MEMBERS 5
#define GOVERNORS 3
#define STRANGER 9				/* a person who is no member */

static TestChain *
some_chain(void)
{
	FtcParams	params = easy_params();

	return chain_found(&params, MEMBERS, GOVERNORS);
}

/* The time of the next block, if it comes as intended. */
static uint64_t
on_time(const TestChain *chain)
{
	return chain->tip.time + chain->params.spacing;
}

static void
extend(TestChain *chain, uint64_t time)
{
	TestBlock	block = chain_block(chain, NULL, (uint32_t) (chain->tip.height % MEMBERS), time);

	chain_extend(chain, &block);
}

/* A chain that has come to some height. */
static TestChain *
grown_chain(void)
{
	TestChain  *chain = some_chain();

	for (int i = 0; i < 5; i++)
		extend(chain, on_time(chain));
	return chain;
}

static FtcReason
judge_at(const TestChain *chain, const TestBlock *block, uint64_t now)
{
	return ftc_rules_header(&block->header, &block->signature, &chain->tip, &chain->state,
							&chain->id, now);
}

static FtcReason
judge(const TestChain *chain, const TestBlock *block)
{
	return judge_at(chain, block, block->header.time);
}

static FtcReason
judge_manifest(const TestChain *chain, const TestBlock *block)
{
	return ftc_rules_manifest(&block->manifest, &block->header, &chain->state, &chain->id);
}

/* Everything else about the block is made right again. */
static void
check(const TestChain *chain, TestBlock *block, FtcReason expected)
{
	block_seal(block, &chain->people[0], &chain->id);
	assert_reason(judge(chain, block), expected);
}

static TestBlock
next_block(const TestChain *chain)
{
	return chain_block(chain, NULL, 0, on_time(chain));
}


/* ---- headers */

/* Blocks with controls and bundles, by each of the members, for a while. */
static void
test_valid_chain(void **state)
{
	TestChain  *chain = some_chain();
	FtcHash		ids[40] = {chain->id};
	FtcU256		work = ftc_pow_work(EASY_BITS);

	(void) state;
	for (uint32_t height = 1; height < lengthof(ids); height++)
	{
		TestBlock	block = chain_block(chain, height % 4 == 0 ? body_sample(&chain->id) : NULL,
										height % MEMBERS, on_time(chain) + height % 7 * SECOND);
		FtcU256		more = ftc_pow_work(block.header.bits);
		FtcHash		before = ftc_merkle_root(ids, height);
		FtcHash		found;

		assert_hash_equal(&block.header.history, &before);
		chain_extend(chain, &block);
		ids[height] = ftc_header_id(&block.header);
		work = ftc_u256_add(&work, &more);
		assert_int_equal(chain->tip.height, height);
		assert_int_equal(chain->tip.time, block.header.time);
		assert_hash_equal(&chain->tip.id, &ids[height]);
		assert_int_equal(ftc_u256_compare(&chain->tip.work, &work), 0);
		assert_int_equal(chain->tip.history.size, height + 1);
		before = ftc_merkle_root(ids, height + 1);
		found = ftc_frontier_root(&chain->tip.history);
		assert_hash_equal(&found, &before);
	}
}

static void
test_first_tip(void **state)
{
	TestChain  *chain = some_chain();
	FtcHash		root = ftc_frontier_root(&chain->tip.history);
	FtcU256		work = ftc_pow_work(EASY_BITS);

	(void) state;
	assert_hash_equal(&chain->tip.id, &chain->id);
	assert_int_equal(chain->tip.height, 0);
	assert_int_equal(chain->tip.time, TEST_TIME);
	assert_int_equal(chain->tip.anchor.height, 0);
	assert_int_equal(chain->tip.anchor.bits, EASY_BITS);
	assert_int_equal(chain->tip.anchor.parent_time, TEST_TIME - 10 * SECOND);
	assert_int_equal(chain->tip.history.size, 1);
	assert_hash_equal(&root, &chain->id);
	assert_int_equal(ftc_u256_compare(&chain->tip.work, &work), 0);
}

static void
test_consensus(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = next_block(chain);

	(void) state;
	check(chain, &block, FTC_OK);
	block.header.consensus = FTC_CONSENSUS_POS;
	check(chain, &block, FTC_WRONG_CONSENSUS);
	/* a chain of another kind has no engine here, even if they agree */
	chain->state.params.consensus = FTC_CONSENSUS_POS;
	block.header.state = ftc_state_root(&chain->state);
	check(chain, &block, FTC_WRONG_CONSENSUS);
	assert_int_equal(ftc_rules_next_bits(&chain->tip, &chain->state.params), 0);
}

static void
test_parent(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = next_block(chain);

	(void) state;
	block.header.prev.b[0] ^= 1;
	check(chain, &block, FTC_BAD_PARENT);
	block.header.prev = chain->id;
	check(chain, &block, FTC_BAD_PARENT);
	block.header.prev = ftc_hash_zero;
	check(chain, &block, FTC_BAD_PARENT);
}

static void
test_height(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = next_block(chain);

	(void) state;
	block.header.height++;
	check(chain, &block, FTC_BAD_HEIGHT);
	block.header.height -= 2;
	check(chain, &block, FTC_BAD_HEIGHT);
	block.header.height = INT64_MAX;
	check(chain, &block, FTC_BAD_HEIGHT);
}

static void
test_history(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = next_block(chain);

	(void) state;
	block.header.history.b[31] ^= 1;
	check(chain, &block, FTC_BAD_HISTORY);
	block.header.history = ftc_merkle_empty_root();
	check(chain, &block, FTC_BAD_HISTORY);
}

static void
test_state_root(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = next_block(chain);

	(void) state;
	block.header.state.b[0] ^= 1;
	check(chain, &block, FTC_BAD_STATE);
	/* the same members, but another height folded */
	chain->state.folded = 1;
	block.header.state = ftc_state_root(&chain->state);
	chain->state.folded = 0;
	check(chain, &block, FTC_BAD_STATE);
}

static void
test_justify(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = next_block(chain);

	(void) state;
	block.header.justify.b[31] = 1;
	check(chain, &block, FTC_BAD_JUSTIFY);
	block.header.justify = ftc_hash_zero;
	block.header.round = 1;
	check(chain, &block, FTC_BAD_JUSTIFY);
	block.header.round = 0;
	check(chain, &block, FTC_OK);
}

static void
test_leaves(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = next_block(chain);

	(void) state;
	block.header.body = hash_of("body", 0);
	block.header.leaves = chain->params.max_leaves;
	check(chain, &block, FTC_OK);
	block.header.leaves++;
	check(chain, &block, FTC_TOO_MANY);
}

/* The least time after the parent, to the microsecond. */
static void
test_too_early(void **state)
{
	TestChain  *chain = grown_chain();
	uint64_t	earliest = chain->tip.time + chain->params.min_spacing;
	TestBlock	block;

	(void) state;
	assert_int_equal(ftc_rules_earliest(&chain->tip, &chain->params), earliest);
	block = chain_block(chain, NULL, 0, earliest);
	check(chain, &block, FTC_OK);
	block.header.time--;
	check(chain, &block, FTC_TIME_TOO_EARLY);
	block.header.time = chain->tip.time;
	check(chain, &block, FTC_TIME_TOO_EARLY);
	block.header.time = 0;
	check(chain, &block, FTC_TIME_TOO_EARLY);
}

static int
compare_times(const void *a, const void *b)
{
	uint64_t	ta = *(const uint64_t *) a;
	uint64_t	tb = *(const uint64_t *) b;

	return ta < tb ? -1 : ta > tb;
}

/* Of the last 11, as Bitcoin has it: with fewer, of what there is. */
static uint64_t
median_time(const uint64_t *times, uint32_t n)
{
	uint64_t	last[11];
	uint32_t	count = n < 11 ? n : 11;

	memcpy(last, times + n - count, count * sizeof(uint64_t));
	qsort(last, count, sizeof(uint64_t), compare_times);
	return last[count / 2];
}

/*
 * Bitcoin's rule follows from ours: what is not later than the median of the
 * blocks before is refused, even where each block is as early as it may be.
 */
static void
test_median_time_past(void **state)
{
	TestChain  *chain = some_chain();
	uint64_t	times[60] = {chain->tip.time};

	(void) state;
	for (uint32_t height = 1; height < lengthof(times); height++)
	{
		uint64_t	earliest = ftc_rules_earliest(&chain->tip, &chain->params);
		uint64_t	median = median_time(times, height);
		TestBlock	block = chain_block(chain, NULL, 0, earliest + (height % 3) * (height % 5) * SECOND);

		TestBlock	early = block;

		assert_true(median < earliest);
		early.header.time = median;
		check(chain, &early, FTC_TIME_TOO_EARLY);
		times[height] = block.header.time;
		chain_extend(chain, &block);
	}
}

/* How far it may be ahead of the clock, to the microsecond. */
static void
test_too_late(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = next_block(chain);
	uint64_t	now = block.header.time - chain->params.future_bound;

	(void) state;
	assert_reason(judge_at(chain, &block, now), FTC_OK);
	assert_reason(judge_at(chain, &block, now - 1), FTC_TIME_TOO_LATE);
	assert_reason(judge_at(chain, &block, 0), FTC_TIME_TOO_LATE);
	assert_reason(judge_at(chain, &block, FTC_TIME_MAX), FTC_OK);
	/* only what is right in all else may become valid later */
	block.signature.b[0] ^= 1;
	assert_reason(judge_at(chain, &block, now - 1), FTC_BAD_SIGNATURE);
}

static void
test_bits(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = next_block(chain);
	uint32_t	right = block.header.bits;

	(void) state;
	block.header.bits = right - 1;
	check(chain, &block, FTC_BAD_BITS);
	block.header.bits = right == EASY_BITS ? 0x2000ffff : EASY_BITS;
	check(chain, &block, FTC_BAD_BITS);
	block.header.bits = right;
	check(chain, &block, FTC_OK);
}

/* Find a nonce that does not do. */
static void
spoil_work(TestBlock *block)
{
	FtcHash		id;

	do
	{
		block->header.nonce++;
		id = ftc_header_id(&block->header);
	} while (ftc_pow_meets(&id, block->header.bits));
}

static void
test_work(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = next_block(chain);

	(void) state;
	spoil_work(&block);
	block_sign(&block, &chain->people[0], &chain->id);
	assert_reason(judge(chain, &block), FTC_NOT_ENOUGH_WORK);
	/* which is looked at before the signature, that costs more to check */
	block.signature.b[0] ^= 1;
	assert_reason(judge(chain, &block), FTC_NOT_ENOUGH_WORK);
	block.header.proposer = chain->people[STRANGER].id;
	spoil_work(&block);
	assert_reason(judge(chain, &block), FTC_NOT_ENOUGH_WORK);
}

static void
test_proposer(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = chain_block(chain, NULL, STRANGER, on_time(chain));

	(void) state;
	assert_reason(judge(chain, &block), FTC_NOT_A_MEMBER);
	/* any member may propose, whatever its weight or flags */
	for (uint32_t i = 0; i < MEMBERS; i++)
	{
		block = chain_block(chain, NULL, i, on_time(chain));
		assert_reason(judge(chain, &block), FTC_OK);
	}
}

static void
test_signature(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = next_block(chain);
	FtcHash		id = ftc_header_id(&block.header);
	FtcHash		other = hash_of("chain", 1);

	(void) state;
	for (size_t at = 0; at < FTC_SIGNATURE_LEN; at++)
	{
		block.signature.b[at] ^= 1;
		assert_reason(judge(chain, &block), FTC_BAD_SIGNATURE);
		block.signature.b[at] ^= 1;
	}
	assert_reason(judge(chain, &block), FTC_OK);
	/* of another member, chain, or kind */
	block_sign(&block, &chain->people[1], &chain->id);
	assert_reason(judge(chain, &block), FTC_BAD_SIGNATURE);
	block_sign(&block, &chain->people[0], &other);
	assert_reason(judge(chain, &block), FTC_BAD_SIGNATURE);
	block.signature = signed_by(&chain->people[0], FTC_DOMAIN_STORED, &chain->id, &id);
	assert_reason(judge(chain, &block), FTC_BAD_SIGNATURE);
}

/* After a new key the old one proposes nothing. */
static void
test_rekeyed_proposer(void **state)
{
	TestChain  *chain = grown_chain();
	FtcControl	control = control_rekey(&chain->people[0], &chain->people[7], &chain->id);
	TestBlock	block;

	(void) state;
	assert_true(ftc_state_apply(&chain->state, &control));
	block = next_block(chain);
	assert_reason(judge(chain, &block), FTC_BAD_SIGNATURE);
	block_sign(&block, &chain->people[7], &chain->id);
	assert_reason(judge(chain, &block), FTC_OK);
}

/* Every byte of a header matters to some rule. */
static void
test_header_bytes(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = next_block(chain);
	uint8_t		bytes[FTC_HEADER_LEN];

	(void) state;
	ftc_header_encode(&block.header, bytes);
	for (size_t at = 0; at < sizeof(bytes); at++)
	{
		FtcReason	reason;

		bytes[at] ^= 1;
		reason = ftc_header_decode(&block.header, ftc_slice(bytes, sizeof(bytes)));
		if (reason == FTC_OK)
			reason = judge_at(chain, &block, FTC_TIME_MAX);
		assert_reason(reason == FTC_OK ? FTC_OK : FTC_BAD_PARENT, FTC_BAD_PARENT);
		bytes[at] ^= 1;
	}
}


/* ---- the retarget */

/* A chain that is used to hard work: its tip is invented. */
static TestChain *
hard_chain(void)
{
	TestChain  *chain = grown_chain();

	chain->params.limit_bits = 0x1f00ffff;
	chain->tip.anchor.bits = 0x1c00ffff;
	chain->tip.anchor.height = chain->tip.height;
	chain->tip.anchor.parent_time = (int64_t) (chain->tip.time - chain->params.spacing);
	return chain;
}

/* A block of the chain's work that nobody mined, to see what follows. */
static void
pretend(TestChain *chain, uint64_t gap)
{
	FtcHeader	header = {.consensus = FTC_CONSENSUS_POW};
	FtcTip		child;

	header.height = chain->tip.height + 1;
	header.time = chain->tip.time + gap;
	header.bits = ftc_rules_next_bits(&chain->tip, &chain->params);
	ftc_rules_next_tip(&child, &chain->tip, &header, &chain->params);
	chain->tip = child;
}

static uint32_t
bits_after(const TestChain *chain, uint64_t gap)
{
	TestChain	copy = *chain;

	pretend(&copy, gap);
	return ftc_rules_next_bits(&copy.tip, &copy.params);
}

/* On time, the work stays the same; faster, it rises; slower, it falls. */
static void
test_retarget(void **state)
{
	TestChain  *chain = hard_chain();
	uint64_t	spacing = chain->params.spacing;

	(void) state;
	assert_int_equal(ftc_rules_next_bits(&chain->tip, &chain->params), 0x1c00ffff);
	assert_int_equal(bits_after(chain, spacing), 0x1c00ffff);
	assert_true(bits_after(chain, SECOND) < 0x1c00ffff);
	assert_true(bits_after(chain, 10 * spacing) > 0x1c00ffff);
}

/*
 * A gap of a half-life and no more leaves the anchor where it is; a longer one
 * moves it.  What it asks next does not depend on which side of that it fell.
 */
static void
test_rebase_edge(void **state)
{
	TestChain  *chain = hard_chain();
	uint64_t	half_life = chain->params.half_life;
	FtcHeader	header = {.consensus = FTC_CONSENSUS_POW,.bits = EASY_BITS};
	FtcTip		child;
	FtcTip		later;

	(void) state;
	header.height = chain->tip.height + 1;
	header.time = chain->tip.time + half_life;
	ftc_rules_next_tip(&child, &chain->tip, &header, &chain->params);
	assert_memory_equal(&child.anchor, &chain->tip.anchor, sizeof(child.anchor));
	header.time++;
	ftc_rules_next_tip(&later, &chain->tip, &header, &chain->params);
	assert_int_equal(later.anchor.height, header.height);
	assert_int_equal(later.anchor.parent_time, header.time - chain->params.spacing);
	assert_int_equal(later.anchor.bits, ftc_rules_next_bits(&child, &chain->params));
	assert_int_equal(ftc_rules_next_bits(&later, &chain->params),
					 ftc_rules_next_bits(&child, &chain->params));
	/* however much longer it was */
	header.time += 1000 * half_life;
	ftc_rules_next_tip(&later, &chain->tip, &header, &chain->params);
	assert_int_equal(ftc_rules_next_bits(&later, &chain->params),
					 ftc_rules_next_bits(&child, &chain->params));
}

/* A half-life late makes it twice as easy, but for what the block was due. */
static void
test_rebase_bits(void **state)
{
	TestChain  *chain = hard_chain();
	uint64_t	half_life = chain->params.half_life;
	FtcAnchor  *anchor = &chain->tip.anchor;

	(void) state;
	assert_int_equal(bits_after(chain, 5 * half_life),
					 ftc_pow_next_bits(anchor, chain->tip.height + 1,
									   (int64_t) (chain->tip.time + half_life),
									   (int64_t) chain->params.spacing, (int64_t) half_life,
									   chain->params.limit_bits));
	/* a gap of exactly spacing more than that would double it */
	anchor->parent_time -= (int64_t) chain->params.spacing;
	assert_int_equal(bits_after(chain, 5 * half_life), 0x1c01fffe);
}

/* After the gap nothing is owed: on time again, the work stays. */
static void
test_rebase_no_debt(void **state)
{
	TestChain  *chain = hard_chain();
	uint32_t	bits;

	(void) state;
	pretend(chain, 100 * chain->params.half_life);
	bits = ftc_rules_next_bits(&chain->tip, &chain->params);
	for (int i = 0; i < 500; i++)
	{
		pretend(chain, chain->params.spacing);
		assert_int_equal(ftc_rules_next_bits(&chain->tip, &chain->params), bits);
	}
}

/* Where every block takes too long, it gets easier each time, to the limit. */
static void
test_rebase_recovers(void **state)
{
	TestChain  *chain = hard_chain();
	uint32_t	bits = ftc_rules_next_bits(&chain->tip, &chain->params);
	int			blocks = 0;

	(void) state;
	while (bits != chain->params.limit_bits)
	{
		uint32_t	before = bits;

		pretend(chain, 2 * chain->params.half_life);
		bits = ftc_rules_next_bits(&chain->tip, &chain->params);
		assert_true(bits > before);
		blocks++;
	}
	/* from 0x1c00ffff to 0x1f00ffff are 24 doublings */
	assert_in_range(blocks, 24, 26);
}

/* Without proof of work there is nothing to rebase, nor any work. */
static void
test_no_rebase(void **state)
{
	TestChain  *chain = hard_chain();
	FtcHeader	header = {.consensus = FTC_CONSENSUS_POS};
	FtcTip		child;

	(void) state;
	header.height = chain->tip.height + 1;
	header.time = chain->tip.time + 9 * chain->params.half_life;
	ftc_rules_next_tip(&child, &chain->tip, &header, &chain->params);
	assert_memory_equal(&child.anchor, &chain->tip.anchor, sizeof(child.anchor));
	assert_int_equal(ftc_u256_compare(&child.work, &chain->tip.work), 0);
}

/* A real chain over such a gap: each block is judged, not just asked. */
static void
test_gap_on_chain(void **state)
{
	FtcParams	params = easy_params();
	TestChain  *chain;
	uint32_t	before;

	(void) state;
	params.half_life = 20 * SECOND;
	chain = chain_found(&params, MEMBERS, GOVERNORS);
	for (int i = 0; i < 30; i++)
		extend(chain, chain->tip.time + 2 * SECOND);
	before = ftc_rules_next_bits(&chain->tip, &params);
	assert_true(before < 0x2001ffff);
	extend(chain, chain->tip.time + params.half_life + 1);
	assert_int_equal(chain->tip.anchor.height, chain->tip.height);
	assert_true(ftc_rules_next_bits(&chain->tip, &params) > before);
	for (int i = 0; i < 5; i++)
		extend(chain, on_time(chain));
	assert_int_equal(chain->tip.anchor.height, 31);
}


/* ---- manifests */

static TestBlock
block_with_control(const TestChain *chain, FtcControl *control, const TestPerson *signers, int n)
{
	TestBody   *body = body_new();

	body_add_control(body, control_leaf(control, signers, n, &chain->id));
	return chain_block(chain, body, 0, on_time(chain));
}

static void
check_control(const TestChain *chain, FtcControl *control, const TestPerson *signers, int n,
			  FtcReason expected)
{
	TestBlock	block = block_with_control(chain, control, signers, n);

	assert_reason(judge(chain, &block), FTC_OK);
	assert_reason(judge_manifest(chain, &block), expected);
}

static void
test_controls(void **state)
{
	TestChain  *chain = grown_chain();
	TestPerson *people = chain->people;
	FtcControl	prune = control_of(FTC_CONTROL_PRUNE, 1);
	FtcControl	add = control_add(&people[7], 0, "zone", &chain->id);
	TestPerson	strange[] = {people[0], people[1], people[STRANGER]};

	(void) state;
	check_control(chain, &prune, people, 2, FTC_OK);
	check_control(chain, &prune, people, 3, FTC_OK);
	check_control(chain, &prune, people, 1, FTC_NOT_AUTHORISED);
	check_control(chain, &prune, NULL, 0, FTC_NOT_AUTHORISED);
	check_control(chain, &prune, people + 3, 2, FTC_NOT_AUTHORISED);
	check_control(chain, &prune, strange, 3, FTC_NOT_A_MEMBER);
	check_control(chain, &add, people, 2, FTC_OK);
	add.possession.b[0] ^= 1;
	check_control(chain, &add, people, 2, FTC_BAD_POSSESSION);
}

/* Controls are signed for one chain. */
static void
test_control_chain(void **state)
{
	TestChain  *chain = grown_chain();
	TestBody   *body = body_new();
	FtcControl	prune = control_of(FTC_CONTROL_PRUNE, 1);
	FtcHash		other = hash_of("chain", 1);
	TestBlock	block;

	(void) state;
	body_add_control(body, control_leaf(&prune, chain->people, 2, &other));
	block = chain_block(chain, body, 0, on_time(chain));
	assert_reason(judge_manifest(chain, &block), FTC_BAD_SIGNATURE);
	body->ncontrols = 0;
	body_add_control(body, control_leaf(&prune, chain->people, 2, &ftc_hash_zero));
	block = chain_block(chain, body, 0, on_time(chain));
	assert_reason(judge_manifest(chain, &block), FTC_BAD_SIGNATURE);
}

/* The last height at which it may come is one of them. */
static void
test_not_after(void **state)
{
	TestChain  *chain = grown_chain();
	FtcControl	prune = control_of(FTC_CONTROL_PRUNE, 1);

	(void) state;
	prune.not_after = chain->tip.height + 1;
	check_control(chain, &prune, chain->people, 2, FTC_OK);
	prune.not_after--;
	check_control(chain, &prune, chain->people, 2, FTC_OUT_OF_RANGE);
	prune.not_after = 0;
	check_control(chain, &prune, chain->people, 2, FTC_OUT_OF_RANGE);
}

/* The last of several controls is judged as the first. */
static void
test_last_control(void **state)
{
	TestChain  *chain = grown_chain();
	TestBody   *body = body_new();
	TestBlock	block;

	(void) state;
	for (uint64_t i = 0; i < 4; i++)
	{
		FtcControl	prune = control_of(FTC_CONTROL_PRUNE, i);

		body_add_control(body, control_leaf(&prune, chain->people, i < 3 ? 2 : 1, &chain->id));
	}
	block = chain_block(chain, body, 0, on_time(chain));
	assert_reason(judge_manifest(chain, &block), FTC_NOT_AUTHORISED);
}

static TestBlock
block_with_bundle(const TestChain *chain, uint32_t origin, const FtcHash *signed_for)
{
	static const uint64_t seqs[] = {1, 2, 5};
	TestBody   *body = body_new();

	body_add_bundle(body, &chain->people[0], 1, seqs, 3, &chain->id);
	body_add_bundle(body, &chain->people[origin], 2, seqs, 3, signed_for);
	return chain_block(chain, body, 0, on_time(chain));
}

static void
test_bundles(void **state)
{
	TestChain  *chain = grown_chain();
	FtcHash		other = hash_of("chain", 1);
	TestBlock	block = block_with_bundle(chain, 1, &chain->id);

	(void) state;
	assert_reason(judge(chain, &block), FTC_OK);
	assert_reason(judge_manifest(chain, &block), FTC_OK);
	block = block_with_bundle(chain, STRANGER, &chain->id);
	assert_reason(judge_manifest(chain, &block), FTC_NOT_A_MEMBER);
	block = block_with_bundle(chain, 1, &other);
	assert_reason(judge_manifest(chain, &block), FTC_BAD_SIGNATURE);
}

/* The signature of each bundle, bit by bit. */
static void
test_bundle_signatures(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = block_with_bundle(chain, 1, &chain->id);
	uint8_t    *bytes = (uint8_t *) block.manifest.bytes.data;

	(void) state;
	for (int i = 0; i < 2; i++)
	{
		uint8_t    *signature = bytes + block.manifest.bytes.len - 64 -
		(size_t) (1 - i) * (4 + block.body->bundles[1].signed_leaf.leaf.len + 64);

		for (int at = 0; at < 64; at++)
		{
			signature[at] ^= 1;
			assert_reason(judge_manifest(chain, &block), FTC_BAD_SIGNATURE);
			signature[at] ^= 1;
		}
	}
	assert_reason(judge_manifest(chain, &block), FTC_OK);
}

/* With its origin's key it goes as well: a bundle must be signed anew. */
static void
test_bundle_rekeyed(void **state)
{
	TestChain  *chain = grown_chain();
	TestBlock	block = block_with_bundle(chain, 1, &chain->id);
	FtcControl	control = control_rekey(&chain->people[1], &chain->people[7], &chain->id);

	(void) state;
	assert_true(ftc_state_apply(&chain->state, &control));
	assert_reason(judge_manifest(chain, &block), FTC_BAD_SIGNATURE);
}


/* ---- the genesis block */

/* A state for founders to fill, with room for so many. */
static FtcState
empty_state(uint32_t capacity)
{
	FtcState	state;

	/* nothing in it is to be relied upon */
	memset(&state, 0xaa, sizeof(state));
	state.capacity = capacity;
	state.members = keep(capacity * sizeof(FtcMember));
	return state;
}

static TestBlock
founding_block(void)
{
	FtcParams	params = easy_params();
	TestPerson	founders[] = {person(0), person(1), person(2)};

	return genesis_block(&params, founders, 3, 2);
}

static FtcReason
judge_genesis(const TestBlock *block)
{
	FtcState	state = empty_state(TEST_MEMBERS_MAX);

	return ftc_rules_genesis(&block->header, &block->signature, &block->manifest, &state);
}

/* Judge it with all else made right: body, leaves, proposer, signature. */
static void
check_genesis(TestBlock *block, FtcReason expected)
{
	TestPerson	proposer = person(0);

	genesis_finish(block, &proposer);
	assert_reason(judge_genesis(block), expected);
}

/* The same with a founder's or the parameters' control replaced. */
static void
check_founder(uint32_t i, FtcControl *control, FtcReason expected)
{
	TestBlock	block = founding_block();

	block.body->controls[i] = control_leaf(control, NULL, 0, NULL);
	check_genesis(&block, expected);
}

static void
test_genesis(void **state)
{
	TestBlock	block = founding_block();
	FtcState	found = empty_state(TEST_MEMBERS_MAX);
	FtcHash		root;

	(void) state;
	assert_reason(ftc_rules_genesis(&block.header, &block.signature, &block.manifest, &found),
				  FTC_OK);
	assert_int_equal(found.folded, 0);
	assert_int_equal(found.nmembers, 3);
	assert_slice_equal(found.params.name, text ("easy"));
	root = ftc_state_root(&found);
	assert_hash_equal(&root, &block.header.state);
	for (uint64_t i = 0; i < 3; i++)
	{
		TestPerson	founder = person(i);
		const FtcMember *member = ftc_state_find(&found, &founder.id);

		assert_non_null(member);
		assert_int_equal(member->flags, i < 2 ? FTC_MEMBER_GOVERNOR : 0);
	}
}

/* As few as one member, as many as there is room for. */
static void
test_genesis_founders(void **state)
{
	FtcParams	params = easy_params();
	TestPerson	founders[6];
	TestBlock	block;
	FtcState	few;

	(void) state;
	for (uint64_t i = 0; i < lengthof(founders); i++)
		founders[i] = person(i);
	for (uint32_t n = 1; n <= lengthof(founders); n++)
		for (uint32_t ngovernors = 0; ngovernors <= n; ngovernors++)
			for (params.governors = 1; params.governors <= 3; params.governors++)
			{
				block = genesis_block(&params, founders, n, ngovernors);
				assert_reason(judge_genesis(&block),
							  ngovernors >= params.governors ? FTC_OK : FTC_NOT_AUTHORISED);
			}
	block = founding_block();
	few = empty_state(2);
	assert_reason(ftc_rules_genesis(&block.header, &block.signature, &block.manifest, &few),
				  FTC_NOT_CANONICAL);
	few = empty_state(3);
	assert_reason(ftc_rules_genesis(&block.header, &block.signature, &block.manifest, &few),
				  FTC_OK);
}

static void
test_genesis_nobody(void **state)
{
	TestBlock	block = founding_block();

	(void) state;
	block.body->ncontrols = 1;
	check_genesis(&block, FTC_NOT_AUTHORISED);
	block.body->ncontrols = 0;
	check_genesis(&block, FTC_NOT_AUTHORISED);
}

static void
test_genesis_header(void **state)
{
	TestBlock	block = founding_block();

	(void) state;
	block.header.height = 1;
	check_genesis(&block, FTC_BAD_HEIGHT);
	block = founding_block();
	block.header.justify.b[0] = 1;
	check_genesis(&block, FTC_NOT_CANONICAL);
	block = founding_block();
	block.header.round = 1;
	check_genesis(&block, FTC_NOT_CANONICAL);
	block = founding_block();
	block.header.state.b[0] ^= 1;
	check_genesis(&block, FTC_BAD_STATE);
	block = founding_block();
	block.header.bits = 0x2000ffff;
	check_genesis(&block, FTC_BAD_BITS);
	block = founding_block();
	block.header.consensus = FTC_CONSENSUS_POS;
	block.header.bits = 0;
	check_genesis(&block, FTC_WRONG_CONSENSUS);
	/* any time will do, and any nonce: its work is not counted on */
	block = founding_block();
	block.header.time = 0;
	block.header.nonce = 77;
	check_genesis(&block, FTC_OK);
}

/* Other engines have no target. */
static void
test_genesis_voted(void **state)
{
	FtcParams	params = easy_params();
	TestPerson	founder = person(0);
	TestBlock	block;

	(void) state;
	params.governors = 1;
	params.consensus = FTC_CONSENSUS_DPOS;
	params.limit_bits = 0;
	block = genesis_block(&params, &founder, 1, 1);
	assert_reason(judge_genesis(&block), FTC_OK);
}

static void
test_genesis_body(void **state)
{
	static const uint64_t seqs[] = {1};
	TestPerson	founder = person(0);
	TestBlock	block = founding_block();

	(void) state;
	block.header.body.b[0] ^= 1;
	block_sign(&block, &founder, NULL);
	assert_reason(judge_genesis(&block), FTC_BAD_ROOT);
	block = founding_block();
	block.header.leaves++;
	block_sign(&block, &founder, NULL);
	assert_reason(judge_genesis(&block), FTC_NOT_CANONICAL);
	block = founding_block();
	body_add_bundle(block.body, &founder, 1, seqs, 1, &ftc_hash_zero);
	check_genesis(&block, FTC_NOT_CANONICAL);
}

static void
test_genesis_proposer(void **state)
{
	TestBlock	block = founding_block();
	TestPerson	founder = person(2);
	TestPerson	stranger = person(STRANGER);
	FtcHash		id;

	(void) state;
	genesis_finish(&block, &founder);
	assert_reason(judge_genesis(&block), FTC_OK);
	genesis_finish(&block, &stranger);
	assert_reason(judge_genesis(&block), FTC_NOT_A_MEMBER);
	genesis_finish(&block, &founder);
	block.signature.b[0] ^= 1;
	assert_reason(judge_genesis(&block), FTC_BAD_SIGNATURE);
	/* the chain it is signed for is its own, not none */
	id = ftc_header_id(&block.header);
	block.signature = signed_by(&founder, FTC_DOMAIN_BLOCK, &ftc_hash_zero, &id);
	assert_reason(judge_genesis(&block), FTC_BAD_SIGNATURE);
	block.signature = signed_by(&founder, FTC_DOMAIN_BLOCK, &id, &id);
	assert_reason(judge_genesis(&block), FTC_OK);
}

/* First the parameters, once; then members, each once. */
static void
test_genesis_controls(void **state)
{
	FtcParams	params = easy_params();
	TestPerson	founder = person(1);
	FtcControl	parameters = control_params(&params);
	FtcControl	prune = control_of(FTC_CONTROL_PRUNE, 0);
	FtcControl	add = control_add(&founder, FTC_MEMBER_GOVERNOR, "zone", &ftc_hash_zero);

	(void) state;
	check_founder(0, &add, FTC_NOT_CANONICAL);
	check_founder(0, &prune, FTC_NOT_CANONICAL);
	check_founder(1, &parameters, FTC_BAD_KIND);
	check_founder(2, &prune, FTC_BAD_KIND);
	check_founder(3, &add, FTC_NOT_CANONICAL);
}

/* Nobody signs there: what members agree on is the id. */
static void
test_genesis_signed(void **state)
{
	(void) state;
	for (uint32_t i = 0; i < 4; i++)
	{
		TestBlock	block = founding_block();
		TestPerson	founder = person(0);
		FtcControl	control;

		assert_reason(ftc_control_leaf_decode(&control, block.body->controls[i]), FTC_OK);
		block.body->controls[i] = control_leaf(&control, &founder, 1, &ftc_hash_zero);
		check_genesis(&block, FTC_NOT_CANONICAL);
	}
}

/* Founders possess their keys, and say so for a chain that is not yet. */
static void
test_genesis_possession(void **state)
{
	TestPerson	founder = person(1);
	FtcHash		chain = hash_of("chain", 0);
	FtcControl	add = control_add(&founder, FTC_MEMBER_GOVERNOR, "south", &ftc_hash_zero);
	TestBlock	block = founding_block();

	(void) state;
	assert_slice_equal(block.body->controls[2], control_leaf(&add, NULL, 0, NULL));
	check_founder(2, &add, FTC_OK);
	add.possession.b[63] ^= 1;
	check_founder(2, &add, FTC_BAD_POSSESSION);
	add = control_add(&founder, FTC_MEMBER_GOVERNOR, "south", &chain);
	check_founder(2, &add, FTC_BAD_POSSESSION);
}

static void
test_genesis_lengths(void **state)
{
	TestBlock	block = founding_block();
	FtcWriter	writer = ftc_writer(keep(4096), 4096);
	uint8_t		header[FTC_HEADER_LEN];
	FtcSlice	bytes;

	(void) state;
	ftc_header_encode(&block.header, header);
	ftc_put_bytes(&writer, header, sizeof(header));
	ftc_put_bytes(&writer, block.signature.b, FTC_SIGNATURE_LEN);
	ftc_put_slice(&writer, block.body->manifest);
	bytes = keep_copy(ftc_slice(writer.buf, writer.len));
	assert_int_equal(check_lengths(&codec_genesis, bytes), 0);
	/* no byte may be another: it is all signed */
	for (size_t at = 0; at < bytes.len; at++)
	{
		FtcReason	reason;

		codec_round(&codec_genesis, with_byte(bytes, at, bytes.data[at] ^ 1), &reason);
		if (reason == FTC_OK)
			fail_msg("byte %zu is not signed", at);
	}
}


/* ---- tips as they are stored */

static void
test_tip_bytes(void **state)
{
	TestChain  *chain = some_chain();

	(void) state;
	for (int i = 0; i < 20; i++)
	{
		TestBlock	block = chain_block(chain, NULL, 0, chain->tip.time + (uint64_t) i * 1000 * SECOND
										+ SECOND);
		uint8_t		bytes[FTC_TIP_BYTES_MAX];
		FtcTip		found;
		size_t		len;

		chain_extend(chain, &block);
		len = ftc_tip_encode(&chain->tip, bytes);
		assert_int_equal(len, 8 + 8 + 4 + 32 + 8 + 32 * __builtin_popcountll(chain->tip.height + 1));
		memset(&found, 0xaa, sizeof(found));
		assert_reason(ftc_tip_decode(&found, &block.header, keep_copy(ftc_slice(bytes, len))), FTC_OK);
		assert_hash_equal(&found.id, &chain->tip.id);
		assert_int_equal(found.height, chain->tip.height);
		assert_int_equal(found.time, chain->tip.time);
		assert_int_equal(found.anchor.height, chain->tip.anchor.height);
		assert_int_equal(found.anchor.parent_time, chain->tip.anchor.parent_time);
		assert_int_equal(found.anchor.bits, chain->tip.anchor.bits);
		assert_int_equal(ftc_u256_compare(&found.work, &chain->tip.work), 0);
		assert_memory_equal(found.history.node, chain->tip.history.node,
							32 * (size_t) __builtin_popcountll(found.history.size));
		/* the next block is judged the same from either */
		chain->tip = found;
	}
}

/* The table in rules.h, and nothing shorter or longer. */
static void
test_tip_layout(void **state)
{
	TestChain  *chain = grown_chain();
	uint8_t		bytes[FTC_TIP_BYTES_MAX];
	FtcReader	reader;
	FtcSlice	slice;
	FtcHash		work = ftc_u256_to_hash(&chain->tip.work);
	uint8_t		history[FTC_FRONTIER_BYTES_MAX];

	(void) state;
	chain->tip.anchor.height = 3;
	chain->tip.anchor.parent_time = -5;
	slice = keep_copy(ftc_slice(bytes, ftc_tip_encode(&chain->tip, bytes)));
	reader = ftc_reader(slice);
	assert_int_equal(ftc_get_u64(&reader), 3);
	assert_int_equal(ftc_get_u64(&reader), UINT64_MAX - 4);
	assert_int_equal(ftc_get_u32(&reader), chain->tip.anchor.bits);
	assert_slice_equal(ftc_get_slice(&reader, 32), of_hash(&work));
	assert_slice_equal(ftc_slice(reader.at, reader.left),
					   ftc_slice(history, ftc_frontier_encode(&chain->tip.history, history)));
	assert_int_equal(check_lengths(&codec_tip, slice), 0);
	for (size_t len = 0; len < slice.len; len++)
		check_reason(&codec_tip, ftc_slice(slice.data, len), FTC_BAD_LENGTH);
	assert_true(check_bytes(&codec_tip, slice) > 64 * 255);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_valid_chain),
		test(test_first_tip),
		test(test_consensus),
		test(test_parent),
		test(test_height),
		test(test_history),
		test(test_state_root),
		test(test_justify),
		test(test_leaves),
		test(test_too_early),
		test(test_median_time_past),
		test(test_too_late),
		test(test_bits),
		test(test_work),
		test(test_proposer),
		test(test_signature),
		test(test_rekeyed_proposer),
		test(test_header_bytes),
		test(test_retarget),
		test(test_rebase_edge),
		test(test_rebase_bits),
		test(test_rebase_no_debt),
		test(test_rebase_recovers),
		test(test_no_rebase),
		test(test_gap_on_chain),
		test(test_controls),
		test(test_control_chain),
		test(test_not_after),
		test(test_last_control),
		test(test_bundles),
		test(test_bundle_signatures),
		test(test_bundle_rekeyed),
		test(test_genesis),
		test(test_genesis_founders),
		test(test_genesis_nobody),
		test(test_genesis_header),
		test(test_genesis_voted),
		test(test_genesis_body),
		test(test_genesis_proposer),
		test(test_genesis_controls),
		test(test_genesis_signed),
		test(test_genesis_possession),
		test(test_genesis_lengths),
		test(test_tip_bytes),
		test(test_tip_layout),
	};

	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}

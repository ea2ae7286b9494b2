/*-------------------------------------------------------------------------
 *
 * test_finality.c
 *	  Tests of finality.c: what is valid, justified and final, and which block is
 *	  the head.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "committee.h"
#include "mutate.h"

static FtcReason
check(TestCommittee *c, int parent, int justify, uint64_t round)
{
	FtcHeader	header = committee_header(c, parent, justify, round);
	FtcFinality justified;

	return ftc_finality_check(&c->tree, &header, &c->blocks[parent], &justified);
}

/* A block that nobody has looked at. */
static int
add(TestCommittee *c, int parent, int justify, uint64_t round)
{
	FtcHeader	header = committee_header(c, parent, justify, round);

	return committee_add(c, &header, parent, justify);
}

static void
test_valid(void **state)
{
	TestCommittee *c = committee_of(4);
	int			a = committee_block(c, 0, 0, 2);
	int			b = committee_block(c, a, a, 3);
	int			side = committee_block(c, 0, 0, 4);
	FtcHeader	header = committee_header(c, b, b, 9);
	FtcFinality justified;

	(void) state;
	assert_reason(check(c, b, b, 3), FTC_BAD_ROUND);
	assert_reason(check(c, b, b, 4), FTC_OK);
	assert_reason(check(c, b, a, 4), FTC_OK);
	/* lower than what the parent justifies; beside it; unknown; itself */
	assert_reason(check(c, b, 0, 4), FTC_NOT_JUSTIFIED);
	assert_reason(check(c, b, side, 5), FTC_NOT_JUSTIFIED);
	assert_reason(check(c, side, a, 5), FTC_NOT_JUSTIFIED);
	header.justify = hash_of("nothing", 0);
	assert_reason(ftc_finality_check(&c->tree, &header, &c->blocks[b], &justified), FTC_NOT_JUSTIFIED);
	header = committee_header(c, b, b, (uint64_t) INT64_MAX + 1);
	assert_reason(ftc_finality_check(&c->tree, &header, &c->blocks[b], &justified), FTC_BAD_ROUND);
}

/* Consecutive rounds make final, and nothing else does. */
static void
test_final(void **state)
{
	TestCommittee *c = committee_of(4);
	int			a = committee_block(c, 0, 0, 2);
	int			b = committee_block(c, a, a, 3);
	int			d = committee_block(c, b, b, 5);
	int			e = committee_block(c, d, d, 7);
	int			f = committee_block(c, e, e, 9);

	(void) state;
	assert_int_equal(c->blocks[b].final.height, 0);
	assert_int_equal(c->blocks[d].final.height, 1);
	assert_hash_equal(&c->blocks[d].final.point.id, &c->blocks[a].self.point.id);
	/* d is justified, two rounds above what it justifies */
	assert_int_equal(c->blocks[e].final.height, 1);
	assert_int_equal(c->blocks[f].final.height, 1);
	assert_true(ftc_finality_needs_closing(&c->blocks[f]));
}

static void
test_closing(void **state)
{
	TestCommittee *c = committee_of(4);
	int			a = committee_block(c, 0, 0, 2);
	FtcHeader	header;
	int			b;
	int			d;

	(void) state;
	assert_false(ftc_finality_needs_closing(&c->blocks[0]));
	assert_true(ftc_finality_needs_closing(&c->blocks[a]));
	header = committee_header(c, a, a, 3);
	header.leaves = 0;
	b = committee_add(c, &header, a, a);
	header = committee_header(c, b, b, 4);
	header.leaves = 0;
	d = committee_add(c, &header, b, b);
	assert_true(ftc_finality_needs_closing(&c->blocks[b]));
	assert_false(ftc_finality_needs_closing(&c->blocks[d]));
}

/* Who is alone is asked by nobody. */
static void
test_alone(void **state)
{
	TestCommittee *c = committee_of(1);
	int			a = committee_block(c, 0, 0, 2);
	int			b = committee_block(c, a, a, 9);
	FtcView		view;

	(void) state;
	assert_true(ftc_finality_is_given(&c->blocks[0]));
	assert_true(ftc_finality_is_given(&c->blocks[b]));
	assert_int_equal(c->blocks[a].final.height, 1);
	assert_false(ftc_finality_needs_closing(&c->blocks[b]));
	ftc_view_first(&view, &c->genesis);
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[a]), FTC_LEARNED_FINAL);
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[b]), FTC_LEARNED_FINAL);
	assert_int_equal(view.final.height, 2);
}

/* The jumps lead to the same as going down one by one. */
static void
test_descends(void **state)
{
	TestRandom	random = random_from(5);
	TestCommittee *c = committee_of(4);

	(void) state;
	for (int i = 0; i < 150; i++)
	{
		int			parent = (int) random_below(&random, (uint64_t) c->nblocks);
		int			justify = parent;

		if (i % 10 != 0)
			parent = justify = c->nblocks - 1;
		for (uint64_t down = random_below(&random, 4); down > 0 && justify > 0; down--)
			for (int j = 0; j < c->nblocks; j++)
				if (ftc_hash_equal(&c->blocks[j].self.point.id, &c->blocks[justify].prev))
				{
					justify = j;
					break;
				}
		if (c->blocks[justify].self.point.round < c->blocks[parent].justified.point.round)
			justify = parent;
		committee_block(c, parent, justify, c->blocks[parent].self.point.round + 1 + random_below(&random, 3));
	}
	for (int i = 0; i < c->nblocks; i++)
		for (int j = 0; j < c->nblocks; j++)
		{
			FtcFinality at = c->blocks[i];

			while (at.self.height > c->blocks[j].self.height)
				assert_true(c->tree.load(&c->tree, &at.prev, &at));
			assert_int_equal(ftc_finality_descends(&c->tree, &c->blocks[i], &c->blocks[j].self),
							 ftc_hash_equal(&at.self.point.id, &c->blocks[j].self.point.id));
		}
}

static void
test_view(void **state)
{
	TestCommittee *c = committee_of(4);
	int			a = committee_block(c, 0, 0, 2);
	int			b = committee_block(c, a, a, 3);
	int			d = committee_block(c, b, a, 4);
	int			side = committee_block(c, 0, 0, 5);
	int			longer = committee_block(c, side, 0, 6);
	int			longest = committee_block(c, longer, 0, 7);
	FtcView		view;
	FtcView		before;

	(void) state;
	ftc_view_first(&view, &c->genesis);
	/* while nothing is justified the longest, of equal ones the earlier */
	assert_true(ftc_view_prefers(&view, &c->tree, &c->blocks[longest], &c->blocks[d]));
	assert_false(ftc_view_prefers(&view, &c->tree, &c->blocks[d], &c->blocks[longest]));
	assert_true(ftc_view_prefers(&view, &c->tree, &c->blocks[d],
								 &c->blocks[committee_block(c, longest, 0, 8)]));
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[0]), FTC_LEARNED_NOTHING);
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[a]), FTC_LEARNED_JUSTIFIED);
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[a]), FTC_LEARNED_NOTHING);
	assert_true(ftc_view_prefers(&view, &c->tree, &c->blocks[longest], &c->blocks[b]));
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[b]), FTC_LEARNED_FINAL);
	assert_hash_equal(&view.final.point.id, &c->blocks[a].self.point.id);
	assert_hash_equal(&view.justified.point.id, &c->blocks[b].self.point.id);
	/* what conflicts with the final block is never the head, and says so */
	assert_false(ftc_view_allows(&view, &c->tree, &c->blocks[longest]));
	before = view;
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[longer]), FTC_LEARNED_CONFLICT);
	assert_memory_equal(&view, &before, sizeof(view));
}

/* Two of one round; one beside what it jumps over; and old news, which is none. */
static void
test_conflicts(void **state)
{
	TestCommittee *c = committee_of(4);
	int			a = committee_block(c, 0, 0, 2);
	int			twin = committee_block(c, 0, 0, 2 + 1);
	int			b = committee_block(c, a, a, 3);
	int			old = committee_block(c, 0, 0, 1);
	int			over = committee_block(c, old, 0, 9);
	FtcView		view;

	(void) state;
	ftc_view_first(&view, &c->genesis);
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[over]), FTC_LEARNED_JUSTIFIED);
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[a]), FTC_LEARNED_NOTHING);
	/* final, though what is justified with the highest round is beside it */
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[b]), FTC_LEARNED_CONFLICT);
	ftc_view_first(&view, &c->genesis);
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[b]), FTC_LEARNED_FINAL);
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[twin]), FTC_LEARNED_CONFLICT);
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[old]), FTC_LEARNED_NOTHING);
	assert_int_equal(ftc_view_certified(&view, &c->tree, &c->blocks[over]), FTC_LEARNED_CONFLICT);
}

/* Of equal heights the earlier round, of one round the smaller id: a total order. */
static void
test_compare(void **state)
{
	TestRandom	random = random_from(6);
	FtcFinality blocks[40];

	(void) state;
	for (size_t i = 0; i < lengthof(blocks); i++)
	{
		memset(&blocks[i], 0, sizeof(blocks[i]));
		blocks[i].self.height = random_below(&random, 3);
		blocks[i].self.point.round = random_below(&random, 3);
		blocks[i].self.point.id = hash_of("block", random_below(&random, 20));
	}
	for (size_t i = 0; i < lengthof(blocks); i++)
		for (size_t j = 0; j < lengthof(blocks); j++)
		{
			int			order = ftc_finality_compare(&blocks[i], &blocks[j]);

			assert_int_equal(order > 0, ftc_finality_compare(&blocks[j], &blocks[i]) < 0);
			if (blocks[i].self.height > blocks[j].self.height)
				assert_true(order > 0);
			for (size_t k = 0; k < lengthof(blocks); k++)
				if (order > 0 && ftc_finality_compare(&blocks[j], &blocks[k]) > 0)
					assert_true(ftc_finality_compare(&blocks[i], &blocks[k]) > 0);
		}
}

/* What an epoch is made of, against the definition: the slow way. */
static void
test_base(void **state)
{
	TestRandom	random = random_from(7);

	(void) state;
	for (int run = 0; run < 50; run++)
	{
		TestCommittee *c = committee_of(1 + (run % 5 != 0));
		int			chain[60];

		chain[0] = 0;
		for (int i = 1; i < 60; i++)
		{
			int			parent = chain[i - 1];
			uint64_t	gap = random_below(&random, 12) == 0 ? random_below(&random, 40) : 0;
			int			justify = random_below(&random, 4) > 0 ? parent : (int) c->blocks[parent].justified.height;
			uint64_t	round = c->blocks[parent].self.point.round + 1 + gap;
			FtcAncestor base = ftc_finality_base(&c->blocks[parent], round, COMMITTEE_EPOCH);
			uint64_t	epoch = round / COMMITTEE_EPOCH;
			FtcAncestor naive = c->blocks[0].self;

			for (int j = 0; j < i && epoch >= 2; j++)
				if (c->blocks[chain[j]].self.point.round < (epoch - 1) * COMMITTEE_EPOCH)
					naive = c->blocks[chain[j]].final;
			assert_int_equal(base.height, naive.height);
			assert_hash_equal(&base.point.id, &naive.point.id);
			chain[i] = add(c, parent, chain[justify], round);
			assert_int_equal(chain[i], i);
		}
		keep_free();
	}
}

static void
test_pow_rounds(void **state)
{
	uint64_t	round = 0;

	(void) state;
	for (uint64_t height = 1; height <= 100; height++)
	{
		round = ftc_finality_pow_round(round, height, 10);
		assert_int_equal(round, height / 10);
		assert_int_equal(ftc_finality_is_checkpoint(height, 10), height % 10 == 0);
		assert_false(ftc_finality_is_checkpoint(height, 0));
	}
}

static void
test_bytes(void **state)
{
	TestCommittee *c = committee_of(4);
	int			a = committee_block(c, 0, 0, 2);
	int			b = committee_block(c, a, a, 3);
	int			d = committee_block(c, b, b, 30);
	uint8_t    *bytes = keep(FTC_FINALITY_LEN);
	FtcFinality again;

	(void) state;
	ftc_finality_encode(&c->blocks[d], bytes);
	memset(&again, 0, sizeof(again));
	assert_reason(ftc_finality_decode(&again, &c->headers[d], &c->blocks[d].self.point.id,
									  ftc_slice(bytes, FTC_FINALITY_LEN)), FTC_OK);
	assert_int_equal(again.final.height, 1);
	assert_hash_equal(&again.justified.point.id, &c->blocks[b].self.point.id);
	assert_int_equal(again.settled[0].height, c->blocks[d].settled[0].height);
	assert_int_equal(again.filled, 3);
	check_accepted(&codec_finality, ftc_slice(bytes, FTC_FINALITY_LEN));
	assert_int_equal(check_lengths(&codec_finality, ftc_slice(bytes, FTC_FINALITY_LEN)), 0);
	(void) check_bytes(&codec_finality, ftc_slice(bytes, FTC_FINALITY_LEN));
	check_reason(&codec_finality, with_byte(ftc_slice(bytes, FTC_FINALITY_LEN), FTC_FINALITY_LEN - 1, 2),
				 FTC_NOT_CANONICAL);
	check_reason(&codec_finality, with_be(ftc_slice(bytes, FTC_FINALITY_LEN), 0, 1001, 8), FTC_OUT_OF_RANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_valid),
		test(test_final),
		test(test_closing),
		test(test_alone),
		test(test_descends),
		test(test_view),
		test(test_conflicts),
		test(test_compare),
		test(test_base),
		test(test_pow_rounds),
		test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*-------------------------------------------------------------------------
 *
 * test_shards.c
 *	  Tests of shards.c: any so many shards restore a body, and no fewer.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "bytes.h"
#include "merkle.h"
#include "shards.h"

/* A body and its shards, each in memory of its own. */
typedef struct Cutting
{
	FtcCut		cut;
	uint8_t    *body;
	FtcSlice	shards[FTC_SHARDS_MAX];
	uint8_t    *parity;
	void	   *scratch;
} Cutting;

static Cutting
cutting_of(TestRandom *random, uint32_t data, uint32_t parity, size_t len)
{
	Cutting		c = {.cut = {.data = data,.parity = parity,.len = len}};
	FtcSlice	all[FTC_SHARDS_MAX];

	assert_reason(ftc_cut_check(&c.cut), FTC_OK);
	c.body = keep(len);
	random_bytes(random, c.body, len);
	c.parity = keep(ftc_parity_len(&c.cut));
	c.scratch = keep(ftc_shards_scratch(&c.cut));
	ftc_shards_encode(&c.cut, c.body, c.parity, c.scratch, all);
	for (uint32_t i = 0; i < data + parity; i++)
	{
		assert_int_equal(all[i].len, ftc_shard_len(&c.cut));
		c.shards[i] = keep_copy(all[i]);
	}
	return c;
}

/* Without the shards of a set, from memory that held something else. */
static FtcReason
restore(const Cutting *c, const bool *without, uint8_t *body)
{
	FtcSlice	shards[FTC_SHARDS_MAX];

	for (uint32_t i = 0; i < c->cut.data + c->cut.parity; i++)
		shards[i] = without[i] ? ftc_slice(NULL, 0) : c->shards[i];
	memset(body, 0xa5, c->cut.len);
	memset(c->scratch, 0x5a, ftc_shards_scratch(&c->cut));
	return ftc_shards_restore(&c->cut, shards, body, c->scratch);
}

static void
check_restores(const Cutting *c, const bool *without)
{
	uint8_t    *body = keep(c->cut.len);
	uint32_t	lost = 0;

	for (uint32_t i = 0; i < c->cut.data + c->cut.parity; i++)
		lost += without[i];
	if (lost > c->cut.parity)
		assert_reason(restore(c, without, body), FTC_TOO_FEW);
	else
	{
		assert_reason(restore(c, without, body), FTC_OK);
		assert_memory_equal(body, c->body, c->cut.len);
	}
}

/* The first shards are the body, in pieces, then zeros. */
static void
test_systematic(void **state)
{
	TestRandom	random = random_from(1);
	Cutting		c = cutting_of(&random, 4, 2, 10);

	(void) state;
	assert_int_equal(ftc_shard_len(&c.cut), 3);
	for (size_t i = 0; i < 12; i++)
		assert_int_equal(c.shards[i / 3].data[i % 3], i < 10 ? c.body[i] : 0);
}

/* Every set of shards that may be lost, for small numbers and odd lengths. */
static void
test_all_losses(void **state)
{
	static const size_t lengths[] = {1, 2, 3, 5, 31, 32, 33, 64, 100, 1000, 4097};
	TestRandom	random = random_from(2);

	(void) state;
	for (uint32_t data = 1; data <= 5; data++)
		for (uint32_t parity = 1; parity <= 3; parity++)
			for (size_t l = 0; l < lengthof(lengths); l++)
			{
				Cutting		c = cutting_of(&random, data, parity, lengths[l]);

				for (uint32_t set = 0; set < UINT32_C(1) << (data + parity); set++)
				{
					bool		without[FTC_SHARDS_MAX];

					for (uint32_t i = 0; i < data + parity; i++)
						without[i] = (set >> i & 1) != 0;
					check_restores(&c, without);
				}
				keep_free();
			}
}

/* Any numbers up to the most, losses at random: just as many as may be, and one more. */
static void
test_random_losses(void **state)
{
	TestRandom	random = random_from(3);

	(void) state;
	for (int i = 0; i < 150; i++)
	{
		uint32_t	data = 1 + (uint32_t) random_below(&random, FTC_SHARDS_MAX - 1);
		uint32_t	parity = 1 + (uint32_t) random_below(&random, FTC_SHARDS_MAX - data);
		Cutting		c = cutting_of(&random, data, parity, 1 + (size_t) random_below(&random, 5000));

		for (uint32_t losses = parity; losses <= parity + 1 && losses <= data + parity; losses++)
		{
			bool		without[FTC_SHARDS_MAX] = {false};

			for (uint32_t lost = 0; lost < losses;)
			{
				uint32_t	at = (uint32_t) random_below(&random, data + parity);

				lost += !without[at];
				without[at] = true;
			}
			check_restores(&c, without);
		}
		keep_free();
	}
}

/* A naive encoder: the field by its definition, the Cauchy matrix by its formula. */
static uint8_t
gf_times(uint8_t a, uint8_t b)
{
	uint8_t		product = 0;

	for (; b != 0; b >>= 1)
	{
		if ((b & 1) != 0)
			product ^= a;
		a = (uint8_t) (a << 1 ^ ((a & 0x80) != 0 ? 0x1d : 0));
	}
	return product;
}

static uint8_t
gf_inverse(uint8_t a)
{
	for (int b = 1; b < 256; b++)
		if (gf_times(a, (uint8_t) b) == 1)
			return (uint8_t) b;
	return 0;
}

static void
test_naive(void **state)
{
	TestRandom	random = random_from(4);

	(void) state;
	for (int round = 0; round < 20; round++)
	{
		uint32_t	data = 1 + (uint32_t) random_below(&random, 20);
		uint32_t	parity = 1 + (uint32_t) random_below(&random, 10);
		Cutting		c = cutting_of(&random, data, parity, 1 + (size_t) random_below(&random, 900));

		for (uint32_t i = data; i < data + parity; i++)
			for (size_t at = 0; at < ftc_shard_len(&c.cut); at++)
			{
				uint8_t		sum = 0;

				for (uint32_t j = 0; j < data; j++)
					sum ^= gf_times(gf_inverse((uint8_t) (i ^ j)), c.shards[j].data[at]);
				assert_int_equal(c.shards[i].data[at], sum);
			}
		keep_free();
	}
}

/* A wrong shard is told by its digest, as a leaf under the root. */
static void
test_wrong_shard(void **state)
{
	TestRandom	random = random_from(5);
	Cutting		c = cutting_of(&random, 6, 3, 1000);
	FtcHash		digests[9];
	FtcHash		root;

	(void) state;
	for (int i = 0; i < 9; i++)
		digests[i] = ftc_shard_digest(c.shards[i]);
	root = ftc_shards_root(&c.cut, digests);
	for (uint32_t i = 0; i < 9; i++)
	{
		FtcHash		path[FTC_PROOF_MAX];
		int			n = ftc_merkle_inclusion(digests, 9, i, path);
		FtcHash		changed;

		assert_reason(ftc_merkle_verify_inclusion(&digests[i], i, 9, path, n, &root), FTC_OK);
		((uint8_t *) c.shards[i].data)[random_below(&random, c.shards[i].len)] ^= 1;
		changed = ftc_shard_digest(c.shards[i]);
		assert_reason(ftc_merkle_verify_inclusion(&changed, i, 9, path, n, &root), FTC_BAD_PROOF);
	}
}

/* Each number once; who states one that no earlier one does keeps it. */
static void
test_assign(void **state)
{
	TestRandom	random = random_from(7);

	(void) state;
	for (int round = 0; round < 20000; round++)
	{
		uint32_t	shards = 1 + (uint32_t) random_below(&random, 12);

		/* a chain may have fewer members than shards */
		uint32_t	n = 1 + (uint32_t) random_below(&random, shards);
		int32_t		stated[12];
		int32_t		assigned[12];
		int32_t		again[12];
		uint32_t	seen = 0;

		for (uint32_t i = 0; i < n; i++)
			stated[i] = (int32_t) random_below(&random, shards + 2) - 1;
		ftc_shards_assign(n, shards, stated, assigned);
		for (uint32_t i = 0; i < n; i++)
		{
			bool		first = stated[i] >= 0 && stated[i] < (int32_t) shards;

			for (uint32_t j = 0; j < i; j++)
				first &= stated[j] != stated[i];
			if (first)
				assert_int_equal(assigned[i], stated[i]);
			assert_in_range(assigned[i], 0, shards - 1);
			assert_int_equal(seen >> assigned[i] & 1, 0);
			seen |= UINT32_C(1) << assigned[i];
		}
		if (n == shards)
			assert_int_equal(seen, (UINT32_C(1) << n) - 1);
		/* once they have taken them, nothing moves */
		ftc_shards_assign(n, shards, assigned, again);
		assert_memory_equal(again, assigned, n * sizeof(*again));
	}
}

/* One of another length would be read beyond its end. */
static void
test_lengths(void **state)
{
	TestRandom	random = random_from(6);
	Cutting		c = cutting_of(&random, 3, 2, 100);
	bool		without[FTC_SHARDS_MAX] = {true};
	uint8_t    *body = keep(100);

	(void) state;
	c.shards[1].len--;
	assert_reason(restore(&c, without, body), FTC_BAD_LENGTH);
	c.shards[1].len += 2;
	assert_reason(restore(&c, without, body), FTC_BAD_LENGTH);
}

static void
test_cut(void **state)
{
	static const struct
	{
		FtcCut		cut;
		FtcReason	reason;
	}			cases[] = {
		{{1, 1, 1}, FTC_OK}, {{99, 1, FTC_BODY_MAX}, FTC_OK}, {{1, 99, 5}, FTC_OK},
		{{0, 1, 1}, FTC_OUT_OF_RANGE}, {{1, 0, 1}, FTC_OUT_OF_RANGE}, {{1, 1, 0}, FTC_OUT_OF_RANGE},
		{{99, 2, 1}, FTC_OUT_OF_RANGE}, {{1, 1, (size_t) FTC_BODY_MAX + 1}, FTC_OUT_OF_RANGE},
		{{UINT32_MAX, 2, 1}, FTC_OUT_OF_RANGE},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
		assert_reason(ftc_cut_check(&cases[i].cut), cases[i].reason);
}

static void
test_head(void **state)
{
	FtcShardsHead head = {.cut = {.data = 4,.parity = 2,.len = 12345},.block = hash_of("block", 1),
	.root = hash_of("root", 1)};
	FtcShardsHead found;
	uint8_t		bytes[FTC_SHARDS_HEAD_LEN + 1];
	FtcSlice	slice = ftc_slice(bytes, FTC_SHARDS_HEAD_LEN);

	(void) state;
	ftc_shards_head_encode(&head, bytes);
	assert_reason(ftc_shards_head_decode(&found, slice), FTC_OK);
	assert_int_equal(found.cut.data, 4);
	assert_int_equal(found.cut.parity, 2);
	assert_int_equal(found.cut.len, 12345);
	assert_hash_equal(&found.block, &head.block);
	assert_hash_equal(&found.root, &head.root);
	for (size_t len = 0; len <= sizeof(bytes); len++)
		if (len != FTC_SHARDS_HEAD_LEN)
			assert_reason(ftc_shards_head_decode(&found, keep_copy(ftc_slice(bytes, len))), FTC_BAD_LENGTH);
	bytes[0] = 2;
	assert_reason(ftc_shards_head_decode(&found, slice), FTC_BAD_VERSION);
	bytes[0] = 1;
	bytes[1] = 1;
	assert_reason(ftc_shards_head_decode(&found, slice), FTC_NOT_CANONICAL);
	bytes[1] = 0;
	bytes[3] = 0;
	assert_reason(ftc_shards_head_decode(&found, slice), FTC_OUT_OF_RANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_systematic),
		test(test_all_losses),
		test(test_random_losses),
		test(test_naive),
		test(test_wrong_shard),
		test(test_assign),
		test(test_lengths),
		test(test_cut),
		test(test_head),
	};

	return cmocka_run_group_tests_name("shards", tests, NULL, NULL);
}

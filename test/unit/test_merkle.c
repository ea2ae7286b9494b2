/*-------------------------------------------------------------------------
 *
 * test_merkle.c
 *	  Tests of merkle.c: published proofs, and RFC 6962 word by word.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>

#include "merkle.h"
#include "mutate.h"
#include "sha256.h"

#define LEAVES 70				/* trees up to this size in all ways */

static FtcHash leaves[1100];

static int
make_leaves(void **state)
{
	TestRandom	random = random_from(1);

	(void) state;
	for (size_t i = 0; i < lengthof(leaves); i++)
		leaves[i] = random_hash(&random);
	return 0;
}

/* The largest power of two below n, as the RFC has it. */
static uint64_t
split(uint64_t n)
{
	uint64_t	k = 1;

	while (k < n - k)
		k *= 2;
	return k;
}

/* SHA-256(0x01 || left || right) */
static FtcHash
node(FtcHash left, FtcHash right)
{
	uint8_t		bytes[65] = {0x01};

	memcpy(bytes + 1, left.b, 32);
	memcpy(bytes + 33, right.b, 32);
	return ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
}

/* MTH(D[n]) of section 2.1 */
static FtcHash
naive_root(const FtcHash *d, uint64_t n)
{
	if (n == 0)
		return ftc_sha256(ftc_slice(NULL, 0));
	if (n == 1)
		return d[0];
	return node(naive_root(d, split(n)), naive_root(d + split(n), n - split(n)));
}

/* PATH(m, D[n]) of section 2.1.1 */
static int
naive_path(const FtcHash *d, uint64_t n, uint64_t m, FtcHash *proof)
{
	uint64_t	k;
	int			len;

	if (n == 1)
		return 0;
	k = split(n);
	len = m < k ? naive_path(d, k, m, proof) : naive_path(d + k, n - k, m - k, proof);
	proof[len] = m < k ? naive_root(d + k, n - k) : naive_root(d, k);
	return len + 1;
}

/* SUBPROOF(m, D[n], b) of section 2.1.2 */
static int
naive_subproof(const FtcHash *d, uint64_t n, uint64_t m, bool b, FtcHash *proof)
{
	uint64_t	k;
	int			len;

	if (m == n)
	{
		if (!b)
			proof[0] = naive_root(d, n);
		return b ? 0 : 1;
	}
	k = split(n);
	len = m <= k ? naive_subproof(d, k, m, b, proof)
		: naive_subproof(d + k, n - k, m - k, false, proof);
	proof[len] = m <= k ? naive_root(d + k, n - k) : naive_root(d, k);
	return len + 1;
}

static void
test_hashes(void **state)
{
	FtcHash		empty = ftc_merkle_empty_root();
	FtcHash		expected = unhex_hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	FtcHash		leaf;

	(void) state;
	assert_hash_equal(&empty, &expected);
	leaf = ftc_merkle_leaf(ftc_slice(NULL, 0));
	expected = ftc_sha256(ftc_slice("\0", 1));
	assert_hash_equal(&leaf, &expected);
	leaf = ftc_merkle_leaf(text ("leaf"));
	expected = ftc_sha256(ftc_slice("\0leaf", 5));
	assert_hash_equal(&leaf, &expected);
	leaf = ftc_merkle_node(&leaves[0], &leaves[1]);
	expected = node(leaves[0], leaves[1]);
	assert_hash_equal(&leaf, &expected);
}

static void
test_roots(void **state)
{
	FtcFrontier frontier;

	(void) state;
	ftc_frontier_init(&frontier);
	for (uint64_t n = 0; n <= lengthof(leaves); n++)
	{
		FtcHash		root = ftc_merkle_root(leaves, n);
		FtcHash		expected;
		FtcHash		found = ftc_frontier_root(&frontier);

		assert_int_equal(frontier.size, n);
		assert_hash_equal(&root, &found);
		if (n <= 300 || n % 97 == 0 || n % 256 <= 1)
		{
			expected = naive_root(leaves, n);
			assert_hash_equal(&root, &expected);
		}
		if (n < lengthof(leaves))
			ftc_frontier_add(&frontier, &leaves[n]);
	}
}

/* The nodes are the roots of the perfect subtrees, the largest first. */
static void
test_frontier_nodes(void **state)
{
	(void) state;
	for (uint64_t n = 0; n <= 130; n++)
	{
		FtcFrontier frontier;
		uint64_t	at = 0;
		int			used = 0;

		ftc_frontier_init(&frontier);
		for (uint64_t i = 0; i < n; i++)
			ftc_frontier_add(&frontier, &leaves[i]);
		for (uint64_t size = 128; size > 0; size /= 2)
			if (n & size)
			{
				FtcHash		expected = naive_root(leaves + at, size);

				assert_hash_equal(&frontier.node[used], &expected);
				at += size;
				used++;
			}
	}
}

static FtcSlice
frontier_bytes(uint64_t size)
{
	uint64_t	bits = (uint64_t) __builtin_popcountll(size);
	uint8_t    *bytes = keep(8 + 32 * bits);
	FtcWriter	writer = ftc_writer(bytes, 8 + 32 * bits);

	ftc_put_u64(&writer, size);
	for (uint64_t i = 0; i < bits; i++)
		ftc_put_hash(&writer, &leaves[i]);
	return ftc_slice(bytes, writer.len);
}

/* Any size is a tree, up to the greatest, and only in the right length. */
static void
test_frontier_bytes(void **state)
{
	static const uint64_t sizes[] = {
		0, 1, 2, 3, 6, 7, 0x8000000000000000, 0x7fffffffffffffff, UINT64_MAX
	};

	(void) state;
	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		FtcSlice	bytes = frontier_bytes(sizes[i]);

		assert_int_equal(check_lengths(&codec_frontier, bytes), 0);
		for (size_t len = 0; len < bytes.len; len++)
			check_reason(&codec_frontier, ftc_slice(bytes.data, len), FTC_BAD_LENGTH);
		if (bytes.len < 300)
			assert_true(check_bytes(&codec_frontier, bytes) >= 255 * (bytes.len - 8));
	}
	assert_int_equal(frontier_bytes(UINT64_MAX).len, FTC_FRONTIER_BYTES_MAX);
}

/* From its bytes a frontier goes on as if it had never been away. */
static void
test_frontier_resume(void **state)
{
	FtcFrontier frontier;

	(void) state;
	ftc_frontier_init(&frontier);
	for (uint64_t n = 0; n < 200; n++)
	{
		uint8_t		bytes[FTC_FRONTIER_BYTES_MAX];
		size_t		len = ftc_frontier_encode(&frontier, bytes);
		FtcHash		root;
		FtcHash		expected;

		assert_int_equal(len, 8 + 32 * __builtin_popcountll(n));
		memset(&frontier, 0xaa, sizeof(frontier));
		assert_reason(ftc_frontier_decode(&frontier, keep_copy(ftc_slice(bytes, len))), FTC_OK);
		ftc_frontier_add(&frontier, &leaves[n]);
		root = ftc_frontier_root(&frontier);
		expected = ftc_merkle_root(leaves, n + 1);
		assert_hash_equal(&root, &expected);
	}
}

/* Of a right proof: nothing in it is idle, nothing may be added or left out. */
static void
check_inclusion(FtcHash leaf, uint64_t index, uint64_t size, const FtcHash *proof, int len,
				FtcHash root)
{
	FtcHash		other[FTC_PROOF_MAX + 1];

	assert_reason(ftc_merkle_verify_inclusion(&leaf, index, size, proof, (uint64_t) len, &root),
				  FTC_OK);
	memcpy(other, proof, sizeof(*proof) * (size_t) len);
	other[len] = root;
	assert_reason(ftc_merkle_verify_inclusion(&leaf, index, size, other, (uint64_t) len + 1, &root),
				  FTC_BAD_PROOF);
	for (int i = 0; i < len; i++)
	{
		other[i].b[i % FTC_HASH_LEN] ^= 1;
		assert_reason(ftc_merkle_verify_inclusion(&leaf, index, size, other, (uint64_t) len, &root),
					  FTC_BAD_PROOF);
		other[i].b[i % FTC_HASH_LEN] ^= 1;
		assert_reason(ftc_merkle_verify_inclusion(&leaf, index, size, proof, (uint64_t) i, &root),
					  FTC_BAD_PROOF);
	}
	leaf.b[31] ^= 0x80;
	assert_reason(ftc_merkle_verify_inclusion(&leaf, index, size, proof, (uint64_t) len, &root),
				  FTC_BAD_PROOF);
	leaf.b[31] ^= 0x80;
	root.b[0] ^= 1;
	assert_reason(ftc_merkle_verify_inclusion(&leaf, index, size, proof, (uint64_t) len, &root),
				  FTC_BAD_PROOF);
}

static void
test_inclusion(void **state)
{
	(void) state;
	for (uint64_t n = 1; n <= LEAVES; n++)
	{
		FtcHash		root = naive_root(leaves, n);

		for (uint64_t m = 0; m < n; m++)
		{
			FtcHash		proof[FTC_PROOF_MAX];
			FtcHash		expected[FTC_PROOF_MAX];
			int			len = ftc_merkle_inclusion(leaves, n, m, proof);

			assert_int_equal(len, naive_path(leaves, n, m, expected));
			for (int i = 0; i < len; i++)
				assert_hash_equal(&proof[i], &expected[i]);
			check_inclusion(leaves[m], m, n, proof, len, root);
			/* one proof, one place */
			for (uint64_t other = 0; other <= n; other++)
				if (other != m)
					assert_reason(ftc_merkle_verify_inclusion(&leaves[m], other, n, proof,
															  (uint64_t) len, &root), FTC_BAD_PROOF);
		}
	}
}

/* Of a right proof, as above. */
static void
check_consistency(uint64_t m, uint64_t n, FtcHash root1, FtcHash root2,
				  const FtcHash *proof, int len)
{
	FtcHash		other[FTC_PROOF_MAX + 1];
	uint64_t	count = (uint64_t) len;

	assert_reason(ftc_merkle_verify_consistency(m, n, &root1, &root2, proof, count), FTC_OK);
	memcpy(other, proof, sizeof(*proof) * count);
	other[len] = root2;
	assert_reason(ftc_merkle_verify_consistency(m, n, &root1, &root2, other, count + 1),
				  FTC_BAD_PROOF);
	for (int i = 0; i < len; i++)
	{
		other[i].b[i % FTC_HASH_LEN] ^= 1;
		assert_reason(ftc_merkle_verify_consistency(m, n, &root1, &root2, other, count),
					  FTC_BAD_PROOF);
		other[i].b[i % FTC_HASH_LEN] ^= 1;
		assert_reason(ftc_merkle_verify_consistency(m, n, &root1, &root2, proof, (uint64_t) i),
					  FTC_BAD_PROOF);
	}
	root1.b[31] ^= 1;
	assert_reason(ftc_merkle_verify_consistency(m, n, &root1, &root2, proof, count), FTC_BAD_PROOF);
	root1.b[31] ^= 1;
	root2.b[0] ^= 1;
	assert_reason(ftc_merkle_verify_consistency(m, n, &root1, &root2, proof, count), FTC_BAD_PROOF);
}

static void
test_consistency(void **state)
{
	(void) state;
	for (uint64_t n = 1; n <= LEAVES; n++)
	{
		FtcHash		root2 = naive_root(leaves, n);

		for (uint64_t m = 1; m <= n; m++)
		{
			FtcHash		root1 = naive_root(leaves, m);
			FtcHash		proof[FTC_PROOF_MAX];
			FtcHash		expected[FTC_PROOF_MAX];
			int			len = ftc_merkle_consistency(leaves, n, m, proof);

			assert_int_equal(len, naive_subproof(leaves, n, m, true, expected));
			for (int i = 0; i < len; i++)
				assert_hash_equal(&proof[i], &expected[i]);
			check_consistency(m, n, root1, root2, proof, len);
			if (m == n)
				continue;
			/* of no other first tree, and none to a shorter second */
			for (uint64_t other = 0; other < n; other++)
				if (other != m)
					assert_reason(ftc_merkle_verify_consistency(other, n, &root1, &root2, proof,
																(uint64_t) len), FTC_BAD_PROOF);
			assert_reason(ftc_merkle_verify_consistency(n, m, &root2, &root1, proof,
														(uint64_t) len), FTC_BAD_PROOF);
		}
	}
}

/* From no tree to any, the empty one included, there is no proof. */
static void
test_consistency_empty(void **state)
{
	FtcHash		empty = ftc_merkle_empty_root();

	(void) state;
	for (uint64_t n = 0; n < 5; n++)
		for (uint64_t len = 0; len < 3; len++)
		{
			FtcHash		root = naive_root(leaves, n);

			assert_reason(ftc_merkle_verify_consistency(0, n, &empty, &root, leaves, len),
						  FTC_BAD_PROOF);
			assert_reason(ftc_merkle_verify_inclusion(&leaves[0], 0, 0, leaves, len, &empty),
						  FTC_BAD_PROOF);
		}
}

/* Proofs in trees too large to be: siblings are invented on the way down. */
static FtcHash
invent_inclusion(TestRandom *random, uint64_t n, uint64_t m, FtcHash leaf, FtcHash *proof, int *len)
{
	uint64_t	k;
	FtcHash		below;
	FtcHash		beside;

	if (n == 1)
	{
		*len = 0;
		return leaf;
	}
	k = split(n);
	below = m < k ? invent_inclusion(random, k, m, leaf, proof, len)
		: invent_inclusion(random, n - k, m - k, leaf, proof, len);
	beside = proof[(*len)++] = random_hash(random);
	return m < k ? node(below, beside) : node(beside, below);
}

static void
invent_consistency(TestRandom *random, uint64_t n, uint64_t m, bool b, FtcHash *proof, int *len,
				   FtcHash *root1, FtcHash *root2)
{
	uint64_t	k;
	FtcHash		beside;

	if (m == n)
	{
		*len = 0;
		*root1 = *root2 = random_hash(random);
		if (!b)
			proof[(*len)++] = *root1;
		return;
	}
	k = split(n);
	if (m <= k)
		invent_consistency(random, k, m, b, proof, len, root1, root2);
	else
		invent_consistency(random, n - k, m - k, false, proof, len, root1, root2);
	beside = proof[(*len)++] = random_hash(random);
	*root1 = m <= k ? *root1 : node(beside, *root1);
	*root2 = m <= k ? node(*root2, beside) : node(beside, *root2);
}

static uint64_t
random_size(TestRandom *random)
{
	uint64_t	size = random_any(random);

	if (random_below(random, 4) == 0)
		size = UINT64_C(1) << random_below(random, 64);
	size += random_below(random, 3) - 1;
	return size == 0 ? 1 : size;
}

static void
test_large(void **state)
{
	TestRandom	random = random_from(2);
	FtcHash		proof[FTC_PROOF_MAX];
	int			longest = 0;

	(void) state;
	for (int i = 0; i < 3000; i++)
	{
		uint64_t	n = i == 0 ? UINT64_MAX : random_size(&random);
		uint64_t	m = random_below(&random, 3) == 0 ? n - 1 : random_any(&random) % n;
		FtcHash		leaf = random_hash(&random);
		FtcHash		root1 = leaf;
		FtcHash		root2;
		int			len;

		root2 = invent_inclusion(&random, n, m, leaf, proof, &len);
		check_inclusion(leaf, m, n, proof, len, root2);
		longest = len > longest ? len : longest;
		invent_consistency(&random, n, m + 1, true, proof, &len, &root1, &root2);
		check_consistency(m + 1, n, root1, root2, proof, len);
		longest = len > longest ? len : longest;
	}
	assert_in_range(longest, 64, FTC_PROOF_MAX);
}

/* From a part of the leaves, and from no list of leaves at all. */
static void
check_prefix_inclusion(uint64_t n, uint64_t known, uint64_t m)
{
	FtcHash		expected[FTC_PROOF_MAX];
	int			len = ftc_merkle_inclusion(leaves, n, m, expected);
	FtcHash		consistency[FTC_PROOF_MAX];
	uint64_t	nconsistency = (uint64_t) ftc_merkle_consistency(leaves, n, known, consistency);
	FtcSlice	kept = keep_copy(ftc_slice(consistency, nconsistency * sizeof(FtcHash)));
	FtcSlice	part = keep_copy(ftc_slice(leaves, known * sizeof(FtcHash)));
	FtcHash		proof[FTC_PROOF_MAX];

	assert_int_equal(ftc_merkle_prefix_inclusion((const FtcHash *) part.data, n, known, m,
												 (const FtcHash *) kept.data, nconsistency, proof), len);
	for (int i = 0; i < len; i++)
		assert_hash_equal(&proof[i], &expected[i]);
}

/* No proof, however wrong or short, makes it read beyond what is there. */
static void
check_prefix_damage(uint64_t n, uint64_t known, uint64_t m)
{
	FtcHash		root = naive_root(leaves, n);
	FtcHash		proof[FTC_PROOF_MAX];
	FtcHash		consistency[FTC_PROOF_MAX];
	uint64_t	nconsistency = (uint64_t) ftc_merkle_consistency(leaves, n, known, consistency);

	for (uint64_t have = 0; have < nconsistency; have++)
	{
		FtcSlice	kept = keep_copy(ftc_slice(consistency, have * sizeof(FtcHash)));
		int			len = ftc_merkle_prefix_inclusion(leaves, n, known, m,
													  (const FtcHash *) kept.data, have, proof);

		if (len >= 0)
			assert_reason(ftc_merkle_verify_inclusion(&leaves[m], m, n, proof, (uint64_t) len, &root),
						  FTC_BAD_PROOF);
	}
}

static void
test_prefix_inclusion(void **state)
{
	TestRandom	random = random_from(4);

	(void) state;
	for (uint64_t n = 1; n <= LEAVES; n++)
		for (uint64_t known = 1; known <= n; known++)
		{
			for (uint64_t m = 0; m < known; m++)
				check_prefix_inclusion(n, known, m);
			check_prefix_damage(n, known, n * 7 % known);
			keep_free();
		}
	for (int i = 0; i < 1000; i++)
	{
		uint64_t	n = 1 + random_below(&random, lengthof(leaves));
		uint64_t	known = 1 + random_below(&random, n);

		check_prefix_inclusion(n, known, random_below(&random, known));
		keep_free();
	}
}

/* The points of a path, each with what was kept when its leaf came. */
static FtcMerklePoint *
points_of(const FtcFrontier *kept, uint64_t n, uint64_t m)
{
	uint64_t	at[FTC_PROOF_MAX];
	int			npoints = ftc_merkle_points(n, m, at);
	FtcMerklePoint *points = keep((size_t) npoints * sizeof(FtcMerklePoint));

	assert_in_range(npoints, 1, FTC_PROOF_MAX);
	assert_int_equal(at[0], m);
	for (int i = 0; i < npoints; i++)
	{
		assert_true(at[i] < n);
		points[i].leaf = leaves[at[i]];
		points[i].before = kept[at[i]];
	}
	return points;
}

static void
check_path(const FtcFrontier *kept, uint64_t n, uint64_t m)
{
	FtcHash		expected[FTC_PROOF_MAX];
	int			len = ftc_merkle_inclusion(leaves, n, m, expected);
	FtcHash		proof[FTC_PROOF_MAX];
	FtcMerklePoint *points = points_of(kept, n, m);
	uint64_t	at[FTC_PROOF_MAX];
	int			npoints = ftc_merkle_points(n, m, at);

	/* of the leaf itself only the frontier counts */
	memset(points[0].leaf.b, 0xaa, FTC_HASH_LEN);
	assert_int_equal(ftc_merkle_path(n, m, points, proof), len);
	for (int i = 0; i < len; i++)
		assert_hash_equal(&proof[i], &expected[i]);
	for (int i = 0; i < npoints; i++)
	{
		points[i].before.size++;
		assert_int_equal(ftc_merkle_path(n, m, points, proof), -1);
		points[i].before.size = 0;
		if (at[i] != 0)
			assert_int_equal(ftc_merkle_path(n, m, points, proof), -1);
		points[i].before.size = at[i];
	}
}

static void
test_path(void **state)
{
	TestRandom	random = random_from(5);
	FtcFrontier *kept = malloc(lengthof(leaves) * sizeof(FtcFrontier));

	(void) state;
	assert_non_null(kept);
	memset(kept, 0xaa, lengthof(leaves) * sizeof(FtcFrontier));
	ftc_frontier_init(&kept[0]);
	for (size_t i = 1; i < lengthof(leaves); i++)
	{
		kept[i] = kept[i - 1];
		ftc_frontier_add(&kept[i], &leaves[i - 1]);
	}
	for (uint64_t n = 1; n <= 2 * LEAVES; n++)
	{
		for (uint64_t m = 0; m < n; m++)
			check_path(kept, n, m);
		keep_free();
	}
	for (int i = 0; i < 1000; i++)
	{
		uint64_t	n = 1 + random_below(&random, lengthof(leaves));

		check_path(kept, n, random_below(&random, n));
		keep_free();
	}
	free(kept);
}

/* Trees of any size have points, and not too many of them. */
static void
test_points_large(void **state)
{
	TestRandom	random = random_from(6);
	int			most = 0;

	(void) state;
	for (int i = 0; i < 3000; i++)
	{
		uint64_t	n = i < 2 ? UINT64_MAX : random_size(&random);
		uint64_t	m = i < 1 ? 0 : random_any(&random) % n;
		uint64_t	at[FTC_PROOF_MAX];
		int			npoints = ftc_merkle_points(n, m, at);

		assert_in_range(npoints, 1, FTC_PROOF_MAX);
		most = npoints > most ? npoints : most;
		assert_int_equal(at[0], m);
		for (int j = 1; j < npoints; j++)
			assert_true(at[j] > m && at[j] < n);
	}
	assert_int_equal(most, FTC_PROOF_MAX);
}

static int	pauses = 0;

static void
count_pause(void)
{
	pauses++;
}

/* Whoever must not be held up is asked now and then, with the same result. */
static void
test_pause(void **state)
{
	const uint64_t n = 3 * FTC_MERKLE_PAUSE + 1;
	FtcHash    *many = calloc(n, sizeof(FtcHash));
	FtcHash		expected = ftc_merkle_root(many, n);
	FtcHash		proof[FTC_PROOF_MAX];
	FtcHash		root;

	(void) state;
	ftc_merkle_pause = count_pause;
	root = ftc_merkle_root(many, n);
	assert_hash_equal(&root, &expected);
	assert_int_equal(pauses, 3);
	(void) ftc_merkle_inclusion(many, n, 0, proof);
	assert_in_range(pauses, 5, 6);
	(void) ftc_merkle_consistency(many, n, 1, proof);
	assert_in_range(pauses, 7, 9);
	ftc_merkle_pause = NULL;
	free(many);
}

/* Proofs and sizes that fit nothing are refused, and read no hash too many. */
static void
test_random_proofs(void **state)
{
	TestRandom	random = random_from(3);

	(void) state;
	for (int i = 0; i < 20000; i++)
	{
		uint64_t	nproof = random_below(&random, 70);
		FtcSlice	kept = keep_copy(ftc_slice(leaves, sizeof(FtcHash) * nproof));
		const FtcHash *proof = (const FtcHash *) kept.data;
		uint64_t	size1 = random_any(&random) - random_below(&random, 2);
		uint64_t	size2 = random_any(&random) - random_below(&random, 2);

		/* with nothing in the proof, these would be right */
		if ((size1 == 0 && size2 == 1) || (nproof == 0 && size1 == size2))
			continue;
		assert_reason(ftc_merkle_verify_inclusion(&leaves[100], size1, size2, proof, nproof,
												  &leaves[100]), FTC_BAD_PROOF);
		assert_reason(ftc_merkle_verify_consistency(size1, size2, &leaves[100], &leaves[100],
													proof, nproof), FTC_BAD_PROOF);
		if (i % 100 == 0)
			keep_free();
	}
}

static void
test_vectors(void **state)
{
	TestLines	lines = lines_open("merkle_rfc6962.txt");
	int			cases = 0;
	int			unlike = 0;

	(void) state;
	while (lines_next(&lines))
	{
		char	  **field = lines.field;
		FtcHash		proof[TEST_FIELDS_MAX];
		uint64_t	nproof = 0;
		uint64_t	a = strtoull(field[2], NULL, 10);
		uint64_t	b = strtoull(field[3], NULL, 10);
		FtcHash		first = unhex_hash(field[4]);
		FtcHash		second = unhex_hash(field[5]);
		FtcReason	expected = strcmp(field[1], "ok") == 0 ? FTC_OK : FTC_BAD_PROOF;
		FtcReason	reason;

		/* a root of no bytes, equal to its leaf; here all hashes have 32 */
		if (strcmp(field[4], "-") == 0 && strcmp(field[5], "-") == 0)
		{
			unlike++;
			continue;
		}
		for (int i = 6; i < lines.nfields && strcmp(field[i], "none") != 0; i++)
			proof[nproof++] = unhex_hash(field[i]);
		if (strcmp(field[0], "inclusion") == 0)
			reason = ftc_merkle_verify_inclusion(&first, a, b, proof, nproof, &second);
		else
			reason = ftc_merkle_verify_consistency(a, b, &first, &second, proof, nproof);
		if (reason != expected)
			fail_msg("case %d, a proof of %s: %s", cases + 1, field[0], ftc_reason_text(reason));
		cases++;
	}
	lines_close(&lines);
	assert_int_equal(cases, 102);
	assert_int_equal(unlike, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_hashes),
		test(test_roots),
		test(test_frontier_nodes),
		test(test_frontier_bytes),
		test(test_frontier_resume),
		test(test_inclusion),
		test(test_consistency),
		test(test_consistency_empty),
		test(test_large),
		test(test_prefix_inclusion),
		test(test_path),
		test(test_points_large),
		test(test_pause),
		test(test_random_proofs),
		test(test_vectors),
	};

	return cmocka_run_group_tests_name("merkle", tests, make_leaves, NULL);
}

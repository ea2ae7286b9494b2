/*-------------------------------------------------------------------------
 *
 * merkle.c
 *	  RFC 6962 Merkle trees.
 *
 *-------------------------------------------------------------------------
 */
#include "merkle.h"

#include "bytes.h"
#include "sha256.h"

FtcHash
ftc_merkle_empty_root(void)
{
	return ftc_sha256(ftc_slice("", 0));
}

FtcHash
ftc_merkle_leaf(FtcSlice bytes)
{
	FtcSha256	sha;

	ftc_sha256_init(&sha);
	ftc_sha256_update(&sha, "\x00", 1);
	ftc_sha256_update(&sha, bytes.data, bytes.len);
	return ftc_sha256_final(&sha);
}

FtcHash
ftc_merkle_node(const FtcHash *left, const FtcHash *right)
{
	uint8_t		bytes[1 + 2 * FTC_HASH_LEN];

	bytes[0] = 0x01;
	memcpy(bytes + 1, left->b, FTC_HASH_LEN);
	memcpy(bytes + 1 + FTC_HASH_LEN, right->b, FTC_HASH_LEN);
	return ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
}

void
ftc_frontier_init(FtcFrontier *frontier)
{
	frontier->size = 0;
}

/*
 * Adding a leaf carries like adding one to a binary counter: each trailing
 * one bit of size is a perfect subtree that merges with the carry.
 */
void
ftc_frontier_add(FtcFrontier *frontier, const FtcHash *leaf)
{
	int			used = __builtin_popcountll(frontier->size);
	FtcHash		carry = *leaf;

	for (uint64_t bits = frontier->size; bits & 1; bits >>= 1)
		carry = ftc_merkle_node(&frontier->node[--used], &carry);
	frontier->node[used] = carry;
	frontier->size++;
}

FtcHash
ftc_frontier_root(const FtcFrontier *frontier)
{
	int			used = __builtin_popcountll(frontier->size);
	FtcHash		root;

	if (used == 0)
		return ftc_merkle_empty_root();
	root = frontier->node[--used];
	while (used > 0)
		root = ftc_merkle_node(&frontier->node[--used], &root);
	return root;
}

size_t
ftc_frontier_encode(const FtcFrontier *frontier, uint8_t *bytes)
{
	FtcWriter	writer = ftc_writer(bytes, FTC_FRONTIER_BYTES_MAX);
	int			used = __builtin_popcountll(frontier->size);

	ftc_put_u64(&writer, frontier->size);
	for (int i = 0; i < used; i++)
		ftc_put_hash(&writer, &frontier->node[i]);
	return writer.len;
}

FtcReason
ftc_frontier_decode(FtcFrontier *frontier, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	int			used;

	frontier->size = ftc_get_u64(&reader);
	used = __builtin_popcountll(frontier->size);
	for (int i = 0; i < used; i++)
		frontier->node[i] = ftc_get_hash(&reader);
	return ftc_reader_is_done(&reader) ? FTC_OK : FTC_BAD_LENGTH;
}

void		(*ftc_merkle_pause) (void) = NULL;

FtcHash
ftc_merkle_root(const FtcHash *leaves, uint64_t n)
{
	FtcFrontier frontier;

	ftc_frontier_init(&frontier);
	for (uint64_t i = 0; i < n; i++)
	{
		if (ftc_merkle_pause != NULL && i % FTC_MERKLE_PAUSE == FTC_MERKLE_PAUSE - 1)
			ftc_merkle_pause();
		ftc_frontier_add(&frontier, &leaves[i]);
	}
	return ftc_frontier_root(&frontier);
}

/* The largest power of two below n; n > 1. */
static uint64_t
split_point(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

/* PATH(m, D[n]) of RFC 6962 section 2.1.1, from the leaf upwards. */
int
ftc_merkle_inclusion(const FtcHash *leaves, uint64_t n, uint64_t index, FtcHash *proof)
{
	FtcHash		down[FTC_PROOF_MAX];
	int			len = 0;

	while (n > 1)
	{
		uint64_t	k = split_point(n);

		if (index < k)
		{
			down[len++] = ftc_merkle_root(leaves + k, n - k);
			n = k;
		}
		else
		{
			down[len++] = ftc_merkle_root(leaves, k);
			leaves += k;
			index -= k;
			n -= k;
		}
	}
	for (int i = 0; i < len; i++)
		proof[i] = down[len - 1 - i];
	return len;
}

/* A consistency proof being read from its end, where the largest trees are. */
typedef struct Beside
{
	const FtcHash *proof;
	uint64_t	left;
	bool		short_of;		/* it ended too early */
} Beside;

static FtcHash
take_beside(Beside *beside)
{
	if (beside->left > 0)
		return beside->proof[--beside->left];
	beside->short_of = true;
	return ftc_hash_zero;
}

/* The root of n leaves of which the first size1 are at hand. */
static FtcHash
root_beyond(const FtcHash *leaves, uint64_t n, uint64_t size1, Beside *beside)
{
	uint64_t	k;
	FtcHash		other;
	FtcHash		rest;

	if (size1 == n)
		return ftc_merkle_root(leaves, n);
	k = split_point(n);
	other = take_beside(beside);
	if (size1 <= k)
	{
		rest = root_beyond(leaves, k, size1, beside);
		return ftc_merkle_node(&rest, &other);
	}
	rest = root_beyond(leaves + k, n - k, size1 - k, beside);
	return ftc_merkle_node(&other, &rest);
}

/*
 * The way down to the leaf is that to the end of the first tree, as long as
 * there is anything beyond it; the proof has what is beside that way.
 */
int
ftc_merkle_prefix_inclusion(const FtcHash *leaves, uint64_t n, uint64_t size1, uint64_t index,
							const FtcHash *consistency, uint64_t nconsistency, FtcHash *proof)
{
	Beside		beside = {.proof = consistency,.left = nconsistency};
	FtcHash		down[FTC_PROOF_MAX];
	int			len = 0;
	int			out;

	while (size1 < n)
	{
		uint64_t	k = split_point(n);
		FtcHash		other = take_beside(&beside);

		if (size1 <= k)
		{
			down[len++] = other;
			n = k;
		}
		else if (index < k)
		{
			down[len++] = root_beyond(leaves + k, n - k, size1 - k, &beside);
			n = size1 = k;
		}
		else
		{
			down[len++] = other;
			leaves += k;
			index -= k;
			size1 -= k;
			n -= k;
		}
	}
	if (beside.short_of)
		return -1;
	out = ftc_merkle_inclusion(leaves, n, index, proof);
	while (len > 0)
		proof[out++] = down[--len];
	return out;
}

/*
 * Left of the way down to a leaf are whole subtrees, those of the frontier
 * before it.  Right of it is, each time, a subtree that ends with a certain leaf;
 * its root follows from that leaf and the frontier before that.
 */
int
ftc_merkle_points(uint64_t n, uint64_t index, uint64_t *points)
{
	uint64_t	first = 0;		/* leaf of the subtree that the way is in */
	int			len = 0;

	points[len++] = index;
	while (n > 1)
	{
		uint64_t	k = split_point(n);

		if (index < first + k)
		{
			points[len++] = first + n - 1;
			n = k;
		}
		else
		{
			first += k;
			n -= k;
		}
	}
	return len;
}

/* The root of a subtree that begins with leaf first and ends with this one. */
static FtcHash
root_at_point(const FtcMerklePoint *last, uint64_t first)
{
	FtcFrontier part = {.size = last->before.size - first};
	int			used = __builtin_popcountll(part.size);
	int			all = __builtin_popcountll(last->before.size);

	memcpy(part.node, last->before.node + (all - used), (size_t) used * sizeof(FtcHash));
	ftc_frontier_add(&part, &last->leaf);
	return ftc_frontier_root(&part);
}

int
ftc_merkle_path(uint64_t n, uint64_t index, const FtcMerklePoint *points, FtcHash *proof)
{
	const FtcMerklePoint *point = points;
	FtcHash		down[FTC_PROOF_MAX];
	uint64_t	first = 0;
	int			len = 0;
	int			lefts = 0;

	if (points->before.size != index)
		return -1;
	while (n > 1)
	{
		uint64_t	k = split_point(n);

		if (index < first + k)
		{
			if ((++point)->before.size != first + n - 1)
				return -1;
			down[len++] = root_at_point(point, first + k);
			n = k;
		}
		else
		{
			down[len++] = points->before.node[lefts++];
			first += k;
			n -= k;
		}
	}
	for (int i = 0; i < len; i++)
		proof[i] = down[len - 1 - i];
	return len;
}

/* PROOF(m, D[n]) of RFC 6962 section 2.1.2. */
int
ftc_merkle_consistency(const FtcHash *leaves, uint64_t n, uint64_t size1, FtcHash *proof)
{
	FtcHash		down[FTC_PROOF_MAX];
	bool		whole = true;	/* size1 leaves are a subtree of the first
								 * tree */
	int			len = 0;
	int			out = 0;

	while (size1 < n)
	{
		uint64_t	k = split_point(n);

		if (size1 <= k)
		{
			down[len++] = ftc_merkle_root(leaves + k, n - k);
			n = k;
		}
		else
		{
			down[len++] = ftc_merkle_root(leaves, k);
			leaves += k;
			size1 -= k;
			n -= k;
			whole = false;
		}
	}
	if (!whole)
		proof[out++] = ftc_merkle_root(leaves, n);
	while (len > 0)
		proof[out++] = down[--len];
	return out;
}

/* RFC 9162 section 2.1.3.2 */
FtcReason
ftc_merkle_verify_inclusion(const FtcHash *leaf, uint64_t index, uint64_t size,
							const FtcHash *proof, uint64_t nproof, const FtcHash *root)
{
	uint64_t	fn = index;
	uint64_t	sn = size - 1;
	FtcHash		hash = *leaf;

	if (index >= size)
		return FTC_BAD_PROOF;
	for (uint64_t i = 0; i < nproof; i++)
	{
		if (sn == 0)
			return FTC_BAD_PROOF;
		if ((fn & 1) || fn == sn)
		{
			hash = ftc_merkle_node(&proof[i], &hash);
			while (!(fn & 1) && fn != 0)
			{
				fn >>= 1;
				sn >>= 1;
			}
		}
		else
			hash = ftc_merkle_node(&hash, &proof[i]);
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && ftc_hash_equal(&hash, root) ? FTC_OK : FTC_BAD_PROOF;
}

/*
 * RFC 9162 section 2.1.4.2.  As there, and as the published vectors have it,
 * a proof from the empty tree says nothing and is refused, and a proof between
 * equal sizes is empty.
 */
FtcReason
ftc_merkle_verify_consistency(uint64_t size1, uint64_t size2,
							  const FtcHash *root1, const FtcHash *root2,
							  const FtcHash *proof, uint64_t nproof)
{
	uint64_t	fn = size1 - 1;
	uint64_t	sn = size2 - 1;
	uint64_t	at = 0;
	FtcHash		fr;
	FtcHash		sr;

	if (size1 == 0 || size1 > size2)
		return FTC_BAD_PROOF;
	if (size1 == size2)
		return nproof == 0 && ftc_hash_equal(root1, root2) ? FTC_OK : FTC_BAD_PROOF;
	if (nproof == 0)
		return FTC_BAD_PROOF;

	while (fn & 1)
	{
		fn >>= 1;
		sn >>= 1;
	}
	/* a power of two: the first tree's root opens the proof, unsaid */
	fr = sr = (size1 & (size1 - 1)) == 0 ? *root1 : proof[at++];
	for (; at < nproof; at++)
	{
		if (sn == 0)
			return FTC_BAD_PROOF;
		if ((fn & 1) || fn == sn)
		{
			fr = ftc_merkle_node(&proof[at], &fr);
			sr = ftc_merkle_node(&proof[at], &sr);
			while (!(fn & 1) && fn != 0)
			{
				fn >>= 1;
				sn >>= 1;
			}
		}
		else
			sr = ftc_merkle_node(&sr, &proof[at]);
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && ftc_hash_equal(&fr, root1) && ftc_hash_equal(&sr, root2)
		? FTC_OK : FTC_BAD_PROOF;
}

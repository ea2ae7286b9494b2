/*-------------------------------------------------------------------------
 *
 * merkle.h
 *	  RFC 6962 Merkle trees: roots, inclusion and consistency proofs.
 *
 * A leaf hashes as SHA-256(0x00 || bytes), a node as SHA-256(0x01 || left ||
 * right), the empty tree as SHA-256("").  Proof verification follows RFC 9162
 * section 2.1.3.2 and 2.1.4.2.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_MERKLE_H
#define FTC_MERKLE_H

#include "types.h"

#define FTC_PROOF_MAX		65	/* hashes of the longest proof */

/*
 * The frontier of a tree: the roots of its perfect subtrees, largest first,
 * one per bit set in size.  From it the root is had, and leaves are added, in
 * O(log n).
 */
typedef struct FtcFrontier
{
	uint64_t	size;			/* leaves so far */
	FtcHash		node[64];		/* popcount(size) of them are used */
} FtcFrontier;

extern FtcHash ftc_merkle_empty_root(void);
extern FtcHash ftc_merkle_leaf(FtcSlice bytes);
extern FtcHash ftc_merkle_node(const FtcHash *left, const FtcHash *right);

/* The root over n leaf hashes. */
extern FtcHash ftc_merkle_root(const FtcHash *leaves, uint64_t n);

/* Called every so many leaves, if set: for who must not be held up. */
#define FTC_MERKLE_PAUSE 65536
extern void (*ftc_merkle_pause) (void);

/*
 * Proofs over leaf hashes in memory.  proof has room for FTC_PROOF_MAX; the
 * number of hashes is returned.  index < n; 0 < size1 <= n.
 */
extern int	ftc_merkle_inclusion(const FtcHash *leaves, uint64_t n,
								 uint64_t index, FtcHash *proof);
extern int	ftc_merkle_consistency(const FtcHash *leaves, uint64_t n,
								   uint64_t size1, FtcHash *proof);

/*
 * The same as ftc_merkle_inclusion, for a leaf of the first size1, whose hashes
 * alone are at hand, and with a proof that they are consistent with all n.
 * index < size1 <= n.  -1 if the proof is too short; whether it is right is for
 * the caller to verify.
 */
extern int	ftc_merkle_prefix_inclusion(const FtcHash *leaves, uint64_t n, uint64_t size1,
										uint64_t index, const FtcHash *consistency,
										uint64_t nconsistency, FtcHash *proof);

/*
 * The same without any list of leaves, where the frontiers of a growing tree
 * have been kept: ftc_merkle_points tells which leaves are to be looked at, at
 * most FTC_PROOF_MAX, and from these, each with the frontier before it, comes
 * the proof.  -1 if a frontier is not of its leaf; whether it is right is for
 * the caller to verify.  Of the first point, the leaf itself, only the frontier
 * is looked at.
 */
typedef struct FtcMerklePoint
{
	FtcHash		leaf;
	FtcFrontier before;
} FtcMerklePoint;

extern int	ftc_merkle_points(uint64_t n, uint64_t index, uint64_t *points);
extern int	ftc_merkle_path(uint64_t n, uint64_t index, const FtcMerklePoint *points,
							FtcHash *proof);

/* FTC_OK or FTC_BAD_PROOF; every number and every proof is acceptable input. */
extern FtcReason ftc_merkle_verify_inclusion(const FtcHash *leaf,
											 uint64_t index, uint64_t size,
											 const FtcHash *proof, uint64_t nproof,
											 const FtcHash *root);
extern FtcReason ftc_merkle_verify_consistency(uint64_t size1, uint64_t size2,
											   const FtcHash *root1, const FtcHash *root2,
											   const FtcHash *proof, uint64_t nproof);

extern void ftc_frontier_init(FtcFrontier *frontier);
extern void ftc_frontier_add(FtcFrontier *frontier, const FtcHash *leaf);
extern FtcHash ftc_frontier_root(const FtcFrontier *frontier);

/* Bytes: size u64, then the nodes.  Exactly 8 + 32 * popcount(size). */
#define FTC_FRONTIER_BYTES_MAX	(8 + 64 * FTC_HASH_LEN)
extern size_t ftc_frontier_encode(const FtcFrontier *frontier, uint8_t *bytes);
extern FtcReason ftc_frontier_decode(FtcFrontier *frontier, FtcSlice bytes);

#endif							/* FTC_MERKLE_H */

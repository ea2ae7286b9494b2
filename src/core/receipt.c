/*-------------------------------------------------------------------------
 *
 * receipt.c
 *	  Is a receipt good?
 *
 *-------------------------------------------------------------------------
 */
#include "receipt.h"

#include "pow.h"
#include "state.h"

const FtcReceiptBlockNames ftc_receipt_block = {
	.header = "header",.signature = "signature",.member = "member",
	.member_index = "member_index",.members = "members",.state_path = "state_path"
};

const FtcReceiptBlockNames ftc_receipt_head = {
	.header = "head",.signature = "head_signature",.member = "head_member",
	.member_index = "head_member_index",.members = "head_members",.state_path = "head_state_path"
};

/* ----------------------------------------------------------------
 *		Each gives why not, or NULL
 * ----------------------------------------------------------------
 */

int64_t
ftc_receipt_index(const FtcBundle *bundle, uint64_t seq)
{
	int64_t		index = 0;

	for (uint32_t i = 0; i < bundle->nranges; i++)
	{
		FtcRange	range = ftc_bundle_range(bundle, i);

		if (seq < range.first)
			break;
		if (seq <= range.last)
			return index + (int64_t) (seq - range.first);
		index += (int64_t) (range.last - range.first + 1);
	}
	return -1;
}

static bool
is_in_tree(FtcSlice leaf, uint64_t index, uint64_t leaves, const FtcPath *path, const FtcHash *root)
{
	FtcHash		hash = ftc_merkle_leaf(leaf);

	return ftc_merkle_verify_inclusion(&hash, index, leaves, path->hashes, (uint64_t) path->n, root) == FTC_OK;
}

/* Is the entry the one that the bundle head names at this place? */
static bool
is_in_bundle(const FtcReceipt *r)
{
	return ftc_hash_equal(&r->entry.origin, &r->bundle.origin) &&
		r->entry.incarnation == r->bundle.incarnation &&
		ftc_receipt_index(&r->bundle, r->entry.seq) == (int64_t) r->leaf_index &&
		is_in_tree(r->leaf, r->leaf_index, r->bundle.count, r->bundle_path, &r->bundle.root);
}

static const char *
check_entry(FtcReceipt *r)
{
	FtcHash		hash = ftc_payload_hash(r->salt, r->payload);

	if (ftc_entry_leaf_decode(&r->entry, r->leaf) != FTC_OK)
		return "malformed leaf";
	if (ftc_bundle_leaf_decode(&r->bundle, r->bundle_head) != FTC_OK)
		return "malformed bundle";
	if (!is_in_bundle(r))
		return "the entry is not in the bundle";
	if (!is_in_tree(r->bundle_head, r->bundle_index, r->block.header.leaves, r->body_path,
					&r->block.header.body))
		return "the bundle is not in the block";
	if (r->salt.len != FTC_SALT_LEN || !ftc_hash_equal(&hash, &r->entry.payload_hash))
		return "the payload is not that of the entry";
	return NULL;
}

static const char *
check_block(const FtcReceiptBlock *block, const FtcHash *genesis)
{
	FtcMember	member;

	if (ftc_member_leaf_decode(&member, block->member) != FTC_OK)
		return "malformed member";
	if (!ftc_hash_equal(&member.id, &block->header.proposer) ||
		!is_in_tree(block->member, block->member_index, block->members, block->state_path,
					&block->header.state))
		return "the proposer is not a member in the block's state";
	if (ftc_verify(&member.key, FTC_DOMAIN_BLOCK, genesis, &block->id, &block->signature) != FTC_OK)
		return "wrong signature of the block";
	if (block->header.consensus == FTC_CONSENSUS_POW && block->header.height > 0 &&
		!ftc_pow_meets(&block->id, block->header.bits))
		return "too little work";
	return NULL;
}

/* Is a block of this height what the head says it is? */
static bool
is_in_history(const FtcReceiptBlock *head, const FtcHash *id, uint64_t height, const FtcPath *path)
{
	if (height == head->header.height)
		return ftc_hash_equal(id, &head->id) && path->n == 0;
	return height < head->header.height &&
		ftc_merkle_verify_inclusion(id, height, head->header.height, path->hashes, (uint64_t) path->n,
									&head->header.history) == FTC_OK;
}

static bool
read_header(FtcReceiptBlock *block)
{
	if (ftc_header_decode(&block->header, block->header_bytes) != FTC_OK)
		return false;
	block->id = ftc_header_id(&block->header);
	return true;
}

const char *
ftc_receipt_check(FtcReceipt *r, const FtcHash *genesis, const FtcHash *head)
{
	const char *why;

	if (!read_header(&r->block) || !read_header(&r->head))
		return FTC_RECEIPT_MALFORMED;
	if (genesis != NULL && !ftc_hash_equal(genesis, &r->genesis))
		return "of another chain";
	if (head != NULL && !ftc_hash_equal(head, &r->head.id))
		return "of another head";
	why = check_entry(r);
	if (why == NULL)
		why = check_block(&r->block, &r->genesis);
	if (why == NULL)
		why = check_block(&r->head, &r->genesis);
	if (why == NULL && !is_in_history(&r->head, &r->block.id, r->block.header.height, r->history_path))
		why = "the block is not in the history of the head";
	if (why == NULL && !is_in_history(&r->head, &r->genesis, 0, r->genesis_path))
		why = "the genesis is not in the history of the head";
	return why;
}

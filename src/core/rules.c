/*-------------------------------------------------------------------------
 *
 * rules.c
 *	  What makes a block valid.
 *
 *-------------------------------------------------------------------------
 */
#include "rules.h"

#include "bytes.h"
#include "sha256.h"
#include "sign.h"

uint32_t
ftc_rules_next_bits(const FtcTip *tip, const FtcParams *params)
{
	if (params->consensus != FTC_CONSENSUS_POW)
		return 0;
	return ftc_pow_next_bits(&tip->anchor, tip->height, (int64_t) tip->time,
							 (int64_t) params->spacing, (int64_t) params->half_life,
							 params->limit_bits);
}

uint64_t
ftc_rules_earliest(const FtcTip *tip, const FtcParams *params)
{
	return tip->time + params->min_spacing;
}

/* ----------------------------------------------------------------
 *		The rules of a header
 * ----------------------------------------------------------------
 */

/* A header as a child of a parent. */
typedef struct Child
{
	const FtcHeader *header;
	const FtcSignature *signature;
	const FtcTip *parent;
	const FtcState *state;		/* that it builds on */
	const FtcHash *genesis;
	uint64_t	now;			/* us */
} Child;

static FtcReason
has_consensus(const Child *c)
{
	/* the one engine that there is so far */
	return c->header->consensus == c->state->params.consensus && c->header->consensus == FTC_CONSENSUS_POW
		? FTC_OK : FTC_WRONG_CONSENSUS;
}

static FtcReason
names_parent(const Child *c)
{
	return ftc_hash_equal(&c->header->prev, &c->parent->id) ? FTC_OK : FTC_BAD_PARENT;
}

static FtcReason
is_one_above(const Child *c)
{
	return c->header->height == c->parent->height + 1 ? FTC_OK : FTC_BAD_HEIGHT;
}

static FtcReason
has_history(const Child *c)
{
	FtcHash		history = ftc_frontier_root(&c->parent->history);

	return ftc_hash_equal(&c->header->history, &history) ? FTC_OK : FTC_BAD_HISTORY;
}

static FtcReason
has_state(const Child *c)
{
	FtcHash		root = ftc_state_root(c->state);

	return ftc_hash_equal(&c->header->state, &root) ? FTC_OK : FTC_BAD_STATE;
}

/* Without voters. */
static FtcReason
has_no_votes(const Child *c)
{
	return ftc_hash_is_zero(&c->header->justify) && c->header->round == 0 ? FTC_OK : FTC_BAD_JUSTIFY;
}

static FtcReason
is_small(const Child *c)
{
	return c->header->leaves <= c->state->params.max_leaves ? FTC_OK : FTC_TOO_MANY;
}

/*
 * Later than its parent by the least spacing, which is at least 1 us.  So times
 * rise along every branch, and each is later than the median of those before:
 * there is no room for the timewarp that Bitcoin's rule of the median bounds.
 */
static FtcReason
is_late_enough(const Child *c)
{
	return c->header->time >= ftc_rules_earliest(c->parent, &c->state->params) ? FTC_OK : FTC_TIME_TOO_EARLY;
}

static FtcReason
has_bits(const Child *c)
{
	return c->header->bits == ftc_rules_next_bits(c->parent, &c->state->params) ? FTC_OK : FTC_BAD_BITS;
}

static FtcReason
has_work(const Child *c)
{
	FtcHash		id = ftc_header_id(c->header);

	return ftc_pow_meets(&id, c->header->bits) ? FTC_OK : FTC_NOT_ENOUGH_WORK;
}

static FtcReason
check_signature(const FtcHeader *header, const FtcSignature *signature,
				const FtcState *state, const FtcHash *genesis)
{
	const FtcMember *proposer = ftc_state_find(state, &header->proposer);
	FtcHash		id = ftc_header_id(header);

	if (proposer == NULL)
		return FTC_NOT_A_MEMBER;
	return ftc_verify(&proposer->key, FTC_DOMAIN_BLOCK, genesis, &id, signature) == FTC_OK
		? FTC_OK : FTC_BAD_SIGNATURE;
}

static FtcReason
is_signed(const Child *c)
{
	return check_signature(c->header, c->signature, c->state, c->genesis);
}

/* Not for ever: the clock will reach it. */
static FtcReason
has_come(const Child *c)
{
	return c->header->time <= c->now + c->state->params.future_bound ? FTC_OK : FTC_TIME_TOO_LATE;
}

/*
 * In this order: work before the signature, since the cheap check is the one a
 * flood must pass; the clock last, so that nothing but time is missing then.
 */
static FtcReason (*const header_rules[]) (const Child *) =
{
	has_consensus, names_parent, is_one_above, has_history, has_state, has_no_votes, is_small,
		is_late_enough, has_bits, has_work, is_signed, has_come
};

FtcReason
ftc_rules_header(const FtcHeader *header, const FtcSignature *signature,
				 const FtcTip *parent, const FtcState *state,
				 const FtcHash *genesis, uint64_t now)
{
	Child		child = {header, signature, parent, state, genesis, now};

	for (size_t i = 0; i < sizeof(header_rules) / sizeof(header_rules[0]); i++)
	{
		FtcReason	reason = header_rules[i] (&child);

		if (reason != FTC_OK)
			return reason;
	}
	return FTC_OK;
}

/* ----------------------------------------------------------------
 *		The rules of a manifest, and of a genesis block
 * ----------------------------------------------------------------
 */

static FtcReason
check_bundle(const FtcBundle *bundle, FtcSlice leaf, const FtcSignature *signature,
			 const FtcState *state, const FtcHash *genesis)
{
	const FtcMember *origin = ftc_state_find(state, &bundle->origin);
	FtcHash		digest = ftc_bundle_digest(leaf);

	if (origin == NULL)
		return FTC_NOT_A_MEMBER;
	return ftc_verify(&origin->key, FTC_DOMAIN_BUNDLE, genesis, &digest, signature) == FTC_OK
		? FTC_OK : FTC_BAD_SIGNATURE;
}

FtcReason
ftc_rules_manifest(const FtcManifest *manifest, const FtcHeader *header,
				   const FtcState *state, const FtcHash *genesis)
{
	FtcReader	at = manifest->controls;
	FtcReason	reason;

	for (uint32_t i = 0; i < manifest->ncontrols; i++)
	{
		FtcControl	control;

		(void) ftc_manifest_next_control(&at, &control);
		if (control.not_after < header->height)
			return FTC_OUT_OF_RANGE;
		reason = ftc_state_authorise(state, &control, genesis);
		if (reason != FTC_OK)
			return reason;
	}
	at = manifest->bundles;
	for (uint32_t i = 0; i < manifest->nbundles; i++)
	{
		FtcBundle	bundle;
		FtcSignature signature;
		FtcSlice	leaf = ftc_manifest_next_bundle(&at, &bundle, &signature);

		reason = check_bundle(&bundle, leaf, &signature, state, genesis);
		if (reason != FTC_OK)
			return reason;
	}
	return FTC_OK;
}

/* The first members of a chain; the genesis id is what they agree on. */
static FtcReason
add_founder(FtcState *state, const FtcControl *control)
{
	FtcHash		id = ftc_member_id(control->algorithm, &control->key);

	if (control->kind != FTC_CONTROL_ADD_MEMBER)
		return FTC_BAD_KIND;
	if (control->nsigners != 0)
		return FTC_NOT_CANONICAL;
	if (ftc_verify(&control->key, FTC_DOMAIN_POSSESSION, &ftc_hash_zero, &id,
				   &control->possession) != FTC_OK)
		return FTC_BAD_POSSESSION;
	return ftc_state_apply(state, control) ? FTC_OK : FTC_NOT_CANONICAL;
}

static FtcReason
found_state(const FtcManifest *manifest, FtcState *state)
{
	FtcReader	at = manifest->controls;
	uint32_t	governors = 0;

	state->folded = 0;
	state->voters = ftc_hash_zero;
	state->nmembers = 0;
	for (uint32_t i = 0; i < manifest->ncontrols; i++)
	{
		FtcControl	control;
		FtcReason	reason = FTC_OK;

		(void) ftc_manifest_next_control(&at, &control);
		if (i > 0)
			reason = add_founder(state, &control);
		else if (control.kind == FTC_CONTROL_PARAMS && control.nsigners == 0)
			state->params = control.params;
		else
			reason = FTC_NOT_CANONICAL;
		if (reason != FTC_OK)
			return reason;
	}
	for (uint32_t i = 0; i < state->nmembers; i++)
		governors += (state->members[i].flags & FTC_MEMBER_GOVERNOR) != 0;
	return manifest->ncontrols < 2 || governors < state->params.governors
		? FTC_NOT_AUTHORISED : FTC_OK;
}

FtcReason
ftc_rules_genesis(const FtcHeader *header, const FtcSignature *signature,
				  const FtcManifest *manifest, FtcState *state)
{
	FtcHash		id = ftc_header_id(header);
	FtcHash		root;
	FtcFrontier tree;
	FtcReason	reason;

	if (header->height != 0)
		return FTC_BAD_HEIGHT;
	if (manifest->nbundles != 0 || header->leaves != manifest->ncontrols ||
		!ftc_hash_is_zero(&header->justify) || header->round != 0)
		return FTC_NOT_CANONICAL;
	ftc_frontier_init(&tree);
	ftc_manifest_leaves(manifest, &tree);
	root = ftc_frontier_root(&tree);
	if (!ftc_hash_equal(&root, &header->body))
		return FTC_BAD_ROOT;
	reason = found_state(manifest, state);
	if (reason != FTC_OK)
		return reason;
	if (header->consensus != state->params.consensus)
		return FTC_WRONG_CONSENSUS;
	if (header->consensus == FTC_CONSENSUS_POW && header->bits != state->params.limit_bits)
		return FTC_BAD_BITS;
	root = ftc_state_root(state);
	if (!ftc_hash_equal(&root, &header->state))
		return FTC_BAD_STATE;
	return check_signature(header, signature, state, &id);
}

FtcHash
ftc_rules_statement_digest(const FtcHash *block, const FtcHash *member)
{
	uint8_t		bytes[2 * FTC_HASH_LEN];

	memcpy(bytes, block->b, FTC_HASH_LEN);
	memcpy(bytes + FTC_HASH_LEN, member->b, FTC_HASH_LEN);
	return ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
}

FtcReason
ftc_rules_statement(const FtcState *state, const FtcHash *genesis, const FtcHash *block, FtcSlice statement)
{
	FtcReader	reader = ftc_reader(statement);
	FtcHash		id = ftc_get_hash(&reader);
	FtcHash		digest = ftc_rules_statement_digest(block, &id);
	FtcSignature signature;
	const FtcMember *member;

	ftc_get_bytes(&reader, signature.b, FTC_SIGNATURE_LEN);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	member = ftc_state_find(state, &id);
	if (member == NULL)
		return FTC_NOT_A_MEMBER;
	return ftc_verify(&member->key, FTC_DOMAIN_STORED, genesis, &digest, &signature);
}

/* ----------------------------------------------------------------
 *		Tips
 * ----------------------------------------------------------------
 */

void
ftc_rules_first_tip(FtcTip *tip, const FtcHeader *genesis, const FtcParams *params)
{
	tip->id = ftc_header_id(genesis);
	tip->height = 0;
	tip->time = genesis->time;
	tip->anchor.height = 0;
	tip->anchor.parent_time = (int64_t) genesis->time - (int64_t) params->spacing;
	tip->anchor.bits = genesis->bits;
	tip->work = ftc_pow_work(genesis->bits);
	ftc_frontier_init(&tip->history);
	ftc_frontier_add(&tip->history, &tip->id);
}

/*
 * A gap longer than a half-life is taken for idleness and leaves no debt: the
 * retarget starts anew at the block that ended it, from the difficulty that a
 * gap of exactly one half-life gives.  (Keeping the block's own difficulty, as
 * the first draft had it, would never let a chain recover whose hash power
 * fell so far that every block takes longer than that.)
 */
static void
rebase(FtcTip *child, const FtcTip *parent, const FtcParams *params)
{
	child->anchor.bits = ftc_pow_next_bits(&parent->anchor, child->height,
										   (int64_t) (parent->time + params->half_life),
										   (int64_t) params->spacing, (int64_t) params->half_life,
										   params->limit_bits);
	child->anchor.height = child->height;
	child->anchor.parent_time = (int64_t) child->time - (int64_t) params->spacing;
}

void
ftc_rules_next_tip(FtcTip *child, const FtcTip *parent,
				   const FtcHeader *header, const FtcParams *params)
{
	FtcU256		work = ftc_pow_work(header->bits);

	child->id = ftc_header_id(header);
	child->height = header->height;
	child->time = header->time;
	child->anchor = parent->anchor;
	if (header->consensus == FTC_CONSENSUS_POW && header->time > parent->time + params->half_life)
		rebase(child, parent, params);
	child->work = ftc_u256_add(&parent->work, &work);
	child->history = parent->history;
	ftc_frontier_add(&child->history, &child->id);
}

size_t
ftc_tip_encode(const FtcTip *tip, uint8_t *bytes)
{
	FtcWriter	writer = ftc_writer(bytes, FTC_TIP_BYTES_MAX);
	FtcHash		work = ftc_u256_to_hash(&tip->work);

	ftc_put_u64(&writer, tip->anchor.height);
	ftc_put_u64(&writer, (uint64_t) tip->anchor.parent_time);
	ftc_put_u32(&writer, tip->anchor.bits);
	ftc_put_hash(&writer, &work);
	return writer.len + ftc_frontier_encode(&tip->history, bytes + writer.len);
}

FtcReason
ftc_tip_decode(FtcTip *tip, const FtcHeader *header, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	FtcHash		work;

	tip->id = ftc_header_id(header);
	tip->height = header->height;
	tip->time = header->time;
	tip->anchor.height = ftc_get_u64(&reader);
	tip->anchor.parent_time = (int64_t) ftc_get_u64(&reader);
	tip->anchor.bits = ftc_get_u32(&reader);
	work = ftc_get_hash(&reader);
	tip->work = ftc_u256_from_hash(&work);
	if (reader.bad)
		return FTC_BAD_LENGTH;
	return ftc_frontier_decode(&tip->history, ftc_slice(reader.at, reader.left));
}

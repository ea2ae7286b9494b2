/*-------------------------------------------------------------------------
 *
 * rules.c
 *	  What makes a block valid.
 *
 *-------------------------------------------------------------------------
 */
#include "rules.h"

#include "bytes.h"
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

/* Work before signature: the cheap check is the one a flood must pass. */
static FtcReason
check_work(const FtcHeader *header, const FtcTip *parent, const FtcParams *params)
{
	FtcHash		id;

	if (params->consensus != FTC_CONSENSUS_POW)
		return FTC_WRONG_CONSENSUS;
	if (header->bits != ftc_rules_next_bits(parent, params))
		return FTC_BAD_BITS;
	id = ftc_header_id(header);
	return ftc_pow_meets(&id, header->bits) ? FTC_OK : FTC_NOT_ENOUGH_WORK;
}

FtcReason
ftc_rules_header(const FtcHeader *header, const FtcSignature *signature,
				 const FtcTip *parent, const FtcState *state,
				 const FtcHash *genesis, uint64_t now)
{
	const FtcParams *params = &state->params;
	FtcHash		history = ftc_frontier_root(&parent->history);
	FtcHash		root = ftc_state_root(state);
	FtcReason	reason;

	if (header->consensus != params->consensus)
		return FTC_WRONG_CONSENSUS;
	if (!ftc_hash_equal(&header->prev, &parent->id))
		return FTC_BAD_PARENT;
	if (header->height != parent->height + 1)
		return FTC_BAD_HEIGHT;
	if (!ftc_hash_equal(&header->history, &history))
		return FTC_BAD_HISTORY;
	if (!ftc_hash_equal(&header->state, &root))
		return FTC_BAD_STATE;
	if (!ftc_hash_is_zero(&header->justify) || header->round != 0)
		return FTC_BAD_JUSTIFY;
	if (header->leaves > params->max_leaves)
		return FTC_TOO_MANY;
	if (header->time < ftc_rules_earliest(parent, params))
		return FTC_TIME_TOO_EARLY;
	reason = check_work(header, parent, params);
	if (reason == FTC_OK)
		reason = check_signature(header, signature, state, genesis);
	if (reason == FTC_OK && header->time > now + params->future_bound)
		reason = FTC_TIME_TOO_LATE;
	return reason;
}

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

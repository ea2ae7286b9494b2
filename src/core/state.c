/*-------------------------------------------------------------------------
 *
 * state.c
 *	  Epoch state.
 *
 *-------------------------------------------------------------------------
 */
#include "state.h"

#include "bytes.h"
#include "entry.h"
#include "header.h"

#define PARAMS_LEAF_MAX (2 + 8 + 128 + FTC_NAME_MAX)
#define VOTERS_LEAF_LEN (2 + FTC_HASH_LEN)

static size_t
params_leaf_encode(const FtcState *state, uint8_t *bytes)
{
	FtcWriter	writer = ftc_writer(bytes, PARAMS_LEAF_MAX);

	ftc_put_u8(&writer, FTC_LEAF_VERSION);
	ftc_put_u8(&writer, FTC_LEAF_PARAMS);
	ftc_put_u64(&writer, state->folded);
	return writer.len + ftc_params_encode(&state->params, bytes + writer.len,
										  PARAMS_LEAF_MAX - writer.len);
}

static void
voters_leaf_encode(const FtcHash *voters, uint8_t bytes[VOTERS_LEAF_LEN])
{
	bytes[0] = FTC_LEAF_VERSION;
	bytes[1] = FTC_LEAF_VOTERS;
	memcpy(bytes + 2, voters->b, FTC_HASH_LEN);
}

FtcHash
ftc_voters_leaf_hash(const FtcHash *voters)
{
	uint8_t		leaf[VOTERS_LEAF_LEN];

	voters_leaf_encode(voters, leaf);
	return ftc_merkle_leaf(ftc_slice(leaf, sizeof(leaf)));
}

size_t
ftc_member_leaf_encode(const FtcMember *member, uint8_t *bytes)
{
	FtcWriter	writer = ftc_writer(bytes, FTC_MEMBER_LEAF_MAX);

	ftc_put_u8(&writer, FTC_LEAF_VERSION);
	ftc_put_u8(&writer, FTC_LEAF_MEMBER);
	ftc_put_hash(&writer, &member->id);
	ftc_put_u8(&writer, member->algorithm);
	ftc_put_bytes(&writer, member->key.b, FTC_KEY_LEN);
	ftc_put_u32(&writer, member->weight);
	ftc_put_u8(&writer, member->flags);
	ftc_put_name(&writer, member->zone);
	ftc_put_name(&writer, member->name);
	return writer.len;
}

FtcReason
ftc_member_leaf_decode(FtcMember *member, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		class = ftc_get_u8(&reader);

	member->id = ftc_get_hash(&reader);
	member->algorithm = ftc_get_u8(&reader);
	ftc_get_bytes(&reader, member->key.b, FTC_KEY_LEN);
	member->weight = ftc_get_u32(&reader);
	member->flags = ftc_get_u8(&reader);
	member->zone = ftc_get_name(&reader);
	member->name = ftc_get_name(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (version != FTC_LEAF_VERSION)
		return FTC_BAD_VERSION;
	if (class != FTC_LEAF_MEMBER)
		return FTC_BAD_KIND;
	if (member->algorithm != FTC_ALGORITHM_ED25519 || ftc_key_check(&member->key) != FTC_OK)
		return FTC_BAD_KEY;
	if (member->weight > FTC_WEIGHT_MAX || (member->flags & ~FTC_MEMBER_FLAGS) != 0)
		return FTC_OUT_OF_RANGE;
	if (member->zone.len > FTC_NAME_MAX || member->name.len > FTC_NAME_MAX)
		return FTC_TOO_LARGE;
	return ftc_utf8_is_valid(member->zone) && ftc_utf8_is_valid(member->name)
		? FTC_OK : FTC_BAD_TEXT;
}

/* Leaf number i into bytes, which has room for any of them. */
#define ANY_LEAF_MAX 256
_Static_assert(PARAMS_LEAF_MAX <= ANY_LEAF_MAX && FTC_MEMBER_LEAF_MAX <= ANY_LEAF_MAX,
			   "room for any leaf");
static size_t
leaf_encode(const FtcState *state, uint32_t i, uint8_t bytes[ANY_LEAF_MAX])
{
	if (i == 0)
		return params_leaf_encode(state, bytes);
	if (i > 1)
		return ftc_member_leaf_encode(&state->members[i - 2], bytes);
	voters_leaf_encode(&state->voters, bytes);
	return VOTERS_LEAF_LEN;
}

size_t
ftc_state_encode(const FtcState *state, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	for (uint32_t i = 0; i < state->nmembers + 2; i++)
	{
		uint8_t		leaf[ANY_LEAF_MAX];
		size_t		len = leaf_encode(state, i, leaf);

		ftc_put_u16(&writer, (uint16_t) len);
		ftc_put_bytes(&writer, leaf, len);
	}
	return writer.len;
}

/* No member leaf is shorter than one with empty names. */
uint32_t
ftc_state_capacity(FtcSlice bytes)
{
	return (uint32_t) (bytes.len / (FTC_MEMBER_LEAF_MAX - 2 * FTC_NAME_MAX)) + 1;
}

static FtcReason
get_params_leaf(FtcState *state, FtcSlice leaf)
{
	FtcReader	reader = ftc_reader(leaf);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		class = ftc_get_u8(&reader);

	state->folded = ftc_get_u64(&reader);
	if (reader.bad)
		return FTC_BAD_LENGTH;
	if (version != FTC_LEAF_VERSION)
		return FTC_BAD_VERSION;
	if (class != FTC_LEAF_PARAMS)
		return FTC_BAD_KIND;
	if (state->folded > INT64_MAX)
		return FTC_OUT_OF_RANGE;
	return ftc_params_decode(&state->params, ftc_slice(reader.at, reader.left));
}

/* With proof of work there are no voters yet. */
static FtcReason
get_voters_leaf(FtcState *state, FtcSlice leaf)
{
	if (leaf.len != VOTERS_LEAF_LEN || leaf.data[0] != FTC_LEAF_VERSION || leaf.data[1] != FTC_LEAF_VOTERS)
		return FTC_NOT_CANONICAL;
	memcpy(state->voters.b, leaf.data + 2, FTC_HASH_LEN);
	return state->params.consensus != FTC_CONSENSUS_POW || ftc_hash_is_zero(&state->voters)
		? FTC_OK : FTC_NOT_CANONICAL;
}

FtcReason
ftc_state_decode(FtcState *state, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	FtcSlice	leaf = ftc_get_slice(&reader, ftc_get_u16(&reader));
	FtcReason	reason = get_params_leaf(state, leaf);
	uint32_t	weights = 0;

	state->nmembers = 0;
	if (reason != FTC_OK)
		return reason;
	leaf = ftc_get_slice(&reader, ftc_get_u16(&reader));
	reason = get_voters_leaf(state, leaf);
	if (reason != FTC_OK)
		return reason;
	while (reader.left > 0 && !reader.bad)
	{
		FtcMember	member;

		leaf = ftc_get_slice(&reader, ftc_get_u16(&reader));
		if (reader.bad)
			break;
		reason = ftc_member_leaf_decode(&member, leaf);
		if (reason != FTC_OK)
			return reason;
		if (state->nmembers >= state->capacity || state->nmembers >= FTC_MEMBERS_MAX)
			return FTC_TOO_MANY;
		if (state->nmembers > 0 &&
			ftc_hash_compare(&state->members[state->nmembers - 1].id, &member.id) >= 0)
			return FTC_NOT_CANONICAL;
		weights += member.weight;
		if (weights > FTC_WEIGHTS_MAX)
			return FTC_OUT_OF_RANGE;
		state->members[state->nmembers++] = member;
	}
	return ftc_reader_is_done(&reader) ? FTC_OK : FTC_BAD_LENGTH;
}

FtcHash
ftc_state_leaf_hash(const FtcState *state, uint32_t i)
{
	uint8_t		leaf[ANY_LEAF_MAX];
	size_t		len = leaf_encode(state, i, leaf);

	return ftc_merkle_leaf(ftc_slice(leaf, len));
}

FtcHash
ftc_state_root(const FtcState *state)
{
	FtcFrontier tree;

	ftc_frontier_init(&tree);
	for (uint32_t i = 0; i < state->nmembers + 2; i++)
	{
		FtcHash		leaf = ftc_state_leaf_hash(state, i);

		ftc_frontier_add(&tree, &leaf);
	}
	return ftc_frontier_root(&tree);
}

/* Where a member with this id is, or would be. */
static uint32_t
member_position(const FtcState *state, const FtcHash *id)
{
	uint32_t	low = 0;
	uint32_t	high = state->nmembers;

	while (low < high)
	{
		uint32_t	mid = low + (high - low) / 2;

		if (ftc_hash_compare(&state->members[mid].id, id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const FtcMember *
ftc_state_find(const FtcState *state, const FtcHash *id)
{
	uint32_t	at = member_position(state, id);

	if (at < state->nmembers && ftc_hash_equal(&state->members[at].id, id))
		return &state->members[at];
	return NULL;
}

static uint32_t
count_governors(const FtcState *state)
{
	uint32_t	n = 0;

	for (uint32_t i = 0; i < state->nmembers; i++)
		n += (state->members[i].flags & FTC_MEMBER_GOVERNOR) != 0;
	return n;
}

/* May this one signer alone authorise the control, being whom it concerns? */
static bool
concerns(const FtcControl *control, const FtcHash *signer)
{
	return (control->kind == FTC_CONTROL_REMOVE_MEMBER ||
			control->kind == FTC_CONTROL_REKEY ||
			control->kind == FTC_CONTROL_ERASE) &&
		ftc_hash_equal(&control->member, signer);
}

FtcReason
ftc_state_authorise(const FtcState *state, const FtcControl *control, const FtcHash *chain)
{
	FtcHash		digest = ftc_control_digest(control->core);
	bool		concerned = false;
	uint32_t	governors = 0;

	for (int i = 0; i < control->nsigners; i++)
	{
		FtcSignature signature;
		FtcHash		signer = ftc_control_signer(control, i, &signature);
		const FtcMember *member = ftc_state_find(state, &signer);

		if (member == NULL)
			return FTC_NOT_A_MEMBER;
		if (ftc_verify(&member->key, FTC_DOMAIN_CONTROL, chain, &digest, &signature) != FTC_OK)
			return FTC_BAD_SIGNATURE;
		concerned |= concerns(control, &signer);
		governors += (member->flags & FTC_MEMBER_GOVERNOR) != 0;
	}
	if (!concerned && governors < state->params.governors)
		return FTC_NOT_AUTHORISED;
	if (control->kind == FTC_CONTROL_ADD_MEMBER || control->kind == FTC_CONTROL_REKEY)
	{
		FtcHash		id = ftc_member_id(control->algorithm, &control->key);

		if (ftc_verify(&control->key, FTC_DOMAIN_POSSESSION, chain, &id,
					   &control->possession) != FTC_OK)
			return FTC_BAD_POSSESSION;
	}
	return FTC_OK;
}

/*
 * Rings take memory by the weights of all members together, so these are
 * bounded: can this much be added?
 */
static bool
has_room_for(const FtcState *state, uint32_t weight)
{
	uint64_t	sum = weight;

	for (uint32_t i = 0; i < state->nmembers; i++)
		sum += state->members[i].weight;
	return sum <= FTC_WEIGHTS_MAX;
}

static bool
add_member(FtcState *state, const FtcControl *control)
{
	FtcHash		id = ftc_member_id(control->algorithm, &control->key);
	uint32_t	at = member_position(state, &id);
	FtcMember  *member = &state->members[at];

	if (ftc_state_find(state, &id) != NULL ||
		state->nmembers >= state->capacity || state->nmembers >= FTC_MEMBERS_MAX ||
		!has_room_for(state, control->weight))
		return false;
	memmove(member + 1, member, (state->nmembers - at) * sizeof(*member));
	state->nmembers++;
	member->id = id;
	member->algorithm = control->algorithm;
	member->key = control->key;
	member->weight = control->weight;
	member->flags = control->flags;
	member->zone = control->zone;
	member->name = control->name;
	return true;
}

/* Would the chain still have enough governors if this member were none? */
static bool
is_dispensable(const FtcState *state, const FtcMember *member)
{
	return (member->flags & FTC_MEMBER_GOVERNOR) == 0 ||
		count_governors(state) > state->params.governors;
}

static bool
remove_member(FtcState *state, const FtcControl *control)
{
	uint32_t	at = member_position(state, &control->member);
	FtcMember  *member = &state->members[at];

	if (ftc_state_find(state, &control->member) == NULL || !is_dispensable(state, member))
		return false;
	memmove(member, member + 1, (state->nmembers - at - 1) * sizeof(*member));
	state->nmembers--;
	return true;
}

static bool
set_member(FtcState *state, const FtcControl *control)
{
	FtcMember  *member = &state->members[member_position(state, &control->member)];

	if (ftc_state_find(state, &control->member) == NULL ||
		((control->flags & FTC_MEMBER_GOVERNOR) == 0 && !is_dispensable(state, member)) ||
		(control->weight > member->weight &&
		 !has_room_for(state, control->weight - member->weight)))
		return false;
	member->weight = control->weight;
	member->flags = control->flags;
	member->zone = control->zone;
	return true;
}

static bool
rekey(FtcState *state, const FtcControl *control)
{
	FtcMember  *member = &state->members[member_position(state, &control->member)];

	if (ftc_state_find(state, &control->member) == NULL)
		return false;
	member->algorithm = control->algorithm;
	member->key = control->key;
	return true;
}

/* The consensus engine of a chain never changes, nor may governors lock it. */
static bool
set_params(FtcState *state, const FtcControl *control)
{
	if (control->params.consensus != state->params.consensus ||
		control->params.governors > count_governors(state))
		return false;
	state->params = control->params;
	return true;
}

bool
ftc_state_apply(FtcState *state, const FtcControl *control)
{
	switch (control->kind)
	{
		case FTC_CONTROL_PARAMS:
			return set_params(state, control);
		case FTC_CONTROL_ADD_MEMBER:
			return add_member(state, control);
		case FTC_CONTROL_REMOVE_MEMBER:
			return remove_member(state, control);
		case FTC_CONTROL_SET_MEMBER:
			return set_member(state, control);
		case FTC_CONTROL_REKEY:
			return rekey(state, control);
		default:
			/* ERASE and PRUNE speak of payloads, not of the state */
			return false;
	}
}

bool
ftc_state_fold_bound(const FtcState *state, uint64_t height, uint64_t *bound)
{
	uint64_t	lag = state->params.settle_blocks;

	if (height == 0)
		return false;
	if (state->nmembers == 1)
		*bound = height - 1;
	else if (height % state->params.epoch_blocks == 0 && height > lag)
		*bound = height - 1 - lag;
	else
		return false;
	return *bound > state->folded;
}

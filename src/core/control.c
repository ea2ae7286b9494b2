/*-------------------------------------------------------------------------
 *
 * control.c
 *	  Control entries: bytes and limits.
 *
 *-------------------------------------------------------------------------
 */
#include "control.h"

#include "bytes.h"
#include "entry.h"
#include "header.h"
#include "pow.h"
#include "sha256.h"

#define SIGNER_LEN (FTC_HASH_LEN + FTC_SIGNATURE_LEN)

/* A year, in microseconds: no interval of a chain is longer. */

static void
put_params(FtcWriter *writer, const FtcParams *params)
{
	ftc_put_u32(writer, params->consensus);
	ftc_put_u64(writer, params->spacing);
	ftc_put_u64(writer, params->min_spacing);
	ftc_put_u64(writer, params->half_life);
	ftc_put_u64(writer, params->future_bound);
	ftc_put_u32(writer, params->limit_bits);
	ftc_put_u32(writer, params->max_leaves);
	ftc_put_u32(writer, params->max_body);
	ftc_put_u32(writer, params->max_payload);
	ftc_put_u32(writer, params->reorg_limit);
	ftc_put_u32(writer, params->epoch_blocks);
	ftc_put_u32(writer, params->settle_blocks);
	ftc_put_u16(writer, params->replicas);
	ftc_put_u16(writer, params->stored_quorum);
	ftc_put_u16(writer, params->governors);
	ftc_put_u16(writer, params->flags);
	ftc_put_u16(writer, params->durability);
	ftc_put_u8(writer, params->shard_data);
	ftc_put_u8(writer, params->shard_parity);
	ftc_put_name(writer, params->name);
}

static void
get_params(FtcReader *reader, FtcParams *params)
{
	params->consensus = ftc_get_u32(reader);
	params->spacing = ftc_get_u64(reader);
	params->min_spacing = ftc_get_u64(reader);
	params->half_life = ftc_get_u64(reader);
	params->future_bound = ftc_get_u64(reader);
	params->limit_bits = ftc_get_u32(reader);
	params->max_leaves = ftc_get_u32(reader);
	params->max_body = ftc_get_u32(reader);
	params->max_payload = ftc_get_u32(reader);
	params->reorg_limit = ftc_get_u32(reader);
	params->epoch_blocks = ftc_get_u32(reader);
	params->settle_blocks = ftc_get_u32(reader);
	params->replicas = ftc_get_u16(reader);
	params->stored_quorum = ftc_get_u16(reader);
	params->governors = ftc_get_u16(reader);
	params->flags = ftc_get_u16(reader);
	params->durability = ftc_get_u16(reader);
	params->shard_data = ftc_get_u8(reader);
	params->shard_parity = ftc_get_u8(reader);
	params->name = ftc_get_name(reader);
}

size_t
ftc_params_encode(const FtcParams *params, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	put_params(&writer, params);
	return writer.len;
}

FtcReason
ftc_params_decode(FtcParams *params, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);

	get_params(&reader, params);
	return ftc_reader_is_done(&reader) ? ftc_params_check(params) : FTC_BAD_LENGTH;
}

static bool
is_interval(uint64_t us)
{
	return us >= 1 && us <= (uint64_t) FTC_INTERVAL_MAX;
}

/* Whole copies, or shards; in either form as many may be lost as durability says. */
static bool
are_copies(const FtcParams *params)
{
	if (params->replicas < 1 || params->replicas > FTC_REPLICAS_MAX ||
		params->stored_quorum < 1 || params->stored_quorum > params->replicas ||
		params->durability < 1 || params->durability > params->replicas)
		return false;
	return params->shard_data == 0 ? params->shard_parity == 0
		: params->shard_parity >= 1 && params->shard_data + params->shard_parity <= FTC_REPLICAS_MAX &&
		params->durability <= params->shard_parity + 1;
}

static FtcReason
check_name(FtcSlice name)
{
	if (name.len > FTC_NAME_MAX)
		return FTC_TOO_LARGE;
	return ftc_utf8_is_valid(name) ? FTC_OK : FTC_BAD_TEXT;
}

FtcReason
ftc_params_check(const FtcParams *params)
{
	if (params->consensus < FTC_CONSENSUS_POW || params->consensus > FTC_CONSENSUS_DPOS)
		return FTC_BAD_KIND;
	if (!is_interval(params->spacing) || !is_interval(params->min_spacing) ||
		!is_interval(params->half_life) || !is_interval(params->future_bound) ||
		params->min_spacing > params->spacing ||
		params->max_leaves < 16 || params->max_leaves > FTC_LEAVES_MAX ||
		params->max_body < 65536 || params->max_body > FTC_BODY_MAX ||
		params->max_payload < 1 || params->max_payload > FTC_PAYLOAD_MAX ||
		params->max_payload > params->max_body / 2 ||
		params->reorg_limit < 1 || params->reorg_limit > 1000000 ||
		params->epoch_blocks < 1 || params->epoch_blocks > 1000000 ||
		params->settle_blocks < 1 || params->settle_blocks > params->reorg_limit ||
		!are_copies(params) ||
		params->governors < 1 || params->governors > FTC_SIGNERS_MAX ||
		params->flags != 0 || params->name.len == 0)
		return FTC_OUT_OF_RANGE;
	if (params->consensus == FTC_CONSENSUS_POW &&
		ftc_pow_check_bits(params->limit_bits) != FTC_OK)
		return FTC_OUT_OF_RANGE;
	return check_name(params->name);
}

size_t
ftc_control_core_encode(const FtcControl *control, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	ftc_put_u8(&writer, FTC_LEAF_VERSION);
	ftc_put_u8(&writer, FTC_LEAF_CONTROL);
	ftc_put_u8(&writer, control->kind);
	ftc_put_u8(&writer, 0);
	ftc_put_bytes(&writer, control->nonce, FTC_CONTROL_NONCE_LEN);
	ftc_put_u64(&writer, control->not_after);
	switch (control->kind)
	{
		case FTC_CONTROL_PARAMS:
			put_params(&writer, &control->params);
			break;
		case FTC_CONTROL_ADD_MEMBER:
			ftc_put_u8(&writer, control->algorithm);
			ftc_put_bytes(&writer, control->key.b, FTC_KEY_LEN);
			ftc_put_u32(&writer, control->weight);
			ftc_put_u8(&writer, control->flags);
			ftc_put_name(&writer, control->zone);
			ftc_put_name(&writer, control->name);
			ftc_put_bytes(&writer, control->possession.b, FTC_SIGNATURE_LEN);
			break;
		case FTC_CONTROL_REMOVE_MEMBER:
			ftc_put_hash(&writer, &control->member);
			break;
		case FTC_CONTROL_SET_MEMBER:
			ftc_put_hash(&writer, &control->member);
			ftc_put_u32(&writer, control->weight);
			ftc_put_u8(&writer, control->flags);
			ftc_put_name(&writer, control->zone);
			break;
		case FTC_CONTROL_REKEY:
			ftc_put_hash(&writer, &control->member);
			ftc_put_u8(&writer, control->algorithm);
			ftc_put_bytes(&writer, control->key.b, FTC_KEY_LEN);
			ftc_put_bytes(&writer, control->possession.b, FTC_SIGNATURE_LEN);
			break;
		case FTC_CONTROL_ERASE:
			ftc_put_hash(&writer, &control->member);
			ftc_put_u64(&writer, control->from);
			ftc_put_u64(&writer, control->to);
			break;
		case FTC_CONTROL_PRUNE:
			ftc_put_u64(&writer, control->from);
			ftc_put_u64(&writer, control->to);
			break;
	}
	return writer.len;
}

size_t
ftc_control_leaf_encode(const FtcControl *control, uint8_t *bytes, size_t size)
{
	size_t		core = ftc_control_core_encode(control, bytes, size);
	FtcWriter	writer = ftc_writer(bytes, size);

	writer.len = core;
	ftc_put_u8(&writer, control->nsigners);
	ftc_put_slice(&writer, control->signers);
	return writer.len;
}

static FtcReason
get_by_kind(FtcReader *reader, FtcControl *control)
{
	switch (control->kind)
	{
		case FTC_CONTROL_PARAMS:
			get_params(reader, &control->params);
			break;
		case FTC_CONTROL_ADD_MEMBER:
			control->algorithm = ftc_get_u8(reader);
			ftc_get_bytes(reader, control->key.b, FTC_KEY_LEN);
			control->weight = ftc_get_u32(reader);
			control->flags = ftc_get_u8(reader);
			control->zone = ftc_get_name(reader);
			control->name = ftc_get_name(reader);
			ftc_get_bytes(reader, control->possession.b, FTC_SIGNATURE_LEN);
			break;
		case FTC_CONTROL_REMOVE_MEMBER:
			control->member = ftc_get_hash(reader);
			break;
		case FTC_CONTROL_SET_MEMBER:
			control->member = ftc_get_hash(reader);
			control->weight = ftc_get_u32(reader);
			control->flags = ftc_get_u8(reader);
			control->zone = ftc_get_name(reader);
			break;
		case FTC_CONTROL_REKEY:
			control->member = ftc_get_hash(reader);
			control->algorithm = ftc_get_u8(reader);
			ftc_get_bytes(reader, control->key.b, FTC_KEY_LEN);
			ftc_get_bytes(reader, control->possession.b, FTC_SIGNATURE_LEN);
			break;
		case FTC_CONTROL_ERASE:
			control->member = ftc_get_hash(reader);
			control->from = ftc_get_u64(reader);
			control->to = ftc_get_u64(reader);
			break;
		case FTC_CONTROL_PRUNE:
			control->from = ftc_get_u64(reader);
			control->to = ftc_get_u64(reader);
			break;
		default:
			return FTC_BAD_KIND;
	}
	return reader->bad ? FTC_BAD_LENGTH : FTC_OK;
}

static FtcReason
check_by_kind(const FtcControl *control)
{
	FtcReason	reason = FTC_OK;

	switch (control->kind)
	{
		case FTC_CONTROL_PARAMS:
			return ftc_params_check(&control->params);
		case FTC_CONTROL_ADD_MEMBER:
		case FTC_CONTROL_REKEY:
			if (control->algorithm != FTC_ALGORITHM_ED25519)
				return FTC_BAD_KEY;
			reason = ftc_key_check(&control->key);
			break;
		case FTC_CONTROL_ERASE:
			if (control->from == 0 || control->from > INT64_MAX ||
				control->to == 0 || control->to > INT64_MAX)
				return FTC_OUT_OF_RANGE;
			break;
		case FTC_CONTROL_PRUNE:
			if (control->from > control->to || control->to > INT64_MAX)
				return FTC_OUT_OF_RANGE;
			break;
	}
	if (reason == FTC_OK)
		reason = check_name(control->zone);
	if (reason == FTC_OK)
		reason = check_name(control->name);
	if (reason == FTC_OK &&
		(control->weight > FTC_WEIGHT_MAX || (control->flags & ~FTC_MEMBER_FLAGS) != 0))
		reason = FTC_OUT_OF_RANGE;
	return reason;
}

/* Signers ascend strictly, so that nobody counts twice. */
static FtcReason
check_signers(const FtcControl *control)
{
	FtcHash		before = {{0}};

	for (int i = 0; i < control->nsigners; i++)
	{
		FtcSignature signature;
		FtcHash		signer = ftc_control_signer(control, i, &signature);

		if (i > 0 && ftc_hash_compare(&before, &signer) >= 0)
			return FTC_NOT_CANONICAL;
		before = signer;
	}
	return FTC_OK;
}

FtcReason
ftc_control_leaf_decode(FtcControl *control, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		class = ftc_get_u8(&reader);
	uint8_t		zero;
	FtcReason	reason;

	memset(control, 0, sizeof(*control));
	control->kind = ftc_get_u8(&reader);
	zero = ftc_get_u8(&reader);
	ftc_get_bytes(&reader, control->nonce, FTC_CONTROL_NONCE_LEN);
	control->not_after = ftc_get_u64(&reader);
	if (reader.bad)
		return FTC_BAD_LENGTH;
	if (bytes.len > FTC_CONTROL_MAX)
		return FTC_TOO_LARGE;
	if (version != FTC_LEAF_VERSION)
		return FTC_BAD_VERSION;
	if (class != FTC_LEAF_CONTROL)
		return FTC_BAD_KIND;
	if (zero != 0)
		return FTC_NOT_CANONICAL;
	if (control->not_after > INT64_MAX)
		return FTC_OUT_OF_RANGE;
	reason = get_by_kind(&reader, control);
	if (reason != FTC_OK)
		return reason;
	control->core = ftc_slice(bytes.data, bytes.len - reader.left);
	control->nsigners = ftc_get_u8(&reader);
	if (control->nsigners > FTC_SIGNERS_MAX)
		return FTC_TOO_MANY;
	control->signers = ftc_get_slice(&reader, SIGNER_LEN * (size_t) control->nsigners);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	reason = check_by_kind(control);
	return reason == FTC_OK ? check_signers(control) : reason;
}

FtcHash
ftc_control_digest(FtcSlice core)
{
	return ftc_sha256(core);
}

FtcHash
ftc_control_signer(const FtcControl *control, int i, FtcSignature *signature)
{
	FtcReader	reader = ftc_reader(ftc_slice(control->signers.data + SIGNER_LEN * (size_t) i,
											  SIGNER_LEN));
	FtcHash		signer = ftc_get_hash(&reader);

	ftc_get_bytes(&reader, signature->b, FTC_SIGNATURE_LEN);
	return signer;
}

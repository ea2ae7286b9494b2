/*-------------------------------------------------------------------------
 *
 * membership.c
 *	  Changes of members: control entries, and what is under way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "branch.h"
#include "datum.h"
#include "keys.h"
#include "membership.h"
#include "place.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"

PG_FUNCTION_INFO_V1(ftchain_members);
PG_FUNCTION_INFO_V1(ftchain_leave);
PG_FUNCTION_INFO_V1(ftchain_remove_member);
PG_FUNCTION_INFO_V1(ftchain_reweight);
PG_FUNCTION_INFO_V1(ftchain_set_zone);
PG_FUNCTION_INFO_V1(ftchain_alter_chain);

static FtcStmt control_queue = {
	.sql = "INSERT INTO ftchain.pending_control (id, chain, leaf) VALUES ($1, $2, $3)",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, BYTEAOID},
};

/* As seal_block.c takes them: blocks of the main chain first, then what waits. */
static FtcStmt controls_under_way = {
	.sql = "SELECT c.leaf, c.height FROM ftchain.control c JOIN ftchain.main_chain m ON m.block = c.block"
	" WHERE c.chain = $1 AND c.height > $2 ORDER BY c.height, c.\"position\"",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

static FtcStmt controls_waiting = {
	.sql = "SELECT p.leaf FROM ftchain.pending_control p WHERE p.chain = $1 AND NOT EXISTS"
	" (SELECT FROM ftchain.control c JOIN ftchain.main_chain m ON m.block = c.block WHERE c.id = p.id)"
	" ORDER BY p.number",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* Who is concerned by a control that is under way, and when it takes effect. */
typedef struct Change
{
	FtcHash		member;
	int64		height;			/* of the first block that goes by it; -1: not
								 * known yet */
} Change;

typedef struct UnderWay
{
	const FtcChain *chain;
	const FtcState *current;
	FtcState   *next;
	Change	   *changes;
	uint32		nchanges;
} UnderWay;

/* ----------------------------------------------------------------
 *		What is under way
 * ----------------------------------------------------------------
 */

/* The first height whose block builds on a state with controls of this one. */
static int64
takes_effect(const FtcState *current, int64 height)
{
	int64		first = height + 1 + current->params.settle_blocks;
	int64		epoch = current->params.epoch_blocks;

	return current->nmembers == 1 ? height + 1 : (first + epoch - 1) / epoch * epoch;
}

static void
apply(UnderWay *u, FtcSlice leaf, int64 height)
{
	Change	   *change = &u->changes[u->nchanges];
	FtcControl	control;

	if (ftc_control_leaf_decode(&control, leaf) != FTC_OK ||
		(height < 0 && ftc_state_authorise(u->current, &control, &u->chain->genesis) != FTC_OK) ||
		!ftc_state_apply(u->next, &control))
		return;
	change->member = control.kind == FTC_CONTROL_ADD_MEMBER
		? ftc_member_id(control.algorithm, &control.key) : control.member;
	change->height = height < 0 ? -1 : takes_effect(u->current, height);
	u->nchanges++;
}

/* The leaves of a result, which the next statement would take away. */
static FtcSlice *
leaves(uint64 n)
{
	FtcSlice   *found = palloc(Max(n, 1) * sizeof(FtcSlice));

	for (uint64 i = 0; i < n; i++)
		found[i] = ftc_slice_value(i, 0);
	return found;
}

static void
look_under_way(UnderWay *u, const FtcChain *chain, const FtcState *current)
{
	uint64		nsealed = ftc_run(&controls_under_way, Int32GetDatum(chain->id),
								  Int64GetDatum((int64) current->folded));
	FtcSlice   *sealed = leaves(nsealed);
	int64	   *heights = palloc(Max(nsealed, 1) * sizeof(int64));
	uint64		nwaiting;
	FtcSlice   *waiting;

	for (uint64 i = 0; i < nsealed; i++)
		heights[i] = DatumGetInt64(ftc_value(i, 1));
	nwaiting = ftc_run(&controls_waiting, Int32GetDatum(chain->id));
	waiting = leaves(nwaiting);
	u->chain = chain;
	u->current = current;
	u->next = palloc(sizeof(FtcState));
	*u->next = *current;
	u->next->capacity = (uint32) Min(current->nmembers + nsealed + nwaiting, FTC_MEMBERS_MAX);
	u->next->members = palloc(Max(u->next->capacity, 1) * sizeof(FtcMember));
	memcpy(u->next->members, current->members, current->nmembers * sizeof(FtcMember));
	u->changes = palloc((nsealed + nwaiting + 1) * sizeof(Change));
	u->nchanges = 0;
	for (uint64 i = 0; i < nsealed; i++)
		apply(u, sealed[i], heights[i]);
	for (uint64 i = 0; i < nwaiting; i++)
		apply(u, waiting[i], -1);
}

FtcState *
ftc_membership_next(const FtcChain *chain, const FtcState *current)
{
	UnderWay	u;

	look_under_way(&u, chain, current);
	return u.next;
}

/* When the last change of a member takes effect; false if that is not known. */
static bool
change_height(const UnderWay *u, const FtcHash *member, int64 *height)
{
	*height = -1;
	for (uint32 i = 0; i < u->nchanges; i++)
		if (ftc_hash_equal(&u->changes[i].member, member))
			*height = u->changes[i].height;
	return *height >= 0;
}

static void
add_word(StringInfo words, const char *word)
{
	appendStringInfo(words, "%s%s", words->len > 0 ? ", " : "", word);
}

/* In words, what becomes of a member; empty if nothing does. */
static char *
describe_change(const FtcMember *now, const FtcMember *then)
{
	StringInfoData words;
	uint8		flags;

	initStringInfo(&words);
	if (now == NULL || then == NULL)
		return now == NULL ? "joins" : "leaves";
	flags = now->flags ^ then->flags;
	if (now->weight != then->weight)
		add_word(&words, psprintf("weight %u", then->weight));
	if (now->zone.len != then->zone.len || memcmp(now->zone.data, then->zone.data, now->zone.len) != 0)
		add_word(&words, psprintf("zone \"%s\"", ftc_slice_string(then->zone)));
	if ((flags & FTC_MEMBER_GOVERNOR) != 0)
		add_word(&words, (then->flags & FTC_MEMBER_GOVERNOR) != 0 ? "governor" : "no governor");
	if ((flags & FTC_MEMBER_FULL) != 0)
		add_word(&words, (then->flags & FTC_MEMBER_FULL) != 0 ? "full copy" : "no full copy");
	if (memcmp(now->key.b, then->key.b, FTC_KEY_LEN) != 0)
		add_word(&words, "key");
	return words.data;
}

static void
put_member(ReturnSetInfo *rsinfo, const UnderWay *u, const FtcMember *member, const char *change)
{
	int64		height;
	Datum		values[9] = {ftc_hash_datum(&member->id),
		PointerGetDatum(ftc_slice_text(member->name)),
		PointerGetDatum(ftc_slice_text(member->zone)),
		Int32GetDatum(member->weight),
		BoolGetDatum((member->flags & FTC_MEMBER_GOVERNOR) != 0),
		BoolGetDatum((member->flags & FTC_MEMBER_FULL) != 0),
	ftc_key_datum(&member->key)};
	bool		nulls[9] = {false};

	nulls[7] = change[0] == '\0';
	values[7] = nulls[7] ? (Datum) 0 : CStringGetTextDatum(change);
	nulls[8] = nulls[7] || !change_height(u, &member->id, &height);
	values[8] = nulls[8] ? (Datum) 0 : Int64GetDatum(height);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
ftchain_members(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = ftc_place_chain_arg(fcinfo);
	FtcScope	scope;
	FtcChain	chain;
	FtcState   *state;
	UnderWay	u;

	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	state = ftc_place_state(&chain, name);
	look_under_way(&u, &chain, state);
	for (uint32 i = 0; i < state->nmembers; i++)
		put_member(rsinfo, &u, &state->members[i],
				   describe_change(&state->members[i], ftc_state_find(u.next, &state->members[i].id)));
	for (uint32 i = 0; i < u.next->nmembers; i++)
		if (ftc_state_find(state, &u.next->members[i].id) == NULL)
			put_member(rsinfo, &u, &u.next->members[i], describe_change(NULL, &u.next->members[i]));
	ftc_leave(&scope);
	return (Datum) 0;
}

/* ----------------------------------------------------------------
 *		Arguments
 * ----------------------------------------------------------------
 */

uint32
ftc_membership_weight(int32 weight)
{
	if (weight < 0 || weight > FTC_WEIGHT_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"weight\" is out of range: %d", weight),
				errdetail("It may be from 0 to %d.", FTC_WEIGHT_MAX));
	return (uint32) weight;
}

FtcSlice
ftc_membership_zone(const char *zone)
{
	if (strlen(zone) > FTC_NAME_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("zone has %zu bytes", strlen(zone)),
				errdetail("It may have up to %d bytes.", FTC_NAME_MAX));
	return ftc_text_slice(zone);
}

/* "\x" and 64 hexadecimal digits */
static bool
read_id(const char *string, FtcHash *id)
{
	if (strlen(string) != 2 + 2 * FTC_HASH_LEN || strncmp(string, "\\x", 2) != 0 ||
		strspn(string + 2, "0123456789abcdefABCDEF") != 2 * FTC_HASH_LEN)
		return false;
	(void) hex_decode(string + 2, 2 * FTC_HASH_LEN, (char *) id->b);
	return true;
}

const FtcMember *
ftc_membership_find(const FtcChain *chain, const FtcState *state, const char *member)
{
	FtcSlice	name = ftc_text_slice(member);
	const FtcMember *found = NULL;
	FtcHash		id;

	if (read_id(member, &id))
		found = ftc_state_find(state, &id);
	else
		for (uint32 i = 0; i < state->nmembers; i++)
		{
			const FtcMember *m = &state->members[i];

			if (m->name.len != name.len || memcmp(m->name.data, name.data, name.len) != 0)
				continue;
			if (found != NULL)
				ereport(ERROR,
						errcode(ERRCODE_AMBIGUOUS_PARAMETER),
						errmsg("chain \"%s\" has several members of the name \"%s\"", chain->name, member),
						errhint("Give the id of the member; see ftchain.members()."));
			found = m;
		}
	if (found == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("chain \"%s\" has no member %s", chain->name, member),
				errhint("Members are shown by ftchain.members()."));
	return found;
}

static void
need_argument(FunctionCallInfo fcinfo, int i, const char *name)
{
	if (PG_ARGISNULL(i))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("\"%s\" must not be null", name));
}

/* A member is given by its id, or as text. */
static const FtcMember *
member_arg(FunctionCallInfo fcinfo, int i, const FtcChain *chain, const FtcState *state)
{
	FtcHash		id;

	if (get_fn_expr_argtype(fcinfo->flinfo, i) != BYTEAOID)
		return ftc_membership_find(chain, state, text_to_cstring(PG_GETARG_TEXT_PP(i)));
	id = ftc_arg_hash(PG_GETARG_DATUM(i), "member");
	return ftc_membership_find(chain, state, psprintf("\\x%s", ftc_hash_hex(&id)));
}

/* ----------------------------------------------------------------
 *		Control entries
 * ----------------------------------------------------------------
 */

void
ftc_membership_need_governor(const FtcChain *chain, const FtcState *state, const FtcIdentity *self)
{
	const FtcMember *member = ftc_state_find(state, &self->member);

	if (member == NULL || (member->flags & FTC_MEMBER_GOVERNOR) == 0)
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("this database is not a governor of chain \"%s\"", chain->name),
				errhint("Governors are shown by ftchain.members()."));
	if (state->params.governors > 1)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("chain \"%s\" asks for %d signatures of governors", chain->name,
					   state->params.governors));
}

FtcHash
ftc_membership_queue(const FtcChain *chain, const FtcIdentity *self, FtcControl *control)
{
	uint8	   *signer = palloc(FTC_HASH_LEN + FTC_SIGNATURE_LEN);
	FtcSignature signature;
	FtcControl	check;
	FtcSlice	core;
	FtcSlice	leaf;
	FtcHash		digest;
	FtcReason	reason;

	control->not_after = INT64_MAX;
	if (!pg_strong_random(control->nonce, sizeof(control->nonce)))
		ereport(ERROR,
				errcode(ERRCODE_INTERNAL_ERROR),
				errmsg("could not generate random values"));
	FTC_ENCODE(core, ftc_control_core_encode, control);
	digest = ftc_control_digest(core);
	ftc_keys_sign(FTC_DOMAIN_CONTROL, &chain->genesis, &digest, &signature);
	memcpy(signer, self->member.b, FTC_HASH_LEN);
	memcpy(signer + FTC_HASH_LEN, signature.b, FTC_SIGNATURE_LEN);
	control->nsigners = 1;
	control->signers = ftc_slice(signer, FTC_HASH_LEN + FTC_SIGNATURE_LEN);
	FTC_ENCODE(leaf, ftc_control_leaf_encode, control);
	reason = ftc_control_leaf_decode(&check, leaf);
	if (reason == FTC_OK)
		reason = ftc_state_authorise(ftc_branch_current_state(chain->id), &check, &chain->genesis);
	if (reason != FTC_OK)
		ftc_refuse(reason, "control entry");
	ftc_run(&control_queue, ftc_hash_datum(&digest), Int32GetDatum(chain->id), ftc_slice_datum(leaf));
	ftc_wake_at_commit(FTC_WAKE_SEALER);
	return digest;
}

/* What the rules would let pass without effect is refused here. */
static void
need_effect(const FtcChain *chain, FtcState *next, const FtcControl *control)
{
	if (!ftc_state_apply(next, control))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the change of chain \"%s\" would have no effect", chain->name),
				errdetail("A chain keeps as many governors as its control entries need, and the weights of its members add up to %d at most.",
						  FTC_WEIGHTS_MAX));
}

Datum
ftchain_remove_member(PG_FUNCTION_ARGS)
{
	char	   *name = ftc_place_chain_arg(fcinfo);
	FtcControl	control = {.kind = FTC_CONTROL_REMOVE_MEMBER};
	FtcScope	scope;
	FtcChain	chain;
	FtcIdentity self;
	FtcState   *state;
	FtcHash		id;

	need_argument(fcinfo, 1, "member");
	ftc_enter(&scope);
	state = ftc_place_state(&chain, name);
	ftc_identity_need(&self);
	control.member = member_arg(fcinfo, 1, &chain, state)->id;
	if (!ftc_hash_equal(&control.member, &self.member))
		ftc_membership_need_governor(&chain, state, &self);
	id = ftc_membership_queue(&chain, &self, &control);
	ftc_leave(&scope);
	PG_RETURN_DATUM(ftc_hash_datum(&id));
}

Datum
ftchain_leave(PG_FUNCTION_ARGS)
{
	char	   *name = ftc_place_chain_arg(fcinfo);
	FtcControl	control = {.kind = FTC_CONTROL_REMOVE_MEMBER};
	FtcScope	scope;
	FtcChain	chain;
	FtcIdentity self;
	FtcState   *state;
	FtcHash		id;

	ftc_enter(&scope);
	state = ftc_place_state(&chain, name);
	ftc_identity_need(&self);
	if (ftc_state_find(state, &self.member) == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("this database is not a member of chain \"%s\"", chain.name));
	control.member = self.member;
	need_effect(&chain, ftc_membership_next(&chain, state), &control);
	id = ftc_membership_queue(&chain, &self, &control);
	ftc_leave(&scope);
	PG_RETURN_DATUM(ftc_hash_datum(&id));
}

/*
 * Set what has been changed in the copy of a member.  A control says all of a
 * member at once, so it starts from what is under way: two changes one after
 * the other add up.
 */
typedef void (*Setter) (FunctionCallInfo fcinfo, FtcControl *control);

static Datum
set_member(FunctionCallInfo fcinfo, Setter set)
{
	char	   *name = ftc_place_chain_arg(fcinfo);
	FtcControl	control = {.kind = FTC_CONTROL_SET_MEMBER};
	const FtcMember *member;
	FtcScope	scope;
	FtcChain	chain;
	FtcIdentity self;
	FtcState   *state;
	FtcState   *next;
	FtcHash		id;

	need_argument(fcinfo, 1, "member");
	ftc_enter(&scope);
	state = ftc_place_state(&chain, name);
	ftc_identity_need(&self);
	ftc_membership_need_governor(&chain, state, &self);
	next = ftc_membership_next(&chain, state);
	member = member_arg(fcinfo, 1, &chain, next);
	control.member = member->id;
	control.weight = member->weight;
	control.flags = member->flags;
	control.zone = member->zone;
	set(fcinfo, &control);
	need_effect(&chain, next, &control);
	id = ftc_membership_queue(&chain, &self, &control);
	ftc_leave(&scope);
	PG_RETURN_DATUM(ftc_hash_datum(&id));
}

static void
set_weight(FunctionCallInfo fcinfo, FtcControl *control)
{
	need_argument(fcinfo, 2, "weight");
	control->weight = ftc_membership_weight(PG_GETARG_INT32(2));
}

static void
set_zone(FunctionCallInfo fcinfo, FtcControl *control)
{
	need_argument(fcinfo, 2, "zone");
	control->zone = ftc_membership_zone(text_to_cstring(PG_GETARG_TEXT_PP(2)));
}

Datum
ftchain_reweight(PG_FUNCTION_ARGS)
{
	return set_member(fcinfo, set_weight);
}

Datum
ftchain_set_zone(PG_FUNCTION_ARGS)
{
	return set_member(fcinfo, set_zone);
}

/* ----------------------------------------------------------------
 *		Parameters
 * ----------------------------------------------------------------
 */

static uint32
param_arg(FunctionCallInfo fcinfo, int i, const char *name, uint32 now, int32 least, int32 most)
{
	int32		value = PG_ARGISNULL(i) ? (int32) now : PG_GETARG_INT32(i);

	if (value < least || value > most)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" is out of range: %d", name, value),
				errdetail("It may be from %d to %d.", least, most));
	return (uint32) value;
}

/* Members that blocks are placed on. */
static uint32
count_keepers(const FtcState *state)
{
	uint32		n = 0;

	for (uint32 i = 0; i < state->nmembers; i++)
		n += state->members[i].weight > 0;
	return n;
}

/* Like members, they are changed from what is under way. */
Datum
ftchain_alter_chain(PG_FUNCTION_ARGS)
{
	char	   *name = ftc_place_chain_arg(fcinfo);
	FtcControl	control = {.kind = FTC_CONTROL_PARAMS};
	FtcParams  *params = &control.params;
	FtcScope	scope;
	FtcChain	chain;
	FtcIdentity self;
	FtcState   *state;
	FtcState   *next;
	FtcHash		id;

	ftc_enter(&scope);
	state = ftc_place_state(&chain, name);
	ftc_identity_need(&self);
	ftc_membership_need_governor(&chain, state, &self);
	next = ftc_membership_next(&chain, state);
	*params = next->params;
	params->durability = (uint16) param_arg(fcinfo, 1, "durability", params->durability, 1, params->replicas);
	params->shard_data = (uint8) param_arg(fcinfo, 2, "shard_data", params->shard_data, 0, FTC_REPLICAS_MAX - 1);
	params->shard_parity = (uint8) param_arg(fcinfo, 3, "shard_parity", params->shard_parity, 0, FTC_REPLICAS_MAX - 1);
	if (ftc_params_check(params) != FTC_OK)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the parameters do not fit together"),
				errdetail("Shards are some of data and some of parity, %d at most, or none of both; and as many may be lost as durability says.",
						  FTC_REPLICAS_MAX));
	need_effect(&chain, next, &control);
	id = ftc_membership_queue(&chain, &self, &control);
	if (count_keepers(next) < (uint32) params->shard_data + params->shard_parity)
		ereport(NOTICE,
				errmsg("chain \"%s\" has %u members that can keep shards, and needs %d",
					   chain.name, count_keepers(next), params->shard_data + params->shard_parity),
				errhint("Bodies stay whole until there are enough."));
	ftc_leave(&scope);
	PG_RETURN_DATUM(ftc_hash_datum(&id));
}

/*-------------------------------------------------------------------------
 *
 * chain.c
 *	  Chains this database takes part in.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "branch.h"
#include "alarm.h"
#include "chain.h"
#include "clock.h"
#include "datum.h"
#include "identity.h"
#include "keys.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"

PG_FUNCTION_INFO_V1(ftchain_create_chain);

static FtcStmt peer_key = {
	.sql = "SELECT public_key FROM ftchain.peer WHERE member = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt chain_by_name = {
	.sql = "SELECT id, name, genesis FROM ftchain.chain WHERE name = $1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static FtcStmt chain_by_genesis = {
	.sql = "SELECT id, name, genesis FROM ftchain.chain WHERE genesis = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt chain_by_id = {
	.sql = "SELECT id, name, genesis FROM ftchain.chain WHERE id = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt chain_all = {
	.sql = "SELECT id, name, genesis FROM ftchain.chain ORDER BY id",
};

static FtcStmt chain_lock = {
	.sql = "SELECT FROM ftchain.chain WHERE id = $1 FOR NO KEY UPDATE",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt seal_state_put = {
	.sql = "INSERT INTO ftchain.seal_state (chain, snapshot) VALUES ($1, '3:3:')",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt chain_put = {
	.sql = "INSERT INTO ftchain.chain (name, genesis, pinned) VALUES ($1, $2, $3) RETURNING id",
	.nargs = 3,
	.argtypes = {TEXTOID, BYTEAOID, BOOLOID},
};

static FtcStmt sequence_of_entries = {
	.sql = "SELECT 'ftchain.entry_id'::regclass, 'ftchain.chain'::regclass, 'ftchain.entry'::regclass",
};

static void
from_row(FtcChain *chain, uint64 row)
{
	chain->id = DatumGetInt32(ftc_value(row, 0));
	chain->name = TextDatumGetCString(ftc_value(row, 1));
	chain->genesis = ftc_hash_value(row, 2);
}

bool
ftc_chain_find(FtcChain *chain, const char *name)
{
	if (ftc_run(&chain_by_name, CStringGetTextDatum(name)) == 0)
		return false;
	from_row(chain, 0);
	return true;
}

void
ftc_chain_need(FtcChain *chain, const char *name)
{
	if (!ftc_chain_find(chain, name))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("chain \"%s\" does not exist", name),
				errhint("The chains of this database are in the view ftchain.status."));
}

bool
ftc_chain_by_genesis(FtcChain *chain, const FtcHash *genesis)
{
	if (ftc_run(&chain_by_genesis, ftc_hash_datum(genesis)) == 0)
		return false;
	from_row(chain, 0);
	return true;
}

bool
ftc_chain_by_id(FtcChain *chain, int32 id)
{
	if (ftc_run(&chain_by_id, Int32GetDatum(id)) == 0)
		return false;
	from_row(chain, 0);
	return true;
}

List *
ftc_chain_list(void)
{
	uint64		n = ftc_run(&chain_all, 0);
	List	   *chains = NIL;

	for (uint64 i = 0; i < n; i++)
	{
		FtcChain   *chain = palloc(sizeof(FtcChain));

		from_row(chain, i);
		chains = lappend(chains, chain);
	}
	return chains;
}

bool
ftc_chain_key_of(const FtcHash *id, FtcKey *key)
{
	ListCell   *cell;

	foreach(cell, ftc_chain_list())
	{
		const FtcChain *chain = lfirst(cell);
		const FtcMember *member = ftc_state_find(ftc_branch_current_state(chain->id), id);

		if (member != NULL)
		{
			*key = member->key;
			return true;
		}
	}
	if (ftc_run(&peer_key, ftc_hash_datum(id)) == 0)
		return false;
	memcpy(key->b, ftc_slice_value(0, 0).data, FTC_KEY_LEN);
	return true;
}

List *
ftc_chain_list_named(const char *name)
{
	FtcChain   *chain;

	if (name == NULL)
		return ftc_chain_list();
	chain = palloc(sizeof(FtcChain));
	ftc_chain_need(chain, name);
	return list_make1(chain);
}

void
ftc_chain_lock(int32 chain)
{
	/* without its row there is nothing that would hold others back */
	if (ftc_run(&chain_lock, Int32GetDatum(chain)) == 0)
		elog(ERROR, "chain %d has gone", chain);
}

/* ----------------------------------------------------------------
 *		What append() needs, kept
 * ----------------------------------------------------------------
 */

static HTAB *cache = NULL;
static Oid	cache_relation = InvalidOid;	/* ftchain.chain */
static uint64 cache_changes = 0;	/* how often all was forgotten */

static void
forget(Datum arg, Oid relation)
{
	HASH_SEQ_STATUS scan;
	FtcChainCache *entry;

	if (cache == NULL || (OidIsValid(relation) && relation != cache_relation))
		return;
	cache_changes++;
	hash_seq_init(&scan, cache);
	while ((entry = hash_seq_search(&scan)) != NULL)
		hash_search(cache, entry->name, HASH_REMOVE, NULL);
}

static void
make_cache(void)
{
	HASHCTL		ctl = {.keysize = sizeof(((FtcChainCache *) 0)->name),.entrysize = sizeof(FtcChainCache)};

	if (cache != NULL)
		return;
	cache = hash_create("ftchain chains", 16, &ctl, HASH_ELEM | HASH_STRINGS);
	CacheRegisterRelcacheCallback(forget, (Datum) 0);
}

/*
 * Changing the row of a chain tells nobody; this does, through the cache
 * invalidation of its table, at commit.
 */
void
ftc_chain_invalidate(void)
{
	Oid			schema = get_namespace_oid("ftchain", true);
	Oid			relation = OidIsValid(schema) ? get_relname_relid("chain", schema) : InvalidOid;

	if (OidIsValid(relation))
		CacheInvalidateRelcacheByRelid(relation);
}

static void
need_member(const FtcState *state, const FtcHash *member, const char *chain)
{
	if (ftc_state_find(state, member) == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("this database is not a member of chain \"%s\"", chain),
				errdetail("Its member id is %s.", ftc_hash_hex(member)),
				errhint("A governor of the chain can add it with ftchain.add_member()."));
}

/*
 * As it is now: a transaction with an older snapshot, too, must take the names
 * of its entries from the incarnation that others take them from.
 */
static void
read_chain(const char *name, FtcChainCache *fresh)
{
	FtcScope	scope;
	FtcChain	chain;
	FtcIdentity identity;
	FtcState   *state;

	ftc_enter(&scope);
	ftc_freeze_latest();
	ftc_run(&sequence_of_entries, 0);
	fresh->sequence = DatumGetObjectId(ftc_value(0, 0));
	cache_relation = DatumGetObjectId(ftc_value(0, 1));
	fresh->entry = DatumGetObjectId(ftc_value(0, 2));
	ftc_chain_need(&chain, name);
	ftc_identity_need(&identity);
	state = ftc_branch_current_state(chain.id);
	need_member(state, &identity.member, name);
	strlcpy(fresh->name, name, sizeof(fresh->name));
	fresh->id = chain.id;
	fresh->origin = identity.origin;
	fresh->member = identity.member;
	fresh->incarnation = identity.incarnation;
	fresh->max_payload = state->params.max_payload;
	fresh->stopped = ftc_alarm_stops(chain.id);
	ftc_thaw();
	ftc_leave(&scope);
}

const FtcChainCache *
ftc_chain_cached(const char *name)
{
	static FtcChainCache fresh;
	FtcChainCache *entry;
	uint64		changes;

	make_cache();
	/* in a long transaction nobody else might look for them */
	AcceptInvalidationMessages();
	if (strlen(name) < sizeof(entry->name))
	{
		entry = hash_search(cache, name, HASH_FIND, NULL);
		if (entry != NULL)
			return entry;
	}
	changes = cache_changes;
	read_chain(name, &fresh);
	/* what changed while we read may be newer than what we read */
	if (changes == cache_changes)
		*(FtcChainCache *) hash_search(cache, fresh.name, HASH_ENTER, NULL) = fresh;
	return &fresh;
}

/* ----------------------------------------------------------------
 *		Founding
 * ----------------------------------------------------------------
 */

void
ftc_chain_found(FtcChain *chain, const char *name, const FtcBlock *block, bool pinned)
{
	FtcHeader	header;
	FtcManifest manifest;
	FtcState	state = {0};
	FtcTip		tip;
	FtcReason	reason = ftc_header_decode(&header, block->header);

	if (reason == FTC_OK)
		reason = ftc_manifest_decode(&manifest, block->manifest);
	if (reason != FTC_OK)
		ftc_refuse(reason, "genesis block");
	state.capacity = manifest.ncontrols + 1;
	state.members = palloc(state.capacity * sizeof(FtcMember));
	reason = ftc_rules_genesis(&header, &block->signature, &manifest, &state);
	if (reason != FTC_OK)
		ftc_refuse(reason, "genesis block");
	ftc_rules_first_tip(&tip, &header, &state.params);

	if (ftc_chain_find(chain, name))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("chain \"%s\" already exists", name));
	if (ftc_chain_by_genesis(chain, &tip.id))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("this database has the chain already, as \"%s\"", chain->name));
	ftc_run(&chain_put, CStringGetTextDatum(name), ftc_hash_datum(&tip.id), BoolGetDatum(pinned));
	chain->id = DatumGetInt32(ftc_value(0, 0));
	chain->name = pstrdup(name);
	chain->genesis = tip.id;
	ftc_run(&seal_state_put, Int32GetDatum(chain->id));
	ftc_chain_lock(chain->id);
	ftc_store_put_block(chain->id, block, &header, &manifest, &tip, &state, NULL);
	ftc_store_switch(chain->id, -1, &tip.id, 1);
	ftc_chain_invalidate();
	ftc_wake_at_commit(FTC_WAKE_LAUNCHER | FTC_WAKE_ALL);
}

static uint64
interval_arg(Interval *interval, const char *name)
{
	int64		us;

	if (interval->month != 0 ||
		pg_mul_s64_overflow(interval->day, USECS_PER_DAY, &us) ||
		pg_add_s64_overflow(us, interval->time, &us) ||
		us < 1 || us > 365 * USECS_PER_DAY)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" is out of range: %s", name,
					   DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(interval)))),
				errdetail("It may be from 1 microsecond to 365 days, without months."));
	return (uint64) us;
}

static uint32
int_arg(int64 value, const char *name, int64 least, int64 most)
{
	if (value < least || value > most)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" is out of range: %lld", name, (long long) value),
				errdetail("It may be from %lld to %lld.", (long long) least, (long long) most));
	return (uint32) value;
}

static void
check_name(const char *name, const char *what, bool may_be_empty)
{
	if ((name[0] == '\0' && !may_be_empty) || strlen(name) > FTC_NAME_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s \"%s\" has %zu bytes", what, name, strlen(name)),
				errdetail("It may have from %d to %d bytes.", may_be_empty ? 0 : 1, FTC_NAME_MAX));
}

/* The easiest compact target that takes at least so many attempts on average. */
static uint32
bits_for_attempts(int64 attempts)
{
	FtcU256		all = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
	FtcU256		n = ftc_u256_from_u64(attempts);
	FtcU256		target = ftc_u256_div(&all, &n);

	/* compact form rounds the target down, so never to fewer attempts */
	return ftc_pow_to_bits(&target);
}

static void
params_from_args(FunctionCallInfo fcinfo, FtcParams *params)
{
	char	   *consensus = text_to_cstring(PG_GETARG_TEXT_PP(1));

	if (strcmp(consensus, "pow") != 0)
		ereport(ERROR,
				errcode(strcmp(consensus, "pos") == 0 || strcmp(consensus, "dpos") == 0
						? ERRCODE_FEATURE_NOT_SUPPORTED : ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("consensus \"%s\" is not available", consensus),
				errdetail("Available: pow."));
	memset(params, 0, sizeof(*params));
	params->consensus = FTC_CONSENSUS_POW;
	params->replicas = int_arg(PG_GETARG_INT32(4), "replicas", 1, 100);
	params->stored_quorum = PG_ARGISNULL(5) ? (uint32) params->replicas / 2 + 1
		: int_arg(PG_GETARG_INT32(5), "stored_quorum", 1, params->replicas);
	if (PG_GETARG_INT64(6) < 1 || PG_GETARG_INT64(6) > INT64CONST(1) << 62)
		int_arg(PG_GETARG_INT64(6), "attempts", 1, INT64CONST(1) << 62);
	params->limit_bits = bits_for_attempts(PG_GETARG_INT64(6));
	params->spacing = interval_arg(PG_GETARG_INTERVAL_P(7), "spacing");
	params->min_spacing = PG_ARGISNULL(8) ? params->spacing
		: interval_arg(PG_GETARG_INTERVAL_P(8), "min_spacing");
	if (params->min_spacing > params->spacing)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"min_spacing\" is greater than \"spacing\""));
	params->half_life = interval_arg(PG_GETARG_INTERVAL_P(9), "half_life");
	params->future_bound = Max(params->half_life / 64, 1);
	/* controls and bundle heads are leaves too: leave room for them */
	params->max_leaves = int_arg(PG_GETARG_INT32(10), "max_entries", 16, FTC_LEAVES_MAX / 2) + 1024;
	params->max_body = int_arg(PG_GETARG_INT32(11), "max_body", 65536, FTC_BODY_MAX);
	params->max_payload = int_arg(PG_GETARG_INT32(12), "max_payload", 1,
								  Min(FTC_PAYLOAD_MAX, params->max_body / 2));
	params->reorg_limit = int_arg(PG_GETARG_INT32(13), "reorg_limit", 1, 1000000);
	params->settle_blocks = int_arg(PG_GETARG_INT32(14), "settle_blocks", 1, params->reorg_limit);
	params->durability = int_arg(PG_GETARG_INT32(15), "durability", 1, params->replicas);
	params->epoch_blocks = 1;
	params->governors = 1;
}

static FtcSlice
params_control(const FtcParams *params)
{
	FtcControl	control = {.kind = FTC_CONTROL_PARAMS,.not_after = INT64_MAX,.params = *params};
	FtcSlice	leaf;

	if (!pg_strong_random(control.nonce, sizeof(control.nonce)))
		elog(ERROR, "no random numbers to be had");
	FTC_ENCODE(leaf, ftc_control_leaf_encode, &control);
	return leaf;
}

static FtcSlice
founder_control(const FtcIdentity *identity, const char *name, const char *zone, uint32 weight)
{
	FtcControl	control = {
		.kind = FTC_CONTROL_ADD_MEMBER,.not_after = INT64_MAX,
		.algorithm = FTC_ALGORITHM_ED25519,.key = identity->public_key,
		.weight = weight,.flags = FTC_MEMBER_GOVERNOR,
		.zone = ftc_text_slice(zone),.name = ftc_text_slice(name)
	};
	FtcSlice	leaf;

	if (!pg_strong_random(control.nonce, sizeof(control.nonce)))
		elog(ERROR, "no random numbers to be had");
	/* registration proves possession: the key signs its own member id */
	ftc_keys_sign(FTC_DOMAIN_POSSESSION, &ftc_hash_zero, &identity->member, &control.possession);
	FTC_ENCODE(leaf, ftc_control_leaf_encode, &control);
	return leaf;
}

/* The genesis block: parameters, and this database as member and governor. */
static void
make_genesis(const FtcIdentity *identity, const FtcParams *params, const char *zone,
			 uint32 weight, FtcBlock *block)
{
	FtcSlice	controls[2] = {params_control(params),
	founder_control(identity, get_database_name(MyDatabaseId), zone, weight)};
	FtcState	state = {.params = *params,.capacity = 2};
	FtcHeader	header = {
		.version = FTC_HEADER_VERSION,.consensus = params->consensus,
		.time = ftc_clock_now(),.bits = params->limit_bits,.leaves = 2,
		.proposer = identity->member
	};
	uint8	   *bytes = palloc(FTC_HEADER_LEN);
	FtcManifest manifest;
	FtcControl	founder;
	FtcFrontier tree;
	FtcHash		id;

	FTC_ENCODE(block->manifest, ftc_manifest_encode, controls, 2, NULL, 0);
	if (ftc_manifest_decode(&manifest, block->manifest) != FTC_OK ||
		ftc_control_leaf_decode(&founder, controls[1]) != FTC_OK)
		elog(ERROR, "made a malformed genesis block");
	state.members = palloc(2 * sizeof(FtcMember));
	ftc_state_apply(&state, &founder);
	ftc_frontier_init(&tree);
	ftc_manifest_leaves(&manifest, &tree);
	header.history = ftc_merkle_empty_root();
	header.body = ftc_frontier_root(&tree);
	header.state = ftc_state_root(&state);
	ftc_header_encode(&header, bytes);
	id = ftc_header_id(&header);
	block->header = ftc_slice(bytes, FTC_HEADER_LEN);
	ftc_keys_sign(FTC_DOMAIN_BLOCK, &id, &id, &block->signature);
	block->proof = ftc_slice(palloc0(12), 12);
	block->body = ftc_slice(NULL, 0);
}

Datum
ftchain_create_chain(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcParams	params;
	FtcIdentity identity;
	FtcBlock	block;
	FtcChain	chain;
	char	   *name;
	char	   *zone;
	uint32		weight;

	for (int i = 0; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i) && i != 5 && i != 8)
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("arguments of ftchain.create_chain() must not be null, but for stored_quorum and min_spacing"));
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	zone = text_to_cstring(PG_GETARG_TEXT_PP(2));
	check_name(name, "chain name", false);
	check_name(zone, "zone", true);
	weight = int_arg(PG_GETARG_INT32(3), "weight", 0, FTC_WEIGHT_MAX);
	params_from_args(fcinfo, &params);
	params.name = ftc_text_slice(name);

	ftc_enter(&scope);
	/* before anything is made that outlives an error: is the name free? */
	if (ftc_chain_find(&chain, name))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("chain \"%s\" already exists", name));
	ftc_identity_ensure(&identity);
	make_genesis(&identity, &params, zone, weight, &block);
	ftc_chain_found(&chain, name, &block, true);
	ftc_leave(&scope);
	PG_RETURN_DATUM(ftc_hash_datum(&chain.genesis));
}

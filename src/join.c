/*-------------------------------------------------------------------------
 *
 * join.c
 *	  Peers and members: who is reached how, who takes part.
 *
 * These talk to another database first, with nothing locked, and then write.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "branch.h"
#include "chain.h"
#include "core/block.h"
#include "datum.h"
#include "identity.h"
#include "membership.h"
#include "peer.h"
#include "recover.h"
#include "shared.h"
#include "step.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"

PG_FUNCTION_INFO_V1(ftchain_add_peer);
PG_FUNCTION_INFO_V1(ftchain_remove_peer);
PG_FUNCTION_INFO_V1(ftchain_add_member);
PG_FUNCTION_INFO_V1(ftchain_join_chain);

static FtcStmt peer_put = {
	.sql = "INSERT INTO ftchain.peer (server, member, public_key) VALUES ($1, $2, $3)"
	" ON CONFLICT (server) DO UPDATE SET member = excluded.member, public_key = excluded.public_key",
	.nargs = 3,
	.argtypes = {TEXTOID, BYTEAOID, BYTEAOID},
};

static FtcStmt peers_other = {
	.sql = "SELECT count(*) FROM ftchain.peer WHERE server <> $1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static FtcStmt peer_drop = {
	.sql = "DELETE FROM ftchain.peer WHERE server = $1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

/* What a database says of itself. */
typedef struct Introduction
{
	FtcHash		member;
	FtcKey		key;
	FtcSignature possession;	/* of the key, for a chain or for none */
} Introduction;

/* It may speak another one, and say so; what else it says cannot be read then. */
static void
need_protocol(FtcPeer *peer, struct pg_result *result)
{
	char	   *server = pstrdup(peer->server);
	int64		protocol;

	if (!ftc_peer_int(result, 0, 0, &protocol) ||
		(protocol >= FTC_PROTOCOL_MIN && protocol <= FTC_PROTOCOL))
		return;
	ftc_peer_clear(result);
	ftc_peer_close(peer);
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("server \"%s\" speaks protocol %lld", server, (long long) protocol),
			errdetail("This server speaks %d to %d.", FTC_PROTOCOL_MIN, FTC_PROTOCOL));
}

static void
ask_identity(FtcPeer *peer, const FtcHash *genesis, Introduction *who)
{
	FtcPeerArgs args = {0};
	struct pg_result *result;
	FtcSlice	key;
	FtcSlice	possession;
	int64		algorithm;
	FtcHash		id;
	bool		ok;

	ftc_peer_arg_int(&args, FTC_PROTOCOL);
	ftc_peer_arg_bytes(&args, ftc_slice(genesis->b, FTC_HASH_LEN));
	result = ftc_peer_ask(peer, FTC_CALL_IDENTITY, &args);
	key = ftc_peer_bytes(result, 0, 3);
	possession = ftc_peer_bytes(result, 0, 4);
	need_protocol(peer, result);
	ok = ftc_peer_rows(result) == 1 && ftc_peer_hash(result, 0, 1, &who->member) &&
		ftc_peer_int(result, 0, 2, &algorithm) && algorithm == FTC_ALGORITHM_ED25519 &&
		key.len == FTC_KEY_LEN && possession.len == FTC_SIGNATURE_LEN;
	if (ok)
	{
		memcpy(who->key.b, key.data, FTC_KEY_LEN);
		memcpy(who->possession.b, possession.data, FTC_SIGNATURE_LEN);
		id = ftc_member_id(FTC_ALGORITHM_ED25519, &who->key);
		ok = ftc_hash_equal(&id, &who->member) &&
			ftc_verify(&who->key, FTC_DOMAIN_POSSESSION, genesis, &id, &who->possession) == FTC_OK;
	}
	ftc_peer_clear(result);
	if (!ok)
	{
		char	   *server = pstrdup(peer->server);

		ftc_peer_close(peer);
		ereport(ERROR,
				errcode(ERRCODE_FDW_ERROR),
				errmsg("server \"%s\" does not prove who it is", server));
	}
}

static char *
text_arg(FunctionCallInfo fcinfo, int i, const char *name)
{
	if (PG_ARGISNULL(i))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("\"%s\" must not be null", name));
	return text_to_cstring(PG_GETARG_TEXT_PP(i));
}

static void
need_other(const Introduction *who, const char *server)
{
	FtcIdentity self;

	if (ftc_identity_load(&self) && ftc_hash_equal(&self.member, &who->member))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("server \"%s\" leads back to this database", server));
}

static void
store_peer(const char *server, const Introduction *who)
{
	need_other(who, server);
	ftc_run(&peers_other, CStringGetTextDatum(server));
	if (DatumGetInt64(ftc_value(0, 0)) >= FTC_SHARED_PEERS)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("a database reaches %d peers at most", FTC_SHARED_PEERS),
				errhint("Members that do not reach each other exchange through others; remove a peer with ftchain.remove_peer()."));
	ftc_run(&peer_put, CStringGetTextDatum(server), ftc_hash_datum(&who->member), ftc_key_datum(&who->key));
	ftc_chain_invalidate();
	ftc_wake_at_commit(FTC_WAKE_COURIER);
}

Datum
ftchain_add_peer(PG_FUNCTION_ARGS)
{
	char	   *server = text_arg(fcinfo, 0, "server");
	Introduction who;
	FtcScope	scope;
	FtcPeer		peer;

	ftc_procedure_begin(fcinfo, "ftchain.add_peer");
	ftc_peer_open(&peer, server, GetUserId());
	ask_identity(&peer, &ftc_hash_zero, &who);
	ftc_peer_close(&peer);
	ftc_enter(&scope);
	store_peer(server, &who);
	ftc_leave(&scope);
	ftc_procedure_end();
	PG_RETURN_VOID();
}

Datum
ftchain_remove_peer(PG_FUNCTION_ARGS)
{
	char	   *server = text_arg(fcinfo, 0, "server");
	FtcScope	scope;
	bool		removed;

	ftc_enter(&scope);
	removed = ftc_run(&peer_drop, CStringGetTextDatum(server)) > 0;
	ftc_chain_invalidate();
	ftc_leave(&scope);
	PG_RETURN_BOOL(removed);
}

/* ----------------------------------------------------------------
 *		Members
 * ----------------------------------------------------------------
 */

/* The genesis id of a chain that we govern. */
static void
find_governed(const char *name, FtcChain *chain)
{
	FtcScope	scope;
	FtcIdentity self;

	ftc_enter(&scope);
	ftc_chain_need(chain, name);
	ftc_identity_need(&self);
	ftc_membership_need_governor(chain, ftc_branch_current_state(chain->id), &self);
	ftc_leave(&scope);
	chain->name = pstrdup(name);
}

static uint8
flags_arg(FunctionCallInfo fcinfo, int governor, int full)
{
	return (!PG_ARGISNULL(governor) && PG_GETARG_BOOL(governor) ? FTC_MEMBER_GOVERNOR : 0) |
		(!PG_ARGISNULL(full) && PG_GETARG_BOOL(full) ? FTC_MEMBER_FULL : 0);
}

Datum
ftchain_add_member(PG_FUNCTION_ARGS)
{
	char	   *name = text_arg(fcinfo, 0, "chain");
	char	   *server = text_arg(fcinfo, 1, "server");
	FtcSlice	zone = ftc_membership_zone(text_arg(fcinfo, 2, "zone"));
	uint32		weight = ftc_membership_weight(PG_ARGISNULL(3) ? 1 : PG_GETARG_INT32(3));
	FtcControl	control = {.kind = FTC_CONTROL_ADD_MEMBER,.algorithm = FTC_ALGORITHM_ED25519};
	Introduction who;
	FtcScope	scope;
	FtcChain	chain;
	FtcIdentity self;
	FtcPeer		peer;

	ftc_procedure_begin(fcinfo, "ftchain.add_member");
	find_governed(name, &chain);
	ftc_peer_open(&peer, server, GetUserId());
	ask_identity(&peer, &chain.genesis, &who);
	ftc_peer_close(&peer);

	control.key = who.key;
	control.possession = who.possession;
	control.weight = weight;
	control.flags = flags_arg(fcinfo, 4, 5);
	control.zone = zone;
	control.name = ftc_text_slice(server);
	ftc_enter(&scope);
	ftc_identity_need(&self);
	if (ftc_state_find(ftc_branch_current_state(chain.id), &who.member) != NULL)
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("the database behind server \"%s\" is a member of chain \"%s\" already",
					   server, chain.name));
	store_peer(server, &who);
	(void) ftc_membership_queue(&chain, &self, &control);
	ftc_leave(&scope);
	ftc_procedure_end();
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------
 *		Joining
 * ----------------------------------------------------------------
 */

static FtcSlice
ask_genesis(FtcPeer *peer, const char *name)
{
	FtcPeerArgs args = {0};
	struct pg_result *result;
	FtcSlice	bytes;
	FtcSlice	copy;

	ftc_peer_arg_text(&args, name);
	result = ftc_peer_ask(peer, FTC_CALL_GENESIS, &args);
	bytes = ftc_peer_bytes(result, 0, 0);
	copy = ftc_slice(memcpy(palloc(Max(bytes.len, 1)), bytes.data != NULL ? (const void *) bytes.data : "",
							bytes.len), bytes.len);
	ftc_peer_clear(result);
	return copy;
}

static void
check_pin(const FtcBlock *block, const FtcHash *pin, const char *server)
{
	FtcHeader	header;
	FtcHash		id;
	FtcReason	reason = ftc_header_decode(&header, block->header);

	if (reason != FTC_OK)
		ftc_refuse(reason, "genesis block");
	id = ftc_header_id(&header);
	if (pin == NULL)
		ereport(NOTICE,
				errmsg("the genesis id %s is taken on trust", ftc_hash_hex(&id)),
				errhint("Compare it with what a member of the chain tells you by another way."));
	else if (!ftc_hash_equal(&id, pin))
		ereport(ERROR,
				errcode(ERRCODE_DATA_EXCEPTION),
				errmsg("the chain at server \"%s\" has genesis %s", server, ftc_hash_hex(&id)),
				errdetail("Expected %s.", ftc_hash_hex(pin)));
}

void
ftc_join_chain(const char *server, const char *name, const FtcHash *pin)
{
	Introduction who;
	FtcIdentity self;
	FtcScope	scope;
	FtcChain	chain;
	FtcBlock	block;
	FtcSlice	bytes;
	FtcPeer		peer;
	FtcReason	reason;

	ftc_peer_open(&peer, server, GetUserId());
	ask_identity(&peer, &ftc_hash_zero, &who);
	bytes = ask_genesis(&peer, name);
	ftc_peer_close(&peer);
	if (bytes.len == 0)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("server \"%s\" has no chain \"%s\"", server, name));
	reason = ftc_block_decode(&block, bytes);
	if (reason != FTC_OK)
		ftc_refuse(reason, "genesis block");
	check_pin(&block, pin, server);

	ftc_enter(&scope);
	ftc_identity_ensure(&self);
	store_peer(server, &who);
	ftc_chain_found(&chain, name, &block, pin != NULL);
	ftc_leave(&scope);
}

Datum
ftchain_join_chain(PG_FUNCTION_ARGS)
{
	char	   *server = text_arg(fcinfo, 0, "server");
	char	   *name = text_arg(fcinfo, 1, "chain");
	bool		pinned = !PG_ARGISNULL(2);
	FtcHash		pin = pinned ? ftc_arg_hash(PG_GETARG_DATUM(2), "genesis") : ftc_hash_zero;

	ftc_procedure_begin(fcinfo, "ftchain.join_chain");
	ftc_join_chain(server, name, pinned ? &pin : NULL);
	ftc_procedure_end();
	PG_RETURN_VOID();
}

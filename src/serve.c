/*-------------------------------------------------------------------------
 *
 * serve.c
 *	  What members call on each other: the other end of the courier.
 *
 * The caller is some role that was granted ftchain_peer; which member speaks
 * is shown by signatures, not by the role.  See doc/PROTOCOL.md.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "branch.h"
#include "chain.h"
#include "core/link.h"
#include "core/sha256.h"
#include "datum.h"
#include "failpoint.h"
#include "identity.h"
#include "inbox.h"
#include "keys.h"
#include "memory.h"
#include "protocol.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"

PG_FUNCTION_INFO_V1(ftchain_peer_identity);
PG_FUNCTION_INFO_V1(ftchain_peer_genesis);
PG_FUNCTION_INFO_V1(ftchain_peer_hello);
PG_FUNCTION_INFO_V1(ftchain_peer_receive);
PG_FUNCTION_INFO_V1(ftchain_peer_blocks);
PG_FUNCTION_INFO_V1(ftchain_peer_block);

static FtcStmt link_in_make = {
	.sql = "INSERT INTO ftchain.link_in (chain, member, epoch, next, value) VALUES ($1, $2, 0, 1, '')"
	" ON CONFLICT DO NOTHING",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt link_in_get = {
	.sql = "SELECT epoch, next, value FROM ftchain.link_in WHERE chain = $1 AND member = $2",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt link_in_set = {
	.sql = "UPDATE ftchain.link_in SET epoch = $3, next = $4, value = $5, received = received + $6,"
	" duplicates = duplicates + $7, refused = refused + $8, last_reason = coalesce($9, last_reason),"
	" behind = behind OR $10, received_at = now() WHERE chain = $1 AND member = $2",
	.nargs = 10,
	.argtypes = {INT4OID, BYTEAOID, INT8OID, INT8OID, BYTEAOID, INT8OID, INT8OID, INT8OID, TEXTOID, BOOLOID},
};

static FtcStmt locate = {
	.sql = "SELECT max(m.height) FROM ftchain.main_chain m WHERE m.chain = $1 AND m.block = ANY ($2)",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAARRAYOID},
};

static FtcStmt statements_of = {
	.sql = "SELECT string_agg(member || signature, '') FROM ftchain.replica WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static void
need_protocol(int protocol)
{
	if (protocol < FTC_PROTOCOL_MIN)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("protocol %d is not spoken here any more", protocol),
				errdetail("This server speaks %d to %d.", FTC_PROTOCOL_MIN, FTC_PROTOCOL));
}

static void
need_not_null(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("argument %d must not be null", i + 1));
}

static void
need_chain(FtcChain *chain, Datum genesis)
{
	FtcHash		id = ftc_arg_hash(genesis, "genesis");

	if (!ftc_chain_by_genesis(chain, &id))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("there is no chain with genesis %s here", ftc_hash_hex(&id)));
}

/* The statements about a block: member and signature, one after another. */
static Datum
stored_datum(const FtcHash *block, bool *isnull)
{
	ftc_run(&statements_of, ftc_hash_datum(block));
	return ftc_column(0, 0, isnull);
}

static Datum
make_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc	tupdesc;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls));
}

Datum
ftchain_peer_identity(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcIdentity self;
	FtcSignature possession;
	FtcHash		genesis;
	Datum		values[5];
	bool		nulls[5] = {false};

	need_not_null(fcinfo);
	need_protocol(PG_GETARG_INT32(0));
	genesis = ftc_arg_hash(PG_GETARG_DATUM(1), "genesis");
	ftc_enter(&scope);
	ftc_identity_need(&self);
	ftc_keys_sign(FTC_DOMAIN_POSSESSION, &genesis, &self.member, &possession);
	ftc_leave(&scope);

	values[0] = Int32GetDatum(Min(PG_GETARG_INT32(0), FTC_PROTOCOL));
	values[1] = ftc_hash_datum(&self.member);
	values[2] = Int32GetDatum(FTC_ALGORITHM_ED25519);
	values[3] = ftc_key_datum(&self.public_key);
	values[4] = ftc_signature_datum(&possession);
	PG_RETURN_DATUM(make_row(fcinfo, values, nulls));
}

/* Bytes in the caller's memory. */
static Datum
caller_datum(const FtcScope *scope, FtcSlice bytes)
{
	MemoryContext inner = MemoryContextSwitchTo(scope->caller);
	Datum		datum = ftc_slice_datum(bytes);

	MemoryContextSwitchTo(inner);
	return datum;
}

/* Encoded where it is to be: a block may be large. */
static Datum
block_datum(const FtcScope *scope, const FtcBlock *block)
{
	size_t		len = ftc_block_encode(block, NULL, 0);
	struct varlena *value = MemoryContextAlloc(scope->caller, VARHDRSZ + len);

	SET_VARSIZE(value, VARHDRSZ + len);
	(void) ftc_block_encode(block, (uint8 *) VARDATA(value), len);
	return PointerGetDatum(value);
}

Datum
ftchain_peer_genesis(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	FtcStored	genesis;
	Datum		result = (Datum) 0;
	bool		found;

	need_not_null(fcinfo);
	ftc_enter(&scope);
	found = ftc_chain_find(&chain, text_to_cstring(PG_GETARG_TEXT_PP(0))) &&
		ftc_store_load(&chain.genesis, &genesis);
	if (found)
		result = block_datum(&scope, &genesis.block);
	ftc_leave(&scope);
	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

Datum
ftchain_peer_hello(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	FtcIdentity self;
	FtcStored	head;
	FtcHash		sender;
	FtcHash		work;
	FtcHash		value = {{0}};
	int64		epoch = 0;
	int64		next = 1;
	Datum		values[8];
	bool		nulls[8] = {false};

	need_not_null(fcinfo);
	need_protocol(PG_GETARG_INT32(0));
	sender = ftc_arg_hash(PG_GETARG_DATUM(2), "sender");
	ftc_enter(&scope);
	need_chain(&chain, PG_GETARG_DATUM(1));
	ftc_identity_need(&self);
	ftc_store_load_head(chain.id, &head);
	work = ftc_u256_to_hash(&head.tip.work);
	if (ftc_run(&link_in_get, Int32GetDatum(chain.id), ftc_hash_datum(&sender)) > 0 &&
		DatumGetInt64(ftc_value(0, 0)) > 0)
	{
		epoch = DatumGetInt64(ftc_value(0, 0));
		next = DatumGetInt64(ftc_value(0, 1));
		value = ftc_hash_value(0, 2);
	}
	ftc_leave(&scope);

	values[0] = Int32GetDatum(Min(PG_GETARG_INT32(0), FTC_PROTOCOL));
	values[1] = ftc_hash_datum(&self.member);
	values[2] = Int64GetDatum((int64) head.header.height);
	values[3] = ftc_hash_datum(&head.id);
	values[4] = ftc_hash_datum(&work);
	values[5] = Int64GetDatum(epoch);
	values[6] = Int64GetDatum(next);
	values[7] = ftc_hash_datum(&value);
	PG_RETURN_DATUM(make_row(fcinfo, values, nulls));
}

/* ----------------------------------------------------------------
 *		Taking messages
 * ----------------------------------------------------------------
 */

/* One call of peer_receive(). */
typedef struct Intake
{
	FtcChain	chain;
	FtcIdentity self;
	FtcHash		sender;
	FtcLinkEnd	end;
	int64		applied;
	int64		duplicates;
	int64		refused;
	FtcReason	reason;			/* of the last refusal */
	bool		behind;			/* a parent was missing */
	bool		early;			/* a block was, and waits where it is */
} Intake;

/* Where the link is; the lock of the chain keeps it there. */
static void
load_link(Intake *r)
{
	r->end.epoch = 0;
	r->end.next = 1;
	memset(&r->end.value, 0, sizeof(r->end.value));
	if (ftc_run(&link_in_get, Int32GetDatum(r->chain.id), ftc_hash_datum(&r->sender)) == 0)
		return;
	r->end.epoch = (uint64) DatumGetInt64(ftc_value(0, 0));
	r->end.next = (uint64) DatumGetInt64(ftc_value(0, 1));
	if (r->end.epoch > 0)
		r->end.value = ftc_hash_value(0, 2);
}

static void
restart_link(Intake *r, uint64 epoch)
{
	r->end.epoch = epoch;
	r->end.next = 1;
	r->end.value = ftc_link_start(&r->chain.genesis, &r->sender, &r->self.member,
								  FTC_STREAM_LEDGER, epoch);
}

static void
advance_link(FtcLinkEnd *end, const FtcMessage *message)
{
	end->value = ftc_link_advance(&end->value, &message->id, &message->digest);
	end->next++;
}

/*
 * The messages that are new, in order; where a gap or another epoch stands,
 * the rest is not taken.  *end is where the link is after them, r->end where
 * it is before the first.
 */
static int
sort_out(Intake *r, Datum *elements, bool *nulls, int n, FtcMessage *fresh, FtcLinkEnd *end)
{
	FtcLinkEnd	start = r->end;
	int			taken = 0;

	for (int i = 0; i < n; i++)
	{
		FtcReason	reason = nulls[i] ? FTC_BAD_LENGTH
		: ftc_message_decode(&fresh[taken], ftc_datum_slice(elements[i]));

		if (reason != FTC_OK)
			ftc_refuse(reason, "message");
		switch (ftc_link_receive(&r->end, &fresh[taken]))
		{
			case FTC_LINK_NEW_EPOCH:
				restart_link(r, fresh[taken].epoch);
				start = r->end;
				/* FALLTHROUGH */
			case FTC_LINK_APPLY:
				advance_link(&r->end, &fresh[taken]);
				taken++;
				break;
			case FTC_LINK_DUPLICATE:
				r->duplicates++;
				break;
			case FTC_LINK_GAP:
			case FTC_LINK_HOLD:
			case FTC_LINK_STALE:
				i = n;
				break;
		}
	}
	*end = r->end;
	r->end = start;
	return taken;
}

/* The sender signs for the chain value, hence for every message before it. */
static void
check_account(const Intake *r, const FtcLinkEnd *end, Datum account)
{
	FtcSignature signature;
	const FtcMember *member;

	member = ftc_state_find(ftc_branch_current_state(r->chain.id), &r->sender);
	if (member == NULL)
		ftc_refuse(FTC_NOT_A_MEMBER, "sender");
	if (!ftc_datum_signature(account, &signature) ||
		ftc_verify(&member->key, FTC_DOMAIN_ACCOUNT, &r->chain.genesis, &end->value, &signature) != FTC_OK)
		ftc_refuse(FTC_BAD_SIGNATURE, "account of a link");
}

static bool
is_id_of(FtcSlice id, FtcSlice header)
{
	FtcHash		hash = ftc_sha256(header);

	return memcmp(id.data, hash.b, FTC_HASH_LEN) == 0;
}

static FtcReason
apply(Intake *r, const FtcMessage *message)
{
	FtcBlock	block;
	FtcReason	reason;
	FtcStored	known;

	switch (message->kind)
	{
		case FTC_MESSAGE_BLOCK:
			if (message->reference.len != FTC_HASH_LEN)
				return FTC_BAD_LENGTH;
			if (message->attachment.len == 0)
			{
				FtcHash		id;

				memcpy(id.b, message->reference.data, FTC_HASH_LEN);
				return ftc_store_load(&id, &known) ? FTC_OK : FTC_UNKNOWN_PARENT;
			}
			reason = ftc_block_decode(&block, message->attachment);
			if (reason == FTC_OK && !is_id_of(message->reference, block.header))
				reason = FTC_WRONG_DIGEST;
			return reason == FTC_OK ? ftc_inbox_block(&r->chain, &block, &r->sender) : reason;
		case FTC_MESSAGE_STORED:
			return ftc_inbox_stored(&r->chain, message->reference, message->attachment);
		default:
			return FTC_BAD_KIND;
	}
}

/*
 * A block whose time has not come is not taken, nor is what follows it: the
 * sender sends it again, until its time has come.
 */
static void
apply_all(Intake *r, const FtcMessage *messages, int n)
{
	for (int i = 0; i < n; i++)
	{
		FtcReason	reason = apply(r, &messages[i]);

		if (reason == FTC_TIME_TOO_LATE)
		{
			r->reason = reason;
			r->early = true;
			return;
		}
		advance_link(&r->end, &messages[i]);
		r->applied++;
		if (reason == FTC_UNKNOWN_PARENT)
			r->behind = true;
		else if (reason != FTC_OK)
		{
			r->refused++;
			r->reason = reason;
		}
	}
}

static void
save_link(const Intake *r)
{
	Datum		args[] = {
		Int32GetDatum(r->chain.id), ftc_hash_datum(&r->sender), Int64GetDatum((int64) r->end.epoch),
		Int64GetDatum((int64) r->end.next), ftc_hash_datum(&r->end.value),
		Int64GetDatum(r->applied), Int64GetDatum(r->duplicates), Int64GetDatum(r->refused),
		CStringGetTextDatum(ftc_reason_text(r->reason)), BoolGetDatum(r->behind)
	};
	bool		nulls[10] = {false};

	nulls[8] = r->refused == 0 && !r->early;
	ftc_run(&link_in_make, Int32GetDatum(r->chain.id), ftc_hash_datum(&r->sender));
	ftc_stmt_run(&link_in_set, args, nulls);
	if (r->behind)
		ftc_wake_at_commit(FTC_WAKE_COURIER);
}

/* An acknowledgement must not be lost with the server that gave it. */
static void
need_durable_commit(void)
{
	if (synchronous_commit < SYNCHRONOUS_COMMIT_LOCAL_FLUSH)
		(void) set_config_option("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
}

/* The arguments of a call, taken apart. */
typedef struct Call
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	Datum		account;
	FtcMessage *fresh;
	FtcLinkEnd	end;			/* of the link after the fresh ones */
} Call;

/* Which messages are new; an error if the sender has not signed for them. */
static int
examine(Intake *r, Call *call)
{
	int			n;

	load_link(r);
	r->duplicates = 0;
	n = sort_out(r, call->elements, call->nulls, call->n, call->fresh, &call->end);
	if (n > 0)
		check_account(r, &call->end, call->account);
	return n;
}

/*
 * Only who has signed for something new gets to the lock of the chain, and
 * leaves anything: whoever may connect could hold it for ever otherwise.
 */
static void
take_in(Intake *r, Call *call)
{
	if (examine(r, call) == 0)
		return;
	ftc_chain_lock(r->chain.id);
	apply_all(r, call->fresh, examine(r, call));
	if (r->applied > 0 || r->early)
		save_link(r);
}

/*
 * The lock must show what was committed before it was had, which a snapshot
 * from before it would hide; and it must not be held while the caller thinks.
 */
static void
need_own_transaction(void)
{
	if (IsTransactionBlock())
		ereport(ERROR,
				errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				errmsg("ftchain.peer_receive() cannot run inside a transaction block"));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("ftchain.peer_receive() needs transaction isolation level READ COMMITTED"));
}

Datum
ftchain_peer_receive(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	Intake		r = {.reason = FTC_OK};
	Call		call = {0};
	Datum		values[5];
	bool		nulls[5] = {false};

	need_not_null(fcinfo);
	need_own_transaction();
	need_durable_commit();
	r.sender = ftc_arg_hash(PG_GETARG_DATUM(1), "sender");
	call.account = PG_GETARG_DATUM(3);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), BYTEAOID, -1, false, TYPALIGN_INT,
					  &call.elements, &call.nulls, &call.n);
	if (call.n > FTC_CALL_MESSAGES_MAX)
		ftc_refuse(FTC_TOO_MANY, "call");
	call.fresh = palloc(Max(call.n, 1) * sizeof(FtcMessage));

	ftc_enter(&scope);
	need_chain(&r.chain, PG_GETARG_DATUM(0));
	ftc_identity_need(&r.self);
	take_in(&r, &call);
	FTC_FAILPOINT("receive-before-commit");
	ftc_leave(&scope);

	values[0] = Int64GetDatum((int64) r.end.epoch);
	values[1] = Int64GetDatum((int64) r.end.next);
	values[2] = ftc_hash_datum(&r.end.value);
	values[3] = Int32GetDatum((int32) r.refused);
	values[4] = CStringGetTextDatum(ftc_reason_text(r.reason));
	nulls[4] = r.refused == 0 && !r.early;
	PG_RETURN_DATUM(make_row(fcinfo, values, nulls));
}

/* ----------------------------------------------------------------
 *		Giving blocks
 * ----------------------------------------------------------------
 */

/* After the highest block of the locator that is on our main chain. */
static int64
first_height(const FtcChain *chain, Datum locator)
{
	bool		isnull;
	Datum		height;

	ftc_run(&locate, Int32GetDatum(chain->id), locator);
	height = ftc_column(0, 0, &isnull);
	return isnull ? 0 : DatumGetInt64(height) + 1;
}

Datum
ftchain_peer_blocks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	FtcScope	scope;
	FtcChain	chain;
	int64		height;
	int			most;
	size_t		bytes = 0;

	need_not_null(fcinfo);
	most = PG_GETARG_INT32(2);
	if (most < 1 || most > FTC_CALL_BLOCKS_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"most\" is out of range: %d", most),
				errdetail("It may be from 1 to %d.", FTC_CALL_BLOCKS_MAX));
	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	need_chain(&chain, PG_GETARG_DATUM(0));
	height = first_height(&chain, PG_GETARG_DATUM(1));
	for (int i = 0; i < most && bytes < FTC_CALL_BYTES; i++, height++)
	{
		FtcStored	stored;
		FtcSlice	encoded;
		Datum		values[2];
		bool		nulls[2] = {false};

		if (!ftc_store_load_main(chain.id, height, &stored))
			break;
		FTC_ENCODE(encoded, ftc_block_encode, &stored.block);
		values[0] = ftc_slice_datum(encoded);
		values[1] = stored_datum(&stored.id, &nulls[1]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		bytes += encoded.len + (nulls[1] ? 0 : VARSIZE_ANY_EXHDR(DatumGetPointer(values[1])));
	}
	ftc_leave(&scope);
	return (Datum) 0;
}

Datum
ftchain_peer_block(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	FtcStored	stored;
	FtcHash		id;
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};

	need_not_null(fcinfo);
	id = ftc_arg_hash(PG_GETARG_DATUM(1), "id");
	ftc_memory_keep();
	ftc_enter(&scope);
	need_chain(&chain, PG_GETARG_DATUM(0));
	if (ftc_store_load(&id, &stored) && stored.chain == chain.id)
	{
		/* what is damaged here must not travel */
		if (!ftc_store_has_body(&id) || !ftc_store_load_body(chain.id, &id, stored.block.manifest, &stored.block.body) ||
			ftc_body_check(stored.block.body, &stored.header.body, stored.header.leaves, NULL) != FTC_OK)
			stored.block.body = ftc_slice(NULL, 0);
		values[0] = block_datum(&scope, &stored.block);
		values[1] = stored_datum(&id, &nulls[1]);
		nulls[0] = false;
		if (!nulls[1])
			values[1] = caller_datum(&scope, ftc_datum_slice(values[1]));
	}
	ftc_leave(&scope);
	PG_RETURN_DATUM(make_row(fcinfo, values, nulls));
}

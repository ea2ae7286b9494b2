/*-------------------------------------------------------------------------
 *
 * receive.c
 *	  The receiving end of a link: peer_receive().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "branch.h"
#include "core/sha256.h"
#include "core/sign.h"
#include "datum.h"
#include "failpoint.h"
#include "inbox.h"
#include "protocol.h"
#include "receive.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"

PG_FUNCTION_INFO_V1(ftchain_peer_receive);

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

/* ----------------------------------------------------------------
 *		The ledger's stream
 * ----------------------------------------------------------------
 */

void
ftc_receive_ledger_end(int32 chain, const FtcHash *sender, FtcLinkEnd *end)
{
	end->epoch = 0;
	end->next = 1;
	memset(&end->value, 0, sizeof(end->value));
	if (ftc_run(&link_in_get, Int32GetDatum(chain), ftc_hash_datum(sender)) == 0 ||
		DatumGetInt64(ftc_value(0, 0)) == 0)
		return;
	end->epoch = (uint64) DatumGetInt64(ftc_value(0, 0));
	end->next = (uint64) DatumGetInt64(ftc_value(0, 1));
	end->value = ftc_hash_value(0, 2);
}

/* The lock of the chain keeps the link where it is. */
static void
ledger_lock(FtcIntake *r)
{
	ftc_chain_lock(r->chain.id);
}

static void
ledger_load(FtcIntake *r)
{
	ftc_receive_ledger_end(r->chain.id, &r->sender, &r->end);
}

static void
ledger_save(const FtcIntake *r)
{
	Datum		args[] = {
		Int32GetDatum(r->chain.id), ftc_hash_datum(&r->sender), Int64GetDatum((int64) r->end.epoch),
		Int64GetDatum((int64) r->end.next), ftc_hash_datum(&r->end.value),
		Int64GetDatum(r->applied), Int64GetDatum(r->duplicates), Int64GetDatum(r->refused),
		CStringGetTextDatum(r->reason == NULL ? "" : r->reason), BoolGetDatum(r->behind)
	};
	bool		nulls[10] = {false};

	nulls[8] = r->reason == NULL;
	ftc_run(&link_in_make, Int32GetDatum(r->chain.id), ftc_hash_datum(&r->sender));
	ftc_stmt_run(&link_in_set, args, nulls);
	if (r->behind)
		ftc_wake_at_commit(FTC_WAKE_COURIER);
}

static bool
ledger_key(const FtcIntake *r, FtcKey *key)
{
	const FtcMember *member = ftc_state_find(ftc_branch_current_state(r->chain.id), &r->sender);

	if (member != NULL)
		*key = member->key;
	return member != NULL;
}

static bool
is_id_of(FtcSlice id, FtcSlice header)
{
	FtcHash		hash = ftc_sha256(header);

	return memcmp(id.data, hash.b, FTC_HASH_LEN) == 0;
}

static FtcReason
take_message(FtcIntake *r, const FtcMessage *message)
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
apply_one(FtcIntake *r, const FtcMessage *message)
{
	FtcReason	reason = take_message(r, message);

	if (reason == FTC_UNKNOWN_PARENT)
		r->behind = true;
	else if (reason == FTC_TIME_TOO_LATE)
		r->stopped = true;
	else if (reason != FTC_OK)
		r->refused++;
	if (reason != FTC_OK && reason != FTC_UNKNOWN_PARENT)
		r->reason = ftc_reason_text(reason);
}

static int
ledger_apply(FtcIntake *r, const FtcMessage *messages, int n)
{
	for (int i = 0; i < n; i++)
	{
		apply_one(r, &messages[i]);
		if (r->stopped)
			return i;
	}
	return n;
}

static const FtcInLog ledger_log = {
	.lock = ledger_lock,
	.load = ledger_load,
	.save = ledger_save,
	.key = ledger_key,
	.apply = ledger_apply,
};

/* ----------------------------------------------------------------
 *		Taking messages
 * ----------------------------------------------------------------
 */

static void
restart_link(FtcIntake *r, uint64 epoch)
{
	r->end.epoch = epoch;
	r->end.next = 1;
	r->end.value = ftc_link_start(&r->genesis, &r->sender, &r->self.member, r->stream, epoch);
}

static void
advance_link(FtcLinkEnd *end, const FtcMessage *message)
{
	end->value = ftc_link_advance(&end->value, &message->id, &message->digest);
	end->next++;
}

/* The arguments of a call, taken apart. */
typedef struct Call
{
	int			n;
	FtcMessage *messages;
	Datum		account;
	FtcMessage *fresh;			/* those of them that are new */
	FtcLinkEnd	end;			/* of the link after these */
} Call;

/* All of one stream; each with the digest that it should have. */
static void
decode_messages(FtcIntake *r, Call *call, ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;

	deconstruct_array(array, BYTEAOID, -1, false, TYPALIGN_INT, &elements, &nulls, &call->n);
	if (call->n > FTC_CALL_MESSAGES_MAX)
		ftc_refuse(FTC_TOO_MANY, "call");
	call->messages = palloc(Max(call->n, 1) * sizeof(FtcMessage));
	call->fresh = palloc(Max(call->n, 1) * sizeof(FtcMessage));
	for (int i = 0; i < call->n; i++)
	{
		FtcReason	reason = nulls[i] ? FTC_BAD_LENGTH
		: ftc_message_decode(&call->messages[i], ftc_datum_slice(elements[i]));

		if (reason == FTC_OK && i > 0 && call->messages[i].stream != r->stream)
			reason = FTC_WRONG_LINK;
		if (reason != FTC_OK)
			ftc_refuse(reason, "message");
		r->stream = call->messages[i].stream;
	}
}

/*
 * The messages that are new, in order; where a gap or another epoch stands,
 * the rest is not taken.  call->end is where the link is after them, r->end where
 * it is before the first.
 */
static int
sort_out(FtcIntake *r, Call *call)
{
	FtcLinkEnd	start = r->end;
	int			taken = 0;

	for (int i = 0; i < call->n; i++)
	{
		const FtcMessage *message = &call->messages[i];

		switch (ftc_link_receive(&r->end, message))
		{
			case FTC_LINK_NEW_EPOCH:
				restart_link(r, message->epoch);
				start = r->end;
				/* FALLTHROUGH */
			case FTC_LINK_APPLY:
				advance_link(&r->end, message);
				call->fresh[taken++] = *message;
				break;
			case FTC_LINK_DUPLICATE:
				r->duplicates++;
				break;
			case FTC_LINK_GAP:
			case FTC_LINK_HOLD:
			case FTC_LINK_STALE:
				i = call->n;
				break;
		}
	}
	call->end = r->end;
	r->end = start;
	return taken;
}

/* The sender signs for the chain value, hence for every message before it. */
static void
check_account(const FtcIntake *r, const FtcInLog *log, const Call *call)
{
	FtcSignature signature;
	FtcKey		key;

	if (!log->key(r, &key))
		ftc_refuse(FTC_NOT_A_MEMBER, "sender");
	if (!ftc_datum_signature(call->account, &signature) ||
		ftc_verify(&key, FTC_DOMAIN_ACCOUNT, &r->genesis, &call->end.value, &signature) != FTC_OK)
		ftc_refuse(FTC_BAD_SIGNATURE, "account of a link");
}

/* Which messages are new; an error if the sender has not signed for them. */
static int
examine(FtcIntake *r, const FtcInLog *log, Call *call)
{
	int			n;

	log->load(r);
	r->duplicates = 0;
	n = sort_out(r, call);
	if (n > 0)
		check_account(r, log, call);
	return n;
}

/*
 * Only who has signed for something new gets to the lock, and leaves anything:
 * whoever may connect could hold it for ever otherwise.
 */
static void
take_in(FtcIntake *r, const FtcInLog *log, Call *call)
{
	int			n;

	if (examine(r, log, call) == 0)
		return;
	log->lock(r);
	n = examine(r, log, call);
	if (n == 0)
		return;
	r->applied = log->apply(r, call->fresh, n);
	for (int i = 0; i < r->applied; i++)
		advance_link(&r->end, &call->fresh[i]);
	log->save(r);
}

/* An acknowledgement must not be lost with the server that gave it. */
static void
need_durable_commit(void)
{
	if (synchronous_commit < SYNCHRONOUS_COMMIT_LOCAL_FLUSH)
		(void) set_config_option("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
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
	FtcIntake	r = {0};
	Call		call = {0};
	Datum		values[5];
	bool		nulls[5] = {false};

	ftc_serve_need_not_null(fcinfo);
	need_own_transaction();
	need_durable_commit();
	r.genesis = ftc_arg_hash(PG_GETARG_DATUM(0), "genesis");
	r.sender = ftc_arg_hash(PG_GETARG_DATUM(1), "sender");
	call.account = PG_GETARG_DATUM(3);
	decode_messages(&r, &call, PG_GETARG_ARRAYTYPE_P(2));

	ftc_enter(&scope);
	if (r.stream == FTC_STREAM_LEDGER)
		ftc_serve_need_chain(&r.chain, &r.genesis);
	else if (!ftc_hash_is_zero(&r.genesis))
		ftc_refuse(FTC_WRONG_LINK, "message");
	ftc_identity_need(&r.self);
	take_in(&r, r.stream == FTC_STREAM_LEDGER ? &ledger_log : &ftc_topic_log, &call);
	FTC_FAILPOINT("receive-before-commit");
	values[4] = r.reason == NULL ? (Datum) 0 : ftc_serve_text(&scope, r.reason);
	ftc_leave(&scope);

	values[0] = Int64GetDatum((int64) r.end.epoch);
	values[1] = Int64GetDatum((int64) r.end.next);
	values[2] = ftc_hash_datum(&r.end.value);
	values[3] = Int32GetDatum((int32) r.refused);
	nulls[4] = r.reason == NULL;
	PG_RETURN_DATUM(ftc_serve_row(fcinfo, values, nulls));
}

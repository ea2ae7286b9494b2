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
#include "clock.h"
#include "core/sha256.h"
#include "core/sign.h"
#include "datum.h"
#include "early.h"
#include "failpoint.h"
#include "inbox.h"
#include "proofs.h"
#include "protocol.h"
#include "receive.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"
#include "words.h"

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
	" behind = behind OR $10, early = early + $11, gaps = gaps + $12, dropped = dropped + $13, received_at = now()"
	" WHERE chain = $1 AND member = $2",
	.nargs = 13,
	.argtypes = {INT4OID, BYTEAOID, INT8OID, INT8OID, BYTEAOID, INT8OID, INT8OID, INT8OID, TEXTOID, BOOLOID, INT8OID,
	INT8OID, INT8OID},
};

/* ----------------------------------------------------------------
 *		The ledger's stream
 * ----------------------------------------------------------------
 */

/* The lock of the chain keeps the link where it is. */
static void
ledger_lock(FtcIntake *r)
{
	ftc_chain_lock(r->chain.id);
}

static void
ledger_load(FtcIntake *r)
{
	FtcLinkEnd	end = {.next = 1};

	if (ftc_run(&link_in_get, Int32GetDatum(r->chain.id), ftc_hash_datum(&r->sender)) > 0 &&
		DatumGetInt64(ftc_value(0, 0)) > 0)
	{
		end.epoch = (uint64) DatumGetInt64(ftc_value(0, 0));
		end.next = (uint64) DatumGetInt64(ftc_value(0, 1));
		end.value = ftc_hash_value(0, 2);
	}
	ftc_receiver_init(&r->link, &end);
}

static void
ledger_save(const FtcIntake *r)
{
	Datum		args[] = {
		Int32GetDatum(r->chain.id), ftc_hash_datum(&r->sender), Int64GetDatum((int64) r->link.end.epoch),
		Int64GetDatum((int64) r->link.end.next), ftc_hash_datum(&r->link.end.value),
		Int64GetDatum(r->applied), Int64GetDatum(r->duplicates), Int64GetDatum(r->refused),
		CStringGetTextDatum(r->reason == NULL ? "" : r->reason), BoolGetDatum(r->behind), Int64GetDatum(r->early),
		Int64GetDatum(r->gap ? 1 : 0), Int64GetDatum(r->dropped)
	};
	bool		nulls[13] = {false};

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
		case FTC_MESSAGE_KEPT:
			return ftc_words_take(&r->chain, message->attachment);
		case FTC_MESSAGE_LOST:
			return ftc_proofs_said(&r->chain, &r->sender, message->reference);
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
		r->link.stopped = true;
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
		if (r->link.stopped)
			return i;
	}
	return n;
}

const FtcInLog ftc_ledger_log = {
	.lock = ledger_lock,
	.load = ledger_load,
	.save = ledger_save,
	.key = ledger_key,
	.apply = ledger_apply,
};

/* ----------------------------------------------------------------
 *		A call
 * ----------------------------------------------------------------
 */

/* The arguments of a call, taken apart: a segment of the link. */
typedef struct Call
{
	int			n;
	FtcMessage *messages;
	FtcSlice   *bytes;			/* of each */
	FtcHash    *values;			/* the link's before each, and after the last */
	Datum		account;
	bool		accounted;		/* the account was found right */
	FtcKey		key;			/* by this key */
} Call;

/* Each with the digest that it should have, of one stream and epoch, without gaps. */
static FtcReason
check_place(const FtcMessage *message, const FtcMessage *before)
{
	if (message->stream != before->stream)
		return FTC_WRONG_LINK;
	if (message->epoch != before->epoch)
		return FTC_WRONG_EPOCH;
	return message->seq == before->seq + 1 ? FTC_OK : FTC_WRONG_SEQ;
}

static void
decode_messages(FtcIntake *r, Call *call, ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;

	deconstruct_array(array, BYTEAOID, -1, false, TYPALIGN_INT, &elements, &nulls, &call->n);
	if (call->n > FTC_CALL_MESSAGES_MAX)
		ftc_refuse(FTC_TOO_MANY, "call");
	call->messages = palloc(Max(call->n, 1) * sizeof(FtcMessage));
	call->bytes = palloc(Max(call->n, 1) * sizeof(FtcSlice));
	for (int i = 0; i < call->n; i++)
	{
		FtcMessage *message = &call->messages[i];
		FtcReason	reason = FTC_BAD_LENGTH;

		if (!nulls[i])
		{
			call->bytes[i] = ftc_datum_slice(elements[i]);
			reason = ftc_message_decode(message, call->bytes[i]);
		}
		if (reason == FTC_OK && i > 0)
			reason = check_place(message, message - 1);
		if (reason != FTC_OK)
			ftc_refuse(reason, "message");
	}
	r->stream = call->n > 0 ? call->messages[0].stream : FTC_STREAM_LEDGER;
}

static void
follow_chain(Call *call, const FtcHash *before)
{
	call->values = palloc((call->n + 1) * sizeof(FtcHash));
	call->values[0] = *before;
	for (int i = 0; i < call->n; i++)
		call->values[i + 1] = ftc_link_advance(&call->values[i], &call->messages[i].id, &call->messages[i].digest);
}

static FtcHash
start_of(const FtcIntake *r, uint64 epoch)
{
	return ftc_link_start(&r->genesis, &r->sender, &r->self.member, r->stream, epoch);
}

/*
 * The sender signs for the place of the messages in this very link: so nobody
 * else can have put anything aside here, nor take what was sent to somebody else
 * for that.  It need be found right once, unless the sender's key changes.
 */
static void
check_account(const FtcIntake *r, const FtcInLog *log, Call *call)
{
	uint64		first = call->messages[0].seq;
	FtcHash		start = start_of(r, call->messages[0].epoch);
	FtcHash		account = ftc_link_account(&start, first, first + call->n, &call->values[0], &call->values[call->n]);
	FtcSignature signature;
	FtcKey		key;

	if (!log->key(r, &key))
		ftc_refuse(FTC_NOT_A_MEMBER, "sender");
	if (call->accounted && memcmp(call->key.b, key.b, FTC_KEY_LEN) == 0)
		return;
	if (!ftc_datum_signature(call->account, &signature) ||
		ftc_verify(&key, FTC_DOMAIN_ACCOUNT, &r->genesis, &account, &signature) != FTC_OK)
		ftc_refuse(FTC_BAD_SIGNATURE, "account of a link");
	call->accounted = true;
	call->key = key;
}

/* ----------------------------------------------------------------
 *		Taking messages
 * ----------------------------------------------------------------
 */

#define LATER_US (1 * USECS_PER_SEC)	/* for what was put aside, in one call */

static void
drop_message(FtcIntake *r, FtcReason reason)
{
	r->dropped++;
	if (r->reason == NULL)
		r->reason = ftc_reason_text(reason);
}

/* Is there anything new in it?  What is to be said of the rest is counted. */
static bool
has_news(FtcIntake *r, const Call *call)
{
	bool		news = false;

	r->duplicates = r->dropped = 0;
	for (int i = 0; i < call->n; i++)
		switch (ftc_receiver_judge(&r->link, call->messages[i].epoch, call->messages[i].seq, call->bytes[i].len))
		{
			case FTC_LINK_NEW_EPOCH:
				return true;
			case FTC_LINK_APPLY:
			case FTC_LINK_HOLD:
				news = true;
				break;
			case FTC_LINK_DUPLICATE:
				r->duplicates++;
				break;
			case FTC_LINK_GAP:
				drop_message(r, call->messages[i].epoch > r->link.end.epoch ? FTC_WRONG_EPOCH : FTC_WRONG_SEQ);
				break;
			case FTC_LINK_STALE:
				drop_message(r, FTC_WRONG_EPOCH);
				break;
		}
	return news;
}

/* Only who has signed for something new gets past this. */
static bool
examine(FtcIntake *r, const FtcInLog *log, Call *call)
{
	log->load(r);
	ftc_early_load(r);
	r->reason = NULL;
	if (!has_news(r, call))
		return false;
	check_account(r, log, call);
	return true;
}

/* True if all of them were taken. */
static bool
apply_all(FtcIntake *r, const FtcInLog *log, const FtcMessage *messages, int n)
{
	int			taken = log->apply(r, messages, n);
	bool		stopped = r->link.stopped;

	for (int i = 0; i < taken; i++)
		ftc_receiver_advance(&r->link, &messages[i].id, &messages[i].digest,
							 ftc_message_encode(&messages[i], NULL, 0));
	/* by what comes after them */
	r->link.stopped = stopped;
	r->applied += taken;
	return taken == n;
}

/*
 * Those that are next by now and wait here.  A limit, since whoever filled the gap
 * waits for the answer; the sender sends the next one again then.
 */
static void
apply_early(FtcIntake *r, const FtcInLog *log)
{
	uint64		start = ftc_clock_steady();

	while (ftc_receiver_has_next(&r->link) && ftc_clock_steady() - start < LATER_US)
	{
		FtcMessage *messages;
		int			n = ftc_early_next(r, &messages);

		if (n == 0)
		{
			/* they do not follow what was taken, or are gone */
			ftc_early_drop(r);
			r->reason = ftc_reason_text(FTC_WRONG_CHAIN_VALUE);
			return;
		}
		FTC_FAILPOINT("receive-early");
		if (!apply_all(r, log, messages, n))
			return;
	}
}

/* Of the call, what is beyond the next one. */
static void
put_aside(FtcIntake *r, const Call *call)
{
	for (int i = 0; i < call->n; i++)
	{
		const FtcMessage *message = &call->messages[i];

		if (message->seq < r->link.end.next)
			continue;
		switch (ftc_receiver_judge(&r->link, message->epoch, message->seq, call->bytes[i].len))
		{
			case FTC_LINK_HOLD:
				if (!ftc_early_put(r, message->seq, &call->values[i], call->bytes[i]))
				{
					drop_message(r, FTC_TOO_MANY);
					break;
				}
				(void) ftc_receiver_hold(&r->link, message->seq, call->bytes[i].len);
				r->early++;
				break;
			case FTC_LINK_DUPLICATE:
				r->duplicates++;
				break;
			case FTC_LINK_APPLY:
				/* its turn had come, and it could not be taken */
				r->dropped++;
				break;
			default:
				drop_message(r, FTC_WRONG_SEQ);
				break;
		}
	}
}

/* A segment that is signed for, under the lock. */
static void
take_segment(FtcIntake *r, const FtcInLog *log, const Call *call)
{
	uint64		first = call->messages[0].seq;
	int			known;

	if (call->messages[0].epoch > r->link.end.epoch)
	{
		FtcHash		start = start_of(r, call->messages[0].epoch);

		ftc_receiver_open(&r->link, call->messages[0].epoch, &start);
	}
	known = first < r->link.end.next ? (int) Min(r->link.end.next - first, (uint64) call->n) : 0;
	r->duplicates = known;
	r->dropped = 0;
	r->gap = first > r->link.end.next;
	if (first + known == r->link.end.next && known < call->n)
	{
		if (!ftc_hash_equal(&call->values[known], &r->link.end.value))
		{
			/* its histories differ: it will say hello */
			for (int i = known; i < call->n; i++)
				drop_message(r, FTC_WRONG_CHAIN_VALUE);
			return;
		}
		if (apply_all(r, log, call->messages + known, call->n - known))
			apply_early(r, log);
	}
	put_aside(r, call);
}

/*
 * Only who has signed for something new gets to the lock, and leaves anything:
 * whoever may connect could hold it for ever otherwise.
 */
static void
take_in(FtcIntake *r, const FtcInLog *log, Call *call)
{
	if (!examine(r, log, call))
		return;
	log->lock(r);
	if (!examine(r, log, call))
		return;
	take_segment(r, log, call);
	if (r->has_early)
		ftc_early_tidy(r);
	log->save(r);
}

void
ftc_receive_say(FtcIntake *r, const FtcInLog *log, FtcAck *ack)
{
	log->load(r);
	ftc_early_load(r);
	ftc_receiver_say(&r->link, ack);
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

void
ftc_serve_ack(const FtcScope *scope, const FtcAck *ack, Datum *values)
{
	MemoryContext inner = MemoryContextSwitchTo(scope->caller);
	uint8		sacks[FTC_SACKS_BYTES];

	values[0] = Int64GetDatum((int64) ack->end.epoch);
	values[1] = Int64GetDatum((int64) ack->end.next);
	values[2] = ftc_hash_datum(&ack->end.value);
	values[3] = Int32GetDatum((int32) ack->room_messages);
	values[4] = Int64GetDatum((int64) ack->room_bytes);
	values[5] = ftc_slice_datum(ftc_slice(sacks, ftc_sacks_encode(ack, sacks, sizeof(sacks))));
	MemoryContextSwitchTo(inner);
}

Datum
ftchain_peer_receive(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcIntake	r = {0};
	Call		call = {0};
	FtcHash		before;
	FtcAck		ack;
	Datum		values[12];
	bool		nulls[12] = {false};

	ftc_serve_need_not_null(fcinfo);
	need_own_transaction();
	need_durable_commit();
	r.genesis = ftc_arg_hash(PG_GETARG_DATUM(0), "genesis");
	r.sender = ftc_arg_hash(PG_GETARG_DATUM(1), "sender");
	before = ftc_arg_hash(PG_GETARG_DATUM(2), "before");
	call.account = PG_GETARG_DATUM(4);
	decode_messages(&r, &call, PG_GETARG_ARRAYTYPE_P(3));
	follow_chain(&call, &before);

	ftc_enter(&scope);
	if (r.stream == FTC_STREAM_LEDGER)
		ftc_serve_need_chain(&r.chain, &r.genesis);
	else if (!ftc_hash_is_zero(&r.genesis))
		ftc_refuse(FTC_WRONG_LINK, "message");
	ftc_identity_need(&r.self);
	take_in(&r, r.stream == FTC_STREAM_LEDGER ? &ftc_ledger_log : &ftc_topic_log, &call);
	FTC_FAILPOINT("receive-before-commit");
	ftc_receiver_say(&r.link, &ack);
	ftc_serve_ack(&scope, &ack, values);
	values[11] = r.reason == NULL ? (Datum) 0 : ftc_serve_text(&scope, r.reason);
	ftc_leave(&scope);

	values[6] = Int32GetDatum((int32) r.applied);
	values[7] = Int32GetDatum((int32) r.early);
	values[8] = Int32GetDatum((int32) r.duplicates);
	values[9] = Int32GetDatum((int32) r.dropped);
	values[10] = Int32GetDatum((int32) r.refused);
	nulls[11] = r.reason == NULL;
	PG_RETURN_DATUM(ftc_serve_row(fcinfo, values, nulls));
}

/*-------------------------------------------------------------------------
 *
 * topic.c
 *	  The receiving end of a stream of users' messages.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/sequence.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "chain.h"
#include "clock.h"
#include "datum.h"
#include "event.h"
#include "failpoint.h"
#include "identity.h"
#include "insertion.h"
#include "json.h"
#include "protocol.h"
#include "receive.h"
#include "stmt.h"
#include "topic.h"

PG_FUNCTION_INFO_V1(ftchain_peer_stream);

static FtcStmt stream_make = {
	.sql = "INSERT INTO ftchain.stream_in (member, stream) VALUES ($1, $2) ON CONFLICT DO NOTHING",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT4OID},
};

static FtcStmt stream_lock = {
	.sql = "SELECT FROM ftchain.stream_in WHERE member = $1 AND stream = $2 FOR UPDATE",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT4OID},
};

static FtcStmt stream_get = {
	.sql = "SELECT epoch, next, value, attempts, before_next, before_value FROM ftchain.stream_in"
	" WHERE member = $1 AND stream = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT4OID},
};

static FtcStmt stream_set = {
	.sql = "UPDATE ftchain.stream_in SET epoch = $3, next = $4, value = $5, attempts = $6, received = received + $7,"
	" duplicates = duplicates + $8, last_reason = coalesce($9, last_reason), early = early + $10, gaps = gaps + $11,"
	" dropped = dropped + $12, refused = refused + $13, received_at = now(), before_next = $14, before_value = $15"
	" WHERE member = $1 AND stream = $2",
	.nargs = 15,
	.argtypes = {BYTEAOID, INT4OID, INT8OID, INT8OID, BYTEAOID, INT4OID, INT8OID, INT8OID, TEXTOID, INT8OID, INT8OID,
	INT8OID, INT8OID, INT8OID, BYTEAOID},
};

static FtcStmt stream_of = {
	.sql = "UPDATE ftchain.stream_in SET topic = $3 WHERE member = $1 AND stream = $2 AND topic IS DISTINCT FROM $3",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, TEXTOID},
};

static FtcStmt dead_put = {
	.sql = "INSERT INTO ftchain.dead_letter (id, topic, sender, seq, sent, received, attempts, error, message)"
	" VALUES (nextval('ftchain.message_in_id_seq'), $1, $2, $3, $4, now(), $5, $6, $7)",
	.nargs = 7,
	.argtypes = {TEXTOID, BYTEAOID, INT8OID, TIMESTAMPTZOID, INT4OID, TEXTOID, JSONOID},
};

/* ----------------------------------------------------------------
 *		A stream of messages
 * ----------------------------------------------------------------
 */

static void
topic_lock(FtcIntake *r)
{
	ftc_run(&stream_make, ftc_hash_datum(&r->sender), Int32GetDatum(r->stream));
	ftc_run(&stream_lock, ftc_hash_datum(&r->sender), Int32GetDatum(r->stream));
}

static void
topic_load(FtcIntake *r)
{
	FtcLinkEnd	end = {.next = 1};
	FtcLinkEnd	before = {.next = 1};

	r->attempts = 0;
	if (ftc_run(&stream_get, ftc_hash_datum(&r->sender), Int32GetDatum(r->stream)) > 0 &&
		DatumGetInt64(ftc_value(0, 0)) > 0)
	{
		end.epoch = (uint64) DatumGetInt64(ftc_value(0, 0));
		end.next = (uint64) DatumGetInt64(ftc_value(0, 1));
		end.value = ftc_hash_value(0, 2);
		r->attempts = DatumGetInt32(ftc_value(0, 3));
		before.epoch = end.epoch;
		before.next = (uint64) DatumGetInt64(ftc_value(0, 4));
		before.value = ftc_hash_value(0, 5);
	}
	ftc_receiver_init(&r->link, &end);
	r->link.before = before;
}

static void
topic_save(const FtcIntake *r)
{
	Datum		args[] = {
		ftc_hash_datum(&r->sender), Int32GetDatum(r->stream), Int64GetDatum((int64) r->link.end.epoch),
		Int64GetDatum((int64) r->link.end.next), ftc_hash_datum(&r->link.end.value), Int32GetDatum(r->attempts),
		Int64GetDatum(r->applied), Int64GetDatum(r->duplicates),
		CStringGetTextDatum(r->reason == NULL ? "" : r->reason), Int64GetDatum(r->early),
		Int64GetDatum(r->gap ? 1 : 0), Int64GetDatum(r->dropped), Int64GetDatum(r->refused),
		Int64GetDatum((int64) r->link.before.next), ftc_hash_datum(&r->link.before.value)
	};
	bool		nulls[15] = {false};

	nulls[8] = r->reason == NULL;
	ftc_stmt_run(&stream_set, args, nulls);
}

/* Whoever is a peer here, or a member of a chain that is here. */
static bool
topic_key(const FtcIntake *r, FtcKey *key)
{
	return ftc_chain_key_of(&r->sender, key);
}

static void
not_now(FtcIntake *r, const char *reason)
{
	r->link.stopped = true;
	r->reason = reason;
}

/* ----------------------------------------------------------------
 *		Taking messages
 * ----------------------------------------------------------------
 */

static Datum
sent_datum(const FtcIncoming *incoming)
{
	return TimestampTzGetDatum(ftc_clock_to_timestamp(incoming->reference.sent));
}

static Datum
json_datum(const FtcIncoming *incoming)
{
	return PointerGetDatum(ftc_slice_text(incoming->message->attachment));
}

/*
 * A table may take its time with each message.  What all of a call took would be
 * lost if the sender gave up waiting, again and again: so some are taken, and the
 * rest comes once more.  How long it waits it has said by how long we may wait for
 * a lock.
 */
static void
set_time(FtcIntake *r)
{
	if (r->until == 0)
		r->until = ftc_clock_steady() + (LockTimeout > 0 ? (uint64) LockTimeout * 1000 / 2 : 5 * USECS_PER_SEC);
}

static bool
is_late(const FtcIntake *r)
{
	return ftc_clock_steady() >= r->until;
}

/* Those that are not known wait for recv(), and who listens hears of it. */
static void
put_in_queue(const FtcIntake *r, Datum name, const FtcIncoming *incoming, int n)
{
	Oid			sequence = get_relname_relid("message_in_id_seq", get_namespace_oid("ftchain", false));
	FtcInsertion *into = ftc_insertion_begin(ftc_waiting_table(RowExclusiveLock), n, false);
	Datum		now = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	Datum		values[FTC_WAITING_COLUMNS];
	bool		nulls[FTC_WAITING_COLUMNS] = {false};

	values[FTC_WAITING_TOPIC] = name;
	values[FTC_WAITING_SENDER] = ftc_hash_datum(&r->sender);
	values[FTC_WAITING_RECEIVED] = values[FTC_WAITING_VISIBLE] = now;
	values[FTC_WAITING_ATTEMPTS] = Int32GetDatum(0);
	for (int i = 0; i < n; i++)
	{
		MemoryContext outer;

		if (incoming[i].known)
			continue;
		outer = MemoryContextSwitchTo(ftc_insertion_context(into));
		values[FTC_WAITING_ID] = Int64GetDatum(nextval_internal(sequence, false));
		values[FTC_WAITING_SEQ] = Int64GetDatum((int64) incoming[i].reference.seq);
		values[FTC_WAITING_SENT] = sent_datum(&incoming[i]);
		values[FTC_WAITING_MESSAGE] = json_datum(&incoming[i]);
		MemoryContextSwitchTo(outer);
		ftc_insertion_add(into, values, nulls);
	}
	ftc_insertion_end(into);
	Async_Notify(FTC_TOPIC_CHANNEL, TextDatumGetCString(name));
}

/* Tried too often it is put aside, so that those behind it can come. */
static void
take_failure(FtcIntake *r, const FtcTopic *topic, const FtcIncoming *incoming, Datum name, const char *error)
{
	if (++r->attempts < topic->max_attempts)
	{
		not_now(r, error);
		return;
	}
	ftc_run(&dead_put, name, ftc_hash_datum(&r->sender), Int64GetDatum((int64) incoming->reference.seq),
			sent_datum(incoming), Int32GetDatum(r->attempts), CStringGetTextDatum(error), json_datum(incoming));
	FTC_EVENT("dead letter", FTC_EVENT_TEXT("topic", TextDatumGetCString(name)), FTC_EVENT_NUMBER("messages", 1));
	r->reason = error;
	r->refused++;
	r->attempts = 0;
}

/*
 * As far as the first one that the table refuses, and over that, if it is a dead
 * letter now; gives how many were taken.
 */
static int
put_singly(FtcIntake *r, const FtcTopic *topic, Datum name, const FtcIncoming *incoming, int n)
{
	for (int i = 0; i < n; i++)
	{
		int			done;
		const char *error = incoming[i].known ? NULL : ftc_deliver(topic, &incoming[i], 1, r->until, &done);

		if (error != NULL)
		{
			take_failure(r, topic, &incoming[i], name, error);
			return r->link.stopped ? i : i + 1;
		}
		if (!incoming[i].known)
			r->attempts = 0;
		if (is_late(r))
			return i + 1;
	}
	return n;
}

/* All at once, mostly; where that fails, one by one, to find the one that does. */
static int
put_in_table(FtcIntake *r, const FtcTopic *topic, Datum name, const FtcIncoming *incoming, int n)
{
	int			done = 0;

	while (done < n && !r->link.stopped && (done == 0 || !is_late(r)))
	{
		int			put;

		if (r->attempts == 0 && ftc_deliver(topic, incoming + done, n - done, r->until, &put) == NULL)
			done += put;
		else
			done += put_singly(r, topic, name, incoming + done, r->attempts == 0 ? n - done : 1);
	}
	return done;
}

static int
count_known(const FtcIncoming *incoming, int n)
{
	int			known = 0;

	for (int i = 0; i < n; i++)
		known += incoming[i].known;
	return known;
}

/* Messages of one topic and one incarnation; gives how many were taken. */
static int
take_run(FtcIntake *r, FtcIncoming *incoming, int n)
{
	Datum		name = PointerGetDatum(ftc_slice_text(incoming[0].reference.topic));
	FtcApplied *applied;
	FtcTopic	topic;
	int			taken = n;

	if (!ftc_topic_find(name, &topic))
	{
		not_now(r, psprintf("topic \"%s\" does not exist", TextDatumGetCString(name)));
		return 0;
	}
	ftc_run(&stream_of, ftc_hash_datum(&r->sender), Int32GetDatum(r->stream), name);
	applied = ftc_applied_look(r, incoming, n);
	if (count_known(incoming, n) < n)
	{
		if (OidIsValid(topic.deliver_to))
			taken = put_in_table(r, &topic, name, incoming, n);
		else
		{
			put_in_queue(r, name, incoming, n);
			r->attempts = 0;
		}
	}
	ftc_applied_note(applied, incoming, taken);
	FTC_FAILPOINT("message-taken");
	r->duplicates += count_known(incoming, taken);
	return taken;
}

/*
 * What is wrong with a message itself stops its stream: its sender signed for
 * it, so it is not for us to leave it out.
 */
static FtcReason
examine(FtcIncoming *incoming, const FtcMessage *message)
{
	FtcReason	reason = ftc_topic_reference_decode(&incoming->reference, message->reference);

	incoming->message = message;
	if (reason == FTC_OK)
		reason = ftc_topic_message_check(&incoming->reference, message->attachment);
	if (reason == FTC_OK && !ftc_json_is_valid(message->attachment))
		reason = FTC_BAD_TEXT;
	return reason;
}

static bool
is_alike(const FtcIncoming *a, const FtcIncoming *b)
{
	return a->reference.incarnation == b->reference.incarnation &&
		a->reference.topic.len == b->reference.topic.len &&
		memcmp(a->reference.topic.data, b->reference.topic.data, a->reference.topic.len) == 0;
}

static int
topic_apply(FtcIntake *r, const FtcMessage *messages, int n)
{
	FtcIncoming *incoming = palloc(n * sizeof(FtcIncoming));
	FtcReason	reason = FTC_OK;
	int			good = 0;
	int			taken = 0;

	while (good < n && (reason = examine(&incoming[good], &messages[good])) == FTC_OK)
		good++;
	set_time(r);
	while (taken < good && !r->link.stopped && (taken == 0 || !is_late(r)))
	{
		int			run = 1;

		while (taken + run < good && is_alike(&incoming[taken], &incoming[taken + run]))
			run++;
		taken += take_run(r, incoming + taken, run);
	}
	if (!r->link.stopped && taken == good && reason != FTC_OK)
		not_now(r, ftc_reason_text(reason));
	return taken;
}

const FtcInLog ftc_topic_log = {
	.lock = topic_lock,
	.load = topic_load,
	.save = topic_save,
	.key = topic_key,
	.apply = topic_apply,
};

Datum
ftchain_peer_stream(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcIntake	r = {0};
	FtcAck		ack;
	Datum		values[10];
	bool		nulls[10] = {false};

	ftc_serve_need_not_null(fcinfo);
	ftc_serve_need_protocol(PG_GETARG_INT32(0));
	r.sender = ftc_arg_hash(PG_GETARG_DATUM(1), "sender");
	if (PG_GETARG_INT32(2) < 1 || PG_GETARG_INT32(2) > PG_UINT16_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"stream\" is out of range: %d", PG_GETARG_INT32(2)),
				errdetail("It may be from 1 to %d.", PG_UINT16_MAX));
	r.stream = (uint16) PG_GETARG_INT32(2);
	ftc_enter(&scope);
	ftc_identity_need(&r.self);
	ftc_receive_say(&r, &ftc_topic_log, &ack);
	ftc_serve_ack(&scope, &ack, values + 2);
	ftc_leave(&scope);

	values[0] = Int32GetDatum(Min(PG_GETARG_INT32(0), FTC_PROTOCOL));
	values[1] = ftc_hash_datum(&r.self.member);
	values[8] = Int64GetDatum((int64) ack.before.next);
	values[9] = ftc_hash_datum(&ack.before.value);
	PG_RETURN_DATUM(ftc_serve_row(fcinfo, values, nulls));
}

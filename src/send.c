/*-------------------------------------------------------------------------
 *
 * send.c
 *	  Sending a message: a row in the caller's transaction, nothing shared.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "compat.h"
#include "core/sha256.h"
#include "core/topic.h"
#include "datum.h"
#include "failpoint.h"
#include "guc.h"
#include "identity.h"
#include "insertion.h"
#include "json.h"
#include "message.h"
#include "stmt.h"
#include "wake.h"

PG_FUNCTION_INFO_V1(ftchain_send);
PG_FUNCTION_INFO_V1(ftchain_resend);

static FtcStmt peer_member = {
	.sql = "SELECT member FROM ftchain.peer WHERE server = $1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static FtcStmt stream_find = {
	.sql = "SELECT id FROM ftchain.stream_out WHERE member = $1 AND topic = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, TEXTOID},
};

static FtcStmt stream_backlog = {
	.sql = "SELECT numbered - acked FROM ftchain.stream_out WHERE id = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt stream_make = {
	.sql = "INSERT INTO ftchain.stream_out (member, topic) VALUES ($1, $2) ON CONFLICT DO NOTHING",
	.nargs = 2,
	.argtypes = {BYTEAOID, TEXTOID},
};

static FtcStmt relations = {
	.sql = "SELECT 'ftchain.message_out'::regclass, 'ftchain.message_seq'::regclass, 'ftchain.chain'::regclass",
};

/* With a key; without one it is put past SPI. */
static FtcStmt message_put = {
	.sql = "INSERT INTO ftchain.message_out (stream, seq, xid, incarnation, sent, hash, idempotency_key, message)"
	" VALUES ($1, nextval('ftchain.message_seq'), pg_current_xact_id(), $2, clock_timestamp(), $3, $4, $5)"
	" ON CONFLICT (stream, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING RETURNING seq",
	.nargs = 5,
	.argtypes = {INT4OID, INT8OID, BYTEAOID, TEXTOID, JSONOID},
};

static FtcStmt message_of_key = {
	.sql = "SELECT seq, hash FROM ftchain.message_out WHERE stream = $1 AND idempotency_key = $2",
	.nargs = 2,
	.argtypes = {INT4OID, TEXTOID},
};

static void
check_topic(FtcSlice topic)
{
	if (topic.len < 1 || topic.len > FTC_NAME_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("topic has %zu bytes", topic.len),
				errdetail("It may have from 1 to %d bytes.", FTC_NAME_MAX));
}

static void
check_message(FtcSlice message)
{
	if (message.len > FTC_TOPIC_MESSAGE_MAX)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("message has %zu bytes", message.len),
				errdetail("It may have up to %d.", FTC_TOPIC_MESSAGE_MAX),
				errhint("Append large content to a chain, and send where it is."));
	if (ftc_json_is_too_deep(message))
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("message is nested too deeply"),
				errdetail("It may have up to %d levels.", FTC_JSON_DEPTH_MAX));
}

static void
need_not_null(FunctionCallInfo fcinfo, int n, const char *function)
{
	for (int i = 0; i < n; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("arguments of %s must not be null", function));
}

/* ----------------------------------------------------------------
 *		Where a message goes
 * ----------------------------------------------------------------
 */

/*
 * What send() needs to know of a server and a topic, kept until the identity, the
 * peers or a chain change: see ftc_chain_invalidate().
 */
typedef struct Way
{
	struct
	{
		char		server[NAMEDATALEN];
		char		topic[NAMEDATALEN];
	}			key;
	int32		stream;
	int64		incarnation;
	Oid			messages;		/* table */
	Oid			sequence;		/* of their numbers */
	int64		backlog;		/* messages that have a position and were not
								 * acknowledged */
	TimestampTz backlog_at;		/* when that was looked up */
} Way;

static HTAB *ways = NULL;
static Oid	ways_relation = InvalidOid; /* ftchain.chain */
static uint64 ways_changes = 0; /* how often all was forgotten */
static bool made_stream = false;	/* in this transaction, which may abort */

static void
forget(Datum arg, Oid relation)
{
	HASH_SEQ_STATUS scan;
	Way		   *way;

	if (ways == NULL || (OidIsValid(relation) && relation != ways_relation))
		return;
	ways_changes++;
	hash_seq_init(&scan, ways);
	while ((way = hash_seq_search(&scan)) != NULL)
		hash_search(ways, &way->key, HASH_REMOVE, NULL);
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		made_stream = false;
}

static void
make_ways(void)
{
	HASHCTL		ctl = {.keysize = sizeof(((Way *) 0)->key),.entrysize = sizeof(Way)};

	if (ways != NULL)
		return;
	ways = hash_create("ftchain topics", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(forget, (Datum) 0);
	RegisterXactCallback(at_end_of_transaction, NULL);
}

/* Who sends there must be allowed to use the server, as with postgres_fdw. */
static void
need_server(const char *server)
{
	ForeignServer *found = GetForeignServerByName(server, true);

	if (found == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("server \"%s\" does not exist", server));
	if (object_aclcheck(ForeignServerRelationId, found->serverid, GetUserId(), ACL_USAGE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_SERVER, server);
}

static FtcHash
need_peer(Datum server)
{
	if (ftc_run(&peer_member, server) == 0)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("server \"%s\" is not a peer", TextDatumGetCString(server)),
				errhint("Call ftchain.add_peer() first."));
	return ftc_hash_value(0, 0);
}

static int32
find_stream(const FtcHash *member, Datum topic)
{
	return ftc_run(&stream_find, ftc_hash_datum(member), topic) == 0 ? 0 : DatumGetInt32(ftc_value(0, 0));
}

static int32
need_stream(const FtcHash *member, Datum topic)
{
	int32		stream = find_stream(member, topic);

	if (stream != 0)
		return stream;
	made_stream = true;
	ftc_run(&stream_make, ftc_hash_datum(member), topic);
	return find_stream(member, topic);
}

static void
read_way(Way *way)
{
	FtcScope	scope;
	FtcIdentity self;
	FtcHash		member;

	ftc_enter(&scope);
	ftc_run(&relations, 0);
	way->messages = DatumGetObjectId(ftc_value(0, 0));
	way->sequence = DatumGetObjectId(ftc_value(0, 1));
	ways_relation = DatumGetObjectId(ftc_value(0, 2));
	ftc_identity_need(&self);
	way->incarnation = self.incarnation;
	member = need_peer(CStringGetTextDatum(way->key.server));
	way->stream = need_stream(&member, CStringGetTextDatum(way->key.topic));
	ftc_leave(&scope);
}

static Way
find_way(const char *server, FtcSlice topic)
{
	Way			way = {0};
	const Way  *known;
	uint64		changes;

	make_ways();
	/* in a long transaction nobody else might look for them */
	AcceptInvalidationMessages();
	strlcpy(way.key.server, server, sizeof(way.key.server));
	memcpy(way.key.topic, topic.data, topic.len);
	known = hash_search(ways, &way.key, HASH_FIND, NULL);
	if (known != NULL)
		return *known;
	changes = ways_changes;
	read_way(&way);
	/* what changed while we read may be newer than what we read */
	if (changes == ways_changes && !made_stream)
		*(Way *) hash_search(ways, &way.key, HASH_ENTER, NULL) = way;
	return way;
}

/* ----------------------------------------------------------------
 *		Sending
 * ----------------------------------------------------------------
 */

/* The columns of ftchain.message_out, in its order. */
typedef enum Column
{
	OUT_STREAM,
	OUT_SEQ,
	OUT_XID,
	OUT_INCARNATION,
	OUT_SENT,
	OUT_HASH,
	OUT_KEY,
	OUT_MESSAGE,
	OUT_COLUMNS
} Column;

/*
 * How many have a position stands in the row of the stream, and those that have
 * none yet, whatever their stream, are counted in memory when they commit.  The row
 * is looked at once a second, but each time where the limit is small or near.
 */
static bool
is_full(Way *way)
{
	int64		limit = ftc_guc_message_backlog_limit;
	TimestampTz now = GetCurrentTimestamp();
	FtcScope	scope;
	Way		   *known;

	if (limit < 0)
		return false;
	if (limit >= 100000 && way->backlog + ftc_wake_sent(false) < limit - limit / 10 && now >= way->backlog_at &&
		now < way->backlog_at + USECS_PER_SEC)
		return false;
	ftc_enter(&scope);
	way->backlog = ftc_run(&stream_backlog, Int32GetDatum(way->stream)) == 0 ? 0 : DatumGetInt64(ftc_value(0, 0));
	ftc_leave(&scope);
	way->backlog_at = now;
	known = hash_search(ways, &way->key, HASH_FIND, NULL);
	if (known != NULL && known->stream == way->stream)
		*known = *way;
	return way->backlog + ftc_wake_sent(false) >= limit;
}

static void
refuse_as_full(const Way *way)
{
	ereport(ERROR,
			errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			errmsg("too many messages to topic \"%s\" of server \"%s\" wait to be acknowledged",
				   way->key.topic, way->key.server),
			errdetail("\"ftchain.message_backlog_limit\" is %d.", ftc_guc_message_backlog_limit),
			errhint("See what keeps them in the view ftchain.streams, and send again later."));
}

/* Gives the message's number. */
static int64
put(const Way *way, const FtcHash *hash, Datum message)
{
	static const Oid types[OUT_COLUMNS] = {
		INT4OID, INT8OID, XID8OID, INT8OID, TIMESTAMPTZOID, BYTEAOID, TEXTOID, JSONOID
	};
	Relation	table = table_open(way->messages, RowExclusiveLock);
	Datum		values[OUT_COLUMNS] = {0};
	bool		nulls[OUT_COLUMNS] = {false};
	FtcInsertion *into;

	ftc_insertion_check(table, types, OUT_COLUMNS);
	into = ftc_insertion_begin(table, 1, false);
	values[OUT_STREAM] = Int32GetDatum(way->stream);
	values[OUT_XID] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[OUT_SEQ] = Int64GetDatum(nextval_internal(way->sequence, false));
	values[OUT_INCARNATION] = Int64GetDatum(way->incarnation);
	values[OUT_SENT] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[OUT_HASH] = ftc_hash_datum(hash);
	nulls[OUT_KEY] = true;
	values[OUT_MESSAGE] = message;
	ftc_insertion_add(into, values, nulls);
	ftc_insertion_end(into);
	return DatumGetInt64(values[OUT_SEQ]);
}

/* The message that was sent with this key; another one must not be taken for it. */
static int64
find_sent(int32 stream, Datum key, const FtcHash *hash)
{
	FtcHash		sent;

	if (ftc_run(&message_of_key, Int32GetDatum(stream), key) == 0)
		ereport(ERROR,
				errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("could not serialize access due to a message sent at the same time with the same idempotency key"));
	sent = ftc_hash_value(0, 1);
	if (!ftc_hash_equal(&sent, hash))
		ereport(ERROR,
				errcode(ERRCODE_UNIQUE_VIOLATION),
				errmsg("another message was sent with idempotency key \"%s\"", TextDatumGetCString(key)),
				errdetail("It has number %lld.", (long long) DatumGetInt64(ftc_value(0, 0))));
	return DatumGetInt64(ftc_value(0, 0));
}

/* The same with a key; false if a message was sent with it before: that takes no room. */
static bool
put_once(const Way *way, bool full, const FtcHash *hash, Datum message, Datum key, int64 *seq)
{
	FtcScope	scope;
	bool		created;

	ftc_enter(&scope);
	if (full && ftc_run(&message_of_key, Int32GetDatum(way->stream), key) == 0)
		refuse_as_full(way);
	created = !full && ftc_run(&message_put, Int32GetDatum(way->stream), Int64GetDatum(way->incarnation),
							   ftc_hash_datum(hash), key, message) > 0;
	*seq = created ? DatumGetInt64(ftc_value(0, 0)) : find_sent(way->stream, key, hash);
	ftc_leave(&scope);
	return created;
}

static TupleDesc
result_desc(FunctionCallInfo fcinfo)
{
	static TupleDesc known = NULL;
	MemoryContext outer;
	TupleDesc	found;

	if (known != NULL)
		return known;
	outer = MemoryContextSwitchTo(TopMemoryContext);
	if (get_call_result_type(fcinfo, NULL, &found) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	known = BlessTupleDesc(found);
	MemoryContextSwitchTo(outer);
	return known;
}

Datum
ftchain_send(PG_FUNCTION_ARGS)
{
	char	   *server;
	FtcSlice	topic;
	FtcSlice	message;
	FtcHash		hash;
	Way			way;
	int64		seq;
	bool		full;
	bool		created = true;
	Datum		values[2];
	bool		nulls[2] = {false};

	need_not_null(fcinfo, 3, "ftchain.send");
	PreventCommandDuringRecovery("ftchain.send()");
	PreventCommandIfReadOnly("ftchain.send()");
	server = text_to_cstring(PG_GETARG_TEXT_PP(0));
	need_server(server);
	topic = ftc_datum_slice(PG_GETARG_DATUM(1));
	check_topic(topic);
	message = ftc_datum_slice(PG_GETARG_DATUM(2));
	check_message(message);
	hash = ftc_sha256(message);
	way = find_way(server, topic);
	full = is_full(&way);
	if (full && PG_ARGISNULL(3))
		refuse_as_full(&way);
	if (PG_ARGISNULL(3))
		seq = put(&way, &hash, PG_GETARG_DATUM(2));
	else
		created = put_once(&way, full, &hash, PG_GETARG_DATUM(2), PG_GETARG_DATUM(3), &seq);
	if (created)
		ftc_wake_note_send();
	FTC_FAILPOINT("message-put");
	values[0] = Int64GetDatum(seq);
	values[1] = BoolGetDatum(created);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(result_desc(fcinfo), values, nulls)));
}

/* A new epoch begins at the oldest message: the receiver knows what it has. */
Datum
ftchain_resend(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcIdentity self;
	FtcOutLink	link = {0};
	FtcRoute	route = {.log = &ftc_message_log};
	uint64		horizon;
	uint64		end;

	need_not_null(fcinfo, 2, "ftchain.resend");
	need_server(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	ftc_enter(&scope);
	ftc_identity_need(&self);
	route.self = self.member;
	route.member = need_peer(PG_GETARG_DATUM(0));
	route.stream = (uint16) find_stream(&route.member, PG_GETARG_DATUM(1));
	if (route.stream == 0)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("nothing was ever sent to topic \"%s\" of server \"%s\"",
					   TextDatumGetCString(PG_GETARG_DATUM(1)), TextDatumGetCString(PG_GETARG_DATUM(0))));
	ftc_message_log.ends(&route, &horizon, &end);
	ftc_sending_restart(&link, &route);
	ftc_wake_at_commit(FTC_WAKE_COURIER);
	ftc_leave(&scope);
	PG_RETURN_INT64((int64) (end - horizon));
}

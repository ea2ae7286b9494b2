/*-------------------------------------------------------------------------
 *
 * topic.c
 *	  Users' messages on their way in: topics, and who receives from them.
 *
 * A message: RECEIVED (a row that waits) -> given by recv(), again and again until
 * -> ACKED (gone), or tried too often -> DEAD (a row of its own).  Or a topic puts
 * its messages into a table of the user's, in the transaction in which they come.
 *
 * Each is known by its id, whatever epoch of the link it comes in; so it is taken
 * once, also after either side was set back and much is sent again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "branch.h"
#include "clock.h"
#include "compat.h"
#include "core/topic.h"
#include "datum.h"
#include "identity.h"
#include "json.h"
#include "protocol.h"
#include "receive.h"
#include "stmt.h"

PG_FUNCTION_INFO_V1(ftchain_create_topic);
PG_FUNCTION_INFO_V1(ftchain_drop_topic);
PG_FUNCTION_INFO_V1(ftchain_recv);
PG_FUNCTION_INFO_V1(ftchain_ack);
PG_FUNCTION_INFO_V1(ftchain_ack_one);
PG_FUNCTION_INFO_V1(ftchain_retry);
PG_FUNCTION_INFO_V1(ftchain_peer_stream);

/* Who listens hears of the topics that something has come on. */
#define CHANNEL "ftchain_topic"

static FtcStmt topic_get = {
	.sql = "SELECT owner, deliver_to, max_attempts FROM ftchain.topic WHERE name = $1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static FtcStmt topic_make = {
	.sql = "INSERT INTO ftchain.topic (name, owner, deliver_to, max_attempts) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
	.nargs = 4,
	.argtypes = {TEXTOID, REGROLEOID, REGCLASSOID, INT4OID},
};

static FtcStmt topic_drop = {
	.sql = "DELETE FROM ftchain.topic WHERE name = $1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static FtcStmt messages_drop = {
	.sql = "DELETE FROM ftchain.message_in WHERE topic = $1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

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
	.sql = "SELECT epoch, next, value, attempts FROM ftchain.stream_in WHERE member = $1 AND stream = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT4OID},
};

static FtcStmt stream_set = {
	.sql = "UPDATE ftchain.stream_in SET epoch = $3, next = $4, value = $5, attempts = $6, received = received + $7,"
	" duplicates = duplicates + $8, last_reason = coalesce($9, last_reason), received_at = now()"
	" WHERE member = $1 AND stream = $2",
	.nargs = 9,
	.argtypes = {BYTEAOID, INT4OID, INT8OID, INT8OID, BYTEAOID, INT4OID, INT8OID, INT8OID, TEXTOID},
};

static FtcStmt stream_of = {
	.sql = "UPDATE ftchain.stream_in SET topic = $3 WHERE member = $1 AND stream = $2 AND topic IS DISTINCT FROM $3",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, TEXTOID},
};

static FtcStmt peer_key = {
	.sql = "SELECT public_key FROM ftchain.peer WHERE member = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt columns_of = {
	.sql = "SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a"
	" WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped"
	" AND EXISTS (SELECT FROM json_object_keys($2) k WHERE k = a.attname)",
	.nargs = 2,
	.argtypes = {REGCLASSOID, JSONOID},
};

static FtcStmt applied_put = {
	.sql = "INSERT INTO ftchain.applied (member, id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt applied_drop = {
	.sql = "DELETE FROM ftchain.applied WHERE member = $1 AND id = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt message_put = {
	.sql = "INSERT INTO ftchain.message_in (topic, sender, seq, sent, message) VALUES ($1, $2, $3, $4, $5)",
	.nargs = 5,
	.argtypes = {TEXTOID, BYTEAOID, INT8OID, TIMESTAMPTZOID, JSONOID},
};

static FtcStmt dead_put = {
	.sql = "INSERT INTO ftchain.dead_letter (id, topic, sender, seq, sent, received, attempts, error, message)"
	" VALUES (nextval('ftchain.message_in_id_seq'), $1, $2, $3, $4, now(), $5, $6, $7)",
	.nargs = 7,
	.argtypes = {TEXTOID, BYTEAOID, INT8OID, TIMESTAMPTZOID, INT4OID, TEXTOID, JSONOID},
};

/* Those that were given too often already die instead. */
static FtcStmt messages_die = {
	.sql = "WITH tried AS (SELECT id FROM ftchain.message_in WHERE topic = $1 AND visible <= clock_timestamp()"
	" ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED),"
	" dead AS (DELETE FROM ftchain.message_in m USING tried t WHERE m.id = t.id AND m.attempts >= $3 RETURNING m.*)"
	" INSERT INTO ftchain.dead_letter (id, topic, sender, seq, sent, received, attempts, message)"
	" SELECT id, topic, sender, seq, sent, received, attempts, message FROM dead",
	.nargs = 3,
	.argtypes = {TEXTOID, INT4OID, INT4OID},
};

static FtcStmt messages_next = {
	.sql = "WITH next AS (SELECT id FROM ftchain.message_in WHERE topic = $1 AND visible <= clock_timestamp()"
	" ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED),"
	" given AS (UPDATE ftchain.message_in m SET visible = clock_timestamp() + $3, attempts = m.attempts + 1"
	" FROM next WHERE m.id = next.id"
	" RETURNING m.id, m.sender, m.seq, m.message, m.sent, m.received, m.attempts)"
	" SELECT * FROM given ORDER BY id",
	.nargs = 3,
	.argtypes = {TEXTOID, INT4OID, INTERVALOID},
};

static FtcStmt messages_ack = {
	.sql = "DELETE FROM ftchain.message_in WHERE topic = $1 AND id = ANY ($2)",
	.nargs = 2,
	.argtypes = {TEXTOID, INT8ARRAYOID},
};

static FtcStmt dead_retry = {
	.sql = "WITH alive AS (DELETE FROM ftchain.dead_letter WHERE topic = $1 AND ($2 IS NULL OR id = ANY ($2)) RETURNING *)"
	" INSERT INTO ftchain.message_in (id, topic, sender, seq, sent, received, message) OVERRIDING SYSTEM VALUE"
	" SELECT id, topic, sender, seq, sent, received, message FROM alive",
	.nargs = 2,
	.argtypes = {TEXTOID, INT8ARRAYOID},
};

typedef struct Topic
{
	Oid			owner;
	Oid			deliver_to;		/* InvalidOid: nowhere */
	int			max_attempts;
} Topic;

static bool
find_topic(Datum name, Topic *topic)
{
	bool		isnull;
	Datum		table;

	if (ftc_run(&topic_get, name) == 0)
		return false;
	topic->owner = DatumGetObjectId(ftc_value(0, 0));
	table = ftc_column(0, 1, &isnull);
	topic->deliver_to = isnull ? InvalidOid : DatumGetObjectId(table);
	topic->max_attempts = DatumGetInt32(ftc_value(0, 2));
	return true;
}

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
stream_end(const FtcHash *sender, int stream, FtcLinkEnd *end, int *attempts)
{
	end->epoch = 0;
	end->next = 1;
	memset(&end->value, 0, sizeof(end->value));
	*attempts = 0;
	if (ftc_run(&stream_get, ftc_hash_datum(sender), Int32GetDatum(stream)) == 0 ||
		DatumGetInt64(ftc_value(0, 0)) == 0)
		return;
	end->epoch = (uint64) DatumGetInt64(ftc_value(0, 0));
	end->next = (uint64) DatumGetInt64(ftc_value(0, 1));
	end->value = ftc_hash_value(0, 2);
	*attempts = DatumGetInt32(ftc_value(0, 3));
}

static void
topic_load(FtcIntake *r)
{
	stream_end(&r->sender, r->stream, &r->end, &r->attempts);
}

static void
topic_save(const FtcIntake *r)
{
	Datum		args[] = {
		ftc_hash_datum(&r->sender), Int32GetDatum(r->stream), Int64GetDatum((int64) r->end.epoch),
		Int64GetDatum((int64) r->end.next), ftc_hash_datum(&r->end.value), Int32GetDatum(r->attempts),
		Int64GetDatum(r->applied), Int64GetDatum(r->duplicates),
		CStringGetTextDatum(r->reason == NULL ? "" : r->reason)
	};
	bool		nulls[9] = {false};

	nulls[8] = r->reason == NULL;
	ftc_stmt_run(&stream_set, args, nulls);
}

/* Whoever is a peer here, or a member of a chain that is here. */
static bool
topic_key(const FtcIntake *r, FtcKey *key)
{
	ListCell   *cell;

	foreach(cell, ftc_chain_list())
	{
		const FtcChain *chain = lfirst(cell);
		const FtcMember *member = ftc_state_find(ftc_branch_current_state(chain->id), &r->sender);

		if (member != NULL)
		{
			*key = member->key;
			return true;
		}
	}
	if (ftc_run(&peer_key, ftc_hash_datum(&r->sender)) == 0)
		return false;
	memcpy(key->b, ftc_slice_value(0, 0).data, FTC_KEY_LEN);
	return true;
}

static void
not_now(FtcIntake *r, const char *reason)
{
	r->stopped = true;
	r->reason = reason;
}

/* A column is set if the message has its key; else it has its default. */
static char *
insertion(Oid table, Datum message)
{
	char	   *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)), get_rel_name(table));
	bool		isnull;
	Datum		columns;
	char	   *list;

	ftc_run(&columns_of, ObjectIdGetDatum(table), message);
	columns = ftc_column(0, 0, &isnull);
	if (isnull)
		return psprintf("INSERT INTO %s DEFAULT VALUES", name);
	list = TextDatumGetCString(columns);
	return psprintf("INSERT INTO %s (%s) SELECT %s FROM json_populate_record(NULL::%s, $1)", name, list, list, name);
}

/* As the owner, who is not to be led to do anything else. */
static void
insert_as_owner(const Topic *topic, Datum message)
{
	char	   *sql = insertion(topic->deliver_to, message);
	Oid			types[] = {JSONOID};
	Oid			user;
	int			context;
	int			result;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(topic->owner, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	result = SPI_execute_with_args(sql, 1, types, &message, NULL, false, 0);
	SetUserIdAndSecContext(user, context);
	if (result != SPI_OK_INSERT)
		elog(ERROR, "could not put a message into a table: %s", SPI_result_code_string(result));
}

/* What may well go by itself says nothing against the message. */
static bool
is_passing(int sqlstate)
{
	int			category = ERRCODE_TO_CATEGORY(sqlstate);

	return category == ERRCODE_INSUFFICIENT_RESOURCES || category == ERRCODE_OPERATOR_INTERVENTION ||
		category == ERRCODE_TRANSACTION_ROLLBACK || category == ERRCODE_SYSTEM_ERROR ||
		sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || sqlstate == ERRCODE_READ_ONLY_SQL_TRANSACTION;
}

/* Gives NULL, or what went wrong; then nothing was done. */
static const char *
deliver(const Topic *topic, Datum message)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	const char *volatile error = NULL;

	if (get_rel_name(topic->deliver_to) == NULL)
		return "the table that the topic delivers to is gone";
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		insert_as_owner(topic, message);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *data;

		if (is_passing(geterrcode()))
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		data = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		error = data->message;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/* Tried too often it is put aside, so that those behind it can come. */
static void
take_failure(FtcIntake *r, const Topic *topic, const FtcTopicReference *reference, Datum name, Datum sent,
			 Datum message, const char *error)
{
	if (++r->attempts < topic->max_attempts)
	{
		not_now(r, error);
		return;
	}
	ftc_run(&dead_put, name, ftc_hash_datum(&r->sender), Int64GetDatum((int64) reference->seq), sent,
			Int32GetDatum(r->attempts), CStringGetTextDatum(error), message);
	r->reason = error;
	r->refused++;
	r->attempts = 0;
}

static void
take_message(FtcIntake *r, const FtcMessage *message, const FtcTopicReference *reference, const Topic *topic, Datum name)
{
	Datum		sent = TimestampTzGetDatum(ftc_clock_to_timestamp(reference->sent));
	Datum		json = PointerGetDatum(ftc_slice_text(message->attachment));
	const char *error;

	if (!OidIsValid(topic->deliver_to))
	{
		ftc_run(&message_put, name, ftc_hash_datum(&r->sender), Int64GetDatum((int64) reference->seq), sent, json);
		Async_Notify(CHANNEL, TextDatumGetCString(name));
	}
	else if ((error = deliver(topic, json)) != NULL)
	{
		take_failure(r, topic, reference, name, sent, json, error);
		return;
	}
	r->attempts = 0;
}

/*
 * What is wrong with a message itself stops its stream: its sender signed for
 * it, so it is not for us to leave it out.
 */
static void
apply_one(FtcIntake *r, const FtcMessage *message)
{
	FtcTopicReference reference;
	FtcReason	reason = ftc_topic_reference_decode(&reference, message->reference);
	Topic		topic;
	Datum		name;

	if (reason == FTC_OK)
		reason = ftc_topic_message_check(&reference, message->attachment);
	if (reason == FTC_OK && !ftc_json_is_valid(message->attachment))
		reason = FTC_BAD_TEXT;
	if (reason != FTC_OK)
	{
		not_now(r, ftc_reason_text(reason));
		return;
	}
	name = PointerGetDatum(ftc_slice_text(reference.topic));
	if (!find_topic(name, &topic))
	{
		not_now(r, psprintf("topic \"%s\" does not exist", TextDatumGetCString(name)));
		return;
	}
	if (message->seq % 64 == 1)
		ftc_run(&stream_of, ftc_hash_datum(&r->sender), Int32GetDatum(r->stream), name);
	if (ftc_run(&applied_put, ftc_hash_datum(&r->sender), ftc_hash_datum(&message->id)) == 0)
		r->duplicates++;
	else
		take_message(r, message, &reference, &topic, name);
	if (r->stopped)
		ftc_run(&applied_drop, ftc_hash_datum(&r->sender), ftc_hash_datum(&message->id));
}

static int
topic_apply(FtcIntake *r, const FtcMessage *messages, int n)
{
	for (int i = 0; i < n; i++)
	{
		apply_one(r, &messages[i]);
		if (r->stopped)
			return i;
	}
	return n;
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
	FtcIdentity self;
	FtcHash		sender;
	FtcLinkEnd	end;
	int			attempts;
	Datum		values[5];
	bool		nulls[5] = {false};

	ftc_serve_need_not_null(fcinfo);
	ftc_serve_need_protocol(PG_GETARG_INT32(0));
	sender = ftc_arg_hash(PG_GETARG_DATUM(1), "sender");
	ftc_enter(&scope);
	ftc_identity_need(&self);
	stream_end(&sender, PG_GETARG_INT32(2), &end, &attempts);
	ftc_leave(&scope);

	values[0] = Int32GetDatum(Min(PG_GETARG_INT32(0), FTC_PROTOCOL));
	values[1] = ftc_hash_datum(&self.member);
	values[2] = Int64GetDatum((int64) end.epoch);
	values[3] = Int64GetDatum((int64) end.next);
	values[4] = ftc_hash_datum(&end.value);
	PG_RETURN_DATUM(ftc_serve_row(fcinfo, values, nulls));
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

static void
need_arguments(FunctionCallInfo fcinfo, int n)
{
	for (int i = 0; i < n; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("argument %d must not be null", i + 1));
}

/* A topic is its owner's; role: who asks. */
static void
need_topic(Datum name, Oid role, Topic *topic)
{
	char	   *string = TextDatumGetCString(name);

	if (!find_topic(name, topic))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("topic \"%s\" does not exist", string),
				errhint("Create it with ftchain.create_topic()."));
	if (!has_privs_of_role(role, topic->owner))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("must be owner of topic \"%s\"", string));
}

static void
need_queue(Datum name, const Topic *topic)
{
	if (OidIsValid(topic->deliver_to))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("messages of topic \"%s\" do not wait to be received", TextDatumGetCString(name)),
				errdetail("They are put into table \"%s\".", get_rel_name(topic->deliver_to)));
}

static void
check_table(Oid table)
{
	AclResult	result;

	if (get_rel_relkind(table) != RELKIND_RELATION && get_rel_relkind(table) != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is not a table", get_rel_name(table)));
	result = pg_class_aclcheck(table, GetUserId(), ACL_INSERT);
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_TABLE, get_rel_name(table));
}

Datum
ftchain_create_topic(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcSlice	name;
	Oid			role = GetUserId();
	Datum		args[4];
	bool		nulls[4] = {false};

	need_arguments(fcinfo, 1);
	name = ftc_datum_slice(PG_GETARG_DATUM(0));
	if (name.len < 1 || name.len > FTC_NAME_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("topic has %zu bytes", name.len),
				errdetail("It may have from 1 to %d bytes.", FTC_NAME_MAX));
	if (PG_ARGISNULL(2) || PG_GETARG_INT32(2) < 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"max_attempts\" must be at least 1"));
	if (!PG_ARGISNULL(1))
		check_table(PG_GETARG_OID(1));
	args[0] = PG_GETARG_DATUM(0);
	args[1] = ObjectIdGetDatum(role);
	args[2] = PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1);
	nulls[2] = PG_ARGISNULL(1);
	args[3] = PG_GETARG_DATUM(2);
	ftc_enter(&scope);
	if (ftc_stmt_run(&topic_make, args, nulls) == 0)
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("topic \"%s\" already exists", TextDatumGetCString(args[0])));
	ftc_leave(&scope);
	PG_RETURN_VOID();
}

Datum
ftchain_drop_topic(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	Oid			role = GetUserId();
	Topic		topic;
	uint64		n;

	need_arguments(fcinfo, 1);
	ftc_enter(&scope);
	need_topic(PG_GETARG_DATUM(0), role, &topic);
	ftc_run(&topic_drop, PG_GETARG_DATUM(0));
	n = ftc_run(&messages_drop, PG_GETARG_DATUM(0));
	ftc_leave(&scope);
	PG_RETURN_INT64((int64) n);
}

#define RECV_MAX 10000

Datum
ftchain_recv(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	FtcScope	scope;
	Oid			role = GetUserId();
	Topic		topic;
	uint64		n;

	need_arguments(fcinfo, 3);
	if (PG_GETARG_INT32(1) < 1 || PG_GETARG_INT32(1) > RECV_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"n\" is out of range: %d", PG_GETARG_INT32(1)),
				errdetail("It may be from 1 to %d.", RECV_MAX));
	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	need_topic(PG_GETARG_DATUM(0), role, &topic);
	need_queue(PG_GETARG_DATUM(0), &topic);
	while (ftc_run(&messages_die, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), Int32GetDatum(topic.max_attempts)) > 0)
		CHECK_FOR_INTERRUPTS();
	n = ftc_run(&messages_next, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2));
	for (uint64 i = 0; i < n; i++)
	{
		Datum		values[7];
		bool		nulls[7];

		for (int j = 0; j < 7; j++)
			values[j] = ftc_column(i, j, &nulls[j]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	ftc_leave(&scope);
	return (Datum) 0;
}

static uint64
ack_messages(Datum name, Datum ids)
{
	FtcScope	scope;
	Oid			role = GetUserId();
	Topic		topic;
	uint64		n;

	ftc_enter(&scope);
	need_topic(name, role, &topic);
	n = ftc_run(&messages_ack, name, ids);
	ftc_leave(&scope);
	return n;
}

Datum
ftchain_ack(PG_FUNCTION_ARGS)
{
	need_arguments(fcinfo, 2);
	PG_RETURN_INT64((int64) ack_messages(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)));
}

Datum
ftchain_ack_one(PG_FUNCTION_ARGS)
{
	Datum		id;

	need_arguments(fcinfo, 2);
	id = PG_GETARG_DATUM(1);
	PG_RETURN_BOOL(ack_messages(PG_GETARG_DATUM(0),
								PointerGetDatum(construct_array(&id, 1, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE))) > 0);
}

Datum
ftchain_retry(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	Oid			role = GetUserId();
	Topic		topic;
	Datum		args[2];
	bool		nulls[2] = {false};
	uint64		n;

	need_arguments(fcinfo, 1);
	args[0] = PG_GETARG_DATUM(0);
	args[1] = PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1);
	nulls[1] = PG_ARGISNULL(1);
	ftc_enter(&scope);
	need_topic(PG_GETARG_DATUM(0), role, &topic);
	need_queue(PG_GETARG_DATUM(0), &topic);
	n = ftc_stmt_run(&dead_retry, args, nulls);
	if (n > 0)
		Async_Notify(CHANNEL, TextDatumGetCString(args[0]));
	ftc_leave(&scope);
	PG_RETURN_INT64((int64) n);
}

/*-------------------------------------------------------------------------
 *
 * topic_sql.c
 *	  Topics, and what may be said of them and of their messages in SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "datum.h"
#include "event.h"
#include "stmt.h"
#include "topic.h"

PG_FUNCTION_INFO_V1(ftchain_create_topic);
PG_FUNCTION_INFO_V1(ftchain_drop_topic);
PG_FUNCTION_INFO_V1(ftchain_recv);
PG_FUNCTION_INFO_V1(ftchain_ack);
PG_FUNCTION_INFO_V1(ftchain_ack_one);
PG_FUNCTION_INFO_V1(ftchain_retry);

static FtcStmt topic_get = {
	.sql = "SELECT owner, deliver_to, max_attempts FROM ftchain.topic WHERE name = $1",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static FtcStmt topic_make = {
	.sql = "INSERT INTO ftchain.topic (name, owner, deliver_to, max_attempts) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
	.nargs = 4,
	.argtypes = {TEXTOID, TEXTOID, REGCLASSOID, INT4OID},
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

static FtcStmt messages_die = {
	.sql = "WITH dead AS (DELETE FROM ftchain.message_in WHERE topic = $1 AND id = ANY ($2) RETURNING *)"
	" INSERT INTO ftchain.dead_letter (id, topic, sender, seq, sent, received, attempts, message)"
	" SELECT id, topic, sender, seq, sent, received, attempts, message FROM dead",
	.nargs = 2,
	.argtypes = {TEXTOID, INT8ARRAYOID},
	.by_index = true,
};

static FtcStmt messages_ack = {
	.sql = "DELETE FROM ftchain.message_in WHERE topic = $1 AND id = ANY ($2)",
	.nargs = 2,
	.argtypes = {TEXTOID, INT8ARRAYOID},
	.by_index = true,
};

static FtcStmt dead_retry = {
	.sql = "WITH alive AS (DELETE FROM ftchain.dead_letter WHERE topic = $1 AND ($2 IS NULL OR id = ANY ($2)) RETURNING *)"
	" INSERT INTO ftchain.message_in (id, topic, sender, seq, sent, received, message) OVERRIDING SYSTEM VALUE"
	" SELECT id, topic, sender, seq, sent, received, message FROM alive",
	.nargs = 2,
	.argtypes = {TEXTOID, INT8ARRAYOID},
};

static FtcStmt dead_next = {
	.sql = "SELECT id, message FROM ftchain.dead_letter WHERE topic = $1 AND ($2 IS NULL OR id = ANY ($2)) AND id > $3"
	" ORDER BY id LIMIT 1 FOR UPDATE",
	.nargs = 3,
	.argtypes = {TEXTOID, INT8ARRAYOID, INT8OID},
};

static FtcStmt dead_drop = {
	.sql = "DELETE FROM ftchain.dead_letter WHERE id = $1",
	.nargs = 1,
	.argtypes = {INT8OID},
};

static FtcStmt dead_still = {
	.sql = "UPDATE ftchain.dead_letter SET attempts = attempts + 1, died = now(), error = $2 WHERE id = $1",
	.nargs = 2,
	.argtypes = {INT8OID, TEXTOID},
};

bool
ftc_topic_find(Datum name, FtcTopic *topic)
{
	bool		isnull;
	Datum		table;

	if (ftc_run(&topic_get, name) == 0)
		return false;
	/* by name: a number would be somebody else's in a restored dump */
	topic->owner = get_role_oid(TextDatumGetCString(ftc_value(0, 0)), true);
	table = ftc_column(0, 1, &isnull);
	topic->deliver_to = isnull ? InvalidOid : DatumGetObjectId(table);
	topic->max_attempts = DatumGetInt32(ftc_value(0, 2));
	return true;
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
need_topic(Datum name, Oid role, FtcTopic *topic)
{
	char	   *string = TextDatumGetCString(name);

	if (!ftc_topic_find(name, topic))
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
need_queue(Datum name, const FtcTopic *topic)
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
	args[1] = CStringGetTextDatum(GetUserNameFromId(role, false));
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
	FtcTopic	topic;
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
	FtcTopic	topic;
	ArrayType  *tried;

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
	tried = ftc_waiting_give(PG_GETARG_DATUM(0), PG_GETARG_INT32(1), PG_GETARG_INTERVAL_P(2), topic.max_attempts,
							 rsinfo->setResult, rsinfo->setDesc);
	if (tried != NULL)
	{
		uint64		n = ftc_run(&messages_die, PG_GETARG_DATUM(0), PointerGetDatum(tried));

		FTC_EVENT("dead letter", FTC_EVENT_TEXT("topic", text_to_cstring(PG_GETARG_TEXT_PP(0))),
				  FTC_EVENT_NUMBER("messages", (int64) n));
	}
	ftc_leave(&scope);
	return (Datum) 0;
}

static uint64
ack_messages(Datum name, Datum ids)
{
	FtcScope	scope;
	Oid			role = GetUserId();
	FtcTopic	topic;
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

/* Try the next one after *last, if there is one: true if the table takes it. */
static bool
deliver_next_dead(const FtcTopic *topic, Datum *args, const bool *nulls, bool *any)
{
	FtcMessage	message = {0};
	FtcIncoming incoming = {.message = &message};
	const char *error;
	int			done;

	*any = ftc_stmt_run(&dead_next, args, nulls) > 0;
	if (!*any)
		return false;
	args[2] = Int64GetDatum(DatumGetInt64(ftc_value(0, 0)));
	message.attachment = ftc_slice_value(0, 1);
	error = ftc_deliver(topic, &incoming, 1, PG_UINT64_MAX, &done);
	if (error == NULL)
		ftc_run(&dead_drop, args[2]);
	else
		ftc_run(&dead_still, args[2], CStringGetTextDatum(error));
	return error == NULL;
}

/*
 * Into the table they go one by one, in order; what it refuses again stays a dead
 * letter.  Gives how many it took.
 */
static uint64
deliver_dead(const FtcTopic *topic, Datum name, Datum ids, bool all)
{
	Datum		args[] = {name, ids, Int64GetDatum(PG_INT64_MIN)};
	bool		nulls[] = {false, all, false};
	uint64		taken = 0;
	bool		any = true;

	while (any)
	{
		MemoryContext outer = ftc_nest();

		CHECK_FOR_INTERRUPTS();
		taken += deliver_next_dead(topic, args, nulls, &any);
		ftc_unnest(outer);
	}
	return taken;
}

Datum
ftchain_retry(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	Oid			role = GetUserId();
	FtcTopic	topic;
	Datum		args[2];
	bool		nulls[2] = {false};
	uint64		n;

	need_arguments(fcinfo, 1);
	args[0] = PG_GETARG_DATUM(0);
	args[1] = PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1);
	nulls[1] = PG_ARGISNULL(1);
	ftc_enter(&scope);
	need_topic(PG_GETARG_DATUM(0), role, &topic);
	if (OidIsValid(topic.deliver_to))
		n = deliver_dead(&topic, args[0], args[1], nulls[1]);
	else
	{
		n = ftc_stmt_run(&dead_retry, args, nulls);
		if (n > 0)
			Async_Notify(FTC_TOPIC_CHANNEL, TextDatumGetCString(args[0]));
	}
	ftc_leave(&scope);
	PG_RETURN_INT64((int64) n);
}

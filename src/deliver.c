/*-------------------------------------------------------------------------
 *
 * deliver.c
 *	  Users' messages into a table of theirs.
 *
 * By statements, as the topic's owner, in a subtransaction.  Where nothing looks
 * at single rows, messages with the same keys go by one statement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/jsonapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/jsonfuncs.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "clock.h"
#include "compat.h"
#include "datum.h"
#include "stmt.h"
#include "topic.h"

/* A topic's table, while messages are put there. */
typedef struct Target
{
	Relation	table;
	bool		at_once;		/* a statement for many */
	Bitmapset  *columns;		/* of the statement at hand */
	SPIPlanPtr	plan;
} Target;

/* ----------------------------------------------------------------
 *		What a message has
 * ----------------------------------------------------------------
 */

typedef struct Keys
{
	JsonLexContext *lex;
	TupleDesc	tupdesc;
	Bitmapset  *columns;		/* numbers of attributes */
} Keys;

static FTC_JSON_ACTION
note_key(void *state, char *name, bool isnull)
{
	Keys	   *keys = state;

	if (keys->lex->lex_level == 1)
		for (int i = 0; i < keys->tupdesc->natts; i++)
		{
			Form_pg_attribute column = TupleDescAttr(keys->tupdesc, i);

			if (!column->attisdropped && strcmp(NameStr(column->attname), name) == 0)
				keys->columns = bms_add_member(keys->columns, i);
		}
	FTC_JSON_DONE;
}

static void
need_object(FtcSlice json)
{
	size_t		at = 0;

	while (at < json.len && strchr(" \t\n\r", json.data[at]) != NULL && json.data[at] != '\0')
		at++;
	if (at == json.len || json.data[at] != '{')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the message is not a json object"));
}

/* A column is set if the message has its key; else it has its default. */
static Bitmapset *
columns_of(const Target *target, FtcSlice json)
{
	Keys		keys = {.tupdesc = RelationGetDescr(target->table)};
	JsonSemAction actions = {.semstate = &keys,.object_field_start = note_key};

	need_object(json);
	keys.lex = ftc_json_lexer((char *) json.data, (int) json.len, true);
	pg_parse_json_or_ereport(keys.lex, &actions);
	return keys.columns;
}

/* ----------------------------------------------------------------
 *		Statements
 * ----------------------------------------------------------------
 */

/*
 * What looks at the rows one by one, as they are put there, is to see those before.
 * Partitions may have triggers that their parent does not have.
 */
static bool
is_at_once(Relation table)
{
	const TriggerDesc *triggers = table->trigdesc;

	if (table->rd_rel->relkind != RELKIND_RELATION || table->rd_rules != NULL || table->rd_rel->relrowsecurity)
		return false;
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		if (!triggers->triggers[i].tgisinternal)
			return false;
	return true;
}

static char *
statement(const Target *target)
{
	Oid			table = RelationGetRelid(target->table);
	const char *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)), get_rel_name(table));
	StringInfoData list;
	int			column = -1;

	if (bms_is_empty(target->columns))
		return psprintf("INSERT INTO %s DEFAULT VALUES", name);
	initStringInfo(&list);
	while ((column = bms_next_member(target->columns, column)) >= 0)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
						 quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(target->table), column)->attname)));
	return psprintf("INSERT INTO %s (%s) SELECT %s FROM json_populate_recordset(NULL::%s, $1)",
					name, list.data, list.data, name);
}

static void
prepare(Target *target)
{
	Oid			types[] = {JSONOID};
	char	   *sql = statement(target);

	target->plan = SPI_prepare(sql, 1, types);
	if (target->plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
}

/* How many of the messages have the same keys, and are not known. */
static int
run_of(Target *target, const FtcIncoming *incoming, int n, StringInfo array)
{
	int			i;

	resetStringInfo(array);
	appendStringInfoChar(array, '[');
	for (i = 0; i < n; i++)
	{
		FtcSlice	json = incoming[i].message->attachment;
		Bitmapset  *columns;
		MemoryContext outer;

		if (incoming[i].known)
			continue;
		columns = columns_of(target, json);
		if (array->len > 1 && (!target->at_once || bms_is_empty(columns) || !bms_equal(columns, target->columns)))
			break;
		if (target->plan == NULL || !bms_equal(columns, target->columns))
		{
			outer = MemoryContextSwitchTo(CurTransactionContext);
			target->columns = bms_copy(columns);
			MemoryContextSwitchTo(outer);
			prepare(target);
		}
		if (array->len > 1)
			appendStringInfoChar(array, ',');
		appendBinaryStringInfo(array, (const char *) json.data, (int) json.len);
	}
	appendStringInfoChar(array, ']');
	return i;
}

/* Gives how many were put there, or were known, before it was late. */
static int
insert_all(Target *target, const FtcIncoming *incoming, int n, uint64 until)
{
	StringInfoData array;
	int			i = 0;

	initStringInfo(&array);
	while (i < n && (i == 0 || ftc_clock_steady() < until))
	{
		Datum		json;
		int			result;

		i += run_of(target, incoming + i, n - i, &array);
		if (array.len == 2)
			break;
		json = PointerGetDatum(cstring_to_text_with_len(array.data, array.len));
		result = SPI_execute_plan(target->plan, &json, NULL, false, 0);
		if (result != SPI_OK_INSERT)
			elog(ERROR, "could not put a message into a table: %s", SPI_result_code_string(result));
		pfree(DatumGetPointer(json));
	}
	return i;
}

/* As the owner, who is not to be led to do anything else. */
static int
insert_as_owner(const FtcTopic *topic, const FtcIncoming *incoming, int n, uint64 until)
{
	Target		target = {0};
	int			done;
	Oid			user;
	int			context;

	GetUserIdAndSecContext(&user, &context);
	target.table = table_open(topic->deliver_to, RowExclusiveLock);
	target.at_once = is_at_once(target.table);
	SetUserIdAndSecContext(topic->owner, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	done = insert_all(&target, incoming, n, until);
	SetUserIdAndSecContext(user, context);
	table_close(target.table, NoLock);
	return done;
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

const char *
ftc_deliver(const FtcTopic *topic, const FtcIncoming *incoming, int n, uint64 until, int *done)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	const char *volatile error = NULL;

	if (get_rel_name(topic->deliver_to) == NULL)
		return "the table that the topic delivers to is gone";
	if (GetUserNameFromId(topic->owner, true) == NULL)
		return "the owner of the topic is gone";
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		*done = insert_as_owner(topic, incoming, n, until);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *data;

		MemoryContextSwitchTo(context);
		data = CopyErrorData();
		FlushErrorState();
		/* or the session would stay in a transaction that has failed */
		RollbackAndReleaseCurrentSubTransaction();
		if (is_passing(data->sqlerrcode))
			ReThrowError(data);
		error = data->message;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

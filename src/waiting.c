/*-------------------------------------------------------------------------
 *
 * waiting.c
 *	  Messages that wait to be received, and giving them out.
 *
 * Past SPI, along the index: whoever works off a long queue in small steps is not
 * to pay for a statement that sorts, joins and returns at each.  A row that is
 * given stays where it is (a HOT update: there is room on its page).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "insertion.h"
#include "topic.h"

typedef struct Giving
{
	Relation	table;
	Relation	index;
	EState	   *estate;
	ResultRelInfo *result;
	EPQState	epq;
	TupleTableSlot *found;		/* by the index */
	TupleTableSlot *locked;
	TupleTableSlot *given;		/* as it is then */
	TimestampTz now;
	TimestampTz until;
	int			max_attempts;
	ArrayBuildState *tried;		/* ids of those that were given too often */
} Giving;

static Oid
our_relation(const char *name)
{
	return get_relname_relid(name, get_namespace_oid("ftchain", false));
}

Relation
ftc_waiting_table(LOCKMODE mode)
{
	static const Oid types[FTC_WAITING_COLUMNS] = {
		INT8OID, TEXTOID, BYTEAOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, JSONOID
	};
	Relation	relation = table_open(our_relation("message_in"), mode);

	ftc_insertion_check(relation, types, FTC_WAITING_COLUMNS);
	return relation;
}

static Relation
open_index(Relation table)
{
	Oid			oid = our_relation("message_in_pkey");
	Relation	index = OidIsValid(oid) ? index_open(oid, RowExclusiveLock) : NULL;

	if (index == NULL || index->rd_index->indrelid != RelationGetRelid(table) || !index->rd_index->indisvalid ||
		index->rd_index->indkey.values[0] != FTC_WAITING_TOPIC + 1 || index->rd_index->indkey.values[1] != FTC_WAITING_ID + 1)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("index \"%s\" has been altered", "ftchain.message_in_pkey"));
	return index;
}

/* As an update in a statement, but there is none. */
static void
begin(Giving *g)
{
	g->table = ftc_waiting_table(RowExclusiveLock);
	g->index = open_index(g->table);
	/* what this transaction has done so far is seen */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	g->estate = CreateExecutorState();
	g->result = makeNode(ResultRelInfo);
	InitResultRelInfo(g->result, g->table, 0, NULL, 0);
	g->estate->es_opened_result_relations = list_make1(g->result);
	g->estate->es_snapshot = GetActiveSnapshot();
	g->estate->es_output_cid = GetCurrentCommandId(true);
	ExecOpenIndices(g->result, false);
	EvalPlanQualInit(&g->epq, g->estate, NULL, NIL, -1);
	AfterTriggerBeginQuery();
	g->found = table_slot_create(g->table, NULL);
	g->locked = table_slot_create(g->table, NULL);
	g->given = MakeSingleTupleTableSlot(RelationGetDescr(g->table), &TTSOpsVirtual);
}

static void
end(Giving *g)
{
	ExecDropSingleTupleTableSlot(g->found);
	ExecDropSingleTupleTableSlot(g->locked);
	ExecDropSingleTupleTableSlot(g->given);
	AfterTriggerEndQuery(g->estate);
	EvalPlanQualEnd(&g->epq);
	ExecCloseIndices(g->result);
	ExecResetTupleTable(g->estate->es_tupleTable, false);
	FreeExecutorState(g->estate);
	PopActiveSnapshot();
	index_close(g->index, NoLock);
	table_close(g->table, NoLock);
	CommandCounterIncrement();
}

/* Lock the message that was found.  False if somebody else has it, or had it. */
static bool
can_have(Giving *g)
{
	TM_FailureData failure;
	bool		isnull;

	if (DatumGetTimestampTz(slot_getattr(g->found, FTC_WAITING_VISIBLE + 1, &isnull)) > g->now)
		return false;
	return table_tuple_lock(g->table, &g->found->tts_tid, GetActiveSnapshot(), g->locked, GetCurrentCommandId(false),
							LockTupleExclusive, LockWaitSkip, 0, &failure) == TM_Ok;
}

static void
give(Giving *g, Tuplestorestate *rows, TupleDesc desc)
{
	static const FtcWaitingColumn columns[] = {
		FTC_WAITING_ID, FTC_WAITING_SENDER, FTC_WAITING_SEQ, FTC_WAITING_MESSAGE, FTC_WAITING_SENT, FTC_WAITING_RECEIVED,
		FTC_WAITING_ATTEMPTS
	};
	Datum	   *values = g->given->tts_values;
	Datum		row[lengthof(columns)];
	bool		nulls[lengthof(columns)] = {false};

	ExecClearTuple(g->given);
	memcpy(values, g->locked->tts_values, FTC_WAITING_COLUMNS * sizeof(Datum));
	memcpy(g->given->tts_isnull, g->locked->tts_isnull, FTC_WAITING_COLUMNS * sizeof(bool));
	values[FTC_WAITING_VISIBLE] = TimestampTzGetDatum(g->until);
	values[FTC_WAITING_ATTEMPTS] = Int32GetDatum(DatumGetInt32(values[FTC_WAITING_ATTEMPTS]) + 1);
	for (size_t i = 0; i < lengthof(columns); i++)
		row[i] = values[columns[i]];
	tuplestore_putvalues(rows, desc, row, nulls);
	ExecStoreVirtualTuple(g->given);
	ExecSimpleRelationUpdate(g->result, g->estate, &g->epq, g->locked, g->given);
	ResetPerTupleExprContext(g->estate);
}

static void
note_tried(Giving *g)
{
	g->tried = accumArrayResult(g->tried, g->locked->tts_values[FTC_WAITING_ID], false, INT8OID, CurrentMemoryContext);
}

ArrayType *
ftc_waiting_give(Datum topic, int n, Interval *visibility, int max_attempts, Tuplestorestate *rows, TupleDesc desc)
{
	Giving		g = {.now = GetCurrentTimestamp(),.max_attempts = max_attempts};
	IndexScanDesc scan;
	ScanKeyData key;

	g.until = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(g.now),
													  IntervalPGetDatum(visibility)));
	begin(&g);
	ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, InvalidOid, g.index->rd_indcollation[0], F_TEXTEQ, topic);
	scan = index_beginscan(g.table, g.index, GetActiveSnapshot(), 1, 0);
	index_rescan(scan, &key, 1, NULL, 0);
	while (n > 0 && index_getnext_slot(scan, ForwardScanDirection, g.found))
	{
		CHECK_FOR_INTERRUPTS();
		if (!can_have(&g))
			continue;
		slot_getallattrs(g.locked);
		if (DatumGetInt32(g.locked->tts_values[FTC_WAITING_ATTEMPTS]) >= g.max_attempts)
			note_tried(&g);
		else
		{
			give(&g, rows, desc);
			n--;
		}
	}
	index_endscan(scan);
	end(&g);
	return g.tried == NULL ? NULL : DatumGetArrayTypeP(makeArrayResult(g.tried, CurrentMemoryContext));
}

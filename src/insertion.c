/*-------------------------------------------------------------------------
 *
 * insertion.c
 *	  Putting rows into a table of ours.
 *
 * Past SPI: as the apply worker of logical replication puts one row there, and
 * COPY many, with indexes, constraints and triggers.  A statement that does the
 * same costs twice as much, and more.  Triggers run as whoever the transaction
 * is of; row security does not apply, as it does not to the table's owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "guc.h"
#include "insertion.h"

/* As COPY has it. */
#define BATCH_ROWS 1000
#define BATCH_BYTES 65536

struct FtcInsertion
{
	Relation	table;
	EState	   *estate;
	ResultRelInfo *result;
	TransitionCaptureState *transition; /* of triggers that see new rows */
	MemoryContext context;		/* of what the rows of a batch point to */
	bool		simple;			/* one row, and nobody watches */
	int			options;		/* of the table's access method */
	BulkInsertState bulk;		/* many rows go through a ring of few buffers */
	int			capacity;		/* rows in a batch */
	int			n;				/* in the batch */
	Size		bytes;
	TupleTableSlot *slots[FLEXIBLE_ARRAY_MEMBER];
};

void
ftc_insertion_check(Relation table, const Oid *types, int n)
{
	TupleDesc	tupdesc = RelationGetDescr(table);
	bool		altered = tupdesc->natts != n;

	for (int i = 0; i < n && !altered; i++)
		altered = TupleDescAttr(tupdesc, i)->attisdropped || TupleDescAttr(tupdesc, i)->atttypid != types[i];
	if (altered)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("table \"ftchain.%s\" has been altered", RelationGetRelationName(table)));
}

static void
need_right(Relation table)
{
	Oid			worker = get_role_oid(ftc_guc_worker_role, false);
	AclResult	right = pg_class_aclcheck(RelationGetRelid(table), worker, ACL_INSERT);

	if (right != ACLCHECK_OK)
		aclcheck_error(right, OBJECT_TABLE, RelationGetRelationName(table));
}

static bool
has_row_triggers(const ResultRelInfo *result)
{
	const TriggerDesc *triggers = result->ri_TrigDesc;

	return triggers != NULL &&
		(triggers->trig_insert_before_row || triggers->trig_insert_after_row ||
		 triggers->trig_insert_instead_row || triggers->trig_insert_new_table);
}

/* A trigger that comes before a row may look at those put before it. */
static bool
is_one_by_one(const ResultRelInfo *result)
{
	return result->ri_TrigDesc != NULL && result->ri_TrigDesc->trig_insert_before_row;
}

/*
 * As for a statement, but there is none: the table is in no range table, and
 * triggers that come after are told where to find it.
 */
static void
open_result(FtcInsertion *in)
{
	in->estate = CreateExecutorState();
	in->result = makeNode(ResultRelInfo);
	InitResultRelInfo(in->result, in->table, 0, NULL, 0);
	in->estate->es_opened_result_relations = list_make1(in->result);
	in->estate->es_output_cid = GetCurrentCommandId(true);
	ExecOpenIndices(in->result, false);
	AfterTriggerBeginQuery();
	in->transition = MakeTransitionCaptureState(in->table->trigdesc, RelationGetRelid(in->table), CMD_INSERT);
	ExecBSInsertTriggers(in->estate, in->result);
}

FtcInsertion *
ftc_insertion_begin(Relation table, int64 rows, bool alone)
{
	int			most = (int) Max(Min(rows, BATCH_ROWS), 1);
	FtcInsertion *in = palloc0(offsetof(FtcInsertion, slots) + most * sizeof(TupleTableSlot *));

	need_right(table);
	in->table = table;
	in->options = alone ? TABLE_INSERT_SKIP_FSM : 0;
	in->bulk = alone && rows >= BATCH_ROWS ? GetBulkInsertState() : NULL;
	open_result(in);
	in->simple = most == 1 && !has_row_triggers(in->result);
	in->capacity = is_one_by_one(in->result) ? 1 : most;
	in->context = in->simple ? GetPerTupleMemoryContext(in->estate)
		: AllocSetContextCreate(CurrentMemoryContext, "ftchain rows", ALLOCSET_DEFAULT_SIZES);
	return in;
}

MemoryContext
ftc_insertion_context(const FtcInsertion *in)
{
	return in->context;
}

/* What a row takes, about: its last column is what may be long. */
static Size
row_bytes(const FtcInsertion *in, const Datum *values)
{
	return 100 + VARSIZE_ANY(DatumGetPointer(values[RelationGetDescr(in->table)->natts - 1]));
}

static TupleTableSlot *
next_slot(FtcInsertion *in)
{
	if (in->slots[in->n] == NULL)
		in->slots[in->n] = in->simple
			? MakeSingleTupleTableSlot(RelationGetDescr(in->table), &TTSOpsVirtual)
			: table_slot_create(in->table, NULL);
	return in->slots[in->n];
}

static void
put_batch(FtcInsertion *in)
{
	MemoryContext outer;

	if (in->n == 0)
		return;
	outer = MemoryContextSwitchTo(in->context);
	table_multi_insert(in->table, in->slots, in->n, GetCurrentCommandId(true), in->options, in->bulk);
	MemoryContextSwitchTo(outer);
	for (int i = 0; i < in->n; i++)
	{
		List	   *recheck = NIL;

		if (in->result->ri_NumIndices > 0)
			recheck = ftc_index_insert(in->result, in->slots[i], in->estate);
		ExecARInsertTriggers(in->estate, in->result, in->slots[i], recheck, in->transition);
		list_free(recheck);
		ExecClearTuple(in->slots[i]);
		ResetPerTupleExprContext(in->estate);
	}
	MemoryContextReset(in->context);
	in->n = 0;
	in->bytes = 0;
}

void
ftc_insertion_add(FtcInsertion *in, const Datum *values, const bool *nulls)
{
	TupleTableSlot *slot = next_slot(in);
	int			columns = RelationGetDescr(in->table)->natts;

	memcpy(slot->tts_values, values, columns * sizeof(Datum));
	memcpy(slot->tts_isnull, nulls, columns * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	if (in->simple)
	{
		ExecSimpleRelationInsert(in->result, in->estate, slot);
		ExecClearTuple(slot);
		ResetPerTupleExprContext(in->estate);
		return;
	}
	if (is_one_by_one(in->result) && !ExecBRInsertTriggers(in->estate, in->result, slot))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("a trigger on table \"ftchain.%s\" left a row out", RelationGetRelationName(in->table)),
				errhint("To refuse a row, raise an error."));
	if (in->table->rd_att->constr != NULL)
		ExecConstraints(in->result, slot, in->estate);
	in->bytes += row_bytes(in, values);
	in->n++;
	if (in->n == in->capacity || in->bytes >= BATCH_BYTES)
		put_batch(in);
}

void
ftc_insertion_end(FtcInsertion *in)
{
	put_batch(in);
	ExecASInsertTriggers(in->estate, in->result, in->transition);
	AfterTriggerEndQuery(in->estate);
	ExecCloseIndices(in->result);
	for (int i = 0; i < in->capacity && in->slots[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(in->slots[i]);
	if (in->bulk != NULL)
		FreeBulkInsertState(in->bulk);
	if (!in->simple)
		MemoryContextDelete(in->context);
	ExecResetTupleTable(in->estate->es_tupleTable, false);
	FreeExecutorState(in->estate);
	table_close(in->table, NoLock);
	pfree(in);
	/* what comes next in this transaction sees them */
	CommandCounterIncrement();
}

/*-------------------------------------------------------------------------
 *
 * indexes.c
 *	  The ledger's indexes, against their tables.
 *
 * What amcheck's heapallindexed does for superusers, from both sides and in
 * parts: each row that is visible must be found in each index by its own key;
 * and an index read from end to end must show as many rows as the table has,
 * each under its key.  Together these say that they agree.  How an index is
 * built inside is not looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "indexes.h"
#include "stmt.h"

#define PAGES_AT_ONCE 128		/* 1 MB */

/* Those that blocks and entries are found by. */
static const char *const tables[] = {
	"chain", "origin", "block", "main_chain", "bundle", "block_bundle", "control", "epoch_state", "replica", "entry"
};

/* An index, while its table is looked at. */
typedef struct CheckedIndex
{
	Relation	relation;
	IndexInfo  *info;
	ExprState  *predicate;
	ScanKeyData keys[INDEX_MAX_KEYS];
	IndexScanDesc scan;
	bool		repeats;		/* many rows may have the same key */
	bool		scanning;		/* for the key below */
	Datum		key[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	MemoryContext context;		/* that the key is in */
	bool		damaged;		/* said already */
} CheckedIndex;

typedef struct Check
{
	Relation	table;
	TupleTableSlot *slot;		/* a row of the table */
	TupleTableSlot *shown;		/* a row that an index shows */
	EState	   *estate;
	int			nindexes;
	CheckedIndex *indexes;
	FtcFaultCallback callback;
	void	   *arg;
} Check;

static void
fault(Check *c, CheckedIndex *index, const char *found)
{
	FtcFault	f = {.height = -1,.what = psprintf("index %s", RelationGetRelationName(index->relation)),
	.expected = "the rows of its table",.found = found};

	if (!index->damaged)
		c->callback(c->arg, &f);
	index->damaged = true;
}

/* ----------------------------------------------------------------
 *		What is looked at
 * ----------------------------------------------------------------
 */

/* Equality, as the index calls it. */
static void
make_keys(CheckedIndex *index)
{
	Relation	relation = index->relation;
	StrategyNumber equal = relation->rd_rel->relam == BTREE_AM_OID ? BTEqualStrategyNumber : RTEqualStrategyNumber;

	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(relation); i++)
	{
		Oid			type = relation->rd_opcintype[i];
		Oid			operator = get_opfamily_member(relation->rd_opfamily[i], type, type, equal);

		if (!OidIsValid(operator))
			elog(ERROR, "index \"%s\" has no equality", RelationGetRelationName(relation));
		ScanKeyEntryInitialize(&index->keys[i], 0, (AttrNumber) (i + 1), equal, type,
							   relation->rd_indcollation[i], get_opcode(operator), (Datum) 0);
	}
}

/* One that is being built, or is not for rows of before, says nothing yet. */
static bool
is_usable(Relation index)
{
	return index->rd_index->indisvalid && index->rd_index->indisready && index->rd_index->indislive &&
		!index->rd_index->indcheckxmin;
}

static void
open_indexes(Check *c)
{
	List	   *oids = RelationGetIndexList(c->table);
	ListCell   *cell;

	c->indexes = palloc0(Max(list_length(oids), 1) * sizeof(CheckedIndex));
	foreach(cell, oids)
	{
		CheckedIndex *index = &c->indexes[c->nindexes];

		index->relation = index_open(lfirst_oid(cell), AccessShareLock);
		if (!is_usable(index->relation))
		{
			index_close(index->relation, AccessShareLock);
			continue;
		}
		index->info = BuildIndexInfo(index->relation);
		index->predicate = ExecPrepareQual(index->info->ii_Predicate, c->estate);
		make_keys(index);
		index->repeats = index->relation->rd_rel->relam == BTREE_AM_OID && !index->relation->rd_index->indisunique;
		index->context = AllocSetContextCreate(CurrentMemoryContext, "ftchain key", ALLOCSET_SMALL_SIZES);
		c->nindexes++;
	}
}

static void
open_check(Check *c, const char *name)
{
	Oid			oid = get_relname_relid(name, get_namespace_oid("ftchain", false));

	c->table = table_open(oid, AccessShareLock);
	c->slot = table_slot_create(c->table, NULL);
	c->shown = table_slot_create(c->table, NULL);
	c->estate = CreateExecutorState();
	open_indexes(c);
}

static void
close_check(Check *c)
{
	for (int i = 0; i < c->nindexes; i++)
		index_close(c->indexes[i].relation, AccessShareLock);
	ExecDropSingleTupleTableSlot(c->slot);
	ExecDropSingleTupleTableSlot(c->shown);
	FreeExecutorState(c->estate);
	table_close(c->table, AccessShareLock);
}

/* Has this row a place in the index?  With its key, if so. */
static bool
key_of(Check *c, CheckedIndex *index, TupleTableSlot *slot, Datum *values, bool *nulls)
{
	ExprContext *context = GetPerTupleExprContext(c->estate);

	ResetExprContext(context);
	context->ecxt_scantuple = slot;
	if (index->predicate != NULL && !ExecQual(index->predicate, context))
		return false;
	FormIndexDatum(index->info, slot, c->estate, values, nulls);
	return true;
}

/* ----------------------------------------------------------------
 *		From the table
 * ----------------------------------------------------------------
 */

static Form_pg_attribute
key_attribute(const CheckedIndex *index, int i)
{
	return TupleDescAttr(RelationGetDescr(index->relation), i);
}

static bool
is_same_key(const CheckedIndex *index, const Datum *values, const bool *nulls)
{
	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index->relation); i++)
	{
		Form_pg_attribute attribute = key_attribute(index, i);

		if (nulls[i] != index->nulls[i] ||
			(!nulls[i] && !datum_image_eq(values[i], index->key[i], attribute->attbyval, attribute->attlen)))
			return false;
	}
	return true;
}

static void
keep_key(CheckedIndex *index, const Datum *values, const bool *nulls)
{
	MemoryContext outer;

	MemoryContextReset(index->context);
	outer = MemoryContextSwitchTo(index->context);
	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index->relation); i++)
	{
		Form_pg_attribute attribute = key_attribute(index, i);

		index->nulls[i] = nulls[i];
		index->key[i] = nulls[i] ? (Datum) 0 : datumCopy(values[i], attribute->attbyval, attribute->attlen);
	}
	MemoryContextSwitchTo(outer);
}

static void
scan_for(CheckedIndex *index, const Datum *values, const bool *nulls)
{
	int			n = IndexRelationGetNumberOfKeyAttributes(index->relation);

	for (int i = 0; i < n; i++)
	{
		index->keys[i].sk_argument = values[i];
		index->keys[i].sk_flags = nulls[i] ? SK_ISNULL | SK_SEARCHNULL : 0;
	}
	index_rescan(index->scan, index->keys, n, NULL, 0);
}

static bool
is_ahead(Check *c, CheckedIndex *index)
{
	while (index_getnext_slot(index->scan, ForwardScanDirection, c->shown))
		if (ItemPointerEquals(&c->shown->tts_tid, &c->slot->tts_tid))
			return true;
	return false;
}

/*
 * Rows of one key stand in an index in the order they have in the table.  So those
 * of a transaction that has appended thousands are met one after the other, and
 * not looked for from the first of them each time.
 */
static bool
shows_row(Check *c, CheckedIndex *index, const Datum *values, const bool *nulls)
{
	if (!index->repeats)
	{
		scan_for(index, values, nulls);
		return is_ahead(c, index);
	}
	if (index->scanning && is_same_key(index, values, nulls) && is_ahead(c, index))
		return true;
	keep_key(index, values, nulls);
	scan_for(index, index->key, index->nulls);
	index->scanning = is_ahead(c, index);
	return index->scanning;
}

static void
check_row(Check *c)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];

	for (int i = 0; i < c->nindexes; i++)
	{
		CheckedIndex *index = &c->indexes[i];

		if (!index->damaged && key_of(c, index, c->slot, values, nulls) && !shows_row(c, index, values, nulls))
			fault(c, index, psprintf("no entry for row (%u,%u)", ItemPointerGetBlockNumber(&c->slot->tts_tid),
									 ItemPointerGetOffsetNumber(&c->slot->tts_tid)));
	}
}

/* The rows of some pages. */
static void
check_pages(Check *c, BlockNumber from, BlockNumber to)
{
	ItemPointerData first;
	ItemPointerData last;
	TableScanDesc scan;
	int			nrows = 0;

	ItemPointerSet(&first, from, FirstOffsetNumber);
	ItemPointerSet(&last, to, MaxOffsetNumber);
	for (int i = 0; i < c->nindexes; i++)
	{
		c->indexes[i].scan = index_beginscan(c->table, c->indexes[i].relation, GetActiveSnapshot(),
											 IndexRelationGetNumberOfKeyAttributes(c->indexes[i].relation), 0);
		c->indexes[i].scanning = false;
	}
	scan = table_beginscan_tidrange(c->table, GetActiveSnapshot(), &first, &last);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, c->slot))
	{
		check_row(c);
		if (++nrows % 1000 == 0)
			CHECK_FOR_INTERRUPTS();
	}
	table_endscan(scan);
	for (int i = 0; i < c->nindexes; i++)
		index_endscan(c->indexes[i].scan);
}

/* ----------------------------------------------------------------
 *		From an index
 * ----------------------------------------------------------------
 */

/* How many rows have a place in each index? */
static void
count_rows(Check *c, int64 *counts)
{
	TableScanDesc scan = table_beginscan_strat(c->table, GetActiveSnapshot(), 0, NULL, true, false);
	int64		all = 0;
	bool		partial = false;

	for (int i = 0; i < c->nindexes; i++)
		partial |= c->indexes[i].predicate != NULL;
	while (table_scan_getnextslot(scan, ForwardScanDirection, c->slot))
	{
		if (++all % 1000 == 0)
			CHECK_FOR_INTERRUPTS();
		for (int i = 0; partial && i < c->nindexes; i++)
		{
			ExprContext *context = GetPerTupleExprContext(c->estate);

			if (c->indexes[i].predicate == NULL)
				continue;
			ResetExprContext(context);
			context->ecxt_scantuple = c->slot;
			counts[i] += ExecQual(c->indexes[i].predicate, context);
		}
	}
	for (int i = 0; i < c->nindexes; i++)
		if (c->indexes[i].predicate == NULL)
			counts[i] = all;
	table_endscan(scan);
}

/* Is the row that the index shows what the index says of it? */
static bool
is_under_its_key(Check *c, CheckedIndex *index, IndexScanDesc scan)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];

	if (!key_of(c, index, c->shown, values, nulls))
		return false;
	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index->relation); i++)
	{
		Form_pg_attribute attribute = key_attribute(index, i);
		bool		isnull;
		Datum		value = index_getattr(scan->xs_itup, i + 1, scan->xs_itupdesc, &isnull);

		if (isnull != nulls[i] ||
			(!isnull && !datum_image_eq(value, values[i], attribute->attbyval, attribute->attlen)))
			return false;
	}
	return true;
}

static void
check_index(Check *c, CheckedIndex *index, int64 expected)
{
	bool		btree = index->relation->rd_rel->relam == BTREE_AM_OID;
	IndexScanDesc scan = index_beginscan(c->table, index->relation, GetActiveSnapshot(), 0, 0);
	int64		n = 0;

	scan->xs_want_itup = btree;
	index_rescan(scan, NULL, 0, NULL, 0);
	while (!index->damaged && index_getnext_tid(scan, ForwardScanDirection) != NULL)
	{
		/* those of rows that are gone are legion, and do no harm */
		if (!index_fetch_heap(scan, c->shown))
			continue;
		if (++n % 1000 == 0)
			CHECK_FOR_INTERRUPTS();
		if (btree && !is_under_its_key(c, index, scan))
			fault(c, index, psprintf("another key for row (%u,%u)", ItemPointerGetBlockNumber(&c->shown->tts_tid),
									 ItemPointerGetOffsetNumber(&c->shown->tts_tid)));
	}
	index_endscan(scan);
	if (!index->damaged && n != expected)
		fault(c, index, psprintf(INT64_FORMAT " rows, the table has " INT64_FORMAT, n, expected));
}

static void
check_back(Check *c, int64 *bytes)
{
	int64	   *counts = palloc0(Max(c->nindexes, 1) * sizeof(int64));

	count_rows(c, counts);
	for (int i = 0; i < c->nindexes; i++)
	{
		check_index(c, &c->indexes[i], counts[i]);
		*bytes += (int64) RelationGetNumberOfBlocks(c->indexes[i].relation) * BLCKSZ;
	}
}

bool
ftc_indexes_check(int *table, int64 *page, int64 *bytes, FtcFaultCallback callback, void *arg)
{
	Check		c = {.callback = callback,.arg = arg};
	int64		pages;

	if (*table >= (int) lengthof(tables))
		return false;
	PushActiveSnapshot(GetLatestSnapshot());
	open_check(&c, tables[*table]);
	pages = RelationGetNumberOfBlocks(c.table);
	if (*page < pages)
	{
		int64		last = Min(*page + PAGES_AT_ONCE, pages) - 1;

		check_pages(&c, (BlockNumber) *page, (BlockNumber) last);
		*bytes += (last + 1 - *page) * BLCKSZ;
		*page = last + 1;
	}
	if (*page >= pages)
	{
		check_back(&c, bytes);
		*page = 0;
		(*table)++;
	}
	close_check(&c);
	PopActiveSnapshot();
	return *table < (int) lengthof(tables);
}

/* ----------------------------------------------------------------
 *		Repair
 * ----------------------------------------------------------------
 */

/*
 * Nobody who appends waits for long: with a lock that is not to be had now it is
 * tried again later.
 */
bool
ftc_indexes_rebuild(const char *what)
{
	Oid			namespace = get_namespace_oid("ftchain", false);
	Oid			index;
	Oid			table;
	int			level;

	if (strncmp(what, "index ", 6) != 0)
		return false;
	index = get_relname_relid(what + 6, namespace);
	table = OidIsValid(index) ? IndexGetRelation(index, true) : InvalidOid;
	if (!OidIsValid(table) || get_rel_namespace(table) != namespace)
		return false;
	level = NewGUCNestLevel();
	(void) set_config_option("lock_timeout", "1s", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	ftc_reindex(index, get_rel_persistence(index));
	AtEOXact_GUC(true, level);
	return true;
}

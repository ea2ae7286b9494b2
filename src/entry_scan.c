/*-------------------------------------------------------------------------
 *
 * entry_scan.c
 *	  Reading entries in the order of their ids.
 *
 * By the index itself, past SPI: every entry of a block is read to make it, to
 * send it and to verify it, and a statement would copy each row twice and may
 * take it into its head to sort them all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "compat.h"
#include "datum.h"
#include "identity.h"
#include "insertion.h"
#include "store.h"

#define SCAN_ROWS	1000		/* between two looks at interrupts and memory */
#define SCAN_BYTES	(8 * 1024 * 1024)	/* of payloads, likewise */
#define SCAN_GAP	1000		/* ids: shorter gaps are read over */

typedef struct EntryScan
{
	int32		chain;
	const FtcIds *ids;
	int			at;				/* range that the next id may be in */
	int32		origin;			/* whose member is known */
	FtcHash		member;
	Relation	table;
	Relation	index;
	TupleTableSlot *slot;
	MemoryContext context;		/* for some rows */
	int			nrows;			/* what is in it, about */
	size_t		nbytes;
	FtcEntryCallback callback;
	void	   *arg;
} EntryScan;

static FtcSlice
slice_or_none(const TupleTableSlot *slot, int column)
{
	return slot->tts_isnull[column] ? ftc_slice(NULL, 0) : ftc_datum_slice(slot->tts_values[column]);
}

/* What a row says; where it is damaged, no leaf is like it. */
static void
entry_from_slot(const TupleTableSlot *slot, FtcEntry *entry)
{
	const Datum *values = slot->tts_values;

	memset(entry, 0, sizeof(*entry));
	entry->seq = DatumGetInt64(values[FTC_ENTRY_SEQ]);
	entry->time = ftc_clock_from_timestamp(DatumGetTimestampTz(values[FTC_ENTRY_TIME]));
	entry->author = slice_or_none(slot, FTC_ENTRY_AUTHOR);
	entry->kind = slice_or_none(slot, FTC_ENTRY_KIND);
	entry->salt = slice_or_none(slot, FTC_ENTRY_SALT);
	entry->payload = slice_or_none(slot, FTC_ENTRY_PAYLOAD);
	entry->incarnation = DatumGetInt64(values[FTC_ENTRY_INCARNATION]);
}

/* One row: false to stop. */
static bool
scan_row(EntryScan *scan)
{
	const FtcIds *ids = scan->ids;
	FtcEntry	entry;
	uint64		id;
	int32		origin;

	slot_getsomeattrs(scan->slot, FTC_ENTRY_COLUMNS);
	if (DatumGetInt32(scan->slot->tts_values[FTC_ENTRY_CHAIN]) != scan->chain)
		return true;
	id = (uint64) DatumGetInt64(scan->slot->tts_values[FTC_ENTRY_ID]);
	while (scan->at < ids->n && ids->ranges[scan->at].last < id)
		scan->at++;
	if (scan->at >= ids->n || ids->ranges[scan->at].first > id)
		return true;			/* between two ranges */
	entry_from_slot(scan->slot, &entry);
	scan->nbytes += entry.payload.len;
	origin = DatumGetInt32(scan->slot->tts_values[FTC_ENTRY_ORIGIN]);
	if (origin != scan->origin)
	{
		MemoryContext outer = ftc_nest();

		scan->member = ftc_origin_member(origin);
		scan->origin = origin;
		ftc_unnest(outer);
	}
	entry.origin = scan->member;
	return scan->callback(scan->arg, (int64) id, &entry);
}

static void
forget_rows(EntryScan *scan)
{
	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(scan->context);
	scan->nrows = 0;
	scan->nbytes = 0;
}

/* All rows between two ids: false if stopped. */
static bool
scan_span(EntryScan *scan, uint64 first, uint64 last)
{
	ScanKeyData keys[2];
	IndexScanDesc index;
	bool		go_on = true;
	MemoryContext outer = MemoryContextSwitchTo(scan->context);

	ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum((int64) first));
	ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum((int64) last));
	MemoryContextSwitchTo(outer);
	index = index_beginscan(scan->table, scan->index, GetActiveSnapshot(), 2, 0);
	index_rescan(index, keys, 2, NULL, 0);
	/* what the index remembers of the scan must last until its end */
	while (go_on && index_getnext_slot(index, ForwardScanDirection, scan->slot))
	{
		MemoryContextSwitchTo(scan->context);
		go_on = scan_row(scan);
		MemoryContextSwitchTo(outer);
		if (++scan->nrows >= SCAN_ROWS || scan->nbytes >= SCAN_BYTES)
			forget_rows(scan);
	}
	index_endscan(index);
	forget_rows(scan);
	return go_on;
}

static void
altered(void)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("table \"ftchain.entry\" has been altered"));
}

Relation
ftc_entry_table(Oid table, LOCKMODE mode)
{
	static const Oid types[FTC_ENTRY_COLUMNS] = {
		INT8OID, INT8OID, XID8OID, TIMESTAMPTZOID, INT8OID, INT4OID, INT4OID, BYTEAOID, TEXTOID, TEXTOID, JSONOID
	};
	Relation	relation = table_open(table, mode);

	ftc_insertion_check(relation, types, FTC_ENTRY_COLUMNS);
	return relation;
}

static void
open_table(EntryScan *scan)
{
	Oid			namespace = get_namespace_oid("ftchain", false);
	Oid			index = get_relname_relid("entry_pkey", namespace);

	scan->table = ftc_entry_table(get_relname_relid("entry", namespace), AccessShareLock);
	if (!OidIsValid(index))
		altered();
	scan->index = index_open(index, AccessShareLock);
	if (scan->index->rd_index->indrelid != RelationGetRelid(scan->table) || !scan->index->rd_index->indisvalid ||
		scan->index->rd_index->indkey.values[0] != FTC_ENTRY_ID + 1)
		altered();
	scan->slot = table_slot_create(scan->table, NULL);
}

void
ftc_store_scan(int32 chain, const FtcIds *ids, FtcEntryCallback callback, void *arg)
{
	EntryScan	scan = {.chain = chain,.ids = ids,.origin = -1,.callback = callback,.arg = arg};
	int			i = 0;

	scan.context = AllocSetContextCreate(CurrentMemoryContext, "ftchain scan", ALLOCSET_DEFAULT_SIZES);
	ftc_push_snapshot();
	open_table(&scan);
	while (i < ids->n)
	{
		int			j = i;

		while (j + 1 < ids->n && ids->ranges[j + 1].first - ids->ranges[j].last <= SCAN_GAP)
			j++;
		if (!scan_span(&scan, ids->ranges[i].first, ids->ranges[j].last))
			break;
		i = j + 1;
	}
	ExecDropSingleTupleTableSlot(scan.slot);
	index_close(scan.index, NoLock);
	table_close(scan.table, NoLock);
	PopActiveSnapshot();
	MemoryContextDelete(scan.context);
}

/*-------------------------------------------------------------------------
 *
 * store.h
 *	  The ledger's tables: the only code that writes them, past the guards.
 *
 * All of these inside a scope (stmt.h); what they give lives in its memory.
 * Whoever adds blocks or switches branches holds the lock of the chain.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_STORE_H
#define FTC_STORE_H

#include "utils/rel.h"

#include "stmt.h"

#include "core/block.h"
#include "core/body.h"
#include "core/rules.h"
#include "core/state.h"

/* A block as stored. */
typedef struct FtcStored
{
	FtcHash		id;
	int32		chain;
	int64		arrival;
	bool		on_main;
	FtcHeader	header;
	FtcBlock	block;			/* without body */
	FtcTip		tip;
} FtcStored;

/* A bundle as stored. */
typedef struct FtcStoredBundle
{
	int64		id;
	int32		origin;
	int64		incarnation;
	int64		number;
	int32		count;
	int64		bytes;
	FtcSlice	head;
	FtcSignature signature;
	bool		held;
	Datum		seqs;			/* int8multirange */
	Datum		ids;			/* int8multirange, if held */
	FtcSlice	leaves;			/* leaf hashes, if held */
} FtcStoredBundle;

/* Copies of others' entries have ids from here on; see 10_tables.sql. */
#define FTC_COPY_ID_MIN UINT64CONST(4611686018427387904)
#define FTC_COPY_ID_MIN_SQL "4611686018427387904"

/* Ids of entries, as a list of ranges. */
typedef struct FtcIds
{
	FtcRange   *ranges;
	int			n;
	int			size;
} FtcIds;

/* Run a statement that the guards would refuse to others. */
extern uint64 ftc_store_write(FtcStmt *stmt, const Datum *args, const bool *nulls);

/*
 * Blocks.  height < 0 means the head of the main chain.  A block that is not
 * there gives false, FTC_UNKNOWN_PARENT; one that is damaged an error, its
 * reason.
 */
extern bool ftc_store_load(const FtcHash *id, FtcStored *stored);
extern FtcReason ftc_store_read(const FtcHash *id, FtcStored *stored);
extern bool ftc_store_load_main(int32 chain, int64 height, FtcStored *stored);
extern void ftc_store_load_head(int32 chain, FtcStored *stored);	/* or an error */
extern bool ftc_store_main_head(int32 chain, FtcHash *id);
extern int64 ftc_store_main_height(int32 chain);	/* -1 if there is none */
extern bool ftc_store_is_rejected(const FtcHash *id);
extern void ftc_store_reject(int32 chain, const FtcHash *id, const char *reason,
							 const FtcHash *source);

/*
 * Add a valid block with its state, controls and bundles; source is NULL for
 * our own.  Bundles that are known already are only referred to.
 */
extern void ftc_store_put_block(int32 chain, const FtcBlock *block, const FtcHeader *header,
								const FtcManifest *manifest, const FtcTip *tip,
								const FtcState *state, const FtcHash *source);

/* States. */
extern FtcState *ftc_store_load_state(const FtcHash *root); /* or an error */
extern FtcReason ftc_store_read_state(const FtcHash *root, FtcState **state);
extern void ftc_store_put_state(const FtcState *state);

/* Bodies.  Checked ones, with the leaf hashes that ftc_body_check() gave. */
extern bool ftc_store_has_body(const FtcHash *block);
extern void ftc_store_put_body(int32 chain, const FtcHash *block, FtcSlice body, const FtcHash *hashes);
extern bool ftc_store_load_body(int32 chain, const FtcHash *block, FtcSlice manifest, FtcSlice *body);

/* Put the entries of one bundle of a checked body in place of what is there. */
extern void ftc_store_replace_body(int32 chain, const FtcHash *block, FtcSlice body, const FtcHash *hashes);
extern void ftc_store_replace_block(int32 chain, const FtcHash *id, const FtcBlock *block);
extern void ftc_store_put_controls(int32 chain, const FtcHash *block, const FtcHeader *header,
								   const FtcManifest *manifest);
extern void ftc_store_put_bundles(int32 chain, const FtcHash *block, const FtcManifest *manifest);
extern int64 ftc_store_delete_entries(const FtcIds *ids);

/* The body of a block is here no more, but for bundles that are pending. */
extern void ftc_store_drop_body(const FtcHash *block);

/* Bundles. */
extern int	ftc_store_bundles(const FtcHash *block, FtcStoredBundle **bundles);
extern int64 ftc_store_put_bundle(int32 chain, int32 origin, const FtcBundle *bundle, FtcSlice head,
								  const FtcSignature *signature, const FtcIds *ids,
								  FtcSlice leaves, int64 bytes);

/* The columns of ftchain.entry, in its order. */
typedef enum FtcEntryColumn
{
	FTC_ENTRY_ID,
	FTC_ENTRY_SEQ,
	FTC_ENTRY_XID,
	FTC_ENTRY_TIME,
	FTC_ENTRY_INCARNATION,
	FTC_ENTRY_CHAIN,
	FTC_ENTRY_ORIGIN,
	FTC_ENTRY_SALT,
	FTC_ENTRY_AUTHOR,
	FTC_ENTRY_KIND,
	FTC_ENTRY_PAYLOAD,
	FTC_ENTRY_COLUMNS
} FtcEntryColumn;

/* Their table, locked; an error if somebody has altered its columns. */
extern Relation ftc_entry_table(Oid table, LOCKMODE mode);

/*
 * Call back for each entry of a held bundle, in order.  Its payload hash is not
 * computed; callback gives false to stop.
 */
typedef bool (*FtcEntryCallback) (void *arg, int64 id, FtcEntry *entry);
extern void ftc_store_scan(int32 chain, const FtcIds *ids, FtcEntryCallback callback, void *arg);

/*
 * The entries of a bundle that was made here, if all of them are still under the
 * numbers that append() gave them, as the bundle says: ids and leaf hashes in
 * order, and their length in a body.  Else false.
 */
typedef struct FtcOwnEntries
{
	FtcIds		ids;
	FtcHash    *leaves;
	uint32		count;
	int64		bytes;
} FtcOwnEntries;

extern bool ftc_store_find_own(int32 chain, const FtcBundle *bundle, FtcOwnEntries *own);

/* Of a block: bundles made here whose entries are found are held again; which wait is for the caller. */
extern void ftc_store_hold_own(int32 chain, const FtcManifest *manifest);

/*
 * Replace the main chain above the fork by these blocks, lowest first; bundles
 * of those that go are pending again, of those that come no longer.
 */
extern void ftc_store_switch(int32 chain, int64 fork_height, const FtcHash *blocks, int n);

extern void ftc_store_incident(int32 chain, const char *kind, int64 height,
							   const FtcHash *block, const FtcHash *member, const char *detail);

/* Lists of ids. */
extern void ftc_ids_init(FtcIds *ids);
extern void ftc_ids_add(FtcIds *ids, int64 first, int64 last);	/* any order, disjoint */
extern void ftc_ids_sort(FtcIds *ids);
extern int64 ftc_ids_count(const FtcIds *ids);
extern bool ftc_ids_read(Datum multirange, FtcIds *ids);	/* false without bounds */
extern FtcIds ftc_ids_from_datum(Datum multirange); /* or an error */
extern FtcIds ftc_ids_of_bundle(const FtcBundle *bundle);	/* its seqs */
extern Datum ftc_ids_datum(const FtcIds *ids);
extern bool ftc_ids_equal(const FtcIds *a, const FtcIds *b);

#endif							/* FTC_STORE_H */

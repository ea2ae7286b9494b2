/*-------------------------------------------------------------------------
 *
 * stmt.h
 *	  SQL statements of the extension: constant text, parameters, plans kept.
 *
 * All SQL that ftchain runs goes through here, between ftc_enter() and
 * ftc_leave(): as the worker role, whoever calls, and with a search_path of
 * pg_catalog and pg_temp.  An error in between is cleaned up by the abort of
 * the (sub)transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_STMT_H
#define FTC_STMT_H

#include "executor/spi.h"

#include "core/types.h"

#define FTC_STMT_ARGS_MAX 16

typedef struct FtcStmt
{
	const char *sql;
	int			nargs;
	Oid			argtypes[FTC_STMT_ARGS_MAX];
	bool		by_index;		/* few rows of a large table, whatever
								 * statistics say or do not say yet */
	SPIPlanPtr	plan;			/* made on first use in a backend */
} FtcStmt;

/* What ftc_enter() changes and ftc_leave() puts back. */
typedef struct FtcScope
{
	Oid			user;
	int			context;
	int			guc_level;
	bool		frozen;
	MemoryContext caller;		/* for what shall outlive the scope */
} FtcScope;

extern void ftc_enter(FtcScope *scope);

extern void ftc_leave(const FtcScope *scope);

/*
 * Between the two, in a loop: the results of statements and all memory go with
 * the end, and the result from before is the current one again.
 */
extern MemoryContext ftc_nest(void);	/* gives what was current */
extern void ftc_unnest(MemoryContext outer);

/*
 * Between the two every statement of the scope sees what is committed now, and
 * nothing that comes later; none may write.
 */
extern void ftc_freeze(void);
extern void ftc_freeze_latest(void);	/* "now" even in repeatable read */
extern void ftc_freeze_active(void);	/* as the active snapshot has it */
extern void ftc_thaw(void);

/* Make what statements see now the active snapshot, for a cursor. */
extern void ftc_push_snapshot(void);

/*
 * Run a statement; gives the number of rows.  Its result is in
 * SPI_tuptable until the next one runs.  nulls may be NULL.
 */
extern uint64 ftc_stmt_run(FtcStmt *stmt, const Datum *args, const bool *nulls);

/* The same under the active snapshot, not a new one, and without side effects. */
extern uint64 ftc_stmt_read(FtcStmt *stmt, const Datum *args, const bool *nulls);

#define FTC_ARGS(...)		((const Datum[]) {__VA_ARGS__})
#define ftc_run(stmt, ...)	ftc_stmt_run((stmt), FTC_ARGS(__VA_ARGS__), NULL)
#define ftc_read(stmt, ...)	ftc_stmt_read((stmt), FTC_ARGS(__VA_ARGS__), NULL)

/* Open a cursor under the active snapshot; close it with SPI_cursor_close(). */
extern Portal ftc_stmt_open(FtcStmt *stmt, const Datum *args);

/* Column (from 0) of a row (from 0) of the last result. */
extern Datum ftc_column(uint64 row, int column, bool *isnull);
extern Datum ftc_value(uint64 row, int column); /* an error if null */
extern FtcHash ftc_hash_value(uint64 row, int column);	/* an error if not 32
														 * bytes */
extern FtcSlice ftc_slice_value(uint64 row, int column);	/* in the SPI context */

#endif							/* FTC_STMT_H */

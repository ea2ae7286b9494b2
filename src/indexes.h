/*-------------------------------------------------------------------------
 *
 * indexes.h
 *	  The ledger's indexes, against their tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_INDEXES_H
#define FTC_INDEXES_H

#include "verify.h"

/*
 * The next pages of a table: is each row in each index?  At its end: does each
 * index show the rows of the table, as they are, and no others?  table counts
 * the tables from 0, page is where to go on; both are advanced.  bytes: how much
 * was read, added.  A fault is "index NAME".  False after the last table.
 */
extern bool ftc_indexes_check(int *table, int64 *page, int64 *bytes, FtcFaultCallback callback, void *arg);

/* Make an index anew, by the "what" of its fault; false if there is no such index. */
extern bool ftc_indexes_rebuild(const char *what);

#endif							/* FTC_INDEXES_H */

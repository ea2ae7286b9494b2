/*-------------------------------------------------------------------------
 *
 * insertion.h
 *	  Rows on their way into a table of ours, past SPI.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_INSERTION_H
#define FTC_INSERTION_H

#include "utils/rel.h"

typedef struct FtcInsertion FtcInsertion;

/* An error if the columns of a table are not of these types any more. */
extern void ftc_insertion_check(Relation table, const Oid *types, int n);

/*
 * Into a table that is open, with a RowExclusiveLock; the end closes it.  rows:
 * how many are to come, about.  alone: nobody else puts many there just now, so
 * free space need not be looked for, and many are not to drive all else out of the
 * server's buffers.
 */
extern FtcInsertion *ftc_insertion_begin(Relation table, int64 rows, bool alone);

/*
 * Values, as columns, the last one being the longest, must last until the end;
 * what is made for a row only is best made in the context.  Rows are seen after
 * the end.
 */
extern MemoryContext ftc_insertion_context(const FtcInsertion *in);
extern void ftc_insertion_add(FtcInsertion *in, const Datum *values, const bool *nulls);
extern void ftc_insertion_end(FtcInsertion *in);

#endif							/* FTC_INSERTION_H */

/*-------------------------------------------------------------------------
 *
 * ring_table.h
 *	  A table of rings and of the owners of keys on them, to be published.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RING_TABLE_H
#define RING_TABLE_H

#include <stdio.h>

#define RING_TABLE_FILE "ring_owners.txt"

/*
 * Lines "ring NAME COPIES", then "member ID WEIGHT ZONE" for each member, then
 * "key KEY ID ..." with the owners in order.  Words have no blanks.
 */
extern void ring_table_write(FILE *file);

#endif							/* RING_TABLE_H */

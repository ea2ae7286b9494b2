/*-------------------------------------------------------------------------
 *
 * area.c
 *	  What is told about links, in memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/dsm.h"

#include "area.h"

static FtcArea *area = NULL;	/* of this process */

/* Not an error: whatever is kept there are hints. */
static dsm_segment *
make_segment(FtcDatabaseSlot *database)
{
	dsm_segment *segment = dsm_create(sizeof(FtcArea), DSM_CREATE_NULL_IF_MAXSEGMENTS);
	FtcArea    *made;

	if (segment == NULL)
		return NULL;
	made = dsm_segment_address(segment);
	memset(made, 0, sizeof(*made));
	LWLockInitialize(&made->lock, ftc_shared()->lock.tranche);
	dsm_pin_segment(segment);
	database->area = dsm_segment_handle(segment);
	return segment;
}

FtcArea *
ftc_area(bool make)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database;
	dsm_segment *segment;

	if (area != NULL || !IsUnderPostmaster)
		return area;
	database = ftc_shared_database(MyDatabaseId, make);
	if (database == NULL)
		return NULL;
	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	if (database->area != 0)
		segment = dsm_attach(database->area);
	else
		segment = make ? make_segment(database) : NULL;
	LWLockRelease(&s->lock);
	if (segment == NULL)
		return NULL;
	dsm_pin_mapping(segment);
	area = dsm_segment_address(segment);
	return area;
}

void
ftc_area_free(FtcDatabaseSlot *database)
{
	if (database->area != 0)
		dsm_unpin_segment(database->area);
	database->area = 0;
}

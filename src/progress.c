/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  How far an export or import is, in pg_stat_progress_copy.
 *
 * It is what they are: bytes and rows on their way out or in.  "Rows" are blocks,
 * and those that are left out the ones that are here already.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/progress.h"
#include "utils/backend_progress.h"
#include "utils/lsyscache.h"

#include "export.h"

void
ftc_progress_begin(bool writing, int64 total)
{
	Oid			schema = get_namespace_oid("ftchain", true);
	Oid			block = OidIsValid(schema) ? get_relname_relid("block", schema) : InvalidOid;

	pgstat_progress_start_command(PROGRESS_COMMAND_COPY, block);
	pgstat_progress_update_param(PROGRESS_COPY_COMMAND, writing ? PROGRESS_COPY_COMMAND_TO : PROGRESS_COPY_COMMAND_FROM);
	pgstat_progress_update_param(PROGRESS_COPY_TYPE, PROGRESS_COPY_TYPE_FILE);
	pgstat_progress_update_param(PROGRESS_COPY_BYTES_TOTAL, total);
}

void
ftc_progress_report(int64 bytes, int64 blocks)
{
	pgstat_progress_update_param(PROGRESS_COPY_BYTES_PROCESSED, bytes);
	pgstat_progress_update_param(PROGRESS_COPY_TUPLES_PROCESSED, blocks);
}

void
ftc_progress_skipped(int64 blocks)
{
	pgstat_progress_update_param(PROGRESS_COPY_TUPLES_EXCLUDED, blocks);
}

void
ftc_progress_end(void)
{
	pgstat_progress_end_command();
}

/*-------------------------------------------------------------------------
 *
 * seal_keep.c
 *	  Keeping a candidate over a restart.
 *
 * Its content need not be kept: bundles and controls wait in their tables, and
 * from the same ones the same candidate is made.  What is lost without this are
 * its time, which is in the header, and how far the search has come.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "datum.h"
#include "seal.h"
#include "stmt.h"

static FtcStmt candidate_put = {
	.sql = "INSERT INTO ftchain.candidate (chain, header, attempts, since) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT (chain) DO UPDATE SET header = excluded.header, attempts = excluded.attempts,"
	" since = excluded.since",
	.nargs = 4,
	.argtypes = {INT4OID, BYTEAOID, INT8OID, TIMESTAMPTZOID},
};

static FtcStmt candidate_get = {
	.sql = "SELECT header, attempts, since FROM ftchain.candidate WHERE chain = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

void
ftc_seal_keep(int32 chain, const FtcHeader *header, uint64 attempts, uint64 since)
{
	ftc_run(&candidate_put, Int32GetDatum(chain), ftc_header_datum(header), Int64GetDatum((int64) attempts),
			TimestampTzGetDatum(ftc_clock_to_timestamp(since)));
}

static bool
is_same(const FtcHeader *a, const FtcHeader *b)
{
	FtcHash		id_a = ftc_header_id(a);
	FtcHash		id_b = ftc_header_id(b);

	return ftc_hash_equal(&id_a, &id_b);
}

void
ftc_seal_resume(int32 chain, FtcHeader *header, uint64 *attempts, uint64 *since)
{
	FtcHeader	kept;
	FtcHeader	again = *header;

	if (ftc_run(&candidate_get, Int32GetDatum(chain)) == 0 ||
		ftc_header_decode(&kept, ftc_slice_value(0, 0)) != FTC_OK ||
		!ftc_hash_equal(&kept.prev, &header->prev))
		return;
	*attempts = (uint64) DatumGetInt64(ftc_value(0, 1));
	*since = ftc_clock_from_timestamp(DatumGetTimestampTz(ftc_value(0, 2)));
	again.time = kept.time;
	again.nonce = kept.nonce;
	if (is_same(&again, &kept))
		*header = again;
}

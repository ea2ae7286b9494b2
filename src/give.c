/*-------------------------------------------------------------------------
 *
 * give.c
 *	  Bodies given to peers, in chunks.
 *
 * A body is made and checked as a whole, since what is damaged here must not
 * travel.  So that this is not done again for each chunk, a session keeps the one
 * that it gave last while there is more of it to come.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "chain.h"
#include "clock.h"
#include "core/chunk.h"
#include "datum.h"
#include "give.h"
#include "memory.h"
#include "receive.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_peer_body);

#define KEPT_US (30 * USECS_PER_SEC)
#define IN_USE_US (5 * USECS_PER_SEC)

/* A body as it travels, in memory of its own. */
typedef struct Kept
{
	MemoryContext context;		/* NULL: none */
	FtcHash		block;
	FtcSlice	bytes;
	uint64		used_at;
} Kept;

static Kept kept;

static void
forget_kept(void)
{
	if (kept.context != NULL)
		MemoryContextDelete(kept.context);
	kept.context = NULL;
}

void
ftc_give_tidy(void)
{
	if (kept.context != NULL && ftc_clock_steady() - kept.used_at > KEPT_US)
		forget_kept();
}

static bool
is_kept(const FtcHash *block)
{
	return kept.context != NULL && ftc_hash_equal(&kept.block, block);
}

/* The one that is kept, or made anew; false if it is not here, or not sound. */
static bool
find_body(const FtcStored *stored, FtcSlice *bytes)
{
	FtcSlice	body;
	size_t		prefix = ftc_chunk_prefix(stored->block.manifest);

	if (is_kept(&stored->id))
	{
		*bytes = kept.bytes;
		return true;
	}
	if (!ftc_store_has_body(&stored->id) ||
		!ftc_store_load_body(stored->chain, &stored->id, stored->block.manifest, &body) ||
		ftc_body_check(body, &stored->header.body, stored->header.leaves, NULL) != FTC_OK)
		return false;
	*bytes = ftc_slice(body.data + prefix, body.len - prefix);
	return true;
}

/* Its memory goes with the scope, so this is a copy. */
static void
keep(const FtcHash *block, FtcSlice bytes)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ftchain body given", ALLOCSET_DEFAULT_SIZES);
	uint8	   *copy = MemoryContextAllocHuge(context, bytes.len);

	memcpy(copy, bytes.data, bytes.len);
	forget_kept();
	MemoryContextSetParent(context, TopMemoryContext);
	kept.context = context;
	kept.block = *block;
	kept.bytes = ftc_slice(copy, bytes.len);
}

/*
 * Is there more of it to come?  Then it is kept for who asks next.  Another one that
 * is being given is kept rather than one that has just begun: who asks for several
 * goes through with one of them.
 */
static void
keep_or_forget(const FtcHash *block, FtcSlice bytes, uint64 at, uint64 given)
{
	bool		more = given < bytes.len;

	if (is_kept(block) && !more)
		forget_kept();
	else if (is_kept(block))
		kept.used_at = ftc_clock_steady();
	else if (more && (at > 0 || kept.context == NULL || ftc_clock_steady() - kept.used_at > IN_USE_US))
	{
		keep(block, bytes);
		kept.used_at = ftc_clock_steady();
	}
}

/* The chunk, in the caller's memory; false if the body is not to be had. */
static bool
give_chunk(const FtcScope *scope, const FtcStored *stored, uint64 at, uint64 most, Datum *values)
{
	FtcSlice	bytes;
	uint64		from;
	uint64		n;

	if (!find_body(stored, &bytes))
		return false;
	from = Min(at, bytes.len);
	n = Min(most, bytes.len - from);
	values[0] = Int64GetDatum((int64) bytes.len);
	values[1] = ftc_serve_bytes(scope, ftc_slice(bytes.data + from, n));
	keep_or_forget(&stored->id, bytes, from, from + n);
	return true;
}

static void
need_range(int encoding, int64 at, int most)
{
	if (encoding != FTC_ENCODING_ENTRIES)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("encoding %d is not known here", encoding));
	if (at < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"at\" is out of range: " INT64_FORMAT, at),
				errdetail("It may be from 0 on."));
	if (most < 1 || most > (int) FTC_CHUNK_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"most\" is out of range: %d", most),
				errdetail("It may be from 1 to %d.", (int) FTC_CHUNK_MAX));
}

Datum
ftchain_peer_body(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	FtcStored	stored;
	FtcHash		id;
	int64		at;
	Datum		values[3] = {0};
	bool		nulls[3] = {true, true, true};

	ftc_serve_need_not_null(fcinfo);
	id = ftc_arg_hash(PG_GETARG_DATUM(1), "id");
	at = PG_GETARG_INT64(3);
	need_range(PG_GETARG_INT32(2), at, PG_GETARG_INT32(4));
	ftc_memory_keep();
	ftc_enter(&scope);
	ftc_serve_need_chain_arg(&chain, PG_GETARG_DATUM(0));
	if (ftc_store_load(&id, &stored) && stored.chain == chain.id)
	{
		nulls[0] = nulls[1] = !give_chunk(&scope, &stored, (uint64) at, (uint64) PG_GETARG_INT32(4), values);
		if (at == 0)
			values[2] = ftc_serve_statements(&scope, &id, &nulls[2]);
	}
	ftc_leave(&scope);
	PG_RETURN_DATUM(ftc_serve_row(fcinfo, values, nulls));
}

/*-------------------------------------------------------------------------
 *
 * reading.c
 *	  Reading a body that is not here.
 *
 * A body to be read: ASKED (a place in shared memory) -> WANTED (rows of
 * cached_body and wanted) -> HELD (it has come) -> gone again, when there are too
 * many.  A session never waits for the network itself, but for its latch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "branch.h"
#include "clock.h"
#include "datum.h"
#include "guc.h"
#include "identity.h"
#include "inbox.h"
#include "place.h"
#include "reading.h"
#include "relief.h"
#include "safety.h"
#include "sharding.h"
#include "shared.h"
#include "step.h"
#include "stmt.h"
#include "store.h"
#include "trim.h"
#include "wake.h"

PG_FUNCTION_INFO_V1(ftchain_block_entries);

#define ASK_AGAIN_US (2 * USECS_PER_SEC)
#define LOOK_ANYWAY_MS 500

static FtcStmt cached_put = {
	.sql = "INSERT INTO ftchain.cached_body (block, chain) VALUES ($1, $2) ON CONFLICT (block) DO UPDATE SET asked = now()",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT4OID},
};

static FtcStmt cached_get = {
	.sql = "SELECT FROM ftchain.cached_body WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* Those that are here, and too much, from the one asked for last on; a shard is made of some before they go.  In any order: some may have to stay. */
static FtcStmt cached_sizes = {
	.sql = "SELECT t.block, t.height FROM (SELECT c.block, c.chain, m.height, c.asked, sum(s.bytes) OVER (ORDER BY c.asked DESC, c.block) AS upto"
	" FROM ftchain.cached_body c JOIN ftchain.main_chain m ON m.block = c.block,"
	" LATERAL (SELECT sum(u.bytes) AS bytes, bool_and(u.ids IS NOT NULL) AS held FROM ftchain.block_bundle b"
	" JOIN ftchain.bundle u ON u.id = b.bundle WHERE b.block = c.block) s WHERE s.held) t"
	" WHERE t.chain = $1 AND t.upto > $2"
	" AND NOT EXISTS (SELECT FROM ftchain.wanted_shard w WHERE w.block = t.block AND w.kept) ORDER BY random() LIMIT 100",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

/* It has become one of ours, or is none of the main chain any more: trimming and reorganising look after it. */
static FtcStmt cached_strays = {
	.sql = "SELECT c.block FROM ftchain.cached_body c WHERE c.chain = $1 AND"
	" (EXISTS (SELECT FROM ftchain.replica r WHERE r.block = c.block AND r.member = $2)"
	" OR NOT EXISTS (SELECT FROM ftchain.main_chain m WHERE m.block = c.block))"
	" AND NOT EXISTS (SELECT FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE b.block = c.block AND u.ids IS NULL AND NOT EXISTS (SELECT FROM ftchain.block_bundle o"
	" JOIN ftchain.main_chain m ON m.block = o.block WHERE o.bundle = u.id)) LIMIT 100",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

/*
 * What never came is asked for again if it is still wanted.  One that has given way
 * (branch.c) is wanted for as long as nobody carries what it holds: cached_strays.
 */
static FtcStmt cached_forget = {
	.sql = "DELETE FROM ftchain.cached_body c WHERE c.chain = $1 AND c.asked < now() - interval '1 h'"
	" AND EXISTS (SELECT FROM ftchain.main_chain m WHERE m.block = c.block)"
	" AND EXISTS (SELECT FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE b.block = c.block AND u.ids IS NULL)",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* What was wanted back is carried by the main chain again, in another block. */
static FtcStmt stray_unwant = {
	.sql = "DELETE FROM ftchain.wanted w WHERE w.block = $1"
	" AND NOT EXISTS (SELECT FROM ftchain.main_chain m WHERE m.block = w.block)"
	" AND NOT EXISTS (SELECT FROM ftchain.incomplete_block i WHERE i.block = w.block)",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt cached_drop = {
	.sql = "DELETE FROM ftchain.cached_body WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* ----------------------------------------------------------------
 *		What sessions ask for
 * ----------------------------------------------------------------
 */

/* The place of a body; a free one, or the one that was asked for longest ago. */
static FtcReadSlot *
read_slot(FtcDatabaseSlot *database, const FtcHash *block)
{
	FtcReadSlot *oldest = &database->reading[0];

	for (int i = 0; i < FTC_SHARED_READS; i++)
	{
		FtcReadSlot *slot = &database->reading[i];

		if (slot->chain != 0 && ftc_hash_equal(&slot->block, block))
			return slot;
		if (slot->said_at < oldest->said_at)
			oldest = slot;
	}
	return oldest;
}

static void
ask_for(int32 chain, const FtcHash *block)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, true);
	FtcReadSlot *slot;

	if (database == NULL)
		return;
	LWLockAcquire(&s->lock, LW_EXCLUSIVE);
	slot = read_slot(database, block);
	slot->chain = chain;
	slot->block = *block;
	slot->said_at = ftc_clock_steady();
	slot->taken = false;
	ftc_wake_latch(database->worker[FTC_WORKER_COURIER].process.proc);
	LWLockRelease(&s->lock);
}

/* Give what was asked for, and nobody has taken yet; of a chain, to take it, or of all (0). */
static int
take_asked(FtcReadSlot *asked, int32 chain)
{
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);
	int			n = 0;

	if (database == NULL)
		return 0;
	LWLockAcquire(&s->lock, chain != 0 ? LW_EXCLUSIVE : LW_SHARED);
	for (int i = 0; i < FTC_SHARED_READS; i++)
		if (database->reading[i].chain != 0 && !database->reading[i].taken &&
			(chain == 0 || database->reading[i].chain == chain))
		{
			asked[n++] = database->reading[i];
			if (chain != 0)
				database->reading[i].taken = true;
		}
	LWLockRelease(&s->lock);
	return n;
}

bool
ftc_reading_is_asked(void)
{
	FtcReadSlot asked[FTC_SHARED_READS];

	return take_asked(asked, 0) > 0;
}

void
ftc_reading_want(const FtcChain *chain, const FtcHash *block)
{
	if (ftc_store_has_body(block))
		return;
	ftc_run(&cached_put, ftc_hash_datum(block), Int32GetDatum(chain->id));
	ftc_inbox_want(chain, block);
	ftc_shards_want_parts(chain, block);
}

/* The first that was asked for; one that fails is asked for again, as long as somebody waits. */
bool
ftc_reading_take(void)
{
	FtcReadSlot asked[FTC_SHARED_READS];
	int			n = take_asked(asked, 0);
	FtcChain	chain;
	int32		id;

	if (n == 0)
		return false;
	id = asked[0].chain;
	n = take_asked(asked, id);
	if (!ftc_chain_by_id(&chain, id))
		return true;
	ftc_chain_lock(chain.id);
	for (int i = 0; i < n; i++)
		ftc_reading_want(&chain, &asked[i].block);
	return true;
}

bool
ftc_reading_wants(const FtcHash *block)
{
	return ftc_run(&cached_get, ftc_hash_datum(block)) > 0;
}

/* ----------------------------------------------------------------
 *		What is too much
 * ----------------------------------------------------------------
 */

typedef struct Cache
{
	const FtcChain *chain;
	FtcHash		self;
	FtcState   *state;
	FtcAsking	asking;
} Cache;

/*
 * One that others have been lost of is worth more than its room, and it may be the last
 * one: somebody has to have proved that it has another.  One of ours is none of the cache.
 */
static void
let_go(Cache *cache, const FtcHash *block, int64 height)
{
	if (ftc_relief_is_holder(cache->chain, cache->state, block, &cache->self) ||
		(ftc_safety_copies(cache->chain, cache->state, block) > ftc_safety_wanted(cache->state) &&
		 ftc_trim_is_proved_somewhere(cache->chain, cache->state, block, height, &cache->asking) &&
		 ftc_trim_drop(cache->chain, cache->state, block) > 0))
		ftc_run(&cached_drop, ftc_hash_datum(block));
}

static void
look_at_strays(const FtcChain *chain, const FtcHash *self)
{
	uint64		n = ftc_run(&cached_strays, Int32GetDatum(chain->id), ftc_hash_datum(self));
	FtcHash    *blocks = palloc(Max(n, 1) * sizeof(FtcHash));

	for (uint64 i = 0; i < n; i++)
		blocks[i] = ftc_hash_value(i, 0);
	if (n > 0)
		ftc_chain_lock(chain->id);
	for (uint64 i = 0; i < n; i++)
	{
		ftc_run(&cached_drop, ftc_hash_datum(&blocks[i]));
		ftc_run(&stray_unwant, ftc_hash_datum(&blocks[i]));
	}
}

void
ftc_reading_trim(const FtcChain *chain)
{
	Cache		cache = {.chain = chain};
	FtcIdentity self;
	FtcHash    *blocks;
	int64	   *heights;
	uint64		n;

	if (!ftc_identity_load(&self))
		return;
	cache.self = self.member;
	look_at_strays(chain, &self.member);
	n = ftc_run(&cached_sizes, Int32GetDatum(chain->id), Int64GetDatum((int64) ftc_guc_body_cache * 1024));
	blocks = palloc(Max(n, 1) * sizeof(FtcHash));
	heights = palloc(Max(n, 1) * sizeof(int64));
	for (uint64 i = 0; i < n; i++)
	{
		blocks[i] = ftc_hash_value(i, 0);
		heights[i] = DatumGetInt64(ftc_value(i, 1));
	}
	if (n > 0)
	{
		ftc_chain_lock(chain->id);
		cache.state = ftc_branch_current_state(chain->id);
	}
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext outer = ftc_nest();

		let_go(&cache, &blocks[i], heights[i]);
		ftc_unnest(outer);
	}
	if (cache.asking.drawn > 0)
		ftc_wake_at_commit(FTC_WAKE_COURIER);
	ftc_run(&cached_forget, Int32GetDatum(chain->id));
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

/* The block at a height, as things are now; is its body here? */
static bool
find_body(const char *name, int64 height, FtcChain *chain, FtcHash *block)
{
	FtcScope	scope;
	FtcStored	stored;
	bool		has;

	ftc_enter(&scope);
	ftc_chain_need(chain, name);
	ftc_freeze_latest();
	if (height < 0 || !ftc_store_load_main(chain->id, height, &stored))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("chain \"%s\" has no block at height %lld", name, (long long) height));
	*block = stored.id;
	has = ftc_store_has_body(block);
	ftc_thaw();
	ftc_leave(&scope);
	return has;
}

/* It comes, or an error: nothing is held meanwhile but the caller's own snapshot. */
static void
await_body(const char *name, int64 height, uint64 timeout, FtcChain *chain, FtcHash *block)
{
	uint64		start = ftc_clock_steady();
	uint64		asked_at = 0;

	ftc_wake_expect();
	while (!find_body(name, height, chain, block))
	{
		uint64		now = ftc_clock_steady();

		if (now - start >= timeout)
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("the body of block %lld of chain \"%s\" is not here, and did not come in time",
						   (long long) height, name),
					errhint("It is fetched from its owners, which ftchain.place() shows, by the workers or by ftchain.sync()."));
		if (asked_at == 0 || now - asked_at >= ASK_AGAIN_US)
		{
			ask_for(chain->id, block);
			asked_at = now;
		}
		ftc_wake_await((long) Min((timeout - (now - start)) / 1000 + 1, LOOK_ANYWAY_MS));
	}
	ftc_wake_expected();
}

typedef struct Output
{
	ReturnSetInfo *rsinfo;
	Datum		origin;
	int64		incarnation;
	int32		position;
	uint64		left;			/* of the bundle */
} Output;

static bool
put_entry(void *arg, int64 id, FtcEntry *entry)
{
	Output	   *out = arg;
	Datum		values[8];
	bool		nulls[8] = {false};

	out->left--;
	values[0] = Int32GetDatum(++out->position);
	values[1] = out->origin;
	values[2] = Int64GetDatum(out->incarnation);
	values[3] = Int64GetDatum((int64) entry->seq);
	values[4] = TimestampTzGetDatum(ftc_clock_to_timestamp(entry->time));
	values[5] = PointerGetDatum(ftc_slice_text(entry->author));
	values[6] = PointerGetDatum(ftc_slice_text(entry->kind));
	values[7] = PointerGetDatum(ftc_slice_text(entry->payload));
	tuplestore_putvalues(out->rsinfo->setResult, out->rsinfo->setDesc, values, nulls);
	return true;
}

pg_noreturn static void
refuse_damaged(const FtcHash *block)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("block %s is damaged: %s", ftc_hash_hex(block), "a bundle"),
			errhint("See ftchain.verify() and ftchain.repair()."));
}

/* False if it has gone again. */
static bool
put_entries(const FtcChain *chain, const FtcHash *block, ReturnSetInfo *rsinfo)
{
	Output		out = {.rsinfo = rsinfo};
	FtcStoredBundle *bundles;
	int			n = ftc_store_bundles(block, &bundles);

	for (int i = 0; i < n; i++)
	{
		FtcBundle	bundle;
		FtcIds		ids;

		if (!bundles[i].held)
			return false;
		if (!ftc_ids_read(bundles[i].ids, &ids) || ftc_bundle_leaf_decode(&bundle, bundles[i].head) != FTC_OK)
			refuse_damaged(block);
		out.left = bundle.count;
		out.origin = ftc_hash_datum(&bundle.origin);
		out.incarnation = (int64) bundle.incarnation;
		ftc_store_scan(chain->id, &ids, put_entry, &out);
		if (out.left != 0)
			refuse_damaged(block);
	}
	return true;
}

Datum
ftchain_block_entries(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = ftc_place_chain_arg(fcinfo);
	uint64		timeout = ftc_arg_timeout(fcinfo, 2);
	FtcScope	scope;
	FtcChain	chain;
	FtcHash		block;
	bool		done;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("\"%s\" must not be null", "height"));
	InitMaterializedSRF(fcinfo, 0);
	do
	{
		tuplestore_clear(rsinfo->setResult);
		await_body(name, PG_GETARG_INT64(1), timeout, &chain, &block);
		ftc_enter(&scope);
		ftc_freeze_latest();
		done = put_entries(&chain, &block, rsinfo);
		ftc_thaw();
		ftc_leave(&scope);
	} while (!done);
	return (Datum) 0;
}

/*-------------------------------------------------------------------------
 *
 * restore.c
 *	  Putting rows of the ledger right, from a sound block or from links.
 *
 * All that other tables say of a block follows from its bytes; and which
 * blocks are on the main chain follows from the best of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "chain.h"
#include "copies.h"
#include "core/pow.h"
#include "datum.h"
#include "identity.h"
#include "restore.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"

/* A row that has the bytes of a block, under another id. */
static FtcStmt block_rename = {
	.sql = "UPDATE ftchain.block SET id = $1 WHERE sha256(header) = $1 AND id <> $1"
	" AND NOT EXISTS (SELECT FROM ftchain.block WHERE id = $1)",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt controls_drop = {
	.sql = "DELETE FROM ftchain.control WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* What the block lists now, in its order. */
static FtcStmt listed_bundles = {
	.sql = "SELECT u.id, u.digest FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE b.block = $1 ORDER BY b.\"position\"",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt bundle_find = {
	.sql = "SELECT id FROM ftchain.bundle WHERE chain = $1 AND digest = $2",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt bundle_fix = {
	.sql = "UPDATE ftchain.bundle SET chain = $2, origin = $3, incarnation = $4, number = $5, count = $6,"
	" digest = $7, head = $8, signature = $9, seqs = $10 WHERE id = $1",
	.nargs = 10,
	.argtypes = {INT8OID, INT4OID, INT4OID, INT8OID, INT8OID, INT4OID, BYTEAOID, BYTEAOID, BYTEAOID, INT8MULTIRANGEOID},
};

static FtcStmt block_bundles_drop = {
	.sql = "DELETE FROM ftchain.block_bundle WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt best_blocks = {
	.sql = "(SELECT b.id, b.work FROM ftchain.block b WHERE b.chain = $1"
	" AND NOT EXISTS (SELECT FROM ftchain.incomplete_block i WHERE i.block = b.id)"
	" ORDER BY b.work DESC, b.arrival LIMIT 10)"
	/* others may be better, and not for us */
	" UNION ALL (SELECT b.id, b.work FROM ftchain.main_chain m JOIN ftchain.block b ON b.id = m.block WHERE m.chain = $1"
	" ORDER BY m.height DESC LIMIT 1)",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* Blocks on the list, and here, that a way leaves out. */
static FtcStmt main_left = {
	.sql = "SELECT count(*) FROM ftchain.main_chain m JOIN ftchain.block b ON b.id = m.block"
	" LEFT JOIN unnest($2) AS u (block) ON u.block = m.block WHERE m.chain = $1 AND u.block IS NULL",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAARRAYOID},
};

static FtcStmt main_differs = {
	.sql = "SELECT count(*) FROM ftchain.main_chain m FULL JOIN unnest($2) WITH ORDINALITY AS u (block, n)"
	" ON m.chain = $1 AND m.height = u.n - 1 WHERE (m.chain = $1 OR m.chain IS NULL)"
	" AND m.block IS DISTINCT FROM u.block",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAARRAYOID},
};

static FtcStmt main_drop = {
	.sql = "DELETE FROM ftchain.main_chain m WHERE (m.chain = $1 OR m.block = ANY ($2)) AND NOT EXISTS"
	" (SELECT FROM unnest($2) WITH ORDINALITY AS u (block, n)"
	" WHERE m.chain = $1 AND m.height = u.n - 1 AND m.block = u.block)",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAARRAYOID},
};

static FtcStmt main_fill = {
	.sql = "INSERT INTO ftchain.main_chain (chain, height, block) SELECT $1, u.n - 1, u.block"
	" FROM unnest($2) WITH ORDINALITY AS u (block, n) ON CONFLICT DO NOTHING",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAARRAYOID},
};

/* Held bundles that no block of the main chain holds, and no others. */
static FtcStmt pending_fill = {
	.sql = "INSERT INTO ftchain.pending_bundle (bundle, chain) SELECT u.id, u.chain FROM ftchain.bundle u"
	" WHERE u.chain = $1 AND u.ids IS NOT NULL AND NOT EXISTS"
	" (SELECT FROM ftchain.block_bundle b JOIN ftchain.main_chain m ON m.block = b.block WHERE b.bundle = u.id)"
	" ON CONFLICT DO NOTHING",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* The same of those that a block lists: which blocks list the others may not be known yet. */
static FtcStmt pending_fill_listed = {
	.sql = "INSERT INTO ftchain.pending_bundle (bundle, chain) SELECT u.id, u.chain FROM ftchain.bundle u"
	" WHERE u.chain = $1 AND u.ids IS NOT NULL AND EXISTS (SELECT FROM ftchain.block_bundle l WHERE l.bundle = u.id)"
	" AND NOT EXISTS (SELECT FROM ftchain.block_bundle b JOIN ftchain.main_chain m ON m.block = b.block WHERE b.bundle = u.id)"
	" ON CONFLICT DO NOTHING",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt pending_trim = {
	.sql = "DELETE FROM ftchain.pending_bundle p WHERE p.chain = $1 AND EXISTS"
	" (SELECT FROM ftchain.block_bundle b JOIN ftchain.main_chain m ON m.block = b.block WHERE b.bundle = p.bundle)",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* Whose block is gone: it lists them again when it comes. */
static FtcStmt listed_for_none = {
	.sql = "DELETE FROM ftchain.block_bundle l WHERE NOT EXISTS (SELECT FROM ftchain.block b WHERE b.id = l.block)"
	" AND NOT EXISTS (SELECT FROM ftchain.main_chain m WHERE m.block = l.block)",
};

static FtcStmt pending_gone = {
	.sql = "DELETE FROM ftchain.pending_bundle p WHERE NOT EXISTS (SELECT FROM ftchain.bundle u WHERE u.id = p.bundle)",
};

/* The highest first: the main chain may still come to be theirs. */
static FtcStmt side_blocks = {
	.sql = "SELECT b.id FROM ftchain.block b WHERE b.chain = $1"
	" AND EXISTS (SELECT FROM ftchain.block_bundle l WHERE l.block = b.id"
	" AND NOT EXISTS (SELECT FROM ftchain.bundle u WHERE u.id = l.bundle))"
	" AND NOT EXISTS (SELECT FROM ftchain.main_chain m WHERE m.block = b.id) ORDER BY b.height DESC, b.id LIMIT $2",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

/* ----------------------------------------------------------------
 *		A block
 * ----------------------------------------------------------------
 */

static void
restore_controls(const FtcChain *chain, const FtcHash *id, const FtcHeader *header,
				 const FtcManifest *manifest)
{
	ftc_store_write(&controls_drop, FTC_ARGS(ftc_hash_datum(id)), NULL);
	ftc_store_put_controls(chain->id, id, header, manifest);
}

/* The bundle of the list that has this digest, or one of no use otherwise. */
static int64
find_bundle(const FtcChain *chain, const FtcHash *digest, int64 listed)
{
	if (ftc_run(&bundle_find, Int32GetDatum(chain->id), ftc_hash_datum(digest)) > 0)
		return DatumGetInt64(ftc_value(0, 0));
	return listed;
}

/*
 * Bundle rows as the manifest says, and the list of them.  A row whose digest is
 * wrong is known by its place in the list; where there is none, a new one is
 * made, whose entries are not held.
 */
static void
restore_bundles(const FtcChain *chain, const FtcHash *id, const FtcManifest *manifest)
{
	uint64		n = ftc_run(&listed_bundles, ftc_hash_datum(id));
	int64	   *listed = palloc0(Max(manifest->nbundles, 1) * sizeof(int64));
	FtcReader	at = manifest->bundles;

	if (n == manifest->nbundles)
		for (uint64 i = 0; i < n; i++)
			listed[i] = DatumGetInt64(ftc_value(i, 0));
	for (uint32 i = 0; i < manifest->nbundles; i++)
	{
		FtcBundle	bundle;
		FtcSignature signature;
		FtcSlice	head = ftc_manifest_next_bundle(&at, &bundle, &signature);
		FtcHash		digest = ftc_bundle_digest(head);
		FtcIds		seqs = ftc_ids_of_bundle(&bundle);
		int32		origin = ftc_origin_number(&bundle.origin);

		listed[i] = find_bundle(chain, &digest, listed[i]);
		if (listed[i] != 0)
			ftc_store_write(&bundle_fix, FTC_ARGS(Int64GetDatum(listed[i]), Int32GetDatum(chain->id),
												  Int32GetDatum(origin), Int64GetDatum((int64) bundle.incarnation),
												  Int64GetDatum((int64) bundle.number), Int32GetDatum(bundle.count),
												  ftc_hash_datum(&digest), ftc_slice_datum(head),
												  ftc_signature_datum(&signature), ftc_ids_datum(&seqs)), NULL);
	}
	ftc_store_write(&block_bundles_drop, FTC_ARGS(ftc_hash_datum(id)), NULL);
	ftc_store_put_bundles(chain->id, id, manifest);
}

void
ftc_restore_block(const FtcChain *chain, const FtcHash *id, const FtcBlock *block)
{
	FtcHeader	header;
	FtcManifest manifest;

	if (ftc_header_decode(&header, block->header) != FTC_OK ||
		ftc_manifest_decode(&manifest, block->manifest) != FTC_OK)
		elog(ERROR, "a sound block became unsound");
	ftc_store_write(&block_rename, FTC_ARGS(ftc_hash_datum(id)), NULL);
	ftc_store_replace_block(chain->id, id, block);
	restore_controls(chain, id, &header, &manifest);
	restore_bundles(chain, id, &manifest);
	ftc_store_hold_own(chain->id, &manifest);
}

void
ftc_restore_leftovers(const FtcChain *chain)
{
	ftc_store_write(&listed_for_none, NULL, NULL);
	ftc_run(&pending_gone, 0);
	ftc_run(&pending_trim, Int32GetDatum(chain->id));
	ftc_run(&pending_fill, Int32GetDatum(chain->id));
}

int
ftc_restore_side_blocks(const FtcChain *chain, FtcHash *ids, int n)
{
	int			found = (int) ftc_run(&side_blocks, Int32GetDatum(chain->id), Int64GetDatum(n));

	for (int i = 0; i < found; i++)
		ids[i] = ftc_hash_value(i, 0);
	return found;
}

/* ----------------------------------------------------------------
 *		Links
 * ----------------------------------------------------------------
 */

/* A way down from a block. */
typedef struct Way
{
	FtcHash    *ids;			/* by height */
	int64		top;
	FtcHash		missing;
	int64		missing_height; /* -1: the way leads to the genesis */
} Way;

/* False if it does not end in the genesis, or has not the work it claims. */
static bool
follow(const FtcChain *chain, const FtcHash *from, const FtcHash *claimed, Way *way)
{
	FtcU256		work = ftc_u256_from_u64(0);
	FtcStored	at;
	FtcHash		total;
	FtcHash		id = *from;

	way->missing_height = -1;
	if (ftc_store_read(&id, &at) != FTC_OK)
		return false;
	way->top = (int64) at.header.height;
	way->ids = palloc_extended((way->top + 1) * sizeof(FtcHash), MCXT_ALLOC_HUGE);
	for (int64 height = way->top; height >= 0; height--)
	{
		MemoryContext outer = ftc_nest();
		FtcReason	reason = ftc_store_read(&id, &at);
		FtcU256		step;

		ftc_unnest(outer);
		CHECK_FOR_INTERRUPTS();
		if (reason != FTC_OK)
		{
			way->missing = id;
			way->missing_height = height;
			return false;
		}
		if ((int64) at.header.height != height)
			return false;
		step = ftc_pow_work(at.header.bits);
		work = ftc_u256_add(&work, &step);
		way->ids[height] = id;
		id = at.header.prev;
	}
	total = ftc_u256_to_hash(&work);
	return ftc_hash_equal(&way->ids[0], &chain->genesis) && ftc_hash_equal(&total, claimed);
}

/*
 * A branch that leaves the list deeper than the chain's limit is not taken for its
 * work, also not where the list is damaged.
 */
static bool
is_too_deep(const FtcChain *chain, const Way *way)
{
	FtcStored	top;
	FtcState   *state;
	int64		left;

	ftc_run(&main_left, Int32GetDatum(chain->id), PointerGetDatum(ftc_hashes_array(way->ids, (int) way->top + 1)));
	left = DatumGetInt64(ftc_value(0, 0));
	return left > 0 && ftc_store_read(&way->ids[way->top], &top) == FTC_OK &&
		ftc_store_read_state(&top.header.state, &state) == FTC_OK && left > (int64) state->params.reorg_limit;
}

#define CANDIDATES 11

FtcRelinked
ftc_restore_links(const FtcChain *chain, bool dry_run, FtcHash *missing, int64 *height)
{
	uint64		n = ftc_run(&best_blocks, Int32GetDatum(chain->id));
	FtcHash		ids[CANDIDATES];
	FtcHash		works[CANDIDATES];
	Datum		list;
	Way			way;
	bool		found = false;

	for (uint64 i = 0; i < n; i++)
	{
		ids[i] = ftc_hash_value(i, 0);
		if (!ftc_datum_hash(ftc_value(i, 1), &works[i]))
			works[i] = ftc_hash_zero;
	}
	*height = -1;
	for (uint64 i = 0; i < n && !found && *height < 0; i++)
	{
		found = follow(chain, &ids[i], &works[i], &way) && !is_too_deep(chain, &way);
		if (!found && way.missing_height >= 0 && *height < 0)
		{
			*missing = way.missing;
			*height = way.missing_height;
		}
	}
	if (!found || *height >= 0)
		return FTC_LINKS_BROKEN;
	list = PointerGetDatum(ftc_hashes_array(way.ids, (int) way.top + 1));
	ftc_run(&main_differs, Int32GetDatum(chain->id), list);
	if (DatumGetInt64(ftc_value(0, 0)) == 0)
		return FTC_LINKS_SOUND;
	if (!dry_run)
	{
		ftc_copies_forget(chain->id, 0);
		ftc_store_write(&main_drop, FTC_ARGS(Int32GetDatum(chain->id), list), NULL);
		ftc_run(&main_fill, Int32GetDatum(chain->id), list);
		ftc_run(&pending_trim, Int32GetDatum(chain->id));
		ftc_run(&pending_fill_listed, Int32GetDatum(chain->id));
		ftc_chain_invalidate();
		ftc_wake_new_head(chain->id);
	}
	return FTC_LINKS_RESTORED;
}

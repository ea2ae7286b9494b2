/*-------------------------------------------------------------------------
 *
 * repair.c
 *	  From damage found to damage repaired.
 *
 * Damage: FOUND (a row of ftchain.damage) -> REPAIRED (its time is set), by a
 * block that another member gave and that was verified against the id by
 * which the chain knows it.  What was there before goes into quarantine.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "alarm.h"
#include "branch.h"
#include "core/block.h"
#include "core/sha256.h"
#include "datum.h"
#include "failpoint.h"
#include "guc.h"
#include "identity.h"
#include "indexes.h"
#include "peer.h"
#include "repair.h"
#include "restore.h"
#include "scrub.h"
#include "seal.h"
#include "step.h"
#include "stmt.h"
#include "store.h"
#include "verify.h"

PG_FUNCTION_INFO_V1(ftchain_repair);

static FtcStmt damaged_blocks = {
	.sql = "SELECT d.height, d.block, string_agg(DISTINCT d.what, ', '),"
	" bool_or(d.what LIKE 'entry%' OR d.what LIKE 'leaf%' OR d.what LIKE 'list%' OR d.what LIKE 'body%'),"
	" bool_or(NOT (d.what LIKE 'entry%' OR d.what LIKE 'leaf%' OR d.what LIKE 'list%' OR d.what LIKE 'body%')),"
	" bool_or(d.what LIKE 'state%')"
	" FROM ftchain.damage d WHERE d.chain = $1 AND d.repaired IS NULL AND d.block IS NOT NULL AND d.height > $2"
	" AND d.what NOT IN ('height missing', 'broken link', 'head changed')"
	" GROUP BY d.height, d.block ORDER BY d.height LIMIT 20",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

static FtcStmt damaged_indexes = {
	.sql = "SELECT DISTINCT what FROM ftchain.damage WHERE chain = $1 AND repaired IS NULL AND what LIKE 'index %'",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt index_repaired = {
	.sql = "UPDATE ftchain.damage SET repaired = now() WHERE what = $1 AND repaired IS NULL",
	.nargs = 1,
	.argtypes = {TEXTOID},
};

/*
 * Blocks damaged since the alarm was last lifted.  One state, or one link, may
 * lie under any number of blocks.
 */
static FtcStmt much_damaged = {
	.sql = "SELECT count(DISTINCT d.block), (SELECT coalesce(max(m.height), 0) FROM ftchain.main_chain m WHERE m.chain = $1)"
	" FROM ftchain.damage d WHERE d.chain = $1 AND d.repaired IS NULL AND d.what NOT LIKE '%state%'"
	" AND d.what NOT IN ('height missing', 'broken link', 'head changed')"
	" AND d.detected > coalesce((SELECT a.lifted FROM ftchain.alarm a WHERE a.chain = $1 AND a.kind = $2), '-infinity')",
	.nargs = 2,
	.argtypes = {INT4OID, TEXTOID},
};

static FtcStmt own_row = {
	.sql = "SELECT header, signature, manifest, proof FROM ftchain.block WHERE id = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* The same bytes under another id. */
static FtcStmt stray_row = {
	.sql = "SELECT header, signature, manifest, proof FROM ftchain.block WHERE sha256(header) = $1 LIMIT 1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt damaged_states = {
	.sql = "SELECT DISTINCT decode(expected, 'hex') FROM ftchain.damage"
	" WHERE chain = $1 AND repaired IS NULL AND what LIKE 'state%'",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt main_controls = {
	.sql = "SELECT c.height, c.leaf FROM ftchain.control c JOIN ftchain.main_chain m ON m.block = c.block"
	" WHERE c.chain = $1 AND c.height > 0 ORDER BY c.height, c.\"position\"",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt state_drop = {
	.sql = "DELETE FROM ftchain.epoch_state WHERE root = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* Those that are in no bundle now, nor wait for one: where lists were repaired, they belong again. */
static FtcStmt stray_damage = {
	.sql = "SELECT d.entry FROM ftchain.damage d JOIN ftchain.entry e ON e.id = d.entry"
	" LEFT JOIN ftchain.seal_state s ON s.chain = e.chain WHERE d.chain = $1 AND d.repaired IS NULL AND d.what = 'extra entry'"
	" AND NOT EXISTS (SELECT FROM ftchain.bundle u WHERE u.ids @> d.entry) AND NOT (" FTC_ENTRY_WAITS("$2") ") ORDER BY d.entry",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

/*
 * While it is not known which entries bundles hold, one that seems to belong
 * nowhere may belong to them.
 */
static FtcStmt lists_damaged = {
	.sql = "SELECT FROM ftchain.damage WHERE chain = $1 AND repaired IS NULL"
	" AND what NOT IN ('extra entry', 'entry changed', 'entry missing', 'leaf hashes changed')"
	" AND what NOT LIKE 'index %' LIMIT 1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt stray_settled = {
	.sql = "UPDATE ftchain.damage d SET repaired = now() WHERE d.chain = $1 AND d.repaired IS NULL AND d.what = 'extra entry'"
	" AND (EXISTS (SELECT FROM ftchain.bundle u WHERE u.ids @> d.entry)"
	" OR NOT EXISTS (SELECT FROM ftchain.entry e WHERE e.id = d.entry AND e.chain = $1))",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/*
 * Appended here, as append() leaves it, and in no bundle that is known: the one that
 * it was in is lost, or the list of what waits.
 */
static FtcStmt stray_own = {
	.sql = "UPDATE ftchain.damage d SET repaired = now() WHERE d.chain = $1 AND d.repaired IS NULL AND d.what = 'extra entry'"
	" AND EXISTS (SELECT FROM ftchain.entry e JOIN ftchain.origin o ON o.id = e.origin JOIN ftchain.identity i ON i.member = o.member"
	" WHERE e.id = d.entry AND e.id < " FTC_COPY_ID_MIN_SQL " AND e.seq = e.id AND e.xid IS NOT NULL"
	" AND NOT EXISTS (SELECT FROM ftchain.bundle u WHERE u.chain = e.chain"
	" AND u.origin = e.origin AND u.incarnation = e.incarnation AND u.seqs @> e.seq))",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/*
 * What was wrong with a block that the main chain has given up since: nothing rests
 * on it any more.
 */
static FtcStmt left_behind = {
	.sql = "UPDATE ftchain.damage d SET repaired = now() WHERE d.chain = $1 AND d.repaired IS NULL AND d.block IS NOT NULL"
	" AND d.what NOT IN ('block missing', 'header changed', 'header', 'signature', 'manifest changed')"
	" AND NOT EXISTS (SELECT FROM ftchain.main_chain m WHERE m.block = d.block)",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt bundles_missing = {
	.sql = "SELECT FROM ftchain.damage WHERE chain = $1 AND repaired IS NULL AND what = '" FTC_BUNDLES_MISSING "'",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt bundles_settled = {
	.sql = "UPDATE ftchain.damage SET repaired = now() WHERE chain = $1 AND repaired IS NULL AND what = '" FTC_BUNDLES_MISSING "'",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt block_repaired = {
	.sql = "UPDATE ftchain.damage SET repaired = now() WHERE chain = $1 AND block = $2 AND repaired IS NULL"
	" AND (what <> 'block missing' OR EXISTS (SELECT FROM ftchain.main_chain m WHERE m.block = $2))",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

/* A block may have been refused for what was wrong here. */
static FtcStmt rejected_forget = {
	.sql = "DELETE FROM ftchain.rejected WHERE chain = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt entry_repaired = {
	.sql = "UPDATE ftchain.damage SET repaired = now() WHERE chain = $1 AND entry = $2 AND repaired IS NULL",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

static FtcStmt promised = {
	.sql = "SELECT FROM ftchain.replica r JOIN ftchain.identity i ON i.member = r.member WHERE r.block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt bundle_held = {
	.sql = "SELECT FROM ftchain.bundle WHERE chain = $1 AND digest = $2 AND ids IS NOT NULL",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt servers = {
	.sql = "SELECT server FROM ftchain.peer ORDER BY server",
};

static FtcStmt quarantine_block = {
	.sql = "INSERT INTO ftchain.quarantine (chain, block, content)"
	" SELECT b.chain, b.id, row_to_json(b) FROM ftchain.block b WHERE b.id = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt quarantine_entries = {
	.sql = "INSERT INTO ftchain.quarantine (chain, block, entry, content)"
	" SELECT e.chain, $3, e.id, row_to_json(e) FROM ftchain.entry e WHERE e.chain = $1 AND e.id IN"
	" (SELECT d.entry FROM ftchain.damage d WHERE d.chain = $1 AND d.repaired IS NULL"
	" AND (d.block = $3 OR d.entry = $2))",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, BYTEAOID},
};

/* Damage that lies in the list of the main chain, or may. */
static FtcStmt link_damage = {
	.sql = "SELECT string_agg(DISTINCT what, ', '), min(height) FROM ftchain.damage WHERE chain = $1 AND repaired IS NULL"
	" AND what IN ('height missing', 'broken link', 'head changed', 'block missing', 'height')",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* What is found again is recorded again. */
static FtcStmt links_repaired = {
	.sql = "UPDATE ftchain.damage SET repaired = now() WHERE chain = $1 AND repaired IS NULL"
	" AND what IN ('height missing', 'broken link', 'head changed', 'block missing', 'height')",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* ----------------------------------------------------------------
 *		Sound copies
 * ----------------------------------------------------------------
 */

/* The current error, and the subtransaction that it is of, are over. */
static char *
roll_back(MemoryContext outer)
{
	ErrorData  *error;

	MemoryContextSwitchTo(outer);
	error = CopyErrorData();
	FlushErrorState();
	RollbackAndReleaseCurrentSubTransaction();
	/* what the user cancels must not be taken for a failure */
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	return error->message;
}

/* Does this block, from wherever, deserve its id?  And its body, if it has one? */
static bool
is_sound(const FtcBlock *block, const FtcHash *id, const FtcHash *genesis, bool with_body)
{
	FtcHash		hash = ftc_sha256(block->header);
	FtcHeader	header;
	FtcManifest manifest;
	FtcState   *state;
	const FtcMember *proposer;

	if (!ftc_hash_equal(&hash, id) || ftc_header_decode(&header, block->header) != FTC_OK ||
		ftc_manifest_decode(&manifest, block->manifest) != FTC_OK ||
		ftc_manifest_verify(&manifest, block->proof, &header.body, header.leaves) != FTC_OK)
		return false;
	if (ftc_store_read_state(&header.state, &state) != FTC_OK)
		return false;
	proposer = ftc_state_find(state, &header.proposer);
	if (proposer == NULL ||
		ftc_verify(&proposer->key, FTC_DOMAIN_BLOCK, genesis, id, &block->signature) != FTC_OK)
		return false;
	if (header.height > 0 && ftc_rules_manifest(&manifest, &header, state, genesis) != FTC_OK)
		return false;
	return !with_body || manifest.nbundles == 0 ||
		(block->body.len > 0 && ftc_body_check(block->body, &header.body, header.leaves, NULL) == FTC_OK);
}

/*
 * What is here may be sound where only what is derived from it is damaged: the
 * leaf hashes, the rows made from the manifest, the work.
 */
static bool
find_here(const FtcChain *chain, const FtcHash *id, bool with_body, FtcBlock *block)
{
	if (ftc_run(&own_row, ftc_hash_datum(id)) == 0 && ftc_run(&stray_row, ftc_hash_datum(id)) == 0)
		return false;
	memset(block, 0, sizeof(*block));
	block->header = ftc_slice_value(0, 0);
	block->manifest = ftc_slice_value(0, 2);
	block->proof = ftc_slice_value(0, 3);
	if (!ftc_datum_signature(ftc_value(0, 1), &block->signature) ||
		!is_sound(block, id, &chain->genesis, false))
		return false;
	return !with_body ||
		(ftc_store_load_body(chain->id, id, block->manifest, &block->body) &&
		 is_sound(block, id, &chain->genesis, true));
}

/* What is here may be such that reading it is an error: then it is not sound. */
static bool
try_find_here(const FtcChain *chain, const FtcHash *id, bool with_body, FtcBlock *block)
{
	MemoryContext outer = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool found = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(outer);
	PG_TRY();
	{
		found = find_here(chain, id, with_body, block);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		found = false;
		(void) roll_back(outer);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(outer);
	CurrentResourceOwner = owner;
	return found;
}

/* A connection to ask for blocks, kept while there are blocks to ask for. */
typedef struct Source
{
	FtcPeer		peer;
	char	   *server;
	bool		open;
	bool		failed;
} Source;

static Source *
list_sources(int *n)
{
	uint64		rows = ftc_run(&servers, 0);
	Source	   *sources = palloc0(Max(rows, 1) * sizeof(Source));

	for (uint64 i = 0; i < rows; i++)
		sources[i].server = TextDatumGetCString(ftc_value(i, 0));
	*n = (int) rows;
	return sources;
}

typedef struct Asking
{
	Source	   *source;
	const FtcChain *chain;
	const FtcHash *id;
	Oid			for_role;
	FtcSlice	bytes;			/* of the answer */
} Asking;

static void
ask(Asking *a)
{
	FtcPeerArgs args = {0};
	struct pg_result *result;
	FtcSlice	bytes;

	if (!a->source->open)
		ftc_peer_open(&a->source->peer, a->source->server, a->for_role);
	a->source->open = true;
	ftc_peer_arg_bytes(&args, ftc_slice(a->chain->genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_bytes(&args, ftc_slice(a->id->b, FTC_HASH_LEN));
	result = ftc_peer_ask(&a->source->peer, FTC_CALL_BLOCK, &args);
	bytes = ftc_peer_bytes(result, 0, 0);
	if (bytes.len > 0)
		a->bytes = ftc_slice(memcpy(MemoryContextAllocHuge(CurrentMemoryContext, bytes.len),
									bytes.data, bytes.len), bytes.len);
	ftc_peer_clear(result);
}

/* A peer that fails is no error: the next one is asked. */
static void
try_ask(Asking *a)
{
	MemoryContext outer = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(outer);
	PG_TRY();
	{
		ask(a);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(outer);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		/* what the user cancels must not be taken for a failure of the peer */
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		ereport(LOG,
				errmsg("ftchain: server \"%s\" gave no block for a repair: %s", a->source->server, error->message));
		a->source->open = false;
		a->source->failed = true;
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(outer);
	CurrentResourceOwner = owner;
}

/* A sound copy of a block from any peer; false if none has one. */
static bool
fetch(const FtcChain *chain, const FtcHash *id, bool with_body, Source *sources, int n,
	  Oid for_role, FtcBlock *block, const char **server)
{
	for (int i = 0; i < n; i++)
	{
		Asking		a = {.source = &sources[i],.chain = chain,.id = id,.for_role = for_role};

		if (sources[i].failed)
			continue;
		try_ask(&a);
		if (a.bytes.len > 0 && ftc_block_decode(block, a.bytes) == FTC_OK &&
			is_sound(block, id, &chain->genesis, with_body))
		{
			*server = sources[i].server;
			return true;
		}
	}
	return false;
}

/* ----------------------------------------------------------------
 *		Repair
 * ----------------------------------------------------------------
 */

/* A damaged block: which part of it, and what is to take its place. */
typedef struct Damaged
{
	FtcRepairAction action;
	bool		body;
	bool		block;
	bool		state;
	bool		found;			/* a sound copy */
	FtcBlock	copy;
	const char *server;			/* that gave it; NULL: made from what is here */
} Damaged;

static void
ignore_fault(void *arg, const FtcFault *fault)
{
	bool	   *sound = arg;

	*sound = false;
}

/*
 * Would the body be missing, which this database has signed it stores, when the
 * block is here again?  Its bundles may be gone.
 */
static bool
would_lack_body(const FtcChain *chain, const FtcHash *id, const FtcBlock *copy)
{
	FtcManifest manifest;
	FtcReader	at;
	bool		lacks = false;

	if (ftc_run(&promised, ftc_hash_datum(id)) == 0 || ftc_manifest_decode(&manifest, copy->manifest) != FTC_OK)
		return false;
	at = manifest.bundles;
	for (uint32 i = 0; i < manifest.nbundles && !lacks; i++)
	{
		FtcBundle	bundle;
		FtcOwnEntries own;
		FtcSignature signature;
		FtcHash		digest = ftc_bundle_digest(ftc_manifest_next_bundle(&at, &bundle, &signature));

		lacks = ftc_run(&bundle_held, Int32GetDatum(chain->id), ftc_hash_datum(&digest)) == 0 &&
			!ftc_store_find_own(chain->id, &bundle, &own);
	}
	return lacks;
}

/* A sound copy, from whoever has one.  The keeper locks nothing meanwhile. */
static void
find_copy(const FtcChain *chain, Damaged *d, bool dry_run, Source *sources, int n, Oid for_role)
{
	if (d->state && dry_run)
	{
		/* what is sound cannot be told without the state */
		d->found = true;
		d->action.action = "rebuild the state from the control entries";
		return;
	}
	d->found = try_find_here(chain, &d->action.block, d->body, &d->copy);
	if (d->found && !d->body && would_lack_body(chain, &d->action.block, &d->copy))
	{
		d->body = true;
		d->found = false;
	}
	if (d->found)
	{
		d->action.action = "rebuild from what is here";
		return;
	}
	d->found = fetch(chain, &d->action.block, d->body, sources, n, for_role, &d->copy, &d->server);
	/* what comes along is taken, if it is needed */
	if (d->found && !d->body && d->copy.body.len > 0 && would_lack_body(chain, &d->action.block, &d->copy) &&
		is_sound(&d->copy, &d->action.block, &chain->genesis, true))
		d->body = true;
	if (!d->found)
		d->action.action = n == 0 ? "no copy: there is no peer" : "no copy: no peer has a sound one now";
	else
		d->action.action = psprintf("replace by the copy at server \"%s\"", d->server);
}

static void
replace_body(const FtcChain *chain, const FtcHash *id, const FtcBlock *copy)
{
	FtcHeader	header;
	FtcHash    *hashes;
	FtcReason	reason = ftc_header_decode(&header, copy->header);

	if (reason == FTC_OK)
	{
		hashes = palloc_extended(Max(header.leaves, 1) * sizeof(FtcHash), MCXT_ALLOC_HUGE);
		reason = ftc_body_check(copy->body, &header.body, header.leaves, hashes);
	}
	if (reason != FTC_OK)
		ftc_refuse(reason, "body");
	ftc_store_replace_body(chain->id, id, copy->body, hashes);
}

/* True if all is well with the block afterwards. */
static bool
put_copy(const FtcChain *chain, Damaged *d)
{
	FtcRepairAction *action = &d->action;
	bool		sound = true;
	FtcStored	stored;

	ftc_run(&quarantine_block, ftc_hash_datum(&action->block));
	ftc_run(&quarantine_entries, Int32GetDatum(chain->id), Int64GetDatum(0), ftc_hash_datum(&action->block));
	FTC_FAILPOINT("repair-quarantined");
	if (d->block)
		ftc_restore_block(chain, &action->block, &d->copy);
	if (d->body)
		replace_body(chain, &action->block, &d->copy);
	FTC_FAILPOINT("repair-replaced");
	/* one that was not there at all is still to be put on the list */
	if (ftc_store_load(&action->block, &stored) && stored.on_main)
		ftc_verify_chain(chain, action->height, action->height, false, false, ignore_fault, &sound);
	if (!sound)
		return false;
	ftc_run(&block_repaired, Int32GetDatum(chain->id), ftc_hash_datum(&action->block));
	action->action = d->server == NULL ? "rebuilt from what is here"
		: psprintf("replaced by the copy at server \"%s\"", d->server);
	ftc_store_incident(chain->id, "repair", action->height, &action->block, NULL,
					   psprintf("%s: %s", action->what, action->action));
	FTC_FAILPOINT("repair-before-commit");
	return true;
}

/*
 * All of it or nothing: what does not make the block sound is taken back, and
 * what cannot be done to one block does not keep the others from being repaired.
 */
static bool
apply_copy(const FtcChain *chain, Damaged *d)
{
	MemoryContext outer = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool sound = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(outer);
	PG_TRY();
	{
		sound = put_copy(chain, d);
		if (sound)
			ReleaseCurrentSubTransaction();
		else
		{
			RollbackAndReleaseCurrentSubTransaction();
			d->action.action = "a sound copy did not help: what it stands on is damaged";
		}
	}
	PG_CATCH();
	{
		sound = false;
		d->action.action = psprintf("could not be repaired: %s", roll_back(outer));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(outer);
	CurrentResourceOwner = owner;
	return sound;
}

/* They wait for the sealer; what is in no bundle and was appended here is to be sealed. */
static void
seal_again(const FtcChain *chain, const char *what, FtcRepairCallback callback, void *arg)
{
	FtcRepairAction action = {.height = -1,.what = what,.action = "gave the entries to the sealer again"};

	ftc_seal_look_again(chain);
	(void) ftc_run(&stray_own, Int32GetDatum(chain->id));
	ftc_store_incident(chain->id, "repair", -1, NULL, NULL, psprintf("%s: %s", what, action.action));
	callback(arg, chain, &action);
}

/* Under the lock: the sealer may be about to bundle them. */
static uint64
find_strays(const FtcChain *chain, bool dry_run)
{
	FtcIdentity self;
	Datum		args[2] = {Int32GetDatum(chain->id), (Datum) 0};
	bool		nulls[2] = {false, true};

	if (!dry_run)
		ftc_run(&stray_settled, Int32GetDatum(chain->id));
	if (ftc_identity_load(&self))
	{
		args[1] = ftc_hash_datum(&self.member);
		nulls[1] = false;
	}
	return ftc_stmt_run(&stray_damage, args, nulls);
}

static void
repair_strays(const FtcChain *chain, bool dry_run, FtcRepairCallback callback, void *arg)
{
	uint64		n;
	int64	   *entries;

	if (!dry_run)
	{
		ftc_chain_lock(chain->id);
		if (ftc_run(&stray_own, Int32GetDatum(chain->id)) > 0)
			seal_again(chain, "extra entry", callback, arg);
	}
	n = find_strays(chain, dry_run);
	entries = palloc(Max(n, 1) * sizeof(int64));
	for (uint64 i = 0; i < n; i++)
		entries[i] = DatumGetInt64(ftc_value(i, 0));
	for (uint64 i = 0; i < n; i++)
	{
		FtcRepairAction action = {.height = -1,.what = "extra entry"};
		FtcIds		ids;

		action.action = psprintf("%s entry " INT64_FORMAT " into quarantine", dry_run ? "move" : "moved", entries[i]);
		if (!dry_run)
		{
			bool		nulls[] = {false, false, true};
			Datum		args[] = {Int32GetDatum(chain->id), Int64GetDatum(entries[i]), (Datum) 0};

			ftc_ids_init(&ids);
			ftc_ids_add(&ids, entries[i], entries[i]);
			ftc_stmt_run(&quarantine_entries, args, nulls);
			ftc_store_delete_entries(&ids);
			ftc_run(&entry_repaired, Int32GetDatum(chain->id), Int64GetDatum(entries[i]));
			ftc_store_incident(chain->id, "repair", -1, NULL, NULL, action.action);
		}
		callback(arg, chain, &action);
	}
}

static Damaged *
list_damaged(const FtcChain *chain, int64 above_height, int *n)
{
	uint64		rows = ftc_run(&damaged_blocks, Int32GetDatum(chain->id), Int64GetDatum(above_height));
	Damaged    *damaged = palloc0(Max(rows, 1) * sizeof(Damaged));

	for (uint64 i = 0; i < rows; i++)
	{
		damaged[i].action.height = DatumGetInt64(ftc_value(i, 0));
		damaged[i].action.block = ftc_hash_value(i, 1);
		damaged[i].action.what = TextDatumGetCString(ftc_value(i, 2));
		damaged[i].body = DatumGetBool(ftc_value(i, 3));
		damaged[i].block = DatumGetBool(ftc_value(i, 4));
		damaged[i].state = DatumGetBool(ftc_value(i, 5));
	}
	*n = (int) rows;
	return damaged;
}

/* The state that the genesis block establishes. */
static bool
founding_state(const FtcChain *chain, FtcState *state)
{
	FtcBlock	block;
	FtcHeader	header;
	FtcManifest manifest;

	if (ftc_run(&own_row, ftc_hash_datum(&chain->genesis)) == 0)
		return false;
	block.header = ftc_slice_value(0, 0);
	block.manifest = ftc_slice_value(0, 2);
	if (!ftc_datum_signature(ftc_value(0, 1), &block.signature) ||
		ftc_header_decode(&header, block.header) != FTC_OK ||
		ftc_manifest_decode(&manifest, block.manifest) != FTC_OK)
		return false;
	state->capacity = FTC_MEMBERS_MAX;
	state->members = palloc(state->capacity * sizeof(FtcMember));
	return ftc_rules_genesis(&header, &block.signature, &manifest, state) == FTC_OK;
}

/*
 * The state with this root, from the controls of the main chain; false if it
 * does not come out.
 */
static bool
rebuild_state(const FtcChain *chain, const FtcHash *root)
{
	int64		top = ftc_store_main_height(chain->id);
	FtcState	state = {0};
	FtcHash		found;
	uint64		n;
	uint64		at = 0;

	if (!founding_state(chain, &state))
		return false;
	n = ftc_run(&main_controls, Int32GetDatum(chain->id));
	found = ftc_state_root(&state);
	for (int64 height = 1; height <= top + 1 && !ftc_hash_equal(&found, root); height++)
	{
		uint64		before = at;
		uint64		bound;

		if (at == n || !ftc_state_fold_bound(&state, (uint64) height, &bound))
			continue;
		for (; at < n && (uint64) DatumGetInt64(ftc_value(at, 0)) <= bound; at++)
		{
			FtcControl	control;

			if (ftc_control_leaf_decode(&control, ftc_slice_value(at, 1)) != FTC_OK)
				return false;
			(void) ftc_state_apply(&state, &control);
			state.folded = (uint64) DatumGetInt64(ftc_value(at, 0));
		}
		if (at > before)
			found = ftc_state_root(&state);
	}
	if (!ftc_hash_equal(&found, root))
		return false;
	ftc_store_write(&state_drop, FTC_ARGS(ftc_hash_datum(root)), NULL);
	ftc_store_put_state(&state);
	return true;
}

static void
repair_states(const FtcChain *chain)
{
	uint64		n = ftc_run(&damaged_states, Int32GetDatum(chain->id));
	FtcHash    *roots = palloc(Max(n, 1) * sizeof(FtcHash));

	for (uint64 i = 0; i < n; i++)
		roots[i] = ftc_hash_value(i, 0);
	for (uint64 i = 0; i < n; i++)
		if (rebuild_state(chain, &roots[i]))
			ftc_store_incident(chain->id, "repair", -1, NULL, NULL,
							   psprintf("state %s rebuilt from the control entries", ftc_hash_hex(&roots[i])));
}

/* Copies of all that is damaged, as many as go into memory at once. */
static void
find_copies(const FtcChain *chain, Damaged *damaged, int n, bool dry_run, Oid for_role)
{
	int			nsources;
	Source	   *sources = list_sources(&nsources);

	PG_TRY();
	{
		for (int i = 0; i < n; i++)
			find_copy(chain, &damaged[i], dry_run, sources, nsources, for_role);
	}
	PG_FINALLY();
	{
		for (int i = 0; i < nsources; i++)
			if (sources[i].open)
				ftc_peer_close(&sources[i].peer);
	}
	PG_END_TRY();
}

/*
 * The list of the main chain.  If a block of it is not here at all, that is
 * recorded as damage, so that it is asked for with the others.  Gives whether
 * the list is sound.
 */
static bool
repair_links(const FtcChain *chain, bool dry_run, FtcRepairCallback callback, void *arg)
{
	FtcRepairAction action = {.height = -1};
	FtcHash		missing;
	FtcFault	fault = {.block = &missing,.what = "block missing"};
	FtcRelinked relinked;
	bool		none;
	Datum		what;

	ftc_run(&link_damage, Int32GetDatum(chain->id));
	what = ftc_column(0, 0, &none);
	if (none)
		return true;
	action.what = TextDatumGetCString(what);
	if (!dry_run)
		ftc_chain_lock(chain->id);
	relinked = ftc_restore_links(chain, dry_run, &missing, &fault.height);
	if (relinked == FTC_LINKS_BROKEN)
	{
		if (!dry_run && fault.height >= 0)
		{
			ftc_run(&links_repaired, Int32GetDatum(chain->id));
			(void) ftc_scrub_record(chain, &fault);
		}
		return false;
	}
	if (relinked == FTC_LINKS_RESTORED)
	{
		action.action = dry_run ? "rebuild the main chain from the links" : "rebuilt the main chain from the links";
		callback(arg, chain, &action);
		if (!dry_run)
			ftc_store_incident(chain->id, "repair", -1, NULL, NULL, psprintf("%s: %s", action.what, action.action));
	}
	if (!dry_run)
		ftc_run(&links_repaired, Int32GetDatum(chain->id));
	/* what is on the list again has not been looked at */
	if (!dry_run && relinked == FTC_LINKS_RESTORED)
		(void) ftc_scrub(chain, 0, -1, false);
	return true;
}

/* Each in a subtransaction: one may be in use, or its table not fit to be indexed. */
static bool
repair_index(const FtcChain *chain, FtcRepairAction *action)
{
	MemoryContext outer = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(outer);
	PG_TRY();
	{
		if (ftc_indexes_rebuild(action->what))
		{
			ftc_run(&index_repaired, CStringGetTextDatum(action->what));
			action->action = "built the index anew";
			ftc_store_incident(chain->id, "repair", -1, NULL, NULL, psprintf("%s: %s", action->what, action->action));
			done = true;
		}
		else
			action->action = "could not be repaired: there is no such index";
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		done = false;
		action->action = psprintf("could not be repaired: %s", roll_back(outer));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(outer);
	CurrentResourceOwner = owner;
	return done;
}

int
ftc_repair_indexes(const FtcChain *chain, bool dry_run, FtcRepairCallback callback, void *arg)
{
	int			left = 0;
	uint64		n;
	char	  **names;

	if (!dry_run)
		ftc_scrub_indexes_first(chain);
	n = ftc_run(&damaged_indexes, Int32GetDatum(chain->id));
	names = palloc(Max(n, 1) * sizeof(char *));
	for (uint64 i = 0; i < n; i++)
		names[i] = TextDatumGetCString(ftc_value(i, 0));
	for (uint64 i = 0; i < n; i++)
	{
		FtcRepairAction action = {.height = -1,.what = names[i],.action = "build the index anew"};

		if (!dry_run && !repair_index(chain, &action))
			left++;
		callback(arg, chain, &action);
	}
	return left;
}

/*
 * Much damage at once is no decay: somebody is at work, or a program is wrong.
 * What was there is evidence, and what made it may be waiting.
 */
bool
ftc_repair_may_go_on(const FtcChain *chain)
{
	int64		n;
	int64		limit;

	ftc_run(&much_damaged, Int32GetDatum(chain->id), CStringGetTextDatum(FTC_ALARM_DAMAGE));
	n = DatumGetInt64(ftc_value(0, 0));
	limit = Max((int64) ftc_guc_repair_limit, DatumGetInt64(ftc_value(0, 1)) / 100);
	if (ftc_guc_repair_limit >= 0 && n > limit)
		(void) ftc_alarm_raise(chain->id, FTC_ALARM_DAMAGE, NULL, -1,
							   psprintf(INT64_FORMAT " blocks are damaged, nothing is repaired by itself above " INT64_FORMAT,
										n, limit));
	return !ftc_alarm_holds(chain->id, FTC_ALARM_DAMAGE);
}

/* One batch of damaged blocks: gives how many there were, and where it ended. */
static int
repair_batch(const FtcChain *chain, bool dry_run, Oid for_role, int64 *height, int *left,
			 FtcRepairCallback callback, void *arg)
{
	int			n;
	Damaged    *damaged = list_damaged(chain, *height, &n);

	find_copies(chain, damaged, n, dry_run, for_role);
	if (n > 0 && !dry_run)
		ftc_chain_lock(chain->id);
	for (int i = 0; i < n; i++)
	{
		if (!damaged[i].found || (!dry_run && !apply_copy(chain, &damaged[i])))
			(*left)++;
		*height = damaged[i].action.height;
		callback(arg, chain, &damaged[i].action);
	}
	return n;
}

void
ftc_repair_derived(const FtcChain *chain, bool dry_run, FtcRepairCallback callback, void *arg)
{
	if (!dry_run)
		repair_states(chain);
	(void) repair_links(chain, dry_run, callback, arg);
}

int
ftc_repair_blocks(const FtcChain *chain, bool dry_run, Oid for_role, int64 *after,
				  FtcRepairCallback callback, void *arg)
{
	int64		height = after == NULL ? -1 : *after;
	int			left = 0;
	int			n;

	do
		n = repair_batch(chain, dry_run, for_role, &height, &left, callback, arg);
	while (n > 0 && after == NULL);
	if (after != NULL)
		*after = n > 0 ? height : -1;
	return left;
}

#define SIDE_BLOCKS_AT_ONCE 100

/* Blocks of other branches whose bundles are gone: their manifests say what those were. */
static void
repair_side_blocks(const FtcChain *chain)
{
	FtcHash		ids[SIDE_BLOCKS_AT_ONCE];
	int			n = ftc_restore_side_blocks(chain, ids, SIDE_BLOCKS_AT_ONCE);

	for (int i = 0; i < n; i++)
	{
		MemoryContext outer = ftc_nest();
		FtcBlock	block;

		if (try_find_here(chain, &ids[i], false, &block))
			ftc_restore_block(chain, &ids[i], &block);
		ftc_unnest(outer);
	}
}

/*
 * What lists blocks and bundles is not known to be damaged: all of it is looked at,
 * as the sealer may have been first to see that something is lost.  What is not
 * found then was in no block that anybody has, and its entries are to be bundled
 * anew.  Bodies that are damaged have no part in that.
 */
static void
repair_bundles(const FtcChain *chain, bool dry_run, FtcRepairCallback callback, void *arg)
{
	FtcRepairAction action = {.height = -1,.what = FTC_BUNDLES_MISSING,.action = "give the entries to the sealer again"};

	if (dry_run)
	{
		if (ftc_run(&bundles_missing, Int32GetDatum(chain->id)) > 0)
			callback(arg, chain, &action);
		return;
	}
	if (!ftc_seal_lacks_bundles(chain))
		ftc_run(&bundles_settled, Int32GetDatum(chain->id));
	else if (ftc_scrub_lists(chain))
	{
		ftc_chain_lock(chain->id);
		repair_side_blocks(chain);
		ftc_restore_leftovers(chain);
		ftc_run(&bundles_settled, Int32GetDatum(chain->id));
		seal_again(chain, FTC_BUNDLES_MISSING, callback, arg);
	}
}

/* The block that was not here may be here now. */
int
ftc_repair_rest(const FtcChain *chain, bool dry_run, FtcRepairCallback callback, void *arg)
{
	bool		linked = dry_run || repair_links(chain, dry_run, callback, arg);

	if (!dry_run)
		ftc_run(&rejected_forget, Int32GetDatum(chain->id));
	if (!dry_run && linked)
		ftc_run(&left_behind, Int32GetDatum(chain->id));
	if (linked)
		repair_bundles(chain, dry_run, callback, arg);
	if (dry_run || ftc_run(&lists_damaged, Int32GetDatum(chain->id)) == 0)
		repair_strays(chain, dry_run, callback, arg);
	return linked ? 0 : 1;
}

static void
repair_all(const FtcChain *chain, bool dry_run, Oid for_role, FtcRepairCallback callback, void *arg)
{
	(void) ftc_repair_indexes(chain, dry_run, callback, arg);
	ftc_repair_derived(chain, dry_run, callback, arg);
	(void) ftc_repair_blocks(chain, dry_run, for_role, NULL, callback, arg);
	(void) ftc_repair_rest(chain, dry_run, callback, arg);
	/* whoever repairs by hand has looked at it */
	if (!dry_run)
	{
		ftc_run(&much_damaged, Int32GetDatum(chain->id), CStringGetTextDatum(FTC_ALARM_DAMAGE));
		if (DatumGetInt64(ftc_value(0, 0)) == 0)
			ftc_alarm_forget(chain->id, FTC_ALARM_DAMAGE);
	}
}

static void
return_action(void *arg, const FtcChain *chain, const FtcRepairAction *action)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[5] = {CStringGetTextDatum(chain->name), Int64GetDatum(action->height),
		ftc_hash_datum(&action->block), CStringGetTextDatum(action->what),
	CStringGetTextDatum(action->action)};
	bool		nulls[5] = {false, action->height < 0, action->height < 0, false, false};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * It asks peers and waits for them, so nothing of the caller's may be held meanwhile.
 * It holds the lock of the chain itself once something is repaired: it is for an
 * operator who looks on.
 */
Datum
ftchain_repair(PG_FUNCTION_ARGS)
{
	char	   *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	bool		dry_run = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	Oid			caller = GetUserId();
	FtcScope	scope;
	ListCell   *cell;

	if (IsTransactionBlock())
		ereport(ERROR,
				errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				errmsg("cannot run \"%s\" inside a transaction block", "ftchain.repair"),
				errhint("Call it by itself, outside BEGIN."));
	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	foreach(cell, ftc_chain_list_named(name))
		repair_all(lfirst(cell), dry_run, caller, return_action, fcinfo->resultinfo);
	ftc_leave(&scope);
	return (Datum) 0;
}

/*-------------------------------------------------------------------------
 *
 * store.c
 *	  The ledger's tables.
 *
 * Progression of a block: STORED (in block) -> MAIN (in main_chain); of its
 * body here: absent -> wanted -> held (its bundles' ids are set).  Blocks are
 * never changed or removed; a reorganisation touches main_chain alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "chain.h"
#include "clock.h"
#include "copies.h"
#include "datum.h"
#include "event.h"
#include "identity.h"
#include "insertion.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_refuse_change);

/*
 * Set only while one of our own statements runs, and at what depth of triggers
 * it does: what triggers of others do meanwhile is theirs.
 */
static bool writing = false;
static int	writing_depth = 0;

static int
trigger_depth(void)
{
	return DatumGetInt32(pg_trigger_depth(NULL));
}

static FtcStmt block_load = {
	.sql = "SELECT b.chain, b.arrival, b.header, b.signature, b.manifest, b.proof, b.tip,"
	" EXISTS (SELECT FROM ftchain.main_chain m WHERE m.block = b.id)"
	" FROM ftchain.block b WHERE b.id = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt main_get = {
	.sql = "SELECT block FROM ftchain.main_chain WHERE chain = $1 AND height = $2",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

static FtcStmt main_head = {
	.sql = "SELECT block FROM ftchain.main_chain WHERE chain = $1 ORDER BY height DESC LIMIT 1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt main_height = {
	.sql = "SELECT coalesce(max(height), -1) FROM ftchain.main_chain WHERE chain = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt main_cut = {
	.sql = "DELETE FROM ftchain.main_chain WHERE chain = $1 AND height > $2",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

static FtcStmt main_add = {
	.sql = "INSERT INTO ftchain.main_chain (chain, height, block) VALUES ($1, $2, $3)",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, BYTEAOID},
};

static FtcStmt block_put = {
	.sql = "INSERT INTO ftchain.block (id, chain, height, header, signature, manifest, proof, tip, work, source)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
	.nargs = 10,
	.argtypes = {BYTEAOID, INT4OID, INT8OID, BYTEAOID, BYTEAOID, BYTEAOID, BYTEAOID, BYTEAOID, BYTEAOID, BYTEAOID},
};

static FtcStmt block_replace = {
	.sql = "INSERT INTO ftchain.block (id, chain, height, header, signature, manifest, proof, tip, work)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE SET chain = $2, height = $3,"
	" header = $4, signature = $5, manifest = $6, proof = $7, tip = $8, work = $9",
	.nargs = 9,
	.argtypes = {BYTEAOID, INT4OID, INT8OID, BYTEAOID, BYTEAOID, BYTEAOID, BYTEAOID, BYTEAOID, BYTEAOID},
};

static FtcStmt control_put = {
	.sql = "INSERT INTO ftchain.control (block, \"position\", chain, height, id, leaf)"
	" VALUES ($1, $2, $3, $4, $5, $6)",
	.nargs = 6,
	.argtypes = {BYTEAOID, INT4OID, INT4OID, INT8OID, BYTEAOID, BYTEAOID},
};

static FtcStmt state_load = {
	.sql = "SELECT content FROM ftchain.epoch_state WHERE root = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt state_put = {
	.sql = "INSERT INTO ftchain.epoch_state (root, content) VALUES ($1, $2) ON CONFLICT DO NOTHING",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt bundle_find = {
	.sql = "SELECT id FROM ftchain.bundle WHERE chain = $1 AND digest = $2",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt bundle_put = {
	.sql = "INSERT INTO ftchain.bundle (chain, origin, incarnation, number, count, bytes, digest, head, signature, seqs, ids, leaves)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id",
	.nargs = 12,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID, INT4OID, INT8OID, BYTEAOID, BYTEAOID, BYTEAOID, INT8MULTIRANGEOID,
	INT8MULTIRANGEOID, BYTEAOID},
};

static FtcStmt bundle_hold = {
	.sql = "UPDATE ftchain.bundle SET ids = $2, leaves = $3, bytes = $4 WHERE id = $1",
	.nargs = 4,
	.argtypes = {INT8OID, INT8MULTIRANGEOID, BYTEAOID, INT8OID},
};

static FtcStmt bundle_release = {
	.sql = "UPDATE ftchain.bundle SET ids = NULL, leaves = NULL WHERE id = $1",
	.nargs = 1,
	.argtypes = {INT8OID},
};

static FtcStmt pending_put = {
	.sql = "INSERT INTO ftchain.pending_bundle (bundle, chain) VALUES ($1, $2)",
	.nargs = 2,
	.argtypes = {INT8OID, INT4OID},
};

/* Held bundles of a block that no block of the main chain holds. */
static FtcStmt pending_put_of = {
	.sql = "INSERT INTO ftchain.pending_bundle (bundle, chain) SELECT u.id, u.chain"
	" FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE b.block = $1 AND u.ids IS NOT NULL AND NOT EXISTS"
	" (SELECT FROM ftchain.block_bundle o JOIN ftchain.main_chain m ON m.block = o.block WHERE o.bundle = u.id)"
	" ON CONFLICT DO NOTHING",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* Those of the main chain above a height, which is about to be cut. */
static FtcStmt pending_put_above = {
	.sql = "INSERT INTO ftchain.pending_bundle (bundle, chain) SELECT u.id, u.chain"
	" FROM ftchain.main_chain m JOIN ftchain.block_bundle b ON b.block = m.block"
	" JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE m.chain = $1 AND m.height > $2 AND u.ids IS NOT NULL ON CONFLICT DO NOTHING",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

static FtcStmt pending_drop_of = {
	.sql = "DELETE FROM ftchain.pending_bundle p USING ftchain.block_bundle b"
	" WHERE b.block = $1 AND p.bundle = b.bundle",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* rows may be left of a block whose own row was lost */
static FtcStmt block_bundle_put = {
	.sql = "INSERT INTO ftchain.block_bundle (block, \"position\", bundle) VALUES ($1, $2, $3)"
	" ON CONFLICT (block, \"position\") DO UPDATE SET bundle = $3",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, INT8OID},
};

static FtcStmt bundles_of = {
	.sql = "SELECT u.id, u.origin, u.number, u.count, u.bytes, u.head, u.signature, u.ids, u.leaves, u.incarnation, u.seqs"
	" FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE b.block = $1 ORDER BY b.\"position\"",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt ids_of_others = {
	.sql = "SELECT FROM ftchain.bundle WHERE ids && $1 AND id <> $2 LIMIT 1",
	.nargs = 2,
	.argtypes = {INT8MULTIRANGEOID, INT8OID},
};

static FtcStmt body_missing = {
	.sql = "SELECT FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE b.block = $1 AND u.ids IS NULL LIMIT 1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt rejected_get = {
	.sql = "SELECT FROM ftchain.rejected WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt rejected_put = {
	.sql = "INSERT INTO ftchain.rejected (block, chain, reason, source) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT DO NOTHING",
	.nargs = 4,
	.argtypes = {BYTEAOID, INT4OID, TEXTOID, BYTEAOID},
};

static FtcStmt incident_put = {
	.sql = "INSERT INTO ftchain.incident (chain, kind, height, block, member, detail)"
	" VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
	.nargs = 6,
	.argtypes = {INT4OID, TEXTOID, INT8OID, BYTEAOID, BYTEAOID, TEXTOID},
};

/* What others can cause as often as they like is told once a minute. */
static FtcStmt incident_put_once = {
	.sql = "INSERT INTO ftchain.incident (chain, kind, height, block, member, detail)"
	" SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT FROM ftchain.incident i"
	" WHERE i.time > now() - interval '1 min' AND i.chain = $1 AND i.kind = $2"
	" AND i.member IS NOT DISTINCT FROM $5 AND i.detail = $6) RETURNING id",
	.nargs = 6,
	.argtypes = {INT4OID, TEXTOID, INT8OID, BYTEAOID, BYTEAOID, TEXTOID},
};

/* The same, and of one block once for all. */
static FtcStmt incident_put_of_block = {
	.sql = "INSERT INTO ftchain.incident (chain, kind, height, block, member, detail)"
	" SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT FROM ftchain.incident i"
	" WHERE i.chain = $1 AND i.kind = $2 AND (i.block = $4"
	" OR i.time > now() - interval '1 min' AND i.member IS NOT DISTINCT FROM $5)) RETURNING id",
	.nargs = 6,
	.argtypes = {INT4OID, TEXTOID, INT8OID, BYTEAOID, BYTEAOID, TEXTOID},
};

static FtcStmt entries_delete = {
	.sql = "DELETE FROM ftchain.entry WHERE id BETWEEN $1 AND $2",
	.nargs = 2,
	.argtypes = {INT8OID, INT8OID},
};

static FtcStmt copy_relations = {
	.sql = "SELECT 'ftchain.entry'::regclass, 'ftchain.copy_id'::regclass",
};

/*
 * The guard itself.  It stops mistakes and curious owners; whoever may disable
 * triggers or edit files is found out by verify(), not stopped.
 */
Datum
ftchain_refuse_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("function \"%s\" was not called by a trigger", "ftchain.refuse_change"));
	if (!writing || trigger_depth() != writing_depth + 1)
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("cannot %s table \"ftchain.%s\"",
					   TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? "update" :
					   TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? "delete from" : "truncate",
					   RelationGetRelationName(trigger->tg_relation)),
				errdetail("What the ledger holds is never changed or removed."));
	PG_RETURN_POINTER(NULL);
}

uint64
ftc_store_write(FtcStmt *stmt, const Datum *args, const bool *nulls)
{
	uint64		n;

	writing_depth = trigger_depth();
	writing = true;
	PG_TRY();
	{
		n = ftc_stmt_run(stmt, args, nulls);
	}
	PG_FINALLY();
	{
		writing = false;
	}
	PG_END_TRY();
	return n;
}

static Datum
optional_hash(const FtcHash *hash)
{
	return hash == NULL ? (Datum) 0 : ftc_hash_datum(hash);
}

static void
tell_incident(int64 id, int32 chain, const char *kind, const FtcHash *member)
{
	FtcChain	found;
	bool		known = chain != 0 && ftc_chain_by_id(&found, chain);

	FTC_EVENT("incident", FTC_EVENT_NUMBER("id", id), FTC_EVENT_TEXT("kind", kind),
			  FTC_EVENT_TEXT("chain", known ? found.name : NULL),
			  FTC_EVENT_TEXT("member", member == NULL ? NULL : ftc_hash_hex(member)));
}

void
ftc_store_incident(int32 chain, const char *kind, int64 height,
				   const FtcHash *block, const FtcHash *member, const char *detail)
{
	Datum		args[] = {Int32GetDatum(chain), CStringGetTextDatum(kind), Int64GetDatum(height),
	optional_hash(block), optional_hash(member), CStringGetTextDatum(detail)};
	bool		nulls[] = {chain == 0, false, height < 0, block == NULL, member == NULL, false};

	FtcStmt    *put = &incident_put;

	if (strcmp(kind, "refused") == 0)
		put = &incident_put_once;
	else if (strcmp(kind, "deep reorganisation") == 0)
		put = &incident_put_of_block;
	if (ftc_stmt_run(put, args, nulls) > 0)
		tell_incident(DatumGetInt64(ftc_value(0, 0)), chain, kind, member);
}

/* ----------------------------------------------------------------
 *		Blocks
 * ----------------------------------------------------------------
 */

/* What is stored must decode; if not, verify() and scrub() say more. */
static void
damaged(const FtcHash *id, FtcReason reason)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("block %s is damaged: %s", ftc_hash_hex(id), ftc_reason_text(reason)),
			errhint("See ftchain.verify() and ftchain.repair()."));
}

FtcReason
ftc_store_read(const FtcHash *id, FtcStored *stored)
{
	FtcSlice	tip;
	FtcReason	reason;
	FtcHash		found;

	if (ftc_run(&block_load, ftc_hash_datum(id)) == 0)
		return FTC_UNKNOWN_PARENT;
	memset(stored, 0, sizeof(*stored));
	stored->id = *id;
	stored->chain = DatumGetInt32(ftc_value(0, 0));
	stored->arrival = DatumGetInt64(ftc_value(0, 1));
	stored->block.header = ftc_slice_value(0, 2);
	if (!ftc_datum_signature(ftc_value(0, 3), &stored->block.signature))
		return FTC_BAD_LENGTH;
	stored->block.manifest = ftc_slice_value(0, 4);
	stored->block.proof = ftc_slice_value(0, 5);
	tip = ftc_slice_value(0, 6);
	stored->on_main = DatumGetBool(ftc_value(0, 7));
	reason = ftc_header_decode(&stored->header, stored->block.header);
	if (reason != FTC_OK)
		return reason;
	/* nothing is ever built on a block whose bytes have changed here */
	found = ftc_header_id(&stored->header);
	if (!ftc_hash_equal(&found, id))
		return FTC_WRONG_DIGEST;
	return ftc_tip_decode(&stored->tip, &stored->header, tip);
}

bool
ftc_store_load(const FtcHash *id, FtcStored *stored)
{
	FtcReason	reason = ftc_store_read(id, stored);

	if (reason != FTC_OK && reason != FTC_UNKNOWN_PARENT)
		damaged(id, reason);
	return reason == FTC_OK;
}

bool
ftc_store_main_head(int32 chain, FtcHash *id)
{
	return ftc_run(&main_head, Int32GetDatum(chain)) > 0 && ftc_datum_hash(ftc_value(0, 0), id);
}

bool
ftc_store_load_main(int32 chain, int64 height, FtcStored *stored)
{
	FtcHash		id;
	uint64		n = height < 0
	? ftc_run(&main_head, Int32GetDatum(chain))
	: ftc_run(&main_get, Int32GetDatum(chain), Int64GetDatum(height));

	if (n == 0)
		return false;
	id = ftc_hash_value(0, 0);
	return ftc_store_load(&id, stored);
}

void
ftc_store_load_head(int32 chain, FtcStored *stored)
{
	if (!ftc_store_load_main(chain, -1, stored))
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("the head of chain %d is missing", chain));
}

int64
ftc_store_main_height(int32 chain)
{
	ftc_run(&main_height, Int32GetDatum(chain));
	return DatumGetInt64(ftc_value(0, 0));
}

bool
ftc_store_is_rejected(const FtcHash *id)
{
	return ftc_run(&rejected_get, ftc_hash_datum(id)) > 0;
}

void
ftc_store_reject(int32 chain, const FtcHash *id, const char *reason, const FtcHash *source)
{
	Datum		args[] = {ftc_hash_datum(id), Int32GetDatum(chain), CStringGetTextDatum(reason),
	optional_hash(source)};
	bool		nulls[] = {false, false, false, source == NULL};

	ftc_stmt_run(&rejected_put, args, nulls);
}

void
ftc_store_put_controls(int32 chain, const FtcHash *block, const FtcHeader *header, const FtcManifest *manifest)
{
	FtcReader	at = manifest->controls;

	for (uint32 i = 0; i < manifest->ncontrols; i++)
	{
		FtcControl	control;
		FtcSlice	leaf = ftc_manifest_next_control(&at, &control);
		FtcHash		id = ftc_control_digest(control.core);

		ftc_run(&control_put, ftc_hash_datum(block), Int32GetDatum(i), Int32GetDatum(chain),
				Int64GetDatum((int64) header->height), ftc_hash_datum(&id), ftc_slice_datum(leaf));
	}
}

void
ftc_store_put_bundles(int32 chain, const FtcHash *block, const FtcManifest *manifest)
{
	FtcReader	at = manifest->bundles;

	for (uint32 i = 0; i < manifest->nbundles; i++)
	{
		FtcBundle	bundle;
		FtcSignature signature;
		FtcSlice	head = ftc_manifest_next_bundle(&at, &bundle, &signature);
		FtcHash		digest = ftc_bundle_digest(head);
		int64		id;

		if (ftc_run(&bundle_find, Int32GetDatum(chain), ftc_hash_datum(&digest)) > 0)
			id = DatumGetInt64(ftc_value(0, 0));
		else
			id = ftc_store_put_bundle(chain, ftc_origin_number(&bundle.origin),
									  &bundle, head, &signature, NULL, ftc_slice(NULL, 0), 0);
		ftc_store_write(&block_bundle_put, FTC_ARGS(ftc_hash_datum(block), Int32GetDatum(i), Int64GetDatum(id)), NULL);
	}
}

void
ftc_store_put_block(int32 chain, const FtcBlock *block, const FtcHeader *header,
					const FtcManifest *manifest, const FtcTip *tip,
					const FtcState *state, const FtcHash *source)
{
	uint8		tip_bytes[FTC_TIP_BYTES_MAX];
	size_t		tip_len = ftc_tip_encode(tip, tip_bytes);
	FtcHash		work = ftc_u256_to_hash(&tip->work);
	Datum		args[] = {
		ftc_hash_datum(&tip->id), Int32GetDatum(chain), Int64GetDatum((int64) header->height),
		ftc_slice_datum(block->header), ftc_signature_datum(&block->signature),
		ftc_slice_datum(block->manifest), ftc_slice_datum(block->proof),
		ftc_slice_datum(ftc_slice(tip_bytes, tip_len)), ftc_hash_datum(&work),
		optional_hash(source)
	};
	bool		nulls[10] = {false};

	nulls[9] = source == NULL;
	ftc_store_put_state(state);
	ftc_stmt_run(&block_put, args, nulls);
	ftc_store_put_controls(chain, &tip->id, header, manifest);
	ftc_store_put_bundles(chain, &tip->id, manifest);
}

/* Put back what a block's row should say; id and the rest of the branch stay. */
void
ftc_store_replace_block(int32 chain, const FtcHash *id, const FtcBlock *block)
{
	FtcHeader	header;
	FtcStored	parent;
	FtcTip		tip;
	FtcState   *state;
	uint8		tip_bytes[FTC_TIP_BYTES_MAX];
	FtcHash		work;
	FtcReason	reason = ftc_header_decode(&header, block->header);

	if (reason != FTC_OK)
		ftc_refuse(reason, "header");
	state = ftc_store_load_state(&header.state);
	if (header.height == 0)
		ftc_rules_first_tip(&tip, &header, &state->params);
	else if (ftc_store_load(&header.prev, &parent))
		ftc_rules_next_tip(&tip, &parent.tip, &header, &state->params);
	else
		ftc_refuse(FTC_UNKNOWN_PARENT, "header");
	work = ftc_u256_to_hash(&tip.work);
	ftc_store_write(&block_replace, FTC_ARGS(ftc_hash_datum(id), Int32GetDatum(chain), Int64GetDatum((int64) header.height),
											 ftc_slice_datum(block->header), ftc_signature_datum(&block->signature),
											 ftc_slice_datum(block->manifest), ftc_slice_datum(block->proof),
											 ftc_slice_datum(ftc_slice(tip_bytes, ftc_tip_encode(&tip, tip_bytes))),
											 ftc_hash_datum(&work)), NULL);
}

void
ftc_store_switch(int32 chain, int64 fork_height, const FtcHash *blocks, int n)
{
	ftc_run(&pending_put_above, Int32GetDatum(chain), Int64GetDatum(fork_height));
	ftc_copies_forget(chain, fork_height + 1);
	ftc_store_write(&main_cut, FTC_ARGS(Int32GetDatum(chain), Int64GetDatum(fork_height)), NULL);
	for (int i = 0; i < n; i++)
	{
		ftc_run(&main_add, Int32GetDatum(chain), Int64GetDatum(fork_height + 1 + i),
				ftc_hash_datum(&blocks[i]));
		ftc_run(&pending_drop_of, ftc_hash_datum(&blocks[i]));
	}
}

/* ----------------------------------------------------------------
 *		States
 * ----------------------------------------------------------------
 */

FtcReason
ftc_store_read_state(const FtcHash *root, FtcState **state)
{
	FtcSlice	content;

	*state = palloc0(sizeof(FtcState));
	if (ftc_run(&state_load, ftc_hash_datum(root)) == 0)
		return FTC_UNKNOWN_PARENT;
	content = ftc_slice_value(0, 0);
	/* slices of the state point into content: keep it beyond the next result */
	content = ftc_slice(memcpy(palloc(Max(content.len, 1)), content.data, content.len), content.len);
	(*state)->capacity = ftc_state_capacity(content);
	(*state)->members = palloc(Max((*state)->capacity, 1) * sizeof(FtcMember));
	return ftc_state_decode(*state, content);
}

FtcState *
ftc_store_load_state(const FtcHash *root)
{
	FtcState   *state;
	FtcReason	reason = ftc_store_read_state(root, &state);

	if (reason != FTC_OK)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("epoch state %s is damaged: %s", ftc_hash_hex(root),
					   reason == FTC_UNKNOWN_PARENT ? "it is not there" : ftc_reason_text(reason)),
				errhint("See ftchain.verify() and ftchain.repair()."));
	return state;
}

void
ftc_store_put_state(const FtcState *state)
{
	FtcHash		root = ftc_state_root(state);
	FtcSlice	content;

	FTC_ENCODE(content, ftc_state_encode, state);
	ftc_run(&state_put, ftc_hash_datum(&root), ftc_slice_datum(content));
}

/* ----------------------------------------------------------------
 *		Bundles and bodies
 * ----------------------------------------------------------------
 */

int64
ftc_store_put_bundle(int32 chain, int32 origin, const FtcBundle *bundle, FtcSlice head,
					 const FtcSignature *signature, const FtcIds *ids,
					 FtcSlice leaves, int64 bytes)
{
	FtcHash		digest = ftc_bundle_digest(head);
	FtcIds		seqs = ftc_ids_of_bundle(bundle);
	int64		id;
	Datum		args[] = {
		Int32GetDatum(chain), Int32GetDatum(origin), Int64GetDatum((int64) bundle->incarnation),
		Int64GetDatum((int64) bundle->number),
		Int32GetDatum(bundle->count), Int64GetDatum(bytes), ftc_hash_datum(&digest),
		ftc_slice_datum(head), ftc_signature_datum(signature), ftc_ids_datum(&seqs),
		ids == NULL ? (Datum) 0 : ftc_ids_datum(ids),
		ids == NULL ? (Datum) 0 : ftc_slice_datum(leaves)
	};
	bool		nulls[12] = {false};

	nulls[10] = nulls[11] = ids == NULL;
	ftc_stmt_run(&bundle_put, args, nulls);
	id = DatumGetInt64(ftc_value(0, 0));
	if (ids != NULL)
		ftc_run(&pending_put, Int64GetDatum(id), Int32GetDatum(chain));
	return id;
}

int
ftc_store_bundles(const FtcHash *block, FtcStoredBundle **bundles)
{
	int			n = (int) ftc_run(&bundles_of, ftc_hash_datum(block));

	*bundles = palloc0(Max(n, 1) * sizeof(FtcStoredBundle));
	for (int i = 0; i < n; i++)
	{
		FtcStoredBundle *bundle = &(*bundles)[i];
		Datum		leaves;
		bool		isnull;

		bundle->id = DatumGetInt64(ftc_value(i, 0));
		bundle->origin = DatumGetInt32(ftc_value(i, 1));
		bundle->incarnation = DatumGetInt64(ftc_value(i, 9));
		bundle->number = DatumGetInt64(ftc_value(i, 2));
		bundle->count = DatumGetInt32(ftc_value(i, 3));
		bundle->bytes = DatumGetInt64(ftc_value(i, 4));
		bundle->head = ftc_slice_value(i, 5);
		if (!ftc_datum_signature(ftc_value(i, 6), &bundle->signature))
			damaged(block, FTC_BAD_LENGTH);
		bundle->ids = ftc_column(i, 7, &isnull);
		bundle->held = !isnull;
		bundle->seqs = ftc_value(i, 10);
		leaves = ftc_column(i, 8, &isnull);
		if (!isnull)
			bundle->leaves = ftc_datum_slice(leaves);
	}
	return n;
}

bool
ftc_store_has_body(const FtcHash *block)
{
	return ftc_run(&body_missing, ftc_hash_datum(block)) == 0;
}

/* A checked body on its way in, bundle by bundle. */
typedef struct BodyIn
{
	FtcBodyReader reader;
	const FtcHash *hashes;		/* leaf hashes of the entries to come */
	int32		chain;
	Oid			entry;			/* table */
	Oid			copy_id;		/* sequence */
} BodyIn;

static Datum
name_datum(FtcSlice name)
{
	return PointerGetDatum(ftc_slice_text(name));
}

static void
put_entry(FtcInsertion *into, Datum *values, int64 id, const FtcEntry *entry)
{
	bool		nulls[FTC_ENTRY_COLUMNS] = {false};
	MemoryContext outer = MemoryContextSwitchTo(ftc_insertion_context(into));

	nulls[FTC_ENTRY_XID] = true;
	values[FTC_ENTRY_ID] = Int64GetDatum(id);
	values[FTC_ENTRY_SEQ] = Int64GetDatum((int64) entry->seq);
	values[FTC_ENTRY_TIME] = TimestampTzGetDatum(ftc_clock_to_timestamp(entry->time));
	values[FTC_ENTRY_SALT] = ftc_slice_datum(entry->salt);
	values[FTC_ENTRY_AUTHOR] = name_datum(entry->author);
	values[FTC_ENTRY_KIND] = name_datum(entry->kind);
	values[FTC_ENTRY_PAYLOAD] = name_datum(entry->payload);
	MemoryContextSwitchTo(outer);
	ftc_insertion_add(into, values, nulls);
}

/*
 * Read the entries of the next bundle and store them.  given says under which
 * numbers; NULL draws new ones.
 */
static void
put_bundle_entries(BodyIn *body, const FtcStoredBundle *stored, const FtcIds *given)
{
	uint32		count = body->reader.bundle.count;
	FtcInsertion *into = ftc_insertion_begin(ftc_entry_table(body->entry, RowExclusiveLock), count, true);
	Datum		values[FTC_ENTRY_COLUMNS] = {0};
	int64		bytes = 0;
	int			range = 0;
	int64		next = given == NULL ? 0 : (int64) given->ranges[0].first;
	FtcIds		ids;

	values[FTC_ENTRY_INCARNATION] = Int64GetDatum(stored->incarnation);
	values[FTC_ENTRY_CHAIN] = Int32GetDatum(body->chain);
	values[FTC_ENTRY_ORIGIN] = Int32GetDatum(stored->origin);
	ftc_ids_init(&ids);
	for (uint32 i = 0; i < count; i++)
	{
		FtcEntry	entry;
		FtcReason	reason = ftc_body_next(&body->reader, &entry);
		int64		id;

		if (reason != FTC_OK)
			ftc_refuse(reason, "body");
		if (entry.erased)
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("an entry of the body is erased, and nothing on the chain says so"));
		if (given == NULL)
			id = nextval_internal(body->copy_id, false);
		else
		{
			if ((uint64) next > given->ranges[range].last)
				next = (int64) given->ranges[++range].first;
			id = next++;
		}
		ftc_ids_add(&ids, id, id);
		put_entry(into, values, id, &entry);
		bytes += ftc_body_entry_len(&entry);
	}
	ftc_insertion_end(into);
	ftc_store_write(&bundle_hold, FTC_ARGS(Int64GetDatum(stored->id), ftc_ids_datum(&ids),
										   ftc_slice_datum(ftc_slice(body->hashes, count * sizeof(FtcHash))),
										   Int64GetDatum(bytes)), NULL);
	body->hashes += count;
}

static void
skip_bundle(BodyIn *body)
{
	uint32		count = body->reader.bundle.count;

	for (uint32 i = 0; i < count; i++)
	{
		FtcEntry	entry;

		if (ftc_body_next(&body->reader, &entry) != FTC_OK)
			ftc_refuse(FTC_BAD_BODY, "body");
	}
	body->hashes += count;
}

typedef void (*BundleVisitor) (BodyIn *body, const FtcStoredBundle *stored);

static void
visit_body(int32 chain, const FtcHash *block, FtcSlice bytes, const FtcHash *hashes, BundleVisitor visit)
{
	FtcStoredBundle *bundles;
	int			n = ftc_store_bundles(block, &bundles);
	MemoryContext one = AllocSetContextCreate(CurrentMemoryContext, "ftchain bundle",
											  ALLOCSET_DEFAULT_SIZES);
	BodyIn		body = {.hashes = hashes,.chain = chain};
	FtcReason	reason = ftc_body_open(&body.reader, bytes);

	if (reason != FTC_OK)
		ftc_refuse(reason, "body");
	body.reader.checked = true;
	ftc_run(&copy_relations, 0);
	body.entry = DatumGetObjectId(ftc_value(0, 0));
	body.copy_id = DatumGetObjectId(ftc_value(0, 1));
	for (int i = 0; i < n; i++)
	{
		MemoryContext outer = MemoryContextSwitchTo(one);

		visit(&body, &bundles[i]);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(one);
	}
	MemoryContextDelete(one);
}

static void
hold_bundle(BodyIn *body, const FtcStoredBundle *stored)
{
	if (stored->held)
		skip_bundle(body);
	else
		put_bundle_entries(body, stored, NULL);
}

void
ftc_store_put_body(int32 chain, const FtcHash *block, FtcSlice body, const FtcHash *hashes)
{
	visit_body(chain, block, body, hashes, hold_bundle);
	ftc_run(&pending_put_of, ftc_hash_datum(block));
}

/*
 * Are these the numbers of this bundle's entries, as far as can be told?  What a
 * damaged list names may be anybody's, and must not be touched.
 */
static bool
is_own_list(const FtcStoredBundle *stored, const FtcIds *ids)
{
	FtcIds		seqs;

	if (ftc_ids_count(ids) != stored->count ||
		ftc_run(&ids_of_others, ftc_ids_datum(ids), Int64GetDatum(stored->id)) > 0)
		return false;
	if (ids->ranges[0].first >= FTC_COPY_ID_MIN)
		return true;
	return ftc_ids_read(stored->seqs, &seqs) && ftc_ids_equal(ids, &seqs);
}

/*
 * Under the numbers they have, if the list of these can be trusted; else under
 * those that entries of our own have, or under new ones.  What is then left over
 * belongs nowhere, and is found as such.
 */
static void
rewrite_bundle(BodyIn *body, const FtcStoredBundle *stored)
{
	FtcIdentity self;
	FtcIds		ids;
	bool		known = stored->held && ftc_ids_read(stored->ids, &ids) && is_own_list(stored, &ids);

	if (!known && ftc_identity_load(&self) && self.origin == stored->origin)
		known = ftc_ids_read(stored->seqs, &ids) && is_own_list(stored, &ids);
	known = known && ftc_ids_count(&ids) == body->reader.bundle.count;
	if (known)
		ftc_store_delete_entries(&ids);
	put_bundle_entries(body, stored, known ? &ids : NULL);
}

void
ftc_store_replace_body(int32 chain, const FtcHash *block, FtcSlice body, const FtcHash *hashes)
{
	visit_body(chain, block, body, hashes, rewrite_bundle);
}

int64
ftc_store_delete_entries(const FtcIds *ids)
{
	int64		n = 0;

	for (int i = 0; i < ids->n; i++)
		n += ftc_store_write(&entries_delete, FTC_ARGS(Int64GetDatum(ids->ranges[i].first),
													   Int64GetDatum(ids->ranges[i].last)), NULL);
	return n;
}

void
ftc_store_drop_body(const FtcHash *block)
{
	FtcStoredBundle *bundles;
	int			n = ftc_store_bundles(block, &bundles);

	for (int i = 0; i < n; i++)
	{
		FtcIds		ids;

		if (!bundles[i].held || !ftc_ids_read(bundles[i].ids, &ids) || !is_own_list(&bundles[i], &ids))
			continue;
		ftc_store_delete_entries(&ids);
		ftc_store_write(&bundle_release, FTC_ARGS(Int64GetDatum(bundles[i].id)), NULL);
	}
}

/* A body under construction. */
typedef struct BodyBuffer
{
	uint8	   *buf;
	size_t		size;
	FtcWriter	writer;
	int64		entries;
} BodyBuffer;

static bool
body_add_entry(void *arg, int64 id, FtcEntry *entry)
{
	BodyBuffer *body = arg;
	size_t		need = body->writer.len + ftc_body_entry_len(entry);

	if (need > FTC_BODY_MAX)
		return false;
	if (need > body->size)
	{
		body->size = Min(Max(need, body->size * 2), FTC_BODY_MAX);
		body->buf = repalloc_huge(body->buf, body->size);
		body->writer.buf = body->buf;
		body->writer.size = body->size;
	}
	ftc_body_put_entry(&body->writer, entry);
	body->entries++;
	return true;
}

/*
 * The body of a block in full, from what is stored, unchecked; false if it is
 * not held whole.
 */
bool
ftc_store_load_body(int32 chain, const FtcHash *block, FtcSlice manifest, FtcSlice *body)
{
	FtcStoredBundle *bundles;
	BodyBuffer	buffer = {0};
	int64		entries = 0;
	int			n;

	n = ftc_store_bundles(block, &bundles);
	buffer.size = manifest.len + 1024;
	for (int i = 0; i < n; i++)
		buffer.size += bundles[i].bytes;
	buffer.size = Min(buffer.size, FTC_BODY_MAX);
	buffer.buf = MemoryContextAllocHuge(CurrentMemoryContext, buffer.size);
	buffer.writer = ftc_writer(buffer.buf, buffer.size);
	ftc_body_begin(&buffer.writer, FTC_BODY_FULL, manifest);
	for (int i = 0; i < n; i++)
	{
		FtcIds		ids;

		if (!bundles[i].held || !ftc_ids_read(bundles[i].ids, &ids))
			return false;
		ftc_store_scan(chain, &ids, body_add_entry, &buffer);
		entries += bundles[i].count;
		if (buffer.entries != entries)
			return false;
	}
	*body = ftc_slice(buffer.buf, buffer.writer.len);
	return ftc_writer_fits(&buffer.writer);
}

/* ----------------------------------------------------------------
 *		Entries that no list names any more
 * ----------------------------------------------------------------
 */

static FtcStmt bundle_not_held = {
	.sql = "SELECT id FROM ftchain.bundle WHERE chain = $1 AND digest = $2 AND ids IS NULL",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

typedef struct OwnSearch
{
	FtcOwnEntries *own;
	const FtcBundle *bundle;
	FtcFrontier tree;
} OwnSearch;

static bool
add_own(void *arg, int64 id, FtcEntry *entry)
{
	OwnSearch  *search = arg;
	FtcOwnEntries *own = search->own;

	if (entry->seq != (uint64) id || entry->incarnation != search->bundle->incarnation || own->count == search->bundle->count)
		return false;
	entry->payload_hash = ftc_payload_hash(entry->salt, entry->payload);
	own->leaves[own->count] = ftc_entry_leaf_hash(entry);
	ftc_frontier_add(&search->tree, &own->leaves[own->count]);
	own->count++;
	own->bytes += (int64) ftc_body_entry_len(entry);
	return true;
}

bool
ftc_store_find_own(int32 chain, const FtcBundle *bundle, FtcOwnEntries *own)
{
	OwnSearch	search = {.own = own,.bundle = bundle};
	FtcIdentity self;
	FtcHash		root;

	memset(own, 0, sizeof(*own));
	if (!ftc_identity_load(&self) || !ftc_hash_equal(&self.member, &bundle->origin))
		return false;
	own->ids = ftc_ids_of_bundle(bundle);
	own->leaves = palloc_extended(Max(bundle->count, 1) * sizeof(FtcHash), MCXT_ALLOC_HUGE);
	ftc_frontier_init(&search.tree);
	ftc_store_scan(chain, &own->ids, add_own, &search);
	root = ftc_frontier_root(&search.tree);
	return own->count == bundle->count && ftc_hash_equal(&root, &bundle->root);
}

void
ftc_store_hold_own(int32 chain, const FtcManifest *manifest)
{
	FtcReader	at = manifest->bundles;

	for (uint32 i = 0; i < manifest->nbundles; i++)
	{
		MemoryContext outer = ftc_nest();
		FtcBundle	bundle;
		FtcSignature signature;
		FtcHash		digest = ftc_bundle_digest(ftc_manifest_next_bundle(&at, &bundle, &signature));
		FtcOwnEntries own;
		int64		id;

		if (ftc_run(&bundle_not_held, Int32GetDatum(chain), ftc_hash_datum(&digest)) > 0)
		{
			id = DatumGetInt64(ftc_value(0, 0));
			if (ftc_store_find_own(chain, &bundle, &own) &&
				ftc_run(&ids_of_others, ftc_ids_datum(&own.ids), Int64GetDatum(id)) == 0)
				ftc_store_write(&bundle_hold, FTC_ARGS(Int64GetDatum(id), ftc_ids_datum(&own.ids),
													   ftc_slice_datum(ftc_slice(own.leaves, own.count * sizeof(FtcHash))),
													   Int64GetDatum(own.bytes)), NULL);
		}
		ftc_unnest(outer);
	}
}

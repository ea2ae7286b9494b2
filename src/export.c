/*-------------------------------------------------------------------------
 *
 * export.c
 *	  A chain as a file: making it.
 *
 * All of it as one snapshot has it, one block after the other.  Whatever goes
 * into a file was checked before: what is damaged here must not travel.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "chain.h"
#include "core/file.h"
#include "core/rules.h"
#include "datum.h"
#include "export.h"
#include "memory.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_export);
PG_FUNCTION_INFO_V1(ftchain_export_file);

static FtcStmt statements_of = {
	.sql = "SELECT member, signature FROM ftchain.replica WHERE block = $1"
	" UNION SELECT member, signature FROM ftchain.withdrawn WHERE block = $1 ORDER BY member",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt controls_between = {
	.sql = "SELECT c.height, c.leaf FROM ftchain.control c JOIN ftchain.main_chain m ON m.block = c.block"
	" WHERE m.chain = $1 AND m.height > $2 AND m.height <= $3 ORDER BY m.height, c.\"position\"",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
};

/* A file being made: what lasts from one record to the next. */
typedef struct Export
{
	FtcChain	chain;
	FtcFileBegin begin;
	bool		begun;
	bool		ended;
	uint64		next;			/* height */
	FtcFileEnd	end;			/* so far; its head is the last block's id */

	MemoryContext state_context;
	FtcState   *state;			/* that the last block builds on */
	FtcHash		state_root;
} Export;

/* ----------------------------------------------------------------
 *		Is what is here sound?
 * ----------------------------------------------------------------
 */

static void
need_sound(FtcReason reason, const FtcStored *stored, const char *what)
{
	if (reason != FTC_OK)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("%s of block %s at height %llu is damaged: %s", what, ftc_hash_hex(&stored->id),
					   (unsigned long long) stored->header.height, ftc_reason_text(reason)),
				errhint("See ftchain.verify() and ftchain.repair()."));
}

/* Mostly it is the one of the block before. */
static const FtcState *
find_state(Export *x, const FtcStored *stored)
{
	FtcState   *state;
	FtcSlice	content;
	FtcSlice	kept;
	FtcHash		root;

	if (x->state != NULL && ftc_hash_equal(&x->state_root, &stored->header.state))
		return x->state;
	x->state = NULL;
	MemoryContextReset(x->state_context);
	state = ftc_store_load_state(&stored->header.state);
	root = ftc_state_root(state);
	need_sound(ftc_hash_equal(&root, &stored->header.state) ? FTC_OK : FTC_BAD_STATE, stored, "the state");
	FTC_ENCODE(content, ftc_state_encode, state);
	kept = ftc_slice(memcpy(MemoryContextAlloc(x->state_context, content.len), content.data, content.len), content.len);
	state = MemoryContextAllocZero(x->state_context, sizeof(FtcState));
	state->capacity = ftc_state_capacity(kept);
	state->members = MemoryContextAlloc(x->state_context, state->capacity * sizeof(FtcMember));
	need_sound(ftc_state_decode(state, kept), stored, "the state");
	x->state_root = root;
	x->state = state;
	return state;
}

static FtcReason
check_genesis(const FtcStored *stored, const FtcManifest *manifest)
{
	FtcState	founded = {.capacity = manifest->ncontrols + 1};

	founded.members = palloc(founded.capacity * sizeof(FtcMember));
	return ftc_rules_genesis(&stored->header, &stored->block.signature, manifest, &founded);
}

static FtcReason
check_proposer(const FtcChain *chain, const FtcStored *stored, const FtcState *state)
{
	const FtcMember *proposer = ftc_state_find(state, &stored->header.proposer);

	if (proposer == NULL)
		return FTC_NOT_A_MEMBER;
	return ftc_verify(&proposer->key, FTC_DOMAIN_BLOCK, &chain->genesis, &stored->id, &stored->block.signature);
}

/* All of a block but its body; its header's bytes were checked by who loaded it. */
static const FtcState *
check_block(Export *x, const FtcStored *stored, FtcManifest *manifest)
{
	const FtcState *state = find_state(x, stored);
	const FtcHash *before = stored->header.height == 0 ? &ftc_hash_zero : &x->end.head;
	FtcReason	reason;

	if (x->end.blocks > 0 && !ftc_hash_equal(before, &stored->header.prev))
		need_sound(FTC_BAD_PARENT, stored, "the main chain below");
	reason = ftc_manifest_decode(manifest, stored->block.manifest);
	if (reason == FTC_OK)
		reason = ftc_manifest_verify(manifest, stored->block.proof, &stored->header.body, stored->header.leaves);
	if (reason == FTC_OK && stored->header.height > 0)
		reason = ftc_rules_manifest(manifest, &stored->header, state, &x->chain.genesis);
	need_sound(reason, stored, "the manifest");
	need_sound(stored->header.height == 0 ? check_genesis(stored, manifest) : check_proposer(&x->chain, stored, state),
			   stored, "the signature");
	return state;
}

/* ----------------------------------------------------------------
 *		Records
 * ----------------------------------------------------------------
 */

typedef size_t (*RecordEncoder) (const void *record, uint8_t *bytes, size_t size);

/* A record as a bytea in the given memory. */
static bytea *
encode_record(MemoryContext context, RecordEncoder encoder, const void *record)
{
	size_t		len = encoder(record, NULL, 0);
	bytea	   *piece = MemoryContextAlloc(context, VARHDRSZ + len);

	SET_VARSIZE(piece, VARHDRSZ + len);
	(void) encoder(record, (uint8 *) VARDATA(piece), len);
	return piece;
}

static FtcSlice
content_of(const bytea *piece)
{
	return ftc_slice(VARDATA(piece) + FTC_FILE_FRAME_LEN, VARSIZE(piece) - VARHDRSZ - FTC_FILE_FRAME_LEN);
}

/* Controls of the main chain that are not in a state yet. */
static FtcSlice
load_controls(const Export *x, const FtcState *state, uint32 *n)
{
	FtcWriter	writer = ftc_writer(NULL, 0);
	uint8	   *bytes;

	*n = (uint32) ftc_run(&controls_between, Int32GetDatum(x->chain.id), Int64GetDatum((int64) state->folded),
						  Int64GetDatum((int64) x->begin.from - 1));
	for (uint32 i = 0; i < *n; i++)
		ftc_file_put_control(&writer, (uint64) DatumGetInt64(ftc_value(i, 0)), ftc_slice_value(i, 1));
	bytes = palloc(Max(writer.len, 1));
	writer = ftc_writer(bytes, writer.len);
	for (uint32 i = 0; i < *n; i++)
		ftc_file_put_control(&writer, (uint64) DatumGetInt64(ftc_value(i, 0)), ftc_slice_value(i, 1));
	return ftc_slice(bytes, writer.len);
}

static void
need_main(const Export *x, uint64 height, FtcStored *stored)
{
	if (!ftc_store_load_main(x->chain.id, (int64) height, stored))
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("chain \"%s\" has no block at height %llu", x->chain.name, (unsigned long long) height),
				errhint("See ftchain.verify() and ftchain.repair()."));
}

/* What a reader needs to know of the block before the first. */
static FtcSlice
make_base(Export *x)
{
	FtcFileBase base = {0};
	FtcStored	parent;
	FtcManifest manifest;
	const FtcState *state;
	uint8	   *tip = palloc(FTC_TIP_BYTES_MAX);
	FtcSlice	bytes;

	need_main(x, x->begin.from - 1, &parent);
	state = check_block(x, &parent, &manifest);
	base.header = parent.block.header;
	base.tip = ftc_slice(tip, ftc_tip_encode(&parent.tip, tip));
	FTC_ENCODE(base.state, ftc_state_encode, state);
	base.controls = load_controls(x, state, &base.ncontrols);
	FTC_ENCODE(bytes, ftc_file_base_encode, &base);
	x->end.head = parent.id;
	return bytes;
}

static bytea *
make_begin(Export *x, MemoryContext context)
{
	bytea	   *piece;

	x->begun = true;
	if (x->begin.from > 0)
		x->begin.base = make_base(x);
	piece = encode_record(context, (RecordEncoder) ftc_file_begin_encode, &x->begin);
	x->begin.base = ftc_slice(NULL, 0);
	x->end.digest = ftc_file_digest(content_of(piece));
	return piece;
}

/* The statements that a reader will find right: of members of the block's own state. */
static FtcSlice
load_statements(const Export *x, const FtcStored *stored, const FtcState *state)
{
	uint64		n = ftc_run(&statements_of, ftc_hash_datum(&stored->id));
	uint8	   *bytes = palloc(Max(n, 1) * FTC_STATEMENT_LEN);
	size_t		len = 0;

	for (uint64 i = 0; i < n; i++)
	{
		FtcHash		member;
		FtcSignature signature;

		if (!ftc_datum_hash(ftc_value(i, 0), &member) || !ftc_datum_signature(ftc_value(i, 1), &signature))
			continue;
		memcpy(bytes + len, member.b, FTC_HASH_LEN);
		memcpy(bytes + len + FTC_HASH_LEN, signature.b, FTC_SIGNATURE_LEN);
		if (ftc_rules_statement(state, &x->chain.genesis, &stored->id,
								ftc_slice(bytes + len, FTC_STATEMENT_LEN)) == FTC_OK)
			len += FTC_STATEMENT_LEN;
	}
	return ftc_slice(bytes, len);
}

static FtcSlice
make_marks(const FtcHash *hashes, uint32 n)
{
	uint8	   *marks = palloc(Max(n, 1) * FTC_MARK_LEN);

	for (uint32 i = 0; i < n; i++)
		memcpy(marks + i * FTC_MARK_LEN, hashes[i].b, FTC_MARK_LEN);
	return ftc_slice(marks, n * FTC_MARK_LEN);
}

/* The body, checked; false if what is here is not sound. */
static bool
load_body(const Export *x, FtcStored *stored, uint32 entries, FtcFileBlock *record)
{
	FtcHash    *hashes = palloc_extended(entries * sizeof(FtcHash), MCXT_ALLOC_HUGE);

	if (!ftc_store_load_body(x->chain.id, &stored->id, stored->block.manifest, &record->block.body) ||
		ftc_body_check(record->block.body, &stored->header.body, stored->header.leaves, hashes) != FTC_OK)
	{
		record->block.body = ftc_slice(NULL, 0);
		return false;
	}
	record->marks = make_marks(hashes, entries);
	return true;
}

/* A body that is wanted and cannot be given: is that an error? */
static FtcPresence
go_without(const Export *x, const FtcStored *stored, FtcPresence why)
{
	bool		damaged = why == FTC_PRESENCE_DAMAGED;

	if (x->begin.bodies == FTC_BODIES_ALL || damaged)
		ereport(x->begin.bodies == FTC_BODIES_ALL ? ERROR : WARNING,
				errcode(damaged ? ERRCODE_DATA_CORRUPTED : ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg(damaged ? "the body of block %s at height %llu is damaged"
					   : "the body of block %s at height %llu is not held here",
					   ftc_hash_hex(&stored->id), (unsigned long long) stored->header.height),
				damaged ? errhint("See ftchain.verify() and ftchain.repair().")
				: errhint("Export at a member that holds it, or with bodies => 'held'."));
	return why;
}

static void
add_body(const Export *x, FtcStored *stored, uint32 entries, FtcFileBlock *record)
{
	if (entries == 0)
		record->presence = FTC_PRESENCE_EMPTY;
	else if (x->begin.bodies == FTC_BODIES_NONE)
		record->presence = FTC_PRESENCE_LEFT_OUT;
	else if (!ftc_store_has_body(&stored->id))
		record->presence = go_without(x, stored, FTC_PRESENCE_NOT_HELD);
	else if (!load_body(x, stored, entries, record))
		record->presence = go_without(x, stored, FTC_PRESENCE_DAMAGED);
	else
		record->presence = FTC_PRESENCE_HERE;
}

static bytea *
make_block(Export *x, MemoryContext context)
{
	FtcFileBlock record = {.height = x->next};
	FtcStored	stored;
	FtcManifest manifest;
	const FtcState *state;
	bytea	   *piece;

	need_main(x, x->next, &stored);
	state = check_block(x, &stored, &manifest);
	record.id = stored.id;
	record.statements = load_statements(x, &stored, state);
	record.block = stored.block;
	add_body(x, &stored, manifest.entries, &record);
	piece = encode_record(context, (RecordEncoder) ftc_file_block_encode, &record);
	x->end.digest = ftc_file_digest_block(&x->end.digest, content_of(piece), record.block.body.len);
	x->end.head = stored.id;
	x->end.blocks++;
	x->end.bodies += record.presence == FTC_PRESENCE_HERE;
	x->next++;
	return piece;
}

/* The next record, in the given memory; NULL after the last.  Inside a scope. */
static bytea *
next_record(Export *x, MemoryContext context)
{
	if (!x->begun)
		return make_begin(x, context);
	if (x->next <= x->begin.to)
		return make_block(x, context);
	if (x->ended)
		return NULL;
	x->ended = true;
	return encode_record(context, (RecordEncoder) ftc_file_end_encode, &x->end);
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

static FtcFileBodies
bodies_arg(FunctionCallInfo fcinfo, int i)
{
	char	   *bodies = text_to_cstring(PG_GETARG_TEXT_PP(i));

	if (strcmp(bodies, "none") == 0)
		return FTC_BODIES_NONE;
	if (strcmp(bodies, "held") == 0)
		return FTC_BODIES_HELD;
	if (strcmp(bodies, "all") == 0)
		return FTC_BODIES_ALL;
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("\"bodies\" must not be \"%s\"", bodies),
			errdetail("It may be all, held or none."));
}

/* In memory that lasts.  Heights are looked at in the scope that follows. */
static void
prepare(Export *x, MemoryContext context, const char *chain, FtcFileBodies bodies, int64 from, int64 to)
{
	int64		top;
	FtcChain	found;

	ftc_chain_need(&found, chain);
	x->chain.id = found.id;
	x->chain.genesis = found.genesis;
	x->chain.name = MemoryContextStrdup(context, found.name);
	top = ftc_store_main_height(found.id);
	if (to < 0)
		to = top;
	if (from < 0 || to < from)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("heights from %lld to %lld are not a range", (long long) from, (long long) to));
	if (to > top)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("chain \"%s\" has no block at height %lld", found.name, (long long) to),
				errdetail("Its head is at height %lld.", (long long) top));
	x->begin.genesis = found.genesis;
	x->begin.from = (uint64) from;
	x->begin.to = (uint64) to;
	x->begin.bodies = bodies;
	x->next = (uint64) from;
	x->state_context = AllocSetContextCreate(context, "ftchain state", ALLOCSET_DEFAULT_SIZES);
}

static void
need_args(FunctionCallInfo fcinfo, int chain, int bodies)
{
	if (PG_ARGISNULL(chain) || PG_ARGISNULL(bodies))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("\"%s\" must not be null", PG_ARGISNULL(chain) ? "chain" : "bodies"));
}

static int64
height_arg(FunctionCallInfo fcinfo, int i, int64 otherwise)
{
	int64		height = PG_ARGISNULL(i) ? otherwise : PG_GETARG_INT64(i);

	if (!PG_ARGISNULL(i) && height < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("height %lld is negative", (long long) height));
	return height;
}

/*
 * A value per call, so that in a list of results nothing is kept.  All see what
 * the statement sees.
 */
Datum
ftchain_export(PG_FUNCTION_ARGS)
{
	FuncCallContext *calls;
	MemoryContext context = CurrentMemoryContext;
	FtcScope	scope;
	Export	   *x;
	bytea	   *piece;
	bool		first = SRF_IS_FIRSTCALL();

	if (first)
	{
		need_args(fcinfo, 0, 3);
		calls = SRF_FIRSTCALL_INIT();
		calls->user_fctx = MemoryContextAllocZero(calls->multi_call_memory_ctx, sizeof(Export));
		ftc_memory_keep();
	}
	calls = SRF_PERCALL_SETUP();
	x = calls->user_fctx;
	ftc_enter(&scope);
	ftc_freeze_active();
	if (first)
		prepare(x, calls->multi_call_memory_ctx, text_to_cstring(PG_GETARG_TEXT_PP(0)), bodies_arg(fcinfo, 3),
				height_arg(fcinfo, 1, 0), height_arg(fcinfo, 2, -1));
	piece = next_record(x, context);
	ftc_thaw();
	ftc_leave(&scope);
	if (piece == NULL)
		SRF_RETURN_DONE(calls);
	SRF_RETURN_NEXT(calls, PointerGetDatum(piece));
}

char *
ftc_file_path_arg(FunctionCallInfo fcinfo, int i, Oid role, const char *role_name, const char *verb)
{
	char	   *path;

	if (PG_ARGISNULL(i))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("\"path\" must not be null"));
	if (!has_privs_of_role(GetUserId(), role))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("must be superuser or have privileges of the %s role to %s a file of the server", role_name, verb),
				errhint("Anybody who may call ftchain.export() can \\copy from it, and who may write ftchain.import_piece can \\copy to that."));
	path = text_to_cstring(PG_GETARG_TEXT_PP(i));
	canonicalize_path(path);
	if (!is_absolute_path(path))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_NAME),
				errmsg("path \"%s\" is not absolute", path));
	return path;
}

/* An open file, and how much was written. */
typedef struct Output
{
	int			fd;
	char	   *part;			/* its name until it is complete */
	int64		bytes;
} Output;

static void
write_piece(Output *out, const bytea *piece)
{
	const char *at = VARDATA(piece);
	size_t		left = VARSIZE(piece) - VARHDRSZ;

	out->bytes += (int64) left;
	while (left > 0)
	{
		ssize_t		n;

		errno = 0;
		n = write(out->fd, at, left);
		if (n <= 0)
		{
			/* if write didn't set errno, assume problem is no disk space */
			if (errno == 0)
				errno = ENOSPC;
			if (errno == EINTR)
				continue;
			ereport(ERROR,
					errcode_for_file_access(),
					errmsg("could not write file \"%s\": %m", out->part));
		}
		at += n;
		left -= (size_t) n;
	}
}

static void
write_all(Export *x, Output *out)
{
	bytea	   *piece;

	do
	{
		MemoryContext outer = ftc_nest();

		CHECK_FOR_INTERRUPTS();
		piece = next_record(x, CurrentMemoryContext);
		if (piece != NULL)
			write_piece(out, piece);
		ftc_progress_report(out->bytes, (int64) x->end.blocks);
		ftc_unnest(outer);
	} while (piece != NULL);
	if (pg_fsync(out->fd) != 0)
		ereport(data_sync_elevel(ERROR),
				errcode_for_file_access(),
				errmsg("could not fsync file \"%s\": %m", out->part));
}

/* Under another name until it is complete, and never over a file that is there. */
static void
open_output(Output *out, const char *path)
{
	bool		is_there;

	out->part = psprintf("%s.part", path);
	if (access(path, F_OK) == 0)
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_FILE),
				errmsg("file \"%s\" already exists", path));
	out->fd = OpenTransientFilePerm(out->part, O_CREAT | O_EXCL | O_WRONLY | PG_BINARY, 0600);
	is_there = errno == EEXIST;
	if (out->fd < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not create file \"%s\": %m", out->part),
				is_there ? errhint("Another export may be writing it, or have been cut off; then remove it.") : 0);
}

static void
export_to(Export *x, Output *out, const char *path)
{
	open_output(out, path);
	PG_TRY();
	{
		ftc_progress_begin(true, 0);
		write_all(x, out);
		ftc_progress_end();
	}
	PG_CATCH();
	{
		(void) unlink(out->part);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (CloseTransientFile(out->fd) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not close file \"%s\": %m", out->part));
	(void) durable_rename(out->part, path, ERROR);
}

Datum
ftchain_export_file(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	FtcScope	scope;
	Export		x = {0};
	Output		out = {0};
	char	   *path;
	Datum		values[4];
	bool		nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	need_args(fcinfo, 0, 4);
	path = ftc_file_path_arg(fcinfo, 1, ROLE_PG_WRITE_SERVER_FILES, "pg_write_server_files", "write");
	ftc_memory_keep();
	ftc_enter(&scope);
	ftc_freeze();
	prepare(&x, scope.caller, text_to_cstring(PG_GETARG_TEXT_PP(0)), bodies_arg(fcinfo, 4),
			height_arg(fcinfo, 2, 0), height_arg(fcinfo, 3, -1));
	export_to(&x, &out, path);
	ftc_thaw();
	ftc_leave(&scope);

	values[0] = Int64GetDatum((int64) x.end.blocks);
	values[1] = Int64GetDatum((int64) x.end.bodies);
	values[2] = Int64GetDatum(out.bytes);
	values[3] = ftc_hash_datum(&x.end.head);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

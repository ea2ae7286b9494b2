/*-------------------------------------------------------------------------
 *
 * import.c
 *	  A chain as a file: taking it in.
 *
 * A file is worth no more than a peer's word: each block goes the way that blocks
 * of peers go.  What is here already is passed over, so an import that was cut
 * off is begun again and goes on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "branch.h"
#include "chain.h"
#include "core/file.h"
#include "datum.h"
#include "export.h"
#include "failpoint.h"
#include "inbox.h"
#include "memory.h"
#include "step.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_import);
PG_FUNCTION_INFO_V1(ftchain_import_file);

static FtcStmt pieces_lock = {
	.sql = "LOCK TABLE ftchain.import_piece IN SHARE UPDATE EXCLUSIVE MODE",
};

static FtcStmt pieces_sum = {
	.sql = "SELECT coalesce(sum(octet_length(piece)), 0)::bigint FROM ftchain.import_piece",
};

static FtcStmt piece_next = {
	.sql = "SELECT id, piece FROM ftchain.import_piece WHERE id > $1 ORDER BY id LIMIT 1",
	.nargs = 1,
	.argtypes = {INT8OID},
};

static FtcStmt pieces_drop = {
	.sql = "DELETE FROM ftchain.import_piece WHERE id <= $1",
	.nargs = 1,
	.argtypes = {INT8OID},
};

static FtcStmt is_wanted = {
	.sql = "SELECT FROM ftchain.wanted WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* A transaction takes so many bytes or blocks. */
#define BATCH_BYTES (16 * 1024 * 1024)
#define BATCH_BLOCKS 100

typedef struct Import Import;

/*
 * Where pieces come from.  next gives one in the current memory context, false if
 * there are no more; commit is called when what was taken is about to be.
 */
typedef struct Source
{
	void		(*open) (Import *im);	/* in each transaction */
	bool		(*next) (Import *im, FtcSlice *piece);
	void		(*commit) (Import *im);
} Source;

struct Import
{
	const Source *source;
	char	   *name;
	bool		pinned;
	FtcHash		genesis;		/* that was given, or is known by now */
	bool		has_genesis;
	bool		only_wanted;	/* bodies */
	FtcChain	chain;
	bool		has_chain;

	int64		bytes;
	int64		blocks;			/* taken */
	int64		known;			/* before */
	int64		bodies;			/* taken */
	bool		ended;			/* the last record was END */

	int64		last;			/* id of the last piece, of a table */

	char	   *path;			/* of a file */
	FILE	   *file;
	bool		is_copy;		/* in COPY's format */
	off_t		at;				/* where the next piece begins */
};

/* ----------------------------------------------------------------
 *		Blocks
 * ----------------------------------------------------------------
 */

pg_noreturn static void
refuse_block(uint64 height, FtcReason reason)
{
	ereport(ERROR,
			errcode(ftc_reason_sqlstate(reason)),
			errmsg("block %llu of the file is refused: %s", (unsigned long long) height, ftc_reason_text(reason)),
			reason == FTC_UNKNOWN_PARENT ? errhint("Import what comes before it first.") : 0);
	pg_unreachable();
}

/* The chain of this name, if there is one, must be the one that was meant. */
static void
find_chain(Import *im)
{
	FtcChain	found;

	im->has_chain = ftc_chain_find(&found, im->name);
	if (!im->has_chain)
		return;
	if (im->has_genesis && !ftc_hash_equal(&im->genesis, &found.genesis))
		ereport(ERROR,
				errcode(ERRCODE_DATA_EXCEPTION),
				errmsg("chain \"%s\" has genesis %s", im->name, ftc_hash_hex(&found.genesis)),
				errdetail("Expected %s.", ftc_hash_hex(&im->genesis)));
	im->genesis = found.genesis;
	im->has_genesis = true;
	im->chain = found;
	im->chain.name = im->name;
}

static void
need_genesis(Import *im, const FtcHash *genesis)
{
	if (im->has_genesis && !ftc_hash_equal(&im->genesis, genesis))
		ereport(ERROR,
				errcode(ERRCODE_DATA_EXCEPTION),
				errmsg("the file is of a chain with genesis %s", ftc_hash_hex(genesis)),
				errdetail("Expected %s.", ftc_hash_hex(&im->genesis)));
}

/* The first block of a chain that is not here: from now on it is. */
static void
found_chain(Import *im, const FtcFileBlock *record, const FtcHash *id)
{
	if (record->height != 0)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("chain \"%s\" does not exist, and the file begins at height %llu", im->name,
					   (unsigned long long) record->height),
				errhint("Import a file that begins with its first block."));
	need_genesis(im, id);
	if (!im->pinned)
		ereport(NOTICE,
				errmsg("the genesis id %s is taken on trust", ftc_hash_hex(id)),
				errhint("Compare it with what a member of the chain tells you by another way."));
	ftc_chain_found(&im->chain, im->name, &record->block, im->pinned);
	im->chain.name = im->name;
	im->genesis = *id;
	im->has_genesis = im->has_chain = true;
	im->blocks++;
}

/* The statements first, so that a body that is known to be stored is not even wanted. */
static FtcReason
take_with_statements(Import *im, const FtcFileBlock *record, const FtcBlock *block)
{
	bool		known = ftc_inbox_statements(&im->chain, &record->id, record->statements);
	FtcReason	reason = ftc_inbox_block(&im->chain, block, NULL);

	if (reason == FTC_OK && !known)
		(void) ftc_inbox_statements(&im->chain, &record->id, record->statements);
	return reason;
}

/* With its body if all are to be taken, else only if it is wanted. */
static FtcReason
take(Import *im, const FtcFileBlock *record, bool is_known)
{
	FtcBlock	block = record->block;
	FtcReason	reason = FTC_OK;

	if (im->only_wanted)
		block.body = ftc_slice(NULL, 0);
	if (!is_known || block.body.len > 0)
		reason = take_with_statements(im, record, &block);
	else if (!ftc_branch_is_available(&record->id))
		(void) ftc_inbox_statements(&im->chain, &record->id, record->statements);
	if (reason == FTC_OK && block.body.len == 0 && record->block.body.len > 0 &&
		ftc_run(&is_wanted, ftc_hash_datum(&record->id)) > 0)
		reason = ftc_inbox_block(&im->chain, &record->block, NULL);
	return reason;
}

static void
take_block(Import *im, FtcSlice content)
{
	FtcFileBlock record;
	FtcHeader	header;
	FtcHash		id;
	FtcStored	stored;
	FtcReason	reason = ftc_file_block_decode(&record, content);
	bool		is_known;
	bool		has_body;

	if (reason == FTC_OK)
		reason = ftc_header_decode(&header, record.block.header);
	if (reason != FTC_OK)
		ftc_refuse(reason, "piece of a chain");
	id = ftc_header_id(&header);
	if (!ftc_hash_equal(&id, &record.id))
		refuse_block(record.height, FTC_WRONG_DIGEST);
	if (header.height != record.height)
		refuse_block(record.height, FTC_BAD_HEIGHT);
	if (!im->has_chain)
	{
		found_chain(im, &record, &id);
		return;
	}
	is_known = ftc_store_load(&id, &stored);
	has_body = is_known && ftc_store_has_body(&id);
	reason = take(im, &record, is_known);
	if (reason != FTC_OK)
		refuse_block(record.height, reason);
	im->blocks += !is_known;
	im->known += is_known;
	im->bodies += !has_body && record.presence == FTC_PRESENCE_HERE && ftc_store_has_body(&id);
}

static void
take_begin(Import *im, FtcSlice content)
{
	FtcFileBegin begin;
	FtcReason	reason = ftc_file_begin_decode(&begin, content);

	if (reason != FTC_OK)
		ftc_refuse(reason, "piece of a chain");
	need_genesis(im, &begin.genesis);
}

/* Whoever wrote the end had seen all: so all must be here. */
static void
take_end(Import *im, FtcSlice content)
{
	FtcFileEnd	end;
	FtcStored	stored;
	FtcReason	reason = ftc_file_end_decode(&end, content);

	if (reason != FTC_OK)
		ftc_refuse(reason, "piece of a chain");
	if (!ftc_store_load(&end.head, &stored))
		ereport(ERROR,
				errcode(ERRCODE_DATA_EXCEPTION),
				errmsg("the last block of the file, %s, is missing", ftc_hash_hex(&end.head)));
	im->ended = true;
}

static bool
take_piece(Import *im)
{
	FtcFrame	frame;
	FtcSlice	piece;
	FtcSlice	content;
	FtcReason	reason;

	if (!im->source->next(im, &piece))
		return false;
	im->ended = false;
	reason = ftc_file_piece_decode(&frame, &content, piece);
	if (reason != FTC_OK)
		ftc_refuse(reason, "piece of a chain");
	if (frame.kind == FTC_FILE_BEGIN)
		take_begin(im, content);
	else if (frame.kind == FTC_FILE_BLOCK)
		take_block(im, content);
	else
		take_end(im, content);
	im->bytes += (int64) piece.len;
	return true;
}

/* One transaction; false if there is nothing left. */
static bool
take_batch(Import *im)
{
	FtcScope	scope;
	int64		bytes = im->bytes;
	bool		more = true;

	ftc_enter(&scope);
	im->source->open(im);
	find_chain(im);
	if (im->has_chain)
		ftc_chain_lock(im->chain.id);
	for (int i = 0; i < BATCH_BLOCKS && more && im->bytes - bytes < BATCH_BYTES; i++)
	{
		MemoryContext outer = ftc_nest();

		CHECK_FOR_INTERRUPTS();
		more = take_piece(im);
		ftc_unnest(outer);
	}
	im->source->commit(im);
	FTC_FAILPOINT("import-before-commit");
	ftc_leave(&scope);
	ftc_progress_report(im->bytes, im->blocks);
	ftc_progress_skipped(im->known);
	ftc_procedure_commit();
	return more;
}

/* ----------------------------------------------------------------
 *		Pieces in the table
 * ----------------------------------------------------------------
 */

/* One import at a time takes from it. */
static void
table_open(Import *im)
{
	ftc_run(&pieces_lock, 0);
}

static bool
table_next(Import *im, FtcSlice *piece)
{
	if (ftc_run(&piece_next, Int64GetDatum(im->last)) == 0)
		return false;
	im->last = DatumGetInt64(ftc_value(0, 0));
	*piece = ftc_slice_value(0, 1);
	return true;
}

static void
table_commit(Import *im)
{
	ftc_run(&pieces_drop, Int64GetDatum(im->last));
}

static const Source table_source = {table_open, table_next, table_commit};

/* ----------------------------------------------------------------
 *		Pieces in a file
 * ----------------------------------------------------------------
 */

/* Exactly so many bytes; false at the end of the file, if there is none of them. */
static bool
read_bytes(Import *im, void *into, size_t len)
{
	size_t		n = fread(into, 1, len, im->file);

	if (n == len)
		return true;
	if (ferror(im->file))
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not read file \"%s\": %m", im->path));
	if (n > 0)
		ereport(ERROR,
				errcode(ERRCODE_DATA_EXCEPTION),
				errmsg("file \"%s\" ends in the middle of a block", im->path));
	return false;
}

static void
file_open(Import *im)
{
	uint8		start[FTC_COPY_HEADER_LEN];

	im->file = AllocateFile(im->path, PG_BINARY_R);
	if (im->file == NULL)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not open file \"%s\" for reading: %m", im->path));
	if (im->at == 0 && fread(start, 1, sizeof(start), im->file) == sizeof(start) &&
		ftc_file_is_copy(ftc_slice(start, sizeof(start))))
	{
		im->is_copy = true;
		im->at = sizeof(start);
	}
	if (fseeko(im->file, im->at, SEEK_SET) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not seek in file \"%s\": %m", im->path));
}

/* What COPY has before each piece; false at the end. */
static bool
skip_field(Import *im)
{
	uint8		field[FTC_COPY_FIELD_LEN];
	uint32		length;
	FtcReason	reason;

	if (!read_bytes(im, field, FTC_COPY_END_LEN) || ftc_file_is_copy_end(ftc_slice(field, FTC_COPY_END_LEN)))
		return false;
	(void) read_bytes(im, field + FTC_COPY_END_LEN, FTC_COPY_FIELD_LEN - FTC_COPY_END_LEN);
	reason = ftc_file_copy_field(ftc_slice(field, sizeof(field)), &length);
	if (reason != FTC_OK)
		ftc_refuse(reason, "piece of a chain");
	im->at += sizeof(field);
	return true;
}

static bool
file_next(Import *im, FtcSlice *piece)
{
	uint8		start[FTC_FILE_FRAME_LEN];
	uint8	   *bytes;
	FtcFrame	frame;
	FtcReason	reason;

	if ((im->is_copy && !skip_field(im)) || !read_bytes(im, start, sizeof(start)))
		return false;
	reason = ftc_file_frame_decode(&frame, ftc_slice(start, sizeof(start)));
	if (reason != FTC_OK)
		ftc_refuse(reason, "piece of a chain");
	bytes = palloc(sizeof(start) + frame.length);
	memcpy(bytes, start, sizeof(start));
	if (!read_bytes(im, bytes + sizeof(start), frame.length))
		ereport(ERROR,
				errcode(ERRCODE_DATA_EXCEPTION),
				errmsg("file \"%s\" ends in the middle of a block", im->path));
	*piece = ftc_slice(bytes, sizeof(start) + frame.length);
	im->at += (off_t) piece->len;
	return true;
}

/* No file stays open over the end of a transaction. */
static void
file_commit(Import *im)
{
	FreeFile(im->file);
	im->file = NULL;
}

static const Source file_source = {file_open, file_next, file_commit};

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

static void
read_args(FunctionCallInfo fcinfo, int chain, int genesis, int bodies, Import *im)
{
	char	   *which;

	if (PG_ARGISNULL(chain) || PG_ARGISNULL(bodies))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("\"%s\" must not be null", PG_ARGISNULL(chain) ? "chain" : "bodies"));
	/* what is here lasts as long as the procedure does */
	im->name = text_to_cstring(PG_GETARG_TEXT_PP(chain));
	im->pinned = im->has_genesis = !PG_ARGISNULL(genesis);
	if (im->pinned)
		im->genesis = ftc_arg_hash(PG_GETARG_DATUM(genesis), "genesis");
	which = text_to_cstring(PG_GETARG_TEXT_PP(bodies));
	im->only_wanted = strcmp(which, "wanted") == 0;
	if (!im->only_wanted && strcmp(which, "all") != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"bodies\" must not be \"%s\"", which),
				errdetail("It may be all or wanted."));
}

static void
take_all(Import *im, int64 total)
{
	ftc_memory_keep();
	ftc_progress_begin(false, total);
	while (take_batch(im))
		;
	ftc_progress_end();
	ereport(NOTICE,
			errmsg("chain \"%s\": %lld blocks taken, %lld known before, %lld bodies taken", im->name,
				   (long long) im->blocks, (long long) im->known, (long long) im->bodies));
}

static int64
count_staged(void)
{
	FtcScope	scope;
	int64		total;

	ftc_enter(&scope);
	ftc_run(&pieces_sum, 0);
	total = DatumGetInt64(ftc_value(0, 0));
	ftc_leave(&scope);
	return total;
}

Datum
ftchain_import(PG_FUNCTION_ARGS)
{
	Import		im = {.source = &table_source};

	read_args(fcinfo, 0, 1, 2, &im);
	ftc_procedure_begin(fcinfo, "ftchain.import");
	take_all(&im, count_staged());
	ftc_procedure_end();
	PG_RETURN_VOID();
}

Datum
ftchain_import_file(PG_FUNCTION_ARGS)
{
	Import		im = {.source = &file_source};
	struct stat st;

	read_args(fcinfo, 0, 2, 3, &im);
	im.path = ftc_file_path_arg(fcinfo, 1, ROLE_PG_READ_SERVER_FILES, "pg_read_server_files", "read");
	ftc_procedure_begin(fcinfo, "ftchain.import_file");
	if (stat(im.path, &st) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not stat file \"%s\": %m", im.path));
	take_all(&im, (int64) st.st_size);
	if (!im.ended)
		ereport(ERROR,
				errcode(ERRCODE_DATA_EXCEPTION),
				errmsg("file \"%s\" has no end", im.path),
				errdetail("What there is of it was taken."));
	ftc_procedure_end();
	PG_RETURN_VOID();
}

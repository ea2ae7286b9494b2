/*-------------------------------------------------------------------------
 *
 * serve.c
 *	  What members call on each other: the other end of the courier.
 *
 * The caller is some role that was granted ftchain_peer; which member speaks
 * is shown by signatures, not by the role.  See doc/PROTOCOL.md.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "branch.h"
#include "chain.h"
#include "datum.h"
#include "give.h"
#include "identity.h"
#include "keys.h"
#include "memory.h"
#include "protocol.h"
#include "receive.h"
#include "stmt.h"
#include "store.h"
#include "words.h"

PG_FUNCTION_INFO_V1(ftchain_peer_identity);
PG_FUNCTION_INFO_V1(ftchain_peer_genesis);
PG_FUNCTION_INFO_V1(ftchain_peer_hello);
PG_FUNCTION_INFO_V1(ftchain_peer_blocks);
PG_FUNCTION_INFO_V1(ftchain_peer_block);

static FtcStmt locate = {
	.sql = "SELECT max(m.height) FROM ftchain.main_chain m WHERE m.chain = $1 AND m.block = ANY ($2)",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAARRAYOID},
};

static FtcStmt statements_of = {
	.sql = FTC_SAID_OF("$1"),
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

void
ftc_serve_need_protocol(int protocol)
{
	if (protocol < FTC_PROTOCOL_MIN)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("protocol %d is not spoken here any more", protocol),
				errdetail("This server speaks %d to %d.", FTC_PROTOCOL_MIN, FTC_PROTOCOL));
}

void
ftc_serve_need_not_null(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("argument %d must not be null", i + 1));
}

void
ftc_serve_need_chain(FtcChain *chain, const FtcHash *genesis)
{
	if (!ftc_chain_by_genesis(chain, genesis))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("there is no chain with genesis %s here", ftc_hash_hex(genesis)));
}

void
ftc_serve_need_chain_arg(FtcChain *chain, Datum genesis)
{
	FtcHash		id = ftc_arg_hash(genesis, "genesis");

	ftc_serve_need_chain(chain, &id);
}

Datum
ftc_serve_bytes(const FtcScope *scope, FtcSlice bytes)
{
	MemoryContext inner = MemoryContextSwitchTo(scope->caller);
	Datum		datum = ftc_slice_datum(bytes);

	MemoryContextSwitchTo(inner);
	return datum;
}

Datum
ftc_serve_statements(const FtcScope *scope, const FtcHash *block, bool *isnull)
{
	Datum		statements;

	ftc_run(&statements_of, ftc_hash_datum(block));
	statements = ftc_column(0, 0, isnull);
	return *isnull ? (Datum) 0 : ftc_serve_bytes(scope, ftc_datum_slice(statements));
}

Datum
ftc_serve_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc	tupdesc;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls));
}

Datum
ftchain_peer_identity(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcIdentity self;
	FtcSignature possession;
	FtcHash		genesis;
	Datum		values[5];
	bool		nulls[5] = {false};

	ftc_serve_need_not_null(fcinfo);
	ftc_serve_need_protocol(PG_GETARG_INT32(0));
	genesis = ftc_arg_hash(PG_GETARG_DATUM(1), "genesis");
	ftc_enter(&scope);
	ftc_identity_need(&self);
	ftc_keys_sign(FTC_DOMAIN_POSSESSION, &genesis, &self.member, &possession);
	ftc_leave(&scope);

	values[0] = Int32GetDatum(Min(PG_GETARG_INT32(0), FTC_PROTOCOL));
	values[1] = ftc_hash_datum(&self.member);
	values[2] = Int32GetDatum(FTC_ALGORITHM_ED25519);
	values[3] = ftc_key_datum(&self.public_key);
	values[4] = ftc_signature_datum(&possession);
	PG_RETURN_DATUM(ftc_serve_row(fcinfo, values, nulls));
}

Datum
ftc_serve_text(const FtcScope *scope, const char *string)
{
	MemoryContext inner = MemoryContextSwitchTo(scope->caller);
	Datum		datum = CStringGetTextDatum(string);

	MemoryContextSwitchTo(inner);
	return datum;
}

/* Encoded where it is to be: a block may be large. */
static Datum
block_datum(const FtcScope *scope, const FtcBlock *block)
{
	size_t		len = ftc_block_encode(block, NULL, 0);
	struct varlena *value = MemoryContextAlloc(scope->caller, VARHDRSZ + len);

	SET_VARSIZE(value, VARHDRSZ + len);
	(void) ftc_block_encode(block, (uint8 *) VARDATA(value), len);
	return PointerGetDatum(value);
}

Datum
ftchain_peer_genesis(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	FtcStored	genesis;
	Datum		result = (Datum) 0;
	bool		found;

	ftc_serve_need_not_null(fcinfo);
	ftc_enter(&scope);
	found = ftc_chain_find(&chain, text_to_cstring(PG_GETARG_TEXT_PP(0))) &&
		ftc_store_load(&chain.genesis, &genesis);
	if (found)
		result = block_datum(&scope, &genesis.block);
	ftc_leave(&scope);
	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

Datum
ftchain_peer_hello(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcIntake	r = {0};
	FtcStored	head;
	FtcHash		work;
	FtcAck		ack;
	Datum		values[11];
	bool		nulls[11] = {false};

	ftc_serve_need_not_null(fcinfo);
	ftc_serve_need_protocol(PG_GETARG_INT32(0));
	r.sender = ftc_arg_hash(PG_GETARG_DATUM(2), "sender");
	ftc_give_tidy();
	ftc_enter(&scope);
	ftc_serve_need_chain_arg(&r.chain, PG_GETARG_DATUM(1));
	ftc_identity_need(&r.self);
	ftc_store_load_head(r.chain.id, &head);
	work = ftc_u256_to_hash(&head.tip.work);
	ftc_receive_say(&r, &ftc_ledger_log, &ack);
	ftc_serve_ack(&scope, &ack, values + 5);
	ftc_leave(&scope);

	values[0] = Int32GetDatum(Min(PG_GETARG_INT32(0), FTC_PROTOCOL));
	values[1] = ftc_hash_datum(&r.self.member);
	values[2] = Int64GetDatum((int64) head.header.height);
	values[3] = ftc_hash_datum(&head.id);
	values[4] = ftc_hash_datum(&work);
	PG_RETURN_DATUM(ftc_serve_row(fcinfo, values, nulls));
}

/* ----------------------------------------------------------------
 *		Giving blocks
 * ----------------------------------------------------------------
 */

/* After the highest block of the locator that is on our main chain. */
static int64
first_height(const FtcChain *chain, Datum locator)
{
	bool		isnull;
	Datum		height;

	ftc_run(&locate, Int32GetDatum(chain->id), locator);
	height = ftc_column(0, 0, &isnull);
	return isnull ? 0 : DatumGetInt64(height) + 1;
}

Datum
ftchain_peer_blocks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	FtcScope	scope;
	FtcChain	chain;
	int64		height;
	int			most;
	size_t		bytes = 0;

	ftc_serve_need_not_null(fcinfo);
	most = PG_GETARG_INT32(2);
	if (most < 1 || most > FTC_CALL_BLOCKS_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"most\" is out of range: %d", most),
				errdetail("It may be from 1 to %d.", FTC_CALL_BLOCKS_MAX));
	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	ftc_serve_need_chain_arg(&chain, PG_GETARG_DATUM(0));
	height = first_height(&chain, PG_GETARG_DATUM(1));
	for (int i = 0; i < most && bytes < FTC_CALL_BYTES; i++, height++)
	{
		FtcStored	stored;
		FtcSlice	encoded;
		Datum		values[2];
		bool		nulls[2] = {false};

		if (!ftc_store_load_main(chain.id, height, &stored))
			break;
		FTC_ENCODE(encoded, ftc_block_encode, &stored.block);
		values[0] = ftc_slice_datum(encoded);
		values[1] = ftc_serve_statements(&scope, &stored.id, &nulls[1]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		bytes += encoded.len + (nulls[1] ? 0 : VARSIZE_ANY_EXHDR(DatumGetPointer(values[1])));
	}
	ftc_leave(&scope);
	return (Datum) 0;
}

Datum
ftchain_peer_block(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	FtcStored	stored;
	FtcHash		id;
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};

	ftc_serve_need_not_null(fcinfo);
	id = ftc_arg_hash(PG_GETARG_DATUM(1), "id");
	ftc_memory_keep();
	ftc_enter(&scope);
	ftc_serve_need_chain_arg(&chain, PG_GETARG_DATUM(0));
	if (ftc_store_load(&id, &stored) && stored.chain == chain.id)
	{
		/* what is damaged here must not travel */
		if (!ftc_store_has_body(&id) || !ftc_store_load_body(chain.id, &id, stored.block.manifest, &stored.block.body) ||
			ftc_body_check(stored.block.body, &stored.header.body, stored.header.leaves, NULL) != FTC_OK)
			stored.block.body = ftc_slice(NULL, 0);
		values[0] = block_datum(&scope, &stored.block);
		nulls[0] = false;
		values[1] = ftc_serve_statements(&scope, &id, &nulls[1]);
	}
	ftc_leave(&scope);
	PG_RETURN_DATUM(ftc_serve_row(fcinfo, values, nulls));
}

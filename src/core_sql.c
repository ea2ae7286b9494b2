/*-------------------------------------------------------------------------
 *
 * core_sql.c
 *	  The core as immutable SQL functions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "core/header.h"
#include "core/merkle.h"
#include "core/pow.h"
#include "core/sign.h"
#include "datum.h"

PG_FUNCTION_INFO_V1(ftchain_leaf_hash);
PG_FUNCTION_INFO_V1(ftchain_merkle_root);
PG_FUNCTION_INFO_V1(ftchain_inclusion_proof);
PG_FUNCTION_INFO_V1(ftchain_consistency_proof);
PG_FUNCTION_INFO_V1(ftchain_verify_inclusion);
PG_FUNCTION_INFO_V1(ftchain_verify_consistency);
PG_FUNCTION_INFO_V1(ftchain_verify_signature);
PG_FUNCTION_INFO_V1(ftchain_block_id);
PG_FUNCTION_INFO_V1(ftchain_decode_header);
PG_FUNCTION_INFO_V1(ftchain_work_to_numeric);

static FtcHash *
leaf_hashes_arg(ArrayType *array, int *n)
{
	FtcHash    *hashes;

	if (!ftc_array_hashes(array, &hashes, n))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("a leaf hash is null or has the wrong length"),
				errdetail("A hash has %d bytes.", FTC_HASH_LEN));
	return hashes;
}

Datum
ftchain_leaf_hash(PG_FUNCTION_ARGS)
{
	FtcHash		hash = ftc_merkle_leaf(ftc_datum_slice(PG_GETARG_DATUM(0)));

	PG_RETURN_DATUM(ftc_hash_datum(&hash));
}

Datum
ftchain_merkle_root(PG_FUNCTION_ARGS)
{
	int			n;
	FtcHash    *leaves = leaf_hashes_arg(PG_GETARG_ARRAYTYPE_P(0), &n);
	FtcHash		root = ftc_merkle_root(leaves, n);

	PG_RETURN_DATUM(ftc_hash_datum(&root));
}

Datum
ftchain_inclusion_proof(PG_FUNCTION_ARGS)
{
	int			n;
	FtcHash    *leaves = leaf_hashes_arg(PG_GETARG_ARRAYTYPE_P(0), &n);
	int64		index = PG_GETARG_INT64(1);
	FtcHash		proof[FTC_PROOF_MAX];

	if (index < 0 || index >= n)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("leaf index %lld is out of range", (long long) index),
				errdetail("The tree has %d leaves, numbered from 0.", n));
	PG_RETURN_ARRAYTYPE_P(ftc_hashes_array(proof, ftc_merkle_inclusion(leaves, n, index, proof)));
}

Datum
ftchain_consistency_proof(PG_FUNCTION_ARGS)
{
	int			n;
	FtcHash    *leaves = leaf_hashes_arg(PG_GETARG_ARRAYTYPE_P(0), &n);
	int64		size1 = PG_GETARG_INT64(1);
	FtcHash		proof[FTC_PROOF_MAX];

	if (size1 < 1 || size1 > n)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("size %lld is out of range", (long long) size1),
				errdetail("The tree has %d leaves; a prefix has from 1 to all of them.", n));
	PG_RETURN_ARRAYTYPE_P(ftc_hashes_array(proof, ftc_merkle_consistency(leaves, n, size1, proof)));
}

/* Malformed proofs are simply not right: false, not an error. */
Datum
ftchain_verify_inclusion(PG_FUNCTION_ARGS)
{
	FtcHash		leaf;
	FtcHash		root;
	FtcHash    *proof;
	int			n;

	PG_RETURN_BOOL(ftc_datum_hash(PG_GETARG_DATUM(0), &leaf) &&
				   PG_GETARG_INT64(1) >= 0 && PG_GETARG_INT64(2) >= 0 &&
				   ftc_array_hashes(PG_GETARG_ARRAYTYPE_P(3), &proof, &n) &&
				   ftc_datum_hash(PG_GETARG_DATUM(4), &root) &&
				   ftc_merkle_verify_inclusion(&leaf, PG_GETARG_INT64(1), PG_GETARG_INT64(2),
											   proof, n, &root) == FTC_OK);
}

Datum
ftchain_verify_consistency(PG_FUNCTION_ARGS)
{
	FtcHash		root1;
	FtcHash		root2;
	FtcHash    *proof;
	int			n;

	PG_RETURN_BOOL(PG_GETARG_INT64(0) >= 0 && PG_GETARG_INT64(1) >= 0 &&
				   ftc_datum_hash(PG_GETARG_DATUM(2), &root1) &&
				   ftc_datum_hash(PG_GETARG_DATUM(3), &root2) &&
				   ftc_array_hashes(PG_GETARG_ARRAYTYPE_P(4), &proof, &n) &&
				   ftc_merkle_verify_consistency(PG_GETARG_INT64(0), PG_GETARG_INT64(1),
												 &root1, &root2, proof, n) == FTC_OK);
}

Datum
ftchain_verify_signature(PG_FUNCTION_ARGS)
{
	FtcSlice	bytes = ftc_datum_slice(PG_GETARG_DATUM(0));
	FtcSignature signature;
	FtcKey		key;

	if (bytes.len != FTC_KEY_LEN || !ftc_datum_signature(PG_GETARG_DATUM(2), &signature))
		PG_RETURN_BOOL(false);
	memcpy(key.b, bytes.data, FTC_KEY_LEN);
	PG_RETURN_BOOL(ftc_verify_raw(&key, ftc_datum_slice(PG_GETARG_DATUM(1)), &signature) == FTC_OK);
}

Datum
ftchain_block_id(PG_FUNCTION_ARGS)
{
	FtcHeader	header;
	FtcHash		id;

	ftc_arg_header(PG_GETARG_DATUM(0), &header);
	id = ftc_header_id(&header);
	PG_RETURN_DATUM(ftc_hash_datum(&id));
}

static const char *
consensus_name(uint32 consensus)
{
	return consensus == FTC_CONSENSUS_POW ? "pow" : consensus == FTC_CONSENSUS_POS ? "pos" : "dpos";
}

static Datum
header_row(TupleDesc tupdesc, const FtcHeader *header)
{
	bool		nulls[14] = {false};
	Datum		values[14] = {
		Int32GetDatum(header->version),
		CStringGetTextDatum(consensus_name(header->consensus)),
		Int64GetDatum((int64) header->height),
		TimestampTzGetDatum(ftc_clock_to_timestamp(header->time)),
		ftc_hash_datum(&header->prev),
		ftc_hash_datum(&header->history),
		ftc_hash_datum(&header->body),
		Int32GetDatum(header->leaves),
		Int64GetDatum(header->bits),
		ftc_hash_datum(&header->proposer),
		ftc_hash_datum(&header->state),
		ftc_hash_datum(&header->justify),
		Int64GetDatum((int64) header->round),
		ftc_u64_numeric(header->nonce)
	};

	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls));
}

Datum
ftchain_decode_header(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	FtcHeader	header;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	ftc_arg_header(PG_GETARG_DATUM(0), &header);
	PG_RETURN_DATUM(header_row(tupdesc, &header));
}

/* Four 64-bit words, Horner's way. */
Datum
ftchain_work_to_numeric(PG_FUNCTION_ARGS)
{
	FtcHash		work = ftc_arg_hash(PG_GETARG_DATUM(0), "work");
	FtcU256		value = ftc_u256_from_hash(&work);

	PG_RETURN_DATUM(ftc_u256_numeric(&value));
}

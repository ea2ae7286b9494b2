/*-------------------------------------------------------------------------
 *
 * datum.c
 *	  Between Datums and the core's values, and refusals as errors.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "datum.h"

FtcSlice
ftc_datum_slice(Datum datum)
{
	struct varlena *value = PG_DETOAST_DATUM_PACKED(datum);

	return ftc_slice(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

static struct varlena *
make_varlena(const void *data, size_t len)
{
	struct varlena *value = palloc(VARHDRSZ + len);

	SET_VARSIZE(value, VARHDRSZ + len);
	if (len > 0)
		memcpy(VARDATA(value), data, len);
	return value;
}

Datum
ftc_slice_datum(FtcSlice slice)
{
	return PointerGetDatum(make_varlena(slice.data, slice.len));
}

Datum
ftc_hash_datum(const FtcHash *hash)
{
	return PointerGetDatum(make_varlena(hash->b, FTC_HASH_LEN));
}

Datum
ftc_key_datum(const FtcKey *key)
{
	return PointerGetDatum(make_varlena(key->b, FTC_KEY_LEN));
}

Datum
ftc_signature_datum(const FtcSignature *signature)
{
	return PointerGetDatum(make_varlena(signature->b, FTC_SIGNATURE_LEN));
}

bool
ftc_datum_hash(Datum datum, FtcHash *hash)
{
	FtcSlice	slice = ftc_datum_slice(datum);

	if (slice.len != FTC_HASH_LEN)
		return false;
	memcpy(hash->b, slice.data, FTC_HASH_LEN);
	return true;
}

bool
ftc_datum_signature(Datum datum, FtcSignature *signature)
{
	FtcSlice	slice = ftc_datum_slice(datum);

	if (slice.len != FTC_SIGNATURE_LEN)
		return false;
	memcpy(signature->b, slice.data, FTC_SIGNATURE_LEN);
	return true;
}

FtcHash
ftc_arg_hash(Datum datum, const char *name)
{
	FtcHash		hash;

	if (!ftc_datum_hash(datum, &hash))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" has %zu bytes", name, ftc_datum_slice(datum).len),
				errdetail("A hash has %d bytes.", FTC_HASH_LEN));
	return hash;
}

bool
ftc_array_hashes(ArrayType *array, FtcHash **hashes, int *n)
{
	Datum	   *elements;
	bool	   *nulls;

	deconstruct_array(array, BYTEAOID, -1, false, TYPALIGN_INT, &elements, &nulls, n);
	*hashes = palloc(Max(*n, 1) * sizeof(FtcHash));
	for (int i = 0; i < *n; i++)
		if (nulls[i] || !ftc_datum_hash(elements[i], &(*hashes)[i]))
			return false;
	return true;
}

ArrayType *
ftc_hashes_array(const FtcHash *hashes, int n)
{
	Datum	   *elements = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		elements[i] = ftc_hash_datum(&hashes[i]);
	return construct_array(elements, n, BYTEAOID, -1, false, TYPALIGN_INT);
}

FtcSlice
ftc_text_slice(const char *string)
{
	return ftc_slice(string, strlen(string));
}

char *
ftc_slice_string(FtcSlice slice)
{
	return pnstrdup((const char *) slice.data, slice.len);
}

text *
ftc_slice_text(FtcSlice slice)
{
	return (text *) make_varlena(slice.data, slice.len);
}

char *
ftc_hash_hex(const FtcHash *hash)
{
	char	   *hex = palloc(2 * FTC_HASH_LEN + 1);

	hex_encode((const char *) hash->b, FTC_HASH_LEN, hex);
	hex[2 * FTC_HASH_LEN] = '\0';
	return hex;
}

int
ftc_reason_sqlstate(FtcReason reason)
{
	switch (reason)
	{
		case FTC_BAD_LENGTH:
		case FTC_BAD_VERSION:
		case FTC_BAD_KIND:
		case FTC_NOT_CANONICAL:
			return ERRCODE_INVALID_BINARY_REPRESENTATION;
		case FTC_BAD_TEXT:
			return ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
		case FTC_TOO_LARGE:
		case FTC_TOO_MANY:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case FTC_OUT_OF_RANGE:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case FTC_NOT_A_MEMBER:
		case FTC_NOT_AUTHORISED:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		default:
			return ERRCODE_DATA_EXCEPTION;
	}
}

void
ftc_refuse(FtcReason reason, const char *what)
{
	ereport(ERROR,
			errcode(ftc_reason_sqlstate(reason)),
			errmsg("invalid %s: %s", what, ftc_reason_text(reason)));
	pg_unreachable();
}

void
ftc_arg_header(Datum datum, FtcHeader *header)
{
	FtcSlice	bytes = ftc_datum_slice(datum);
	FtcReason	reason = ftc_header_decode(header, bytes);

	if (reason == FTC_BAD_LENGTH)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				errmsg("invalid block header: %zu bytes", bytes.len),
				errdetail("A header has %d bytes.", FTC_HEADER_LEN));
	if (reason != FTC_OK)
		ftc_refuse(reason, "block header");
}

uint64
ftc_arg_timeout(FunctionCallInfo fcinfo, int n)
{
	Interval   *interval;
	double		us;

	if (PG_ARGISNULL(n))
		return PG_UINT64_MAX;
	interval = PG_GETARG_INTERVAL_P(n);
	us = interval->time + ((double) interval->day + 30.0 * interval->month) * USECS_PER_DAY;
	if (us < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("timeout is negative: %s",
					   DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(interval)))));
	return us >= (double) PG_UINT64_MAX ? PG_UINT64_MAX : (uint64) us;
}

Datum
ftc_header_datum(const FtcHeader *header)
{
	uint8		bytes[FTC_HEADER_LEN];

	ftc_header_encode(header, bytes);
	return ftc_slice_datum(ftc_slice(bytes, sizeof(bytes)));
}

Datum
ftc_u64_numeric(uint64 value)
{
	char		digits[32];

	snprintf(digits, sizeof(digits), UINT64_FORMAT, value);
	return DirectFunctionCall3(numeric_in, CStringGetDatum(digits),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

Datum
ftc_u256_numeric(const FtcU256 *value)
{
	Datum		base = DirectFunctionCall2(numeric_add, ftc_u64_numeric(PG_UINT64_MAX), ftc_u64_numeric(1));
	Datum		sum = ftc_u64_numeric(0);

	for (int i = 3; i >= 0; i--)
	{
		sum = DirectFunctionCall2(numeric_mul, sum, base);
		sum = DirectFunctionCall2(numeric_add, sum, ftc_u64_numeric(value->w[i]));
	}
	return sum;
}

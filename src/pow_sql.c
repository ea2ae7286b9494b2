/*-------------------------------------------------------------------------
 *
 * pow_sql.c
 *	  The rules of proof of work as immutable SQL functions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"

#include "core/pow.h"
#include "datum.h"

PG_FUNCTION_INFO_V1(ftchain_meets_target);
PG_FUNCTION_INFO_V1(ftchain_bits_to_target);
PG_FUNCTION_INFO_V1(ftchain_target_to_bits);
PG_FUNCTION_INFO_V1(ftchain_block_work);
PG_FUNCTION_INFO_V1(ftchain_difficulty);
PG_FUNCTION_INFO_V1(ftchain_next_bits);

/* Compact bits that stand for a target; what that is, if it is asked for. */
static uint32
bits_arg(int64 bits, const char *name, FtcU256 *target)
{
	FtcU256		ignored;

	if (bits < 0 || bits > PG_UINT32_MAX ||
		ftc_pow_target((uint32) bits, target != NULL ? target : &ignored) != FTC_OK)
		ereport(ERROR,
				errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				errmsg("%s %lld are no target", name, (long long) bits),
				errdetail("Compact bits are four bytes, an exponent and a mantissa; the target must be from 1 to 2^256 - 1."));
	return (uint32) bits;
}

static int64
range_arg(int64 value, const char *name, int64 least, int64 most)
{
	if (value < least || value > most)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s is out of range: %lld", name, (long long) value),
				errdetail("It may be from %lld to %lld.", (long long) least, (long long) most));
	return value;
}

Datum
ftchain_meets_target(PG_FUNCTION_ARGS)
{
	FtcHeader	header;
	FtcHash		id;

	ftc_arg_header(PG_GETARG_DATUM(0), &header);
	id = ftc_header_id(&header);
	PG_RETURN_BOOL(ftc_pow_meets(&id, header.bits));
}

Datum
ftchain_bits_to_target(PG_FUNCTION_ARGS)
{
	FtcU256		target;
	FtcHash		bytes;

	(void) bits_arg(PG_GETARG_INT64(0), "bits", &target);
	bytes = ftc_u256_to_hash(&target);
	PG_RETURN_DATUM(ftc_hash_datum(&bytes));
}

Datum
ftchain_target_to_bits(PG_FUNCTION_ARGS)
{
	FtcHash		bytes = ftc_arg_hash(PG_GETARG_DATUM(0), "target");
	FtcU256		target = ftc_u256_from_hash(&bytes);

	if (ftc_u256_is_zero(&target))
		ereport(ERROR,
				errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				errmsg("target is zero"),
				errdetail("It must be from 1 to 2^256 - 1."));
	PG_RETURN_INT64(ftc_pow_to_bits(&target));
}

Datum
ftchain_block_work(PG_FUNCTION_ARGS)
{
	FtcU256		work = ftc_pow_work(bits_arg(PG_GETARG_INT64(0), "bits", NULL));

	PG_RETURN_DATUM(ftc_u256_numeric(&work));
}

static double
u256_double(const FtcU256 *value)
{
	double		sum = 0;

	for (int i = 3; i >= 0; i--)
		sum = ldexp(sum, 64) + (double) value->w[i];
	return sum;
}

/* As Bitcoin counts: difficulty 1 is a target of 0xffff * 2^208. */
Datum
ftchain_difficulty(PG_FUNCTION_ARGS)
{
	FtcU256		target;

	(void) bits_arg(PG_GETARG_INT64(0), "bits", &target);
	PG_RETURN_FLOAT8(ldexp(65535, 208) / u256_double(&target));
}

Datum
ftchain_next_bits(PG_FUNCTION_ARGS)
{
	FtcAnchor	anchor = {
		.height = (uint64) range_arg(PG_GETARG_INT64(0), "anchor_height", 0, PG_INT64_MAX),
		.parent_time = PG_GETARG_INT64(1),
		.bits = bits_arg(PG_GETARG_INT64(2), "anchor_bits", NULL)
	};
	uint64		height = (uint64) range_arg(PG_GETARG_INT64(3), "height", 0, PG_INT64_MAX);
	int64		spacing = range_arg(PG_GETARG_INT64(5), "spacing", 1, FTC_INTERVAL_MAX);
	int64		half_life = range_arg(PG_GETARG_INT64(6), "half_life", 1, FTC_INTERVAL_MAX);
	uint32		limit = bits_arg(PG_GETARG_INT64(7), "limit_bits", NULL);

	PG_RETURN_INT64(ftc_pow_next_bits(&anchor, height, PG_GETARG_INT64(4), spacing, half_life, limit));
}

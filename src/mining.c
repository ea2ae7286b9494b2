/*-------------------------------------------------------------------------
 *
 * mining.c
 *	  The search for a proof of work, in slices, and the kernel that does it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sched.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "core/pow.h"
#include "datum.h"
#include "guc.h"
#include "mining.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(ftchain_mine);
PG_FUNCTION_INFO_V1(ftchain_hash_rate);

#define SLICE_US 500
#define SLICE_MIN 1024
#define SLICE_MAX (UINT64CONST(1) << 24)

/* As FtcKernelChoice has them. */
static const char *const names[] = {NULL, "avx512", "sha_ni", "avx2", "portable"};

bool
ftc_mining_check_kernel(int *choice, void **extra, GucSource source)
{
	const FtcKernel *kernel;

	if (*choice == FTC_KERNEL_AUTO)
		return true;
	kernel = ftc_kernel_find(names[*choice]);
	if (kernel == NULL || !kernel->is_supported())
		GUC_check_errdetail("This processor does not have the instructions.");
	else if (!ftc_kernel_check(kernel))
		GUC_check_errdetail("It does not find what OpenSSL finds.");
	else
		return true;
	return false;
}

const FtcKernel *
ftc_mining_kernel(void)
{
	static const FtcKernel *best = NULL;

	if (ftc_guc_mining_kernel != FTC_KERNEL_AUTO)
		return ftc_kernel_find(names[ftc_guc_mining_kernel]);
	if (best == NULL)
		best = ftc_kernel_best();
	return best;
}

static uint64 slice_size = SLICE_MIN;

uint64
ftc_mining_slice_size(void)
{
	return slice_size;
}

bool
ftc_mining_slice(FtcHeader *header, uint64 most, uint64 *attempts, uint64 *us)
{
	uint64		size = slice_size;
	uint64		first = header->nonce;
	uint64		start = ftc_clock_steady();
	bool		found = ftc_search(ftc_mining_kernel(), header, Min(size, most));

	*us = ftc_clock_steady() - start;
	*attempts = header->nonce - first + found;
	/* a slice that was cut short says little */
	if (!found && *attempts == size)
		slice_size = Max(SLICE_MIN, Min(SLICE_MAX, *us == 0 ? 2 * size : Min(size * SLICE_US / *us, 2 * size)));
	/* a kernel may not look before its next tick whether others wait */
	sched_yield();
	return found;
}

bool
ftc_mining_rest(uint64 us)
{
	static uint64 owed = 0;
	long		ms;

	owed += us * (100 - ftc_guc_mining_duty) / ftc_guc_mining_duty;
	ms = (long) (owed / 1000);
	if (ms == 0)
		return ftc_worker_is_called();
	owed = 0;
	return ftc_worker_wait(ms, "FtchainMiningRest");
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

static uint64
attempts_arg(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		return PG_UINT64_MAX;
	if (PG_GETARG_INT64(n) < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("max_attempts is negative: %lld", (long long) PG_GETARG_INT64(n)));
	return (uint64) PG_GETARG_INT64(n);
}

static int
workers_arg(FunctionCallInfo fcinfo, int n)
{
	int			workers = PG_ARGISNULL(n) ? 1 : PG_GETARG_INT32(n);

	if (workers < 1 || workers > FTC_MINING_WORKERS_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("workers is out of range: %d", workers),
				errdetail("It may be from 1, which is the session alone, to %d.", FTC_MINING_WORKERS_MAX));
	/* all others would have to do without them */
	if (workers > 1 && !has_privs_of_role(GetUserId(), get_role_oid("ftchain_admin", false)))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("only members of ftchain_admin may mine with several workers"));
	return workers;
}

Datum
ftchain_mine(PG_FUNCTION_ARGS)
{
	FtcMining	mining = {.most = attempts_arg(fcinfo, 1),.timeout = ftc_arg_timeout(fcinfo, 2)};
	TupleDesc	tupdesc;
	Interval   *took = palloc0(sizeof(Interval));
	Datum		values[4];
	bool		nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	ftc_arg_header(PG_GETARG_DATUM(0), &mining.header);
	ftc_mining_run(&mining, workers_arg(fcinfo, 3));
	took->time = (TimeOffset) mining.elapsed;
	values[0] = BoolGetDatum(mining.found);
	values[1] = ftc_header_datum(&mining.header);
	values[2] = Int64GetDatum((int64) mining.attempts);
	values[3] = IntervalPGetDatum(took);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

/* A header that cannot be met: all of the time is spent on attempts. */
Datum
ftchain_hash_rate(PG_FUNCTION_ARGS)
{
	float8		seconds = PG_GETARG_FLOAT8(0);
	FtcMining	mining = {
		.header = {.version = FTC_HEADER_VERSION,.bits = 0x01010000},
		.most = PG_UINT64_MAX
	};

	if (!(seconds > 0 && seconds <= 3600))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("seconds is out of range: %g", seconds),
				errdetail("It may be above 0, up to 3600."));
	mining.timeout = (uint64) (seconds * USECS_PER_SEC);
	ftc_mining_run(&mining, workers_arg(fcinfo, 1));
	PG_RETURN_FLOAT8((double) mining.hash_rate);
}

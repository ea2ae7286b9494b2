/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  Hashing and checking again all that is stored.
 *
 * First the blocks (verify_blocks.c), from the lowest; then the entries
 * (verify_entries.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "branch.h"
#include "datum.h"
#include "stmt.h"
#include "store.h"
#include "verify.h"
#include "verify_part.h"

PG_FUNCTION_INFO_V1(ftchain_verify);

void
ftc_verify_fault(FtcVerification *v, int64 height, const FtcHash *block, int64 entry,
				 const char *what, const char *expected, const char *found)
{
	FtcFault	f = {height, block, entry, what, expected, found};

	v->faults++;
	v->callback(v->arg, &f);
}

/* Is the head the best block?  Asked only if all blocks are sound. */
static void
check_head(FtcVerification *v, int64 top)
{
	FtcHash		best;

	if (v->faults == 0 && ftc_branch_overlooked(v->chain->id, &best))
		ftc_verify_fault(v, top, &v->parent, 0, "head changed", ftc_hash_hex(&best), ftc_hash_hex(&v->parent));
}

/* The blocks of a range, as one snapshot has it until the end; to: cut to the head. */
static FtcVerification *
begin(const FtcChain *chain, int64 from, int64 *to, FtcFaultCallback callback, void *arg)
{
	FtcVerification *v = palloc0(sizeof(FtcVerification));
	int64		top;

	v->chain = chain;
	v->callback = callback;
	v->arg = arg;
	ftc_freeze();
	top = ftc_store_main_height(chain->id);
	if (top < 0)
		ftc_verify_fault(v, 0, NULL, 0, "height missing", "0", NULL);
	if (*to < 0 || *to > top)
		*to = top;
	ftc_verify_blocks(v, from, *to);
	if (*to == top && from <= *to)
		check_head(v, top);
	return v;
}

void
ftc_verify_chain(const FtcChain *chain, int64 from, int64 to, bool strays, bool parallel,
				 FtcFaultCallback callback, void *arg)
{
	FtcVerification *v = begin(chain, from, &to, callback, arg);

	ftc_verify_entries(v, from, to, strays, parallel);
	ftc_thaw();
}

void
ftc_verify_light(const FtcChain *chain, int64 from, int64 to, FtcFaultCallback callback, void *arg)
{
	FtcVerification *v = begin(chain, from, &to, callback, arg);

	ftc_verify_counts(v, from, to);
	ftc_thaw();
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

static void
return_fault(void *arg, const FtcFault *f)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[6] = {0};
	bool		nulls[6];

	values[0] = Int64GetDatum(f->height);
	nulls[0] = f->height < 0;
	nulls[1] = f->block == NULL;
	if (f->block != NULL)
		values[1] = ftc_hash_datum(f->block);
	values[2] = Int64GetDatum(f->entry);
	nulls[2] = f->entry == 0;
	values[3] = CStringGetTextDatum(f->what);
	nulls[3] = false;
	nulls[4] = f->expected == NULL;
	if (f->expected != NULL)
		values[4] = CStringGetTextDatum(f->expected);
	nulls[5] = f->found == NULL;
	if (f->found != NULL)
		values[5] = CStringGetTextDatum(f->found);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
ftchain_verify(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	int64		from = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);
	int64		to = PG_ARGISNULL(2) ? -1 : PG_GETARG_INT64(2);

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("chain must not be null"));
	if (from < 0 || (!PG_ARGISNULL(2) && to < from))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("heights from %lld to %lld are not a range", (long long) from, (long long) to));
	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	ftc_chain_need(&chain, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	ftc_verify_chain(&chain, from, to, from == 0 && to < 0, true, return_fault, fcinfo->resultinfo);
	ftc_leave(&scope);
	return (Datum) 0;
}

/*-------------------------------------------------------------------------
 *
 * seal.c
 *	  seal(): what the sealer does, in a session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "clock.h"
#include "identity.h"
#include "seal.h"
#include "step.h"
#include "stmt.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(ftchain_seal);

static FtcStmt pending_own = {
	.sql = "SELECT FROM ftchain.pending_bundle p JOIN ftchain.bundle u ON u.id = p.bundle"
	" WHERE p.chain = $1 AND u.origin = $2 AND u.id <= $3 LIMIT 1",
	.nargs = 3,
	.argtypes = {INT4OID, INT4OID, INT8OID},
};

static FtcStmt last_bundle = {
	.sql = "SELECT coalesce(max(id), 0) FROM ftchain.bundle",
};

/* Does the main chain hold all bundles of this database up to this one? */
static bool
is_sealed_up_to(const FtcChain *chain, int64 bundle)
{
	FtcIdentity self;

	return !ftc_identity_load(&self) ||
		ftc_run(&pending_own, Int32GetDatum(chain->id), Int32GetDatum(self.origin),
				Int64GetDatum(bundle)) == 0;
}

static int64
bundles_so_far(void)
{
	ftc_run(&last_bundle, 0);
	return DatumGetInt64(ftc_value(0, 0));
}

static void
wait_until_clock(uint64 us)
{
	uint64		now;

	while ((now = ftc_clock_now()) < us)
		(void) ftc_worker_wait((long) ((us - now) / 1000 + 1), "FtchainSeal");
}

/* One block, or the wait for it.  False if nothing is to be sealed. */
static bool
seal_block(const FtcChain *chain, MemoryContext context)
{
	FtcScope	scope;
	FtcCandidate *candidate = NULL;
	uint64		wait_until = 0;
	FtcSealResult result;

	ftc_enter(&scope);
	result = ftc_seal_candidate(chain, context, &candidate, &wait_until);
	ftc_leave(&scope);
	ftc_procedure_commit();
	if (result == FTC_SEAL_NOTHING)
		return false;
	if (result == FTC_SEAL_TOO_EARLY)
		wait_until_clock(wait_until);
	else if (ftc_seal_mine(chain, candidate))
	{
		ftc_enter(&scope);
		ftc_seal_publish(chain, candidate);
		ftc_leave(&scope);
		ftc_procedure_commit();
	}
	MemoryContextReset(context);
	return true;
}

/* All that was committed when we began. */
static void
seal_chain(const FtcChain *chain, MemoryContext context)
{
	FtcScope	scope;
	int64		bundle;
	bool		more;

	do
	{
		ftc_enter(&scope);
		more = ftc_seal_bundle(chain);
		bundle = bundles_so_far();
		ftc_leave(&scope);
		ftc_procedure_commit();
	} while (more);

	for (;;)
	{
		bool		any = seal_block(chain, context);
		bool		done;

		ftc_enter(&scope);
		done = is_sealed_up_to(chain, bundle);
		ftc_leave(&scope);
		if (done)
			break;
		if (!any)
		{
			ereport(NOTICE,
					errmsg("entries of chain \"%s\" cannot be sealed by this database now", chain->name),
					errhint("See whether it is a member, and what is pending, in ftchain.status."));
			break;
		}
	}
}

Datum
ftchain_seal(PG_FUNCTION_ARGS)
{
	char	   *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	MemoryContext keep = AllocSetContextCreate(TopMemoryContext, "ftchain seal", ALLOCSET_DEFAULT_SIZES);
	MemoryContext work = AllocSetContextCreate(keep, "ftchain candidate", ALLOCSET_DEFAULT_SIZES);
	FtcScope	scope;
	List	   *chains = NIL;
	ListCell   *cell;

	PG_TRY();
	{
		ftc_procedure_begin(fcinfo, "ftchain.seal");
		ftc_enter(&scope);
		foreach(cell, ftc_chain_list_named(name))
		{
			MemoryContext outer = MemoryContextSwitchTo(keep);
			FtcChain   *chain = palloc(sizeof(FtcChain));

			*chain = *(FtcChain *) lfirst(cell);
			chain->name = pstrdup(chain->name);
			chains = lappend(chains, chain);
			MemoryContextSwitchTo(outer);
		}
		ftc_leave(&scope);
		foreach(cell, chains)
			seal_chain(lfirst(cell), work);
		ftc_procedure_end();
	}
	PG_FINALLY();
	{
		MemoryContextDelete(keep);
	}
	PG_END_TRY();
	PG_RETURN_VOID();
}

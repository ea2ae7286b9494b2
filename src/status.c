/*-------------------------------------------------------------------------
 *
 * status.c
 *	  What is going on: of chains, workers and peers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "board.h"
#include "branch.h"
#include "chain.h"
#include "clock.h"
#include "compat.h"
#include "identity.h"
#include "seal.h"
#include "shared.h"
#include "stmt.h"
#include "store.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(ftchain_chain_status);
PG_FUNCTION_INFO_V1(ftchain_mining_status);
PG_FUNCTION_INFO_V1(ftchain_worker_status);
PG_FUNCTION_INFO_V1(ftchain_peer_status);

/* The state that the next block builds on, if what it follows from is sound. */
static FtcState *
find_state(int32 chain)
{
	FtcBranch	branch = {.chain = chain,.fork_height = ftc_store_main_height(chain)};
	FtcStored	head;
	FtcState   *state;
	FtcHash		id;

	if (!ftc_store_main_head(chain, &id) || ftc_store_read(&id, &head) != FTC_OK ||
		ftc_store_read_state(&head.header.state, &state) != FTC_OK ||
		ftc_branch_fold(&branch, state, branch.fork_height + 1) != FTC_OK)
		return NULL;
	return state;
}

/* Where damage keeps something from being told, it is null: the rest is needed. */
Datum
ftchain_chain_status(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	FtcIdentity self;
	FtcState   *state;
	TupleDesc	tupdesc;
	Datum		values[3] = {0};
	bool		nulls[3] = {false};
	bool		have_self;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	ftc_enter(&scope);
	if (!ftc_chain_by_id(&chain, PG_GETARG_INT32(0)))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("chain %d does not exist", PG_GETARG_INT32(0)));
	state = find_state(chain.id);
	have_self = ftc_identity_load(&self);
	values[0] = Int64GetDatum(have_self ? ftc_seal_count_pending(&chain, &self) : 0);
	nulls[1] = nulls[2] = state == NULL;
	if (state != NULL)
	{
		values[1] = Int32GetDatum(state->nmembers);
		values[2] = BoolGetDatum(have_self && ftc_state_find(state, &self.member) != NULL);
	}
	ftc_leave(&scope);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

static Datum
time_or_null(TimestampTz timestamp, bool *isnull)
{
	*isnull = timestamp == 0;
	return TimestampTzGetDatum(timestamp);
}

/* A chain's next block; what cannot be told because of damage is null. */
static void
tell_mining(ReturnSetInfo *rsinfo, const FtcChain *chain)
{
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);
	FtcState   *state = find_state(chain->id);
	FtcStored	head;
	FtcPosted	posted;
	FtcHash		id;
	Datum		values[7] = {0};
	bool		nulls[7] = {false, true, true, false, true, true, true};

	values[0] = Int32GetDatum(chain->id);
	if (state != NULL && ftc_store_main_head(chain->id, &id) && ftc_store_read(&id, &head) == FTC_OK)
	{
		values[1] = Int64GetDatum((int64) head.header.height + 1);
		values[2] = Int64GetDatum(ftc_rules_next_bits(&head.tip, &state->params));
		nulls[1] = nulls[2] = false;
	}
	if (ftc_board_look(chain->id, &posted))
	{
		values[3] = Int32GetDatum(Max(ftc_board_miners(database), 1));
		values[4] = Int64GetDatum((int64) posted.attempts);
		values[5] = TimestampTzGetDatum(ftc_clock_to_timestamp(posted.since));
		values[6] = Float8GetDatum(posted.hash_rate);
		nulls[4] = nulls[5] = nulls[6] = false;
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
ftchain_mining_status(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	foreach(cell, ftc_chain_list())
		tell_mining((ReturnSetInfo *) fcinfo->resultinfo, lfirst(cell));
	ftc_leave(&scope);
	return (Datum) 0;
}

static void
tell_miners(ReturnSetInfo *rsinfo, FtcDatabaseSlot *database)
{
	FtcShared  *s = ftc_shared();

	for (int i = 0; i < FTC_SHARED_MINERS; i++)
	{
		FtcMinerSlot slot;
		Datum		values[8];
		bool		nulls[8] = {false, false, false, false, false, false, true, true};

		/* not both at a time: whoever appends needs the first */
		LWLockAcquire(&s->lock, LW_SHARED);
		slot.process = database->miner[i].process;
		LWLockRelease(&s->lock);
		LWLockAcquire(&s->board, LW_SHARED);
		slot.attempts = database->miner[i].attempts;
		slot.hash_rate = database->miner[i].hash_rate;
		LWLockRelease(&s->board);
		if (slot.process.pid <= 0)
			continue;
		values[0] = CStringGetTextDatum("miner");
		values[1] = Int32GetDatum(slot.process.pid);
		values[2] = TimestampTzGetDatum(slot.process.started);
		values[3] = CStringGetTextDatum("");
		values[4] = Int64GetDatum((int64) slot.attempts);
		values[5] = Float8GetDatum(slot.hash_rate);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

Datum
ftchain_worker_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; database != NULL && i < FTC_WORKER_KINDS; i++)
	{
		FtcWorkerSlot slot;
		Datum		values[8];
		bool		nulls[8] = {false};

		LWLockAcquire(&s->lock, LW_SHARED);
		slot = database->worker[i];
		LWLockRelease(&s->lock);
		values[0] = CStringGetTextDatum(ftc_worker_name(i));
		values[1] = Int32GetDatum(slot.process.pid);
		nulls[1] = slot.process.pid <= 0;
		values[2] = time_or_null(slot.process.pid > 0 ? slot.process.started : 0, &nulls[2]);
		/* what one did that has left is no progress */
		values[3] = CStringGetTextDatum(slot.progress);
		values[4] = Int64GetDatum((int64) slot.attempts);
		values[5] = Float8GetDatum(slot.hash_rate);
		nulls[3] = nulls[4] = nulls[5] = slot.process.pid <= 0;
		values[6] = CStringGetTextDatum(slot.last_error);
		nulls[6] = slot.last_error_at == 0;
		values[7] = time_or_null(slot.last_error_at, &nulls[7]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	if (database != NULL)
		tell_miners(rsinfo, database);
	return (Datum) 0;
}

Datum
ftchain_peer_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	FtcShared  *s = ftc_shared();
	FtcDatabaseSlot *database = ftc_shared_database(MyDatabaseId, false);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; database != NULL && i < FTC_SHARED_PEERS; i++)
	{
		FtcPeerSlot slot;
		Interval   *round_trip = palloc0(sizeof(Interval));
		Datum		values[10];
		bool		nulls[10] = {false};

		LWLockAcquire(&s->lock, LW_SHARED);
		slot = database->peer[i];
		LWLockRelease(&s->lock);
		if (slot.server[0] == '\0')
			continue;
		round_trip->time = slot.round_trip;
		values[0] = CStringGetTextDatum(slot.server);
		values[1] = CStringGetTextDatum(slot.state);
		values[2] = Int64GetDatum((int64) slot.calls);
		values[3] = Int64GetDatum((int64) slot.bytes);
		values[4] = IntervalPGetDatum(round_trip);
		nulls[4] = slot.round_trip == 0;
		values[5] = time_or_null(slot.last_contact, &nulls[5]);
		values[6] = time_or_null(slot.retry_at, &nulls[6]);
		values[7] = CStringGetTextDatum(slot.last_error);
		nulls[7] = slot.last_error_at == 0;
		values[8] = time_or_null(slot.last_error_at, &nulls[8]);
		values[9] = Int32GetDatum(slot.protocol);
		nulls[9] = slot.protocol == 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

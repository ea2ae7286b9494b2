/*-------------------------------------------------------------------------
 *
 * confirmations.c
 *	  How deep an entry lies in the main chain and how many store it, and waiting
 *	  until it does and they do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "branch.h"
#include "chain.h"
#include "clock.h"
#include "datum.h"
#include "identity.h"
#include "safety.h"
#include "stmt.h"
#include "wake.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(ftchain_confirmations);
PG_FUNCTION_INFO_V1(ftchain_wait_for);

/* A wake-up may be lost, and what we want is forgotten unless we say it again. */
#define LOOK_ANYWAY_MS 1000

/* There are few bundles with a seq; see bundles_of_seq in receipt.c. */
static FtcStmt height_of = {
	.sql = "SELECT m.height, (SELECT max(height) FROM ftchain.main_chain WHERE chain = $1), m.block"
	" FROM (SELECT id, chain, origin, incarnation FROM ftchain.bundle WHERE seqs @> $3 OFFSET 0) AS u"
	" JOIN ftchain.block_bundle b ON b.bundle = u.id JOIN ftchain.main_chain m ON m.block = b.block"
	" WHERE u.chain = $1 AND u.origin = $2 AND ($4 = 0 OR u.incarnation = $4)"
	" ORDER BY u.incarnation DESC LIMIT 1",
	.nargs = 4,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID},
};

static FtcStmt bundle_of = {
	.sql = "SELECT FROM (SELECT id, chain, origin, incarnation FROM ftchain.bundle WHERE seqs @> $3 OFFSET 0) AS u"
	" WHERE u.chain = $1 AND u.origin = $2 AND ($4 = 0 OR u.incarnation = $4) LIMIT 1",
	.nargs = 4,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID},
};

/* One of ours; was it appended by this very transaction? */
static FtcStmt entry_of = {
	.sql = "SELECT coalesce(e.xid = pg_current_xact_id_if_assigned(), false) FROM ftchain.entry e"
	" WHERE e.id = $3 AND e.chain = $1 AND e.origin = $2 AND ($4 = 0 OR e.incarnation = $4)",
	.nargs = 4,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID},
};

/* Which entry is meant. */
typedef struct EntryName
{
	char	   *chain;
	int64		seq;
	bool		is_own;
	FtcHash		origin;			/* unless own */
	int64		incarnation;	/* 0: the last one */
} EntryName;

/* Where it is. */
typedef struct Place
{
	FtcChain	chain;
	int64		height;			/* -1: not on the main chain */
	int64		head;			/* height of the main chain, if it is */
	uint32		copies;			/* stored, as far as that is asked for */
	bool		is_known;
	bool		is_in_progress; /* this transaction has appended it */
} Place;

static EntryName
entry_args(FunctionCallInfo fcinfo, int origin, int incarnation)
{
	EntryName	name = {0};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("chain and seq must not be null"));
	name.chain = text_to_cstring(PG_GETARG_TEXT_PP(0));
	name.seq = PG_GETARG_INT64(1);
	name.is_own = PG_ARGISNULL(origin);
	if (!name.is_own)
		name.origin = ftc_arg_hash(PG_GETARG_DATUM(origin), "origin");
	name.incarnation = PG_ARGISNULL(incarnation) ? 0 : PG_GETARG_INT64(incarnation);
	return name;
}

/* As things are now, whatever the transaction's snapshot says. */
static void
find_place(const EntryName *name, bool copies, Place *place)
{
	FtcScope	scope;
	Datum		key[4];
	FtcHash		block;

	ftc_enter(&scope);
	ftc_chain_need(&place->chain, name->chain);
	key[0] = Int32GetDatum(place->chain.id);
	key[1] = Int32GetDatum(name->is_own ? ftc_identity_origin() : ftc_origin_find(&name->origin));
	key[2] = Int64GetDatum(name->seq);
	key[3] = Int64GetDatum(name->incarnation);
	ftc_freeze_latest();
	place->height = -1;
	place->copies = 0;
	place->is_in_progress = false;
	place->is_known = ftc_stmt_run(&height_of, key, NULL) > 0;
	if (place->is_known)
	{
		place->height = DatumGetInt64(ftc_value(0, 0));
		place->head = DatumGetInt64(ftc_value(0, 1));
		block = ftc_hash_value(0, 2);
		if (copies)
			place->copies = ftc_safety_copies(&place->chain, ftc_branch_current_state(place->chain.id), &block);
	}
	else if (ftc_stmt_run(&entry_of, key, NULL) > 0)
	{
		place->is_known = true;
		place->is_in_progress = DatumGetBool(ftc_value(0, 0));
	}
	else
		place->is_known = ftc_stmt_run(&bundle_of, key, NULL) > 0;
	ftc_thaw();
	ftc_leave(&scope);
}

pg_noreturn static void
fail_unknown(const EntryName *name)
{
	ereport(ERROR,
			errcode(ERRCODE_NO_DATA_FOUND),
			errmsg("chain \"%s\" has no entry %lld of that origin here", name->chain, (long long) name->seq));
}

/* Blocks from its own to the head; 0 while it waits. */
static int64
count(const Place *place)
{
	return place->height < 0 ? 0 : place->head - place->height + 1;
}

Datum
ftchain_confirmations(PG_FUNCTION_ARGS)
{
	EntryName	name = entry_args(fcinfo, 2, 3);
	Place		place;

	find_place(&name, false, &place);
	if (!place.is_known)
		fail_unknown(&name);
	PG_RETURN_INT64(count(&place));
}

/* What can never come to pass while we wait is an error. */
static void
check_hope(const EntryName *name, const Place *place)
{
	if (place->is_in_progress)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("entry %lld was appended by this very transaction", (long long) name->seq),
				errdetail("It cannot be sealed before the transaction has ended."),
				errhint("Commit first, and wait then."));
	/* one of another member may still come */
	if (!place->is_known && name->is_own)
		fail_unknown(name);
}

static int64
confirmations_arg(FunctionCallInfo fcinfo, int n)
{
	int32		confirmations = PG_ARGISNULL(n) ? 1 : PG_GETARG_INT32(n);

	if (confirmations < 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("confirmations is out of range: %d", confirmations),
				errdetail("It may be 1, which is a place in a block, or more."));
	return confirmations;
}

static uint32
copies_arg(FunctionCallInfo fcinfo, int n)
{
	int32		copies = PG_ARGISNULL(n) ? 1 : PG_GETARG_INT32(n);

	if (copies < 1 || copies > FTC_REPLICAS_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("copies is out of range: %d", copies),
				errdetail("It may be from 1 to %d.", FTC_REPLICAS_MAX));
	return (uint32) copies;
}

/* One copy there is, or the block would not be on the main chain. */
static bool
is_enough(const Place *place, int64 confirmations, uint32 copies)
{
	return count(place) >= confirmations && (copies == 1 || place->copies >= copies);
}

Datum
ftchain_wait_for(PG_FUNCTION_ARGS)
{
	uint32		copies = copies_arg(fcinfo, 6);
	int64		wanted = confirmations_arg(fcinfo, 2);
	uint64		timeout = ftc_arg_timeout(fcinfo, 3);
	EntryName	name = entry_args(fcinfo, 4, 5);
	uint64		start = ftc_clock_steady();
	bool		may_cause = has_privs_of_role(GetUserId(), get_role_oid("ftchain_writer", false));
	Place		place;
	uint64		waited = 0;

	ftc_wake_expect();
	for (;;)
	{
		find_place(&name, copies > 1, &place);
		waited = ftc_clock_steady() - start;
		if (is_enough(&place, wanted, copies) || waited >= timeout)
			break;
		check_hope(&name, &place);
		/* nobody makes empty blocks unless a writer waits for them */
		if (place.height >= 0 && may_cause)
			ftc_wake_want_height(place.chain.id, place.height + wanted - 1);
		ftc_wake_await((long) Min((timeout - waited) / 1000 + 1, LOOK_ANYWAY_MS));
	}
	ftc_wake_expected();
	PG_RETURN_BOOL(is_enough(&place, wanted, copies));
}

/*-------------------------------------------------------------------------
 *
 * identity.c
 *	  Who this database is, and in which incarnation.
 *
 * The identity row is never dumped and names its database, cluster and
 * timeline.  A copy, by CREATE DATABASE ... TEMPLATE or by pg_dump, is thus
 * nobody; a physical copy or a promoted standby is a new incarnation of the
 * same member, so that no seq is ever issued twice.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "datum.h"
#include "identity.h"
#include "keys.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_create_identity);

static FtcStmt identity_get = {
	.sql = "SELECT member, public_key, incarnation, database, system_identifier, timeline"
	" FROM ftchain.identity",
};

static FtcStmt identity_put = {
	.sql = "INSERT INTO ftchain.identity (member, algorithm, public_key, incarnation, database,"
	" system_identifier, timeline) VALUES ($1, $2, $3, $4, $5, $6, $7)",
	.nargs = 7,
	.argtypes = {BYTEAOID, INT2OID, BYTEAOID, INT8OID, OIDOID, INT8OID, INT4OID},
};

static FtcStmt identity_drop = {
	.sql = "DELETE FROM ftchain.identity",
};

static FtcStmt identity_raise = {
	.sql = "UPDATE ftchain.identity SET incarnation = $1, system_identifier = $2, timeline = $3",
	.nargs = 3,
	.argtypes = {INT8OID, INT8OID, INT4OID},
};

static FtcStmt origin_get = {
	.sql = "SELECT id FROM ftchain.origin WHERE member = $1 AND incarnation = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT8OID},
};

static FtcStmt origin_put = {
	.sql = "INSERT INTO ftchain.origin (member, incarnation) VALUES ($1, $2)"
	" ON CONFLICT DO NOTHING",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT8OID},
};

static FtcStmt origin_load = {
	.sql = "SELECT member, incarnation FROM ftchain.origin WHERE id = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

int32
ftc_origin_find(const FtcHash *member, int64 incarnation)
{
	if (ftc_run(&origin_get, ftc_hash_datum(member), Int64GetDatum(incarnation)) == 0)
		return 0;
	return DatumGetInt32(ftc_value(0, 0));
}

int32
ftc_origin_number(const FtcHash *member, int64 incarnation)
{
	Datum		args[] = {ftc_hash_datum(member), Int64GetDatum(incarnation)};

	if (ftc_stmt_run(&origin_get, args, NULL) == 0)
	{
		ftc_stmt_run(&origin_put, args, NULL);
		if (ftc_stmt_run(&origin_get, args, NULL) == 0)
			elog(ERROR, "origin vanished");
	}
	return DatumGetInt32(ftc_value(0, 0));
}

void
ftc_origin_load(int32 origin, FtcHash *member, int64 *incarnation)
{
	if (ftc_run(&origin_load, Int32GetDatum(origin)) == 0)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("origin %d is missing", origin));
	*member = ftc_hash_value(0, 0);
	*incarnation = DatumGetInt64(ftc_value(0, 1));
}

/* The guard is on disk before the row says so, and the row before anything is signed. */
static void
raise_incarnation(FtcIdentity *identity, const char *why)
{
	int64		incarnation = Max(identity->incarnation, ftc_keys_read_guard()) + 1;

	ftc_keys_write_guard(incarnation);
	ftc_store_write(&identity_raise, FTC_ARGS(Int64GetDatum(incarnation), Int64GetDatum((int64) GetSystemIdentifier()),
											  Int32GetDatum((int32) GetWALInsertionTimeLine())), NULL);
	ftc_store_incident(0, "rollback", -1, NULL, &identity->member,
					   psprintf("%s; incarnation %lld follows %lld", why,
								(long long) incarnation, (long long) identity->incarnation));
	ereport(LOG,
			errmsg("ftchain: new incarnation %lld of this database", (long long) incarnation),
			errdetail("%s", why));
	identity->incarnation = incarnation;
}

bool
ftc_identity_load(FtcIdentity *identity)
{
	FtcKey		key;
	FtcSlice	slice;
	bool		same_cluster;

	if (ftc_run(&identity_get, 0) == 0 ||
		DatumGetObjectId(ftc_value(0, 3)) != MyDatabaseId)
		return false;
	identity->member = ftc_hash_value(0, 0);
	slice = ftc_slice_value(0, 1);
	if (slice.len != FTC_KEY_LEN)
		return false;
	memcpy(identity->public_key.b, slice.data, FTC_KEY_LEN);
	identity->incarnation = DatumGetInt64(ftc_value(0, 2));
	if (!ftc_keys_public(&key) || memcmp(&key, &identity->public_key, sizeof(key)) != 0)
		return false;
	if (RecoveryInProgress() || XactReadOnly)
	{
		/* nothing can be written, and nobody is about to sign */
		identity->origin = ftc_origin_find(&identity->member, identity->incarnation);
		return true;
	}
	same_cluster = (uint64) DatumGetInt64(ftc_value(0, 4)) == GetSystemIdentifier() &&
		DatumGetInt32(ftc_value(0, 5)) == (int32) GetWALInsertionTimeLine();
	if (!same_cluster)
		raise_incarnation(identity, "the timeline or the cluster has changed");
	else if (ftc_keys_read_guard() > identity->incarnation)
		raise_incarnation(identity, "the signing guard is ahead of the database");
	identity->origin = ftc_origin_number(&identity->member, identity->incarnation);
	return true;
}

void
ftc_identity_need(FtcIdentity *identity)
{
	if (!ftc_identity_load(identity))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("this database has no identity"),
				errdetail("It has none yet, or it is a copy of a database that has one, or its key file is not there."),
				errhint("Call ftchain.create_identity(); a chain must then take in the new member."));
}

void
ftc_identity_ensure(FtcIdentity *identity)
{
	FtcHash		member;
	FtcKey		key;

	int64		incarnation;

	if (ftc_identity_load(identity))
		return;

	/*
	 * A key file without a row is what a rolled-back call or DROP EXTENSION
	 * left: the key is still this database's own, and the guard keeps its
	 * incarnations apart.
	 */
	if (!ftc_keys_public(&key))
		ftc_keys_create(&key);
	member = ftc_member_id(FTC_ALGORITHM_ED25519, &key);
	incarnation = ftc_keys_read_guard() + 1;
	ftc_keys_write_guard(incarnation);
	/* what another database left in a copy of its tables says nothing here */
	ftc_store_write(&identity_drop, NULL, NULL);
	ftc_run(&identity_put, ftc_hash_datum(&member), Int16GetDatum(FTC_ALGORITHM_ED25519),
			ftc_key_datum(&key), Int64GetDatum(incarnation), ObjectIdGetDatum(MyDatabaseId),
			Int64GetDatum((int64) GetSystemIdentifier()),
			Int32GetDatum((int32) GetWALInsertionTimeLine()));
	if (!ftc_identity_load(identity))
		elog(ERROR, "identity was not stored");
}

void
ftc_identity_set_back(const char *why)
{
	FtcIdentity identity;

	if (ftc_identity_load(&identity))
		raise_incarnation(&identity, why);
}

Datum
ftchain_create_identity(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	FtcIdentity identity;
	FtcScope	scope;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	ftc_enter(&scope);
	if (ftc_identity_load(&identity))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("this database has an identity already"),
				errdetail("Its member id is %s.", ftc_hash_hex(&identity.member)));
	ftc_identity_ensure(&identity);
	ftc_leave(&scope);
	values[0] = ftc_hash_datum(&identity.member);
	values[1] = ftc_key_datum(&identity.public_key);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

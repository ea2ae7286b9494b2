/*-------------------------------------------------------------------------
 *
 * identity.c
 *	  Who this database is, and in which incarnation.
 *
 * The identity row is never dumped and names its database; the key is in a
 * file.  So a copy by CREATE DATABASE ... TEMPLATE or by pg_dump is nobody.
 *
 * The incarnation is the moment this run of the server began, in microseconds
 * since 1970: when its shared memory was made, at its start or after a crash.
 * A database that is set back to an older state, by whatever backup, snapshot
 * or promotion, has been started since, and one that lost commits has crashed:
 * what it takes from then on bears another incarnation than anything it took
 * before and forgot, so no seq is ever issued twice.  That needs nothing to be
 * written, hence nobody ever waits for it, and no guard on disk that a backup
 * could set back too.
 *
 * Only a machine that is set back while it runs keeps its run; that shows when
 * a peer holds what it does not know, and then the identity row says when that
 * was noticed, which is the incarnation for the rest of this run, and of no
 * other: the clock may be wrong and go back, and a later run begin before it.
 * Incarnations are names, and need not rise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "chain.h"
#include "clock.h"
#include "datum.h"
#include "identity.h"
#include "keys.h"
#include "shared.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_create_identity);
PG_FUNCTION_INFO_V1(ftchain_incarnation);

static FtcStmt identity_get = {
	.sql = "SELECT member, public_key, origin, database, set_back, run FROM ftchain.identity",
};

static FtcStmt own_origin = {
	.sql = "SELECT origin FROM ftchain.identity WHERE database = $1",
	.nargs = 1,
	.argtypes = {OIDOID},
};

static FtcStmt identity_put = {
	.sql = "INSERT INTO ftchain.identity (member, algorithm, public_key, origin, database)"
	" VALUES ($1, $2, $3, $4, $5)",
	.nargs = 5,
	.argtypes = {BYTEAOID, INT2OID, BYTEAOID, INT4OID, OIDOID},
};

static FtcStmt identity_drop = {
	.sql = "DELETE FROM ftchain.identity",
};

static FtcStmt identity_set_back = {
	.sql = "UPDATE ftchain.identity SET set_back = $1, run = $2",
	.nargs = 2,
	.argtypes = {INT8OID, INT8OID},
};

/*
 * Two that want to be somebody at once become the same.  Held to the end of the
 * transaction: the second one must see the row of the first, so it waits for
 * the whole of a create_chain().  Nobody else locks the table in this way.
 */
static FtcStmt identity_lock = {
	.sql = "LOCK TABLE ftchain.identity IN SHARE ROW EXCLUSIVE MODE",
};

static FtcStmt origin_get = {
	.sql = "SELECT id FROM ftchain.origin WHERE member = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt origin_put = {
	.sql = "INSERT INTO ftchain.origin (member) VALUES ($1) ON CONFLICT DO NOTHING",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt origin_member = {
	.sql = "SELECT member FROM ftchain.origin WHERE id = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

int32
ftc_origin_find(const FtcHash *member)
{
	if (ftc_run(&origin_get, ftc_hash_datum(member)) == 0)
		return 0;
	return DatumGetInt32(ftc_value(0, 0));
}

int32
ftc_origin_number(const FtcHash *member)
{
	int32		origin = ftc_origin_find(member);

	if (origin != 0)
		return origin;
	ftc_run(&origin_put, ftc_hash_datum(member));
	return ftc_origin_find(member);
}

FtcHash
ftc_origin_member(int32 origin)
{
	FtcHash		member = ftc_hash_zero;

	if (ftc_run(&origin_member, Int32GetDatum(origin)) > 0)
		(void) ftc_datum_hash(ftc_value(0, 0), &member);
	return member;
}

static int64
incarnation_of(int64 set_back, int64 run)
{
	int64		now = (int64) ftc_shared()->run;

	return run == now ? set_back : now;
}

/* What the row says, if it is about this database. */
static bool
read_row(FtcIdentity *identity)
{
	FtcSlice	slice;

	if (ftc_run(&identity_get, 0) == 0 ||
		DatumGetObjectId(ftc_value(0, 3)) != MyDatabaseId)
		return false;
	identity->member = ftc_hash_value(0, 0);
	slice = ftc_slice_value(0, 1);
	if (slice.len != FTC_KEY_LEN)
		return false;
	memcpy(identity->public_key.b, slice.data, FTC_KEY_LEN);
	identity->origin = DatumGetInt32(ftc_value(0, 2));
	identity->incarnation = incarnation_of(DatumGetInt64(ftc_value(0, 4)),
										   DatumGetInt64(ftc_value(0, 5)));
	return true;
}

bool
ftc_identity_load(FtcIdentity *identity)
{
	FtcKey		key;

	return read_row(identity) && ftc_keys_public(&key) &&
		memcmp(&key, &identity->public_key, sizeof(key)) == 0;
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

int32
ftc_identity_origin(void)
{
	FtcIdentity self;

	if (ftc_run(&own_origin, ObjectIdGetDatum(MyDatabaseId)) > 0)
		return DatumGetInt32(ftc_value(0, 0));
	ftc_identity_need(&self);	/* which says why there is none */
	return self.origin;
}

/* The rest of this run is another incarnation. */
static void
put_set_back(void)
{
	ftc_store_write(&identity_set_back,
					FTC_ARGS(Int64GetDatum((int64) ftc_clock_now()),
							 Int64GetDatum((int64) ftc_shared()->run)), NULL);
}

void
ftc_identity_ensure(FtcIdentity *identity)
{
	FtcHash		member;
	FtcKey		key;

	if (ftc_identity_load(identity))
		return;
	ftc_run(&identity_lock, 0);
	if (ftc_identity_load(identity))
		return;

	/*
	 * A key file without a row is what a rolled-back call or DROP EXTENSION
	 * left: the key is still this database's own.
	 */
	if (!ftc_keys_public(&key))
		ftc_keys_create(&key);
	member = ftc_member_id(FTC_ALGORITHM_ED25519, &key);
	/* what another database left in a copy of its tables says nothing here */
	ftc_store_write(&identity_drop, NULL, NULL);
	ftc_run(&identity_put, ftc_hash_datum(&member), Int16GetDatum(FTC_ALGORITHM_ED25519),
			ftc_key_datum(&key), Int32GetDatum(ftc_origin_number(&member)),
			ObjectIdGetDatum(MyDatabaseId));
	if (!ftc_identity_load(identity))
		elog(ERROR, "identity was not stored");

	/*
	 * A key that was used before in this run of the server must not go on
	 * where it was: DROP EXTENSION forgot what it had signed.
	 */
	put_set_back();
	(void) ftc_identity_load(identity);
}

void
ftc_identity_set_back(const char *why)
{
	FtcIdentity identity;

	if (!ftc_identity_load(&identity))
		return;
	put_set_back();
	ftc_store_incident(0, "rollback", -1, NULL, &identity.member, why);
	ftc_chain_invalidate();
	ereport(LOG,
			errmsg("ftchain: this database has been set back: a new incarnation begins"),
			errdetail("%s", why));
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

/* That of the row, whether or not its key is there: null without one. */
Datum
ftchain_incarnation(PG_FUNCTION_ARGS)
{
	FtcIdentity identity;
	FtcScope	scope;
	bool		there;

	ftc_enter(&scope);
	there = read_row(&identity);
	ftc_leave(&scope);
	if (!there)
		PG_RETURN_NULL();
	PG_RETURN_INT64(identity.incarnation);
}

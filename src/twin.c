/*-------------------------------------------------------------------------
 *
 * twin.c
 *	  Two live copies of one database: told to whom it concerns, and recorded.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"

#include "area.h"
#include "chain.h"
#include "clock.h"
#include "core/sign.h"
#include "datum.h"
#include "identity.h"
#include "protocol.h"
#include "receive.h"
#include "stmt.h"
#include "store.h"
#include "twin.h"

PG_FUNCTION_INFO_V1(ftchain_peer_presence);
PG_FUNCTION_INFO_V1(ftchain_clear_twins);

static FtcStmt twin_seen = {
	.sql = "UPDATE ftchain.twin SET incarnation = $3, other = $4, seen = now() WHERE member = $1 AND reporter = $2",
	.nargs = 4,
	.argtypes = {BYTEAOID, BYTEAOID, INT8OID, INT8OID},
};

static FtcStmt twin_put = {
	.sql = "INSERT INTO ftchain.twin (member, reporter, incarnation, other) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
	.nargs = 4,
	.argtypes = {BYTEAOID, BYTEAOID, INT8OID, INT8OID},
};

static FtcStmt twin_drop = {
	.sql = "DELETE FROM ftchain.twin WHERE $1 IS NULL OR member = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* An incident once, until an operator has cleared it. */
void
ftc_twin_note(const FtcHash *member, const FtcHash *reporter, int64 incarnation, int64 other)
{
	char	   *detail;

	if (ftc_run(&twin_seen, ftc_hash_datum(member), ftc_hash_datum(reporter),
				Int64GetDatum(incarnation), Int64GetDatum(other)) > 0 ||
		ftc_run(&twin_put, ftc_hash_datum(member), ftc_hash_datum(reporter),
				Int64GetDatum(incarnation), Int64GetDatum(other)) == 0)
		return;
	detail = psprintf("incarnations %lld and %lld live at the same time, says member %s",
					  (long long) incarnation, (long long) other, ftc_hash_hex(reporter));
	ftc_store_incident(0, "two copies", -1, NULL, member, detail);
	ereport(LOG,
			errmsg("ftchain: there are two live copies of member %s", ftc_hash_hex(member)),
			errdetail_internal("%s", detail),
			errhint("Stop one of them, or its workers; then call ftchain.clear_twins()."));
}

/* ----------------------------------------------------------------
 *		Hearing of a member
 * ----------------------------------------------------------------
 */

/* Its place; of one that is not known, that of who was not heard for longest. */
static FtcMemberSlot *
place_of(FtcArea *area, const FtcHash *member)
{
	FtcMemberSlot *oldest = &area->member[0];

	for (int i = 0; i < FTC_AREA_MEMBERS; i++)
	{
		FtcMemberSlot *slot = &area->member[i];

		if (slot->heard_at != 0 && ftc_hash_equal(&slot->member, member))
			return slot;
		if (slot->heard_at < oldest->heard_at)
			oldest = slot;
	}
	memset(oldest, 0, sizeof(*oldest));
	oldest->member = *member;
	return oldest;
}

static bool
hear(const FtcHash *member, const FtcHere *here, uint64 token, uint64 *other)
{
	FtcArea    *area = ftc_area(true);
	FtcMemberSlot *slot;
	bool		twins;

	if (area == NULL)
		return false;
	LWLockAcquire(&area->lock, LW_EXCLUSIVE);
	slot = place_of(area, member);
	slot->heard_at = ftc_clock_steady();
	twins = ftc_presence_hear(&slot->presence, here, token, other);
	LWLockRelease(&area->lock);
	return twins;
}

uint64
ftc_twin_heard_at(const FtcHash *member)
{
	FtcArea    *area = ftc_area(false);
	uint64		at = 0;

	if (area == NULL)
		return 0;
	LWLockAcquire(&area->lock, LW_SHARED);
	for (int i = 0; i < FTC_AREA_MEMBERS; i++)
		if (area->member[i].heard_at != 0 && ftc_hash_equal(&area->member[i].member, member))
			at = area->member[i].heard_at;
	LWLockRelease(&area->lock);
	return at;
}

/* Only who has signed leaves anything in memory. */
static void
check_signature(const FtcHash *sender, const FtcHash *receiver, const FtcHere *here, Datum signature)
{
	FtcHash		digest = ftc_presence_digest(receiver, here);
	FtcSignature signed_by;
	FtcKey		key;

	if (!ftc_chain_key_of(sender, &key))
		ftc_refuse(FTC_NOT_A_MEMBER, "sender");
	if (!ftc_datum_signature(signature, &signed_by) ||
		ftc_verify(&key, FTC_DOMAIN_PRESENCE, &ftc_hash_zero, &digest, &signed_by) != FTC_OK)
		ftc_refuse(FTC_BAD_SIGNATURE, "presence");
}

Datum
ftchain_peer_presence(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcIdentity self;
	FtcHere		here;
	FtcHash		sender;
	uint64		token;
	uint64		other = 0;
	Datum		values[5];
	bool		nulls[5] = {false};

	ftc_serve_need_not_null(fcinfo);
	ftc_serve_need_protocol(PG_GETARG_INT32(0));
	sender = ftc_arg_hash(PG_GETARG_DATUM(1), "sender");
	here.session = (uint64) PG_GETARG_INT64(2);
	here.incarnation = (uint64) PG_GETARG_INT64(3);
	here.token = (uint64) PG_GETARG_INT64(4);
	if (!pg_strong_random(&token, sizeof(token)))
		elog(ERROR, "no random numbers to be had");
	ftc_enter(&scope);
	ftc_identity_need(&self);
	check_signature(&sender, &self.member, &here, PG_GETARG_DATUM(5));
	nulls[3] = !hear(&sender, &here, token, &other);
	if (!nulls[3])
		ftc_twin_note(&sender, &self.member, (int64) here.incarnation, (int64) other);
	ftc_leave(&scope);

	values[0] = Int32GetDatum(Min(PG_GETARG_INT32(0), FTC_PROTOCOL));
	values[1] = ftc_hash_datum(&self.member);
	values[2] = Int64GetDatum((int64) token);
	values[3] = Int64GetDatum((int64) other);
	values[4] = Int64GetDatum(self.incarnation);
	PG_RETURN_DATUM(ftc_serve_row(fcinfo, values, nulls));
}

/* ----------------------------------------------------------------
 *		Done with
 * ----------------------------------------------------------------
 */

/* What was heard of a member; NULL: of all. */
static void
forget(const FtcHash *member)
{
	FtcArea    *area = ftc_area(false);

	if (area == NULL)
		return;
	LWLockAcquire(&area->lock, LW_EXCLUSIVE);
	for (int i = 0; i < FTC_AREA_MEMBERS; i++)
		if (member == NULL || ftc_hash_equal(&area->member[i].member, member))
			memset(&area->member[i], 0, sizeof(area->member[i]));
	LWLockRelease(&area->lock);
}

Datum
ftchain_clear_twins(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcHash		member = ftc_hash_zero;
	Datum		args[1];
	bool		nulls[1];
	uint64		n;

	if (!PG_ARGISNULL(0))
		member = ftc_arg_hash(PG_GETARG_DATUM(0), "member");
	args[0] = ftc_hash_datum(&member);
	nulls[0] = PG_ARGISNULL(0);
	ftc_enter(&scope);
	forget(nulls[0] ? NULL : &member);
	n = ftc_stmt_run(&twin_drop, args, nulls);
	if (n > 0)
		ftc_store_incident(0, "two copies cleared", -1, NULL, nulls[0] ? NULL : &member,
						   psprintf("alarms: %llu", (unsigned long long) n));
	ftc_leave(&scope);
	PG_RETURN_INT64((int64) n);
}

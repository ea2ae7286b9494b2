/*-------------------------------------------------------------------------
 *
 * recover.c
 *	  A member whose database was lost gets it back from the others.
 *
 * Progression: KEY (it is who it was) -> BLOCKS (headers and manifests, from the
 * genesis on, each checked) -> BODIES (those that it should hold) -> PROMISES
 * (bodies that it once signed for and that are placed elsewhere now) -> DONE.
 * How far that is stands in tables, so it goes on where it was when it is called
 * again.  Until it is done nothing is appended or sealed here: the member would
 * speak without knowing what it has said.
 *
 * What no other member holds is lost: entries that were in no block yet, and
 * bodies whose every copy was here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "alarm.h"
#include "branch.h"
#include "compare.h"
#include "courier.h"
#include "datum.h"
#include "failpoint.h"
#include "identity.h"
#include "inbox.h"
#include "keys.h"
#include "recover.h"
#include "repair.h"
#include "scrub.h"
#include "step.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_recover_member);

static FtcStmt state_begin = {
	.sql = "INSERT INTO ftchain.recovery_state (chain, server, phase) VALUES ($1, $2, 'blocks')"
	" ON CONFLICT (chain) DO UPDATE SET server = $2, phase = 'blocks', finished = NULL,"
	" started = CASE WHEN recovery_state.finished IS NULL THEN recovery_state.started ELSE now() END",
	.nargs = 2,
	.argtypes = {INT4OID, TEXTOID},
};

static FtcStmt state_set = {
	.sql = "UPDATE ftchain.recovery_state SET phase = $2, head = coalesce($3, head),"
	" finished = CASE $2 WHEN 'done' THEN now() END WHERE chain = $1",
	.nargs = 3,
	.argtypes = {INT4OID, TEXTOID, INT8OID},
};

static FtcStmt still_wanted = {
	.sql = "SELECT count(*) FROM ftchain.wanted WHERE chain = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* One recovery; its memory outlives the transactions. */
typedef struct Recovery
{
	char	   *server;
	char	   *name;
	FtcHash		pin;
	bool		pinned;
	Oid			caller;
	FtcChain	chain;
} Recovery;

static void
enter_phase(const Recovery *r, const char *phase, int64 head)
{
	FtcScope	scope;
	bool		nulls[3] = {false, false, head < 0};

	ftc_enter(&scope);
	ftc_stmt_run(&state_set, FTC_ARGS(Int32GetDatum(r->chain.id), CStringGetTextDatum(phase), Int64GetDatum(head)), nulls);
	ftc_leave(&scope);
	ftc_procedure_commit();
}

/* It is who it was, by the key that was saved; none is made. */
static void
become(const char *key_file)
{
	FtcScope	scope;
	FtcIdentity self;
	FtcKey		key;

	if (key_file != NULL)
		ftc_keys_adopt(key_file);
	ftc_enter(&scope);
	if (!ftc_identity_load(&self))
	{
		if (!ftc_keys_public(&key))
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_FILE),
					errmsg("this database has no key"),
					errdetail("Only who has the key of a member is that member."),
					errhint("Copy its key file into ftchain.key_directory and name it as key_file. Without it, the database can only join as a new member."));
		ftc_identity_ensure(&self);
	}
	ftc_leave(&scope);
	ftc_procedure_commit();
}

/* Nothing is stopped here for a server that does not lead to a member. */
static void
need_server(const Recovery *r)
{
	FtcScope	scope;
	FtcComparison asked;

	ftc_enter(&scope);
	ftc_compare_open(&asked, r->server, r->caller);
	ftc_compare_close(&asked);
	ftc_leave(&scope);
	ftc_procedure_commit();
}

/* The chain, from its genesis block on; what is here already stays. */
static void
find_chain(Recovery *r)
{
	FtcScope	scope;
	bool		found;

	ftc_enter(&scope);
	found = ftc_chain_find(&r->chain, r->name);
	ftc_leave(&scope);
	if (!found)
		ftc_join_chain(r->server, r->name, r->pinned ? &r->pin : NULL);
	ftc_enter(&scope);
	ftc_chain_need(&r->chain, r->name);
	r->chain.name = r->name;
	if (r->pinned && !ftc_hash_equal(&r->pin, &r->chain.genesis))
		ereport(ERROR,
				errcode(ERRCODE_DATA_EXCEPTION),
				errmsg("chain \"%s\" has genesis %s here", r->name, ftc_hash_hex(&r->chain.genesis)),
				errdetail("Expected %s.", ftc_hash_hex(&r->pin)),
				errhint("It is another chain of that name. A database that has it cannot be rebuilt as a member of the one that is meant."));
	ftc_run(&state_begin, Int32GetDatum(r->chain.id), CStringGetTextDatum(r->server));
	(void) ftc_alarm_raise(r->chain.id, FTC_ALARM_RECOVERY, NULL, -1, "this member is being rebuilt from the others");
	ftc_leave(&scope);
	ftc_procedure_commit();
}

/* How far the others are, for whoever looks at the progress. */
static int64
ask_head(const Recovery *r)
{
	FtcScope	scope;
	FtcComparison asked;
	volatile int64 head = -1;

	ftc_enter(&scope);
	ftc_compare_open(&asked, r->server, r->caller);
	PG_TRY();
	{
		ftc_compare_chain(&asked, &r->chain);
		head = asked.head;
	}
	PG_FINALLY();
	{
		ftc_compare_close(&asked);
	}
	PG_END_TRY();
	ftc_leave(&scope);
	ftc_procedure_commit();
	return head;
}

static int64
count_wanted(const Recovery *r)
{
	FtcScope	scope;
	int64		n;

	ftc_enter(&scope);
	(void) ftc_inbox_want_missing(&r->chain);
	ftc_run(&still_wanted, Int32GetDatum(r->chain.id));
	n = DatumGetInt64(ftc_value(0, 0));
	ftc_leave(&scope);
	ftc_procedure_commit();
	return n;
}

/* From whoever is a peer, as long as that brings something. */
static int64
fetch_bodies(const Recovery *r)
{
	int64		left = count_wanted(r);
	int64		before;

	do
	{
		before = left;
		if (left > 0)
			ftc_courier_sync(NULL);
		FTC_FAILPOINT("recover-bodies");
		left = count_wanted(r);
	} while (left > 0 && left < before);
	return left;
}

static void
tell_action(void *arg, const FtcChain *chain, const FtcRepairAction *action)
{
}

/* Everything is looked at once; what is missing is asked for as any damage. */
static int64
keep_promises(const Recovery *r)
{
	FtcScope	scope;
	int64		after = -1;
	int64		left = 0;

	ftc_enter(&scope);
	(void) ftc_scrub_light(&r->chain);
	ftc_leave(&scope);
	ftc_procedure_commit();
	do
	{
		ftc_enter(&scope);
		left += ftc_repair_blocks(&r->chain, false, r->caller, &after, tell_action, NULL);
		ftc_leave(&scope);
		ftc_procedure_commit();
	} while (after >= 0);
	return left;
}

static bool
is_member(const Recovery *r)
{
	FtcScope	scope;
	FtcIdentity self;
	bool		member;

	ftc_enter(&scope);
	member = ftc_identity_load(&self) && ftc_state_find(ftc_branch_current_state(r->chain.id), &self.member) != NULL;
	ftc_leave(&scope);
	return member;
}

static void
finish(const Recovery *r, int64 left)
{
	FtcScope	scope;

	if (!is_member(r))
		ereport(WARNING,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("this database is not a member of chain \"%s\"", r->name),
				errhint("It has the key of another one, or was removed meanwhile."));
	if (left > 0)
		ereport(WARNING,
				errcode(ERRCODE_NO_DATA_FOUND),
				errmsg("%lld bodies of chain \"%s\" were not to be had", (long long) left, r->name),
				errhint("Add more peers with ftchain.add_peer(); the workers go on asking. See ftchain.damage and ftchain.wanted."));
	ftc_enter(&scope);
	ftc_alarm_forget(r->chain.id, FTC_ALARM_RECOVERY);
	ftc_store_incident(r->chain.id, "recovered", ftc_store_main_height(r->chain.id), NULL, NULL,
					   psprintf("rebuilt from server \"%s\" and others, " INT64_FORMAT " bodies are missing", r->server, left));
	ftc_leave(&scope);
	enter_phase(r, "done", -1);
}

static void
recover(Recovery *r, const char *key_file)
{
	int64		left;

	become(key_file);
	need_server(r);
	find_chain(r);
	enter_phase(r, "blocks", ask_head(r));
	FTC_FAILPOINT("recover-blocks");
	ftc_courier_sync(r->server);
	enter_phase(r, "bodies", -1);
	left = fetch_bodies(r);
	enter_phase(r, "promises", -1);
	left += keep_promises(r);
	finish(r, left);
}

static char *
lasting_text(FunctionCallInfo fcinfo, int i, const char *name)
{
	if (PG_ARGISNULL(i))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("\"%s\" must not be null", name));
	return MemoryContextStrdup(TopMemoryContext, text_to_cstring(PG_GETARG_TEXT_PP(i)));
}

Datum
ftchain_recover_member(PG_FUNCTION_ARGS)
{
	Recovery	r = {.server = lasting_text(fcinfo, 0, "server"),.name = lasting_text(fcinfo, 1, "chain"),
	.pinned = !PG_ARGISNULL(2),.caller = GetUserId()};
	char	   *key_file = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));

	if (r.pinned)
		r.pin = ftc_arg_hash(PG_GETARG_DATUM(2), "genesis");
	PG_TRY();
	{
		ftc_procedure_begin(fcinfo, "ftchain.recover_member");
		recover(&r, key_file);
		ftc_procedure_end();
	}
	PG_FINALLY();
	{
		ftc_courier_close();
		pfree(r.server);
		pfree(r.name);
	}
	PG_END_TRY();
	PG_RETURN_VOID();
}

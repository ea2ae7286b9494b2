/*-------------------------------------------------------------------------
 *
 * compare.c
 *	  What another member has, compared with what is here.
 *
 * First the main chains: how far they are the same is found by a few questions,
 * whatever their length.  Where they part, both branches are looked at: if
 * neither member can take the other's branch any more, they have diverged, and
 * the one with less work stops writing to it.  Nobody stops on somebody's word:
 * the work of the other branch is found in its headers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/resowner.h"

#include "alarm.h"
#include "branch.h"
#include "compare.h"
#include "compat.h"
#include "copies.h"
#include "core/pow.h"
#include "core/sha256.h"
#include "datum.h"
#include "stmt.h"
#include "store.h"
#include "verify.h"

PG_FUNCTION_INFO_V1(ftchain_compare);

#define LOCATOR_MAX 200			/* heights asked for at once */
#define BLOCKS_AT_ONCE 500

/* Of a body that has entries: has the member signed that it stores it? */
static FtcStmt promise = {
	.sql = "SELECT FROM ftchain.replica WHERE block = $1 AND member = $2 AND EXISTS"
	" (SELECT FROM ftchain.block_bundle b WHERE b.block = $1)",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt pair_due = {
	.sql = "SELECT p.server, c.id FROM ftchain.peer p CROSS JOIN ftchain.chain c"
	" LEFT JOIN ftchain.comparison o ON o.server = p.server AND o.chain = c.id"
	" WHERE coalesce(o.compared, greatest(p.added, c.created)) NOT BETWEEN now() - make_interval(secs => $1) AND now()"
	" ORDER BY o.compared NULLS FIRST, p.server, c.id LIMIT 1",
	.nargs = 1,
	.argtypes = {FLOAT8OID},
};

static FtcStmt comparison_put = {
	.sql = "INSERT INTO ftchain.comparison (server, chain, outcome, height, differences, taken, calls, bytes)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (server, chain) DO UPDATE SET compared = now(),"
	" outcome = $3, height = $4, differences = $5, taken = $6, calls = $7, bytes = $8",
	.nargs = 8,
	.argtypes = {TEXTOID, INT4OID, TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID},
};

/* What was found of one chain; the first difference, if there is one. */
typedef struct Finding
{
	const char *outcome;
	int64		height;			/* -1: none */
	FtcHash		here;			/* zeros: none */
	FtcHash		there;
	int64		entry;			/* 0: none */
	const char *detail;			/* NULL: none */
	bool		stops;			/* nothing more may be written here */
} Finding;

/* ----------------------------------------------------------------
 *		Asking
 * ----------------------------------------------------------------
 */

struct pg_result *
ftc_compare_ask(FtcComparison *asked, const FtcCall *call, const FtcPeerArgs *args)
{
	struct pg_result *result = ftc_peer_ask(&asked->peer, call, args);

	asked->calls++;
	for (int i = 0; i < args->n; i++)
		asked->bytes += args->lengths[i];
	asked->bytes += (int64) asked->peer.received;
	return result;
}

pg_noreturn static void
bad_answer(const FtcComparison *asked)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_EXCEPTION),
			errmsg("server \"%s\" gives an answer that cannot be understood", asked->peer.server));
}

static void
ask_head(FtcComparison *asked)
{
	FtcPeerArgs args = {0};
	struct pg_result *result;
	bool		ok;

	ftc_peer_arg_int(&args, FTC_PROTOCOL);
	ftc_peer_arg_bytes(&args, ftc_slice(asked->chain->genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_bytes(&args, ftc_slice(asked->self.member.b, FTC_HASH_LEN));
	result = ftc_compare_ask(asked, FTC_CALL_HELLO, &args);
	ok = ftc_peer_rows(result) == 1 && ftc_peer_hash(result, 0, 1, &asked->member) &&
		ftc_peer_int(result, 0, 2, &asked->head) && ftc_peer_hash(result, 0, 3, &asked->head_id) &&
		ftc_peer_hash(result, 0, 4, &asked->work) && asked->head >= 0;
	ftc_peer_clear(result);
	if (!ok)
		bad_answer(asked);
}

/* Blocks of its main chain after the first of these ids that is on it. */
static struct pg_result *
ask_blocks(FtcComparison *asked, const FtcHash *ids, int n, int most)
{
	FtcPeerArgs args = {0};
	FtcSlice   *locator = palloc(n * sizeof(FtcSlice));

	for (int i = 0; i < n; i++)
		locator[i] = ftc_slice(ids[i].b, FTC_HASH_LEN);
	ftc_peer_arg_bytes(&args, ftc_slice(asked->chain->genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_array(&args, locator, n);
	ftc_peer_arg_int(&args, most);
	return ftc_compare_ask(asked, FTC_CALL_BLOCKS, &args);
}

/* A block of an answer, and the id that its header has. */
static bool
read_block(struct pg_result *result, int row, FtcBlock *block, FtcHeader *header, FtcHash *id)
{
	if (ftc_block_decode(block, ftc_peer_bytes(result, row, 0)) != FTC_OK ||
		ftc_header_decode(header, block->header) != FTC_OK)
		return false;
	*id = ftc_sha256(block->header);
	return true;
}

/* The height after which its main chain goes on, if it knows any of these. */
static int64
ask_fork(FtcComparison *asked, const FtcHash *ids, const int64 *heights, int n)
{
	struct pg_result *result = ask_blocks(asked, ids, n, 1);
	int64		height = asked->head;
	FtcBlock	block;
	FtcHeader	header;
	FtcHash		id;

	if (ftc_peer_rows(result) > 0)
	{
		if (!read_block(result, 0, &block, &header, &id))
			bad_answer(asked);
		height = (int64) header.height - 1;
	}
	ftc_peer_clear(result);
	for (int i = 0; i < n; i++)
		if (heights[i] == height)
			return height;
	return 0;
}

static FtcHash
main_id(const FtcChain *chain, int64 height)
{
	FtcStored	stored;

	if (!ftc_store_load_main(chain->id, height, &stored))
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("the main chain of \"%s\" has no block at height %lld", chain->name, (long long) height));
	return stored.id;
}

/* The highest block that both main chains have: each question leaves 1/200 of what was left. */
static int64
find_common(FtcComparison *asked)
{
	int64		low = 0;		/* is known to be common */
	int64		high = Min(ftc_store_main_height(asked->chain->id), asked->head);

	while (low < high)
	{
		int64		step = Max((high - low) / LOCATOR_MAX, 1);
		FtcHash		ids[LOCATOR_MAX + 2];
		int64		heights[LOCATOR_MAX + 2];
		int			n = 0;
		int64		found;
		MemoryContext outer = ftc_nest();

		for (int64 height = high; height > low && n <= LOCATOR_MAX; height -= step)
			heights[n++] = height;
		heights[n++] = low;
		for (int i = 0; i < n; i++)
			ids[i] = main_id(asked->chain, heights[i]);
		found = ask_fork(asked, ids, heights, n);
		ftc_unnest(outer);
		if (found == high)
			return high;
		if (found < low)
			bad_answer(asked);
		for (int i = 0; i < n && heights[i] > found; i++)
			high = heights[i] - 1;
		low = found;
		CHECK_FOR_INTERRUPTS();
	}
	return low;
}

void
ftc_compare_open(FtcComparison *asked, const char *server, Oid for_role)
{
	memset(asked, 0, sizeof(*asked));
	ftc_identity_need(&asked->self);
	ftc_peer_open(&asked->peer, server, for_role);
}

void
ftc_compare_close(FtcComparison *asked)
{
	/* an error of its own has closed it */
	if (asked->peer.phase != FTC_PEER_CLOSED)
		ftc_peer_close(&asked->peer);
}

void
ftc_compare_chain(FtcComparison *asked, const FtcChain *chain)
{
	asked->chain = chain;
	asked->calls = asked->bytes = 0;
	ask_head(asked);
	asked->common = find_common(asked);
}

/* ----------------------------------------------------------------
 *		Branches
 * ----------------------------------------------------------------
 */

static const char *
names_of_differences(const FtcHeader *a, const FtcHeader *b)
{
	StringInfoData names;

	initStringInfo(&names);
	if (!ftc_hash_equal(&a->proposer, &b->proposer))
		appendStringInfoString(&names, "proposer, ");
	if (a->time != b->time)
		appendStringInfoString(&names, "time, ");
	if (a->bits != b->bits)
		appendStringInfoString(&names, "difficulty, ");
	if (!ftc_hash_equal(&a->state, &b->state))
		appendStringInfoString(&names, "members or parameters, ");
	if (!ftc_hash_equal(&a->body, &b->body))
		appendStringInfoString(&names, "body, ");
	if (names.len == 0)
		return "only the nonce differs";
	names.data[names.len - 2] = '\0';
	return psprintf("they differ in: %s", names.data);
}

/*
 * The work that its headers show above the fork, as far as they follow each
 * other and their proposers are members by what is known here.
 */
static FtcU256
proven_work(FtcComparison *asked, const FtcState *state, FtcHash *first, FtcHeader *first_header)
{
	FtcU256		work = ftc_u256_from_u64(0);
	FtcU256		least = ftc_pow_work(state->params.limit_bits);
	FtcHash		prev = main_id(asked->chain, asked->common);
	FtcHash		ours = main_id(asked->chain, asked->common + 1);
	int64		height = asked->common;
	bool		follows;

	do
	{
		struct pg_result *result = ask_blocks(asked, &prev, 1, BLOCKS_AT_ONCE);
		int			n = ftc_peer_rows(result);

		follows = n > 0;
		for (int i = 0; i < n && follows; i++)
		{
			FtcBlock	block;
			FtcHeader	header;
			FtcHash		id;
			FtcU256		step;
			const FtcMember *member;

			follows = read_block(result, i, &block, &header, &id) && ftc_hash_equal(&header.prev, &prev) &&
				(int64) header.height == height + 1;
			if (!follows)
				break;
			/* it has said that it goes on in another way */
			if (ftc_hash_equal(&id, &ours))
			{
				ftc_peer_clear(result);
				bad_answer(asked);
			}
			step = ftc_pow_work(header.bits);
			member = ftc_state_find(state, &header.proposer);
			follows = member != NULL && ftc_u256_compare(&step, &least) >= 0 && ftc_pow_meets(&id, header.bits) &&
				ftc_verify(&member->key, FTC_DOMAIN_BLOCK, &asked->chain->genesis, &id, &block.signature) == FTC_OK;
			if (!follows)
				break;
			if (height == asked->common)
			{
				*first = id;
				*first_header = header;
			}
			work = ftc_u256_add(&work, &step);
			prev = id;
			height++;
		}
		ftc_peer_clear(result);
		CHECK_FOR_INTERRUPTS();
	} while (follows && height < asked->head && !ftc_hash_equal(&prev, &asked->head_id));
	return work;
}

/* Both have gone on beside each other. */
static void
compare_branches(FtcComparison *asked, Finding *f)
{
	FtcState   *state = ftc_branch_current_state(asked->chain->id);
	int64		limit = (int64) state->params.reorg_limit;
	int64		depth = ftc_store_main_height(asked->chain->id) - asked->common;
	FtcHeader	theirs = {0};
	FtcU256		work = proven_work(asked, state, &f->there, &theirs);
	FtcStored	at;
	FtcStored	head;
	FtcStored	ours;
	int			more;

	f->height = asked->common + 1;
	if (!ftc_store_load_main(asked->chain->id, asked->common, &at) ||
		!ftc_store_load_main(asked->chain->id, f->height, &ours))
		return;
	ftc_store_load_head(asked->chain->id, &head);
	work = ftc_u256_add(&work, &at.tip.work);
	more = ftc_u256_compare(&work, &head.tip.work);
	f->here = ours.id;
	f->detail = names_of_differences(&ours.header, &theirs);
	f->outcome = "fork";
	if (more > 0 && depth > limit)
	{
		f->outcome = "diverged";
		f->detail = psprintf("the other branch has more work and leaves this one %lld blocks below the head, the chain's limit is %lld; %s",
							 (long long) depth, (long long) limit, f->detail);
		f->stops = true;
	}
	else if (more < 0 && asked->head - asked->common > limit)
	{
		f->outcome = "diverged";
		f->detail = psprintf("the other branch has less work, and leaves this one too far below its head to take it; %s", f->detail);
	}
}

/* ----------------------------------------------------------------
 *		Contents
 * ----------------------------------------------------------------
 */

static void
note_first(void *arg, const FtcFault *fault)
{
	Finding    *f = arg;

	if (strcmp(f->outcome, "same") != 0)
		return;
	f->outcome = "damaged here";
	f->entry = fault->entry;
	f->detail = fault->entry != 0 ? psprintf("%s: entry " INT64_FORMAT, fault->what, fault->entry) : pstrdup(fault->what);
}

static bool
is_same(FtcSlice a, FtcSlice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* What the peer gives of the block; NULL, and the comparison is over, if it says that this is damaged. */
static struct pg_result *
ask_block(FtcComparison *asked, const FtcPeerArgs *args)
{
	MemoryContext outer = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	struct pg_result *volatile result = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(outer);
	PG_TRY();
	{
		result = ftc_compare_ask(asked, FTC_CALL_BLOCK, args);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(outer);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (error->sqlerrcode != ERRCODE_DATA_CORRUPTED)
			ReThrowError(error);
		FreeErrorData(error);
		result = NULL;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(outer);
	CurrentResourceOwner = owner;
	return result;
}

/* Has it given the block with this id as it is here, with its body if it says that it stores it? */
static bool
compare_block(FtcComparison *asked, int64 height, Finding *f)
{
	FtcPeerArgs args = {0};
	struct pg_result *result;
	FtcStored	ours;
	FtcBlock	theirs = {0};
	FtcHash		id;
	bool		promised;

	if (!ftc_store_load_main(asked->chain->id, height, &ours))
		return true;
	ftc_peer_arg_bytes(&args, ftc_slice(asked->chain->genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_bytes(&args, ftc_slice(ours.id.b, FTC_HASH_LEN));
	result = ask_block(asked, &args);
	promised = ftc_run(&promise, ftc_hash_datum(&ours.id), ftc_hash_datum(&asked->member)) > 0;
	if (result == NULL)
		f->detail = "it says that the block is damaged";
	else if (ftc_peer_rows(result) != 1 || ftc_block_decode(&theirs, ftc_peer_bytes(result, 0, 0)) != FTC_OK)
		f->detail = "the block is missing";
	else
	{
		id = ftc_sha256(theirs.header);
		if (!ftc_hash_equal(&id, &ours.id))
			f->detail = "the header is another";
		else if (!is_same(theirs.manifest, ours.block.manifest) || !is_same(theirs.proof, ours.block.proof))
			f->detail = "the manifest is another";
		else if (promised && theirs.body.len == 0)
			f->detail = "it does not give the body that it has signed it stores";
		else if (theirs.body.len > 0 &&
				 ftc_body_check(theirs.body, &ours.header.body, ours.header.leaves, NULL) != FTC_OK)
			f->detail = "the body is another";
	}
	if (result != NULL)
		ftc_peer_clear(result);
	if (f->detail == NULL)
		return true;
	f->outcome = "damaged there";
	f->height = height;
	f->here = ours.id;
	return false;
}

/* Every block that both have: ours against its id first, so that it is known whose fault it is. */
static void
compare_contents(FtcComparison *asked, Finding *f)
{
	for (int64 height = 0; height <= asked->common && strcmp(f->outcome, "same") == 0; height++)
	{
		MemoryContext outer = ftc_nest();

		ftc_verify_chain(asked->chain, height, height, false, false, note_first, f);
		if (strcmp(f->outcome, "same") != 0)
		{
			f->height = height;
			f->here = main_id(asked->chain, height);
			f->detail = MemoryContextStrdup(outer, f->detail);
		}
		else
			(void) compare_block(asked, height, f);
		ftc_unnest(outer);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
compare_chain(FtcComparison *asked, const FtcChain *chain, bool deep, Finding *f)
{
	int64		head;

	ftc_compare_chain(asked, chain);
	head = ftc_store_main_height(chain->id);
	f->outcome = "same";
	f->height = -1;
	if (deep)
		compare_contents(asked, f);
	if (strcmp(f->outcome, "same") != 0)
		return;
	if (asked->common < Min(head, asked->head))
		compare_branches(asked, f);
	else if (head != asked->head)
	{
		f->outcome = head < asked->head ? "behind" : "ahead";
		f->height = asked->common;
		f->detail = psprintf("by %lld blocks", (long long) Max(head - asked->head, asked->head - head));
	}
}

/* What follows from it; nothing is asked any more. */
static void
settle(const FtcComparison *asked, const FtcChain *chain, const Finding *f)
{
	if (f->stops)
		(void) ftc_alarm_raise(chain->id, FTC_ALARM_DIVERGENCE, &asked->member, f->height, f->detail);
}

/* ----------------------------------------------------------------
 *		Now and then
 * ----------------------------------------------------------------
 */

char *
ftc_compare_due(int interval, FtcChain *chain)
{
	char	   *server;

	if (interval == 0 || ftc_run(&pair_due, Float8GetDatum((double) interval)) == 0)
		return NULL;
	server = TextDatumGetCString(ftc_value(0, 0));
	return ftc_chain_by_id(chain, DatumGetInt32(ftc_value(0, 1))) ? server : NULL;
}

void
ftc_compare_peer(const char *server, const FtcChain *chain, Oid for_role)
{
	FtcComparison asked;
	Finding		f = {0};
	FtcCopiesFound *volatile found = NULL;
	int64		taken;
	bool		nulls[8] = {false};

	ftc_compare_open(&asked, server, for_role);
	PG_TRY();
	{
		compare_chain(&asked, chain, false, &f);
		found = ftc_copies_compare(&asked);
	}
	PG_FINALLY();
	{
		ftc_compare_close(&asked);
	}
	PG_END_TRY();
	settle(&asked, chain, &f);
	taken = ftc_copies_take(found);
	nulls[3] = f.height < 0;
	ftc_stmt_run(&comparison_put, FTC_ARGS(CStringGetTextDatum(server), Int32GetDatum(chain->id),
										   CStringGetTextDatum(f.outcome), Int64GetDatum(f.height),
										   Int64GetDatum(found->n), Int64GetDatum(taken),
										   Int64GetDatum(asked.calls), Int64GetDatum(asked.bytes)), nulls);
}

void
ftc_compare_failed(const char *server, const FtcChain *chain)
{
	static const bool nulls[8] = {false, false, false, true, true, true, true, true};

	ftc_stmt_run(&comparison_put, FTC_ARGS(CStringGetTextDatum(server), Int32GetDatum(chain->id),
										   CStringGetTextDatum("failed"), 0, 0, 0, 0, 0), nulls);
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

void
ftc_compare_need(const char *server, const char *name)
{
	if (server == NULL)
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("\"server\" must not be null"));
	if (IsTransactionBlock())
		ereport(ERROR,
				errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				errmsg("cannot run \"%s\" inside a transaction block", name),
				errhint("Call it by itself, outside BEGIN."));
}

static void
return_finding(ReturnSetInfo *rsinfo, const FtcComparison *asked, const Finding *f)
{
	Datum		values[9] = {CStringGetTextDatum(asked->chain->name), CStringGetTextDatum(f->outcome),
		Int64GetDatum(f->height), ftc_hash_datum(&f->here), ftc_hash_datum(&f->there), Int64GetDatum(f->entry),
		f->detail == NULL ? (Datum) 0 : CStringGetTextDatum(f->detail), Int64GetDatum(asked->calls),
	Int64GetDatum(asked->bytes)};
	bool		nulls[9] = {false, false, f->height < 0, ftc_hash_is_zero(&f->here), ftc_hash_is_zero(&f->there),
	f->entry == 0, f->detail == NULL, false, false};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* It asks a peer and waits for it, so nothing else may be held meanwhile. */
Datum
ftchain_compare(PG_FUNCTION_ARGS)
{
	char	   *server = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *name = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool		deep = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	Oid			caller = GetUserId();
	FtcScope	scope;
	FtcComparison asked;
	List	   *chains;
	List	   *volatile findings = NIL;
	ListCell   *cell;
	ListCell   *other;

	ftc_compare_need(server, "ftchain.compare");
	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	chains = ftc_chain_list_named(name);
	ftc_compare_open(&asked, server, caller);
	PG_TRY();
	{
		foreach(cell, chains)
		{
			Finding    *f = palloc0(sizeof(Finding));

			compare_chain(&asked, lfirst(cell), deep, f);
			return_finding((ReturnSetInfo *) fcinfo->resultinfo, &asked, f);
			findings = lappend(findings, f);
		}
	}
	PG_FINALLY();
	{
		ftc_compare_close(&asked);
	}
	PG_END_TRY();
	forboth(cell, chains, other, findings)
		settle(&asked, lfirst(cell), lfirst(other));
	ftc_leave(&scope);
	return (Datum) 0;
}

/*-------------------------------------------------------------------------
 *
 * safety.c
 *	  Copies of bodies: who has one, how surely, and whether they are enough.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "branch.h"
#include "clock.h"
#include "datum.h"
#include "guc.h"
#include "identity.h"
#include "place.h"
#include "safety.h"
#include "sharding.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_copies);

#define HEIGHTS_AT_ONCE 500

/* Proofs of all copies take some rounds of challenges. */
#define FRESH_LEAST_US (USECS_PER_DAY)
#define FRESH_INTERVALS 10000

static FtcStmt stating_members = {
	.sql = "SELECT r.member FROM ftchain.replica r WHERE r.block = $1 AND NOT EXISTS"
	" (SELECT FROM ftchain.copy c WHERE c.block = r.block AND c.member = r.member AND c.shard < 0 AND c.lost IS NOT NULL)",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt blocks_with_bodies = {
	.sql = "SELECT m.height, m.block FROM ftchain.main_chain m WHERE m.chain = $1 AND m.height BETWEEN $2 AND $3"
	" AND EXISTS (SELECT FROM ftchain.block_bundle b WHERE b.block = m.block) ORDER BY m.height",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
};

static FtcStmt copies_known = {
	.sql = "SELECT r.member, r.stated, c.proved, c.asked, c.lost, c.reason, r.number"
	" FROM (SELECT coalesce(k.member, s.member) AS member, coalesce(k.stated, s.stated) AS stated,"
	" CASE WHEN k.member IS NULL THEN s.number END AS number, CASE WHEN k.member IS NULL THEN s.head END AS head"
	" FROM (SELECT * FROM ftchain.replica WHERE block = $1) k"
	" FULL JOIN (SELECT DISTINCT ON (member) * FROM ftchain.shard_copy WHERE block = $1 ORDER BY member, stated DESC) s"
	" ON s.member = k.member) r"
	" LEFT JOIN (SELECT * FROM ftchain.copy WHERE block = $1) c ON c.member = r.member AND c.shard = coalesce(r.number, -1) AND c.head = coalesce(r.head, '')",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* Whoever has not acknowledged our announcement of a block may not know it yet. */
static FtcStmt links_acked = {
	.sql = "SELECT member, acked FROM ftchain.link_out WHERE chain = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt announced_at = {
	.sql = "SELECT reference, max(seq) FROM ftchain.outbox WHERE chain = $1 AND kind = 1"
	" AND seq > (SELECT min(acked) FROM ftchain.link_out WHERE chain = $1) GROUP BY 1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

uint64
ftc_safety_fresh(void)
{
	return Max(FRESH_LEAST_US, (uint64) ftc_guc_proof_interval * 1000 * FRESH_INTERVALS);
}

uint32
ftc_safety_copies(const FtcChain *chain, const FtcState *state, const FtcHash *block)
{
	FtcIdentity self;
	bool		somebody = ftc_identity_load(&self);
	uint32		whole = ftc_store_has_body(block) ? 1 : 0;
	uint64		n = ftc_run(&stating_members, ftc_hash_datum(block));

	for (uint64 i = 0; i < n; i++)
	{
		FtcHash		member = ftc_hash_value(i, 0);

		if (!(somebody && ftc_hash_equal(&member, &self.member)) && ftc_state_find(state, &member) != NULL)
			whole++;
	}
	/* who has it whole, and a shard of it, is one that may be lost */
	return whole + ftc_shards_copies(state, block, somebody && ftc_store_has_body(block) ? &self.member : NULL);
}

uint32
ftc_safety_wanted(const FtcState *state)
{
	uint32		possible = 0;

	for (uint32 i = 0; i < state->nmembers; i++)
		possible += state->members[i].weight > 0 || (state->members[i].flags & FTC_MEMBER_FULL) != 0;
	return ftc_copies_needed(state->params.durability, Max(possible, 1));
}

void
ftc_safety_need(const FtcChain *chain, const FtcHash *block, int64 seq)
{
	FtcState   *state = ftc_branch_current_state(chain->id);
	uint32		wanted = ftc_safety_wanted(state);
	uint32		copies;

	/* what is to be proved is here */
	if (wanted <= 1)
		return;
	copies = ftc_safety_copies(chain, state, block);
	if (copies < wanted)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("entry %lld of chain \"%s\" is not safe yet", (long long) seq, chain->name),
				errdetail("The chain wants %u copies of it to be stored, and %u are known to be.", wanted, copies),
				errhint("Wait for them with ftchain.wait_for(..., copies => %u); see the view ftchain.copies.", wanted));
}

/* ----------------------------------------------------------------
 *		How each copy is
 * ----------------------------------------------------------------
 */

/* A copy, and when what became of it; 0: not yet. */
typedef struct Copy
{
	FtcHash		member;
	FtcCopyFacts facts;
	TimestampTz stated;
	TimestampTz proved;
	TimestampTz asked;
	TimestampTz lost;
	char	   *reason;
	int32		shard;			/* -1: whole */
} Copy;

/* Where in the outbox a block was last announced. */
typedef struct Announced
{
	FtcHash		block;
	int64		at;
} Announced;

typedef struct Listing
{
	ReturnSetInfo *rsinfo;
	const FtcState *state;
	FtcHash		self;
	FtcHash    *linked;			/* members that are told of blocks */
	int64	   *acked;			/* up to where they were */
	uint64		nlinked;
	Announced  *announced;		/* blocks that somebody may not know, in order */
	uint64		nannounced;
} Listing;

/* By the block, which comes first in it. */
static int
compare_announced(const void *a, const void *b)
{
	return memcmp(a, b, FTC_HASH_LEN);
}

static void
read_links(Listing *l, int32 chain)
{
	l->nlinked = ftc_run(&links_acked, Int32GetDatum(chain));
	l->linked = palloc(Max(l->nlinked, 1) * sizeof(FtcHash));
	l->acked = palloc(Max(l->nlinked, 1) * sizeof(int64));
	for (uint64 i = 0; i < l->nlinked; i++)
	{
		l->linked[i] = ftc_hash_value(i, 0);
		l->acked[i] = DatumGetInt64(ftc_value(i, 1));
	}
	l->nannounced = ftc_run(&announced_at, Int32GetDatum(chain));
	l->announced = palloc_extended(Max(l->nannounced, 1) * sizeof(Announced), MCXT_ALLOC_HUGE);
	for (uint64 i = 0; i < l->nannounced; i++)
	{
		l->announced[i].block = ftc_hash_value(i, 0);
		l->announced[i].at = DatumGetInt64(ftc_value(i, 1));
	}
	qsort(l->announced, l->nannounced, sizeof(Announced), compare_announced);
}

static bool
is_sent(const Listing *l, const FtcHash *block, const FtcHash *member)
{
	const Announced *found = bsearch(block, l->announced, l->nannounced, sizeof(Announced), compare_announced);
	int64		at = found != NULL ? found->at : 0;

	for (uint64 i = 0; i < l->nlinked; i++)
		if (ftc_hash_equal(&l->linked[i], member))
			return l->acked[i] >= at;
	return false;
}

static TimestampTz
time_value(uint64 row, int column)
{
	bool		isnull;
	Datum		value = ftc_column(row, column, &isnull);

	return isnull ? 0 : DatumGetTimestampTz(value);
}

/* -1 if it is null */
static int32
int_value(uint64 row, int column)
{
	bool		isnull;
	Datum		value = ftc_column(row, column, &isnull);

	return isnull ? -1 : DatumGetInt32(value);
}

/* The place of a member among the copies, which have room. */
static Copy *
copy_of(Copy *copies, int *n, const FtcHash *member)
{
	for (int i = 0; i < *n; i++)
		if (ftc_hash_equal(&copies[i].member, member))
			return &copies[i];
	memset(&copies[*n], 0, sizeof(Copy));
	copies[*n].member = *member;
	copies[*n].shard = -1;
	return &copies[(*n)++];
}

static int
collect(const Listing *l, const FtcHash *block, Copy **copies)
{
	uint64		known = ftc_run(&copies_known, ftc_hash_datum(block));
	uint32	   *owners;
	uint32		nowners = ftc_place_owners(l->state, block, &owners);
	int			n = 0;

	*copies = palloc((known + l->state->nmembers + 1) * sizeof(Copy));
	for (uint32 i = 0; i < nowners; i++)
		copy_of(*copies, &n, &l->state->members[owners[i]].id)->facts.owned = true;
	for (uint32 i = 0; i < l->state->nmembers; i++)
		if ((l->state->members[i].flags & FTC_MEMBER_FULL) != 0)
			copy_of(*copies, &n, &l->state->members[i].id)->facts.owned = true;
	for (uint64 i = 0; i < known; i++)
	{
		FtcHash		member = ftc_hash_value(i, 0);
		Copy	   *copy = copy_of(*copies, &n, &member);
		bool		isnull;
		Datum		reason = ftc_column(i, 5, &isnull);

		copy->stated = time_value(i, 1);
		copy->proved = time_value(i, 2);
		copy->asked = time_value(i, 3);
		copy->lost = time_value(i, 4);
		copy->reason = isnull ? NULL : TextDatumGetCString(reason);
		copy->shard = int_value(i, 6);
		copy->facts.stated = copy->stated != 0;
		copy->facts.lost = copy->lost != 0;
		copy->facts.proved_at = (uint64) Max(copy->proved, 0);
	}
	for (int i = 0; i < n; i++)
		(*copies)[i].facts.sent = ftc_hash_equal(&(*copies)[i].member, &l->self) || is_sent(l, block, &(*copies)[i].member);
	return n;
}

static void
put_copy(const Listing *l, int64 height, const FtcHash *block, const Copy *copy)
{
	const FtcMember *member = ftc_state_find(l->state, &copy->member);
	FtcCopyState state = ftc_copy_state(&copy->facts, (uint64) GetCurrentTimestamp(), ftc_safety_fresh());
	Datum		values[11] = {Int64GetDatum(height), ftc_hash_datum(block), ftc_hash_datum(&copy->member)};
	bool		nulls[11] = {false};

	values[10] = Int32GetDatum(copy->shard);
	nulls[10] = copy->shard < 0;
	nulls[3] = member == NULL;
	if (member != NULL)
		values[3] = PointerGetDatum(ftc_slice_text(member->name));
	values[4] = BoolGetDatum(copy->facts.owned);
	values[5] = CStringGetTextDatum(ftc_copy_state_name(state));
	values[6] = TimestampTzGetDatum(copy->stated);
	values[7] = TimestampTzGetDatum(copy->proved);
	values[8] = TimestampTzGetDatum(copy->lost);
	nulls[6] = copy->stated == 0;
	nulls[7] = copy->proved == 0;
	nulls[8] = copy->lost == 0;
	nulls[9] = copy->lost == 0 || copy->reason == NULL;
	if (!nulls[9])
		values[9] = CStringGetTextDatum(copy->reason);
	tuplestore_putvalues(l->rsinfo->setResult, l->rsinfo->setDesc, values, nulls);
}

static void
put_copies_of(const Listing *l, int64 height, const FtcHash *block)
{
	MemoryContext outer = ftc_nest();
	Copy	   *copies;
	int			n = collect(l, block, &copies);

	for (int i = 0; i < n; i++)
		put_copy(l, height, block, &copies[i]);
	ftc_unnest(outer);
	CHECK_FOR_INTERRUPTS();
}

static void
list_copies(Listing *l, const FtcChain *chain, int64 from, int64 to)
{
	for (int64 at = from; at <= to; at += HEIGHTS_AT_ONCE)
	{
		MemoryContext outer = ftc_nest();
		uint64		n = ftc_run(&blocks_with_bodies, Int32GetDatum(chain->id), Int64GetDatum(at),
								Int64GetDatum(Min(at + HEIGHTS_AT_ONCE - 1, to)));
		FtcHash    *blocks = palloc(Max(n, 1) * sizeof(FtcHash));
		int64	   *heights = palloc(Max(n, 1) * sizeof(int64));

		for (uint64 i = 0; i < n; i++)
		{
			heights[i] = DatumGetInt64(ftc_value(i, 0));
			blocks[i] = ftc_hash_value(i, 1);
		}
		for (uint64 i = 0; i < n; i++)
			put_copies_of(l, heights[i], &blocks[i]);
		ftc_unnest(outer);
	}
}

Datum
ftchain_copies(PG_FUNCTION_ARGS)
{
	char	   *name = ftc_place_chain_arg(fcinfo);
	Listing		l = {.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo};
	FtcScope	scope;
	FtcChain	chain;
	FtcIdentity self;
	int64		head;

	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	ftc_freeze();
	l.state = ftc_place_state(&chain, name);
	if (ftc_identity_load(&self))
		l.self = self.member;
	read_links(&l, chain.id);
	head = ftc_store_main_height(chain.id);
	list_copies(&l, &chain, PG_ARGISNULL(1) ? 0 : Max(PG_GETARG_INT64(1), 0),
				PG_ARGISNULL(2) ? head : Min(PG_GETARG_INT64(2), head));
	ftc_thaw();
	ftc_leave(&scope);
	return (Datum) 0;
}

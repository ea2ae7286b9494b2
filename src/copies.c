/*-------------------------------------------------------------------------
 *
 * copies.c
 *	  Who stores what, by height: digests of it, and comparing it with a peer.
 *
 * Statements and words may get lost on their way: a link that restarts does not
 * replay, a table may be damaged, and not all members are peers.  So members compare
 * now and then what they know: for each height of the main chain, who has signed that
 * he stores the body, and his last word since.  Each takes what it lacks; a statement
 * gives way to a later word of the same member only.
 *
 * A digest over 256 heights that change no more is kept in a table, so that
 * comparing ten million takes no longer than the three questions; what changes
 * one deletes it, under the lock of the chain, under which it was made, too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "copies.h"
#include "core/sha256.h"
#include "datum.h"
#include "inbox.h"
#include "receive.h"
#include "stmt.h"
#include "store.h"
#include "words.h"

PG_FUNCTION_INFO_V1(ftchain_peer_copies);
PG_FUNCTION_INFO_V1(ftchain_compare_copies);

#define SPAN 256				/* heights of a node of level 1 */
#define SETTLED 512				/* heights below the head are summed up */
#define SUMS_AT_ONCE 64			/* nodes, in a transaction */
#define LIVE_MAX 4096			/* nodes of level 1 that an answer may sum up
								 * itself */
#define DIFFERENCES_MAX 10000	/* that one comparison goes into */
#define STATEMENTS_BYTES (4 * 1024 * 1024)	/* of statements, taken at a time */
#define IN_VAIN_MAX 100			/* heights in a row of which it says to know
								 * more, and does not */

/* Of blocks that somebody stores, or once did: the block, who, and their words since, which is what digests are over. */
static FtcStmt leaves_of = {
	.sql = "SELECT m.height, sha256(m.block || coalesce(s.said, '') || coalesce(w.said, '')) FROM ftchain.main_chain m,"
	" LATERAL (SELECT string_agg(r.member, '' ORDER BY r.member) AS said FROM"
	" (SELECT member FROM ftchain.replica WHERE block = m.block"
	" UNION ALL SELECT member FROM ftchain.withdrawn WHERE block = m.block) r) s,"
	" LATERAL (SELECT string_agg(bytes, '' ORDER BY member) AS said FROM ftchain.word WHERE block = m.block) w"
	" WHERE m.chain = $1 AND m.height BETWEEN $2 AND $3 AND (s.said IS NOT NULL OR w.said IS NOT NULL) ORDER BY m.height",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
	.by_index = true,
};

static FtcStmt digests_of = {
	.sql = "SELECT span, digest FROM ftchain.copies_digest WHERE chain = $1 AND span BETWEEN $2 AND $3 ORDER BY span",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
};

static FtcStmt digest_put = {
	.sql = "INSERT INTO ftchain.copies_digest (chain, span, digest) VALUES ($1, $2, $3) ON CONFLICT (chain, span)"
	" DO UPDATE SET digest = $3",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, BYTEAOID},
};

static FtcStmt digest_drop = {
	.sql = "DELETE FROM ftchain.copies_digest d USING ftchain.block b WHERE b.id = $2 AND d.chain = $1 AND d.span = b.height / 256",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt digests_drop = {
	.sql = "DELETE FROM ftchain.copies_digest WHERE chain = $1 AND span >= $2 / 256",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

/* The lowest of which there is none. */
static FtcStmt first_missing = {
	.sql = "SELECT s FROM generate_series($2, $3) s WHERE NOT EXISTS"
	" (SELECT FROM ftchain.copies_digest d WHERE d.chain = $1 AND d.span = s) LIMIT 1",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
};

static FtcStmt said_of = {
	.sql = FTC_SAID_OF("$1"),
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* ----------------------------------------------------------------
 *		Digests
 * ----------------------------------------------------------------
 */

void
ftc_copies_changed(int32 chain, const FtcHash *block)
{
	ftc_run(&digest_drop, Int32GetDatum(chain), ftc_hash_datum(block));
}

void
ftc_copies_forget(int32 chain, int64 from)
{
	ftc_run(&digests_drop, Int32GetDatum(chain), Int64GetDatum(from));
}

/* The heights of a node of level 1, up to one. */
static FtcSlice
read_leaves(const FtcChain *chain, int64 span, int64 head, uint8 *buf)
{
	FtcRangeNode node = {1, (uint64) span};
	FtcRanges	ranges;
	uint64		n = ftc_run(&leaves_of, Int32GetDatum(chain->id), Int64GetDatum(span * SPAN),
							Int64GetDatum(Min(span * SPAN + SPAN - 1, head)));

	ftc_ranges_begin(&ranges, &node, buf);
	for (uint64 i = 0; i < n; i++)
	{
		FtcHash		leaf = ftc_hash_value(i, 1);

		ftc_ranges_add(&ranges, (uint64) DatumGetInt64(ftc_value(i, 0)), &leaf);
	}
	SPI_freetuptable(SPI_tuptable);
	return ftc_ranges_end(&ranges);
}

/* Its digest; false if there is nothing in it. */
static bool
sum_up(const FtcChain *chain, int64 span, int64 head, FtcHash *digest)
{
	uint8		buf[FTC_RANGES_ANSWER_MAX];
	FtcSlice	leaves = read_leaves(chain, span, head, buf);

	*digest = ftc_ranges_digest(leaves);
	return leaves.len > 0;
}

bool
ftc_copies_sum_up(const FtcChain *chain)
{
	int64		last = (ftc_store_main_height(chain->id) - SETTLED) / SPAN - 1;
	int64		span;

	if (last < 0 || ftc_run(&first_missing, Int32GetDatum(chain->id), Int64GetDatum(0), Int64GetDatum(last)) == 0)
		return false;
	span = DatumGetInt64(ftc_value(0, 0));
	ftc_chain_lock(chain->id);
	for (int i = 0; i < SUMS_AT_ONCE && span <= last; i++, span++)
	{
		MemoryContext outer = ftc_nest();
		FtcHash		digest;
		bool		any = sum_up(chain, span, PG_INT64_MAX, &digest);

		ftc_run(&digest_put, Int32GetDatum(chain->id), Int64GetDatum(span),
				any ? ftc_hash_datum(&digest) : ftc_slice_datum(ftc_slice(NULL, 0)));
		ftc_unnest(outer);
	}
	return span <= last;
}

/* ----------------------------------------------------------------
 *		An answer
 * ----------------------------------------------------------------
 */

/* Nodes of level 1 from those that are kept; those that are not are summed up. */
typedef struct Summing
{
	const FtcChain *chain;
	FtcRanges	ranges;
	int64		head;
	int			live;			/* that were not kept */
} Summing;

static void
add_live(Summing *s, int64 from, int64 to)
{
	for (int64 span = from; span <= to; span++)
	{
		MemoryContext outer = ftc_nest();
		FtcHash		digest;

		if (++s->live > LIVE_MAX)
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("what members store has not been summed up yet"),
					errhint("The keeper does that by itself; try again later."));
		if (sum_up(s->chain, span, s->head, &digest))
			ftc_ranges_add_node(&s->ranges, 1, (uint64) span, &digest);
		ftc_unnest(outer);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
add_kept(Summing *s, int64 from, int64 to)
{
	/* one that the head cuts is not what is kept of it */
	int64		last = Min(to, (s->head + 1) / SPAN - 1);
	uint64		n = from > last ? 0 : ftc_run(&digests_of, Int32GetDatum(s->chain->id), Int64GetDatum(from), Int64GetDatum(last));
	SPITupleTable *rows = SPI_tuptable;
	int64		next = from;

	for (uint64 i = 0; i < n; i++)
	{
		int64		span;
		FtcSlice	digest;
		FtcHash		hash;

		SPI_tuptable = rows;
		span = DatumGetInt64(ftc_value(i, 0));
		digest = ftc_slice_value(i, 1);
		add_live(s, next, span - 1);
		if (digest.len == FTC_HASH_LEN)
		{
			memcpy(hash.b, digest.data, FTC_HASH_LEN);
			ftc_ranges_add_node(&s->ranges, 1, (uint64) span, &hash);
		}
		next = span + 1;
	}
	add_live(s, next, to);
}

/* The children of a node, of heights up to head. */
static FtcSlice
answer(const FtcChain *chain, const FtcRangeNode *node, int64 head, uint8 *buf)
{
	Summing		s = {.chain = chain,.head = Min(head, ftc_store_main_height(chain->id))};
	int64		first = (int64) ftc_ranges_first(node);
	int64		last = (int64) Min(ftc_ranges_last(node), (uint64) Max(s.head, 0));

	ftc_ranges_begin(&s.ranges, node, buf);
	if (s.head < 0 || first > last)
		return ftc_ranges_end(&s.ranges);
	if (node->level == 1)
		return read_leaves(chain, (int64) node->index, s.head, buf);
	add_kept(&s, first / SPAN, last / SPAN);
	return ftc_ranges_end(&s.ranges);
}

static int
read_nodes(Datum array, int level, FtcRangeNode *nodes)
{
	ArrayType  *indexes = DatumGetArrayTypeP(array);
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(indexes, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values, &nulls, &n);
	if (level < 1 || level > FTC_RANGES_LEVELS)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("level is out of range: %d", level),
				errdetail("It may be from 1 to %d.", FTC_RANGES_LEVELS));
	if (n < 1 || n > FTC_RANGES_AT_ONCE)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("a question is about 1 to %d nodes, not %d", FTC_RANGES_AT_ONCE, n));
	for (int i = 0; i < n; i++)
	{
		nodes[i].level = level;
		nodes[i].index = nulls[i] ? 0 : (uint64) DatumGetInt64(values[i]);
		if (nulls[i] || DatumGetInt64(values[i]) < 0 || nodes[i].index > (UINT64_MAX >> 1) >> (8 * Min(level, 7)))
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("node %d is none of level %d", i + 1, level));
	}
	return n;
}

Datum
ftchain_peer_copies(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	FtcRangeNode nodes[FTC_RANGES_AT_ONCE];
	FtcScope	scope;
	FtcChain	chain;
	FtcHash		genesis;
	uint8	   *buf = palloc(FTC_RANGES_ANSWER_MAX);
	int			n;

	ftc_serve_need_not_null(fcinfo);
	genesis = ftc_arg_hash(PG_GETARG_DATUM(0), "genesis");
	n = read_nodes(PG_GETARG_DATUM(2), PG_GETARG_INT32(1), nodes);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	ftc_enter(&scope);
	ftc_serve_need_chain(&chain, &genesis);
	ftc_freeze();
	for (int i = 0; i < n; i++)
	{
		Datum		values[1] = {ftc_slice_datum(answer(&chain, &nodes[i], PG_GETARG_INT64(3), buf))};
		bool		nulls[1] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	ftc_thaw();
	ftc_leave(&scope);
	return (Datum) 0;
}

/* ----------------------------------------------------------------
 *		A comparison
 * ----------------------------------------------------------------
 */

typedef struct Differences
{
	int64	   *heights;
	int			n;
} Differences;

static void
note_difference(void *arg, uint64 height, const FtcHash *mine, const FtcHash *theirs)
{
	Differences *d = arg;

	if (d->n < DIFFERENCES_MAX)
		d->heights[d->n++] = (int64) height;
}

/* Ask for these nodes, and compare the answers with our own. */
static void
ask_nodes(FtcComparison *asked, FtcRangeSearch *search, const FtcRangeNode *nodes, int n, Differences *d)
{
	FtcPeerArgs args = {0};
	struct pg_result *result;
	FtcReason	reason = FTC_OK;
	uint8	   *buf = palloc(FTC_RANGES_ANSWER_MAX);
	StringInfoData indexes;

	initStringInfo(&indexes);
	for (int i = 0; i < n; i++)
		appendStringInfo(&indexes, "%s" UINT64_FORMAT, i == 0 ? "{" : ",", nodes[i].index);
	appendStringInfoChar(&indexes, '}');
	ftc_peer_arg_bytes(&args, ftc_slice(asked->chain->genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_int(&args, nodes[0].level);
	ftc_peer_arg_text(&args, indexes.data);
	ftc_peer_arg_int(&args, asked->common);
	result = ftc_compare_ask(asked, FTC_CALL_COPIES, &args);
	if (ftc_peer_rows(result) != n)
		reason = FTC_BAD_LENGTH;
	ftc_freeze();
	for (int i = 0; i < n && reason == FTC_OK; i++)
	{
		FtcSlice	mine = answer(asked->chain, &nodes[i], asked->common, buf);

		reason = ftc_ranges_take(search, &nodes[i], mine, ftc_peer_bytes(result, i, 0), note_difference, d);
	}
	ftc_thaw();
	ftc_peer_clear(result);
	if (reason != FTC_OK)
		ftc_refuse(reason, "answer about what members store");
}

/* What members have said about a block, as it is known here. */
static FtcSlice
known_of(const FtcHash *block)
{
	bool		isnull;
	Datum		said;

	ftc_run(&said_of, ftc_hash_datum(block));
	said = ftc_column(0, 0, &isnull);
	return isnull ? ftc_slice(NULL, 0) : ftc_datum_slice(said);
}

static bool
is_same(FtcSlice a, FtcSlice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* What the peer knows of one block that is on both main chains. */
typedef struct FtcCopiesKnown
{
	FtcHash		block;
	FtcSlice	statements;		/* none: nothing */
} FtcCopiesKnown;

static void
ask_statements(FtcComparison *asked, int64 height, FtcCopiesKnown *known, MemoryContext context)
{
	FtcPeerArgs args = {0};
	struct pg_result *result;
	FtcStored	parent;
	FtcStored	block;
	FtcSlice	locator;
	FtcSlice	bytes;

	if (!ftc_store_load_main(asked->chain->id, height - 1, &parent) ||
		!ftc_store_load_main(asked->chain->id, height, &block))
		return;
	locator = ftc_slice(parent.id.b, FTC_HASH_LEN);
	ftc_peer_arg_bytes(&args, ftc_slice(asked->chain->genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_array(&args, &locator, 1);
	ftc_peer_arg_int(&args, 1);
	result = ftc_compare_ask(asked, FTC_CALL_BLOCKS, &args);
	known->block = block.id;
	if (ftc_peer_rows(result) == 1 && !ftc_peer_is_null(result, 0, 1))
	{
		bytes = ftc_peer_bytes(result, 0, 1);
		known->statements = ftc_slice(memcpy(MemoryContextAlloc(context, bytes.len + 1), bytes.data, bytes.len), bytes.len);
	}
	ftc_peer_clear(result);
}

static void
find_differences(FtcComparison *asked, Differences *d)
{
	FtcRangeSearch search;
	FtcRangeNode nodes[FTC_RANGES_AT_ONCE];
	int			n;

	ftc_ranges_search(&search, palloc(FTC_RANGES_STACK * sizeof(FtcRangeNode)), (uint64) asked->common);
	while (d->n < DIFFERENCES_MAX && (n = ftc_ranges_next(&search, nodes)) > 0)
	{
		MemoryContext outer = ftc_nest();

		ask_nodes(asked, &search, nodes, n, d);
		ftc_unnest(outer);
		CHECK_FOR_INTERRUPTS();
	}
}

FtcCopiesFound *
ftc_copies_compare(FtcComparison *asked)
{
	FtcCopiesFound *found = palloc0(sizeof(FtcCopiesFound));
	Differences d = {.heights = palloc(DIFFERENCES_MAX * sizeof(int64))};
	MemoryContext context = CurrentMemoryContext;
	size_t		bytes = 0;

	found->chain = asked->chain;
	if (asked->common < 1)
		return found;
	find_differences(asked, &d);
	found->n = d.n;
	found->known = palloc0(Max(d.n, 1) * sizeof(FtcCopiesKnown));
	while (found->nknown < d.n && bytes < STATEMENTS_BYTES)
	{
		MemoryContext outer = ftc_nest();
		FtcCopiesKnown *known = &found->known[found->nknown];

		ask_statements(asked, d.heights[found->nknown++], known, context);
		bytes += known->statements.len;
		ftc_unnest(outer);
		CHECK_FOR_INTERRUPTS();
	}
	return found;
}

int64
ftc_copies_take(const FtcCopiesFound *found)
{
	int64		taken = 0;
	int			in_vain = 0;

	if (found->nknown > 0)
		ftc_chain_lock(found->chain->id);
	for (int64 i = 0; i < found->nknown && in_vain < IN_VAIN_MAX; i++)
	{
		MemoryContext outer = ftc_nest();
		const FtcCopiesKnown *known = &found->known[i];
		FtcSlice	before = known_of(&known->block);

		(void) ftc_inbox_statements(found->chain, &known->block, known->statements);
		if (!is_same(known_of(&known->block), before))
		{
			taken++;
			in_vain = 0;
		}
		else if (known->statements.len > before.len)
			in_vain++;
		ftc_unnest(outer);
	}
	return taken;
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

/* What came of one chain, and what it took up to then. */
typedef struct Compared
{
	FtcCopiesFound *found;
	int64		calls;
	int64		bytes;
} Compared;

static Compared *
compare_one(FtcComparison *asked, const FtcChain *chain)
{
	Compared   *c = palloc(sizeof(Compared));

	ftc_compare_chain(asked, chain);
	c->found = ftc_copies_compare(asked);
	c->calls = asked->calls;
	c->bytes = asked->bytes;
	return c;
}

static void
take_and_return(ReturnSetInfo *rsinfo, const Compared *c)
{
	int64		taken = ftc_copies_take(c->found);
	Datum		values[5] = {CStringGetTextDatum(c->found->chain->name), Int64GetDatum(c->found->n), Int64GetDatum(taken),
	Int64GetDatum(c->calls), Int64GetDatum(c->bytes)};
	bool		nulls[5] = {false};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* It asks a peer and waits for it, so nothing else may be held meanwhile. */
Datum
ftchain_compare_copies(PG_FUNCTION_ARGS)
{
	char	   *server = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *name = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid			caller = GetUserId();
	FtcScope	scope;
	FtcComparison asked;
	List	   *volatile all = NIL;
	ListCell   *cell;

	ftc_compare_need(server, "ftchain.compare_copies");
	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	ftc_compare_open(&asked, server, caller);
	PG_TRY();
	{
		foreach(cell, ftc_chain_list_named(name))
			all = lappend(all, compare_one(&asked, lfirst(cell)));
	}
	PG_FINALLY();
	{
		ftc_compare_close(&asked);
	}
	PG_END_TRY();
	foreach(cell, all)
		take_and_return((ReturnSetInfo *) fcinfo->resultinfo, lfirst(cell));
	ftc_leave(&scope);
	return (Datum) 0;
}

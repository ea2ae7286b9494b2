/*-------------------------------------------------------------------------
 *
 * fetch.c
 *	  Bodies that come in chunks, until they are whole.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "clock.h"
#include "core/sha256.h"
#include "datum.h"
#include "failpoint.h"
#include "fetch.h"
#include "guc.h"
#include "inbox.h"
#include "memory.h"
#include "step.h"
#include "stmt.h"
#include "wake.h"

#define LOOK 16					/* at bodies */
#define JOIN_AFTER "2 s"		/* then others than the leader are asked, too */
#define STALLED_AFTER "10 s"	/* then another one leads, if only one may */
#define EVICTED_AFTER "1 min"	/* then it is dropped, if there is no room */
#define PUT_OFF "10 s"			/* what could not be taken: others have their
								 * turn */

/* Those that a member may be asked for. */
static FtcStmt fetches_of = {
	.sql = "SELECT f.block, f.total, f.alone AND f.leader <> $2, w.moved FROM ftchain.fetch f"
	" JOIN ftchain.wanted w ON w.block = f.block,"
	" LATERAL (SELECT greatest(f.since, max(h.came)) AS came FROM ftchain.chunk h"
	" WHERE h.block = f.block AND h.total = f.total AND h.bytes IS NOT NULL) p"
	" WHERE f.chain = $1 AND f.whole IS NULL AND (NOT w.moved OR $3)"
	" AND CASE WHEN f.alone THEN f.leader IN ($2, '') OR p.came < now() - interval '" STALLED_AFTER "'"
	" ELSE f.leader = $2 OR f.since < now() - interval '" JOIN_AFTER "' END"
	" AND NOT EXISTS (SELECT FROM ftchain.wrong_body b WHERE b.block = f.block AND b.member = $2"
	" AND b.refused > now() - interval '" FTC_WRONG_FOR "')"
	" ORDER BY w.height, f.since LIMIT " CppAsString2(LOOK),
	.nargs = 3,
	.argtypes = {INT4OID, BYTEAOID, BOOLOID},
};

static FtcStmt fetch_has = {
	.sql = "SELECT FROM ftchain.fetch WHERE block = $1 AND total = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT8OID},
};

/* Whoever checks it has locked it: nobody waits for that. */
static FtcStmt fetch_lock = {
	.sql = "SELECT whole IS NULL AND (NOT alone OR leader = $3) FROM ftchain.fetch"
	" WHERE block = $1 AND total = $2 FOR UPDATE SKIP LOCKED",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT8OID, BYTEAOID},
};

/*
 * There is room for one whatever its size.  No member has more than half of the rest,
 * or one that begins and never ends would keep out what others have.
 */
static FtcStmt fetch_open = {
	.sql = "INSERT INTO ftchain.fetch (block, total, chain, encoding, leader)"
	" SELECT $1, $2, $3, $4, $5 FROM"
	" (SELECT coalesce(sum(total), 0) AS held, coalesce(sum(total) FILTER (WHERE leader = $5), 0) AS of_leader"
	" FROM ftchain.fetch) AS s"
	" WHERE s.held = 0 OR (s.held + $2 <= $6 AND (s.of_leader = 0 OR s.of_leader + $2 <= $6 / 2))"
	" ON CONFLICT DO NOTHING",
	.nargs = 6,
	.argtypes = {BYTEAOID, INT8OID, INT4OID, INT2OID, BYTEAOID, INT8OID},
};

static FtcStmt is_wanted = {
	.sql = "SELECT FROM ftchain.wanted WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt fetch_is_whole = {
	.sql = "UPDATE ftchain.fetch SET whole = now() WHERE block = $1 AND total = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT8OID},
};

static FtcStmt fetch_lead = {
	.sql = "UPDATE ftchain.fetch SET leader = $3, since = now() WHERE block = $1 AND total = $2",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT8OID, BYTEAOID},
};

/* Again, and of one member only. */
static FtcStmt fetch_again = {
	.sql = "UPDATE ftchain.fetch SET alone = true, leader = '', since = now(), whole = NULL"
	" WHERE block = $1 AND total = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT8OID},
};

static FtcStmt fetch_drop = {
	.sql = "DELETE FROM ftchain.fetch WHERE block = $1 AND (total = $2 OR $3)",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT8OID, BOOLOID},
};

static FtcStmt chunks_of = {
	.sql = "SELECT \"at\", size FROM ftchain.chunk WHERE block = $1 AND total = $2 AND bytes IS NOT NULL ORDER BY \"at\"",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT8OID},
};

static FtcStmt chunk_bytes = {
	.sql = "SELECT bytes FROM ftchain.chunk WHERE block = $1 AND total = $2 AND \"at\" = $3 AND bytes IS NOT NULL",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT8OID, INT8OID},
};

static FtcStmt chunk_put = {
	.sql = "INSERT INTO ftchain.chunk (block, total, \"at\", size, source, bytes) VALUES ($1, $2, $3, $4, $5, $6)",
	.nargs = 6,
	.argtypes = {BYTEAOID, INT8OID, INT8OID, INT4OID, BYTEAOID, BYTEAOID},
};

static FtcStmt chunks_drop = {
	.sql = "DELETE FROM ftchain.chunk WHERE block = $1 AND ((total = $2 AND bytes IS NOT NULL) OR $3)",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT8OID, BOOLOID},
};

static FtcStmt chunks_doubt = {
	.sql = "UPDATE ftchain.chunk SET digest = sha256(bytes), bytes = NULL"
	" WHERE block = $1 AND total = $2 AND bytes IS NOT NULL",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT8OID},
};

static FtcStmt doubted = {
	.sql = "SELECT \"at\", size, source, digest FROM ftchain.chunk WHERE block = $1 AND bytes IS NULL ORDER BY source, \"at\"",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt sources_of = {
	.sql = "SELECT DISTINCT source FROM ftchain.chunk WHERE block = $1 AND total = $2 AND bytes IS NOT NULL",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT8OID},
};

/* Those who said that it has another length. */
static FtcStmt other_lengths = {
	.sql = "SELECT DISTINCT source FROM ftchain.chunk WHERE block = $1 AND total <> $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT8OID},
};

/*
 * Has that member said that it has another length?  One that is asked alone leads
 * what others have said.
 */
static FtcStmt said_otherwise = {
	.sql = "SELECT FROM ftchain.chunk WHERE block = $1 AND total <> $2 AND source = $3"
	" UNION ALL SELECT FROM ftchain.fetch WHERE block = $1 AND total <> $2 AND leader = $3 AND NOT alone LIMIT 1",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT8OID, BYTEAOID},
};

/* One that does not come on makes room for another. */
static FtcStmt fetch_evict = {
	.sql = "DELETE FROM ftchain.fetch f WHERE f.whole IS NULL AND greatest(f.since, (SELECT max(h.came) FROM ftchain.chunk h"
	" WHERE h.block = f.block AND h.total = f.total)) < now() - interval '" EVICTED_AFTER "'",
};

/* Of which nothing came but what was wrong. */
static FtcStmt fetch_drop_empty = {
	.sql = "DELETE FROM ftchain.fetch f WHERE block = $1 AND total = $2 AND leader = $3 AND NOT EXISTS"
	" (SELECT FROM ftchain.chunk h WHERE h.block = f.block AND h.total = f.total)",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT8OID, BYTEAOID},
};

static FtcStmt wrong_put = {
	.sql = "INSERT INTO ftchain.wrong_body (block, member) VALUES ($1, $2)"
	" ON CONFLICT (block, member) DO UPDATE SET refused = now()",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt next_whole = {
	.sql = "SELECT block, total, chain, alone FROM ftchain.fetch WHERE whole <= now() - $1 * interval '1 ms'"
	" ORDER BY whole LIMIT 1 FOR UPDATE SKIP LOCKED",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt fetch_put_off = {
	.sql = "UPDATE ftchain.fetch SET whole = now() + interval '" PUT_OFF "' WHERE block = $1 AND total = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, INT8OID},
};

static FtcStmt any_whole = {
	.sql = "SELECT FROM ftchain.fetch WHERE whole IS NOT NULL LIMIT 1",
};

static FtcStmt fetch_prune = {
	.sql = "DELETE FROM ftchain.fetch f WHERE NOT EXISTS (SELECT FROM ftchain.wanted w WHERE w.block = f.block)",
};

static FtcStmt chunk_prune = {
	.sql = "DELETE FROM ftchain.chunk h WHERE NOT EXISTS"
	" (SELECT FROM ftchain.fetch f WHERE f.block = h.block AND f.total = h.total)",
};

static FtcStmt wrong_prune = {
	.sql = "DELETE FROM ftchain.wrong_body WHERE refused < now() - interval '" FTC_WRONG_FOR "'",
};

/* ----------------------------------------------------------------
 *		What to ask for
 * ----------------------------------------------------------------
 */

static int
compare_chunks(const void *a, const void *b)
{
	uint64		left = ((const FtcChunk *) a)->at;
	uint64		right = ((const FtcChunk *) b)->at;

	return left < right ? -1 : left > right;
}

/* Those that are here, and room for some more. */
static FtcChunk *
load_chunks(const FtcHash *block, uint64 total, int more, int *n)
{
	FtcChunk   *chunks;

	*n = (int) ftc_run(&chunks_of, ftc_hash_datum(block), Int64GetDatum((int64) total));
	chunks = palloc((*n + more) * sizeof(FtcChunk));
	for (int i = 0; i < *n; i++)
	{
		chunks[i].at = (uint64) DatumGetInt64(ftc_value(i, 0));
		chunks[i].size = (uint64) DatumGetInt32(ftc_value(i, 1));
	}
	return chunks;
}

/* From now on this one leads; what others gave is not to be mixed with it. */
static void
lead(const FtcHash *block, uint64 total, const FtcHash *member)
{
	ftc_run(&chunks_drop, ftc_hash_datum(block), Int64GetDatum((int64) total), BoolGetDatum(false));
	ftc_run(&fetch_lead, ftc_hash_datum(block), Int64GetDatum((int64) total), ftc_hash_datum(member));
}

static bool
is_lacking(const FtcLacks *lacks, const FtcPart *part)
{
	uint64		now = ftc_clock_steady();

	for (int i = 0; i < FTC_LACKS_MANY; i++)
		if (now < lacks[i].until && ftc_hash_equal(&lacks[i].block, &part->block) &&
			(lacks[i].total == 0 || lacks[i].total == part->total))
			return true;
	return false;
}

/* The first gap between what is here and what is under way. */
static bool
find_gap(FtcPart *part, uint64 most, FtcFetchAsked asked, void *arg, int nasked)
{
	int			n;
	FtcChunk   *chunks = load_chunks(&part->block, part->total, nasked, &n);

	n += asked(arg, &part->block, chunks + n);
	qsort(chunks, n, sizeof(FtcChunk), compare_chunks);
	return ftc_chunk_gap(chunks, n, part->total, most, &part->chunk);
}

bool
ftc_fetch_next(const FtcChain *chain, const FtcHash *member, bool moved, uint64 most,
			   const FtcLacks *lacks, FtcFetchAsked asked, void *arg, int nasked, FtcPart *next)
{
	int			n = (int) ftc_run(&fetches_of, Int32GetDatum(chain->id), ftc_hash_datum(member),
								  BoolGetDatum(moved));
	FtcPart		parts[LOOK];
	bool		leads[LOOK];

	for (int i = 0; i < n; i++)
	{
		parts[i].block = ftc_hash_value(i, 0);
		parts[i].total = (uint64) DatumGetInt64(ftc_value(i, 1));
		leads[i] = DatumGetBool(ftc_value(i, 2));
		parts[i].moved = DatumGetBool(ftc_value(i, 3));
	}
	for (int i = 0; i < n; i++)
	{
		*next = parts[i];
		if (is_lacking(lacks, next))
			continue;
		if (leads[i])
			lead(&next->block, next->total, member);
		if (find_gap(next, most, asked, arg, nasked))
			return true;
	}
	return false;
}

/* ----------------------------------------------------------------
 *		What has come
 * ----------------------------------------------------------------
 */

uint64
ftc_fetch_most(const FtcStored *stored)
{
	FtcState   *state = ftc_store_load_state(&stored->header.state);
	uint64		prefix = ftc_chunk_prefix(stored->block.manifest);

	return state->params.max_body > prefix ? state->params.max_body - prefix : 0;
}

static void
blame(const FtcStored *stored, const FtcHash *member, const char *what)
{
	ftc_run(&wrong_put, ftc_hash_datum(&stored->id), ftc_hash_datum(member));
	ftc_store_incident(stored->chain, "refused", (int64) stored->header.height, &stored->id, member, what);
}

static bool
put_fetch(const FtcStored *stored, const FtcHash *member, uint64 total)
{
	return ftc_run(&fetch_open, ftc_hash_datum(&stored->id), Int64GetDatum((int64) total), Int32GetDatum(stored->chain),
				   Int16GetDatum(FTC_ENCODING_ENTRIES), ftc_hash_datum(member),
				   Int64GetDatum((int64) ftc_guc_fetch_limit * 1024 * 1024)) > 0;
}

/* FTC_KEPT: it is locked, and open for a chunk of that member. */
static FtcKept
open_fetch(const FtcStored *stored, const FtcHash *member, uint64 total)
{
	Datum		block = ftc_hash_datum(&stored->id);

	if (ftc_run(&said_otherwise, block, Int64GetDatum((int64) total), ftc_hash_datum(member)) > 0)
	{
		blame(stored, member, "body: it says two lengths");
		return FTC_KEPT_NOT;
	}
	if (ftc_run(&fetch_lock, block, Int64GetDatum((int64) total), ftc_hash_datum(member)) > 0)
		return DatumGetBool(ftc_value(0, 0)) ? FTC_KEPT : FTC_KEPT_NOT;
	if (ftc_run(&is_wanted, block) == 0)
		return FTC_KEPT_NOT;
	ftc_fetch_prune();
	if (put_fetch(stored, member, total))
		return FTC_KEPT;
	/* somebody else may have it locked */
	if (ftc_run(&fetch_has, block, Int64GetDatum((int64) total)) > 0)
		return FTC_KEPT_NOT;
	ftc_run(&fetch_evict, 0);
	return put_fetch(stored, member, total) ? FTC_KEPT : FTC_KEPT_NO_ROOM;
}

FtcKept
ftc_fetch_keep(const FtcStored *stored, const FtcHash *member, uint64 total,
			   const FtcChunk *chunk, FtcSlice bytes)
{
	FtcKept		kept = open_fetch(stored, member, total);
	FtcChunk   *chunks;
	FtcChunk	gap;
	int			n;

	if (kept != FTC_KEPT || chunk == NULL)
		return kept;
	chunks = load_chunks(&stored->id, total, 1, &n);
	if (ftc_chunk_overlaps(chunks, n, chunk))
		return FTC_KEPT_NOT;
	ftc_run(&chunk_put, ftc_hash_datum(&stored->id), Int64GetDatum((int64) total), Int64GetDatum((int64) chunk->at),
			Int32GetDatum((int32) bytes.len), ftc_hash_datum(member), ftc_slice_datum(bytes));
	FTC_FAILPOINT("fetch-chunk-kept");
	chunks[n].at = chunk->at;
	chunks[n++].size = bytes.len;
	qsort(chunks, n, sizeof(FtcChunk), compare_chunks);
	if (ftc_chunk_gap(chunks, n, total, 1, &gap))
		return FTC_KEPT;
	ftc_run(&fetch_is_whole, ftc_hash_datum(&stored->id), Int64GetDatum((int64) total));
	ftc_wake_at_commit(FTC_WAKE_KEEPER);
	FTC_FAILPOINT("fetch-whole");
	return FTC_KEPT_WHOLE;
}

/* ----------------------------------------------------------------
 *		What is whole
 * ----------------------------------------------------------------
 */

/* A body to be put together, up to where its entries go. */
static uint8 *
begin_body(const FtcStored *stored, uint64 total, FtcSlice *body)
{
	size_t		prefix = ftc_chunk_prefix(stored->block.manifest);
	uint8	   *buf = MemoryContextAllocHuge(CurrentMemoryContext, prefix + total);
	FtcWriter	writer = ftc_writer(buf, prefix);

	ftc_body_begin(&writer, FTC_BODY_FULL, stored->block.manifest);
	*body = ftc_slice(buf, prefix + total);
	return buf + prefix;
}

FtcReason
ftc_fetch_take(const FtcChain *chain, const FtcStored *stored, FtcSlice entries, const FtcHash *source)
{
	FtcSlice	body;
	FtcReason	reason;

	memcpy(begin_body(stored, entries.len, &body), entries.data, entries.len);
	reason = ftc_inbox_body(chain, stored, body, source, false);
	if (reason != FTC_OK)
	{
		ftc_store_incident(chain->id, "refused", (int64) stored->header.height, &stored->id, source,
						   psprintf("body: %s", ftc_reason_text(reason)));
		ftc_run(&fetch_drop_empty, ftc_hash_datum(&stored->id), Int64GetDatum((int64) entries.len), ftc_hash_datum(source));
	}
	return reason;
}

/* A body that has come in chunks. */
typedef struct Whole
{
	FtcChain	chain;
	FtcStored	stored;
	uint64		total;
	bool		alone;
	FtcSlice	body;
	const uint8 *entries;
	FtcHash    *sources;
	int			nsources;
} Whole;

/* One chunk after the other: they are large. */
static void
put_together(Whole *w)
{
	uint8	   *entries = begin_body(&w->stored, w->total, &w->body);
	int			n;
	FtcChunk   *chunks = load_chunks(&w->stored.id, w->total, 0, &n);

	for (int i = 0; i < n; i++)
	{
		MemoryContext outer = ftc_nest();
		uint64		found = ftc_run(&chunk_bytes, ftc_hash_datum(&w->stored.id), Int64GetDatum((int64) w->total),
									Int64GetDatum((int64) chunks[i].at));
		FtcSlice	bytes = found > 0 ? ftc_slice_value(0, 0) : ftc_slice(NULL, 0);

		/* rows may be damaged, as all others */
		if (chunks[i].at < w->total)
			memcpy(entries + chunks[i].at, bytes.data, Min(bytes.len, w->total - chunks[i].at));
		ftc_unnest(outer);
	}
	w->entries = entries;
	w->nsources = (int) ftc_run(&sources_of, ftc_hash_datum(&w->stored.id), Int64GetDatum((int64) w->total));
	w->sources = palloc(Max(w->nsources, 1) * sizeof(FtcHash));
	for (int i = 0; i < w->nsources; i++)
		w->sources[i] = ftc_hash_value(i, 0);
}

/* Now that it is known what is right: who gave something else? */
static void
judge(const Whole *w)
{
	uint64		n = ftc_run(&doubted, ftc_hash_datum(&w->stored.id));
	uint64		nwrong = 0;
	FtcHash    *wrong = palloc(Max(n, 1) * sizeof(FtcHash));

	for (uint64 i = 0; i < n; i++)
	{
		uint64		at = (uint64) DatumGetInt64(ftc_value(i, 0));
		uint64		size = (uint64) DatumGetInt32(ftc_value(i, 1));
		FtcHash		source = ftc_hash_value(i, 2);
		FtcHash		digest = ftc_hash_value(i, 3);
		FtcHash		right = at < w->total && size <= w->total - at
		? ftc_sha256(ftc_slice(w->entries + at, size)) : ftc_hash_zero;

		if (!ftc_hash_equal(&digest, &right) &&
			(nwrong == 0 || !ftc_hash_equal(&wrong[nwrong - 1], &source)))
			wrong[nwrong++] = source;
	}
	for (uint64 i = 0; i < nwrong; i++)
		blame(&w->stored, &wrong[i], "body: a chunk of it was wrong");
	n = ftc_run(&other_lengths, ftc_hash_datum(&w->stored.id), Int64GetDatum((int64) w->total));
	wrong = palloc(Max(n, 1) * sizeof(FtcHash));
	for (uint64 i = 0; i < n; i++)
		wrong[i] = ftc_hash_value(i, 0);
	for (uint64 i = 0; i < n; i++)
		blame(&w->stored, &wrong[i], "body: its length was wrong");
}

static void
drop(const Whole *w, bool all)
{
	Datum		block = ftc_hash_datum(&w->stored.id);
	Datum		total = Int64GetDatum((int64) w->total);

	ftc_run(&chunks_drop, block, total, BoolGetDatum(all));
	if (all || !w->alone)
		ftc_run(&fetch_drop, block, total, BoolGetDatum(all));
	else
		ftc_run(&fetch_again, block, total);
}

/*
 * Of one member it is its fault.  Of several it is not known whose: what each gave is
 * remembered, and all of it is asked again of one.
 */
static void
refuse(const Whole *w, FtcReason reason)
{
	if (w->nsources == 1)
	{
		blame(&w->stored, &w->sources[0], psprintf("body: %s", ftc_reason_text(reason)));
		drop(w, false);
		return;
	}
	ftc_store_incident(w->chain.id, "refused", (int64) w->stored.header.height, &w->stored.id, NULL,
					   psprintf("body, of %d members: %s", w->nsources, ftc_reason_text(reason)));
	ftc_run(&chunks_doubt, ftc_hash_datum(&w->stored.id), Int64GetDatum((int64) w->total));
	ftc_run(&fetch_again, ftc_hash_datum(&w->stored.id), Int64GetDatum((int64) w->total));
}

static bool
find_whole(int ms, Whole *w)
{
	FtcHash		block;
	int32		chain;

	if (ftc_run(&next_whole, Int32GetDatum(ms)) == 0)
		return false;
	block = ftc_hash_value(0, 0);
	w->total = (uint64) DatumGetInt64(ftc_value(0, 1));
	chain = DatumGetInt32(ftc_value(0, 2));
	w->alone = DatumGetBool(ftc_value(0, 3));
	if (ftc_chain_by_id(&w->chain, chain) && ftc_store_load(&block, &w->stored))
		return true;
	w->stored.id = block;
	drop(w, true);
	return false;
}

static void
finish(Whole *w)
{
	FtcReason	reason;

	put_together(w);
	FTC_FAILPOINT("fetch-put-together");
	reason = ftc_inbox_body(&w->chain, &w->stored, w->body, w->nsources == 1 ? &w->sources[0] : NULL, true);
	if (reason == FTC_OK)
	{
		judge(w);
		drop(w, true);
	}
	else
		refuse(w, reason);
	FTC_FAILPOINT("fetch-finished");
	ftc_wake_at_commit(FTC_WAKE_COURIER);
}

/* The first that is whole, and what came of it. */
typedef struct First
{
	FtcFinish  *said;
	FtcHash		block;
	uint64		total;
	bool		begun;
	bool		damaged;		/* its rows cannot be read */
} First;

static void
finish_first(First *first, Whole *w)
{
	first->block = w->stored.id;
	first->total = w->total;
	first->begun = true;
	PG_TRY();
	{
		finish(w);
	}
	PG_CATCH();
	{
		int			code = geterrcode();

		first->damaged = code == ERRCODE_DATA_CORRUPTED || code == ERRCODE_INDEX_CORRUPTED;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static bool
take_first(void *arg)
{
	First	   *first = arg;
	FtcFinish  *said = first->said;
	FtcScope	scope;
	Whole		w;

	if (!ftc_step_begin("taking a body that has come in chunks"))
		return false;
	ftc_memory_keep();
	ftc_enter(&scope);
	said->found = find_whole(said->ms, &w);
	if (said->found)
		finish_first(first, &w);
	said->others = !said->found && ftc_run(&any_whole, 0) > 0;
	ftc_leave(&scope);
	ftc_step_end();
	return said->found;
}

/* It could not be taken, which must not keep others from it: damaged, it comes again. */
static bool
put_off(void *arg)
{
	const First *first = arg;
	Datum		block = ftc_hash_datum(&first->block);
	Datum		total = Int64GetDatum((int64) first->total);
	FtcScope	scope;

	if (!ftc_step_begin("putting off a body that has come in chunks"))
		return false;
	ftc_enter(&scope);
	if (first->damaged)
	{
		ftc_run(&chunks_drop, block, total, BoolGetDatum(false));
		ftc_run(&fetch_drop, block, total, BoolGetDatum(false));
	}
	else
		ftc_run(&fetch_put_off, block, total);
	ftc_leave(&scope);
	ftc_step_end();
	return false;
}

bool
ftc_fetch_finish(FtcFinish *f)
{
	First		first = {.said = f};
	bool		more;

	f->found = f->others = false;
	if (ftc_step_try(take_first, &first, &more))
		return true;
	if (first.begun)
		(void) ftc_step_try(put_off, &first, &more);
	f->found = false;
	return false;
}

void
ftc_fetch_prune(void)
{
	ftc_run(&fetch_prune, 0);
	ftc_run(&chunk_prune, 0);
	ftc_run(&wrong_prune, 0);
}

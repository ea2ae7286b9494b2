/*-------------------------------------------------------------------------
 *
 * scrub.c
 *	  Looking for damage: passes over all that is stored.
 *
 * Progression of a pass: IDLE -> BLOCKS -> ENTRIES (those that belong nowhere;
 * of a deep one) -> IDLE, from the lowest height up; of one over the indexes:
 * IDLE -> INDEXES -> IDLE, table by table.  Each slice is a transaction, with
 * what it found and how far it came.
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
#include "copies.h"
#include "datum.h"
#include "guc.h"
#include "indexes.h"
#include "scrub.h"
#include "step.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(ftchain_scrub);

#define LIGHT_BLOCKS 500		/* in a slice */
#define DEEP_BLOCKS 500			/* at most */
#define DEEP_BYTES (1024 * 1024)	/* about, or one block */
#define NOTES_AT_ONCE 1000

/*
 * Faults are written down after the look at the chain.  Of a chain that is
 * damaged all over some suffice: when they are repaired the rest is found.
 */
#define FAULTS_MAX 100000

static FtcStmt damage_put = {
	.sql = "INSERT INTO ftchain.damage (chain, height, block, entry, what, expected, found)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
	.nargs = 7,
	.argtypes = {INT4OID, INT8OID, BYTEAOID, INT8OID, TEXTOID, TEXTOID, TEXTOID},
};

/* What is under way first, then what was never done, then the oldest. */
static FtcStmt pass_due = {
	.sql = "SELECT p.chain, p.pass, coalesce(s.phase, 'idle'), coalesce(s.height, 0), coalesce(s.entry, 0) FROM"
	" (SELECT c.id AS chain, v.pass FROM ftchain.chain c, (VALUES ('light'), ('deep')) v (pass) UNION ALL SELECT 0, 'indexes') p"
	" LEFT JOIN ftchain.scrub_state s ON s.chain = p.chain AND s.pass = p.pass"
	" WHERE (p.pass = 'light') = $1 AND (coalesce(s.phase, 'idle') <> 'idle' OR s.finished IS NULL"
	" OR s.finished <= now() - make_interval(secs => $2) OR s.finished > now())"
	" ORDER BY coalesce(s.phase, 'idle') = 'idle', s.finished NULLS FIRST, p.pass DESC, p.chain LIMIT 1",
	.nargs = 2,
	.argtypes = {BOOLOID, FLOAT8OID},
};

static FtcStmt pass_begin = {
	.sql = "INSERT INTO ftchain.scrub_state (chain, pass, phase, started) VALUES ($1, $2, $3, now())"
	" ON CONFLICT (chain, pass) DO UPDATE SET phase = $3, height = 0, entry = 0, bytes = 0, faults = 0, started = now()",
	.nargs = 3,
	.argtypes = {INT4OID, TEXTOID, TEXTOID},
};

static FtcStmt pass_advance = {
	.sql = "UPDATE ftchain.scrub_state SET phase = $3, height = $4, entry = $5, bytes = bytes + $6, faults = faults + $7,"
	" finished = CASE $3 WHEN 'idle' THEN now() ELSE finished END WHERE chain = $1 AND pass = $2",
	.nargs = 7,
	.argtypes = {INT4OID, TEXTOID, TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID},
};

/* About what reading a block takes. */
static FtcStmt block_bytes = {
	.sql = "SELECT m.height, coalesce(length(b.manifest) + length(b.proof) + 304, 0)"
	" + coalesce((SELECT sum(u.bytes)::bigint FROM ftchain.block_bundle l JOIN ftchain.bundle u ON u.id = l.bundle"
	" WHERE l.block = m.block AND u.ids IS NOT NULL), 0)"
	" FROM ftchain.main_chain m LEFT JOIN ftchain.block b ON b.id = m.block"
	" WHERE m.chain = $1 AND m.height BETWEEN $2 AND $3 ORDER BY m.height",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
	.by_index = true,
};

/* Was anything found missing since the indexes were last looked at? */
static FtcStmt indexes_stale = {
	.sql = "SELECT FROM ftchain.damage d WHERE d.chain = $1 AND d.repaired IS NULL"
	" AND (d.what LIKE '%missing' AND d.what <> '" FTC_BUNDLES_MISSING "' OR d.what IN ('bundles changed', 'controls changed', 'list of entries changed'))"
	" AND d.detected >= coalesce((SELECT s.finished FROM ftchain.scrub_state s WHERE s.chain = 0 AND s.pass = 'indexes'), '-infinity')"
	" LIMIT 1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* By block and kind: others know nothing of local numbers. */
static FtcStmt to_note = {
	.sql = "WITH due AS (SELECT id FROM ftchain.damage WHERE chain = $1 AND noted < 2"
	" AND (noted < 1 OR repaired IS NOT NULL) ORDER BY id LIMIT $2),"
	" told AS (UPDATE ftchain.damage d SET noted = CASE WHEN d.repaired IS NULL THEN 1 ELSE 2 END FROM due"
	" WHERE d.id = due.id RETURNING d.id, d.height, d.block, d.what, d.repaired),"
	" kinds AS (SELECT height, block, what, repaired IS NOT NULL AS repaired, count(*) AS n, min(id) AS first FROM told"
	" GROUP BY height, block, what, repaired IS NOT NULL)"
	" SELECT json_build_object('damage', json_agg(json_strip_nulls(json_build_object('height', height,"
	" 'block', encode(block, 'hex'), 'what', what, 'count', n, 'repaired', repaired)) ORDER BY first)) FROM kinds",
	.nargs = 2,
	.argtypes = {INT4OID, INT4OID},
};

static FtcStmt note_put = {
	.sql = "SELECT ftchain.append(c.name, $2, 'ftchain.damage') FROM ftchain.chain c, LATERAL ftchain.chain_status(c.id) s"
	" WHERE c.id = $1 AND s.member",
	.nargs = 2,
	.argtypes = {INT4OID, JSONOID},
};

/* ----------------------------------------------------------------
 *		Faults
 * ----------------------------------------------------------------
 */

typedef struct Scrub
{
	List	   *faults;			/* of FtcFault */
	MemoryContext context;
} Scrub;

static char *
copy_string(const char *string)
{
	return string == NULL ? NULL : pstrdup(string);
}

static void
keep_fault(void *arg, const FtcFault *f)
{
	Scrub	   *scrub = arg;
	MemoryContext outer = MemoryContextSwitchTo(scrub->context);
	FtcFault   *copy;
	FtcHash    *block;

	if (list_length(scrub->faults) < FAULTS_MAX)
	{
		copy = palloc(sizeof(FtcFault));
		*copy = *f;
		if (f->block != NULL)
		{
			block = palloc(sizeof(FtcHash));
			*block = *f->block;
			copy->block = block;
		}
		copy->what = copy_string(f->what);
		copy->expected = copy_string(f->expected);
		copy->found = copy_string(f->found);
		scrub->faults = lappend(scrub->faults, copy);
	}
	MemoryContextSwitchTo(outer);
}

bool
ftc_scrub_record(const FtcChain *chain, const FtcFault *f)
{
	Datum		args[] = {
		Int32GetDatum(chain->id), Int64GetDatum(f->height),
		f->block == NULL ? (Datum) 0 : ftc_hash_datum(f->block), Int64GetDatum(f->entry),
		CStringGetTextDatum(f->what),
		f->expected == NULL ? (Datum) 0 : CStringGetTextDatum(f->expected),
		f->found == NULL ? (Datum) 0 : CStringGetTextDatum(f->found)
	};
	bool		nulls[] = {false, f->height < 0, f->block == NULL, f->entry == 0, false,
	f->expected == NULL, f->found == NULL};

	return ftc_stmt_run(&damage_put, args, nulls) > 0;
}

/* All faults are damage; of the same kind in the same block they are one incident. */
static int64
record_faults(const FtcChain *chain, List *faults)
{
	const FtcFault *told = NULL;
	ListCell   *cell;

	foreach(cell, faults)
	{
		const FtcFault *f = lfirst(cell);
		MemoryContext outer = ftc_nest();

		if (ftc_scrub_record(chain, f) &&
			(told == NULL || told->height != f->height || strcmp(told->what, f->what) != 0))
		{
			ftc_store_incident(chain->id, "damage", f->height, f->block, NULL,
							   f->entry != 0 ? psprintf("%s: entry " INT64_FORMAT, f->what, f->entry) : f->what);
			told = f;
		}
		ftc_unnest(outer);
		CHECK_FOR_INTERRUPTS();
	}
	if (faults != NIL)
		ftc_wake_at_commit(FTC_WAKE_KEEPER);
	return list_length(faults);
}

int64
ftc_scrub(const FtcChain *chain, int64 from, int64 to, bool strays)
{
	Scrub		scrub = {.context = CurrentMemoryContext};

	ftc_verify_chain(chain, from, to, strays, false, keep_fault, &scrub);
	return record_faults(chain, scrub.faults);
}

static int64
scrub_light(const FtcChain *chain, int64 from, int64 to)
{
	Scrub		scrub = {.context = CurrentMemoryContext};

	ftc_verify_light(chain, from, to, keep_fault, &scrub);
	return record_faults(chain, scrub.faults);
}

int64
ftc_scrub_light(const FtcChain *chain)
{
	return scrub_light(chain, 0, -1);
}

/* Damage of bodies alone */
#define FAULTS_OF_BODIES \
	"'extra entry', 'entry changed', 'entry missing', 'entry twice', 'leaf hashes changed', 'list of entries changed', 'body missing'"

static FtcStmt lists_damaged = {
	.sql = "SELECT FROM ftchain.damage WHERE chain = $1 AND repaired IS NULL"
	" AND what NOT IN (" FAULTS_OF_BODIES ", '" FTC_BUNDLES_MISSING "') AND what NOT LIKE 'index %' LIMIT 1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static bool
lists_are_damaged(const FtcChain *chain)
{
	return ftc_run(&lists_damaged, Int32GetDatum(chain->id)) > 0;
}

bool
ftc_scrub_lists(const FtcChain *chain)
{
	if (lists_are_damaged(chain))
		return false;
	(void) ftc_scrub_light(chain);
	return !lists_are_damaged(chain);
}

/* What is wrong with an index concerns every chain. */
static int64
record_index_faults(List *faults)
{
	int64		n = 0;
	ListCell   *cell;

	if (faults != NIL)
		foreach(cell, ftc_chain_list())
			n = record_faults(lfirst(cell), faults);
	return n;
}

/* ----------------------------------------------------------------
 *		Passes
 * ----------------------------------------------------------------
 */

/* A row of ftchain.scrub_state, and what is added to it. */
typedef struct Pass
{
	int32		chain;
	char	   *name;
	char	   *phase;
	int64		height;
	int64		entry;
	int64		bytes;
	int64		faults;
} Pass;

static void
begin_pass(Pass *pass, const char *phase)
{
	pass->phase = pstrdup(phase);
	pass->height = pass->entry = 0;
	ftc_run(&pass_begin, Int32GetDatum(pass->chain), CStringGetTextDatum(pass->name), CStringGetTextDatum(phase));
	/* they are made anew from what is there */
	if (strcmp(pass->name, "deep") == 0)
		ftc_copies_forget(pass->chain, 0);
}

static void
save_pass(const Pass *pass)
{
	ftc_run(&pass_advance, Int32GetDatum(pass->chain), CStringGetTextDatum(pass->name), CStringGetTextDatum(pass->phase),
			Int64GetDatum(pass->height), Int64GetDatum(pass->entry), Int64GetDatum(pass->bytes), Int64GetDatum(pass->faults));
}

/*
 * The last height of a slice: as many blocks as have about so many bytes.  Where
 * the head is reached it is -1: what comes meanwhile is looked at, too.
 */
static int64
end_of_slice(const FtcChain *chain, int64 from, int most, int64 *bytes)
{
	int64		head = ftc_store_main_height(chain->id);
	int64		to = from + most - 1;
	uint64		n;

	*bytes = 0;
	n = ftc_run(&block_bytes, Int32GetDatum(chain->id), Int64GetDatum(from), Int64GetDatum(to));
	for (uint64 i = 0; i < n; i++)
	{
		*bytes += DatumGetInt64(ftc_value(i, 1));
		if (*bytes >= DEEP_BYTES)
		{
			to = DatumGetInt64(ftc_value(i, 0));
			break;
		}
	}
	return to >= head ? -1 : to;
}

static void
blocks_slice(Pass *pass, const FtcChain *chain)
{
	bool		light = strcmp(pass->name, "light") == 0;
	int64		from = pass->height;
	int64		to;

	ftc_worker_progress(psprintf("scrubbing \"%s\" from height %lld", chain->name, (long long) from));
	if (light)
	{
		to = from + LIGHT_BLOCKS > ftc_store_main_height(chain->id) ? -1 : from + LIGHT_BLOCKS - 1;
		pass->faults = scrub_light(chain, from, to);
	}
	else
	{
		to = end_of_slice(chain, from, DEEP_BLOCKS, &pass->bytes);
		pass->faults = ftc_scrub(chain, from, to, false);
	}
	pass->height = to + 1;
	if (to < 0)
		pass->phase = light ? "idle" : "entries";
}

/* The next few thousand of the entries that may belong nowhere. */
static void
strays_slice(Pass *pass, const FtcChain *chain)
{
	Scrub		scrub = {.context = CurrentMemoryContext};

	if (!ftc_verify_strays(chain, &pass->entry, keep_fault, &scrub))
		pass->phase = "idle";
	pass->faults = record_faults(chain, scrub.faults);
}

static void
indexes_slice(Pass *pass)
{
	Scrub		scrub = {.context = CurrentMemoryContext};
	int			table = (int) pass->height;

	ftc_worker_progress("scrubbing indexes");
	if (!ftc_indexes_check(&table, &pass->entry, &pass->bytes, keep_fault, &scrub))
		pass->phase = "idle";
	pass->height = table;
	pass->faults = record_index_faults(scrub.faults);
}

static bool
find_pass(bool light, Pass *pass)
{
	int			interval = light ? ftc_guc_scrub_interval : ftc_guc_deep_scrub_interval;

	if (interval == 0 || ftc_run(&pass_due, BoolGetDatum(light), Float8GetDatum((double) interval)) == 0)
		return false;
	memset(pass, 0, sizeof(*pass));
	pass->chain = DatumGetInt32(ftc_value(0, 0));
	pass->name = TextDatumGetCString(ftc_value(0, 1));
	pass->phase = TextDatumGetCString(ftc_value(0, 2));
	pass->height = DatumGetInt64(ftc_value(0, 3));
	pass->entry = DatumGetInt64(ftc_value(0, 4));
	return true;
}

bool
ftc_scrub_next(bool light, int64 *bytes, int64 *faults)
{
	Pass		pass;
	FtcChain	chain;

	*bytes = *faults = 0;
	if (!find_pass(light, &pass) || (pass.chain != 0 && !ftc_chain_by_id(&chain, pass.chain)))
		return false;
	if (strcmp(pass.phase, "idle") == 0)
		begin_pass(&pass, pass.chain == 0 ? "indexes" : "blocks");
	if (strcmp(pass.phase, "indexes") == 0)
		indexes_slice(&pass);
	else if (strcmp(pass.phase, "entries") == 0)
		strays_slice(&pass, &chain);
	else
		blocks_slice(&pass, &chain);
	save_pass(&pass);
	*bytes = pass.bytes;
	*faults = pass.faults;
	return true;
}

/* A whole pass, now. */
static void
scrub_indexes(void)
{
	Pass		pass = {.chain = 0,.name = "indexes"};

	begin_pass(&pass, "indexes");
	while (strcmp(pass.phase, "idle") != 0)
	{
		MemoryContext outer = ftc_nest();

		pass.bytes = 0;
		indexes_slice(&pass);
		save_pass(&pass);
		ftc_unnest(outer);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * What an index does not show seems to be missing.  A copy of it must not be put
 * beside what is there.
 */
void
ftc_scrub_indexes_first(const FtcChain *chain)
{
	if (ftc_run(&indexes_stale, Int32GetDatum(chain->id)) > 0)
		scrub_indexes();
}

static void
scrub_chain(const FtcChain *chain, bool deep)
{
	Pass		pass = {.chain = chain->id,.name = deep ? "deep" : "light"};

	begin_pass(&pass, "blocks");
	if (deep)
		pass.faults = ftc_scrub(chain, 0, -1, true);
	else
		pass.faults = scrub_light(chain, 0, -1);
	pass.phase = "idle";
	save_pass(&pass);
}

Datum
ftchain_scrub(PG_FUNCTION_ARGS)
{
	char	   *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	bool		deep = PG_ARGISNULL(1) || PG_GETARG_BOOL(1);
	FtcScope	scope;
	ListCell   *cell;

	ftc_procedure_begin(fcinfo, "ftchain.scrub");
	ftc_enter(&scope);
	if (deep)
		scrub_indexes();
	foreach(cell, ftc_chain_list_named(name))
		scrub_chain(lfirst(cell), deep);
	ftc_leave(&scope);
	ftc_procedure_end();
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------
 *		On the chain
 * ----------------------------------------------------------------
 */

bool
ftc_scrub_note(const FtcChain *chain)
{
	bool		none;
	Datum		note;

	if (!ftc_guc_note_damage || ftc_alarm_stops(chain->id))
		return false;
	ftc_run(&to_note, Int32GetDatum(chain->id), Int32GetDatum(NOTES_AT_ONCE));
	note = ftc_column(0, 0, &none);
	if (none || strstr(TextDatumGetCString(note), "\"what\"") == NULL)
		return false;
	ftc_run(&note_put, Int32GetDatum(chain->id), note);
	return true;
}

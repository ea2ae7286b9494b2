/*-------------------------------------------------------------------------
 *
 * gaps.c
 *	  What was not taken yet of what is to be sent, and where a hole is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "datum.h"
#include "linkstat.h"
#include "stmt.h"

PG_FUNCTION_INFO_V1(ftchain_gaps);

/* All links to peers: names, how far, and where what is kept begins and ends. */
static FtcStmt links_all = {
	.sql = "SELECT p.server, l.chain, 0, c.name, NULL::text, l.acked + 1,"
	" (SELECT coalesce(min(o.seq), l.acked + 1) FROM ftchain.outbox o WHERE o.chain = l.chain),"
	" (SELECT coalesce(max(o.seq), l.acked) FROM ftchain.outbox o WHERE o.chain = l.chain)"
	" FROM ftchain.link_out l JOIN ftchain.chain c ON c.id = l.chain JOIN ftchain.peer p ON p.member = l.member"
	" UNION ALL SELECT p.server, 0, s.id, NULL, s.topic, s.acked + 1,"
	" coalesce((SELECT min(n.first) FROM ftchain.numbered n WHERE n.stream = s.id), s.numbered + 1), s.numbered"
	" FROM ftchain.stream_out s JOIN ftchain.peer p ON p.member = s.member ORDER BY 1, 4, 5",
};

/* Its number as send() gave it, and when that was. */
static FtcStmt message_at = {
	.sql = "SELECT m.seq, m.sent FROM ftchain.numbered n JOIN ftchain.message_out m"
	" ON m.stream = n.stream AND m.seq = n.low + ($2 - n.first)"
	" WHERE n.stream = $1 AND n.first = (SELECT max(o.first) FROM ftchain.numbered o WHERE o.stream = $1 AND o.first <= $2)",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

static FtcStmt announcement_at = {
	.sql = "SELECT NULL::bigint, queued FROM ftchain.outbox WHERE chain = $1 AND seq = $2",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

typedef struct Link
{
	Datum		server;
	int32		chain;
	int32		stream;
	Datum		names[2];		/* chain, topic */
	bool		no_name[2];
	int64		next;			/* position not acknowledged, the first */
	int64		horizon;		/* the first that is kept */
	int64		last;
} Link;

typedef struct Range
{
	int64		first;			/* 0: not known */
	int64		last;
	const char *state;
} Range;

typedef struct Ranges
{
	int			n;
	Range		range[FTC_SEGMENTS_MAX * 2 + 2];	/* before each segment,
													 * and it; lost, and the
													 * rest */
} Ranges;

/* One after the other; those of one state that touch are one. */
static void
add_range(Ranges *ranges, int64 first, int64 last, const char *state)
{
	Range	   *before = ranges->n == 0 ? NULL : &ranges->range[ranges->n - 1];

	if (last < first)
		return;
	if (before != NULL && before->last + 1 == first && strcmp(before->state, state) == 0)
		before->last = last;
	else
		ranges->range[ranges->n++] = (Range)
	{
		first, last, state
	};
}

static const char *
flight_state(const FtcFlightSlot *flight)
{
	return flight->has_come ? "held" : flight->lost ? "missing" : "in flight";
}

static void
find_ranges(const Link *link, const FtcLineFacts *facts, Ranges *ranges)
{
	int64		at = Max(link->next, link->horizon);

	ranges->n = 0;
	if (facts->state == FTC_LINE_STOPPED)
		add_range(ranges, (int64) facts->lacks, link->horizon - 1, "lost");
	for (int i = 0; i < facts->n; i++)
	{
		const FtcFlightSlot *flight = &facts->flight[i];
		int64		first = Max((int64) (facts->base + flight->first), at);
		int64		last = Min((int64) (facts->base + flight->next) - 1, link->last);

		/* it was looked at a moment before or after the tables */
		if (last < at)
			continue;
		add_range(ranges, at, first - 1, "waiting");
		add_range(ranges, first, last, flight_state(flight));
		at = last + 1;
	}
	add_range(ranges, at, link->last, "waiting");
}

/* When it was sent, and its number if it has one that users know. */
static void
describe(const Link *link, int64 position, Datum *seq, bool *no_seq, Datum *sent, bool *no_sent)
{
	uint64		n = link->stream == 0
	? ftc_run(&announcement_at, Int32GetDatum(link->chain), Int64GetDatum(position))
	: ftc_run(&message_at, Int32GetDatum(link->stream), Int64GetDatum(position));

	*no_seq = *no_sent = true;
	if (n == 0)
		return;
	*seq = ftc_column(0, 0, no_seq);
	*sent = ftc_column(0, 1, no_sent);
}

static void
put_range(ReturnSetInfo *rsinfo, const Link *link, const Range *range)
{
	Datum		values[10] = {0};
	bool		nulls[10] = {false};
	Datum		unused = 0;
	bool		no_unused;

	values[0] = link->server;
	for (int i = 0; i < 2; i++)
	{
		values[1 + i] = link->names[i];
		nulls[1 + i] = link->no_name[i];
	}
	values[3] = CStringGetTextDatum(range->state);
	values[4] = Int64GetDatum(range->first);
	values[5] = Int64GetDatum(range->last);
	values[6] = Int64GetDatum(range->last - range->first + 1);
	nulls[4] = nulls[6] = range->first == 0;
	describe(link, range->first, &values[7], &nulls[7], &values[9], &nulls[9]);
	describe(link, range->last, &values[8], &nulls[8], &unused, &no_unused);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static Link
link_of_row(uint64 row)
{
	Link		link;

	link.server = ftc_value(row, 0);
	link.chain = DatumGetInt32(ftc_value(row, 1));
	link.stream = DatumGetInt32(ftc_value(row, 2));
	for (int i = 0; i < 2; i++)
		link.names[i] = ftc_column(row, 3 + i, &link.no_name[i]);
	link.next = DatumGetInt64(ftc_value(row, 5));
	link.horizon = DatumGetInt64(ftc_value(row, 6));
	link.last = DatumGetInt64(ftc_value(row, 7));
	return link;
}

Datum
ftchain_gaps(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	FtcScope	scope;
	uint64		n;

	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	n = ftc_run(&links_all, 0);
	for (uint64 i = 0; i < n; i++)
	{
		Link		link = link_of_row(i);
		MemoryContext outer = ftc_nest();
		FtcLineFacts facts = {0};
		Ranges		ranges;

		(void) ftc_linkstat_facts(TextDatumGetCString(link.server), link.chain, link.stream, &facts);
		find_ranges(&link, &facts, &ranges);
		for (int j = 0; j < ranges.n; j++)
			put_range(rsinfo, &link, &ranges.range[j]);
		ftc_unnest(outer);
	}
	ftc_leave(&scope);
	return (Datum) 0;
}

/*-------------------------------------------------------------------------
 *
 * message.c
 *	  Users' messages on their way out.
 *
 * Whoever sends waits for nobody: a message is a row in the sender's own
 * transaction (send.c).  Its position in the stream is given afterwards, by one process
 * at a time, to what has committed between two snapshots, as the sealer finds
 * entries.  So positions have no gaps, and who was sent after another had
 * committed stands behind it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "core/topic.h"
#include "datum.h"
#include "failpoint.h"
#include "guc.h"
#include "message.h"
#include "stmt.h"
#include "wake.h"

#define EPOCHS_KEPT 1000		/* of a stream */

static FtcStmt number_state = {
	.sql = "SELECT snapshot FROM ftchain.number_state",
};

/*
 * Nearly all messages were numbered long ago.  The first asks for the newest only: an
 * estimate of how many there are might mislead.
 */
static FtcStmt number_any = {
	.sql = "SELECT coalesce((SELECT m.xid FROM ftchain.message_out m ORDER BY m.xid DESC LIMIT 1) >= pg_snapshot_xmax($1), false)"
	" OR EXISTS (SELECT FROM ftchain.message_out m WHERE m.xid = ANY (ARRAY(SELECT pg_snapshot_xip($1))))",
	.nargs = 1,
	.argtypes = {PG_SNAPSHOTOID},
	.by_index = true,
};

static FtcStmt number_lock = {
	.sql = "SELECT snapshot FROM ftchain.number_state FOR UPDATE",
};

/* All under one snapshot, which is then the one to go on from. */
static FtcStmt number_all = {
	.sql = "WITH fresh AS (SELECT m.stream, m.seq FROM ftchain.message_out m WHERE m.xid >= pg_snapshot_xmax($1)"
	" UNION ALL SELECT m.stream, m.seq FROM ftchain.message_out m WHERE m.xid = ANY (ARRAY(SELECT pg_snapshot_xip($1)))),"
	" ranges AS (SELECT stream, unnest(range_agg(int8range(seq, seq, '[]'))) AS r FROM fresh GROUP BY stream),"
	" sized AS (SELECT stream, lower(r) AS low, upper(r) - 1 AS high,"
	" (sum(upper(r) - lower(r)) OVER (PARTITION BY stream ORDER BY lower(r)))::bigint AS upto FROM ranges),"
	" put AS (INSERT INTO ftchain.numbered (stream, first, low, high)"
	" SELECT z.stream, o.numbered + z.upto - (z.high - z.low), z.low, z.high FROM sized z"
	" JOIN ftchain.stream_out o ON o.id = z.stream),"
	" moved AS (UPDATE ftchain.stream_out o SET numbered = o.numbered + t.n"
	" FROM (SELECT stream, max(upto) AS n FROM sized GROUP BY stream) t WHERE o.id = t.stream)"
	" UPDATE ftchain.number_state SET snapshot = pg_current_snapshot()",
	.nargs = 1,
	.argtypes = {PG_SNAPSHOTOID},
	.by_index = true,
};

static FtcStmt streams_to = {
	.sql = "SELECT id, numbered > acked FROM ftchain.stream_out WHERE member = $1 ORDER BY id",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt stream_ends = {
	.sql = "SELECT coalesce((SELECT min(n.first) FROM ftchain.numbered n WHERE n.stream = $1), s.numbered + 1), s.numbered + 1"
	" FROM ftchain.stream_out s WHERE s.id = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt stream_read = {
	.sql = "SELECT n.first + (m.seq - n.low), m.incarnation, m.seq, m.sent, m.hash, s.topic"
	" FROM ftchain.stream_out s, ftchain.numbered n JOIN ftchain.message_out m"
	" ON m.stream = n.stream AND m.seq BETWEEN n.low + greatest($2 - n.first, 0)"
	" AND least(n.high, n.low + ($2 + $3 - 1 - n.first))"
	" WHERE s.id = $1 AND n.stream = $1 AND n.first < $2 + $3 AND n.first >= coalesce((SELECT max(o.first) FROM ftchain.numbered o"
	" WHERE o.stream = $1 AND o.first <= $2), 0) ORDER BY n.first, m.seq LIMIT $3",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT4OID},
	.by_index = true,
};

static FtcStmt messages_get = {
	.sql = "SELECT m.message FROM unnest($2::bigint[]) WITH ORDINALITY AS s (seq, at)"
	" LEFT JOIN ftchain.message_out m ON m.stream = $1 AND m.seq = s.seq ORDER BY s.at",
	.nargs = 2,
	.argtypes = {INT4OID, INT8ARRAYOID},
	.by_index = true,
};

static FtcStmt stream_load = {
	.sql = "SELECT s.epoch, s.base, s.acked, s.value, coalesce(e.least, 0) FROM ftchain.stream_out s"
	" LEFT JOIN ftchain.epoch_out e ON e.stream = s.id AND e.epoch = s.epoch WHERE s.id = $1 AND s.epoch > 0",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt stream_save = {
	.sql = "UPDATE ftchain.stream_out SET epoch = $2, base = $3, acked = $4, value = $5, acked_at = now() WHERE id = $1",
	.nargs = 5,
	.argtypes = {INT4OID, INT8OID, INT8OID, INT8OID, BYTEAOID},
};

static FtcStmt stream_give_up = {
	.sql = "UPDATE ftchain.stream_out SET given_up = greatest(given_up, $2) WHERE id = $1",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

static FtcStmt stream_given_up = {
	.sql = "SELECT given_up FROM ftchain.stream_out WHERE id = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt ranges_done = {
	.sql = "UPDATE ftchain.numbered n SET done = now() FROM ftchain.stream_out s WHERE s.id = $1 AND n.stream = $1"
	" AND n.done IS NULL AND n.first + (n.high - n.low) <= s.acked",
	.nargs = 1,
	.argtypes = {INT4OID},
	.by_index = true,
};

static FtcStmt epoch_put = {
	.sql = "INSERT INTO ftchain.epoch_out (stream, epoch, base, least, most) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
	.nargs = 5,
	.argtypes = {INT4OID, INT8OID, INT8OID, INT8OID, INT8OID},
};

/*
 * When another one begins: what was acknowledged of it is all that counts, be it by
 * the chain value that the next one begins at.
 */
static FtcStmt epoch_close = {
	.sql = "UPDATE ftchain.epoch_out e SET most = greatest(s.acked, $3) FROM ftchain.stream_out s"
	" WHERE s.id = $1 AND e.stream = $1 AND e.epoch = s.epoch AND e.epoch <> $2",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
};

static FtcStmt epoch_reach = {
	.sql = "SELECT greatest(least, least(most, base + $3 - 1)) FROM ftchain.epoch_out WHERE stream = $1 AND epoch = $2",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
};

/*
 * A receiver that has us begin anew again and again does not fill the table: of an
 * epoch that is forgotten nothing is known, and one that was in it stops.
 */
static FtcStmt epoch_prune = {
	.sql = "DELETE FROM ftchain.epoch_out e USING (SELECT id, (SELECT k.epoch FROM ftchain.epoch_out k WHERE k.stream = o.id"
	" ORDER BY k.epoch DESC OFFSET " CppAsString2(EPOCHS_KEPT) " LIMIT 1) AS last FROM ftchain.stream_out o) s"
	" WHERE e.stream = s.id AND e.epoch <= s.last",
};

static FtcStmt stream_heard = {
	.sql = "UPDATE ftchain.stream_out SET heard = $2 WHERE id = $1 AND heard <> $2",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

/* Of a range that is taken in part that part is done: it is not to be kept as long as the rest. */
static FtcStmt split_ranges = {
	.sql = "WITH part AS (SELECT n.stream, n.first, n.low, n.high, s.acked FROM ftchain.numbered n"
	" JOIN ftchain.stream_out s ON s.id = n.stream WHERE n.done IS NULL AND n.first <= s.acked"
	" AND n.first + (n.high - n.low) > s.acked FOR UPDATE OF n),"
	" rest AS (INSERT INTO ftchain.numbered (stream, first, low, high)"
	" SELECT stream, acked + 1, low + (acked - first) + 1, high FROM part)"
	" UPDATE ftchain.numbered n SET high = p.low + (p.acked - p.first), done = now() FROM part p"
	" WHERE n.stream = p.stream AND n.first = p.first",
	.by_index = true,
};

/*
 * The oldest ones, all of which were acknowledged long ago, and not only in an
 * epoch before this one: what is sent again is kept until it has come.  A database
 * that was restored may believe so although the receiver was, too: so nothing goes
 * before that has said how far it is, unless it is no peer any more.
 */
static FtcStmt prune_ranges = {
	.sql = "DELETE FROM ftchain.numbered n WHERE n.done <= now() - make_interval(secs => $1)"
	" AND n.first + (n.high - n.low) <= (SELECT s.acked FROM ftchain.stream_out s WHERE s.id = n.stream"
	" AND (s.heard = $2 OR NOT EXISTS (SELECT FROM ftchain.peer p WHERE p.member = s.member)))"
	" AND NOT EXISTS (SELECT FROM ftchain.numbered k WHERE k.stream = n.stream AND k.first < n.first"
	" AND (k.done IS NULL OR k.done > now() - make_interval(secs => $1)))",
	.nargs = 2,
	.argtypes = {FLOAT8OID, INT8OID},
};

static FtcStmt prune_messages = {
	.sql = "DELETE FROM ftchain.message_out m WHERE m.sent < now() - make_interval(secs => $1)"
	" AND EXISTS (SELECT FROM ftchain.number_state s WHERE pg_visible_in_snapshot(m.xid, s.snapshot))"
	" AND NOT EXISTS (SELECT FROM ftchain.numbered n WHERE n.stream = m.stream AND m.seq BETWEEN n.low AND n.high)",
	.nargs = 1,
	.argtypes = {FLOAT8OID},
};

/* ----------------------------------------------------------------
 *		Positions
 * ----------------------------------------------------------------
 */

bool
ftc_message_is_numberable(void)
{
	/* whatever commits after this is counted anew */
	(void) ftc_wake_sent(true);
	if (ftc_run(&number_state, 0) == 0)
		return false;
	ftc_run(&number_any, ftc_value(0, 0));
	return DatumGetBool(ftc_value(0, 0));
}

/* The lock must be had before the snapshot is taken. */
void
ftc_message_number(void)
{
	ftc_run(&number_lock, 0);
	ftc_run(&number_all, ftc_value(0, 0));
}

List *
ftc_message_streams(const FtcHash *member, Bitmapset **waiting)
{
	uint64		n = ftc_run(&streams_to, ftc_hash_datum(member));
	List	   *streams = NIL;

	*waiting = NULL;
	for (uint64 i = 0; i < n; i++)
	{
		int32		stream = DatumGetInt32(ftc_value(i, 0));

		streams = lappend_int(streams, stream);
		if (DatumGetBool(ftc_value(i, 1)))
			*waiting = bms_add_member(*waiting, stream);
	}
	return streams;
}

void
ftc_message_heard(uint16 stream, int64 incarnation)
{
	ftc_run(&stream_heard, Int32GetDatum(stream), Int64GetDatum(incarnation));
}

void
ftc_message_prune(int64 incarnation)
{
	Datum		keep = Float8GetDatum((double) ftc_guc_message_retention);

	ftc_run(&split_ranges, 0);
	ftc_run(&prune_ranges, keep, Int64GetDatum(incarnation));
	FTC_FAILPOINT("message-pruning");
	ftc_run(&prune_messages, keep);
	ftc_run(&epoch_prune, 0);
}

/* ----------------------------------------------------------------
 *		The log behind links
 * ----------------------------------------------------------------
 */

static void
message_ends(const FtcRoute *route, uint64 *horizon, uint64 *end)
{
	*horizon = *end = 1;
	if (ftc_run(&stream_ends, Int32GetDatum(route->stream)) == 0)
		return;
	*horizon = (uint64) DatumGetInt64(ftc_value(0, 0));
	*end = (uint64) DatumGetInt64(ftc_value(0, 1));
}

static FtcSlice
make_reference(uint64 row)
{
	uint8	   *bytes = palloc(FTC_TOPIC_REFERENCE_MAX);
	FtcTopicReference reference = {
		.incarnation = (uint64) DatumGetInt64(ftc_value(row, 1)),
		.seq = (uint64) DatumGetInt64(ftc_value(row, 2)),
		.sent = ftc_clock_from_timestamp(DatumGetTimestampTz(ftc_value(row, 3))),
		.hash = ftc_hash_value(row, 4),
		.topic = ftc_slice_value(row, 5),
	};

	return ftc_slice(bytes, ftc_topic_reference_encode(&reference, bytes));
}

static int
message_read(const FtcRoute *route, uint64 from, int n, FtcMessage *messages)
{
	int			found = (int) ftc_run(&stream_read, Int32GetDatum(route->stream),
									  Int64GetDatum((int64) from), Int32GetDatum(n));

	for (int i = 0; i < found; i++)
	{
		if ((uint64) DatumGetInt64(ftc_value(i, 0)) != from + i)
			return i;
		messages[i].kind = FTC_MESSAGE_TOPIC;
		messages[i].seq = from + i;
		messages[i].reference = make_reference(i);
	}
	return found;
}

static void
message_attach(const FtcRoute *route, FtcMessage *messages, int n)
{
	Datum	   *seqs = palloc(n * sizeof(Datum));

	for (int i = 0; i < n; i++)
	{
		FtcTopicReference reference;

		(void) ftc_topic_reference_decode(&reference, messages[i].reference);
		seqs[i] = Int64GetDatum((int64) reference.seq);
	}
	ftc_run(&messages_get, Int32GetDatum(route->stream),
			PointerGetDatum(construct_array(seqs, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)));
	for (int i = 0; i < n; i++)
		messages[i].attachment = ftc_slice_value(i, 0);
}

static bool
stream_get(const FtcRoute *route, FtcSender *sender)
{
	if (ftc_run(&stream_load, Int32GetDatum(route->stream)) == 0)
		return false;
	sender->end.epoch = (uint64) DatumGetInt64(ftc_value(0, 0));
	sender->base = (uint64) DatumGetInt64(ftc_value(0, 1));
	sender->end.next = (uint64) DatumGetInt64(ftc_value(0, 2)) - sender->base + 1;
	sender->end.value = ftc_hash_value(0, 3);
	sender->floor = (uint64) DatumGetInt64(ftc_value(0, 4));
	return true;
}

static void
put_epoch(const FtcRoute *route, uint64 epoch, uint64 base, uint64 least, uint64 most)
{
	ftc_run(&epoch_put, Int32GetDatum(route->stream), Int64GetDatum((int64) epoch), Int64GetDatum((int64) base),
			Int64GetDatum((int64) least), Int64GetDatum((int64) most));
}

static void
stream_put(const FtcRoute *route, const FtcSender *sender)
{
	bool		begins = sender->end.next == 1;

	if (begins)
		ftc_run(&epoch_close, Int32GetDatum(route->stream), Int64GetDatum((int64) sender->end.epoch),
				Int64GetDatum((int64) sender->base));
	ftc_run(&stream_save, Int32GetDatum(route->stream), Int64GetDatum((int64) sender->end.epoch),
			Int64GetDatum((int64) sender->base), Int64GetDatum((int64) (sender->base + sender->end.next - 1)),
			ftc_hash_datum(&sender->end.value));
	ftc_run(&ranges_done, Int32GetDatum(route->stream));
	if (begins)
		put_epoch(route, sender->end.epoch, sender->base, sender->floor, PG_INT64_MAX);
}

static bool
stream_reach_of(const FtcRoute *route, uint64 epoch, uint64 next, uint64 *position)
{
	if (ftc_run(&epoch_reach, Int32GetDatum(route->stream), Int64GetDatum((int64) epoch),
				Int64GetDatum((int64) Min(next, PG_INT64_MAX / 2))) == 0)
		return false;
	*position = (uint64) DatumGetInt64(ftc_value(0, 0));
	return true;
}

static void
stream_forgot(const FtcRoute *route, uint64 epoch, uint64 position)
{
	put_epoch(route, epoch, 0, position, position);
}

static void
give_up(const FtcRoute *route, uint64 position)
{
	ftc_run(&stream_give_up, Int32GetDatum(route->stream), Int64GetDatum((int64) position));
}

static uint64
given_up(const FtcRoute *route)
{
	return ftc_run(&stream_given_up, Int32GetDatum(route->stream)) == 0 ? 0 : (uint64) DatumGetInt64(ftc_value(0, 0));
}

const FtcOutLog ftc_message_log = {
	.replays = true,
	.ends = message_ends,
	.read = message_read,
	.attach = message_attach,
	.load = stream_get,
	.save = stream_put,
	.reach_of = stream_reach_of,
	.forgot = stream_forgot,
	.given_up = given_up,
	.give_up = give_up,
};

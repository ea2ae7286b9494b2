/*-------------------------------------------------------------------------
 *
 * applied.c
 *	  Which messages of a sender have been taken.
 *
 * A message is known by its id.  Its name (incarnation and seq) says where to look
 * for that: a row has the ids of up to BUCKET messages whose seqs stand together,
 * each as one byte for the seq and the beginning of the id.  So a call of many
 * messages writes few rows, and two messages of one name, as a sender may send
 * whose machine was set back while it ran, are still two.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "compat.h"
#include "datum.h"
#include "guc.h"
#include "stmt.h"
#include "topic.h"

#define BUCKET 64
#define ID_BYTES 8
#define MARK_BYTES (1 + ID_BYTES)

static FtcStmt applied_get = {
	.sql = "SELECT bucket, ids FROM ftchain.applied"
	" WHERE member = $1 AND stream = $2 AND incarnation = $3 AND bucket = ANY ($4)",
	.nargs = 4,
	.argtypes = {BYTEAOID, INT4OID, INT8OID, INT8ARRAYOID},
	.by_index = true,
};

static FtcStmt applied_put = {
	.sql = "INSERT INTO ftchain.applied AS a (member, stream, incarnation, bucket, ids)"
	" SELECT $1, $2, $3, n.bucket, n.ids FROM unnest($4::bigint[], $5::bytea[]) AS n (bucket, ids)"
	" ON CONFLICT (member, stream, incarnation, bucket) DO UPDATE SET ids = a.ids || excluded.ids, received = now()",
	.nargs = 5,
	.argtypes = {BYTEAOID, INT4OID, INT8OID, INT8ARRAYOID, BYTEAARRAYOID},
};

/*
 * A sender sends again what it still keeps, and restored from a backup what that
 * kept.  So of what it knows to be taken ids are remembered for twice the time that
 * messages and backups are kept.  It knows of what was taken AN_HOUR before
 * something else came: no call is under way for so long.  While it is silent no
 * time passes: it may be restored, when it is back, to what it was before.
 */
#define AN_HOUR "interval '1 hour'"

static FtcStmt applied_prune = {
	.sql = "DELETE FROM ftchain.applied a USING ftchain.stream_in s WHERE a.member = s.member AND a.stream = s.stream"
	" AND s.received_at >= s.heard + make_interval(secs => 2 * $1) AND a.received < s.heard - " AN_HOUR,
	.nargs = 1,
	.argtypes = {FLOAT8OID},
};

static FtcStmt applied_proceed = {
	.sql = "UPDATE ftchain.stream_in SET heard = received_at WHERE (member, stream) IN"
	" (SELECT member, stream FROM ftchain.stream_in"
	" WHERE received_at >= heard + make_interval(secs => 2 * $1) OR heard IS NULL AND received_at IS NOT NULL"
	" FOR UPDATE SKIP LOCKED)",
	.nargs = 1,
	.argtypes = {FLOAT8OID},
};

/* What came again may come once more. */
static FtcStmt applied_touch = {
	.sql = "UPDATE ftchain.applied SET received = now() WHERE member = $1 AND stream = $2 AND incarnation = $3"
	" AND bucket = ANY ($4) AND received < now() - " AN_HOUR,
	.nargs = 4,
	.argtypes = {BYTEAOID, INT4OID, INT8OID, INT8ARRAYOID},
	.by_index = true,
};

typedef struct Bucket
{
	int64		number;
	FtcSlice	before;			/* marks in the table */
	uint8	   *marks;			/* to be added */
	int			n;
	int			room;
} Bucket;

struct FtcApplied
{
	const FtcIntake *intake;
	int64		incarnation;
	Bucket	   *buckets;
	int			nbuckets;
	int			last;			/* the one looked at last */
};

static void
make_mark(uint8 *mark, const FtcIncoming *incoming)
{
	mark[0] = (uint8) (incoming->reference.seq % BUCKET);
	memcpy(mark + 1, incoming->message->id.b, ID_BYTES);
}

static bool
has_mark(FtcSlice marks, const uint8 *mark)
{
	for (size_t at = 0; at + MARK_BYTES <= marks.len; at += MARK_BYTES)
		if (memcmp(marks.data + at, mark, MARK_BYTES) == 0)
			return true;
	return false;
}

/* Seqs mostly come one after the other. */
static Bucket *
find_bucket(FtcApplied *applied, int64 number)
{
	for (int i = 0; i < applied->nbuckets; i++)
	{
		int			at = (applied->last + i) % applied->nbuckets;

		if (applied->buckets[at].number == number)
		{
			applied->last = at;
			return &applied->buckets[at];
		}
	}
	return NULL;
}

static Bucket *
bucket_of(FtcApplied *applied, const FtcIncoming *incoming)
{
	int64		number = (int64) (incoming->reference.seq / BUCKET);
	Bucket	   *found = find_bucket(applied, number);

	if (found != NULL)
		return found;
	applied->last = applied->nbuckets++;
	found = &applied->buckets[applied->last];
	memset(found, 0, sizeof(*found));
	found->number = number;
	return found;
}

static void
add_mark(Bucket *bucket, const uint8 *mark)
{
	if (bucket->n == bucket->room)
	{
		bucket->room = Max(2 * bucket->room, 8);
		bucket->marks = bucket->marks == NULL ? palloc(bucket->room * MARK_BYTES)
			: repalloc(bucket->marks, bucket->room * MARK_BYTES);
	}
	memcpy(bucket->marks + bucket->n++ * MARK_BYTES, mark, MARK_BYTES);
}

static ArrayType *
numbers_of(const FtcApplied *applied, bool added)
{
	Datum	   *numbers = palloc(applied->nbuckets * sizeof(Datum));
	int			n = 0;

	for (int i = 0; i < applied->nbuckets; i++)
		if (!added || applied->buckets[i].n > 0)
			numbers[n++] = Int64GetDatum(applied->buckets[i].number);
	return construct_array(numbers, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

static void
load(FtcApplied *applied)
{
	const FtcIntake *r = applied->intake;
	uint64		n = ftc_run(&applied_get, ftc_hash_datum(&r->sender), Int32GetDatum(r->stream),
							Int64GetDatum(applied->incarnation), PointerGetDatum(numbers_of(applied, false)));

	for (uint64 i = 0; i < n; i++)
		find_bucket(applied, DatumGetInt64(ftc_value(i, 0)))->before = ftc_slice_value(i, 1);
}

FtcApplied *
ftc_applied_look(const FtcIntake *r, FtcIncoming *incoming, int n)
{
	FtcApplied *applied = palloc0(sizeof(FtcApplied));

	applied->intake = r;
	applied->incarnation = (int64) incoming[0].reference.incarnation;
	applied->buckets = palloc(n * sizeof(Bucket));
	for (int i = 0; i < n; i++)
		(void) bucket_of(applied, &incoming[i]);
	load(applied);
	for (int i = 0; i < n; i++)
	{
		Bucket	   *bucket = bucket_of(applied, &incoming[i]);
		uint8		mark[MARK_BYTES];

		make_mark(mark, &incoming[i]);
		incoming[i].known = has_mark(bucket->before, mark) ||
			has_mark(ftc_slice(bucket->marks, bucket->n * MARK_BYTES), mark);
		if (!incoming[i].known)
			add_mark(bucket, mark);
	}
	return applied;
}

static void
mark_anew(FtcApplied *applied, const FtcIncoming *incoming, int n)
{
	for (int i = 0; i < applied->nbuckets; i++)
		applied->buckets[i].n = 0;
	for (int i = 0; i < n; i++)
	{
		uint8		mark[MARK_BYTES];

		make_mark(mark, &incoming[i]);
		if (!incoming[i].known)
			add_mark(bucket_of(applied, &incoming[i]), mark);
	}
}

static bool
is_any_known(const FtcIncoming *incoming, int n)
{
	for (int i = 0; i < n; i++)
		if (incoming[i].known)
			return true;
	return false;
}

void
ftc_applied_note(FtcApplied *applied, const FtcIncoming *incoming, int n)
{
	const FtcIntake *r = applied->intake;
	Datum	   *ids = palloc(applied->nbuckets * sizeof(Datum));
	int			count = 0;

	if (is_any_known(incoming, n))
		ftc_run(&applied_touch, ftc_hash_datum(&r->sender), Int32GetDatum(r->stream), Int64GetDatum(applied->incarnation),
				PointerGetDatum(numbers_of(applied, false)));

	/* of those that were looked at, only the first may have been taken */
	mark_anew(applied, incoming, n);
	for (int i = 0; i < applied->nbuckets; i++)
		if (applied->buckets[i].n > 0)
			ids[count++] = ftc_slice_datum(ftc_slice(applied->buckets[i].marks, applied->buckets[i].n * MARK_BYTES));
	if (count > 0)
		ftc_run(&applied_put, ftc_hash_datum(&r->sender), Int32GetDatum(r->stream), Int64GetDatum(applied->incarnation),
				PointerGetDatum(numbers_of(applied, true)),
				PointerGetDatum(construct_array(ids, count, BYTEAOID, -1, false, TYPALIGN_INT)));
}

void
ftc_applied_prune(void)
{
	Datum		keep = Float8GetDatum((double) ftc_guc_message_retention);

	ftc_run(&applied_prune, keep);
	ftc_run(&applied_proceed, keep);
}

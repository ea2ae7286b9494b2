/*-------------------------------------------------------------------------
 *
 * early.c
 *	  Messages that came before those in front of them.
 *
 * A message: PUT ASIDE (a row) -> taken in its turn, or dropped: as its link has
 * begun a new epoch, as it does not follow what was taken, as its sender is not
 * known any more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "datum.h"
#include "early.h"
#include "guc.h"

#define AT_ONCE 100
#define LINKS_MAX 16			/* of one sender, that have any */

static FtcStmt early_list = {
	.sql = "SELECT epoch, seq, octet_length(message) FROM ftchain.early_in"
	" WHERE member = $1 AND chain = $2 AND stream = $3 ORDER BY seq",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, INT4OID},
};

/* Each link is looked for behind the one before: a few rows are read, however many there are. */
static FtcStmt early_links = {
	.sql = "WITH RECURSIVE link (chain, stream, n) AS ("
	" (SELECT chain, stream, 1 FROM ftchain.early_in WHERE member = $1 ORDER BY chain, stream LIMIT 1)"
	" UNION ALL SELECT e.chain, e.stream, l.n + 1 FROM link l, LATERAL"
	" (SELECT chain, stream FROM ftchain.early_in WHERE member = $1 AND (chain, stream) > (l.chain, l.stream)"
	" ORDER BY chain, stream LIMIT 1) e WHERE l.n < " CppAsString2(LINKS_MAX) ")"
	" SELECT chain FROM link",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt early_put = {
	.sql = "INSERT INTO ftchain.early_in (member, chain, stream, epoch, seq, before, message)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7)",
	.nargs = 7,
	.argtypes = {BYTEAOID, INT4OID, INT4OID, INT8OID, INT8OID, BYTEAOID, BYTEAOID},
};

static FtcStmt early_get = {
	.sql = "SELECT before, message FROM ftchain.early_in WHERE member = $1 AND chain = $2 AND stream = $3"
	" AND epoch = $4 AND seq >= $5 ORDER BY seq LIMIT " CppAsString2(AT_ONCE),
	.nargs = 5,
	.argtypes = {BYTEAOID, INT4OID, INT4OID, INT8OID, INT8OID},
};

static FtcStmt early_tidy = {
	.sql = "DELETE FROM ftchain.early_in WHERE member = $1 AND chain = $2 AND stream = $3 AND (epoch <> $4 OR seq < $5)",
	.nargs = 5,
	.argtypes = {BYTEAOID, INT4OID, INT4OID, INT8OID, INT8OID},
};

static FtcStmt early_drop = {
	.sql = "DELETE FROM ftchain.early_in WHERE member = $1 AND chain = $2 AND stream = $3",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, INT4OID},
};

static FtcStmt early_prune = {
	.sql = "DELETE FROM ftchain.early_in WHERE received < now() - make_interval(secs => $1)",
	.nargs = 1,
	.argtypes = {FLOAT8OID},
};

static FtcStmt early_senders = {
	.sql = "SELECT DISTINCT member, chain, stream FROM ftchain.early_in",
};

#define LINK(r) ftc_hash_datum(&(r)->sender), Int32GetDatum((r)->chain.id), Int32GetDatum((r)->stream)
#define PLACE(r) Int64GetDatum((int64) (r)->link.end.epoch), Int64GetDatum((int64) (r)->link.end.next)

void
ftc_early_load(FtcIntake *r)
{
	uint64		n = ftc_run(&early_list, LINK(r));

	r->has_early = n > 0;
	for (uint64 i = 0; i < n; i++)
		if ((uint64) DatumGetInt64(ftc_value(i, 0)) == r->link.end.epoch)
			(void) ftc_receiver_hold(&r->link, (uint64) DatumGetInt64(ftc_value(i, 1)),
									 (uint64) DatumGetInt32(ftc_value(i, 2)));
}

/* A sender has many streams, and a bound for each is none for all of them. */
bool
ftc_early_put(FtcIntake *r, uint64 seq, const FtcHash *before, FtcSlice bytes)
{
	if (r->link.n == 0 && !r->has_early && !r->no_place)
		r->no_place = ftc_run(&early_links, ftc_hash_datum(&r->sender)) >= LINKS_MAX;
	if (r->no_place)
		return false;
	ftc_run(&early_put, LINK(r), Int64GetDatum((int64) r->link.end.epoch), Int64GetDatum((int64) seq),
			ftc_hash_datum(before), ftc_slice_datum(bytes));
	return true;
}

/*
 * As many as follow each other.  A row that was changed here does not fit, or will
 * not: then the sender says hello.
 */
int
ftc_early_next(const FtcIntake *r, FtcMessage **messages)
{
	uint64		n = ftc_run(&early_get, LINK(r), PLACE(r));
	FtcHash		value = r->link.end.value;

	*messages = palloc(Max(n, 1) * sizeof(FtcMessage));
	for (uint64 i = 0; i < n; i++)
	{
		FtcMessage *message = &(*messages)[i];
		FtcHash		before = ftc_hash_value(i, 0);

		if (!ftc_hash_equal(&before, &value) ||
			ftc_message_decode(message, ftc_slice_value(i, 1)) != FTC_OK ||
			message->seq != r->link.end.next + i)
			return (int) i;
		value = ftc_link_advance(&value, &message->id, &message->digest);
	}
	return (int) n;
}

void
ftc_early_drop(FtcIntake *r)
{
	ftc_run(&early_drop, LINK(r));
	ftc_receiver_drop(&r->link);
	r->has_early = false;
}

void
ftc_early_tidy(FtcIntake *r)
{
	ftc_run(&early_tidy, LINK(r), PLACE(r));
}

/* Is it one that could still go on? */
static bool
is_known(const FtcIntake *r)
{
	FtcKey		key;

	return (r->stream == FTC_STREAM_LEDGER ? &ftc_ledger_log : &ftc_topic_log)->key(r, &key);
}

void
ftc_early_prune(void)
{
	uint64		n;
	FtcIntake  *links;

	ftc_run(&early_prune, Float8GetDatum((double) ftc_guc_message_retention));
	n = ftc_run(&early_senders, 0);
	links = palloc0(Max(n, 1) * sizeof(FtcIntake));
	for (uint64 i = 0; i < n; i++)
	{
		links[i].sender = ftc_hash_value(i, 0);
		links[i].chain.id = DatumGetInt32(ftc_value(i, 1));
		links[i].stream = (uint16) DatumGetInt32(ftc_value(i, 2));
	}
	for (uint64 i = 0; i < n; i++)
		if (!is_known(&links[i]))
			ftc_run(&early_drop, LINK(&links[i]));
}

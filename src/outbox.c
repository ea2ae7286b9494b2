/*-------------------------------------------------------------------------
 *
 * outbox.c
 *	  What this database announces, and how far each link has come.
 *
 * An announcement: QUEUED (a row) -> ACKED (a link's cursor has passed it).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "branch.h"
#include "datum.h"
#include "outbox.h"
#include "place.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"
#include "words.h"

/*
 * Whoever has more blocks than these to take is catching up, and fetches the
 * bodies at its own pace; perhaps it is doing so already.  A large one is always
 * fetched, in chunks, and on a slow line one is large soon.
 */
#define BODIES_PUSHED 4
#define BODY_PUSHED_MAX (1024 * 1024)

static FtcStmt outbox_put = {
	.sql = "INSERT INTO ftchain.outbox (chain, seq, kind, reference)"
	" SELECT $1, coalesce(max(seq), 0) + 1, $2, $3 FROM ftchain.outbox WHERE chain = $1",
	.nargs = 3,
	.argtypes = {INT4OID, INT2OID, BYTEAOID},
};

/* The first and the last, which is one before the first if there is none. */
static FtcStmt outbox_ends = {
	.sql = "SELECT coalesce(min(seq), 1), coalesce(max(seq), 0) FROM ftchain.outbox WHERE chain = $1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt outbox_from = {
	.sql = "SELECT seq, kind, reference FROM ftchain.outbox"
	" WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
};

static FtcStmt outbox_prune = {
	.sql = "DELETE FROM ftchain.outbox WHERE chain = $1 AND seq <= (SELECT greatest("
	"coalesce((SELECT min(l.acked) FROM ftchain.link_out l JOIN ftchain.peer p ON p.member = l.member"
	" WHERE l.chain = $1), max(seq)) - $2, max(seq) - $3)"
	" FROM ftchain.outbox WHERE chain = $1)",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT8OID},
};

/* As many as go with their bodies: the lowest above that height, and the head. */
static FtcStmt blocks_above = {
	.sql = "SELECT block FROM ftchain.main_chain m WHERE m.chain = $1 AND m.height > $2"
	" AND (m.height < $2 + $3 OR m.height = (SELECT max(h.height) FROM ftchain.main_chain h WHERE h.chain = $1))"
	" ORDER BY m.height",
	.nargs = 3,
	.argtypes = {INT4OID, INT8OID, INT4OID},
};

static FtcStmt source_get = {
	.sql = "SELECT source FROM ftchain.block WHERE id = $1 AND source IS NOT NULL",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt link_get = {
	.sql = "SELECT epoch, base, acked, value FROM ftchain.link_out WHERE chain = $1 AND member = $2",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt link_set = {
	.sql = "INSERT INTO ftchain.link_out (chain, member, epoch, base, acked, value, acked_at)"
	" VALUES ($1, $2, $3, $4, $5, $6, now())"
	" ON CONFLICT (chain, member) DO UPDATE SET epoch = excluded.epoch, base = excluded.base,"
	" acked = excluded.acked, value = excluded.value, acked_at = excluded.acked_at",
	.nargs = 6,
	.argtypes = {INT4OID, BYTEAOID, INT8OID, INT8OID, INT8OID, BYTEAOID},
};

/* One that was taken back since is as good: a word follows it. */
static FtcStmt statement_get = {
	.sql = "SELECT signature FROM ftchain.replica WHERE block = $1 AND member = $2"
	" UNION ALL SELECT signature FROM ftchain.withdrawn WHERE block = $1 AND member = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt body_length = {
	.sql = "SELECT coalesce(sum(u.bytes), 0)::bigint FROM ftchain.block_bundle b"
	" JOIN ftchain.bundle u ON u.id = b.bundle WHERE b.block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static void
announce(int32 chain, FtcMessageKind kind, FtcSlice reference)
{
	/* or its seq might be given again */
	ForceSyncCommit();
	ftc_run(&outbox_put, Int32GetDatum(chain), Int16GetDatum(kind), ftc_slice_datum(reference));
	ftc_wake_at_commit(FTC_WAKE_COURIER);
}

void
ftc_outbox_block(int32 chain, const FtcHash *block)
{
	announce(chain, FTC_MESSAGE_BLOCK, ftc_slice(block->b, FTC_HASH_LEN));
}

/* What a member has said about a block: as it is when it is sent. */
static void
announce_said(int32 chain, FtcMessageKind kind, const FtcHash *block, const FtcHash *member)
{
	uint8		reference[2 * FTC_HASH_LEN];

	memcpy(reference, block->b, FTC_HASH_LEN);
	memcpy(reference + FTC_HASH_LEN, member->b, FTC_HASH_LEN);
	announce(chain, kind, ftc_slice(reference, sizeof(reference)));
}

void
ftc_outbox_stored(int32 chain, const FtcHash *block, const FtcHash *member)
{
	announce_said(chain, FTC_MESSAGE_STORED, block, member);
}

void
ftc_outbox_kept(int32 chain, const FtcHash *block, const FtcHash *member)
{
	announce_said(chain, FTC_MESSAGE_KEPT, block, member);
}

void
ftc_outbox_lost(int32 chain, const FtcHash *block, const FtcHash *member, bool lost)
{
	uint8		reference[2 * FTC_HASH_LEN + 1];

	memcpy(reference, block->b, FTC_HASH_LEN);
	memcpy(reference + FTC_HASH_LEN, member->b, FTC_HASH_LEN);
	reference[2 * FTC_HASH_LEN] = lost ? 1 : 0;
	announce(chain, FTC_MESSAGE_LOST, ftc_slice(reference, sizeof(reference)));
}

#define PARTING_STEPS 100		/* blocks of a branch that are gone back */

/* The height at which a branch leaves the main chain; of one that is not known, some below the head. */
static int64
parting_height(int32 chain, const FtcHash *head)
{
	FtcHash		id = *head;
	FtcStored	stored;

	for (int i = 0; i < PARTING_STEPS && ftc_store_load(&id, &stored) && stored.chain == chain; i++)
	{
		if (stored.on_main)
			return (int64) stored.header.height;
		id = stored.header.prev;
	}
	return Max(ftc_store_main_height(chain) - BODIES_PUSHED, 0);
}

void
ftc_outbox_again(int32 chain, const FtcHash *head)
{
	uint64		n = ftc_run(&blocks_above, Int32GetDatum(chain), Int64GetDatum(parting_height(chain, head)),
							Int32GetDatum(BODIES_PUSHED));
	FtcHash    *blocks = palloc(Max(n, 1) * sizeof(FtcHash));

	for (uint64 i = 0; i < n; i++)
		blocks[i] = ftc_hash_value(i, 0);
	for (uint64 i = 0; i < n; i++)
		ftc_outbox_block(chain, &blocks[i]);
}

/* ----------------------------------------------------------------
 *		The log behind links
 * ----------------------------------------------------------------
 */

static void
outbox_ends_of(const FtcRoute *route, uint64 *horizon, uint64 *end)
{
	ftc_run(&outbox_ends, Int32GetDatum(route->chain));
	*horizon = (uint64) DatumGetInt64(ftc_value(0, 0));
	*end = (uint64) DatumGetInt64(ftc_value(0, 1)) + 1;
}

static int
outbox_read(const FtcRoute *route, uint64 from, int n, FtcMessage *messages)
{
	int			found = (int) ftc_run(&outbox_from, Int32GetDatum(route->chain),
									  Int64GetDatum((int64) from - 1), Int64GetDatum(n));

	for (int i = 0; i < found; i++)
	{
		messages[i].kind = (uint8) DatumGetInt16(ftc_value(i, 1));
		messages[i].seq = (uint64) DatumGetInt64(ftc_value(i, 0));
		messages[i].reference = ftc_slice_value(i, 2);
	}
	return found > 0 && messages[0].seq == from ? found : 0;
}

static bool
link_load(const FtcRoute *route, FtcSender *sender)
{
	if (ftc_run(&link_get, Int32GetDatum(route->chain), ftc_hash_datum(&route->member)) == 0)
		return false;
	sender->end.epoch = (uint64) DatumGetInt64(ftc_value(0, 0));
	sender->base = (uint64) DatumGetInt64(ftc_value(0, 1));
	sender->end.next = (uint64) DatumGetInt64(ftc_value(0, 2)) - sender->base + 1;
	sender->end.value = ftc_hash_value(0, 3);
	return true;
}

static void
link_save(const FtcRoute *route, const FtcSender *sender)
{
	ftc_run(&link_set, Int32GetDatum(route->chain), ftc_hash_datum(&route->member),
			Int64GetDatum((int64) sender->end.epoch), Int64GetDatum((int64) sender->base),
			Int64GetDatum((int64) (sender->base + sender->end.next - 1)), ftc_hash_datum(&sender->end.value));
}

/* Who made a block, or gave it to us, has it. */
static bool
has_it(const FtcStored *stored, const FtcHash *member)
{
	FtcHash		source;

	if (ftc_hash_equal(&stored->header.proposer, member))
		return true;
	if (ftc_run(&source_get, ftc_hash_datum(&stored->id)) == 0)
		return false;
	source = ftc_hash_value(0, 0);
	return ftc_hash_equal(&source, member);
}

/* About, and not made for that. */
static size_t
length_of_body(const FtcHash *id)
{
	ftc_run(&body_length, ftc_hash_datum(id));
	return (size_t) DatumGetInt64(ftc_value(0, 0));
}

/* A block as it goes to a member: with its body if that should hold it. */
static FtcSlice
block_attachment(const FtcHash *id, const FtcHash *member, size_t room)
{
	FtcStored	stored;
	FtcSlice	slice;

	if (!ftc_store_load(id, &stored))
		return ftc_slice(NULL, 0);
	/* the reference will do */
	if (has_it(&stored, member))
		return ftc_slice(NULL, 0);
	if (room == 0 || !ftc_place_is_holder(ftc_branch_current_state(stored.chain), id, member) ||
		!ftc_store_has_body(id) || length_of_body(id) > room || !ftc_store_load_body(stored.chain, id, stored.block.manifest, &stored.block.body) ||
		stored.block.body.len > room)
		stored.block.body = ftc_slice(NULL, 0);
	FTC_ENCODE(slice, ftc_block_encode, &stored.block);
	return slice;
}

static FtcSlice
stored_attachment(FtcSlice reference)
{
	FtcSlice	block = ftc_slice(reference.data, FTC_HASH_LEN);
	FtcSlice	member = ftc_slice(reference.data + FTC_HASH_LEN, FTC_HASH_LEN);

	if (ftc_run(&statement_get, ftc_slice_datum(block), ftc_slice_datum(member)) == 0)
		return ftc_slice(NULL, 0);
	return ftc_slice_value(0, 0);
}

static void
outbox_attach(const FtcRoute *route, FtcMessage *messages, int n)
{
	int			blocks = 0;
	size_t		room;

	for (int i = 0; i < n; i++)
		blocks += messages[i].kind == FTC_MESSAGE_BLOCK;
	room = blocks > BODIES_PUSHED ? 0 : Min(BODY_PUSHED_MAX, route->room / 2);
	for (int i = 0; i < n; i++)
		switch (messages[i].kind)
		{
			case FTC_MESSAGE_BLOCK:
				messages[i].attachment = block_attachment((const FtcHash *) messages[i].reference.data,
														  &route->member, room);
				break;
			case FTC_MESSAGE_STORED:
				messages[i].attachment = stored_attachment(messages[i].reference);
				break;
			case FTC_MESSAGE_KEPT:
				messages[i].attachment = ftc_words_get((const FtcHash *) messages[i].reference.data,
													   (const FtcHash *) (messages[i].reference.data + FTC_HASH_LEN));
				break;
			default:
				messages[i].attachment = ftc_slice(NULL, 0);
				break;
		}
}

/* An epoch starts empty: what went before is for the receiver to reconcile. */
const FtcOutLog ftc_outbox_log = {
	.replays = false,
	.ends = outbox_ends_of,
	.read = outbox_read,
	.attach = outbox_attach,
	.load = link_load,
	.save = link_save,
};

void
ftc_outbox_prune(int32 chain, int64 keep, int64 most)
{
	ftc_run(&outbox_prune, Int32GetDatum(chain), Int64GetDatum(keep), Int64GetDatum(most));
}

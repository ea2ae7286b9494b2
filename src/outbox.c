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
#include "clock.h"
#include "datum.h"
#include "keys.h"
#include "outbox.h"
#include "place.h"
#include "protocol.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"

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

static FtcStmt statement_get = {
	.sql = "SELECT signature FROM ftchain.replica WHERE block = $1 AND member = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
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

void
ftc_outbox_stored(int32 chain, const FtcHash *block, const FtcHash *member)
{
	uint8		reference[2 * FTC_HASH_LEN];

	memcpy(reference, block->b, FTC_HASH_LEN);
	memcpy(reference + FTC_HASH_LEN, member->b, FTC_HASH_LEN);
	announce(chain, FTC_MESSAGE_STORED, ftc_slice(reference, sizeof(reference)));
}

/* ----------------------------------------------------------------
 *		Where a link is
 * ----------------------------------------------------------------
 */

/* The outbox as the sending end of a link sees it. */
typedef struct Log
{
	const FtcRoute *route;
	const FtcOutLink *link;
} Log;

static bool log_value_at(void *arg, uint64 epoch, uint64 base, uint64 seq, FtcHash *value);

static FtcLog
open_log(Log *arg, const FtcOutLink *link, const FtcRoute *route)
{
	FtcLog		log = {.arg = arg,.value_at = log_value_at};

	arg->route = route;
	arg->link = link;
	ftc_run(&outbox_ends, Int32GetDatum(route->chain->id));
	log.horizon = (uint64) DatumGetInt64(ftc_value(0, 0));
	log.end = (uint64) DatumGetInt64(ftc_value(0, 1)) + 1;
	return log;
}

static FtcHash
start_of(const FtcRoute *route, uint64 epoch)
{
	return ftc_link_start(&route->chain->genesis, route->self, route->member, FTC_STREAM_LEDGER, epoch);
}

/* From the nearest value that is known before it, or there. */
static void
nearest_value(const Log *log, uint64 epoch, uint64 seq, uint64 *at, FtcHash *value)
{
	const FtcLinkEnd *end = &log->link->sender.end;

	*at = 1;
	*value = start_of(log->route, epoch);
	if (epoch != end->epoch)
		return;
	if (end->next <= seq)
	{
		*at = end->next;
		*value = end->value;
	}
	for (int i = 0; i < log->link->nvalues; i++)
		if (log->link->values[i].seq <= seq && log->link->values[i].seq > *at)
		{
			*at = log->link->values[i].seq;
			*value = log->link->values[i].value;
		}
}

static bool
log_value_at(void *arg, uint64 epoch, uint64 base, uint64 seq, FtcHash *value)
{
	const Log  *log = arg;
	uint64		at;

	nearest_value(log, epoch, seq, &at, value);
	while (at < seq)
	{
		uint64		n = ftc_run(&outbox_from, Int32GetDatum(log->route->chain->id),
								Int64GetDatum((int64) (base + at - 1)), Int64GetDatum((int64) Min(seq - at, 1000)));

		if (n == 0)
			return false;
		for (uint64 i = 0; i < n; i++)
		{
			uint8		kind = (uint8) DatumGetInt16(ftc_value(i, 1));
			FtcSlice	reference = ftc_slice_value(i, 2);
			FtcHash		id = ftc_message_id(kind, reference);
			FtcHash		digest = ftc_message_digest(kind, reference);

			if ((uint64) DatumGetInt64(ftc_value(i, 0)) != base + at++)
				return false;
			*value = ftc_link_advance(value, &id, &digest);
		}
	}
	return true;
}

static void
save_link(const FtcOutLink *link, const FtcRoute *route)
{
	const FtcSender *sender = &link->sender;

	ftc_run(&link_set, Int32GetDatum(route->chain->id), ftc_hash_datum(route->member),
			Int64GetDatum((int64) sender->end.epoch), Int64GetDatum((int64) sender->base),
			Int64GetDatum((int64) (sender->base + sender->end.next - 1)), ftc_hash_datum(&sender->end.value));
}

static void
forget_values(FtcOutLink *link)
{
	link->nvalues = 0;
}

/*
 * Where it was left, by whatever process; made if need be.  An epoch starts
 * empty: what went before is for the receiver to reconcile.
 */
static void
load_link(FtcOutLink *link, const FtcRoute *route, const FtcLog *log)
{
	FtcSender  *sender = &link->sender;

	forget_values(link);
	if (sender->window == 0)
		ftc_sender_init(sender, &sender->end, 0);
	if (ftc_run(&link_get, Int32GetDatum(route->chain->id), ftc_hash_datum(route->member)) == 0)
	{
		(void) ftc_sender_restart(sender, log, 1);
		save_link(link, route);
		return;
	}
	sender->end.epoch = (uint64) DatumGetInt64(ftc_value(0, 0));
	sender->base = (uint64) DatumGetInt64(ftc_value(0, 1));
	sender->end.next = (uint64) DatumGetInt64(ftc_value(0, 2)) - sender->base + 1;
	sender->end.value = ftc_hash_value(0, 3);
}

static void
note_restart(const FtcRoute *route, uint64 epoch, const FtcLinkEnd *sender, const FtcLinkEnd *receiver)
{
	ftc_store_incident(route->chain->id, "link restarted", -1, NULL, route->member,
					   psprintf("epoch %llu of the link follows: the receiver is at %llu of epoch %llu, this end at %llu of epoch %llu",
								(unsigned long long) epoch, (unsigned long long) receiver->next,
								(unsigned long long) receiver->epoch,
								(unsigned long long) sender->next, (unsigned long long) sender->epoch));
}

/*
 * Epochs are counted up from 1, so none gets here; a receiver that says so must
 * not lead us to where they end.
 */
#define EPOCH_MAX (UINT64CONST(1) << 62)

void
ftc_outbox_hello(FtcOutLink *link, const FtcRoute *route, const FtcAck *says)
{
	Log			arg;
	FtcLog		log = open_log(&arg, link, route);
	FtcAck		ack = *says;
	FtcLinkEnd	before;
	FtcHeard	heard;

	load_link(link, route, &log);
	before = link->sender.end;
	if (ack.end.epoch > EPOCH_MAX && ack.end.epoch > before.epoch)
		ack.end.epoch = 0;
	heard = ftc_sender_hello(&link->sender, &log, &ack);
	if (heard == FTC_HEARD_RESTARTED)
		forget_values(link);
	if (heard == FTC_HEARD_RESTARTED && says->end.epoch > 0)
		note_restart(route, link->sender.end.epoch, &before, &says->end);
	if (heard == FTC_HEARD_RESTARTED || heard == FTC_HEARD_MOVED)
		save_link(link, route);
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
		!ftc_store_has_body(id) || !ftc_store_load_body(stored.chain, id, stored.block.manifest, &stored.block.body) ||
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

#define MESSAGES_MAX 200

/*
 * Whoever has more blocks than these to take is catching up, and fetches the
 * bodies at its own pace; perhaps it is doing so already.  A large one is always
 * fetched.
 */
#define BODIES_PUSHED 4
#define BODY_PUSHED_MAX (1024 * 1024)

/* The rows of the outbox from a position on, without what comes along. */
static int
load_messages(const FtcRoute *route, const FtcSender *sender, const FtcGrant *grant, FtcMessage *messages)
{
	int			n = (int) ftc_run(&outbox_from, Int32GetDatum(route->chain->id),
								  Int64GetDatum((int64) (sender->base + grant->first - 1)),
								  Int64GetDatum((int64) Min(grant->messages, MESSAGES_MAX)));

	for (int i = 0; i < n; i++)
	{
		FtcMessage *m = &messages[i];

		m->kind = (uint8) DatumGetInt16(ftc_value(i, 1));
		m->stream = FTC_STREAM_LEDGER;
		m->epoch = sender->end.epoch;
		m->seq = (uint64) DatumGetInt64(ftc_value(i, 0)) - sender->base;
		m->reference = ftc_slice_value(i, 2);
		m->id = ftc_message_id(m->kind, m->reference);
		m->digest = ftc_message_digest(m->kind, m->reference);
	}
	return n > 0 && messages[0].seq == grant->first ? n : 0;
}

static int
count_blocks(const FtcMessage *messages, int n)
{
	int			blocks = 0;

	for (int i = 0; i < n; i++)
		blocks += messages[i].kind == FTC_MESSAGE_BLOCK;
	return blocks;
}

/* Put together what goes along, as far as it may be sent. */
static void
encode_messages(const FtcRoute *route, FtcMessage *messages, int n, const FtcGrant *grant, FtcOutgoing *out)
{
	size_t		room = count_blocks(messages, n) > BODIES_PUSHED ? 0 : BODY_PUSHED_MAX;

	out->n = 0;
	out->bytes = 0;
	out->messages = palloc(n * sizeof(FtcSlice));
	out->first = grant->first;
	while (out->n < n && (out->n == 0 || grant->again || out->bytes < Min(grant->bytes, FTC_CALL_BYTES)))
	{
		FtcMessage *m = &messages[out->n];
		FtcSlice   *encoded = &out->messages[out->n++];

		m->attachment = m->kind == FTC_MESSAGE_BLOCK
			? block_attachment((const FtcHash *) m->reference.data, route->member, room)
			: stored_attachment(m->reference);
		FTC_ENCODE(*encoded, ftc_message_encode, m);
		out->bytes += encoded->len;
		out->value = ftc_link_advance(&out->value, &m->id, &m->digest);
	}
}

/*
 * What is not kept any more cannot be sent: the link has fallen behind for good,
 * and goes on with a new epoch.
 */
bool
ftc_outbox_next(FtcOutLink *link, const FtcRoute *route, FtcOutgoing *out)
{
	FtcSender  *sender = &link->sender;
	FtcMessage	messages[MESSAGES_MAX];
	Log			arg;
	FtcLog		log = open_log(&arg, link, route);
	FtcGrant	grant;
	int			n;

	if (sender->state == FTC_SENDER_OPEN && sender->base + sender->end.next < log.horizon)
	{
		(void) ftc_sender_restart(sender, &log, sender->end.epoch + 1);
		forget_values(link);
		save_link(link, route);
		return false;
	}
	if (!ftc_sender_next(sender, &log, ftc_clock_steady(), &grant))
		return false;
	n = load_messages(route, sender, &grant, messages);
	if (n == 0 || !log_value_at(&arg, sender->end.epoch, sender->base, grant.first, &out->value))
		return false;
	encode_messages(route, messages, n, &grant, out);
	ftc_keys_sign(FTC_DOMAIN_ACCOUNT, &route->chain->genesis, &out->value, &out->account);
	return true;
}

static void
remember_value(FtcOutLink *link, uint64 seq, const FtcHash *value)
{
	if (link->nvalues == lengthof(link->values))
	{
		link->nvalues--;
		memmove(link->values, link->values + 1, link->nvalues * sizeof(link->values[0]));
	}
	link->values[link->nvalues].seq = seq;
	link->values[link->nvalues++].value = *value;
}

uint64
ftc_outbox_sent(FtcOutLink *link, const FtcOutgoing *out)
{
	remember_value(link, out->first + out->n, &out->value);
	return ftc_sender_sent(&link->sender, out->first, out->first + out->n, out->bytes, ftc_clock_steady());
}

bool
ftc_outbox_ack(FtcOutLink *link, const FtcRoute *route, const FtcAck *ack, uint64 order)
{
	Log			arg;
	FtcLog		log = open_log(&arg, link, route);
	uint64		now = ftc_clock_steady();

	if (ftc_sender_ack(&link->sender, &log, ack, order, now) == FTC_HEARD_MOVED)
		save_link(link, route);
	return link->sender.hold_until <= now;
}

void
ftc_outbox_failed(FtcOutLink *link, uint64 order)
{
	ftc_sender_failed(&link->sender, order, ftc_clock_steady());
}

void
ftc_outbox_cut(FtcOutLink *link)
{
	ftc_sender_cut(&link->sender);
}

void
ftc_outbox_prune(int32 chain, int64 keep, int64 most)
{
	ftc_run(&outbox_prune, Int32GetDatum(chain), Int64GetDatum(keep), Int64GetDatum(most));
}

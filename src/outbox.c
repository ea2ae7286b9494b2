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
#include "keys.h"
#include "outbox.h"
#include "place.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"

static FtcStmt outbox_put = {
	.sql = "INSERT INTO ftchain.outbox (chain, seq, kind, reference)"
	" SELECT $1, coalesce(max(seq), 0) + 1, $2, $3 FROM ftchain.outbox WHERE chain = $1",
	.nargs = 3,
	.argtypes = {INT4OID, INT2OID, BYTEAOID},
};

static FtcStmt outbox_end = {
	.sql = "SELECT coalesce(max(seq), 0) FROM ftchain.outbox WHERE chain = $1",
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

static int64
end_of_outbox(int32 chain)
{
	ftc_run(&outbox_end, Int32GetDatum(chain));
	return DatumGetInt64(ftc_value(0, 0));
}

static void
save_link(const FtcChain *chain, const FtcHash *member, const FtcLinkOut *link)
{
	ftc_run(&link_set, Int32GetDatum(chain->id), ftc_hash_datum(member), Int64GetDatum(link->epoch),
			Int64GetDatum(link->base), Int64GetDatum(link->acked), ftc_hash_datum(&link->value));
}

/* An epoch starts empty: what went before is for the receiver to reconcile. */
static void
open_epoch(const FtcChain *chain, const FtcHash *self, const FtcHash *member,
		   int64 epoch, FtcLinkOut *link)
{
	link->epoch = epoch;
	link->base = link->acked = end_of_outbox(chain->id);
	link->value = ftc_link_start(&chain->genesis, self, member, FTC_STREAM_LEDGER, epoch);
	save_link(chain, member, link);
}

void
ftc_outbox_link(const FtcChain *chain, const FtcHash *self, const FtcHash *member, FtcLinkOut *link)
{
	if (ftc_run(&link_get, Int32GetDatum(chain->id), ftc_hash_datum(member)) == 0)
	{
		open_epoch(chain, self, member, 1, link);
		return;
	}
	link->epoch = DatumGetInt64(ftc_value(0, 0));
	link->base = DatumGetInt64(ftc_value(0, 1));
	link->acked = DatumGetInt64(ftc_value(0, 2));
	link->value = ftc_hash_value(0, 3);
}

/*
 * The link's chain value after an outbox seq: from the last acknowledged one
 * if that is not beyond it, else from the start of the epoch.  False if the
 * outbox no longer, or not yet, goes there.
 */
static bool
value_at(const FtcChain *chain, const FtcHash *self, const FtcHash *member,
		 const FtcLinkOut *link, int64 seq, FtcHash *value)
{
	int64		at = link->acked;

	*value = link->value;
	if (seq < at)
	{
		at = link->base;
		*value = ftc_link_start(&chain->genesis, self, member, FTC_STREAM_LEDGER, link->epoch);
	}
	while (at < seq)
	{
		uint64		n = ftc_run(&outbox_from, Int32GetDatum(chain->id), Int64GetDatum(at),
								Int64GetDatum(Min(seq - at, 1000)));

		if (n == 0)
			return false;
		for (uint64 i = 0; i < n; i++)
		{
			uint8		kind = (uint8) DatumGetInt16(ftc_value(i, 1));
			FtcSlice	reference = ftc_slice_value(i, 2);
			FtcHash		id = ftc_message_id(kind, reference);
			FtcHash		digest = ftc_message_digest(kind, reference);

			if (DatumGetInt64(ftc_value(i, 0)) != ++at)
				return false;
			*value = ftc_link_advance(value, &id, &digest);
		}
	}

	/*
	 * what follows must be there still, or the link would wait for it for
	 * ever
	 */
	if (ftc_run(&outbox_from, Int32GetDatum(chain->id), Int64GetDatum(seq), Int64GetDatum(1)) == 0)
		return seq == end_of_outbox(chain->id);
	return DatumGetInt64(ftc_value(0, 0)) == seq + 1;
}

static void
note_restart(const FtcChain *chain, const FtcHash *member, uint64 epoch,
			 const FtcLinkEnd *sender, const FtcLinkEnd *receiver)
{
	ftc_store_incident(chain->id, "link restarted", -1, NULL, member,
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

bool
ftc_outbox_hello(const FtcChain *chain, const FtcHash *self, const FtcHash *member,
				 const FtcLinkEnd *says)
{
	FtcLinkEnd	end = *says;
	const FtcLinkEnd *receiver = &end;
	FtcLinkOut	link;
	FtcLinkEnd	sender;
	FtcHash		value;
	bool		known;
	uint64		next;
	uint64		epoch;

	ftc_outbox_link(chain, self, member, &link);
	if (end.epoch > EPOCH_MAX && end.epoch > (uint64) link.epoch)
		end.epoch = 0;
	sender.epoch = link.epoch;
	sender.next = link.acked - link.base + 1;
	sender.value = link.value;
	known = receiver->epoch == (uint64) link.epoch && receiver->next >= 1 &&
		receiver->next <= PG_INT64_MAX - (uint64) link.base &&
		value_at(chain, self, member, &link, link.base + (int64) receiver->next - 1, &value);
	if (ftc_link_hello(&sender, end_of_outbox(chain->id) - link.base + 1, receiver,
					   known ? &value : NULL, &next, &epoch) == FTC_LINK_STREAM)
	{
		int64		acked = link.base + (int64) next - 1;

		if (acked != link.acked)
		{
			link.acked = acked;
			link.value = known ? value
				: ftc_link_start(&chain->genesis, self, member, FTC_STREAM_LEDGER, link.epoch);
			save_link(chain, member, &link);
		}
		return true;
	}
	if (says->epoch > 0)
		note_restart(chain, member, epoch, &sender, says);
	open_epoch(chain, self, member, (int64) epoch, &link);
	return false;
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
 * bodies at its own pace; perhaps it is doing so already.
 */
#define BODIES_PUSHED 4

/*
 * The rows of the outbox that come next, without what comes along.  If the
 * first is not there any more the link has fallen behind for good.
 */
static int
load_messages(const FtcChain *chain, const FtcLinkOut *link, FtcMessage *messages, bool *pruned)
{
	int			n = (int) ftc_run(&outbox_from, Int32GetDatum(chain->id), Int64GetDatum(link->acked),
								  Int64GetDatum(MESSAGES_MAX));

	*pruned = n > 0 && DatumGetInt64(ftc_value(0, 0)) != link->acked + 1;
	for (int i = 0; i < n; i++)
	{
		FtcMessage *m = &messages[i];

		m->kind = (uint8) DatumGetInt16(ftc_value(i, 1));
		m->stream = FTC_STREAM_LEDGER;
		m->epoch = (uint64) link->epoch;
		m->seq = (uint64) (DatumGetInt64(ftc_value(i, 0)) - link->base);
		m->reference = ftc_slice_value(i, 2);
		m->id = ftc_message_id(m->kind, m->reference);
		m->digest = ftc_message_digest(m->kind, m->reference);
	}
	return n;
}

static int
count_blocks(const FtcMessage *messages, int n)
{
	int			blocks = 0;

	for (int i = 0; i < n; i++)
		blocks += messages[i].kind == FTC_MESSAGE_BLOCK;
	return blocks;
}

bool
ftc_outbox_messages(const FtcChain *chain, const FtcHash *self, const FtcHash *member,
					size_t most_bytes, FtcOutgoing *out)
{
	FtcLinkOut	link;
	FtcHash		value;
	FtcMessage	messages[MESSAGES_MAX];
	size_t		bytes = 0;
	size_t		room;
	bool		pruned;
	int			n;

	ftc_outbox_link(chain, self, member, &link);
	n = load_messages(chain, &link, messages, &pruned);
	if (pruned)
		open_epoch(chain, self, member, link.epoch + 1, &link);
	if (pruned || n == 0)
		return false;
	out->n = 0;
	out->messages = palloc(n * sizeof(FtcSlice));
	out->epoch = messages[0].epoch;
	out->first = messages[0].seq;
	value = link.value;
	room = count_blocks(messages, n) > BODIES_PUSHED ? 0 : FTC_BODY_MAX;
	while (out->n < n && (out->n == 0 || bytes < most_bytes))
	{
		FtcMessage *m = &messages[out->n];
		FtcSlice   *encoded = &out->messages[out->n++];

		m->attachment = m->kind == FTC_MESSAGE_BLOCK
			? block_attachment((const FtcHash *) m->reference.data, member, room)
			: stored_attachment(m->reference);
		FTC_ENCODE(*encoded, ftc_message_encode, m);
		bytes += encoded->len;
		value = ftc_link_advance(&value, &m->id, &m->digest);
	}
	ftc_keys_sign(FTC_DOMAIN_ACCOUNT, &chain->genesis, &value, &out->account);
	return true;
}

void
ftc_outbox_prune(int32 chain, int64 keep, int64 most)
{
	ftc_run(&outbox_prune, Int32GetDatum(chain), Int64GetDatum(keep), Int64GetDatum(most));
}

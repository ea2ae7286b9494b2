/*-------------------------------------------------------------------------
 *
 * outbox.c
 *	  What a member announces, and how far each link has come: src/outbox.c, with
 *	  the core's messages, chain values and decisions.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define MESSAGES_MAX 200
#define BODIES_PUSHED 4
#define CALL_BYTES (256 * 1024)

static void
announce(Member *m, uint32_t block, const FtcMessage *message)
{
	Row		   *row;

	if (m->nrows == m->rows_size)
	{
		m->outbox = world_grow(m->world, m->outbox, m->rows_size, Max(16, m->rows_size), sizeof(Row));
		m->rows_size += Max(16, m->rows_size);
	}
	row = &m->outbox[m->nrows++];
	row->block = block;
	row->message = message;
	m->look = true;
}

static void
set_message(FtcMessage *message, FtcMessageKind kind, FtcSlice reference, FtcSlice attachment)
{
	message->kind = (uint8_t) kind;
	message->stream = FTC_STREAM_LEDGER;
	message->reference = reference;
	message->attachment = attachment;
	message->id = ftc_message_id(message->kind, reference);
	message->digest = ftc_message_digest(message->kind, reference);
}

/* The message is the same whoever sends it. */
void
outbox_block(Member *m, uint32_t block)
{
	World	   *w = m->world;
	Block	   *b = &w->blocks[block];

	if (b->message == NULL)
	{
		FtcMessage *message = world_alloc(w, sizeof(FtcMessage));

		set_message(message, FTC_MESSAGE_BLOCK, world_copy(w, ftc_slice(b->id.b, FTC_HASH_LEN)), ftc_slice(NULL, 0));
		b->message = message;
	}
	announce(m, block, b->message);
}

/* That the body is stored here. */
void
outbox_stored(Member *m, uint32_t block)
{
	World	   *w = m->world;
	FtcMessage *message = world_alloc(w, sizeof(FtcMessage));
	FtcSignature signature = ledger_sign_statement(w, block, m->no);
	uint8_t		reference[2 * FTC_HASH_LEN];

	memcpy(reference, w->blocks[block].id.b, FTC_HASH_LEN);
	memcpy(reference + FTC_HASH_LEN, m->id.b, FTC_HASH_LEN);
	set_message(message, FTC_MESSAGE_STORED, world_copy(w, ftc_slice(reference, sizeof(reference))),
				world_copy(w, ftc_slice(signature.b, sizeof(signature.b))));
	announce(m, NONE, message);
}

void
outbox_lie(Member *m, const FtcHash *id, FtcSlice attachment)
{
	World	   *w = m->world;
	FtcMessage *message = world_alloc(w, sizeof(FtcMessage));

	set_message(message, FTC_MESSAGE_BLOCK, world_copy(w, ftc_slice(id->b, FTC_HASH_LEN)), world_copy(w, attachment));
	announce(m, NONE, message);
}

static FtcHash
start_of(Member *m, const Peer *p, uint64_t epoch)
{
	World	   *w = m->world;

	return ftc_link_start(&w->genesis, &m->id, &w->members[p->member].id, FTC_STREAM_LEDGER, epoch);
}

/* An epoch starts empty: what went before is for the receiver to reconcile. */
static void
open_epoch(Member *m, Peer *p, uint64_t epoch)
{
	p->epoch = epoch;
	p->base = p->acked = m->nrows;
	p->value = start_of(m, p, epoch);
}

void
outbox_link(Member *m, Peer *p)
{
	if (p->epoch == 0)
		open_epoch(m, p, 1);
}

/* The link's chain value after a row; false if the outbox does not go there. */
static bool
value_at(Member *m, const Peer *p, uint64_t row, FtcHash *value)
{
	uint64_t	at = p->acked;

	*value = p->value;
	if (row < at)
	{
		at = p->base;
		*value = start_of(m, p, p->epoch);
	}
	if (row > m->nrows || (at < row && at < m->pruned))
		return false;
	for (; at < row; at++)
		*value = ftc_link_advance(value, &m->outbox[at].message->id, &m->outbox[at].message->digest);
	/* what follows must be there still */
	return row >= m->pruned;
}

/*
 * What src/outbox.c does: a receiver must not lead us to where epochs end.
 */
#define EPOCH_MAX (UINT64_C(1) << 62)

bool
outbox_hello(Member *m, Peer *p, const FtcLinkEnd *says)
{
	FtcLinkEnd	receiver = *says;
	FtcLinkEnd	sender;
	FtcHash		value = {{0}};
	bool		known;
	uint64_t	next;
	uint64_t	epoch;

	outbox_link(m, p);
	if (receiver.epoch > EPOCH_MAX && receiver.epoch > p->epoch)
		receiver.epoch = 0;
	sender.epoch = p->epoch;
	sender.next = p->acked - p->base + 1;
	sender.value = p->value;
	known = receiver.epoch == p->epoch && receiver.next >= 1 && receiver.next <= INT64_MAX - p->base &&
		value_at(m, p, p->base + receiver.next - 1, &value);
	if (mutated(m->world, MUTANT_LINK_VALUE))
		receiver.value = value;
	if (ftc_link_hello(&sender, m->nrows - p->base + 1, &receiver, known ? &value : NULL,
					   &next, &epoch) == FTC_LINK_STREAM)
	{
		if (p->base + next - 1 != p->acked)
		{
			p->acked = p->base + next - 1;
			p->value = known ? value : start_of(m, p, p->epoch);
		}
		return true;
	}
	trace(m->world, "%u opens epoch %llu to %u", m->no, (unsigned long long) epoch, p->member);
	if (says->epoch > 0)
		see(m->world, SIGHT_EPOCH);
	open_epoch(m, p, epoch);
	return false;
}

/* Who made a block, or gave it to us, has it. */
static bool
has_it(Member *m, const Peer *p, uint32_t block)
{
	World	   *w = m->world;

	return ftc_hash_equal(&w->blocks[block].header.proposer, &w->members[p->member].id) ||
		record_of(m, block)->source == p->member;
}

/* A body that is held back goes to nobody. */
static bool
gives_body(Member *m, uint32_t block)
{
	World	   *w = m->world;

	return record_of(m, block)->has_body &&
		(!m->withholds || w->peace || !ftc_hash_equal(&w->blocks[block].header.proposer, &m->id));
}

static void
put_message(Member *m, const Peer *p, FtcWriter *into, const Row *row, uint64_t seq, bool with_body)
{
	FtcMessage	message = *row->message;
	FtcBlock	block;
	size_t		len;

	message.epoch = p->epoch;
	message.seq = seq;
	if (row->block != NONE && !has_it(m, p, row->block))
	{
		block = m->world->blocks[row->block].block;
		if (!with_body || !ledger_is_owner(m->world, row->block, p->member) || !gives_body(m, row->block))
			block.body.len = 0;
		len = ftc_block_encode(&block, NULL, 0);
		message.attachment.data = malloc(len);
		message.attachment.len = len;
		ftc_block_encode(&block, (uint8_t *) message.attachment.data, len);
	}
	len = ftc_message_encode(&message, NULL, 0);
	ftc_put_u32(into, (uint32_t) len);
	if (into->len + len <= into->size)
		ftc_message_encode(&message, into->buf + into->len, into->size - into->len);
	into->len += len;
	if (row->block != NONE)
		free((void *) message.attachment.data);
}

static uint64_t
count_blocks(const Row *rows, uint64_t n)
{
	uint64_t	blocks = 0;

	for (uint64_t i = 0; i < n; i++)
		blocks += rows[i].message->kind == FTC_MESSAGE_BLOCK;
	return blocks;
}

/*
 * The messages that come next, into a call: account, count, messages.  False if
 * there are none.
 */
bool
outbox_send(Member *m, Peer *p, FtcWriter *into, Call *call)
{
	World	   *w = m->world;
	uint64_t	from;
	uint64_t	n;
	FtcHash		value;
	FtcSignature account;
	FtcWriter	front;
	bool		with_bodies;

	outbox_link(m, p);
	if (p->calls_open == 0)
	{
		p->sent = p->acked;
		p->sent_value = p->value;
	}
	from = p->sent;
	if (from < m->pruned && from < m->nrows)
	{
		see(w, SIGHT_PRUNED);
		open_epoch(m, p, p->epoch + 1);
		return false;
	}
	n = Min(m->nrows - from, MESSAGES_MAX);
	if (n == 0)
		return false;
	call->epoch = p->epoch;
	call->first = from - p->base + 1;
	with_bodies = count_blocks(&m->outbox[from], n) <= BODIES_PUSHED;
	front = *into;
	into->len += FTC_SIGNATURE_LEN + 4;
	value = p->sent_value;
	for (uint64_t i = 0; i < n; i++)
	{
		const Row  *row = &m->outbox[from + i];

		put_message(m, p, into, row, from + i - p->base + 1, with_bodies);
		value = ftc_link_advance(&value, &row->message->id, &row->message->digest);
		if (into->len > CALL_BYTES)
			n = i + 1;
	}
	ftc_sign(&m->seed, FTC_DOMAIN_ACCOUNT, &w->genesis, &value, &account);
	ftc_put_bytes(&front, account.b, FTC_SIGNATURE_LEN);
	ftc_put_u32(&front, (uint32_t) n);
	p->sent = from + n;
	p->sent_value = value;
	return true;
}

/*-------------------------------------------------------------------------
 *
 * outbox.c
 *	  What a member announces, and how far each link has come: src/outbox.c and
 *	  src/sending.c, with the core's sender and messages.
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

/* ----------------------------------------------------------------
 *		The log behind links
 * ----------------------------------------------------------------
 */

typedef struct Log
{
	Member	   *m;
	Peer	   *p;
} Log;

/* From what is saved, or from the epoch's beginning; false if the outbox does not go there. */
static bool
value_at(void *arg, uint64_t epoch, uint64_t base, uint64_t seq, FtcHash *value)
{
	const Log  *log = arg;
	const Member *m = log->m;
	const Peer *p = log->p;
	uint64_t	row = base + seq - 1;
	uint64_t	at = base;

	*value = start_of(log->m, p, epoch);
	if (epoch == p->epoch && p->acked <= row)
	{
		at = p->acked;
		*value = p->value;
	}
	if (epoch == p->epoch && p->sent <= row && p->sent >= at)
	{
		at = p->sent;
		*value = p->sent_value;
	}
	if (row > m->nrows || (at < row && at < m->pruned))
		return false;
	for (; at < row; at++)
		*value = ftc_link_advance(value, &m->outbox[at].message->id, &m->outbox[at].message->digest);
	return true;
}

/* An epoch starts empty: what went before is for the receiver to reconcile. */
static FtcLog
open_log(Log *arg, Member *m, Peer *p)
{
	FtcLog		log = {.arg = arg,.horizon = m->pruned + 1,.end = m->nrows + 1,.replays = false,.value_at = value_at};

	arg->m = m;
	arg->p = p;
	return log;
}

static void
save(Peer *p, FtcHeard heard)
{
	const FtcSender *sender = p->sender;

	if (heard != FTC_HEARD_RESTARTED && heard != FTC_HEARD_MOVED)
		return;
	p->epoch = sender->end.epoch;
	p->base = sender->base;
	p->acked = sender->base + sender->end.next - 1;
	p->value = sender->end.value;
	if (heard == FTC_HEARD_RESTARTED || p->sent < p->acked)
	{
		p->sent = p->acked;
		p->sent_value = p->value;
	}
}

/* As it was left; a process that has begun knows only that. */
static FtcSender *
load(Member *m, Peer *p, const FtcLog *log)
{
	FtcLinkEnd	end = {p->epoch, p->acked - p->base + 1, p->value};

	if (p->sender == NULL)
		p->sender = world_alloc(m->world, sizeof(FtcSender));
	if (p->sender->window != 0)
		return p->sender;
	ftc_sender_init(p->sender, &end, p->base);
	p->sent = p->acked;
	p->sent_value = p->value;
	if (p->epoch == 0)
		save(p, ftc_sender_restart(p->sender, log, 1));
	return p->sender;
}

void
outbox_cut(Peer *p)
{
	if (p->sender != NULL && p->sender->window != 0)
		ftc_sender_cut(p->sender);
}

uint64_t
outbox_hold_until(const Peer *p)
{
	return p->sender == NULL ? 0 : p->sender->hold_until;
}

/*
 * What src/sending.c does: a receiver must not lead us to where epochs end.
 */
#define EPOCH_MAX (UINT64_C(1) << 62)

/* A mutant believes every value. */
static FtcAck
heed(Log *arg, const FtcAck *says)
{
	FtcAck		ack = *says;
	const Peer *p = arg->p;

	if (mutated(arg->m->world, MUTANT_LINK_VALUE) && ack.end.epoch == p->epoch && ack.end.next >= 1 &&
		ack.end.next <= INT64_MAX - p->base)
		(void) value_at(arg, p->epoch, p->base, ack.end.next, &ack.end.value);
	if (ack.end.epoch > EPOCH_MAX && ack.end.epoch > p->epoch)
		ack.end.epoch = 0;
	return ack;
}

static void
note_restart(Member *m, const Peer *p)
{
	trace(m->world, "%u opens epoch %llu to %u", m->no, (unsigned long long) p->epoch, p->member);
}

void
outbox_hello(Member *m, Peer *p, const FtcAck *says)
{
	Log			arg;
	FtcLog		log = open_log(&arg, m, p);
	FtcSender  *sender = load(m, p, &log);
	FtcAck		ack = heed(&arg, says);
	FtcHeard	heard = ftc_sender_hello(sender, &log, &ack);

	save(p, heard);
	if (heard != FTC_HEARD_RESTARTED)
		return;
	note_restart(m, p);
	if (says->end.epoch > 0)
		see(m->world, SIGHT_EPOCH);
}

/* False if nothing of it was taken, and the link holds back. */
bool
outbox_ack(Member *m, Peer *p, const FtcAck *says, uint64_t order)
{
	Log			arg;
	FtcLog		log = open_log(&arg, m, p);
	FtcSender  *sender = load(m, p, &log);
	FtcAck		ack = heed(&arg, says);

	save(p, ftc_sender_ack(sender, &log, &ack, order, m->world->now));
	p->greeted &= sender->state == FTC_SENDER_OPEN;
	return sender->hold_until <= m->world->now;
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

	message.epoch = p->sender->end.epoch;
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

/* What is to be sent is gone: the link goes on with a new epoch. */
static bool
is_behind(Member *m, Peer *p, const FtcLog *log)
{
	FtcSender  *sender = p->sender;

	if (sender->state != FTC_SENDER_OPEN || sender->base + sender->end.next >= log->horizon)
		return false;
	see(m->world, SIGHT_PRUNED);
	save(p, ftc_sender_restart(sender, log, sender->end.epoch + 1));
	note_restart(m, p);
	p->greeted = false;
	return true;
}

/*
 * The messages that come next, into a call: account, count, messages.  False if
 * there are none.
 */
bool
outbox_send(Member *m, Peer *p, FtcWriter *into, Call *call)
{
	World	   *w = m->world;
	Log			arg;
	FtcLog		log = open_log(&arg, m, p);
	FtcSender  *sender = load(m, p, &log);
	FtcGrant	grant;
	uint64_t	from;
	uint64_t	n;
	FtcHash		value;
	FtcSignature account;
	FtcWriter	front = *into;
	size_t		before;
	bool		with_bodies;

	if (is_behind(m, p, &log) || !ftc_sender_next(sender, &log, w->now, &grant) ||
		!value_at(&arg, sender->end.epoch, sender->base, grant.first, &value))
		return false;
	from = sender->base + grant.first - 1;
	n = Min(grant.messages, MESSAGES_MAX);
	with_bodies = count_blocks(&m->outbox[from], n) <= BODIES_PUSHED;
	into->len += FTC_SIGNATURE_LEN + 4;
	before = into->len;
	for (uint64_t i = 0; i < n; i++)
	{
		const Row  *row = &m->outbox[from + i];

		put_message(m, p, into, row, grant.first + i, with_bodies);
		value = ftc_link_advance(&value, &row->message->id, &row->message->digest);
		if (into->len > CALL_BYTES || into->len - before >= grant.bytes)
			n = i + 1;
	}
	ftc_sign(&m->seed, FTC_DOMAIN_ACCOUNT, &w->genesis, &value, &account);
	ftc_put_bytes(&front, account.b, FTC_SIGNATURE_LEN);
	ftc_put_u32(&front, (uint32_t) n);
	call->order = ftc_sender_sent(sender, grant.first, grant.first + n, into->len - before, w->now);
	if (from + n > p->sent)
	{
		p->sent = from + n;
		p->sent_value = value;
	}
	return true;
}

/*-------------------------------------------------------------------------
 *
 * courier.c
 *	  What members call on each other, and what they answer: src/serve.c,
 *	  src/courier_calls.c and src/courier_answers.c in short.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define BLOCKS_AT_ONCE 200
#define CALL_BYTES (256 * 1024)
#define CALL_TIMEOUT (5 * SECOND)
#define PATIENCE (500 * MS)		/* of those who need not hold a body */
#define BODIES_PATIENCE (600 * MS)	/* with bodies that may come by another
									 * way */
#define WAIT_LEAST (250 * MS)
#define WAIT_DOUBLED_MOST 5

Peer *
peer_of(Member *m, uint32_t member)
{
	for (uint32_t i = 0; i < m->npeers; i++)
		if (m->peers[i].member == member)
			return &m->peers[i];
	return NULL;
}

static uint64_t
wait_of(const Peer *p)
{
	return WAIT_LEAST << Min(p->failures, WAIT_DOUBLED_MOST);
}

static void
leave(Member *m, Peer *p)
{
	p->failures++;
	p->greeted = false;
	p->behind = false;
	p->calls_open = 0;
	memset(p->calls, 0, sizeof(p->calls));
	outbox_cut(p);
	p->retry_at = m->world->now + wait_of(p);
}

static void
begin_pass(Member *m, Peer *p)
{
	p->passed = p->skipped = false;
	p->pass_at = m->world->now;
	p->want_height = 0;
	p->want_block = 0;
}

static void
look_everywhere(Member *m)
{
	if (mutated(m->world, MUTANT_PARENTS))
		return;
	for (uint32_t i = 0; i < m->npeers; i++)
		m->peers[i].behind = true;
	m->look = true;
}

/* ----------------------------------------------------------------
 *		Calls
 * ----------------------------------------------------------------
 */

static FtcWriter
scratch(const World *w)
{
	return ftc_writer(w->scratch, SCRATCH_LEN);
}

static Call *
free_call(Peer *p)
{
	for (int i = 0; i < CALLS_MAX; i++)
		if (p->calls[i].number == 0)
			return &p->calls[i];
	return NULL;
}

static void
send_call(Member *m, Peer *p, Call *into, Call call, const FtcWriter *args)
{
	World	   *w = m->world;
	Packet	   *packet;

	if (args->len > args->size)
	{
		world_fail(w, "a call of %zu bytes", args->len);
		return;
	}
	call.number = ++w->call_number;
	call.deadline = w->now + CALL_TIMEOUT;
	*into = call;
	p->calls_open++;
	packet = packet_new(m->no, p->member, call.kind, false, call.number, ftc_slice(args->buf, args->len));
	packet->boot = m->boot;
	network_send(w, packet);
}

static void
call_hello(Member *m, Peer *p, Call *into)
{
	FtcWriter	args = scratch(m->world);
	Call		call = {.kind = CALL_HELLO};

	ftc_put_hash(&args, &m->world->genesis);
	send_call(m, p, into, call, &args);
}

static bool
call_receive(Member *m, Peer *p, Call *into)
{
	FtcWriter	args = scratch(m->world);
	Call		call = {.kind = CALL_RECEIVE};

	if (m->hiding || !p->greeted || !outbox_send(m, p, &args, &call))
		return false;
	send_call(m, p, into, call, &args);
	return true;
}

/* Where we are, ever coarser towards the genesis; first what this peer gave last. */
static void
call_blocks(Member *m, Peer *p, Call *into)
{
	World	   *w = m->world;
	FtcWriter	args = scratch(w);
	Call		call = {.kind = CALL_BLOCKS};
	uint32_t	height = m->main.n - 1;
	uint32_t	step = 1;

	if (p->reached != NONE)
		ftc_put_hash(&args, &w->blocks[p->reached].id);
	for (uint32_t i = 0; i < 40; i++)
	{
		ftc_put_hash(&args, &w->blocks[m->main.at[height]].id);
		if (height == 0)
			break;
		if (i >= 10)
			step *= 2;
		height -= Min(height, step);
	}
	send_call(m, p, into, call, &args);
}

/*
 * The next body that is wanted, by height.  Some are skipped: another peer is
 * being asked, or those who need not hold it wait for it to be stored elsewhere.
 */
static uint32_t
next_wanted(Member *m, const Peer *p, bool *skipped)
{
	const World *w = m->world;
	uint32_t	best = NONE;

	for (uint32_t i = 0; i < m->wanted.n; i++)
	{
		uint32_t	block = m->wanted.at[i];
		uint64_t	height = w->blocks[block].header.height;

		if (height < p->want_height || (height == p->want_height && block <= p->want_block))
			continue;
		if (record_of(m, block)->asked > w->now ||
			(!ledger_is_owner(w, block, m->no) && record_of(m, block)->wanted_at + PATIENCE > w->now))
		{
			*skipped = true;
			continue;
		}
		if (best == NONE || height < w->blocks[best].header.height ||
			(height == w->blocks[best].header.height && block < best))
			best = block;
	}
	return best;
}

static bool
call_block(Member *m, Peer *p, Call *into)
{
	World	   *w = m->world;
	FtcWriter	args = scratch(w);
	Call		call = {.kind = CALL_BLOCK};

	if (m->wanted.n == 0 || w->now < p->pass_at)
		return false;
	call.block = next_wanted(m, p, &p->skipped);
	if (call.block == NONE)
	{
		uint64_t	again = w->now + (p->skipped ? BODIES_PATIENCE : w->settings.heartbeat);

		begin_pass(m, p);
		p->passed = true;
		p->pass_at = again;
		return false;
	}
	p->want_height = w->blocks[call.block].header.height;
	p->want_block = call.block;
	record_of(m, call.block)->asked = w->now + CALL_TIMEOUT;
	ftc_put_hash(&args, &w->blocks[call.block].id);
	send_call(m, p, into, call, &args);
	return true;
}

static bool
call_in_turn(Member *m, Peer *p, Call *into)
{
	bool		called = false;

	for (int i = 0; i < 2 && !called; i++)
	{
		called = p->bodies_turn ? call_block(m, p, into) : call_receive(m, p, into);
		p->bodies_turn = !p->bodies_turn;
	}
	return called;
}

/* The next call, if there is any to make; calls with messages may overlap. */
static bool
call_for(Member *m, Peer *p)
{
	World	   *w = m->world;
	Call	   *into = free_call(p);

	if (p->retry_at > w->now || into == NULL)
		return false;
	if (p->calls_open > 0)
	{
		for (int i = 0; i < CALLS_MAX; i++)
			if (p->calls[i].number != 0 && p->calls[i].kind != CALL_RECEIVE)
				return false;
		return p->calls_open < w->settings.window && call_receive(m, p, into);
	}
	if (!p->greeted || w->now >= p->hello_at)
	{
		call_hello(m, p, into);
		return true;
	}
	if (p->behind && (!p->bodies_first || p->passed || m->wanted.n == 0))
	{
		call_blocks(m, p, into);
		return true;
	}
	return call_in_turn(m, p, into);
}

/* When to look again if nothing comes before. */
static uint64_t
next_look(const Member *m, const Peer *p)
{
	uint64_t	next = Max(p->retry_at, p->hello_at);

	if (p->calls_open > 0)
	{
		next = NEVER;
		for (int i = 0; i < CALLS_MAX; i++)
			if (p->calls[i].number != 0)
				next = Min(next, p->calls[i].deadline);
		return next;
	}
	if (p->retry_at > m->world->now || !p->greeted)
		return p->retry_at;
	if (m->wanted.n > 0)
		next = Min(next, p->pass_at);
	if (p->acked < m->nrows && !m->hiding)
		next = Min(next, outbox_hold_until(p));
	return next;
}

static void
set_timer(Member *m, uint32_t peer)
{
	World	   *w = m->world;
	Peer	   *p = &m->peers[peer];
	uint64_t	next = Max(next_look(m, p), w->now + 1);

	if (p->timer > w->now && p->timer <= next)
		return;
	p->timer = next;
	plan(w, EVENT_LINE, m->no, next, peer);
}

void
courier_look(Member *m)
{
	m->look = false;
	for (uint32_t i = 0; i < m->npeers && m->up; i++)
	{
		while (call_for(m, &m->peers[i]))
			;
		set_timer(m, i);
	}
}

void
courier_timer(Member *m, uint32_t peer, uint64_t time)
{
	World	   *w = m->world;
	Peer	   *p = &m->peers[peer];

	if (p->timer != time || !m->up)
		return;
	p->timer = 0;
	for (int i = 0; i < CALLS_MAX && p->calls_open > 0; i++)
		if (p->calls[i].number != 0 && p->calls[i].deadline <= w->now)
		{
			see(w, SIGHT_TIMEOUT);
			leave(m, p);
			break;
		}
	while (call_for(m, p))
		;
	set_timer(m, peer);
}

/* Nothing volatile is left. */
void
courier_start(Member *m)
{
	for (uint32_t i = 0; i < m->npeers; i++)
	{
		Peer	   *p = &m->peers[i];

		memset((char *) p + offsetof(Peer, greeted), 0, sizeof(Peer) - offsetof(Peer, greeted));
		if (p->sender != NULL)
			memset(p->sender, 0, sizeof(FtcSender));
		p->reached = NONE;
	}
	for (uint32_t i = 0; i < m->nrecords; i++)
		m->records[i].asked = 0;
	m->look = true;
}

/* ----------------------------------------------------------------
 *		Answers to what others call
 * ----------------------------------------------------------------
 */

static void
put_end(FtcWriter *answer, const FtcLinkEnd *end)
{
	ftc_put_u64(answer, end->epoch);
	ftc_put_u64(answer, end->epoch == 0 ? 1 : end->next);
	ftc_put_hash(answer, &end->value);
}

static void
serve_hello(Member *m, Peer *p, FtcReader *args, FtcWriter *answer)
{
	World	   *w = m->world;
	FtcHash		genesis = ftc_get_hash(args);
	const Block *head = &w->blocks[m->hiding ? 0 : head_of(m)];
	FtcHash		work = ftc_u256_to_hash(&head->tip.work);

	if (!ftc_reader_is_done(args) || !ftc_hash_equal(&genesis, &w->genesis))
		return;
	ftc_put_hash(answer, &head->id);
	ftc_put_hash(answer, &work);
	put_end(answer, &p->in);
}

static void
advance(FtcLinkEnd *end, const FtcMessage *message)
{
	end->value = ftc_link_advance(&end->value, &message->id, &message->digest);
	end->next++;
}

static FtcLinkVerdict
judge(World *w, const FtcLinkEnd *end, const FtcMessage *message)
{
	FtcLinkVerdict verdict = ftc_link_receive(end, message);

	if ((mutated(w, MUTANT_MESSAGE_TWICE) && verdict == FTC_LINK_DUPLICATE) ||
		(mutated(w, MUTANT_GAP) && verdict == FTC_LINK_GAP && message->epoch == end->epoch))
		return FTC_LINK_APPLY;
	return verdict;
}

/* The messages that are new, in order; *end is where the link is after them. */
static int
sort_out(Member *m, Peer *p, FtcMessage *messages, int n, FtcLinkEnd *start, FtcLinkEnd *end)
{
	World	   *w = m->world;
	int			taken = 0;

	*start = *end = p->in;
	for (int i = 0; i < n; i++)
		switch (judge(w, end, &messages[i]))
		{
			case FTC_LINK_NEW_EPOCH:
				end->epoch = messages[i].epoch;
				end->next = 1;
				end->value = ftc_link_start(&w->genesis, &w->members[p->member].id, &m->id,
											FTC_STREAM_LEDGER, end->epoch);
				*start = *end;
				/* FALLTHROUGH */
			case FTC_LINK_APPLY:
				advance(end, &messages[i]);
				messages[taken++] = messages[i];
				break;
			case FTC_LINK_DUPLICATE:
				see(w, SIGHT_DUPLICATE);
				break;
			case FTC_LINK_GAP:
			case FTC_LINK_HOLD:
				see(w, SIGHT_GAP);
				return taken;
			case FTC_LINK_STALE:
				see(w, SIGHT_STALE);
				return taken;
		}
	return taken;
}

static FtcReason
apply(Member *m, const Peer *p, const FtcMessage *message)
{
	FtcBlock	block;
	FtcReason	reason;
	FtcHash		id;

	if (message->kind == FTC_MESSAGE_STORED)
		return inbox_stored(m, message->reference, message->attachment);
	if (message->kind != FTC_MESSAGE_BLOCK)
		return FTC_BAD_KIND;
	if (message->reference.len != FTC_HASH_LEN)
		return FTC_BAD_LENGTH;
	memcpy(id.b, message->reference.data, FTC_HASH_LEN);
	if (message->attachment.len == 0)
		return inbox_has(m, &id) ? FTC_OK : FTC_UNKNOWN_PARENT;
	reason = ftc_block_decode(&block, message->attachment);
	if (reason == FTC_OK)
	{
		FtcHash		header = ftc_sha256(block.header);

		if (!ftc_hash_equal(&header, &id))
			reason = FTC_WRONG_DIGEST;
	}
	return reason == FTC_OK ? inbox_block(m, &block, p->member) : reason;
}

static void
serve_receive(Member *m, Peer *p, FtcReader *args, FtcWriter *answer)
{
	World	   *w = m->world;
	FtcSlice	account = ftc_get_slice(args, FTC_SIGNATURE_LEN);
	uint32_t	n = ftc_get_u32(args);
	FtcMessage	messages[256];
	FtcSignature signature;
	FtcLinkEnd	start;
	FtcLinkEnd	end;
	uint32_t	refused = 0;
	bool		early = false;
	int			taken;

	if (n > lengthof(messages))
		return;
	for (uint32_t i = 0; i < n; i++)
		if (ftc_message_decode(&messages[i], ftc_get_blob(args)) != FTC_OK)
			return;
	if (!ftc_reader_is_done(args))
		return;
	taken = sort_out(m, p, messages, (int) n, &start, &end);
	memcpy(signature.b, account.data, FTC_SIGNATURE_LEN);
	/* for a mutant it is off, since it would hide what that does */
	if (taken > 0 && !mutated(w, MUTANT_MESSAGE_TWICE) &&
		ftc_verify(&w->members[p->member].key, FTC_DOMAIN_ACCOUNT, &w->genesis, &end.value, &signature) != FTC_OK)
		return;
	if (taken > 0)
		p->in = start;
	for (int i = 0; i < taken; i++)
	{
		FtcLinkEnd	before = p->in;
		FtcReason	reason = apply(m, p, &messages[i]);

		if (reason == FTC_TIME_TOO_LATE)
		{
			/* the sender sends it again, until its time has come */
			see(w, SIGHT_EARLY);
			early = true;
			break;
		}
		advance(&p->in, &messages[i]);
		oracle_applied(m, p, &before, &messages[i]);
		if (reason == FTC_UNKNOWN_PARENT)
		{
			see(w, SIGHT_ORPHAN);
			look_everywhere(m);
		}
		else if (reason != FTC_OK)
			refused++;
	}
	put_end(answer, &p->in);
	ftc_put_u32(answer, refused);
	ftc_put_u8(answer, early);
}

/* Who stores its body, with their signatures, as far as it is known here. */
static void
put_statements(Member *m, uint32_t block, FtcWriter *answer)
{
	const World *w = m->world;
	uint32_t	stated = record_of(m, block)->stated;

	ftc_put_u32(answer, (uint32_t) __builtin_popcount(stated));
	for (uint32_t i = 0; i < (uint32_t) w->nmembers && stated != 0; i++)
		if (i < 32 && (stated >> i & 1) != 0)
		{
			FtcSignature signature = ledger_sign_statement(w, block, i);

			ftc_put_hash(answer, &w->members[i].id);
			ftc_put_bytes(answer, signature.b, FTC_SIGNATURE_LEN);
		}
}

static void
put_block(FtcWriter *answer, const FtcBlock *block)
{
	size_t		len = ftc_block_encode(block, NULL, 0);

	ftc_put_u32(answer, (uint32_t) len);
	if (answer->len + len <= answer->size)
		ftc_block_encode(block, answer->buf + answer->len, answer->size - answer->len);
	answer->len += len;
}

/* After the highest block of the locator that is on our main chain. */
static void
serve_blocks(Member *m, FtcReader *args, FtcWriter *answer)
{
	World	   *w = m->world;
	FtcWriter	front = *answer;
	uint64_t	height = 0;
	uint32_t	n = 0;

	while (args->left > 0 && !args->bad)
	{
		FtcHash		id = ftc_get_hash(args);
		uint32_t	block = ledger_find(w, &id);

		if (block != NONE && record_of(m, block)->on_main)
			height = Max(height, w->blocks[block].header.height);
	}
	answer->len += 4;
	while (!m->hiding && ++height < m->main.n && n < BLOCKS_AT_ONCE && answer->len < CALL_BYTES)
	{
		FtcBlock	block = w->blocks[m->main.at[height]].block;

		block.body.len = 0;
		put_block(answer, &block);
		put_statements(m, m->main.at[height], answer);
		n++;
	}
	ftc_put_u32(&front, n);
}

static void
serve_block(Member *m, FtcReader *args, FtcWriter *answer)
{
	World	   *w = m->world;
	FtcHash		id = ftc_get_hash(args);
	uint32_t	number = ledger_find(w, &id);
	FtcBlock	block;

	if (number == NONE || !record_of(m, number)->known || m->hiding || number == 0)
	{
		ftc_put_u32(answer, 0);
		return;
	}
	block = w->blocks[number].block;
	if (!record_of(m, number)->has_body ||
		(m->withholds && !w->peace && ftc_hash_equal(&w->blocks[number].header.proposer, &m->id)))
		block.body.len = 0;
	put_block(answer, &block);
	put_statements(m, number, answer);
}

/* An answer of no bytes says that the call has failed. */
static void
serve(Member *m, const Packet *call)
{
	World	   *w = m->world;
	Peer	   *p = peer_of(m, call->from);
	FtcReader	args = ftc_reader(ftc_slice(call->bytes, call->len));
	FtcWriter	answer = scratch(w);
	Packet	   *packet;

	if (p == NULL)
		return;
	switch (call->kind)
	{
		case CALL_HELLO:
			serve_hello(m, p, &args, &answer);
			break;
		case CALL_RECEIVE:
			serve_receive(m, p, &args, &answer);
			break;
		case CALL_BLOCKS:
			serve_blocks(m, &args, &answer);
			break;
		case CALL_BLOCK:
			serve_block(m, &args, &answer);
			break;
		case CALL_KINDS:
			break;
	}
	if (answer.len > answer.size)
	{
		world_fail(w, "an answer of %zu bytes", answer.len);
		return;
	}
	packet = packet_new(m->no, call->from, call->kind, true, call->call, ftc_slice(answer.buf, answer.len));
	packet->boot = call->boot;
	network_send(w, packet);
}

/* ----------------------------------------------------------------
 *		What the others answer
 * ----------------------------------------------------------------
 */

/* It always has room, but while the next message is too early. */
static bool
get_ack(FtcReader *at, FtcAck *ack)
{
	FtcLinkEnd *end = &ack->end;

	memset(ack, 0, sizeof(*ack));
	end->epoch = ftc_get_u64(at);
	end->next = ftc_get_u64(at);
	end->value = ftc_get_hash(at);
	ack->room_messages = FTC_RECEIVE_AHEAD;
	ack->room_bytes = FTC_RECEIVE_BYTES;
	return !at->bad && end->epoch <= INT64_MAX && end->next >= 1 && end->next <= INT64_MAX;
}

static void
take_hello(Member *m, Peer *p, FtcReader *answer)
{
	World	   *w = m->world;
	FtcHash		head = ftc_get_hash(answer);
	FtcHash		work = ftc_get_hash(answer);
	FtcHash		ours = ftc_u256_to_hash(&w->blocks[head_of(m)].tip.work);
	FtcAck		ack;

	if (!get_ack(answer, &ack) || !ftc_reader_is_done(answer))
	{
		leave(m, p);
		return;
	}
	if (!p->greeted)
		outbox_hello(m, p, &ack);
	if (!inbox_has(m, &head) && ftc_hash_compare(&work, &ours) > 0 && !mutated(w, MUTANT_PARENTS))
		p->behind = true;
	p->greeted = true;
	p->hello_at = w->settings.heartbeat == NEVER ? NEVER : w->now + w->settings.heartbeat;
}

static void
take_receive(Member *m, Peer *p, const Call *call, FtcReader *answer)
{
	FtcAck		ack;

	if (!get_ack(answer, &ack))
	{
		leave(m, p);
		return;
	}
	ack.fate.refused = ftc_get_u32(answer);
	if (ftc_get_u8(answer) != 0)
		ack.room_messages = ack.room_bytes = 0;
	if (!ftc_reader_is_done(answer))
	{
		leave(m, p);
		return;
	}
	p->failures = outbox_ack(m, p, &ack, call->order) ? 0 : p->failures + 1;
}

/*
 * Who stores the body of a block.  A statement that is no good is as good as
 * none.
 */
static void
take_statements(Member *m, const FtcHash *id, FtcReader *answer)
{
	uint32_t	n = ftc_get_u32(answer);

	for (uint32_t i = 0; i < n && !answer->bad; i++)
	{
		uint8_t		reference[2 * FTC_HASH_LEN];
		FtcHash		member = ftc_get_hash(answer);
		FtcSlice	signature = ftc_get_slice(answer, FTC_SIGNATURE_LEN);

		memcpy(reference, id->b, FTC_HASH_LEN);
		memcpy(reference + FTC_HASH_LEN, member.b, FTC_HASH_LEN);
		if (!answer->bad)
			(void) inbox_stored(m, ftc_slice(reference, sizeof(reference)), signature);
	}
}

static FtcReason
take_one(Member *m, const Peer *p, FtcSlice bytes, FtcHash *id, FtcHeader *header)
{
	FtcBlock	block;
	FtcReason	reason = ftc_block_decode(&block, bytes);

	if (reason == FTC_OK)
		reason = ftc_header_decode(header, block.header);
	if (reason != FTC_OK)
		return reason;
	*id = ftc_header_id(header);
	return inbox_block(m, &block, p->member);
}

static void
take_blocks(Member *m, Peer *p, FtcReader *answer)
{
	World	   *w = m->world;
	uint32_t	n = ftc_get_u32(answer);
	FtcReason	reason = FTC_OK;
	bool		rises = true;

	for (uint32_t i = 0; i < n && reason == FTC_OK && rises && !answer->bad; i++)
	{
		FtcHeader	header;
		FtcHash		id;

		reason = take_one(m, p, ftc_get_blob(answer), &id, &header);
		if (reason != FTC_OK)
			break;
		take_statements(m, &id, answer);
		see(w, SIGHT_ORPHAN_RESOLVED);
		rises = p->reached == NONE || header.height > p->reached_height;
		p->reached = ledger_find(w, &id);
		p->reached_height = header.height;
	}
	p->behind = n > 0 && reason == FTC_OK && rises && !answer->bad;
	if (!p->behind)
		p->reached = NONE;
	else
	{
		p->bodies_first = true;
		begin_pass(m, p);
	}
	if (reason != FTC_OK || !rises || answer->bad)
		leave(m, p);
	else
		p->failures = 0;
}

static void
take_block(Member *m, Peer *p, const Call *call, FtcReader *answer)
{
	FtcSlice	bytes = ftc_get_blob(answer);
	FtcBlock	block;
	FtcHash		id = {{0}};

	record_of(m, call->block)->asked = 0;
	if (bytes.len == 0)
		return;					/* it does not have it: somebody else may */
	if (ftc_block_decode(&block, bytes) == FTC_OK)
		id = ftc_sha256(block.header);
	if (!ftc_hash_equal(&id, &m->world->blocks[call->block].id) ||
		inbox_block(m, &block, p->member) != FTC_OK)
		leave(m, p);
	else
	{
		p->failures = 0;
		take_statements(m, &id, answer);
	}
}

static void
take_answer(Member *m, const Packet *packet)
{
	Peer	   *p = peer_of(m, packet->from);
	FtcReader	answer = ftc_reader(ftc_slice(packet->bytes, packet->len));
	Call		call = {0};

	if (p == NULL || packet->boot != m->boot)
		return;
	for (int i = 0; i < CALLS_MAX; i++)
		if (p->calls[i].number == packet->call)
		{
			call = p->calls[i];
			p->calls[i].number = 0;
			p->calls_open--;
		}
	if (call.number == 0 || call.kind != packet->kind)
		return;
	if (packet->len == 0)
	{
		leave(m, p);
		return;
	}
	switch (call.kind)
	{
		case CALL_HELLO:
			take_hello(m, p, &answer);
			break;
		case CALL_RECEIVE:
			take_receive(m, p, &call, &answer);
			break;
		case CALL_BLOCKS:
			take_blocks(m, p, &answer);
			break;
		case CALL_BLOCK:
			take_block(m, p, &call, &answer);
			break;
		case CALL_KINDS:
			break;
	}
}

void
courier_take(Member *m, Packet *packet)
{
	uint32_t	wanted = m->wanted.n;

	if (packet->answer)
		take_answer(m, packet);
	else
		serve(m, packet);
	if (m->wanted.n > wanted)
		for (uint32_t i = 0; i < m->npeers; i++)
			begin_pass(m, &m->peers[i]);
	if (packet->answer || m->look)
		courier_look(m);
}

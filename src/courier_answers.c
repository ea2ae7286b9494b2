/*-------------------------------------------------------------------------
 *
 * courier_answers.c
 *	  What a peer answers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bodies.h"
#include "branch.h"
#include "chain.h"
#include "clock.h"
#include "contact.h"
#include "courier_part.h"
#include "datum.h"
#include "failpoint.h"
#include "fetch.h"
#include "guc.h"
#include "identity.h"
#include "inbox.h"
#include "message.h"
#include "outbox.h"
#include "peer.h"
#include "sharding.h"
#include "step.h"
#include "stmt.h"
#include "store.h"
#include "twin.h"

static bool
malformed(FtcContact *c)
{
	ftc_line_leave(c, "malformed answer");
	return true;
}

/* How far the receiver says it is, from columns at, at + 1, at + 2. */
static bool
get_link_end(struct pg_result *result, int at, FtcLinkEnd *end)
{
	int64		epoch;
	int64		next;

	if (!ftc_peer_int(result, 0, at, &epoch) || !ftc_peer_int(result, 0, at + 1, &next) ||
		!ftc_peer_hash(result, 0, at + 2, &end->value) || epoch < 0 || next < 1)
		return false;
	end->epoch = (uint64) epoch;
	end->next = (uint64) next;
	return true;
}

static bool
get_count(struct pg_result *result, int column, uint64 *count)
{
	int64		value;

	if (!ftc_peer_int(result, 0, column, &value) || value < 0)
		return false;
	*count = (uint64) value;
	return true;
}

/* What it says of its end, from column at on. */
static bool
get_ack(struct pg_result *result, int at, FtcAck *ack)
{
	memset(ack, 0, sizeof(*ack));
	return get_link_end(result, at, &ack->end) &&
		get_count(result, at + 3, &ack->room_messages) && get_count(result, at + 4, &ack->room_bytes) &&
		!ftc_peer_is_null(result, 0, at + 5) && ftc_sacks_decode(ack, ftc_peer_bytes(result, 0, at + 5)) == FTC_OK;
}

/*
 * Where it was before its last step, in the epoch that it says to be in.  One of an
 * older version does not tell.
 */
static bool
get_before(struct pg_result *result, int at, FtcAck *ack)
{
	int64		next;

	if (ftc_peer_is_null(result, 0, at))
		return true;
	if (!ftc_peer_int(result, 0, at, &next) || !ftc_peer_hash(result, 0, at + 1, &ack->before.value) || next < 1)
		return false;
	ack->before.epoch = ack->end.epoch;
	ack->before.next = (uint64) next;
	return true;
}

static bool
get_fate(struct pg_result *result, int at, FtcFate *fate)
{
	return get_count(result, at, &fate->taken) && get_count(result, at + 1, &fate->early) &&
		get_count(result, at + 2, &fate->duplicates) && get_count(result, at + 3, &fate->dropped) &&
		get_count(result, at + 4, &fate->refused);
}

FtcRoute
ftc_courier_route(const FtcContact *c, const FtcIdentity *self)
{
	const FtcLine *line = c->call.line;
	FtcRoute	route = {
		.self = self->member,.member = c->peer.member,.stream = line->stream,.protocol = c->protocol,
		.room = ftc_contact_room(c),.share = ftc_contact_share(c)
	};

	if (line->stream == FTC_STREAM_LEDGER)
	{
		route.log = &ftc_outbox_log;
		route.chain = c->call.chain.id;
		route.genesis = c->call.chain.genesis;
	}
	else
		route.log = &ftc_message_log;
	return route;
}

/* The lower of the two that both ends speak at most, as it was answered. */
static bool
need_protocol(FtcContact *c, int64 protocol)
{
	if (protocol >= FTC_PROTOCOL_MIN && protocol <= FTC_PROTOCOL)
	{
		c->protocol = (int) protocol;
		return true;
	}
	ftc_line_leave(c, psprintf("it speaks protocol %lld, and this server %d to %d", (long long) protocol,
							   FTC_PROTOCOL_MIN, FTC_PROTOCOL));
	return false;
}

static bool
need_member(FtcContact *c, const FtcHash *member)
{
	if (ftc_hash_equal(member, &c->peer.member))
		return true;
	ftc_line_leave(c, psprintf("another member answers: %s", ftc_hash_hex(member)));
	return false;
}

static void
announce_again(FtcContact *c, const FtcRoute *route, const FtcHash *head, bool ahead, const FtcStored *ours)
{
	FtcLine    *line = c->call.line;
	FtcAgainCase peer = {
		.head = *head,
		.lacks = !ahead && !ftc_hash_equal(head, &ours->id),
		.is_new = ftc_sending_is_empty(&line->out, route),
		.has_all = ftc_sending_is_done(&line->out, route)
	};

	if (!ftc_again_is_due(&line->again, &peer, (uint64) ftc_guc_heartbeat * 1000, ftc_clock_steady()))
		return;
	/* announcements are numbered under the lock */
	ftc_chain_lock(route->chain);
	ftc_outbox_again(route->chain, head);
}

static bool
take_hello(FtcContact *c, struct pg_result *result, const FtcIdentity *self)
{
	FtcHash		member;
	FtcHash		head;
	FtcHash		work;
	FtcAck		ack;
	FtcRoute	route = ftc_courier_route(c, self);
	FtcStored	ours;
	FtcStored	known;
	FtcHash		our_work;
	bool		ahead;
	int64		protocol;

	if (ftc_peer_rows(result) != 1 || !ftc_peer_int(result, 0, 0, &protocol))
		return malformed(c);
	if (!need_protocol(c, protocol))
		return true;
	if (!ftc_peer_hash(result, 0, 1, &member) || !ftc_peer_hash(result, 0, 3, &head) ||
		!ftc_peer_hash(result, 0, 4, &work) || !get_ack(result, 5, &ack))
		return malformed(c);
	if (!need_member(c, &member))
		return true;
	if (!c->call.line->greeted)
		ftc_sending_hello(&c->call.line->out, &route, &ack);
	ftc_store_load_head(c->call.chain.id, &ours);
	our_work = ftc_u256_to_hash(&ours.tip.work);
	ahead = ftc_hash_compare(&work, &our_work) > 0;
	if (ahead && !ftc_store_load(&head, &known))
		c->call.line->behind = true;
	announce_again(c, &route, &head, ahead, &ours);
	c->call.line->greeted = true;
	return true;
}

static bool
take_stream(FtcContact *c, struct pg_result *result, const FtcIdentity *self)
{
	FtcRoute	route = ftc_courier_route(c, self);
	FtcLine    *line = c->call.line;
	FtcHash		member;
	FtcAck		ack;
	int64		protocol;

	if (ftc_peer_rows(result) != 1 || !ftc_peer_int(result, 0, 0, &protocol) ||
		!ftc_peer_hash(result, 0, 1, &member) || !get_ack(result, 2, &ack) || !get_before(result, 8, &ack))
		return malformed(c);
	if (!need_protocol(c, protocol) || !need_member(c, &member))
		return true;
	ftc_sending_hello(&line->out, &route, &ack);
	ftc_message_heard(line->stream, line->out.stopped ? 0 : self->incarnation);
	if (line->out.sender.state == FTC_SENDER_OPEN)
		line->greeted = true;
	else
		ftc_line_leave(c, "what it lacks of a stream is not kept any more; see ftchain.resend()");
	return true;
}

/*
 * A row "block, stored".  The statements come first, so that a body that is
 * known to be stored is not even wanted here; and those of who has left since
 * afterwards, as only the block's state knows them.
 */
static FtcReason
take_row(FtcContact *c, struct pg_result *result, int row, FtcHash *id, FtcHeader *header)
{
	FtcSlice	stored = ftc_peer_bytes(result, row, 1);
	FtcBlock	block;
	FtcReason	reason = ftc_block_decode(&block, ftc_peer_bytes(result, row, 0));
	bool		known;

	if (reason == FTC_OK)
		reason = ftc_header_decode(header, block.header);
	if (reason != FTC_OK)
		return reason;
	*id = ftc_header_id(header);
	known = ftc_inbox_statements(&c->call.chain, id, stored);
	reason = ftc_inbox_block(&c->call.chain, &block, &c->peer.member);
	if (reason == FTC_OK && !known)
		(void) ftc_inbox_statements(&c->call.chain, id, stored);
	return reason;
}

static bool
take_blocks(FtcContact *c, struct pg_result *result)
{
	int			n = ftc_peer_rows(result);
	FtcReason	reason = FTC_OK;
	bool		rises = true;
	uint64		bytes = 0;

	ftc_chain_lock(c->call.chain.id);
	for (int i = 0; i < n && reason == FTC_OK && rises; i++)
	{
		FtcHeader	header;
		FtcHash		id;

		reason = take_row(c, result, i, &id, &header);
		if (reason != FTC_OK)
			break;
		bytes += ftc_peer_bytes(result, i, 0).len;
		/* known ones may come again, but not for ever */
		rises = (int64) header.height > c->call.line->reached_height;
		c->call.line->reached = id;
		c->call.line->reached_height = (int64) header.height;
	}
	if (n > 0)
		c->call.line->block_bytes = bytes / n;
	/* go on until it has no more to give */
	c->call.line->behind = n > 0 && reason == FTC_OK && rises;
	if (!c->call.line->behind)
		c->call.line->reached_height = -1;
	else
	{
		/* blocks that wait for bodies make all that follow dearer */
		c->call.line->bodies_first = true;
		ftc_bodies_begin_pass(c->call.line);
	}
	if (reason != FTC_OK)
		ftc_line_leave(c, psprintf("block refused: %s", ftc_reason_text(reason)));
	else if (!rises)
		ftc_line_leave(c, "its blocks do not follow each other");
	else
		c->call.line->failures = 0;
	return true;
}

/*
 * An answer does not go with what it said at first.  Who goes on like that, after
 * each greeting, is left alone for a while.
 */
static void
greet_again(FtcContact *c)
{
	FtcLine    *line = c->call.line;
	uint64		now = ftc_clock_steady();

	line->greeted = false;
	if (line->doubted_at > 0 && now - line->doubted_at < (uint64) ftc_guc_heartbeat * 1000)
		ftc_line_leave(c, "its answers contradict each other");
	line->doubted_at = now;
}

static bool
take_receive(FtcContact *c, struct pg_result *result, const FtcIdentity *self)
{
	FtcAck		ack;
	FtcRoute	route = ftc_courier_route(c, self);
	FtcLine    *line = c->call.line;
	bool		was_open = line->out.sender.state == FTC_SENDER_OPEN;
	bool		knew = line->not_taken;

	if (ftc_peer_rows(result) != 1 || !get_ack(result, 0, &ack) || !get_fate(result, 6, &ack.fate))
		return malformed(c);
	if (ack.fate.refused > 0)
		ftc_line_note_failure(c, psprintf("%llu messages refused: %s", (unsigned long long) ack.fate.refused,
										  ftc_peer_text(result, 0, 11)));
	line->not_taken = !ftc_sending_ack(&line->out, &route, &ack, c->call.order);
	if (ack.fate.taken > 0)
		line->failures = 0;
	/* of calls behind one that failed nothing is taken, without a reason */
	if (line->not_taken && !(knew && ftc_peer_is_null(result, 0, 11)))
		ftc_line_note_failure(c, ftc_peer_is_null(result, 0, 11) ? "it does not take messages"
							  : psprintf("it does not take messages: %s", ftc_peer_text(result, 0, 11)));
	/* of the answers that are under way then only the first says so */
	if (was_open && line->out.sender.state == FTC_SENDER_CLOSED)
		greet_again(c);
	FTC_FAILPOINT("send-before-ack-commit");
	return true;
}

/* In doubt it is asked for other bodies, and others for this one. */
static void
refuse_body(FtcContact *c, FtcReason reason)
{
	ftc_bodies_lacks(c, &c->call.part.block, 0);
	ftc_line_leave(c, psprintf("body refused: %s", ftc_reason_text(reason)));
}

/* All of it at once, as most bodies come. */
static void
take_whole(FtcContact *c, const FtcStored *stored, FtcSlice entries)
{
	FtcReason	reason = ftc_fetch_take(&c->call.chain, stored, entries, &c->peer.member);

	if (reason != FTC_OK)
	{
		refuse_body(c, reason);
		return;
	}
	ftc_bodies_came(&c->call.chain, &stored->id);
	c->call.line->failures = 0;
}

/*
 * By what it says of the length, of which others said something else, the body ends
 * before this chunk.
 */
static bool
ends_before(const FtcPart *part, int64 total, FtcSlice bytes)
{
	return part->total != 0 && total > 0 && (uint64) total <= part->chunk.at && bytes.len == 0;
}

static void
take_chunk(FtcContact *c, const FtcStored *stored, uint64 total, const FtcChunk *chunk, FtcSlice bytes)
{
	/* it says another length than others, and is asked for that only */
	if (c->call.part.total != 0 && c->call.part.total != total)
		ftc_bodies_lacks(c, &stored->id, c->call.part.total);
	switch (ftc_fetch_keep(stored, &c->peer.member, total, chunk, bytes))
	{
		case FTC_KEPT_WHOLE:
			ftc_bodies_whole();
			/* FALLTHROUGH */
		case FTC_KEPT:
			c->call.line->failures = 0;
			ftc_bodies_fetching(c->call.line);
			break;
		case FTC_KEPT_NO_ROOM:
			ftc_bodies_no_room(&stored->id);
			break;
		case FTC_KEPT_NOT:
			break;
	}
}

/*
 * A row "total, bytes, stored".  The statements come first, so that a body that is
 * known to be stored is not even wanted here.
 */
static bool
take_body(FtcContact *c, struct pg_result *result)
{
	FtcSlice	bytes = ftc_peer_bytes(result, 0, 1);
	FtcSlice	statements = ftc_peer_bytes(result, 0, 2);
	const FtcChunk *asked = &c->call.part.chunk;
	FtcStored	stored;
	FtcReason	reason;
	int64		total;

	ftc_bodies_moved(&c->call, bytes.len);
	if (ftc_peer_rows(result) != 1)
		return malformed(c);
	if (!ftc_store_load(&c->call.part.block, &stored) || stored.chain != c->call.chain.id)
		return true;
	if (statements.len > 0)
	{
		ftc_chain_lock(c->call.chain.id);
		(void) ftc_inbox_statements(&c->call.chain, &stored.id, statements);
	}
	if (!ftc_peer_int(result, 0, 0, &total))
	{
		/* somebody else may have it, or enough do, by what it just told */
		ftc_bodies_lacks(c, &stored.id, 0);
		if (ftc_branch_is_available(&stored.id))
			ftc_bodies_came(&c->call.chain, &stored.id);
		return true;
	}
	reason = ftc_chunk_check(asked, total, ftc_fetch_most(&stored), bytes.len);
	if (ends_before(&c->call.part, total, bytes))
		take_chunk(c, &stored, (uint64) total, NULL, bytes);
	else if (reason != FTC_OK)
	{
		ftc_store_incident(stored.chain, "refused", (int64) stored.header.height, &stored.id, &c->peer.member,
						   psprintf("chunk of a body: %s", ftc_reason_text(reason)));
		refuse_body(c, reason);
	}
	else if (bytes.len == (uint64) total)
		take_whole(c, &stored, bytes);
	else
		take_chunk(c, &stored, (uint64) total, asked, bytes);
	return true;
}

/* One call that fails by chance says nothing of the others: if it stays so, that is shown. */
static void
take_failure(FtcContact *c)
{
	bool		is_receive = c->call.kind == FTC_ASKED_RECEIVE;
	bool		not_taken = is_receive && !ftc_sending_failed(&c->call.line->out, c->call.order);

	/* it does not know us yet, or the call; and no answer proves nothing */
	if (c->call.kind == FTC_ASKED_PRESENCE || c->call.kind == FTC_ASKED_PROOF ||
		c->call.kind == FTC_ASKED_SHARD)
		return;
	if (!is_receive || !ftc_peer_is_transient(c->answer))
	{
		ftc_line_leave(c, ftc_peer_message(c->answer));
		return;
	}
	c->call.line->not_taken = not_taken;
	if (not_taken)
		ftc_line_note_failure(c, ftc_peer_message(c->answer));
}

/* It gives a token for the next time, and says so if we live twice. */
static bool
take_presence(FtcContact *c, struct pg_result *result, const FtcIdentity *self)
{
	FtcHash		member;
	int64		token;
	int64		other;
	int64		run;

	if (ftc_peer_rows(result) != 1 || !ftc_peer_hash(result, 0, 1, &member) || !ftc_peer_int(result, 0, 2, &token) ||
		!ftc_peer_int(result, 0, 4, &run))
		return malformed(c);
	if (!need_member(c, &member))
		return true;
	c->token = (uint64) token;
	if (ftc_peer_int(result, 0, 3, &other))
		ftc_twin_note(&self->member, &member, self->incarnation, other);

	/*
	 * Behind a pooler a connection outlives the server: what was heard of it
	 * before does not hold for one that was restored.
	 */
	if (c->run != 0 && c->run != run)
		ftc_contact_hang_up(c, "its server has been started anew behind the connection");
	else
		c->run = run;
	return true;
}

static void
take_proof(FtcContact *c, struct pg_result *result)
{
	ftc_proofs_take(&c->call.chain, &c->peer.member, &c->call.challenge, ftc_peer_bytes(result, 0, 0),
					ftc_peer_bytes(result, 0, 1), ftc_peer_bytes(result, 0, 2));
}

static void
take_shard(FtcContact *c, struct pg_result *result)
{
	FtcReason	reason;

	if (ftc_peer_is_null(result, 0, 0))
		return;					/* it does not have it: somebody else may */
	reason = ftc_shards_take(&c->call.chain, &c->call.block, c->call.shard, ftc_peer_bytes(result, 0, 0),
							 ftc_peer_bytes(result, 0, 1), ftc_peer_bytes(result, 0, 2));
	if (reason != FTC_OK)
		ftc_line_note_failure(c, psprintf("shard refused: %s", ftc_reason_text(reason)));
}

bool
ftc_courier_take_answer(void *arg)
{
	FtcContact *c = arg;
	FtcScope	scope;
	FtcIdentity self;

	if (!ftc_step_begin("taking an answer"))
		return false;
	/* a body is asked for again, and how far a peer is it says again */
	if (c->call.kind == FTC_ASKED_BODY || c->call.kind == FTC_ASKED_RECEIVE)
		ftc_step_may_be_lost();
	ftc_enter(&scope);
	if (ftc_peer_failed(c->answer))
		take_failure(c);
	else if (ftc_identity_load(&self))
		switch (c->call.kind)
		{
			case FTC_ASKED_HELLO:
				take_hello(c, c->answer, &self);
				break;
			case FTC_ASKED_STREAM:
				take_stream(c, c->answer, &self);
				break;
			case FTC_ASKED_PRESENCE:
				take_presence(c, c->answer, &self);
				break;
			case FTC_ASKED_BLOCKS:
				take_blocks(c, c->answer);
				break;
			case FTC_ASKED_RECEIVE:
				take_receive(c, c->answer, &self);
				break;
			case FTC_ASKED_BODY:
				take_body(c, c->answer);
				break;
			case FTC_ASKED_PROOF:
				take_proof(c, c->answer);
				break;
			case FTC_ASKED_SHARD:
				take_shard(c, c->answer);
				break;
		}
	ftc_leave(&scope);
	ftc_step_end();
	return true;
}

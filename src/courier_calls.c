/*-------------------------------------------------------------------------
 *
 * courier_calls.c
 *	  What a peer is asked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/timestamp.h"

#include "bodies.h"
#include "branch.h"
#include "clock.h"
#include "contact.h"
#include "core/presence.h"
#include "courier_part.h"
#include "datum.h"
#include "failpoint.h"
#include "guc.h"
#include "identity.h"
#include "keys.h"
#include "message.h"
#include "outbox.h"
#include "sharding.h"
#include "stmt.h"
#include "step.h"
#include "store.h"

#define BODIES_US (1 * USECS_PER_SEC)
#define PROOFS_US (200 * 1000)	/* between two looks for a challenge */
#define SHARDS_MAX 4			/* asked for at a time, of one peer */

static FtcStmt behind_take = {
	.sql = "UPDATE ftchain.link_in SET behind = false WHERE chain = $1 AND behind",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt locator_get = {
	.sql = "SELECT block FROM ftchain.main_chain WHERE chain = $1 AND"
	" (height > $2 - 10 OR height IN (SELECT $2 - (1 << g.e) FROM generate_series(4, 30) AS g (e)) OR height = 0)"
	" ORDER BY height DESC",
	.nargs = 2,
	.argtypes = {INT4OID, INT8OID},
};

static bool
send_call(FtcContact *c, FtcAskedKind kind, const FtcCall *call, const FtcPeerArgs *args)
{
	c->call.kind = kind;
	c->call.called_at = ftc_clock_steady();
	/* a hello just to hear that it is there stops nothing */
	c->call.alone = kind == FTC_ASKED_BLOCKS || kind == FTC_ASKED_STREAM ||
		(kind == FTC_ASKED_HELLO && !c->call.line->greeted);
	if (c->call.line != NULL)
	{
		c->call.line->bodies_last = kind == FTC_ASKED_BODY;
		if (kind != FTC_ASKED_BODY)
			c->call.line->bodies_until = c->call.called_at + BODIES_US;
	}
	c->call.sent = 0;
	for (int i = 0; i < args->n; i++)
		c->call.sent += args->lengths[i];
	c->bytes += c->call.sent;
	/* only these may be large */
	if (kind != FTC_ASKED_RECEIVE)
		c->call.sent = 0;
	if (!ftc_peer_call(&c->peer, call, args))
	{
		ftc_contact_hang_up(c, "could not send");
		return false;
	}
	ftc_contact_note_call(c);
	return true;
}

static void
call_hello(FtcContact *c, const FtcIdentity *self)
{
	FtcPeerArgs args = {0};

	ftc_peer_arg_int(&args, FTC_PROTOCOL);
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.chain.genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_bytes(&args, ftc_slice(self->member.b, FTC_HASH_LEN));
	(void) send_call(c, FTC_ASKED_HELLO, FTC_CALL_HELLO, &args);
}

/* Where we are, ever coarser towards the genesis; first what this peer gave last. */
static void
call_blocks(FtcContact *c)
{
	FtcPeerArgs args = {0};
	FtcStored	head;
	FtcSlice   *locator;
	FtcHash    *ids;
	uint64		n;
	int			count = 0;

	ftc_store_load_head(c->call.chain.id, &head);
	n = ftc_run(&locator_get, Int32GetDatum(c->call.chain.id), Int64GetDatum((int64) head.header.height));
	locator = palloc((n + 1) * sizeof(FtcSlice));
	ids = palloc((n + 1) * sizeof(FtcHash));
	if (c->call.line->reached_height >= 0)
		locator[count++] = ftc_slice(c->call.line->reached.b, FTC_HASH_LEN);
	for (uint64 i = 0; i < n; i++)
	{
		ids[i] = ftc_hash_value(i, 0);
		locator[count++] = ftc_slice(ids[i].b, FTC_HASH_LEN);
	}
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.chain.genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_array(&args, locator, count);
	ftc_peer_arg_int(&args, ftc_contact_blocks(c));
	(void) send_call(c, FTC_ASKED_BLOCKS, FTC_CALL_BLOCKS, &args);
}

/* False if there is nothing to send. */
static bool
call_receive(FtcContact *c, const FtcIdentity *self)
{
	FtcPeerArgs args = {0};
	FtcRoute	route = ftc_courier_route(c, self);
	FtcOutgoing out;

	if (route.room == 0 || !ftc_sending_next(&c->call.line->out, &route, &out))
		return false;
	FTC_FAILPOINT("send-before-call");
	ftc_peer_arg_bytes(&args, ftc_slice(route.genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_bytes(&args, ftc_slice(self->member.b, FTC_HASH_LEN));
	ftc_peer_arg_bytes(&args, ftc_slice(out.before.b, FTC_HASH_LEN));
	ftc_peer_arg_array(&args, out.messages, out.n);
	ftc_peer_arg_bytes(&args, ftc_slice(out.account.b, FTC_SIGNATURE_LEN));
	c->call.order = ftc_sending_sent(&c->call.line->out, &out);
	if (send_call(c, FTC_ASKED_RECEIVE, FTC_CALL_RECEIVE, &args))
		FTC_FAILPOINT("send-after-call");
	return true;
}

static bool
call_body(FtcContact *c)
{
	FtcPeerArgs args = {0};
	FtcCall		call = *FTC_CALL_BODY;

	if (!ftc_contact_may_ask(c) || !ftc_bodies_next(c))
		return false;
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.chain.genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.part.block.b, FTC_HASH_LEN));
	ftc_peer_arg_int(&args, FTC_ENCODING_ENTRIES);
	ftc_peer_arg_int(&args, (int64) c->call.part.chunk.at);
	ftc_peer_arg_int(&args, (int64) c->call.part.chunk.size);
	call.most += c->call.part.chunk.size;
	send_call(c, FTC_ASKED_BODY, &call, &args);
	return true;
}

/*
 * That it stores what it says is asked when there is nothing else to ask: a
 * challenge waits.  A body that is hashed for it takes its time.
 */
static bool
call_prove(FtcContact *c)
{
	FtcPeerArgs args = {0};

	if (c->call.line->proof_at > ftc_clock_steady() || ftc_contact_count(c, FTC_ASKED_PROOF) > 0)
		return false;
	if (!ftc_proofs_next(&c->call.chain, &c->peer.member, &c->call.challenge))
	{
		c->call.line->proof_at = ftc_clock_steady() + PROOFS_US;
		return false;
	}
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.chain.genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.challenge.block.b, FTC_HASH_LEN));
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.challenge.nonce, FTC_NONCE_LEN));
	ftc_peer_arg_int(&args, c->call.challenge.shard);
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.challenge.head, c->call.challenge.head_len));
	(void) send_call(c, FTC_ASKED_PROOF, FTC_CALL_PROVE, &args);
	return true;
}

/* A shard that this peer may have. */
static bool
call_shard(FtcContact *c)
{
	FtcPeerArgs args = {0};
	uint64		now = ftc_clock_steady();
	FtcSlice	cut;

	if (c->call.line->shard_at > now || ftc_contact_count(c, FTC_ASKED_SHARD) >= SHARDS_MAX)
		return false;
	if (!ftc_shards_next_wanted(&c->call.chain, &c->peer.member, &c->call.block, &c->call.shard, &cut))
	{
		/* there may be many that this peer has not */
		c->call.line->shard_at = ftc_clock_steady() + Max(PROOFS_US, 10 * (ftc_clock_steady() - now));
		return false;
	}
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.chain.genesis.b, FTC_HASH_LEN));
	ftc_peer_arg_bytes(&args, ftc_slice(c->call.block.b, FTC_HASH_LEN));
	ftc_peer_arg_int(&args, c->call.shard);
	ftc_peer_arg_bytes(&args, cut);
	(void) send_call(c, FTC_ASKED_SHARD, FTC_CALL_SHARD, &args);
	return true;
}

/*
 * Has a body just come?  The next one is asked for before anything else, for a
 * while, so that neither end is idle.
 */
static bool
is_in_stream(const FtcContact *c, uint64 now)
{
	return c->call.line->bodies_last && now < c->call.line->bodies_until;
}

static bool
am_member(const FtcChain *chain, const FtcIdentity *self)
{
	return ftc_state_find(ftc_branch_current_state(chain->id), &self->member) != NULL;
}

/* Only members announce; whoever joins just listens until it is one. */
static bool
call_in_turn(FtcContact *c, const FtcIdentity *self)
{
	bool		called = false;

	for (int i = 0; i < 2 && !called; i++)
	{
		called = c->call.line->bodies_turn ? call_body(c)
			: am_member(&c->call.chain, self) && call_receive(c, self);
		c->call.line->bodies_turn = !c->call.line->bodies_turn;
	}
	return called;
}

/* The next call for one chain, if there is any to make. */
static bool
call_for(FtcContact *c, const FtcIdentity *self)
{
	uint64		now = ftc_clock_steady();
	FtcLine    *line = c->call.line;

	if (line->retry_at > now || line->asking)
		return false;
	/* its link may have begun a new epoch, here or by another process */
	if (line->out.sender.state != FTC_SENDER_OPEN)
		line->greeted = false;
	if (line->greeted && is_in_stream(c, now) && call_body(c))
		return true;
	if (!line->greeted || now >= line->hello_at)
	{
		line->hello_at = now + (uint64) ftc_guc_heartbeat * 1000;
		call_hello(c, self);
		return true;
	}
	if (ftc_run(&behind_take, Int32GetDatum(c->call.chain.id)) > 0)
		ftc_line_look_everywhere(c->call.chain.id);
	if (line->behind && (!line->bodies_first || line->passed))
	{
		call_blocks(c);
		return true;
	}
	if (!line->behind && line->caught_up_at == 0)
		line->caught_up_at = now;
	if (call_in_turn(c, self))
		return true;
	if (!line->behind)
		return call_shard(c) || call_prove(c);
	if (!line->passed)
		return false;
	call_blocks(c);
	return true;
}

static void
call_stream(FtcContact *c, const FtcIdentity *self)
{
	FtcPeerArgs args = {0};

	ftc_peer_arg_int(&args, FTC_PROTOCOL);
	ftc_peer_arg_bytes(&args, ftc_slice(self->member.b, FTC_HASH_LEN));
	ftc_peer_arg_int(&args, c->call.line->stream);
	(void) send_call(c, FTC_ASKED_STREAM, FTC_CALL_STREAM, &args);
}

/* The next call for one stream of messages, if there is any to make. */
static bool
call_for_stream(FtcContact *c, const FtcIdentity *self)
{
	FtcLine    *line = c->call.line;

	if (line->retry_at > ftc_clock_steady() || line->asking)
		return false;
	if (line->greeted && call_receive(c, self))
		return true;
	/* it may have been cut off just now */
	if (line->greeted && line->out.sender.state == FTC_SENDER_OPEN)
		return false;
	line->greeted = false;
	call_stream(c, self);
	return true;
}

/*
 * Is it for another connection to the same member to say that we are here?  There
 * is one session with each member at a time, or we would look like two.
 */
static bool
is_said_elsewhere(const FtcContact *c)
{
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (ftc_contacts[i] != NULL && ftc_contacts[i] != c && ftc_contacts[i]->session != 0 &&
			ftc_hash_equal(&ftc_contacts[i]->peer.member, &c->peer.member))
			return true;
	return false;
}

/*
 * The courier alone says so: sessions that call sync() come and go beside it.
 */
static bool
call_presence(FtcContact *c, const FtcIdentity *self)
{
	FtcHere		here;
	FtcHash		digest;
	FtcSignature signature;
	FtcPeerArgs args = {0};

	if (!IsBackgroundWorker || ftc_clock_steady() < c->presence_at)
		return false;
	c->presence_at = ftc_clock_steady() + (uint64) ftc_guc_heartbeat * 1000;
	if (is_said_elsewhere(c))
		return false;
	while (c->session == 0)
		if (!pg_strong_random(&c->session, sizeof(c->session)))
			elog(ERROR, "no random numbers to be had");
	here.session = c->session;
	here.incarnation = (uint64) self->incarnation;
	here.token = c->token;
	digest = ftc_presence_digest(&c->peer.member, &here);
	ftc_keys_sign(FTC_DOMAIN_PRESENCE, &ftc_hash_zero, &digest, &signature);
	ftc_peer_arg_int(&args, FTC_PROTOCOL);
	ftc_peer_arg_bytes(&args, ftc_slice(self->member.b, FTC_HASH_LEN));
	ftc_peer_arg_int(&args, (int64) here.session);
	ftc_peer_arg_int(&args, (int64) here.incarnation);
	ftc_peer_arg_int(&args, (int64) here.token);
	ftc_peer_arg_bytes(&args, ftc_slice(signature.b, FTC_SIGNATURE_LEN));
	c->call.line = NULL;
	(void) send_call(c, FTC_ASKED_PRESENCE, FTC_CALL_PRESENCE, &args);
	return true;
}

/* Nothing is left to do, and nothing waits for a retry. */
static void
note_rest(FtcContact *c)
{
	ListCell   *cell;

	foreach(cell, c->lines)
	{
		const FtcLine *line = lfirst(cell);

		if (!line->greeted || line->not_taken)
			return;
	}
	foreach(cell, c->lines)
	{
		FtcLine    *line = lfirst(cell);

		line->failures = 0;
	}
	c->last_error[0] = c->logged[0] = '\0';
}

/* Are there more bodies to look for, and may they be asked for? */
static bool
may_look_on(const FtcContact *c)
{
	const FtcLine *line = c->call.line;

	return line->greeted && !line->asking && !line->passed &&
		ftc_contact_may_ask(c);
}

/* Make a line the one at hand, and its next call. */
static bool
call_for_line(FtcContact *c, const FtcIdentity *self, const FtcChain *chain, int stream)
{
	bool		called;

	c->call.line = ftc_line_of(c, chain != NULL ? chain->id : 0, (uint16) stream);
	if (chain != NULL)
	{
		c->call.chain = *chain;
		c->call.chain.name = NULL;
	}
	called = chain != NULL ? call_for(c, self) : call_for_stream(c, self);
	c->call.line->synced = !called;
	return called;
}

/*
 * Of many streams most have nothing to send.  One that was greeted, and of which
 * all is acknowledged, is not looked at any closer.
 */
static bool
is_at_rest(FtcContact *c, int stream, const Bitmapset *waiting)
{
	FtcLine    *line;

	if (bms_is_member(stream, waiting))
		return false;
	line = ftc_line_of(c, 0, (uint16) stream);
	if (!line->greeted || line->asking || line->out.sender.state != FTC_SENDER_OPEN)
		return false;
	line->synced = true;
	return true;
}

/* Whose turn it is goes round, so that one busy line does not starve the rest. */
static void
call_next(FtcNextCall *next, const FtcIdentity *self)
{
	FtcContact *c = next->contact;
	List	   *chains = ftc_chain_list();
	Bitmapset  *waiting;
	List	   *streams = ftc_message_streams(&c->peer.member, &waiting);
	int			nchains = list_length(chains);
	int			n = nchains + list_length(streams);

	next->called = call_presence(c, self);
	for (int i = 0; i < n && !next->called; i++)
	{
		int			at = (c->turn + i) % n;

		if (at >= nchains && is_at_rest(c, list_nth_int(streams, at - nchains), waiting))
			continue;
		next->called = at < nchains ? call_for_line(c, self, list_nth(chains, at), FTC_STREAM_LEDGER)
			: call_for_line(c, self, NULL, list_nth_int(streams, at - nchains));
		if (next->called)
			c->turn = (at + 1) % n;
		next->more |= may_look_on(c);
	}
	if (!next->called && !next->more)
		note_rest(c);
}

bool
ftc_courier_next_call(void *arg)
{
	FtcNextCall *next = arg;
	FtcScope	scope;
	FtcIdentity self;

	if (!ftc_step_begin("looking for something to send"))
		return false;
	ftc_enter(&scope);
	if (ftc_identity_load(&self))
		call_next(next, &self);
	ftc_leave(&scope);
	ftc_step_end();
	return next->called;
}

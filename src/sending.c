/*-------------------------------------------------------------------------
 *
 * sending.c
 *	  The sending end of a link: the core's sender upon a log in tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "clock.h"
#include "datum.h"
#include "failpoint.h"
#include "keys.h"
#include "protocol.h"
#include "sending.h"
#include "store.h"

#define MESSAGES_MAX 1000
#define TELL_EVERY_US (60 * USECS_PER_SEC)

/* The log as the core's sender sees it. */
typedef struct Log
{
	const FtcRoute *route;
	const FtcOutLink *link;
} Log;

static FtcHash
start_of(const FtcRoute *route, uint64 epoch)
{
	return ftc_link_start(&route->genesis, &route->self, &route->member, route->stream, epoch);
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
value_at(void *arg, uint64 epoch, uint64 base, uint64 seq, FtcHash *value)
{
	const Log  *log = arg;
	FtcMessage *messages = palloc(MESSAGES_MAX * sizeof(FtcMessage));
	uint64		at;

	nearest_value(log, epoch, seq, &at, value);
	while (at < seq)
	{
		MemoryContext outer = ftc_nest();
		int			n = log->route->log->read(log->route, base + at, (int) Min(seq - at, MESSAGES_MAX), messages);

		for (int i = 0; i < n; i++)
		{
			FtcHash		id = ftc_message_id(messages[i].kind, messages[i].reference);
			FtcHash		digest = ftc_message_digest(messages[i].kind, messages[i].reference);

			*value = ftc_link_advance(value, &id, &digest);
		}
		ftc_unnest(outer);
		if (n == 0)
			break;
		at += n;
	}
	pfree(messages);
	return at >= seq;
}

static bool
reach_of(void *arg, uint64 epoch, uint64 next, uint64 *position)
{
	const Log  *log = arg;

	return log->route->log->reach_of != NULL && log->route->log->reach_of(log->route, epoch, next, position);
}

static FtcLog
open_log(Log *arg, const FtcOutLink *link, const FtcRoute *route)
{
	FtcLog		log = {.arg = arg,.replays = route->log->replays,.value_at = value_at,.reach_of = reach_of};

	arg->route = route;
	arg->link = link;
	route->log->ends(route, &log.horizon, &log.end);
	return log;
}

static void
save_link(FtcOutLink *link, const FtcRoute *route, FtcHeard heard)
{
	if (heard == FTC_HEARD_RESTARTED)
	{
		link->nvalues = 0;
		link->highest = 1;
	}
	if (heard == FTC_HEARD_RESTARTED || heard == FTC_HEARD_MOVED)
		route->log->save(route, &link->sender);
	if (heard == FTC_HEARD_RESTARTED && route->stream != FTC_STREAM_LEDGER)
		FTC_FAILPOINT("message-link-restarted");
}

/* Where it was left, by whatever process; begun if need be. */
static void
load_link(FtcOutLink *link, const FtcRoute *route, const FtcLog *log)
{
	FtcSender  *sender = &link->sender;

	link->nvalues = 0;
	if (sender->window == 0)
		ftc_sender_init(sender, &sender->end, 0);
	if (!route->log->load(route, sender))
		save_link(link, route, ftc_sender_restart(sender, log, 1));
}

/*
 * Another epoch begins, for whatever reason: a receiver that gives one again and
 * again must not fill a table with it.
 */
static void
note_epoch(FtcOutLink *link, const FtcRoute *route, const char *kind, const char *detail)
{
	uint64		now = ftc_clock_steady();

	if (link->told_at > 0 && now - link->told_at < TELL_EVERY_US)
	{
		link->untold++;
		return;
	}
	if (link->untold > 0)
		detail = psprintf("%s; and %llu times before, in the last %llu s", detail, (unsigned long long) link->untold,
						  (unsigned long long) ((now - link->told_at) / USECS_PER_SEC));
	ftc_store_incident(route->chain, kind, -1, NULL, &route->member, detail);
	link->told_at = now;
	link->untold = 0;
}

static void
note_restart(FtcOutLink *link, const FtcRoute *route, const FtcLinkEnd *sender, const FtcLinkEnd *receiver)
{
	note_epoch(link, route, "link restarted",
			   psprintf("epoch %llu of stream %d follows: the receiver is at %llu of epoch %llu, this end at %llu of epoch %llu",
						(unsigned long long) link->sender.end.epoch, route->stream, (unsigned long long) receiver->next,
						(unsigned long long) receiver->epoch,
						(unsigned long long) sender->next, (unsigned long long) sender->epoch));
}

static void
note_resync(const FtcRoute *route, const FtcLinkEnd *receiver)
{
	ftc_store_incident(route->chain, "link stopped", -1, NULL, &route->member,
					   psprintf("stream %d: the receiver is at %llu of epoch %llu, and what follows that is not kept any more",
								route->stream, (unsigned long long) receiver->next, (unsigned long long) receiver->epoch));
}

static void
note_folded(FtcOutLink *link, const FtcRoute *route, uint64 n)
{
	note_epoch(link, route, "announcements folded",
			   psprintf("%llu that it has not taken are not kept any more: heads are compared instead",
						(unsigned long long) n));
}

/* The position of what the receiver takes next; 0 if nobody remembers. */
static uint64
position_of(const FtcRoute *route, const FtcSender *sender, const FtcLinkEnd *receiver)
{
	uint64		position;

	if (receiver->epoch == 0)
		return 1;
	if (receiver->epoch == sender->end.epoch)
		return sender->base + receiver->next;
	if (route->log->reach_of == NULL || !route->log->reach_of(route, receiver->epoch, receiver->next, &position))
		return 0;
	return position + 1;
}

/*
 * Epochs are counted up from 1, so none gets here; a receiver that says so must
 * not lead us to where they end.
 */
#define EPOCH_MAX (UINT64CONST(1) << 62)

void
ftc_sending_hello(FtcOutLink *link, const FtcRoute *route, const FtcAck *says)
{
	Log			arg;
	FtcLog		log = open_log(&arg, link, route);
	bool		was_stopped = link->stopped;
	FtcAck		ack = *says;
	FtcLinkEnd	before;
	uint64		at;				/* position that the receiver asks for */
	FtcHeard	heard;

	load_link(link, route, &log);
	log.given_up = route->log->given_up == NULL ? 0 : route->log->given_up(route);
	before = link->sender.end;
	at = link->sender.base + ack.end.next;
	if (ack.end.epoch > EPOCH_MAX && ack.end.epoch > before.epoch)
		ack.end.epoch = 0;
	heard = ftc_sender_hello(&link->sender, &log, &ack);
	if (heard == FTC_HEARD_RESTARTED && ack.end.epoch > before.epoch && route->log->forgot != NULL)
		route->log->forgot(route, ack.end.epoch, link->sender.floor);
	/* one that is where it was, or was set back */
	if (heard == FTC_HEARD_RESTARTED && !log.replays && ack.end.epoch == before.epoch && ack.end.next >= before.next &&
		at < log.horizon)
		note_folded(link, route, log.horizon - at);
	else if (heard == FTC_HEARD_RESTARTED && says->end.epoch > 0)
		note_restart(link, route, &before, &says->end);
	link->stopped = heard == FTC_HEARD_RESYNC;
	if (link->stopped)
		link->lacks = position_of(route, &link->sender, &says->end);
	if (link->stopped && !was_stopped)
		note_resync(route, &says->end);
	save_link(link, route, heard);
}

void
ftc_sending_restart(FtcOutLink *link, const FtcRoute *route)
{
	Log			arg;
	FtcLog		log = open_log(&arg, link, route);

	load_link(link, route, &log);
	save_link(link, route, ftc_sender_restart(&link->sender, &log, link->sender.end.epoch + 1));
	route->log->give_up(route, link->sender.base);
}

bool
ftc_sending_is_done(const FtcOutLink *link, const FtcRoute *route)
{
	const FtcSender *sender = &link->sender;
	uint64		horizon;
	uint64		end;

	route->log->ends(route, &horizon, &end);
	return sender->state == FTC_SENDER_OPEN && sender->base + sender->end.next >= end;
}

bool
ftc_sending_is_empty(const FtcOutLink *link, const FtcRoute *route)
{
	return link->sender.end.next == 1 && ftc_sending_is_done(link, route);
}

/* The messages that come next, without what comes along. */
static int
read_messages(const FtcRoute *route, const FtcSender *sender, const FtcGrant *grant, FtcMessage *messages)
{
	int			n = route->log->read(route, sender->base + grant->first,
									 (int) Min(grant->messages, MESSAGES_MAX), messages);

	for (int i = 0; i < n; i++)
	{
		FtcMessage *m = &messages[i];

		m->stream = route->stream;
		m->epoch = sender->end.epoch;
		m->seq -= sender->base;
		m->id = ftc_message_id(m->kind, m->reference);
		m->digest = ftc_message_digest(m->kind, m->reference);
		m->attachment = ftc_slice(NULL, 0);
	}
	return n;
}

/* With what comes along, as many as may be sent. */
static void
encode_messages(const FtcRoute *route, FtcMessage *messages, int n, const FtcGrant *grant, FtcOutgoing *out)
{
	out->n = 0;
	out->bytes = 0;
	out->messages = palloc(n * sizeof(FtcSlice));
	out->first = grant->first;
	out->value = out->before;
	while (out->n < n && (out->n == 0 || out->bytes < Min(grant->bytes, FTC_CALL_BYTES)))
	{
		const FtcMessage *m = &messages[out->n];
		FtcSlice	encoded;

		FTC_ENCODE(encoded, ftc_message_encode, m);
#ifdef FTC_FAILPOINTS
		/* what a later version may do to who says that it speaks it */
		if (route->protocol > 1)
			((uint8 *) encoded.data)[0] = (uint8) route->protocol;
#endif
		/* but for a single one */
		if (out->n > 0 && out->bytes + encoded.len > grant->bytes)
			break;
		out->messages[out->n++] = encoded;
		out->bytes += encoded.len;
		out->value = ftc_link_advance(&out->value, &m->id, &m->digest);
	}
}

/*
 * What is not kept any more cannot be sent: a link that has fallen behind for
 * good goes on with a new epoch, if its log allows that.
 */
static bool
is_behind(FtcOutLink *link, const FtcRoute *route, const FtcLog *log)
{
	FtcSender  *sender = &link->sender;

	if (sender->state != FTC_SENDER_OPEN || sender->base + sender->end.next >= log->horizon)
		return false;
	if (log->replays)
		ftc_sender_cut(sender); /* to be decided at the next hello */
	else
	{
		note_folded(link, route, log->horizon - (sender->base + sender->end.next));
		save_link(link, route, ftc_sender_restart(sender, log, sender->end.epoch + 1));
	}
	return true;
}

/* Another process has begun an epoch: what this one knows is over. */
static bool
is_overtaken(FtcOutLink *link, const FtcRoute *route)
{
	FtcSender	now = link->sender;

	if (link->sender.state != FTC_SENDER_OPEN || !route->log->load(route, &now) ||
		(now.end.epoch == link->sender.end.epoch && now.base == link->sender.base))
		return false;
	ftc_sender_cut(&link->sender);
	return true;
}

/* For their place in this link: nobody can take them for others. */
static void
sign_account(const FtcRoute *route, uint64 epoch, FtcOutgoing *out)
{
	FtcHash		start = start_of(route, epoch);
	FtcHash		account = ftc_link_account(&start, out->first, out->first + out->n, &out->before, &out->value);

	ftc_keys_sign(FTC_DOMAIN_ACCOUNT, &route->genesis, &account, &out->account);
}

bool
ftc_sending_next(FtcOutLink *link, const FtcRoute *route, FtcOutgoing *out)
{
	FtcSender  *sender = &link->sender;
	Log			arg;
	FtcLog		log = open_log(&arg, link, route);
	FtcMessage *messages;
	FtcGrant	grant;
	int			n;

	if (is_overtaken(link, route) || is_behind(link, route, &log) ||
		!ftc_sender_next(sender, &log, ftc_clock_steady(), &grant))
		return false;
	grant.bytes = Min(grant.bytes, Min(route->room, route->share));
	messages = palloc(MESSAGES_MAX * sizeof(FtcMessage));
	n = read_messages(route, sender, &grant, messages);
	if (n == 0 || !value_at(&arg, sender->end.epoch, sender->base, grant.first, &out->before))
		return false;
	route->log->attach(route, messages, n);
	encode_messages(route, messages, n, &grant, out);
	sign_account(route, sender->end.epoch, out);
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
ftc_sending_sent(FtcOutLink *link, const FtcOutgoing *out)
{
	uint64		next = out->first + out->n;

	remember_value(link, next, &out->value);
	if (out->first < link->highest)
		link->repeated += Min(next, link->highest) - out->first;
	link->highest = Max(link->highest, next);
	return ftc_sender_sent(&link->sender, out->first, out->first + out->n, out->bytes, ftc_clock_steady());
}

bool
ftc_sending_ack(FtcOutLink *link, const FtcRoute *route, const FtcAck *ack, uint64 order)
{
	Log			arg;
	FtcLog		log = open_log(&arg, link, route);
	uint64		now = ftc_clock_steady();

	save_link(link, route, ftc_sender_ack(&link->sender, &log, ack, order, now));
	return link->sender.hold_until <= now;
}

bool
ftc_sending_failed(FtcOutLink *link, uint64 order)
{
	uint64		now = ftc_clock_steady();

	ftc_sender_failed(&link->sender, order, now);
	return link->sender.hold_until <= now;
}

void
ftc_sending_cut(FtcOutLink *link)
{
	ftc_sender_cut(&link->sender);
}

/* TCP sends again what is lost; that nothing comes is for the shell to find. */
void
ftc_sending_timeout(FtcOutLink *link)
{
	(void) ftc_sender_timeout(&link->sender, PG_UINT64_MAX - 1);
	ftc_sender_cut(&link->sender);
}

/*-------------------------------------------------------------------------
 *
 * source.c
 *	  The sending end of a link, and the log behind it: src/sending.c with the
 *	  tables of src/outbox.c or of src/message.c.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

FtcHash
source_start(uint64_t epoch)
{
	static const FtcHash genesis = {{1}};
	static const FtcHash sender = {{2}};
	static const FtcHash receiver = {{3}};

	return ftc_link_start(&genesis, &sender, &receiver, 1, epoch);
}

uint32_t
source_size(const Sender *s, Message message)
{
	return 1 + message_content(s->source->users, message)->size % s->message_bytes;
}

void
source_append(Source *source, uint8_t incarnation)
{
	if (source->n == LOG_MAX)
		return;
	source->log[source->n] = message_make(incarnation, source->n + 1);
	source->n++;
}

/*
 * The messages behind that position get others.  They were sent at the same time, so
 * which comes first is all the same.
 */
void
source_forget_positions(Source *source, uint64_t from, Random *r)
{
	for (uint64_t i = source->n; i > from + 1; i--)
	{
		uint64_t	j = random_between(r, from + 1, i);
		Message		message = source->log[i - 1];

		source->log[i - 1] = source->log[j - 1];
		source->log[j - 1] = message;
	}
}

/*
 * Users' messages are kept until they were acknowledged, and some time longer;
 * announcements, until there are too many.
 */
void
source_prune(Source *source, uint64_t keep)
{
	uint64_t	last = source->users ? Min(source->done, source->base + source->end.next - 1) : source->n;

	if (source->begun && last > keep)
		source->horizon = Max(source->horizon, last - keep + 1);
}

/* ----------------------------------------------------------------
 *		The log as the core's sender sees it
 * ----------------------------------------------------------------
 */

/* From the nearest value that is known before it, or there. */
static void
nearest_value(const Sender *s, uint64_t epoch, uint64_t seq, uint64_t *at, FtcHash *value)
{
	const FtcLinkEnd *end = &s->sending->sender.end;

	*at = 1;
	*value = source_start(epoch);
	if (epoch != end->epoch)
		return;
	if (end->next <= seq)
	{
		*at = end->next;
		*value = end->value;
	}
	for (int i = 0; i < s->sending->nvalues; i++)
		if (s->sending->values[i].seq <= seq && s->sending->values[i].seq > *at)
		{
			*at = s->sending->values[i].seq;
			*value = s->sending->values[i].value;
		}
}

static bool
value_at(void *arg, uint64_t epoch, uint64_t base, uint64_t seq, FtcHash *value)
{
	const Sender *s = arg;
	const Source *source = s->source;
	uint64_t	at;

	nearest_value(s, epoch, seq, &at, value);
	for (; at < seq; at++)
	{
		const Content *c;

		if (base + at < source->horizon || base + at > source->n)
			return false;
		c = message_content(source->users, source->log[base + at - 1]);
		*value = ftc_link_advance(value, &c->id, &c->digest);
	}
	return true;
}

static Epoch *
find_epoch(Source *source, uint64_t epoch)
{
	for (int i = 0; i < source->nepochs; i++)
		if (source->epochs[i].epoch == epoch)
			return &source->epochs[i];
	return NULL;
}

static bool
reach_of(void *arg, uint64_t epoch, uint64_t next, uint64_t *position)
{
	const Epoch *found = find_epoch(((Sender *) arg)->source, epoch);

	if (found == NULL)
		return false;
	*position = Max(found->least, Min(found->base + next - 1, found->most));
	return true;
}

static FtcLog
open_log(Sender *s)
{
	const Source *source = s->source;
	FtcLog		log = {
		.arg = s,
		.horizon = source->horizon,
		.end = (uint64_t) source->n + 1,
		.replays = source->users,
		.given_up = source->given_up,
		.value_at = value_at,
		.reach_of = source->users ? reach_of : NULL
	};

	return log;
}

/* ----------------------------------------------------------------
 *		What is kept with it
 * ----------------------------------------------------------------
 */

static void
put_epoch(Source *source, uint64_t epoch, uint64_t base, uint64_t least, uint64_t most)
{
	if (!source->users || find_epoch(source, epoch) != NULL)
		return;
	if (source->nepochs == EPOCHS_MAX)
		memmove(source->epochs, source->epochs + 1, sizeof(Epoch) * --source->nepochs);
	source->epochs[source->nepochs++] = (Epoch)
	{
		epoch, base, least, most
	};
}

/*
 * What was acknowledged of it is all that counts from now on, be it by the chain
 * value that the next one begins at.
 */
static void
close_epoch(Source *source, uint64_t next_base)
{
	Epoch	   *epoch = find_epoch(source, source->end.epoch);

	if (epoch != NULL)
		epoch->most = Max(source->base + source->end.next - 1, next_base);
}

static void
save(Sender *s, FtcHeard heard)
{
	Source	   *source = s->source;
	const FtcSender *sender = &s->sending->sender;

	if (heard != FTC_HEARD_RESTARTED && heard != FTC_HEARD_MOVED)
		return;
	if (heard == FTC_HEARD_RESTARTED)
	{
		s->sending->nvalues = 0;
		close_epoch(source, sender->base);
		put_epoch(source, sender->end.epoch, sender->base, sender->floor, UINT64_MAX);
	}
	source->begun = true;
	source->end = sender->end;
	source->base = sender->base;
	source->floor = sender->floor;
	source->done = Max(source->done, source->base + source->end.next - 1);
}

static void
load(Sender *s, const FtcLog *log)
{
	FtcSender  *sender = &s->sending->sender;

	s->sending->nvalues = 0;
	if (sender->window == 0)
		ftc_sender_init(sender, &sender->end, 0);
	if (s->source->begun)
	{
		sender->end = s->source->end;
		sender->base = s->source->base;
		sender->floor = s->source->floor;
	}
	else
		save(s, ftc_sender_restart(sender, log, 1));
}

/* ----------------------------------------------------------------
 *		What the process does
 * ----------------------------------------------------------------
 */

#define EPOCH_MAX (UINT64_C(1) << 62)

FtcHeard
sending_hello(Sender *s, const FtcAck *says)
{
	FtcLog		log = open_log(s);
	FtcAck		ack = *says;
	FtcHeard	heard;
	uint64_t	before;

	load(s, &log);
	before = s->source->end.epoch;
	if (ack.end.epoch > EPOCH_MAX && ack.end.epoch > before)
		ack.end.epoch = 0;
	heard = ftc_sender_hello(&s->sending->sender, &log, &ack);
	if (heard == FTC_HEARD_RESTARTED && ack.end.epoch > before)
		put_epoch(s->source, ack.end.epoch, 0, s->sending->sender.floor, s->sending->sender.floor);
	save(s, heard);
	return heard;
}

void
source_resend(Source *source)
{
	Sending		sending = {0};
	Sender		s = {.source = source,.sending = &sending};
	FtcLog		log = open_log(&s);

	load(&s, &log);
	save(&s, ftc_sender_restart(&sending.sender, &log, sending.sender.end.epoch + 1));
	source->given_up = source->base;
}

/*
 * What is not kept any more cannot be sent: a link that has fallen behind for
 * good goes on with a new epoch, if its log allows that.
 */
static bool
is_behind(Sender *s, const FtcLog *log)
{
	FtcSender  *sender = &s->sending->sender;

	if (sender->state != FTC_SENDER_OPEN || sender->base + sender->end.next >= log->horizon)
		return false;
	if (log->replays)
		ftc_sender_cut(sender);
	else
		save(s, ftc_sender_restart(sender, log, sender->end.epoch + 1));
	return true;
}

static bool
is_overtaken(Sender *s)
{
	FtcSender  *sender = &s->sending->sender;

	if (sender->state != FTC_SENDER_OPEN ||
		(sender->end.epoch == s->source->end.epoch && sender->base == s->source->base))
		return false;
	ftc_sender_cut(sender);
	return true;
}

/* As many as may be sent. */
static void
fill(Sender *s, const FtcGrant *grant, Segment *segment)
{
	const FtcSender *sender = &s->sending->sender;
	const Source *source = s->source;

	segment->epoch = sender->end.epoch;
	segment->first = grant->first;
	segment->after = segment->before;
	segment->n = 0;
	segment->bytes = 0;
	while (segment->n < Min(grant->messages, SEGMENT_MAX))
	{
		Message		m = source->log[sender->base + grant->first + segment->n - 1];
		const Content *c = message_content(source->users, m);
		uint32_t	size = source_size(s, m);

		if (segment->n > 0 &&
			(segment->bytes >= s->call_bytes || segment->bytes + size > grant->bytes))
			break;
		segment->messages[segment->n++] = m;
		segment->bytes += size;
		segment->after = ftc_link_advance(&segment->after, &c->id, &c->digest);
	}
}

bool
sending_next(Sender *s, uint64_t now, Segment *segment)
{
	FtcSender  *sender = &s->sending->sender;
	FtcLog		log = open_log(s);
	FtcGrant	grant;

	if (is_overtaken(s) || is_behind(s, &log) || !ftc_sender_next(sender, &log, now, &grant) ||
		!value_at(s, sender->end.epoch, sender->base, grant.first, &segment->before))
		return false;
	fill(s, &grant, segment);
	return true;
}

uint64_t
sending_sent(Sender *s, const Segment *segment, uint64_t now)
{
	Sending    *sending = s->sending;

	if (sending->nvalues == lengthof(sending->values))
	{
		sending->nvalues--;
		memmove(sending->values, sending->values + 1, (size_t) sending->nvalues * sizeof(sending->values[0]));
	}
	sending->values[sending->nvalues].seq = segment->first + segment->n;
	sending->values[sending->nvalues++].value = segment->after;
	return ftc_sender_sent(&sending->sender, segment->first, segment->first + segment->n, segment->bytes, now);
}

FtcHeard
sending_ack(Sender *s, const FtcAck *ack, uint64_t order, uint64_t now)
{
	FtcLog		log = open_log(s);
	FtcHeard	heard = ftc_sender_ack(&s->sending->sender, &log, ack, order, now);

	save(s, heard);
	return heard;
}

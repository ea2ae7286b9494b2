/*-------------------------------------------------------------------------
 *
 * path.c
 *	  Calls and their answers on their way: they take their time, and may get
 *	  lost, come twice, overtake each other, or change.
 *
 * In a pipeline, which is a connection of TCP, nothing is lost but with the
 * connection, and a packet that was lost holds up those behind it.  Otherwise
 * each call goes its own way, as with many connections.
 *
 * Connections end with the receiver that they go to; what its successor, perhaps
 * a restored one, gets is of connections made since.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

#include "bytes.h"
#include "sign.h"
#include "topic.h"

#define STREAM 7
#define CALL_MAX 4096

static const FtcHash no_chain = {{0}};
static const FtcKey seed = {{42}};

/* ----------------------------------------------------------------
 *		The bytes of a call
 * ----------------------------------------------------------------
 */

static void
put_message(FtcWriter *writer, const Segment *segment, int i, bool users)
{
	const Content *c = message_content(users, segment->messages[i]);
	FtcMessage	message = {
		.kind = users ? FTC_MESSAGE_TOPIC : FTC_MESSAGE_STORED,
		.stream = users ? STREAM : FTC_STREAM_LEDGER,
		.epoch = segment->epoch,
		.seq = segment->first + (uint64_t) i,
		.id = c->id,
		.digest = c->digest,
		.reference = ftc_slice(c->reference, c->reference_len),
		.attachment = ftc_slice(c->text, c->text_len)
	};
	uint8_t		bytes[512];

	ftc_put_blob(writer, ftc_slice(bytes, ftc_message_encode(&message, bytes, sizeof(bytes))));
}

static size_t
encode(const Segment *segment, bool users, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);
	FtcSignature account;

	ftc_sign(&seed, FTC_DOMAIN_ACCOUNT, &no_chain, &segment->after, &account);
	ftc_put_bytes(&writer, account.b, FTC_SIGNATURE_LEN);
	ftc_put_hash(&writer, &segment->before);
	ftc_put_u8(&writer, segment->n);
	for (int i = 0; i < segment->n; i++)
		put_message(&writer, segment, i, users);
	return writer.len;
}

/* Which message is it?  False if it is none. */
static bool
find_message(const FtcMessage *message, bool users, Message *found)
{
	FtcReader	reader = ftc_reader(message->reference);
	FtcTopicReference reference;

	if (!users)
	{
		reference.incarnation = ftc_get_u64(&reader);
		reference.seq = ftc_get_u64(&reader);
	}
	else if (ftc_topic_reference_decode(&reference, message->reference) != FTC_OK ||
			 ftc_topic_message_check(&reference, message->attachment) != FTC_OK)
		return false;
	if (reference.incarnation < 1 || reference.incarnation > INCARNATIONS ||
		reference.seq < 1 || reference.seq > LOG_MAX)
		return false;
	*found = message_make(reference.incarnation - 1, reference.seq);
	return true;
}

/* One after the other, of one epoch. */
static bool
get_message(FtcReader *reader, Segment *segment, bool users, FtcMessage *message)
{
	uint8_t		i = segment->n;

	if (ftc_message_decode(message, ftc_get_blob(reader)) != FTC_OK ||
		message->stream != (users ? STREAM : FTC_STREAM_LEDGER) ||
		!find_message(message, users, &segment->messages[i]))
		return false;
	if (i == 0)
	{
		segment->epoch = message->epoch;
		segment->first = message->seq;
	}
	segment->n++;
	segment->after = ftc_link_advance(&segment->after, &message->id, &message->digest);
	return message->epoch == segment->epoch && message->seq == segment->first + i;
}

/* False if it is not what the sender has signed for. */
static bool
decode(World *w, FtcSlice bytes, Segment *segment)
{
	FtcReader	reader = ftc_reader(bytes);
	FtcSlice	account = ftc_get_slice(&reader, FTC_SIGNATURE_LEN);
	FtcSignature signature;
	FtcMessage	messages[SEGMENT_MAX];
	FtcKey		key;
	uint8_t		n;

	memset(segment, 0, sizeof(*segment));
	segment->before = segment->after = ftc_get_hash(&reader);
	n = ftc_get_u8(&reader);
	if (reader.bad || n > SEGMENT_MAX)
		return false;
	while (segment->n < n)
		if (!get_message(&reader, segment, w->settings.users, &messages[segment->n]))
			return false;
	memcpy(signature.b, account.data, FTC_SIGNATURE_LEN);
	if (!ftc_reader_is_done(&reader) || !ftc_key_derive(&seed, &key) ||
		ftc_verify(&key, FTC_DOMAIN_ACCOUNT, &no_chain, &segment->after, &signature) != FTC_OK)
		return false;
	for (int i = 0; i < n; i++)
	{
		const Content *c = message_content(w->settings.users, segment->messages[i]);

		if (!ftc_hash_equal(&c->id, &messages[i].id) || !ftc_hash_equal(&c->digest, &messages[i].digest))
			world_fail(w, "message %llu was changed on its way, and is taken", (unsigned long long) messages[i].seq);
	}
	return true;
}

/* ----------------------------------------------------------------
 *		The way
 * ----------------------------------------------------------------
 */

static uint64_t
delay(World *w)
{
	const Settings *s = &w->settings;
	uint64_t	most = w->peace || !s->fault[FAULT_REORDERING] ? s->delay_min : s->delay_max;

	return random_between(&w->chance_net, s->delay_min, most);
}

static void
deliver(World *w, Packet *packet, uint64_t left, uint64_t more)
{
	uint64_t	arrives = left + delay(w) + more;
	Event		event = {.kind = EVENT_PACKET,.packet = packet};

	if (w->settings.pipeline)
		arrives = w->arrived[packet->answer] = Max(arrives, w->arrived[packet->answer]);
	event.time = arrives;
	queue_put(&w->queue, event);
}

static void
garble(World *w, Packet *packet)
{
	uint8_t    *bytes = packet->len > 0 ? packet->bytes : (uint8_t *) &packet->ack.end;
	size_t		len = packet->len > 0 ? packet->len : sizeof(packet->ack.end);

	see(w, packet->answer ? SIGHT_GARBLED : SIGHT_CORRUPT);
	bytes[random_below(&w->chance_net, len)] ^= (uint8_t) random_between(&w->chance_net, 1, 255);
	/* an answer that cannot be is no answer */
	if (packet->answer && (packet->ack.end.epoch > INT64_MAX || packet->ack.end.next < 1 || packet->ack.end.next > INT64_MAX))
		packet->outcome = REFUSED;
}

static Packet *
copy(const Packet *packet)
{
	size_t		size = sizeof(Packet) + packet->len;

	return memcpy(malloc(size), packet, size);
}

static void
send_packet(World *w, Packet *packet, uint64_t bytes)
{
	const Settings *s = &w->settings;
	uint64_t   *until = &w->line_until[packet->answer];
	bool		lost = !w->peace && random_chance(&w->chance_net, s->loss);

	w->sights.packets++;
	*until = Max(*until, w->now) + (uint64_t) ((double) bytes / s->rate);
	if (lost && !s->pipeline)
	{
		free(packet);
		return;
	}
	if (!w->peace && s->fault[packet->answer ? FAULT_GARBLING : FAULT_CORRUPTION] &&
		(packet->answer || packet->len > 0) && random_chance(&w->chance_net, s->corruption))
		garble(w, packet);
	if (!w->peace && !s->pipeline && random_chance(&w->chance_net, s->duplication))
		deliver(w, copy(packet), *until, random_chance(&w->chance_net, 300) ? random_below(&w->chance_net, 10 * SECOND) : 0);
	deliver(w, packet, *until, lost ? random_between(&w->chance_net, 200, 1000) * MS : 0);
}

void
path_call(World *w, PacketKind kind, uint64_t order, const Segment *segment)
{
	uint8_t		bytes[CALL_MAX];
	size_t		len = segment == NULL ? 0 : encode(segment, w->settings.users, bytes, sizeof(bytes));
	Packet	   *packet = calloc(1, sizeof(Packet) + len);

	packet->kind = kind;
	packet->connection = w->connection;
	packet->boot = kind == PACKET_HELLO ? w->boot : w->peer_boot;
	packet->order = order;
	packet->len = len;
	if (len > 0)
		memcpy(packet->bytes, bytes, len);
	send_packet(w, packet, segment == NULL ? 100 : segment->bytes);
}

/* The receiver is gone, and its host says so. */
void
path_reset(World *w)
{
	Packet	   *packet = calloc(1, sizeof(Packet));

	packet->answer = true;
	packet->kind = PACKET_RESET;
	packet->connection = w->connection;
	deliver(w, packet, w->now, 0);
}

/* ----------------------------------------------------------------
 *		What the receiver does
 * ----------------------------------------------------------------
 */

typedef struct Taken
{
	World	   *world;
	int			n;
	Message		messages[HELD_MAX + SEGMENT_MAX];
} Taken;

static Mood
mood(void *arg, Message message)
{
	World	   *w = ((Taken *) arg)->world;

	if (w->busy)
		return MOOD_BUSY;
	return w->settings.fault[FAULT_POISON] && message_content(w->settings.users, message)->id.b[9] < 16 ? MOOD_POISON : MOOD_WELL;
}

static void
applied(void *arg, Message message)
{
	Taken	   *taken = arg;
	World	   *w = taken->world;

	if (mood(arg, message) == MOOD_POISON)
		see(w, SIGHT_DEAD);
	if (sink_knows(&w->sink, message))
		world_fail(w, "message %llu is applied twice", (unsigned long long) message_position(message));
	taken->messages[taken->n++] = message;
}

static void
passed(void *arg, Message message)
{
	(void) message;
	see(((Taken *) arg)->world, SIGHT_KNOWN);
}

static void
judged(void *arg, FtcLinkVerdict verdict)
{
	static const Sight sights[] = {
		[FTC_LINK_APPLY] = SIGHT_APPLY,[FTC_LINK_DUPLICATE] = SIGHT_DUPLICATE,[FTC_LINK_GAP] = SIGHT_GAP,
		[FTC_LINK_HOLD] = SIGHT_HOLD,[FTC_LINK_STALE] = SIGHT_STALE,[FTC_LINK_NEW_EPOCH] = SIGHT_NEW_EPOCH
	};

	see(((Taken *) arg)->world, sights[verdict]);
}

static Outcome
take_call(World *w, const Packet *packet)
{
	static Sink before;
	Taken		taken = {.world = w};
	Intake		in = {
		.sink = &w->sink,.message_bytes = w->settings.message_bytes,
		.mood = mood,.applied = applied,.passed = passed,.judged = judged,.arg = &taken
	};
	Segment		segment;

	if (!w->peace && random_chance(&w->chance_work, w->settings.failure))
		return FAILED;
	if (!decode(w, ftc_slice(packet->bytes, packet->len), &segment))
		return REFUSED;
	if (w->full)
		return ANSWERED;
	before = w->sink;
	sink_take(&in, &segment);
	if (in.wrong)
	{
		w->sink = before;
		return REFUSED;
	}
	if (taken.n > segment.n)
		see(w, SIGHT_FILLED);
	oracle_committed(w);
	for (int i = 0; i < taken.n; i++)
		oracle_applied(w, taken.messages[i]);
	return ANSWERED;
}

static void
answer(World *w, const Packet *call, Outcome outcome)
{
	Packet	   *packet = calloc(1, sizeof(Packet));

	*packet = *call;
	packet->len = 0;
	packet->answer = true;
	packet->in_line = false;
	packet->outcome = outcome;
	ftc_receiver_say(&w->sink.receiver, &packet->ack);
	if (w->full)
		packet->ack.room_messages = 0;
	send_packet(w, packet, 100);
}

static void
serve(World *w, const Packet *packet)
{
	Outcome		outcome = ANSWERED;

	if (packet->connection != w->connection)
		see(w, SIGHT_LATE);
	if (packet->kind == PACKET_CALL)
	{
		if (w->crash_sink == CRASH_BEFORE)
		{
			crash_sink(w);
			return;
		}
		outcome = take_call(w, packet);
		if (w->crash_sink == CRASH_AFTER)
		{
			see(w, SIGHT_CRASH_UNANSWERED);
			crash_sink(w);
			return;
		}
	}
	answer(w, packet, outcome);
}

/* One call after the other, each takes its time. */
static bool
stand_in_line(World *w, Packet *packet)
{
	Event		event = {.kind = EVENT_PACKET,.packet = packet};

	if (packet->in_line)
		return false;
	packet->in_line = true;
	event.time = Max(w->busy_until, w->now);
	w->busy_until = event.time + (packet->kind == PACKET_CALL ? w->settings.work : 0);
	if (event.time > w->now)
		queue_put(&w->queue, event);
	return event.time > w->now;
}

void
path_take(World *w, Packet *packet)
{
	if (packet->answer)
		line_answer(w, packet);
	else if (w->sink_up && packet->boot == w->boot)
	{
		if (stand_in_line(w, packet))
			return;
		serve(w, packet);
	}
	free(packet);
}

/*-------------------------------------------------------------------------
 *
 * network.c
 *	  Packets between members: calls and their answers.  They take their time,
 *	  and may get lost, come twice, overtake each other, or change on the way.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

void
network_init(World *w)
{
	w->cut = world_alloc(w, (size_t) w->nmembers * (size_t) (w->settings.light ? 0 : w->nmembers) + 1);
}

Packet *
packet_new(uint32_t from, uint32_t to, CallKind kind, bool answer, uint64_t call, FtcSlice bytes)
{
	Packet	   *p = calloc(1, sizeof(Packet) + bytes.len);

	p->from = from;
	p->to = to;
	p->kind = kind;
	p->answer = answer;
	p->call = call;
	p->len = bytes.len;
	if (bytes.len > 0)
		memcpy(p->bytes, bytes.data, bytes.len);
	return p;
}

static bool
is_cut(const World *w, uint32_t from, uint32_t to)
{
	return !w->settings.light && w->cut[from * (uint32_t) w->nmembers + to] != 0;
}

/*
 * Without reordering all packets take the same time, so that they come in the
 * order in which they were sent.
 */
static uint64_t
delay(World *w)
{
	const Settings *s = &w->settings;

	if (s->light)
		return s->delay_min == s->delay_max ? s->delay_min : random_between(&w->chance_net, s->delay_min, s->delay_max);
	if (w->peace || !s->fault[FAULT_REORDERING])
		return s->delay_min;
	return random_between(&w->chance_net, s->delay_min, s->delay_max);
}

static void
deliver(World *w, Packet *packet, uint64_t more)
{
	Event		event = {.time = w->now + delay(w) + more,.kind = EVENT_PACKET,.member = packet->to,.packet = packet};

	queue_put(&w->queue, event);
}

static void
corrupt(World *w, Packet *packet)
{
	if (packet->len > 0)
		packet->bytes[random_below(&w->chance_net, packet->len)] ^= (uint8_t) random_between(&w->chance_net, 1, 255);
}

void
network_send(World *w, Packet *packet)
{
	const Settings *s = &w->settings;

	w->sights.packets++;
	w->sights.bytes += packet->len;
	if (w->members[packet->from].mute || is_cut(w, packet->from, packet->to) ||
		(!w->peace && random_chance(&w->chance_net, s->loss)))
	{
		free(packet);
		return;
	}
	if (!w->peace && random_chance(&w->chance_net, s->duplication))
	{
		Packet	   *again = packet_new(packet->from, packet->to, packet->kind, packet->answer, packet->call,
									   ftc_slice(packet->bytes, packet->len));

		again->boot = packet->boot;
		/* some come when everything has become another */
		deliver(w, again, random_chance(&w->chance_net, 300) ? random_below(&w->chance_net, 30 * SECOND) : 0);
	}
	if (!w->peace && random_chance(&w->chance_net, s->corruption))
		corrupt(w, packet);
	deliver(w, packet, 0);
}

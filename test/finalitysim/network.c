/*-------------------------------------------------------------------------
 *
 * network.c
 *	  Packets between nodes: they take their time, and may get lost, come twice, or
 *	  overtake each other.
 *
 *-------------------------------------------------------------------------
 */
#include "finalitysim.h"

static uint64_t
delay(World *w)
{
	const Settings *s = &w->settings;

	if (w->peace || !s->fault[FAULT_REORDERING])
		return s->delay_min;
	return random_between(&w->chance_net, s->delay_min, s->delay_max);
}

static void
deliver(World *w, const Packet *packet, uint32_t to)
{
	Event		event = {.time = w->now + delay(w),.kind = EVENT_PACKET,.member = to};

	event.packet = malloc(sizeof(Packet));
	memcpy(event.packet, packet, sizeof(Packet));
	queue_put(&w->queue, event);
}

void
network_send(Node *n, uint32_t to, PacketKind kind, uint32_t what, uint32_t certificate)
{
	World	   *w = n->world;
	Packet		packet = {kind, n->no, what, certificate};

	w->sights.packets++;
	if (n->mute || w->cut[n->no * w->nnodes + to] != 0)
		return;
	if (!w->peace && random_chance(&w->chance_net, w->settings.loss))
		return;
	if (!w->peace && random_chance(&w->chance_net, w->settings.duplication))
		deliver(w, &packet, to);
	deliver(w, &packet, to);
}

void
network_all(Node *n, PacketKind kind, uint32_t what, uint32_t certificate)
{
	for (uint32_t i = 0; i < n->world->nnodes; i++)
		if (i != n->no)
			network_send(n, i, kind, what, certificate);
}

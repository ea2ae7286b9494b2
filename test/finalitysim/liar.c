/*-------------------------------------------------------------------------
 *
 * liar.c
 *	  What those do who do not keep to the rules.
 *
 * They know what an honest node knows, sign whatever they like, with their own
 * keys, and do not keep count of it.
 *
 *-------------------------------------------------------------------------
 */
#include "finalitysim.h"

static bool
lies_by(Node *n, Fault fault, uint32_t permille)
{
	return n->world->settings.fault[fault] && random_chance(&n->world->chance_lie, permille);
}

static uint32_t
some_known(Node *n)
{
	World	   *w = n->world;

	/* mostly a recent one */
	for (int i = 0; i < 20; i++)
	{
		uint32_t	most = random_chance(&w->chance_lie, 700) ? 12 : w->nblocks;
		uint32_t	block = w->nblocks - 1 - (uint32_t) random_below(&w->chance_lie, Min(most, w->nblocks));

		if (n->d.known[block])
			return block;
	}
	return n->d.head;
}

/* To some, or to all. */
static void
send_block(Node *n, uint32_t block, bool odd, bool even)
{
	World	   *w = n->world;
	uint32_t	justified = w->blocks[block].verdict == FTC_OK ? w->blocks[block].justified : NONE;
	uint32_t	certificate = justified != NONE && node_has_certificate(n, justified)
	? node_certificate_of(n, justified) : NONE;

	for (uint32_t i = 0; i < w->nnodes; i++)
		if (i != n->no && (i % 2 == 1 ? odd : even))
			network_send(n, i, PACKET_BLOCK, block, certificate);
	node_block(n, block, NONE, n->no);
}

static void
vote_for(Node *n, uint32_t block, const FtcVoteLink *link, bool forged)
{
	World	   *w = n->world;
	uint32_t	ballot = ballot_make(w, n->identity, block, link, forged);
	bool		half = lies_by(n, FAULT_WITHHOLDING, 300);

	for (uint32_t i = 0; i < w->nnodes; i++)
		if (i != n->no && (!half || i % 2 == 0))
			network_send(n, i, PACKET_BALLOT, ballot, NONE);
	if (w->ballots[ballot].verdict == FTC_OK)
		node_ballot(n, ballot);
}

/* A block has come: vote for it, whatever was voted for before. */
void
liar_known(Node *n, uint32_t block)
{
	World	   *w = n->world;
	const Context *c = w->contexts[w->blocks[block].context];
	FtcVoteLink link = link_of(w, block);

	if (block == 0 || ftc_validators_find(&c->state.set, &w->identities[n->identity].id) < 0)
		return;
	if (w->settings.fault[FAULT_VOTE_ALL])
		vote_for(n, block, &link, false);
	if (lies_by(n, FAULT_FORGERY, 150))
	{
		/* another source than the header's; or with another's key */
		link.source.round = link.source.round > 0 ? random_below(&w->chance_lie, link.source.round) : 0;
		link.source.id = w->blocks[w->blocks[block].parent].id;
		vote_for(n, block, &link, random_chance(&w->chance_lie, 500));
	}
}

/* What a valid block on this parent may justify: the highest that is known to be there. */
static uint32_t
justified_on(Node *n, uint32_t parent)
{
	World	   *w = n->world;
	uint32_t	least = w->blocks[parent].justified;

	for (uint32_t at = parent; at != 0 && at != least; at = w->blocks[at].parent)
		if ((node_has_certificate(n, at) || w->blocks[at].finality.alone) && random_chance(&w->chance_lie, 700))
			return at;
	return parent == 0 ? 0 : least;
}

static bool
is_turn(Node *n, uint32_t parent, uint64_t slot)
{
	World	   *w = n->world;
	uint32_t	context = context_of_child(w, parent, slot);

	return w->contexts[context]->turns[slot % w->settings.slots.per_epoch] == n->identity;
}

static uint32_t
make_on(Node *n, uint32_t parent, uint64_t slot, uint64_t salt)
{
	World	   *w = n->world;
	uint64_t	carried = Max(w->appended, w->blocks[parent].carried);
	FtcHeader	header = header_on(w, parent, justified_on(n, parent), slot, n->identity, w->blocks[parent].ops,
								   carried, salt);

	return block_make(w, header, n->identity, w->blocks[parent].ops, carried);
}

/* A block that it has made itself, so that its turn comes again with the same round. */
static uint32_t
own_block(Node *n)
{
	World	   *w = n->world;

	for (uint32_t block = w->nblocks; block-- > 1;)
		if (w->blocks[block].maker == n->identity && n->d.known[block])
			return block;
	return 0;
}

/* Wrong in one way, and properly signed. */
static void
forge_block(Node *n, uint64_t slot)
{
	World	   *w = n->world;
	uint64_t	how = random_below(&w->chance_lie, 7);
	uint32_t	parent = how == 1 ? own_block(n) : some_known(n);
	FtcHeader	header;

	if (how == 1)
		slot = w->blocks[parent].header.round;
	else if (slot <= w->blocks[parent].header.round)
		return;
	header = header_on(w, parent, justified_on(n, parent), slot, n->identity, w->blocks[parent].ops,
					   w->blocks[parent].carried, random_u64(&w->chance_lie));
	switch (how)
	{
		case 0:
			header.justify = w->blocks[some_known(n)].id;
			break;
		case 1:
			break;				/* the parent's round */
		case 2:
			header.round = header.round + 1000;
			header.time = ftc_slot_start(&w->settings.slots, header.round);
			break;
		case 3:
			header.state.b[3] ^= 1;
			break;
		case 4:
			header.proposer = w->identities[(n->identity + 1) % (uint32_t) w->nidentities].id;
			break;
		case 5:
			header.time += w->settings.slots.length;
			break;
		default:
			header.justify = w->blocks[0].id;
			break;
	}
	send_block(n, block_make(w, header, n->identity, w->blocks[parent].ops, w->blocks[parent].carried), true, true);
}

/* A certificate of too few, or of one who is counted twice, or with a signature of another. */
static void
forge_certificate(Node *n)
{
	World	   *w = n->world;
	uint32_t	block = some_known(n);
	const Block *b = &w->blocks[block];
	const FtcValidators *set = &w->contexts[b->context]->state.set;
	uint8_t		bytes[FTC_CERTIFICATE_MAX];
	FtcWriter	votes;
	FtcCertificate certificate = {.link = link_of(w, block)};
	uint64_t	how = random_below(&w->chance_lie, 3);

	if (block == 0 || b->finality.alone)
		return;
	votes = ftc_writer(bytes, sizeof(bytes));
	for (uint16_t place = 0; place < set->n; place++)
	{
		bool		voted = b->ballots[place] != NONE && (n->d.votes[block][place / 64] >> place % 64 & 1) != 0;
		uint32_t	other = NONE;

		for (uint16_t i = 0; i < set->n && other == NONE; i++)
			other = b->ballots[i];
		if (!voted && (how == 0 || other == NONE))
			continue;

		/*
		 * somebody's signature at the place of another; or his own place
		 * again
		 */
		ftc_put_u16(&votes, how == 1 && certificate.n > 0 && !voted ? (uint16_t) (place - 1) : place);
		ftc_put_bytes(&votes, w->ballots[voted ? b->ballots[place] : other].vote.signature.b, FTC_SIGNATURE_LEN);
		certificate.n++;
	}
	certificate.votes = ftc_slice(bytes, votes.len);
	{
		uint8_t		whole[FTC_CERTIFICATE_MAX];
		size_t		len = ftc_certificate_encode(&certificate, whole, sizeof(whole));

		network_all(n, PACKET_CERTIFICATE, certificate_forge(w, block, ftc_slice(whole, len)), NONE);
	}
}

void
liar_propose(Node *n, uint64_t slot)
{
	World	   *w = n->world;
	uint32_t	parent = lies_by(n, FAULT_OFF_HEAD, 600) ? some_known(n) : n->d.head;
	uint32_t	block;

	if (slot <= w->blocks[parent].header.round || !is_turn(n, parent, slot))
		return;
	if (w->quiet && !ftc_finality_needs_closing(&w->blocks[parent].finality))
		return;
	block = make_on(n, parent, slot, 0);
	if (lies_by(n, FAULT_EQUIVOCATION, 700))
	{
		uint32_t	beside = lies_by(n, FAULT_OFF_HEAD, 500) ? some_known(n) : parent;

		send_block(n, block, true, false);
		if (slot > w->blocks[beside].header.round && is_turn(n, beside, slot))
			send_block(n, make_on(n, beside, slot, 1), false, true);
	}
	else if (lies_by(n, FAULT_WITHHOLDING, 500))
		plan(w, EVENT_RELEASE, n->no, w->now + random_below(&w->chance_lie, 8 * w->settings.slots.length), block);
	else
		send_block(n, block, true, true);
}

void
liar_release(Node *n, uint32_t block)
{
	send_block(n, block, true, true);
}

void
liar_tick(Node *n, uint64_t slot)
{
	liar_propose(n, slot);
	if (lies_by(n, FAULT_FORGERY, 250) && !n->world->quiet)
		forge_block(n, slot);
	if (lies_by(n, FAULT_FORGERY, 150) && !n->world->quiet)
		forge_certificate(n);
}

/*-------------------------------------------------------------------------
 *
 * node.c
 *	  What an honest node does: takes blocks, votes and certificates, votes itself,
 *	  and proposes.
 *
 *-------------------------------------------------------------------------
 */
#include "finalitysim.h"

/* ----------------------------------------------------------------
 *		What is in its tables
 * ----------------------------------------------------------------
 */

Durable
durable_new(void)
{
	Durable		d = {0};

	d.known = calloc(BLOCKS_MAX, sizeof(*d.known));
	d.certificates = calloc(BLOCKS_MAX, sizeof(*d.certificates));
	d.votes = calloc(BLOCKS_MAX, sizeof(*d.votes));
	return d;
}

void
durable_free(Durable *d)
{
	free(d->known);
	free(d->certificates);
	free(d->votes);
}

void
durable_copy(World *w, Durable *into, const Durable *from)
{
	Durable		memory = *into;

	*into = *from;
	into->known = memory.known;
	into->certificates = memory.certificates;
	into->votes = memory.votes;
	memcpy(into->known, from->known, w->nblocks * sizeof(*from->known));
	memcpy(into->certificates, from->certificates, w->nblocks * sizeof(*from->certificates));
	memcpy(into->votes, from->votes, w->nblocks * sizeof(*from->votes));
}

static bool
load_known(FtcFinalityTree *tree, const FtcHash *id, FtcFinality *block)
{
	Node	   *n = (Node *) tree;
	uint32_t	found = block_find(n->world, id);

	if (found == NONE || !n->d.known[found])
		return false;
	*block = n->world->blocks[found].finality;
	return true;
}

void
node_init(World *w, uint32_t no, uint32_t identity)
{
	Node	   *n = &w->nodes[no];
	size_t		all = (size_t) w->nidentities;

	n->tree.load = load_known;
	n->world = w;
	n->no = no;
	n->identity = identity;
	n->lies = w->identities[identity].lies;
	n->d = durable_new();
	n->d.known[0] = 1;
	ftc_view_first(&n->d.view, &w->genesis);
	n->seen_view = n->d.view;
	n->d.made_final = NONE;
	n->clocks = calloc(all, sizeof(FtcClockSight));
	n->heard = calloc(all, sizeof(uint32_t *));
	n->nheard = calloc(all, sizeof(uint32_t));
	n->top_target = calloc(all, sizeof(uint64_t));
	n->top_source = calloc(all, sizeof(uint64_t));
	n->up = true;
}

void
node_free(Node *n)
{
	for (int i = 0; i < n->world->nidentities; i++)
		free(n->heard[i]);
	if (n->backup != NULL)
		durable_free(n->backup);
	free(n->backup);
	durable_free(&n->d);
	free(n->clocks);
	free(n->heard);
	free(n->nheard);
	free(n->top_target);
	free(n->top_source);
}

uint64_t
clock_of(const Node *n)
{
	return SIM_EPOCH + n->world->now + (uint64_t) n->skew;
}

bool
node_has_certificate(const Node *n, uint32_t block)
{
	return n->d.certificates[block] != 0;
}

uint32_t
node_certificate_of(const Node *n, uint32_t block)
{
	return n->d.certificates[block] - 1;
}

/* ----------------------------------------------------------------
 *		Voting
 * ----------------------------------------------------------------
 */

static void count(Node *n, uint32_t block);

static void
vote(Node *n, uint32_t block)
{
	World	   *w = n->world;
	const Block *b = &w->blocks[block];
	const Context *c = w->contexts[b->context];
	FtcVoteLink link = link_of(w, block);
	int			place = ftc_validators_find(&c->state.set, &w->identities[n->identity].id);
	uint32_t	ballot;

	if (block == 0 || place < 0 || n->wrong_clock || b->finality.alone)
		return;
	switch (ftc_sign_state_vote(&n->d.signed_for, &link))
	{
		case FTC_SIGNING_REFUSED:
			see(w, SIGHT_REFUSED);
			return;
		case FTC_SIGNING_AGAIN:
			return;
		case FTC_SIGNING_NEW:
			break;
	}
	ballot = ballot_make(w, n->identity, block, &link, false);
	trace(w, "%u votes for round %llu", n->no, (unsigned long long) b->header.round);
	if (n->d.guard > 0 && link.source.round >= n->d.guard)
	{
		see(w, SIGHT_RELEASED);
		n->d.guard = 0;
	}
	oracle_vote(n, ballot);
	n->d.votes[block][place / 64] |= UINT64_C(1) << place % 64;
	network_all(n, PACKET_BALLOT, ballot, NONE);
	count(n, block);
}

/* ----------------------------------------------------------------
 *		The head
 * ----------------------------------------------------------------
 */

static uint32_t
common_ancestor(const World *w, uint32_t a, uint32_t b)
{
	while (a != b)
		if (w->blocks[a].finality.self.height > w->blocks[b].finality.self.height)
			a = w->blocks[a].parent;
		else
			b = w->blocks[b].parent;
	return a;
}

static void
set_head(Node *n, uint32_t block)
{
	World	   *w = n->world;
	uint32_t	fork = common_ancestor(w, n->d.head, block);

	if (w->blocks[n->d.head].finality.self.height >= w->blocks[fork].finality.self.height + 3)
		see(w, SIGHT_REORGANISED);
	n->d.head = block;
	if (w->blocks[block].header.round > w->blocks[w->blocks[block].parent].header.round + 5)
		see(w, SIGHT_SKIPPED);
	vote(n, block);
}

/* What is justified may be beside the head: then all blocks are looked at. */
static void
choose_again(Node *n)
{
	World	   *w = n->world;
	uint32_t	best = block_of(w, &n->d.view.justified);

	if (ftc_view_allows(&n->d.view, &n->tree, &w->blocks[n->d.head].finality))
		return;
	for (uint32_t i = 0; i < w->nblocks; i++)
		if (n->d.known[i] && ftc_view_prefers(&n->d.view, &n->tree, &w->blocks[best].finality, &w->blocks[i].finality))
			best = i;
	set_head(n, best);
}

/* A known block has a certificate, or needs none. */
static void
certified(Node *n, uint32_t block)
{
	World	   *w = n->world;
	const FtcFinality *finality = &w->blocks[block].finality;
	uint64_t	before = n->d.view.justified.point.round;

	switch (ftc_view_certified(&n->d.view, &n->tree, finality))
	{
		case FTC_LEARNED_CONFLICT:
			world_fail(w, "node %u sees a certificate that conflicts, round %llu", n->no,
					   (unsigned long long) finality->self.point.round);
			return;
		case FTC_LEARNED_FINAL:
			see(w, SIGHT_FINAL);
			if (finality->alone)
				see(w, SIGHT_ALONE);
			n->d.made_final = block;
			trace(w, "%u: round %llu is final", n->no, (unsigned long long) n->d.view.final.point.round);
			break;
		case FTC_LEARNED_JUSTIFIED:
			see(w, SIGHT_JUSTIFIED);
			if (finality->self.point.round > finality->justified.point.round + 1)
				see(w, SIGHT_NOT_FINAL);
			break;
		case FTC_LEARNED_NOTHING:
			if (finality->self.point.round < before)
				see(w, SIGHT_LATE_CERTIFICATE);
			break;
	}
	choose_again(n);
}

/* ----------------------------------------------------------------
 *		What comes
 * ----------------------------------------------------------------
 */

/* Have enough voted? */
static void
count(Node *n, uint32_t block)
{
	World	   *w = n->world;
	const FtcValidators *set = &w->contexts[w->blocks[block].context]->state.set;
	FtcTally	tally = {0};
	uint32_t	certificate;

	if (node_has_certificate(n, block))
		return;
	for (int place = 0; place < set->n; place++)
		if ((n->d.votes[block][place / 64] >> place % 64 & 1) != 0)
			(void) ftc_tally_add(&tally, set, place);
	if (!ftc_validators_is_quorum(set, tally.weight))
	{
		FtcValidators without = *set;

		without.handover = false;
		if (set->handover && ftc_validators_is_quorum(&without, tally.weight))
			see(w, SIGHT_JOINT);
		return;
	}
	certificate = certificate_make(w, block, n->d.votes[block]);
	if (certificate == NONE)
		world_fail(w, "a quorum has voted, and there is no certificate");
	else
		node_certificate(n, certificate);
}

void
node_certificate(Node *n, uint32_t certificate)
{
	const Certificate *c = &n->world->certificates[certificate];

	if (c->verdict != FTC_OK || !n->d.known[c->block] || node_has_certificate(n, c->block))
		return;
	n->d.certificates[c->block] = certificate + 1;
	certified(n, c->block);
}

void
node_evidence(Node *n, uint32_t identity)
{
	n->d.evidence[identity / 64] |= UINT64_C(1) << identity % 64;
}

static void
found_evidence(Node *n, const FtcEvidence *evidence, uint32_t identity)
{
	if ((n->d.evidence[identity / 64] >> identity % 64 & 1) != 0)
		return;
	evidence_make(n->world, evidence);
	node_evidence(n, identity);
	network_all(n, PACKET_EVIDENCE, identity, NONE);
}

/* Compare a vote with those that were heard of the same voter. */
static void
hear(Node *n, uint32_t ballot)
{
	World	   *w = n->world;
	const Ballot *b = &w->ballots[ballot];
	uint32_t	who = b->identity;
	const FtcVoteLink *link = &b->vote.link;
	FtcEvidence evidence;

	for (uint32_t i = 0; i < n->nheard[who]; i++)
		if (n->heard[who][i] == ballot)
			return;
	/* what comes after all others contradicts none of them */
	if (link->target.round <= n->top_target[who] || link->source.round < n->top_source[who])
		for (uint32_t i = 0; i < n->nheard[who]; i++)
			if (ftc_offence_of_votes(&w->ballots[n->heard[who][i]].vote, &b->vote, &evidence) != FTC_OFFENCE_NONE)
			{
				found_evidence(n, &evidence, who);
				break;
			}
	n->top_target[who] = Max(n->top_target[who], link->target.round);
	n->top_source[who] = Max(n->top_source[who], link->source.round);
	n->heard[who] = realloc(n->heard[who], (n->nheard[who] + 1) * sizeof(uint32_t));
	n->heard[who][n->nheard[who]++] = ballot;
}

void
node_ballot(Node *n, uint32_t ballot)
{
	World	   *w = n->world;
	const Ballot *b = &w->ballots[ballot];

	if (b->verdict != FTC_OK && b->verdict != FTC_NOT_JUSTIFIED)
	{
		w->sights.refused[b->verdict]++;
		return;
	}
	hear(n, ballot);
	if (b->verdict != FTC_OK || !n->d.known[b->block])
		return;
	n->d.votes[b->block][b->place / 64] |= UINT64_C(1) << b->place % 64;
	count(n, b->block);
}

/* How far its maker's clock seems to be ahead; and is this one's wrong? */
static void
look_at_clock(Node *n, const Block *b)
{
	World	   *w = n->world;
	FtcClockSight sights[IDENTITIES_MAX];
	const Context *c = w->contexts[b->context];
	uint64_t	total = 0;
	uint32_t	count = 0;
	int64_t		median;
	bool		was = n->wrong_clock;

	n->clocks[b->maker].ahead = (int64_t) (b->header.time - clock_of(n));
	n->clocks[b->maker].weight = 1;
	for (uint16_t i = 0; i < c->state.set.n; i++)
	{
		uint32_t	who = c->identities[i];

		if (who == n->identity)
			continue;
		total++;
		if (n->clocks[who].weight > 0)
			sights[count++] = n->clocks[who];
	}
	n->wrong_clock = total > 0 &&
		ftc_clock_judge(sights, count, total, 600 * SECOND, &median) == FTC_CLOCKS_OWN_IS_WRONG;
	if (n->wrong_clock && !was)
		see(w, SIGHT_CLOCK);
}

static void
ask(Node *n, uint32_t from)
{
	if (n->world->now < n->asked + 200 * MS && n->asked > 0)
		return;
	n->asked = n->world->now;
	network_send(n, from, PACKET_HELLO, n->no, NONE);
}

/* May it be taken now?  If not, it comes again. */
static FtcReason
may_take(Node *n, uint32_t block, uint32_t certificate)
{
	World	   *w = n->world;
	const Block *b = &w->blocks[block];
	FtcReason	reason;

	if (b->verdict != FTC_OK)
		return b->verdict;
	if (!n->d.known[b->parent])
		return FTC_UNKNOWN_PARENT;
	look_at_clock(n, b);
	reason = ftc_slot_has_come(&w->settings.slots, b->header.round, b->header.time, clock_of(n));
	if (reason != FTC_OK)
		return reason;
	if (certificate != NONE && w->certificates[certificate].block == b->justified)
		node_certificate(n, certificate);
	if (!ftc_finality_is_given(&w->blocks[b->justified].finality) && !node_has_certificate(n, b->justified))
		return FTC_NO_QUORUM;
	return FTC_OK;
}

static void
look_for_rivals(Node *n, uint32_t block)
{
	World	   *w = n->world;

	for (uint32_t i = w->blocks[block].rival; i != NONE; i = w->blocks[i].rival)
	{
		FtcProposal a = {w->blocks[block].header, w->blocks[block].signature};
		FtcProposal b = {w->blocks[i].header, w->blocks[i].signature};
		FtcEvidence evidence;

		if (n->d.known[i] && ftc_offence_of_proposals(&a, &b, &evidence) != FTC_OFFENCE_NONE)
			found_evidence(n, &evidence, w->blocks[block].maker);
	}
}

void
node_block(Node *n, uint32_t block, uint32_t certificate, uint32_t from)
{
	World	   *w = n->world;
	const Block *b = &w->blocks[block];
	FtcReason	reason;

	if (n->d.known[block])
		return;
	reason = may_take(n, block, certificate);
	if (reason != FTC_OK)
	{
		w->sights.refused[reason]++;
		if (reason == FTC_UNKNOWN_PARENT && from != n->no)
			ask(n, from);
		return;
	}
	n->d.known[block] = 1;
	oracle_block(n, block);
	look_for_rivals(n, block);
	if (b->finality.alone)
		certified(n, block);
	if (ftc_view_prefers(&n->d.view, &n->tree, &w->blocks[n->d.head].finality, &b->finality))
		set_head(n, block);
	else if (w->settings.fault[FAULT_CARELESS])
		vote(n, block);
	count(n, block);
	if (n->lies)
		liar_known(n, block);
}

/* ----------------------------------------------------------------
 *		Catching up: what the other one lacks
 * ----------------------------------------------------------------
 */

#define GIVE_MAX 24

static void
give_blocks(Node *n, const Node *to)
{
	World	   *w = n->world;
	uint32_t	chain[GIVE_MAX];
	uint32_t	length = 0;
	uint32_t	at = n->d.head;

	for (; !to->d.known[at]; at = w->blocks[at].parent)
		chain[length++ % GIVE_MAX] = at;
	for (uint32_t i = length, given = 0; i > 0 && given < GIVE_MAX; i--, given++)
	{
		uint32_t	block = chain[(i - 1) % GIVE_MAX];
		uint32_t	justified = w->blocks[block].justified;

		network_send(n, to->no, PACKET_BLOCK, block,
					 node_has_certificate(n, justified) ? node_certificate_of(n, justified) : NONE);
	}
}

static void
give_votes(Node *n, const Node *to, uint32_t block)
{
	World	   *w = n->world;
	const Block *b = &w->blocks[block];

	if (!to->d.known[block] || node_has_certificate(to, block))
		return;
	if (node_has_certificate(n, block))
	{
		network_send(n, to->no, PACKET_CERTIFICATE, node_certificate_of(n, block), NONE);
		return;
	}
	for (uint32_t i = 0; i < 2; i++)
	{
		uint64_t	lacks = n->d.votes[block][i] & ~to->d.votes[block][i];

		for (int bit = 0; bit < 64; bit++)
			if ((lacks >> bit & 1) != 0)
				network_send(n, to->no, PACKET_BALLOT, b->ballots[64 * i + (uint32_t) bit], NONE);
	}
}

static void
give_certificate(Node *n, const Node *to, uint32_t block)
{
	if (block != NONE && node_has_certificate(n, block) && !node_has_certificate(to, block))
		network_send(n, to->no, PACKET_CERTIFICATE, node_certificate_of(n, block), NONE);
}

void
node_hello(Node *n, uint32_t from)
{
	World	   *w = n->world;
	Node	   *to = &w->nodes[from];
	uint32_t	at = n->d.head;

	give_blocks(n, to);
	give_certificate(n, to, n->d.made_final);
	give_certificate(n, to, block_of(w, &n->d.view.justified));
	for (int i = 0; i < 3 && at != 0; i++)
	{
		give_votes(n, to, at);
		at = w->blocks[at].parent;
	}
	for (uint32_t i = 0; i < (uint32_t) w->nidentities; i++)
		if ((n->d.evidence[i / 64] & ~to->d.evidence[i / 64]) >> i % 64 & 1)
			network_send(n, from, PACKET_EVIDENCE, i, NONE);
}

/* ----------------------------------------------------------------
 *		Its own slot
 * ----------------------------------------------------------------
 */

static bool
is_my_turn(Node *n, uint32_t parent, uint64_t slot)
{
	World	   *w = n->world;
	uint32_t	context = context_of_child(w, parent, slot);

	return w->contexts[context]->turns[slot % w->settings.slots.per_epoch] == n->identity;
}

static void
propose(Node *n, uint64_t slot)
{
	World	   *w = n->world;
	uint32_t	parent = n->d.head;
	uint32_t	justified = block_of(w, &n->d.view.justified);
	uint64_t	ops = ops_to_carry(n, parent);
	FtcHeader	header = header_on(w, parent, justified, slot, n->identity, ops,
								   Max(w->appended, w->blocks[parent].carried), 0);
	FtcHash		id = ftc_header_id(&header);
	uint32_t	context = context_of_child(w, parent, slot);
	uint32_t	block;

	if (ftc_validators_is_alone(&w->contexts[context]->state.set)
		? ftc_sign_state_propose_alone(&n->d.signed_for, slot, &id) != FTC_SIGNING_NEW
		: ftc_sign_state_propose(&n->d.signed_for, slot, &id) != FTC_SIGNING_NEW)
		return;
	block = block_make(w, header, n->identity, ops, Max(w->appended, w->blocks[parent].carried));
	trace(w, "%u proposes round %llu on round %llu", n->no, (unsigned long long) slot,
		  (unsigned long long) w->blocks[parent].header.round);
	if (w->blocks[block].verdict != FTC_OK)
	{
		world_fail(w, "node %u proposes what is refused: %s", n->no, ftc_reason_text(w->blocks[block].verdict));
		return;
	}
	network_all(n, PACKET_BLOCK, block,
				node_has_certificate(n, justified) ? node_certificate_of(n, justified) : NONE);
	node_block(n, block, NONE, n->no);
}

static void
look_around(Node *n, uint64_t slot)
{
	World	   *w = n->world;
	FtcProposingState s = {
		.has_key = true,.synced = true,.now = clock_of(n),.max_late = w->settings.slots.length / 2,
		.slots = &w->settings.slots,.head = &w->blocks[n->d.head].finality,.signed_for = &n->d.signed_for
	};

	s.has_entries = w->blocks[n->d.head].carried < w->appended ||
		ops_to_carry(n, n->d.head) != w->blocks[n->d.head].ops;
	if (slot <= w->blocks[n->d.head].header.round)
		return;
	s.my_turn = is_my_turn(n, n->d.head, slot);
	if (!n->wrong_clock && ftc_proposing(&s) == FTC_PROPOSING_NOW)
		propose(n, slot);
}

void
node_tick(Node *n, uint64_t slot)
{
	World	   *w = n->world;

	if (n->lies)
		liar_tick(n, slot);
	else
		look_around(n, slot);
	for (int i = 0; i < 2 && w->nnodes > 1; i++)
	{
		uint32_t	other = (uint32_t) random_below(&w->chance_net, w->nnodes - 1);

		network_send(n, other + (other >= n->no), PACKET_HELLO, n->no, NONE);
	}
}

void
node_plan_tick(Node *n)
{
	World	   *w = n->world;
	uint64_t	clock = clock_of(n);
	uint64_t	slot = ftc_slot_at(&w->settings.slots, clock) + 1;
	uint64_t	start = ftc_slot_start(&w->settings.slots, slot);

	if (clock < SIM_EPOCH)
		start = SIM_EPOCH;
	plan(w, EVENT_TICK, n->no, w->now + (start - clock), n->ticks);
}

void
node_start(Node *n)
{
	n->up = true;
	n->mute = false;
	n->wrong_clock = false;
	memset(n->clocks, 0, (size_t) n->world->nidentities * sizeof(FtcClockSight));
	n->ticks++;
	node_plan_tick(n);
}

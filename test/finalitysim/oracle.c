/*-------------------------------------------------------------------------
 *
 * oracle.c
 *	  What must hold.  Somebody who sees all nodes looks after every event.
 *
 *		of all times
 *		no two honest nodes have different final blocks at one height, and none
 *			takes back what was final, but for what a restored backup has forgotten
 *		no honest member signs two votes for one round, nor one around another
 *		what is final has a certificate, counted again by other means
 *		the head descends from the justified block, and that from the final one
 *		evidence is against those who lie, and theirs is found
 *		epochs, sets, turns and what is final on a branch are what naive.c says
 *		blocks are taken when their time has come, and with what they justify
 *		who was restored signs nothing until something newer is justified
 *
 *		some time after the last fault
 *		all that was appended is final, everywhere; heads agree; and it is quiet
 *
 *-------------------------------------------------------------------------
 */
#include "finalitysim.h"

/* ----------------------------------------------------------------
 *		Blocks that a node takes
 * ----------------------------------------------------------------
 */

static void
check_context(World *w, const Block *b)
{
	const Context *c = w->contexts[b->context];
	const FtcEpochState *state = &c->state;
	const Naive *s = b->naive;
	uint32_t	place = 0;

	if (state->record.epoch != s->epoch || c->base != s->base || state->set.handover != s->handover ||
		(s->handover && state->record.since != s->since))
		world_fail(w, "the epoch of round %llu is another", (unsigned long long) b->header.round);
	for (uint32_t i = 0; i < (uint32_t) w->nidentities; i++)
	{
		const FtcValidator *v = &state->set.at[place];

		if (s->weight[i] == 0 && s->before[i] == 0)
			continue;
		if (place == state->set.n || c->identities[place] != i || v->weight != s->weight[i] ||
			v->before != s->before[i])
		{
			world_fail(w, "the set of round %llu is another", (unsigned long long) b->header.round);
			return;
		}
		place++;
	}
	if (place != state->set.n)
		world_fail(w, "the set of round %llu is another", (unsigned long long) b->header.round);
	for (uint32_t i = 0, at = 0; i < (uint32_t) w->nidentities; i++)
		if (s->weight[i] > 0 && state->proposers[at++].priority != (int64_t) s->priority[i])
			world_fail(w, "the priorities of round %llu are others", (unsigned long long) b->header.round);
}

void
oracle_block(Node *n, uint32_t block)
{
	World	   *w = n->world;
	const Block *b = &w->blocks[block];
	const Block *p = &w->blocks[b->parent];
	unsigned long long round = b->header.round;

	if (ftc_slot_start(&w->settings.slots, b->header.round) >
		clock_of(n) + w->settings.slots.skew * w->settings.slots.length)
		world_fail(w, "node %u takes round %llu before its time", n->no, round);
	if (b->naive->final != block && b->justified != 0 && !w->blocks[b->justified].finality.alone &&
		!node_has_certificate(n, b->justified))
		world_fail(w, "node %u takes round %llu without what it justifies", n->no, round);
	if (n->lies)
		return;
	if (b->header.height != p->header.height + 1 || b->header.round <= p->header.round)
		world_fail(w, "round %llu is not above its parent's", round);
	if (!world_descends(w, b->parent, b->justified))
		world_fail(w, "round %llu justifies what is no ancestor", round);
	if (w->blocks[p->justified].header.round > w->blocks[b->justified].header.round)
		world_fail(w, "round %llu justifies less than its parent", round);
	if (block_of(w, &b->finality.final) != b->naive->final)
		world_fail(w, "round %llu proves another block final", round);
	check_context(w, b);
	if (naive_turn(w, block) != b->maker)
		world_fail(w, "round %llu is somebody else's turn", round);
}

/* ----------------------------------------------------------------
 *		Votes that a node signs
 * ----------------------------------------------------------------
 */

void
oracle_vote(Node *n, uint32_t ballot)
{
	World	   *w = n->world;
	const Identity *who = &w->identities[n->identity];
	const FtcVoteLink *link = &w->ballots[ballot].vote.link;

	if (n->d.guard > 0 && link->source.round < n->d.guard)
		world_fail(w, "node %u votes before its guard has passed", n->no);
	if (!is_honest(n))
		return;
	for (uint32_t i = 0; i < who->nsigned; i++)
	{
		const FtcVoteLink *other = &w->ballots[who->signed_votes[i]].vote.link;
		bool		inside = link->target.round < other->target.round && link->source.round > other->source.round;
		bool		around = link->target.round > other->target.round && link->source.round < other->source.round;

		if (who->signed_votes[i] == ballot)
			continue;
		if (link->target.round == other->target.round)
			world_fail(w, "node %u votes twice for round %llu", n->no, (unsigned long long) link->target.round);
		if (inside || around)
			world_fail(w, "node %u votes around another vote, round %llu", n->no,
					   (unsigned long long) link->target.round);
	}
}

void
oracle_evidence(World *w, uint32_t identity)
{
	if (!w->identities[identity].lies && !w->identities[identity].twin)
		world_fail(w, "evidence against an honest member, %u", identity);
}

/* ----------------------------------------------------------------
 *		After every event
 * ----------------------------------------------------------------
 */

/* All blocks up to the final one are final, and nobody has others. */
static void
check_final(Node *n, uint32_t final)
{
	World	   *w = n->world;
	uint32_t	made = n->d.made_final;

	for (uint32_t at = final; w->final[w->blocks[at].header.height] != at + 1; at = w->blocks[at].parent)
	{
		uint32_t   *known = &w->final[w->blocks[at].header.height];

		if (*known != 0)
		{
			world_fail(w, "two final blocks at height %llu, node %u",
					   (unsigned long long) w->blocks[at].header.height, n->no);
			return;
		}
		*known = at + 1;
	}
	if (w->blocks[final].naive->final == final)
		return;
	if (!node_has_certificate(n, made) || w->blocks[made].justified != final ||
		w->blocks[made].header.round != w->blocks[final].header.round + 1 ||
		!naive_certifies(w, &w->certificates[node_certificate_of(n, made)]))
		world_fail(w, "node %u takes round %llu for final without reason", n->no,
				   (unsigned long long) w->blocks[final].header.round);
}

static bool
same_view(const FtcView *a, const FtcView *b)
{
	return ftc_checkpoint_equal(&a->justified.point, &b->justified.point) &&
		ftc_checkpoint_equal(&a->final.point, &b->final.point);
}

void
oracle_look(Node *n)
{
	World	   *w = n->world;
	uint32_t	justified;
	uint32_t	final;

	if (n->lies || (n->seen_head == n->d.head && same_view(&n->seen_view, &n->d.view)))
		return;
	justified = block_of(w, &n->d.view.justified);
	final = block_of(w, &n->d.view.final);
	if (!world_descends(w, justified, final))
		world_fail(w, "node %u: what is justified is beside what is final", n->no);
	if (!world_descends(w, n->d.head, justified))
		world_fail(w, "node %u: the head is beside what is justified", n->no);
	if (!ftc_checkpoint_equal(&n->seen_view.final.point, &n->d.view.final.point))
	{
		if (!world_descends(w, final, block_of(w, &n->seen_view.final)))
			world_fail(w, "node %u takes back a final block", n->no);
		check_final(n, final);
	}
	n->seen_head = n->d.head;
	n->seen_view = n->d.view;
}

/* ----------------------------------------------------------------
 *		In the end
 * ----------------------------------------------------------------
 */

/* A node whose clock is an hour off takes no part. */
static bool
takes_part(const Node *n)
{
	return !n->lies && n->skew < (int64_t) (1000 * SECOND) && n->skew > -(int64_t) (1000 * SECOND);
}

bool
oracle_agreed(World *w, bool complain)
{
	const Node *first = NULL;

	for (uint32_t i = 0; i < w->nnodes; i++)
	{
		const Node *n = &w->nodes[i];
		uint32_t	final = block_of(w, &n->d.view.final);

		if (!takes_part(n))
			continue;
		if (w->blocks[final].carried < w->appended)
		{
			if (complain)
				world_fail(w, "node %u: not all is final: %llu of %llu, round %llu, head %llu", n->no,
						   (unsigned long long) w->blocks[final].carried, (unsigned long long) w->appended,
						   (unsigned long long) w->blocks[final].header.round,
						   (unsigned long long) w->blocks[n->d.head].header.round);
			return false;
		}
		if (first == NULL)
			first = n;
		else if (first->d.head != n->d.head && w->settings.liars == 0)
		{
			if (complain)
				world_fail(w, "nodes %u and %u have different heads", first->no, n->no);
			return false;
		}
	}
	return true;
}

/* Of those who lied, and whose lie one node has heard both halves of, there is evidence. */
static void
check_found(World *w, const Node *n, uint32_t who)
{
	for (uint32_t i = 0; i < n->nheard[who]; i++)
		for (uint32_t j = 0; j < i; j++)
		{
			const FtcVoteLink *a = &w->ballots[n->heard[who][i]].vote.link;
			const FtcVoteLink *b = &w->ballots[n->heard[who][j]].vote.link;
			bool		same = ftc_hash_equal(&a->target.id, &b->target.id) &&
			ftc_hash_equal(&a->source.id, &b->source.id) && a->source.round == b->source.round;
			bool		twice = a->target.round == b->target.round && !same;
			bool		around = (a->target.round > b->target.round && a->source.round < b->source.round) ||
			(a->target.round < b->target.round && a->source.round > b->source.round);

			if ((twice || around) && w->identities[who].evidence == NONE)
			{
				world_fail(w, "node %u has heard both halves of an offence and has not found it", n->no);
				return;
			}
		}
}

void
oracle_end(World *w)
{
	for (uint32_t i = 0; i < w->nnodes && w->nnodes <= 20; i++)
		for (uint32_t who = 0; who < (uint32_t) w->nidentities; who++)
			check_found(w, &w->nodes[i], who);
	for (uint32_t who = 0; who < (uint32_t) w->nidentities; who++)
		if (w->identities[who].evidence != NONE)
		{
			const Context *c = w->contexts[w->blocks[w->nodes[0].d.head].context];

			if (ftc_validators_find(&c->state.set, &w->identities[who].id) < 0)
				see(w, SIGHT_PUNISHED);
		}
}

/*-------------------------------------------------------------------------
 *
 * context.c
 *	  Epochs on branches, as the core makes them.
 *
 *-------------------------------------------------------------------------
 */
#include "finalitysim.h"

/* The number of a liar among liars, or NONE; punishing him is a bit of a branch. */
static uint32_t
liar_number(const World *w, uint32_t identity)
{
	uint32_t	number = 0;

	if (!w->identities[identity].lies && !w->identities[identity].twin)
		return NONE;
	for (uint32_t i = 0; i < identity; i++)
		number += w->identities[i].lies || w->identities[i].twin;
	return number;
}

/* What somebody's weight is to be, by what a branch has. */
uint64_t
weight_wanted(const World *w, uint64_t ops, uint32_t identity)
{
	uint64_t	weight = w->identities[identity].weight;
	uint32_t	number = liar_number(w, identity);

	for (int i = 0; i < w->nchanges; i++)
		if ((ops >> i & 1) != 0 && w->changes[i].identity == identity)
			weight = w->changes[i].weight;
	if (number != NONE && number < 32 && (ops >> (PUNISHED_FIRST + number) & 1) != 0)
		weight = 0;
	return weight;
}

/* What a node has found out, and the branch does not say yet. */
uint64_t
ops_to_carry(Node *n, uint32_t parent)
{
	World	   *w = n->world;
	uint64_t	ops = w->blocks[parent].ops;
	uint64_t	slot = ftc_slot_at(&w->settings.slots, clock_of(n));

	for (int i = 0; i < w->nchanges; i++)
		if (w->changes[i].slot <= slot)
			ops |= UINT64_C(1) << i;
	for (uint32_t i = 0; i < (uint32_t) w->nidentities; i++)
	{
		uint32_t	number = liar_number(w, i);

		if (number != NONE && number < 32 && (n->d.evidence[i / 64] >> i % 64 & 1) != 0)
			ops |= UINT64_C(1) << (PUNISHED_FIRST + number);
	}
	return ops;
}

static Context *
context_new(World *w)
{
	Context    *c = calloc(1, sizeof(Context));

	if (w->ncontexts == w->contexts_size)
	{
		w->contexts_size = w->contexts_size == 0 ? 64 : 2 * w->contexts_size;
		w->contexts = realloc(w->contexts, w->contexts_size * sizeof(Context *));
	}
	w->contexts[w->ncontexts++] = c;
	c->state.set.capacity = (uint16_t) w->nidentities;
	c->state.set.at = calloc((size_t) w->nidentities, sizeof(FtcValidator));
	c->state.proposers = calloc(FTC_VALIDATORS_MAX, sizeof(FtcProposer));
	return c;
}

/* The set that a branch asks for. */
static void
wanted_set(const World *w, uint64_t ops, FtcValidators *set)
{
	set->quorum = w->settings.quorum;
	set->handover = false;
	set->n = 0;
	for (uint32_t i = 0; i < (uint32_t) w->nidentities; i++)
	{
		uint64_t	weight = weight_wanted(w, ops, i);

		if (weight > 0)
			set->at[set->n++] = (FtcValidator)
		{
			w->identities[i].id, FTC_ALGORITHM_ED25519, w->identities[i].key, weight, 0
		};
	}
}

/* Whose turn each slot of the epoch is, and who has which place in the set. */
static void
finish(World *w, Context *c)
{
	uint32_t	per_epoch = w->settings.slots.per_epoch;
	uint64_t	first = ftc_epoch_first_slot(&w->settings.slots, c->state.record.epoch);

	c->hash = ftc_epoch_hash(&c->state.record);
	c->turns = calloc(per_epoch, sizeof(uint32_t));
	c->identities = calloc(c->state.set.n, sizeof(uint32_t));
	for (uint32_t i = 0, place = 0; i < (uint32_t) w->nidentities && place < c->state.set.n; i++)
		if (ftc_hash_equal(&w->identities[i].id, &c->state.set.at[place].id))
			c->identities[place++] = i;
	for (uint32_t i = 0; i < per_epoch; i++)
	{
		const FtcHash *turn = ftc_proposing_turn(w->settings.consensus, &c->state, first + i, per_epoch);

		c->turns[i] = c->identities[ftc_validators_find(&c->state.set, turn)];
	}
}

uint32_t
context_first(World *w)
{
	Context    *c = context_new(w);

	wanted_set(w, 0, &c->state.set);
	c->before = NONE;
	if (ftc_epoch_first(&c->state, &w->genesis, &ftc_hash_zero) != FTC_OK)
		world_fail(w, "the first epoch is none");
	finish(w, c);
	return 0;
}

/* Have all who voted before signed for what is new? */
static bool
is_unanimous(const World *w, uint64_t new)
{
	for (int i = 0; i < w->nchanges; i++)
		if ((new >> i & 1) != 0 && !w->changes[i].unanimous)
			return false;
	return new != 0 && new >> PUNISHED_FIRST == 0;
}

static uint32_t
context_next(World *w, uint32_t before, uint32_t base, const FtcAncestor *ancestor, uint64_t epoch)
{
	Context    *c = context_new(w);
	const Context *old = w->contexts[before];
	uint64_t	ops = w->blocks[base].ops;
	FtcValidator at[IDENTITIES_MAX];
	FtcValidators wanted = {.capacity = IDENTITIES_MAX,.at = at};
	FtcEpochChange change = {
		.epoch = epoch,.base = *ancestor,.stakes = ftc_sha256(ftc_slice(&ops, sizeof(ops))),
		.wanted = &wanted,.per_epoch = w->settings.slots.per_epoch,
		.unanimous = is_unanimous(w, ops & ~w->blocks[old->base].ops)
	};

	wanted_set(w, ops, &wanted);
	c->before = before;
	c->base = base;
	if (!ftc_epoch_next(&old->state, &change, &c->state))
		world_fail(w, "an epoch has no room");
	finish(w, c);
	see(w, SIGHT_EPOCHS);
	if (w->parted)
		see(w, SIGHT_PARTED_EPOCH);
	if (old->state.set.handover && !c->state.set.handover)
		see(w, SIGHT_HANDOVER);
	if (c->state.set.handover && c->state.record.since == epoch)
	{
		if (w->parted)
			see(w, SIGHT_PARTED_CHANGE);
		if (change.unanimous)
			see(w, SIGHT_UNANIMOUS);
		for (uint16_t i = 0; i < wanted.n; i++)
		{
			int			place = ftc_validators_find(&c->state.set, &wanted.at[i].id);

			if (place < 0 || c->state.set.at[place].weight != wanted.at[i].weight)
			{
				see(w, SIGHT_STEPPED);
				break;
			}
		}
	}
	return w->ncontexts - 1;
}

uint32_t
context_of_child(World *w, uint32_t parent, uint64_t round)
{
	const Block *p = &w->blocks[parent];
	uint64_t	epoch = round / w->settings.slots.per_epoch;
	FtcAncestor ancestor = ftc_finality_base(&p->finality, round, w->settings.slots.per_epoch);
	uint32_t	base = block_of(w, &ancestor);

	if (epoch <= w->contexts[p->context]->state.record.epoch)
		return p->context;
	for (uint32_t i = p->context + 1; i < w->ncontexts; i++)
		if (w->contexts[i]->before == p->context && w->contexts[i]->base == base &&
			w->contexts[i]->state.record.epoch == epoch)
			return i;
	return context_next(w, p->context, base, &ancestor, epoch);
}

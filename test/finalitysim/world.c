/*-------------------------------------------------------------------------
 *
 * world.c
 *	  What is the same for all: blocks, votes and certificates, each looked at once.
 *
 *-------------------------------------------------------------------------
 */
#include "finalitysim.h"

#define TABLE_SIZE (4 * BLOCKS_MAX)

void
world_trace(World *w, const char *format,...)
{
	char	   *line = w->lines[w->nlines++ % TRACE_LINES];
	size_t		size = sizeof(w->lines[0]);
	int			n = snprintf(line, size, "%10.3f  ", (double) w->now / (double) SECOND);
	va_list		args;

	va_start(args, format);
	vsnprintf(line + n, size - (size_t) n, format, args);
	va_end(args);
	if (w->printing)
		puts(line);
}

void
world_fail(World *w, const char *format,...)
{
	va_list		args;

	if (w->failure[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(w->failure, sizeof(w->failure), format, args);
	va_end(args);
	trace(w, "FAILURE: %.100s", w->failure);
}

void
plan(World *w, EventKind kind, uint32_t node, uint64_t time, uint64_t what)
{
	Event		event = {.time = time,.kind = kind,.member = node,.what = what};

	queue_put(&w->queue, event);
}

bool
is_honest(const Node *n)
{
	return !n->lies && !n->world->identities[n->identity].twin;
}

/* ----------------------------------------------------------------
 *		Blocks
 * ----------------------------------------------------------------
 */

static uint32_t
place_in_table(const World *w, const FtcHash *id)
{
	uint64_t	hash;
	uint32_t	at;

	memcpy(&hash, id->b, sizeof(hash));
	at = (uint32_t) (hash % TABLE_SIZE);
	while (w->table[at] != 0 && !ftc_hash_equal(&w->blocks[w->table[at] - 1].id, id))
		at = (at + 1) % TABLE_SIZE;
	return at;
}

uint32_t
block_find(World *w, const FtcHash *id)
{
	uint32_t	found = w->table[place_in_table(w, id)];

	return found == 0 ? NONE : found - 1;
}

static bool
load_any(FtcFinalityTree *tree, const FtcHash *id, FtcFinality *block)
{
	World	   *w = (World *) ((char *) tree - offsetof(World, tree));
	uint32_t	found = block_find(w, id);

	if (found == NONE || w->blocks[found].verdict != FTC_OK)
		return false;
	*block = w->blocks[found].finality;
	return true;
}

uint32_t
block_of(World *w, const FtcAncestor *ancestor)
{
	return block_find(w, &ancestor->point.id);
}

bool
world_descends(World *w, uint32_t block, uint32_t ancestor)
{
	while (w->blocks[block].finality.self.height > w->blocks[ancestor].finality.self.height)
		block = w->blocks[block].parent;
	return block == ancestor;
}

/* What a block says of its branch goes into its body's root. */
static FtcHash
body_of(uint64_t ops, uint64_t carried, uint64_t salt)
{
	uint64_t	numbers[] = {ops, carried, salt};

	return ftc_sha256(ftc_slice(numbers, sizeof(numbers)));
}

FtcHeader
header_on(World *w, uint32_t parent, uint32_t justified, uint64_t slot, uint32_t maker, uint64_t ops,
		  uint64_t carried, uint64_t salt)
{
	const Block *p = &w->blocks[parent];
	FtcHeader	header = {.version = FTC_HEADER_VERSION,.consensus = w->settings.consensus};
	uint32_t	context = context_of_child(w, parent, slot);

	header.height = p->header.height + 1;
	header.time = ftc_slot_start(&w->settings.slots, slot);
	header.prev = p->id;
	header.body = body_of(ops, carried, salt);
	header.leaves = carried > p->carried || ops != p->ops ? 1 : 0;
	header.proposer = w->identities[maker].id;
	header.state = w->contexts[context]->hash;
	header.justify = w->blocks[justified].id;
	header.round = slot;
	return header;
}

/* Whether a block is valid, but for what each node has to ask itself. */
static FtcReason
judge(World *w, Block *b, uint32_t maker)
{
	const Block *p = &w->blocks[b->parent];
	FtcFinality justified;
	FtcReason	reason;

	if (p->verdict != FTC_OK)
		return FTC_UNKNOWN_PARENT;
	if (b->header.height != p->header.height + 1)
		return FTC_BAD_HEIGHT;
	reason = ftc_finality_check(&w->tree, &b->header, &p->finality, &justified);
	if (reason != FTC_OK)
		return reason;
	reason = ftc_slot_has_come(&w->settings.slots, b->header.round, b->header.time, b->header.time);
	if (reason != FTC_OK)
		return reason;
	b->context = context_of_child(w, b->parent, b->header.round);
	if (!ftc_hash_equal(&b->header.state, &w->contexts[b->context]->hash))
		return FTC_BAD_STATE;
	reason = ftc_proposing_check(&b->header, &w->contexts[b->context]->state, w->settings.slots.per_epoch);
	if (reason != FTC_OK)
		return reason;
	if (ftc_verify(&w->identities[maker].key, FTC_DOMAIN_BLOCK, &w->genesis, &b->id, &b->signature) != FTC_OK ||
		!ftc_hash_equal(&b->header.proposer, &w->identities[maker].id))
		return FTC_BAD_SIGNATURE;
	b->justified = block_find(w, &b->header.justify);
	ftc_finality_next(&b->finality, &b->header, &b->id, &p->finality, &justified,
					  ftc_validators_is_alone(&w->contexts[b->context]->state.set), w->settings.slots.per_epoch);
	return FTC_OK;
}

static void
find_rival(World *w, uint32_t block)
{
	Block	   *b = &w->blocks[block];

	b->rival = NONE;
	for (uint32_t i = block; i-- > 1;)
		if (w->blocks[i].maker == b->maker && w->blocks[i].header.round == b->header.round)
		{
			b->rival = i;
			return;
		}
}

uint32_t
block_make(World *w, FtcHeader header, uint32_t maker, uint64_t ops, uint64_t carried)
{
	FtcHash		id = ftc_header_id(&header);
	uint32_t	at = place_in_table(w, &id);
	uint32_t	block = w->nblocks;
	Block	   *b = &w->blocks[block];

	if (w->table[at] != 0)
		return w->table[at] - 1;
	if (block == BLOCKS_MAX)
	{
		world_fail(w, "there are too many blocks");
		return 0;
	}
	w->nblocks++;
	w->sights.blocks++;
	w->table[at] = block + 1;
	b->header = header;
	b->id = id;
	b->maker = maker;
	b->parent = block_find(w, &header.prev);
	b->ops = ops;
	b->carried = carried;
	b->certificate = NONE;
	(void) ftc_sign(&w->identities[maker].seed, FTC_DOMAIN_BLOCK, &w->genesis, &id, &b->signature);
	b->verdict = judge(w, b, maker);
	find_rival(w, block);
	if (b->verdict == FTC_OK)
	{
		uint32_t	n = w->contexts[b->context]->state.set.n;

		b->ballots = malloc(n * sizeof(uint32_t));
		memset(b->ballots, 0xff, n * sizeof(uint32_t));
		naive_block(w, block);
	}
	return block;
}

static void
found_chain(World *w)
{
	Block	   *b = &w->blocks[0];

	b->header.version = FTC_HEADER_VERSION;
	b->header.consensus = w->settings.consensus;
	b->header.time = SIM_EPOCH;
	b->header.nonce = 0;
	b->header.body = body_of(0, 0, w->settings.seed);
	b->id = w->genesis = ftc_header_id(&b->header);
	b->parent = b->rival = b->certificate = NONE;
	b->maker = 0;
	ftc_finality_first(&b->finality, &b->id);
	w->nblocks = 1;
	w->table[place_in_table(w, &b->id)] = 1;
	b->context = context_first(w);
	b->ballots = calloc(1, sizeof(uint32_t));
	w->final[0] = 1;
	naive_first(w);
}

/* ----------------------------------------------------------------
 *		Votes and certificates
 * ----------------------------------------------------------------
 */

FtcVoteLink
link_of(World *w, uint32_t block)
{
	const Block *b = &w->blocks[block];

	return ftc_finality_link(&b->finality, &w->contexts[b->context]->state.record.validators);
}

uint32_t
ballot_make(World *w, uint32_t identity, uint32_t block, const FtcVoteLink *link, bool forged)
{
	const Block *b = &w->blocks[block];
	const Context *c = w->contexts[b->context];
	Identity   *who = &w->identities[identity];
	FtcVoteLink right = link_of(w, block);
	FtcHash		digest = ftc_vote_digest(link);
	Ballot	   *ballot;

	if (w->nballots == w->ballots_size)
	{
		w->ballots_size = w->ballots_size == 0 ? 1024 : 2 * w->ballots_size;
		w->ballots = realloc(w->ballots, w->ballots_size * sizeof(Ballot));
	}
	ballot = &w->ballots[w->nballots];
	memset(ballot, 0, sizeof(*ballot));
	ballot->identity = identity;
	ballot->block = block;
	ballot->place = -1;
	ballot->vote.voter = who->id;
	ballot->vote.link = *link;
	(void) ftc_sign(&w->identities[forged ? (identity + 1) % (uint32_t) w->nidentities : identity].seed,
					FTC_DOMAIN_VOTE, &w->genesis, &digest, &ballot->vote.signature);
	ballot->verdict = ftc_vote_verify(&ballot->vote, &c->state.set, &c->state.record.validators, &w->genesis,
									  &ballot->place);
	if (ballot->verdict == FTC_OK && !ftc_vote_link_equal(link, &right))
		ballot->verdict = FTC_NOT_JUSTIFIED;
	if (!forged)
	{
		who->signed_votes = realloc(who->signed_votes, (who->nsigned + 1) * sizeof(uint32_t));
		who->signed_votes[who->nsigned++] = w->nballots;
	}
	if (ballot->verdict == FTC_OK)
		b->ballots[ballot->place] = w->nballots;
	w->sights.votes++;
	return w->nballots++;
}

static uint32_t
add_certificate(World *w, uint32_t block, FtcSlice bytes)
{
	const Context *c = w->contexts[w->blocks[block].context];
	FtcVoteLink right = link_of(w, block);
	FtcCertificate decoded;
	Certificate *certificate;

	if (w->ncertificates == w->certificates_size)
	{
		w->certificates_size = w->certificates_size == 0 ? 256 : 2 * w->certificates_size;
		w->certificates = realloc(w->certificates, w->certificates_size * sizeof(Certificate));
	}
	certificate = &w->certificates[w->ncertificates];
	certificate->block = block;
	certificate->bytes.data = memcpy(malloc(bytes.len), bytes.data, bytes.len);
	certificate->bytes.len = bytes.len;
	certificate->verdict = ftc_certificate_decode(&decoded, certificate->bytes);
	if (certificate->verdict == FTC_OK && !ftc_vote_link_equal(&decoded.link, &right))
		certificate->verdict = FTC_NOT_JUSTIFIED;
	if (certificate->verdict == FTC_OK)
		certificate->verdict = ftc_certificate_verify(&decoded, &c->state.set, &c->state.record.validators,
													  &w->genesis);
	if (certificate->verdict == FTC_OK && !naive_certifies(w, certificate))
		world_fail(w, "a certificate is taken that is none, of the block at round %llu",
				   (unsigned long long) w->blocks[block].header.round);
	if (certificate->verdict != FTC_OK)
		w->sights.refused[certificate->verdict]++;
	return w->ncertificates++;
}

uint32_t
certificate_forge(World *w, uint32_t block, FtcSlice bytes)
{
	return add_certificate(w, block, bytes);
}

uint32_t
certificate_make(World *w, uint32_t block, const uint64_t voted[2])
{
	Block	   *b = &w->blocks[block];
	const FtcValidators *set = &w->contexts[b->context]->state.set;
	FtcVote		votes[128];
	uint8_t		bytes[FTC_CERTIFICATE_MAX];
	uint16_t	n = 0;
	size_t		len;

	if (b->certificate != NONE)
		return b->certificate;
	for (uint16_t place = 0; place < set->n; place++)
		if ((voted[place / 64] >> place % 64 & 1) != 0)
			votes[n++] = w->ballots[b->ballots[place]].vote;
	len = ftc_certificate_make(votes, n, set, bytes);
	if (len == 0)
		return NONE;
	b->certificate = add_certificate(w, block, ftc_slice(bytes, len));
	if (w->certificates[b->certificate].verdict != FTC_OK)
		world_fail(w, "a certificate that was made is refused: %s",
				   ftc_reason_text(w->certificates[b->certificate].verdict));
	return b->certificate;
}

void
evidence_make(World *w, const FtcEvidence *evidence)
{
	for (uint32_t i = 0; i < (uint32_t) w->nidentities; i++)
	{
		Identity   *who = &w->identities[i];

		if (!ftc_hash_equal(&who->id, ftc_evidence_offender(evidence)))
			continue;
		if (ftc_evidence_check(evidence, &who->key, &who->key, &w->genesis) != FTC_OK)
		{
			world_fail(w, "evidence that was found is refused");
			return;
		}
		see(w, evidence->kind == FTC_OFFENCE_DOUBLE_VOTE ? SIGHT_EV_VOTE
			: evidence->kind == FTC_OFFENCE_SURROUND_VOTE ? SIGHT_EV_SURROUND : SIGHT_EV_PROPOSAL);
		if (who->evidence == NONE)
		{
			who->evidence = i;
			w->evidence[i] = *evidence;
		}
		oracle_evidence(w, i);
	}
}

/* ----------------------------------------------------------------
 *		All of it
 * ----------------------------------------------------------------
 */

static int
by_id(const void *a, const void *b)
{
	return ftc_hash_compare(&((const Identity *) a)->id, &((const Identity *) b)->id);
}

/*
 * Identities are in the order of their ids, which is chance; so who founds the
 * chain is drawn, and of them who lies.
 */
static void
make_identities(World *w)
{
	const Settings *s = &w->settings;
	Random		r = random_from(s->seed, 2);
	uint64_t	lying = 0;
	uint64_t	all = 0;

	w->nidentities = s->identities;
	for (int i = 0; i < s->identities; i++)
	{
		Identity   *who = &w->identities[i];
		FtcHash		seed = ftc_sha256(ftc_slice(&i, sizeof(i)));

		memcpy(who->seed.b, seed.b, FTC_KEY_LEN);
		(void) ftc_key_derive(&who->seed, &who->key);
		who->id = ftc_member_id(FTC_ALGORITHM_ED25519, &who->key);
		who->evidence = NONE;
		who->weight = i >= s->founders ? 0
			: s->consensus == FTC_CONSENSUS_DPOS || s->founders < 4 ? 1 : random_between(&r, 1, 12);
		all += who->weight;
	}

	/*
	 * the last founders lie, as long as they have less than a third, whoever
	 * leaves
	 */
	for (int i = s->founders - 1; i >= 0 && i >= s->founders - s->liars; i--)
	{
		Identity   *who = &w->identities[i];
		uint64_t	honest = all - lying - who->weight;

		if (s->fault[FAULT_CHANGES])
			honest = honest / 2;
		if (2 * (lying + who->weight) >= honest)
			continue;
		lying += who->weight;
		who->lies = true;
	}
	qsort(w->identities, (size_t) s->identities, sizeof(Identity), by_id);
}

/* An honest member that leaves, comes, or changes its weight; half of the weight stays. */
static void
make_changes(World *w)
{
	const Settings *s = &w->settings;
	Random		r = random_from(s->seed, 6);
	uint64_t	honest = 0;
	uint64_t	gone = 0;
	uint64_t	changed[2] = {0};

	for (int i = 0; i < w->nidentities; i++)
		honest += w->identities[i].lies ? 0 : w->identities[i].weight;
	for (int i = 0; i < s->changes; i++)
	{
		uint32_t	who = (uint32_t) random_below(&r, (uint64_t) w->nidentities);
		Identity   *identity = &w->identities[who];
		Change	   *c = &w->changes[w->nchanges];
		uint64_t	weight = random_below(&r, 12);

		if (identity->lies || identity->twin || (changed[who / 64] >> who % 64 & 1) != 0)
			continue;
		if (s->consensus == FTC_CONSENSUS_DPOS || s->founders < 4)
			weight = identity->weight > 0 ? 0 : 1;
		if (identity->weight > weight)
		{
			if (2 * (gone + identity->weight - weight) > honest)
				continue;
			gone += identity->weight - weight;
		}
		changed[who / 64] |= UINT64_C(1) << who % 64;
		c->identity = who;
		c->weight = weight;
		c->unanimous = s->founders < 4 || random_chance(&r, 200);
		c->slot = random_between(&r, 1, s->slots_long);
		w->nchanges++;
	}
}

World *
world_new(const Settings *settings, bool tracing, bool printing)
{
	World	   *w = calloc(1, sizeof(World));

	w->settings = *settings;
	w->tracing = tracing;
	w->printing = printing;
	w->tree.load = load_any;
	w->chance_net = random_from(settings->seed, 3);
	w->chance_work = random_from(settings->seed, 4);
	w->chance_fault = random_from(settings->seed, 5);
	w->chance_lie = random_from(settings->seed, 7);
	w->blocks = calloc(BLOCKS_MAX, sizeof(Block));
	w->table = calloc(TABLE_SIZE, sizeof(uint32_t));
	w->final = calloc(BLOCKS_MAX, sizeof(uint32_t));
	make_identities(w);
	for (int i = 0; i < w->nidentities; i++)
		if (settings->fault[FAULT_TWINS] && w->identities[i].lies)
		{
			w->identities[i].twin = true;
			w->identities[i].lies = false;
			break;
		}
	if (settings->fault[FAULT_CHANGES])
		make_changes(w);
	found_chain(w);
	for (uint32_t i = 0; i < (uint32_t) w->nidentities; i++)
		w->nnodes += w->identities[i].twin ? 2 : 1;
	w->cut = calloc((size_t) w->nnodes * w->nnodes, 1);
	for (uint32_t i = 0, no = 0; i < (uint32_t) w->nidentities; i++)
		for (int copy = 0; copy <= w->identities[i].twin; copy++)
			node_init(w, no++, i);
	return w;
}

void
world_free(World *w)
{
	for (uint32_t i = 0; i < w->nnodes; i++)
		node_free(&w->nodes[i]);
	for (uint32_t i = 0; i < w->nblocks; i++)
	{
		free(w->blocks[i].ballots);
		free(w->blocks[i].naive);
	}
	for (uint32_t i = 0; i < w->ncertificates; i++)
		free((void *) w->certificates[i].bytes.data);
	for (uint32_t i = 0; i < w->ncontexts; i++)
	{
		free(w->contexts[i]->state.set.at);
		free(w->contexts[i]->state.proposers);
		free(w->contexts[i]->turns);
		free(w->contexts[i]->identities);
		free(w->contexts[i]);
	}
	for (int i = 0; i < w->nidentities; i++)
		free(w->identities[i].signed_votes);
	free(w->contexts);
	free(w->certificates);
	free(w->ballots);
	free(w->blocks);
	free(w->table);
	free(w->final);
	free(w->cut);
	queue_free(&w->queue);
	free(w);
}

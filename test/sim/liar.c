/*-------------------------------------------------------------------------
 *
 * liar.c
 *	  Blocks that are well formed and wrong, each in one way, and some that are
 *	  not even that.  Their work is real where that is not what is wrong.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

typedef enum Lie
{
	LIE_BITS,					/* the easiest, instead of those that are due */
	LIE_WORK,
	LIE_STATE,
	LIE_FUTURE,
	LIE_PAST,
	LIE_BUNDLE_TWICE,
	LIE_BUNDLE_GAP,
	LIE_ENTRY_TWICE,
	LIE_FOREIGN,				/* in the name of another */
	LIE_STRANGER,				/* in the name of nobody */
	LIE_HISTORY,
	LIE_HEIGHT,
	LIE_ORPHAN,
	LIE_DEEP,					/* on the genesis block */
	LIE_BODY,					/* a right block, with another body */
	LIE_MANIFEST,				/* a right block, with another manifest */
	LIE_ROOT,					/* the header names another body */
	LIE_JUSTIFY,
	LIE_GARBAGE,
	LIE_COUNT
} Lie;

/* An honest block on a parent, to start from. */
static void
begin(Member *m, uint32_t parent, FtcHeader *h, FtcBlock *block, const uint32_t *bundles, uint32_t n)
{
	World	   *w = m->world;
	const Block *p = &w->blocks[parent];
	uint64_t	earliest = ftc_rules_earliest(&p->tip, &w->state.params);

	memset(h, 0, sizeof(*h));
	memset(block, 0, sizeof(*block));
	ledger_contents(w, bundles, n, block, &h->body, &h->leaves);
	h->version = FTC_HEADER_VERSION;
	h->consensus = w->state.params.consensus;
	h->height = p->header.height + 1;
	h->time = Max(earliest, SIM_EPOCH + w->now + w->leap);
	h->prev = p->id;
	h->history = ftc_frontier_root(&p->tip.history);
	h->bits = ftc_rules_next_bits(&p->tip, &w->state.params);
	h->proposer = m->id;
	h->state = w->state_root;
}

/* A bundle of its own that no branch can take after this parent. */
static uint32_t
bad_bundle(Member *m, uint32_t parent, Lie lie)
{
	World	   *w = m->world;
	Top			top = ledger_top(&w->blocks[parent], m->stream);
	FtcRange	seqs = {top.seq + 1000, top.seq + 1000};
	uint64_t	number = top.number + 1;

	if (lie == LIE_BUNDLE_GAP)
		number++;
	if (lie == LIE_ENTRY_TWICE)
		seqs.first = seqs.last = top.seq;
	return ledger_bundle(w, m->stream, number, seqs);
}

/* What is wrong before the work is done. */
static void
spoil(Member *m, Lie lie, FtcHeader *h)
{
	World	   *w = m->world;

	switch (lie)
	{
		case LIE_BITS:
			/* where the easiest is right, a little harder is wrong */
			if (h->bits == w->state.params.limit_bits)
				h->bits -= 0x100;
			else
				h->bits = w->state.params.limit_bits;
			break;
		case LIE_STATE:
			h->state.b[0] ^= 1;
			break;
		case LIE_FUTURE:
			h->time += w->state.params.future_bound + 20 * SECOND;
			break;
		case LIE_PAST:
			h->time = w->blocks[ledger_find(w, &h->prev)].header.time + w->state.params.min_spacing - 1;
			break;
		case LIE_FOREIGN:
			h->proposer = w->members[(m->no + 1) % (uint32_t) w->nmembers].id;
			break;
		case LIE_STRANGER:
			h->proposer.b[5] ^= 1;
			break;
		case LIE_HISTORY:
			h->history.b[3] ^= 1;
			break;
		case LIE_HEIGHT:
			h->height++;
			break;
		case LIE_ORPHAN:
			h->prev.b[31] ^= 1;
			break;
		case LIE_ROOT:
			h->body.b[9] ^= 1;
			break;
		case LIE_JUSTIFY:
			h->round = 1;
			break;
		default:
			break;
	}
}

/* A nonce that does not do. */
static void
idle(FtcHeader *h)
{
	FtcHash		id;

	do
	{
		h->nonce++;
		id = ftc_header_id(h);
	} while (ftc_pow_meets(&id, h->bits));
}

static FtcSlice
changed(World *w, FtcSlice bytes)
{
	FtcSlice	copy = world_copy(w, bytes);

	if (copy.len > 0)
		((uint8_t *) copy.data)[random_below(&w->chance_lie, copy.len)] ^= 1;
	return copy;
}

static void
tell(Member *m, const FtcHash *id, const FtcBlock *block)
{
	size_t		len = ftc_block_encode(block, NULL, 0);
	uint8_t    *bytes = malloc(len);

	ftc_block_encode(block, bytes, len);
	outbox_lie(m, id, ftc_slice(bytes, len));
	free(bytes);
}

/* A block of somebody, as it is, but for its manifest or body. */
static void
tell_copy(Member *m, Lie lie)
{
	World	   *w = m->world;
	const Block *b = &w->blocks[head_of(m)];
	FtcBlock	block = b->block;

	if (b->parent == NONE || b->nbundles == 0)
		return;
	if (lie == LIE_MANIFEST)
		block.manifest = changed(w, block.manifest);
	else
		block.body = changed(w, block.body);
	tell(m, &b->id, &block);
}

static void
tell_garbage(Member *m)
{
	World	   *w = m->world;
	uint8_t		bytes[300];
	FtcHash		id = {{0}};

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t) random_u64(&w->chance_lie);
	id.b[0] = bytes[7];
	outbox_lie(m, &id, ftc_slice(bytes, random_below(&w->chance_lie, sizeof(bytes))));
}

static void
tell_block(Member *m, Lie lie)
{
	World	   *w = m->world;
	uint32_t	parent = lie == LIE_DEEP ? 0 : head_of(m);
	uint32_t	bundles[1];
	uint32_t	n = 0;
	uint8_t		bytes[FTC_HEADER_LEN];
	FtcHeader	h;
	FtcBlock	block;
	FtcHash		id;

	if (lie == LIE_ENTRY_TWICE && ledger_top(&w->blocks[parent], m->stream).seq == 0)
		return;
	if (lie == LIE_BUNDLE_GAP || lie == LIE_ENTRY_TWICE)
		bundles[n++] = bad_bundle(m, parent, lie);
	else if (lie == LIE_BUNDLE_TWICE)
	{
		if (w->blocks[parent].nbundles == 0)
			return;
		bundles[n++] = w->blocks[parent].bundles[0];
	}
	begin(m, parent, &h, &block, bundles, n);
	spoil(m, lie, &h);
	if (lie == LIE_WORK)
		idle(&h);
	else
		(void) ftc_search(w->kernel, &h, UINT64_C(1) << 32);
	id = ftc_header_id(&h);
	ftc_header_encode(&h, bytes);
	block.header = ftc_slice(bytes, sizeof(bytes));
	ftc_sign(&m->seed, FTC_DOMAIN_BLOCK, &w->genesis, &id, &block.signature);
	tell(m, &id, &block);
}

void
liar_lie(Member *m)
{
	World	   *w = m->world;
	Lie			lie = (Lie) random_below(&w->chance_lie, LIE_COUNT);

	/* a link that waits for a time takes nothing else; one in ten is enough */
	if (lie == LIE_FUTURE && !random_chance(&w->chance_lie, 200))
		return;
	trace(w, "%u lies, number %d", m->no, (int) lie);
	if (lie == LIE_BODY || lie == LIE_MANIFEST)
		tell_copy(m, lie);
	else if (lie == LIE_GARBAGE)
		tell_garbage(m);
	else
		tell_block(m, lie);
	if (!m->hiding)
		courier_look(m);
}

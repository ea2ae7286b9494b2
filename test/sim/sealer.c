/*-------------------------------------------------------------------------
 *
 * sealer.c
 *	  From entries to bundles, and from bundles to blocks.
 *
 * The search for a proof of work takes its time by chance, as long as the
 * member's hash rate and the work that the block needs make it; then it is
 * really done.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

void
sealer_append(Member *m)
{
	m->world->streams[m->stream].appended++;
}

/* Everything that is committed goes into one bundle for each incarnation. */
static void
bundle_entries(Member *m)
{
	World	   *w = m->world;

	for (uint32_t i = 0; i < m->streams.n; i++)
	{
		Stream	   *s = &w->streams[m->streams.at[i]];
		FtcRange	seqs = {s->bundled + 1, Min(s->appended, s->bundled + 200)};
		uint32_t	bundle;

		if (s->appended == s->bundled)
			continue;
		bundle = ledger_bundle(w, m->streams.at[i], s->nbundles + 1, seqs);
		s->nbundles++;
		s->bundled = seqs.last;
		hold(m, bundle);
	}
}

/* By stream and number. */
static void
sort_pending(Member *m)
{
	const World *w = m->world;
	List	   *list = &m->pending;

	for (uint32_t i = 1; i < list->n; i++)
	{
		uint32_t	bundle = list->at[i];
		const Bundle *b = &w->bundles[bundle];
		uint32_t	at = i;

		for (; at > 0; at--)
		{
			const Bundle *before = &w->bundles[list->at[at - 1]];

			if (before->stream < b->stream || (before->stream == b->stream && before->number < b->number))
				break;
			list->at[at] = list->at[at - 1];
		}
		list->at[at] = bundle;
	}
}

/*
 * Bundles that are held and whose turn it is, whoever's: what another member's
 * losing block held is carried as well.
 */
static uint32_t
choose_bundles(Member *m, uint32_t *bundles, uint32_t most)
{
	World	   *w = m->world;
	const Block *head = &w->blocks[head_of(m)];
	uint32_t	leaves = 0;
	uint32_t	n = 0;

	sort_pending(m);
	for (uint32_t i = 0; i < m->pending.n && n < most; i++)
	{
		const Bundle *b = &w->bundles[m->pending.at[i]];
		uint64_t	last = ledger_top(head, b->stream).number;

		if (n > 0 && w->bundles[bundles[n - 1]].stream == b->stream)
			last = w->bundles[bundles[n - 1]].number;
		if (b->number != last + 1 || leaves + b->count + 1 > w->state.params.max_leaves)
			continue;
		leaves += b->count + 1;
		bundles[n++] = m->pending.at[i];
		if (w->streams[b->stream].member != m->no)
			see(w, SIGHT_CARRIED);
	}
	return n;
}

/* Its contents are put together when it is found, as most never are. */
static void
begin_candidate(Member *m, const uint32_t *bundles, uint32_t n)
{
	World	   *w = m->world;
	const Block *head = &w->blocks[head_of(m)];
	FtcHeader  *h = &m->candidate;

	m->chosen.n = 0;
	for (uint32_t i = 0; i < n; i++)
		list_add(w, &m->chosen, bundles[i]);
	memset(h, 0, sizeof(*h));
	h->version = FTC_HEADER_VERSION;
	h->consensus = w->state.params.consensus;
	h->height = head->header.height + 1;
	h->time = clock_of(m);
	h->prev = head->id;
	h->history = ftc_frontier_root(&head->tip.history);
	h->bits = ftc_rules_next_bits(&head->tip, &w->state.params);
	h->proposer = m->id;
	h->state = w->state_root;
}

/* The attempts that are needed on average. */
static double
attempts(uint32_t bits)
{
	FtcU256		work = ftc_pow_work(bits);

	return (double) work.w[0] + (double) work.w[1] * 18446744073709551616.0;
}

static void
mine(Member *m)
{
	World	   *w = m->world;
	double		mean = attempts(m->candidate.bits) / m->hash_rate * (double) SECOND;

	m->mining = true;
	m->generation++;
	plan(w, EVENT_MINED, m->no, w->now + random_wait(&w->chance_mine, mean), m->generation);
}

void
sealer_stop(Member *m)
{
	m->mining = false;
	m->generation++;
}

static void
look_at(Member *m, uint64_t when)
{
	if (m->sealer_at > m->world->now && m->sealer_at <= when)
		return;
	m->sealer_at = when;
	plan(m->world, EVENT_SEALER, m->no, when, 0);
}

#define BUNDLES_MAX 512

void
sealer_look(Member *m)
{
	World	   *w = m->world;
	uint32_t	bundles[BUNDLES_MAX];
	FtcNode		head = node_of(m, head_of(m));
	uint64_t	now = clock_of(m);
	uint64_t	when;
	uint32_t	n;

	if (m->mining || !m->up)
		return;
	if (w->settings.busy && w->streams[m->stream].appended == w->streams[m->stream].bundled &&
		ledger_top(&w->blocks[head_of(m)], m->stream).number == w->streams[m->stream].nbundles && !w->quiet)
		sealer_append(m);
	bundle_entries(m);
	n = choose_bundles(m, bundles, BUNDLES_MAX);
	switch (ftc_choice_sealing(&m->tree, &head, &w->state, &m->id, n == 0,
							   ftc_rules_earliest(&w->blocks[head_of(m)].tip, &w->state.params), now, &when))
	{
		case FTC_SEALING_NOTHING:
			return;
		case FTC_SEALING_EARLY:
			look_at(m, w->now + (when - now));
			return;
		case FTC_SEALING_NOW:
			break;
	}
	if (n == 0)
		see(w, SIGHT_TIE);
	begin_candidate(m, bundles, n);
	mine(m);
}

/* The candidate's time has come: what the chance decided is done. */
void
sealer_mined(Member *m, uint64_t generation)
{
	World	   *w = m->world;
	uint8_t		bytes[FTC_HEADER_LEN];
	FtcBlock	block = {0};
	FtcHash		id;
	FtcReason	reason;

	if (!m->mining || generation != m->generation || !m->up)
		return;
	m->mining = false;
	ledger_contents(w, m->chosen.at, m->chosen.n, &block, &m->candidate.body, &m->candidate.leaves);
	if (!ftc_search(w->kernel, &m->candidate, UINT64_C(1) << 32))
	{
		world_fail(w, "no proof of work for bits %08x", m->candidate.bits);
		return;
	}
	id = ftc_header_id(&m->candidate);
	ftc_header_encode(&m->candidate, bytes);
	block.header = ftc_slice(bytes, FTC_HEADER_LEN);
	ftc_sign(&m->seed, FTC_DOMAIN_BLOCK, &w->genesis, &id, &block.signature);
	trace(w, "%u has found a block of height %llu", m->no, (unsigned long long) m->candidate.height);
	reason = inbox_block(m, &block, NONE);
	/* its clock was put back meanwhile: it begins anew */
	if (reason == FTC_TIME_TOO_LATE)
		return;
	if (reason != FTC_OK)
		world_fail(w, "member %u made a block that is not valid: %s", m->no, ftc_reason_text(reason));
}

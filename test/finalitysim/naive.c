/*-------------------------------------------------------------------------
 *
 * naive.c
 *	  Sets of validators, turns and certificates, the slow way, for the oracle.
 *
 * Written from the words of the protocol, and sharing nothing with what it checks:
 * weights are by identity, priorities are wide, final blocks are looked for in the
 * whole branch.
 *
 *-------------------------------------------------------------------------
 */
#include "finalitysim.h"

static __int128
sum_of(const World *w, const uint64_t *weights)
{
	__int128	sum = 0;

	for (int i = 0; i < w->nidentities; i++)
		sum += (__int128) weights[i];
	return sum;
}

/* ----------------------------------------------------------------
 *		Turns
 * ----------------------------------------------------------------
 */

/* Spread at most twice the weight of all, and centred on zero; then the mean is below it. */
static void
normalise(const World *w, Naive *s)
{
	__int128	total = sum_of(w, s->weight);
	__int128	least = 0;
	__int128	most = 0;
	__int128	sum = 0;
	__int128	ratio = 1;
	__int128	mean = 0;
	int			n = 0;

	for (int i = 0; i < w->nidentities; i++)
	{
		if (s->weight[i] == 0)
			continue;
		least = n == 0 || s->priority[i] < least ? s->priority[i] : least;
		most = n == 0 || s->priority[i] > most ? s->priority[i] : most;
		n++;
	}
	while (ratio * 2 * total < most - least)
		ratio++;
	for (int i = 0; i < w->nidentities; i++)
		if (s->weight[i] > 0)
			sum += s->priority[i] /= ratio;
	while (mean * n > sum)
		mean--;
	while ((mean + 1) * n <= sum)
		mean++;
	for (int i = 0; i < w->nidentities; i++)
		if (s->weight[i] > 0)
			s->priority[i] -= mean;
}

static uint32_t
turn(const World *w, Naive *s)
{
	uint32_t	whose = NONE;

	normalise(w, s);
	for (uint32_t i = 0; i < (uint32_t) w->nidentities; i++)
		if (s->weight[i] > 0)
		{
			s->priority[i] += (__int128) s->weight[i];
			if (whose == NONE || s->priority[i] > s->priority[whose])
				whose = i;
		}
	s->priority[whose] -= sum_of(w, s->weight);
	return whose;
}

/* Delegates: everybody's hash is looked up against all others'. */
static uint32_t
delegate_of(const World *w, const Naive *s, uint64_t slot)
{
	FtcHash		seed = ftc_delegates_seed(&w->blocks[s->base].id, s->epoch);
	uint32_t	n = 0;

	for (int i = 0; i < w->nidentities; i++)
		n += s->weight[i] > 0;
	for (uint32_t i = 0; i < (uint32_t) w->nidentities; i++)
	{
		uint32_t	below = 0;
		FtcHash		pair[2] = {seed, w->identities[i].id};
		FtcHash		own = ftc_sha256(ftc_slice(pair, sizeof(pair)));

		for (int j = 0; j < w->nidentities; j++)
		{
			FtcHash		other;

			pair[1] = w->identities[j].id;
			other = ftc_sha256(ftc_slice(pair, sizeof(pair)));
			below += s->weight[j] > 0 && ftc_hash_compare(&other, &own) < 0;
		}
		if (s->weight[i] > 0 && below == slot % n)
			return i;
	}
	return NONE;
}

uint32_t
naive_turn(World *w, uint32_t block)
{
	const Block *b = &w->blocks[block];
	Naive		s = *b->naive;
	uint32_t	whose = NONE;

	if (w->settings.consensus == FTC_CONSENSUS_DPOS)
		return delegate_of(w, &s, b->header.round);
	for (uint64_t i = 0; i <= b->header.round % w->settings.slots.per_epoch; i++)
		whose = turn(w, &s);
	return whose;
}

/* ----------------------------------------------------------------
 *		Sets
 * ----------------------------------------------------------------
 */

/* Those in the new set and not in the old one owe; priorities of those who left are gone. */
static void
new_priorities(const World *w, Naive *s, const uint64_t *old)
{
	__int128	all = 0;
	bool		changed = false;

	for (int i = 0; i < w->nidentities; i++)
	{
		all += (__int128) (s->weight[i] > 0 ? s->weight[i] : old[i]);
		changed |= s->weight[i] != old[i];
	}
	if (!changed)
		return;
	for (int i = 0; i < w->nidentities; i++)
	{
		if (s->weight[i] > 0 && old[i] == 0)
			s->priority[i] = -(all + all / 8);
		if (s->weight[i] == 0)
			s->priority[i] = 0;
	}
	normalise(w, s);
}

/* By so much at most in either direction, in the order of ids, which is that of identities. */
static void
step(const World *w, Naive *s, uint64_t ops, bool unanimous)
{
	__int128	third = sum_of(w, s->weight) / 3;
	__int128	down = unanimous ? (__int128) 1 << 100 : third;
	__int128	up = down;
	bool		changed = false;

	for (int i = 0; i < w->nidentities; i++)
	{
		__int128	wanted = (__int128) weight_wanted(w, ops, (uint32_t) i);
		__int128	now = (__int128) s->weight[i];

		s->before[i] = s->weight[i];
		for (; now > wanted && down > 0; now--, down--)
			;
		for (; now < wanted && up > 0; now++, up--)
			;
		s->weight[i] = (uint64_t) now;
		changed |= s->weight[i] != s->before[i];
	}
	if (changed)
	{
		s->handover = true;
		s->since = s->epoch;
		return;
	}
	memset(s->before, 0, sizeof(s->before));
}

/* The block that the branch had proved final by the end of an epoch: all are asked. */
static uint32_t
proved_by(const World *w, uint32_t block, uint64_t before_round)
{
	while (w->blocks[block].header.round >= before_round)
		block = w->blocks[block].parent;
	return w->blocks[block].naive->final;
}

static bool
all_signed(const World *w, uint64_t new)
{
	bool		all = new != 0;

	for (int i = 0; i < 64; i++)
		if ((new >> i & 1) != 0 && (i >= w->nchanges || !w->changes[i].unanimous))
			all = false;
	return all;
}

static void
next_epoch(World *w, Naive *s, uint32_t parent, uint64_t epoch)
{
	uint32_t	per_epoch = w->settings.slots.per_epoch;
	uint64_t	old[IDENTITIES_MAX];
	uint64_t	ops;

	memcpy(old, s->weight, sizeof(old));
	for (uint32_t i = 0; i < per_epoch; i++)
		(void) turn(w, s);
	s->epoch = epoch;
	s->base = epoch < 2 ? 0 : proved_by(w, parent, (epoch - 1) * per_epoch);
	ops = w->blocks[s->base].ops;
	if (s->handover && w->blocks[s->base].header.round / per_epoch >= s->since)
	{
		s->handover = false;
		memset(s->before, 0, sizeof(s->before));
	}
	if (!s->handover)
		step(w, s, ops, all_signed(w, ops & ~s->base_ops));
	s->base_ops = ops;
	new_priorities(w, s, old);
}

/* ----------------------------------------------------------------
 *		Branches
 * ----------------------------------------------------------------
 */

static int
validators_of(const World *w, const Naive *s)
{
	int			n = 0;

	for (int i = 0; i < w->nidentities; i++)
		n += s->weight[i] > 0 || s->before[i] > 0;
	return n;
}

/* The highest that this block, or one below it, proves final. */
static uint32_t
final_of(const World *w, uint32_t block, bool alone)
{
	const Block *b = &w->blocks[block];
	const Block *c = &w->blocks[b->justified];
	uint32_t	final = w->blocks[b->parent].naive->final;

	if (alone)
		return block;
	if (b->justified != 0 && c->header.round == w->blocks[c->justified].header.round + 1 &&
		w->blocks[c->justified].header.height > w->blocks[final].header.height)
		final = c->justified;
	return final;
}

void
naive_first(World *w)
{
	Naive	   *s = calloc(1, sizeof(Naive));

	for (uint32_t i = 0; i < (uint32_t) w->nidentities; i++)
		s->weight[i] = w->identities[i].weight;
	w->blocks[0].naive = s;
}

void
naive_block(World *w, uint32_t block)
{
	Block	   *b = &w->blocks[block];
	Naive	   *s = malloc(sizeof(Naive));
	uint64_t	epoch = b->header.round / w->settings.slots.per_epoch;

	*s = *w->blocks[b->parent].naive;
	if (epoch > s->epoch)
		next_epoch(w, s, b->parent, epoch);
	b->naive = s;
	s->final = final_of(w, block, !s->handover && validators_of(w, s) == 1);
}

/* ----------------------------------------------------------------
 *		Certificates
 * ----------------------------------------------------------------
 */

static bool
is_quorum(const World *w, const uint64_t *weights, const bool *voted)
{
	__int128	votes = 0;
	__int128	all = sum_of(w, weights);

	for (int i = 0; i < w->nidentities; i++)
		votes += voted[i] ? (__int128) weights[i] : 0;
	return w->settings.quorum == FTC_QUORUM_MAJORITY ? votes > all - votes : votes > 2 * (all - votes);
}

/* Have those who are named really signed that, and are they enough, under both sets? */
bool
naive_certifies(World *w, const Certificate *certificate)
{
	const Block *b = &w->blocks[certificate->block];
	const Naive *s = b->naive;
	bool		voted[IDENTITIES_MAX] = {false};

	for (uint32_t i = 0; i < (uint32_t) w->nidentities; i++)
	{
		const Identity *who = &w->identities[i];

		for (uint32_t j = 0; j < who->nsigned; j++)
		{
			const Ballot *ballot = &w->ballots[who->signed_votes[j]];
			const uint8_t *signature = ballot->vote.signature.b;

			if (!ftc_hash_equal(&ballot->vote.link.target.id, &b->id) ||
				!ftc_hash_equal(&ballot->vote.link.source.id, &b->header.justify))
				continue;
			/* is that very signature in the certificate? */
			for (size_t at = FTC_CERTIFICATE_HEAD_LEN + 2; at + FTC_SIGNATURE_LEN <= certificate->bytes.len;
				 at += FTC_CERTIFICATE_VOTE_LEN)
				voted[i] |= memcmp(certificate->bytes.data + at, signature, FTC_SIGNATURE_LEN) == 0;
		}
	}
	return is_quorum(w, s->weight, voted) && (!s->handover || is_quorum(w, s->before, voted));
}

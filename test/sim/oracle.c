/*-------------------------------------------------------------------------
 *
 * oracle.c
 *	  What must hold after every event, found out again without asking the code
 *	  that is tested where that is possible.
 *
 * A block is looked at once: it is the same for everybody, and so are the blocks
 * below it.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#include <stddef.h>

#include "naive.h"

/* ----------------------------------------------------------------
 *		Second implementations
 * ----------------------------------------------------------------
 */

/* RFC 6962, by its definition */
static FtcHash
tree_of(const FtcHash *leaves, uint64_t n)
{
	uint8_t		bytes[1 + 2 * FTC_HASH_LEN] = {1};
	uint64_t	k = 1;
	FtcHash		part;

	if (n == 0)
		return ftc_sha256(ftc_slice(NULL, 0));
	if (n == 1)
		return leaves[0];
	while (2 * k < n)
		k *= 2;
	part = tree_of(leaves, k);
	memcpy(bytes + 1, part.b, FTC_HASH_LEN);
	part = tree_of(leaves + k, n - k);
	memcpy(bytes + 1 + FTC_HASH_LEN, part.b, FTC_HASH_LEN);
	return ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
}

static FtcHash
leaf_of(FtcSlice leaf)
{
	uint8_t		bytes[1 + FTC_BUNDLE_FIXED + 16 * 4] = {0};

	memcpy(bytes + 1, leaf.data, leaf.len);
	return ftc_sha256(ftc_slice(bytes, 1 + leaf.len));
}

static void
put(uint8_t **at, uint64_t value, int width)
{
	while (width-- > 0)
		*(*at)++ = (uint8_t) (value >> (8 * width));
}

static void
put_bytes(uint8_t **at, const FtcHash *hash)
{
	memcpy(*at, hash->b, FTC_HASH_LEN);
	*at += FTC_HASH_LEN;
}

/* The table in header.h */
static FtcHash
id_of(const FtcHeader *h)
{
	uint8_t		bytes[FTC_HEADER_LEN];
	uint8_t    *at = bytes;

	put(&at, h->version, 4);
	put(&at, h->consensus, 4);
	put(&at, h->height, 8);
	put(&at, h->time, 8);
	put_bytes(&at, &h->prev);
	put_bytes(&at, &h->history);
	put_bytes(&at, &h->body);
	put(&at, h->leaves, 4);
	put(&at, h->bits, 4);
	put_bytes(&at, &h->proposer);
	put_bytes(&at, &h->state);
	put_bytes(&at, &h->justify);
	put(&at, h->round, 8);
	put(&at, h->nonce, 8);
	return ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
}

static Big
target_of(uint32_t bits)
{
	Big			mantissa = big_of(bits & 0x7fffff);

	return big_scale(&mantissa, 8 * ((int) (bits >> 24) - 3));
}

/* The formula of aserti3-2d, with numbers that know no bounds */
static uint32_t
next_bits(const FtcAnchor *anchor, uint64_t height, int64_t time, const FtcParams *p)
{
	__int128	late = (__int128) time - anchor->parent_time -
	(__int128) p->spacing * ((__int128) height - anchor->height + 1);
	__int128	exponent = late * 65536 / (__int128) p->half_life;
	Big			limit = target_of(p->limit_bits);
	Big			target = target_of(anchor->bits);
	Big			one = big_of(1);
	Big			cubic;
	FtcU256		next;
	int			shift = 0;
	uint64_t	f;

	if (exponent > 300 * 65536)
		return p->limit_bits;
	for (; exponent < 0; shift--)
		exponent += 65536;
	for (; exponent >= 65536; shift++)
		exponent -= 65536;
	f = (uint64_t) exponent;
	cubic = big_of(65536 + ((UINT64_C(195766423245049) * f + UINT64_C(971821376) * f * f +
							 UINT64_C(5127) * f * f * f + (UINT64_C(1) << 47)) >> 48));
	target = big_multiply(&target, &cubic);
	target = big_scale(&target, shift - 16);
	if (big_compare(&target, &one) < 0)
		target = one;
	if (big_compare(&target, &limit) > 0)
		return p->limit_bits;
	next = big_to_u256(&target);
	return ftc_pow_to_bits(&next);
}

/* floor(2^256 / (target + 1)); the same bits come again and again */
static FtcU256
work_of(World *w, uint32_t bits)
{
	Big			one = big_of(1);
	Big			all = big_scale(&one, 256);
	Big			target = target_of(bits);
	Big			quotient;

	if (w->work_bits == bits)
		return w->work;
	target = big_add(&target, &one);
	quotient = big_divide(&all, &target);
	w->work_bits = bits;
	return w->work = big_to_u256(&quotient);
}

/* ----------------------------------------------------------------
 *		A block
 * ----------------------------------------------------------------
 */

void
oracle_founded(World *w)
{
	Block	   *b = &w->blocks[0];

	b->checked = true;
	b->anchor.height = 0;
	b->anchor.parent_time = (int64_t) (SIM_EPOCH - w->state.params.spacing);
	b->anchor.bits = b->header.bits;
	b->work = work_of(w, b->header.bits);
}

/* A gap of more than a half-life: the anchor is the block that ended it. */
static void
set_anchor(World *w, Block *b, const Block *p)
{
	const FtcParams *params = &w->state.params;

	b->anchor = p->anchor;
	if (b->header.time - p->header.time <= params->half_life)
		return;
	b->anchor.bits = next_bits(&p->anchor, b->header.height, (int64_t) (p->header.time + params->half_life), params);
	b->anchor.height = b->header.height;
	b->anchor.parent_time = (int64_t) b->header.time - (int64_t) params->spacing;
}

static const char *
fault_of_header(World *w, Block *b, const Block *p)
{
	const FtcParams *params = &w->state.params;
	const FtcMember *proposer = ftc_state_find(&w->state, &b->header.proposer);
	FtcHash		id = id_of(&b->header);
	FtcHash		state = w->blocks[0].header.state;
	Big			value;
	Big			target;
	FtcU256		number = ftc_u256_from_hash(&id);
	FtcU256		work;

	if (!ftc_hash_equal(&id, &b->id))
		return "its id is another";
	if (!ftc_hash_equal(&p->id, &b->header.prev) || b->header.height != p->header.height + 1)
		return "it does not follow its parent";
	if (!ftc_hash_equal(&b->header.state, &state))
		return "it builds on another state";
	if (!ftc_hash_is_zero(&b->header.justify) || b->header.round != 0 || b->header.consensus != FTC_CONSENSUS_POW)
		return "fields that must be zero are not";
	if (b->header.time < p->header.time + params->min_spacing)
		return "it comes too soon after its parent";
	if (b->header.bits != next_bits(&p->anchor, p->header.height, (int64_t) p->header.time, params))
		return "its bits are wrong";
	value = big_of_u256(&number);
	target = target_of(b->header.bits);
	if (big_compare(&value, &target) > 0)
		return "it has too little work";
	if (proposer == NULL || ftc_verify(&proposer->key, FTC_DOMAIN_BLOCK, &w->genesis, &id, &b->block.signature) != FTC_OK)
		return "it is not signed by a member";
	work = work_of(w, b->header.bits);
	b->work = ftc_u256_add(&p->work, &work);
	if (ftc_u256_compare(&b->work, &b->tip.work) != 0)
		return "its branch has another work";
	set_anchor(w, b, p);
	return NULL;
}

/* The ids of all before it */
static const char *
fault_of_history(World *w, const Block *b)
{
	uint64_t	n = b->header.height;
	FtcHash    *ids;
	FtcHash		root;

	/* it costs the more the higher it is */
	if (n > 64 && n % 16 != 0)
		return NULL;
	ids = malloc(n * sizeof(FtcHash));
	for (uint32_t at = b->parent; at != NONE; at = w->blocks[at].parent)
		ids[w->blocks[at].header.height] = w->blocks[at].id;
	root = tree_of(ids, n);
	free(ids);
	return ftc_hash_equal(&root, &b->header.history) ? NULL : "its history is another";
}

/* What of a stream is on the branch that ends in a block */
static void
count_stream(World *w, uint32_t block, uint32_t stream, uint64_t *bundles, uint64_t *entries)
{
	*bundles = *entries = 0;
	for (; block != NONE; block = w->blocks[block].parent)
		for (uint32_t i = 0; i < w->blocks[block].nbundles; i++)
		{
			const Bundle *b = &w->bundles[w->blocks[block].bundles[i]];

			*bundles += b->stream == stream;
			*entries += b->stream == stream ? b->count : 0;
		}
}

/*
 * Numbers without a gap; and since honest members bundle one seq after the
 * other, no entry is left out, and none comes twice.
 */
static const char *
fault_of_bundles(World *w, const Block *b)
{
	for (uint32_t i = 0; i < b->nbundles; i++)
	{
		const Bundle *bundle = &w->bundles[b->bundles[i]];
		uint64_t	bundles;
		uint64_t	entries;

		count_stream(w, b->parent, bundle->stream, &bundles, &entries);
		for (uint32_t j = 0; j < i; j++)
			if (w->bundles[b->bundles[j]].stream == bundle->stream)
			{
				bundles++;
				entries += w->bundles[b->bundles[j]].count;
			}
		if (bundle->number != bundles + 1)
			return "a bundle is not the next of its origin";
		if (bundle->seqs.first != entries + 1)
			return "an entry is left out, or comes twice";
	}
	return NULL;
}

static const char *
fault_of_body(World *w, const Block *b)
{
	uint32_t	n = b->nbundles;
	uint32_t	at = n;
	FtcHash    *leaves;
	FtcHash		root;

	for (uint32_t i = 0; i < b->nbundles; i++)
		n += w->bundles[b->bundles[i]].count;
	if (n != b->header.leaves)
		return "it has another number of leaves";
	leaves = malloc(n * sizeof(FtcHash) + 1);
	for (uint32_t i = 0; i < b->nbundles; i++)
	{
		const Bundle *bundle = &w->bundles[b->bundles[i]];

		leaves[i] = leaf_of(bundle->leaf);
		memcpy(leaves + at, bundle->leaves, bundle->count * sizeof(FtcHash));
		at += bundle->count;
	}
	root = tree_of(leaves, n);
	free(leaves);
	return ftc_hash_equal(&root, &b->header.body) ? NULL : "its body is another";
}

static bool
check_block(World *w, uint32_t block)
{
	Block	   *b = &w->blocks[block];
	const char *fault;

	if (b->checked)
		return true;
	if (!check_block(w, b->parent))
		return false;
	fault = fault_of_header(w, b, &w->blocks[b->parent]);
	if (fault == NULL)
		fault = fault_of_history(w, b);
	if (fault == NULL)
		fault = fault_of_bundles(w, b);
	if (fault == NULL)
		fault = fault_of_body(w, b);
	if (fault != NULL)
		world_fail(w, "block %u at height %llu is on a main chain, but %s", block,
				   (unsigned long long) b->header.height, fault);
	b->checked = fault == NULL;
	return b->checked;
}

/* The body that a member has taken is that of the block's bundles. */
void
oracle_body(Member *m, uint32_t block, FtcSlice body)
{
	World	   *w = m->world;
	const Block *b = &w->blocks[block];
	size_t		at = 8 + b->block.manifest.len;

	if (body.len < at || memcmp(body.data + 8, b->block.manifest.data, b->block.manifest.len) != 0)
	{
		world_fail(w, "member %u takes a body with another manifest for block %u", m->no, block);
		return;
	}
	for (uint32_t i = 0; i < b->nbundles; i++)
	{
		FtcSlice	entries = w->bundles[b->bundles[i]].entries;

		if (body.len - at < entries.len || memcmp(body.data + at, entries.data, entries.len) != 0)
		{
			world_fail(w, "member %u takes a wrong body for block %u", m->no, block);
			return;
		}
		at += entries.len;
	}
	if (at != body.len)
		world_fail(w, "member %u takes a body that is too long for block %u", m->no, block);
}

/* ----------------------------------------------------------------
 *		A member
 * ----------------------------------------------------------------
 */

/*
 * The body is here, or really there at enough of those who should have it; one
 * that was set back may have had it.
 */
static bool
is_stored(Member *m, uint32_t block)
{
	World	   *w = m->world;
	const Block *b = &w->blocks[block];
	uint32_t	n = 0;

	if (record_of(m, block)->has_body)
		return true;
	for (uint32_t i = 0; i < (uint32_t) w->nmembers; i++)
		n += ledger_is_owner(w, block, i) && (record_of(&w->members[i], block)->has_body || w->members[i].was_set_back);
	return n >= Min(w->state.params.stored_quorum, b->nowners);
}

/* The main chain from the head down to what was there before */
static void
check_main(Member *m)
{
	World	   *w = m->world;
	uint32_t	old = m->seen_head;
	uint32_t	at = head_of(m);
	uint64_t	depth = 0;
	uint64_t	now = clock_of(m);

	if (ftc_u256_compare(&w->blocks[at].work, &w->blocks[old].work) <= 0)
		world_fail(w, "member %u takes a head with no more work than it had", m->no);
	while (at != old)
	{
		const Block *b = &w->blocks[at];

		if (w->blocks[old].header.height > b->header.height ||
			(w->blocks[old].header.height == b->header.height && b->parent == NONE))
		{
			depth++;
			old = w->blocks[old].parent;
			continue;
		}
		if (m->main.at[b->header.height] != at || !record_of(m, at)->on_main)
			world_fail(w, "the main chain of member %u does not hang together at height %llu", m->no,
					   (unsigned long long) b->header.height);
		if (record_of(m, at)->incomplete || !is_stored(m, at))
			world_fail(w, "member %u builds on block %u, whose body is not stored", m->no, at);
		if (b->header.time > now + w->state.params.future_bound)
			world_fail(w, "member %u takes block %u before its time", m->no, at);
		if (w->settings.fault[FAULT_STALL] && b->parent != NONE &&
			b->header.time - w->blocks[b->parent].header.time > 12 * HOUR)
			see(w, SIGHT_STALLED);
		if (w->blocks[old].header.height == b->header.height)
		{
			depth++;
			old = w->blocks[old].parent;
		}
		at = b->parent;
	}
	if (depth > w->state.params.reorg_limit)
		world_fail(w, "member %u gives up %llu blocks, and the limit is %u", m->no, (unsigned long long) depth,
				   w->state.params.reorg_limit);
}

/* It is what it was once; its work may be less. */
void
oracle_set_back(Member *m)
{
	m->seen_head = head_of(m);
	m->was_set_back = true;
}

#define WAITING_MAX 2000

void
oracle_look(Member *m)
{
	World	   *w = m->world;
	uint32_t	head = head_of(m);

	if (w->failure[0] != '\0')
		return;
	if (head != m->seen_head)
	{
		if (!w->settings.light && !check_block(w, head))
			return;
		if (w->settings.light)
			w->blocks[head].work = w->blocks[head].tip.work;
		check_main(m);
		m->seen_head = head;
	}
	if (m->main.n != w->blocks[head].header.height + 1)
		world_fail(w, "the main chain of member %u has another length than its head says", m->no);
	if (m->incomplete.n + m->wanted.n > WAITING_MAX || m->nrejected > WAITING_MAX)
		world_fail(w, "member %u has %u incomplete blocks, wants %u bodies and has rejected %u blocks", m->no,
				   m->incomplete.n, m->wanted.n, m->nrejected);
}

/* A message was applied: it is the next one, and what the sender sent there. */
void
oracle_applied(Member *m, const Peer *p, const FtcLinkEnd *before, const FtcMessage *message)
{
	World	   *w = m->world;
	Member	   *sender = &w->members[p->member];
	const Peer *back = peer_of(sender, m->no);
	const Row  *row;

	if (message->seq != before->next || message->epoch != before->epoch)
	{
		world_fail(w, "member %u applies message %llu of epoch %llu from %u, after %llu of epoch %llu", m->no,
				   (unsigned long long) message->seq, (unsigned long long) message->epoch, p->member,
				   (unsigned long long) before->next - 1, (unsigned long long) before->epoch);
		return;
	}
	/* an epoch that the sender has left, or does not remember, says nothing */
	if (message->epoch != back->epoch || sender->was_set_back)
		return;
	if (back->base + message->seq > sender->nrows)
	{
		world_fail(w, "member %u applies a message that %u has not sent", m->no, p->member);
		return;
	}
	row = &sender->outbox[back->base + message->seq - 1];
	if (!ftc_hash_equal(&row->message->digest, &message->digest))
		world_fail(w, "member %u applies another message than %u has sent", m->no, p->member);
}

/* ----------------------------------------------------------------
 *		All of them
 * ----------------------------------------------------------------
 */

#define STILL_MOST (150 * SECOND)

/*
 * Where nothing is wrong with the network and those who are honest, blocks come,
 * whatever the others do; entries always wait then.
 */
void
oracle_moves(World *w)
{
	static const Fault harmless[] = {
		FAULT_DUPLICATION, FAULT_REORDERING, FAULT_SKEW, FAULT_WITHHOLDING, FAULT_LIAR, FAULT_PRUNING
	};
	int			harmful = 0;

	for (int i = 0; i < FAULT_COUNT; i++)
		harmful += w->settings.fault[i];
	for (size_t i = 0; i < lengthof(harmless); i++)
		harmful -= w->settings.fault[harmless[i]];
	for (int i = 0; i < w->nmembers && harmful == 0; i++)
	{
		uint64_t	since = w->now - w->blocks[head_of(&w->members[i])].found_at;

		if (since > STILL_MOST)
			world_fail(w, "member %d has had no new head for %llu s, although entries wait", i,
					   (unsigned long long) (since / SECOND));
	}
}

static bool
all_sealed(World *w, uint32_t head, bool complain)
{
	for (uint32_t i = 0; i < w->nstreams; i++)
	{
		uint64_t	bundles;
		uint64_t	entries;

		if (w->streams[i].lossy)
			continue;
		count_stream(w, head, i, &bundles, &entries);
		if (entries == w->streams[i].appended)
			continue;
		if (complain)
			world_fail(w, "of %llu entries of member %u, incarnation %u, %llu are on the chain",
					   (unsigned long long) w->streams[i].appended, w->streams[i].member, i,
					   (unsigned long long) entries);
		return false;
	}
	return true;
}

/* Everything was taken, and both ends have the same chain value. */
static bool
is_drained(World *w, Member *m, const Peer *p)
{
	Member	   *receiver = &w->members[p->member];
	const Peer *end = peer_of(receiver, m->no);
	FtcHash		value = ftc_link_start(&w->genesis, &m->id, &receiver->id, FTC_STREAM_LEDGER, p->epoch);

	/* an epoch in which nothing was sent yet is not known there */
	if (p->acked != m->nrows || (p->acked > p->base && end->in.epoch != p->epoch))
		return false;
	if (p->acked == p->base)
		return true;
	for (uint64_t row = p->base; row < p->acked; row++)
		value = ftc_link_advance(&value, &m->outbox[row].message->id, &m->outbox[row].message->digest);
	return end->in.next == p->acked - p->base + 1 && ftc_hash_equal(&end->in.value, &value);
}

/* With a clock that was an hour ahead that takes an hour. */
static bool
all_drained(World *w, bool complain)
{
	for (int i = 0; i < w->nmembers && !w->settings.fault[FAULT_HOUR]; i++)
		for (uint32_t j = 0; j < w->members[i].npeers; j++)
			if (!is_drained(w, &w->members[i], &w->members[i].peers[j]))
			{
				if (complain)
					world_fail(w, "the link from %d to %u is stuck", i, w->members[i].peers[j].member);
				return false;
			}
	return true;
}

static bool
is_anybody_set_back(const World *w)
{
	for (int i = 0; i < w->nmembers; i++)
		if (w->members[i].was_set_back)
			return true;
	return false;
}

/* Each body is where it should be, unless a copy has gone. */
static bool
all_copied(World *w, bool complain)
{
	for (uint32_t i = 0; i < w->members[0].main.n && !is_anybody_set_back(w); i++)
		for (uint32_t j = 0; j < (uint32_t) w->nmembers; j++)
		{
			uint32_t	block = w->members[0].main.at[i];

			if (!ledger_is_owner(w, block, j) || record_of(&w->members[j], block)->has_body)
				continue;
			if (complain)
				world_fail(w, "member %u has never got the body of block %u", j, block);
			return false;
		}
	return true;
}

bool
oracle_agreed(World *w, bool complain)
{
	uint32_t	head = head_of(&w->members[0]);

	for (int i = 1; i < w->nmembers; i++)
		if (head_of(&w->members[i]) != head)
		{
			if (complain)
				world_fail(w, "members 0 and %d do not agree: block %u at height %llu, and block %u at height %llu", i,
						   head, (unsigned long long) w->blocks[head].header.height, head_of(&w->members[i]),
						   (unsigned long long) w->blocks[head_of(&w->members[i])].header.height);
			return false;
		}
	return all_sealed(w, head, complain) && all_drained(w, complain) && all_copied(w, complain);
}

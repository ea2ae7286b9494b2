/*-------------------------------------------------------------------------
 *
 * ledger.c
 *	  Blocks and bundles, kept once for all members: their ids are hashes of
 *	  them, so one that has an id has what belongs to it.
 *
 * Which of them a member knows is in its records.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

/* ----------------------------------------------------------------
 *		Blocks
 * ----------------------------------------------------------------
 */

static uint32_t
slot_of(const World *w, const FtcHash *id)
{
	uint32_t	slot;

	/* the end of an id: proof of work makes the beginning small */
	memcpy(&slot, id->b + FTC_HASH_LEN - sizeof(slot), sizeof(slot));
	slot &= w->block_table_size - 1;
	while (w->block_table[slot] != NONE && !ftc_hash_equal(&w->blocks[w->block_table[slot]].id, id))
		slot = (slot + 1) & (w->block_table_size - 1);
	return slot;
}

uint32_t
ledger_find(World *w, const FtcHash *id)
{
	return w->block_table_size == 0 ? NONE : w->block_table[slot_of(w, id)];
}

static void
grow_table(World *w)
{
	if (2 * (w->nblocks + 1) <= w->block_table_size)
		return;
	w->block_table_size = Max(256, 2 * w->block_table_size);
	w->block_table = world_alloc(w, w->block_table_size * sizeof(uint32_t));
	memset(w->block_table, 0xff, w->block_table_size * sizeof(uint32_t));
	for (uint32_t i = 0; i < w->nblocks; i++)
		w->block_table[slot_of(w, &w->blocks[i].id)] = i;
}

static Block *
new_block(World *w, const FtcHeader *header)
{
	Block	   *b;
	FtcHash		id = ftc_header_id(header);

	grow_table(w);
	if (w->nblocks == w->blocks_size)
	{
		uint32_t	size = Max(128, 2 * w->blocks_size);

		w->blocks = world_grow(w, w->blocks, w->blocks_size, size - w->blocks_size, sizeof(Block));
		w->blocks_size = size;
	}
	b = &w->blocks[w->nblocks];
	b->id = id;
	b->header = *header;
	b->found_at = w->now;
	w->block_table[slot_of(w, &id)] = w->nblocks++;
	return b;
}

uint32_t
ledger_found(World *w, const FtcHeader *genesis)
{
	Block	   *b = new_block(w, genesis);

	b->parent = NONE;
	ftc_rules_first_tip(&b->tip, genesis, &w->state.params);
	return 0;
}

/* The bundles of its manifest; one that nobody made is left out. */
static void
find_bundles(World *w, Block *b)
{
	FtcManifest manifest;
	FtcReader	at;

	if (ftc_manifest_decode(&manifest, b->block.manifest) != FTC_OK)
		return;
	b->bundles = world_alloc(w, manifest.nbundles * sizeof(uint32_t));
	at = manifest.bundles;
	for (uint32_t i = 0; i < manifest.nbundles; i++)
	{
		FtcBundle	bundle;
		FtcSignature signature;
		FtcHash		digest = ftc_bundle_digest(ftc_manifest_next_bundle(&at, &bundle, &signature));
		uint32_t	found = ledger_bundle_find(w, &digest);

		if (found != NONE)
			b->bundles[b->nbundles++] = found;
	}
}

static void
set_tops(World *w, Block *b, const Block *parent)
{
	b->ntops = w->nstreams;
	b->tops = world_alloc(w, b->ntops * sizeof(Top));
	if (parent->ntops > 0)
		memcpy(b->tops, parent->tops, parent->ntops * sizeof(Top));
	for (uint32_t i = 0; i < b->nbundles; i++)
	{
		const Bundle *bundle = &w->bundles[b->bundles[i]];
		Top		   *top = &b->tops[bundle->stream];

		top->number = Max(top->number, bundle->number);
		top->seq = Max(top->seq, bundle->seqs.last);
	}
}

static void
set_owners(World *w, Block *b)
{
	uint32_t	owners[16];

	if (w->settings.light)
		return;
	b->nowners = ftc_ring_owners(&w->ring, ftc_ring_key(&b->id), w->state.params.replicas, owners);
	for (uint32_t i = 0; i < b->nowners; i++)
		b->owners |= UINT32_C(1) << w->order[owners[i]];
}

bool
ledger_is_owner(const World *w, uint32_t block, uint32_t member)
{
	return w->settings.light || (w->blocks[block].owners >> member & 1) != 0;
}

/* What a member signs that stores a body: the block and itself. */
FtcHash
ledger_statement(const World *w, uint32_t block, uint32_t member)
{
	uint8_t		bytes[2 * FTC_HASH_LEN];

	memcpy(bytes, w->blocks[block].id.b, FTC_HASH_LEN);
	memcpy(bytes + FTC_HASH_LEN, w->members[member].id.b, FTC_HASH_LEN);
	return ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
}

FtcSignature
ledger_sign_statement(const World *w, uint32_t block, uint32_t member)
{
	FtcHash		digest = ledger_statement(w, block, member);
	FtcSignature signature;

	ftc_sign(&w->members[member].seed, FTC_DOMAIN_STORED, &w->genesis, &digest, &signature);
	return signature;
}

uint32_t
ledger_add(World *w, const FtcBlock *block, const FtcHeader *header, uint32_t parent)
{
	Block	   *b = new_block(w, header);
	const Block *p = &w->blocks[parent];

	b->parent = parent;
	b->block.header = world_copy(w, block->header);
	b->block.signature = block->signature;
	b->block.manifest = world_copy(w, block->manifest);
	b->block.proof = world_copy(w, block->proof);
	find_bundles(w, b);
	set_tops(w, b, p);
	set_owners(w, b);
	ftc_rules_next_tip(&b->tip, &p->tip, header, &w->state.params);
	if (mutated(w, MUTANT_ANCHOR))
		b->tip.anchor = p->tip.anchor;
	w->sights.blocks++;
	return w->nblocks - 1;
}

Top
ledger_top(const Block *block, uint32_t stream)
{
	Top			none = {0, 0};

	return stream < block->ntops ? block->tops[stream] : none;
}

bool
ledger_has_seqs(World *w, uint32_t block, uint32_t stream, FtcRange seqs)
{
	/* most are above all that there are */
	while (block != NONE && ledger_top(&w->blocks[block], stream).seq >= seqs.first)
	{
		const Block *b = &w->blocks[block];

		for (uint32_t i = 0; i < b->nbundles; i++)
		{
			const Bundle *bundle = &w->bundles[b->bundles[i]];

			if (bundle->stream == stream && bundle->seqs.first <= seqs.last && seqs.first <= bundle->seqs.last)
				return true;
		}
		block = b->parent;
	}
	return false;
}

/* ----------------------------------------------------------------
 *		Bundles
 * ----------------------------------------------------------------
 */

uint32_t
ledger_stream(World *w, uint32_t member, uint64_t incarnation)
{
	Stream	   *s;

	if (w->nstreams == w->streams_size)
	{
		uint32_t	size = Max(16, 2 * w->streams_size);

		w->streams = world_grow(w, w->streams, w->streams_size, size - w->streams_size, sizeof(Stream));
		w->streams_size = size;
	}
	s = &w->streams[w->nstreams];
	s->member = member;
	s->incarnation = incarnation;
	return w->nstreams++;
}

uint32_t
ledger_bundle_find(World *w, const FtcHash *digest)
{
	for (uint32_t i = w->nbundles; i > 0; i--)
		if (ftc_hash_equal(&w->bundles[i - 1].digest, digest))
			return i - 1;
	return NONE;
}

static FtcEntry
entry_of(const World *w, const Stream *s, uint64_t seq, char *payload, uint8_t salt[FTC_SALT_LEN])
{
	FtcEntry	entry = {0};

	snprintf(payload, 64, "{\"member\": %u, \"n\": %llu}", s->member, (unsigned long long) seq);
	memset(salt, (int) (seq & 0xff), FTC_SALT_LEN);
	entry.origin = w->members[s->member].id;
	entry.incarnation = s->incarnation;
	entry.seq = seq;
	entry.time = SIM_EPOCH + seq;
	entry.author = ftc_slice("somebody", 8);
	entry.kind = ftc_slice("entry", 5);
	entry.salt = ftc_slice(salt, FTC_SALT_LEN);
	entry.payload = ftc_slice(payload, strlen(payload));
	entry.payload_hash = ftc_payload_hash(entry.salt, entry.payload);
	return entry;
}

/* Its entries as in a body, their leaf hashes, the bytes of the first leaf. */
static void
make_entries(World *w, const Stream *s, Bundle *b)
{
	FtcWriter	writer;
	uint8_t		leaf[FTC_ENTRY_LEAF_MAX];

	b->count = (uint32_t) (b->seqs.last - b->seqs.first + 1);
	b->leaves = world_alloc(w, b->count * sizeof(FtcHash));
	writer = ftc_writer(world_alloc(w, b->count * 160), b->count * 160);
	for (uint32_t i = 0; i < b->count; i++)
	{
		char		payload[64];
		uint8_t		salt[FTC_SALT_LEN];
		FtcEntry	entry = entry_of(w, s, b->seqs.first + i, payload, salt);

		ftc_body_put_entry(&writer, &entry);
		b->leaves[i] = ftc_entry_leaf_hash(&entry);
		if (i == 0)
			b->first_leaf = world_copy(w, ftc_slice(leaf, ftc_entry_leaf_encode(&entry, leaf)));
	}
	b->entries = ftc_slice(writer.buf, writer.len);
}

uint32_t
ledger_bundle(World *w, uint32_t stream, uint64_t number, FtcRange seqs)
{
	Stream	   *s = &w->streams[stream];
	const Member *m = &w->members[s->member];
	uint8_t		range[16];
	uint8_t		leaf[FTC_BUNDLE_FIXED + 16];
	FtcBundle	head = {0};
	Bundle	   *b;

	if (w->nbundles == w->bundles_size)
	{
		uint32_t	size = Max(128, 2 * w->bundles_size);

		w->bundles = world_grow(w, w->bundles, w->bundles_size, size - w->bundles_size, sizeof(Bundle));
		w->bundles_size = size;
	}
	b = &w->bundles[w->nbundles];
	b->stream = stream;
	b->number = number;
	b->seqs = seqs;
	make_entries(w, s, b);
	ftc_range_encode(seqs, range);
	head.origin = m->id;
	head.incarnation = s->incarnation;
	head.number = number;
	head.count = b->count;
	head.root = ftc_merkle_root(b->leaves, b->count);
	head.nranges = 1;
	head.ranges = ftc_slice(range, sizeof(range));
	b->leaf = world_copy(w, ftc_slice(leaf, ftc_bundle_leaf_encode(&head, leaf, sizeof(leaf))));
	b->digest = ftc_bundle_digest(b->leaf);
	ftc_sign(&m->seed, FTC_DOMAIN_BUNDLE, &w->genesis, &b->digest, &b->signature);
	return w->nbundles++;
}

/* As a manifest has them: origin, incarnation, number. */
static bool
comes_before(const World *w, uint32_t a, uint32_t b)
{
	FtcBundle	heads[2];

	(void) ftc_bundle_leaf_decode(&heads[0], w->bundles[a].leaf);
	(void) ftc_bundle_leaf_decode(&heads[1], w->bundles[b].leaf);
	return ftc_bundle_compare(&heads[0], &heads[1]) < 0;
}

static uint32_t *
sorted(World *w, const uint32_t *bundles, uint32_t n)
{
	uint32_t   *list = world_alloc(w, n * sizeof(uint32_t));

	for (uint32_t i = 0; i < n; i++)
	{
		uint32_t	at = i;

		for (; at > 0 && comes_before(w, bundles[i], list[at - 1]); at--)
			list[at] = list[at - 1];
		list[at] = bundles[i];
	}
	return list;
}

static FtcHash *
all_leaves(World *w, const uint32_t *list, uint32_t n, uint32_t *count)
{
	FtcHash    *leaves;
	uint32_t	at = n;

	*count = n;
	for (uint32_t i = 0; i < n; i++)
		*count += w->bundles[list[i]].count;
	leaves = world_alloc(w, *count * sizeof(FtcHash));
	for (uint32_t i = 0; i < n; i++)
	{
		const Bundle *b = &w->bundles[list[i]];

		leaves[i] = ftc_merkle_leaf(b->leaf);
		memcpy(leaves + at, b->leaves, b->count * sizeof(FtcHash));
		at += b->count;
	}
	return leaves;
}

static FtcSlice
make_manifest(World *w, const uint32_t *list, uint32_t n)
{
	FtcSignedLeaf *heads = world_alloc(w, n * sizeof(FtcSignedLeaf));
	uint8_t    *bytes;
	size_t		len;

	for (uint32_t i = 0; i < n; i++)
	{
		heads[i].leaf = w->bundles[list[i]].leaf;
		heads[i].signature = w->bundles[list[i]].signature;
	}
	len = ftc_manifest_encode(NULL, 0, heads, n, NULL, 0);
	bytes = world_alloc(w, len);
	ftc_manifest_encode(NULL, 0, heads, n, bytes, len);
	return ftc_slice(bytes, len);
}

static FtcSlice
make_body(World *w, const uint32_t *list, uint32_t n, FtcSlice manifest)
{
	size_t		size = 64 + manifest.len;
	FtcWriter	writer;

	for (uint32_t i = 0; i < n; i++)
		size += w->bundles[list[i]].entries.len;
	writer = ftc_writer(world_alloc(w, size), size);
	ftc_body_begin(&writer, FTC_BODY_FULL, manifest);
	for (uint32_t i = 0; i < n; i++)
		ftc_put_slice(&writer, w->bundles[list[i]].entries);
	return ftc_slice(writer.buf, writer.len);
}

void
ledger_contents(World *w, const uint32_t *bundles, uint32_t n, FtcBlock *block, FtcHash *root,
				uint32_t *leaves)
{
	uint32_t   *list = sorted(w, bundles, n);
	FtcHash    *hashes = all_leaves(w, list, n, leaves);
	uint8_t		proof[FTC_PROOF_BYTES_MAX];
	FtcSlice	first = {NULL, 0};

	if (n > 0)
		first = w->bundles[list[0]].first_leaf;
	block->manifest = make_manifest(w, list, n);
	block->proof = world_copy(w, ftc_slice(proof, ftc_manifest_prove(hashes, *leaves, n, first, proof)));
	block->body = make_body(w, list, n, block->manifest);
	*root = ftc_merkle_root(hashes, *leaves);
}

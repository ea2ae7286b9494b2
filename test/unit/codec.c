/*-------------------------------------------------------------------------
 *
 * codec.c
 *	  Every decoder with its encoder behind it.
 *
 *-------------------------------------------------------------------------
 */
#include "codec.h"

#include <stdio.h>
#include <stdlib.h>

#include "audit.h"
#include "block.h"
#include "body.h"
#include "chunk.h"
#include "file.h"
#include "link.h"
#include "ranges.h"
#include "rules.h"
#include "sha256.h"
#include "shards.h"
#include "word.h"
#include "source.h"
#include "topic.h"

#define CHUNKS_MAX 200

void
codec_require(bool holds, const char *what, const char *file, int line)
{
	if (holds)
		return;
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

bool
codec_round(const TestCodec *codec, FtcSlice bytes, FtcReason *reason)
{
	uint8_t    *buf = malloc(bytes.len + 1);
	FtcWriter	again = ftc_writer(buf, bytes.len);
	bool		same = true;

	require(buf != NULL);
	*reason = codec->decode(bytes, &again);
	require((unsigned) *reason < FTC_REASON_COUNT);
	if (*reason == FTC_OK)
		same = again.len == bytes.len &&
			(bytes.len == 0 || memcmp(buf, bytes.data, bytes.len) == 0);
	free(buf);
	return same;
}

/* Where the encoders want to write next, and how much they may. */
static uint8_t *
room(const FtcWriter *writer, size_t *size)
{
	bool		over = writer->len > writer->size;

	*size = over ? 0 : writer->size - writer->len;
	return over ? NULL : (uint8_t *) writer->buf + writer->len;
}

static bool
same_hash(FtcHash a, FtcHash b)
{
	return ftc_hash_equal(&a, &b);
}

static FtcReason
header_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcHeader	header;
	uint8_t		encoded[FTC_HEADER_LEN];
	FtcReason	reason = ftc_header_decode(&header, bytes);

	if (reason != FTC_OK)
		return reason;
	ftc_header_encode(&header, encoded);
	ftc_put_bytes(again, encoded, sizeof(encoded));
	require(same_hash(ftc_header_id(&header), ftc_sha256(bytes)));
	return FTC_OK;
}

static FtcReason
entry_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcEntry	entry;
	uint8_t		encoded[FTC_ENTRY_LEAF_MAX];
	FtcReason	reason = ftc_entry_leaf_decode(&entry, bytes);

	if (reason != FTC_OK)
		return reason;
	ftc_put_bytes(again, encoded, ftc_entry_leaf_encode(&entry, encoded));
	require(entry.erased && entry.payload.len == 0 && entry.salt.len == 0);
	require(ftc_entry_check(&entry) == FTC_OK);
	require(same_hash(ftc_entry_leaf_hash(&entry), ftc_merkle_leaf(bytes)));
	return FTC_OK;
}

static void
check_bundle(const FtcBundle *bundle)
{
	uint64_t	entries = 0;
	uint64_t	last = 0;

	require(bundle->count > 0 && bundle->incarnation > 0 && bundle->number > 0);
	require(bundle->nranges <= FTC_RANGES_MAX);
	for (uint32_t i = 0; i < bundle->nranges; i++)
	{
		FtcRange	range = ftc_bundle_range(bundle, i);

		require(range.first > last && range.last >= range.first);
		require(i == 0 || range.first > last + 1);
		require(range.last < INT64_MAX);
		entries += range.last - range.first + 1;
		last = range.last;
	}
	require(entries == bundle->count);
	require(ftc_bundle_compare(bundle, bundle) == 0);
}

static FtcReason
bundle_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcBundle	bundle;
	size_t		size;
	uint8_t    *at = room(again, &size);
	FtcReason	reason = ftc_bundle_leaf_decode(&bundle, bytes);

	if (reason != FTC_OK)
		return reason;
	again->len += ftc_bundle_leaf_encode(&bundle, at, size);
	check_bundle(&bundle);
	require(same_hash(ftc_bundle_digest(bytes), ftc_sha256(bytes)));
	return FTC_OK;
}

static FtcReason
control_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcControl	control;
	size_t		size;
	uint8_t    *at = room(again, &size);
	FtcReason	reason = ftc_control_leaf_decode(&control, bytes);
	FtcHash		last = ftc_hash_zero;

	if (reason != FTC_OK)
		return reason;
	again->len += ftc_control_leaf_encode(&control, at, size);
	require(bytes.len <= FTC_CONTROL_MAX);
	require(control.core.data == bytes.data);
	require(control.core.len + 1 + control.signers.len == bytes.len);
	require(ftc_control_core_encode(&control, NULL, 0) == control.core.len);
	for (int i = 0; i < control.nsigners; i++)
	{
		FtcSignature signature;
		FtcHash		signer = ftc_control_signer(&control, i, &signature);

		require(i == 0 || ftc_hash_compare(&last, &signer) < 0);
		last = signer;
	}
	return FTC_OK;
}

static FtcReason
params_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcParams	params;
	FtcReason	reason = ftc_params_decode(&params, bytes);

	if (reason != FTC_OK)
		return reason;
	again->len += ftc_params_encode(&params, again->buf, again->size);
	require(ftc_params_check(&params) == FTC_OK);
	return FTC_OK;
}

static FtcReason
member_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcMember	member;
	uint8_t		encoded[FTC_MEMBER_LEAF_MAX];
	FtcReason	reason = ftc_member_leaf_decode(&member, bytes);

	if (reason == FTC_OK)
		ftc_put_bytes(again, encoded, ftc_member_leaf_encode(&member, encoded));
	return reason;
}

/* The manifest again, each of its leaves encoded from what was decoded. */
static void
put_manifest(const FtcManifest *manifest, FtcWriter *again)
{
	FtcReader	at = manifest->controls;

	ftc_put_u32(again, FTC_MANIFEST_VERSION << 24);
	ftc_put_u32(again, manifest->ncontrols);
	ftc_put_u32(again, manifest->nbundles);
	for (uint32_t i = 0; i < manifest->ncontrols; i++)
	{
		FtcControl	control;
		FtcSlice	leaf = ftc_manifest_next_control(&at, &control);

		ftc_put_u32(again, (uint32_t) leaf.len);
		require(control_decode(leaf, again) == FTC_OK);
		require(control.core.data == leaf.data);
	}
	require(at.at == manifest->bundles.at);
	for (uint32_t i = 0; i < manifest->nbundles; i++)
	{
		FtcBundle	bundle;
		FtcSignature signature;
		FtcSlice	leaf = ftc_manifest_next_bundle(&at, &bundle, &signature);

		ftc_put_u32(again, (uint32_t) leaf.len);
		require(bundle_decode(leaf, again) == FTC_OK);
		ftc_put_bytes(again, signature.b, FTC_SIGNATURE_LEN);
	}
	require(ftc_reader_is_done(&at));
}

static void
check_manifest(const FtcManifest *manifest)
{
	FtcReader	at = manifest->bundles;
	FtcBundle	bundle;
	FtcBundle	last;
	FtcSignature signature;
	FtcFrontier tree;
	uint64_t	entries = 0;

	for (uint32_t i = 0; i < manifest->nbundles; i++)
	{
		ftc_manifest_next_bundle(&at, &bundle, &signature);
		require(i == 0 || ftc_bundle_compare(&last, &bundle) < 0);
		entries += bundle.count;
		last = bundle;
	}
	require(entries == manifest->entries);
	require(manifest->ncontrols + manifest->nbundles + entries <= FTC_LEAVES_MAX);
	ftc_frontier_init(&tree);
	ftc_manifest_leaves(manifest, &tree);
	require(tree.size == manifest->ncontrols + manifest->nbundles);
}

static FtcReason
manifest_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcManifest manifest;
	FtcReason	reason = ftc_manifest_decode(&manifest, bytes);

	if (reason != FTC_OK)
		return reason;
	put_manifest(&manifest, again);
	check_manifest(&manifest);
	return FTC_OK;
}

/* A proof cannot be had again from what it proves; it is copied. */
static FtcReason
proof_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcReader	reader = ftc_reader(bytes);
	FtcSlice	encoded = ftc_get_blob(&reader);
	uint32_t	leaves = ftc_get_u32(&reader);
	FtcHash		root = ftc_get_hash(&reader);
	FtcSlice	proof = ftc_slice(reader.at, reader.left);
	FtcManifest manifest;
	FtcReason	reason;

	if (reader.bad)
		return FTC_BAD_LENGTH;
	reason = ftc_manifest_decode(&manifest, encoded);
	if (reason == FTC_OK)
		reason = ftc_manifest_verify(&manifest, proof, &root, leaves);
	if (reason != FTC_OK)
		return reason;
	ftc_put_u32(again, (uint32_t) encoded.len);
	put_manifest(&manifest, again);
	ftc_put_u32(again, leaves);
	ftc_put_hash(again, &root);
	ftc_put_slice(again, proof);
	root.b[0] ^= 1;
	require(ftc_manifest_verify(&manifest, proof, &root, leaves) == FTC_BAD_PROOF);
	root.b[0] ^= 1;
	require(ftc_manifest_verify(&manifest, proof, &root, leaves + 1) == FTC_BAD_BODY);
	return FTC_OK;
}

/* Is this the entry that the heads say comes here? */
static void
check_entry(const FtcEntry *entry, const FtcBundle *bundle)
{
	bool		inside = false;

	require(ftc_entry_check(entry) == FTC_OK);
	require(ftc_hash_equal(&entry->origin, &bundle->origin));
	require(entry->incarnation == bundle->incarnation);
	for (uint32_t i = 0; i < bundle->nranges; i++)
	{
		FtcRange	range = ftc_bundle_range(bundle, i);

		inside |= entry->seq >= range.first && entry->seq <= range.last;
	}
	require(inside);
}

static FtcReason
entries_decode(FtcBodyReader *reader, FtcWriter *again, FtcFrontier *tree)
{
	FtcBundle	before = {0};
	uint64_t	seq = 0;

	while (ftc_body_more(reader))
	{
		FtcBundle	bundle = reader->bundle;
		FtcEntry	entry;
		FtcHash		leaf;
		FtcReason	reason = ftc_body_next(reader, &entry);

		if (reason != FTC_OK)
			return reason;
		check_entry(&entry, &bundle);
		require(seq < entry.seq || ftc_bundle_compare(&before, &bundle) < 0);
		require(ftc_body_put_entry(again, &entry) == ftc_body_entry_len(&entry));
		leaf = ftc_entry_leaf_hash(&entry);
		ftc_frontier_add(tree, &leaf);
		before = bundle;
		seq = entry.seq;
	}
	return ftc_reader_is_done(&reader->entries) ? FTC_OK : FTC_BAD_LENGTH;
}

static FtcReason
hashes_decode(const FtcBodyReader *reader, FtcWriter *again, FtcFrontier *tree)
{
	FtcReader	at = reader->entries;

	for (uint32_t i = 0; i < reader->manifest.entries && !at.bad; i++)
	{
		FtcHash		leaf = ftc_get_hash(&at);

		ftc_put_hash(again, &leaf);
		ftc_frontier_add(tree, &leaf);
	}
	return ftc_reader_is_done(&at) ? FTC_OK : FTC_BAD_LENGTH;
}

/*
 * A body is well formed; whether it is checked against its own root depends on
 * its bundles' roots alone.
 */
static FtcReason
body_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcBodyReader reader;
	FtcFrontier tree;
	FtcHash		root;
	uint32_t	leaves;
	FtcReason	reason = ftc_body_open(&reader, bytes);

	if (reason != FTC_OK)
	{
		require(ftc_body_check(bytes, &ftc_hash_zero, 0, NULL) == reason);
		return reason;
	}
	ftc_body_begin(again, reader.form, reader.manifest.bytes);
	ftc_frontier_init(&tree);
	ftc_manifest_leaves(&reader.manifest, &tree);
	leaves = reader.manifest.ncontrols + reader.manifest.nbundles + reader.manifest.entries;
	reason = reader.form == FTC_BODY_FULL ? entries_decode(&reader, again, &tree)
		: hashes_decode(&reader, again, &tree);
	root = ftc_frontier_root(&tree);
	require(ftc_body_check(bytes, &root, leaves + 1, NULL) == FTC_BAD_BODY);
	if (reason != FTC_OK)
		require(ftc_body_check(bytes, &root, leaves, NULL) != FTC_OK);
	else if (ftc_body_check(bytes, &root, leaves, NULL) == FTC_OK)
		require(ftc_body_check(bytes, &ftc_hash_zero, leaves, NULL) == FTC_BAD_ROOT);
	else
		require(ftc_body_check(bytes, &root, leaves, NULL) == FTC_BAD_ROOT);
	return reason;
}

static FtcReason
block_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcBlock	block;
	FtcReason	reason = ftc_block_decode(&block, bytes);

	if (reason != FTC_OK)
		return reason;
	require(block.header.len == FTC_HEADER_LEN);
	again->len += ftc_block_encode(&block, again->buf, again->size);
	return FTC_OK;
}

static void
check_state(const FtcState *state)
{
	FtcFrontier tree;

	ftc_frontier_init(&tree);
	for (uint32_t i = 0; i < state->nmembers + 2; i++)
	{
		FtcHash		leaf = ftc_state_leaf_hash(state, i);

		ftc_frontier_add(&tree, &leaf);
	}
	require(same_hash(ftc_frontier_root(&tree), ftc_state_root(state)));
	for (uint32_t i = 0; i < state->nmembers; i++)
		require(ftc_state_find(state, &state->members[i].id) == &state->members[i]);
}

static FtcReason
state_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcState	state = {0};
	FtcReason	reason;

	state.capacity = ftc_state_capacity(bytes);
	state.members = malloc(state.capacity * sizeof(*state.members));
	require(state.members != NULL);
	reason = ftc_state_decode(&state, bytes);
	require(reason != FTC_TOO_MANY || state.nmembers == FTC_MEMBERS_MAX);
	if (reason == FTC_OK)
	{
		again->len += ftc_state_encode(&state, again->buf, again->size);
		check_state(&state);
	}
	free(state.members);
	return reason;
}

/*
 * The digest is looked at last: with the right one in its place, all else must
 * be right.  (No fuzzer finds it by chance.)
 */
static void
check_repaired(FtcSlice bytes, const FtcMessage *message)
{
	FtcHash		digest = ftc_message_digest(message->kind, message->reference);
	uint8_t    *copy = malloc(bytes.len);
	uint8_t    *again = malloc(bytes.len);
	FtcMessage	repaired;

	require(copy != NULL && again != NULL);
	memcpy(copy, bytes.data, bytes.len);
	memcpy(copy + FTC_MESSAGE_FIXED - FTC_HASH_LEN, digest.b, FTC_HASH_LEN);
	require(ftc_message_decode(&repaired, ftc_slice(copy, bytes.len)) == FTC_OK);
	require(ftc_message_encode(&repaired, again, bytes.len) == bytes.len);
	require(memcmp(copy, again, bytes.len) == 0);
	free(copy);
	free(again);
}

static FtcReason
message_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcMessage	message;
	FtcReason	reason = ftc_message_decode(&message, bytes);

	if (reason == FTC_WRONG_DIGEST)
		check_repaired(bytes, &message);
	if (reason != FTC_OK)
		return reason;
	again->len += ftc_message_encode(&message, again->buf, again->size);
	require(same_hash(ftc_message_digest(message.kind, message.reference), message.digest));
	return FTC_OK;
}

static FtcReason
topic_decode(FtcSlice bytes, FtcWriter *again)
{
	uint8_t		written[FTC_TOPIC_REFERENCE_MAX];
	FtcTopicReference reference;
	FtcReason	reason = ftc_topic_reference_decode(&reference, bytes);

	if (reason != FTC_OK)
		return reason;
	ftc_put_bytes(again, written, ftc_topic_reference_encode(&reference, written));
	return FTC_OK;
}

static FtcReason
sacks_decode(FtcSlice bytes, FtcWriter *again)
{
	uint8_t		written[FTC_SACKS_BYTES];
	FtcAck		ack = {.end.next = 1};
	FtcReason	reason = ftc_sacks_decode(&ack, bytes);

	if (reason != FTC_OK)
		return reason;
	require(ack.n >= 0 && ack.n <= FTC_SACKS_MAX);
	for (int i = 0; i < ack.n; i++)
	{
		require(ack.sacks[i].first >= 1 && ack.sacks[i].first <= ack.sacks[i].last);
		require(i == 0 || ack.sacks[i - 1].last + 1 < ack.sacks[i].first);
	}
	ftc_put_bytes(again, written, ftc_sacks_encode(&ack, written, sizeof(written)));
	return FTC_OK;
}

/* What an answer about a node of level 1 has that we have nothing of. */
static void
add_difference(void *arg, uint64_t height, const FtcHash *mine, const FtcHash *theirs)
{
	require(mine == NULL && theirs != NULL && height < 256);
	ftc_ranges_add(arg, height, theirs);
}

/* The same bytes may also answer for a node of any level above, against themselves or nothing. */
static void
take_above(FtcSlice bytes)
{
	static FtcRangeNode nodes[FTC_RANGES_STACK];

	for (int level = 2; level <= FTC_RANGES_LEVELS; level++)
	{
		FtcRangeSearch search = {nodes, 0};
		FtcRangeNode node = {level, 0};

		if (ftc_ranges_take(&search, &node, ftc_slice(NULL, 0), bytes, NULL, NULL) != FTC_OK)
			continue;
		require(search.n <= 256 && search.n == bytes.len / (1 + FTC_RANGES_MARK));
		search.n = 0;
		require(ftc_ranges_take(&search, &node, bytes, bytes, NULL, NULL) == FTC_OK && search.n == 0);
	}
}

static FtcReason
ranges_decode(FtcSlice bytes, FtcWriter *again)
{
	uint8_t		encoded[FTC_RANGES_ANSWER_MAX];
	FtcRangeNode node = {1, 0};
	FtcRangeSearch search = {NULL, 0};
	FtcRanges	ranges;
	FtcSlice	answer;
	FtcReason	reason;

	take_above(bytes);
	ftc_ranges_begin(&ranges, &node, encoded);
	reason = ftc_ranges_take(&search, &node, ftc_slice(NULL, 0), bytes, add_difference, &ranges);
	if (reason != FTC_OK)
		return reason;
	answer = ftc_ranges_end(&ranges);
	ftc_put_bytes(again, answer.data, answer.len);
	return FTC_OK;
}

/* Answers, as whoever fetches a body in chunks gets and keeps them. */
static FtcReason
chunks_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcReader	reader = ftc_reader(bytes);
	int64_t		total = (int64_t) ftc_get_u64(&reader);
	FtcChunk	have[CHUNKS_MAX];
	FtcChunk	asked;
	int			n = 0;
	uint64_t	held = 0;

	ftc_put_u64(again, (uint64_t) total);
	while (reader.left > 0 && n < CHUNKS_MAX)
	{
		uint32_t	most = ftc_get_u32(&reader);
		uint64_t	len = ftc_get_u64(&reader);
		FtcReason	reason;

		if (!ftc_chunk_gap(have, n, total > 0 ? (uint64_t) total : 0, most, &asked))
			return FTC_BAD_LENGTH;
		require(asked.size > 0 && asked.size <= most && !ftc_chunk_overlaps(have, n, &asked));
		reason = ftc_chunk_check(&asked, total, FTC_BODY_MAX, len);
		if (reason != FTC_OK)
			return reason;
		require(len == asked.size);
		have[n++] = asked;
		held += len;
		ftc_put_u32(again, most);
		ftc_put_u64(again, len);
	}
	if (!ftc_reader_is_done(&reader) || n == 0)
		return FTC_BAD_LENGTH;
	require(held <= (uint64_t) total);
	require(ftc_chunk_gap(have, n, (uint64_t) total, 1, &asked) == (held < (uint64_t) total));
	return FTC_OK;
}

static FtcReason
frontier_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcFrontier frontier;
	uint8_t		encoded[FTC_FRONTIER_BYTES_MAX];
	FtcReason	reason = ftc_frontier_decode(&frontier, bytes);
	uint64_t	size;

	if (reason != FTC_OK)
		return reason;
	ftc_put_bytes(again, encoded, ftc_frontier_encode(&frontier, encoded));
	size = frontier.size;
	(void) ftc_frontier_root(&frontier);
	ftc_frontier_add(&frontier, &ftc_hash_zero);
	require(frontier.size == size + 1);
	(void) ftc_frontier_root(&frontier);
	return FTC_OK;
}

/* What a tip says is used: it must not lead out of any bounds. */
static FtcReason
tip_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcHeader	header = {0};
	FtcParams	params = {0};
	FtcTip		tip;
	FtcTip		child;
	uint8_t		encoded[FTC_TIP_BYTES_MAX];
	FtcReason	reason;
	uint32_t	bits;

	header.consensus = params.consensus = FTC_CONSENSUS_POW;
	header.bits = params.limit_bits = FTC_POW_BITS_DEFAULT;
	header.height = 7;
	header.time = UINT64_C(1700000000000000);
	params.spacing = 600000000;
	params.half_life = UINT64_C(172800000000);
	reason = ftc_tip_decode(&tip, &header, bytes);
	if (reason != FTC_OK)
		return reason;
	ftc_put_bytes(again, encoded, ftc_tip_encode(&tip, encoded));
	require(tip.height == header.height && tip.time == header.time);
	require(same_hash(tip.id, ftc_header_id(&header)));
	bits = ftc_rules_next_bits(&tip, &params);
	require(ftc_pow_check_bits(bits) == FTC_OK);
	header.height = 8;
	header.time += params.half_life + 1;
	ftc_rules_next_tip(&child, &tip, &header, &params);
	require(ftc_u256_compare(&child.work, &tip.work) >= 0);
	return FTC_OK;
}

static FtcReason
genesis_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcReader	reader = ftc_reader(bytes);
	FtcSlice	head = ftc_get_slice(&reader, FTC_HEADER_LEN);
	FtcSignature signature;
	FtcHeader	header;
	FtcManifest manifest;
	FtcMember	members[8];
	FtcState	state = {.members = members,.capacity = 8};
	FtcReason	reason;

	ftc_get_bytes(&reader, signature.b, FTC_SIGNATURE_LEN);
	if (reader.bad)
		return FTC_BAD_LENGTH;
	reason = header_decode(head, again);
	if (reason == FTC_OK)
		reason = ftc_manifest_decode(&manifest, ftc_slice(reader.at, reader.left));
	if (reason != FTC_OK)
		return reason;
	ftc_put_bytes(again, signature.b, FTC_SIGNATURE_LEN);
	put_manifest(&manifest, again);
	(void) ftc_header_decode(&header, head);
	reason = ftc_rules_genesis(&header, &signature, &manifest, &state);
	if (reason == FTC_OK)
		require(same_hash(ftc_state_root(&state), header.state));
	return reason;
}

/* The base of a beginning is bytes in bytes. */
static FtcReason
base_decode(FtcSlice bytes)
{
	FtcFileBase base;
	FtcReason	reason = ftc_file_base_decode(&base, bytes);
	uint8_t    *again;

	if (reason != FTC_OK)
		return reason;
	again = malloc(bytes.len);
	require(again != NULL && ftc_file_base_encode(&base, again, bytes.len) == bytes.len);
	require(memcmp(again, bytes.data, bytes.len) == 0);
	free(again);
	return FTC_OK;
}

static FtcReason
content_decode(uint8_t kind, FtcSlice content, FtcWriter *again)
{
	FtcFileBegin begin;
	FtcFileBlock block;
	FtcFileEnd	end;
	FtcReason	reason;
	size_t		size;
	uint8_t    *out = room(again, &size);

	switch (kind)
	{
		case FTC_FILE_BEGIN:
			reason = ftc_file_begin_decode(&begin, content);
			if (reason == FTC_OK)
				again->len += ftc_file_begin_encode(&begin, out, size);
			if (reason == FTC_OK && begin.base.len > 0)
				reason = base_decode(begin.base);
			return reason;
		case FTC_FILE_BLOCK:
			reason = ftc_file_block_decode(&block, content);
			if (reason == FTC_OK)
				again->len += ftc_file_block_encode(&block, out, size);
			return reason;
		default:
			reason = ftc_file_end_decode(&end, content);
			if (reason == FTC_OK)
				again->len += ftc_file_end_encode(&end, out, size);
			return reason;
	}
}

static FtcReason
piece_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcFrame	frame;
	FtcSlice	content;
	FtcReason	reason = ftc_file_piece_decode(&frame, &content, bytes);

	return reason != FTC_OK ? reason : content_decode(frame.kind, content, again);
}

static void
count_fault(void *arg, const FtcAuditFault *fault)
{
	uint64_t   *n = arg;

	require(fault->what != NULL);
	(*n)++;
}

/*
 * The whole verifier.  What it finds nothing wrong with must be made of records
 * that are the same when they are written again.
 */
static FtcReason
file_decode(FtcSlice bytes, FtcWriter *again)
{
	uint64_t	faults = 0;
	FtcAudit   *audit = ftc_audit_new(NULL, count_fault, &faults);
	FILE	   *in = fmemopen((void *) bytes.data, bytes.len > 0 ? bytes.len : 1, "rb");
	FtcSource	source;
	FtcSourceResult result;
	uint8_t		kind;
	FtcSlice	content;

	require(in != NULL);
	ftc_source_open(&source, in);
	while ((result = ftc_source_next(&source, &kind, &content)) == FTC_SOURCE_RECORD)
	{
		ftc_audit_record(audit, kind, content);
		if (content_decode(kind, content, again) != FTC_OK)
			require(faults > 0);
	}
	if (result == FTC_SOURCE_BROKEN)
		ftc_audit_broken(audit, source.why);
	ftc_audit_end(audit);
	require(ftc_audit_counts(audit)->faults == faults);
	/* without what COPY puts between them they are other bytes */
	if (source.is_copy && faults == 0)
	{
		again->len = 0;
		ftc_put_slice(again, bytes);
	}
	ftc_source_close(&source);
	fclose(in);
	ftc_audit_free(audit);
	return faults == 0 ? FTC_OK : FTC_BAD_BODY;
}

static FtcReason
shards_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcShardsHead head;
	uint8_t		written[FTC_SHARDS_HEAD_LEN];
	FtcReason	reason = ftc_shards_head_decode(&head, bytes);

	if (reason != FTC_OK)
		return reason;
	require(ftc_cut_check(&head.cut) == FTC_OK);
	require(ftc_shard_len(&head.cut) * head.cut.data >= head.cut.len);
	ftc_shards_head_encode(&head, written);
	ftc_put_bytes(again, written, sizeof(written));
	return FTC_OK;
}

static FtcReason
word_decode(FtcSlice bytes, FtcWriter *again)
{
	FtcWord		word;
	uint8_t		written[FTC_WORD_MAX];
	FtcReason	reason = ftc_word_decode(&word, bytes);
	FtcSlice	encoded;

	if (reason != FTC_OK)
		return reason;
	require(word.number > 0 && word.shard < FTC_SHARDS_MAX);
	require(word.shard < 0 ? word.head.len == 0 : word.head.len == FTC_SHARDS_HEAD_LEN);
	encoded = ftc_word_encode(&word, written);
	ftc_put_bytes(again, encoded.data, encoded.len);
	return FTC_OK;
}

const TestCodec codec_header = {"header", header_decode};
const TestCodec codec_entry = {"entry", entry_decode};
const TestCodec codec_bundle = {"bundle", bundle_decode};
const TestCodec codec_control = {"control", control_decode};
const TestCodec codec_params = {"params", params_decode};
const TestCodec codec_member = {"member", member_decode};
const TestCodec codec_manifest = {"manifest", manifest_decode};
const TestCodec codec_proof = {"proof", proof_decode};
const TestCodec codec_body = {"body", body_decode};
const TestCodec codec_block = {"block", block_decode};
const TestCodec codec_state = {"state", state_decode};
const TestCodec codec_message = {"message", message_decode};
const TestCodec codec_topic = {"topic", topic_decode};
const TestCodec codec_chunks = {"chunks", chunks_decode};
const TestCodec codec_sacks = {"sacks", sacks_decode};
const TestCodec codec_ranges = {"ranges", ranges_decode};
const TestCodec codec_shards = {"shards", shards_decode};
const TestCodec codec_word = {"word", word_decode};
const TestCodec codec_frontier = {"frontier", frontier_decode};
const TestCodec codec_tip = {"tip", tip_decode};
const TestCodec codec_genesis = {"genesis", genesis_decode};
const TestCodec codec_piece = {"piece", piece_decode};
const TestCodec codec_file = {"file", file_decode};

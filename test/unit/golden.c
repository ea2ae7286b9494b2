/*-------------------------------------------------------------------------
 *
 * golden.c
 *	  Samples of every format.
 *
 *-------------------------------------------------------------------------
 */
#include "golden.h"

#include <stdlib.h>

#include "build.h"
#include "file_build.h"
#include "link.h"
#include "ranges.h"
#include "sha256.h"
#include "shards.h"
#include "word.h"
#include "topic.h"
#include "test_util.h"

#define RING_MEMBERS 7
#define RING_ZONES 3
#define RING_KEYS 64
#define RING_OWNERS 4			/* one more than there are zones */

typedef struct Golden
{
	GoldenTake	take;
	void	   *arg;
	TestChain  *chain;
	TestBody   *body;
	TestBlock	block;
} Golden;

static void
give(const Golden *golden, const char *name, const TestCodec *codec, FtcSlice bytes)
{
	golden->take(golden->arg, name, codec, bytes);
}

static void
give_hash(const Golden *golden, const char *name, FtcHash hash)
{
	give(golden, name, NULL, of_hash(&hash));
}

static FtcSlice
header_bytes(const FtcHeader *header)
{
	uint8_t    *bytes = keep(FTC_HEADER_LEN);

	ftc_header_encode(header, bytes);
	return ftc_slice(bytes, FTC_HEADER_LEN);
}

static void
give_headers(const Golden *golden)
{
	FtcHeader	voted = golden->block.header;

	give(golden, "header_genesis", &codec_header, header_bytes(&golden->chain->genesis.header));
	give_hash(golden, "header_genesis_id", golden->chain->id);
	give(golden, "header", &codec_header, header_bytes(&golden->block.header));
	give_hash(golden, "header_id", ftc_header_id(&golden->block.header));
	give(golden, "header_signature", NULL, ftc_slice(golden->block.signature.b, FTC_SIGNATURE_LEN));
	voted.consensus = FTC_CONSENSUS_DPOS;
	voted.bits = 0;
	voted.nonce = 0;
	voted.justify = hash_of("justify", 0);
	voted.round = 12;
	give(golden, "header_voted", &codec_header, header_bytes(&voted));
}

static void
give_leaves(const Golden *golden)
{
	TestBundle *bundle = &golden->body->bundles[0];
	FtcEntry   *entry = &bundle->entries[0];
	uint8_t		leaf[FTC_ENTRY_LEAF_MAX];
	FtcSlice	bytes = ftc_slice(leaf, ftc_entry_leaf_encode(entry, leaf));

	give(golden, "entry_leaf", &codec_entry, bytes);
	give_hash(golden, "entry_leaf_hash", ftc_entry_leaf_hash(entry));
	give_hash(golden, "entry_payload_hash", ftc_payload_hash(entry->salt, entry->payload));
	give(golden, "bundle_leaf", &codec_bundle, bundle->signed_leaf.leaf);
	give_hash(golden, "bundle_digest", ftc_bundle_digest(bundle->signed_leaf.leaf));
	give(golden, "bundle_signature", NULL,
		 ftc_slice(bundle->signed_leaf.signature.b, FTC_SIGNATURE_LEN));
}

static void
give_control(const Golden *golden, const char *name, FtcControl *control, int nsigners)
{
	give(golden, name, &codec_control,
		 control_leaf(control, golden->chain->people, nsigners, &golden->chain->id));
}

static void
give_controls(const Golden *golden)
{
	TestPerson *people = golden->chain->people;
	const FtcHash *chain = &golden->chain->id;
	FtcControl	params = control_params(&golden->chain->params);
	FtcControl	add = control_add(&people[7], FTC_MEMBER_FULL, "south", chain);
	FtcControl	removal = control_about(FTC_CONTROL_REMOVE_MEMBER, &people[2], 1);
	FtcControl	set = control_about(FTC_CONTROL_SET_MEMBER, &people[2], 2);
	FtcControl	rekey = control_rekey(&people[2], &people[8], chain);
	FtcControl	erase = control_about(FTC_CONTROL_ERASE, &people[2], 3);
	FtcControl	prune = control_of(FTC_CONTROL_PRUNE, 4);

	set.weight = 3;
	set.flags = FTC_MEMBER_GOVERNOR;
	set.zone = text ("w\xc3\xa4st");

	erase.to = 17;
	prune.from = 1;
	prune.to = 1000;
	prune.not_after = 2000;
	give_control(golden, "control_params", &params, 2);
	give_control(golden, "control_add_member", &add, 2);
	give_control(golden, "control_remove_member", &removal, 3);
	give_control(golden, "control_set_member", &set, 2);
	give_control(golden, "control_rekey", &rekey, 1);
	give_control(golden, "control_erase", &erase, 1);
	give_control(golden, "control_prune", &prune, 0);
	give_hash(golden, "control_prune_digest", ftc_control_digest(prune.core));
}

/* As the codec of proofs has it. */
static FtcSlice
proof_bytes(const TestBody *body)
{
	size_t		len = 4 + body->manifest.len + 4 + 32 + body->proof.len;
	FtcWriter	writer = ftc_writer(keep(len), len);

	ftc_put_blob(&writer, body->manifest);
	ftc_put_u32(&writer, body->nleaves);
	ftc_put_hash(&writer, &body->root);
	ftc_put_slice(&writer, body->proof);
	return ftc_slice(writer.buf, len);
}

static FtcSlice
block_bytes(const TestBlock *block)
{
	FtcBlock	out;
	size_t		len;
	uint8_t    *bytes;

	out.header = header_bytes(&block->header);
	out.signature = block->signature;
	out.manifest = block->body->manifest;
	out.proof = block->body->proof;
	out.body = block->body->full;
	len = ftc_block_encode(&out, NULL, 0);
	bytes = keep(len);
	ftc_block_encode(&out, bytes, len);
	return ftc_slice(bytes, len);
}

/* As the codec of genesis blocks has it. */
static FtcSlice
genesis_bytes(const TestBlock *block)
{
	size_t		len = FTC_HEADER_LEN + FTC_SIGNATURE_LEN + block->body->manifest.len;
	FtcWriter	writer = ftc_writer(keep(len), len);

	ftc_put_slice(&writer, header_bytes(&block->header));
	ftc_put_bytes(&writer, block->signature.b, FTC_SIGNATURE_LEN);
	ftc_put_slice(&writer, block->body->manifest);
	return ftc_slice(writer.buf, len);
}

static void
give_bodies(const Golden *golden)
{
	TestBody   *empty = body_new();

	body_finish(empty);
	give(golden, "manifest", &codec_manifest, golden->body->manifest);
	give(golden, "manifest_empty", &codec_manifest, empty->manifest);
	give(golden, "manifest_proof", NULL, golden->body->proof);
	give(golden, "manifest_proof_empty", NULL, empty->proof);
	give(golden, "proof", &codec_proof, proof_bytes(golden->body));
	give(golden, "proof_empty", &codec_proof, proof_bytes(empty));
	give(golden, "body_full", &codec_body, golden->body->full);
	give(golden, "body_skeleton", &codec_body, golden->body->skeleton);
	give(golden, "body_empty", &codec_body, empty->full);
	give_hash(golden, "body_root", golden->body->root);
	give(golden, "block", &codec_block, block_bytes(&golden->block));
	give(golden, "genesis", &codec_genesis, genesis_bytes(&golden->chain->genesis));
}

static void
give_state(const Golden *golden)
{
	FtcState   *state = &golden->chain->state;
	size_t		len = ftc_state_encode(state, NULL, 0);
	uint8_t    *bytes = keep(len);
	uint8_t		member[FTC_MEMBER_LEAF_MAX];
	uint8_t		params[256];
	uint8_t		tip[FTC_TIP_BYTES_MAX];
	uint8_t		frontier[FTC_FRONTIER_BYTES_MAX];

	ftc_state_encode(state, bytes, len);
	give(golden, "state", &codec_state, ftc_slice(bytes, len));
	give_hash(golden, "state_root", ftc_state_root(state));
	give(golden, "state_member_leaf", &codec_member,
		 ftc_slice(member, ftc_member_leaf_encode(&state->members[0], member)));
	give(golden, "state_params", &codec_params,
		 ftc_slice(params, ftc_params_encode(&state->params, params, sizeof(params))));
	give(golden, "tip", &codec_tip, ftc_slice(tip, ftc_tip_encode(&golden->chain->tip, tip)));
	give(golden, "frontier", &codec_frontier,
		 ftc_slice(frontier, ftc_frontier_encode(&golden->chain->tip.history, frontier)));
	give_hash(golden, "frontier_root", ftc_frontier_root(&golden->chain->tip.history));
	give_hash(golden, "member_id", golden->chain->people[0].id);
}

static FtcMessage
give_message(const Golden *golden, const char *name, FtcMessageKind kind, uint64_t seq,
			 FtcSlice reference, FtcSlice attachment)
{
	FtcMessage	message = {0};
	size_t		len;
	uint8_t    *bytes;

	message.kind = (uint8_t) kind;
	message.epoch = 1;
	message.seq = seq;
	message.id = ftc_message_id(message.kind, reference);
	message.digest = ftc_message_digest(message.kind, reference);
	message.reference = reference;
	message.attachment = attachment;
	len = ftc_message_encode(&message, NULL, 0);
	bytes = keep(len);
	ftc_message_encode(&message, bytes, len);
	give(golden, name, &codec_message, ftc_slice(bytes, len));
	return message;
}

/* All is gone; and a shard is kept beside the whole body. */
static void
give_words(const Golden *golden, const FtcHash *block, FtcSlice head)
{
	FtcWord		word = {.block = *block,.member = *block,.number = 1700000012000001,.shard = -1,.other = -1};
	uint8_t		bytes[FTC_WORD_MAX];

	give(golden, "word_gone", &codec_word, ftc_word_encode(&word, bytes));
	word.number++;
	word.whole = true;
	word.shard = 5;
	word.head = head;
	give(golden, "word_kept", &codec_word, ftc_word_encode(&word, bytes));
}

static void
give_shards(const Golden *golden, const FtcHash *block)
{
	FtcShardsHead head = {.cut = {.data = 4,.parity = 2,.len = golden->body->full.len},.block = *block};
	uint8_t    *parity = keep(ftc_parity_len(&head.cut));
	FtcSlice	shards[6];
	FtcHash		digests[6];
	uint8_t		bytes[FTC_SHARDS_HEAD_LEN];

	ftc_shards_encode(&head.cut, golden->body->full.data, parity, keep(ftc_shards_scratch(&head.cut)), shards);
	for (int i = 0; i < 6; i++)
		digests[i] = ftc_shard_digest(shards[i]);
	head.root = ftc_shards_root(&head.cut, digests);
	ftc_shards_head_encode(&head, bytes);
	give(golden, "shards", &codec_shards, ftc_slice(bytes, sizeof(bytes)));
	give_hash(golden, "shard_last", digests[5]);
	give_words(golden, block, ftc_slice(bytes, sizeof(bytes)));
}

static void
give_sacks(const Golden *golden)
{
	uint8_t		bytes[FTC_SACKS_BYTES];
	FtcAck		ack = {.end.next = 7,.n = 2,.sacks = {{9, 12}, {0x0102, 0x0304}}};

	give(golden, "sacks", &codec_sacks, ftc_slice(bytes, ftc_sacks_encode(&ack, bytes, sizeof(bytes))));
}

static void
give_ranges(const Golden *golden)
{
	uint8_t		bytes[FTC_RANGES_ANSWER_MAX];
	FtcRangeNode node = {1, 0};
	FtcRanges	ranges;
	FtcHash		id = ftc_sha256(text ("stored"));

	ftc_ranges_begin(&ranges, &node, bytes);
	ftc_ranges_add(&ranges, 1, &id);
	ftc_ranges_add(&ranges, 2, &id);
	ftc_ranges_add(&ranges, 255, &id);
	give(golden, "ranges", &codec_ranges, ftc_ranges_end(&ranges));
}

static void
give_topic(const Golden *golden)
{
	FtcTopicReference reference = {0};
	FtcMessage	message = {0};
	uint8_t		bytes[FTC_TOPIC_REFERENCE_MAX];
	uint8_t    *encoded;
	size_t		len;

	reference.incarnation = 1;
	reference.seq = 7;
	reference.sent = UINT64_C(1700000000000007);
	reference.topic = text ("orders");

	message.attachment = text ("{\"order\": 7}");

	reference.hash = ftc_sha256(message.attachment);
	message.reference = ftc_slice(bytes, ftc_topic_reference_encode(&reference, bytes));
	give(golden, "topic", &codec_topic, message.reference);
	message.kind = FTC_MESSAGE_TOPIC;
	message.stream = 1;
	message.epoch = message.seq = 1;
	message.id = ftc_message_id(message.kind, message.reference);
	message.digest = ftc_message_digest(message.kind, message.reference);
	len = ftc_message_encode(&message, NULL, 0);
	encoded = keep(len);
	ftc_message_encode(&message, encoded, len);
	give(golden, "message_topic", &codec_message, ftc_slice(encoded, len));
}

static void
give_link(const Golden *golden)
{
	TestPerson *people = golden->chain->people;
	FtcSignedLeaf *bundle = &golden->body->bundles[0].signed_leaf;
	FtcHash		id = ftc_header_id(&golden->block.header);
	FtcHash		digest = ftc_bundle_digest(bundle->leaf);
	FtcHash		value = ftc_link_start(&golden->chain->id, &people[0].id, &people[1].id,
									   FTC_STREAM_LEDGER, 1);
	FtcMessage	message;
	uint8_t		stored[2 * FTC_HASH_LEN];

	give_topic(golden);
	give_sacks(golden);
	give_ranges(golden);
	give_shards(golden, &id);
	give_hash(golden, "link_start", value);
	message = give_message(golden, "message_block", FTC_MESSAGE_BLOCK, 1, of_hash(&id),
						   block_bytes(&golden->block));
	value = ftc_link_advance(&value, &message.id, &message.digest);
	give_hash(golden, "link_advance_1", value);
	memcpy(stored, id.b, FTC_HASH_LEN);
	memcpy(stored + FTC_HASH_LEN, people[0].id.b, FTC_HASH_LEN);
	message = give_message(golden, "message_stored", FTC_MESSAGE_STORED, 2,
						   ftc_slice(stored, sizeof(stored)),
						   ftc_slice(golden->block.signature.b, FTC_SIGNATURE_LEN));
	value = ftc_link_advance(&value, &message.id, &message.digest);
	give_hash(golden, "link_advance_2", value);
	message = give_message(golden, "message_bundle", FTC_MESSAGE_BUNDLE, 3, of_hash(&digest),
						   golden->body->full);
	value = ftc_link_advance(&value, &message.id, &message.digest);
	give_hash(golden, "link_advance_3", value);
}

static int
compare_members(const void *a, const void *b)
{
	return ftc_hash_compare(&((const FtcRingMember *) a)->id, &((const FtcRingMember *) b)->id);
}

/* The owners of each key, as one byte each: their place in ascending order. */
static void
give_ring(const Golden *golden)
{
	FtcRingMember members[RING_MEMBERS];
	uint8_t		owners[RING_KEYS][RING_OWNERS];
	FtcRing    *ring;

	for (uint32_t i = 0; i < RING_MEMBERS; i++)
	{
		members[i].id = golden->chain->people[i].id;
		members[i].weight = 1 + i % 2;
		members[i].zone = i % RING_ZONES;
	}
	qsort(members, RING_MEMBERS, sizeof(members[0]), compare_members);
	ring = ring_of(members, RING_MEMBERS);
	for (uint32_t i = 0; i < RING_KEYS; i++)
	{
		FtcHash		id = hash_of("key", i);
		uint32_t	found[RING_OWNERS];

		assert_int_equal(ftc_ring_owners(ring, ftc_ring_key(&id), RING_OWNERS, found), RING_OWNERS);
		for (int j = 0; j < RING_OWNERS; j++)
			owners[i][j] = (uint8_t) found[j];
	}
	give(golden, "ring_owners", NULL, ftc_slice(owners, sizeof(owners)));
}

static void
give_files(const Golden *golden)
{
	TestFile   *whole = file_whole();
	TestFile   *part = file_part();

	give(golden, "file_begin", &codec_piece, whole->pieces[0]);
	give(golden, "file_begin_part", &codec_piece, part->pieces[0]);
	give(golden, "file_block", &codec_piece, whole->pieces[2]);
	give(golden, "file_block_absent", &codec_piece, whole->pieces[6]);
	give(golden, "file_end", &codec_piece, whole->pieces[7]);
	give(golden, "file", &codec_file, file_all(whole));
}

void
golden_each(GoldenTake take, void *arg)
{
	Golden		golden = {.take = take,.arg = arg};
	FtcParams	params = easy_params();

	golden.chain = chain_found(&params, 5, 3);
	golden.body = body_sample(&golden.chain->id);
	golden.block = chain_block(golden.chain, golden.body, 1, TEST_TIME + 12 * SECOND);
	chain_extend(golden.chain, &golden.block);
	give_headers(&golden);
	give_leaves(&golden);
	give_controls(&golden);
	give_bodies(&golden);
	give_state(&golden);
	give_link(&golden);
	give_ring(&golden);
	give_files(&golden);
	golden_votes_each(take, arg);
}

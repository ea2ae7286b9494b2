/*-------------------------------------------------------------------------
 *
 * build.c
 *	  Valid things to start from.
 *
 *-------------------------------------------------------------------------
 */
#include "build.h"

#include "merkle.h"
#include "search.h"
#include "sha256.h"
#include "test_util.h"

TestPerson
person(uint64_t n)
{
	TestPerson	made;
	FtcHash		seed = hash_of("person", n);

	memcpy(made.seed.b, seed.b, FTC_KEY_LEN);
	assert_true(ftc_key_derive(&made.seed, &made.key));
	made.id = ftc_member_id(FTC_ALGORITHM_ED25519, &made.key);
	return made;
}

FtcSignature
signed_by(const TestPerson *person, FtcDomain domain, const FtcHash *chain,
		  const FtcHash *digest)
{
	FtcSignature signature;

	assert_true(ftc_sign(&person->seed, domain, chain, digest, &signature));
	return signature;
}

FtcParams
easy_params(void)
{
	FtcParams	params = {0};

	params.consensus = FTC_CONSENSUS_POW;
	params.spacing = 10 * SECOND;
	params.min_spacing = 1 * SECOND;
	params.half_life = 3600 * SECOND;
	params.future_bound = 60 * SECOND;
	params.limit_bits = EASY_BITS;
	params.max_leaves = 64;
	params.max_body = 1 << 20;
	params.max_payload = 1 << 16;
	params.reorg_limit = 100;
	params.epoch_blocks = 10;
	params.settle_blocks = 5;
	params.replicas = 3;
	params.stored_quorum = 2;
	params.governors = 2;
	params.durability = 2;
	params.name = text ("easy");

	return params;
}

FtcControl
control_of(FtcControlKind kind, uint64_t n)
{
	FtcControl	control = {0};
	FtcHash		nonce = hash_of("nonce", n);

	control.kind = (uint8_t) kind;
	memcpy(control.nonce, nonce.b, sizeof(control.nonce));
	control.not_after = INT64_MAX;
	return control;
}

FtcControl
control_params(const FtcParams *params)
{
	FtcControl	control = control_of(FTC_CONTROL_PARAMS, 0);

	control.params = *params;
	return control;
}

FtcControl
control_add(const TestPerson *newcomer, uint8_t flags, const char *zone, const FtcHash *chain)
{
	FtcControl	control = control_of(FTC_CONTROL_ADD_MEMBER, newcomer->id.b[0]);

	control.algorithm = FTC_ALGORITHM_ED25519;
	control.key = newcomer->key;
	control.weight = 1;
	control.flags = flags;
	control.zone = text (zone);
	control.name = text ("somebody");

	control.possession = signed_by(newcomer, FTC_DOMAIN_POSSESSION, chain, &newcomer->id);
	return control;
}

FtcControl
control_about(FtcControlKind kind, const TestPerson *whom, uint64_t n)
{
	FtcControl	control = control_of(kind, n);

	control.member = whom->id;
	control.from = 1;
	control.to = 1;
	return control;
}

FtcControl
control_rekey(const TestPerson *whom, const TestPerson *new_key, const FtcHash *chain)
{
	FtcControl	control = control_about(FTC_CONTROL_REKEY, whom, 0);

	control.algorithm = FTC_ALGORITHM_ED25519;
	control.key = new_key->key;
	control.possession = signed_by(new_key, FTC_DOMAIN_POSSESSION, chain, &new_key->id);
	return control;
}

static FtcSlice
control_core(FtcControl *control)
{
	size_t		len = ftc_control_core_encode(control, NULL, 0);
	uint8_t    *bytes = keep(len);

	ftc_control_core_encode(control, bytes, len);
	return ftc_slice(bytes, len);
}

/* Signers ascend by id, in whatever order they are given. */
static void
put_signers(FtcWriter *writer, const TestPerson *signers, int n, const FtcHash *chain,
			const FtcHash *digest)
{
	FtcHash		last = ftc_hash_zero;

	for (int i = 0; i < n; i++)
	{
		const TestPerson *next = NULL;
		FtcSignature signature;

		for (int j = 0; j < n; j++)
			if (ftc_hash_compare(&signers[j].id, &last) > 0 &&
				(next == NULL || ftc_hash_compare(&signers[j].id, &next->id) < 0))
				next = &signers[j];
		assert_non_null(next);
		signature = signed_by(next, FTC_DOMAIN_CONTROL, chain, digest);
		ftc_put_hash(writer, &next->id);
		ftc_put_bytes(writer, signature.b, FTC_SIGNATURE_LEN);
		last = next->id;
	}
}

FtcSlice
control_leaf(FtcControl *control, const TestPerson *signers, int n, const FtcHash *chain)
{
	size_t		size = (size_t) n * (FTC_HASH_LEN + FTC_SIGNATURE_LEN);
	FtcWriter	writer = ftc_writer(keep(size), size);
	FtcHash		digest;
	uint8_t    *bytes;
	size_t		len;

	control->core = control_core(control);
	digest = ftc_control_digest(control->core);
	put_signers(&writer, signers, n, chain, &digest);
	control->nsigners = (uint8_t) n;
	control->signers = ftc_slice(writer.buf, writer.len);
	len = ftc_control_leaf_encode(control, NULL, 0);
	bytes = keep(len);
	ftc_control_leaf_encode(control, bytes, len);
	return ftc_slice(bytes, len);
}

FtcEntry
entry_of(const TestPerson *origin, uint64_t seq)
{
	FtcEntry	entry = {0};
	FtcHash		salt = hash_of("salt", seq);
	char		payload[64];

	snprintf(payload, sizeof(payload), "{\"entry\": %llu}", (unsigned long long) seq);
	entry.origin = origin->id;
	entry.incarnation = 1;
	entry.seq = seq;
	entry.time = TEST_TIME + seq;
	entry.author = text ("author");
	entry.kind = text ("kind");

	entry.salt = keep_copy(ftc_slice(salt.b, FTC_SALT_LEN));
	entry.payload = keep_copy(text (payload));
	entry.payload_hash = ftc_payload_hash(entry.salt, entry.payload);
	return entry;
}

TestBody *
body_new(void)
{
	return keep(sizeof(TestBody));
}

void
body_add_control(TestBody *body, FtcSlice leaf)
{
	assert_true(body->ncontrols < TEST_BUNDLES_MAX);
	body->controls[body->ncontrols++] = leaf;
}

/* The ranges of the seqs of a bundle's entries, as few as can be. */
static void
set_ranges(TestBundle *bundle)
{
	uint8_t    *ranges = keep(16 * (size_t) bundle->head.count);
	FtcRange	range = {0, 0};
	uint32_t	n = 0;

	for (uint32_t i = 0; i < bundle->head.count; i++)
	{
		uint64_t	seq = bundle->entries[i].seq;

		if (i > 0 && seq == range.last + 1)
			range.last = seq;
		else
		{
			range.first = range.last = seq;
			n++;
		}
		ftc_range_encode(range, ranges + 16 * (size_t) (n - 1));
	}
	bundle->head.nranges = n;
	bundle->head.ranges = ftc_slice(ranges, 16 * (size_t) n);
}

static void
set_root(TestBundle *bundle)
{
	FtcHash		leaves[TEST_ENTRIES_MAX];

	for (uint32_t i = 0; i < bundle->head.count; i++)
		leaves[i] = ftc_entry_leaf_hash(&bundle->entries[i]);
	bundle->head.root = ftc_merkle_root(leaves, bundle->head.count);
}

void
bundle_sign(TestBundle *bundle, const TestPerson *origin, const FtcHash *chain)
{
	size_t		len = ftc_bundle_leaf_encode(&bundle->head, NULL, 0);
	uint8_t    *leaf = keep(len);
	FtcHash		digest;

	ftc_bundle_leaf_encode(&bundle->head, leaf, len);
	bundle->signed_leaf.leaf = ftc_slice(leaf, len);
	digest = ftc_bundle_digest(bundle->signed_leaf.leaf);
	bundle->signed_leaf.signature = signed_by(origin, FTC_DOMAIN_BUNDLE, chain, &digest);
}

TestBundle *
body_add_bundle(TestBody *body, const TestPerson *origin, uint64_t number,
				const uint64_t *seqs, uint32_t n, const FtcHash *chain)
{
	TestBundle *bundle = &body->bundles[body->nbundles++];

	assert_true(body->nbundles <= TEST_BUNDLES_MAX && n <= TEST_ENTRIES_MAX);
	bundle->head.origin = origin->id;
	bundle->head.incarnation = 1;
	bundle->head.number = number;
	bundle->head.count = n;
	for (uint32_t i = 0; i < n; i++)
		bundle->entries[i] = entry_of(origin, seqs[i]);
	set_ranges(bundle);
	set_root(bundle);
	bundle_sign(bundle, origin, chain);
	return bundle;
}

static void
sort_bundles(TestBody *body)
{
	for (uint32_t i = 1; i < body->nbundles; i++)
		for (uint32_t j = i; j > 0; j--)
		{
			TestBundle	swap = body->bundles[j];

			if (ftc_bundle_compare(&body->bundles[j - 1].head, &swap.head) < 0)
				break;
			body->bundles[j] = body->bundles[j - 1];
			body->bundles[j - 1] = swap;
		}
}

static void
make_manifest(TestBody *body)
{
	FtcSignedLeaf bundles[TEST_BUNDLES_MAX];
	uint8_t    *bytes;
	size_t		len;

	for (uint32_t i = 0; i < body->nbundles; i++)
		bundles[i] = body->bundles[i].signed_leaf;
	len = ftc_manifest_encode(body->controls, body->ncontrols, bundles, body->nbundles, NULL, 0);
	bytes = keep(len);
	ftc_manifest_encode(body->controls, body->ncontrols, bundles, body->nbundles, bytes, len);
	body->manifest = ftc_slice(bytes, len);
}

static void
make_leaves(TestBody *body)
{
	uint32_t	n = 0;

	for (uint32_t i = 0; i < body->ncontrols; i++)
		body->leaves[n++] = ftc_merkle_leaf(body->controls[i]);
	for (uint32_t i = 0; i < body->nbundles; i++)
		body->leaves[n++] = ftc_merkle_leaf(body->bundles[i].signed_leaf.leaf);
	for (uint32_t i = 0; i < body->nbundles; i++)
		for (uint32_t j = 0; j < body->bundles[i].head.count; j++)
			body->leaves[n++] = ftc_entry_leaf_hash(&body->bundles[i].entries[j]);
	body->nleaves = n;
	body->root = ftc_merkle_root(body->leaves, n);
}

static void
make_proof(TestBody *body)
{
	uint8_t		bytes[FTC_PROOF_BYTES_MAX];
	uint8_t		leaf[FTC_ENTRY_LEAF_MAX];
	FtcSlice	first = ftc_slice(leaf, 0);
	size_t		len;

	if (body->nbundles > 0)
		first.len = ftc_entry_leaf_encode(&body->bundles[0].entries[0], leaf);
	len = ftc_manifest_prove(body->leaves, body->nleaves, body->ncontrols + body->nbundles,
							 first, bytes);
	body->proof = keep_copy(ftc_slice(bytes, len));
}

static void
put_body(const TestBody *body, FtcBodyForm form, FtcWriter *writer)
{
	ftc_body_begin(writer, form, body->manifest);
	for (uint32_t i = 0; i < body->nbundles; i++)
		for (uint32_t j = 0; j < body->bundles[i].head.count; j++)
		{
			const FtcEntry *entry = &body->bundles[i].entries[j];
			FtcHash		leaf = ftc_entry_leaf_hash(entry);

			if (form == FTC_BODY_FULL)
				ftc_body_put_entry(writer, entry);
			else
				ftc_put_hash(writer, &leaf);
		}
}

static FtcSlice
make_body(const TestBody *body, FtcBodyForm form)
{
	FtcWriter	writer = ftc_writer(NULL, 0);

	put_body(body, form, &writer);
	writer = ftc_writer(keep(writer.len), writer.len);
	put_body(body, form, &writer);
	return ftc_slice(writer.buf, writer.len);
}

void
body_finish(TestBody *body)
{
	sort_bundles(body);
	make_manifest(body);
	make_leaves(body);
	make_proof(body);
	body->full = make_body(body, FTC_BODY_FULL);
	body->skeleton = make_body(body, FTC_BODY_SKELETON);
}

TestBody *
body_sample(const FtcHash *chain)
{
	static const uint64_t some[] = {1, 2, 3, 7, 9, 10};
	static const uint64_t more[] = {11, 12, 20};
	TestPerson	people[2] = {person(0), person(1)};
	TestBody   *body = body_new();
	FtcControl	prune = control_of(FTC_CONTROL_PRUNE, 1);
	FtcControl	erase = control_about(FTC_CONTROL_ERASE, &people[0], 2);
	TestBundle *bundle;

	body_add_control(body, control_leaf(&prune, people, 2, chain));
	body_add_control(body, control_leaf(&erase, people, 1, chain));
	body_add_bundle(body, &people[1], 1, some, lengthof(some), chain);
	body_add_bundle(body, &people[0], 2, more, lengthof(more), chain);
	bundle = body_add_bundle(body, &people[0], 1, some, lengthof(some), chain);
	bundle->entries[1].erased = true;
	body_finish(body);
	return body;
}

FtcManifest
manifest_of(FtcSlice bytes)
{
	FtcManifest manifest;

	assert_reason(ftc_manifest_decode(&manifest, bytes), FTC_OK);
	return manifest;
}

void
block_sign(TestBlock *block, const TestPerson *proposer, const FtcHash *genesis)
{
	FtcHash		id = ftc_header_id(&block->header);

	block->signature = signed_by(proposer, FTC_DOMAIN_BLOCK, genesis != NULL ? genesis : &id, &id);
}

void
block_seal(TestBlock *block, const TestPerson *proposer, const FtcHash *genesis)
{
	if (block->header.consensus == FTC_CONSENSUS_POW)
	{
		block->header.nonce = 0;
		assert_true(ftc_search(ftc_kernel_find("portable"), &block->header, 1 << 24));
	}
	block_sign(block, proposer, genesis);
}

static void
take_body(TestBlock *block, TestBody *body)
{
	body_finish(body);
	block->body = body;
	block->manifest = manifest_of(body->manifest);
	block->header.body = body->root;
	block->header.leaves = body->nleaves;
}

void
genesis_finish(TestBlock *block, const TestPerson *proposer)
{
	take_body(block, block->body);
	block->header.proposer = proposer->id;
	block_sign(block, proposer, NULL);
}

/* The root of the state of founders, without asking the rules. */
static FtcHash
founding_root(const FtcParams *params, const TestBody *body)
{
	FtcMember	members[TEST_MEMBERS_MAX];
	FtcState	state = {0};
	FtcControl	control;

	state.params = *params;
	state.members = members;
	state.capacity = lengthof(members);
	for (uint32_t i = 1; i < body->ncontrols; i++)
	{
		assert_reason(ftc_control_leaf_decode(&control, body->controls[i]), FTC_OK);
		assert_true(ftc_state_apply(&state, &control));
	}
	return ftc_state_root(&state);
}

TestBlock
genesis_block(const FtcParams *params, const TestPerson *founders, uint32_t nfounders,
			  uint32_t ngovernors)
{
	static const char *const zones[] = {"north", "south", "west"};
	TestBlock	block = {0};
	FtcControl	control = control_params(params);

	block.body = body_new();
	body_add_control(block.body, control_leaf(&control, NULL, 0, NULL));
	for (uint32_t i = 0; i < nfounders; i++)
	{
		control = control_add(&founders[i], i < ngovernors ? FTC_MEMBER_GOVERNOR : 0,
							  zones[i % lengthof(zones)], &ftc_hash_zero);
		body_add_control(block.body, control_leaf(&control, NULL, 0, NULL));
	}
	block.header.version = FTC_HEADER_VERSION;
	block.header.consensus = params->consensus;
	block.header.time = TEST_TIME;
	block.header.history = ftc_merkle_empty_root();
	block.header.bits = params->consensus == FTC_CONSENSUS_POW ? params->limit_bits : 0;
	block.header.state = founding_root(params, block.body);
	genesis_finish(&block, &founders[0]);
	return block;
}

TestChain *
chain_found(const FtcParams *params, uint32_t nfounders, uint32_t ngovernors)
{
	TestChain  *chain = keep(sizeof(*chain));

	for (uint32_t i = 0; i < TEST_MEMBERS_MAX; i++)
		chain->people[i] = person(i);
	chain->params = *params;
	chain->genesis = genesis_block(params, chain->people, nfounders, ngovernors);
	chain->id = ftc_header_id(&chain->genesis.header);
	chain->state.members = chain->members;
	chain->state.capacity = TEST_MEMBERS_MAX;
	assert_reason(ftc_rules_genesis(&chain->genesis.header, &chain->genesis.signature,
									&chain->genesis.manifest, &chain->state), FTC_OK);
	ftc_rules_first_tip(&chain->tip, &chain->genesis.header, params);
	return chain;
}

TestBlock
chain_block(const TestChain *chain, TestBody *body, uint32_t proposer, uint64_t time)
{
	TestBlock	block = {0};

	take_body(&block, body != NULL ? body : body_new());
	block.header.version = FTC_HEADER_VERSION;
	block.header.consensus = chain->params.consensus;
	block.header.height = chain->tip.height + 1;
	block.header.time = time;
	block.header.prev = chain->tip.id;
	block.header.history = ftc_frontier_root(&chain->tip.history);
	block.header.bits = ftc_rules_next_bits(&chain->tip, &chain->params);
	block.header.proposer = chain->people[proposer].id;
	block.header.state = ftc_state_root(&chain->state);
	block_seal(&block, &chain->people[proposer], &chain->id);
	return block;
}

void
chain_extend(TestChain *chain, const TestBlock *block)
{
	FtcTip		child;

	assert_reason(ftc_rules_header(&block->header, &block->signature, &chain->tip,
								   &chain->state, &chain->id, block->header.time), FTC_OK);
	assert_reason(ftc_rules_manifest(&block->manifest, &block->header, &chain->state,
									 &chain->id), FTC_OK);
	ftc_rules_next_tip(&child, &chain->tip, &block->header, &chain->params);
	chain->tip = child;
}

FtcRing *
ring_of(const FtcRingMember *members, uint32_t n)
{
	FtcRing    *ring = keep(sizeof(*ring));

	ftc_ring_build(ring, members, n, keep(ftc_ring_size(members, n)),
				   keep(ftc_ring_scratch_size(members, n)));
	return ring;
}

/*-------------------------------------------------------------------------
 *
 * file_build.c
 *	  A chain in a file to start from.
 *
 *-------------------------------------------------------------------------
 */
#include "file_build.h"

#include "test_util.h"

/* A file under construction, and the chain that it is of. */
typedef struct Building
{
	TestChain  *chain;
	TestFile   *file;
	FtcFileEnd	end;
} Building;

static FtcSlice
kept(const FtcWriter *writer)
{
	return ftc_slice(writer->buf, writer->len);
}

static void
add_piece(TestFile *file, FtcSlice piece)
{
	assert_true(file->n < TEST_PIECES_MAX);
	file->pieces[file->n++] = piece;
}

static FtcSlice
content_of(FtcSlice piece)
{
	return ftc_slice(piece.data + FTC_FILE_FRAME_LEN, piece.len - FTC_FILE_FRAME_LEN);
}

static void
begin(Building *b, uint64_t from, uint64_t to, FtcSlice base)
{
	FtcFileBegin begin = {.genesis = b->chain->id,.from = from,.to = to,.bodies = FTC_BODIES_HELD,.base = base};
	size_t		len = ftc_file_begin_encode(&begin, NULL, 0);
	FtcWriter	writer = ftc_writer(keep(len), len);

	writer.len = ftc_file_begin_encode(&begin, writer.buf, len);
	b->file = keep(sizeof(TestFile));
	b->file->genesis = b->chain->id;
	b->file->first = from;
	add_piece(b->file, kept(&writer));
	memset(&b->end, 0, sizeof(b->end));
	b->end.digest = ftc_file_digest(content_of(kept(&writer)));
}

static FtcSlice
header_bytes(const FtcHeader *header)
{
	uint8_t    *bytes = keep(FTC_HEADER_LEN);

	ftc_header_encode(header, bytes);
	return ftc_slice(bytes, FTC_HEADER_LEN);
}

static FtcSlice
statements(const Building *b, const FtcHash *id)
{
	FtcWriter	writer = ftc_writer(keep(2 * FTC_STATEMENT_LEN), 2 * FTC_STATEMENT_LEN);
	uint32_t	low = ftc_hash_compare(&b->chain->people[0].id, &b->chain->people[2].id) < 0 ? 0 : 2;

	for (uint32_t i = 0; i < 2; i++)
	{
		const TestPerson *member = &b->chain->people[i == 0 ? low : 2 - low];
		FtcHash		digest = ftc_rules_statement_digest(id, &member->id);
		FtcSignature signature = signed_by(member, FTC_DOMAIN_STORED, &b->chain->id, &digest);

		ftc_put_hash(&writer, &member->id);
		ftc_put_bytes(&writer, signature.b, FTC_SIGNATURE_LEN);
	}
	return kept(&writer);
}

static FtcSlice
marks(const TestBody *body)
{
	uint32_t	first = body->ncontrols + body->nbundles;
	uint8_t    *bytes = keep(FTC_MARK_LEN * (body->nleaves - first));

	for (uint32_t i = first; i < body->nleaves; i++)
		memcpy(bytes + FTC_MARK_LEN * (i - first), body->leaves[i].b, FTC_MARK_LEN);
	return ftc_slice(bytes, FTC_MARK_LEN * (body->nleaves - first));
}

static void
put_block(Building *b, const TestBlock *block, bool held)
{
	FtcFileBlock record = {.height = block->header.height,.id = ftc_header_id(&block->header)};
	size_t		len;
	FtcWriter	writer;

	record.presence = block->body->nbundles == 0 ? FTC_PRESENCE_EMPTY : held ? FTC_PRESENCE_HERE : FTC_PRESENCE_NOT_HELD;
	record.block.header = header_bytes(&block->header);
	record.block.signature = block->signature;
	record.block.manifest = block->body->manifest;
	record.block.proof = block->body->proof;
	if (block->body->nbundles > 0)
		record.statements = statements(b, &record.id);
	if (record.presence == FTC_PRESENCE_HERE)
	{
		record.block.body = block->body->full;
		record.marks = marks(block->body);
	}
	len = ftc_file_block_encode(&record, NULL, 0);
	writer = ftc_writer(keep(len), len);
	writer.len = ftc_file_block_encode(&record, writer.buf, len);
	add_piece(b->file, kept(&writer));
	b->end.digest = ftc_file_digest_block(&b->end.digest, content_of(kept(&writer)), record.block.body.len);
	b->end.head = record.id;
	b->end.blocks++;
	b->end.bodies += record.presence == FTC_PRESENCE_HERE;
}

static TestFile *
finish(Building *b)
{
	size_t		len = ftc_file_end_encode(&b->end, NULL, 0);
	FtcWriter	writer = ftc_writer(keep(len), len);

	writer.len = ftc_file_end_encode(&b->end, writer.buf, len);
	add_piece(b->file, kept(&writer));
	b->file->head = b->end.head;
	return b->file;
}

static TestBlock
next_block(Building *b, TestBody *body, uint32_t proposer)
{
	TestBlock	block = chain_block(b->chain, body, proposer, TEST_TIME + 12 * SECOND * (b->chain->tip.height + 1));

	chain_extend(b->chain, &block);
	return block;
}

static void
found(Building *b)
{
	FtcParams	params = easy_params();

	params.epoch_blocks = params.settle_blocks = 1;
	params.name = text ("file");

	b->chain = chain_found(&params, 5, 3);
}

/* The first three blocks; the second has a control that the fourth builds on. */
static FtcSlice
build_start(Building *b, TestBlock blocks[3])
{
	static const uint64_t some[] = {1, 2, 3, 7};
	static const uint64_t more[] = {1, 2};
	TestPerson *people = b->chain->people;
	FtcControl	add = control_add(&people[7], 0, "south", &b->chain->id);
	FtcSlice	leaf = control_leaf(&add, people, 2, &b->chain->id);
	TestBody   *body = body_new();

	body_add_bundle(body, &people[0], 1, some, lengthof(some), &b->chain->id)->entries[2].erased = true;
	blocks[0] = next_block(b, body, 0);
	body = body_new();
	body_add_control(body, leaf);
	body_add_bundle(body, &people[1], 1, more, lengthof(more), &b->chain->id);
	blocks[1] = next_block(b, body, 1);
	blocks[2] = next_block(b, NULL, 2);
	return leaf;
}

static void
fold(Building *b, FtcSlice leaf)
{
	FtcControl	control;
	uint64_t	bound;

	assert_true(ftc_state_fold_bound(&b->chain->state, 4, &bound));
	assert_int_equal(bound, 2);
	assert_reason(ftc_control_leaf_decode(&control, leaf), FTC_OK);
	assert_true(ftc_state_apply(&b->chain->state, &control));
	b->chain->state.folded = 2;
}

static void
build_rest(Building *b, TestBlock blocks[2], TestForgery forgery, FtcSlice control)
{
	static const uint64_t theirs[] = {5, 6, 8};
	static const uint64_t ours[] = {4, 5, 9};
	static const uint64_t again[] = {3, 5, 9};
	TestPerson *people = b->chain->people;
	TestBody   *body = body_new();

	body_add_bundle(body, &people[7], 1, theirs, lengthof(theirs), &b->chain->id);
	body_add_bundle(body, &people[0], forgery == TEST_BUNDLE_SKIPPED ? 3 : 2,
					forgery == TEST_SEQ_TWICE ? again : ours, lengthof(ours), &b->chain->id);
	if (forgery == TEST_CONTROL_TWICE)
		body_add_control(body, control);
	blocks[0] = next_block(b, body, 7);
	body = body_new();
	body_add_bundle(body, &people[7], 2, ours, 1, &b->chain->id);
	blocks[1] = next_block(b, body, 3);
}

TestFile *
file_forged(TestForgery forgery)
{
	Building	b = {0};
	TestBlock	blocks[5];
	FtcSlice	leaf;

	found(&b);
	leaf = build_start(&b, blocks);
	fold(&b, leaf);
	build_rest(&b, blocks + 3, forgery, leaf);
	begin(&b, 0, 5, ftc_slice(NULL, 0));
	put_block(&b, &b.chain->genesis, true);
	for (int i = 0; i < 5; i++)
		put_block(&b, &blocks[i], i < 4);
	return finish(&b);
}

TestFile *
file_whole(void)
{
	return file_forged(TEST_SOUND);
}

TestFile *
file_start(void)
{
	Building	b = {0};
	TestBlock	blocks[3];

	found(&b);
	(void) build_start(&b, blocks);
	begin(&b, 0, 3, ftc_slice(NULL, 0));
	put_block(&b, &b.chain->genesis, true);
	for (int i = 0; i < 3; i++)
		put_block(&b, &blocks[i], true);
	return finish(&b);
}

static FtcSlice
state_bytes(const FtcState *state)
{
	size_t		len = ftc_state_encode(state, NULL, 0);
	uint8_t    *bytes = keep(len);

	ftc_state_encode(state, bytes, len);
	return ftc_slice(bytes, len);
}

/* What there is before block 4. */
static FtcSlice
base_bytes(const Building *b, const TestBlock *parent, FtcSlice leaf)
{
	FtcFileBase base = {.ncontrols = 1};
	uint8_t    *tip = keep(FTC_TIP_BYTES_MAX);
	FtcWriter	controls = ftc_writer(keep(12 + leaf.len), 12 + leaf.len);
	size_t		len;
	uint8_t    *bytes;

	ftc_file_put_control(&controls, 2, leaf);
	base.header = header_bytes(&parent->header);
	base.tip = ftc_slice(tip, ftc_tip_encode(&b->chain->tip, tip));
	base.state = state_bytes(&b->chain->state);
	base.controls = kept(&controls);
	len = ftc_file_base_encode(&base, NULL, 0);
	bytes = keep(len);
	ftc_file_base_encode(&base, bytes, len);
	return ftc_slice(bytes, len);
}

TestFile *
file_part(void)
{
	Building	b = {0};
	TestBlock	blocks[5];
	FtcSlice	leaf;

	found(&b);
	leaf = build_start(&b, blocks);
	begin(&b, 4, 5, base_bytes(&b, &blocks[2], leaf));
	fold(&b, leaf);
	build_rest(&b, blocks + 3, TEST_SOUND, leaf);
	put_block(&b, &blocks[3], true);
	put_block(&b, &blocks[4], false);
	return finish(&b);
}

FtcSlice
file_join(const TestFile *file, uint32_t from, uint32_t to)
{
	size_t		len = 0;
	FtcWriter	writer;

	for (uint32_t i = from; i < to; i++)
		len += file->pieces[i].len;
	writer = ftc_writer(keep(len), len);
	for (uint32_t i = from; i < to; i++)
		ftc_put_slice(&writer, file->pieces[i]);
	return kept(&writer);
}

FtcSlice
file_all(const TestFile *file)
{
	return file_join(file, 0, file->n);
}

/*-------------------------------------------------------------------------
 *
 * file.c
 *	  A chain as a file.
 *
 *-------------------------------------------------------------------------
 */
#include "file.h"

#include "sha256.h"

static const uint8_t magic[4] = {'f', 't', 'c', 'f'};

/* ----------------------------------------------------------------
 *		Writing
 * ----------------------------------------------------------------
 */

static void
put_frame(FtcWriter *writer, FtcFileKind kind, size_t length)
{
	ftc_put_bytes(writer, magic, sizeof(magic));
	ftc_put_u8(writer, FTC_FILE_VERSION);
	ftc_put_u8(writer, (uint8_t) kind);
	ftc_put_u16(writer, 0);
	ftc_put_u32(writer, (uint32_t) length);
}

static void
put_zeros(FtcWriter *writer)
{
	ftc_put_u8(writer, 0);
	ftc_put_u16(writer, 0);
}

size_t
ftc_file_begin_encode(const FtcFileBegin *begin, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	put_frame(&writer, FTC_FILE_BEGIN, FTC_HASH_LEN + 8 + 8 + 4 + 4 + begin->base.len);
	ftc_put_hash(&writer, &begin->genesis);
	ftc_put_u64(&writer, begin->from);
	ftc_put_u64(&writer, begin->to);
	ftc_put_u8(&writer, begin->bodies);
	put_zeros(&writer);
	ftc_put_blob(&writer, begin->base);
	return writer.len;
}

size_t
ftc_file_block_encode(const FtcFileBlock *block, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);
	size_t		travelling = ftc_block_encode(&block->block, NULL, 0);

	put_frame(&writer, FTC_FILE_BLOCK, 8 + FTC_HASH_LEN + 4 + 4 + block->statements.len +
			  4 + block->marks.len + 4 + travelling);
	ftc_put_u64(&writer, block->height);
	ftc_put_hash(&writer, &block->id);
	ftc_put_u8(&writer, block->presence);
	put_zeros(&writer);
	ftc_put_u32(&writer, (uint32_t) (block->statements.len / FTC_STATEMENT_LEN));
	ftc_put_slice(&writer, block->statements);
	ftc_put_blob(&writer, block->marks);
	ftc_put_u32(&writer, (uint32_t) travelling);
	if (bytes != NULL && writer.len + travelling <= size)
		(void) ftc_block_encode(&block->block, bytes + writer.len, travelling);
	return writer.len + travelling;
}

size_t
ftc_file_end_encode(const FtcFileEnd *end, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	put_frame(&writer, FTC_FILE_END, FTC_FILE_END_LEN);
	ftc_put_u64(&writer, end->blocks);
	ftc_put_u64(&writer, end->bodies);
	ftc_put_hash(&writer, &end->head);
	ftc_put_hash(&writer, &end->digest);
	return writer.len;
}

size_t
ftc_file_base_encode(const FtcFileBase *base, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	ftc_put_slice(&writer, base->header);
	ftc_put_blob(&writer, base->tip);
	ftc_put_blob(&writer, base->state);
	ftc_put_u32(&writer, base->ncontrols);
	ftc_put_slice(&writer, base->controls);
	return writer.len;
}

void
ftc_file_put_control(FtcWriter *writer, uint64_t height, FtcSlice leaf)
{
	ftc_put_u64(writer, height);
	ftc_put_blob(writer, leaf);
}

/* ----------------------------------------------------------------
 *		Reading
 * ----------------------------------------------------------------
 */

FtcReason
ftc_file_frame_decode(FtcFrame *frame, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	FtcSlice	start = ftc_get_slice(&reader, sizeof(magic));
	uint8_t		version = ftc_get_u8(&reader);
	uint16_t	zero;

	frame->kind = ftc_get_u8(&reader);
	zero = ftc_get_u16(&reader);
	frame->length = ftc_get_u32(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (memcmp(start.data, magic, sizeof(magic)) != 0)
		return FTC_BAD_KIND;
	if (version != FTC_FILE_VERSION)
		return FTC_BAD_VERSION;
	if (frame->kind < FTC_FILE_BEGIN || frame->kind > FTC_FILE_END)
		return FTC_BAD_KIND;
	if (zero != 0)
		return FTC_NOT_CANONICAL;
	if (frame->length > FTC_FILE_CONTENT_MAX)
		return FTC_TOO_LARGE;
	return frame->kind == FTC_FILE_END && frame->length != FTC_FILE_END_LEN ? FTC_BAD_LENGTH : FTC_OK;
}

FtcReason
ftc_file_piece_decode(FtcFrame *frame, FtcSlice *content, FtcSlice piece)
{
	FtcReader	reader = ftc_reader(piece);
	FtcReason	reason = ftc_file_frame_decode(frame, ftc_get_slice(&reader, FTC_FILE_FRAME_LEN));

	if (reason != FTC_OK)
		return reason;
	*content = ftc_get_slice(&reader, frame->length);
	return ftc_reader_is_done(&reader) ? FTC_OK : FTC_BAD_LENGTH;
}

/* What stands behind each of the small numbers. */
static bool
get_zeros(FtcReader *reader)
{
	uint8_t		zero8 = ftc_get_u8(reader);
	uint16_t	zero16 = ftc_get_u16(reader);

	return zero8 == 0 && zero16 == 0;
}

FtcReason
ftc_file_begin_decode(FtcFileBegin *begin, FtcSlice content)
{
	FtcReader	reader = ftc_reader(content);
	bool		zeros;

	begin->genesis = ftc_get_hash(&reader);
	begin->from = ftc_get_u64(&reader);
	begin->to = ftc_get_u64(&reader);
	begin->bodies = ftc_get_u8(&reader);
	zeros = get_zeros(&reader);
	begin->base = ftc_get_blob(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (begin->bodies > FTC_BODIES_ALL)
		return FTC_BAD_KIND;
	if (begin->to > INT64_MAX || begin->from > begin->to)
		return FTC_OUT_OF_RANGE;
	return zeros && (begin->from == 0) == (begin->base.len == 0) ? FTC_OK : FTC_NOT_CANONICAL;
}

/* By member, each once. */
static bool
are_in_order(FtcSlice statements)
{
	for (size_t at = FTC_STATEMENT_LEN; at < statements.len; at += FTC_STATEMENT_LEN)
		if (memcmp(statements.data + at - FTC_STATEMENT_LEN, statements.data + at, FTC_HASH_LEN) >= 0)
			return false;
	return true;
}

FtcReason
ftc_file_block_decode(FtcFileBlock *block, FtcSlice content)
{
	FtcReader	reader = ftc_reader(content);
	bool		zeros;
	uint32_t	nstatements;
	FtcSlice	travelling;
	FtcReason	reason;

	block->height = ftc_get_u64(&reader);
	block->id = ftc_get_hash(&reader);
	block->presence = ftc_get_u8(&reader);
	zeros = get_zeros(&reader);
	nstatements = ftc_get_u32(&reader);
	block->statements = ftc_get_slice(&reader, (size_t) nstatements * FTC_STATEMENT_LEN);
	block->marks = ftc_get_blob(&reader);
	travelling = ftc_get_blob(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (block->presence > FTC_PRESENCE_DAMAGED)
		return FTC_BAD_KIND;
	if (nstatements > FTC_MEMBERS_MAX)
		return FTC_TOO_MANY;
	if (block->height > INT64_MAX)
		return FTC_OUT_OF_RANGE;
	reason = ftc_block_decode(&block->block, travelling);
	if (reason != FTC_OK)
		return reason;
	return zeros && are_in_order(block->statements) &&
		(block->presence == FTC_PRESENCE_HERE) == (block->block.body.len > 0) &&
		(block->presence == FTC_PRESENCE_HERE ? block->marks.len % FTC_MARK_LEN == 0 : block->marks.len == 0)
		? FTC_OK : FTC_NOT_CANONICAL;
}

FtcReason
ftc_file_end_decode(FtcFileEnd *end, FtcSlice content)
{
	FtcReader	reader = ftc_reader(content);

	end->blocks = ftc_get_u64(&reader);
	end->bodies = ftc_get_u64(&reader);
	end->head = ftc_get_hash(&reader);
	end->digest = ftc_get_hash(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	return end->blocks <= INT64_MAX && end->bodies <= end->blocks ? FTC_OK : FTC_OUT_OF_RANGE;
}

bool
ftc_file_next_control(FtcReader *at, uint64_t *height, FtcSlice *leaf)
{
	if (at->left == 0)
		return false;
	*height = ftc_get_u64(at);
	*leaf = ftc_get_blob(at);
	return !at->bad;
}

FtcReason
ftc_file_base_decode(FtcFileBase *base, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	FtcReader	at;
	uint64_t	height;
	FtcSlice	leaf;
	uint32_t	n = 0;

	base->header = ftc_get_slice(&reader, FTC_HEADER_LEN);
	base->tip = ftc_get_blob(&reader);
	base->state = ftc_get_blob(&reader);
	base->ncontrols = ftc_get_u32(&reader);
	if (reader.bad)
		return FTC_BAD_LENGTH;
	base->controls = ftc_slice(reader.at, reader.left);
	at = reader;
	while (ftc_file_next_control(&at, &height, &leaf))
		n++;
	return !at.bad && n == base->ncontrols ? FTC_OK : FTC_BAD_LENGTH;
}

/* ----------------------------------------------------------------
 *		COPY's binary format
 * ----------------------------------------------------------------
 */

/* Signature, flags and the length of an extension: none are known, so all zero. */
bool
ftc_file_is_copy(FtcSlice bytes)
{
	static const uint8_t header[FTC_COPY_HEADER_LEN] = "PGCOPY\n\377\r\n";

	return bytes.len >= FTC_COPY_HEADER_LEN && memcmp(bytes.data, header, FTC_COPY_HEADER_LEN) == 0;
}

bool
ftc_file_is_copy_end(FtcSlice bytes)
{
	return bytes.len >= FTC_COPY_END_LEN && bytes.data[0] == 0xff && bytes.data[1] == 0xff;
}

/* One column, and its length. */
FtcReason
ftc_file_copy_field(FtcSlice bytes, uint32_t *length)
{
	FtcReader	reader = ftc_reader(bytes);
	uint16_t	columns = ftc_get_u16(&reader);

	*length = ftc_get_u32(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (columns != 1)
		return FTC_BAD_KIND;
	if (*length < FTC_FILE_FRAME_LEN)
		return FTC_BAD_LENGTH;
	return *length > FTC_FILE_FRAME_LEN + FTC_FILE_CONTENT_MAX ? FTC_TOO_LARGE : FTC_OK;
}

/* ----------------------------------------------------------------
 *		The digest
 * ----------------------------------------------------------------
 */

FtcHash
ftc_file_digest(FtcSlice begin)
{
	return ftc_sha256(begin);
}

FtcHash
ftc_file_digest_block(const FtcHash *before, FtcSlice content, size_t body_len)
{
	FtcSha256	sha;

	ftc_sha256_init(&sha);
	ftc_sha256_update(&sha, before->b, FTC_HASH_LEN);
	ftc_sha256_update(&sha, content.data, content.len - body_len);
	return ftc_sha256_final(&sha);
}

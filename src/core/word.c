/*-------------------------------------------------------------------------
 *
 * word.c
 *	  What a member says that it keeps of a body.
 *
 *-------------------------------------------------------------------------
 */
#include "word.h"

#define WORD_VERSION 1

FtcSlice
ftc_word_encode(const FtcWord *word, uint8_t bytes[FTC_WORD_MAX])
{
	FtcWriter	writer = ftc_writer(bytes, FTC_WORD_MAX);

	ftc_put_u8(&writer, WORD_VERSION);
	ftc_put_u8(&writer, word->whole ? FTC_WORD_WHOLE : 0);
	ftc_put_u8(&writer, word->shard < 0 ? FTC_WORD_NO_SHARD : (uint8_t) word->shard);
	ftc_put_u8(&writer, word->other < 0 ? 0 : (uint8_t) (word->other + 1));
	ftc_put_u64(&writer, word->number);
	ftc_put_hash(&writer, &word->block);
	ftc_put_hash(&writer, &word->member);
	if (word->shard >= 0)
		ftc_put_bytes(&writer, word->head.data, word->head.len);
	if (word->other >= 0)
		ftc_put_bytes(&writer, word->other_head.data, word->other_head.len);
	return ftc_slice(bytes, writer.len);
}

/* Of the shards of this block, and one that there is. */
static FtcReason
check_shard(const FtcWord *word, int32_t number, FtcSlice bytes, FtcShardsHead *head)
{
	FtcReason	reason = ftc_shards_head_decode(head, bytes);

	if (reason != FTC_OK)
		return reason;
	if (!ftc_hash_equal(&head->block, &word->block))
		return FTC_WRONG_DIGEST;
	return (uint32_t) number < head->cut.data + head->cut.parity ? FTC_OK : FTC_OUT_OF_RANGE;
}

static FtcReason
check_shards(const FtcWord *word)
{
	FtcShardsHead head = {0};
	FtcShardsHead other;
	FtcReason	reason = FTC_OK;

	if (word->shard >= 0)
		reason = check_shard(word, word->shard, word->head, &head);
	if (reason != FTC_OK || word->other < 0)
		return reason;
	reason = check_shard(word, word->other, word->other_head, &other);
	if (reason != FTC_OK)
		return reason;
	/* two of one cut nobody keeps */
	return head.cut.data == other.cut.data && head.cut.parity == other.cut.parity ? FTC_NOT_CANONICAL : FTC_OK;
}

FtcReason
ftc_word_read(FtcWord *word, FtcReader *reader)
{
	uint8_t		version = ftc_get_u8(reader);
	uint8_t		flags = ftc_get_u8(reader);
	uint8_t		shard = ftc_get_u8(reader);
	uint8_t		other = ftc_get_u8(reader);

	word->number = ftc_get_u64(reader);
	word->block = ftc_get_hash(reader);
	word->member = ftc_get_hash(reader);
	word->whole = (flags & FTC_WORD_WHOLE) != 0;
	word->shard = shard == FTC_WORD_NO_SHARD ? -1 : shard;
	word->head = ftc_slice(NULL, 0);
	word->other = (int32_t) other - 1;
	word->other_head = ftc_slice(NULL, 0);
	if (word->shard >= 0)
		word->head = ftc_get_slice(reader, FTC_SHARDS_HEAD_LEN);
	if (word->shard >= 0 && word->other >= 0)
		word->other_head = ftc_get_slice(reader, FTC_SHARDS_HEAD_LEN);
	if (reader->bad)
		return FTC_BAD_LENGTH;
	if (version != WORD_VERSION)
		return FTC_BAD_VERSION;
	if ((word->shard < 0 && word->other >= 0) || (flags & ~FTC_WORD_WHOLE) != 0)
		return FTC_NOT_CANONICAL;
	if (word->number == 0 || word->number > INT64_MAX)
		return FTC_OUT_OF_RANGE;
	return check_shards(word);
}

FtcReason
ftc_word_decode(FtcWord *word, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	FtcReason	reason = ftc_word_read(word, &reader);

	return reason == FTC_OK && !ftc_reader_is_done(&reader) ? FTC_BAD_LENGTH : reason;
}

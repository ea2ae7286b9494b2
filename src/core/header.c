/*-------------------------------------------------------------------------
 *
 * header.c
 *	  The block header.
 *
 *-------------------------------------------------------------------------
 */
#include "header.h"

#include "bytes.h"
#include "merkle.h"
#include "pow.h"
#include "sha256.h"

_Static_assert(4 + 4 + 8 + 8 + 3 * FTC_HASH_LEN + 4 + 4 + 3 * FTC_HASH_LEN + 8 + 8 == FTC_HEADER_LEN,
			   "header layout");

void
ftc_header_encode(const FtcHeader *header, uint8_t bytes[FTC_HEADER_LEN])
{
	FtcWriter	writer = ftc_writer(bytes, FTC_HEADER_LEN);

	ftc_put_u32(&writer, header->version);
	ftc_put_u32(&writer, header->consensus);
	ftc_put_u64(&writer, header->height);
	ftc_put_u64(&writer, header->time);
	ftc_put_hash(&writer, &header->prev);
	ftc_put_hash(&writer, &header->history);
	ftc_put_hash(&writer, &header->body);
	ftc_put_u32(&writer, header->leaves);
	ftc_put_u32(&writer, header->bits);
	ftc_put_hash(&writer, &header->proposer);
	ftc_put_hash(&writer, &header->state);
	ftc_put_hash(&writer, &header->justify);
	ftc_put_u64(&writer, header->round);
	ftc_put_u64(&writer, header->nonce);
}

FtcHash
ftc_header_id(const FtcHeader *header)
{
	uint8_t		bytes[FTC_HEADER_LEN];

	ftc_header_encode(header, bytes);
	return ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
}

/* What can be said of a header without its branch. */
static FtcReason
check_form(const FtcHeader *header)
{
	FtcHash		empty = ftc_merkle_empty_root();

	if (header->version != FTC_HEADER_VERSION)
		return FTC_BAD_VERSION;
	if (header->consensus < FTC_CONSENSUS_POW || header->consensus > FTC_CONSENSUS_DPOS)
		return FTC_BAD_KIND;
	if (header->height > INT64_MAX || header->time > FTC_TIME_MAX || header->round > INT64_MAX)
		return FTC_OUT_OF_RANGE;
	if (header->leaves > FTC_LEAVES_MAX)
		return FTC_TOO_MANY;
	if ((header->height == 0) != ftc_hash_is_zero(&header->prev) ||
		(header->height == 0) != ftc_hash_equal(&header->history, &empty) ||
		(header->leaves == 0) != ftc_hash_equal(&header->body, &empty))
		return FTC_NOT_CANONICAL;
	if (header->consensus == FTC_CONSENSUS_POW)
		return ftc_pow_check_bits(header->bits);
	return header->bits == 0 && header->nonce == 0 ? FTC_OK : FTC_NOT_CANONICAL;
}

FtcReason
ftc_header_decode(FtcHeader *header, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);

	header->version = ftc_get_u32(&reader);
	header->consensus = ftc_get_u32(&reader);
	header->height = ftc_get_u64(&reader);
	header->time = ftc_get_u64(&reader);
	header->prev = ftc_get_hash(&reader);
	header->history = ftc_get_hash(&reader);
	header->body = ftc_get_hash(&reader);
	header->leaves = ftc_get_u32(&reader);
	header->bits = ftc_get_u32(&reader);
	header->proposer = ftc_get_hash(&reader);
	header->state = ftc_get_hash(&reader);
	header->justify = ftc_get_hash(&reader);
	header->round = ftc_get_u64(&reader);
	header->nonce = ftc_get_u64(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	return check_form(header);
}

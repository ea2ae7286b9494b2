/*-------------------------------------------------------------------------
 *
 * link.c
 *	  Link messages, the link's hash chain, and what each end decides.
 *
 *-------------------------------------------------------------------------
 */
#include "link.h"

#include "bytes.h"
#include "sha256.h"

size_t
ftc_message_encode(const FtcMessage *message, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	ftc_put_u8(&writer, FTC_MESSAGE_VERSION);
	ftc_put_u8(&writer, message->kind);
	ftc_put_u16(&writer, message->stream);
	ftc_put_u64(&writer, message->epoch);
	ftc_put_u64(&writer, message->seq);
	ftc_put_hash(&writer, &message->id);
	ftc_put_hash(&writer, &message->digest);
	ftc_put_blob(&writer, message->reference);
	ftc_put_blob(&writer, message->attachment);
	return writer.len;
}

FtcReason
ftc_message_decode(FtcMessage *message, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	FtcHash		digest;

	message->kind = ftc_get_u8(&reader);
	message->stream = ftc_get_u16(&reader);
	message->epoch = ftc_get_u64(&reader);
	message->seq = ftc_get_u64(&reader);
	message->id = ftc_get_hash(&reader);
	message->digest = ftc_get_hash(&reader);
	message->reference = ftc_get_blob(&reader);
	message->attachment = ftc_get_blob(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (version != FTC_MESSAGE_VERSION)
		return FTC_BAD_VERSION;
	if (message->kind < FTC_MESSAGE_BLOCK || message->kind > FTC_MESSAGE_KEPT)
		return FTC_BAD_KIND;
	if ((message->stream == FTC_STREAM_LEDGER) != (message->kind != FTC_MESSAGE_TOPIC))
		return FTC_WRONG_LINK;
	if (message->epoch == 0 || message->epoch > INT64_MAX ||
		message->seq == 0 || message->seq > INT64_MAX)
		return FTC_OUT_OF_RANGE;
	if (message->reference.len > FTC_REFERENCE_MAX ||
		message->attachment.len > FTC_BODY_MAX + (1 << 20))
		return FTC_TOO_LARGE;
	digest = ftc_message_digest(message->kind, message->reference);
	return ftc_hash_equal(&digest, &message->digest) ? FTC_OK : FTC_WRONG_DIGEST;
}

FtcHash
ftc_message_digest(uint8_t kind, FtcSlice reference)
{
	FtcSha256	sha;

	ftc_sha256_init(&sha);
	ftc_sha256_update(&sha, &kind, 1);
	ftc_sha256_update(&sha, reference.data, reference.len);
	return ftc_sha256_final(&sha);
}

FtcHash
ftc_message_id(uint8_t kind, FtcSlice reference)
{
	uint8_t		domain[FTC_DOMAIN_LEN];
	FtcSha256	sha;

	ftc_domain_bytes(FTC_DOMAIN_MESSAGE, domain);
	ftc_sha256_init(&sha);
	ftc_sha256_update(&sha, domain, sizeof(domain));
	ftc_sha256_update(&sha, &kind, 1);
	ftc_sha256_update(&sha, reference.data, reference.len);
	return ftc_sha256_final(&sha);
}

FtcHash
ftc_link_start(const FtcHash *genesis, const FtcHash *sender, const FtcHash *receiver,
			   uint16_t stream, uint64_t epoch)
{
	uint8_t		bytes[FTC_DOMAIN_LEN + 3 * FTC_HASH_LEN + 2 + 8];
	FtcWriter	writer = ftc_writer(bytes, sizeof(bytes));

	ftc_domain_bytes(FTC_DOMAIN_LINK, bytes);
	writer.len = FTC_DOMAIN_LEN;
	ftc_put_hash(&writer, genesis);
	ftc_put_hash(&writer, sender);
	ftc_put_hash(&writer, receiver);
	ftc_put_u16(&writer, stream);
	ftc_put_u64(&writer, epoch);
	return ftc_sha256(ftc_slice(bytes, writer.len));
}

FtcHash
ftc_link_advance(const FtcHash *value, const FtcHash *id, const FtcHash *digest)
{
	FtcSha256	sha;

	ftc_sha256_init(&sha);
	ftc_sha256_update(&sha, value->b, FTC_HASH_LEN);
	ftc_sha256_update(&sha, id->b, FTC_HASH_LEN);
	ftc_sha256_update(&sha, digest->b, FTC_HASH_LEN);
	return ftc_sha256_final(&sha);
}

FtcHash
ftc_link_account(const FtcHash *start, uint64_t first, uint64_t next,
				 const FtcHash *before, const FtcHash *after)
{
	uint8_t		bytes[3 * FTC_HASH_LEN + 2 * 8];
	FtcWriter	writer = ftc_writer(bytes, sizeof(bytes));

	ftc_put_hash(&writer, start);
	ftc_put_u64(&writer, first);
	ftc_put_u64(&writer, next);
	ftc_put_hash(&writer, before);
	ftc_put_hash(&writer, after);
	return ftc_sha256(ftc_slice(bytes, writer.len));
}

size_t
ftc_sacks_encode(const FtcAck *ack, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	for (int i = 0; i < ack->n; i++)
	{
		ftc_put_u64(&writer, ack->sacks[i].first);
		ftc_put_u64(&writer, ack->sacks[i].last);
	}
	return writer.len;
}

FtcReason
ftc_sacks_decode(FtcAck *ack, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);

	ack->n = 0;
	if (bytes.len % 16 != 0)
		return FTC_BAD_LENGTH;
	if (bytes.len > FTC_SACKS_BYTES)
		return FTC_TOO_MANY;
	for (int i = 0; i < (int) (bytes.len / 16); i++)
	{
		FtcSeqRange *range = &ack->sacks[i];

		range->first = ftc_get_u64(&reader);
		range->last = ftc_get_u64(&reader);
		if (range->first < ack->end.next || range->last < range->first || range->last >= INT64_MAX)
			return FTC_OUT_OF_RANGE;
		if (i > 0 && range->first <= range[-1].last + 1)
			return FTC_NOT_CANONICAL;
	}
	ack->n = (int) (bytes.len / 16);
	return FTC_OK;
}

FtcLinkVerdict
ftc_link_receive(const FtcLinkEnd *end, const FtcMessage *message)
{
	if (message->epoch < end->epoch)
		return FTC_LINK_STALE;
	if (message->epoch > end->epoch)
		return message->seq == 1 ? FTC_LINK_NEW_EPOCH : FTC_LINK_GAP;
	if (message->seq < end->next)
		return FTC_LINK_DUPLICATE;
	return message->seq == end->next ? FTC_LINK_APPLY : FTC_LINK_GAP;
}

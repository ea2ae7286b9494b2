/*-------------------------------------------------------------------------
 *
 * entry.c
 *	  Entries and their leaves.
 *
 *-------------------------------------------------------------------------
 */
#include "entry.h"

#include "bytes.h"
#include "merkle.h"
#include "sha256.h"

FtcHash
ftc_payload_hash(FtcSlice salt, FtcSlice payload)
{
	FtcSha256	sha;

	ftc_sha256_init(&sha);
	ftc_sha256_update(&sha, salt.data, salt.len);
	ftc_sha256_update(&sha, payload.data, payload.len);
	return ftc_sha256_final(&sha);
}

size_t
ftc_entry_leaf_encode(const FtcEntry *entry, uint8_t *bytes)
{
	FtcWriter	writer = ftc_writer(bytes, FTC_ENTRY_LEAF_MAX);

	ftc_put_u8(&writer, FTC_LEAF_VERSION);
	ftc_put_u8(&writer, FTC_LEAF_ENTRY);
	ftc_put_hash(&writer, &entry->origin);
	ftc_put_u64(&writer, entry->incarnation);
	ftc_put_u64(&writer, entry->seq);
	ftc_put_u64(&writer, entry->time);
	ftc_put_hash(&writer, &entry->payload_hash);
	ftc_put_name(&writer, entry->author);
	ftc_put_name(&writer, entry->kind);
	return entry->author.len <= FTC_NAME_MAX && entry->kind.len <= FTC_NAME_MAX ? writer.len : 0;
}

FtcHash
ftc_entry_leaf_hash(const FtcEntry *entry)
{
	uint8_t		bytes[FTC_ENTRY_LEAF_MAX];
	size_t		len = ftc_entry_leaf_encode(entry, bytes);

	return ftc_merkle_leaf(ftc_slice(bytes, len));
}

FtcReason
ftc_entry_check(const FtcEntry *entry)
{
	if (entry->incarnation == 0 || entry->incarnation > INT64_MAX ||
		entry->seq == 0 || entry->seq > INT64_MAX || entry->time > FTC_TIME_MAX)
		return FTC_OUT_OF_RANGE;
	if (entry->author.len > FTC_NAME_MAX || entry->kind.len > FTC_NAME_MAX)
		return FTC_TOO_LARGE;
	if (!ftc_utf8_is_valid(entry->author) || !ftc_utf8_is_valid(entry->kind))
		return FTC_BAD_TEXT;
	if (entry->erased)
		return FTC_OK;
	if (entry->salt.len != FTC_SALT_LEN)
		return FTC_BAD_LENGTH;
	if (entry->payload.len > FTC_PAYLOAD_MAX)
		return FTC_TOO_LARGE;
	return ftc_utf8_is_valid(entry->payload) ? FTC_OK : FTC_BAD_TEXT;
}

FtcReason
ftc_entry_leaf_decode(FtcEntry *entry, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		class = ftc_get_u8(&reader);

	entry->origin = ftc_get_hash(&reader);
	entry->incarnation = ftc_get_u64(&reader);
	entry->seq = ftc_get_u64(&reader);
	entry->time = ftc_get_u64(&reader);
	entry->payload_hash = ftc_get_hash(&reader);
	entry->author = ftc_get_name(&reader);
	entry->kind = ftc_get_name(&reader);
	entry->erased = true;
	entry->salt = entry->payload = ftc_slice(NULL, 0);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (version != FTC_LEAF_VERSION)
		return FTC_BAD_VERSION;
	if (class != FTC_LEAF_ENTRY)
		return FTC_BAD_KIND;
	return ftc_entry_check(entry);
}

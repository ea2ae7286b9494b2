/*-------------------------------------------------------------------------
 *
 * topic.c
 *	  What the reference of a user's message says.
 *
 *-------------------------------------------------------------------------
 */
#include "topic.h"

#include "bytes.h"
#include "sha256.h"

size_t
ftc_topic_reference_encode(const FtcTopicReference *reference, uint8_t *bytes)
{
	FtcWriter	writer = ftc_writer(bytes, FTC_TOPIC_REFERENCE_MAX);

	if (reference->topic.len < 1 || reference->topic.len > FTC_NAME_MAX)
		return 0;
	ftc_put_u64(&writer, reference->incarnation);
	ftc_put_u64(&writer, reference->seq);
	ftc_put_u64(&writer, reference->sent);
	ftc_put_hash(&writer, &reference->hash);
	ftc_put_name(&writer, reference->topic);
	return writer.len;
}

FtcReason
ftc_topic_reference_decode(FtcTopicReference *reference, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);

	reference->incarnation = ftc_get_u64(&reader);
	reference->seq = ftc_get_u64(&reader);
	reference->sent = ftc_get_u64(&reader);
	reference->hash = ftc_get_hash(&reader);
	reference->topic = ftc_get_name(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (reference->incarnation == 0 || reference->incarnation > INT64_MAX ||
		reference->seq == 0 || reference->seq > INT64_MAX || reference->sent > FTC_TIME_MAX ||
		reference->topic.len == 0)
		return FTC_OUT_OF_RANGE;
	if (reference->topic.len > FTC_NAME_MAX)
		return FTC_TOO_LARGE;
	return ftc_utf8_is_valid(reference->topic) ? FTC_OK : FTC_BAD_TEXT;
}

FtcReason
ftc_topic_message_check(const FtcTopicReference *reference, FtcSlice message)
{
	FtcHash		hash;

	if (message.len > FTC_TOPIC_MESSAGE_MAX)
		return FTC_TOO_LARGE;
	hash = ftc_sha256(message);
	if (!ftc_hash_equal(&hash, &reference->hash))
		return FTC_WRONG_DIGEST;
	return ftc_utf8_is_valid(message) ? FTC_OK : FTC_BAD_TEXT;
}

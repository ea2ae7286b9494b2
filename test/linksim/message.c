/*-------------------------------------------------------------------------
 *
 * message.c
 *	  Messages: what each is follows from its number, so it is the same in every
 *	  world, and is made once.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

#include "bytes.h"
#include "sha256.h"
#include "topic.h"

static Content *contents[2][INCARNATIONS];

static void
make_users(Content *c, unsigned incarnation, uint64_t position)
{
	FtcTopicReference reference = {
		.incarnation = incarnation + 1,
		.seq = position,
		.topic = ftc_slice("link", 4)
	};

	c->text_len = (uint8_t) snprintf((char *) c->text, sizeof(c->text), "{\"%u\":%u}", incarnation, (unsigned) position);
	reference.hash = ftc_sha256(ftc_slice(c->text, c->text_len));
	c->reference_len = (uint8_t) ftc_topic_reference_encode(&reference, c->reference);
}

static void
make_announcement(Content *c, unsigned incarnation, uint64_t position)
{
	FtcWriter	writer = ftc_writer(c->reference, sizeof(c->reference));

	ftc_put_u64(&writer, incarnation + 1);
	ftc_put_u64(&writer, position);
	c->reference_len = (uint8_t) writer.len;
}

static Content *
make_incarnation(bool users, unsigned incarnation)
{
	Content    *made = calloc(LOG_MAX + 1, sizeof(Content));

	for (uint64_t position = 1; position <= LOG_MAX; position++)
	{
		Content    *c = &made[position];
		uint8_t		kind = users ? FTC_MESSAGE_TOPIC : FTC_MESSAGE_STORED;

		(users ? make_users : make_announcement) (c, incarnation, position);
		c->id = ftc_message_id(kind, ftc_slice(c->reference, c->reference_len));
		c->digest = ftc_message_digest(kind, ftc_slice(c->reference, c->reference_len));
		memcpy(&c->size, c->id.b, sizeof(c->size));
	}
	return made;
}

const Content *
message_content(bool users, Message message)
{
	unsigned	incarnation = message_incarnation(message);

	if (contents[users][incarnation] == NULL)
		contents[users][incarnation] = make_incarnation(users, incarnation);
	return &contents[users][incarnation][message_position(message)];
}

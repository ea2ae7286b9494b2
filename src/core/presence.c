/*-------------------------------------------------------------------------
 *
 * presence.c
 *	  Whether a member lives twice: what its sessions prove to who hears them.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "bytes.h"
#include "presence.h"
#include "sha256.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* The place of a session: its own, a free one, or of who was not heard for longest. */
static FtcSession *
place_of(FtcPresence *presence, uint64_t id)
{
	FtcSession *oldest = &presence->session[0];

	for (int i = 0; i < presence->n; i++)
	{
		FtcSession *session = &presence->session[i];

		if (session->id == id)
			return session;
		if (session->given < oldest->given)
			oldest = session;
	}
	return presence->n < FTC_SESSIONS_MAX ? &presence->session[presence->n++] : oldest;
}

/* The last moment at which both are known to have lived; 0: none. */
static uint64_t
last_together(const FtcSession *a, const FtcSession *b)
{
	uint64_t	from = MAX(a->began, b->began);
	uint64_t	to = MIN(a->lived, b->lived);

	return from <= to ? to : 0;
}

bool
ftc_presence_hear(FtcPresence *presence, const FtcHere *here, uint64_t token, uint64_t *other)
{
	FtcSession *session = place_of(presence, here->session);
	uint64_t	together = 0;

	presence->moment++;
	if (session->id != here->session || session->given == 0)
	{
		memset(session, 0, sizeof(*session));
		session->id = here->session;
		session->began = presence->moment;
	}
	else if (here->token == session->token)
		session->lived = session->given;
	session->incarnation = here->incarnation;
	session->token = token;
	session->given = presence->moment;
	for (int i = 0; i < presence->n; i++)
	{
		const FtcSession *another = &presence->session[i];

		if (another == session || last_together(session, another) <= together)
			continue;
		together = last_together(session, another);
		*other = another->incarnation;
	}
	if (together <= session->told)
		return false;
	session->told = together;
	return true;
}

FtcHash
ftc_presence_digest(const FtcHash *receiver, const FtcHere *here)
{
	uint8_t		bytes[FTC_HASH_LEN + 3 * 8];
	FtcWriter	writer = ftc_writer(bytes, sizeof(bytes));

	ftc_put_bytes(&writer, receiver->b, FTC_HASH_LEN);
	ftc_put_u64(&writer, here->session);
	ftc_put_u64(&writer, here->incarnation);
	ftc_put_u64(&writer, here->token);
	return ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
}

/*-------------------------------------------------------------------------
 *
 * courier.c
 *	  The worker that talks with peers, all of them at once.
 *
 * One loop over all connections: whatever has come is handled, each in a
 * transaction of its own; whoever is idle is given the next call; then all
 * sockets are waited for together.  So nobody waits for a dead peer, and no
 * row is locked and no snapshot held while the network is.
 *
 * What a peer is asked, in this order: how it is (hello); blocks of a better
 * chain that we do not know (blocks); to take our announcements (receive);
 * bodies that we should hold (body).  The last two take turns.
 *
 * Several calls may be under way at a time, so while a body is stored the next
 * ones are on their way: as many bytes as take a quarter of a second, or what is
 * small would wait behind what is large.  Nobody waits for the disk then: that they
 * are stored is said of several at once, which does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "bodies.h"
#include "clock.h"
#include "contact.h"
#include "courier.h"
#include "courier_part.h"
#include "failpoint.h"
#include "linkstat.h"
#include "message.h"
#include "peer.h"
#include "reading.h"
#include "step.h"
#include "stmt.h"
#include "wake.h"
#include "watch.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(ftchain_sync);

/* ----------------------------------------------------------------
 *		Positions for messages
 * ----------------------------------------------------------------
 */

/*
 * A call may leave before the positions in it are on disk, while the peer works on
 * it; but nothing leaves after it before they are.  If a crash takes them, the
 * messages get others.  The peer then is ahead of us, and says where it was before
 * its last step: that is where all was on disk, and where the link begins anew.
 * What it took is known there by its ids.
 */
static uint64 hasty_written = 0;	/* transactions that did not wait for the
									 * disk, and are there */

static void
write_positions(void)
{
	static XLogRecPtr written = InvalidXLogRecPtr;
	XLogRecPtr	given = ftc_wake_positions_given();

	if (given <= written)
		return;
	XLogFlush(given);
	written = given;
}

/*
 * The messages themselves must be on disk before they leave.  They are, unless who
 * sent them did not wait for that: then the commit does.
 */
static bool
number_messages(void *arg)
{
	FtcScope	scope;
	uint64		ended = ftc_wake_hasty_ended();
	bool		numbered = false;
	bool		waits;

	if (!ftc_step_begin("numbering messages"))
		return false;
	ftc_enter(&scope);
	if (ftc_message_is_numberable())
	{
		ftc_message_number();
		FTC_FAILPOINT("message-before-number-commit");
		numbered = true;
	}
	/* a standby, too, is not to lack more than a call of them */
	waits = ftc_wake_hasty_begun() != hasty_written ||
		(SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0');
	if (waits)
		ForceSyncCommit();
	else
		ftc_step_may_be_lost();
	ftc_leave(&scope);
	ftc_step_end();
	if (!numbered)
		return false;
	ftc_wake_note_positions(XactLastCommitEnd);
	if (waits)
		hasty_written = ended;
	FTC_FAILPOINT("message-numbered");
	return false;
}

/*
 * A message that finds nothing under way goes at once.  While calls are, those that
 * come meanwhile go together: each call costs both sides a commit, and the peer takes
 * one after the other.  While nobody can be spoken with there is no hurry.
 */
#define GATHER_US (5 * 1000)
#define UNREACHED_US (100 * 1000)
#define UNTOLD_US (250 * 1000)	/* nobody tells of prepared transactions */

static uint64 numbered_at = 0;

/* When messages are to be given positions. */
static uint64
numbering_due_at(void)
{
	int64		sent = ftc_wake_sent(false);
	bool		reached = false;
	bool		under_way = false;

	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (ftc_contacts[i] != NULL)
		{
			FtcPeerPhase phase = ftc_contacts[i]->peer.phase;

			reached |= phase == FTC_PEER_IDLE || phase == FTC_PEER_BUSY;
			under_way |= ftc_contact_count(ftc_contacts[i], FTC_ASKED_RECEIVE) > 0;
		}
	if (sent == 0)
		return numbered_at + UNTOLD_US;
	if (!reached)
		return numbered_at + UNREACHED_US;
	return numbered_at + (under_way && sent < FTC_WAKE_SENT_MANY ? GATHER_US : 0);
}

static void
number_if_due(void)
{
	bool		more;

	if (ftc_clock_steady() < numbering_due_at())
		return;
	numbered_at = ftc_clock_steady();
	(void) ftc_step_try(number_messages, NULL, &more);
}

/* ----------------------------------------------------------------
 *		The loop
 * ----------------------------------------------------------------
 */

static bool
begin_connect(void *arg)
{
	FtcContact *c = arg;

	if (!ftc_step_begin("connecting"))
		return false;
	ftc_peer_connect(&c->peer, GetUserId(), ftc_contact_reach(c));
	ftc_step_end();
	return true;
}

/* True if a call was made; *more if there is more to look at. */
static bool
make_call(FtcContact *c, bool *more)
{
	FtcNextCall next = {.contact = c};
	bool		again;

	if (ftc_step_try(ftc_courier_next_call, &next, &again))
	{
		*more = next.more;
		return next.called;
	}
	/* it may have left before that */
	write_positions();
	if (c->peer.phase != FTC_PEER_CLOSED && c->call.line != NULL)
		ftc_line_leave(c, "a call could not be made; see the log");
	return false;
}

static void
take_answer(FtcContact *c)
{
	bool		more;

	ftc_contact_note_answer(c);
	if (!ftc_step_try(ftc_courier_take_answer, c, &more))
		ftc_line_leave(c, "an answer could not be taken; see the log");
	ftc_contact_clear_answer(c);
}

/* One contact: what has come, then what is next.  True if there may be more. */
static bool
attend(FtcContact *c)
{
	bool		answered;
	bool		called = false;
	bool		stale;
	char	   *why = NULL;
	bool		more = false;

	if (c->peer.phase == FTC_PEER_CLOSED)
	{
		if (ftc_clock_steady() < c->retry_at)
			return false;
		/* the error is about its options or rights, and logged */
		if (!ftc_step_try(begin_connect, c, &more))
		{
			c->refuses = true;
			ftc_contact_later(c);
		}
		return false;
	}
	stale = ftc_peer_is_stale(&c->peer);
	if (c->peer.phase == FTC_PEER_IDLE && stale)
	{
		ftc_contact_close(c);
		return true;
	}
	if (!ftc_peer_advance(&c->peer, &c->answer, &why))
	{
		ftc_contact_hang_up(c, why);
		return true;
	}
	answered = c->answer != NULL;
	if (answered)
		take_answer(c);
	/* there may always be something to send: nothing more goes the old way */
	while (!stale && ftc_peer_is_ready(&c->peer) && make_call(c, &more))
	{
		called = true;
		write_positions();
	}
	return called || answered || more;
}

static int
open_peers(FtcPeer **peers)
{
	int			n = 0;

	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (ftc_contacts[i] != NULL && ftc_contacts[i]->peer.phase != FTC_PEER_CLOSED)
			peers[n++] = &ftc_contacts[i]->peer;
	return n;
}

/* ms that there is nothing to do for, unless something comes. */
static long
time_to_wait(void)
{
	uint64		now = ftc_clock_steady();
	uint64		due = numbering_due_at();

	return due <= now ? 0 : (long) Min((due - now + 999) / 1000, 250);
}

/* What sessions want to read goes on the list of what is wanted. */
static bool
take_reads(void *arg)
{
	FtcScope	scope;
	bool		more;

	if (!ftc_step_begin("taking what is to be read"))
		return false;
	ftc_enter(&scope);
	more = ftc_reading_take();
	ftc_leave(&scope);
	ftc_step_end();
	return more;
}

long
ftc_courier_turn(void)
{
	FtcPeer    *peers[FTC_SHARED_PEERS];
	bool		busy = false;
	bool		more;

	if (!ftc_contact_list())
		return 1000;
	ftc_bodies_heed_budget();
	number_if_due();
	/* a chain at a time: their locks have no order */
	more = ftc_reading_is_asked();
	while (more && ftc_step_try(take_reads, NULL, &more))
		;
	for (int i = 0; i < FTC_SHARED_PEERS && !ftc_worker_must_leave(); i++)
		if (ftc_contacts[i] != NULL)
		{
			busy |= attend(ftc_contacts[i]);
			ftc_contact_show(i);
		}
	ftc_bodies_settle();
	ftc_bodies_finish();
	ftc_watch_turn();
	ftc_linkstat_show(!busy);
	ftc_worker_progress(busy ? "exchanging" : "idle");
	/* no lock and no snapshot is held while the network is waited for */
	Assert(!IsTransactionState());
	if (!busy && !ftc_worker_must_leave())
		ftc_peer_wait(peers, open_peers(peers), time_to_wait(), "FtchainCourier");
	return 0;
}

/* ----------------------------------------------------------------
 *		SQL
 * ----------------------------------------------------------------
 */

/*
 * Has it been asked for all bodies that were wanted when we had its blocks?
 * One pass too early for some of them is not enough.
 */
static bool
is_done_with_bodies(const FtcLine *line)
{
	return line->passed &&
		(!line->skipped || line->pass_at >= line->caught_up_at + FTC_BODIES_PATIENCE_US);
}

/* Is nothing left to exchange with it, but for what it refuses? */
static bool
is_done(const FtcContact *c)
{
	ListCell   *cell;

	if (c->peer.phase != FTC_PEER_IDLE || ftc_bodies_are_waiting())
		return false;
	foreach(cell, c->lines)
	{
		const FtcLine *line = lfirst(cell);
		bool		refused = line->retry_at > ftc_clock_steady();

		if (line->behind || !line->synced || (!refused && (line->fetching || !is_done_with_bodies(line))))
			return false;
	}
	return c->lines != NIL;
}

static void
sync_with(FtcContact *c)
{
	uint64		start = ftc_clock_steady();

	while (!is_done(c))
	{
		FtcPeer    *peer = &c->peer;
		bool		busy;

		if (c->failures > 0 || ftc_clock_steady() - start > 600 * (uint64) USECS_PER_SEC)
			ereport(ERROR,
					errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
					errmsg("could not synchronise with server \"%s\": %s", c->peer.server,
						   c->last_error[0] != '\0' ? c->last_error : "it takes too long"));
		busy = attend(c);
		ftc_bodies_settle();
		ftc_bodies_finish();
		if (busy)
			continue;
		ftc_peer_wait(&peer, c->peer.phase != FTC_PEER_CLOSED ? 1 : 0, 100, "FtchainSync");
		/* time has passed: the next step is to have a now() of its own */
		ftc_procedure_commit();
	}
	if (c->last_error[0] != '\0')
		ereport(WARNING,
				errcode(ERRCODE_FDW_ERROR),
				errmsg("not all was exchanged with server \"%s\": %s", c->peer.server, c->last_error));
}

void
ftc_courier_close(void)
{
	ftc_contact_drop_all();
	ftc_bodies_forget();
}

void
ftc_courier_sync(const char *server)
{
	(void) ftc_contact_list();
	(void) number_messages(NULL);
	ftc_bodies_whole();
	while (take_reads(NULL))
		;
	if (server != NULL && ftc_contact_find(server) == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("server \"%s\" is not a peer", server),
				errhint("Call ftchain.add_peer() first."));
	for (int i = 0; i < FTC_SHARED_PEERS; i++)
		if (ftc_contacts[i] != NULL &&
			(server == NULL || strcmp(ftc_contacts[i]->peer.server, server) == 0))
			sync_with(ftc_contacts[i]);
}

Datum
ftchain_sync(PG_FUNCTION_ARGS)
{
	char	   *server = PG_ARGISNULL(0) ? NULL
	: MemoryContextStrdup(TopMemoryContext, text_to_cstring(PG_GETARG_TEXT_PP(0)));

	PG_TRY();
	{
		ftc_procedure_begin(fcinfo, "ftchain.sync");
		ftc_courier_sync(server);
		ftc_procedure_end();
	}
	PG_FINALLY();
	{
		ftc_courier_close();
	}
	PG_END_TRY();
	PG_RETURN_VOID();
}

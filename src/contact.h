/*-------------------------------------------------------------------------
 *
 * contact.h
 *	  Peers as the courier knows them: what it tried, and how it went.
 *
 * A contact is a peer; a line is a chain at a peer, or a stream of messages to
 * it.  All of it is of the process and in memory only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_CONTACT_H
#define FTC_CONTACT_H

#include "area.h"
#include "chain.h"
#include "core/again.h"
#include "core/health.h"
#include "core/pace.h"
#include "fetch.h"
#include "inbox.h"
#include "outbox.h"
#include "peer.h"
#include "proofs.h"
#include "shared.h"

typedef enum FtcAskedKind
{
	FTC_ASKED_HELLO,
	FTC_ASKED_STREAM,
	FTC_ASKED_PRESENCE,
	FTC_ASKED_BLOCKS,
	FTC_ASKED_RECEIVE,
	FTC_ASKED_BODY,
	FTC_ASKED_PROOF,
	FTC_ASKED_SHARD
} FtcAskedKind;

/*
 * What we know of a line, in memory only.  All times are those of
 * the steady clock, in us.
 */
typedef struct FtcLine
{
	int32		chain;			/* 0: a stream of messages */
	uint16		stream;			/* 0: the chain's */
	bool		greeted;		/* since the connection was made */
	uint64		hello_at;		/* next time to ask */
	uint64		retry_at;		/* leave it alone until then */
	int			failures;
	bool		behind;			/* it has blocks that we lack */
	bool		bodies_first;	/* of those that it gave, before it gives more */
	uint64		caught_up_at;	/* first time that it had none, 0: not yet */
	bool		synced;			/* nothing was left to do, at the last look */
	bool		asking;			/* what comes next depends on the answer */
	FtcHash		reached;		/* the last block it gave us, to go on from */
	int64		reached_height; /* -1: none */
	uint64		block_bytes;	/* of one, in its last answer; 0: not known */
	FtcOutLink	out;			/* what is announced to it */
	FtcAgain	again;			/* what it lacks was announced again */
	uint64		doubted_at;		/* when an answer did not go with its greeting */
	bool		not_taken;		/* it took nothing of the last call */
	FtcLineSlot *shown;			/* in shared memory; NULL: not yet */
	FtcLineCounts counts;		/* in part: others are counted in out */
	uint64		resets;			/* those of shown that were heeded */

	uint64		proof_at;		/* next time to look for a challenge */
	uint64		shard_at;		/* and for a shard to fetch */

	bool		bodies_turn;	/* bodies come before announcements */
	bool		bodies_last;	/* the last call was for a body */
	uint64		bodies_until;	/* one after the other, before all else */

	/* wanted bodies are asked for in passes from the lowest to the highest */
	FtcWanted	wanted;			/* the one asked for last */
	bool		passed;			/* there is no higher one */
	bool		skipped;		/* some were left for a little later */
	uint64		pass_at;		/* when this pass began */
	uint64		passed_at;		/* when it was through */
	uint64		again_at;		/* when to begin the next; 0: not known yet */
	uint64		wants;			/* ftc_wake_wants() when this one began */

	/* bodies that come in chunks */
	bool		chunks_turn;	/* they come before bodies that are wanted */
	bool		fetching;		/* there was one to ask for, at the last look */
	uint64		fetches_at;		/* when to look again */
} FtcLine;


/* What a peer is asked, until it answers. */
typedef struct FtcAsked
{
	FtcAskedKind kind;
	FtcChain	chain;
	FtcLine    *line;
	uint64		called_at;
	bool		alone;			/* the line has to wait for it */
	FtcPart		part;			/* of a body, asked for */
	int64		counted;		/* bytes, in the budget for what moves */
	uint64		sent;			/* bytes of the segment sent */
	uint64		order;			/* of it */
	FtcChallenge challenge;		/* to prove a body */
	FtcHash		block;			/* of which a shard is asked for */
	int32		shard;
} FtcAsked;

/* A peer, as the courier keeps it. */
typedef struct FtcContact
{
	FtcPeer		peer;
	MemoryContext context;		/* all of this lives in */
	bool		listed;			/* still in ftchain.peer */
	List	   *lines;			/* of FtcLine */
	int			turn;			/* line whose turn it is */
	FtcAsked	call;			/* being made, or answered */
	FtcAsked	asked[FTC_PEER_CALLS_MAX];	/* under way, as the peer has them */
	struct pg_result *answer;	/* being taken */

	/* that we are here, as core/presence.h has it */
	uint64		session;		/* 0: not said on this connection */
	uint64		token;			/* the last that the peer gave */
	uint64		presence_at;	/* next time to say so */
	int64		run;			/* the peer's incarnation, as it said on this
								 * connection; 0: not yet */
	int			protocol;		/* agreed on; 0: not yet */

	uint64		retry_at;
	int			failures;		/* since it last answered */
	bool		refuses;		/* it does answer, but not to us */
	char		last_error[FTC_SHARED_TEXT];	/* empty: all is well */
	char		logged[FTC_SHARED_TEXT];
	char		withheld[FTC_SHARED_TEXT];	/* to be logged later; empty: none */
	uint64		logged_at;
	int			nlogged;
	uint64		calls;
	uint64		bytes;
	uint64		round_trip;		/* us, smoothed */
	FtcPace		down;			/* of bodies that come */
	FtcPace		up;				/* of messages that are sent */
	FtcLacks	lacks[FTC_LACKS_MANY];
	TimestampTz contact_at;
	uint64		answered_at;	/* the same by the steady clock */

	FtcHealth	health;			/* whether it is there */
	FtcHealthState health_told; /* as it was last written down */
} FtcContact;

extern FtcContact *ftc_contacts[FTC_SHARED_PEERS];	/* NULL: nobody */

/*
 * Reads from the table of peers who they are, if that is long ago.  False if it
 * could not be done.
 */
extern bool ftc_contact_list(void);
extern void ftc_contact_drop_all(void);
extern FtcContact *ftc_contact_find(const char *server);	/* NULL if there is none */

/* The place of a contact in shared memory says what is in the list. */
extern void ftc_contact_show(int i);

/* The call that is being made has left. */
extern void ftc_contact_note_call(FtcContact *c);

/*
 * How it went: it answered the first call, which is the one at hand now; it did
 * something wrong; it cannot be spoken with.
 */
extern void ftc_contact_note_answer(FtcContact *c);
extern void ftc_contact_clear_answer(FtcContact *c);
extern void ftc_contact_note_failure(FtcContact *c, const char *why);
extern void ftc_line_note_failure(FtcContact *c, const char *why);	/* the line at hand, too */
extern void ftc_contact_close(FtcContact *c);
extern void ftc_contact_hang_up(FtcContact *c, const char *why);
extern void ftc_contact_later(FtcContact *c);	/* to be tried again */

/* us that its host has to answer in. */
extern uint64 ftc_contact_reach(const FtcContact *c);

/* How many calls of a kind are under way. */
extern int	ftc_contact_count(const FtcContact *c, FtcAskedKind kind);

/*
 * How much may be under way, so that what is small does not wait long: bytes of a
 * body, and blocks, to ask for at a time, and whether for more bodies now; and bytes of
 * messages to send now, 0 if none, and to send in one call.
 */
extern uint64 ftc_contact_chunk(const FtcContact *c);
extern int	ftc_contact_blocks(const FtcContact *c);	/* for the line at hand */
extern bool ftc_contact_may_ask(const FtcContact *c);
extern uint64 ftc_contact_room(const FtcContact *c);
extern uint64 ftc_contact_share(const FtcContact *c);

/* The line of a chain or of a stream; find: NULL if there is none yet. */
extern FtcLine *ftc_line_find(const FtcContact *c, int32 chain);
extern FtcLine *ftc_line_of(FtcContact *c, int32 chain, uint16 stream);

/* This line does not work with that peer now; others may. */
extern void ftc_line_leave(FtcContact *c, const char *why);

/* Whoever reaches us may be out of our reach: any peer may know the parents. */
extern void ftc_line_look_everywhere(int32 chain);

#endif							/* FTC_CONTACT_H */

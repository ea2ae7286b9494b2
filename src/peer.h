/*-------------------------------------------------------------------------
 *
 * peer.h
 *	  Connections to other databases: the only owner of libpq.
 *
 * A peer is reached through a foreign server and the user mapping of the role
 * that the workers run as, under the rules of postgres_fdw and dblink: USAGE
 * on the server, and a password that is really used, unless a superuser said
 * otherwise.  Nothing here blocks: a connection is polled.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_PEER_H
#define FTC_PEER_H

#include "protocol.h"

/* avoid libpq's headers everywhere */
struct pg_conn;
struct pg_result;

typedef enum FtcPeerPhase
{
	FTC_PEER_CLOSED,
	FTC_PEER_CONNECTING,
	FTC_PEER_IDLE,
	FTC_PEER_BUSY				/* calls are under way */
} FtcPeerPhase;

/* What can be called, and how many bytes an answer may have. */
typedef struct FtcCall
{
	const char *sql;
	size_t		most;
} FtcCall;

/* A call under way. */
typedef struct FtcPeerCall
{
	size_t		sent;			/* bytes of it */
	size_t		most;			/* bytes of the answer */
} FtcPeerCall;

#define FTC_PEER_CALLS_MAX 8	/* under way on one connection */

typedef struct FtcPeer
{
	char		server[NAMEDATALEN];
	FtcHash		member;
	struct pg_conn *conn;
	FtcPeerPhase phase;
	int			poll;			/* what libpq waits for while connecting */
	bool		reached;		/* its host has answered */
	bool		timed_out;		/* nothing came in time */
	bool		cut;			/* while it was being made */
	bool		need_password;	/* the rule above applies */
	uint64		options;		/* version of those it was made with */

	/* calls, answered in the order in which they were made */
	int			ncalls;
	FtcPeerCall calls[FTC_PEER_CALLS_MAX];
	struct pg_result *answer;	/* of the first, so far */
	bool		ended;			/* only the mark behind the answer is missing */
	size_t		received;		/* bytes of it */

	/*
	 * of connecting or of the first call; times are those of the steady
	 * clock, us
	 */
	bool		unsent;			/* not all has left */
	uint64		patience;		/* how long nothing may move */
	uint64		deadline;		/* when something must have moved */
	uint64		limit;			/* when all must be over */
} FtcPeer;

/* Parameters of a call. */
typedef struct FtcPeerArgs
{
	int			n;
	const char *values[8];
	int			lengths[8];
	int			formats[8];		/* 1: binary */
} FtcPeerArgs;

extern void ftc_peer_arg_int(FtcPeerArgs *args, int64 value);
extern void ftc_peer_arg_text(FtcPeerArgs *args, const char *value);
extern void ftc_peer_arg_bytes(FtcPeerArgs *args, FtcSlice value);
extern void ftc_peer_arg_array(FtcPeerArgs *args, const FtcSlice *values, int n);

/*
 * Begin to connect: reads the catalogs, so inside a transaction; an error if
 * the server, the mapping or the rights are not as they should be.  for_role
 * must have USAGE too.  The host must answer within so many us.
 */
extern void ftc_peer_connect(FtcPeer *peer, Oid for_role, uint64 reach);

/* May a call be made now? */
extern bool ftc_peer_is_ready(const FtcPeer *peer);

/* Make a call, each a transaction of its own over there. */
extern bool ftc_peer_call(FtcPeer *peer, const FtcCall *call, const FtcPeerArgs *args);

/*
 * Go on with whatever is under way.  Gives false if the connection failed, the
 * answer is too long or too late: *why says so, palloc'd.  *result is set when
 * the first call has completed; ftc_peer_clear it.
 */
extern bool ftc_peer_advance(FtcPeer *peer, struct pg_result **result, char **why);
extern void ftc_peer_close(FtcPeer *peer);

/* Have servers or mappings changed since it was connected? */
extern bool ftc_peer_is_stale(const FtcPeer *peer);

/* Wait for any of these, the latch or the timeout. */
extern void ftc_peer_wait(FtcPeer **peers, int n, long timeout_ms, const char *event);

/* Results, in binary.  Columns and rows from 0. */
extern bool ftc_peer_failed(struct pg_result *result);
extern char *ftc_peer_message(struct pg_result *result);	/* palloc'd */
extern bool ftc_peer_is_transient(struct pg_result *result);	/* may it succeed when
																 * tried again? */
extern int	ftc_peer_rows(struct pg_result *result);
extern bool ftc_peer_is_null(struct pg_result *result, int row, int column);
extern FtcSlice ftc_peer_bytes(struct pg_result *result, int row, int column);
extern char *ftc_peer_text(struct pg_result *result, int row, int column);	/* one line, palloc'd */
extern bool ftc_peer_int(struct pg_result *result, int row, int column, int64 *value);
extern bool ftc_peer_hash(struct pg_result *result, int row, int column, FtcHash *value);
extern void ftc_peer_clear(struct pg_result *result);

/*
 * For a session: connect, call and wait for the result.  Errors are raised,
 * those of the other side with their SQLSTATE.  Close with ftc_peer_close.
 */
extern void ftc_peer_open(FtcPeer *peer, const char *server, Oid for_role);
extern struct pg_result *ftc_peer_ask(FtcPeer *peer, const FtcCall *call, const FtcPeerArgs *args);

/* See doc/PROTOCOL.md. */
extern const FtcCall ftc_call_identity;
extern const FtcCall ftc_call_genesis;
extern const FtcCall ftc_call_hello;
extern const FtcCall ftc_call_receive;
extern const FtcCall ftc_call_stream;
extern const FtcCall ftc_call_presence;
extern const FtcCall ftc_call_blocks;
extern const FtcCall ftc_call_block;
extern const FtcCall ftc_call_copies;
extern const FtcCall ftc_call_body; /* and the bytes asked for */
extern const FtcCall ftc_call_prove;
extern const FtcCall ftc_call_shard;

#define FTC_CALL_IDENTITY	(&ftc_call_identity)
#define FTC_CALL_GENESIS	(&ftc_call_genesis)
#define FTC_CALL_HELLO		(&ftc_call_hello)
#define FTC_CALL_RECEIVE	(&ftc_call_receive)
#define FTC_CALL_STREAM		(&ftc_call_stream)
#define FTC_CALL_PRESENCE	(&ftc_call_presence)
#define FTC_CALL_BLOCKS		(&ftc_call_blocks)
#define FTC_CALL_BLOCK		(&ftc_call_block)
#define FTC_CALL_COPIES		(&ftc_call_copies)
#define FTC_CALL_BODY		(&ftc_call_body)
#define FTC_CALL_PROVE		(&ftc_call_prove)
#define FTC_CALL_SHARD		(&ftc_call_shard)

#endif							/* FTC_PEER_H */

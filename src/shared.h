/*-------------------------------------------------------------------------
 *
 * shared.h
 *	  What workers and sessions share in memory: latches, flags, progress.
 *
 * Hints only.  A crash restart empties it; nothing is lost but time.  That it
 * is made anew whenever something may have been lost gives a run its name.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SHARED_H
#define FTC_SHARED_H

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/dsm_impl.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/timestamp.h"

#include "core/header.h"
#include "worker.h"

#define FTC_SHARED_DATABASES	8
#define FTC_SHARED_PEERS		16
#define FTC_SHARED_MINERS		16
#define FTC_SHARED_CANDIDATES	8
#define FTC_SHARED_READS		16
#define FTC_SHARED_TEXT			120

/* A background process that the launcher keeps running. */
typedef struct FtcProcess
{
	int			pid;			/* 0: none; -1: being started */
	PGPROC	   *proc;			/* for its latch; NULL until it is attached */
	TimestampTz started;
	TimestampTz retry_at;		/* not to be started before */
} FtcProcess;

typedef struct FtcWorkerSlot
{
	FtcProcess	process;
	char		progress[FTC_SHARED_TEXT];
	uint64		attempts;		/* at proof of work, since it started */
	double		hash_rate;		/* of the last slice, per second */
	char		last_error[FTC_SHARED_TEXT];
	TimestampTz last_error_at;
} FtcWorkerSlot;

typedef struct FtcMinerSlot
{
	FtcProcess	process;
	uint64		attempts;		/* since it started */
	double		hash_rate;		/* of the last slice, per second */
} FtcMinerSlot;

/* A candidate on the mining board; see board.h. */
/* Chains that share a count of heads only look up more often than they must. */
#define FTC_SHARED_HEADS 32

typedef struct FtcCandidateSlot
{
	int32		chain;			/* 0: not used */
	bool		found;
	FtcHeader	header;			/* its nonce: the first that nobody has taken,
								 * or the one that was found */
	uint64		number;			/* another one for each candidate */
	uint64		heads;			/* ftc_wake_heads() when it was made */
	uint64		posted_at;		/* the chain's first one here, by
								 * ftc_clock_steady() */
	uint64		attempts;		/* at a child of its parent */
	uint64		since;			/* when these began, us */
	uint64		earlier;		/* of the attempts, before the server started */
	uint64		began;			/* the others, by ftc_clock_steady() */
} FtcCandidateSlot;

/* Somebody waits for a chain to be so high. */
typedef struct FtcWantedSlot
{
	int32		chain;			/* 0: not used */
	int64		height;
	uint64		said_at;		/* by ftc_clock_steady() */
} FtcWantedSlot;

/* Somebody waits for a body, to read it. */
typedef struct FtcReadSlot
{
	int32		chain;			/* 0: not used */
	FtcHash		block;
	uint64		said_at;		/* by ftc_clock_steady() */
	bool		taken;			/* the courier knows */
} FtcReadSlot;

/* A connection of the courier, shown by ftchain.peer_status(). */
typedef struct FtcPeerSlot
{
	char		server[NAMEDATALEN];	/* empty: not used */
	char		state[16];
	int			told;			/* FtcReach, of linkstat.c: the last that was
								 * told */
	int			protocol;		/* agreed on; 0: not yet */
	uint64		calls;
	uint64		bytes;
	int64		round_trip;		/* us, smoothed */
	TimestampTz last_contact;
	TimestampTz retry_at;
	char		last_error[FTC_SHARED_TEXT];
	TimestampTz last_error_at;
} FtcPeerSlot;

typedef struct FtcDatabaseSlot
{
	Oid			database;		/* InvalidOid: not used */
	bool		wanted;			/* by ftchain.start() */
	bool		stopped;		/* by ftchain.stop() */
	bool		present;		/* the extension is there, a worker says */
	pg_atomic_uint64 heads[FTC_SHARED_HEADS];	/* changes of the head of a
												 * chain, by its number */
	ConditionVariable new_head; /* for sessions that wait for one */
	pg_atomic_uint64 entries;	/* appended and committed, not yet looked at */
	pg_atomic_uint64 bytes;
	pg_atomic_uint64 sent;		/* messages committed, without a position yet */
	pg_atomic_uint64 wants;		/* rises when bodies become wanted */
	pg_atomic_uint64 hasty_begun;	/* transactions that sent messages and did
									 * not wait for the disk, about to commit */
	pg_atomic_uint64 hasty_ended;	/* those that have, or have not */
	pg_atomic_uint64 positions; /* were given to messages up to there in the
								 * WAL */
	FtcWorkerSlot worker[FTC_WORKER_KINDS];
	FtcMinerSlot miner[FTC_SHARED_MINERS];
	uint64		candidates;		/* posted so far */
	FtcCandidateSlot candidate[FTC_SHARED_CANDIDATES];
	FtcWantedSlot wanted_height[FTC_SHARED_CANDIDATES];
	FtcReadSlot reading[FTC_SHARED_READS];
	FtcPeerSlot peer[FTC_SHARED_PEERS];
	dsm_handle	area;			/* see area.h; 0: none */
} FtcDatabaseSlot;

typedef struct FtcShared
{
	LWLock		lock;			/* protects all but what follows */
	LWLock		board;			/* protects candidates, and what miners count:
								 * they may be slow to give it back */
	uint64		run;			/* when this was made, us since 1970; fixed */
	int			launcher_pid;
	PGPROC	   *launcher;
	FtcDatabaseSlot database[FTC_SHARED_DATABASES];
} FtcShared;

extern Size ftc_shared_size(void);
extern FtcShared *ftc_shared(void); /* attaches on first use */
extern void ftc_shared_forget(void);	/* it is to be made, or found, anew */

/* The slot of a database; with make, a free one if it has none.  NULL if none. */
extern FtcDatabaseSlot *ftc_shared_database(Oid database, bool make);

extern void ftc_shared_text(char *into, const char *text);	/* cut to fit */

#endif							/* FTC_SHARED_H */

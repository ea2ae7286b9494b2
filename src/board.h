/*-------------------------------------------------------------------------
 *
 * board.h
 *	  The mining board: candidates that want a nonce.
 *
 * For each chain the sealer posts its candidate here, in shared memory.  Who
 * mines (the miners, or the sealer if there are none) takes a range of nonces
 * that nobody has had, as many as a slice of some two milliseconds has, and
 * reports; with a nonce that is found the sealer is woken.  Between two slices
 * everybody sees that a head has changed, which ends all of them.  A range that
 * is lost with its miner is missed by nobody: another nonce is as good.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_BOARD_H
#define FTC_BOARD_H

#include "shared.h"

/* What is posted for a chain. */
typedef struct FtcPosted
{
	FtcHeader	header;			/* its nonce goes next, or is the one */
	bool		found;
	uint64		attempts;		/* at a child of its parent */
	uint64		since;			/* when these began, us */
	double		hash_rate;		/* of all who mine it, since the server began */
} FtcPosted;

/*
 * Post a candidate in place of the chain's last one; heads is ftc_wake_heads()
 * before it was made.  attempts and since count what was tried for this parent
 * before the server was started.  Nothing if the board is full: the chain's
 * turn comes later.
 */
extern bool ftc_board_post(int32 chain, const FtcHeader *header, uint64 heads,
						   uint64 attempts, uint64 since);
extern void ftc_board_withdraw(int32 chain);
extern void ftc_board_clear(FtcDatabaseSlot *database);

/* How many there are. */
extern int	ftc_board_miners(FtcDatabaseSlot *database);

/* False if nothing is posted. */
extern bool ftc_board_look(int32 chain, FtcPosted *posted);

/* What came of a slice. */
typedef struct FtcMined
{
	uint64		attempts;
	uint64		us;				/* that it took */
	bool		found;			/* something, for the sealer to take up */
} FtcMined;

/*
 * One slice of the work of a database, of its chains in turn.  False if there
 * is none.
 */
extern bool ftc_board_slice(FtcDatabaseSlot *database, FtcMined *slice);

#endif							/* FTC_BOARD_H */

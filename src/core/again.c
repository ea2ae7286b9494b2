/*-------------------------------------------------------------------------
 *
 * again.c
 *	  Whether to announce blocks once more to a peer that seems to lack them.
 *
 *-------------------------------------------------------------------------
 */
#include "again.h"

#define TIMES_MAX 11

static uint64_t
wait_of(const FtcAgain *again, uint64_t heartbeat)
{
	return again->times == 0 ? 0 : heartbeat << (again->times - 1);
}

bool
ftc_again_is_due(FtcAgain *again, const FtcAgainCase *peer, uint64_t heartbeat, uint64_t now)
{
	bool		same = ftc_hash_equal(&again->head, &peer->head);
	uint64_t	wait = wait_of(again, heartbeat);

	again->head = peer->head;
	if (now - again->needed_at >= 2 * wait && now - again->announced_at >= 2 * wait)
		again->times = 0;
	if (!peer->lacks)
		return false;
	again->needed_at = now;
	/* what was announced just now is being fetched */
	if (!peer->is_new && (!same || !peer->has_all))
		return false;
	if (again->announced_at > 0 && now - again->announced_at < wait)
		return false;
	again->announced_at = now;
	if (again->times <= TIMES_MAX)
		again->times++;
	return true;
}

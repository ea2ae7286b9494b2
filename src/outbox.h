/*-------------------------------------------------------------------------
 *
 * outbox.h
 *	  What this database announces, and how far each link has come.
 *
 * One log of announcements a chain, a cursor a link.  An announcement is a
 * reference; what comes along with it is put together when it is sent.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_OUTBOX_H
#define FTC_OUTBOX_H

#include "chain.h"
#include "sending.h"

/* Announce to every member; in the transaction of what it is about, under the chain's lock. */
extern void ftc_outbox_block(int32 chain, const FtcHash *block);
extern void ftc_outbox_stored(int32 chain, const FtcHash *block, const FtcHash *member);

/* A member's word on what it keeps of a body. */
extern void ftc_outbox_kept(int32 chain, const FtcHash *block, const FtcHash *member);

/* A member's copy is lost, or was found. */
extern void ftc_outbox_lost(int32 chain, const FtcHash *block, const FtcHash *member, bool lost);

/*
 * Announce blocks again that somebody may lack whose head is that one: some of the
 * main chain from where it leaves his, and the head.  Not known is one that is not
 * here.
 */
extern void ftc_outbox_again(int32 chain, const FtcHash *head);

/* The log of announcements, for links. */
extern const FtcOutLog ftc_outbox_log;

/*
 * Forget what every peer has acknowledged, but for the last so many; and what
 * goes beyond the most to be kept for a peer that stays away: its link restarts
 * and it reconciles.
 */
extern void ftc_outbox_prune(int32 chain, int64 keep, int64 most);

#endif							/* FTC_OUTBOX_H */

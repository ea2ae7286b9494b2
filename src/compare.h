/*-------------------------------------------------------------------------
 *
 * compare.h
 *	  What another member has, compared with what is here.
 *
 * These ask a peer and wait for it: with nothing locked.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_COMPARE_H
#define FTC_COMPARE_H

#include "chain.h"
#include "identity.h"
#include "peer.h"

/* A peer that is being asked about a chain. */
typedef struct FtcComparison
{
	FtcPeer		peer;
	FtcIdentity self;
	const FtcChain *chain;
	FtcHash		member;			/* that answers */
	int64		head;			/* of its main chain */
	FtcHash		head_id;
	FtcHash		work;
	int64		common;			/* the highest block of both main chains */
	int64		calls;
	int64		bytes;			/* of calls and answers */
} FtcComparison;

/* Make a call, counted; an error if it fails. */
extern struct pg_result *ftc_compare_ask(FtcComparison *asked, const FtcCall *call, const FtcPeerArgs *args);

/* Refuse to begin without a server, or where something may be locked: name is the function's. */
extern void ftc_compare_need(const char *server, const char *name);

/* Connect, and find out what both have in common; close in any case. */
extern void ftc_compare_open(FtcComparison *asked, const char *server, Oid for_role);
extern void ftc_compare_close(FtcComparison *asked);
extern void ftc_compare_chain(FtcComparison *asked, const FtcChain *chain);

/*
 * What the keeper does now and then with a peer and a chain: compare and write
 * down what came of it, or that it could not be done.
 */
extern void ftc_compare_peer(const char *server, const FtcChain *chain, Oid for_role);
extern void ftc_compare_failed(const char *server, const FtcChain *chain);

/* The next peer and chain that are due, each every so many seconds; palloc'd. */
extern char *ftc_compare_due(int interval, FtcChain *chain);

#endif							/* FTC_COMPARE_H */

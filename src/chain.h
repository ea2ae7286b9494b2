/*-------------------------------------------------------------------------
 *
 * chain.h
 *	  Chains this database takes part in: finding, locking, creating.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_CHAIN_H
#define FTC_CHAIN_H

#include "core/block.h"
#include "core/control.h"
#include "core/state.h"
#include "core/types.h"
#include "nodes/pg_list.h"

typedef struct FtcChain
{
	int32		id;
	char	   *name;
	FtcHash		genesis;
} FtcChain;

/* Inside a scope.  The first raises an error if there is none. */
extern void ftc_chain_need(FtcChain *chain, const char *name);
extern bool ftc_chain_find(FtcChain *chain, const char *name);
extern bool ftc_chain_by_genesis(FtcChain *chain, const FtcHash *genesis);
extern bool ftc_chain_by_id(FtcChain *chain, int32 id);
extern List *ftc_chain_list(void);	/* of FtcChain */

/* The key of a member of any chain, or of a peer.  False if nobody here knows it. */
extern bool ftc_chain_key_of(const FtcHash *member, FtcKey *key);

/* A list of one if name is given, else of all. */
extern List *ftc_chain_list_named(const char *name);

/*
 * One at a time adds blocks to a chain: hold its row's lock to the end of the
 * transaction.  Appends never take it.
 */
extern void ftc_chain_lock(int32 chain);

/* Check a genesis block and make a chain of it. */
extern void ftc_chain_found(FtcChain *chain, const char *name, const FtcBlock *block, bool pinned);

/*
 * What append() needs of a chain, kept in the backend until some row it was
 * made from changes.
 */
typedef struct FtcChainCache
{
	char		name[64];		/* key */
	int32		id;
	int32		origin;			/* of this database's current incarnation */
	FtcHash		member;
	int64		incarnation;
	uint32		max_payload;
	bool		stopped;		/* by an alarm: nothing may be appended */
	Oid			sequence;		/* of the numbers of entries */
	Oid			entry;			/* their table */
} FtcChainCache;

extern const FtcChainCache *ftc_chain_cached(const char *name); /* outside a scope */

/* Tell every backend that a chain, its members, the peers or the identity changed. */
extern void ftc_chain_invalidate(void);

#endif							/* FTC_CHAIN_H */

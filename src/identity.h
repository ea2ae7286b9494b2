/*-------------------------------------------------------------------------
 *
 * identity.h
 *	  Who this database is, and in which incarnation.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_IDENTITY_H
#define FTC_IDENTITY_H

#include "core/types.h"

typedef struct FtcIdentity
{
	FtcHash		member;
	FtcKey		public_key;
	int64		incarnation;
	int32		origin;			/* local number of (member, incarnation) */
} FtcIdentity;

/*
 * All of these inside a scope (stmt.h).
 *
 * ftc_identity_load gives false if this database has none, or is a copy of
 * one that has.  If the database may have been set back since its last use,
 * it raises the incarnation first.
 */
extern bool ftc_identity_load(FtcIdentity *identity);
extern void ftc_identity_need(FtcIdentity *identity);	/* or an error */
extern void ftc_identity_ensure(FtcIdentity *identity); /* or makes one */

/* Somebody holds what this database has no memory of: a new incarnation. */
extern void ftc_identity_set_back(const char *why);

/* Local number of an origin: 0 if there is none, or made if need be. */
extern int32 ftc_origin_find(const FtcHash *member, int64 incarnation);
extern int32 ftc_origin_number(const FtcHash *member, int64 incarnation);
extern void ftc_origin_load(int32 origin, FtcHash *member, int64 *incarnation);

#endif							/* FTC_IDENTITY_H */

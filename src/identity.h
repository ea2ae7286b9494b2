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
	int32		origin;			/* local number of the member */
	int64		incarnation;	/* see identity.c */
} FtcIdentity;

/*
 * All of these inside a scope (stmt.h).  ftc_identity_load gives false if this
 * database has none, or is a copy of one that has.
 */
extern bool ftc_identity_load(FtcIdentity *identity);
extern void ftc_identity_need(FtcIdentity *identity);	/* or an error */
extern void ftc_identity_ensure(FtcIdentity *identity); /* or makes one */

/* As an origin of entries, for which no key is needed; or an error. */
extern int32 ftc_identity_origin(void);

/* Somebody holds what this database has no memory of: a new incarnation. */
extern void ftc_identity_set_back(const char *why);

/* Local number of a member as an origin: 0 if there is none, or made if need be. */
extern int32 ftc_origin_find(const FtcHash *member);
extern int32 ftc_origin_number(const FtcHash *member);
extern FtcHash ftc_origin_member(int32 origin);

#endif							/* FTC_IDENTITY_H */

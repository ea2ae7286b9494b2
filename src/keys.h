/*-------------------------------------------------------------------------
 *
 * keys.h
 *	  Secret keys and the guard beside them: the only code that sees either.
 *
 * A database's key is the file <database oid>.pem in ftchain.key_directory,
 * mode 0600, never in a table: a dump or a logical copy must not clone an
 * identity.  The guard, <database oid>.guard, says the highest incarnation
 * ever used; it is synced to disk before that incarnation signs anything.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_KEYS_H
#define FTC_KEYS_H

#include "core/sign.h"

/* Make a key pair for this database; an error if there is one. */
extern void ftc_keys_create(FtcKey *public_key);

/* The public key of this database's key file; false if there is no file. */
extern bool ftc_keys_public(FtcKey *public_key);

/* Sign with this database's key; an error if that cannot be. */
extern void ftc_keys_sign(FtcDomain domain, const FtcHash *chain,
						  const FtcHash *digest, FtcSignature *signature);

extern int64 ftc_keys_read_guard(void); /* 0 if there is none */
extern void ftc_keys_write_guard(int64 incarnation);

#endif							/* FTC_KEYS_H */

/*-------------------------------------------------------------------------
 *
 * keys.h
 *	  Secret keys: the only code that sees them.
 *
 * A database's key is the file <database oid>.pem in ftchain.key_directory,
 * mode 0600, never in a table: a dump or a logical copy must not clone an
 * identity.  It is used only if nobody but the server's user can have read it
 * or put it there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_KEYS_H
#define FTC_KEYS_H

#include "core/sign.h"

/* Make a key pair for this database; an error if there is one. */
extern void ftc_keys_create(FtcKey *public_key);

/*
 * Take a file of the key directory, as of this database before it was lost, for
 * this database's key; an error if it has another.
 */
extern void ftc_keys_adopt(const char *name);

/* The public key of this database's key file; false if there is no file. */
extern bool ftc_keys_public(FtcKey *public_key);

/*
 * Sign with this database's key; an error if that cannot be.  The transaction
 * will commit synchronously: what is signed may go anywhere.
 */
extern void ftc_keys_sign(FtcDomain domain, const FtcHash *chain,
						  const FtcHash *digest, FtcSignature *signature);

#endif							/* FTC_KEYS_H */

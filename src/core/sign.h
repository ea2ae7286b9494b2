/*-------------------------------------------------------------------------
 *
 * sign.h
 *	  Ed25519 signatures (RFC 8032, by OpenSSL), and what may be signed.
 *
 * Every signature of ftchain is over exactly 96 bytes:
 *
 *		domain (32: an ASCII tag, zero padded) || chain (32: the genesis id) ||
 *		digest (32: of the thing signed)
 *
 * so that no signature can be taken for one of another kind or chain.
 *
 * A member id is permanent: SHA-256(domain "ftchain member id v1" ||
 * algorithm byte || first public key).  Keys may change, the id does not.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SIGN_H
#define FTC_SIGN_H

#include "types.h"

#define FTC_ALGORITHM_ED25519	1
#define FTC_DOMAIN_LEN			32

typedef enum FtcDomain
{
	FTC_DOMAIN_MEMBER,			/* hashed, not signed: member ids */
	FTC_DOMAIN_LINK,			/* hashed: where a link's chain starts */
	FTC_DOMAIN_MESSAGE,			/* hashed: ids of ledger messages */
	FTC_DOMAIN_BLOCK,			/* digest: the block id */
	FTC_DOMAIN_BUNDLE,			/* digest: SHA-256 of the bundle head leaf */
	FTC_DOMAIN_CONTROL,			/* digest: SHA-256 of the control's core */
	FTC_DOMAIN_POSSESSION,		/* digest: the member id of the new key */
	FTC_DOMAIN_STORED,			/* digest: the block id */
	FTC_DOMAIN_ACCOUNT,			/* digest: a link's chain value */
	FTC_DOMAIN_PRESENCE,		/* digest: see presence.h */
	FTC_DOMAIN_VOTE,			/* digest: see vote.h */
	FTC_DOMAIN_PROOF,			/* digest: see copy.h */
	FTC_DOMAIN_KEPT				/* digest: SHA-256 of a word, see word.h */
} FtcDomain;

/* Feed the 32 bytes of a domain into bytes. */
extern void ftc_domain_bytes(FtcDomain domain, uint8_t bytes[FTC_DOMAIN_LEN]);

extern FtcHash ftc_member_id(uint8_t algorithm, const FtcKey *key);

/*
 * FTC_OK for a key that may be registered.  Encodings with y >= p and the
 * points of small order are refused: under those OpenSSL accepts one
 * signature for every message.
 */
extern FtcReason ftc_key_check(const FtcKey *key);

/* The public key of a secret seed; false if OpenSSL fails. */
extern bool ftc_key_derive(const FtcKey *seed, FtcKey *key);

/* Sign with the secret seed; false if OpenSSL fails. */
extern bool ftc_sign(const FtcKey *seed, FtcDomain domain, const FtcHash *chain,
					 const FtcHash *digest, FtcSignature *signature);

/* FTC_OK, FTC_BAD_KEY or FTC_BAD_SIGNATURE. */
extern FtcReason ftc_verify(const FtcKey *key, FtcDomain domain, const FtcHash *chain,
							const FtcHash *digest, const FtcSignature *signature);

/* The same over any message, for the SQL function verify_signature(). */
extern FtcReason ftc_verify_raw(const FtcKey *key, FtcSlice message,
								const FtcSignature *signature);

#endif							/* FTC_SIGN_H */

/*-------------------------------------------------------------------------
 *
 * types.h
 *	  The few fixed-size values everything in ftchain is made of.
 *
 * The core (src/core) is pure C: no PostgreSQL, no clock, no socket, no heap,
 * no global state.  It reads bytes it is given, writes into memory it is
 * given, and answers with an FtcReason.  The same object files go into the
 * extension, the unit tests, the fuzzers and the stand-alone verifier.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_TYPES_H
#define FTC_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reason.h"

#define FTC_HASH_LEN		32	/* a SHA-256 digest, bytes */
#define FTC_KEY_LEN			32	/* an Ed25519 public key or secret seed, bytes */
#define FTC_SIGNATURE_LEN	64	/* an Ed25519 signature, bytes */
#define FTC_SALT_LEN		16	/* what hides an erased payload's hash, bytes */
#define FTC_NAME_MAX		63	/* author, kind, zone and names, bytes of
								 * UTF-8 */

/* Hard limits of the format; a chain's parameters may only be stricter. */
#define FTC_PAYLOAD_MAX		(16 * 1024 * 1024)	/* one payload, bytes */
#define FTC_BODY_MAX		(64 * 1024 * 1024)	/* one encoded body, bytes */
#define FTC_LEAVES_MAX		(1 << 20)	/* leaves of one body tree */
#define FTC_MEMBERS_MAX		10000	/* members of one chain */
#define FTC_WEIGHT_MAX		1000	/* weight of one member */
#define FTC_WEIGHTS_MAX		32768	/* weights of a chain's members, in all */
#define FTC_REPLICAS_MAX	100 /* owners of a body */
#define FTC_TIME_MAX		INT64_C(253402300799999999) /* 9999-12-31, us */

typedef struct FtcHash
{
	uint8_t		b[FTC_HASH_LEN];
} FtcHash;

typedef struct FtcKey
{
	uint8_t		b[FTC_KEY_LEN];
} FtcKey;

typedef struct FtcSignature
{
	uint8_t		b[FTC_SIGNATURE_LEN];
} FtcSignature;

/* Bytes that somebody else owns. */
typedef struct FtcSlice
{
	const uint8_t *data;
	size_t		len;
} FtcSlice;

extern const FtcHash ftc_hash_zero;

extern int	ftc_hash_compare(const FtcHash *a, const FtcHash *b);
extern bool ftc_hash_equal(const FtcHash *a, const FtcHash *b);
extern bool ftc_hash_is_zero(const FtcHash *hash);
extern bool ftc_utf8_is_valid(FtcSlice text);

#endif							/* FTC_TYPES_H */

/*-------------------------------------------------------------------------
 *
 * sha256.h
 *	  SHA-256 (FIPS 180-4), by OpenSSL.
 *
 * The low-level calls are used on purpose: one EVP digest costs about half a
 * microsecond beyond the hashing, which is more than a short leaf itself.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SHA256_H
#define FTC_SHA256_H

#include "types.h"

typedef struct FtcSha256
{
	uint64_t	opaque[14];		/* holds OpenSSL's SHA256_CTX */
} FtcSha256;

extern void ftc_sha256_init(FtcSha256 *sha);
extern void ftc_sha256_update(FtcSha256 *sha, const void *data, size_t len);
extern FtcHash ftc_sha256_final(FtcSha256 *sha);
extern FtcHash ftc_sha256(FtcSlice bytes);

/*
 * The compression function alone: state[8] is replaced by its image under one
 * 64-byte block.  ftc_sha256_start gives the initial state.
 */
extern void ftc_sha256_start(uint32_t state[8]);
extern void ftc_sha256_compress(uint32_t state[8], const uint8_t block[64]);

#endif							/* FTC_SHA256_H */

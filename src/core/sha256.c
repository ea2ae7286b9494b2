/*-------------------------------------------------------------------------
 *
 * sha256.c
 *	  SHA-256 by OpenSSL's low-level functions.
 *
 *-------------------------------------------------------------------------
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <string.h>

#include "sha256.h"

_Static_assert(sizeof(SHA256_CTX) <= sizeof(FtcSha256), "room for OpenSSL's context");
_Static_assert(sizeof(SHA_LONG) == sizeof(uint32_t), "OpenSSL's words have 32 bits");

static SHA256_CTX *
ctx_of(FtcSha256 *sha)
{
	return (SHA256_CTX *) (void *) sha;
}

void
ftc_sha256_init(FtcSha256 *sha)
{
	SHA256_Init(ctx_of(sha));
}

void
ftc_sha256_update(FtcSha256 *sha, const void *data, size_t len)
{
	SHA256_Update(ctx_of(sha), data, len);
}

FtcHash
ftc_sha256_final(FtcSha256 *sha)
{
	FtcHash		hash;

	SHA256_Final(hash.b, ctx_of(sha));
	return hash;
}

FtcHash
ftc_sha256(FtcSlice bytes)
{
	FtcSha256	sha;

	ftc_sha256_init(&sha);
	ftc_sha256_update(&sha, bytes.data, bytes.len);
	return ftc_sha256_final(&sha);
}

void
ftc_sha256_start(uint32_t state[8])
{
	SHA256_CTX	ctx;

	SHA256_Init(&ctx);
	memcpy(state, ctx.h, sizeof(ctx.h));
}

void
ftc_sha256_compress(uint32_t state[8], const uint8_t block[64])
{
	SHA256_CTX	ctx;

	memcpy(ctx.h, state, sizeof(ctx.h));
	SHA256_Transform(&ctx, block);
	memcpy(state, ctx.h, sizeof(ctx.h));
}

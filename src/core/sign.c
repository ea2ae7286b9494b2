/*-------------------------------------------------------------------------
 *
 * sign.c
 *	  Ed25519 signatures over domain-separated digests.
 *
 *-------------------------------------------------------------------------
 */
#include "sign.h"

#include <openssl/evp.h>
#include <string.h>

#include "sha256.h"

#define SIGNED_LEN (FTC_DOMAIN_LEN + 2 * FTC_HASH_LEN)

static const char *const domain_tags[] = {
	[FTC_DOMAIN_MEMBER] = "ftchain member id v1",
	[FTC_DOMAIN_LINK] = "ftchain link v1",
	[FTC_DOMAIN_MESSAGE] = "ftchain message v1",
	[FTC_DOMAIN_BLOCK] = "ftchain block v1",
	[FTC_DOMAIN_BUNDLE] = "ftchain bundle v1",
	[FTC_DOMAIN_CONTROL] = "ftchain control v1",
	[FTC_DOMAIN_POSSESSION] = "ftchain possession v1",
	[FTC_DOMAIN_STORED] = "ftchain stored v1",
	[FTC_DOMAIN_ACCOUNT] = "ftchain link account v1",
	[FTC_DOMAIN_PRESENCE] = "ftchain presence v1",
	[FTC_DOMAIN_VOTE] = "ftchain vote v1",
	[FTC_DOMAIN_PROOF] = "ftchain proof v1",
	[FTC_DOMAIN_KEPT] = "ftchain kept v1",
};

void
ftc_domain_bytes(FtcDomain domain, uint8_t bytes[FTC_DOMAIN_LEN])
{
	memset(bytes, 0, FTC_DOMAIN_LEN);
	memcpy(bytes, domain_tags[domain], strlen(domain_tags[domain]));
}

FtcHash
ftc_member_id(uint8_t algorithm, const FtcKey *key)
{
	uint8_t		domain[FTC_DOMAIN_LEN];
	FtcSha256	sha;

	ftc_domain_bytes(FTC_DOMAIN_MEMBER, domain);
	ftc_sha256_init(&sha);
	ftc_sha256_update(&sha, domain, sizeof(domain));
	ftc_sha256_update(&sha, &algorithm, 1);
	ftc_sha256_update(&sha, key->b, FTC_KEY_LEN);
	return ftc_sha256_final(&sha);
}

/*
 * The y coordinates of the eight points whose order divides eight, little
 * endian, sign bit cleared: 0, 1, -1 and the two of order eight.
 */
static const uint8_t small_order[][FTC_KEY_LEN] = {
	{0x00},
	{0x01},
	{
		0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f
	},
	{
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0,
		0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39,
		0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05
	},
	{
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f,
		0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6,
		0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a
	},
};

/* y >= p = 2^255 - 19, for a little-endian y below 2^255 */
static bool
is_not_reduced(const uint8_t y[FTC_KEY_LEN])
{
	if (y[31] != 0x7f || y[0] < 0xed)
		return false;
	for (int i = 1; i < 31; i++)
		if (y[i] != 0xff)
			return false;
	return true;
}

FtcReason
ftc_key_check(const FtcKey *key)
{
	uint8_t		y[FTC_KEY_LEN];

	memcpy(y, key->b, FTC_KEY_LEN);
	y[31] &= 0x7f;
	if (is_not_reduced(y))
		return FTC_BAD_KEY;
	for (size_t i = 0; i < sizeof(small_order) / sizeof(small_order[0]); i++)
		if (memcmp(y, small_order[i], FTC_KEY_LEN) == 0)
			return FTC_BAD_KEY;
	return FTC_OK;
}

bool
ftc_key_derive(const FtcKey *seed, FtcKey *key)
{
	EVP_PKEY   *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
													seed->b, FTC_KEY_LEN);
	size_t		len = FTC_KEY_LEN;
	bool		ok = pkey != NULL &&
	EVP_PKEY_get_raw_public_key(pkey, key->b, &len) == 1 && len == FTC_KEY_LEN;

	EVP_PKEY_free(pkey);
	return ok;
}

static void
signed_bytes(FtcDomain domain, const FtcHash *chain, const FtcHash *digest,
			 uint8_t bytes[SIGNED_LEN])
{
	ftc_domain_bytes(domain, bytes);
	memcpy(bytes + FTC_DOMAIN_LEN, chain->b, FTC_HASH_LEN);
	memcpy(bytes + FTC_DOMAIN_LEN + FTC_HASH_LEN, digest->b, FTC_HASH_LEN);
}

bool
ftc_sign(const FtcKey *seed, FtcDomain domain, const FtcHash *chain,
		 const FtcHash *digest, FtcSignature *signature)
{
	uint8_t		bytes[SIGNED_LEN];
	size_t		len = FTC_SIGNATURE_LEN;
	EVP_PKEY   *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
													seed->b, FTC_KEY_LEN);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool		ok;

	signed_bytes(domain, chain, digest, bytes);
	ok = pkey != NULL && ctx != NULL &&
		EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		EVP_DigestSign(ctx, signature->b, &len, bytes, sizeof(bytes)) == 1 &&
		len == FTC_SIGNATURE_LEN;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

FtcReason
ftc_verify_raw(const FtcKey *key, FtcSlice message, const FtcSignature *signature)
{
	FtcReason	reason = ftc_key_check(key);
	EVP_PKEY   *pkey;
	EVP_MD_CTX *ctx;
	bool		ok;

	if (reason != FTC_OK)
		return reason;
	pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->b, FTC_KEY_LEN);
	ctx = EVP_MD_CTX_new();
	ok = pkey != NULL && ctx != NULL &&
		EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		EVP_DigestVerify(ctx, signature->b, FTC_SIGNATURE_LEN,
						 message.data, message.len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok ? FTC_OK : FTC_BAD_SIGNATURE;
}

FtcReason
ftc_verify(const FtcKey *key, FtcDomain domain, const FtcHash *chain,
		   const FtcHash *digest, const FtcSignature *signature)
{
	uint8_t		bytes[SIGNED_LEN];
	FtcSlice	message = {bytes, sizeof(bytes)};

	signed_bytes(domain, chain, digest, bytes);
	return ftc_verify_raw(key, message, signature);
}

/*-------------------------------------------------------------------------
 *
 * fake_sign.c
 *	  The functions of src/core/sign.h with a keyed hash for a signature, which
 *	  is a hundred times as fast.
 *
 * Whoever knows a public key can sign with it here; nobody in the simulator does
 * so but its owner.  Domains and member ids are the real ones.
 *
 *-------------------------------------------------------------------------
 */
#include "sign.h"

#include <string.h>

#include "bytes.h"
#include "sha256.h"

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
	uint8_t		bytes[FTC_DOMAIN_LEN + 1 + FTC_KEY_LEN];

	ftc_domain_bytes(FTC_DOMAIN_MEMBER, bytes);
	bytes[FTC_DOMAIN_LEN] = algorithm;
	memcpy(bytes + FTC_DOMAIN_LEN + 1, key->b, FTC_KEY_LEN);
	return ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
}

FtcReason
ftc_key_check(const FtcKey *key)
{
	(void) key;
	return FTC_OK;
}

bool
ftc_key_derive(const FtcKey *seed, FtcKey *key)
{
	FtcHash		hash = ftc_sha256(ftc_slice(seed->b, FTC_KEY_LEN));

	memcpy(key->b, hash.b, FTC_KEY_LEN);
	return true;
}

static void
sign_with(const FtcKey *key, FtcSlice message, FtcSignature *signature)
{
	FtcSha256	sha;
	FtcHash		hash;

	ftc_sha256_init(&sha);
	ftc_sha256_update(&sha, key->b, FTC_KEY_LEN);
	ftc_sha256_update(&sha, message.data, message.len);
	hash = ftc_sha256_final(&sha);
	memcpy(signature->b, hash.b, FTC_HASH_LEN);
	for (int i = 0; i < FTC_HASH_LEN; i++)
		signature->b[FTC_HASH_LEN + i] = (uint8_t) ~hash.b[i];
}

static FtcSlice
signed_bytes(FtcDomain domain, const FtcHash *chain, const FtcHash *digest, uint8_t *bytes)
{
	ftc_domain_bytes(domain, bytes);
	memcpy(bytes + FTC_DOMAIN_LEN, chain->b, FTC_HASH_LEN);
	memcpy(bytes + FTC_DOMAIN_LEN + FTC_HASH_LEN, digest->b, FTC_HASH_LEN);
	return ftc_slice(bytes, FTC_DOMAIN_LEN + 2 * FTC_HASH_LEN);
}

bool
ftc_sign(const FtcKey *seed, FtcDomain domain, const FtcHash *chain, const FtcHash *digest,
		 FtcSignature *signature)
{
	uint8_t		bytes[FTC_DOMAIN_LEN + 2 * FTC_HASH_LEN];
	FtcKey		key;

	ftc_key_derive(seed, &key);
	sign_with(&key, signed_bytes(domain, chain, digest, bytes), signature);
	return true;
}

FtcReason
ftc_verify(const FtcKey *key, FtcDomain domain, const FtcHash *chain, const FtcHash *digest,
		   const FtcSignature *signature)
{
	uint8_t		bytes[FTC_DOMAIN_LEN + 2 * FTC_HASH_LEN];

	return ftc_verify_raw(key, signed_bytes(domain, chain, digest, bytes), signature);
}

FtcReason
ftc_verify_raw(const FtcKey *key, FtcSlice message, const FtcSignature *signature)
{
	FtcSignature right;

	sign_with(key, message, &right);
	return memcmp(right.b, signature->b, FTC_SIGNATURE_LEN) == 0 ? FTC_OK : FTC_BAD_SIGNATURE;
}

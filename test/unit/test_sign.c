/*-------------------------------------------------------------------------
 *
 * test_sign.c
 *	  Tests of sign.c: published signatures, keys that must be refused, and
 *	  that a signature is of one thing only.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <openssl/evp.h>

#include "build.h"
#include "sha256.h"
#include "sign.h"

#define DOMAINS (FTC_DOMAIN_KEPT + 1)

static void
test_wycheproof(void **state)
{
	TestLines	lines = lines_open("wycheproof_ed25519.txt");
	int			valid = 0;
	int			invalid = 0;
	int			unlike = 0;

	(void) state;
	while (lines_next(&lines))
	{
		FtcSlice	key = unhex(lines.field[1]);
		FtcSlice	message = unhex(lines.field[2]);
		FtcSlice	signature = unhex(lines.field[3]);
		bool		is_valid = strcmp(lines.field[0], "valid") == 0;

		assert_int_equal(key.len, FTC_KEY_LEN);
		if (signature.len != FTC_SIGNATURE_LEN)
		{
			/* our signatures have no other length */
			assert_false(is_valid);
			unlike++;
			continue;
		}
		assert_reason(ftc_verify_raw((const FtcKey *) key.data, message,
									 (const FtcSignature *) signature.data),
					  is_valid ? FTC_OK : FTC_BAD_SIGNATURE);
		valid += is_valid;
		invalid += !is_valid;
	}
	lines_close(&lines);
	assert_int_equal(valid, 88);
	assert_int_equal(invalid, 51);
	assert_int_equal(unlike, 12);
}

/* RFC 8032, section 7.1, test 1 */
static void
test_derive(void **state)
{
	FtcSlice	seed = unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
	FtcSlice	expected = unhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
	FtcKey		key;

	(void) state;
	assert_true(ftc_key_derive((const FtcKey *) seed.data, &key));
	assert_slice_equal(ftc_slice(key.b, FTC_KEY_LEN), expected);
}

static void
test_domains(void **state)
{
	static const char *const tags[DOMAINS] = {
		"ftchain member id v1", "ftchain link v1", "ftchain message v1", "ftchain block v1",
		"ftchain bundle v1", "ftchain control v1", "ftchain possession v1",
		"ftchain stored v1", "ftchain link account v1", "ftchain presence v1",
		"ftchain vote v1", "ftchain proof v1", "ftchain kept v1"
	};

	(void) state;
	for (int i = 0; i < DOMAINS; i++)
	{
		uint8_t		bytes[FTC_DOMAIN_LEN];
		char		expected[FTC_DOMAIN_LEN + 1] = {0};

		memset(bytes, 0xff, sizeof(bytes));
		snprintf(expected, sizeof(expected), "%s", tags[i]);
		ftc_domain_bytes((FtcDomain) i, bytes);
		assert_memory_equal(bytes, expected, FTC_DOMAIN_LEN);
	}
}

static void
test_member_id(void **state)
{
	TestPerson	somebody = person(1);
	uint8_t		bytes[FTC_DOMAIN_LEN + 1 + FTC_KEY_LEN] = "ftchain member id v1";
	FtcHash		id = ftc_member_id(1, &somebody.key);
	FtcHash		other = ftc_member_id(2, &somebody.key);
	FtcHash		expected;

	(void) state;
	bytes[FTC_DOMAIN_LEN] = 1;
	memcpy(bytes + FTC_DOMAIN_LEN + 1, somebody.key.b, FTC_KEY_LEN);
	expected = ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
	assert_hash_equal(&id, &expected);
	assert_false(ftc_hash_equal(&id, &other));
}

/* What is signed is domain || chain || digest, and nothing else. */
static void
test_signed_bytes(void **state)
{
	TestPerson	signer = person(1);
	FtcHash		chain = hash_of("chain", 1);
	FtcHash		digest = hash_of("digest", 1);

	(void) state;
	for (int domain = 0; domain < DOMAINS; domain++)
	{
		FtcSignature signature = signed_by(&signer, (FtcDomain) domain, &chain, &digest);
		uint8_t		bytes[96];

		ftc_domain_bytes((FtcDomain) domain, bytes);
		memcpy(bytes + 32, chain.b, 32);
		memcpy(bytes + 64, digest.b, 32);
		assert_reason(ftc_verify_raw(&signer.key, ftc_slice(bytes, sizeof(bytes)), &signature),
					  FTC_OK);
		assert_reason(ftc_verify_raw(&signer.key, ftc_slice(bytes, sizeof(bytes) - 1), &signature),
					  FTC_BAD_SIGNATURE);
	}
}

/* A signature holds for its key, domain, chain and digest alone. */
static void
test_separation(void **state)
{
	TestPerson	signer = person(1);
	TestPerson	other = person(2);
	FtcHash		chain = hash_of("chain", 1);
	FtcHash		digest = hash_of("digest", 1);

	(void) state;
	for (int a = 0; a < DOMAINS; a++)
	{
		FtcSignature signature = signed_by(&signer, (FtcDomain) a, &chain, &digest);

		for (int b = 0; b < DOMAINS; b++)
			assert_reason(ftc_verify(&signer.key, (FtcDomain) b, &chain, &digest, &signature),
						  a == b ? FTC_OK : FTC_BAD_SIGNATURE);
		assert_reason(ftc_verify(&other.key, (FtcDomain) a, &chain, &digest, &signature),
					  FTC_BAD_SIGNATURE);
		assert_reason(ftc_verify(&signer.key, (FtcDomain) a, &digest, &chain, &signature),
					  FTC_BAD_SIGNATURE);
		assert_reason(ftc_verify(&signer.key, (FtcDomain) a, &ftc_hash_zero, &digest, &signature),
					  FTC_BAD_SIGNATURE);
	}
}

/* Every bit of the signature, the digest and the chain counts. */
static void
test_bits(void **state)
{
	TestPerson	signer = person(1);
	FtcHash		chain = hash_of("chain", 1);
	FtcHash		digest = hash_of("digest", 1);
	FtcSignature signature = signed_by(&signer, FTC_DOMAIN_BLOCK, &chain, &digest);

	(void) state;
	for (int bit = 0; bit < 8 * FTC_SIGNATURE_LEN; bit++)
	{
		signature.b[bit / 8] ^= (uint8_t) (1 << bit % 8);
		assert_reason(ftc_verify(&signer.key, FTC_DOMAIN_BLOCK, &chain, &digest, &signature),
					  FTC_BAD_SIGNATURE);
		signature.b[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	for (int bit = 0; bit < 8 * FTC_HASH_LEN; bit++)
	{
		digest.b[bit / 8] ^= (uint8_t) (1 << bit % 8);
		assert_reason(ftc_verify(&signer.key, FTC_DOMAIN_BLOCK, &chain, &digest, &signature),
					  FTC_BAD_SIGNATURE);
		digest.b[bit / 8] ^= (uint8_t) (1 << bit % 8);
		chain.b[bit / 8] ^= (uint8_t) (1 << bit % 8);
		assert_reason(ftc_verify(&signer.key, FTC_DOMAIN_BLOCK, &chain, &digest, &signature),
					  FTC_BAD_SIGNATURE);
		chain.b[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	assert_reason(ftc_verify(&signer.key, FTC_DOMAIN_BLOCK, &chain, &digest, &signature), FTC_OK);
}

/* Signing again gives the same bytes: nothing is left to chance. */
static void
test_deterministic(void **state)
{
	TestPerson	signer = person(1);
	FtcHash		digest = hash_of("digest", 1);
	FtcSignature first = signed_by(&signer, FTC_DOMAIN_BLOCK, &ftc_hash_zero, &digest);
	FtcSignature second = signed_by(&signer, FTC_DOMAIN_BLOCK, &ftc_hash_zero, &digest);

	(void) state;
	assert_memory_equal(first.b, second.b, FTC_SIGNATURE_LEN);
}

/* The y coordinates of the points of small order: 0, 1, -1, two of order 8. */
static const char *const small_order[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
};

/* OpenSSL alone, without our look at the key. */
static bool
openssl_accepts(const FtcKey *key, FtcSlice message, const FtcSignature *signature)
{
	EVP_PKEY   *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->b, FTC_KEY_LEN);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool		ok = pkey != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	EVP_DigestVerify(ctx, signature->b, FTC_SIGNATURE_LEN, message.data, message.len) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

/*
 * R = the neutral point, S = 0 satisfies the equation for one message in
 * eight, whoever made it.  So these keys are anybody's.
 */
static int
count_forgeries(const FtcKey *key)
{
	FtcSignature signature = {{1}};
	int			forged = 0;

	for (int i = 0; i < 200; i++)
	{
		FtcHash		message = hash_of("message", (uint64_t) i);

		forged += openssl_accepts(key, of_hash(&message), &signature);
		assert_reason(ftc_verify_raw(key, of_hash(&message), &signature), FTC_BAD_KEY);
		assert_reason(ftc_verify(key, FTC_DOMAIN_BLOCK, &message, &message, &signature),
					  FTC_BAD_KEY);
	}
	return forged;
}

static void
test_small_order(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(small_order); i++)
	{
		FtcSlice	bytes = unhex(small_order[i]);
		FtcKey	   *key = (FtcKey *) bytes.data;

		assert_reason(ftc_key_check(key), FTC_BAD_KEY);
		assert_true(count_forgeries(key) > 5);
		/* the other point with this y */
		key->b[31] |= 0x80;
		assert_reason(ftc_key_check(key), FTC_BAD_KEY);
		if (i != 1 && i != 2)
			assert_true(count_forgeries(key) > 5);
	}
}

/* y from p - 3 to 2^255 - 1: what is not below p is refused. */
static void
test_not_reduced(void **state)
{
	FtcKey		key;

	(void) state;
	for (int low = 0xea; low <= 0xff; low++)
		for (int sign = 0; sign <= 1; sign++)
		{
			memset(key.b, 0xff, sizeof(key.b));
			key.b[0] = (uint8_t) low;
			key.b[31] = sign ? 0xff : 0x7f;
			/* p - 1 is -1, of order two */
			assert_reason(ftc_key_check(&key), low >= 0xec ? FTC_BAD_KEY : FTC_OK);
			/* any byte less, and it is below p */
			for (int at = 1; at < 31; at++)
			{
				key.b[at] = 0xfe;
				assert_reason(ftc_key_check(&key), FTC_OK);
				key.b[at] = 0xff;
			}
			key.b[31] ^= 0x40;
			assert_reason(ftc_key_check(&key), FTC_OK);
		}
}

/* Bytes that are no point verify nothing. */
static void
test_not_a_point(void **state)
{
	TestPerson	signer = person(1);
	FtcHash		digest = hash_of("digest", 1);
	FtcSignature signature = signed_by(&signer, FTC_DOMAIN_BLOCK, &ftc_hash_zero, &digest);
	FtcKey		key = {{2}};

	(void) state;
	assert_reason(ftc_key_check(&key), FTC_OK);
	assert_reason(ftc_verify(&key, FTC_DOMAIN_BLOCK, &ftc_hash_zero, &digest, &signature),
				  FTC_BAD_SIGNATURE);
}

static void
test_real_keys(void **state)
{
	(void) state;
	for (uint64_t i = 0; i < 200; i++)
	{
		TestPerson	somebody = person(i);

		assert_reason(ftc_key_check(&somebody.key), FTC_OK);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_wycheproof),
		test(test_derive),
		test(test_domains),
		test(test_member_id),
		test(test_signed_bytes),
		test(test_separation),
		test(test_bits),
		test(test_deterministic),
		test(test_small_order),
		test(test_not_reduced),
		test(test_not_a_point),
		test(test_real_keys),
	};

	return cmocka_run_group_tests_name("sign", tests, NULL, NULL);
}

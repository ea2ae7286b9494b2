/*-------------------------------------------------------------------------
 *
 * forge.c
 *	  Signs what the tests of hostile peers make up.
 *
 * Each line of standard input is a secret seed and a message, in hex; for it
 * comes a line with the public key and the signature.  The rest of a forgery,
 * including the proof of work, is made in Perl (test/perl/FtchainForge.pm), and
 * nothing of the core is used: so the formats are written down twice.
 *
 *-------------------------------------------------------------------------
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED_LEN 32
#define SIGNATURE_LEN 64
#define LINE_MAX_LEN 65536

static size_t
from_hex(const char *hex, unsigned char *bytes)
{
	size_t		len = strlen(hex) / 2;

	for (size_t i = 0; i < len; i++)
	{
		unsigned int byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			exit(2);
		bytes[i] = (unsigned char) byte;
	}
	return len;
}

static void
put_hex(const unsigned char *bytes, size_t len, char end)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", bytes[i]);
	putchar(end);
}

static void
answer(const unsigned char *seed, const unsigned char *message, size_t len)
{
	EVP_PKEY   *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SEED_LEN);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char public_key[SEED_LEN];
	unsigned char signature[SIGNATURE_LEN];
	size_t		key_len = sizeof(public_key);
	size_t		signature_len = sizeof(signature);

	if (key == NULL || context == NULL ||
		EVP_PKEY_get_raw_public_key(key, public_key, &key_len) != 1 ||
		EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
		EVP_DigestSign(context, signature, &signature_len, message, len) != 1)
		exit(3);
	put_hex(public_key, key_len, ' ');
	put_hex(signature, signature_len, '\n');
	fflush(stdout);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
}

int
main(void)
{
	static char line[LINE_MAX_LEN];
	static unsigned char message[LINE_MAX_LEN / 2];

	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		char	   *seed_hex = strtok(line, " \n");
		char	   *message_hex = strtok(NULL, " \n");
		unsigned char seed[SEED_LEN];

		if (seed_hex == NULL || strlen(seed_hex) != 2 * SEED_LEN || message_hex == NULL)
			return 1;
		(void) from_hex(seed_hex, seed);
		answer(seed, message, from_hex(message_hex, message));
	}
	return 0;
}

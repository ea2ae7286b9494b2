/*-------------------------------------------------------------------------
 *
 * keys.c
 *	  Secret keys.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "access/xact.h"
#include "common/file_perm.h"
#include "miscadmin.h"
#include "port.h"
#include "storage/fd.h"

#include "guc.h"
#include "keys.h"

#define KEY_FILE_MAX 4096

static char *
key_path(const char *suffix)
{
	char	   *path;

	if (is_absolute_path(ftc_guc_key_directory))
		path = psprintf("%s/%u.%s", ftc_guc_key_directory, MyDatabaseId, suffix);
	else
		path = psprintf("%s/%s/%u.%s", DataDir, ftc_guc_key_directory, MyDatabaseId, suffix);
	canonicalize_path(path);
	return path;
}

static char *
directory_of(const char *path)
{
	char	   *directory = pstrdup(path);

	get_parent_directory(directory);
	return directory;
}

static void
make_key_directory(const char *path)
{
	if (mkdir(path, S_IRWXU) < 0 && errno != EEXIST)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not create key directory \"%s\": %m", path),
				errhint("Create it, owned by the server's user, or set ftchain.key_directory."));
	fsync_fname(path, true);
	fsync_fname(directory_of(path), true);
}

/* Who may write to the directory of a key may put another in its place. */
static void
check_key_directory(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not stat key directory \"%s\": %m", path));
	if (st.st_uid != geteuid() && st.st_uid != 0)
		ereport(ERROR,
				errcode(ERRCODE_CONFIG_FILE_ERROR),
				errmsg("key directory \"%s\" must be owned by the server's user or root", path));
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		ereport(ERROR,
				errcode(ERRCODE_CONFIG_FILE_ERROR),
				errmsg("key directory \"%s\" can be written to by group or world", path),
				errhint("Its permissions should be u=rwx (0700)."));
}

/* Give the file its name, unless that is taken: a key is never overwritten. */
static void
publish_file(const char *temporary, const char *path)
{
	if (link(temporary, path) < 0)
	{
		int			why = errno;

		unlink(temporary);
		errno = why;
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not create key file \"%s\": %m", path),
				why == EEXIST ? errhint("It may be the only copy of a key that a chain knows. If it is of no use any more, move it away.") : 0);
	}
	unlink(temporary);
	fsync_fname(directory_of(path), true);
}

/* Bytes to a file that is there whole or not at all, readable by us alone. */
static void
write_secret_file(const char *path, const char *bytes, size_t len)
{
	char	   *temporary = psprintf("%s.tmp", path);
	int			fd;

	if (unlink(temporary) < 0 && errno != ENOENT)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not remove file \"%s\": %m", temporary));
	fd = OpenTransientFilePerm(temporary, O_CREAT | O_EXCL | O_WRONLY | PG_BINARY,
							   S_IRUSR | S_IWUSR);
	if (fd < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not create file \"%s\": %m", temporary));
	errno = 0;
	if (write(fd, bytes, len) != (ssize_t) len)
	{
		if (errno == 0)
			errno = ENOSPC;
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not write file \"%s\": %m", temporary));
	}
	if (pg_fsync(fd) != 0 || CloseTransientFile(fd) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not write file \"%s\": %m", temporary));
	publish_file(temporary, path);
}

/* Is it ours, and nobody else's? */
static void
check_key_file(const char *path, const struct stat *st)
{
	if (!S_ISREG(st->st_mode) || st->st_uid != geteuid())
		ereport(ERROR,
				errcode(ERRCODE_CONFIG_FILE_ERROR),
				errmsg("key file \"%s\" must be a regular file owned by the server's user", path));
	if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
		ereport(ERROR,
				errcode(ERRCODE_CONFIG_FILE_ERROR),
				errmsg("key file \"%s\" has group or world access", path),
				errhint("Its permissions should be u=rw (0600)."));
	check_key_directory(directory_of(path));
}

/* The file's bytes, terminated; NULL if there is no such file. */
static char *
read_key_file(const char *path)
{
	char	   *bytes = palloc0(KEY_FILE_MAX + 1);
	int			fd = OpenTransientFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | PG_BINARY);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return NULL;
	if (fd < 0 || fstat(fd, &st) < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not open key file \"%s\": %m", path));
	check_key_file(path, &st);
	if (read(fd, bytes, KEY_FILE_MAX) < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not read key file \"%s\": %m", path));
	CloseTransientFile(fd);
	return bytes;
}

/* False if there is no key file.  The caller cleanses the seed. */
static bool
load_seed(FtcKey *seed)
{
	char	   *path = key_path("pem");
	char	   *pem = read_key_file(path);
	size_t		len = FTC_KEY_LEN;
	EVP_PKEY   *pkey;
	BIO		   *bio;
	bool		ok;

	if (pem == NULL)
		return false;
	bio = BIO_new_mem_buf(pem, -1);
	pkey = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	ok = pkey != NULL && EVP_PKEY_base_id(pkey) == EVP_PKEY_ED25519 &&
		EVP_PKEY_get_raw_private_key(pkey, seed->b, &len) == 1 && len == FTC_KEY_LEN;
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	OPENSSL_cleanse(pem, KEY_FILE_MAX);
	if (!ok)
		ereport(ERROR,
				errcode(ERRCODE_CONFIG_FILE_ERROR),
				errmsg("file \"%s\" does not hold an Ed25519 private key", path));
	return true;
}

static void
store_seed(const FtcKey *seed, const char *path)
{
	EVP_PKEY   *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
													seed->b, FTC_KEY_LEN);
	BIO		   *bio = BIO_new(BIO_s_secmem());
	char	   *pem = NULL;
	char	   *copy = NULL;
	long		len = 0;

	if (pkey != NULL && bio != NULL &&
		PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1)
	{
		len = BIO_get_mem_data(bio, &pem);
		copy = pnstrdup(pem, len);
	}
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	if (copy == NULL)
		ereport(ERROR,
				errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				errmsg("OpenSSL could not encode a private key"));
	write_secret_file(path, copy, len);
	OPENSSL_cleanse(copy, len);
}

void
ftc_keys_create(FtcKey *public_key)
{
	char	   *path = key_path("pem");
	FtcKey		seed;

	make_key_directory(directory_of(path));
	check_key_directory(directory_of(path));
	if (!pg_strong_random(seed.b, sizeof(seed.b)) || !ftc_key_derive(&seed, public_key))
		ereport(ERROR,
				errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				errmsg("could not make a key"));
	store_seed(&seed, path);
	OPENSSL_cleanse(&seed, sizeof(seed));
}

bool
ftc_keys_public(FtcKey *public_key)
{
	FtcKey		seed;
	bool		ok;

	if (!load_seed(&seed))
		return false;
	ok = ftc_key_derive(&seed, public_key);
	OPENSSL_cleanse(&seed, sizeof(seed));
	return ok;
}

void
ftc_keys_sign(FtcDomain domain, const FtcHash *chain, const FtcHash *digest,
			  FtcSignature *signature)
{
	FtcKey		seed;
	bool		ok;

	ForceSyncCommit();
	if (!load_seed(&seed))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FILE),
				errmsg("key file \"%s\" does not exist", key_path("pem")),
				errhint("A database that was copied or restored is nobody until ftchain.create_identity() is called."));
	ok = ftc_sign(&seed, domain, chain, digest, signature);
	OPENSSL_cleanse(&seed, sizeof(seed));
	if (!ok)
		ereport(ERROR,
				errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				errmsg("OpenSSL could not sign"));
}

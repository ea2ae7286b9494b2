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
#include <openssl/x509.h>

#include "access/xact.h"
#include "commands/dbcommands.h"
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

/* Close with CloseTransientFile(); -1 if there is no such file. */
static int
open_key_file(const char *path, struct stat *st)
{
	int			fd = OpenTransientFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | PG_BINARY);

	if (fd < 0 && errno == ENOENT)
		return -1;
	if (fd < 0 || fstat(fd, st) < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not open key file \"%s\": %m", path));
	check_key_file(path, st);
	return fd;
}

/*
 * The 32 bytes of an Ed25519 key: an octet string in the one of PKCS #8 (RFC
 * 8410, section 7).  OpenSSL's way from the file to a key tries every decoder
 * it has, which takes longer than to sign.
 */
static bool
read_seed(const char *pem, FtcKey *seed)
{
	BIO		   *bio = BIO_new_mem_buf(pem, -1);
	PKCS8_PRIV_KEY_INFO *info = bio == NULL ? NULL : PEM_read_bio_PKCS8_PRIV_KEY_INFO(bio, NULL, NULL, NULL);
	const ASN1_OBJECT *algorithm;
	const unsigned char *bytes;
	int			len;
	bool		ok = info != NULL && PKCS8_pkey_get0(&algorithm, &bytes, &len, NULL, info) == 1 &&
	OBJ_obj2nid(algorithm) == NID_ED25519 && len == 2 + FTC_KEY_LEN &&
	bytes[0] == V_ASN1_OCTET_STRING && bytes[1] == FTC_KEY_LEN;

	if (ok)
		memcpy(seed->b, bytes + 2, FTC_KEY_LEN);
	PKCS8_PRIV_KEY_INFO_free(info);
	BIO_free(bio);
	return ok;
}

/* False if there is no key file.  The caller cleanses the seed. */
static bool
load_seed(FtcKey *seed)
{
	char	   *path = key_path("pem");
	char		pem[KEY_FILE_MAX + 1] = {0};
	struct stat st;
	int			fd = open_key_file(path, &st);
	bool		ok;

	if (fd < 0)
		return false;
	if (read(fd, pem, KEY_FILE_MAX) < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not read key file \"%s\": %m", path));
	CloseTransientFile(fd);
	ok = read_seed(pem, seed);
	OPENSSL_cleanse(pem, sizeof(pem));
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

/* The key of another database of this server is not for who administers this one. */
static void
refuse_key_of_other(const char *name)
{
	char	   *end;
	unsigned long oid = strtoul(name, &end, 10);
	char	   *database;

	if (end == name || strncmp(end, ".pem", 4) != 0 || oid == MyDatabaseId)
		return;
	database = oid <= PG_UINT32_MAX ? get_database_name((Oid) oid) : NULL;
	if (database != NULL)
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("key file \"%s\" is that of database \"%s\"", name, database),
				errhint("Copy the key that was saved of this member into ftchain.key_directory, under a name of its own."));
}

/* Linked, not moved: what was saved stays where it is. */
void
ftc_keys_adopt(const char *name)
{
	char	   *path = key_path("pem");
	char	   *saved = psprintf("%s/%s", directory_of(path), name);
	struct stat st;
	struct stat own;
	int			fd;

	if (name[0] == '\0' || strchr(name, '/') != NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" is no name of a file in the key directory", name),
				errhint("Copy the file into ftchain.key_directory, and give its name only."));
	refuse_key_of_other(name);
	fd = open_key_file(saved, &st);
	if (fd < 0)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FILE),
				errmsg("key file \"%s\" does not exist", saved));
	CloseTransientFile(fd);
	if (stat(path, &own) == 0 && own.st_ino == st.st_ino && own.st_dev == st.st_dev)
		return;
	if (link(saved, path) < 0)
	{
		bool		taken = errno == EEXIST;

		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not create key file \"%s\": %m", path),
				taken ? errhint("This database has a key already. If it is of no use, move it away.") : 0);
	}
	fsync_fname(directory_of(path), true);
}

/* The public key last derived, and the file that it was derived from. */
typedef struct KnownKey
{
	struct stat file;
	FtcKey		key;
} KnownKey;

static KnownKey known;			/* of inode 0: none */

/* Every change of a file, its rights included, changes one of these. */
static bool
is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
		a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool
ftc_keys_public(FtcKey *public_key)
{
	struct stat st;
	FtcKey		seed;
	bool		ok;
	int			fd = open_key_file(key_path("pem"), &st);

	if (fd < 0)
		return false;
	CloseTransientFile(fd);
	if (known.file.st_ino != 0 && is_same_file(&known.file, &st))
	{
		*public_key = known.key;
		return true;
	}
	if (!load_seed(&seed))
		return false;
	ok = ftc_key_derive(&seed, public_key);
	OPENSSL_cleanse(&seed, sizeof(seed));
	if (ok)
	{
		known.file = st;
		known.key = *public_key;
	}
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

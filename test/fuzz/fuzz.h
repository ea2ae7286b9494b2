/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *	  What all fuzzers share: one is a codec (../unit/codec.h) and this file.
 *
 * Whatever the bytes, nothing crashes; and bytes that are accepted come back
 * the same when they are encoded again.
 *
 * With libFuzzer (clang) it makes up bytes on its own.  Without (gcc, and
 * FUZZ_STANDALONE) it runs those in the files and directories that it is
 * given.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "codec.h"

#define FUZZ_TARGET(codec) \
	static const TestCodec *const fuzz_codec = &(codec)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const TestCodec *const fuzz_codec;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	FtcReason	reason;
	bool		same = codec_round(fuzz_codec, ftc_slice(data, len), &reason);

	require(same);
	return 0;
}

#ifdef FUZZ_STANDALONE

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int
fuzz_fail(const char *path)
{
	perror(path);
	return 1;
}

/* Memory of exactly the file's size, so that a byte read beyond it shows. */
static int
fuzz_file(const char *path, size_t len)
{
	FILE	   *file = fopen(path, "rb");
	uint8_t    *data = malloc(len);
	int			failed = 0;

	if (file == NULL || data == NULL || fread(data, 1, len, file) != len)
		failed = fuzz_fail(path);
	else
		(void) LLVMFuzzerTestOneInput(data, len);
	if (file != NULL)
		fclose(file);
	free(data);
	return failed;
}

static int	fuzz_path(const char *path);

static int
fuzz_directory(const char *path)
{
	DIR		   *dir = opendir(path);
	struct dirent *entry;
	int			failed = 0;

	if (dir == NULL)
		return fuzz_fail(path);
	while ((entry = readdir(dir)) != NULL)
	{
		char		below[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		failed |= fuzz_path(below);
	}
	closedir(dir);
	return failed;
}

static int
fuzz_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return fuzz_fail(path);
	if (S_ISDIR(st.st_mode))
		return fuzz_directory(path);
	printf("%s\n", path);
	fflush(stdout);
	return fuzz_file(path, (size_t) st.st_size);
}

int
main(int argc, char **argv)
{
	int			failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= fuzz_path(argv[i]);
	return failed;
}

#endif							/* FUZZ_STANDALONE */

#endif							/* FUZZ_H */

/*-------------------------------------------------------------------------
 *
 * make_vectors.c
 *	  Write the samples of our own formats.
 *
 *		make_vectors			as lines "name hex", for ftchain_bytes.txt
 *		make_vectors --ring		the table of owners, for ring_owners.txt
 *		make_vectors DIRECTORY	each as a file DIRECTORY/codec/name, from which
 *								the fuzzers start
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "golden.h"
#include "ring_table.h"

static void
print_line(void *arg, const char *name, const TestCodec *codec, FtcSlice bytes)
{
	(void) codec;
	fprintf(arg, "%s ", name);
	for (size_t i = 0; i < bytes.len; i++)
		fprintf(arg, "%02x", bytes.data[i]);
	fprintf(arg, "\n");
}

static void
write_file(void *arg, const char *name, const TestCodec *codec, FtcSlice bytes)
{
	char		path[1024];
	FILE	   *file;

	if (codec == NULL)
		return;
	snprintf(path, sizeof(path), "%s/%s", (const char *) arg, codec->name);
	(void) mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%s", (const char *) arg, codec->name, name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(bytes.data, 1, bytes.len, file) != bytes.len || fclose(file) != 0)
	{
		perror(path);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	if (argc > 2)
	{
		fprintf(stderr, "usage: make_vectors [--ring | DIRECTORY]\n");
		return 2;
	}
	if (argc == 2 && strcmp(argv[1], "--ring") == 0)
		ring_table_write(stdout);
	else if (argc == 2)
		golden_each(write_file, argv[1]);
	else
	{
		printf("# Made by test/unit/make_vectors.c; see README.md.\n");
		golden_each(print_line, stdout);
	}
	keep_free();
	return fflush(stdout) == 0 ? 0 : 1;
}

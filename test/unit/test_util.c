/*-------------------------------------------------------------------------
 *
 * test_util.c
 *	  What the unit tests share.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>

#include "sha256.h"

TestRandom
random_from(uint64_t seed)
{
	TestRandom	random = {seed};

	return random;
}

uint64_t
random_u64(TestRandom *random)
{
	uint64_t	z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t
random_below(TestRandom *random, uint64_t n)
{
	return random_u64(random) % n;
}

uint64_t
random_any(TestRandom *random)
{
	uint64_t	value = random_u64(random);

	return value >> random_below(random, 64);
}

void
random_bytes(TestRandom *random, void *into, size_t len)
{
	uint8_t    *at = into;

	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t) random_u64(random);
}

FtcHash
random_hash(TestRandom *random)
{
	FtcHash		hash;

	random_bytes(random, hash.b, sizeof(hash.b));
	return hash;
}

/* Each piece of kept memory is listed here, not before the piece itself. */
typedef struct Kept
{
	struct Kept *next;
	void	   *memory;
} Kept;

static Kept *all_kept = NULL;

void *
keep(size_t len)
{
	Kept	   *kept = malloc(sizeof(*kept));
	void	   *memory = calloc(1, len);

	if (kept == NULL || (memory == NULL && len > 0))
		abort();
	kept->memory = memory;
	kept->next = all_kept;
	all_kept = kept;
	return memory;
}

FtcSlice
keep_copy(FtcSlice bytes)
{
	uint8_t    *copy = keep(bytes.len);

	if (bytes.len > 0)
		memcpy(copy, bytes.data, bytes.len);
	return ftc_slice(copy, bytes.len);
}

void
keep_free(void)
{
	while (all_kept != NULL)
	{
		Kept	   *next = all_kept->next;

		free(all_kept->memory);
		free(all_kept);
		all_kept = next;
	}
}

int
keep_teardown(void **state)
{
	(void) state;
	keep_free();
	return 0;
}

FtcSlice
text		(const char *string)
{
	return ftc_slice(string, strlen(string));
}

FtcSlice
of_hash(const FtcHash *hash)
{
	return ftc_slice(hash->b, FTC_HASH_LEN);
}

bool
slice_equal(FtcSlice a, FtcSlice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

FtcSlice
filled(char c, size_t len)
{
	char	   *bytes = keep(len);

	memset(bytes, c, len);
	return ftc_slice(bytes, len);
}

FtcHash
hash_of(const char *string, uint64_t n)
{
	char		bytes[128];
	int			len = snprintf(bytes, sizeof(bytes), "%s %llu", string, (unsigned long long) n);

	return ftc_sha256(ftc_slice(bytes, (size_t) len));
}

TestLines
lines_open(const char *name)
{
	TestLines	lines = {0};
	char		path[1024];

	snprintf(path, sizeof(path), "%s/%s", FTC_VECTORS, name);
	lines.file = fopen(path, "r");
	if (lines.file == NULL)
		fail_msg("cannot read %s", path);
	return lines;
}

static void
split(TestLines *lines)
{
	char	   *at = lines->line;

	lines->nfields = 0;
	while (lines->nfields < TEST_FIELDS_MAX)
	{
		at += strspn(at, " \r\n");
		if (*at == '\0' || *at == '#')
			return;
		lines->field[lines->nfields++] = at;
		at += strcspn(at, " ,\r\n");
		if (*at != '\0')
			*at++ = '\0';
	}
	fail_msg("more than %d fields", TEST_FIELDS_MAX);
}

bool
lines_next(TestLines *lines)
{
	do
	{
		if (getline(&lines->line, &lines->size, lines->file) < 0)
			return false;
		split(lines);
	} while (lines->nfields == 0);
	return true;
}

void
lines_close(TestLines *lines)
{
	free(lines->line);
	fclose(lines->file);
}

static uint8_t
digit(char c)
{
	static const char digits[] = "00112233445566778899aAbBcCdDeEfF";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	if (at == NULL)
		fail_msg("'%c' is no hex digit", c);
	return (uint8_t) ((at - digits) / 2);
}

FtcSlice
unhex(const char *hex)
{
	size_t		len = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;
	uint8_t    *bytes = keep(len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t) (digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
	return ftc_slice(bytes, len);
}

FtcHash
unhex_hash(const char *hex)
{
	FtcSlice	bytes = unhex(hex);
	FtcHash		hash = ftc_hash_zero;

	assert_true(bytes.len <= FTC_HASH_LEN);
	if (bytes.len > 0)
		memcpy(hash.b, bytes.data, bytes.len);
	return hash;
}

void
check_slice_equal(FtcSlice a, FtcSlice b, const char *file, int line)
{
	size_t		at = 0;

	while (at < a.len && at < b.len && a.data[at] == b.data[at])
		at++;
	if (at == a.len && at == b.len)
		return;
	print_error("%zu and %zu bytes differ from byte %zu on\n", a.len, b.len, at);
	_fail(file, line);
}

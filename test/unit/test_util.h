/*-------------------------------------------------------------------------
 *
 * test_util.h
 *	  What the unit tests share: random numbers that are the same each time,
 *	  memory that goes away with the test, files of vectors, and checks.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TEST_UTIL_H
#define TEST_UTIL_H

/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "types.h"

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))

/* SplitMix64: a seed tells all of it. */
typedef struct TestRandom
{
	uint64_t	state;
} TestRandom;

extern TestRandom random_from(uint64_t seed);
extern uint64_t random_u64(TestRandom *random);
extern uint64_t random_below(TestRandom *random, uint64_t n);
extern void random_bytes(TestRandom *random, void *into, size_t len);
extern FtcHash random_hash(TestRandom *random);

/* A number of random length in bits, so that small ones occur as well. */
extern uint64_t random_any(TestRandom *random);

/*
 * Memory of exactly the size asked for, so that the sanitizer sees each byte
 * read beyond it.  keep_teardown frees all; every test has it as teardown.
 */
extern void *keep(size_t len);
extern FtcSlice keep_copy(FtcSlice bytes);
extern void keep_free(void);
extern int	keep_teardown(void **state);

/* A test that frees what it kept. */
#define test(function) cmocka_unit_test_teardown(function, keep_teardown)

/* Slices */
extern FtcSlice text (const char *string);
extern FtcSlice of_hash(const FtcHash *hash);
extern bool slice_equal(FtcSlice a, FtcSlice b);
extern FtcSlice filled(char c, size_t len);

/* SHA-256 of a text: hashes, keys and seeds to order. */
extern FtcHash hash_of(const char *string, uint64_t n);

/*
 * Vectors: a file of lines, fields by blanks or commas; "#" begins a comment
 * line, and " #" a comment behind a line.
 */
#define TEST_FIELDS_MAX 16

typedef struct TestLines
{
	FILE	   *file;
	char	   *line;
	size_t		size;
	char	   *field[TEST_FIELDS_MAX];
	int			nfields;
} TestLines;

extern TestLines lines_open(const char *name);
extern bool lines_next(TestLines *lines);
extern void lines_close(TestLines *lines);

/* Hex to kept bytes; "-" is none. */
extern FtcSlice unhex(const char *hex);

/* The same as a hash, filled up with zeros if it is shorter. */
extern FtcHash unhex_hash(const char *hex);

/* Checks that say what came instead. */
#define assert_reason(found, expected) \
	assert_string_equal(ftc_reason_text(found), ftc_reason_text(expected))
#define assert_hash_equal(x, y) \
	assert_memory_equal((x)->b, (y)->b, FTC_HASH_LEN)
#define assert_slice_equal(a, b) \
	check_slice_equal(a, b, __FILE__, __LINE__)

extern void check_slice_equal(FtcSlice a, FtcSlice b, const char *file, int line);

#endif							/* TEST_UTIL_H */

/*-------------------------------------------------------------------------
 *
 * file_build.h
 *	  A chain in a file to start from, in pieces.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FILE_BUILD_H
#define FILE_BUILD_H

#include "build.h"
#include "file.h"

#define TEST_PIECES_MAX 16

/* Pieces: the beginning, the blocks from first on, the end. */
typedef struct TestFile
{
	FtcHash		genesis;
	FtcHash		head;
	uint64_t	first;
	FtcSlice	pieces[TEST_PIECES_MAX];
	uint32_t	n;
} TestFile;

/*
 * Of heights 0 to 5: entries of three members, one of whom comes on the way; one of
 * them erased; a block without entries, and one whose body is not held.
 */
extern TestFile *file_whole(void);

/* The first four of these; and the last two, with what is before them. */
extern TestFile *file_start(void);
extern TestFile *file_part(void);

/* The whole, with block 4 signed by all and against what is before it. */
typedef enum TestForgery
{
	TEST_SOUND,
	TEST_BUNDLE_SKIPPED,
	TEST_SEQ_TWICE,
	TEST_CONTROL_TWICE
} TestForgery;

extern TestFile *file_forged(TestForgery forgery);

/* The pieces from one to another, one after the other. */
extern FtcSlice file_join(const TestFile *file, uint32_t from, uint32_t to);
extern FtcSlice file_all(const TestFile *file);

#endif							/* FILE_BUILD_H */

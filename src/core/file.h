/*-------------------------------------------------------------------------
 *
 * file.h
 *	  A chain, or a range of its heights, as a file.
 *
 * Records, one after another.  Each is a piece that can be kept, sent and
 * checked by itself; neither who writes nor who reads has more than one of them
 * in memory.
 *
 *		  at  bytes
 *		   0    4	magic			"ftcf"
 *		   4    1	version			1
 *		   5    1	kind			FtcFileKind
 *		   6    2	zero
 *		   8    4	length			of the content
 *		  12    .	content
 *
 * Content:
 *
 *		BEGIN 1		genesis 32, from u64, to u64, bodies u8, zero u8, zero u16,
 *					base (length u32, bytes; empty if from is 0)
 *		BLOCK 2		height u64, id 32, presence u8, zero u8, zero u16,
 *					nstatements u32, per statement: member 32, signature 64;
 *					ascending by member,
 *					marks (length u32, bytes): the first FTC_MARK_LEN bytes of the
 *					leaf hash of each entry; empty without a body,
 *					block (length u32, bytes) as it travels, its body last
 *		END 3		blocks u64, bodies u64, head 32, digest 32
 *
 *		base		header 240 of the block before, its tip (length u32, bytes),
 *					the state it builds on (length u32, bytes), ncontrols u32,
 *					per control that is not folded into that state, up to and
 *					with this block: height u64, leaf (length u32, bytes)
 *
 * The digest is a chain of SHA-256 over the contents, but for the bytes of
 * bodies: those the headers commit to, and hashing them once is enough.  With
 * the marks an entry that differs can be named.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_FILE_H
#define FTC_FILE_H

#include "block.h"
#include "bytes.h"
#include "types.h"

#define FTC_FILE_VERSION	1
#define FTC_FILE_FRAME_LEN	12
#define FTC_FILE_END_LEN	(8 + 8 + 2 * FTC_HASH_LEN)
#define FTC_STATEMENT_LEN	(FTC_HASH_LEN + FTC_SIGNATURE_LEN)
#define FTC_MARK_LEN		4

/* The content of one record: a manifest, a body with the same, and the rest. */
#define FTC_FILE_CONTENT_MAX	(2 * FTC_BODY_MAX + 8 * 1024 * 1024)

typedef enum FtcFileKind
{
	FTC_FILE_BEGIN = 1,
	FTC_FILE_BLOCK = 2,
	FTC_FILE_END = 3
} FtcFileKind;

/* Which bodies the one who made the file wanted in it. */
typedef enum FtcFileBodies
{
	FTC_BODIES_NONE = 0,
	FTC_BODIES_HELD = 1,		/* those that he has */
	FTC_BODIES_ALL = 2			/* all, or there would be no file */
} FtcFileBodies;

/* Is the body of a block in the file, and if not, why? */
typedef enum FtcPresence
{
	FTC_PRESENCE_EMPTY = 0,		/* there are no entries */
	FTC_PRESENCE_HERE = 1,
	FTC_PRESENCE_NOT_HELD = 2,	/* by who made the file */
	FTC_PRESENCE_LEFT_OUT = 3,	/* as was asked for */
	FTC_PRESENCE_DAMAGED = 4	/* where the file was made */
} FtcPresence;

typedef struct FtcFrame
{
	uint8_t		kind;
	uint32_t	length;			/* of the content */
} FtcFrame;

typedef struct FtcFileBegin
{
	FtcHash		genesis;
	uint64_t	from;
	uint64_t	to;
	uint8_t		bodies;			/* FtcFileBodies */
	FtcSlice	base;			/* empty if from is 0 */
} FtcFileBegin;

typedef struct FtcFileBase
{
	FtcSlice	header;			/* FTC_HEADER_LEN bytes */
	FtcSlice	tip;
	FtcSlice	state;
	uint32_t	ncontrols;
	FtcSlice	controls;		/* encoded; see ftc_file_next_control() */
} FtcFileBase;

typedef struct FtcFileBlock
{
	uint64_t	height;
	FtcHash		id;
	uint8_t		presence;		/* FtcPresence */
	FtcSlice	statements;		/* FTC_STATEMENT_LEN bytes each */
	FtcSlice	marks;			/* FTC_MARK_LEN bytes each */
	FtcBlock	block;
} FtcFileBlock;

typedef struct FtcFileEnd
{
	uint64_t	blocks;
	uint64_t	bodies;
	FtcHash		head;			/* id of the last block */
	FtcHash		digest;
} FtcFileEnd;

/* Whole records; they give the length also when bytes is NULL. */
extern size_t ftc_file_begin_encode(const FtcFileBegin *begin, uint8_t *bytes, size_t size);
extern size_t ftc_file_block_encode(const FtcFileBlock *block, uint8_t *bytes, size_t size);
extern size_t ftc_file_end_encode(const FtcFileEnd *end, uint8_t *bytes, size_t size);

/* The first FTC_FILE_FRAME_LEN bytes of a record; then its content, whatever it is. */
extern FtcReason ftc_file_frame_decode(FtcFrame *frame, FtcSlice bytes);
extern FtcReason ftc_file_begin_decode(FtcFileBegin *begin, FtcSlice content);
extern FtcReason ftc_file_block_decode(FtcFileBlock *block, FtcSlice content);
extern FtcReason ftc_file_end_decode(FtcFileEnd *end, FtcSlice content);

/* A piece is exactly one record. */
extern FtcReason ftc_file_piece_decode(FtcFrame *frame, FtcSlice *content, FtcSlice piece);

extern size_t ftc_file_base_encode(const FtcFileBase *base, uint8_t *bytes, size_t size);
extern FtcReason ftc_file_base_decode(FtcFileBase *base, FtcSlice bytes);

/* One control of a base; false at the end of them. */
extern bool ftc_file_next_control(FtcReader *at, uint64_t *height, FtcSlice *leaf);
extern void ftc_file_put_control(FtcWriter *writer, uint64_t height, FtcSlice leaf);

/*
 * The same records as COPY has them in its binary format, a column of bytea: so
 * clients can store them without more rights than a query needs.  First a header;
 * then before each record two numbers; at the end one that says so.
 */
#define FTC_COPY_HEADER_LEN	19
#define FTC_COPY_FIELD_LEN	6
#define FTC_COPY_END_LEN	2

extern bool ftc_file_is_copy(FtcSlice bytes);	/* at least of that header's
												 * length */
extern bool ftc_file_is_copy_end(FtcSlice bytes);
extern FtcReason ftc_file_copy_field(FtcSlice bytes, uint32_t *length);

/* The digest so far: of a BEGIN, and on from there with each BLOCK. */
extern FtcHash ftc_file_digest(FtcSlice begin);
extern FtcHash ftc_file_digest_block(const FtcHash *before, FtcSlice content, size_t body_len);

#endif							/* FTC_FILE_H */

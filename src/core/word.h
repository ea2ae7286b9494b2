/*-------------------------------------------------------------------------
 *
 * word.h
 *	  What a member says that it keeps of a body, after its first statement.
 *
 * A statement (rules.h) says that a body is stored, and stays true for ever: it was.
 * What has become of the copy since, a word says: it is whole, or a shard, or both, or
 * gone.  Words of a member about a body are numbered, and the last one counts, so
 * that anybody may pass them on and nobody brings an old one back:
 *
 *		version 1, flags u8, shard u8, other u8, number u64, block id 32, member id 32,
 *		and if there is a shard the head of the shards (shards.h) 72, and of the other 72
 *
 * Where the chain changes how bodies are cut, a member keeps two for a while: other
 * is 1 more than the number of that one, which is cut otherwise; 0 if there is none.
 */
#ifndef FTC_WORD_H
#define FTC_WORD_H

#include "bytes.h"
#include "shards.h"

#define FTC_WORD_WHOLE 1		/* the flag: the body is kept whole */
#define FTC_WORD_NO_SHARD 255
#define FTC_WORD_SHARDS_MAX 2
#define FTC_WORD_MAX (76 + FTC_WORD_SHARDS_MAX * FTC_SHARDS_HEAD_LEN)

typedef struct FtcWord
{
	FtcHash		block;
	FtcHash		member;
	uint64_t	number;			/* 1 .. 2^63-1 */
	bool		whole;
	int32_t		shard;			/* -1: none */
	FtcSlice	head;			/* of the shards */
	int32_t		other;			/* one of another cut, -1: none */
	FtcSlice	other_head;
} FtcWord;

/* The bytes, which the member signs the SHA-256 of (FTC_DOMAIN_KEPT). */
extern FtcSlice ftc_word_encode(const FtcWord *word, uint8_t bytes[FTC_WORD_MAX]);

/* The first bytes of a reader; what comes after them stays. */
extern FtcReason ftc_word_read(FtcWord *word, FtcReader *reader);
extern FtcReason ftc_word_decode(FtcWord *word, FtcSlice bytes);

#endif							/* FTC_WORD_H */

/*-------------------------------------------------------------------------
 *
 * header.h
 *	  The block header: 240 bytes, big endian.  id = SHA-256 of them.
 *
 *		  at  bytes
 *		   0    4	version			1
 *		   4    4	consensus		FtcConsensus
 *		   8    8	height			0 for the genesis block
 *		  16    8	time			microseconds since 1970-01-01 UTC
 *		  24   32	prev			id of the parent; zero for the genesis
 *		  56   32	history			RFC 6962 root over the ids of 0 .. height-1
 *		  88   32	body			RFC 6962 root over the body's leaves
 *		 120    4	leaves			number of leaves of the body tree
 *		 124    4	bits			compact target; 0 unless proof of work
 *		 128   32	proposer		member id
 *		 160   32	state			root of the epoch state the block builds on
 *		 192   32	justify			source of votes for this block; zero without voters
 *		 224    8	round			slot or checkpoint number; 0 without voters
 *		 232    8	nonce			0 unless proof of work
 *
 * Bytes 0..191 are three whole SHA-256 blocks and the nonce comes last, so
 * that an attempt at proof of work is one compression.  The proposer's
 * signature is kept beside the header, never inside.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_HEADER_H
#define FTC_HEADER_H

#include "types.h"

#define FTC_HEADER_LEN		240
#define FTC_HEADER_VERSION	1

typedef enum FtcConsensus
{
	FTC_CONSENSUS_POW = 1,
	FTC_CONSENSUS_POS = 2,
	FTC_CONSENSUS_DPOS = 3
} FtcConsensus;

typedef struct FtcHeader
{
	uint32_t	version;
	uint32_t	consensus;
	uint64_t	height;
	uint64_t	time;			/* us since 1970-01-01 UTC */
	FtcHash		prev;
	FtcHash		history;
	FtcHash		body;
	uint32_t	leaves;
	uint32_t	bits;
	FtcHash		proposer;
	FtcHash		state;
	FtcHash		justify;
	uint64_t	round;
	uint64_t	nonce;
} FtcHeader;

extern void ftc_header_encode(const FtcHeader *header, uint8_t bytes[FTC_HEADER_LEN]);
extern FtcHash ftc_header_id(const FtcHeader *header);

/*
 * FTC_OK, or why the bytes are not a header: wrong length, version or kind,
 * values out of range, or not in canonical form (a genesis with a parent, a
 * nonce without proof of work, non-minimal bits, ...).
 */
extern FtcReason ftc_header_decode(FtcHeader *header, FtcSlice bytes);

#endif							/* FTC_HEADER_H */

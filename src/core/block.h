/*-------------------------------------------------------------------------
 *
 * block.h
 *	  A block as it travels.
 *
 *		version u8 (1), zero u8, zero u16, header 240, signature 64,
 *		manifest (length u32, bytes), proof (length u32, bytes),
 *		body (length u32, bytes; empty if it does not come along)
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_BLOCK_H
#define FTC_BLOCK_H

#include "header.h"
#include "types.h"

#define FTC_BLOCK_VERSION	1

typedef struct FtcBlock
{
	FtcSlice	header;			/* FTC_HEADER_LEN bytes */
	FtcSignature signature;
	FtcSlice	manifest;
	FtcSlice	proof;			/* that the manifest is all */
	FtcSlice	body;			/* may be empty */
} FtcBlock;

extern size_t ftc_block_encode(const FtcBlock *block, uint8_t *bytes, size_t size);

/* Only the frame is looked at: header, manifest and body have decoders. */
extern FtcReason ftc_block_decode(FtcBlock *block, FtcSlice bytes);

#endif							/* FTC_BLOCK_H */

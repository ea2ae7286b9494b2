/*-------------------------------------------------------------------------
 *
 * block.c
 *	  A block as it travels.
 *
 *-------------------------------------------------------------------------
 */
#include "block.h"

#include "bytes.h"

size_t
ftc_block_encode(const FtcBlock *block, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	ftc_put_u8(&writer, FTC_BLOCK_VERSION);
	ftc_put_u8(&writer, 0);
	ftc_put_u16(&writer, 0);
	ftc_put_slice(&writer, block->header);
	ftc_put_bytes(&writer, block->signature.b, FTC_SIGNATURE_LEN);
	ftc_put_blob(&writer, block->manifest);
	ftc_put_blob(&writer, block->proof);
	ftc_put_blob(&writer, block->body);
	return writer.len;
}

FtcReason
ftc_block_decode(FtcBlock *block, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		zero8 = ftc_get_u8(&reader);
	uint16_t	zero16 = ftc_get_u16(&reader);

	block->header = ftc_get_slice(&reader, FTC_HEADER_LEN);
	ftc_get_bytes(&reader, block->signature.b, FTC_SIGNATURE_LEN);
	block->manifest = ftc_get_blob(&reader);
	block->proof = ftc_get_blob(&reader);
	block->body = ftc_get_blob(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (version != FTC_BLOCK_VERSION)
		return FTC_BAD_VERSION;
	return zero8 == 0 && zero16 == 0 ? FTC_OK : FTC_NOT_CANONICAL;
}

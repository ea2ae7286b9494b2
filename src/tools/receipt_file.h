/*-------------------------------------------------------------------------
 *
 * receipt_file.h
 *	  Receipts, from their json.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_RECEIPT_FILE_H
#define FTC_RECEIPT_FILE_H

#include "bytes.h"
#include "receipt.h"

/* A receipt as read; it owns what the receipt points to. */
typedef struct FtcReceiptFile
{
	FtcReceipt	receipt;
	void	   *memory;			/* a list of pieces */
} FtcReceiptFile;

/* False if it is malformed. */
extern bool ftc_receipt_file_read(FtcReceiptFile *file, FtcSlice json);
extern void ftc_receipt_file_free(FtcReceiptFile *file);

/* RFC 4648, padded, nothing else; gives the length, -1 if it is not that. */
extern int64_t ftc_base64_decode(const char *text, size_t len, uint8_t *bytes);

#endif							/* FTC_RECEIPT_FILE_H */

/*-------------------------------------------------------------------------
 *
 * datum.h
 *	  Between Datums and the core's values, and refusals as errors.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_DATUM_H
#define FTC_DATUM_H

#include "fmgr.h"
#include "utils/array.h"

#include "compat.h"
#include "core/bytes.h"
#include "core/header.h"
#include "core/types.h"
#include "core/u256.h"

/* A varlena Datum as bytes; detoasted, so they live in CurrentMemoryContext. */
extern FtcSlice ftc_datum_slice(Datum datum);
extern Datum ftc_slice_datum(FtcSlice slice);	/* a bytea */
extern Datum ftc_hash_datum(const FtcHash *hash);
extern Datum ftc_key_datum(const FtcKey *key);
extern Datum ftc_signature_datum(const FtcSignature *signature);

/* False if the bytes have another length. */
extern bool ftc_datum_hash(Datum datum, FtcHash *hash);
extern bool ftc_datum_signature(Datum datum, FtcSignature *signature);

/* The argument as a hash, or an error that names it. */
extern FtcHash ftc_arg_hash(Datum datum, const char *name);

/* A header of the right length and form, or an error. */
extern void ftc_arg_header(Datum datum, FtcHeader *header);

/* A limit of time: us, PG_UINT64_MAX if it is null, an error if negative. */
extern uint64 ftc_arg_timeout(FunctionCallInfo fcinfo, int n);
extern Datum ftc_header_datum(const FtcHeader *header);

/* As numeric. */
extern Datum ftc_u64_numeric(uint64 value);
extern Datum ftc_u256_numeric(const FtcU256 *value);

/*
 * A bytea[] as hashes.  False if one has another length or is null; *n is
 * their number.
 */
extern bool ftc_array_hashes(ArrayType *array, FtcHash **hashes, int *n);
extern ArrayType *ftc_hashes_array(const FtcHash *hashes, int n);

extern FtcSlice ftc_text_slice(const char *string);
extern char *ftc_slice_string(FtcSlice slice);	/* palloc'd, terminated */
extern char *ftc_hash_hex(const FtcHash *hash); /* palloc'd */
extern text *ftc_slice_text(FtcSlice slice);

/* Allocate a buffer that the encoder of that length fills. */
#define FTC_ENCODE(slice, encoder, ...) \
	do { \
		size_t		encode_len_ = encoder(__VA_ARGS__, NULL, 0); \
		uint8_t    *encode_buf_ = palloc(encode_len_ > 0 ? encode_len_ : 1); \
		(void) encoder(__VA_ARGS__, encode_buf_, encode_len_); \
		(slice) = ftc_slice(encode_buf_, encode_len_); \
	} while (0)

/* Raise a refusal of the core as an error about "what". */
extern int	ftc_reason_sqlstate(FtcReason reason);
pg_noreturn extern void ftc_refuse(FtcReason reason, const char *what);

#endif							/* FTC_DATUM_H */

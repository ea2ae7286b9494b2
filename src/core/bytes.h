/*-------------------------------------------------------------------------
 *
 * bytes.h
 *	  Reading and writing bytes: big endian, bounds always checked.
 *
 * A reader that runs past its end becomes bad and stays bad; its getters then
 * give zeros, so that a decoder may read a whole structure and ask once.  A
 * writer over too small a buffer only counts, so that a first pass with no
 * buffer tells the size.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_BYTES_H
#define FTC_BYTES_H

#include <string.h>

#include "types.h"

typedef struct FtcReader
{
	const uint8_t *at;
	size_t		left;
	bool		bad;			/* something was read past the end */
} FtcReader;

typedef struct FtcWriter
{
	uint8_t    *buf;			/* may be NULL: then only counts */
	size_t		size;			/* of buf, bytes */
	size_t		len;			/* written or counted so far, bytes */
} FtcWriter;

static inline FtcReader
ftc_reader(FtcSlice bytes)
{
	FtcReader	reader = {bytes.data, bytes.len, false};

	return reader;
}

static inline FtcSlice
ftc_slice(const void *data, size_t len)
{
	FtcSlice	slice = {data, len};

	return slice;
}

/* The reader was neither overrun nor left with bytes over. */
static inline bool
ftc_reader_is_done(const FtcReader *reader)
{
	return !reader->bad && reader->left == 0;
}

static inline FtcSlice
ftc_get_slice(FtcReader *reader, size_t len)
{
	FtcSlice	slice = {reader->at, len};

	if (reader->bad || len > reader->left)
	{
		reader->bad = true;
		return ftc_slice(reader->at, 0);
	}
	reader->at += len;
	reader->left -= len;
	return slice;
}

static inline void
ftc_get_bytes(FtcReader *reader, void *into, size_t len)
{
	FtcSlice	slice = ftc_get_slice(reader, len);

	if (slice.len == len && len > 0)
		memcpy(into, slice.data, len);
	else
		memset(into, 0, len);
}

static inline uint64_t
ftc_get_be(FtcReader *reader, int width)
{
	FtcSlice	slice = ftc_get_slice(reader, (size_t) width);
	uint64_t	value = 0;

	for (size_t i = 0; i < slice.len; i++)
		value = value << 8 | slice.data[i];
	return value;
}

static inline uint8_t
ftc_get_u8(FtcReader *reader)
{
	return (uint8_t) ftc_get_be(reader, 1);
}

static inline uint16_t
ftc_get_u16(FtcReader *reader)
{
	return (uint16_t) ftc_get_be(reader, 2);
}

static inline uint32_t
ftc_get_u32(FtcReader *reader)
{
	return (uint32_t) ftc_get_be(reader, 4);
}

static inline uint64_t
ftc_get_u64(FtcReader *reader)
{
	return ftc_get_be(reader, 8);
}

static inline FtcHash
ftc_get_hash(FtcReader *reader)
{
	FtcHash		hash;

	ftc_get_bytes(reader, hash.b, FTC_HASH_LEN);
	return hash;
}

/* Bytes behind a length of one byte (names) or four (everything longer). */
static inline FtcSlice
ftc_get_name(FtcReader *reader)
{
	return ftc_get_slice(reader, ftc_get_u8(reader));
}

static inline FtcSlice
ftc_get_blob(FtcReader *reader)
{
	return ftc_get_slice(reader, ftc_get_u32(reader));
}

static inline FtcWriter
ftc_writer(void *buf, size_t size)
{
	FtcWriter	writer = {buf, size, 0};

	return writer;
}

/* Did everything fit? */
static inline bool
ftc_writer_fits(const FtcWriter *writer)
{
	return writer->buf != NULL && writer->len <= writer->size;
}

static inline void
ftc_put_bytes(FtcWriter *writer, const void *data, size_t len)
{
	if (writer->buf != NULL && len > 0 && writer->len <= writer->size &&
		len <= writer->size - writer->len)
		memcpy(writer->buf + writer->len, data, len);
	writer->len += len;
}

static inline void
ftc_put_be(FtcWriter *writer, uint64_t value, int width)
{
	uint8_t		bytes[8];

	for (int i = 0; i < width; i++)
		bytes[i] = (uint8_t) (value >> (8 * (width - 1 - i)));
	ftc_put_bytes(writer, bytes, (size_t) width);
}

static inline void
ftc_put_u8(FtcWriter *writer, uint8_t value)
{
	ftc_put_be(writer, value, 1);
}

static inline void
ftc_put_u16(FtcWriter *writer, uint16_t value)
{
	ftc_put_be(writer, value, 2);
}

static inline void
ftc_put_u32(FtcWriter *writer, uint32_t value)
{
	ftc_put_be(writer, value, 4);
}

static inline void
ftc_put_u64(FtcWriter *writer, uint64_t value)
{
	ftc_put_be(writer, value, 8);
}

static inline void
ftc_put_hash(FtcWriter *writer, const FtcHash *hash)
{
	ftc_put_bytes(writer, hash->b, FTC_HASH_LEN);
}

static inline void
ftc_put_slice(FtcWriter *writer, FtcSlice slice)
{
	ftc_put_bytes(writer, slice.data, slice.len);
}

static inline void
ftc_put_name(FtcWriter *writer, FtcSlice name)
{
	ftc_put_u8(writer, (uint8_t) name.len);
	ftc_put_slice(writer, name);
}

static inline void
ftc_put_blob(FtcWriter *writer, FtcSlice blob)
{
	ftc_put_u32(writer, (uint32_t) blob.len);
	ftc_put_slice(writer, blob);
}

#endif							/* FTC_BYTES_H */

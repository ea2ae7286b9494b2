/*-------------------------------------------------------------------------
 *
 * mutate.h
 *	  What every decoder is put through, starting from accepted bytes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MUTATE_H
#define MUTATE_H

#include "codec.h"

/* Accepted, and the same when written again. */
extern void check_accepted(const TestCodec *codec, FtcSlice bytes);

/* The decoder's verdict; what is accepted is the same when written again. */
extern void check_reason(const TestCodec *codec, FtcSlice bytes, FtcReason expected);

/*
 * Every shorter length, and one byte more; gives how many were accepted.  (Of
 * most formats none is.)
 */
extern uint32_t check_lengths(const TestCodec *codec, FtcSlice bytes);

/*
 * Every other value of each byte: refused, or the same when written again.
 * Gives how many were accepted.
 */
extern uint32_t check_bytes(const TestCodec *codec, FtcSlice bytes);

/* A copy with the byte at an offset, or a whole field, replaced. */
extern FtcSlice with_byte(FtcSlice bytes, size_t at, uint8_t value);
extern FtcSlice with_be(FtcSlice bytes, size_t at, uint64_t value, int width);

#endif							/* MUTATE_H */

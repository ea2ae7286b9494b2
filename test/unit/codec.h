/*-------------------------------------------------------------------------
 *
 * codec.h
 *	  Every decoder with its encoder behind it, for tests and fuzzers.
 *
 * A codec decodes bytes and, if they are accepted, checks whatever must hold
 * of accepted bytes, and writes them again from what it understood.  Where
 * that is not what came in, two encodings mean the same thing, and a digest
 * does not tell what it is of.
 *
 * A broken promise aborts: this file knows neither cmocka nor libFuzzer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CODEC_H
#define CODEC_H

#include "bytes.h"
#include "types.h"

typedef struct TestCodec
{
	const char *name;
	FtcReason	(*decode) (FtcSlice bytes, FtcWriter *again);
} TestCodec;

extern const TestCodec codec_header;
extern const TestCodec codec_entry;
extern const TestCodec codec_bundle;
extern const TestCodec codec_control;
extern const TestCodec codec_params;
extern const TestCodec codec_member;
extern const TestCodec codec_manifest;

/* Manifest (length u32, bytes), leaves u32, root 32, proof. */
extern const TestCodec codec_proof;
extern const TestCodec codec_body;
extern const TestCodec codec_block;
extern const TestCodec codec_state;
extern const TestCodec codec_message;
extern const TestCodec codec_topic;

/* Bytes of a body u64; answers of chunks of it: asked for u32, came u64. */
extern const TestCodec codec_chunks;

/* Sacks of a receiver that takes seq 1 next. */
extern const TestCodec codec_sacks;

/* An answer about who stores what of node 0 of level 1. */
extern const TestCodec codec_ranges;

/* How a body is cut. */
extern const TestCodec codec_shards;

/* What a member keeps of it. */
extern const TestCodec codec_word;
extern const TestCodec codec_frontier;
extern const TestCodec codec_tip;

/* Header 240, signature 64, manifest. */
extern const TestCodec codec_genesis;

/* One record of a file; and a whole file, whatever is wrong with what it holds. */
extern const TestCodec codec_piece;
extern const TestCodec codec_file;

/* codec_votes.c */
extern const TestCodec codec_validators;
extern const TestCodec codec_stakes;
extern const TestCodec codec_epoch;
extern const TestCodec codec_vote;
extern const TestCodec codec_certificate;
extern const TestCodec codec_evidence;
extern const TestCodec codec_finality;
extern const TestCodec codec_finality_proof;

/*
 * Decode, and compare what is written again with the bytes.  False if they
 * were accepted and differ.
 */
extern bool codec_round(const TestCodec *codec, FtcSlice bytes, FtcReason *reason);

/* Abort unless something holds. */
#define require(condition) \
	codec_require(condition, #condition, __FILE__, __LINE__)
extern void codec_require(bool holds, const char *what, const char *file, int line);

#endif							/* CODEC_H */

/*-------------------------------------------------------------------------
 *
 * entry.h
 *	  One entry: what its leaf in the body tree commits to.
 *
 * Leaf bytes, big endian (the RFC 6962 leaf prefix 0x00 is not among them):
 *
 *		  at  bytes
 *		   0    1	version			1
 *		   1    1	class			1 (FTC_LEAF_ENTRY)
 *		   2   32	origin			member id
 *		  34    8	incarnation		of the origin's database, from 1
 *		  42    8	seq				from 1
 *		  50    8	time			microseconds since 1970-01-01 UTC
 *		  58   32	payload hash	SHA-256(salt (16 bytes) || payload)
 *		  90  1+n	author			length, UTF-8
 *		   .  1+n	kind			length, UTF-8
 *
 * The payload and its salt may be erased; the leaf and every proof stay.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_ENTRY_H
#define FTC_ENTRY_H

#include "types.h"

/*
 * Every leaf of a body or state tree begins with a version and its class, and so
 * does what votes are made of.
 */
#define FTC_LEAF_VERSION	1
typedef enum FtcLeafClass
{
	FTC_LEAF_ENTRY = 1,
	FTC_LEAF_CONTROL = 2,
	FTC_LEAF_BUNDLE = 3,
	FTC_LEAF_PARAMS = 16,
	FTC_LEAF_VOTERS = 17,
	FTC_LEAF_MEMBER = 18,
	FTC_LEAF_VALIDATORS = 19,
	FTC_LEAF_EPOCH = 20,
	FTC_LEAF_STAKES = 21,
	FTC_LEAF_VOTE = 22,
	FTC_LEAF_CERTIFICATE = 23,
	FTC_LEAF_EVIDENCE = 24,
	FTC_LEAF_FINALITY_PROOF = 25
} FtcLeafClass;

#define FTC_ENTRY_LEAF_MAX	(90 + 2 * (1 + FTC_NAME_MAX))

typedef struct FtcEntry
{
	FtcHash		origin;
	uint64_t	incarnation;
	uint64_t	seq;
	uint64_t	time;			/* us since 1970-01-01 UTC */
	FtcSlice	author;
	FtcSlice	kind;
	FtcHash		payload_hash;
	bool		erased;			/* then salt and payload are not there */
	FtcSlice	salt;
	FtcSlice	payload;
} FtcEntry;

extern FtcHash ftc_payload_hash(FtcSlice salt, FtcSlice payload);

/*
 * Leaf bytes into bytes[FTC_ENTRY_LEAF_MAX]; gives their length, 0 if a name is
 * too long for any leaf (and the hash is then that of no entry).
 */
extern size_t ftc_entry_leaf_encode(const FtcEntry *entry, uint8_t *bytes);

/* The RFC 6962 leaf hash; uses entry->payload_hash as it stands. */
extern FtcHash ftc_entry_leaf_hash(const FtcEntry *entry);

/*
 * Leaf bytes to an entry whose names point into them, erased, since a leaf
 * holds no payload.
 */
extern FtcReason ftc_entry_leaf_decode(FtcEntry *entry, FtcSlice bytes);

/* Limits on what an entry may hold, payload included if it is there. */
extern FtcReason ftc_entry_check(const FtcEntry *entry);

#endif							/* FTC_ENTRY_H */

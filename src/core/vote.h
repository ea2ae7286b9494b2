/*-------------------------------------------------------------------------
 *
 * vote.h
 *	  Votes, and certificates made of them.
 *
 * A vote is for a link from a source to a target, as in Casper FFG (Buterin and
 * Griffith, arXiv:1710.09437): the target is a block, the source is what the
 * target's header justifies, so all votes for a block have the same source.
 *
 * What is signed (domain "ftchain vote v1") is SHA-256 of
 *
 *		validators 32, target round u64, target id 32, source round u64,
 *		source id 32
 *
 * and nothing of the voter, so a certificate has these fields once.
 *
 * Vote:		version u8 (1), class u8 (22), zero u16, voter 32, the fields above,
 *				signature 64
 * Certificate:	version u8 (1), class u8 (23), n u16, the fields above, and n times
 *				place u16 in the set of validators, signature 64; ascending
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_VOTE_H
#define FTC_VOTE_H

#include "sign.h"
#include "types.h"
#include "validators.h"

#define FTC_LINK_BYTES			(3 * FTC_HASH_LEN + 2 * 8)
#define FTC_VOTE_LEN			(4 + FTC_HASH_LEN + FTC_LINK_BYTES + FTC_SIGNATURE_LEN)
#define FTC_CERTIFICATE_HEAD_LEN (4 + FTC_LINK_BYTES)
#define FTC_CERTIFICATE_VOTE_LEN (2 + FTC_SIGNATURE_LEN)
#define FTC_CERTIFICATE_MAX		(FTC_CERTIFICATE_HEAD_LEN + FTC_VALIDATORS_MAX * FTC_CERTIFICATE_VOTE_LEN)

/* A block that may be voted for. */
typedef struct FtcCheckpoint
{
	FtcHash		id;
	uint64_t	round;
} FtcCheckpoint;

/* What is voted for: a supermajority link, once a quorum has. */
typedef struct FtcVoteLink
{
	FtcHash		validators;		/* hash of the set that votes */
	FtcCheckpoint target;
	FtcCheckpoint source;
} FtcVoteLink;

typedef struct FtcVote
{
	FtcHash		voter;
	FtcVoteLink link;
	FtcSignature signature;
} FtcVote;

typedef struct FtcCertificate
{
	FtcVoteLink link;
	uint16_t	n;
	FtcSlice	votes;			/* encoded */
} FtcCertificate;

extern bool ftc_checkpoint_equal(const FtcCheckpoint *a, const FtcCheckpoint *b);
extern bool ftc_vote_link_equal(const FtcVoteLink *a, const FtcVoteLink *b);

/* FTC_OK, or FTC_OUT_OF_RANGE or FTC_BAD_ROUND: rounds in range, the source before the target. */
extern FtcReason ftc_vote_link_check(const FtcVoteLink *link);

/* What is signed. */
extern FtcHash ftc_vote_digest(const FtcVoteLink *link);

extern void ftc_vote_encode(const FtcVote *vote, uint8_t bytes[FTC_VOTE_LEN]);
extern FtcReason ftc_vote_decode(FtcVote *vote, FtcSlice bytes);

/*
 * Is a vote one of this set?  FTC_WRONG_VALIDATORS (it names another set),
 * FTC_NOT_A_MEMBER, FTC_BAD_SIGNATURE or FTC_OK.  hash is the set's; *place, which
 * may be NULL, is the voter's place in it.
 */
extern FtcReason ftc_vote_verify(const FtcVote *vote, const FtcValidators *set, const FtcHash *hash,
								 const FtcHash *chain, int *place);

/* Adding up who has voted: a bit for each place. */
typedef struct FtcTally
{
	uint64_t	voted[FTC_VALIDATORS_MAX / 64];
	FtcWeight	weight;
} FtcTally;

/* All zeros is empty.  False if that one has voted before; he counts once. */
extern bool ftc_tally_add(FtcTally *tally, const FtcValidators *set, int place);

/*
 * A certificate of these votes, which have been verified and are for one link;
 * their order does not matter.  bytes has room for FTC_CERTIFICATE_HEAD_LEN and
 * FTC_CERTIFICATE_VOTE_LEN each.  Gives the length; 0 if they are no quorum, or not
 * for one link.
 */
extern size_t ftc_certificate_make(const FtcVote *votes, uint16_t n, const FtcValidators *set,
								   uint8_t *bytes);

extern size_t ftc_certificate_encode(const FtcCertificate *certificate, uint8_t *bytes, size_t size);
extern FtcReason ftc_certificate_decode(FtcCertificate *certificate, FtcSlice bytes);

/*
 * Does it show that the set has certified the link?  FTC_WRONG_VALIDATORS,
 * FTC_NOT_A_MEMBER (a place beyond the set), FTC_NO_QUORUM, FTC_BAD_SIGNATURE or
 * FTC_OK.  Signatures come last, since they cost most.
 */
extern FtcReason ftc_certificate_verify(const FtcCertificate *certificate, const FtcValidators *set,
										const FtcHash *hash, const FtcHash *chain);

#endif							/* FTC_VOTE_H */

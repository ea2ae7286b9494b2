/*-------------------------------------------------------------------------
 *
 * evidence.h
 *	  Evidence that a validator has signed what contradicts itself.
 *
 *		double vote			two votes for one round
 *		surround vote		a vote whose source is older and whose target is newer than
 *							those of another one
 *		double proposal		two blocks for one slot
 *
 * Nobody who keeps sign_state.h's rule ever does; and without a third of the weight
 * that does, no two final blocks conflict.
 *
 *		version u8 (1), class u8 (24), kind u8, zero u8, and two
 *		votes (vote.h), or headers 240 each with its signature 64
 *
 * One form for each pair: of a double vote or proposal the one with the smaller
 * digest or id stands first; of a surround vote, the one that surrounds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_EVIDENCE_H
#define FTC_EVIDENCE_H

#include "header.h"
#include "vote.h"

#define FTC_PROPOSAL_LEN	(FTC_HEADER_LEN + FTC_SIGNATURE_LEN)
#define FTC_EVIDENCE_VOTES_LEN	(4 + 2 * FTC_VOTE_LEN)
#define FTC_EVIDENCE_PROPOSALS_LEN (4 + 2 * FTC_PROPOSAL_LEN)
#define FTC_EVIDENCE_MAX	FTC_EVIDENCE_PROPOSALS_LEN

typedef enum FtcOffence
{
	FTC_OFFENCE_NONE = 0,
	FTC_OFFENCE_DOUBLE_VOTE = 1,
	FTC_OFFENCE_SURROUND_VOTE = 2,
	FTC_OFFENCE_DOUBLE_PROPOSAL = 3
} FtcOffence;

typedef struct FtcProposal
{
	FtcHeader	header;
	FtcSignature signature;
} FtcProposal;

typedef struct FtcEvidence
{
	uint8_t		kind;			/* FtcOffence */
	FtcVote		vote[2];
	FtcProposal proposal[2];
} FtcEvidence;

/*
 * What two votes of one voter, or two blocks of one proposer, come to; signatures
 * are not looked at.  If it is an offence *evidence, which may be NULL, is made of
 * them, whichever came first.
 */
extern FtcOffence ftc_offence_of_votes(const FtcVote *a, const FtcVote *b, FtcEvidence *evidence);
extern FtcOffence ftc_offence_of_proposals(const FtcProposal *a, const FtcProposal *b,
										   FtcEvidence *evidence);

/* The bytes, of at most FTC_EVIDENCE_MAX; gives their length. */
extern size_t ftc_evidence_encode(const FtcEvidence *evidence, uint8_t *bytes);
extern FtcReason ftc_evidence_decode(FtcEvidence *evidence, FtcSlice bytes);

/* SHA-256 of the bytes. */
extern FtcHash ftc_evidence_id(const FtcEvidence *evidence);

extern const FtcHash *ftc_evidence_offender(const FtcEvidence *evidence);

/* The lower of the two rounds: in the epoch of that one the offender was a validator. */
extern uint64_t ftc_evidence_round(const FtcEvidence *evidence);

/*
 * Is it true?  keys are the offender's at the time of each.  FTC_NO_OFFENCE,
 * FTC_BAD_SIGNATURE or FTC_OK.
 */
extern FtcReason ftc_evidence_check(const FtcEvidence *evidence, const FtcKey *key0,
									const FtcKey *key1, const FtcHash *chain);

/*
 * Does it still count in an epoch, as it lives so many?  Stake must stay bound for
 * longer than that.
 */
extern bool ftc_evidence_is_alive(const FtcEvidence *evidence, uint64_t epoch, uint32_t per_epoch,
								  uint32_t lifetime);

/* In which order blocks carry it: by offender, kind, id.  One of each offender will do. */
extern int	ftc_evidence_compare(const FtcEvidence *a, const FtcEvidence *b);

#endif							/* FTC_EVIDENCE_H */

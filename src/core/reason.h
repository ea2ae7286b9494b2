/*-------------------------------------------------------------------------
 *
 * reason.h
 *	  Why something was refused.
 *
 * Bytes that come from a peer or from a disk are never asserted on: they are
 * refused with one of these, and the reason is recorded and told.  The names
 * are stable; people and peers see them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_REASON_H
#define FTC_REASON_H

#define FTC_REASONS(X) \
	X(OK, "ok") \
	/* bytes */ \
	X(BAD_LENGTH, "wrong length") \
	X(BAD_VERSION, "unknown version") \
	X(BAD_KIND, "unknown kind") \
	X(NOT_CANONICAL, "not in canonical form") \
	X(BAD_TEXT, "text is not valid UTF-8") \
	X(TOO_LARGE, "too large") \
	X(TOO_MANY, "too many") \
	X(OUT_OF_RANGE, "value out of range") \
	/* keys and signatures */ \
	X(BAD_KEY, "unacceptable public key") \
	X(BAD_SIGNATURE, "wrong signature") \
	X(BAD_POSSESSION, "no proof that the key is possessed") \
	X(NOT_A_MEMBER, "not a member of the chain") \
	X(NOT_AUTHORISED, "not authorised by the governors") \
	/* trees and proofs */ \
	X(BAD_ROOT, "wrong root") \
	X(BAD_PROOF, "wrong proof") \
	/* blocks against their branch */ \
	X(WRONG_CHAIN, "belongs to another chain") \
	X(WRONG_CONSENSUS, "wrong consensus kind") \
	X(UNKNOWN_PARENT, "unknown parent") \
	X(BAD_PARENT, "wrong parent") \
	X(BAD_HEIGHT, "wrong height") \
	X(BAD_HISTORY, "wrong history root") \
	X(BAD_STATE, "wrong state root") \
	X(BAD_BITS, "wrong difficulty") \
	X(NOT_ENOUGH_WORK, "too little work") \
	X(TIME_TOO_EARLY, "time too close to the parent's") \
	X(TIME_TOO_LATE, "time too far ahead of the clock") \
	X(BAD_JUSTIFY, "justify or round set without voters") \
	X(BAD_BODY, "body does not match its header") \
	X(BUNDLE_OUT_OF_ORDER, "bundle out of order") \
	X(ENTRY_TWICE, "entry already in this branch") \
	X(CONTROL_TWICE, "control entry already in this branch") \
	X(REJECTED_BEFORE, "rejected before") \
	X(TOO_DEEP, "reorganisation deeper than the chain's limit") \
	/* validators, votes and what is final */ \
	X(WRONG_VALIDATORS, "another set of validators") \
	X(BAD_ROUND, "wrong round") \
	X(WRONG_PROPOSER, "not the proposer of this slot") \
	X(NOT_JUSTIFIED, "what it justifies is no justified ancestor") \
	X(NO_QUORUM, "votes of no quorum") \
	X(NO_OFFENCE, "no evidence of an offence") \
	X(CONFLICTS_FINAL, "conflicts with a final block") \
	X(TOO_FEW, "too few shards") \
	/* links */ \
	X(WRONG_LINK, "belongs to another link") \
	X(WRONG_EPOCH, "wrong link epoch") \
	X(WRONG_SEQ, "wrong sequence number") \
	X(WRONG_DIGEST, "wrong digest") \
	X(WRONG_CHAIN_VALUE, "link chain values differ")

typedef enum FtcReason
{
#define FTC_REASON_ENUM(name, text) FTC_##name,
	FTC_REASONS(FTC_REASON_ENUM)
#undef FTC_REASON_ENUM
	FTC_REASON_COUNT
} FtcReason;

/* The reason in words, a constant string; never NULL. */
extern const char *ftc_reason_text(FtcReason reason);

#endif							/* FTC_REASON_H */

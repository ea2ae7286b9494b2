/*-------------------------------------------------------------------------
 *
 * evidence.c
 *	  Evidence that a validator has signed what contradicts itself.
 *
 *-------------------------------------------------------------------------
 */
#include "evidence.h"

#include "bytes.h"
#include "entry.h"
#include "sha256.h"

/* ----------------------------------------------------------------
 *		Offences
 * ----------------------------------------------------------------
 */

static bool
surrounds(const FtcVoteLink *a, const FtcVoteLink *b)
{
	return a->source.round < b->source.round && b->target.round < a->target.round;
}

static int
compare_votes(const FtcVote *a, const FtcVote *b)
{
	FtcHash		x = ftc_vote_digest(&a->link);
	FtcHash		y = ftc_vote_digest(&b->link);

	return ftc_hash_compare(&x, &y);
}

/* An offence of a and b in this order, which is that of the evidence. */
static FtcOffence
offence_in_order(const FtcVote *a, const FtcVote *b)
{
	if (surrounds(&a->link, &b->link))
		return FTC_OFFENCE_SURROUND_VOTE;
	if (a->link.target.round == b->link.target.round && compare_votes(a, b) < 0)
		return FTC_OFFENCE_DOUBLE_VOTE;
	return FTC_OFFENCE_NONE;
}

FtcOffence
ftc_offence_of_votes(const FtcVote *a, const FtcVote *b, FtcEvidence *evidence)
{
	FtcOffence	offence = FTC_OFFENCE_NONE;

	if (!ftc_hash_equal(&a->voter, &b->voter))
		return offence;
	for (int turn = 0; turn < 2 && offence == FTC_OFFENCE_NONE; turn++)
	{
		const FtcVote *first = turn == 0 ? a : b;
		const FtcVote *second = turn == 0 ? b : a;

		offence = offence_in_order(first, second);
		if (offence != FTC_OFFENCE_NONE && evidence != NULL)
		{
			memset(evidence, 0, sizeof(*evidence));
			evidence->kind = (uint8_t) offence;
			evidence->vote[0] = *first;
			evidence->vote[1] = *second;
		}
	}
	return offence;
}

FtcOffence
ftc_offence_of_proposals(const FtcProposal *a, const FtcProposal *b, FtcEvidence *evidence)
{
	FtcHash		x = ftc_header_id(&a->header);
	FtcHash		y = ftc_header_id(&b->header);
	int			order = ftc_hash_compare(&x, &y);

	if (!ftc_hash_equal(&a->header.proposer, &b->header.proposer) ||
		a->header.round != b->header.round || a->header.height == 0 || b->header.height == 0 ||
		a->header.consensus == FTC_CONSENSUS_POW || b->header.consensus == FTC_CONSENSUS_POW || order == 0)
		return FTC_OFFENCE_NONE;
	if (evidence != NULL)
	{
		memset(evidence, 0, sizeof(*evidence));
		evidence->kind = FTC_OFFENCE_DOUBLE_PROPOSAL;
		evidence->proposal[0] = order < 0 ? *a : *b;
		evidence->proposal[1] = order < 0 ? *b : *a;
	}
	return FTC_OFFENCE_DOUBLE_PROPOSAL;
}

static bool
is_of_votes(const FtcEvidence *evidence)
{
	return evidence->kind != FTC_OFFENCE_DOUBLE_PROPOSAL;
}

/* Is the offence, in the order in which it stands, what it is said to be? */
static bool
is_as_said(const FtcEvidence *evidence)
{
	FtcEvidence again;
	FtcHash		before;
	FtcHash		now;

	if (is_of_votes(evidence))
		return ftc_hash_equal(&evidence->vote[0].voter, &evidence->vote[1].voter) &&
			offence_in_order(&evidence->vote[0], &evidence->vote[1]) == (FtcOffence) evidence->kind;
	if (ftc_offence_of_proposals(&evidence->proposal[0], &evidence->proposal[1], &again) == FTC_OFFENCE_NONE)
		return false;
	before = ftc_header_id(&evidence->proposal[0].header);
	now = ftc_header_id(&again.proposal[0].header);
	return ftc_hash_equal(&before, &now);
}

/* ----------------------------------------------------------------
 *		Bytes
 * ----------------------------------------------------------------
 */

static void
put_vote(FtcWriter *writer, const FtcVote *vote)
{
	uint8_t		bytes[FTC_VOTE_LEN];

	ftc_vote_encode(vote, bytes);
	ftc_put_bytes(writer, bytes, sizeof(bytes));
}

static void
put_proposal(FtcWriter *writer, const FtcProposal *proposal)
{
	uint8_t		bytes[FTC_HEADER_LEN];

	ftc_header_encode(&proposal->header, bytes);
	ftc_put_bytes(writer, bytes, sizeof(bytes));
	ftc_put_bytes(writer, proposal->signature.b, FTC_SIGNATURE_LEN);
}

size_t
ftc_evidence_encode(const FtcEvidence *evidence, uint8_t *bytes)
{
	FtcWriter	writer = ftc_writer(bytes, FTC_EVIDENCE_MAX);

	ftc_put_u8(&writer, FTC_LEAF_VERSION);
	ftc_put_u8(&writer, FTC_LEAF_EVIDENCE);
	ftc_put_u8(&writer, evidence->kind);
	ftc_put_u8(&writer, 0);
	for (int i = 0; i < 2; i++)
		if (is_of_votes(evidence))
			put_vote(&writer, &evidence->vote[i]);
		else
			put_proposal(&writer, &evidence->proposal[i]);
	return writer.len;
}

static FtcReason
get_proposal(FtcReader *reader, FtcProposal *proposal)
{
	FtcSlice	header = ftc_get_slice(reader, FTC_HEADER_LEN);

	ftc_get_bytes(reader, proposal->signature.b, FTC_SIGNATURE_LEN);
	return reader->bad ? FTC_BAD_LENGTH : ftc_header_decode(&proposal->header, header);
}

FtcReason
ftc_evidence_decode(FtcEvidence *evidence, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		class = ftc_get_u8(&reader);
	uint8_t		zero;
	FtcReason	reason = FTC_OK;

	memset(evidence, 0, sizeof(*evidence));
	evidence->kind = ftc_get_u8(&reader);
	zero = ftc_get_u8(&reader);
	if (reader.bad)
		return FTC_BAD_LENGTH;
	if (version != FTC_LEAF_VERSION)
		return FTC_BAD_VERSION;
	if (class != FTC_LEAF_EVIDENCE || evidence->kind == FTC_OFFENCE_NONE ||
		evidence->kind > FTC_OFFENCE_DOUBLE_PROPOSAL)
		return FTC_BAD_KIND;
	if (zero != 0)
		return FTC_NOT_CANONICAL;
	for (int i = 0; i < 2 && reason == FTC_OK; i++)
		if (is_of_votes(evidence))
			reason = ftc_vote_decode(&evidence->vote[i], ftc_get_slice(&reader, FTC_VOTE_LEN));
		else
			reason = get_proposal(&reader, &evidence->proposal[i]);
	if (reason != FTC_OK)
		return reason;
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	return is_as_said(evidence) ? FTC_OK : FTC_NO_OFFENCE;
}

FtcHash
ftc_evidence_id(const FtcEvidence *evidence)
{
	uint8_t		bytes[FTC_EVIDENCE_MAX];
	size_t		len = ftc_evidence_encode(evidence, bytes);

	return ftc_sha256(ftc_slice(bytes, len));
}

const FtcHash *
ftc_evidence_offender(const FtcEvidence *evidence)
{
	return is_of_votes(evidence) ? &evidence->vote[0].voter : &evidence->proposal[0].header.proposer;
}

uint64_t
ftc_evidence_round(const FtcEvidence *evidence)
{
	/* of two votes for one round it is the same; who surrounds is newer */
	return is_of_votes(evidence) ? evidence->vote[1].link.target.round : evidence->proposal[0].header.round;
}

/* ----------------------------------------------------------------
 *		Whether it is true, and counts
 * ----------------------------------------------------------------
 */

static FtcReason
check_signature(const FtcEvidence *evidence, int i, const FtcKey *key, const FtcHash *chain)
{
	FtcHash		digest;

	if (is_of_votes(evidence))
	{
		digest = ftc_vote_digest(&evidence->vote[i].link);
		return ftc_verify(key, FTC_DOMAIN_VOTE, chain, &digest, &evidence->vote[i].signature);
	}
	digest = ftc_header_id(&evidence->proposal[i].header);
	return ftc_verify(key, FTC_DOMAIN_BLOCK, chain, &digest, &evidence->proposal[i].signature);
}

FtcReason
ftc_evidence_check(const FtcEvidence *evidence, const FtcKey *key0, const FtcKey *key1,
				   const FtcHash *chain)
{
	if (!is_as_said(evidence))
		return FTC_NO_OFFENCE;
	return check_signature(evidence, 0, key0, chain) == FTC_OK &&
		check_signature(evidence, 1, key1, chain) == FTC_OK ? FTC_OK : FTC_BAD_SIGNATURE;
}

bool
ftc_evidence_is_alive(const FtcEvidence *evidence, uint64_t epoch, uint32_t per_epoch, uint32_t lifetime)
{
	uint64_t	then = ftc_evidence_round(evidence) / per_epoch;

	return then <= epoch && epoch - then <= lifetime;
}

int
ftc_evidence_compare(const FtcEvidence *a, const FtcEvidence *b)
{
	int			order = ftc_hash_compare(ftc_evidence_offender(a), ftc_evidence_offender(b));
	FtcHash		x;
	FtcHash		y;

	if (order != 0)
		return order;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	x = ftc_evidence_id(a);
	y = ftc_evidence_id(b);
	return ftc_hash_compare(&x, &y);
}

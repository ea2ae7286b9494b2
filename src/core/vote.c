/*-------------------------------------------------------------------------
 *
 * vote.c
 *	  Votes, and certificates made of them.
 *
 *-------------------------------------------------------------------------
 */
#include "vote.h"

#include "bytes.h"
#include "entry.h"
#include "sha256.h"

bool
ftc_checkpoint_equal(const FtcCheckpoint *a, const FtcCheckpoint *b)
{
	return a->round == b->round && ftc_hash_equal(&a->id, &b->id);
}

bool
ftc_vote_link_equal(const FtcVoteLink *a, const FtcVoteLink *b)
{
	return ftc_hash_equal(&a->validators, &b->validators) &&
		ftc_checkpoint_equal(&a->target, &b->target) && ftc_checkpoint_equal(&a->source, &b->source);
}

FtcReason
ftc_vote_link_check(const FtcVoteLink *link)
{
	if (link->target.round > INT64_MAX)
		return FTC_OUT_OF_RANGE;
	return link->source.round < link->target.round ? FTC_OK : FTC_BAD_ROUND;
}

static void
put_link(FtcWriter *writer, const FtcVoteLink *link)
{
	ftc_put_hash(writer, &link->validators);
	ftc_put_u64(writer, link->target.round);
	ftc_put_hash(writer, &link->target.id);
	ftc_put_u64(writer, link->source.round);
	ftc_put_hash(writer, &link->source.id);
}

static void
get_link(FtcReader *reader, FtcVoteLink *link)
{
	link->validators = ftc_get_hash(reader);
	link->target.round = ftc_get_u64(reader);
	link->target.id = ftc_get_hash(reader);
	link->source.round = ftc_get_u64(reader);
	link->source.id = ftc_get_hash(reader);
}

FtcHash
ftc_vote_digest(const FtcVoteLink *link)
{
	uint8_t		bytes[FTC_LINK_BYTES];
	FtcWriter	writer = ftc_writer(bytes, sizeof(bytes));

	put_link(&writer, link);
	return ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
}

/* ----------------------------------------------------------------
 *		Votes
 * ----------------------------------------------------------------
 */

void
ftc_vote_encode(const FtcVote *vote, uint8_t bytes[FTC_VOTE_LEN])
{
	FtcWriter	writer = ftc_writer(bytes, FTC_VOTE_LEN);

	ftc_put_u8(&writer, FTC_LEAF_VERSION);
	ftc_put_u8(&writer, FTC_LEAF_VOTE);
	ftc_put_u16(&writer, 0);
	ftc_put_hash(&writer, &vote->voter);
	put_link(&writer, &vote->link);
	ftc_put_bytes(&writer, vote->signature.b, FTC_SIGNATURE_LEN);
}

FtcReason
ftc_vote_decode(FtcVote *vote, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		class = ftc_get_u8(&reader);
	uint16_t	zero = ftc_get_u16(&reader);

	vote->voter = ftc_get_hash(&reader);
	get_link(&reader, &vote->link);
	ftc_get_bytes(&reader, vote->signature.b, FTC_SIGNATURE_LEN);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (version != FTC_LEAF_VERSION)
		return FTC_BAD_VERSION;
	if (class != FTC_LEAF_VOTE)
		return FTC_BAD_KIND;
	if (zero != 0)
		return FTC_NOT_CANONICAL;
	return ftc_vote_link_check(&vote->link);
}

FtcReason
ftc_vote_verify(const FtcVote *vote, const FtcValidators *set, const FtcHash *hash,
				const FtcHash *chain, int *place)
{
	int			at = ftc_validators_find(set, &vote->voter);
	FtcHash		digest;

	if (!ftc_hash_equal(&vote->link.validators, hash))
		return FTC_WRONG_VALIDATORS;
	if (at < 0)
		return FTC_NOT_A_MEMBER;
	if (place != NULL)
		*place = at;
	digest = ftc_vote_digest(&vote->link);
	return ftc_verify(&set->at[at].key, FTC_DOMAIN_VOTE, chain, &digest, &vote->signature) == FTC_OK
		? FTC_OK : FTC_BAD_SIGNATURE;
}

bool
ftc_tally_add(FtcTally *tally, const FtcValidators *set, int place)
{
	uint64_t	bit = UINT64_C(1) << (place % 64);

	if ((tally->voted[place / 64] & bit) != 0)
		return false;
	tally->voted[place / 64] |= bit;
	tally->weight.weight += set->at[place].weight;
	tally->weight.before += set->at[place].before;
	return true;
}

/* ----------------------------------------------------------------
 *		Certificates
 * ----------------------------------------------------------------
 */

static void
put_certificate_head(FtcWriter *writer, const FtcVoteLink *link, uint16_t n)
{
	ftc_put_u8(writer, FTC_LEAF_VERSION);
	ftc_put_u8(writer, FTC_LEAF_CERTIFICATE);
	ftc_put_u16(writer, n);
	put_link(writer, link);
}

/* Put the vote of whoever has this place in the set, if there is one. */
static bool
put_vote_of(FtcWriter *writer, const FtcVote *votes, uint16_t n, const FtcValidators *set, uint16_t place)
{
	for (uint16_t i = 0; i < n; i++)
		if (ftc_hash_equal(&votes[i].voter, &set->at[place].id))
		{
			ftc_put_u16(writer, place);
			ftc_put_bytes(writer, votes[i].signature.b, FTC_SIGNATURE_LEN);
			return true;
		}
	return false;
}

size_t
ftc_certificate_make(const FtcVote *votes, uint16_t n, const FtcValidators *set, uint8_t *bytes)
{
	FtcWriter	writer = ftc_writer(bytes, FTC_CERTIFICATE_HEAD_LEN + (size_t) n * FTC_CERTIFICATE_VOTE_LEN);
	FtcWriter	head = writer;
	FtcTally	tally = {0};
	uint16_t	put = 0;

	for (uint16_t i = 1; i < n; i++)
		if (!ftc_vote_link_equal(&votes[i].link, &votes[0].link))
			return 0;
	if (n == 0)
		return 0;
	put_certificate_head(&writer, &votes[0].link, 0);
	for (uint16_t place = 0; place < set->n; place++)
		if (put_vote_of(&writer, votes, n, set, place))
		{
			(void) ftc_tally_add(&tally, set, place);
			put++;
		}
	put_certificate_head(&head, &votes[0].link, put);
	return ftc_validators_is_quorum(set, tally.weight) ? writer.len : 0;
}

size_t
ftc_certificate_encode(const FtcCertificate *certificate, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	put_certificate_head(&writer, &certificate->link, certificate->n);
	ftc_put_slice(&writer, certificate->votes);
	return writer.len;
}

FtcReason
ftc_certificate_decode(FtcCertificate *certificate, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		class = ftc_get_u8(&reader);
	int			before = -1;

	certificate->n = ftc_get_u16(&reader);
	get_link(&reader, &certificate->link);
	if (reader.bad || reader.left != (size_t) certificate->n * FTC_CERTIFICATE_VOTE_LEN)
		return FTC_BAD_LENGTH;
	if (version != FTC_LEAF_VERSION)
		return FTC_BAD_VERSION;
	if (class != FTC_LEAF_CERTIFICATE)
		return FTC_BAD_KIND;
	if (certificate->n > FTC_VALIDATORS_MAX)
		return FTC_TOO_MANY;
	certificate->votes = ftc_slice(reader.at, reader.left);
	for (uint16_t i = 0; i < certificate->n; i++)
	{
		int			place = ftc_get_u16(&reader);

		(void) ftc_get_slice(&reader, FTC_SIGNATURE_LEN);
		if (place <= before)
			return FTC_NOT_CANONICAL;
		before = place;
	}
	return ftc_vote_link_check(&certificate->link);
}

/* Do those who are named have a quorum? */
static FtcReason
count_votes(const FtcCertificate *certificate, const FtcValidators *set)
{
	FtcReader	reader = ftc_reader(certificate->votes);
	FtcTally	tally = {0};

	for (uint16_t i = 0; i < certificate->n; i++)
	{
		uint16_t	place = ftc_get_u16(&reader);

		(void) ftc_get_slice(&reader, FTC_SIGNATURE_LEN);
		if (reader.bad || place >= set->n)
			return FTC_NOT_A_MEMBER;
		(void) ftc_tally_add(&tally, set, place);
	}
	return ftc_validators_is_quorum(set, tally.weight) ? FTC_OK : FTC_NO_QUORUM;
}

FtcReason
ftc_certificate_verify(const FtcCertificate *certificate, const FtcValidators *set,
					   const FtcHash *hash, const FtcHash *chain)
{
	FtcHash		digest = ftc_vote_digest(&certificate->link);
	FtcReader	reader = ftc_reader(certificate->votes);
	FtcReason	reason;

	if (!ftc_hash_equal(&certificate->link.validators, hash))
		return FTC_WRONG_VALIDATORS;
	reason = count_votes(certificate, set);
	for (uint16_t i = 0; i < certificate->n && reason == FTC_OK; i++)
	{
		uint16_t	place = ftc_get_u16(&reader);
		FtcSignature signature;

		ftc_get_bytes(&reader, signature.b, FTC_SIGNATURE_LEN);
		if (ftc_verify(&set->at[place].key, FTC_DOMAIN_VOTE, chain, &digest, &signature) != FTC_OK)
			reason = FTC_BAD_SIGNATURE;
	}
	return reason;
}

/*-------------------------------------------------------------------------
 *
 * finality_proof.c
 *	  Proof that a block is final.
 *
 *-------------------------------------------------------------------------
 */
#include "finality_proof.h"

#include "bytes.h"
#include "entry.h"
#include "state.h"

size_t
ftc_finality_proof_encode(const FtcFinalityProof *proof, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	ftc_put_u8(&writer, FTC_LEAF_VERSION);
	ftc_put_u8(&writer, FTC_LEAF_FINALITY_PROOF);
	ftc_put_u16(&writer, 0);
	ftc_put_slice(&writer, proof->header);
	ftc_put_bytes(&writer, proof->signature.b, FTC_SIGNATURE_LEN);
	ftc_put_blob(&writer, proof->next);
	ftc_put_blob(&writer, proof->certificate);
	ftc_put_blob(&writer, proof->validators);
	ftc_put_slice(&writer, proof->record);
	ftc_put_u32(&writer, proof->members);
	ftc_put_u8(&writer, proof->npath);
	for (int i = 0; i < proof->npath; i++)
		ftc_put_hash(&writer, &proof->path[i]);
	return writer.len;
}

FtcReason
ftc_finality_proof_decode(FtcFinalityProof *proof, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		class = ftc_get_u8(&reader);
	uint16_t	zero = ftc_get_u16(&reader);

	proof->header = ftc_get_slice(&reader, FTC_HEADER_LEN);
	ftc_get_bytes(&reader, proof->signature.b, FTC_SIGNATURE_LEN);
	proof->next = ftc_get_blob(&reader);
	proof->certificate = ftc_get_blob(&reader);
	proof->validators = ftc_get_blob(&reader);
	proof->record = ftc_get_slice(&reader, FTC_EPOCH_LEN);
	proof->members = ftc_get_u32(&reader);
	proof->npath = ftc_get_u8(&reader);
	if (proof->npath > FTC_PROOF_MAX)
		return FTC_TOO_MANY;
	for (int i = 0; i < proof->npath; i++)
		proof->path[i] = ftc_get_hash(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (version != FTC_LEAF_VERSION)
		return FTC_BAD_VERSION;
	if (class != FTC_LEAF_FINALITY_PROOF)
		return FTC_BAD_KIND;
	return zero == 0 ? FTC_OK : FTC_NOT_CANONICAL;
}

/* ----------------------------------------------------------------
 *		Each of these checks a part
 * ----------------------------------------------------------------
 */

/* The proof's parts, read. */
typedef struct Parts
{
	FtcHeader	header;
	FtcHeader	next;			/* the same if the validator is alone */
	FtcHash		id;
	FtcHash		next_id;
	FtcValidator at[FTC_VALIDATORS_MAX];
	FtcValidators set;
	FtcHash		set_hash;
	FtcEpoch	record;
	FtcCertificate certificate;
} Parts;

static FtcReason
read_parts(const FtcFinalityProof *proof, Parts *parts)
{
	FtcReason	reason = ftc_header_decode(&parts->header, proof->header);

	parts->set = (FtcValidators)
	{
		.capacity = FTC_VALIDATORS_MAX,.at = parts->at
	};
	if (reason == FTC_OK)
		reason = ftc_header_decode(&parts->next, proof->next.len > 0 ? proof->next : proof->header);
	if (reason == FTC_OK)
		reason = ftc_validators_decode(&parts->set, proof->validators);
	if (reason == FTC_OK)
		reason = ftc_epoch_decode(&parts->record, proof->record);
	if (reason != FTC_OK)
		return reason;
	parts->id = ftc_header_id(&parts->header);
	parts->next_id = ftc_header_id(&parts->next);
	parts->set_hash = ftc_validators_hash(&parts->set);
	return FTC_OK;
}

/* Are these the validators that the state names? */
static FtcReason
check_set(const FtcFinalityProof *proof, const Parts *parts, const FtcHash *trusted)
{
	FtcHash		record = ftc_epoch_hash(&parts->record);
	FtcHash		leaf = ftc_voters_leaf_hash(&record);

	if (trusted != NULL && !ftc_hash_equal(trusted, &parts->set_hash))
		return FTC_WRONG_VALIDATORS;
	if (!ftc_hash_equal(&parts->record.validators, &parts->set_hash))
		return FTC_WRONG_VALIDATORS;
	return ftc_merkle_verify_inclusion(&leaf, 1, (uint64_t) proof->members + 2, proof->path, proof->npath,
									   &parts->next.state);
}

/* The only validator has signed the block, and nobody else is asked. */
static FtcReason
check_alone(const FtcFinalityProof *proof, const Parts *parts, const FtcHash *genesis)
{
	if (!ftc_validators_is_alone(&parts->set) || proof->certificate.len > 0)
		return FTC_NO_QUORUM;
	if (!ftc_hash_equal(&parts->header.proposer, &parts->set.at[0].id))
		return FTC_NOT_A_MEMBER;
	return ftc_verify(&parts->set.at[0].key, FTC_DOMAIN_BLOCK, genesis, &parts->id,
					  &proof->signature) == FTC_OK ? FTC_OK : FTC_BAD_SIGNATURE;
}

static FtcReason
check_votes(const FtcFinalityProof *proof, Parts *parts, const FtcHash *genesis)
{
	FtcVoteLink link = {parts->set_hash, {parts->next_id, parts->next.round},
	{parts->id, parts->header.round}};
	FtcReason	reason = ftc_certificate_decode(&parts->certificate, proof->certificate);

	if (reason != FTC_OK)
		return reason;
	if (!ftc_hash_equal(&parts->next.justify, &parts->id) ||
		parts->next.round != parts->header.round + 1 ||
		!ftc_vote_link_equal(&parts->certificate.link, &link))
		return FTC_NOT_JUSTIFIED;
	return ftc_certificate_verify(&parts->certificate, &parts->set, &parts->set_hash, genesis);
}

FtcReason
ftc_finality_proof_check(const FtcFinalityProof *proof, const FtcHash *genesis, const FtcHash *trusted,
						 FtcHash *id, uint64_t *height)
{
	Parts		parts;
	FtcReason	reason = read_parts(proof, &parts);

	if (reason == FTC_OK)
		reason = check_set(proof, &parts, trusted);
	if (reason == FTC_OK && proof->next.len == 0)
		reason = check_alone(proof, &parts, genesis);
	else if (reason == FTC_OK)
		reason = check_votes(proof, &parts, genesis);
	*id = parts.id;
	*height = parts.header.height;
	return reason;
}

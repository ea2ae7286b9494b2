/*-------------------------------------------------------------------------
 *
 * copy.c
 *	  A copy of a body at a member.
 *
 *-------------------------------------------------------------------------
 */
#include "copy.h"

#include "sha256.h"

FtcCopyState
ftc_copy_state(const FtcCopyFacts *facts, uint64_t now, uint64_t fresh)
{
	if (facts->lost)
		return FTC_COPY_LOST;
	if (facts->stated)
		return facts->proved_at > 0 && (facts->proved_at >= now || now - facts->proved_at <= fresh)
			? FTC_COPY_PROVED : FTC_COPY_STORED;
	if (!facts->owned)
		return FTC_COPY_NONE;
	return facts->sent ? FTC_COPY_SENT : FTC_COPY_WANTED;
}

const char *
ftc_copy_state_name(FtcCopyState state)
{
	static const char *const names[] = {"none", "wanted", "sent", "stored", "proved", "lost"};

	return names[state];
}

FtcProofVerdict
ftc_proof_judge(FtcProof *proof, FtcProofAnswer answer)
{
	bool		was_lost = proof->lost;

	if (answer == FTC_PROOF_NONE)
		return FTC_PROOF_UNKNOWN;
	if (answer == FTC_PROOF_RIGHT)
	{
		proof->wrong = 0;
		proof->lost = false;
		return was_lost ? FTC_PROOF_FOUND : FTC_PROOF_GOOD;
	}
	if (was_lost)
		return FTC_PROOF_UNKNOWN;
	if (answer == FTC_PROOF_WRONG && ++proof->wrong < FTC_PROOF_TRIES)
		return FTC_PROOF_AGAIN;
	proof->wrong = 0;
	proof->lost = true;
	return FTC_PROOF_LOST;
}

FtcHash
ftc_proof_of(const uint8_t nonce[FTC_NONCE_LEN], const FtcHash *member, FtcSlice body)
{
	FtcSha256	sha;

	ftc_sha256_init(&sha);
	ftc_sha256_update(&sha, nonce, FTC_NONCE_LEN);
	ftc_sha256_update(&sha, member->b, FTC_HASH_LEN);
	ftc_sha256_update(&sha, body.data, body.len);
	return ftc_sha256_final(&sha);
}

FtcHash
ftc_proof_digest(const FtcHash *block, const FtcHash *member, const uint8_t nonce[FTC_NONCE_LEN],
				 const FtcHash *answer)
{
	FtcSha256	sha;

	ftc_sha256_init(&sha);
	ftc_sha256_update(&sha, block->b, FTC_HASH_LEN);
	ftc_sha256_update(&sha, member->b, FTC_HASH_LEN);
	ftc_sha256_update(&sha, nonce, FTC_NONCE_LEN);
	ftc_sha256_update(&sha, answer->b, FTC_HASH_LEN);
	return ftc_sha256_final(&sha);
}

uint32_t
ftc_copies_count(uint32_t whole, uint32_t shards, uint32_t data)
{
	return whole + (data > 0 && shards >= data ? shards - data + 1 : 0);
}

uint32_t
ftc_copies_needed(uint32_t durability, uint32_t possible)
{
	return durability < possible ? durability : possible;
}

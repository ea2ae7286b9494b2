/*-------------------------------------------------------------------------
 *
 * stake.c
 *	  Who has staked how much, and whom he approves as delegates.
 *
 *-------------------------------------------------------------------------
 */
#include "stake.h"

#include "bytes.h"
#include "entry.h"
#include "sha256.h"

/* ----------------------------------------------------------------
 *		Bytes
 * ----------------------------------------------------------------
 */

static void
put_stake(FtcWriter *writer, const FtcStake *stake)
{
	ftc_put_hash(writer, &stake->member);
	ftc_put_u64(writer, stake->stake);
	ftc_put_u8(writer, stake->flags);
	ftc_put_u8(writer, stake->nleaving);
	for (int i = 0; i < stake->nleaving; i++)
	{
		ftc_put_u64(writer, stake->leaving[i].amount);
		ftc_put_u64(writer, stake->leaving[i].epoch);
	}
	ftc_put_u8(writer, stake->napprovals);
	for (int i = 0; i < stake->napprovals; i++)
		ftc_put_hash(writer, &stake->approvals[i]);
}

static void
put_head(FtcWriter *writer, uint32_t n)
{
	ftc_put_u8(writer, FTC_LEAF_VERSION);
	ftc_put_u8(writer, FTC_LEAF_STAKES);
	ftc_put_u16(writer, 0);
	ftc_put_u32(writer, n);
}

size_t
ftc_stakes_encode(const FtcStakes *stakes, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	put_head(&writer, stakes->n);
	for (uint32_t i = 0; i < stakes->n; i++)
		put_stake(&writer, &stakes->at[i]);
	return writer.len;
}

FtcHash
ftc_stakes_hash(const FtcStakes *stakes)
{
	uint8_t		bytes[FTC_STAKE_LEN_MAX];
	FtcWriter	writer = ftc_writer(bytes, sizeof(bytes));
	FtcSha256	sha;

	ftc_sha256_init(&sha);
	put_head(&writer, stakes->n);
	ftc_sha256_update(&sha, bytes, writer.len);
	for (uint32_t i = 0; i < stakes->n; i++)
	{
		writer.len = 0;
		put_stake(&writer, &stakes->at[i]);
		ftc_sha256_update(&sha, bytes, writer.len);
	}
	return ftc_sha256_final(&sha);
}

uint32_t
ftc_stakes_capacity(FtcSlice bytes)
{
	return (uint32_t) (bytes.len / FTC_STAKE_LEN_MIN) + 1;
}

static FtcReason
get_stake(FtcReader *reader, FtcStake *stake)
{
	memset(stake, 0, sizeof(*stake));
	stake->member = ftc_get_hash(reader);
	stake->stake = ftc_get_u64(reader);
	stake->flags = ftc_get_u8(reader);
	stake->nleaving = ftc_get_u8(reader);
	if (stake->nleaving > FTC_LEAVING_MAX)
		return FTC_TOO_MANY;
	for (int i = 0; i < stake->nleaving; i++)
	{
		stake->leaving[i].amount = ftc_get_u64(reader);
		stake->leaving[i].epoch = ftc_get_u64(reader);
	}
	stake->napprovals = ftc_get_u8(reader);
	if (stake->napprovals > FTC_APPROVALS_MAX)
		return FTC_TOO_MANY;
	for (int i = 0; i < stake->napprovals; i++)
		stake->approvals[i] = ftc_get_hash(reader);
	return reader->bad ? FTC_BAD_LENGTH : FTC_OK;
}

static bool
ascend(const FtcHash *hashes, uint8_t n)
{
	for (int i = 1; i < n; i++)
		if (ftc_hash_compare(&hashes[i - 1], &hashes[i]) >= 0)
			return false;
	return true;
}

/* All that is bound of a member; more than the most there can be if it runs over. */
static uint64_t
bound_of(const FtcStake *stake)
{
	uint64_t	sum = stake->stake;

	for (int i = 0; i < stake->nleaving; i++)
	{
		if (sum > FTC_PRIORITY_WEIGHT_MAX || stake->leaving[i].amount > FTC_PRIORITY_WEIGHT_MAX)
			return UINT64_MAX;
		sum += stake->leaving[i].amount;
	}
	return sum;
}

static FtcReason
check_stake(const FtcStake *stake)
{
	if (bound_of(stake) > FTC_PRIORITY_WEIGHT_MAX || (stake->flags & ~FTC_STAKE_FLAGS) != 0)
		return FTC_OUT_OF_RANGE;
	for (int i = 0; i < stake->nleaving; i++)
		if (stake->leaving[i].amount == 0 ||
			(i > 0 && stake->leaving[i].epoch <= stake->leaving[i - 1].epoch))
			return FTC_NOT_CANONICAL;
	return ascend(stake->approvals, stake->napprovals) ? FTC_OK : FTC_NOT_CANONICAL;
}

FtcReason
ftc_stakes_decode(FtcStakes *stakes, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		class = ftc_get_u8(&reader);
	uint16_t	zero = ftc_get_u16(&reader);
	uint32_t	n = ftc_get_u32(&reader);
	uint64_t	bound = 0;

	stakes->n = 0;
	if (reader.bad)
		return FTC_BAD_LENGTH;
	if (version != FTC_LEAF_VERSION)
		return FTC_BAD_VERSION;
	if (class != FTC_LEAF_STAKES)
		return FTC_BAD_KIND;
	if (zero != 0)
		return FTC_NOT_CANONICAL;
	if (n > stakes->capacity || n > FTC_STAKES_MAX)
		return FTC_TOO_MANY;
	for (uint32_t i = 0; i < n; i++)
	{
		FtcStake   *stake = &stakes->at[i];
		FtcReason	reason = get_stake(&reader, stake);

		if (reason == FTC_OK)
			reason = check_stake(stake);
		if (reason != FTC_OK)
			return reason;
		if (i > 0 && ftc_hash_compare(&stakes->at[i - 1].member, &stake->member) >= 0)
			return FTC_NOT_CANONICAL;
		bound += bound_of(stake);
		if (bound > FTC_PRIORITY_WEIGHT_MAX)
			return FTC_OUT_OF_RANGE;
		stakes->n = i + 1;
	}
	return ftc_reader_is_done(&reader) ? FTC_OK : FTC_BAD_LENGTH;
}

/* ----------------------------------------------------------------
 *		Changes
 * ----------------------------------------------------------------
 */

/* Where a member is, or would be. */
static uint32_t
position(const FtcStakes *stakes, const FtcHash *member)
{
	uint32_t	low = 0;
	uint32_t	high = stakes->n;

	while (low < high)
	{
		uint32_t	mid = low + (high - low) / 2;

		if (ftc_hash_compare(&stakes->at[mid].member, member) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static FtcStake *
find(FtcStakes *stakes, const FtcHash *member)
{
	uint32_t	at = position(stakes, member);

	return at < stakes->n && ftc_hash_equal(&stakes->at[at].member, member) ? &stakes->at[at] : NULL;
}

const FtcStake *
ftc_stakes_find(const FtcStakes *stakes, const FtcHash *member)
{
	uint32_t	at = position(stakes, member);

	return at < stakes->n && ftc_hash_equal(&stakes->at[at].member, member) ? &stakes->at[at] : NULL;
}

/* The entry of a member, made if there is none; NULL if there is no room. */
static FtcStake *
find_or_make(FtcStakes *stakes, const FtcHash *member)
{
	FtcStake   *stake = find(stakes, member);
	uint32_t	at = position(stakes, member);

	if (stake != NULL)
		return stake;
	if (stakes->n >= stakes->capacity || stakes->n >= FTC_STAKES_MAX)
		return NULL;
	stake = &stakes->at[at];
	memmove(stake + 1, stake, (stakes->n - at) * sizeof(*stake));
	stakes->n++;
	memset(stake, 0, sizeof(*stake));
	stake->member = *member;
	return stake;
}

bool
ftc_stake_add(FtcStakes *stakes, const FtcHash *member, uint64_t amount)
{
	uint64_t	bound = 0;
	FtcStake   *stake;

	for (uint32_t i = 0; i < stakes->n; i++)
		bound += bound_of(&stakes->at[i]);
	if (amount == 0 || amount > FTC_PRIORITY_WEIGHT_MAX - bound)
		return false;
	stake = find_or_make(stakes, member);
	if (stake == NULL)
		return false;
	stake->stake += amount;
	return true;
}

bool
ftc_stake_remove(FtcStakes *stakes, const FtcHash *member, uint64_t amount, uint64_t free)
{
	FtcStake   *stake = find(stakes, member);
	FtcLeaving *last;

	if (stake == NULL || amount == 0 || amount > stake->stake)
		return false;
	last = stake->nleaving > 0 ? &stake->leaving[stake->nleaving - 1] : NULL;
	if (last != NULL && free < last->epoch)
		return false;
	if (last != NULL && free == last->epoch)
		last->amount += amount;
	else if (stake->nleaving == FTC_LEAVING_MAX)
		return false;
	else
		stake->leaving[stake->nleaving++] = (FtcLeaving)
	{
		amount, free
	};
	stake->stake -= amount;
	return true;
}

bool
ftc_stake_approve(FtcStakes *stakes, const FtcHash *member, const FtcHash *approvals, uint8_t n)
{
	FtcStake   *stake;

	if (n > FTC_APPROVALS_MAX || !ascend(approvals, n))
		return false;
	stake = find(stakes, member);
	if (stake == NULL)
		return false;
	memset(stake->approvals, 0, sizeof(stake->approvals));
	memcpy(stake->approvals, approvals, n * sizeof(FtcHash));
	stake->napprovals = n;
	return true;
}

/* An entry of its own even without stake: a delegate may have none. */
bool
ftc_stake_punish(FtcStakes *stakes, const FtcHash *member)
{
	FtcStake   *stake = find_or_make(stakes, member);

	if (stake == NULL || (stake->flags & FTC_STAKE_OFFENDER) != 0)
		return false;
	stake->flags |= FTC_STAKE_OFFENDER;
	return true;
}

static void
release_one(FtcStake *stake, uint64_t epoch)
{
	uint8_t		n = 0;

	for (int i = 0; i < stake->nleaving; i++)
		if (stake->leaving[i].epoch > epoch)
			stake->leaving[n++] = stake->leaving[i];
	stake->nleaving = n;
}

void
ftc_stake_release(FtcStakes *stakes, uint64_t epoch)
{
	uint32_t	n = 0;

	for (uint32_t i = 0; i < stakes->n; i++)
	{
		FtcStake   *stake = &stakes->at[i];

		release_one(stake, epoch);
		if (stake->stake > 0 || stake->nleaving > 0 || stake->flags != 0)
			stakes->at[n++] = *stake;
	}
	stakes->n = n;
}

/* ----------------------------------------------------------------
 *		The set of validators
 * ----------------------------------------------------------------
 */

/* The place in the set of who has the least weight, of equal ones the greatest id. */
static uint16_t
least_of(const FtcValidators *set)
{
	uint16_t	least = 0;

	for (uint16_t i = 1; i < set->n; i++)
		if (set->at[i].weight <= set->at[least].weight)
			least = i;
	return least;
}

/* Members come in ascending order of ids, so whoever comes goes to the end. */
void
ftc_stake_put_ranked(FtcValidators *set, const FtcMember *member, uint64_t weight, uint16_t most)
{
	FtcValidator *v;

	if (most > set->capacity)
		most = set->capacity;
	if (most == 0)
		return;
	if (set->n >= most)
	{
		uint16_t	least = least_of(set);

		if (set->at[least].weight >= weight)
			return;
		memmove(&set->at[least], &set->at[least + 1], (set->n - least - 1) * sizeof(*set->at));
		set->n--;
	}
	v = &set->at[set->n++];
	v->id = member->id;
	v->algorithm = member->algorithm;
	v->key = member->key;
	v->weight = weight;
	v->before = 0;
}

bool
ftc_stake_validators(const FtcStakes *stakes, const FtcState *members, uint8_t quorum,
					 FtcValidators *wanted)
{
	wanted->quorum = quorum;
	wanted->handover = false;
	wanted->n = 0;
	for (uint32_t i = 0; i < stakes->n; i++)
	{
		const FtcStake *stake = &stakes->at[i];
		const FtcMember *member = ftc_state_find(members, &stake->member);

		if (member != NULL && stake->stake > 0 && (stake->flags & FTC_STAKE_OFFENDER) == 0)
			ftc_stake_put_ranked(wanted, member, stake->stake, FTC_VALIDATORS_MAX);
	}
	return wanted->n > 0;
}

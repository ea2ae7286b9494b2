/*-------------------------------------------------------------------------
 *
 * validators.c
 *	  The set of validators of an epoch.
 *
 *-------------------------------------------------------------------------
 */
#include "validators.h"

#include "bytes.h"
#include "entry.h"
#include "sha256.h"
#include "sign.h"

size_t
ftc_validators_encode(const FtcValidators *set, uint8_t *bytes, size_t size)
{
	FtcWriter	writer = ftc_writer(bytes, size);

	ftc_put_u8(&writer, FTC_LEAF_VERSION);
	ftc_put_u8(&writer, FTC_LEAF_VALIDATORS);
	ftc_put_u8(&writer, set->quorum);
	ftc_put_u8(&writer, set->handover);
	ftc_put_u16(&writer, set->n);
	for (uint16_t i = 0; i < set->n; i++)
	{
		const FtcValidator *v = &set->at[i];

		ftc_put_hash(&writer, &v->id);
		ftc_put_u8(&writer, v->algorithm);
		ftc_put_bytes(&writer, v->key.b, FTC_KEY_LEN);
		ftc_put_u64(&writer, v->weight);
		ftc_put_u64(&writer, v->before);
	}
	return writer.len;
}

FtcReason
ftc_validators_decode(FtcValidators *set, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		class = ftc_get_u8(&reader);
	uint8_t		handover;

	set->quorum = ftc_get_u8(&reader);
	handover = ftc_get_u8(&reader);
	set->n = ftc_get_u16(&reader);
	if (reader.bad || reader.left != (size_t) set->n * FTC_VALIDATOR_LEN)
		return FTC_BAD_LENGTH;
	if (version != FTC_LEAF_VERSION)
		return FTC_BAD_VERSION;
	if (class != FTC_LEAF_VALIDATORS)
		return FTC_BAD_KIND;
	if (handover > 1)
		return FTC_NOT_CANONICAL;
	if (set->n > set->capacity || set->n > FTC_VALIDATORS_MAX)
		return FTC_TOO_MANY;
	set->handover = handover == 1;
	for (uint16_t i = 0; i < set->n; i++)
	{
		FtcValidator *v = &set->at[i];

		v->id = ftc_get_hash(&reader);
		v->algorithm = ftc_get_u8(&reader);
		ftc_get_bytes(&reader, v->key.b, FTC_KEY_LEN);
		v->weight = ftc_get_u64(&reader);
		v->before = ftc_get_u64(&reader);
	}
	return ftc_validators_check(set);
}

static FtcReason
check_validator(const FtcValidators *set, uint16_t i)
{
	const FtcValidator *v = &set->at[i];

	if (i > 0 && ftc_hash_compare(&set->at[i - 1].id, &v->id) >= 0)
		return FTC_NOT_CANONICAL;
	if (v->algorithm != FTC_ALGORITHM_ED25519 || ftc_key_check(&v->key) != FTC_OK)
		return FTC_BAD_KEY;
	if (v->weight > FTC_PRIORITY_WEIGHT_MAX || v->before > FTC_PRIORITY_WEIGHT_MAX)
		return FTC_OUT_OF_RANGE;
	if ((v->weight == 0 && v->before == 0) || (!set->handover && v->before != 0))
		return FTC_NOT_CANONICAL;
	return FTC_OK;
}

FtcReason
ftc_validators_check(const FtcValidators *set)
{
	FtcWeight	total = {0};

	if (set->quorum != FTC_QUORUM_TWO_THIRDS && set->quorum != FTC_QUORUM_MAJORITY)
		return FTC_BAD_KIND;
	for (uint16_t i = 0; i < set->n; i++)
	{
		FtcReason	reason = check_validator(set, i);

		if (reason != FTC_OK)
			return reason;
		/* no more than 256 summands, so this cannot run over */
		total.weight += set->at[i].weight;
		total.before += set->at[i].before;
		if (total.weight > FTC_PRIORITY_WEIGHT_MAX || total.before > FTC_PRIORITY_WEIGHT_MAX)
			return FTC_OUT_OF_RANGE;
	}
	if (total.weight == 0 || (set->handover && total.before == 0))
		return FTC_OUT_OF_RANGE;
	return FTC_OK;
}

FtcHash
ftc_validators_hash(const FtcValidators *set)
{
	uint8_t		bytes[FTC_VALIDATORS_BYTES_MAX];
	size_t		len = ftc_validators_encode(set, bytes, sizeof(bytes));

	return ftc_sha256(ftc_slice(bytes, len));
}

int
ftc_validators_find(const FtcValidators *set, const FtcHash *id)
{
	int			low = 0;
	int			high = set->n;

	while (low < high)
	{
		int			mid = low + (high - low) / 2;
		int			order = ftc_hash_compare(&set->at[mid].id, id);

		if (order == 0)
			return mid;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}

FtcWeight
ftc_validators_total(const FtcValidators *set)
{
	FtcWeight	total = {0};

	for (uint16_t i = 0; i < set->n; i++)
	{
		total.weight += set->at[i].weight;
		total.before += set->at[i].before;
	}
	return total;
}

/* No overflow: no weight is above INT64_MAX / 8. */
static bool
is_enough(uint8_t quorum, uint64_t votes, uint64_t total)
{
	if (quorum == FTC_QUORUM_MAJORITY)
		return 2 * votes > total;
	return 3 * votes > 2 * total;
}

bool
ftc_validators_is_quorum(const FtcValidators *set, FtcWeight votes)
{
	FtcWeight	total = ftc_validators_total(set);

	if (!is_enough(set->quorum, votes.weight, total.weight))
		return false;
	return !set->handover || is_enough(set->quorum, votes.before, total.before);
}

bool
ftc_validators_is_alone(const FtcValidators *set)
{
	return set->n == 1 && !set->handover;
}

bool
ftc_validators_equal(const FtcValidators *a, const FtcValidators *b)
{
	if (a->n != b->n || a->quorum != b->quorum || a->handover != b->handover)
		return false;
	for (uint16_t i = 0; i < a->n; i++)
	{
		const FtcValidator *x = &a->at[i];
		const FtcValidator *y = &b->at[i];

		if (!ftc_hash_equal(&x->id, &y->id) || x->algorithm != y->algorithm ||
			memcmp(x->key.b, y->key.b, FTC_KEY_LEN) != 0 || x->weight != y->weight ||
			x->before != y->before)
			return false;
	}
	return true;
}

bool
ftc_validators_copy(FtcValidators *into, const FtcValidators *set)
{
	if (set->n > into->capacity)
		return false;
	into->quorum = set->quorum;
	into->handover = set->handover;
	into->n = set->n;
	if (set->n > 0)
		memmove(into->at, set->at, set->n * sizeof(*set->at));
	return true;
}

/* ----------------------------------------------------------------
 *		Changes
 * ----------------------------------------------------------------
 */

/* How much may still be taken away and added. */
typedef struct Budget
{
	uint64_t	taken;
	uint64_t	added;
} Budget;

/* The weight of a member after the step: as near to what is wanted as the budget lets it. */
static uint64_t
step_weight(uint64_t now, uint64_t wanted, Budget *budget)
{
	uint64_t   *left = wanted < now ? &budget->taken : &budget->added;
	uint64_t	change = wanted < now ? now - wanted : wanted - now;

	change = change < *left ? change : *left;
	*left -= change;
	return wanted < now ? now - change : now + change;
}

/* A member of either set; old or new may be NULL, not both. */
static FtcValidator
step_member(const FtcValidator *old, const FtcValidator *new, Budget *budget)
{
	FtcValidator v = new != NULL ? *new : *old;

	v.before = old != NULL ? old->weight : 0;
	v.weight = step_weight(v.before, new != NULL ? new->weight : 0, budget);
	return v;
}

/* All members of both sets, as they are after the step; false if there is no room. */
static bool
merge(const FtcValidators *set, const FtcValidators *wanted, Budget budget, FtcValidators *next)
{
	uint16_t	i = 0;
	uint16_t	j = 0;

	next->n = 0;
	while (i < set->n || j < wanted->n)
	{
		int			order = i == set->n ? 1 : j == wanted->n ? -1
		: ftc_hash_compare(&set->at[i].id, &wanted->at[j].id);
		FtcValidator v = step_member(order <= 0 ? &set->at[i] : NULL,
									 order >= 0 ? &wanted->at[j] : NULL, &budget);

		i += order <= 0;
		j += order >= 0;
		if (v.weight == 0 && v.before == 0)
			continue;			/* the budget did not reach this newcomer */
		if (next->n == next->capacity || next->n == FTC_VALIDATORS_MAX)
			return false;
		next->at[next->n++] = v;
	}
	return true;
}

/* Is a set that is handed over another one at all? */
static bool
is_change(const FtcValidators *set, const FtcValidators *next)
{
	if (set->n != next->n)
		return true;
	for (uint16_t i = 0; i < set->n; i++)
		if (next->at[i].weight != next->at[i].before ||
			memcmp(set->at[i].key.b, next->at[i].key.b, FTC_KEY_LEN) != 0)
			return true;
	return false;
}

bool
ftc_validators_step(const FtcValidators *set, const FtcValidators *wanted, bool unanimous,
					FtcValidators *next)
{
	uint64_t	third = ftc_validators_total(set).weight / 3;
	Budget		most = {UINT64_MAX, UINT64_MAX};
	Budget		budget = {third, third};
	bool		fits;

	if (unanimous)
		budget = most;
	next->quorum = set->quorum;
	next->handover = true;
	fits = merge(set, wanted, budget, next) && ftc_validators_check(next) == FTC_OK;
	if (fits && is_change(set, next))
		return true;
	(void) ftc_validators_copy(next, set);
	return fits;
}

void
ftc_validators_settle(FtcValidators *set)
{
	uint16_t	n = 0;

	for (uint16_t i = 0; i < set->n; i++)
		if (set->at[i].weight > 0)
		{
			set->at[n] = set->at[i];
			set->at[n++].before = 0;
		}
	set->n = n;
	set->handover = false;
}

/*-------------------------------------------------------------------------
 *
 * delegates.c
 *	  Delegated proof of stake.
 *
 *-------------------------------------------------------------------------
 */
#include "delegates.h"

#include <stdlib.h>

#include "bytes.h"
#include "sha256.h"

/* ----------------------------------------------------------------
 *		Elections
 * ----------------------------------------------------------------
 */

static bool
approves(const FtcStake *stake, const FtcHash *delegate)
{
	for (int i = 0; i < stake->napprovals; i++)
		if (ftc_hash_equal(&stake->approvals[i], delegate))
			return true;
	return false;
}

uint64_t
ftc_delegate_votes(const FtcStakes *stakes, const FtcHash *delegate)
{
	uint64_t	votes = 0;

	for (uint32_t i = 0; i < stakes->n; i++)
	{
		const FtcStake *stake = &stakes->at[i];

		if ((stake->flags & FTC_STAKE_OFFENDER) == 0 && approves(stake, delegate))
			votes += stake->stake / stake->napprovals;
	}
	return votes;
}

bool
ftc_delegates_elect(const FtcStakes *stakes, const FtcState *members, uint8_t quorum,
					uint16_t most, uint16_t least, FtcValidators *wanted)
{
	wanted->quorum = quorum;
	wanted->handover = false;
	wanted->n = 0;
	for (uint32_t i = 0; i < members->nmembers; i++)
	{
		const FtcMember *member = &members->members[i];
		const FtcStake *own = ftc_stakes_find(stakes, &member->id);
		uint64_t	votes = ftc_delegate_votes(stakes, &member->id);

		if (votes > 0 && (own == NULL || (own->flags & FTC_STAKE_OFFENDER) == 0))
			ftc_stake_put_ranked(wanted, member, votes, most);
	}
	for (uint16_t i = 0; i < wanted->n; i++)
		wanted->at[i].weight = 1;
	return wanted->n > 0 && wanted->n >= least;
}

FtcHash
ftc_delegates_seed(const FtcHash *final, uint64_t epoch)
{
	uint8_t		bytes[FTC_HASH_LEN + 8];
	FtcWriter	writer = ftc_writer(bytes, sizeof(bytes));

	ftc_put_hash(&writer, final);
	ftc_put_u64(&writer, epoch);
	return ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
}

/* ----------------------------------------------------------------
 *		Turns
 * ----------------------------------------------------------------
 */

typedef struct Lot
{
	FtcHash		hash;
	uint16_t	place;			/* in the order of ids, so it settles ties */
} Lot;

static int
by_hash(const void *a, const void *b)
{
	const Lot  *x = a;
	const Lot  *y = b;
	int			order = ftc_hash_compare(&x->hash, &y->hash);

	return order != 0 ? order : (int) x->place - (int) y->place;
}

uint16_t
ftc_delegates_order(const FtcValidators *set, const FtcHash *seed, uint16_t *order)
{
	Lot			lots[FTC_VALIDATORS_MAX];
	uint16_t	n = 0;

	for (uint16_t i = 0; i < set->n && i < FTC_VALIDATORS_MAX; i++)
	{
		uint8_t		bytes[2 * FTC_HASH_LEN];

		if (set->at[i].weight == 0)
			continue;
		memcpy(bytes, seed->b, FTC_HASH_LEN);
		memcpy(bytes + FTC_HASH_LEN, set->at[i].id.b, FTC_HASH_LEN);
		lots[n].hash = ftc_sha256(ftc_slice(bytes, sizeof(bytes)));
		lots[n++].place = i;
	}
	qsort(lots, n, sizeof(Lot), by_hash);
	for (uint16_t i = 0; i < n; i++)
		order[i] = lots[i].place;
	return n;
}

uint16_t
ftc_delegates_turn(const uint16_t *order, uint16_t n, uint64_t slot)
{
	return order[slot % n];
}

void
ftc_delegates_missed(const uint16_t *order, uint16_t n, uint64_t parent_slot, uint64_t slot, uint64_t *missed)
{
	uint64_t	between = slot > parent_slot ? slot - parent_slot - 1 : 0;

	/* whole rounds at once, since a chain may have rested for years */
	for (uint16_t i = 0; i < n; i++)
		missed[order[i]] += between / n;
	for (uint64_t i = 0; i < between % n; i++)
		missed[ftc_delegates_turn(order, n, slot - 1 - i)]++;
}

/* ----------------------------------------------------------------
 *		Participation
 * ----------------------------------------------------------------
 */

static void
shift(uint64_t bits[2], uint64_t by)
{
	for (; by >= 64; by -= 64)
	{
		bits[1] = bits[0];
		bits[0] = 0;
	}
	if (by > 0)
	{
		bits[1] = bits[1] << by | bits[0] >> (64 - by);
		bits[0] <<= by;
	}
}

static void
move_to(FtcParticipation *p, uint64_t slot)
{
	uint64_t	by = slot > p->slot ? slot - p->slot : 0;

	shift(p->bits, by < FTC_PARTICIPATION_SLOTS ? by : FTC_PARTICIPATION_SLOTS);
	p->slot += by;
}

void
ftc_participation_add(FtcParticipation *participation, uint64_t slot)
{
	move_to(participation, slot);
	participation->bits[0] |= 1;
}

/* Of a young chain only the slots that there were are counted. */
uint32_t
ftc_participation_permille(const FtcParticipation *participation, uint64_t slot)
{
	FtcParticipation now = *participation;
	uint64_t	slots = slot < FTC_PARTICIPATION_SLOTS ? slot : FTC_PARTICIPATION_SLOTS;

	if (slots == 0)
		return 1000;
	move_to(&now, slot);
	return (uint32_t) (1000 * (uint64_t) (__builtin_popcountll(now.bits[0]) + __builtin_popcountll(now.bits[1])) / slots);
}

static int
by_number(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return x < y ? -1 : x > y;
}

uint64_t
ftc_delegates_probable(uint64_t *heights, uint16_t n)
{
	if (n == 0)
		return 0;
	qsort(heights, n, sizeof(*heights), by_number);
	return heights[3 * (uint32_t) n / 10];
}

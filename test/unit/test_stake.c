/*-------------------------------------------------------------------------
 *
 * test_stake.c
 *	  Tests of stake.c and delegates.c: stakes, elections, turns, participation.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include "committee.h"
#include "delegates.h"
#include "mutate.h"
#include "sha256.h"
#include "stake.h"

#define MOST 16

typedef struct Ledger
{
	FtcStakes	stakes;
	FtcState	members;
	TestPerson	people[MOST];
} Ledger;

static Ledger *
ledger_of(uint16_t n)
{
	Ledger	   *l = keep(sizeof(Ledger));
	FtcValidators set;

	memset(l, 0, sizeof(*l));
	set = validators_of(0, n, l->people);
	l->stakes.at = keep(MOST * sizeof(FtcStake));
	l->stakes.capacity = MOST;
	l->members.members = keep(MOST * sizeof(FtcMember));
	l->members.nmembers = l->members.capacity = n;
	for (uint16_t i = 0; i < n; i++)
		l->members.members[i] = (FtcMember)
	{
		.id = set.at[i].id,.algorithm = FTC_ALGORITHM_ED25519,.key = set.at[i].key,.weight = 1
	};
	return l;
}

static const FtcHash *
id_of(const Ledger *l, int who)
{
	return &l->people[who].id;
}

static FtcValidators
room(uint16_t capacity)
{
	FtcValidators set = {.capacity = capacity,.at = keep(FTC_VALIDATORS_MAX * sizeof(FtcValidator))};

	return set;
}

static FtcSlice
encoded(const FtcStakes *stakes)
{
	size_t		len = ftc_stakes_encode(stakes, NULL, 0);
	uint8_t    *bytes = keep(len);

	ftc_stakes_encode(stakes, bytes, len);
	return ftc_slice(bytes, len);
}

static void
test_changes(void **state)
{
	Ledger	   *l = ledger_of(4);
	FtcStakes  *s = &l->stakes;

	(void) state;
	assert_false(ftc_stake_add(s, id_of(l, 2), 0));
	assert_true(ftc_stake_add(s, id_of(l, 2), 100));
	assert_true(ftc_stake_add(s, id_of(l, 1), 50));
	assert_true(ftc_stake_add(s, id_of(l, 2), 1));
	assert_int_equal(ftc_stakes_find(s, id_of(l, 2))->stake, 101);
	assert_null(ftc_stakes_find(s, id_of(l, 0)));
	assert_false(ftc_stake_remove(s, id_of(l, 2), 102, 7));
	assert_false(ftc_stake_remove(s, id_of(l, 0), 1, 7));
	assert_false(ftc_stake_remove(s, id_of(l, 2), 0, 7));
	assert_true(ftc_stake_remove(s, id_of(l, 2), 60, 7));
	assert_true(ftc_stake_remove(s, id_of(l, 2), 1, 7));
	assert_false(ftc_stake_remove(s, id_of(l, 2), 1, 6));
	assert_true(ftc_stake_remove(s, id_of(l, 2), 40, 9));
	assert_int_equal(ftc_stakes_find(s, id_of(l, 2))->nleaving, 2);
	/* it stays bound until its epoch, and then the entry is gone */
	ftc_stake_release(s, 6);
	assert_int_equal(ftc_stakes_find(s, id_of(l, 2))->nleaving, 2);
	ftc_stake_release(s, 7);
	assert_int_equal(ftc_stakes_find(s, id_of(l, 2))->nleaving, 1);
	ftc_stake_release(s, 9);
	assert_null(ftc_stakes_find(s, id_of(l, 2)));
	assert_int_equal(s->n, 1);
}

static void
test_limits(void **state)
{
	Ledger	   *l = ledger_of(2);
	FtcStakes  *s = &l->stakes;
	FtcHash		approvals[FTC_APPROVALS_MAX + 1];

	(void) state;
	assert_true(ftc_stake_add(s, id_of(l, 0), FTC_PRIORITY_WEIGHT_MAX - 10));
	assert_true(ftc_stake_remove(s, id_of(l, 0), 5, 3));
	assert_false(ftc_stake_add(s, id_of(l, 1), 11));
	assert_true(ftc_stake_add(s, id_of(l, 1), 10));
	for (uint64_t i = 1; i < FTC_LEAVING_MAX; i++)
		assert_true(ftc_stake_remove(s, id_of(l, 0), 1, 3 + i));
	assert_false(ftc_stake_remove(s, id_of(l, 0), 1, 100));
	for (int i = 0; i <= FTC_APPROVALS_MAX; i++)
		approvals[i] = (FtcHash)
	{
		{
			(uint8_t) (i + 1)
		}
	};
	assert_true(ftc_stake_approve(s, id_of(l, 0), approvals, FTC_APPROVALS_MAX));
	assert_false(ftc_stake_approve(s, id_of(l, 0), approvals, FTC_APPROVALS_MAX + 1));
	approvals[1] = approvals[0];
	assert_false(ftc_stake_approve(s, id_of(l, 0), approvals, 2));
	s->capacity = 2;
	assert_false(ftc_stake_add(s, &approvals[5], 1));
	assert_false(ftc_stake_punish(s, &approvals[5]));
}

static void
test_bytes(void **state)
{
	Ledger	   *l = ledger_of(3);
	FtcStakes  *s = &l->stakes;
	FtcSlice	bytes;

	(void) state;
	ftc_stake_add(s, id_of(l, 0), 1000);
	ftc_stake_add(s, id_of(l, 1), 7);
	ftc_stake_remove(s, id_of(l, 0), 3, 12);
	ftc_stake_approve(s, id_of(l, 0), id_of(l, 2), 1);
	ftc_stake_punish(s, id_of(l, 1));
	bytes = encoded(s);
	check_accepted(&codec_stakes, bytes);
	assert_int_equal(check_lengths(&codec_stakes, bytes), 0);
	(void) check_bytes(&codec_stakes, bytes);
	check_reason(&codec_stakes, with_byte(bytes, 0, 2), FTC_BAD_VERSION);
	check_reason(&codec_stakes, with_byte(bytes, 1, 2), FTC_BAD_KIND);
	check_reason(&codec_stakes, with_byte(bytes, 3, 2), FTC_NOT_CANONICAL);
	check_reason(&codec_stakes, with_be(bytes, 4, FTC_STAKES_MAX + 1, 4), FTC_TOO_MANY);
	check_reason(&codec_stakes, with_be(bytes, 8 + 32, FTC_PRIORITY_WEIGHT_MAX - 10, 8), FTC_OK);
	check_reason(&codec_stakes, with_be(bytes, 8 + 32, FTC_PRIORITY_WEIGHT_MAX - 9, 8), FTC_OUT_OF_RANGE);
	check_reason(&codec_stakes, with_be(bytes, 8 + 32, UINT64_MAX, 8), FTC_OUT_OF_RANGE);
	check_reason(&codec_stakes, with_byte(bytes, 8 + 40, 2), FTC_OUT_OF_RANGE);
	check_reason(&codec_stakes, with_byte(bytes, 8 + 41, FTC_LEAVING_MAX + 1), FTC_TOO_MANY);
	check_reason(&codec_stakes, with_be(bytes, 8 + 42, 0, 8), FTC_NOT_CANONICAL);
}

/* With proof of stake: members with stake, without offence; the most if there are many. */
static void
test_validators(void **state)
{
	Ledger	   *l = ledger_of(5);
	FtcValidators set = room(FTC_VALIDATORS_MAX);
	FtcValidators small = room(2);
	FtcHash		stranger = hash_of("stranger", 0);

	(void) state;
	assert_false(ftc_stake_validators(&l->stakes, &l->members, FTC_QUORUM_TWO_THIRDS, &set));
	for (int i = 0; i < 4; i++)
		ftc_stake_add(&l->stakes, id_of(l, i), 10 * (uint64_t) (i + 1));
	ftc_stake_add(&l->stakes, &stranger, 1000);
	ftc_stake_punish(&l->stakes, id_of(l, 1));
	assert_false(ftc_stake_punish(&l->stakes, id_of(l, 1)));
	assert_true(ftc_stake_validators(&l->stakes, &l->members, FTC_QUORUM_TWO_THIRDS, &set));
	assert_int_equal(set.n, 3);
	assert_reason(ftc_validators_check(&set), FTC_OK);
	assert_int_equal(ftc_validators_find(&set, id_of(l, 1)), -1);
	assert_int_equal(set.at[2].weight, 40);
	assert_true(ftc_stake_validators(&l->stakes, &l->members, FTC_QUORUM_TWO_THIRDS, &small));
	assert_int_equal(small.n, 2);
	assert_hash_equal(&small.at[0].id, id_of(l, 2));
	assert_hash_equal(&small.at[1].id, id_of(l, 3));
}

/* Votes are split, so half of the stake fills half of the seats. */
static void
test_elections(void **state)
{
	Ledger	   *l = ledger_of(8);
	FtcValidators set = room(FTC_VALIDATORS_MAX);
	FtcHash		mine[4];
	FtcHash		theirs[4];

	(void) state;
	for (int i = 0; i < 4; i++)
	{
		mine[i] = *id_of(l, i);
		theirs[i] = *id_of(l, 4 + i);
	}
	ftc_stake_add(&l->stakes, id_of(l, 0), 510);
	ftc_stake_add(&l->stakes, id_of(l, 7), 490);
	ftc_stake_approve(&l->stakes, id_of(l, 0), mine, 4);
	ftc_stake_approve(&l->stakes, id_of(l, 7), theirs, 2);
	assert_int_equal(ftc_delegate_votes(&l->stakes, id_of(l, 2)), 127);
	assert_int_equal(ftc_delegate_votes(&l->stakes, id_of(l, 4)), 245);
	assert_int_equal(ftc_delegate_votes(&l->stakes, id_of(l, 6)), 0);
	assert_true(ftc_delegates_elect(&l->stakes, &l->members, FTC_QUORUM_TWO_THIRDS, 4, 1, &set));
	assert_int_equal(set.n, 4);
	assert_int_equal(ftc_validators_total(&set).weight, 4);
	assert_true(ftc_validators_find(&set, id_of(l, 4)) >= 0 && ftc_validators_find(&set, id_of(l, 5)) >= 0);
	/* of equal ones the smaller ids */
	assert_true(ftc_validators_find(&set, id_of(l, 0)) >= 0 && ftc_validators_find(&set, id_of(l, 1)) >= 0);
	assert_false(ftc_delegates_elect(&l->stakes, &l->members, FTC_QUORUM_TWO_THIRDS, 21, 7, &set));
	ftc_stake_punish(&l->stakes, id_of(l, 4));
	assert_true(ftc_delegates_elect(&l->stakes, &l->members, FTC_QUORUM_TWO_THIRDS, 21, 5, &set));
	assert_int_equal(set.n, 5);
	/* who has contradicted himself has no vote either */
	ftc_stake_punish(&l->stakes, id_of(l, 0));
	assert_int_equal(ftc_delegate_votes(&l->stakes, id_of(l, 2)), 0);
}

static void
test_order(void **state)
{
	TestPerson	people[21];
	FtcValidators set = validators_of(0, 21, people);
	FtcHash		final = hash_of("final", 0);
	FtcHash		seed = ftc_delegates_seed(&final, 5);
	uint16_t	order[21];
	uint16_t	other[21];
	bool		seen[21] = {false};
	FtcHash		before = ftc_hash_zero;

	(void) state;
	set.handover = true;
	set.at[3].before = 1;
	set.at[3].weight = 0;
	assert_int_equal(ftc_delegates_order(&set, &seed, order), 20);
	for (int i = 0; i < 20; i++)
	{
		uint8_t		bytes[64];
		FtcHash		hash;

		memcpy(bytes, seed.b, 32);
		memcpy(bytes + 32, set.at[order[i]].id.b, 32);
		hash = ftc_sha256(ftc_slice(bytes, 64));
		assert_true(ftc_hash_compare(&before, &hash) < 0);
		before = hash;
		assert_false(seen[order[i]]);
		seen[order[i]] = true;
	}
	assert_false(seen[3]);
	assert_int_equal(ftc_delegates_turn(order, 20, 45), order[5]);
	seed = ftc_delegates_seed(&final, 6);
	assert_int_equal(ftc_delegates_order(&set, &seed, other), 20);
	assert_memory_not_equal(order, other, 20 * sizeof(*order));
}

/* Against counting one by one. */
static void
test_missed(void **state)
{
	TestRandom	random = random_from(2);

	(void) state;
	for (int run = 0; run < 300; run++)
	{
		uint16_t	order[] = {3, 1, 4, 0, 2};
		uint64_t	from = random_below(&random, 100);
		uint64_t	to = from + random_below(&random, 40);
		uint64_t	missed[5] = {0};
		uint64_t	naive[5] = {0};

		ftc_delegates_missed(order, 5, from, to, missed);
		for (uint64_t slot = from + 1; slot < to; slot++)
			naive[order[slot % 5]]++;
		assert_memory_equal(missed, naive, sizeof(missed));
	}
}

static void
test_participation(void **state)
{
	TestRandom	random = random_from(3);
	FtcParticipation p = {0};
	bool		used[2000] = {false};
	uint64_t	slot = 0;

	(void) state;
	assert_int_equal(ftc_participation_permille(&p, 0), 1000);
	while (slot < 1500)
	{
		uint64_t	later;
		uint32_t	n = 0;
		uint32_t	of = 0;

		slot += 1 + random_below(&random, random_below(&random, 40) == 0 ? 200 : 3);
		used[slot] = true;
		ftc_participation_add(&p, slot);
		later = slot + random_below(&random, 150);
		for (uint64_t s = later; s > 0 && of < FTC_PARTICIPATION_SLOTS; s--, of++)
			n += used[s];
		assert_int_equal(ftc_participation_permille(&p, later), 1000 * n / of);
	}
}

static void
test_probable(void **state)
{
	uint64_t	heights[] = {50, 10, 40, 20, 30, 60, 70, 80, 100, 90};

	(void) state;
	assert_int_equal(ftc_delegates_probable(heights, 10), 40);
	assert_int_equal(ftc_delegates_probable(heights, 1), 10);
	assert_int_equal(ftc_delegates_probable(heights, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_changes),
		test(test_limits),
		test(test_bytes),
		test(test_validators),
		test(test_elections),
		test(test_order),
		test(test_missed),
		test(test_participation),
		test(test_probable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

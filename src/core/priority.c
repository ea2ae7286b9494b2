/*-------------------------------------------------------------------------
 *
 * priority.c
 *	  Proposer priority.
 *
 *-------------------------------------------------------------------------
 */
#include "priority.h"

#include "bytes.h"
#include "sha256.h"

/* How far apart the greatest and the least may be, in weights of all. */
#define WINDOW 2

static int64_t
add_clip(int64_t a, int64_t b)
{
	int64_t		sum;

	if (!__builtin_add_overflow(a, b, &sum))
		return sum;
	return b < 0 ? INT64_MIN : INT64_MAX;
}

static int64_t
sub_clip(int64_t a, int64_t b)
{
	int64_t		difference;

	if (!__builtin_sub_overflow(a, b, &difference))
		return difference;
	return b > 0 ? INT64_MIN : INT64_MAX;
}

int64_t
ftc_priority_total(const FtcProposer *proposers, uint32_t n)
{
	int64_t		total = 0;

	for (uint32_t i = 0; i < n; i++)
		total = add_clip(total, proposers[i].weight);
	return total;
}

/* Divide all so that greatest and least are within the window; toward zero. */
static void
rescale(FtcProposer *proposers, uint32_t n, int64_t total)
{
	__int128	window = (__int128) WINDOW * total;
	int64_t		least = INT64_MAX;
	int64_t		most = INT64_MIN;
	__int128	apart;

	for (uint32_t i = 0; i < n; i++)
	{
		least = proposers[i].priority < least ? proposers[i].priority : least;
		most = proposers[i].priority > most ? proposers[i].priority : most;
	}
	apart = (__int128) most - least;
	if (window <= 0 || apart <= window)
		return;
	for (uint32_t i = 0; i < n; i++)
		proposers[i].priority = (int64_t) (proposers[i].priority / ((apart + window - 1) / window));
}

/* Move all so that their mean, rounded down, is zero. */
static void
centre(FtcProposer *proposers, uint32_t n)
{
	__int128	sum = 0;
	__int128	mean;

	for (uint32_t i = 0; i < n; i++)
		sum += proposers[i].priority;
	mean = sum / (__int128) n;
	if (sum % (__int128) n < 0)
		mean--;
	for (uint32_t i = 0; i < n; i++)
		proposers[i].priority = sub_clip(proposers[i].priority, (int64_t) mean);
}

/* One turn; of equal priorities the smaller id, which comes first. */
static uint32_t
take_turn(FtcProposer *proposers, uint32_t n, int64_t total)
{
	uint32_t	first = 0;

	for (uint32_t i = 0; i < n; i++)
	{
		proposers[i].priority = add_clip(proposers[i].priority, proposers[i].weight);
		if (proposers[i].priority > proposers[first].priority)
			first = i;
	}
	proposers[first].priority = sub_clip(proposers[first].priority, total);
	return first;
}

uint32_t
ftc_priority_increment(FtcProposer *proposers, uint32_t n, uint64_t times)
{
	int64_t		total = ftc_priority_total(proposers, n);
	uint32_t	whose = 0;

	rescale(proposers, n, total);
	centre(proposers, n);
	for (uint64_t i = 0; i < times; i++)
		whose = take_turn(proposers, n, total);
	return whose;
}

uint32_t
ftc_priority_advance(FtcProposer *proposers, uint32_t n, uint64_t slots)
{
	uint32_t	whose = 0;

	for (uint64_t i = 0; i < slots; i++)
		whose = ftc_priority_increment(proposers, n, 1);
	return whose;
}

/* ----------------------------------------------------------------
 *		Changes
 * ----------------------------------------------------------------
 */

/* What a list of changes comes to. */
typedef struct Sums
{
	uint32_t	n;				/* proposers afterwards */
	__int128	total;			/* their weight */
	__int128	removed;		/* of those who leave */
} Sums;

/* Go through both lists, ascending by id, and see what the changes come to. */
static FtcReason
sum_up(const FtcProposer *old, uint32_t n, const FtcProposer *changes, uint32_t nchanges, Sums *sums)
{
	uint32_t	at = 0;

	*sums = (Sums)
	{
		.n = n,.total = ftc_priority_total(old, n)
	};
	for (uint32_t i = 0; i < nchanges; i++)
	{
		const FtcProposer *change = &changes[i];
		bool		there;

		if (i > 0 && ftc_hash_compare(&changes[i - 1].id, &change->id) >= 0)
			return FTC_NOT_CANONICAL;
		if (change->weight < 0 || change->weight > FTC_PRIORITY_WEIGHT_MAX)
			return FTC_OUT_OF_RANGE;
		while (at < n && ftc_hash_compare(&old[at].id, &change->id) < 0)
			at++;
		there = at < n && ftc_hash_equal(&old[at].id, &change->id);
		if (!there && change->weight == 0)
			return FTC_NOT_A_MEMBER;
		sums->total += (__int128) change->weight - (there ? old[at].weight : 0);
		if (change->weight == 0)
			sums->removed += old[at].weight;
		sums->n = sums->n + (there ? 0 : 1) - (change->weight == 0 ? 1 : 0);
	}
	return FTC_OK;
}

/* Put a change at its place: new, other weight, or gone. */
static void
put_change(FtcProposer *proposers, uint32_t *n, const FtcProposer *change, int64_t newcomer)
{
	uint32_t	at = 0;
	bool		there;

	while (at < *n && ftc_hash_compare(&proposers[at].id, &change->id) < 0)
		at++;
	there = at < *n && ftc_hash_equal(&proposers[at].id, &change->id);
	if (change->weight == 0)
	{
		memmove(&proposers[at], &proposers[at + 1], (*n - at - 1) * sizeof(*proposers));
		--*n;
		return;
	}
	if (!there)
	{
		memmove(&proposers[at + 1], &proposers[at], (*n - at) * sizeof(*proposers));
		proposers[at].id = change->id;
		proposers[at].priority = newcomer;
		++*n;
	}
	proposers[at].weight = change->weight;
}

FtcReason
ftc_priority_update(FtcProposer *proposers, uint32_t *n, uint32_t capacity,
					const FtcProposer *changes, uint32_t nchanges)
{
	Sums		sums;
	FtcReason	reason = sum_up(proposers, *n, changes, nchanges, &sums);
	__int128	before_removals = sums.total + sums.removed;
	int64_t		newcomer;

	if (reason != FTC_OK || nchanges == 0)
		return reason;
	if (sums.total > FTC_PRIORITY_WEIGHT_MAX)
		return FTC_OUT_OF_RANGE;
	if (sums.n == 0 || sums.n > capacity)
		return FTC_TOO_MANY;
	newcomer = (int64_t) -(before_removals + (before_removals >> 3));

	/* who leaves first, so that there is room */
	for (int leaving = 1; leaving >= 0; leaving--)
		for (uint32_t i = 0; i < nchanges; i++)
			if ((changes[i].weight == 0) == (leaving == 1))
				put_change(proposers, n, &changes[i], newcomer);
	rescale(proposers, *n, ftc_priority_total(proposers, *n));
	centre(proposers, *n);
	return FTC_OK;
}

FtcHash
ftc_priority_hash(const FtcProposer *proposers, uint32_t n)
{
	FtcSha256	sha;

	ftc_sha256_init(&sha);
	for (uint32_t i = 0; i < n; i++)
	{
		uint8_t		bytes[FTC_HASH_LEN + 8];
		FtcWriter	writer = ftc_writer(bytes, sizeof(bytes));

		ftc_put_hash(&writer, &proposers[i].id);
		ftc_put_u64(&writer, (uint64_t) proposers[i].priority);
		ftc_sha256_update(&sha, bytes, sizeof(bytes));
	}
	return ftc_sha256_final(&sha);
}

/*-------------------------------------------------------------------------
 *
 * test_search.c
 *	  The search for a proof of work: each kernel that this processor has,
 *	  against OpenSSL.
 *
 *-------------------------------------------------------------------------
 */
#include "test_util.h"

#include <stdlib.h>

#include "pow.h"
#include "search.h"
#include "sha256.h"

/* Does a test for each kernel that runs here. */
static void
each_kernel(void (*check) (const FtcKernel *))
{
	for (int i = 0; ftc_kernels[i] != NULL; i++)
		if (ftc_kernels[i]->is_supported())
			check(ftc_kernels[i]);
}

static FtcHeader
random_header(TestRandom *random)
{
	FtcHeader	header = {0};

	header.version = FTC_HEADER_VERSION;
	header.consensus = FTC_CONSENSUS_POW;
	header.height = random_u64(random);
	header.time = random_u64(random);
	header.prev = random_hash(random);
	header.history = random_hash(random);
	header.body = random_hash(random);
	header.state = random_hash(random);
	header.proposer = random_hash(random);
	header.leaves = (uint32_t) random_u64(random);
	header.bits = FTC_POW_BITS_DEFAULT;
	header.nonce = random_u64(random);
	return header;
}

static uint32_t
first_word(FtcHeader header, uint64_t nonce)
{
	FtcHash		id;

	header.nonce = nonce;
	id = ftc_header_id(&header);
	return (uint32_t) id.b[0] << 24 | (uint32_t) id.b[1] << 16 | (uint32_t) id.b[2] << 8 | id.b[3];
}

/* How many of n nonces come before the first with such a first word. */
static uint64_t
count_before(const uint32_t *words, uint64_t n, uint32_t most)
{
	uint64_t	i = 0;

	while (i < n && words[i] > most)
		i++;
	return i;
}

#define NONCES 40

/*
 * Every lane, however many attempts there are, where the first word is just
 * low enough, one lower, and one too high.
 */
static void
check_scan(const FtcKernel *kernel)
{
	TestRandom	random = random_from(1);

	for (int round = 0; round < 12; round++)
	{
		FtcHeader	header = random_header(&random);
		uint32_t	first = (uint32_t) header.nonce & ~UINT32_C(0xff);
		uint32_t	words[NONCES];
		FtcTail		tail;

		header.nonce = header.nonce >> 32 << 32 | first;
		assert_int_equal(ftc_search_prepare(&tail, &header), FTC_OK);
		for (uint64_t i = 0; i < NONCES; i++)
			words[i] = first_word(header, header.nonce + i);
		for (uint32_t which = 0; which < NONCES; which++)
			for (uint32_t from = 0; from <= which; from++)
				for (uint64_t n = 1; n <= NONCES - from; n += 1 + n / 9)
					for (int more = -1; more <= 1; more++)
					{
						tail.most = words[which] + (uint32_t) more;
						assert_int_equal(kernel->scan(&tail, first + from, n),
										 count_before(words + from, n, tail.most));
					}
	}
}

static void
test_scan(void **state)
{
	(void) state;
	each_kernel(check_scan);
}

/* The search finds what trying one after another finds. */
static void
check_search(const FtcKernel *kernel)
{
	static const uint32_t targets[] = {0x207fffff, 0x2000ffff, 0x1f0fffff};
	static const uint64_t starts[] = {0, 1, UINT64_MAX - 1, UINT32_MAX - UINT64_C(2), UINT64_C(7) << 32 | (UINT32_MAX - 5)};
	TestRandom	random = random_from(2);

	for (int i = 0; i < 60; i++)
	{
		FtcHeader	header = random_header(&random);
		FtcHeader	naive;
		FtcHash		id;

		header.bits = targets[i % 3];
		if (i % 2)
			header.nonce = starts[(size_t) (i / 2) % lengthof(starts)];
		naive = header;
		for (id = ftc_header_id(&naive); !ftc_pow_meets(&id, naive.bits); id = ftc_header_id(&naive))
			naive.nonce++;
		assert_true(ftc_search(kernel, &header, 1 << 20));
		assert_int_equal(header.nonce, naive.nonce);
		/* found again at once, as the first of however many */
		assert_true(ftc_search(kernel, &header, 1));
		assert_int_equal(header.nonce, naive.nonce);
	}
}

static void
test_search(void **state)
{
	(void) state;
	each_kernel(check_search);
}

/* No attempts, too few, and just enough. */
static void
check_attempts(const FtcKernel *kernel)
{
	TestRandom	random = random_from(3);
	FtcHeader	header = random_header(&random);
	uint64_t	found;

	header.bits = 0x1f0fffff;
	header.nonce = 0;
	assert_true(ftc_search(kernel, &header, 1 << 24));
	found = header.nonce;
	assert_true(found > 2);
	header.nonce = 0;
	assert_false(ftc_search(kernel, &header, 0));
	assert_int_equal(header.nonce, 0);
	assert_false(ftc_search(kernel, &header, found));
	assert_int_equal(header.nonce, found);
	header.nonce = 0;
	assert_true(ftc_search(kernel, &header, found + 1));
	assert_int_equal(header.nonce, found);
	/* there is no searching for what cannot be met */
	header.bits = 0;
	assert_false(ftc_search(kernel, &header, 1));
	assert_int_equal(header.nonce, found);
}

static void
test_attempts(void **state)
{
	(void) state;
	each_kernel(check_attempts);
}

/* Wrong in one lane, or one too early or too late: the check sees it. */
static const FtcKernel *good;
static int	bad_lane;
static int	off;

static uint64_t
bad_scan(const FtcTail *tail, uint32_t first, uint64_t n)
{
	uint64_t	passed = good->scan(tail, first, n);

	if (passed < n && (int) (passed % (uint64_t) good->lanes) == bad_lane)
		passed = passed + (uint64_t) off > n ? n : passed + (uint64_t) off;
	return passed;
}

static void
check_check(const FtcKernel *kernel)
{
	FtcKernel	bad = *kernel;

	good = kernel;
	assert_true(ftc_kernel_check(kernel));
	bad.scan = bad_scan;
	for (bad_lane = 0; bad_lane < kernel->lanes; bad_lane++)
	{
		off = 0;
		assert_true(ftc_kernel_check(&bad));
		off = 1;
		assert_false(ftc_kernel_check(&bad));
	}
}

static void
test_check(void **state)
{
	(void) state;
	each_kernel(check_check);
}

static void
test_names(void **state)
{
	(void) state;
	for (int i = 0; ftc_kernels[i] != NULL; i++)
		assert_ptr_equal(ftc_kernel_find(ftc_kernels[i]->name), ftc_kernels[i]);
	assert_null(ftc_kernel_find(""));
	assert_null(ftc_kernel_find("SHA_NI"));
	assert_true(ftc_kernel_find("portable")->is_supported());
	assert_true(ftc_kernel_best()->is_supported());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_scan),
		test(test_search),
		test(test_attempts),
		test(test_check),
		test(test_names),
	};

	return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}

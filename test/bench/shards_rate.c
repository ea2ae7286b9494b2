/*-------------------------------------------------------------------------
 *
 * shards_rate.c
 *	  How fast bodies are cut into shards and restored, beside ISA-L alone.
 *
 * Usage: shards_rate METHOD DATA PARITY BYTES MS
 *
 * Prints bytes of bodies per second of processor time.  Methods: encode (ours),
 * isal (ec_encode_data() on shards that lie ready, with tables made once), digests
 * (encode, and the digest of each shard and the root), restore (from the last
 * shards: as many data shards missing as may be), tables (by hand: a table of 64 KB
 * of products, as plain programs have it).
 *
 *-------------------------------------------------------------------------
 */
#include <isa-l/erasure_code.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bytes.h"
#include "shards.h"

static FtcCut cut;
static uint8_t *body;
static uint8_t *parity;
static uint8_t *restored;
static void *scratch;
static FtcSlice shards[FTC_SHARDS_MAX];

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void *
need(size_t size)
{
	void	   *memory = aligned_alloc(64, (size + 63) / 64 * 64);

	if (memory == NULL)
		exit(1);
	memset(memory, 1, size);
	return memory;
}

static void
encode(void)
{
	ftc_shards_encode(&cut, body, parity, scratch, shards);
}

/* ISA-L's own arrays and tables. */
static uint8_t *from[FTC_SHARDS_MAX];
static uint8_t *into[FTC_SHARDS_MAX];
static uint8_t *isal_tables;

static void
prepare_isal(void)
{
	static uint8_t matrix[FTC_SHARDS_MAX * FTC_SHARDS_MAX];
	size_t		len = ftc_shard_len(&cut);

	isal_tables = need((size_t) 32 * cut.data * cut.parity);
	gf_gen_cauchy1_matrix(matrix, (int) (cut.data + cut.parity), (int) cut.data);
	ec_init_tables((int) cut.data, (int) cut.parity, matrix + cut.data * cut.data, isal_tables);
	for (uint32_t i = 0; i < cut.data; i++)
	{
		from[i] = need(len);
		memcpy(from[i], body + i * len, (i + 1) * len <= cut.len ? len : cut.len - i * len);
	}
	for (uint32_t i = 0; i < cut.parity; i++)
		into[i] = need(len);
}

static void
isal(void)
{
	ec_encode_data((int) ftc_shard_len(&cut), (int) cut.data, (int) cut.parity, isal_tables, from, into);
}

static void
digests(void)
{
	FtcHash		digest[FTC_SHARDS_MAX];

	encode();
	for (uint32_t i = 0; i < cut.data + cut.parity; i++)
		digest[i] = ftc_shard_digest(shards[i]);
	(void) ftc_shards_root(&cut, digest);
}

static void
restore(void)
{
	FtcSlice	some[FTC_SHARDS_MAX];

	memcpy(some, shards, sizeof(some));
	for (uint32_t i = 0; i < cut.parity && i < cut.data; i++)
		some[i] = ftc_slice(NULL, 0);
	if (ftc_shards_restore(&cut, some, restored, scratch) != FTC_OK)
		exit(1);
}

static uint8_t products[256][256];

static void
prepare_products(void)
{
	for (int a = 0; a < 256; a++)
		for (int b = 0; b < 256; b++)
			products[a][b] = gf_mul((uint8_t) a, (uint8_t) b);
	prepare_isal();
}

static void
tables(void)
{
	size_t		len = ftc_shard_len(&cut);

	for (uint32_t p = 0; p < cut.parity; p++)
	{
		memset(into[p], 0, len);
		for (uint32_t d = 0; d < cut.data; d++)
		{
			const uint8_t *row = products[gf_inv((uint8_t) ((cut.data + p) ^ d))];

			for (size_t at = 0; at < len; at++)
				into[p][at] ^= row[from[d][at]];
		}
	}
}

static const struct
{
	const char *name;
	void		(*run) (void);
	void		(*prepare) (void);
}			methods[] = {
	{"encode", encode, NULL},
	{"isal", isal, prepare_isal},
	{"digests", digests, NULL},
	{"restore", restore, encode},
	{"tables", tables, prepare_products},
};

int
main(int argc, char **argv)
{
	double		start;
	double		end;
	double		rounds = 0;
	size_t		m;

	if (argc != 6)
		return 2;
	for (m = 0; strcmp(methods[m].name, argv[1]) != 0;)
		if (++m == sizeof(methods) / sizeof(methods[0]))
			return 2;
	cut.data = (uint32_t) atoi(argv[2]);
	cut.parity = (uint32_t) atoi(argv[3]);
	cut.len = (size_t) atoll(argv[4]);
	if (ftc_cut_check(&cut) != FTC_OK)
		return 2;
	body = need(cut.len);
	restored = need(cut.len);
	parity = need(ftc_parity_len(&cut));
	scratch = need(ftc_shards_scratch(&cut));
	for (size_t i = 0; i < cut.len; i++)
		body[i] = (uint8_t) (i * 2654435761u >> 13);
	if (methods[m].prepare != NULL)
		methods[m].prepare();
	methods[m].run();
	start = now();
	end = start + atof(argv[5]) / 1000;
	while (now() < end)
	{
		methods[m].run();
		rounds++;
	}
	printf("%.0f\n", rounds * (double) cut.len / (now() - start));
	return 0;
}

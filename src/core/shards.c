/*-------------------------------------------------------------------------
 *
 * shards.c
 *	  A body in shards.
 *
 *-------------------------------------------------------------------------
 */
#include "shards.h"

#include <isa-l/erasure_code.h>
#include <string.h>

#include "bytes.h"
#include "merkle.h"

#define TABLE_LEN 32			/* of ISA-L, for each element of a matrix */
#define HEAD_VERSION 1

/* What lies in the scratch memory. */
typedef struct Work
{
	uint8_t		matrix[FTC_SHARDS_MAX * FTC_SHARDS_MAX];
	uint8_t		some[FTC_SHARDS_MAX * FTC_SHARDS_MAX];
	uint8_t		inverse[FTC_SHARDS_MAX * FTC_SHARDS_MAX];
	uint8_t    *from[FTC_SHARDS_MAX];
	uint8_t    *into[FTC_SHARDS_MAX];
	uint8_t		tables[];		/* of so many elements; then two shards */
} Work;

FtcReason
ftc_cut_check(const FtcCut *cut)
{
	return cut->data >= 1 && cut->parity >= 1 && cut->data <= FTC_SHARDS_MAX && cut->parity <= FTC_SHARDS_MAX &&
		cut->data + cut->parity <= FTC_SHARDS_MAX && cut->len >= 1 && cut->len <= FTC_BODY_MAX
		? FTC_OK : FTC_OUT_OF_RANGE;
}

size_t
ftc_shard_len(const FtcCut *cut)
{
	return (cut->len + cut->data - 1) / cut->data;
}

/* Rows are parity shards, or data shards that are to be restored. */
static size_t
tables_len(const FtcCut *cut)
{
	return (size_t) TABLE_LEN * cut->data * (cut->parity > cut->data ? cut->parity : cut->data);
}

size_t
ftc_shards_scratch(const FtcCut *cut)
{
	return sizeof(Work) + tables_len(cut) + 2 * ftc_shard_len(cut);
}

size_t
ftc_parity_len(const FtcCut *cut)
{
	return cut->parity * ftc_shard_len(cut);
}

/*
 * The shard in which the body ends, filled up; and one beyond it, of zeros.  As a
 * rule there is none or one of them: they are long.
 */
static void
fill_up(const FtcCut *cut, const uint8_t *body, uint8_t *pad)
{
	size_t		len = ftc_shard_len(cut);
	size_t		whole = cut->len / len;
	size_t		rest = cut->len - whole * len;

	if (whole == cut->data)
		return;
	memcpy(pad, body + whole * len, rest);
	memset(pad + rest, 0, len - rest);
	if (whole + 1 < cut->data)
		memset(pad + len, 0, len);
}

/* Where data shard i lies. */
static const uint8_t *
data_shard(const FtcCut *cut, const uint8_t *body, const uint8_t *pad, uint32_t i)
{
	size_t		len = ftc_shard_len(cut);
	size_t		whole = cut->len / len;

	if (i < whole)
		return body + i * len;
	return i == whole ? pad : pad + len;
}

void
ftc_shards_encode(const FtcCut *cut, const uint8_t *body, uint8_t *parity, void *scratch, FtcSlice *shards)
{
	Work	   *work = scratch;
	uint8_t    *pad = work->tables + tables_len(cut);
	size_t		len = ftc_shard_len(cut);

	fill_up(cut, body, pad);
	for (uint32_t i = 0; i < cut->data; i++)
	{
		shards[i] = ftc_slice(data_shard(cut, body, pad, i), len);
		work->from[i] = (uint8_t *) shards[i].data;
	}
	for (uint32_t i = 0; i < cut->parity; i++)
	{
		work->into[i] = parity + i * len;
		shards[cut->data + i] = ftc_slice(work->into[i], len);
	}
	gf_gen_cauchy1_matrix(work->matrix, (int) (cut->data + cut->parity), (int) cut->data);
	ec_init_tables((int) cut->data, (int) cut->parity, work->matrix + cut->data * cut->data, work->tables);
	ec_encode_data((int) len, (int) cut->data, (int) cut->parity, work->tables, work->from, work->into);
}

/* The first shards that are there, as many as it takes; false if there are too few. */
static bool
choose(const FtcCut *cut, const FtcSlice *shards, uint32_t *chosen)
{
	uint32_t	n = 0;

	for (uint32_t i = 0; i < cut->data + cut->parity && n < cut->data; i++)
		if (shards[i].data != NULL)
			chosen[n++] = i;
	return n == cut->data;
}

/* Put a data shard where it belongs in the body. */
static void
place(const FtcCut *cut, uint8_t *body, uint32_t i, const uint8_t *shard)
{
	size_t		len = ftc_shard_len(cut);
	size_t		at = i * len;

	if (at < cut->len)
		memcpy(body + at, shard, cut->len - at < len ? cut->len - at : len);
}

/* Rows of the inverse for the data shards that are missing; gives their number. */
static uint32_t
choose_rows(const FtcCut *cut, const FtcSlice *shards, Work *work, uint32_t *missing)
{
	uint32_t	n = 0;

	for (uint32_t i = 0; i < cut->data; i++)
	{
		if (shards[i].data != NULL)
			continue;
		memcpy(work->some + n * cut->data, work->inverse + i * cut->data, cut->data);
		missing[n++] = i;
	}
	return n;
}

/* One shard is restored at a time, beside the body: it may end beyond it. */
static void
restore_missing(const FtcCut *cut, Work *work, const uint32_t *missing, uint32_t n, uint8_t *body)
{
	uint8_t    *pad = work->tables + tables_len(cut);
	size_t		len = ftc_shard_len(cut);
	uint32_t	inside = 0;

	for (uint32_t i = 0; i < n; i++)
		if ((missing[i] + 1) * len <= cut->len)
			work->into[inside++] = body + missing[i] * len;
	ec_init_tables((int) cut->data, (int) n, work->some, work->tables);
	if (inside > 0)
		ec_encode_data((int) len, (int) cut->data, (int) inside, work->tables, work->from, work->into);
	/* at most one shard has an end that is of the body and one that is not */
	if (inside < n)
	{
		work->into[0] = pad;
		ec_encode_data((int) len, (int) cut->data, 1, work->tables + (size_t) TABLE_LEN * cut->data * inside,
					   work->from, work->into);
		place(cut, body, missing[inside], pad);
	}
}

FtcReason
ftc_shards_restore(const FtcCut *cut, const FtcSlice *shards, uint8_t *body, void *scratch)
{
	Work	   *work = scratch;
	uint32_t	chosen[FTC_SHARDS_MAX];
	uint32_t	missing[FTC_SHARDS_MAX];
	uint32_t	n;

	if (!choose(cut, shards, chosen))
		return FTC_TOO_FEW;
	for (uint32_t i = 0; i < cut->data; i++)
		if (shards[chosen[i]].len != ftc_shard_len(cut))
			return FTC_BAD_LENGTH;
	gf_gen_cauchy1_matrix(work->matrix, (int) (cut->data + cut->parity), (int) cut->data);
	for (uint32_t i = 0; i < cut->data; i++)
	{
		memcpy(work->some + i * cut->data, work->matrix + chosen[i] * cut->data, cut->data);
		work->from[i] = (uint8_t *) shards[chosen[i]].data;
		if (chosen[i] < cut->data)
			place(cut, body, chosen[i], shards[chosen[i]].data);
	}
	/* every square part of a Cauchy matrix has an inverse */
	if (gf_invert_matrix(work->some, work->inverse, (int) cut->data) != 0)
		return FTC_TOO_FEW;
	n = choose_rows(cut, shards, work, missing);
	if (n > 0)
		restore_missing(cut, work, missing, n, body);
	return FTC_OK;
}

void
ftc_shards_assign(uint32_t n, uint32_t shards, const int32_t *stated, int32_t *assigned)
{
	bool		taken[FTC_SHARDS_MAX] = {false};
	uint32_t	free = 0;

	for (uint32_t i = 0; i < n; i++)
	{
		bool		is_own = stated[i] >= 0 && (uint32_t) stated[i] < shards && !taken[stated[i]];

		assigned[i] = is_own ? stated[i] : -1;
		if (is_own)
			taken[stated[i]] = true;
	}
	for (uint32_t i = 0; i < n; i++)
	{
		if (assigned[i] >= 0)
			continue;
		while (taken[free])
			free++;
		assigned[i] = (int32_t) free;
		taken[free] = true;
	}
}

FtcHash
ftc_shard_digest(FtcSlice shard)
{
	return ftc_merkle_leaf(shard);
}

FtcHash
ftc_shards_root(const FtcCut *cut, const FtcHash *digests)
{
	FtcFrontier tree;

	ftc_frontier_init(&tree);
	for (uint32_t i = 0; i < cut->data + cut->parity; i++)
		ftc_frontier_add(&tree, &digests[i]);
	return ftc_frontier_root(&tree);
}

void
ftc_shards_head_encode(const FtcShardsHead *head, uint8_t bytes[FTC_SHARDS_HEAD_LEN])
{
	FtcWriter	writer = ftc_writer(bytes, FTC_SHARDS_HEAD_LEN);

	ftc_put_u8(&writer, HEAD_VERSION);
	ftc_put_u8(&writer, 0);
	ftc_put_u8(&writer, (uint8_t) head->cut.data);
	ftc_put_u8(&writer, (uint8_t) head->cut.parity);
	ftc_put_u32(&writer, (uint32_t) head->cut.len);
	ftc_put_hash(&writer, &head->block);
	ftc_put_hash(&writer, &head->root);
}

FtcReason
ftc_shards_head_decode(FtcShardsHead *head, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		version = ftc_get_u8(&reader);
	uint8_t		zero = ftc_get_u8(&reader);

	head->cut.data = ftc_get_u8(&reader);
	head->cut.parity = ftc_get_u8(&reader);
	head->cut.len = ftc_get_u32(&reader);
	head->block = ftc_get_hash(&reader);
	head->root = ftc_get_hash(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (version != HEAD_VERSION)
		return FTC_BAD_VERSION;
	if (zero != 0)
		return FTC_NOT_CANONICAL;
	return ftc_cut_check(&head->cut);
}

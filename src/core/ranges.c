/*-------------------------------------------------------------------------
 *
 * ranges.c
 *	  Two lists by height, compared by digests of ranges.
 *
 *-------------------------------------------------------------------------
 */
#include "ranges.h"

#include <string.h>

int
ftc_ranges_top(uint64_t height)
{
	int			level = 1;

	while (level < FTC_RANGES_LEVELS && height >> (8 * level) != 0)
		level++;
	return level;
}

uint64_t
ftc_ranges_first(const FtcRangeNode *node)
{
	return node->level >= FTC_RANGES_LEVELS ? 0 : node->index << (8 * node->level);
}

uint64_t
ftc_ranges_last(const FtcRangeNode *node)
{
	return node->level >= FTC_RANGES_LEVELS ? UINT64_MAX
		: ftc_ranges_first(node) + ((UINT64_C(1) << (8 * node->level)) - 1);
}

/* ----------------------------------------------------------------
 *		An answer
 * ----------------------------------------------------------------
 */

void
ftc_ranges_begin(FtcRanges *ranges, const FtcRangeNode *node, uint8_t *buf)
{
	ranges->node = *node;
	for (int i = 0; i < FTC_RANGES_LEVELS; i++)
		ranges->at[i].open = false;
	ranges->buf = buf;
	ranges->len = 0;
}

static size_t
item_len(int level)
{
	return 1 + (level == 1 ? FTC_HASH_LEN : FTC_RANGES_MARK);
}

static void put_child(FtcRanges *ranges, int level, uint64_t index, const FtcHash *content);

/* A node below the one that is asked for has all its children. */
static void
close_node(FtcRanges *ranges, int level)
{
	FtcHash		digest;

	if (!ranges->at[level].open)
		return;
	digest = ftc_sha256_final(&ranges->at[level].sha);
	ranges->at[level].open = false;
	put_child(ranges, level + 1, ranges->at[level].index, &digest);
}

/* A child, of this index, of a node of this level. */
static void
put_child(FtcRanges *ranges, int level, uint64_t index, const FtcHash *content)
{
	uint8_t		low = (uint8_t) index;
	uint8_t		head = (uint8_t) level; /* of what is hashed, so that levels
										 * differ */

	if (level == ranges->node.level)
	{
		size_t		len = item_len(level);

		/* never more than 256, whatever the caller does */
		if (ranges->len + len > FTC_RANGES_ANSWER_MAX)
			return;
		ranges->buf[ranges->len] = low;
		memcpy(ranges->buf + ranges->len + 1, content->b, len - 1);
		ranges->len += len;
		return;
	}
	if (ranges->at[level].open && ranges->at[level].index != index >> 8)
		close_node(ranges, level);
	if (!ranges->at[level].open)
	{
		ranges->at[level].open = true;
		ranges->at[level].index = index >> 8;
		ftc_sha256_init(&ranges->at[level].sha);
		ftc_sha256_update(&ranges->at[level].sha, &head, 1);
	}
	ftc_sha256_update(&ranges->at[level].sha, &low, 1);
	ftc_sha256_update(&ranges->at[level].sha, content->b, FTC_HASH_LEN);
}

void
ftc_ranges_add(FtcRanges *ranges, uint64_t height, const FtcHash *id)
{
	put_child(ranges, 1, height, id);
}

void
ftc_ranges_add_node(FtcRanges *ranges, int level, uint64_t index, const FtcHash *digest)
{
	put_child(ranges, level + 1, index, digest);
}

FtcHash
ftc_ranges_digest(FtcSlice answer)
{
	static const uint8_t level = 1;
	FtcSha256	sha;

	ftc_sha256_init(&sha);
	ftc_sha256_update(&sha, &level, 1);
	ftc_sha256_update(&sha, answer.data, answer.len);
	return ftc_sha256_final(&sha);
}

FtcSlice
ftc_ranges_end(FtcRanges *ranges)
{
	FtcSlice	answer;

	for (int level = 1; level < ranges->node.level; level++)
		close_node(ranges, level);
	answer.data = ranges->buf;
	answer.len = ranges->len;
	return answer;
}

/* ----------------------------------------------------------------
 *		A comparison
 * ----------------------------------------------------------------
 */

void
ftc_ranges_search(FtcRangeSearch *search, FtcRangeNode *nodes, uint64_t height)
{
	search->nodes = nodes;
	search->nodes[0].level = ftc_ranges_top(height);
	search->nodes[0].index = 0;
	search->n = 1;
}

/*
 * Depth first: of each level there are no more on the stack than one question
 * brings, and that bounds it.
 */
int
ftc_ranges_next(FtcRangeSearch *search, FtcRangeNode *nodes)
{
	int			n = 0;

	while (search->n > 0 && n < FTC_RANGES_AT_ONCE &&
		   (n == 0 || search->nodes[search->n - 1].level == nodes[0].level))
		nodes[n++] = search->nodes[--search->n];
	return n;
}

/* Whole items, their first bytes rising. */
static bool
is_answer(int level, FtcSlice answer)
{
	size_t		len = item_len(level);

	if (answer.len % len != 0 || answer.len / len > 256)
		return false;
	for (size_t at = len; at < answer.len; at += len)
		if (answer.data[at] <= answer.data[at - len])
			return false;
	return true;
}

static void
found(FtcRangeSearch *search, const FtcRangeNode *node, uint8_t low, const uint8_t *mine, const uint8_t *theirs,
	  FtcRangesDiffer differ, void *arg)
{
	uint64_t	index = node->index << 8 | low;
	FtcHash		ids[2];

	if (node->level > 1)
	{
		FtcRangeNode child = {node->level - 1, index};

		if (search->n < FTC_RANGES_STACK)
			search->nodes[search->n++] = child;
		return;
	}
	if (mine != NULL)
		memcpy(ids[0].b, mine, FTC_HASH_LEN);
	if (theirs != NULL)
		memcpy(ids[1].b, theirs, FTC_HASH_LEN);
	differ(arg, index, mine == NULL ? NULL : &ids[0], theirs == NULL ? NULL : &ids[1]);
}

FtcReason
ftc_ranges_take(FtcRangeSearch *search, const FtcRangeNode *node, FtcSlice mine, FtcSlice theirs,
				FtcRangesDiffer differ, void *arg)
{
	size_t		len = item_len(node->level);
	size_t		i = 0;
	size_t		j = 0;

	if (!is_answer(node->level, theirs) || !is_answer(node->level, mine))
		return FTC_NOT_CANONICAL;
	while (i < mine.len || j < theirs.len)
	{
		const uint8_t *a = i < mine.len ? mine.data + i : NULL;
		const uint8_t *b = j < theirs.len ? theirs.data + j : NULL;

		if (a != NULL && b != NULL && a[0] == b[0])
		{
			if (memcmp(a, b, len) != 0)
				found(search, node, a[0], a + 1, b + 1, differ, arg);
			i += len;
			j += len;
		}
		else if (b == NULL || (a != NULL && a[0] < b[0]))
		{
			found(search, node, a[0], a + 1, NULL, differ, arg);
			i += len;
		}
		else
		{
			found(search, node, b[0], NULL, b + 1, differ, arg);
			j += len;
		}
	}
	return FTC_OK;
}

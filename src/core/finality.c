/*-------------------------------------------------------------------------
 *
 * finality.c
 *	  Which blocks are justified, and which can never be taken back.
 *
 *-------------------------------------------------------------------------
 */
#include "finality.h"

#include "bytes.h"

void
ftc_finality_first(FtcFinality *block, const FtcHash *genesis)
{
	memset(block, 0, sizeof(*block));
	block->self.point.id = *genesis;
	block->justified = block->final = block->self;
	block->settled[0] = block->settled[1] = block->self;
}

/* ----------------------------------------------------------------
 *		Branches
 * ----------------------------------------------------------------
 */

/*
 * A block knows some of its ancestors: its parent, what it justifies, and what is
 * final.  The lowest of them that is not below height.
 */
static const FtcHash *
jump_to(const FtcFinality *block, uint64_t height)
{
	const FtcAncestor *known[] = {&block->settled[1], &block->settled[0], &block->final, &block->justified};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i]->height >= height && known[i]->height < block->self.height)
			return &known[i]->point.id;
	return &block->prev;
}

bool
ftc_finality_descends(FtcFinalityTree *tree, const FtcFinality *block, const FtcAncestor *ancestor)
{
	FtcFinality at = *block;

	while (at.self.height > ancestor->height)
	{
		FtcHash		below = *jump_to(&at, ancestor->height);

		if (!tree->load(tree, &below, &at))
			return false;
	}
	return ftc_hash_equal(&at.self.point.id, &ancestor->point.id);
}

FtcReason
ftc_finality_check(FtcFinalityTree *tree, const FtcHeader *header, const FtcFinality *parent,
				   FtcFinality *justified)
{
	if (header->round <= parent->self.point.round || header->round > INT64_MAX)
		return FTC_BAD_ROUND;
	if (!tree->load(tree, &header->justify, justified))
		return FTC_NOT_JUSTIFIED;
	if (justified->self.point.round < parent->justified.point.round)
		return FTC_NOT_JUSTIFIED;
	return ftc_finality_descends(tree, parent, &justified->self) ? FTC_OK : FTC_NOT_JUSTIFIED;
}

bool
ftc_finality_is_given(const FtcFinality *block)
{
	return block->self.height == 0 || block->alone;
}

/* ----------------------------------------------------------------
 *		What a branch proves
 * ----------------------------------------------------------------
 */

/* What a justified block makes final, by itself; its own source is final or not. */
static bool
makes_final(const FtcFinality *justified, FtcAncestor *final)
{
	if (ftc_finality_is_given(justified))
		*final = justified->self;
	else if (justified->self.point.round == justified->justified.point.round + 1)
		*final = justified->justified;
	else
		return false;
	return true;
}

/* The two marks of settled, as of a block in this epoch. */
static void
pass_epochs(const FtcFinality *parent, uint64_t round, uint32_t per_epoch, FtcAncestor settled[2])
{
	uint64_t	before = parent->self.point.round / per_epoch;
	uint64_t	epoch = round / per_epoch;

	settled[0] = parent->settled[0];
	settled[1] = parent->settled[1];
	if (epoch == before)
		return;
	settled[0] = parent->final;
	settled[1] = epoch == before + 1 ? parent->settled[0] : parent->final;
}

FtcAncestor
ftc_finality_base(const FtcFinality *parent, uint64_t round, uint32_t per_epoch)
{
	FtcAncestor settled[2];

	pass_epochs(parent, round, per_epoch, settled);
	return settled[1];
}

void
ftc_finality_next(FtcFinality *child, const FtcHeader *header, const FtcHash *id,
				  const FtcFinality *parent, const FtcFinality *justified,
				  bool alone, uint32_t per_epoch)
{
	FtcAncestor final;

	memset(child, 0, sizeof(*child));
	child->self.point.id = *id;
	child->self.point.round = header->round;
	child->self.height = header->height;
	child->prev = header->prev;
	child->justified = justified->self;
	child->final = parent->final;
	if (makes_final(justified, &final) && final.height > child->final.height)
		child->final = final;
	pass_epochs(parent, header->round, per_epoch, child->settled);
	child->filled = header->leaves > 0 ? header->height : parent->filled;
	child->alone = alone;
	if (alone)
		child->final = child->self;
}

bool
ftc_finality_needs_closing(const FtcFinality *head)
{
	return head->final.height < head->filled;
}

FtcVoteLink
ftc_finality_link(const FtcFinality *block, const FtcHash *validators)
{
	FtcVoteLink link = {*validators, block->self.point, block->justified.point};

	return link;
}

bool
ftc_finality_is_checkpoint(uint64_t height, uint32_t interval)
{
	return interval > 0 && height % interval == 0;
}

uint64_t
ftc_finality_pow_round(uint64_t parent_round, uint64_t height, uint32_t interval)
{
	return parent_round + (ftc_finality_is_checkpoint(height, interval) ? 1 : 0);
}

/* ----------------------------------------------------------------
 *		What a member knows
 * ----------------------------------------------------------------
 */

void
ftc_view_first(FtcView *view, const FtcHash *genesis)
{
	FtcFinality first;

	ftc_finality_first(&first, genesis);
	view->justified = view->final = first.self;
}

/* Another block of the same round, which two quorums cannot both have certified. */
static bool
contradicts(const FtcAncestor *known, const FtcFinality *block)
{
	return block->self.point.round == known->point.round &&
		!ftc_hash_equal(&block->self.point.id, &known->point.id);
}

/*
 * Is all that the view says one branch?  What is justified descends from what is
 * final, or a vote went around another.
 */
static bool
is_consistent(const FtcView *view, FtcFinalityTree *tree)
{
	FtcFinality justified;

	return tree->load(tree, &view->justified.point.id, &justified) &&
		ftc_finality_descends(tree, &justified, &view->final);
}

FtcLearned
ftc_view_certified(FtcView *view, FtcFinalityTree *tree, const FtcFinality *block)
{
	FtcLearned	learned = FTC_LEARNED_NOTHING;
	FtcView		next = *view;
	FtcAncestor final;

	if (contradicts(&view->justified, block) || contradicts(&view->final, block))
		return FTC_LEARNED_CONFLICT;
	if (block->self.point.round <= view->final.point.round)
		return FTC_LEARNED_NOTHING;
	if (block->self.point.round > view->justified.point.round)
	{
		next.justified = block->self;
		learned = FTC_LEARNED_JUSTIFIED;
	}
	if (makes_final(block, &final) && final.point.round > view->final.point.round)
	{
		next.final = final;
		learned = FTC_LEARNED_FINAL;
	}
	if (learned == FTC_LEARNED_NOTHING)
		return learned;
	if (!is_consistent(&next, tree) || !ftc_finality_descends(tree, block, &view->final))
		return FTC_LEARNED_CONFLICT;
	*view = next;
	return learned;
}

/*
 * The justified block descends from the final one, so the first question would
 * do; but what is final is not to depend on that.
 */
bool
ftc_view_allows(const FtcView *view, FtcFinalityTree *tree, const FtcFinality *block)
{
	return ftc_finality_descends(tree, block, &view->justified) &&
		ftc_finality_descends(tree, block, &view->final);
}

/*
 * More blocks, since then more slots of the branch were used; of equal ones that
 * which was done earlier; and of two of one slot the smaller id, so that all come
 * to the same.
 */
int
ftc_finality_compare(const FtcFinality *a, const FtcFinality *b)
{
	if (a->self.height != b->self.height)
		return a->self.height > b->self.height ? 1 : -1;
	if (a->self.point.round != b->self.point.round)
		return a->self.point.round < b->self.point.round ? 1 : -1;
	return -ftc_hash_compare(&a->self.point.id, &b->self.point.id);
}

bool
ftc_view_prefers(const FtcView *view, FtcFinalityTree *tree, const FtcFinality *head,
				 const FtcFinality *other)
{
	if (!ftc_view_allows(view, tree, other))
		return false;
	return ftc_finality_compare(other, head) > 0 || !ftc_view_allows(view, tree, head);
}

/* ----------------------------------------------------------------
 *		Bytes
 * ----------------------------------------------------------------
 */

static void
put_ancestor(FtcWriter *writer, const FtcAncestor *ancestor)
{
	ftc_put_u64(writer, ancestor->point.round);
	ftc_put_u64(writer, ancestor->height);
	ftc_put_hash(writer, &ancestor->point.id);
}

static void
get_ancestor(FtcReader *reader, FtcAncestor *ancestor)
{
	ancestor->point.round = ftc_get_u64(reader);
	ancestor->height = ftc_get_u64(reader);
	ancestor->point.id = ftc_get_hash(reader);
}

void
ftc_finality_encode(const FtcFinality *block, uint8_t bytes[FTC_FINALITY_LEN])
{
	FtcWriter	writer = ftc_writer(bytes, FTC_FINALITY_LEN);

	put_ancestor(&writer, &block->justified);
	put_ancestor(&writer, &block->final);
	put_ancestor(&writer, &block->settled[0]);
	put_ancestor(&writer, &block->settled[1]);
	ftc_put_u64(&writer, block->filled);
	ftc_put_u8(&writer, block->alone);
}

/* Is a comes at or below b, and not after it? */
static bool
is_in_order(const FtcAncestor *a, const FtcAncestor *b)
{
	return a->height <= b->height && a->point.round <= b->point.round;
}

FtcReason
ftc_finality_decode(FtcFinality *block, const FtcHeader *header, const FtcHash *id, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	uint8_t		alone;

	block->self.point.id = *id;
	block->self.point.round = header->round;
	block->self.height = header->height;
	block->prev = header->prev;
	get_ancestor(&reader, &block->justified);
	get_ancestor(&reader, &block->final);
	get_ancestor(&reader, &block->settled[0]);
	get_ancestor(&reader, &block->settled[1]);
	block->filled = ftc_get_u64(&reader);
	alone = ftc_get_u8(&reader);
	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (alone > 1)
		return FTC_NOT_CANONICAL;
	block->alone = alone == 1;
	return is_in_order(&block->settled[1], &block->settled[0]) &&
		is_in_order(&block->settled[0], &block->final) && is_in_order(&block->final, &block->self) &&
		is_in_order(&block->justified, &block->self) && block->filled <= block->self.height
		? FTC_OK : FTC_OUT_OF_RANGE;
}

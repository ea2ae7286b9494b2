/*-------------------------------------------------------------------------
 *
 * exhaust.c
 *	  The vote rule, every case: four members, four rounds, a few blocks.
 *
 * One member lies and has voted for everything.  The other three vote for any
 * valid block that their watermarks allow: there is no head that would hide that a
 * rule is missing.  From each state each thing that can happen leads to another
 * one: a block appears, of any round that has fewer than two, on any block below,
 * with anything justified that a header may name; or somebody votes.  So blocks
 * come late, or twice for a round, and votes in every order.  The states are
 * searched depth first, each once.
 *
 * In every state all final blocks must be on one branch.
 *
 *-------------------------------------------------------------------------
 */
#include "finalitysim.h"

#define VOTERS 3
#define ROUNDS 4
#define MOST 8					/* blocks, the genesis block included */

typedef struct Spot
{
	FtcFinality finality;
	uint8_t		round;
	uint8_t		parent;
	uint8_t		justify;
	uint8_t		votes;			/* of the honest ones: bits */
} Spot;

typedef struct State
{
	FtcFinalityTree tree;		/* first */
	int			n;
	Spot		spot[MOST];		/* ascending by round */
	FtcSignState signed_for[VOTERS];
} State;

typedef unsigned __int128 Key;

typedef struct Search
{
	FtcValidator at[VOTERS + 1];
	FtcValidators set;
	int			most;			/* blocks besides the genesis block */
	Key		   *seen;
	size_t		size;
	uint64_t	states;
	bool		failed;
} Search;

/* ----------------------------------------------------------------
 *		States
 * ----------------------------------------------------------------
 */

static FtcHash
id_of(int spot)
{
	FtcHash		id = {{(uint8_t) (spot + 1)}};

	return id;
}

static bool
load(FtcFinalityTree *tree, const FtcHash *id, FtcFinality *block)
{
	const State *s = (const State *) tree;
	int			spot = id->b[0] - 1;

	if (spot < 0 || spot >= s->n)
		return false;
	*block = s->spot[spot].finality;
	return true;
}

static FtcHeader
header_of(const State *s, const Spot *spot)
{
	FtcHeader	header = {.round = spot->round,.leaves = 1};

	header.height = s->spot[spot->parent].finality.self.height + 1;
	header.prev = id_of(spot->parent);
	header.justify = id_of(spot->justify);
	return header;
}

/* What follows from where the blocks are. */
static void
derive(State *s, int spot)
{
	FtcHeader	header = header_of(s, &s->spot[spot]);
	FtcHash		id = id_of(spot);

	ftc_finality_next(&s->spot[spot].finality, &header, &id, &s->spot[s->spot[spot].parent].finality,
					  &s->spot[s->spot[spot].justify].finality, false, 100);
}

static bool
is_justified(const Search *search, const State *s, int spot)
{
	FtcTally	tally = {0};

	if (spot == 0)
		return true;
	(void) ftc_tally_add(&tally, &search->set, VOTERS);
	for (int voter = 0; voter < VOTERS; voter++)
		if ((s->spot[spot].votes >> voter & 1) != 0)
			(void) ftc_tally_add(&tally, &search->set, voter);
	return ftc_validators_is_quorum(&search->set, tally.weight);
}

/* The state in a few bits; voters are put in this order. */
static Key
key_with(const State *s, const int order[VOTERS])
{
	Key			key = 0;

	for (int i = 1; i < s->n; i++)
	{
		key = key << 9 | (Key) (s->spot[i].round << 6 | s->spot[i].parent << 3 | s->spot[i].justify);
		for (int v = 0; v < VOTERS; v++)
			key = key << 1 | (s->spot[i].votes >> order[v] & 1);
	}
	for (int v = 0; v < VOTERS; v++)
		key = key << 6 | (Key) (s->signed_for[order[v]].target << 3 | s->signed_for[order[v]].source);
	return key << 3 | (Key) s->n;
}

/* It does not matter who of the honest ones is who. */
static Key
key_of(const State *s)
{
	static const int orders[6][VOTERS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	Key			least = key_with(s, orders[0]);

	for (int i = 1; i < 6; i++)
	{
		Key			key = key_with(s, orders[i]);

		least = key < least ? key : least;
	}
	return least;
}

/* False if it was met before. */
static bool
remember(Search *search, Key key)
{
	size_t		at;

	if (2 * search->states >= search->size)
	{
		Key		   *old = search->seen;
		size_t		n = search->size;

		search->size = n == 0 ? 1 << 16 : 2 * n;
		search->seen = calloc(search->size, sizeof(Key));
		search->states = 0;
		for (size_t i = 0; i < n; i++)
			if (old[i] != 0)
				(void) remember(search, old[i]);
		free(old);
	}
	at = (size_t) ((uint64_t) (key ^ key >> 64) * UINT64_C(0x9e3779b97f4a7c15) >> 20) % search->size;
	while (search->seen[at] != 0)
	{
		if (search->seen[at] == key)
			return false;
		at = (at + 1) % search->size;
	}
	search->seen[at] = key;
	search->states++;
	return true;
}

/* ----------------------------------------------------------------
 *		What can happen
 * ----------------------------------------------------------------
 */

static void
print_state(const Search *search, const State *s)
{
	for (int i = 1; i < s->n; i++)
		printf("  block %d: round %d, on %d, justifies %d, votes %d%s\n", i, s->spot[i].round, s->spot[i].parent,
			   s->spot[i].justify, s->spot[i].votes, is_justified(search, s, i) ? ", justified" : "");
}

/* The highest that is final since this one is justified. */
static FtcAncestor
final_by(const State *s, int spot)
{
	FtcHeader	header = {.round = ROUNDS + 1};
	FtcFinality child;
	FtcHash		id = id_of(MOST);

	ftc_finality_next(&child, &header, &id, &s->spot[spot].finality, &s->spot[spot].finality, false, 100);
	return child.final;
}

static bool
are_beside(State *s, const FtcAncestor *a, const FtcAncestor *b)
{
	int			high = a->height >= b->height ? a->point.id.b[0] - 1 : b->point.id.b[0] - 1;
	int			low = a->height >= b->height ? b->point.id.b[0] - 1 : a->point.id.b[0] - 1;

	while (s->spot[high].finality.self.height > s->spot[low].finality.self.height)
		high = s->spot[high].parent;
	return high != low;
}

static void
check(Search *search, State *s)
{
	for (int i = 1; i < s->n; i++)
		for (int j = 1; j < i; j++)
		{
			FtcAncestor a;
			FtcAncestor b;

			if (!is_justified(search, s, i) || !is_justified(search, s, j))
				continue;
			a = final_by(s, i);
			b = final_by(s, j);
			if (!search->failed && are_beside(s, &a, &b))
			{
				printf("not ok - two final blocks are beside each other\n");
				print_state(search, s);
				search->failed = true;
			}
		}
}

static void visit(Search *search, State *s);

/* A block of this round in its place, which is behind those of lower rounds. */
static void
insert(Search *search, const State *s, int round, int parent, int justify)
{
	State		next;
	int			at = s->n;
	FtcFinality justified;
	FtcHeader	header;
	Spot		spot = {.round = (uint8_t) round,.parent = (uint8_t) parent,.justify = (uint8_t) justify};

	header = header_of(s, &spot);
	if (ftc_finality_check((FtcFinalityTree *) &s->tree, &header, &s->spot[parent].finality, &justified) != FTC_OK)
		return;
	next = *s;
	while (next.spot[at - 1].round > round)
		at--;
	memmove(&next.spot[at + 1], &next.spot[at], (size_t) (s->n - at) * sizeof(Spot));
	next.spot[at] = spot;
	next.n++;
	for (int i = at + 1; i < next.n; i++)
	{
		next.spot[i].parent += next.spot[i].parent >= at;
		next.spot[i].justify += next.spot[i].justify >= at;
	}
	for (int i = at; i < next.n; i++)
		derive(&next, i);
	visit(search, &next);
}

static void
blocks_appear(Search *search, const State *s)
{
	int			of_round[ROUNDS + 1] = {0};

	if (s->n > search->most)
		return;
	for (int i = 1; i < s->n; i++)
		of_round[s->spot[i].round]++;
	for (int round = 1; round <= ROUNDS; round++)
		for (int parent = 0; parent < s->n && of_round[round] < 2; parent++)
			for (int justify = 0; justify < s->n && s->spot[parent].round < round; justify++)
				if (is_justified(search, s, justify))
					insert(search, s, round, parent, justify);
}

static void
somebody_votes(Search *search, const State *s)
{
	for (int voter = 0; voter < VOTERS; voter++)
		for (int i = 1; i < s->n; i++)
		{
			State		next;
			FtcSignState signed_for = s->signed_for[voter];
			FtcVoteLink link = ftc_finality_link(&s->spot[i].finality, &ftc_hash_zero);

			if ((s->spot[i].votes >> voter & 1) != 0 ||
				ftc_sign_state_vote(&signed_for, &link) != FTC_SIGNING_NEW)
				continue;
			next = *s;
			next.signed_for[voter] = signed_for;
			next.spot[i].votes |= (uint8_t) (1 << voter);
			visit(search, &next);
		}
}

static void
visit(Search *search, State *s)
{
	if (search->failed || !remember(search, key_of(s)))
		return;
	check(search, s);
	blocks_appear(search, s);
	somebody_votes(search, s);
}

void
exhaust_run(uint64_t blocks, int *passed, int *failed)
{
	Search		search = {.most = (int) Min(blocks, MOST - 1)};
	State		first = {.tree.load = load,.n = 1};
	FtcHash		id = id_of(0);

	search.set = (FtcValidators)
	{
		.quorum = FTC_QUORUM_TWO_THIRDS,.n = VOTERS + 1,.capacity = VOTERS + 1,.at = search.at
	};
	for (int i = 0; i <= VOTERS; i++)
		search.at[i].weight = 1;
	ftc_finality_first(&first.spot[0].finality, &id);
	visit(&search, &first);
	if (search.failed)
		++* failed;
	else
	{
		printf("ok - all final blocks are on one branch, in %llu states of %d blocks in %d rounds\n",
			   (unsigned long long) search.states, search.most, ROUNDS);
		++*passed;
	}
	free(search.seen);
}

/*-------------------------------------------------------------------------
 *
 * relief.c
 *	  Who holds a body in the place of a member that is away, or has lost it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "core/copy.h"
#include "core/health.h"
#include "datum.h"
#include "identity.h"
#include "place.h"
#include "relief.h"
#include "safety.h"
#include "sharding.h"
#include "stmt.h"
#include "store.h"

#define LOOK_EVERY_US (1 * USECS_PER_SEC)

static FtcStmt members_out = {
	.sql = "SELECT member FROM ftchain.peer_health WHERE state = 'out' ORDER BY member",
};

static FtcStmt any_lost = {
	.sql = "SELECT EXISTS (SELECT FROM ftchain.copy WHERE chain = $1 AND lost IS NOT NULL)"
	" OR EXISTS (SELECT FROM ftchain.loss WHERE chain = $1)",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt losers = {
	.sql = "SELECT member FROM ftchain.copy WHERE block = $1 AND lost IS NOT NULL"
	" UNION SELECT member FROM ftchain.loss WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* What is known of a chain under a state. */
typedef struct Known
{
	int32		chain;			/* 0: of none */
	int32		weighed;		/* of which it was last said who is out */
	FtcHash		state;
	uint64		looked_at;
	bool		any_lost;
	uint32		nout;			/* members whose copies are made anew */
	uint64		version;
	uint32		nmembers;
	uint8	   *gone;			/* of each member of the state; in
								 * TopMemoryContext */
	bool		paused;			/* too many are out */
} Known;

static Known known = {0};

static void
mark_gone(const FtcState *state, uint8 *gone, uint64 rows)
{
	for (uint64 i = 0; i < rows; i++)
	{
		FtcHash		id = ftc_hash_value(i, 0);
		const FtcMember *member = ftc_state_find(state, &id);

		if (member != NULL)
			gone[member - state->members] = 1;
	}
}

/* Where too many are out nothing moves: that is an incident. */
static void
weigh(const FtcChain *chain, const FtcState *state)
{
	bool		was_paused = known.paused && known.weighed == chain->id;

	known.nout = 0;
	known.version = 0;
	for (uint32 i = 0; i < state->nmembers; i++)
		if (known.gone[i] != 0)
		{
			known.nout++;
			known.version = hash_bytes_extended(state->members[i].id.b, FTC_HASH_LEN, known.version + 1);
		}
	known.weighed = chain->id;
	known.paused = known.nout > 0 && !ftc_health_may_move(state->nmembers, known.nout);
	if (known.paused && !was_paused)
		ereport(LOG,
				errmsg("ftchain: %u of %u members of chain \"%s\" are out: no copies are made in their place",
					   known.nout, state->nmembers, chain->name != NULL ? chain->name : ""),
				errhint("If they are lost for good, remove them with ftchain.remove_member()."));
	if (!known.paused)
		return;
	memset(known.gone, 0, state->nmembers);
	known.nout = 0;
	known.version = 0;
}

static void
look(const FtcChain *chain, const FtcState *state)
{
	FtcHash		root = ftc_state_root(state);
	uint64		now = ftc_clock_steady();
	MemoryContext outer;

	if (known.chain == chain->id && ftc_hash_equal(&known.state, &root) &&
		known.looked_at != 0 && now - known.looked_at < LOOK_EVERY_US)
		return;
	if (known.nmembers < state->nmembers)
	{
		known.nmembers = 0;
		if (known.gone != NULL)
			pfree(known.gone);
		known.gone = NULL;
		known.gone = MemoryContextAlloc(TopMemoryContext, state->nmembers);
		known.nmembers = state->nmembers;
	}
	outer = ftc_nest();
	/* an error on the way must not leave half of it */
	known.chain = 0;
	memset(known.gone, 0, state->nmembers);
	mark_gone(state, known.gone, ftc_run(&members_out, 0));
	weigh(chain, state);
	ftc_run(&any_lost, Int32GetDatum(chain->id));
	known.any_lost = DatumGetBool(ftc_value(0, 0));
	ftc_unnest(outer);
	known.chain = chain->id;
	known.state = root;
	known.looked_at = now;
}

uint64
ftc_relief_version(const FtcChain *chain, const FtcState *state)
{
	look(chain, state);
	return known.version;
}

/* Those that are out, and those that have lost this body. */
static bool
find_gone(const FtcState *state, const FtcHash *block, uint8 *gone)
{
	MemoryContext outer;
	FtcIdentity self;
	uint64		n = 0;

	memcpy(gone, known.gone, state->nmembers);
	if (known.any_lost)
	{
		outer = ftc_nest();
		n = ftc_run(&losers, ftc_hash_datum(block));
		mark_gone(state, gone, n);
		ftc_unnest(outer);
	}
	/* who says of us that we have lost it does not keep us from having it */
	if (ftc_identity_load(&self) && ftc_state_find(state, &self.member) != NULL)
		gone[ftc_state_find(state, &self.member) - state->members] = 0;
	return known.nout > 0 || n > 0;
}

uint32
ftc_relief_owners(const FtcChain *chain, const FtcState *state, const FtcHash *block, uint32 r, uint32 *owners)
{
	uint8	   *gone = palloc(Max(state->nmembers, 1));

	look(chain, state);
	(void) find_gone(state, block, gone);
	return ftc_ring_owners_without(ftc_place_ring(state), ftc_ring_key(block), r, gone, owners);
}

/*
 * Is a body safe in shards?  Those of members that are out count as long as others
 * can take their places.
 */
static bool
are_shards_enough(const FtcChain *chain, const FtcState *state, const FtcHash *block)
{
	uint32		data = state->params.shard_data;
	uint32		keepers[FTC_SHARDS_MAX];
	uint32		all = data + state->params.shard_parity;

	if (data == 0 || ftc_shards_count(state, block) <= data)
		return false;
	if (ftc_relief_owners(chain, state, block, all, keepers) >= all)
		return true;
	return ftc_copies_count(0, ftc_shards_count_without(state, block, known.gone), data) >=
		Max(2, ftc_safety_wanted(state));
}

bool
ftc_relief_is_holder(const FtcChain *chain, const FtcState *state, const FtcHash *block, const FtcHash *member)
{
	const FtcMember *self = ftc_state_find(state, member);
	uint32		owners[FTC_REPLICAS_MAX];
	uint8	   *gone;
	uint32		n;

	/* what lies in shards need not be whole anywhere, but where all is kept */
	if (self != NULL && (self->flags & FTC_MEMBER_FULL) == 0 && are_shards_enough(chain, state, block))
		return false;
	if (ftc_place_is_holder(state, block, member))
		return true;
	if (self == NULL || self->weight == 0)
		return false;
	look(chain, state);
	if (known.nout == 0 && !known.any_lost)
		return false;
	gone = palloc(state->nmembers);
	if (!find_gone(state, block, gone))
		return false;
	n = ftc_ring_owners_without(ftc_place_ring(state), ftc_ring_key(block), state->params.replicas, gone, owners);
	for (uint32 i = 0; i < n; i++)
		if (&state->members[owners[i]] == self)
			return true;
	return false;
}

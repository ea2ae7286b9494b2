/*-------------------------------------------------------------------------
 *
 * place.c
 *	  Which members own a block's body.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "branch.h"
#include "chain.h"
#include "datum.h"
#include "place.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_place);
PG_FUNCTION_INFO_V1(ftchain_ring);
PG_FUNCTION_INFO_V1(ftchain_members);

/*
 * The rings last used: they cost milliseconds to build and little to keep, and
 * while members change that of now and that of a block take turns.
 */
typedef struct CachedRing
{
	MemoryContext context;
	FtcHash		state;			/* root of the state it was made from */
	FtcRing		ring;
} CachedRing;

static CachedRing rings[4];
static int	oldest_ring = 0;

/* Zones as numbers: that of the first member in the same zone. */
static uint32
zone_number(const FtcState *state, uint32 i)
{
	for (uint32 j = 0; j < i; j++)
		if (state->members[j].zone.len == state->members[i].zone.len &&
			memcmp(state->members[j].zone.data, state->members[i].zone.data,
				   state->members[i].zone.len) == 0)
			return j;
	return i;
}

static const FtcRing *
ring_of(const FtcState *state)
{
	FtcHash		root = ftc_state_root(state);
	CachedRing *cached;
	MemoryContext outer;
	FtcRingMember *members;
	FtcRingPoint *points;
	uint32		npoints;

	for (size_t i = 0; i < lengthof(rings); i++)
		if (rings[i].context != NULL && ftc_hash_equal(&root, &rings[i].state))
			return &rings[i].ring;
	cached = &rings[oldest_ring];
	oldest_ring = (oldest_ring + 1) % (int) lengthof(rings);
	if (cached->context == NULL)
		cached->context = AllocSetContextCreate(TopMemoryContext, "ftchain ring", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(cached->context);
	memset(&cached->state, 0, sizeof(cached->state));
	outer = MemoryContextSwitchTo(cached->context);
	members = palloc(Max(state->nmembers, 1) * sizeof(FtcRingMember));
	for (uint32 i = 0; i < state->nmembers; i++)
	{
		members[i].id = state->members[i].id;
		members[i].weight = state->members[i].weight;
		members[i].zone = zone_number(state, i);
	}
	npoints = ftc_ring_count_points(members, state->nmembers);
	points = palloc_extended(Max(npoints, 1) * 2 * sizeof(FtcRingPoint), MCXT_ALLOC_HUGE);
	ftc_ring_build(&cached->ring, members, state->nmembers, points,
				   palloc(ftc_ring_count_buckets(npoints) * sizeof(uint32)), points + npoints);
	MemoryContextSwitchTo(outer);
	cached->state = root;
	return &cached->ring;
}

uint32
ftc_place_owners(const FtcState *state, const FtcHash *block, uint32 **owners)
{
	*owners = palloc(state->params.replicas * sizeof(uint32));
	return ftc_ring_owners(ring_of(state), ftc_ring_key(block), state->params.replicas, *owners);
}

bool
ftc_place_is_holder(const FtcState *state, const FtcHash *block, const FtcHash *member)
{
	const FtcMember *self = ftc_state_find(state, member);
	uint32	   *owners;
	uint32		n;

	if (self == NULL)
		return false;
	if ((self->flags & FTC_MEMBER_FULL) != 0)
		return true;
	n = ftc_place_owners(state, block, &owners);
	for (uint32 i = 0; i < n; i++)
		if (&state->members[owners[i]] == self)
			return true;
	return false;
}

/* The state that the next block of a chain builds on. */
static FtcState *
next_state(const char *name)
{
	FtcChain	chain;

	ftc_chain_need(&chain, name);
	return ftc_branch_current_state(chain.id);
}

static char *
chain_arg(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("chain must not be null"));
	return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

Datum
ftchain_place(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = chain_arg(fcinfo);
	FtcScope	scope;
	FtcSlice	key;
	FtcHash		id = {{0}};
	FtcState   *state;
	uint32	   *owners;
	uint32		n;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("key must not be null"));
	key = ftc_datum_slice(PG_GETARG_DATUM(1));
	if (key.len < 8)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("key has %zu bytes", key.len),
				errdetail("The last 8 bytes of a digest, such as a block id, place it on the ring."));
	memcpy(id.b + FTC_HASH_LEN - 8, key.data + key.len - 8, 8);
	InitMaterializedSRF(fcinfo, 0);

	ftc_enter(&scope);
	state = next_state(name);
	n = ftc_place_owners(state, &id, &owners);
	for (uint32 i = 0; i < n; i++)
	{
		const FtcMember *member = &state->members[owners[i]];
		Datum		values[4] = {Int32GetDatum(i + 1), ftc_hash_datum(&member->id),
			PointerGetDatum(ftc_slice_text(member->name)),
		PointerGetDatum(ftc_slice_text(member->zone))};
		bool		nulls[4] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	ftc_leave(&scope);
	return (Datum) 0;
}

/* The share of the circle whose keys each member owns first. */
static double *
shares(const FtcRing *r)
{
	double	   *share = palloc0(Max(r->nmembers, 1) * sizeof(double));
	uint64	   *arcs = palloc0(Max(r->nmembers, 1) * sizeof(uint64));

	/* modulo 2^64, so the arc across zero comes out right */
	for (uint32 i = 0; i < r->npoints; i++)
		arcs[r->points[i].member] += r->points[i].position -
			r->points[i > 0 ? i - 1 : r->npoints - 1].position;
	/* and all of the circle is none of it */
	for (uint32 i = 0; i < r->nmembers; i++)
		share[i] = arcs[i] == 0 && r->members[i].weight > 0 ? 1
			: (double) arcs[i] / 18446744073709551616.0;
	return share;
}

Datum
ftchain_ring(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = chain_arg(fcinfo);
	FtcScope	scope;
	FtcState   *state;
	double	   *share;

	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	state = next_state(name);
	share = shares(ring_of(state));
	for (uint32 i = 0; i < state->nmembers; i++)
	{
		const FtcMember *member = &state->members[i];
		Datum		values[6] = {ftc_hash_datum(&member->id),
			PointerGetDatum(ftc_slice_text(member->name)),
			PointerGetDatum(ftc_slice_text(member->zone)),
			Int32GetDatum(member->weight),
			Int32GetDatum(member->weight * FTC_RING_POINTS),
		Float8GetDatum(share[i])};
		bool		nulls[6] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	ftc_leave(&scope);
	return (Datum) 0;
}

Datum
ftchain_members(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = chain_arg(fcinfo);
	FtcScope	scope;
	FtcState   *state;

	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	state = next_state(name);
	for (uint32 i = 0; i < state->nmembers; i++)
	{
		const FtcMember *member = &state->members[i];
		Datum		values[7] = {ftc_hash_datum(&member->id),
			PointerGetDatum(ftc_slice_text(member->name)),
			PointerGetDatum(ftc_slice_text(member->zone)),
			Int32GetDatum(member->weight),
			BoolGetDatum((member->flags & FTC_MEMBER_GOVERNOR) != 0),
			BoolGetDatum((member->flags & FTC_MEMBER_FULL) != 0),
		ftc_key_datum(&member->key)};
		bool		nulls[7] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	ftc_leave(&scope);
	return (Datum) 0;
}

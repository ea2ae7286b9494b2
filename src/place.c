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
#include "core/arcs.h"
#include "datum.h"
#include "place.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_place);
PG_FUNCTION_INFO_V1(ftchain_ring);

/*
 * The rings last used: they cost milliseconds to build and little to keep, and
 * while members change that of now and that of a block take turns.
 */
typedef struct CachedRing
{
	MemoryContext context;
	FtcHash		state;			/* root of the state it was made from */
	FtcRing    *ring;			/* NULL: none */
} CachedRing;

static CachedRing rings[4];
static int	oldest_ring = 0;

/* A member's zone, to sort by. */
typedef struct Zone
{
	FtcSlice	name;
	uint32		member;
} Zone;

static int
compare_zones(const void *a, const void *b)
{
	const FtcSlice *x = &((const Zone *) a)->name;
	const FtcSlice *y = &((const Zone *) b)->name;
	int			order = x->len == 0 || y->len == 0 ? 0 : memcmp(x->data, y->data, Min(x->len, y->len));

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Number the zones: equal names, equal numbers. */
static void
number_zones(const FtcState *state, FtcRingMember *members)
{
	Zone	   *zones = palloc(Max(state->nmembers, 1) * sizeof(Zone));
	uint16		number = 0;

	for (uint32 i = 0; i < state->nmembers; i++)
		zones[i] = (Zone)
	{
		.name = state->members[i].zone,.member = i
	};
	qsort(zones, state->nmembers, sizeof(Zone), compare_zones);
	for (uint32 i = 0; i < state->nmembers; i++)
	{
		if (i > 0 && compare_zones(&zones[i - 1], &zones[i]) != 0)
			number++;
		members[zones[i].member].zone = number;
	}
	pfree(zones);
}

FtcRing *
ftc_place_make_ring(const FtcState *state)
{
	FtcRing    *ring = palloc(sizeof(FtcRing));
	FtcRingMember *members = palloc(Max(state->nmembers, 1) * sizeof(FtcRingMember));
	size_t		scratch_size;
	void	   *scratch;

	for (uint32 i = 0; i < state->nmembers; i++)
	{
		members[i].id = state->members[i].id;
		members[i].weight = state->members[i].weight;
	}
	number_zones(state, members);
	scratch_size = ftc_ring_scratch_size(members, state->nmembers);
	scratch = palloc_extended(Max(scratch_size, 1), MCXT_ALLOC_HUGE);
	ftc_ring_build(ring, members, state->nmembers,
				   palloc_extended(ftc_ring_size(members, state->nmembers), MCXT_ALLOC_HUGE), scratch);
	pfree(scratch);
	return ring;
}

const FtcRing *
ftc_place_ring(const FtcState *state)
{
	FtcHash		root = ftc_state_root(state);
	CachedRing *cached;
	MemoryContext outer;

	for (size_t i = 0; i < lengthof(rings); i++)
		if (rings[i].ring != NULL && ftc_hash_equal(&root, &rings[i].state))
			return rings[i].ring;
	cached = &rings[oldest_ring];
	oldest_ring = (oldest_ring + 1) % (int) lengthof(rings);
	if (cached->context == NULL)
		cached->context = AllocSetContextCreate(TopMemoryContext, "ftchain ring", ALLOCSET_DEFAULT_SIZES);
	/* what fails on the way leaves none */
	cached->ring = NULL;
	MemoryContextReset(cached->context);
	outer = MemoryContextSwitchTo(cached->context);
	cached->ring = ftc_place_make_ring(state);
	MemoryContextSwitchTo(outer);
	cached->state = root;
	return cached->ring;
}

uint32
ftc_place_owners(const FtcState *state, const FtcHash *block, uint32 **owners)
{
	*owners = palloc(state->params.replicas * sizeof(uint32));
	return ftc_ring_owners(ftc_place_ring(state), ftc_ring_key(block), state->params.replicas, *owners);
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

FtcState *
ftc_place_state(FtcChain *chain, const char *name)
{
	ftc_chain_need(chain, name);
	return ftc_branch_current_state(chain->id);
}

char *
ftc_place_chain_arg(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("chain must not be null"));
	return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

/* The key of a block, which is given by its id or by its height. */
static FtcHash
key_arg(FunctionCallInfo fcinfo, const FtcChain *chain)
{
	FtcHash		id = {{0}};
	FtcStored	stored;
	FtcSlice	key;

	if (PG_ARGISNULL(1) == PG_ARGISNULL(2))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("either key or height must be given"));
	if (!PG_ARGISNULL(2))
	{
		int64		height = PG_GETARG_INT64(2);

		if (height < 0 || !ftc_store_load_main(chain->id, height, &stored))
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("chain \"%s\" has no block at height %lld", chain->name, (long long) height));
		return stored.id;
	}
	key = ftc_datum_slice(PG_GETARG_DATUM(1));
	if (key.len < 8)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("key has %zu bytes", key.len),
				errdetail("The last 8 bytes of a digest, such as a block id, place it on the ring."),
				errhint("Hash it, as with sha256()."));
	memcpy(id.b + FTC_HASH_LEN - 8, key.data + key.len - 8, 8);
	return id;
}

Datum
ftchain_place(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = ftc_place_chain_arg(fcinfo);
	FtcChain	chain;
	FtcScope	scope;
	FtcHash		key;
	FtcState   *state;
	uint32	   *owners;
	uint32		n;

	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	state = ftc_place_state(&chain, name);
	key = key_arg(fcinfo, &chain);
	n = ftc_place_owners(state, &key, &owners);
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

Datum
ftchain_ring(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = ftc_place_chain_arg(fcinfo);
	FtcChain	chain;
	FtcScope	scope;
	FtcState   *state;
	const FtcRing *ring;
	uint64	   *owned;

	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	state = ftc_place_state(&chain, name);
	ring = ftc_place_ring(state);
	owned = palloc(Max(ring->nmembers, 1) * sizeof(uint64));
	ftc_arcs_owned(ring, 1, owned);
	for (uint32 i = 0; i < state->nmembers; i++)
	{
		const FtcMember *member = &state->members[i];
		Datum		values[6] = {ftc_hash_datum(&member->id),
			PointerGetDatum(ftc_slice_text(member->name)),
			PointerGetDatum(ftc_slice_text(member->zone)),
			Int32GetDatum(member->weight),
			Int32GetDatum(member->weight * FTC_RING_POINTS),
		Float8GetDatum(ftc_arcs_share(&ring->members[i], owned[i]))};
		bool		nulls[6] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	ftc_leave(&scope);
	return (Datum) 0;
}

/*-------------------------------------------------------------------------
 *
 * inventory.c
 *	  Bodies of the main chain: how large each is, and who has it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"

#include "branch.h"
#include "core/shards.h"
#include "datum.h"
#include "inventory.h"
#include "place.h"
#include "stmt.h"
#include "store.h"

PG_FUNCTION_INFO_V1(ftchain_ring_load);

#define HEIGHTS_AT_ONCE 2000

static FtcStmt bytes_of_entry = {
	.sql = "SELECT coalesce(sum(u.bytes) / nullif(sum(u.count), 0), 0)::float8 FROM ftchain.bundle u"
	" WHERE u.chain = $1 AND u.ids IS NOT NULL",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt bodies = {
	.sql = "SELECT m.block, (SELECT b.header FROM ftchain.block b WHERE b.id = m.block),"
	" sum(CASE WHEN u.ids IS NULL THEN u.count * $4 ELSE u.bytes END)::bigint,"
	" ARRAY(SELECT r.member FROM ftchain.replica r WHERE r.block = m.block),"
	" ARRAY(SELECT DISTINCT s.member FROM ftchain.shard_copy s WHERE s.block = m.block"
	" AND get_byte(s.head, 2) = $5 AND get_byte(s.head, 3) = $6)"
	" FROM ftchain.main_chain m JOIN ftchain.block_bundle b ON b.block = m.block"
	" JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE m.chain = $1 AND m.height BETWEEN $2 AND $3 GROUP BY m.height, m.block ORDER BY m.height",
	.nargs = 6,
	.argtypes = {INT4OID, INT8OID, INT8OID, FLOAT8OID, INT4OID, INT4OID},
};

static void
visit(uint64 row, FtcInventoryCallback callback, void *arg)
{
	FtcKeptBody body = {.block = ftc_hash_value(row, 0),.bytes = DatumGetInt64(ftc_value(row, 2))};
	FtcSlice	header = ftc_slice_value(row, 1);
	FtcHeader	decoded;
	FtcHash    *members;

	if (ftc_header_decode(&decoded, header) == FTC_OK)
		body.proposer = decoded.proposer;
	if (ftc_array_hashes(DatumGetArrayTypeP(ftc_value(row, 3)), &members, &body.nstating))
		body.stating = members;
	else
		body.nstating = 0;
	if (ftc_array_hashes(DatumGetArrayTypeP(ftc_value(row, 4)), &members, &body.nsharding))
		body.sharding = members;
	else
		body.nsharding = 0;
	callback(arg, &body);
}

void
ftc_inventory_each(const FtcChain *chain, FtcInventoryCallback callback, void *arg)
{
	int64		head = ftc_store_main_height(chain->id);
	FtcState   *state = ftc_branch_current_state(chain->id);
	Datum		guess;

	ftc_run(&bytes_of_entry, Int32GetDatum(chain->id));
	guess = Float8GetDatum(DatumGetFloat8(ftc_value(0, 0)));
	for (int64 from = 0; from <= head; from += HEIGHTS_AT_ONCE)
	{
		MemoryContext outer = ftc_nest();
		uint64		n = ftc_run(&bodies, Int32GetDatum(chain->id), Int64GetDatum(from),
								Int64GetDatum(from + HEIGHTS_AT_ONCE - 1), guess,
								Int32GetDatum(state->params.shard_data), Int32GetDatum(state->params.shard_parity));

		for (uint64 i = 0; i < n; i++)
			visit(i, callback, arg);
		ftc_unnest(outer);
		CHECK_FOR_INTERRUPTS();
	}
}

static bool
is_among(const FtcHash *members, int n, const FtcHash *member)
{
	for (int i = 0; i < n; i++)
		if (ftc_hash_equal(&members[i], member))
			return true;
	return false;
}

bool
ftc_inventory_states(const FtcKeptBody *body, const FtcHash *member)
{
	return is_among(body->stating, body->nstating, member);
}

/* ----------------------------------------------------------------
 *		What each member has of it
 * ----------------------------------------------------------------
 */

typedef struct Counting
{
	const FtcState *state;
	const FtcRing *ring;
	FtcLoad    *load;
} Counting;

static void
add_held(Counting *c, const FtcHash *id, int64 bytes)
{
	const FtcMember *member = ftc_state_find(c->state, id);

	if (member == NULL)
		return;
	c->load[member - c->state->members].held++;
	c->load[member - c->state->members].held_bytes += bytes;
}

static void
count_body(void *arg, const FtcKeptBody *body)
{
	Counting   *c = arg;
	const FtcParams *params = &c->state->params;
	uint32		owners[FTC_SHARDS_MAX];

	/* which shards are enough: it is not whole where it is owned (relief.c) */
	bool		cut = params->shard_data > 0 && body->nsharding > params->shard_data;
	int64		shard = params->shard_data > 0 ? (body->bytes + params->shard_data - 1) / params->shard_data : 0;
	uint32		n = ftc_ring_owners(c->ring, ftc_ring_key(&body->block),
									cut ? params->shard_data + params->shard_parity : params->replicas, owners);

	for (uint32 i = 0; i < n; i++)
	{
		FtcLoad    *load = &c->load[owners[i]];
		const FtcHash *owner = &c->state->members[owners[i]].id;

		load->owned++;
		load->owned_bytes += cut ? shard : body->bytes;
		load->missing += !(cut ? is_among(body->sharding, body->nsharding, owner) : ftc_inventory_states(body, owner));
	}
	for (int i = 0; i < body->nstating; i++)
		add_held(c, &body->stating[i], body->bytes);
	for (int i = 0; i < body->nsharding; i++)
		if (!ftc_inventory_states(body, &body->sharding[i]))
			add_held(c, &body->sharding[i], shard);
}

FtcLoad *
ftc_inventory_load(const FtcChain *chain, const FtcState *state)
{
	const FtcRing *ring = ftc_place_ring(state);
	FtcLoad    *load = palloc0(Max(state->nmembers, 1) * sizeof(FtcLoad));
	double	   *fair = palloc(Max(state->nmembers, 1) * sizeof(double));
	uint64	   *owned = palloc(Max(state->nmembers, 1) * sizeof(uint64));
	Counting	c = {.state = state,.ring = ring,.load = load};

	ftc_arcs_fair(ring->members, ring->nmembers, state->params.replicas, fair);
	ftc_arcs_owned(ring, state->params.replicas, owned);
	for (uint32 i = 0; i < state->nmembers; i++)
	{
		load[i].fair = fair[i];
		load[i].share = ftc_arcs_share(&ring->members[i], owned[i]);
	}
	ftc_inventory_each(chain, count_body, &c);
	return load;
}

Datum
ftchain_ring_load(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = ftc_place_chain_arg(fcinfo);
	FtcScope	scope;
	FtcChain	chain;
	FtcState   *state;
	FtcLoad    *load;

	InitMaterializedSRF(fcinfo, 0);
	ftc_enter(&scope);
	ftc_freeze();
	state = ftc_place_state(&chain, name);
	load = ftc_inventory_load(&chain, state);
	ftc_thaw();
	for (uint32 i = 0; i < state->nmembers; i++)
	{
		const FtcMember *member = &state->members[i];
		Datum		values[12] = {ftc_hash_datum(&member->id),
			PointerGetDatum(ftc_slice_text(member->name)),
			PointerGetDatum(ftc_slice_text(member->zone)),
			Int32GetDatum(member->weight),
			Float8GetDatum(load[i].fair),
			Float8GetDatum(load[i].share),
			Float8GetDatum(load[i].fair > 0 ? load[i].share / load[i].fair : 0),
			Int64GetDatum(load[i].owned),
			Int64GetDatum(load[i].owned_bytes),
			Int64GetDatum(load[i].held),
			Int64GetDatum(load[i].held_bytes),
		Int64GetDatum(load[i].missing)};
		bool		nulls[12] = {false};

		nulls[6] = load[i].fair == 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	ftc_leave(&scope);
	return (Datum) 0;
}

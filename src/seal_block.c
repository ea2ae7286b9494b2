/*-------------------------------------------------------------------------
 *
 * seal_block.c
 *	  From bundles to blocks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "alarm.h"
#include "branch.h"
#include "clock.h"
#include "datum.h"
#include "failpoint.h"
#include "identity.h"
#include "inbox.h"
#include "keys.h"
#include "mining.h"
#include "seal.h"
#include "seal_part.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"
#include "worker.h"

static FtcStmt pending_number = {
	.sql = "SELECT u.head, u.signature, u.count, u.bytes, u.leaves, u.ids FROM ftchain.bundle u"
	" JOIN ftchain.pending_bundle p ON p.bundle = u.id"
	" WHERE u.chain = $1 AND u.origin = $2 AND u.incarnation = $3 AND u.number = $4 ORDER BY u.id LIMIT 1",
	.nargs = 4,
	.argtypes = {INT4OID, INT4OID, INT8OID, INT8OID},
};

static FtcStmt pending_controls = {
	.sql = "SELECT p.leaf FROM ftchain.pending_control p WHERE p.chain = $1 AND NOT EXISTS"
	" (SELECT FROM ftchain.control c JOIN ftchain.main_chain m ON m.block = c.block WHERE c.id = p.id)"
	" ORDER BY p.number LIMIT 100",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* A bundle of a candidate. */
typedef struct Chosen
{
	const FtcOrigin *origin;
	int64		number;
	FtcSignedLeaf signed_leaf;
	FtcSlice	leaves;			/* leaf hashes */
	int64		first_id;
} Chosen;

/* Parts of a candidate while they are collected. */
typedef struct Parts
{
	const FtcChain *chain;
	FtcStored	head;
	FtcBranch	branch;			/* the main chain */
	FtcState   *state;
	FtcSlice	controls[100];
	uint32		ncontrols;
	Chosen	   *bundles;
	uint32		nbundles;
	uint32		size;			/* of bundles */
	uint64		nleaves;
	uint64		bytes;
} Parts;

static void
load_main(const FtcChain *chain, Parts *p)
{
	memset(p, 0, sizeof(*p));
	p->chain = chain;
	ftc_store_load_head(chain->id, &p->head);
	p->branch.chain = chain->id;
	p->branch.fork_height = (int64) p->head.header.height;
	p->state = ftc_branch_state(&p->branch, &p->head, (int64) p->head.header.height + 1);
}

static void
collect_controls(Parts *p)
{
	uint64		n = ftc_run(&pending_controls, Int32GetDatum(p->chain->id));

	for (uint64 i = 0; i < n; i++)
	{
		FtcSlice	leaf = ftc_slice_value(i, 0);
		FtcControl	control;

		/* one that has become void stays out, or the block would be */
		if (ftc_control_leaf_decode(&control, leaf) != FTC_OK ||
			control.not_after <= p->head.header.height ||
			ftc_state_authorise(p->state, &control, &p->chain->genesis) != FTC_OK)
			continue;
		p->controls[p->ncontrols++] = leaf;
		p->nleaves++;
		p->bytes += 4 + leaf.len;
	}
}

static Chosen *
next_chosen(Parts *p)
{
	if (p->nbundles == p->size)
	{
		p->size = Max(16, p->size * 2);
		p->bundles = p->bundles == NULL ? palloc(p->size * sizeof(Chosen))
			: repalloc_huge(p->bundles, p->size * sizeof(Chosen));
	}
	return &p->bundles[p->nbundles];
}

/* The next bundle of an origin; false if there is none, or no room for it. */
static bool
choose_bundle(Parts *p, const FtcOrigin *origin)
{
	Chosen	   *c = next_chosen(p);
	uint64		count;
	uint64		bytes;
	FtcIds		ids;

	/* a gap has to wait, and of two with one number the first is taken */
	if (ftc_run(&pending_number, Int32GetDatum(p->chain->id), Int32GetDatum(origin->number),
				Int64GetDatum(origin->incarnation), Int64GetDatum(origin->last + 1)) == 0)
		return false;
	c->origin = origin;
	c->number = origin->last + 1;
	c->signed_leaf.leaf = ftc_slice_value(0, 0);
	count = (uint64) DatumGetInt32(ftc_value(0, 2));
	bytes = (uint64) DatumGetInt64(ftc_value(0, 3)) + c->signed_leaf.leaf.len + 4 + FTC_SIGNATURE_LEN;
	c->leaves = ftc_slice_value(0, 4);
	if (!ftc_datum_signature(ftc_value(0, 1), &c->signed_leaf.signature) ||
		!ftc_ids_read(ftc_value(0, 5), &ids) || ids.n == 0 || c->leaves.len != count * sizeof(FtcHash) ||
		p->nleaves + count + 1 > p->state->params.max_leaves || p->nbundles == FTC_BUNDLES_MAX ||
		p->bytes + bytes > p->state->params.max_body)
		return false;
	c->first_id = (int64) ids.ranges[0].first;
	p->nbundles++;
	p->nleaves += count + 1;
	p->bytes += bytes;
	return true;
}

/* As a manifest has them; origins are sorted already. */
static int
compare_chosen(const void *a, const void *b)
{
	const Chosen *ca = a;
	const Chosen *cb = b;

	if (ca->origin != cb->origin)
		return ca->origin < cb->origin ? -1 : 1;
	return ca->number < cb->number ? -1 : ca->number > cb->number;
}

/*
 * Bundles that are held and whose turn it is, whoever's: what another member's
 * losing block held is carried as well.  One of each origin in turn, so that
 * whoever has many does not keep others out.
 */
static void
collect_bundles(Parts *p)
{
	FtcOrigin  *origins;
	int			n = ftc_seal_origins(&p->branch, &origins);
	bool		more = n > 0;

	p->bytes += 64;				/* what a body begins with */
	for (int i = 0; i < n; i++)
		origins[i].done = ftc_state_find(p->state, &origins[i].member) == NULL;
	while (more)
	{
		more = false;
		for (int i = 0; i < n; i++)
		{
			if (origins[i].done)
				continue;
			origins[i].done = !choose_bundle(p, &origins[i]);
			origins[i].last += !origins[i].done;
			more |= !origins[i].done;
		}
	}
	if (p->nbundles > 1)
		qsort(p->bundles, p->nbundles, sizeof(Chosen), compare_chosen);
}

static bool
keep_leaf(void *arg, int64 id, FtcEntry *entry)
{
	FtcSlice   *leaf = arg;
	uint8	   *bytes = MemoryContextAlloc(CurTransactionContext, FTC_ENTRY_LEAF_MAX);

	entry->payload_hash = ftc_payload_hash(entry->salt, entry->payload);
	*leaf = ftc_slice(bytes, ftc_entry_leaf_encode(entry, bytes));
	return false;
}

/* The leaf bytes of the first entry of the body, which its proof shows. */
static FtcSlice
first_leaf(const Parts *p)
{
	FtcSlice	leaf = {NULL, 0};
	FtcIds		ids;

	if (p->nbundles == 0)
		return leaf;
	ftc_ids_init(&ids);
	ftc_ids_add(&ids, p->bundles[0].first_id, p->bundles[0].first_id);
	ftc_store_scan(p->chain->id, &ids, keep_leaf, &leaf);
	return leaf;
}

/* All leaf hashes of the body tree, in order. */
static FtcHash *
all_leaves(const Parts *p)
{
	FtcHash    *leaves = palloc_extended(Max(p->nleaves, 1) * sizeof(FtcHash), MCXT_ALLOC_HUGE);
	FtcHash    *at = leaves;

	for (uint32 i = 0; i < p->ncontrols; i++)
		*at++ = ftc_merkle_leaf(p->controls[i]);
	for (uint32 i = 0; i < p->nbundles; i++)
		*at++ = ftc_merkle_leaf(p->bundles[i].signed_leaf.leaf);
	for (uint32 i = 0; i < p->nbundles; i++)
	{
		memcpy(at, p->bundles[i].leaves.data, p->bundles[i].leaves.len);
		at += p->bundles[i].leaves.len / sizeof(FtcHash);
	}
	return leaves;
}

static FtcSlice
copy_slice(MemoryContext context, FtcSlice slice)
{
	void	   *copy = MemoryContextAlloc(context, Max(slice.len, 1));

	memcpy(copy, slice.data, slice.len);
	return ftc_slice(copy, slice.len);
}

static FtcCandidate *
assemble(const Parts *p, const FtcIdentity *self, uint64 now, MemoryContext context)
{
	FtcCandidate *c = MemoryContextAllocZero(context, sizeof(FtcCandidate));
	FtcHash    *leaves = all_leaves(p);
	FtcSignedLeaf *bundles = palloc(Max(p->nbundles, 1) * sizeof(FtcSignedLeaf));
	FtcSlice	manifest;
	uint8	   *proof = MemoryContextAlloc(context, FTC_PROOF_BYTES_MAX);
	size_t		len = ftc_manifest_prove(leaves, (uint32) p->nleaves, p->ncontrols + p->nbundles,
										 first_leaf(p), proof);

	for (uint32 i = 0; i < p->nbundles; i++)
		bundles[i] = p->bundles[i].signed_leaf;
	FTC_ENCODE(manifest, ftc_manifest_encode, p->controls, p->ncontrols, bundles, p->nbundles);
	c->block.manifest = copy_slice(context, manifest);
	c->block.proof = ftc_slice(proof, len);
	c->header.version = FTC_HEADER_VERSION;
	c->header.consensus = p->state->params.consensus;
	c->header.height = p->head.header.height + 1;
	c->header.time = now;
	c->header.prev = p->head.id;
	c->header.history = ftc_frontier_root(&p->head.tip.history);
	c->header.body = ftc_merkle_root(leaves, p->nleaves);
	c->header.leaves = (uint32) p->nleaves;
	c->header.bits = ftc_rules_next_bits(&p->head.tip, &p->state->params);
	c->header.proposer = self->member;
	c->header.state = ftc_state_root(p->state);
	return c;
}

FtcSealResult
ftc_seal_candidate(const FtcChain *chain, MemoryContext context,
				   FtcCandidate **candidate, uint64 *wait_until)
{
	FtcIdentity self;
	Parts	   *p = palloc(sizeof(Parts));
	uint64		now = ftc_clock_now();
	uint64		heads = ftc_wake_heads(chain->id);
	bool		idle;

	if (!ftc_identity_load(&self) || ftc_alarm_stops(chain->id))
		return FTC_SEAL_NOTHING;
	load_main(chain, p);
	if (ftc_state_find(p->state, &self.member) == NULL)
		return FTC_SEAL_NOTHING;
	collect_controls(p);
	collect_bundles(p);
	idle = p->nleaves == 0 && ftc_wake_wanted_height(chain->id) <= (int64) p->head.header.height;
	switch (ftc_branch_sealing(&p->head, p->state, &self.member, idle, now, wait_until))
	{
		case FTC_SEALING_NOTHING:
			return FTC_SEAL_NOTHING;
		case FTC_SEALING_EARLY:
			return FTC_SEAL_TOO_EARLY;
		case FTC_SEALING_NOW:
			break;
	}
	*candidate = assemble(p, &self, now, context);
	(*candidate)->heads = heads;
	return FTC_SEAL_READY;
}

bool
ftc_seal_mine(const FtcChain *chain, FtcCandidate *candidate)
{
	bool		found = false;

	while (!found)
	{
		uint64		attempts;
		uint64		us;

		found = ftc_mining_slice(&candidate->header, PG_UINT64_MAX, &attempts, &us);
		ftc_worker_attend();
		if (!found && ftc_wake_heads(chain->id) != candidate->heads)
			return false;
	}
	return true;
}

bool
ftc_seal_publish(const FtcChain *chain, FtcCandidate *candidate)
{
	uint8	   *bytes = palloc(FTC_HEADER_LEN);
	FtcHash		id = ftc_header_id(&candidate->header);
	FtcStored	head;
	FtcReason	reason;

	ftc_header_encode(&candidate->header, bytes);
	candidate->block.header = ftc_slice(bytes, FTC_HEADER_LEN);
	ftc_keys_sign(FTC_DOMAIN_BLOCK, &chain->genesis, &id, &candidate->block.signature);
	FTC_FAILPOINT("seal-block-signed");
	ftc_chain_lock(chain->id);
	/* another one, maybe of another session here, was faster: no fork of ours */
	ftc_store_load_head(chain->id, &head);
	if (!ftc_hash_equal(&head.id, &candidate->header.prev) || ftc_alarm_stops(chain->id))
		return false;
	reason = ftc_inbox_block(chain, &candidate->block, NULL);
	/* the clock was set back since: it has to be made again */
	if (reason == FTC_TIME_TOO_LATE)
		return false;
	if (reason != FTC_OK)
		ereport(ERROR,
				errcode(ERRCODE_INTERNAL_ERROR),
				errmsg("block %lld of chain \"%s\", made here, is not valid: %s",
					   (long long) candidate->header.height, chain->name, ftc_reason_text(reason)));
	FTC_FAILPOINT("seal-block-before-commit");
	return true;
}

/*-------------------------------------------------------------------------
 *
 * trim.c
 *	  Bodies that are here and belong elsewhere go, when they are there.
 *
 * An old copy is never dropped before the new one is proved, by its owner to this
 * very database, lately, after the owner was last away.  Before the body goes, challenges
 * are made from it, so that its owners can be asked afterwards as well.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "branch.h"
#include "datum.h"
#include "guc.h"
#include "identity.h"
#include "place.h"
#include "proofs.h"
#include "reading.h"
#include "relief.h"
#include "safety.h"
#include "sharding.h"
#include "stmt.h"
#include "store.h"
#include "trim.h"
#include "wake.h"
#include "window.h"
#include "words.h"

#define TRIMMED_AT_ONCE 20
#define DRAWN_AT_ONCE 20
#define WANTED_AT_ONCE 5		/* bodies to draw challenges from */
#define BYTES_AT_ONCE (8 * 1024 * 1024)
#define PROOF_COUNTS_FOR "1 h"

static FtcStmt held_bodies = {
	.sql = "SELECT m.height, m.block FROM ftchain.main_chain m JOIN ftchain.block k ON k.id = m.block"
	" WHERE m.chain = $1 AND m.height >= $2 AND m.height < $3 AND k.received <= now() - $4 * interval '1 s'"
	" AND EXISTS (SELECT FROM ftchain.block_bundle b WHERE b.block = m.block)"
	" AND NOT EXISTS (SELECT FROM ftchain.cached_body c WHERE c.block = m.block)"
	" AND NOT EXISTS (SELECT FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE b.block = m.block AND u.ids IS NULL) ORDER BY m.height",
	.nargs = 4,
	.argtypes = {INT4OID, INT8OID, INT8OID, FLOAT8OID},
};

/*
 * Proved lately, after it was last away, and since we are here: what was seen before
 * a backup was restored is gone.  Of two live copies of a member one may be stopped.
 */
static FtcStmt is_proved = {
	.sql = "SELECT FROM ftchain.copy c JOIN (SELECT block, member, -1 AS shard, ''::bytea AS head FROM ftchain.replica"
	" WHERE block = $1 UNION ALL SELECT block, member, number, head FROM ftchain.shard_copy WHERE block = $1) r"
	" USING (block, member, shard, head) JOIN ftchain.peer_health h ON h.member = c.member AND h.state = 'up'"
	" WHERE c.block = $1 AND c.member = $2 AND c.lost IS NULL AND (h.away IS NULL OR c.proved > h.away)"
	" AND c.proved > now() - interval '" PROOF_COUNTS_FOR "' AND c.proved > pg_postmaster_start_time() AND c.proved <= clock_timestamp()"
	" AND c.shard = $3 AND c.head = $4 AND NOT EXISTS (SELECT FROM ftchain.twin t WHERE t.member = c.member)",
	.nargs = 4,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID, BYTEAOID},
};

/* Is it there to answer, and does it say to have it? */
static FtcStmt can_prove = {
	.sql = "SELECT FROM ftchain.peer_health h WHERE h.member = $2 AND h.state = 'up'"
	" AND ($3 < 0 AND EXISTS (SELECT FROM ftchain.replica r WHERE r.block = $1 AND r.member = $2)"
	" OR EXISTS (SELECT FROM ftchain.shard_copy s WHERE s.block = $1 AND s.member = $2 AND s.number = $3 AND s.head = $4))",
	.nargs = 4,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID, BYTEAOID},
};

static FtcStmt own_statement = {
	.sql = "SELECT FROM ftchain.replica WHERE block = $1 AND member = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

/* Bundles of the body that wait, or that another block holds as well, stay for these. */
static FtcStmt is_shared = {
	.sql = "SELECT FROM ftchain.block_bundle b WHERE b.block = $1"
	" AND (EXISTS (SELECT FROM ftchain.pending_bundle p WHERE p.bundle = b.bundle)"
	" OR EXISTS (SELECT FROM ftchain.block_bundle o JOIN ftchain.main_chain m ON m.block = o.block"
	" WHERE o.bundle = b.bundle AND o.block <> b.block)) LIMIT 1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static HTAB *windows = NULL;

typedef struct Trim
{
	const FtcChain *chain;
	FtcIdentity self;
	FtcState   *state;
	int			trimmed;
	size_t		bytes;			/* of these */
	FtcAsking	asking;
} Trim;

bool
ftc_trim_is_member_proved(const FtcChain *chain, const FtcHash *block, int64 height, const FtcHash *member,
						  int32 shard, FtcSlice head, FtcAsking *asking)
{
	FtcIdentity self;

	/* who asks knows about itself */
	if (ftc_identity_load(&self) && ftc_hash_equal(&self.member, member))
		return shard >= 0 ? ftc_shards_is_sound(block, shard, head) : ftc_store_has_body(block);
	if (ftc_run(&is_proved, ftc_hash_datum(block), ftc_hash_datum(member), Int32GetDatum(shard),
				ftc_slice_datum(head)) > 0)
		return true;
	if (ftc_run(&can_prove, ftc_hash_datum(block), ftc_hash_datum(member), Int32GetDatum(shard),
				ftc_slice_datum(head)) == 0)
		return false;
	asking->waits = true;

	/*
	 * each try with the body is dear, and without it, only if there is an
	 * answer
	 */
	if (asking->drawn >= DRAWN_AT_ONCE || ftc_proofs_is_drawn(block, member, shard, head))
		return false;
	if (ftc_proofs_draw_for(chain, block, height, member, shard, head) || ftc_store_has_body(block))
		asking->drawn++;
	else if (!ftc_reading_wants(block) && asking->wanted++ < WANTED_AT_ONCE)
		/* only who has the body can judge */
		ftc_reading_want(chain, block);
	return false;
}

/* Each of the shards, of one cut, by the member that is to keep it. */
static bool
are_shards_proved(const FtcChain *chain, const FtcState *state, const FtcHash *block, int64 height, FtcAsking *asking)
{
	uint32		owners[FTC_SHARDS_MAX];
	int32		stated[FTC_SHARDS_MAX];
	int32		assigned[FTC_SHARDS_MAX];
	FtcSlice	heads[FTC_SHARDS_MAX];
	uint32		wanted = (uint32) state->params.shard_data + state->params.shard_parity;
	uint32		n = ftc_shards_owners(chain, state, block, owners, stated, heads);
	bool		all = true;

	if (n < wanted)
		return false;
	ftc_shards_assign(n, wanted, stated, assigned);
	for (uint32 i = 0; i < n; i++)
		if (stated[i] < 0 || stated[i] != assigned[i] || memcmp(heads[i].data, heads[0].data, FTC_SHARDS_HEAD_LEN) != 0)
			return false;
	for (uint32 i = 0; i < n; i++)
		if (!ftc_trim_is_member_proved(chain, block, height, &state->members[owners[i]].id, stated[i], heads[i], asking))
			all = false;
	return all;
}

bool
ftc_trim_is_proved(const FtcChain *chain, const FtcState *state, const FtcHash *block, int64 height, FtcAsking *asking)
{
	if (ftc_shards_count(state, block) > state->params.shard_data)
		return are_shards_proved(chain, state, block, height, asking);
	return ftc_trim_is_proved_whole(chain, state, block, height, asking);
}

/* Is each owner's copy proved?  Those that are not are asked to, within bounds. */
bool
ftc_trim_is_proved_whole(const FtcChain *chain, const FtcState *state, const FtcHash *block, int64 height,
						 FtcAsking *asking)
{
	uint32	   *owners;
	uint32		n;
	bool		all;

	n = ftc_place_owners(state, block, &owners);
	all = n >= ftc_safety_wanted(state) && n > 0;
	for (uint32 i = 0; i < n; i++)
		if (!ftc_trim_is_member_proved(chain, block, height, &state->members[owners[i]].id, -1, ftc_slice(NULL, 0), asking))
			all = false;
	return all;
}

bool
ftc_trim_is_proved_somewhere(const FtcChain *chain, const FtcState *state, const FtcHash *block, int64 height,
							 FtcAsking *asking)
{
	uint32		keepers[FTC_SHARDS_MAX];
	int32		stated[FTC_SHARDS_MAX];
	FtcSlice	heads[FTC_SHARDS_MAX];
	bool		seen[FTC_SHARDS_MAX] = {false};
	FtcIdentity self;
	bool		somebody = ftc_identity_load(&self);
	uint32	   *owners;
	uint32		n = ftc_place_owners(state, block, &owners);
	uint32		whole = 0;
	uint32		shards = 0;

	/* the copy that is to go is none of those that stay */
	for (uint32 i = 0; i < n; i++)
		whole += !(somebody && ftc_hash_equal(&state->members[owners[i]].id, &self.member)) &&
			ftc_trim_is_member_proved(chain, block, height, &state->members[owners[i]].id, -1, ftc_slice(NULL, 0), asking);
	if (whole > 0)
		return true;
	n = ftc_shards_owners(chain, state, block, keepers, stated, heads);
	for (uint32 i = 0; i < n; i++)
	{
		int32		number = stated[i];

		if (number < 0 || number >= FTC_SHARDS_MAX || seen[number] ||
			!ftc_trim_is_member_proved(chain, block, height, &state->members[keepers[i]].id, number, heads[i], asking))
			continue;
		seen[number] = true;
		shards++;
	}
	return n > 0 && shards > state->params.shard_data;
}

size_t
ftc_trim_drop(const FtcChain *chain, const FtcState *state, const FtcHash *block)
{
	FtcStored	stored;
	FtcSlice	body;
	FtcIdentity self;

	if (!ftc_store_load(block, &stored) || !stored.on_main ||
		(int64) stored.header.height >= ftc_store_main_height(chain->id) - state->params.settle_blocks ||
		ftc_run(&is_shared, ftc_hash_datum(block)) > 0 ||
		!ftc_store_load_body(chain->id, block, stored.block.manifest, &body) ||
		ftc_body_check(body, &stored.header.body, stored.header.leaves, NULL) != FTC_OK)
		return 0;
	ftc_proofs_keep(chain, state, block, body);
	ftc_store_drop_body(block);
	if (ftc_identity_load(&self) && ftc_run(&own_statement, ftc_hash_datum(block), ftc_hash_datum(&self.member)) > 0)
	{
		ftc_words_withdraw(chain, block, &self.member);
		ftc_words_say(chain, block);
	}
	return body.len;
}

static bool
has_done_much(const Trim *t)
{
	return t->trimmed >= TRIMMED_AT_ONCE || t->bytes >= BYTES_AT_ONCE;
}

static bool
look_at(void *arg, const FtcHash *block, int64 height)
{
	Trim	   *t = arg;
	size_t		bytes;

	if (!ftc_relief_is_holder(t->chain, t->state, block, &t->self.member) &&
		ftc_trim_is_proved(t->chain, t->state, block, height, &t->asking) &&
		(bytes = ftc_trim_drop(t->chain, t->state, block)) > 0)
	{
		t->trimmed++;
		t->bytes += bytes;
	}
	return !has_done_much(t);
}

bool
ftc_trim(const FtcChain *chain)
{
	FtcWindow  *window = ftc_window(&windows, "ftchain trimmed", chain->id);
	Trim		t = {.chain = chain};
	FtcWindowDone done;
	int64		end;

	if (ftc_window_rests(window))
		return true;
	ftc_chain_lock(chain->id);
	t.state = ftc_branch_current_state(chain->id);
	/* who is none has joined to listen, and keeps what it has */
	if (!ftc_identity_load(&t.self) || ftc_state_find(t.state, &t.self.member) == NULL)
		return false;
	/* what may still give way is carried by whoever has it */
	end = ftc_store_main_height(chain->id) - t.state->params.settle_blocks;
	ftc_window_each(ftc_run(&held_bodies, Int32GetDatum(chain->id), Int64GetDatum(window->height),
							Int64GetDatum(Min(window->height + FTC_WINDOW_HEIGHTS, end)),
							Float8GetDatum(ftc_guc_trim_after)), look_at, &t);
	if (t.asking.drawn > 0)
		ftc_wake_at_commit(FTC_WAKE_COURIER);
	done.much = has_done_much(&t);
	done.any = t.trimmed > 0;
	done.waits = t.asking.waits;
	return ftc_window_next(window, end, done);
}

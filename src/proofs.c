/*-------------------------------------------------------------------------
 *
 * proofs.c
 *	  Do members store what they have signed for?  They are challenged.
 *
 * A challenge: drawn (copy.nonce) -> asked (copy.asked) -> answered: proved, or
 * asked again, or lost.  Which copies are challenged is half a round through all
 * of them, so that each has its turn, and half by lot, so that nobody knows when.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "branch.h"
#include "datum.h"
#include "guc.h"
#include "hint.h"
#include "identity.h"
#include "inbox.h"
#include "keys.h"
#include "memory.h"
#include "outbox.h"
#include "place.h"
#include "proofs.h"
#include "protocol.h"
#include "reading.h"
#include "receive.h"
#include "scrub.h"
#include "sharding.h"
#include "step.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"
#include "words.h"

PG_FUNCTION_INFO_V1(ftchain_prove);
PG_FUNCTION_INFO_V1(ftchain_peer_prove);

#define HEIGHTS_AT_ONCE 1000	/* looked at for a copy to challenge */
#define KEPT_LEAST 4			/* challenges of each copy of a body that goes */
#define KEPT_MOST 16
#define KEPT_PER_BYTES 1024		/* one more: they are not to take much more
								 * room than the body did */
#define ASK_LEAST_MS 100		/* between two tries, also where none are
								 * drawn at intervals */

static FtcStmt peers_all = {
	.sql = "SELECT DISTINCT member FROM ftchain.peer",
};

static FtcStmt waiting_count = {
	.sql = "SELECT count(*) FROM ftchain.copy WHERE chain = $1 AND member = $2 AND nonce IS NOT NULL",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

/* Only for a body that is here, or that was, there are answers to compare with. */
#define CAN_JUDGE(SHARD, HEAD) \
	" AND (EXISTS (SELECT FROM ftchain.challenge g WHERE g.block = m.block AND g.member = $2" \
	" AND g.shard = " SHARD " AND g.head = " HEAD ")" \
	" OR NOT EXISTS (SELECT FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle" \
	" WHERE b.block = m.block AND u.ids IS NULL))"

static FtcStmt copy_at = {
	.sql = "SELECT m.height, m.block, coalesce(s.number, -1), coalesce(s.head, '') FROM ftchain.main_chain m"
	" LEFT JOIN ftchain.replica r ON r.block = m.block AND r.member = $2"
	" LEFT JOIN LATERAL (SELECT block, number, head FROM ftchain.shard_copy WHERE block = m.block AND member = $2"
	" ORDER BY stated DESC, head LIMIT 1) s ON true"
	" WHERE (r.block IS NOT NULL OR s.block IS NOT NULL) AND m.chain = $1 AND m.height >= $3 AND m.height < $4"
	" AND NOT EXISTS (SELECT FROM ftchain.copy c WHERE c.block = m.block AND c.member = $2 AND c.nonce IS NOT NULL)"
	CAN_JUDGE("coalesce(s.number, -1)", "coalesce(s.head, '')") " ORDER BY m.height LIMIT 1",
	.nargs = 4,
	.argtypes = {INT4OID, BYTEAOID, INT8OID, INT8OID},
};

/* A lost one that was not asked for in a while. */
static FtcStmt copy_lost = {
	.sql = "SELECT m.height, m.block, c.shard, c.head FROM ftchain.copy c JOIN ftchain.main_chain m ON m.block = c.block"
	" WHERE c.chain = $1 AND c.member = $2 AND c.lost IS NOT NULL AND c.nonce IS NULL"
	" AND (c.asked IS NULL OR c.asked < now() - $3 * interval '1 ms')" CAN_JUDGE("c.shard", "c.head")
	" ORDER BY c.asked NULLS FIRST LIMIT 1",
	.nargs = 3,
	.argtypes = {INT4OID, BYTEAOID, FLOAT8OID},
};

static FtcStmt challenge_take = {
	.sql = "DELETE FROM ftchain.challenge WHERE (block, nonce) ="
	" (SELECT block, nonce FROM ftchain.challenge WHERE block = $1 AND shard = $2 AND member = $3 AND head = $4 LIMIT 1)"
	" RETURNING nonce, answer",
	.nargs = 4,
	.argtypes = {BYTEAOID, INT4OID, BYTEAOID, BYTEAOID},
};

static FtcStmt challenges_left = {
	.sql = "SELECT FROM ftchain.challenge WHERE block = $1 AND shard = $2 AND member = $3 AND head = $4 LIMIT 1",
	.nargs = 4,
	.argtypes = {BYTEAOID, INT4OID, BYTEAOID, BYTEAOID},
};

/* Those of before. */
static FtcStmt challenges_drop = {
	.sql = "DELETE FROM ftchain.challenge WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt challenge_put = {
	.sql = "INSERT INTO ftchain.challenge (block, shard, nonce, answer, member, head) VALUES ($1, $2, $3, $4, $5, $6)",
	.nargs = 6,
	.argtypes = {BYTEAOID, INT4OID, BYTEAOID, BYTEAOID, BYTEAOID, BYTEAOID},
};

static FtcStmt copy_draw = {
	.sql = "INSERT INTO ftchain.copy (block, member, chain, height, nonce, answer, shard, head) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
	" ON CONFLICT (block, member, shard, head) DO UPDATE SET nonce = excluded.nonce, answer = excluded.answer, wrong = 0,"
	" asked = NULL WHERE ftchain.copy.nonce IS NULL",
	.nargs = 8,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID, INT8OID, BYTEAOID, BYTEAOID, INT4OID, BYTEAOID},
};

static FtcStmt copy_drawn = {
	.sql = "SELECT FROM ftchain.copy WHERE block = $1 AND member = $2 AND shard = $3 AND head = $4"
	" AND nonce IS NOT NULL",
	.nargs = 4,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID, BYTEAOID},
};

static FtcStmt copy_next = {
	.sql = "UPDATE ftchain.copy SET asked = now() WHERE (block, member, shard, head) ="
	" (SELECT block, member, shard, head FROM ftchain.copy WHERE chain = $1 AND member = $2 AND nonce IS NOT NULL"
	" AND (asked IS NULL OR asked <= now() - $3 * interval '1 ms' OR asked > now()) ORDER BY asked NULLS FIRST LIMIT 1)"
	" RETURNING block, nonce, shard, head",
	.nargs = 3,
	.argtypes = {INT4OID, BYTEAOID, FLOAT8OID},
};

static FtcStmt copy_asked = {
	.sql = "SELECT answer, wrong, lost IS NOT NULL, height,"
	" CASE WHEN c.shard < 0 THEN EXISTS (SELECT FROM ftchain.replica r WHERE r.block = c.block AND r.member = c.member)"
	" ELSE EXISTS (SELECT FROM ftchain.shard_copy s WHERE s.block = c.block AND s.member = c.member AND s.number = c.shard"
	" AND s.head = c.head) END"
	" FROM ftchain.copy c WHERE c.block = $1 AND c.member = $2 AND c.shard = $3 AND c.head = $4 AND c.nonce = $5 FOR UPDATE",
	.nargs = 5,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID, BYTEAOID, BYTEAOID},
};

static FtcStmt copy_wrong = {
	.sql = "UPDATE ftchain.copy SET wrong = $5 WHERE block = $1 AND member = $2 AND shard = $3 AND head = $4",
	.nargs = 5,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID, BYTEAOID, INT4OID},
};

static FtcStmt copy_proved = {
	.sql = "UPDATE ftchain.copy SET nonce = NULL, answer = NULL, wrong = 0, proved = now(), lost = NULL, reason = NULL"
	" WHERE block = $1 AND member = $2 AND shard = $3 AND head = $4",
	.nargs = 4,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID, BYTEAOID},
};

static FtcStmt copy_not_proved = {
	.sql = "UPDATE ftchain.copy SET nonce = NULL, answer = NULL, wrong = 0, lost = coalesce(lost, now()), reason = $5"
	" WHERE block = $1 AND member = $2 AND shard = $3 AND head = $4",
	.nargs = 5,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID, BYTEAOID, TEXTOID},
};

static FtcStmt copy_drop = {
	.sql = "DELETE FROM ftchain.copy WHERE block = $1 AND member = $2 AND shard = $3 AND head = $4",
	.nargs = 4,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID, BYTEAOID},
};

/* Only of a copy that there was, and that has not been proved here lately. */
static FtcStmt loss_put = {
	.sql = "INSERT INTO ftchain.loss (block, member, sayer, chain) SELECT $1, $2, $3, $4"
	" WHERE (EXISTS (SELECT FROM ftchain.replica WHERE block = $1 AND member = $2)"
	" OR EXISTS (SELECT FROM ftchain.shard_copy WHERE block = $1 AND member = $2))"
	" AND NOT EXISTS (SELECT FROM ftchain.copy WHERE block = $1 AND member = $2 AND lost IS NULL"
	" AND proved BETWEEN now() - interval '1 h' AND clock_timestamp())"
	" ON CONFLICT (block, member, sayer) DO UPDATE SET said = now() WHERE ftchain.loss.said < now() - interval '1 h'",
	.nargs = 4,
	.argtypes = {BYTEAOID, BYTEAOID, BYTEAOID, INT4OID},
};

static FtcStmt loss_drop = {
	.sql = "DELETE FROM ftchain.loss WHERE block = $1 AND member = $2 AND sayer = $3",
	.nargs = 3,
	.argtypes = {BYTEAOID, BYTEAOID, BYTEAOID},
};

/* One of our copies that somebody misses, and that was not looked at for an hour. */
static FtcStmt loss_of_own = {
	.sql = "SELECT l.block FROM ftchain.loss l WHERE l.chain = $1 AND l.member = $2 AND NOT EXISTS"
	" (SELECT FROM ftchain.loss_looked k WHERE k.block = l.block AND k.looked > now() - interval '1 h') LIMIT 1",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt loss_looked = {
	.sql = "INSERT INTO ftchain.loss_looked (block) VALUES ($1) ON CONFLICT (block) DO UPDATE SET looked = now()",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt looked_prune = {
	.sql = "DELETE FROM ftchain.loss_looked WHERE looked < now() - interval '1 h'",
};

static FtcStmt loss_prune = {
	.sql = "DELETE FROM ftchain.loss WHERE said < now() - interval '1 day'",
};

/* ----------------------------------------------------------------
 *		Drawing
 * ----------------------------------------------------------------
 */

/* Where the round through the copies of a member is; a hint. */
typedef struct Round
{
	struct
	{
		int32		chain;
		FtcHash		member;
	}			key;
	int64		height;
	uint32		turn;
} Round;

static HTAB *rounds = NULL;

static Round *
round_of(int32 chain, const FtcHash *member)
{
	Round		r = {.key = {.chain = chain,.member = *member}};

	return ftc_hint(&rounds, "ftchain challenged", sizeof(r.key), sizeof(r), &r.key);
}

static void
random_nonce(uint8 nonce[FTC_NONCE_LEN])
{
	if (!pg_strong_random(nonce, FTC_NONCE_LEN))
		ereport(ERROR,
				errcode(ERRCODE_INTERNAL_ERROR),
				errmsg("could not generate random values"));
}

/* A nonce and its answer, from the body, which must be sound, or from what is kept. */
static bool
make_challenge(const FtcChain *chain, const FtcHash *block, const FtcHash *member, int32 shard, FtcSlice head,
			   uint8 nonce[FTC_NONCE_LEN], FtcHash *answer)
{
	FtcStored	stored;
	FtcSlice	body;
	FtcSlice	kept;

	if (shard >= 0 && ftc_store_has_body(block))
	{
		FtcSharded *made = palloc(sizeof(FtcSharded));

		if (!ftc_shards_make(chain, ftc_branch_current_state(chain->id), block, made) ||
			(uint32) shard >= made->cut.data + made->cut.parity)
			return false;
		/* of one that is cut otherwise nothing can be told */
		if (head.len != FTC_SHARDS_HEAD_LEN || memcmp(head.data, made->head, FTC_SHARDS_HEAD_LEN) != 0)
			return false;
		random_nonce(nonce);
		*answer = ftc_proof_of(nonce, member, made->shards[shard]);
		return true;
	}
	if (ftc_store_has_body(block))
	{
		if (!ftc_store_load(block, &stored) ||
			!ftc_store_load_body(chain->id, block, stored.block.manifest, &body) ||
			ftc_body_check(body, &stored.header.body, stored.header.leaves, NULL) != FTC_OK)
			return false;
		random_nonce(nonce);
		*answer = ftc_proof_of(nonce, member, body);
		return true;
	}
	if (ftc_run(&challenge_take, ftc_hash_datum(block), Int32GetDatum(shard), ftc_hash_datum(member),
				ftc_slice_datum(head)) == 0)
		return false;
	kept = ftc_slice_value(0, 0);
	*answer = ftc_hash_value(0, 1);
	if (kept.len != FTC_NONCE_LEN)
		return false;
	memcpy(nonce, kept.data, FTC_NONCE_LEN);
	return true;
}

bool
ftc_proofs_draw_for(const FtcChain *chain, const FtcHash *block, int64 height, const FtcHash *member, int32 shard,
					FtcSlice head)
{
	uint8		nonce[FTC_NONCE_LEN];
	FtcHash		answer;

	/* it is dear, and one that is kept goes with it */
	return !ftc_proofs_is_drawn(block, member, shard, head) &&
		make_challenge(chain, block, member, shard, head, nonce, &answer) &&
		ftc_run(&copy_draw, ftc_hash_datum(block), ftc_hash_datum(member), Int32GetDatum(chain->id),
				Int64GetDatum(height), ftc_slice_datum(ftc_slice(nonce, FTC_NONCE_LEN)),
				ftc_hash_datum(&answer), Int32GetDatum(shard), ftc_slice_datum(head)) > 0;
}

bool
ftc_proofs_is_drawn(const FtcHash *block, const FtcHash *member, int32 shard, FtcSlice head)
{
	return ftc_run(&copy_drawn, ftc_hash_datum(block), ftc_hash_datum(member), Int32GetDatum(shard),
				   ftc_slice_datum(head)) > 0;
}

static bool
find_from(const FtcChain *chain, const FtcHash *member, int64 from, int64 to)
{
	return ftc_run(&copy_at, Int32GetDatum(chain->id), ftc_hash_datum(member), Int64GetDatum(from),
				   Int64GetDatum(to)) > 0;
}

/* The next copy of a member to challenge, as the result at hand. */
static bool
find_copy(const FtcChain *chain, const FtcHash *member, int64 head)
{
	Round	   *r = round_of(chain->id, member);
	int64		from;

	r->turn++;
	if (r->turn % 4 == 0 &&
		ftc_run(&copy_lost, Int32GetDatum(chain->id), ftc_hash_datum(member),
				Float8GetDatum(10.0 * ftc_guc_proof_interval)) > 0)
		return true;
	if (r->turn % 2 == 0)
	{
		from = (int64) (pg_prng_double(&pg_global_prng_state) * (double) (head + 1));
		return find_from(chain, member, from, from + HEIGHTS_AT_ONCE) ||
			find_from(chain, member, Max(from - HEIGHTS_AT_ONCE, 0), from);
	}
	from = r->height > head ? 0 : r->height;
	r->height = from + HEIGHTS_AT_ONCE;
	if (!find_from(chain, member, from, r->height))
		return false;
	r->height = DatumGetInt64(ftc_value(0, 0)) + 1;
	return true;
}

static int
draw_for_member(const FtcChain *chain, const FtcHash *member, int most)
{
	int64		head = ftc_store_main_height(chain->id);
	int			tries = 2 * most;
	int			waiting;
	int			drawn = 0;

	ftc_run(&waiting_count, Int32GetDatum(chain->id), ftc_hash_datum(member));
	waiting = (int) DatumGetInt64(ftc_value(0, 0));
	for (; waiting + drawn < most && tries > 0; tries--)
	{
		MemoryContext outer = ftc_nest();

		if (find_copy(chain, member, head))
		{
			int64		height = DatumGetInt64(ftc_value(0, 0));
			FtcHash		block = ftc_hash_value(0, 1);
			int32		shard = DatumGetInt32(ftc_value(0, 2));
			FtcSlice	cut = ftc_slice_value(0, 3);

			drawn += ftc_proofs_draw_for(chain, &block, height, member, shard, cut);
		}
		ftc_unnest(outer);
	}
	return drawn;
}

int
ftc_proofs_draw(const FtcChain *chain, int most)
{
	FtcState   *state = ftc_branch_current_state(chain->id);
	FtcIdentity self;
	uint64		n = ftc_run(&peers_all, 0);
	FtcHash    *members = palloc(Max(n, 1) * sizeof(FtcHash));
	int			drawn = 0;

	for (uint64 i = 0; i < n; i++)
		members[i] = ftc_hash_value(i, 0);
	if (!ftc_identity_load(&self))
		return 0;
	for (uint64 i = 0; i < n; i++)
		if (!ftc_hash_equal(&members[i], &self.member) && ftc_state_find(state, &members[i]) != NULL)
			drawn += draw_for_member(chain, &members[i], most);
	if (drawn > 0)
		ftc_wake_at_commit(FTC_WAKE_COURIER);
	return drawn;
}

/* For one member that keeps it. */
static void
keep_challenges(const FtcHash *block, const FtcHash *member, int32 shard, FtcSlice head, FtcSlice content, int n)
{
	for (int i = 0; i < n; i++)
	{
		uint8		nonce[FTC_NONCE_LEN];
		FtcHash		answer;

		random_nonce(nonce);
		answer = ftc_proof_of(nonce, member, content);
		ftc_run(&challenge_put, ftc_hash_datum(block), Int32GetDatum(shard),
				ftc_slice_datum(ftc_slice(nonce, FTC_NONCE_LEN)), ftc_hash_datum(&answer), ftc_hash_datum(member),
				ftc_slice_datum(head));
	}
}

static int
how_many(size_t len)
{
	return (int) Min(KEPT_MOST, KEPT_LEAST + len / KEPT_PER_BYTES);
}

void
ftc_proofs_keep(const FtcChain *chain, const FtcState *state, const FtcHash *block, FtcSlice body)
{
	FtcSharded *made = palloc(sizeof(FtcSharded));
	uint32		keepers[FTC_SHARDS_MAX];
	int32		numbers[FTC_SHARDS_MAX];
	FtcSlice	heads[FTC_SHARDS_MAX];
	FtcSlice	head = ftc_slice(made->head, FTC_SHARDS_HEAD_LEN);
	FtcIdentity self;
	bool		somebody = ftc_identity_load(&self);
	uint32	   *owners;
	uint32		n = ftc_shards_owners(chain, state, block, keepers, numbers, heads);

	ftc_run(&challenges_drop, ftc_hash_datum(block));
	if (n > 0 && ftc_shards_make(chain, state, block, made))
		for (uint32 i = 0; i < n; i++)
		{
			const FtcHash *member = &state->members[keepers[i]].id;

			if (numbers[i] >= 0 && memcmp(heads[i].data, head.data, head.len) == 0 &&
				!(somebody && ftc_hash_equal(member, &self.member)))
				keep_challenges(block, member, numbers[i], head, made->shards[numbers[i]],
								how_many(made->shards[numbers[i]].len));
		}
	n = ftc_shards_count(state, block) > 0 ? 0 : ftc_place_owners(state, block, &owners);
	for (uint32 i = 0; i < n; i++)
		if (!(somebody && ftc_hash_equal(&state->members[owners[i]].id, &self.member)))
			keep_challenges(block, &state->members[owners[i]].id, -1, ftc_slice(NULL, 0), body, how_many(body.len));
}

Datum
ftchain_prove(PG_FUNCTION_ARGS)
{
	char	   *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	int			bodies = PG_ARGISNULL(1) ? 1 : PG_GETARG_INT32(1);
	FtcScope	scope;
	ListCell   *cell;

	if (bodies < 1 || bodies > 1000)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" is out of range: %d", "bodies", bodies),
				errdetail("It may be from %d to %d.", 1, 1000));
	ftc_procedure_begin(fcinfo, "ftchain.prove");
	ftc_enter(&scope);
	foreach(cell, ftc_chain_list_named(name))
		(void) ftc_proofs_draw(lfirst(cell), bodies);
	ftc_leave(&scope);
	ftc_procedure_end();
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------
 *		Asking, and what is answered
 * ----------------------------------------------------------------
 */

bool
ftc_proofs_next(const FtcChain *chain, const FtcHash *member, FtcChallenge *challenge)
{
	FtcSlice	nonce;
	FtcSlice	head;

	if (ftc_run(&copy_next, Int32GetDatum(chain->id), ftc_hash_datum(member),
				Float8GetDatum(Max(ftc_guc_proof_interval, ASK_LEAST_MS))) == 0)
		return false;
	challenge->block = ftc_hash_value(0, 0);
	nonce = ftc_slice_value(0, 1);
	challenge->shard = DatumGetInt32(ftc_value(0, 2));
	head = ftc_slice_value(0, 3);
	if (nonce.len != FTC_NONCE_LEN || head.len > FTC_SHARDS_HEAD_LEN)
		return false;
	challenge->head_len = head.len;
	if (head.len > 0)
		memcpy(challenge->head, head.data, head.len);
	memcpy(challenge->nonce, nonce.data, FTC_NONCE_LEN);
	return true;
}

/*
 * What an answer is worth.  One that the member has not signed is none: somebody
 * in between must not make a liar of it.
 */
static FtcProofAnswer
judge_answer(const FtcHash *member, const FtcChallenge *challenge, const FtcHash *expected, FtcSlice answer,
			 FtcSlice signature)
{
	FtcHash		said = ftc_hash_zero;
	FtcHash		digest;
	FtcSignature signed_by;
	FtcKey		key;

	if (signature.len != FTC_SIGNATURE_LEN || (answer.len != 0 && answer.len != FTC_HASH_LEN) ||
		!ftc_chain_key_of(member, &key))
		return FTC_PROOF_NONE;
	if (answer.len > 0)
		memcpy(said.b, answer.data, FTC_HASH_LEN);
	memcpy(signed_by.b, signature.data, FTC_SIGNATURE_LEN);
	digest = ftc_proof_digest(&challenge->block, member, challenge->nonce, &said);
	if (ftc_verify(&key, FTC_DOMAIN_PROOF, &ftc_hash_zero, &digest, &signed_by) != FTC_OK)
		return FTC_PROOF_NONE;
	if (answer.len == 0)
		return FTC_PROOF_ADMITTED;
	return ftc_hash_equal(&said, expected) ? FTC_PROOF_RIGHT : FTC_PROOF_WRONG;
}

static void
note_lost(const FtcChain *chain, const FtcHash *member, const FtcHash *block, int64 height, const char *reason)
{
	ftc_store_incident(chain->id, "copy lost", height, block, member, reason);
	ftc_outbox_lost(chain->id, block, member, true);
	ftc_wake_at_commit(FTC_WAKE_KEEPER);
}

static void
note_found(const FtcChain *chain, const FtcHash *member, const FtcHash *block, int64 height)
{
	ftc_store_incident(chain->id, "copy found", height, block, member, "the copy that was lost is proved again");
	ftc_outbox_lost(chain->id, block, member, false);
}

/*
 * Where the body is not here: who does not have it either has not learned what it could
 * answer, and is asked the same again; and before there is nothing more to ask, the body
 * comes here once more.
 */
static void
keep_asking(const FtcChain *chain, const FtcHash *member, const FtcChallenge *challenge, const FtcHash *expected,
			FtcProofAnswer given)
{
	Datum		block = ftc_hash_datum(&challenge->block);
	Datum		shard = Int32GetDatum(challenge->shard);
	Datum		head = ftc_slice_datum(ftc_slice(challenge->head, challenge->head_len));

	if (ftc_store_has_body(&challenge->block))
		return;
	if (given == FTC_PROOF_ADMITTED)
		ftc_run(&challenge_put, block, shard, ftc_slice_datum(ftc_slice(challenge->nonce, FTC_NONCE_LEN)),
				ftc_hash_datum(expected), ftc_hash_datum(member), head);
	else if (ftc_guc_body_cache > 0 && ftc_run(&challenges_left, block, shard, ftc_hash_datum(member), head) == 0 &&
			 !ftc_reading_wants(&challenge->block))
		ftc_reading_want(chain, &challenge->block);
}

void
ftc_proofs_take(const FtcChain *chain, const FtcHash *member, const FtcChallenge *challenge,
				FtcSlice answer, FtcSlice signature, FtcSlice word)
{
	Datum		block = ftc_hash_datum(&challenge->block);
	Datum		who = ftc_hash_datum(member);
	Datum		shard = Int32GetDatum(challenge->shard);
	Datum		head = ftc_slice_datum(ftc_slice(challenge->head, challenge->head_len));
	FtcProof	proof = {0};
	FtcHash		expected;
	FtcProofAnswer given;
	FtcProofVerdict verdict;
	const char *reason;
	int64		height;

	/* its number is given in the order of the chain's lock */
	ftc_chain_lock(chain->id);
	/* it may have let it go, and we have not heard of that */
	if (word.len > 0)
		(void) ftc_words_take(chain, word);
	if (ftc_run(&copy_asked, block, who, shard, head,
				ftc_slice_datum(ftc_slice(challenge->nonce, FTC_NONCE_LEN))) == 0)
		return;
	expected = ftc_hash_value(0, 0);
	proof.wrong = (uint32) DatumGetInt32(ftc_value(0, 1));
	proof.lost = DatumGetBool(ftc_value(0, 2));
	height = DatumGetInt64(ftc_value(0, 3));
	if (!DatumGetBool(ftc_value(0, 4)))
	{
		/* it has taken its word back meanwhile */
		ftc_run(&copy_drop, block, who, shard, head);
		return;
	}
	given = judge_answer(member, challenge, &expected, answer, signature);
	verdict = ftc_proof_judge(&proof, given);
	reason = given == FTC_PROOF_ADMITTED ? "it says that it does not have the body"
		: "it answered a challenge wrongly, three times";
	if (given == FTC_PROOF_NONE)
		return;
	if (verdict == FTC_PROOF_AGAIN)
		ftc_run(&copy_wrong, block, who, shard, head, Int32GetDatum((int32) proof.wrong));
	else if (proof.lost)
		ftc_run(&copy_not_proved, block, who, shard, head, CStringGetTextDatum(reason));
	else
		ftc_run(&copy_proved, block, who, shard, head);
	if (verdict != FTC_PROOF_AGAIN)
		keep_asking(chain, member, challenge, &expected, given);
	if (verdict == FTC_PROOF_LOST)
		note_lost(chain, member, &challenge->block, height, reason);
	else if (verdict == FTC_PROOF_FOUND)
		note_found(chain, member, &challenge->block, height);
	else if (proof.lost)
		/* others forget what is not repeated */
		ftc_outbox_lost(chain->id, &challenge->block, member, true);
}

/* ----------------------------------------------------------------
 *		What others say
 * ----------------------------------------------------------------
 */

bool
ftc_proofs_look_at_own(const FtcChain *chain)
{
	FtcIdentity self;
	FtcStored	stored;
	FtcHash		block;

	if (!ftc_identity_load(&self) ||
		ftc_run(&loss_of_own, Int32GetDatum(chain->id), ftc_hash_datum(&self.member)) == 0)
		return false;
	block = ftc_hash_value(0, 0);
	ftc_chain_lock(chain->id);
	ftc_run(&loss_looked, ftc_hash_datum(&block));
	ftc_shards_look_at_own(chain, &block);
	if (ftc_store_load(&block, &stored) && stored.chain == chain->id && stored.on_main)
		(void) ftc_scrub(chain, (int64) stored.header.height, (int64) stored.header.height, false);
	return true;
}

FtcReason
ftc_proofs_said(const FtcChain *chain, const FtcHash *sayer, FtcSlice reference)
{
	FtcReader	reader = ftc_reader(reference);
	FtcHash		block = ftc_get_hash(&reader);
	FtcHash		member = ftc_get_hash(&reader);
	uint8		lost = ftc_get_u8(&reader);
	FtcStored	stored;

	if (!ftc_reader_is_done(&reader))
		return FTC_BAD_LENGTH;
	if (lost > 1)
		return FTC_NOT_CANONICAL;
	/* who makes up blocks and members makes no rows here */
	if (!ftc_store_load(&block, &stored) || stored.chain != chain->id ||
		ftc_state_find(ftc_branch_current_state(chain->id), &member) == NULL)
		return FTC_OK;
	if (lost == 0)
	{
		ftc_run(&loss_drop, ftc_hash_datum(&block), ftc_hash_datum(&member), ftc_hash_datum(sayer));
		return FTC_OK;
	}
	ftc_run(&loss_put, ftc_hash_datum(&block), ftc_hash_datum(&member), ftc_hash_datum(sayer),
			Int32GetDatum(chain->id));
	ftc_wake_at_commit(FTC_WAKE_KEEPER);
	return FTC_OK;
}

void
ftc_proofs_prune(void)
{
	ftc_run(&loss_prune, 0);
	ftc_run(&looked_prune, 0);
}

/* ----------------------------------------------------------------
 *		Answering
 * ----------------------------------------------------------------
 */

/* The answer; zero if the body is not here. */
static FtcHash
answer_for(const FtcChain *chain, const FtcHash *member, const FtcHash *block, int32 shard, FtcSlice head, const uint8 *nonce)
{
	FtcStored	stored;
	FtcSlice	body;

	if (shard >= 0)
		return ftc_shards_load(chain, block, shard, head, &body) ? ftc_proof_of(nonce, member, body) : ftc_hash_zero;
	if (!ftc_store_load(block, &stored) || stored.chain != chain->id || !ftc_store_has_body(block) ||
		!ftc_store_load_body(chain->id, block, stored.block.manifest, &body))
		return ftc_hash_zero;
	return ftc_proof_of(nonce, member, body);
}

Datum
ftchain_peer_prove(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	FtcIdentity self;
	FtcHash		genesis;
	FtcHash		block;
	FtcHash		answer;
	FtcHash		digest;
	FtcSignature signature;
	FtcSlice	nonce;
	FtcSlice	head;
	FtcSlice	word;
	Datum		values[3];
	bool		nulls[3] = {false};

	ftc_serve_need_not_null(fcinfo);
	genesis = ftc_arg_hash(PG_GETARG_DATUM(0), "genesis");
	block = ftc_arg_hash(PG_GETARG_DATUM(1), "id");
	nonce = ftc_datum_slice(PG_GETARG_DATUM(2));
	head = ftc_datum_slice(PG_GETARG_DATUM(4));
	if (nonce.len != FTC_NONCE_LEN)
		ftc_refuse(FTC_BAD_LENGTH, "nonce");
	ftc_memory_keep();
	ftc_enter(&scope);
	ftc_serve_need_chain(&chain, &genesis);
	ftc_identity_need(&self);
	answer = answer_for(&chain, &self.member, &block, PG_GETARG_INT32(3), head, nonce.data);
	digest = ftc_proof_digest(&block, &self.member, nonce.data, &answer);
	ftc_keys_sign(FTC_DOMAIN_PROOF, &ftc_hash_zero, &digest, &signature);
	word = ftc_words_get(&block, &self.member);
	nulls[2] = word.len == 0;
	values[2] = ftc_serve_bytes(&scope, word);
	ftc_leave(&scope);
	nulls[0] = ftc_hash_equal(&answer, &ftc_hash_zero);
	values[0] = ftc_hash_datum(&answer);
	values[1] = ftc_signature_datum(&signature);
	PG_RETURN_DATUM(ftc_serve_row(fcinfo, values, nulls));
}

/*-------------------------------------------------------------------------
 *
 * sharding.c
 *	  Old bodies in shards.
 *
 * A shard here: WANTED (wanted_shard), or made from the body -> KEPT (shard, and its
 * row of shard_copy; the others are told) -> gone, with the way of cutting.  One that
 * is fetched only to restore a body is a part, and goes with it.
 *
 * A cut is a head (core/shards.h); its first four bytes are how a body is cut.  Shards
 * of more than one are kept at a time where the chain has changed that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "branch.h"
#include "core/copy.h"
#include "core/merkle.h"
#include "datum.h"
#include "guc.h"
#include "identity.h"
#include "inbox.h"
#include "memory.h"
#include "place.h"
#include "reading.h"
#include "receive.h"
#include "relief.h"
#include "sharding.h"
#include "stmt.h"
#include "store.h"
#include "trim.h"
#include "wake.h"
#include "window.h"
#include "words.h"

PG_FUNCTION_INFO_V1(ftchain_peer_shard);

#define MADE_AT_ONCE 20
#define WANTED_AT_ONCE 20
#define RESTORED_AT_ONCE 10
#define UNDER_WAY_MOST 100		/* shards that a chain waits for */
#define BYTES_AT_ONCE (8 * 1024 * 1024) /* of bodies that are cut */
#define NO_BODY "its shards make no body of the block"

static FtcStmt shard_get = {
	.sql = "SELECT head, content, path FROM ftchain.shard WHERE block = $1 AND number = $2"
	" AND substr(head, 1, length($3)) = $3 ORDER BY kept DESC LIMIT 1",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, BYTEAOID},
};

static FtcStmt shard_mine = {
	.sql = "SELECT content FROM ftchain.shard WHERE block = $1 AND number = $2 AND chain = $3 AND kept AND head = $4",
	.nargs = 4,
	.argtypes = {BYTEAOID, INT4OID, INT4OID, BYTEAOID},
};

static FtcStmt shard_kept = {
	.sql = "SELECT number, head FROM ftchain.shard WHERE block = $1 AND kept",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* Is one kept that is cut otherwise? */
static FtcStmt old_kept = {
	.sql = "SELECT FROM ftchain.shard WHERE block = $1 AND kept AND substr(head, 1, 4) <> $2 LIMIT 1",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt any_kept = {
	.sql = "SELECT FROM ftchain.shard WHERE chain = $1 AND kept LIMIT 1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt shard_put = {
	.sql = "INSERT INTO ftchain.shard (block, number, chain, height, kept, head, content, path)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (block, head, number) DO UPDATE SET kept = ftchain.shard.kept OR excluded.kept,"
	" content = excluded.content, path = excluded.path, checked = now()",
	.nargs = 8,
	.argtypes = {BYTEAOID, INT4OID, INT4OID, INT8OID, BOOLOID, BYTEAOID, BYTEAOID, BYTEAOID},
};

static FtcStmt parts_drop = {
	.sql = "DELETE FROM ftchain.shard WHERE block = $1 AND NOT kept",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* Those of a way of cutting, or all but those. */
static FtcStmt shard_drop_cut = {
	.sql = "DELETE FROM ftchain.shard WHERE block = $1 AND kept AND (substr(head, 1, 4) = $2) = $3",
	.nargs = 3,
	.argtypes = {BYTEAOID, BYTEAOID, BOOLOID},
};

/* When another one of that way of cutting has taken its place. */
static FtcStmt shard_drop_others = {
	.sql = "DELETE FROM ftchain.shard WHERE block = $1 AND kept AND substr(head, 1, 4) = substr($3, 1, 4)"
	" AND (number, head) <> ($2, $3)",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, BYTEAOID},
};

/* Of one way of cutting, that made no body. */
static FtcStmt shard_drop_head = {
	.sql = "DELETE FROM ftchain.shard WHERE block = $1 AND head = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt shard_drop_one = {
	.sql = "DELETE FROM ftchain.shard WHERE block = $1 AND number = $2 AND head = $3",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, BYTEAOID},
};

/* Who said so has lost it, as far as anybody can tell, until it says something else. */
static FtcStmt copies_wrong = {
	.sql = "INSERT INTO ftchain.copy (block, member, chain, height, shard, head, lost, reason)"
	" SELECT s.block, s.member, $3, $4, s.number, s.head, now(), '" NO_BODY "' FROM ftchain.shard_copy s"
	" WHERE s.block = $1 AND s.head = $2 ON CONFLICT (block, member, shard, head) DO UPDATE"
	" SET nonce = NULL, answer = NULL, lost = excluded.lost, reason = excluded.reason",
	.nargs = 4,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID, INT8OID},
};

static FtcStmt check_due = {
	.sql = "UPDATE ftchain.shard SET checked = now() WHERE block = $1 AND kept AND checked < now() - $2 * interval '1 s'",
	.nargs = 2,
	.argtypes = {BYTEAOID, FLOAT8OID},
};

/* Those first of which most members keep one. */
static FtcStmt shards_of = {
	.sql = "SELECT s.number, s.head, s.content, s.path, s.kept FROM ftchain.shard s WHERE s.block = $1"
	" ORDER BY (SELECT count(*) FROM ftchain.shard_copy c WHERE c.block = s.block AND c.head = s.head) DESC, s.head, s.number",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

#define SHARD_COPIES \
	"SELECT s.member, s.number, s.head FROM ftchain.shard_copy s WHERE s.block = $1 AND NOT EXISTS" \
	" (SELECT FROM ftchain.copy c WHERE c.block = s.block AND c.member = s.member AND c.shard = s.number AND c.head = s.head" \
	" AND c.lost IS NOT NULL)"

static FtcStmt shard_copies = {
	.sql = SHARD_COPIES,
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* Of members that have not the body whole. */
static FtcStmt shard_copies_beside = {
	.sql = SHARD_COPIES " AND NOT EXISTS (SELECT FROM ftchain.replica r WHERE r.block = s.block AND r.member = s.member)"
	" ORDER BY s.head, s.number",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* Those that fit together: of a cut of which there are enough, and of which most members keep one. */
static FtcStmt parts_there = {
	.sql = "SELECT DISTINCT s.number, s.head FROM ftchain.shard_copy s WHERE s.block = $1 AND s.head ="
	" (SELECT h.head FROM ftchain.shard_copy h WHERE h.block = $1 AND NOT EXISTS (SELECT FROM ftchain.copy c WHERE"
	" c.block = h.block AND c.head = h.head AND c.lost > now() - interval '1 day' AND c.reason = '" NO_BODY "') GROUP BY h.head"
	" ORDER BY count(DISTINCT h.number) >= get_byte(h.head, 2) DESC, count(*) DESC, h.head LIMIT 1)"
	" ORDER BY s.number",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt wanted_put = {
	.sql = "INSERT INTO ftchain.wanted_shard (block, number, chain, height, kept, cut) VALUES ($1, $2, $3, $4, $5, $6)"
	" ON CONFLICT (block, number, cut) DO UPDATE SET kept = ftchain.wanted_shard.kept OR excluded.kept"
	" WHERE ftchain.wanted_shard.kept <> (ftchain.wanted_shard.kept OR excluded.kept)",
	.nargs = 6,
	.argtypes = {BYTEAOID, INT4OID, INT4OID, INT8OID, BOOLOID, BYTEAOID},
};

static FtcStmt wanted_drop = {
	.sql = "DELETE FROM ftchain.wanted_shard WHERE block = $1 AND number = $2 AND cut = substr($3, 1, length(cut))",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, BYTEAOID},
};

static FtcStmt wanted_drop_all = {
	.sql = "DELETE FROM ftchain.wanted_shard WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/* To be kept, in another place of the ring than now, or cut otherwise. */
static FtcStmt wanted_drop_others = {
	.sql = "DELETE FROM ftchain.wanted_shard WHERE block = $1 AND kept AND (number, cut) <> ($2, $3)",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, BYTEAOID},
};

/* Those that were put lately: others may never come. */
static FtcStmt wanted_count = {
	.sql = "SELECT count(*) FROM (SELECT FROM ftchain.wanted_shard WHERE chain = $1 AND kept"
	" AND since > now() - interval '10 min' LIMIT " CppAsString2(UNDER_WAY_MOST) ") w",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* To be kept, and the body that they are made from has come. */
static FtcStmt wanted_with_body = {
	.sql = "SELECT DISTINCT w.height, w.block FROM ftchain.wanted_shard w JOIN ftchain.main_chain m ON m.block = w.block"
	" WHERE w.chain = $1 AND w.kept AND NOT EXISTS (SELECT FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE b.block = w.block AND u.ids IS NULL) LIMIT " CppAsString2(MADE_AT_ONCE),
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt wanted_drop_kept = {
	.sql = "DELETE FROM ftchain.wanted_shard WHERE chain = $1 AND kept",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* Of bodies that are not wanted any more: they have come by another way, or did not become enough in time. */
static FtcStmt parts_useless = {
	.sql = "SELECT FROM ftchain.shard s WHERE s.chain = $1 AND NOT s.kept"
	" AND NOT EXISTS (SELECT FROM ftchain.wanted w WHERE w.block = s.block) LIMIT 1",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt parts_drop_useless = {
	.sql = "DELETE FROM ftchain.shard s WHERE s.chain = $1 AND NOT s.kept"
	" AND NOT EXISTS (SELECT FROM ftchain.wanted w WHERE w.block = s.block)",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt wanted_drop_useless = {
	.sql = "DELETE FROM ftchain.wanted_shard s WHERE s.chain = $1 AND NOT s.kept"
	" AND NOT EXISTS (SELECT FROM ftchain.wanted w WHERE w.block = s.block)",
	.nargs = 1,
	.argtypes = {INT4OID},
};

static FtcStmt wanted_get = {
	.sql = "SELECT kept, height FROM ftchain.wanted_shard WHERE block = $1 AND number = $2"
	" AND cut = substr($3, 1, length(cut)) ORDER BY kept DESC LIMIT 1",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, BYTEAOID},
};

/* For long, and nobody who is there says to have it; or for very long. */
static FtcStmt wanted_long = {
	.sql = "SELECT FROM ftchain.wanted_shard WHERE block = $1 AND number = $2 AND cut = $3 AND (since < now() - interval '60 s'"
	" OR since < now() - interval '10 s' AND NOT EXISTS (SELECT FROM ftchain.shard_copy s JOIN ftchain.peer_health h"
	" ON h.member = s.member WHERE s.block = $1 AND s.number = $2 AND substr(s.head, 1, 4) = $3"
	" AND h.state NOT IN ('down', 'out')))",
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, BYTEAOID},
};

/* One that this member keeps, or can make. */
static FtcStmt wanted_next = {
	.sql = "UPDATE ftchain.wanted_shard SET tried = now() WHERE (block, number, cut) ="
	" (SELECT w.block, w.number, w.cut FROM ftchain.wanted_shard w WHERE w.chain = $1"
	" AND (w.tried IS NULL OR w.tried < now() - interval '2 s')"
	" AND (EXISTS (SELECT FROM ftchain.shard_copy s WHERE s.block = w.block AND s.member = $2 AND s.number = w.number"
	" AND substr(s.head, 1, length(w.cut)) = w.cut)"
	" OR EXISTS (SELECT FROM ftchain.replica r WHERE r.block = w.block AND r.member = $2))"
	" ORDER BY w.tried NULLS FIRST, w.height LIMIT 1) RETURNING block, number, cut",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt old_blocks = {
	.sql = "SELECT m.height, m.block FROM ftchain.main_chain m JOIN ftchain.block k ON k.id = m.block"
	" WHERE m.chain = $1 AND m.height >= $2 AND m.height < $3 AND k.received <= now() - $4 * interval '1 s'"
	" AND EXISTS (SELECT FROM ftchain.block_bundle b WHERE b.block = m.block) ORDER BY m.height",
	.nargs = 4,
	.argtypes = {INT4OID, INT8OID, INT8OID, FLOAT8OID},
};

static FtcStmt whole_elsewhere = {
	.sql = "SELECT FROM ftchain.replica WHERE block = $1 AND member <> $2 LIMIT 1",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

/* Bodies that are wanted, and that nobody else says to have whole. */
static FtcStmt to_restore = {
	.sql = "SELECT w.block, w.height, w.since < now() - interval '5 s' FROM ftchain.wanted w WHERE w.chain = $1"
	" AND EXISTS (SELECT FROM ftchain.word s WHERE s.block = w.block AND get_byte(s.bytes, 2) <> 255)"
	" AND (w.since < now() - interval '5 s'"
	" OR NOT EXISTS (SELECT FROM ftchain.replica r WHERE r.block = w.block AND r.member <> $2))"
	" ORDER BY random() LIMIT " CppAsString2(RESTORED_AT_ONCE),
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

static FtcStmt traffic_add = {
	.sql = "INSERT INTO ftchain.traffic (chain, what, count, bytes) VALUES ($1, $2, 1, $3)"
	" ON CONFLICT (chain, what) DO UPDATE SET count = ftchain.traffic.count + 1, bytes = ftchain.traffic.bytes + $3",
	.nargs = 3,
	.argtypes = {INT4OID, TEXTOID, INT8OID},
};

static HTAB *windows = NULL;

/* ----------------------------------------------------------------
 *		Making them
 * ----------------------------------------------------------------
 */

static bool
has_shards(const FtcState *state)
{
	return state->params.shard_data > 0;
}

static bool
is_cut_so(const FtcState *state, FtcSlice head)
{
	FtcShardsHead decoded;

	return ftc_shards_head_decode(&decoded, head) == FTC_OK && decoded.cut.data == state->params.shard_data &&
		decoded.cut.parity == state->params.shard_parity;
}

/* How the state says to cut. */
static FtcSlice
cut_of(const FtcState *state)
{
	FtcShardsHead head = {.cut = {.data = state->params.shard_data,.parity = state->params.shard_parity}};
	uint8	   *bytes = palloc(FTC_SHARDS_HEAD_LEN);

	ftc_shards_head_encode(&head, bytes);
	return ftc_slice(bytes, 4);
}

bool
ftc_shards_make(const FtcChain *chain, const FtcState *state, const FtcHash *block, FtcSharded *made)
{
	FtcShardsHead head = {.block = *block};
	FtcStored	stored;
	FtcSlice	body;

	if (!has_shards(state) || !ftc_store_has_body(block) || !ftc_store_load(block, &stored) ||
		!ftc_store_load_body(chain->id, block, stored.block.manifest, &body) ||
		ftc_body_check(body, &stored.header.body, stored.header.leaves, NULL) != FTC_OK)
		return false;
	made->cut.data = state->params.shard_data;
	made->cut.parity = state->params.shard_parity;
	made->cut.len = body.len;
	if (ftc_cut_check(&made->cut) != FTC_OK)
		return false;
	ftc_shards_encode(&made->cut, body.data,
					  MemoryContextAllocHuge(CurrentMemoryContext, ftc_parity_len(&made->cut)),
					  MemoryContextAllocHuge(CurrentMemoryContext, ftc_shards_scratch(&made->cut)), made->shards);
	for (uint32 i = 0; i < made->cut.data + made->cut.parity; i++)
		made->digests[i] = ftc_shard_digest(made->shards[i]);
	head.cut = made->cut;
	head.root = ftc_shards_root(&made->cut, made->digests);
	ftc_shards_head_encode(&head, made->head);
	return true;
}

bool
ftc_shards_load(const FtcChain *chain, const FtcHash *block, int32 number, FtcSlice head, FtcSlice *content)
{
	if (ftc_run(&shard_mine, ftc_hash_datum(block), Int32GetDatum(number), Int32GetDatum(chain->id),
				ftc_slice_datum(head)) == 0)
		return false;
	*content = ftc_slice_value(0, 0);
	return true;
}

static FtcSlice
path_of(const FtcSharded *made, int32 number)
{
	FtcHash    *path = palloc(FTC_PROOF_MAX * sizeof(FtcHash));
	int			n = ftc_merkle_inclusion(made->digests, made->cut.data + made->cut.parity, (uint64) number, path);

	return ftc_slice(path, n * sizeof(FtcHash));
}

static void
keep_shard(const FtcChain *chain, const FtcHash *block, int64 height, int32 number, FtcSlice head, FtcSlice path,
		   FtcSlice content)
{
	ftc_store_write(&shard_put, FTC_ARGS(ftc_hash_datum(block), Int32GetDatum(number), Int32GetDatum(chain->id), Int64GetDatum(height),
										 BoolGetDatum(true), ftc_slice_datum(head), ftc_slice_datum(content), ftc_slice_datum(path)), NULL);
	/* what it replaces goes now, and not before */
	ftc_store_write(&shard_drop_others, FTC_ARGS(ftc_hash_datum(block), Int32GetDatum(number), ftc_slice_datum(head)), NULL);
	ftc_run(&wanted_drop, ftc_hash_datum(block), Int32GetDatum(number), ftc_slice_datum(head));
	ftc_words_say(chain, block);
}

/* ----------------------------------------------------------------
 *		Who keeps which
 * ----------------------------------------------------------------
 */

/* Those that were left out, as many as are needed, take their places on the ring again. */
static uint32
fill_up(const FtcState *state, const FtcHash *block, uint32 wanted, uint32 *owners, uint32 n)
{
	uint32	   *ring = palloc(Max(state->nmembers, 1) * sizeof(uint32));
	bool	   *chosen = palloc0(Max(state->nmembers, 1) * sizeof(bool));
	uint32		all = ftc_ring_owners(ftc_place_ring(state), ftc_ring_key(block), state->nmembers, ring);
	uint32		left = wanted - n;

	for (uint32 i = 0; i < n; i++)
		chosen[owners[i]] = true;
	for (uint32 i = 0; i < all && left > 0; i++)
		if (!chosen[ring[i]])
		{
			chosen[ring[i]] = true;
			left--;
		}
	n = 0;
	for (uint32 i = 0; i < all && n < wanted; i++)
		if (chosen[ring[i]])
			owners[n++] = ring[i];
	return n;
}

uint32
ftc_shards_owners(const FtcChain *chain, const FtcState *state, const FtcHash *block, uint32 *owners, int32 *numbers,
				  FtcSlice *heads)
{
	uint32		wanted = (uint32) state->params.shard_data + state->params.shard_parity;
	uint32		n;
	uint64		rows;

	if (!has_shards(state))
		return 0;
	n = ftc_relief_owners(chain, state, block, wanted, owners);

	/*
	 * Nobody can take the place of those that are left out: it stays theirs,
	 * and whoever has lost its shard makes it anew, whatever others say or
	 * have lost.
	 */
	if (n < wanted)
		n = fill_up(state, block, wanted, owners, n);
	for (uint32 i = 0; i < n; i++)
		numbers[i] = -1;
	rows = ftc_run(&shard_copies, ftc_hash_datum(block));
	for (uint64 row = 0; row < rows; row++)
	{
		FtcHash		member = ftc_hash_value(row, 0);
		FtcSlice	head = ftc_slice_value(row, 2);

		for (uint32 i = 0; i < n; i++)
			if (ftc_hash_equal(&state->members[owners[i]].id, &member) && is_cut_so(state, head))
			{
				numbers[i] = DatumGetInt32(ftc_value(row, 1));
				heads[i] = head;
			}
	}
	return n;
}

uint32
ftc_shards_count_without(const FtcState *state, const FtcHash *block, const uint8 *gone)
{
	bool		seen[FTC_SHARDS_MAX] = {false};
	uint32		count = 0;
	uint64		rows;

	if (!has_shards(state))
		return 0;
	rows = ftc_run(&shard_copies, ftc_hash_datum(block));
	for (uint64 row = 0; row < rows; row++)
	{
		FtcHash		id = ftc_hash_value(row, 0);
		const FtcMember *member = ftc_state_find(state, &id);
		int32		number = DatumGetInt32(ftc_value(row, 1));

		if (member == NULL || (gone != NULL && gone[member - state->members] != 0) || !is_cut_so(state, ftc_slice_value(row, 2)) ||
			number < 0 || number >= FTC_SHARDS_MAX || seen[number])
			continue;
		seen[number] = true;
		count++;
	}
	return count;
}

uint32
ftc_shards_count(const FtcState *state, const FtcHash *block)
{
	return ftc_shards_count_without(state, block, NULL);
}

uint32
ftc_shards_copies(const FtcState *state, const FtcHash *block, const FtcHash *but)
{
	uint64		rows = ftc_run(&shard_copies_beside, ftc_hash_datum(block));
	FtcSlice	cut = ftc_slice(NULL, 0);
	int32		last = -1;
	uint32		n = 0;
	uint32		most = 0;

	/* in the order of cuts, and of numbers */
	for (uint64 row = 0; row < rows; row++)
	{
		FtcHash		member = ftc_hash_value(row, 0);
		int32		number = DatumGetInt32(ftc_value(row, 1));
		FtcSlice	said = ftc_slice_value(row, 2);
		FtcShardsHead head;

		if (row == 0 || said.len != cut.len || memcmp(said.data, cut.data, said.len) != 0)
		{
			cut = said;
			last = -1;
			n = 0;
		}
		if (number == last || ftc_state_find(state, &member) == NULL || (but != NULL && ftc_hash_equal(&member, but)) ||
			ftc_shards_head_decode(&head, said) != FTC_OK)
			continue;
		last = number;
		most = Max(most, ftc_copies_count(0, ++n, head.cut.data));
	}
	return most;
}

/* ----------------------------------------------------------------
 *		Restoring bodies
 * ----------------------------------------------------------------
 */

/* Is it the shard that its head says, of this block? */
static FtcReason
check_shard(const FtcShardsHead *head, const FtcHash *block, int32 number, FtcSlice path, FtcSlice content)
{
	FtcHash		digest = ftc_shard_digest(content);
	FtcHash		hashes[FTC_PROOF_MAX];

	if (!ftc_hash_equal(&head->block, block) || number < 0 || (uint32) number >= head->cut.data + head->cut.parity)
		return FTC_BAD_BODY;
	if (content.len != ftc_shard_len(&head->cut) || path.len % FTC_HASH_LEN != 0 || path.len > sizeof(hashes))
		return FTC_BAD_LENGTH;
	memcpy(hashes, path.data, path.len);
	return ftc_merkle_verify_inclusion(&digest, (uint64) number, head->cut.data + head->cut.parity, hashes,
									   (int) (path.len / FTC_HASH_LEN), &head->root);
}

/* What is stored here may be damaged as anything else. */
static bool
is_row_sound(const FtcHash *block, uint64 row)
{
	FtcShardsHead head;

	return ftc_shards_head_decode(&head, ftc_slice_value(row, 1)) == FTC_OK &&
		check_shard(&head, block, DatumGetInt32(ftc_value(row, 0)), ftc_slice_value(row, 3),
					ftc_slice_value(row, 2)) == FTC_OK;
}

bool
ftc_shards_is_sound(const FtcHash *block, int32 number, FtcSlice head)
{
	uint64		rows = ftc_run(&shards_of, ftc_hash_datum(block));

	for (uint64 row = 0; row < rows; row++)
	{
		FtcSlice	said = ftc_slice_value(row, 1);

		if (DatumGetInt32(ftc_value(row, 0)) == number && DatumGetBool(ftc_value(row, 4)) &&
			said.len == head.len && memcmp(said.data, head.data, head.len) == 0)
			return is_row_sound(block, row);
	}
	return false;
}

void
ftc_shards_look_at_own(const FtcChain *chain, const FtcHash *block)
{
	FtcStored	stored;
	FtcSlice	heads[FTC_SHARDS_MAX];
	int32		numbers[FTC_SHARDS_MAX];
	uint64		n = Min(ftc_run(&shard_kept, ftc_hash_datum(block)), FTC_SHARDS_MAX);
	bool		damaged = false;

	for (uint64 i = 0; i < n; i++)
	{
		numbers[i] = DatumGetInt32(ftc_value(i, 0));
		heads[i] = ftc_slice_value(i, 1);
	}
	for (uint64 i = 0; i < n; i++)
	{
		if (ftc_shards_is_sound(block, numbers[i], heads[i]) || !ftc_store_load(block, &stored))
			continue;
		ftc_store_incident(chain->id, "shard damaged", (int64) stored.header.height, block, NULL,
						   psprintf("shard %d does not fit its root: it is made anew", numbers[i]));
		ftc_store_write(&shard_drop_one, FTC_ARGS(ftc_hash_datum(block), Int32GetDatum(numbers[i]), ftc_slice_datum(heads[i])),
						NULL);
		damaged = true;
	}
	if (!damaged)
		return;
	ftc_words_say(chain, block);
	ftc_wake_at_commit(FTC_WAKE_KEEPER);
}

typedef struct Parts
{
	FtcShardsHead head;
	FtcSlice	bytes;			/* of the head */
	FtcSlice	shards[FTC_SHARDS_MAX];
} Parts;

/* The parts that fit together, as many as it takes, of which most members keep one; false if there are too few. */
static bool
collect_parts(const FtcHash *block, Parts *parts)
{
	uint64		rows = ftc_run(&shards_of, ftc_hash_datum(block));
	uint32		n = 0;

	memset(parts, 0, sizeof(*parts));
	for (uint64 row = 0; row < rows; row++)
	{
		FtcSlice	bytes = ftc_slice_value(row, 1);

		if (!is_row_sound(block, row))
			continue;
		if (n == 0 || bytes.len != parts->bytes.len || memcmp(bytes.data, parts->bytes.data, bytes.len) != 0)
		{
			memset(parts, 0, sizeof(*parts));
			n = 0;
			parts->bytes = bytes;
			(void) ftc_shards_head_decode(&parts->head, bytes);
		}
		parts->shards[DatumGetInt32(ftc_value(row, 0))] = ftc_slice_value(row, 2);
		if (++n >= parts->head.cut.data)
			return true;
	}
	return false;
}

/*
 * The shards fit their root, but it is of no body of this block: whoever has said that
 * he keeps one of them is wrong.
 */
static void
drop_wrong(const FtcChain *chain, const FtcHash *block, int64 height, FtcSlice head, FtcReason reason)
{
	uint64		kept;

	ftc_store_incident(chain->id, "shards do not fit", height, block, NULL, ftc_reason_text(reason));
	ftc_run(&copies_wrong, ftc_hash_datum(block), ftc_slice_datum(head), Int32GetDatum(chain->id), Int64GetDatum(height));
	kept = ftc_run(&shard_kept, ftc_hash_datum(block));
	if (ftc_store_write(&shard_drop_head, FTC_ARGS(ftc_hash_datum(block), ftc_slice_datum(head)), NULL) > 0)
		ftc_wake_at_commit(FTC_WAKE_KEEPER);
	ftc_run(&wanted_drop_all, ftc_hash_datum(block));
	if (ftc_run(&shard_kept, ftc_hash_datum(block)) != kept)
		ftc_words_say(chain, block);
}

/* True if it was. */
static bool
restore(const FtcChain *chain, const FtcHash *block, int64 height)
{
	Parts	   *parts = palloc(sizeof(Parts));
	FtcStored	stored;
	FtcManifest manifest;
	FtcReason	reason;
	uint8	   *body;

	if (!collect_parts(block, parts) || !ftc_store_load(block, &stored))
		return false;
	/* what is damaged here says nothing of what others keep */
	if (ftc_manifest_decode(&manifest, stored.block.manifest) != FTC_OK ||
		ftc_manifest_verify(&manifest, stored.block.proof, &stored.header.body, stored.header.leaves) != FTC_OK)
		return false;
	body = MemoryContextAllocHuge(CurrentMemoryContext, parts->head.cut.len);
	reason = ftc_shards_restore(&parts->head.cut, parts->shards, body,
								MemoryContextAllocHuge(CurrentMemoryContext, ftc_shards_scratch(&parts->head.cut)));
	if (reason == FTC_OK)
		reason = ftc_inbox_body(chain, &stored, ftc_slice(body, parts->head.cut.len), NULL, true);
	if (reason != FTC_OK)
	{
		drop_wrong(chain, block, height, parts->bytes, reason);
		return false;
	}
	ftc_store_write(&parts_drop, FTC_ARGS(ftc_hash_datum(block)), NULL);
	ftc_run(&wanted_drop_all, ftc_hash_datum(block));
	return true;
}

/* As many parts as it takes, and all there are if these do not come. */
static void
want_parts(const FtcChain *chain, const FtcHash *block, int64 height, bool all)
{
	uint64		rows = ftc_run(&parts_there, ftc_hash_datum(block));
	int32	   *numbers = palloc(Max(rows, 1) * sizeof(int32));
	FtcShardsHead head;
	FtcSlice	cut;

	if (rows == 0)
		return;
	cut = ftc_slice_value(0, 1);
	if (ftc_shards_head_decode(&head, cut) != FTC_OK)
		return;
	for (uint64 i = 0; i < rows; i++)
		numbers[i] = DatumGetInt32(ftc_value(i, 0));
	for (uint64 i = 0; i < rows && (all || i < head.cut.data); i++)
		if (ftc_run(&shard_get, ftc_hash_datum(block), Int32GetDatum(numbers[i]), ftc_slice_datum(cut)) == 0 &&
			ftc_run(&wanted_put, ftc_hash_datum(block), Int32GetDatum(numbers[i]), Int32GetDatum(chain->id),
					Int64GetDatum(height), BoolGetDatum(false), ftc_slice_datum(cut)) > 0)
			ftc_wake_at_commit(FTC_WAKE_COURIER);
}

/* ----------------------------------------------------------------
 *		Fetching them
 * ----------------------------------------------------------------
 */

bool
ftc_shards_next_wanted(const FtcChain *chain, const FtcHash *member, FtcHash *block, int32 *number, FtcSlice *cut)
{
	if (ftc_run(&wanted_next, Int32GetDatum(chain->id), ftc_hash_datum(member)) == 0)
		return false;
	*block = ftc_hash_value(0, 0);
	*number = DatumGetInt32(ftc_value(0, 1));
	*cut = ftc_slice_value(0, 2);
	return true;
}

/* Who says that another body was cut is wrong, or those are who cut the same. */
static bool
is_outvoted(const FtcHash *block, FtcSlice head)
{
	uint64		rows = ftc_run(&shard_copies, ftc_hash_datum(block));
	int			same = 1;
	int			other = 0;

	for (uint64 row = 0; row < rows; row++)
	{
		FtcSlice	said = ftc_slice_value(row, 2);

		/* the same way of cutting: the first four bytes */
		if (said.len != head.len || memcmp(said.data, head.data, 4) != 0)
			continue;
		if (memcmp(said.data, head.data, head.len) == 0)
			same++;
		else
			other++;
	}
	return other > same;
}

static bool may_keep(const FtcChain *chain, const FtcHash *block, int64 height, int32 number);

FtcReason
ftc_shards_take(const FtcChain *chain, const FtcHash *block, int32 number, FtcSlice head, FtcSlice path, FtcSlice content)
{
	FtcShardsHead decoded;
	FtcReason	reason = ftc_shards_head_decode(&decoded, head);
	int64		height;
	bool		kept;

	if (reason == FTC_OK)
		reason = check_shard(&decoded, block, number, path, content);
	if (reason != FTC_OK)
		return reason;
	ftc_chain_lock(chain->id);
	if (ftc_run(&wanted_get, ftc_hash_datum(block), Int32GetDatum(number), ftc_slice_datum(head)) == 0)
		return FTC_OK;
	kept = DatumGetBool(ftc_value(0, 0));
	height = DatumGetInt64(ftc_value(0, 1));
	if (!ftc_words_may_be_cut(chain, head))
		return FTC_OUT_OF_RANGE;
	if (is_outvoted(block, head))
		return FTC_BAD_ROOT;
	ftc_run(&traffic_add, Int32GetDatum(chain->id), CStringGetTextDatum(kept ? "shards" : "parts"),
			Int64GetDatum((int64) content.len));
	ftc_run(&wanted_drop, ftc_hash_datum(block), Int32GetDatum(number), ftc_slice_datum(head));

	/*
	 * one that is not to be kept after all the next turn asks for anew, or
	 * for another number
	 */
	if (kept && is_cut_so(ftc_branch_current_state(chain->id), head) && may_keep(chain, block, height, number))
		keep_shard(chain, block, height, number, head, path, content);
	else if (!kept)
	{
		ftc_store_write(&shard_put, FTC_ARGS(ftc_hash_datum(block), Int32GetDatum(number), Int32GetDatum(chain->id), Int64GetDatum(height),
											 BoolGetDatum(false), ftc_slice_datum(head), ftc_slice_datum(content), ftc_slice_datum(path)), NULL);
		(void) restore(chain, block, height);
	}
	ftc_wake_at_commit(FTC_WAKE_KEEPER);
	return FTC_OK;
}

/* ----------------------------------------------------------------
 *		Keeping them
 * ----------------------------------------------------------------
 */

typedef struct Turn
{
	const FtcChain *chain;
	FtcIdentity self;
	FtcState   *state;
	int			made;
	size_t		bytes;			/* of bodies that were cut for them */
	int			wanted;			/* that are asked for */
	int			under_way;		/* that were asked for before, and these */
	FtcAsking	asking;
} Turn;

/* Those of other ways of cutting, or that of the present one, which belongs elsewhere. */
static void
let_go(Turn *t, const FtcHash *block, bool is_so)
{
	ftc_store_write(&shard_drop_cut, FTC_ARGS(ftc_hash_datum(block), ftc_slice_datum(cut_of(t->state)), BoolGetDatum(is_so)),
					NULL);
	ftc_words_say(t->chain, block);
	t->made++;
}

static void
want_or_make(Turn *t, const FtcHash *block, int64 height, int32 number)
{
	FtcSharded	made;
	Datum		cut = ftc_slice_datum(cut_of(t->state));

	ftc_run(&wanted_drop_others, ftc_hash_datum(block), Int32GetDatum(number), cut);
	if (ftc_shards_make(t->chain, t->state, block, &made))
	{
		keep_shard(t->chain, block, height, number, ftc_slice(made.head, FTC_SHARDS_HEAD_LEN), path_of(&made, number),
				   made.shards[number]);
		t->made++;
		t->bytes += made.cut.len;
	}
	else if (t->under_way < UNDER_WAY_MOST &&
			 ftc_run(&wanted_put, ftc_hash_datum(block), Int32GetDatum(number), Int32GetDatum(t->chain->id),
					 Int64GetDatum(height), BoolGetDatum(true), cut) > 0)
	{
		t->wanted++;
		t->under_way++;
		ftc_wake_at_commit(FTC_WAKE_COURIER);
	}
	/* whoever kept it is gone: it is made from the body, and that from others */
	else if (ftc_run(&wanted_long, ftc_hash_datum(block), Int32GetDatum(number), cut) > 0 && !ftc_reading_wants(block))
		ftc_reading_want(t->chain, block);
}

/* Does somebody say that another body was cut, the same way? */
static bool
is_disputed(const FtcHash *block, FtcSlice head)
{
	uint64		rows = ftc_run(&shard_copies, ftc_hash_datum(block));

	for (uint64 row = 0; row < rows; row++)
	{
		FtcSlice	said = ftc_slice_value(row, 2);

		if (said.len == head.len && memcmp(said.data, head.data, 4) == 0 && memcmp(said.data, head.data, head.len) != 0)
			return true;
	}
	return false;
}

/*
 * Does the body, or the majority, say that ours is cut from something else?  To cut
 * the body is dear: now and then, and where there is doubt.
 */
static bool
is_mine_wrong(Turn *t, const FtcHash *block, FtcSlice head, bool due)
{
	FtcSharded	made;

	if (!due && !is_disputed(block, head))
		return false;
	if (!ftc_store_has_body(block) || !ftc_shards_make(t->chain, t->state, block, &made))
		return is_outvoted(block, head);
	t->bytes += made.cut.len;
	return memcmp(made.head, head.data, FTC_SHARDS_HEAD_LEN) != 0;
}

/*
 * What nobody asks for goes when the body is proved to be stored as the chain wants
 * it now: in shards, as soon as there are enough of these, or whole.
 */
static bool
may_go(Turn *t, const FtcHash *block, int64 height)
{
	if (ftc_guc_trim_after < 0)
		return false;
	return has_shards(t->state) && ftc_shards_count(t->state, block) > t->state->params.shard_data
		? ftc_trim_is_proved(t->chain, t->state, block, height, &t->asking)
		: ftc_trim_is_proved_whole(t->chain, t->state, block, height, &t->asking);
}

/* Who keeps which number, as it is said now. */
typedef struct Owners
{
	uint32		n;
	uint32		members[FTC_SHARDS_MAX];	/* of the state */
	int32		stated[FTC_SHARDS_MAX];
	FtcSlice	heads[FTC_SHARDS_MAX];
	int			own;			/* this database's place, -1: none */
} Owners;

static void
find_owners(const Turn *t, const FtcHash *block, Owners *owners)
{
	owners->n = ftc_shards_owners(t->chain, t->state, block, owners->members, owners->stated, owners->heads);
	owners->own = -1;
	for (uint32 i = 0; i < owners->n; i++)
		if (ftc_hash_equal(&t->state->members[owners->members[i]].id, &t->self.member))
			owners->own = (int) i;
}

/* The one of the present cut that is kept here; false if none is. */
static bool
find_kept(const Turn *t, const FtcHash *block, int32 *number, FtcSlice *head)
{
	uint64		n = ftc_run(&shard_kept, ftc_hash_datum(block));

	for (uint64 i = 0; i < n; i++)
	{
		*head = ftc_slice_value(i, 1);
		*number = DatumGetInt32(ftc_value(i, 0));
		if (is_cut_so(t->state, *head))
			return true;
	}
	return false;
}

/*
 * An earlier member of the ring keeps the same number as we do.  Has it proved that,
 * and so many others theirs that they restore the body without ours?  And do all
 * know that it does: it might say to each of us that it keeps just ours.
 */
static bool
is_kept_elsewhere(Turn *t, const FtcHash *block, int64 height, const Owners *o)
{
	bool		seen[FTC_SHARDS_MAX] = {false};
	uint32		proved = 0;
	const FtcHash *other = NULL;

	/* all are asked, so that one turn does not wait for another */
	for (uint32 i = 0; i < o->n; i++)
	{
		int32		number = o->stated[i];

		if ((int) i == o->own || number < 0 || number >= FTC_SHARDS_MAX || seen[number] ||
			((int) i > o->own && number == o->stated[o->own]) ||
			memcmp(o->heads[i].data, o->heads[o->own].data, FTC_SHARDS_HEAD_LEN) != 0 ||
			!ftc_trim_is_member_proved(t->chain, block, height, &t->state->members[o->members[i]].id, number,
									   o->heads[i], &t->asking))
			continue;
		seen[number] = true;
		proved++;
		if (number == o->stated[o->own])
			other = &t->state->members[o->members[i]].id;
	}
	return other != NULL && proved >= t->state->params.shard_data && ftc_words_is_settled(t->chain, block, other);
}

/*
 * A number that was wanted has come: is it free still?  Somebody may have said
 * meanwhile that it keeps it, and what is kept here may not be for us to give up any more.
 */
static bool
may_keep(const FtcChain *chain, const FtcHash *block, int64 height, int32 number)
{
	Turn		t = {.chain = chain,.state = ftc_branch_current_state(chain->id)};
	Owners	   *o = palloc(sizeof(Owners));
	int32		mine;
	FtcSlice	head;
	bool		has;

	if (!ftc_identity_load(&t.self))
		return false;
	find_owners(&t, block, o);
	if (o->own < 0)
		return false;
	has = find_kept(&t, block, &mine, &head);
	if (has && mine == number)
		return true;
	for (uint32 i = 0; i < o->n; i++)
		if ((int) i != o->own && o->stated[i] == number)
			return false;
	if (!has || is_outvoted(block, head))
		return true;
	o->stated[o->own] = mine;
	o->heads[o->own] = head;
	return is_kept_elsewhere(&t, block, height, o);
}

static void
look_at(Turn *t, const FtcHash *block, int64 height)
{
	uint32		wanted = (uint32) t->state->params.shard_data + t->state->params.shard_parity;
	Owners	   *o = palloc(sizeof(Owners));
	int32		assigned[FTC_SHARDS_MAX];
	bool		due;
	bool		has;
	bool		wrong;
	int32		number;
	FtcSlice	head;

	ftc_words_derive(t->chain, block);
	due = ftc_guc_deep_scrub_interval > 0 &&
		ftc_store_write(&check_due, FTC_ARGS(ftc_hash_datum(block), Float8GetDatum(ftc_guc_deep_scrub_interval)), NULL) > 0;
	if (due)
		ftc_shards_look_at_own(t->chain, block);
	if (ftc_run(&old_kept, ftc_hash_datum(block), ftc_slice_datum(cut_of(t->state))) > 0 && may_go(t, block, height))
		let_go(t, block, false);
	has = find_kept(t, block, &number, &head);
	wrong = has && is_mine_wrong(t, block, head, due);
	find_owners(t, block, o);
	if (has && o->own < 0 && o->n == wanted && may_go(t, block, height))
		let_go(t, block, true);

	/*
	 * with too few members whole copies stay; but one that is lost of a body
	 * that is in shards already is made anew
	 */
	if (o->own < 0 || (o->n < wanted && ((has && !wrong) || ftc_shards_count(t->state, block) == 0)))
	{
		(void) ftc_run(&wanted_drop_others, ftc_hash_datum(block), Int32GetDatum(-1), ftc_slice_datum(cut_of(t->state)));
		return;
	}
	/* what is here counts, whatever was heard of it */
	o->stated[o->own] = has ? number : -1;
	if (has)
		o->heads[o->own] = head;
	ftc_shards_assign(o->n, wanted, o->stated, assigned);
	if (has && !wrong && assigned[o->own] == number)
	{
		ftc_run(&wanted_drop_others, ftc_hash_datum(block), Int32GetDatum(-1), ftc_slice_datum(cut_of(t->state)));
		return;
	}

	/*
	 * two have taken the same: the later one takes another, and keeps its own
	 * until it has that
	 */
	if (has && !wrong && !is_kept_elsewhere(t, block, height, o))
		return;
	want_or_make(t, block, height, assigned[o->own]);
}

static bool
has_done_much(const Turn *t)
{
	return t->made >= MADE_AT_ONCE || t->wanted >= WANTED_AT_ONCE || t->bytes >= BYTES_AT_ONCE;
}

/* A turn under the chain's lock; false if this database is none of its members. */
static bool
begin_turn(Turn *t, const FtcChain *chain)
{
	memset(t, 0, sizeof(*t));
	t->chain = chain;
	ftc_chain_lock(chain->id);
	t->state = ftc_branch_current_state(chain->id);
	if (!ftc_identity_load(&t->self) || ftc_state_find(t->state, &t->self.member) == NULL)
		return false;
	ftc_run(&wanted_count, Int32GetDatum(chain->id));
	t->under_way = (int) DatumGetInt64(ftc_value(0, 0));
	return true;
}

/* What is made or wanted at a time is bounded: the rest is for the next turn. */
static bool
look_at_next(void *arg, const FtcHash *block, int64 height)
{
	look_at(arg, block, height);
	return !has_done_much(arg);
}

void
ftc_shards_make_wanted(const FtcChain *chain)
{
	Turn		t;

	if (ftc_run(&wanted_with_body, Int32GetDatum(chain->id)) > 0 && begin_turn(&t, chain))
		ftc_window_each(ftc_run(&wanted_with_body, Int32GetDatum(chain->id)), look_at_next, &t);
}

bool
ftc_shards_turn(const FtcChain *chain)
{
	FtcWindow  *window = ftc_window(&windows, "ftchain sharded", chain->id);
	Turn		t;
	FtcWindowDone done;
	int64		end;

	if (ftc_window_rests(window))
		return true;
	if (!begin_turn(&t, chain))
		return false;
	if (!has_shards(t.state))
	{
		ftc_run(&wanted_drop_kept, Int32GetDatum(chain->id));
		if (ftc_run(&any_kept, Int32GetDatum(chain->id)) == 0)
			return false;
	}
	end = ftc_store_main_height(chain->id) - t.state->params.settle_blocks;
	ftc_window_each(ftc_run(&old_blocks, Int32GetDatum(chain->id), Int64GetDatum(window->height),
							Int64GetDatum(Min(window->height + FTC_WINDOW_HEIGHTS, end)),
							Float8GetDatum(ftc_guc_shard_after)), look_at_next, &t);
	if (t.asking.drawn > 0)
		ftc_wake_at_commit(FTC_WAKE_COURIER);
	done.much = has_done_much(&t);
	done.any = t.made > 0 || t.wanted > 0;
	done.waits = t.asking.waits || t.under_way >= UNDER_WAY_MOST;
	return ftc_window_next(window, end, done);
}

/* ----------------------------------------------------------------
 *		Bodies that are wanted
 * ----------------------------------------------------------------
 */

void
ftc_shards_want_parts(const FtcChain *chain, const FtcHash *block)
{
	FtcIdentity self;
	FtcStored	stored;

	if (ftc_identity_load(&self) && ftc_run(&whole_elsewhere, ftc_hash_datum(block), ftc_hash_datum(&self.member)) == 0 &&
		ftc_store_load(block, &stored) && !restore(chain, block, (int64) stored.header.height))
		want_parts(chain, block, (int64) stored.header.height, false);
}

static void
drop_useless_parts(const FtcChain *chain)
{
	if (ftc_run(&parts_useless, Int32GetDatum(chain->id)) == 0)
		return;
	ftc_chain_lock(chain->id);
	ftc_store_write(&parts_drop_useless, FTC_ARGS(Int32GetDatum(chain->id)), NULL);
	ftc_run(&wanted_drop_useless, Int32GetDatum(chain->id));
}

void
ftc_shards_restore_wanted(const FtcChain *chain)
{
	FtcIdentity self;
	FtcHash		blocks[RESTORED_AT_ONCE];
	int64		heights[RESTORED_AT_ONCE];
	bool		late[RESTORED_AT_ONCE];
	uint64		n;

	drop_useless_parts(chain);
	if (!ftc_identity_load(&self))
		return;
	n = ftc_run(&to_restore, Int32GetDatum(chain->id), ftc_hash_datum(&self.member));
	for (uint64 i = 0; i < n; i++)
	{
		blocks[i] = ftc_hash_value(i, 0);
		heights[i] = DatumGetInt64(ftc_value(i, 1));
		late[i] = DatumGetBool(ftc_value(i, 2));
	}
	if (n > 0)
		ftc_chain_lock(chain->id);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext outer = ftc_nest();

		ftc_words_derive(chain, &blocks[i]);
		if (!restore(chain, &blocks[i], heights[i]))
			want_parts(chain, &blocks[i], heights[i], late[i]);
		ftc_unnest(outer);
	}
}

/* ----------------------------------------------------------------
 *		Giving them
 * ----------------------------------------------------------------
 */

typedef struct Given
{
	FtcSlice	head;
	FtcSlice	path;
	FtcSlice	content;
} Given;

static bool
give_kept(const FtcHash *block, int32 number, FtcSlice cut, Given *given)
{
	if (ftc_run(&shard_get, ftc_hash_datum(block), Int32GetDatum(number), ftc_slice_datum(cut)) == 0)
		return false;
	given->head = ftc_slice_value(0, 0);
	given->content = ftc_slice_value(0, 1);
	given->path = ftc_slice_value(0, 2);
	return true;
}

static bool
give_made(const FtcChain *chain, const FtcHash *block, int32 number, FtcSlice cut, Given *given)
{
	FtcState   *state = ftc_branch_current_state(chain->id);
	FtcSharded *made = palloc(sizeof(FtcSharded));

	/* before anything dear */
	if (number < 0 || (uint32) number >= (uint32) state->params.shard_data + state->params.shard_parity ||
		cut.len < 4 || cut.len > FTC_SHARDS_HEAD_LEN || memcmp(cut.data, cut_of(state).data, 4) != 0 ||
		!ftc_shards_make(chain, state, block, made) || memcmp(cut.data, made->head, cut.len) != 0)
		return false;
	given->head = ftc_slice(made->head, FTC_SHARDS_HEAD_LEN);
	given->path = path_of(made, number);
	given->content = made->shards[number];
	return true;
}

Datum
ftchain_peer_shard(PG_FUNCTION_ARGS)
{
	FtcScope	scope;
	FtcChain	chain;
	FtcStored	stored;
	FtcHash		genesis;
	FtcHash		block;
	FtcSlice	cut;
	Given		given;
	Datum		values[3] = {0};
	bool		nulls[3] = {true, true, true};

	ftc_serve_need_not_null(fcinfo);
	genesis = ftc_arg_hash(PG_GETARG_DATUM(0), "genesis");
	block = ftc_arg_hash(PG_GETARG_DATUM(1), "id");
	cut = ftc_datum_slice(PG_GETARG_DATUM(3));
	ftc_memory_keep();
	ftc_enter(&scope);
	ftc_serve_need_chain(&chain, &genesis);
	if (ftc_store_load(&block, &stored) && stored.chain == chain.id &&
		(give_kept(&block, PG_GETARG_INT32(2), cut, &given) || give_made(&chain, &block, PG_GETARG_INT32(2), cut, &given)))
	{
		MemoryContext inner = MemoryContextSwitchTo(scope.caller);

		values[0] = ftc_slice_datum(given.head);
		values[1] = ftc_slice_datum(given.path);
		values[2] = ftc_slice_datum(given.content);
		nulls[0] = nulls[1] = nulls[2] = false;
		MemoryContextSwitchTo(inner);
	}
	ftc_leave(&scope);
	PG_RETURN_DATUM(ftc_serve_row(fcinfo, values, nulls));
}

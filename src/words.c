/*-------------------------------------------------------------------------
 *
 * words.c
 *	  What members say that they keep of bodies.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "branch.h"
#include "clock.h"
#include "copies.h"
#include "core/bytes.h"
#include "core/sha256.h"
#include "core/word.h"
#include "datum.h"
#include "identity.h"
#include "inbox.h"
#include "keys.h"
#include "outbox.h"
#include "stmt.h"
#include "store.h"
#include "wake.h"
#include "words.h"

#define SETTLES_IN "10 s"		/* a word that was passed on has come, or a
								 * later one has come back */

static FtcStmt word_get = {
	.sql = "SELECT bytes || signature, number FROM ftchain.word WHERE block = $1 AND member = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

/* Of two with one number, which only a liar makes, all take the same one. */
static FtcStmt word_put = {
	.sql = "INSERT INTO ftchain.word (block, member, chain, number, bytes, signature) VALUES ($1, $2, $3, $4, $5, $6)"
	" ON CONFLICT (block, member) DO UPDATE SET number = excluded.number, bytes = excluded.bytes,"
	" signature = excluded.signature, said = now(), passed = NULL WHERE (ftchain.word.number, ftchain.word.bytes) < (excluded.number, excluded.bytes)",
	.nargs = 6,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID, INT8OID, BYTEAOID, BYTEAOID},
};

static FtcStmt word_known = {
	.sql = "SELECT FROM ftchain.word WHERE block = $1 AND member = $2 AND (number, bytes) >= ($3, $4)",
	.nargs = 4,
	.argtypes = {BYTEAOID, BYTEAOID, INT8OID, BYTEAOID},
};

static FtcStmt word_pass = {
	.sql = "UPDATE ftchain.word SET passed = now() WHERE block = $1 AND member = $2 AND passed IS NULL",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt word_settled = {
	.sql = "SELECT FROM ftchain.word WHERE block = $1 AND member = $2 AND passed < now() - interval '" SETTLES_IN "'",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

/* The second byte of a word has the flag. */
static FtcStmt is_gone = {
	.sql = "SELECT FROM ftchain.word WHERE block = $1 AND member = $2 AND (get_byte(bytes, 1) & 1) = 0",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt withdrawn_put = {
	.sql = "INSERT INTO ftchain.withdrawn (block, member, chain, signature)"
	" SELECT r.block, r.member, $3, r.signature FROM ftchain.replica r WHERE r.block = $1 AND r.member = $2"
	" ON CONFLICT DO NOTHING",
	.nargs = 3,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID},
};

static FtcStmt withdrawn_drop = {
	.sql = "DELETE FROM ftchain.withdrawn WHERE block = $1 AND member = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt replica_put = {
	.sql = "INSERT INTO ftchain.replica (block, member, signature)"
	" SELECT block, member, signature FROM ftchain.withdrawn WHERE block = $1 AND member = $2 ON CONFLICT DO NOTHING",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt replica_get = {
	.sql = "SELECT FROM ftchain.replica WHERE block = $1 AND member = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt replica_drop = {
	.sql = "DELETE FROM ftchain.replica WHERE block = $1 AND member = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

/* Of the cut that is, and of the one before. */
static FtcStmt own_shards = {
	.sql = "SELECT number, head FROM ftchain.shard WHERE block = $1 AND kept"
	" ORDER BY (get_byte(head, 2) = $2 AND get_byte(head, 3) = $3) DESC, stored DESC, head LIMIT "
	CppAsString2(FTC_WORD_SHARDS_MAX),
	.nargs = 3,
	.argtypes = {BYTEAOID, INT4OID, INT4OID},
};

static FtcStmt shard_copy_put = {
	.sql = "INSERT INTO ftchain.shard_copy (block, member, number, chain, head) VALUES ($1, $2, $3, $4, $5)"
	" ON CONFLICT (block, member, head) DO UPDATE SET number = excluded.number, stated = now()"
	" WHERE ftchain.shard_copy.number <> excluded.number",
	.nargs = 5,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID, INT4OID, BYTEAOID},
};

static FtcStmt shard_copy_drop = {
	.sql = "DELETE FROM ftchain.shard_copy WHERE block = $1 AND member = $2 AND head NOT IN ($3, $4)",
	.nargs = 4,
	.argtypes = {BYTEAOID, BYTEAOID, BYTEAOID, BYTEAOID},
};

/* What was proved, or lost, of what is not kept any more, or of another shard, or one cut otherwise. */
static FtcStmt copy_drop = {
	.sql = "DELETE FROM ftchain.copy WHERE block = $1 AND member = $2"
	" AND (shard < 0 AND NOT $3 OR shard >= 0 AND (shard, head) <> ($4, $5) AND (shard, head) <> ($6, $7))",
	.nargs = 7,
	.argtypes = {BYTEAOID, BYTEAOID, BOOLOID, INT4OID, BYTEAOID, INT4OID, BYTEAOID},
};

/* Words of which shard_copy says something else: the shard is the third byte, the heads are at the end. */
static FtcStmt words_undone = {
	.sql = "SELECT w.bytes FROM ftchain.word w, LATERAL (SELECT count(*) AS n, count(*) FILTER (WHERE"
	" s.number = get_byte(w.bytes, 2) AND s.head = substr(w.bytes, 77, 72)"
	" OR s.number + 1 = get_byte(w.bytes, 3) AND s.head = substr(w.bytes, 149, 72)) AS fit"
	" FROM ftchain.shard_copy s WHERE s.block = w.block AND s.member = w.member) c,"
	" LATERAL (SELECT (get_byte(w.bytes, 2) <> 255)::int + (get_byte(w.bytes, 3) <> 0)::int AS n) e"
	" WHERE w.block = $1 AND (c.n <> e.n OR c.fit <> e.n)",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt shard_copies_unsaid = {
	.sql = "DELETE FROM ftchain.shard_copy s WHERE s.block = $1 AND NOT EXISTS"
	" (SELECT FROM ftchain.word w WHERE w.block = s.block AND w.member = s.member)",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt loss_drop = {
	.sql = "DELETE FROM ftchain.loss WHERE block = $1 AND member = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

void
ftc_words_withdraw(const FtcChain *chain, const FtcHash *block, const FtcHash *member)
{
	ftc_run(&withdrawn_put, ftc_hash_datum(block), ftc_hash_datum(member), Int32GetDatum(chain->id));
	ftc_store_write(&replica_drop, FTC_ARGS(ftc_hash_datum(block), ftc_hash_datum(member)), NULL);
	ftc_copies_changed(chain->id, block);
}

static void
believe_shards(const FtcChain *chain, const FtcWord *word)
{
	Datum		block = ftc_hash_datum(&word->block);
	Datum		member = ftc_hash_datum(&word->member);

	if (word->other >= 0)
		ftc_run(&shard_copy_put, block, member, Int32GetDatum(word->other), Int32GetDatum(chain->id),
				ftc_slice_datum(word->other_head));
	if (word->shard >= 0)
		ftc_run(&shard_copy_put, block, member, Int32GetDatum(word->shard), Int32GetDatum(chain->id),
				ftc_slice_datum(word->head));
	ftc_run(&shard_copy_drop, block, member, ftc_slice_datum(word->head), ftc_slice_datum(word->other_head));
}

/* Of what a chain does not have nobody is to keep rows here, nor fetch anything. */
static bool
is_of_chain(const FtcChain *chain, const FtcWord *word)
{
	return (word->shard < 0 || ftc_words_may_be_cut(chain, word->head)) &&
		(word->other < 0 || ftc_words_may_be_cut(chain, word->other_head));
}

void
ftc_words_derive(const FtcChain *chain, const FtcHash *block)
{
	uint64		n = ftc_run(&words_undone, ftc_hash_datum(block));
	FtcSlice   *words = palloc(Max(n, 1) * sizeof(FtcSlice));

	for (uint64 i = 0; i < n; i++)
		words[i] = ftc_slice_value(i, 0);
	for (uint64 i = 0; i < n; i++)
	{
		FtcWord		word;

		if (ftc_word_decode(&word, words[i]) == FTC_OK && ftc_hash_equal(&word.block, block) && is_of_chain(chain, &word))
			believe_shards(chain, &word);
	}
	ftc_run(&shard_copies_unsaid, ftc_hash_datum(block));
}

/* What is believed, after a word. */
static void
believe(const FtcChain *chain, const FtcWord *word)
{
	Datum		block = ftc_hash_datum(&word->block);
	Datum		member = ftc_hash_datum(&word->member);

	if (!word->whole)
		ftc_words_withdraw(chain, &word->block, &word->member);
	else
	{
		ftc_run(&replica_put, block, member);
		ftc_run(&withdrawn_drop, block, member);
	}
	believe_shards(chain, word);
	ftc_run(&copy_drop, block, member, BoolGetDatum(word->whole), Int32GetDatum(word->shard),
			ftc_slice_datum(word->head), Int32GetDatum(word->other), ftc_slice_datum(word->other_head));
	ftc_run(&loss_drop, block, member);
	ftc_copies_changed(chain->id, &word->block);
	ftc_wake_new_copy();
}

static void
store_word(const FtcChain *chain, const FtcWord *word, FtcSlice bytes, const FtcSignature *signature)
{
	ftc_run(&word_put, ftc_hash_datum(&word->block), ftc_hash_datum(&word->member), Int32GetDatum(chain->id),
			Int64GetDatum((int64) word->number), ftc_slice_datum(bytes), ftc_signature_datum(signature));
}

static void
put_word(const FtcChain *chain, const FtcWord *word, FtcSlice bytes, const FtcSignature *signature)
{
	store_word(chain, word, bytes, signature);
	believe(chain, word);
}

/*
 * The way of cutting may have been decided in a block that is not here yet: what is said of
 * shards is looked at again (ftc_words_derive), what is said of the whole copy holds.
 */
static void
keep_word(const FtcChain *chain, const FtcWord *word, FtcSlice bytes, const FtcSignature *signature)
{
	FtcWord		whole = *word;

	store_word(chain, word, bytes, signature);
	whole.shard = whole.other = -1;
	whole.head = whole.other_head = ftc_slice(NULL, 0);
	believe(chain, &whole);
}

/*
 * Numbers are times, so that they rise even where an older one was forgotten, as in a
 * backup that was restored.
 */
static uint64
next_number(const FtcHash *block, const FtcHash *member)
{
	uint64		now = ftc_clock_now();
	uint64		last = 0;

	if (ftc_run(&word_get, ftc_hash_datum(block), ftc_hash_datum(member)) > 0)
		last = (uint64) DatumGetInt64(ftc_value(0, 1));
	return Max(now, last + 1);
}

void
ftc_words_say(const FtcChain *chain, const FtcHash *block)
{
	FtcIdentity self;
	FtcWord		word = {.block = *block,.shard = -1,.other = -1};
	FtcSignature signature;
	FtcSlice	bytes;
	FtcHash		digest;
	uint8		buf[FTC_WORD_MAX];
	FtcState   *state;
	uint64		shards;

	if (!ftc_identity_load(&self))
		return;
	word.member = self.member;
	word.number = next_number(block, &self.member);
	word.whole = ftc_run(&replica_get, ftc_hash_datum(block), ftc_hash_datum(&self.member)) > 0;
	state = ftc_branch_current_state(chain->id);
	shards = ftc_run(&own_shards, ftc_hash_datum(block), Int32GetDatum(state->params.shard_data),
					 Int32GetDatum(state->params.shard_parity));
	if (shards > 0)
	{
		word.shard = DatumGetInt32(ftc_value(0, 0));
		word.head = ftc_slice_value(0, 1);
	}
	if (shards > 1)
	{
		word.other = DatumGetInt32(ftc_value(1, 0));
		word.other_head = ftc_slice_value(1, 1);
	}
	bytes = ftc_word_encode(&word, buf);
	digest = ftc_sha256(bytes);
	ftc_keys_sign(FTC_DOMAIN_KEPT, &chain->genesis, &digest, &signature);
	put_word(chain, &word, bytes, &signature);
	ftc_outbox_kept(chain->id, block, &self.member);
}

bool
ftc_words_is_gone(const FtcHash *block, const FtcHash *member)
{
	return ftc_run(&is_gone, ftc_hash_datum(block), ftc_hash_datum(member)) > 0;
}

bool
ftc_words_is_settled(const FtcChain *chain, const FtcHash *block, const FtcHash *member)
{
	if (ftc_run(&word_pass, ftc_hash_datum(block), ftc_hash_datum(member)) > 0)
	{
		ftc_outbox_kept(chain->id, block, member);
		return false;
	}
	return ftc_run(&word_settled, ftc_hash_datum(block), ftc_hash_datum(member)) > 0;
}

FtcSlice
ftc_words_get(const FtcHash *block, const FtcHash *member)
{
	if (ftc_run(&word_get, ftc_hash_datum(block), ftc_hash_datum(member)) == 0)
		return ftc_slice(NULL, 0);
	return ftc_slice_value(0, 0);
}

bool
ftc_words_may_be_cut(const FtcChain *chain, FtcSlice head)
{
	FtcShardsHead decoded;
	FtcIdentity self;

	if (ftc_shards_head_decode(&decoded, head) != FTC_OK)
		return false;
	return ftc_branch_knows_cut(chain->id, decoded.cut.data, decoded.cut.parity) || !ftc_identity_load(&self) ||
		ftc_state_find(ftc_branch_current_state(chain->id), &self.member) == NULL;
}


/* Does a word say what is here? */
static bool
is_so(const FtcChain *chain, const FtcWord *word)
{
	FtcState   *state = ftc_branch_current_state(chain->id);
	uint64		shards = ftc_run(&own_shards, ftc_hash_datum(&word->block), Int32GetDatum(state->params.shard_data),
								 Int32GetDatum(state->params.shard_parity));
	uint64		stated = (word->shard >= 0) + (word->other >= 0);

	for (uint64 i = 0; i < shards; i++)
	{
		int32		number = DatumGetInt32(ftc_value(i, 0));
		FtcSlice	head = ftc_slice_value(i, 1);

		if (head.len != FTC_SHARDS_HEAD_LEN)
			return false;
		if (!(number == word->shard && memcmp(head.data, word->head.data, FTC_SHARDS_HEAD_LEN) == 0) &&
			!(number == word->other && memcmp(head.data, word->other_head.data, FTC_SHARDS_HEAD_LEN) == 0))
			return false;
	}
	return shards == stated &&
		word->whole == (ftc_run(&replica_get, ftc_hash_datum(&word->block), ftc_hash_datum(&word->member)) > 0);
}

/*
 * A word of our own that we do not know: a backup was restored, and it was said
 * after that was made.  What is here counts, which a later word says.
 */
static void
answer_own(const FtcChain *chain, const FtcWord *word, FtcSlice bytes, const FtcSignature *signature)
{
	/* what was taken back is not here by being stated */
	if (!word->whole && !ftc_store_has_body(&word->block))
		ftc_words_withdraw(chain, &word->block, &word->member);
	store_word(chain, word, bytes, signature);
	if (is_so(chain, word))
		believe(chain, word);
	else
		ftc_words_say(chain, &word->block);
}

static FtcReason
take_word(const FtcChain *chain, const FtcWord *word, FtcSlice bytes, const FtcSignature *signature)
{
	FtcKey		key;
	FtcIdentity self;
	FtcStored	stored;
	FtcHash		digest = ftc_sha256(bytes);

	/* much comes more than once, and a signature is dear to verify */
	if (ftc_run(&word_known, ftc_hash_datum(&word->block), ftc_hash_datum(&word->member),
				Int64GetDatum((int64) word->number), ftc_slice_datum(bytes)) > 0)
		return FTC_OK;
	if (!ftc_inbox_stating(chain, &word->block, &word->member, &key))
		return FTC_NOT_A_MEMBER;
	if (ftc_verify(&key, FTC_DOMAIN_KEPT, &chain->genesis, &digest, signature) != FTC_OK)
		return FTC_BAD_SIGNATURE;
	/* it comes again with the block, or when copies are compared */
	if (!ftc_store_load(&word->block, &stored) || stored.chain != chain->id)
		return FTC_UNKNOWN_PARENT;
	if (ftc_identity_load(&self) && ftc_hash_equal(&self.member, &word->member))
	{
		answer_own(chain, word, bytes, signature);
		return FTC_OK;
	}
	if (is_of_chain(chain, word))
		put_word(chain, word, bytes, signature);
	else
		keep_word(chain, word, bytes, signature);
	ftc_wake_at_commit(FTC_WAKE_KEEPER);
	return FTC_OK;
}

/* The next of words with their signatures. */
static FtcReason
take_next(const FtcChain *chain, FtcReader *reader)
{
	const uint8 *start = reader->at;
	FtcWord		word;
	FtcSignature signature;
	FtcReason	reason = ftc_word_read(&word, reader);
	FtcSlice	bytes = ftc_slice(start, reader->at - start);

	ftc_get_bytes(reader, signature.b, FTC_SIGNATURE_LEN);
	if (reason == FTC_OK && reader->bad)
		reason = FTC_BAD_LENGTH;
	return reason == FTC_OK ? take_word(chain, &word, bytes, &signature) : reason;
}

FtcReason
ftc_words_take(const FtcChain *chain, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	FtcReason	reason = take_next(chain, &reader);

	if (reason == FTC_UNKNOWN_PARENT)
		reason = FTC_OK;
	return reason == FTC_OK && !ftc_reader_is_done(&reader) ? FTC_BAD_LENGTH : reason;
}

bool
ftc_words_take_all(const FtcChain *chain, FtcSlice bytes)
{
	FtcReader	reader = ftc_reader(bytes);
	bool		known = true;

	/* after one that does not decode, nobody knows where the next one begins */
	while (reader.left > 0)
	{
		FtcReason	reason = take_next(chain, &reader);

		known &= reason != FTC_NOT_A_MEMBER && reason != FTC_UNKNOWN_PARENT;
		if (reason != FTC_OK && reason != FTC_NOT_A_MEMBER && reason != FTC_UNKNOWN_PARENT && reason != FTC_BAD_SIGNATURE)
			break;
	}
	return known;
}

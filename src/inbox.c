/*-------------------------------------------------------------------------
 *
 * inbox.c
 *	  Taking blocks in.
 *
 * Nothing that comes from outside is stored before it is verified, and
 * nothing of it is ever asserted on: it is refused with a reason, which is
 * recorded and told to the sender.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "branch.h"
#include "clock.h"
#include "copies.h"
#include "datum.h"
#include "failpoint.h"
#include "hint.h"
#include "identity.h"
#include "inbox.h"
#include "json.h"
#include "keys.h"
#include "outbox.h"
#include "place.h"
#include "reading.h"
#include "relief.h"
#include "stmt.h"
#include "wake.h"
#include "words.h"

#define HEIGHTS_AT_ONCE 500
#define LOST_AT_ONCE 200

static FtcStmt wanted_put = {
	.sql = "INSERT INTO ftchain.wanted (block, chain, height, moved) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
	.nargs = 4,
	.argtypes = {BYTEAOID, INT4OID, INT8OID, BOOLOID},
};

static FtcStmt wanted_drop = {
	.sql = "DELETE FROM ftchain.wanted WHERE block = $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

/*
 * Two blocks may hold the same bundles, as after a race that two proposers ran: while
 * chunks of one of them come, the other one waits.
 */
static FtcStmt wanted_next = {
	.sql = "SELECT w.block, w.height, w.since < now() - interval '500 ms', w.moved,"
	" EXISTS (SELECT FROM ftchain.fetch f JOIN ftchain.block_bundle o ON o.block = f.block"
	" JOIN ftchain.block_bundle b ON b.bundle = o.bundle WHERE b.block = w.block"
	" AND (f.block = w.block OR greatest(f.since, (SELECT max(h.came) FROM ftchain.chunk h WHERE h.block = f.block))"
	" > now() - interval '10 s')) FROM ftchain.wanted w"
	" WHERE w.chain = $1 AND (w.height, w.block) > ($2, $3) AND (NOT w.moved OR $4)"
	" AND NOT EXISTS (SELECT FROM ftchain.wrong_body b WHERE b.block = w.block AND b.member = $5"
	" AND b.refused > now() - interval '" FTC_WRONG_FOR "')"
	" ORDER BY w.height, w.block LIMIT " CppAsString2(FTC_WANTED_LOOK),
	.nargs = 5,
	.argtypes = {INT4OID, INT8OID, BYTEAOID, BOOLOID, BYTEAOID},
};

static FtcStmt main_without_body = {
	.sql = "SELECT DISTINCT m.block, m.height FROM ftchain.bundle u JOIN ftchain.block_bundle b ON b.bundle = u.id"
	" JOIN ftchain.main_chain m ON m.block = b.block WHERE u.chain = $1 AND u.ids IS NULL"
	" AND NOT EXISTS (SELECT FROM ftchain.wanted w WHERE w.block = m.block)",
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* Bodies that somebody has lost, and that are not here. */
static FtcStmt lost_without_body = {
	.sql = "SELECT m.block, m.height FROM (SELECT block FROM ftchain.copy WHERE chain = $1 AND lost IS NOT NULL"
	" UNION SELECT block FROM ftchain.loss WHERE chain = $1) l JOIN ftchain.main_chain m ON m.block = l.block"
	" WHERE EXISTS (SELECT FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE b.block = m.block AND u.ids IS NULL)"
	" AND NOT EXISTS (SELECT FROM ftchain.wanted w WHERE w.block = m.block)"
	" ORDER BY random() LIMIT " CppAsString2(LOST_AT_ONCE),
	.nargs = 1,
	.argtypes = {INT4OID},
};

/* Bodies that are here and that this database has never said to store. */
static FtcStmt held_unstated = {
	.sql = "SELECT m.block FROM ftchain.main_chain m WHERE m.chain = $1 AND m.height BETWEEN $2 AND $3"
	" AND EXISTS (SELECT FROM ftchain.block_bundle b WHERE b.block = m.block)"
	" AND NOT EXISTS (SELECT FROM ftchain.replica r WHERE r.block = m.block AND r.member = $4)"
	" AND NOT EXISTS (SELECT FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle"
	" WHERE b.block = m.block AND u.ids IS NULL)",
	.nargs = 4,
	.argtypes = {INT4OID, INT8OID, INT8OID, BYTEAOID},
};

static FtcStmt incomplete_siblings = {
	.sql = "SELECT DISTINCT i.block FROM ftchain.block_bundle n JOIN ftchain.block_bundle o ON o.bundle = n.bundle"
	" JOIN ftchain.incomplete_block i ON i.block = o.block WHERE n.block = $1 AND i.block <> $1",
	.nargs = 1,
	.argtypes = {BYTEAOID},
};

static FtcStmt replica_known = {
	.sql = "SELECT FROM ftchain.replica WHERE block = $1 AND member = $2 AND signature = $3"
	" UNION ALL SELECT FROM ftchain.withdrawn WHERE block = $1 AND member = $2 AND signature = $3",
	.nargs = 3,
	.argtypes = {BYTEAOID, BYTEAOID, BYTEAOID},
};

static FtcStmt replica_put = {
	.sql = "INSERT INTO ftchain.replica (block, member, signature) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
	.nargs = 3,
	.argtypes = {BYTEAOID, BYTEAOID, BYTEAOID},
};

static FtcStmt withdrawn_put = {
	.sql = "INSERT INTO ftchain.withdrawn (block, member, chain, signature) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
	.nargs = 4,
	.argtypes = {BYTEAOID, BYTEAOID, INT4OID, BYTEAOID},
};

static FtcStmt withdrawn_drop = {
	.sql = "DELETE FROM ftchain.withdrawn WHERE block = $1 AND member = $2",
	.nargs = 2,
	.argtypes = {BYTEAOID, BYTEAOID},
};

static FtcStmt own_bundle_known = {
	.sql = "SELECT FROM ftchain.bundle WHERE chain = $1 AND digest = $2",
	.nargs = 2,
	.argtypes = {INT4OID, BYTEAOID},
};

/* A block on its way in. */
typedef struct Arrival
{
	const FtcChain *chain;
	const FtcBlock *block;
	const FtcHash *source;
	FtcHash		id;
	FtcHeader	header;
	FtcManifest manifest;
	FtcStored	parent;
	FtcBranch	branch;
	FtcState   *state;			/* that it builds on */
	FtcState   *current;		/* of the head: says who holds what */
	FtcHash    *hashes;			/* leaf hashes of the entries, if there is a
								 * body */
	bool		asked_for;		/* the body was: see ftc_inbox_settle() */
	bool		permanent;		/* the reason lies in what the id commits to */
} Arrival;

/* Blocks are not judged by a state that has changed here. */
static void
need_sound_state(const FtcStored *block)
{
	FtcHash		root = ftc_state_root(ftc_store_load_state(&block->header.state));

	if (!ftc_hash_equal(&root, &block->header.state))
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("epoch state %s is damaged", ftc_hash_hex(&block->header.state)),
				errhint("See ftchain.verify() and ftchain.repair()."));
}

/* Has a member worked for it, though we cannot tell yet whether enough? */
static bool
is_earnest(const Arrival *a)
{
	const FtcMember *member = ftc_state_find(a->current, &a->header.proposer);
	FtcU256		work = ftc_pow_work(a->header.bits);
	FtcU256		least = ftc_pow_work(a->current->params.limit_bits);

	return member != NULL && ftc_u256_compare(&work, &least) >= 0 && ftc_pow_meets(&a->id, a->header.bits) &&
		ftc_verify(&member->key, FTC_DOMAIN_BLOCK, &a->chain->genesis, &a->id, &a->block->signature) == FTC_OK;
}

/* The parent, the branch and the state: what the rules need. */
static FtcReason
find_branch(Arrival *a)
{
	FtcStored	head;
	FtcWalked	walked;
	uint64		depth;

	if (a->header.height == 0)
		return FTC_WRONG_CHAIN;
	if (ftc_store_is_rejected(&a->header.prev))
	{
		a->permanent = true;
		return FTC_REJECTED_BEFORE;
	}
	if (!ftc_store_load(&a->header.prev, &a->parent))
		return FTC_UNKNOWN_PARENT;
	if (a->parent.chain != a->chain->id)
		return FTC_WRONG_CHAIN;
	ftc_store_load_head(a->chain->id, &head);
	a->current = ftc_branch_current_state(a->chain->id);
	walked = ftc_branch_of(&a->parent, &head, a->current->params.reorg_limit, &a->branch, &depth);
	if (walked == FTC_WALK_TOO_DEEP && is_earnest(a))
		ftc_branch_tell_deep(a->chain->id, &a->id, (int64) a->header.height, a->source, (int64) depth,
							 a->current->params.reorg_limit);
	if (walked != FTC_WALK_DONE)
		return FTC_TOO_DEEP;
	need_sound_state(&a->parent);
	a->state = ftc_branch_state(&a->branch, &a->parent, (int64) a->header.height);
	return FTC_OK;
}

static FtcReason
check_header(Arrival *a)
{
	FtcReason	reason = ftc_rules_header(&a->header, &a->block->signature, &a->parent.tip, a->state,
										  &a->chain->genesis, ftc_clock_now());

	/* it costs nothing to make, and little to find out again */
	a->permanent = false;
	return reason;
}

/* Manifest and body against the header, and by themselves. */
static FtcReason
check_manifest(Arrival *a)
{
	FtcReason	reason = ftc_manifest_decode(&a->manifest, a->block->manifest);

	a->permanent = false;
	if (reason == FTC_OK)
		reason = ftc_manifest_verify(&a->manifest, a->block->proof, &a->header.body, a->header.leaves);
	if (reason != FTC_OK)
		return reason;
	reason = ftc_rules_manifest(&a->manifest, &a->header, a->state, &a->chain->genesis);
	/* controls carry their signatures in the leaf, bundles beside it */
	a->permanent = reason != FTC_BAD_SIGNATURE;
	return reason;
}

/* What the core cannot tell of an entry: that it is there, and is json. */
static FtcReason
check_entries(FtcBodyReader *reader)
{
	MemoryContext one = AllocSetContextCreate(CurrentMemoryContext, "ftchain entry", ALLOCSET_DEFAULT_SIZES);
	FtcReason	reason = FTC_OK;

	for (uint64 i = 0; i < reader->manifest.entries && reason == FTC_OK; i++)
	{
		MemoryContext outer = MemoryContextSwitchTo(one);
		FtcEntry	entry;

		reason = ftc_body_next(reader, &entry);
		if (reason == FTC_OK && entry.erased)
			reason = FTC_BAD_BODY;
		if (reason == FTC_OK && !ftc_json_is_valid(entry.payload))
			reason = FTC_BAD_TEXT;
		MemoryContextSwitchTo(outer);
		MemoryContextReset(one);
	}
	MemoryContextDelete(one);
	return reason;
}

static FtcReason
check_body(Arrival *a)
{
	FtcBodyReader reader;
	FtcReason	reason;

	a->permanent = false;
	if (a->block->body.len == 0)
		return FTC_OK;
	if (a->block->body.len > a->state->params.max_body)
		return FTC_TOO_LARGE;
	reason = ftc_body_open(&reader, a->block->body);
	if (reason != FTC_OK)
		return reason;
	if (reader.form != FTC_BODY_FULL)
		return FTC_BAD_KIND;
	if (reader.manifest.bytes.len != a->block->manifest.len ||
		memcmp(reader.manifest.bytes.data, a->block->manifest.data, a->block->manifest.len) != 0)
		return FTC_BAD_BODY;
	a->hashes = palloc_extended(Max(reader.manifest.entries, 1) * sizeof(FtcHash), MCXT_ALLOC_HUGE);
	reason = ftc_body_check(a->block->body, &a->header.body, a->header.leaves, a->hashes);
	reader.checked = true;
	return reason == FTC_OK ? check_entries(&reader) : reason;
}

/* A bundle in our name that we do not remember: we were set back. */
static void
notice_own(Arrival *a, const FtcBundle *bundle, FtcSlice head)
{
	FtcHash		digest = ftc_bundle_digest(head);
	FtcIdentity self;

	if (!ftc_identity_load(&self) ||
		!ftc_hash_equal(&self.member, &bundle->origin) ||
		self.incarnation != (int64) bundle->incarnation ||
		ftc_run(&own_bundle_known, Int32GetDatum(a->chain->id), ftc_hash_datum(&digest)) > 0)
		return;
	ftc_identity_set_back(psprintf("a block holds bundle %llu of incarnation %lld of this database, which does not know it",
								   (unsigned long long) bundle->number, (long long) self.incarnation));
}

/* Add seqs to those of the same origin and incarnation; false if any is there. */
static bool
add_seqs(FtcIds *seen, const FtcIds *seqs)
{
	int64		count = ftc_ids_count(seen) + ftc_ids_count(seqs);

	for (int i = 0; i < seqs->n; i++)
		ftc_ids_add(seen, (int64) seqs->ranges[i].first, (int64) seqs->ranges[i].last);
	ftc_ids_sort(seen);
	return ftc_ids_count(seen) == count;
}

/*
 * Bundles come in the order of their numbers, each once, and no seq twice.
 * The manifest is sorted, so bundles of one origin stand side by side.
 */
static FtcReason
check_bundles(Arrival *a)
{
	FtcReader	at = a->manifest.bundles;
	FtcBundle	before = {0};
	FtcIds		seen;

	for (uint32 i = 0; i < a->manifest.nbundles; i++)
	{
		FtcBundle	bundle;
		FtcSignature signature;
		FtcSlice	head = ftc_manifest_next_bundle(&at, &bundle, &signature);
		bool		follows = i > 0 && ftc_hash_equal(&before.origin, &bundle.origin) &&
		before.incarnation == bundle.incarnation;
		int32		origin = ftc_origin_find(&bundle.origin);
		uint64		last = follows ? before.number : (uint64) ftc_branch_last_bundle(&a->branch, origin, (int64) bundle.incarnation);
		FtcIds		seqs = ftc_ids_of_bundle(&bundle);

		a->permanent = true;
		if (bundle.number != last + 1)
			return FTC_BUNDLE_OUT_OF_ORDER;
		if (!follows)
			ftc_ids_init(&seen);
		if (!add_seqs(&seen, &seqs) ||
			ftc_branch_has_seqs(&a->branch, origin, (int64) bundle.incarnation, &seqs))
			return FTC_ENTRY_TWICE;
		notice_own(a, &bundle, head);
		before = bundle;
	}
	return FTC_OK;
}

static FtcReason
check_controls(Arrival *a)
{
	FtcReader	at = a->manifest.controls;
	FtcHash    *ids = palloc(Max(a->manifest.ncontrols, 1) * sizeof(FtcHash));

	a->permanent = true;
	for (uint32 i = 0; i < a->manifest.ncontrols; i++)
	{
		FtcControl	control;

		/* by what was signed: other signatures do not make it another one */
		(void) ftc_manifest_next_control(&at, &control);
		ids[i] = ftc_control_digest(control.core);
		for (uint32 j = 0; j < i; j++)
			if (ftc_hash_equal(&ids[i], &ids[j]))
				return FTC_CONTROL_TWICE;
		if (ftc_branch_has_control(&a->branch, &ids[i]))
			return FTC_CONTROL_TWICE;
	}
	return FTC_OK;
}

static FtcReason
check_arrival(Arrival *a)
{
	FtcReason	reason = find_branch(a);

	if (reason == FTC_OK)
		reason = check_header(a);
	if (reason == FTC_OK)
		reason = check_manifest(a);
	if (reason == FTC_OK)
		reason = check_body(a);
	if (reason == FTC_OK)
		reason = check_controls(a);
	if (reason == FTC_OK)
		reason = check_bundles(a);
	return reason;
}

static void
refuse(const Arrival *a, FtcReason reason)
{
	/* known ones and orphans are everyday matters */
	if (reason == FTC_UNKNOWN_PARENT || reason == FTC_REJECTED_BEFORE)
		return;
	if (a->permanent)
		ftc_store_reject(a->chain->id, &a->id, ftc_reason_text(reason), a->source);
	ftc_store_incident(a->chain->id, "refused", (int64) a->header.height, &a->id, a->source,
					   psprintf("block: %s", ftc_reason_text(reason)));
}

static bool
am_holder(const FtcChain *chain, const FtcState *current, const FtcHash *block)
{
	FtcIdentity self;

	return ftc_identity_load(&self) && ftc_relief_is_holder(chain, current, block, &self.member);
}

static void
state_stored(const FtcChain *chain, const FtcHash *block)
{
	FtcIdentity self;
	FtcSignature signature;
	FtcHash		digest;

	if (!ftc_identity_load(&self))
		return;
	digest = ftc_rules_statement_digest(block, &self.member);
	ftc_keys_sign(FTC_DOMAIN_STORED, &chain->genesis, &digest, &signature);
	if (ftc_run(&replica_put, ftc_hash_datum(block), ftc_hash_datum(&self.member),
				ftc_signature_datum(&signature)) == 0)
		return;
	ftc_run(&withdrawn_drop, ftc_hash_datum(block), ftc_hash_datum(&self.member));
	ftc_copies_changed(chain->id, block);
	ftc_outbox_stored(chain->id, block, &self.member);
	/* it has said since that it does not store it any more */
	if (ftc_words_is_gone(block, &self.member))
		ftc_words_say(chain, block);
	ftc_wake_new_copy();
}

/*
 * Blocks that carry the same bundles as this one, whose body has come: as after
 * a race that two proposers ran.
 */
static void
reconsider_siblings(const FtcChain *chain, const FtcHash *id)
{
	uint64		n = ftc_run(&incomplete_siblings, ftc_hash_datum(id));
	FtcHash    *siblings = palloc(Max(n, 1) * sizeof(FtcHash));

	for (uint64 i = 0; i < n; i++)
		siblings[i] = ftc_hash_value(i, 0);
	for (uint64 i = 0; i < n; i++)
		(void) ftc_branch_reconsider(chain->id, &siblings[i]);
}

/* The body of a stored block came along, checked. */
static void
take_body(const Arrival *a)
{
	ftc_store_put_body(a->chain->id, &a->id, a->block->body, a->hashes);
	ftc_wake_new_copy();
	FTC_FAILPOINT("receive-body-stored");
	if (!a->asked_for)
	{
		ftc_run(&wanted_drop, ftc_hash_datum(&a->id));
		if (am_holder(a->chain, a->current, &a->id))
			state_stored(a->chain, &a->id);
	}
	reconsider_siblings(a->chain, &a->id);
}

static void
want_body(const Arrival *a)
{
	ftc_run(&wanted_put, ftc_hash_datum(&a->id), Int32GetDatum(a->chain->id),
			Int64GetDatum((int64) a->header.height), BoolGetDatum(false));
	ftc_wake_want_body();
}

static void
store_arrival(Arrival *a)
{
	FtcTip		tip;
	bool		holder = am_holder(a->chain, a->current, &a->id);

	/* it is on no list that would remind us */
	a->asked_for = false;
	ftc_rules_next_tip(&tip, &a->parent.tip, &a->header, &a->state->params);
	ftc_store_put_block(a->chain->id, a->block, &a->header, &a->manifest, &tip, a->state, a->source);
	ftc_outbox_block(a->chain->id, &a->id);
	if (ftc_store_has_body(&a->id))
	{
		/* all bundles are our own, or there are none */
		if (holder && a->manifest.nbundles > 0)
			state_stored(a->chain, &a->id);
	}
	else if (a->block->body.len > 0)
		take_body(a);
	else if (holder || !ftc_branch_is_available(&a->id))
		want_body(a);
	if (ftc_branch_enter(a->chain->id, &a->id, &a->header))
		FTC_FAILPOINT("receive-switched");
}

static void
add_body(Arrival *a)
{
	a->current = ftc_branch_current_state(a->chain->id);
	take_body(a);
	(void) ftc_branch_reconsider(a->chain->id, &a->id);
}

/* A block that is known: only its body may be news. */
static FtcReason
take_known(Arrival *a, const FtcStored *stored)
{
	FtcReason	reason;

	if (stored->chain != a->chain->id)
		return FTC_WRONG_CHAIN;
	if (a->block->body.len == 0 || ftc_store_has_body(&a->id))
		return FTC_OK;
	a->state = ftc_store_load_state(&stored->header.state);
	reason = check_body(a);
	if (reason == FTC_OK)
		add_body(a);
	else
		refuse(a, reason);
	return reason;
}

static FtcReason
take_block(Arrival *a)
{
	FtcStored	known;
	FtcReason	reason = ftc_header_decode(&a->header, a->block->header);

	if (reason != FTC_OK)
	{
		ftc_store_incident(a->chain->id, "refused", -1, NULL, a->source,
						   psprintf("header: %s", ftc_reason_text(reason)));
		return reason;
	}
	a->id = ftc_header_id(&a->header);
	if (ftc_store_load(&a->id, &known))
		return take_known(a, &known);
	if (ftc_store_is_rejected(&a->id))
		return FTC_REJECTED_BEFORE;
	reason = check_arrival(a);
	if (reason == FTC_OK)
		store_arrival(a);
	else
		refuse(a, reason);
	return reason;
}

FtcReason
ftc_inbox_block(const FtcChain *chain, const FtcBlock *block, const FtcHash *source)
{
	Arrival		a = {.chain = chain,.block = block,.source = source};

	return take_block(&a);
}

FtcReason
ftc_inbox_body(const FtcChain *chain, const FtcStored *stored, FtcSlice body, const FtcHash *source, bool settle)
{
	FtcBlock	block = stored->block;
	Arrival		a = {
		.chain = chain,.block = &block,.source = source,
		.id = stored->id,.header = stored->header,.asked_for = !settle
	};
	FtcReason	reason;

	block.body = body;
	a.state = ftc_store_load_state(&stored->header.state);
	reason = check_body(&a);
	if (reason == FTC_OK)
	{
		ftc_chain_lock(chain->id);
		if (!ftc_store_has_body(&a.id))
			add_body(&a);
	}
	return reason;
}

/*
 * A statement may come before the block does, by another link, and must not be lost
 * for that.
 */
bool
ftc_inbox_stating(const FtcChain *chain, const FtcHash *block, const FtcHash *member, FtcKey *key)
{
	const FtcMember *found = ftc_state_find(ftc_branch_current_state(chain->id), member);
	FtcStored	stored;

	if (found == NULL && ftc_store_load(block, &stored) && stored.chain == chain->id)
		found = ftc_state_find(ftc_store_load_state(&stored.header.state), member);
	if (found == NULL)
		return ftc_branch_was_member(chain->id, member, key);
	*key = found->key;
	return true;
}

/* One that was taken back shows that the body was stored once, and no more. */
static uint64
put_statement(const FtcChain *chain, const FtcHash *block, const FtcHash *member, const FtcSignature *signature)
{
	uint64		n;

	if (ftc_words_is_gone(block, member))
		return ftc_run(&withdrawn_put, ftc_hash_datum(block), ftc_hash_datum(member), Int32GetDatum(chain->id),
					   ftc_signature_datum(signature));
	n = ftc_run(&replica_put, ftc_hash_datum(block), ftc_hash_datum(member), ftc_signature_datum(signature));
	ftc_run(&withdrawn_drop, ftc_hash_datum(block), ftc_hash_datum(member));
	return n;
}

FtcReason
ftc_inbox_stored(const FtcChain *chain, FtcSlice reference, FtcSlice signature)
{
	FtcReader	reader = ftc_reader(reference);
	FtcHash		block = ftc_get_hash(&reader);
	FtcHash		member = ftc_get_hash(&reader);
	FtcSignature signed_by;
	FtcHash		digest;
	FtcKey		key;

	if (!ftc_reader_is_done(&reader) || signature.len != FTC_SIGNATURE_LEN)
		return FTC_BAD_LENGTH;
	memcpy(signed_by.b, signature.data, FTC_SIGNATURE_LEN);
	/* much comes more than once, and a signature is dear to verify */
	if (ftc_run(&replica_known, ftc_hash_datum(&block), ftc_hash_datum(&member), ftc_signature_datum(&signed_by)) > 0)
		return FTC_OK;
	if (!ftc_inbox_stating(chain, &block, &member, &key))
		return FTC_NOT_A_MEMBER;
	digest = ftc_rules_statement_digest(&block, &member);
	if (ftc_verify(&key, FTC_DOMAIN_STORED, &chain->genesis, &digest, &signed_by) != FTC_OK)
		return FTC_BAD_SIGNATURE;
	if (put_statement(chain, &block, &member, &signed_by) == 0)
		return FTC_OK;
	ftc_copies_changed(chain->id, &block);
	ftc_wake_new_copy();
	(void) ftc_branch_reconsider(chain->id, &block);
	return FTC_OK;
}

/* No member is zero: what follows it are words. */
static bool
is_end(FtcSlice member)
{
	return member.len == FTC_HASH_LEN && memcmp(member.data, ftc_hash_zero.b, FTC_HASH_LEN) == 0;
}

bool
ftc_inbox_statements(const FtcChain *chain, const FtcHash *block, FtcSlice statements)
{
	FtcReader	at = ftc_reader(statements);
	bool		known = true;

	while (at.left > 0)
	{
		FtcSlice	member = ftc_get_slice(&at, FTC_HASH_LEN);
		FtcSlice	signature;
		uint8		reference[2 * FTC_HASH_LEN];

		if (is_end(member))
			return ftc_words_take_all(chain, ftc_slice(at.at, at.left)) && known;
		signature = ftc_get_slice(&at, FTC_SIGNATURE_LEN);
		if (at.bad)
			break;
		memcpy(reference, block->b, FTC_HASH_LEN);
		memcpy(reference + FTC_HASH_LEN, member.data, FTC_HASH_LEN);
		known &= ftc_inbox_stored(chain, ftc_slice(reference, sizeof(reference)), signature) != FTC_NOT_A_MEMBER;
	}
	return known;
}

/*
 * Is a body here, perhaps by another way, as when two blocks hold the same
 * bundles?  Or do enough others hold it?
 */
static bool
is_settled(const FtcChain *chain, const FtcState *current, const FtcHash *block, bool *holder, bool *has)
{
	*has = ftc_store_has_body(block);
	*holder = am_holder(chain, current, block);
	/* one that is to be read is fetched as if we should hold it */
	if (!*has && !*holder && ftc_branch_is_available(block))
		*holder = ftc_reading_wants(block);
	return *has || (!*holder && ftc_branch_is_available(block));
}

void
ftc_inbox_want(const FtcChain *chain, const FtcHash *block)
{
	FtcStored	stored;

	if (!ftc_store_load(block, &stored) || stored.chain != chain->id)
		return;
	ftc_run(&wanted_put, ftc_hash_datum(block), Int32GetDatum(chain->id),
			Int64GetDatum((int64) stored.header.height), BoolGetDatum(false));
	ftc_wake_at_commit(FTC_WAKE_COURIER);
}

void
ftc_inbox_settle(const FtcChain *chain, const FtcHash *blocks, int n)
{
	FtcState   *current;

	ftc_chain_lock(chain->id);
	current = ftc_branch_current_state(chain->id);
	for (int i = 0; i < n; i++)
	{
		bool		holder;
		bool		has;

		if (!is_settled(chain, current, &blocks[i], &holder, &has))
			continue;
		ftc_run(&wanted_drop, ftc_hash_datum(&blocks[i]));
		if (has && holder)
			state_stored(chain, &blocks[i]);
		(void) ftc_branch_reconsider(chain->id, &blocks[i]);
	}
}

/*
 * A body is fetched by who should hold it; and by anybody, after a while, if
 * the block could not be built on otherwise.
 */
bool
ftc_inbox_next_wanted(const FtcChain *chain, const FtcHash *member, bool moved, FtcWanted *at,
					  FtcHash *settle, int *nsettle)
{
	FtcState   *current;
	uint64		n;
	FtcWanted	rows[FTC_WANTED_LOOK];
	bool		patient[FTC_WANTED_LOOK];

	n = ftc_run(&wanted_next, Int32GetDatum(chain->id), Int64GetDatum(at->height), ftc_hash_datum(&at->block),
				BoolGetDatum(moved), ftc_hash_datum(member));
	for (uint64 i = 0; i < n; i++)
	{
		rows[i].block = ftc_hash_value(i, 0);
		rows[i].height = DatumGetInt64(ftc_value(i, 1));
		patient[i] = !DatumGetBool(ftc_value(i, 2));
		rows[i].moved = DatumGetBool(ftc_value(i, 3));
		rows[i].fetching = DatumGetBool(ftc_value(i, 4));
	}
	if (n == 0)
		return false;
	current = ftc_branch_current_state(chain->id);
	for (uint64 i = 0; i < n; i++)
	{
		bool		holder;
		bool		has;

		*at = rows[i];
		if (is_settled(chain, current, &at->block, &holder, &has))
			settle[(*nsettle)++] = at->block;
		else if (holder || !patient[i])
			return true;
	}
	return false;
}

/* Under which state it was last looked what is missing. */
typedef struct Looked
{
	int32		chain;
	FtcHash		state;
	uint64		relief;			/* who was out then */
	int64		height;			/* up to which it was said what is here */
} Looked;

static HTAB *looked = NULL;

/* There may be millions. */
static uint64
want_if_holder(const FtcChain *chain, const FtcState *current, const FtcHash *block, int64 height)
{
	MemoryContext outer = ftc_nest();
	uint64		wanted = 0;

	if (am_holder(chain, current, block))
		wanted = ftc_run(&wanted_put, ftc_hash_datum(block), Int32GetDatum(chain->id), Int64GetDatum(height),
						 BoolGetDatum(true));
	ftc_unnest(outer);
	return wanted;
}

/* Where another one has lost its copy, it may be for us to have one. */
static int64
want_lost(const FtcChain *chain, const FtcState *current)
{
	uint64		n = ftc_run(&lost_without_body, Int32GetDatum(chain->id));
	FtcHash    *blocks = palloc_extended(Max(n, 1) * sizeof(FtcHash), MCXT_ALLOC_HUGE);
	int64	   *heights = palloc_extended(Max(n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	int64		wanted = 0;

	for (uint64 i = 0; i < n; i++)
	{
		blocks[i] = ftc_hash_value(i, 0);
		heights[i] = DatumGetInt64(ftc_value(i, 1));
	}
	if (n > 0)
		ftc_chain_lock(chain->id);
	for (uint64 i = 0; i < n; i++)
		wanted += want_if_holder(chain, current, &blocks[i], heights[i]);
	return wanted;
}

int64
ftc_inbox_want_missing(const FtcChain *chain)
{
	FtcState   *current = ftc_branch_current_state(chain->id);
	FtcHash		root = ftc_state_root(current);
	Looked	   *last = ftc_hint(&looked, "ftchain wanted", sizeof(int32), sizeof(Looked), &chain->id);
	uint64		relief = ftc_relief_version(chain, current);
	uint64		n;
	FtcHash    *blocks;
	int64	   *heights;
	int64		wanted = 0;

	/*
	 * only a change of the members, or one that is out, changes what should
	 * be here
	 */
	if (ftc_hash_equal(&last->state, &root) && last->relief == relief)
		return want_lost(chain, current);
	n = ftc_run(&main_without_body, Int32GetDatum(chain->id));
	blocks = palloc_extended(Max(n, 1) * sizeof(FtcHash), MCXT_ALLOC_HUGE);
	heights = palloc_extended(Max(n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	for (uint64 i = 0; i < n; i++)
	{
		blocks[i] = ftc_hash_value(i, 0);
		heights[i] = DatumGetInt64(ftc_value(i, 1));
	}
	if (n > 0)
		ftc_chain_lock(chain->id);
	for (uint64 i = 0; i < n; i++)
		wanted += want_if_holder(chain, current, &blocks[i], heights[i]);
	last->state = root;
	last->relief = relief;
	last->height = 0;
	return wanted + want_lost(chain, current);
}

bool
ftc_inbox_state_held(const FtcChain *chain)
{
	Looked	   *last = ftc_hint(&looked, "ftchain wanted", sizeof(int32), sizeof(Looked), &chain->id);
	FtcState   *current;
	FtcIdentity self;
	FtcHash    *blocks;
	uint64		n;

	if (last->height > ftc_store_main_height(chain->id) || !ftc_identity_load(&self))
		return false;
	ftc_chain_lock(chain->id);
	current = ftc_branch_current_state(chain->id);
	n = ftc_run(&held_unstated, Int32GetDatum(chain->id), Int64GetDatum(last->height),
				Int64GetDatum(last->height + HEIGHTS_AT_ONCE - 1), ftc_hash_datum(&self.member));
	blocks = palloc(Max(n, 1) * sizeof(FtcHash));
	for (uint64 i = 0; i < n; i++)
		blocks[i] = ftc_hash_value(i, 0);
	for (uint64 i = 0; i < n; i++)
		if (am_holder(chain, current, &blocks[i]))
			state_stored(chain, &blocks[i]);
	last->height += HEIGHTS_AT_ONCE;
	return true;
}

/*-------------------------------------------------------------------------
 *
 * inbox.c
 *	  Taking blocks in, in the order of checks of src/inbox.c, by the rules of
 *	  the core.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

/* A block on its way in. */
typedef struct Arrival
{
	Member	   *m;
	const FtcBlock *block;
	uint32_t	source;
	FtcHash		id;
	FtcHeader	header;
	FtcManifest manifest;
	uint32_t	parent;
	bool		permanent;		/* the reason lies in what the id commits to */
} Arrival;

static bool
is_rejected(const Member *m, const FtcHash *id)
{
	for (uint32_t i = 0; i < m->nrejected; i++)
		if (ftc_hash_equal(&m->rejected[i], id))
			return true;
	return false;
}

static void
reject(Member *m, const FtcHash *id)
{
	m->rejected = world_grow(m->world, m->rejected, m->nrejected, 1, sizeof(FtcHash));
	m->rejected[m->nrejected++] = *id;
}

bool
inbox_has(Member *m, const FtcHash *id)
{
	uint32_t	block = ledger_find(m->world, id);

	return block != NONE && record_of(m, block)->known;
}

/* A mutant does not have this rule. */
static FtcReason
but_for(const World *w, FtcReason reason)
{
	static const struct
	{
		Mutant		mutant;
		FtcReason	reason;
	}			without[] = {
		{MUTANT_BITS, FTC_BAD_BITS},
		{MUTANT_WORK, FTC_NOT_ENOUGH_WORK},
		{MUTANT_STATE, FTC_BAD_STATE},
		{MUTANT_SIGNATURE, FTC_BAD_SIGNATURE},
		{MUTANT_EARLY, FTC_TIME_TOO_EARLY},
		{MUTANT_FUTURE, FTC_TIME_TOO_LATE},
		{MUTANT_HISTORY, FTC_BAD_HISTORY},
	};

	for (size_t i = 0; i < lengthof(without); i++)
		if (mutated(w, without[i].mutant) && reason == without[i].reason)
			return FTC_OK;
	return reason;
}

static FtcReason
find_branch(Arrival *a)
{
	Member	   *m = a->m;
	World	   *w = m->world;
	FtcNode		head = node_of(m, head_of(m));
	FtcNode		parent;

	if (a->header.height == 0)
		return FTC_WRONG_CHAIN;
	if (is_rejected(m, &a->header.prev))
	{
		a->permanent = true;
		return FTC_REJECTED_BEFORE;
	}
	if (!inbox_has(m, &a->header.prev))
		return FTC_UNKNOWN_PARENT;
	a->parent = ledger_find(w, &a->header.prev);
	parent = node_of(m, a->parent);
	if (ftc_choice_walk(&m->tree, &parent, &head, m->tree.reorg_limit(&m->tree, &head), NULL) != FTC_WALK_DONE)
	{
		m->deep++;
		see(w, SIGHT_TOO_DEEP);
		return FTC_TOO_DEEP;
	}
	return FTC_OK;
}

static FtcReason
check_header(Arrival *a)
{
	World	   *w = a->m->world;

	a->permanent = false;
	return but_for(w, ftc_rules_header(&a->header, &a->block->signature, &w->blocks[a->parent].tip,
									   &w->state, &w->genesis, clock_of(a->m)));
}

static FtcReason
check_manifest(Arrival *a)
{
	World	   *w = a->m->world;
	FtcReason	reason = ftc_manifest_decode(&a->manifest, a->block->manifest);

	a->permanent = false;
	if (reason == FTC_OK)
		reason = ftc_manifest_verify(&a->manifest, a->block->proof, &a->header.body, a->header.leaves);
	if (reason != FTC_OK)
		return reason;
	reason = ftc_rules_manifest(&a->manifest, &a->header, &w->state, &w->genesis);
	a->permanent = reason != FTC_BAD_SIGNATURE;
	return reason;
}

static FtcReason
check_body(Arrival *a)
{
	FtcBodyReader reader;
	FtcReason	reason;

	a->permanent = false;
	if (a->block->body.len == 0 || mutated(a->m->world, MUTANT_BODY))
		return FTC_OK;
	if (a->block->body.len > a->m->world->state.params.max_body)
		return FTC_TOO_LARGE;
	reason = ftc_body_open(&reader, a->block->body);
	if (reason != FTC_OK)
		return reason;
	if (reader.form != FTC_BODY_FULL)
		return FTC_BAD_KIND;
	if (reader.manifest.bytes.len != a->block->manifest.len ||
		memcmp(reader.manifest.bytes.data, a->block->manifest.data, a->block->manifest.len) != 0)
		return FTC_BAD_BODY;
	return ftc_body_check(a->block->body, &a->header.body, a->header.leaves, NULL);
}

/* Bundles come in the order of their numbers, each once, and no seq twice. */
static FtcReason
check_bundles(Arrival *a)
{
	World	   *w = a->m->world;
	FtcReader	at = a->manifest.bundles;
	uint32_t	before = NONE;

	a->permanent = true;
	if (mutated(w, MUTANT_BUNDLE_TWICE))
		return FTC_OK;
	for (uint32_t i = 0; i < a->manifest.nbundles; i++)
	{
		FtcBundle	bundle;
		FtcSignature signature;
		FtcHash		digest = ftc_bundle_digest(ftc_manifest_next_bundle(&at, &bundle, &signature));
		uint32_t	found = ledger_bundle_find(w, &digest);
		const Bundle *b;
		Top			top;

		/* whatever is signed was made here */
		if (found == NONE)
			return FTC_BUNDLE_OUT_OF_ORDER;
		b = &w->bundles[found];
		top = ledger_top(&w->blocks[a->parent], b->stream);
		if (before != NONE && w->bundles[before].stream == b->stream)
			top.number = w->bundles[before].number;
		if (b->number != top.number + 1)
			return FTC_BUNDLE_OUT_OF_ORDER;
		if (ledger_has_seqs(w, a->parent, b->stream, b->seqs))
			return FTC_ENTRY_TWICE;
		before = found;
	}
	return FTC_OK;
}

/* The rules give the same answer to all, but for the clock. */
static FtcReason
check_time(Arrival *a)
{
	const World *w = a->m->world;

	return a->header.time > clock_of(a->m) + w->state.params.future_bound ? FTC_TIME_TOO_LATE : FTC_OK;
}

static FtcReason
check_arrival(Arrival *a)
{
	World	   *w = a->m->world;
	FtcReason	reason = find_branch(a);

	if (reason == FTC_OK && w->settings.light && ledger_find(w, &a->id) != NONE)
		return check_time(a);
	if (reason == FTC_OK)
		reason = check_header(a);
	if (reason == FTC_OK)
		reason = check_manifest(a);
	if (reason == FTC_OK)
		reason = check_body(a);
	if (reason == FTC_OK)
		reason = check_bundles(a);
	return reason;
}

static void
refuse(Arrival *a, FtcReason reason)
{
	World	   *w = a->m->world;

	w->sights.refused[reason]++;
	trace(w, "%u refuses a block of height %llu: %s", a->m->no, (unsigned long long) a->header.height,
		  ftc_reason_text(reason));
	if (reason == FTC_UNKNOWN_PARENT || reason == FTC_REJECTED_BEFORE)
		return;
	if (a->permanent || mutated(w, MUTANT_POISON))
		reject(a->m, &a->id);
}

/* ----------------------------------------------------------------
 *		Bodies, and who is known to store them
 * ----------------------------------------------------------------
 */

/* The body is here, or enough of its owners have signed that they store it. */
bool
inbox_is_available(Member *m, uint32_t block)
{
	const World *w = m->world;
	const Block *b = &w->blocks[block];
	const Record *r = record_of(m, block);
	uint32_t	quorum = mutated(w, MUTANT_QUORUM) ? 1 : w->state.params.stored_quorum;

	if (r->has_body || mutated(w, MUTANT_UNAVAILABLE))
		return true;
	return b->nowners > 0 && (uint32_t) __builtin_popcount(r->stated & b->owners) >= Min(quorum, b->nowners);
}

void
inbox_unwant(Member *m, uint32_t block)
{
	Record	   *r = record_of(m, block);

	if (!r->wanted)
		return;
	r->wanted = false;
	list_drop(&m->wanted, block);
}

static void
want(Member *m, uint32_t block)
{
	Record	   *r = record_of(m, block);

	if (r->wanted)
		return;
	r->wanted = true;
	r->wanted_at = m->world->now;
	list_add(m->world, &m->wanted, block);
}

static void
state_stored(Member *m, uint32_t block)
{
	World	   *w = m->world;
	Record	   *r = record_of(m, block);

	if (w->settings.light || w->blocks[block].nbundles == 0 || !ledger_is_owner(w, block, m->no) ||
		(r->stated >> m->no & 1) != 0)
		return;
	r->stated |= UINT32_C(1) << m->no;
	outbox_stored(m, block);
}

static void
take_body(Member *m, uint32_t block)
{
	const Block *b = &m->world->blocks[block];

	record_of(m, block)->has_body = true;
	inbox_unwant(m, block);
	for (uint32_t i = 0; i < b->nbundles; i++)
		hold(m, b->bundles[i]);
	state_stored(m, block);
}

/*
 * A statement may come before the block does, by another link, and must not be
 * lost for that.
 */
FtcReason
inbox_stored(Member *m, FtcSlice reference, FtcSlice attachment)
{
	World	   *w = m->world;
	FtcReader	reader = ftc_reader(reference);
	FtcHash		id = ftc_get_hash(&reader);
	FtcHash		member = ftc_get_hash(&reader);
	const FtcMember *owner = ftc_state_find(&w->state, &member);
	uint32_t	block = ledger_find(w, &id);
	uint32_t	no;
	FtcSignature signature;
	FtcHash		digest;

	if (!ftc_reader_is_done(&reader) || attachment.len != FTC_SIGNATURE_LEN)
		return FTC_BAD_LENGTH;
	if (owner == NULL)
		return FTC_NOT_A_MEMBER;
	/* nobody can store what nobody has made */
	if (block == NONE)
		return FTC_OK;
	no = w->order[owner - w->state.members];
	digest = ledger_statement(w, block, no);
	memcpy(signature.b, attachment.data, FTC_SIGNATURE_LEN);
	if (ftc_verify(&owner->key, FTC_DOMAIN_STORED, &w->genesis, &digest, &signature) != FTC_OK)
		return FTC_BAD_SIGNATURE;
	record_of(m, block)->stated |= UINT32_C(1) << no;
	if (!record_of(m, block)->known)
		return FTC_OK;
	(void) ftc_choice_reconsider(&m->tree, &id);
	if (!ledger_is_owner(w, block, m->no) && inbox_is_available(m, block))
	{
		see(w, SIGHT_STATED);
		inbox_unwant(m, block);
	}
	return FTC_OK;
}

/* All its bundles are held already, or it has none. */
static bool
has_all(const Member *m, const Block *b)
{
	for (uint32_t i = 0; i < b->nbundles; i++)
		if (!holds(m, b->bundles[i]))
			return false;
	return true;
}

/* Blocks that carry bundles which have come with another one. */
static void
reconsider_siblings(Member *m)
{
	World	   *w = m->world;

	for (uint32_t i = 0; i < m->incomplete.n; i++)
	{
		uint32_t	block = m->incomplete.at[i];

		if (record_of(m, block)->has_body || !has_all(m, &w->blocks[block]))
			continue;
		take_body(m, block);
		if (ftc_choice_reconsider(&m->tree, &w->blocks[block].id))
			m->look = true;
		i = NONE;				/* the list is another one */
	}
}

/* Checked, it is the same whoever it comes from. */
static void
keep_body(const Arrival *a, uint32_t block)
{
	World	   *w = a->m->world;
	Block	   *b = &w->blocks[block];

	oracle_body(a->m, block, a->block->body);
	if (b->block.body.len == 0)
		b->block.body = world_copy(w, a->block->body);
}

/* When so many members know it. */
static void
note_reach(World *w, Block *b)
{
	b->reached++;
	if (b->reached == (uint32_t) (w->nmembers + 1) / 2)
		b->half_at = w->now;
	if (b->reached == (uint32_t) (9 * w->nmembers + 9) / 10)
		b->most_at = w->now;
}

static void
store(Arrival *a)
{
	Member	   *m = a->m;
	World	   *w = m->world;
	uint32_t	block = ledger_find(w, &a->id);
	bool		with_body = a->block->body.len > 0;
	Record	   *r;
	FtcNode		node;

	if (block == NONE)
		block = ledger_add(w, a->block, &a->header, a->parent);
	if (with_body)
		keep_body(a, block);
	r = record_of(m, block);
	r->known = true;
	r->source = a->source;
	note_reach(w, &w->blocks[block]);
	outbox_block(m, block);
	if (with_body || has_all(m, &w->blocks[block]))
		take_body(m, block);
	else if (ledger_is_owner(w, block, m->no) || !inbox_is_available(m, block))
		want(m, block);
	trace(w, "%u takes block %u at height %llu from %d%s", m->no, block, (unsigned long long) a->header.height,
		  (int) a->source, r->has_body ? "" : ", without its body");
	node = node_of(m, block);
	(void) ftc_choice_enter(&m->tree, &node);
	if (with_body && w->blocks[block].nbundles > 0)
		reconsider_siblings(m);
}

/* A block that is known: only its body may be news. */
static FtcReason
take_known(Arrival *a, uint32_t block)
{
	Member	   *m = a->m;
	FtcReason	reason;

	if (a->block->body.len == 0 || record_of(m, block)->has_body)
		return FTC_OK;
	reason = check_body(a);
	if (reason != FTC_OK)
	{
		refuse(a, reason);
		return reason;
	}
	keep_body(a, block);
	take_body(m, block);
	(void) ftc_choice_reconsider(&m->tree, &a->id);
	reconsider_siblings(m);
	return FTC_OK;
}

FtcReason
inbox_block(Member *m, const FtcBlock *block, uint32_t source)
{
	Arrival		a = {.m = m,.block = block,.source = source};
	FtcReason	reason = ftc_header_decode(&a.header, block->header);

	if (reason != FTC_OK)
	{
		m->world->sights.refused[reason]++;
		return reason;
	}
	a.id = ftc_header_id(&a.header);
	if (inbox_has(m, &a.id))
		return take_known(&a, ledger_find(m->world, &a.id));
	if (is_rejected(m, &a.id))
		return FTC_REJECTED_BEFORE;
	reason = check_arrival(&a);
	if (reason == FTC_OK)
		store(&a);
	else
		refuse(&a, reason);
	return reason;
}

/*-------------------------------------------------------------------------
 *
 * audit.c
 *	  Is a chain in a file what it says it is?
 *
 *-------------------------------------------------------------------------
 */
#include "audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "rules.h"
#include "seen.h"
#include "sha256.h"

#define HEX_LEN (2 * FTC_HASH_LEN + 1)

/* A control that no state holds yet. */
typedef struct Waiting
{
	uint64_t	height;
	uint8_t    *leaf;
	size_t		len;
} Waiting;

struct FtcAudit
{
	FtcAuditCallback callback;
	void	   *arg;
	FtcAuditCounts counts;
	bool		has_genesis;
	FtcHash		genesis;
	FtcSeenIds	wanted;			/* numbers are heights */

	/* the file being read */
	bool		open;			/* its end is to come */
	bool		foreign;		/* of another chain: passed over */
	bool		broken;			/* the rest of it is not looked at */
	FtcFileBegin begin;
	FtcHash		digest;
	uint64_t	blocks;			/* of it */
	uint64_t	bodies;			/* of it */

	/* the branch so far */
	bool		started;
	bool		given;			/* its first part is not here */
	uint64_t	first;
	uint64_t	next;			/* height */
	bool		has_parent;
	FtcHash		parent;
	bool		has_tip;
	FtcTip		tip;
	FtcFrontier history;
	bool		has_history;
	bool		has_order;		/* all bundles so far are known */

	/* the state of the last block */
	bool		has_state;
	FtcState	state;			/* its names point into bytes below, or into
								 * controls that were kept */
	uint8_t    *state_bytes;
	Waiting    *waiting;
	size_t		nwaiting;
	size_t		waiting_size;

	FtcSeenIds	controls;
	FtcSeenOrigins origins;
};

/* ----------------------------------------------------------------
 *		Faults
 * ----------------------------------------------------------------
 */

/* What a fault is about. */
typedef struct Where
{
	bool		has_height;
	uint64_t	height;
	const FtcHash *block;
	const char *entry;
} Where;

static void
fault(FtcAudit *a, const Where *where, const char *what, const char *expected, const char *found)
{
	FtcAuditFault f = {where->has_height, where->height, where->block, where->entry, what, expected, found};

	a->counts.faults++;
	a->callback(a->arg, &f);
}

static void
refuse(FtcAudit *a, const Where *where, const char *what, FtcReason reason)
{
	fault(a, where, what, NULL, ftc_reason_text(reason));
}

static const char *
hex(const FtcHash *hash, char text[HEX_LEN])
{
	for (int i = 0; i < FTC_HASH_LEN; i++)
		sprintf(text +2 * i, "%02x", hash->b[i]);
	return text;
}

static void
differ(FtcAudit *a, const Where *where, const char *what, const FtcHash *expected, const FtcHash *found)
{
	char		one[HEX_LEN];
	char		other[HEX_LEN];

	fault(a, where, what, hex(expected, one), hex(found, other));
}

static void
differ_number(FtcAudit *a, const Where *where, const char *what, uint64_t expected, uint64_t found)
{
	char		one[24];
	char		other[24];

	snprintf(one, sizeof(one), "%llu", (unsigned long long) expected);
	snprintf(other, sizeof(other), "%llu", (unsigned long long) found);
	fault(a, where, what, one, other);
}

/* The place where the next block is to be. */
static Where
at_next(const FtcAudit *a)
{
	Where		where = {a->open, a->next, NULL, NULL};

	return where;
}

/* ----------------------------------------------------------------
 *		The state
 * ----------------------------------------------------------------
 */

static void
drop_waiting(FtcAudit *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(a->waiting[i].leaf);
	if (n > 0)
		memmove(a->waiting, a->waiting + n, (a->nwaiting - n) * sizeof(Waiting));
	a->nwaiting -= n;
}

static void
forget_state(FtcAudit *a)
{
	drop_waiting(a, a->nwaiting);
	free(a->state.members);
	free(a->state_bytes);
	memset(&a->state, 0, sizeof(a->state));
	a->state_bytes = NULL;
	a->has_state = false;
}

/* Take a state over, with memory of its own. */
static bool
set_state(FtcAudit *a, FtcSlice content)
{
	FtcState	state = {0};
	uint8_t    *bytes = ftc_alloc(uint8_t, content.len);

	memcpy(bytes, content.data, content.len);
	state.capacity = ftc_state_capacity(content);
	state.members = ftc_alloc(FtcMember, state.capacity);
	if (ftc_state_decode(&state, ftc_slice(bytes, content.len)) != FTC_OK)
	{
		free(state.members);
		free(bytes);
		return false;
	}
	free(a->state.members);
	free(a->state_bytes);
	a->state = state;
	a->state_bytes = bytes;
	a->has_state = true;
	return true;
}

/* The same again: its names then point to nothing of others. */
static void
keep_state(FtcAudit *a, const FtcState *state)
{
	size_t		len = ftc_state_encode(state, NULL, 0);
	uint8_t    *bytes = ftc_alloc(uint8_t, len);

	ftc_state_encode(state, bytes, len);
	if (!set_state(a, ftc_slice(bytes, len)))
		a->has_state = false;
	free(bytes);
}

static void
add_waiting(FtcAudit *a, uint64_t height, FtcSlice leaf)
{
	Waiting    *w;

	ftc_grow(a->waiting, a->nwaiting, a->waiting_size);
	w = &a->waiting[a->nwaiting++];
	w->height = height;
	w->len = leaf.len;
	w->leaf = ftc_alloc(uint8_t, leaf.len);
	memcpy(w->leaf, leaf.data, leaf.len);
}

/* The state that a block at this height builds on. */
static void
fold(FtcAudit *a, uint64_t height)
{
	uint64_t	bound;
	size_t		n = 0;
	FtcState	state = a->state;

	if (!a->has_state || !ftc_state_fold_bound(&state, height, &bound))
		return;
	while (n < a->nwaiting && a->waiting[n].height <= bound)
		n++;
	if (n == 0)
		return;
	state.capacity = state.nmembers + (uint32_t) n;
	state.members = ftc_alloc(FtcMember, state.capacity);
	memcpy(state.members, a->state.members, state.nmembers * sizeof(FtcMember));
	for (size_t i = 0; i < n; i++)
	{
		FtcControl	control;

		if (ftc_control_leaf_decode(&control, ftc_slice(a->waiting[i].leaf, a->waiting[i].len)) == FTC_OK)
			(void) ftc_state_apply(&state, &control);
		state.folded = a->waiting[i].height;
	}
	keep_state(a, &state);
	free(state.members);
	drop_waiting(a, n);
}

/* ----------------------------------------------------------------
 *		The branch
 * ----------------------------------------------------------------
 */

/* Some bundles are not known: the next number of an origin is taken as it is. */
static void
forget_order(FtcAudit *a)
{
	ftc_seen_forget(&a->origins);
	a->has_order = false;
}

/*
 * Nothing is known of the block before the next one.  The state is kept: if the
 * next block names the same one, it was not changed by what is missing.
 */
static void
forget_parent(FtcAudit *a)
{
	a->has_parent = a->has_tip = a->has_history = false;
	forget_order(a);
}

static void
forget_branch(FtcAudit *a)
{
	forget_parent(a);
	forget_state(a);
	ftc_seen_clear(&a->controls);
}

FtcAudit *
ftc_audit_new(const FtcHash *genesis, FtcAuditCallback callback, void *arg)
{
	FtcAudit   *a = ftc_alloc(FtcAudit, 1);

	memset(a, 0, sizeof(*a));
	a->callback = callback;
	a->arg = arg;
	a->has_genesis = genesis != NULL;
	if (genesis != NULL)
		a->genesis = *genesis;
	return a;
}

void
ftc_audit_free(FtcAudit *a)
{
	forget_branch(a);
	ftc_seen_clear(&a->wanted);
	free(a->waiting);
	free(a);
}

void
ftc_audit_want(FtcAudit *a, const FtcHash *id)
{
	(void) ftc_seen_add(&a->wanted, id, -1);
}

int64_t
ftc_audit_height_of(const FtcAudit *a, const FtcHash *id)
{
	const FtcSeenId *found = ftc_seen_find(&a->wanted, id);

	return found == NULL ? -1 : found->number;
}

/* ----------------------------------------------------------------
 *		The beginning of a file
 * ----------------------------------------------------------------
 */

/* What a file brings along of the block before its first one, decoded. */
typedef struct Base
{
	FtcFileBase parts;
	FtcHeader	header;
	FtcHash		id;
	FtcTip		tip;
} Base;

static FtcReason
read_base(const FtcFileBegin *begin, Base *base)
{
	FtcReason	reason = ftc_file_base_decode(&base->parts, begin->base);

	if (reason == FTC_OK)
		reason = ftc_header_decode(&base->header, base->parts.header);
	if (reason == FTC_OK)
		reason = ftc_tip_decode(&base->tip, &base->header, base->parts.tip);
	if (reason != FTC_OK)
		return reason;
	base->id = ftc_header_id(&base->header);
	return base->header.height + 1 != begin->from ? FTC_BAD_HEIGHT
		: base->tip.history.size != begin->from ? FTC_BAD_HISTORY : FTC_OK;
}

/* Take what the file says of the part that is not here. */
static FtcReason
start_from_base(FtcAudit *a, const Base *base)
{
	FtcReader	at = ftc_reader(base->parts.controls);
	FtcHash		root;
	uint64_t	height;
	FtcSlice	leaf;

	if (!set_state(a, base->parts.state))
		return FTC_BAD_STATE;
	root = ftc_state_root(&a->state);
	if (!ftc_hash_equal(&root, &base->header.state))
		return FTC_BAD_STATE;
	while (ftc_file_next_control(&at, &height, &leaf))
		add_waiting(a, height, leaf);
	a->tip = base->tip;
	a->history = base->tip.history;
	a->parent = base->id;
	a->has_parent = a->has_tip = a->has_history = true;
	return FTC_OK;
}

/* It must agree with what was found out, if that is known. */
static void
compare_base(FtcAudit *a, const Base *base)
{
	Where		where = {true, a->begin.from - 1, &base->id, NULL};
	uint8_t		bytes[FTC_TIP_BYTES_MAX];
	FtcHash		root;

	if (!ftc_hash_equal(&base->id, &a->parent))
		differ(a, &where, "another block before the file", &a->parent, &base->id);
	if (a->has_tip && (base->parts.tip.len != ftc_tip_encode(&a->tip, bytes) ||
					   memcmp(bytes, base->parts.tip.data, base->parts.tip.len) != 0))
		fault(a, &where, "work or history before the file changed", NULL, NULL);
	root = ftc_state_root(&a->state);
	if (a->has_state && !ftc_hash_equal(&root, &base->header.state))
		differ(a, &where, "another state before the file", &root, &base->header.state);
}

static void
start_in_the_middle(FtcAudit *a)
{
	Where		where = {true, a->begin.from, NULL, NULL};
	bool		follows = a->started && a->has_parent && a->next == a->begin.from;
	Base		base;
	FtcReason	reason = read_base(&a->begin, &base);

	if (reason == FTC_OK && follows)
		compare_base(a, &base);
	if (!follows)
	{
		forget_branch(a);
		a->given = true;
		a->first = a->begin.from;
		if (reason == FTC_OK)
			reason = start_from_base(a, &base);
	}
	if (reason != FTC_OK)
		refuse(a, &where, "what is before the file", reason);
}

static void
start_at_genesis(FtcAudit *a)
{
	forget_branch(a);
	ftc_frontier_init(&a->history);
	a->has_history = a->has_order = true;
	a->given = false;
	a->first = 0;
}

static void
take_begin(FtcAudit *a, FtcSlice content)
{
	Where		where = at_next(a);
	FtcReason	reason;

	if (a->open)
		fault(a, &where, "file not ended", NULL, NULL);
	a->open = a->foreign = false;
	reason = ftc_file_begin_decode(&a->begin, content);
	if (reason != FTC_OK)
	{
		refuse(a, &where, "beginning of the file", reason);
		return;
	}
	where.has_height = false;
	if (a->has_genesis && !ftc_hash_equal(&a->genesis, &a->begin.genesis))
	{
		differ(a, &where, "another chain", &a->genesis, &a->begin.genesis);
		a->foreign = true;
	}
	else if (a->begin.from == 0)
		start_at_genesis(a);
	else
		start_in_the_middle(a);
	if (!a->has_genesis)
		a->genesis = a->begin.genesis;
	a->has_genesis = a->open = a->started = true;
	a->digest = ftc_file_digest(content);
	a->next = a->begin.from;
	a->blocks = a->bodies = 0;
}

/* ----------------------------------------------------------------
 *		Blocks
 * ----------------------------------------------------------------
 */

/* A block that is looked at. */
typedef struct Looked
{
	FtcFileBlock file;
	FtcHeader	header;
	FtcManifest manifest;
	Where		where;
} Looked;

static bool
check_header_bytes(FtcAudit *a, Looked *b)
{
	FtcHash		hash = ftc_sha256(b->file.block.header);
	FtcReason	reason;

	if (!ftc_hash_equal(&hash, &b->file.id))
	{
		differ(a, &b->where, "header changed", &b->file.id, &hash);
		return false;
	}
	reason = ftc_header_decode(&b->header, b->file.block.header);
	if (reason != FTC_OK)
		refuse(a, &b->where, "header", reason);
	return reason == FTC_OK;
}

static void
check_genesis(FtcAudit *a, Looked *b)
{
	FtcState	founded = {.capacity = b->manifest.ncontrols + 1};
	FtcReason	reason;

	founded.members = ftc_alloc(FtcMember, founded.capacity);
	reason = ftc_rules_genesis(&b->header, &b->file.block.signature, &b->manifest, &founded);
	if (reason != FTC_OK)
		refuse(a, &b->where, reason == FTC_BAD_SIGNATURE ? "signature" : "genesis", reason);
	else
		keep_state(a, &founded);
	if (!ftc_hash_equal(&b->file.id, &a->genesis))
		differ(a, &b->where, "another genesis", &a->genesis, &b->file.id);
	free(founded.members);
}

/* What can be told of a header when its parent is damaged or not here. */
static FtcReason
check_alone(const FtcAudit *a, const Looked *b)
{
	FtcHash		root = ftc_frontier_root(&a->history);
	const FtcMember *proposer;

	if (b->header.height != b->file.height)
		return FTC_BAD_HEIGHT;
	if (a->has_parent && !ftc_hash_equal(&b->header.prev, &a->parent))
		return FTC_BAD_PARENT;
	if (a->has_history && !ftc_hash_equal(&b->header.history, &root))
		return FTC_BAD_HISTORY;
	if (b->header.consensus == FTC_CONSENSUS_POW && !ftc_pow_meets(&b->file.id, b->header.bits))
		return FTC_NOT_ENOUGH_WORK;
	if (!a->has_state)
		return FTC_OK;
	proposer = ftc_state_find(&a->state, &b->header.proposer);
	if (proposer == NULL)
		return FTC_NOT_A_MEMBER;
	return ftc_verify(&proposer->key, FTC_DOMAIN_BLOCK, &a->genesis, &b->file.id, &b->file.block.signature) == FTC_OK
		? FTC_OK : FTC_BAD_SIGNATURE;
}

/*
 * The state, unless it cannot be known any more: controls that were damaged may
 * have changed it.
 */
static void
check_state(FtcAudit *a, const Looked *b)
{
	FtcHash		root;

	if (b->header.height == 0)
		return;
	fold(a, b->header.height);
	root = ftc_state_root(&a->state);
	if (a->has_state && a->counts.faults > 0 && !ftc_hash_equal(&root, &b->header.state))
		a->has_state = false;
}

static void
check_header(FtcAudit *a, Looked *b)
{
	FtcReason	reason;

	if (b->header.height == 0 && b->file.height == 0)
	{
		check_genesis(a, b);
		return;
	}
	if (a->has_tip && a->has_state)
		/* what was taken once had come by then, whatever our clock says now */
		reason = ftc_rules_header(&b->header, &b->file.block.signature, &a->tip, &a->state, &a->genesis, b->header.time);
	else
	{
		reason = check_alone(a, b);
		a->counts.unchecked++;
	}
	if (reason != FTC_OK)
		refuse(a, &b->where, reason == FTC_BAD_SIGNATURE ? "signature" : "header", reason);
}

/* What a child would be judged by. */
static void
advance(FtcAudit *a, const Looked *b, bool sound)
{
	FtcTip		tip;

	if (sound && b->header.height == 0 && a->has_state)
	{
		ftc_rules_first_tip(&a->tip, &b->header, &a->state.params);
		a->has_tip = true;
	}
	else if (sound && a->has_tip && a->has_state && b->header.height == a->tip.height + 1)
	{
		ftc_rules_next_tip(&tip, &a->tip, &b->header, &a->state.params);
		a->tip = tip;
	}
	else
		a->has_tip = false;
	ftc_frontier_add(&a->history, &b->file.id);
	a->parent = b->file.id;
	a->has_parent = true;
}

static bool
check_manifest(FtcAudit *a, Looked *b)
{
	FtcReason	reason = ftc_manifest_decode(&b->manifest, b->file.block.manifest);

	if (reason == FTC_OK)
		reason = ftc_manifest_verify(&b->manifest, b->file.block.proof, &b->header.body, b->header.leaves);
	if (reason == FTC_OK && b->header.height > 0 && a->has_state)
		reason = ftc_rules_manifest(&b->manifest, &b->header, &a->state, &a->genesis);
	if (reason != FTC_OK)
		refuse(a, &b->where, "manifest changed", reason);
	return reason == FTC_OK;
}

static void
check_controls(FtcAudit *a, const Looked *b)
{
	FtcReader	at = b->manifest.controls;

	for (uint32_t i = 0; i < b->manifest.ncontrols; i++)
	{
		FtcControl	control;
		FtcSlice	leaf = ftc_manifest_next_control(&at, &control);
		FtcHash		id = ftc_control_digest(control.core);

		if (!ftc_seen_add(&a->controls, &id, (int64_t) b->header.height))
			refuse(a, &b->where, "control", FTC_CONTROL_TWICE);
		/* those of the genesis block are in its state */
		if (b->header.height > 0)
			add_waiting(a, b->header.height, leaf);
		a->counts.controls++;
	}
}

/* Bundles are gapless, and no seq stands twice. */
static void
check_bundles(FtcAudit *a, const Looked *b)
{
	FtcReader	at = b->manifest.bundles;

	for (uint32_t i = 0; i < b->manifest.nbundles; i++)
	{
		FtcBundle	bundle;
		FtcSignature signature;
		FtcSeenOrigin *seen;

		(void) ftc_manifest_next_bundle(&at, &bundle, &signature);
		seen = ftc_seen_origin(&a->origins, &bundle);
		if (bundle.number != seen->number + 1 && (seen->number > 0 || a->has_order))
			differ_number(a, &b->where, "bundle out of order", seen->number + 1, bundle.number);
		seen->number = bundle.number;
		if (!ftc_seen_seqs(seen, &bundle))
			refuse(a, &b->where, "entry twice", FTC_ENTRY_TWICE);
		a->counts.bundles++;
	}
}

static void
check_statements(FtcAudit *a, const Looked *b)
{
	for (size_t at = 0; at < b->file.statements.len; at += FTC_STATEMENT_LEN)
	{
		FtcSlice	statement = ftc_slice(b->file.statements.data + at, FTC_STATEMENT_LEN);
		FtcReason	reason = ftc_rules_statement(&a->state, &a->genesis, &b->file.id, statement);

		if (reason == FTC_OK)
			a->counts.statements++;
		else
		{
			FtcHash		member;
			char text[	HEX_LEN];

			memcpy(member.b, statement.data, FTC_HASH_LEN);
			fault(a, &b->where, "statement changed", hex(&member, text), ftc_reason_text(reason));
		}
	}
}

/* ----------------------------------------------------------------
 *		Bodies
 * ----------------------------------------------------------------
 */

/* A body being read. */
typedef struct Reading
{
	FtcAudit   *a;
	const Looked *b;
	FtcBodyReader reader;
	FtcFrontier whole;
	FtcReader	marks;
	uint64_t	erased;
} Reading;

#define ENTRY_LEN (HEX_LEN + 48)

/* The place of the entry that comes next. */
static Where
at_entry(const Reading *r, char text[ENTRY_LEN])
{
	Where		where = r->b->where;
	char		origin[HEX_LEN];

	snprintf(text, ENTRY_LEN, "%s/%llu/%llu", hex(&r->reader.bundle.origin, origin),
			 (unsigned long long) r->reader.bundle.incarnation, (unsigned long long) r->reader.seq);
	where.entry = text;

	return where;
}

/* Does the mark of an entry fit its leaf hash? */
static bool
has_mark(Reading *r, const FtcHash *leaf)
{
	FtcSlice	mark = ftc_get_slice(&r->marks, FTC_MARK_LEN);

	return memcmp(mark.data, leaf->b, FTC_MARK_LEN) == 0;
}

/* The entries whose marks do not fit, again from the start of a bundle. */
static void
name_entries(const Reading *start, const char *what)
{
	Reading		r = *start;
	uint32_t	count = r.reader.bundle.count;
	uint32_t	named = 0;

	for (uint32_t i = 0; i < count; i++)
	{
		char text[	ENTRY_LEN];
		Where		where = at_entry(&r, text);
		FtcHash		leaf;
		bool		is_erased;

		if (ftc_body_next_leaf(&r.reader, &leaf, &is_erased) != FTC_OK)
			return;
		if (!has_mark(&r, &leaf))
		{
			fault(r.a, &where, what, NULL, NULL);
			named++;
		}
	}
	/* which of them cannot be told: then it is the first or any after it */
	if (named == 0)
	{
		char text[	ENTRY_LEN];
		Where		where = at_entry(start, text);

		refuse(start->a, &where, "entries of a bundle changed", FTC_BAD_ROOT);
	}
}

/* The entries of one bundle; false if the body cannot be read on. */
static bool
check_bundle_entries(Reading *r)
{
	Reading		start = *r;
	FtcBundle	bundle = r->reader.bundle;
	FtcFrontier part;
	FtcHash		root;
	bool		marked = true;

	ftc_frontier_init(&part);
	for (uint32_t i = 0; i < bundle.count; i++)
	{
		char text[	ENTRY_LEN];
		FtcHash		leaf;
		bool		is_erased;
		FtcReason	reason = ftc_body_next_leaf(&r->reader, &leaf, &is_erased);

		if (reason != FTC_OK)
		{
			Where		where = at_entry(r, text);

			refuse(r->a, &where, "entry changed", reason);
			return false;
		}
		r->erased += is_erased;
		marked &= has_mark(r, &leaf);
		ftc_frontier_add(&part, &leaf);
		ftc_frontier_add(&r->whole, &leaf);
	}
	root = ftc_frontier_root(&part);
	if (!ftc_hash_equal(&root, &bundle.root))
		name_entries(&start, "entry changed");
	else if (!marked)
		name_entries(&start, "mark of an entry changed");
	return true;
}

static bool
check_entries(Reading *r)
{
	uint64_t	faults = r->a->counts.faults;
	FtcHash		root;

	ftc_frontier_init(&r->whole);
	ftc_manifest_leaves(&r->reader.manifest, &r->whole);
	while (ftc_body_more(&r->reader))
		if (!check_bundle_entries(r))
			return false;
	if (!ftc_reader_is_done(&r->reader.entries))
		refuse(r->a, &r->b->where, "body", FTC_BAD_LENGTH);
	root = ftc_frontier_root(&r->whole);
	if (faults == r->a->counts.faults && !ftc_hash_equal(&root, &r->b->header.body))
		refuse(r->a, &r->b->where, "body", FTC_BAD_ROOT);
	return faults == r->a->counts.faults;
}

static bool
same_slice(FtcSlice a, FtcSlice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void
check_body(FtcAudit *a, const Looked *b)
{
	FtcSlice	body = b->file.block.body;
	Reading		r = {.a = a,.b = b,.marks = ftc_reader(b->file.marks)};
	FtcReason	reason = ftc_body_open(&r.reader, body);

	if (reason == FTC_OK && a->has_state && body.len > a->state.params.max_body)
		reason = FTC_TOO_LARGE;
	if (reason == FTC_OK && !same_slice(r.reader.manifest.bytes, b->file.block.manifest))
		reason = FTC_BAD_BODY;
	if (reason != FTC_OK)
		refuse(a, &b->where, "body", reason);
	else if (b->file.marks.len != (size_t) b->manifest.entries * FTC_MARK_LEN)
		differ_number(a, &b->where, "marks of entries", b->manifest.entries, b->file.marks.len / FTC_MARK_LEN);
	else if (check_entries(&r))
	{
		a->counts.entries += b->manifest.entries;
		a->counts.erased += r.erased;
	}
}

/* Is the body where the file says it is? */
static void
check_presence(FtcAudit *a, const Looked *b)
{
	bool		empty = b->file.presence == FTC_PRESENCE_EMPTY;
	bool		left_out = b->file.presence == FTC_PRESENCE_LEFT_OUT;
	bool		none = a->begin.bodies == FTC_BODIES_NONE;

	if (empty != (b->manifest.entries == 0))
		fault(a, &b->where, "body", empty ? "entries" : "no entries", NULL);
	else if (!empty && (none != left_out || (a->begin.bodies == FTC_BODIES_ALL && b->file.presence != FTC_PRESENCE_HERE)))
		fault(a, &b->where, "body", "as the beginning of the file says", NULL);
}

static void
count_presence(FtcAudit *a, uint8_t presence)
{
	a->counts.bodies += presence == FTC_PRESENCE_HERE;
	a->counts.not_held += presence == FTC_PRESENCE_NOT_HELD;
	a->counts.left_out += presence == FTC_PRESENCE_LEFT_OUT;
	a->counts.damaged += presence == FTC_PRESENCE_DAMAGED;
}

/* ----------------------------------------------------------------
 *		Records
 * ----------------------------------------------------------------
 */

/* Some blocks are not here. */
static void
note_gap(FtcAudit *a, uint64_t height)
{
	Where		where = at_next(a);
	char text[	64];

	snprintf(text, sizeof(text), "blocks %llu to %llu", (unsigned long long) a->next, (unsigned long long) height - 1);
	fault(a, &where, "blocks missing", text, NULL);
	forget_parent(a);
}

static void
look(FtcAudit *a, Looked *b)
{
	bool		sound = check_header_bytes(a, b);
	bool		listed = false;
	FtcSeenId  *wanted;

	if (sound)
	{
		wanted = ftc_seen_find(&a->wanted, &b->file.id);
		if (wanted != NULL)
			wanted->number = (int64_t) b->file.height;
		check_state(a, b);
		listed = check_manifest(a, b);
		if (listed || b->header.height > 0)
			check_header(a, b);
	}
	if (listed)
	{
		check_controls(a, b);
		check_bundles(a, b);
		if (a->has_state)
			check_statements(a, b);
		check_presence(a, b);
		if (b->file.presence == FTC_PRESENCE_HERE)
			check_body(a, b);
	}
	else
		forget_order(a);
	advance(a, b, sound);
}

static void
take_block(FtcAudit *a, FtcSlice content)
{
	Looked		b = {.where = at_next(a)};
	FtcReason	reason = ftc_file_block_decode(&b.file, content);

	a->digest = ftc_file_digest_block(&a->digest, content, reason == FTC_OK ? b.file.block.body.len : 0);
	a->blocks++;
	if (reason != FTC_OK)
	{
		/* that it was the next one is likely */
		refuse(a, &b.where, "block changed", reason);
		forget_parent(a);
		a->next++;
		return;
	}
	b.where.block = &b.file.id;
	a->bodies += b.file.presence == FTC_PRESENCE_HERE;
	if (b.file.height < a->next || b.file.height > a->begin.to)
	{
		differ_number(a, &b.where, "block out of order", a->next, b.file.height);
		return;
	}
	b.where.height = b.file.height;
	if (b.file.height > a->next)
		note_gap(a, b.file.height);
	a->counts.blocks++;
	count_presence(a, b.file.presence);
	look(a, &b);
	a->next = b.file.height + 1;
}

static void
take_end(FtcAudit *a, FtcSlice content)
{
	Where		where = {0};
	FtcFileEnd	end;
	FtcReason	reason = ftc_file_end_decode(&end, content);

	if (reason != FTC_OK)
		refuse(a, &where, "end of the file", reason);
	else
	{
		if (a->next != a->begin.to + 1)
			differ_number(a, &where, "last height", a->begin.to, a->next - 1);
		if (end.blocks != a->blocks)
			differ_number(a, &where, "number of blocks", end.blocks, a->blocks);
		if (end.bodies != a->bodies)
			differ_number(a, &where, "number of bodies", end.bodies, a->bodies);
		if (a->has_parent && !ftc_hash_equal(&end.head, &a->parent))
			differ(a, &where, "last block", &end.head, &a->parent);
		if (!ftc_hash_equal(&end.digest, &a->digest))
			differ(a, &where, "digest of the file", &end.digest, &a->digest);
	}
	a->open = false;
}

void
ftc_audit_record(FtcAudit *a, uint8_t kind, FtcSlice content)
{
	Where		where = {0};

	if (kind == FTC_FILE_BEGIN)
		take_begin(a, content);
	else if (!a->open)
		fault(a, &where, "record outside of a file", NULL, NULL);
	else if (a->foreign)
		a->open = kind != FTC_FILE_END;
	else if (kind == FTC_FILE_BLOCK)
		take_block(a, content);
	else
		take_end(a, content);
}

void
ftc_audit_broken(FtcAudit *a, const char *why)
{
	Where		where = at_next(a);

	fault(a, &where, "no record here; what follows is not looked at", NULL, why);
	a->broken = true;
}

void
ftc_audit_end(FtcAudit *a)
{
	Where		where = at_next(a);
	char text[	48];

	snprintf(text, sizeof(text), "blocks up to %llu", (unsigned long long) a->begin.to);
	if (a->open && !a->broken)
		fault(a, &where, "file ends early", text, NULL);
	else if (!a->started && !a->broken)
		fault(a, &where, "file is empty", NULL, NULL);
	a->open = a->broken = false;
}

const FtcAuditCounts *
ftc_audit_counts(const FtcAudit *a)
{
	return &a->counts;
}

const FtcHash *
ftc_audit_genesis(const FtcAudit *a)
{
	return a->has_genesis ? &a->genesis : NULL;
}

const FtcHash *
ftc_audit_head(const FtcAudit *a, uint64_t *first, uint64_t *last, bool *given)
{
	if (!a->started || !a->has_parent || a->counts.blocks == 0)
		return NULL;
	*first = a->first;
	*last = a->next - 1;
	*given = a->given;
	return &a->parent;
}

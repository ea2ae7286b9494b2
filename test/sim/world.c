/*-------------------------------------------------------------------------
 *
 * world.c
 *	  The world: its memory, its members and their genesis block.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

/* ----------------------------------------------------------------
 *		Memory
 * ----------------------------------------------------------------
 */

#define CHUNK_LEN ((size_t) 1 << 18)

typedef struct Chunk
{
	struct Chunk *next;
	size_t		used;
	size_t		size;
	uint64_t	bytes[];		/* aligned */
} Chunk;

void *
world_alloc(World *w, size_t size)
{
	Chunk	   *c = w->arena;
	void	   *found;

	size = (size + 15) & ~(size_t) 15;
	if (c == NULL || c->size - c->used < size)
	{
		size_t		len = Max(size, CHUNK_LEN);

		c = calloc(1, sizeof(Chunk) + len);
		c->size = len;
		c->next = w->arena;
		w->arena = c;
	}
	found = (char *) c->bytes + c->used;
	c->used += size;
	return found;
}

FtcSlice
world_copy(World *w, FtcSlice bytes)
{
	void	   *copy = world_alloc(w, bytes.len + 1);

	if (bytes.len > 0)
		memcpy(copy, bytes.data, bytes.len);
	return ftc_slice(copy, bytes.len);
}

void *
world_grow(World *w, void *array, size_t n, size_t more, size_t each)
{
	void	   *grown = world_alloc(w, (n + more) * each);

	if (n > 0)
		memcpy(grown, array, n * each);
	return grown;
}

void
list_add(World *w, List *list, uint32_t block)
{
	if (list->n == list->size)
	{
		list->at = world_grow(w, list->at, list->size, Max(8, list->size), sizeof(uint32_t));
		list->size += Max(8, list->size);
	}
	list->at[list->n++] = block;
}

/* The order stays. */
void
list_drop(List *list, uint32_t block)
{
	uint32_t	kept = 0;

	for (uint32_t i = 0; i < list->n; i++)
		if (list->at[i] != block)
			list->at[kept++] = list->at[i];
	list->n = kept;
}

Record *
record_of(Member *m, uint32_t block)
{
	World	   *w = m->world;

	if (block >= m->nrecords)
	{
		uint32_t	size = Max(block + 1, m->nrecords + m->nrecords / 2 + 32);

		m->records = world_grow(w, m->records, m->nrecords, size - m->nrecords, sizeof(Record));
		m->nrecords = size;
	}
	return &m->records[block];
}

bool
holds(const Member *m, uint32_t bundle)
{
	return bundle / 8 < m->nheld && (m->held[bundle / 8] >> bundle % 8 & 1) != 0;
}

/* It is pending, unless the main chain has it, with another block. */
void
hold(Member *m, uint32_t bundle)
{
	World	   *w = m->world;
	const Bundle *b = &w->bundles[bundle];
	uint32_t	at = bundle / 8;

	if (holds(m, bundle))
		return;
	if (at >= m->nheld)
	{
		uint32_t	size = Max(at + 1, m->nheld + m->nheld / 2 + 16);

		m->held = world_grow(w, m->held, m->nheld, size - m->nheld, 1);
		m->nheld = size;
	}
	m->held[at] |= (uint8_t) (1 << bundle % 8);
	if (ledger_top(&w->blocks[head_of(m)], b->stream).number < b->number)
		list_add(w, &m->pending, bundle);
}

/* ----------------------------------------------------------------
 *		What happens, in words
 * ----------------------------------------------------------------
 */

void
world_trace(World *w, const char *format,...)
{
	char	   *line = w->lines[w->nlines++ % TRACE_LINES];
	size_t		size = sizeof(w->lines[0]);
	int			n = snprintf(line, size, "%12.6f  ", (double) w->now / (double) SECOND);
	va_list		args;

	va_start(args, format);
	vsnprintf(line + n, size - (size_t) n, format, args);
	va_end(args);
	if (w->printing)
		puts(line);
}

void
world_fail(World *w, const char *format,...)
{
	va_list		args;

	if (w->failure[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(w->failure, sizeof(w->failure), format, args);
	va_end(args);
	trace(w, "FAILURE: %.100s", w->failure);
}

/* ----------------------------------------------------------------
 *		Members
 * ----------------------------------------------------------------
 */

void
plan(World *w, EventKind kind, uint32_t member, uint64_t time, uint64_t what)
{
	Event		event = {.time = time,.kind = kind,.member = member,.what = what};

	queue_put(&w->queue, event);
}

static void
make_member(World *w, uint32_t no)
{
	Member	   *m = &w->members[no];
	uint8_t		name[] = {'s', 'i', 'm', (uint8_t) (no >> 24), (uint8_t) (no >> 16), (uint8_t) (no >> 8), (uint8_t) no};
	FtcHash		seed = ftc_sha256(ftc_slice(name, sizeof(name)));

	m->world = w;
	m->no = no;
	memcpy(m->seed.b, seed.b, FTC_KEY_LEN);
	if (!ftc_key_derive(&m->seed, &m->key))
		world_fail(w, "no key");
	m->id = ftc_member_id(FTC_ALGORITHM_ED25519, &m->key);
	m->hash_rate = w->settings.hash_rate / w->nmembers;
	m->up = true;
	m->boot = 1;
	m->stream = ledger_stream(w, no, SIM_EPOCH);
	list_add(w, &m->streams, m->stream);
	tree_init(m);
}

static void
add_peer(World *w, uint32_t a, uint32_t b)
{
	Member	   *m = &w->members[a];

	if (a == b || m->npeers == PEERS_MAX || peer_of(m, b) != NULL)
		return;
	m->peers[m->npeers].member = b;
	m->peers[m->npeers++].reached = NONE;
}

static void
connect_both(World *w, uint32_t a, uint32_t b)
{
	if (a == b || w->members[a].npeers == PEERS_MAX || w->members[b].npeers == PEERS_MAX)
		return;
	add_peer(w, a, b);
	add_peer(w, b, a);
}

/* All with all; or a ring, its successors, and some chords through it. */
static void
connect_members(World *w)
{
	Random		r = random_from(w->settings.seed, 2);
	uint32_t	n = (uint32_t) w->nmembers;

	for (uint32_t i = 0; i < n; i++)
		w->members[i].peers = world_alloc(w, Min(PEERS_MAX, n - 1) * sizeof(Peer));
	for (uint32_t i = 0; i < n; i++)
	{
		if (w->settings.chords == 0)
			for (uint32_t j = i + 1; j < n; j++)
				connect_both(w, i, j);
		else
		{
			connect_both(w, i, (i + 1) % n);
			connect_both(w, i, (i + 2) % n);
			for (int j = 0; j < w->settings.chords; j++)
				connect_both(w, i, (uint32_t) random_below(&r, n));
		}
	}
}

static int
compare_members(const void *a, const void *b)
{
	return ftc_hash_compare(&((const FtcMember *) a)->id, &((const FtcMember *) b)->id);
}

static void
make_state(World *w)
{
	FtcState   *s = &w->state;

	s->params = w->settings.params;
	s->nmembers = s->capacity = (uint32_t) w->nmembers;
	s->members = world_alloc(w, s->nmembers * sizeof(FtcMember));
	for (uint32_t i = 0; i < s->nmembers; i++)
	{
		FtcMember  *f = &s->members[i];

		f->id = w->members[i].id;
		f->algorithm = FTC_ALGORITHM_ED25519;
		f->key = w->members[i].key;
		f->weight = 1;
		f->flags = FTC_MEMBER_FULL;
		f->zone = ftc_slice("", 0);
		f->name = ftc_slice("m", 1);
	}
	s->members[0].flags |= FTC_MEMBER_GOVERNOR;
	qsort(s->members, s->nmembers, sizeof(FtcMember), compare_members);
	w->order = world_alloc(w, s->nmembers * sizeof(uint32_t));
	for (uint32_t i = 0; i < s->nmembers; i++)
		for (uint32_t j = 0; j < s->nmembers && !w->settings.light; j++)
			if (ftc_hash_equal(&s->members[i].id, &w->members[j].id))
				w->order[i] = j;
}

/* Who keeps which bodies; two zones. */
static void
make_ring(World *w)
{
	FtcState   *s = &w->state;
	FtcRingMember *members = world_alloc(w, s->nmembers * sizeof(FtcRingMember));

	if (w->settings.light)
		return;
	for (uint32_t i = 0; i < s->nmembers; i++)
	{
		members[i].id = s->members[i].id;
		members[i].weight = s->members[i].weight;
		members[i].zone = i % 2;
	}
	ftc_ring_build(&w->ring, members, s->nmembers,
				   world_alloc(w, ftc_ring_size(members, s->nmembers)),
				   world_alloc(w, ftc_ring_scratch_size(members, s->nmembers)));
}

/* Its body is left out: its id is what the members agree on. */
static void
found(World *w)
{
	FtcHeader	h = {0};

	h.version = FTC_HEADER_VERSION;
	h.consensus = FTC_CONSENSUS_POW;
	h.time = SIM_EPOCH;
	h.history = ftc_merkle_empty_root();
	h.bits = w->state.params.limit_bits;
	h.proposer = w->members[0].id;
	h.state = w->state_root = ftc_state_root(&w->state);
	w->genesis = ftc_header_id(&h);
	ledger_found(w, &h);
	for (int i = 0; i < w->nmembers; i++)
	{
		Member	   *m = &w->members[i];
		Record	   *r = record_of(m, 0);

		r->known = r->has_body = r->on_main = true;
		list_add(w, &m->main, 0);
	}
	oracle_founded(w);
}

World *
world_new(const Settings *settings, bool tracing, bool printing)
{
	World	   *w = calloc(1, sizeof(World));

	w->settings = *settings;
	w->tracing = tracing;
	w->printing = printing;
	w->nmembers = settings->members;
	w->chance_net = random_from(settings->seed, 3);
	w->chance_mine = random_from(settings->seed, 4);
	w->chance_fault = random_from(settings->seed, 5);
	w->chance_lie = random_from(settings->seed, 6);
	w->kernel = ftc_kernel_find("portable");
	w->scratch = malloc(SCRATCH_LEN);
	w->members = world_alloc(w, (size_t) w->nmembers * sizeof(Member));
	for (uint32_t i = 0; i < (uint32_t) w->nmembers; i++)
		make_member(w, i);
	connect_members(w);
	make_state(w);
	make_ring(w);
	found(w);
	network_init(w);
	return w;
}

void
world_free(World *w)
{
	Chunk	   *c = w->arena;

	for (int i = 0; i < w->nmembers; i++)
		free(w->members[i].walk.side.ids);
	queue_free(&w->queue);
	free(w->scratch);
	while (c != NULL)
	{
		Chunk	   *next = c->next;

		free(c);
		c = next;
	}
	free(w);
}

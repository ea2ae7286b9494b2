/*-------------------------------------------------------------------------
 *
 * faults.c
 *	  What goes wrong with members, clocks and the network as a whole.
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

typedef enum Step
{
	STEP_DIVIDE,
	STEP_HEAL,
	STEP_CRASH,
	STEP_RESTART,
	STEP_LIE,
	STEP_REST,					/* nobody appends any more */
	STEP_LEAP,					/* a day has gone by, and everybody does */
	STEP_PRUNE,
	STEP_BACKUP,
	STEP_RESTORE
} Step;

static void
next_step(World *w, Step step, uint32_t member, uint64_t mean)
{
	plan(w, EVENT_FAULT, member, w->now + random_wait(&w->chance_fault, (double) mean), step);
}

static uint32_t
anybody(World *w)
{
	return (uint32_t) random_below(&w->chance_fault, (uint64_t) w->nmembers);
}

/* ----------------------------------------------------------------
 *		Partitions
 * ----------------------------------------------------------------
 */

static void
heal(World *w)
{
	memset(w->cut, 0, (size_t) w->nmembers * (size_t) w->nmembers);
}

/* Halves, or one alone; both ways, or one of them. */
static void
divide(World *w)
{
	uint64_t	side = random_u64(&w->chance_fault);
	bool		one_way = random_chance(&w->chance_fault, 300);
	uint32_t	n = (uint32_t) w->nmembers;

	if (random_chance(&w->chance_fault, 400))
		side = UINT64_C(1) << anybody(w);
	for (uint32_t a = 0; a < n; a++)
		for (uint32_t b = 0; b < n; b++)
		{
			bool		in_a = side >> a & 1;
			bool		in_b = side >> b & 1;

			w->cut[a * n + b] = in_a != in_b && (!one_way || in_a);
		}
	trace(w, "the network divides%s, sides %llx", one_way ? " one way" : "",
		  (unsigned long long) (side & ((UINT64_C(1) << n) - 1)));
}

/* ----------------------------------------------------------------
 *		Crashes
 * ----------------------------------------------------------------
 */

void
crash(Member *m, uint64_t down)
{
	World	   *w = m->world;

	if (!m->up)
		return;
	trace(w, "%u crashes", m->no);
	m->up = false;
	m->mute = false;
	m->boot++;
	m->walk.valid = false;
	sealer_stop(m);
	plan(w, EVENT_FAULT, m->no, w->now + down, STEP_RESTART);
}

/* ----------------------------------------------------------------
 *		Backups
 * ----------------------------------------------------------------
 */

static List
list_copy(World *w, const List *list)
{
	List		copy = *list;

	copy.at = world_grow(w, list->at, list->n, 0, sizeof(uint32_t));
	copy.size = list->n;
	return copy;
}

/* The durable part of one member as another one's; arrays are copied. */
static void
copy_durable(Member *to, const Member *from)
{
	World	   *w = from->world;

	to->records = world_grow(w, from->records, from->nrecords, 0, sizeof(Record));
	to->nrecords = from->nrecords;
	to->main = list_copy(w, &from->main);
	to->incomplete = list_copy(w, &from->incomplete);
	to->wanted = list_copy(w, &from->wanted);
	to->rejected = from->rejected;
	to->nrejected = from->nrejected;
	to->outbox = world_grow(w, from->outbox, from->nrows, 0, sizeof(Row));
	to->nrows = to->rows_size = from->nrows;
	to->pruned = from->pruned;
	to->held = world_grow(w, from->held, from->nheld, 0, 1);
	to->nheld = from->nheld;
	to->pending = list_copy(w, &from->pending);
	to->peers = world_grow(w, from->peers, from->npeers, 0, sizeof(Peer));
	to->npeers = from->npeers;
}

/* When nothing waits for a bundle, so that none is made twice, and otherwise. */
static bool
back_up(Member *m)
{
	World	   *w = m->world;

	for (uint32_t i = 0; i < m->streams.n; i++)
		if (w->streams[m->streams.at[i]].appended != w->streams[m->streams.at[i]].bundled)
			return false;
	m->backup = world_alloc(w, sizeof(Member));
	m->backup->world = w;
	copy_durable(m->backup, m);
	trace(w, "%u is backed up at height %u", m->no, m->main.n - 1);
	return true;
}

/* What it has appended since is lost, but for what others have. */
static void
set_back(Member *m)
{
	World	   *w = m->world;

	copy_durable(m, m->backup);
	for (uint32_t i = 0; i < m->streams.n; i++)
	{
		Stream	   *s = &w->streams[m->streams.at[i]];

		s->lossy = true;
		s->appended = s->bundled;
	}
	m->set_back = false;
	oracle_set_back(m);
	see(w, SIGHT_RESTORED);
	trace(w, "%u is set back to height %u", m->no, m->main.n - 1);
}

/* A new run of the server: new entries have a new incarnation. */
static void
restart(Member *m)
{
	World	   *w = m->world;

	if (m->up)
		return;
	if (m->set_back)
		set_back(m);
	trace(w, "%u is there again", m->no);
	m->up = true;
	m->sealer_at = 0;
	m->stream = ledger_stream(w, m->no, SIM_EPOCH + w->now + 1);
	list_add(w, &m->streams, m->stream);
	courier_start(m);
	courier_look(m);
	sealer_look(m);
}

/* ----------------------------------------------------------------
 *		Steps
 * ----------------------------------------------------------------
 */

static void
selfish_begins(World *w)
{
	Member	   *m = &w->members[anybody(w)];

	m->selfish = m->hiding = true;
	/* up to four tenths of all */
	m->hash_rate *= (double) random_between(&w->chance_fault, 100, 100 * (uint64_t) Max(w->nmembers * 2 / 5, 2)) / 100;
}

/* It hides what it has found, until it is well ahead, or others come close. */
void
selfish_look(Member *m)
{
	World	   *w = m->world;
	uint64_t	others = 0;
	uint64_t	own = m->main.n - 1;

	if (!m->selfish || w->peace)
	{
		m->hiding = false;
		return;
	}
	for (uint32_t i = 0; i < m->nrecords; i++)
		if (m->records[i].known && !ftc_hash_equal(&w->blocks[i].header.proposer, &m->id))
			others = Max(others, w->blocks[i].header.height);
	if (!m->hiding)
		m->hiding = others >= own;
	else if (own > others && (own - others >= 4 || (own - others == 1 && own > 1)))
	{
		m->hiding = false;
		see(w, SIGHT_PUBLISHED);
		trace(w, "%u shows its branch up to height %llu", m->no, (unsigned long long) own);
		courier_look(m);
	}
}

static void
begin_skew(World *w)
{
	for (int i = 0; i < w->nmembers; i++)
		w->members[i].skew = (int64_t) random_between(&w->chance_fault, 0, 8 * SECOND) - (int64_t) (4 * SECOND);
}

void
faults_begin(World *w)
{
	const Settings *s = &w->settings;

	if (s->fault[FAULT_SKEW])
		begin_skew(w);
	if (s->fault[FAULT_HOUR])
		w->members[anybody(w)].skew = random_chance(&w->chance_fault, 500) ? (int64_t) HOUR : -(int64_t) HOUR;
	if (s->fault[FAULT_SELFISH])
		selfish_begins(w);
	if (s->fault[FAULT_WITHHOLDING])
		w->members[anybody(w)].withholds = true;
	if (s->fault[FAULT_LIAR])
	{
		uint32_t	liar = anybody(w);

		w->members[liar].lies = true;
		next_step(w, STEP_LIE, liar, 5 * SECOND);
	}
	if (s->fault[FAULT_PARTITION])
		next_step(w, STEP_DIVIDE, 0, 15 * SECOND);
	if (s->fault[FAULT_CRASH])
		next_step(w, STEP_CRASH, anybody(w), 10 * SECOND);
	if (s->fault[FAULT_STALL])
		plan(w, EVENT_FAULT, 0, s->duration / 3, STEP_REST);
	if (s->fault[FAULT_RESTORE])
		next_step(w, STEP_BACKUP, anybody(w), 15 * SECOND);
	if (s->fault[FAULT_PRUNING])
		next_step(w, STEP_PRUNE, anybody(w), 10 * SECOND);
}

void
faults_step(World *w, uint32_t member, uint64_t what)
{
	Member	   *m = &w->members[member];

	if (w->peace && what != STEP_RESTART)
		return;
	switch ((Step) what)
	{
		case STEP_DIVIDE:
			divide(w);
			next_step(w, STEP_HEAL, 0, random_between(&w->chance_fault, 2, 40) * SECOND);
			break;
		case STEP_HEAL:
			heal(w);
			trace(w, "the network is whole");
			next_step(w, STEP_DIVIDE, 0, 15 * SECOND);
			break;
		case STEP_CRASH:
			if (random_chance(&w->chance_fault, 500))
			{
				see(w, SIGHT_CRASH);
				crash(m, random_between(&w->chance_fault, 1, 20000) * MS);
			}
			else
				m->mute = m->up;	/* with the next event; see run.c */
			next_step(w, STEP_CRASH, anybody(w), 10 * SECOND);
			break;
		case STEP_RESTART:
			restart(m);
			break;
		case STEP_LIE:
			if (m->up)
				liar_lie(m);
			next_step(w, STEP_LIE, member, 5 * SECOND);
			break;
		case STEP_REST:
			w->quiet = true;
			trace(w, "nobody appends any more");
			plan(w, EVENT_FAULT, 0, w->now + 30 * SECOND, STEP_LEAP);
			break;
		case STEP_LEAP:
			w->quiet = false;
			w->leap += 24 * HOUR;
			trace(w, "a day later");
			break;
		case STEP_PRUNE:
			m->pruned = m->nrows - Min(m->nrows, random_below(&w->chance_fault, 4));
			next_step(w, STEP_PRUNE, anybody(w), 10 * SECOND);
			break;
		case STEP_BACKUP:
			if (m->up && back_up(m))
				next_step(w, STEP_RESTORE, member, 15 * SECOND);
			else
				next_step(w, STEP_BACKUP, anybody(w), 3 * SECOND);
			break;
		case STEP_RESTORE:
			m->set_back = m->up;
			crash(m, 2 * SECOND);
			next_step(w, STEP_BACKUP, anybody(w), 15 * SECOND);
			break;
	}
}

/* Clocks are put right, and everybody is there. */
void
faults_end(World *w)
{
	trace(w, "no more faults");
	w->peace = true;
	w->quiet = false;
	heal(w);
	for (int i = 0; i < w->nmembers; i++)
	{
		Member	   *m = &w->members[i];

		m->skew = 0;
		m->hiding = m->selfish = m->mute = false;
		m->hash_rate = w->settings.hash_rate / w->nmembers;
		restart(m);
		courier_look(m);
	}
}

/*-------------------------------------------------------------------------
 *
 * faults.c
 *	  What goes wrong with the ends.
 *
 * A crash takes what is volatile.  It comes at any time, or with the next
 * transaction: before its commit, or after it and before anything of it leaves.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

typedef enum Step
{
	STEP_CUT,
	STEP_CRASH_SOURCE,
	STEP_CRASH_SINK,
	STEP_START_SOURCE,
	STEP_START_SINK,
	STEP_BACKUP_SOURCE,
	STEP_BACKUP_SINK,
	STEP_RESTORE_SOURCE,
	STEP_RESTORE_SINK,
	STEP_PRUNE,
	STEP_FULL,
	STEP_BUSY,
	STEP_RESEND
} Step;

static uint64_t
wait_about(World *w, uint64_t mean)
{
	return w->now + random_wait(&w->chance_fault, (double) mean);
}

static void
next_step(World *w, Step step, uint64_t mean)
{
	plan(w, EVENT_FAULT, wait_about(w, mean), step);
}

/* ----------------------------------------------------------------
 *		Crashes and backups
 * ----------------------------------------------------------------
 */

static uint64_t
downtime(World *w)
{
	return w->now + random_between(&w->chance_fault, 1, random_chance(&w->chance_fault, 300) ? 8000 : 200) * MS;
}

/*
 * Some more of them may have been written by chance; and those that were
 * acknowledged, if that was.
 */
static void
lose_positions(World *w)
{
	uint64_t	acked = w->source.begun ? w->source.base + w->source.end.next - 1 : 0;
	uint64_t	from = random_between(&w->chance_fault, Max(acked, w->source.written), w->source.n);

	if (from + 1 >= w->source.n)
		return;
	see(w, SIGHT_UNNUMBERED);
	trace(w, "messages behind %llu get other positions", (unsigned long long) from);
	source_forget_positions(&w->source, from, &w->chance_fault);
	oracle_unnumbered(w, from);
}

void
crash_source(World *w)
{
	if (!w->source_up)
		return;
	see(w, SIGHT_CRASH_SOURCE);
	trace(w, "the sender crashes");
	if (w->settings.users && w->settings.fault[FAULT_UNNUMBERING])
		lose_positions(w);
	w->source_up = false;
	w->crash_source = CRASH_NOT;
	w->connection++;
	plan(w, EVENT_FAULT, downtime(w), STEP_START_SOURCE);
}

void
crash_sink(World *w)
{
	if (!w->sink_up)
		return;
	see(w, SIGHT_CRASH_SINK);
	trace(w, "the receiver crashes");
	w->sink_up = false;
	w->crash_sink = CRASH_NOT;
	w->boot++;
	path_reset(w);
	if (w->settings.fault[FAULT_FORGETTING])
		sink_forget_held(&w->sink);
	plan(w, EVENT_FAULT, downtime(w), STEP_START_SINK);
}

/* With a transaction, or at once. */
static Crash
which_crash(World *w)
{
	return (Crash) random_below(&w->chance_fault, 3);
}

static void
back_up_source(World *w)
{
	if (w->nsource_backups == BACKUPS_MAX)
		memmove(w->source_backups, w->source_backups + 1, sizeof(Source) * (size_t) --w->nsource_backups);
	w->source.written = w->source.n;
	w->source_backups[w->nsource_backups++] = w->source;
}

static void
back_up_sink(World *w)
{
	if (w->nsink_backups == BACKUPS_MAX)
		memmove(w->sink_backups, w->sink_backups + 1, sizeof(Sink) * (size_t) --w->nsink_backups);
	w->sink_backups[w->nsink_backups++] = w->sink;
}

/*
 * Backups of what came after that one are of a time that has never been: nobody
 * restores them.
 */
static void
restore_source(World *w)
{
	int			which = (int) random_below(&w->chance_fault, (uint64_t) w->nsource_backups);

	if (w->nsource_backups == 0 || w->incarnations == INCARNATIONS - 1)
		return;
	crash_source(w);
	w->source = w->source_backups[which];
	w->nsource_backups = which + 1;
	w->incarnations++;
	w->heard_since = false;
	w->restores_source++;
	see(w, SIGHT_RESTORED_SOURCE);
	trace(w, "the sender is restored: it has %u messages, is at %llu of epoch %llu", w->source.n,
		  (unsigned long long) w->source.end.next, (unsigned long long) w->source.end.epoch);
	oracle_restored(w);
}

static void
restore_sink(World *w)
{
	int			which = (int) random_below(&w->chance_fault, (uint64_t) w->nsink_backups);

	if (w->nsink_backups == 0)
		return;
	crash_sink(w);
	w->sink = w->sink_backups[which];
	w->nsink_backups = which + 1;
	w->restores_sink++;
	see(w, SIGHT_RESTORED_SINK);
	trace(w, "the receiver is restored: it is at %llu of epoch %llu", (unsigned long long) w->sink.receiver.end.next,
		  (unsigned long long) w->sink.receiver.end.epoch);
	oracle_restored(w);
}

/* ----------------------------------------------------------------
 *		Steps
 * ----------------------------------------------------------------
 */

/*
 * What is kept is kept for longer than it takes a restored sender to hear from
 * its receiver.
 */
static void
prune(World *w)
{
	if (!w->settings.users || w->heard_since)
		source_prune(&w->source, random_below(&w->chance_fault, 8));
	trace(w, "the log begins at %llu", (unsigned long long) w->source.horizon);
}

static void
resend(World *w)
{
	if (!w->settings.users || !w->source_up)
		return;
	see(w, SIGHT_RESENT);
	trace(w, "an operator begins an epoch at %llu", (unsigned long long) w->source.horizon);
	oracle_excuse(w);
	source_resend(&w->source);
	line_look(w);
}

void
faults_begin(World *w)
{
	static const struct
	{
		Fault		fault;
		Step		step;
		uint64_t	mean;
	}			first[] = {
		{FAULT_CUT, STEP_CUT, 3 * SECOND},
		{FAULT_CRASH_SOURCE, STEP_CRASH_SOURCE, 5 * SECOND},
		{FAULT_CRASH_SINK, STEP_CRASH_SINK, 5 * SECOND},
		{FAULT_RESTORE_SOURCE, STEP_BACKUP_SOURCE, 1 * SECOND},
		{FAULT_RESTORE_SOURCE, STEP_RESTORE_SOURCE, 12 * SECOND},
		{FAULT_RESTORE_SINK, STEP_BACKUP_SINK, 1 * SECOND},
		{FAULT_RESTORE_SINK, STEP_RESTORE_SINK, 12 * SECOND},
		{FAULT_PRUNING, STEP_PRUNE, 4 * SECOND},
		{FAULT_FULL, STEP_FULL, 5 * SECOND},
		{FAULT_BUSY, STEP_BUSY, 5 * SECOND},
		{FAULT_RESEND, STEP_RESEND, 15 * SECOND},
	};

	for (size_t i = 0; i < lengthof(first); i++)
		if (w->settings.fault[first[i].fault])
			next_step(w, first[i].step, first[i].mean);
}

static void
start(World *w, Step step)
{
	if (step == STEP_START_SINK)
		w->sink_up = true;
	else if (!w->source_up)
	{
		w->source_up = true;
		line_start(w);
	}
}

static void
crash_somehow(World *w, Step step)
{
	Crash		crash = which_crash(w);

	if (step == STEP_CRASH_SOURCE && crash == CRASH_NOT)
		crash_source(w);
	else if (step == STEP_CRASH_SOURCE)
		w->crash_source = crash;
	else if (crash == CRASH_NOT)
		crash_sink(w);
	else
		w->crash_sink = crash;
}

void
faults_step(World *w, uint64_t what)
{
	Step		step = (Step) what;

	if (step == STEP_START_SOURCE || step == STEP_START_SINK)
	{
		start(w, step);
		return;
	}
	if (w->peace)
		return;
	switch (step)
	{
		case STEP_CUT:
			line_cut(w, 0);
			line_look(w);
			next_step(w, step, 3 * SECOND);
			break;
		case STEP_CRASH_SOURCE:
		case STEP_CRASH_SINK:
			crash_somehow(w, step);
			next_step(w, step, 5 * SECOND);
			break;
		case STEP_BACKUP_SOURCE:
			back_up_source(w);
			next_step(w, step, 2 * SECOND);
			break;
		case STEP_BACKUP_SINK:
			back_up_sink(w);
			next_step(w, step, 2 * SECOND);
			break;
		case STEP_RESTORE_SOURCE:
			restore_source(w);
			next_step(w, step, 12 * SECOND);
			break;
		case STEP_RESTORE_SINK:
			restore_sink(w);
			next_step(w, step, 12 * SECOND);
			break;
		case STEP_PRUNE:
			prune(w);
			next_step(w, step, 4 * SECOND);
			break;
		case STEP_FULL:
			w->full = !w->full;
			next_step(w, step, w->full ? 1 * SECOND : 5 * SECOND);
			break;
		case STEP_BUSY:
			w->busy = !w->busy;
			next_step(w, step, w->busy ? 1 * SECOND : 5 * SECOND);
			break;
		case STEP_RESEND:
			resend(w);
			next_step(w, step, 15 * SECOND);
			break;
		case STEP_START_SOURCE:
		case STEP_START_SINK:
			break;
	}
}

void
faults_end(World *w)
{
	trace(w, "no more faults");
	w->peace = true;
	w->full = w->busy = false;
	w->crash_source = w->crash_sink = CRASH_NOT;
}

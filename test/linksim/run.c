/*-------------------------------------------------------------------------
 *
 * run.c
 *	  One seed: a while with faults, and then a while without, in which all must
 *	  arrive.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

void
plan(World *w, EventKind kind, uint64_t time, uint64_t what)
{
	Event		event = {.time = time,.kind = kind,.what = what};

	queue_put(&w->queue, event);
}

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
 *		Events
 * ----------------------------------------------------------------
 */

static void
append(World *w)
{
	uint64_t	n = random_between(&w->chance_work, 1, w->settings.batch);

	if (w->appended >= w->settings.messages)
		return;
	plan(w, EVENT_APPEND, w->now + random_wait(&w->chance_work, w->settings.append_mean), 0);
	if (!w->source_up)
		return;
	for (; n > 0 && w->appended < w->settings.messages; n--)
	{
		source_append(&w->source, w->incarnations);
		w->appended++;
		w->sights.messages++;
	}
	line_look(w);
}

static void
handle(World *w, const Event *event)
{
	w->sights.events++;
	switch ((EventKind) event->kind)
	{
		case EVENT_PACKET:
			path_take(w, event->packet);
			if (w->drained_at == 0 && w->appended == w->settings.messages && oracle_is_done(w))
				w->drained_at = w->now;
			break;
		case EVENT_TIMER:
			line_timer(w, event->time);
			break;
		case EVENT_APPEND:
			append(w);
			break;
		case EVENT_FAULT:
			faults_step(w, event->what);
			break;
		case EVENT_PEACE:
			faults_end(w);
			break;
	}
}

static void
run_until(World *w, uint64_t time)
{
	Event		event;

	while (w->failure[0] == '\0' && w->queue.n > 0 && w->queue.events[0].time <= time)
	{
		(void) queue_take(&w->queue, &event);
		w->now = event.time;
		handle(w, &event);
	}
	w->now = Max(w->now, time);
}

/* ----------------------------------------------------------------
 *		A world
 * ----------------------------------------------------------------
 */

static World *
world_new(const Settings *settings, bool tracing, bool printing)
{
	World	   *w = calloc(1, sizeof(World));

	w->settings = *settings;
	w->tracing = tracing;
	w->printing = printing;
	w->chance_net = random_from(settings->seed, 3);
	w->chance_work = random_from(settings->seed, 4);
	w->chance_fault = random_from(settings->seed, 5);
	w->values = calloc(VALUES_MAX, sizeof(uint64_t));
	w->source.users = settings->users;
	w->source.horizon = 1;
	w->source_up = w->sink_up = true;
	w->sender = (Sender)
	{
		&w->source, &w->sending, settings->call_bytes, settings->message_bytes
	};
	sink_init(&w->sink, settings->users);
	return w;
}

void
world_free(World *w)
{
	queue_free(&w->queue);
	free(w->values);
	free(w);
}

/*
 * How long after the last fault: what is held back waits for up to 15 s, and then
 * all that is left has to get through, and back.
 */
static uint64_t
bound_of(const World *w)
{
	const Settings *s = &w->settings;
	double		bytes = (double) s->message_bytes * LOG_MAX;

	return 60 * SECOND + (uint64_t) (2 * bytes / s->rate) + LOG_MAX * (s->work + s->delay_min / 4);
}

static void
drain(World *w)
{
	uint64_t	end = w->now + bound_of(w);

	while (w->failure[0] == '\0' && w->now < end && !oracle_is_done(w))
		run_until(w, w->now + SECOND);
}

static void
must_arrive(World *w)
{
	/* who is stopped is helped */
	run_until(w, w->settings.duration + 40 * SECOND);
	if (w->sending.sender.state == FTC_SENDER_RESYNC)
	{
		trace(w, "an operator begins an epoch at %llu", (unsigned long long) w->source.horizon);
		see(w, SIGHT_RESENT);
		oracle_excuse(w);
		source_resend(&w->source);
	}
	drain(w);
	/* a call of another life may have come since; now both ends must notice */
	for (int i = 0; i < 3; i++)
		source_append(&w->source, w->incarnations);
	line_look(w);
	drain(w);
	if (w->failure[0] == '\0')
		oracle_end(w);
}

World *
run_world(const Settings *settings, bool tracing, bool printing)
{
	World	   *w = world_new(settings, tracing, printing);

	faults_begin(w);
	plan(w, EVENT_APPEND, 0, 0);
	plan(w, EVENT_PEACE, settings->duration, 0);
	line_start(w);
	must_arrive(w);
	return w;
}

Result
run_seed(const Settings *settings, bool printing)
{
	World	   *w = run_world(settings, printing, printing);
	Result		result = {.passed = w->failure[0] == '\0',.sights = w->sights,.drained_at = w->drained_at};

	for (uint64_t i = 0; i < w->source.n; i++)
		result.bytes += source_size(&w->sender, w->source.log[i]);
	memcpy(result.failure, w->failure, sizeof(result.failure));
	world_free(w);
	return result;
}

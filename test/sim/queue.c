/*-------------------------------------------------------------------------
 *
 * queue.c
 *	  Events in the order of their time, and of those of one time in the order
 *	  in which they were planned: a binary heap.
 *
 *-------------------------------------------------------------------------
 */
#include "queue.h"

#include <stdlib.h>

static bool
is_before(const Event *a, const Event *b)
{
	return a->time != b->time ? a->time < b->time : a->order < b->order;
}

void
queue_put(Queue *queue, Event event)
{
	size_t		at = queue->n++;

	if (queue->n > queue->size)
	{
		queue->size = queue->size == 0 ? 1024 : 2 * queue->size;
		queue->events = realloc(queue->events, queue->size * sizeof(Event));
	}
	event.order = queue->order++;
	while (at > 0 && is_before(&event, &queue->events[(at - 1) / 2]))
	{
		queue->events[at] = queue->events[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	queue->events[at] = event;
}

bool
queue_take(Queue *queue, Event *event)
{
	Event		last;
	size_t		at = 0;

	if (queue->n == 0)
		return false;
	*event = queue->events[0];
	last = queue->events[--queue->n];
	while (2 * at + 1 < queue->n)
	{
		size_t		child = 2 * at + 1;

		if (child + 1 < queue->n && is_before(&queue->events[child + 1], &queue->events[child]))
			child++;
		if (!is_before(&queue->events[child], &last))
			break;
		queue->events[at] = queue->events[child];
		at = child;
	}
	if (queue->n > 0)
		queue->events[at] = last;
	return true;
}

void
queue_free(Queue *queue)
{
	for (size_t i = 0; i < queue->n; i++)
		free(queue->events[i].packet);
	free(queue->events);
}

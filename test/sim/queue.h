/*-------------------------------------------------------------------------
 *
 * queue.h
 *	  Events in the order of their time, and of those of one time in the order
 *	  in which they were planned.
 *
 *-------------------------------------------------------------------------
 */
#ifndef QUEUE_H
#define QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Event
{
	uint64_t	time;
	uint64_t	order;			/* among those of one time */
	int			kind;			/* an EventKind */
	uint32_t	member;
	uint64_t	what;			/* by kind */
	void	   *packet;			/* allocated; whoever handles it frees it */
} Event;

typedef struct Queue
{
	Event	   *events;
	size_t		n;
	size_t		size;
	uint64_t	order;
} Queue;

extern void queue_put(Queue *queue, Event event);
extern bool queue_take(Queue *queue, Event *event);
extern void queue_free(Queue *queue);

#endif							/* QUEUE_H */

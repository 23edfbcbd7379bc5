/*
 * Text on its way to a slow line: a ring of bytes. What is put in is whole or not at all, with each
 * "\n" as "\r\n"; what comes out is as much as the line takes at the moment. Pure: tested on Linux.
 * Locks: the caller's. One that reads without (a panic) sees whole bytes, for they are written
 * before the count is.
 */
#ifndef HV_MONITOR_SEND_QUEUE_H
#define HV_MONITOR_SEND_QUEUE_H

#include "mm/base/types.h"

#define SEND_QUEUE_BYTES 131072u

struct send_queue {
	u64 put, taken; /* bytes ever */
	u8 ring[SEND_QUEUE_BYTES];
};

static inline size_t send_queue_bytes(const struct send_queue *q)
{
	return (size_t)(__atomic_load_n(&q->put, __ATOMIC_ACQUIRE) -
			__atomic_load_n(&q->taken, __ATOMIC_ACQUIRE));
}

static inline size_t send_queue_room(const struct send_queue *q)
{
	return SEND_QUEUE_BYTES - send_queue_bytes(q);
}

/* Returns false, with nothing put, if there is not room for all of it. Cost: O(bytes). */
must_check bool send_queue_put(struct send_queue *q, const char *text, size_t bytes);

/* Copy the oldest bytes, @most at most, and leave them in. Returns how many. */
size_t send_queue_peek(const struct send_queue *q, u8 *to, size_t most);

/* So many of the oldest are sent. */
void send_queue_take(struct send_queue *q, size_t bytes);

#endif

/* Text on its way to a slow line. */
#include "hv/monitor/send_queue.h"

bool send_queue_put(struct send_queue *q, const char *text, size_t bytes)
{
	size_t need = bytes;
	u64 at = q->put;

	for (size_t i = 0; i < bytes; i++)
		need += text[i] == '\n';
	if (need > send_queue_room(q))
		return false;
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\n')
			q->ring[at++ % SEND_QUEUE_BYTES] = '\r';
		q->ring[at++ % SEND_QUEUE_BYTES] = (u8)text[i];
	}
	__atomic_store_n(&q->put, at, __ATOMIC_RELEASE);
	return true;
}

size_t send_queue_peek(const struct send_queue *q, u8 *to, size_t most)
{
	size_t bytes = min(send_queue_bytes(q), most);

	for (size_t i = 0; i < bytes; i++)
		to[i] = q->ring[(q->taken + i) % SEND_QUEUE_BYTES];
	return bytes;
}

void send_queue_take(struct send_queue *q, size_t bytes)
{
	__atomic_store_n(&q->taken, q->taken + bytes, __ATOMIC_RELEASE);
}

/*
 * Each VM's log is a ring; of each technique the newest entry is extended as long as its cause
 * stays, so that an hour of ballooning is one entry.
 */
#include "hv/memsched_log.h"
#include "mm/memsched.h"
#include "mm/space.h"

const char *memory_cause_name(enum memory_cause cause)
{
	static const char *const names[MEMORY_CAUSE_COUNT] = {
		[MEMORY_NOTHING] = "-",
		[MEMORY_GRANT] = "above what it was granted so far",
		[MEMORY_LIMIT] = "above its limit",
		[MEMORY_ENTITLEMENT] = "memory is short, and it is above its entitlement",
		[MEMORY_PLENTY] = "there is memory for it again",
	};

	return cause < MEMORY_CAUSE_COUNT ? names[cause] : "?";
}

const char *memory_technique_name(enum memory_technique technique)
{
	static const char *const names[MEMORY_TECHNIQUE_COUNT] = {
		[MEMORY_BALLOON_UP] = "balloon up",
		[MEMORY_BALLOON_DOWN] = "balloon down",
		[MEMORY_EVICT] = "evict",
		[MEMORY_FETCH] = "fetch",
		[MEMORY_BLOCK] = "block",
	};

	return technique < MEMORY_TECHNIQUE_COUNT ? names[technique] : "?";
}

static struct memory_order *newest(struct vm_memory *m, enum memory_technique technique)
{
	for (u64 back = 1; back <= min(m->order_count, (u64)MEMORY_ORDERS); back++) {
		struct memory_order *order = &m->log[(m->order_count - back) % MEMORY_ORDERS];

		if (order->technique == technique)
			return order;
	}
	return NULL;
}

/* Of pages that left @space so far: by compression, those of one value among them. */
static u64 zipped(const struct space_stats *s)
{
	return stats_get(&s->evicted_zip) + stats_get(&s->evicted_fill) +
	       stats_get(&s->evicted_zero);
}

static void begin(struct vm_memory *m, const struct space_stats *s, u64 now,
	enum memory_technique technique, enum memory_cause cause)
{
	m->log[m->order_count++ % MEMORY_ORDERS] = (struct memory_order){
		.from_ns = now,
		.cause = cause,
		.technique = technique,
		.state = memsched_state(),
		.zipped_before = zipped(s),
		.written_before = stats_get(&s->evicted_swap),
		.clean_before = stats_get(&s->evicted_clean),
	};
}

void memsched_log_note(struct vm_memory *m, const struct space *space, u64 now,
	enum memory_technique technique, enum memory_cause cause, u64 pages)
{
	enum memory_cause before = m->cause[technique];
	struct memory_order *order;

	m->cause[technique] = cause;
	if (cause && cause != before)
		begin(m, &space->stats, now, technique, cause);
	/* What came of the last decision belongs to it, whatever this one is. */
	order = cause || before ? newest(m, technique) : NULL;
	if (!order)
		return;
	order->to_ns = now;
	order->pages = max(order->pages, pages);
	if (technique != MEMORY_EVICT)
		return;
	order->zipped = zipped(&space->stats) - order->zipped_before;
	order->written = stats_get(&space->stats.evicted_swap) - order->written_before;
	order->clean = stats_get(&space->stats.evicted_clean) - order->clean_before;
}

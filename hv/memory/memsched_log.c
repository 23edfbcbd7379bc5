/*
 * Each VM's log is a ring; of each technique the newest entry is extended as long as its cause
 * stays, so that an hour of ballooning is one entry.
 */
#include "hv/memory/memsched_log.h"
#include "mm/memsched/memsched.h"
#include "mm/space/space.h"

const char *memory_cause_name(enum memory_cause cause)
{
	static const char *const names[MEMORY_CAUSE_COUNT] = {
		[MEMORY_NOTHING] = "-",
		[MEMORY_GRANT] = "above what it was granted so far",
		[MEMORY_LIMIT] = "above its limit",
		[MEMORY_ENTITLEMENT] = "memory is short, and it is above its entitlement",
		[MEMORY_PLENTY] = "there is memory for it again",
		[MEMORY_COMMAND] = "by command",
		[MEMORY_NO_FRAME] = "a fault found no free memory",
		[MEMORY_EXCHANGE] = "in exchange for pages that it got",
	};

	return cause < MEMORY_CAUSE_COUNT ? names[cause] : "?";
}

const char *memory_technique_name(enum memory_technique technique)
{
	static const char *const names[MEMORY_TECHNIQUE_COUNT] = {
		[MEMORY_BALLOON_UP] = "balloon up",
		[MEMORY_BALLOON_DOWN] = "balloon down",
		[MEMORY_EVICT] = "evict",
		[MEMORY_EVICT_COMMAND] = "evict",
		[MEMORY_EVICT_FAULT] = "evict",
		[MEMORY_EVICT_EXCHANGE] = "evict",
		[MEMORY_FETCH] = "fetch",
		[MEMORY_BLOCK] = "block",
	};

	return technique < MEMORY_TECHNIQUE_COUNT ? names[technique] : "?";
}

static struct memory_order *newest(struct vm_memory *m, enum memory_technique technique)
{
	for (u64 back = 1; back <= memsched_log_count(m); back++) {
		struct memory_order *order = &m->log[(m->order_count - back) % MEMORY_ORDERS];

		if (order->technique == technique)
			return order;
	}
	return NULL;
}

/* Of pages that left @space so far: by compression, those of one value among them. */
static struct memory_gone gone_so_far(const struct space *space)
{
	return (struct memory_gone){
		.zipped = space_counted(space, evicted_zip) + space_counted(space, evicted_fill) +
			  space_counted(space, evicted_zero),
		.written = space_counted(space, evicted_swap),
		.clean = space_counted(space, evicted_clean),
		.shared = space_counted(space, evicted_shared),
	};
}

static void begin(struct vm_memory *m, u64 from_ns, enum memory_technique technique,
	enum memory_cause cause, struct memory_gone gone_before)
{
	m->log[m->order_count++ % MEMORY_ORDERS] = (struct memory_order){
		.from_ns = from_ns,
		.cause = cause,
		.technique = technique,
		.state = memsched_state(),
		.gone_before = gone_before,
	};
}

/* @from_ns, @gone_before: when an entry that is new began, and what had gone then. */
static void note(struct vm_memory *m, const struct space *space, u64 now,
	enum memory_technique technique, enum memory_cause cause, u64 pages, u64 from_ns,
	struct memory_gone gone_before)
{
	enum memory_cause before = m->cause[technique];
	struct memory_order *order;

	m->cause[technique] = cause;
	if (cause && cause != before)
		begin(m, from_ns, technique, cause, gone_before);
	/* What came of the last decision belongs to it, whatever this one is. */
	order = cause || before ? newest(m, technique) : NULL;
	if (!order)
		return;
	order->to_ns = now;
	order->pages = max(order->pages, pages);
	order->gone_after = gone_so_far(space);
}

void memsched_log_begin(struct vm_memory *m, const struct space *space, u64 now)
{
	m->looked_ns = now;
	m->gone = gone_so_far(space);
	m->for_faults.pages = space_counted(space, taken_for_faults);
	m->in_exchange.pages = space_counted(space, taken_in_exchange);
}

void memsched_log_note(struct vm_memory *m, const struct space *space, u64 now,
	enum memory_technique technique, enum memory_cause cause, u64 pages)
{
	note(m, space, now, technique, cause, pages, now, gone_so_far(space));
}

static void note_taken(struct vm_memory *m, const struct space *space, u64 now,
	enum memory_technique technique, enum memory_cause cause, struct memory_taken *taken,
	u64 pages)
{
	if (pages == taken->pages)
		cause = MEMORY_NOTHING;
	else if (!m->cause[technique])
		taken->begin_pages = taken->pages;
	taken->pages = pages;
	note(m, space, now, technique, cause, pages - taken->begin_pages, m->looked_ns, m->gone);
}

void memsched_log_note_faults(struct vm_memory *m, const struct space *space, u64 now)
{
	note_taken(m, space, now, MEMORY_EVICT_FAULT, MEMORY_NO_FRAME, &m->for_faults,
		space_counted(space, taken_for_faults));
	note_taken(m, space, now, MEMORY_EVICT_EXCHANGE, MEMORY_EXCHANGE, &m->in_exchange,
		space_counted(space, taken_in_exchange));
	m->looked_ns = now;
	m->gone = gone_so_far(space);
}

bool memsched_log_span(const struct vm_memory *m, u64 back, struct memory_span *span)
{
	const struct memory_order *order = memsched_log_entry(m, back);

	if (!span->to_ns || order->from_ns < span->from_ns) {
		span->from_ns = order->from_ns;
		span->gone_before = order->gone_before;
	}
	if (order->to_ns > span->to_ns) {
		span->to_ns = order->to_ns;
		span->gone_after = order->gone_after;
	}
	for (u64 older = back + 1; older < memsched_log_count(m); older++) {
		order = memsched_log_entry(m, older);
		if (memory_technique_evicts(order->technique) && order->to_ns > span->from_ns)
			return false;
	}
	return true;
}

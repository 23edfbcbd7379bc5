/* What was ordered for a VM, and why: its last orders, each with what came of it. */
#ifndef HV_MEMORY_MEMSCHED_LOG_H
#define HV_MEMORY_MEMSCHED_LOG_H

#include "hv/memory/memsched_host.h"

struct space;

/* @memory, zeroed, is that of a VM that begins in @space, which may have been used before. */
void memsched_log_begin(struct vm_memory *memory, const struct space *space, u64 now);

/* At @now: @pages are ordered; @cause is MEMORY_NOTHING where nothing of the kind is. Locks: the
 * lives lock, as for all of struct vm_memory. */
void memsched_log_note(struct vm_memory *memory, const struct space *space, u64 now,
	enum memory_technique technique, enum memory_cause cause, u64 pages);

/* Once a second: what faults have taken from the VM since. */
void memsched_log_note_faults(struct vm_memory *memory, const struct space *space, u64 now);

/* Entries that are kept, and that which is @back before the newest. */
static inline u64 memsched_log_count(const struct vm_memory *memory)
{
	return min(memory->order_count, (u64)MEMORY_ORDERS);
}

static inline const struct memory_order *memsched_log_entry(
	const struct vm_memory *memory, u64 back)
{
	return &memory->log[(memory->order_count - 1 - back) % MEMORY_ORDERS];
}

/* A stretch of time in which entries that evict lie, and what had left memory at both its ends.
 * Begins as zeros. */
struct memory_span {
	u64 from_ns, to_ns;
	struct memory_gone gone_before, gone_after;
};

/* Puts the entry that is @back before the newest, one that evicts, into @span, which has the newer
 * ones: who evicted what is not counted, so entries that overlap tell together what went. Returns
 * whether the older ones lie in other spans: all had ended when this one began. */
bool memsched_log_span(const struct vm_memory *memory, u64 back, struct memory_span *span);

static inline bool memory_technique_evicts(enum memory_technique technique)
{
	return technique == MEMORY_EVICT || technique >= MEMORY_EVICT_COMMAND;
}

#endif

/* What was ordered for a VM, and why: its last orders, each with what came of it. */
#ifndef HV_MEMSCHED_LOG_H
#define HV_MEMSCHED_LOG_H

#include "hv/memsched_host.h"

struct space;

/* At @now: @cause is MEMORY_NOTHING where nothing of the kind is ordered. Locks: one of the loop's
 * turn, as for all of struct vm_memory. */
void memsched_log_note(struct vm_memory *memory, const struct space *space, u64 now,
	enum memory_technique technique, enum memory_cause cause, u64 pages);

/* Once a second: what faults have taken from the VM since. */
void memsched_log_note_faults(struct vm_memory *memory, const struct space *space, u64 now);

static inline bool memory_technique_evicts(enum memory_technique technique)
{
	return technique == MEMORY_EVICT || technique >= MEMORY_EVICT_COMMAND;
}

#endif

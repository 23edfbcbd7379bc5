/* What was ordered for a VM, and why: its last orders, each with what came of it. */
#ifndef HV_MEMSCHED_LOG_H
#define HV_MEMSCHED_LOG_H

#include "hv/memsched_host.h"

struct space;

/* For VM @vm of a decision at @now: @cause is MEMORY_NOTHING where nothing of the kind is ordered.
 */
void memsched_log_note(struct vm_memory *memory, const struct space *space, u64 now,
	enum memory_technique technique, enum memory_cause cause, u64 pages);

#endif

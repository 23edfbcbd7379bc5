/*
 * What a vCPU needs to finish one instruction is not taken from it again before it has: the last
 * pages brought in for each vCPU are protected from eviction until it has moved on.
 *
 * One instruction can need some 25 pages (guest tables, code, operands, IDT, TSS, stack), each of
 * which may have to be fetched. Without this, memory shorter than that would have the vCPU fetch
 * them in turn for ever. A page is entered under its region's lock, so that whoever evicts under
 * the same lock sees it.
 */
#ifndef MM_FAULT_FAULT_GUARD_H
#define MM_FAULT_FAULT_GUARD_H

#include "mm/base/types.h"
#include "mm/base/err.h"

struct space;

#define FAULT_GUARD_PAGES 32u

/* One vCPU's; a space has as many as vCPUs. */
struct fault_guard {
	u64 pages[FAULT_GUARD_PAGES]; /* [a] page number + 1; 0: none */
	u32 next;                     /* the CPU that runs this vCPU */
} __attribute__((aligned(CACHE_LINE_BYTES)));

/* Room for every CPU, after frame_init_cpus(). Returns E_NOMEM. */
must_check err_t fault_guard_init_cpus(void);

/*
 * From now on this CPU answers faults and pins pages for vCPU @index of @space; NULL: for nobody.
 * The space outlives that.
 */
void fault_guard_use(struct space *space, u32 index);

/* The vCPU that this CPU answers for has moved on: nothing is protected for it any more. */
void fault_guard_moved_on(void);

/* @gfn of @space came in: if this CPU answers for one of its vCPUs, protect it. Region held. */
void fault_guard_add(struct space *space, gfn_t gfn);

/* Region held. Cost: O(vCPUs). */
bool fault_guard_covers(const struct space *space, gfn_t gfn);

#endif

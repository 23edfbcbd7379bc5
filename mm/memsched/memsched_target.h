/*
 * What is to be done: by which technique, from which VM, how many pages.
 *
 * A VM's demand is what its guest has in memory, plus what was taken and could come back; it does
 * not change when the hypervisor moves pages between frames, cache, disk and balloon, and so
 * neither does the division of what there is. What of its demand a VM is not entitled to must be
 * outside: in the balloon as far as that works, else compressed or swapped. How much of that
 * happens now is the state's to say: high, clear  nothing is taken, but for what is above a limit;
 *   soft         balloons inflate; who has none that works is evicted from;
 *   hard         all above their entitlements are evicted from as well, until half of soft is free;
 *   low          and they stand still until they are below.
 * Sharing comes before all of these and never stops; the scanner has clocks of its own. The way
 * back goes the other way: balloons deflate, and what is still out is fetched ahead of need, from
 * memory that nobody is short of. All pure.
 */
#ifndef MM_MEMSCHED_MEMSCHED_TARGET_H
#define MM_MEMSCHED_MEMSCHED_TARGET_H

#include "mm/memsched/memsched_state.h"
#include "mm/memsched/memsched_vm.h"

struct mem_host {
	u64 free_frames; /* that are owed to nobody: promise.h */
	struct mem_levels levels;
	enum mem_state state; /* for free_frames, mem_state_next() */
	u32 idle_tax_pct;
};

/*
 * Decide for all running VMs. Fills the last part of each and its blocked. Never orders what would
 * leave a VM with less than its reservation. Cost: mem_entitle()'s and a few passes; to be called
 * when the state changes, each second while it is soft or worse, else each Mem.BalancePeriod.
 */
void mem_decide(const struct mem_host *host, struct mem_vm *vms, u32 count);

/*
 * Does a VM that will have @pages with the frame that it needs now give one up for it, rather than
 * take a free one? @returns: the page was evicted before. Above its limit always; above its
 * entitlement when frames are scarce, and for a page that returns as soon as they are not
 * plentiful: one that lacks memory must not eat up what was gained by evicting it.
 */
static inline bool mem_pays_itself(
	u64 pages, u64 bound, u64 entitled, enum mem_state state, bool returns)
{
	return pages > bound || (pages > entitled && state >= (returns ? MEM_CLEAR : MEM_HARD));
}

/*
 * What its guest would use, were it there. A balloon that does not answer keeps what it has: nobody
 * can give that back.
 */
u64 mem_demand(const struct mem_vm *vm);

/* Above this a VM is cut down whatever the state: its limit and grant, at least its reservation. */
u64 mem_bound(const struct mem_vm *vm);

/*
 * What a VM that started with less than its memory (memory.startup) may use from now on: an eighth
 * more where memory is plentiful and the VM has little of its grant left. @guest_free: what its
 * guest says is available, ~0 if it says nothing. Asked once a second. Never less than before.
 */
u64 mem_grant_next(const struct mem_vm *vm, enum mem_state state, u64 guest_free);

#endif

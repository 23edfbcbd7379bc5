/*
 * The memory scheduler's record: who may start, and how scarce free memory is.
 *
 * Admission is by sum: what the running VMs were promised, what they cost, and what reclaim cannot
 * work without must fit the host's RAM. A VM is promised its reservation (sched.mem.min) where one
 * is stated; else, until memory can be reclaimed, all of its memory. The rest of the scheduler
 * decides from numbers alone: memsched_state.h how scarce memory is, memsched_active.h who uses
 * what, memsched_entitle.h who may have what, memsched_target.h what is done about it.
 */
#ifndef MM_MEMSCHED_MEMSCHED_H
#define MM_MEMSCHED_MEMSCHED_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "mm/memsched/memsched_state.h"

struct memsched_request {
	u64 memory_frames;   /* configured */
	u64 promised_frames; /* reservation where stated, else memory */
	u64 overhead_frames; /* space_overhead_frames() + what hv needs */
	u64 held_frames;     /* of these, what it has already, when it is powered on */
};

struct memsched_snapshot {
	u64 total_frames;    /* RAM */
	u64 fixed_frames;    /* the hypervisor's own and boot files */
	u64 promised_frames; /* by all admitted VMs */
	u64 overhead_frames;
	u64 kept_frames; /* promised to nobody: below these the state is low */
	u64 free_frames;
	u64 min_free_frames;
	enum mem_state state; /* as of the last memsched_state_move() */
};

/*
 * Admit a VM or say why not. Pure: decides from @now. Returns 0; E_LIMIT with a sentence in @why
 * that names the numbers in MiB ("needs 300 MiB ...; 120 MiB of ... are unpromised").
 */
must_check err_t memsched_admit(const struct memsched_snapshot *now,
	const struct memsched_request *vm, char *why, size_t why_bytes);

/*
 * Host-wide record, kept under no lock of its own (hv/vm/vm_promise.c has one for it). Whatever
 * the hypervisor holds while no VM is on counts as its own fixed cost. Promises and draws
 * (promise.h, draw.h) begin anew with it.
 */
void memsched_init(void);
/* Levels other than the sliding scale's: mem_levels_set(). At any time. */
void memsched_set_levels(u32 min_free_pct, bool fixed);
const struct mem_levels *memsched_levels(void);
/* So many frames are free that nobody is owed: the state that follows. Boot CPU. */
enum mem_state memsched_state_move(u64 free_frames);
enum mem_state memsched_state(void);
/*
 * Admit a VM: memsched_admit(), and its sums. E_LIMIT with the reason in @why; E_NOMEM where no VM
 * is on, so that it is the hypervisor itself that holds too much, now.
 */
must_check err_t memsched_power_on(const struct memsched_request *vm, char *why, size_t why_bytes);
void memsched_power_off(const struct memsched_request *vm);
/* What an admitted VM is promised from now on: more than before by memsched_unpromised_frames() at
 * most. */
void memsched_promise_set(struct memsched_request *vm, u64 frames);
/* What another VM could still be promised. */
u64 memsched_unpromised_frames(void);
void memsched_snapshot_get(struct memsched_snapshot *out);

/*
 * May a whole untouched 2 MiB region be mapped at once? Memory is plentiful: free memory exceeds
 * all that the running VMs could still touch, and 400% of minFree. Cost: O(CPUs); asked once for a
 * region, not for a page.
 */
bool memsched_large_pages_ok(void);

/* A space with so much RAM exists, or ceases to: called by space.c. */
void memsched_guest_pages_add(u64 pages);
void memsched_guest_pages_sub(u64 pages);

#endif

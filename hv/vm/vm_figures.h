/*
 * A VM in numbers: what memtop, the second serial line and the verdict show of it. Sizes are of the
 * moment, so of a VM that is off there are none; counters only grow while the VM is on, stay when
 * it has ended, and begin anew when it starts.
 */
#ifndef HV_VM_VM_FIGURES_H
#define HV_VM_VM_FIGURES_H

#include "mm/base/types.h"
#include "hv/x86/virt.h"

struct vm;

enum vm_counter {
	VM_FAULTS,
	VM_ZIPPED, /* pages compressed, or kept as one value */
	VM_UNZIPPED,
	VM_SWAPPED_OUT, /* pages and compressed objects written */
	VM_SWAPPED_IN,  /* touches that read */
	VM_READ_AHEAD,
	VM_DROPPED,   /* pages that the swap file still had */
	VM_BALLOONED, /* pages given up */
	VM_MERGED,    /* pages given up for a shared one */
	VM_COPIED,    /* writes to shared pages */
	VM_WAITS,     /* times that a vCPU waited for a page */
	VM_WAITED_NS,
	/* The guest's own words, as far as it has a driver that tells. */
	VM_GUEST_SWAPPED_IN,
	VM_GUEST_SWAPPED_OUT,
	VM_GUEST_MAJOR_FAULTS,
	VM_COUNTER_COUNT
};

struct vm_figures {
	/* Pages. */
	u64 granted_pages;                       /* mapped: with shared and zero pages */
	u64 consumed_pages, peak_consumed_pages; /* of what it shares, its part */
	u64 zero_pages, shared_pages, hint_pages;
	u64 shared_saved_pages; /* its part of what sharing saves, by its shared pages */
	u64 balloon_pages, balloon_target_pages, balloon_maximum_pages;
	u64 zipped_pages,
		swapped_pages; /* out of memory: compressed or one value; in the swap file */
	u64 active_pages, entitled_pages, swap_target_pages; /* the memory scheduler's last word */
	u64 cache_most_pages, cache_pages; /* the compression cache: its ceiling, its frames */
	u64 overhead_pages;
	u64 swap_in_us[2], disk_us[2]; /* p50, p99, to the next power of two; 0: none yet */
	u64 counters[VM_COUNTER_COUNT];
	u64 exits[EXIT_KIND_COUNT];
	u64 run_ns; /* time on a CPU */
};

/* The figures of the run under way, or what was kept of the last one. Boot CPU; locks: the lives
 * lock. Cost: O(VMs). */
void vm_figures_get(const struct vm *vm, struct vm_figures *out);

/* The run is about to end: keep all but the sizes; the peak stays too. Locks and cost: as above. */
void vm_figures_keep(struct vm *vm);

/* "swapped_out" and so on. */
const char *vm_counter_name(enum vm_counter counter);

#endif

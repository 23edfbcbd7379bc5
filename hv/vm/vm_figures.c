/* Where each number comes from. */
#include "hv/vm/vm_figures.h"
#include "hv/disk/guest_disk.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "hv/x86/time.h"
#include "mm/balloon/balloon.h"
#include "mm/frame/frame.h"
#include "mm/zcache/zcache.h"
#include "mm/base/str.h"

static void balloon_figures(const struct vm *vm, struct vm_figures *out)
{
	enum balloon_limit which;

	out->balloon_pages = balloon_pages(vm->space);
	out->balloon_target_pages = vm->balloon.pace.target_pages;
	out->balloon_maximum_pages = vm->balloon.driver ? balloon_maximum_of(vm, &which) : 0;
}

/* How many pages of all VMs are mapped from shared frames. */
static u64 all_shared_pages(void)
{
	const struct vm *vm;
	u64 pages = 0;

	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->space)
			pages += space_shared_pages(vm->space);
	}
	return pages;
}

/*
 * What sharing saves is known exactly for the host: pages less frames. A VM's part of it would have
 * to be counted page by page (command share does); here it is in proportion.
 */
static u64 saved_pages(u64 shared_pages)
{
	u64 all = all_shared_pages(), frames = frame_kind_count(FRAME_SHARED);

	return all > frames ? shared_pages * (all - frames) / all : 0;
}

static void memory_figures(const struct vm *vm, struct vm_figures *out)
{
	const struct space *space = vm->space;
	struct zcache_figures zip = {0};

	if (space->zcache)
		zcache_figures(space->zcache, &zip);
	out->cache_pages = zip.frames;
	out->cache_most_pages = zip.most_frames;
	out->zero_pages = space_pages_in_state(space, PAGE_ZERO);
	out->shared_pages = space_shared_pages(space);
	out->shared_saved_pages = saved_pages(out->shared_pages);
	out->hint_pages = stats_get(&space->share.hints);
	out->granted_pages = space_consumed_pages(space) + out->shared_pages + out->zero_pages;
	out->consumed_pages = out->granted_pages - out->zero_pages - out->shared_saved_pages;
	out->peak_consumed_pages = space_peak_pages(space);
	out->zipped_pages = space_pages_in_state(space, PAGE_ZIPPED) +
			    space_pages_in_state(space, PAGE_ZIPPED_WRITING);
	out->swapped_pages = space_pages_in_state(space, PAGE_SWAPPED) +
			     space_pages_in_state(space, PAGE_LOADING);
	out->overhead_pages = vm->admitted.overhead_frames;
	out->swap_in_us[0] = latency_below_us(&space->swap_in, 50);
	out->swap_in_us[1] = latency_below_us(&space->swap_in, 99);
}

static void scheduler_figures(const struct vm *vm, struct vm_figures *out)
{
	const struct mem_vm *now = &vm->memory.now;
	u64 too_much = now->consumed > now->evict_to ? now->consumed - now->evict_to : 0;

	if (!vm->memory.decided_ns)
		return;
	out->active_pages = now->active;
	out->entitled_pages = now->entitled;
	out->swap_target_pages = out->swapped_pages + too_much;
}

static void disk_figures(const struct vm *vm, struct vm_figures *out)
{
	if (!vm->disk)
		return;
	out->disk_us[0] = latency_below_us(&guest_disk_stats(vm->disk)->latency, 50);
	out->disk_us[1] = latency_below_us(&guest_disk_stats(vm->disk)->latency, 99);
}

static void count_memory(const struct vm *vm, u64 *c)
{
	const struct space_stats s = space_stats(vm->space);

	c[VM_FAULTS] = s.faults;
	c[VM_ZIPPED] = s.evicted_zip + s.evicted_fill;
	c[VM_UNZIPPED] = s.faults_zip + s.faults_fill;
	c[VM_SWAPPED_OUT] = s.evicted_swap + s.evicted_object;
	c[VM_SWAPPED_IN] = s.faults_swap;
	c[VM_READ_AHEAD] = s.read_ahead;
	c[VM_DROPPED] = s.evicted_clean + s.evicted_zero;
	c[VM_BALLOONED] = s.balloon_inflated;
	c[VM_MERGED] = s.share_merged_own + s.share_merged_other + s.share_zeroed;
	c[VM_COPIED] = s.share_copied;
}

static void count_vcpus(const struct vm *vm, struct vm_figures *out)
{
	u64 ticks = 0, waited = 0, now = time_tsc(), parked_at;

	for (u32 i = 0; i < vm->vcpu_count; i++) {
		const struct vcpu *vcpu = &vm->vcpus[i];

		for (u32 kind = 0; kind < EXIT_KIND_COUNT; kind++)
			out->exits[kind] += vcpu->exits[kind];
		ticks += vcpu->run_tsc;
		waited += vcpu->parked_tsc;
		/* Its CPU may park it, or wake it, at this moment. */
		parked_at = __atomic_load_n(&vcpu->parked_at, __ATOMIC_RELAXED);
		if (parked_at && parked_at < now)
			waited += now - parked_at;
		out->counters[VM_WAITS] += vcpu->parks;
	}
	out->run_ns = time_ns_from_tsc(ticks);
	out->counters[VM_WAITED_NS] = time_ns_from_tsc(waited);
}

void vm_figures_get(const struct vm *vm, struct vm_figures *out)
{
	const struct bellows_balloon_stats *guest = &vm->balloon.stats;

	if (!vm->vcpus || !vm->space) {
		*out = vm->last;
		return;
	}
	memset(out, 0, sizeof(*out));
	memory_figures(vm, out);
	balloon_figures(vm, out);
	scheduler_figures(vm, out);
	disk_figures(vm, out);
	count_memory(vm, out->counters);
	count_vcpus(vm, out);
	out->counters[VM_GUEST_SWAPPED_IN] = guest->swap_in_pages;
	out->counters[VM_GUEST_SWAPPED_OUT] = guest->swap_out_pages;
	out->counters[VM_GUEST_MAJOR_FAULTS] = guest->major_faults;
}

void vm_figures_keep(struct vm *vm)
{
	struct vm_figures f;

	vm_figures_get(vm, &f);
	vm->last = (struct vm_figures){
		.peak_consumed_pages = f.peak_consumed_pages,
		.run_ns = f.run_ns,
	};
	memcpy(vm->last.swap_in_us, f.swap_in_us, sizeof(f.swap_in_us));
	memcpy(vm->last.disk_us, f.disk_us, sizeof(f.disk_us));
	memcpy(vm->last.counters, f.counters, sizeof(f.counters));
	memcpy(vm->last.exits, f.exits, sizeof(f.exits));
}

const char *vm_counter_name(enum vm_counter counter)
{
	static const char *const names[VM_COUNTER_COUNT] = {
		[VM_FAULTS] = "faults",
		[VM_ZIPPED] = "zipped",
		[VM_UNZIPPED] = "unzipped",
		[VM_SWAPPED_OUT] = "swapped_out",
		[VM_SWAPPED_IN] = "swapped_in",
		[VM_READ_AHEAD] = "read_ahead",
		[VM_DROPPED] = "dropped",
		[VM_BALLOONED] = "ballooned",
		[VM_MERGED] = "merged",
		[VM_COPIED] = "copied",
		[VM_WAITS] = "waits",
		[VM_WAITED_NS] = "waited_ns",
		[VM_GUEST_SWAPPED_IN] = "guest_swapped_in",
		[VM_GUEST_SWAPPED_OUT] = "guest_swapped_out",
		[VM_GUEST_MAJOR_FAULTS] = "guest_major_faults",
	};

	return counter < VM_COUNTER_COUNT ? names[counter] : "?";
}

/*
 * Which VM's 2 MiB leaves are put together again, and when: in idle time, while memory is
 * plentiful, one VM after the other, each at most once in ten seconds. Where nothing was split that
 * costs a look at each region.
 */
#include "hv/join.h"
#include "hv/sched.h"
#include "hv/x86/time.h"
#include "mm/base/log.h"
#include "mm/memsched.h"
#include "mm/space_join.h"

#define SLICE_NS 100000ull
#define REST_NS  10000000000ull

static bool is_due(const struct vm *vm, u64 now)
{
	return vm->state == VM_RUNNING && !vm_is_ending(vm) && now >= vm->join_due_ns;
}

static void join_slice(struct vm *vm)
{
	if (!space_join_some(vm->space, SLICE_NS))
		return;
	u64 joins = stats_get(&vm->space->stats.joins);

	if (joins != vm->join_count)
		log_info("%s: %llu regions are mapped by 2 MiB again", vm_name(vm),
			(unsigned long long)(joins - vm->join_count));
	vm->join_count = joins;
	vm->join_due_ns = time_now_ns() + REST_NS;
}

void join_vm_began(struct vm *vm)
{
	vm->join_due_ns = time_now_ns() + REST_NS;
	vm->join_count = stats_get(&vm->space->stats.joins);
}

bool join_work(void)
{
	u64 now = time_now_ns();
	struct vm *vm;

	if (!memsched_large_pages_ok())
		return false;
	list_for_each_entry (vm, sched_vms(), all) {
		if (is_due(vm, now)) {
			join_slice(vm);
			return true;
		}
	}
	return false;
}

/* Which VM's regions are looked at: one VM after the other, each once in a while. */
#include "hv/large_pages.h"
#include "hv/sched.h"
#include "hv/x86/time.h"
#include "mm/space_join.h"
#include "mm/base/log.h"

#define SLICE_NS      100000ull
#define BUSY_EVERY_NS 10000000ull /* one slice so often where the CPU is never idle: 1% */
#define REST_NS       10000000000ull

static u64 busy_due_ns;

static void slice(struct vm *vm)
{
	struct space *space = vm->space;

	if (!space_join_some(space, SLICE_NS))
		return;
	u64 joins = stats_get(&space->stats.joins), more = joins - vm->join.told;

	if (more)
		log_info("%s: %llu regions are 2 MiB pages again", vm_name(vm),
			(unsigned long long)more);
	vm->join.told = joins;
	vm->join.rest_until_ns = time_now_ns() + REST_NS;
}

bool large_pages_work(u64 now, bool idle)
{
	struct vm *vm;

	if (!idle && now < busy_due_ns)
		return false;
	busy_due_ns = now + BUSY_EVERY_NS;
	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state != VM_RUNNING || now < vm->join.rest_until_ns)
			continue;
		slice(vm);
		return true;
	}
	return false;
}

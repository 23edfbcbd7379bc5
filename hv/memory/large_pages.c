/* Which VM's regions are looked at: one VM after the other, each once in a while. */
#include "hv/memory/large_pages.h"
#include "hv/sched/sched.h"
#include "hv/x86/time.h"
#include "mm/space/space_join.h"
#include "mm/base/log.h"

#define SLICE_NS 100000ull
#define REST_NS  10000000000ull

static void join_some(struct vm *vm)
{
	struct space *space = vm->space;

	if (!space_join_some(space, SLICE_NS))
		return;
	u64 joins = space_counted(space, joins), more = joins - vm->join.told;

	if (more)
		log_info("%s: %llu regions are 2 MiB pages again", vm_name(vm),
			(unsigned long long)more);
	vm->join.told = joins;
	vm->join.rest_until_ns = time_now_ns() + REST_NS;
}

bool large_pages_slice(u64 now)
{
	struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state != VM_RUNNING || now < vm->join.rest_until_ns)
			continue;
		join_some(vm);
		return true;
	}
	return false;
}

/* What a start waits for: memory first, then room for the swap file. */
#include "hv/vm_wait.h"
#include "hv/sched.h"
#include "hv/vm.h"
#include "hv/vm_swap.h"
#include "mm/base/fmt.h"

static bool any_is_releasing(void)
{
	const struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (vm_is_releasing(vm))
			return true;
	}
	return false;
}

bool vm_wait_must(struct vm *vm)
{
	if (any_is_releasing()) {
		fmt_snprintf(vm->why, sizeof(vm->why),
			"starts when the memory of what has ended is free");
		return true;
	}
	return vm_swap_must_wait(vm, vm->why, sizeof(vm->why));
}

void vm_wait_call_off(struct vm *vm)
{
	vm->start_wanted = false;
	vm->ended = true;
	fmt_snprintf(vm->why, sizeof(vm->why), "its start was called off");
}

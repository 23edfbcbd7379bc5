/* What a start waits for: memory first, then room for the swap file, then frames that files of
 * ended VMs hold. */
#include "hv/vm/vm_wait.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "hv/vm/vm_swap.h"
#include "hv/x86/time.h"
#include "mm/base/fmt.h"

/* A look at a swap volume costs much where its files are in many pieces. */
#define ASK_EVERY_NS 10000000ull

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
	u64 now = time_now_ns();
	bool lacks_frames;

	if (vm->start_wanted && now - vm->wait_asked_ns < ASK_EVERY_NS)
		return true;
	vm->wait_asked_ns = now;
	vm->frames_come &= vm->start_wanted;
	if (any_is_releasing()) {
		fmt_snprintf(vm->waits_for, sizeof(vm->waits_for),
			"starts when the memory of what has ended is free");
		return true;
	}
	if (vm_swap_must_wait(vm, vm->waits_for, sizeof(vm->waits_for)))
		return true;
	/* It was tried while some were to come. */
	lacks_frames = vm->frames_come;
	vm->frames_come = vm_swap_has_frames_of_ended(vm->waits_for, sizeof(vm->waits_for));
	return lacks_frames && vm->frames_come;
}

bool vm_wait_again(const struct vm *vm, err_t err)
{
	return err == E_NOMEM && vm->frames_come;
}

void vm_wait_call_off(struct vm *vm)
{
	vm->start_wanted = false;
	vm->ended = true;
	if (!vm->starts)
		fmt_snprintf(vm->why, sizeof(vm->why), "its start was called off");
}

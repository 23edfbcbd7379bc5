/* One record for all VMs, memsched's, and its lock. */
#include "hv/vm/vm_promise.h"
#include "hv/vm/vm.h"
#include "mm/space/promise.h"

static struct spinlock promises = SPINLOCK(LOCK_RANK_PROMISES);

u64 vm_promise_first_bytes(const struct vm *vm)
{
	const struct vm_config *config = vm->config;

	return vm_is_promised_all(vm) ? min(config->limit_bytes, config->startup_bytes)
				      : config->reservation_bytes;
}

err_t vm_promise_begin(struct vm *vm, u64 overhead_frames, u64 held_frames)
{
	err_t err;

	vm->admitted = (struct memsched_request){
		.memory_frames = vm->config->memory_bytes >> PAGE_SHIFT,
		.promised_frames = vm_promise_first_bytes(vm) >> PAGE_SHIFT,
		.overhead_frames = overhead_frames,
		.held_frames = held_frames,
	};
	spin_lock(&promises);
	err = memsched_power_on(&vm->admitted, vm->why, sizeof(vm->why));
	spin_unlock(&promises);
	return err;
}

void vm_promise_end(struct vm *vm)
{
	spin_lock(&promises);
	memsched_power_off(&vm->admitted);
	spin_unlock(&promises);
}

u64 vm_promise_move(struct vm *vm, u64 pages)
{
	u64 promised;

	spin_lock(&promises);
	promised = promise_move(vm->space, &vm->admitted, pages);
	spin_unlock(&promises);
	return promised;
}

u64 vm_promise_most(const struct vm *vm)
{
	u64 most;

	spin_lock(&promises);
	most = promise_most(vm->space, &vm->admitted);
	spin_unlock(&promises);
	return most;
}

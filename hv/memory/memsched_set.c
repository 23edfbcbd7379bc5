/* What makes changed values of the memory scheduler's work: settings.c calls these. */
#include "hv/memory/memsched_set.h"
#include "hv/memory/memsched_host.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "hv/vm/vm_promise.h"
#include "hv/vm/vm_swap.h"
#include "mm/memsched/memsched.h"
#include "mm/swap/swap_file.h"
#include "mm/base/fmt.h"

typedef unsigned long long ull;

err_t memsched_set_any(struct vm *vm, char *why, size_t why_bytes)
{
	(void)vm;
	(void)why;
	(void)why_bytes;
	memsched_decide_soon();
	return E_OK;
}

err_t memsched_set_states(struct vm *vm, char *why, size_t why_bytes)
{
	const struct host_config *host = &sched_config()->host;

	memsched_set_levels(host->min_free_pct, host->states == CONFIG_STATES_FIXED);
	return memsched_set_any(vm, why, why_bytes);
}

static err_t promise(struct vm *vm, u64 pages, char *why, size_t why_bytes)
{
	u64 before = vm->admitted.promised_frames;
	u64 promised = vm_promise_move(vm, pages);

	if (promised >= pages)
		return E_OK;
	vm_promise_move(vm, before);
	fmt_snprintf(why, why_bytes, "the host can promise it %llu MiB at most just now",
		(ull)(promised >> 8));
	return E_LIMIT;
}

err_t memsched_set_reservation(struct vm *vm, char *why, size_t why_bytes)
{
	u64 pages = vm->config->reservation_bytes >> PAGE_SHIFT;

	if (!vm_is_on(vm))
		return E_OK;
	/* What is not reserved must have room there. */
	if (vm->swap && vm->space->page_count > vm->swap->slot_count + pages) {
		fmt_snprintf(why, why_bytes,
			"its swap file has room for %llu MiB; for a lower reservation it must be started anew",
			(ull)(vm->swap->slot_count >> 8));
		return E_LIMIT;
	}
	spin_lock(&vm->lock);
	err_t err = promise(vm, pages, why, why_bytes);

	spin_unlock(&vm->lock);
	if (err)
		return err;
	vm_swap_warn(vm);
	return memsched_set_any(vm, why, why_bytes);
}

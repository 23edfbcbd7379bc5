/* Each step is vm.c's; here is which VM's turn it is. */
#include "hv/vm/vm_lives.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "hv/x86/time.h"
#include "mm/base/log.h"
#include "mm/base/str.h"

/* A VM resets itself at most so often; until then it stands still. */
#define RESET_INTERVAL_NS 1000000000ull

void vm_lives_begin(void)
{
	struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		/* What goes wrong is logged, and kept in vm->why. */
		if (vm->config->autostart && vm_start(vm) == E_WAIT)
			log_info("%s: %s", vm_name(vm), vm->waits_for);
	}
}

/* A guest that resets itself in a loop shall not cost its neighbours more than its slices do. */
static void reset_when_due(struct vm *vm)
{
	if (time_now_ns() - vm->origin_ns >= RESET_INTERVAL_NS)
		vm_reset(vm);
}

static void carry_out_request(struct vm *vm)
{
	char why[VM_WHY_BYTES];

	switch (__atomic_load_n(&vm->request, __ATOMIC_ACQUIRE)) {
	case VM_REQUEST_POWER_OFF:
		vm_end(vm, VM_OFF, "powered off");
		break;
	case VM_REQUEST_RESET:
		reset_when_due(vm);
		break;
	case VM_REQUEST_STOP:
		memcpy(why, vm->why, sizeof(why));
		vm_end(vm, VM_STOPPED, why);
		break;
	}
}

static bool has_ended(const struct vm *vm)
{
	return !vm->start_wanted && (vm->ended || !(vm_is_on(vm) || vm->config->autostart));
}

void vm_lives_look(struct vm_lives *out)
{
	struct vm *vm;

	*out = (struct vm_lives){.all_ended = true};
	list_for_each_entry (vm, sched_vms(), all) {
		carry_out_request(vm);
		if (!out->releasing && vm_is_releasing(vm))
			out->releasing = vm;
		if (!out->starting && vm->state == VM_STARTING)
			out->starting = vm;
		out->start_wanted |= vm->start_wanted;
		out->all_ended &= has_ended(vm);
	}
}

/* Those that waited begin to start, if they need wait no more. Returns the first that starts. */
static struct vm *start_those_that_waited(void)
{
	struct vm *vm, *first = NULL;

	list_for_each_entry (vm, sched_vms(), all) {
		/* What goes wrong is logged, and kept in vm->why. */
		if (vm->start_wanted && vm_start(vm) != 0)
			continue;
		if (vm->state == VM_STARTING && !first)
			first = vm;
	}
	return first;
}

/* One VM at a time goes on with its start, the others wait for it: so the first one runs soon. */
bool vm_lives_continue(const struct vm_lives *lives, u64 ticks)
{
	struct vm *first;

	if (lives->releasing) {
		vm_release_some(lives->releasing, time_tsc() + ticks);
		return true;
	}
	first = lives->start_wanted ? start_those_that_waited() : lives->starting;
	if (first)
		vm_continue_start(first, time_tsc() + ticks);
	return first;
}

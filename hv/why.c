/*
 * why: what memsched_log.c noted of a VM, newest first, in words: when and for how long, the
 * cause, what was ordered, how scarce memory was when it began, and by which technique how much
 * went.
 */
#include "hv/why.h"
#include "hv/console.h"
#include "hv/memsched_log.h"
#include "hv/sched.h"
#include "hv/vm.h"
#include "hv/x86/time.h"

#define SECOND_NS 1000000000ull

typedef unsigned long long ull;

static void print_order(const struct memory_order *order, u64 now)
{
	console_printf("%6llu s ago for %llu s: %s (memory was %s): %s, %llu.%llu MiB",
		(ull)((now - order->from_ns) / SECOND_NS),
		(ull)((order->to_ns - order->from_ns) / SECOND_NS), memory_cause_name(order->cause),
		mem_state_name(order->state), memory_technique_name(order->technique),
		MIB_OF(order->pages));
	if (memory_technique_evicts(order->technique))
		console_printf(
			"; went: %llu.%llu compressed, %llu.%llu swapped, %llu.%llu that the "
			"swap file still had",
			MIB_OF(order->gone.zipped), MIB_OF(order->gone.written),
			MIB_OF(order->gone.clean));
	console_printf("\n");
}

/* What is ordered now is told by what it is to come to. */
static void print_now(const struct vm *vm)
{
	const struct mem_vm *now = &vm->memory.now;

	console_printf(
		"%s: consumes %llu.%llu MiB, entitled to %llu.%llu of %llu.%llu that it could use; "
		"active %llu.%llu\n",
		vm_name(vm), MIB_OF(now->consumed), MIB_OF(now->entitled), MIB_OF(now->ceiling),
		MIB_OF(now->active));
}

void command_why(u32 count, char **words)
{
	const struct vm *vm = sched_find_vm(words[1]);
	u64 now = time_now_ns();

	(void)count;
	if (!vm) {
		console_printf("no VM is called \"%s\"; try vms\n", words[1]);
		return;
	}
	const struct vm_memory *m = &vm->memory;

	if (m->decided_ns)
		print_now(vm);
	for (u64 back = 0; back < min(m->order_count, (u64)MEMORY_ORDERS); back++)
		print_order(&m->log[(m->order_count - 1 - back) % MEMORY_ORDERS], now);
	if (m->order_count == 0)
		console_printf("%s: nothing was ever taken from it\n", vm_name(vm));
}

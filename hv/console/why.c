/*
 * why: what memsched_log.c noted of a VM, newest first, in words: when and for how long, the
 * cause, what was ordered, and how scarce memory was when it began. How pages went is told once for
 * entries that overlap, so that all of it adds up.
 */
#include "hv/console/why.h"
#include "hv/console/console.h"
#include "hv/memory/memsched_log.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "hv/x86/time.h"

#define SECOND_NS 1000000000ull

typedef unsigned long long ull;

static void print_order(const struct memory_order *order, u64 now)
{
	console_printf("%6llu s ago for %llu s: %s (memory was %s): %s, %llu.%llu MiB\n",
		(ull)((now - order->from_ns) / SECOND_NS),
		(ull)((order->to_ns - order->from_ns) / SECOND_NS), memory_cause_name(order->cause),
		mem_state_name(order->state), memory_technique_name(order->technique),
		MIB_OF(order->pages));
}

static void print_span(const struct memory_span *span, u64 now)
{
	const struct memory_gone *before = &span->gone_before, *after = &span->gone_after;

	console_printf(
		"       from %llu to %llu s ago went: %llu.%llu MiB compressed, %llu.%llu swapped, "
		"%llu.%llu that the swap file still had, %llu.%llu shared instead\n",
		(ull)((now - span->from_ns) / SECOND_NS), (ull)((now - span->to_ns) / SECOND_NS),
		MIB_OF(after->zipped - before->zipped), MIB_OF(after->written - before->written),
		MIB_OF(after->clean - before->clean), MIB_OF(after->shared - before->shared));
}

static void print_log(const struct vm_memory *m, u64 now)
{
	struct memory_span span = {0};

	for (u64 back = 0; back < memsched_log_count(m); back++) {
		const struct memory_order *order = memsched_log_entry(m, back);

		print_order(order, now);
		if (!memory_technique_evicts(order->technique) ||
			!memsched_log_span(m, back, &span))
			continue;
		print_span(&span, now);
		span = (struct memory_span){0};
	}
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
	print_log(m, now);
	if (m->order_count == 0)
		console_printf("%s: nothing was ever taken from it\n", vm_name(vm));
}

/* The command that shows the memory scheduler's view: of the host, and of each running VM. */
#include "hv/console/console.h"
#include "hv/memory/memsched_host.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "hv/x86/time.h"

typedef unsigned long long ull;

static void show_host(const struct memsched_figures *f)
{
	console_printf("memory is %s for %llu s, %llu.%llu MiB free, minFree %llu.%llu\n",
		mem_state_name(f->state), (ull)((time_now_ns() - f->state_since_ns) / 1000000000),
		MIB_OF(f->free_frames), MIB_OF(f->levels.min_free));
	for (u32 s = MEM_CLEAR; s < MEM_STATE_COUNT; s++)
		console_printf("  %-5s below %llu.%llu, until %llu.%llu; begun %llu times\n",
			mem_state_name(s), MIB_OF(f->levels.enter[s]), MIB_OF(f->levels.leave[s]),
			(ull)f->entered[s]);
	console_printf("  VMs have %llu.%llu MiB configured, would use %llu.%llu, there is "
		       "%llu.%llu; %llu decisions\n",
		MIB_OF(f->memory_pages), MIB_OF(f->demand_pages), MIB_OF(f->machine_pages),
		(ull)f->decisions);
}

static void show_vm(struct vm *vm)
{
	const struct vm_memory *m = &vm->memory;
	struct mem_vm now;

	memsched_look(vm, &now);
	console_printf("%-16s %6llu.%llu %6llu.%llu %8llu %6llu.%llu %6llu.%llu %6llu.%llu "
		       "%6llu.%llu %6llu.%llu %6llu.%llu %6llu.%llu %6llu.%llu %6llu%s\n",
		vm_name(vm), MIB_OF(now.claims.reservation), MIB_OF(now.claims.limit),
		(ull)now.claims.shares, MIB_OF(now.granted), MIB_OF(now.consumed),
		MIB_OF(now.active), MIB_OF(m->now.entitled), MIB_OF(now.ballooned),
		MIB_OF(m->balloon_pages), MIB_OF(now.zipped), MIB_OF(now.swapped), (ull)m->blocks,
		m->blocked ? " stands still" : "");
}

void command_memsched(u32 count, char **words)
{
	struct vm *vm;

	(void)count;
	(void)words;
	show_host(memsched_figures());
	console_printf("%-16s %8s %8s %8s %8s %8s %8s %8s %8s %8s %8s %8s %6s\n", "NAME",
		"PROMISED", "LIMIT", "SHARES", "GRANT", "CNSM", "ACTIVE", "ENTITLED", "BALLOON",
		"WANTED", "ZIPPED", "SWAPPED", "BLOCKS");
	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->state == VM_RUNNING)
			show_vm(vm);
	}
}

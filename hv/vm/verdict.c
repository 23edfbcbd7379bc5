/* Summary and verdict. */
#include "hv/vm/verdict.h"
#include "hv/console/console.h"
#include "mm/base/fmt.h"

const char *verdict_name(enum vm_verdict verdict)
{
	switch (verdict) {
	case VM_VERDICT_OK:
		return "ok";
	case VM_VERDICT_FAILED:
		return "failed";
	case VM_VERDICT_STOPPED:
		return "stopped";
	default:
		return "none";
	}
}

static void print_vm(const struct vm *vm)
{
	struct vm_figures f;
	u64 exits = 0;
	bool with_reason = vm->verdict != VM_VERDICT_OK && vm->why[0] != '\0';

	vm_figures_get(vm, &f);
	for (u32 kind = 0; kind < EXIT_KIND_COUNT; kind++)
		exits += f.exits[kind];
	console_printf(
		"%-12s configured %llu MiB, peak %llu.%llu MiB, faults %llu, exits %llu, verdict %s%s%s\n",
		vm_name(vm), (unsigned long long)(vm->config->memory_bytes >> 20),
		(unsigned long long)(f.peak_consumed_pages >> 8),
		(unsigned long long)((f.peak_consumed_pages & 0xff) * 10 >> 8),
		(unsigned long long)f.counters[VM_FAULTS], (unsigned long long)exits,
		vm->starts ? verdict_name(vm->verdict) : "not started", with_reason ? ": " : "",
		with_reason ? vm->why : "");
}

void verdict_print(const struct list *vms, bool clean)
{
	const struct vm *vm;
	bool ok = clean && !list_empty(vms);

	console_printf("\n");
	list_for_each_entry (vm, vms, all) {
		print_vm(vm);
		if (vm->config->autostart || vm->starts)
			ok = ok && vm->verdict == VM_VERDICT_OK;
	}
	console_printf("BELLOWS VERDICT %s\n", ok ? "ok" : "failed");
}

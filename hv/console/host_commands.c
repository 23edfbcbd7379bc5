/*
 * The host in words: where its page frames are, what the hypervisor keeps for itself, how its CPUs
 * fare, what is on the PCI buses.
 *
 * The hypervisor's budget: 16 MiB, 1% of the host's memory, and 0.5% of that of each VM that is on.
 * Its own are all frames that are neither free, nor a guest's, nor a boot file kept for VM resets.
 */
#include "hv/console/host_commands.h"
#include "drivers/pci_host.h"
#include "hv/console/console.h"
#include "hv/sched/sched.h"
#include "hv/vm/vm.h"
#include "hv/x86/cpu.h"
#include "mm/frame/frame.h"

#define BUDGET_FIXED_FRAMES (MIB(16) >> PAGE_SHIFT)
#define PER_HOST_FRAMES     100u /* one frame of so many */
#define PER_VM_FRAMES       200u

typedef unsigned long long ull;

/* --- frames ---------------------------------------------------------------------------------- */

static u64 own_frames(const struct frame_account *account)
{
	return account->frames[FRAME_HV] + account->frames[FRAME_TABLE] +
	       account->frames[FRAME_TABLE_RESERVE] + account->frames[FRAME_ZERO];
}

static u64 allowed_frames(const struct frame_account *account)
{
	u64 allowed = BUDGET_FIXED_FRAMES + account->total / PER_HOST_FRAMES;
	const struct vm *vm;

	list_for_each_entry (vm, sched_vms(), all) {
		if (vm->space)
			allowed += (vm->config->memory_bytes >> PAGE_SHIFT) / PER_VM_FRAMES;
	}
	return allowed;
}

void command_frames(u32 count, char **words)
{
	struct frame_account account;
	u64 sum = 0, own, allowed;

	(void)count;
	(void)words;
	frame_account_get(&account);
	for (u32 kind = FRAME_RESERVED + 1; kind < FRAME_KIND_COUNT; kind++) {
		console_printf("%-16s %10llu  %7llu.%llu MiB\n", frame_kind_name(kind),
			(ull)account.frames[kind], MIB_OF(account.frames[kind]));
		sum += account.frames[kind];
	}
	console_printf("%-16s %10llu  %7llu.%llu MiB, of %llu: %s\n", "total", (ull)sum,
		MIB_OF(sum), (ull)account.total,
		sum == account.total ? "all accounted for" : "NOT ALL ACCOUNTED FOR");
	own = own_frames(&account);
	allowed = allowed_frames(&account);
	console_printf(
		"the hypervisor's own: %llu.%llu MiB of %llu.%llu allowed (16 MiB, 1%% of the host, "
		"0.5%% of each VM that is on): %s\n",
		MIB_OF(own), MIB_OF(allowed), own <= allowed ? "within" : "ABOVE");
}

/* --- cpus ------------------------------------------------------------------------------------ */

void command_cpus(u32 count, char **words)
{
	(void)count;
	(void)words;
	console_printf("%3s %8s %-8s %12s %12s %12s %8s %10s\n", "CPU", "APIC", "STATE", "IDLE",
		"VCPUS", "INTERRUPTS", "STEALS", "DISK");
	for (u32 id = 0; id < cpu_count(); id++) {
		const struct cpu *cpu = cpu_by_id(id);

		console_printf("%3u %8u %-8s %9llu ms %9llu ms %12llu %8llu %10llu\n", id,
			cpu->apic_id, cpu_state_name(cpu->state), (ull)(cpu->idle_ns / 1000000),
			(ull)(cpu->vcpu_ns / 1000000), (ull)cpu->interrupts, (ull)cpu->steals,
			(ull)cpu->disk_requests);
	}
	for (u32 id = 0; id < cpu_count(); id++) {
		const struct cpu *cpu = cpu_by_id(id);

		if (cpu->why)
			console_printf(
				"CPU %u (APIC %u) is left out: %s\n", id, cpu->apic_id, cpu->why);
	}
}

/* --- pci ------------------------------------------------------------------------------------- */

static const char *class_name(u32 class_code)
{
	static const struct {
		u32 class_code, mask;
		const char *name;
	} names[] = {
		{0x010802, 0xffffff, "NVMe controller"},
		{0x010600, 0xffff00, "SATA controller"},
		{0x010000, 0xff0000, "storage controller"},
		{0x020000, 0xff0000, "network controller"},
		{0x030000, 0xff0000, "display controller"},
		{0x040000, 0xff0000, "multimedia device"},
		{0x060000, 0xffff00, "host bridge"},
		{0x060100, 0xffff00, "ISA bridge"},
		{0x060400, 0xffff00, "PCI bridge"},
		{0x060000, 0xff0000, "bridge"},
		{0x0c0330, 0xffffff, "USB xHCI controller"},
		{0x0c0300, 0xffff00, "USB controller"},
		{0x0c0500, 0xffff00, "SMBus controller"},
	};

	for (u32 i = 0; i < ARRAY_COUNT(names); i++) {
		if ((class_code & names[i].mask) == names[i].class_code)
			return names[i].name;
	}
	return "other";
}

static void print_bars(const struct pci_function *f)
{
	for (u32 i = 0; i < 6; i++) {
		struct pci_bar bar;

		if (pci_bar_base(pci_host(), f->bdf, i, &bar) != 0)
			continue;
		console_printf("          BAR%u %s %llx%s\n", i, bar.is_io ? "ports" : "memory",
			(ull)bar.base, bar.is_prefetchable ? ", prefetchable" : "");
	}
}

static bool print_function(void *context, const struct pci_function *f)
{
	(void)context;
	console_printf("%02x:%02x.%u  %04x:%04x  %06x %s%s%s\n", PCI_BUS(f->bdf),
		PCI_DEVICE(f->bdf), PCI_FUNCTION(f->bdf), f->vendor, f->device, f->class_code,
		class_name(f->class_code),
		pci_find_capability(pci_host(), f->bdf, PCI_CAPABILITY_MSIX) ? ", MSI-X" : "",
		pci_find_capability(pci_host(), f->bdf, PCI_CAPABILITY_MSI) ? ", MSI" : "");
	print_bars(f);
	return true;
}

void command_pci(u32 count, char **words)
{
	u32 found;

	(void)count;
	(void)words;
	found = pci_walk(pci_host(), print_function, NULL);
	console_printf("%u functions, through %s\n", found, pci_host()->name);
}

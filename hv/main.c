/*
 * Bring-up, in the one order that works: each step uses only what the steps above it made. It ends
 * in sched_run(), on every other CPU in sched_work().
 */
#include "boot/boot_info.h"
#include "drivers/pci_host.h"
#include "drivers/uart.h"
#include "hv/boot_times.h"
#include "hv/disk/disks.h"
#include "hv/hv_ops.h"
#include "hv/console/log.h"
#include "hv/monitor/monitor.h"
#include "hv/sched/sched.h"
#include "hv/console/terminal.h"
#include "hv/version.h"
#include "hv/vm/vm_swap.h"
#include "hv/x86/cpu.h"
#include "hv/x86/fpu.h"
#include "hv/x86/library.h"
#include "hv/x86/irq.h"
#include "hv/x86/lapic.h"
#include "hv/x86/paging.h"
#include "hv/x86/panic.h"
#include "hv/x86/power.h"
#include "hv/x86/random.h"
#include "hv/x86/smp.h"
#include "hv/x86/time.h"
#include "mm/base/check.h"
#include "mm/base/log.h"
#include "mm/base/str.h"
#include "mm/frame/frame.h"
#include "mm/memsched/memsched.h"
#include "mm/reclaim/reclaim.h"
#include "mm/share/share.h"
#include "mm/space/tlb.h"
#include "mm/zcache/zcache.h"

#define FATAL_SECONDS 30u

noreturn_fn void main_entry(const struct boot_info *loader_info);
noreturn_fn void entry_switch_stack(u64 top, void (*function)(void));

const struct virt_ops *hv_ops;

static struct boot_info info; /* [I] the loader's, with its arrays copied too */

/* When the loader broke its word screen and serial line may not be there yet: said where we can. */
static void check_boot_info(const struct boot_info *from)
{
	if (from->magic != BOOT_INFO_MAGIC || from->version != BOOT_INFO_VERSION ||
		from->bytes != sizeof(*from))
		panic("the loader's boot_info is not one of version %u (found version %u, %u bytes)",
			BOOT_INFO_VERSION, from->version, from->bytes);
}

static u64 keep_array(u64 pa, u64 bytes)
{
	void *copy;

	if (!pa || !bytes)
		return 0;
	copy = paging_boot_alloc(bytes);
	memcpy(copy, paging_window(pa), bytes);
	return (u64)copy - PAGING_WINDOW_VA;
}

/* Loader memory is about to be free memory. */
static void keep_boot_info(void)
{
	info.regions = keep_array(info.regions, info.region_count * sizeof(struct boot_region));
	info.cpus = keep_array(info.cpus, info.cpu_count * sizeof(struct boot_cpu));
	info.files = keep_array(info.files, info.file_count * sizeof(struct boot_file));
	info.page_table = 0;
}

static void last_call(void)
{
	monitor_last_call();
	terminal_last_call();
}

static void start_log(void)
{
	terminal_prepare_screen(&info.framebuffer);
	panic_set_output(log_write_unlocked);
	power_set_last_call(last_call);
	log_open_uart(UART_COM1);
	log_info("Bellows %s (loader: %s; firmware: %s)", BELLOWS_VERSION, info.loader_version,
		info.firmware_vendor);
}

/* No COM1? Firmware may name another port for its console. */
static void find_console(void)
{
	const struct acpi_register *console = &power_acpi()->console;

	if (!terminal_has_serial() && console->address && console->space == ACPI_IO &&
		console->address <= 0xfff8)
		log_open_uart((u16)console->address);
}

static void choose_ops(void)
{
	const struct virt_ops *const known[] = {&vmx_ops, &svm_ops};
	char why[ARRAY_COUNT(known)][200];

	for (u32 i = 0; i < ARRAY_COUNT(known) && !hv_ops; i++) {
		if (known[i]->probe(why[i], sizeof(why[i])) == 0)
			hv_ops = known[i];
	}
	if (!hv_ops) {
		for (u32 i = 0; i < ARRAY_COUNT(known); i++)
			log_error("%s cannot be used: %s", known[i]->name, why[i]);
		log_error("This machine cannot run virtual machines; switching it off in %u s.",
			FATAL_SECONDS);
		terminal_linger(FATAL_SECONDS);
		power_off();
	}
	if (hv_ops->init() || hv_ops->cpu_on())
		panic("%s does not start, though its probe said it would", hv_ops->name);
	log_info("virt: %s", hv_ops->name);
}

static void report(void)
{
	static const char *const cpu_sources[] = {
		[BOOT_CPUS_MADT] = "the MADT",
		[BOOT_CPUS_MP_SERVICES] = "the firmware's MP services",
		[BOOT_CPUS_BSP_ONLY] = "nobody",
	};

	log_info("time: TSC %llu kHz (%s); random numbers: %s", (unsigned long long)time_tsc_khz(),
		time_tsc_source(), random_source());
	boot_times_report();
	log_info("%u of %u CPUs online (%s), listed by %s; %llu of %llu MiB free",
		smp_online_count(), cpu_count(), lapic_is_x2apic() ? "x2APIC" : "xAPIC",
		info.cpu_source < ARRAY_COUNT(cpu_sources) && cpu_sources[info.cpu_source]
			? cpu_sources[info.cpu_source]
			: "?",
		(unsigned long long)(frame_free_count() >> (20 - PAGE_SHIFT)),
		(unsigned long long)(frame_total_count() >> (20 - PAGE_SHIFT)));
}

static void init_mm(void)
{
	keep_boot_info();
	paging_init_frames(&info);
	smp_init_cpus(&info);
	if (frame_init_cpus() || tlb_init_cpus() || fault_guard_init_cpus() || share_init() ||
		zcache_init_cpus())
		panic("no memory for the per-CPU parts of mm");
	memsched_init();
	if (reclaim_init())
		panic("no memory for what reclaim needs");
}

/* On the boot CPU's final stack. */
static void main_continue(void)
{
	fpu_init_cpu();
	library_init_cpu();
	irq_init_cpu();
	time_init();
	time_init_cpu();
	boot_times_mark("clocks");
	terminal_open_keyboard();
	monitor_open();
	pci_host_init(power_acpi());
	boot_times_mark("devices");
	choose_ops();
	boot_times_mark("virtualisation");
	smp_start_all(&info, hv_ops->cpu_on, sched_work);
	boot_times_mark("other CPUs");
	disks_init();
	vm_swap_open_volumes();
	boot_times_mark("disks");
	report();
	sched_run(&info);
}

void main_entry(const struct boot_info *loader_info)
{
	u64 entry_tsc = time_tsc();

	smp_init_boot_cpu();
	info = *loader_info;
	start_log();
	check_boot_info(&info);
	boot_times_init(&info.times, entry_tsc);
	panic_init(&info);
	paging_init(&info);
	boot_times_mark("page tables");
	terminal_open_screen();
	boot_times_mark("screen");
	power_init(&info);
	find_console();
	boot_times_mark("ACPI");
	random_init(&info);
	init_mm();
	boot_times_mark("memory");
	entry_switch_stack(this_cpu()->stack_top, main_continue);
}

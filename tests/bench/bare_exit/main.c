/* The program and its guest: see bare_exit.h. Results go to the first serial line, as the bare
 * guest's do. */
#include <efi.h>
#include "tests/bench/bare_exit/bare_exit.h"
#include "tests/bench/measure.h"
#include "hv/x86/insn.h"

#define SERIAL          0x3f8
#define SERIAL_STATUS   (SERIAL + 5)
#define SERIAL_CAN_SEND 0x20
#define QEMU_EXIT_PORT  0xf4
#define BOCHS_EXIT_PORT 0x8900
#define CPUID_RUNS      512u
#define ZERO_RUNS       64u
#define CPUID_1_VMX     BIT(5)
#define CPUID_SVM       BIT(2)

static EFI_BOOT_SERVICES *firmware;
static uint64_t samples[BARE_TOUCH_PAGES];
u8 *bare_touch_area;

void *bare_pages(u64 count, u64 align)
{
	EFI_PHYSICAL_ADDRESS at = 0xffffffff;
	u64 spare = align / PAGE_BYTES;
	u64 *page;

	if (uefi_call_wrapper(firmware->AllocatePages, 4, AllocateMaxAddress, EfiLoaderData,
		    count + spare, &at))
		return NULL;
	page = (u64 *)ALIGN_UP(at, align);
	for (u64 i = 0; i < count * PAGE_BYTES / 8; i++)
		page[i] = 0;
	return page;
}

static void print(const char *text)
{
	for (; *text; text++) {
		while (!(inb(SERIAL_STATUS) & SERIAL_CAN_SEND))
			;
		outb(SERIAL, (u8)*text);
	}
}

static void print_number(const char *name, u64 value)
{
	char text[24];
	u32 at = sizeof(text);

	text[--at] = '\0';
	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	print(name);
	print(text + at);
}

static void show(const char *name, u32 count)
{
	struct measured m = measure_sum_up(samples, count);

	print("BENCH ");
	print(name);
	print_number(" count=", m.count);
	print_number(" min=", m.min);
	print_number(" median=", m.median);
	print_number(" mean=", m.mean);
	print_number(" max=", m.max);
	print("\r\n");
}

void bare_guest(void)
{
	for (u32 i = 0; i < CPUID_RUNS; i++)
		samples[i] = measure_nothing();
	show("nothing", CPUID_RUNS);
	for (u32 i = 0; i < CPUID_RUNS; i++)
		samples[i] = measure_cpuid(0);
	show("cpuid", CPUID_RUNS);
	for (u32 i = 0; i < BARE_TOUCH_PAGES; i++)
		samples[i] = measure_touch(bare_touch_area + (u64)i * PAGE_BYTES);
	show("touch", BARE_TOUCH_PAGES);
	for (u32 i = 0; i < ZERO_RUNS; i++)
		samples[i] = measure_zero(bare_touch_area + (u64)i * PAGE_BYTES);
	show("zero", ZERO_RUNS);
}

static const char *run(void)
{
	if (cpuid(1).ecx & CPUID_1_VMX)
		return bare_vmx_run();
	if (cpuid_or_zero(0x80000001, 0).ecx & CPUID_SVM)
		return bare_svm_run();
	return "this CPU has neither VT-x nor SVM";
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *problem, *end = "Shutdown";

	(void)image;
	firmware = table->BootServices;
	problem = run();
	print(problem ? "BENCH failed: " : "BENCH done");
	print(problem ? problem : "");
	print("\r\n");
	/* Ends QEMU with isa-debug-exit, else Bochs. */
	outb(QEMU_EXIT_PORT, 0);
	while (*end)
		outb(BOCHS_EXIT_PORT, (u8)*end++);
	return EFI_SUCCESS;
}

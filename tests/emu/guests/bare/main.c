/*
 * The bare test guest: what takes Linux too long to say. bellows.bare=NAME on its command line
 * chooses.
 *
 *   ok       reports success at once            events   delivery of events through absent pages
 *   spin     loops with interrupts off          halt     halts with interrupts off, for ever
 *   triple   a triple fault                     oob      writes beyond its memory
 *   jump     executes beyond its memory         walk     page tables beyond its memory
 *   mmio     an odd instruction on the local APIC
 *   watch    data and code breakpoints where the hypervisor lies, which must not notice
 * The good ones print the line by which a VM is judged, and power off.
 */
#include "tests/emu/guests/bare/bare.h"

#define CMDLINE_POINTER 0x228 /* in boot_params: setup_header.cmd_line_ptr */
#define BEYOND          0x80000000ul
#define LAPIC_ID        0xfee00020ul
#define OPTION          "bellows.bare="

static const char *find_option(const char *cmdline)
{
	for (; *cmdline; cmdline++) {
		const char *option = OPTION, *at = cmdline;

		while (*option && *at == *option)
			at++, option++;
		if (!*option)
			return at;
	}
	return "";
}

static bool is(const char *word, const char *name)
{
	while (*name && *word == *name)
		word++, name++;
	return !*name && (*word == '\0' || *word == ' ');
}

static void finish(const char *profile, uint32_t test_count, uint32_t wrong_count)
{
	print(wrong_count ? "WORKLOAD FAIL profile=" : "WORKLOAD ok profile=");
	print(profile);
	print_number(" tests=", test_count);
	print_number(" wrong=", wrong_count);
	print("\n");
	power_off();
}

/* Debug registers hold linear addresses, and the hypervisor has its own behind each exit. */
static void watch_hypervisor(void)
{
	static const uint64_t anything[] = {0xffffffff80000000, 0xffff800000000000};
	uint32_t eax, ebx, ecx, edx;

	for (uint64_t address = 0; address < 0x60000; address += 8) {
		asm volatile("mov %0, %%dr7" ::"r"(0x400ul));
		asm volatile("mov %0, %%dr0\n\t"
			     "mov %1, %%dr1\n\t"
			     "mov %0, %%dr2\n\t"
			     "mov %1, %%dr3\n\t"
			     /* 0 and 1: 8 bytes, read or written; 2 and 3: executed */
			     "mov %2, %%dr7"
			     :
			     : "r"(anything[0] + address), "r"(anything[1] + address),
			     "r"(0x00bb06aaul));
		eax = ecx = 0;
		asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	}
	asm volatile("mov %0, %%dr7" ::"r"(0x400ul));
	finish("watch", 1, 0);
}

static void misbehave(const char *what)
{
	static const struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} no_idt;
	uint32_t one = 1;

	if (is(what, "watch"))
		watch_hypervisor();
	if (is(what, "spin"))
		for (;;)
			asm volatile("cli");
	if (is(what, "halt"))
		for (;;)
			asm volatile("cli; hlt");
	if (is(what, "triple"))
		asm volatile("lidt %0; ud2" ::"m"(no_idt));
	if (is(what, "oob"))
		*(volatile uint32_t *)BEYOND = 0x12345678;
	if (is(what, "jump"))
		((void (*)(void))BEYOND)();
	if (is(what, "walk"))
		asm volatile("mov %0, %%cr3" ::"r"(BEYOND) : "memory");
	if (is(what, "mmio"))
		asm volatile("lock xaddl %0, %1" : "+r"(one), "+m"(*(volatile uint32_t *)LAPIC_ID));
}

void bare_main(const uint8_t *boot_params)
{
	uint32_t address = *(const uint32_t *)(const void *)(boot_params + CMDLINE_POINTER);
	const char *what = find_option((const char *)(uintptr_t)address);
	uint32_t test_count = 0, wrong_count = 0;

	print("BELLOWS-GUEST bare\n");
	if (is(what, "ok"))
		finish("bare", 1, 0);
	if (is(what, "events")) {
		events_run(&test_count, &wrong_count);
		finish("events", test_count, wrong_count);
	}
	misbehave(what);
	finish("none", 0, 1);
}

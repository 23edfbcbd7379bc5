/*
 * The bare test guest: what takes Linux too long to say. bellows.bare=NAME on its command line
 * chooses.
 *
 *   ok       reports success at once            events   delivery of events through absent pages
 *   spin     loops with interrupts off          halt     halts with interrupts off, for ever
 *   triple   a triple fault                     oob      writes beyond its memory
 *   jump     executes beyond its memory         walk     page tables beyond its memory
 *   mmio     an odd instruction on the local APIC
 *   debug    a #DB that raises itself           align    an #AC that raises itself
 *   gap      for how long at a stretch it did not run, up to a key
 *   watch    data and code breakpoints where the hypervisor lies, which must not notice
 *   io       string I/O and device registers, performed by the hypervisor
 *   shadow   is woken at all moments around STI; HLT
 *   balloon  follows the balloon's target and verifies the rest
 *   balloon-early   the same, but it says hello before it uses any memory
 *   balloon-taker   the same, and at a key uses all that it has given away
 *   balloon-mute, -slow, -disabled   a driver that says hello and no more, or ignores its target
 *   balloon-liar    a driver that lies in all ways
 *   zip      vector registers, while everything is compressed and comes back
 *   virtio   a disk driver that lies, and after each lie a proper one
 *   modules  what it was started with, and a sum of each module's bytes
 *
 * bellows.workload=... runs the memory workload, bellows.pages=... uses pages or not (pages.c),
 * bellows.hostile=... everything a guest must not do, bellows.cpus=... writes the same pages with
 * several CPUs (cpus.c), bellows.roles=... has a CPU in each state (roles.c), bellows.halts=...
 * halts with several CPUs (halts.c), bellows.overcommit=... the workload for the bench of that
 * name, bellows.bench=... measures what exits cost. The good ones print the line by which a VM is
 * judged, and power off.
 */
#include "tests/bench/measure.h"
#include "tests/emu/guests/bare/balloon.h"
#include "tests/emu/guests/bare/bare.h"
#include "tests/emu/guests/bare/cpus.h"

#define BEYOND   0x80000000ul
#define LAPIC_ID 0xfee00020ul

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

#define GAP_LOOK_MS 20 /* between looks at the serial line */
#define GAP_WORST   5  /* so many are told */

/* Spins with interrupts off, and prints the longest times in which somebody else had the CPU. */
static void gap(void)
{
	uint64_t worst[GAP_WORST] = {0}, per_ms = ticks_per_ms(), now, last, looked;

	print("GAP begins\n");
	last = looked = measure_tsc();
	for (;;) {
		now = measure_tsc();
		for (uint32_t i = 0; i < GAP_WORST; i++) {
			if (now - last > worst[i]) {
				for (uint32_t k = GAP_WORST - 1; k > i; k--)
					worst[k] = worst[k - 1];
				worst[i] = now - last;
				break;
			}
		}
		last = now;
		if (now - looked < GAP_LOOK_MS * per_ms)
			continue;
		looked = now;
		if (key_pressed())
			break;
	}
	print("GAP worst, in us:");
	for (uint32_t i = 0; i < GAP_WORST; i++)
		print_number(" ", worst[i] * 1000 / per_ms);
	print("\n");
	finish("gap", 1, 0);
}

/* A breakpoint where the delivery of #DB itself writes (CVE-2015-8104). */
static void debug_loop(void)
{
	interrupts_init();
	interrupts_use_own_stack(true);
	asm volatile("mov %0, %%dr0\n\t"
		     "mov %1, %%dr7\n\t" /* 0: 8 bytes, written */
		     "int3"
		     :
		     : "r"(event_pages.stack + PAGE_BYTES - 8), "r"(0x90402ul)
		     : "memory");
}

static void misbehave(const char *what)
{
	static const struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} no_idt;
	uint32_t one = 1;

	if (is_word(what, "watch"))
		watch_hypervisor();
	if (is_word(what, "gap"))
		gap();
	if (is_word(what, "debug"))
		debug_loop();
	if (is_word(what, "align"))
		unaligned_stack();
	if (is_word(what, "spin"))
		for (;;)
			asm volatile("cli");
	if (is_word(what, "halt"))
		for (;;)
			asm volatile("cli; hlt");
	if (is_word(what, "triple"))
		asm volatile("lidt %0; ud2" ::"m"(no_idt));
	if (is_word(what, "oob"))
		*(volatile uint32_t *)BEYOND = 0x12345678;
	if (is_word(what, "jump"))
		((void (*)(void))BEYOND)();
	if (is_word(what, "walk"))
		asm volatile("mov %0, %%cr3" ::"r"(BEYOND) : "memory");
	if (is_word(what, "mmio"))
		asm volatile("lock xaddl %0, %1" : "+r"(one), "+m"(*(volatile uint32_t *)LAPIC_ID));
}

static void show_modules(const struct bare_boot *boot)
{
	print_number("MODULES ", boot->module_count);
	print(" by ");
	print(boot->how);
	print_number(" memory_mib=", boot->memory_end >> 20);
	print("\n");
	for (uint32_t i = 0; i < boot->module_count; i++) {
		const struct bare_module *m = &boot->modules[i];
		uint32_t sum = 0;

		for (uint64_t at = 0; at < m->bytes; at++)
			sum = sum * 31 + m->data[at];
		print_number("MODULE bytes=", m->bytes);
		print_number(" sum=", sum);
		print_number(" aligned=", (uintptr_t)m->data % PAGE_BYTES == 0);
		print(" words=");
		print(m->words);
		print("\n");
	}
	finish("modules", boot->module_count, 0);
}

void bare_main(const struct bare_boot *boot)
{
	const char *what = option(boot, "bellows.bare");
	uint32_t test_count = 0, wrong_count = 0;

	print("BELLOWS-GUEST up, bare, by ");
	print(boot->how);
	print("\n");
	if (*option(boot, "bellows.workload"))
		workload_run(boot, option(boot, "bellows.workload"));
	if (*option(boot, "bellows.overcommit"))
		overcommit_run(boot, option(boot, "bellows.overcommit"));
	if (*option(boot, "bellows.pages"))
		pages_run(boot, option(boot, "bellows.pages"));
	if (*option(boot, "bellows.hostile"))
		hostile_run(boot, option(boot, "bellows.hostile"));
	if (*option(boot, "bellows.cpus"))
		cpus_run(boot, option(boot, "bellows.cpus"));
	if (*option(boot, "bellows.roles"))
		roles_run(boot, option(boot, "bellows.roles"));
	if (*option(boot, "bellows.halts"))
		halts_run(boot, option(boot, "bellows.halts"));
	if (*option(boot, "bellows.bench"))
		bench_run(boot, option(boot, "bellows.bench"));
	if (is_word(what, "ok"))
		finish("bare", 1, 0);
	if (is_word(what, "modules"))
		show_modules(boot);
	if (is_word(what, "events")) {
		events_run(&test_count, &wrong_count);
		finish("events", test_count, wrong_count);
	}
	if (is_word(what, "io")) {
		io_run(&test_count, &wrong_count);
		finish("io", test_count, wrong_count);
	}
	if (is_word(what, "shadow")) {
		shadow_run(boot, &test_count);
		finish("shadow", test_count, wrong_count);
	}
	if (is_word(what, "balloon") || is_word(what, "balloon-early")) {
		balloon_run(boot, is_word(what, "balloon") ? BALLOON_LATE : BALLOON_EARLY,
			&test_count, &wrong_count);
		finish("balloon", test_count, wrong_count);
	}
	if (is_word(what, "balloon-taker"))
		balloon_run(boot, BALLOON_TAKES_BACK, &test_count, &wrong_count);
	if (is_word(what, "balloon-mute"))
		balloon_idle(false, false);
	if (is_word(what, "balloon-slow"))
		balloon_idle(true, false);
	if (is_word(what, "balloon-disabled"))
		balloon_idle(true, true);
	if (is_word(what, "balloon-liar")) {
		balloon_lie(boot, &test_count, &wrong_count);
		finish("balloon-liar", test_count, wrong_count);
	}
	if (is_word(what, "zip")) {
		zip_run(boot, &test_count, &wrong_count);
		finish("zip", test_count, wrong_count);
	}
	if (is_word(what, "virtio")) {
		virtio_run(boot, &test_count, &wrong_count);
		finish("virtio", test_count, wrong_count);
	}
	misbehave(what);
	finish("none", 0, 1);
}

/*
 * A guest that does everything a guest must not do, at random, from a seed: made-up code in ring 0
 * and ring 3, page tables full of garbage, storms of events, trips through all of the CPU's modes,
 * devices touched in odd ways. Nothing is expected of it but that the hypervisor and the other VMs
 * live on.
 *
 * It mends itself after each deed: an exception or interrupt leads to on_event(), which either lets
 * what was interrupted go on (a few times) or comes back here. What it cannot mend, ends the VM.
 * bellows.hostile=ops=N[,trace], bellows.seed=N; it ends with a line HOSTILE that sums up.
 */
#include "tests/emu/guests/bare/hostile.h"

#define MSR_APIC_BASE    0x1b
#define MSR_EFER         0xc0000080
#define APIC_OFF         0xfee00100u
#define APIC_ON          0xfee00900u
#define APIC_EOI         0xb0
#define APIC_SPURIOUS    0xf0
#define APIC_LVT_TIMER   0x320
#define APIC_PERIODIC    0x20000
#define APIC_INITIAL     0x380
#define APIC_DIVIDE      0x3e0
#define APIC_DIVIDE_BY_1 0xb
#define VECTOR_TIMER     0x62
#define TIMER_NS         2000000
#define X2APIC_EOI       0x80b
#define X2APIC_MODE      0x400
#define CR4_PCIDE        0x20000ul
#define CR4_CET          0x800000ul
#define CR4_OSFXSR       0x200ul
#define CR4_OSXSAVE      0x40000ul
#define CPUID_XSAVE      (1u << 26)
#define RFLAGS_TF        0x100
#define LAPIC_INDEX      ((LAPIC_BASE >> 21) & 511)
#define IOAPIC_INDEX     ((IOAPIC_BASE >> 21) & 511)
#define LARGE_PAGE       (~0x1ffffful)
#define OPS_DEFAULT      2000
#define DEEDS_PER_REPORT 20
#define VECTOR_DEBUG     1
#define VECTOR_NMI       2

struct hostile hostile;
struct hostile_pages hostile_pages __attribute__((aligned(4096)));
extern const uint8_t hostile_recover[];
extern uint64_t hostile_rsp;

static uint64_t good_cr0, good_cr4, good_efer;
static uint32_t depth; /* of on_event(): a fault in itself must not bring it back there */

uint64_t random64(void)
{
	hostile.random ^= hostile.random >> 12;
	hostile.random ^= hostile.random << 25;
	hostile.random ^= hostile.random >> 27;
	return hostile.random * 0x2545f4914f6cdd1d;
}

uint32_t below(uint32_t count)
{
	return (uint32_t)(random64() >> 32) % count;
}

static void end_interrupt(void)
{
	if (read_msr(MSR_APIC_BASE) & X2APIC_MODE)
		write_msr(X2APIC_EOI, 0);
	else
		lapic_write(APIC_EOI, 0);
}

/* May what was interrupted go on? */
static bool may_go_on(const struct frame *frame)
{
	if (depth > 1)
		return false;
	if (frame->vector == VECTOR_DEBUG && (frame->rflags & RFLAGS_TF) &&
		hostile.steps_left > 0) {
		hostile.steps_left--;
		return true;
	}
	if (frame->vector != VECTOR_NMI && (frame->vector < 32 || frame->vector == VECTOR_END))
		return false;
	if (hostile.events_left == 0)
		return false;
	hostile.events_left--;
	if (frame->vector >= 32)
		end_interrupt();
	return true;
}

static void on_event(struct frame *frame)
{
	depth++;
	hostile.count_by_vector[frame->vector]++;
	if (!may_go_on(frame)) {
		frame->rax = frame->vector + 1;
		frame->rip = (uintptr_t)hostile_recover;
		frame->cs = KERNEL_CS;
		frame->ss = KERNEL_DS;
		frame->rflags = 2;
		frame->rsp = hostile_rsp;
	}
	depth = 0;
}

static void map_memory(void)
{
	const uint64_t table = 7, kernel = 3, large = 0x83, user = 7;
	struct hostile_pages *p = &hostile_pages;

	p->pml4[0] = (uintptr_t)p->pdpt | table;
	p->pdpt[0] = (uintptr_t)p->low | kernel;
	p->pdpt[1] = (uintptr_t)p->window_directory | table;
	p->pdpt[3] = (uintptr_t)p->high | kernel;
	p->window_directory[0] = (uintptr_t)p->window | table;
	for (uint64_t i = 0; i < 512; i++) {
		/* What is not there is not mapped either, or any stray pointer would be the end. */
		p->low[i] = i << 21 < hostile.memory_end ? i << 21 | large : 0;
		p->high[i] = 0;
		p->window[i] = 0;
	}
	p->high[LAPIC_INDEX] = (LAPIC_BASE & LARGE_PAGE) | large;
	p->high[IOAPIC_INDEX] = (IOAPIC_BASE & LARGE_PAGE) | large;
	p->window[PAGE_CODE] = (uintptr_t)p->code | user;
	p->window[PAGE_CODE_2] = (uintptr_t)(p->code + PAGE_BYTES) | user;
	p->window[PAGE_BEFORE_LAPIC] = (uintptr_t)p->data | user;
	p->window[PAGE_LAPIC] = LAPIC_BASE | user;
	p->window[PAGE_AFTER_LAPIC] = (uintptr_t)(p->data + PAGE_BYTES) | user;
	p->window[PAGE_IOAPIC] = IOAPIC_BASE | user;
	p->window[PAGE_DATA] = (uintptr_t)(p->data + 2 * PAGE_BYTES) | user;
	p->window[PAGE_READ_ONLY] = (uintptr_t)(p->data + 3 * PAGE_BYTES) | 5;
	p->window[PAGE_STACK] = (uintptr_t)p->stack | user;
	p->window[PAGE_STACK_2] = (uintptr_t)(p->stack + PAGE_BYTES) | user;
	p->window[PAGE_LAST_RAM] = (hostile.memory_end - PAGE_BYTES) | user;
}

static void reset_apic(void)
{
	/* From x2APIC mode there is no other way back; and once off, nothing is in service. */
	write_msr(MSR_APIC_BASE, APIC_OFF);
	write_msr(MSR_APIC_BASE, APIC_ON);
	lapic_write(APIC_SPURIOUS, 0x1ff);
	/* Ends a HLT, where the deed leaves the APIC alone. */
	lapic_write(APIC_DIVIDE, APIC_DIVIDE_BY_1);
	lapic_write(APIC_LVT_TIMER, APIC_PERIODIC | VECTOR_TIMER);
	lapic_write(APIC_INITIAL, TIMER_NS);
}

/* 8N1, no interrupts, no loopback; and the interrupt controllers of old masked. */
static void reset_ports(void)
{
	out8(0x3fb, 3);
	out8(0x3f9, 0);
	out8(0x3fc, 3);
	out8(0x21, 0xff);
	out8(0xa1, 0xff);
}

static void calm(void *unused)
{
	(void)unused;
	asm volatile("cli");
	asm volatile("mov %0, %%dr7" ::"r"(0x400ul));
	asm volatile("mov %0, %%cr4" ::"r"(good_cr4));
	asm volatile("mov %0, %%cr0" ::"r"(good_cr0));
	map_memory();
	asm volatile("mov %0, %%cr3" ::"r"(hostile_pages.pml4) : "memory");
	write_msr(MSR_EFER, good_efer);
	interrupts_init();
	interrupts_use_own_stack(true);
	asm volatile("mov %0, %%dr6" ::"r"(0xffff0ff0ul));
	if (!hostile.is_tcg)
		asm volatile("mov %0, %%cr8" ::"r"(0ul));
	reset_apic();
	reset_ports();
	hostile.events_left = hostile.steps_left = 0;
}

void hostile_calm(void)
{
	uint32_t failure = hostile_attempt(calm, NULL);

	/* A breakpoint, or DR7 itself guarded: the first try has taken it away. */
	for (uint32_t i = 0; failure == VECTOR_DEBUG + 1 && i < 4; i++)
		failure = hostile_attempt(calm, NULL);
	if (failure) {
		print_number("HOSTILE cannot mend itself: vector ", failure - 1);
		print("\n");
		power_off();
	}
}

static void start(const struct bare_boot *boot, const char *arguments)
{
	uint32_t eax = 0x80000002, ebx, ecx = 0, edx;

	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	hostile.is_tcg = eax == 0x554d4551 && ebx == 0x47435420; /* "QEMU", " TCG" */
	hostile.trace = list_value(arguments, "trace") != NULL;
	hostile.memory_end = boot->memory_end;
	hostile.seed = 1;
	if (*option(boot, "seed"))
		hostile.seed = number_at(option(boot, "seed"));
	hostile.random = (hostile.seed + 1) * 0x9e3779b97f4a7c15;
	asm volatile("mov %%cr0, %0" : "=r"(good_cr0));
	asm volatile("mov %%cr4, %0" : "=r"(good_cr4));
	good_cr4 &= ~(CR4_PCIDE | CR4_CET);
	good_cr4 |= CR4_OSFXSR;
	eax = 1;
	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	if (ecx & CPUID_XSAVE)
		good_cr4 |= CR4_OSXSAVE;
	good_efer = read_msr(MSR_EFER);
	interrupt_handler = on_event;
}

static void sum_up(uint64_t done)
{
	uint64_t exceptions = 0, interrupts = 0;

	for (uint32_t i = 0; i < 256; i++) {
		if (i < 32)
			exceptions += hostile.count_by_vector[i];
		else if (i != VECTOR_END)
			interrupts += hostile.count_by_vector[i];
	}
	print_number("\nHOSTILE through, seed=", hostile.seed);
	print_number(" deeds=", done);
	print_number(" exceptions=", exceptions);
	print_number(" interrupts=", interrupts);
	print("\n");
}

void hostile_run(const struct bare_boot *boot, const char *arguments)
{
	uint64_t ops = list_number(arguments, "ops", OPS_DEFAULT);

	start(boot, arguments);
	print_number("HOSTILE seed=", hostile.seed);
	print_number(" ops=", ops);
	print("\n");
	for (uint64_t i = 0; i < ops; i++) {
		hostile_calm();
		if (i % DEEDS_PER_REPORT == 0) {
			print_number("\nHOSTILE deeds=", i);
			print("\n");
		}
		hostile_deed(i);
	}
	hostile_calm();
	sum_up(ops);
	power_off();
}

/*
 * All CPUs: their records, and how each comes up (cpu_start.h: who decides that it has). The
 * trampoline lets nobody through but the CPU that is called, and that one once; one that comes when
 * it was given up halts there, or, if it was just past that, before it touches anything.
 */
#include "hv/x86/smp.h"
#include "hv/x86/cpu.h"
#include "hv/x86/fpu.h"
#include "hv/x86/library.h"
#include "hv/x86/insn.h"
#include "hv/x86/irq.h"
#include "hv/x86/lapic.h"
#include "hv/x86/msr.h"
#include "hv/x86/paging.h"
#include "hv/x86/panic.h"
#include "hv/x86/tables.h"
#include "hv/x86/time.h"
#include "hv/x86/trampoline.h"
#include "mm/base/log.h"
#include "mm/base/str.h"

#define INIT_WAIT_MS    10 /* SDM vol. 3, "Typical BSP Initialization Sequence" */
#define STARTUP_WAIT_US 200
#define ONLINE_WAIT_MS  1000 /* for its answer; and as long again for its set-up */
#define NO_APIC_ID      0xffffffffu

static struct cpu boot_cpu;
static struct cpu *boot_only[1] = {&boot_cpu};
static struct cpu **cpus = boot_only; /* [I] after smp_init_cpus() */
static u32 count = 1;                 /* [I] after smp_init_cpus() */
static u32 online = 1;                /* [a] */
static err_t (*ap_prepare)(void);
static void (*ap_work)(void);
static u64 ap_tsc; /* [a] of the CPU that came online last, at that moment */

u32 cpu_count(void)
{
	return count;
}

struct cpu *cpu_by_id(u32 id)
{
	return cpus[id];
}

const char *cpu_state_name(u32 state)
{
	static const char *const names[] = {
		[CPU_ABSENT] = "absent",
		[CPU_STARTING] = "starting",
		[CPU_COMING] = "starting",
		[CPU_ONLINE] = "online",
		[CPU_FAILED] = "failed",
	};

	return state < ARRAY_COUNT(names) ? names[state] : "?";
}

u32 smp_online_count(void)
{
	return __atomic_load_n(&online, __ATOMIC_ACQUIRE);
}

static u32 own_apic_id(void)
{
	struct cpuid topology = cpuid_or_zero(0xb, 0);

	return topology.ebx ? topology.edx : cpuid(1).ebx >> 24;
}

void smp_init_boot_cpu(void)
{
	boot_cpu.state = CPU_ONLINE;
	boot_cpu.apic_id = own_apic_id();
	tables_init_boot_cpu(&boot_cpu);
	tables_load(&boot_cpu);
}

void smp_restore_this_cpu(void)
{
	u64 base = rdmsr(MSR_IA32_GS_BASE);
	u32 apic_id = own_apic_id();

	for (u32 id = 0; id < count; id++) {
		if ((u64)cpus[id] == base)
			return;
	}
	for (u32 id = 0; id < count; id++) {
		if (cpus[id]->apic_id == apic_id)
			wrmsr(MSR_IA32_GS_BASE, (u64)cpus[id]);
	}
}

static struct cpu *make_cpu(u32 id, u32 apic_id)
{
	struct cpu *cpu = kmem_alloc(sizeof(*cpu));

	if (!cpu)
		panic("no memory for CPU %u", id);
	cpu->id = id;
	cpu->apic_id = apic_id;
	return cpu;
}

void smp_init_cpus(const struct boot_info *info)
{
	const struct boot_cpu *listed = paging_window(info->cpus);
	u32 most = max(info->cpu_count, 1u), next = 1;
	struct cpu **all = kmem_alloc(most * sizeof(*all));

	if (!all)
		panic("no memory for the list of %u CPUs", most);
	all[0] = &boot_cpu;
	for (u32 i = 0; i < info->cpu_count; i++) {
		if (listed[i].flags & BOOT_CPU_BSP)
			boot_cpu.apic_id = listed[i].apic_id;
		else if ((listed[i].flags & BOOT_CPU_ENABLED) && next < most)
			all[next] = make_cpu(next, listed[i].apic_id), next++;
	}
	cpus = all;
	count = next;
	for (u32 id = 0; id < count; id++) {
		if (tables_alloc(cpus[id]))
			panic("no memory for the stacks of CPU %u", id);
	}
}

static void delay_us(u64 us)
{
	u64 end = time_tsc() + time_tsc_from_ns(us * 1000);

	while (time_tsc() < end)
		cpu_relax();
}

static noreturn_fn void park(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

/* Where an application processor enters C: its own stack, but still the tables with va = pa. */
static noreturn_fn void ap_entry(struct cpu *cpu)
{
	if (!cpu_start_answer(&cpu->state))
		park();
	paging_load_cpu();
	tables_load(cpu);
	fpu_init_cpu();
	library_init_cpu();
	irq_init_cpu();
	time_init_cpu();
	__atomic_store_n(&ap_tsc, time_tsc(), __ATOMIC_RELAXED);
	if (!cpu_start_finish(&cpu->state, ap_prepare() == 0))
		park();
	ap_work();
	panic("CPU %u returned from its work", cpu->id);
}

static void trampoline_put(u8 *page, u32 offset, u64 value, u32 bytes)
{
	memcpy(page + offset, &value, bytes);
}

static void trampoline_fill(u64 pa)
{
	u8 *page = paging_window(pa);

	memcpy(page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
	trampoline_put(page, TRAMPOLINE_GDT, 0, 8);
	trampoline_put(page, TRAMPOLINE_GDT + 8, 0x00af9b000000ffffull, 8);
	trampoline_put(page, TRAMPOLINE_GDT + 16, 0x00cf93000000ffffull, 8);
	trampoline_put(page, TRAMPOLINE_GDTR, 3 * 8 - 1, 2);
	trampoline_put(page, TRAMPOLINE_GDTR + 2, pa + TRAMPOLINE_GDT, 4);
	trampoline_put(
		page, TRAMPOLINE_FAR, pa + (u64)(trampoline_long_mode - trampoline_start), 4);
	trampoline_put(page, TRAMPOLINE_FAR + 4, 8, 2);
	trampoline_put(page, TRAMPOLINE_CR3, paging_identity_cr3(), 8);
	trampoline_put(page, TRAMPOLINE_ENTRY, (u64)ap_entry, 8);
	trampoline_put(page, TRAMPOLINE_APIC_ID, NO_APIC_ID, 4);
}

/* Time is read from whichever CPU's TSC is at hand: say so where they do not agree. */
static void check_tsc(const struct cpu *cpu, u64 before)
{
	u64 there = __atomic_load_n(&ap_tsc, __ATOMIC_RELAXED), after = time_tsc();

	if (there < before)
		log_warn("smp: the TSC of CPU %u is behind the boot CPU's by %llu ns or more",
			cpu->id, (unsigned long long)time_ns_from_tsc(before - there));
	else if (there > after)
		log_warn("smp: the TSC of CPU %u is ahead of the boot CPU's by %llu ns or more",
			cpu->id, (unsigned long long)time_ns_from_tsc(there - after));
}

static void leave_out(struct cpu *cpu, const char *why)
{
	cpu->why = why;
	log_warn("smp: CPU %u (APIC %u) is left out: %s", cpu->id, cpu->apic_id, why);
}

/* @was: when its time was over. */
static const char *why_failed(enum cpu_state was)
{
	switch (was) {
	case CPU_STARTING:
		return "it did not answer in time";
	case CPU_COMING:
		return "it answered, but was not ready in time";
	default:
		return "virtualisation cannot be switched on there";
	}
}

static void wait_for(const struct cpu *cpu)
{
	u64 wait = time_tsc_from_ns(ONLINE_WAIT_MS * 1000000ull), end = time_tsc() + wait;
	bool has_answered = false;

	while (!cpu_start_is_settled(&cpu->state) && time_tsc() < end) {
		if (!has_answered && __atomic_load_n(&cpu->state, __ATOMIC_RELAXED) == CPU_COMING) {
			has_answered = true;
			end = time_tsc() + wait;
		}
		cpu_relax();
	}
}

/* Who is let through the trampoline, with what. */
static void trampoline_admit(u64 trampoline, struct cpu *cpu)
{
	u8 *page = paging_window(trampoline);

	trampoline_put(page, TRAMPOLINE_STACK, cpu->stack_top, 8);
	trampoline_put(page, TRAMPOLINE_CPU, (u64)cpu, 8);
	trampoline_put(page, TRAMPOLINE_APIC_ID, cpu->apic_id, 4);
}

static void trampoline_close(u64 trampoline)
{
	trampoline_put(paging_window(trampoline), TRAMPOLINE_APIC_ID, NO_APIC_ID, 4);
}

/* The CPU has had its INIT. Returns when it is online, or left out. */
static void start_one(struct cpu *cpu, u64 trampoline)
{
	u32 startup = LAPIC_ICR_STARTUP | LAPIC_ICR_ASSERT | (u32)(trampoline >> PAGE_SHIFT);
	u64 start = time_tsc();
	enum cpu_state was;

	trampoline_admit(trampoline, cpu);
	cpu_start_call(&cpu->state);
	irq_send_ipi(cpu->apic_id, startup);
	delay_us(STARTUP_WAIT_US);
	if (!cpu_start_is_settled(&cpu->state))
		irq_send_ipi(cpu->apic_id, startup);
	wait_for(cpu);
	trampoline_close(trampoline);
	was = cpu_start_settle(&cpu->state);
	if (was == CPU_ONLINE) {
		__atomic_fetch_add(&online, 1, __ATOMIC_RELEASE);
		check_tsc(cpu, start);
		return;
	}
	leave_out(cpu, why_failed(was));
	/* Nor shall it come late. One that has answered may hold a lock: it halts by itself. */
	if (was == CPU_STARTING)
		irq_send_ipi(cpu->apic_id, LAPIC_ICR_INIT | LAPIC_ICR_ASSERT);
}

void smp_start_all(const struct boot_info *info, err_t (*prepare)(void), void (*work)(void))
{
	if (count == 1)
		return;
	for (u32 id = 1; id < count && !info->trampoline; id++) {
		cpu_start_settle(&cpus[id]->state);
		leave_out(cpus[id], "there is no page below 1 MiB to start it through");
	}
	if (!info->trampoline)
		return;
	ap_prepare = prepare;
	ap_work = work;
	trampoline_fill(info->trampoline);
	for (u32 id = 1; id < count; id++)
		irq_send_ipi(cpus[id]->apic_id, LAPIC_ICR_INIT | LAPIC_ICR_ASSERT);
	delay_us(INIT_WAIT_MS * 1000);
	for (u32 id = 1; id < count; id++)
		start_one(cpus[id], info->trampoline);
}

/*
 * What a TSC tick is worth, and the one-shot timer. The TSC is always measured, for some 10 ms,
 * against the ACPI PM timer or else the PIT; a frequency that CPUID states (leaf 15H/16H, or a
 * hypervisor's leaf 40000010H) is exact and is taken if the measurement bears it out, which it does
 * not on some emulators.
 */
#include "hv/x86/time.h"
#include "hv/x86/cpu.h"
#include "hv/x86/insn.h"
#include "hv/x86/irq.h"
#include "hv/x86/lapic.h"
#include "hv/x86/msr.h"
#include "hv/x86/platform_clock.h"
#include "mm/base/log.h"

#define MEASURE_US 10000

static u64 tsc_khz, lapic_khz; /* [I] */
static const char *tsc_source = "not known yet";
static u64 start_tsc, boot_epoch; /* [I] */
static u64 ns_mult, tsc_mult;     /* [I] 32.32 fixed point: ns per tick, ticks per ns */
static u64 lapic_mult;            /* [I] the same: APIC timer's ticks per TSC tick */
static bool deadline;             /* [I] TSC-deadline mode is there */

/* a * b >> 32 for a 64-bit a and a 32.32 fixed-point b. */
static u64 scale(u64 a, u64 b)
{
	return (u64)(((unsigned __int128)a * b) >> 32);
}

/* The TSC frequency that CPUID states, in kHz, or 0. */
static u64 khz_from_cpuid(const char **source)
{
	struct cpuid ratio = cpuid_or_zero(0x15, 0), base = cpuid_or_zero(0x16, 0);
	struct cpuid hypervisor;

	if (cpuid(1).ecx >> 31 & 1) {
		hypervisor = cpuid_or_zero(0x40000010, 0);
		if (hypervisor.eax) {
			*source = "hypervisor's CPUID leaf";
			return hypervisor.eax;
		}
	}
	if (ratio.eax && ratio.ebx && ratio.ecx) {
		*source = "CPUID 15H";
		return (u64)ratio.ecx * ratio.ebx / ratio.eax / 1000;
	}
	if (base.eax & 0xffff) {
		*source = "CPUID 16H";
		return (u64)(base.eax & 0xffff) * 1000;
	}
	return 0;
}

/* TSC and local APIC timer against a clock of known rate. */
static bool measure(u64 *khz_tsc, u64 *khz_lapic, const char **source)
{
	struct platform_clock clock;
	u64 tsc, us;
	u32 count;

	if (!platform_clock_start(&clock))
		return false;
	lapic_write(LAPIC_TIMER_DIVIDE, LAPIC_DIVIDE_BY_1);
	lapic_write(LAPIC_TIMER_INITIAL, ~0u);
	count = lapic_read(LAPIC_TIMER_CURRENT);
	tsc = time_tsc();
	us = platform_clock_wait_us(&clock, MEASURE_US);
	tsc = time_tsc() - tsc;
	count -= lapic_read(LAPIC_TIMER_CURRENT);
	lapic_write(LAPIC_TIMER_INITIAL, 0);
	if (!us)
		return false;
	*khz_tsc = tsc * 1000 / us;
	*khz_lapic = (u64)count * 1000 / us;
	*source = clock.name;
	return true;
}

static bool is_near(u64 a, u64 b)
{
	u64 difference = a > b ? a - b : b - a;

	return difference <= b / 50;
}

static void find_frequency(void)
{
	const char *said_by = NULL, *measured_by = NULL;
	u64 said = khz_from_cpuid(&said_by), measured = 0;

	if (measure(&measured, &lapic_khz, &measured_by)) {
		tsc_khz = measured;
		tsc_source = measured_by;
		if (said && !is_near(said, measured))
			log_warn("time: %s says %llu kHz, but the TSC makes %llu", said_by,
				(unsigned long long)said, (unsigned long long)measured);
	}
	if (said && (!measured || is_near(said, measured))) {
		tsc_khz = said;
		tsc_source = said_by;
	}
	if (!tsc_khz) {
		tsc_khz = 1000000;
		tsc_source = "guess: there is no clock to measure with";
	}
}

void time_init(void)
{
	find_frequency();
	ns_mult = (1000000ull << 32) / tsc_khz;
	tsc_mult = (tsc_khz << 32) / 1000000;
	lapic_mult = (lapic_khz << 32) / tsc_khz;
	deadline = (cpuid(1).ecx >> 24 & 1) || !lapic_khz;
	boot_epoch = platform_clock_epoch();
	start_tsc = time_tsc();
}

void time_init_cpu(void)
{
	lapic_write(LAPIC_TIMER_DIVIDE, LAPIC_DIVIDE_BY_1);
	lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER | (deadline ? LAPIC_LVT_TIMER_DEADLINE : 0));
	/* In xAPIC mode the LVT is memory: it must be written before the deadline MSR is. */
	__asm__ volatile("mfence" : : : "memory");
	this_cpu()->timer_tsc = 0;
	time_arm(~0ull);
}

u64 time_tsc_khz(void)
{
	return tsc_khz;
}

const char *time_tsc_source(void)
{
	return tsc_source;
}

u64 time_ns_from_tsc(u64 ticks)
{
	return scale(ticks, ns_mult);
}

u64 time_tsc_from_ns(u64 ns)
{
	return scale(ns, tsc_mult);
}

u64 time_now_ns(void)
{
	u64 now = time_tsc();

	/* Another CPU's TSC may be a little behind the boot CPU's. */
	return start_tsc && now > start_tsc ? time_ns_from_tsc(now - start_tsc) : 0;
}

void time_arm(u64 tsc)
{
	struct cpu *cpu = this_cpu();
	u64 now, ticks;

	/* SVM asks before every entry, mostly for the same time all through a slice. */
	if (cpu->timer_tsc == tsc)
		return;
	cpu->timer_tsc = tsc;
	if (deadline) {
		wrmsr(MSR_IA32_TSC_DEADLINE, tsc == ~0ull ? 0 : max(tsc, (u64)1));
		return;
	}
	if (tsc == ~0ull) {
		lapic_write(LAPIC_TIMER_INITIAL, 0);
		return;
	}
	now = time_tsc();
	ticks = tsc <= now ? 1 : scale(tsc - now, lapic_mult) + 1;
	/* A longer time than the counter holds: it comes early, and whoever waits arms again. */
	lapic_write(LAPIC_TIMER_INITIAL, (u32)min(ticks, (u64)~0u));
}

void time_timer_came(void)
{
	this_cpu()->timer_tsc = ~0ull;
}

u64 time_boot_epoch(void)
{
	return boot_epoch;
}

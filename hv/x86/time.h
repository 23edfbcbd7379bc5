/*
 * Time: the TSC, its frequency (CPUID 15H/16H, else measured against the ACPI PM timer or the PIT),
 * and this CPU's one-shot timer (TSC-deadline, else the local APIC's counter).
 */
#ifndef HV_X86_TIME_H
#define HV_X86_TIME_H

#include "mm/base/types.h"

static inline u64 time_tsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return ((u64)hi << 32) | lo;
}

void time_init(void);     /* boot CPU */
void time_init_cpu(void); /* every CPU, after irq_init_cpu() */
u64 time_tsc_khz(void);
const char *time_tsc_source(void);
u64 time_ns_from_tsc(u64 ticks);
u64 time_tsc_from_ns(u64 ns);
u64 time_now_ns(void); /* since time_init() */

/* VECTOR_TIMER and CPU_PENDING_TIMER at that TSC value, or at once if it has passed; ~0: never. */
void time_arm(u64 tsc);
/* The timer's interrupt has come: it is armed no more. */
void time_timer_came(void);

/* Wall clock at boot (CMOS RTC), seconds since 1970, read once by time_init(). */
u64 time_boot_epoch(void);

#endif

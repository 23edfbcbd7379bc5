/*
 * The local APIC's registers, by their offset in the xAPIC page; x2APIC mode reaches the same ones
 * through MSRs. SDM vol. 3, "Advanced Programmable Interrupt Controller (APIC)".
 */
#ifndef HV_X86_LAPIC_H
#define HV_X86_LAPIC_H

#include "mm/base/types.h"

#define LAPIC_ID            0x020
#define LAPIC_VERSION       0x030
#define LAPIC_TPR           0x080
#define LAPIC_EOI           0x0b0
#define LAPIC_SVR           0x0f0
#define LAPIC_ISR           0x100 /* eight registers */
#define LAPIC_ESR           0x280
#define LAPIC_ICR_LOW       0x300
#define LAPIC_ICR_HIGH      0x310
#define LAPIC_LVT_TIMER     0x320
#define LAPIC_LVT_THERMAL   0x330
#define LAPIC_LVT_PERF      0x340
#define LAPIC_LVT_LINT0     0x350
#define LAPIC_LVT_LINT1     0x360
#define LAPIC_LVT_ERROR     0x370
#define LAPIC_TIMER_INITIAL 0x380
#define LAPIC_TIMER_CURRENT 0x390
#define LAPIC_TIMER_DIVIDE  0x3e0

#define LAPIC_SVR_ENABLE         BIT(8)
#define LAPIC_LVT_MASKED         BIT(16)
#define LAPIC_LVT_TIMER_DEADLINE BIT(18)
#define LAPIC_LVT_NMI            (4u << 8)
#define LAPIC_DIVIDE_BY_1        0xb

#define LAPIC_ICR_NMI        (4u << 8)
#define LAPIC_ICR_INIT       (5u << 8)
#define LAPIC_ICR_STARTUP    (6u << 8)
#define LAPIC_ICR_PENDING    BIT(12)
#define LAPIC_ICR_ASSERT     BIT(14)
#define LAPIC_ICR_ALL_BUT_ME (3u << 18)

/* This CPU's local APIC; usable after irq_init_cpu() on it. */
u32 lapic_read(u32 offset);
void lapic_write(u32 offset, u32 value);
u32 lapic_id(void);
bool lapic_is_x2apic(void);

#endif

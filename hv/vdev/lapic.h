/*
 * The local APICs of one VM, as a set joined by the bus on which they send each other interrupts.
 * xAPIC registers through MMIO and x2APIC registers through MSRs are one register file, indexed as
 * the MSRs are (offset / 16). (Intel SDM 3A, Advanced Programmable Interrupt Controller.)
 *
 * The timer counts on the clock of the access that started it: guest TSC for MSRs and the deadline,
 * device time (ns) for MMIO, so that neither has to be translated into the other. Locks: the VM's.
 */
#ifndef HV_VDEV_LAPIC_H
#define HV_VDEV_LAPIC_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "hv/vdev/vdev.h"

#define LAPIC_VERSION       0x00050014u /* integrated, six LVT entries, EOIs are always broadcast */
#define LAPIC_BUS_HZ        1000000000u /* what the timer counts, before its divider: one a nanosecond */
#define LAPIC_MIN_PERIOD_NS 20000u /* of the periodic timer, so that a guest cannot drown in it */

/* IA32_APIC_BASE */
#define APIC_BASE_BSP    BIT(8)
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)

/* Registers: MMIO offset / 16, and MSR number - 800H. */
enum lapic_reg {
	LAPIC_ID = 0x02,
	LAPIC_VERSION_REG = 0x03,
	LAPIC_TPR = 0x08,
	LAPIC_APR = 0x09,
	LAPIC_PPR = 0x0a,
	LAPIC_EOI = 0x0b,
	LAPIC_RRD = 0x0c,
	LAPIC_LDR = 0x0d,
	LAPIC_DFR = 0x0e,
	LAPIC_SVR = 0x0f,
	LAPIC_ISR = 0x10, /* eight each */
	LAPIC_TMR = 0x18,
	LAPIC_IRR = 0x20,
	LAPIC_ESR = 0x28,
	LAPIC_ICR = 0x30,
	LAPIC_ICR_HIGH = 0x31, /* xAPIC only */
	LAPIC_LVT = 0x32,      /* timer, thermal, performance, LINT0, LINT1, error */
	LAPIC_TIMER_INITIAL = 0x38,
	LAPIC_TIMER_CURRENT = 0x39,
	LAPIC_TIMER_DIVIDE = 0x3e,
	LAPIC_SELF_IPI = 0x3f, /* x2APIC only */
};

enum lapic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

/* Delivery modes of ICR, LVT and IOAPIC entries. */
enum lapic_delivery {
	DELIVER_FIXED,
	DELIVER_LOWEST,
	DELIVER_SMI,
	DELIVER_NMI = 4,
	DELIVER_INIT,
	DELIVER_SIPI,
	DELIVER_EXTINT,
};

enum lapic_clock { CLOCK_OFF, CLOCK_NS, CLOCK_TSC };

struct lapic {
	u64 base; /* IA32_APIC_BASE */
	u32 id;
	u32 tpr, ldr, dfr, svr, divide;
	u32 esr, esr_next; /* what reads show; what the next write to ESR moves there */
	u64 icr;
	u32 lvt[LVT_COUNT];
	u32 irr[8], isr[8], tmr[8];
	bool nmi_pending, init_pending, sipi_pending, wait_for_sipi;
	u8 sipi_vector;
	u32 timer_initial;
	enum lapic_clock clock;      /* what timer_due is measured in */
	u64 timer_due, timer_period; /* period 0: one-shot */
};

struct lapic_set {
	struct lapic *all;
	u32 count;
	u64 tsc_khz;
	u64 now_ns, now_tsc; /* as last told by whoever called in */
	void *context;
	void (*kick)(void *context, u32 index);
	void (*level_eoi)(
		void *context, u8 vector); /* a level-triggered vector was ended: tell the IOAPIC */
};

/* Power-on (all of them), and what INIT does to one. */
void lapic_reset(struct lapic_set *set);
void lapic_init_one(struct lapic_set *set, u32 index);

/* MMIO access at @offset of the page. E_RANGE: nothing is there (off, or in x2APIC mode). */
err_t lapic_mmio(struct lapic_set *set, u32 index, u32 offset, u32 bytes, bool write, u64 *value);

/* MSRs 1BH, 800H..83FH, 6E0H. E_NOTFOUND: not one of these; E_INVAL: #GP. */
err_t lapic_msr_read(struct lapic_set *set, u32 index, u32 msr, u64 *value);
err_t lapic_msr_write(struct lapic_set *set, u32 index, u32 msr, u64 value);

/*
 * A message on the bus, from an IOAPIC or a device. @destination: physical id or logical; lowest
 * priority goes to one of those addressed. Nobody there: it is lost, as on hardware.
 */
void lapic_message(struct lapic_set *set, u32 destination, bool logical, enum lapic_delivery mode,
	u8 vector, bool level);

/* An edge to each APIC whose id is @first plus a bit's number in @ids. Returns how many. */
u32 lapic_send_each(struct lapic_set *set, u64 ids, u64 first, enum lapic_delivery mode, u8 vector);

int lapic_peek(const struct lapic_set *set, u32 index, u8 *blocked_class);
void lapic_take(struct lapic_set *set, u32 index, u8 vector);

/* Timer: when it is due, on which clock (the other is ~0), and what to do then. */
void lapic_next_event(const struct lapic_set *set, u32 index, u64 *tsc, u64 *ns);
void lapic_tick(struct lapic_set *set, u32 index);

#endif

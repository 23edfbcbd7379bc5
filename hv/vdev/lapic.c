/*
 * The local APIC's register file and its priorities: what is requested (IRR), what is in service
 * (ISR), and which vector may interrupt now. Sending is in lapic_bus.c, the timer in lapic_timer.c.
 */
#include "hv/vdev/lapic_private.h"
#include "mm/base/str.h"

#define MSR_APIC_BASE    0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC       0x800u
#define APIC_BASE_GPA    BITS(51, 12)

#define LVT_VALID_TIMER 0x700ffu
#define LVT_VALID_LINT  0x1a7ffu
#define LVT_VALID_PERF  0x107ffu
#define LVT_VALID_ERROR 0x100ffu
#define SVR_VALID       0x1ffu /* neither focus checking nor EOI-broadcast suppression is offered */
#define DIVIDE_VALID    0xbu

/* Bits that software may write in each LVT entry. */
static const u32 lvt_valid[LVT_COUNT] = {
	[LVT_TIMER] = LVT_VALID_TIMER,
	[LVT_THERMAL] = LVT_VALID_PERF,
	[LVT_PERF] = LVT_VALID_PERF,
	[LVT_LINT0] = LVT_VALID_LINT,
	[LVT_LINT1] = LVT_VALID_LINT,
	[LVT_ERROR] = LVT_VALID_ERROR,
};

/* Bits of each LVT entry that are read-only: a write of them is ignored, but no error. */
static u32 lvt_read_only(u32 which)
{
	bool is_pin = which == LVT_LINT0 || which == LVT_LINT1;

	return LVT_DELIVERY_STATUS | (is_pin ? LVT_REMOTE_IRR : 0);
}

static bool is_x2apic(const struct lapic *l)
{
	return l->base & APIC_BASE_X2APIC;
}

bool lapic_is_enabled(const struct lapic *l)
{
	return l->base & APIC_BASE_ENABLE;
}

bool lapic_is_software_enabled(const struct lapic *l)
{
	return lapic_is_enabled(l) && (l->svr & SVR_ENABLE);
}

static int highest(const u32 map[8])
{
	for (int i = 7; i >= 0; i--) {
		if (map[i])
			return i * 32 + 31 - __builtin_clz(map[i]);
	}
	return -1;
}

static void set_bit(u32 map[8], u8 vector)
{
	map[vector / 32] |= 1u << (vector % 32);
}

static void clear_bit(u32 map[8], u8 vector)
{
	map[vector / 32] &= ~(1u << (vector % 32));
}

static bool test_bit(const u32 map[8], u8 vector)
{
	return map[vector / 32] >> (vector % 32) & 1;
}

u32 lapic_ppr(const struct lapic *l)
{
	int in_service = highest(l->isr);
	u32 service_class = in_service < 0 ? 0 : (u32)in_service & 0xf0;

	return (l->tpr & 0xf0) >= service_class ? l->tpr : service_class;
}

/* State that INIT sets: everything but the id and the place of the APIC. */
void lapic_init_one(struct lapic_set *set, u32 index)
{
	struct lapic *l = &set->all[index];
	struct lapic fresh = {.base = l->base, .id = index, .dfr = ~0u, .svr = 0xff};

	for (u32 i = 0; i < LVT_COUNT; i++)
		fresh.lvt[i] = LVT_MASKED;
	if (is_x2apic(l))
		fresh.ldr = (index >> 4) << 16 | 1u << (index & 15);
	*l = fresh;
}

void lapic_reset(struct lapic_set *set)
{
	for (u32 i = 0; i < set->count; i++) {
		set->all[i].base = VDEV_LAPIC_GPA | APIC_BASE_ENABLE | (i == 0 ? APIC_BASE_BSP : 0);
		lapic_init_one(set, i);
		set->all[i].wait_for_sipi = i != 0;
	}
}

int lapic_peek(const struct lapic_set *set, u32 index, u8 *blocked_class)
{
	const struct lapic *l = &set->all[index];
	int vector = lapic_is_enabled(l) ? highest(l->irr) : -1;

	*blocked_class = 0;
	if (vector < 0)
		return -1;
	if ((u32)vector >> 4 > lapic_ppr(l) >> 4)
		return vector;
	/* Waiting for an EOI needs no window: the EOI exits by itself. */
	if ((u32)vector >> 4 <= l->tpr >> 4)
		*blocked_class = (u8)(vector >> 4);
	return -1;
}

void lapic_take(struct lapic_set *set, u32 index, u8 vector)
{
	clear_bit(set->all[index].irr, vector);
	set_bit(set->all[index].isr, vector);
}

void lapic_raise(struct lapic_set *set, u32 index, u8 vector, bool level)
{
	struct lapic *l = &set->all[index];

	if (!lapic_is_software_enabled(l))
		return;
	if (vector < 16) {
		lapic_error(set, index, ESR_RECEIVE_ILLEGAL);
		return;
	}
	set_bit(l->irr, vector);
	if (level)
		set_bit(l->tmr, vector);
	else
		clear_bit(l->tmr, vector);
	set->kick(set->context, index);
}

static void end_of_interrupt(struct lapic_set *set, struct lapic *l)
{
	int vector = highest(l->isr);

	if (vector < 0)
		return;
	clear_bit(l->isr, (u8)vector);
	if (test_bit(l->tmr, (u8)vector))
		set->level_eoi(set->context, (u8)vector);
}

void lapic_lvt_fire(struct lapic_set *set, u32 index, enum lapic_lvt which)
{
	u32 entry = set->all[index].lvt[which];

	if (entry & LVT_MASKED)
		return;
	if ((entry >> 8 & 7) == DELIVER_NMI && which != LVT_TIMER && which != LVT_ERROR) {
		set->all[index].nmi_pending = true;
		set->kick(set->context, index);
		return;
	}
	lapic_raise(set, index, (u8)entry, false);
}

/* An error is noted, and interrupts once: an error entry that is illegal must not call itself. */
void lapic_error(struct lapic_set *set, u32 index, u32 bit)
{
	struct lapic *l = &set->all[index];

	if (l->esr_next & bit)
		return;
	l->esr_next |= bit;
	lapic_lvt_fire(set, index, LVT_ERROR);
}

static void write_svr(struct lapic *l, u32 value)
{
	l->svr = value & SVR_VALID;
	if (!(l->svr & SVR_ENABLE)) {
		for (u32 i = 0; i < LVT_COUNT; i++)
			l->lvt[i] |= LVT_MASKED;
	}
}

static void write_lvt(struct lapic_set *set, u32 index, u32 which, u32 value)
{
	struct lapic *l = &set->all[index];
	u32 before = l->lvt[which];

	l->lvt[which] = value & lvt_valid[which];
	if (!(l->svr & SVR_ENABLE))
		l->lvt[which] |= LVT_MASKED;
	if (which == LVT_TIMER && ((before ^ value) & LVT_TIMER_MODE))
		lapic_timer_mode_changed(set, index, before);
}

static u32 read_ldr(const struct lapic *l)
{
	return is_x2apic(l) ? l->ldr : l->ldr & 0xff000000u;
}

/* Returns E_INVAL for a register that is not there or cannot be read. */
static err_t read_reg(struct lapic_set *set, u32 index, u32 reg, u64 *value)
{
	struct lapic *l = &set->all[index];

	switch (reg) {
	case LAPIC_ID:
		*value = is_x2apic(l) ? l->id : l->id << 24;
		return 0;
	case LAPIC_VERSION_REG:
		*value = LAPIC_VERSION;
		return 0;
	case LAPIC_TPR:
		*value = l->tpr;
		return 0;
	case LAPIC_PPR:
		*value = lapic_ppr(l);
		return 0;
	case LAPIC_LDR:
		*value = read_ldr(l);
		return 0;
	case LAPIC_SVR:
		*value = l->svr;
		return 0;
	case LAPIC_ISR ... LAPIC_ISR + 7:
		*value = l->isr[reg - LAPIC_ISR];
		return 0;
	case LAPIC_TMR ... LAPIC_TMR + 7:
		*value = l->tmr[reg - LAPIC_TMR];
		return 0;
	case LAPIC_IRR ... LAPIC_IRR + 7:
		*value = l->irr[reg - LAPIC_IRR];
		return 0;
	case LAPIC_ESR:
		*value = l->esr;
		return 0;
	case LAPIC_ICR:
		*value = is_x2apic(l) ? l->icr : (u32)l->icr;
		return 0;
	case LAPIC_LVT ... LAPIC_LVT + LVT_COUNT - 1:
		*value = l->lvt[reg - LAPIC_LVT];
		return 0;
	case LAPIC_TIMER_INITIAL:
		*value = l->timer_initial;
		return 0;
	case LAPIC_TIMER_CURRENT:
		*value = lapic_timer_current(set, index);
		return 0;
	case LAPIC_TIMER_DIVIDE:
		*value = l->divide;
		return 0;
	}
	return E_INVAL;
}

static err_t write_reg(struct lapic_set *set, u32 index, u32 reg, u64 value, enum lapic_clock clock)
{
	struct lapic *l = &set->all[index];

	switch (reg) {
	case LAPIC_TPR:
		l->tpr = value & 0xff;
		return 0;
	case LAPIC_EOI:
		end_of_interrupt(set, l);
		return 0;
	case LAPIC_SVR:
		write_svr(l, (u32)value);
		return 0;
	case LAPIC_ESR:
		l->esr = l->esr_next;
		l->esr_next = 0;
		return 0;
	case LAPIC_ICR:
		l->icr = value & ~(u64)ICR_DELIVERY_STATUS;
		lapic_send(set, index, l->icr);
		return 0;
	case LAPIC_LVT ... LAPIC_LVT + LVT_COUNT - 1:
		write_lvt(set, index, reg - LAPIC_LVT, (u32)value);
		return 0;
	case LAPIC_TIMER_INITIAL:
		lapic_timer_start(set, index, (u32)value, clock);
		return 0;
	case LAPIC_TIMER_DIVIDE:
		lapic_timer_divide(set, index, value & DIVIDE_VALID);
		return 0;
	}
	return E_INVAL;
}

/* Registers that only xAPIC mode has, or that mean something else there. */
static err_t read_reg_xapic(struct lapic_set *set, u32 index, u32 reg, u64 *value)
{
	const struct lapic *l = &set->all[index];

	*value = 0;
	switch (reg) {
	case LAPIC_DFR:
		*value = l->dfr;
		return 0;
	case LAPIC_ICR_HIGH:
		*value = l->icr >> 32;
		return 0;
	case LAPIC_APR:
	case LAPIC_RRD:
	case LAPIC_EOI:
		return 0;
	}
	return read_reg(set, index, reg, value);
}

static err_t write_reg_xapic(struct lapic_set *set, u32 index, u32 reg, u32 value)
{
	struct lapic *l = &set->all[index];

	switch (reg) {
	case LAPIC_ICR_HIGH:
		l->icr = (u32)l->icr | (u64)(value & 0xff000000u) << 32;
		return 0;
	case LAPIC_ICR:
		return write_reg(set, index, reg, (l->icr & BITS(63, 32)) | value, CLOCK_NS);
	case LAPIC_LDR:
		l->ldr = value & 0xff000000u;
		return 0;
	case LAPIC_DFR:
		l->dfr = value | 0x0fffffffu;
		return 0;
	case LAPIC_ID:
	case LAPIC_VERSION_REG:
		return 0; /* read-only here; the id is what the MADT says */
	}
	return write_reg(set, index, reg, value, CLOCK_NS);
}

err_t lapic_mmio(struct lapic_set *set, u32 index, u32 offset, u32 bytes, bool write, u64 *value)
{
	struct lapic *l = &set->all[index];
	u32 reg = offset >> 4, lane = offset & 15;
	err_t err;

	if (!lapic_is_enabled(l) || is_x2apic(l))
		return E_RANGE;
	if (write) {
		/* Hardware wants aligned doublewords; anything else is undefined, and lost here. */
		err = lane == 0 && bytes >= 4 ? write_reg_xapic(set, index, reg, (u32)*value) : 0;
	} else {
		err = read_reg_xapic(set, index, reg, value);
		*value = lane < 4 ? *value >> (8 * lane) : 0;
	}
	if (err)
		lapic_error(set, index, ESR_ILLEGAL_REGISTER);
	return 0;
}

static err_t write_base(struct lapic_set *set, u32 index, u64 value)
{
	struct lapic *l = &set->all[index];
	u64 modes = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
	u64 from = l->base & modes, to = value & modes;

	/* The place and the BSP flag are fixed; modes change only along the SDM's arrows. */
	if ((value & ~modes) != (l->base & ~modes) || to == APIC_BASE_X2APIC)
		return E_INVAL;
	if ((from == modes && to == APIC_BASE_ENABLE) || (from == 0 && to == modes))
		return E_INVAL;
	l->base = value;
	if (to == 0)
		lapic_init_one(set, index);
	else if (to == modes)
		l->ldr = (index >> 4) << 16 | 1u << (index & 15);
	return 0;
}

err_t lapic_msr_read(struct lapic_set *set, u32 index, u32 msr, u64 *value)
{
	struct lapic *l = &set->all[index];

	if (msr == MSR_APIC_BASE) {
		*value = l->base;
		return 0;
	}
	if (msr == MSR_TSC_DEADLINE) {
		*value = lapic_deadline(set, index);
		return 0;
	}
	if (msr < MSR_X2APIC || msr > MSR_X2APIC + LAPIC_SELF_IPI)
		return E_NOTFOUND;
	return is_x2apic(l) ? read_reg(set, index, msr - MSR_X2APIC, value) : E_INVAL;
}

/* Reserved bits must be zero there; ICR alone has 64. (Intel SDM 3A, Reserved Bit Checking; ICR
 * Operation in x2APIC Mode.) */
static bool x2apic_value_ok(u32 reg, u64 value)
{
	switch (reg) {
	case LAPIC_ICR:
		return !(value & ICR_X2APIC_RESERVED);
	case LAPIC_SVR:
		return !(value & ~(u64)SVR_VALID);
	case LAPIC_TIMER_DIVIDE:
		return !(value & ~(u64)DIVIDE_VALID);
	case LAPIC_EOI:
	case LAPIC_ESR:
		return value == 0;
	case LAPIC_TPR:
	case LAPIC_SELF_IPI:
		return value <= 0xff;
	case LAPIC_LVT ... LAPIC_LVT + LVT_COUNT - 1:
		reg -= LAPIC_LVT;
		return !(value & ~(u64)(lvt_valid[reg] | lvt_read_only(reg)));
	}
	return value <= 0xffffffffu;
}

err_t lapic_msr_write(struct lapic_set *set, u32 index, u32 msr, u64 value)
{
	u32 reg = msr - MSR_X2APIC;

	if (msr == MSR_APIC_BASE)
		return write_base(set, index, value);
	if (msr == MSR_TSC_DEADLINE) {
		lapic_deadline_set(set, index, value);
		return 0;
	}
	if (msr < MSR_X2APIC || msr > MSR_X2APIC + LAPIC_SELF_IPI)
		return E_NOTFOUND;
	if (!is_x2apic(&set->all[index]) || !x2apic_value_ok(reg, value))
		return E_INVAL;
	if (reg == LAPIC_SELF_IPI) {
		lapic_send(set, index, ICR_TO_SELF | value);
		return 0;
	}
	return write_reg(set, index, reg, value, CLOCK_TSC);
}

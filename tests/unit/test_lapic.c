/* SRCS: hv/vdev/lapic.c hv/vdev/lapic_bus.c hv/vdev/lapic_timer.c */
/*
 * Local APICs by themselves: priorities, end of interrupt, the timer in its three modes and two
 * clocks, messages between several of them, mode changes, and what deserves #GP.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/vdev/lapic.h"

#define COUNT      4u
#define MOST       64u
#define BASE       0x1bu
#define X2(reg)    (0x800u + (reg))
#define DEADLINE   0x6e0u
#define SVR_ON     0x1ffu
#define LVT_MASKED 0x10000u
#define PERIODIC   0x20000u
#define TSC_MODE   0x40000u

static struct lapic lapics[COUNT];
static u32 kicks[MOST];
static int ended; /* last level-triggered vector that was ended, -1: none */
static struct lapic_set set;

static void on_kick(void *context, u32 index)
{
	(void)context;
	kicks[index]++;
}

static void on_eoi(void *context, u8 vector)
{
	(void)context;
	ended = vector;
}

static void mmio_write(u32 index, u32 reg, u32 value)
{
	u64 v = value;

	assert_int_equal(lapic_mmio(&set, index, reg * 16, 4, true, &v), 0);
}

static u32 mmio_read(u32 index, u32 reg)
{
	u64 v = 0;

	assert_int_equal(lapic_mmio(&set, index, reg * 16, 4, false, &v), 0);
	return (u32)v;
}

static void msr_write(u32 index, u32 msr, u64 value)
{
	assert_int_equal(lapic_msr_write(&set, index, msr, value), 0);
}

static u64 msr_read(u32 index, u32 msr)
{
	u64 value = 0;

	assert_int_equal(lapic_msr_read(&set, index, msr, &value), 0);
	return value;
}

static int start(void **state)
{
	(void)state;
	memset(lapics, 0, sizeof(lapics));
	memset(kicks, 0, sizeof(kicks));
	ended = -1;
	set = (struct lapic_set){.all = lapics,
		.count = COUNT,
		.tsc_khz = 2000000,
		.kick = on_kick,
		.level_eoi = on_eoi};
	lapic_reset(&set);
	for (u32 i = 0; i < COUNT; i++)
		mmio_write(i, LAPIC_SVR, SVR_ON);
	return 0;
}

static void to_x2apic(u32 index)
{
	msr_write(index, BASE, msr_read(index, BASE) | APIC_BASE_X2APIC);
}

/* The vector that @index would take; takes it. */
static int take(u32 index)
{
	u8 blocked;
	int vector = lapic_peek(&set, index, &blocked);

	if (vector >= 0)
		lapic_take(&set, index, (u8)vector);
	return vector;
}

static void send(u32 destination, u8 vector)
{
	lapic_message(&set, destination, false, DELIVER_FIXED, vector, false);
}

static void highest_vector_first_and_same_class_waits_for_eoi(void **state)
{
	u8 blocked;

	(void)state;
	send(0, 0x31);
	send(0, 0x52);
	send(0, 0x58);
	assert_int_equal(take(0), 0x58);
	assert_int_equal(lapic_peek(&set, 0, &blocked), -1);
	assert_int_equal(blocked, 0); /* its EOI will exit: no window */
	assert_int_equal(mmio_read(0, LAPIC_PPR), 0x50);
	send(0, 0x61);
	assert_int_equal(take(0), 0x61);
	mmio_write(0, LAPIC_EOI, 0);
	assert_int_equal(take(0), -1);
	mmio_write(0, LAPIC_EOI, 0);
	assert_int_equal(take(0), 0x52);
	mmio_write(0, LAPIC_EOI, 0);
	assert_int_equal(take(0), 0x31);
	mmio_write(0, LAPIC_EOI, 0);
	assert_int_equal(take(0), -1);
}

static void tpr_masks_and_tells_the_class_that_waits(void **state)
{
	u8 blocked;

	(void)state;
	mmio_write(0, LAPIC_TPR, 0x50);
	send(0, 0x5f);
	assert_int_equal(lapic_peek(&set, 0, &blocked), -1);
	assert_int_equal(blocked, 5);
	send(0, 0x60);
	assert_int_equal(take(0), 0x60);
	mmio_write(0, LAPIC_EOI, 0);
	mmio_write(0, LAPIC_TPR, 0x40);
	assert_int_equal(take(0), 0x5f);
}

static void a_disabled_apic_drops_interrupts_and_masks_its_lvt(void **state)
{
	(void)state;
	mmio_write(0, LAPIC_LVT + LVT_LINT0, 0x700);
	mmio_write(0, LAPIC_SVR, 0xff);
	assert_int_equal(mmio_read(0, LAPIC_LVT + LVT_LINT0), 0x10700);
	mmio_write(0, LAPIC_LVT + LVT_LINT0, 0x700);
	assert_int_equal(mmio_read(0, LAPIC_LVT + LVT_LINT0), 0x10700);
	send(0, 0x40);
	mmio_write(0, LAPIC_SVR, SVR_ON);
	assert_int_equal(take(0), -1);
}

static void level_vectors_tell_the_ioapic_at_eoi(void **state)
{
	(void)state;
	send(0, 0x40);
	take(0);
	mmio_write(0, LAPIC_EOI, 0);
	assert_int_equal(ended, -1);
	lapic_message(&set, 0, false, DELIVER_FIXED, 0x41, true);
	assert_int_equal(mmio_read(0, LAPIC_TMR + 2), 2);
	take(0);
	mmio_write(0, LAPIC_EOI, 0);
	assert_int_equal(ended, 0x41);
}

static void one_shot_counts_and_fires_once(void **state)
{
	u64 tsc, ns;

	(void)state;
	set.now_ns = 1000;
	mmio_write(0, LAPIC_LVT + LVT_TIMER, 0x30);
	mmio_write(0, LAPIC_TIMER_DIVIDE, 0xb); /* by 1 */
	mmio_write(0, LAPIC_TIMER_INITIAL, 500);
	lapic_next_event(&set, 0, &tsc, &ns);
	assert_true(tsc == ~0ull && ns == 1500);
	set.now_ns = 1400;
	lapic_tick(&set, 0);
	assert_int_equal(take(0), -1);
	assert_int_equal(mmio_read(0, LAPIC_TIMER_CURRENT), 100);
	set.now_ns = 1501;
	lapic_tick(&set, 0);
	assert_int_equal(take(0), 0x30);
	mmio_write(0, LAPIC_EOI, 0);
	set.now_ns = 1000000;
	lapic_tick(&set, 0);
	assert_int_equal(take(0), -1);
	lapic_next_event(&set, 0, &tsc, &ns);
	assert_true(tsc == ~0ull && ns == ~0ull);
	assert_int_equal(mmio_read(0, LAPIC_TIMER_CURRENT), 0);
}

static void every_divider_divides(void **state)
{
	static const struct {
		u32 code, by;
	} dividers[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {0xa, 128}, {0xb, 1}};
	u64 tsc, ns;

	(void)state;
	for (u32 i = 0; i < 8; i++) {
		mmio_write(0, LAPIC_TIMER_DIVIDE, dividers[i].code);
		mmio_write(0, LAPIC_TIMER_INITIAL, 1000);
		lapic_next_event(&set, 0, &tsc, &ns);
		assert_int_equal(ns, 1000 * dividers[i].by);
		assert_int_equal(mmio_read(0, LAPIC_TIMER_CURRENT), 1000);
	}
}

static void periodic_keeps_its_phase_when_looked_at_late(void **state)
{
	u64 tsc, ns;

	(void)state;
	mmio_write(0, LAPIC_LVT + LVT_TIMER, 0x30 | PERIODIC);
	mmio_write(0, LAPIC_TIMER_DIVIDE, 0xb);
	mmio_write(0, LAPIC_TIMER_INITIAL, 100000);
	set.now_ns = 350000;
	lapic_tick(&set, 0);
	assert_int_equal(take(0), 0x30);
	mmio_write(0, LAPIC_EOI, 0);
	lapic_tick(&set, 0);
	assert_int_equal(take(0), -1);
	lapic_next_event(&set, 0, &tsc, &ns);
	assert_int_equal(ns, 400000);
	mmio_write(0, LAPIC_TIMER_INITIAL, 0);
	lapic_next_event(&set, 0, &tsc, &ns);
	assert_true(ns == ~0ull);
}

static void a_period_cannot_drown_the_guest(void **state)
{
	u64 tsc, ns;

	(void)state;
	mmio_write(0, LAPIC_LVT + LVT_TIMER, 0x30 | PERIODIC);
	mmio_write(0, LAPIC_TIMER_DIVIDE, 0xb);
	mmio_write(0, LAPIC_TIMER_INITIAL, 1);
	lapic_next_event(&set, 0, &tsc, &ns);
	assert_int_equal(ns, LAPIC_MIN_PERIOD_NS);
}

static void deadline_fires_at_its_tsc_and_disarms(void **state)
{
	u64 tsc, ns;

	(void)state;
	msr_write(0, DEADLINE, 5000); /* not in deadline mode: no effect */
	assert_int_equal(msr_read(0, DEADLINE), 0);
	mmio_write(0, LAPIC_LVT + LVT_TIMER, 0x30 | TSC_MODE);
	set.now_tsc = 1000;
	msr_write(0, DEADLINE, 5000);
	lapic_next_event(&set, 0, &tsc, &ns);
	assert_true(tsc == 5000 && ns == ~0ull);
	assert_int_equal(msr_read(0, DEADLINE), 5000);
	mmio_write(0, LAPIC_TIMER_INITIAL, 77); /* ignored in this mode */
	assert_int_equal(mmio_read(0, LAPIC_TIMER_CURRENT), 0);
	set.now_tsc = 4999;
	lapic_tick(&set, 0);
	assert_int_equal(take(0), -1);
	set.now_tsc = 5000;
	lapic_tick(&set, 0);
	assert_int_equal(take(0), 0x30);
	mmio_write(0, LAPIC_EOI, 0);
	assert_int_equal(msr_read(0, DEADLINE), 0);
	/* One that has passed fires at once; zero disarms; leaving the mode disarms. */
	msr_write(0, DEADLINE, 10);
	assert_int_equal(take(0), 0x30);
	mmio_write(0, LAPIC_EOI, 0);
	msr_write(0, DEADLINE, 9000);
	msr_write(0, DEADLINE, 0);
	set.now_tsc = 10000;
	lapic_tick(&set, 0);
	assert_int_equal(take(0), -1);
	msr_write(0, DEADLINE, 20000);
	mmio_write(0, LAPIC_LVT + LVT_TIMER, 0x30);
	set.now_tsc = 30000;
	lapic_tick(&set, 0);
	assert_int_equal(take(0), -1);
}

static void x2apic_timer_runs_on_the_tsc(void **state)
{
	u64 tsc, ns;

	(void)state;
	to_x2apic(0);
	set.now_tsc = 100;
	msr_write(0, X2(LAPIC_TIMER_DIVIDE), 0xb);
	msr_write(0, X2(LAPIC_LVT + LVT_TIMER), 0x30);
	msr_write(0, X2(LAPIC_TIMER_INITIAL), 1000000); /* 1 ms */
	lapic_next_event(&set, 0, &tsc, &ns);
	assert_true(tsc == 100 + 2000000 && ns == ~0ull);
	set.now_tsc += 1000000;
	assert_int_equal(msr_read(0, X2(LAPIC_TIMER_CURRENT)), 500000);
	/* The guest set its TSC back: absurd, but bounded. */
	set.now_tsc = 0 - (1ull << 62);
	lapics[0].timer_due = ~0ull;
	assert_true(msr_read(0, X2(LAPIC_TIMER_CURRENT)) <= 1000000);
}

static void modes_change_along_the_sdms_arrows_only(void **state)
{
	u64 base = VDEV_LAPIC_GPA | APIC_BASE_BSP, on = APIC_BASE_ENABLE, x2 = APIC_BASE_X2APIC;
	u64 value;

	(void)state;
	assert_int_equal(msr_read(0, BASE), base | on);
	assert_int_equal(msr_read(1, BASE), VDEV_LAPIC_GPA | on);
	assert_int_equal(lapic_msr_write(&set, 0, BASE, (base | on) + 0x1000), E_INVAL);
	assert_int_equal(lapic_msr_write(&set, 0, BASE, base | x2), E_INVAL);
	assert_int_equal(lapic_msr_write(&set, 0, BASE, base | on | 1), E_INVAL);
	assert_int_equal(lapic_msr_read(&set, 0, X2(LAPIC_ID), &value), E_INVAL);
	msr_write(0, BASE, base | on | x2);
	assert_int_equal(lapic_mmio(&set, 0, 0x20, 4, false, &value), E_RANGE);
	assert_int_equal(lapic_msr_write(&set, 0, BASE, base | on), E_INVAL);
	msr_write(0, BASE, base);
	assert_int_equal(lapic_mmio(&set, 0, 0x20, 4, false, &value), E_RANGE);
	assert_int_equal(lapic_msr_write(&set, 0, BASE, base | on | x2), E_INVAL);
	send(0, 0x44);
	msr_write(0, BASE, base | on);
	assert_int_equal(take(0), -1);
	assert_int_equal(mmio_read(0, LAPIC_SVR), 0xff); /* as after reset */
}

static void x2apic_registers_refuse_what_deserves_gp(void **state)
{
	static const u32 unreadable[] = {
		LAPIC_EOI, LAPIC_DFR, LAPIC_ICR_HIGH, LAPIC_SELF_IPI, 0, 0x2f, 0x3a};
	static const u32 read_only[] = {LAPIC_ID, LAPIC_VERSION_REG, LAPIC_PPR, LAPIC_LDR,
		LAPIC_ISR, LAPIC_TMR, LAPIC_IRR, LAPIC_TIMER_CURRENT, LAPIC_DFR, LAPIC_ICR_HIGH};
	u64 value;

	(void)state;
	to_x2apic(2);
	for (u32 i = 0; i < sizeof(unreadable) / 4; i++)
		assert_int_equal(lapic_msr_read(&set, 2, X2(unreadable[i]), &value), E_INVAL);
	for (u32 i = 0; i < sizeof(read_only) / 4; i++)
		assert_int_equal(lapic_msr_write(&set, 2, X2(read_only[i]), 0), E_INVAL);
	assert_int_equal(lapic_msr_write(&set, 2, X2(LAPIC_EOI), 1), E_INVAL);
	assert_int_equal(lapic_msr_write(&set, 2, X2(LAPIC_ESR), 1), E_INVAL);
	assert_int_equal(lapic_msr_write(&set, 2, X2(LAPIC_TPR), 0x100), E_INVAL);
	assert_int_equal(lapic_msr_write(&set, 2, X2(LAPIC_LVT), 1ull << 32), E_INVAL);
	assert_int_equal(lapic_msr_read(&set, 2, 0x840, &value), E_NOTFOUND);
	assert_int_equal(msr_read(2, X2(LAPIC_ID)), 2);
	assert_int_equal(msr_read(2, X2(LAPIC_LDR)), 4);
	msr_write(2, X2(LAPIC_SELF_IPI), 0x77);
	assert_int_equal(take(2), 0x77);
}

static void x2apic_registers_refuse_each_reserved_bit(void **state)
{
	static const struct {
		u32 reg;
		u64 valid;
	} registers[] = {
		{LAPIC_TPR, 0xff},
		{LAPIC_EOI, 0},
		{LAPIC_SVR, 0x1ff},
		{LAPIC_ESR, 0},
		{LAPIC_ICR, 0xffffffff000ccfff},
		{LAPIC_LVT + LVT_TIMER, 0x710ff},
		{LAPIC_LVT + LVT_THERMAL, 0x117ff},
		{LAPIC_LVT + LVT_PERF, 0x117ff},
		{LAPIC_LVT + LVT_LINT0, 0x1f7ff},
		{LAPIC_LVT + LVT_LINT1, 0x1f7ff},
		{LAPIC_LVT + LVT_ERROR, 0x110ff},
		{LAPIC_TIMER_INITIAL, 0xffffffff},
		{LAPIC_TIMER_DIVIDE, 0xb},
		{LAPIC_SELF_IPI, 0xff},
	};

	(void)state;
	to_x2apic(2);
	for (u32 i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		for (u32 bit = 0; bit < 64; bit++) {
			err_t expected = registers[i].valid >> bit & 1 ? 0 : E_INVAL;

			assert_int_equal(
				lapic_msr_write(&set, 2, X2(registers[i].reg), BIT(bit)), expected);
		}
	}
}

static void x2apic_ids_and_logical_ids_are_the_index_s(void **state)
{
	static struct lapic many[MOST];

	(void)state;
	set.all = many;
	set.count = MOST;
	lapic_reset(&set);
	for (u32 i = 0; i < MOST; i++) {
		mmio_write(i, LAPIC_SVR, SVR_ON);
		mmio_write(i, LAPIC_LDR, 0xff000000);
		to_x2apic(i);
		assert_int_equal(msr_read(i, X2(LAPIC_ID)), i);
		assert_int_equal(msr_read(i, X2(LAPIC_LDR)), i / 16 << 16 | 1u << i % 16);
	}
	msr_write(5, X2(LAPIC_ICR), 63ull << 32 | 0x41); /* physical */
	assert_int_equal(msr_read(5, X2(LAPIC_ICR)), 63ull << 32 | 0x41);
	assert_int_equal(take(63), 0x41);
	msr_write(5, X2(LAPIC_ICR), (2ull << 16 | 0x8001) << 32 | 0x852); /* two of cluster 2 */
	for (u32 i = 0; i < MOST; i++)
		assert_int_equal(take(i), i == 32 || i == 47 ? 0x52 : -1);
}

/* Linux' first CPU is in x2APIC mode by then, those that it starts are not yet. */
static void x2apic_starts_a_vcpu_in_xapic_mode_and_init_keeps_the_mode(void **state)
{
	(void)state;
	to_x2apic(0);
	msr_write(0, X2(LAPIC_ICR), 3ull << 32 | 0xc500);
	assert_true(lapics[3].init_pending);
	lapic_init_one(&set, 3);
	lapics[3].wait_for_sipi = true;
	msr_write(0, X2(LAPIC_ICR), 3ull << 32 | 0x4699);
	assert_true(lapics[3].sipi_pending);
	assert_int_equal(lapics[3].sipi_vector, 0x99);
	assert_int_equal(mmio_read(3, LAPIC_ID), 3u << 24);
	/* As after kexec: it is found in the mode that the kernel before left it in. */
	to_x2apic(3);
	msr_write(0, X2(LAPIC_ICR), 3ull << 32 | 0xc500);
	lapic_init_one(&set, 3);
	assert_int_equal(msr_read(3, X2(LAPIC_ID)), 3);
	lapic_reset(&set);
	assert_int_equal(msr_read(3, BASE), VDEV_LAPIC_GPA | APIC_BASE_ENABLE);
}

static void ipis_reach_whom_they_name(void **state)
{
	(void)state;
	/* physical, to 2 */
	mmio_write(0, LAPIC_ICR_HIGH, 2u << 24);
	mmio_write(0, LAPIC_ICR, 0x4051);
	assert_int_equal(take(2), 0x51);
	assert_int_equal(kicks[2], 1);
	assert_int_equal(mmio_read(0, LAPIC_ICR) & 0x1000, 0);
	/* self, all, others */
	mmio_write(1, LAPIC_ICR, 0x44052);
	assert_int_equal(take(1), 0x52);
	mmio_write(1, LAPIC_ICR, 0x84063);
	mmio_write(1, LAPIC_ICR, 0xc4074);
	for (u32 i = 0; i < COUNT; i++) {
		assert_int_equal(take(i), i == 1 ? 0x63 : 0x74);
		if (i != 1)
			mmio_write(i, LAPIC_EOI, 0);
	}
	/* broadcast */
	mmio_write(0, LAPIC_ICR_HIGH, 0xffu << 24);
	mmio_write(0, LAPIC_ICR, 0x4085);
	for (u32 i = 0; i < COUNT; i++)
		assert_int_equal(take(i), 0x85);
}

static void logical_destinations_flat_and_cluster(void **state)
{
	(void)state;
	for (u32 i = 0; i < COUNT; i++)
		mmio_write(i, LAPIC_LDR, 1u << (24 + i));
	lapic_message(&set, 0xa, true, DELIVER_FIXED, 0x40, false); /* 1 and 3 */
	for (u32 i = 0; i < COUNT; i++)
		assert_int_equal(take(i), i & 1 ? 0x40 : -1);
	/* clusters 0 and 1, two members each */
	for (u32 i = 0; i < COUNT; i++) {
		mmio_write(i, LAPIC_DFR, 0);
		mmio_write(i, LAPIC_LDR, (i / 2) << 28 | 1u << (24 + i % 2));
	}
	lapic_message(&set, 0x12, true, DELIVER_FIXED, 0x50, false); /* cluster 1, second member */
	for (u32 i = 0; i < COUNT; i++)
		assert_int_equal(take(i), i == 3 ? 0x50 : -1);
	to_x2apic(3);
	to_x2apic(0);
	msr_write(0, X2(LAPIC_ICR), 8ull << 32 | 0x4860); /* logical, cluster 0, member 3 */
	assert_int_equal(take(3), 0x60);
	msr_write(0, X2(LAPIC_ICR), 0xffffffffull << 32 | 0x4071);
	assert_int_equal(take(3), 0x71);
	assert_int_equal(take(0), 0x71);
}

static void lowest_priority_goes_to_one_who_is_least_busy(void **state)
{
	(void)state;
	for (u32 i = 0; i < COUNT; i++) {
		mmio_write(i, LAPIC_LDR, 1u << (24 + i));
		mmio_write(i, LAPIC_TPR, i == 2 ? 0x10 : 0x30);
	}
	lapic_message(&set, 0xf, true, DELIVER_LOWEST, 0x90, false);
	for (u32 i = 0; i < COUNT; i++)
		assert_int_equal(take(i), i == 2 ? 0x90 : -1);
}

static void init_and_sipi_start_a_waiting_vcpu_once(void **state)
{
	(void)state;
	assert_true(lapics[1].wait_for_sipi && !lapics[0].wait_for_sipi);
	mmio_write(0, LAPIC_ICR_HIGH, 1u << 24);
	mmio_write(0, LAPIC_ICR, 0x8500); /* INIT level de-assert: nothing */
	assert_false(lapics[1].init_pending);
	mmio_write(0, LAPIC_ICR, 0xc500);
	assert_true(lapics[1].init_pending);
	mmio_write(0, LAPIC_ICR, 0x4612);
	mmio_write(0, LAPIC_ICR, 0x4613); /* the second SIPI finds nobody waiting */
	assert_true(lapics[1].sipi_pending);
	assert_int_equal(lapics[1].sipi_vector, 0x12);
	mmio_write(0, LAPIC_ICR, 0x4400);
	assert_true(lapics[1].nmi_pending);
}

static void illegal_vectors_are_errors_noted_once(void **state)
{
	(void)state;
	mmio_write(0, LAPIC_LVT + LVT_ERROR, 0x3f);
	mmio_write(0, LAPIC_ICR, 0x40005); /* self, vector 5 */
	assert_int_equal(take(0), 0x3f);
	mmio_write(0, LAPIC_EOI, 0);
	assert_int_equal(mmio_read(0, LAPIC_ESR), 0);
	mmio_write(0, LAPIC_ESR, 0);
	assert_int_equal(mmio_read(0, LAPIC_ESR), 0x20);
	/* An error vector that is illegal itself must end. */
	mmio_write(0, LAPIC_LVT + LVT_ERROR, 0x03);
	send(0, 0x02);
	mmio_write(0, LAPIC_ESR, 0);
	assert_int_equal(mmio_read(0, LAPIC_ESR), 0x40);
	/* A register that is not there. */
	mmio_write(0, 0x05, 1);
	mmio_write(0, LAPIC_ESR, 0);
	assert_int_equal(mmio_read(0, LAPIC_ESR) & 0x80, 0x80);
	/* x2APIC's own way to send to oneself. */
	to_x2apic(0);
	msr_write(0, X2(LAPIC_LVT + LVT_ERROR), LVT_MASKED);
	msr_write(0, X2(LAPIC_ESR), 0);
	msr_write(0, X2(LAPIC_ICR), 0x51);
	msr_write(0, X2(LAPIC_SELF_IPI), 5);
	msr_write(0, X2(LAPIC_ESR), 0);
	assert_int_equal(msr_read(0, X2(LAPIC_ESR)), 0x20);
	assert_int_equal(msr_read(0, X2(LAPIC_ICR)), 0x51); /* another register */
}

static void one_call_sends_to_each_id_of_a_bitmap(void **state)
{
	(void)state;
	to_x2apic(1);
	assert_int_equal(lapic_send_each(&set, 0xb, 0, DELIVER_FIXED, 0x55), 3);
	for (u32 i = 0; i < COUNT; i++)
		assert_int_equal(take(i), i == 2 ? -1 : 0x55);
	assert_int_equal(lapic_send_each(&set, ~0ull, 2, DELIVER_NMI, 0), 2);
	for (u32 i = 0; i < COUNT; i++)
		assert_int_equal(lapics[i].nmi_pending, i >= 2);
	/* Nobody, by numbers that would wrap around. */
	assert_int_equal(lapic_send_each(&set, ~0ull, COUNT, DELIVER_FIXED, 0x66), 0);
	assert_int_equal(lapic_send_each(&set, ~0ull, ~0ull, DELIVER_FIXED, 0x66), 0);
	assert_int_equal(lapic_send_each(&set, ~0ull, ~0ull - 62, DELIVER_FIXED, 0x66), 0);
	for (u32 i = 0; i < COUNT; i++)
		assert_int_equal(take(i), -1);
}

static void init_keeps_place_and_id(void **state)
{
	(void)state;
	to_x2apic(3);
	msr_write(3, X2(LAPIC_TPR), 0x20);
	lapic_init_one(&set, 3);
	assert_int_equal(msr_read(3, X2(LAPIC_ID)), 3);
	assert_int_equal(msr_read(3, X2(LAPIC_LDR)), 8);
	assert_int_equal(msr_read(3, X2(LAPIC_TPR)), 0);
}

static void odd_mmio_accesses_do_no_harm(void **state)
{
	u64 value;

	(void)state;
	for (u32 offset = 0; offset < 0x1000; offset++) {
		for (u32 bytes = 1; bytes <= 8; bytes *= 2) {
			value = 0x123456789abcdef0ull;
			assert_int_equal(lapic_mmio(&set, 0, offset, bytes, false, &value), 0);
			value = ~0ull;
			if (offset >> 4 != LAPIC_ICR)
				assert_int_equal(
					lapic_mmio(&set, 0, offset, bytes, true, &value), 0);
		}
	}
	value = 0;
	assert_int_equal(lapic_mmio(&set, 2, LAPIC_VERSION_REG * 16 + 2, 1, false, &value), 0);
	assert_int_equal(value & 0xff, 5);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(highest_vector_first_and_same_class_waits_for_eoi),
		TEST(tpr_masks_and_tells_the_class_that_waits),
		TEST(a_disabled_apic_drops_interrupts_and_masks_its_lvt),
		TEST(level_vectors_tell_the_ioapic_at_eoi),
		TEST(one_shot_counts_and_fires_once),
		TEST(every_divider_divides),
		TEST(periodic_keeps_its_phase_when_looked_at_late),
		TEST(a_period_cannot_drown_the_guest),
		TEST(deadline_fires_at_its_tsc_and_disarms),
		TEST(x2apic_timer_runs_on_the_tsc),
		TEST(modes_change_along_the_sdms_arrows_only),
		TEST(x2apic_registers_refuse_what_deserves_gp),
		TEST(x2apic_registers_refuse_each_reserved_bit),
		TEST(x2apic_ids_and_logical_ids_are_the_index_s),
		TEST(x2apic_starts_a_vcpu_in_xapic_mode_and_init_keeps_the_mode),
		TEST(ipis_reach_whom_they_name),
		TEST(logical_destinations_flat_and_cluster),
		TEST(lowest_priority_goes_to_one_who_is_least_busy),
		TEST(init_and_sipi_start_a_waiting_vcpu_once),
		TEST(illegal_vectors_are_errors_noted_once),
		TEST(one_call_sends_to_each_id_of_a_bitmap),
		TEST(init_keeps_place_and_id),
		TEST(odd_mmio_accesses_do_no_harm),
	};
	return cmocka_run_group_tests_name("unit/lapic", tests, NULL, NULL);
}

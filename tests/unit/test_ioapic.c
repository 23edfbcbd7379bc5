/* SRCS: hv/vdev/ioapic.c hv/vdev/lapic.c hv/vdev/lapic_bus.c hv/vdev/lapic_timer.c */
/* The IOAPIC with real local APICs behind it: edges, levels, remote IRR, masks, and its register
 * window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/vdev/ioapic.h"

#define MASKED     0x10000u
#define LEVEL      0x8000u
#define REMOTE_IRR 0x4000u

static struct lapic lapics[2];
static struct lapic_set set;
static struct ioapic io;

static void on_kick(void *context, u32 index)
{
	(void)context;
	(void)index;
}

static void on_eoi(void *context, u8 vector)
{
	(void)context;
	ioapic_eoi(&io, &set, vector);
}

static void reg_write(u32 reg, u32 value)
{
	u64 v = reg;

	ioapic_mmio(&io, &set, 0, 4, true, &v);
	v = value;
	ioapic_mmio(&io, &set, 0x10, 4, true, &v);
}

static u32 reg_read(u32 reg)
{
	u64 v = reg;

	ioapic_mmio(&io, &set, 0, 4, true, &v);
	ioapic_mmio(&io, &set, 0x10, 4, false, &v);
	return (u32)v;
}

static int start(void **state)
{
	u64 on = 0x1ff;

	(void)state;
	memset(lapics, 0, sizeof(lapics));
	set = (struct lapic_set){.all = lapics,
		.count = 2,
		.tsc_khz = 1000000,
		.kick = on_kick,
		.level_eoi = on_eoi};
	lapic_reset(&set);
	for (u32 i = 0; i < 2; i++)
		lapic_mmio(&set, i, 0xf0, 4, true, &on);
	ioapic_reset(&io);
	return 0;
}

static int take(u32 index)
{
	u8 blocked;
	int vector = lapic_peek(&set, index, &blocked);

	if (vector >= 0)
		lapic_take(&set, index, (u8)vector);
	return vector;
}

static void eoi(u32 index)
{
	u64 zero = 0;

	lapic_mmio(&set, index, 0xb0, 4, true, &zero);
}

static void registers_say_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(reg_read(1), 0x00170020);
	reg_write(0, 0xffffffff);
	assert_int_equal(reg_read(0), 0x0f000000);
	for (u32 pin = 0; pin < IOAPIC_PIN_COUNT; pin++)
		assert_int_equal(reg_read(0x10 + 2 * pin), MASKED);
	reg_write(0x10, 0xffffffff);
	reg_write(0x11, 0xffffffff);
	assert_int_equal(reg_read(0x10), 0x1afff); /* status and remote IRR are not writable */
	assert_int_equal(reg_read(0x11), 0xff000000);
	assert_int_equal(reg_read(0x40), 0); /* beyond the last pin */
	reg_write(0x40, 1);
}

static void an_edge_interrupts_once(void **state)
{
	(void)state;
	reg_write(0x10 + 2 * 4, 0x34);
	ioapic_set_line(&io, &set, 4, true);
	assert_int_equal(take(0), 0x34);
	ioapic_set_line(&io, &set, 4, true);
	eoi(0);
	assert_int_equal(take(0), -1);
	ioapic_set_line(&io, &set, 4, false);
	assert_int_equal(take(0), -1);
	ioapic_set_line(&io, &set, 4, true);
	assert_int_equal(take(0), 0x34);
}

static void an_edge_while_masked_is_lost(void **state)
{
	(void)state;
	reg_write(0x18, 0x34 | MASKED);
	ioapic_set_line(&io, &set, 4, true);
	reg_write(0x18, 0x34);
	assert_int_equal(take(0), -1);
}

static void a_level_interrupts_until_it_falls(void **state)
{
	(void)state;
	reg_write(0x10 + 2 * 9, 0x59 | LEVEL);
	ioapic_set_line(&io, &set, 9, true);
	assert_int_equal(reg_read(0x10 + 2 * 9) & REMOTE_IRR, REMOTE_IRR);
	assert_int_equal(take(0), 0x59);
	assert_int_equal(take(0), -1);
	eoi(0); /* the line is still high */
	assert_int_equal(take(0), 0x59);
	ioapic_set_line(&io, &set, 9, false);
	eoi(0);
	assert_int_equal(take(0), -1);
	assert_int_equal(reg_read(0x10 + 2 * 9) & REMOTE_IRR, 0);
}

static void a_level_while_masked_interrupts_when_unmasked(void **state)
{
	(void)state;
	reg_write(0x10 + 2 * 9, 0x59 | LEVEL | MASKED);
	ioapic_set_line(&io, &set, 9, true);
	assert_int_equal(take(0), -1);
	reg_write(0x10 + 2 * 9, 0x59 | LEVEL);
	assert_int_equal(take(0), 0x59);
}

static void making_it_edge_clears_remote_irr(void **state)
{
	(void)state;
	reg_write(0x10 + 2 * 9, 0x59 | LEVEL);
	ioapic_set_line(&io, &set, 9, true);
	ioapic_set_line(&io, &set, 9, false);
	reg_write(0x10 + 2 * 9, 0x59 | MASKED);
	reg_write(0x10 + 2 * 9, 0x59 | LEVEL | MASKED);
	assert_int_equal(reg_read(0x10 + 2 * 9), 0x59 | LEVEL | MASKED);
}

static void its_eoi_register_does_as_the_lapics(void **state)
{
	u64 vector = 0x59;

	(void)state;
	reg_write(0x10 + 2 * 9, 0x59 | LEVEL);
	ioapic_set_line(&io, &set, 9, true);
	ioapic_set_line(&io, &set, 9, false);
	ioapic_mmio(&io, &set, 0x40, 4, true, &vector);
	assert_int_equal(reg_read(0x10 + 2 * 9) & REMOTE_IRR, 0);
}

static void entries_choose_the_processor(void **state)
{
	(void)state;
	reg_write(0x19, 1u << 24);
	reg_write(0x18, 0x40);
	ioapic_set_line(&io, &set, 4, true);
	assert_int_equal(take(0), -1);
	assert_int_equal(take(1), 0x40);
	reg_write(0x18, 0x440); /* NMI */
	ioapic_set_line(&io, &set, 4, false);
	ioapic_set_line(&io, &set, 4, true);
	assert_true(lapics[1].nmi_pending);
}

static void numbers_out_of_range_do_no_harm(void **state)
{
	u64 value;

	(void)state;
	ioapic_set_line(&io, &set, IOAPIC_PIN_COUNT, true);
	ioapic_set_line(&io, &set, ~0u, true);
	for (u32 reg = 0; reg < 256; reg++) {
		reg_read(reg);
		reg_write(reg, 0xffffffff);
	}
	for (u32 offset = 0; offset < 4096; offset++) {
		for (u32 bytes = 1; bytes <= 8; bytes *= 2) {
			value = ~0ull;
			ioapic_mmio(&io, &set, offset, bytes, false, &value);
			ioapic_mmio(&io, &set, offset, bytes, true, &value);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(registers_say_what_it_is),
		TEST(an_edge_interrupts_once),
		TEST(an_edge_while_masked_is_lost),
		TEST(a_level_interrupts_until_it_falls),
		TEST(a_level_while_masked_interrupts_when_unmasked),
		TEST(making_it_edge_clears_remote_irr),
		TEST(its_eoi_register_does_as_the_lapics),
		TEST(entries_choose_the_processor),
		TEST(numbers_out_of_range_do_no_harm),
	};
	return cmocka_run_group_tests_name("unit/ioapic", tests, NULL, NULL);
}

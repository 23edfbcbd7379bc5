/* SRCS: drivers/pci.c */
/*
 * PCI against a fake configuration space whose registers behave as hardware's: read-only ones
 * ignore writes, base addresses keep only the bits that their size leaves, and decoding must be off
 * while they are sized.
 */
#include "drivers/pci.h"
#include "tests/fake/cmocka.h"

#include <stdlib.h>
#include <string.h>

#define FUNCTIONS 16u

struct fake_function {
	pci_bdf_t bdf;
	u8 space[256];
	u64 bar_bytes[6]; /* 0: not implemented; of a 64-bit one in its lower half */
	bool used;
};

static struct fake_function fakes[FUNCTIONS];
static u32 reads;
static bool sized_while_decoding;

static struct fake_function *find(pci_bdf_t bdf)
{
	for (u32 i = 0; i < FUNCTIONS; i++) {
		if (fakes[i].used && fakes[i].bdf.v == bdf.v)
			return &fakes[i];
	}
	return NULL;
}

static u32 fake_read(const struct pci_config *config, pci_bdf_t bdf, u32 offset, u32 bytes)
{
	struct fake_function *f = find(bdf);
	u32 value = 0;

	(void)config;
	reads++;
	assert_true(offset + bytes <= 256 && offset % bytes == 0);
	if (!f)
		return ~0u >> (32 - 8 * bytes);
	memcpy(&value, f->space + offset, bytes);
	return value;
}

static bool is_64bit(const struct fake_function *f, u32 index)
{
	return (f->space[0x10 + 4 * index] & 7) == 4;
}

static void write_bar(struct fake_function *f, u32 index, u32 value)
{
	u32 old, mask = ~0u, flags;
	bool upper = index > 0 && f->bar_bytes[index] == 0 && is_64bit(f, index - 1);
	u64 bytes = upper ? f->bar_bytes[index - 1] : f->bar_bytes[index];

	memcpy(&old, f->space + 0x10 + 4 * index, 4);
	flags = upper ? 0 : old & 1 ? 3 : 15;
	if (!bytes)
		return;
	mask = (u32)(~(bytes - 1) >> (upper ? 32 : 0)) & ~flags;
	value = (value & mask) | (old & flags);
	sized_while_decoding |= f->space[4] & 3 && value != old;
	memcpy(f->space + 0x10 + 4 * index, &value, 4);
}

static void fake_write(
	const struct pci_config *config, pci_bdf_t bdf, u32 offset, u32 bytes, u32 value)
{
	struct fake_function *f = find(bdf);

	(void)config;
	assert_non_null(f);
	assert_true(offset + bytes <= 256 && offset % bytes == 0);
	if (offset >= 0x10 && offset < 0x28) {
		assert_int_equal(bytes, 4);
		write_bar(f, (offset - 0x10) / 4, value);
	} else if (offset == 4 || offset >= 0x40) {
		memcpy(f->space + offset, &value, bytes);
	}
}

static struct pci_config config = {
	.name = "fake", .read = fake_read, .write = fake_write, .last_bus = 255};

static void set(struct fake_function *f, u32 offset, u32 value, u32 bytes)
{
	memcpy(f->space + offset, &value, bytes);
}

static struct fake_function *add(u32 bus, u32 device, u32 function, u32 class_code)
{
	for (u32 i = 0; i < FUNCTIONS; i++) {
		struct fake_function *f = &fakes[i];

		if (f->used)
			continue;
		f->used = true;
		f->bdf = pci_bdf(bus, device, function);
		set(f, 0, 0x56781234, 4);
		set(f, 8, class_code << 8 | 7, 4);
		return f;
	}
	abort();
}

static struct fake_function *add_bridge(u32 bus, u32 device, u32 secondary)
{
	struct fake_function *f = add(bus, device, 0, 0x060400);

	set(f, 0x0e, 1, 1);
	set(f, 0x19, secondary, 1);
	return f;
}

static int setup(void **state)
{
	(void)state;
	memset(fakes, 0, sizeof(fakes));
	reads = 0;
	sized_while_decoding = false;
	config.all_buses = false;
	return 0;
}

struct seen {
	u32 count, stop_after;
	u16 bdfs[64];
};

static bool note(void *context, const struct pci_function *function)
{
	struct seen *seen = context;

	assert_true(seen->count < 64);
	seen->bdfs[seen->count++] = function->bdf.v;
	return seen->count != seen->stop_after;
}

static void functions_and_what_lies_behind_bridges_are_found(void **state)
{
	struct seen seen = {0};

	(void)state;
	add(0, 0, 0, 0x060000);
	set(add(0, 31, 0, 0x060100), 0x0e, 0x80, 1);
	add(0, 31, 3, 0x0c0500);
	add(0, 30, 1, 0x020000); /* without a function 0 there is no device */
	add_bridge(0, 1, 3);
	add_bridge(3, 0, 4);
	add(4, 0, 0, 0x010802);
	assert_int_equal(pci_walk(&config, note, &seen), 6);
	assert_int_equal(seen.count, 6);
	assert_int_equal(seen.bdfs[0], pci_bdf(0, 0, 0).v);
	assert_int_equal(seen.bdfs[1], pci_bdf(0, 1, 0).v);
	assert_int_equal(seen.bdfs[3], pci_bdf(0, 31, 3).v);
	assert_int_equal(seen.bdfs[5], pci_bdf(4, 0, 0).v);
	assert_true(reads < 200);
}

static void bridges_that_lead_in_circles_are_walked_once(void **state)
{
	struct seen seen = {0};

	(void)state;
	add_bridge(0, 1, 3);
	add_bridge(0, 2, 3);
	add_bridge(3, 0, 0);
	add_bridge(3, 1, 3);
	add_bridge(3, 2, 9);
	add_bridge(9, 2, 3);
	assert_int_equal(pci_walk(&config, note, &seen), 6);
}

static void a_second_root_is_found_where_looking_is_cheap(void **state)
{
	struct seen seen = {0}, all = {0};

	(void)state;
	add(0, 0, 0, 0x060000);
	add(0x80, 5, 0, 0x010802);
	assert_int_equal(pci_walk(&config, note, &seen), 1);
	config.all_buses = true;
	assert_int_equal(pci_walk(&config, note, &all), 2);
	assert_int_equal(all.bdfs[1], pci_bdf(0x80, 5, 0).v);
}

static void a_visitor_can_end_the_walk(void **state)
{
	struct seen seen = {.stop_after = 1};

	(void)state;
	add(0, 0, 0, 0x060000);
	add(0, 1, 0, 0x010802);
	assert_int_equal(pci_walk(&config, note, &seen), 1);
}

static void base_addresses_and_sizes(void **state)
{
	struct fake_function *f = add(0, 3, 0, 0x010802);
	struct pci_bar bar;
	u8 before[256];

	(void)state;
	set(f, 4, 0x0407, 2);
	set(f, 0x10, 0xfebf0004, 4); /* 64 bits, 16 KiB, at 8 GiB and something */
	set(f, 0x14, 2, 4);
	f->bar_bytes[0] = KIB(16);
	set(f, 0x18, 0xfe000008, 4); /* 32 bits, prefetchable, 1 MiB */
	f->bar_bytes[2] = MIB(1);
	set(f, 0x1c, 0xc041, 4); /* 64 ports */
	f->bar_bytes[3] = 64;
	set(f, 0x20, 0x0000000c, 4); /* 64 bits, prefetchable, 8 GiB, at 16 GiB */
	set(f, 0x24, 4, 4);
	f->bar_bytes[4] = GIB(8);
	memcpy(before, f->space, sizeof(before));

	assert_int_equal(pci_bar_size(&config, f->bdf, 0, &bar), 0);
	assert_true(
		bar.base == 0x2febf0000ull && bar.bytes == KIB(16) && bar.is_64bit && !bar.is_io);
	assert_int_equal(pci_bar_size(&config, f->bdf, 1, &bar), E_NOTFOUND);
	assert_int_equal(pci_bar_size(&config, f->bdf, 2, &bar), 0);
	assert_true(bar.base == 0xfe000000 && bar.bytes == MIB(1) && !bar.is_64bit &&
		    bar.is_prefetchable);
	assert_int_equal(pci_bar_size(&config, f->bdf, 3, &bar), 0);
	assert_true(bar.base == 0xc040 && bar.bytes == 64 && bar.is_io);
	assert_int_equal(pci_bar_size(&config, f->bdf, 4, &bar), 0);
	assert_true(bar.base == 0x400000000ull && bar.bytes == GIB(8));
	assert_int_equal(pci_bar_size(&config, f->bdf, 6, &bar), E_INVAL);
	assert_memory_equal(before, f->space, sizeof(before));
	assert_false(sized_while_decoding);
}

static void odd_base_addresses_are_refused(void **state)
{
	struct fake_function *f = add(0, 3, 0, 0x010802);
	struct fake_function *bridge = add_bridge(0, 4, 1);
	struct pci_bar bar;

	(void)state;
	assert_int_equal(pci_bar_base(&config, f->bdf, 2, &bar), E_NOTFOUND);
	set(f, 0x24, 0xfe000004, 4); /* 64 bits, and no register for the upper half */
	assert_int_equal(pci_bar_base(&config, f->bdf, 5, &bar), E_NOTFOUND);
	assert_int_equal(pci_bar_base(&config, bridge->bdf, 2, &bar), E_INVAL);
}

static void capabilities_are_found_and_circles_end(void **state)
{
	struct fake_function *f = add(0, 3, 0, 0x010802);

	(void)state;
	set(f, 0x34, 0x40, 1);
	set(f, 0x40, 0x5001, 2);
	set(f, 0x50, 0x6005, 2);
	set(f, 0x60, 0x4011, 2); /* back to the first */
	assert_int_equal(pci_find_capability(&config, f->bdf, PCI_CAPABILITY_MSIX), 0);
	set(f, 6, 0x10, 2);
	assert_int_equal(pci_find_capability(&config, f->bdf, PCI_CAPABILITY_MSIX), 0x60);
	assert_int_equal(pci_find_capability(&config, f->bdf, PCI_CAPABILITY_MSI), 0x50);
	assert_int_equal(pci_find_capability(&config, f->bdf, PCI_CAPABILITY_PCIE), 0);
	set(f, 0x34, 0x10, 1); /* into the header */
	assert_int_equal(pci_find_capability(&config, f->bdf, PCI_CAPABILITY_MSI), 0);
}

static u32 at(const struct fake_function *f, u32 offset, u32 bytes)
{
	u32 value = 0;

	memcpy(&value, f->space + offset, bytes);
	return value;
}

static void a_message_interrupt_is_set_up(void **state)
{
	struct pci_message message;

	(void)state;
	/* 255 would be all CPUs. */
	assert_int_equal(pci_message_to(255, 0x55, &message), E_UNSUPPORTED);
	assert_int_equal(pci_message_to(5, 0x55, &message), 0);
	for (u32 wide = 0; wide < 2; wide++) {
		struct fake_function *f = add(0, 3 + wide, 0, 0x010802);
		u32 data = wide ? 0x4c : 0x48;

		assert_int_equal(pci_msi_enable(&config, f->bdf, &message), E_NOTFOUND);
		set(f, 6, 0x10, 2);
		set(f, 0x34, 0x40, 1);
		set(f, 0x40, 5, 2);
		set(f, 0x42, wide ? 0x01b4 : 0x0034, 2); /* 4 of 4 messages enabled, masks */
		set(f, 0x50, 0xf, 4);
		assert_int_equal(pci_msi_enable(&config, f->bdf, &message), 0);
		assert_int_equal(at(f, 0x44, 4), 0xfee05000);
		assert_int_equal(at(f, data, 2), 0x55);
		assert_int_equal(at(f, 0x42, 2), wide ? 0x0185 : 0x0005);
		assert_int_equal(at(f, 0x50, 4), wide ? 0 : 0xf);
		assert_int_equal(at(f, 4, 2), PCI_COMMAND_NO_INTX);
	}
	struct pci_message high = {.address = BIT(40)};

	assert_int_equal(pci_msi_enable(&config, pci_bdf(0, 3, 0), &high), E_UNSUPPORTED);
}

static void a_table_of_messages_is_set_up(void **state)
{
	struct fake_function *f = add(0, 3, 0, 0x010802);
	struct pci_message message;
	struct pci_msix msix;
	u32 table[3 * 4] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1};

	(void)state;
	assert_int_equal(pci_msix_find(&config, f->bdf, &msix), E_NOTFOUND);
	set(f, 6, 0x10, 2);
	set(f, 0x34, 0x40, 1);
	set(f, 0x40, 0x11, 2);
	set(f, 0x42, 0x4002, 2); /* 3 vectors, all masked */
	set(f, 0x44, 0x2000, 4);
	assert_int_equal(pci_msix_find(&config, f->bdf, &msix), E_CORRUPT);
	set(f, 0x10, 0xfe000000, 4);
	assert_int_equal(pci_msix_find(&config, f->bdf, &msix), 0);
	assert_true(msix.count == 3 && msix.table_bar == 0 && msix.table_offset == 0x2000);
	assert_int_equal(pci_message_to(254, 0x41, &message), 0);
	pci_msix_set(table, 1, &message);
	assert_true(table[4] == 0xfeefe000 && table[5] == 0 && table[6] == 0x41 && table[7] == 0);
	assert_true(table[3] == 1 && table[11] == 1);
	pci_msix_enable(&config, f->bdf, &msix);
	assert_int_equal(at(f, 0x42, 2), 0x8002);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup(t, setup)
	const struct CMUnitTest tests[] = {
		TEST(functions_and_what_lies_behind_bridges_are_found),
		TEST(bridges_that_lead_in_circles_are_walked_once),
		TEST(a_second_root_is_found_where_looking_is_cheap),
		TEST(a_visitor_can_end_the_walk),
		TEST(base_addresses_and_sizes),
		TEST(odd_base_addresses_are_refused),
		TEST(capabilities_are_found_and_circles_end),
		TEST(a_message_interrupt_is_set_up),
		TEST(a_table_of_messages_is_set_up),
	};

	return cmocka_run_group_tests_name("unit/pci", tests, NULL, NULL);
}

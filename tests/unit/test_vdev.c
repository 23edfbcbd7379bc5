/* SRCS: hv/vdev/vdev.c hv/vdev/lapic.c hv/vdev/lapic_bus.c hv/vdev/lapic_timer.c hv/vdev/ioapic.c
   hv/vdev/uart16550.c hv/vdev/rtc.c hv/vdev/civil_time.c hv/vdev/pm.c hv/vdev/acpi.c hv/vdev/aml.c
   hv/vdev/cpuid.c hv/vdev/msr.c hv/vdev/virtio_mmio.c hv/vdev/virtio_queue.c */
/*
 * The devices together, through the one door that exits use: where they live, that interrupts find
 * their way from a device to a vCPU, every way to switch off, and what unowned addresses answer.
 */
#include "tests/unit/vdev_rig.h"
#include "hv/vdev/virtio_mmio.h"

static struct vdev *vdev;

static int start(void **state)
{
	(void)state;
	rig_vendor = "GenuntelineI";
	vdev = rig_create(2);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	vdev_destroy(vdev);
	return 0;
}

static void out(u16 port, u32 bytes, u32 value)
{
	vdev_io(vdev, 0, 0, port, bytes, true, &value);
}

static u32 in(u16 port, u32 bytes)
{
	u32 value = 0x12345678;

	vdev_io(vdev, 0, 0, port, bytes, false, &value);
	return value;
}

static void mmio_write(u64 gpa, u64 value)
{
	assert_int_equal(vdev_mmio(vdev, 0, 0, GPA(gpa), 4, true, &value), 0);
}

static int take(u32 index)
{
	u8 blocked;
	int vector = vdev_interrupt_peek(vdev, index, &blocked);

	if (vector >= 0)
		vdev_interrupt_take(vdev, index, (u8)vector);
	return vector;
}

static void enable_apic(void)
{
	mmio_write(VDEV_LAPIC_GPA + 0xf0, 0x1ff);
}

static void route(u32 pin, u32 entry)
{
	mmio_write(VDEV_IOAPIC_GPA, 0x10 + 2 * pin);
	mmio_write(VDEV_IOAPIC_GPA + 0x10, entry);
}

static void bad_sizes_are_refused(void **state)
{
	struct vdev_config config = {.vcpu_count = 0, .tsc_khz = 1000};
	struct vdev *other;

	(void)state;
	assert_int_equal(vdev_create(&other, &config), E_INVAL);
	config.vcpu_count = 256;
	assert_int_equal(vdev_create(&other, &config), E_INVAL);
	config.vcpu_count = 1;
	config.tsc_khz = 0;
	assert_int_equal(vdev_create(&other, &config), E_INVAL);
}

static void a_serial_interrupt_reaches_the_vcpu(void **state)
{
	(void)state;
	enable_apic();
	route(4, 0x34);
	out(0x3f9, 1, 0x02);
	assert_int_equal(take(0), 0x34);
	assert_true(rig.kicks[0] > 0);
	out(0x3f8, 1, 'h');
	out(0x3f8, 1, 'i');
	assert_string_equal(rig.out, "hi");
	assert_int_equal(in(0x3fa, 1) & 0x0f, 2);
	assert_true(vdev_serial_in(vdev, 'x'));
	assert_int_equal(in(0x3f8, 1), 'x');
}

static void the_clock_answers_and_interrupts(void **state)
{
	u64 tsc, ns;
	u32 value;

	(void)state;
	enable_apic();
	route(8, 0x38);
	out(0x70, 1, 4);
	assert_int_equal(in(0x71, 1), 0x22);
	out(0x70, 2, 0x120b); /* index and data in one: update interrupt, 24 h */
	vdev_next_event(vdev, 0, &tsc, &ns);
	assert_int_equal(ns, 1000000000);
	vdev_next_event(vdev, 1, &tsc, &ns);
	assert_true(ns == ~0ull);
	vdev_tick(vdev, 0, 0, ns == ~0ull ? 1000000000 : ns);
	assert_int_equal(take(0), 0x38);
	value = 0x0c;
	vdev_io(vdev, 0, 1000000000, 0x70, 1, true, &value);
	vdev_io(vdev, 0, 1000000000, 0x71, 1, false, &value);
	assert_int_equal(value, 0x90);
}

static void every_way_off_works(void **state)
{
	static const struct {
		u16 port;
		u8 bytes;
		u16 value;
		int how;
	} ways[] = {
		{0x600, 1, 5 << 2 | 0x20, VDEV_POWER_OFF}, /* ACPI sleep control, S5 */
		{0x600, 1, 1 << 2 | 0x20, -1},             /* another sleep type: none there */
		{0x600, 1, 5 << 2, -1},                    /* not enabled */
		{0x602, 1, 6, VDEV_RESET},                 /* ACPI reset register */
		{0x602, 1, 1, -1},
		{0x604, 2, 0x2000, VDEV_POWER_OFF},
		{0xcf9, 1, 0x06, VDEV_RESET},
		{0xcf9, 1, 0x02, -1},
		{0x64, 1, 0xfe, VDEV_RESET},
		{0x64, 1, 0xd1, -1},
		{0x92, 1, 0x03, VDEV_RESET},
		{0x92, 1, 0x02, -1},
		{0xf4, 1, 0x10, -1}, /* QEMU's debug exit: harmless here */
		{0x80, 1, 0xaa, -1},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(ways); i++) {
		rig.ended = -1;
		vdev_reset(vdev, 0);
		out(ways[i].port, ways[i].bytes, ways[i].value);
		assert_int_equal(rig.ended, ways[i].how);
	}
}

static void cf9_resets_when_its_bit_rises(void **state)
{
	(void)state;
	out(0xcf9, 1, 0x02);
	assert_int_equal(in(0xcf9, 1), 0x02);
	out(0xcf9, 1, 0x06);
	assert_int_equal(rig.ended, VDEV_RESET);
}

static void the_pm_timer_counts(void **state)
{
	u32 value;

	(void)state;
	vdev_io(vdev, 0, 1000000000, 0x608, 4, false, &value);
	assert_int_equal(value, 3579545);
	vdev_io(vdev, 0, 100000ull * 1000000000, 0x608, 4, false, &value);
	assert_int_equal(value, (u32)(3579545ull * 100000));
	vdev_io(vdev, 0, 1000000000, 0x609, 1, false, &value);
	assert_int_equal(value, 3579545 >> 8 & 0xff);
}

static void unowned_ports_and_addresses_read_all_ones(void **state)
{
	static const u16 ports[] = {
		0x20, 0x21, 0xa0, 0x40, 0x43, 0x61, 0x60, 0xcfc, 0x2f8, 0x80, 0xf4, 0xffff};
	u64 value;

	(void)state;
	out(0xcf8, 4, 0x80000000);
	assert_int_equal(in(0xcf8, 4), 0xffffffff);
	for (u32 i = 0; i < ARRAY_COUNT(ports); i++) {
		assert_int_equal(in(ports[i], 1), 0xff);
		assert_int_equal(in(ports[i], 2), 0xffff);
	}
	assert_int_equal(
		in(0x64, 1), 0); /* no controller, but a ready one: so resets need not wait */
	assert_false(vdev_is_mmio(vdev, GPA(0xfed00000)));
	assert_true(vdev_is_mmio(vdev, GPA(0xfee00ff0)));
	value = 0;
	assert_int_equal(vdev_mmio(vdev, 0, 0, GPA(0xfed00000), 4, false, &value), E_RANGE);
	assert_int_equal(value, 0xffffffff);
}

static err_t stop_never(void *context)
{
	(void)context;
	return E_WAIT;
}

static void a_disk_is_where_its_registers_are_and_interrupts_by_level(void **state)
{
	static const struct virtio_device device = {.device_id = 2, .stop = stop_never};
	struct virtio_mmio disk = {.device = &device};
	struct vdev_config config = {
		.vcpu_count = 1, .tsc_khz = RIG_TSC_KHZ, .host = {.kick = rig_kick}};
	struct vdev *without = vdev;
	u64 value = 0;

	(void)state;
	assert_false(vdev_is_mmio(vdev, GPA(VDEV_VIRTIO_GPA)));
	config.disk = &disk;
	assert_int_equal(vdev_create(&vdev, &config), 0);
	assert_true(vdev_is_mmio(vdev, GPA(VDEV_VIRTIO_GPA + 0x100)));
	assert_int_equal(vdev_mmio(vdev, 0, 0, GPA(VDEV_VIRTIO_GPA + 8), 4, false, &value), 0);
	assert_int_equal(value, 2);
	value = 0; /* a reset that has to wait */
	assert_int_equal(
		vdev_mmio(vdev, 0, 0, GPA(VDEV_VIRTIO_GPA + 0x70), 4, true, &value), E_WAIT);
	enable_apic();
	route(VDEV_VIRTIO_GSI, 0x8051);
	virtio_mmio_break(&disk);
	assert_int_equal(take(0), -1); /* no driver, none to tell */
	disk.status = 4;
	virtio_mmio_break(&disk);
	assert_int_equal(take(0), 0x51);
	mmio_write(VDEV_LAPIC_GPA + 0xb0, 0);
	assert_int_equal(take(0), 0x51); /* as long as it is not acknowledged */
	mmio_write(VDEV_VIRTIO_GPA + 0x64, 2);
	mmio_write(VDEV_LAPIC_GPA + 0xb0, 0);
	assert_int_equal(take(0), -1);
	vdev_destroy(vdev);
	vdev = without;
}

static void timers_are_told_on_the_clock_they_use(void **state)
{
	u64 tsc, ns, value;

	(void)state;
	enable_apic();
	mmio_write(VDEV_LAPIC_GPA + 0x320, 0x40050);
	assert_int_equal(vdev_msr_write(vdev, 0, 100, 0x6e0, 5000), 0);
	vdev_next_event(vdev, 0, &tsc, &ns);
	assert_true(tsc == 5000 && ns == ~0ull);
	vdev_tick(vdev, 0, 4999, 1);
	assert_int_equal(take(0), -1);
	vdev_tick(vdev, 0, 5000, 2);
	assert_int_equal(take(0), 0x50);
	assert_int_equal(vdev_msr_read(vdev, 0, 5000, 0x6e0, &value), 0);
	assert_int_equal(value, 0);
}

static void tpr_and_cr8_are_one(void **state)
{
	u64 value;

	(void)state;
	enable_apic();
	mmio_write(VDEV_LAPIC_GPA + 0x80, 0x35);
	assert_int_equal(vdev_tpr_get(vdev, 0), 3);
	vdev_tpr_set(vdev, 0, 3); /* no change: the sub-class stays */
	vdev_mmio(vdev, 0, 0, GPA(VDEV_LAPIC_GPA + 0x80), 4, false, &value);
	assert_int_equal(value, 0x35);
	vdev_tpr_set(vdev, 0, 7);
	vdev_mmio(vdev, 0, 0, GPA(VDEV_LAPIC_GPA + 0x80), 4, false, &value);
	assert_int_equal(value, 0x70);
}

static void a_second_vcpu_is_started_by_init_and_sipi(void **state)
{
	u8 vector = 0;

	(void)state;
	enable_apic();
	assert_int_equal(vdev_start_take(vdev, 1, &vector), VDEV_START_NONE);
	mmio_write(VDEV_LAPIC_GPA + 0x310, 1u << 24);
	mmio_write(VDEV_LAPIC_GPA + 0x300, 0xc500);
	mmio_write(VDEV_LAPIC_GPA + 0x300, 0x4699);
	assert_int_equal(rig.kicks[1], 2);
	assert_int_equal(vdev_start_take(vdev, 1, &vector), VDEV_START_INIT);
	assert_int_equal(vdev_start_take(vdev, 1, &vector), VDEV_START_SIPI);
	assert_int_equal(vector, 0x99);
	assert_int_equal(vdev_start_take(vdev, 1, &vector), VDEV_START_NONE);
	mmio_write(VDEV_LAPIC_GPA + 0x300, 0x4400);
	assert_true(vdev_nmi_take(vdev, 1));
	assert_false(vdev_nmi_take(vdev, 1));
}

static void msrs_that_kernels_touch_blindly_answer(void **state)
{
	static const u32 intel[] = {0x17, 0x8b, 0xfe, 0x1a0, 0x1d9, 0x2ff};
	static const u32 amd[] = {0x8b, 0xfe, 0x1d9, 0x2ff, 0xc0010010, 0xc0010015, 0xc001001a,
		0xc001001d, 0xc001001f, 0xc0010055, 0xc0011020, 0xc0011022, 0xc0011029, 0xc001102a};
	u64 value;

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(intel); i++)
		assert_int_equal(vdev_msr_read(vdev, 0, 0, intel[i], &value), 0);
	assert_int_equal(vdev_msr_read(vdev, 0, 0, 0xc0010015, &value), E_NOTFOUND);
	assert_int_equal(vdev_msr_read(vdev, 0, 0, 0x10a, &value), E_NOTFOUND);
	assert_int_equal(vdev_msr_write(vdev, 0, 0, 0x1a0, 1ull << 34), E_INVAL);
	assert_int_equal(vdev_msr_write(vdev, 0, 0, 0x2ff, 0x802), E_INVAL);
	assert_int_equal(vdev_msr_write(vdev, 0, 0, 0x2ff, 0x6), 0);
	assert_int_equal(vdev_msr_read(vdev, 0, 0, 0x2ff, &value), 0);
	assert_int_equal(value, 6);
	assert_int_equal(vdev_msr_write(vdev, 0, 0, 0xfe, 0), E_INVAL);
	vdev_destroy(vdev);
	rig_vendor = "AuthcAMDenti";
	vdev = rig_create(1);
	for (u32 i = 0; i < ARRAY_COUNT(amd); i++) {
		assert_int_equal(vdev_msr_read(vdev, 0, 0, amd[i], &value), 0);
	}
	assert_int_equal(vdev_msr_read(vdev, 0, 0, 0xc0011029, &value), 0);
	assert_int_equal(value, 2);
	assert_int_equal(vdev_msr_read(vdev, 0, 0, 0x1a0, &value), E_NOTFOUND);
	assert_int_equal(vdev_msr_write(vdev, 0, 0, 0xc0010015, 0x40), 0);
}

static void a_reset_forgets_everything_but_the_time(void **state)
{
	(void)state;
	enable_apic();
	route(4, 0x34);
	out(0x3f9, 1, 0x02);
	vdev_reset(vdev, 5);
	assert_int_equal(take(0), -1);
	assert_int_equal(in(0x3f9, 1), 0);
	enable_apic();
	out(0x3f9, 1, 0x02);
	assert_int_equal(take(0), -1); /* the IOAPIC masks it again */
}

static void any_access_does_no_harm(void **state)
{
	u32 seed = 7;

	(void)state;
	for (u32 i = 0; i < 300000; i++) {
		u32 bytes = 1u << (seed >> 3 & 3);
		u64 wide;
		u32 value;

		seed = seed * 1664525 + 1013904223;
		value = seed * 2654435761u;
		wide = (u64)value << 32 | seed;
		if (seed >> 31)
			vdev_mmio(vdev, seed & 1, i,
				GPA((seed >> 30 & 1 ? 0xfee00000ull : 0xfec00000ull) +
					(value >> 20)),
				bytes, seed >> 29 & 1, &wide);
		else if (seed >> 30 & 1)
			vdev_io(vdev, seed & 1, i, (u16)(value >> 16), min(bytes, 4u),
				seed >> 29 & 1, &value);
		else if (seed >> 29 & 1)
			(void)vdev_msr_write(vdev, seed & 1, i, 0x800 + (value >> 26), wide);
		else
			(void)vdev_msr_read(vdev, seed & 1, i, 0x800 + (value >> 26), &wide);
		take(seed & 1);
		vdev_tick(vdev, seed & 1, i, i);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_sizes_are_refused),
		TEST(a_serial_interrupt_reaches_the_vcpu),
		TEST(the_clock_answers_and_interrupts),
		TEST(every_way_off_works),
		TEST(cf9_resets_when_its_bit_rises),
		TEST(the_pm_timer_counts),
		TEST(unowned_ports_and_addresses_read_all_ones),
		TEST(a_disk_is_where_its_registers_are_and_interrupts_by_level),
		TEST(timers_are_told_on_the_clock_they_use),
		TEST(tpr_and_cr8_are_one),
		TEST(a_second_vcpu_is_started_by_init_and_sipi),
		TEST(msrs_that_kernels_touch_blindly_answer),
		TEST(a_reset_forgets_everything_but_the_time),
		TEST(any_access_does_no_harm),
	};
	return cmocka_run_group_tests_name("unit/vdev", tests, NULL, NULL);
}

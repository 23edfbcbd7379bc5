/* SRCS: hv/vm/vcpu_halt.c hv/vdev/vdev.c hv/vdev/lapic.c hv/vdev/lapic_bus.c hv/vdev/lapic_timer.c
   hv/vdev/ioapic.c hv/vdev/uart16550.c hv/vdev/rtc.c hv/vdev/civil_time.c hv/vdev/pm.c
   hv/vdev/acpi.c hv/vdev/aml.c hv/vdev/cpuid.c hv/vdev/msr.c hv/vdev/virtio_mmio.c
   hv/vdev/virtio_queue.c */
/* When a VM has halted for good: what of its vCPUs, and of what is on its way to them, keeps it
 * alive. With real local APICs and a real IOAPIC. */
#include "tests/unit/vdev_rig.h"
#include "hv/vm/vcpu_halt.h"
#include "hv/vm/vm.h"

#define VCPUS    3u
#define RIP      0x1234u
#define ICR_NMI  0x4400u
#define ICR_INIT 0x4500u
#define ICR_SIPI 0x4600u

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static bool is_broken;
static u64 told_rip;

void vm_break(struct vm *broken, const char *fmt, ...)
{
	va_list args;

	assert_ptr_equal(broken, &vm);
	va_start(args, fmt);
	told_rip = va_arg(args, u64);
	va_end(args);
	is_broken = true;
}

/* All have halted with interrupts off. */
static int setup(void **state)
{
	(void)state;
	memset(vcpus, 0, sizeof(vcpus));
	vm = (struct vm){.vcpus = vcpus, .vcpu_count = VCPUS, .vdev = rig_create(VCPUS)};
	vdev_reset(vm.vdev, 0);
	for (u32 i = 0; i < VCPUS; i++) {
		vcpus[i].vm = &vm;
		vcpus[i].index = i;
		vcpus[i].state = VCPU_HALTED;
		vcpus[i].is_stuck = true;
		vcpus[i].virt.rip = RIP + i;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_destroy(vm.vdev);
	return 0;
}

static bool is_over(void)
{
	is_broken = false;
	vcpu_halt_look(&vm);
	return is_broken;
}

static void write32(u64 gpa, u64 value)
{
	assert_int_equal(vdev_mmio(vm.vdev, 0, 0, GPA(gpa), 4, true, &value), 0);
}

/* From vCPU 0, as the last that it does. */
static void send(u32 to, u32 icr)
{
	write32(VDEV_LAPIC_GPA + 0x310, (u64)to << 24);
	write32(VDEV_LAPIC_GPA + 0x300, icr);
}

static void all_halted_with_interrupts_off_is_the_end(void **state)
{
	(void)state;
	assert_true(is_over());
	assert_int_equal(told_rip, RIP);
}

static void one_that_runs_or_waits_keeps_it_alive(void **state)
{
	static const enum vcpu_state alive[] = {VCPU_RUNNABLE, VCPU_PARKED, VCPU_HALTED};

	(void)state;
	for (u32 i = 0; i < VCPUS; i++) {
		for (u32 k = 0; k < ARRAY_COUNT(alive); k++) {
			vcpus[i].state = alive[k];
			vcpus[i].is_stuck = false;
			assert_false(is_over());
		}
		vcpus[i].is_stuck = true;
	}
	assert_true(is_over());
}

static void one_that_was_never_started_does_not_count(void **state)
{
	(void)state;
	vcpus[1].state = vcpus[2].state = VCPU_OFF;
	vcpus[1].is_stuck = vcpus[2].is_stuck = false;
	assert_true(is_over());
	vcpus[0].is_stuck = false;
	assert_false(is_over());
}

static void a_start_on_its_way_keeps_it_alive(void **state)
{
	u8 page;

	(void)state;
	vcpus[2].state = VCPU_OFF;
	vcpus[2].is_stuck = false;
	send(2, ICR_INIT);
	assert_false(is_over());
	assert_int_equal(vdev_start_take(vm.vdev, 2, &page), VDEV_START_INIT);
	assert_true(is_over()); /* it is off still */
	send(2, ICR_SIPI);
	assert_false(is_over());
	/* One that has halted takes no SIPI, but an INIT. */
	assert_int_equal(vdev_start_take(vm.vdev, 2, &page), VDEV_START_SIPI);
	send(2, ICR_SIPI);
	assert_true(is_over());
	send(1, ICR_INIT);
	assert_false(is_over());
}

static void an_nmi_on_its_way_keeps_it_alive_unless_it_is_blocked(void **state)
{
	(void)state;
	send(1, ICR_NMI);
	assert_false(is_over());
	assert_false(is_over()); /* taken from the local APIC, and not lost */
	assert_true(vcpu_halt_is_over(&vcpus[1]));
	assert_false(vcpu_halt_is_over(&vcpus[2]));
	vcpus[1].nmi_blocked = true;
	assert_true(is_over());
	assert_true(vcpus[1].nmi_pending);
}

static void a_kick_keeps_it_alive(void **state)
{
	(void)state;
	vcpus[0].unhalted = true;
	assert_false(is_over());
	vcpus[0].unhalted = false;
	assert_true(is_over());
}

static void an_interrupt_does_not(void **state)
{
	(void)state;
	write32(VDEV_LAPIC_GPA + 0xf0, 0x1ff);
	send(0, 0x4050);
	assert_true(is_over());
}

static void set_pin(u32 pin, u32 entry)
{
	write32(VDEV_IOAPIC_GPA, 0x10 + 2 * pin);
	write32(VDEV_IOAPIC_GPA + 0x10, entry);
}

static void a_pin_that_sends_more_than_interrupts_keeps_it_alive(void **state)
{
	static const struct {
		u32 entry;
		bool is_over;
	} pins[] = {{0x400, false}, {0x500, false}, {0x600, false}, {0x10400, true}, {0x050, true},
		{0x150, true}, {0x700, true}};

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(pins); i++) {
		set_pin(4, pins[i].entry);
		assert_int_equal(is_over(), pins[i].is_over);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_halted_with_interrupts_off_is_the_end),
		TEST(one_that_runs_or_waits_keeps_it_alive),
		TEST(one_that_was_never_started_does_not_count),
		TEST(a_start_on_its_way_keeps_it_alive),
		TEST(an_nmi_on_its_way_keeps_it_alive_unless_it_is_blocked),
		TEST(a_kick_keeps_it_alive),
		TEST(an_interrupt_does_not),
		TEST(a_pin_that_sends_more_than_interrupts_keeps_it_alive),
	};

	return cmocka_run_group_tests_name("unit/vcpu_halt", tests, NULL, NULL);
}

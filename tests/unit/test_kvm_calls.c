/* SRCS: hv/exit/hypercall.c hv/exit/kvm_calls.c hv/memory/balloon.c hv/memory/guest_mem.c
   tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/* KVM's hypercalls: what they ask for, of whom, and what is refused. */
#include "tests/fake/cmocka.h"
#include "tests/unit/hypercall_rig.h"
#include "hv/abi/kvm.h"

#define VCPUS 3u
#define NMI   0x400u

static struct vcpu vcpus[VCPUS];

static int setup(void **state)
{
	(void)state;
	rig_start(MIB(2), 2048);
	memset(vcpus, 0, sizeof(vcpus));
	rig.vm.vcpus = vcpus;
	rig.vm.vcpu_count = VCPUS;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_stop();
	return 0;
}

static s64 send_ipi(u64 low, u64 high, u64 first, u64 icr)
{
	return rig_call(KVM_HC_SEND_IPI, low, high, first, icr);
}

static void an_ipi_names_its_receivers_by_a_bitmap(void **state)
{
	(void)state;
	assert_int_equal(send_ipi(5, 0, 1, 0x40fd), 2);
	assert_true(rig.ipi.ids == 5 && rig.ipi.first == 1 && !rig.ipi.nmi);
	assert_int_equal(rig.ipi.vector, 0xfd);
	assert_true(rig.vcpu.attention); /* one of them may be the caller */
	assert_int_equal(send_ipi(1, 0, 2, NMI), 1);
	assert_true(rig.ipi.nmi);
	/* In 32-bit mode a word has 32 bits. */
	assert_int_equal(send_ipi(1, 0x80000001, 0, 0x30), 3);
	assert_true(rig.ipi.ids == 0x8000000100000001);
}

static void an_ipi_of_another_kind_is_refused(void **state)
{
	/* Vectors that cannot be; SMI, INIT, SIPI, lowest priority; logical, shorthands, level. */
	static const u64 bad[] = {0, 15, 0x200, 0x500, 0x600, 0x130, 0x830, 0x40030, 0xc0030,
		0x8030, 1ull << 32 | 0x30};

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(bad); i++)
		assert_int_equal(send_ipi(1, 0, 0, bad[i]), KVM_E_INVAL);
	assert_int_equal(rig.ipi.count, 0);
}

static void a_kick_is_for_one_that_is_there(void **state)
{
	(void)state;
	assert_int_equal(rig_call(KVM_HC_KICK_CPU, 0, 2, 0, 0), 0);
	assert_ptr_equal(rig.kicked, &vcpus[2]);
	assert_true(vcpus[2].unhalted && !vcpus[0].unhalted && !vcpus[1].unhalted);
	rig.kicked = NULL;
	assert_int_equal(rig_call(KVM_HC_KICK_CPU, 0, VCPUS, 0, 0), KVM_E_INVAL);
	assert_int_equal(rig_call(KVM_HC_KICK_CPU, 0, ~0ull, 0, 0), KVM_E_INVAL);
	assert_null(rig.kicked);
}

static void ring_3_and_unknown_numbers_are_refused(void **state)
{
	(void)state;
	for (u64 number = 0; number < 32; number++) {
		bool known = number == KVM_HC_KICK_CPU || number == KVM_HC_SEND_IPI;

		rig.cpl = 3;
		assert_int_equal(rig_call(number, 1, 0, 0, 0x30), known ? KVM_E_PERM : KVM_E_NOSYS);
		rig.cpl = 0;
		if (!known)
			assert_int_equal(rig_call(number, 1, 0, 0, 0x30), KVM_E_NOSYS);
	}
	assert_int_equal(rig.ipi.count, 0);
	assert_null(rig.kicked);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_ipi_names_its_receivers_by_a_bitmap),
		TEST(an_ipi_of_another_kind_is_refused),
		TEST(a_kick_is_for_one_that_is_there),
		TEST(ring_3_and_unknown_numbers_are_refused),
	};
	return cmocka_run_group_tests_name("unit/kvm_calls", tests, NULL, NULL);
}

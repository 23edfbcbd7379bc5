/* SRCS: hv/vdev/cpuid.c hv/vdev/vdev.c hv/vdev/lapic.c hv/vdev/lapic_bus.c hv/vdev/lapic_timer.c
   hv/vdev/ioapic.c hv/vdev/uart16550.c hv/vdev/rtc.c hv/vdev/civil_time.c hv/vdev/pm.c
   hv/vdev/acpi.c hv/vdev/aml.c hv/vdev/msr.c hv/vdev/virtio_mmio.c hv/vdev/virtio_queue.c */
/*
 * The CPUID policy on a host that claims every feature there is: what may not be shown is not, what
 * must be is, sizes and topology add up, and Linux's own reading of the paravirtual leaves finds
 * what it needs.
 */
#include "tests/unit/vdev_rig.h"
#include "hv/vdev/cpuid_bits.h"

static struct cpuid_policy policy;
static struct cpuid_state state0 = {.apic_enabled = true, .xcr0 = 1};

static u32 r[4];

static void ask(u32 leaf, u32 subleaf)
{
	cpuid_answer(&policy, &state0, leaf, subleaf, r);
}

static void make(u32 vcpu_count, u64 tsc_khz)
{
	struct cpuid_host host;

	cpuid_host_get(&host);
	cpuid_policy_init(&policy, &host, vcpu_count, tsc_khz);
}

static int start(void **state)
{
	(void)state;
	rig_vendor = "GenuntelineI";
	rig_xcr0_mask = 0x2e7;
	state0 = (struct cpuid_state){.apic_enabled = true, .xcr0 = 1};
	make(1, 2000000);
	return 0;
}

static void what_does_not_work_is_hidden(void **state)
{
	(void)state;
	ask(1, 0);
	assert_false(r[CPUID_ECX] &
		     (C32(3) | C32(5) | C32(6) | C32(7) | C32(8) | C32(10) | C32(14) | C32(15)));
	assert_false(r[CPUID_EDX] &
		     (C32(7) | C32(14) | C32(21) | C32(22) | C32(28) | C32(29) | C32(31)));
	ask(5, 0);
	assert_true(!r[0] && !r[1] && !r[2] && !r[3]);
	ask(7, 0);
	/* TSC_ADJUST SGX HLE PQM RTM MPX PQE PT */
	assert_false(r[CPUID_EBX] & (C32(1) | C32(2) | C32(4) | C32(11) | C32(12) | C32(14) |
					    C32(15) | C32(22) | C32(25)));
	/* WAITPKG CET-SS TME LA57 bus lock KL ENQCMD SGX_LC PKS */
	assert_false(r[CPUID_ECX] & (C32(5) | C32(7) | C32(13) | C32(16) | C32(24) | C32(23) |
					    C32(29) | C32(30) | C32(31)));
	/* UINTR hybrid AMX CET-IBT IBRS STIBP L1D ARCH CORE SSBD */
	assert_false(
		r[CPUID_EDX] & (C32(5) | C32(15) | C32(20) | C32(22) | C32(24) | C32(25) | C32(26) |
				       C32(27) | C32(28) | C32(29) | C32(30) | C32(31)));
	ask(0xa, 0);
	assert_true(!r[0] && !r[1] && !r[2] && !r[3]);
	ask(0xd, 1);
	assert_int_equal(r[CPUID_EAX], 7); /* no XSAVES, no XFD */
	ask(0x12, 0);
	assert_false(r[0]);
	ask(0x14, 0);
	assert_false(r[0]);
	ask(0x1d, 0);
	assert_false(r[0]);
	ask(0x80000001u, 0);
	assert_false(r[CPUID_ECX] &
		     (C32(2) | C32(3) | C32(9) | C32(10) | C32(12) | C32(22) | C32(23) | C32(29)));
	ask(0x80000008u, 0);
	assert_false(r[CPUID_EBX] & (C32(12) | C32(14) | C32(15) | C32(24)));
	assert_int_equal(r[CPUID_EAX] & 0xffff, 0x3034);
	assert_int_equal(r[CPUID_EAX] >> 16, 0);
	ask(0x8000000au, 0);
	assert_true(!r[0] && !r[1] && !r[2] && !r[3]);
	ask(0x12345, 0);
	assert_true(!r[0] && !r[1] && !r[2] && !r[3]);
}

static void what_the_hypervisor_makes_is_shown(void **state)
{
	(void)state;
	ask(1, 0);
	assert_true(r[CPUID_ECX] & L1_ECX_HYPERVISOR);
	assert_true(r[CPUID_ECX] & L1_ECX_X2APIC);
	assert_true(r[CPUID_ECX] & L1_ECX_DEADLINE);
	assert_true(r[CPUID_EDX] & L1_EDX_APIC);
	ask(6, 0);
	assert_int_equal(r[CPUID_EAX], 4);
	ask(0x80000007u, 0);
	assert_int_equal(r[CPUID_EDX], LX7_EDX_INVARIANT_TSC);
	/* And what an x86-64 kernel refuses to run without. */
	ask(1, 0);
	assert_int_equal(r[CPUID_EDX] & 0x0700a169,
		0x0700a169); /* FPU PSE MSR PAE CX8 PGE CMOV FXSR SSE SSE2 */
	ask(0x80000001u, 0);
	assert_true(r[CPUID_EDX] & C32(29));
	assert_true(r[CPUID_EDX] & C32(20));
	assert_true(r[CPUID_EDX] & C32(11));
}

static void linux_finds_its_paravirtual_features(void **state)
{
	char signature[13] = {0};

	(void)state;
	ask(0x40000000u, 0);
	memcpy(signature, &r[CPUID_EBX], 12);
	assert_string_equal(signature, "KVMKVMKVM");
	assert_true(r[CPUID_EAX] >= 0x40000001u);
	ask(0x40000001u, 0);
	assert_int_equal(r[CPUID_EAX], 1 | 2 | 8 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 11 | 1 << 24);
	ask(0x40000010u, 0);
	assert_int_equal(r[CPUID_EAX], 2000000);
	ask(0x40000100u, 0);
	memcpy(signature, &r[CPUID_EBX], 12);
	assert_string_equal(signature, "BellowsVMM");
	ask(0x40000200u, 0);
	assert_true(!r[0] && !r[1] && !r[2] && !r[3]);
}

static void osxsave_and_ospke_follow_cr4(void **state)
{
	(void)state;
	ask(1, 0);
	assert_false(r[CPUID_ECX] & L1_ECX_OSXSAVE);
	ask(7, 0);
	assert_true(r[CPUID_ECX] & L7_ECX_PKU);
	assert_false(r[CPUID_ECX] & L7_ECX_OSPKE);
	state0.cr4 = CR4_OSXSAVE | CR4_PKE;
	ask(1, 0);
	assert_true(r[CPUID_ECX] & L1_ECX_OSXSAVE);
	ask(7, 0);
	assert_true(r[CPUID_ECX] & L7_ECX_OSPKE);
}

static void vector_features_need_their_state_switched(void **state)
{
	(void)state;
	rig_xcr0_mask = 0x7;
	make(1, 2000000);
	ask(7, 0);
	assert_false(r[CPUID_EBX] & L7_EBX_WITH_ZMM);
	assert_true(r[CPUID_EBX] & L7_EBX_WITH_YMM);
	assert_false(r[CPUID_ECX] & (L7_ECX_PKU | L7_ECX_WITH_ZMM));
	rig_xcr0_mask = 0;
	make(1, 2000000);
	ask(1, 0);
	assert_false(r[CPUID_ECX] & (L1_ECX_XSAVE | L1_ECX_WITH_YMM));
	ask(7, 0);
	assert_false(r[CPUID_EBX] & L7_EBX_WITH_YMM);
	ask(0xd, 0);
	assert_true(!r[0] && !r[1] && !r[2] && !r[3]);
}

static void xsave_sizes_follow_the_mask_and_xcr0(void **state)
{
	(void)state;
	ask(0xd, 0);
	assert_int_equal(r[CPUID_EAX], 0x2e7);
	assert_int_equal(r[CPUID_EDX], 0);
	assert_int_equal(r[CPUID_EBX], 576);
	assert_int_equal(r[CPUID_ECX], 576 + 8 * 256); /* ends with component 9 */
	state0.xcr0 = 7;
	ask(0xd, 0);
	assert_int_equal(r[CPUID_EBX], 576 + 256);
	ask(0xd, 1);
	assert_int_equal(r[CPUID_EBX], 576 + 256);
	state0.xcr0 = 0x2e7;
	ask(0xd, 1);
	assert_int_equal(r[CPUID_EBX], 576 + 5 * 256); /* compacted: no holes */
	ask(0xd, 2);
	assert_int_equal(r[CPUID_EAX], 256);
	ask(0xd, 3); /* MPX */
	assert_true(!r[0] && !r[1] && !r[2] && !r[3]);
	ask(0xd, 18); /* AMX */
	assert_true(!r[0] && !r[1] && !r[2] && !r[3]);
	ask(0xd, ~0u);
	assert_true(!r[0] && !r[1] && !r[2] && !r[3]);
}

static void topology_is_a_core_a_vcpu(void **state)
{
	(void)state;
	make(6, 2000000);
	state0.apic_id = 5;
	ask(1, 0);
	assert_int_equal(r[CPUID_EBX] >> 24, 5);
	assert_int_equal(r[CPUID_EBX] >> 16 & 0xff, 6);
	assert_true(r[CPUID_EDX] & L1_EDX_HTT);
	ask(0xb, 0);
	assert_int_equal(r[CPUID_EAX], 0);
	assert_int_equal(r[CPUID_EBX], 1);
	assert_int_equal(r[CPUID_ECX], 0x100);
	assert_int_equal(r[CPUID_EDX], 5);
	ask(0xb, 1);
	assert_int_equal(r[CPUID_EAX], 3);
	assert_int_equal(r[CPUID_EBX], 6);
	assert_int_equal(r[CPUID_ECX], 0x201);
	ask(0xb, 2);
	assert_int_equal(r[CPUID_EBX], 0);
	assert_int_equal(r[CPUID_ECX], 2);
	ask(4, 0); /* first level: one vCPU's own; eight core ids */
	assert_int_equal(r[CPUID_EAX] >> 14 & 0xfff, 0);
	assert_int_equal(r[CPUID_EAX] >> 26, 7);
	ask(4, 3); /* last level: shared by all */
	assert_int_equal(r[CPUID_EAX] >> 14 & 0xfff, 7);
	ask(4, 4);
	assert_true(!r[0] && !r[1] && !r[2] && !r[3]);
	make(1, 2000000);
	ask(1, 0);
	assert_false(r[CPUID_EDX] & L1_EDX_HTT);
}

static void leaf_15_is_exact_or_absent_as_linux_computes_it(void **state)
{
	static const u64 frequencies[] = {
		1000000, 2000000, 2400000, 2500000, 3793000, 2399987, 1996250, 100000};

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(frequencies); i++) {
		u32 crystal_khz;

		make(1, frequencies[i]);
		ask(0x15, 0);
		if (!r[CPUID_EAX])
			continue;
		crystal_khz = r[CPUID_ECX] / 1000;
		assert_int_equal((u32)(crystal_khz * r[CPUID_EBX]) / r[CPUID_EAX], frequencies[i]);
	}
	make(1, 2500000);
	ask(0x15, 0);
	assert_int_equal(r[CPUID_EBX], 5);
	ask(0x16, 0);
	assert_int_equal(r[CPUID_EAX], 2500);
}

static void amd_hosts_show_amd(void **state)
{
	(void)state;
	rig_vendor = "AuthcAMDenti";
	make(1, 2000000);
	ask(0, 0);
	assert_int_equal(r[CPUID_EAX], 0xd);
	assert_memory_equal(&r[CPUID_EBX], "AuthcAMDenti", 12);
	ask(0x80000000u, 0);
	assert_int_equal(r[CPUID_EAX], 0x80000008u);
	ask(0x80000001u, 0);
	assert_int_equal(r[CPUID_EDX] & LX1_EDX_AMD_SHOWN, LX1_EDX_AMD_SHOWN);
	assert_false(r[CPUID_ECX] & C32(2));
	ask(0x15, 0);
	assert_true(!r[0] && !r[1] && !r[2] && !r[3]);
}

static void immunities_only_are_passed_on(void **state)
{
	(void)state;
	assert_int_equal(cpuid_arch_capabilities(&policy), 0);
	policy.host.arch_capabilities = ~0ull;
	assert_int_equal(
		cpuid_arch_capabilities(&policy) & (BIT(1) | BIT(2) | BIT(7) | BIT(10)), 0);
	assert_true(cpuid_arch_capabilities(&policy) & 1);
	ask(7, 0);
	assert_true(r[CPUID_EDX] & L7_EDX_ARCH_CAPABILITIES);
}

static void the_apic_bit_follows_its_switch(void **state)
{
	struct vdev *vdev = rig_create(1);

	(void)state;
	vdev_cpuid(vdev, 0, 0, 1, 1, 0, r);
	assert_true(r[CPUID_EDX] & L1_EDX_APIC);
	assert_int_equal(vdev_msr_write(vdev, 0, 0, 0x1b, VDEV_LAPIC_GPA | BIT(8)), 0);
	vdev_cpuid(vdev, 0, 0, 1, 1, 0, r);
	assert_false(r[CPUID_EDX] & L1_EDX_APIC);
	vdev_destroy(vdev);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_does_not_work_is_hidden),
		TEST(what_the_hypervisor_makes_is_shown),
		TEST(linux_finds_its_paravirtual_features),
		TEST(osxsave_and_ospke_follow_cr4),
		TEST(vector_features_need_their_state_switched),
		TEST(xsave_sizes_follow_the_mask_and_xcr0),
		TEST(topology_is_a_core_a_vcpu),
		TEST(leaf_15_is_exact_or_absent_as_linux_computes_it),
		TEST(amd_hosts_show_amd),
		TEST(immunities_only_are_passed_on),
		TEST(the_apic_bit_follows_its_switch),
	};
	return cmocka_run_group_tests_name("unit/cpuid", tests, NULL, NULL);
}

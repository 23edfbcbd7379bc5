/* SRCS: boot/bootcpu.c */
/* Which CPUs are taken, which are refused, and that every refusal tells what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "boot/bootcpu.h"

/* A Skylake-SP as its firmware leaves it, and a Zen. */
static const struct bootcpu_facts skylake = {
	.vmx = true,
	.feature_control = 5,
	.proc_controls = 0xfff9fffe0401e172ull,
	.proc2_controls = 0x0353fcff00000000ull,
	.ept_capabilities = 0x00000f0106734141ull,
};
static const struct bootcpu_facts zen = {.svm = true, .svm_features = 0x119b9cff};

static void refused(const struct bootcpu_facts *facts, const char *word, const char *remedy)
{
	struct bootcpu_verdict v = bootcpu_judge(facts);

	assert_null(v.uses);
	assert_non_null(v.problem);
	assert_non_null(v.remedy);
	assert_non_null(strstr(v.problem, word));
	assert_non_null(strstr(v.remedy, remedy));
}

static void taken(const struct bootcpu_facts *facts, const char *uses)
{
	struct bootcpu_verdict v = bootcpu_judge(facts);

	assert_null(v.problem);
	assert_null(v.remedy);
	assert_string_equal(v.uses, uses);
}

static void usual_cpus_are_taken(void **state)
{
	struct bootcpu_facts f = skylake;

	(void)state;
	taken(&skylake, "VT-x with EPT");
	taken(&zen, "AMD-V with nested paging");
	f.feature_control = 0; /* open: the hypervisor turns it on and locks it */
	taken(&f, "VT-x with EPT");
}

static void a_cpu_with_neither_is_refused(void **state)
{
	struct bootcpu_facts f = {0};

	(void)state;
	refused(&f, "neither", "set-up");
	f.hypervisor_present = true;
	refused(&f, "neither", "nested virtualisation");
}

static void vtx_locked_off_by_firmware_is_said(void **state)
{
	struct bootcpu_facts f = skylake;

	(void)state;
	f.feature_control = 1;
	refused(&f, "locked", "set-up");
	f.feature_control = 3; /* only inside SMX */
	refused(&f, "locked", "set-up");
}

static void vtx_without_what_bellows_needs_is_refused(void **state)
{
	struct bootcpu_facts f = skylake;

	(void)state;
	f.proc_controls &= ~(1ull << 63);
	assert_false(bootcpu_has_proc2(&f));
	assert_false(bootcpu_has_ept(&f));
	refused(&f, "EPT", "newer CPU");
	f = skylake;
	f.proc2_controls &= ~(1ull << 33);
	assert_true(bootcpu_has_proc2(&f));
	assert_false(bootcpu_has_ept(&f));
	refused(&f, "EPT", "newer CPU");
	f = skylake;
	f.proc2_controls &= ~(1ull << 39);
	refused(&f, "unrestricted", "newer CPU");
	for (int bit = 0; bit < 64; bit++) {
		bool needed = bit == 6 || bit == 14 || bit == 20;

		f = skylake;
		f.ept_capabilities &= ~(1ull << bit);
		assert_true(needed == (bootcpu_judge(&f).problem != NULL));
	}
}

static void svm_switched_off_or_without_nested_paging_is_refused(void **state)
{
	struct bootcpu_facts f = zen;

	(void)state;
	f.vm_cr = 1 << 4;
	refused(&f, "switched off", "set-up");
	f = zen;
	f.svm_features &= ~1u;
	refused(&f, "nested paging", "newer CPU");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_cpus_are_taken),
		cmocka_unit_test(a_cpu_with_neither_is_refused),
		cmocka_unit_test(vtx_locked_off_by_firmware_is_said),
		cmocka_unit_test(vtx_without_what_bellows_needs_is_refused),
		cmocka_unit_test(svm_switched_off_or_without_nested_paging_is_refused),
	};
	return cmocka_run_group_tests_name("unit/bootcpu", tests, NULL, NULL);
}

/* SRCS: hv/svm/asid.c */
/*
 * ASIDs against a model of the TLB they tag. Emulators flush everything on each VMRUN, so a missing
 * flush shows nowhere but here: each fake CPU remembers, for each tag, what was last translated
 * under it.
 */
#include "hv/svm/svm.h"
#include "hv/x86/cpu.h"
#include "tests/fake/cmocka.h"
#include <asm/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPU_COUNT  3
#define VM_COUNT   3
#define VCPU_COUNT 7
#define ASID_COUNT 5
#define STEP_COUNT 200000
#define NOBODY     (-1)

struct svm_features svm_features;

/* What a CPU's TLB holds under one tag. */
struct tagged {
	int vcpu;       /* whose translations, or NOBODY */
	u64 generation; /* the oldest of its domain that may be among them */
};

static struct cpu cpus[CPU_COUNT];
static struct svm_cpu svm_cpus[CPU_COUNT];
static struct tagged tlb[CPU_COUNT][ASID_COUNT];
static struct space spaces[VM_COUNT];
static u64 seen[VM_COUNT][CPU_COUNT];
static struct vmcb vmcbs[VCPU_COUNT];
static struct svm_vcpu svm_vcpus[VCPU_COUNT];
static struct virt_vcpu vcpus[VCPU_COUNT];
static int names[VCPU_COUNT]; /* another whenever its VM starts anew */
static int next_name;
static u64 flush_all_count, keep_count;

/* As mm/space/tlb.c: only the first entry on a CPU after a narrowing is told. */
bool tlb_enter(struct tlb_domain *domain)
{
	u64 *mine = &domain->seen[this_cpu()->id];
	bool behind = *mine != domain->generation;

	*mine = domain->generation;
	return behind;
}

static void become(struct cpu *cpu)
{
	assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, (unsigned long)cpu), 0);
}

static void start_vm(u32 vm)
{
	memset(seen[vm], 0, sizeof(seen[vm]));
	spaces[vm].tlb = (struct tlb_domain){.generation = 1, .seen = seen[vm]};
	for (u32 i = vm; i < VCPU_COUNT; i += VM_COUNT) {
		svm_vcpus[i] = (struct svm_vcpu){.vmcb = &vmcbs[i], .asid_cpu = ~0u};
		vcpus[i].backend = &svm_vcpus[i];
		vcpus[i].space = &spaces[vm];
		names[i] = next_name++;
	}
}

static void start(bool flush_by_asid)
{
	svm_features =
		(struct svm_features){.asid_count = ASID_COUNT, .flush_by_asid = flush_by_asid};
	memset(svm_cpus, 0, sizeof(svm_cpus));
	flush_all_count = keep_count = 0;
	for (u32 i = 0; i < CPU_COUNT; i++) {
		cpus[i] = (struct cpu){.self = &cpus[i], .id = i};
		svm_asid_forget(&svm_cpus[i]);
		/* What firmware may have left behind. */
		for (u32 tag = 0; tag < ASID_COUNT; tag++)
			tlb[i][tag] = (struct tagged){.vcpu = next_name, .generation = 0};
	}
	next_name++;
	for (u32 i = 0; i < VM_COUNT; i++)
		start_vm(i);
}

/* VMRUN as the manual has it: flush what is asked for, then translate under the tag. */
static void enter(u32 on, int who)
{
	struct vmcb_control *control = &vmcbs[who].control;
	u64 generation = vcpus[who].space->tlb.generation;

	become(&cpus[on]);
	svm_asid_prepare(&svm_cpus[on], &vcpus[who]);
	assert_in_range(control->asid, 1, ASID_COUNT - 1);
	struct tagged *mine = &tlb[on][control->asid];

	switch (control->tlb_control) {
	case VMCB_TLB_FLUSH_ALL:
		for (u32 tag = 0; tag < ASID_COUNT; tag++)
			tlb[on][tag].vcpu = NOBODY;
		flush_all_count++;
		break;
	case VMCB_TLB_FLUSH_ASID:
		assert_true(svm_features.flush_by_asid);
		mine->vcpu = NOBODY;
		break;
	default:
		assert_int_equal(control->tlb_control, VMCB_TLB_KEEP);
		keep_count++;
	}
	if (mine->vcpu != NOBODY) {
		assert_int_equal(mine->vcpu, names[who]);
		assert_int_equal(mine->generation, generation);
	}
	*mine = (struct tagged){.vcpu = names[who], .generation = generation};
}

static void run_randomly(bool flush_by_asid)
{
	start(flush_by_asid);
	srandom(7);
	for (u32 step = 0; step < STEP_COUNT; step++) {
		if (random() % 50 == 0)
			start_vm((u32)random() % VM_COUNT); /* the one before has ended */
		else if (random() % 4 == 0)
			spaces[random() % VM_COUNT].tlb.generation++;
		else
			enter(random() % CPU_COUNT, random() % VCPU_COUNT);
	}
	assert_true(flush_all_count > 0);
}

static void no_vcpu_uses_a_stale_translation_with_flush_by_asid(void **state)
{
	(void)state;
	run_randomly(true);
}

static void no_vcpu_uses_a_stale_translation_without_flush_by_asid(void **state)
{
	(void)state;
	run_randomly(false);
}

static void two_vcpus_of_a_vm_on_one_cpu_both_flush(void **state)
{
	(void)state;
	start(true);
	enter(0, 0);
	enter(0, VM_COUNT); /* the same VM's second vCPU */
	spaces[0].tlb.generation++;
	enter(0, 0);
	enter(0, VM_COUNT);
}

/* As where another vCPU of the guest's asked for it. */
static void a_vcpu_s_own_flush_is_done_once_and_hits_no_other(bool flush_by_asid)
{
	start(flush_by_asid);
	enter(0, 0);
	enter(0, 1);
	svm_asid_flush(&vcpus[0]);
	for (u32 tag = 0; tag < ASID_COUNT; tag++) {
		if (tlb[0][tag].vcpu == names[0])
			tlb[0][tag].generation = 0; /* must not be used any more */
	}
	enter(0, 0);
	keep_count = 0;
	enter(0, 0);
	enter(0, 1);
	assert_int_equal(keep_count, 2);
	assert_int_equal(flush_all_count, 1);
}

static void a_flush_on_demand_with_flush_by_asid(void **state)
{
	(void)state;
	a_vcpu_s_own_flush_is_done_once_and_hits_no_other(true);
}

static void a_flush_on_demand_without_flush_by_asid(void **state)
{
	(void)state;
	a_vcpu_s_own_flush_is_done_once_and_hits_no_other(false);
}

static void a_vcpu_that_stays_keeps_its_translations(void **state)
{
	(void)state;
	start(true);
	enter(0, 0);
	for (int i = 0; i < 10; i++)
		enter(0, 0);
	assert_int_equal(keep_count, 10);
	assert_int_equal(flush_all_count, 1);
}

static void what_a_failed_entry_did_not_flush_is_flushed_later(void **state)
{
	(void)state;
	start(true);
	become(&cpus[0]);
	/* This one starts the first generation; VMRUN refuses it, so nothing is flushed. */
	svm_asid_prepare(&svm_cpus[0], &vcpus[0]);
	svm_asid_forget(&svm_cpus[0]);
	enter(0, 1);
	enter(0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_vcpu_uses_a_stale_translation_with_flush_by_asid),
		cmocka_unit_test(no_vcpu_uses_a_stale_translation_without_flush_by_asid),
		cmocka_unit_test(two_vcpus_of_a_vm_on_one_cpu_both_flush),
		cmocka_unit_test(a_flush_on_demand_with_flush_by_asid),
		cmocka_unit_test(a_flush_on_demand_without_flush_by_asid),
		cmocka_unit_test(a_vcpu_that_stays_keeps_its_translations),
		cmocka_unit_test(what_a_failed_entry_did_not_flush_is_flushed_later),
	};

	return cmocka_run_group_tests_name("unit/svm_asid", tests, NULL, NULL);
}

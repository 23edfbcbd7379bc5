/* SRCS: hv/vmx/vpid.c */
/*
 * VPIDs against a model of the TLBs that they tag, as test_svm_asid.c: VMs start and end, their
 * vCPUs run here and there, mappings are narrowed, and no vCPU may find a translation that is
 * another's, or older than the last narrowing.
 */
#include "hv/vmx/vmx.h"
#include "hv/x86/cpu.h"
#include "tests/fake/cmocka.h"
#include <asm/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPU_COUNT  3u
#define VM_COUNT   4u
#define VCPUS      2u /* of each */
#define VPIDS_SEEN 16u
#define STEP_COUNT 200000u
#define NOBODY     0u

/* What a CPU's TLB holds under one tag. */
struct tagged {
	u32 vcpu; /* number of the vCPU whose translations those are, or NOBODY */
	u64 eptp;
	u64 generation; /* the oldest of its domain that may be among them */
};

struct vm {
	struct space space;
	u64 seen[CPU_COUNT];
	struct vmx_vcpu vmx[VCPUS];
	struct virt_vcpu vcpus[VCPUS];
	u32 numbers[VCPUS]; /* of each vCPU that ever was, another */
};

static struct cpu cpus[CPU_COUNT];
static struct tagged tlb[CPU_COUNT][VPIDS_SEEN];
static struct vm vms[VM_COUNT];
static u32 last_number, flush_count, kept_count;

bool tlb_enter(struct tlb_domain *domain)
{
	u64 *mine = &domain->seen[this_cpu()->id];
	bool behind = *mine != domain->generation;

	*mine = domain->generation;
	return behind;
}

void check_failed(const char *file, int line, const char *expr)
{
	fail_msg("%s:%d: CHECK(%s)", file, line, expr);
	abort();
}

bool insn_invept(u64 type, u64 eptp)
{
	assert_int_equal(type, INVEPT_SINGLE);
	for (u32 vpid = 0; vpid < VPIDS_SEEN; vpid++) {
		if (tlb[this_cpu()->id][vpid].eptp == eptp)
			tlb[this_cpu()->id][vpid].vcpu = NOBODY;
	}
	return true;
}

void vmx_flush_linear(const struct vmx_vcpu *vmx)
{
	tlb[this_cpu()->id][vmx->vpid].vcpu = NOBODY;
	flush_count++;
}

static void become(u32 cpu)
{
	cpus[cpu] = (struct cpu){.self = &cpus[cpu], .id = cpu};
	assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, (unsigned long)&cpus[cpu]), 0);
}

/* On the frame of a VM that was there before. */
static void start_vm(u32 number)
{
	struct vm *vm = &vms[number];

	memset(vm, 0, sizeof(*vm));
	vm->space.tlb = (struct tlb_domain){.generation = 1, .seen = vm->seen};
	for (u32 i = 0; i < VCPUS; i++) {
		vm->vmx[i].vpid = vmx_vpid_alloc();
		assert_in_range(vm->vmx[i].vpid, 1, VPIDS_SEEN - 1);
		vm->vmx[i].eptp = number << PAGE_SHIFT;
		vm->vcpus[i].backend = &vm->vmx[i];
		vm->vcpus[i].space = &vm->space;
		vm->vcpus[i].last_cpu = ~0u;
		vm->numbers[i] = ++last_number;
	}
}

static void end_vm(u32 number)
{
	for (u32 i = 0; i < VCPUS; i++)
		vmx_vpid_free(vms[number].vmx[i].vpid);
}

static void enter(u32 cpu, u32 number, u32 index)
{
	struct vm *vm = &vms[number];
	struct tagged *mine = &tlb[cpu][vm->vmx[index].vpid];

	become(cpu);
	vmx_vpid_loaded(&vm->vcpus[index]);
	vmx_flush_stale(&vm->vcpus[index]);
	if (mine->vcpu != NOBODY) {
		assert_int_equal(mine->vcpu, vm->numbers[index]);
		assert_int_equal(mine->generation, vm->space.tlb.generation);
		kept_count++;
	}
	*mine = (struct tagged){.vcpu = vm->numbers[index],
		.eptp = vm->vmx[index].eptp,
		.generation = vm->space.tlb.generation};
}

static void many_vms_that_come_and_go_share_few_tags(void **state)
{
	(void)state;
	srandom(5);
	for (u32 i = 0; i < VM_COUNT; i++)
		start_vm(i);
	for (u32 step = 0; step < STEP_COUNT; step++) {
		u32 number = (u32)random() % VM_COUNT;

		if (random() % 50 == 0) {
			end_vm(number);
			start_vm(number);
		} else if (random() % 4 == 0) {
			vms[number].space.tlb.generation++;
		} else {
			enter((u32)random() % CPU_COUNT, number, (u32)random() % VCPUS);
		}
	}
	assert_true(last_number > 100 * VPIDS_SEEN);
	assert_true(kept_count > STEP_COUNT / 100); /* tags are good for something */
	for (u32 i = 0; i < VM_COUNT; i++)
		end_vm(i);
}

static void a_vcpu_that_stays_flushes_once(void **state)
{
	(void)state;
	start_vm(0);
	enter(0, 0, 0);
	flush_count = 0;
	for (u32 i = 0; i < 10; i++)
		enter(0, 0, 0);
	assert_int_equal(flush_count, 0);
	enter(1, 0, 0);
	enter(0, 0, 0); /* what it left here may be old by now */
	assert_int_equal(flush_count, 2);
	end_vm(0);
}

static void every_tag_but_the_host_s_is_given_out_once(void **state)
{
	static bool given[65536];
	u16 vpid;
	u32 count = 0;

	(void)state;
	while ((vpid = vmx_vpid_alloc()) != 0) {
		assert_false(given[vpid]);
		given[vpid] = true;
		count++;
	}
	assert_int_equal(count, 65535);
	vmx_vpid_free(40000);
	assert_int_equal(vmx_vpid_alloc(), 40000);
	assert_int_equal(vmx_vpid_alloc(), 0);
	for (u32 i = 1; i < 65536; i++)
		vmx_vpid_free((u16)i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_vms_that_come_and_go_share_few_tags),
		cmocka_unit_test(a_vcpu_that_stays_flushes_once),
		cmocka_unit_test(every_tag_but_the_host_s_is_given_out_once),
	};

	return cmocka_run_group_tests_name("unit/vmx_vpid", tests, NULL, NULL);
}

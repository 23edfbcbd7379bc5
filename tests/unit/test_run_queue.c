/* SRCS: hv/sched/run_queue.c mm/base/lock.c */
/*
 * Who runs next: round robin, what is lent to others of the same VM and how long that lasts, and
 * what an idle CPU takes from another.
 */
#include "hv/sched/run_queue.h"
#include "hv/vm/vm.h"
#include "hv/x86/cpu.h"
#include "hv/x86/irq.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/platform.h"
#include "tests/fake/cmocka.h"
#include <asm/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPU_COUNT 2u
#define VMS       2u
#define VCPUS     3u /* of each */
#define LONG      (1ull << 60)

static struct cpu cpus[CPU_COUNT];
static struct vm vms[VMS];
static struct vcpu vcpus[VMS][VCPUS];
static u32 held[CPU_COUNT];

u32 cpu_count(void)
{
	return CPU_COUNT;
}

struct cpu *cpu_by_id(u32 id)
{
	return &cpus[id];
}

u32 platform_cpu_id(void)
{
	return this_cpu()->id;
}

void check_failed(const char *file, int line, const char *expr)
{
	fail_msg("%s:%d: CHECK(%s)", file, line, expr);
	abort();
}

void *kmem_alloc(size_t bytes)
{
	static _Alignas(CACHE_LINE_BYTES) u8 memory[1024];

	assert_true(bytes <= sizeof(memory));
	return memset(memory, 0, sizeof(memory));
}

void irq_send_kick(u32 cpu)
{
	(void)cpu;
}

void time_arm(u64 tsc)
{
	(void)tsc;
}

void cpu_idle(void)
{
	fail_msg("there was something to do");
}

void vcpu_wake(struct vcpu *vcpu)
{
	vcpu->state = VCPU_RUNNABLE;
}

static void become(u32 cpu)
{
	assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, (unsigned long)&cpus[cpu]), 0);
}

static void start_vcpu(struct vcpu *vcpu, enum vcpu_state state)
{
	vcpu->state = state;
	run_queue_start(vcpu);
}

/* One CPU is up, the other comes when a test says so. */
static int setup(void **state)
{
	(void)state;
	memset(vms, 0, sizeof(vms));
	memset(vcpus, 0, sizeof(vcpus));
	for (u32 i = 0; i < CPU_COUNT; i++)
		cpus[i] = (struct cpu){
			.self = &cpus[i], .id = i, .state = i ? CPU_ABSENT : CPU_ONLINE};
	for (u32 vm = 0; vm < VMS; vm++) {
		for (u32 i = 0; i < VCPUS; i++) {
			vcpus[vm][i].vm = &vms[vm];
			vcpus[vm][i].loaded_on = VCPU_UNLOADED;
			vcpus[vm][i].wake_tsc = ~0ull;
			list_init(&vcpus[vm][i].queue);
		}
	}
	become(0);
	assert_int_equal(run_queues_init(), 0);
	return 0;
}

static struct vcpu *take(u64 *until)
{
	*until = time_tsc() + LONG;
	struct vcpu *vcpu = run_queue_take(until);

	if (vcpu)
		vcpu->run_until = *until;
	return vcpu;
}

static void assert_next(struct vcpu *expected)
{
	u64 until;

	assert_ptr_equal(take(&until), expected);
	run_queue_put(expected);
}

static void each_has_its_turn(void **state)
{
	(void)state;
	for (u32 i = 0; i < VCPUS; i++) {
		start_vcpu(&vcpus[0][i], VCPU_RUNNABLE);
		start_vcpu(&vcpus[1][i], VCPU_RUNNABLE);
	}
	for (u32 turn = 0; turn < 3 * VCPUS; turn++) {
		assert_next(&vcpus[0][turn % VCPUS]);
		assert_next(&vcpus[1][turn % VCPUS]);
	}
}

static void what_is_left_of_a_slice_goes_to_another_of_the_vm(void **state)
{
	struct vcpu *a = vcpus[0], *b = vcpus[1];
	u64 until, end;

	(void)state;
	start_vcpu(&a[0], VCPU_RUNNABLE);
	start_vcpu(&b[0], VCPU_RUNNABLE);
	start_vcpu(&b[1], VCPU_RUNNABLE);
	start_vcpu(&a[1], VCPU_RUNNABLE);
	assert_ptr_equal(take(&end), &a[0]);
	run_queue_lend(&a[0]);
	run_queue_put(&a[0]);
	assert_ptr_equal(take(&until), &a[1]); /* before two others */
	assert_int_equal(until, end);
	/* Back and forth, as often as they like: it ends when the first one's slice would have. */
	run_queue_lend(&a[1]);
	run_queue_put(&a[1]);
	assert_ptr_equal(take(&until), &a[0]);
	assert_int_equal(until, end);
	a[0].run_until = time_tsc();
	run_queue_lend(&a[0]);
	run_queue_put(&a[0]);
	assert_next(&b[0]);
	assert_next(&b[1]);
}

static void what_was_lent_is_for_the_next_turn_only(void **state)
{
	struct vcpu *a = vcpus[0], *b = vcpus[1];
	u64 until;

	(void)state;
	start_vcpu(&a[0], VCPU_RUNNABLE);
	start_vcpu(&b[0], VCPU_RUNNABLE);
	start_vcpu(&a[1], VCPU_HALTED);
	assert_ptr_equal(take(&until), &a[0]);
	run_queue_lend(&a[0]); /* nobody is there: not itself, and no other VM's */
	run_queue_put(&a[0]);
	assert_next(&b[0]);
	a[1].attention = true;
	run_queue_wake();
	assert_next(&a[0]);
	assert_next(&b[0]);
	assert_next(&a[1]);
}

/* As an IPI to a vCPU that sleeps on this CPU. */
static void one_that_is_woken_meanwhile_is_lent_to(void **state)
{
	struct vcpu *a = vcpus[0], *b = vcpus[1];
	u64 until;

	(void)state;
	start_vcpu(&a[0], VCPU_RUNNABLE);
	start_vcpu(&b[0], VCPU_RUNNABLE);
	start_vcpu(&a[1], VCPU_HALTED);
	assert_ptr_equal(take(&until), &a[0]);
	run_queue_lend(&a[0]);
	a[1].attention = true;
	run_queue_wake();
	run_queue_put(&a[0]);
	assert_next(&a[1]);
	assert_next(&b[0]);
}

static void an_idle_cpu_takes_what_waits_and_is_not_loaded(void **state)
{
	struct vcpu *a = vcpus[0];
	u64 until;

	(void)state;
	for (u32 i = 0; i < VCPUS; i++)
		start_vcpu(&a[i], VCPU_RUNNABLE);
	a[0].loaded_on = 0;
	cpus[1].state = CPU_ONLINE;
	become(1);
	assert_ptr_equal(take(&until), &a[1]);
	assert_int_equal(a[1].home_cpu, 1);
	run_queue_put(&a[1]);
	assert_next(&a[1]); /* its own now */
	become(0);
	assert_next(&a[0]);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	lock_init_cpus(held, CPU_COUNT);
	const struct CMUnitTest tests[] = {
		TEST(each_has_its_turn),
		TEST(what_is_left_of_a_slice_goes_to_another_of_the_vm),
		TEST(what_was_lent_is_for_the_next_turn_only),
		TEST(one_that_is_woken_meanwhile_is_lent_to),
		TEST(an_idle_cpu_takes_what_waits_and_is_not_loaded),
	};
	return cmocka_run_group_tests_name("unit/run_queue", tests, NULL, NULL);
}

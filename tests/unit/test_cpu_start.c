/* SRCS: hv/x86/cpu_start.c */
/* A CPU's start: whatever comes first, it and the boot CPU agree whether it takes part. */
#include "hv/x86/cpu_start.h"
#include "tests/fake/cmocka.h"

#include <pthread.h>

static void a_cpu_that_comes_in_time_works(void **unused)
{
	u32 state = CPU_ABSENT;

	(void)unused;
	cpu_start_call(&state);
	assert_false(cpu_start_is_settled(&state));
	assert_true(cpu_start_answer(&state));
	assert_false(cpu_start_is_settled(&state));
	assert_true(cpu_start_finish(&state, true));
	assert_true(cpu_start_is_settled(&state));
	assert_int_equal(cpu_start_settle(&state), CPU_ONLINE);
	assert_int_equal(state, CPU_ONLINE);
}

static void one_that_finds_itself_unfit_is_left_out(void **unused)
{
	u32 state = CPU_ABSENT;

	(void)unused;
	cpu_start_call(&state);
	assert_true(cpu_start_answer(&state));
	assert_false(cpu_start_finish(&state, false));
	assert_true(cpu_start_is_settled(&state));
	assert_int_equal(cpu_start_settle(&state), CPU_FAILED);
}

static void one_that_does_not_answer_is_left_out_for_good(void **unused)
{
	u32 state = CPU_ABSENT;

	(void)unused;
	cpu_start_call(&state);
	assert_int_equal(cpu_start_settle(&state), CPU_STARTING);
	assert_int_equal(state, CPU_FAILED);
	/* It comes late, and may come again. */
	for (u32 i = 0; i < 2; i++) {
		assert_false(cpu_start_answer(&state));
		assert_false(cpu_start_finish(&state, true));
	}
	assert_int_equal(state, CPU_FAILED);
	assert_int_equal(cpu_start_settle(&state), CPU_FAILED);
}

static void one_that_hangs_while_it_is_set_up_is_left_out_for_good(void **unused)
{
	u32 state = CPU_ABSENT;

	(void)unused;
	cpu_start_call(&state);
	assert_true(cpu_start_answer(&state));
	assert_int_equal(cpu_start_settle(&state), CPU_COMING);
	assert_false(cpu_start_finish(&state, true));
	assert_int_equal(state, CPU_FAILED);
}

static void one_that_nobody_called_never_works(void **unused)
{
	u32 state = CPU_ABSENT;

	(void)unused;
	assert_false(cpu_start_answer(&state));
	assert_false(cpu_start_finish(&state, true));
	assert_int_equal(cpu_start_settle(&state), CPU_ABSENT);
	assert_int_equal(state, CPU_FAILED);
}

/* The call comes, and the boot CPU's patience ends, at any moment of the other's. */
static u32 raced;
static bool works;

static void *come(void *unused)
{
	works = cpu_start_answer(&raced) && cpu_start_finish(&raced, true);
	return unused;
}

static void both_sides_always_agree(void **unused)
{
	(void)unused;
	for (u32 i = 0; i < 500; i++) {
		pthread_t cpu;
		enum cpu_state was;

		works = false;
		cpu_start_call(&raced);
		assert_int_equal(pthread_create(&cpu, NULL, come, NULL), 0);
		for (volatile u32 wait = i * 40; wait; wait--)
			;
		was = cpu_start_settle(&raced);
		pthread_join(cpu, NULL);
		assert_int_equal(works, was == CPU_ONLINE);
		assert_int_equal(raced, works ? CPU_ONLINE : CPU_FAILED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cpu_that_comes_in_time_works),
		cmocka_unit_test(one_that_finds_itself_unfit_is_left_out),
		cmocka_unit_test(one_that_does_not_answer_is_left_out_for_good),
		cmocka_unit_test(one_that_hangs_while_it_is_set_up_is_left_out_for_good),
		cmocka_unit_test(one_that_nobody_called_never_works),
		cmocka_unit_test(both_sides_always_agree),
	};

	return cmocka_run_group_tests_name("unit/cpu_start", tests, NULL, NULL);
}

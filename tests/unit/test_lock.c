/* SRCS: tests/fake/fake_platform.c mm */
/* Locks exclude, and the check of ranks fires on every wrong order. */
#include "mm/base/lock.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_platform.h"
#include <pthread.h>
#include <string.h>

static struct spinlock region, other_region, frames;

static int setup(void **state)
{
	(void)state;
	fake_start_plain(4, 2000);
	spin_init(&region, LOCK_RANK_REGION);
	spin_init(&other_region, LOCK_RANK_REGION);
	spin_init(&frames, LOCK_RANK_FRAMES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_stop();
	return 0;
}

static void act_lock(void *lock)
{
	spin_lock(lock);
}

static void act_trylock(void *lock)
{
	(void)spin_trylock(lock);
}

static void act_unlock(void *lock)
{
	spin_unlock(lock);
}

static void test_rising_ranks_are_fine(void **state)
{
	(void)state;
	spin_lock(&region);
	spin_lock(&frames);
	spin_unlock(&region); /* in any order */
	spin_unlock(&frames);
	spin_lock(&region);
	spin_unlock(&region);
}

static void test_falling_rank_is_caught(void **state)
{
	(void)state;
	spin_lock(&frames);
	assert_true(fake_panics(act_lock, &region));
	assert_non_null(strstr(fake_panic_text(), "lock.c"));
	assert_true(fake_panics(act_trylock, &region));
	assert_false(spin_is_locked(&region));
}

static void test_equal_rank_is_caught(void **state)
{
	(void)state;
	spin_lock(&region);
	assert_true(fake_panics(act_lock, &other_region));
	assert_true(fake_panics(act_lock, &region)); /* instead of a deadlock */
}

static void test_unlock_of_what_is_not_held_is_caught(void **state)
{
	(void)state;
	assert_true(fake_panics(act_unlock, &region));
}

static void test_ranks_are_each_cpus_own(void **state)
{
	(void)state;
	spin_lock(&frames);
	fake_cpu_set(1);
	spin_lock(&region);
	spin_unlock(&region);
	fake_cpu_set(0);
	spin_unlock(&frames);
}

static void test_forgetting_lets_a_panic_lock(void **state)
{
	(void)state;
	spin_lock(&frames);
	lock_forget_held();
	spin_lock(&region);
	spin_unlock(&region);
}

static void test_trylock_fails_while_held(void **state)
{
	(void)state;
	spin_lock(&region);
	fake_cpu_set(1);
	assert_false(spin_trylock(&region));
	fake_cpu_set(0);
	spin_unlock(&region);
	fake_cpu_set(1);
	assert_true(spin_trylock(&region));
	assert_true(spin_is_locked(&region));
	spin_unlock(&region);
	assert_false(spin_is_locked(&region));
}

#define ROUNDS 20000
static u64 shared_count;

static void *count_up(void *cpu)
{
	fake_cpu_set((u32)(uintptr_t)cpu);
	for (int i = 0; i < ROUNDS; i++) {
		spin_lock(&region);
		shared_count++;
		spin_unlock(&region);
	}
	return NULL;
}

static void test_threads_exclude_each_other(void **state)
{
	pthread_t threads[2];

	(void)state;
	shared_count = 0;
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_up, (void *)(i + 1)), 0);
	for (u32 i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(shared_count, 2 * ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rising_ranks_are_fine, setup, teardown),
		cmocka_unit_test_setup_teardown(test_falling_rank_is_caught, setup, teardown),
		cmocka_unit_test_setup_teardown(test_equal_rank_is_caught, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_unlock_of_what_is_not_held_is_caught, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ranks_are_each_cpus_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgetting_lets_a_panic_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trylock_fails_while_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads_exclude_each_other, setup, teardown),
	};

	return cmocka_run_group_tests_name("unit/lock", tests, NULL, NULL);
}

/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c tests/fake/fake_blk.c mm */
/* The end of a VM on one CPU while the disk's word about its page arrives on another. */
#include "tests/unit/reclaim_rig.h"
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define WHILE_US 200000u

static u32 in_done, has_ended, ended_meanwhile; /* [a] */

static int setup(void **state)
{
	(void)state;
	rig_start(2000);
	in_done = has_ended = ended_meanwhile = 0;
	return 0;
}

/* A page of @space is on its way back from the disk. */
static void reading_begin(struct space *space)
{
	u64 value = 0;

	for (u64 at = 0; at < PAGE_BYTES; at += 8) {
		u64 word = (at + 1) * RNG_STEP;

		assert_int_equal(
			fake_guest_access(space, GPA(at), SLAT_WRITE, &word, 8), FAULT_DONE);
	}
	fake_guest_leave();
	reclaim_everything(space);
	rig_complete();
	assert_int_equal(space_page_state(space, GFN(0)), PAGE_SWAPPED);
	assert_int_equal(fake_guest_access(space, GPA(0), SLAT_READ, &value, 8), FAULT_WAIT);
}

/* In the middle of the command's done(), which is slow. */
static void slow_wake(struct space *space)
{
	__atomic_store_n(&in_done, 1, __ATOMIC_SEQ_CST);
	usleep(WHILE_US);
	__atomic_store_n(
		&ended_meanwhile, __atomic_load_n(&has_ended, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
	/* Not for cmocka, which knows of one thread. */
	if (space->page_count != 600)
		abort();
}

static void *complete_on_another_cpu(void *unused)
{
	fake_cpu_set(1);
	fake_blk_run(&rig.disk, ~0u);
	return unused;
}

static void test_a_space_stays_until_its_commands_done_has_returned(void **state)
{
	struct space *space = rig_space("vm", 600, 0, 600);
	pthread_t other;

	(void)state;
	reading_begin(space);
	fake_on_wake(slow_wake);
	assert_int_equal(pthread_create(&other, NULL, complete_on_another_cpu, NULL), 0);
	while (!__atomic_load_n(&in_done, __ATOMIC_SEQ_CST))
		sched_yield();
	space_destroy(space);
	__atomic_store_n(&has_ended, 1, __ATOMIC_SEQ_CST);
	pthread_join(other, NULL);
	assert_int_equal(ended_meanwhile, 0);
}

static void never_wake(struct space *space)
{
	(void)space;
	__atomic_store_n(&in_done, 1, __ATOMIC_SEQ_CST);
}

static void test_a_command_that_completes_later_knows_of_no_space(void **state)
{
	struct space *space = rig_space("vm", 600, 0, 600);
	pthread_t other;

	(void)state;
	reading_begin(space);
	fake_on_wake(never_wake);
	space_destroy(space);
	assert_int_equal(pthread_create(&other, NULL, complete_on_another_cpu, NULL), 0);
	pthread_join(other, NULL);
	assert_int_equal(in_done, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_space_stays_until_its_commands_done_has_returned, setup,
			rig_teardown),
		cmocka_unit_test_setup_teardown(
			test_a_command_that_completes_later_knows_of_no_space, setup, rig_teardown),
	};

	return cmocka_run_group_tests_name("unit/space_end", tests, NULL, NULL);
}

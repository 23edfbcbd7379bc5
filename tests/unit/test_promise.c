/* SRCS: tests/fake/fake_platform.c mm/[a-z]*.c
   mm/base/lock.c mm/base/check.c mm/base/log.c mm/base/fmt.c */
/*
 * Promises under competition: a space above its promise is refused what others are owed, a space
 * within its promise never is, whoever came first; and what a space held or was owed goes back.
 */
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_platform.h"
#include "mm/fault.h"
#include "mm/frame.h"
#include "mm/promise.h"

#define RAM_FRAMES  4096u
#define SLACK_PAGES 256u /* caches of other CPUs, and the step in which promises are counted */

static struct space *make(u64 memory_mib, u64 promised_mib)
{
	struct space_config config = {.name = "unit",
		.memory_bytes = MIB(memory_mib),
		.format = &slat_ept,
		.promised_bytes = MIB(promised_mib)};
	struct space *space = NULL;

	assert_int_equal(space_create(&space, &config), E_OK);
	return space;
}

/* Write page after page from @first on; how many were given. */
static u64 grow(struct space *space, u64 first)
{
	u64 pages = 0;

	while (first + pages < space->page_count &&
		fault_handle(space, gfn_to_gpa(GFN(first + pages)), SLAT_WRITE) == FAULT_DONE)
		pages++;
	return pages;
}

static void a_greedy_space_leaves_what_others_are_promised(void **state)
{
	(void)state;
	fake_start_plain(2, RAM_FRAMES);
	struct space *greedy = make(16, 2), *modest = make(8, 6);
	u64 free_before = frame_free_count();
	u64 taken = grow(greedy, 0);

	assert_in_range(taken, free_before - (MIB(6) >> PAGE_SHIFT) - SLACK_PAGES,
		free_before - (MIB(6) >> PAGE_SHIFT));
	assert_true(grow(modest, 0) >= MIB(6) >> PAGE_SHIFT);
	space_destroy(greedy);
	space_destroy(modest);
	fake_stop();
}

static void what_was_promised_to_a_space_that_ended_is_free_for_all(void **state)
{
	(void)state;
	fake_start_plain(2, RAM_FRAMES);
	struct space *greedy = make(32, 1), *other = make(8, 8);
	u64 taken = grow(greedy, 0);

	assert_int_equal(grow(greedy, taken), 0);
	space_destroy(other);
	assert_true(grow(greedy, taken) >= (MIB(8) >> PAGE_SHIFT));
	space_destroy(greedy);
	assert_true(promise_may_take(greedy = make(16, 0), 1));
	space_destroy(greedy);
	fake_stop();
}

static void a_space_that_is_cleared_is_owed_again(void **state)
{
	(void)state;
	fake_start_plain(2, RAM_FRAMES);
	struct space *greedy = make(16, 0), *modest = make(6, 6);

	assert_int_equal(grow(modest, 0), modest->page_count);
	space_clear(modest);
	grow(greedy, 0);
	assert_int_equal(grow(modest, 0), modest->page_count);
	space_destroy(greedy);
	space_destroy(modest);
	fake_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_greedy_space_leaves_what_others_are_promised),
		cmocka_unit_test(what_was_promised_to_a_space_that_ended_is_free_for_all),
		cmocka_unit_test(a_space_that_is_cleared_is_owed_again),
	};

	return cmocka_run_group_tests_name("unit/promise", tests, NULL, NULL);
}

/* SRCS: tests/fake/fake_platform.c mm */
/*
 * Promises under competition: a space above its promise is refused what others are owed, a space
 * within its promise never is, whoever came first; and what a space held or was owed goes back.
 */
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_platform.h"
#include "mm/balloon/balloon.h"
#include "mm/fault/fault.h"
#include "mm/frame/frame.h"
#include "mm/space/promise.h"

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
	assert_true(promise_allows(greedy = make(16, 0), 1, false));
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

/* Admit a VM of so many MiB as hv does. */
static struct space *admit(u64 memory_mib, struct memsched_request *vm)
{
	char why[200];

	*vm = (struct memsched_request){
		.memory_frames = MIB(memory_mib) >> PAGE_SHIFT,
		.promised_frames = MIB(memory_mib) >> PAGE_SHIFT,
		.overhead_frames = 100,
	};
	assert_int_equal(memsched_power_on(vm, why, sizeof(why)), E_OK);
	return make(memory_mib, memory_mib);
}

static void end(struct space *space, struct memsched_request *vm)
{
	space_destroy(space);
	memsched_power_off(vm);
}

static void balloon(struct space *space, u64 first, u64 mib, bool inflate)
{
	u64 count = MIB(mib) >> REGION_SHIFT, pages[16];
	err_t why;

	for (u64 i = 0; i < count; i++)
		pages[i] = first + i * REGION_PAGE_COUNT;
	assert_int_equal(
		inflate ? balloon_inflate(space, pages, (u32)count, BALLOON_ORDER_2M, &why)
			: balloon_deflate(space, pages, (u32)count, BALLOON_ORDER_2M, &why),
		count);
}

#define PAGES(mib) (MIB(mib) >> PAGE_SHIFT)

/* A host of 16 MiB: a VM of 12 gives up 6, another of 8 starts with them. */
static void what_a_balloon_gave_up_is_promised_once(void **state)
{
	struct memsched_request first_vm, second_vm;
	struct space *first, *second;

	(void)state;
	fake_start_plain(2, RAM_FRAMES);
	first = admit(12, &first_vm);
	assert_int_equal(grow(first, 0), PAGES(12));
	assert_int_equal(promise_most(first, &first_vm),
		first_vm.promised_frames + memsched_unpromised_frames());
	balloon(first, 0, 6, true);
	assert_int_equal(promise_move(first, &first_vm, PAGES(6)), PAGES(6));
	second = admit(8, &second_vm);

	/* Less is left for the first than it gave up; what it gets, the second does not miss. */
	u64 most = promise_most(first, &first_vm);

	assert_in_range(most, PAGES(6), PAGES(8));
	balloon(first, 0, 6, false);
	assert_int_equal(promise_move(first, &first_vm, PAGES(12)), most);
	assert_int_equal(memsched_unpromised_frames(), 0);
	assert_true(grow(first, 0) < PAGES(6)); /* used without asking */
	assert_int_equal(grow(second, 0), PAGES(8));

	end(second, &second_vm);
	assert_int_equal(promise_move(first, &first_vm, PAGES(12)), PAGES(12));
	assert_true(promise_allows(first, 1, false));
	end(first, &first_vm);
	fake_stop();
}

/* A VM that uses more than it was promised may have what was unpromised so far. */
static void what_others_have_taken_is_promised_to_nobody(void **state)
{
	struct memsched_request vm;
	struct space *space, *greedy;

	(void)state;
	fake_start_plain(2, RAM_FRAMES);
	space = admit(10, &vm);
	grow(space, 0);
	balloon(space, 0, 8, true);
	promise_move(space, &vm, PAGES(2));
	greedy = make(16, 0);
	grow(greedy, 0);
	assert_true(memsched_unpromised_frames() > PAGES(8));
	assert_in_range(promise_most(space, &vm), PAGES(2), PAGES(2) + SLACK_PAGES);
	space_destroy(greedy);
	assert_int_equal(promise_move(space, &vm, PAGES(10)), PAGES(10));
	end(space, &vm);
	fake_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_greedy_space_leaves_what_others_are_promised),
		cmocka_unit_test(what_was_promised_to_a_space_that_ended_is_free_for_all),
		cmocka_unit_test(a_space_that_is_cleared_is_owed_again),
		cmocka_unit_test(what_a_balloon_gave_up_is_promised_once),
		cmocka_unit_test(what_others_have_taken_is_promised_to_nobody),
	};

	return cmocka_run_group_tests_name("unit/promise", tests, NULL, NULL);
}

/* SRCS: tests/fake/fake_platform.c mm */
/*
 * What is counted by several CPUs in one space adds up, whichever of them takes a page and
 * whichever gives it up; and what a space is promised, and may have at most, holds exactly
 * although each CPU has a part of the count apart.
 */
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_platform.h"
#include "mm/balloon/balloon.h"
#include "mm/fault/fault.h"
#include "mm/frame/frame.h"
#include "mm/space/promise.h"
#include "mm/space/space.h"
#include <pthread.h>
#include <sched.h>

#define CPUS       4u
#define RAM_FRAMES 4096u
#define ROUNDS     100000u

static struct space *make(u64 pages, u64 promised, u32 vcpus)
{
	struct space_config config = {.name = "unit",
		.memory_bytes = pages * PAGE_BYTES,
		.format = &slat_ept,
		.promised_bytes = promised * PAGE_BYTES,
		.vcpu_count = vcpus};
	struct space *space = NULL;

	assert_int_equal(space_create(&space, &config), E_OK);
	return space;
}

/* Each page by the next CPU. */
static enum fault_result write_page(struct space *space, u64 page)
{
	fake_cpu_set((u32)(page % CPUS));
	return fault_handle(space, gfn_to_gpa(GFN(page)), SLAT_WRITE);
}

/* From @first on; how many were given. */
static u64 grow(struct space *space, u64 first)
{
	u64 pages = 0;

	while (first + pages < space->page_count && write_page(space, first + pages) == FAULT_DONE)
		pages++;
	fake_cpu_set(0);
	return pages;
}

static void there_is_a_set_for_each_vcpu_but_not_more_than_for_each_cpu(void **state)
{
	(void)state;
	fake_start_plain(CPUS, RAM_FRAMES);
	assert_int_equal(space_counts_sets(0), 1);
	assert_int_equal(space_counts_sets(1), 1);
	assert_int_equal(space_counts_sets(2), 2);
	assert_int_equal(space_counts_sets(3), 4);
	assert_int_equal(space_counts_sets(64), 4);
	fake_stop();
}

static void pages_are_counted_exactly_whichever_cpu_took_them(void **state)
{
	(void)state;
	fake_start_plain(CPUS, RAM_FRAMES);
	struct space *space = make(1000, 0, CPUS);

	for (u64 page = 0; page < 1000; page++) {
		assert_int_equal(write_page(space, page), FAULT_DONE);
		assert_int_equal(space_consumed_pages(space), page + 1);
		assert_true(space_consumed_at_least(space) <= page + 1);
		assert_true(space_consumed_at_most(space) >= page + 1);
		assert_int_equal(space_peak_pages(space), page + 1);
	}
	assert_int_equal(space_counted(space, faults), 1000);
	assert_int_equal(space_stats(space).faults_zero_fill, 1000);
	assert_int_equal(space_pages_in_state(space, PAGE_PRIVATE), 1000);
	assert_int_equal(space_pages_in_state(space, PAGE_UNTOUCHED), 0);
	assert_true(space_audit(space));
	space_destroy(space);
	fake_stop();
}

static void a_page_that_one_cpu_took_and_another_gave_up_is_not_counted(void **state)
{
	(void)state;
	fake_start_plain(CPUS, RAM_FRAMES);
	struct space *space = make(1000, 0, CPUS);

	for (u32 round = 0; round < 3; round++) {
		assert_int_equal(grow(space, 0), 1000);
		for (u64 page = 0; page < 1000; page++) {
			err_t why;

			fake_cpu_set((u32)(page + 1) % CPUS);
			assert_int_equal(
				balloon_inflate(space, &page, 1, BALLOON_ORDER_4K, &why), 1);
		}
		assert_int_equal(space_consumed_pages(space), 0);
		assert_int_equal(space_consumed_at_least(space), 0);
		assert_true(space_audit(space));
	}
	assert_int_equal(space_pages_in_state(space, PAGE_BALLOONED), 1000);
	space_clear(space);
	assert_int_equal(space_pages_in_state(space, PAGE_UNTOUCHED), 1000);
	space_destroy(space);
	fake_stop();
}

/* Who is promised 1500 pages finds them although another space has taken all that it could. */
static void a_promise_holds_to_the_page_for_several_vcpus(void **state)
{
	(void)state;
	for (u64 before = 0; before < 1500; before += 149) {
		fake_start_plain(CPUS, RAM_FRAMES);
		struct space *modest = make(1500, 1500, CPUS), *greedy = make(4096, 100, CPUS);

		for (u64 page = 0; page < before; page++)
			assert_int_equal(write_page(modest, page), FAULT_DONE);
		assert_in_range(grow(greedy, 0), 101, greedy->page_count - 1);
		assert_int_equal(grow(modest, 0), 1500);
		space_destroy(greedy);
		space_destroy(modest);
		fake_stop();
	}
}

/* With nothing to give up and nobody to wait for, it gets no page beyond its bound. */
static void a_bound_holds_to_the_page_for_several_vcpus(void **state)
{
	(void)state;
	fake_start_plain(CPUS, RAM_FRAMES);
	struct space *space = make(1000, 0, CPUS);

	space->orders.bound_pages = 333;
	for (u64 page = 0; page < 333; page++) {
		assert_true(promise_allows(space, 1, false));
		assert_int_equal(write_page(space, page), FAULT_DONE);
	}
	assert_false(promise_allows(space, 1, false));
	space_destroy(space);
	fake_stop();
}

static struct space *both;
static u32 arrived, out_of_bounds; /* [a] */

/* Spins, so that both go on in the same moment. */
static void meet(u32 *meetings)
{
	__atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
	++*meetings;
	for (u32 i = 0; __atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < 2 * *meetings; i++) {
		if (i % 1000 == 999)
			sched_yield();
	}
}

/* Two do that at once: take or give up the pages of a region, or a single one. */
static void *take_and_give(void *cpu)
{
	u32 meetings = 0;

	fake_cpu_set((u32)(uintptr_t)cpu);
	for (u32 i = 0; i < ROUNDS; i++) {
		bool takes = i / 7 % 2;

		meet(&meetings);
		for (u32 times = 0; times < 8; times++)
			space_count_state(both, takes ? PAGE_UNTOUCHED : PAGE_PRIVATE,
				takes ? PAGE_PRIVATE : PAGE_UNTOUCHED,
				(i + times) % 3 ? REGION_PAGE_COUNT : 1);
		meet(&meetings);
		u64 consumed = space_consumed_pages(both);

		if (space_consumed_at_least(both) > consumed ||
			space_consumed_at_most(both) < consumed)
			__atomic_fetch_add(&out_of_bounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void cpus_that_count_in_one_set_leave_no_more_apart_than_a_step(void **state)
{
	pthread_t other;

	(void)state;
	fake_start_plain(CPUS, RAM_FRAMES);
	arrived = out_of_bounds = 0;
	both = make(4096, 0, 2);
	space_count_state(both, PAGE_UNTOUCHED, PAGE_PRIVATE, MIB(1));
	assert_int_equal(pthread_create(&other, NULL, take_and_give, (void *)2), 0);
	take_and_give((void *)0);
	pthread_join(other, NULL);
	assert_int_equal(out_of_bounds, 0);
	space_destroy(both);
	fake_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_a_set_for_each_vcpu_but_not_more_than_for_each_cpu),
		cmocka_unit_test(pages_are_counted_exactly_whichever_cpu_took_them),
		cmocka_unit_test(a_page_that_one_cpu_took_and_another_gave_up_is_not_counted),
		cmocka_unit_test(a_promise_holds_to_the_page_for_several_vcpus),
		cmocka_unit_test(a_bound_holds_to_the_page_for_several_vcpus),
		cmocka_unit_test(cpus_that_count_in_one_set_leave_no_more_apart_than_a_step),
	};

	return cmocka_run_group_tests_name("unit/space_counts", tests, NULL, NULL);
}

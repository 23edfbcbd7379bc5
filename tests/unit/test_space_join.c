/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/*
 * Rejoining: what is mapped by 2 MiB leaves again and what is not, what its guest sees meanwhile,
 * what becomes of the frames.
 */
#include "mm/space/space_join.h"
#include "mm/frame/frame.h"
#include "mm/space/space_entry.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"

#define RAM     6000u
#define FOREVER 1000000000000ull

static struct space *space;
static pfn_t hoard[RAM];
static u32 hoarded;

/* The first of two regions is touched, page by page or at once; half of the second one exists. */
static void start(bool no_exec)
{
	struct space_config config = {.name = "unit",
		.memory_bytes = MIB(3),
		.format = &slat_ept,
		.large_pages = true,
		.large_pages_no_exec = no_exec};

	fake_start_plain(2, RAM);
	fake_guest_start();
	assert_int_equal(space_create(&space, &config), E_OK);
}

static void stop(void)
{
	fake_guest_leave_all();
	assert_true(space_audit(space));
	space_destroy(space);
	assert_true(frame_audit());
	assert_int_equal(frame_kind_count(FRAME_JOIN), 0);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE), 0);
	assert_int_equal(fake_guest_violations(), 0);
	fake_stop();
}

static void put(u64 page, u64 value)
{
	assert_int_equal(
		fake_guest_access(space, GPA(page * PAGE_BYTES + 64), SLAT_WRITE, &value, 8),
		FAULT_DONE);
}

static u64 get(u64 page)
{
	u64 value = 0;

	assert_int_equal(
		fake_guest_access(space, GPA(page * PAGE_BYTES + 64), SLAT_READ, &value, 8),
		FAULT_DONE);
	return value;
}

static void scarce(void)
{
	fake_guest_leave();
	while (frame_free_count() > 1200)
		hoard[hoarded++] = frame_alloc(FRAME_HV);
}

static void plentiful(void)
{
	while (hoarded)
		frame_free(hoard[--hoarded]);
}

/* 512 small pages, whose frames lie in no order, for memory was scarce. */
static void fill_small(void)
{
	scarce();
	for (u64 page = 512; page-- > 0;)
		put(page, 1000 + page);
	assert_int_equal(space_counted(space, large_leaves), 0);
	fake_guest_leave();
	plentiful();
}

static void check_bytes(void)
{
	for (u64 page = 0; page < 512; page++)
		assert_int_equal(get(page), 1000 + page);
}

static u64 joins(void)
{
	return space_counted(space, joins);
}

static void test_a_split_that_nothing_came_of_costs_no_copy(void **state)
{
	(void)state;
	start(false);
	for (u64 page = 0; page < 512; page++)
		put(page, 1000 + page);
	fake_guest_leave();
	const void *before = fake_guest_look(space, GFN(7));

	assert_int_equal(space_split_all(space), 1);
	assert_true(space_join_some(space, FOREVER));
	assert_int_equal(joins(), 1);
	assert_int_equal(space_counted(space, large_leaves), 1);
	assert_ptr_equal(fake_guest_look(space, GFN(7)), before);
	check_bytes();
	stop();
}

static void test_scattered_pages_move_into_one_run(void **state)
{
	(void)state;
	start(false);
	fill_small();
	assert_true(space_join_some(space, FOREVER));
	assert_int_equal(joins(), 1);
	assert_int_equal(space_counted(space, large_leaves), 1);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE), 512);
	assert_int_equal(frame_kind_count(FRAME_JOIN), 0);
	assert_int_equal(space->table_reserve_count, space->region_count);
	check_bytes();
	/* Once is enough. */
	fake_guest_leave();
	assert_true(space_join_some(space, FOREVER));
	assert_int_equal(joins(), 1);
	stop();
}

static void test_what_hardware_knew_of_the_pages_is_kept(void **state)
{
	u64 *region;

	(void)state;
	start(false);
	fill_small();
	region = space_region_entry(space, GFN(0));
	for (u64 page = 0; page < 512; page++)
		slat_clear_bits(space_page_entry(space, GFN(page)), slat_ept.dirty_bit);
	assert_true(space_join_some(space, FOREVER));
	assert_int_equal(slat_load(region) & slat_ept.dirty_bit, 0);
	assert_int_not_equal(slat_load(region) & slat_ept.accessed_bit, 0);
	space_split_all(space);
	slat_set_bits(space_page_entry(space, GFN(99)), slat_ept.dirty_bit);
	assert_true(space_join_some(space, FOREVER));
	assert_int_not_equal(slat_load(region) & slat_ept.dirty_bit, 0);
	stop();
}

/* Its guest runs on between the slices, and on the other CPU until the very flush. */
static void test_a_guest_sees_its_own_bytes_at_every_step(void **state)
{
	u64 slices = 0, value;

	(void)state;
	start(false);
	fill_small();
	for (bool ended = false; !ended; slices++) {
		u64 page = slices * 8 % 512;

		fake_cpu_set(1);
		assert_int_equal(get(page), 1000 + page);
		put(page, 5000 + page);
		put(511 - page, 5000 + 511 - page);
		fake_cpu_set(0);
		ended = space_join_some(space, 0);
		fake_cpu_set(1);
		/* What this CPU still has cached is not where the pages were. */
		value = 0;
		if (fake_guest_access_cached(
			    space, GPA(page * PAGE_BYTES + 64), SLAT_READ, &value, 8))
			assert_int_equal(value, 5000 + page);
		assert_int_equal(get(page), 5000 + page);
		assert_int_equal(get(511 - page), 5000 + 511 - page);
		put(page, 1000 + page);
		put(511 - page, 1000 + 511 - page);
		fake_guest_leave();
		fake_cpu_set(0);
		assert_true(space_audit(space));
	}
	assert_in_range(slices, 64, 80);
	assert_int_equal(joins(), 1);
	check_bytes();
	stop();
}

static void test_none_while_memory_is_not_plentiful(void **state)
{
	(void)state;
	start(false);
	fill_small();
	assert_false(space_join_some(space, 0));
	assert_int_not_equal(frame_kind_count(FRAME_JOIN), 0);
	scarce();
	assert_true(space_join_some(space, FOREVER));
	assert_int_equal(frame_kind_count(FRAME_JOIN), 0);
	assert_int_equal(joins(), 0);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE), 512);
	check_bytes();
	plentiful();
	stop();
}

/* Enough is free, but no 2 MiB of it together. */
static void test_none_without_a_free_run(void **state)
{
	(void)state;
	start(false);
	fill_small();
	fake_fail_alloc(1, true);
	assert_true(space_join_some(space, FOREVER));
	fake_fail_alloc(0, false);
	assert_int_equal(joins(), 0);
	check_bytes();
	stop();
}

static void test_a_pinned_page_keeps_its_region_as_it_is(void **state)
{
	pfn_t pin;

	(void)state;
	start(false);
	fill_small();
	assert_int_equal(space_pin(space, GFN(300), true, &pin), E_OK);
	assert_true(space_join_some(space, FOREVER));
	assert_int_equal(joins(), 0);
	assert_ptr_equal(fake_guest_look(space, GFN(300)), platform_frame_va(pin));
	space_unpin(space, pin);
	/* And one that is pinned when half of the pages have moved. */
	for (u32 i = 0; i < 32; i++)
		assert_false(space_join_some(space, 0));
	assert_int_equal(space_pin(space, GFN(300), true, &pin), E_OK);
	assert_true(space_join_some(space, FOREVER));
	assert_int_equal(joins(), 0);
	assert_int_equal(frame_kind_count(FRAME_JOIN), 0);
	assert_ptr_equal(fake_guest_look(space, GFN(300)), platform_frame_va(pin));
	space_unpin(space, pin);
	assert_true(space_join_some(space, FOREVER));
	assert_int_equal(joins(), 1);
	check_bytes();
	stop();
}

static void test_a_page_that_is_not_the_vms_own_keeps_its_region_as_it_is(void **state)
{
	(void)state;
	start(false);
	fill_small();
	assert_true(space_hide(space, GFN(8)));
	assert_true(space_join_some(space, FOREVER));
	assert_int_equal(joins(), 0);
	assert_int_equal(get(8), 1008);
	fake_guest_leave();
	assert_true(space_join_some(space, FOREVER));
	assert_int_equal(joins(), 1);
	check_bytes();
	stop();
}

static void test_a_clear_in_the_middle_gives_everything_back(void **state)
{
	(void)state;
	start(false);
	fill_small();
	for (u32 i = 0; i < 10; i++)
		assert_false(space_join_some(space, 0));
	space_clear(space);
	assert_int_equal(frame_kind_count(FRAME_JOIN) + frame_kind_count(FRAME_PRIVATE), 0);
	fill_small();
	for (u32 i = 0; i < 10; i++)
		assert_false(space_join_some(space, 0));
	stop(); /* and an end */
}

static void test_code_stays_in_small_pages_where_large_ones_cannot_run(void **state)
{
	u64 value = 0;

	(void)state;
	start(true);
	put(0, 1000);
	assert_int_equal(space_counted(space, large_leaves), 1);
	fake_guest_leave();
	space_split_all(space);
	assert_true(space_join_some(space, FOREVER));
	assert_int_equal(joins(), 1);
	assert_int_equal(
		fake_guest_access(space, GPA(PAGE_BYTES), SLAT_EXEC, &value, 8), FAULT_DONE);
	fake_guest_leave();
	assert_int_equal(space_counted(space, large_leaves), 0);
	assert_true(space_join_some(space, FOREVER));
	assert_int_equal(joins(), 1);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_split_that_nothing_came_of_costs_no_copy),
		cmocka_unit_test(test_scattered_pages_move_into_one_run),
		cmocka_unit_test(test_what_hardware_knew_of_the_pages_is_kept),
		cmocka_unit_test(test_a_guest_sees_its_own_bytes_at_every_step),
		cmocka_unit_test(test_none_while_memory_is_not_plentiful),
		cmocka_unit_test(test_none_without_a_free_run),
		cmocka_unit_test(test_a_pinned_page_keeps_its_region_as_it_is),
		cmocka_unit_test(test_a_page_that_is_not_the_vms_own_keeps_its_region_as_it_is),
		cmocka_unit_test(test_a_clear_in_the_middle_gives_everything_back),
		cmocka_unit_test(test_code_stays_in_small_pages_where_large_ones_cannot_run),
	};

	return cmocka_run_group_tests_name("unit/space_join", tests, NULL, NULL);
}

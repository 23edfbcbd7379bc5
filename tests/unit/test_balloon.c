/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/* The balloon: what is given up and taken back in every state, and lists of a guest that lies. */
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "mm/balloon/balloon.h"
#include "mm/share/share.h"
#include "mm/space/space_entry.h"
#include <string.h>

static struct frame_account at_start;
static struct space *space;
static u64 free_before;

static int setup(void **state)
{
	(void)state;
	fake_start_plain(2, 12000);
	fake_guest_start();
	frame_account_get(&at_start);
	return 0;
}

static int teardown(void **state)
{
	struct frame_account now;

	(void)state;
	fake_cpu_set(0);
	frame_account_get(&now);
	assert_memory_equal(&now, &at_start, sizeof(now));
	assert_true(frame_audit());
	assert_int_equal(fake_guest_violations(), 0);
	fake_stop();
	return 0;
}

static void begin(u64 bytes, bool large)
{
	struct space_config config = {.name = "unit",
		.memory_bytes = bytes,
		.format = &slat_ept,
		.large_pages = large,
		.share_salt = 1};

	assert_int_equal(space_create(&space, &config), E_OK);
	free_before = frame_free_count();
}

static void end(void)
{
	fake_guest_leave_all();
	assert_true(space_audit(space));
	space_destroy(space);
}

static u64 read_page(u64 page)
{
	u64 value = ~0ull;

	assert_int_equal(fake_guest_access(space, GPA(page << PAGE_SHIFT), SLAT_READ, &value, 8),
		FAULT_DONE);
	return value;
}

static void write_page(u64 page, u64 value)
{
	assert_int_equal(fake_guest_access(space, GPA(page << PAGE_SHIFT), SLAT_WRITE, &value, 8),
		FAULT_DONE);
}

static err_t inflate(u64 page, u32 order)
{
	err_t why;
	u32 taken;

	fake_guest_leave_all();
	taken = balloon_inflate(space, &page, 1, order, &why);
	assert_int_equal(taken, !why);
	assert_true(space_audit(space));
	return why;
}

static err_t deflate(u64 page, u32 order)
{
	err_t why;
	u32 taken;

	fake_guest_leave_all();
	taken = balloon_deflate(space, &page, 1, order, &why);
	assert_int_equal(taken, !why);
	assert_true(space_audit(space));
	return why;
}

static void pages_of_every_state_lose_their_frame_at_once(void **state)
{
	(void)state;
	begin(MIB(4), false);
	write_page(1, 11);
	write_page(2, 22);
	read_page(3);
	fake_guest_leave_all();
	assert_true(space_hide(space, GFN(2)));
	assert_int_equal(frame_free_count(), free_before - 2);
	for (u64 page = 1; page <= 4; page++) {
		assert_int_equal(inflate(page, 0), E_OK);
		assert_int_equal(space_page_state(space, GFN(page)), PAGE_BALLOONED);
	}
	assert_int_equal(frame_free_count(), free_before);
	assert_int_equal(space_consumed_pages(space), 0);
	assert_int_equal(space_pages_in_state(space, PAGE_ZERO), 0);
	assert_int_equal(balloon_pages(space), 4);
	assert_int_equal(space_counted(space, balloon_inflated), 4);
	end();
}

static void a_shared_page_leaves_the_others_theirs(void **state)
{
	(void)state;
	begin(MIB(4), false);
	for (u64 page = 1; page <= 3; page++)
		write_page(page, 77);
	fake_guest_leave_all();
	for (u32 pass = 0; pass < 4; pass++) {
		while (!share_scan(space, 1000000, 1000000000).pass_ended)
			;
	}
	assert_int_equal(space_page_state(space, GFN(2)), PAGE_SHARED);
	assert_int_equal(inflate(2, 0), E_OK);
	assert_int_equal(read_page(1), 77);
	assert_int_equal(read_page(3), 77);
	assert_int_equal(inflate(1, 0), E_OK);
	assert_int_equal(inflate(3, 0), E_OK);
	assert_int_equal(frame_free_count(), free_before);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 0);
	end();
}

static void a_deflated_page_reads_as_zeros(void **state)
{
	(void)state;
	begin(MIB(4), false);
	write_page(5, 55);
	assert_int_equal(inflate(5, 0), E_OK);
	assert_int_equal(deflate(5, 0), E_OK);
	assert_int_equal(space_page_state(space, GFN(5)), PAGE_UNTOUCHED);
	assert_int_equal(read_page(5), 0);
	assert_int_equal(space_counted(space, balloon_deflated), 1);
	assert_int_equal(space_counted(space, balloon_touched), 0);
	end();
}

static void a_touch_takes_a_page_back_and_is_counted(void **state)
{
	(void)state;
	begin(MIB(4), false);
	write_page(5, 55);
	assert_int_equal(inflate(5, 0), E_OK);
	assert_int_equal(inflate(6, 0), E_OK);
	assert_int_equal(read_page(5), 0);
	write_page(6, 66);
	assert_int_equal(space_counted(space, balloon_touched), 2);
	assert_int_equal(balloon_pages(space), 0);
	assert_int_equal(deflate(5, 0), E_NOTFOUND);
	assert_int_equal(read_page(6), 66);
	end();
}

static void a_pinned_frame_goes_with_its_last_pin(void **state)
{
	pfn_t pfn;

	(void)state;
	begin(MIB(4), false);
	write_page(7, 70);
	fake_guest_leave_all();
	assert_int_equal(space_pin(space, GFN(7), true, &pfn), E_OK);
	assert_int_equal(inflate(7, 0), E_OK);
	assert_int_equal(frame_free_count(), free_before - 1);
	assert_int_equal(frame_kind(pfn), FRAME_ORPHAN);
	space_unpin(space, pfn);
	assert_int_equal(frame_free_count(), free_before);
	end();
}

static void what_another_cpu_has_cached_is_flushed(void **state)
{
	u64 value = 9;

	(void)state;
	begin(MIB(4), false);
	write_page(1, 9);
	fake_cpu_set(1);
	read_page(1);
	fake_cpu_set(0);
	fake_guest_leave();
	err_t why;

	assert_int_equal(balloon_inflate(space, (u64[]){1}, 1, 0, &why), 1);
	assert_true(fake_guest_kicks() > 0);
	fake_cpu_set(1);
	assert_int_equal(
		fake_guest_access(space, GPA(1 << PAGE_SHIFT), SLAT_READ, &value, 8), FAULT_DONE);
	assert_int_equal(value, 0);
	end();
}

static void two_mib_go_as_a_whole_and_come_back_as_one(void **state)
{
	(void)state;
	begin(MIB(6), true);
	write_page(512, 5);
	assert_int_equal(space_counted(space, large_leaves), 1);
	assert_int_equal(inflate(512, 9), E_OK);
	assert_int_equal(space_counted(space, large_leaves), 0);
	assert_int_equal(space_counted(space, splits), 0);
	assert_int_equal(frame_free_count(), free_before);
	assert_int_equal(balloon_pages(space), 512);
	assert_int_equal(inflate(512, 9), E_EXIST);
	assert_int_equal(inflate(700, 0), E_EXIST);
	assert_int_equal(deflate(512, 9), E_OK);
	write_page(513, 6);
	assert_int_equal(space_counted(space, large_leaves), 1);
	assert_int_equal(read_page(512), 0);
	end();
}

static void two_mib_of_small_pages_go_too(void **state)
{
	(void)state;
	begin(MIB(6), false);
	write_page(512, 5);
	write_page(1023, 5);
	read_page(600);
	assert_int_equal(inflate(512, 9), E_OK);
	assert_int_equal(frame_free_count(), free_before);
	assert_int_equal(balloon_pages(space), 512);
	/* One page that came back makes it no whole. */
	assert_int_equal(read_page(800), 0);
	assert_int_equal(deflate(512, 9), E_NOTFOUND);
	assert_int_equal(inflate(512, 9), E_EXIST);
	assert_int_equal(balloon_pages(space), 511);
	end();
}

static void two_mib_that_were_never_touched_cost_nothing(void **state)
{
	(void)state;
	begin(MIB(6), true);
	u64 tables = space_counted(space, table_pages), rounds = space->tlb.generation;

	assert_int_equal(inflate(512, 9), E_OK);
	assert_int_equal(deflate(512, 9), E_OK);
	assert_int_equal(space_counted(space, table_pages), tables);
	assert_int_equal(space->tlb.generation, rounds);
	end();
}

static void a_page_of_two_mib_comes_back_alone(void **state)
{
	pfn_t pfn;

	(void)state;
	begin(MIB(6), true);
	write_page(512, 5);
	assert_int_equal(inflate(512, 9), E_OK);
	assert_int_equal(read_page(700), 0);
	assert_int_equal(balloon_pages(space), 511);
	assert_int_equal(space_counted(space, balloon_touched), 1);
	assert_int_equal(space_page_state(space, GFN(699)), PAGE_BALLOONED);
	assert_int_equal(inflate(512, 9), E_EXIST);
	assert_int_equal(deflate(512, 9), E_NOTFOUND);

	assert_int_equal(inflate(1024, 9), E_OK);
	assert_int_equal(deflate(1030, 0), E_OK);
	assert_int_equal(deflate(1030, 0), E_NOTFOUND);
	assert_int_equal(balloon_pages(space), 1022);

	assert_int_equal(inflate(0, 9), E_OK);
	assert_int_equal(space_pin(space, GFN(9), true, &pfn), E_OK);
	assert_int_equal(space_page_state(space, GFN(9)), PAGE_PRIVATE);
	space_unpin(space, pfn);
	assert_int_equal(balloon_pages(space), 1533);
	end();
}

static void two_mib_that_went_one_by_one_come_back_as_one(void **state)
{
	u64 pages[512];
	err_t why;

	(void)state;
	begin(MIB(6), true);
	write_page(512, 5);
	for (u64 i = 0; i < 512; i++)
		pages[i] = 1023 - i;
	fake_guest_leave_all();
	assert_int_equal(balloon_inflate(space, pages, 512, 0, &why), 512);
	assert_int_equal(frame_free_count(), free_before);
	u64 tables = space_counted(space, table_pages);

	assert_int_equal(inflate(512, 9), E_EXIST);
	assert_int_equal(deflate(512, 9), E_OK);
	assert_int_equal(space_counted(space, table_pages), tables - 1);
	write_page(513, 6);
	assert_int_equal(space_counted(space, large_leaves), 1);
	end();
}

static void a_list_goes_over_regions_and_back(void **state)
{
	const u64 list[] = {511, 512, 5, 1100, 1101, 512};
	err_t why;

	(void)state;
	begin(MIB(6), false);
	for (u32 i = 0; i < ARRAY_COUNT(list); i++)
		write_page(list[i], list[i]);
	fake_guest_leave_all();
	assert_int_equal(balloon_inflate(space, list, ARRAY_COUNT(list), 0, &why), 5);
	assert_int_equal(why, E_EXIST);
	assert_int_equal(balloon_pages(space), 5);
	assert_int_equal(frame_free_count(), free_before);
	end();
}

static void what_is_pinned_of_a_large_leaf_goes_with_its_last_pin(void **state)
{
	pfn_t pfn;

	(void)state;
	begin(MIB(6), true);
	write_page(512, 5);
	fake_guest_leave_all();
	assert_int_equal(space_pin(space, GFN(600), true, &pfn), E_OK);
	assert_int_equal(inflate(512, 9), E_OK);
	assert_int_equal(frame_free_count(), free_before - 1);
	assert_int_equal(frame_kind(pfn), FRAME_ORPHAN);
	space_unpin(space, pfn);
	assert_int_equal(frame_free_count(), free_before);
	end();
}

static void others_pass_by_what_is_ballooned(void **state)
{
	(void)state;
	begin(MIB(6), true);
	write_page(512, 5);
	assert_int_equal(inflate(512, 9), E_OK);
	assert_false(space_hide(space, GFN(600)));
	assert_int_equal(space_hide_all(space), 0);
	assert_int_equal(space_split_all(space), 0);
	for (u32 pass = 0; pass < 2; pass++) {
		while (!share_scan(space, 1000000, 1000000000).pass_ended)
			;
	}
	share_set_salt(space, 2);
	while (!share_scan(space, 1000000, 1000000000).pass_ended)
		;
	assert_true(space_audit(space));
	assert_int_equal(balloon_pages(space), 512);
	end();
}

static void one_page_of_a_large_leaf_splits_it(void **state)
{
	(void)state;
	begin(MIB(4), true);
	write_page(0, 1);
	write_page(3, 3);
	assert_int_equal(inflate(3, 0), E_OK);
	assert_int_equal(space_counted(space, splits), 1);
	assert_int_equal(read_page(0), 1);
	assert_int_equal(read_page(3), 0);
	end();
}

static void numbers_that_lie_change_nothing(void **state)
{
	static const u64 beyond[] = {1024, 1535, 0xfee00, 1ull << 40, 1ull << 51, 1ull << 52,
		(1ull << 52) - 1, ~0ull >> 12, ~0ull, SPACE_HIGH_BASE >> PAGE_SHIFT};

	(void)state;
	begin(MIB(4) + 12 * PAGE_BYTES, false);
	write_page(1, 1);
	for (u32 i = 1; i < ARRAY_COUNT(beyond); i++) {
		assert_int_equal(inflate(beyond[i], 0), E_RANGE);
		assert_int_equal(deflate(beyond[i], 0), E_RANGE);
		assert_int_equal(inflate(ALIGN_DOWN(beyond[i], 512ull), 9), E_RANGE);
		assert_int_equal(deflate(ALIGN_DOWN(beyond[i], 512ull), 9), E_RANGE);
	}
	assert_int_equal(inflate(1024, 9), E_RANGE); /* straddles the end */
	assert_int_equal(inflate(1, 9), E_RANGE);
	assert_int_equal(inflate(256, 9), E_RANGE);
	assert_int_equal(inflate(0, 1), E_INVAL);
	assert_int_equal(inflate(0, 63), E_INVAL);
	assert_int_equal(deflate(0, 64), E_INVAL);
	assert_int_equal(deflate(1, 0), E_NOTFOUND);
	assert_int_equal(deflate(600, 0), E_NOTFOUND); /* no table there */
	assert_int_equal(deflate(0, 9), E_NOTFOUND);
	assert_int_equal(deflate(512, 9), E_NOTFOUND);
	assert_int_equal(balloon_pages(space), 0);
	assert_int_equal(read_page(1), 1);
	end();
}

static void a_list_is_taken_up_to_its_first_bad_entry(void **state)
{
	const u64 list[] = {1, 2, 3, 2, 4};
	err_t why;

	(void)state;
	begin(MIB(4), false);
	assert_int_equal(balloon_inflate(space, list, 5, 0, &why), 3);
	assert_int_equal(why, E_EXIST);
	assert_int_equal(balloon_pages(space), 3);
	assert_int_equal(balloon_deflate(space, list, 5, 0, &why), 3);
	assert_int_equal(why, E_NOTFOUND);
	assert_int_equal(balloon_pages(space), 0);
	assert_int_equal(balloon_inflate(space, list, 0, 0, &why), 0);
	assert_int_equal(why, E_OK);
	end();
}

static void nothing_here_needs_a_free_frame(void **state)
{
	(void)state;
	begin(MIB(6), true);
	write_page(0, 1);
	fake_fail_alloc(1, true);
	for (u64 page = 0; page < 512; page += 3)
		assert_int_equal(inflate(page, 0), E_OK);
	assert_int_equal(inflate(512, 9), E_OK);
	assert_int_equal(deflate(512, 9), E_OK);
	assert_int_equal(deflate(0, 0), E_OK);
	assert_int_equal(fake_alloc_count(), 0);
	/* A page that is touched stays where it is for want of one. */
	u64 value = 1;

	assert_int_equal(
		fake_guest_access(space, GPA(3 << PAGE_SHIFT), SLAT_WRITE, &value, 8), FAULT_NOMEM);
	fake_fail_alloc(0, false);
	assert_int_equal(space_page_state(space, GFN(3)), PAGE_BALLOONED);
	end();
}

static void all_of_it_is_released_piece_by_piece(void **state)
{
	u64 cursor = 0;
	u32 calls = 1;

	(void)state;
	begin(MIB(16), false);
	write_page(1025, 1);
	for (u64 page = 3; page < 4096; page += 700)
		assert_int_equal(inflate(page, 0), E_OK);
	assert_int_equal(inflate(1536, 9), E_OK);
	while (!balloon_release(space, &cursor, 2))
		calls++;
	assert_int_equal(calls, 4);
	assert_int_equal(balloon_pages(space), 0);
	assert_int_equal(read_page(1025), 1);
	assert_int_equal(read_page(3), 0);
	/* Empty: at once. */
	cursor = 0;
	assert_true(balloon_release(space, &cursor, 1));
	end();
}

static void a_reset_forgets_the_balloon(void **state)
{
	(void)state;
	begin(MIB(6), true);
	write_page(0, 1);
	assert_int_equal(inflate(0, 9), E_OK);
	assert_int_equal(inflate(600, 0), E_OK);
	space_clear(space);
	assert_int_equal(balloon_pages(space), 0);
	assert_int_equal(read_page(0), 0);
	assert_int_equal(deflate(600, 0), E_NOTFOUND);
	assert_int_equal(inflate(600, 0), E_OK);
	end(); /* and so does the end */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			pages_of_every_state_lose_their_frame_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_shared_page_leaves_the_others_theirs, setup, teardown),
		cmocka_unit_test_setup_teardown(a_deflated_page_reads_as_zeros, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_touch_takes_a_page_back_and_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_pinned_frame_goes_with_its_last_pin, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_another_cpu_has_cached_is_flushed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			two_mib_go_as_a_whole_and_come_back_as_one, setup, teardown),
		cmocka_unit_test_setup_teardown(two_mib_of_small_pages_go_too, setup, teardown),
		cmocka_unit_test_setup_teardown(
			two_mib_that_were_never_touched_cost_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_page_of_two_mib_comes_back_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(
			two_mib_that_went_one_by_one_come_back_as_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_list_goes_over_regions_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_pinned_of_a_large_leaf_goes_with_its_last_pin, setup, teardown),
		cmocka_unit_test_setup_teardown(others_pass_by_what_is_ballooned, setup, teardown),
		cmocka_unit_test_setup_teardown(
			one_page_of_a_large_leaf_splits_it, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_that_lie_change_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_list_is_taken_up_to_its_first_bad_entry, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_here_needs_a_free_frame, setup, teardown),
		cmocka_unit_test_setup_teardown(
			all_of_it_is_released_piece_by_piece, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reset_forgets_the_balloon, setup, teardown),
	};
	return cmocka_run_group_tests_name("unit/balloon", tests, NULL, NULL);
}

/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/*
 * Page sharing: what is merged, what a write gets, what a quiet pass costs, salts, large leaves,
 * rates.
 */
#include "tests/unit/share_vms_rig.h"

/* Also where no page is like another, so that nothing else ends the slice. */
static void test_a_slice_ends_when_its_time_is_over(void **state)
{
	struct share_progress done;
	u64 hashed = 0;

	(void)state;
	start(1, 1);
	for (u64 page = 0; page < 100; page++)
		put(vms[0], page, 1000 + page);
	fake_guest_leave();
	do {
		done = share_scan(vms[0], ALL, 0);
		assert_true(done.hashed <= 8);
		hashed += done.hashed;
	} while (!done.pass_ended);
	assert_int_equal(hashed, 100);
	stop();
}

static void test_equal_pages_become_one_frame(void **state)
{
	(void)state;
	start(1, 1);
	for (u64 page = 0; page < 10; page++) {
		put(vms[0], page, 1000 + page);
		put(vms[1], page, 1000 + page);
	}
	put(vms[0], 20, 1000); /* like another of its own */
	put(vms[0], 21, 77);   /* like none */
	pass_all(2);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 10);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE), 1);
	assert_int_equal(state_of(vms[0], 20), PAGE_SHARED);
	assert_int_equal(state_of(vms[0], 21), PAGE_PRIVATE);
	assert_int_equal(space_counted(vms[0], share_merged_own), 1);
	assert_int_equal(space_counted(vms[1], share_merged_other), 10);
	struct share_figures a, b;

	share_figures_get(vms[0], &a);
	share_figures_get(vms[1], &b);
	assert_int_equal(a.shared_pages, 11);
	assert_int_equal(a.own_pages, 11);
	assert_int_equal(b.shared_pages, 10);
	assert_int_equal(b.other_pages, 10);
	assert_int_equal(a.hint_pages, 1);
	/* 21 mappings on 10 frames. */
	assert_in_range(a.saved_millipages + b.saved_millipages, 10990, 11010);
	for (u64 page = 0; page < 10; page++) {
		assert_int_equal(get(vms[0], page), 1000 + page);
		assert_int_equal(get(vms[1], page), 1000 + page);
	}
	stop();
}

static void test_zero_pages_cost_no_frame(void **state)
{
	(void)state;
	start(1, 2);
	for (u64 page = 0; page < 5; page++) {
		put(vms[0], page, 5);
		put(vms[0], page, 0);
	}
	pass_all(2);
	assert_int_equal(state_of(vms[0], 3), PAGE_ZERO);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE) + frame_kind_count(FRAME_SHARED), 0);
	assert_int_equal(space_counted(vms[0], share_zeroed), 5);
	assert_int_equal(get(vms[0], 3), 0);
	put(vms[0], 3, 9);
	assert_int_equal(get(vms[0], 3), 9);
	stop();
}

static void test_a_write_gets_a_copy_and_the_last_owner_the_frame(void **state)
{
	(void)state;
	start(1, 1);
	put(vms[0], 1, 42);
	put(vms[1], 2, 42);
	pass_all(2);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 1);
	put(vms[1], 2, 43);
	assert_int_equal(space_counted(vms[1], share_copied), 1);
	assert_int_equal(get(vms[0], 1), 42);
	assert_int_equal(get(vms[1], 2), 43);
	u64 rounds = vms[0]->tlb.generation;

	put(vms[0], 1, 44);
	assert_int_equal(space_counted(vms[0], share_taken), 1);
	assert_int_equal(vms[0]->tlb.generation, rounds);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 0);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE), 2);
	assert_int_equal(get(vms[1], 2), 43);
	stop();
}

static void test_a_pin_for_writing_breaks_and_a_pinned_page_is_left_alone(void **state)
{
	pfn_t pin, read_pin;

	(void)state;
	start(1, 1);
	put(vms[0], 1, 42);
	put(vms[1], 1, 42);
	pass_all(2);
	fake_guest_leave();
	assert_int_equal(space_pin(vms[1], GFN(1), false, &read_pin), E_OK);
	assert_int_equal(space_pin(vms[0], GFN(1), true, &pin), E_OK);
	assert_int_equal(state_of(vms[0], 1), PAGE_PRIVATE);
	assert_int_not_equal(pin.v, read_pin.v);
	/* A write through the pin sets no D: still the page is not taken for unchanged. */
	pass_all(2);
	assert_int_equal(state_of(vms[0], 1), PAGE_PRIVATE);
	assert_true(space_counted(vms[0], share_refused[SHARE_REFUSED_PINNED]) +
			    space_counted(vms[0], share_refused[SHARE_REFUSED_WRITTEN]) >
		    0);
	((u64 *)platform_frame_va(pin))[8] = 99;
	assert_int_equal(get(vms[0], 1), 99);
	assert_int_equal(get(vms[1], 1), 42);
	/* The last owner cannot have a frame that somebody reads. */
	put(vms[1], 1, 50);
	assert_int_equal(space_counted(vms[1], share_taken), 0);
	assert_int_equal(((u64 *)platform_frame_va(read_pin))[8], 42);
	fake_guest_leave();
	space_unpin(vms[1], read_pin);
	space_unpin(vms[0], pin);
	stop();
}

static void test_different_salts_never_share(void **state)
{
	(void)state;
	start(1, 2);
	vms[2] = make(0, MIB(1), false); /* sharing switched off */
	for (u32 i = 0; i < 3; i++) {
		put(vms[i], 1, 42);
		put(vms[i], 2, 42);
	}
	pass_all(3);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 2);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE), 2);
	assert_int_equal(state_of(vms[2], 1), PAGE_PRIVATE);
	stop();
}

static void test_an_unchanged_page_is_not_hashed_again(void **state)
{
	(void)state;
	start(1, 1);
	for (u64 page = 0; page < 100; page++)
		put(vms[0], page, 1000 + page);
	assert_int_equal(pass(vms[0]).hashed, 100);
	assert_int_equal(pass(vms[0]).hashed, 0);
	assert_int_equal(space_counted(vms[0], share_unchanged), 100);
	put(vms[0], 7, 5); /* since the pass: the next sweep sees it, and that pass hashes it */
	assert_int_equal(pass(vms[0]).hashed, 1);
	stop();
}

static void test_a_page_written_during_the_pass_waits_for_the_next(void **state)
{
	(void)state;
	start(1, 1);
	for (u64 page = 0; page < 100; page++)
		put(vms[0], page, 1000 + page);
	fake_guest_leave();
	share_scan(vms[0], 8, ALL); /* the sweep, and 8 pages */
	put(vms[0], 50, 5);
	assert_int_equal(pass(vms[0]).hashed, 91);
	assert_int_equal(space_counted(vms[0], share_refused[SHARE_REFUSED_WRITTEN]), 1);
	stop();
}

static void test_page_tables_are_left_alone_until_they_rest(void **state)
{
	(void)state;
	start(1, 1);
	put(vms[0], 1, 42);
	put(vms[1], 1, 42);
	pass_all(2);
	fake_guest_leave();
	assert_int_equal(fault_handle(vms[0], GPA(PAGE_BYTES), SLAT_READ | SLAT_WRITE | FAULT_WALK),
		FAULT_DONE);
	assert_int_equal(state_of(vms[0], 1), PAGE_PRIVATE);
	put(vms[0], 1, 42); /* a walk sets D */
	pass(vms[0]);
	assert_int_equal(state_of(vms[0], 1), PAGE_PRIVATE);
	assert_int_equal(space_counted(vms[0], share_refused[SHARE_REFUSED_WALKED]), 1);
	pass_all(2);
	assert_int_equal(state_of(vms[0], 1), PAGE_SHARED);
	stop();
}

static void test_large_leaves_are_split_for_a_gain_only(void **state)
{
	(void)state;
	fake_start_plain(2, 9000);
	fake_guest_start();
	share_test_hooks(NULL, 0);
	vms[0] = make(1, MIB(2), true);
	vms[1] = make(1, MIB(2), true);
	vms[2] = make(1, MIB(2), true);
	for (u64 page = 0; page < 512; page++) {
		put(vms[0], page, 1 + page);
		put(vms[1], page, 1 + page);
		put(vms[2], page, page < 20 ? 1 + page : 5000 + page);
	}
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(space_counted(vms[i], large_leaves), 1);
	pass_all(3);
	assert_int_equal(space_counted(vms[0], large_leaves), 0);
	assert_int_equal(space_counted(vms[1], large_leaves), 0);
	assert_int_equal(space_counted(vms[2], large_leaves), 1);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 512);
	assert_int_equal(frame_kind_count(FRAME_PRIVATE), 512);
	for (u64 page = 0; page < 512; page++)
		assert_int_equal(get(vms[1], page), 1 + page);
	stop();
}

static void test_no_leaf_is_split_for_hints_that_are_not_true_any_more(void **state)
{
	(void)state;
	for (u32 leaf_first = 0; leaf_first < 2; leaf_first++) {
		start_leaf_beside_small_pages(200);
		pass(vms[!leaf_first]);
		/* Whoever stands in the index has other bytes by now. */
		for (u64 page = 0; page < 200; page++)
			put(vms[!leaf_first], page, 7000 + page);
		pass(vms[leaf_first]);
		assert_int_equal(space_counted(vms[0], splits), 0);
		assert_int_equal(frame_kind_count(FRAME_SHARED), 0);
		stop();
	}
}

static void test_a_page_counts_once_for_a_split_from_whichever_side_it_is_seen(void **state)
{
	(void)state;
	for (u64 missing = 0; missing < 2; missing++) {
		start_leaf_beside_small_pages(SHARE_SPLIT_GAIN_PAGES - missing);
		for (u32 i = 0; i < 4; i++) {
			pass(vms[1]);
			pass(vms[0]);
			pass(vms[1]);
		}
		assert_int_equal(space_counted(vms[0], splits), !missing);
		assert_int_equal(
			frame_kind_count(FRAME_SHARED), missing ? 0 : SHARE_SPLIT_GAIN_PAGES);
		stop();
	}
}

static void test_rates_keep_every_limit(void **state)
{
	const struct share_rate_limits usual = {60, 4, 1024};
	u64 gib4 = GIB(4) >> PAGE_SHIFT;

	(void)state;
	/* Once in an hour, where that is the least. */
	assert_int_equal(share_rate_pages_s(&usual, gib4, gib4, 3000000, 1), 292);
	/* 4 MB/s of each GHz, shared by size. */
	assert_int_equal(share_rate_pages_s(&usual, gib4, 16 * gib4, 1000000, 1), 64);
	assert_int_equal(share_rate_pages_s(&usual, 16 * gib4, 16 * gib4, 2000000, 4), 1024);
	assert_int_equal(share_rate_pages_s(&usual, gib4, 0, 2000000, 4), 0);
	const struct share_rate_limits none = {60, 0, 1024}, stopped = {60, 4, 0};

	assert_int_equal(share_rate_pages_s(&none, gib4, gib4, 3000000, 1), 0);
	assert_int_equal(share_rate_pages_s(&stopped, gib4, gib4, 3000000, 1), 0);
	for (u32 pages = 1; pages < 100000; pages = pages * 3 + 1)
		assert_in_range(share_rate_pages_s(&usual, pages, 100000, 2400000, 2), 0,
			4 * 256 * 2 * 24 / 10);
}

static void test_the_counters_tell_what_a_pass_did(void **state)
{
	(void)state;
	start(1, 1);
	for (u64 page = 0; page < 10; page++) {
		put(vms[0], page, 1000 + page);
		put(vms[1], page, page < 4 ? 1000 + page : page < 7 ? 3000 + page : 3000);
	}
	put(vms[1], 20, 0);
	pass(vms[0]);
	pass(vms[1]);
	const struct space_stats s = space_stats(vms[1]);

	/* The other region was never touched: it is passed by as a whole, as one entry. */
	assert_int_equal(s.share_visited, REGION_PAGE_COUNT + 1);
	assert_int_equal(s.share_hashed, 11);
	/* 4 of the other's, 2 of 3 of its own, and the zero page. */
	assert_int_equal(s.share_merged_other, 4);
	assert_int_equal(s.share_merged_own, 2);
	assert_int_equal(s.share_zeroed, 1);
	assert_int_equal(s.share_compared, 7);
	assert_true(s.share_ns > 0);
	for (u32 why = 0; why < SHARE_REFUSED_COUNT; why++)
		assert_int_equal(refused(1, why), 0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_slice_ends_when_its_time_is_over),
		cmocka_unit_test(test_equal_pages_become_one_frame),
		cmocka_unit_test(test_zero_pages_cost_no_frame),
		cmocka_unit_test(test_a_write_gets_a_copy_and_the_last_owner_the_frame),
		cmocka_unit_test(test_a_pin_for_writing_breaks_and_a_pinned_page_is_left_alone),
		cmocka_unit_test(test_different_salts_never_share),
		cmocka_unit_test(test_an_unchanged_page_is_not_hashed_again),
		cmocka_unit_test(test_a_page_written_during_the_pass_waits_for_the_next),
		cmocka_unit_test(test_page_tables_are_left_alone_until_they_rest),
		cmocka_unit_test(test_large_leaves_are_split_for_a_gain_only),
		cmocka_unit_test(test_no_leaf_is_split_for_hints_that_are_not_true_any_more),
		cmocka_unit_test(
			test_a_page_counts_once_for_a_split_from_whichever_side_it_is_seen),
		cmocka_unit_test(test_rates_keep_every_limit),
		cmocka_unit_test(test_the_counters_tell_what_a_pass_did),
	};

	return cmocka_run_group_tests_name("unit/share", tests, NULL, NULL);
}

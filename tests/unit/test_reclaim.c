/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c tests/fake/fake_blk.c mm */
/* Who loses pages, when, and that whoever needs a frame gets it. */
#include "tests/unit/reclaim_rig.h"
#include "mm/space/promise.h"
#include "mm/reclaim/reclaim_age.h"
#include "mm/reclaim/reclaim_shared.h"
#include "mm/share/share.h"

#define FRAMES 3000u

static int setup(void **state)
{
	(void)state;
	rig_start(FRAMES);
	return 0;
}

static enum rig_kind kind_of(u64 page)
{
	return page % 10 == 0 ? RIG_VALUE : page % 4 == 1 ? RIG_SMALL : RIG_RANDOM;
}

/* As rig_fill(), waiting where it must. */
static void fill_patiently(struct space *space, u64 page)
{
	u8 bytes[PAGE_BYTES];
	pfn_t pfn;
	err_t err;

	rig_bytes(page, kind_of(page), bytes);
	fake_guest_leave_all();
	while ((err = space_pin(space, GFN(page), true, &pfn)) == E_WAIT)
		rig_complete();
	assert_int_equal(err, 0);
	memcpy(platform_frame_va(pfn), bytes, PAGE_BYTES);
	space_unpin(space, pfn);
}

static void more_guests_than_memory_find_all_their_bytes(void **state)
{
	struct space *spaces[3];

	(void)state;
	for (u32 i = 0; i < 3; i++)
		spaces[i] = rig_space((const char *[]){"a", "b", "c"}[i], 1200, 120, 1200);
	for (u64 page = 0; page < 1200; page++) {
		for (u32 i = 0; i < 3; i++)
			fill_patiently(spaces[i], page);
		reclaim_work(1000000);
	}
	for (u32 i = 0; i < 3; i++) {
		for (u64 page = 0; page < 1200; page++)
			rig_verify(spaces[i], page, kind_of(page));
		assert_true(space_audit(spaces[i]));
		assert_true(space_counted(spaces[i], evicted_zip) &&
			    space_counted(spaces[i], evicted_fill) &&
			    space_counted(spaces[i], evicted_swap));
	}
	for (u32 i = 0; i < 3; i++)
		rig_end(spaces[i]);
}

/* Nothing works in the background: whose pages faults take is counted with these. */
static void what_faults_take_is_counted_with_whom_it_is_taken_from(void **state)
{
	struct space *first = rig_space("first", 2000, 120, 2000);
	struct space *second = rig_space("second", 1400, 120, 1400);

	(void)state;
	for (u64 page = 0; page < 2000; page++)
		fill_patiently(first, page);
	for (u64 page = 0; page < 1400; page++)
		fill_patiently(second, page);
	/* Who has more loses. */
	assert_true(space_counted(first, taken_for_faults) > 0);
	assert_true(
		space_counted(second, taken_for_faults) < space_counted(first, taken_for_faults));
	assert_int_equal(
		space_counted(first, taken_in_exchange) + space_counted(second, taken_in_exchange),
		0);
	rig_end(first);
	rig_end(second);
}

static void with_neither_cache_nor_swap_file_a_fault_without_a_frame_is_the_end(void **state)
{
	struct space *space = rig_space("none", 4000, 0, 0);
	enum fault_result result = FAULT_DONE;
	u64 page = 0, value = 1;

	(void)state;
	for (; page < 4000 && result == FAULT_DONE; page++)
		result = fake_guest_access(space, gfn_to_gpa(GFN(page)), SLAT_WRITE, &value, 8);
	fake_guest_leave();
	assert_int_equal(result, FAULT_NOMEM);
	rig_end(space);
}

static void a_full_cache_and_a_full_swap_file_end_in_no_memory_not_in_waiting(void **state)
{
	struct space *space = rig_space("full", 4000, 2, 100);
	u8 bytes[PAGE_BYTES];
	u32 waits = 0;
	err_t err = 0;
	pfn_t pfn;

	(void)state;
	for (u64 page = 0; page < 4000 && !err; page++) {
		rig_bytes(page, RIG_RANDOM, bytes);
		while ((err = space_pin(space, GFN(page), true, &pfn)) == E_WAIT) {
			rig_complete();
			assert_true(++waits < 10000);
		}
		if (!err) {
			memcpy(platform_frame_va(pfn), bytes, PAGE_BYTES);
			space_unpin(space, pfn);
		}
	}
	assert_int_equal(err, E_NOMEM);
	rig_end(space);
}

static void a_reservation_is_not_broken(void **state)
{
	struct space_config config = {.name = "kept",
		.memory_bytes = 600 * PAGE_BYTES,
		.format = &slat_npt,
		.promised_bytes = 600 * PAGE_BYTES,
		.zip_most_frames = 60};
	struct space *kept, *other = rig_space("other", 4000, 400, 4000);

	(void)state;
	assert_int_equal(space_create(&kept, &config), 0);
	for (u64 page = 0; page < 600; page++)
		rig_fill(kept, page, RIG_SMALL);
	for (u64 page = 0; page < 4000; page++)
		fill_patiently(other, page);
	assert_int_equal(space_consumed_pages(kept), 600);
	assert_true(space_pages_in_state(other, PAGE_SWAPPED) > 0);
	/* Nor by command. */
	assert_false(reclaim_from(kept, 100, 1000000));
	assert_int_equal(space_consumed_pages(kept), 600);
	rig_end(other);
	rig_end(kept);
}

static void memory_is_kept_at_hand_in_the_background(void **state)
{
	struct space *space = rig_space("busy", 4000, 400, 4000);
	u64 page = 0;

	(void)state;
	while (reclaim_is_plentiful())
		rig_fill(space, page++, RIG_SMALL);
	u64 spare = promise_spare_pages();

	while (reclaim_work(100000))
		rig_complete();
	rig_complete();
	assert_true(promise_spare_pages() > spare);
	assert_true(reclaim_is_plentiful());
	/* With hysteresis: above the threshold nothing more is done. */
	u64 evicted = space_counted(space, evicted_zip);

	assert_false(reclaim_work(1000000));
	assert_int_equal(space_counted(space, evicted_zip), evicted);
	rig_end(space);
}

static void pages_in_use_stay_and_cold_ones_go(void **state)
{
	struct space *space = rig_space("warm", 2000, 200, 2000);
	u32 hot_gone = 0;

	(void)state;
	for (u64 page = 0; page < 2000; page++)
		rig_fill(space, page, RIG_SMALL);
	for (u32 sweep = 0; sweep < 4; sweep++) {
		while (!reclaim_sweep(space, 0))
			;
		for (u64 page = 0; page < 2000; page += 4)
			rig_read(space, page);
	}
	for (u32 i = 0; i < 30; i++)
		reclaim_from(space, 32, 10000000);
	for (u64 page = 0; page < 2000; page += 4)
		hot_gone += rig_state(space, page) != PAGE_PRIVATE;
	assert_true(space_pages_in_state(space, PAGE_ZIPPED) > 500);
	assert_int_equal(hot_gone, 0);
	rig_end(space);
}

static void chosen_at_random_the_hot_ones_go_too(void **state)
{
	struct space *space = rig_space("random", 2000, 200, 2000);
	u32 hot_gone = 0;

	(void)state;
	reclaim_choose_randomly(true);
	for (u64 page = 0; page < 2000; page++)
		rig_fill(space, page, RIG_SMALL);
	for (u64 page = 0; page < 2000; page += 4)
		rig_read(space, page);
	for (u32 i = 0; i < 30; i++)
		reclaim_from(space, 32, 10000000);
	for (u64 page = 0; page < 2000; page += 4)
		hot_gone += rig_state(space, page) != PAGE_PRIVATE;
	assert_true(hot_gone > 50);
	reclaim_choose_randomly(false);
	rig_end(space);
}

static void with_everything_reclaimed_after_each_access_a_guest_finishes(void **state)
{
	struct space *space = rig_space("hunted", 256, 4, 256);

	(void)state;
	for (u64 page = 0; page < 256; page++)
		rig_write(space, page, page * 7 + 1);
	for (u32 round = 0; round < 300; round++) {
		/* An instruction that needs 25 pages, in any order, all present at once. */
		u64 pages[25], present = 0, value;

		for (u32 i = 0; i < 25; i++)
			pages[i] = (round * 31 + i * 7) % 256;
		fault_guard_use(space, 0);
		for (u32 tries = 0; present < 25; tries++) {
			assert_true(tries < 200);
			present = 0;
			for (u32 i = 0; i < 25; i++) {
				enum fault_result r = fake_guest_access(space,
					gfn_to_gpa(GFN(pages[i])), i % 2 ? SLAT_WRITE : SLAT_READ,
					(value = pages[i] * 7 + 1, &value), 8);

				fake_guest_leave();
				reclaim_everything(space);
				if (r == FAULT_WAIT) {
					rig_complete();
					break;
				}
				assert_int_equal(r, FAULT_DONE);
				assert_int_equal(value, pages[i] * 7 + 1);
			}
			for (u32 i = 0; i < 25; i++) {
				enum page_state s = rig_state(space, pages[i]);

				present +=
					s == PAGE_PRIVATE || s == PAGE_CLEAN || s == PAGE_WRITING;
			}
		}
		fault_guard_moved_on();
	}
	fault_guard_use(NULL, 0);
	rig_end(space);
}

static void shared_pages_go_when_nothing_else_is_left(void **state)
{
	struct space *spaces[3];

	(void)state;
	for (u32 i = 0; i < 3; i++) {
		struct space_config config = {.name = (const char *[]){"x", "y", "z"}[i],
			.memory_bytes = 512 * PAGE_BYTES,
			.format = &slat_ept,
			.share_salt = 1};

		assert_int_equal(swap_file_create(rig.volume, config.name, 512, &config.swap), 0);
		assert_int_equal(space_create(&spaces[i], &config), 0);
		for (u64 page = 0; page < 300; page++)
			rig_fill(spaces[i], page, RIG_RANDOM);
	}
	for (u32 pass = 0; pass < 12; pass++)
		share_scan(spaces[pass % 3], ~0ull, 1000000000);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 300);
	for (u32 i = 0; i < 3; i++)
		reclaim_everything(spaces[i]);
	rig_complete();
	assert_int_equal(frame_kind_count(FRAME_SHARED), 300);

	/* All that is free is taken: only shared frames are left to be had. */
	static pfn_t hoard[FRAMES];
	u32 hoarded = 0;

	while (!pfn_is_none(hoard[hoarded] = frame_alloc(FRAME_HV)))
		hoarded++;
	for (u32 turn = 0; turn < 200; turn++) {
		reclaim_work(1000000);
		rig_complete();
	}
	assert_true(frame_kind_count(FRAME_SHARED) < 300);
	assert_true(frame_free_count() >= 300 - frame_kind_count(FRAME_SHARED));
	while (hoarded)
		frame_free(hoard[--hoarded]);
	for (u32 i = 0; i < 3; i++) {
		for (u64 page = 0; page < 300; page++)
			rig_verify(spaces[i], page, RIG_RANDOM);
	}
	for (u32 i = 0; i < 3; i++)
		rig_end(spaces[i]);
}

/* Two spaces that share all of their first @pages pages, and can swap @slots out. */
static void shared_spaces(struct space *spaces[2], u64 pages, u64 slots)
{
	for (u32 i = 0; i < 2; i++) {
		struct space_config config = {.name = i ? "b" : "a",
			.memory_bytes = 512 * PAGE_BYTES,
			.format = &slat_ept,
			.share_salt = 1};

		assert_int_equal(swap_file_create(rig.volume, config.name, slots, &config.swap), 0);
		assert_int_equal(space_create(&spaces[i], &config), 0);
		for (u64 page = 0; page < pages; page++)
			rig_fill(spaces[i], page, RIG_RANDOM);
	}
	for (u32 pass = 0; pass < 8; pass++)
		share_scan(spaces[pass % 2], ~0ull, 1000000000);
	assert_int_equal(frame_kind_count(FRAME_SHARED), pages);
}

static void a_shared_page_on_its_way_out_is_unshared_with_the_others(void **state)
{
	struct space *spaces[2], *leaver;
	struct evict_batch batch;

	(void)state;
	shared_spaces(spaces, 20, 512);
	while (reclaim_choose_shared(&batch, &leaver) != RECLAIM_SWEPT_SOME)
		;
	share_set_salt(leaver, 2);
	while (share_is_unsharing(leaver))
		share_scan(leaver, ~0ull, 1000000000);
	/* It could not be written: it would stay, and shared with those that were left. */
	rig.disk.fail_nth = 1;
	evict_some(&batch, leaver, ~0ull);
	rig_complete();
	space_release(leaver);
	assert_int_equal(space_pages_in_state(leaver, PAGE_SHARED), 0);
	assert_int_equal(space_pages_in_state(leaver, PAGE_PRIVATE), 20);
	for (u64 page = 0; page < 20; page++)
		rig_verify(leaver, page, RIG_RANDOM);
	rig_end(spaces[0]);
	rig_end(spaces[1]);
}

static void shared_pages_that_find_no_slot_end_in_no_memory_not_in_waiting(void **state)
{
	static pfn_t hoard[FRAMES];
	enum fault_result result;
	struct space *spaces[2];
	u32 hoarded = 0, waits = 0;
	u64 value = 1;

	(void)state;
	shared_spaces(spaces, 300, 5);
	while (!pfn_is_none(hoard[hoarded] = frame_alloc(FRAME_HV)))
		hoarded++;
	while ((result = fake_guest_access(
			spaces[0], gfn_to_gpa(GFN(400)), SLAT_WRITE, &value, 8)) == FAULT_WAIT) {
		fake_guest_leave();
		rig_complete();
		assert_true(++waits < 2000);
	}
	fake_guest_leave();
	assert_int_equal(result, FAULT_NOMEM);
	assert_true(space_counted(spaces[0], taken_for_faults) +
			    space_counted(spaces[1], taken_for_faults) >=
		    5);
	while (hoarded)
		frame_free(hoard[--hoarded]);
	rig_end(spaces[0]);
	rig_end(spaces[1]);
}

/* --- By the memory scheduler's orders --------------------------------------------------------- */

static void at_its_bound_a_space_pays_for_each_page_with_its_own(void **state)
{
	struct space_config config = {.name = "bound",
		.memory_bytes = 1000 * PAGE_BYTES,
		.format = &slat_ept,
		.promised_bytes = 300 * PAGE_BYTES,
		.zip_most_frames = 30};
	struct space *space;

	(void)state;
	assert_int_equal(swap_file_create(rig.volume, "bound", 1000, &config.swap), 0);
	assert_int_equal(space_create(&space, &config), 0);
	/* Its reservation is no reason to give it more. */
	reclaim_order(space, 300, ~0ull, ~0ull);
	for (u64 page = 0; page < 1000; page++) {
		fill_patiently(space, page);
		assert_true(space_held_pages(space) <= 300);
	}
	assert_true(reclaim_is_plentiful());
	for (u64 page = 0; page < 1000; page++) {
		rig_verify(space, page, kind_of(page));
		assert_true(space_held_pages(space) <= 300);
	}
	assert_true(space_counted(space, taken_in_exchange) >= 700);
	assert_int_equal(space_counted(space, taken_for_faults), 0);
	rig_end(space);
}

static void at_its_bound_a_space_is_unshared_by_what_it_gives_up(void **state)
{
	struct space *spaces[2];

	(void)state;
	shared_spaces(spaces, 20, 512);
	for (u64 page = 100; page < 200; page++)
		rig_fill(spaces[0], page, RIG_RANDOM);
	reclaim_order(spaces[0], space_held_pages(spaces[0]), ~0ull, ~0ull);
	share_set_salt(spaces[0], 2);
	for (u32 turns = 0; share_is_unsharing(spaces[0]); turns++) {
		assert_true(turns < 100);
		share_scan(spaces[0], 1, 1000000);
		rig_complete();
	}
	assert_int_equal(space_pages_in_state(spaces[0], PAGE_SHARED), 0);
	assert_true(space_held_pages(spaces[0]) <= 100);
	for (u64 page = 0; page < 20; page++)
		rig_verify(spaces[0], page, RIG_RANDOM);
	rig_end(spaces[0]);
	rig_end(spaces[1]);
}

static void a_bound_that_cannot_be_kept_is_exceeded_while_frames_are_free(void **state)
{
	struct space *space = rig_space("nowhere", 600, 0, 0);

	(void)state;
	reclaim_order(space, 100, 100, 100);
	for (u64 page = 0; page < 600; page++)
		rig_fill(space, page, RIG_RANDOM);
	assert_int_equal(space_held_pages(space), 600);
	rig_end(space);
}

static void what_is_ordered_goes_though_memory_is_free(void **state)
{
	struct space *space = rig_space("much", 600, 60, 600),
		     *other = rig_space("other", 600, 60, 600);

	(void)state;
	for (u64 page = 0; page < 600; page++) {
		fill_patiently(space, page);
		fill_patiently(other, page);
	}
	assert_true(reclaim_is_plentiful());
	reclaim_order(space, ~0ull, ~0ull, 200);
	while (reclaim_work(100000))
		rig_complete();
	rig_complete();
	assert_in_range(space_held_pages(space), 200 - EVICT_BATCH_PAGES, 200);
	assert_int_equal(space_held_pages(other), 600);
	for (u64 page = 0; page < 600; page++)
		rig_verify(space, page, kind_of(page));
	rig_end(space);
	rig_end(other);
}

static void who_is_above_its_entitlement_loses_before_who_has_more(void **state)
{
	struct space *rich = rig_space("rich", 1200, 120, 1200),
		     *poor = rig_space("poor", 600, 60, 600);
	u64 page = 0;

	(void)state;
	for (; page < 600; page++) {
		fill_patiently(rich, page);
		fill_patiently(poor, page);
	}
	reclaim_order(rich, ~0ull, 1200, ~0ull);
	reclaim_order(poor, ~0ull, 300, ~0ull);
	while (page < 1200 && space_held_pages(poor) == 600)
		fill_patiently(rich, page++);
	static pfn_t hoard[FRAMES];
	u32 hoarded = 0;

	while (reclaim_is_plentiful())
		hoard[hoarded++] = frame_alloc(FRAME_HV);
	while (reclaim_work(100000))
		rig_complete();
	rig_complete();
	assert_true(space_held_pages(poor) < 600);
	assert_int_equal(space_held_pages(rich), page);
	while (hoarded)
		frame_free(hoard[--hoarded]);
	rig_end(rich);
	rig_end(poor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		CASE(more_guests_than_memory_find_all_their_bytes),
		CASE(what_faults_take_is_counted_with_whom_it_is_taken_from),
		CASE(with_neither_cache_nor_swap_file_a_fault_without_a_frame_is_the_end),
		CASE(a_full_cache_and_a_full_swap_file_end_in_no_memory_not_in_waiting),
		CASE(a_reservation_is_not_broken),
		CASE(memory_is_kept_at_hand_in_the_background),
		CASE(pages_in_use_stay_and_cold_ones_go),
		CASE(chosen_at_random_the_hot_ones_go_too),
		CASE(with_everything_reclaimed_after_each_access_a_guest_finishes),
		CASE(shared_pages_go_when_nothing_else_is_left),
		CASE(a_shared_page_on_its_way_out_is_unshared_with_the_others),
		CASE(shared_pages_that_find_no_slot_end_in_no_memory_not_in_waiting),
		CASE(at_its_bound_a_space_pays_for_each_page_with_its_own),
		CASE(at_its_bound_a_space_is_unshared_by_what_it_gives_up),
		CASE(a_bound_that_cannot_be_kept_is_exceeded_while_frames_are_free),
		CASE(what_is_ordered_goes_though_memory_is_free),
		CASE(who_is_above_its_entitlement_loses_before_who_has_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

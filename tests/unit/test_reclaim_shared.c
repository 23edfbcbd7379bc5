/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c tests/fake/fake_blk.c mm */
/* Shared pages as victims: which leave, when their frame is free, and what a command that fails, or
 * comes twice, leaves behind. */
#include "tests/unit/share_reclaim_rig.h"
#include "mm/balloon/balloon.h"
#include "mm/reclaim/reclaim_shared.h"
#include "mm/share/share_audit.h"
#include "mm/space/promise.h"

/* The next batch of the sweep, if there is one without a completion. */
static bool sweep(struct evict_batch *batch, struct space **leaver)
{
	enum reclaim_swept swept;
	u32 turns = 0;

	while ((swept = reclaim_choose_shared(batch, leaver)) == RECLAIM_SWEPT_ON)
		assert_true(++turns < 1000);
	return swept == RECLAIM_SWEPT_SOME;
}

/* Of @one, the pages from 0 on; what page 7 has. */
static void share_first(u64 count)
{
	for (u64 page = 0; page < count; page++)
		rig_fill_as(one, page, 7, RIG_RANDOM);
	scan(one, 3);
	assert_int_equal(space_pages_in_state(one, PAGE_SHARED), count);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 1);
}

static void verify_first(u64 count)
{
	for (u64 page = 0; page < count; page++)
		rig_verify_as(one, page, 7, RIG_RANDOM);
}

static void sweep_all(void)
{
	struct evict_batch batch;
	struct space *leaver;

	while (sweep(&batch, &leaver)) {
		evict_some(&batch, leaver, ~0ull);
		space_release(leaver);
	}
}

/* They stand as the sweep left them, with their command under way. */
static void leave_first(u64 count)
{
	share_first(count);
	sweep_all();
	assert_int_equal(space_pages_in_state(one, PAGE_SHARED_WRITING), count);
	assert_int_equal(space_leaving_pages(one), count);
}

/* Nothing is won before the last of a frame's sharers has left; a command holds 32. */
static void sharers_of_one_frame_leave_together_and_free_it(void **state)
{
	struct evict_batch batch;
	struct space *leaver;
	u64 writes, free_frames;

	(void)state;
	share_first(100);
	free_frames = frame_free_count();
	writes = rig.disk.writes;
	while (sweep(&batch, &leaver)) {
		assert_true(leaver == one);
		evict_some(&batch, leaver, ~0ull);
		space_release(leaver);
		assert_true(space_audit(one));
	}
	assert_int_equal(space_pages_in_state(one, PAGE_SHARED_WRITING), 100);
	rig_complete();
	assert_int_equal(rig.disk.writes, writes + 4);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 0);
	assert_int_equal(frame_free_count(), free_frames + 1);
	verify_first(100);
}

static void a_write_that_fails_leaves_its_pages_shared(void **state)
{
	struct evict_batch batch;
	struct space *leaver;

	(void)state;
	share_first(20);
	assert_true(sweep(&batch, &leaver));
	rig.disk.fail_nth = 1;
	evict_some(&batch, leaver, ~0ull);
	space_release(leaver);
	rig_complete();
	assert_int_equal(space_pages_in_state(one, PAGE_SHARED), 20);
	assert_int_equal(swap_file_used(one->swap), 0);
	verify_first(20);
}

static void a_write_on_the_way_out_gets_a_copy_and_the_others_leave(void **state)
{
	u64 bytes = 99;

	(void)state;
	leave_first(20);
	assert_int_equal(rig_access(one, 3, SLAT_WRITE, &bytes), 0);
	assert_int_equal(rig_state(one, 3), PAGE_PRIVATE);
	rig_complete();
	assert_int_equal(space_pages_in_state(one, PAGE_SWAPPED), 19);
	assert_int_equal(swap_file_used(one->swap), 19);
	assert_int_equal(rig_read(one, 3), 99);
	rig_verify_as(one, 4, 7, RIG_RANDOM);
}

static void a_page_that_is_read_on_the_way_out_stays_shared(void **state)
{
	(void)state;
	leave_first(20);
	rig_read(one, 3);
	rig_complete();
	assert_int_equal(rig_state(one, 3), PAGE_SHARED);
	assert_int_equal(space_pages_in_state(one, PAGE_SWAPPED), 19);
	assert_int_equal(swap_file_used(one->swap), 19);
	verify_first(20);
}

/* A pin is of the frame, and does not tell whose of its sharers it is. */
static void a_pin_on_the_way_out_keeps_all_sharers_of_its_frame(void **state)
{
	pfn_t pinned;

	(void)state;
	leave_first(20);
	assert_int_equal(space_pin(one, GFN(3), false, &pinned), 0);
	rig_complete();
	space_unpin(one, pinned);
	assert_int_equal(space_pages_in_state(one, PAGE_SHARED), 20);
	assert_int_equal(swap_file_used(one->swap), 0);
	verify_first(20);
}

static void the_balloon_and_a_reset_take_pages_on_their_way_out(void **state)
{
	static const u64 pages[] = {3, 4, 5};
	err_t why;

	(void)state;
	leave_first(20);
	assert_int_equal(
		balloon_inflate(one, pages, ARRAY_COUNT(pages), 0, &why), ARRAY_COUNT(pages));
	assert_true(space_audit(one));
	space_clear(one);
	assert_true(space_audit(one));
	rig_complete();
	assert_int_equal(swap_file_used(one->swap), 0);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 0);
}

/* Also while they leave: who watches, and who looks for what may not be shared any more. */
static void pages_on_their_way_out_are_told_as_shared(void **state)
{
	struct share_figures figures;
	struct share_audit audit;

	(void)state;
	leave_first(20);
	assert_int_equal(space_shared_pages(one), 20);
	share_figures_get(one, &figures);
	assert_int_equal(figures.shared_pages, 20);
	share_set_salt(one, 2);
	assert_int_equal(share_audit(&audit), 0);
	assert_int_equal(audit.stray_pages, 20);
}

/* A write that finds no frame for its copy keeps the page, and the sweep may choose it again. */
static void of_two_commands_with_one_page_the_first_to_complete_decides(void **state)
{
	(void)state;
	for (u64 fails = 0; fails < 3; fails++) {
		u64 page = 100 + fails;

		share(page, RIG_RANDOM);
		assert_int_equal(rig_evict(one, page), EVICT_CHOSEN);
		spin_lock(space_region_lock(one, GFN(page)));
		evicted_keep(one, space_page_entry(one, GFN(page)));
		spin_unlock(space_region_lock(one, GFN(page)));
		assert_int_equal(rig_evict(one, page), EVICT_CHOSEN);
		assert_int_equal(rig_state(one, page), PAGE_SHARED_WRITING);
		assert_true(space_audit(one));
		rig.disk.fail_nth = fails;
		rig_complete();
		rig.disk.fail_nth = 0;
		assert_true(space_audit(one));
		/* The first that completes decides. */
		assert_int_equal(rig_state(one, page), fails == 1 ? PAGE_SHARED : PAGE_SWAPPED);
		assert_int_equal(swap_file_used(one->swap), fails != 1);
		rig_verify_as(one, page, page, RIG_RANDOM);
		rig_write(one, page, 1);
		rig_write(one, page + 512, 1);
		assert_int_equal(swap_file_used(one->swap), 0);
	}
}

static void a_vm_that_ends_leaves_its_shared_frames_to_the_command(void **state)
{
	struct evict_batch batch;
	struct space *leaver;

	(void)state;
	share_first(20);
	rig_fill_as(two, 3, 7, RIG_RANDOM);
	rig_evict(two, 3);
	assert_int_equal(rig_state(two, 3), PAGE_SHARED);
	/* The sweep may begin with either. */
	do {
		assert_true(sweep(&batch, &leaver));
		evict_some(&batch, leaver, ~0ull);
		space_release(leaver);
	} while (leaver != one);
	rig_end(one);
	u64 left = frame_kind_count(FRAME_SHARED);

	one = rig_space("three", 1024, 64, 0);
	assert_int_equal(left, 1);
	rig_complete();
	rig_verify_as(two, 3, 7, RIG_RANDOM);
}

/* @one is another now, with a reservation. */
static void reserve(u64 promised_pages)
{
	struct space_config config = {.name = "reserved",
		.memory_bytes = 1024 * PAGE_BYTES,
		.format = &slat_ept,
		.share_salt = 1,
		.promised_bytes = promised_pages * PAGE_BYTES};

	rig_end(one);
	assert_int_equal(swap_file_create(rig.volume, config.name, 1024, &config.swap), 0);
	assert_int_equal(space_create(&one, &config), 0);
}

/* Not even while what is on its way out has not left yet. */
static void shared_pages_within_a_reservation_stay(void **state)
{
	(void)state;
	reserve(90);
	share_first(100);
	sweep_all();
	assert_int_equal(space_pages_in_state(one, PAGE_SHARED_WRITING), 10);
	rig_complete();
	assert_int_equal(space_pages_in_state(one, PAGE_SHARED), 90);
	verify_first(100);
}

/* They never were in frames of its own. */
static void while_shared_pages_leave_their_space_is_owed_what_it_was(void **state)
{
	(void)state;
	reserve(200);
	share_first(300);
	u64 spare = promise_spare_pages();

	sweep_all();
	assert_int_equal(space_pages_in_state(one, PAGE_SHARED), 200);
	assert_int_equal(promise_spare_pages(), spare);
	rig_complete();
	assert_int_equal(promise_spare_pages(), spare);
}

static void while_shared_pages_leave_their_space_has_what_it_is_promised(void **state)
{
	static pfn_t hoard[4096];
	u32 hoarded = 0;

	(void)state;
	reserve(200);
	share_first(300);
	for (u64 page = 400; page < 550; page++)
		rig_write(one, page, 1);
	sweep_all();
	while (promise_spare_pages())
		hoard[hoarded++] = frame_alloc(FRAME_HV);
	assert_false(promise_allows(two, 1, false));
	for (u64 page = 600; page < 650; page++) {
		u64 bytes = page;

		assert_int_equal(rig_access(one, page, SLAT_WRITE, &bytes), 0);
	}
	rig_complete();
	while (hoarded)
		frame_free(hoard[--hoarded]);
}

/* All records are out: the sweep waits where it is, and nobody spins meanwhile. */
static void without_a_free_record_the_sweep_waits_and_nobody_spins(void **state)
{
	static struct swap_io *records[4096];
	static pfn_t hoard[4096];
	struct evict_batch batch;
	struct space *leaver;
	u32 taken = 0, hoarded = 0;

	(void)state;
	share_first(20);
	while ((records[taken] = swap_io_take(true)) != NULL)
		taken++;
	for (u32 i = 0; i < 100; i++)
		assert_false(sweep(&batch, &leaver));
	while (!pfn_is_none(hoard[hoarded] = frame_alloc(FRAME_HV)))
		hoarded++;
	assert_false(reclaim_work(1000000000));
	while (taken)
		swap_io_give(records[--taken]);
	assert_true(sweep(&batch, &leaver));
	assert_int_equal(evict_chosen(&batch), 20);
	evict_some(&batch, leaver, ~0ull);
	space_release(leaver);
	rig_complete();
	while (hoarded)
		frame_free(hoard[--hoarded]);
	verify_first(20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(sharers_of_one_frame_leave_together_and_free_it),
		CASE(a_write_that_fails_leaves_its_pages_shared),
		CASE(a_write_on_the_way_out_gets_a_copy_and_the_others_leave),
		CASE(a_page_that_is_read_on_the_way_out_stays_shared),
		CASE(a_pin_on_the_way_out_keeps_all_sharers_of_its_frame),
		CASE(the_balloon_and_a_reset_take_pages_on_their_way_out),
		CASE(pages_on_their_way_out_are_told_as_shared),
		CASE(of_two_commands_with_one_page_the_first_to_complete_decides),
		CASE(a_vm_that_ends_leaves_its_shared_frames_to_the_command),
		CASE(shared_pages_within_a_reservation_stay),
		CASE(while_shared_pages_leave_their_space_is_owed_what_it_was),
		CASE(while_shared_pages_leave_their_space_has_what_it_is_promised),
		CASE(without_a_free_record_the_sweep_waits_and_nobody_spins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c tests/fake/fake_blk.c mm */
/* Pages that are shared instead of being evicted: which, what becomes of them, and what it costs.
 */
#include "tests/unit/reclaim_rig.h"
#include "mm/reclaim/reclaim_shared.h"
#include "mm/share/share.h"
#include "mm/share/share_index.h"

static struct space *one, *two;

static int setup(void **state)
{
	(void)state;
	rig_start(4096);
	share_test_hooks(NULL, 0);
	one = rig_space("one", 1024, 64, 1024);
	two = rig_space("two", 1024, 64, 1024);
	share_set_salt(one, 1);
	share_set_salt(two, 1);
	return 0;
}

static int teardown(void **state)
{
	assert_true(share_index_audit());
	share_test_hooks(NULL, 0);
	rig_end(one);
	rig_end(two);
	return rig_teardown(state);
}

static void scan(struct space *space, u32 passes)
{
	while (passes > 0)
		passes -= share_scan(space, ~0ull, ~0ull).pass_ended;
}

/* Two pages of @one with the same bytes, and so a shared frame. */
static void share(u64 page, enum rig_kind kind)
{
	rig_fill_as(one, page, page, kind);
	rig_fill_as(one, page + 512, page, kind);
	scan(one, 3);
	assert_int_equal(rig_state(one, page), PAGE_SHARED);
	assert_int_equal(rig_state(one, page + 512), PAGE_SHARED);
}

static void a_page_that_is_shared_elsewhere_is_shared_instead(void **state)
{
	u64 value = 5;

	(void)state;
	for (enum rig_kind kind = RIG_SMALL; kind <= RIG_RANDOM; kind++) {
		u64 page = 7 + kind;

		share(page, kind);
		rig_fill(two, page, kind);
		u64 consumed = space_consumed_pages(two), freed = reclaim_freed_frames(two);

		assert_int_equal(rig_evict(two, page), EVICT_CHOSEN);
		assert_int_equal(rig_state(two, page), PAGE_SHARED);
		assert_int_equal(space_consumed_pages(two), consumed - 1);
		assert_int_equal(reclaim_freed_frames(two), freed + 1);
		rig_verify(two, page, kind);
		assert_int_equal(rig_state(two, page), PAGE_SHARED);
	}
	assert_int_equal(frame_kind_count(FRAME_SHARED), 2);
	assert_int_equal(space_counted(two, evicted_shared), 2);
	assert_int_equal(space_counted(two, share_merged_other), 2);
	assert_int_equal(swap_file_used(two->swap), 0);
	/* It is a shared page like any other: a write gets a copy, and nobody else sees it. */
	rig_write(two, 7, value);
	assert_int_equal(rig_state(two, 7), PAGE_PRIVATE);
	assert_int_equal(rig_read(two, 7), value);
	rig_verify(one, 7, RIG_SMALL);
}

static void a_page_like_one_of_its_own_is_counted_so(void **state)
{
	(void)state;
	share(7, RIG_RANDOM);
	rig_write(one, 7, 1);
	rig_fill(one, 7, RIG_RANDOM);
	assert_int_equal(rig_evict(one, 7), EVICT_CHOSEN);
	assert_int_equal(rig_state(one, 7), PAGE_SHARED);
	assert_int_equal(space_counted(one, evicted_shared), 1);
	assert_int_equal(space_counted(one, share_merged_own), 2);
}

static void a_hint_alone_is_not_enough(void **state)
{
	(void)state;
	rig_fill(one, 7, RIG_RANDOM);
	scan(one, 3);
	rig_fill(two, 7, RIG_RANDOM);
	rig_evict(two, 7);
	assert_int_equal(rig_state(two, 7), PAGE_WRITING);
	assert_int_equal(rig_state(one, 7), PAGE_PRIVATE);
	rig_complete();
}

static void other_salts_and_spaces_that_do_not_share_are_left_out(void **state)
{
	(void)state;
	share(7, RIG_RANDOM);
	for (u32 i = 0; i < 2; i++) {
		share_set_salt(two, i ? 2 : 0);
		rig_fill(two, 7 + i, RIG_RANDOM);
		u64 hashed = space_counted(two, evict_hashed);

		rig_evict(two, 7 + i);
		assert_int_equal(rig_state(two, 7 + i), PAGE_WRITING);
		assert_int_equal(space_counted(two, evict_hashed), hashed + i);
		rig_complete();
	}
}

/* Equal hashes are not equal bytes: here only the first bit of a hash counts. */
static void bytes_decide(void **state)
{
	u64 page;

	(void)state;
	share_test_hooks(NULL, 1);
	share(7, RIG_RANDOM);
	for (page = 20; page < 40; page++) {
		rig_fill(two, page, RIG_RANDOM);
		rig_evict(two, page);
		assert_int_equal(rig_state(two, page), PAGE_WRITING);
		rig_complete();
	}
	assert_int_equal(space_counted(two, evict_hashed), 20);
	assert_int_equal(space_counted(two, evicted_shared), 0);
	for (page = 20; page < 40; page++)
		rig_verify(two, page, RIG_RANDOM);
}

static void evict_random(u64 first, u64 count)
{
	for (u64 page = first; page < first + count; page++) {
		rig_fill(two, page, RIG_RANDOM);
		rig_evict(two, page);
		rig_complete();
	}
}

static void where_no_page_is_elsewhere_few_are_hashed(void **state)
{
	(void)state;
	evict_random(100, 300);
	assert_in_range(space_counted(two, evict_hashed), 20, 60);
	/* When some are again it is soon noticed. */
	share(7, RIG_RANDOM);
	for (u64 page = 500; page < 600; page++) {
		rig_fill_as(two, page, 7, RIG_RANDOM);
		rig_evict(two, page);
		rig_complete();
	}
	assert_in_range(space_counted(two, evicted_shared), 60, 100);
}

/* --- Shared pages on their way out ----------------------------------------------------------- */

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

/* Nothing is won before the last of a frame's sharers has left; a command holds 32. */
static void sharers_of_one_frame_leave_together(void **state)
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
	assert_int_equal(space_pages_in_state(one, PAGE_WRITING), 100);
	rig_complete();
	assert_int_equal(rig.disk.writes, writes + 4);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 0);
	assert_int_equal(frame_free_count(), free_frames + 1);
	verify_first(100);
}

static void a_write_that_fails_keeps_its_sharers(void **state)
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

/* A write that finds no frame for its copy keeps the page, and the sweep may choose it again. */
static void a_page_may_be_under_way_in_two_commands(void **state)
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
		assert_int_equal(rig_state(one, page), PAGE_WRITING);
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

/* Not even while what is on its way out has not left yet. */
static void a_reservation_is_not_taken(void **state)
{
	struct space_config config = {.name = "reserved",
		.memory_bytes = 512 * PAGE_BYTES,
		.format = &slat_ept,
		.share_salt = 1,
		.promised_bytes = 90 * PAGE_BYTES};
	struct evict_batch batch;
	struct space *leaver;

	(void)state;
	rig_end(one);
	assert_int_equal(swap_file_create(rig.volume, config.name, 512, &config.swap), 0);
	assert_int_equal(space_create(&one, &config), 0);
	share_first(100);
	while (sweep(&batch, &leaver)) {
		evict_some(&batch, leaver, ~0ull);
		space_release(leaver);
	}
	assert_int_equal(space_pages_in_state(one, PAGE_WRITING), 10);
	rig_complete();
	assert_int_equal(space_pages_in_state(one, PAGE_SHARED), 90);
	verify_first(100);
}

/* All records are out: the sweep waits where it is, and nobody spins meanwhile. */
static void with_no_command_to_be_had_the_sweep_waits(void **state)
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
		CASE(a_page_that_is_shared_elsewhere_is_shared_instead),
		CASE(a_page_like_one_of_its_own_is_counted_so),
		CASE(a_hint_alone_is_not_enough),
		CASE(other_salts_and_spaces_that_do_not_share_are_left_out),
		CASE(bytes_decide),
		CASE(where_no_page_is_elsewhere_few_are_hashed),
		CASE(sharers_of_one_frame_leave_together),
		CASE(a_write_that_fails_keeps_its_sharers),
		CASE(a_page_may_be_under_way_in_two_commands),
		CASE(a_vm_that_ends_leaves_its_shared_frames_to_the_command),
		CASE(a_reservation_is_not_taken),
		CASE(with_no_command_to_be_had_the_sweep_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

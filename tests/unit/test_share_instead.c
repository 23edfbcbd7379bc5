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

/* @page gets what rig_fill() gives page @as. */
static void fill_as(struct space *space, u64 page, u64 as, enum rig_kind kind)
{
	u8 bytes[PAGE_BYTES];
	pfn_t pfn;

	rig_bytes(as, kind, bytes);
	assert_int_equal(space_pin(space, GFN(page), true, &pfn), 0);
	memcpy(platform_frame_va(pfn), bytes, PAGE_BYTES);
	space_unpin(space, pfn);
}

/* Two pages of @one with the same bytes, and so a shared frame. */
static void share(u64 page, enum rig_kind kind)
{
	fill_as(one, page, page, kind);
	fill_as(one, page + 512, page, kind);
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
		u64 hashed = space_counted(two, share_hashed);

		rig_evict(two, 7 + i);
		assert_int_equal(rig_state(two, 7 + i), PAGE_WRITING);
		assert_int_equal(space_counted(two, share_hashed), hashed + i);
		rig_complete();
	}
}

/* Equal hashes are not equal bytes: here only the first bit of a hash counts. */
static void bytes_decide(void **state)
{
	u64 refused = 0, page;

	(void)state;
	share_test_hooks(NULL, 1);
	share(7, RIG_RANDOM);
	for (page = 20; page < 40; page++) {
		rig_fill(two, page, RIG_RANDOM);
		rig_evict(two, page);
		assert_int_equal(rig_state(two, page), PAGE_WRITING);
		rig_complete();
		refused = space_counted(two, share_refused[SHARE_REFUSED_DIFFERS]);
	}
	assert_in_range(refused, 1, 20);
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
	assert_in_range(space_counted(two, share_hashed), 20, 60);
	/* When some are again it is soon noticed. */
	share(7, RIG_RANDOM);
	for (u64 page = 500; page < 600; page++) {
		fill_as(two, page, 7, RIG_RANDOM);
		rig_evict(two, page);
		rig_complete();
	}
	assert_in_range(space_counted(two, evicted_shared), 60, 100);
}

/* Where memory is scarce nothing is won before the last of a frame's sharers has left. */
static void sharers_of_one_frame_leave_by_one_command(void **state)
{
	struct evict_batch batch;
	struct space *leaver;
	u64 writes, free_frames;

	(void)state;
	share(7, RIG_RANDOM);
	for (u64 page = 100; page < 120; page++)
		fill_as(one, page, 7, RIG_RANDOM);
	scan(one, 3);
	assert_int_equal(space_pages_in_state(one, PAGE_SHARED), 22);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 1);
	free_frames = frame_free_count();
	writes = rig.disk.writes;
	while (reclaim_choose_shared(&batch, &leaver) != RECLAIM_SWEPT_SOME)
		;
	/* One region's, and then the other's, as far as a command holds them. */
	do {
		assert_true(leaver == one);
		assert_true(space_audit(one));
		evict_some(&batch, leaver, ~0ull);
		space_release(leaver);
		rig_complete();
	} while (space_pages_in_state(one, PAGE_SHARED) &&
		 reclaim_choose_shared(&batch, &leaver) == RECLAIM_SWEPT_SOME);
	assert_int_equal(space_pages_in_state(one, PAGE_SHARED), 0);
	assert_int_equal(rig.disk.writes, writes + 2);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 0);
	assert_int_equal(frame_free_count(), free_frames + 1);
	for (u64 page = 100; page < 120; page++) {
		u8 bytes[PAGE_BYTES];
		pfn_t pfn;

		rig_bytes(7, RIG_RANDOM, bytes);
		while (space_pin(one, GFN(page), false, &pfn) == E_WAIT)
			rig_complete();
		assert_memory_equal(platform_frame_va(pfn), bytes, PAGE_BYTES);
		space_unpin(one, pfn);
	}
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
		CASE(sharers_of_one_frame_leave_by_one_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

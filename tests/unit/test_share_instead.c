/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c tests/fake/fake_blk.c mm */
/* Pages that are shared instead of being evicted: which, what becomes of them, and what it costs.
 */
#include "tests/unit/share_reclaim_rig.h"

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

static void a_page_like_one_of_its_own_counts_as_merged_with_its_own(void **state)
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

static void a_page_whose_like_is_only_a_hint_is_written_out(void **state)
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

static void a_page_of_another_salt_or_of_a_vm_that_does_not_share_is_written_out(void **state)
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
static void a_page_with_an_equal_hash_but_other_bytes_is_written_out(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(a_page_that_is_shared_elsewhere_is_shared_instead),
		CASE(a_page_like_one_of_its_own_counts_as_merged_with_its_own),
		CASE(a_page_whose_like_is_only_a_hint_is_written_out),
		CASE(a_page_of_another_salt_or_of_a_vm_that_does_not_share_is_written_out),
		CASE(a_page_with_an_equal_hash_but_other_bytes_is_written_out),
		CASE(where_no_page_is_elsewhere_few_are_hashed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

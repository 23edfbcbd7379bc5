/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/*
 * The share index under pressure: when many more hashes go by than it has entries, or nearly all
 * memory is pages unlike each other, a VM's pages that nobody has written for long are still found
 * by those of another VM that come to be like them, and passing by the unchanged stays cheap.
 */
#include "mm/frame/frame.h"
#include "mm/share/share_index.h"
#include "tests/fake/fake_platform.h"
#include "tests/unit/share_rig.h"

#define FRAMES      4000u /* and as many entries, about */
#define LATE_PAGES  300u
#define FIRST_BYTES 1000u /* what the old VM's first page has */
#define OTHER_BYTES 1000000u

static struct space *old, *busy, *late;
static u64 next_bytes;

static void start(void)
{
	fake_start_plain(1, FRAMES);
	fake_guest_start();
	share_test_hooks(NULL, 0);
	next_bytes = OTHER_BYTES;
	old = make(1, MIB(8), false);
	busy = make(1, MIB(8), false);
	late = make(1, MIB(2), false);
}

static void stop(void)
{
	struct space *all[] = {old, busy, late};

	fake_guest_leave_all();
	for (u32 i = 0; i < 3; i++) {
		assert_true(space_audit(all[i]));
		space_destroy(all[i]);
	}
	assert_true(share_index_audit());
	assert_true(frame_audit());
	fake_stop();
}

/* Bytes that no page has or had. */
static void put_others(struct space *space, u64 pages)
{
	for (u64 page = 0; page < pages; page++)
		put(space, page, next_bytes++);
}

static void old_fill(u64 pages)
{
	for (u64 page = 0; page < pages; page++)
		put(old, page, FIRST_BYTES + page);
}

/* The same as some of the old VM's @pages, from its first to its last. */
static void late_fill(u64 pages)
{
	for (u64 page = 0; page < LATE_PAGES; page++)
		put(late, page, FIRST_BYTES + page * pages / LATE_PAGES);
}

static u64 late_found(void)
{
	return space_pages_in_state(late, PAGE_SHARED);
}

static void test_unchanged_pages_are_found_at_once_however_many_hashes_went_by(void **state)
{
	(void)state;
	start();
	old_fill(1500);
	pass(old);
	/* Seven times as many as the index has entries. */
	for (u32 i = 0; i < 20; i++) {
		put_others(busy, 1500);
		assert_int_equal(pass(busy).hashed, 1500);
		assert_int_equal(pass(old).hashed, 0);
	}
	late_fill(1500);
	pass(late);
	assert_in_range(late_found(), LATE_PAGES * 98 / 100, LATE_PAGES);
	stop();
}

/* Nearly all frames are of pages unlike each other, and stay so: some buckets are too small. */
static void test_every_page_is_found_in_the_end_though_the_index_is_full(void **state)
{
	u64 passes = 0;

	(void)state;
	start();
	old_fill(2048);
	put_others(busy, 1500);
	pass(old);
	pass(busy);
	late_fill(2048);
	pass(late);
	assert_in_range(late_found(), LATE_PAGES * 95 / 100, LATE_PAGES - 1);
	while (late_found() < LATE_PAGES && passes++ < 2 * SHARE_AGAIN_PASSES) {
		pass(old);
		pass(busy);
		pass(late);
	}
	assert_int_equal(late_found(), LATE_PAGES);
	stop();
}

static void test_an_unchanged_page_is_hashed_once_in_so_many_passes(void **state)
{
	u64 hashed = 0;

	(void)state;
	start();
	space_destroy(busy);
	busy = make(1, MIB(2), true);
	put_others(busy, REGION_PAGE_COUNT);
	assert_int_equal(space_counted(busy, large_leaves), 1);
	assert_int_equal(pass(busy).hashed, REGION_PAGE_COUNT);
	old_fill(1500);
	assert_int_equal(pass(old).hashed, 1500);
	for (u32 i = 0; i < SHARE_AGAIN_PASSES; i++) {
		u64 now = pass(old).hashed + pass(busy).hashed;

		/* Never all of a VM together, but a region of each at most. */
		assert_in_range(now, 0, 2 * REGION_PAGE_COUNT);
		hashed += now;
	}
	assert_int_equal(hashed, 1500 + REGION_PAGE_COUNT);
	assert_int_equal(space_counted(busy, splits), 0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_unchanged_pages_are_found_at_once_however_many_hashes_went_by),
		cmocka_unit_test(test_every_page_is_found_in_the_end_though_the_index_is_full),
		cmocka_unit_test(test_an_unchanged_page_is_hashed_once_in_so_many_passes),
	};

	return cmocka_run_group_tests_name("unit/share_pressure", tests, NULL, NULL);
}

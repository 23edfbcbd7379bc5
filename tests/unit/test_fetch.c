/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c tests/fake/fake_blk.c mm */
/* What is out comes back by order, as long as memory is plentiful, and with the right bytes. */
#include "tests/unit/reclaim_rig.h"
#include "mm/reclaim/fetch.h"
#include "mm/space/promise.h"

#define PAGES 1000u

static int setup(void **state)
{
	(void)state;
	rig_start(6000);
	return 0;
}

static enum rig_kind kind_of(u64 page)
{
	return page % 10 == 0 ? RIG_VALUE : page % 4 == 1 ? RIG_SMALL : RIG_RANDOM;
}

static struct space *evicted(void)
{
	struct space *space = rig_space("guest", PAGES, 100, PAGES);

	for (u64 page = 0; page < PAGES; page++)
		rig_fill(space, page, kind_of(page));
	for (u32 round = 0; round < 20; round++) {
		reclaim_everything(space);
		rig_complete();
	}
	assert_int_equal(space_consumed_pages(space), 0);
	return space;
}

/* Slices until nothing is left to do. Returns how many there were. */
static u32 fetch_all(struct space *space)
{
	u32 slices = 0;

	do {
		while (fetch_some(space, platform_now_ns() + 100000))
			assert_true(++slices < 100000);
		rig_complete();
	} while (space->orders.fetch_pages && ++slices < 100000);
	return slices;
}

static void all_that_is_ordered_comes_back(void **state)
{
	struct space *space = evicted();

	(void)state;
	fetch_order(space, PAGES);
	fetch_all(space);
	/* But for the one of zeros, which costs nothing where it is. */
	assert_int_equal(space_consumed_pages(space), PAGES - 1);
	for (u64 page = 0; page < PAGES; page++)
		rig_verify(space, page, kind_of(page));
	rig_end(space);
}

static void no_more_than_was_ordered_but_for_neighbours(void **state)
{
	struct space *space = evicted();

	(void)state;
	fetch_order(space, 100);
	fetch_all(space);
	assert_in_range(space_consumed_pages(space), 100, 100 + SWAP_CLUSTER_PAGES);
	rig_end(space);
}

/* Of a guest of whose pages those that come along are used by nobody: its faults read one alone. */
static void what_is_ordered_is_read_with_its_neighbours(void **state)
{
	struct space *space = rig_space("guest", PAGES, 0, PAGES);
	u64 reads;

	(void)state;
	for (u64 page = 0; page < PAGES; page++)
		rig_fill(space, page, RIG_RANDOM);
	for (u32 round = 0; round < 16; round++) {
		for (u32 i = 0; i < 20; i++)
			reclaim_everything(space), rig_complete();
		for (u64 page = 0; page < PAGES; page += 100)
			rig_read(space, page);
	}
	assert_true(space->ahead.narrowed > 0);
	for (u32 i = 0; i < 20; i++)
		reclaim_everything(space), rig_complete();
	u64 out = space_pages_in_state(space, PAGE_SWAPPED);

	reads = rig.disk.reads;
	fetch_order(space, PAGES);
	fetch_all(space);
	assert_int_equal(space_pages_in_state(space, PAGE_SWAPPED), 0);
	assert_true(rig.disk.reads - reads <= out / 4);
	/* It told nothing of what the guest will use. */
	assert_true(space->ahead.narrowed > 0);
	rig_end(space);
}

static void it_ends_where_reclaim_would_begin_to_want_them_back(void **state)
{
	struct space *space = evicted();
	static pfn_t hoard[6000];
	u32 hoarded = 0;

	(void)state;
	while (promise_spare_pages() > memsched_levels()->aim + 50)
		hoard[hoarded++] = frame_alloc(FRAME_HV);
	fetch_order(space, PAGES);
	fetch_all(space);
	assert_true(promise_spare_pages() + SWAP_CLUSTER_PAGES >= memsched_levels()->aim);
	assert_in_range(space_consumed_pages(space), 1, 50 + SWAP_CLUSTER_PAGES);
	assert_int_equal(space->orders.fetch_pages, 0);
	while (hoarded)
		frame_free(hoard[--hoarded]);
	rig_end(space);
}

static void it_ends_at_what_the_space_may_have(void **state)
{
	struct space *space = evicted();

	(void)state;
	reclaim_order(space, 200, 200, 200);
	fetch_order(space, PAGES);
	fetch_all(space);
	assert_in_range(space_held_pages(space), 190, 200);
	assert_int_equal(space->orders.fetch_pages, 0);
	rig_end(space);
}

static void a_page_that_is_lost_holds_nobody_up(void **state)
{
	struct space *space = evicted();
	u32 orders = 0;

	(void)state;
	fake_log_quiet(true);
	fake_blk_kill(&rig.disk);
	while (space_pages_in_state(space, PAGE_ZIPPED) && ++orders < 5000) {
		fetch_order(space, PAGES);
		fetch_all(space);
	}
	assert_int_equal(space_pages_in_state(space, PAGE_ZIPPED), 0);
	rig_end(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		CASE(all_that_is_ordered_comes_back),
		CASE(no_more_than_was_ordered_but_for_neighbours),
		CASE(what_is_ordered_is_read_with_its_neighbours),
		CASE(it_ends_where_reclaim_would_begin_to_want_them_back),
		CASE(it_ends_at_what_the_space_may_have),
		CASE(a_page_that_is_lost_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

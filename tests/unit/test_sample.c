/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c tests/fake/fake_blk.c mm */
/* How much is in use, as a sample tells it. */
#include "tests/unit/reclaim_rig.h"
#include "mm/balloon/balloon.h"
#include "mm/reclaim/reclaim_age.h"
#include "mm/memsched/sample.h"

#define PAGES 2048u

static u32 sampled, accessed;

static int setup(void **state)
{
	(void)state;
	rig_start(6000);
	return 0;
}

static struct space *filled(void)
{
	struct space *space = rig_space("guest", PAGES, 100, PAGES);

	for (u64 page = 0; page < PAGES; page++)
		rig_fill(space, page, RIG_SMALL);
	return space;
}

static void touch(struct space *space, u64 from, u64 to)
{
	for (u64 page = from; page < to; page++)
		rig_read(space, page);
}

static void what_was_touched_before_a_sample_counts_for_nothing(void **state)
{
	struct space *space = filled();

	(void)state;
	touch(space, 0, PAGES);
	sample_begin(space);
	sample_look(space, &sampled, &accessed);
	assert_int_equal(sampled, SPACE_SAMPLE_PAGES);
	assert_int_equal(accessed, 0);
	rig_end(space);
}

static void a_half_that_is_touched_is_about_half_of_the_sample(void **state)
{
	struct space *space = filled();

	(void)state;
	touch(space, 0, PAGES);
	sample_begin(space);
	touch(space, 0, PAGES / 2);
	sample_look(space, &sampled, &accessed);
	/* Five times the deviation of so many draws. */
	assert_in_range(accessed, sampled / 2 - 29, sampled / 2 + 29);
	u32 half = accessed;

	/* What was seen stays seen, and more is seen at once. */
	sample_look(space, &sampled, &accessed);
	assert_int_equal(accessed, half);
	touch(space, PAGES / 2, PAGES);
	sample_look(space, &sampled, &accessed);
	assert_int_equal(accessed, sampled);
	rig_end(space);
}

static void a_sweep_does_not_hide_what_was_touched(void **state)
{
	struct space *space = filled();

	(void)state;
	touch(space, 0, PAGES);
	sample_begin(space);
	touch(space, 0, PAGES / 2);
	while (!reclaim_sweep(space, 0))
		;
	sample_look(space, &sampled, &accessed);
	assert_in_range(accessed, sampled / 2 - 29, sampled / 2 + 29);
	rig_end(space);
}

static void who_is_out_is_not_in_use_until_it_is_touched(void **state)
{
	struct space *space = filled();

	(void)state;
	reclaim_everything(space);
	rig_complete();
	sample_begin(space);
	sample_look(space, &sampled, &accessed);
	assert_int_equal(accessed, 0);
	touch(space, 0, PAGES);
	sample_look(space, &sampled, &accessed);
	assert_int_equal(accessed, sampled);
	rig_end(space);
}

static void what_is_in_the_balloon_is_not_sampled(void **state)
{
	struct space *space = rig_space("guest", PAGES, 100, PAGES);
	u64 regions[] = {0, 512, 1024};
	err_t why;

	(void)state;
	assert_int_equal(balloon_inflate(space, regions, 3, BALLOON_ORDER_2M, &why), 3);
	sample_begin(space);
	for (u32 i = 0; i < space->sample.count; i++)
		assert_true(space->sample.pages[i] >= 1536);
	touch(space, 1536, PAGES);
	sample_look(space, &sampled, &accessed);
	assert_true(sampled > 0);
	assert_int_equal(accessed, sampled);
	rig_end(space);
}

static void without_accessed_bits_nothing_is_sampled(void **state)
{
	struct space_config config = {.name = "old",
		.memory_bytes = PAGES * PAGE_BYTES,
		.format = &slat_ept,
		.no_dirty_bits = true};
	struct space *space;

	(void)state;
	assert_int_equal(space_create(&space, &config), 0);
	sample_begin(space);
	sample_look(space, &sampled, &accessed);
	assert_int_equal(sampled, 0);
	rig_end(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		CASE(what_was_touched_before_a_sample_counts_for_nothing),
		CASE(a_half_that_is_touched_is_about_half_of_the_sample),
		CASE(a_sweep_does_not_hide_what_was_touched),
		CASE(who_is_out_is_not_in_use_until_it_is_touched),
		CASE(what_is_in_the_balloon_is_not_sampled),
		CASE(without_accessed_bits_nothing_is_sampled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

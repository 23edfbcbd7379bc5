/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/*
 * What is not merged, and why: bytes that differ under the same hash, a hint that is not true any
 * more, a frame that has all the references it may have, and what comes between in the middle of a
 * merge.
 */
#include "mm/space/space_entry.h"
#include "tests/unit/share_vms_rig.h"

static void test_false_matches_are_refused(void **state)
{
	(void)state;
	start(1, 1);
	share_test_hooks(NULL, 1);
	for (u64 page = 0; page < 50; page++) {
		put(vms[0], page, 1000 + page);
		put(vms[1], page, 2000 + page);
	}
	pass_all(3);
	assert_true(space_counted(vms[0], share_refused[SHARE_REFUSED_DIFFERS]) > 0);
	assert_int_equal(
		space_counted(vms[0], share_merged_own) + space_counted(vms[0], share_merged_other),
		0);
	/* And once is enough, as long as nothing is written. */
	assert_int_equal(pass(vms[0]).hashed, 0);
	for (u64 page = 0; page < 50; page++) {
		assert_int_equal(get(vms[0], page), 1000 + page);
		assert_int_equal(get(vms[1], page), 2000 + page);
	}
	stop();
}

static void test_a_hint_that_is_not_true_any_more_gives_way(void **state)
{
	(void)state;
	start(1, 1);
	vms[2] = make(1, MIB(4), false);
	put(vms[0], 1, 42);
	pass(vms[0]);
	put(vms[0], 1, 43);
	put(vms[1], 1, 42);
	put(vms[2], 1, 42);
	pass(vms[1]);
	assert_int_equal(space_counted(vms[1], share_refused[SHARE_REFUSED_STALE]), 1);
	pass(vms[2]);
	assert_int_equal(state_of(vms[1], 1), PAGE_SHARED);
	assert_int_equal(state_of(vms[2], 1), PAGE_SHARED);
	stop();
}

/* On CPU 1, which still runs the VM whose page a hint named: can it write there? */
static u32 late_writes;

static void write_through_the_cache(enum share_step at)
{
	u64 value = 99;

	if (at != SHARE_STEP_FLUSHED)
		return;
	fake_cpu_set(1);
	late_writes +=
		fake_guest_access_cached(vms[0], GPA(PAGE_BYTES + 64), SLAT_WRITE, &value, 8);
	fake_cpu_set(0);
}

static void test_a_hinted_pages_vm_is_flushed_before_bytes_are_compared(void **state)
{
	(void)state;
	start(1, 1);
	put(vms[0], 1, 42);
	put(vms[1], 1, 42);
	pass(vms[0]);
	fake_cpu_set(1);
	put(vms[0], 1, 42); /* its translation is cached there from now on */
	fake_cpu_set(0);
	late_writes = 0;
	share_test_hooks(write_through_the_cache, 0);
	/* Not pass(): CPU 1 stays in its guest. */
	while (!share_scan(vms[1], ALL, ALL).pass_ended)
		;
	share_test_hooks(NULL, 0);
	assert_int_equal(late_writes, 0);
	assert_int_equal(state_of(vms[0], 1), PAGE_SHARED);
	assert_int_equal(state_of(vms[1], 1), PAGE_SHARED);
	assert_int_equal(get(vms[1], 1), 42);
	stop();
}

static void test_a_frame_with_all_references_is_not_shared_further(void **state)
{
	struct share_figures figures;

	(void)state;
	start(1, 1);
	share_index_test_count_max(3);
	for (u64 page = 0; page < 8; page++)
		put(vms[0], page, 42);
	pass_all(4);
	assert_int_equal(space_pages_in_state(vms[0], PAGE_SHARED), 8);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 3);
	share_figures_get(vms[0], &figures);
	assert_in_range(figures.saved_millipages, 4990, 5010);
	for (u64 page = 0; page < 8; page++)
		put(vms[0], page, 100 + page);
	for (u64 page = 0; page < 8; page++)
		assert_int_equal(get(vms[0], page), 100 + page);
	share_index_test_count_max(0);
	stop();
}

static void write_to_the_scanned_page(enum share_step at)
{
	if (at == SHARE_STEP_FLUSHED)
		put(vms[1], 1, 42);
	fake_guest_leave();
}

static pfn_t fillers[8];

/* The bucket of the page's hash, with nothing but shared frames of somebody else. */
static void fill_the_bucket(enum share_step at)
{
	bool zero;
	pfn_t frame;

	if (at != SHARE_STEP_FLUSHED)
		return;
	space_leaf(vms[1], GFN(1), &frame);
	struct share_id id = share_identify(vms[1], frame, &zero);

	for (u32 i = 0; i < 8; i++) {
		id.salt = 50 + i;
		fillers[i] = frame_alloc(FRAME_SHARED);
		assert_int_equal(share_index_enter(id, fillers[i], 1), E_OK);
	}
}

static void merge_one_page(void (*act)(enum share_step at), enum share_refusal expected)
{
	start(1, 1);
	put(vms[0], 1, 42);
	put(vms[1], 1, 42);
	pass(vms[0]);
	share_test_hooks(act, 0);
	pass(vms[1]);
	share_test_hooks(NULL, 0);
	for (u32 why = 0; why < SHARE_REFUSED_COUNT; why++)
		assert_int_equal(refused(1, why), why == expected);
	assert_int_equal(state_of(vms[1], 1), PAGE_PRIVATE);
	assert_int_equal(get(vms[1], 1), 42);
}

static void test_what_comes_between_is_counted_by_its_reason(void **state)
{
	(void)state;
	merge_one_page(write_to_the_scanned_page, SHARE_REFUSED_RACED);
	stop();
	merge_one_page(fill_the_bucket, SHARE_REFUSED_FULL);
	for (u32 i = 0; i < 8; i++)
		share_index_put(fillers[i]);
	stop();
	start_leaf_beside_small_pages(1);
	pass(vms[0]);
	pass(vms[1]);
	assert_int_equal(refused(1, SHARE_REFUSED_LARGE), 1);
	stop();
}

static void test_every_refusal_has_a_name(void **state)
{
	(void)state;
	for (u32 why = 0; why < SHARE_REFUSED_COUNT; why++)
		assert_string_not_equal(share_refusal_name((enum share_refusal)why), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_false_matches_are_refused),
		cmocka_unit_test(test_a_hint_that_is_not_true_any_more_gives_way),
		cmocka_unit_test(test_a_hinted_pages_vm_is_flushed_before_bytes_are_compared),
		cmocka_unit_test(test_a_frame_with_all_references_is_not_shared_further),
		cmocka_unit_test(test_what_comes_between_is_counted_by_its_reason),
		cmocka_unit_test(test_every_refusal_has_a_name),
	};

	return cmocka_run_group_tests_name("unit/share_refused", tests, NULL, NULL);
}

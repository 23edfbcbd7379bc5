/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/*
 * A VM whose salt changes gets copies of what it shared, as frames come; whatever fails, and
 * whoever writes meanwhile.
 */
#include "tests/unit/share_vms_rig.h"

static void test_a_change_of_salt_unshares_as_frames_come(void **state)
{
	pfn_t hoard[4096];
	u64 count = 0;

	(void)state;
	start(1, 1);
	for (u64 page = 0; page < 6; page++) {
		put(vms[0], page, 1000 + page);
		put(vms[1], page, 1000 + page);
	}
	pass_all(2);
	assert_int_equal(frame_kind_count(FRAME_SHARED), 6);
	while (count < 4096 && frame_free_count() > 2)
		hoard[count++] = frame_alloc(FRAME_HV);
	share_set_salt(vms[1], 2);
	assert_true(share_scan(vms[1], ALL, ALL).no_memory);
	assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), 4);
	while (count)
		frame_free(hoard[--count]);
	pass_all(2);
	assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), 0);
	for (u64 page = 0; page < 6; page++)
		assert_int_equal(get(vms[1], page), 1000 + page);
	share_set_salt(vms[1], 1);
	pass_all(2);
	assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), 6);
	stop();
}

#define ALIKE 6u

/* Two VMs that share ALIKE pages, and have some of their own. */
static void start_shared(void)
{
	start(1, 1);
	for (u64 page = 0; page < ALIKE; page++) {
		put(vms[0], page, 1000 + page);
		put(vms[1], page, 1000 + page);
		put(vms[1], 100 + page, 5000 + page);
	}
	pass_all(2);
	assert_int_equal(frame_kind_count(FRAME_SHARED), ALIKE);
}

/* As often as it takes, a step each; how often there was no memory. */
static u32 unshare(struct space *space)
{
	u32 stuck = 0, slices = 0;

	while (share_is_unsharing(space)) {
		stuck += share_scan(space, ALL, 0).no_memory;
		assert_true(slices++ < 2000);
	}
	return stuck;
}

static void assert_apart(void)
{
	struct share_figures figures;
	struct share_audit audit;

	share_figures_get(vms[0], &figures);
	assert_int_equal(figures.other_pages, 0);
	assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), 0);
	assert_int_equal(share_audit(&audit), E_OK);
	assert_int_equal(audit.stray_pages, 0);
	for (u64 page = 0; page < ALIKE; page++) {
		assert_int_equal(get(vms[0], page), 1000 + page);
		assert_int_equal(get(vms[1], page), 1000 + page);
		assert_int_equal(get(vms[1], 100 + page), 5000 + page);
	}
	fake_guest_leave();
}

static void test_unsharing_goes_on_whichever_allocation_fails(void **state)
{
	(void)state;
	for (u64 nth = 1; nth <= ALIKE + 1; nth++) {
		for (u32 salt = 0; salt <= 2; salt += 2) {
			struct share_audit audit;

			start_shared();
			share_set_salt(vms[1], salt);
			assert_true(share_is_unsharing(vms[1]));
			assert_int_equal(share_audit(&audit), E_OK);
			assert_int_equal(audit.stray_pages, ALIKE);
			fake_fail_alloc(nth, false);
			assert_int_equal(unshare(vms[1]), nth <= ALIKE);
			fake_fail_alloc(0, false);
			assert_apart();
			share_set_salt(vms[1], 1);
			pass_all(3);
			assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), ALIKE);
			stop();
		}
	}
}

static void test_unsharing_that_is_overtaken_by_another_change_ends_apart_as_well(void **state)
{
	(void)state;
	start_shared();
	share_set_salt(vms[1], 2);
	share_scan(vms[1], ALL, 0);
	share_scan(vms[1], ALL, 0);
	share_set_salt(vms[1], 3);
	unshare(vms[1]);
	assert_apart();
	/* Whoever comes back meanwhile keeps what it has not lost yet. */
	share_set_salt(vms[1], 1);
	pass_all(3);
	share_set_salt(vms[1], 2);
	share_scan(vms[1], ALL, 0);
	share_set_salt(vms[1], 1);
	u64 copied = space_counted(vms[1], share_copied);

	unshare(vms[1]);
	assert_int_equal(space_counted(vms[1], share_copied), copied);
	assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), ALIKE - 1);
	stop();
}

static void test_guests_that_write_while_they_are_unshared_lose_nothing(void **state)
{
	(void)state;
	start_shared();
	share_set_salt(vms[1], 0);
	for (u64 page = 0; page < ALIKE; page++) {
		share_scan(vms[1], ALL, 0);
		put(vms[1], ALIKE - 1 - page, 7000 + page);
		put(vms[0], page, 8000 + page);
		fake_guest_leave();
	}
	unshare(vms[1]);
	assert_int_equal(space_pages_in_state(vms[1], PAGE_SHARED), 0);
	for (u64 page = 0; page < ALIKE; page++) {
		assert_int_equal(get(vms[0], page), 8000 + page);
		assert_int_equal(get(vms[1], ALIKE - 1 - page), 7000 + page);
	}
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_change_of_salt_unshares_as_frames_come),
		cmocka_unit_test(test_unsharing_goes_on_whichever_allocation_fails),
		cmocka_unit_test(
			test_unsharing_that_is_overtaken_by_another_change_ends_apart_as_well),
		cmocka_unit_test(test_guests_that_write_while_they_are_unshared_lose_nothing),
	};

	return cmocka_run_group_tests_name("unit/share_unshare", tests, NULL, NULL);
}

/* SRCS: tests/fake/fake_platform.c mm */
/*
 * Admission by sum with its sentence; the record of sums; the state that follows free memory.
 */
#include "mm/memsched/memsched.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_platform.h"
#include <string.h>

#define FRAMES_MIB(n) (MIB(n) >> PAGE_SHIFT)

static const struct memsched_snapshot host = {.total_frames = FRAMES_MIB(768),
	.fixed_frames = FRAMES_MIB(68),
	.promised_frames = FRAMES_MIB(500),
	.overhead_frames = FRAMES_MIB(20)};

static void test_what_fits_is_admitted(void **state)
{
	struct memsched_request vm = {FRAMES_MIB(256), FRAMES_MIB(170), FRAMES_MIB(10), 0};
	char why[200] = "";

	(void)state;
	assert_int_equal(memsched_admit(&host, &vm, why, sizeof(why)), E_OK);
	assert_string_equal(why, "");
}

static void test_what_does_not_fit_is_told_in_numbers(void **state)
{
	struct memsched_request vm = {FRAMES_MIB(256), FRAMES_MIB(171), FRAMES_MIB(10), 0};
	char why[200] = "", small[20];

	(void)state;
	assert_int_equal(memsched_admit(&host, &vm, why, sizeof(why)), E_LIMIT);
	assert_string_equal(why,
		"it needs 181 MiB (171 promised of its 256, 10 overhead), and 180 MiB of the "
		"host's 768 are unpromised");
	assert_int_equal(memsched_admit(&host, &vm, small, sizeof(small)), E_LIMIT);
	assert_int_equal(strlen(small), sizeof(small) - 1);
}

static void test_absurd_sizes_do_not_wrap(void **state)
{
	struct memsched_request vm = {~0ull, ~0ull, FRAMES_MIB(10), 0};
	struct memsched_snapshot full = host;
	char why[200];

	(void)state;
	assert_int_equal(memsched_admit(&host, &vm, why, sizeof(why)), E_LIMIT);
	vm = (struct memsched_request){1, 1, ~0ull, 0};
	assert_int_equal(memsched_admit(&host, &vm, why, sizeof(why)), E_LIMIT);
	full.promised_frames = FRAMES_MIB(5000);
	vm = (struct memsched_request){1, 1, 0, 0};
	assert_int_equal(memsched_admit(&full, &vm, why, sizeof(why)), E_LIMIT);
}

static void test_what_reclaim_needs_is_promised_to_nobody(void **state)
{
	struct memsched_request vm = {FRAMES_MIB(256), FRAMES_MIB(170), FRAMES_MIB(10), 0};
	struct memsched_snapshot kept = host;
	char why[200];

	(void)state;
	kept.kept_frames = 1;
	assert_int_equal(memsched_admit(&kept, &vm, why, sizeof(why)), E_LIMIT);
}

static void test_power_on_and_off_keep_the_sums(void **state)
{
	struct memsched_request vm = {FRAMES_MIB(4), FRAMES_MIB(4), FRAMES_MIB(1), 0};
	struct memsched_snapshot before, now;
	char why[200];
	u32 count = 0;

	(void)state;
	fake_start_plain(2, FRAMES_MIB(32));
	memsched_snapshot_get(&before);
	assert_int_equal(before.promised_frames, 0);
	assert_int_equal(before.state, MEM_HIGH);
	while (memsched_power_on(&vm, why, sizeof(why)) == E_OK)
		count++;
	assert_int_equal(count, 6); /* of 5 MiB each, in 32 less the hypervisor's */
	assert_int_equal(memsched_power_on(&vm, why, sizeof(why)), E_LIMIT);
	memsched_snapshot_get(&now);
	assert_int_equal(now.promised_frames, 6 * FRAMES_MIB(4));
	assert_int_equal(now.overhead_frames, 6 * FRAMES_MIB(1));
	memsched_power_off(&vm);
	assert_int_equal(memsched_power_on(&vm, why, sizeof(why)), E_OK);
	for (; count; count--)
		memsched_power_off(&vm);
	memsched_snapshot_get(&now);
	assert_memory_equal(&now, &before, sizeof(now));
	fake_stop();
}

static void test_what_the_hypervisor_takes_later_counts(void **state)
{
	struct memsched_request vm = {FRAMES_MIB(4), FRAMES_MIB(4), FRAMES_MIB(1), 0};
	struct memsched_snapshot before, now;
	char why[200];

	(void)state;
	fake_start_plain(2, FRAMES_MIB(32));
	memsched_snapshot_get(&before);
	assert_false(pfn_is_none(frame_alloc_run(FRAME_HV, 1000)));
	memsched_snapshot_get(&now);
	assert_int_equal(now.fixed_frames, before.fixed_frames + 1000);
	/* But not what belongs to VMs. */
	assert_int_equal(memsched_power_on(&vm, why, sizeof(why)), E_OK);
	assert_false(pfn_is_none(frame_alloc_run(FRAME_HV, 100)));
	memsched_snapshot_get(&now);
	assert_int_equal(now.fixed_frames, before.fixed_frames + 1000);
	fake_stop();
}

/* What a VM has already is its overhead's, not the hypervisor's as well. */
static void test_what_a_vm_has_before_it_is_on_counts_once(void **state)
{
	struct memsched_request first = {.overhead_frames = 500, .held_frames = 400};
	struct memsched_request second = {.overhead_frames = 0};
	struct memsched_snapshot before, now;
	char why[200];

	(void)state;
	fake_start_plain(2, FRAMES_MIB(32));
	memsched_snapshot_get(&before);
	assert_false(pfn_is_none(frame_alloc_run(FRAME_HV, 400)));
	/* It fits if, and only if, those 400 count once. */
	first.promised_frames = second.promised_frames = memsched_unpromised_frames() + 400 - 500;
	assert_int_equal(memsched_power_on(&first, why, sizeof(why)), E_OK);
	memsched_snapshot_get(&now);
	assert_int_equal(now.fixed_frames, before.fixed_frames);
	assert_int_equal(memsched_unpromised_frames(), 0);
	/* The next one's were taken while the sum stood. */
	assert_int_equal(memsched_power_on(&second, why, sizeof(why)), E_LIMIT);
	fake_stop();
}

/* Some of what the hypervisor holds may come back; what others are promised does not. */
static void test_a_refusal_by_a_host_without_vms_is_for_want_of_memory(void **state)
{
	struct memsched_request small = {1, 1, 1, 0},
				large = {FRAMES_MIB(40), FRAMES_MIB(40), 1, 0};
	char why[200];

	(void)state;
	fake_start_plain(2, FRAMES_MIB(32));
	assert_int_equal(memsched_power_on(&large, why, sizeof(why)), E_NOMEM);
	assert_non_null(strstr(why, "are unpromised"));
	assert_int_equal(memsched_power_on(&small, why, sizeof(why)), E_OK);
	assert_int_equal(memsched_power_on(&large, why, sizeof(why)), E_LIMIT);
	memsched_power_off(&small);
	fake_stop();
}

static void test_levels_can_be_set_while_it_runs(void **state)
{
	struct memsched_snapshot now;

	(void)state;
	fake_start_plain(2, FRAMES_MIB(32));
	memsched_set_levels(20, false);
	memsched_snapshot_get(&now);
	assert_int_equal(now.min_free_frames, frame_total_count() * 20 / 100);
	memsched_set_levels(0, true);
	memsched_snapshot_get(&now);
	assert_int_equal(now.min_free_frames, frame_total_count() * 6 / 100);
	assert_int_equal(now.kept_frames, frame_total_count() / 100);
	fake_stop();
}

static void test_state_follows_free_memory(void **state)
{
	struct memsched_snapshot now;
	enum mem_state worst = MEM_HIGH, next;

	(void)state;
	fake_start_plain(2, FRAMES_MIB(32));
	for (;;) {
		next = memsched_state_move(frame_free_count());
		memsched_snapshot_get(&now);
		assert_int_equal(now.state, next);
		assert_true(next == worst || next == worst + 1);
		worst = next;
		if (pfn_is_none(frame_alloc(FRAME_HV)))
			break;
	}
	assert_int_equal(worst, MEM_LOW);
	assert_string_equal(mem_state_name(worst), "low");
	fake_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_fits_is_admitted),
		cmocka_unit_test(test_what_does_not_fit_is_told_in_numbers),
		cmocka_unit_test(test_absurd_sizes_do_not_wrap),
		cmocka_unit_test(test_what_reclaim_needs_is_promised_to_nobody),
		cmocka_unit_test(test_power_on_and_off_keep_the_sums),
		cmocka_unit_test(test_what_the_hypervisor_takes_later_counts),
		cmocka_unit_test(test_what_a_vm_has_before_it_is_on_counts_once),
		cmocka_unit_test(test_a_refusal_by_a_host_without_vms_is_for_want_of_memory),
		cmocka_unit_test(test_levels_can_be_set_while_it_runs),
		cmocka_unit_test(test_state_follows_free_memory),
	};

	return cmocka_run_group_tests_name("unit/memsched", tests, NULL, NULL);
}

/* SRCS: tests/fake/fake_platform.c mm/[a-z]*.c
   mm/base/lock.c mm/base/check.c mm/base/log.c mm/base/fmt.c */
/*
 * Admission by sum with its sentence; minFree's sliding scale; the states of free memory and their
 * hysteresis.
 */
#include "mm/memsched.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_platform.h"
#include <string.h>

#define FRAMES_MIB(n) (MIB(n) >> PAGE_SHIFT)

static void test_sliding_scale(void **state)
{
	static const struct {
		u64 host_mib, min_free_mib;
	} cases[] = {
		{0, 0}, {1000, 60}, {4096, 245}, /* 6% of 4 GiB */
		{12288, 573},                    /* + 4% of 8 GiB */
		{28672, 901},                    /* + 2% of 16 GiB */
		{102400, 901 + 737},             /* + 1% of the rest */
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(cases); i++)
		assert_int_equal(
			memsched_min_free_frames(FRAMES_MIB(cases[i].host_mib)) / FRAMES_MIB(1),
			cases[i].min_free_mib);
}

static void test_states_going_down(void **state)
{
	static const struct {
		u64 free_frames;
		enum mem_state expected;
	} cases[] = {{5000, MEM_HIGH}, {1000, MEM_HIGH}, {999, MEM_CLEAR}, {640, MEM_CLEAR},
		{639, MEM_SOFT}, {320, MEM_SOFT}, {319, MEM_HARD}, {160, MEM_HARD}, {159, MEM_LOW},
		{0, MEM_LOW}};
	enum mem_state now = MEM_HIGH;

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(cases); i++) {
		now = memsched_state(cases[i].free_frames, 1000, now);
		assert_int_equal(now, cases[i].expected);
	}
}

static void test_states_going_up_want_a_margin(void **state)
{
	static const struct {
		u64 free_frames;
		enum mem_state expected;
	} cases[] = {{0, MEM_LOW}, {160, MEM_LOW}, {199, MEM_LOW}, {200, MEM_HARD}, {359, MEM_HARD},
		{360, MEM_SOFT}, {679, MEM_SOFT}, {680, MEM_CLEAR}, {1039, MEM_CLEAR},
		{1040, MEM_HIGH}, {1000, MEM_HIGH}, {999, MEM_CLEAR}, {1020, MEM_CLEAR}};
	enum mem_state now = MEM_LOW;

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(cases); i++) {
		now = memsched_state(cases[i].free_frames, 1000, now);
		assert_int_equal(now, cases[i].expected);
	}
	/* From the worst to the best in one step. */
	assert_int_equal(memsched_state(10000, 1000, MEM_LOW), MEM_HIGH);
	assert_int_equal(memsched_state(0, 1000, MEM_HIGH), MEM_LOW);
}

static const struct memsched_snapshot host = {.total_frames = FRAMES_MIB(768),
	.fixed_frames = FRAMES_MIB(68),
	.promised_frames = FRAMES_MIB(500),
	.overhead_frames = FRAMES_MIB(20)};

static void test_what_fits_is_admitted(void **state)
{
	struct memsched_request vm = {FRAMES_MIB(256), FRAMES_MIB(170), FRAMES_MIB(10)};
	char why[200] = "";

	(void)state;
	assert_int_equal(memsched_admit(&host, &vm, why, sizeof(why)), E_OK);
	assert_string_equal(why, "");
}

static void test_what_does_not_fit_is_told_in_numbers(void **state)
{
	struct memsched_request vm = {FRAMES_MIB(256), FRAMES_MIB(171), FRAMES_MIB(10)};
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
	struct memsched_request vm = {~0ull, ~0ull, FRAMES_MIB(10)};
	struct memsched_snapshot full = host;
	char why[200];

	(void)state;
	assert_int_equal(memsched_admit(&host, &vm, why, sizeof(why)), E_LIMIT);
	vm = (struct memsched_request){1, 1, ~0ull};
	assert_int_equal(memsched_admit(&host, &vm, why, sizeof(why)), E_LIMIT);
	full.promised_frames = FRAMES_MIB(5000);
	vm = (struct memsched_request){1, 1, 0};
	assert_int_equal(memsched_admit(&full, &vm, why, sizeof(why)), E_LIMIT);
}

static void test_power_on_and_off_keep_the_sums(void **state)
{
	struct memsched_request vm = {FRAMES_MIB(4), FRAMES_MIB(4), FRAMES_MIB(1)};
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
	struct memsched_request vm = {FRAMES_MIB(4), FRAMES_MIB(4), FRAMES_MIB(1)};
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

static void test_state_follows_free_memory(void **state)
{
	struct memsched_snapshot now;
	enum mem_state worst = MEM_HIGH;

	(void)state;
	fake_start_plain(2, FRAMES_MIB(32));
	for (;;) {
		memsched_snapshot_get(&now);
		assert_true(now.state == worst || now.state == worst + 1);
		worst = now.state;
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
		cmocka_unit_test(test_sliding_scale),
		cmocka_unit_test(test_states_going_down),
		cmocka_unit_test(test_states_going_up_want_a_margin),
		cmocka_unit_test(test_what_fits_is_admitted),
		cmocka_unit_test(test_what_does_not_fit_is_told_in_numbers),
		cmocka_unit_test(test_absurd_sizes_do_not_wrap),
		cmocka_unit_test(test_power_on_and_off_keep_the_sums),
		cmocka_unit_test(test_what_the_hypervisor_takes_later_counts),
		cmocka_unit_test(test_state_follows_free_memory),
	};

	return cmocka_run_group_tests_name("unit/memsched", tests, NULL, NULL);
}

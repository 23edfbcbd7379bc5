/* SRCS: hv/console/health.c */
/* Nothing taken is awesome; ballooning is good until it lasts; swapping is hmm, and oops when it
 * lasts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/console/health.h"

#define SECOND 1000000000ull

static struct health health;
static u64 now;

static int setup(void **state)
{
	(void)state;
	memset(&health, 0, sizeof(health));
	now = 100 * SECOND;
	return 0;
}

static void look_for(u64 seconds, struct health_sight sight)
{
	for (u64 i = 0; i < seconds; i += 2) {
		health_note(&health, now, &sight);
		now += 2 * SECOND;
	}
}

static void finds(enum health_finding wanted, u64 since)
{
	u64 found_since;

	assert_int_equal(health_find(&health, now, &found_since), wanted);
	if (wanted != HEALTH_NOTHING)
		assert_int_equal(found_since / SECOND, since);
}

static void nothing_taken_is_awesome(void **state)
{
	(void)state;
	finds(HEALTH_NOTHING, 0);
	look_for(200, (struct health_sight){.guest_paging_rate = 50});
	finds(HEALTH_NOTHING, 0);
	assert_int_equal(health_grade_of(HEALTH_NOTHING), HEALTH_AWESOME);
}

static void ballooning_is_good_until_it_lasts(void **state)
{
	(void)state;
	look_for(58, (struct health_sight){.balloon_pages = 10});
	finds(HEALTH_BALLOONED, 100);
	assert_int_equal(health_grade_of(HEALTH_BALLOONED), HEALTH_GOOD);
	look_for(4, (struct health_sight){.balloon_pages = 10});
	finds(HEALTH_BALLOONED_LONG, 100);
	assert_int_equal(health_grade_of(HEALTH_BALLOONED_LONG), HEALTH_HMM);
	look_for(14, (struct health_sight){0});
	finds(HEALTH_NOTHING, 0);
}

static void swapping_is_hmm_and_oops_when_it_lasts(void **state)
{
	(void)state;
	look_for(2, (struct health_sight){.swap_rate = 1, .balloon_pages = 5, .zip_rate = 9});
	finds(HEALTH_SWAPS, 100);
	assert_int_equal(health_grade_of(HEALTH_SWAPS), HEALTH_HMM);
	/* A pause of some seconds is not the end. */
	look_for(6, (struct health_sight){0});
	look_for(60, (struct health_sight){.swap_rate = 1});
	finds(HEALTH_SWAPS_LONG, 100);
	assert_int_equal(health_grade_of(HEALTH_SWAPS_LONG), HEALTH_OOPS);
	look_for(14, (struct health_sight){0});
	finds(HEALTH_NOTHING, 0);
	/* And the next time begins anew. */
	look_for(2, (struct health_sight){.swap_rate = 1});
	finds(HEALTH_SWAPS, (now - 2 * SECOND) / SECOND);
}

static void compression_is_seen(void **state)
{
	(void)state;
	look_for(2, (struct health_sight){.zip_rate = 1});
	finds(HEALTH_ZIPS, 100);
	look_for(60, (struct health_sight){.zip_rate = 1});
	finds(HEALTH_ZIPS_LONG, 100);
}

static void balloon_and_guest_paging_that_rise_together_are_oops(void **state)
{
	(void)state;
	look_for(2, (struct health_sight){.balloon_pages = 10, .guest_paging_rate = 1});
	finds(HEALTH_BALLOONED, 100);
	look_for(2, (struct health_sight){.balloon_pages = 20, .guest_paging_rate = 2});
	finds(HEALTH_BOTH_RISE, 100);
	assert_int_equal(health_grade_of(HEALTH_BOTH_RISE), HEALTH_OOPS);
	/* The balloon stays, the paging stays: not rising. */
	look_for(20, (struct health_sight){.balloon_pages = 20, .guest_paging_rate = 2});
	finds(HEALTH_BALLOONED, 100);
}

static void every_finding_says_what_and_what_to_do(void **state)
{
	(void)state;
	for (u32 i = 0; i < HEALTH_FINDING_COUNT; i++) {
		assert_true(strlen(health_what(i)) > 0);
		if (health_grade_of(i) > HEALTH_GOOD)
			assert_true(strlen(health_advice(i)) > 20);
	}
	assert_string_equal(health_grade_name(HEALTH_OOPS), "oops");
}

static void the_hosts_state_is_graded_too(void **state)
{
	(void)state;
	assert_int_equal(health_grade_of_state(MEM_HIGH), HEALTH_AWESOME);
	assert_int_equal(health_grade_of_state(MEM_CLEAR), HEALTH_GOOD);
	assert_int_equal(health_grade_of_state(MEM_SOFT), HEALTH_GOOD);
	assert_int_equal(health_grade_of_state(MEM_HARD), HEALTH_HMM);
	assert_int_equal(health_grade_of_state(MEM_LOW), HEALTH_OOPS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_taken_is_awesome, setup),
		cmocka_unit_test_setup(ballooning_is_good_until_it_lasts, setup),
		cmocka_unit_test_setup(swapping_is_hmm_and_oops_when_it_lasts, setup),
		cmocka_unit_test_setup(compression_is_seen, setup),
		cmocka_unit_test_setup(balloon_and_guest_paging_that_rise_together_are_oops, setup),
		cmocka_unit_test_setup(every_finding_says_what_and_what_to_do, setup),
		cmocka_unit_test_setup(the_hosts_state_is_graded_too, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SRCS: mm/balloon/balloon_policy.c */
/* The balloon's arithmetic: which limit holds, how fast the target moves, what state is told. */
#include "tests/fake/cmocka.h"
#include "mm/balloon/balloon_policy.h"
#include "tests/fake/rng.h"
#include <string.h>

#define MS 1000000ull
#define S  1000000000ull

static const struct balloon_bounds plenty = {
	.memory_pages = 100000,
	.maxmemctl_pages = 65000,
	.ctl_max_pct = 65,
	.reservation_pages = 0,
	.os_minimum_pages = 10000,
	.slack_pages = 4096,
	.room_known = false,
};

static void expect(struct balloon_bounds b, u64 pages, enum balloon_limit limit)
{
	enum balloon_limit which;

	assert_int_equal(balloon_maximum(&b, &which), pages);
	assert_int_equal(which, limit);
}

static void the_least_of_the_five_limits_holds_and_is_named(void **state)
{
	struct balloon_bounds b = plenty;

	(void)state;
	b.maxmemctl_pages = 60000;
	expect(b, 60000, BALLOON_LIMIT_MAXMEMCTL);
	b = plenty;
	b.ctl_max_pct = 50;
	expect(b, 50000, BALLOON_LIMIT_CTL_PCT);
	b = plenty;
	b.reservation_pages = 60000;
	expect(b, 40000, BALLOON_LIMIT_RESERVATION);
	b = plenty;
	b.os_minimum_pages = 50000;
	expect(b, 45904, BALLOON_LIMIT_OS_MINIMUM);
	b = plenty;
	b.room_known = true;
	b.size_pages = 100;
	b.guest_free_pages = 1000;
	b.guest_swap_free_pages = 500;
	expect(b, 1600, BALLOON_LIMIT_GUEST_ROOM);
	for (u32 i = 0; i < BALLOON_LIMIT_COUNT; i++)
		assert_string_not_equal(balloon_limit_name((enum balloon_limit)i), "?");
	assert_string_equal(balloon_limit_name(BALLOON_LIMIT_COUNT), "?");
}

static void absurd_numbers_lower_the_maximum_or_do_nothing(void **state)
{
	struct balloon_bounds b = plenty;

	(void)state;
	b.os_minimum_pages = ~0ull;
	expect(b, 0, BALLOON_LIMIT_OS_MINIMUM);
	b = plenty;
	b.reservation_pages = ~0ull;
	expect(b, 0, BALLOON_LIMIT_RESERVATION);
	b = plenty;
	b.room_known = true;
	b.guest_free_pages = b.guest_swap_free_pages = b.size_pages = ~0ull;
	expect(b, 65000, BALLOON_LIMIT_MAXMEMCTL);
	b.maxmemctl_pages = ~0ull;
	b.ctl_max_pct = 100;
	b.os_minimum_pages = b.slack_pages = 0;
	expect(b, 100000, BALLOON_LIMIT_CTL_PCT);
}

static void the_target_rises_at_its_rate(void **state)
{
	struct balloon_rates rates = {1000, 4000};
	struct balloon_pace pace = {0, 0};

	(void)state;
	assert_true(balloon_pace_move(&pace, 100 * MS, 0, 5000, &rates));
	assert_int_equal(pace.target_pages, 100);
	assert_false(balloon_pace_move(&pace, 100 * MS, 100, 5000, &rates));
	assert_false(balloon_pace_move(&pace, 100 * MS + 1000, 100, 5000, &rates));
	assert_true(balloon_pace_move(&pace, 200 * MS, 100, 5000, &rates));
	assert_int_equal(pace.target_pages, 200);
	/* Ten seconds nobody asked: one second's worth. */
	assert_true(balloon_pace_move(&pace, 10 * S, 200, 5000, &rates));
	assert_int_equal(pace.target_pages, 1200);
	/* It stops where it is wanted. */
	for (u64 t = 11; t < 30; t++)
		balloon_pace_move(&pace, t * S, pace.target_pages, 5000, &rates);
	assert_int_equal(pace.target_pages, 5000);
	/* Standing still earns nothing. */
	assert_true(balloon_pace_move(&pace, 29 * S + 100 * MS, 5000, 9000, &rates));
	assert_int_equal(pace.target_pages, 5100);
}

static void a_slow_guest_is_not_left_behind_by_more_than_a_second(void **state)
{
	struct balloon_rates rates = {1000, 4000};
	struct balloon_pace pace = {0, 0};

	(void)state;
	for (u64 t = 1; t < 100; t++)
		balloon_pace_move(&pace, t * S, 300, 50000, &rates);
	assert_int_equal(pace.target_pages, 1300);
}

static void it_falls_at_its_own_rate_and_at_once_where_nothing_is(void **state)
{
	struct balloon_rates rates = {1000, 4000};
	struct balloon_pace pace = {9000, 1 * S};

	(void)state;
	assert_true(balloon_pace_move(&pace, 1 * S + 500 * MS, 9000, 0, &rates));
	assert_int_equal(pace.target_pages, 7000);
	assert_true(balloon_pace_move(&pace, 2 * S, 9000, 0, &rates));
	assert_int_equal(pace.target_pages, 5000);
	assert_false(balloon_pace_move(&pace, 3 * S, 9000, 0, &rates)); /* the guest lags */
	assert_true(balloon_pace_move(&pace, 4 * S, 2000, 0, &rates));
	assert_true(balloon_pace_move(&pace, 5 * S, 0, 0, &rates));
	assert_int_equal(pace.target_pages, 0);
	assert_false(balloon_pace_move(&pace, 6 * S, 0, 0, &rates));
}

static void any_sequence_ends_at_what_is_wanted(void **state)
{
	struct rng rng = {rng_seed(5)};

	(void)state;
	for (u32 i = 0; i < 2000; i++) {
		struct balloon_rates rates = {
			1 + rng_below(&rng, 100000), 1 + rng_below(&rng, 100000)};
		struct balloon_pace pace = {rng_below(&rng, 1000000), rng_below(&rng, 5) * S};
		u64 wanted = rng_below(&rng, 1000000), size = rng_below(&rng, 1000000), now = 5 * S;
		u64 from = pace.target_pages;

		rates.inflate_pages_s += 20000;
		rates.deflate_pages_s += 20000;
		for (u32 n = 0; n < 200; n++) {
			now += S;
			balloon_pace_move(&pace, now, size, wanted, &rates);
			assert_in_range(pace.target_pages, min(from, wanted), max(from, wanted));
			size = pace.target_pages;
		}
		assert_int_equal(pace.target_pages, wanted);
	}
}

static void rates_have_defaults_and_urgency(void **state)
{
	(void)state;
	assert_true(balloon_rates(0, 0, false).inflate_pages_s > 0);
	assert_int_equal(balloon_rates(100, 200, false).inflate_pages_s, 100);
	assert_int_equal(balloon_rates(100, 200, true).inflate_pages_s, 400);
	assert_int_equal(balloon_rates(100, 200, true).deflate_pages_s, 200);
}

static void a_bucket_gives_a_burst_and_then_its_rate(void **state)
{
	struct balloon_bucket bucket = {0};
	u32 taken = 0;

	(void)state;
	while (balloon_bucket_take(&bucket, 7 * S, 100, 30))
		taken++;
	assert_int_equal(taken, 30);
	assert_false(balloon_bucket_take(&bucket, 7 * S + 9 * MS, 100, 30));
	assert_true(balloon_bucket_take(&bucket, 7 * S + 10 * MS, 100, 30));
	assert_false(balloon_bucket_take(&bucket, 7 * S + 11 * MS, 100, 30));
	for (taken = 0; balloon_bucket_take(&bucket, 1000 * S, 100, 30); taken++)
		;
	assert_int_equal(taken, 30);
}

static void what_is_wanted_lies_between_floor_and_maximum(void **state)
{
	(void)state;
	assert_int_equal(balloon_wanted(50, 0, 100), 50);
	assert_int_equal(balloon_wanted(50, 70, 100), 70);
	assert_int_equal(balloon_wanted(150, 70, 100), 100);
	assert_int_equal(balloon_wanted(0, 150, 100), 100); /* a guest's needs come first */
}

static void every_state_is_told_apart(void **state)
{
	const struct balloon_sight fine = {.driver = true,
		.now_ns = 100 * S,
		.heard_ns = 99 * S,
		.kept_up_ns = 99 * S,
		.size_pages = 500,
		.target_pages = 500,
		.asked_pages = 500,
		.maximum_pages = 1000};
	struct balloon_sight s = fine;
	u64 since;

	(void)state;
	assert_int_equal(balloon_status(&s, &since), BALLOON_IDLE);
	assert_int_equal(since, 0);
	s.driver = false;
	assert_int_equal(balloon_status(&s, &since), BALLOON_NO_DRIVER);
	s = fine;
	s.disabled = true;
	assert_int_equal(balloon_status(&s, &since), BALLOON_DISABLED);
	s = fine;
	s.heard_ns = 80 * S;
	assert_int_equal(balloon_status(&s, &since), BALLOON_NOT_RESPONDING);
	assert_int_equal(since, 80 * S);
	s = fine;
	s.size_pages = 400;
	assert_int_equal(balloon_status(&s, &since), BALLOON_INFLATING);
	s.kept_up_ns = 85 * S;
	assert_int_equal(balloon_status(&s, &since), BALLOON_TOO_SLOW);
	assert_int_equal(since, 85 * S);
	s.backing_off = true;
	assert_int_equal(balloon_status(&s, &since), BALLOON_BACKING_OFF);
	s = fine;
	s.asked_pages = 2000;
	s.size_pages = s.target_pages = 1000;
	assert_int_equal(balloon_status(&s, &since), BALLOON_AT_MAXIMUM);
	s = fine;
	s.asked_pages = s.target_pages = 0;
	assert_int_equal(balloon_status(&s, &since), BALLOON_DEFLATING);
	s = fine;
	s.asked_pages = 300;
	s.floor_pages = 500;
	assert_int_equal(balloon_status(&s, &since), BALLOON_HELD);
	s.floor_pages = 400; /* not down to it yet, but for nothing else than that will it stop */
	assert_int_equal(balloon_status(&s, &since), BALLOON_HELD);
	s.floor_pages = 200;
	assert_int_equal(balloon_status(&s, &since), BALLOON_DEFLATING);
	s.floor_pages = 600;
	assert_int_equal(balloon_status(&s, &since), BALLOON_INFLATING);
	for (u32 i = 0; i < BALLOON_STATUS_COUNT; i++)
		assert_string_not_equal(balloon_status_name((enum balloon_status)i), "?");
}

static void keeping_up_is_judged_against_the_rate(void **state)
{
	(void)state;
	assert_true(balloon_keeps_up(100, 100, 100, 1000));
	assert_true(balloon_keeps_up(800, 1000, 5000, 1000));
	assert_false(balloon_keeps_up(700, 1000, 5000, 1000));
	assert_false(balloon_keeps_up(999, 1000, 1000, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_of_the_five_limits_holds_and_is_named),
		cmocka_unit_test(absurd_numbers_lower_the_maximum_or_do_nothing),
		cmocka_unit_test(the_target_rises_at_its_rate),
		cmocka_unit_test(a_slow_guest_is_not_left_behind_by_more_than_a_second),
		cmocka_unit_test(it_falls_at_its_own_rate_and_at_once_where_nothing_is),
		cmocka_unit_test(any_sequence_ends_at_what_is_wanted),
		cmocka_unit_test(rates_have_defaults_and_urgency),
		cmocka_unit_test(a_bucket_gives_a_burst_and_then_its_rate),
		cmocka_unit_test(what_is_wanted_lies_between_floor_and_maximum),
		cmocka_unit_test(every_state_is_told_apart),
		cmocka_unit_test(keeping_up_is_judged_against_the_rate),
	};
	return cmocka_run_group_tests_name("unit/balloon_policy", tests, NULL, NULL);
}

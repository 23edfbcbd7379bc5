/* SRCS: guest-tools/linux/driver/backoff.c */
/* The guest driver's back-off: it waits, longer when it must again soon, and forgets after long
 * calm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "guest-tools/linux/driver/backoff.h"

#define START_MS 1000u

static void none_was_yet(void **state)
{
	struct backoff b = {0};

	(void)state;
	assert_int_equal(backoff_left_ms(&b, START_MS), 0);
}

static void a_burst_is_one_wait_from_its_last(void **state)
{
	struct backoff b = {0};

	(void)state;
	for (uint64_t now = START_MS; now < START_MS + 50; now++)
		backoff_begin(&b, now);
	assert_int_equal(backoff_left_ms(&b, START_MS + 49), BACKOFF_LEAST_MS);
	assert_int_equal(backoff_left_ms(&b, START_MS + 49 + BACKOFF_LEAST_MS), 0);
}

static void each_soon_after_the_last_waits_twice_as_long_up_to_the_most(void **state)
{
	struct backoff b = {0};
	uint64_t now = START_MS, wait = BACKOFF_LEAST_MS;

	(void)state;
	for (int i = 0; i < 20; i++) {
		backoff_begin(&b, now);
		assert_int_equal(backoff_left_ms(&b, now), wait);
		now += wait + 1;
		wait = wait * 2 < BACKOFF_MOST_MS ? wait * 2 : BACKOFF_MOST_MS;
	}
}

static void long_calm_is_forgiven(void **state)
{
	struct backoff b = {0};

	(void)state;
	backoff_begin(&b, START_MS);
	backoff_begin(&b, START_MS + BACKOFF_LEAST_MS + 1);
	assert_int_equal(b.wait_ms, 2 * BACKOFF_LEAST_MS);
	backoff_begin(&b, b.until_ms + BACKOFF_MOST_MS);
	assert_int_equal(b.wait_ms, BACKOFF_LEAST_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_was_yet),
		cmocka_unit_test(a_burst_is_one_wait_from_its_last),
		cmocka_unit_test(each_soon_after_the_last_waits_twice_as_long_up_to_the_most),
		cmocka_unit_test(long_calm_is_forgiven),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SRCS: */
/* Latencies are counted by powers of two, and percentiles are the power above. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mm/base/latency.h"

static void nothing_counted_is_no_latency(void **state)
{
	struct latency l = {0};

	(void)state;
	assert_int_equal(latency_below_us(&l, 50), 0);
}

static void percentiles_are_the_next_power_of_two(void **state)
{
	struct latency l = {0};

	(void)state;
	for (u32 i = 0; i < 98; i++)
		latency_note(&l, 3500);
	latency_note(&l, 70000);
	latency_note(&l, 900000);
	assert_int_equal(latency_below_us(&l, 50), 4);
	assert_int_equal(latency_below_us(&l, 98), 4);
	assert_int_equal(latency_below_us(&l, 99), 128);
	assert_int_equal(latency_below_us(&l, 100), 1024);
}

static void the_ends_are_open(void **state)
{
	struct latency l = {0};

	(void)state;
	latency_note(&l, 0);
	assert_int_equal(latency_below_us(&l, 99), 2);
	latency_note(&l, ~0ull);
	assert_int_equal(latency_below_us(&l, 99), 1ull << LATENCY_BUCKETS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_counted_is_no_latency),
		cmocka_unit_test(percentiles_are_the_next_power_of_two),
		cmocka_unit_test(the_ends_are_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SRCS: hv/vm/pvclock_scale.c */
/* The paravirtual clock's factor: what a guest computes is the time, to parts in a billion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hv/vm/pvclock.h"

/* As Linux' pvclock_scale_delta() does. */
static uint64_t guest_ns(uint64_t ticks, uint32_t mul, int8_t shift)
{
	ticks = shift < 0 ? ticks >> -shift : ticks << shift;
	return (uint64_t)(((unsigned __int128)ticks * mul) >> 32);
}

static void a_second_of_ticks_is_a_second(void **state)
{
	static const uint64_t khz[] = {
		1000, 24000, 100000, 999999, 1000000, 1000001, 2400000, 3792882, 5000000, 10000000};

	(void)state;
	for (size_t i = 0; i < sizeof(khz) / sizeof(khz[0]); i++) {
		uint32_t mul;
		int8_t shift;
		uint64_t ns;

		pvclock_scale(khz[i], &mul, &shift);
		assert_true(mul >= 0x7fffffff);
		ns = guest_ns(khz[i] * 1000, mul, shift);
		assert_in_range(ns, 999999990, 1000000010);
		ns = guest_ns(khz[i] * 1000 * 3600, mul, shift);
		assert_in_range(ns, 3599999990000, 3600000010000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_of_ticks_is_a_second),
	};

	return cmocka_run_group_tests_name("unit/pvclock", tests, NULL, NULL);
}

/*
 * xorshift, seeded at the first draw by the platform's random numbers, or by the clock where it has
 * none: when mm begins there may be no clock yet.
 */
#include "mm/draw.h"
#include "mm/platform.h"

static u64 last; /* [a] 0: not seeded */

void draw_init(void)
{
	last = 0;
}

static u64 seed(void)
{
	u64 value;

	if (!platform_random(&value))
		value = platform_now_ns();
	return value ? value : 1;
}

u64 draw(u64 below)
{
	u64 x = __atomic_load_n(&last, __ATOMIC_RELAXED);

	if (!x)
		x = seed();
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	__atomic_store_n(&last, x, __ATOMIC_RELAXED);
	return x % below;
}

/* xorshift, seeded by the platform's random numbers, or by the clock where it has none. */
#include "mm/draw.h"
#include "mm/platform.h"

static u64 last; /* [a] */

u64 draw(u64 below)
{
	u64 x = __atomic_load_n(&last, __ATOMIC_RELAXED);

	if (x == 0 && !platform_random(&x))
		x = platform_now_ns();
	x |= x == 0;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	__atomic_store_n(&last, x, __ATOMIC_RELAXED);
	return x % below;
}

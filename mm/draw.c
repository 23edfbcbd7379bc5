/* xorshift, seeded by the platform's random numbers, or by the clock where it has none. */
#include "mm/draw.h"
#include "mm/platform.h"

static u64 last; /* [a] */

void draw_init(void)
{
	if (!platform_random(&last))
		last = platform_now_ns();
	last |= last == 0;
}

u64 draw(u64 below)
{
	u64 x = __atomic_load_n(&last, __ATOMIC_RELAXED);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	__atomic_store_n(&last, x, __ATOMIC_RELAXED);
	return x % below;
}

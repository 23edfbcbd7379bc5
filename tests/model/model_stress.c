/* SRCS: tests/model/stress*.c tests/fake/fake_platform.c tests/fake/fake_guest.c
   tests/fake/fake_blk.c mm */
/* All of mm/ at once, by real threads, with freed frames out of bounds: stress.c. */
#include "tests/model/stress.h"

int main(void)
{
	const char *steps_text = getenv("STEPS");
	u64 steps = steps_text ? strtoull(steps_text, NULL, 0) : 3000, seed = rng_seed(1);
	int bad = 0;

	for (u32 i = 0; i < 2; i++)
		bad |= stress_run(seed + i, steps, i % 2 == 0, true);
	return bad;
}

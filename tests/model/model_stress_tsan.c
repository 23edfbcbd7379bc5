/* SRCS: tests/model/stress*.c tests/fake/fake_platform.c tests/fake/fake_guest.c
   tests/fake/fake_blk.c mm */
/* All of mm/ at once under ThreadSanitizer, which a name that ends in _tsan is built with:
 * stress.c. */
#include "tests/model/stress.h"

int main(void)
{
	const char *steps_text = getenv("STEPS");
	u64 steps = steps_text ? strtoull(steps_text, NULL, 0) : 1000, seed = rng_seed(1);

	return stress_run(seed, steps, true, true) | stress_run(seed + 1, steps, false, true);
}

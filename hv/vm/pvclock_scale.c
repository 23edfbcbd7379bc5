/* The paravirtual clock's factor: apart, because it is arithmetic only and tested on Linux. */
#include "hv/vm/pvclock.h"

void pvclock_scale(u64 tsc_khz, u32 *mul, s8 *shift)
{
	u64 hz = tsc_khz * 1000;
	u64 per_second = 1000000000ull;
	s8 s = 0;

	/* Bring per_second / hz into [0.5, 1), so that mul has 32 significant bits. */
	while (per_second >= hz) {
		hz <<= 1;
		s++;
	}
	while (per_second * 2 < hz) {
		per_second <<= 1;
		s--;
	}
	/* Large numbers lose their low bits alike; the quotient's 32 bits are untouched by it. */
	while (per_second >= BIT(32)) {
		per_second >>= 1;
		hz >>= 1;
	}
	*mul = (u32)((per_second << 32) / hz);
	*shift = s;
}

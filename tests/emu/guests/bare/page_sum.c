/* The checksum by which the hypervisor knows a page that was swapped (mm/swap/swap_io.c), in a
 * guest. */
#include "mm/platform.h"
#include "mm/share/share_hash.h"
#include "tests/bench/measure.h"
#include "tests/emu/guests/bare/page_sum.h"

bool platform_random(u64 *out)
{
	static u64 state = 1;

	*out = state = state * 6364136223846793005ull + 1442695040888963407ull;
	return true;
}

uint64_t page_sum_measure(const uint8_t *page)
{
	static struct share_key key;
	static bool is_drawn;
	uint64_t start;
	bool zero;

	is_drawn = is_drawn || share_key_draw(&key) == 0;
	start = measure_tsc();
	share_hash_page(&key, page, &zero);
	return measure_tsc() - start;
}

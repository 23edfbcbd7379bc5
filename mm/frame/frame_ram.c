/* Which frame numbers are RAM (frame_ram.h). Written once, at boot, and only read after it. */
#include "mm/frame/frame_ram.h"
#include "mm/platform.h"
#include "mm/base/check.h"

static struct {
	const struct frame_range *ranges;
	u32 count;
} ram; /* [I] */

void frame_ram_keep(const struct frame_range *ranges, u32 range_count)
{
	u64 bytes = range_count * sizeof(struct frame_range);
	struct frame_range *copy;
	pfn_t run;

	/* Where the copy's own frames are looked for. */
	ram.ranges = ranges;
	ram.count = range_count;
	run = frame_alloc_run(FRAME_HV, (bytes + PAGE_BYTES - 1) / PAGE_BYTES);
	CHECK(!pfn_is_none(run));
	copy = platform_frame_va(run);
	ram.count = 0;
	for (u32 i = 0; i < range_count; i++) {
		struct frame_range *last = ram.count ? &copy[ram.count - 1] : NULL;

		if (last && last->first.v + last->count == ranges[i].first.v)
			last->count += ranges[i].count;
		else
			copy[ram.count++] = ranges[i];
	}
	ram.ranges = copy;
}

const struct frame_range *frame_ram_ranges(u32 *count)
{
	*count = ram.count;
	return ram.ranges;
}

bool frame_is_ram(pfn_t pfn)
{
	u32 low = 0, high = ram.count;

	while (low < high) {
		u32 middle = low + (high - low) / 2;
		const struct frame_range *range = &ram.ranges[middle];

		if (pfn.v < range->first.v)
			high = middle;
		else if (pfn.v - range->first.v < range->count)
			return true;
		else
			low = middle + 1;
	}
	return false;
}

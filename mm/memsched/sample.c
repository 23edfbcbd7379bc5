/*
 * Samples of accessed bits: see sample.h. A 2 MiB leaf says one thing for 512 pages: its bit is
 * cleared and counted for those of them that were drawn.
 *
 * Sweeps clear the same bits. What a sweep saw stands in the frame's age, as 0: a page that was in
 * memory when the sample began, has age 0, and was swept since was in use.
 */
#include "mm/memsched/sample.h"
#include "mm/draw.h"
#include "mm/platform.h"
#include "mm/reclaim/reclaim_age.h"
#include "mm/space/space_entry.h"
#include "mm/base/str.h"

#define DRAWS_MOST (2 * SPACE_SAMPLE_PAGES) /* where a balloon is large, the sample is smaller */

enum sample_found {
	SAMPLE_WAS_ABSENT,
	SAMPLE_WAS_PRESENT,
	SAMPLE_TOUCHED,
};

/* Region held. Where the accessed bit of @gfn stands, whatever is there; NULL: nowhere. */
static u64 *accessed_entry(struct space *space, gfn_t gfn)
{
	u64 *region = space_region_entry(space, gfn);

	if (!slat_is_present(space->format, slat_load(region)))
		return NULL;
	return slat_is_large(space->format, slat_load(region)) ? region
							       : space_page_entry(space, gfn);
}

static void draw_one(struct space *space, struct tlb_gather *gather)
{
	const struct slat_format *f = space->format;
	struct space_sample *sample = &space->sample;
	u64 index = draw(space->page_count);
	gfn_t gfn = space_page_gfn(space, index);
	pfn_t frame;

	spin_lock(space_region_lock(space, gfn));
	u64 leaf = space_leaf(space, gfn, &frame);

	if (slat_state(f, leaf) != PAGE_BALLOONED) {
		sample->pages[sample->count] = (u32)index;
		sample->found[sample->count] =
			slat_is_present(f, leaf) ? SAMPLE_WAS_PRESENT : SAMPLE_WAS_ABSENT;
		sample->count++;
	}
	if (slat_is_present(f, leaf) && (leaf & f->accessed_bit)) {
		slat_clear_bits(accessed_entry(space, gfn), f->accessed_bit);
		tlb_gather_note(gather);
	}
	spin_unlock(space_region_lock(space, gfn));
}

void sample_begin(struct space *space)
{
	struct tlb_gather gather;

	memset(&space->sample, 0, sizeof(space->sample));
	if (space->no_dirty_bits)
		return;
	tlb_gather_start(&gather, &space->tlb);
	for (u32 i = 0; i < DRAWS_MOST && space->sample.count < SPACE_SAMPLE_PAGES; i++)
		draw_one(space, &gather);
	tlb_gather_finish(&gather);
	space->sample.began_ns = platform_now_ns();
}

/* Region held. */
static bool is_touched(const struct space *space, u64 leaf, pfn_t frame, u8 found)
{
	const struct slat_format *f = space->format;
	enum page_state state = slat_state(f, leaf);

	if (!slat_is_present(f, leaf))
		return false;
	if (leaf & f->accessed_bit)
		return true;
	return found == SAMPLE_WAS_PRESENT && (state == PAGE_PRIVATE || state == PAGE_CLEAN) &&
	       __atomic_load_n(&space->ages.swept_ns, __ATOMIC_RELAXED) > space->sample.began_ns &&
	       reclaim_age(frame) == 0;
}

void sample_look(struct space *space, u32 *sampled, u32 *accessed)
{
	struct space_sample *sample = &space->sample;
	u32 touched = 0;

	for (u32 i = 0; i < sample->count; i++) {
		gfn_t gfn = space_page_gfn(space, sample->pages[i]);
		pfn_t frame;

		spin_lock(space_region_lock(space, gfn));
		u64 leaf = space_leaf(space, gfn, &frame);

		if (is_touched(space, leaf, frame, sample->found[i]))
			sample->found[i] = SAMPLE_TOUCHED;
		spin_unlock(space_region_lock(space, gfn));
		touched += sample->found[i] == SAMPLE_TOUCHED;
	}
	*sampled = sample->count;
	*accessed = touched;
}

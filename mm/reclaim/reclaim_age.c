/*
 * Sweeps. Clearing A needs a flush before the interval begins, or a CPU that still holds the
 * translation will not set it again: a sweep clears a whole space and then flushes once.
 *
 * A 2 MiB leaf has one A bit for 512 pages: while reclaim sweeps, memory is short, and such leaves
 * are split.
 */
#include "mm/reclaim/reclaim_age.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_registry.h"
#include "mm/base/str.h"

#define CHOICE_PART 16u

u32 reclaim_age(pfn_t frame)
{
	return (u32)((frame_owner(frame) & SPACE_OWNER_AGE_MASK) >> SPACE_OWNER_AGE_SHIFT);
}

static void age_set(pfn_t frame, u32 age)
{
	u64 word = frame_owner(frame) & ~SPACE_OWNER_AGE_MASK;

	frame_set_owner(frame, word | (u64)age << SPACE_OWNER_AGE_SHIFT);
}

/* The last is that of pages which came unasked, and theirs alone. */
static u32 older(u32 age)
{
	return age < SPACE_AGES - 2 ? age + 1 : age;
}

/* Region held. */
static void entry_sweep(struct space *space, u64 *entry)
{
	const struct slat_format *f = space->format;
	u64 leaf = slat_load(entry);
	enum page_state state = slat_state(f, leaf);
	u32 age = 0;

	if (!slat_is_present(f, leaf) || (state != PAGE_PRIVATE && state != PAGE_CLEAN)) {
		if (slat_is_present(f, leaf) && state == PAGE_SHARED)
			slat_clear_bits(entry, f->accessed_bit);
		return;
	}
	if (leaf & f->accessed_bit)
		slat_clear_bits(entry, f->accessed_bit);
	else
		age = older(reclaim_age(slat_pfn(f, leaf)));
	age_set(slat_pfn(f, leaf), age);
	space->ages.found[age]++;
}

static void region_sweep(struct space *space, u64 first)
{
	gfn_t gfn = space_page_gfn(space, first);

	spin_lock(space_region_lock(space, gfn));
	if (slat_is_large(space->format, slat_load(space_region_entry(space, gfn))))
		space_split(space, gfn);
	u64 *entries = space_page_entry(space, gfn);

	for (u32 i = 0; entries && i < REGION_PAGE_COUNT && first + i < space->page_count; i++)
		entry_sweep(space, &entries[i]);
	spin_unlock(space_region_lock(space, gfn));
}

static void sweep_end(struct space *space)
{
	struct space_ages *ages = &space->ages;

	tlb_flush(&space->tlb);
	for (u32 age = 0; age < SPACE_AGES; age++)
		stats_set(&ages->pages[age], ages->found[age]);
	ages->next_page = 0;
	__atomic_store_n(&ages->swept_ns, platform_now_ns(), __ATOMIC_RELAXED);
}

bool reclaim_sweep(struct space *space, u64 end_ns)
{
	struct space_ages *ages = &space->ages;

	if (ages->next_page == 0)
		memset(ages->found, 0, sizeof(ages->found));
	do {
		region_sweep(space, ages->next_page);
		ages->next_page += REGION_PAGE_COUNT;
	} while (ages->next_page < space->page_count && platform_now_ns() < end_ns);
	if (ages->next_page < space->page_count)
		return false;
	sweep_end(space);
	return true;
}

u32 reclaim_age_to_evict(const struct space *space)
{
	u64 enough = space_consumed_pages(space) / CHOICE_PART + 1, found = 0;
	u32 age = SPACE_AGES;

	while (age > 0 && found < enough)
		found += stats_get(&space->ages.pages[--age]);
	return age;
}

void reclaim_age_gone(struct space *space, u32 age)
{
	u64 pages = stats_get(&space->ages.pages[age]);

	if (pages)
		stats_set(&space->ages.pages[age], pages - 1);
}

void reclaim_age_unwanted(struct space *space, pfn_t frame)
{
	u64 *oldest = &space->ages.pages[SPACE_AGES - 1];

	age_set(frame, SPACE_AGES - 1);
	stats_set(oldest, stats_get(oldest) + 1);
}

void reclaim_age_used(struct space *space, pfn_t frame)
{
	u32 age = reclaim_age(frame);

	if (age == 0)
		return;
	age_set(frame, 0);
	reclaim_age_gone(space, age);
}

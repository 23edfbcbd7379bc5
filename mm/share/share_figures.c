/* What sharing gives, and how fast it may look for it: numbers for those who watch and steer. */
#include "mm/share/share.h"
#include "mm/frame/frame.h"
#include "mm/share/share_index.h"
#include "mm/space/space_entry.h"

/* Region held. */
static void page_figures(const struct space *space, u64 leaf, struct share_figures *out)
{
	const struct slat_format *f = space->format;

	if (!page_state_is_shared(slat_state(f, leaf)) || !slat_is_present(f, leaf))
		return;
	pfn_t frame = slat_pfn(f, leaf);
	u64 sharers = frame_ref_count(frame);
	/* Where it is the last one left, it does not matter whose it was. */
	bool own = sharers == 1 || share_index_first(frame) == space->number;

	out->shared_pages++;
	out->saved_millipages += 1000 - 1000 / sharers;
	*(own ? &out->own_pages : &out->other_pages) += 1;
}

void share_figures_get(struct space *space, struct share_figures *out)
{
	*out = (struct share_figures){
		.hint_pages = stats_get(&space->share.hints),
		.zero_pages = space_pages_in_state(space, PAGE_ZERO),
	};
	if (space_shared_pages(space) == 0)
		return;
	for (u64 index = 0; index < space->page_count; index += REGION_PAGE_COUNT) {
		gfn_t gfn = space_page_gfn(space, index);

		spin_lock(space_region_lock(space, gfn));
		const u64 *entries = space_page_entry(space, gfn);

		for (u32 i = 0; entries && i < REGION_PAGE_COUNT; i++)
			page_figures(space, slat_load(&entries[i]), out);
		spin_unlock(space_region_lock(space, gfn));
	}
}

const char *share_refusal_name(enum share_refusal why)
{
	static const char *const names[SHARE_REFUSED_COUNT] = {
		[SHARE_REFUSED_WRITTEN] = "written",
		[SHARE_REFUSED_PINNED] = "pinned",
		[SHARE_REFUSED_WALKED] = "page-table",
		[SHARE_REFUSED_STALE] = "stale-hint",
		[SHARE_REFUSED_LARGE] = "large",
		[SHARE_REFUSED_RACED] = "raced",
		[SHARE_REFUSED_DIFFERS] = "differs",
		[SHARE_REFUSED_FULL] = "index-full",
	};

	return why < SHARE_REFUSED_COUNT ? names[why] : "?";
}

u64 share_rate_pages_s(
	const struct share_rate_limits *limits, u64 pages, u64 all_pages, u64 khz, u32 cpu_count)
{
	u64 pages_per_mib = MIB(1) >> PAGE_SHIFT;
	u64 host = limits->mib_s_per_ghz * pages_per_mib * cpu_count * (khz / 1000) / 1000;
	u64 wanted = limits->scan_time_min ? (pages + limits->scan_time_min * 60 - 1) /
						     (limits->scan_time_min * 60ull)
					   : 0;

	if (all_pages == 0)
		return 0;
	/* Its part of what the host may scan, by size: host * pages / all_pages, which fits
	 * nowhere. */
	u64 part = host / all_pages * pages + host % all_pages * pages / all_pages;

	return min(min(wanted, part), (u64)limits->vm_pages_s);
}

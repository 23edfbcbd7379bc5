/*
 * Demand paging. An untouched page reads as zeros from the host's one zero frame, executes the same
 * way, and gets a zeroed frame of its own with the first write. Where memory is plentiful, a whole
 * untouched 2 MiB region gets its frames at once. Everything happens under the lock of the page's
 * region, and no other lock is held.
 *
 * Making an absent entry present, or granting more rights on the same frame, needs no flush:
 * hardware caches no absent entry, and a stale narrower one costs a fault that finds the access
 * allowed (counted as spurious). Putting another frame in place of the zero frame does need one,
 * for CPUs may go on reading zeros through the old translation.
 */
#include "mm/fault/fault.h"
#include "mm/reclaim/evicted.h"
#include "mm/reclaim/reclaim.h"
#include "mm/space/space_entry.h"
#include "mm/frame/frame.h"
#include "mm/memsched/memsched.h"
#include "mm/space/promise.h"
#include "mm/share/share.h"
#include "mm/space/space_registry.h"
#include "mm/platform.h"
#include "mm/base/check.h"
#include "mm/base/str.h"

static enum fault_result untouched_resolve(struct space *space, gfn_t gfn, u64 *entry, u32 access)
{
	const struct slat_format *f = space->format;

	if ((access & SLAT_WRITE) == 0) {
		slat_set_absent(entry,
			slat_make_leaf(f, frame_zero(), SPACE_RIGHTS_READ_ONLY, PAGE_ZERO, false));
		space_count_state(space, PAGE_UNTOUCHED, PAGE_ZERO, 1);
		space_count(space, faults_zero_read, 1);
		return FAULT_DONE;
	}
	pfn_t frame = promise_frame(space, gfn, false);

	if (pfn_is_none(frame))
		return FAULT_NOMEM;
	memset(platform_frame_va(frame), 0, PAGE_BYTES);
	slat_set_absent(entry, slat_make_leaf(f, frame, SPACE_RIGHTS_ALL, PAGE_PRIVATE, false));
	space_count_state(space, PAGE_UNTOUCHED, PAGE_PRIVATE, 1);
	space_count(space, faults_zero_fill, 1);
	return FAULT_DONE;
}

/* Whoever uses a page that he gave away has it back, if there is a frame for it. */
static enum fault_result ballooned_resolve(struct space *space, gfn_t gfn, u64 *entry, u32 access)
{
	enum fault_result result = untouched_resolve(space, gfn, entry, access);

	if (result == FAULT_DONE) {
		space_count_state(space, PAGE_BALLOONED, PAGE_UNTOUCHED, 1);
		space_count(space, balloon_touched, 1);
	}
	return result;
}

/* The first write to a page that was read before. */
static enum fault_result zero_resolve(struct space *space, gfn_t gfn, u64 *entry)
{
	pfn_t frame = promise_frame(space, gfn, false);

	if (pfn_is_none(frame))
		return FAULT_NOMEM;
	memset(platform_frame_va(frame), 0, PAGE_BYTES);
	slat_exchange(entry, 0);
	tlb_flush(&space->tlb);
	slat_set_absent(
		entry, slat_make_leaf(space->format, frame, SPACE_RIGHTS_ALL, PAGE_PRIVATE, false));
	space_count_state(space, PAGE_ZERO, PAGE_PRIVATE, 1);
	space_count(space, faults_zero_fill, 1);
	return FAULT_DONE;
}

/*
 * Nothing happened to the page meanwhile; what was known of its use is forgotten, so it counts as
 * used.
 */
static enum fault_result hidden_resolve(struct space *space, u64 *entry)
{
	const struct slat_format *f = space->format;
	pfn_t frame = PFN(slat_payload(slat_load(entry)));

	slat_set_absent(entry, slat_make_leaf(f, frame, SPACE_RIGHTS_ALL, PAGE_PRIVATE, false) |
				       f->accessed_bit | f->dirty_bit);
	space_count_state(space, PAGE_HIDDEN, PAGE_PRIVATE, 1);
	space_count(space, faults_hidden, 1);
	return FAULT_DONE;
}

/* A scan for pages to share took the write right for a while; a write simply has it back. */
static enum fault_result private_resolve(struct space *space, u64 *entry)
{
	slat_set_bits(entry, space->format->write_bit);
	space_count(space, faults_protected, 1);
	return FAULT_DONE;
}

/* May the region of @gfn, which nobody has touched, be mapped by one leaf? */
static bool large_ok(const struct space *space, gfn_t gfn, u32 access)
{
	u64 first = ALIGN_DOWN(space_page_index(space, gfn), (u64)REGION_PAGE_COUNT);

	if (!space->large_pages || first + REGION_PAGE_COUNT > space->page_count)
		return false;
	if (space->large_pages_no_exec && (access & SLAT_EXEC))
		return false; /* it would be split at once */
	return memsched_large_pages_ok();
}

static bool large_fill(struct space *space, gfn_t gfn, u64 *region)
{
	pfn_t first = promise_allows(space, REGION_PAGE_COUNT, false)
			      ? frame_alloc_large(FRAME_PRIVATE)
			      : PFN_NONE;

	if (pfn_is_none(first))
		return false;
	for (u32 i = 0; i < REGION_PAGE_COUNT; i++) {
		memset(platform_frame_va(PFN(first.v + i)), 0, PAGE_BYTES);
		frame_set_owner(PFN(first.v + i),
			space_owner_word(
				space, GFN(ALIGN_DOWN(gfn.v, (u64)REGION_PAGE_COUNT) + i)));
	}
	slat_set_absent(region, slat_make_leaf(space->format, first, space_large_rights(space),
					PAGE_PRIVATE, true));
	space_count_state(space, PAGE_UNTOUCHED, PAGE_PRIVATE, REGION_PAGE_COUNT);
	space_count(space, large_leaves, 1);
	space_count(space, faults_large, 1);
	return true;
}

/* @gfn's small page. */
static enum fault_result page_resolve(struct space *space, gfn_t gfn, u32 access)
{
	u64 *entry = space_page_entry_make(space, gfn);

	switch (slat_state(space->format, slat_load(entry))) {
	case PAGE_UNTOUCHED:
		return untouched_resolve(space, gfn, entry, access);
	case PAGE_ZERO:
		return zero_resolve(space, gfn, entry);
	case PAGE_PRIVATE:
		return private_resolve(space, entry);
	case PAGE_SHARED:
		return share_break(space, gfn, entry);
	case PAGE_HIDDEN:
		return hidden_resolve(space, entry);
	case PAGE_BALLOONED:
		return ballooned_resolve(space, gfn, entry, access);
	default:
		return evicted_resolve(space, gfn, entry, access);
	}
}

enum fault_result fault_resolve(struct space *space, gfn_t gfn, u32 access)
{
	u64 *region_entry = space_region_entry(space, gfn);
	u64 region = slat_load(region_entry);
	enum fault_result result;

	if (slat_is_large(space->format, region)) {
		space_split(space, gfn); /* a fetch; its small leaves may be executed */
		slat_set_bits(region_entry, SLAT_FETCHED);
		return FAULT_DONE;
	}
	if (region == 0 && large_ok(space, gfn, access) && large_fill(space, gfn, region_entry))
		return FAULT_DONE;
	result = page_resolve(space, gfn, access);
	if (result == FAULT_DONE && (access & FAULT_WALK))
		slat_set_bits(space_page_entry(space, gfn), SLAT_WALKED);
	/* Also while it is on its way: it shall still be there when the vCPU comes back. */
	if (result == FAULT_DONE || result == FAULT_WAIT)
		fault_guard_add(space, gfn);
	return result;
}

static enum fault_result try_once(struct space *space, gfn_t gfn, u32 access)
{
	u32 wanted = access & (SLAT_READ | SLAT_WRITE | SLAT_EXEC);
	enum fault_result result = FAULT_DONE;
	pfn_t frame;

	spin_lock(space_region_lock(space, gfn));
	u64 leaf = space_leaf(space, gfn, &frame);

	if (slat_is_present(space->format, leaf) &&
		(wanted & ~slat_rights(space->format, leaf)) == 0)
		space_count(space, faults_spurious, 1);
	else
		result = fault_resolve(space, gfn, wanted | (access & FAULT_WALK));
	spin_unlock(space_region_lock(space, gfn));
	return result;
}

enum fault_result fault_handle(struct space *space, gpa_t gpa, u32 access)
{
	gfn_t gfn = gpa_to_gfn(gpa);
	enum fault_result result;
	u32 tries = 0;

	if (!space_is_ram(space, gfn))
		return FAULT_NOT_RAM;
	space_count(space, faults, 1);
	do {
		result = try_once(space, gfn, access);
	} while (result == FAULT_NOMEM &&
		 (result = reclaim_for_fault(space, tries++)) == FAULT_DONE);
	if (result == FAULT_WAIT)
		space_count(space, faults_waited, 1);
	return result;
}

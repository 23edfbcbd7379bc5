/*
 * Bringing back, under the lock of the page's region.
 *
 * Absent to present, or more rights on the same frame, needs no flush. A page that is read from the
 * swap file comes back CLEAN, with its slot; whoever then writes it frees the slot.
 */
#include "mm/reclaim/evicted.h"
#include "mm/reclaim/evict_io.h"
#include "mm/reclaim/evict_read.h"
#include "mm/fault/fault_guard.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/space/promise.h"
#include "mm/share/share.h"
#include "mm/share/share_index.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_registry.h"
#include "mm/zcache/zcache.h"
#include "mm/base/check.h"

/* The absent @entry of @state gets its page back, in @frame, as the guest's own. */
static void own(struct space *space, u64 *entry, enum page_state state, pfn_t frame)
{
	slat_set_absent(
		entry, slat_make_leaf(space->format, frame, SPACE_RIGHTS_ALL, PAGE_PRIVATE, false));
	space_count_state(space, state, PAGE_PRIVATE, 1);
}

/* --- Zipped ---------------------------------------------------------------------------------- */

void evicted_fill(pfn_t frame, u32 value)
{
	u32 *words = platform_frame_va(frame);

	for (u32 i = 0; i < PAGE_BYTES / sizeof(u32); i++)
		words[i] = value;
}

/* The object behind @handle becomes a page again. @state: of the entry now. */
static enum fault_result object_resolve(
	struct space *space, gfn_t gfn, u64 *entry, enum page_state state, u64 handle)
{
	pfn_t frame = promise_frame(space, gfn, true);

	if (pfn_is_none(frame))
		return FAULT_NOMEM;
	if (zcache_take(space->zcache, handle, frame)) {
		frame_free(frame);
		return FAULT_CORRUPT;
	}
	own(space, entry, state, frame);
	space_count(space, faults_zip, 1);
	return FAULT_DONE;
}

static enum fault_result zipped_resolve(struct space *space, gfn_t gfn, u64 *entry)
{
	u64 payload = slat_payload(slat_load(entry));

	if (!(payload & ZIPPED_FILL))
		return object_resolve(space, gfn, entry, PAGE_ZIPPED, payload);
	pfn_t frame = promise_frame(space, gfn, true);

	if (pfn_is_none(frame))
		return FAULT_NOMEM;
	evicted_fill(frame, (u32)payload);
	own(space, entry, PAGE_ZIPPED, frame);
	space_count(space, faults_fill, 1);
	return FAULT_DONE;
}

/* The object is on its way to the swap file; its command finds that it came too late. */
static enum fault_result zipped_writing_resolve(struct space *space, gfn_t gfn, u64 *entry)
{
	u64 handle = evict_io_handle(slat_payload(slat_load(entry)));

	return object_resolve(space, gfn, entry, PAGE_ZIPPED_WRITING, handle);
}

/* --- Swapped --------------------------------------------------------------------------------- */

static enum fault_result swapped_resolve(struct space *space, gfn_t gfn, u64 *entry, u32 access)
{
	if (slat_payload(slat_load(entry)) & SWAPPED_LOST)
		return FAULT_CORRUPT;
	pfn_t frame = promise_frame(space, gfn, true);

	if (pfn_is_none(frame))
		return FAULT_NOMEM;
	enum fault_result result = evict_read(space, gfn, entry, frame, access);

	if (result != FAULT_WAIT || slat_state(space->format, slat_load(entry)) != PAGE_LOADING)
		frame_free(frame);
	else
		space_count(space, faults_swap, 1);
	return result;
}

/* --- Present, read-only ---------------------------------------------------------------------- */

/* The first write to a page whose slot was still good. */
static void clean_resolve(struct space *space, gfn_t gfn, u64 *entry)
{
	const struct slat_format *f = space->format;
	u64 leaf = slat_load(entry);
	pfn_t frame = slat_pfn(f, leaf);

	swap_slot_free(space->swap, owner_word_slot(frame_owner(frame)));
	frame_set_owner(frame, space_owner_word(space, gfn));
	slat_exchange(entry, slat_make_leaf(f, frame, SPACE_RIGHTS_ALL, PAGE_PRIVATE, false) |
				     (leaf & f->accessed_bit));
	space_count_state(space, PAGE_CLEAN, PAGE_PRIVATE, 1);
	space_count(space, faults_clean, 1);
}

void evicted_keep(struct space *space, u64 *entry)
{
	const struct slat_format *f = space->format;
	u64 leaf = slat_load(entry);
	enum page_state from = slat_state(f, leaf);
	bool shared = from == PAGE_SHARED_WRITING;
	enum page_state state = shared ? PAGE_SHARED : PAGE_PRIVATE;
	u32 rights = shared ? SPACE_RIGHTS_READ_ONLY : SPACE_RIGHTS_ALL;

	/* It counts as used, or it would be the first to be chosen again. */
	slat_exchange(entry,
		slat_make_leaf(f, slat_pfn(f, leaf), rights, state, false) | f->accessed_bit);
	space_count_state(space, from, state, 1);
}

/* A write while the page is being written out: the command will find that it came too late. */
static enum fault_result writing_resolve(struct space *space, gfn_t gfn, u64 *entry)
{
	evicted_keep(space, entry);
	space_count(space, faults_writing, 1);
	if (slat_state(space->format, slat_load(entry)) == PAGE_SHARED)
		return share_break(space, gfn, entry);
	return FAULT_DONE;
}

enum fault_result evicted_resolve(struct space *space, gfn_t gfn, u64 *entry, u32 access)
{
	switch (slat_state(space->format, slat_load(entry))) {
	case PAGE_ZIPPED:
		return zipped_resolve(space, gfn, entry);
	case PAGE_ZIPPED_WRITING:
		return zipped_writing_resolve(space, gfn, entry);
	case PAGE_SWAPPED:
		return swapped_resolve(space, gfn, entry, access);
	case PAGE_LOADING:
		space_count(space, faults_joined, 1);
		return FAULT_WAIT;
	case PAGE_CLEAN:
		clean_resolve(space, gfn, entry);
		return FAULT_DONE;
	case PAGE_WRITING:
	case PAGE_SHARED_WRITING:
		return writing_resolve(space, gfn, entry);
	default:
		CHECK(!"page state");
		return FAULT_CORRUPT;
	}
}

bool evicted_overwrite(struct space *space, gfn_t gfn, enum fault_result *result)
{
	u64 *entry = space_page_entry(space, gfn);
	u64 old = entry ? slat_load(entry) : 0;
	enum page_state state = slat_state(space->format, old);
	struct tlb_gather gather;

	if (state != PAGE_ZIPPED && state != PAGE_SWAPPED && state != PAGE_LOADING &&
		state != PAGE_ZIPPED_WRITING)
		return false;
	pfn_t frame = promise_frame(space, gfn, true);

	*result = pfn_is_none(frame) ? FAULT_NOMEM : FAULT_DONE;
	if (pfn_is_none(frame))
		return true;
	evicted_fill(frame, 0);
	tlb_gather_start(&gather, &space->tlb);
	own(space, entry, state, frame);
	evicted_forget(space, old, &gather);
	tlb_gather_finish(&gather);
	space_count(space, overwritten, 1);
	return true;
}

/* --- Letting go ------------------------------------------------------------------------------ */

static void clean_forget(struct space *space, pfn_t frame, struct tlb_gather *gather)
{
	swap_slot_free(space->swap, owner_word_slot(frame_owner(frame)));
	tlb_gather_put(gather, frame);
}

void evicted_forget(struct space *space, u64 old, struct tlb_gather *gather)
{
	const struct slat_format *f = space->format;

	switch (slat_state(f, old)) {
	case PAGE_ZERO:
		tlb_gather_note(gather);
		break;
	case PAGE_PRIVATE:
	case PAGE_SHARED:
	case PAGE_WRITING: /* its command frees the slot */
	case PAGE_SHARED_WRITING:
		tlb_gather_put(gather, slat_pfn(f, old));
		break;
	case PAGE_HIDDEN:
		tlb_gather_put(gather, PFN(slat_payload(old)));
		break;
	case PAGE_CLEAN:
		clean_forget(space, slat_pfn(f, old), gather);
		break;
	case PAGE_ZIPPED:
		if (!(slat_payload(old) & ZIPPED_FILL))
			zcache_drop(space->zcache, slat_payload(old));
		break;
	case PAGE_SWAPPED:
		swap_slot_free(space->swap, slat_payload(old) & ~SWAPPED_LOST);
		break;
	case PAGE_LOADING: /* its command frees the slot */
		tlb_gather_put(gather, evict_io_frame(slat_payload(old)));
		break;
	case PAGE_ZIPPED_WRITING: /* likewise */
		zcache_drop(space->zcache, evict_io_handle(slat_payload(old)));
		break;
	case PAGE_UNTOUCHED:
	case PAGE_BALLOONED:
	case PAGE_STATE_COUNT:
		break;
	}
}

/*
 * A write to a shared page: it is the guest's own again. Its last sharer has the frame as it is;
 * any other gets a copy, and the frame stays with the rest.
 */
#include "mm/share/share.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/space/promise.h"
#include "mm/share/share_index.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_registry.h"
#include "mm/base/str.h"

/* Region held. From now on @frame is this page's alone. */
static void page_own(struct space *space, gfn_t gfn, u64 *entry, pfn_t frame, u64 marks)
{
	frame_set_owner(frame, space_owner_word(space, gfn));
	slat_exchange(
		entry, slat_make_leaf(space->format, frame, SPACE_RIGHTS_ALL, PAGE_PRIVATE, false) |
			       marks);
	space_count_state(space, PAGE_SHARED, PAGE_PRIVATE, 1);
}

enum fault_result share_break(struct space *space, gfn_t gfn, u64 *entry)
{
	const struct slat_format *f = space->format;
	u64 leaf = slat_load(entry);
	pfn_t frame = slat_pfn(f, leaf);
	struct tlb_gather gather;

	if (share_index_take_last(frame)) {
		/* More rights on the same frame: nothing to flush. */
		page_own(space, gfn, entry, frame, leaf & f->accessed_bit);
		space_count(space, share_taken, 1);
		return FAULT_DONE;
	}
	pfn_t copy = promise_frame(space, gfn, false);

	if (pfn_is_none(copy))
		return FAULT_NOMEM;
	/* This mapping's reference keeps the frame's bytes as they are. */
	memcpy(platform_frame_va(copy), platform_frame_va(frame), PAGE_BYTES);
	tlb_gather_start(&gather, &space->tlb);
	slat_exchange(entry, 0);
	tlb_gather_put(&gather, frame);
	tlb_gather_finish(&gather);
	page_own(space, gfn, entry, copy, 0);
	space_count(space, share_copied, 1);
	return FAULT_DONE;
}

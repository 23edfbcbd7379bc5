/* What commands of all kinds have in common: how an entry finds its command, and the other way. */
#include "mm/reclaim/evict_io.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/share/share_index.h"
#include "mm/space/space_entry.h"
#include "mm/zcache/zcache.h"
#include "mm/base/str.h"

static pfn_t decode_frames; /* [I] one for each CPU: where an object is decompressed from */

err_t evict_io_init(void)
{
	decode_frames = frame_alloc_run(FRAME_HV, platform_cpu_count());
	return pfn_is_none(decode_frames) ? E_NOMEM : E_OK;
}

u64 evict_io_payload(const struct swap_io *io, u32 index)
{
	return (u64)swap_io_number(io) * SWAP_CLUSTER_PAGES + index;
}

static const struct swap_page *page_of(u64 payload)
{
	return &swap_io_find((u32)(payload / SWAP_CLUSTER_PAGES))
			->pages[payload % SWAP_CLUSTER_PAGES];
}

pfn_t evict_io_frame(u64 payload)
{
	return page_of(payload)->frame;
}

u64 evict_io_handle(u64 payload)
{
	return frame_owner(page_of(payload)->frame);
}

bool evict_io_is_absent_as(
	const struct space *space, const u64 *entry, enum page_state state, u64 payload)
{
	return entry && slat_load(entry) == slat_make_absent(space->format, state, payload);
}

err_t evict_io_unfold(const struct swap_page *page)
{
	pfn_t from = PFN(decode_frames.v + platform_cpu_id());

	if (page->bytes == PAGE_BYTES)
		return E_OK;
	memcpy(platform_frame_va(from), platform_frame_va(page->frame), page->bytes);
	return zcache_decode(from, page->bytes, page->frame);
}

void evict_io_let_go(pfn_t frame)
{
	if (frame_kind(frame) == FRAME_SHARED)
		share_index_put(frame);
	else
		frame_unpin(frame);
}

/*
 * Pages are listed with a hash of their bytes, sorted by it, and compared within runs of equal
 * hash. The hash only brings equals together; bytes decide.
 */
#include "mm/share/share_audit.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/share/share_batch.h"
#include "mm/share/share_hash.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_registry.h"
#include "mm/base/str.h"

#define SALT_SHIFT 41
#define IS_SHARED  BIT(40)
#define PFN_MASK   BITS(39, 0)

struct page {
	u64 hash;
	u64 what; /* salt, IS_SHARED, pfn: in this order they are sorted */
};

struct list_of_pages {
	struct page *pages; /* NULL: only counted */
	u64 count;
	struct share_audit *audit;
};

static u64 salt_of(const struct page *page)
{
	return page->what >> SALT_SHIFT;
}

static pfn_t frame_of(const struct page *page)
{
	return PFN(page->what & PFN_MASK);
}

static bool is_less(const struct page *a, const struct page *b)
{
	return a->hash != b->hash ? a->hash < b->hash : a->what < b->what;
}

/* --- Heap sort: no memory, no worst case ----------------------------------------------------- */

static void sift_down(struct page *pages, u64 at, u64 count)
{
	struct page moved = pages[at];

	for (u64 child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && is_less(&pages[child], &pages[child + 1]))
			child++;
		if (!is_less(&moved, &pages[child]))
			break;
		pages[at] = pages[child];
	}
	pages[at] = moved;
}

static void sort(struct page *pages, u64 count)
{
	for (u64 at = count / 2; at-- > 0;)
		sift_down(pages, at, count);
	for (u64 end = count; end-- > 1;) {
		struct page last = pages[end];

		pages[end] = pages[0];
		pages[0] = last;
		sift_down(pages, 0, end);
	}
}

/* --- Listing --------------------------------------------------------------------------------- */

/* Region held. */
static void page_list(struct space *space, u64 leaf, pfn_t frame, struct list_of_pages *list)
{
	const struct slat_format *f = space->format;
	enum page_state state = slat_state(f, leaf);
	bool zero = state == PAGE_ZERO, shared = page_state_is_shared(state);

	if (state == PAGE_PRIVATE &&
		((leaf & (f->dirty_bit | SLAT_WALKED)) || frame_pin_count(frame)))
		return;
	if (state != PAGE_PRIVATE && !shared && !zero)
		return;
	if (!list->pages && shared && share_index_salt(frame) != share_salt(space))
		list->audit->stray_pages++;
	if (share_salt(space) == 0)
		return;
	if (!list->pages) {
		list->count++;
		return;
	}
	list->audit->quiet_pages++;
	u64 hash = zero ? 0 : share_identify(space, frame, &zero).hash;

	if (zero) {
		list->audit->alike_pages++;
		list->audit->possible_pages++;
		list->audit->shared_pages += state == PAGE_ZERO;
		list->audit->saved_pages += state == PAGE_ZERO;
		return;
	}
	list->pages[list->count++] = (struct page){
		hash, (shared ? IS_SHARED : 0) | (u64)share_salt(space) << SALT_SHIFT | frame.v};
}

static void space_list(struct space *space, struct list_of_pages *list)
{
	for (u64 index = 0; index < space->page_count; index++) {
		gfn_t gfn = space_page_gfn(space, index);
		pfn_t frame;

		spin_lock(space_region_lock(space, gfn));
		u64 leaf = space_leaf(space, gfn, &frame);

		if (slat_is_present(space->format, leaf))
			page_list(space, leaf, frame, list);
		spin_unlock(space_region_lock(space, gfn));
	}
}

static void all_list(struct list_of_pages *list)
{
	for (u32 number = 1; number < SPACE_NUMBER_COUNT; number++) {
		struct space *space = space_hold(number, 0);

		if (!space)
			continue;
		space_list(space, list);
		space_release(space);
	}
}

/* --- Comparing ------------------------------------------------------------------------------- */

static bool is_like(const struct page *a, const struct page *b)
{
	return a->hash == b->hash && salt_of(a) == salt_of(b) &&
	       memcmp(platform_frame_va(frame_of(a)), platform_frame_va(frame_of(b)), PAGE_BYTES) ==
		       0;
}

/* @count pages with the same bytes. Shared ones stand last, by frame. */
static void run_count(const struct page *pages, u64 count, struct share_audit *out)
{
	u64 shared = 0, frames = 0, last = ~0ull;

	for (u64 i = 0; i < count; i++) {
		if (!(pages[i].what & IS_SHARED))
			continue;
		shared++;
		frames += frame_of(&pages[i]).v != last;
		last = frame_of(&pages[i]).v;
	}
	if (count < 2)
		return;
	out->alike_pages += count;
	out->shared_pages += shared;
	out->possible_pages += count - 1;
	out->saved_pages += shared - frames;
}

static void runs_count(const struct page *pages, u64 count, struct share_audit *out)
{
	for (u64 start = 0, next; start < count; start = next) {
		for (next = start + 1; next < count && is_like(&pages[start], &pages[next]); next++)
			;
		run_count(&pages[start], next - start, out);
	}
}

err_t share_audit(struct share_audit *out)
{
	struct list_of_pages list = {.audit = out};

	*out = (struct share_audit){0};
	all_list(&list);
	u64 frames = (list.count * sizeof(struct page) + PAGE_BYTES - 1) / PAGE_BYTES;

	if (frames == 0)
		return E_OK;
	pfn_t run = frame_alloc_run(FRAME_HV, frames);

	if (pfn_is_none(run))
		return E_NOMEM;
	list.pages = platform_frame_va(run);
	list.count = 0;
	all_list(&list);
	sort(list.pages, list.count);
	runs_count(list.pages, list.count, out);
	frame_free_run(run, frames);
	return E_OK;
}

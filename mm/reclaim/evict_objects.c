/*
 * Compressed objects going out.
 *
 * They leave through bounce frames, a small number set aside: an object that is being written
 * cannot be moved or dropped under the device otherwise. A free one is linked to the next through
 * its owner word; one in use has its object's handle there.
 */
#include "mm/reclaim/evict_objects.h"
#include "mm/reclaim/evict_io.h"
#include "mm/reclaim/reclaim.h"
#include "mm/frame/frame.h"
#include "mm/space/space_entry.h"
#include "mm/zcache/zcache.h"

#define BOUNCE_FRAMES 64u
#define BOUNCE_END    (~0ull)

static struct {
	struct spinlock lock;
	u64 head; /* [bounce] free frames */
} bounce;

static u64 objects_leaving; /* [a] */

err_t evict_objects_init(void)
{
	spin_init(&bounce.lock, LOCK_RANK_BOUNCE);
	bounce.head = BOUNCE_END;
	objects_leaving = 0;
	for (u32 i = 0; i < BOUNCE_FRAMES; i++) {
		pfn_t frame = frame_alloc(FRAME_HV);

		if (pfn_is_none(frame))
			return E_NOMEM;
		frame_set_owner(frame, bounce.head);
		bounce.head = frame.v;
	}
	return E_OK;
}

u64 evict_objects_leaving(void)
{
	return __atomic_load_n(&objects_leaving, __ATOMIC_RELAXED);
}

static pfn_t bounce_take(void)
{
	pfn_t frame = PFN_NONE;

	spin_lock(&bounce.lock);
	if (bounce.head != BOUNCE_END) {
		frame = PFN(bounce.head);
		bounce.head = frame_owner(frame);
	}
	spin_unlock(&bounce.lock);
	return frame;
}

static void bounce_give(pfn_t frame)
{
	spin_lock(&bounce.lock);
	frame_set_owner(frame, bounce.head);
	bounce.head = frame.v;
	spin_unlock(&bounce.lock);
}

/* Region held. An object's way out is over; where it did not succeed it is in the cache as before.
 */
static void object_leave(struct space *space, struct swap_io *io, u32 index, err_t result)
{
	const struct slat_format *f = space->format;
	const struct swap_page *page = &io->pages[index];
	u64 *entry = space_page_entry(space, page->gfn);
	u64 handle = frame_owner(page->frame);

	if (!evict_io_is_absent_as(
		    space, entry, PAGE_ZIPPED_WRITING, evict_io_payload(io, index))) {
		if (!result)
			swap_slot_free(space->swap, page->slot);
		return;
	}
	if (result) {
		zcache_put_back(space->zcache, handle);
		slat_set_absent(entry, slat_make_absent(f, PAGE_ZIPPED, handle));
		space_count_state(space, PAGE_ZIPPED_WRITING, PAGE_ZIPPED, 1);
		return;
	}
	slat_set_absent(entry, slat_make_absent(f, PAGE_SWAPPED, page->slot));
	space_count_state(space, PAGE_ZIPPED_WRITING, PAGE_SWAPPED, 1);
	zcache_drop(space->zcache, handle);
	space_count(space, evicted_object, 1);
}

static void objects_end(struct space *space, struct swap_io *io, u32 first, u32 end, err_t failed)
{
	for (u32 i = first; i < end; i++) {
		if (space) {
			spin_lock(space_region_lock(space, io->pages[i].gfn));
			object_leave(space, io, i, failed ? failed : io->pages[i].result);
			spin_unlock(space_region_lock(space, io->pages[i].gfn));
		}
		bounce_give(io->pages[i].frame);
	}
}

static void objects_done(struct swap_io *io)
{
	objects_end(io->orphaned ? NULL : io->context, io, 0, io->page_count, E_OK);
	__atomic_fetch_sub(&objects_leaving, io->page_count, __ATOMIC_RELAXED);
	swap_io_give(io);
	reclaim_wake();
}

/* The coldest object joins @io. False: there is none, or no frame to carry it. */
static bool object_join(struct space *space, struct swap_io *io)
{
	struct zcache_object object;
	pfn_t frame = bounce_take();

	if (pfn_is_none(frame))
		return false;
	if (!zcache_coldest(space->zcache, &object)) {
		bounce_give(frame);
		return false;
	}
	spin_lock(space_region_lock(space, object.gfn));
	u64 *entry = space_page_entry(space, object.gfn);

	if (evict_io_is_absent_as(space, entry, PAGE_ZIPPED, object.handle)) {
		u32 bytes = zcache_copy(space->zcache, object.handle, frame);

		frame_set_owner(frame, object.handle);
		slat_set_absent(entry, slat_make_absent(space->format, PAGE_ZIPPED_WRITING,
					       evict_io_payload(io, io->page_count)));
		space_count_state(space, PAGE_ZIPPED, PAGE_ZIPPED_WRITING, 1);
		io->pages[io->page_count++] =
			(struct swap_page){.gfn = object.gfn, .frame = frame, .bytes = bytes};
		frame = PFN_NONE;
	}
	spin_unlock(space_region_lock(space, object.gfn));
	/* Else it has left the cache since; the next one, then. */
	if (!pfn_is_none(frame))
		bounce_give(frame);
	return true;
}

u32 evict_objects_write(struct space *space)
{
	struct swap_io *io = swap_io_take(true);
	u32 given, taken;

	if (!io)
		return 0;
	io->context = space;
	io->done = objects_done;
	io->page_count = 0;
	for (u32 i = 0; i < space->swap->volume->cluster_pages && object_join(space, io); i++)
		;
	given = io->page_count;
	taken = given && swap_slots_take(space->swap, io) == E_OK ? io->page_count : 0;
	objects_end(space, io, taken, given, E_LIMIT);
	__atomic_fetch_add(&objects_leaving, taken, __ATOMIC_RELAXED);
	if (taken && swap_write(space->swap, io) == E_OK)
		return taken;
	__atomic_fetch_sub(&objects_leaving, taken, __ATOMIC_RELAXED);
	objects_end(space, io, 0, taken, E_IO);
	swap_io_give(io);
	return 0;
}

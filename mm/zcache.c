/*
 * The compression cache: see zcache.h. The parts: zcache_codec.c makes objects of pages,
 * zcache_class.c is their storage, zcache_table.c their handles and order.
 */
#include "mm/zcache_private.h"
#include "mm/frame.h"
#include "mm/platform.h"
#include "mm/stats.h"
#include "mm/base/check.h"
#include "mm/base/str.h"

_Static_assert(ZCACHE_PACKED_HEAD + ZCACHE_LZ4_BYTES_MAX <= PAGE_BYTES,
	"an object lies in two frames at most");

u64 zcache_overhead_frames(u64 page_count)
{
	u64 bytes = sizeof(struct zcache) + zcache_table_directory_bytes(page_count);

	return ALIGN_UP(bytes, PAGE_BYTES) / PAGE_BYTES;
}

err_t zcache_create(struct zcache **out, u64 page_count, u64 most_frames)
{
	u64 frames = zcache_overhead_frames(page_count);
	pfn_t run = frame_alloc_run(FRAME_ZCACHE, frames);
	struct zcache *zcache;

	if (pfn_is_none(run))
		return E_NOMEM;
	zcache = platform_frame_va(run);
	spin_init(&zcache->lock, LOCK_RANK_ZCACHE);
	zcache->page_count = page_count;
	zcache->most_frames = most_frames;
	zcache->frame_count = frames;
	zcache_table_init(&zcache->table, zcache->directory);
	for (u32 i = 0; i < ZCACHE_CLASSES; i++)
		zcache_class_init(&zcache->classes[i], (i + 1) * ZCACHE_STEP_BYTES);
	*out = zcache;
	return 0;
}

void zcache_clear(struct zcache *zcache)
{
	spin_lock(&zcache->lock);
	for (u32 i = 0; i < ZCACHE_CLASSES; i++)
		zcache_class_clear(&zcache->classes[i]);
	zcache_table_clear(&zcache->table);
	zcache->lz4_bytes = zcache->object_frames = 0;
	spin_unlock(&zcache->lock);
}

void zcache_destroy(struct zcache *zcache)
{
	zcache_clear(zcache);
	frame_free_run(platform_va_frame(zcache), zcache->frame_count);
}

/* --- In and out --- */

/* Give up the place at the top of a class. Lock held. */
static void class_pop(struct zcache *zcache, struct zcache_class *class)
{
	u64 frames = class->frames;

	zcache_class_pop(class);
	zcache->object_frames -= frames - class->frames;
}

/* Keep what lies in this CPU's work memory. Lock held. */
static err_t enter(struct zcache *zcache, u32 gfn, u32 lz4_bytes, u32 *handle)
{
	struct zcache_class *class = &zcache->classes[zcache_class_index(lz4_bytes)];
	struct zcache_packed *packed = zcache_work();
	struct zcache_place place;
	u32 class_frames = zcache_class_is_full(class);
	u32 table_frames = zcache_table_is_full(&zcache->table);
	err_t err;

	if (zcache->object_frames + zcache->table.frames + class_frames + table_frames >
			zcache->most_frames ||
		zcache->table.objects == zcache->page_count)
		return E_LIMIT;
	err = zcache_class_push(class, &place);
	if (err)
		return err;
	zcache->object_frames += class_frames;
	err = zcache_table_add(&zcache->table, gfn, lz4_bytes, place, handle);
	if (err) {
		class_pop(zcache, class);
		return err;
	}
	packed->handle = *handle;
	zcache_class_write(class, place, packed, ZCACHE_PACKED_HEAD + lz4_bytes);
	zcache->lz4_bytes += lz4_bytes;
	return 0;
}

err_t zcache_store(struct zcache *zcache, gfn_t gfn, pfn_t frame, u64 *handle)
{
	struct zcache_figures *figures = &zcache->figures;
	u32 lz4_bytes, entered;
	err_t err = E_RANGE;

	if (gfn.v <= UINT32_MAX)
		err = zcache_pack(platform_frame_va(frame), zcache_work(), &lz4_bytes);
	if (err) {
		stats_add(&figures->refused_size, 1);
		return err;
	}
	spin_lock(&zcache->lock);
	err = enter(zcache, (u32)gfn.v, lz4_bytes, &entered);
	spin_unlock(&zcache->lock);
	if (err) {
		stats_add(err == E_LIMIT ? &figures->refused_quota : &figures->refused_nomem, 1);
		return err;
	}
	stats_add(&figures->stored, 1);
	*handle = entered;
	return 0;
}

/* Copy an object to this CPU's work memory; returns the length of what LZ4 made. Lock held. */
static u32 fetch(struct zcache *zcache, u64 handle)
{
	const struct zcache_entry *entry = zcache_table_entry(&zcache->table, handle);
	u32 lz4_bytes = zcache_entry_lz4_bytes(entry);

	zcache_class_read(&zcache->classes[zcache_class_index(lz4_bytes)],
		zcache_entry_place(entry), zcache_work(), ZCACHE_PACKED_HEAD + lz4_bytes);
	return lz4_bytes;
}

err_t zcache_load(struct zcache *zcache, u64 handle, pfn_t to)
{
	const struct zcache_packed *packed = zcache_work();
	u32 lz4_bytes;
	err_t err;

	spin_lock(&zcache->lock);
	lz4_bytes = fetch(zcache, handle);
	spin_unlock(&zcache->lock);
	err = zcache_unpack(packed->checksum, packed->lz4, lz4_bytes, platform_frame_va(to));
	stats_add(err ? &zcache->figures.corrupt : &zcache->figures.loaded, 1);
	return err;
}

/* The last object of the class goes to @hole, which is of the same. Lock held. */
static void fill_hole(struct zcache *zcache, struct zcache_class *class, struct zcache_place hole)
{
	struct zcache_place last = zcache_class_last(class);
	struct zcache_entry *entry;
	u32 handle, lz4_bytes;

	if (last.frame.v != hole.frame.v || last.end != hole.end) {
		zcache_class_read(class, last, &handle, sizeof(handle));
		entry = zcache_table_entry(&zcache->table, handle);
		lz4_bytes = zcache_entry_lz4_bytes(entry);
		zcache_class_move(class, hole, last, ZCACHE_PACKED_HEAD + lz4_bytes);
		zcache_entry_set(entry, lz4_bytes, hole);
	}
	class_pop(zcache, class);
}

void zcache_drop(struct zcache *zcache, u64 handle)
{
	struct zcache_entry *entry;
	struct zcache_place place;
	u32 lz4_bytes;

	spin_lock(&zcache->lock);
	entry = zcache_table_entry(&zcache->table, handle);
	lz4_bytes = zcache_entry_lz4_bytes(entry);
	place = zcache_entry_place(entry);
	zcache_table_remove(&zcache->table, (u32)handle);
	fill_hole(zcache, &zcache->classes[zcache_class_index(lz4_bytes)], place);
	zcache->lz4_bytes -= lz4_bytes;
	spin_unlock(&zcache->lock);
	stats_add(&zcache->figures.dropped, 1);
}

/* --- Write-out --- */

static u32 object_bytes(u32 lz4_bytes)
{
	return sizeof(u32) + lz4_bytes;
}

bool zcache_coldest(struct zcache *zcache, struct zcache_object *out)
{
	struct zcache_table *table = &zcache->table;
	const struct zcache_entry *entry;
	u32 oldest;

	spin_lock(&zcache->lock);
	oldest = table->ends.newer;
	if (oldest) {
		entry = zcache_table_entry(table, oldest);
		*out = (struct zcache_object){.handle = oldest,
			.gfn = GFN(entry->gfn),
			.bytes = object_bytes(zcache_entry_lz4_bytes(entry))};
		zcache_table_make_youngest(table, oldest);
	}
	spin_unlock(&zcache->lock);
	return oldest != 0;
}

u32 zcache_copy(struct zcache *zcache, u64 handle, pfn_t to)
{
	u8 *page = platform_frame_va(to);
	u32 bytes;

	spin_lock(&zcache->lock);
	bytes = object_bytes(fetch(zcache, handle));
	zcache_table_leave_order(&zcache->table, (u32)handle);
	spin_unlock(&zcache->lock);
	memcpy(page, &zcache_work()->checksum, bytes);
	memset(page + bytes, 0, PAGE_BYTES - bytes);
	return bytes;
}

void zcache_put_back(struct zcache *zcache, u64 handle)
{
	spin_lock(&zcache->lock);
	zcache_table_make_youngest(&zcache->table, (u32)handle);
	spin_unlock(&zcache->lock);
}

void zcache_figures(struct zcache *zcache, struct zcache_figures *out)
{
	spin_lock(&zcache->lock);
	*out = zcache->figures;
	out->object_frames = zcache->object_frames;
	out->frames = zcache->object_frames + zcache->table.frames;
	out->most_frames = zcache->most_frames;
	out->objects = zcache->table.objects;
	out->lz4_bytes = zcache->lz4_bytes;
	spin_unlock(&zcache->lock);
}

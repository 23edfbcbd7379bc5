/*
 * The compression cache: see zcache.h. The parts: zcache_codec.c makes objects of pages,
 * zcache_class.c is their storage, zcache_hole.c what is left of it when they go, zcache_table.c
 * their handles and order.
 */
#include "mm/zcache/zcache_private.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/stats.h"
#include "mm/base/check.h"
#include "mm/base/str.h"

/* Holes that are filled before a page is refused. */
#define HOLES_FOR_ROOM 16u

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
	zcache->lz4_bytes = zcache->object_frames = zcache->holes = 0;
	spin_unlock(&zcache->lock);
}

void zcache_destroy(struct zcache *zcache)
{
	zcache_clear(zcache);
	frame_free_run(platform_va_frame(zcache), zcache->frame_count);
}

/* --- In and out --- */

/* An object's entry; a handle that is not in use is a bug of the hypervisor's. Lock held. */
static struct zcache_entry *object_entry(const struct zcache *zcache, u64 handle)
{
	struct zcache_entry *entry = zcache_table_entry(&zcache->table, handle);

	CHECK(!(entry->where & ZCACHE_ENTRY_HOLE));
	return entry;
}

/* For one more object on top of the class. */
static bool has_room(const struct zcache *zcache, const struct zcache_class *class)
{
	u64 frames = zcache->object_frames + zcache->table.frames;

	frames += zcache_class_is_full(class);
	frames += zcache_table_is_full(&zcache->table);
	return frames <= zcache->most_frames && zcache->table.objects < zcache->page_count;
}

/* A place on top of the class, and an entry. Lock held. */
static err_t add_place(
	struct zcache *zcache, struct zcache_class *class, u32 gfn, u32 lz4_bytes, u32 *handle)
{
	struct zcache_place place;
	u32 class_frames;
	err_t err;

	if (!has_room(zcache, class))
		zcache_holes_fill(zcache, HOLES_FOR_ROOM);
	if (!has_room(zcache, class))
		return E_LIMIT;
	class_frames = zcache_class_is_full(class);
	err = zcache_class_push(class, &place);
	if (err)
		return err;
	zcache->object_frames += class_frames;
	err = zcache_table_add(&zcache->table, gfn, lz4_bytes, place, handle);
	if (err)
		zcache_place_pop(zcache, class);
	return err;
}

/* Keep what lies in this CPU's work memory. Lock held. */
static err_t enter(struct zcache *zcache, u32 gfn, u32 lz4_bytes, u32 *handle)
{
	struct zcache_class *class = &zcache->classes[zcache_class_index(lz4_bytes)];
	struct zcache_packed *packed = zcache_work();
	struct zcache_entry *entry;
	err_t err;

	if (class->hole) {
		*handle = zcache_hole_reuse(zcache, class);
		entry = zcache_table_entry(&zcache->table, *handle);
		entry->gfn = gfn;
		zcache_entry_set(entry, lz4_bytes, zcache_entry_place(entry));
		zcache_table_make_youngest(&zcache->table, *handle);
	} else {
		err = add_place(zcache, class, gfn, lz4_bytes, handle);
		if (err)
			return err;
		entry = zcache_table_entry(&zcache->table, *handle);
	}
	packed->handle = *handle;
	zcache_class_write(
		class, zcache_entry_place(entry), packed, ZCACHE_PACKED_HEAD + lz4_bytes);
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
	figures->stored += err == 0;
	figures->refused_quota += err == E_LIMIT;
	figures->refused_nomem += err == E_NOMEM;
	spin_unlock(&zcache->lock);
	if (err)
		return err;
	*handle = entered;
	return 0;
}

/*
 * The object behind @entry: where it lies, or in this CPU's work memory if it lies in two pieces.
 * Lock held.
 */
static const struct zcache_packed *view(
	const struct zcache *zcache, const struct zcache_entry *entry, u32 *lz4_bytes)
{
	*lz4_bytes = zcache_entry_lz4_bytes(entry);
	return zcache_class_view(&zcache->classes[zcache_class_index(*lz4_bytes)],
		zcache_entry_place(entry), zcache_work(), ZCACHE_PACKED_HEAD + *lz4_bytes);
}

/* Decompress; lock held before and after, not meanwhile. */
static err_t load(struct zcache *zcache, u64 handle, pfn_t to, struct zcache_entry **out)
{
	struct zcache_entry *entry = object_entry(zcache, handle);
	const struct zcache_packed *packed;
	u32 lz4_bytes;
	err_t err;

	/* It is read where it lies: whoever fills holes lets it be. Its entry stays where it is. */
	entry->where |= ZCACHE_ENTRY_HELD;
	packed = view(zcache, entry, &lz4_bytes);
	spin_unlock(&zcache->lock);
	err = zcache_unpack(packed->checksum, packed->lz4, lz4_bytes, platform_frame_va(to));
	if (err)
		stats_add(&zcache->figures.corrupt, 1);
	spin_lock(&zcache->lock);
	entry->where &= ~ZCACHE_ENTRY_HELD;
	*out = entry;
	return err;
}

err_t zcache_load(struct zcache *zcache, u64 handle, pfn_t to)
{
	struct zcache_entry *entry;
	err_t err;

	spin_lock(&zcache->lock);
	err = load(zcache, handle, to, &entry);
	zcache->figures.loaded += !err;
	spin_unlock(&zcache->lock);
	return err;
}

err_t zcache_take(struct zcache *zcache, u64 handle, pfn_t to)
{
	struct zcache_entry *entry;
	err_t err;

	spin_lock(&zcache->lock);
	err = load(zcache, handle, to, &entry);
	if (!err)
		zcache_hole_make(zcache, (u32)handle, entry);
	zcache->figures.taken += !err;
	spin_unlock(&zcache->lock);
	return err;
}

void zcache_drop(struct zcache *zcache, u64 handle)
{
	spin_lock(&zcache->lock);
	zcache_hole_make(zcache, (u32)handle, object_entry(zcache, handle));
	zcache->figures.dropped++;
	spin_unlock(&zcache->lock);
}

void zcache_compact(struct zcache *zcache, u32 count)
{
	spin_lock(&zcache->lock);
	zcache_holes_fill(zcache, count);
	spin_unlock(&zcache->lock);
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
	const struct zcache_packed *packed;
	u8 *page = platform_frame_va(to);
	u32 lz4_bytes, bytes;

	spin_lock(&zcache->lock);
	packed = view(zcache, object_entry(zcache, handle), &lz4_bytes);
	bytes = object_bytes(lz4_bytes);
	memcpy(page, &packed->checksum, bytes);
	zcache_table_leave_order(&zcache->table, (u32)handle);
	spin_unlock(&zcache->lock);
	memset(page + bytes, 0, PAGE_BYTES - bytes);
	return bytes;
}

void zcache_put_back(struct zcache *zcache, u64 handle)
{
	spin_lock(&zcache->lock);
	object_entry(zcache, handle);
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
	out->objects = zcache_objects(zcache);
	out->holes = zcache->holes;
	out->lz4_bytes = zcache->lz4_bytes;
	spin_unlock(&zcache->lock);
}

/* Every invariant of a cache: zcache_audit(). */
#include "mm/zcache/zcache_private.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/base/log.h"

struct tally {
	u64 objects, holes, lz4_bytes, object_frames, table_frames, bad;
};

static void expect(struct tally *tally, bool holds, const char *what, u64 which)
{
	if (holds)
		return;
	tally->bad++;
	log_error("zcache: %s (%llx)", what, (unsigned long long)which);
}

static void frame_check(struct tally *tally, pfn_t frame)
{
	expect(tally, frame_is_ram(frame) && frame_kind(frame) == FRAME_ZCACHE,
		"a frame that is not the cache's", frame.v);
}

static void object_check(struct tally *tally, const struct zcache *zcache,
	const struct zcache_class *class, struct zcache_place place)
{
	struct zcache_packed *packed = zcache_work();
	const struct zcache_entry *entry;
	struct zcache_place told;
	u32 lz4_bytes;
	bool fits;

	zcache_class_read(class, place, packed, ZCACHE_PACKED_HEAD);
	entry = zcache_table_entry(&zcache->table, packed->handle);
	told = zcache_entry_place(entry);
	lz4_bytes = zcache_entry_lz4_bytes(entry);
	fits = class == &zcache->classes[zcache_class_index(lz4_bytes)];
	expect(tally, told.frame.v == place.frame.v && told.end == place.end,
		"an object that lies elsewhere than its entry says", packed->handle);
	expect(tally, fits, "an object in a class of another size", packed->handle);
	expect(tally, !(entry->where & ZCACHE_ENTRY_HELD), "an object that is held",
		packed->handle);
	if (entry->where & ZCACHE_ENTRY_HOLE)
		tally->holes++;
	if (!fits || (entry->where & ZCACHE_ENTRY_HOLE))
		return;
	zcache_class_read(class, place, packed, ZCACHE_PACKED_HEAD + lz4_bytes);
	expect(tally, zcache_checksum(packed->lz4, lz4_bytes) == packed->checksum,
		"an object with a wrong checksum", packed->handle);
	tally->objects++;
	tally->lz4_bytes += lz4_bytes;
}

/* From the top down: each object, and that the lowest begins where the lowest frame does. */
static void class_check(
	struct tally *tally, const struct zcache *zcache, const struct zcache_class *class)
{
	struct zcache_place place = zcache_class_last(class);
	u64 frames = 0, holes = 0, holes_before = tally->holes;
	pfn_t seen = PFN_NONE;

	while (!pfn_is_none(place.frame)) {
		if (place.frame.v != seen.v) {
			frame_check(tally, place.frame);
			frames++;
		}
		seen = place.frame;
		object_check(tally, zcache, class, place);
		place = zcache_class_below(class, place);
	}
	expect(tally, place.end == PAGE_BYTES, "a class that begins inside a frame", class->bytes);
	expect(tally, frames == class->frames, "a class with a wrong count of frames",
		class->bytes);
	for (u32 hole = class->hole; hole && holes <= zcache->holes; holes++)
		hole = zcache_table_entry(&zcache->table, hole)->newer;
	expect(tally, holes == tally->holes - holes_before, "a class with a wrong list of holes",
		class->bytes);
	tally->object_frames += frames;
}

static void table_frame_check(struct tally *tally, const struct zcache_table_frame *at, u32 number)
{
	const struct zcache_entry *entries = platform_frame_va(at->frame);
	u32 used = 0, next = at->first_free;

	frame_check(tally, at->frame);
	for (u32 i = 0; i < ZCACHE_TABLE_FRAME_ENTRIES; i++)
		used += entries[i].where != 0;
	expect(tally, used == at->used && used > 0, "a table frame with a wrong count", number);
	for (; used < ZCACHE_TABLE_FRAME_ENTRIES; used++) {
		if (next >= ZCACHE_TABLE_FRAME_ENTRIES || entries[next].where != 0) {
			expect(tally, false, "a list of free entries that is broken", number);
			return;
		}
		next = entries[next].newer;
	}
	tally->table_frames++;
}

/* The queue of table frames with room, and the order of objects: rings, intact both ways. */
static void rings_check(struct tally *tally, const struct zcache *zcache)
{
	const struct zcache_table *table = &zcache->table;
	const struct zcache_table_frame *directory = table->directory;
	u64 with_room = 0, queued = 0, in_order = 0;
	u32 last = 0;

	for (u32 number = 1; number < table->fresh; number++)
		with_room += !pfn_is_none(directory[number].frame) &&
			     directory[number].used < ZCACHE_TABLE_FRAME_ENTRIES;
	for (u32 number = directory[0].next; number && queued <= with_room; queued++) {
		expect(tally, directory[number].prev == last, "a broken queue of frames", number);
		last = number;
		number = directory[number].next;
	}
	expect(tally, queued == with_room, "frames with room that are not in the queue", queued);
	last = 0;
	for (u32 handle = table->ends.newer; handle && in_order <= table->objects; in_order++) {
		const struct zcache_entry *entry = zcache_table_entry(table, handle);

		expect(tally, entry->older == last, "a broken order of objects", handle);
		last = handle;
		handle = entry->newer;
	}
	expect(tally, in_order <= table->objects && table->ends.older == last,
		"an order without an end", in_order);
}

bool zcache_audit(struct zcache *zcache)
{
	const struct zcache_table *table = &zcache->table;
	struct tally tally = {0};

	for (u32 number = 1; number < table->fresh; number++) {
		if (!pfn_is_none(table->directory[number].frame))
			table_frame_check(&tally, &table->directory[number], number);
	}
	for (u32 i = 0; i < ZCACHE_CLASSES; i++)
		class_check(&tally, zcache, &zcache->classes[i]);
	rings_check(&tally, zcache);
	expect(&tally, tally.objects == zcache_objects(zcache), "objects in storage",
		tally.objects);
	expect(&tally, tally.holes == zcache->holes, "holes in storage", tally.holes);
	expect(&tally, tally.lz4_bytes == zcache->lz4_bytes, "bytes in storage", tally.lz4_bytes);
	expect(&tally, tally.object_frames == zcache->object_frames, "frames of objects",
		tally.object_frames);
	expect(&tally, tally.table_frames == table->frames, "frames of the table",
		tally.table_frames);
	expect(&tally, tally.object_frames + tally.table_frames <= zcache->most_frames,
		"more frames than the quota", zcache->most_frames);
	return tally.bad == 0;
}

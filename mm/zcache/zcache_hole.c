/*
 * Holes: the places of objects that were dropped. A hole keeps its entry in the table, in a list of
 * its class, until a new object of that size takes the place, or the last object of the class is
 * moved there; then the class is a place shorter.
 *
 * A fault that takes a page out of the cache leaves a hole; holes are filled before pages are put
 * in, and when there is time. If nobody does, there are so many at last that each one that is made
 * is paid for by filling one.
 */
#include "mm/zcache/zcache_private.h"

/* More than so many holes are not left, whoever forgets about them. */
static u64 holes_most(const struct zcache *zcache)
{
	return 256 + zcache_objects(zcache) / 32;
}

void zcache_place_pop(struct zcache *zcache, struct zcache_class *class)
{
	u64 frames = class->frames;

	zcache_class_pop(class);
	zcache->object_frames -= frames - class->frames;
}

void zcache_hole_make(struct zcache *zcache, u32 handle, struct zcache_entry *entry)
{
	u32 lz4_bytes = zcache_entry_lz4_bytes(entry);

	zcache->lz4_bytes -= lz4_bytes;
	zcache_table_leave_order(&zcache->table, handle);
	entry->where |= ZCACHE_ENTRY_HOLE;
	zcache_table_push(
		&zcache->table, &zcache->classes[zcache_class_index(lz4_bytes)].hole, handle);
	zcache->holes++;
	/* Two: as objects go, the limit falls. */
	if (zcache->holes > holes_most(zcache))
		zcache_holes_fill(zcache, 2);
}

u32 zcache_hole_reuse(struct zcache *zcache, struct zcache_class *class)
{
	u32 handle = class->hole;

	zcache_table_pull(&zcache->table, &class->hole, handle);
	zcache->holes--;
	return handle;
}

/* The class, which has a hole, becomes a place shorter. False: its last object must still stay. */
static bool shorten(struct zcache *zcache, struct zcache_class *class)
{
	struct zcache_place last = zcache_class_last(class), to;
	struct zcache_entry *entry;
	u32 handle, hole, lz4_bytes;

	zcache_class_read(class, last, &handle, sizeof(handle));
	entry = zcache_table_entry(&zcache->table, handle);
	if (entry->where & ZCACHE_ENTRY_HELD)
		return false;
	hole = entry->where & ZCACHE_ENTRY_HOLE ? handle : class->hole;
	if (hole != handle) {
		to = zcache_entry_place(zcache_table_entry(&zcache->table, hole));
		lz4_bytes = zcache_entry_lz4_bytes(entry);
		zcache_class_move(class, to, last, ZCACHE_PACKED_HEAD + lz4_bytes);
		zcache_entry_set(entry, lz4_bytes, to);
	}
	zcache_table_pull(&zcache->table, &class->hole, hole);
	zcache_table_remove(&zcache->table, hole);
	zcache->holes--;
	zcache_place_pop(zcache, class);
	return true;
}

void zcache_holes_fill(struct zcache *zcache, u32 count)
{
	for (u32 i = 0; i < ZCACHE_CLASSES && count && zcache->holes; i++) {
		struct zcache_class *class = &zcache->classes[zcache->cursor];

		while (count && class->hole && shorten(zcache, class))
			count--;
		if (count)
			zcache->cursor = (zcache->cursor + 1) % ZCACHE_CLASSES;
	}
}

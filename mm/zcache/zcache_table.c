/* Entries, the frames they lie in, and their order: see zcache_table.h. */
#include "mm/zcache/zcache_table.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/base/check.h"

/* A handle: the frame's number, and the entry's. */
#define HANDLE_SHIFT 8
#define HANDLE_INDEX BITS(HANDLE_SHIFT - 1, 0)
#define NUMBER_MAX   BITS(31 - HANDLE_SHIFT, 0)
_Static_assert(ZCACHE_TABLE_FRAME_ENTRIES <= BIT(HANDLE_SHIFT), "an entry's number in a handle");

/* An entry's .where: 63:62 flags, 56:45 length, 44:36 end of the place in steps, 35:0 its frame. */
#define WHERE_FRAME       BITS(35, 0)
#define WHERE_END_SHIFT   36
#define WHERE_END         BITS(44, WHERE_END_SHIFT)
#define WHERE_BYTES_SHIFT 45
#define WHERE_BYTES       BITS(56, WHERE_BYTES_SHIFT)

u64 zcache_table_directory_bytes(u64 objects)
{
	u64 frames = objects / ZCACHE_TABLE_FRAME_ENTRIES + 1;

	return (min(frames, NUMBER_MAX) + 1) * sizeof(struct zcache_table_frame);
}

void zcache_table_init(struct zcache_table *table, struct zcache_table_frame *directory)
{
	directory[0].prev = directory[0].next = 0;
	*table = (struct zcache_table){.directory = directory, .fresh = 1};
}

void zcache_table_clear(struct zcache_table *table)
{
	for (u32 number = 1; number < table->fresh; number++) {
		if (!pfn_is_none(table->directory[number].frame))
			frame_free(table->directory[number].frame);
	}
	zcache_table_init(table, table->directory);
}

/* --- Entries --- */

static struct zcache_entry *entries_of(const struct zcache_table *table, u32 number)
{
	return platform_frame_va(table->directory[number].frame);
}

struct zcache_entry *zcache_table_entry(const struct zcache_table *table, u64 handle)
{
	u64 number = handle >> HANDLE_SHIFT, index = handle & HANDLE_INDEX;
	struct zcache_entry *entry;

	CHECK(number > 0 && number < table->fresh && index < ZCACHE_TABLE_FRAME_ENTRIES);
	CHECK(!pfn_is_none(table->directory[number].frame));
	entry = &entries_of(table, (u32)number)[index];
	CHECK(entry->where != 0);
	return entry;
}

u32 zcache_entry_lz4_bytes(const struct zcache_entry *entry)
{
	return (u32)((entry->where & WHERE_BYTES) >> WHERE_BYTES_SHIFT);
}

struct zcache_place zcache_entry_place(const struct zcache_entry *entry)
{
	return (struct zcache_place){.frame = PFN(entry->where & WHERE_FRAME),
		.end = (u32)((entry->where & WHERE_END) >> WHERE_END_SHIFT) * ZCACHE_STEP_BYTES};
}

void zcache_entry_set(struct zcache_entry *entry, u32 lz4_bytes, struct zcache_place place)
{
	entry->where = (u64)lz4_bytes << WHERE_BYTES_SHIFT |
		       (u64)(place.end / ZCACHE_STEP_BYTES) << WHERE_END_SHIFT | place.frame.v;
}

/* --- The order: a ring through table->ends, whose handle is 0 --- */

static struct zcache_entry *in_ring(struct zcache_table *table, u32 handle)
{
	return handle ? &entries_of(table, handle >> HANDLE_SHIFT)[handle & HANDLE_INDEX]
		      : &table->ends;
}

static void ring_insert_youngest(struct zcache_table *table, u32 handle)
{
	struct zcache_entry *entry = in_ring(table, handle);

	entry->newer = 0;
	entry->older = table->ends.older;
	in_ring(table, entry->older)->newer = handle;
	table->ends.older = handle;
}

void zcache_table_leave_order(struct zcache_table *table, u32 handle)
{
	struct zcache_entry *entry = in_ring(table, handle);

	in_ring(table, entry->older)->newer = entry->newer;
	in_ring(table, entry->newer)->older = entry->older;
	entry->older = entry->newer = handle;
}

void zcache_table_make_youngest(struct zcache_table *table, u32 handle)
{
	zcache_table_leave_order(table, handle);
	ring_insert_youngest(table, handle);
}

void zcache_table_push(struct zcache_table *table, u32 *first, u32 handle)
{
	struct zcache_entry *entry = in_ring(table, handle);

	entry->older = 0;
	entry->newer = *first;
	if (*first)
		in_ring(table, *first)->older = handle;
	*first = handle;
}

void zcache_table_pull(struct zcache_table *table, u32 *first, u32 handle)
{
	struct zcache_entry *entry = in_ring(table, handle);

	if (entry->older)
		in_ring(table, entry->older)->newer = entry->newer;
	else
		*first = entry->newer;
	if (entry->newer)
		in_ring(table, entry->newer)->older = entry->older;
	entry->older = entry->newer = handle;
}

/* --- Frames, and the queue of those with room --- */

static void queue_append(struct zcache_table *table, u32 number)
{
	struct zcache_table_frame *directory = table->directory;

	directory[number].next = 0;
	directory[number].prev = directory[0].prev;
	directory[directory[0].prev].next = number;
	directory[0].prev = number;
}

static void queue_remove(struct zcache_table *table, u32 number)
{
	struct zcache_table_frame *directory = table->directory;

	directory[directory[number].prev].next = directory[number].next;
	directory[directory[number].next].prev = directory[number].prev;
}

bool zcache_table_is_full(const struct zcache_table *table)
{
	return table->directory[0].next == 0;
}

static err_t frame_add(struct zcache_table *table)
{
	pfn_t frame = frame_alloc_zeroed(FRAME_ZCACHE);
	u32 number = table->idle;
	struct zcache_entry *entries;

	if (pfn_is_none(frame))
		return E_NOMEM;
	if (number)
		table->idle = table->directory[number].next;
	else
		number = table->fresh++;
	entries = platform_frame_va(frame);
	for (u32 i = 0; i < ZCACHE_TABLE_FRAME_ENTRIES; i++)
		entries[i].newer = i + 1;
	table->directory[number] = (struct zcache_table_frame){.frame = frame};
	table->frames++;
	queue_append(table, number);
	return 0;
}

static void frame_remove(struct zcache_table *table, u32 number)
{
	struct zcache_table_frame *at = &table->directory[number];

	queue_remove(table, number);
	frame_free(at->frame);
	at->frame = PFN_NONE;
	at->next = table->idle;
	table->idle = number;
	table->frames--;
}

err_t zcache_table_add(
	struct zcache_table *table, u32 gfn, u32 lz4_bytes, struct zcache_place place, u32 *handle)
{
	struct zcache_table_frame *at;
	struct zcache_entry *entry;
	u32 number;

	if (zcache_table_is_full(table)) {
		err_t err = frame_add(table);

		if (err)
			return err;
	}
	number = table->directory[0].next;
	at = &table->directory[number];
	*handle = number << HANDLE_SHIFT | at->first_free;
	entry = in_ring(table, *handle);
	at->first_free = (u8)entry->newer;
	at->used++;
	if (at->used == ZCACHE_TABLE_FRAME_ENTRIES)
		queue_remove(table, number);
	entry->gfn = gfn;
	zcache_entry_set(entry, lz4_bytes, place);
	ring_insert_youngest(table, *handle);
	table->objects++;
	return 0;
}

void zcache_table_remove(struct zcache_table *table, u32 handle)
{
	u32 number = handle >> HANDLE_SHIFT;
	struct zcache_table_frame *at = &table->directory[number];
	struct zcache_entry *entry = zcache_table_entry(table, handle);

	zcache_table_leave_order(table, handle);
	entry->where = 0;
	entry->newer = at->first_free;
	at->first_free = (u8)(handle & HANDLE_INDEX);
	if (at->used == ZCACHE_TABLE_FRAME_ENTRIES)
		queue_append(table, number);
	at->used--;
	table->objects--;
	if (at->used == 0)
		frame_remove(table, number);
}

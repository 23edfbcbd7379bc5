/*
 * The table of a cache's objects, by handle: where each lies, whose it is, and the order of their
 * coming.
 *
 * Entries lie in frames of their own, which come and go; a directory tells which there are. Frames
 * with room for more are in a queue: the first is filled up, so that those behind it run empty, and
 * are freed. A handle is a frame's number in the directory, from 1 on, and an entry's in the frame.
 *
 * Guarded by the cache's lock. Only zcache.c and its audit call this.
 */
#ifndef MM_ZCACHE_ZCACHE_TABLE_H
#define MM_ZCACHE_ZCACHE_TABLE_H

#include "mm/zcache/zcache_class.h"

struct zcache_entry {
	u64 where; /* length, place and flags, by the functions below; 0: the entry is free */
	u32 gfn;
	u32 older, newer; /* handles; its own: not in the order. Of a free entry .newer: the next */
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct zcache_entry) == 20, "what an object costs besides its storage");

#define ZCACHE_TABLE_FRAME_ENTRIES (PAGE_BYTES / sizeof(struct zcache_entry))

/* A directory entry. */
struct zcache_table_frame {
	pfn_t frame;    /* PFN_NONE: it has none now */
	u32 prev, next; /* in the queue; .next also links those that have no frame */
	u8 used;        /* entries in use */
	u8 first_free;  /* entry, if not all are in use */
};

struct zcache_table {
	struct zcache_table_frame *directory; /* by number; [0] is the queue's ends */
	u32 fresh;                            /* numbers from here on were never used */
	u32 idle;                             /* the first of those without a frame; 0: none */
	u32 frames;                           /* that there are now */
	u32 objects;                          /* entries in use */
	struct zcache_entry ends;             /* .newer: the oldest; .older: the youngest */
};

/* Bytes of the directory of a table that never holds more than @objects. */
u64 zcache_table_directory_bytes(u64 objects);
void zcache_table_init(struct zcache_table *table, struct zcache_table_frame *directory);
/* Free all entries and frames. Cost: O(frames). */
void zcache_table_clear(struct zcache_table *table);

/* Will zcache_table_add() need a frame? */
bool zcache_table_is_full(const struct zcache_table *table);

/* An entry for a new object, the youngest. Returns 0 with its handle; E_NOMEM. */
must_check err_t zcache_table_add(
	struct zcache_table *table, u32 gfn, u32 lz4_bytes, struct zcache_place place, u32 *handle);
void zcache_table_remove(struct zcache_table *table, u32 handle);

/* The entry of a handle that is in use; any other handle is a bug of the hypervisor's. */
struct zcache_entry *zcache_table_entry(const struct zcache_table *table, u64 handle);

/* What an entry says of its object. */
u32 zcache_entry_lz4_bytes(const struct zcache_entry *entry);
struct zcache_place zcache_entry_place(const struct zcache_entry *entry);
void zcache_entry_set(struct zcache_entry *entry, u32 lz4_bytes, struct zcache_place place);

/*
 * Of an object that was dropped, whose place is not filled yet; of one that is being read outside
 * of the lock and must stay where it is.
 */
#define ZCACHE_ENTRY_HOLE BIT(63)
#define ZCACHE_ENTRY_HELD BIT(62)

/* Out of the order (again: no change); into it, as the youngest. */
void zcache_table_leave_order(struct zcache_table *table, u32 handle);
void zcache_table_make_youngest(struct zcache_table *table, u32 handle);

/* Lists beside the order, of entries that are not in it: into one, as its first; out of it. */
void zcache_table_push(struct zcache_table *table, u32 *first, u32 handle);
void zcache_table_pull(struct zcache_table *table, u32 *first, u32 handle);

#endif

/*
 * The pool behind the per-CPU caches: which frames are free, by 2 MiB region, so that whole regions
 * stay whole as long as they can and are found at once.
 *
 * Each region has a bitmap of its free frames and stands in one of two lists: partly free, wholly
 * free. Single frames are taken from partly free regions first. Only frame.c calls this.
 */
#ifndef MM_FRAME_FRAME_POOL_H
#define MM_FRAME_FRAME_POOL_H

#include "mm/frame/frame.h"

/* Bytes of the region table for pfns up to @end. */
size_t frame_pool_table_bytes(pfn_t end);

/* Start with nothing free. @table: zero wherever RAM is. */
void frame_pool_init(void *table);

/* Up to @most free frames into @out; how many. Cost: O(@most). Locks: takes FRAMES. */
u32 frame_pool_take(pfn_t *out, u32 most);
/* Add a range that was never in the pool, for start-up. Cost: O(@count / 64). */
void frame_pool_add(pfn_t first, u64 count);

void frame_pool_give(const pfn_t *frames, u32 count);
/* All 512 frames of the region that begins at @first. O(1). */
void frame_pool_give_large(pfn_t first);

/* First of a wholly free region, or PFN_NONE. O(1). */
pfn_t frame_pool_take_large(void);

/* The lowest @count free frames in a row in one of @ranges, or PFN_NONE. Cost: O(memory / 64). */
pfn_t frame_pool_take_run(const struct frame_range *ranges, u32 range_count, u64 count);

bool frame_pool_has(pfn_t pfn);
u64 frame_pool_free_count(void);
u64 frame_pool_large_count(void);

#endif

/*
 * Which frame numbers are RAM: the ranges that the host was booted with. Only frame*.c call this;
 * frame_is_ram() is for all.
 */
#ifndef MM_FRAME_FRAME_RAM_H
#define MM_FRAME_FRAME_RAM_H

#include "mm/frame/frame.h"

/*
 * Keep @ranges, sorted, as a copy in frames of our own, neighbours merged whatever their kind.
 * Once, when all RAM is in the pool.
 */
void frame_ram_keep(const struct frame_range *ranges, u32 range_count);

/* All RAM, sorted; *@count: how many ranges. */
const struct frame_range *frame_ram_ranges(u32 *count);

#endif

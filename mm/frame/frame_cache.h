/*
 * Each CPU's cache of free frames, and its column of the account of frames by kind. Only frame.c
 * calls this.
 *
 * Whoever calls is on the CPU meant and stays there.
 */
#ifndef MM_FRAME_FRAME_CACHE_H
#define MM_FRAME_FRAME_CACHE_H

#include "mm/frame/frame.h"

/* For the boot CPU alone; frame_init_cpus() makes room for all. */
void frame_cache_init(void);

/*
 * A free frame from anywhere, or PFN_NONE: there is none. O(1) unless the pool is empty, then
 * O(CPUs).
 */
pfn_t frame_cache_pop(void);
void frame_cache_push(const pfn_t *frames, u32 count);

/* How many frames all caches hold. */
u64 frame_cache_frames(void);

void frame_account_add(enum frame_kind kind, s64 count);
void frame_account_move(enum frame_kind from, enum frame_kind to, u64 count);
/* Over all CPUs. */
u64 frame_account_sum(enum frame_kind kind);

#endif

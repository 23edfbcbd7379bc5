/*
 * How scarce free memory is, and what may be done about it.
 *
 * The states are bands of free memory below minFree. A band is entered at its upper edge and left
 * only halfway up the next one, so that free memory which hovers around an edge changes nothing.
 * Who reclaims aims higher still, or it would stop just where the state does. All pure.
 */
#ifndef MM_MEMSCHED_MEMSCHED_STATE_H
#define MM_MEMSCHED_MEMSCHED_STATE_H

#include "mm/base/types.h"

enum mem_state { MEM_HIGH, MEM_CLEAR, MEM_SOFT, MEM_HARD, MEM_LOW, MEM_STATE_COUNT };

/* In frames. */
struct mem_levels {
	u64 min_free;
	u64 enter[MEM_STATE_COUNT]; /* a state begins when less is free; [MEM_HIGH]: never read */
	u64 leave[MEM_STATE_COUNT]; /* and ends when so much is */
	u64 aim;                    /* what reclaim strives to have free, in the midst of clear */
	u64 urgent_aim;             /* what compression and swapping do, in the midst of soft */
};

/*
 * The levels of a host of @total_frames. @min_free_pct: of memory (Mem.MemMinFreePct); 0: the
 * sliding scale, 6% of the first 4 GiB, 4% up to 12, 2% up to 28, 1% above. @fixed: 6, 4, 2 and 1%
 * of memory instead.
 */
void mem_levels_set(struct mem_levels *levels, u64 total_frames, u32 min_free_pct, bool fixed);

/* The state for so much free memory after the state @before. */
enum mem_state mem_state_next(
	const struct mem_levels *levels, u64 free_frames, enum mem_state before);

const char *mem_state_name(enum mem_state state);

/* What a state allows. A VM above its limit, or whose balloon cannot be used, is evicted from
 * earlier. */
static inline bool mem_state_balloons(enum mem_state state)
{
	return state >= MEM_SOFT;
}
static inline bool mem_state_evicts(enum mem_state state)
{
	return state >= MEM_HARD;
}
static inline bool mem_state_blocks(enum mem_state state)
{
	return state >= MEM_LOW;
}

#endif

/* Bands of free memory: see memsched_state.h. */
#include "mm/memsched/memsched_state.h"

#define HIGH_MARGIN_PCT 4 /* of minFree: high is far from trouble, and begins again soon */

static u64 frames_of(u64 bytes)
{
	return bytes >> PAGE_SHIFT;
}

static u64 sliding_min_free(u64 total_frames)
{
	static const struct {
		u64 up_to_bytes; /* of the host's memory */
		u32 pct;
	} scale[] = {{GIB(4), 6}, {GIB(12), 4}, {GIB(28), 2}, {~0ull, 1}};
	u64 from = 0, hundredths = 0;

	for (u32 i = 0; i < ARRAY_COUNT(scale) && from < total_frames; i++) {
		u64 to = min(total_frames, frames_of(scale[i].up_to_bytes));

		hundredths += (to - from) * scale[i].pct;
		from = to;
	}
	return hundredths / 100;
}

static u64 midway(u64 a, u64 b)
{
	return a + (b - a) / 2;
}

void mem_levels_set(struct mem_levels *levels, u64 total_frames, u32 min_free_pct, bool fixed)
{
	/* In percent: of minFree; of memory. */
	static const u32 sliding[MEM_STATE_COUNT] = {0, 100, 64, 32, 16};
	static const u32 classic[MEM_STATE_COUNT] = {0, 6, 4, 2, 1};
	const u32 *pct = fixed ? classic : sliding;
	u64 whole = total_frames;

	if (!fixed)
		whole = min_free_pct ? total_frames * min_free_pct / 100
				     : sliding_min_free(total_frames);
	levels->enter[MEM_HIGH] = levels->leave[MEM_HIGH] = 0;
	for (u32 s = MEM_CLEAR; s < MEM_STATE_COUNT; s++)
		levels->enter[s] = whole * pct[s] / 100;
	levels->min_free = levels->enter[MEM_CLEAR];
	levels->leave[MEM_CLEAR] = levels->min_free + levels->min_free * HIGH_MARGIN_PCT / 100;
	for (u32 s = MEM_SOFT; s < MEM_STATE_COUNT; s++)
		levels->leave[s] = midway(levels->enter[s], levels->enter[s - 1]);
	levels->aim = midway(levels->leave[MEM_SOFT], levels->enter[MEM_CLEAR]);
	levels->urgent_aim = midway(levels->leave[MEM_HARD], levels->enter[MEM_SOFT]);
}

enum mem_state mem_state_next(
	const struct mem_levels *levels, u64 free_frames, enum mem_state before)
{
	enum mem_state state = MEM_LOW;

	for (; state > MEM_HIGH; state--) {
		/* A state as bad as the one before ends only at its far edge. */
		const u64 *edges = state <= before ? levels->leave : levels->enter;

		if (free_frames < edges[state])
			break;
	}
	return state;
}

const char *mem_state_name(enum mem_state state)
{
	static const char *const names[MEM_STATE_COUNT] = {
		[MEM_HIGH] = "high",
		[MEM_CLEAR] = "clear",
		[MEM_SOFT] = "soft",
		[MEM_HARD] = "hard",
		[MEM_LOW] = "low",
	};

	return state < MEM_STATE_COUNT ? names[state] : "?";
}

/*
 * Recounts all frames from their records, for tests: the account by kind, the pool and the caches
 * must agree, and each record with itself.
 */
#include "mm/frame/frame.h"
#include "mm/frame/frame_cache.h"
#include "mm/frame/frame_pool.h"
#include "mm/frame/frame_ram.h"
#include "mm/base/log.h"

struct tally {
	u64 by_kind[FRAME_KIND_COUNT];
	u64 in_pool;
	bool sound;
};

/* Is what the table says of one frame consistent? */
static bool is_sound(pfn_t pfn)
{
	u64 count = frame_ref_count(pfn);
	u32 pins = frame_pin_count(pfn);

	switch (frame_kind(pfn)) {
	case FRAME_RESERVED:
		return false;
	case FRAME_FREE:
		return pins == 0 && count == 0;
	case FRAME_ORPHAN:
		return pins != 0 && count == 0 && !frame_pool_has(pfn);
	case FRAME_SHARED:
		return count != 0 && !frame_pool_has(pfn);
	default:
		return count == 1 && !frame_pool_has(pfn);
	}
}

static void count_frame(struct tally *tally, pfn_t pfn)
{
	enum frame_kind kind = frame_kind(pfn);

	tally->by_kind[kind]++;
	tally->in_pool += frame_pool_has(pfn);
	if (is_sound(pfn))
		return;
	log_error("frame %llx: its record is not sound: %s, %llu references, %u pins%s",
		(unsigned long long)pfn.v, frame_kind_name(kind),
		(unsigned long long)frame_ref_count(pfn), frame_pin_count(pfn),
		frame_pool_has(pfn) ? ", in the pool" : "");
	tally->sound = false;
}

/* The account by kind against what was counted. Returns its sum. */
static u64 compare_kinds(struct tally *tally)
{
	u64 total = 0;

	for (u32 kind = 0; kind < FRAME_KIND_COUNT; kind++) {
		u64 told = frame_account_sum(kind);

		total += kind == FRAME_RESERVED ? 0 : told;
		if (tally->by_kind[kind] == told)
			continue;
		log_error("frames: %llu are %s, the account says %llu",
			(unsigned long long)tally->by_kind[kind], frame_kind_name(kind),
			(unsigned long long)told);
		tally->sound = false;
	}
	return total;
}

bool frame_audit(void)
{
	struct tally tally = {.sound = true};
	u64 cached = frame_cache_frames(), total;
	u32 range_count;
	const struct frame_range *ranges = frame_ram_ranges(&range_count);

	for (u32 i = 0; i < range_count; i++) {
		for (u64 k = 0; k < ranges[i].count; k++)
			count_frame(&tally, PFN(ranges[i].first.v + k));
	}
	total = compare_kinds(&tally);
	if (tally.in_pool != frame_pool_free_count() || total != frame_total_count() ||
		tally.in_pool + cached != tally.by_kind[FRAME_FREE]) {
		log_error("frames: pool %llu, caches %llu, free %llu; sum %llu of %llu",
			(unsigned long long)tally.in_pool, (unsigned long long)cached,
			(unsigned long long)tally.by_kind[FRAME_FREE], (unsigned long long)total,
			(unsigned long long)frame_total_count());
		tally.sound = false;
	}
	return tally.sound;
}

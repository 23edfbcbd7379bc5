/*
 * What tests of reclaim share: RAM, a disk that is one swap volume, spaces with a compression cache
 * and a swap file, and guest accesses that wait where they must.
 */
#ifndef TESTS_UNIT_RECLAIM_RIG_H
#define TESTS_UNIT_RECLAIM_RIG_H

#include "mm/reclaim/evict.h"
#include "mm/reclaim/evicted.h"
#include "mm/reclaim/reclaim.h"
#include "mm/reclaim/reclaim_choice.h"
#include "mm/space/space_entry.h"
#include "mm/swap/swap.h"
#include "mm/zcache/zcache.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_blk.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "tests/fake/rng.h"
#include <string.h>

#define RIG_SLOTS 4096u
#define RIG_BLOCK 512u

struct rig {
	struct fake_blk disk;
	struct swap_volume *volume;
	struct frame_account at_start;
};

static struct rig rig;

static void rig_start(u64 frames)
{
	fake_start_plain(2, frames);
	fake_guest_start();
	fake_blk_init(&rig.disk, RIG_BLOCK, (RIG_SLOTS + 1) * (PAGE_BYTES / RIG_BLOCK));
	swap_init();
	assert_int_equal(
		swap_volume_open(&rig.disk.device, 0, rig.disk.device.block_count, "test"), 0);
	rig.volume = swap_volume_first();
	while (swap_volume_state(rig.volume) == SWAP_OPENING)
		fake_blk_run(&rig.disk, 1);
	assert_int_equal(swap_volume_state(rig.volume), SWAP_READY);
	assert_int_equal(reclaim_init(), 0);
	frame_account_get(&rig.at_start);
}

/* Let all that is under way complete. */
static void rig_complete(void)
{
	while (fake_blk_run(&rig.disk, ~0u))
		;
}

static int rig_teardown(void **state)
{
	struct frame_account now;

	(void)state;
	fake_cpu_set(0);
	fake_guest_leave_all();
	rig_complete();
	frame_account_get(&now);
	assert_memory_equal(&now, &rig.at_start, sizeof(now));
	assert_true(frame_audit());
	assert_int_equal(fake_guest_violations(), 0);
	fake_stop();
	fake_blk_free(&rig.disk);
	return 0;
}

static inline struct space *rig_space(const char *name, u64 pages, u64 zip_frames, u64 slots)
{
	struct space_config config = {.name = name,
		.memory_bytes = pages * PAGE_BYTES,
		.format = &slat_ept,
		.vcpu_count = 1,
		.zip_most_frames = zip_frames};
	struct space *space;

	if (slots)
		assert_int_equal(swap_file_create(rig.volume, name, slots, &config.swap), 0);
	assert_int_equal(space_create(&space, &config), 0);
	return space;
}

static inline void rig_end(struct space *space)
{
	fake_guest_leave_all();
	assert_true(space_audit(space));
	space_destroy(space);
}

/* An access that waits where it must, and gets there. Returns how often it waited. */
static inline u32 rig_access(struct space *space, u64 page, u32 access, u64 *value)
{
	gpa_t gpa = gfn_to_gpa(GFN(page));
	enum fault_result result;
	u32 waits = 0;

	while ((result = fake_guest_access(space, gpa, access, value, sizeof(*value))) ==
		FAULT_WAIT) {
		assert_true(++waits < 100);
		rig_complete();
	}
	assert_int_equal(result, FAULT_DONE);
	fake_guest_leave();
	return waits;
}

static inline u64 rig_read(struct space *space, u64 page)
{
	u64 value = ~0ull;

	rig_access(space, page, SLAT_READ, &value);
	return value;
}

static inline void rig_write(struct space *space, u64 page, u64 value)
{
	rig_access(space, page, SLAT_WRITE, &value);
}

/* What pages hold: bytes that LZ4 shrinks, bytes that it does not, one value. */
enum rig_kind { RIG_SMALL, RIG_RANDOM, RIG_VALUE };

static inline void rig_bytes(u64 seed, enum rig_kind kind, u8 *out)
{
	struct rng rng = {seed + 1};

	for (u32 at = 0; at < PAGE_BYTES; at += 8) {
		u64 word = kind == RIG_RANDOM  ? rng_next(&rng)
			   : kind == RIG_VALUE ? (u32)seed * 0x100000001ull
					       : (at % 64 ? 0x2020202020202020ull : seed + at);

		memcpy(out + at, &word, 8);
	}
}

/* A guest fills @page with the bytes of @seed. */
static inline void rig_fill_as(struct space *space, u64 page, u64 seed, enum rig_kind kind)
{
	u8 bytes[PAGE_BYTES];
	pfn_t pfn;

	rig_bytes(seed, kind, bytes);
	fake_guest_leave_all();
	assert_int_equal(space_pin(space, GFN(page), true, &pfn), 0);
	memcpy(platform_frame_va(pfn), bytes, PAGE_BYTES);
	space_unpin(space, pfn);
}

/* ... with its own. */
static inline void rig_fill(struct space *space, u64 page, enum rig_kind kind)
{
	rig_fill_as(space, page, page, kind);
}

/* The page has those bytes: looked at through a pin that waits where it must. */
static inline void rig_verify_as(struct space *space, u64 page, u64 seed, enum rig_kind kind)
{
	u8 bytes[PAGE_BYTES];
	pfn_t pfn;
	err_t err;

	rig_bytes(seed, kind, bytes);
	fake_guest_leave_all();
	while ((err = space_pin(space, GFN(page), false, &pfn)) == E_WAIT)
		rig_complete();
	assert_int_equal(err, 0);
	assert_memory_equal(platform_frame_va(pfn), bytes, PAGE_BYTES);
	space_unpin(space, pfn);
}

static inline void rig_verify(struct space *space, u64 page, enum rig_kind kind)
{
	rig_verify_as(space, page, page, kind);
}

static inline enum page_state rig_state(struct space *space, u64 page)
{
	return space_page_state(space, GFN(page));
}

/* Choose a page as reclaim would, and see it through up to where a command is under way. */
static inline enum evict_taken rig_evict(struct space *space, u64 page)
{
	struct evict_batch batch;

	fake_guest_leave_all();
	evict_begin(&batch, space);
	spin_lock(space_region_lock(space, GFN(page)));
	enum evict_taken taken =
		evict_choose(space, GFN(page), space_page_entry(space, GFN(page)), &batch);
	spin_unlock(space_region_lock(space, GFN(page)));
	evict_flush(&batch);
	assert_true(evict_some(&batch, space, ~0ull));
	return taken;
}

#endif

/* What the tests of swap share: RAM, a disk with a partition in its middle, a ready volume and a
 * file on it. */
#ifndef TESTS_UNIT_SWAP_RIG_H
#define TESTS_UNIT_SWAP_RIG_H

#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/swap/swap.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_blk.h"
#include "tests/fake/fake_platform.h"
#include <string.h>

#define RIG_FRAMES   4096u
#define RIG_BLOCK    512u
#define RIG_PER_SLOT (PAGE_BYTES / RIG_BLOCK)
#define RIG_FIRST    1000u /* block of the partition */
#ifndef RIG_SLOTS
#define RIG_SLOTS 512u
#endif
#define RIG_PARTITION ((RIG_SLOTS + 1) * RIG_PER_SLOT)
#define RIG_DISK      (RIG_FIRST + RIG_PARTITION + 1000u)
#define RIG_UNTOUCHED 0x5a

struct rig {
	struct fake_blk disk;
	struct swap_volume *volume;
	u64 free_frames; /* before any file */
};

static struct rig rig;

/* The disk is full of other people's bytes, the partition's too. */
static void rig_start(void)
{
	fake_start_plain(2, RIG_FRAMES);
	fake_blk_init(&rig.disk, RIG_BLOCK, RIG_DISK);
	memset(rig.disk.data, RIG_UNTOUCHED, RIG_DISK * RIG_BLOCK);
	swap_init();
}

static void rig_stop(void)
{
	assert_true(frame_audit());
	fake_stop();
	fake_blk_free(&rig.disk);
}

/* Open the partition as a boot does. Of what was opened before nothing is known. */
static struct swap_volume *rig_open_part(u64 first_block, u64 block_count)
{
	struct swap_volume *v;

	swap_init();
	assert_int_equal(swap_volume_open(&rig.disk.device, first_block, block_count, "test"), 0);
	v = swap_volume_first();
	while (swap_volume_state(v) == SWAP_OPENING) {
		fake_blk_run(&rig.disk, 1);
		swap_volumes_poll();
	}
	return v;
}

static inline int rig_setup(void **state)
{
	(void)state;
	rig_start();
	rig.volume = rig_open_part(RIG_FIRST, RIG_PARTITION);
	assert_int_equal(swap_volume_state(rig.volume), SWAP_READY);
	rig.free_frames = frame_free_count();
	return 0;
}

static inline int rig_teardown(void **state)
{
	(void)state;
	rig_stop();
	return 0;
}

static inline struct swap_file *rig_file(const char *name, u64 slots)
{
	struct swap_file *file = NULL;

	assert_int_equal(swap_file_create(rig.volume, name, slots, &file), 0);
	return file;
}

/* Is every byte outside the partition what it was? */
static inline bool rig_is_outside_untouched(void)
{
	for (u64 i = 0; i < RIG_DISK * RIG_BLOCK; i++) {
		u64 block = i / RIG_BLOCK;

		if ((block < RIG_FIRST || block >= RIG_FIRST + RIG_PARTITION) &&
			rig.disk.data[i] != RIG_UNTOUCHED)
			return false;
	}
	return true;
}

#endif

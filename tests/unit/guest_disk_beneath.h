/*
 * What a guest's disk stands on in tests: its space, a disk in memory that completes what it was
 * given when the test says so, in any order, or refuses it, and pages that are not in memory when
 * the test says so (the names with __wrap_ stand in for mm's).
 */
#ifndef TESTS_UNIT_GUEST_DISK_BENEATH_H
#define TESTS_UNIT_GUEST_DISK_BENEATH_H

#include "tests/fake/cmocka.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "hv/disk/guest_disk.h"
#include "mm/space/space_peek.h"
#include <string.h>

#define GUEST_BYTES MIB(4)
#define DISK_BYTES  MIB(2)
#define FIRST_BLOCK 40u /* of the partition, on the disk */
#define UNDER_WAY   64u

static struct spinlock lock;
static struct space *space;
static struct guest_disk *disk;
static struct virtio_mmio *mmio;
static bool line;
static err_t failed;
static u32 wants;

/* Of the space's pins, so many are somebody else's while the device looks for some. */
static u64 pins_taken;

static void take_pins(u64 count)
{
	stats_sub(&space->pins, pins_taken);
	pins_taken = count;
	stats_add(&space->pins, pins_taken);
}

/* --- The disk beneath ------------------------------------------------------------------------ */

static u8 blocks[DISK_BYTES];
static struct {
	struct blk_device blk;
	struct blk_request *requests[UNDER_WAY];
	struct blk_segment segments[UNDER_WAY][80];
	u32 count, most;
	u64 reads, writes, flushes, segments_seen;
	err_t result; /* of what completes next */
} beneath;

static err_t beneath_submit(struct blk_device *device, struct blk_request *r)
{
	bool moves = r->op == BLK_READ || r->op == BLK_WRITE;
	u32 n = beneath.count;

	assert_ptr_equal(device, &beneath.blk);
	if (n == beneath.most)
		return E_BUSY;
	if (device->is_dead)
		return E_IO;
	assert_true(r->op == BLK_FLUSH || r->block >= FIRST_BLOCK);
	assert_true((r->block + r->block_count) * device->block_bytes <= DISK_BYTES);
	if (moves) {
		assert_true(blk_segments_are_sound(r, (u64)r->block_count * device->block_bytes));
		assert_true((u64)r->block_count * device->block_bytes <= device->transfer_bytes);
		assert_in_range(r->segment_count, 1, 80);
		memcpy(beneath.segments[n], r->segments, r->segment_count * sizeof(*r->segments));
		beneath.segments_seen += r->segment_count;
	} else if (r->op != BLK_FLUSH) {
		assert_in_range(r->block_count, 1, device->blocks_most);
	}
	beneath.reads += r->op == BLK_READ;
	beneath.writes += r->op == BLK_WRITE;
	beneath.flushes += r->op == BLK_FLUSH;
	beneath.requests[beneath.count++] = r;
	return 0;
}

static void carry_out(const struct blk_request *r, const struct blk_segment *segments)
{
	u8 *at = blocks + r->block * beneath.blk.block_bytes;

	if (r->op == BLK_WRITE_ZEROES)
		memset(at, 0, (size_t)r->block_count * beneath.blk.block_bytes);
	if (r->op != BLK_READ && r->op != BLK_WRITE)
		return;
	for (u32 i = 0; i < r->segment_count; i++) {
		u8 *memory = (u8 *)platform_frame_va(hpa_to_pfn(segments[i].at)) +
			     segments[i].at.v % PAGE_BYTES;

		if (r->op == BLK_READ)
			memcpy(memory, at, segments[i].bytes);
		else
			memcpy(at, memory, segments[i].bytes);
		at += segments[i].bytes;
	}
}

static void complete(u32 n)
{
	struct blk_request *r = beneath.requests[n];

	r->result = beneath.result;
	if (!r->result)
		carry_out(r, beneath.segments[n]);
	beneath.count--;
	beneath.requests[n] = beneath.requests[beneath.count];
	memcpy(beneath.segments[n], beneath.segments[beneath.count], sizeof(beneath.segments[n]));
	r->done(r);
}

static const struct blk_ops beneath_ops = {.submit = beneath_submit};

/* --- Pages that are not in memory ------------------------------------------------------------ */

#define PAGES (GUEST_BYTES / PAGE_BYTES)

enum where { IN_MEMORY, ZIPPED, SWAPPED, BEING_READ };

static struct {
	enum where where[PAGES];
	bool holds_others; /* what is not in memory is not what the test sees there, but OTHER */
	struct {
		struct space_peek *peek;
		gfn_t gfn;
	} under_way[32];
	u32 count, peeks, overwrites;
} absent;
#define OTHER 0xd7

static void copy_absent(gfn_t gfn, pfn_t to)
{
	u8 *at = platform_frame_va(to);
	u64 taken = pins_taken;
	pfn_t from;

	memset(at, OTHER, PAGE_BYTES);
	if (absent.holds_others)
		return;
	take_pins(0);
	assert_int_equal(space_pin(space, gfn, false, &from), 0);
	memcpy(at, platform_frame_va(from), PAGE_BYTES);
	space_unpin(space, from);
	take_pins(taken);
}

err_t __wrap_space_peek(struct space *of, gfn_t gfn, struct space_peek *peek);
err_t __wrap_space_peek(struct space *of, gfn_t gfn, struct space_peek *peek)
{
	assert_ptr_equal(of, space);
	if (!space_is_ram(of, gfn))
		return E_RANGE;
	/* Whoever brings the page after this look must see that it is waited for. */
	assert_true(wants & GUEST_DISK_AT_WORK);
	switch (absent.where[gfn.v]) {
	case IN_MEMORY:
		return E_EXIST;
	case ZIPPED:
		copy_absent(gfn, peek->to);
		absent.peeks++;
		return 0;
	case BEING_READ:
		return E_BUSY;
	case SWAPPED:
		break;
	}
	assert_in_range(absent.count, 0, 31);
	absent.under_way[absent.count].peek = peek;
	absent.under_way[absent.count++].gfn = gfn;
	absent.peeks++;
	return E_WAIT;
}

static inline void complete_peek(u32 n, err_t result)
{
	struct space_peek *peek = absent.under_way[n].peek;

	if (!result)
		copy_absent(absent.under_way[n].gfn, peek->to);
	absent.under_way[n] = absent.under_way[--absent.count];
	peek->done(peek, result);
}

enum page_state __wrap_space_page_state(struct space *of, gfn_t gfn);
enum page_state __wrap_space_page_state(struct space *of, gfn_t gfn)
{
	(void)of;
	return gfn.v < PAGES && absent.where[gfn.v] == SWAPPED ? PAGE_SWAPPED : PAGE_PRIVATE;
}

err_t __wrap_space_pin_overwrite(struct space *of, gfn_t gfn, pfn_t *out);
err_t __wrap_space_pin_overwrite(struct space *of, gfn_t gfn, pfn_t *out)
{
	absent.overwrites++;
	return space_pin(of, gfn, true, out);
}

#endif

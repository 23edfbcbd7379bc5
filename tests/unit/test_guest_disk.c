/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c hv/disk/guest_disk.c
   hv/disk/guest_disk_slot.c hv/disk/guest_disk_data.c hv/memory/guest_mem.c
   hv/vdev/virtio_queue.c hv/vdev/virtio_mmio.c hv/vdev/virtio_blk.c mm LIBS:
   -Wl,--wrap=space_peek -Wl,--wrap=space_page_state -Wl,--wrap=space_pin_overwrite */
/*
 * A guest's disk from the driver's side: a small driver speaks to its registers and rings, beneath
 * is a disk in memory that completes what it was given when the test says so, in any order, or
 * refuses it. Which pages are in memory, the test says as well (the names with __wrap_ stand in for
 * mm's). What lies on the disk and in the guest's memory afterwards must be what a naive model
 * says.
 */
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "tests/fake/rng.h"
#include "hv/disk/guest_disk.h"
#include "hv/memory/guest_mem.h"
#include "mm/space/space_peek.h"
#include <string.h>

#define GUEST_BYTES MIB(4)
#define DISK_BYTES  MIB(2)
#define FIRST_BLOCK 40u /* of the partition, on the disk */
#define QUEUE_SIZE  16u
#define UNDER_WAY   64u

/* Where the driver keeps its things in the guest's memory. */
#define DESC_GPA   0x1000u
#define AVAIL_GPA  0x2ffeu /* across a page's end */
#define USED_GPA   0x4ffcu
#define TABLES_GPA 0x8000u /* indirect tables, a page for each head */
#define HEADER_GPA 0x20000u
#define DATA_GPA   0x100000u

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, ZEROES = 13 };
#define FEATURES_ALL                                                                               \
	(VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_DISCARD | \
		VIRTIO_BLK_F_WRITE_ZEROES)

struct descriptor {
	u64 gpa;
	u32 bytes;
	u16 flags, next;
};

static struct spinlock lock;
static struct space *space;
static struct guest_disk *disk;
static struct virtio_mmio *mmio;
static bool line;
static err_t failed;
static u32 wants;
static u16 available, used;

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

static void complete_peek(u32 n, err_t result)
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

/* --- The driver ------------------------------------------------------------------------------ */

static void put(u64 gpa, const void *from, size_t bytes)
{
	u64 taken = pins_taken;

	take_pins(0);
	assert_int_equal(guest_mem_write(space, GPA(gpa), from, bytes), 0);
	take_pins(taken);
}

static void get(u64 gpa, void *to, size_t bytes)
{
	u64 taken = pins_taken;

	take_pins(0);
	assert_int_equal(guest_mem_read(space, GPA(gpa), to, bytes), 0);
	take_pins(taken);
}

static err_t write_register(u32 offset, u32 value)
{
	u64 wide = value;
	err_t err;

	spin_lock(&lock);
	err = virtio_mmio_access(mmio, offset, 4, true, &wide);
	spin_unlock(&lock);
	return err;
}

static u32 read_register(u32 offset)
{
	u64 value;

	assert_int_equal(virtio_mmio_access(mmio, offset, 4, false, &value), 0);
	return (u32)value;
}

#define set(offset, value) assert_int_equal(write_register(offset, value), 0)

static void negotiate_after_reset(u64 features)
{
	assert_int_equal(read_register(0x70), 0);
	set(0x70, 3);
	for (u32 page = 0; page < 2; page++) {
		set(0x24, page);
		set(0x20, (u32)(features >> (32 * page)));
	}
	set(0x70, 3 | 8);
}

static void negotiate(u64 features)
{
	set(0x70, 0);
	negotiate_after_reset(features);
}

static void set_area(u32 offset, u64 gpa)
{
	set(offset, (u32)gpa);
	set(offset + 4, (u32)(gpa >> 32));
}

static void driver_start_after_reset(u64 features)
{
	u8 nothing[512] = {0};

	negotiate_after_reset(features);
	assert_int_equal(read_register(0x70), 3 | 8);
	put(AVAIL_GPA, nothing, 4 + 2 * QUEUE_SIZE);
	put(USED_GPA, nothing, 4 + 8 * QUEUE_SIZE);
	set(0x30, 0);
	assert_int_equal(read_register(0x34), VIRTQUEUE_SIZE_MAX);
	set(0x38, QUEUE_SIZE);
	set_area(0x80, DESC_GPA);
	set_area(0x90, AVAIL_GPA);
	set_area(0xa0, USED_GPA);
	set(0x44, 1);
	set(0x70, 3 | 8 | 4);
	available = used = 0;
}

static void driver_start(u64 features)
{
	set(0x70, 0);
	driver_start_after_reset(features);
}

static void work(void)
{
	spin_lock(&lock);
	guest_disk_work(disk);
	spin_unlock(&lock);
}

static void make_available(u16 head)
{
	put(AVAIL_GPA + 4 + 2 * (available % QUEUE_SIZE), &head, 2);
	available++;
	put(AVAIL_GPA + 2, &available, 2);
}

/* Is the next chain used? Then its head. */
static bool next_used(u16 *head, u32 *written)
{
	u16 index;
	u32 element[2];

	get(USED_GPA + 2, &index, 2);
	if (index == used)
		return false;
	get(USED_GPA + 4 + 8 * (used % QUEUE_SIZE), element, 8);
	used++;
	*head = (u16)element[0];
	*written = element[1];
	return true;
}

static u64 header_gpa(u16 head)
{
	return HEADER_GPA + head * 64u;
}

static u64 status_gpa(u16 head)
{
	return header_gpa(head) + 40;
}

static void put_header(u16 head, u32 type, u64 sector)
{
	struct {
		u32 type, reserved;
		u64 sector;
	} header = {type, 0, sector};
	u8 none = 0xee;

	put(header_gpa(head), &header, sizeof(header));
	put(status_gpa(head), &none, 1);
}

static u8 status_of(u16 head)
{
	u8 status;

	get(status_gpa(head), &status, 1);
	return status;
}

/* A chain of an indirect table: header, pieces, status. */
static void submit(u16 head, u32 type, u64 sector, const struct virtio_piece *pieces, u32 count)
{
	struct descriptor table[VIRTQUEUE_SIZE_MAX] = {{header_gpa(head), 16, NEXT, 1}};
	u16 flags = type == IN || type == GET_ID ? WRITE | NEXT : NEXT;

	put_header(head, type, sector);
	for (u32 i = 0; i < count; i++)
		table[i + 1] =
			(struct descriptor){pieces[i].gpa, pieces[i].bytes, flags, (u16)(i + 2)};
	table[count + 1] = (struct descriptor){status_gpa(head), 1, WRITE, 0};
	put(TABLES_GPA + head * PAGE_BYTES, table, (count + 2) * sizeof(table[0]));
	struct descriptor d = {
		TABLES_GPA + head * PAGE_BYTES, (count + 2) * (u32)sizeof(table[0]), INDIRECT, 0};

	put(DESC_GPA + head * sizeof(d), &d, sizeof(d));
	make_available(head);
	set(0x50, 0);
}

static void complete_all(void)
{
	while (beneath.count) {
		complete(0);
		work();
	}
}

/* One request, to its end; its status. */
static u8 request(u32 type, u64 sector, u64 gpa, u32 bytes)
{
	struct virtio_piece piece = {gpa, bytes};
	u16 head;
	u32 written;

	submit(0, type, sector, &piece, bytes ? 1 : 0);
	complete_all();
	assert_true(next_used(&head, &written));
	assert_int_equal(head, 0);
	return status_of(0);
}

/* --- Set-up ---------------------------------------------------------------------------------- */

static void on_line(void *context, bool level)
{
	(void)context;
	line = level;
}

static void on_fail(void *context, err_t err)
{
	(void)context;
	failed = err;
}

static void make_space(void)
{
	struct space_config config = {
		.name = "unit", .memory_bytes = GUEST_BYTES, .format = &slat_ept, .share_salt = 1};

	assert_int_equal(space_create(&space, &config), E_OK);
}

static void begin_with(u32 block_bytes)
{
	struct guest_disk_config config = {
		.blk = &beneath.blk,
		.first_block = FIRST_BLOCK,
		.block_count = DISK_BYTES / block_bytes - FIRST_BLOCK,
		.id = "0123456789abcdefghi",
		.lock = &lock,
		.wants = &wants,
		.fail = on_fail,
	};

	memset(&beneath, 0, sizeof(beneath));
	memset(&absent, 0, sizeof(absent));
	beneath.most = UNDER_WAY;
	beneath.blk = (struct blk_device){
		.ops = &beneath_ops,
		.block_bytes = block_bytes,
		.block_count = DISK_BYTES / block_bytes,
		.transfer_bytes = KIB(64),
		.blocks_most = 100,
		.can_deallocate = true,
		.can_write_zeroes = true,
		.has_cache = true,
	};
	failed = 0;
	spin_init(&lock, LOCK_RANK_VM);
	make_space();
	assert_int_equal(guest_disk_create(&disk, &config), 0);
	mmio = guest_disk_mmio(disk);
	mmio->line = on_line;
	guest_disk_open(disk, space);
}

static void end(void)
{
	complete_all();
	spin_lock(&lock);
	guest_disk_close(disk);
	spin_unlock(&lock);
	while (beneath.count)
		complete(0);
	assert_int_equal(stats_get(&space->pins), 0);
	assert_true(space_audit(space));
	space_destroy(space);
	guest_disk_destroy(disk);
}

static struct frame_account at_start;

static int setup(void **state)
{
	(void)state;
	fake_start_plain(1, 6000);
	fake_guest_start();
	frame_account_get(&at_start);
	return 0;
}

static int teardown(void **state)
{
	struct frame_account now;

	(void)state;
	frame_account_get(&now);
	assert_memory_equal(&now, &at_start, sizeof(now));
	assert_true(frame_audit());
	fake_stop();
	return 0;
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void a_driver_finds_the_device_and_its_size(void **state)
{
	u64 value = 0;

	(void)state;
	begin_with(512);
	assert_int_equal(read_register(0x00), 0x74726976);
	assert_int_equal(read_register(0x04), 2);
	assert_int_equal(read_register(0x08), 2);
	driver_start(FEATURES_ALL);
	assert_int_equal(read_register(0x100), DISK_BYTES / 512 - FIRST_BLOCK);
	assert_int_equal(read_register(0x10c), VIRTQUEUE_SIZE_MAX - 2);
	assert_int_equal(read_register(0x124), 100); /* max_discard_sectors */
	assert_int_equal(virtio_mmio_access(mmio, 0x100 + 58, 8, false, &value), 0);
	assert_int_equal(virtio_mmio_access(mmio, 0xffc, 4, false, &value), 0);
	assert_int_equal(value, 0);
	end();
}

static void features_that_are_not_offered_are_refused(void **state)
{
	(void)state;
	begin_with(512);
	negotiate(VIRTIO_BLK_F_FLUSH); /* a driver of old */
	assert_int_equal(read_register(0x70), 3);
	negotiate(FEATURES_ALL | BIT(33));
	assert_int_equal(read_register(0x70), 3);
	negotiate(FEATURES_ALL);
	assert_int_equal(read_register(0x70), 3 | 8);
	end();
}

static void what_is_written_can_be_read_and_the_guest_is_told(void **state)
{
	u8 page[PAGE_BYTES], back[PAGE_BYTES];

	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	memset(page, 0x5a, sizeof(page));
	put(DATA_GPA, page, sizeof(page));
	assert_int_equal(request(OUT, 8, DATA_GPA, sizeof(page)), 0);
	assert_true(line);
	set(0x64, 1);
	assert_false(line);
	assert_memory_equal(blocks + (FIRST_BLOCK + 8) * 512, page, sizeof(page));
	assert_int_equal(request(IN, 8, DATA_GPA + PAGE_BYTES, sizeof(page)), 0);
	get(DATA_GPA + PAGE_BYTES, back, sizeof(back));
	assert_memory_equal(back, page, sizeof(page));
	assert_int_equal(request(GET_ID, 0, DATA_GPA, 20), 0);
	get(DATA_GPA, back, 20);
	assert_string_equal((char *)back, "0123456789abcdefghi");
	assert_int_equal(request(FLUSH, 0, 0, 0), 0);
	assert_int_equal(beneath.flushes, 1);
	assert_int_equal(guest_disk_stats(disk)->bounced_bytes, 0);
	end();
}

static u8 request_range(u32 type, u64 sector, u32 sectors, u32 flags)
{
	struct {
		u64 sector;
		u32 sectors, flags;
	} range = {sector, sectors, flags};

	put(DATA_GPA, &range, sizeof(range));
	return request(type, 0, DATA_GPA, sizeof(range));
}

static void ranges_are_zeroed_and_discarded_in_parts_within_bounds(void **state)
{
	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	memset(blocks, 0xff, sizeof(blocks));
	assert_int_equal(request_range(ZEROES, 3, 250, 0), 0);
	for (u32 i = 0; i < 250 * 512; i++)
		assert_int_equal(blocks[(FIRST_BLOCK + 3) * 512 + i], 0);
	assert_int_equal(blocks[(FIRST_BLOCK + 3) * 512 - 1], 0xff);
	assert_int_equal(blocks[(FIRST_BLOCK + 253) * 512], 0xff);
	assert_int_equal(request_range(DISCARD, 3, 250, 0), 0);
	assert_int_equal(request_range(ZEROES, 3, 1, 1), 0);
	assert_int_equal(request_range(DISCARD, 3, 1, 1), 2);
	assert_int_equal(request_range(DISCARD, 3, 0, 0), 1);
	assert_int_equal(request_range(DISCARD, 3, 0xffffffff, 0), 1);
	assert_int_equal(request_range(DISCARD, ~0ull, 2, 0), 1);
	assert_int_equal(request(DISCARD, 0, DATA_GPA, 32), 1);
	end();
}

static void requests_that_cannot_be_end_with_an_error(void **state)
{
	u64 sectors = DISK_BYTES / 512 - FIRST_BLOCK;

	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	assert_int_equal(request(77, 0, 0, 0), 2);
	assert_int_equal(request(IN, 0, 0, 0), 1);                /* nothing */
	assert_int_equal(request(IN, 0, DATA_GPA, 511), 1);       /* no sectors */
	assert_int_equal(request(IN, sectors, DATA_GPA, 512), 1); /* beyond the disk */
	assert_int_equal(request(OUT, sectors - 1, DATA_GPA, 1024), 1);
	assert_int_equal(request(OUT, ~0ull, DATA_GPA, 512), 1);
	assert_int_equal(request(IN, 0, GUEST_BYTES, 512), 1); /* beyond the memory */
	assert_int_equal(request(IN, 0, GUEST_BYTES - 512, 1024), 1);
	assert_int_equal(request(OUT, 0, ~0ull - 511, 512), 1);
	assert_int_equal(request(OUT, 0, ~0ull - 100, 512), 1);
	assert_int_equal(request(IN, 0, DATA_GPA, 0xfffffe00), 1);
	assert_int_equal(request(GET_ID, 0, GUEST_BYTES, 20), 1);
	assert_int_equal(request(ZEROES, 0, GUEST_BYTES, 16), 1);
	assert_int_equal(guest_disk_stats(disk)->errors, 13);
	assert_int_equal(read_register(0x70), 15); /* and no more than that */
	assert_int_equal(request(IN, 0, DATA_GPA, 512), 0);
	end();
}

static void blocks_of_4096_bytes_are_moved_whole_or_not_at_all(void **state)
{
	(void)state;
	begin_with(4096);
	driver_start(FEATURES_ALL);
	assert_int_equal(read_register(0x114), 4096);
	assert_int_equal(request(IN, 8, DATA_GPA, 4096), 0);
	assert_int_equal(request(IN, 8, DATA_GPA, 512), 1);
	assert_int_equal(request(IN, 1, DATA_GPA, 4096), 1);
	assert_int_equal(request(OUT, 8, DATA_GPA + 2048, 8192), 0);
	end();
}

static void an_error_of_the_disk_is_the_requests(void **state)
{
	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	beneath.result = E_IO;
	assert_int_equal(request(IN, 0, DATA_GPA, 4096), 1);
	assert_int_equal(request(OUT, 0, DATA_GPA + 1, 4096), 1); /* bounced */
	assert_int_equal(request(FLUSH, 0, 0, 0), 1);
	assert_int_equal(request_range(DISCARD, 0, 1, 0), 1);
	beneath.result = 0;
	assert_int_equal(request(IN, 0, DATA_GPA, 4096), 0);
	beneath.blk.is_dead = true;
	assert_int_equal(request(IN, 0, DATA_GPA, 4096), 1);
	end();
}

static void a_driver_that_knows_no_flush_finds_its_writes_safe(void **state)
{
	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL & ~VIRTIO_BLK_F_FLUSH);
	assert_int_equal(request(OUT, 0, DATA_GPA, 4096), 0);
	assert_int_equal(beneath.flushes, 1);
	assert_int_equal(request(IN, 0, DATA_GPA, 4096), 0);
	assert_int_equal(beneath.flushes, 1);
	end();
}

static void too_few_pins_are_waited_for_and_the_request_goes_on_in_parts(void **state)
{
	struct virtio_piece piece = {DATA_GPA, KIB(40)};
	u16 head;
	u32 written;

	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	take_pins(SPACE_PINS_MAX - 8 - stats_get(&space->pins));
	submit(0, IN, 0, &piece, 1);
	assert_int_equal(beneath.count, 1);
	assert_int_equal(beneath.requests[0]->block_count, 64); /* 8 pages */
	submit(1, IN, 0, &piece, 1);
	assert_int_equal(beneath.count, 1);
	/* It waits, and nobody is at work on it. */
	assert_int_equal(wants, GUEST_DISK_HAS_WORK);
	complete_all();
	assert_int_equal(wants, 0);
	assert_true(next_used(&head, &written) && next_used(&head, &written));
	assert_int_equal(written, KIB(40) + 1);
	assert_int_equal(status_of(0) | status_of(1), 0);
	assert_true(guest_disk_stats(disk)->waits > 0);
	take_pins(0);
	end();
}

/* The rings and chains of a driver that lies. */
static void expect_broken(const char *what)
{
	if (read_register(0x70) != (15 | 0x40))
		print_error("not noticed: %s\n", what);
	assert_int_equal(read_register(0x70), 15 | 0x40);
	assert_true(line);
	assert_int_equal(read_register(0x60) & 2, 2);
	driver_start(FEATURES_ALL); /* and a reset mends it */
	assert_int_equal(request(IN, 0, DATA_GPA, 512), 0);
}

static void try_descriptors(const char *what, const struct descriptor *table, u32 count)
{
	put(DESC_GPA, table, count * sizeof(table[0]));
	put_header(0, IN, 0);
	make_available(0);
	set(0x50, 0);
	expect_broken(what);
}

static void senseless_rings_break_the_device_until_its_reset(void **state)
{
	u64 header = header_gpa(0), status = status_gpa(0);
	u16 index;

	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
#define TRY(what, ...)                                                                             \
	try_descriptors(what, (struct descriptor[]){__VA_ARGS__},                                  \
		sizeof((struct descriptor[]){__VA_ARGS__}) / sizeof(struct descriptor))
	TRY("a loop", {header, 16, NEXT, 1}, {DATA_GPA, 512, NEXT, 0});
	TRY("a loop to itself", {header, 16, NEXT, 0});
	TRY("a next one beyond the table", {header, 16, NEXT, QUEUE_SIZE});
	TRY("no status byte", {header, 16, 0, 0});
	TRY("an empty status byte", {header, 16, NEXT, 1}, {status, 0, WRITE, 0});
	TRY("no header", {status, 1, WRITE, 0});
	TRY("half a header", {header, 8, NEXT, 1}, {status, 1, WRITE, 0});
	TRY("what may be read after what may be written", {status, 1, WRITE | NEXT, 1},
		{header, 16, 0, 0});
	TRY("a status byte in no memory", {header, 16, NEXT, 1}, {GUEST_BYTES, 1, WRITE, 0});
	TRY("an indirect table in no memory", {GUEST_BYTES, 32, INDIRECT, 0});
	TRY("an indirect table half in no memory", {GUEST_BYTES - 16, 32, INDIRECT, 0});
	TRY("an indirect table of no entries", {TABLES_GPA, 0, INDIRECT, 0});
	TRY("an indirect table of half an entry", {TABLES_GPA, 24, INDIRECT, 0});
	TRY("an endless indirect table", {TABLES_GPA, 0xfffffff0, INDIRECT, 0});
	TRY("an indirect table and a next one", {TABLES_GPA, 32, INDIRECT | NEXT, 1});
	TRY("an indirect table in a chain", {header, 16, NEXT, 1}, {TABLES_GPA, 32, INDIRECT, 0});
	struct descriptor nested = {TABLES_GPA, 16, INDIRECT, 0};
	put(TABLES_GPA, &nested, sizeof(nested));
	TRY("nested indirect tables", {TABLES_GPA, 16, INDIRECT, 0});
	make_available(QUEUE_SIZE);
	set(0x50, 0);
	expect_broken("a head beyond the table");
	index = (u16)(available + QUEUE_SIZE + 1);
	put(AVAIL_GPA + 2, &index, 2);
	set(0x50, 0);
	expect_broken("more available than the ring holds");
	end();
}

static void queues_that_cannot_be_break_the_device(void **state)
{
	static const struct {
		u32 size;
		u64 areas[3];
	} tries[] = {
		{0, {DESC_GPA, AVAIL_GPA, USED_GPA}},
		{3, {DESC_GPA, AVAIL_GPA, USED_GPA}},
		{128, {DESC_GPA, AVAIL_GPA, USED_GPA}},
		{16, {DESC_GPA + 8, AVAIL_GPA, USED_GPA}},
		{16, {DESC_GPA, AVAIL_GPA + 1, USED_GPA}},
		{16, {DESC_GPA, AVAIL_GPA, USED_GPA + 2}},
		{16, {GUEST_BYTES - 128, AVAIL_GPA, USED_GPA}},
		{16, {DESC_GPA, GUEST_BYTES, USED_GPA}},
		{16, {DESC_GPA, AVAIL_GPA, ~0ull - 15}},
		{16, {~0ull - 15, AVAIL_GPA, USED_GPA}},
	};

	(void)state;
	begin_with(512);
	for (u32 i = 0; i < ARRAY_COUNT(tries); i++) {
		negotiate(FEATURES_ALL);
		set(0x38, tries[i].size);
		for (u32 area = 0; area < 3; area++)
			set_area(0x80 + 16 * area, tries[i].areas[area]);
		set(0x44, 1);
		assert_int_equal(read_register(0x70), 3 | 8 | 0x40);
		assert_int_equal(read_register(0x44), 0);
		assert_int_equal(stats_get(&space->pins), 0);
		set(0x70, 15);
		set(0x50, 0);
	}
	end();
}

static void a_reset_by_the_driver_waits_for_the_disk(void **state)
{
	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	submit(0, IN, 0, &(struct virtio_piece){DATA_GPA, 4096}, 1);
	submit(1, OUT, 0, &(struct virtio_piece){DATA_GPA, 4096}, 1);
	assert_int_equal(write_register(0x70, 0), E_WAIT);
	assert_int_equal(write_register(0x44, 0), E_WAIT);
	complete(0);
	/* What comes meanwhile is not begun. */
	make_available(0);
	set(0x50, 0);
	work();
	assert_int_equal(beneath.count, 1);
	assert_int_equal(write_register(0x70, 0), E_WAIT);
	complete(0);
	work();
	assert_int_equal(beneath.count, 0);
	assert_int_equal(write_register(0x70, 0), 0);
	assert_int_equal(stats_get(&space->pins), 0);
	assert_int_equal(status_of(1), 0xee); /* nobody was told */
	driver_start(FEATURES_ALL);
	assert_int_equal(request(IN, 0, DATA_GPA, 4096), 0);
	end();
}

static void what_a_vm_leaves_at_the_disk_keeps_its_frames_and_holds_up_the_next_life(void **state)
{
	struct frame_account before, after;
	u8 page[PAGE_BYTES];

	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	submit(0, IN, 0, &(struct virtio_piece){DATA_GPA, 4096}, 1);
	/* A reset of the VM, with its memory cleared. */
	spin_lock(&lock);
	guest_disk_reset(disk);
	spin_unlock(&lock);
	space_clear(space);
	assert_int_equal(guest_disk_orphan_count(disk), 1);
	driver_start_after_reset(FEATURES_ALL);
	submit(0, IN, 0, &(struct virtio_piece){DATA_GPA, 4096}, 1);
	assert_int_equal(beneath.count, 1);
	complete(0);
	work();
	assert_int_equal(beneath.count, 1); /* the new life's */
	/* Its end, with its memory gone; then another one. */
	spin_lock(&lock);
	guest_disk_close(disk);
	spin_unlock(&lock);
	frame_account_get(&before);
	space_destroy(space);
	frame_account_get(&after);
	assert_int_equal(after.frames[FRAME_ORPHAN], 1);
	make_space();
	guest_disk_open(disk, space);
	driver_start_after_reset(FEATURES_ALL);
	memset(page, 0x77, sizeof(page));
	put(DATA_GPA, page, sizeof(page));
	submit(0, OUT, 0, &(struct virtio_piece){DATA_GPA, 4096}, 1);
	assert_int_equal(beneath.count, 1);
	complete(0);
	work();
	assert_int_equal(beneath.count, 1);
	assert_int_equal(beneath.requests[0]->op, BLK_WRITE);
	complete_all();
	assert_memory_equal(blocks + FIRST_BLOCK * 512, page, sizeof(page));
	end();
}

static void what_the_guest_pages_out_is_left_where_the_host_has_it(void **state)
{
	struct virtio_piece piece = {DATA_GPA, 6 * PAGE_BYTES};
	u64 first = DATA_GPA / PAGE_BYTES, at = FIRST_BLOCK * 512;
	u8 page[PAGE_BYTES], other[PAGE_BYTES];

	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	memset(page, 0x11, sizeof(page));
	memset(other, OTHER, sizeof(other));
	for (u32 i = 0; i < 6; i++)
		put(DATA_GPA + i * PAGE_BYTES, page, sizeof(page));
	absent.holds_others = true;
	absent.where[first + 1] = ZIPPED;
	absent.where[first + 3] = absent.where[first + 4] = SWAPPED;
	submit(0, OUT, 0, &piece, 1);
	/* The first three pages do not wait for the fourth. */
	assert_int_equal(beneath.count, 1);
	assert_int_equal(beneath.requests[0]->block_count, 24);
	complete_all();
	assert_int_equal(absent.count, 1);
	complete_peek(0, 0);
	work();
	assert_int_equal(beneath.requests[0]->block_count, 8); /* nor the fourth for the fifth */
	complete_all();
	complete_peek(0, 0);
	work();
	complete_all();
	assert_int_equal(status_of(0), 0);
	for (u32 i = 0; i < 6; i++)
		assert_memory_equal(blocks + at + i * PAGE_BYTES,
			absent.where[first + i] ? other : page, PAGE_BYTES);
	assert_int_equal(absent.peeks, 3);
	/* Reading over them. */
	assert_int_equal(request(IN, 0, DATA_GPA + 512, 3 * PAGE_BYTES - 512), 0);
	assert_int_equal(absent.overwrites, 2);
	end();
}

static void a_block_of_two_pages_that_are_both_swapped_gets_there(void **state)
{
	struct virtio_piece piece = {DATA_GPA + 2048, 4096};

	(void)state;
	begin_with(4096);
	driver_start(FEATURES_ALL);
	absent.where[DATA_GPA / PAGE_BYTES] = absent.where[DATA_GPA / PAGE_BYTES + 1] = SWAPPED;
	submit(0, OUT, 0, &piece, 1);
	complete_peek(0, 0);
	work();
	complete_peek(0, 0);
	work();
	assert_int_equal(beneath.count, 1);
	complete_all();
	assert_int_equal(status_of(0), 0);
	end();
}

static void a_page_that_is_lost_is_the_vms_end_and_one_on_its_way_is_waited_for(void **state)
{
	struct virtio_piece piece = {DATA_GPA, 4096};

	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	absent.where[DATA_GPA / PAGE_BYTES] = BEING_READ;
	submit(0, OUT, 0, &piece, 1);
	assert_int_equal(beneath.count, 0);
	assert_true(wants & GUEST_DISK_HAS_WORK);
	absent.where[DATA_GPA / PAGE_BYTES] = SWAPPED;
	work();
	assert_int_equal(failed, 0);
	complete_peek(0, E_CORRUPT);
	assert_int_equal(failed, E_CORRUPT);
	absent.where[DATA_GPA / PAGE_BYTES] = IN_MEMORY;
	work();
	complete_all();
	end();
}

static void a_page_under_way_is_let_go_of_like_the_disk(void **state)
{
	struct virtio_piece piece = {DATA_GPA, 4096};

	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	absent.where[DATA_GPA / PAGE_BYTES] = SWAPPED;
	submit(0, OUT, 0, &piece, 1);
	assert_int_equal(write_register(0x70, 0), E_WAIT);
	complete_peek(0, 0);
	assert_int_equal(write_register(0x70, 0), 0);
	driver_start(FEATURES_ALL);
	submit(0, OUT, 0, &piece, 1);
	spin_lock(&lock);
	guest_disk_close(disk);
	spin_unlock(&lock);
	assert_int_equal(guest_disk_orphan_count(disk), 1);
	complete_peek(0, E_NOTFOUND);
	assert_int_equal(guest_disk_orphan_count(disk), 0);
	assert_int_equal(failed, 0);
	end();
}

static void no_frame_for_the_data_is_the_vms_end(void **state)
{
	(void)state;
	begin_with(512);
	driver_start(FEATURES_ALL);
	fake_log_quiet(true);
	submit(0, FLUSH, 0, NULL, 0); /* so that the driver's own pages are there */
	submit(1, FLUSH, 0, NULL, 0);
	complete_all();
	put_header(1, IN, 0);
	fake_fail_alloc(1, true);
	submit(1, IN, 0, &(struct virtio_piece){DATA_GPA + MIB(1), 4096}, 1);
	fake_fail_alloc(0, false);
	assert_int_equal(failed, E_NOMEM);
	assert_int_equal(beneath.count, 0);
	end();
}

/* --- Random requests against a model --------------------------------------------------------- */

#define MODEL_HEADS 14u
#define STRETCH     160u /* sectors of the disk that each head has for itself */
#define AREA        KIB(256)

static struct {
	bool busy;
	u32 type, count, bytes;
	u64 sector;
	struct virtio_piece pieces[VIRTQUEUE_SIZE_MAX];
} heads[MODEL_HEADS];
static u8 model[DISK_BYTES], scratch[KIB(128)];

/* Cut @bytes into pieces at odd places of the head's own area, one after the other. */
static void cut(struct rng *rng, u16 head, u32 bytes, bool odd)
{
	u64 at = DATA_GPA + head * (AREA / 2);

	heads[head].count = 0;
	while (bytes && heads[head].count < 50) {
		u32 some = odd && heads[head].count < 49 ? 1 + (u32)rng_below(rng, 3000) : bytes;

		if (odd && rng_below(rng, 2))
			some = (some + 511) & ~511u;
		some = min(some, bytes);
		at += odd ? rng_below(rng, 3) * (rng_below(rng, 2) ? 512 : 13) : 0;
		heads[head].pieces[heads[head].count++] = (struct virtio_piece){at, some};
		at += some;
		bytes -= some;
	}
}

static void move_pieces(u16 head, u8 *buffer, bool to_guest)
{
	for (u32 i = 0; i < heads[head].count; i++) {
		struct virtio_piece *p = &heads[head].pieces[i];

		if (to_guest)
			put(p->gpa, buffer, p->bytes);
		else
			get(p->gpa, buffer, p->bytes);
		buffer += p->bytes;
	}
}

static void model_submit(struct rng *rng, u16 head, u32 block_bytes)
{
	u32 scale = block_bytes / 512;
	u32 sectors = (1 + (u32)rng_below(rng, STRETCH / scale - 1)) * scale;
	u64 first = head * STRETCH;

	heads[head].busy = true;
	heads[head].type = rng_below(rng, 2) ? IN : OUT;
	heads[head].sector = first + rng_below(rng, (STRETCH - sectors) / scale + 1) * scale;
	heads[head].bytes = sectors * 512;
	cut(rng, head, heads[head].bytes, rng_below(rng, 3));
	for (u32 i = 0; i < heads[head].bytes; i += 4)
		*(u32 *)(scratch + i) = (u32)rng_next(rng);
	if (heads[head].type == OUT) {
		move_pieces(head, scratch, true);
		memcpy(model + FIRST_BLOCK * (u64)block_bytes + heads[head].sector * 512, scratch,
			heads[head].bytes);
	}
	submit(head, heads[head].type, heads[head].sector, heads[head].pieces, heads[head].count);
}

static void model_check(u16 head, u32 written, u32 block_bytes)
{
	u64 at = FIRST_BLOCK * (u64)block_bytes + heads[head].sector * 512;

	assert_in_range(head, 0, MODEL_HEADS - 1);
	assert_true(heads[head].busy);
	assert_int_equal(status_of(head), 0);
	assert_int_equal(written, heads[head].type == IN ? heads[head].bytes + 1 : 1);
	if (heads[head].type == IN) {
		move_pieces(head, scratch, false);
		assert_memory_equal(scratch, model + at, heads[head].bytes);
	}
	heads[head].busy = false;
}

static void run_model(u32 block_bytes, u64 seed)
{
	struct rng rng;
	u64 ended = 0;

	rng.state = rng_seed(seed);
	begin_with(block_bytes);
	memset(heads, 0, sizeof(heads));
	for (u32 i = 0; i < DISK_BYTES; i++)
		model[i] = blocks[i] = (u8)rng_next(&rng);
	driver_start(FEATURES_ALL);
	while (ended < 3000) {
		u16 head = (u16)rng_below(&rng, MODEL_HEADS);
		u32 written;
		u64 taken = rng_below(&rng, 4) ? 0 : SPACE_PINS_MAX - 8 - rng_below(&rng, 20);

		beneath.most = rng_below(&rng, 4) ? UNDER_WAY : (u32)rng_below(&rng, 4);
		take_pins(taken);
		if (!heads[head].busy && taken == 0)
			model_submit(&rng, head, block_bytes);
		if (beneath.count && rng_below(&rng, 3))
			complete((u32)rng_below(&rng, beneath.count));
		if (rng_below(&rng, 3) == 0)
			space_hide_all(space);
		for (u32 i = 0; i < 8; i++)
			absent.where[rng_below(&rng, PAGES)] = (enum where)rng_below(&rng, 4);
		if (absent.count && rng_below(&rng, 3))
			complete_peek((u32)rng_below(&rng, absent.count), 0);
		work();
		take_pins(0);
		while (next_used(&head, &written)) {
			model_check(head, written, block_bytes);
			ended++;
		}
	}
	beneath.most = UNDER_WAY;
	memset(absent.where, 0, sizeof(absent.where));
	while (absent.count)
		complete_peek(0, 0);
	work();
	complete_all();
	assert_memory_equal(blocks, model, DISK_BYTES);
	assert_true(guest_disk_stats(disk)->bounced_bytes > 0);
	assert_true(guest_disk_stats(disk)->waits > 0);
	assert_true(absent.peeks > 0);
	assert_true(absent.overwrites > 0);
	assert_true(latency_below_us(&guest_disk_stats(disk)->latency, 99) > 0);
	end();
}

static void random_requests_move_what_the_model_says(void **state)
{
	(void)state;
	run_model(512, 1);
	run_model(512, 2);
}

static void random_requests_on_large_blocks_do_too(void **state)
{
	(void)state;
	run_model(4096, 3);
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(a_driver_finds_the_device_and_its_size),
		UNIT(features_that_are_not_offered_are_refused),
		UNIT(what_is_written_can_be_read_and_the_guest_is_told),
		UNIT(ranges_are_zeroed_and_discarded_in_parts_within_bounds),
		UNIT(requests_that_cannot_be_end_with_an_error),
		UNIT(blocks_of_4096_bytes_are_moved_whole_or_not_at_all),
		UNIT(an_error_of_the_disk_is_the_requests),
		UNIT(a_driver_that_knows_no_flush_finds_its_writes_safe),
		UNIT(too_few_pins_are_waited_for_and_the_request_goes_on_in_parts),
		UNIT(senseless_rings_break_the_device_until_its_reset),
		UNIT(queues_that_cannot_be_break_the_device),
		UNIT(a_reset_by_the_driver_waits_for_the_disk),
		UNIT(what_a_vm_leaves_at_the_disk_keeps_its_frames_and_holds_up_the_next_life),
		UNIT(what_the_guest_pages_out_is_left_where_the_host_has_it),
		UNIT(a_block_of_two_pages_that_are_both_swapped_gets_there),
		UNIT(a_page_that_is_lost_is_the_vms_end_and_one_on_its_way_is_waited_for),
		UNIT(a_page_under_way_is_let_go_of_like_the_disk),
		UNIT(no_frame_for_the_data_is_the_vms_end),
		UNIT(random_requests_move_what_the_model_says),
		UNIT(random_requests_on_large_blocks_do_too),
	};
	return cmocka_run_group_tests_name("unit/guest_disk", tests, NULL, NULL);
}

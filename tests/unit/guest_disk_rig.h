/*
 * For tests of a guest's disk: a small driver that speaks to its registers and rings, and a disk's
 * beginning and end.
 */
#ifndef TESTS_UNIT_GUEST_DISK_RIG_H
#define TESTS_UNIT_GUEST_DISK_RIG_H

#include "tests/unit/guest_disk_beneath.h"
#include "hv/memory/guest_mem.h"

#define QUEUE_SIZE 16u

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

static u16 available, used;

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
static inline u8 request(u32 type, u64 sector, u64 gpa, u32 bytes)
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

#define UNIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif

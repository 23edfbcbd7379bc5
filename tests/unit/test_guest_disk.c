/* SRCS: tests/fake/fake_platform.c tests/fake/fake_guest.c hv/disk/guest_disk.c
   hv/disk/guest_disk_slot.c hv/disk/guest_disk_data.c hv/memory/guest_mem.c
   hv/vdev/virtio_queue.c hv/vdev/virtio_mmio.c hv/vdev/virtio_blk.c mm LIBS:
   -Wl,--wrap=space_peek -Wl,--wrap=space_page_state -Wl,--wrap=space_pin_overwrite */
/*
 * A guest's disk from the driver's side: what its registers, requests and rings say, and what they
 * may not say.
 */
#include "tests/unit/guest_disk_rig.h"

static void negotiate(u64 features)
{
	set(0x70, 0);
	negotiate_after_reset(features);
}

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
		UNIT(senseless_rings_break_the_device_until_its_reset),
		UNIT(queues_that_cannot_be_break_the_device),
	};
	return cmocka_run_group_tests_name("unit/guest_disk", tests, NULL, NULL);
}

/* SRCS: tests/fake/fake_platform.c tests/fake/fake_blk.c mm */
/*
 * Opening swap volumes: formatted, found again, damaged, resized, too new, on disks that fail or
 * lose power at any moment; and that nothing but the partition is ever written.
 */
#include "tests/unit/swap_rig.h"
#include "mm/swap/swap_header.h"

static int start(void **state)
{
	(void)state;
	rig_start();
	fake_log_quiet(true);
	return 0;
}

static struct swap_volume *open_again(void)
{
	return rig_open_part(RIG_FIRST, RIG_PARTITION);
}

static u8 *header_bytes(void)
{
	return rig.disk.data + RIG_FIRST * RIG_BLOCK;
}

static void assert_formatted(const struct swap_volume *v, enum swap_found found)
{
	assert_int_equal(swap_volume_state(v), SWAP_READY);
	assert_int_equal(v->found, found);
	assert_int_equal(v->boots, 1);
	assert_int_equal(v->slot_count, RIG_SLOTS);
}

static void test_a_blank_partition_is_formatted_and_found_again(void **state)
{
	u8 id[16];
	struct swap_header header;
	struct swap_volume *v = open_again();

	(void)state;
	assert_formatted(v, SWAP_FOUND_BLANK);
	assert_int_equal(swap_header_read(header_bytes(), &header), 0);
	memcpy(id, header.id, sizeof(id));
	v = open_again();
	assert_int_equal(v->found, SWAP_FOUND_OURS);
	assert_int_equal(v->boots, 2);
	assert_int_equal(swap_header_read(header_bytes(), &header), 0);
	assert_int_equal(header.boots, 2);
	assert_memory_equal(header.id, id, sizeof(id));
	assert_int_equal(rig.disk.flushes, 2);
}

static void test_opening_writes_one_block(void **state)
{
	(void)state;
	open_again();
	assert_int_equal(rig.disk.writes, 1);
	assert_int_equal(rig.disk.lowest_written, RIG_FIRST);
	assert_int_equal(rig.disk.highest_written, RIG_FIRST);
	assert_true(rig_is_outside_untouched());
}

static void test_a_damaged_header_is_formatted_anew(void **state)
{
	(void)state;
	open_again();
	header_bytes()[100] ^= 1;
	assert_formatted(open_again(), SWAP_FOUND_DAMAGED);
	assert_int_equal(open_again()->boots, 2);
}

static void test_a_resized_partition_is_formatted_anew(void **state)
{
	struct swap_volume *v;

	(void)state;
	open_again();
	v = rig_open_part(RIG_FIRST, RIG_PARTITION - RIG_PER_SLOT);
	assert_int_equal(swap_volume_state(v), SWAP_READY);
	assert_int_equal(v->found, SWAP_FOUND_RESIZED);
	assert_int_equal(v->slot_count, RIG_SLOTS - 1);
}

static void assert_refused(const struct swap_volume *v, const char *why)
{
	struct swap_file *file;

	assert_int_equal(swap_volume_state(v), SWAP_REFUSED);
	assert_string_equal(v->why, why);
	assert_int_equal(swap_file_create((struct swap_volume *)v, "a.vswp", 1, &file), E_IO);
}

static void test_a_newer_version_is_left_alone(void **state)
{
	u8 before[RIG_BLOCK];
	u64 sum = 0xcbf29ce484222325ull;

	(void)state;
	open_again();
	header_bytes()[16] = SWAP_HEADER_VERSION + 1;
	for (u32 i = 0; i < SWAP_HEADER_BYTES - 8; i++)
		sum = (sum ^ header_bytes()[i]) * 0x100000001b3ull;
	memcpy(header_bytes() + SWAP_HEADER_BYTES - 8, &sum, 8);
	memcpy(before, header_bytes(), sizeof(before));
	assert_refused(open_again(), "a newer version of Bellows formatted it");
	assert_memory_equal(header_bytes(), before, sizeof(before));
}

static void test_what_cannot_be_a_volume_is_refused(void **state)
{
	(void)state;
	assert_refused(rig_open_part(RIG_FIRST, RIG_PER_SLOT), "it is too small to hold a page");
	assert_refused(rig_open_part(RIG_FIRST, 1), "it is too small to hold a page");
	assert_refused(rig_open_part(RIG_FIRST, RIG_DISK), "it does not lie on the disk");
	assert_refused(rig_open_part(RIG_DISK, 8), "it does not lie on the disk");
	rig.disk.device.transfer_bytes = 2048;
	assert_refused(open_again(), "the disk does not move a page at once");
	assert_int_equal(rig.disk.writes, 0);
}

static void test_each_request_of_opening_may_fail(void **state)
{
	static const char *const why[] = {"its header could not be read",
		"its header could not be written", "its header could not be written"};

	(void)state;
	for (u32 n = 1; n <= 3; n++) {
		rig.disk.fail_nth = n;
		assert_refused(open_again(), why[n - 1]);
	}
	fake_blk_kill(&rig.disk);
	assert_refused(open_again(), "the disk takes no requests");
	assert_true(rig_is_outside_untouched());
}

/*
 * Write @bytes of a header over what stands there before the power goes. The next boot has a
 * volume, and nothing but the header was touched. Returns how it was found.
 */
static enum swap_found cut_power_after(u32 bytes)
{
	struct swap_volume *v;

	/* Each boot's volume and records are forgotten. */
	if (frame_free_count() < RIG_FRAMES / 8) {
		fake_stop();
		fake_start_plain(2, RIG_FRAMES);
	}
	rig.disk.power_bytes = bytes;
	open_again();
	rig.disk.power_bytes = ~0ull;
	v = open_again();
	assert_int_equal(swap_volume_state(v), SWAP_READY);
	assert_int_equal(rig.disk.lowest_written, RIG_FIRST);
	assert_int_equal(rig.disk.highest_written, RIG_FIRST);
	return v->found;
}

static void test_power_may_go_at_any_byte_of_formatting(void **state)
{
	u32 count[SWAP_FOUND_RESIZED + 1] = {0};

	(void)state;
	for (u32 bytes = 0; bytes <= RIG_BLOCK; bytes++) {
		memset(header_bytes(), RIG_UNTOUCHED, RIG_BLOCK);
		count[cut_power_after(bytes)]++;
	}
	assert_int_equal(count[SWAP_FOUND_BLANK], 16);
	assert_int_equal(count[SWAP_FOUND_OURS], 1);
	assert_int_equal(count[SWAP_FOUND_DAMAGED], RIG_BLOCK + 1 - 16 - 1);
}

static void test_power_may_go_at_any_byte_of_counting_a_boot(void **state)
{
	u32 count[SWAP_FOUND_RESIZED + 1] = {0};
	u8 sound[RIG_BLOCK];

	(void)state;
	open_again();
	memcpy(sound, header_bytes(), sizeof(sound));
	for (u32 bytes = 0; bytes <= RIG_BLOCK; bytes++) {
		memcpy(header_bytes(), sound, sizeof(sound));
		count[cut_power_after(bytes)]++;
	}
	assert_int_equal(count[SWAP_FOUND_BLANK], 0);
	assert_true(count[SWAP_FOUND_OURS] > 1 && count[SWAP_FOUND_DAMAGED] > 1);
}

static void test_a_busy_disk_is_waited_for(void **state)
{
	(void)state;
	rig.disk.depth = 0;
	swap_init();
	assert_int_equal(swap_volume_open(&rig.disk.device, RIG_FIRST, RIG_PARTITION, "test"), 0);
	swap_volumes_poll();
	assert_int_equal(swap_volume_state(swap_volume_first()), SWAP_OPENING);
	rig.disk.depth = 1;
	for (u32 i = 0; i < 3; i++) {
		swap_volumes_poll();
		assert_int_equal(fake_blk_run(&rig.disk, 1), 1);
	}
	assert_int_equal(swap_volume_state(swap_volume_first()), SWAP_READY);
}

static void test_a_disk_that_dies_before_it_took_the_request_is_refused(void **state)
{
	(void)state;
	rig.disk.depth = 0;
	swap_init();
	assert_int_equal(swap_volume_open(&rig.disk.device, RIG_FIRST, RIG_PARTITION, "test"), 0);
	rig.disk.device.is_dead = true;
	swap_volumes_poll();
	assert_refused(swap_volume_first(), "its header could not be read");
}

static void test_no_memory_leaves_nothing_behind(void **state)
{
	u64 free_frames = frame_free_count(), n;

	(void)state;
	for (n = 1;; n++) {
		swap_init();
		fake_fail_alloc(n, false);
		if (swap_volume_open(&rig.disk.device, RIG_FIRST, RIG_PARTITION, "test") == 0)
			break;
		assert_null(swap_volume_first());
		assert_int_equal(frame_free_count(), free_frames);
	}
	fake_fail_alloc(0, false);
	assert_true(n > 2);
	fake_blk_run(&rig.disk, 3);
}

/* Blocks as large as a page, a partition that begins at none of its boundaries, a small transfer
 * limit. */
static void test_other_geometries(void **state)
{
	struct swap_volume *v;

	(void)state;
	v = rig_open_part(RIG_FIRST + 3, 5 * RIG_PER_SLOT);
	assert_int_equal(v->slots_block % RIG_PER_SLOT, 0);
	assert_true(v->slots_block >= RIG_FIRST + 3 + RIG_PER_SLOT);
	assert_true(
		v->slots_block + v->slot_count * RIG_PER_SLOT <= RIG_FIRST + 3 + 5 * RIG_PER_SLOT);
	assert_int_equal(v->slot_count, 3);
	fake_blk_free(&rig.disk);
	fake_blk_init(&rig.disk, 4096, 100);
	rig.disk.device.transfer_bytes = KIB(16);
	rig.disk.device.has_cache = false;
	v = rig_open_part(10, 20);
	assert_int_equal(v->slot_count, 19);
	assert_int_equal(v->slots_block, 11);
	assert_int_equal(v->cluster_pages, 4);
	assert_int_equal(rig.disk.flushes, 0);
}

static void submit_outside(void *block)
{
	struct blk_request r = {.op = BLK_WRITE};

	(void)!swap_volume_submit(swap_volume_first(), &r, *(u64 *)block, 2);
}

static void test_a_request_beyond_the_volume_is_a_bug(void **state)
{
	u64 last = RIG_SLOTS - 1, far = ~0ull;

	(void)state;
	open_again();
	assert_true(fake_panics(submit_outside, &last));
	assert_true(fake_panics(submit_outside, &far));
	assert_true(rig_is_outside_untouched());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_blank_partition_is_formatted_and_found_again),
		TEST(test_opening_writes_one_block),
		TEST(test_a_damaged_header_is_formatted_anew),
		TEST(test_a_resized_partition_is_formatted_anew),
		TEST(test_a_newer_version_is_left_alone),
		TEST(test_what_cannot_be_a_volume_is_refused),
		TEST(test_each_request_of_opening_may_fail),
		TEST(test_power_may_go_at_any_byte_of_formatting),
		TEST(test_power_may_go_at_any_byte_of_counting_a_boot),
		TEST(test_a_busy_disk_is_waited_for),
		TEST(test_a_disk_that_dies_before_it_took_the_request_is_refused),
		TEST(test_no_memory_leaves_nothing_behind),
		TEST(test_other_geometries),
		TEST(test_a_request_beyond_the_volume_is_a_bug),
	};

	return cmocka_run_group_tests_name("unit/swap_volume", tests, NULL, NULL);
}

/* SRCS: tests/fake/fake_platform.c tests/fake/fake_blk.c mm */
/* Deallocating: chunks that are free and were written, all of them, and never a slot in use. */
#define RIG_SLOTS 2100u
#include "tests/unit/swap_rig.h"

#define CHUNK      SWAP_CHUNK_SLOTS
#define FILE_SLOTS 2000u /* three whole chunks and a short one */
#define CHUNKS     4u
#define USED       0x11

static struct swap_file *file;
static bool used[FILE_SLOTS];

static u8 *slot_bytes(u64 slot)
{
	u64 block = rig.volume->slots_block + swap_file_volume_slot(file, slot) * RIG_PER_SLOT;

	return rig.disk.data + block * RIG_BLOCK;
}

static bool is_all(u64 slot, u8 byte)
{
	const u8 *at = slot_bytes(slot);

	return at[0] == byte && memcmp(at, at + 1, PAGE_BYTES - 1) == 0;
}

/* Take up to @count slots, and write to them. Returns how many. */
static u32 take(u32 count)
{
	struct swap_io *io = swap_io_take(false);

	io->page_count = count;
	for (u32 i = 0; i < count; i++)
		io->pages[i] = (struct swap_page){
			.gfn = GFN(i), .frame = PFN_NONE, .slot = ~0ull, .bytes = PAGE_BYTES};
	count = swap_slots_take(file, io) ? 0 : io->page_count;
	for (u32 i = 0; i < count; i++) {
		assert_false(used[io->pages[i].slot]);
		used[io->pages[i].slot] = true;
		memset(slot_bytes(io->pages[i].slot), USED, PAGE_BYTES);
	}
	swap_io_give(io);
	return count;
}

static void take_all(void)
{
	while (take(SWAP_CLUSTER_PAGES))
		;
}

static void give(u64 slot)
{
	used[slot] = false;
	swap_slot_free(file, slot);
}

static void give_chunk(u64 chunk)
{
	for (u64 i = chunk * CHUNK; i < FILE_SLOTS && i < (chunk + 1) * CHUNK; i++)
		give(i);
}

static void run(void)
{
	while (fake_blk_run(&rig.disk, 1))
		;
}

static void assert_used_slots_are_intact(void)
{
	for (u64 i = 0; i < FILE_SLOTS; i++)
		assert_true(!used[i] || is_all(i, USED));
}

static u64 gone_count(u64 chunk)
{
	u64 count = 0;

	for (u64 i = chunk * CHUNK; i < FILE_SLOTS && i < (chunk + 1) * CHUNK; i++)
		count += is_all(i, FAKE_BLK_GONE);
	return count;
}

static int setup(void **state)
{
	rig_setup(state);
	rig.disk.device.can_deallocate = true;
	rig.disk.device.blocks_most = ~0u;
	memset(used, 0, sizeof(used));
	file = rig_file("a.vswp", FILE_SLOTS);
	return 0;
}

static int teardown(void **state)
{
	swap_file_abandon(file);
	run();
	assert_int_equal(frame_free_count(), rig.free_frames);
	assert_true(rig_is_outside_untouched());
	return rig_teardown(state);
}

static void test_all_of_a_new_file_is_deallocated(void **state)
{
	(void)state;
	run();
	assert_int_equal(rig.disk.deallocates, CHUNKS);
	assert_int_equal(file->stats.deallocated, FILE_SLOTS);
	for (u64 i = 0; i < FILE_SLOTS; i++)
		assert_true(is_all(i, FAKE_BLK_GONE));
}

static void test_a_chunk_is_deallocated_with_its_last_slot_and_no_other(void **state)
{
	(void)state;
	run();
	take_all();
	give_chunk(0);
	give_chunk(2);
	take(1); /* in chunk 0, where the search begins again */
	run();
	give(FILE_SLOTS - 1);
	run();
	assert_int_equal(gone_count(0), 0);
	assert_int_equal(gone_count(1), 0);
	assert_int_equal(gone_count(2), CHUNK);
	assert_int_equal(gone_count(3), 0);
	assert_used_slots_are_intact();
}

static void test_a_chunk_that_nobody_wrote_is_not_deallocated_again(void **state)
{
	(void)state;
	run();
	take(1);
	give(file->next - 1);
	run();
	assert_int_equal(rig.disk.deallocates, CHUNKS + 1);
}

static void test_no_slot_is_given_out_while_it_is_being_deallocated(void **state)
{
	u32 taken = 0, some;

	(void)state;
	assert_int_equal(rig.disk.pending_count, 1);
	while ((some = take(SWAP_CLUSTER_PAGES)) != 0)
		taken += some;
	assert_true(taken == FILE_SLOTS - CHUNK || taken == CHUNK * 3);
	run();
	assert_used_slots_are_intact();
	take_all();
	assert_int_equal(swap_file_used(file), FILE_SLOTS);
}

static void test_the_last_free_slots_are_never_taken_away(void **state)
{
	(void)state;
	run();
	take_all();
	give_chunk(1);
	assert_int_equal(rig.disk.pending_count, 0);
	assert_int_equal(take(1), 1);
}

static void test_a_disk_that_fails_to_is_not_told_again(void **state)
{
	(void)state;
	rig.disk.fail_nth = 1;
	run();
	assert_int_equal(rig.disk.deallocates, 0);
	take_all();
	give_chunk(0);
	give_chunk(1);
	run();
	assert_int_equal(rig.disk.deallocates, 0);
	assert_int_equal(take(SWAP_CLUSTER_PAGES), SWAP_CLUSTER_PAGES);
}

static void test_a_disk_that_cannot_is_not_told(void **state)
{
	(void)state;
	run();
	rig.disk.deallocates = 0;
	rig.disk.device.blocks_most = CHUNK * RIG_PER_SLOT - 1;
	take_all();
	give_chunk(0);
	give_chunk(1);
	rig.disk.device.blocks_most = ~0u;
	rig.disk.device.can_deallocate = false;
	give_chunk(2);
	run();
	assert_int_equal(rig.disk.deallocates, 0);
}

static void test_an_ended_files_place_is_free_when_the_disk_has_answered(void **state)
{
	u64 longest;

	(void)state;
	assert_int_equal(rig.disk.pending_count, 1);
	swap_file_abandon(file);
	assert_int_equal(swap_directory_room(rig.volume, &longest), RIG_SLOTS - FILE_SLOTS);
	run();
	assert_int_equal(swap_directory_room(rig.volume, &longest), RIG_SLOTS);
	assert_int_equal(rig.disk.deallocates, 1);
	file = rig_file("a.vswp", FILE_SLOTS);
}

/* Of the first chunk the second extent is as long as what lies between the first and the third. */
static void test_a_chunk_of_several_extents_is_left_alone(void **state)
{
	static const u64 sizes[] = {200, 170, 142, 88, 170, 100, 50, RIG_SLOTS - 920};
	struct swap_file *files[ARRAY_COUNT(sizes)];
	char name[] = "0.vswp";

	(void)state;
	swap_file_abandon(file);
	run();
	for (u32 i = 0; i < ARRAY_COUNT(sizes); i++, name[0]++)
		files[i] = rig_file(name, sizes[i]);
	run();
	for (u32 i = 0; i < ARRAY_COUNT(sizes); i += 2)
		swap_file_abandon(files[i]);
	rig.disk.deallocates = 0;
	file = rig_file("a.vswp", 562);
	assert_int_equal(file->extent_count, 4);
	assert_int_equal(swap_file_volume_slot(file, 511), swap_file_volume_slot(file, 0) + 511);
	run();
	assert_int_equal(rig.disk.deallocates, 1);
	assert_int_equal(file->stats.deallocated, 50);
	for (u32 i = 1; i < ARRAY_COUNT(sizes); i += 2)
		swap_file_abandon(files[i]);
}

static void test_slots_taken_and_freed_at_random_stay_intact(void **state)
{
	struct rng rng = {rng_seed(7)};

	(void)state;
	for (u32 step = 0; step < 3000; step++) {
		u64 at = rng_below(&rng, FILE_SLOTS), end = at + rng_below(&rng, CHUNK * 2);

		if (rng_below(&rng, 3) == 0) {
			for (; at < FILE_SLOTS && at < end; at++) {
				if (used[at])
					give(at);
			}
		} else {
			take(1 + (u32)rng_below(&rng, SWAP_CLUSTER_PAGES));
		}
		fake_blk_run(&rig.disk, (u32)rng_below(&rng, 2));
		if (step % 64 == 0)
			assert_used_slots_are_intact();
	}
	run();
	assert_used_slots_are_intact();
	assert_true(rig.disk.deallocates > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_of_a_new_file_is_deallocated),
		TEST(test_a_chunk_is_deallocated_with_its_last_slot_and_no_other),
		TEST(test_a_chunk_that_nobody_wrote_is_not_deallocated_again),
		TEST(test_no_slot_is_given_out_while_it_is_being_deallocated),
		TEST(test_the_last_free_slots_are_never_taken_away),
		TEST(test_a_disk_that_fails_to_is_not_told_again),
		TEST(test_a_disk_that_cannot_is_not_told),
		TEST(test_an_ended_files_place_is_free_when_the_disk_has_answered),
		TEST(test_a_chunk_of_several_extents_is_left_alone),
		TEST(test_slots_taken_and_freed_at_random_stay_intact),
	};

	return cmocka_run_group_tests_name("unit/swap_trim", tests, NULL, NULL);
}

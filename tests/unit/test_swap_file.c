/* SRCS: tests/fake/fake_platform.c tests/fake/fake_blk.c mm */
/* Slots: next-fit and side by side, freed at any time, neighbours that can be read together. */
#include "tests/unit/swap_rig.h"

static void ignore(struct swap_io *io)
{
	(void)io;
}

/* A record for @count pages, of numbers from @gfn on, without frames: nothing is written here. */
static struct swap_io *cluster(u32 count, u64 gfn)
{
	struct swap_io *io = swap_io_take(false);

	assert_non_null(io);
	io->page_count = count;
	io->done = ignore;
	for (u32 i = 0; i < count; i++)
		io->pages[i] = (struct swap_page){
			.gfn = GFN(gfn + i), .frame = PFN_NONE, .slot = ~0ull, .bytes = PAGE_BYTES};
	return io;
}

/* Take slots; how many, and *@first. */
static u32 take(struct swap_file *file, u32 count, u64 gfn, u64 *first)
{
	struct swap_io *io = cluster(count, gfn);
	u32 taken = 0;

	if (swap_slots_take(file, io) == 0) {
		taken = io->page_count;
		*first = io->pages[0].slot;
	}
	for (u32 i = 0; i < taken; i++)
		assert_int_equal(io->pages[i].slot, *first + i);
	swap_io_give(io);
	return taken;
}

static void free_slots(struct swap_file *file, u64 first, u64 count)
{
	for (u64 i = 0; i < count; i++)
		swap_slot_free(file, first + i);
}

static void test_slots_are_handed_out_side_by_side_and_next_fit(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 100);
	u64 first;

	(void)state;
	assert_int_equal(take(file, 32, 0, &first), 32);
	assert_int_equal(first, 0);
	assert_int_equal(take(file, 8, 0, &first), 8);
	assert_int_equal(first, 32);
	free_slots(file, 0, 32);
	assert_int_equal(take(file, 10, 0, &first), 10);
	assert_int_equal(first, 40);
	assert_int_equal(swap_file_used(file), 18);
}

static void test_fewer_are_taken_where_no_such_run_is_free(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 64);
	u64 first;

	(void)state;
	assert_int_equal(take(file, 32, 0, &first), 32);
	assert_int_equal(take(file, 32, 0, &first), 32);
	assert_int_equal(take(file, 1, 0, &first), 0);
	free_slots(file, 5, 3);
	free_slots(file, 20, 9);
	assert_int_equal(take(file, 32, 0, &first), 9);
	assert_int_equal(first, 20);
	assert_int_equal(take(file, 2, 0, &first), 2);
	assert_int_equal(first, 5);
	assert_int_equal(take(file, 2, 0, &first), 1);
	assert_int_equal(first, 7);
	assert_int_equal(take(file, 2, 0, &first), 0);
	assert_int_equal(swap_file_used(file), 64);
}

static void test_the_last_free_slot_is_found_among_thousands(void **state)
{
	u64 first;
	struct swap_file *file;

	(void)state;
	fake_blk_free(&rig.disk);
	fake_blk_init(&rig.disk, 4096, 20001);
	rig.volume = rig_open_part(0, 20001);
	file = rig_file("a.vswp", 20000);
	while (take(file, 32, 0, &first))
		;
	assert_int_equal(swap_file_used(file), 20000);
	free_slots(file, 17777, 1);
	assert_int_equal(take(file, 32, 0, &first), 1);
	assert_int_equal(first, 17777);
}

/* Two extents with other files between: a run that crosses could not be one command. */
static struct swap_file *file_in_two_pieces(u64 first_piece, u64 second_piece)
{
	struct swap_file *a = rig_file("a.vswp", first_piece), *file;
	u64 longest;

	rig_file("b.vswp", 1);
	file = rig_file("rest.vswp", swap_directory_room(rig.volume, &longest) - second_piece);
	swap_file_abandon(a);
	file = rig_file("two.vswp", first_piece + second_piece);
	assert_int_equal(file->extent_count, 2);
	return file;
}

static void test_a_cluster_does_not_cross_extents(void **state)
{
	struct swap_file *file = file_in_two_pieces(40, 30);
	u64 slots[3] = {0};
	u32 counts[3];

	(void)state;
	for (u32 i = 0; i < 3; i++)
		counts[i] = take(file, 32, 0, &slots[i]);
	assert_int_equal(counts[0], 32);
	/* The longest within the bounds: 30 in the second extent rather than 8 of the first. */
	assert_int_equal(counts[1], 30);
	assert_int_equal(slots[1], 40);
	assert_int_equal(counts[2], 8);
	assert_int_equal(slots[2], 32);
}

static void test_neighbours_are_the_used_slots_about_one(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 64);
	struct swap_run run;
	u64 first;

	(void)state;
	assert_int_equal(take(file, 20, 1000, &first), 20);
	swap_neighbours(file, 5, 8, &run);
	assert_int_equal(run.first, 5);
	assert_int_equal(run.count, 8);
	assert_int_equal(run.gfns[0].v, 1005);
	assert_int_equal(run.gfns[7].v, 1012);
	swap_neighbours(file, 17, 8, &run);
	assert_int_equal(run.first, 12);
	assert_int_equal(run.count, 8);
	swap_slot_free(file, 15);
	swap_neighbours(file, 17, 8, &run);
	assert_int_equal(run.first, 16);
	assert_int_equal(run.count, 4);
	swap_neighbours(file, 17, 1, &run);
	assert_int_equal(run.first, 17);
	assert_int_equal(run.count, 1);
	swap_neighbours(file, 3, 64, &run);
	assert_int_equal(run.first, 0);
	assert_int_equal(run.count, 15);
}

static void test_neighbours_were_written_for_the_same_2_mib(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 16);
	struct swap_run run;
	u64 first;

	(void)state;
	take(file, 12, 506, &first);
	swap_neighbours(file, 4, 8, &run);
	assert_int_equal(run.first, 0);
	assert_int_equal(run.count, 6);
	swap_neighbours(file, 7, 8, &run);
	assert_int_equal(run.first, 6);
	assert_int_equal(run.count, 6);
}

static void test_neighbours_end_with_the_extent_and_the_transfer_limit(void **state)
{
	struct swap_file *file = file_in_two_pieces(40, 30);
	struct swap_run run;
	u64 first;

	(void)state;
	while (take(file, 32, 0, &first))
		;
	swap_neighbours(file, 38, 32, &run);
	assert_int_equal(run.first, 8);
	assert_int_equal(run.count, 32);
	swap_neighbours(file, 40, 32, &run);
	assert_int_equal(run.first, 40);
	assert_int_equal(run.count, 30);
	rig.volume->cluster_pages = 4;
	swap_neighbours(file, 40, 32, &run);
	assert_int_equal(run.count, 4);
}

static void test_page_numbers_are_hints_of_28_bits(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 4);
	struct swap_run run;
	u64 first;

	(void)state;
	take(file, 1, BIT(28) + 77, &first);
	swap_neighbours(file, first, 1, &run);
	assert_int_equal(run.gfns[0].v, 77);
}

static struct swap_file *wrong_file;

static void free_twice(void *slot)
{
	swap_slot_free(wrong_file, *(u64 *)slot);
}

static void test_freeing_a_free_slot_or_none_is_a_bug(void **state)
{
	u64 slot = 3, none = 64;

	(void)state;
	wrong_file = rig_file("a.vswp", 64);
	assert_true(fake_panics(free_twice, &slot));
	lock_forget_held();
	assert_true(fake_panics(free_twice, &none));
}

static void test_nothing_is_taken_for_a_dead_disk(void **state)
{
	struct swap_file *file = rig_file("a.vswp", 64);
	struct swap_io *io = cluster(3, 0);

	(void)state;
	fake_blk_kill(&rig.disk);
	assert_int_equal(swap_slots_take(file, io), E_IO);
	assert_int_equal(swap_file_used(file), 0);
	swap_io_give(io);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_slots_are_handed_out_side_by_side_and_next_fit),
		TEST(test_fewer_are_taken_where_no_such_run_is_free),
		TEST(test_the_last_free_slot_is_found_among_thousands),
		TEST(test_a_cluster_does_not_cross_extents),
		TEST(test_neighbours_are_the_used_slots_about_one),
		TEST(test_neighbours_were_written_for_the_same_2_mib),
		TEST(test_neighbours_end_with_the_extent_and_the_transfer_limit),
		TEST(test_page_numbers_are_hints_of_28_bits),
		TEST(test_freeing_a_free_slot_or_none_is_a_bug),
		TEST(test_nothing_is_taken_for_a_dead_disk),
	};

	return cmocka_run_group_tests_name("unit/swap_file", tests, NULL, NULL);
}
